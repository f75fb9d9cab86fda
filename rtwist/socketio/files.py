"""The JavaScript client, served beside the server it talks to: `<script src="/socket.io/socket.io.js">`."""

from __future__ import annotations

from pathlib import Path

import msgspec
from twisted.web.resource import Resource
from twisted.web.server import Request

from rtwist.engineio.answers import answer
from rtwist.engineio.compression import choose_encoding, compress
from rtwist.errors import ConfigError

_BUNDLES = ("socket.io.js", "socket.io.min.js", "socket.io.esm.min.js", "socket.io.msgpack.min.js")


class ClientFile(Resource):
    """One file of the client, with the answers a Node server gives for it."""

    isLeaf = True

    def __init__(self, path: Path, version: str) -> None:
        super().__init__()
        self._body = path.read_bytes()
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
        if encoding is None:
            return answer(request, 200, self._headers, self._body)
        headers = [*self._headers, ("Content-Encoding", encoding), ("Vary", "Accept-Encoding")]
        return answer(request, 200, headers, compress(self._body, encoding))


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
