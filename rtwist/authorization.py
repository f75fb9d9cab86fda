"""Asking the operator's authorization URL who may be in which room."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import Any, NamedTuple, NoReturn, Protocol

import msgspec
import treq
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator
from twisted.logger import Logger
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseFailed, ResponseNeverReceived
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from rtwist.auth.identity import Identity
from rtwist.auth.policy import ASKABLE, REQUESTS, Kind, Room
from rtwist.errors import AuthorizationUnavailable
from rtwist.tasks import Tasks

DEFAULT_TIMEOUT = 5.0
"""Seconds, waiting for one's turn included: a person waits for the answer."""

DEFAULT_TTL = 60.0
"""Seconds: for so long somebody may stay in a room who would be refused now."""

DEFAULT_CACHE = 10_000
"""Answers kept, about 3 MB; one that was dropped is asked for again."""

DEFAULT_CONCURRENCY = 20
"""Requests at a time: what a small service answers without queueing."""

MAX_ANSWER_BYTES = 4096
"""The answer takes thirty."""

MIN_TTL = 1.0
"""Seconds; members are asked about again at this rate at most."""

_WARN_SECONDS = 10.0
"""Between two warnings: while the service is away, every request fails."""


@dataclass(frozen=True, slots=True)
class AuthorizationSettings:
    """Where to ask, about which kinds of rooms, and the bounds; `secret` is sent as a bearer token."""

    url: str
    kinds: tuple[Kind, ...]
    secret: str | None = field(default=None, repr=False)
    timeout: float = DEFAULT_TIMEOUT
    ttl: float = DEFAULT_TTL
    cache: int = DEFAULT_CACHE
    concurrency: int = DEFAULT_CONCURRENCY


def authorization_settings(values: Mapping[str, Any]) -> AuthorizationSettings | None:
    """The settings among the options' values, by name; None without a URL."""
    if values["authorization-url"] is None:
        return None
    return AuthorizationSettings(
        url=values["authorization-url"],
        kinds=tuple(ASKABLE[name] for name in values["authorization-for"]),
        secret=values["authorization-secret"],
        timeout=values["authorization-timeout"],
        ttl=values["authorization-ttl"],
        cache=values["authorization-cache"],
        concurrency=values["authorization-concurrency"],
    )


class Answer(NamedTuple):
    """Whether it was allowed, and until when that counts, in the seconds of the clock."""

    allow: bool
    until: float


class Authorizer(Protocol):
    """Decides in place of the table."""

    async def ask(self, identity: Identity, room: Room, *, again: bool = False) -> Answer:
        """Whether `identity` may be in `room`; `again` for an answer that is not a remembered one.

        Raises `AuthorizationUnavailable` when there is none.
        """


class _Question(msgspec.Struct, frozen=True, rename="camel"):
    """What is sent: who wants what."""

    user_id: str
    company_id: str | None
    shop_ids: tuple[str, ...]
    roles: tuple[str, ...]
    action: str
    room: str
    id: str


class _Reply(msgspec.Struct):
    """What must come back."""

    allow: bool
    ttl: float | None = None


