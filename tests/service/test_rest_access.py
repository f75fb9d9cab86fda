"""Which routes there are, and who may use them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rtwist.rest import Rest
from tests.service.peers import API_KEY, SECRET, fresh, token
from tests.service.servers import ANYWHERE, WITH_KEY, Service, granted, json_body, refused, twistd
from tests.support.wire import Headers, HttpClient

ORDER = b'{"type": "order.shipped", "data": {"orderId": "7"}}'
PUSH = b'{"to": {"user": "u1"}, "event": "x"}'
STATUS_ROUTES: list[tuple[str, str, bytes | None]] = [
    ("GET", "/connected-users", None),
    ("GET", "/user-status/u1", None),
]
WRITING_ROUTES: list[tuple[str, str, bytes | None]] = [
    ("POST", "/events", ORDER),
    ("POST", "/emit", PUSH),
    ("POST", "/revoke", b'{"user": "nobody"}'),
    ("POST", "/rebalance", b'{"share": 0.001}'),
]
PROTECTED = STATUS_ROUTES + WRITING_ROUTES
OPEN_ROUTES = ["/health", "/ready"]
SEND = "send X-API-Key, or a super admin's token as Authorization: Bearer"
NOT_THE_KEY = "the X-API-Key is not the server's"

protected = pytest.mark.parametrize(("method", "path", "body"), PROTECTED)


def bearer(value: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {value}")


SUPER_ADMIN = token("a1", role="super_admin")

ALLOWED: dict[str, Headers] = {
    "the API key": WITH_KEY,
    "the API key in another case of its header": [("x-api-key", API_KEY)],
    "a super admin": [bearer(SUPER_ADMIN)],
    "a super admin among other roles": [bearer(token("a1", roles=["clerk", "super_admin"]))],
    "a scheme in lower case": [("Authorization", f"bearer {SUPER_ADMIN}")],
    "the API key and somebody's token": [*WITH_KEY, bearer(token("u1"))],
}
REFUSED: dict[str, tuple[Headers, int, str, str]] = {
    "nothing": ([], 401, "unauthorized", SEND),
    "a wrong key": ([("X-API-Key", "wrong")], 401, "unauthorized", NOT_THE_KEY),
    "an empty key": ([("X-API-Key", "")], 401, "unauthorized", NOT_THE_KEY),
    "part of the key": ([("X-API-Key", API_KEY[:-1])], 401, "unauthorized", NOT_THE_KEY),
    "the key in another case": ([("X-API-Key", API_KEY.upper())], 401, "unauthorized", NOT_THE_KEY),
    "a key that is no text": ([("X-API-Key", "\xff\xfe")], 401, "unauthorized", NOT_THE_KEY),
    "the signing secret": ([("X-API-Key", SECRET)], 401, "unauthorized", NOT_THE_KEY),
    "a wrong key and a good token": (
        [("X-API-Key", "wrong"), bearer(SUPER_ADMIN)],
        401,
        "unauthorized",
        NOT_THE_KEY,
    ),
    "the key as bearer": ([bearer(API_KEY)], 401, "unauthorized", "Invalid or expired token"),
    "another scheme": ([("Authorization", "Basic dTpw")], 401, "unauthorized", SEND),
    "no token": ([("Authorization", "Bearer ")], 401, "unauthorized", SEND),
    "a bearer that is no text": ([bearer("\xff\xfe")], 401, "unauthorized", "Invalid or expired token"),
    "a user": ([bearer(token("u1", "c1"))], 403, "forbidden", "this token is not a super admin's"),
    "an admin": ([bearer(token("u1", role="admin"))], 403, "forbidden", "this token is not a super admin's"),
    "an expired super admin": (
        [bearer(token("a1", role="super_admin", lifetime=-5))],
        401,
        "unauthorized",
        "Invalid or expired token",
    ),
    "a forged super admin": (
        [bearer(token("a1", role="super_admin", secret="x" * 40))],
        401,
        "unauthorized",
        "Invalid or expired token",
    ),
}


@protected
@pytest.mark.parametrize("headers", ALLOWED.values(), ids=ALLOWED.keys())
def test_who_may_use_a_route(
    service: Service, headers: Headers, method: str, path: str, body: bytes | None
) -> None:
    granted(service.request(method, path, headers, body))


@protected
@pytest.mark.parametrize("who", REFUSED)
def test_who_may_not(service: Service, who: str, method: str, path: str, body: bytes | None) -> None:
    headers, *answer = REFUSED[who]
    response = service.request(method, path, headers, body)
    assert refused(response) == tuple(answer)
    assert response.header("WWW-Authenticate") == ("Bearer" if response.status == 401 else None)


@protected
def test_a_super_admin_whose_token_was_called_back_may_not(
    service: Service, method: str, path: str, body: bytes | None
) -> None:
    admin, issued = fresh("a"), {"iat": int(time.time()) - 60}
    called_back, of_gone_admin = fresh("t"), fresh("a")
    service.post("/revoke", {"jti": called_back})
    service.post("/revoke", {"user": of_gone_admin})
    for claims in ({"user": admin, "jti": called_back}, {"user": of_gone_admin, **issued}):
        headers = [bearer(token(role="super_admin", **claims))]
        answer = refused(service.request(method, path, headers, body))
        assert answer == (401, "unauthorized", "Invalid or expired token")
    granted(service.request(method, path, [bearer(token(admin, role="super_admin"))], body))


def test_these_are_all_routes() -> None:
    known = {(method, path.replace("/u1", "/<path:user_id>")) for method, path, _ in PROTECTED}
    known |= {("GET", path) for path in OPEN_ROUTES}
    rules = Rest._app.url_map.iter_rules()
    assert known == {
        (method, rule.rule) for rule in rules for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


@protected
def test_head_and_options_are_no_way_around(service: Service, method: str, path: str, body: bytes | None) -> None:
    with HttpClient(service.port) as client:
        client.send_request("HEAD", path)
        assert client.read_head().status == (401 if method == "GET" else 405)
    assert service.request("OPTIONS", path, [], body).body == b""
    for header in ("X-HTTP-Method-Override", "X-Original-URL", "X-Rewrite-URL"):
        answer = service.request("GET", "/health", [(header, method if "Method" in header else path)])
        assert answer.json()["status"] == "OK"


@protected
def test_credentials_in_the_query_count_for_nothing(
    service: Service, method: str, path: str, body: bytes | None
) -> None:
    query = f"?api_key={API_KEY}&X-API-Key={API_KEY}&token={SUPER_ADMIN}"
    assert refused(service.request(method, path + query, [], body))[0] == 401


def test_a_refused_event_is_not_published(service: Service) -> None:
    user = fresh("u")
    client = service.join(user)
    event = {"type": "order.shipped", "data": {"orderId": fresh("o"), "userId": user}}
    for headers in ([], [bearer(token(user))]):
        assert refused(service.post("/events", event, headers))[0] in (401, 403)
        push = {"to": {"user": user}, "event": "x"}
        assert refused(service.post("/emit", push, headers))[0] in (401, 403)
    assert client.events() == []


@pytest.mark.parametrize("path", OPEN_ROUTES)
@pytest.mark.parametrize("headers", [[], [("X-API-Key", "wrong")], [bearer("nonsense")]])
def test_health_and_readiness_are_open(service: Service, path: str, headers: Headers) -> None:
    assert service.request("GET", path, headers).status == 200


def test_health_says_that_the_process_serves(service: Service) -> None:
    answer = json_body(service.request("GET", "/health", []))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.pop("timestamp"))
    assert answer == {"status": "OK", "service": "websocket-service"}


def test_readiness_tells_the_state_of_its_parts(service: Service) -> None:
    answer = json_body(service.request("GET", "/ready", []))
    assert answer["status"] == "READY"
    assert (answer["broker"], answer["redis"]) == ("not configured", "not configured")
    assert answer["draining"] is False
    counts = {"connections", "sessions", "refused", "incomingBytes"}
    assert set(answer["clients"]) == counts | {"behind", "waitingBytes", "cut", "dropped", "replaced"}


def test_connected_users_are_listed_once_each(service: Service) -> None:
    users = sorted(fresh("user") for _ in range(3))
    for user in (*reversed(users), users[0]):
        service.join(user, "c1", "s1", role="r1")
    listed = granted(service.request("GET", "/connected-users"))
    assert listed == {"count": len(listed["users"]), "users": sorted(listed["users"])}
    assert [user for user in listed["users"] if user in users] == users


@pytest.mark.parametrize(
    ("user", "path"),
    [("7", "7"), ("a b", "a%20b"), ("ümit", "%C3%BCmit"), ("a@b.c", "a@b.c"), ("a/b", "a%2Fb"), ("a:b", "a:b")],
)
def test_the_status_of_a_user(service: Service, user: str, path: str) -> None:
    def status() -> Any:
        return granted(service.request("GET", f"/user-status/{path}"))

    assert status() == {"userId": user, "isConnected": False}
    client = service.join(user)
    assert status() == {"userId": user, "isConnected": True}
    client.close()
    while status()["isConnected"]:
        pass


class TestDevelopmentMode:
    @pytest.fixture(scope="class")
    @classmethod
    def development(cls) -> Iterator[Service]:
        with twistd("--listen", ANYWHERE, "--dev", env={}) as program:
            yield Service(program)

    @pytest.mark.parametrize(("method", "path", "body"), STATUS_ROUTES)
    def test_status_routes_are_open_to_loopback(
        self, development: Service, method: str, path: str, body: bytes | None
    ) -> None:
        granted(development.request(method, path, [], body))

    @pytest.mark.parametrize(("method", "path", "body"), STATUS_ROUTES)
    @pytest.mark.parametrize(
        "headers",
        [
            [("Origin", "https://evil.example")],
            [("Origin", "null")],
            [("Host", "rebound.example:8009")],
            [("Host", "rebound.example"), ("X-Rtwist-Asked-Host", "localhost")],
            [("X-Forwarded-For", "203.0.113.9")],
            [("Forwarded", "for=203.0.113.9")],
        ],
        ids=["another page", "a page without origin", "another name", "a name made up", "a proxy", "a new proxy"],
    )
    def test_status_routes_are_not_open_to_pages_of_other_sites_and_proxies(
        self, development: Service, headers: Headers, method: str, path: str, body: bytes | None
    ) -> None:
        assert refused(development.request(method, path, headers, body))[0] == 401

    @pytest.mark.parametrize(("method", "path", "body"), WRITING_ROUTES)
    @pytest.mark.parametrize("headers", [[], WITH_KEY, [bearer(SUPER_ADMIN)]])
    def test_writing_routes_are_not(
        self, development: Service, headers: Headers, method: str, path: str, body: bytes | None
    ) -> None:
        assert refused(development.request(method, path, headers, body))[0] == 401


class TestWithoutAnApiKey:
    @pytest.fixture(scope="class")
    @classmethod
    def keyless(cls) -> Iterator[Service]:
        with twistd("--listen", ANYWHERE, env={"JWT_SECRET": SECRET}) as program:
            yield Service(program)

    @protected
    @pytest.mark.parametrize("key", ["", "None", API_KEY])
    def test_no_key_opens_a_route(
        self, keyless: Service, key: str, method: str, path: str, body: bytes | None
    ) -> None:
        assert refused(keyless.request(method, path, [("X-API-Key", key)], body)) == (
            401,
            "unauthorized",
            "this server has no API_KEY, so no key is accepted: set API_KEY (or --api-key-file) and restart, "
            "or send a super admin's token",
        )

    def test_super_admins_still_may(self, keyless: Service) -> None:
        granted(keyless.request("GET", "/connected-users", [bearer(SUPER_ADMIN)]))
