"""Publishing to RabbitMQ with as little CPU as Python can: frames are put together once and sent in one write."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pika import frame, spec

Event = tuple[str, Mapping[str, Any]]
"""A routing key and the event."""

PLAIN, CONFIRMED = 1, 2
"""The two channels: the second waits for the broker's confirmation."""

_PART = 500
_SECONDS = 60.0


class Publisher:
    """One AMQP connection to the exchange `events` on `port` of this machine."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=_SECONDS)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._arrived = b""
        self._confirmed = self._published = 0
        self._log_in()

    def publish(self, events: Iterable[Event]) -> None:
        """Send all in one write."""
        self._sock.sendall(b"".join(_message(PLAIN, key, encode(event)) for key, event in events))

    def publish_confirmed(self, messages: list[tuple[str, bytes]]) -> None:
        """Send all and return when the broker has them in its queues."""
        for start in range(0, len(messages), _PART):
            part = messages[start : start + _PART]
            self._sock.sendall(b"".join(_message(CONFIRMED, *message) for message in part))
            self._published += len(part)
            while self._confirmed < self._published:
                self._confirmed = self._await(spec.Basic.Ack).delivery_tag

    def close(self) -> None:
        self._sock.close()

    def _log_in(self) -> None:
        self._sock.sendall(frame.ProtocolHeader().marshal())
        self._await(spec.Connection.Start)
        self._send(0, spec.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US"))
        tune = self._await(spec.Connection.Tune)
        self._send(0, spec.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        self._send(0, spec.Connection.Open("/"))
        self._await(spec.Connection.OpenOk)
        for channel in (PLAIN, CONFIRMED):
            self._send(channel, spec.Channel.Open())
            self._await(spec.Channel.OpenOk)
        self._send(CONFIRMED, spec.Confirm.Select())
        self._await(spec.Confirm.SelectOk)

    def _send(self, channel: int, method: Any) -> None:
        self._sock.sendall(frame.Method(channel, method).marshal())

    def _await(self, method: type) -> Any:
        while True:
            consumed, found = frame.decode_frame(self._arrived)
            if found is None:
                chunk = self._sock.recv(65536)
                if not chunk:
                    raise ConnectionError("RabbitMQ closed the connection")
                self._arrived += chunk
                continue
            self._arrived = self._arrived[consumed:]
            if isinstance(found.method, spec.Connection.Close | spec.Channel.Close):
                raise ConnectionError(found.method.reply_text)
            if isinstance(found.method, method):
                return found.method


def encode(event: Mapping[str, Any]) -> bytes:
    """The event as a producer in JavaScript would write it."""
    return json.dumps(event, separators=(",", ":")).encode()


def _message(channel: int, key: str, body: bytes) -> bytes:
    return b"".join((_head(channel, key, len(body)), struct.pack(">BHI", 3, channel, len(body)), body, b"\xce"))


@cache
def _head(channel: int, key: str, size: int) -> bytes:
    properties = spec.BasicProperties(content_type="application/json", delivery_mode=1)
    method = frame.Method(channel, spec.Basic.Publish(exchange="events", routing_key=key))
    return bytes(method.marshal() + frame.Header(channel, size, properties).marshal())
