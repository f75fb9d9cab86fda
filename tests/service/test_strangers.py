"""Pages of other sites, and people with somebody else's session id, before the service as it runs by default."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.service.peers import SOCKET_IO, fresh, token
from tests.service.servers import ANYWHERE, Service, complaints, refused, twistd
from tests.support.wire import NO_CLOSE_FRAME, Headers, HttpClient, Response, WebSocketClient

POLLING = "/socket.io/?EIO=4&transport=polling"
EVIL: Headers = (("Origin", "https://evil.example"),)
FORBIDDEN = {"code": 4, "message": "Forbidden"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}
UNKNOWN = {"code": 1, "message": "Session ID unknown"}


class Session:
    """A polling session of the service."""

    def __init__(self, service: Service, headers: Headers = ()) -> None:
        self.service = service
        self.headers = headers
        self.sid: str = json.loads(service.request("GET", POLLING, headers).text[1:])["sid"]
        self.target = f"{POLLING}&sid={self.sid}"

    def connect(self, auth: dict[str, Any] | None = None) -> dict[str, Any]:
        """CONNECT, which must be accepted; what `connected` says."""
        self.post("40" if auth is None else f"40{json.dumps(auth)}")
        packets = self.poll()
        assert packets[0].startswith('40{"sid":'), packets
        while len(packets) < 2:
            packets += self.poll()
        name, connected = json.loads(packets[1][2:])
        assert name == "connected"
        return dict(connected)

    def post(self, *packets: str) -> None:
        answer = self.ask("POST", "\x1e".join(packets).encode())
        assert (answer.status, answer.text) == (200, "ok")

    def poll(self) -> list[str]:
        answer = self.ask("GET")
        assert answer.status == 200, answer
        return answer.text.split("\x1e")

    def ask(self, method: str, body: bytes | None = None, headers: Headers | None = None) -> Response:
        return self.service.request(method, self.target, self.headers if headers is None else headers, body)

    def serves(self) -> bool:
        self.post('421["leave_room","x"]')
        return self.poll() == ['431[{"success":true,"room":"x"}]']


def upgrade(service: Service, headers: Headers, sid: str | None = None) -> Response:
    """The answer to a request for a WebSocket, which must end the connection unless it is accepted."""
    with WebSocketClient(service.port) as client:
        target = SOCKET_IO if sid is None else f"{SOCKET_IO}&sid={sid}"
        client.send(client.handshake_bytes(target, headers))
        answer = client.read_response()
        assert answer.status == 101 or client.read_to_end() == b""
        return answer


# Pages of other sites, while FRONTEND_URL is not set


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "file://"])
def test_no_page_of_another_site_gets_a_session(service: Service, origin: str) -> None:
    headers = [("Origin", origin)]
    answer = service.request("GET", POLLING, headers)
    assert (answer.status, answer.json()) == (403, FORBIDDEN)
    socket = upgrade(service, headers)
    assert (socket.status, socket.text) == (400, "Forbidden")
    for asked in (
        answer,
        socket,
        service.request("OPTIONS", POLLING, headers),
        service.request("GET", "/health", headers),
    ):
        assert not any(name.lower().startswith("access-control-") for name, _ in asked.headers)


def test_no_page_of_another_site_can_use_one(service: Service) -> None:
    session = Session(service)
    session.connect({"token": token(fresh("u"))})
    for method, body in (("GET", None), ("POST", b'42["join_room","x"]')):
        answer = session.ask(method, body, EVIL)
        assert (answer.status, answer.json()) == (403, FORBIDDEN)
    assert upgrade(service, EVIL, session.sid).status == 400
    assert session.serves()


def test_the_own_page_may(service: Service) -> None:
    host = f"127.0.0.1:{service.port}"
    headers = [("Host", host), ("Origin", f"http://{host}")]
    Session(service, headers).connect({"token": token(fresh("u"))})
    assert upgrade(service, headers).status == 101


# Somebody else's session id


def test_the_sid_of_another_is_of_no_use_with_a_token_of_ones_own(service: Service) -> None:
    mine = [("Authorization", f"Bearer {token(fresh('victim'))}")]
    thief = [("Authorization", f"Bearer {token(fresh('thief'))}")]
    session = Session(service, mine)
    session.connect()
    for method, body in (("GET", None), ("POST", b'42["join_room","x"]')):
        answer = session.ask(method, body, thief)
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
    assert upgrade(service, thief, session.sid).status == 400
    assert session.serves()


def test_the_sid_of_a_websocket_is_of_no_use(service: Service) -> None:
    client = service.join(fresh("u"))
    for method, body in (("GET", None), ("POST", b'42["join_room","x"]')):
        answer = service.request(method, f"{POLLING}&sid={client.session_id}", [], body)
        assert (answer.status, answer.json()) == (400, BAD_REQUEST)
    with WebSocketClient.open(service.port, f"{SOCKET_IO}&sid={client.session_id}") as thief:
        thief.send_text("2probe")
        thief.send_text("5")
        assert thief.close_code() != NO_CLOSE_FRAME
    assert client.succeed("leave_room", "x") == {"room": "x"}


@pytest.mark.parametrize("sid", ["", "x", "__proto__", "../admin", "%00", "*"])
def test_a_made_up_sid_is_none(service: Service, sid: str) -> None:
    for method, body in (("GET", None), ("POST", b"40")):
        answer = service.request(method, f"{POLLING}&sid={sid}", [], body)
        assert answer.status == (200 if (sid, method) == ("", "GET") else 400)
        assert answer.status == 200 or answer.json() in (UNKNOWN, {"code": 2, "message": "Bad handshake method"})


def test_the_id_of_a_socket_is_no_sid(service: Service) -> None:
    client = service.join(fresh("u"))
    answer = service.request("GET", f"{POLLING}&sid={client.id}")
    assert (answer.status, answer.json()) == (400, UNKNOWN)


# Before CONNECT


def test_who_has_not_connected_hears_nothing_by_polling(service: Service) -> None:
    session = Session(service)
    with HttpClient(service.port) as parked:
        parked.send_request("GET", session.target)
        service.push({"all": True}, "news", "for everybody")
        service.publish_kind("announcement.made", subject="news", content="for everybody")
        service.publish_kind("inventory.out_of_stock", productId="p1", companyId="c1", quantity=0)
        assert parked.is_silent(0.1)
        session.post(f"40{json.dumps({'token': token(fresh('u'))})}")
        first = parked.read_response().text
    assert first.startswith('40{"sid":')
    assert "news" not in first


@pytest.mark.parametrize(
    "packet",
    [
        '42["join_room","x"]',
        '42["subscribe_order","7"]',
        '421["refresh_token","x"]',
        '42["typing",{}]',
        "41",
        "430[]",
    ],
)
@pytest.mark.parametrize("refused_before", [False, True])
def test_who_has_not_connected_can_ask_for_nothing(service: Service, packet: str, refused_before: bool) -> None:
    session = Session(service)
    if refused_before:
        session.post('40{"token":"nonsense"}')
        assert session.poll()[0].startswith("44")
    session.post(packet)
    assert session.poll() == ["1"]
    answer = session.ask("POST", b"40")
    assert (answer.status, answer.json()) == (400, UNKNOWN)


def test_a_session_is_not_recovered_without_a_token(service: Service) -> None:
    user = fresh("u")
    client = service.join(user)
    client.succeed("join_room", "x")
    client.close()
    session = Session(service)
    session.post(f"40{json.dumps({'pid': client.id, 'offset': '0'})}")
    (answer,) = session.poll()
    assert json.loads(answer[2:])["data"] == {"code": "auth_required"}
    other = service.open()
    assert other.connect(auth={"token": token(user), "pid": client.id, "offset": "0"}) is None
    assert other.id != client.id
    assert other.connected["rooms"] == [f"user:{user}"]


# What a stranger can make the server say


def test_nothing_of_a_request_becomes_a_redirect_or_a_page() -> None:
    with twistd("--listen", ANYWHERE) as program:
        service = Service(program)
        strange: list[Headers] = [
            [("Host", host), ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https")]
            for host in ("evil.example", "a..b", "x" * 300, "\xff\xfe", "evil.example/<script>", "evil.example@x")
        ]
        targets = (
            *("/", "/health/", "//evil.example/%2f..", "/socket.io", "/socket.io/?redirect=http://evil.example"),
            *(POLLING, f"{POLLING}&sid=<script>", "/<script>alert(1)</script>", "/user-status//x/"),
        )
        for headers in strange:
            for target in targets:
                answer = service.request("GET", target, headers)
                assert answer.status in (200, 400, 401, 403, 404), (target, answer)
                assert answer.header("Location") is None
                assert answer.header("Refresh") is None
                assert answer.header("Server") is None
                assert b"evil" not in answer.body
                assert b"<script" not in answer.body
        assert refused(service.request("GET", "/nowhere"))[0] == 404
    assert complaints(program.output) == []
