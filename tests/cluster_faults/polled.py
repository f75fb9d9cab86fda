"""A polling session that is spoken through as a WebSocket is."""

from __future__ import annotations

import asyncio
from collections import deque

from tests.leaks.peers import Gone, Polling


class Polled:
    """What is said is posted in order; what is heard is polled for."""

    def __init__(self, session: Polling) -> None:
        self._session = session
        self._heard: deque[str] = deque()
        self._said: asyncio.Queue[str] = asyncio.Queue()
        self._posting = asyncio.ensure_future(self._post())

    @classmethod
    async def open(cls, port: int) -> Polled:
        """Shake hands."""
        return cls(await Polling.open(port))

    def say(self, text: str) -> None:
        """Post `text` soon."""
        self._said.put_nowait(text)

    async def hear(self) -> str:
        """The next packet but a ping, which is answered; `Gone` at the end of the session."""
        while not self._heard:
            if self._posting.done():
                raise Gone("it cannot be posted")
            packets = await self._session.poll(pong=False)
            if "2" in packets:
                self.say("3")
            self._heard.extend(packet for packet in packets if packet not in ("2", "6"))
        return self._heard.popleft()

    async def hear_until(self, start: str) -> str:
        """The next packet that begins with `start`; those before it are thrown away."""
        while not (text := await self.hear()).startswith(start):
            pass
        return text

    def abort(self) -> None:
        """Reset both connections."""
        self._posting.cancel()
        self._session.abort()

    async def _post(self) -> None:
        while True:
            texts = [await self._said.get()]
            while not self._said.empty():
                texts.append(self._said.get_nowait())
            try:
                await self._session.post("\x1e".join(texts))
            except (Gone, OSError):
                return
