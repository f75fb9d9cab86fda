"""What the page of the clusters says beside its figures."""

from __future__ import annotations

ACROSS = (
    "All clients are at node B, all events come in at node A: each goes by Redis. CPU in microseconds, of "
    "both nodes together; then of A, of B and of Redis alone. The last two rows: events one by one at a "
    "fixed rate, and what it costs all when somebody connects at B."
)
SHARDED = "The same with the sharded adapter: only nodes that have somebody in a room get its messages."
ADDED = "The CPU of both nodes less that of one node without Redis that does the same, in the same round."
TWO = (
    "Half of the clients at each of two nodes. What comes to the second if each node had a core of its "
    "own: the work over the CPU of the node that has more of it. Here both nodes share one core, so that "
    "the two last columns, what was measured by the clock, can only show what the way by Redis costs."
)
WORKERS = (
    "``--workers 2`` with Redis against one process without; both may use all cores of the machine, with "
    "the generator, the broker and Redis: of its two cores the generator alone takes up to one, so that "
    "twice as much cannot be seen here. CPU in microseconds is that of all processes. A request of polling "
    "that comes to the worker that does not have its session is handed over with its connection: half of "
    "those that upgrade to WebSocket, for a polling client keeps to its connection."
)
ELSE = (
    "Redis gets ten messages of 250 bytes in one write, and all nodes subscribe to a pattern that fits, "
    "as those of the classic adapter do."
)

METHOD = (
    "Nodes run as ``twistd rtwist`` with ``REDIS_URL``, and as the Node service in ``bench/peers/node`` "
    "with @socket.io/redis-adapter; everything else is as in `rtwist beside its peers <README.rst>`_. "
    "rtwist acknowledges an event when Redis has its emissions and its id, which other nodes then know as "
    "seen; the Node service acknowledges when it has emitted, and remembers nothing.",
    "Both nodes have one core together; generator, broker and Redis have the rest. The servers take turns "
    "within each round, and each starts anew.",
    "An event for one room (a user's) is one message to Redis. An event of the stock, which fills rooms "
    "of 100 and 1,000, is three: for the company, the shop and the room of the product; nobody is in the "
    "other two.",
)


def introduction(rounds: int) -> str:
    """What the page is about."""
    times = "1 round" if rounds == 1 else f"{rounds} rounds"
    return (
        "Two nodes of rtwist with one Redis, and the same service on two nodes of Node with the same adapter, "
        f"{times} of each, one after another. Figures are medians of the rounds, in brackets the least and the "
        "most."
    )


def quiet(foreign: float) -> str:
    """What other programs did meanwhile."""
    if foreign < 0.05:
        return f"other programs took {foreign:.0%} of the nodes' core in the median work"
    return (
        f"**The machine was not quiet**: other programs took {foreign:.0%} of the nodes' core in the median "
        "work. CPU is that of the nodes alone and can be compared; what was measured by the clock cannot."
    )
