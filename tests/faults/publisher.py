"""A publisher for which an event is published once the broker has confirmed it; until then it is sent again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection

from tests.faults.checker import Published
from tests.faults.traffic import Event

_PAUSE = 0.2
logging.getLogger("pika").setLevel(logging.CRITICAL)  # of what goes wrong here the publisher takes care


class Publisher:
    """Publishes in order. What is not confirmed when a connection ends goes first on the next, in its order.

    `window` is how many events may wait for their confirms. `confirmed` holds what the broker has taken over,
    `again` counts events that were sent once more, under the id they had, and `returned` what no queue took.
    """

    def __init__(self, url: str, exchange: str, *, window: int = 300) -> None:
        self.confirmed: list[Published] = []
        self.again = 0
        self.returned: list[str] = []
        self.blocked = False
        self._parameters = pika.URLParameters(url)
        self._exchange = exchange
        self._window = window
        self._unconfirmed: dict[int, Event] = {}
        self._tags: dict[int, int] = {}
        self._sent = 0
        self._connection: Any = None
        self._channel: Any = None
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect, and keep connected."""
        self._task = asyncio.ensure_future(self._keep_connected())
        await self._until(lambda: self._channel is not None)

    async def stop(self) -> None:
        """Close the connection and make no other."""
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        if self._connection is not None and self._connection.is_open:
            closed = asyncio.get_running_loop().create_future()
            self._connection.add_on_close_callback(lambda *_: closed.set_result(None))
            self._connection.close()
            await closed

    async def publish(self, event: Event) -> None:
        """Return once it is on its way; it may wait for others to be confirmed."""
        await self._until(lambda: len(self._unconfirmed) < self._window)
        self._unconfirmed[event.number] = event
        if self._channel is not None and self._channel.is_open:
            self._send(event)

    async def flush(self) -> None:
        """Return once everything is confirmed."""
        await self._until(lambda: not self._unconfirmed)

    # Within

    async def _until(self, condition: Any) -> None:
        async with self._news:
            await self._news.wait_for(condition)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _keep_connected(self) -> None:
        while True:
            ended = asyncio.Event()
            self._connection = AsyncioConnection(
                self._parameters,
                on_open_callback=lambda connection: connection.channel(on_open_callback=self._opened),
                on_open_error_callback=lambda *_, ended=ended: ended.set(),
                on_close_callback=lambda *_, ended=ended: ended.set(),
            )
            self._connection.add_on_connection_blocked_callback(lambda *_: self._set_blocked(True))
            self._connection.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(False))
            await ended.wait()
            self._channel = None
            await asyncio.sleep(_PAUSE)

    def _opened(self, channel: Any) -> None:
        channel.add_on_return_callback(
            lambda _channel, _method, made, _body: self.returned.append(made.message_id)
        )
        channel.confirm_delivery(self._settled, callback=lambda _: self._begin(channel))

    def _begin(self, channel: Any) -> None:
        self._channel, self._sent, self._tags = channel, 0, {}
        self.again += len(self._unconfirmed)
        for event in self._unconfirmed.values():
            self._send(event)
        self._spread()

    def _send(self, event: Event) -> None:
        self._sent += 1
        self._tags[self._sent] = event.number
        properties = pika.BasicProperties(delivery_mode=2, message_id=f"event {event.number}")
        body = json.dumps(event.body).encode()
        self._channel.basic_publish(self._exchange, event.key, body, properties, mandatory=True)

    def _settled(self, frame: Any) -> None:
        method = frame.method
        if isinstance(method, pika.spec.Basic.Nack):
            # What came behind it may have been taken: all goes again, so that the order is kept.
            self._connection.close()
            return
        first = min(self._tags) if method.multiple else method.delivery_tag
        for tag in range(first, method.delivery_tag + 1):
            number = self._tags.pop(tag, None)
            if number is not None:
                self.confirmed.append(self._unconfirmed.pop(number).published)
        self._spread()

    def _set_blocked(self, whether: bool) -> None:
        self.blocked = whether

    def _spread(self) -> None:
        self._telling = asyncio.ensure_future(self._tell())
