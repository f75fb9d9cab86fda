"""rtwist and a real Node server in one cluster, on a real Redis."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue

from rtwist.cluster.adapter import ClusterAdapter
from rtwist.cluster.classic.adapter import ClassicAdapter
from rtwist.cluster.sharded.adapter import ShardedAdapter
from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis
from rtwist.socketio import Options, Server
from tests.support.processes import ROOT
from tests.support.redis import Redis as RedisServer

SCRIPT = ROOT / "tests" / "cluster" / "interop.js"
BOTH: dict[str, Any] = {
    "node broadcasts": [[1, {"deep": None}, "binary 0102"]] * 2,
    "rtwist broadcasts": [[1, {"deep": None}, "binary 0102"]] * 2,
    "node changes rooms": [[], []],
    "rtwist changes rooms": [[], []],
    "node fetches": [2, {}, True],
    "rtwist fetches": [2, True, True],
    "node asks clients": ["client of node", "client of rtwist"],
    "rtwist asks clients": ["client of node", "client of rtwist"],
    "node asks servers": ["rtwist 1"],
    "rtwist asks servers": "node 2",
    "node disconnects": "io server disconnect",
    "rtwist disconnects": "io server disconnect",
}
CLASSIC: dict[str, Any] = {
    "node lists rooms": True,
    "rtwist lists rooms": True,
    "the emitter broadcasts": [["binary 03"]] * 2,
    "the emitter reaches a room": [[], []],
    "the emitter tells servers": [[], []],
}


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def obey(io: Server) -> None:
    """Do what the Node server asks this one for."""

    async def please(what: str, *args: Any) -> None:
        *said, answer = args
        if what == "broadcast":
            answer(io.emit(said[0], 1, {"deep": None}, b"\x01\x02"))
        elif what == "room":
            answer(io.to(said[0]).emit(said[1]))
        elif what == "join":
            answer(io.root.to(said[0]).sockets_join(said[1]))
        elif what == "fetch":
            answer([socket.id for socket in await io.root.fetch_sockets()])
        elif what == "who":
            answer(await io.root.timeout(10).emit_with_ack("who"))
        elif what == "rooms":
            answer(sorted(await io.root.adapter.all_rooms()))
        else:
            (said,) = await io.root.server_side_emit_with_ack(what, 2)
            answer(said)

    io.on("please", please)
    io.on("ping", lambda number, answer: answer(f"rtwist {number}"))
    io.on("echo", io.emit)
    io.on("disconnect them", lambda sid: io.root.to(sid).disconnect_sockets())


@pytest.mark.parametrize(
    ("protocol", "adapter", "expected"),
    [("classic", ClassicAdapter, BOTH | CLASSIC), ("sharded", ShardedAdapter, BOTH)],
)
@ensureDeferred
async def test_with_node(
    redis_server: RedisServer, protocol: str, adapter: type[ClusterAdapter], expected: dict[str, Any]
) -> None:
    node = shutil.which("node")
    assert node, "Node.js is not installed"
    redis = Redis(reactor, read_url(redis_server.url))
    redis.startService()
    await redis.when_connected()
    bus = RedisBus(redis, sharded=protocol == "sharded")
    name = "rtwist" if protocol == "classic" else "0123456789abcdef"
    io = Server(reactor, Options(), adapter=lambda namespace: adapter(namespace, bus, node=name))
    obey(io)
    port = reactor.listenTCP(0, io.site(), interface="127.0.0.1")  # type: ignore[attr-defined]
    try:
        url = f"http://127.0.0.1:{port.getHost().port}"
        arguments = [str(SCRIPT), redis_server.url, url, protocol]
        out, errors, status = await getProcessOutputAndValue(node, arguments, env=os.environ)
        assert (status, errors) == (0, b"")
        assert json.loads(out) == expected
    finally:
        io.close()
        await port.stopListening()
        redis.stopService()
