"""The settings of the service: every option and environment name, checked once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rtwist.auth.identity import ClaimNames
from rtwist.auth.policy import ASKABLE, CUSTOM_ROOMS
from rtwist.auth.publickeys import keys_in_pem
from rtwist.auth.revocation import DEFAULT_SECONDS as DEFAULT_REVOCATION_SECONDS
from rtwist.auth.revocation import DEFAULT_SIZE as DEFAULT_REVOCATION_SIZE
from rtwist.auth.settings import TokenSettings, token_settings
from rtwist.authorization import (
    DEFAULT_CACHE,
    DEFAULT_CONCURRENCY,
    DEFAULT_TIMEOUT,
    DEFAULT_TTL,
    AuthorizationSettings,
    authorization_settings,
)
from rtwist.domain.owners import DEFAULT_MAX_ORDERS
from rtwist.engineio.options import Cookie
from rtwist.errors import ConfigError
from rtwist.intake.amqp.url import read_urls
from rtwist.intake.settings import (
    DECLARE_MODES,
    QUEUE_TYPES,
    BrokerSettings,
    broker_settings,
    read_bindings,
    read_name,
    whole,
)
from rtwist.intake.window import DEFAULT_SECONDS, DEFAULT_SIZE
from rtwist.leases import LeaseOptions
from rtwist.readers import (
    as_bearer,
    as_cookie_name,
    as_count,
    as_duration,
    as_file,
    as_folder,
    as_leeway,
    as_names,
    as_one_of,
    as_origins,
    as_path,
    as_port,
    as_seconds,
    as_some_of,
    as_state,
    as_url,
    as_wait,
    as_yes_or_no,
)
from rtwist.requests import DEFAULT_MAX_ROOMS
from rtwist.slowness import SLOW_CONSUMERS, all_rules, as_slow_consumers
from rtwist.socketio import Options as SocketOptions

DEFAULT_PORT = 8009
LOG_FORMATS = ("text", "json")
LOG_LEVELS = ("debug", "info", "warn", "error")
_PREFIX = "RTWIST_"


@dataclass(frozen=True, slots=True)
class Setting:
    """One option: its name on the command line, its environment names, default, reader and help.

    A secret has no place on the command line, where other users of the machine can read it: it comes from the
    environment, or from the file that `<name>-file` names. A flag is given without a value, or as yes or no in
    the environment.
    """

    name: str
    help: str
    default: Any = None
    read: Callable[[str], Any] = str
    env: tuple[str, ...] = ()
    secret: bool = False
    repeatable: bool = False
    flag: bool = False

    @property
    def env_names(self) -> tuple[str, ...]:
        """The environment variables it is read from, in order."""
        return (*self.env, _PREFIX + self.name.upper().replace("-", "_"))

    @property
    def option(self) -> str:
        """Its name on the command line."""
        return f"{self.name}-file" if self.secret else self.name

    @property
    def default_text(self) -> str:
        """The default as it would be written on the command line, "" without one."""
        if isinstance(self.default, tuple):
            return ",".join(self.default)
        if isinstance(self.default, float):
            return f"{self.default:.12g}"
        return "" if self.default is None else str(self.default)

    @property
    def full_help(self) -> str:
        """Its help with default and first environment variable."""
        default = f" (default: {self.default_text})" if self.default_text else ""
        return f"{self.help}{default} [{self.env_names[0]}]"


_CLAIMS = ClaimNames()
_TOKENS = TokenSettings()
_LEASE = LeaseOptions()
_BROKER = BrokerSettings(addresses=())

SETTINGS: tuple[Setting, ...] = (
    Setting("listen", "where to listen, as a Twisted endpoint string such as tcp:8009 or "
            "ssl:443:privateKey=key.pem:certKey=cert.pem; may be given several times", repeatable=True),
    Setting("port", "TCP port to listen on when --listen is not given", DEFAULT_PORT, as_port, ("PORT",)),
    Setting("jwt-secret", "file with the secret that signs the clients' tokens (HS256, at least 32 bytes)",
            env=("JWT_SECRET",), secret=True),
    Setting("jwt-previous-secret", "file with the secret before, still accepted for tokens that it signed",
            env=("JWT_PREVIOUS_SECRET",), secret=True),
    Setting("jwt-public-key", "PEM file with the public keys of the tokens' issuer, instead of a secret "
            "(RSA: RS256, P-256: ES256, Ed25519: EdDSA)", None, keys_in_pem, ("JWT_PUBLIC_KEY",), secret=True),
    Setting("jwt-jwks-url", "URL of the issuer's public keys, a JSON Web Key Set", None, as_url,
            ("JWT_JWKS_URL",)),
    Setting("jwt-jwks-allow-http", "let that URL be http on other machines, where nobody is on the way", False,
            as_yes_or_no, flag=True),
    Setting("jwt-jwks-max-age", "seconds after which those keys are fetched anew", _TOKENS.jwks_max_age,
            as_seconds),
    Setting("jwt-audience", "accept only tokens for one of these audiences, with commas", (), as_names),
    Setting("jwt-issuer", "accept only tokens of one of these issuers, with commas", (), as_names),
    Setting("jwt-leeway", "seconds by which the clock of the tokens' issuer may differ", 0.0, as_leeway),
    Setting("jwt-required-claims", "claims that a token must have besides exp and a user, with commas", (),
            as_names),
    Setting("jwt-max-bytes", "bytes of the longest token taken", _TOKENS.max_bytes, as_count),
    Setting("expiry-warning", "seconds before the end of its token at which a client gets auth:expiring",
            _LEASE.warning, as_duration),
    Setting("expiry-grace", "seconds a client may stay after the end of its token", _LEASE.grace, as_duration),
    Setting("revocation-window", "seconds for which a revocation is remembered: as long as a token lives",
            DEFAULT_REVOCATION_SECONDS, as_seconds),
    Setting("revocation-size", "revocations remembered at most", DEFAULT_REVOCATION_SIZE, as_count),
    Setting("claim-user", "claims that may name the user, with commas, the first present counts",
            _CLAIMS.user, as_names),
    Setting("claim-company", "claims that may name the company", _CLAIMS.company, as_names),
    Setting("claim-shops", "claims that may name the shops", _CLAIMS.shops, as_names),
    Setting("claim-roles", "claims that may name the roles", _CLAIMS.roles, as_names),
    Setting("claim-rooms", "claims that may hold patterns of rooms, granted or refused", _CLAIMS.rooms, as_names),
    Setting("custom-rooms", "who may join_room: open for any signed-in user, granted for whom the token or the "
            "authorization URL lets in, closed for nobody", "open", as_one_of(*CUSTOM_ROOMS)),
    Setting("authorization-url", "URL that is asked who may be in a room", None, as_url),
    Setting("authorization-secret", "file with what is sent to it as a bearer token", None, as_bearer,
            ("AUTHORIZATION_SECRET",), secret=True),
    Setting("authorization-for", "kinds of rooms it decides about, with commas: custom, order, product, transfer",
            ("custom", "order", "transfer"), as_some_of(*ASKABLE)),
    Setting("authorization-timeout", "seconds it may take to answer", DEFAULT_TIMEOUT, as_seconds),
    Setting("authorization-ttl", "seconds for which an answer counts at most", DEFAULT_TTL, as_seconds),
    Setting("authorization-cache", "answers remembered at most", DEFAULT_CACHE, as_count),
    Setting("authorization-concurrency", "requests to it under way at most", DEFAULT_CONCURRENCY, as_count),
    Setting("api-key", "file with the key that backend services send as X-API-Key", env=("API_KEY",),
            secret=True),
    Setting("cors-origins", "origins whose pages may connect, with commas, * for any; without it only pages "
            "of the same host may", None, as_origins, ("FRONTEND_URL",)),
    Setting("path", "path of the Socket.IO server", "/socket.io/", as_path),
    Setting("ping-interval", "seconds between heartbeats", 25.0, as_seconds),
    Setting("ping-timeout", "seconds a client may take to answer a heartbeat", 60.0, as_seconds),
    Setting("connect-timeout", "seconds a connection may stay without joining a namespace", 45.0, as_seconds),
    Setting("max-payload", "bytes of the largest message or request body taken", 1_000_000, as_count),
    Setting("max-buffered", "bytes that may wait for a client until it is disconnected", 16_000_000, as_count),
    Setting("max-buffered-age", "seconds anything may wait for it until it is disconnected", 30.0, as_seconds),
    Setting("max-buffered-total", "bytes that may wait in memory for all slow clients until those with most are "
            "disconnected", 256_000_000, as_count),
    Setting("slow-consumer", "event=rule with commas, for clients that are behind: drop, latest:field (keep the "
            "last) or disconnect; adds to the default", SLOW_CONSUMERS, as_slow_consumers),
    Setting("max-rooms", "rooms one socket may ask for", DEFAULT_MAX_ROOMS, as_count),
    Setting("max-orders", "orders whose owners are remembered", DEFAULT_MAX_ORDERS, as_count),
    Setting("dedup-window", "seconds for which an event id is remembered, so that a repeated event is "
            "emitted once", DEFAULT_SECONDS, as_seconds),
    Setting("dedup-size", "event ids remembered at most", DEFAULT_SIZE, as_count),
    Setting("state-directory", "directory for the ids of handled events, so that after a crash nobody sees one "
            "twice; without it they are forgotten when the process ends", None, as_state, ("STATE_DIRECTORY",)),
    Setting("routes", "TOML file with routes: more kinds of events, and to which rooms they are emitted", None,
            as_file),
    Setting("rabbitmq-url", "file with the URL of RabbitMQ, amqp://user:password@host:5672/vhost or amqps://..., "
            "several with commas; without it events come in by POST /events only", None, read_urls,
            ("RABBITMQ_URL",), secret=True),
    Setting("rabbitmq-ca-file", "PEM file of the authorities to trust for amqps instead of the system's", None,
            as_file),
    Setting("rabbitmq-exchange", "topic exchange that domain events are published to", _BROKER.exchange,
            read_name),
    Setting("rabbitmq-queue", "queue to consume", _BROKER.queue, read_name),
    Setting("rabbitmq-bindings", "routing keys that go into the queue, as patterns with commas",
            _BROKER.bindings, read_bindings),
    Setting("rabbitmq-bind-rules", "bind the queue to the patterns of the routes file and of packages' rules too",
            False, as_yes_or_no, flag=True),
    Setting("rabbitmq-dead-letter-exchange", "exchange for messages that cannot be used",
            _BROKER.dead_letter_exchange, read_name),
    Setting("rabbitmq-dead-letter-queue", "queue they are kept in", _BROKER.dead_letter_queue, read_name),
    Setting("rabbitmq-declare", "declare to make these on the broker, check to require that they are there, or "
            "none", _BROKER.declare, as_one_of(*DECLARE_MODES)),
    Setting("rabbitmq-queue-type", "type of the queue when it is made", _BROKER.queue_type,
            as_one_of(*QUEUE_TYPES)),
    Setting("rabbitmq-prefetch", "messages that may wait for their acknowledgement", _BROKER.prefetch,
            whole(1, 65535)),
    Setting("rabbitmq-ack-batch", "messages acknowledged together at most", _BROKER.ack_batch, as_count),
    Setting("rabbitmq-retries", "tries after the first for an event whose rule fails", _BROKER.retries,
            whole(0, 10)),
    Setting("rabbitmq-max-deliveries", "deliveries of a message without an end before it is a dead letter; "
            "quorum queues count them", _BROKER.max_deliveries, as_count),
    Setting("rabbitmq-max-body", "bytes of the largest message taken", _BROKER.max_body, as_count),
    Setting("rabbitmq-heartbeat", "seconds between heartbeats with RabbitMQ, which is left after twice as many "
            "of silence; 0 for none", _BROKER.heartbeat, whole(0, 65535)),
    Setting("rabbitmq-settle", "seconds after the start for which events stay in RabbitMQ, so that clients come "
            "back before their events do", _BROKER.settle, as_wait),
    Setting("to-broker", "publish what comes by POST /events to RabbitMQ instead of emitting it at once", False,
            as_yes_or_no, flag=True),
    Setting("cookie", "name of a cookie with the session id, for load balancers; none without it", None,
            as_cookie_name),
    Setting("client-dist", "folder dist of the npm package socket.io-client, to serve it as "
            "/socket.io/socket.io.js", None, as_folder),
    Setting("log-format", "text, or json for one JSON object a line on standard output", "text",
            as_one_of(*LOG_FORMATS)),
    Setting("log-level", "least level that is logged: debug (with payloads), info, warn or error", "info",
            as_one_of(*LOG_LEVELS)),
)  # fmt: skip

_LATER = {"REDIS_URL": "this version is one node, without Redis"}

DEV_ENV = "RTWIST_DEV"


def wants_dev(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks for development mode; `ConfigError` when it says neither yes nor no."""
    text = environment.get(DEV_ENV, "").lower()
    if text not in ("", "0", "1", "false", "true", "no", "yes"):
        raise ConfigError(f"{DEV_ENV} is {text!r}; write 1 for development mode, or unset it")
    return text in ("1", "true", "yes")


