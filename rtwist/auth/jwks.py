"""The keys of a key server, fetched when they are needed and not more often than they may be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from rtwist.auth.publickeys import ALGORITHMS, PublicKey, keys_in_set
from rtwist.errors import KeysUnavailable
from rtwist.tasks import Tasks

DEFAULT_MAX_AGE = 600.0
"""A key that its issuer has withdrawn is trusted that long at most, while the key server answers."""

MIN_PAUSE = 30.0
"""Anybody can send tokens with a key id that nobody knows; they must not become requests to the key server."""

RETRY_PAUSE = 5.0
"""After a failure, as long as there are no keys at all."""


class JwksKeys:
    """What `fetch` brings, the body of a JSON Web Key Set, kept until the next one can be had.

    A token with a key id that is not known has it fetched anew, if the last time was `MIN_PAUSE` seconds ago; so
    does a use when the keys are older than `max_age` seconds. However many ask, one fetch is under way. Keys stay
    when it fails. `clock` returns seconds that do not jump; `tasks` runs the fetch, so that no client that leaves
    takes it along.
    """

    _log = Logger()
    algorithms = ALGORITHMS

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        tasks: Tasks,
        clock: Callable[[], float],
        max_age: float = DEFAULT_MAX_AGE,
    ) -> None:
        self._fetch = fetch
        self._tasks = tasks
        self._clock = clock
        self._max_age = max_age
        self._keys: Sequence[PublicKey] = ()
        self._fetched_at = -inf
        self._tried_at = -inf
        self._failure: str | None = None
        self._waiting: list[Deferred[None]] | None = None

    def inherit(self, former: JwksKeys) -> None:
        """Begin with the keys that `former` has: they count until the first are fetched here."""
        self._keys = former._keys

    def refresh(self) -> None:
        """Begin to fetch the keys, unless that is under way."""
        if self._waiting is None:
            self._waiting = []
            self._tried_at = self._clock()
            self._tasks.start("fetching keys", self._refresh())

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Any]:
        """Return the keys for the algorithm and the key id of the header; of the algorithm, if it names no key.

        Raises `KeysUnavailable` without any keys, and for a key id that is not known when the last fetch failed.
        """
        await self._be_current()
        found = self._matching(header)
        if found or "kid" not in header:
            return found
        if self._may_try(MIN_PAUSE):
            self.refresh()
        await self._wait()
        found = self._matching(header)
        if not found and self._failure is not None:
            raise KeysUnavailable(f"a key is not known, and the key server fails: {self._failure}")
        return found

    async def _be_current(self) -> None:
        age = self._clock() - self._fetched_at
        if age > self._max_age and self._may_try(MIN_PAUSE if self._keys else RETRY_PAUSE):
            self.refresh()
        if age > 2 * self._max_age:
            # Nobody has used them for long: they are not to be trusted while better ones may be on their way.
            await self._wait()
        if not self._keys:
            raise KeysUnavailable(f"there are no keys: {self._failure}")

    def _may_try(self, pause: float) -> bool:
        return self._clock() - self._tried_at >= pause

    async def _wait(self) -> None:
        if self._waiting is not None:
            until: Deferred[None] = Deferred()
            self._waiting.append(until)
            await until

    async def _refresh(self) -> None:
        try:
            self._take(await self._fetch())
        except (KeysUnavailable, ValueError) as reason:
            self._failure = str(reason)
            self._log.warn(
                "keys cannot be fetched: {reason}; {count} from before stay", reason=reason, count=len(self._keys)
            )
        except BaseException as reason:
            self._failure = repr(reason)
            raise
        finally:
            waiting, self._waiting = self._waiting, None
            for until in waiting or ():
                until.callback(None)

    def _take(self, octets: bytes) -> None:
        keys, left_out = keys_in_set(octets)
        if not keys:
            raise ValueError("the key set has no usable key" + "".join(f"; {why}" for why in left_out))
        self._keys, self._fetched_at, self._failure = keys, self._clock(), None
        self._log.info(
            "{count} keys fetched: {ids}{left_out}",
            count=len(keys),
            ids=[key.kid for key in keys],
            left_out="".join(f"; not used: {why}" for why in left_out),
        )

    def _matching(self, header: Mapping[str, Any]) -> list[Any]:
        fitting = [one for one in self._keys if one.algorithm == header["alg"]]
        if "kid" in header:
            fitting = [one for one in fitting if one.kid == header["kid"]]
        return [one.key for one in fitting]
