"""Publishing over REST: every shape of an event, all of an array or none, each event once."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.service.peers import Client, fresh
from tests.service.servers import Service, granted, refused

SHAPES: dict[str, Any] = {
    "bare": lambda order, user: {"orderId": order, "userId": user, "status": "shipped"},
    "bare with a type": lambda order, user: {"type": "order.shipped", "orderId": order, "userId": user},
    "an envelope": lambda order, user: {
        "type": "order.shipped",
        "id": fresh("e"),
        "timestamp": "2024-10-24T08:30:00Z",
        "data": {"orderId": order, "userId": user},
    },
    "an envelope without type": lambda order, user: {
        "data": {"orderId": order, "userId": user, "status": "shipped"}
    },
    "a CloudEvent": lambda order, user: {
        "specversion": "1.0",
        "id": fresh("e"),
        "source": "/orders",
        "type": "com.example.order.shipped.v1",
        "time": "2024-10-24T08:30:00Z",
        "data": {"orderId": order, "userId": user},
    },
}
WRONG: dict[str, tuple[Any, str]] = {
    "a string": ("order.shipped", "an event must be a JSON object, not a string"),
    "null": (None, "an event must be a JSON object, not null"),
    "a number": (7, "an event must be a JSON object, not an integer"),
    "an empty object": (
        {},
        "type is missing or not of the form 'order.created', and no property tells the kind; "
        "send orderId or paymentId, or a type",
    ),
    "an order that is null": ({"type": "order.shipped", "data": {"orderId": None}}, "orderId is null"),
    "an order that is null, without a type": ({"orderId": None, "status": "shipped"}, "orderId is null"),
    "an unknown kind": (
        {"type": "weather.changed", "data": {}},
        "unknown kind 'weather.changed': there is no rule for it; only announcement.*, company.*, inventory.*, "
        "notification.*, order.*, payment.*, product.*, shop.*, transfer.*, user.* have rules, or use POST /emit",
    ),
    "a CloudEvent without id": (
        {"specversion": "1.0", "source": "/orders", "type": "order.shipped", "data": {"orderId": "7"}},
        "id is missing; CloudEvents need one",
    ),
    "a CloudEvent of nowhere": (
        {"specversion": "1.0", "id": "1", "source": None, "type": "order.shipped", "data": {"orderId": "7"}},
        "source is missing; CloudEvents need one",
    ),
    "no order": ({"type": "order.shipped", "data": {}}, "orderId is missing in an event of kind order.shipped"),
    "an order that is an object": (
        {"type": "order.shipped", "data": {"orderId": {}}},
        "orderId must be a string or an integer, not an object",
    ),
    "an id that reaches into scopes": (
        {"type": "order.shipped", "data": {"orderId": "7|user:u1"}},
        "orderId must not contain '|'",
    ),
    "data that is a list": ({"type": "order.shipped", "data": []}, "data must be an object, not an array"),
    "a type that is a number": ({"type": 7, "data": {}}, "type must be a string, not an integer"),
    "a payment of nobody": (
        {"type": "payment.failed", "data": {}},
        "orderId and userId are both missing in an event of kind payment.failed",
    ),
}


def shipped(order: str, user: str, **more: Any) -> dict[str, Any]:
    return {"type": "order.shipped", "data": {"orderId": order, "userId": user}, **more}


@pytest.fixture
def order() -> str:
    return fresh("o")


@pytest.fixture
def customer(service: Service) -> Client:
    return service.join(fresh("u"))


def user_of(client: Client) -> str:
    user: str = client.connected["userId"]
    return user


@pytest.mark.parametrize("shape", SHAPES)
def test_an_event_arrives_in_whatever_shape_it_came(
    service: Service, order: str, customer: Client, shape: str
) -> None:
    outcome = service.publish(SHAPES[shape](order, user_of(customer)))
    assert outcome == {"accepted": 1, "duplicates": 0, "emissions": 2, "receivers": 1}
    (event,) = customer.events()
    timestamp = event.data.pop("timestamp")
    if "timestamp" in str(SHAPES[shape]("", "")) or "time" in SHAPES[shape]("", ""):
        assert timestamp == "2024-10-24T08:30:00.000Z"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", timestamp)
    assert event.name == "order:status_updated"
    assert event.data == {
        "orderId": order,
        "status": "shipped",
        "message": f"Your order #{order} is now shipped",
    }


@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""]
)
def test_the_body_is_json_whatever_its_content_type_says(
    service: Service, order: str, customer: Client, content_type: str
) -> None:
    headers = [("X-API-Key", "the-api-key-of-the-tests"), ("Content-Type", content_type)]
    assert granted(service.post("/events", shipped(order, user_of(customer)), headers))["accepted"] == 1
    assert customer.names() == ["order:status_updated"]


@pytest.mark.parametrize(("event", "message"), WRONG.values(), ids=WRONG.keys())
def test_an_event_that_cannot_be_used_is_refused_with_the_reason(
    service: Service, event: Any, message: str
) -> None:
    assert refused(service.post("/events", event)) == (400, "bad_request", message)


@pytest.mark.parametrize(("event", "message"), WRONG.values(), ids=WRONG.keys())
def test_one_bad_event_refuses_its_whole_array_and_says_which(
    service: Service, order: str, customer: Client, event: Any, message: str
) -> None:
    good = shipped(order, user_of(customer), id=fresh("e"))
    answer = refused(service.post("/events", [good, event, good]))
    assert answer == (400, "bad_request", f"event 2 of 3: {message}")
    assert customer.events() == []
    assert granted(service.post("/events", [good]))["accepted"] == 1, "the refused array left no trace"


def test_an_array_is_emitted_in_its_order(service: Service, order: str, customer: Client) -> None:
    statuses = [f"step_{number}" for number in range(20)]
    user = user_of(customer)
    outcome = service.publish(*({"orderId": order, "userId": user, "status": status} for status in statuses))
    assert outcome == {"accepted": 20, "duplicates": 0, "emissions": 40, "receivers": 20}
    assert [event.data["status"] for event in customer.events()] == statuses


def test_an_empty_array_is_no_event(service: Service) -> None:
    outcome = granted(service.post("/events", []))
    assert outcome == {"accepted": 0, "duplicates": 0, "emissions": 0, "receivers": 0}


def test_arrays_do_not_nest(service: Service, order: str) -> None:
    answer = refused(service.post("/events", [[shipped(order, "u1")]]))
    assert answer == (400, "bad_request", "an event must be a JSON object, not an array")


class TestIdempotence:
    def test_an_event_is_emitted_once_however_often_it_is_published(
        self, service: Service, order: str, customer: Client
    ) -> None:
        event = shipped(order, user_of(customer), id=fresh("e"))
        for duplicates in (0, 1, 1):
            outcome = service.publish(event)
            assert (outcome["accepted"], outcome["duplicates"]) == (1 - duplicates, duplicates)
        assert customer.names() == ["order:status_updated"]

    def test_also_within_one_array(self, service: Service, order: str, customer: Client) -> None:
        event = shipped(order, user_of(customer), id=fresh("e"))
        outcome = service.publish(event, event, shipped(order, user_of(customer), id=fresh("e")))
        assert (outcome["accepted"], outcome["duplicates"]) == (2, 1)
        assert customer.names() == ["order:status_updated"] * 2

    def test_events_without_id_are_all_new(self, service: Service, order: str, customer: Client) -> None:
        event = shipped(order, user_of(customer))
        assert service.publish(event, event)["accepted"] == 2

    def test_a_cloudevent_is_known_by_its_source_and_id(
        self, service: Service, order: str, customer: Client
    ) -> None:
        event = SHAPES["a CloudEvent"](order, user_of(customer))
        other = {**event, "source": "/elsewhere"}
        assert service.publish(event, other, event)["duplicates"] == 1

    def test_an_event_that_was_refused_can_be_published_again_when_it_is_mended(
        self, service: Service, order: str, customer: Client
    ) -> None:
        identity = fresh("e")
        broken = {"type": "order.shipped", "id": identity, "data": {}}
        assert refused(service.post("/events", broken))[0] == 400
        assert service.publish(shipped(order, user_of(customer), id=identity))["accepted"] == 1
