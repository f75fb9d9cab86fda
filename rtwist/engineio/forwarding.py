"""HTTP connections whose requests may belong to another node: those go there over a connection of their own."""

from __future__ import annotations

from typing import Any, Final
from typing import Protocol as Interface

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IStreamClientEndpoint
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from rtwist.authorities import why_ended
from rtwist.engineio.admission import Admission
from rtwist.engineio.handing import HandingChannel, HandingRules
from rtwist.engineio.nodes import (
    DEFAULT_FORWARD_TIMEOUT,
    DEFAULT_MAX_FORWARDED,
    Address,
    KnownNodes,
    forwarded_head,
    is_forwarded,
    mark_in,
)
from rtwist.engineio.relay import End, Relay
from rtwist.engineio.repeat import sid_of
from rtwist.engineio.tally import Tally
from rtwist.engineio.tcp import limit_unread

_METHODS: Final = (b"GET", b"POST")
_MOST_HELD: Final = 65_536
"""Bytes behind the headers that are read before the other node is reached: what Twisted reads at a time."""


class Forwarder:
    """This node's way to the others, which it has from `nodes`.

    - `timeout`: seconds to reach one. Without success the request is answered here: its session is unknown.
    - `most`: requests on their way to other nodes at a time; those beyond it are answered in the same way.
    - `trust`: who may have signed the certificates of nodes that are reached by https, else the system says it.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        nodes: KnownNodes,
        *,
        timeout: float = DEFAULT_FORWARD_TIMEOUT,
        most: int = DEFAULT_MAX_FORWARDED,
        trust: Any = None,
    ) -> None:
        self.mark = nodes.mark
        self.connecting = 0
        self.relays: set[Relay] = set()
        self._reactor = reactor
        self._nodes = nodes
        self._timeout = timeout
        self._most = most
        self._trust = trust
        self._tally = Tally()

    def as_dict(self) -> dict[str, int]:
        """For JSON: how many are forwarded `now`, and since the start those that were and that could not be."""
        return {"now": len(self.relays) + self.connecting, **self._tally.counts}

    def find(self, sid: str) -> Address | None:
        """Where the session `sid` is, when it is another node's."""
        mark = mark_in(sid)
        return None if mark is None or mark == self.mark else self._nodes.find(mark)

    def reach(self, address: Address) -> Deferred[End] | None:
        """Connect to a node; fails when it cannot be reached in time. None when too many are forwarded now."""
        if len(self.relays) + self.connecting >= self._most:
            if self._tally.add("max_forwarded", self._reactor.seconds()):
                self._log.warn(
                    "{most} requests are forwarded to other nodes, and there are more", most=self._most
                )
            return None
        self.connecting += 1
        factory: Any = Factory.forProtocol(_Secured if address.secure else End)
        factory.noisy = False
        reached: Deferred[Any] = self._endpoint(address).connect(factory)
        if address.secure:
            reached.addCallback(lambda end: end.shaken)
        reached.addTimeout(self._timeout, self._reactor)
        return reached.addBoth(self._connected)

    def join(self, front: End, back: End, *, lasting: bool, idle: float, close: float) -> None:
        """Carry bytes between the two from now on; see `Relay`."""
        self._tally.counts["forwarded"] += 1
        relay = Relay(self._reactor, idle=idle, close=close, over=self.relays.discard, lasting=lasting)
        self.relays.add(relay)
        relay.join(front, back)

    def missed(self, address: Address, reason: Failure) -> None:
        """A node could not be reached; the log hears of it once in ten seconds at most."""
        if self._tally.add("unreachable", self._reactor.seconds()):
            why, _ = why_ended(reason, "the node's", address.host)
            self._log.warn(
                "the node at {address} cannot be reached, so its session is unknown here: {why}; "
                "{count} times since the start",
                address=str(address),
                why=why,
                count=self._tally.counts["unreachable"],
            )

    @property
    def lasting(self) -> list[Relay]:
        """The WebSockets that are forwarded."""
        return [relay for relay in self.relays if relay.lasting]

    def _connected(self, result: Any) -> Any:
        self.connecting -= 1
        return result

    def _endpoint(self, address: Address) -> IStreamClientEndpoint:
        endpoint: Any
        if not address.is_literal:
            endpoint = HostnameEndpoint(self._reactor, address.host, address.port, timeout=self._timeout)
        else:
            # Twisted would ask a thread for the address of an address.
            kind = TCP6ClientEndpoint if ":" in address.host else TCP4ClientEndpoint
            endpoint = kind(self._reactor, address.host, address.port, timeout=self._timeout)
        if address.secure:
            trust = platformTrust() if self._trust is None else self._trust
            endpoint = wrapClientTLS(optionsForClientTLS(address.host, trustRoot=trust), endpoint)
        return endpoint  # type: ignore[no-any-return]


