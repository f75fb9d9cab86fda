"""The works: what each is called, what it counts, and the goals for rtwist."""

from __future__ import annotations

from dataclasses import dataclass

from bench.versus.figures import Goal
from bench.versus.servers import NODE_NAME, PYTHON_SOCKETIO


@dataclass(frozen=True)
class Work:
    """`unit` is one unit of work; `title` is a format string, with the scale of the run."""

    name: str
    title: str
    unit: str
    metrics: tuple[str, ...] = ("cpu",)


_LATENCY = ("p50", "p99", "p99.9")
_USERS, _ROOMS = "{scale.users:,}", "{scale.rooms:,}"

WORKS = (
    Work("fanout", "one event to a room of 1,000 WebSocket clients", "delivered message"),
    Work("burst", "50 events at once to a room of 1,000 WebSocket clients", "delivered message"),
    Work("one-user", f"each event to one of {_USERS} users, from a full queue", "event"),
    Work("offered", f"2,000 events a second, each to one of {_USERS} users", "event", (*_LATENCY, "cpu")),
    Work("connect", "a connection with a token, WebSocket only", "connection"),
    Work("upgrade", "a connection with a token, polling and then WebSocket", "connection"),
    Work("memory", f"an idle connection with identity and rooms, of {_USERS}", "connection", ("bytes",)),
    Work("no-audience", "an event that nobody hears, from a full queue", "event", ("cpu", "rate")),
    Work("polling", "one event to a room of 200 polling clients", "delivered message"),
    Work("room-100", "one event to a room of 100 WebSocket clients", "delivered message"),
    Work("room-all", f"one event to a room of {_USERS} WebSocket clients", "delivered message"),
    Work("join-few", "joining a room among few", "join"),
    Work("join-many", f"joining a room among {_ROOMS}", "join"),
    Work("leave-few", "leaving a room among few", "leave"),
    Work("leave-many", f"leaving a room among {_ROOMS}", "leave"),
    Work("disconnect-few", "a disconnection among few rooms", "disconnection"),
    Work("disconnect-many", f"a disconnection among {_ROOMS} rooms", "disconnection"),
)

GROWTH = {
    "growth-room": ("room-all", "room-100"),
    "growth-join": ("join-many", "join-few"),
    "growth-leave": ("leave-many", "leave-few"),
    "growth-disconnect": ("disconnect-many", "disconnect-few"),
}
"""What is compared: CPU among many in multiples of CPU among few."""

TITLES = {
    **{work.name: work.title for work in WORKS},
    "growth-room": f"a delivered message in a room of {_USERS}, against 100",
    "growth-join": f"joining a room among {_ROOMS}, against few",
    "growth-leave": f"leaving a room among {_ROOMS}, against few",
    "growth-disconnect": f"a disconnection among {_ROOMS} rooms, against few",
}

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
