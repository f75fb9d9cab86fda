"""Applying a new configuration to a service that runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from twisted.logger import Logger

from rtwist.access import Access
from rtwist.auth.jwks import JwksKeys
from rtwist.auth.keys import KeySource
from rtwist.auth.settings import TokenSettings
from rtwist.auth.token import TokenVerifier
from rtwist.config import Config
from rtwist.domain.router import Router
from rtwist.errors import ConfigError
from rtwist.extensions import all_rules
from rtwist.gateway import Gateway
from rtwist.intake.broker import Broker
from rtwist.limits import UserLimit
from rtwist.rest import Rest
from rtwist.service import RtwistService
from rtwist.socketio import Server

_CHANGEABLE = {
    "socketio", "tokens", "api_key", "routes", "drain", "lease", "max_connections_per_user", "max_rooms",
    "max_room_name", "max_typing", "warnings",
}  # fmt: skip
_FIXED_TOKENS = ("leeway",)
# The queues of timers are made with the heartbeat, sites with paths, and addresses are counted by who is a proxy.
_FIXED_SOCKETIO = ("path", "ping_interval", "ping_timeout", "client_dist", "trusted_proxies")
_NAMES = {
    "cluster": "--redis-..., --cluster..., --advertise...",
    "broker": "--rabbitmq-...",
    "bind_rules": "--rabbitmq-bind-rules",
    "authorization": "--authorization-...",
    "leeway": "--jwt-leeway",
}
"""Of the options whose names are not those of their fields."""


def merged(running: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """The part of `new` that can take effect at once on top of `running`, and the options that cannot; pure."""
    parts = [
        (running, new, [field.name for field in fields(Config) if field.name not in _CHANGEABLE]),
        (running.tokens, new.tokens, _FIXED_TOKENS),
        (running.socketio, new.socketio, _FIXED_SOCKETIO),
    ]
    later = tuple(name for old, newer, names in parts for name in _different(old, newer, names))
    kept: list[Any] = [{name: getattr(old, name) for name in names} for old, _, names in parts]
    tokens, socketio = replace(new.tokens, **kept[1]), replace(new.socketio, **kept[2])
    if running.dev:
        # Its secrets were made at the start.
        return replace(new, **kept[0], tokens=running.tokens, api_key=running.api_key, socketio=socketio), later
    return replace(new, **kept[0], tokens=tokens, socketio=socketio), later


def _different(old: Any, new: Any, names: Any) -> Iterator[str]:
    for name in names:
        if getattr(old, name) != getattr(new, name):
            yield _NAMES.get(name, f"--{name.replace('_', '-')}")


@dataclass(slots=True)
class Running:
    """The parts of a service that a new configuration changes; `config` is what they were made from.

    `keys` makes a source of keys, `verifier_of` a verifier with them.
    """

    config: Config
    io: Server
    verifier: TokenVerifier
    access: Access
    router: Router
    users: UserLimit
    gateway: Gateway
    broker: Broker | None
    rest: Rest
    service: RtwistService
    source: KeySource
    keys: Callable[[TokenSettings], KeySource]
    verifier_of: Callable[[Config, KeySource], TokenVerifier]

    def apply(self, new: Config) -> tuple[str, ...]:
        """From now on `new` holds; returns the options that take effect at the next start only.

        Raises `ConfigError`, and then everything is as before.
        """
        config, later = merged(self.config, new)
        rules = all_rules(config.routes)
        source = self._source(config.tokens)
        verifier = self.verifier_of(config, source)
        # From here on nothing can fail.
        self.config, self.source = config, source
        self.verifier.adopt(verifier)
        self.access.api_key = config.api_key
        self.router.use(rules)
        self._bound(config)
        self.service.drain, self.rest.rebalancing.rate = config.drain, config.drain.rate
        if isinstance(source, JwksKeys):
            source.refresh()
        return later

    def _bound(self, config: Config) -> None:
        self.io.reconfigure(config.socketio)
        self.users.most = config.max_connections_per_user
        self.gateway.reconfigure(
            max_rooms=config.max_rooms,
            max_room_name=config.max_room_name,
            max_typing=config.max_typing,
            lease=config.lease,
        )
        self.rest.max_depth, self.rest.max_room_name = config.socketio.max_depth, config.max_room_name
        if self.broker is not None:
            self.broker.bound_depth(config.socketio.max_depth)

    def _source(self, tokens: TokenSettings) -> KeySource:
        former = self.config.tokens
        same = (tokens.jwks_url, tokens.jwks_max_age) == (former.jwks_url, former.jwks_max_age)
        if tokens.jwks_url is not None and same:
            return self.source
        source = self.keys(tokens)
        if isinstance(source, JwksKeys) and isinstance(self.source, JwksKeys):
            # A mistake in the URL should not turn everybody away.
            source.inherit(self.source)
        return source


_log = Logger()


def log_refused(error: ConfigError) -> None:
    """Say in the log that there is no new configuration, and why."""
    _log.error("the new configuration is refused, and the one before stays: {error}", error=error)


def reload(running: Running, read: Callable[[], Config]) -> None:
    """Apply what `read` returns, or say in the log why not."""
    try:
        config = read()
        later = running.apply(config)
    except ConfigError as error:
        log_refused(error)
        return
    for warning in config.warnings:
        _log.warn("{warning}", warning=warning)
    _log.info("the configuration was read again and holds for what comes from now on")
    if later:
        _log.warn("changed, but only at the next start: {options}", options=", ".join(later))
