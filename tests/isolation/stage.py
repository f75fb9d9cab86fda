"""The service that stories are told to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.service.servers import Service, complaints, twistd
from tests.support.processes import free_port

OPTIONS = ("--log-level", "warn", "--connect-timeout", "600")


@contextlib.contextmanager
def staged(*options: str) -> Iterator[Service]:
    """A service that runs until the end, and may have complained of nothing."""
    port = free_port()
    with twistd("--listen", f"tcp:{port}:interface=127.0.0.1", *OPTIONS, *options) as program:
        program.wait_for_port(port)
        yield Service(program, port)
    assert complaints(program.output) == []
