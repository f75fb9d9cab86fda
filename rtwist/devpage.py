"""The page that `--dev` serves at `/`: watch events arrive, publish one, without any other program."""

from __future__ import annotations

import re
import secrets
from ipaddress import IPv6Address, ip_address
from pathlib import Path

import msgspec
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Request

from rtwist.engineio.answers import answer

_TEMPLATE = Path(__file__).with_name("dev.html")
_NONCE = "@NONCE@"
_SETTINGS = "@SETTINGS@"
_LOCAL_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)
_TEXT = ("Content-Type", "text/plain; charset=utf-8")
_HTML = ("Content-Type", "text/html; charset=utf-8")
_ALWAYS = (
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)


def dev_page(token: str, api_key: str, *, path: str = "/socket.io/") -> Resource:
    """The page as a leaf resource; `path` is where the Socket.IO server lives.

    The page holds both secrets, so it must stand before everything that adds CORS headers or rewrites Host.
    """
    return _DevPage({"token": token, "apiKey": api_key, "path": path})


class _DevPage(Resource):
    isLeaf = True

    def __init__(self, settings: dict[str, str]) -> None:
        super().__init__()
        template = _TEMPLATE.read_text(encoding="utf-8")
        self._html = template.replace(_SETTINGS, script_safe_json(settings))

    def render(self, request: Request) -> int:
        """The page, or in a line of text why not."""
        if request.method not in (b"GET", b"HEAD"):
            return answer(request, 405, [_TEXT, ("Allow", "GET, HEAD"), *_ALWAYS], b"only GET\n")
        host = request.getHeader("host") or ""
        reason = why_not(request, host)
        if reason is not None:
            return answer(request, 403, [_TEXT, *_ALWAYS], f"{reason}\n".encode())
        nonce = secrets.token_urlsafe(16)
        headers = [_HTML, ("Content-Security-Policy", _policy(nonce, host)), *_ALWAYS]
        return answer(request, 200, headers, self._html.replace(_NONCE, nonce).encode())


def why_not(request: IRequest, host: str) -> str | None:
    """Why the secrets must not be shown to who sent `request` for `host`; None when they may be.

    A page of another site can make its own name resolve to 127.0.0.1 (DNS rebinding) and then read what is
    served there; its name still stands in Host. It can also ask by `fetch`, which sends Origin.
    """
    proxied = request.getHeader("x-forwarded-for") or request.getHeader("forwarded")
    if proxied or not is_loopback(getattr(request.getClientAddress(), "host", None)):
        return "this page is only for the machine the server runs on"
    if not _LOCAL_HOST.fullmatch(host):
        return "open this page as http://localhost, with the server's port"
    origin = request.getHeader("origin")
    if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
        return "this page is not for pages of other sites"
    return None


def is_loopback(address: str | None) -> bool:
    """Whether `address` is this machine talking to itself, by IPv4, IPv6 or IPv4 inside IPv6."""
    try:
        found = ip_address(address or "")
    except ValueError:
        return False
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped.is_loopback
    return found.is_loopback


def script_safe_json(value: object) -> str:
    """`value` as JSON that means the same inside a script element: without `<`, `>`, `&` and line separators."""
    text = msgspec.json.encode(value).decode()
    return re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _policy(nonce: str, host: str) -> str:
    # Not every browser counts WebSockets of the same host as 'self'.
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
        f"connect-src 'self' ws://{host} wss://{host}; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
