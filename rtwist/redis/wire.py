"""One connection to Redis: txredisapi 1.6, repaired from outside. No other module imports it.

What is repaired:

- A login (AUTH) or SELECT that fails, or a connection lost meanwhile, ends reconnecting for ever: txredisapi does
  neither here, nor reconnecting (see `rtwist.redis.link`).
- What looks like a number or like text is converted, `007` to 7: everything stays bytes.
- A connection that is open but dead is never noticed: a PING of its own, see `Wire.beat`.
- An exception while a message is handled loses what was read behind it.
- An answer that nobody waits for shifts all that follow: the connection ends.
- Several channels in one SUBSCRIBE do the same: there is one channel in each.
- Commands wait without a bound.
- Without hiredis it is ten times slower, silently: hiredis must be there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtwist.authorities import why_ended
from rtwist.errors import (
    RedisBusy,
    RedisError,
    RedisLost,
    RedisRefused,
    RedisReplyError,
    RedisTimeout,
    RedisUntrusted,
)
from rtwist.redis.address import Login

try:
    import hiredis
    import txredisapi
except ImportError as error:
    raise ImportError(f"for Redis, install both: pip install txredisapi hiredis ({error})") from error

Message = Callable[[list[Any]], None]
"""Takes a push of a subscription: its kind (`message`, `pmessage`, `smessage`), channel and so on, as bytes."""

_PUSHES = frozenset((b"message", b"pmessage", b"smessage"))
_UNASKED = frozenset((b"unsubscribe", b"punsubscribe", b"sunsubscribe"))
_WHAT_LOGINS_ARE_TOLD = ("WRONGPASS", "NOAUTH", "NOPERM", "DENIED", "LOADING")
_NO_PASSWORD = "without any password configured"  # noqa: S105 - what Redis says when it has none


class Waiter(Protocol):
    """What waits for answers, one for each command, in their order."""

    def callback(self, answer: Any) -> object:
        """The answer; an exception where Redis answers with an error, or none will come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WireOptions:
    """How a connection is kept.

    - `heartbeat`: seconds from one PING to the next. `timeout`: seconds that Redis has to answer it, to accept
      a connection, and to let us in; a script that runs longer than that ends the connection.
    - `max_waiting`: how many commands may wait for answers; the next one fails with `RedisBusy`.
    """

    heartbeat: float = 3.0
    timeout: float = 5.0
    max_waiting: int = 10_000


