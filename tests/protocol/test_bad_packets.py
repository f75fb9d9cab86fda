"""Socket.IO packets nobody should send: the connection of the sender is closed, and nothing else happens."""

from __future__ import annotations

import pytest

from tests.protocol.peers import Server, SocketIo, SocketIoPolling
from tests.support.wire import CLOSE, NO_STATUS, TEXT, Frame, WebSocketClient

departure = pytest.mark.departure


def placeholder(num: str) -> str:
    return f'{{"_placeholder":true,"num":{num}}}'


def is_closed(client: WebSocketClient) -> bool:
    frames, code = client.read_to_close()
    # Whoever passes a limit hears so first; Node says nothing.
    told = b'42["error",{"event":null,"code":"too_many","message":'
    return code == NO_STATUS and all(one.payload.startswith(told) for one in frames)


STRICT_NUMBERS = departure("Node takes what JavaScript takes for a number")
DEPTH = departure("Node has no limit of depth")
EMPTY = departure("Node calls an event without data an event")

# After the CONNECT of the main namespace; "4" goes before each.
BAD_PACKETS = [
    pytest.param("", id="nothing"),
    pytest.param("7", id="type 7"),
    pytest.param("9", id="type 9"),
    pytest.param("abc", id="type a"),
    pytest.param("-1", id="type minus"),
    pytest.param("²", id="type superscript two"),
    pytest.param("٢[1]", id="type arabic two"),
    pytest.param('{"type":2}', id="an object"),
    pytest.param("\x00", id="type NUL"),
    pytest.param('99["x"]', id="type 9 with data"),
    # CONNECT
    pytest.param("0", id="second connect"),
    pytest.param('0{"a":1}', id="second connect with data"),
    pytest.param("0/custom,[]", id="connect with a list"),
    pytest.param('0/custom,"x"', id="connect with a string"),
    pytest.param("0/custom,1.5", id="connect with a number"),
    pytest.param("0/custom,true", id="connect with true"),
    pytest.param("0/custom,null", id="connect with null"),
    pytest.param("0/custom,{", id="connect with bad JSON"),
    # DISCONNECT, CONNECT_ERROR
    pytest.param("1{}", id="disconnect with an object"),
    pytest.param('1"x"', id="disconnect with a string"),
    pytest.param("1[]", id="disconnect with a list"),
    pytest.param("1/nope,", id="disconnect from a namespace not joined"),
    pytest.param("4", id="connect error"),
    pytest.param('4{"message":"x"}', id="connect error with an object"),
    pytest.param('4"x"', id="connect error with a string"),
    pytest.param("4[]", id="connect error with a list"),
    # EVENT
    pytest.param("2", marks=EMPTY, id="event without data"),
    pytest.param("2/,", marks=EMPTY, id="event without data on the main namespace"),
    pytest.param("25", marks=EMPTY, id="event of an id alone"),
    pytest.param("2[]", id="event without name"),
    pytest.param("2{}", id="event of an object"),
    pytest.param('2"message"', id="event of a string"),
    pytest.param("2null", id="event of null"),
    pytest.param("2true", id="event of true"),
    pytest.param("2[null]", id="event named null"),
    pytest.param("2[true]", id="event named true"),
    pytest.param("2[false]", id="event named false"),
    pytest.param('2[["message"]]', id="event named by a list"),
    pytest.param('2[{"toString":"foo"}]', id="event named by an object"),
    pytest.param('2["connect"]', id="event connect"),
    pytest.param('2["connect_error"]', id="event connect_error"),
    pytest.param('2["disconnect"]', id="event disconnect"),
    pytest.param('2["disconnecting"]', id="event disconnecting"),
    pytest.param('2["newListener"]', id="event newListener"),
    pytest.param('2["removeListener"]', id="event removeListener"),
    pytest.param('2/nope,["message"]', id="event to a namespace not joined"),
    pytest.param('2/custom,["message"]', id="event to a namespace that exists but was not joined"),
    # ACK
    pytest.param("3{}", id="ack of an object"),
    pytest.param("31{}", id="ack of an object with an id"),
    pytest.param('31"x"', id="ack of a string"),
    pytest.param("31null", id="ack of null"),
    pytest.param("3/nope,1[]", id="ack to a namespace not joined"),
    # JSON
    pytest.param('2["message"', id="JSON cut off"),
    pytest.param('2["message",]', id="JSON with a trailing comma"),
    pytest.param("2['message']", id="JSON with single quotes"),
    pytest.param('2["message"]]', id="JSON with a bracket too many"),
    pytest.param('2["message"] x', id="JSON with more after it"),
    pytest.param('2["message",NaN]', id="NaN"),
    pytest.param('2["message",Infinity]', id="Infinity"),
    pytest.param('2["message",-Infinity]', id="minus Infinity"),
    pytest.param('2["message",01]', id="number with a leading zero"),
    pytest.param('2["message",.5]', id="number without a whole part"),
    pytest.param('2["message",5.]', id="number without a fraction"),
    pytest.param('2["message",+5]', id="number with a plus"),
    pytest.param('2["message",0x10]', id="hexadecimal number"),
    pytest.param('2["message",1_000]', id="number with an underscore"),
    pytest.param('2["message",undefined]', id="undefined"),
    pytest.param('2["message","\n"]', id="a raw line feed in a string"),
    pytest.param('2["message","\x00"]', id="a raw NUL in a string"),
    pytest.param('2["message","\\x41"]', id="a bad escape"),
    pytest.param('2\ufeff["message"]', marks=STRICT_NUMBERS, id="a byte order mark"),
    pytest.param("2[" * 5, id="unfinished nesting"),
    pytest.param('2["message",' + "[" * 70 + "]" * 70 + "]", marks=DEPTH, id="70 deep"),
    pytest.param('2["message",' + '{"a":' * 70 + "1" + "}" * 70 + "]", marks=DEPTH, id="70 objects deep"),
    pytest.param('2["message",' + "[" * 100_000 + "]" * 100_000 + "]", marks=DEPTH, id="100000 deep"),
    pytest.param('2["message",' + "[" * 400_000, id="400000 open brackets"),
    pytest.param('2["message",' + '{"a":' * 100_000, id="100000 open objects"),
    # Ack ids
    pytest.param('2٣["message"]', id="arabic ack id"),
    pytest.param('2²["message"]', id="superscript ack id"),
    pytest.param('2abc["message-with-ack"]', id="ack id abc"),
    pytest.param('2+5["message"]', id="ack id with a plus"),
    pytest.param('2-5["message"]', id="ack id with a minus"),
    pytest.param('21_0["message-with-ack"]', id="ack id with an underscore"),
    pytest.param('21e3["message-with-ack"]', id="ack id with an exponent"),
    pytest.param('21.5["message-with-ack"]', id="ack id with a fraction"),
    pytest.param('2 5["message-with-ack"]', marks=STRICT_NUMBERS, id="ack id after a blank"),
    pytest.param('21234567890123456["message-with-ack"]', marks=STRICT_NUMBERS, id="ack id of 16 digits"),
    pytest.param("2" + "9" * 400 + '["message-with-ack"]', marks=STRICT_NUMBERS, id="ack id of 400 digits"),
    pytest.param("2" + "9" * 5000 + '["message-with-ack"]', marks=STRICT_NUMBERS, id="ack id of 5000 digits"),
    pytest.param("3" + "9" * 400 + "[]", marks=STRICT_NUMBERS, id="answer with 400 digits"),
    # Attachment counts
    pytest.param("5", id="binary event alone"),
    pytest.param("51", id="no dash"),
    pytest.param('51["message"]', id="no dash before the data"),
    pytest.param('5["message"]', id="no count and no dash"),
    pytest.param('5a-["message"]', id="count a"),
    pytest.param('5-1-["message"]', id="count minus one"),
    pytest.param('51.23-["message"]', id="count 1.23"),
    pytest.param('5٣-["message"]', id="arabic count"),
    pytest.param('5²-["message"]', id="superscript count"),
    pytest.param('51_0-["message"]', id="count with an underscore"),
    pytest.param('5Infinity-["message"]', id="count Infinity"),
    pytest.param('511-["message"]', id="eleven attachments"),
    pytest.param('5999999999-["message"]', id="a thousand million attachments"),
    pytest.param("5" + "9" * 5000 + '-["message"]', id="count of 5000 digits"),
    pytest.param('5+1-["message"]', marks=STRICT_NUMBERS, id="count with a plus"),
    pytest.param('5 1-["message"]', marks=STRICT_NUMBERS, id="count after a blank"),
    pytest.param('51 -["message"]', marks=STRICT_NUMBERS, id="count before a blank"),
    pytest.param('51e0-["message"]', marks=STRICT_NUMBERS, id="count with an exponent"),
    pytest.param('50x1-["message"]', marks=STRICT_NUMBERS, id="hexadecimal count"),
    pytest.param("611-1[]", id="eleven attachments of an answer"),
    pytest.param("6a-1[]", id="count a of an answer"),
    pytest.param('51-["disconnect"]', id="binary event disconnect"),
    pytest.param("51-{}", id="binary event of an object"),
    pytest.param("61-1{}", id="binary answer of an object"),
]  # fmt: skip


