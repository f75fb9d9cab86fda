"""What comes in the middle: leaving, moving, being called back and stopping, while something is still decided."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from tests.service.peers import SOCKET_IO, Client, closing, fresh, token
from tests.service.servers import ANYWHERE, Service, complaints, granted, json_body, refused, twistd
from tests.support.authority import Authority, Gate, answer
from tests.support.keys import P256, key_set, token_by
from tests.support.keyserver import KeyServer
from tests.support.keyserver import answer as with_keys
from tests.support.wire import Ended, HttpClient, WebSocketClient, fetch

POLLING = "/socket.io/?EIO=4&transport=polling"
REVOKED = {"message": "Invalid or expired token", "data": {"code": "token_revoked"}}


@pytest.fixture
def witness(controlled: Service) -> Client:
    """Somebody of the company c1, who lets the keys come."""
    return controlled.join(fresh("witness"), "c1")


def wait_for(witness: Client, count: int) -> None:
    while witness.call("count waiting") < count:
        pass


def pending(service: Service, witness: Client, user: str, **claims: object) -> Client:
    """A client whose CONNECT waits for its keys."""
    client = service.open()
    client.wire.send_text(f"40{json.dumps({'token': token(user, 'c1', kid='late', **claims)})}")
    wait_for(witness, 1)
    return client


def users(service: Service) -> list[str]:
    return list(granted(service.request("GET", "/connected-users"))["users"])


# While the keys come


LEAVES: dict[str, Callable[[Client], object]] = {
    "the connection closes": lambda client: client.close(),
    "the connection is reset": lambda client: client.wire.reset(),
    "a second CONNECT": lambda client: client.wire.send_text("40"),
    "a CONNECT with another token": lambda client: client.wire.send_text('40{"token":"x"}'),
    "an event": lambda client: client.wire.send_text('42["join_room","x"]'),
    "a DISCONNECT": lambda client: client.wire.send_text("41"),
    "nonsense": lambda client: client.wire.send_text("4x"),
}


@pytest.mark.parametrize("leave", LEAVES.values(), ids=LEAVES)
def test_who_leaves_while_the_keys_come_was_never_there(
    controlled: Service, witness: Client, leave: Callable[[Client], object]
) -> None:
    user = fresh("u")
    client = pending(controlled, witness, user)
    witness.presence()
    leave(client)
    while sessions(controlled) > 1:  # the witness stays
        pass
    assert witness.call("release") == 1
    assert user not in users(controlled)
    assert witness.presence() == []
    assert controlled.push({"user": user}, "x") == 0


def sessions(service: Service) -> int:
    return int(json_body(service.request("GET", "/ready"))["clients"]["sessions"])


def test_a_session_moves_to_websocket_while_the_keys_come(controlled: Service, witness: Client) -> None:
    user = fresh("u")
    sid = json.loads(controlled.request("GET", POLLING).text[1:])["sid"]
    connect = f"40{json.dumps({'token': token(user, 'c1', kid='late')})}".encode()
    assert controlled.request("POST", f"{POLLING}&sid={sid}", [], connect).text == "ok"
    wait_for(witness, 1)
    with WebSocketClient.open(controlled.port, f"{SOCKET_IO}&sid={sid}") as socket:
        socket.send_text("2probe")
        assert socket.read_text() == "3probe"
        assert witness.call("release") == 1
        socket.send_text("5")
        assert socket.read_text().startswith('40{"sid":')
        assert socket.read_text().startswith('42["connected",')
        assert controlled.push({"user": user}, "x") == 1
        assert socket.read_text() == '42["x",null]'
    assert witness.wait_for_presence() == ("online", user)


@pytest.mark.parametrize("whom", ["user", "company", "jti"])
def test_who_is_called_back_while_the_keys_come_is_refused(
    controlled: Service, witness: Client, whom: str
) -> None:
    named = {"user": fresh("u"), "company": fresh("c"), "jti": fresh("t")}
    user, client = named["user"], controlled.open()
    made = token(user, named["company"], kid="late", jti=named["jti"])
    client.wire.send_text(f"40{json.dumps({'token': made})}")
    wait_for(witness, 1)
    granted(controlled.post("/revoke", {whom: named[whom]}))
    assert witness.call("release") == 1
    assert client.packet() == f"44{json.dumps(REVOKED, separators=(',', ':'))}"
    assert user not in users(controlled)


def test_a_request_by_rest_that_waits_for_keys_is_refused_when_it_is_called_back(
    controlled: Service, witness: Client
) -> None:
    admin = fresh("a")
    late = token(admin, role="super_admin", kid="late")
    with HttpClient(controlled.port) as client:
        client.send_request("GET", "/connected-users", [("Authorization", f"Bearer {late}")])
        wait_for(witness, 1)
        granted(controlled.post("/revoke", {"user": admin}))
        assert witness.call("release") == 1
        assert refused(client.read_response())[:2] == (401, "unauthorized")


def test_who_is_called_back_while_a_new_token_is_checked_is_gone(controlled: Service, witness: Client) -> None:
    user = fresh("u")
    client = controlled.join(user, "c1")
    client.emit("refresh_token", token(user, "c2", kid="late"))
    wait_for(witness, 1)
    assert granted(controlled.post("/revoke", {"user": user})) == {"disconnected": 1}
    assert witness.call("release") == 1
    assert [text[:2] for text in client.rest() if "presence" not in text] == ["42", "41"]
    assert controlled.push({"company": "c2"}, "x") == 0
    assert user not in users(controlled)


def test_new_tokens_on_two_sockets_at_once_count_for_each(controlled: Service, witness: Client) -> None:
    user, first, second = fresh("u"), fresh("c"), fresh("c")
    sockets = [controlled.join(user, "c1") for _ in range(2)]
    for number, (socket, company) in enumerate(zip(sockets, (first, second), strict=True)):
        made = token(user, company, kid="late")
        socket.wire.send_text(f"42{number}{json.dumps(['refresh_token', made])}")
        wait_for(witness, number + 1)
    assert witness.call("release") == 2
    for company in (first, second):
        assert controlled.push({"company": company}, "x") == 1
    assert controlled.push({"user": user}, "x") == 2


# While a WebSocket is on probation


def probing(service: Service, user: str) -> tuple[str, WebSocketClient]:
    """The target of a signed-in polling session, and a WebSocket that is about to take it over."""
    sid = json.loads(service.request("GET", POLLING).text[1:])["sid"]
    target = f"{POLLING}&sid={sid}"
    assert (
        service.request("POST", target, [], f"40{json.dumps({'token': token(user, 'c1')})}".encode()).text == "ok"
    )
    packets: list[str] = []
    while len(packets) < 2:
        packets += service.request("GET", target).text.split("\x1e")
    socket = WebSocketClient.open(service.port, f"{SOCKET_IO}&sid={sid}")
    socket.send_text("2probe")
    assert socket.read_text() == "3probe"
    return target, socket


def test_who_is_called_back_during_an_upgrade_is_gone_on_both_ways(service: Service) -> None:
    user = fresh("u")
    target, socket = probing(service, user)
    assert granted(service.post("/revoke", {"user": user})) == {"disconnected": 1}
    socket.send_text("5")
    told = []
    while not told or told[-1] not in ("41", "1"):
        told += [socket.read_text()]
    assert [text[:20] for text in told] == ['42["auth:revoked",{"', "41"]
    assert service.push({"user": user}, "x") == 0
    with socket:
        assert socket.read_to_close()[0] == []
    assert fetch(service.port, "GET", target).status == 400


def test_who_is_moved_during_an_upgrade_hears_of_the_new_place_only(service: Service) -> None:
    user, new = fresh("u"), fresh("c")
    _, socket = probing(service, user)
    with socket:
        service.publish_kind("user.updated", userId=user, companyId=new)
        assert service.push({"company": new}, "first") == 1
        socket.send_text("5")
        service.push({"company": "c1"}, "old")
        assert service.push({"company": new}, "second") == 1
        heard = [json.loads(socket.read_text()[2:])[0] for _ in range(3)]
        assert heard == ["user:updated", "first", "second"]


# While the authorization URL is asked


@pytest.fixture(scope="module")
def running_asking() -> Iterator[tuple[Service, Authority]]:
    with Authority() as authority:
        options = (
            "--authorization-url",
            authority.url,
            "--authorization-timeout",
            "10",
            "--custom-rooms",
            "granted",
        )
        with twistd("--listen", ANYWHERE, *options) as program:
            yield Service(program), authority
        assert complaints(program.output) == []


@pytest.fixture
def asking(running_asking: tuple[Service, Authority]) -> Iterator[tuple[Service, Authority]]:
    yield running_asking
    running_asking[0].close_clients()


@pytest.mark.parametrize("how", ["revoked", "deactivated", "reset"])
def test_who_goes_while_it_is_asked_is_in_no_room(asking: tuple[Service, Authority], how: str) -> None:
    service, authority = asking
    room, user, gate = fresh("room"), fresh("u"), Gate(answer(allow=True))
    authority.rules[room] = gate
    client = service.join(user)
    client.emit("join_room", room)
    gate.wait_for_one()
    if how == "revoked":
        granted(service.post("/revoke", {"user": user}))
    elif how == "deactivated":
        service.publish_kind("user.deactivated", userId=user)
    else:
        client.wire.reset()
    while user in users(service):
        pass
    gate.open()
    other = service.join(fresh("u"))
    other.succeed("join_room", room)
    assert service.push({"room": room}, "x") == 1


# While it stops


@pytest.fixture
def gate() -> threading.Event:
    return threading.Event()


def test_it_stops_while_clients_wait_for_keys(gate: threading.Event) -> None:
    asked = threading.Semaphore(0)

    def late(request: BaseHTTPRequestHandler) -> None:
        asked.release()
        gate.wait(20)
        with_keys(key_set(k1=P256))(request)

    with KeyServer(late) as keys:
        env = {"JWT_JWKS_URL": keys.url, "RTWIST_JWT_AUDIENCE": "shop", "API_KEY": "the-api-key-of-the-tests"}
        with twistd("--listen", ANYWHERE, env=env) as program:
            service = Service(program)
            assert asked.acquire(timeout=20)
            clients = [service.open() for _ in range(5)]
            for client in clients:
                client.wire.send_text(f"40{json.dumps({'token': token_by(P256, 'k1', aud='shop')})}")
            with HttpClient(service.port) as rest:
                made = token_by(P256, "k1", aud="shop", role="super_admin")
                rest.send_request("GET", "/connected-users", [("Authorization", f"Bearer {made}")])
                assert service.request("GET", "/health").status == 200
                program.process.send_signal(signal.SIGTERM)
                assert [client.rest() for client in clients] == [[]] * 5, "closed, not refused: they come back"
                assert program.wait(10) == 0
            service.close_clients()
        gate.set()
    assert complaints(program.output) == []


def test_it_stops_while_the_authorization_url_is_asked() -> None:
    with Authority() as authority:
        waiting = Gate(answer(allow=True))
        authority.rules["x"] = waiting
        with twistd("--listen", ANYWHERE, "--authorization-url", authority.url) as program:
            service = Service(program)
            client = service.join("u1")
            client.emit("join_room", "x")
            waiting.wait_for_one()
            program.process.send_signal(signal.SIGTERM)
            assert [text for text in client.rest() if text.startswith(("41", "43"))] == []
            assert program.wait(10) == 0
        waiting.open()
    assert complaints(program.output) == []


def test_it_stops_while_clients_come_and_publishers_publish() -> None:
    with twistd("--listen", ANYWHERE) as program:
        service = Service(program)
        stopped = threading.Event()
        met: list[str] = []

        def come(number: int) -> None:
            # Whatever is cut off in the middle is no fault of the service's.
            while not stopped.is_set():
                with contextlib.suppress(AssertionError, OSError, Ended), closing(client := Client(service.port)):
                    met.append(str(client.connect(token(f"u{number}", "c1"))))
                    service.push({"user": f"u{number}"}, "x")

        threads = [threading.Thread(target=come, args=(number,), daemon=True) for number in range(4)]
        for thread in threads:
            thread.start()
        while len(met) < 20:
            pass
        program.process.send_signal(signal.SIGTERM)
        assert program.wait(10) == 0
        stopped.set()
        for thread in threads:
            thread.join(20)
    assert set(met) <= {"None"}, "nobody was refused"
    assert complaints(program.output) == []
