"""The composition root: options for `twistd rtwist`, and the service made from them."""

from __future__ import annotations

import os
import secrets
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any, cast

from twisted.application import strports
from twisted.application.service import IService
from twisted.internet.interfaces import IReactorCore, IReactorTime
from twisted.python import usage

from rtwist.auth.keys import SharedSecrets
from rtwist.auth.token import TokenVerifier, mint
from rtwist.config import SETTINGS, Config, Setting, read_config
from rtwist.domain.owners import OrderBook
from rtwist.domain.router import Router
from rtwist.domain.rules import BUILT_IN
from rtwist.engineio import Site
from rtwist.errors import ConfigError
from rtwist.gateway import Gateway
from rtwist.intake.intake import Intake
from rtwist.intake.window import Window
from rtwist.logs import observer
from rtwist.rest import Access, Rest, error_body
from rtwist.service import RtwistService
from rtwist.socketio import Server
from rtwist.socketio.jsoncodec import dumps

_DEV_TOKEN_SECONDS = 7 * 24 * 3600


def _collector(setting: Setting) -> Callable[[usage.Options, str], None]:
    def collect(self: usage.Options, value: str) -> None:
        self[setting.option].append(value)

    collect.__doc__ = setting.help
    return collect


class Options(usage.Options):
    """The options of `twistd rtwist`, made from `rtwist.config.SETTINGS`."""

    optFlags = [  # noqa: RUF012
        ["dev", None, "try it out: throw-away keys, pages of any origin, status routes open to loopback"]
    ]
    optParameters = [  # noqa: RUF012
        [setting.option, None, None, _help]
        for setting in SETTINGS
        if not setting.repeatable
        for _help in [setting.help + (f" [{setting.env_names[0]}]" if setting.env_names else "")]
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

    def postOptions(self) -> None:
        """Check everything now, so that a mistake ends in one clear line."""
        try:
            self["config"] = read_config(self, os.environ, dev=bool(self["dev"]))
            if self["config"].jwt_secret is not None:
                SharedSecrets(self["config"].jwt_secret)
        except ConfigError as error:
            raise usage.UsageError(str(error)) from None


for _setting in SETTINGS:
    if _setting.repeatable:
        setattr(Options, f"opt_{_setting.option}", _collector(_setting))


def makeService(options: Options) -> IService:
    """The service for `twistd`, from checked options."""
    from twisted.internet import reactor  # noqa: PLC0415 - installing the reactor is twistd's to decide

    # The wall clock jumps, and with it would every timeout of every connection.
    setattr(reactor, "seconds", time.monotonic)  # noqa: B010 - to mypy it is a method
    config: Config = options["config"]
    try:
        return build(cast(IReactorTime, reactor), config, say=_say)
    except ConfigError as error:
        raise SystemExit(f"rtwist: {error}") from None


def build(reactor: IReactorTime, config: Config, *, say: Callable[[str], None]) -> RtwistService:
    """Put the parts together; `say` shows a text to the person at the terminal."""
    jwt_secret = config.jwt_secret or secrets.token_urlsafe(32)
    api_key = config.api_key or (secrets.token_urlsafe(16) if config.dev else None)
    verifier = TokenVerifier(
        SharedSecrets(jwt_secret),
        audience=config.jwt_audience or None,
        issuer=config.jwt_issuer or None,
        leeway=config.jwt_leeway,
        claim_names=config.claim_names,
        now=time.time,
    )
    orders = OrderBook(config.max_orders)
    io = Server(reactor, config.socketio)
    gateway = Gateway(io, verifier=verifier, owners=orders, now=time.time, max_rooms=config.max_rooms)
    io.engine.on_refusal(gateway.log_refusal)
    intake = Intake(
        io,
        Router(BUILT_IN, orders),
        now=time.time,
        window=Window(config.dedup_window, config.dedup_size),
        log_payloads=config.log_level == "debug",
    )
    access = Access(verifier, api_key, status_open_to_loopback=config.dev)
    rest = Rest(io, intake, access, now=time.time)
    too_large = error_body("payload_too_large", f"bodies are at most {config.socketio.max_payload} bytes")
    site = io.site(rest.resource(), too_large=("application/json", dumps(too_large).encode()))
    ports = [_port(endpoint, site, reactor) for endpoint in config.listen]

    def started() -> None:
        if config.dev:
            say(welcome(config, jwt_secret, cast(str, api_key)))

    logs = None
    if (config.log_format, config.log_level) != ("text", "info"):
        logs = observer(config.log_format, config.log_level)
    return RtwistService(reactor, io, rest, ports, started=started, observer=logs)


def _port(endpoint: str, site: Site, reactor: IReactorTime) -> IService:
    try:
        return strports.service(endpoint, site, reactor=cast(IReactorCore, reactor))
    except Exception as error:  # whatever the endpoint's parser, plugins or key files raise
        raise ConfigError(
            f"--listen is {endpoint!r}: {error}; write for example tcp:8009 or tcp:8009:interface=127.0.0.1"
        ) from None


def welcome(config: Config, jwt_secret: str, api_key: str) -> str:
    """What `--dev` prints: a token, a URL, and commands that work when pasted."""
    url = f"http://localhost:{_dev_port(config)}"
    token = mint(
        jwt_secret,
        user="u1",
        company="c1",
        shops=["s1"],
        roles=["manager"],
        lifetime=_DEV_TOKEN_SECONDS,
        now=time.time(),
    )
    order = {
        "type": "order.created",
        "data": {"orderId": "7", "orderNumber": "ORD-7", "userId": "u1", "companyId": "c1", "shopId": "s1"},
    }
    return textwrap.dedent(
        """
        rtwist is up, in development mode: the keys below are thrown away when it stops.

          URL    {url}
          token  {token}
                 (user u1, company c1, shop s1, role manager)

        See events arrive, in a browser (or in any page with socket.io-client and this token):
          {url}/

        Publish an order:
          curl -X POST {url}/events -H 'X-API-Key: {api_key}' \\
            -H 'Content-Type: application/json' -d '{order}'

        Who is connected:
          curl {url}/connected-users

        A token for somebody else:
          JWT_SECRET={jwt_secret} {python} -m rtwist token --user u2 --company c1
        """
    ).format(
        url=url,
        token=token,
        api_key=api_key,
        order=dumps(order),
        jwt_secret=jwt_secret,
        python=sys.executable,
    )


def _dev_port(config: Config) -> str:
    kind, _, rest = config.listen[0].partition(":")
    return rest.partition(":")[0] if kind.startswith("tcp") else "8009"


def _say(text: str) -> None:
    # Not the log: it never holds a token.
    out: Any = sys.__stdout__
    if out is not None:
        out.write(text)
        out.flush()
