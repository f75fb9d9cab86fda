"""rtwist and a real Node server in one cluster, on a real Redis."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from functools import partial
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor as installed
from twisted.internet.utils import getProcessOutputAndValue

from rtwist.cluster.classic.adapter import ClassicAdapter
from rtwist.cluster.mode import Mode
from rtwist.cluster.remote import RemoteSocket
from rtwist.cluster.sharded.adapter import ShardedAdapter
from rtwist.redis.address import read_url
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis
from rtwist.socketio import AckTimeout, Options, Server
from tests.support.processes import ROOT
from tests.support.redis import Redis as RedisServer

reactor: Any = installed
SCRIPT = ROOT / "tests" / "cluster" / "interop.js"
EVERYBODY = ["n1", "n2", "r1", "r2"]
THEIRS = {"node": "n", "rtwist": "r"}


def hear(names: str, *args: Any) -> dict[str, Any]:
    return {name: ["a", *args] for name in names.split()}


def expected_of(speaker: str) -> dict[str, Any]:
    """What comes of what `speaker` does: a server, or the emitter."""
    other = {"node": "r2", "rtwist": "n2", "emitter": "r1"}[speaker]
    news = [[1, {"a": [None]}, {"type": "Buffer", "data": [1, 2, 255]}]]  # in JSON
    told = {"node": [[], news], "rtwist": [news, []], "emitter": [news, news]}[speaker]
    found: dict[str, Any] = {
        "joins": [["n1", "r1"], ["n1", "n2", "r2"], ["n1", "n2", "r2"], ["n1", "r2"]],
        "to all": hear("n1 n2 r1 r2", 1, {"deep": [None, 1.5, "é"]}),
        "to a room": hear("n1 r1"),
        "to several rooms": hear("n1 n2 r1 r2"),
        "to a room except": hear("n2 r2"),
        "to all except": hear("n2 r1"),
        "to one socket": hear(other),
        "to nobody": {},
        "volatile": hear("n1 n2 r1 r2"),
        "binary": hear("n1 r1", "binary 0102ff", {"deep": [{"type": "Buffer", "data": [1, 2, 255]}]}),
        "another namespace": {name: ["/custom a", "binary 0102ff"] for name in EVERYBODY},
        "leaves": [["n1"], ["n1"], ["n1", "r1"]],
        "tells servers": told,
    }
    if speaker == "emitter":
        return found | {"uncompressed": hear("n1 n2 r1 r2"), "disconnects": ["io server disconnect", True],
                        "closes": ["io server disconnect", False]}  # fmt: skip
    data = {
        "node": {"home": "node", "deep": {"list": [1, None]}},
        "rtwist": {"home": "rtwist", "deep": [1, None]},
    }
    # A Node server sees the credentials of its own sockets, rtwist shows none, not even those of others.
    auth = {"n": {"token": "SECRET 1"} if speaker == "node" else {}, "r": {}}
    homes = {"n": data["node"], "r": data["rtwist"]}
    fetched = [[name, ["node one"] if name != "n2" else [], homes[name[0]], auth[name[0]], "seen", "en", True]
               for name in ("n1", "n2", "r1")]  # fmt: skip
    for each in fetched:
        each[1] = [f"{one} one" for one in ("emitter", "node", "rtwist")] if each[1] else []
    found |= {
        "local": hear(f"{THEIRS[speaker]}1 {THEIRS[speaker]}2"),
        "asks clients": EVERYBODY,
        "asks a room": ["n1", "r1"],
        "asks nobody": [],
        "is answered binary": ["binary 0102ff"] * 2,
        "asks some who do not answer": [True, ["n2", "r1", "r2"]],
        "asks servers": [f"{'rtwist' if speaker == 'node' else 'node'} has 1,x"],
        "counts servers": 2,
        "counts servers of a namespace": 2,
        "lists rooms": [True] * 5,
        "fetches": [json.dumps(each, separators=(",", ":")) for each in fetched],
        "fetches all but some": 2,
        "fetches in a namespace": 4,
        "disconnects": ["io server disconnect", True],
        "closes": ["io server disconnect", False],
    }
    if speaker == "node":
        found |= {"uncompressed": hear("n1 n2 r1 r2"), "sees no credentials": [2, False],
                  "acts on one it has fetched": [["r1"], [["hello", "binary 0102ff"]]]}  # fmt: skip
    else:
        found |= {"shows no credentials": [4, False], "acts on one it has fetched": ["n1"]}
    return found


def expected_for(protocol: str) -> dict[str, Any]:
    speakers = ("node", "rtwist", "emitter") if protocol == "classic" else ("node", "rtwist")
    found = {f"{one}: {name}": result for one in speakers for name, result in expected_of(one).items()}
    if protocol == "classic":
        return found
    for speaker in speakers:
        del found[f"{speaker}: lists rooms"]
        sockets = [json.loads(text) for text in found[f"{speaker}: fetches"]]
        for each in sockets:
            each[1] = [room for room in each[1] if room != "emitter one"]
        for news in found[f"{speaker}: tells servers"]:
            if news:
                news[0][2] = "binary 0102ff"
        found[f"{speaker}: fetches"] = [json.dumps(each, separators=(",", ":")) for each in sockets]
    return found


def binary(value: Any) -> Any:
    """What the script sent for its bytes, which not all messages between servers can hold."""
    if value == "binary 0102ff":
        return b"\x01\x02\xff"
    if isinstance(value, dict) and value.get("type") == "Buffer":
        return bytes(value["data"])
    if isinstance(value, dict):
        return {key: binary(item) for key, item in value.items()}
    return [binary(item) for item in value] if isinstance(value, list) else value


def told(value: Any) -> Any:
    return "binary " + value.hex() if isinstance(value, bytes) else value


OWN = {"auth": {}, "headers": {"x-plain": "seen"}, "query": {"lang": "en"}}
"""What is said of this node's own sockets, which the test is not about."""


