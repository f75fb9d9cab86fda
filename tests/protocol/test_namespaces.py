"""Socket.IO: joining and leaving namespaces."""

from __future__ import annotations

import json
import re
import time

import pytest

from tests.protocol.peers import EngineSocket, Polling, Server, SocketIo, SocketIoPolling
from tests.support.wire import CLOSE, NO_STATUS, TEXT, Frame, frame

CONNECTED = re.compile(r'40\{"sid":"([A-Za-z0-9_-]{20})"\}')


# --- CONNECT


def test_the_main_namespace_is_joined(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("40")
        assert CONNECTED.fullmatch(client.read_text())
        assert client.read_text() == '42["auth",{}]'


def test_the_main_namespace_is_joined_by_polling(sio: Server) -> None:
    with SocketIoPolling(sio) as client:
        client.send("40")
        reply, auth = take(client, 2)
        assert CONNECTED.fullmatch(reply)
        assert auth == '42["auth",{}]'


def take(client: Polling, count: int) -> list[str]:
    """So many packets, from as many polls as it takes."""
    packets: list[str] = []
    while len(packets) < count:
        packets += client.poll()
    assert len(packets) == count, packets
    return packets


@pytest.mark.parametrize(
    "payload", ["{}", '{"token":"123"}', '{"a":{"b":[1,null,"€"]}}', '{"__proto__":{"x":1}}']
)
def test_the_connect_payload_reaches_the_server(sio: Server, payload: str) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("40" + payload)
        assert CONNECTED.fullmatch(client.read_text())
        assert client.event()[0] == "auth"


def test_the_connect_payload_is_handed_on_unchanged(sio: Server) -> None:
    auth = {"token": "123", "deep": [1, 2.5, None, True, {"€": "\U0001f600"}]}
    with SocketIo.connect(sio) as client:
        client.send_text("40" + json.dumps(auth))
        assert CONNECTED.fullmatch(client.read_text())
        assert client.event() == ["auth", auth]


@pytest.mark.parametrize("name", ["/", "/,"], ids=["a slash", "a slash and a comma"])
def test_the_main_namespace_may_be_named(sio: Server, name: str) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("40" + name)
        assert CONNECTED.fullmatch(client.read_text())


@pytest.mark.parametrize(
    ("packet", "auth"),
    [
        ("40/custom,", {}),
        ("40/custom", {}),
        ('40/custom,{"token":"abc"}', {"token": "abc"}),
        ("40/custom,{}", {}),
    ],
)
def test_another_namespace_is_joined(sio: Server, packet: str, auth: dict[str, str]) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text(packet)
        assert re.fullmatch(r'40/custom,\{"sid":"[A-Za-z0-9_-]{20}"\}', client.read_text())
        reply = client.read_text()
        assert reply.startswith("42/custom,")
        assert json.loads(reply[10:]) == ["auth", auth]


def test_the_public_sid_is_not_the_secret_one(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        sids = {client.sid, client.join(auth={"name": "x"})}
        assert client.event()[0] == "auth"
        sids.add(client.join("/custom"))
        assert len(sids) == 3


def test_one_connection_carries_several_namespaces(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.join("/custom")
        assert client.read_text() == '42/custom,["auth",{}]'
        assert client.serves()


@pytest.mark.parametrize(
    "namespace", ["/random", "/Custom", "/custom/", "/__proto__", "/constructor", "/customx"]
)
def test_an_unknown_namespace_is_refused_and_the_connection_stays(sio: Server, namespace: str) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f"40{namespace},")
        assert client.read_text() == f'44{namespace},{{"message":"Invalid namespace"}}'
        assert client.serves()


def test_an_unknown_namespace_may_be_asked_for_again(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        for _ in range(3):
            client.send_text('40/random,{"token":"x"}')
            assert client.read_text() == '44/random,{"message":"Invalid namespace"}'
        client.send_text("40")
        assert CONNECTED.fullmatch(client.read_text())


def test_a_namespace_of_enormous_length_harms_nobody(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("40/" + "n" * 100_000 + ",")
        received = client.read_frame()
        assert received.opcode == CLOSE or received.payload.startswith(b"44/nnn")


def test_middleware_refuses_with_message_and_data(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text("40/members,")
        assert client.read_text() == '44/members,{"message":"Not a member","data":{"code":"not_a_member"}}'
        assert client.serves()


def test_who_was_refused_may_try_again(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("40/members,")
        assert client.read_text().startswith("44/members,")
        client.send_text('40/members,{"token":"good"}')
        assert client.read_text().startswith('40/members,{"sid":"')
        assert client.read_text() == '42/members,["welcome"]'


def test_an_event_to_a_namespace_that_refused_closes_the_connection(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("40/members,")
        assert client.read_text().startswith("44/members,")
        client.send_text('42/members,["message"]')
        assert client.close_code() == NO_STATUS


def test_nothing_is_delivered_before_the_connection_is_accepted(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("40/slow,")
        assert client.read_text().startswith('40/slow,{"sid":"')
        assert client.read_text() == '42/slow,["welcome"]'


def test_nothing_is_delivered_to_who_is_refused(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text('40/slow,{"refuse":true}')
        assert client.read_text() == '44/slow,{"message":"Too late"}'
        assert client.is_silent(0.1)


def test_an_event_before_the_connection_is_accepted_closes_it(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send(frame(TEXT, b"40/slow,") + frame(TEXT, b'42/slow,["message"]'))
        assert client.close_code() == NO_STATUS


# --- no CONNECT in time; interval 0.3 s, connect timeout 1 s


def test_who_joins_no_namespace_in_time_is_closed(quick_sio: Server) -> None:
    with EngineSocket.connect(quick_sio) as client:
        started = time.monotonic()
        frames, code = answering_pings(client)
        assert code == NO_STATUS
        assert set(frames) <= {"2"}
        assert 0.9 < time.monotonic() - started < 2


def answering_pings(client: EngineSocket) -> tuple[list[str], int]:
    """What came until the server closed, to a client that keeps its heartbeat."""
    texts = []
    while (received := client.read_frame()).opcode != CLOSE:
        texts.append(received.payload.decode())
        if texts[-1] == "2":
            client.send_text("3")
    return texts, received.close_code


def test_who_joins_no_namespace_in_time_is_closed_by_polling(quick_sio: Server) -> None:
    with Polling(quick_sio) as client:
        packets: list[str] = []
        while "1" not in packets:
            packets += client.poll()
            if packets[-1] == "2":
                client.send("3")
        assert set(packets) <= {"1", "2", "6"}
        assert client.is_gone()


def test_a_refused_namespace_is_none_joined(quick_sio: Server) -> None:
    with EngineSocket.connect(quick_sio) as client:
        client.send_text("40/random,")
        texts, code = answering_pings(client)
        assert code == NO_STATUS
        assert '44/random,{"message":"Invalid namespace"}' in texts


def test_asking_for_unknown_namespaces_buys_no_time(quick_sio: Server) -> None:
    with EngineSocket.connect(quick_sio) as client:
        started = time.monotonic()
        received = client.read_frame()
        while received.opcode != CLOSE:
            client.send(frame(TEXT, b"3") + frame(TEXT, b"40/random,"))
            assert time.monotonic() - started < 2, "the connection is kept open"
            received = client.read_frame() if client.is_silent(0.05) else drained(client)
        assert received.close_code == NO_STATUS


def drained(client: EngineSocket) -> Frame:
    """The last of the frames that have arrived, or the first close frame."""
    received = client.read_frame()
    while received.opcode != CLOSE and not client.is_silent(0.01):
        received = client.read_frame()
    return received


def test_who_joined_in_time_stays(quick_sio: Server) -> None:
    with SocketIo.connect(quick_sio) as client:
        client.join()
        started = time.monotonic()
        while time.monotonic() - started < 1.3:
            if client.read_text() == "2":
                client.send_text("3")
        client.emit("message", "still here")
        assert "message-back" in client.read_text()


# --- DISCONNECT and reasons


def test_who_leaves_a_namespace_is_told_nothing_and_stays_connected(sio: Server) -> None:
    with SocketIo.joined(sio, "leaver") as client:
        client.send_text("41")
        assert sio.leaving_reason("leaver") == "client namespace disconnect"
        assert client.is_silent(0.05)
        client.send_text("40/custom,")
        assert client.read_text().startswith('40/custom,{"sid"')


def test_who_left_may_come_back_under_a_new_id(sio: Server) -> None:
    with SocketIo.joined(sio, "returning") as client:
        client.send_text("41")
        assert sio.leaving_reason("returning") == "client namespace disconnect"
        again = client.join(auth={"name": "returned"})
        assert again != client.public_sid
        assert client.event() == ["auth", {"name": "returned"}]
        assert client.serves()


def test_leaving_one_namespace_keeps_the_other(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.join("/custom")
        assert client.read_text() == '42/custom,["auth",{}]'
        client.send_text("41/custom,")
        assert client.serves()


def test_an_event_after_leaving_closes_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio, "gone") as client:
        client.send_text("41")
        assert sio.leaving_reason("gone") == "client namespace disconnect"
        client.emit("message", "too late")
        assert client.close_code() == NO_STATUS


def test_the_server_may_disconnect_a_socket_and_keep_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio, "dismissed") as client:
        client.emit("leave")
        assert client.read_text() == "41"
        assert sio.leaving_reason("dismissed") == "server namespace disconnect"
        client.join(auth={})
        assert client.event() == ["auth", {}]


def test_the_server_may_disconnect_a_socket_and_close_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio, "thrown-out") as client:
        client.emit("close")
        assert client.read_text() == "41"
        assert client.close_code() == NO_STATUS
        assert sio.leaving_reason("thrown-out") == "server namespace disconnect"


def test_rooms_are_still_known_while_disconnecting(sio: Server) -> None:
    with SocketIo.joined(sio, "roomy") as client:
        client.send_text("41")
        assert sio.program.wait_for_output("leaving roomy", 5).split()[-1].lower() == "true"


@pytest.mark.departure("Node's middleware can only refuse, which stops clients from trying again")
def test_a_passing_trouble_closes_the_connection_instead_of_refusing(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("40/later,")
        assert client.close_code() == NO_STATUS


def test_a_server_that_closes_tells_websocket_clients_by_closing(own_sio: Server) -> None:
    with SocketIo.joined(own_sio, "asks") as client, SocketIo.joined(own_sio, "hears") as other:
        client.emit("shut-down")
        assert client.close_code() == other.close_code() == NO_STATUS
    assert own_sio.leaving_reason("asks") == own_sio.leaving_reason("hears") == "server shutting down"


def test_a_server_that_closes_tells_polling_clients_by_closing(own_sio: Server) -> None:
    with SocketIo.joined(own_sio, "asks") as client, SocketIoPolling(own_sio) as polling:
        polling.join("polls")
        polling.park()
        client.emit("shut-down")
        assert polling.parked() == ["1"]
    assert own_sio.leaving_reason("polls") == "server shutting down"


@pytest.mark.parametrize(
    ("name", "last_words", "reason"),
    [
        ("closes", frame(CLOSE), "transport close"),
        ("pings", frame(TEXT, b"2"), "transport error"),
        ("bad-frame", frame(TEXT, b"4", rsv=4), "transport error"),
        ("bad-engine-packet", frame(TEXT, b"x"), "parse error"),
        ("bad-packet", frame(TEXT, b"49"), "forced close"),
        ("second-connect", frame(TEXT, b"40"), "forced close"),
    ],
    ids=["close frame", "ping", "bad frame", "bad engine packet", "bad packet", "second connect"],
)
def test_the_server_learns_why_a_socket_left(sio: Server, name: str, last_words: bytes, reason: str) -> None:
    with SocketIo.joined(sio, name) as client:
        client.send(last_words)
        client.read_to_close()
    assert sio.leaving_reason(name) == reason


def test_a_broken_connection_is_a_reason_too(sio: Server) -> None:
    with SocketIo.joined(sio, "broken-off"):
        pass
    assert sio.leaving_reason("broken-off") == "transport close"


def test_a_missing_heartbeat_is_a_reason_too(quick_sio: Server) -> None:
    with SocketIo.joined(quick_sio, "heartless") as client:
        client.read_to_close()
        assert quick_sio.leaving_reason("heartless") == "ping timeout"


def test_a_polling_client_that_says_goodbye_leaves_its_namespaces(sio: Server) -> None:
    with SocketIoPolling(sio) as client:
        client.join("polite")
        client.send("41")
        assert sio.leaving_reason("polite") == "client namespace disconnect"
        client.send("1")
        assert client.is_gone()


def test_a_goodbye_of_the_transport_is_a_transport_close(sio: Server) -> None:
    with SocketIoPolling(sio) as client:
        client.join("short")
        client.send("1")
        assert sio.leaving_reason("short") == "transport close"


def test_several_namespaces_may_be_joined_in_one_post(sio: Server) -> None:
    with SocketIoPolling(sio) as client:
        client.send("40/custom,", "40", "40/random,")
        packets = sorted(packet[:9] for packet in take(client, 5))
    assert packets == ["40/custom", '40{"sid":', "42/custom", '42["auth"', "44/random"]