@pytest.mark.parametrize("packet", BAD_PACKETS)
def test_a_bad_packet_closes_its_connection(sio: Server, packet: str) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text("4" + packet)
        assert is_closed(client)


@pytest.mark.parametrize("packet", ["9", "2[]", '2["connect"]', "5a-[]", "0"])
def test_a_bad_packet_by_polling_ends_its_session(sio: Server, packet: str) -> None:
    with SocketIoPolling(sio) as client:
        client.join()
        client.park()
        client.send("4" + packet)
        assert client.parked() == ["1"]
        assert client.is_gone()


# --- before the CONNECT


@pytest.mark.parametrize(
    "packet",
    [
        "1",
        '2["message","x"]',
        '20["message-with-ack"]',
        '3["x"]',
        "30[]",
        "4",
        '51-["message"]',
        "61-0[]",
        "x",
        "0[]",
        '0"x"',
    ],
)
def test_a_bad_first_packet_closes_its_connection(sio: Server, packet: str) -> None:
    with SocketIo.connect(sio) as client:
        client.send_text("4" + packet)
        if packet.startswith(("5", "6")):
            client.send_binary(b"x")
        assert is_closed(client)


def test_a_binary_frame_as_first_packet_closes_its_connection(sio: Server) -> None:
    with SocketIo.connect(sio) as client:
        client.send_binary(b"40")
        assert is_closed(client)


