"""Calling tokens back, by request and by event: who is disconnected, and who gets in afterwards."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.service.peers import Client, fresh, token
from tests.service.servers import Service, granted, refused

REVOKED = {"message": "Invalid or expired token", "data": {"code": "token_revoked"}}


def joined(service: Service, **claims: Any) -> tuple[Client, str]:
    """A client, and the token that it came with; issued a minute ago."""
    made = token(**{"iat": int(time.time()) - 60, **claims})
    client = service.open()
    assert client.connect(made) is None
    return client, made


def newer(**claims: Any) -> str:
    """A token that is issued after everything that happens in a test."""
    return token(**claims, iat=int(time.time()) + 60)


def revoke(service: Service, **body: Any) -> int:
    return int(granted(service.post("/revoke", body))["disconnected"])


def told(client: Client) -> list[str]:
    """The names of the last events, of a client that was then told to leave."""
    *packets, left = client.rest()
    assert left == "41", "disconnected from the namespace, then closed"
    return [json.loads(packet.removeprefix("42"))[0] for packet in packets if packet.startswith("42")]


class TestByRequest:
    def test_a_user(self, service: Service) -> None:
        user, company = fresh("someone"), fresh("firm")
        mine = [joined(service, userId=user, companyId=company) for _ in range(2)]
        colleague, _ = joined(service, userId=fresh("someone"), companyId=company)
        assert revoke(service, user=user) == 2
        for client, made in mine:
            assert told(client)[-1] == "auth:revoked"
            assert service.open().connect(made) == REVOKED
        assert colleague.presence()[-1] == ("offline", user)
        assert service.open().connect(newer(userId=user)) is None
        assert service.open().connect(token(user)) == REVOKED, "it does not say when it was issued"

    def test_a_company(self, service: Service) -> None:
        company = fresh("firm")
        (client, made), (other, _) = (
            joined(service, userId=fresh("someone"), companyId=company),
            joined(service, userId=fresh("someone")),
        )
        assert revoke(service, company=company) == 1
        assert told(client)[-1] == "auth:revoked"
        assert other.names() == []
        assert service.open().connect(made) == REVOKED

    def test_one_token(self, service: Service) -> None:
        user, jti = fresh("someone"), fresh("t")
        (client, made), (other, _) = (
            joined(service, userId=user, jti=jti),
            joined(service, userId=user, jti=fresh("t")),
        )
        assert revoke(service, jti=jti) == 1
        assert told(client)[-1] == "auth:revoked"
        assert service.open().connect(made) == REVOKED
        assert service.open().connect(token(user, jti=jti, iat=int(time.time()) + 60)) == REVOKED
        assert other.refused("refresh_token", made)[0] == "token_revoked"
        assert service.open().connect(token(user)) is None

    def test_what_was_issued_before(self, service: Service) -> None:
        user, now = fresh("someone"), int(time.time())
        (old, _), (new, _) = (
            joined(service, userId=user, iat=now - 500),
            joined(service, userId=user, iat=now - 100),
        )
        assert revoke(service, user=user, issuedBefore=now - 300) == 1
        assert told(old)[-1] == "auth:revoked"
        assert new.names() == []
        assert revoke(service, user=user, issuedBefore=(now + 10**6) * 1000) == 1, "a time ahead is now"
        assert service.open().connect(newer(userId=user)) is None

    def test_a_super_admin_may_and_is_revoked_as_anybody(self, service: Service) -> None:
        admin, user = fresh("admin"), fresh("someone")
        made = token(admin, role="super_admin", iat=int(time.time()) - 5)
        bearer = [("Authorization", f"Bearer {made}")]
        assert granted(service.post("/revoke", {"user": user}, bearer)) == {"disconnected": 0}
        assert revoke(service, user=admin) == 0
        assert refused(service.post("/revoke", {"user": user}, bearer)) == (
            401,
            "unauthorized",
            "Invalid or expired token",
        )

    @pytest.mark.parametrize("body", [{}, [], {"user": ""}, {"user": "u1", "jti": "t1"}, {"all": "yes"}])
    def test_a_request_for_nothing_clear_is_refused(self, service: Service, body: Any) -> None:
        client, _ = joined(service, userId="u1", jti="t1")
        status, code, message = refused(service.post("/revoke", body))
        assert (status, code) == (400, "bad_request")
        assert message
        assert client.names() == []


class TestByEvent:
    def test_a_user(self, service: Service) -> None:
        user = fresh("someone")
        (client, made), (other, _) = joined(service, userId=user), joined(service, userId=fresh("someone"))
        service.publish_kind("user.revoked", userId=user)
        assert told(client) == ["user:revoked", "auth:revoked"]
        assert service.open().connect(made) == REVOKED
        assert service.open().connect(newer(userId=user)) is None
        assert other.names() == []

    def test_a_user_as_of_the_time_of_the_event(self, service: Service) -> None:
        user, now = fresh("someone"), int(time.time())
        (old, _), (new, _) = (
            joined(service, userId=user, iat=now - 500),
            joined(service, userId=user, iat=now - 100),
        )
        service.publish({"type": "user.revoked", "timestamp": (now - 300) * 1000, "data": {"userId": user}})
        assert told(old)[-1] == "auth:revoked"
        assert new.names() == ["user:revoked"]
        service.publish_kind("user.revoked", userId=user, issuedBefore=now - 100)
        assert told(new)[-1] == "auth:revoked"

    def test_one_token_of_a_user(self, service: Service) -> None:
        user, jti = fresh("someone"), fresh("t")
        (client, _), (other, _) = joined(service, userId=user, jti=jti), joined(service, userId=user)
        service.publish_kind("user.revoked", userId=user, jti=jti)
        assert told(client)[-1] == "auth:revoked"
        assert other.names() == ["user:revoked"]

    def test_a_company(self, service: Service) -> None:
        company = fresh("firm")
        (client, made), (other, _) = (
            joined(service, userId=fresh("someone"), companyId=company),
            joined(service, userId=fresh("someone")),
        )
        service.publish_kind("company.revoked", companyId=company)
        assert told(client)[-2:] == ["company:revoked", "auth:revoked"]
        assert service.open().connect(made) == REVOKED
        assert other.names() == []

    @pytest.mark.parametrize(
        ("kind", "data"),
        [
            ("user.revoked", {}),
            ("company.revoked", {}),
            ("user.revoked", {"userId": "u1", "issuedBefore": "soon"}),
            ("company.revoked", {"companyId": "c1", "issuedBefore": True}),
            ("user.revoked", {"userId": "u1", "jti": ["t1"]}),
        ],
    )
    def test_an_event_that_cannot_be_used_is_refused(
        self, service: Service, kind: str, data: dict[str, Any]
    ) -> None:
        client, _ = joined(service, userId="u1", companyId="c1")
        assert refused(service.post("/events", {"type": kind, "data": data}))[:2] == (400, "bad_request")
        assert client.names() == []
