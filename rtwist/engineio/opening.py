"""The opening handshake of a WebSocket, as Autobahn is told of it, and what need not be kept of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.protocol import TrafficStats
from autobahn.websocket.utf8validator import Utf8Validator

from rtwist.engineio.deflate import Agreement

_OF_THE_REQUEST = {
    "_results", "_transport_details", "_valid_events", "http_headers", "http_request_data", "http_request_host",
    "http_request_params", "http_request_path", "http_request_uri", "http_response_data", "http_status_line",
    "is_open", "websocket_extensions", "websocket_origin", "websocket_protocols", "_wskey",
}  # fmt: skip
_AT_REST: dict[str, Any] = {
    **dict.fromkeys((
        "autoPingPending", "autoPingPendingCall", "autoPingPendingSent", "autoPingTimeoutCall",
        "closeHandshakeTimeoutCall", "current_frame", "localCloseCode", "localCloseReason",
        "openHandshakeTimeoutCall", "remoteCloseCode", "remoteCloseReason", "trackedTimings",
        "wasNotCleanReason", "websocket_protocol_in_use", "_perMessageCompress",
    ), None),
    **dict.fromkeys((
        "closedByMe", "droppedByMe", "failedByMe", "inside_message", "triggered", "wasClean",
        "wasCloseHandshakeTimeout", "wasMaxFramePayloadSizeExceeded", "wasMaxMessagePayloadSizeExceeded",
        "wasOpenHandshakeTimeout", "wasServerConnectionDropTimeout", "wasServingFlashSocketPolicyFile",
    ), False),
    "autoPingPendingSeq": 0,
    "data": b"",
    "send_state": 0,
}  # fmt: skip
"""Fields that most open connections have the same value in."""


_NOWHERE = object()


class _Unheard:
    """Stands in for a Deferred that nobody waits for, and keeps nothing."""

    def callback(self, result: object) -> None:
        pass


# Whatever would put something into one of these must not reach other connections.
_SHARED: dict[str, Any] = {
    "is_closed": _Unheard(),
    "send_queue": (),
    "trafficStats": TrafficStats(),
    "utf8validator": Utf8Validator(),
    "websocket_extensions_in_use": (),
}
"""What an open connection never asks."""


class Silent:
    """Stands in for Autobahn's own log, which would warn about every misbehaving client and format each read."""

    def debug(self, *args: object, **fields: object) -> None:
        """Nothing; the most frequent, and so not found by `__getattr__` each time."""

    def __getattr__(self, name: str) -> Any:
        return self.debug


def accept(compression: Agreement, offers: Sequence[PerMessageDeflateOffer]) -> PerMessageDeflateOfferAccept:
    """What Autobahn is to answer to the client's offers, of which it sees one."""
    # The one offer is that of `Agreement.request`.
    return PerMessageDeflateOfferAccept(
        offers[0],
        request_no_context_takeover=True,
        request_max_window_bits=compression.client_window or 0,
        no_context_takeover=True,
    )


def handshake_bytes(key: str, compression: Agreement | None = None) -> bytes:
    """The opening handshake for Autobahn, made of what was checked and nothing else of the client's request."""
    lines = [
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *([] if compression is None else [f"Sec-WebSocket-Extensions: {compression.request}"]),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


def configured(protocol: type, factory: Any) -> type:
    """`protocol` with what is the same for all connections.

    These are the factory's settings, which Autobahn would copy into each, and what `forget_opening` leaves out.
    """
    settings = {name: getattr(factory, name) for name in protocol.CONFIG_ATTRS}  # type: ignore[attr-defined]
    shared = {name: staticmethod(value) if callable(value) else value for name, value in settings.items()}
    return type(protocol.__name__, (protocol,), {**shared, **_AT_REST, **_SHARED, "CONFIG_ATTRS": ()})


def forget_opening(transport: Any) -> None:
    """Drop what an open WebSocket of Autobahn needs no more, and what its class knows as well.

    That is 3 kB of each connection; a field that changes later is the connection's own again.
    """
    shared = type(transport)
    transport.__dict__ = {
        name: value
        for name, value in vars(transport).items()
        if name not in _OF_THE_REQUEST and name not in _SHARED and getattr(shared, name, _NOWHERE) is not value
    }
