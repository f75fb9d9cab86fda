"""Endpoints that cannot be listened on: one line each that says what to do."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from socket import gaierror
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger

from rtwist.errors import ConfigError
from rtwist.listening import Listening

EXAMPLES = "write for example tcp:8009 or tcp:8009:interface=127.0.0.1"
NO_TEXT = {
    "8010": "did you mean tcp:8010?",
    ":8010": "did you mean tcp:8010?",
    "127.0.0.1:8010": "did you mean tcp:8010:interface=127.0.0.1?",
    "http://localhost:8010/": "did you mean tcp:8010:interface=localhost?",
    "nonsense": f"there is no endpoint of the kind 'nonsense'; {EXAMPLES}",
    "": f"there is no endpoint of the kind ''; {EXAMPLES}",
    "tcp": f"the port is missing; {EXAMPLES}",
    "tcp:x": f"the port must be a number; {EXAMPLES}",
    "tcp:8009:interfac=127.0.0.1": f"it takes no interfac=; {EXAMPLES}",
    "tcp:1:a:2:b:3": f"it has too many parts (a colon inside one is written \\:); {EXAMPLES}",
    "unix": f"the path is missing; {EXAMPLES}",
    "unix:/run/x:mode=y": f"'y' must be a number; {EXAMPLES}",
    "ssl:443:privateKey=/no/key.pem": "there is no file /no/key.pem; privateKey= and certKey= name PEM files",
    "systemd:domain=INET:name=rtwist": "systemd has handed over no such socket: start the service by its socket "
    "unit, whose FileDescriptorName= is the name here",
    "systemd:domain=INET:index=0": "systemd has handed over no such socket: start the service by its socket "
    "unit, whose FileDescriptorName= is the name here",
}  # fmt: skip


@pytest.mark.parametrize(("text", "says"), NO_TEXT.items())
def test_a_text_that_means_nothing(text: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    with pytest.raises(ConfigError) as caught:
        Listening(text, Factory(), reactor)
    assert str(caught.value) == f"--listen is {text!r}: {says}"


def test_a_key_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("no key")
    assert "PEM files of one pair" in fault_of_text(f"ssl:443:privateKey={file}:certKey={file}")
    said = fault_of_text(f"ssl:443:privateKey={tmp_path}")
    assert f"the file {tmp_path} cannot be read (Is a directory)" in said


def fault_of_text(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Listening(text, Factory(), reactor)
    return str(caught.value)


def fault_at_start(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Listening(text, Factory(), reactor).privilegedStartService()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use(taken: int) -> None:
    instead = f"tcp:{taken + 1}:interface=127.0.0.1"
    assert fault_at_start(f"tcp:{taken}:interface=127.0.0.1") == (
        f"port {taken} is in use: stop what uses it, or choose another with --listen {instead}"
    )
    assert fault_at_start(f"tcp:{taken}") == (
        f"port {taken} is in use: stop what uses it, or choose another with "
        f"--port {taken + 1} (make run PORT={taken + 1})"
    )


def test_an_address_of_another_machine() -> None:
    said = fault_at_start("tcp:0:interface=192.0.2.1")
    assert "192.0.2.1 is no address of this machine: write one that is" in said


def test_a_port_that_is_none() -> None:
    assert fault_at_start("tcp:99999") == "--listen is 'tcp:99999': the port must be from 0 to 65535"


REFUSALS: list[tuple[str, Exception, str]] = [
    ("tcp:80", CannotListenError("", 80, OSError(errno.EACCES, "no")), "port 80 is for privileged programs: "),
    ("tcp:65535", CannotListenError("", 65535, OSError(errno.EADDRINUSE, "no")), "another with --port 65534 "),
    ("tcp:8:interface=nobody", CannotListenError("nobody", 8, gaierror(-2, "no")), "the host nobody is unknown"),
    ("tcp6:8", CannotListenError("", 8, OSError(errno.EAFNOSUPPORT, "no")), "write tcp: in place of tcp6:"),
    ("tcp:8", CannotListenError("", 8, OSError(errno.ENOBUFS, "No buffers")), "cannot listen there: "),
    ("unix:/a/b", PermissionError(errno.EACCES, "no"), "this user may not write to the folder /a: allow it, or"),
    ("unix:/a/b", OSError(errno.EROFS, "no"), "this user may not write to the folder /a: allow it, or"),
    ("unix:b", CannotListenError(None, b"b", OSError(errno.EADDRINUSE, "no")), "unix:b is used by another"),
    ("unix:b", OSError(errno.ENOSPC, "No space"), "cannot listen there: [Errno 28] No space"),
]  # fmt: skip


class Refusing(MemoryReactorClock):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def listenTCP(self, *_: Any, **__: Any) -> Any:  # noqa: N802 - Twisted's name
        raise self._error

    listenUNIX = listenTCP  # noqa: N815


@pytest.mark.parametrize(("text", "error", "says"), REFUSALS)
def test_what_the_system_refuses(text: str, error: Exception, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Listening(text, Factory(), Refusing(error)).startService()
    assert says in str(caught.value)


class TestSocketFiles:
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_a_folder_that_does_not_exist(self) -> None:
        assert fault_at_start("unix:/nonexistent/dir/s") == (
            "--listen is 'unix:/nonexistent/dir/s': the folder /nonexistent/dir does not exist: "
            "make it, or choose another path"
        )

    def test_a_folder_that_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert "file is no folder: choose another path" in fault_at_start("unix:file/s")

    def test_a_path_that_is_too_long(self) -> None:
        assert "the path is too long for a socket" in fault_at_start(f"unix:{'x' * 120}")

    def test_a_socket_of_another_process(self) -> None:
        Path("k2.sock.lock").symlink_to(str(os.getppid()))
        assert fault_at_start("unix:k2.sock") == (
            "unix:k2.sock is used by another process: stop it, or choose another path"
        )


class Slow:
    """An endpoint that listens when it is told to."""

    def __init__(self) -> None:
        self.listening: Deferred[Any] = Deferred()

    def listen(self, factory: object) -> Deferred[Any]:
        return self.listening


class TestAnEndpointThatTakesItsTime:
    @pytest.fixture
    def slow(self, monkeypatch: pytest.MonkeyPatch) -> Slow:
        endpoint = Slow()
        monkeypatch.setattr("rtwist.listening.serverFromString", lambda *_: endpoint)
        return endpoint

    def test_it_may_be_stopped_before_it_listens(self, slow: Slow) -> None:
        listening = Listening("slow:1", Factory(), reactor)
        listening.startService()
        assert listening.address == "slow:1"
        listening.stopService()
        assert slow.listening.called

    def test_a_late_failure_is_logged(self, slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
        logged: list[Any] = []
        monkeypatch.setattr(Listening, "_log", Logger(observer=logged.append))
        listening = Listening("slow:1", Factory(), reactor)
        listening.startService()
        slow.listening.errback(OSError("too late"))
        assert "cannot listen on {endpoint}" in logged[0]["log_format"]


@pytest.mark.parametrize(
    ("text", "address"),
    [("tcp:0:interface=127.0.0.1", "127.0.0.1:{}"), ("tcp:0", "0.0.0.0:{}"), ("tcp6:0", "[::]:{}")],
)
def test_it_tells_where_it_listens(text: str, address: str) -> None:
    if "6" in text and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    listening = Listening(text, Factory(), reactor)
    assert listening.address == text, "not yet"
    listening.startService()
    assert listening.address == address.format(listening.address.rpartition(":")[2])
    listening.stopService()


def test_a_socket_file_is_told_as_one(tmp_path: Path) -> None:
    listening = Listening(f"unix:{tmp_path}/s", Factory(), reactor)
    listening.privilegedStartService()
    assert listening.address == f"unix:{tmp_path}/s"
    listening.stopService()
