"""What the report says beside its figures."""

from __future__ import annotations

from bench.versus.servers import LIMITS_LIFTED
from bench.versus.stage import RATE

OTHERS = (
    "Latency is from the write to the broker until the generator reads the message. At the fixed rate each "
    "event is on its own; in the other works the next events are published when all clients have the last, so"
    " that it is mostly the time of the fan-out. Throughput is what one core of the server came to; where "
    "events come one by one it also waits for them. Growth is CPU among many in multiples of CPU among few."
)

GENERATOR = (
    "One thread with epoll, which counts frames by their length and takes apart only what it must. Shares are"
    " of one core. Idle is what generator, publisher and broker together leave of the cores beside the "
    "server's."
)

QUIET = 0.05
"""Of the server's core; interrupts and the kernel's own work are in it."""

_LIFTED = " ".join(f"``{word}``" if word.startswith("-") else word for word in LIMITS_LIFTED)

METHOD = (
    f"rtwist runs as ``twistd rtwist`` with {_LIFTED}, since all clients of a load test come from one address "
    "and at once. Everything else is at its default.",
    "The Node service has express, socket.io, jsonwebtoken, amqplib and winston; the Python one has "
    "python-socketio on uvicorn with uvloop, PyJWT and aio-pika. Both are in ``bench/peers``. They verify the"
    " token, join the rooms of the user, tell presence, answer subscriptions, consume from a queue of the same"
    " kind with the same prefetch, acknowledge each message once it is emitted, and emit the same events to the "
    "same rooms. They do not do what else rtwist does: dead letters, repeated ids, limits, entitlement to "
    "orders, the end of a token.",
    "All three log connections, joins and emissions to a file, at their default level.",
    "The servers take turns with each part of the work, and each starts anew for it. Everything has a warm-up "
    "that does not count. Each user has a company and a shop of its own, so a connection is in three rooms.",
    "Clients send the headers of a browser, without an offer to compress.",
    "CPU is that of the process and its children, from the operating system, for each unit of work.",
    f"From a full queue: the events lie in RabbitMQ before the server may take them. At a fixed rate: {RATE:,}"
    " a second.",
    "Memory is the resident set with all connections idle, less what it was before, over the connections. The"
    " peers collect their garbage before it is read; rtwist is not asked to.",
)


def introduction(rounds: int) -> str:
    """What the page is about."""
    times = "1 round" if rounds == 1 else f"{rounds} rounds"
    return (
        "rtwist, the same service on Node and the same on python-socketio, one after another on one machine, "
        f"{times} of each, with the same broker and the same load generator. The server has one core to "
        "itself; generator and broker have the rest. Figures are medians of the rounds, in brackets the least"
        " and the most."
    )


def floor(microseconds: str) -> str:
    """What the bare loop says."""
    return (
        "A bare loop that does nothing but ``send`` a frame to 1,000 clients of this generator takes "
        f"{microseconds} µs of CPU for each: no server that makes one system call for each message can do with"
        " less."
    )


def quiet(usual: float, most: float) -> str:
    """How much of the server's core something else had."""
    if usual < QUIET:
        return f"other programs took {usual:.0%} of the server's core in the median work, at most {most:.0%}"
    return (
        f"**The machine was not quiet**: other programs took {usual:.0%} of the server's core in the median work."
        " CPU is that of the server alone and can be compared; latency and throughput cannot."
    )
