"""What an HTTP request asks of an Engine.IO server, and why it may be refused; pure."""

from __future__ import annotations

import inspect
from collections.abc import ItemsView, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from rtwist.engineio.cors import Cors, has_only_header_characters
from rtwist.engineio.options import WEBSOCKET, Options
from rtwist.errors import LocalProtocolError

_MAX_QUERY_FIELDS = 100
_VERSION = "4"


class ErrorCode(IntEnum):
    """The codes a refused request is answered with; part of the protocol."""

    UNKNOWN_TRANSPORT = 0
    UNKNOWN_SID = 1
    BAD_HANDSHAKE_METHOD = 2
    BAD_REQUEST = 3
    FORBIDDEN = 4
    UNSUPPORTED_PROTOCOL_VERSION = 5


_MESSAGES = {
    ErrorCode.UNKNOWN_TRANSPORT: "Transport unknown",
    ErrorCode.UNKNOWN_SID: "Session ID unknown",
    ErrorCode.BAD_HANDSHAKE_METHOD: "Bad handshake method",
    ErrorCode.BAD_REQUEST: "Bad request",
    ErrorCode.FORBIDDEN: "Forbidden",
    ErrorCode.UNSUPPORTED_PROTOCOL_VERSION: "Unsupported protocol version",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused: a code of the protocol, its text, and a hint for the log."""

    code: ErrorCode
    hint: str
    custom_message: str | None = None

    @property
    def message(self) -> str:
        """The text the client sees."""
        return self.custom_message or _MESSAGES[self.code]

    @property
    def status(self) -> int:
        """The HTTP status of the answer to a plain request; a WebSocket upgrade always gets 400."""
        return 403 if self.code is ErrorCode.FORBIDDEN else 400


class _Packed(Mapping[str, str]):
    """A mapping kept as one text: as a `dict`, five hundred headers of two letters take fifty kilobytes."""

    __slots__ = ("_text",)

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self._text = msgspec.json.encode(dict(mapping)).decode()

    def __getitem__(self, name: str) -> str:
        return self._read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def items(self) -> ItemsView[str, str]:
        return self._read().items()

    def __repr__(self) -> str:
        # Secrets stand in some of them.
        return f"<{len(self)} fields>"

    def _read(self) -> dict[str, str]:
        return msgspec.json.decode(self._text, type=dict[str, str])


@dataclass(frozen=True, slots=True)
class Handshake:
    """A request as the rules see it; the first one of a session is kept with the session.

    `headers` has lower-case names; `query` joins repeated fields with a comma; `time` is Unix time in seconds.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    address: str
    secure: bool
    time: float

    @property
    def origin(self) -> str | None:
        """The Origin header, when there is one."""
        return self.headers.get("origin")

    @property
    def asks_websocket(self) -> bool:
        """Whether the request asks to become a WebSocket (RFC 6455, section 4.2.1)."""
        return "upgrade" in self.headers and "upgrade" in self.headers.get("connection", "").lower()

    def same_client(self, later: Handshake) -> bool:
        """Whether `later` can come from who opened the session: what both of them name must agree."""
        headers = dict(self.headers.items())
        for name in ("origin", "authorization"):
            mine, theirs = headers.get(name), later.headers.get(name)
            if mine is not None and theirs is not None and mine != theirs:
                return False
        return True

    def packed(self) -> Handshake:
        """The same in less memory, to be kept."""
        return replace(self, headers=_Packed(self.headers), query=_Packed(self.query))


def parse_query(text: str) -> dict[str, str]:
    """The fields of a query string; a repeated field becomes one value with commas, which no rule accepts.

    Raises ValueError when there are more than 100.
    """
    query: dict[str, str] = {}
    for name, value in parse_qsl(
        text, keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS, errors="replace"
    ):
        query[name] = f"{query[name]},{value}" if name in query else value
    return query


class KnownSession(Protocol):
    """What the rules must know of a session that a request names."""

    @property
    def handshake(self) -> Handshake:
        """The request that opened it."""

    @property
    def transport_name(self) -> str:
        """The transport it is on."""


def verify(
    request: Handshake, sessions: Mapping[str, KnownSession], options: Options, cors: Cors
) -> Refusal | None:
    """Why `request` must be refused, or None when the server shall go on with it.

    The order of the checks is the Node server's, since it decides which error a client sees.
    """
    transport = request.query.get("transport", "")
    if transport not in options.transports:
        return Refusal(ErrorCode.UNKNOWN_TRANSPORT, f"transport {transport[:20]!r}")
    origin = request.origin
    if origin is not None and not has_only_header_characters(origin):
        return Refusal(ErrorCode.BAD_REQUEST, "invalid origin")
    if not cors.allows(origin, request.headers.get("host")):
        return Refusal(ErrorCode.FORBIDDEN, f"origin {origin!r} is not allowed")
    sid = request.query.get("sid")
    if sid:
        return _verify_session(request, transport, sessions.get(sid), options)
    return _verify_handshake(request, transport, options)


def _verify_session(
    request: Handshake, transport: str, session: KnownSession | None, options: Options
) -> Refusal | None:
    if session is None:
        return Refusal(ErrorCode.UNKNOWN_SID, "unknown sid")
    if not session.handshake.same_client(request):
        return Refusal(ErrorCode.BAD_REQUEST, "sid used by another client")
    if request.asks_websocket:
        if transport != WEBSOCKET or not options.allow_upgrades:
            return Refusal(ErrorCode.BAD_REQUEST, "upgrade not allowed")
    elif transport != session.transport_name or transport == WEBSOCKET:
        # Without an upgrade there is nothing to say to a session that is on a WebSocket.
        return Refusal(ErrorCode.BAD_REQUEST, "transport mismatch")
    if request.query.get("EIO") != _VERSION:
        return Refusal(ErrorCode.BAD_REQUEST, "protocol version mismatch")
    return None


def _verify_handshake(request: Handshake, transport: str, options: Options) -> Refusal | None:
    if request.method != "GET":
        return Refusal(ErrorCode.BAD_HANDSHAKE_METHOD, f"handshake by {request.method}")
    if (transport == WEBSOCKET) is not request.asks_websocket:
        return Refusal(ErrorCode.BAD_REQUEST, "transport and upgrade header do not agree")
    if options.allow_request is not None:
        message = options.allow_request(request)
        if inspect.iscoroutine(message):
            message.close()
        if message is not None and not isinstance(message, str):
            raise LocalProtocolError("allow_request returns None or a text, at once")
        if message is not None:
            return Refusal(ErrorCode.FORBIDDEN, "refused by allow_request", message)
    if request.query.get("EIO") != _VERSION:
        return Refusal(ErrorCode.UNSUPPORTED_PROTOCOL_VERSION, "EIO is not 4")
    return None
