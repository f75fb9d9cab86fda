"""The ways to Redis: TCP, TLS with the certificate checked, a UNIX socket, or whom the Sentinels name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import optionsForClientTLS, platformTrust

from rtwist.authorities import read_authorities
from rtwist.errors import RedisError, RedisLost, RedisRefused
from rtwist.redis.address import RedisAddress, host_and_port
from rtwist.redis.wire import Wire, WireOptions

Made = TypeVar("Made", bound=Wire)
MakeWire = Callable[[str, str], Made]
"""Takes where the server is, for people, and the host that its certificate is checked for."""


class _Maker(Factory):
    """Makes one wire."""

    noisy = False

    def __init__(self, make: Callable[[], Wire]) -> None:
        self._make = make

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._make()


class Ways:
    """Finds the server of `address` and connects to it; `ca_file` is a PEM file of the authorities to trust.

    Raises `ConfigError` for a `ca_file` that is none.
    """

    def __init__(
        self, reactor: IReactorTime, address: RedisAddress, options: WireOptions, ca_file: Path | None = None
    ) -> None:
        self.address = address
        self._reactor = reactor
        self._options = options
        self._trust = None if ca_file is None else read_authorities(ca_file)
        self._next = 0

    async def connect(self, make: MakeWire[Made], name: str) -> Made:
        """A wire that is logged in under `name`; raises `RedisLost`, or what Twisted raises for connections."""
        address = self.address
        if address.sentinels:
            host, port = await self.master(name)
        else:
            host, port = address.host, address.port
        wire = await self._connected(make, host, port, address.path)
        try:
            await wire.enter(address.login, name, address.database)
            if address.sentinels:
                await _check_role(wire)
        except BaseException as error:
            wire.fail(RedisLost(f"given up: {error}"))
            raise
        return wire

    async def master(self, name: str) -> tuple[str, int]:
        """Where the first Sentinel that answers says that the master is; the last one's error when none does."""
        sentinels = self.address.sentinels
        trouble: Exception = RedisLost("no Sentinel was asked")
        for _ in sentinels:
            host, port = sentinels[self._next % len(sentinels)]
            try:
                return await self._ask(host, port, name)
            except CancelledError:
                raise
            except Exception as error:
                trouble = error if isinstance(error, RedisError) else _at(host, port, error)
                self._next += 1
        raise trouble

    async def _ask(self, host: str, port: int, name: str) -> tuple[str, int]:
        wire = await self._connected(self._plain, host, port)
        try:
            await wire.enter(self.address.sentinel_login, name)
            found = await wire.must("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.address.service)
        finally:
            wire.fail(RedisLost("asked"))
        if found is None:
            raise RedisRefused(f"the Sentinel at {wire.where} knows no service {self.address.service!r}")
        return found[0].decode(), int(found[1])

    def _plain(self, where: str, host: str) -> Wire:
        return Wire(self._reactor, self._options, where, host)

    async def _connected(self, make: MakeWire[Made], host: str, port: int, path: str | None = None) -> Made:
        where = path or host_and_port(host, port)
        made = make(where, host)
        try:
            await self._endpoint(host, port, path).connect(_Maker(lambda: made))
        except ConnectingCancelledError as error:  # what endpoints make of it, as if something had failed
            raise CancelledError from error
        return made

    def _endpoint(self, host: str, port: int, path: str | None) -> IStreamClientEndpoint:
        seconds = self._options.timeout
        if path is not None:
            return UNIXClientEndpoint(self._reactor, path, seconds)
        endpoint = HostnameEndpoint(self._reactor, host, port, seconds)
        if not self.address.secure:
            return endpoint
        root = platformTrust() if self._trust is None else self._trust
        return wrapClientTLS(optionsForClientTLS(host, trustRoot=root), endpoint)


def _at(host: str, port: int, error: Exception) -> RedisLost:
    return RedisLost(f"the Sentinel at {host_and_port(host, port)}: {error}")


async def _check_role(wire: Wire) -> None:
    """A Sentinel may not know yet who the master is now; a master knows that it is one."""
    role = await wire.must("ROLE")
    if role[0] != b"master":
        raise RedisLost(f"{wire.where} is not the master, but {role[0].decode(errors='replace')}")
