"""All that takes part: a node of RabbitMQ, the proxy before it, the service, its clients, and the publisher."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Any

from tests.faults import launcher
from tests.faults.checker import Violation, check, owed
from tests.faults.frames import AckDoubler
from tests.faults.peers import Crowd
from tests.faults.publisher import Publisher
from tests.faults.traffic import FOR_ALL, event, population
from tests.intake.brokered import Brokered
from tests.service.servers import complaints
from tests.support.processes import free_port
from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitMQ

HEARTBEAT = 2
PATIENCE = 120.0
"""Seconds to wait at most for anything; the machine may be busy."""
REPEATED = {"doubled", "reordered"}
"""How an event that is emitted a second time shows."""
LATENCY = 0.05
"""Seconds by which the proxy is late, so that acknowledgements are under way when a fault comes."""
PACE = 20
"""Events between two pauses of the publisher, so that a phase lasts long enough for its fault to fall into it."""


class Watched(Brokered):
    """The service with a launcher that tells which timers it holds."""

    launcher = (sys.executable, "-m", launcher.__name__)


class Stage:
    """Everything running, as an async context manager; `options` go to the service.

    `with_bad` has the stream hold events that become dead letters.
    """

    def __init__(self, node: RabbitMQ, *options: str, with_bad: bool = False) -> None:
        self.node = node
        self.with_bad = with_bad
        self.port = free_port()
        self.acks = AckDoubler()
        self.proxy = Proxy(node.port, outgoing=self.acks)
        listen = f"tcp:{self.port}:interface=127.0.0.1:backlog=200"
        self.service = Watched(
            node, "--listen", listen, "--rabbitmq-heartbeat", str(HEARTBEAT), *options,
            env={"RABBITMQ_URL": f"amqp://guest:guest@127.0.0.1:{self.proxy.port}/%2f"},
        )  # fmt: skip
        self.publisher = Publisher(node.url, self.service.names.exchange)
        self.crowd = Crowd(self.port, population())
        self.output: list[str] = []
        self._next = 0

    async def __aenter__(self) -> Stage:
        await self.proxy.accept()
        await asyncio.to_thread(self.service.start)
        await self.crowd.enter()
        await self.publisher.start()
        return self

    async def ended(self, how: signal.Signals) -> int:
        """End the service by a signal; return its exit status once every client knows."""
        program = self.service.program
        program.process.send_signal(how)
        status = await asyncio.to_thread(program.wait)
        self.output += program.output
        await self.until(lambda: not any(peer.is_in.is_set() for peer in self.crowd.peers))
        return status

    async def started_again(self) -> None:
        """Start the service again; return once the clients are back and it consumes."""
        await asyncio.to_thread(self.service.start, wait=False)
        await self.crowd.all_in()
        await self.until_ready(lambda body: body["broker"] == "connected")

    async def __aexit__(self, *exc: object) -> None:
        await self.publisher.stop()
        await self.crowd.leave()
        await asyncio.to_thread(self.service.stop)
        self.output += self.service.program.output
        await self.proxy.__aexit__()

    # The stream

    async def publish(self, count: int, over: asyncio.Event | None = None) -> None:
        """Publish the next events, at least so many and until it is `over`, not all at once.

        Return when the broker has taken them over.
        """
        for at in itertools.count():
            if at >= count and (over is None or over.is_set()):
                break
            await self.publisher.publish(event(self._next, with_bad=self.with_bad))
            self._next += 1
            if at % PACE == 0:
                await asyncio.sleep(PACE / 1000)
        await self.publisher.flush()

    async def during(self, count: int, fault: Callable[[], Awaitable[None]]) -> None:
        """Have `fault` happen while events are published; return when all of them have been heard.

        They are at least `count`, and they do not end before the fault does.
        """
        confirmed, over = len(self.publisher.confirmed), asyncio.Event()
        self.proxy.latency = LATENCY
        publishing = asyncio.ensure_future(self.publish(count, over))
        try:
            await self.until(lambda: len(self.publisher.confirmed) > confirmed + count // 4)
            await fault()
        finally:
            over.set()
        self.proxy.latency = 0.0
        await asyncio.wait_for(publishing, PATIENCE)
        await self.heard_all()

    async def heard_all(self) -> None:
        """Return when as much was heard as is owed; AssertionError with what is missing if that does not come."""
        due = sum(owed(history, self.publisher.confirmed) for history in self.crowd.histories)
        end = time.monotonic() + PATIENCE
        while self.crowd.heard < due:
            assert time.monotonic() < end, (self.summary(), await self.ready(), self.service.program.output[-30:])
            await asyncio.sleep(0.05)

    async def heard_more(self, count: int = 1) -> None:
        """Return when so many more emissions were heard."""
        heard = self.crowd.heard
        await self.until(lambda: self.crowd.heard >= heard + count)

    # Watching

    async def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Return when `condition` holds."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "did not happen in time"
            await asyncio.sleep(0.01)

    async def ready(self) -> dict[str, Any]:
        """The body of GET /ready."""
        return await asyncio.to_thread(self.service.ready)

    async def until_ready(self, condition: Callable[[dict[str, Any]], Any], seconds: float = PATIENCE) -> None:
        """Return when GET /ready answers so that `condition` holds."""
        end = time.monotonic() + seconds
        while not condition(body := await self.ready()):
            assert time.monotonic() < end, body
            await asyncio.sleep(0.05)

    async def connections(self) -> int:
        """How many consumers the service has had."""
        return int((await self.ready())["messages"]["connections"])

    async def reconnected(self, before: int, seconds: float = PATIENCE) -> None:
        """Return when the service consumes again, by another connection than its first `before`."""
        await self.until_ready(
            lambda body: body["messages"]["connections"] > before and body["broker"] == "connected", seconds
        )

    def logged(self, text: str) -> int:
        """How many lines of the service's log hold `text`."""
        return sum(text in line for line in self.service.program.output)

    async def holdings(self) -> dict[str, Any]:
        """What the service holds: open files and timers."""
        program = self.service.program
        told = self.logged(launcher.MARK)
        os.kill(program.process.pid, signal.SIGUSR2)
        await self.until(lambda: self.logged(launcher.MARK) > told)
        line = [line for line in program.output if launcher.MARK in line][-1]
        files = len(os.listdir(f"/proc/{program.process.pid}/fd"))  # noqa: PTH208 - no paths are wanted
        return {"files": files, "timers": json.loads(line.partition(launcher.MARK)[2])}

    async def holds(self, before: dict[str, Any]) -> None:
        """Return when the service holds what it held `before`: timers that watch over calls end by themselves."""
        end = time.monotonic() + PATIENCE
        while (now := await self.holdings()) != before:
            assert time.monotonic() < end, (now, before)
            await asyncio.sleep(0.5)

    # The end

    def violations(self) -> list[Violation]:
        """What clients should have heard and did not, and the other way round."""
        return check(self.publisher.confirmed, self.crowd.histories)

    def summary(self) -> dict[str, Any]:
        """How many violations of each kind, and the first of them."""
        found = self.violations()
        return {"counts": Counter(each.what for each in found), "first": found[:10]}

    async def dead(self) -> set[str]:
        """The message ids of the dead letters, which are taken out."""
        letters = await asyncio.to_thread(self.service.dead)
        return {properties.message_id for _, properties, _ in letters}

    async def check(self, *, in_doubt: AbstractSet[int] = frozenset()) -> None:
        """AssertionError unless all was heard once, in order, and nothing is left on the broker or in the log.

        Events that are `in_doubt` may have been heard twice.
        """
        self._next += (FOR_ALL - self._next) % 200
        await self.publish(1)  # behind all others, so that a late repetition has come when this has
        await self.heard_all()
        await self._drained()
        found = [each for each in self.violations() if each.number not in in_doubt or each.what not in REPEATED]
        assert found == [], self.summary()
        assert await self.dead() == {f"event {each.number}" for each in self.publisher.confirmed if not each.told}
        assert self.publisher.returned == []
        assert [fault for peer in self.crowd.peers for fault in peer.faults] == []
        await self.until_ready(lambda body: body["status"] == "READY")
        assert complaints([*self.output, *self.service.program.output]) == []

    async def _drained(self) -> None:
        end = time.monotonic() + PATIENCE
        while (queues := await asyncio.to_thread(self.node.queues))[self.service.names.queue]:
            assert time.monotonic() < end, queues