@dataclass(frozen=True, slots=True)
class Config:
    """What the service is made from; `socketio` goes to the Socket.IO server as it is."""

    listen: tuple[str, ...]
    socketio: SocketOptions
    tokens: TokenSettings
    lease: LeaseOptions
    revocation_window: float
    revocation_size: int
    custom_rooms: str
    authorization: AuthorizationSettings | None
    api_key: str | None
    max_rooms: int
    max_orders: int
    dedup_window: float
    dedup_size: int
    state_directory: Path | None
    routes: Path | None
    broker: BrokerSettings | None
    bind_rules: bool
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
    _refuse_what_comes_later(environment)
    values = {setting.name: _value(setting, given, environment) for setting in SETTINGS}
    return Config(
        listen=_endpoints(values),
        socketio=_socket_options(values, dev=dev),
        tokens=token_settings(values, dev=dev),
        lease=LeaseOptions(values["expiry-warning"], values["expiry-grace"]),
        revocation_window=values["revocation-window"],
        revocation_size=values["revocation-size"],
        custom_rooms=values["custom-rooms"],
        authorization=authorization_settings(values),
        api_key=values["api-key"],
        max_rooms=values["max-rooms"],
        max_orders=values["max-orders"],
        dedup_window=values["dedup-window"],
        dedup_size=values["dedup-size"],
        state_directory=values["state-directory"],
        routes=values["routes"],
        broker=broker_settings(values),
        bind_rules=values["rabbitmq-bind-rules"],
        log_format=values["log-format"],
        log_level=values["log-level"],
        dev=dev,
        warnings=tuple(_strangers(environment)),
    )


