"""The other nodes, as the intake sees them: what they have handled, and what they must know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults, succeed
from twisted.python.failure import Failure

from rtwist.cluster.bus import Bus
from rtwist.cluster.follower import Follower
from rtwist.cluster.outage import Outage
from rtwist.cluster.seen import SharedWindow


class Published:
    """For `AllNodes`: whether what was published on `bus` since the last call is on its way."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._since = bus.position

    def __call__(self) -> Deferred[None]:
        """See `Bus.settled`."""
        since, self._since = self._since, self._bus.position
        return self._bus.settled(since)


class AllNodes:
    """The `Peers` of an intake whose window is `window`.

    An event counts as handled once Redis has its emissions, the ids, and what `followers` put because of it;
    those `behind` put theirs after the emissions, which is what they wait for.
    `published` says when it has the emissions: they must be sent before ids are, over one connection. While the
    operator wants only this node served, nothing is waited for.
    """

    def __init__(
        self,
        outage: Outage,
        window: SharedWindow,
        followers: Sequence[Follower],
        published: Callable[[], Deferred[None]] = lambda: succeed(None),
        *,
        behind: Sequence[Follower] = (),
    ) -> None:
        self._behind = behind
        self._outage = outage
        self._window = window
        self._followers = followers
        self._published = published

    async def catch_up(self) -> None:
        """Know what other nodes have handled; raises `StoreFailed` if it is to wait for Redis."""
        if self._outage.waits_for_redis:
            for follower in (self._window.follower, *self._followers, *self._behind):
                await follower.catch_up()

    def settled(self) -> Deferred[None] | None:
        """See `Peers`; fails when it did not become certain, and then the ids are forgotten."""
        if not self._outage.waits_for_redis:
            return None
        published = self._published()
        records = [self._window.settled(), *(one.settled() for one in self._followers)]
        # Most have nothing to wait for, and each that is gathered costs as much as a message.
        open_ones = [part for part in records if not part.called or isinstance(part.result, Failure)]
        if len(open_ones) == 1:
            known: Deferred[Any] = open_ones[0]
        else:
            known = gatherResults(open_ones, consumeErrors=True).addErrback(_first)
        if not all(one.is_settled for one in self._behind):
            known.addCallback(lambda _: self._settle_behind())
        if published.called and not isinstance(published.result, Failure):
            return known.addCallback(lambda _: None)
        both: list[Deferred[Any]] = [published, known]
        return DeferredList(both, consumeErrors=True).addCallback(self._judge)

    def _settle_behind(self) -> Deferred[Any]:
        settling = [one.settled() for one in self._behind]
        return gatherResults(settling, consumeErrors=True).addErrback(_first)

    def _judge(self, results: list[tuple[bool, Any]]) -> Any:
        (was_published, why_not), (is_known, why_unknown) = results
        if not is_known:
            return why_unknown
        # What else the bus did not take must not hold up events.
        return None if was_published or self._window.publishes else why_not


def _first(failure: Failure) -> Failure:
    return failure.value.subFailure if isinstance(failure.value, FirstError) else failure
