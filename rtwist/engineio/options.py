"""What can be set on an Engine.IO server; every limit with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

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
    - `close_timeout`: how long a peer may take over a close before its connection is aborted.
    - `poll_close_timeout`: how long a close waits for a polling client to come and fetch it.
    - `header_timeout`: how long the headers of one request may take to arrive, however steadily they come.
    - `body_timeout`: how long one POST body may take to arrive.
    - `transports`, `allow_upgrades`: the ways in.
    - `cors_origins`: `None` for same origin only, `"*"` for any, or the origins allowed, as browsers write them.
    - `cookie`: send the sid as a cookie with the handshake.
    - `compression_threshold`: polling responses of at least this size are compressed; None for never.
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
    close_timeout: float = 5.0
    poll_close_timeout: float = 30.0
    header_timeout: float = 10.0
    body_timeout: float = 30.0
    transports: tuple[str, ...] = (POLLING, WEBSOCKET)
    allow_upgrades: bool = True
    cors_origins: str | tuple[str, ...] | None = None
    cookie: Cookie | None = None
    compression_threshold: int | None = 1024
    allow_request: Callable[[Handshake], str | None] | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a value that cannot work."""
        object.__setattr__(self, "path", "/" + self.path.strip("/") + "/" if self.path.strip("/") else "/")
        for name in ("ping_interval", "ping_timeout", "upgrade_timeout", "close_timeout",
                     "poll_close_timeout", "header_timeout", "body_timeout", "max_buffered_age"):  # fmt: skip
            check_positive(name, getattr(self, name))
        for name in ("max_payload", "max_payload_packets", "max_fragments", "max_buffered", "max_buffered_total"):
            check_positive(name, getattr(self, name))
        _check_transports(self.transports)
        _check_origins(self.cors_origins)


def check_positive(name: str, value: float) -> None:
    """Raise `ConfigError` unless the option `name` is above 0, which NaN is not."""
    if not value > 0:
        raise ConfigError(f"{name} is {value!r}; it must be greater than 0")


def _check_transports(transports: tuple[str, ...]) -> None:
    unknown = set(transports) - {POLLING, WEBSOCKET}
    if unknown or not transports:
        raise ConfigError(f"transports is {transports!r}; name 'polling', 'websocket' or both")


def _check_origins(origins: str | tuple[str, ...] | None) -> None:
    if isinstance(origins, str) and origins != "*":
        raise ConfigError(f"cors_origins is {origins!r}; give '*' or a tuple of origins such as ('{origins}',)")
