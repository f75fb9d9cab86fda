"""Servers for the clients to talk to; RTWIST_REFERENCE=1 starts the Node server instead, to try the tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tests.support.clients import CLIENTS, require_chromium, require_node_modules
from tests.support.processes import ROOT, Program, free_port

REFERENCE = os.environ.get("RTWIST_REFERENCE") == "1"


@contextmanager
def echo_server(*options: str) -> Iterator[str]:
    """examples/echo.py; its URL."""
    port = free_port()
    if REFERENCE:
        argv = [require_node_modules(), str(CLIENTS / "reference" / "echo.js")]
    else:
        argv = [sys.executable, str(ROOT / "examples" / "echo.py")]
    with Program([*argv, "--port", str(port), *options]) as program:
        program.wait_for_output(f"listening on 127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"


@contextmanager
def feature_server(*options: str) -> Iterator[tuple[str, Program]]:
    """The program of tests/support/sio_fixture.py; its URL and process."""
    port = free_port()
    if REFERENCE:
        argv = [require_node_modules(), str(CLIENTS / "reference" / "fixture.js")]
    else:
        argv = [sys.executable, "-m", "tests.support.sio_fixture"]
    with Program([*argv, "--port", str(port), *options]) as program:
        program.wait_for_output(f"listening on 127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}", program


@pytest.fixture(scope="session")
def node() -> str:
    """Path of node; fails when it or the packages are missing."""
    return require_node_modules()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of Chromium; fails when it is missing."""
    return require_chromium()


@pytest.fixture(scope="session")
def echo_url() -> Iterator[str]:
    """An echo server with frequent heartbeats."""
    with echo_server("--ping-interval", "1", "--ping-timeout", "5") as url:
        yield url


@pytest.fixture(scope="session")
def feature_url() -> Iterator[str]:
    """A server with everything that clients can see of a Socket.IO server's vocabulary."""
    with feature_server() as (url, _program):
        yield url


@pytest.fixture(scope="session")
def start_feature_server() -> Callable[..., object]:
    """Starts one for a single test, with options of its own."""
    return feature_server
