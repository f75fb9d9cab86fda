"""Programs that tests start: on loopback, on ports of their own, ended by their own pid."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
_chance = random.SystemRandom()
_PORTS = range(26000, 32768)
"""Below those that Linux takes for outgoing connections, and above most that services are known by."""


def free_port() -> int:
    """A TCP port on loopback that nothing listens on right now, and that no outgoing connection is given."""
    while True:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", _chance.choice(_PORTS))) as probe:
            return int(probe.getsockname()[1])


class Program:
    """A child process and everything it printed; usable as a context manager that ends it."""

    def __init__(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path = ROOT) -> None:
        self.output: list[str] = []
        self._news = threading.Condition()
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})}
        self.process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=environment,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.output.append(line.rstrip("\n"))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def wait_for_output(self, text: str, seconds: float = START_SECONDS) -> str:
        """The first line that holds `text`; AssertionError with all output when it does not come."""
        deadline = time.monotonic() + seconds
        with self._news:
            while True:
                for line in self.output:
                    if text in line:
                        return line
                ended = self.process.poll() is not None and not self._reader.is_alive()
                if ended or time.monotonic() > deadline:
                    raise AssertionError(f"no {text!r} in what it printed: {self._story()}")
                self._news.wait(0.1)

    def wait_for_port(self, port: int, seconds: float = START_SECONDS) -> None:
        """Return once the program accepts connections on `port` of 127.0.0.1."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"it does not listen: {self._story()}") from None
                time.sleep(0.02)
            else:
                return

    def stop(self, seconds: float = 15.0) -> int:
        """SIGTERM, then SIGKILL when it does not end; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 15.0) -> int:
        """The exit status, after at most `seconds`; a program that goes on is killed and that is an error."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"it did not end: {self._story()}") from None
        self._reader.join(5)
        return status

    def _story(self) -> str:
        return f"{self.process.args}\n" + "\n".join(self.output)

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
