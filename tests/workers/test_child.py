"""What a parent tells a worker, and what workers cannot share."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.protocol import Factory

from rtwist.errors import ConfigError
from rtwist.listening import Listening
from rtwist.workers.child import ENVIRONMENT, READY_DESCRIPTOR, Place, place, worker_arguments


@given(st.builds(Place, number=st.integers(0, 63), count=st.integers(1, 64), sockets=st.integers(0, 9),
                 folder=st.from_regex(r"\A/[a-z:/]{1,20}[a-z]\Z").map(Path)))  # fmt: skip
def test_a_worker_reads_its_place(own: Place) -> None:
    assert place({ENVIRONMENT: own.encode()}) == own
    assert list(own.descriptors) == list(range(READY_DESCRIPTOR + 1, READY_DESCRIPTOR + 1 + own.sockets))


def test_whom_no_parent_started_has_none() -> None:
    assert place({"PATH": "/bin"}) is None


def test_a_worker_gets_the_arguments_of_its_parent() -> None:
    command = worker_arguments(["--workers", "2", "--listen", "tcp:1"], "/usr/bin/python3")
    assert command[0] == "/usr/bin/python3"
    assert command[3:] == ["-n", "--pidfile=", "rtwist", "--workers", "2", "--listen", "tcp:1"]


class TestSharing:
    @pytest.fixture
    def unix(self, tmp_path: Path) -> Iterator[Listening]:
        listening = Listening(f"unix:{tmp_path}/socket", Factory(), reactor)
        listening.startService()
        yield listening
        listening.stopService()

    def test_a_unix_socket_is_refused_in_words(self, unix: Listening) -> None:
        with pytest.raises(ConfigError, match=r"several workers share tcp: and tcp6: endpoints only"):
            unix.give_up_accepting()

    def test_a_port_is_left_to_others(self) -> None:
        listening: Any = Listening("tcp:0:interface=127.0.0.1", Factory(), reactor)
        listening.startService()
        try:
            with socket.socket(fileno=socket.dup(listening.give_up_accepting())) as bound:
                bound.setblocking(True)
                with socket.create_connection(bound.getsockname()) as client:
                    accepted, address = bound.accept()
                    assert address == client.getsockname()
                    accepted.close()
        finally:
            listening.stopService()
