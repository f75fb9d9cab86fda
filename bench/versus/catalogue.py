"""The works: what each is called, what it counts, and the goals for rtwist."""

from __future__ import annotations

from dataclasses import dataclass

from bench.versus.figures import Goal
from bench.versus.servers import NODE_NAME, PYTHON_SOCKETIO


@dataclass(frozen=True)
class Work:
    """`cpu` is what its unit of work is called, where CPU is what counts."""

    name: str
    title: str
    unit: str
    metrics: tuple[str, ...] = ("cpu",)


WORKS = (
    Work("fanout", "one event to a room of 1,000 WebSocket clients", "delivered message"),
    Work("burst", "50 events at once to a room of 1,000 WebSocket clients", "delivered message"),
    Work("one-user", "each event to one of 10,000 users, from a full queue", "event"),
    Work("offered", "2,000 events a second, each to one of 10,000 users", "event", ("p50", "p99", "p99.9", "cpu")),
    Work("connect", "a connection with a token, WebSocket only", "connection"),
    Work("upgrade", "a connection with a token, polling and then WebSocket", "connection"),
    Work("memory", "an idle connection with identity and rooms, of 10,000", "connection", ("bytes",)),
    Work("no-audience", "an event that nobody hears, from a full queue", "event", ("cpu", "rate")),
    Work("polling", "one event to a room of 200 polling clients", "delivered message"),
    Work("room-100", "one event to a room of 100 WebSocket clients", "delivered message"),
    Work("room-10000", "one event to a room of 10,000 WebSocket clients", "delivered message"),
    Work("join-few", "joining a room among few", "join"),
    Work("join-many", "joining a room among 100,000", "join"),
    Work("leave-few", "leaving a room among few", "leave"),
    Work("leave-many", "leaving a room among 100,000", "leave"),
    Work("disconnect-few", "a disconnection among few rooms", "disconnection"),
    Work("disconnect-many", "a disconnection among 100,000 rooms", "disconnection"),
)

GROWTH = {
    "growth-room": ("room-10000", "room-100"),
    "growth-join": ("join-many", "join-few"),
    "growth-leave": ("leave-many", "leave-few"),
    "growth-disconnect": ("disconnect-many", "disconnect-few"),
}
"""What CPU costs among many, as a multiple of what it costs among few."""

FLAT = 1.3

GOALS = (
    Goal("fanout", "cpu", 0.65, NODE_NAME),
    Goal("fanout", "cpu", 0.1, PYTHON_SOCKETIO),
    Goal("burst", "cpu", 0.25, NODE_NAME),
    Goal("one-user", "cpu", 0.9, NODE_NAME),
    Goal("offered", "p50", 1.0, NODE_NAME),
    Goal("offered", "p99", 1.0, NODE_NAME),
    Goal("connect", "cpu", 0.8, NODE_NAME),
    Goal("upgrade", "cpu", 0.8, NODE_NAME),
    Goal("memory", "bytes", 0.65, NODE_NAME),
    Goal("no-audience", "cpu", 1.2, NODE_NAME),
    Goal("no-audience", "rate", 25_000, at_least=True),
    Goal("polling", "cpu", 1.0, NODE_NAME),
    *(Goal(name, "ratio", FLAT) for name in GROWTH),
)
