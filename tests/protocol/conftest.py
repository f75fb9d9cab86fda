"""The servers under test, and somebody innocent connected beside every test.

`pytest tests/protocol --against node` runs all tests but those marked `departure` against the Node server that
tests/clients installs (or NODE_PATH names): that is how the tests prove that they ask for the right thing.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.peers import EngineSocket, Server, SocketIo
from tests.support.processes import ROOT, Program

HERE = Path(__file__).parent
COMPLAINTS = ("Traceback", "Unhandled", "#critical")

CALM = {"cors_origins": "*", "ping_interval": 25.0, "ping_timeout": 20.0, "connect_timeout": 45.0}
QUICK = {"cors_origins": "*", "ping_interval": 0.3, "ping_timeout": 0.2, "connect_timeout": 1.0}
COOKIE = {"name": "io", "path": "/", "http_only": True, "same_site": "lax"}

SERVERS: dict[str, dict[str, Any]] = {
    "sio": {"kind": "socketio", "options": CALM},
    "eio": {"kind": "engineio", "options": CALM},
    "quick_sio": {"kind": "socketio", "options": QUICK},
    "quick_eio": {"kind": "engineio", "options": {**QUICK, "upgrade_timeout": 0.3}},
    "guarded": {
        "kind": "engineio",
        "refusing": True,
        "options": {**CALM, "cors_origins": ["https://a.example", "https://b.example"], "cookie": COOKIE},
    },
    "closed_origins": {"kind": "engineio", "options": {**CALM, "cors_origins": None}},
    "small": {
        "kind": "engineio",
        "options": {**CALM, "max_payload": 2000, "allow_upgrades": False, "compression_threshold": 100},
    },
    "limited": {
        "kind": "engineio",
        "options": {
            **CALM,
            "close_timeout": 0.3,
            "poll_close_timeout": 0.3,
            "header_timeout": 0.3,
            "body_timeout": 0.3,
            "max_buffered": 1_000_000,
            "max_payload_packets": 10,
        },
    },
    "limited_sio": {"kind": "socketio", "options": {**CALM, "max_pending_acks": 2, "ack_timeout": 1.0}},
    "cramped": {
        "kind": "socketio",
        "options": {
            **CALM,
            "attachment_timeout": 0.3,
            "max_packet_bytes": 5000,
            "max_attachments": 3,
            "max_queued_events": 5,
        },
    },
    "files": {"kind": "socketio", "files": True, "options": CALM},
    "deflating": {"kind": "engineio", "options": {**CALM, "websocket_compression": True}},
    "polling_only": {"kind": "engineio", "options": {**CALM, "transports": ["polling"]}},
    "websocket_only": {"kind": "engineio", "options": {**CALM, "transports": ["websocket"]}},
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--against", choices=("rtwist", "node"), default="rtwist", help="the server under test")


def against(config: pytest.Config) -> str:
    chosen: str = config.getoption("against", default="rtwist")
    return chosen


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "departure(what): rtwist differs from the Node server here, on purpose")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if against(config) != "node":
        return
    for item in items:
        if HERE in item.path.parents and (mark := item.get_closest_marker("departure")):
            item.add_marker(pytest.mark.skip(reason=f"differs on purpose: {mark.args[0]}"))


def command(which: str, settings: dict[str, Any]) -> list[str]:
    argument = json.dumps({"port": 0, **settings})
    if which == "node":
        return ["node", str(HERE / "node_fixture.js"), argument]
    return [sys.executable, str(ROOT / "tests" / "support" / "protocol_server.py"), argument]


class Servers:
    """The server processes by name of their settings, each started when first asked for."""

    def __init__(self, which: str) -> None:
        self._which = which
        self._running: dict[str, Server] = {}
        self._tokens = itertools.count(1)
        self._folder = tempfile.TemporaryDirectory()

    def get(self, name: str) -> Server:
        if name not in self._running:
            self._running[name] = self.start(SERVERS[name])
        return self._running[name]

    def start(self, settings: dict[str, Any]) -> Server:
        """A process of its own, which the caller stops."""
        path = "/engine.io/" if settings["kind"] == "engineio" else "/socket.io/"
        options = {"path": path, **settings["options"]}
        if settings.get("files"):
            options["client_dist"] = str(client_dist(Path(self._folder.name)))
        program = Program(command(self._which, {**settings, "options": options}), env=dict(os.environ))
        port = int(program.wait_for_output("listening on ").rsplit(":", 1)[1])
        return Server(program, port, path, settings["kind"])

    @contextlib.contextmanager
    def beside_a_bystander(self, name: str) -> Iterator[Server]:
        """The server, with a client that has done nothing wrong and must be served all the same."""
        server = self.get(name)
        with bystander(server) as innocent:
            yield server
            assert innocent.echoes() if server.kind == "engineio" else innocent.serves()
            self._read_all_output(server, innocent)
        assert_no_complaints(server)

    def _read_all_output(self, server: Server, innocent: EngineSocket) -> None:
        token = f"token-{next(self._tokens)}"
        innocent.send_text(f"4note:{token}" if server.kind == "engineio" else f'42["note","{token}"]')
        server.program.wait_for_output(f"noted {token}")

    def stop(self) -> None:
        for server in self._running.values():
            server.program.stop()
            assert_no_complaints(server)
        self._folder.cleanup()


def client_dist(folder: Path) -> Path:
    """A folder like `dist` of the npm package socket.io-client."""
    dist = folder / "dist"
    dist.mkdir()
    (folder / "package.json").write_text('{"version": "4.8.3"}')
    for name in ("socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js"):
        (dist / name).write_text("/* the client of socket.io */" + "\n" * 1000)
        (dist / f"{name}.map").write_text('{"sources": ["socket.io"]}')
    (dist / "socket.io.min.js.map").write_text('{"sources": ["socket.io"], "x": "%s"}' % ("x" * 1_100_000))
    return dist


def bystander(server: Server) -> EngineSocket | SocketIo:
    if server.kind == "engineio":
        return EngineSocket.connect(server)
    return SocketIo.joined(server, "bystander")


def assert_no_complaints(server: Server) -> None:
    """Look at what the server printed since the last time."""
    news = server.program.output[server.checked :]
    server.checked += len(news)
    assert not [line for line in news if any(word in line for word in COMPLAINTS)], "\n".join(news)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Iterator[Servers]:
    running = Servers(against(pytestconfig))
    try:
        yield running
    finally:
        running.stop()


def calm(name: str) -> Any:
    """A fixture: the server of that name with a bystander connected."""

    @pytest.fixture(name=name)
    def served(servers: Servers) -> Iterator[Server]:
        with servers.beside_a_bystander(name) as server:
            yield server

    return served


@pytest.fixture
def own_sio(servers: Servers) -> Iterator[Server]:
    """A server for one test, which may close it."""
    server = servers.start(SERVERS["sio"])
    yield server
    server.program.stop()
    assert_no_complaints(server)


def quick(name: str) -> Any:
    """A fixture: the server of that name; its heartbeat is too fast for a bystander who only waits."""

    @pytest.fixture(name=name)
    def served(servers: Servers) -> Iterator[Server]:
        server = servers.get(name)
        yield server
        assert_no_complaints(server)

    return served


sio = calm("sio")
eio = calm("eio")
guarded = calm("guarded")
closed_origins = calm("closed_origins")
small = calm("small")
limited = calm("limited")
limited_sio = calm("limited_sio")
cramped = calm("cramped")
files = calm("files")
websocket_only = calm("websocket_only")
deflating = calm("deflating")
polling_only = quick("polling_only")
quick_sio = quick("quick_sio")
quick_eio = quick("quick_eio")
