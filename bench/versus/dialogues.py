"""What clients say while they connect and ask for rooms, each a generator.

A dialogue yields the socket it waits for, and goes on when that can be read; its value is the client.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import TypeVar

from bench.versus import wire

Value = TypeVar("Value")
Dialogue = Generator[socket.socket, None, Value]


class Refused(Exception):
    """The server closed a connection, or answered otherwise than it should."""


class Client:
    """One WebSocket: what of the last frame is still missing, and nothing else."""

    __slots__ = ("rest", "sock", "user")

    def __init__(self, sock: socket.socket, user: str = "", rest: bytes = b"") -> None:
        self.sock = sock
        self.user = user
        self.rest = rest

    def take(self, chunk: bytes) -> list[bytes]:
        """The payloads that `chunk` completes, without the pings, which are answered."""
        data, at, found = self.rest + chunk, 0, []
        for kind, payload, end in wire.frames(data):
            at = end
            if kind == wire.WEBSOCKET_PING:
                self.sock.send(wire.frame(payload, wire.WEBSOCKET_PONG))
            elif payload == wire.PING:
                self.sock.send(wire.PONG)
            else:
                found.append(payload)
        self.rest = data[at:]
        return found


class Poller:
    """One long-polling client on a connection that is kept alive."""

    __slots__ = ("data", "request", "sock", "target")

    def __init__(self, sock: socket.socket, target: str) -> None:
        self.sock = sock
        self.target = target
        self.request = wire.get(target)
        self.data = b""

    def take(self, chunk: bytes) -> bytes | None:
        """The body of the response that `chunk` completes."""
        self.data += chunk
        found = wire.response(self.data)
        if found is None:
            return None
        body, end = found
        self.data = self.data[end:]
        return body

    def poll(self) -> None:
        """Ask for what comes next."""
        self.sock.send(self.request)


def _read(sock: socket.socket) -> Dialogue[bytes]:
    yield sock
    chunk = sock.recv(65536)
    if not chunk:
        raise Refused("the server closed a connection")
    return chunk


def _frame_with(client: Client, mark: bytes) -> Dialogue[bytes]:
    while True:
        for payload in client.take((yield from _read(client.sock))):
            if mark in payload:
                return payload
            if payload.startswith(b"44") or b'"success":false' in payload:
                raise Refused(payload.decode())


def _upgraded(port: int, target: str, user: str) -> Dialogue[Client]:
    """A WebSocket; what the server has sent behind its answer is in `rest`."""
    sock = wire.opened(port)
    sock.send(wire.upgrade(target))
    data = b""
    while b"\r\n\r\n" not in data:
        data += yield from _read(sock)
    head, _, rest = data.partition(b"\r\n\r\n")
    if b" 101 " not in head:
        raise Refused(head.decode())
    return Client(sock, user, rest)


def websocket(port: int, user: str, token: str, product: str | None = None) -> Dialogue[Client]:
    """Connect by WebSocket only; with a product, subscribe to its stock."""
    client = yield from _upgraded(port, wire.WEBSOCKET, user)
    if not client.rest:
        yield from _frame_with(client, b'"sid"')
    client.sock.send(wire.frame(wire.connect_packet(token)))
    yield from _frame_with(client, b'42["connected"')
    if product is not None:
        yield from asked(client, "subscribe_inventory", product)
    return client


def asked(client: Client, event: str, *arguments: str) -> Dialogue[Client]:
    """Emit `event` once for each argument, and wait for each acknowledgement before the next."""
    for argument in arguments:
        client.sock.send(wire.frame(wire.event_packet(event, argument)))
        yield from _frame_with(client, wire.ACK)
    return client


def _response(poller: Poller, request: bytes) -> Dialogue[bytes]:
    poller.sock.send(request)
    while True:
        body = poller.take((yield from _read(poller.sock)))
        if body is not None:
            return body


def polling(port: int, token: str) -> Dialogue[Poller]:
    """Connect by long-polling."""
    poller = Poller(wire.opened(port), wire.POLLING)
    opening = yield from _response(poller, poller.request)
    sid = opening.partition(b'"sid":"')[2].partition(b'"')[0].decode()
    if not sid:
        raise Refused(opening.decode())
    poller.target = f"{wire.POLLING}&sid={sid}"
    poller.request = wire.get(poller.target)
    yield from _response(poller, wire.post(poller.target, wire.connect_packet(token)))
    while b'42["connected"' not in (yield from _response(poller, poller.request)):
        pass
    return poller


def polling_subscribed(port: int, token: str, product: str) -> Dialogue[Poller]:
    """Connect by long-polling and subscribe to a product; a poll is under way at the end."""
    poller = yield from polling(port, token)
    request = wire.event_packet("subscribe_inventory", product)
    yield from _response(poller, wire.post(poller.target, request))
    while wire.ACK not in (yield from _response(poller, poller.request)):
        pass
    poller.poll()
    return poller


def upgrading(port: int, user: str, token: str) -> Dialogue[Client]:
    """Connect by long-polling and go over to WebSocket, as the JavaScript client does by default."""
    poller = yield from polling(port, token)
    poller.poll()
    target = poller.target.replace("polling", "websocket")
    client = yield from _upgraded(port, target, user)
    client.sock.send(wire.frame(b"2probe"))
    yield from _frame_with(client, b"3probe")
    while poller.take((yield from _read(poller.sock))) is None:
        pass
    client.sock.send(wire.frame(b"5"))
    poller.sock.close()
    return client
