"""A day is played: clients connect, events are published, and what everybody heard is held against the model."""

from __future__ import annotations

import json
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.day.generator import Ask, Hour
from tests.day.peers import PATIENCE, Crowd, packet_event
from tests.day.world import Seat
from tests.model.comparison import differences, worded
from tests.model.live import BETWEEN, Live
from tests.model.section4 import Viewer
from tests.service.peers import token
from tests.support.clients import CLIENTS, require_node_modules
from tests.support.processes import Program

RATE = 5000
"""Events a second."""
SHOWN = 5
"""Faults that are told of one comparison."""
NOWHERE = "a room it is not in"
_decoded = lru_cache(maxsize=4096)(packet_event)
Answers = defaultdict[str, list[dict[str, Any]]]


class Published(NamedTuple):
    """What became of the events of an hour; `times` are when each was sent (seconds, monotonic)."""

    counts: dict[str, float]
    times: array[float]


class Stage:
    """Plays the hours of a day against the service on `port`; files go to `directory`.

    The events are published to `exchange` of the broker at `url`. `latencies` are the seconds from there to the
    light clients, one for each delivery.
    """

    def __init__(self, port: int, url: str, exchange: str, directory: Path) -> None:
        self.live = Live()
        self.published = 0
        self.last_heard = 0.0
        self.delivered: Counter[str] = Counter()
        self.latencies = array("d")
        self._port = port
        self._url = url
        self._exchange = exchange
        self._directory = directory
        self._crowd = Crowd(port)
        self._node: NodeClients | None = None
        self._answers: Answers = defaultdict(list)

    def prepare(self, hour: Hour) -> None:
        """Let clients go, come and ask, and have the events ready; AssertionError for a wrong answer."""
        for viewer in hour.leave:
            self._leave(viewer)
        self._join_in_node([seat for seat in hour.join if seat.mode], hour.asks)
        for seat in hour.join:
            if seat.mode is None:
                self._crowd.join(seat.viewer.name, token_of(seat.viewer), seat.transport)
            self.live.join(seat.viewer)
        for ask in hour.asks:
            if ask.viewer in self.live.viewers:
                self._ask(ask)
        assert self._crowd.all_answered(), "some requests were not answered"
        got = {name: peer.answers for name, peer in self._crowd.peers.items() if peer.answers}
        got |= self._node.answers() if self._node else {}
        assert {name: [*map(worded, answers)] for name, answers in got.items()} == self._answers
        for number, event in enumerate(hour.events, self.published):
            self.live.event(number, event.domain, event.action, event.data, event_id=event.id, at=event.at)
        lines = (json.dumps([event.kind, event.body]) for event in hour.events)
        (self._directory / "events").write_text("\n".join(lines))

    def play(self, rate: float = RATE) -> Published:
        """Publish the events and take what comes until everybody has heard the last one."""
        file = self._directory / "events"
        times = self._directory / "times"
        script = [require_node_modules(), "day_publish.js", self._url, self._exchange]
        with Program([*script, str(file), str(rate), str(times)], cwd=CLIENTS) as publisher:
            while publisher.process.poll() is None:
                self._crowd.turn()
            assert publisher.wait() == 0, publisher.output
            counts = json.loads(publisher.output[-1])
        self._crowd.until(self._all_heard_the_bell)
        self.last_heard = time.monotonic()
        sent = array("d")
        sent.frombytes(times.read_bytes())
        return Published(counts, sent)

    def faults(self, sent: Published) -> list[str]:
        """What clients heard otherwise than the model says since the last time; both are forgotten."""
        found = [
            *(f"{name} is still connected" for name in self._lingering()),
            *self._faults_of_light_clients(sent.times),
            *(self._node.faults(self.live, self.delivered) if self._node else ()),
        ]
        self.published += len(sent.times)
        self.live.heard.clear()
        return found

    def close(self) -> None:
        """Have every client answer once more, so that nothing can be on its way, then let go of all."""
        for peer in self._crowd.peers.values():
            if not peer.ended:
                peer.ask("leave_room", NOWHERE)
        answered = self._crowd.all_answered()
        late = [name for name, peer in self._crowd.peers.items() if peer.kept]
        self._crowd.close()
        if self._node:
            self._node.close()
        assert answered
        assert late == [], "something came after the end"

    # Within

    def _join_in_node(self, seats: list[Seat], asks: list[Ask]) -> None:
        if seats:
            assert self._node is None, "clients in Node come in the first hour only"
            url = f"http://127.0.0.1:{self._port}"
            self._node = NodeClients(url, seats, asks, self._directory / "clients")

    def _leave(self, viewer: Viewer) -> None:
        # Answered, it has nothing more on its way that its leaving could cut off.
        self._crowd.peers[viewer.name].ask("leave_room", NOWHERE)
        self._answers[viewer.name].append({"success": True, "room": NOWHERE})
        assert self._crowd.all_answered(), viewer.name
        self._crowd.leave(viewer.name)
        self.live.leave(viewer)

    def _ask(self, ask: Ask) -> None:
        name = ask.viewer.name
        self._answers[name].append(self.live.ask(ask.viewer, ask.request, ask.subject))
        if name in self._crowd.peers:
            self._crowd.peers[name].ask(ask.request, ask.subject)

    def _all_heard_the_bell(self) -> bool:
        light = (self._crowd.peers.get(viewer.name) for viewer in self.live.viewers)
        return all(peer is None or peer.heard_the_bell for peer in light) and (
            self._node is None or self._node.have_heard(self.live)
        )

    def _lingering(self) -> list[str]:
        here = {viewer.name for viewer in self.live.viewers}
        gone = [name for name in self._crowd.peers if name not in here]
        self._crowd.until(lambda: all(self._crowd.peers[name].ended for name in gone))
        return [name for name in gone if not self._crowd.peers[name].ended]

    def _faults_of_light_clients(self, times: array[float]) -> Iterator[str]:
        for name, peer in self._crowd.peers.items():
            expected = self.live.heard[name]
            got = [_decoded(packet) for _, packet in peer.kept]
            self.delivered.update(event for event, _ in got)
            yield from differences(name, expected, got)
            for heard, (at, _) in zip(expected, peer.kept, strict=False):
                if heard.cause != BETWEEN:
                    self.latencies.append(at - times[heard.cause - self.published])
            peer.kept.clear()


