"""AMQP URLs (RabbitMQ's "URI Specification" and "URI Query Parameters"); pure.

No error text holds any part of a URL that may be a password, nor does the `repr` of an address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from rtwist.errors import ConfigError

DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}
_SEPARATOR = re.compile(r"\s*,\s*(?=amqps?://)", re.IGNORECASE)
_URL = re.compile(
    r"(?P<scheme>amqps?)://(?P<authority>[^/?#]*)(?:/(?P<vhost>[^?#]*))?(?:\?(?P<query>[^#]*))?", re.IGNORECASE
)
_HOST = re.compile(r"[A-Za-z0-9._~-]+")
_IPV6 = re.compile(r"\[(?P<host>[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9._~-]+)?)\](?::(?P<port>.*))?")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PARAMETERS = ("heartbeat", "connection_timeout", "frame_max")
_HINT = (
    "write it as amqp://user:password@host:5672/vhost, with / ? # @ : and % in user and password as %2F and so on"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where a broker is and how to log in.

    - `secure`: over TLS.
    - `host`, `port`: a name, an IPv4 or an IPv6 address without brackets.
    - `user`, `password`, `vhost`: as the broker knows them.
    - `heartbeat`: seconds, 0 for none; None when the URL does not say.
    - `connection_timeout`: seconds that connecting may take; None when the URL does not say.
    - `frame_max`: bytes; None when the URL does not say.
    """

    secure: bool = False
    host: str = "localhost"
    port: int = 5672
    user: str = "guest"
    password: str = field(default="guest", repr=False)
    vhost: str = "/"
    heartbeat: int | None = None
    connection_timeout: float | None = None
    frame_max: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"amqp{'s' if self.secure else ''}://{host}:{self.port}"


def read_urls(text: str) -> tuple[BrokerAddress, ...]:
    """The addresses in `text`: one URL, or several with commas between them, in the order to try them.

    What a URL leaves out has its usual value: localhost, 5672 or 5671, guest, guest and the virtual host "/". A
    path of just "/" names the virtual host with the empty name. Raises `ConfigError` for anything else.
    """
    return tuple(_read_url(url, number) for number, url in enumerate(_SEPARATOR.split(text.strip()), 1))


def _read_url(url: str, number: int) -> BrokerAddress:
    where = f"AMQP URL {number}"
    match = _URL.fullmatch(url)
    if match is None:
        raise ConfigError(f"{where} is not an AMQP URL; {_HINT}")
    scheme = match["scheme"].lower()
    userinfo, at, hostport = match["authority"].rpartition("@")
    user, colon, password = userinfo.partition(":")
    host, port = _host_and_port(hostport, where)
    vhost = match["vhost"]
    if vhost is not None and "/" in vhost:
        raise ConfigError(f"{where}: the virtual host has a bare '/'; write it as %2F ({_HINT})")
    return BrokerAddress(
        secure=scheme == "amqps",
        host=host,
        port=DEFAULT_PORTS[scheme] if port is None else port,
        user=_decoded(user, where, "user") if at else "guest",
        password=_decoded(password, where, "password") if colon else "guest",
        vhost="/" if vhost is None else _decoded(vhost, where, "virtual host"),
        **_parameters(match["query"], where),  # type: ignore[arg-type]
    )


def _host_and_port(text: str, where: str) -> tuple[str, int | None]:
    if text.startswith("["):
        match = _IPV6.fullmatch(text)
        if match is None:
            raise ConfigError(f"{where}: the host is not an IPv6 address in brackets; {_HINT}")
        host, port = match["host"].replace("%25", "%"), match["port"]
    else:
        escaped, _, port = text.partition(":")
        host = _decoded(escaped, where, "host")
        if host and not _HOST.fullmatch(host):
            raise ConfigError(f"{where}: the host is not a name or address; {_HINT}")
    return host or "localhost", _port(port, where) if port else None


def _port(text: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        raise ConfigError(f"{where}: the port is not a number from 1 to 65535; {_HINT}")
    return int(text)


def _decoded(text: str, where: str, what: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise ConfigError(f"{where}: the {what} has a '%' without two hexadecimal digits; write % as %25")
    if any(character <= " " or character == "\x7f" for character in text):
        raise ConfigError(f"{where}: the {what} has a space or control character; percent-encode it")
    # Not by an exception: it would carry the password along as its context.
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ConfigError(f"{where}: the {what} is not UTF-8; percent-encode it")
    value = unquote_to_bytes(text).decode("utf-8", "surrogateescape")
    if any("\udc80" <= character <= "\udcff" for character in value):
        raise ConfigError(f"{where}: the {what} is not UTF-8 behind its percent-encoding")
    if "\0" in value:
        raise ConfigError(f"{where}: the {what} has a NUL character, which cannot be sent")
    if len(value.encode()) > 255 and what != "password":
        raise ConfigError(f"{where}: the {what} is longer than 255 bytes")
    return value


def _parameters(query: str | None, where: str) -> dict[str, float | int]:
    found: dict[str, float | int] = {}
    if "@" in (query or ""):  # the end of a password with a bare '?'
        raise ConfigError(f"{where}: there is an '@' behind the '?'; {_HINT}")
    for pair in filter(None, (query or "").split("&")):
        name, _, value = pair.partition("=")
        if name not in _PARAMETERS:
            raise ConfigError(f"{where}: unknown query parameter {name!r}; known are {', '.join(_PARAMETERS)}")
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise ConfigError(f"{where}: {name} is not a whole number")
        found[name] = int(value)
    if not 0 <= found.get("heartbeat", 0) < 65536:
        raise ConfigError(f"{where}: heartbeat is in seconds, at most 65535")
    if "connection_timeout" in found:
        if not found["connection_timeout"]:
            raise ConfigError(f"{where}: connection_timeout is in milliseconds, more than 0")
        found["connection_timeout"] /= 1000
    if not 4096 <= found.get("frame_max", 4096) <= 1 << 24:
        raise ConfigError(f"{where}: frame_max is in bytes, from 4096 to 16777216")
    return found
