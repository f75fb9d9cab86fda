"""One GET to a key server: bounded in size and time, without redirects and without decompression."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import Agent, HTTPConnectionPool, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from rtwist.errors import KeysUnavailable

FETCH_SECONDS = 5.0
"""For the whole request; clients that connect wait for it."""

MAX_BYTES = 262_144
"""A key set has a few thousand."""


def key_server(reactor: IReactorTime, url: str) -> Callable[[], Awaitable[bytes]]:
    """A function that fetches the body at `url`; it raises `KeysUnavailable` when that cannot be had."""
    pool = HTTPConnectionPool(reactor, persistent=False)
    client = HTTPClient(_Uncompressed(Agent(reactor, connectTimeout=FETCH_SECONDS, pool=pool)))

    async def fetch() -> bytes:
        try:
            return await Deferred.fromCoroutine(_get(client, url)).addTimeout(FETCH_SECONDS, reactor)
        except KeysUnavailable:
            raise
        except (CancelledError, Exception) as error:
            cause = _cause(error)
            if isinstance(cause, defer.TimeoutError | CancelledError):
                raise KeysUnavailable(f"{url} took longer than {FETCH_SECONDS:g} seconds") from None
            raise KeysUnavailable(f"{url} cannot be read: {str(cause) or type(cause).__name__}") from error

    return fetch


async def _get(client: HTTPClient, url: str) -> bytes:
    response: Any = await client.get(
        url, headers=Headers({"Accept": ["application/json"]}), allow_redirects=False, unbuffered=True
    )
    body = _Body()
    response.deliverBody(body)
    if response.code != 200:
        body.finished.addErrback(lambda _: None)
        body.finished.cancel()
        raise KeysUnavailable(f"{url} answered {response.code}, not 200")
    return await body.finished


def _cause(error: BaseException) -> BaseException:
    reasons = getattr(error, "reasons", None)  # Twisted's wrappers say nothing themselves
    return _cause(reasons[0].value) if reasons else error


class _Body(Protocol):
    """Collects a body of at most `MAX_BYTES`; whatever ends `finished` early ends the connection."""

    def __init__(self) -> None:
        self.finished: Deferred[bytes] = Deferred(lambda _: self._leave())
        self._octets = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if len(self._octets) > MAX_BYTES and not self.finished.called:
            self._octets.clear()
            self.finished.errback(KeysUnavailable(f"the key set is larger than {MAX_BYTES} bytes"))
            self._leave()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.finished.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.finished.callback(bytes(self._octets))
        else:
            self.finished.errback(reason)

    def _leave(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


@implementer(IAgent)
class _Uncompressed:
    """Has answers come as they are: a few kilobytes, packed several times over, fill the memory."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - Twisted's name
    ) -> Deferred[IResponse]:
        headers = Headers() if headers is None else headers.copy()
        headers.setRawHeaders(b"Accept-Encoding", [b"identity"])
        return self._agent.request(method, uri, headers, bodyProducer).addCallback(self._as_it_is)

    def _as_it_is(self, response: IResponse) -> IResponse:
        if response.headers.getRawHeaders(b"Content-Encoding", [b"identity"]) != [b"identity"]:
            # Without the header nobody unpacks it, and what is packed is no key set.
            response.headers.removeHeader(b"Content-Encoding")
        return response
