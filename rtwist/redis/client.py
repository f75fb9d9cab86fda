"""Redis for the rest of the program: commands and messages, on two connections that are kept up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from rtwist.errors import RedisError, RedisLost, RedisReplyError, RedisTimeout
from rtwist.redis.address import RedisAddress
from rtwist.redis.link import CONNECTED, Link
from rtwist.redis.subscriptions import CHANNEL, PATTERN, SHARD, Heard, Subscriptions
from rtwist.redis.ways import Ways
from rtwist.redis.wire import SubscriberWire, Wire, WireOptions

__all__ = ["CHANNEL", "PATTERN", "SHARD", "Redis", "RedisOptions"]

Argument = str | bytes | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """How the connections are kept.

    - `wire`: heartbeats and bounds of each.
    - `check`: seconds from one check that subscriptions are heard to the next.
    - `echo_prefix`: of the channel that this is done by; an ACL user needs a right to `&rtwist-echo:*`.
    """

    wire: WireOptions = field(default_factory=WireOptions)
    check: float = 5.0
    echo_prefix: str = "rtwist-echo:"


class Redis(Service):
    """One connection for commands and publishing, in the order of the calls, and one for subscriptions.

    Both begin with `startService` and end with `stopService`; nothing that is asked while they are away waits for
    them. `since` is when `state` last changed between connected and not (seconds of the reactor).

    Raises `ConfigError` for a `ca_file` that holds no certificates.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        address: RedisAddress,
        *,
        ca_file: Path | None = None,
        options: RedisOptions | None = None,
    ) -> None:
        self.address = address
        self.since = reactor.seconds()
        self._reactor = reactor
        self._options = options or RedisOptions()
        self._connected = False
        self._listeners: list[Callable[[bool], None]] = []
        self._waiting: list[Deferred[None]] = []
        self._digests: dict[str, str] = {}
        self._echo_number = 0
        self._echo: tuple[bytes, Deferred[None]] | None = None
        self.subscriptions = Subscriptions(self._echoed, self._options.echo_prefix)
        wire = self._options.wire
        ways = [Ways(reactor, address, wire, ca_file) for _ in range(2)]
        self.commands: Link[Wire] = Link(
            reactor, ways[0], self._make_wire, name="commands", timeout=wire.timeout, prepare=self._prepare,
            changed=self._changed,
        )  # fmt: skip
        self.subscriber: Link[SubscriberWire] = Link(
            reactor, ways[1], self._make_subscriber, name="subscriber", timeout=wire.timeout,
            prepare=self.subscriptions.bring_to, changed=self._changed,
        )  # fmt: skip
        self._checking = LoopingCall(lambda: Deferred.fromCoroutine(self._check()))
        self._checking.clock = reactor

    # Being there

    @property
    def connected(self) -> bool:
        """Whether commands can be sent and everything subscribed to is heard."""
        return self.commands.wire is not None and self.subscriber.wire is not None

    @property
    def state(self) -> str:
        """`connected`, or `connecting: ` and why it is not."""
        return self.commands.state if self.commands.state != CONNECTED else self.subscriber.state

    def watch(self, listener: Callable[[bool], None]) -> None:
        """Call `listener` with each change of `connected`; it must not raise."""
        self._listeners.append(listener)

    def when_connected(self) -> Deferred[None]:
        """Fires once `connected`; can be cancelled."""
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        self._tell_waiting()
        return waiting

    def startService(self) -> None:
        """Connect, and keep connected."""
        super().startService()
        self.commands.start()
        self.subscriber.start()
        self._checking.start(self._options.check, now=False)

    def stopService(self) -> None:
        """Close both connections; what waits for an answer fails with `RedisLost`."""
        super().stopService()
        if self._checking.running:
            self._checking.stop()
        self.subscriber.stop()
        self.commands.stop()
        self._changed()

    # Asking

    def call(self, *args: Argument) -> Deferred[Any]:
        """Send a command; its answer: bytes, int, None, or a list of such, in the order of the calls.

        Fails with `RedisLost` (at once while there is no connection), `RedisBusy`, or `RedisReplyError`.
        """
        wire = self.commands.wire
        if wire is None:
            return fail(RedisLost(f"there is no connection to {self.address}: {self.commands.trouble}"))
        return wire.call(*args)

    def publish(self, channel: str, message: bytes, *, sharded: bool = False) -> Deferred[Any]:
        """Publish; once Redis confirms it, how many connections it went to there. Fails as `call` does."""
        return self.call("SPUBLISH" if sharded else "PUBLISH", channel, message)

    def flush(self) -> None:
        """Hand what was sent in this turn of the reactor to the operating system, as far as it takes it now."""
        wire = self.commands.wire
        if wire is not None:
            wire.flush()

    async def evaluate(self, script: str, keys: Sequence[str] = (), args: Sequence[Argument] = ()) -> Any:
        """Run a Lua script by its digest, or by its text where Redis does not have it (any more)."""
        digest = self._digests.get(script)
        if digest is None:
            digest = self._digests[script] = sha1(script.encode()).hexdigest()  # noqa: S324 - as Redis does
        try:
            return await self.call("EVALSHA", digest, len(keys), *keys, *args)
        except RedisReplyError as error:
            if error.code != "NOSCRIPT":
                raise
        return await self.call("EVAL", script, len(keys), *keys, *args)

    # Hearing

    def subscribe(self, kind: bytes, name: str, heard: Heard) -> None:
        """Call `heard` with each message of `name`: a CHANNEL, PATTERN, or SHARD channel; see `Subscriptions`."""
        self.subscriptions.add(kind, name, heard)

    def unsubscribe(self, kind: bytes, name: str) -> None:
        """Hear no more of it."""
        self.subscriptions.remove(kind, name)

    async def subscribed(self) -> None:
        """Return once Redis has confirmed every subscription so far; raises `RedisLost` while it is away."""
        wire = self.subscriber.wire
        if wire is None:
            raise RedisLost(f"there is no connection to {self.address}: {self.subscriber.trouble}")
        await wire.call("PING")  # answered behind all that was asked before

    # Within

    def _make_wire(self, where: str, host: str) -> Wire:
        return Wire(self._reactor, self._options.wire, where, host)

    def _make_subscriber(self, where: str, host: str) -> SubscriberWire:
        return SubscriberWire(self._reactor, self._options.wire, where, host, message=self.subscriptions.message)

    def _changed(self) -> None:
        if self._connected is self.connected:
            return
        self._connected = self.connected
        self.since = self._reactor.seconds()
        for listener in tuple(self._listeners):
            listener(self._connected)
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        while self._waiting and self.connected:
            self._waiting.pop(0).callback(None)

    async def _prepare(self, wire: Wire) -> None:
        await wire.must("PUBLISH", self.subscriptions.echo, b"")

    async def _check(self) -> None:
        """See that what is published is heard here; a deaf connection ends, to be made anew."""
        publisher, subscriber = self.commands.wire, self.subscriber.wire
        if publisher is None or subscriber is None:
            return
        try:
            await self.subscriptions.count(subscriber)
        except RedisError as error:
            subscriber.fail(RedisLost(f"deaf: {error}"))
            return
        self._echo_number += 1
        self._echo = (b"%d" % self._echo_number, Deferred())
        echo = self._echo[1].addTimeout(self._options.wire.timeout, self._reactor)
        publisher.call("PUBLISH", self.subscriptions.echo, self._echo[0]).addErrback(_trap_redis)
        try:
            await echo
        except DeadlinePassed:
            # Perhaps they are at two servers, and either may be the wrong one.
            deaf = RedisTimeout(
                f"deaf: this node's own message did not come within {self._options.wire.timeout:g} s"
            )
            for wire in (publisher, subscriber):
                wire.fail(deaf)

    def _echoed(self, message: bytes) -> None:
        if self._echo is not None and self._echo[0] == message and not self._echo[1].called:
            self._echo[1].callback(None)


def _trap_redis(failure: Failure) -> None:
    failure.trap(RedisError)
