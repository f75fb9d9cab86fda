"""The JavaScript client, served beside the server it talks to: `<script src="/socket.io/socket.io.js">`."""

from __future__ import annotations

from pathlib import Path

import msgspec
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from rtwist.engineio.answers import LongAnswer, answer, set_head
from rtwist.engineio.compression import choose_encoding, compress
from rtwist.engineio.packet import in_pieces
from rtwist.errors import ConfigError

_BUNDLES = ("socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js")


class ClientFile(Resource):
    """One file of the client, with the answers a Node server gives for it."""

    isLeaf = True

    def __init__(self, path: Path, version: str) -> None:
        super().__init__()
        self._body = path.read_bytes()
        self._forms: dict[str | None, tuple[bytes, ...]] = {}
        kind = "json" if path.suffix == ".map" else "javascript"
        self._etag = f'"{version}"'
        self._headers = [
            ("Cache-Control", "public, max-age=0"),
            ("Content-Type", f"application/{kind}; charset=utf-8"),
            ("ETag", self._etag),
        ]

    def render(self, request: Request) -> int:
        """The file, or 304 when the browser has it."""
        expected = (request.getHeader(b"if-none-match") or b"").decode("latin-1")
        if expected in (self._etag, f"W/{self._etag}"):
            return answer(request, 304, [])
        encoding = choose_encoding((request.getHeader(b"accept-encoding") or b"").decode("latin-1"))
        headers = [*self._headers, ("Vary", "Accept-Encoding")]
        if encoding is not None:
            headers.append(("Content-Encoding", encoding))
        pieces = self._pieces(encoding)
        if request.method == b"HEAD" or len(pieces) == 1:
            return answer(request, 200, headers, b"".join(pieces))
        set_head(request, 200, headers, sum(map(len, pieces)))
        LongAnswer(request, pieces, lambda done: None).start()
        return NOT_DONE_YET

    def _pieces(self, encoding: str | None) -> tuple[bytes, ...]:
        # Compressed once: anybody may ask for it, and it takes milliseconds.
        if encoding not in self._forms:
            self._forms[encoding] = in_pieces(self._body if encoding is None else compress(self._body, encoding))
        return self._forms[encoding]


def client_files(dist: Path) -> dict[str, ClientFile]:
    """The files of the client found in `dist`, by name.

    Raises `ConfigError` when `dist` is not the `dist` folder of the npm package socket.io-client.
    """
    version = _version(dist)
    names = [name + suffix for name in _BUNDLES for suffix in ("", ".map")]
    found = {name: ClientFile(dist / name, version) for name in names if (dist / name).is_file()}
    if not found:
        raise ConfigError(
            f"client_dist is {str(dist)!r}, where no socket.io.js is; "
            "give the dist folder of the npm package socket.io-client"
        )
    return found


def _version(dist: Path) -> str:
    try:
        package = msgspec.json.decode((dist.parent / "package.json").read_bytes())
        return str(package["version"])
    except (OSError, msgspec.MsgspecError, KeyError, TypeError):
        return "unknown"
