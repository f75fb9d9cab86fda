"""The configuration: every setting read from options and environment, and checked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rtwist.auth.settings import TokenSettings, token_settings
from rtwist.authorization import (
    AuthorizationSettings,
    authorization_settings,
)
from rtwist.cluster.settings import ClusterSettings, cluster_settings
from rtwist.engineio.options import Cookie
from rtwist.errors import ConfigError
from rtwist.intake.settings import (
    BrokerSettings,
    broker_settings,
)
from rtwist.leases import LeaseOptions
from rtwist.settings import PREFIX, SETTINGS, Setting
from rtwist.shedding import DrainOptions
from rtwist.slowness import all_rules
from rtwist.socketio import Options as SocketOptions

_SOCKETIO = (
    "path", "ping-interval", "ping-timeout", "connect-timeout", "max-payload", "max-buffered", "max-buffered-age",
    "max-buffered-total", "max-incoming-total", "max-packet-bytes",
    "max-connections", "max-connections-per-address",
    "max-handshakes-per-second", "max-handshakes-per-second-per-address", "max-packets-per-second",
    "max-bytes-per-second", "max-events-per-second", "max-requests", "trusted-proxies", "header-timeout",
    "body-timeout", "idle-timeout", "unread-timeout", "flood-timeout", "websocket-compression", "client-dist",
    "refused-timeout", "upgrade-timeout", "close-timeout", "poll-close-timeout", "attachment-timeout",
    "max-payload-packets", "max-fragments", "max-attachments", "max-depth", "max-queued-events",
    "max-queued-bytes", "max-pending-acks", "ack-timeout",
)  # fmt: skip
"""Settings that go to the Socket.IO server under their own names."""

DEV_ENV = "RTWIST_DEV"

MIN_KEY_CHARS = 16
"""Of an API key; shorter ones are warned of, since guesses are limited by address only."""


def wants_dev(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for development mode; `ConfigError` when it says neither yes nor no."""
    text = environment.get(DEV_ENV, "").lower()
    if text not in ("", "0", "1", "false", "true", "no", "yes"):
        raise ConfigError(f"{DEV_ENV} is {text!r}; write 1 for development mode, or unset it")
    return text in ("1", "true", "yes")


ENV_FILE = f"{PREFIX}ENV_FILE"


def with_env_file(environment: Mapping[str, str], path: str | None) -> Mapping[str, str]:
    """`environment` with what the file at `path`, or the one that it names itself, says on top.

    Its lines are NAME=value; empty ones and those that begin with # do not count, and a value may stand between
    quotes. Raises `ConfigError`, which names the line and quotes no value.
    """
    source, path = ("--env-file", path) if path else (ENV_FILE, environment.get(ENV_FILE))
    if not path:
        return environment
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is {path!r}, which cannot be read: {error}") from None
    found = dict(environment)
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not name.isidentifier():
            raise ConfigError(f"{source} is {path!r}, whose line {number} is not NAME=value")
        quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
        found[name] = value[1:-1] if quoted else value
    return found


@dataclass(frozen=True, slots=True)
class Config:
    """What the service is made from; `socketio` goes to the Socket.IO server as it is."""

    listen: tuple[str, ...]
    socketio: SocketOptions
    tokens: TokenSettings
    lease: LeaseOptions
    drain: DrainOptions
    revocation_window: float
    revocation_size: int
    custom_rooms: str
    authorization: AuthorizationSettings | None
    api_key: str | None
    max_rooms: int
    max_room_name: int
    max_typing: float | None
    max_connections_per_user: int | None
    max_orders: int
    dedup_window: float
    dedup_size: int
    state_directory: Path | None
    routes: Path | None
    broker: BrokerSettings | None
    bind_rules: bool
    cluster: ClusterSettings | None
    workers: int
    log_format: str
    log_level: str
    dev: bool
    warnings: tuple[str, ...] = ()
    """What the operator may have meant otherwise, to be logged at start."""


def read_config(given: Mapping[str, Any], environment: Mapping[str, str], *, dev: bool) -> Config:
    """The checked settings; an option given beats the environment, which beats the default.

    `given` maps the settings' option names to texts (lists of them where repeatable). Raises `ConfigError`,
    which names the option and says what to write instead.
    """
    values = {setting.name: _value(setting, given, environment) for setting in SETTINGS}
    if dev and values["workers"] > 1:
        raise ConfigError(
            f"--workers is {values['workers']}, but --dev makes throw-away keys for one process: leave one out"
        )
    return Config(
        listen=_endpoints(values),
        socketio=_socket_options(values, dev=dev),
        tokens=token_settings(values, dev=dev),
        lease=_lease(values),
        drain=_drain(values),
        revocation_window=values["revocation-window"],
        revocation_size=values["revocation-size"],
        custom_rooms=values["custom-rooms"],
        authorization=authorization_settings(values),
        api_key=values["api-key"],
        max_rooms=values["max-rooms"],
        max_room_name=values["max-room-name"],
        max_typing=values["max-typing-per-second"],
        max_connections_per_user=values["max-connections-per-user"],
        max_orders=values["max-orders"],
        dedup_window=values["dedup-window"],
        dedup_size=values["dedup-size"],
        state_directory=values["state-directory"],
        routes=values["routes"],
        broker=broker_settings(values),
        bind_rules=values["rabbitmq-bind-rules"],
        cluster=cluster_settings(values),
        workers=values["workers"],
        log_format=values["log-format"],
        log_level=values["log-level"],
        dev=dev,
        warnings=(*_strangers(environment), *_weak_points(values, dev=dev)),
    )


