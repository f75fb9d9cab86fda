"""What middleware raises to refuse, and what waiting for an acknowledgement raises."""

from __future__ import annotations

from typing import Any

from rtwist.errors import RtwistError


class ConnectionRefused(RtwistError):
    """Raised by connection middleware: the client gets a CONNECT_ERROR with `message` and `data`."""

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.data = data


class ConnectLater(RtwistError):
    """Raised by connection middleware for a passing cause: the transport closes, so that clients retry.

    A CONNECT_ERROR would stop them from retrying.
    """


class AckTimeout(RtwistError):
    """An acknowledgement did not come in time; `responses` holds those of a broadcast that did."""

    def __init__(self, responses: list[Any] | None = None) -> None:
        super().__init__("operation has timed out")
        self.responses = [] if responses is None else responses


class AckLost(RtwistError):
    """The client left before it acknowledged; `responses` holds those of a broadcast that came."""

    def __init__(self, responses: list[Any] | None = None) -> None:
        super().__init__("socket has been disconnected")
        self.responses = [] if responses is None else responses
