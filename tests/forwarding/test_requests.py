"""Raw HTTP to a node that does not have the session: it gets to the one that has, and nothing stays behind."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.forwarding.nodes import Node, Nodes
from tests.intake.brokered import until
from tests.support.certificates import Authority
from tests.workers.cluster import POLLING, get, poll, post, who

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
UNKNOWN = {"code": 1, "message": "Session ID unknown"}
SAID = "TwentY"
"""The mark of a node that is none."""


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    with Nodes() as nodes:
        yield nodes


def upgrade(sid: str) -> bytes:
    return get(f"/socket.io/?EIO=4&transport=websocket&sid={sid}", *UPGRADE)


def masked(text: bytes) -> bytes:
    """A short text frame with the key 0."""
    return b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text


def is_unknown(answer: tuple[int, str]) -> bool:
    return answer[0] == 400 and json.loads(answer[1]) == UNKNOWN


class TestPolling:
    def test_both_ways_and_one_answer_for_a_connection(self, nodes: Nodes) -> None:
        one, two = nodes[0], nodes[1]
        sid = one.session(0)
        before = two.state()["forwarded"]
        for request, answer in ((post(sid, b'42["message","x"]'), "ok"), (poll(sid), '42["message-back","x"]')):
            connection = two.connect()
            assert connection.ask(request) == (200, answer)
            assert connection.ended()
        assert two.state()["forwarded"] == before + 2
        assert one.state()["forwarded"] == 0

    def test_a_connection_serves_this_node_until_it_goes_to_another(self, nodes: Nodes) -> None:
        sid = nodes[0].session(0)
        connection = nodes[1].connect()
        assert connection.ask(get(POLLING))[0] == 200
        connection.send(get("/who") + post(sid, b'42["message","x"]'))
        assert connection.answer()[0] == 200
        assert connection.answer() == (200, "ok")

    def test_a_large_body_there_and_back(self, nodes: Nodes) -> None:
        sid = nodes[0].session(0)
        text = "x" * 990_000
        assert nodes[1].connect().ask(post(sid, f'42["message","{text}"]'.encode())) == (200, "ok")
        assert nodes[1].connect().ask(poll(sid)) == (200, f'42["message-back","{text}"]')

    def test_a_body_in_pieces(self, nodes: Nodes) -> None:
        sid, connection = nodes[0].session(0), nodes[1].connect()
        request = post(sid, b'42["message","pieces"]')
        for piece in (request[:20], request[20:-5], request[-5:]):
            connection.send(piece)
            nodes[1].state()
        assert connection.answer() == (200, "ok")

    def test_a_body_after_100_continue(self, nodes: Nodes) -> None:
        sid, connection = nodes[0].session(0), nodes[1].connect()
        head, _, body = post(sid, b'42["message","x"]').partition(b"\r\n\r\n")
        connection.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert connection.head() == b"HTTP/1.1 100 Continue"
        assert connection.ask(body) == (200, "ok")

    def test_a_chunked_body(self, nodes: Nodes) -> None:
        sid, connection = nodes[0].session(0), nodes[1].connect()
        head = f"POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert connection.ask(head.encode() + b'11\r\n42["message","x"]\r\n0\r\n\r\n') == (200, "ok")

    def test_what_is_sent_behind_a_forwarded_request_is_not_answered(self, nodes: Nodes) -> None:
        sid, connection = nodes[0].session(0), nodes[1].connect()
        connection.send(post(sid, b'42["message","x"]') + get("/who"))
        assert connection.answer() == (200, "ok")
        assert connection.ended()

    @pytest.mark.parametrize("request_line", ["OPTIONS {}", "PUT {}"])
    def test_other_methods_are_answered_here(self, nodes: Nodes, request_line: str) -> None:
        sid, before = nodes[0].session(0), nodes[1].state()["forwarded"]
        line = request_line.format(f"{POLLING}&sid={sid}")
        connection = nodes[1].connect()
        connection.send(f"{line} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://x\r\n\r\n".encode())
        assert connection.head().split(b" ")[1] in (b"204", b"400")
        assert nodes[1].state()["forwarded"] == before

    def test_other_paths_are_answered_here(self, nodes: Nodes) -> None:
        sid, before = nodes[0].session(0), nodes[1].state()["forwarded"]
        assert nodes[1].connect().ask(get(f"/who?sid={sid}"))[0] == 200
        assert nodes[1].state()["forwarded"] == before


class TestWebSockets:
    def test_frames_go_both_ways_and_the_end_is_told(self, nodes: Nodes) -> None:
        one, two = nodes[0], nodes[1]
        sid, connection = one.session(0), two.connect()
        sessions = one.state()["sessions"]
        # The first frame comes in one piece with the request.
        connection.send(upgrade(sid) + masked(b"2probe"))
        assert connection.head().startswith(b"HTTP/1.1 101 ")
        assert connection.frame() == b"3probe"
        connection.send(masked(b"5") + masked(b'42["message",1]'))
        assert connection.frame() == b'42["message-back",1]'
        assert two.state()["forwarding"] == 1
        connection.close()
        two.becomes("forwarding", 0)
        one.becomes("sessions", sessions - 1)

    def test_an_upgrade_that_is_refused(self, nodes: Nodes) -> None:
        sid, connection = nodes[0].session(0), nodes[1].connect()
        connection.send(get(f"{POLLING}&sid={sid}", *UPGRADE))
        assert connection.head().startswith(b"HTTP/1.1 400 ")

    def test_who_reads_slowly_slows_the_other_node_not_this_one(self, nodes: Nodes) -> None:
        sid, connection = nodes[0].session(0), nodes[1].connect()
        connection.send(upgrade(sid) + masked(b"2probe"))
        connection.head()
        assert connection.frame() == b"3probe"
        connection.send(masked(b"5"))
        before = [_resident(node) for node in nodes.nodes]
        text = b'42["message","' + b"x" * 900_000 + b'"]'
        frame = b"\x81\xff" + len(text).to_bytes(8, "big") + bytes(4) + text
        for _ in range(30):
            connection.send(frame)
        # What was sent comes back, and waits where the session is.
        until(lambda: _resident(nodes[0]) - before[0] > 12_000_000)
        assert _resident(nodes[1]) - before[1] < 6_000_000
        read = 0
        while read < 30 * len(text):
            read += len(connection.socket.recv(1 << 20))
        connection.close()
        nodes[1].becomes("forwarding", 0)


class TestWhatTheOtherNodeGets:
    @pytest.fixture
    def other(self, nodes: Nodes) -> Iterator[socket.socket]:
        """What listens where a node is said to be."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(20)
            nodes.announce(SAID, f"http://127.0.0.1:{listening.getsockname()[1]}")
            yield listening
        nodes[0].knows(1)

    def test_the_request_as_it_was_but_for_the_way_it_came(self, nodes: Nodes, other: socket.socket) -> None:
        connection = nodes[0].connect()
        fields = (
            "Connection: keep-alive, x-forwarded-for",
            "X-Forwarded-For: 198.51.100.7, 192.0.2.1",
            "Cookie: a=b",
        )
        connection.send(get(f"{POLLING}&sid={SAID}{'A' * 24}", *fields))
        accepted, _ = other.accept()
        with accepted:
            head = _head(accepted)
            line, *lines = head.split("\r\n")
            assert line == f"GET {POLLING}&sid={SAID}{'A' * 24} HTTP/1.1"
            found = dict(line.split(":", 1) for line in lines)
            assert len(found.pop("X-Rtwist-Node")) == 6
            assert found == {
                "Host": "localhost",
                "Cookie": "a=b",
                "Connection": "close",
                "X-Forwarded-For": "192.0.2.1",
            }
            accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Any: thing\r\n\r\nall")
            assert connection.answer() == (200, "all")
        assert connection.ended()

    def test_an_answer_ends_with_the_connection_of_the_other_node(
        self, nodes: Nodes, other: socket.socket
    ) -> None:
        connection = nodes[0].connect()
        connection.send(get(f"{POLLING}&sid={SAID}{'A' * 24}"))
        accepted, _ = other.accept()
        _head(accepted)
        accepted.close()
        assert connection.ended()
        nodes[0].becomes("forwarding", 0)

    def test_the_other_node_hears_when_the_client_leaves(self, nodes: Nodes, other: socket.socket) -> None:
        connection = nodes[0].connect()
        connection.send(post(f"{SAID}{'A' * 24}", b"x" * 100)[:-50])
        accepted, _ = other.accept()
        with accepted:
            accepted.settimeout(20)
            _head(accepted)
            connection.close()
            while accepted.recv(1000):
                pass
        nodes[0].becomes("forwarding", 0)

    def test_no_descriptor_stays_behind(self, nodes: Nodes, other: socket.socket) -> None:
        sid = nodes[1].session(0)
        before = _files(nodes[0])
        for number in range(60):
            connection = nodes[0].connect()
            connection.send(poll(f"{SAID}{'A' * 24}" if number % 2 else sid))
            if number % 2:
                accepted, _ = other.accept()
                accepted.close()
            connection.close()
        nodes[0].becomes("forwarding", 0)
        assert _files(nodes[0]) - before < 20


