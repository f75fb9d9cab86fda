"""What Redis and the kernel take, without any server of ours: the floor of what a cluster needs."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from pathlib import Path

from bench.versus.machine import Process
from bench.versus.meter import MICRO
from tests.support.redis import Redis

SUBSCRIBERS = (1, 4, 16, 48)
AT_ONCE = 10
"""Messages that a node publishes in one write, when it is busy."""

BODY = b"x" * 250
_PAIRS = 4_000


def redis_costs(redis: Redis, messages: int) -> Iterator[tuple[int, float]]:
    """Microseconds of Redis' CPU for one PUBLISH, by how many nodes subscribe to a pattern that fits."""
    process = Process(redis.pid)
    for number in SUBSCRIBERS:
        nodes = [_connected(redis, b"PSUBSCRIBE", b"bench#*") for _ in range(number)]
        publisher = _connected(redis, b"PING")
        _publish(publisher, nodes, messages // 10)
        before = process.cpu()
        _publish(publisher, nodes, messages)
        yield number, (process.cpu() - before) / messages * MICRO
        for each in (publisher, *nodes):
            each.close()


def _connected(redis: Redis, *command: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", redis.port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(_packed(*command))
    sock.recv(4096)
    return sock


def _packed(*parts: bytes) -> bytes:
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts)


def _publish(publisher: socket.socket, nodes: list[socket.socket], messages: int) -> None:
    piece = _packed(b"PUBLISH", b"bench#room#", BODY) * AT_ONCE
    poll = select.epoll()
    for each in (publisher, *nodes):
        poll.register(each, select.EPOLLIN)
    answer = len(b":%d\r\n" % len(nodes)) * AT_ONCE
    push = len(_packed(b"pmessage", b"bench#*", b"bench#room#", BODY)) * AT_ONCE
    for _ in range(messages // AT_ONCE):
        publisher.sendall(piece)
        missing = {publisher.fileno(): answer, **{node.fileno(): push for node in nodes}}
        socks = {each.fileno(): each for each in (publisher, *nodes)}
        while missing:
            for descriptor, _ in poll.poll(30):
                missing[descriptor] -= len(socks[descriptor].recv(65536))
                if missing[descriptor] == 0:
                    del missing[descriptor]
    poll.close()


def memory_used(redis: Redis) -> int:
    """Bytes that Redis has in use."""
    lines = redis.cli("INFO", "memory").splitlines()
    return int(next(line for line in lines if line.startswith("used_memory:")).partition(":")[2])


def kernel_bytes() -> float:
    """Bytes of the kernel for one idle TCP connection that epoll watches, one end of it."""
    before = _slab()
    poll = select.epoll()
    with socket.create_server(("127.0.0.1", 0), backlog=_PAIRS) as listener:
        ends: list[socket.socket] = []
        for _ in range(_PAIRS):
            ends += [socket.create_connection(listener.getsockname()), listener.accept()[0]]
        for end in ends:
            poll.register(end, select.EPOLLIN)
        used = _slab() - before
    for end in ends:
        end.close()
    poll.close()
    return used / len(ends)


def _slab() -> int:
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["Slab"].split()[0]) * 1024
