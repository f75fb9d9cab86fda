"""Writing HTTP answers on twisted.web requests."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.web.server import NOT_DONE_YET, Request


def answer(request: Request, status: int, headers: Iterable[tuple[str, str]], body: bytes = b"") -> int:
    """Send a whole answer and finish `request`; returns what a resource's `render` must return."""
    request.setResponseCode(status)
    request.responseHeaders.removeHeader(b"content-type")
    for name, value in headers:
        request.responseHeaders.addRawHeader(name, value)
    request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(body)])
    request.write(b"" if request.method == b"HEAD" else body)
    request.finish()
    return NOT_DONE_YET
