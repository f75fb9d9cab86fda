"""The composition root: options for `twistd rtwist`, and the service made from them."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, cast

from twisted.application.internet import TimerService
from twisted.application.service import IService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.web.resource import IResource

from rtwist.access import Access
from rtwist.admissions import SWEEP_SECONDS
from rtwist.auth.jwks import JwksKeys
from rtwist.auth.keys import KeySource
from rtwist.auth.keyserver import key_server
from rtwist.auth.policy import Policy
from rtwist.auth.publickeys import PublicKeys
from rtwist.auth.revocation import RevokedTokens
from rtwist.auth.settings import TokenSettings, shared_secrets
from rtwist.auth.token import TokenVerifier
from rtwist.authorization import AuthorizationUrl
from rtwist.collector import relax
from rtwist.config import DEV_ENV, Config, read_config, wants_dev, with_env_file
from rtwist.development import trial
from rtwist.domain.owners import OrderBook
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from rtwist.engineio import Site
from rtwist.errors import ConfigError
from rtwist.extensions import all_rules
from rtwist.front import error_body
from rtwist.gateway import Gateway
from rtwist.intake.broker import Broker
from rtwist.intake.intake import Intake
from rtwist.intake.journal import Journal
from rtwist.intake.window import Window
from rtwist.limits import UserLimit, max_connections, raise_file_limit
from rtwist.listening import Listening
from rtwist.logs import log_file
from rtwist.logs import observer as log_observer
from rtwist.reloading import Running, reload
from rtwist.rest import Rest
from rtwist.service import RtwistService
from rtwist.settings import SETTINGS, Setting
from rtwist.signals import heed_signals
from rtwist.socketio import Server
from rtwist.socketio.jsoncodec import dumps

_log = Logger()
_UNKNOWN = re.compile(r"option (-\S*) not recognized", re.DOTALL)
_AMBIGUOUS = re.compile(r"option (--\S*) not a unique prefix")
_VALUE_MISSING = re.compile(r"option (-\S*) requires argument")
_VALUE_TOO_MUCH = re.compile(r"option (-\S*) must not have an argument")


def _collector(setting: Setting) -> Callable[[usage.Options, str], None]:
    def collect(self: usage.Options, value: str) -> None:
        self[setting.option].append(value)

    collect.__doc__ = setting.full_help
    return collect


class Options(usage.Options):
    """The options of `twistd rtwist`, made from `rtwist.settings.SETTINGS`."""

    optFlags = [  # noqa: RUF012
        [
            "dev",
            None,
            f"try it out: throw-away keys, pages of any origin, status routes open to loopback [{DEV_ENV}]",
        ],
        *([setting.option, None, setting.full_help] for setting in SETTINGS if setting.flag),
    ]
    optParameters = [  # noqa: RUF012
        [setting.option, None, None, setting.full_help]
        for setting in SETTINGS
        if not setting.repeatable and not setting.flag
    ]
    longdesc = (
        "Pushes domain events to the browsers that may see them, through the ordinary socket.io-client. "
        "Secrets come from the environment (JWT_SECRET, API_KEY) or from files, never from arguments."
    )

    def __init__(self) -> None:
        super().__init__()
        for setting in SETTINGS:
            if setting.repeatable:
                self[setting.option] = []

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802 - Twisted's name
        """Read the arguments; a mistake ends the program in one clear line, without all the help."""
        try:
            self._refuse_secrets(options or ())
            super().parseOptions(options)
        except usage.UsageError as error:
            raise _mistake(self._in_words(str(error))) from None
        except ConfigError as error:
            raise _mistake(str(error)) from None

    def parseArgs(self, *rest: str) -> None:  # noqa: N802 - Twisted's name
        """Refuse what is no option."""
        if rest:
            raise usage.UsageError(f"{rest[0]!r} is no option; options begin with --")

    def postOptions(self) -> None:
        """Check everything now, before anything starts."""
        self["config"] = self.read()

    def read(self) -> Config:
        """The configuration as options, environment and files have it now; raises `ConfigError`."""
        environment = with_env_file(os.environ, self["env-file"])
        dev = bool(self["dev"]) or wants_dev(environment)
        config = read_config(self, environment, dev=dev)
        if config.tokens.secret is not None:
            shared_secrets(config.tokens)
        return config

    def _refuse_secrets(self, arguments: Sequence[str]) -> None:
        # As abbreviations of --…-file they would have the secret taken for a file's name, and quoted.
        for setting in SETTINGS:
            if setting.secret and any(one.partition("=")[0] == f"--{setting.name}" for one in arguments):
                raise usage.UsageError(
                    f"there is no option --{setting.name}, because others on the machine could read it: "
                    f"set {setting.env_names[0]}, or name a file with --{setting.option}"
                )

    def _in_words(self, said: str) -> str:
        """What `getopt` said, in words for people."""
        names = [f"--{name.rstrip('=')}" for name in self.longOpt]
        if unknown := _UNKNOWN.fullmatch(said):
            meant = get_close_matches(unknown[1], names, 1)
            return f"there is no option {unknown[1]}" + (f"; did you mean {meant[0]}?" if meant else "")
        if several := _AMBIGUOUS.fullmatch(said):
            meant = sorted(name for name in names if name.startswith(several[1]))
            return f"{several[1]} may mean {' or '.join(meant)}; write it in full"
        if missing := _VALUE_MISSING.fullmatch(said):
            return f"{missing[1]} needs a value"
        if superfluous := _VALUE_TOO_MUCH.fullmatch(said):
            return f"{superfluous[1]} takes no value"
        return said


for _setting in SETTINGS:
    if _setting.repeatable:
        setattr(Options, f"opt_{_setting.option}", _collector(_setting))


def _mistake(text: str) -> SystemExit:
    return SystemExit(f"rtwist: {text}\nAll options: twistd rtwist --help")


def makeService(options: Options) -> IService:
    """The service for `twistd`, from checked options."""
    from twisted.internet import reactor  # noqa: PLC0415 - installing the reactor is twistd's to decide

    # The wall clock jumps, and with it would every timeout of every connection.
    setattr(reactor, "seconds", time.monotonic)  # noqa: B010 - to mypy it is a method
    config: Config = options["config"]
    try:
        files, log = raise_file_limit(), _observer(config, options.parent or {}, reactor)
        running = assemble(cast(IReactorTime, reactor), config, say=_say, files=files, observer=log)
    except ConfigError as error:
        raise _mistake(str(error)) from None
    heed_signals(reactor, running.service, lambda: reload(running, lambda: _with_room(options.read(), files)))
    return running.service


def assemble(
    reactor: IReactorTime,
    config: Config,
    *,
    say: Callable[[str], None],
    files: int | None = None,
    observer: ILogObserver | None = None,
) -> Running:
    """Put the parts together; `say` shows a text to the person at the terminal, `files` may be open at a time.

    `observer` writes the log; without it that is left to Twisted.

    Raises `ConfigError` for what only shows now, such as an endpoint string that means nothing.
    """
    development = trial(config, time.time()) if config.dev else None
    if development is not None:
        tokens = replace(config.tokens, secret=development.jwt_secret)
        config = replace(config, tokens=tokens, api_key=development.api_key)
    config = _with_room(config, files)
    io = Server(reactor, config.socketio)
    keys = _keys(reactor, io, config.tokens)
    verifier = _verifier(config, keys)
    orders = OrderBook(config.max_orders)
    gateway = _gateway(reactor, io, verifier, orders, config)
    users = UserLimit(io, config.max_connections_per_user)
    io.use(users)
    io.engine.on_refusal(gateway.log_refusal)
    rules = all_rules(config.routes)
    router = Router(rules, orders)
    intake = _intake(io, gateway, router, config)
    access = Access(verifier, config.api_key, status_open_to_loopback=config.dev)
    broker = _broker(reactor, config, intake, [pattern for pattern in rules if pattern not in BUILT_IN])
    rest = _rest(io, intake, access, gateway=gateway, broker=broker, config=config)
    site = _site(io, rest, None if development is None else development.page())
    ports = [Listening(endpoint, site, reactor) for endpoint in config.listen]

    def started() -> None:
        relax()
        if isinstance(keys, JwksKeys):
            keys.refresh()  # so that the first client need not wait
        _log_start(config, [port.address for port in ports], files)
        if development is not None:
            say(development.welcome())

    parts = [*ports, *_timers(reactor, gateway)]
    service = RtwistService(
        reactor, io, rest, parts, started=started, broker=broker, observer=observer, drain=config.drain
    )
    changing = (io, verifier, access, router, users, gateway, broker, rest, service, keys)
    return Running(config, *changing, keys=lambda tokens: _keys(reactor, io, tokens), verifier_of=_verifier)


def _rest(
    io: Server, intake: Intake, access: Access, *, gateway: Gateway, broker: Broker | None, config: Config
) -> Rest:
    return Rest(
        io,
        intake,
        access,
        now=time.time,
        revoke=gateway.accounts.revoke,
        max_depth=config.socketio.max_depth,
        max_room_name=config.max_room_name,
        broker=broker,
        drain_rate=config.drain.rate,
    )


def _gateway(
    reactor: IReactorTime, io: Server, verifier: TokenVerifier, owners: OrderBook, config: Config
) -> Gateway:
    settings = config.authorization
    return Gateway(
        io,
        verifier=verifier,
        owners=owners,
        now=time.time,
        max_rooms=config.max_rooms,
        max_room_name=config.max_room_name,
        max_typing=config.max_typing,
        lease=config.lease,
        policy=Policy(config.custom_rooms, () if settings is None else settings.kinds),
        authorizer=None if settings is None else AuthorizationUrl(reactor, settings, io.tasks),
    )


def _timers(reactor: IReactorTime, gateway: Gateway) -> Iterator[IService]:
    if gateway.admissions is not None:
        timer = TimerService(SWEEP_SECONDS, gateway.admissions.sweep)
        timer.clock = reactor
        yield timer


def _broker(reactor: IReactorTime, config: Config, intake: Intake, own_patterns: list[str]) -> Broker | None:
    settings = config.broker
    if settings is None:
        return None
    if config.bind_rules:
        settings = replace(settings, bindings=tuple(dict.fromkeys((*settings.bindings, *own_patterns))))
    return Broker(reactor, settings, intake, now=time.time, max_depth=config.socketio.max_depth)


def _with_room(config: Config, files: int | None) -> Config:
    """With as many connections as the open files allow."""
    most, warning = max_connections(config.socketio.max_connections, files)
    warnings = config.warnings if warning is None else (*config.warnings, warning)
    return replace(config, socketio=replace(config.socketio, max_connections=most), warnings=warnings)


def _log_start(config: Config, addresses: Sequence[str], files: int | None) -> None:
    origins = config.socketio.cors_origins
    if origins is None:
        pages = "only pages of the same host may connect (FRONTEND_URL is not set)"
    else:
        pages = f"pages of {'any origin' if origins == '*' else ', '.join(origins)} may connect"
    key = "an API key is set"
    if config.api_key is None:
        key = "no API_KEY is set: only tokens of super admins may post events"
    for warning in config.warnings:
        _log.warn("{warning}", warning=warning)
    _log.info(
        "listening on {addresses}; one node; {pages}; {key}", addresses=", ".join(addresses), pages=pages, key=key
    )
    if files is not None:
        most = config.socketio.max_connections
        _log.info("at most {most} connections; {files} files may be open", most=most, files=files)


def _keys(reactor: IReactorTime, io: Server, settings: TokenSettings) -> KeySource:
    if settings.public_keys:
        return PublicKeys(settings.public_keys)
    if settings.jwks_url is None:
        return shared_secrets(settings)
    fetch = key_server(reactor, settings.jwks_url)
    return JwksKeys(fetch, tasks=io.tasks, clock=reactor.seconds, max_age=settings.jwks_max_age)


def _verifier(config: Config, keys: KeySource) -> TokenVerifier:
    settings = config.tokens
    return TokenVerifier(
        keys,
        audience=settings.audience or None,
        issuer=settings.issuer or None,
        leeway=settings.leeway,
        required_claims=settings.required_claims,
        claim_names=settings.claim_names,
        revocations=RevokedTokens(config.revocation_window, config.revocation_size, leeway=settings.leeway),
        max_token_bytes=settings.max_bytes,
        now=time.time,
    )


def _intake(io: Server, gateway: Gateway, router: Router, config: Config) -> Intake:
    return Intake(
        io,
        router,
        now=time.time,
        window=_window(config),
        live=gateway.accounts,
        log_payloads=config.log_level == "debug",
    )


def _window(config: Config) -> Window:
    if config.state_directory is None:
        return Window(config.dedup_window, config.dedup_size)
    return Journal(config.state_directory, time.time(), config.dedup_window, config.dedup_size)


def _site(io: Server, rest: Rest, home: IResource | None) -> Site:
    site = io.site(rest.resource(home), too_large=_too_large)
    site.noisy = False
    return site


def _too_large(most: int) -> tuple[str, bytes]:
    return "application/json", dumps(error_body("payload_too_large", f"bodies are at most {most} bytes")).encode()


def _observer(config: Config, twistd: Mapping[str, Any], reactor: object) -> ILogObserver | None:
    if twistd.get("syslog"):
        return None
    return log_observer(config.log_format, config.log_level, log_file(twistd), reactor)


def _say(text: str) -> None:
    # Not the log: it never holds a token.
    out: Any = sys.__stdout__
    if out is not None:
        out.write(text)
        out.flush()