class NodeClients:
    """Real socket.io-clients in one Node process, one after the other in all of its modes."""

    def __init__(self, url: str, seats: list[Seat], asks: list[Ask], file: Path) -> None:
        self._names = [seat.viewer.name for seat in seats]
        wanted = [
            {
                "name": seat.viewer.name,
                "mode": seat.mode,
                "token": token_of(seat.viewer),
                "asks": [(ask.request, ask.subject) for ask in asks if ask.viewer is seat.viewer],
            }
            for seat in seats
        ]
        file.write_text(json.dumps(wanted))
        self._program = Program([require_node_modules(), "day_clients.js", url, str(file)], cwd=CLIENTS)
        self._read = 0
        self._heard: dict[str, list[tuple[str, Any]]] = {name: [] for name in self._names}
        self._answers: dict[str, list[dict[str, Any]]] = {}
        try:
            self._program.wait_for_output('["","ready"]', PATIENCE)
        except BaseException:
            self.close()
            raise

    def answers(self) -> dict[str, list[dict[str, Any]]]:
        """What each got for its questions."""
        self._take()
        return self._answers

    def have_heard(self, live: Live) -> bool:
        """Whether each has as much as it must get."""
        self._take()
        return all(len(self._heard[name]) >= len(live.heard[name]) for name in self._names)

    def faults(self, live: Live, delivered: Counter[str]) -> list[str]:
        """As of the light clients."""
        self._take()
        found = []
        for name in self._names:
            delivered.update(event for event, _ in self._heard[name])
            found += differences(name, live.heard[name], self._heard[name])
            self._heard[name] = []
        return found

    def close(self) -> None:
        self._program.stop()

    def _take(self) -> None:
        lines = self._program.output[self._read :]
        self._read += len(lines)
        for line in lines:
            name, what, *values = json.loads(line)
            if what == "answers":
                self._answers[name] = values[0]
            elif what == "heard":
                event, data = values
                self._heard[name].append((event, data))


def token_of(viewer: Viewer) -> str:
    """The token that the platform issues to this client."""
    return token(viewer.user, viewer.company, *viewer.shops, role=next(iter(viewer.roles), None), lifetime=7200)