class TestWhoIsGone:
    def test_a_request_that_was_forwarded_goes_no_further(self, nodes: Nodes) -> None:
        before = nodes[1].state()["forwarded"]
        sid = nodes[0].session(0)
        assert is_unknown(nodes[1].connect().ask(get(f"{POLLING}&sid={sid}", "X-Rtwist-Node: AAAAAA")))
        assert nodes[1].state()["forwarded"] == before

    def test_two_nodes_that_take_each_other_for_a_third_send_nothing_in_circles(self, nodes: Nodes) -> None:
        nodes.announce("CirclE", f"http://127.0.0.1:{nodes[1].port}")
        before = [node.state()["forwarded"] for node in nodes.nodes]
        assert is_unknown(nodes[0].connect().ask(poll("CirclE" + "A" * 24)))
        assert [node.state()["forwarded"] for node in nodes.nodes] == [before[0] + 1, before[1]]
        nodes[0].knows(1)

    def test_a_mark_that_nobody_has(self, nodes: Nodes) -> None:
        connection = nodes[1].connect()
        assert is_unknown(connection.ask(poll("Nobody" + "A" * 24)))
        assert connection.ask(get("/who"))[0] == 200

    def test_an_address_that_is_none_is_not_believed(self, nodes: Nodes) -> None:
        nodes.announce("GoodOn", "http://127.0.0.1:1")
        with pytest.raises(AssertionError, match="does not know"):
            nodes.announce("BadOne", "file:///etc/passwd", seconds=1)
        nodes[0].program.wait_for_output("cannot be read: b'file:///etc/passwd'")
        nodes[0].knows(1)


