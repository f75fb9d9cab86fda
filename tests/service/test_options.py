"""Each option reaches the part that it is for: one service where all of them are set to something unusual."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.peers import Client, fresh, token
from tests.service.servers import ANYWHERE, KEYS, Service, granted, twistd
from tests.support.wire import fetch

LIVE = "/live/?EIO=4&transport="
OPTIONS = {
    "jwt-audience": "web, app",
    "jwt-issuer": "https://id.example",
    "jwt-leeway": "100",
    "jwt-required-claims": "jti",
    "jwt-max-bytes": "700",
    "revocation-window": "1",
    "revocation-size": "1",
    "claim-user": "uid",
    "claim-company": "org",
    "claim-shops": "stores",
    "claim-roles": "groups",
    "path": "/live",
    "ping-interval": "3",
    "ping-timeout": "4",
    "connect-timeout": "0.5",
    "max-payload": "5000",
    "max-orders": "1",
    "dedup-size": "1",
    "dedup-window": "0.2",
    "cookie": "node",
    "cors-origins": "https://shop.example",
}
CLAIMS: dict[str, Any] = {"uid": "u1", "org": "c1", "stores": ["s1"], "groups": ["g1"]}
ORIGIN: dict[str, Any] = {"aud": "app", "iss": "https://id.example", "jti": "t1"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("dist")
    (folder / "socket.io.min.js").write_text("// the client")
    arguments = [f"--{name}={value}" for name, value in OPTIONS.items() if not name.startswith("claim")]
    claims = {
        f"RTWIST_{name.upper().replace('-', '_')}": value
        for name, value in OPTIONS.items()
        if name.startswith("claim")
    }
    endpoints = ["--listen", ANYWHERE, "--listen", f"unix:{folder / 'socket'}", f"--client-dist={folder}"]
    with twistd(*endpoints, *arguments, env={**KEYS, **claims}) as program:
        yield Service(program)


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    yield running
    running.close_clients()


def opened(service: Service) -> Client:
    return service.open(target=f"{LIVE}websocket")


def joined(service: Service, **claims: Any) -> Client:
    client = opened(service)
    assert client.connect(token(**CLAIMS | ORIGIN | claims)) is None
    return client


def test_claims_go_by_the_names_they_were_given(service: Service) -> None:
    client = joined(service, userId="another", companyId="another", role="another")
    assert client.connected["rooms"] == ["user:u1", "company:c1", "shop:s1", "role:g1"]


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "other"}, {"aud": None}, {"iss": "https://evil.example"}, {"iss": ""}, {"jti": None},
        {"padding": "x" * 700},
    ],
)  # fmt: skip
def test_tokens_for_others_or_of_others_are_refused(service: Service, claims: dict[str, Any]) -> None:
    refusal = opened(service).connect(token(**CLAIMS | ORIGIN | claims))
    assert refusal is not None
    assert refusal["data"]["code"] == "token_invalid"


def test_a_token_that_has_just_expired_is_taken_within_the_leeway(service: Service) -> None:
    joined(service, exp=int(time.time()) - 50)
    refusal = opened(service).connect(token(**CLAIMS | ORIGIN | {"exp": int(time.time()) - 150}))
    assert refusal is not None
    assert refusal["data"]["code"] == "token_expired"


def code_for(service: Service, **claims: Any) -> str | None:
    refusal = opened(service).connect(token(**CLAIMS | ORIGIN | claims))
    return None if refusal is None else str(refusal["data"]["code"])


def test_no_more_revocations_are_remembered_than_asked_for(service: Service) -> None:
    for jti in ("t2", "t3"):
        assert granted(service.post("/revoke", {"jti": jti})) == {"disconnected": 0}
    assert code_for(service, jti="t2") is None


def test_a_revocation_is_forgotten_after_the_window(service: Service) -> None:
    started = time.monotonic()
    assert granted(service.post("/revoke", {"jti": "t4"})) == {"disconnected": 0}
    while (code := code_for(service, jti="t4")) == "token_revoked":
        assert time.monotonic() - started < 15
    assert code is None
    assert time.monotonic() - started >= 1


def test_the_leeway_counts_for_revocations_too(service: Service) -> None:
    now = int(time.time())
    assert granted(service.post("/revoke", {"user": "u9", "issuedBefore": now - 150}))
    codes = [code_for(service, uid="u9", iat=now - age) for age in (100, 10)]
    assert codes == ["token_revoked", None]


def test_the_heartbeat_and_the_largest_message_are_told_at_the_handshake(service: Service) -> None:
    opening = opened(service).opening
    assert (opening["pingInterval"], opening["pingTimeout"], opening["maxPayload"]) == (3000, 4000, 5000)


def test_a_connection_that_joins_nothing_is_closed_after_the_connect_timeout(service: Service) -> None:
    started = time.monotonic()
    assert opened(service).rest() == []
    assert 0.3 < time.monotonic() - started < 3


def test_the_cookie_has_its_name(service: Service) -> None:
    cookie = fetch(service.port, "GET", f"{LIVE}polling").header("Set-Cookie")
    assert cookie is not None
    assert cookie.startswith("node=")


def test_the_usual_path_is_no_route_then(service: Service) -> None:
    assert fetch(service.port, "GET", "/socket.io/?EIO=4&transport=polling").status == 404


def test_the_clients_script_is_served(service: Service) -> None:
    assert fetch(service.port, "GET", "/live/socket.io.min.js").text == "// the client"


def test_pages_of_the_allowed_origins_only_may_connect(service: Service) -> None:
    for origin, status in (("https://shop.example", 200), ("https://evil.example", 403)):
        assert fetch(service.port, "GET", f"{LIVE}polling", [("Origin", origin)]).status == status


def test_a_refused_request_is_logged_with_the_reason(service: Service) -> None:
    fetch(service.port, "GET", f"{LIVE}carrier-pigeon")
    service.program.wait_for_output("request of 127.0.0.1 refused: transport 'carrier-pigeon'")


def test_no_more_orders_are_remembered_than_asked_for(service: Service) -> None:
    client, first, second = joined(service), fresh("o"), fresh("o")
    for order in (first, second):
        service.publish_kind("order.created", orderId=order, companyId="c1")
    assert client.succeed("subscribe_order", second) == {"room": f"order:{second}"}
    assert client.succeed("subscribe_order", first) == {"room": f"order:{first}", "pending": True}


def test_no_more_event_ids_are_remembered_than_asked_for(service: Service) -> None:
    def event(identity: str) -> dict[str, Any]:
        return {"type": "order.shipped", "id": identity, "data": {"orderId": "7"}}

    first, second = fresh("e"), fresh("e")
    assert service.publish(event(first), event(second))["accepted"] == 2
    assert service.publish(event(first))["accepted"] == 1


def test_an_event_id_is_forgotten_after_the_window(service: Service) -> None:
    event = {"type": "order.shipped", "id": fresh("e"), "data": {"orderId": "7"}}
    started = time.monotonic()
    assert service.publish(event)["accepted"] == 1
    while service.publish(event)["duplicates"] == 1:
        assert time.monotonic() - started < 5
    assert time.monotonic() - started >= 0.2


def test_it_listens_on_every_endpoint(running: Service) -> None:
    running.program.wait_for_output("/socket")


@pytest.mark.parametrize("option", ["--jwt-secret-file", "--api-key-file"])
def test_secrets_come_from_files_too(tmp_path: Path, option: str) -> None:
    names = {"--jwt-secret-file": "JWT_SECRET", "--api-key-file": "API_KEY"}
    file = tmp_path / "secret"
    file.write_text(KEYS[names[option]] + "\n")
    env = {name: value for name, value in KEYS.items() if name != names[option]}
    with twistd("--listen", ANYWHERE, option, str(file), env=env) as program:
        service = Service(program)
        assert service.open().connect(token("u1")) is None
        assert service.push({"user": "u1"}, "x") == 1
        service.close_clients()
