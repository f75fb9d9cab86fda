"""What can be set on connections to a broker, and what it says of a queue; pure."""

from __future__ import annotations

from dataclasses import dataclass

from rtwist.errors import ConfigError
from rtwist.intake.amqp.frames import MIN_FRAME_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """What can be set on connections; times in seconds, sizes in bytes.

    - `name`: how the broker's tools call the connection.
    - `call_timeout`: how long the broker may take over one call or publish; then the connection is dropped.
    - `heartbeat`: proposed to the broker, the shorter one holds; silence of twice that ends the connection.
      0 for none.
    - `frame_max`: the largest frame, which a slow peer can make us hold; RabbitMQ's own default.
    - `max_body`: bodies above it are thrown away as they come in; RabbitMQ 4's own limit.
    - `max_unconfirmed`, `max_unconfirmed_bytes`: publishes that may wait for their confirms, and the bytes of
      their bodies; more are refused. A single larger body goes out when no other waits.
    """

    name: str = "rtwist"
    call_timeout: float = 10.0
    heartbeat: int = 20
    frame_max: int = 131072
    max_body: int = 16 * 1024 * 1024
    max_unconfirmed: int = 10_000
    max_unconfirmed_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a value that cannot work."""
        if not self.call_timeout > 0:
            raise ConfigError(f"call_timeout is {self.call_timeout!r}; it must be greater than 0")
        if not 0 <= self.heartbeat < 65536:
            raise ConfigError(f"heartbeat is {self.heartbeat!r}; give seconds, at most 65535, or 0 for none")
        if self.frame_max < MIN_FRAME_MAX:
            raise ConfigError(f"frame_max is {self.frame_max!r}; {MIN_FRAME_MAX} is the least that AMQP allows")
        for name in ("max_body", "max_unconfirmed", "max_unconfirmed_bytes"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)!r}; it must be greater than 0")


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue as it was when it was declared: how many messages are ready, how many consumers there are."""

    name: str
    messages: int
    consumers: int
