"""Clients and servers that freeze, die and come back."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.support.clients import CLIENTS, LIBRARIES, MODES, require_node_modules
from tests.support.processes import Program

StartServer = Callable[..., AbstractContextManager[tuple[str, Program]]]
HEARTBEAT = ("--ping-interval", "0.4", "--ping-timeout", "1.6")


@contextmanager
def client(mode: str, url: str, *room: str, version: str = "4.8") -> Iterator[Program]:
    with Program(
        [require_node_modules(), "stay.js", LIBRARIES[version], mode, url, *room], cwd=CLIENTS
    ) as program:
        try:
            yield program
        finally:
            program.process.kill()


def socket_id(program: Program, connection: int) -> str:
    return program.wait_for_output(f"connected {connection} ").split()[-1]


@pytest.mark.parametrize("mode", MODES)
class TestLostPeers:
    def test_a_client_leaves_a_frozen_server_and_comes_back(
        self, node: str, start_feature_server: StartServer, mode: str
    ) -> None:
        with start_feature_server(*HEARTBEAT) as (url, server), client(mode, url) as one:
            first = socket_id(one, 1)
            server.process.send_signal(signal.SIGSTOP)
            try:
                assert one.wait_for_output("disconnected 1:").endswith(": ping timeout")
            finally:
                server.process.send_signal(signal.SIGCONT)
            assert socket_id(one, 2) != first

    def test_the_server_leaves_a_frozen_client(
        self, node: str, start_feature_server: StartServer, mode: str
    ) -> None:
        with (
            start_feature_server(*HEARTBEAT) as (url, _server),
            client("websocket", url, "watchers") as watcher,
            client(mode, url) as frozen,
        ):
            socket_id(watcher, 1)
            lost = socket_id(frozen, 1)
            frozen.process.send_signal(signal.SIGSTOP)
            try:
                assert watcher.wait_for_output(f"gone {lost}:").endswith(": ping timeout")
            finally:
                frozen.process.send_signal(signal.SIGCONT)
            assert socket_id(frozen, 2) != lost

    def test_the_server_notices_a_killed_client(
        self, node: str, start_feature_server: StartServer, mode: str
    ) -> None:
        # With heartbeats too slow to be what notices.
        with (
            start_feature_server("--ping-interval", "60", "--ping-timeout", "60") as (url, _server),
            client("websocket", url, "watchers") as watcher,
            client(mode, url) as killed,
        ):
            socket_id(watcher, 1)
            lost = socket_id(killed, 1)
            killed.process.kill()
            reason = watcher.wait_for_output(f"gone {lost}:").split(": ")[-1]
            assert reason == ("transport error" if mode == "polling" else "transport close")