class Wire(txredisapi.HiredisProtocol):  # type: ignore[misc]  # txredisapi carries no types
    """A connection for commands; `where` is for people, `host` what the certificate is checked for.

    `reason` says why it ended, and is None until then.
    """

    _log = Logger()

    def __init__(self, clock: IReactorTime, options: WireOptions, where: str, host: str = "") -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.replyQueue.waiting = deque()  # taking the first of a list moves all others
        self.where = where
        self.reason: RedisLost | None = None
        self._clock = clock
        self._options = options
        self._host = host
        self._lost: list[Deferred[RedisLost]] = []
        self._timer: IDelayedCall | None = None

    # For the program

    def call(self, *args: str | bytes | int | float) -> Deferred[Any]:
        """Send a command; its answer, bytes, int, None or a list of such.

        Fails with `RedisReplyError`, with `RedisLost` at once when the connection is gone, or with `RedisBusy`.
        """
        if self.reason is None and self._is_full():
            return fail(self._busy())
        return self._send(args)

    def tell(self, waiter: Waiter, *args: str | bytes | int | float) -> RedisError | None:
        """Send a command as `call` does, without the cost of a Deferred; an error when it was not sent.

        Else `waiter` gets the answer, which `explained` puts into words if it is an exception.
        """
        if self.reason is not None:
            return self.reason
        if self._is_full():
            return self._busy()
        self.transport.write(self._build_command(*args))
        self.replyQueue.waiting.append(waiter)
        return None

    def flush(self) -> None:
        """Hand what was sent in this turn of the reactor to the operating system, as far as it takes it now.

        Otherwise that takes another turn. A connection over TLS waits for that.
        """
        transport = self.transport
        plain = isinstance(transport, FileDescriptor) and not getattr(transport, "TLS", False)
        if plain and self.reason is None and self._waits_to_leave():
            transport.doWrite()  # what goes wrong is found by the reactor

    def explained(self, error: BaseException | None) -> BaseException | None:
        """What an exception that was an answer means."""
        if isinstance(error, txredisapi.ResponseError):
            code, _, text = str(error).partition(" ")
            return RedisReplyError(code, text)
        if isinstance(error, txredisapi.RedisError):
            return self.reason or RedisLost(str(error))
        return error

    async def enter(self, login: Login, name: str, database: int = 0) -> None:
        """Log in, be called `name` in CLIENT LIST, and select the database; raises as `must` does."""
        if login.password is not None:
            user = () if login.user is None else (login.user,)
            await self.must("AUTH", *user, login.password)
        try:
            await self.must("CLIENT", "SETNAME", name)
            await self.must("PING")  # answered with an error while Redis loads its files
        except RedisRefused as error:
            if "NOPERM" not in str(error):  # it can be done without
                raise
        if database:
            await self.must("SELECT", database)

    async def must(self, *args: str | bytes | int | float) -> Any:
        """The answer to a command without which the connection is of no use.

        Raises `RedisRefused` when Redis answers with an error, and `RedisLost` as `call` does.
        """
        try:
            return await self.call(*args)
        except RedisReplyError as error:
            refusal = error
        # Redis repeats the arguments of what it does not understand, for AUTH a password; so not "from" it.
        told = args[0] != "AUTH" or refusal.code in _WHAT_LOGINS_ARE_TOLD or _NO_PASSWORD in refusal.text
        text = f"{args[0]!s} at {self.where}: {refusal if told else refusal.code}"
        raise (RedisLost if refusal.code == "LOADING" else RedisRefused)(text)

    def when_lost(self) -> Deferred[RedisLost]:
        """Fires with the reason once the connection is gone."""
        waiting: Deferred[RedisLost] = Deferred()
        if self.reason is None:
            self._lost.append(waiting)
        else:
            waiting.callback(self.reason)
        return waiting

    def beat(self) -> None:
        """Ask Redis for a sign of life, now and every `heartbeat` seconds; without one the connection ends."""
        late = RedisTimeout(f"{self.where} did not answer within {self._options.timeout:g} s")
        self._timer = self._clock.callLater(self._options.timeout, self.fail, late)
        self._send(("PING",)).addBoth(self._alive)

    def fail(self, reason: RedisLost) -> None:
        """End the connection at once."""
        if self._finish(reason):
            self.transport.abortConnection()

    # For txredisapi and Twisted

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Bytes came from Redis."""
        self._reader.feed(data)
        try:
            while self.reason is None and (reply := self._reader.gets()) is not False:
                self.replyReceived(reply)
        except (txredisapi.RedisError, ValueError) as error:
            self.fail(RedisLost(f"{self.where} sent what is not the protocol of Redis: {error}"))

    def replyReceived(self, reply: Any) -> None:
        """An answer is complete."""
        if self.replyQueue.waiting:
            self.replyQueue.waiting.popleft().callback(reply)
        else:  # Redis says so when it has too many clients, or is in protected mode
            said = f": {reply}" if isinstance(reply, Exception) else ""
            self.fail(RedisLost(f"{self.where} sent an answer to nothing{said}"))

    def connectionLost(self, why: Failure) -> None:
        """The transport is gone."""
        text, untrusted = why_ended(why, "its", self._host)
        self._finish(
            (RedisUntrusted if untrusted else RedisLost)(f"the connection to {self.where} is gone: {text}")
        )
        super().connectionLost(why)

    def _build_command(self, *args: Any, **_: Any) -> bytes:
        packed: bytes = hiredis.pack_command(args)
        return packed

    # Within

    def _send(self, args: tuple[Any, ...]) -> Deferred[Any]:
        if self.reason is not None:
            return fail(self.reason)
        answer: Deferred[Any] = self.execute_command(*args)
        return answer.addErrback(self._in_our_words)

    def _in_our_words(self, failure: Failure) -> Failure:
        explained = self.explained(failure.value)
        return failure if explained is failure.value else Failure(explained)

    def _waits_to_leave(self) -> bool:
        # Private to Twisted, so not relied upon to be there.
        return bool(getattr(self.transport, "_tempDataBuffer", ()) or getattr(self.transport, "dataBuffer", b""))

    def _is_full(self) -> bool:
        return len(self.replyQueue.waiting) >= self._options.max_waiting

    def _busy(self) -> RedisBusy:
        return RedisBusy(f"{self._options.max_waiting} commands wait for {self.where} to answer")

    def _alive(self, answer: Any) -> None:
        self._stop_timer()
        if self.reason is None:
            self._timer = self._clock.callLater(self._options.heartbeat, self.beat)
        if isinstance(answer, Failure):
            answer.trap(RedisError)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _finish(self, reason: RedisLost) -> bool:
        if self.reason is not None:
            return False
        self.reason = reason
        self._stop_timer()
        waiting, self.replyQueue.waiting = self.replyQueue.waiting, deque()
        lost, self._lost = self._lost, []
        for each in waiting:
            each.callback(txredisapi.ConnectionError("lost"))
        for one in lost:
            one.callback(reason)
        return True


class SubscriberWire(Wire):
    """A connection for subscriptions: `message` is called with each push, and is never to raise."""

    def __init__(
        self, clock: IReactorTime, options: WireOptions, where: str, host: str = "", *, message: Message
    ) -> None:
        super().__init__(clock, options, where, host)
        self._message = message

    def call(self, *args: str | bytes | int | float) -> Deferred[Any]:
        """The same without a bound on what waits: what is subscribed to is kept anyway, and a gap makes deaf."""
        return self._send(args)

    def replyReceived(self, reply: Any) -> None:
        """An answer or a push is complete."""
        if not isinstance(reply, list) or not reply:
            super().replyReceived(reply)
        elif reply[0] in _PUSHES:
            try:
                self._message(reply)
            except Exception:
                self._log.failure("a message from {where} could not be handled", where=self.where)
        elif reply[0] in _UNASKED and not self.replyQueue.waiting:
            self.fail(RedisLost(f"{self.where} ended a subscription"))
        else:
            super().replyReceived(reply)
