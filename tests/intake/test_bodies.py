"""Bodies of every size and encoding: what is JSON arrives intact, anything else is dead with a reason to read."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from pathlib import Path
from typing import Any

import pytest

from tests.intake.brokered import Brokered, order, until
from tests.intake.publishers import PUBLISHERS, Message
from tests.support.rabbitmq import RabbitMQ

PAYLOAD = 131064
"""Bytes of a body in one frame: RabbitMQ's frame_max of 131072 less the frame's head and end."""
MAX_BODY = 4_000_000
"""The default of --rabbitmq-max-body."""
SIZES = [
    *(frames * PAYLOAD + more for frames in (1, 2, 7) for more in (-1, 0, 1)), 1_000_000, MAX_BODY - 1, MAX_BODY,
]  # fmt: skip
TEXTS = [
    "",
    "é",
    "\U0001f600",
    "\x00\x01\x7f",
    "\ufeff",
    "\u2028",
    "e\u0301",
    "\ud83d",
    "\\",
    '"' * 50,
    "</script>",
]
KEY = "notification.created"


def notification(content: str, **options: Any) -> bytes:
    return json.dumps({"userId": "u1", "content": content}, **options).encode("utf-8", "surrogatepass")


def sized(size: int, letter: str) -> bytes:
    """A notification of exactly `size` bytes."""
    empty = notification("", ensure_ascii=False)
    room, width = size - len(empty), len(letter.encode())
    body = notification(letter * (room // width) + "x" * (room % width), ensure_ascii=False)
    assert len(body) == size
    return body


def good() -> list[bytes]:
    bodies = [sized(size, letter) for size, letter in zip(SIZES, "xé€\U0001f600" * 3)]  # noqa: B905 - letters repeat
    bodies += [notification(text) for text in TEXTS]
    bodies += [notification(text, ensure_ascii=False) for text in TEXTS if text.isprintable() or text == "\u2028"]
    bodies += [
        b"\xef\xbb\xbf" + notification("after a byte order mark"),
        b" \r\n\t" + notification("spaces") + b"\n",
    ]
    return bodies


JSON = notification("plain")
BAD = [
    (b"", "utf-8", "the body is empty"),
    ("é".encode(), None, "the body is not JSON: invalid character (byte 0)"),
    ("\U0001f600".encode(), None, "the body is not JSON: invalid character (byte 0)"),
    (b"\xef\xbb\xbf", None, "the body is not JSON: it ends too early"),
    (b"\x00", None, "the body is not JSON: invalid character (byte 0)"),
    (JSON + b"\x00", None, "the body is not JSON: trailing characters (byte "),
    (JSON[:-1], None, "the body is not JSON: it ends too early"),
    (b'{"userId": "u1", "content": "\x00"}', None, "the body is not JSON: invalid character (byte 29)"),
    (b'{"userId": "u1", "n": NaN}', None, "the body is not JSON: invalid character (byte 22)"),
    (b'{"userId": "u1", "n": 1e999}', None, "the body is not JSON: a number is out of range"),
    (b'{"userId": "u1", "n": -1e999, "content": "\\ud83d"}', None, "not JSON: a number is out of range"),
    (b'{"userId": "u1", "n": ' + b"9" * 5000 + b"}", None, "the body is not JSON: a number is out of range"),
    (JSON.decode().encode("utf-16"), "utf-16", "not UTF-8; content-encoding 'utf-16' is not supported"),
    (notification("é", ensure_ascii=False).decode().encode("latin-1"), None, "the body is not UTF-8"),
    (gzip.compress(JSON), "gzip", "; content-encoding 'gzip' is not supported: publish it as plain UTF-8"),
    (gzip.compress(JSON), None, "the body is not UTF-8"),
    (zlib.compress(JSON), "deflate", "content-encoding 'deflate' is not supported"),
    (JSON[:5], "x" * 255, "; content-encoding 'xxx"),
    (random.Random(1).randbytes(PAYLOAD), "utf-8", "the body is not UTF-8"),
    (random.Random(2).randbytes(1_000_000), None, "the body is not UTF-8"),
    (b"[" * PAYLOAD, None, "nested deeper than 64"),
    (b"x" * (MAX_BODY + 1), None, None),
]  # fmt: skip
"""Body, content-encoding and what the reason says; None where the broker itself writes the dead letter."""


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_good_bodies_arrive_intact(rabbitmq: RabbitMQ, publisher: str, tmp_path: Path) -> None:
    with Brokered(rabbitmq) as brokered:
        client = brokered.join()
        bodies = good()
        PUBLISHERS[publisher](
            rabbitmq, [Message(brokered.names.exchange, KEY, body) for body in bodies], tmp_path
        )
        for body in bodies:
            content = json.loads(body.decode("utf-8-sig"))["content"]
            got = client.next_event().data.get("content", "")
            assert got == content, f"{len(body)} bytes: {body[:60]!r}"
        assert client.events() == []
        assert brokered.counts()["dead"] == {}


@pytest.mark.parametrize("publisher", PUBLISHERS)
def test_bad_bodies_have_their_reasons_and_disturb_nobody(
    rabbitmq: RabbitMQ, publisher: str, tmp_path: Path
) -> None:
    with Brokered(rabbitmq) as brokered:
        client, where = brokered.join(), brokered.names.exchange
        messages = []
        for number, (body, encoding, _) in enumerate(BAD):
            options = {"message_id": f"m{number}", **({} if encoding is None else {"content_encoding": encoding})}
            messages += [Message(where, KEY, body, options)]
            messages += [Message(where, "order.shipped", json.dumps(order(number)).encode())]
        PUBLISHERS[publisher](rabbitmq, messages, tmp_path)
        assert [client.next_event().data["orderId"] for _ in BAD] == [f"o{number}" for number in range(len(BAD))]
        letters = {
            properties.message_id: (properties, body) for _, properties, body in brokered.wait_for_dead(len(BAD))
        }
        for number, (body, _, reason) in enumerate(BAD):
            properties, kept = letters.pop(f"m{number}")
            assert kept == body
            if reason is None:
                assert properties.headers["x-death"][0]["reason"] == "rejected"
            else:
                assert reason in properties.headers["x-rtwist-reason"]
        assert letters == {}
        assert brokered.program.wait_for_output(f"{MAX_BODY + 1} bytes; --rabbitmq-max-body is {MAX_BODY}")
        assert brokered.counts()["dead"] == {"not_json": len(BAD) - 1, "too_large": 1}
        until(lambda: rabbitmq.queues()[brokered.names.queue] == 0)


def test_json_of_a_wrong_content_encoding_is_taken_as_it_is(brokered: Brokered) -> None:
    client = brokered.join()
    brokered.publish(order(1), content_encoding="gzip", content_type="application/x-protobuf")
    assert client.next_event().data["orderId"] == "o1"
