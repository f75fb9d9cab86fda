"""Notifications and announcements to emissions: nothing meant for somebody goes to everybody."""

from __future__ import annotations

from typing import Any

import pytest

from rtwist.domain.notification import announcement_emissions, notification_emissions
from rtwist.errors import BadEvent
from tests.domain.answers import WHEN, Answers

TEXT = {
    "type": "warning",
    "priority": "high",
    "subject": "System Maintenance",
    "content": "Scheduled maintenance tonight at 2 AM",
    "metadata": {"link": "/status"},
}


def answers(**data: Any) -> Answers:
    return Answers(notification_emissions, "notification.created", data)


@pytest.mark.parametrize(
    ("to", "rooms"),
    [
        ({"userId": 7}, ("user:7",)),
        ({"customerId": "u1"}, ("user:u1",)),
        ({"userIds": ["u1", 7]}, ("user:u1", "user:7")),
        ({"userId": "auth0|7"}, ("user:auth0|7",)),
        ({"userId": "u1", "role": "manager"}, ("user:u1",)),
        ({"role": "manager"}, ("role:manager",)),
        ({"roles": ["manager", "clerk"], "userId": None}, ("role:manager", "role:clerk")),
        ({"role": "super_admin"}, ("role:super_admin",)),
        ({"companyId": "c1"}, ("company:c1", "super_admin")),
        ({"companyId": "c1", "shopId": "s1"}, ("shop:s1",)),
    ],
)
def test_it_goes_to_whom_it_names(to: dict[str, Any], rooms: tuple[str, ...]) -> None:
    found = answers(**TEXT, **to, secret=1)
    assert found.addressed == {"notification:new": rooms}
    assert found["notification:new"] == {**TEXT, "timestamp": WHEN}


def test_naming_nobody_it_goes_to_everyone() -> None:
    found = answers(**TEXT, secret=1, companyName="x")
    assert found.addressed == {"notification:broadcast": ()}
    assert found.emissions[0].everyone
    assert found["notification:broadcast"] == {**TEXT, "timestamp": WHEN}


@pytest.mark.parametrize(
    "name",
    [
        *("userId", "userIds", "customerId", "role", "roles", "companyId", "shopId", "user_id", "userid"),
        *("user", "recipient", "recipientId", "recipients", "recipientEmail", "to", "targetUsers", "UserID"),
    ],
)
@pytest.mark.parametrize("value", [None, "", [], {}, {"id": None}, [None], True, 1.5, "a\n"])
def test_what_is_meant_for_somebody_never_becomes_a_broadcast(name: str, value: object) -> None:
    with pytest.raises(BadEvent, match=name):
        answers(**TEXT, **{name: value})


@pytest.mark.parametrize("name", ["user_id", "user", "recipientId", "to"])
def test_an_address_under_another_name_is_refused_with_the_right_ones(name: str) -> None:
    with pytest.raises(BadEvent, match=f"{name} names nobody: address a notification by one of userId, "):
        answers(**TEXT, **{name: "u1"})


def test_what_is_no_text_is_left_out_and_type_and_priority_have_defaults() -> None:
    told = answers(userId="u1", subject={"nested": 1}, content=["x"], metadata="x", type="")
    assert told["notification:new"] == {"priority": "normal", "timestamp": WHEN} | {"type": "info"}


def test_a_bare_event_s_kind_is_not_its_type() -> None:
    assert answers(type="notification.created", userId="u1")["notification:new"]["type"] == "info"


def test_an_announcement_goes_to_everyone() -> None:
    found = Answers(announcement_emissions, "announcement.published", {**TEXT, "userId": "author", "secret": 1})
    assert found.emissions[0].everyone
    assert found["announcement:new"] == {**TEXT, "timestamp": WHEN}
