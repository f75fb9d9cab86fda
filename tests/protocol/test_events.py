"""Socket.IO: events, acknowledgements and attachments in both directions."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from tests.protocol.peers import Server, SocketIo, SocketIoPolling
from tests.support.wire import BINARY, TEXT, frame

ARGUMENTS: list[list[Any]] = [
    [],
    [1, "2", {"3": [True]}],
    [None],
    [0, -1, 1.5, 1e100, 9007199254740991],
    ["", "€", "\U0001f600", '"\\\n\u2028\u0000'],
    [{"_placeholder": False, "num": 0}],
    [{"_placeholder": "true", "num": 0}],
    [{"num": 0}],
    [{"__proto__": None}],
    [[[[[[[[[]]]]]]]]],
    [list(range(1000))],
]
NAMES = [
    "nothing", "mixed", "null", "numbers", "strings", "false placeholder", "text placeholder", "num alone",
    "proto", "nested", "long",
]  # fmt: skip


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=NAMES)
def test_the_arguments_of_an_event_come_back(sio: Server, arguments: list[Any]) -> None:
    with SocketIo.joined(sio) as client:
        client.emit("message", *arguments)
        assert client.event() == ["message-back", *arguments]


def test_events_are_written_as_compact_json(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('42[ "message", 1, "2", {"3": [true, null]} ]')
        assert client.read_text() == '42["message-back",1,"2",{"3":[true,null]}]'


@pytest.mark.parametrize(
    "number",
    [
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "1" + "0" * 20,
        "1" * 30,
        "1e21",
        "-0.0",
    ],
)
def test_a_number_of_any_size_keeps_its_value(sio: Server, number: str) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'42["message",{number},{{"within":[{number}]}}]')
        _, value, nested = client.event()
        assert float(value) == float(nested["within"][0]) == float(number)


@pytest.mark.departure("JavaScript cannot call a function with so many arguments")
def test_an_event_may_have_very_many_arguments(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('42["message"' + ",[]" * 300_000 + "]")
        assert len(client.event()) == 300_001


def test_text_is_not_escaped_needlessly(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.emit("message", "€")
        assert json.loads(client.read_text()[2:]) == ["message-back", "€"]


def test_an_event_nobody_listens_for_is_dropped(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        for name in (
            "unheard",
            "",
            "__proto__",
            "constructor",
            "emit",
            "error",
            "connection",
            "new_namespace",
        ):
            client.emit(name, 1)
        assert client.serves()


def test_an_event_may_be_named_by_a_number(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text("42[1,2]")
        client.send_text("42[0]")
        client.send_text("42[1.5]")
        assert client.serves()


@pytest.mark.parametrize("packet", ['2["message",1]', '2/,["message",1]'])
def test_the_main_namespace_need_not_be_named(sio: Server, packet: str) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text("4" + packet)
        assert client.read_text() == '42["message-back",1]'


def test_events_keep_their_order(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send(b"".join(frame(TEXT, b'42["message",%d]' % n) for n in range(300)))
        assert [client.event()[1] for _ in range(300)] == list(range(300))


def test_events_by_polling_keep_their_order(sio: Server) -> None:
    with SocketIoPolling(sio) as client:
        client.join()
        client.send(*[f'42["message",{n}]' for n in range(100)])
        received: list[str] = []
        while len(received) < 100:
            received += client.poll()
    assert received == [f'42["message-back",{n}]' for n in range(100)]


# --- acknowledgements


@pytest.mark.parametrize("ack", ["0", "1", "456", "123456789012345", "007"])
def test_an_acknowledgement_repeats_the_id_and_the_arguments(sio: Server, ack: str) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'42{ack}["message-with-ack",1,"2",{{"3":[false]}}]')
        assert client.read_text() == f'43{int(ack)}[1,"2",{{"3":[false]}}]'


def test_an_acknowledgement_may_have_no_arguments(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('425["message-with-ack"]')
        assert client.read_text() == "435[]"


def test_an_acknowledgement_by_polling(sio: Server) -> None:
    with SocketIoPolling(sio) as client:
        client.join()
        client.send('42456["message-with-ack",1]')
        assert client.poll() == ["43456[1]"]


def test_an_acknowledgement_is_sent_once(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('427["ack-twice"]')
        assert client.read_text() == '437["first"]'
        assert client.serves()


def test_an_unknown_acknowledgement_is_ignored(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        for packet in ('430["x"]', "43999[]", '43999["x"]', "43[]", '43123456789012345["x"]'):
            client.send_text(packet)
        assert client.serves()


def asked(client: SocketIo, question: str) -> str:
    """Have the server ask for an acknowledgement; the id it waits for."""
    client.emit("ask", question)
    packet = client.read_text()
    ack, _, rest = packet[2:].partition("[")
    assert json.loads("[" + rest) == ["question", question]
    assert ack.isdigit()
    return ack


def test_the_server_can_ask(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        ack = asked(client, "who?")
        client.send_text(f'43{ack}["me",{{"a":1}}]')
        assert client.event() == ["answered", "me", {"a": 1}]


def test_the_server_hears_an_answer_once(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        ack = asked(client, "who?")
        client.send_text(f'43{ack}["me"]')
        client.send_text(f'43{ack}["me again"]')
        assert client.event() == ["answered", "me"]
        assert client.serves()


def test_the_server_asks_with_a_new_id_each_time(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        first, second = int(asked(client, "one")), int(asked(client, "two"))
        assert second == first + 1
        client.send_text(f"43{second}[2]")
        client.send_text(f"43{first}[1]")
        assert [client.event(), client.event()] == [["answered", 2], ["answered", 1]]


def test_nobody_can_answer_for_another(sio: Server) -> None:
    with SocketIo.joined(sio) as one, SocketIo.joined(sio) as two:
        ack = asked(one, "who?")
        two.send_text(f'43{ack}["not me"]')
        assert two.serves()
        assert one.is_silent(0.05)
        one.send_text(f'43{ack}["me"]')
        assert one.event() == ["answered", "me"]


# --- attachments


def attached(*numbers: int) -> str:
    return ",".join(f'{{"_placeholder":true,"num":{number}}}' for number in numbers)


def test_binary_arguments_come_back(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'452-["message",{attached(0, 1)}]')
        client.send_binary(b"\x01\x02\x03")
        client.send_binary(b"")
        assert client.read_text() == f'452-["message-back",{attached(0, 1)}]'
        assert [client.read_binary(), client.read_binary()] == [b"\x01\x02\x03", b""]


def test_binary_arguments_by_polling_come_back(sio: Server) -> None:
    packets = [f'452-["message",{attached(0, 1)}]', "bAQID", "bBAUG"]
    with SocketIoPolling(sio) as client:
        client.join()
        client.send(*packets)
        received: list[str] = []
        while len(received) < 3:
            received += client.poll()
    assert received == [packets[0].replace("message", "message-back"), *packets[1:]]


def test_binary_arguments_may_be_nested_and_out_of_order(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'453-["message",{{"a":[{attached(2)}],"b":{attached(0)}}},{attached(1)}]')
        for data in (b"zero", b"one", b"two"):
            client.send_binary(data)
        assert client.read_text() == (
            f'453-["message-back",{{"a":[{attached(0)}],"b":{attached(1)}}},{attached(2)}]'
        )
        assert [client.read_binary() for _ in range(3)] == [b"two", b"zero", b"one"]


def test_an_attachment_may_be_named_nowhere(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'452-["message",{attached(0)}]')
        client.send_binary(b"used")
        client.send_binary(b"unused")
        assert client.read_text().startswith('451-["message-back"')
        assert client.read_binary() == b"used"


def test_an_attachment_named_twice_ends_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'452-["message",{attached(0, 0)}]')
        client.send_binary(b"one")
        client.send_binary(b"other")
        assert client.close_code() == 1005


def test_ten_attachments_are_allowed(sio: Server) -> None:
    blobs = [os.urandom(50) for _ in range(10)]
    with SocketIo.joined(sio) as client:
        client.send_text(f'4510-["message",{attached(*range(10))}]')
        client.send(b"".join(frame(BINARY, blob) for blob in blobs))
        assert client.read_text().startswith('4510-["message-back"')
        assert [client.read_binary() for _ in range(10)] == blobs


def test_an_acknowledgement_may_carry_attachments(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'451-789["message-with-ack",{attached(0)}]')
        client.send_binary(b"\x07")
        assert client.read_text() == f"461-789[{attached(0)}]"
        assert client.read_binary() == b"\x07"


def test_an_answer_may_carry_attachments(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        ack = asked(client, "data?")
        client.send_text(f"461-{ack}[{attached(0)}]")
        client.send_binary(b"\x08")
        assert client.read_text() == f'451-["answered",{attached(0)}]'
        assert client.read_binary() == b"\x08"


def test_binary_arguments_before_and_after_an_upgrade_are_one_message(sio: Server) -> None:
    with SocketIoPolling(sio) as polling:
        polling.join()
        polling.send(f'452-["message",{attached(0, 1)}]', "b" + base64.b64encode(b"first").decode())
        with SocketIo.upgrade(polling) as client:
            client.send_binary(b"second")
            assert client.read_text() == f'452-["message-back",{attached(0, 1)}]'
            assert [client.read_binary(), client.read_binary()] == [b"first", b"second"]


@pytest.mark.departure("Node refuses a count of zero")
def test_a_binary_event_without_attachments_is_complete(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('450-["message",1]')
        assert client.event() == ["message-back", 1]
        assert client.serves()


def test_large_binary_arguments_come_back(sio: Server) -> None:
    data = os.urandom(900_000)
    with SocketIo.joined(sio) as client:
        client.send_text(f'451-["message",{attached(0)}]')
        client.send_binary(data)
        assert client.read_text().startswith("451-")
        assert client.read_binary() == data
