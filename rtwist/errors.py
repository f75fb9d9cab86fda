"""The tree of errors: each says whose fault it is and what to answer.

- `RtwistError`
    - `ConfigError`: the operator's; which option, what was wrong, what to write instead.
    - `RemoteProtocolError`: the client broke Engine.IO or Socket.IO; its connection is closed.
        - `LimitPassed`: what it sent is more than an option allows.
    - `LocalProtocolError`: this program broke Socket.IO or AMQP (reserved event name and the like).
    - `AuthError`: who the client says it is was not accepted; becomes a CONNECT_ERROR.
    - `KeysUnavailable`: nobody can be authenticated right now; the client should retry.
    - `AuthorizationUnavailable`: the authorization URL gave no usable answer; whoever asked is refused.
    - `Refused`: a request was understood and refused; becomes an acknowledgement or a REST answer.
    - `BadEvent`: a domain event cannot be used; its publisher should hear why.
        - `UnknownKind`: no rule is there for events of its kind.
    - `PartlyEmitted`: an event failed after some of its emissions had gone out.
    - `BrokerError`: the message broker or the way to it failed; a new connection may help.
        - `BrokerProtocolError`: the broker sent what AMQP 0-9-1 does not allow, or what cannot be read.
        - `BrokerClosed`: the broker ended the connection or the channel; its code and text.
            - `BrokerRefused`: it does not let this user into this virtual host; the operator's fault.
        - `BrokerTimeout`: the broker did not answer, or fell silent.
        - `BrokerLost`: the connection is gone.
            - `BrokerUntrusted`: the broker's certificate is not accepted; the operator's to decide.
    - `PublishError`: a message was not taken over by the broker; its publisher should hear why.
        - `Unroutable`: no queue is there for it.
        - `PublishNacked`: the broker could not take it.
        - `BrokerBusy`: the broker takes no messages at the moment.
    - `BusError`: what carries messages between nodes did not take one over.
        - `BusCut`: this node is cut off from the others, or was while a message was on its way.
        - `BusFull`: too much waits already.
    - `RedisError`: Redis or the way to it failed.
        - `RedisReplyError`: Redis answered a command with an error; its code and text.
        - `RedisBusy`: too many commands wait for Redis' answers; this one was not sent.
        - `RedisLost`: no connection, or it ended before the answer: a command may or may not have been run.
            - `RedisTimeout`: Redis did not answer, or fell silent.
            - `RedisRefused`: it does not let this user in, or do what rtwist needs; the operator's fault.
            - `RedisUntrusted`: the certificate is not accepted; the operator's to decide.
    - `StoreFailed`: what nodes share could not be read or written; trying again later may help.
"""

from __future__ import annotations


class RtwistError(Exception):
    """Everything rtwist raises on purpose."""


class ConfigError(RtwistError):
    """An option is missing or wrong; the text names the option and what to write instead."""


class RemoteProtocolError(RtwistError):
    """The peer sent something that Engine.IO v4 or Socket.IO v5 does not allow."""


class LimitPassed(RemoteProtocolError):
    """The peer sent more than an option allows; `limit` names the option, to be counted."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__(message)
        self.limit = limit


class LocalProtocolError(RtwistError):
    """The calling code asked for something that Engine.IO v4, Socket.IO v5 or AMQP 0-9-1 does not allow."""


class AuthError(RtwistError):
    """A token was missing or not accepted.

    `message` and `code` are what the client sees: `{"message": message, "data": {"code": code}}`.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.message = message
        self.code = code

    @property
    def limit(self) -> str | None:
        """The option that the token passed, if that is the cause."""
        return self.__cause__.limit if isinstance(self.__cause__, LimitPassed) else None


class KeysUnavailable(RtwistError):
    """The keys that verify tokens cannot be had at the moment; trying again later may help."""


class AuthorizationUnavailable(RtwistError):
    """The authorization URL gave no usable answer; the text says why, for the log only."""


class Refused(RtwistError):
    """A request was understood and refused.

    `code` is one of `bad_request`, `forbidden`, `unauthorized`, `not_found`, `rate_limited`, `too_many`,
    `payload_too_large`, `unroutable`, `unavailable`, and for a new token `token_invalid`, `token_expired`,
    `token_revoked`; `message` is for people. `limit` names the option that was passed, if one was, to be counted.
    """

    def __init__(self, code: str, message: str, *, limit: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.limit = limit


class BadEvent(RtwistError):
    """A domain event is not usable; the text says which field and why."""


class UnknownKind(BadEvent):
    """No rule is there for events of this kind; the text says which kind."""


class PartlyEmitted(RtwistError):
    """An event failed after some of its emissions had gone out; once more would be twice for some."""


class BrokerError(RtwistError):
    """The message broker or the way to it failed; a new connection may help."""


class BrokerProtocolError(BrokerError):
    """The broker sent what AMQP 0-9-1 does not allow, or a value that cannot be read."""


class BrokerClosed(BrokerError):
    """The broker ended the connection or the channel.

    `code` is the reply code of AMQP 0-9-1 (406, PRECONDITION_FAILED, and the like), `text` what the broker said.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class BrokerRefused(BrokerClosed):
    """The broker does not let this user into this virtual host; trying again is of no use."""


class BrokerTimeout(BrokerError):
    """The broker did not answer within the deadline, or fell silent; the text says which."""


class BrokerLost(BrokerError):
    """The connection is gone, or was closed by this side."""


class BrokerUntrusted(BrokerLost):
    """The broker's certificate is of an unknown authority or for another name; trying again is of no use."""


class PublishError(RtwistError):
    """A message was not taken over by the broker; its publisher should hear why."""


class Unroutable(PublishError):
    """A mandatory message reached no queue. `code` and `text` are the broker's (312, NO_ROUTE)."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class PublishNacked(PublishError):
    """The broker could not take the message (basic.nack): a full queue that rejects, or a fault of its own."""


class BrokerBusy(PublishError):
    """The broker takes no messages at the moment: an alarm blocks it, or too many publishes wait for it."""


class RedisError(RtwistError):
    """Redis or the way to it failed."""


class RedisReplyError(RedisError):
    """Redis answered with an error: `code` is its first word (WRONGTYPE, NOPERM, ...), `text` the rest."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


class RedisBusy(RedisError):
    """Too many commands wait for Redis' answers; this one was not sent."""


class RedisLost(RedisError):
    """There is no connection, or it ended before the answer; whether the command was run is unknown then."""


class RedisTimeout(RedisLost):
    """Redis did not answer within the deadline, or fell silent; the text says which."""


class RedisRefused(RedisLost):
    """Redis does not let this user in, or do what rtwist needs; trying again is of no use until it is changed."""


class RedisUntrusted(RedisLost):
    """The certificate of Redis is of an unknown authority or for another name; trying again is of no use."""


class BusError(RtwistError):
    """What carries messages between nodes did not take one over; the text says why."""


class BusCut(BusError):
    """This node is cut off from the others, or was while a message was on its way."""


class BusFull(BusError):
    """Too many messages, or bytes of them, wait to be taken over; the next ones are dropped."""


class StoreFailed(RtwistError):
    """What nodes share could not be read or written; the text says why. Trying again later may help."""
