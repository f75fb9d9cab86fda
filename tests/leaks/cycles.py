"""Every way for a client to come and go, and a crowd of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from tests.leaks.peers import PATH, SECONDS, WIRES, Gone, Http, Polling, WebSocket, Wire

Cycle = Callable[[int, str], Awaitable[None]]
CROWD = 160
CYCLES: dict[str, Cycle] = {}
# The reason each kind's socket must hear; a kind that is missing never had a socket.
REASONS: dict[str, str] = {}
# Whether the poll or its answer is on the way when it breaks is a matter of luck here.
UNSURE = {"probe and poll reset"}


def cycle(reason: str | None = None) -> Callable[[Cycle], Cycle]:
    def register(run: Cycle) -> Cycle:
        name = run.__name__.replace("_", " ")
        CYCLES[name] = run
        if reason is not None:
            REASONS[name] = reason
        return run

    return register


async def websocket(port: int, kind: str) -> WebSocket:
    socket = await WebSocket.open(port)
    await socket.enter(kind)
    return socket


async def polling(port: int, kind: str) -> Polling:
    session = await Polling.open(port)
    await session.enter(kind)
    return session


async def upgraded(port: int, kind: str) -> WebSocket:
    return await (await polling(port, kind)).upgrade()


# WebSocket only


@cycle("transport close")
async def websocket_closed_by_client(port: int, kind: str) -> None:
    socket = await websocket(port, kind)
    socket.say('42["share",["some","data"]]')
    socket.finish()
    await socket.ended()


@cycle("client namespace disconnect")
async def websocket_disconnect_packet(port: int, kind: str) -> None:
    socket = await websocket(port, kind)
    socket.say("41")
    socket.finish()
    await socket.ended()


@cycle("transport close")
async def websocket_reset(port: int, kind: str) -> None:
    (await websocket(port, kind)).abort()


@cycle("ping timeout")
async def websocket_silent(port: int, kind: str) -> None:
    await (await websocket(port, kind)).ended()


@cycle("server namespace disconnect")
async def websocket_sent_away(port: int, kind: str) -> None:
    socket = await websocket(port, kind)
    socket.say('42["leave"]')
    await socket.hear_until("41")
    socket.finish()
    await socket.ended()


@cycle("server namespace disconnect")
async def websocket_closed_by_server(port: int, kind: str) -> None:
    socket = await websocket(port, kind)
    socket.say('42["close"]')
    await socket.ended()


@cycle("forced close")
async def websocket_bad_packet(port: int, kind: str) -> None:
    socket = await websocket(port, kind)
    socket.say("42{nonsense")
    await socket.ended()


@cycle("parse error")
async def websocket_bad_engine_packet(port: int, kind: str) -> None:
    socket = await websocket(port, kind)
    socket.say("9")
    await socket.ended()


@cycle("transport close")
async def websocket_reset_while_attachments_are_missing(port: int, kind: str) -> None:
    socket = await websocket(port, kind)
    socket.say('452-["upload",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
    socket.frame(2, bytes(1000))
    await socket.writer.drain()
    socket.abort()


@cycle("transport close")
async def websocket_reset_while_handlers_work(port: int, kind: str) -> None:
    socket = await websocket(port, kind)
    for number in range(5):
        socket.say(f'42{number}["work"]')
    await socket.writer.drain()
    socket.abort()


@cycle()
async def websocket_refused(port: int, kind: str) -> None:
    socket = await WebSocket.open(port)
    socket.say("40/members,")
    await socket.hear_until("44/members,")
    socket.finish()
    await socket.ended()


@cycle()
async def websocket_refused_and_waiting(port: int, kind: str) -> None:
    socket = await WebSocket.open(port)
    socket.say("40/nowhere,")
    await socket.hear_until("44/nowhere,")
    await socket.ended()


@cycle()
async def websocket_told_to_come_later(port: int, kind: str) -> None:
    socket = await WebSocket.open(port)
    socket.say("40/later,")
    await socket.ended()


@cycle()
async def websocket_without_connect(port: int, kind: str) -> None:
    await (await WebSocket.open(port)).ended()


@cycle()
async def websocket_reset_while_entering(port: int, kind: str) -> None:
    socket = await WebSocket.open(port)
    socket.say('40/slow,{"kind":"nobody"}')
    await socket.writer.drain()
    socket.abort()


# Polling only


@cycle("transport close")
async def polling_closed_by_client(port: int, kind: str) -> None:
    session = await polling(port, kind)
    session.park()
    await session.post("1")
    await session.polls.answer()
    session.hang_up()


@cycle("client namespace disconnect")
async def polling_disconnect_packet(port: int, kind: str) -> None:
    session = await polling(port, kind)
    await session.post("41\x1e1")
    session.hang_up()


@cycle("transport error")
async def polling_reset(port: int, kind: str) -> None:
    session = await polling(port, kind)
    session.park()
    await session.post('42["work"]')
    session.abort()


@cycle("ping timeout")
async def polling_silent(port: int, kind: str) -> None:
    session = await polling(port, kind)
    while "1" not in await session.poll(pong=False):
        pass
    session.hang_up()


@cycle("server namespace disconnect")
async def polling_closed_by_server(port: int, kind: str) -> None:
    session = await polling(port, kind)
    await session.post('42["close"]')
    while "1" not in await session.poll():
        pass
    session.hang_up()


@cycle("server namespace disconnect")
async def polling_closed_by_server_and_not_fetched(port: int, kind: str) -> None:
    session = await polling(port, kind)
    await session.post('42["close"]')
    session.abort()


@cycle("transport error")
async def polling_reset_in_a_body(port: int, kind: str) -> None:
    session = await polling(port, kind)
    session.posts.ask("POST", session.target, '42["sh', size=500)
    await asyncio.sleep(0.02)
    session.abort()


@cycle("parse error")
async def polling_bad_engine_packet(port: int, kind: str) -> None:
    session = await polling(port, kind)
    await session.post('42["share",1]\x1e')
    session.hang_up()


@cycle()
async def polling_without_connect(port: int, kind: str) -> None:
    (await Polling.open(port)).abort()


# Upgrades


@cycle("transport close")
async def upgraded_closed_by_client(port: int, kind: str) -> None:
    socket = await upgraded(port, kind)
    socket.say('42["share","upgraded"]')
    socket.finish()
    await socket.ended()


@cycle("server namespace disconnect")
async def upgraded_closed_by_server(port: int, kind: str) -> None:
    socket = await upgraded(port, kind)
    socket.say('42["close"]')
    await socket.ended()


@cycle("transport close")
async def upgraded_reset(port: int, kind: str) -> None:
    (await upgraded(port, kind)).abort()


@cycle("ping timeout")
async def upgraded_silent(port: int, kind: str) -> None:
    await (await upgraded(port, kind)).ended()


@cycle("transport close")
async def probe_reset(port: int, kind: str) -> None:
    session = await polling(port, kind)
    (await session.probe()).abort()
    await session.post("1")
    session.hang_up()


@cycle("transport error")
async def probe_and_poll_reset(port: int, kind: str) -> None:
    session = await polling(port, kind)
    session.park()
    socket = await session.probe()
    session.abort()
    socket.abort()


@cycle("transport close")
async def probe_given_up_by_server(port: int, kind: str) -> None:
    session = await polling(port, kind)
    await (await session.probe()).ended()
    await session.post("1")
    session.hang_up()


@cycle("transport close")
async def probe_refused(port: int, kind: str) -> None:
    session = await polling(port, kind)
    socket = await session.probe()
    socket.say("4hello")
    await socket.ended()
    await session.post("1")
    session.hang_up()


# Not even a session


@cycle()
async def half_a_request(port: int, kind: str) -> None:
    wire = await Wire.dial(port)
    wire.send(f"GET {PATH}&transport=polling HTTP/1.1\r\nHost:".encode())
    await wire.writer.drain()
    wire.abort()


@cycle()
async def body_that_never_ends(port: int, kind: str) -> None:
    http = await Http.dial(port)
    http.ask("POST", "/elsewhere", "x", size=100)
    await http.ended()


@cycle()
async def refused_upgrade(port: int, kind: str) -> None:
    with contextlib.suppress(Gone):
        await WebSocket.open(port, sid="unknown")


class Crowd:
    """Runs cycles of all kinds in turn, `size` at a time, and remembers how each kind fared."""

    def __init__(self, port: int, size: int = CROWD) -> None:
        self.port = port
        self.size = size
        self.ran: Counter[str] = Counter()
        self.failures: list[str] = []

    def faults(self, heard: dict[str, int]) -> list[str]:
        """What did not go as it should, by kind; `heard` are the reasons that sockets heard.

        A busy machine may be too slow for one client in twenty: it then runs into a timeout of the server.
        """
        failed = Counter(failure.partition(":")[0] for failure in self.failures)
        found = [one for one in self.failures if failed[one.partition(":")[0]] > self._slack(one)]
        right = {f"{kind}: {reason}": self.ran[kind] for kind, reason in REASONS.items() if self.ran[kind]}
        for name in sorted({*heard, *right}):
            times, expected = heard.get(name, 0), right.get(name, 0)
            if abs(times - expected) > self._slack(name):
                found.append(f"{name}: {times} times instead of {expected}")
        return found

    def _slack(self, name: str) -> int:
        kind = name.partition(":")[0]
        return self.ran[kind] if kind in UNSURE else 2 + self.ran[kind] // 20

    async def run(self, connects: int) -> None:
        kinds = list(CYCLES)
        waiting = iter([kinds[number % len(kinds)] for number in range(connects)])
        await asyncio.gather(*(self._work(waiting) for _ in range(min(self.size, connects))))

    async def _work(self, waiting: Any) -> None:
        for kind in waiting:
            self.ran[kind] += 1
            wires: list[Wire] = []
            WIRES.set(wires)
            try:
                await asyncio.wait_for(CYCLES[kind](self.port, kind), SECONDS)
            except (Gone, OSError, TimeoutError, asyncio.TimeoutError) as error:
                self.failures.append(f"{kind}: {error!r}")
            finally:
                for wire in wires:
                    wire.close()

    async def state(self) -> dict[str, Any]:
        """What the server holds at this moment."""
        http = await Http.dial(self.port)
        state: dict[str, Any] = json.loads(await http.fetch("GET", "/state"))
        http.close()
        return state

    async def calm_state(self, seconds: float = 15.0) -> dict[str, Any]:
        """What the server holds once everybody has left; what is still there when it never gets calm."""
        deadline = time.monotonic() + seconds
        while True:
            state = await self.state()
            living = state["living"]
            busy = living["clients"] or living["sessions"] or living["tasks"] or living["timers"]
            if not busy or time.monotonic() > deadline:
                return state
            await asyncio.sleep(0.05)