def _strangers(environment: Mapping[str, str]) -> Iterator[str]:
    """What to say about variables that look like options and are none."""
    own = {setting.env_names[-1]: setting for setting in SETTINGS}
    files = [f"{name}_FILE" for name, setting in own.items() if setting.secret]
    known = [name.removeprefix(PREFIX) for name in (*own, *files, DEV_ENV)]
    for name, value in sorted(environment.items()):
        rest = name.removeprefix(PREFIX)
        if rest != name and value and rest not in known:
            meant = get_close_matches(rest, known, 1)
            yield f"{name} is no option of rtwist" + (f"; did you mean {PREFIX}{meant[0]}?" if meant else "")


def _weak_points(values: Mapping[str, Any], *, dev: bool) -> Iterator[str]:
    """What to say about settings that let in more than most operators mean."""
    key = values["api-key"]
    if key is not None and not dev and len(key) < MIN_KEY_CHARS:
        yield (
            f"API_KEY has {len(key)} characters, and may be guessed: who finds it can publish anything; "
            'make one with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    if values["redis-url"] is None:
        for setting in SETTINGS:
            if setting.name.startswith(("redis-", "cluster")) and values[setting.name] != setting.default:
                yield f"--{setting.name} has no effect without REDIS_URL: this is one node"
    if values["redis-url"] is not None and values["state-directory"] is not None:
        yield "--state-directory is not used: with REDIS_URL the ids of handled events are kept at Redis"
    if values["jwt-jwks-url"] is not None and not values["jwt-audience"]:
        yield (
            "JWT_JWKS_URL is set without --jwt-audience: tokens that its issuer made for other applications "
            "let in here, too"
        )


def read_broker(given: Mapping[str, Any], environment: Mapping[str, str]) -> BrokerSettings:
    """What tools need to reach the broker, read as `read_config` does; raises `ConfigError` without a URL."""
    names = [
        setting for setting in SETTINGS if setting.name.startswith("rabbitmq-") or setting.name == "to-broker"
    ]
    settings = broker_settings({setting.name: _value(setting, given, environment) for setting in names})
    if settings is None:
        raise ConfigError("no broker: set RABBITMQ_URL to its URL, or give --rabbitmq-url-file")
    return settings


def _value(setting: Setting, given: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    text = given.get(setting.option)
    if setting.repeatable and text:
        return tuple(text)
    if setting.flag and text:
        return True
    if text is not None and text != [] and not setting.flag:
        source = f"--{setting.option}"
        return _secret_file(setting, source, text) if setting.secret else _read(setting, source, text)
    for name in setting.env_names:
        if environment.get(name):
            if setting.repeatable:
                return tuple(environment[name].split())
            read = _read_secret if setting.secret else _read
            return read(setting, name, environment[name])
        if setting.secret and environment.get(f"{name}_FILE"):
            return _secret_file(setting, f"{name}_FILE", environment[f"{name}_FILE"])
    return setting.default


def _read(setting: Setting, source: str, text: str) -> Any:
    try:
        return setting.read(text)
    except ValueError as error:
        raise ConfigError(f"{source} is {text!r}: {error} ({setting.help})") from None


def _read_secret(setting: Setting, source: str, text: str) -> Any:
    # Nothing is quoted: whoever reads the log must not read the secret.
    try:
        return setting.read(text)
    except ConfigError as error:
        raise ConfigError(f"{source} cannot be used: {error}") from None


def _secret_file(setting: Setting, source: str, path: str) -> Any:
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source} is {path!r}, which cannot be read: {error}") from None
    if not secret:
        raise ConfigError(f"{source} is {path!r}, which is empty; write the secret into it")
    return _read_secret(setting, source, secret)


def _endpoints(values: Mapping[str, Any]) -> tuple[str, ...]:
    listen: tuple[str, ...] | None = values["listen"]
    return listen or (f"tcp:{values['port']}",)


def _lease(values: Mapping[str, Any]) -> LeaseOptions:
    return LeaseOptions(values["expiry-warning"], values["expiry-grace"], values["max-refreshes-per-second"])


def _drain(values: Mapping[str, Any]) -> DrainOptions:
    drain = DrainOptions(values["drain-delay"], values["drain-rate"], values["drain-timeout"])
    if drain.delay >= drain.timeout:
        raise ConfigError(
            f"--drain-delay is {drain.delay:g} and --drain-timeout {drain.timeout:g}, which bounds the whole: "
            "write a longer --drain-timeout"
        )
    return drain


def _socket_options(values: Mapping[str, Any], *, dev: bool) -> SocketOptions:
    origins = values["cors-origins"]
    return SocketOptions(
        **{name.replace("-", "_"): values[name] for name in _SOCKETIO},
        slow_consumers=all_rules(values["slow-consumer"]),
        cors_origins="*" if dev and origins is None else origins,
        cookie=None if values["cookie"] is None else Cookie(name=values["cookie"]),
    )
