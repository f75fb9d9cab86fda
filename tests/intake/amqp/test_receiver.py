"""The receive path: however the stream is cut, the same messages; whatever it holds, one kind of error."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.errors import BrokerProtocolError
from rtwist.intake.amqp import Delivery, Properties
from rtwist.intake.amqp.frames import HEARTBEAT_FRAME, content_frames, method_frame
from rtwist.intake.amqp.message import Returned, write_properties
from rtwist.intake.amqp.receiver import Receiver
from tests.intake.amqp.fakes import delivery, frame_of


class Heard:
    """Everything that a receiver told."""

    def __init__(self, *, frame_max: int = 131072, max_body: int = 1_000_000) -> None:
        self.deliveries: list[Delivery] = []
        self.methods: list[tuple[int, int, int]] = []
        self.returns: list[Returned] = []
        self.failed: list[Delivery] = []
        self.receiver = Receiver(self, frame_max=frame_max, max_body=max_body)
        self.receiver.consumers[b"rtwist-1"] = self.deliveries.append

    def method(self, channel: int, class_id: int, method_id: int, payload: bytes) -> None:
        self.methods.append((channel, class_id, method_id))

    def returned(self, message: Returned) -> None:
        self.returns.append(message)

    def consumer_failed(self, delivery: Delivery) -> None:
        self.failed.append(delivery)

    @property
    def bodies(self) -> list[bytes]:
        return [one.body for one in self.deliveries]


BODIES = [b"", "é".encode(), "\U0001f600".encode(), b"\xff\x00", b"x" * 131063, b"x" * 131064, b"x" * 131065]


@pytest.mark.parametrize("body", BODIES, ids=len)
def test_bodies_come_as_they_were_sent(body: bytes) -> None:
    heard = Heard()
    heard.receiver.receive(delivery(body))
    assert heard.bodies == [body]
    assert type(heard.bodies[0]) is bytes


def test_text_and_bytes_in_the_frames_of_one_body() -> None:
    heard, body = Heard(frame_max=4096), b"a" * 4088 + b"\xff" * 4088 + b"z"
    heard.receiver.receive(delivery(body, frame_max=4096))
    assert heard.bodies == [body]


def test_what_a_delivery_says() -> None:
    heard, properties = Heard(), Properties(message_id="m", headers={"x": -1}, timestamp=5)
    heard.receiver.receive(
        delivery(b"{}", 7, properties=properties, exchange="é", routing_key="a.b", redelivered=True)
    )
    (found,) = heard.deliveries
    assert (found.tag, found.redelivered, found.exchange, found.routing_key) == (7, True, "é", "a.b")
    assert (found.body, found.size, found.too_large) == (b"{}", 2, False)
    assert found.properties == properties
    assert "order" not in repr(found)


STREAM = b"".join(
    [
        delivery("é".encode(), 1),
        HEARTBEAT_FRAME,
        delivery(b"", 2),
        frame_of("queue.declare-ok", queue="q"),
        delivery(b"y" * 9000, 3, frame_max=4096),
        frame_of("connection.unblocked", 0),
    ]
)
SAID = ([b"\xc3\xa9", b"", b"y" * 9000], [(1, 50, 11), (0, 10, 61)])


def test_a_stream_cut_into_single_bytes() -> None:
    heard = Heard()
    for index in range(len(STREAM)):
        heard.receiver.receive(STREAM[index : index + 1])
    assert (heard.bodies, heard.methods) == SAID


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_a_stream_cut_anywhere(cuts: list[int]) -> None:
    heard, edges = Heard(), sorted({0, len(STREAM), *cuts})
    for start, end in pairwise(edges):
        heard.receiver.receive(STREAM[start:end])
    assert (heard.bodies, heard.methods) == SAID


def test_a_body_that_is_too_large_is_thrown_away_as_it_comes() -> None:
    heard = Heard(frame_max=4096, max_body=5000)
    heard.receiver.receive(delivery(b"x" * 5001, 1, frame_max=4096) + delivery(b"y" * 5000, 2, frame_max=4096))
    large, small = heard.deliveries
    assert (large.too_large, large.size, large.body, large.tag) == (True, 5001, b"", 1)
    assert (small.too_large, small.size, len(small.body)) == (False, 5000, 5000)


def test_a_huge_announcement_costs_nothing() -> None:
    heard = Heard(max_body=1000)
    head = frame_of("basic.deliver", consumer_tag="rtwist-1", delivery_tag=1)
    header = content_frames(1, write_properties(Properties()), b"", 4096)[0]
    huge = header[:-8] + (1 << 62).to_bytes(8, "big") + b"\x00\x00\xce"
    heard.receiver.receive(head + huge)
    for _ in range(100):
        heard.receiver.receive(b"\x03\x00\x01\x00\x01\x00\x00" + b"z" * 65536 + b"\xce")
    assert heard.receiver._content is not None
    assert heard.receiver._content.pieces is None


def test_a_message_that_came_back() -> None:
    heard = Heard()
    head = frame_of("basic.return", reply_code=312, reply_text="NO_ROUTE", exchange="e", routing_key="k")
    content = content_frames(1, write_properties(Properties(message_id="m")), b"body", 4096)
    heard.receiver.receive(head + b"".join(content))
    assert heard.returns == [Returned(312, "NO_ROUTE", "e", "k", Properties(message_id="m"), b"body")]


def test_a_consumer_that_raises_does_not_stop_the_others() -> None:
    heard = Heard()

    def refuse(found: Delivery) -> None:
        raise IndexError("its own")

    heard.receiver.consumers[b"bad"] = refuse
    heard.receiver.receive(delivery(b"1", 1, consumer="bad") + delivery(b"2", 2))
    assert [one.tag for one in heard.failed] == [1]
    assert heard.bodies == [b"2"]


def test_nothing_is_read_after_the_stop_not_even_of_the_same_bytes() -> None:
    heard = Heard()
    heard.receiver.consumers[b"stop"] = lambda found: heard.receiver.stop()
    heard.receiver.receive(delivery(b"1", 1) + delivery(b"2", 2, consumer="stop") + delivery(b"3", 3)[:-3])
    heard.receiver.receive(delivery(b"4", 4))
    assert heard.bodies == [b"1"]


DELIVER = frame_of("basic.deliver", consumer_tag="rtwist-1", delivery_tag=1, exchange="e", routing_key="k")
CONTENT_HEADER = b"".join(content_frames(1, write_properties(Properties()), b"", 4096))
BODY_FRAME = b"".join(content_frames(1, b"\x00\x00", b"abc", 4096)[3:])
TWO = CONTENT_HEADER[:-4] + b"\x02\x00\x00\xce"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x01\x00\x01\xff\xff\xff\xff" + b"x", "is the most"),
        (HEARTBEAT_FRAME[:-1] + b"\xcd", "0xcd"),
        (CONTENT_HEADER, "without a message"),
        (BODY_FRAME, "without a message"),
        (DELIVER + BODY_FRAME, "without a message"),
        (DELIVER + DELIVER, "middle of a message"),
        (DELIVER + frame_of("basic.ack"), "middle of a message"),
        (DELIVER + TWO + CONTENT_HEADER, "without a message"),
        (DELIVER + TWO + BODY_FRAME, "more than the 2 bytes"),
        (delivery(b"", consumer="nobody"), "unknown consumer"),
        (DELIVER.replace(b"\x01e\x01k", b"\x01e\x09k") + CONTENT_HEADER, "names in a delivery"),
        (method_frame(1, 60, 60, b"\x08rtwist-1") + CONTENT_HEADER, "cut off"),
        (method_frame(1, 60, 60, b"\xffx"), "unknown consumer"),
        (b"\x01\x00\x01\x00\x00\x00\x02\x00\x3c\xce", "method frame of 2"),
        (b"\x04\x00\x01\x00\x00\x00\x00\xce", "type 4 on channel 1"),
        (b"\x08\x00\x01\x00\x00\x00\x00\xce", "type 8 on channel 1"),
        (b"\x08\x00\x00\x00\x00\x00\x01x\xce", "1 bytes"),
        (b"\x03\x00\x05\x00\x00\x00\x00\xce", "type 3 on channel 5"),
        (DELIVER + CONTENT_HEADER.replace(b"\x00\x3c", b"\x00\x0a"), "class 10"),
        (DELIVER + CONTENT_HEADER.replace(b"\x00\x3c\x00\x00", b"\x00\x3c\x00\x01"), "weight 1"),
    ],
)
def test_what_amqp_does_not_allow(data: bytes, why: str) -> None:
    with pytest.raises(BrokerProtocolError, match=why):
        Heard().receiver.receive(data)


FRAMES = st.builds(
    lambda kind, channel, payload: (
        bytes((kind, 0, channel)) + len(payload).to_bytes(4, "big") + payload + b"\xce"
    ),
    st.sampled_from([1, 1, 2, 3, 8, 4]),
    st.sampled_from([0, 1, 1, 1, 2]),
    st.one_of(
        st.binary(max_size=40),
        st.binary(max_size=40).map(lambda rest: b"\x00\x3c\x00\x3c\x08rtwist-1" + rest),
        st.binary(max_size=40).map(lambda rest: b"\x00\x3c\x00\x32" + rest),
        st.binary(max_size=20).map(lambda rest: b"\x00\x3c\x00\x00" + b"\x00" * 7 + rest),
    ),
)


@given(st.one_of(st.binary(), st.lists(FRAMES, max_size=6).map(b"".join), st.just(STREAM)), st.data())
def test_bytes_are_messages_or_a_protocol_error(data: bytes, draw: st.DataObject) -> None:
    raw = bytearray(data)
    for position in draw.draw(st.lists(st.integers(0, max(0, len(raw) - 1)), max_size=3)):
        if raw:
            raw[position] ^= draw.draw(st.integers(1, 255))
    with suppress(BrokerProtocolError):
        Heard().receiver.receive(bytes(raw))
