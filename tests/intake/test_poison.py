"""Poison among good messages: the good are delivered in order, once; the bad are dead, each with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.intake.brokered import Brokered, order, site_with_rules, until
from tests.support.rabbitmq import RabbitMQ

EACH = 1000
MAX_BODY = 5000
RULES = """
import os, signal

def failing(event, owners):
    raise RuntimeError(event.data["orderId"])

def fatal(event, owners):
    os.kill(os.getpid(), signal.SIGKILL)

RULES = {"order.failing": failing, "order.fatal": fatal}
"""
"""Rules of a package: one raises, one ends the process."""


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


@dataclass(frozen=True)
class Poison:
    """What it is, its body, why it is counted dead, and its reason ("" where the broker writes the letter)."""

    what: str
    body: Callable[[int], bytes]
    kind: str
    reason: str
    key: str = "order.shipped"


def no_json(what: str, body: Callable[[int], bytes], reason: str) -> Poison:
    return Poison(what, body, "not_json", reason)


def no_event(what: str, value: Callable[[int], Any], reason: str, key: str = "order.shipped") -> Poison:
    return Poison(what, lambda number: text(value(number)), "bad_event", reason, key)


POISON = [
    no_json("empty", lambda n: b"", "the body is empty"),
    no_json("no JSON", lambda n: b"poison %d" % n, "the body is not JSON: invalid character (byte 0)"),
    no_json("no UTF-8", lambda n: b"\xff%d" % n, "the body is not UTF-8"),
    no_json("cut off", lambda n: text(order(n))[:-1], "the body is not JSON: it ends too early"),
    no_json("NaN", lambda n: b'{"orderId": NaN}', "invalid character (byte 12)"),
    no_json("a huge number", lambda n: b'{"orderId": 1e%d}' % (n + 400), "a number is out of range"),
    no_json("a huge integer", lambda n: b'{"orderId": %s}' % (b"9" * 4900), "a number is out of range"),
    no_json("too deep", lambda n: b"[" * 65 + b"]" * 65, "nested deeper than 64"),
    no_json("much too deep", lambda n: b'{"a":' * 800 + b"1" + b"}" * 800, "nested deeper than 64"),
    no_event("a number", lambda n: n, "must be a JSON object, not an integer"),
    no_event("a list", lambda n: [order(n)], "must be a JSON object, not an array"),
    no_event("null", lambda n: None, "must be a JSON object, not null"),
    no_event("an id of a wrong type", lambda n: {"orderId": [n]}, "orderId must be a string or an integer"),
    no_event("an id too long", lambda n: {"orderId": "x" * 201}, "orderId must not be longer than 200"),
    no_event("half an emoji", lambda n: {"orderId": "\ud83d"}, "orderId must not contain"),
    no_event("half an emoji as user", lambda n: order(n, "\ude00"), "userId must not contain"),
    no_event("NUL", lambda n: order(n, "u\0"), "userId must not contain control characters"),
    no_event("no order", lambda n: {"userId": "u1"}, "orderId is missing"),
    no_event("no product", lambda n: {"quantity": n}, "productId is missing", "inventory.updated"),
    no_event("no number", lambda n: {"productId": "p", "quantity": "many"}, "quantity must be a number",
             "inventory.updated"),
    no_event("nobody", lambda n: {"userIds": [], "content": "x"}, "userIds names nobody", "notification.new"),
    no_event("data of a wrong type", lambda n: {"type": "order.shipped", "data": n}, "data must be an object"),
    no_event("a CloudEvent without a source", lambda n: {"specversion": "1.0", "id": "1", "data": order(n)},
             "source is missing"),
    Poison("an unknown kind", lambda n: text({"type": "weather.changed", "data": {"n": n}}), "unknown_kind",
           "unknown kind 'weather.changed'", key=""),
    Poison("too large", lambda n: text(order(n, note="x" * MAX_BODY)), "too_large", ""),
]  # fmt: skip
FAILING = Poison("a rule that raises", lambda n: text(order(n)), "rule_failed", "its rule failed 2 times",
                 "order.failing")  # fmt: skip
EACH_FAILING = 50
"""Every so many there is one whose rule raises: it takes two tries, 0.1 s apart."""


def poison(number: int) -> Poison:
    return FAILING if number % EACH_FAILING == 0 else POISON[number % len(POISON)]


def publish_mixed(brokered: Brokered) -> None:
    """One poisonous and one good message in turn."""
    for number in range(EACH):
        bad = poison(number)
        # By the default exchange the key says nothing, so that the event is asked for its kind.
        where = (bad.key, None) if bad.key else (brokered.names.queue, "")
        brokered.publish(bad.body(number), *where, message_id=f"bad {number}")
        brokered.publish(order(number), message_id=f"good {number}")


def check_dead(letters: list[tuple[Any, Any, bytes]]) -> None:
    found = {properties.message_id: (properties.headers, body) for _, properties, body in letters}
    assert len(found) == len(letters) == EACH
    for number in range(EACH):
        bad = poison(number)
        headers, kept = found[f"bad {number}"]
        assert kept == bad.body(number), bad.what
        if bad.reason:
            assert bad.reason in headers["x-rtwist-reason"], bad.what
        else:
            assert headers["x-death"][0]["reason"] == "rejected"


def test_a_thousand_among_a_thousand(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    options = ("--rabbitmq-max-body", str(MAX_BODY), "--rabbitmq-retries", "1")
    with ExitStack() as stack:
        brokered = Brokered(rabbitmq, *options, env=site_with_rules(tmp_path, RULES))
        brokered.start()
        stack.callback(brokered.stop)  # its log holds the tracebacks of the rule
        client = brokered.join()
        publish_mixed(brokered)
        for number in range(EACH):
            assert client.next_event().data["orderId"] == f"o{number}"
        check_dead(brokered.wait_for_dead(EACH))
        assert client.events() == []
        until(lambda: rabbitmq.queues()[brokered.names.queue] == 0)
        counts = brokered.counts()
        dead = Counter(poison(number).kind for number in range(EACH))
        assert counts["dead"] == dead
        assert (counts["delivered"], counts["accepted"], counts["emissions"]) == (2 * EACH, EACH, 2 * EACH)
        assert (counts["duplicates"], counts["retries"]) == (0, dead["rule_failed"])
        assert counts["without_reason"] == dead["too_large"]


def test_what_ends_the_process_takes_nothing_around_it_along(rabbitmq: RabbitMQ, tmp_path: Path) -> None:
    options = ("--rabbitmq-queue-type", "quorum", "--rabbitmq-max-deliveries", "3")
    with Brokered(rabbitmq, *options, env=site_with_rules(tmp_path, RULES)) as brokered:
        names = brokered.names
        brokered.stop()
        for number in range(20):
            brokered.publish(order(number), "order.fatal" if number in {7, 8} else "order.shipped")
        for _ in range(10):
            brokered.start(wait=False)
            until(lambda: brokered.has_ended() or brokered.queued(names.dead) >= 2)
            if not brokered.has_ended():
                break
        until(lambda: rabbitmq.queues()[names.queue] == 0)
        letters = brokered.dead()
        assert [json.loads(body)["orderId"] for _, _, body in letters] == ["o7", "o8"]
        for _, properties, _ in letters:
            assert properties.headers["x-rtwist-reason"].endswith("times and never finished")
