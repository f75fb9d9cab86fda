"""The load generator: all clients in one thread with epoll, which reads large pieces and counts."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from bench.versus import wire
from bench.versus.dialogues import Client, Dialogue, Poller, Refused

PIECE = 1 << 18
STILL = 30.0
"""Seconds without anything after which what is waited for will not come."""


class Crowd:
    """Many clients of one server, and what has come to them."""

    def __init__(self) -> None:
        self.clients: dict[int, Client] = {}
        self.pollers: dict[int, Poller] = {}
        self._talks: dict[int, Dialogue[Any]] = {}
        self._done: list[Any] = []
        self._epoll = select.epoll()
        self._view = memoryview(bytearray(PIECE))
        self._size = 0
        self._count = 0
        self.watch: Callable[[bytes, float], None] | None = None
        """Called with the payload and the time of every event, when set; else events are only counted."""

    def talk(self, dialogues: Iterable[Dialogue[Any]], at_once: int = 32) -> list[Any]:
        """Hold all dialogues, so many at a time; the clients, which are listened to from then on."""
        coming = iter(dialogues)
        self._done = []
        for dialogue in coming:
            self._step(dialogue)
            if len(self._talks) >= at_once:
                break
        while self._talks:
            for dialogue in itertools.islice(coming, self._turn(STILL)):
                self._step(dialogue)
        return self._done

    def adopt(self, clients: Iterable[Client]) -> None:
        """From now on read what comes to these, which have not talked here."""
        for client in clients:
            self._epoll.register(client.sock, select.EPOLLIN)
            self._keep(client)

    def everybody(self) -> list[Client | Poller]:
        """All clients."""
        return [*self.clients.values(), *self.pollers.values()]

    def close(self, some: Iterable[Client | Poller]) -> None:
        """Close the connections of these clients."""
        for client in some:
            descriptor = client.sock.fileno()
            self.clients.pop(descriptor, None)
            self.pollers.pop(descriptor, None)
            client.sock.close()

    def learn_size(self) -> None:
        """Forget how long a frame is; the next that comes shows it."""
        self._size = 0

    def receive(self, seconds: float) -> int:
        """Read what comes within `seconds`; returns how many events that were, as soon as there is any."""
        self._count = 0
        self._turn(seconds)
        return self._count

    def expect(self, events: int, heard: Callable[[int, float], None] | None = None) -> None:
        """Return when so many events have come; `heard` gets how many came at which time, piece by piece."""
        while events > 0:
            came = self.receive(STILL)
            if heard is not None and came:
                heard(came, time.monotonic())
            events -= came
        if events < 0:
            raise Refused(f"{-events} events too many have come")

    def _turn(self, seconds: float) -> int:
        """One turn of the loop; how many dialogues came to their end."""
        ready = self._epoll.poll(seconds)
        if not ready and seconds >= STILL:
            raise Refused(f"nothing has come for {STILL:.0f} seconds")
        before = len(self._done)
        for descriptor, _ in ready:
            if descriptor in self._talks:
                self._step(self._talks.pop(descriptor))
            elif descriptor in self.clients:
                self._read(self.clients[descriptor])
            elif descriptor in self.pollers:
                self._poll(self.pollers[descriptor])
        return len(self._done) - before

    def _step(self, dialogue: Dialogue[Any]) -> None:
        try:
            sock = next(dialogue)
        except StopIteration as end:
            self._done.append(end.value)
            self._keep(end.value)
            return
        with contextlib.suppress(FileExistsError):
            self._epoll.register(sock, select.EPOLLIN)
        self._talks[sock.fileno()] = dialogue

    def _keep(self, client: Client | Poller) -> None:
        if isinstance(client, Client):
            self.clients[client.sock.fileno()] = client
        else:
            self.pollers[client.sock.fileno()] = client

    def _read(self, client: Client) -> None:
        size = self._received(client.sock)
        if self._size and not client.rest and not size % self._size:
            self._count += size // self._size
            return
        for payload in client.take(bytes(self._view[:size])):
            if payload.startswith(wire.EVENT):
                self._count += 1
                if self.watch is not None:
                    self.watch(payload, time.monotonic())
                elif not client.rest:
                    self._size = len(payload) + (2 if len(payload) < 126 else 4)

    def _poll(self, poller: Poller) -> None:
        size = self._received(poller.sock)
        body = poller.take(bytes(self._view[:size]))
        if body is not None:
            self._count += body.count(wire.EVENT + b"[")
            poller.poll()

    def _received(self, sock: socket.socket) -> int:
        size = sock.recv_into(self._view)
        if not size:
            raise Refused("the server closed a connection")
        return size
