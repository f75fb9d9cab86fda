"""One service for all tests that only talk to it; tests that stop or configure one start their own."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest

from tests.service.servers import ANYWHERE, Service, complaints, twistd
from tests.support.processes import ROOT, Program

OPTIONS = ("--listen", ANYWHERE, "--max-payload", "20000", "--max-rooms", "20", "--log-format", "json")


@pytest.fixture(scope="session")
def running() -> Iterator[Service]:
    with twistd(*OPTIONS) as program:
        yield Service(program)
    assert complaints(program.output) == []
    # At the beginning of a word: ids of sockets are random, and hold any three letters some day.
    assert [line for line in program.output if re.search(r"\beyJ", line)] == [], "no token is ever logged"


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    """The service with the tests' keys; at most 20 rooms a socket and 20,000 bytes a body."""
    yield running
    running.close_clients()


@pytest.fixture(scope="session")
def running_controlled() -> Iterator[Service]:
    with Program([sys.executable, str(ROOT / "tests" / "service" / "controlled_server.py")]) as program:
        yield Service(program)


@pytest.fixture
def controlled(running_controlled: Service) -> Iterator[Service]:
    """The service with keys that come late, not now, or fail, as a token's `kid` says."""
    yield running_controlled
    running_controlled.close_clients()


@pytest.fixture(scope="session")
def wide() -> Iterator[Service]:
    with twistd("--listen", ANYWHERE) as program:
        yield Service(program)
    assert complaints(program.output) == []


@pytest.fixture
def running_wide(wide: Service) -> Iterator[Service]:
    """The service with the default limits of rooms."""
    yield wide
    wide.close_clients()
