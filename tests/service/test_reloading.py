"""SIGHUP: what can change at run time does, what cannot is named, and a mistake changes nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.peers import API_KEY, SECRET, SOCKET_IO, token
from tests.service.reloads import OTHER, REFUSED, ROUTES, Reloaded, code_of, running
from tests.service.servers import granted, refused
from tests.support.wire import HttpClient, WebSocketClient


@pytest.fixture
def reloaded(tmp_path: Path) -> Iterator[Reloaded]:
    with running(tmp_path, JWT_SECRET=SECRET, API_KEY=API_KEY) as made:
        yield made


def test_a_new_secret_counts_and_who_is_in_stays(reloaded: Reloaded) -> None:
    service = reloaded.service
    before = service.join("u1")
    reloaded.change(JWT_SECRET=OTHER)
    assert code_of(service.open(), token("u2")) == "token_invalid"
    assert code_of(service.open(), token("u2", secret=OTHER)) is None
    before.succeed("join_room", "x")
    assert before.refused("refresh_token", token("u1"))[0] == "token_invalid"


def test_both_secrets_count_while_one_follows_the_other(reloaded: Reloaded) -> None:
    reloaded.change(JWT_SECRET=OTHER, JWT_PREVIOUS_SECRET=SECRET)
    for secret in (SECRET, OTHER):
        assert code_of(reloaded.service.open(), token("u2", secret=secret)) is None


def test_a_new_api_key_counts(reloaded: Reloaded) -> None:
    reloaded.change(API_KEY="another-api-key-of-the-tests")
    with_other = (("X-API-Key", "another-api-key-of-the-tests"),)
    granted(reloaded.service.request("GET", "/connected-users", with_other))
    assert refused(reloaded.service.request("GET", "/connected-users"))[0] == 401


def test_new_origins_count_for_every_transport_and_rest(reloaded: Reloaded) -> None:
    service, origin = reloaded.service, "https://shop.example"

    def statuses() -> list[int]:
        headers = (("Origin", origin),)
        polling = service.request("GET", "/socket.io/?EIO=4&transport=polling", headers).status
        with WebSocketClient(service.port) as client:
            return [polling, client.handshake(SOCKET_IO, headers).status]

    assert statuses() == [403, 400]
    reloaded.change(FRONTEND_URL=origin)
    assert statuses() == [200, 101]
    with HttpClient(service.port) as client:
        answer = client.request("GET", "/health", (("Origin", origin),))
        assert answer.header("Access-Control-Allow-Origin") == origin
    reloaded.change(FRONTEND_URL="")
    assert statuses() == [403, 400]


def test_new_limits_count(reloaded: Reloaded) -> None:
    service = reloaded.service
    service.join("u1")
    reloaded.change(RTWIST_MAX_CONNECTIONS_PER_USER="1", RTWIST_MAX_CONNECTIONS="3")
    assert code_of(service.open(), token("u1")) == "too_many"
    service.join("u2")
    with HttpClient(service.port) as client:
        assert client.request("GET", "/socket.io/?EIO=4&transport=polling").status == 503
    reloaded.change(RTWIST_MAX_CONNECTIONS="100")
    service.join("u3")


def test_new_routes_count(reloaded: Reloaded, tmp_path: Path) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text(ROUTES.format(event="parcel:left"))
    service = reloaded.service
    client = service.join("u1")
    reloaded.change(RTWIST_ROUTES=str(routes))
    service.publish_kind("parcel.left", userId="u1")
    assert client.names() == ["parcel:left"]
    routes.write_text(ROUTES.format(event="parcel:gone"))
    reloaded.reload()
    service.publish_kind("parcel.left", userId="u1")
    assert client.names() == ["parcel:gone"]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("JWT_SECRET", "short", "JWT_SECRET"),
        ("RTWIST_MAX_CONNECTIONS", "none", "RTWIST_MAX_CONNECTIONS is 'none': must be"),
        ("FRONTEND_URL", "shop", "FRONTEND_URL is 'shop'"),
        ("RTWIST_SLOW_CONSUMER", "x=y", "RTWIST_SLOW_CONSUMER is 'x=y'"),
        ("RTWIST_ROUTES", "/nowhere", "RTWIST_ROUTES is '/nowhere'"),
        ("not a name", "x", "whose line 4 is not NAME=value"),
    ],
)
def test_a_mistake_changes_nothing(reloaded: Reloaded, name: str, value: str, told: str) -> None:
    reloaded.write(API_KEY="another-api-key-of-the-tests", **{"RTWIST_MAX_ROOMS": "5"} if name == "x" else {})
    good = dict(reloaded.settings)
    reloaded.write(**{"JWT_PREVIOUS_SECRET": OTHER, name: value} if name != "not a name" else {name: value})
    line = reloaded.reload(REFUSED)
    assert told.replace("line 4", "line 3") in line
    assert "short" not in line
    assert OTHER not in line
    granted(reloaded.service.request("GET", "/connected-users"))
    assert code_of(reloaded.service.open(), token("u2", secret=OTHER)) == "token_invalid"
    reloaded.settings = good
    reloaded.change()
    assert refused(reloaded.service.request("GET", "/connected-users"))[0] == 401


def test_a_routes_file_with_a_mistake_changes_nothing(reloaded: Reloaded, tmp_path: Path) -> None:
    routes = tmp_path / "routes.toml"
    routes.write_text("[[route]]\n")
    reloaded.write(RTWIST_ROUTES=str(routes), JWT_SECRET=OTHER)
    assert str(routes) in reloaded.reload(REFUSED)
    assert code_of(reloaded.service.open(), token("u2")) is None


def test_what_needs_a_start_is_named_and_the_rest_counts(reloaded: Reloaded) -> None:
    reloaded.write(JWT_SECRET=OTHER, RTWIST_PING_INTERVAL="7", RTWIST_MAX_ORDERS="7", RTWIST_JWT_LEEWAY="7")
    line = reloaded.reload("changed, but only at the next start")
    assert line.endswith("--max-orders, --jwt-leeway, --ping-interval")
    client = reloaded.service.open()
    assert client.opening["pingInterval"] == 25000
    assert code_of(client, token("u1", secret=OTHER)) is None


def test_slow_consumers_and_drain_options_are_taken(reloaded: Reloaded) -> None:
    reloaded.change(RTWIST_SLOW_CONSUMER="x=drop", RTWIST_DRAIN_RATE="7", RTWIST_DRAIN_TIMEOUT="70")
    assert not any("only at the next start" in line for line in reloaded.service.program.output)
    reloaded.service.program.process.send_signal(signal.SIGTERM)
    assert "at least 7 a second, within 70 s" in reloaded.service.program.wait_for_output("stopping: ")
