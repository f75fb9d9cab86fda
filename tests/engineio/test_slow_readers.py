"""Clients that read slowly or not at all, over Twisted's own buffer: what lies where, and when it ends."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator

import pytest
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from rtwist.engineio.opening import handshake_bytes
from rtwist.engineio.packet import PIECE, Packet, encode_payload, message
from rtwist.engineio.session import Session
from rtwist.engineio.websocket import WebSocketTransport
from tests.engineio.conftest import Fronts
from tests.engineio.descriptors import Descriptor
from tests.engineio.fakes import handshake
from tests.engineio.http_fakes import ADDRESS, Front
from tests.engineio.test_websocket import KEY, frame
from tests.support.wire import http_request

LARGE = 1_000_000
Fills = Callable[[], None]


class Reader:
    """A WebSocket client that reads when a test says so."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.connection = Descriptor(front.clock)
        self.transport: WebSocketTransport = front.server.websocket_factory.buildProtocol(ADDRESS)
        self.connection.protocol = self.transport
        self.transport.makeConnection(self.connection)
        self.transport.dataReceived(handshake_bytes(KEY))
        self.connection.registerProducer(self.transport, True)
        front.server.open_websocket(handshake(address="192.0.2.7"), self.transport)
        self.session: Session = self.transport.session
        self.connection.read_all()
        self.connection.take()

    @property
    def ends(self) -> list[str]:
        return next(ears.ends for ears in self.front.ears if ears.session is self.session)

    def send(self, *packets: Packet) -> None:
        for packet in packets:
            self.session.send([packet])

    def receive(self, data: bytes) -> None:
        self.transport.dataReceived(data)


class Poller:
    """A polling client that reads when a test says so, on a new connection whenever it likes."""

    def __init__(self, front: Front) -> None:
        self.front = front
        self.client = front.open()
        self.session = self.client.ears.session
        self.connections: list[Descriptor] = []

    @property
    def ends(self) -> list[str]:
        return self.client.ears.ends

    def poll(self, *headers: tuple[str, str]) -> Descriptor:
        connection = Descriptor(self.front.clock)
        connection.protocol = self.front.site.buildProtocol(ADDRESS)
        connection.protocol.makeConnection(connection)
        connection.protocol.dataReceived(http_request("GET", self.client.target, headers))
        self.connections.append(connection)
        return connection


@pytest.fixture
def readers(fronts: Fronts) -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def make(front: Front | None = None, **options: object) -> Reader:
        made.append(Reader(front or fronts(**options)))
        return made[-1]

    yield make
    for reader in made:
        reader.connection.leave()


Readers = Callable[..., Reader]


@pytest.fixture
def pollers(fronts: Fronts) -> Iterator[Callable[..., Poller]]:
    made: list[Poller] = []

    def make(front: Front | None = None, **options: object) -> Poller:
        made.append(Poller(front or fronts(**options)))
        return made[-1]

    yield make
    for poller in made:
        for connection in poller.connections:
            connection.leave()


Pollers = Callable[..., Poller]


def body_of(data: bytes) -> bytes:
    return data.partition(b"\r\n\r\n")[2]


# One large packet for many


def test_a_large_packet_for_many_sockets_is_in_memory_once(readers: Readers) -> None:
    first = readers()
    crowd = [first, *(readers(first.front) for _ in range(50))]
    before, large = message("small"), message("x" * LARGE)
    for reader in crowd:
        reader.send(before, large)
    for progress in range(0, 15 * PIECE, 100_000):
        own = 0
        for reader in crowd:
            shared = {id(piece) for piece in large.pieces("frame", lambda packet: packet.frame)}
            own += sum(len(piece) for piece in reader.connection.pieces if id(piece) not in shared)
            assert reader.connection.pending <= 2 * PIECE
            reader.connection.read(100_000)
        assert own <= len(crowd) * 2 * PIECE, progress
    for reader in crowd:
        reader.connection.read_all()
        assert reader.connection.take() == before.frame + large.frame
    assert first.front.server.backlog.size == 0


def test_a_backlog_of_large_packets_is_not_copied_when_a_socket_drains(readers: Readers) -> None:
    reader = readers()
    packets = [message("x" * LARGE) for _ in range(10)]
    reader.send(*packets)
    received = bytearray()
    while reader.connection.pending:
        assert reader.connection.pending <= 2 * PIECE
        reader.connection.read(200_000)
        received += reader.connection.take()
    assert bytes(received) == b"".join(packet.frame for packet in packets)


