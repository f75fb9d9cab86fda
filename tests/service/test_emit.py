"""The helpers of the service before: whom each reaches, and who is said to be connected."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.peers import Client, Event, fresh
from tests.service.servers import Service

AUDIENCES: list[tuple[str, tuple[str, ...], set[str]]] = [
    ("emit_to_user", ("u1",), {"u1 in c1", "u1 elsewhere"}),
    ("emit_to_company", ("c1",), {"u1 in c1", "u2 in c1, s1", "admin in c1", "admin"}),
    ("emit_to_company", ("c9",), {"admin in c1", "admin"}),
    ("emit_to_shop", ("s1",), {"u2 in c1, s1"}),
    ("emit_to_role", ("clerk",), {"u1 elsewhere"}),
    ("emit_to_role", ("super_admin",), {"admin in c1", "admin"}),
    ("emit_to_room", ("user:u1",), {"u1 in c1", "u1 elsewhere"}),
    ("emit_to_room", ("nobody's",), set()),
    ("broadcast_to_all", (), {"u1 in c1", "u1 elsewhere", "u2 in c1, s1", "admin in c1", "admin"}),
]


@pytest.fixture
def clients(controlled: Service) -> dict[str, Client]:
    return {
        "u1 in c1": controlled.join("u1", "c1"),
        "u1 elsewhere": controlled.join("u1", "c2", role="clerk"),
        "u2 in c1, s1": controlled.join("u2", "c1", "s1"),
        "admin in c1": controlled.join("a1", "c1", role="super_admin"),
        "admin": controlled.join("a2", role="super_admin"),
    }


def call(clients: dict[str, Client], helper: str, *arguments: Any) -> Any:
    return next(iter(clients.values())).call("call helper", helper, *arguments)


@pytest.mark.parametrize(("helper", "target", "audience"), AUDIENCES)
def test_a_helper_reaches_its_audience_once_each(
    clients: dict[str, Client], helper: str, target: tuple[str, ...], audience: set[str]
) -> None:
    data = {"for": fresh("x")}
    assert call(clients, helper, *target, "news", data) == len(audience)
    received = {name: client.events() for name, client in clients.items()}
    assert received == {name: [Event("news", data)] if name in audience else [] for name in clients}


def test_connected_users_are_listed_once_and_in_order(clients: dict[str, Client]) -> None:
    listed = call(clients, "get_connected_users")
    assert listed == sorted(set(listed))
    assert {"a1", "a2", "u1", "u2"} <= set(listed)


def test_a_user_is_connected_while_it_has_a_socket(controlled: Service, clients: dict[str, Client]) -> None:
    user = fresh("u")
    assert call(clients, "is_user_connected", user) is False
    first, second = controlled.join(user), controlled.join(user)
    first.close()
    assert call(clients, "is_user_connected", user) is True
    second.close()
    while call(clients, "is_user_connected", user):
        pass
    assert user not in call(clients, "get_connected_users")
