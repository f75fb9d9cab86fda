"""Five thousand clients of every kind come and go; nothing of them stays."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.leaks.cycles import CYCLES, Crowd
from tests.support.processes import Program

CONNECTS = 5000
ROUNDS = 5
# Cancelled timers stay in the reactor's heap until they are due or there are many; they hold nothing.
PASSING = {"twisted.internet.base.DelayedCall"}
SLACK_BLOCKS = 1000


@pytest.fixture(scope="module")
def states() -> Iterator[tuple[Crowd, list[dict[str, Any]]]]:
    """What the server held, at rest, before the crowd and after each fifth of it."""
    with Program([sys.executable, "-m", "tests.leaks.server"]) as server:
        port = int(server.wait_for_output("listening on").rsplit(":", 1)[1])
        crowd = Crowd(port)

        async def visit() -> list[dict[str, Any]]:
            found = [await crowd.calm_state()]
            for _ in range(ROUNDS):
                await crowd.run(CONNECTS // ROUNDS)
                found.append(await crowd.calm_state())
            return found

        yield crowd, asyncio.run(visit())


Visit = tuple[Crowd, list[dict[str, Any]]]


def test_every_client_went_the_way_it_meant_to(states: Visit) -> None:
    crowd, found = states
    assert sum(crowd.ran.values()) == CONNECTS
    assert set(crowd.ran) == set(CYCLES)
    assert crowd.faults(found[-1]["reasons"]) == []


def test_the_server_logged_no_error(states: Visit) -> None:
    assert states[1][-1]["complaints"] == []


@pytest.mark.parametrize(
    "what", ["sessions", "clients", "sockets", "rooms", "tasks", "timers", "readers", "files"]
)
def test_nothing_living_is_left(states: Visit, what: str) -> None:
    before, *rounds = states[1]
    assert [state["living"][what] for state in rounds] == [before["living"][what]] * ROUNDS


def test_no_object_of_the_server_is_left(states: Visit) -> None:
    second, last = states[1][2]["objects"], states[1][-1]["objects"]
    grown = {name: (second.get(name, 0), count) for name, count in last.items() if count > second.get(name, 0)}
    assert {name: counts for name, counts in grown.items() if name not in PASSING} == {}


def test_memory_is_flat_between_the_second_and_the_last_fifth(states: Visit) -> None:
    second, last = states[1][2], states[1][-1]
    assert last["blocks"] - second["blocks"] < SLACK_BLOCKS
    assert last["tracked"] - second["tracked"] < SLACK_BLOCKS
