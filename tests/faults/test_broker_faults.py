"""Whatever happens between broker and service, clients that stay connected hear everything once, in order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest

from tests.faults.stage import HEARTBEAT, PATIENCE, Stage
from tests.support.rabbitmq import RabbitMQ

EVENTS = 20_000
WINDOW = 1.0


class Faults:
    """Each returns once the service consumes again; `between` publishes nothing while it happens."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.node, self.proxy = stage.node, stage.proxy

    async def broker_killed(self) -> None:
        before = await self.stage.connections()
        # RabbitMQ 3.10 answers queue.declare before the declaration is on disk; this is about messages.
        await asyncio.to_thread(self.node.ctl, "eval", "mnesia:dump_log().")
        await asyncio.to_thread(self.node.kill)
        await self.stage.until_ready(lambda body: body["broker"].startswith("connecting: "))
        await asyncio.to_thread(self.node.start)
        await self.stage.reconnected(before)

    async def broker_restarted(self) -> None:
        before = await self.stage.connections()
        await asyncio.to_thread(self.node.shut_down)
        await self.stage.until_ready(lambda body: body["broker"].startswith("connecting: "))
        await asyncio.to_thread(self.node.start)
        await self.stage.reconnected(before)

    async def broker_hung(self) -> None:
        before = await self.stage.connections()
        self.node.signal(signal.SIGSTOP)
        try:
            await self.stage.until_ready(
                lambda body: body["broker"].startswith("connecting: "), 2 * HEARTBEAT + 10
            )
        finally:
            self.node.signal(signal.SIGCONT)
        await self.stage.reconnected(before)
        assert self.stage.logged(f"nothing was heard of the broker for {2 * HEARTBEAT} s")

    async def service_hung(self) -> None:
        """Until the broker has given it up; the clients have more patience."""
        before, process = await self.stage.connections(), self.stage.service.program.process
        process.send_signal(signal.SIGSTOP)
        try:
            await self.node_lists("list_consumers", self.stage.service.names.queue, listed=False)
        finally:
            process.send_signal(signal.SIGCONT)
        await self.stage.reconnected(before)

    async def node_lists(self, what: str, name: str, *, listed: bool) -> None:
        """Return when the broker's list of something holds `name`, or holds it no more."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while (name in await asyncio.to_thread(self.node.ctl, what)) is not listed:
            assert asyncio.get_running_loop().time() < end, what

    async def connection_half_open(self) -> None:
        before, heard = await self.stage.connections(), self.stage.logged("nothing was heard of the broker")
        self.proxy.hold()
        await self.stage.reconnected(before, 2 * HEARTBEAT + 10)
        assert self.stage.logged("nothing was heard of the broker") > heard
        self.proxy.release()

    async def connection_cut(self) -> None:
        for _ in range(3):
            before = await self.stage.connections()
            self.proxy.cut()
            await self.stage.reconnected(before)
            await self.stage.heard_more()

    async def connection_cut_and_refused(self) -> None:
        before = await self.stage.connections()
        self.proxy.refuse()
        self.proxy.cut()
        await self.stage.until_ready(lambda body: body["broker"].startswith("connecting: "))
        await self.proxy.accept()
        await self.stage.reconnected(before)

    async def long_outage(self) -> None:
        before = await self.stage.connections()
        self.proxy.refuse()
        self.proxy.cut()
        await asyncio.sleep(2 * WINDOW)  # which is how long the outage lasts
        await self.proxy.accept()
        await self.stage.reconnected(before)

    async def connection_sliced(self) -> None:
        before = await self.stage.connections()
        self.proxy.piece = 1
        self.proxy.cut()
        await self.stage.reconnected(before)
        await self.stage.heard_more(500)
        self.proxy.piece = 0

    async def acknowledged_twice(self) -> None:
        before, doubled = await self.stage.connections(), self.stage.acks.doubled
        self.stage.acks.armed = True
        await self.stage.until(lambda: self.stage.acks.doubled > doubled)
        await self.stage.reconnected(before)
        assert self.stage.logged("406")

    async def memory_alarm(self) -> None:
        await asyncio.to_thread(self.node.ctl, "set_vm_memory_high_watermark", "0.00001")
        try:
            await self.stage.until(lambda: self.stage.publisher.blocked)
            await self.stage.heard_all()
        finally:
            await asyncio.to_thread(self.node.ctl, "set_vm_memory_high_watermark", "0.4")

    async def queue_deleted(self) -> None:
        before = await self.stage.connections()
        await asyncio.to_thread(self.node.ctl, "delete_queue", self.stage.service.names.queue)
        await self.stage.reconnected(before)


async def run(stage: Stage, phases: list[tuple[int, str]]) -> None:
    faults = Faults(stage)
    async with stage:
        await stage.publish(500)
        await stage.heard_all()
        before = await stage.holdings()
        for count, name in phases:
            fault: Callable[[], Awaitable[None]] = getattr(faults, name)
            if name == "queue_deleted":  # what is in it goes with it
                await fault()
                await stage.publish(count)
            else:
                await stage.during(count, fault)
        await stage.check()
        await stage.holds(before)


PHASES = [
    "broker_killed", "queue_deleted", "acknowledged_twice", "connection_half_open", "memory_alarm",
    "connection_cut", "broker_restarted", "connection_cut_and_refused", "service_hung", "broker_hung",
]  # fmt: skip


@pytest.mark.timeout(600)
def test_classic_queue(rabbitmq: RabbitMQ) -> None:
    sliced = 600
    each = (EVENTS - 500 - sliced) // len(PHASES)
    stage = Stage(rabbitmq)
    asyncio.run(run(stage, [*((each, name) for name in PHASES), (sliced, "connection_sliced")]))


@pytest.mark.timeout(300)
def test_quorum_queue(rabbitmq: RabbitMQ) -> None:
    phases = ["acknowledged_twice", "broker_killed", "connection_half_open", "queue_deleted", "connection_cut"]
    stage = Stage(rabbitmq, "--rabbitmq-queue-type", "quorum")
    asyncio.run(run(stage, [(600, name) for name in phases]))


@pytest.mark.timeout(300)
def test_an_outage_that_is_longer_than_the_window_of_ids(rabbitmq: RabbitMQ) -> None:
    stage = Stage(rabbitmq, "--dedup-window", str(WINDOW))
    asyncio.run(run(stage, [(600, "long_outage"), (600, "long_outage")]))
