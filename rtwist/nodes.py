"""This node's part in a cluster: what makes one service of several processes, put together."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from rtwist.auth.revocation import Revocations, RevokedTokens
from rtwist.authorities import read_authorities
from rtwist.cluster.adapter import ClusterAdapter
from rtwist.cluster.agreement import Agreement
from rtwist.cluster.classic.adapter import NODE_BYTES, ClassicAdapter
from rtwist.cluster.deliveries import Deliveries, KeptLimits
from rtwist.cluster.directory import BEATS_PER_LEASE, Directory, directory_limits
from rtwist.cluster.eventlog import NodeLog
from rtwist.cluster.follower import Follower
from rtwist.cluster.hearing import Hearing
from rtwist.cluster.outage import Outage, Standing, Turn
from rtwist.cluster.peers import AllNodes, Published
from rtwist.cluster.presence import ClusterPresence
from rtwist.cluster.records import RecordLimits
from rtwist.cluster.redislog import RedisLog
from rtwist.cluster.redisrecords import RedisRecords
from rtwist.cluster.redisroll import RedisRoll
from rtwist.cluster.roll import RENEWALS_PER_LEASE
from rtwist.cluster.seen import IDLE_SECONDS, SharedWindow
from rtwist.cluster.settings import ClusterSettings
from rtwist.cluster.sharded.adapter import ShardedAdapter
from rtwist.cluster.truths import SharedEffects, SharedOwners, SharedRevocations
from rtwist.config import Config
from rtwist.domain.owners import OrderBook
from rtwist.domain.router import OwnerStore
from rtwist.engineio.forwarding import Forwarder
from rtwist.errors import StoreFailed
from rtwist.gateway import Gateway
from rtwist.intake.intake import LiveSockets, Peers
from rtwist.intake.window import Window
from rtwist.redis.bus import RedisBus
from rtwist.redis.client import Redis, RedisOptions
from rtwist.redis.wire import WireOptions
from rtwist.socketio import Server
from rtwist.socketio.namespace import Namespace
from rtwist.tasks import Tasks
from rtwist.trouble import Trouble

FOLLOW_SECONDS = 2.5
"""From one look at what other nodes have put to the next, in case the message that tells of it was lost."""
PROTOCOL_LEASES = 3
"""For which it is remembered how nodes spoke: restarted with another setting, all complain so long."""
_EFFECTS = RecordLimits(size=10_000, seconds=86_400.0)
"""A node that was cut off for longer, or from more, has its clients keep the places of their tokens."""
_MONTH = 30 * 86_400.0


class Truths(NamedTuple):
    """What must be known to say who may connect and what may be seen; `presence` is None on a single node."""

    revocations: Revocations
    owners: OwnerStore
    presence: ClusterPresence | None = None


class Shares(NamedTuple):
    """What the intake needs to act for all nodes: see its arguments of these names."""

    live: LiveSockets
    window: Window
    peers: Peers | None = None


def local_truths(config: Config) -> Truths:
    """What a single node knows."""
    return Truths(*_memory(config))


def _memory(config: Config) -> tuple[RevokedTokens, OrderBook]:
    """Where it is remembered; the answers in a cluster come from the same memory."""
    leeway = config.tokens.leeway
    return (
        RevokedTokens(config.revocation_window, config.revocation_size, leeway=leeway),
        OrderBook(config.max_orders),
    )


class Nodes(MultiService):
    """The connection to the other nodes, and what is shared with them.

    `adapter` is called for each namespace; then `truths` and `share`, once each.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime, settings: ClusterSettings) -> None:
        super().__init__()
        self.node = secrets.token_urlsafe(NODE_BYTES)
        self._reactor = reactor
        self._settings = settings
        self._redis = Redis(reactor, settings.address, ca_file=settings.ca_file, options=_redis_options(settings))
        self._redis.setServiceParent(self)
        self._redis.watch(self._redis_changed)
        self._bus = RedisBus(
            self._redis,
            sharded=settings.sharded,
            max_waiting=settings.max_waiting,
            max_waiting_bytes=settings.max_waiting_bytes,
        )
        self._tasks = Tasks()
        self._outage = Outage(settings.away)
        self._adapters: list[ClusterAdapter] = []
        self._followers: list[Follower] = []
        self._presence: ClusterPresence | None = None
        self._directory: Directory | None = None
        self._forwarder: Forwarder | None = None
        self._hearing: Hearing | None = None
        protocol = f"--cluster {settings.protocol} --cluster-key {settings.key}"
        lease = PROTOCOL_LEASES * settings.lease
        self._agreement = Agreement(self._redis, f"{settings.prefix}:adapter", protocol, lease)
        self._every(settings.lease / 2, self._look_at_protocol)
        self._told = Trouble()
        self._why = ""
        self._every(FOLLOW_SECONDS, self._look)

    # How it stands

    @property
    def state(self) -> str:
        """`connected`, `catching up`, with the reason when that fails, or `connecting: ` and why it is not."""
        if self._outage.standing is not Standing.CATCHING_UP:
            return self._redis.state
        return f"catching up: {self._why}" if self._why else "catching up"

    @property
    def address(self) -> str:
        """Where Redis is, without a password."""
        return str(self._settings.address)

    @property
    def serves(self) -> bool:
        """Whether this node takes part in the service, as the operator wants it."""
        return self._outage.consumes

    @property
    def position(self) -> int:
        """How much has been published."""
        return self._bus.position

    async def settled(self, since: int) -> None:
        """Return once Redis has what was published since then, at once where nobody is to wait for Redis.

        Raises `BusError` when it may not have it.
        """
        if self._outage.waits_for_redis:
            await self._bus.settled(since)

    def as_dict(self) -> dict[str, Any]:
        """What /ready says of the cluster."""
        counts: dict[str, int] = {}
        for adapter in self._adapters:
            for name, count in adapter.counts.items():
                counts[f"unreadable_{name}"] = counts.get(f"unreadable_{name}", 0) + count
        found = {"node": self.node, **self._bus.counts, **counts}
        if self._agreement.other is not None:
            found |= {"disagreement": f"others speak {self._agreement.other}"}
        if self._hearing is not None:
            found |= {"late": self._hearing.late, "gaps": self._hearing.gaps}
        if self._directory is not None and self._forwarder is not None:
            found |= {"others": len(self._directory), "forwarding": self._forwarder.as_dict()}
        return found

    def when_held(self, hold: Callable[[str], None], go_on: Callable[[], None]) -> None:
        """Call `hold` with the reason whenever no event may be taken in, at once if it is so, then `go_on`."""

        def changed(consumes: bool) -> None:
            if consumes:
                go_on()
            else:
                hold("the other nodes cannot be reached (--redis-away hold)")

        self._outage.changed = changed
        if not self._outage.consumes:
            changed(False)

    # The parts

    def adapter(self, namespace: Namespace) -> ClusterAdapter:
        """The rooms of a namespace, here and at the other nodes."""
        settings = self._settings
        kind = partial(ShardedAdapter, mode=settings.mode) if settings.sharded else ClassicAdapter
        adapter: ClusterAdapter = kind(
            namespace,
            self._bus,
            node=self.node,
            requests_timeout=settings.requests_timeout,
            key=settings.key,
            limits=settings.limits,
        )
        self._adapters.append(adapter)
        return adapter

    def truths(self, io: Server, config: Config) -> Truths:
        """What every node must know, kept by all of them."""
        tasks = self._tasks
        revoked = self._records("revocations", RecordLimits(config.revocation_size, config.revocation_window))
        owned = self._records("owners", RecordLimits(config.max_orders, _MONTH))
        here = _memory(config)
        self._revocations = SharedRevocations(revoked, tasks, here[0], now=time.time)
        self._owners = SharedOwners(owned, tasks, here[1], now=time.time)
        self._follow("revocations", self._revocations.follower)
        self._follow("owners", self._owners.follower)
        return Truths(self._revocations, self._owners, self._make_presence(io))

    def share(self, io: Server, config: Config, gateway: Gateway) -> Shares:
        """What the intake shares with the other nodes; `truths` comes before."""
        self._revocations.dismiss = gateway.accounts.dismiss_all_revoked
        self._owners.changed = gateway.accounts.apply
        effects = SharedEffects(
            self._records("effects", _EFFECTS),
            self._tasks,
            gateway.accounts,
            node=self.node,
            kept=_EFFECTS,
            now=time.time,
        )
        self._follow("effects", effects.follower)
        window = self._make_window(io, config)
        followers = (self._revocations.follower, self._owners.follower)
        published, behind = Published(self._bus), (effects.follower,)
        return Shares(effects, window, AllNodes(self._outage, window, followers, published, behind=behind))

    def forwarder(self, mark: str, most: int) -> Forwarder | None:
        """The way to the sessions of other nodes, with this one's `mark`; None when they are not to know it.

        At most so many requests are forwarded at a time.
        """
        settings = self._settings
        if settings.advertise is None:
            return None
        records = self._records("nodes", directory_limits(settings.lease))
        directory = self._directory = Directory(
            records, self._tasks, self._reactor, mark=mark, address=settings.advertise, lease=settings.lease
        )
        self._bus.subscribe(self._channel("nodes"), lambda _, __: directory.look())
        self._every(settings.lease / BEATS_PER_LEASE, directory.beat)
        path = settings.advertise_ca_file
        self._forwarder = Forwarder(
            self._reactor,
            directory,
            timeout=settings.forward_timeout,
            most=most,
            trust=None if path is None else read_authorities(path),
        )
        return self._forwarder

    def _look_at_protocol(self) -> None:
        if self._redis.connected:
            look = self._agreement.look(self._reactor.seconds())
            self._tasks.start("comparing the protocols of the nodes", look)

    def startService(self) -> None:
        """Connect, and stay in touch."""
        super().startService()
        if self._hearing is not None:
            self._hearing.start()

    async def leave(self) -> None:
        """Tell the others, once the clients are gone, that nobody is here any more."""
        if self._presence is not None:
            await self._presence.leave()
        if self._directory is not None:
            self._directory.stop()
        if self._hearing is not None:
            self._hearing.stop()
        self._tasks.stop()
        await self.stopService()

    # Within

    def _make_presence(self, io: Server) -> ClusterPresence:
        channel = self._channel("presence")
        roll = RedisRoll(
            self._redis,
            f"{self._settings.prefix}:presence",
            channel,
            lease=self._settings.lease,
            publish=self._publish,
        )
        presence = self._presence = ClusterPresence(io, roll, self._bus, channel, self._tasks, node=self.node)
        self._every(self._settings.lease / RENEWALS_PER_LEASE, presence.beat)
        return presence

    def _every(self, seconds: float, look: Callable[[], object]) -> None:
        timer = TimerService(seconds, look)
        timer.clock = self._reactor
        timer.setServiceParent(self)

    @property
    def _publish(self) -> str:
        return "SPUBLISH" if self._settings.sharded else "PUBLISH"

    def _channel(self, name: str) -> str:
        # Messages know no databases: those of another one would tell of its users.
        database = self._settings.address.database
        return f"{self._settings.prefix}:{f'{database}:' if database else ''}{name}:news"

    def _records(self, name: str, limits: RecordLimits) -> RedisRecords:
        channel = self._channel(name)
        return RedisRecords(
            self._redis, f"{self._settings.prefix}:{name}", limits, channel, publish=self._publish
        )

    def _follow(self, name: str, follower: Follower) -> None:
        self._followers.append(follower)
        self._bus.subscribe(self._channel(name), lambda _, __: follower.catch_up_soon())

    def _make_window(self, io: Server, config: Config) -> SharedWindow:
        settings = self._settings
        kept = KeptLimits(settings.keep, settings.keep_bytes)
        deliveries = Deliveries(self._reactor.seconds, kept=kept)
        log = RedisLog(
            self._redis,
            f"{settings.prefix}:ids",
            RecordLimits(config.dedup_size, config.dedup_window, IDLE_SECONDS),
            self._channel("ids"),
            kept=kept,
            publish=self._publish,
        )
        window = SharedWindow(
            NodeLog(log, deliveries),
            self._tasks,
            time.time,
            config.dedup_window,
            config.dedup_size,
            deliveries=deliveries,
        )
        adapter: Any = io.root.adapter
        adapter.deliveries = deliveries
        self._hearing = Hearing(
            log,
            self._bus,
            adapter,
            deliveries,
            ids=window.follower,
            tasks=self._tasks,
            clock=self._reactor,
            now=time.time,
        )
        return window

    def _look(self) -> None:
        standing = self._outage.standing
        if standing is Standing.CATCHING_UP:
            self._tasks.start("catching up with the other nodes", self._catch_up())
        elif standing is Standing.JOINED:
            for follower in self._followers:
                follower.catch_up_soon()

    def _redis_changed(self, connected: bool) -> None:
        if connected:
            self._outage.turn(Turn.FOUND)
            if self._directory is not None:
                self._directory.beat()
            self._tasks.start("catching up with the other nodes", self._catch_up())
        else:
            self._outage.turn(Turn.LOST)
            if self._hearing is not None:
                self._hearing.lost()
            if self._presence is not None:
                self._presence.lost()

    async def _catch_up(self) -> None:
        try:
            for follower in self._followers:
                await follower.catch_up()
                follower.flush()
            if self._hearing is not None and self._redis.connected:  # now who may not hear it any more is gone
                await self._hearing.found()
        except StoreFailed as error:
            self._why = str(error)
            if self._told.is_news(self._why, self._reactor.seconds()):
                text = "what the other nodes know cannot be read yet, and is tried again: {error}"
                self._log.warn(text, error=self._why)
            return
        self._told.over()
        self._why = ""
        self._outage.turn(Turn.CAUGHT_UP)
        if self._presence is not None:
            self._presence.beat()


def _redis_options(settings: ClusterSettings) -> RedisOptions:
    wire = WireOptions(heartbeat=settings.heartbeat, timeout=settings.timeout, max_waiting=settings.max_waiting)
    return RedisOptions(wire=wire, check=settings.check)
