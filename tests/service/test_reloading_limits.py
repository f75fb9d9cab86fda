"""SIGHUP and the limits: those that changed count at once, without a word of the next start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.service.peers import API_KEY, SECRET, Client, token
from tests.service.reloads import Reloaded, running
from tests.service.servers import WITH_KEY, Service
from tests.support.wire import HttpClient


@pytest.fixture
def reloaded(tmp_path: Path) -> Iterator[Reloaded]:
    with running(tmp_path, JWT_SECRET=SECRET, API_KEY=API_KEY) as made:
        yield made


def _post(size: int) -> Callable[[Service, Client], object]:
    return lambda service, _: service.request("POST", "/events", WITH_KEY, b"[" + b" " * size + b"]").status


def _asked(*event: Any) -> Callable[[Service, Client], object]:
    return lambda _, client: client.call(*event)["success"]


def _depth(levels: int) -> Callable[[Service, Client], object]:
    body = '{"to":{"user":"u2"},"event":"x","data":' + "[" * levels + "]" * levels + "}"
    return lambda service, _: service.request("POST", "/emit", WITH_KEY, body.encode()).status


def _told(name: str) -> Callable[[Service, Client], object]:
    return lambda service, _: service.open().opening[name]


def _requests(service: Service, _: Client) -> object:
    with HttpClient(service.port) as http:
        return [http.request("GET", "/health").header("Connection") for _ in range(2)]


def _rooms(service: Service, client: Client) -> object:
    return [client.call("join_room", name)["success"] for name in ("a", "b")]


def _refreshes(service: Service, _: Client) -> object:
    client = service.join("u1")
    return [client.call("refresh_token", token("u1", lifetime=900))["success"] for _ in range(21)].count(True)


class Limit(NamedTuple):
    name: str
    value: str
    act: Callable[[Service, Client], object]
    before: object
    after: object


LIMITS = [
    Limit("MAX_PAYLOAD", "1000", _post(2000), 200, 413),
    Limit("MAX_PAYLOAD", "1000", _told("maxPayload"), 1_000_000, 1000),
    Limit("MAX_DEPTH", "5", _depth(10), 200, 400),
    Limit("MAX_ROOMS", "1", _rooms, [True, True], [True, False]),
    Limit("MAX_ROOM_NAME", "5", _asked("join_room", "a-room"), True, False),
    Limit("MAX_REQUESTS", "2", _requests, [None, None], [None, "close"]),
    Limit("MAX_REFRESHES_PER_SECOND", "0", _refreshes, 20, 21),
]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.name)
def test_a_limit_counts_at_once(reloaded: Reloaded, limit: Limit) -> None:
    name, value, act, before, after = limit
    client = reloaded.service.join("u1")
    assert act(reloaded.service, client) == before
    client.close()
    reloaded.change(**{f"RTWIST_{name}": value})
    assert not any("only at the next start" in line for line in reloaded.service.program.output)
    assert act(reloaded.service, reloaded.service.join("u1")) == after


def test_a_message_beyond_the_new_limit_ends_the_connection(reloaded: Reloaded) -> None:
    text = '42["message","' + "x" * 2000 + '"]'
    before = reloaded.service.join("u1")
    before.wire.send_text(text)
    before.succeed("join_room", "still here")
    reloaded.change(RTWIST_MAX_PAYLOAD="1000")
    after = reloaded.service.join("u1")
    after.wire.send_text(text)
    assert after.close_code() == 1009


def test_another_grace_counts(tmp_path: Path) -> None:
    with running(tmp_path, JWT_SECRET=SECRET, RTWIST_EXPIRY_GRACE="600") as reloaded:
        reloaded.change(RTWIST_EXPIRY_GRACE="0")
        client = reloaded.service.open()
        assert client.connect(token("u1", lifetime=2)) is None
        assert [client.next_event().name for _ in range(2)] == ["auth:expiring", "auth:expired"]