def test_an_attachment_travels_behind_its_packet(readers: Readers) -> None:
    reader = readers()
    packets = [message('51-["photo",{"_placeholder":true,"num":0}]'), message(b"x" * LARGE), message("after")]
    reader.session.send(packets[:2])
    reader.send(packets[2])
    reader.connection.read_all()
    assert reader.connection.take() == b"".join(packet.frame for packet in packets)


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_a_large_packet_for_many_polls_is_encoded_compressed_and_in_memory_once(
    pollers: Pollers, encoding: str | None
) -> None:
    first = pollers(compression_threshold=None if encoding is None else 1024)
    crowd = [first, *(pollers(first.front) for _ in range(20))]
    headers = [] if encoding is None else [("Accept-Encoding", encoding)]
    connections = [poller.poll(*headers) for poller in crowd]
    # Hardly compressible, so that it is still large.
    large = message("".join(f"{number * number:x}" for number in range(200_000)))
    for poller in crowd:
        poller.session.send([large])
    form = "segment" if encoding is None else encoding
    shared = large.pieces(form, lambda _: b"not made again")
    assert len(shared) > 5
    for connection in connections:
        assert connection.pending <= 3 * PIECE
        connection.read(3 * PIECE)
        own = [piece for piece in connection.pieces if not any(piece is one for one in shared)]
        assert sum(map(len, own)) <= PIECE
    for connection in connections:
        connection.read_all()
        body = body_of(connection.take())
        assert (gzip.decompress(body) if encoding else body) == large.segment
    assert first.front.server.backlog.size == 0


@pytest.mark.parametrize("sizes", [[1000] * 1000, [LARGE] * 10, [100, LARGE, 5, 5, 70_000, 65_000, 600, 65_537]])
def test_a_long_backlog_leaves_in_one_answer_and_is_not_copied(pollers: Pollers, sizes: list[int]) -> None:
    poller = pollers()
    packets = [message("x" * size) for size in sizes]
    for packet in packets:
        poller.session.send([packet])
    connection = poller.poll(("Accept-Encoding", "identity"))
    received = bytearray()
    while connection.pending:
        assert connection.pending <= 3 * PIECE
        connection.read(200_000)
        received += connection.take()
    assert body_of(bytes(received)) == encode_payload(packets)
    assert poller.front.server.backlog.size == 0


def test_a_long_backlog_is_not_compressed_while_others_wait(pollers: Pollers) -> None:
    poller = pollers()
    for _ in range(2):
        poller.session.send([message("x" * LARGE)])
    connection = poller.poll(("Accept-Encoding", "gzip"))
    connection.read_all()
    answer = connection.take()
    assert b"content-encoding" not in answer.lower()
    assert len(body_of(answer)) == 2 * LARGE + 3


def test_a_poll_that_is_read_slowly_but_steadily_comes_to_its_end(pollers: Pollers) -> None:
    poller = pollers(max_buffered_age=5, ping_interval=100)
    connection = poller.poll()
    large = message("x" * LARGE)
    poller.session.send([large])
    while connection.pending:
        poller.front.clock.pump([0.5] * 8)
        connection.read(200_000)
    assert body_of(connection.take()) == large.segment
    assert poller.ends == []


# Frames stay whole


def test_a_close_waits_for_the_frame_that_is_being_written(readers: Readers) -> None:
    reader = readers()
    large = message("x" * 200_000)
    reader.send(large)
    reader.connection.read(10)
    reader.session.close()
    assert reader.ends == []
    reader.connection.read_all()
    assert reader.connection.take() == large.frame + b"\x88\x00"
    assert reader.ends == ["forced close"]


def test_a_ping_in_the_middle_of_a_frame_gets_no_pong_there(readers: Readers) -> None:
    reader = readers()
    large = message("x" * 200_000)
    reader.send(large)
    reader.connection.read(10)
    reader.receive(frame(9, b"hello"))
    reader.connection.read_all()
    assert reader.connection.take() == large.frame


@pytest.mark.parametrize("said", [frame(8, b"\x03\xe8"), frame(1, b"4\xff"), b"\xff\xff"])
def test_what_is_said_at_an_end_does_not_come_into_the_middle_of_a_frame(readers: Readers, said: bytes) -> None:
    reader = readers()
    large = message("x" * 200_000)
    reader.send(large)
    reader.connection.read(10)
    reader.receive(said)
    assert len(reader.ends) == 1
    reader.connection.read_all()
    taken = reader.connection.take()
    assert large.frame.startswith(taken[: len(large.frame)])
    assert taken[len(large.frame) :][:1] in (b"", b"\x88")


# Who does not read is gone in seconds


@pytest.mark.parametrize("how", ["a close frame", "a server that closes", "a server that aborts"])
@pytest.mark.parametrize("size", [100, 70_000, LARGE])
def test_a_websocket_that_is_not_read_is_gone_within_the_close_timeout(
    readers: Readers, how: str, size: int
) -> None:
    reader = readers(close_timeout=5)
    reader.send(message("x" * size))
    if how == "a close frame":
        reader.receive(frame(8, b"\x03\xe8"))
    elif how == "a server that closes":
        reader.session.close()
    else:
        reader.session.abort("transport error")
    reader.front.clock.pump([1] * 4)
    assert not reader.connection.lost
    reader.front.clock.pump([1, 0])
    assert reader.connection.lost
    assert len(reader.ends) == 1
    assert reader.front.server.backlog.size == 0


def test_a_websocket_that_is_not_read_is_cut_at_once_at_the_greatest_age(readers: Readers) -> None:
    reader = readers(max_buffered_age=5, ping_interval=100)
    reader.send(message("x" * LARGE))
    reader.front.clock.pump([0.5] * 9)
    assert not reader.connection.lost
    reader.front.clock.pump([0.5] * 2 + [0])
    assert reader.connection.lost
    assert reader.ends == ["transport error"]


