"""What can be set about the other nodes and the Redis they share; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from rtwist.cluster.deliveries import DEFAULT_KEPT_BYTES, DEFAULT_KEPT_SECONDS
from rtwist.cluster.mode import Mode
from rtwist.cluster.outage import WhileAway
from rtwist.cluster.wire import Limits
from rtwist.engineio.nodes import DEFAULT_FORWARD_TIMEOUT, DEFAULT_MAX_FORWARDED, Address, read_address
from rtwist.errors import ConfigError
from rtwist.redis.address import RedisAddress

CLASSIC = "classic"
SHARDED = "sharded"
PROTOCOLS = (CLASSIC, SHARDED)
DEFAULT_TIMEOUT = 5.0
DEFAULT_REQUESTS_TIMEOUT = 5.0
DEFAULT_MAX_WAITING = 10_000
DEFAULT_MAX_WAITING_BYTES = 32 * 1024 * 1024
_MAX_NAME = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """Where Redis is, how the connections to it are kept, and what nodes tell each other; seconds and bytes.

    - `heartbeat`, `timeout`: from one PING to the next, and what Redis may take to answer or to let us in.
    - `check`: from one check that what is published is heard here to the next.
    - `max_waiting`, `max_waiting_bytes`: messages that may wait for Redis to confirm them.
    - `keep`, `keep_bytes`: for how long, and how much of it, what was published for events is kept at Redis.
    - `prefix`: what the names of rtwist's own keys and channels begin with.
    - `lease`: for which a node counts as there after its last sign.
    - `away`: what becomes of events while Redis is away.
    - `advertise`: where the other nodes reach this one, so that they forward to it what is for its sessions;
      `advertise_ca_file` for those that are reached by https.
    - `forward_timeout`, `max_forwarded`: to reach another node, and requests on their way to others at a time.
    - `protocol`, `key`, `requests_timeout`, and `mode` where it is sharded: of the adapter, as Node servers in
      the same cluster have them.
    - `limits`: of what they say.
    """

    address: RedisAddress
    ca_file: Path | None = None
    heartbeat: float = 3.0
    timeout: float = DEFAULT_TIMEOUT
    check: float = 5.0
    max_waiting: int = DEFAULT_MAX_WAITING
    max_waiting_bytes: int = DEFAULT_MAX_WAITING_BYTES
    keep: float = DEFAULT_KEPT_SECONDS
    keep_bytes: int = DEFAULT_KEPT_BYTES
    prefix: str = "rtwist"
    lease: float = 10.0
    away: WhileAway = WhileAway.HOLD
    advertise: Address | None = None
    advertise_ca_file: Path | None = None
    forward_timeout: float = DEFAULT_FORWARD_TIMEOUT
    max_forwarded: int = DEFAULT_MAX_FORWARDED
    protocol: str = CLASSIC
    key: str = "socket.io"
    mode: Mode = Mode.DYNAMIC
    requests_timeout: float = DEFAULT_REQUESTS_TIMEOUT
    limits: Limits = field(default_factory=Limits)

    @property
    def sharded(self) -> bool:
        """Whether messages go by shard channels."""
        return self.protocol == SHARDED


def cluster_settings(values: Mapping[str, Any]) -> ClusterSettings | None:
    """The settings from the values of the options of their names; None without a URL."""
    if values["redis-url"] is None:
        if values["workers"] > 1:
            raise ConfigError(
                f"--workers is {values['workers']}, but workers share rooms, users and events through Redis: "
                "set REDIS_URL, for example redis://localhost, or leave --workers out"
            )
        if values["advertise"] is not None:
            raise ConfigError(
                f"--advertise is {values['advertise']}, but nodes find each other through Redis: set REDIS_URL, "
                "for example redis://localhost, or leave --advertise out"
            )
        return None
    if values["redis-ca-file"] is not None and not values["redis-url"].secure:
        raise ConfigError(
            "--redis-ca-file is given, but the URL of Redis is not rediss://: nothing would be encrypted; "
            "write rediss:// or leave the file out"
        )
    return ClusterSettings(
        address=values["redis-url"],
        ca_file=values["redis-ca-file"],
        heartbeat=values["redis-heartbeat"],
        timeout=values["redis-timeout"],
        check=values["redis-check"],
        max_waiting=values["redis-max-waiting"],
        max_waiting_bytes=values["redis-max-waiting-bytes"],
        keep=values["redis-keep"],
        keep_bytes=values["redis-keep-bytes"],
        prefix=values["redis-prefix"],
        lease=values["redis-lease"],
        away=WhileAway(values["redis-away"]),
        advertise=values["advertise"],
        advertise_ca_file=values["advertise-ca-file"],
        forward_timeout=values["forward-timeout"],
        max_forwarded=values["max-forwarded"],
        protocol=values["cluster"],
        key=values["cluster-key"],
        mode=Mode(values["cluster-subscription-mode"]),
        requests_timeout=values["cluster-requests-timeout"],
        limits=Limits(**{one.name: values[f"cluster-{one.name.replace('_', '-')}"] for one in fields(Limits)}),
    )


def as_advertised(text: str) -> Address:
    """The address of a node; raises ValueError, in words for people."""
    try:
        return read_address(text)
    except ConfigError as error:
        raise ValueError(str(error)) from None


def read_prefix(text: str) -> str:
    """What names at Redis begin with; raises ValueError, in words for people."""
    if not text or len(text) > _MAX_NAME or not text.isascii() or not text.isprintable():
        raise ValueError(f"must be 1 to {_MAX_NAME} printable ASCII characters")
    if set(text) & set("*?[]\\{}# "):
        raise ValueError(r"must not have any of * ? [ ] \ { } # or a space, which mean something to Redis")
    return text