def _refuse_what_comes_later(environment: Mapping[str, str]) -> None:
    for name, why in _LATER.items():
        if environment.get(name):
            raise ConfigError(f"{name} is set, but {why}: unset it, so that no event gets lost unseen")


def _strangers(environment: Mapping[str, str]) -> Iterator[str]:
    """What to say about variables that look like options and are none."""
    own = {setting.env_names[-1]: setting for setting in SETTINGS}
    files = [f"{name}_FILE" for name, setting in own.items() if setting.secret]
    known = [name.removeprefix(_PREFIX) for name in (*own, *files, DEV_ENV)]
    for name, value in sorted(environment.items()):
        rest = name.removeprefix(_PREFIX)
        if rest != name and value and rest not in known:
            meant = get_close_matches(rest, known, 1)
            yield f"{name} is no option of rtwist" + (f"; did you mean {_PREFIX}{meant[0]}?" if meant else "")


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


def _socket_options(values: Mapping[str, Any], *, dev: bool) -> SocketOptions:
    origins = values["cors-origins"]
    return SocketOptions(
        path=values["path"],
        ping_interval=values["ping-interval"],
        ping_timeout=values["ping-timeout"],
        connect_timeout=values["connect-timeout"],
        max_payload=values["max-payload"],
        max_buffered=values["max-buffered"],
        max_buffered_age=values["max-buffered-age"],
        max_buffered_total=values["max-buffered-total"],
        slow_consumers=all_rules(values["slow-consumer"]),
        cors_origins="*" if dev and origins is None else origins,
        cookie=None if values["cookie"] is None else Cookie(name=values["cookie"]),
        client_dist=values["client-dist"],
    )