class AuthorizationUrl:
    """Asks by POST, remembers the answers for a while, and has one request under way for one question.

    Whoever waits does so for at most `settings.timeout`, so no more wait than clients have asked in that time.
    """

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, settings: AuthorizationSettings, tasks: Tasks, agent: IAgent | None = None
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._tasks = tasks
        pool = HTTPConnectionPool(clock)
        pool.maxPersistentPerHost = settings.concurrency
        # It follows no redirects: the answer is worth what the URL's owner is worth.
        self._agent = agent or Agent(clock, connectTimeout=settings.timeout, pool=pool)
        self._cooperator = Cooperator(scheduler=lambda step: clock.callLater(0, step))
        self._slots = DeferredSemaphore(settings.concurrency)
        self._asking: dict[_Question, list[Deferred[Answer]]] = {}
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._warned_at = -_WARN_SECONDS
        self._failures = 0

    async def ask(self, identity: Identity, room: Room, *, again: bool = False) -> Answer:
        """The answer about `identity` in `room`; raises `AuthorizationUnavailable` without a usable one."""
        question = _question(identity, room)
        key = _digest(question)
        known = None if again else self._answers.get(key)
        if known is not None and known.until > self._clock.seconds():
            self._answers.move_to_end(key)
            return known
        mine: Deferred[Answer] = Deferred()
        waiting = self._asking.get(question)
        if waiting is None:
            self._asking[question] = [mine]
            self._tasks.start("asking the authorization URL", self._answer(question))
        else:
            waiting.append(mine)
        return await mine

    async def _answer(self, question: _Question) -> None:
        answer: Answer | AuthorizationUnavailable
        try:
            asked = Deferred.fromCoroutine(self._in_turn(question))
            answer = await asked.addTimeout(self._settings.timeout, self._clock, onTimeoutCancel=_too_late)
            self._remember(question, answer)
        except AuthorizationUnavailable as error:
            answer = self._failed(str(error))
        except CancelledError:
            answer = AuthorizationUnavailable("stopped")
        except ResponseFailed as error:
            said = "; ".join(reason.getErrorMessage() for reason in error.reasons)
            answer = AuthorizationUnavailable("stopped") if _cancelled(error) else self._failed(said)
        except Exception as error:  # whatever the network comes up with: to the client it is one and the same
            answer = self._failed(str(error) or type(error).__name__)
        for waiting in self._asking.pop(question):
            if isinstance(answer, Answer):
                waiting.callback(answer)
            else:
                waiting.errback(answer)

    async def _in_turn(self, question: _Question) -> Answer:
        async with self._slots:
            try:
                reply = await self._post(question)
            except ResponseNeverReceived as error:
                if _cancelled(error):
                    raise
                # The service has just closed a connection that was kept for reuse.
                reply = await self._post(question)
        longest = self._settings.ttl
        ttl = longest if reply.ttl is None else min(longest, max(MIN_TTL, reply.ttl))
        return Answer(reply.allow, self._clock.seconds() + ttl)

    async def _post(self, question: _Question) -> _Reply:
        headers = Headers({"Content-Type": ["application/json"], "Accept": ["application/json"]})
        if self._settings.secret is not None:
            headers.setRawHeaders("Authorization", [f"Bearer {self._settings.secret}"])
        producer = FileBodyProducer(BytesIO(msgspec.json.encode(question)), self._cooperator)
        response = await self._agent.request(b"POST", self._settings.url.encode(), headers, producer)
        body = await _body(response)
        if response.code != 200:
            raise AuthorizationUnavailable(f"it answers {response.code} rather than 200")
        try:
            # As text: what is skipped in bytes is not checked for being UTF-8.
            return msgspec.json.decode(body.decode("utf-8"), type=_Reply)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as reason:
            raise AuthorizationUnavailable(
                f"its answer is not {{allow: boolean, ttl?: number}}: {reason}"
            ) from None

    def _remember(self, question: _Question, answer: Answer) -> None:
        key = _digest(question)
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > self._settings.cache:
            self._answers.popitem(last=False)

    def _failed(self, reason: str) -> AuthorizationUnavailable:
        self._failures += 1
        now = self._clock.seconds()
        if now - self._warned_at >= _WARN_SECONDS:
            self._log.warn(
                "the authorization URL cannot be used, what it decides is refused: {reason} "
                "({failures} failures since the last warning)",
                reason=reason,
                failures=self._failures,
            )
            self._warned_at, self._failures = now, 0
        return AuthorizationUnavailable(reason)


def _too_late(_result: object, seconds: float) -> NoReturn:
    raise AuthorizationUnavailable(f"no answer within {seconds:g} seconds")


def _cancelled(error: ResponseFailed) -> bool:
    return any(reason.check(CancelledError) for reason in error.reasons)


async def _body(response: IResponse) -> bytes:
    """The body, as it came; one that is too long is cut off and refused."""
    body = bytearray()

    def collect(data: bytes) -> None:
        body.extend(data)
        if len(body) > MAX_ANSWER_BYTES:
            raise AuthorizationUnavailable(f"its answer is longer than {MAX_ANSWER_BYTES} bytes")

    await treq.collect(response, collect)
    return bytes(body)


def _digest(question: _Question) -> bytes:
    # What is remembered is small, however many shops somebody has.
    return sha256(msgspec.json.encode(question)).digest()


def _question(identity: Identity, room: Room) -> _Question:
    return _Question(
        identity.user_id,
        identity.company_id,
        identity.shop_ids,
        identity.roles,
        REQUESTS[room.kind],
        room.name,
        room.id,
    )
