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
        except (defer.TimeoutError, CancelledError):
            raise KeysUnavailable(f"{url} took longer than {FETCH_SECONDS:g} seconds") from None
        except Exception as error:
            raise KeysUnavailable(f"{url} cannot be read: {_reason(error)}") from error

    return fetch


async def _get(client: HTTPClient, url: str) -> bytes:
    response: Any = await client.get(
        url, headers=Headers({"Accept": ["application/json"]}), allow_redirects=False, unbuffered=True
    )
    body = _Body()
    if response.code != 200:
        body.limit = 0
        response.deliverBody(body)
        body.finish(KeysUnavailable(f"{url} answered {response.code}, not 200"))
    else:
        response.deliverBody(body)
    return await body.finished


def _reason(error: BaseException) -> str:
    reasons = getattr(error, "reasons", None)  # Twisted's wrappers say nothing themselves
    if reasons:
        return _reason(reasons[0].value)
    return str(error) or type(error).__name__


class _Body(Protocol):
    """Collects a body of at most `limit` bytes; whatever ends `finished` early ends the connection."""

    limit = MAX_BYTES

    def __init__(self) -> None:
        self.finished: Deferred[bytes] = Deferred(lambda _: self._leave())
        self._octets = bytearray()

    def dataReceived(self, data: bytes) -> None:
        self._octets += data
        if len(self._octets) > self.limit:
            self.finish(KeysUnavailable(f"the key set is larger than {self.limit} bytes"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self.finished.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.finished.callback(bytes(self._octets))
        else:
            self.finished.errback(reason)

    def finish(self, error: KeysUnavailable) -> None:
        """Give up, because of that."""
        if not self.finished.called:
            self._octets.clear()
            self.finished.errback(error)
            self._leave()

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
