"""A real HTTP server for keys, in a thread of the test: it answers what it is told, as badly as it is told."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.certificates import Authority

Reply = Callable[[BaseHTTPRequestHandler], None]


def answer(body: bytes, status: int = 200, **headers: str) -> Reply:
    """Answer every request with that."""

    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return reply


class KeyServer:
    """Listens on loopback while it is entered; `requests` has the headers of each request, in order.

    `reply` may be exchanged at any time. With `tls` it speaks HTTPS with a certificate of that authority, with
    its files in `folder`.
    """

    def __init__(
        self, reply: Reply | bytes = b"", *, tls: Authority | None = None, folder: Path | None = None
    ) -> None:
        self.reply = answer(reply) if isinstance(reply, bytes) else reply
        self.requests: list[dict[str, str]] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls is not None:
            assert folder is not None
            self._server.socket = _context(tls, folder).wrap_socket(self._server.socket, server_side=True)
        port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{port}/keys" if tls is None else f"https://localhost:{port}/keys"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def shows(self, keys: bytes) -> None:
        """From now on it has these keys."""
        self.reply = answer(keys)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append({name.lower(): value for name, value in self.headers.items()})
                with contextlib.suppress(OSError):
                    outer.reply(self)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler

    def __enter__(self) -> KeyServer:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _context(authority: Authority, folder: Path) -> ssl.SSLContext:
    pair = authority.issue("localhost", "127.0.0.1")
    (folder / "certificate.pem").write_bytes(pair.certificate_pem)
    (folder / "key.pem").write_bytes(pair.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context