@pytest.mark.parametrize("waiting", [True, False])
def test_a_polling_answer_that_is_not_read_ends_the_session_at_the_greatest_age(
    pollers: Pollers, waiting: bool
) -> None:
    poller = pollers(max_buffered_age=5, ping_interval=100)
    connection = poller.poll()
    poller.session.send([message("x" * LARGE)])
    if waiting:
        poller.session.send([message("more")])
    poller.front.clock.pump([0.5] * 9)
    assert not connection.lost
    poller.front.clock.pump([0.5] * 2 + [0])
    assert connection.lost
    assert poller.ends == ["transport error"]
    assert poller.front.server.backlog.size == 0


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_polling_answer_that_is_not_read_is_gone_within_the_close_timeout(pollers: Pollers, how: str) -> None:
    poller = pollers(close_timeout=5, poll_close_timeout=60)
    connection = poller.poll()
    poller.session.send([message("x" * LARGE)])
    if how == "close":
        poller.session.close()
    else:
        poller.session.abort("transport error")
    poller.front.clock.pump([1] * 4)
    assert not connection.lost
    poller.front.clock.pump([1, 0])
    assert connection.lost
    assert len(poller.ends) == 1


def test_an_answer_that_is_read_after_the_end_keeps_its_connection(pollers: Pollers) -> None:
    poller = pollers(close_timeout=5)
    connection = poller.poll()
    large = message("x" * LARGE)
    poller.session.send([large])
    poller.session.abort("transport error")
    connection.read_all()
    assert body_of(connection.take()) == large.segment
    poller.front.clock.pump([1] * 6)
    assert not connection.lost


def test_a_connection_that_breaks_in_the_middle_of_an_answer_ends_the_session(pollers: Pollers) -> None:
    poller = pollers()
    connection = poller.poll()
    poller.session.send([message("x" * LARGE)])
    connection.read(100_000)
    connection.leave()
    assert poller.ends == ["transport error"]
    assert poller.front.server.backlog.size == 0


def test_who_upgrades_before_the_last_answer_was_read_loses_that_connection(pollers: Pollers) -> None:
    poller = pollers()
    connection = poller.poll()
    poller.session.send([message("x" * LARGE)])
    socket = poller.front.server.websocket_factory.buildProtocol(ADDRESS)
    wire = Descriptor(poller.front.clock)
    wire.protocol = socket
    socket.makeConnection(wire)
    socket.dataReceived(handshake_bytes(KEY))
    wire.registerProducer(socket, True)
    poller.session.probe(socket)
    socket.dataReceived(frame(1, b"2probe"))
    socket.dataReceived(frame(1, b"5"))
    poller.front.settle()
    assert connection.lost
    assert poller.session.transport_name == "websocket"
    assert poller.front.server.backlog.size == 0
    wire.leave()


def test_a_probe_that_is_not_read_gets_no_more_pongs(pollers: Pollers) -> None:
    poller = pollers()
    socket = poller.front.server.websocket_factory.buildProtocol(ADDRESS)
    wire = Descriptor(poller.front.clock)
    wire.protocol = socket
    socket.makeConnection(wire)
    socket.dataReceived(handshake_bytes(KEY))
    wire.registerProducer(socket, True)
    poller.session.probe(socket)
    for _ in range(20_000):
        socket.dataReceived(frame(1, b"2probe"))
    assert wire.pending <= 2 * PIECE
    assert poller.session.is_open
    wire.protocol.connectionLost(Failure(ConnectionDone()))
    wire.lost = True


# Nobody waits for others


def test_readers_get_everything_at_once_beside_some_that_never_read(readers: Readers, pollers: Pollers) -> None:
    slow = readers(max_buffered=1_000_000)
    front = slow.front
    never, honest, poller = [slow, *(readers(front) for _ in range(9))], readers(front), pollers(front)
    connection = poller.poll()
    sent = []
    for number in range(3000):
        packet = message(f"{number:x>1000}")
        sent.append(packet)
        for reader in (*never, honest):
            reader.send(packet)
        poller.session.send([packet])
        honest.connection.read_all()
        connection.read_all()
        connection = poller.poll()
        assert honest.connection.pending == 0
    front.settle()
    assert honest.connection.take() == b"".join(packet.frame for packet in sent)
    bodies = [body_of(one.take()) for one in poller.connections[:-1]]
    assert [body.decode() for body in bodies] == [packet.segment.decode() for packet in sent]
    assert [reader.ends for reader in never] == [["transport error"]] * 10
    assert front.server.backlog.counters.cut == {"max_buffered": 10}
    assert front.server.backlog.size == 0


def test_a_websocket_that_reads_slowly_but_steadily_gets_a_large_packet_to_its_end(readers: Readers) -> None:
    reader = readers(max_buffered_age=5, ping_interval=100)
    large = message("x" * LARGE)
    reader.send(large)
    while reader.connection.pending:
        reader.front.clock.pump([0.5] * 8)
        reader.connection.read(200_000)
    assert reader.connection.take() == large.frame
    assert reader.ends == []
