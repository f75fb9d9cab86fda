"""The tree of errors: each says whose fault it is and what to answer.

- `RtwistError`
    - `ConfigError`: the operator's; which option, what was wrong, what to write instead.
    - `RemoteProtocolError`: the client broke Engine.IO or Socket.IO; its connection is closed.
    - `LocalProtocolError`: this program broke Socket.IO (reserved event name and the like).
    - `AuthError`: who the client says it is was not accepted; becomes a CONNECT_ERROR.
    - `KeysUnavailable`: nobody can be authenticated right now; the client should retry.
    - `Refused`: a request was understood and refused; becomes an acknowledgement or a REST answer.
    - `BadEvent`: a domain event cannot be used; its publisher should hear why.
        - `UnknownKind`: no rule is there for events of its kind.
"""

from __future__ import annotations


class RtwistError(Exception):
    """Everything rtwist raises on purpose."""


class ConfigError(RtwistError):
    """An option is missing or wrong; the text names the option and what to write instead."""


class RemoteProtocolError(RtwistError):
    """The peer sent something that Engine.IO v4 or Socket.IO v5 does not allow."""


class LocalProtocolError(RtwistError):
    """The calling code asked for something that Engine.IO v4 or Socket.IO v5 does not allow."""


class AuthError(RtwistError):
    """A token was missing or not accepted.

    `message` and `code` are what the client sees: `{"message": message, "data": {"code": code}}`.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class KeysUnavailable(RtwistError):
    """The keys that verify tokens cannot be had at the moment; trying again later may help."""


class Refused(RtwistError):
    """A request was understood and refused.

    `code` is one of `bad_request`, `forbidden`, `unauthorized`, `not_found`, `rate_limited`, `too_many`,
    `payload_too_large`; `message` is for people.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class BadEvent(RtwistError):
    """A domain event is not usable; the text says which field and why."""


class UnknownKind(BadEvent):
    """No rule is there for events of this kind; the text says which kind."""
