"""Which web pages may talk to the server, and how it tells browsers so; pure (Fetch standard, section 3.2).

The same check holds for polling and WebSocket: browsers do not apply CORS to WebSockets, the server must.
"""

from __future__ import annotations

from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
ALLOWED_METHODS = "GET,POST"


class Cors:
    """The origin policy; `origins` is None for same origin only, `"*"` for any, or the allowed ones."""

    def __init__(self, origins: str | tuple[str, ...] | None) -> None:
        self.use(origins)

    def use(self, origins: str | tuple[str, ...] | None) -> None:
        """Go by these origins from now on."""
        self.enabled = origins is not None
        self._any = origins == "*" or (isinstance(origins, tuple) and "*" in origins)
        listed = origins if isinstance(origins, tuple) else ()
        self._origins = frozenset(_normal(origin) for origin in listed)

    def allows(self, origin: str | None, host: str | None) -> bool:
        """Whether a page of `origin` may use the server that the client calls `host`.

        A request without an Origin header comes from no page of another site and is allowed.
        """
        if origin is None or self._any:
            return True
        if self.enabled:
            return self._is_listed(origin)
        return host is not None and _same_host(origin, host)

    def headers(self, origin: str | None) -> list[tuple[str, str]]:
        """The CORS headers of any answer to a request from `origin`."""
        if not self.enabled:
            return []
        if self._any:
            return [("Access-Control-Allow-Origin", "*")]
        vary = ("Vary", "Origin")
        if origin is None or not self._is_listed(origin):
            return [vary]
        return [
            ("Access-Control-Allow-Origin", origin),
            vary,
            ("Access-Control-Allow-Credentials", "true"),
        ]

    def preflight_headers(self, origin: str | None, requested: str | None) -> list[tuple[str, str]]:
        """The headers of the answer to a preflight that asks for the `requested` headers."""
        headers = self.headers(origin)
        if not any(name == "Access-Control-Allow-Origin" for name, _ in headers):
            return headers
        headers.append(("Access-Control-Allow-Methods", ALLOWED_METHODS))
        if requested and has_only_header_characters(requested):
            headers += [
                ("Access-Control-Allow-Headers", requested),
                ("Vary", "Access-Control-Request-Headers"),
            ]
        return headers

    def _is_listed(self, origin: str) -> bool:
        # Nothing is trimmed, and nothing folded but ASCII: the origin is repeated to the client as it came.
        return origin.isascii() and origin.rstrip("/").lower() in self._origins


def has_only_header_characters(value: str) -> bool:
    """Whether `value` may stand in a header (RFC 9110, section 5.5): no control characters but tab."""
    return all(character == "\t" or (character >= " " and character != "\x7f") for character in value)


def _normal(origin: str) -> str:
    return origin.strip().rstrip("/").lower()


def _same_host(origin: str, host: str) -> bool:
    try:
        of_page = urlsplit(origin)
        of_server = urlsplit(f"{of_page.scheme}://{host}")
        default = _DEFAULT_PORTS.get(of_page.scheme)
        return bool(of_page.hostname) and (of_page.hostname, of_page.port or default) == (
            of_server.hostname,
            of_server.port or default,
        )
    except ValueError:
        return False
