"""POSTs of many packets: handled a slice at a time, so that everybody else gets a turn."""

from __future__ import annotations

import itertools

import pytest

from rtwist.engineio.packet import message
from tests.engineio.http_fakes import Front, PollingClient
from tests.support.wire import Ended, http_request

COUNT = 5000
MANY = [f"4{number}" for number in range(COUNT)]
HEARD = [str(number) for number in range(COUNT)]
AT_MOST = 500


def begin(front: Front, *packets: str) -> tuple[PollingClient, list[str | bytes]]:
    """A client that has sent a large POST, and what has been heard of it: not all of it yet."""
    client = front.open()
    client.begin_post(*(packets or MANY))
    assert 0 < len(client.ears.messages) <= AT_MOST
    assert client.poster.silent
    return client, client.ears.messages


def turns_to_answer(front: Front, client: PollingClient) -> int:
    """How many turns it takes until the POST is answered."""
    turns = 0
    while client.poster.silent:
        front.clock.turn()
        turns += 1
        assert turns <= COUNT
    return turns


def test_each_turn_handles_some_packets_in_order_and_the_answer_comes_last(front: Front) -> None:
    client, heard = begin(front)
    sizes = [len(heard)]
    while client.poster.silent:
        assert len(heard) < COUNT
        front.clock.turn()
        sizes.append(len(heard))
    assert heard == HEARD
    assert max(after - before for before, after in itertools.pairwise(sizes)) <= AT_MOST
    assert client.poster.read_response().text == "ok"


def test_others_are_answered_meanwhile(front: Front) -> None:
    first, _ = begin(front)
    second, _ = begin(front)
    third = front.open()
    assert third.post("4hello").text == "ok"
    third.park()
    third.ears.session.close()
    assert third.getter.read_response().text == "1"
    assert first.poster.silent
    assert turns_to_answer(front, first) > 1
    assert turns_to_answer(front, second) <= 2


def test_what_a_listener_answers_goes_out_meanwhile(front: Front) -> None:
    client, _ = begin(front, *MANY, "3")
    client.park()
    assert client.getter.silent
    front.clock.advance(25)
    assert client.getter.read_response().text == "2"


def test_the_next_post_may_come_when_the_large_one_is_answered(front: Front) -> None:
    client, heard = begin(front)
    turns_to_answer(front, client)
    assert client.poster.read_response().text == "ok"
    client.begin_post("4next")
    front.settle()
    assert client.poster.read_response().text == "ok"
    assert heard == [*HEARD, "next"]


@pytest.mark.parametrize("body", [b"4second", b""])
def test_a_second_post_meanwhile_is_an_overlap(front: Front, body: bytes) -> None:
    client, heard = begin(front)
    before = len(heard)
    answer = front.line().request("POST", client.target, body=body)
    assert (answer.status, answer.body) == (400, b"")
    turns_to_answer(front, client)
    assert client.poster.read_response().text == "ok"
    assert (len(heard), client.ears.ends) == (before, ["transport error"])
    assert client.poster.request("POST", client.target, body=b"4late").json()["code"] == 1


def test_a_post_pipelined_behind_a_large_one_is_no_overlap(front: Front) -> None:
    client, heard = begin(front)
    client.begin_post("4next")
    front.settle()
    assert [client.poster.read_response().text for _ in range(2)] == ["ok", "ok"]
    assert heard == [*HEARD, "next"]


def test_a_client_that_leaves_meanwhile_is_heard_no_further(front: Front) -> None:
    client, heard = begin(front)
    before = len(heard)
    client.poster.leave()
    assert client.ears.ends == ["transport error"]
    front.settle()
    assert len(heard) == before
    with pytest.raises(Ended):
        client.poster.read_head()


@pytest.mark.parametrize(("bad", "reason"), [("x", "parse error"), ("2", "transport error")])
def test_a_fault_in_a_later_slice_ends_the_session_and_the_post_is_answered(
    front: Front, bad: str, reason: str
) -> None:
    client, heard = begin(front, *MANY, bad, *MANY)
    turns_to_answer(front, client)
    assert client.poster.read_response().text == "ok"
    assert (heard, client.ears.ends) == (HEARD, [reason])
    front.settle()
    assert heard == HEARD


def test_a_listener_may_end_the_session_meanwhile(front: Front) -> None:
    client, heard = begin(front)
    client.ears.session.abort("forced close")
    before = len(heard)
    assert turns_to_answer(front, client) <= 2
    assert client.poster.read_response().text == "ok"
    assert len(heard) == before


def test_too_many_packets_are_refused_before_the_first_is_heard(front: Front) -> None:
    client = front.open()
    answer = client.post(*["4"] * 50_001)
    assert (answer.status, answer.text) == (413, "more than 50000 packets in one payload")
    assert (client.ears.messages, client.ears.ends) == ([], ["parse error"])
    assert front.server.admission.refused == {"max_payload_packets": 1}


# Requests in one connection


def test_what_is_pipelined_behind_a_poll_waits_for_the_end_of_what_answers_it(front: Front) -> None:
    client = front.open()
    heard = client.ears.messages
    client.park()
    client.getter.send(http_request("POST", client.target, body=b"4first") + b"POST")
    client.ears.session.send([message("hello")])
    assert heard == []
    front.clock.turn()
    assert heard == ["first"]
    front.settle()
    assert [client.getter.read_response().text for _ in range(2)] == ["4hello", "ok"]
