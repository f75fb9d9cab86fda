"""A thousand light clients in one thread: over WebSocket or polling, everything they get is kept as it came."""

from __future__ import annotations

import json
import select
import time
from typing import Any

from tests.day.happenings import BELL
from tests.model.live import DISCONNECTED
from tests.service.peers import SOCKET_IO
from tests.support.wire import CLOSE, TEXT, HttpClient, WebSocketClient, close_frame, http_request

PATIENCE = 30.0
"""Seconds without news from anybody after which what is awaited is taken for lost."""
CHUNK = 1 << 18
_BELL = BELL.encode()


class Peer:
    """A client; `kept` are the events it got, as packets, each with the time it came (seconds, monotonic).

    `id` is that of its socket, `welcome` what it got when it was let in, `refusal` when it was not.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.kept: list[tuple[float, bytes]] = []
        self.answers: list[dict[str, Any]] = []
        self.asked = 0
        self.id = ""
        self.welcome: dict[str, Any] | None = None
        self.refusal: dict[str, Any] | None = None
        self.ended = False
        self._buffer = bytearray()

    def fileno(self) -> int:
        """What to poll for news."""
        raise NotImplementedError

    def say(self, text: str) -> None:
        """Send a packet."""
        raise NotImplementedError

    def leave(self) -> None:
        """Close the connection of one's own accord."""
        raise NotImplementedError

    def read(self, now: float) -> None:
        """Take what has come at `now`."""
        raise NotImplementedError

    def connect(self, token: str | None) -> None:
        """Ask to be let in with this token."""
        self.welcome = self.refusal = None
        self.say("40" if token is None else f"40{json.dumps({'token': token})}")

    def ask(self, *event: Any) -> None:
        """Emit with an acknowledgement, which will be among `answers`."""
        self.say(f"42{self.asked}{json.dumps(event)}")
        self.asked += 1

    @property
    def heard_the_bell(self) -> bool:
        """Whether the hour is over for this client, and nothing has come since."""
        return bool(self.kept) and _BELL in self.kept[-1][1]

    @property
    def answered(self) -> bool:
        """Whether all questions are answered."""
        return len(self.answers) == self.asked or self.ended

    def take(self, packet: bytes, now: float) -> None:
        """Sort in one packet."""
        if packet == b"2":
            self.say("3")
        elif packet.startswith(b"42"):
            if self.welcome is not None:
                self.kept.append((now, packet))
            else:
                name, self.welcome = json.loads(packet[2:])
                assert name == "connected", packet
        elif packet.startswith(b"43"):
            number = str(len(self.answers)).encode()
            assert packet.startswith(b"43" + number + b"["), (packet, number)
            self.answers += json.loads(packet[2 + len(number) :])
        elif packet == b"41":
            self.kept.append((now, packet))
        elif packet == b"1":
            self.ended = True
        elif packet.startswith(b"40{"):
            self.id = json.loads(packet[2:])["sid"]
        elif packet.startswith(b"44{"):
            self.refusal = json.loads(packet[2:])
        else:
            assert packet == b"6", packet


