"""Where Redis is: the URLs of `REDIS_URL`; pure.

The forms of one server are those that IANA has for "redis" and "rediss", and redis-py for "unix". No error
text holds any part of a URL that may be a password, nor does the `repr` of an address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from rtwist.errors import ConfigError

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
_SCHEME = re.compile(r"(?P<scheme>rediss?(?:\+sentinel)?|unix)://(?P<rest>.*)", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9._~-]+")
_IPV6 = re.compile(r"\[(?P<host>[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9._~-]+)?)\](?::(?P<port>.*))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MAX_DATABASE = 65535
_FORM = "redis://user:password@host:6379/0 (rediss:// with TLS)"
_SENTINEL_FORM = "redis+sentinel://user:password@host1:26379,host2:26379/service/0"
_UNIX_FORM = "unix://user:password@/path/to/redis.sock?db=0"
_PERCENT = "with / ? # @ : and % in user and password as %2F and so on"


@dataclass(frozen=True, slots=True)
class Login:
    """Who to be at a server: `user` is None for its default user, `password` for no login at all."""

    user: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """Where Redis is and how to log in.

    - `secure`: over TLS, to the Sentinels too.
    - `host`, `port`: a name, an IPv4 or an IPv6 address without brackets.
    - `path`: of a UNIX socket, instead of host and port.
    - `sentinels`, `service`: who knows the master, hosts and ports, and by which name; instead of host and port.
    - `login`, `database`: at Redis. `sentinel_login`: at the Sentinels.
    """

    secure: bool = False
    host: str = "localhost"
    port: int = DEFAULT_PORT
    path: str | None = None
    sentinels: tuple[tuple[str, int], ...] = ()
    service: str = ""
    login: Login = Login()
    sentinel_login: Login = Login()
    database: int = 0

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}"
        scheme = "rediss" if self.secure else "redis"
        if self.sentinels:
            hosts = ",".join(host_and_port(*each) for each in self.sentinels)
            return f"{scheme}+sentinel://{hosts}/{self.service}"
        return f"{scheme}://{host_and_port(self.host, self.port)}"


def host_and_port(host: str, port: int) -> str:
    """Both as a URL has them."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_url(text: str, option: str = "REDIS_URL") -> RedisAddress:
    """The address that `text`, the value of `option`, says; `ConfigError` for what is none.

    - `redis://[[user]:password@]host[:port][/database]`, and `rediss://` for TLS
    - `unix://[[user]:password@]/path[?db=database]`
    - `redis+sentinel://[[user]:password@]host[:port][,host[:port]...]/service[/database]`, and
      `rediss+sentinel://`; `?sentinel_password=` and `&sentinel_user=` when the Sentinels want a login.

    What is left out has its usual value: port 6379, of Sentinels 26379, database 0, no login.
    """
    match = _SCHEME.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{option} is not a Redis URL; write it as {_FORM}, {_SENTINEL_FORM} or {_UNIX_FORM}")
    scheme, rest = match["scheme"].lower(), match["rest"]
    return _Reader(option, scheme).read(rest)


