"""The service as its operator starts it: `twistd rtwist` in a process of its own."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.service.peers import API_KEY, SECRET, SOCKET_IO, Client, token
from tests.support.processes import ROOT, Program
from tests.support.wire import Headers, HttpClient, Response

TWISTD = str(Path(sys.executable).with_name("twistd"))
KEYS = {"JWT_SECRET": SECRET, "API_KEY": API_KEY}
ANYWHERE = "tcp:0:interface=127.0.0.1"
WITH_KEY: Headers = (("X-API-Key", API_KEY),)
NAMES = ("PORT", "JWT_SECRET", "API_KEY", "FRONTEND_URL", "AUTHORIZATION_SECRET")
WITHOUT_SETTINGS = {name: "" for name in os.environ if name.startswith("RTWIST_") or name in NAMES}


def twistd(
    *options: str,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    launcher: Sequence[str] = (TWISTD,),
) -> Program:
    """`twistd rtwist` in the foreground, with the test's keys unless `env` is given."""
    argv = [*launcher, "-n", "--pidfile=", "rtwist", *options]
    return Program(argv, env={**WITHOUT_SETTINGS, **(KEYS if env is None else env)}, cwd=cwd)


def listening_port(program: Program) -> int:
    """The port that the program says it listens on."""
    line = program.wait_for_output("starting on ")
    match = re.search(r"starting on '?(\d+)", line)
    assert match, line
    return int(match[1])


class Service:
    """A running service and what a test does with it from outside."""

    def __init__(self, program: Program, port: int | None = None) -> None:
        self.program = program
        self.port = listening_port(program) if port is None else port
        self._clients: list[Client] = []

    def open(self, headers: Headers = (), *, target: str = SOCKET_IO) -> Client:
        """A connection that has not said CONNECT yet; closed with the test."""
        client = Client(self.port, headers, target=target)
        self._clients.append(client)
        return client

    def join(self, user: str, company: str | None = None, *shops: str, role: str | None = None) -> Client:
        """A client whose CONNECT is accepted."""
        client = self.open()
        refusal = client.connect(token(user, company, *shops, role=role))
        assert refusal is None, refusal
        return client

    def request(
        self, method: str, target: str, headers: Headers = WITH_KEY, body: bytes | None = None
    ) -> Response:
        """One request, with the API key unless `headers` are given."""
        with HttpClient(self.port) as client:
            return client.request(method, target, headers, body)

    def post(self, target: str, value: Any, headers: Headers = WITH_KEY) -> Response:
        """POST a value as JSON."""
        return self.request("POST", target, headers, json.dumps(value).encode())

    def publish(self, *events: Mapping[str, Any]) -> dict[str, int]:
        """Publish events that must be taken; what became of them."""
        return dict(granted(self.post("/events", events[0] if len(events) == 1 else events)))

    def publish_kind(self, kind: str, **data: Any) -> dict[str, int]:
        """Publish one event in an envelope."""
        return self.publish({"type": kind, "data": data})

    def push(self, to: Mapping[str, Any], event: str, data: Any = None) -> int:
        """Emit by REST; the number of receivers."""
        answer = granted(self.post("/emit", {"to": to, "event": event, "data": data}))
        return int(answer["receivers"])

    def close_clients(self) -> None:
        """End what a test left open."""
        for client in self._clients:
            client.close()
        self._clients.clear()


def granted(response: Response) -> Any:
    """The data of a successful answer."""
    answer = json_body(response)
    assert response.status == 200, answer
    assert set(answer) == {"success", "data"}
    assert answer["success"] is True
    return answer["data"]


def refused(response: Response) -> tuple[int, str, str]:
    """Status, code and message of an error, which must be the documented JSON."""
    answer = json_body(response)
    assert set(answer) == {"success", "error"}, answer
    assert answer["success"] is False
    assert set(answer["error"]) == {"code", "message"}
    return response.status, answer["error"]["code"], answer["error"]["message"]


def json_body(response: Response) -> Any:
    """The body, which must be JSON and say so."""
    assert response.header("Content-Type") == "application/json", response
    return response.json()


def complaints(lines: Sequence[str]) -> list[str]:
    """Lines that no run may log."""
    return [line for line in lines if "Traceback" in line or "Unhandled" in line or '"critical"' in line]
