"""What is done to each server in each round."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.versus import dialogues
from bench.versus.crowd import STILL
from bench.versus.events import NUMBER, notice
from bench.versus.figures import percentiles
from bench.versus.meter import Figures
from bench.versus.stage import BURST, POLLERS, RATE, ROOM, SMALL_ROOM, Stage

Found = Iterator[tuple[str, Figures]]
"""The name of a work of the catalogue and what it has cost."""


def connections(stage: Stage) -> Found:
    """A crowd of users connects and rests."""
    stage.connect("warm", stage.scale.warm_connects)
    stage.leave()
    stage.collect()
    base = stage.server.process.resident()
    users = stage.tokens("u", stage.scale.users)
    clients: list[dialogues.Client] = []

    def connect() -> int:
        clients.extend(stage.crowd.talk(dialogues.websocket(stage.server.port, *one) for one in users))
        return len(clients)

    yield "connect", stage.measure(connect)
    stage.collect()
    yield "memory", {"bytes": (stage.server.process.resident() - base) / len(clients), "base": base}
    yield from users_work(stage, clients)


def users_work(stage: Stage, clients: list[dialogues.Client]) -> Found:
    """Events to single users, then to all of them."""
    users = itertools.cycle([client.user for client in clients])
    count = stage.scale.drained
    for events in (count // 10, count):
        notices = [notice(user, number) for number, user in zip(range(events), users, strict=False)]
        figures = stage.measure(stage.drain(notices, events))
    yield "one-user", figures
    yield "offered", offered(stage, users)
    stage.crowd.talk(dialogues.asked(client, "subscribe_inventory", "p-all") for client in clients)
    yield "room-all", stage.fan_out("p-all", len(clients))


def offered(stage: Stage, users: Iterator[str]) -> Figures:
    """Events at a fixed rate, and how long each takes; the first second is for warming up."""
    sent: list[float] = []
    arrivals: list[tuple[float, int]] = []

    def watch(payload: bytes, now: float) -> None:
        found = NUMBER.search(payload)
        if found is not None:
            arrivals.append((now - sent[int(found[1])], 1))

    stage.crowd.learn_size()
    stage.crowd.watch = watch
    _offer(stage, users, 1.0, sent)
    arrivals.clear()
    figures = stage.measure(lambda: _offer(stage, users, stage.scale.offered_seconds, sent))
    stage.crowd.watch = None
    return {**figures, **percentiles(arrivals)}


def _offer(stage: Stage, users: Iterator[str], seconds: float, sent: list[float]) -> int:
    total, heard, base = round(RATE * seconds), 0, len(sent)
    started = time.monotonic()
    while heard < total:
        now = time.monotonic()
        first = len(sent)
        due = base + min(total, int((now - started) * RATE) + 1)
        if due > first:
            sent.extend([now] * (due - first))
            stage.publisher.publish([notice(next(users), number) for number in range(first, due)])
        heard += stage.crowd.receive(0.001 if due < base + total else STILL)
    return total


def upgrades(stage: Stage) -> Found:
    """Users connect as the JavaScript client does by default."""
    for count in (stage.scale.upgrades // 5, stage.scale.upgrades):
        users = stage.tokens(f"up{count}-", count)
        figures = stage.measure(partial(_upgrade, stage, [*users]))
    yield "upgrade", figures


def _upgrade(stage: Stage, users: list[tuple[str, str]]) -> int:
    stage.crowd.talk(dialogues.upgrading(stage.server.port, *one) for one in users)
    return len(users)


def rooms_work(stage: Stage) -> Found:
    """Events to a room of a hundred, while nobody else is there, and of a thousand."""
    stage.connect("small", SMALL_ROOM, "p-100")
    yield "room-100", stage.fan_out("p-100", SMALL_ROOM)
    stage.connect("room", ROOM - SMALL_ROOM, "p-1000")
    small = [client for client in stage.crowd.clients.values() if client.user.startswith("small")]
    stage.crowd.talk(dialogues.asked(client, "subscribe_inventory", "p-1000") for client in small)
    yield "fanout", stage.fan_out("p-1000", ROOM)
    yield "burst", stage.fan_out("p-1000", ROOM, burst=BURST)


def pollers(stage: Stage) -> Found:
    """Events to a room of polling clients."""
    users = stage.tokens("poll", POLLERS)
    talks = (dialogues.polling_subscribed(stage.server.port, token, "p-poll") for _, token in users)
    stage.crowd.talk(talks)
    yield "polling", stage.fan_out("p-poll", POLLERS)


def many_rooms(stage: Stage) -> Found:
    """Joining, leaving and going, with few rooms on the server and then with very many."""
    each = 100
    for _ in _moves(stage, "warm"):
        pass
    holders = stage.connect("holder", stage.scale.rooms // each)
    yield from _moves(stage, "few")
    stage.crowd.talk(
        dialogues.asked(client, "join_room", *(f"many-{number}-{step}" for step in range(each)))
        for number, client in enumerate(holders)
    )
    yield from _moves(stage, "many")


def _moves(stage: Stage, suffix: str) -> Found:
    each, count = 10, stage.scale.probes
    probes = stage.connect(f"probe-{suffix}-", count)
    names = [f"{suffix}-{number}-0" for number in range(each)]
    for event, name in (("join_room", "join"), ("leave_room", "leave")):

        def move(event: str = event) -> int:
            stage.crowd.talk(dialogues.asked(client, event, *names) for client in probes)
            return count * each

        yield f"{name}-{suffix}", stage.measure(move)
    stage.crowd.talk(dialogues.asked(client, "join_room", names[0]) for client in probes)

    def disconnect() -> int:
        stage.leave(probes)
        return count

    yield f"disconnect-{suffix}", stage.measure(disconnect)


def unheard(stage: Stage) -> Found:
    """Events for users who are not there, and one at the end for one who is."""
    stage.connect("listener", 1)
    for events in (stage.scale.unheard // 10, stage.scale.unheard):
        notices = [notice(f"absent{number:06d}", number) for number in range(events)]
        figures = stage.measure(stage.drain([*notices, notice("listener000000", 0)], 1))
    yield "no-audience", figures


PARTS: dict[tuple[str, ...], Callable[[Stage], Found]] = {
    ("connect", "memory", "one-user", "offered", "room-all"): connections,
    ("upgrade",): upgrades,
    ("room-100", "fanout", "burst"): rooms_work,
    ("polling",): pollers,
    tuple(f"{what}-{among}" for among in ("few", "many") for what in ("join", "leave", "disconnect")): many_rooms,
    ("no-audience",): unheard,
}
"""What each part finds out, on a server that has just started."""
