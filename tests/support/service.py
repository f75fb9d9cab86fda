"""The real service under `twistd`, on a port of its own, that can be stopped and started again on it."""

from __future__ import annotations

import http.client
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from tests.support.processes import START_SECONDS, Program, free_port

JWT_SECRET = "the shared secret of the tests, long enough"
API_KEY = "the key of the tests' backend services"
TWISTD = "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()"


class Service:
    """`twistd rtwist` as a context manager; `options` are its own, `env` comes on top of the two keys."""

    def __init__(self, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._options = options
        self._env = {"JWT_SECRET": JWT_SECRET, "API_KEY": API_KEY, **(env or {})}
        self._program: Program | None = None

    @property
    def program(self) -> Program:
        """The process that runs now."""
        assert self._program is not None, "the service is not running"
        return self._program

    def start(self) -> None:
        """Start it and return once GET /health answers."""
        listen = f"tcp:{self.port}:interface=127.0.0.1"
        argv = [sys.executable, "-c", TWISTD, "-n", "--pidfile=", "rtwist", "--listen", listen, *self._options]
        self._program = Program(argv, env=self._env)
        try:
            self._wait_for_health(time.monotonic() + START_SECONDS)
        except BaseException:
            self._program.process.kill()
            raise

    def stop(self) -> int:
        """End it with SIGTERM; returns the exit status."""
        program, self._program = self.program, None
        return program.stop()

    def kill(self) -> None:
        """End it with SIGKILL, as a crash would."""
        program, self._program = self.program, None
        program.process.kill()
        program.wait()

    def request(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and decoded body of one request with the API key."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            everything = {"X-API-Key": API_KEY, "Content-Type": "application/json", **(headers or {})}
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, everything)
            response = connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        finally:
            connection.close()

    def publish(self, *events: Mapping[str, Any]) -> None:
        """Hand domain events over by POST /events; they are out when this returns."""
        status, body = self.request("POST", "/events", list(events))
        assert status == 200, body

    def _wait_for_health(self, deadline: float) -> None:
        program = self.program
        while True:
            try:
                status, body = self.request("GET", "/health")
            except (OSError, http.client.HTTPException):
                running = program.process.poll() is None and time.monotonic() < deadline
                assert running, "the service does not answer:\n" + "\n".join(program.output)
                time.sleep(0.02)
            else:
                assert (status, body["status"]) == (200, "OK"), body
                return

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._program is not None:
            self.stop()
