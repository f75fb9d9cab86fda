"""What strangers send cannot forge a line of the log, command a terminal that shows it, or put a token there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.service.peers import Client, fresh, token
from tests.service.servers import ANYWHERE, WITH_KEY, Service, complaints, twistd
from tests.support.wire import Headers, WebSocketClient

POLLING = "/socket.io/?EIO=4&transport=polling"
FORGED = "2026-01-01T00:00:00+0000 [rtwist.gateway.Gateway#info] user admin connected"
WORDS = {
    "a line feed": f"x\n{FORGED}",
    "a carriage return": f"x\r{FORGED}",
    "a line separator": f"x\u2028{FORGED}",
    "an escape sequence": "\x1b[2J\x1b]0;owned\x07",
    "an 8-bit escape sequence": "\x9b2J",
    "a right-to-left override": "\u202edetcennoc",
    "a token": token("u1"),
    "half a token": token("u1")[:60],
}
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000 \[\S+\] ")


@pytest.fixture(scope="module")
def texts() -> Iterator[Service]:
    """A service that logs in the usual form, which a person reads."""
    with twistd("--listen", ANYWHERE, "--cors-origins", "https://shop.example") as program:
        service = Service(program)
        yield service
        service.close_clients()
    assert complaints(program.output) == []


def in_header(word: str) -> str:
    """The word as UTF-8 in a header, without what a header cannot hold."""
    return re.sub(r"[\r\n\x00]", " ", word).encode().decode("latin-1")


def by_http(service: Service, word: str) -> None:
    """Say the word wherever a request has a place for it."""
    named: list[Headers] = [
        [("Origin", in_header(word))],
        [("Origin", f"https://{in_header(word)}")],
        [("X-API-Key", in_header(word))],
        [("Authorization", f"Bearer {in_header(word)}")],
        [("X-Forwarded-For", in_header(word)), ("User-Agent", in_header(word))],
    ]
    for headers in named:
        service.request("GET", POLLING, headers)
        service.request("GET", "/connected-users", headers)
        with WebSocketClient(service.port) as client:
            client.send(client.handshake_bytes(POLLING.replace("polling", "websocket"), headers))
            client.read_response()
    quoted = "".join(f"%{octet:02x}" for octet in word.encode())
    for target in (f"{POLLING}&sid={quoted}", f"{POLLING}{quoted}", f"/{quoted}", f"/user-status/{quoted}"):
        service.request("GET", target)


def by_packets(service: Service, word: str) -> None:
    """Say the word in packets, before and after CONNECT."""
    for text in (f'42/{word},["x"]', f'42["{word}"]', f'45{word}-["x"]'):
        client = service.open()
        client.wire.send_text(text)
        assert client.wire.read_to_close()[0] == []
    client = service.open()
    client.wire.send_text(f"40/{word},")
    assert client.packet().startswith(f"44/{word},")
    assert client.connect(f"{word}.{word}") is not None
    joined = service.join(fresh("u"))
    joined.wire.send_text(f'42/{word},["x"]')
    assert joined.wire.read_to_close()[0] == []


def by_requests(client: Client, word: str) -> None:
    """Say the word in whatever a signed-in client may ask for."""
    for name in ("join_room", "leave_room", "subscribe_order", "subscribe_transfer", word):
        client.call(name, {"a": word})
        client.call(name, f"user:{word}")
    client.call("join_room", word)
    client.call("leave_room", word)
    client.call("typing", {"roomId": word, "isTyping": True})
    client.call("refresh_token", word)
    client.call("refresh_token", {"token": word})
    client.emit(word, word)


def by_publishing(service: Service, word: str) -> None:
    """Say the word as a publisher would: in events, in what is emitted and revoked."""
    service.post("/emit", {"to": {"user": "u1"}, "event": word})
    service.post("/emit", {"to": {"room": word}, "event": "x"})
    service.post("/events", {"type": word, "id": word, "data": {"orderId": word, "userId": word}})
    service.post("/events", {"orderId": fresh("o"), "status": word, "orderNumber": word})
    service.post("/revoke", {"user": word})


def test_a_user_of_a_thousand_shops_fills_no_log(texts: Service) -> None:
    before = len(texts.program.output)
    user, shops = fresh("u"), [f"{number}" for number in range(900)]
    client = texts.join(user, None, *shops)
    client.succeed("subscribe_order", fresh("o"))
    client.succeed("refresh_token", token(user))
    client.succeed("refresh_token", token(user, None, *shops))
    client.close()
    texts.program.wait_for_output(f"user {user} disconnected")
    lines = [line for line in texts.program.output[before:] if user in line]
    assert len(lines) >= 5
    assert max(map(len, lines)) < 2000


@pytest.mark.parametrize("name", WORDS)
def test_every_line_is_the_server_s_own(texts: Service, name: str) -> None:
    word = WORDS[name]
    before = len(texts.program.output)
    client = texts.join(fresh("u"))
    by_http(texts, word)
    by_packets(texts, word)
    by_requests(client, word)
    by_publishing(texts, word)
    end = fresh("end-of-the-words")
    texts.post("/emit", {"to": {"user": end}, "event": "x"}, WITH_KEY)
    texts.program.wait_for_output(end)
    lines = texts.program.output[before:]
    assert len(lines) > 20
    assert [line for line in lines if not LINE.match(line) or not line.isprintable()] == []
    assert [line for line in lines if "eyJ" in line or line.startswith(FORGED)] == []
