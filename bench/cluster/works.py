"""What is done to each cluster in each round."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from bench.cluster.nodes import ALONE, CLASSIC, SHARDED, Layout
from bench.cluster.scene import Scene
from bench.versus import works as of_one
from bench.versus.meter import Figures
from bench.versus.servers import NODE_NAME, RTWIST
from bench.versus.stage import Scale

FULL = Scale(2_000, 200, 400, 20_000, 20_000, 5.0, 2.0, 1_000, 0)
QUICK = Scale(500, 50, 100, 4_000, 4_000, 1.0, 0.5, 200, 0)
"""`probes` are the connections of which the coming is measured, on a server that has others."""

ROOM, SMALL_ROOM = 1_000, 100
HEARTBEAT = 1.0
"""Seconds; the usual interval would take minutes to show anything."""

Found = Iterator[tuple[str, Figures]]
"""The name of a work, without that of its layout, and what it has cost."""

Part = Callable[[Scene], Found]


def delivering(at: tuple[int, ...]) -> Part:
    """Events to clients of these nodes, while the first takes the events in."""

    def part(scene: Scene) -> Found:
        scene.connect_at(at, "warm", scene.scale.warm_connects)
        scene.leave()
        users = [client.user for client in scene.connect_at(at, "u", scene.scale.users)]
        yield "connect", scene.connected(at, "probe", scene.scale.probes)
        yield "one", scene.drained(users, scene.scale.drained)
        yield "none", scene.unheard(users[0], scene.scale.unheard)
        yield "offered", of_one.offered(scene, itertools.cycle(users))
        yield from _rooms(scene)

    return part


def _rooms(scene: Scene) -> Found:
    for size in (SMALL_ROOM, ROOM):
        some = [*scene.crowd.clients.values()][:size]
        scene.subscribe(some, f"p-{size}")
        scene.rest()
        yield f"room-{size}", scene.fan_out(f"p-{size}", len(some))


def on_one_port(scene: Scene) -> Found:
    """Clients that come and listen, whichever process of the port they get to."""
    scene.connect_at((1,), "warm", scene.scale.warm_connects)
    scene.leave()
    yield "connect", scene.connected((1,), "probe", scene.scale.probes)
    scene.subscribe([*scene.crowd.clients.values()][:ROOM], "p-1000")
    scene.rest()
    yield "room-1000", scene.fan_out("p-1000", min(ROOM, scene.scale.probes))
    scene.leave()
    yield from of_one.upgrades(scene)
    scene.leave()
    yield from of_one.pollers(scene)


def beating(scene: Scene) -> Found:
    """Connections that do nothing but answer heartbeats."""
    count = scene.scale.users
    scene.connect_at((1,), "u", count)
    for seconds in (2 * HEARTBEAT, scene.scale.offered_seconds):
        figures = scene.measure(partial(_listen, scene, seconds, round(count * seconds / HEARTBEAT)))
    yield "heartbeat", figures


def _listen(scene: Scene, seconds: float, beats: int) -> int:
    scene.listen(seconds)
    return beats


@dataclass(frozen=True)
class Act:
    """A layout, what is done there, and to which servers."""

    layout: Layout
    part: Part
    servers: tuple[str, ...] = (RTWIST, NODE_NAME)
    finds: tuple[str, ...] = ("connect", "one", "none", "offered", "room-100", "room-1000")


_PORT = ("connect", "room-1000", "upgrade", "polling")
_ONE_PORT = Layout(1, ALONE, spread=True)

ACTS = {
    "alone": Act(Layout(1, ALONE), delivering((1,))),
    "across": Act(Layout(2, CLASSIC), delivering((2,))),
    "across-sharded": Act(Layout(2, SHARDED), delivering((2,))),
    "halves": Act(Layout(2, CLASSIC), delivering((1, 2))),
    "one-process": Act(_ONE_PORT, on_one_port, (RTWIST,), _PORT),
    "two-workers": Act(
        dataclasses.replace(_ONE_PORT, protocol=CLASSIC, options=("--workers", "2"), members=2),
        on_one_port, (RTWIST,), _PORT,
    ),
    "beating": Act(
        Layout(1, ALONE, options=("--ping-interval", f"{HEARTBEAT:g}")), beating, (RTWIST,), ("heartbeat",)
    ),
}  # fmt: skip
"""By the name of the layout."""
