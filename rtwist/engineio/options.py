"""What can be set on an Engine.IO server; every limit with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rtwist.engineio.addresses import Proxies
from rtwist.errors import ConfigError

if TYPE_CHECKING:
    from rtwist.engineio.request import Handshake

POLLING = "polling"
WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """The cookie that carries the sid to load balancers; the server itself never reads it."""

    name: str = "io"
    path: str = "/"
    http_only: bool = True
    secure: bool = False
    same_site: Literal["lax", "strict", "none"] | None = "lax"

    def header(self, sid: str) -> str:
        """The value of `Set-Cookie` (RFC 6265, section 4.1)."""
        parts = [f"{self.name}={sid}", f"Path={self.path}"]
        if self.http_only:
            parts.append("HttpOnly")
        if self.secure:
            parts.append("Secure")
        if self.same_site is not None:
            parts.append(f"SameSite={self.same_site.capitalize()}")
        return "; ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of an Engine.IO server; times in seconds, sizes in bytes.

    None is no limit where a limit may be None. A bucket of twenty seconds' worth goes with each rate
    (`buckets.BURST_SECONDS`).

    - `path`: where the server lives; other paths belong to the site around it.
    - `ping_interval`, `ping_timeout`: the heartbeat; a client that is silent for their sum is gone.
    - `upgrade_timeout`: how long a new WebSocket may take to probe and upgrade.
    - `max_payload`: largest POST body and WebSocket message; 1 MB as in Node, told to clients at the handshake.
    - `max_payload_packets`: packets in one POST; JavaScript clients split by bytes only, so the cap is far
      above what they send and only stops a body of a million empty packets.
    - `max_fragments`: frames in one WebSocket message; a fragment costs memory even when it is empty.
    - `max_buffered`: bytes that may wait for one client; a client further behind than this is disconnected.
    - `max_buffered_age`: how long anything may wait for one client, and how long its connection may take nothing;
      longer than any honest gap between two polls, shorter than the heartbeat takes to notice.
    - `max_buffered_total`: bytes that may wait in memory for all clients together; beyond it those with most go.
    - `max_incoming_total`: bytes of bodies, messages and events that are not whole, or wait to be handled, of all
      clients together; beyond it those with most go. Each may have `max_payload` of them without being anybody.
    - `close_timeout`: how long a peer may take over a close before its connection is aborted.
    - `poll_close_timeout`: how long a close waits for a polling client to come and fetch it.
    - `header_timeout`: how long the headers of one request may take to arrive, however steadily they come.
    - `body_timeout`: how long one POST body or WebSocket message may take to arrive.
    - `idle_timeout`: how long an HTTP connection may stay open between two requests.
    - `unread_timeout`: how long a client may leave an HTTP answer unread (Linux; elsewhere `idle_timeout`).
    - `max_requests`: requests on one HTTP connection before it must open another, so that none is for ever.
    - `max_connections`: connections in all, by TCP and by session; further handshakes get 503. A few more TCP
      connections are taken for other requests (`admission.SPARE_CONNECTIONS`).
    - `max_connections_per_address`: the same for one address (IPv6: one /64), answered with 429.
    - `max_handshakes_per_second`: new sessions, so that all clients coming back at once do not starve those
      who are in; further ones get 503.
    - `max_handshakes_per_second_per_address`: requests that belong to no session; further ones get 429.
    - `max_packets_per_second`: packets and frames of one connection; a POST counts as ten. Beyond it the server
      reads no further until the time has come, so that an honest burst is only slowed down.
    - `max_bytes_per_second`: the same in bytes on the wire.
    - `flood_timeout`: how long a WebSocket may be read so slowly without a break before it is closed with 1008.
    - `trusted_proxies`: addresses and networks whose X-Forwarded-For or Forwarded header is believed; `unix` for
      a UNIX socket.
    - `transports`, `allow_upgrades`: the ways in.
    - `cors_origins`: `None` for same origin only, `"*"` for any, or the origins allowed, as browsers write them.
    - `cookie`: send the sid as a cookie with the handshake.
    - `compression_threshold`: polling responses, and messages to clients with `websocket_compression`, are
      compressed from this size on; None for never.
    - `websocket_compression`: offer permessage-deflate (RFC 7692) on WebSocket; off by default, for it takes
      CPU time of every message that comes, and 32 kB while one comes.
    - `allow_request`: called with each `Handshake`; a text it returns refuses the client with it.
    """

    path: str = "/engine.io/"
    ping_interval: float = 25.0
    ping_timeout: float = 20.0
    upgrade_timeout: float = 10.0
    max_payload: int = 1_000_000
    max_payload_packets: int = 50_000
    max_fragments: int = 1024
    max_buffered: int = 16_000_000
    max_buffered_age: float = 30.0
    max_buffered_total: int = 256_000_000
    max_incoming_total: int = 256_000_000
    close_timeout: float = 5.0
    poll_close_timeout: float = 30.0
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    idle_timeout: float = 60.0
    unread_timeout: float = 30.0
    max_requests: int = 10_000
    max_connections: int | None = None
    max_connections_per_address: int | None = None
    max_handshakes_per_second: float | None = None
    max_handshakes_per_second_per_address: float | None = None
    max_packets_per_second: float | None = None
    max_bytes_per_second: float | None = None
    flood_timeout: float = 60.0
    trusted_proxies: tuple[str, ...] = ()
    transports: tuple[str, ...] = (POLLING, WEBSOCKET)
    allow_upgrades: bool = True
    cors_origins: str | tuple[str, ...] | None = None
    cookie: Cookie | None = None
    compression_threshold: int | None = 1024
    websocket_compression: bool = False
    allow_request: Callable[[Handshake], str | None] | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a value that cannot work."""
        object.__setattr__(self, "path", "/" + self.path.strip("/") + "/" if self.path.strip("/") else "/")
        for name in ("ping_interval", "ping_timeout", "upgrade_timeout", "close_timeout",
                     "poll_close_timeout", "header_timeout", "body_timeout", "idle_timeout", "flood_timeout",
                     "unread_timeout", "max_buffered_age"):  # fmt: skip
            check_positive(name, getattr(self, name))
        for name in ("max_payload", "max_payload_packets", "max_fragments", "max_buffered", "max_buffered_total",
                     "max_incoming_total", "max_requests"):  # fmt: skip
            check_positive(name, getattr(self, name))
        for name in ("max_connections", "max_connections_per_address", "max_handshakes_per_second",
                     "max_handshakes_per_second_per_address", "max_packets_per_second",
                     "max_bytes_per_second"):  # fmt: skip
            check_positive_or_none(name, getattr(self, name))
        Proxies(self.trusted_proxies)
        _check_transports(self.transports)
        _check_origins(self.cors_origins)


def check_positive(name: str, value: float) -> None:
    """Raise `ConfigError` unless the option `name` is above 0, which NaN is not."""
    if not value > 0:
        raise ConfigError(f"{name} is {value!r}; it must be greater than 0")


def check_positive_or_none(name: str, value: float | None) -> None:
    """The same for an option that may be None, for no limit."""
    if value is not None and not value > 0:
        raise ConfigError(f"{name} is {value!r}; it must be greater than 0, or None for no limit")


def _check_transports(transports: tuple[str, ...]) -> None:
    unknown = set(transports) - {POLLING, WEBSOCKET}
    if unknown or not transports:
        raise ConfigError(f"transports is {transports!r}; name 'polling', 'websocket' or both")


def _check_origins(origins: str | tuple[str, ...] | None) -> None:
    if isinstance(origins, str) and origins != "*":
        raise ConfigError(f"cors_origins is {origins!r}; give '*' or a tuple of origins such as ('{origins}',)")
