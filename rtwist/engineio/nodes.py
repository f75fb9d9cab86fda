"""Nodes of one service: whose a session is, where a node is, and how a request goes from one to another; pure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from typing import Protocol as Interface

from rtwist.errors import ConfigError

MARK_CHARS: Final = 6
"""Of a node's mark, 36 random bits: among 1,000 nodes two have the same one once in 140,000 times."""

DEFAULT_FORWARD_TIMEOUT: Final = 5.0
"""Seconds to reach another node, for which a client's request waits; a node that is there takes milliseconds."""

DEFAULT_MAX_FORWARDED: Final = 10_000
"""Requests forwarded at a time, WebSockets among them: each is one more open file, and one more port."""

HOP: Final = b"X-Rtwist-Node"
"""Names the header of a forwarded request, with the mark of the node that sends it; it goes no further."""

_MARK = re.compile(rf"[A-Za-z0-9_-]{{{MARK_CHARS}}}")
_ADDRESS = re.compile(
    r"(https?)://(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)):([1-9][0-9]{0,4})"
)
_EXAMPLE = "write for example http://10.0.0.5:8009"
_MOST_PORT = 65535
# Written anew for the other node. Both of the chains of addresses are read here already.
_OWN: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"x-forwarded-for", b"forwarded", HOP.lower())
)

Fields = Iterable[tuple[bytes, list[bytes]]]
"""Headers as `Headers.getAllRawHeaders` gives them."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where other nodes reach a node."""

    host: str
    port: int
    secure: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.secure else ''}://{host}:{self.port}"

    @property
    def is_literal(self) -> bool:
        """Whether the host is an IP address, not a name."""
        return _ip(self.host) is not None


class KnownNodes(Interface):
    """What is known of all nodes."""

    mark: str
    """This node's own."""

    def find(self, mark: str) -> Address | None:
        """Where the node with that mark is, when it is another one and known."""


def new_mark() -> str:
    """A mark that no other node has."""
    return secrets.token_urlsafe(9)[:MARK_CHARS]


def is_mark(text: str) -> bool:
    """Whether `text` can be a node's mark."""
    return _MARK.fullmatch(text) is not None


def mark_in(sid: str) -> str | None:
    """The mark of the node whose session `sid` would be; None for what is too short to have one."""
    return sid[:MARK_CHARS] if len(sid) > MARK_CHARS else None


def read_address(text: str) -> Address:
    """The address that `text` says; raises `ConfigError` for anything but scheme, host and port."""
    found = _ADDRESS.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text[:100]!r} is not the address of a node; {_EXAMPLE}")
    scheme, six, name, digits = found.groups()
    host, port = six or name, int(digits)
    address = _ip(host)
    if six is not None and not isinstance(address, IPv6Address):
        raise ConfigError(f"{six} is no IPv6 address; {_EXAMPLE}")
    if port > _MOST_PORT:
        raise ConfigError(f"the port {port} is above {_MOST_PORT}; {_EXAMPLE}")
    if address is not None and address.is_unspecified:
        raise ConfigError(f"nobody can be reached at {host}; {_EXAMPLE}")
    return Address(host if address is None else str(address), port, scheme == "https")


def is_forwarded(fields: Fields) -> bool:
    """Whether a request with these headers comes from another node already."""
    return any(name.lower() == HOP.lower() for name, _ in fields)


def forwarded_head(
    line: tuple[bytes, bytes, bytes], fields: Fields, *, client: str, mark: str, upgrade: bool
) -> bytes:
    """A request up to its body, as the node `mark` sends it to another.

    `line` is method, target and version. It is the last request on its connection, and becomes a WebSocket
    only with `upgrade`. `client` is the address it comes from, "" for none.
    """
    lines = [
        b"%s:%s\r\n" % (name, value) for name, values in fields if name.lower() not in _OWN for value in values
    ]
    lines.append(b"Connection:Upgrade, close\r\n" if upgrade else b"Connection:close\r\n")
    lines.append(b"%s:%s\r\n" % (HOP, mark.encode()))
    if client:
        lines.append(b"X-Forwarded-For:%s\r\n" % client.encode())
    return b"%s %s %s\r\n%s\r\n" % (*line, b"".join(lines))


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
