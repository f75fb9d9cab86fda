"""An authorization service as an operator would run one: it answers what a test tells it to, room by room."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, bytes, dict[str, str]]
Rule = Callable[[dict[str, Any]], Reply]


def answer(allow: Any, **more: Any) -> Rule:
    """A proper answer."""
    return lambda question: (200, json.dumps({"allow": allow, **more}).encode(), {})


def raw(status: int, body: bytes, **headers: str) -> Rule:
    """Whatever else a service may answer."""
    return lambda question: (status, body, headers)


class Gate:
    """A rule that answers when it is opened."""

    def __init__(self, then: Rule) -> None:
        self._then = then
        self._came = threading.Semaphore(0)
        self._opened = threading.Event()

    def __call__(self, question: dict[str, Any]) -> Reply:
        self._came.release()
        assert self._opened.wait(20)
        return self._then(question)

    def wait_for_one(self) -> None:
        """Return once a request has come."""
        assert self._came.acquire(timeout=20)

    def open(self) -> None:
        """Let all pass, from now on."""
        self._opened.set()


class Authority:
    """A running HTTP service, and the questions it was asked. Rooms without a rule are refused."""

    def __init__(self) -> None:
        self.rules: dict[str, Rule] = {}
        self.questions: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/may-join"

    def asked(self, room: str) -> list[dict[str, Any]]:
        """The questions about a room."""
        return [question for question in self.questions if question["room"] == room]

    def _reply(self, question: dict[str, Any], path: str, headers: dict[str, str]) -> Reply:
        self.questions.append(question)
        self.headers.append(headers)
        self.paths.append(path)
        return self.rules.get(question["room"], answer(allow=False))(question)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        authority = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer, headers = authority._reply(json.loads(body), self.path, dict(self.headers))
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # of those who would not wait
                    self.wfile.write(answer)

            def do_GET(self) -> None:
                authority.paths.append(self.path)  # where a redirection led
                body = b'{"allow":true}'
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        return Handler

    def __enter__(self) -> Authority:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