class TestWhoCannotBeReached:
    @pytest.fixture
    def nodes(self) -> Iterator[Nodes]:
        with Nodes(FORWARD_TIMEOUT="0.5", FORWARD_MOST="1") as nodes:
            yield nodes

    def test_a_node_that_was_killed(self, nodes: Nodes) -> None:
        sid = nodes[0].session(0)
        waiting = nodes[1].connect()
        waiting.send(poll(sid))
        nodes[1].becomes("forwarding", 1)
        nodes[0].crash()
        assert waiting.ended()
        connection = nodes[1].connect()
        assert is_unknown(connection.ask(poll(sid)))
        assert is_unknown(connection.ask(post(sid, b'42["message","x"]')))
        connection.send(post(sid, b'42["message","x"]') + get("/who"))
        assert is_unknown(connection.answer())
        state = who(connection)
        assert (state["unreachable"], state["forwarding"]) == (3, 0)
        lines = [line for line in nodes[1].program.output if "cannot be reached" in line]
        assert len(lines) == 1
        assert f"http://127.0.0.1:{nodes[0].port}" in lines[0]

    def test_pages_are_told_why(self, nodes: Nodes) -> None:
        sid = nodes[0].session(0)
        nodes[0].crash()
        connection = nodes[1].connect()
        connection.send(get(f"{POLLING}&sid={sid}", "Origin: http://page"))
        assert b"access-control-allow-origin: " in connection.head().lower()

    def test_a_node_that_does_not_answer_is_given_up_in_time(self, nodes: Nodes) -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first:
            address = full.getsockname()
            first.connect(address)
            nodes.announce(SAID, f"http://127.0.0.1:{address[1]}")
            connection = nodes[0].connect()
            body = b"x" * 200_000
            assert is_unknown(connection.ask(post(f"{SAID}{'A' * 24}", body)))
            assert nodes[0].state()["unreachable"] == 1

    def test_nor_one_that_says_nothing_of_its_certificate(self, nodes: Nodes) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            nodes.announce(SAID, f"https://127.0.0.1:{silent.getsockname()[1]}")
            assert is_unknown(nodes[0].connect().ask(poll(f"{SAID}{'A' * 24}")))

    def test_no_more_than_the_bound_are_forwarded(self, nodes: Nodes) -> None:
        sid = nodes[0].session(0)
        waiting = nodes[1].connect()
        waiting.send(poll(sid))
        nodes[1].becomes("forwarding", 1)
        assert is_unknown(nodes[1].connect().ask(post(sid, b'42["message","x"]')))
        assert nodes[1].state()["max_forwarded"] == 1
        assert nodes[0].connect().ask(post(sid, b'42["message","x"]')) == (200, "ok")
        assert waiting.answer()[0] == 200
        nodes[1].becomes("forwarding", 0)
        assert nodes[1].connect().ask(post(sid, b'42["message","x"]')) == (200, "ok")


