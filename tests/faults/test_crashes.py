"""The service is killed under the stream, again and again, and started again; its clients come back by themselves.

With `--state-directory` and `--rabbitmq-settle`, every client hears every event: none is lost, leaked or out of
order, and none comes twice but at the instant of a kill. What went to the operating system and could not be written
down any more is one batch at most, and nobody can tell whether it was heard: those events are counted from the
journal as the dead process left it, and only they may be heard twice.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.faults.stage import Stage
from tests.support.rabbitmq import RabbitMQ

KILLS = 6
EVENTS = 9_000
SETTLE = 4.0
BATCH = 10
"""What is acknowledged together, and so written down together, at most: `--rabbitmq-ack-batch`."""


class Crashes:
    """Kills the service of a stage, and knows what each life of it had not written down."""

    def __init__(self, stage: Stage, state: Path) -> None:
        self.stage = stage
        self.in_doubt: list[set[int]] = []
        self._state = state

    async def crash(self) -> None:
        """Kill the service, start it again, and return once it consumes."""
        stage = self.stage
        await stage.killed()
        self.in_doubt.append(stage.crowd.heard_of_now() - self._written())
        stage.crowd.next_life()
        await stage.started_again()

    def _written(self) -> set[int]:
        lines = [
            json.loads(line)
            for name in ("handled", "handled.old")
            if (self._state / name).exists()
            for line in (self._state / name).read_text().splitlines()
            if line
        ]
        return {int(event_id.removeprefix("event ")) for _, event_id in lines}


@pytest.mark.timeout(200)
def test_killed_again_and_again(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    options = ("--state-directory", str(tmp_path), "--rabbitmq-settle", str(SETTLE))
    stage = Stage(rabbitmq, *options, "--rabbitmq-ack-batch", str(BATCH), with_bad=True)
    crashes = Crashes(stage, tmp_path)

    async def run() -> None:
        async with stage:
            before = await stage.holdings()
            for _ in range(KILLS):
                await stage.during(EVENTS // KILLS, crashes.crash)
            in_doubt = set().union(*crashes.in_doubt)
            print("DBG", [len(each) for each in crashes.in_doubt], stage.summary(), (await stage.ready())["messages"])
            await stage.check(in_doubt=in_doubt)
            await stage.holds(before)

    asyncio.run(run())
    assert all(len(each) <= BATCH for each in crashes.in_doubt)