@implementer(IHandshakeListener)
class _Secured(End):
    """An end with TLS; `shaken` fires with it when the certificate was accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.shaken: Deferred[End] = Deferred(lambda _: self.transport.abortConnection())

    def handshakeCompleted(self) -> None:  # noqa: N802 - Twisted's name
        """It was."""
        self.shaken.callback(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        if not self.shaken.called:
            self.shaken.errback(reason)
        super().connectionLost(reason)


class ForwardingRules(HandingRules, Interface):
    """What such connections ask of the site they belong to; times in seconds."""

    admission: Admission
    close_timeout: float
    heartbeat_timeout: float

    @property
    def forwarder(self) -> Forwarder | None:
        """The way to other nodes, if there are any."""

    def is_engine(self, target: bytes) -> bool:
        """Whether a request target is Engine.IO's."""


class ForwardingChannel(HandingChannel):
    """A connection that is joined to the node whose session its next request names.

    From then on it is that node's: it gets one answer and is closed, or is a WebSocket. Should the node not be
    reached, then the request is answered here, and the connection stays.
    """

    site: ForwardingRules
    length: int | None
    _held: _Held | None = None

    def become(self, protocol: Any) -> None:
        """Hand the connection to `protocol`; this channel hears no more of it."""
        raise NotImplementedError

    def allHeadersReceived(self) -> None:
        """The headers of a request have come, and nothing of it has been acted on."""
        forwarder = self.site.forwarder
        if forwarder is not None:
            address = self._elsewhere(forwarder)
            reached = None if address is None else forwarder.reach(address)
            if address is not None and reached is not None:
                self._hold(forwarder, address, reached)
                return
        super().allHeadersReceived()

    def rawDataReceived(self, data: bytes) -> None:
        """What came after the headers."""
        held = self._held
        if held is None:
            super().rawDataReceived(data)
            return
        held.read += data
        if len(held.read) > _MOST_HELD:
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        held, self._held = self._held, None
        if held is not None:
            held.give_up()
        super().connectionLost(reason)

    def _elsewhere(self, forwarder: Forwarder) -> Address | None:
        """Where the request goes, when that is elsewhere."""
        if self._command not in _METHODS or not self.site.is_engine(self._path):
            return None
        address = forwarder.find(sid_of(self._path))
        if address is None or is_forwarded(self.requests[-1].requestHeaders.getAllRawHeaders()):
            return None
        return address

    def _hold(self, forwarder: Forwarder, address: Address, reached: Deferred[End]) -> None:
        self._held = _Held(forwarder, address, reached, self.length)
        # With a body to come twisted.web does not begin the request.
        self.length = None
        reached.addCallbacks(self._reached, self._missed, callbackArgs=(self._held,), errbackArgs=(self._held,))
        reached.addErrback(self._failed)

    def _reached(self, back: End, held: _Held) -> None:
        if self._held is not held:
            back.transport.abortConnection()
            return
        self._held = None
        headers = self.requests[-1].requestHeaders
        upgrade = any(b"upgrade" in value.lower() for value in headers.getRawHeaders(b"connection") or ())
        head = forwarded_head(
            (self._command, self._path, self._version),
            headers.getAllRawHeaders(),
            client=self._client(),
            mark=held.forwarder.mark,
            upgrade=upgrade,
        )
        self.outlet.flush()
        self.setTimeout(None)
        self.requests.clear()
        transport, site = back.transport, self.site
        transport.setTcpNoDelay(True)
        limit_unread(transport, site.heartbeat_timeout)
        transport.write(head + held.read)
        front = End()
        self.become(front)
        held.forwarder.join(front, back, lasting=upgrade, idle=site.heartbeat_timeout, close=site.close_timeout)

    def _client(self) -> str:
        headers = self.requests[-1].requestHeaders
        fields = {}
        for name in ("x-forwarded-for", "forwarded"):
            values = headers.getRawHeaders(name)
            if values is not None:
                fields[name] = ", ".join(values)
        return self.site.admission.client_address(getattr(self.transport.getPeer(), "host", ""), fields)

    def _missed(self, failure: Failure, held: _Held) -> None:
        if self._held is held:
            held.forwarder.missed(held.address, failure)
            # Not at once: it may have failed before twisted.web is done with the headers.
            held.answering = self.site.clock.callLater(0, self._answer_here)

    def _answer_here(self) -> None:
        held, self._held = self._held, None
        if held is None:
            return
        self.length = held.length
        self.transport.resumeProducing()
        super().allHeadersReceived()
        if held.length == 0:
            self.allContentReceived()
        if held.read:
            self.dataReceived(held.read)

    def _failed(self, failure: Failure) -> None:
        Logger().failure("could not forward a request", failure)
        self.transport.abortConnection()


class _Held:
    """A request that waits for a connection to another node, with what was read behind its headers."""

    __slots__ = ("address", "answering", "forwarder", "length", "reached", "read")

    def __init__(
        self, forwarder: Forwarder, address: Address, reached: Deferred[End], length: int | None
    ) -> None:
        self.forwarder = forwarder
        self.address = address
        self.reached = reached
        self.length = length
        self.answering: IDelayedCall | None = None
        self.read = b""

    def give_up(self) -> None:
        """The client has left."""
        if self.answering is not None:
            self.answering.cancel()
        else:
            self.reached.cancel()