def test_nobody_is_waited_for_when_the_client_has_left() -> None:
    with (
        Nodes(1, FORWARD_TIMEOUT="600") as nodes,
        socket.create_server(("127.0.0.1", 0), backlog=0) as full,
        socket.socket() as first,
    ):
        first.connect(full.getsockname())
        nodes.announce(SAID, f"http://127.0.0.1:{full.getsockname()[1]}")
        connection = nodes[0].connect()
        connection.send(poll(f"{SAID}{'A' * 24}"))
        nodes[0].becomes("forwarding", 1)
        connection.close()
        nodes[0].becomes("forwarding", 0)


class TestHttps:
    """A node that is said to be at https, with a certificate of an authority that is trusted, or not."""

    @pytest.fixture
    def authority(self) -> Authority:
        return Authority()

    @pytest.fixture
    def nodes(self, authority: Authority, tmp_path: Path) -> Iterator[Nodes]:
        file = tmp_path / "authority.pem"
        file.write_bytes(authority.certificate_pem)
        with Nodes(1, SSL_CERT_FILE=str(file)) as nodes:
            yield nodes

    @contextmanager
    def listening(self, nodes: Nodes, authority: Authority, tmp_path: Path) -> Iterator[ssl.SSLSocket]:
        pair = authority.issue("localhost")
        for name, pem in (("key", pair.key_pem), ("certificate", pair.certificate_pem)):
            (tmp_path / name).write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
        with (
            socket.create_server(("127.0.0.1", 0)) as plain,
            context.wrap_socket(plain, server_side=True) as secured,
        ):
            secured.settimeout(20)
            nodes.announce(SAID, f"https://localhost:{secured.getsockname()[1]}")
            yield secured

    def test_the_request_goes_there(self, nodes: Nodes, authority: Authority, tmp_path: Path) -> None:
        with self.listening(nodes, authority, tmp_path) as listening:
            connection = nodes[0].connect()
            text = b"x" * 500_000
            connection.send(post(f"{SAID}{'A' * 24}", text))
            accepted, _ = listening.accept()
            with accepted:
                _head(accepted)
                read = 0
                while read < len(text):
                    read += len(accepted.recv(65536))
                accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
                assert connection.answer() == (200, text.decode())
            assert connection.ended()

    def test_a_certificate_of_somebody_else_is_not_accepted(self, nodes: Nodes, tmp_path: Path) -> None:
        with self.listening(nodes, Authority(), tmp_path) as listening:
            connection = nodes[0].connect()
            connection.send(poll(f"{SAID}{'A' * 24}"))
            with pytest.raises(ssl.SSLError):
                listening.accept()
            assert is_unknown(connection.answer())
        line = nodes[0].program.wait_for_output("cannot be reached")
        assert "the node's certificate is of no authority that is trusted" in line
        assert nodes[0].state()["unreachable"] == 1


class TestWorkers:
    def test_to_the_node_then_to_the_worker(self) -> None:
        with Nodes(workers=2) as nodes:
            for owner in range(2):
                for here in range(2):
                    sid = nodes[0].session(owner)
                    for number in range(4):
                        text = f'["message",{number}]'.encode()
                        assert nodes[1].to(here).ask(post(sid, b"42" + text)) == (200, "ok")
                    assert nodes[1].to(here).ask(poll(sid))[0] == 200
                    assert nodes[0].to(1 - owner).ask(post(sid, b'42["message",5]')) == (200, "ok")


def _head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(1)
    return data.decode().removesuffix("\r\n\r\n")


def _files(node: Node) -> int:
    return len(list(Path(f"/proc/{node.state()['pid']}/fd").iterdir()))


def _resident(node: Node) -> int:
    """Bytes of memory that its worker has."""
    pages = Path(f"/proc/{node.state()['pid']}/statm").read_text().split()[1]
    return int(pages) * 4096
