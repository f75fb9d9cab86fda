"""Emitting over REST: each target, what cannot be a request, and which pages may ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.service.peers import Client, Event, fresh
from tests.service.servers import ANYWHERE, KEYS, WITH_KEY, Service, refused, twistd
from tests.support.wire import Headers

USAGE = 'send {"to": {"user": "u1"}, "event": "name", "data": ...}'
ONE_TARGET = f"{USAGE}, with exactly one target"
NO_EVENT = f"event must be a name; {USAGE}"
UNKNOWN_TARGET = "to must name one of user, company, shop, role, room or all"
TO = {"user": "u1"}
RESERVED = ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
WRONG: list[tuple[Any, str]] = [
    (None, ONE_TARGET),
    ([], ONE_TARGET),
    ("x", ONE_TARGET),
    ({}, ONE_TARGET),
    ({"event": "x"}, ONE_TARGET),
    ({"to": None, "event": "x"}, ONE_TARGET),
    ({"to": "all", "event": "x"}, ONE_TARGET),
    ({"to": {}, "event": "x"}, ONE_TARGET),
    ({"to": {"user": "u1", "shop": "s1"}, "event": "x"}, ONE_TARGET),
    ({"to": {"everybody": True}, "event": "x"}, UNKNOWN_TARGET),
    ({"to": {"USER": "u1"}, "event": "x"}, UNKNOWN_TARGET),
    *(
        ({"to": {"all": value}, "event": "x"}, "to.all must be true")
        for value in (False, None, 1, "true", "", {})
    ),
    ({"to": {"user": None}, "event": "x"}, "to.user must be a string or an integer, not null"),
    ({"to": {"user": ""}, "event": "x"}, "to.user must not be empty"),
    ({"to": {"company": True}, "event": "x"}, "to.company must be a string or an integer, not a boolean"),
    ({"to": {"shop": 1.5}, "event": "x"}, "to.shop must be a string or an integer, not a fraction"),
    ({"to": {"role": ["a"]}, "event": "x"}, "to.role must be a string or an integer, not an array"),
    ({"to": {"room": {}}, "event": "x"}, "to.room must be a string or an integer, not an object"),
    ({"to": {"user": "x" * 201}, "event": "x"}, "to.user must not be longer than 200 characters"),
    ({"to": {"room": "\ud800"}, "event": "x"}, "to.room must not contain control characters or lone surrogates"),
    ({"to": TO, "event": "\ud800"}, NO_EVENT),
    ({"to": TO}, NO_EVENT),
    ({"to": TO, "event": None}, NO_EVENT),
    ({"to": TO, "event": ""}, NO_EVENT),
    ({"to": TO, "event": 7}, NO_EVENT),
    ({"to": TO, "event": ["x"]}, NO_EVENT),
    *(({"to": TO, "event": name}, f'"{name}" is a reserved event name') for name in RESERVED),
]
DATA: list[Any] = [
    None, True, 0, -1.5, 10**30, "", "ü😀", "\ud800", "\u2028", [], [1, [2]], {}, {"a": {"b": None}},
    {"_placeholder": True, "num": 0},
]  # fmt: skip


@pytest.fixture
def client(service: Service) -> Client:
    return service.join(fresh("u"), fresh("c"), fresh("s"), fresh("s"), role=fresh("r"))


def test_each_target_is_reached_and_nobody_else(service: Service, client: Client) -> None:
    stranger = service.join(fresh("u"), fresh("c"), fresh("s"), role=fresh("r"))
    room = fresh("room")
    client.succeed("join_room", room)
    user, company, shop, _, role = (name.partition(":")[2] for name in client.connected["rooms"])
    targets = {"user": user, "company": company, "shop": shop, "role": role, "room": room}
    for kind, name in targets.items():
        assert service.push({kind: name}, f"to:{kind}", {"n": 1}) == 1
    assert client.events() == [Event(f"to:{kind}", {"n": 1}) for kind in targets]
    assert stranger.events() == []


def test_all_are_reached(service: Service, client: Client) -> None:
    other = service.join(fresh("u"))
    assert service.push({"all": True}, "news", 1) == 2
    assert (client.events(), other.events()) == ([Event("news", 1)], [Event("news", 1)])


def test_super_admins_hear_what_a_company_hears_and_their_role(service: Service) -> None:
    admin = service.join(fresh("u"), fresh("c"), role="super_admin")
    assert service.push({"company": fresh("c")}, "company") == 1
    assert service.push({"role": "super_admin"}, "role") == 1
    assert service.push({"shop": fresh("s")}, "shop") == 0
    assert admin.names() == ["company", "role"]


@pytest.mark.parametrize("data", DATA)
def test_the_data_arrives_as_it_was_sent(service: Service, client: Client, data: Any) -> None:
    service.push({"user": client.connected["userId"]}, "x", data)
    assert client.events() == [Event("x", data)]


def test_a_number_is_an_id(service: Service) -> None:
    number = int(fresh("70000"))
    client = service.join(str(number))
    assert service.push({"user": number}, "x") == 1
    assert client.names() == ["x"]


def test_any_name_but_the_reserved_ones_is_an_event(service: Service, client: Client) -> None:
    names = [
        "order:update",
        "error",
        "connected",
        "Connect",
        " connect",
        "ü",
        "x" * 1000,
        "\n",
        "{socket}",
    ]
    for name in names:
        assert service.push({"user": client.connected["userId"]}, name) == 1
    assert client.names() == names


@pytest.mark.parametrize(("body", "message"), WRONG)
def test_what_is_no_request_is_refused_with_the_reason(service: Service, body: Any, message: str) -> None:
    assert refused(service.post("/emit", body)) == (400, "bad_request", message)


class TestOrigins:
    """Which pages may call the REST routes."""

    ORIGIN = "https://shop.example"

    @pytest.fixture(scope="class")
    @classmethod
    def restricted(cls) -> Iterator[Service]:
        env = {**KEYS, "FRONTEND_URL": f"{cls.ORIGIN},https://other.example/"}
        with twistd("--listen", ANYWHERE, env=env) as program:
            yield Service(program)

    def cors(self, service: Service, method: str, target: str, *headers: tuple[str, str]) -> dict[str, str]:
        answer = service.request(method, target, [*WITH_KEY, *headers])
        assert answer.status in (200, 204, 404, 405), answer
        return {
            name.lower(): value
            for name, value in answer.headers
            if name.lower().startswith("access-control-") or name.lower() == "vary"
        }

    @pytest.mark.parametrize("target", ["/health", "/connected-users", "/nowhere", "/emit"])
    @pytest.mark.parametrize("origin", [ORIGIN, "https://other.example"])
    def test_pages_of_the_allowed_origins_may_read_the_answers(
        self, restricted: Service, target: str, origin: str
    ) -> None:
        assert self.cors(restricted, "GET", target, ("Origin", origin)) == {
            "access-control-allow-origin": origin,
            "vary": "Origin",
            "access-control-allow-credentials": "true",
        }

    @pytest.mark.parametrize(
        "origin",
        [
            "https://evil.example",
            "null",
            "http://shop.example",
            "https://shop.example.evil",
            "*",
            "\xff",
            "\x1fhttps://shop.example",
            "https://shop.example\x1e",
            "https://shop.example\xc2\xa0",
        ],
    )
    def test_other_pages_may_not(self, restricted: Service, origin: str) -> None:
        assert self.cors(restricted, "GET", "/health", ("Origin", origin)) == {"vary": "Origin"}
        preflight = self.cors(
            restricted, "OPTIONS", "/emit", ("Origin", origin), ("Access-Control-Request-Method", "POST")
        )
        assert "access-control-allow-origin" not in preflight

    @pytest.mark.parametrize("asked", ["x-api-key,content-type", "ü", "\xff", "x" * 1000])
    def test_a_preflight_allows_the_headers_that_are_asked_for(self, restricted: Service, asked: str) -> None:
        headers: Headers = [
            ("Origin", self.ORIGIN),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", asked),
        ]
        answer = self.cors(restricted, "OPTIONS", "/emit", *headers)
        assert answer["access-control-allow-origin"] == self.ORIGIN
        assert answer["access-control-allow-methods"] == "GET,POST"
        if asked.isascii():
            assert answer["access-control-allow-headers"] == asked

    def test_errors_can_be_read_by_allowed_pages_too(self, restricted: Service) -> None:
        for method, target, body in (
            ("GET", "/%ff", None),
            ("POST", "/emit", b"x"),
            ("POST", "/emit", b" " * 10**6),
        ):
            answer = restricted.request(method, target, [*WITH_KEY, ("Origin", self.ORIGIN)], body)
            assert refused(answer)[0] == 400
            assert answer.header("Access-Control-Allow-Origin") == self.ORIGIN
        answer = restricted.request("POST", "/emit", [("Origin", self.ORIGIN)], b" " * (10**6 + 1))
        assert refused(answer)[0] == 413
        assert answer.header("Access-Control-Allow-Origin") == self.ORIGIN

    def test_without_the_option_no_page_of_another_origin_may(self, service: Service) -> None:
        assert self.cors(service, "GET", "/health", ("Origin", self.ORIGIN)) == {}
