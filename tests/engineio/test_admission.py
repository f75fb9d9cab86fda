"""Who may come in, and how fast: connections, handshakes, packets and bytes."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent

from rtwist.engineio.admission import SPARE_CONNECTIONS, Admission
from rtwist.engineio.options import Options
from tests.engineio.conftest import Fronts
from tests.engineio.http_fakes import Front, Line
from tests.support.wire import CLOSE, CONTINUATION, PING, PONG, TEXT, Ended, Response, frame


def refused(answer: Response) -> tuple[int, str, str | None]:
    """Status, code and Retry-After of an answer to somebody who was one too many."""
    assert answer.header("Content-Type") == "application/json"
    assert set(answer.json()) == {"code", "message"}
    return answer.status, answer.json()["code"], answer.header("Retry-After")


def forwarded(address: str) -> tuple[tuple[str, str], ...]:
    return (("X-Forwarded-For", address),)


def ask(front: Front, address: str = "", **query: str) -> Response:
    """A handshake on a connection of its own, through a proxy when an address is given."""
    return front.line().request("GET", front.target(**query), forwarded(address) if address else ())


# Connections in all


def test_sessions_are_counted_on_both_transports(fronts: Fronts) -> None:
    front = fronts(max_connections=2, max_requests=1)
    ask(front)
    websocket = front.line()
    assert websocket.handshake(front.target(transport="websocket")).status == 101
    front.settle()
    assert refused(ask(front)) == (503, "too_many", "5")
    assert refused_upgrade(front) == (503, "too_many", "5")
    websocket.leave()
    front.settle()
    assert ask(front).status == 200
    assert front.server.admission.as_dict()["refused"] == {"max_connections": 2}


def refused_upgrade(front: Front) -> tuple[int, str, str | None]:
    line = front.line()
    line.send(line.handshake_bytes(front.target(transport="websocket")))
    return refused(line.read_response())


def test_connections_that_have_no_session_count_too(fronts: Fronts) -> None:
    front = fronts(max_connections=3)
    idle = [front.line() for _ in range(3)]
    assert refused(ask(front))[:2] == (503, "too_many")
    assert front.line().request("GET", "/nothing").status == 404, "other requests are served"
    for line in idle:
        line.leave()
    assert ask(front).status == 200


def test_when_the_spare_connections_are_used_up_the_next_is_turned_away_at_once(fronts: Fronts) -> None:
    front = fronts(max_connections=1)
    lines = [front.line() for _ in range(1 + SPARE_CONNECTIONS)]
    late = front.line()
    assert refused(late.read_response()) == (503, "too_many", "5")
    assert late.pipe.ended
    front.settle()
    assert not any(line.pipe.ended for line in lines)
    lines[0].leave()
    assert front.line().request("GET", "/nothing").status == 404


def test_every_way_of_ending_is_counted(front: Front) -> None:
    polling, websocket, upgraded = front.open(), front.line(), front.open()
    websocket.handshake(front.target(transport="websocket"))
    probe = front.line()
    probe.handshake(front.target(transport="websocket", sid=upgraded.sid))
    cut = front.line()
    cut.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n")
    assert front.server.admission.as_dict() == {"connections": 7, "sessions": 3, "refused": {}}
    for line in (polling.getter, polling.poster, websocket, upgraded.getter, upgraded.poster, probe, cut):
        line.leave()
    front.server.close()
    front.settle()
    assert front.server.admission.as_dict() == {"connections": 0, "sessions": 0, "refused": {}}


# Of one address


def test_the_connections_of_one_address_are_counted(fronts: Fronts) -> None:
    front = fronts(max_connections_per_address=2)
    first, _ = front.line(), front.line()
    late = front.line()
    assert refused(late.read_response()) == (429, "too_many", "5")
    front.settle()
    first.leave()
    assert front.line().request("GET", "/nothing").status == 404


def test_behind_a_proxy_sessions_are_counted_by_the_client_s_address(fronts: Fronts) -> None:
    front = fronts(max_connections_per_address=2, trusted_proxies=("127.0.0.0/8",))
    for _ in range(2):
        assert ask(front, "203.0.113.9").status == 200
    assert refused(ask(front, "203.0.113.9"))[:2] == (429, "too_many")
    assert refused(ask(front, "1.1.1.1, 203.0.113.9"))[:2] == (429, "too_many"), "the client makes hops up"
    assert ask(front, "203.0.113.8").status == 200
    assert [ask(front, f"2001:db8::{n}").status for n in range(3)] == [200, 200, 429]


def test_who_is_no_trusted_proxy_is_not_believed(fronts: Fronts) -> None:
    front = fronts(max_connections_per_address=2)
    line = front.line()
    assert line.request("GET", front.target(), forwarded("203.0.113.1")).status == 200
    assert line.request("GET", front.target(), forwarded("203.0.113.2")).status == 200
    assert line.request("GET", front.target(), forwarded("203.0.113.3")).status == 429
    assert [session.handshake.address for session in front.server.sessions.values()] == ["127.0.0.1"] * 2


# Handshakes a second


def test_handshakes_are_taken_at_a_rate(fronts: Fronts) -> None:
    front = fronts(max_handshakes_per_second=0.5)
    line = front.line()
    answers = [line.request("GET", front.target()).status for _ in range(10)]
    assert answers == [200] * 10
    assert refused(line.request("GET", front.target())) == (503, "rate_limited", "2")
    front.clock.advance(2)
    assert ask(front).status == 200
    assert ask(front).status == 503


@pytest.mark.parametrize("query", [{}, {"transport": "nonsense"}, {"sid": "unknown"}, {"EIO": "3"}])
def test_requests_of_one_address_without_a_session_have_a_rate(fronts: Fronts, query: dict[str, str]) -> None:
    front = fronts(max_handshakes_per_second_per_address=0.25, trusted_proxies=("127.0.0.1",))
    usual = 400 if query else 200
    assert [ask(front, "203.0.113.9", **query).status for _ in range(5)] == [usual] * 5
    assert refused(ask(front, "203.0.113.9", **query)) == (429, "rate_limited", "4")
    assert ask(front, "203.0.113.8", **query).status == usual
    front.clock.advance(4)
    assert ask(front, "203.0.113.9", **query).status == usual


def test_who_has_a_session_is_not_slowed_down_by_others_of_the_address(fronts: Fronts) -> None:
    front = fronts(max_handshakes_per_second_per_address=0.05)
    client = front.open()
    assert ask(front).status == 429
    assert client.post("4hello").text == "ok"
    client.park()


def test_upgrades_count_as_requests_of_the_address(fronts: Fronts) -> None:
    front = fronts(max_handshakes_per_second_per_address=0.1)
    client = front.open()
    target = front.target(transport="websocket", sid=client.sid)
    assert front.line().handshake(target).status == 101
    assert front.line().handshake(target).status == 429


def test_pages_can_read_why_they_are_refused(fronts: Fronts) -> None:
    front = fronts(max_handshakes_per_second=0.05, cors_origins="*")
    ask(front)
    assert ask(front).header("Access-Control-Allow-Origin") == "*"


# Packets and bytes a second


def websocket_of(front: Front) -> Line:
    line = front.line()
    assert line.handshake(front.target(transport="websocket")).status == 101
    line.read_text()
    return line


FLOODS = {
    "messages": frame(TEXT, b"4x"),
    "heartbeats": frame(TEXT, b"3"),
    "pings": frame(PING, b""),
    "pongs": frame(PONG, b""),
}


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS)
def test_a_flood_of_frames_is_read_at_the_rate(fronts: Fronts, flood: bytes) -> None:
    front = fronts(max_packets_per_second=10.0)
    line = websocket_of(front)
    line.send(flood * 210)
    assert line.pipe.producerState == "paused", "nothing more is read"
    front.clock.advance(0.9)
    assert line.pipe.producerState == "paused"
    front.clock.advance(0.2)
    assert line.pipe.producerState == "producing"
    assert front.server.admission.refused.total() == 1


def test_a_flood_of_fragments_is_read_at_the_rate(fronts: Fronts) -> None:
    front = fronts(max_packets_per_second=10.0)
    line = websocket_of(front)
    line.send(frame(TEXT, b"4", fin=False) + frame(CONTINUATION, b"", fin=False) * 219)
    assert line.pipe.producerState == "paused"


def test_what_came_in_one_read_waits_its_turn_and_stays_in_order(fronts: Fronts) -> None:
    front = fronts(max_packets_per_second=100.0)
    line = websocket_of(front)
    line.send(b"".join(frame(TEXT, b"4%d" % number) for number in range(6000)))
    (ears,) = front.ears
    assert len(ears.messages) < 200, "others have their turn"
    for _ in range(100):
        front.clock.advance(0)
    assert 2000 <= len(ears.messages) < 2200, "a slice more than the bucket held"
    while line.pipe.producerState == "paused":
        front.clock.advance(1)
    assert ears.messages == [str(number) for number in range(6000)]
    assert front.clock.seconds() >= 40


def test_bytes_are_read_at_the_rate(fronts: Fronts) -> None:
    front = fronts(max_bytes_per_second=1000.0)
    line = websocket_of(front)
    line.send(frame(TEXT, b"4" + b"x" * 30_000) + frame(TEXT, b"4late"))
    (ears,) = front.ears
    for _ in range(10):
        assert line.pipe.producerState == "paused"
        assert [len(text) for text in ears.messages] == [30_000]
        front.clock.advance(1)
    front.clock.advance(1)
    assert ears.messages[1:] == ["late"]
    assert line.pipe.producerState == "producing"


def test_who_keeps_to_the_rate_is_not_slowed_down(fronts: Fronts) -> None:
    front = fronts(max_packets_per_second=10.0, max_bytes_per_second=1000.0)
    line = websocket_of(front)
    for _ in range(200):
        line.send(frame(TEXT, b"4hello") * 10)
        assert line.pipe.producerState == "producing"
        front.clock.advance(1)
        line.send(frame(TEXT, b"3"))
        front.clock.advance(0.2)


def test_a_flooder_that_leaves_while_it_waits_leaves_nothing_behind(fronts: Fronts) -> None:
    front = fronts(max_packets_per_second=10.0)
    line = websocket_of(front)
    line.send(frame(TEXT, b"4x") * 1000)
    while not front.server.admission.refused:
        front.clock.advance(0)
    line.leave()
    assert front.ears[0].ends == ["transport close"]


@pytest.mark.parametrize(("count", "closed"), [(120, True), (80, False)], ids=["without a break", "with breaks"])
def test_who_floods_without_a_break_is_closed_in_the_end(fronts: Fronts, count: int, *, closed: bool) -> None:
    front = fronts(max_packets_per_second=10.0, flood_timeout=20.0, ping_timeout=1000.0)
    line = websocket_of(front)
    line.send(frame(TEXT, b"4x") * 200)
    while front.clock.seconds() < 100 and not front.ears[0].ends:
        line.send(frame(TEXT, b"4x") * count)
        for _ in range(100):
            front.clock.advance(0.1)
    assert front.ears[0].ends == (["transport error"] if closed else [])
    if closed:
        assert front.clock.seconds() >= 20
        while (last := line.read_frame()).opcode != CLOSE:
            pass
        assert last.close_code == 1008


def test_a_flood_of_posts_is_answered_at_the_rate(fronts: Fronts) -> None:
    front = fronts(max_packets_per_second=10.0)
    client = front.open()
    for _ in range(18):
        assert client.post("4hello").text == "ok"
    with pytest.raises(Ended):
        client.post("4late", "4later", "4latest")
    front.clock.advance(0.9)
    assert client.poster.silent
    front.clock.advance(0.2)
    assert client.poster.read_response().text == "ok"
    assert front.ears[0].messages[-1] == "latest"


def test_the_packets_of_one_post_are_handed_on_at_the_rate(fronts: Fronts) -> None:
    front = fronts(max_packets_per_second=10.0, max_buffered_age=1000.0)
    client = front.open()
    with pytest.raises(Ended):
        client.post(*["4x"] * 1000)
    (ears,) = front.ears
    front.settle()
    assert len(ears.messages) <= 400
    for _ in range(100):
        front.clock.advance(1)
        ears.session.received(ears.session.transport, "3")
    assert len(ears.messages) == 1000
    assert client.poster.read_response().text == "ok"


# A message that never ends


def test_a_message_that_never_ends_is_cut(fronts: Fronts) -> None:
    front = fronts(body_timeout=5.0)
    line = websocket_of(front)
    line.send(frame(TEXT, b"4whole") + frame(TEXT, b"4begun", fin=False))
    for _ in range(5):
        front.clock.advance(0.9)
        line.send(frame(CONTINUATION, b"x", fin=False))
    assert line.silent
    front.clock.advance(0.6)
    closing = line.read_frame()
    assert closing.close_code == 1008
    assert front.ears[0].ends == ["transport error"]


def test_half_a_frame_is_cut_too(fronts: Fronts) -> None:
    front = fronts(body_timeout=5.0)
    line = websocket_of(front)
    line.send(frame(TEXT, b"4" + b"x" * 100)[:50])
    front.clock.advance(5)
    assert line.read_frame().close_code == 1008


def test_messages_that_end_in_time_are_heard(fronts: Fronts) -> None:
    front = fronts(body_timeout=5.0)
    line = websocket_of(front)
    for _ in range(3):
        line.send(frame(TEXT, b"4a", fin=False))
        front.clock.advance(4)
        line.send(frame(CONTINUATION, b"b"))
        front.clock.advance(4)
    assert front.ears[0].messages == ["ab"] * 3


# The log


def test_the_log_hears_of_a_limit_now_and_then(fronts: Fronts) -> None:
    clock = Clock()
    admission = Admission(Options(), clock)
    with capturedLogs() as said:
        for _ in range(25):
            admission.note("max_connections", "127.0.0.1")
            clock.advance(1)
    assert [formatEvent(event) for event in said] == [
        f"max_connections passed by 127.0.0.1; {count} times since the start" for count in (1, 11, 21)
    ]
