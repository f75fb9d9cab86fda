"""The works on clusters: what each is called and what it counts; and the goals."""

from __future__ import annotations

from bench.versus.figures import Goal
from bench.versus.servers import NODE_NAME

WORKS = {
    "one": ("each event to one user, from a full queue", "event"),
    "room-100": ("one event to a room of 100", "delivered message"),
    "room-1000": ("one event to a room of 1,000", "delivered message"),
    "none": ("an event that nobody hears, from a full queue", "event"),
    "offered": ("2,000 events a second, each to one user", "event"),
    "connect": ("a connection with a token, WebSocket only", "connection"),
    "upgrade": ("a connection with a token, polling and then WebSocket", "connection"),
    "polling": ("one event to a room of 200 polling clients", "delivered message"),
    "heartbeat": ("a heartbeat", "heartbeat"),
}
"""Title and unit of each, whatever the layout."""

ACROSS = ("one", "room-100", "room-1000", "none")
"""What goes from one node to another."""

TWICE = ("one", "room-1000")
"""What two nodes do against one."""

WORKERS = ("connect", "upgrade", "polling", "room-1000")

BOUND = 0.8
GOALS = tuple(Goal(f"across-{work}", "cpu", BOUND, NODE_NAME) for work in ("one", "room-100", "room-1000"))


def title(work: str) -> str:
    """That of a work, whether with its layout, as results have it, or without."""
    return _of(work)[0]


def unit(work: str) -> str:
    """The same of its unit."""
    return _of(work)[1]


def _of(work: str) -> tuple[str, str]:
    return next(words for name, words in WORKS.items() if f"-{work}".endswith(f"-{name}"))
