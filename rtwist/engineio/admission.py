"""Who may come in: connections and handshakes, in all and of one address, and what was refused."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from rtwist.engineio.addresses import Proxies, address_key
from rtwist.engineio.buckets import Bucket, Buckets
from rtwist.engineio.incoming import Incoming
from rtwist.engineio.tally import Tally

if TYPE_CHECKING:
    from rtwist.engineio.options import Options

SPARE_CONNECTIONS = 64
"""TCP connections taken beyond `max_connections`, so that health checks and publishers still get in."""

RETRY_SECONDS = 5
"""After which a client may try again where no bucket knows better."""

_REASONS = {429: "Too Many Requests", 503: "Service Unavailable"}


@dataclass(frozen=True, slots=True)
class Over:
    """A limit that is passed: its option, the status and code of the answer, and seconds to wait."""

    limit: str
    status: int
    code: str
    message: str
    retry_after: int = RETRY_SECONDS

    @property
    def body(self) -> bytes:
        """The body of the answer, JSON."""
        return msgspec.json.encode({"code": self.code, "message": self.message})

    @property
    def headers(self) -> list[tuple[str, str]]:
        """The headers that tell what the body is and when to come back."""
        return [("Content-Type", "application/json"), ("Retry-After", str(self.retry_after))]

    @property
    def raw(self) -> bytes:
        """The whole answer, for a connection whose request nobody reads."""
        lines = [
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}",
            *(f"{name}: {value}" for name, value in self.headers),
            f"Content-Length: {len(self.body)}",
            "Connection: close",
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + self.body


class Admission:
    """Counts who is in and decides who may come.

    `refused` counts since the start by the name of the limit; whoever keeps another limit of clients adds to it
    by `note`. No session is admitted any more once `open` is False. `incoming` counts what they are sending.
    """

    _log = Logger()

    def __init__(self, options: Options, clock: IReactorTime) -> None:
        self.proxies = Proxies(options.trusted_proxies)
        self.open = True
        self.connections = 0
        self.sessions = 0
        self._tally = Tally()
        self.refused = self._tally.counts
        self.incoming = Incoming(options.max_incoming_total, self.note)
        self._options = options
        self._clock = clock
        now = clock.seconds()
        self._handshakes = Bucket(options.max_handshakes_per_second, now)
        self._requests = Buckets(options.max_handshakes_per_second_per_address)
        self._peers: Counter[str] = Counter()
        self._clients: Counter[str] = Counter()

    def reconfigure(self, options: Options) -> None:
        """Go by the limits of `options` from now on; who is in stays, and rates that have changed begin anew."""
        former, self._options = self._options, options
        self.incoming.most = options.max_incoming_total
        if options.max_handshakes_per_second != former.max_handshakes_per_second:
            self._handshakes = Bucket(options.max_handshakes_per_second, self._clock.seconds())
        rate = options.max_handshakes_per_second_per_address
        if rate != former.max_handshakes_per_second_per_address:
            self._requests = Buckets(rate)

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {"connections": self.connections, "sessions": self.sessions, "refused": dict(self.refused)}

    def client_address(self, peer: str, headers: Mapping[str, str]) -> str:
        """The address of the client behind the `peer` of a connection; "" when it has none."""
        return self.proxies.client(peer, headers)

    # TCP connections

    def connected(self, peer: str) -> Over | None:
        """A TCP connection of the host `peer` ("" for a UNIX socket) has come; it counts until `disconnected`.

        Returns why it must go at once, or None.
        """
        self.connections += 1
        key = self._peer_key(peer)
        if key:
            self._peers[key] += 1
        options = self._options
        most = options.max_connections
        if most is not None and self.connections > most + SPARE_CONNECTIONS:
            return self._too_many("max_connections", 503, "the server has too many connections", peer)
        most = options.max_connections_per_address
        if most is not None and key and self._peers[key] > most:
            text = "there are too many connections from your address"
            return self._too_many("max_connections_per_address", 429, text, peer)
        return None

    def disconnected(self, peer: str) -> None:
        """A TCP connection that was counted has gone."""
        self.connections -= 1
        _drop(self._peers, self._peer_key(peer))

    # Sessions

    def asks(self, address: str) -> Over | None:
        """A request of `address` that belongs to no session yet, lawful or not; returns why it gets no answer."""
        if not address:
            return None
        now = self._clock.seconds()
        bucket = self._requests.of(address_key(address), now)
        if bucket.take(now):
            return None
        return self._too_fast("max_handshakes_per_second_per_address", 429, bucket.wait(now), address)

    def admits(self, address: str) -> Over | None:
        """Why no session can be opened for a client at `address` now, or None."""
        if not self.open:
            return Over("", 503, "unavailable", "the server is shutting down")
        options = self._options
        most = options.max_connections
        if most is not None and (self.sessions >= most or self.connections > most):
            return self._too_many("max_connections", 503, "the server has too many connections", address)
        most = options.max_connections_per_address
        if most is not None and address and self._clients[address_key(address)] >= most:
            text = "there are too many connections from your address"
            return self._too_many("max_connections_per_address", 429, text, address)
        now = self._clock.seconds()
        if not self._handshakes.take(now):
            return self._too_fast("max_handshakes_per_second", 503, self._handshakes.wait(now), address)
        return None

    def opened(self, address: str) -> None:
        """A session of a client at `address` has been opened; it counts until `closed`."""
        self.sessions += 1
        if address:
            self._clients[address_key(address)] += 1

    def closed(self, address: str) -> None:
        """A session has ended."""
        self.sessions -= 1
        _drop(self._clients, address_key(address))

    # What was refused

    def note(self, limit: str, who: str, *, common: bool = False) -> None:
        """Count that `who` passed `limit`; the log hears of a limit once in ten seconds at most.

        What is `common` among honest clients is only counted.
        """
        if common:
            self.refused[limit] += 1
        elif self._tally.add(limit, self._clock.seconds()):
            self._log.warn(
                "{limit} passed by {who}; {count} times since the start",
                limit=limit,
                who=who,
                count=self.refused[limit],
            )

    def _peer_key(self, peer: str) -> str:
        # A proxy brings many clients, which are counted by what it tells of them.
        return "" if not peer or self.proxies.trusts(peer) else address_key(peer)

    def _too_many(self, limit: str, status: int, message: str, who: str) -> Over:
        self.note(limit, who)
        return Over(limit, status, "too_many", message)

    def _too_fast(self, limit: str, status: int, wait: float, who: str) -> Over:
        self.note(limit, who)
        return Over(limit, status, "rate_limited", "too many requests, try again later", math.ceil(wait))


def _drop(counts: Counter[str], key: str) -> None:
    if key in counts:
        counts[key] -= 1
        if counts[key] <= 0:
            del counts[key]
