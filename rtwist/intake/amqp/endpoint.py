"""The way to a broker: TCP, or TLS with the broker's certificate checked; several addresses in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, platformTrust, trustRootFromCertificates
from twisted.logger import Logger
from zope.interface import classImplements, implementer

from rtwist.errors import ConfigError
from rtwist.intake.amqp.url import BrokerAddress

CONNECT_SECONDS = 10.0
"""How long one address may take to accept a connection, unless its URL says another time."""

classImplements(BrokerAddress, IAddress)


def read_authorities(path: Path) -> Any:
    """The authorities in a PEM file, to be trusted instead of the system's; `ConfigError` without any."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the certificate authorities in {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path} holds no certificates in PEM form") from None
    return trustRootFromCertificates([Certificate.loadPEM(one.public_bytes(Encoding.PEM)) for one in found])


def transport_endpoint(
    reactor: IReactorTime, address: BrokerAddress, trust_root: Any = None
) -> IStreamClientEndpoint:
    """How to reach `address`: amqps is TLS, and both the certificate and the name in it must be right."""
    timeout = CONNECT_SECONDS if address.connection_timeout is None else address.connection_timeout
    endpoint = HostnameEndpoint(reactor, address.host, address.port, timeout)
    if not address.secure:
        return endpoint
    root = platformTrust() if trust_root is None else trust_root
    return wrapClientTLS(optionsForClientTLS(address.host, trustRoot=root), endpoint)


class _AtAddress(Factory):
    """Tells a factory which address its protocol is for."""

    noisy = False

    def __init__(self, factory: IProtocolFactory, address: BrokerAddress) -> None:
        self._factory = factory
        self._address = address

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._factory.buildProtocol(self._address)


@implementer(IStreamClientEndpoint)
class BrokerEndpoint:
    """Connects a `BrokerFactory` to the first address that accepts, starting after the one that accepted last.

    So one that accepts connections and then refuses or loses them does not keep the others from being tried.
    `ca_file` names a PEM file of the authorities to trust instead of the system's.
    """

    _log = Logger()

    def __init__(
        self, reactor: IReactorTime, addresses: Sequence[BrokerAddress], ca_file: Path | None = None
    ) -> None:
        if not addresses:
            raise ConfigError("no AMQP URL is given")
        trust_root = None if ca_file is None else read_authorities(ca_file)
        self._ways = [(address, transport_endpoint(reactor, address, trust_root)) for address in addresses]
        self._next = 0

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803 - Twisted's name
        """The connected protocol, not yet logged in; the error of the last address when none accepts."""
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        count = len(self._ways)
        for attempt in range(count):
            turn = (self._next + attempt) % count
            address, endpoint = self._ways[turn]
            try:
                protocol: IProtocol = await endpoint.connect(_AtAddress(factory, address))
            except Exception as error:
                if attempt == count - 1:
                    raise
                self._log.warn("{address} does not accept: {error}", address=str(address), error=error)
            else:
                self._next = (turn + 1) % count
                return protocol
        raise AssertionError("unreachable: the last address returned or raised")
