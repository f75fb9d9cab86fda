"""POSTs that name a session and are not meant for it: no session may stay that nothing can end."""

from __future__ import annotations

import pytest

from tests.protocol.peers import Polling, Server, SocketIoPolling
from tests.support.wire import CHUNKED, Headers, HttpClient, chunked, http_request

pytestmark = pytest.mark.departure("Node leaves such a POST to whoever handles upgrades")

UPGRADE: Headers = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)


def upgrade_by_post(server: Server, client: Polling, transport: str) -> bytes:
    target = server.target(sid=client.sid, transport=transport)
    return http_request("POST", target, [*UPGRADE, ("Content-Length", "3")], b"4ab")


def script_by_post(client: Polling, headers: Headers = (), body: bytes = b"4ab") -> bytes:
    """A POST to the client's script with the query of the session."""
    return http_request("POST", client.target.replace("/?", "/socket.io.js?"), headers, body)


def leaves_with_everything(server: Server, client: SocketIoPolling, name: str) -> bool:
    """Whether the socket still answers, and is told of the end of its session."""
    assert client.serves()
    assert client.serves()
    client.send("1")
    assert server.leaving_reason(name) == "transport close"
    return client.is_gone()


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_post_that_asks_for_a_websocket_leaves_no_ghost(files: Server, transport: str) -> None:
    name = f"upgrade-by-post-{transport}"
    with SocketIoPolling(files) as client, HttpClient(files.port) as other:
        client.join(name)
        other.send(upgrade_by_post(files, client, transport))
        assert other.read_head().status == 400
        assert leaves_with_everything(files, client, name)


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_a_post_that_asks_for_a_websocket_and_breaks_off_leaves_no_ghost(files: Server, transport: str) -> None:
    name = f"half-an-upgrade-by-post-{transport}"
    with SocketIoPolling(files) as client, HttpClient(files.port) as other:
        client.join(name)
        other.send(upgrade_by_post(files, client, transport)[:-2])
        assert other.is_silent(0.05)
        other.reset()
        assert leaves_with_everything(files, client, name)


@pytest.mark.parametrize("way", ["announced", "chunked"])
def test_a_post_to_the_client_s_script_leaves_no_ghost(files: Server, way: str) -> None:
    name = f"script-by-post-{way}"
    with SocketIoPolling(files) as client, HttpClient(files.port) as other:
        client.join(name)
        data = script_by_post(client, CHUNKED, chunked(b"4ab")) if way == "chunked" else script_by_post(client)
        for _ in range(2):
            other.send(data)
            assert other.read_response().status == 200
        assert leaves_with_everything(files, client, name)


def test_a_post_to_the_client_s_script_that_breaks_off_leaves_no_ghost(files: Server) -> None:
    with SocketIoPolling(files) as client, HttpClient(files.port) as other:
        client.join("half-a-script-by-post")
        other.send(script_by_post(client)[:-2])
        assert other.is_silent(0.05)
        other.reset()
        assert files.leaving_reason("half-a-script-by-post") == "transport error"
        assert client.is_gone()
