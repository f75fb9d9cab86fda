"""Handlers by event name: plain functions or `async def`, called in the order they were added."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any, TypeVar, overload

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from rtwist.quoting import quoted

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)


class Handlers:
    """What is to be called for which event; a failing handler is logged and stops nobody else."""

    _log = Logger()
    __slots__ = ("_any", "_by_event")

    def __init__(self) -> None:
        self._by_event: dict[str, list[_Registered]] = {}
        self._any: list[_Registered] = []

    def add(self, event: str, handler: Handler, *, once: bool = False) -> None:
        """Call `handler` for each `event` from now on, or for the next one only."""
        self._by_event.setdefault(event, []).append(_Registered(handler, once=once))

    def add_any(self, handler: Handler) -> None:
        """Call `handler` with the name and the arguments of each event, before the event's own handlers."""
        self._any.append(_Registered(handler))

    def remove(self, event: str, handler: Handler | None = None) -> None:
        """Stop calling `handler`, or all handlers of `event`."""
        kept = [] if handler is None else [one for one in self._by_event.get(event, ()) if one.call != handler]
        if kept:
            self._by_event[event] = kept
        else:
            self._by_event.pop(event, None)

    def clear(self) -> None:
        """Forget every handler, and with them whatever they hold on to."""
        self._by_event = {}
        self._any = []

    def has(self, event: str) -> bool:
        """Whether anybody listens for `event`."""
        return event in self._by_event

    def call(self, event: str, args: Sequence[Any]) -> list[Awaitable[Any]]:
        """Call the handlers of an `event` of the client; returns what is still going on, in order."""
        pending: list[Awaitable[Any]] = []
        for one in tuple(self._any):
            pending += self._call_one(one, event, (event, *args))
        return pending + self.announce(event, args)

    def announce(self, event: str, args: Sequence[Any]) -> list[Awaitable[Any]]:
        """`call` for news of the server's own, which those who hear every event do not hear."""
        pending: list[Awaitable[Any]] = []
        # Whom a handler adds or removes counts from the next event.
        for one in tuple(self._by_event.get(event, ())):
            if not one.once or not one.takes(len(args)) or self._used_up(event, one):
                pending += self._call_one(one, event, args)
        return pending

    def call_alone(self, handler: Handler, event: str, args: Sequence[Any]) -> list[Awaitable[Any]]:
        """Call a `handler` that was not added, with the same care."""
        return self._call_one(_Registered(handler), event, args)

    async def finish(self, event: str, pending: Sequence[Awaitable[Any]]) -> None:
        """Wait for what `call` left going on, logging what fails."""
        for awaitable in pending:
            try:
                await awaitable
            except CancelledError:
                self._log.info("handler of {event} was cancelled", event=quoted(event))
            except Exception:
                self._log.failure("handler of {event} failed", event=quoted(event))

    def _used_up(self, event: str, one: _Registered) -> bool:
        handlers = self._by_event.get(event, [])
        if one not in handlers:
            return False
        handlers.remove(one)
        if not handlers:
            del self._by_event[event]
        return True

    def _call_one(self, handler: _Registered, event: str, args: Sequence[Any]) -> list[Awaitable[Any]]:
        if not handler.takes(len(args)):
            # The number of arguments is the client's choice: no fault of the handler, no traceback.
            text = "handler of {event} needs more than {count} arguments"
            self._log.warn(text, event=quoted(event), count=len(args))
            return []
        try:
            result = handler.call(*args[: handler.most])
        except Exception:
            self._log.failure("handler of {event} failed", event=quoted(event))
            return []
        if isinstance(result, Coroutine):
            # It begins now, as in its turn a plain handler would.
            result = Deferred.fromCoroutine(result)
        return [result] if isinstance(result, (Deferred, Awaitable)) else []


class _Registered:
    """A handler and how many positional arguments it takes."""

    __slots__ = ("_least", "call", "most", "once")

    def __init__(self, handler: Handler, *, once: bool = False) -> None:
        self.call = handler
        self.once = once
        self._least, self.most = _arity(handler)

    def takes(self, count: int) -> bool:
        """Whether `count` arguments are enough; as in JavaScript, more than `most` are no fault."""
        return self._least <= count


def _arity(handler: Handler) -> tuple[int, int | None]:
    if isinstance(handler, FunctionType) and not handler.__dict__:  # where a decorator leaves what it wraps
        # Closures made for each connection have one code object, and looking closely takes long.
        return _arity_of_code(handler.__code__, len(handler.__defaults__ or ()))
    return _inspected(handler)


@lru_cache(maxsize=1024)
def _arity_of_code(code: CodeType, defaults: int) -> tuple[int, int | None]:
    most = code.co_argcount
    return most - defaults, None if code.co_flags & inspect.CO_VARARGS else most


def _inspected(handler: Handler) -> tuple[int, int | None]:
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return 0, None
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    least = sum(1 for p in positional if p.default is p.empty)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return least, None
    return least, len(positional)


class Subscribable:
    """`on`, `once` and `off`, as every Socket.IO user knows them."""

    __slots__ = ()

    _handlers: Handlers

    @overload
    def on(self, event: str) -> Callable[[H], H]: ...

    @overload
    def on(self, event: str, handler: H) -> H: ...

    def on(self, event: str, handler: H | None = None) -> H | Callable[[H], H]:
        """Call `handler` for each `event`; without a handler this is a decorator."""
        if handler is not None:
            self._handlers.add(event, handler)
            return handler

        def decorate(function: H) -> H:
            self._handlers.add(event, function)
            return function

        return decorate

    def once(self, event: str, handler: Handler) -> None:
        """Call `handler` for the next `event` only."""
        self._handlers.add(event, handler, once=True)

    def off(self, event: str, handler: Handler | None = None) -> None:
        """Stop calling `handler`, or all handlers of `event`."""
        self._handlers.remove(event, handler)
