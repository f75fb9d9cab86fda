"""Reading events of the three shapes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.domain.event import DomainEvent, read_event
from rtwist.errors import BadEvent

NOW = 1729758600.0
NOW_TEXT = "2024-10-24T08:30:00.000Z"
THEN_TEXT = "2020-01-01T00:00:00.000Z"


def read(value: object, routing_key: str | None = None) -> DomainEvent:
    return read_event(value, now=NOW, routing_key=routing_key)


def cloud(**changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "e1", "source": "/orders", "type": "com.shop.order.created"}
    return {**event, "data": {"orderId": "7"}, **changes}


def test_a_bare_event_is_its_own_data() -> None:
    value = {"orderId": "7", "status": "shipped"}
    assert read(value) == DomainEvent("order.shipped", value, None, NOW_TEXT)


def test_a_bare_event_may_have_an_id_a_type_and_a_timestamp() -> None:
    value = {"orderId": "7", "eventId": 12, "type": "order.created", "timestamp": 1577836800000}
    assert read(value) == DomainEvent("order.created", value, "12", THEN_TEXT)


def test_the_id_of_a_bare_event_is_not_that_of_its_order() -> None:
    assert read({"orderId": "7", "id": "7"}).id is None


def test_an_envelope() -> None:
    data = {"orderId": "7"}
    value = {"type": "order.created", "data": data, "id": "e|1", "timestamp": "2020-01-01T00:00:00Z"}
    assert read(value) == DomainEvent("order.created", data, "e|1", THEN_TEXT)


@pytest.mark.parametrize("timestamp", [None, "soon", -1, True, {}])
def test_without_a_valid_timestamp_the_data_s_counts_and_then_now(timestamp: object) -> None:
    value = {"type": "order.created", "timestamp": timestamp}
    assert read({**value, "data": {"orderId": "7", "timestamp": THEN_TEXT}}).timestamp == THEN_TEXT
    assert read({**value, "data": {"orderId": "7"}}).timestamp == NOW_TEXT


def test_a_cloudevent() -> None:
    event = read(cloud(time="2020-01-01T00:00:00Z", datacontenttype="application/json"))
    assert event == DomainEvent("order.created", {"orderId": "7"}, "/orders e1", THEN_TEXT)


def test_source_and_id_of_cloudevents_never_join_to_the_same_text() -> None:
    assert read(cloud(source="/a", id="b c")).id != read(cloud(source="/a/b", id="c")).id
    with pytest.raises(BadEvent, match="source must be a URI"):
        read(cloud(source="/a b", id="c"))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"specversion": "0.3"}, "specversion must be"),
        ({"specversion": 1.0}, "specversion must be"),
        ({"data_base64": "e30="}, "data_base64 is not supported"),
        ({"data": None}, "data must be an object, not null"),
        ({"data": "{}"}, "data must be an object, not a string"),
        ({"id": ""}, "id must not be empty"),
        ({"id": None}, "id is missing; CloudEvents need one"),
        ({"source": None}, "source is missing; CloudEvents need one"),
        ({"type": {}}, "type must be a string"),
        ({"type": "Created", "data": {}}, "type is missing or not of the form"),
    ],
)
def test_a_bad_cloudevent_is_refused_by_field(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadEvent, match=reason):
        read(cloud(**changes))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"orderId": "7", "status": "shipped"}, "payment.failed"),
        ({"type": "order.created", "data": {"orderId": "7"}}, "payment.failed"),
        (cloud(), "payment.failed"),
    ],
)
def test_the_routing_key_names_the_kind_first(value: object, kind: str) -> None:
    assert read(value, kind).kind == kind


@pytest.mark.parametrize("routing_key", [None, "", "queue", "a b.c", "#"])
def test_a_routing_key_that_says_nothing_is_passed_over(routing_key: str | None) -> None:
    assert read({"type": "order.created", "data": {"orderId": "7"}}, routing_key).kind == "order.created"
    assert read({"orderId": "7", "status": "shipped"}, routing_key).kind == "order.shipped"


def test_a_routing_key_of_one_known_domain_says_something() -> None:
    assert read({"orderId": "7", "paymentId": "p", "status": "failed"}, "payment").kind == "payment.failed"


@pytest.mark.parametrize("value", [None, [], "order.created", 7, True])
def test_only_objects_are_events(value: object) -> None:
    with pytest.raises(BadEvent, match="must be a JSON object"):
        read(value)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({}, "type is missing.* and no property tells the kind; send orderId or paymentId, or a type$"),
        ({"orderId": None}, "^orderId is null$"),
        ({"data": {"paymentId": None}}, "^paymentId is null$"),
        ({"type": "hello"}, "type is missing"),
        ({"type": 7, "data": {}}, "type must be a string, not an integer"),
        ({"type": "order.created", "data": []}, "data must be an object, not an array"),
        (
            {"type": "notification.created", "data": '{"userId": "u1"}'},
            "data must be an object, not a string",
        ),
        ({"type": "order.created", "data": {}, "id": 1.5}, "id must be a string or an integer"),
        ({"orderId": "7", "eventId": "\ud800"}, "eventId must not contain"),
    ],
)
def test_a_bad_event_is_refused_by_field(value: object, reason: str) -> None:
    with pytest.raises(BadEvent, match=reason):
        read(value)


ENVELOPES: list[dict[str, Any]] = [
    {"type": "order.created", "data": {"orderId": "7"}, "publisher": "shop-service"},
    {"type": "order.created", "data": {"orderId": "7", "companyId": "c1"}, "companyId": "c1"},
    {"type": "announcement.new", "data": {"content": "closed"}, "publisher": "shop-service"},
    {"type": "notification", "data": {"userId": "u1", "content": "secret"}},
    {"type": "NotificationCreated", "data": {"userId": "u1", "content": "secret"}, "version": 2},
    {"data": {"userId": "u1", "content": "secret"}, "id": "e1"},
]

BARE: list[dict[str, Any]] = [
    {"type": "info", "userId": "u1", "subject": "Hi", "data": {"url": "/"}},
    {"type": "info", "userId": "u1", "subject": "Hi", "data": {"orderId": "7"}},
    {"type": "order.shipped", "orderId": "7", "userId": "u1", "data": {"carrier": "DHL"}},
    {"type": "info", "subject": "Hi", "data": {"url": "/"}},
    {"orderId": "7", "data": "anything"},
]

AMBIGUOUS: list[dict[str, Any]] = [
    {"type": "order.shipped", "userId": "u1", "data": {"orderId": "7"}},
    {"type": "order.shipped", "userId": "u1", "data": {"orderId": "7", "userId": "u2"}},
    {"type": "info", "subject": "Hi", "data": {"userId": "u1"}},
]


@pytest.mark.parametrize("value", ENVELOPES)
def test_an_envelope_is_not_taken_for_a_bare_event(value: dict[str, Any]) -> None:
    assert read(value, "notification.created").data is value["data"]


@pytest.mark.parametrize("value", BARE)
def test_a_bare_event_with_type_and_data_is_not_taken_for_an_envelope(value: dict[str, Any]) -> None:
    assert read(value, "notification.created").data is value


@pytest.mark.parametrize("value", AMBIGUOUS)
def test_an_event_that_could_be_either_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(BadEvent, match=r"data is ambiguous: .*(orderId|userId)"):
        read(value, "notification.created")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
KEYS = st.sampled_from(
    [
        *("type", "data", "id", "timestamp", "specversion", "source", "time"),
        *("orderId", "status", "userId", "productId", "quantity", "eventId"),
    ]
)


@given(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON)), st.none() | st.text())
def test_whatever_comes_it_is_read_or_refused(value: dict[str, Any], routing_key: str | None) -> None:
    try:
        event = read(value, routing_key)
    except BadEvent:
        return
    assert event.domain
    assert event.action
    assert isinstance(event.data, dict)


def test_ids_in_the_data_are_read_by_name() -> None:
    event = read({"orderId": 7, "userId": None, "customerId": "u1", "shopId": ""})
    assert event.required_id("orderId") == "7"
    assert event.id_of("userId", "customerId") == "u1"
    assert event.id_of("shopId") is None


def test_a_bad_or_missing_id_is_refused_by_name() -> None:
    event = read({"orderId": True})
    with pytest.raises(BadEvent, match="orderId must be a string or an integer, not a boolean"):
        event.id_of("orderId")
    with pytest.raises(BadEvent, match=r"shopId is missing in an event of kind order\.updated"):
        event.required_id("shopId")
    with pytest.raises(BadEvent, match=r"^productId is null$"):
        read({"orderId": "7", "productId": None}).required_id("productId")


@pytest.mark.parametrize("name", ["userIds", "roles", "shopIds"])
def test_lists_of_addressees_beside_data_are_not_lost(name: str) -> None:
    value = {"type": "notification.created", name: ["1"], "data": {"subject": "s"}}
    assert read_event(value, now=0).data[name] == ["1"]


@pytest.mark.parametrize("name", ["user", "user_id", "recipient", "recipientEmail", "to", "targetRole"])
def test_an_addressee_of_another_name_beside_data_is_refused_rather_than_lost(name: str) -> None:
    value = {"type": "notification.created", name: "x", "data": {"subject": "s"}}
    with pytest.raises(BadEvent, match=f"^{name} stands beside data"):
        read_event(value, now=0)
    value["data"] = {"userId": "u1"}
    assert read_event(value, now=0).data == {"userId": "u1"}, "the event itself says whom it is for"