class WebSocketPeer(Peer):
    """Over WebSocket from the beginning."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._closing = False
        self._wire = WebSocketClient.open(port, SOCKET_IO, seconds=PATIENCE)
        opening = self._wire.read_text()
        assert opening.startswith("0{"), opening

    def fileno(self) -> int:
        return self._wire.sock.fileno()

    def say(self, text: str) -> None:
        self._wire.send_text(text)

    def leave(self) -> None:
        self._closing = True
        self._wire.send(close_frame(1000))

    def read(self, now: float) -> None:
        try:
            chunk = self._wire.sock.recv(CHUNK)
        except ConnectionResetError:
            # Once both have said goodbye, a server may end the connection any way it likes.
            assert self._closing
            chunk = b""
        if not chunk:
            self.ended = True
            self._wire.close()
            return
        buffer = self._buffer
        buffer += chunk
        at, end = 0, len(buffer)
        while end - at >= 2:
            size, start = buffer[at + 1], at + 2
            if size >= 126:
                start += 2 if size == 126 else 8
                size = int.from_bytes(buffer[at + 2 : start], "big") if end >= start else end
            if end - start < size:
                break
            if buffer[at] == 0x80 | TEXT:
                self.take(bytes(buffer[start : start + size]), now)
            elif buffer[at] == 0x80 | CLOSE and not self._closing:
                self.leave()
            at = start + size
        del buffer[:at]


class PollingPeer(Peer):
    """Over HTTP long-polling only: one connection for what comes, one for what is sent."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self._leaving = False
        self._target = SOCKET_IO.replace("websocket", "polling")
        self._polls, self._posts = HttpClient(port, PATIENCE), HttpClient(port, PATIENCE)
        opening = self._polls.request("GET", self._target).text
        self._target += f"&sid={json.loads(opening[1:])['sid']}"
        self._poll()

    def fileno(self) -> int:
        return self._polls.sock.fileno()

    def say(self, text: str) -> None:
        answer = self._posts.request("POST", self._target, body=text.encode())
        assert answer.status == 200, answer

    def leave(self) -> None:
        self._leaving = True
        self.say("1")

    def read(self, now: float) -> None:
        chunk = self._polls.sock.recv(CHUNK)
        self._buffer += chunk
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not chunk:
            self._end()
        elif found and len(body) >= _length(bytes(head)):
            self._buffer.clear()
            if self._leaving:  # the session is gone, whether this poll came before or after
                self._end()
                return
            assert head.startswith(b"HTTP/1.1 200 "), (head, body)
            for packet in bytes(body).split(b"\x1e"):
                self.take(packet, now)
            if self.ended:
                self._end()
            else:
                self._poll()

    def _poll(self) -> None:
        self._polls.sock.sendall(http_request("GET", self._target))

    def _end(self) -> None:
        self.ended = True
        self._polls.close()
        self._posts.close()


def _length(head: bytes) -> int:
    lines = (line.partition(b":") for line in head.lower().split(b"\r\n"))
    return next(int(value) for name, _, value in lines if name == b"content-length")


class Crowd:
    """All light clients by name, polled together."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.peers: dict[str, Peer] = {}
        self._poll = select.epoll()
        self._by_file: dict[int, Peer] = {}

    def join(self, name: str, token: str, transport: str) -> None:
        """Connect a client, and return once it is welcome."""
        kind = WebSocketPeer if transport == "websocket" else PollingPeer
        peer = kind(self.port)
        self.add(name, peer)
        peer.connect(token)
        assert self.until(lambda: peer.welcome is not None), name

    def add(self, name: str, peer: Peer) -> None:
        """Have an open connection among the others."""
        self.peers[name] = peer
        self.watch(peer)

    def watch(self, peer: Peer) -> None:
        """Look for news where the client now reads."""
        self._by_file[peer.fileno()] = peer
        self._poll.register(peer.fileno(), select.EPOLLIN)

    def unwatch(self, peer: Peer) -> None:
        """Look for no news of the client, which still reads where it did."""
        if self._by_file.pop(peer.fileno(), None) is not None:
            self._poll.unregister(peer.fileno())

    def leave(self, name: str) -> None:
        """Have a client close its connection, and return once the server has closed it, too."""
        peer = self.peers[name]
        peer.leave()
        assert self.until(lambda: peer.ended), name

    def turn(self, seconds: float = 0.05) -> bool:
        """Take what has come, or wait so long for it; whether there was anything."""
        ready = self._poll.poll(seconds)
        now = time.monotonic()
        for file, _ in ready:
            peer = self._by_file[file]
            peer.read(now)
            if peer.ended:
                del self._by_file[file]
        return bool(ready)

    def until(self, condition: Any) -> bool:
        """Take what comes until `condition` holds; False when nothing comes any more and it does not."""
        news = time.monotonic()
        while not condition():
            if self.turn():
                news = time.monotonic()
            elif time.monotonic() - news > PATIENCE:
                return False
        return True

    def all_answered(self) -> bool:
        """Take what comes until all questions are answered; False when some are not."""
        return self.until(lambda: all(peer.answered for peer in self.peers.values()))

    def close(self) -> None:
        """Let go of everybody."""
        for peer in self._by_file.values():
            peer.leave()
        self._poll.close()


def packet_event(packet: bytes) -> tuple[str, Any]:
    """The name and the data of what came."""
    if packet == b"41":
        return DISCONNECTED, None
    name, *arguments = json.loads(packet[2:])
    assert len(arguments) == 1, packet
    return name, arguments[0]
