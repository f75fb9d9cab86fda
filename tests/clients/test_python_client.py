"""The client of python-socketio, an implementation of its own, against the echo example."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import socketio

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "upgrade": ["polling", "websocket"]}
MESSAGES: dict[str, list[Any]] = {
    "text": ["hello", "world"],
    "nothing": [],
    "empty strings": ["", ["", ""], {"": ""}],
    "unicode": ["é ß Ω 漢字 العربية", "\u2028\u00a0\ufeff", "😀👩‍👩‍👧‍👦", {"🔑": "🚀" * 1000}],
    "separators": ["\n", "\r\n", "\x1e", "a\x1eb\x1e", "\x00\x7f", '"\\', {"k\x1e\n": "\x1e"}],
    "like packets": ["2probe", "40", '42["x"]', "bAAAA", "/custom,", "-", "1"],
    "json": [None, True, False, [], {}, [None, [[]]], {"a": {"b": [{"c": None}, {"d": [1, {"e": "f"}]}]}}],
    "numbers": [0, -1, 1.5, -0.1, 1e21, 5e-324, 2**53, -(2**53), 0.1 + 0.2, 4294967296],
    "binary": [bytes([0, 1, 2, 0x1E, 0x0A, 0xFF])],
    "empty binary": [b""],
    "every byte": [bytes(range(256))],
    "several binaries": [b"one", "two", b"three", b"", 4],
    "nested binaries": [{"a": b"a", "list": [b"b", {"deep": [[b"c"]]}], "text": "d"}, [b"e"]],
    "100 KB of text": ["abcdé😀\n" * 9000],
    "100 KB of binary": [bytes(n * 7919 % 256 for n in range(100_000))],
}


def arguments(values: list[Any]) -> Any:
    """What python-socketio takes for several arguments, or none."""
    return tuple(values) if values else None


@pytest.fixture(params=TRANSPORTS)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def join(url: str, mode: str, namespace: str = "/", auth: dict[str, Any] | None = None) -> socketio.SimpleClient:
    client = socketio.SimpleClient(reconnection_delay=0.05, reconnection_delay_max=0.1, randomization_factor=0)
    client.connect(url, transports=TRANSPORTS[mode], namespace=namespace, auth=auth, wait_timeout=10)
    return client


@pytest.fixture
def client(echo_url: str, mode: str) -> Iterator[socketio.SimpleClient]:
    client = join(echo_url, mode)
    try:
        assert client.receive(10) == ["auth", {}]
        assert client.transport == ("polling" if mode == "polling" else "websocket")
        yield client
    finally:
        client.disconnect()


@pytest.mark.parametrize("values", MESSAGES.values(), ids=MESSAGES)
def test_echo(client: socketio.SimpleClient, values: list[Any]) -> None:
    client.emit("message", arguments(values))
    assert client.receive(10) == ["message-back", *values]


@pytest.mark.parametrize("values", MESSAGES.values(), ids=MESSAGES)
def test_acknowledgement(client: socketio.SimpleClient, values: list[Any]) -> None:
    answer = client.call("message-with-ack", arguments(values), timeout=10)
    # One argument is returned as it is, several as a tuple or a list, none as None.
    got = [answer] if len(values) == 1 else list(answer or ())
    assert got == values


@pytest.mark.parametrize("namespace", ["/", "/custom"])
def test_auth_payload(echo_url: str, mode: str, namespace: str) -> None:
    client = join(echo_url, mode, namespace, {"token": "abc", "list": [1, None, "é"]})
    try:
        assert client.receive(10) == ["auth", {"token": "abc", "list": [1, None, "é"]}]
    finally:
        client.disconnect()


def test_unknown_namespace(echo_url: str, mode: str) -> None:
    errors = []
    client = socketio.Client(reconnection=False)
    client.on("connect_error", errors.append, namespace="/unknown")
    with pytest.raises(socketio.exceptions.ConnectionError):
        client.connect(echo_url, transports=TRANSPORTS[mode], namespaces=["/unknown"], wait_timeout=10)
    assert [error["message"] for error in errors] == ["Invalid namespace"]
    assert not client.connected


def test_several_namespaces(echo_url: str, mode: str) -> None:
    payloads: dict[str, Any] = {}
    client = socketio.Client(reconnection=False)
    for namespace in ("/", "/custom"):
        client.on(
            "auth", lambda data, namespace=namespace: payloads.update({namespace: data}), namespace=namespace
        )
    client.connect(
        echo_url, transports=TRANSPORTS[mode], namespaces=["/", "/custom"], auth={"who": "both"}, wait_timeout=10
    )
    try:
        assert client.get_sid("/") != client.get_sid("/custom")
        assert client.call("message-with-ack", b"one", timeout=10) == b"one"
    finally:
        client.disconnect()
    assert payloads == {"/": {"who": "both"}, "/custom": {"who": "both"}}


def test_disconnect_and_connect_again(echo_url: str, mode: str) -> None:
    ids = []
    for number in range(2):
        client = join(echo_url, mode, auth={"round": number})
        assert client.receive(10) == ["auth", {"round": number}]
        ids.append(client.sid)
        client.disconnect()
    assert ids[0] != ids[1]


def test_order(client: socketio.SimpleClient) -> None:
    def content(number: int) -> str | bytes:
        return f"text {number}" if number % 10 else b"%d" % number

    # This client gives up on a poll that holds more than 16 packets: few are under way at a time.
    count, window = 300, 6
    got = []
    for number in range(count + window):
        if number < count:
            client.emit("message", (number, content(number)))
        if number >= window:
            got.append(client.receive(10))
    assert got == [["message-back", number, content(number)] for number in range(count)]


def test_heartbeats_keep_an_idle_connection(client: socketio.SimpleClient) -> None:
    # More than a heartbeat in which nothing else happens: waiting for an event that never comes is the idleness.
    with pytest.raises(socketio.exceptions.TimeoutError):
        client.receive(2.5)
    assert client.connected
    assert client.call("message-with-ack", "alive", timeout=10) == "alive"
