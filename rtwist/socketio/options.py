"""What can be set on a Socket.IO server, on top of its Engine.IO options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rtwist.engineio.options import Options as EngineOptions
from rtwist.engineio.options import check_positive, check_positive_or_none
from rtwist.errors import ConfigError
from rtwist.socketio.behind import BehindRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(EngineOptions):
    """The options of a Socket.IO server; times in seconds.

    - `connect_timeout`: a connection that is in no namespace for this long is closed.
    - `refused_timeout`: the same after a namespace has refused it: long enough to try with another token.
    - `max_attachments`: binary parts of one packet; 10 as in Node.
    - `max_packet_bytes`: one packet with its binary parts, which are in memory until all have come.
    - `max_events_per_second`: events of one connection; a CONNECT counts as ten, for it is authenticated.
      Further ones are answered with the code `rate_limited`; who goes on at twice the rate is disconnected.
    - `max_pending_acks`: acknowledgements that one socket may owe; the oldest is given up for a new one.
    - `ack_timeout`: how long an acknowledgement is waited for where `timeout` says nothing, so that a client that
      never answers keeps no memory for as long as it is connected; None for no limit, as in Node.
    - `max_depth`: nesting of JSON; deeper than any real message, shallow enough for every parser.
    - `max_queued_events`: events of one client that wait while an earlier one is being handled.
    - `max_queued_bytes`: the same in bytes of memory, about; at least one event of `max_payload` should fit.
    - `attachment_timeout`: how long the attachments of one packet may take; what has come of them is in memory.
    - `slow_consumers`: what becomes of events for clients that are behind, by name, as `BehindRules` reads them.
    - `client_dist`: folder with the JavaScript client (`dist` of the npm package socket.io-client), to be
      served below `path` as `socket.io.js` and so on; None serves no files.
    """

    path: str = "/socket.io/"
    connect_timeout: float = 45.0
    refused_timeout: float = 5.0
    max_attachments: int = 10
    max_packet_bytes: int = 10_000_000
    max_events_per_second: float | None = None
    max_pending_acks: int = 10_000
    ack_timeout: float | None = 600.0
    max_depth: int = 64
    max_queued_events: int = 1000
    max_queued_bytes: int = 4_000_000
    attachment_timeout: float = 30.0
    slow_consumers: Mapping[str, str] = field(default_factory=dict)
    client_dist: Path | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a value that cannot work."""
        EngineOptions.__post_init__(self)
        for name in ("connect_timeout", "refused_timeout", "attachment_timeout"):
            check_positive(name, getattr(self, name))
        for name in ("max_depth", "max_queued_events", "max_queued_bytes", "max_packet_bytes",
                     "max_pending_acks"):  # fmt: skip
            check_positive(name, getattr(self, name))
        check_positive_or_none("max_events_per_second", self.max_events_per_second)
        check_positive_or_none("ack_timeout", self.ack_timeout)
        if not self.max_attachments >= 0:
            raise ConfigError(f"max_attachments is {self.max_attachments!r}; it must be 0 or more")
        BehindRules(self.slow_consumers)
