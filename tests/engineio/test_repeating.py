"""Requests that repeat are answered as if they were parsed: of two sites treated alike, one parses all."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from rtwist.engineio.http import Channel
from rtwist.engineio.packet import message
from rtwist.engineio.repeating import Repeated
from tests.engineio.descriptors import Descriptor
from tests.engineio.http_fakes import ADDRESS, Front, Turns
from tests.engineio.test_websocket import frame
from tests.support.wire import CHUNKED, chunked, http_request

ORIGIN = "https://shop.example"
OPTIONS = {
    "cors_origins": (ORIGIN,),
    "compression_threshold": 100,
    "max_requests": 40,
    "max_buffered_age": 20.0,
    "idle_timeout": 15.0,
    "ping_interval": 40.0,
}
BROWSER = (
    ("Accept", "*/*"),
    ("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Trident/7.0; rv:11.0) like Gecko"),
    ("Origin", ORIGIN),
    ("Accept-Encoding", "gzip, deflate"),
)
UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)


class Parsing(Channel):
    """A connection that remembers no request."""

    def remember(self, *_: object) -> None:
        pass


class Remembering(Channel):
    """A connection that counts what it did not parse."""

    repeated = 0

    def _begin(self) -> Repeated:
        Remembering.repeated += 1
        return super()._begin()


class Wire(Descriptor):
    """A connection that brings nothing while the server does not read."""

    def __init__(self, front: Front) -> None:
        super().__init__(front.clock)
        self._clock_of_turns: Turns = front.clock
        self._reading = True
        self._inbox: list[bytes] = []
        self.protocol = front.site.buildProtocol(ADDRESS)
        self.protocol.makeConnection(self)

    def send(self, data: bytes) -> None:
        self._inbox.append(data)
        self._deliver()

    def startReading(self) -> None:  # noqa: N802
        self._reading = True
        self._clock_of_turns.callLater(0, self._deliver)

    def stopReading(self) -> None:  # noqa: N802
        self._reading = False

    def loseConnection(self) -> None:  # noqa: N802
        super().loseConnection()
        # As a TLS connection does.
        self._reading = True

    def _deliver(self) -> None:
        while self._inbox and self._reading and not (self.lost or self.aborted):
            self.protocol.dataReceived(self._inbox.pop(0))


class Shop:
    """A site, some connections to it, and sessions whose ids are left out of what it says."""

    def __init__(self, channel: type[Channel]) -> None:
        self.front = Front(**OPTIONS)
        self.front.site.protocol = channel  # type: ignore[assignment]
        self.wires: list[Wire] = []
        self.sids = [self._open() for _ in range(2)]

    def _open(self) -> str:
        wire = self.wire()
        wire.send(http_request("GET", self.front.target()))
        wire.read_all()
        return re.findall(rb'"sid":"([^"]+)"', wire.take())[0].decode()

    def wire(self, index: int | None = None) -> Wire:
        """A connection; without an index a new one."""
        if index is None or index >= len(self.wires):
            self.wires.append(Wire(self.front))
        return self.wires[-1 if index is None else min(index, len(self.wires) - 1)]

    def told(self) -> list[object]:
        """All that can be seen from outside since the last time."""
        told: list[object] = []
        for wire in self.wires:
            said = re.sub(r"Date: [^\r]*\r\n", "Date\r\n", wire.take().decode("latin-1"))
            told.append((self._without_sids(said), wire.lost, wire.aborted, wire.pending))
        told += [(self._without_sids(str(ears.messages)), list(ears.ends)) for ears in self.front.ears]
        told += [ears.session.transport_name for ears in self.front.ears]
        told.append((self.front.server.admission.as_dict(), self.front.server.backlog.as_dict()))
        return told

    def _without_sids(self, text: str) -> str:
        for number, sid in enumerate(self.sids):
            text = text.replace(sid, f"sid {number}")
        return text

    def end(self) -> None:
        for wire in self.wires:
            wire.leave()
        self.front.end()


@dataclass(frozen=True)
class Request:
    """A request of session 0, unless it says otherwise."""

    method: str = "GET"
    body: bytes | None = None
    stamp: str | None = "Px1"
    session: int | None = 0
    headers: Sequence[tuple[str, str]] = ()
    change: Callable[[bytes], bytes] = bytes

    def data(self, shop: Shop, more: dict[str, str] | None = None) -> bytes:
        query = dict(more or {})
        if self.stamp is not None:
            query["t"] = self.stamp
        query["sid"] = "unknown" if self.session is None else shop.sids[self.session]
        return self.change(http_request(self.method, shop.front.target(**query), self.headers, self.body))


GET, POST = Request(), Request("POST", b"4hello")
Step = Callable[[Shop], None]
Steps = Sequence[Step]


def sends(*requests: Request, wire: int = 2, cut: int | None = None) -> Step:
    """These requests come on a connection in one piece, or in two."""

    def step(shop: Shop) -> None:
        data = b"".join(request.data(shop) for request in requests)
        at = len(data) if cut is None else cut % len(data)
        for part in (data[:at], data[at:]):
            if part:
                shop.wire(wire).send(part)

    return step


def at_once(*steps: Step) -> Step:
    """All this happens in one turn of the reactor."""

    def step(shop: Shop) -> None:
        for one in steps:
            one(shop)

    return step


def sends_raw(data: bytes, wire: int = 2) -> Step:
    return lambda shop: shop.wire(wire).send(data)


def says(text: str, session: int = 0) -> Step:
    """The server sends a message."""
    return lambda shop: shop.front.ears[session].session.send([message(text)])


def ends(how: str, session: int = 0) -> Step:
    """The server ends a session."""

    def step(shop: Shop) -> None:
        one = shop.front.ears[session].session
        one.close() if how == "close" else one.abort("forced close")

    return step


def passes(seconds: float) -> Step:
    return lambda shop: shop.front.clock.advance(seconds)


def leaves(wire: int = 2) -> Step:
    return lambda shop: shop.wire(wire).leave()


def reads(size: int, wire: int = 2) -> Step:
    return lambda shop: shop.wire(wire).read(size)


def upgrades(wire: int = 4, session: int = 0) -> Step:
    """The session goes over to a WebSocket."""

    def step(shop: Shop) -> None:
        target = shop.front.target(sid=shop.sids[session], transport="websocket")
        connection = shop.wire(wire)
        connection.send(http_request("GET", target, UPGRADE))
        for packet in (b"2probe", b"5"):
            connection.send(frame(1, packet))

    return step


def everybody_reads(shop: Shop) -> None:
    for wire in shop.wires:
        wire.read_all()


def play(steps: Steps, reading: bool = True) -> int:
    """Do the same to both sites and compare what they do; returns how many requests were not parsed."""
    Remembering.repeated = 0
    with capturedLogs() as logs:
        one, other = Shop(Parsing), Shop(Remembering)
        try:
            _play(steps, reading, one, other)
        finally:
            one.end()
            other.end()
    assert [event["log_failure"] for event in logs if "log_failure" in event] == []
    return Remembering.repeated


def _play(steps: Steps, reading: bool, one: Shop, other: Shop) -> None:
    for number, step in enumerate(steps):
        for shop in (one, other):
            step(shop)
            shop.front.settle()
            if reading:
                everybody_reads(shop)
        assert other.told() == one.told(), number
    for shop in (one, other):
        everybody_reads(shop)
        shop.front.settle()
    assert other.told() == one.told(), "at the end"


# What repeats


@pytest.mark.parametrize("headers", [(), BROWSER])
@pytest.mark.parametrize("stamp", [None, "Px1"])
def test_polls_repeat(headers: Sequence[tuple[str, str]], stamp: str | None) -> None:
    poll = Request(headers=headers, stamp=stamp)
    assert play([step for n in range(4) for step in (sends(poll), says(f"message {n}" * n))]) == 3


@pytest.mark.parametrize("headers", [(), BROWSER, [("Content-Type", "text/plain;charset=UTF-8")]])
@pytest.mark.parametrize("stamp", [None, "Px1"])
def test_posts_repeat(headers: Sequence[tuple[str, str]], stamp: str | None) -> None:
    posts = [Request("POST", b"4" + b"x" * size, stamp, 0, headers) for size in (0, 3, 100, 3000)]
    assert play([sends(post) for post in posts]) == 3


def test_polls_and_posts_repeat_on_one_connection_with_new_stamps() -> None:
    steps = []
    for number in range(5):
        steps += [
            sends(replace(GET, stamp=f"a{number}")),
            says("hello"),
            sends(replace(POST, stamp=f"b{number}")),
        ]
    assert play(steps) == 8


@pytest.mark.parametrize("request_", [GET, POST])
def test_requests_repeat_on_any_connection(request_: Request) -> None:
    steps = [sends(request_), says("a"), sends(request_, wire=3), passes(11.0), says("b"), passes(4.0)]
    assert play([*steps, sends(request_, wire=4), says("c"), passes(14.9), passes(0.2), sends(GET)]) == 2


def test_a_connection_is_kept_or_not_as_each_request_says() -> None:
    closing = Request(headers=[("Connection", "close")])
    keeping = Request(headers=[("Connection", "keep-alive")])
    polls = [(closing, 2), (keeping, 3), (closing, 4), (keeping, 5), (keeping, 3), (closing, 3), (keeping, 5)]
    assert play([step for poll, wire in polls for step in (sends(poll, wire=wire), says("a"))]) == 3


def test_a_poll_is_answered_at_once_with_what_waits() -> None:
    assert play([sends(GET), says("one"), says("two"), says("three"), sends(GET), sends(GET), says("four")]) == 2


def test_what_was_parsed_in_between_changes_nothing() -> None:
    other = Request("OPTIONS", headers=BROWSER)
    assert play([sends(POST), sends(other), sends(POST), sends(POST, cut=30), sends(POST)]) == 2


# What does not, or ends


@pytest.mark.parametrize("blank", [b"\r\n", b"\r\n\r\n", b"\n", b"x", b"GET"])
def test_bytes_between_requests_are_seen_by_the_parser(blank: bytes) -> None:
    play([sends(GET), says("one"), sends_raw(blank), sends(GET), says("two"), sends_raw(blank), sends(GET)])


@pytest.mark.parametrize("behind", [b"\r\n", b"GET /socket.io/?x="])
def test_what_comes_in_one_piece_with_a_request_is_not_forgotten(behind: bytes) -> None:
    more = Request(change=lambda data: data + behind)
    steps = [sends(GET), says("a"), says("b"), sends(more), sends(GET), says("c"), says("d")]
    assert play([*steps, sends_raw(b"\r\n"), sends(GET), says("e")]) == 0


def test_what_looks_like_a_request_within_a_body_is_not_learned() -> None:
    refused = Request(headers=[("Origin", "https://other.example")])

    def step(shop: Shop) -> None:
        inner = refused.data(shop)
        outer = Request("POST", b"4x" + inner).data(shop)
        shop.wire(2).send(outer[: -len(inner)])
        shop.wire(2).send(inner)

    assert play([step, sends(refused), says("a"), sends(GET)]) == 0


@pytest.mark.parametrize("last", [[("Connection", "close")], [("Connection", "keep-alive, close")], ()])
def test_nothing_follows_the_last_request(last: Sequence[tuple[str, str]]) -> None:
    change = bytes if last else lambda data: data.replace(b"HTTP/1.1", b"HTTP/1.0")
    final = sends(replace(GET, headers=last, change=change))
    steps = [sends(GET), says("a"), sends(GET), says("b"), final]
    for behind in (final, sends(GET)):
        play([*steps, at_once(says("c"), behind), says("d"), sends(GET)])


@pytest.mark.parametrize("size", [10, 65_000, 200_000])
@pytest.mark.parametrize("second", [GET, POST, Request("OPTIONS"), Request(session=None)])
def test_answers_of_one_turn_stay_in_order(second: Request, size: int) -> None:
    # Hardly compressible.
    text = "".join(f"{number * number:x}" for number in range(size // 7))
    again = at_once(says("a"), sends(second), says(text), sends(GET), says("b"))
    assert play([sends(GET), says("first"), sends(GET), again, again]) >= 1


@pytest.mark.parametrize("request_", [GET, POST])
@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_session_that_has_ended_is_unknown(request_: Request, how: str) -> None:
    play([sends(request_), says("one"), ends(how), sends(GET, wire=3), sends(request_)])


@pytest.mark.parametrize("request_", [GET, POST])
def test_a_session_that_went_over_to_a_websocket_does_not_poll(request_: Request) -> None:
    assert play([sends(request_), says("one"), sends(request_), upgrades(), sends(request_), says("two")]) == 1


def test_a_second_poll_beside_the_first_ends_the_session() -> None:
    steps = [sends(GET), sends(GET, wire=3), sends(GET, wire=3)]
    assert play([sends(GET), says("one"), sends(GET, wire=3), says("two"), *steps]) == 3


def test_a_second_post_beside_the_first_ends_the_session() -> None:
    flood = Request("POST", b"\x1e".join([b"4x"] * 1000))

    def both(shop: Shop) -> None:
        shop.wire(2).send(flood.data(shop))
        shop.wire(3).send(POST.data(shop))

    assert play([sends(POST), sends(POST, wire=3), both, sends(POST)]) == 3


@pytest.mark.parametrize("first", [GET, POST])
@pytest.mark.parametrize("second", [GET, POST])
def test_pipelined_requests_come_one_after_another(first: Request, second: Request) -> None:
    play([sends(first), says("a"), sends(first, second), says("b"), sends(first, second, first), says("c")])
    play([sends(first), says("a"), sends(first), sends(second), says("b"), sends(first), says("c")])


def test_a_flood_behind_a_poll_is_read_when_that_is_answered() -> None:
    flood = sends(*[POST] * 30)
    play(
        [
            sends(GET),
            says("a"),
            sends(GET),
            sends(Request("POST", b"4" + b"x" * 30_000)),
            flood,
            says("b"),
            says("c"),
        ]
    )


def test_a_client_that_leaves_a_poll_ends_its_session() -> None:
    assert play([sends(GET), says("a"), sends(GET), leaves(), sends(GET, wire=3)]) == 1


def test_a_client_that_leaves_a_post_ends_its_session() -> None:
    flood = Request("POST", b"\x1e".join([b"4x"] * 1000))

    def leave_at_once(shop: Shop) -> None:
        shop.wire(2).send(flood.data(shop))
        shop.wire(2).leave()

    assert play([sends(POST), leave_at_once, sends(POST, wire=3)]) == 1


@pytest.mark.parametrize("body", [b"x", b"\xff", b"2", b"\x1e", b"1", b"4" + b"y" * 1_000_001])
def test_a_bad_post_ends_the_session(body: bytes) -> None:
    play([sends(POST), sends(Request("POST", body)), sends(POST)])


def test_the_last_request_of_a_connection_is_told_so() -> None:
    assert play([sends(POST)] * 45) == 38


@pytest.mark.parametrize("quiet", [14.9, 15.0, 20.0])
@pytest.mark.parametrize("parked", [0.0, 10.0, 24.0])
def test_an_idle_connection_is_closed_as_long_after_its_last_answer(parked: float, quiet: float) -> None:
    poll = [sends(GET), passes(parked), says("a")]
    steps = [*poll, passes(8.0), *poll, passes(9.0), *poll, passes(quiet), passes(0.2), sends(GET), passes(20.0)]
    assert play(steps) >= 1


@pytest.mark.parametrize("begun", [b"G", b"GET / HTTP/1.1\r\n"])
def test_headers_that_dribble_behind_an_answer_are_cut(begun: bytes) -> None:
    play([sends(GET), says("a"), sends(GET), says("b"), sends_raw(begun), passes(9.9), passes(0.2)])
    play([sends(GET), says("a"), sends(GET), sends_raw(begun), passes(12.0), says("b"), passes(9.9), passes(0.2)])


# Answers left unread


@pytest.mark.parametrize("size", [50_000, 65_500, 65_600, 200_000])
@pytest.mark.parametrize(
    "then", [sends(GET), sends(GET, wire=3), ends("close"), ends("abort"), says("more"), leaves()]
)
def test_a_client_that_does_not_read(size: int, then: Step) -> None:
    # Large pieces are for `says`, and hardly compressible.
    text = "".join(f"{number * number:x}" for number in range(size // 7))
    steps = [sends(GET), says("a"), reads(10_000), sends(GET), says(text), sends(GET), says(text), then]
    play([*steps, passes(1.0), reads(70_000), sends(GET), passes(10.0), passes(25.0)], reading=False)


# Anything

BASES = [
    GET,
    POST,
    Request(headers=BROWSER),
    Request("POST", b"4hello", headers=BROWSER),
    Request("POST", b"3"),
    Request(stamp=None),
    Request(session=1),
    Request("POST", b"4two", session=1),
]
ODD = [
    *BASES,
    Request(session=None),
    Request("HEAD"),
    Request("OPTIONS", headers=BROWSER),
    Request("PUT", b"4put"),
    Request("POST", b""),
    Request("POST", b"4" + b"x" * 70_000),
    Request("POST", b"4x", headers=[("Content-Type", "application/octet-stream")]),
    Request("POST", chunked(b"4chunks"), headers=CHUNKED),
    Request("POST", b"4later", headers=[("Expect", "100-continue")]),
    Request("POST", b"4less", headers=[("Content-Length", "4")]),
    Request(headers=[("Connection", "close")]),
    Request(headers=[("Origin", "https://other.example")]),
    Request(headers=[("Origin", ORIGIN.upper())]),
    Request(headers=BROWSER[::-1]),
    Request(headers=[(name.lower(), value) for name, value in BROWSER]),
    Request(headers=[("Authorization", "Bearer other")]),
    Request(headers=[("Accept-Encoding", "br")]),
    Request(headers=UPGRADE),
    Request(stamp="not%20plain"),
    Request(stamp="x" * 70),
    Request(change=lambda data: data.replace(b"HTTP/1.1", b"HTTP/1.0")),
    Request(change=lambda data: data.replace(b"GET /", b"GET http://x/")),
    Request(change=lambda data: data.replace(b"polling", b"websocket")),
    Request(change=lambda data: data.replace(b"EIO=4", b"EIO=3")),
    Request(change=lambda data: data.replace(b"\r\n", b"\n")),
    Request(change=lambda data: b"\r\n" + data),
]
CONNECTIONS = st.sampled_from([2, 2, 2, 3])
SESSIONS = st.sampled_from([0, 0, 0, 1])
BASE = st.builds(replace, st.sampled_from(BASES), stamp=st.sampled_from(["Px1", "Px2", "z.-_9", None]))
SOME = st.lists(st.sampled_from(ODD), min_size=1, max_size=3)
STEPS = st.one_of(
    st.builds(sends, BASE, wire=CONNECTIONS),
    st.builds(says, st.sampled_from(["m", "n" * 200, "o" * 70_000]), SESSIONS),
    st.builds(sends, BASE, wire=CONNECTIONS),
    st.builds(says, st.sampled_from(["m", "n" * 200]), SESSIONS),
    st.builds(sends, BASE, BASE, wire=CONNECTIONS, cut=st.none() | st.integers(1, 2000)),
    st.builds(
        lambda some, wire, cut: sends(*some, wire=wire, cut=cut),
        SOME,
        CONNECTIONS,
        st.none() | st.integers(1, 2000),
    ),
    st.builds(passes, st.sampled_from([0.5, 7.0, 15.0, 40.0])),
    st.builds(reads, st.sampled_from([10, 1000, 100_000]), CONNECTIONS),
    st.builds(leaves, CONNECTIONS),
    st.builds(ends, st.sampled_from(["close", "abort"]), SESSIONS),
    st.builds(upgrades, session=SESSIONS),
)
LEARNED = [step for wire in (2, 3) for step in (sends(GET, wire=wire), says("a"), sends(POST, wire=wire))]


@given(st.lists(STEPS, min_size=1, max_size=25), st.booleans())
@settings(max_examples=150, deadline=None)
def test_whatever_is_sent_the_answers_are_the_same(steps: Steps, reading: bool) -> None:
    play([*LEARNED, everybody_reads, *steps], reading)
