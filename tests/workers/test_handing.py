"""Connections between real processes: raw HTTP to a worker that does not have the session."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Program, free_port
from tests.workers.cluster import POLLING, PROGRAM, Cluster, get, poll, post, who


@pytest.fixture(scope="module")
def running() -> Iterator[Cluster]:
    cluster = Cluster()
    try:
        cluster.wait()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def cluster(running: Cluster) -> Cluster:
    return running


class TestTheOwnerAnswers:
    def test_a_request_goes_to_the_worker_of_its_session(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        assert sid.startswith("0")
        assert len(sid) == 25
        assert connection.ask(post(sid, b'42["message","x"]')) == (200, "ok")

    def test_the_connection_stays_with_its_new_owner(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        assert connection.ask(post(sid, b'42["message","x"]')) == (200, "ok")
        assert who(connection)["worker"] == 0

    def test_it_may_go_back(self, cluster: Cluster) -> None:
        first, second, connection = cluster.session(0), cluster.session(1), cluster.to(1)
        for _ in range(3):
            for sid in (first, second):
                assert connection.ask(post(sid, b'42["message","x"]')) == (200, "ok")
                assert who(connection)["worker"] == int(sid[0])


class TestWhatWasRead:
    def test_the_body_of_a_post_goes_along(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        assert connection.ask(post(sid, b'42["message","a body"]')) == (200, "ok")
        status, body = connection.ask(poll(sid))
        assert (status, "a body" in body) == (200, True)

    @pytest.mark.parametrize("at", [1, 30, 100, -10, -1])
    def test_a_request_in_two_pieces(self, cluster: Cluster, at: int) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        request = post(sid, b'42["message","two pieces"]')
        connection.send(request[:at])
        # An answered request on another connection: by then the first piece has long been read.
        who(cluster.to(1))
        assert connection.ask(request[at:]) == (200, "ok")
        assert "two pieces" in connection.ask(poll(sid))[1]

    def test_a_large_body(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        text = "x" * 900_000
        assert connection.ask(post(sid, f'42["message","{text}"]'.encode())) == (200, "ok")
        assert text in connection.ask(poll(sid))[1]

    def test_a_chunked_body(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        head = f"POST {POLLING}&sid={sid} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert connection.ask(head.encode() + b'11\r\n42["message","x"]\r\n0\r\n\r\n') == (200, "ok")

    def test_a_body_after_100_continue(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        head, _, body = post(sid, b'42["message","x"]').partition(b"\r\n\r\n")
        connection.send(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert connection.head() == b"HTTP/1.1 100 Continue"
        assert connection.ask(body) == (200, "ok")

    def test_pipelined_requests_are_answered_in_order(self, cluster: Cluster) -> None:
        first, second, connection = cluster.session(0), cluster.session(1), cluster.to(1)
        sids = [first, second, second, first, first, second]
        requests = [post(sid, b'42["message","x"]') + get("/who") for sid in sids]
        connection.send(b"".join(requests))
        for sid in sids:
            assert connection.answer() == (200, "ok")
            assert connection.answer()[1].startswith(sid[0])


class TestWebSocket:
    UPGRADE = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )

    def test_an_upgrade_reaches_the_session(self, cluster: Cluster) -> None:
        sid, connection = cluster.session(0), cluster.to(1)
        request = get(f"/socket.io/?EIO=4&transport=websocket&sid={sid}", *self.UPGRADE)
        # The first frame comes in one piece with the request: a masked text frame, key 0, "2probe".
        connection.send(request + b"\x81\x86\0\0\0\x002probe")
        assert connection.head().startswith(b"HTTP/1.1 101 ")
        assert connection.frame() == b"3probe"


class TestWhoIsGone:
    def test_a_sid_of_no_worker_is_unknown(self, cluster: Cluster) -> None:
        for sid in ("Z" + "A" * 24, "7" * 25, "1" * 25):
            status, body = cluster.to(1).ask(poll(sid))
            assert (status, json.loads(body)["message"]) == (400, "Session ID unknown")

    def test_a_sid_that_its_worker_does_not_know_is_unknown(self, cluster: Cluster) -> None:
        connection = cluster.to(1)
        status, body = connection.ask(poll("0" * 25))
        assert (status, json.loads(body)["message"]) == (400, "Session ID unknown")
        assert who(connection)["worker"] == 0

    def test_a_client_that_leaves_on_the_way_harms_nobody(self, cluster: Cluster) -> None:
        sid = cluster.session(0)
        for _ in range(20):
            connection = cluster.to(1)
            connection.send(poll(sid))
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        assert cluster.to(1).ask(get(POLLING))[0] == 200

    def test_no_descriptor_stays_behind(self, cluster: Cluster) -> None:
        first, second = cluster.session(0), cluster.session(1)

        def files() -> list[int]:
            return [len(list(Path(f"/proc/{cluster.pid(worker)}/fd").iterdir())) for worker in (0, 1)]

        connection = cluster.to(0)
        before = files()
        for _ in range(50):
            for sid in (first, second):
                assert connection.ask(post(sid, b'42["message","x"]')) == (200, "ok")
        grown = [after - earlier for earlier, after in zip(before, files(), strict=True)]
        # What `files` itself has opened since, to find both workers.
        assert sum(grown) < 50


class TestAWorkerThatDies:
    @pytest.fixture
    def cluster(self) -> Iterator[Cluster]:
        cluster = Cluster()
        try:
            cluster.wait()
            yield cluster
        finally:
            cluster.close()

    def test_its_sessions_are_unknown_and_it_is_started_again(self, cluster: Cluster) -> None:
        sid, pid = cluster.session(0), cluster.pid(0)
        waiting = cluster.to(1)
        os.kill(pid, signal.SIGKILL)
        cluster.program.wait_for_output(f"(pid {pid}) has ended by signal 9")
        status, body = waiting.ask(poll(sid))
        assert (status, json.loads(body)["message"]) == (400, "Session ID unknown")
        assert cluster.pid(0) != pid
        assert not any("retry" in line for line in cluster.program.output), (
            "looking for it is not worth a log line"
        )
        status, body = cluster.to(1).ask(poll(sid))
        assert (status, json.loads(body)["message"]) == (400, "Session ID unknown")

    def test_what_it_was_handed_and_did_not_take_is_answered(self, cluster: Cluster) -> None:
        sid, pid = cluster.session(0), cluster.pid(0)
        connection = cluster.to(1)
        os.kill(pid, signal.SIGSTOP)
        connection.send(poll(sid))
        assert who(cluster.to(1))["handed"] == 1
        os.kill(pid, signal.SIGKILL)
        status, body = connection.answer()
        assert (status, json.loads(body)["message"]) == (400, "Session ID unknown")
        assert connection.ended()

    def test_the_workers_end_with_their_parent(self, cluster: Cluster) -> None:
        ends = [os.pidfd_open(cluster.pid(worker)) for worker in range(2)]
        cluster.kill()
        for end in ends:
            over = select.poll()
            over.register(end, select.POLLIN)
            assert [descriptor for descriptor, _ in over.poll(20_000)] == [end]
            os.close(end)


class TestTheParent:
    def test_a_worker_that_cannot_start_ends_it_with_its_status(self) -> None:
        program = Program([sys.executable, PROGRAM, str(free_port()), "2"], env={"WORKERS_FAIL": "7"})
        assert program.wait() == 7

    def test_a_worker_that_does_not_end_is_killed(self) -> None:
        cluster = Cluster(WORKERS_STOP_SECONDS="0.5")
        cluster.wait()
        pid = cluster.pid(0)
        os.kill(pid, signal.SIGSTOP)
        cluster.close()
        cluster.program.wait_for_output(f"(pid {pid}) does not end: it is killed")

    def test_sighup_is_passed_on(self, cluster: Cluster) -> None:
        cluster.program.process.send_signal(signal.SIGHUP)
        for worker in range(2):
            cluster.program.wait_for_output(f"worker {worker} reads its configuration again")

    def test_a_worker_that_still_starts_hears_of_it_then(self) -> None:
        cluster = Cluster()
        cluster.program.wait_for_output("worker 1 started")
        cluster.program.process.send_signal(signal.SIGHUP)
        for worker in range(2):
            cluster.program.wait_for_output(f"worker {worker} reads its configuration again")
        cluster.close()


class TestStopping:
    @pytest.fixture
    def cluster(self) -> Iterator[Cluster]:
        cluster = Cluster(WORKERS_WAIT="1")
        try:
            cluster.wait()
            yield cluster
        finally:
            cluster.close()

    def test_a_second_signal_is_passed_on(self, cluster: Cluster) -> None:
        cluster.program.process.send_signal(signal.SIGTERM)
        for worker in range(2):
            cluster.program.wait_for_output(f"worker {worker} stops")
        cluster.program.process.send_signal(signal.SIGTERM)
        for worker in range(2):
            cluster.program.wait_for_output(f"worker {worker} leaves at once")
        assert cluster.program.wait(20) == 0

    @pytest.mark.parametrize("first", ["parent", "workers"])
    def test_who_signals_all_processes_once_ends_nobody_at_once(self, cluster: Cluster, first: str) -> None:
        pids = [cluster.program.process.pid, cluster.pid(0), cluster.pid(1)]
        for pid in pids if first == "parent" else reversed(pids):
            os.kill(pid, signal.SIGTERM)
            if pid == pids[0]:
                for worker in range(2):
                    cluster.program.wait_for_output(f"worker {worker} stops")
        # Both have heard of the parent's order by now, for what it says next comes behind that.
        cluster.program.process.send_signal(signal.SIGHUP)
        for worker in range(2):
            cluster.program.wait_for_output(f"worker {worker} reads its configuration again")
        assert not any("at once" in line for line in cluster.program.output)
        cluster.program.process.send_signal(signal.SIGTERM)
        assert cluster.program.wait(20) == 0

    def test_nobody_can_connect_once_the_workers_have_closed_their_ports(self, cluster: Cluster) -> None:
        # The parent, too, must have closed its own: connections would wait there for nobody.
        cluster.program.process.send_signal(signal.SIGTERM)
        for worker in range(2):
            cluster.program.wait_for_output(f"worker {worker} stops")
        assert cluster.refuses(20)
        cluster.program.process.send_signal(signal.SIGTERM)
        assert cluster.program.wait(20) == 0