# --- attachments


@pytest.mark.parametrize(
    "num",
    [
        '"splice"', '"0"', "-1", "-0.5", "1", "10", "1e9", "9007199254740993",
        "null", "true", "false", "[]", "{}",
        pytest.param("1.5", id="1.5"),
        pytest.param("0.5", marks=departure("Node looks for the buffer 0.5 and finds nothing"), id="0.5"),
        pytest.param("0.0", marks=departure("JavaScript knows no difference to 0"), id="0.0"),
        pytest.param("1e400", id="Infinity"),
    ],
)  # fmt: skip
def test_a_placeholder_with_a_bad_number_closes_its_connection(sio: Server, num: str) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'451-["message",{placeholder(num)}]')
        client.send_binary(b"x")
        assert is_closed(client)


def test_a_placeholder_without_a_number_closes_its_connection(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('451-["message",{"_placeholder":true}]')
        client.send_binary(b"x")
        assert is_closed(client)


def test_text_while_attachments_are_due_closes_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'451-["message",{placeholder("0")}]')
        client.send_text('42["message","too early"]')
        assert is_closed(client)


def test_text_between_attachments_closes_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text(f'452-["message",{placeholder("0")}]')
        client.send_binary(b"x")
        client.send_text("41")
        assert is_closed(client)


def test_an_attachment_nobody_announced_closes_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_binary(b"x")
        assert is_closed(client)


def test_an_attachment_too_many_closes_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('451-["unheard"]')
        client.send_binary(b"x")
        client.send_binary(b"y")
        assert is_closed(client)


def test_attachments_for_a_namespace_not_joined_close_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('451-/nope,["x"]')
        client.send_or_be_cut(b"\x82\x81\0\0\0\0x")
        assert is_closed(client)


def test_leaving_while_attachments_are_due_closes_the_connection(sio: Server) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('451-["x"]')
        client.send_text("41")
        assert is_closed(client)


def test_a_connection_may_end_while_attachments_are_due(sio: Server) -> None:
    for _ in range(20):
        with SocketIo.joined(sio, "unfinished") as client:
            client.send_text('4510-["x"]')
            client.send_binary(b"x" * 10_000)
    assert sio.leaving_reason("unfinished") == "transport close"


# --- what is strange but lawful


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ('2["message","\\ud800"]', None),
        ('2["message","\\ud800","\\udc00x"]', None),
        ('2["message",1e400]', None),
        ('2["message",-1e400]', None),
        ('2["message",1' + "0" * 5000 + "]", None),
        ('2["message",{"a":1,"a":2}]', '42["message-back",{"a":2}]'),
        ('2["message","\\u0000\\u001e"]', '42["message-back","\\u0000\\u001e"]'),
        ('2["message",1e2]', None),
        ('2["message",-0.0]', None),
        ('2[" message"]', None),
        ('2["Connect"]', None),
    ],
    ids=[
        "lone surrogate", "surrogates apart", "too large", "too small", "5000 digits", "key twice",
        "controls", "1e2", "minus zero", "blank in a name", "capital connect",
    ],
)  # fmt: skip
def test_strange_values_harm_nobody(sio: Server, text: str, reply: str | None) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text("4" + text)
        if reply is not None:
            assert client.read_text() == reply
        client.send_text('42["message","after"]')
        frames, _ = read_until_after(client)
        assert all(received.opcode == TEXT for received in frames)


def read_until_after(client: SocketIo) -> tuple[list[Frame], int | None]:
    """Frames until the echo of the last message, or until the server closes."""
    frames = []
    while True:
        received = client.read_frame()
        if received.opcode == CLOSE:
            return frames, received.close_code
        frames.append(received)
        if b'"after"' in received.payload:
            return frames, None


@pytest.mark.parametrize("depth", [10, 60])
def test_moderate_nesting_is_lawful(sio: Server, depth: int) -> None:
    with SocketIo.joined(sio) as client:
        client.send_text('42["message",' + "[" * depth + "]" * depth + "]")
        assert client.read_text() == '42["message-back",' + "[" * depth + "]" * depth + "]"
