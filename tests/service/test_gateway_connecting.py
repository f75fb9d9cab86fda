"""Who gets in, what they are told, and in which rooms they are then."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from tests.service.peers import SOCKET_IO, Client, fresh, token
from tests.service.servers import Service

REQUIRED = {"message": "Authentication required", "data": {"code": "auth_required"}}
INVALID = {"message": "Invalid or expired token", "data": {"code": "token_invalid"}}
EXPIRED = {"message": "Invalid or expired token", "data": {"code": "token_expired"}}
ISO_8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

AUTHS: list[tuple[Any, dict[str, Any]]] = [
    (None, REQUIRED),
    ({}, REQUIRED),
    ({"token": None}, REQUIRED),
    ({"token": ""}, REQUIRED),
    ({"Token": "x"}, REQUIRED),
    ({"token": "nonsense"}, INVALID),
    ({"token": 7}, INVALID),
    ({"token": {"token": "x"}}, INVALID),
    ({"token": ["x"]}, INVALID),
    ({"token": True}, INVALID),
    ({"token": "ü.ü.ü"}, INVALID),
    ({"token": "\ud800"}, INVALID),
    ({"token": "x" * 10_000}, INVALID),
    ({"token": token("u1", secret="another secret, also with more than 32 bytes")}, INVALID),
    ({"token": token(None, "c1")}, INVALID),
    ({"token": token("u1", lifetime=-5)}, EXPIRED),
]


def bearer(value: str, scheme: str = "Bearer") -> list[tuple[str, str]]:
    return [("Authorization", f"{scheme} {value}")]


@pytest.mark.parametrize(("auth", "refusal"), AUTHS)
def test_a_refusal_says_why_in_the_documented_words(service: Service, auth: Any, refusal: dict[str, Any]) -> None:
    assert service.open().connect(auth=auth) == refusal


def test_a_refused_client_may_try_again_on_the_same_connection(service: Service) -> None:
    client = service.open()
    assert client.connect("nonsense") == INVALID
    assert client.connect(token(fresh("u"))) is None


def test_user_ids_of_identity_providers_may_hold_a_bar(service: Service) -> None:
    user = f"auth0|{fresh('u')}"
    client, stranger = service.join(user), service.join(f"{user}|company:c1")
    order = fresh("order")
    for one in (client, stranger):
        assert one.succeed("subscribe_order", order)["pending"] is True
    service.publish({"type": "order.created", "data": {"orderId": order, "userId": user}})
    assert client.names() == ["order:status_updated", "order:update"]
    assert stranger.names() == []


def test_the_connected_event_tells_the_client_who_and_where_it_is(service: Service) -> None:
    user = fresh("u")
    client = service.join(user, "c1", "s1")
    timestamp = client.connected.pop("timestamp")
    assert ISO_8601.fullmatch(timestamp)
    assert client.connected == {
        "message": "Connected to the event server",
        "socketId": client.id,
        "userId": user,
        "rooms": [f"user:{user}", "company:c1", "shop:s1"],
    }


ROOMS: list[tuple[dict[str, Any], list[str]]] = [
    ({"userId": "7"}, ["user:7"]),
    ({"userId": 7, "companyId": 8, "shopIds": [9, "10"]}, ["user:7", "company:8", "shop:9", "shop:10"]),
    ({"sub": "a", "company_id": "b", "shops": [{"id": "c"}]}, ["user:a", "company:b", "shop:c"]),
    ({"id": "a", "roles": ["manager", "clerk"]}, ["user:a", "role:manager", "role:clerk"]),
    ({"user_id": "a", "role": "super_admin"}, ["user:a", "role:super_admin", "super_admin"]),
]


@pytest.mark.parametrize(("claims", "rooms"), ROOMS)
def test_a_client_is_in_the_rooms_its_token_names(
    service: Service, claims: dict[str, Any], rooms: list[str]
) -> None:
    client = service.open()
    assert client.connect(token(**claims)) is None
    assert client.connected["rooms"] == rooms
    for room in rooms:
        assert service.push({"room": room}, "ping:room", room) == 1
    assert [event.data for event in client.events()] == rooms


def test_a_users_sockets_are_told_apart_and_reached_together(service: Service) -> None:
    user = fresh("u")
    first, second = service.join(user), service.join(user)
    assert first.id != second.id
    assert service.push({"user": user}, "x") == 2
    assert (first.names(), second.names()) == (["x"], ["x"])


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_token_may_come_in_the_authorization_header(service: Service, scheme: str) -> None:
    user = fresh("u")
    client = service.open(bearer(token(user), scheme))
    assert client.connect() is None
    assert client.connected["userId"] == user


def test_the_token_of_the_connect_packet_comes_before_the_header(service: Service) -> None:
    user = fresh("u")
    client = service.open(bearer(token("another")))
    assert client.connect(token(user)) is None
    assert client.connected["userId"] == user


@pytest.mark.parametrize("auth", ["nonsense", "", 0, False])
def test_a_bad_token_of_the_connect_packet_is_not_made_good_by_the_header(service: Service, auth: Any) -> None:
    refusal = service.open(bearer(token("u1"))).connect(auth={"token": auth})
    assert refusal in (REQUIRED, INVALID)


@pytest.mark.parametrize("header", ["Basic dTpw", "Bearer", "Bearer ", "Bearerx", ""])
def test_a_header_without_bearer_token_is_no_token(service: Service, header: str) -> None:
    assert service.open([("Authorization", header)]).connect() == REQUIRED


@pytest.mark.parametrize("name", ["token", "auth", "access_token", "authorization", "auth.token", "auth[token]"])
def test_a_token_in_the_query_counts_for_nothing(service: Service, name: str) -> None:
    assert service.open(target=f"{SOCKET_IO}&{name}={token('u1')}").connect() == REQUIRED


def test_a_refused_client_gets_nothing_but_the_refusal(service: Service) -> None:
    refused, witness = service.open(), service.join(fresh("u"))
    assert refused.connect("nonsense") == INVALID
    assert service.push({"all": True}, "news") >= 1
    service.publish_kind("order.created", orderId=fresh("o"), userId="u1", companyId="c1")
    assert "news" in witness.names()
    refused.emit("join_room", "x")
    assert refused.rest() == []


class TestWhileTheTokenIsBeingVerified:
    """With keys that come when another client says so."""

    @pytest.fixture
    def witness(self, controlled: Service) -> Client:
        return controlled.join("u1", "c1", role="super_admin")

    def broadcast(self, service: Service) -> None:
        service.push({"all": True}, "news", "all")
        service.push({"user": "u2"}, "news", "user")
        service.push({"company": "c1"}, "news", "company")
        service.publish_kind("order.created", orderId=fresh("o"), userId="u2", companyId="c1", shopId="s1")

    def late(self, service: Service, witness: Client, **more: Any) -> Client:
        """A client whose CONNECT the server has read and not yet answered."""
        client = service.open()
        client.wire.send_text('40{"token":"' + token("u2", "c1", "s1", kid="late", **more) + '"}')
        while witness.call("count waiting") == 0:
            pass
        return client

    def test_nothing_is_delivered_before_the_connect_is_accepted(
        self, controlled: Service, witness: Client
    ) -> None:
        client = self.late(controlled, witness)
        self.broadcast(controlled)
        assert witness.call("release") == 1
        assert client.packet().startswith('40{"sid":')
        assert client.packet().startswith('42["connected",')
        assert client.events() == []
        self.broadcast(controlled)
        assert client.names() == ["news"] * 3 + [
            "order:new_order",
            "order:shop_order",
            "order:status_updated",
        ]

    def test_nothing_is_delivered_to_a_client_that_is_refused_then(
        self, controlled: Service, witness: Client
    ) -> None:
        client = self.late(controlled, witness, secret="another secret, also with more than 32 bytes")
        self.broadcast(controlled)
        assert witness.call("release") == 1
        assert client.packet().startswith("44{")
        self.broadcast(controlled)
        started = time.monotonic()
        assert client.rest() == []
        assert 4 < time.monotonic() - started < 7, "closed after 5 s in no namespace"

    def test_the_token_is_not_kept(self, controlled: Service, witness: Client) -> None:
        client = controlled.open()
        client.wire.send_text(f'40{{"token":"{token("u2", "c1", "s1")}","app":"shop"}}')
        assert client.packet().startswith('40{"sid":')
        kept = witness.call("what is kept")
        assert {"app": "shop"} in kept
        assert not any("token" in auth for auth in kept)

    @pytest.mark.parametrize("kid", ["away", "broken"])
    def test_a_passing_failure_closes_the_transport_so_that_clients_retry(
        self, controlled: Service, kid: str
    ) -> None:
        client = controlled.open()
        client.wire.send_text('40{"token":"' + token("u2", kid=kid) + '"}')
        assert client.rest() == []
