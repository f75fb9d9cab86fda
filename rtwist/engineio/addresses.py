"""Whose a connection is: the address of a client behind proxies, and what counts as one address; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from rtwist.errors import ConfigError

_Address = IPv4Address | IPv6Address
_FOR = re.compile(r'(?:^|;)\s*for=(?:"([^"]*)"|([^;"\s]*))', re.IGNORECASE)
_MAX_HOPS = 20
_MAX_CHARS = 100
"""An IPv6 address has 45 at most, and the name of an interface behind it."""
_CACHED = 4096
UNIX = "unix"
"""Stands in a list of proxies for whoever connects to a UNIX socket."""


class Proxies:
    """The proxies that are believed about whom they speak for.

    `networks` are addresses and networks such as `10.0.0.0/8`, and `unix`. Raises `ConfigError` for others.
    """

    def __init__(self, networks: Sequence[str] = ()) -> None:
        self._unix = UNIX in networks
        try:
            self._networks = tuple(ip_network(text, strict=False) for text in networks if text != UNIX)
        except ValueError as error:
            raise ConfigError(f"trusted_proxies: {error}; write for example 10.0.0.0/8, ::1 or unix") from None

    def trusts(self, host: str) -> bool:
        """Whether the peer `host` is one of them; a peer without an address came by a UNIX socket."""
        if not host:
            return self._unix
        address = _read(host)
        return address is not None and any(address in network for network in self._networks)

    def client(self, peer: str, headers: Mapping[str, str]) -> str:
        """The address of the client that `peer` speaks for, by X-Forwarded-For or Forwarded (RFC 7239).

        That is the last hop that is no proxy of ours: what stands before it, the client may have made up. When
        both headers are there and differ, one of them is the client's own, and the peer itself counts.
        """
        if not self.trusts(peer):
            return peer
        chains = []
        if "x-forwarded-for" in headers:
            chains.append(headers["x-forwarded-for"].split(","))
        if "forwarded" in headers:
            chains.append([_forwarded_for(element) for element in headers["forwarded"].split(",")])
        found = {self._last_stranger(peer, chain) for chain in chains}
        return found.pop() if len(found) == 1 else peer

    def _last_stranger(self, peer: str, chain: Sequence[str]) -> str:
        host = peer
        for text in reversed(chain[-_MAX_HOPS:]):
            address = _read(_without_port(text.strip()))
            if address is None:
                break
            host = str(address)
            if not self.trusts(host):
                break
        return host


@lru_cache(maxsize=_CACHED)
def address_key(host: str) -> str:
    """What counts as one address in limits: IPv6 by its /64, which one customer has whole."""
    address = _read(host)
    if isinstance(address, IPv6Address):
        return f"{IPv6Address(int(address) >> 64 << 64)}/64"
    return host if address is None else str(address)


def _read(host: str) -> _Address | None:
    return None if len(host) > _MAX_CHARS else _read_short(host)


@lru_cache(maxsize=_CACHED)
def _read_short(host: str) -> _Address | None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    host, colon, port = text.partition(":")
    return host if colon and port.isdigit() else text


def _forwarded_for(element: str) -> str:
    found = _FOR.search(element)
    return "" if found is None else found[1] or found[2] or ""
