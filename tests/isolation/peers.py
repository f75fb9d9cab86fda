"""Clients that come by one way and go on by another: they change the transport, vanish, and come back."""

from __future__ import annotations

from tests.day.peers import PATIENCE, Peer, PollingPeer, WebSocketPeer
from tests.service.peers import SOCKET_IO
from tests.support.wire import WebSocketClient, fetch


class Direct(WebSocketPeer):
    """Over WebSocket from the beginning."""

    def vanish(self) -> None:
        """Be gone without a word."""
        self._wire.reset()
        self.ended = True


class Roaming(PollingPeer):
    """Over polling, until it has asked to go on over a WebSocket, and does.

    Like socket.io-client it switches while no poll waits: `paused` is whether none does.
    """

    def __init__(self, port: int) -> None:
        self.paused = self._pausing = False
        self._beside: WebSocketClient | None = None
        self._over: _Continued | None = None
        super().__init__(port)

    @property
    def state(self) -> str:
        """Whether it is `polling`, has `probed` besides, or is `over`."""
        return "over" if self._over else "probed" if self._beside else "polling"

    def probe(self) -> None:
        """Open a WebSocket beside the polls, and ask whether the session may go on there."""
        target = self._target.replace("transport=polling", "transport=websocket")
        assert target.startswith(SOCKET_IO)
        self._beside = WebSocketClient.open(self.port, target, seconds=PATIENCE)
        self._beside.send_text("2probe")
        assert self._beside.read_text() == "3probe"

    def pause(self) -> None:
        """Have no poll follow the one that waits."""
        self._pausing = True

    def switch(self) -> None:
        """Go on over the WebSocket."""
        assert self.paused
        assert self._beside is not None
        self._polls.close()
        self._posts.close()
        self._over = _Continued(self, self._beside)
        self.say("5")

    def vanish(self) -> None:
        """Be gone without a word."""
        self.ended = True
        self._polls.close()
        self._posts.close()
        if self._beside is not None:
            self._beside.reset()

    @property
    def is_known(self) -> bool:
        """Whether the server still knows the session of a client that is gone."""
        return fetch(self.port, "POST", self._target, body=b"3").status == 200

    def fileno(self) -> int:
        return self._over.fileno() if self._over else super().fileno()

    def say(self, text: str) -> None:
        if self._over:
            self._over.say(text)
        else:
            super().say(text)

    def leave(self) -> None:
        if self._over:
            self._over.leave()
        else:
            super().leave()

    def read(self, now: float) -> None:
        if self._over:
            self._over.read(now)
            self.ended = self._over.ended
        else:
            super().read(now)

    def _poll(self) -> None:
        if self._pausing:
            self.paused = True
        else:
            super()._poll()

    def _end(self) -> None:
        super()._end()
        if self._beside is not None:
            self._beside.close()


class _Continued(WebSocketPeer):
    """The WebSocket over which a client goes on; what comes is for that client."""

    def __init__(self, peer: Peer, wire: WebSocketClient) -> None:
        Peer.__init__(self, peer.port)
        self._closing = False
        self._wire = wire
        self._peer = peer

    def take(self, packet: bytes, now: float) -> None:
        self._peer.take(packet, now)
