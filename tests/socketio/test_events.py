"""Who is called for which event, in which order."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from rtwist.socketio.events import Handlers, Subscribable, _Registered
from tests.socketio.fakes import House


class Bell(Subscribable):
    def __init__(self) -> None:
        self._handlers = Handlers()
        self.heard: list[Any] = []

    def ring(self, event: str, *args: Any) -> list[Any]:
        return self._handlers.call(event, args)

    def keep(self, *args: Any) -> None:
        self.heard.append(args)


def test_handlers_are_called_in_the_order_they_were_added_catch_all_ones_first() -> None:
    bell = Bell()
    bell.on("a", lambda *args: bell.heard.append(("first", *args)))
    bell.on("a", lambda *args: bell.heard.append(("second", *args)))
    bell.on("b", bell.keep)
    bell._handlers.add_any(lambda *args: bell.heard.append(("any", *args)))
    assert bell.ring("a", 1) == []
    assert bell.heard == [("any", "a", 1), ("first", 1), ("second", 1)]


def test_async_handlers_start_in_the_order_they_were_added() -> None:
    bell = Bell()
    gate: Deferred[None] = Deferred()

    @bell.on("a")
    async def slow() -> None:
        bell.heard.append("started")
        await gate
        bell.heard.append("finished")

    bell.on("a", lambda: bell.heard.append("plain"))
    pending = bell.ring("a")
    assert bell.heard == ["started", "plain"]
    done = Deferred.fromCoroutine(bell._handlers.finish("a", pending))
    gate.callback(None)
    assert done.called
    assert bell.heard == ["started", "plain", "finished"]


def wrapped() -> Callable[..., Any]:
    @functools.wraps(lambda one: one)
    def around(*args: Any, **named: Any) -> Any:
        return args, named

    return around


@pytest.mark.parametrize(
    ("handler", "arguments"),
    [
        (lambda: (), 0), (lambda a: a, 1), (lambda a, b=1: (a, b), 2), (lambda *args: args, 3),
        (lambda a, *args: (a, args), 3), (lambda a, *, b=1: (a, b), 1), (lambda a, **named: (a, named), 1),
        (wrapped(), 1), (functools.partial(lambda a, b: (a, b), 1), 1), ([].append, 1), (Bell().keep, 3),
    ],
)  # fmt: skip
def test_each_kind_of_handler_gets_what_it_takes(handler: Callable[..., Any], arguments: int) -> None:
    registered = _Registered(handler, once=False)
    assert registered.takes(arguments)
    assert len((1, 2, 3)[: registered.most]) == arguments


def test_on_is_a_decorator_that_gives_the_function_back() -> None:
    bell = Bell()

    def handler() -> None:
        pass

    assert bell.on("a")(handler) is handler
    assert bell.on("a", handler) is handler


def test_once_means_once() -> None:
    bell = Bell()
    bell.once("a", bell.keep)
    bell.ring("a", 1)
    bell.ring("a", 2)
    assert bell.heard == [(1,)]
    assert not bell._handlers.has("a")


def test_a_handler_for_once_that_rings_again_is_not_called_again() -> None:
    bell = Bell()
    bell.once("a", lambda: (bell.keep(), bell.ring("a")))
    bell.ring("a")
    assert bell.heard == [()]


@pytest.mark.parametrize("add", ["on", "once"])
def test_off_takes_a_handler_away_whether_function_or_method(add: str) -> None:
    bell = Bell()

    def function() -> None:
        bell.heard.append("function")

    getattr(bell, add)("a", function)
    getattr(bell, add)("a", bell.keep)
    bell.on("a", lambda: bell.heard.append("other"))
    bell.off("a", function)
    bell.off("a", bell.keep)
    bell.off("nothing", function)
    bell.ring("a")
    assert bell.heard == ["other"]
    bell.off("a")
    assert not bell._handlers.has("a")


def test_handlers_added_or_removed_by_a_handler_count_from_the_next_event() -> None:
    bell = Bell()

    def last() -> None:
        bell.heard.append("last")

    def first() -> None:
        bell.heard.append("first")
        bell.on("a", first)
        bell.off("a", last)

    bell.on("a", first)
    bell.on("a", last)
    bell.ring("a")
    assert bell.heard == ["first", "last"]
    bell.ring("a")
    assert bell.heard == ["first", "last", "first", "first"]


@pytest.mark.parametrize("add", ["on", "once"])
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_arguments_are_a_warning_without_traceback_and_no_call(
    house: House, add: str, count: int
) -> None:
    bell = Bell()

    def handler(one: int, two: int, three: int = 3) -> None:
        bell.heard.append((one, two, three))

    getattr(bell, add)("a", handler)
    bell.ring("a", *range(count))
    assert bell.heard == []
    assert len(house.warnings) == 1
    bell.ring("a", 1, 2)
    assert bell.heard == [(1, 2, 3)]


@pytest.mark.parametrize("add", ["on", "once"])
def test_a_handler_gets_as_many_arguments_as_it_takes(house: House, add: str) -> None:
    bell = Bell()

    def named(one: int, two: int = 2, *, three: int = 3) -> None:
        bell.heard.append((one, two, three))

    async def later(one: int) -> None:
        bell.heard.append(one)

    for handler in (named, later, bell.keep, lambda: bell.heard.append("nothing")):
        getattr(bell, add)("a", handler)
    bell._handlers.add_any(lambda event: bell.heard.append(event))  # noqa: PLW0108 - takes one argument exactly
    bell.ring("a", 7, 8, 9)
    assert bell.heard == ["a", (7, 8, 3), 7, (7, 8, 9), "nothing"]
    assert house.warnings == []


def test_handlers_that_fail_are_logged_and_stop_nobody_else(house: House) -> None:
    bell = Bell()

    async def later() -> None:
        raise ValueError("later")

    def now() -> None:
        raise ValueError("now")

    bell.on("a", now)
    bell.on("a", later)
    bell.on("a", bell.keep)
    pending = bell.ring("a")
    assert bell.heard == [()]
    Deferred.fromCoroutine(bell._handlers.finish("a", pending))
    house.forgive("ValueError: now", "ValueError: later")


def test_callables_that_tell_no_signature_are_called() -> None:
    bell = Bell()
    bell.on("a", dict)
    bell.on("a", max)
    bell.on("a", bell.heard.append)
    bell.ring("a", [1, 2])
    assert bell.heard == [[1, 2]]