class _Reader:
    """Reads what stands behind the scheme, and words the errors."""

    def __init__(self, option: str, scheme: str) -> None:
        self._option = option
        self._secure = scheme.startswith("rediss")
        self._sentinel = scheme.endswith("+sentinel")
        self._unix = scheme == "unix"
        self._form = _SENTINEL_FORM if self._sentinel else _UNIX_FORM if self._unix else _FORM

    def read(self, rest: str) -> RedisAddress:
        if "#" in rest:
            raise self._error("there is a '#'")
        rest, _, query = rest.partition("?")
        if "@" in query:
            raise self._error("there is an '@' behind the '?'")
        authority, slash, path = rest.partition("/")
        userinfo, at, hosts = authority.rpartition("@")
        login = self._login(userinfo) if at else Login()
        parameters = self._parameters(query)
        if "@" in path:
            raise self._error("there is an '@' behind the first '/'")
        if self._unix:
            return self._at_path(hosts, slash + path, login, parameters)
        if self._sentinel:
            return self._at_sentinels(hosts, path, login, parameters)
        host, port = self._host_and_port(hosts, DEFAULT_PORT)
        return RedisAddress(
            secure=self._secure, host=host or "localhost", port=port, login=login, database=self._database(path)
        )

    def _error(self, what: str) -> ConfigError:
        return ConfigError(f"{self._option}: {what}; write it as {self._form}, {_PERCENT}")

    def _at_path(self, hosts: str, path: str, login: Login, parameters: dict[str, str]) -> RedisAddress:
        if hosts:
            raise self._error("the path of a UNIX socket begins with a third '/'")
        socket = self._decoded(path, "path")
        if len(socket) < 2:
            raise self._error("the path of the UNIX socket is missing")
        return RedisAddress(path=socket, login=login, database=self._database(parameters.get("db", "")))

    def _at_sentinels(self, hosts: str, path: str, login: Login, parameters: dict[str, str]) -> RedisAddress:
        sentinels = tuple(self._host_and_port(each, DEFAULT_SENTINEL_PORT) for each in hosts.split(","))
        if not all(host for host, _ in sentinels):
            raise self._error("a Sentinel's host is missing")
        service, _, database = path.partition("/")
        if not service:
            raise self._error("the name of the Sentinels' service is missing behind the hosts")
        user, password = parameters.get("sentinel_user"), parameters.get("sentinel_password")
        if user is not None and password is None:
            raise self._error("there is a sentinel_user without a sentinel_password")
        return RedisAddress(
            secure=self._secure, sentinels=sentinels, service=self._decoded(service, "service"), login=login,
            sentinel_login=Login(user, password), database=self._database(database),
        )  # fmt: skip

    def _login(self, text: str) -> Login:
        user, colon, password = text.partition(":")
        if not colon:
            raise self._error("there is a user and no password; a password alone has a ':' before it")
        if not password and not user:
            raise self._error("the password before the '@' is empty")
        return Login(self._decoded(user, "user") or None, self._decoded(password, "password"))

    def _host_and_port(self, text: str, default: int) -> tuple[str, int]:
        if text.startswith("["):
            match = _IPV6.fullmatch(text)
            if match is None:
                raise self._error("the host is not an IPv6 address in brackets")
            host, port = match["host"].replace("%25", "%"), match["port"]
        else:
            host, _, port = text.partition(":")
            if host and not _HOST.fullmatch(host):
                raise self._error("the host is not a name or address")
        return host, self._number(port, "port", 1, 65535) if port else default

    def _database(self, text: str) -> int:
        return self._number(text, "database", 0, _MAX_DATABASE) if text else 0

    def _number(self, text: str, what: str, least: int, most: int) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= most):
            raise self._error(f"the {what} is not a number from {least} to {most}")
        return int(text)

    def _parameters(self, query: str) -> dict[str, str]:
        known = ("db",) if self._unix else ("sentinel_user", "sentinel_password") if self._sentinel else ()
        found: dict[str, str] = {}
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            if name not in known:  # the name is not shown: it may be the end of a password with a bare '?'
                these = f"known are {', '.join(known)}" if known else "none is known"
                raise self._error(f"there is a query parameter that is not known ({these})")
            if not value:
                raise self._error(f"the query parameter {name} has no value")
            found[name] = self._decoded(value, name)
        return found

    def _decoded(self, text: str, what: str) -> str:
        if _BAD_ESCAPE.search(text):
            raise self._error(f"the {what} has a '%' without two hexadecimal digits (write % as %25)")
        if any(character <= " " or character == "\x7f" for character in text):
            raise self._error(f"the {what} has a space or control character (percent-encode it)")
        # Not by an exception: it would carry the password along as its context.
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self._error(f"the {what} is not UTF-8 (percent-encode it)")
        value = unquote_to_bytes(text).decode("utf-8", "surrogateescape")
        if any("\udc80" <= character <= "\udcff" for character in value):
            raise self._error(f"the {what} is not UTF-8 behind its percent-encoding")
        if "\0" in value:
            raise self._error(f"the {what} has a NUL character")
        return value
