"""The proxy does what its methods say, on loopback sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.proxy import Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Target:
    """What the proxy connects to: echoes, or hands its connections over."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.streams: asyncio.Queue[Streams] = asyncio.Queue()

    async def entered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.streams.put((reader, writer))


@asynccontextmanager
async def between(**options: Callable[[], Callable[[bytes], bytes]]) -> AsyncIterator[tuple[Proxy, Target]]:
    target = Target()
    server = await asyncio.start_server(target.entered, "127.0.0.1", 0)
    async with Proxy(server.sockets[0].getsockname()[1], **options) as proxy:
        yield proxy, target
    server.close()


async def pair(proxy: Proxy, target: Target) -> tuple[Streams, Streams]:
    near = await asyncio.open_connection("127.0.0.1", proxy.port)
    return near, await target.streams.get()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


async def silent(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), 0.2)
    except asyncio.TimeoutError:
        return True
    return False


async def reset(reader: asyncio.StreamReader) -> bool:
    try:
        while await reader.read(100):
            pass
    except ConnectionResetError:
        return True
    return False


def test_it_passes_bytes_both_ways_and_the_end() -> None:
    async def test() -> None:
        async with between() as (proxy, target):
            near, far = await pair(proxy, target)
            near[1].write(b"a question" * 10_000)
            assert await far[0].readexactly(100_000) == b"a question" * 10_000
            near[1].write_eof()
            assert await far[0].read() == b""
            far[1].write(b"an answer")
            far[1].close()
            assert await near[0].read() == b"an answer"
            while proxy.links:  # noqa: ASYNC110 - the proxy tells nobody
                await asyncio.sleep(0.01)

    run(test)


@pytest.mark.parametrize("size", [1, 3])
def test_it_slices(size: int) -> None:
    async def test() -> None:
        async with between() as (proxy, target):
            proxy.piece = size
            near, far = await pair(proxy, target)
            near[1].write(b"0123456789")
            pieces: list[bytes] = []
            while b"".join(pieces) != b"0123456789":
                pieces.append(await far[0].read(100))
            assert [len(piece) for piece in pieces[:-1]] == [size] * (9 // size)

    run(test)


def test_it_delays() -> None:
    async def test() -> None:
        async with between() as (proxy, target):
            near, far = await pair(proxy, target)
            proxy.latency = 0.5
            near[1].write(b"x")
            assert await silent(far[0])
            assert await far[0].read(1) == b"x"

    run(test)


def test_what_is_held_passes_nothing_either_way_not_even_an_end() -> None:
    async def test() -> None:
        async with between() as (proxy, target):
            near, far = await pair(proxy, target)
            proxy.hold()
            near[1].write(b"x")
            far[1].write(b"y")
            assert await silent(near[0])
            assert await silent(far[0])
            near[1].close()
            assert await silent(far[0])
            near[1].transport.abort()
            assert await silent(far[0])
            other_near, other_far = await pair(proxy, target)
            other_near[1].write(b"z")
            assert await other_far[0].read(1) == b"z", "only the connections of then are held"

    run(test)


def test_what_was_held_is_passed_on_when_it_is_released() -> None:
    async def test() -> None:
        async with between() as (proxy, target):
            near, far = await pair(proxy, target)
            proxy.hold()
            near[1].write(b"x")
            near[1].close()
            assert await silent(far[0])
            proxy.release()
            assert await far[0].read() == b"x"

    run(test)


def test_it_cuts_by_reset() -> None:
    async def test() -> None:
        async with between() as (proxy, target):
            near, far = await pair(proxy, target)
            proxy.cut()
            assert await reset(near[0])
            assert await reset(far[0])
            assert proxy.links == set()

    run(test)


def test_it_refuses_and_accepts_again_on_its_port() -> None:
    async def test() -> None:
        async with between() as (proxy, target):
            near, far = await pair(proxy, target)
            proxy.refuse()
            await asyncio.sleep(0)
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", proxy.port)
            near[1].write(b"x")
            assert await far[0].read(1) == b"x", "those that are in stay"
            await proxy.accept()
            await pair(proxy, target)

    run(test)


def test_a_target_that_is_gone_resets_the_client() -> None:
    async def test() -> None:
        async with Proxy(1) as proxy:
            reader, _ = await asyncio.open_connection("127.0.0.1", proxy.port)
            assert await reader.read() == b"" or await reset(reader)

    run(test)


def test_bytes_to_the_target_are_changed() -> None:
    async def test() -> None:
        async with between(outgoing=lambda: bytes.upper) as (proxy, target):
            near, far = await pair(proxy, target)
            near[1].write(b"loud")
            assert await far[0].read(10) == b"LOUD"
            far[1].write(b"quiet")
            assert await near[0].read(10) == b"quiet"

    run(test)
