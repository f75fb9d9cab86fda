"""The composition root: options for `twistd rtwist`, and the service made from them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from twisted.application.internet import TimerService
from twisted.application.service import IService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import ILogObserver, Logger
from twisted.web.resource import IResource

from rtwist.access import Access
from rtwist.admissions import SWEEP_SECONDS
from rtwist.auth.jwks import JwksKeys
from rtwist.auth.keys import KeySource
from rtwist.auth.keyserver import key_server
from rtwist.auth.policy import Policy
from rtwist.auth.publickeys import PublicKeys
from rtwist.auth.settings import TokenSettings, shared_secrets
from rtwist.auth.token import TokenVerifier
from rtwist.authorization import AuthorizationUrl
from rtwist.collector import relax
from rtwist.commandline import Options, mistake
from rtwist.config import Config
from rtwist.development import trial
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from rtwist.engineio import Site
from rtwist.engineio.nodes import new_mark
from rtwist.errors import ConfigError
from rtwist.extensions import all_rules
from rtwist.front import error_body
from rtwist.gateway import Gateway
from rtwist.intake.broker import Broker
from rtwist.intake.intake import Intake
from rtwist.intake.journal import Journal
from rtwist.intake.window import Window
from rtwist.limits import UserLimit, max_connections, max_forwarded, raise_file_limit
from rtwist.listening import Listening
from rtwist.logs import log_file
from rtwist.logs import observer as log_observer
from rtwist.nodes import Nodes, Shares, Truths, local_truths
from rtwist.processes import Lead, neighbourhood, obey, ports
from rtwist.reloading import Running, reload
from rtwist.rest import Rest
from rtwist.service import RtwistService
from rtwist.signals import heed_signals
from rtwist.socketio import Server
from rtwist.socketio.jsoncodec import dumps
from rtwist.workers.child import Inherited, Place, place

_log = Logger()


def makeService(options: Options) -> IService:
    """The service for `twistd`, from checked options."""
    from twisted.internet import reactor  # noqa: PLC0415 - installing the reactor is twistd's to decide

    # The wall clock jumps, and with it would every timeout of every connection.
    setattr(reactor, "seconds", time.monotonic)  # noqa: B010 - to mypy it is a method
    config: Config = options["config"]
    own = place(os.environ)
    try:
        files, log = raise_file_limit(), _observer(config, options.parent or {}, reactor, own)
        if own is None and config.workers > 1:
            return Lead(reactor, options, log)
        running = assemble(cast(IReactorTime, reactor), config, say=_say, files=files, observer=log, own=own)
    except ConfigError as error:
        raise mistake(str(error)) from None

    def read_again() -> None:
        reload(running, lambda: _with_room(options.read(), files))

    heed_signals(reactor, running.service, read_again)
    if own is not None:
        obey(reactor, running.service.stop_at_once, read_again)
    return running.service


def assemble(
    reactor: IReactorTime,
    config: Config,
    *,
    say: Callable[[str], None],
    files: int | None = None,
    observer: ILogObserver | None = None,
    own: Place | None = None,
) -> Running:
    """Put the parts together; `say` shows a text to the person at the terminal, `files` may be open at a time.

    `observer` writes the log; without it that is left to Twisted. `own` is the place of a worker.

    Raises `ConfigError` for what only shows now, such as an endpoint string that means nothing.
    """
    development = trial(config, time.time()) if config.dev else None
    if development is not None:
        tokens = replace(config.tokens, secret=development.jwt_secret)
        config = replace(config, tokens=tokens, api_key=development.api_key)
    config = _with_room(config, files)
    nodes = None if config.cluster is None else Nodes(reactor, config.cluster)
    io = _server(reactor, config, nodes, "" if own is None else own.node, files)
    truths: Truths = local_truths(config) if nodes is None else nodes.truths(io, config)
    keys = _keys(reactor, io, config.tokens)
    verifier = _verifier(config, keys)
    verifier.revocations = truths.revocations
    gateway = _gateway(reactor, io, verifier, truths, config)
    users = UserLimit(io, config.max_connections_per_user)
    io.use(users)
    io.engine.on_refusal(gateway.log_refusal)
    rules = all_rules(config.routes)
    router = Router(rules, truths.owners)
    intake = _intake(io, gateway, router, config, nodes)
    access = Access(verifier, config.api_key, status_open_to_loopback=config.dev)
    broker = _broker(reactor, config, intake, [pattern for pattern in rules if pattern not in BUILT_IN], nodes)
    rest = _rest(io, intake, access, gateway=gateway, broker=broker, truths=truths, nodes=nodes, config=config)
    site = _site(io, rest, None if development is None else development.page())
    listening = ports(reactor, site, config, own)

    def started() -> None:
        relax()
        if isinstance(keys, JwksKeys):
            keys.refresh()  # so that the first client need not wait
        _log_start(config, listening, files, nodes)
        if development is not None:
            say(development.welcome())

    service = RtwistService(
        reactor, io, rest, listening, started=started, broker=broker, cluster=nodes, observer=observer,
        lasting=[*_timers(reactor, gateway), *neighbourhood(reactor, io, site, own)],
    )  # fmt: skip
    service.drain = config.drain
    changing = (io, verifier, access, router, users, gateway, broker, rest, service, keys)
    return Running(config, *changing, keys=lambda tokens: _keys(reactor, io, tokens), verifier_of=_verifier)


def _server(reactor: IReactorTime, config: Config, nodes: Nodes | None, mark: str, files: int | None) -> Server:
    if nodes is None or config.cluster is None:
        return Server(reactor, config.socketio)
    io = Server(reactor, config.socketio, adapter=nodes.adapter)
    most = max_forwarded(config.cluster.max_forwarded, files)
    io.engine.forwarder = nodes.forwarder(mark or new_mark(), most)
    return io


def _rest(
    io: Server,
    intake: Intake,
    access: Access,
    *,
    gateway: Gateway,
    broker: Broker | None,
    truths: Truths,
    nodes: Nodes | None,
    config: Config,
) -> Rest:
    return Rest(
        io,
        intake,
        access,
        now=time.time,
        revoke=gateway.accounts.revoke_everywhere,
        max_depth=config.socketio.max_depth,
        max_room_name=config.max_room_name,
        broker=broker,
        users=truths.presence,
        cluster=nodes,
        drain_rate=config.drain.rate,
    )


def _gateway(
    reactor: IReactorTime, io: Server, verifier: TokenVerifier, truths: Truths, config: Config
) -> Gateway:
    settings = config.authorization
    return Gateway(
        io,
        verifier=verifier,
        owners=truths.owners,
        presence=truths.presence,
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


def _broker(
    reactor: IReactorTime, config: Config, intake: Intake, own_patterns: list[str], nodes: Nodes | None
) -> Broker | None:
    settings = config.broker
    if settings is None:
        return None
    if config.bind_rules:
        settings = replace(settings, bindings=tuple(dict.fromkeys((*settings.bindings, *own_patterns))))
    broker = Broker(reactor, settings, intake, now=time.time, max_depth=config.socketio.max_depth)
    if nodes is not None:
        nodes.when_held(broker.hold, broker.go_on)
    return broker


def _with_room(config: Config, files: int | None) -> Config:
    """With as many connections as the open files allow."""
    if config.cluster is not None and config.cluster.advertise is not None and files is not None:
        files -= max_forwarded(config.cluster.max_forwarded, files)
    most, warning = max_connections(config.socketio.max_connections, files)
    warnings = config.warnings if warning is None else (*config.warnings, warning)
    return replace(config, socketio=replace(config.socketio, max_connections=most), warnings=warnings)


def _log_start(
    config: Config, ports: Sequence[Listening | Inherited], files: int | None, nodes: Nodes | None
) -> None:
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
        "listening on {addresses}; {alone}; {pages}; {key}",
        addresses=", ".join(port.address for port in ports),
        alone="one node" if nodes is None else f"node {nodes.node} of those at {nodes.address}",
        pages=pages,
        key=key,
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
        max_token_bytes=settings.max_bytes,
        now=time.time,
    )


def _intake(io: Server, gateway: Gateway, router: Router, config: Config, nodes: Nodes | None) -> Intake:
    shares = Shares(gateway.accounts, _window(config)) if nodes is None else nodes.share(io, config, gateway)
    return Intake(
        io,
        router,
        now=time.time,
        window=shares.window,
        live=shares.live,
        log_payloads=config.log_level == "debug",
        peers=shares.peers,
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


def _observer(
    config: Config, twistd: Mapping[str, Any], reactor: object, own: Place | None
) -> ILogObserver | None:
    if twistd.get("syslog"):
        return None
    worker = None if own is None else own.number
    return log_observer(config.log_format, config.log_level, log_file(twistd, worker), reactor, worker=worker)


def _say(text: str) -> None:
    # Not the log: it never holds a token.
    out: Any = sys.__stdout__
    if out is not None:
        out.write(text)
        out.flush()