class Obedient:
    """Does what the Node server asks rtwist for."""

    def __init__(self, io: Server) -> None:
        self.io = io
        self.news: list[Any] = []
        io.of("/custom")
        io.on("connection", lambda socket: socket.data.update(home="rtwist", deep=[1, None], mine=object()))
        io.on("please", self.please)
        io.on("tell", lambda *args: self.news.append([told(arg) for arg in args]))
        io.on("ask", lambda *args: args[-1](f"rtwist has {args[0]},{args[1]}"))

    def whom(self, whom: dict[str, Any]) -> Any:
        operator = self.io.of(whom.get("nsp") or "/").operator()
        operator = operator.to(whom.get("rooms") or ()).except_(whom.get("except") or ())
        flags = whom.get("flags") or {}
        operator = operator.local if flags.get("local") else operator
        operator = operator.volatile if flags.get("volatile") else operator
        return operator.timeout(flags["timeout"] / 1000) if "timeout" in flags else operator

    async def please(self, what: str, *args: Any) -> None:
        *said, answer = args
        done = getattr(self, what.replace(" ", "_"))(*said)
        answer(await done if hasattr(done, "__await__") else done)

    def emit(self, whom: Any, args: Any) -> None:
        self.whom(whom).emit(*binary(args))

    def join(self, whom: Any, room: Any) -> None:
        self.whom(whom).sockets_join(room)

    def leave(self, whom: Any, room: Any) -> None:
        self.whom(whom).sockets_leave(room)

    def disconnect(self, whom: Any, close: bool) -> None:
        self.whom(whom).disconnect_sockets(close)

    def tell(self, *args: Any) -> None:
        self.io.server_side_emit("tell", *binary(list(args)))

    def heard(self) -> list[Any]:
        return self.news

    def heard_and_forget(self) -> list[Any]:
        news, self.news = self.news, []
        return news

    async def ask_clients(self, whom: Any, args: Any) -> Any:
        try:
            return [told(one) for one in await self.whom(whom).emit_with_ack(*args)]
        except AckTimeout as error:
            return [True, sorted(error.responses)]

    async def ask_servers(self, *args: Any) -> Any:
        return await self.io.server_side_emit_with_ack("ask", *args)

    async def count(self, namespace: str = "/") -> int:
        return await self.io.of(namespace).adapter.server_count()

    async def rooms(self) -> list[str]:
        return sorted(await self.io.root.adapter.all_rooms())

    async def fetch(self, whom: Any) -> Any:
        sockets = await self.whom(whom).fetch_sockets()
        described = []
        for socket in sockets:
            remote = isinstance(socket, RemoteSocket)
            shake = asdict(socket.handshake) if remote else OWN
            data = {key: value for key, value in socket.data.items() if key != "mine"}
            described.append({"id": socket.id, "rooms": sorted(socket.rooms), "data": data, "handshake": shake})
        return described

    async def act_on(self, sid: str, room: str) -> None:
        (remote,) = await self.io.to(sid).fetch_sockets()
        remote.join(room)
        remote.emit("hello", 1)


CLASSIC: list[Any] = [
    ("classic", {}, ClassicAdapter),
    ("classic", {"publishOnSpecificResponseChannel": True}, ClassicAdapter),
    ("classic", {}, partial(ClassicAdapter, own_response_channels=True)),
]
SHARDED: list[Any] = [
    ("sharded", {"subscriptionMode": mode.value}, partial(ShardedAdapter, mode=mode)) for mode in Mode
]


@pytest.mark.parametrize(("protocol", "options", "adapter"), CLASSIC + SHARDED)
@ensureDeferred
async def test_with_node(redis_server: RedisServer, protocol: str, options: Any, adapter: Any) -> None:
    node = shutil.which("node")
    assert node, "Node.js is not installed"
    redis = Redis(reactor, read_url(redis_server.url))
    redis.startService()
    await redis.when_connected()
    bus = RedisBus(redis, sharded=protocol == "sharded")
    name = "rtwist" if protocol == "classic" else "0123456789abcdef"
    made = partial(adapter, bus=bus, node=name)
    io = Server(reactor, Options(), adapter=made)
    Obedient(io)
    port = reactor.listenTCP(0, io.site(), interface="127.0.0.1")
    try:
        url = f"http://127.0.0.1:{port.getHost().port}"
        arguments = [str(SCRIPT), redis_server.url, url, protocol, json.dumps(options)]
        out, errors, status = await getProcessOutputAndValue(node, arguments, env=os.environ)
        assert (status, errors) == (0, b"")
        assert json.loads(out) == expected_for(protocol)
        assert io.root.adapter.counts == {}
    finally:
        io.close()
        await port.stopListening()
        redis.stopService()
