"""The service is killed under the stream, again and again, and started again; its clients come back themselves.

With `--state-directory` and `--rabbitmq-settle` every client hears every event: none is lost, none comes to
others, none out of order. None comes twice, with one exception: a kill can fall between writing an emission
to a socket and writing its event down, and nothing that the process leaves behind says how far it got. These
events are known from the journal as the dead process left it. They are of one batch at most, and only they
may be heard twice; the next life emits them all. A service that is asked to stop leaves no event in doubt.
"""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest

from tests.faults.stage import Stage
from tests.support.rabbitmq import RabbitMQ

EVENTS = 7_000
SETTLE = 10.0
BATCH = 10
"""What is acknowledged together, and so written down together, at most: `--rabbitmq-ack-batch`."""


class Lives:
    """Ends the lives of a stage's service, and knows which emitted events each had not written down."""

    def __init__(self, stage: Stage, state: Path) -> None:
        self.stage = stage
        self.killed: list[set[int]] = []
        self.stopped: list[set[int]] = []
        self._state = state

    async def kill(self) -> None:
        """Kill the service, start it again, and return once it consumes."""
        assert await self.stage.ended(signal.SIGKILL) == -signal.SIGKILL
        self.killed.append(self._in_doubt())
        await self._go_on()

    async def stop(self) -> None:
        """Stop the service as its supervisor would, start it again, and return once it consumes."""
        assert await self.stage.ended(signal.SIGTERM) == 0
        self.stopped.append(self._in_doubt())
        await self._go_on()

    async def kill_twice(self) -> None:
        """Kill it, and once more before it has begun to consume."""
        assert await self.stage.ended(signal.SIGKILL) == -signal.SIGKILL
        self.killed.append(self._in_doubt())
        self.stage.crowd.next_life()
        await asyncio.to_thread(self.stage.service.start, wait=False)
        await self.kill()

    async def kill_with_broker(self) -> None:
        """Kill both, as when the machine they share loses its processes."""
        node = self.stage.node
        await asyncio.to_thread(node.ctl, "eval", "mnesia:dump_log().")
        await asyncio.to_thread(node.kill)
        starting = asyncio.ensure_future(asyncio.to_thread(node.start))
        await self.kill()
        await starting

    async def _go_on(self) -> None:
        self.stage.crowd.next_life()
        await self.stage.started_again()

    def _in_doubt(self) -> set[int]:
        return self.stage.crowd.heard_of_now() - self._written()

    def _written(self) -> set[int]:
        lines = [
            json.loads(line)
            for name in ("handled", "handled.old")
            if (self._state / name).exists()
            for line in (self._state / name).read_text().splitlines()
            if line
        ]
        return {int(what.removeprefix("event ")) for _, what in lines if isinstance(what, str)}


def run(rabbitmq: RabbitMQ, state: Path, count: int, ends: list[str], *options: str) -> None:
    """Publish `count` events to a service whose lives have these ends."""
    settings = {
        "--state-directory": state,
        "--rabbitmq-settle": SETTLE,
        "--rabbitmq-ack-batch": BATCH,
        # Shorter than the time between a death and the first event after it.
        "--dedup-window": SETTLE - 1,
    }
    given = (str(each) for setting in settings.items() for each in setting)
    stage = Stage(rabbitmq, *given, *options, with_bad=True)
    lives = Lives(stage, state)

    async def play() -> None:
        async with stage:
            before = await stage.holdings()
            for name in ends:
                await stage.during(count // len(ends), getattr(lives, name))
            await stage.check(in_doubt=set().union(*lives.killed))
            await stage.holds(before)

    asyncio.run(play())
    assert all(len(each) <= BATCH for each in lives.killed), lives.killed
    assert not any(lives.stopped), lives.stopped


@pytest.mark.timeout(600)
def test_killed_again_and_again(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    ends = ["kill", "kill", "stop", "kill_twice", "kill_with_broker", "stop", "kill"]
    run(rabbitmq, tmp_path, EVENTS, ends)


@pytest.mark.timeout(300)
def test_quorum_queue(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    run(rabbitmq, tmp_path, 1200, ["kill", "stop"], "--rabbitmq-queue-type", "quorum")
