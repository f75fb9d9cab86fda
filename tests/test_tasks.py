"""Background coroutines."""

from __future__ import annotations

import gc
import warnings
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from rtwist.tasks import Tasks


async def wait_for(deferred: Deferred[Any], seen: list[Any] | None = None) -> None:
    result = await deferred
    if seen is not None:
        seen.append(result)


async def fail() -> None:
    raise ValueError("broken")


def test_a_task_runs_at_once_and_is_forgotten_when_it_ends() -> None:
    tasks, seen, gate = Tasks(), [], Deferred[str]()
    tasks.start("waiting", wait_for(gate, seen))
    assert len(tasks) == 1
    gate.callback("done")
    assert (seen, len(tasks)) == (["done"], 0)


def test_a_task_without_waiting_is_over_when_start_returns() -> None:
    tasks, seen, gate = Tasks(), [], Deferred[str]()
    gate.callback("at once")
    tasks.start("short", wait_for(gate, seen))
    assert (seen, len(tasks)) == (["at once"], 0)


def test_a_failure_is_logged_under_the_task_s_name_and_never_raised() -> None:
    tasks, gate = Tasks(), Deferred[None]()
    with capturedLogs() as logs:
        tasks.start("failing now", fail())
        tasks.start("failing later", wait_for(gate))
        gate.errback(ValueError("late"))
    assert [(event["name"], event["log_failure"].type) for event in logs] == [
        ("failing now", ValueError),
        ("failing later", ValueError),
    ]
    assert len(tasks) == 0


def test_stopping_cancels_what_runs_and_logs_nothing() -> None:
    tasks = Tasks()
    cancelled: list[Deferred[None]] = []
    gates = [Deferred[None](cancelled.append) for _ in range(3)]
    for gate in gates:
        tasks.start("waiting", wait_for(gate))
    with capturedLogs() as logs:
        tasks.stop()
    assert set(cancelled) == set(gates)
    assert (len(tasks), logs) == (0, [])


def test_a_failure_while_stopping_is_still_logged() -> None:
    async def clean_up(gate: Deferred[None]) -> None:
        try:
            await gate
        except CancelledError:
            raise ValueError("cannot clean up") from None

    tasks = Tasks()
    tasks.start("cleaning", clean_up(Deferred()))
    with capturedLogs() as logs:
        tasks.stop()
    assert [event["log_failure"].type for event in logs] == [ValueError]


def test_a_cancelled_deferred_while_nothing_stops_is_a_failure() -> None:
    tasks, gate = Tasks(), Deferred[None]()
    tasks.start("waiting", wait_for(gate))
    with capturedLogs() as logs:
        gate.cancel()
    assert [event["log_failure"].type for event in logs] == [CancelledError]


def test_after_stopping_nothing_starts_and_nothing_is_left_behind() -> None:
    async def outer(inner: Any) -> None:
        await inner

    seen: list[Any] = []
    tasks = Tasks()
    tasks.stop()
    gc.collect()
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        tasks.start("late", wait_for(Deferred(), seen))
        tasks.stop()
        gc.collect()
    assert (len(tasks), seen, complaints) == (0, [], [])
