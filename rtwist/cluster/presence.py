"""Who comes and goes, over all nodes: this node's users go on the roll, and its news to this node's companies."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from itertools import islice

from twisted.logger import Logger

from rtwist.auth.identity import Identity
from rtwist.cluster.bus import Bus
from rtwist.cluster.roll import SWEEP_USERS, News, Roll, Seat, read_news
from rtwist.domain.rooms import SUPER_ADMIN, company_room
from rtwist.emit import get_connected_users
from rtwist.engineio.tally import Tally
from rtwist.errors import Refused, RemoteProtocolError, StoreFailed
from rtwist.presence import sockets_of, tell
from rtwist.socketio import Server, Socket
from rtwist.tasks import Tasks

RETURN_SECONDS = 3.0
"""For clients that are sent away: socket.io-client tries to connect anew after 0.5 to 1.5 seconds."""


class ClusterPresence:
    """A `Presence`, and the `Users`, of all nodes that share `roll`, whose news come on `channel` of `bus`.

    Somebody must call `beat` a few times in a lease (`RENEWALS_PER_LEASE`), and at once when the store is back.
    `node` names this process as no other, before or after it. What one node tells is emitted by each node to its
    own sockets, in the order of the roll. A user who goes on one node and comes on another is never told in the
    wrong order; who comes and goes while the store has not answered is not told at all.
    """

    _log = Logger()

    def __init__(self, io: Server, roll: Roll, bus: Bus, channel: str, tasks: Tasks, *, node: str) -> None:
        self.unreadable = Tally()
        self._io = io
        self._roll = roll
        self._tasks = tasks
        self._node = node
        self._number = 0
        self._former: str | None = None
        self._entered = False
        self._working = False
        self._epoch = ""
        self._away: deque[tuple[float, str]] = deque()
        self._changed: dict[str, None] = {}
        self._sent: dict[str, frozenset[str]] = {}
        self._certain: dict[str, frozenset[str]] = {}
        self._told: dict[str, frozenset[str]] = {}
        bus.subscribe(channel, self._heard)

    # What the gateway calls

    def connected(self, socket: Socket, identity: Identity) -> None:
        """The socket has joined its rooms."""
        self._look(identity.user_id)

    def disconnected(self, identity: Identity) -> None:
        """A socket of that identity has left its rooms."""
        self._look(identity.user_id)

    def sent_away(self, identity: Identity, *, stopping: bool) -> None:
        """A socket was sent to another node: its user has gone when that is not reached in `RETURN_SECONDS`."""
        self._away.append((self._io.clock.seconds() + RETURN_SECONDS, identity.user_id))

    def moved(self, user_id: str, former: Iterable[str | None], present: Iterable[str | None]) -> None:
        """The companies of the user's live sockets have changed."""
        self._look(user_id)

    # Who is connected

    async def users(self) -> Collection[str]:
        """The ids of the users of all nodes, sorted; raises `Refused` while nobody knows."""
        try:
            return sorted(await self._roll.users())
        except StoreFailed:
            raise _NOBODY_KNOWS from None

    async def is_present(self, user_id: str) -> bool:
        """Whether the user has a socket at some node; raises `Refused` while nobody knows."""
        try:
            return await self._roll.is_present(user_id)
        except StoreFailed:
            raise _NOBODY_KNOWS from None

    # The lease

    def beat(self) -> None:
        """Renew the lease, and see to what dead nodes have left."""
        now = self._io.clock.seconds()
        while self._away and self._away[0][0] <= now:
            self._changed[self._away.popleft()[1]] = None
        if not self._working:
            self._tasks.start("renewing the lease of this node", self._work(renew=True))

    def lost(self) -> None:
        """The connection to the store is gone: it may know less when it is back."""
        self._entered = False

    async def leave(self) -> None:
        """Place those who have gone, and let the lease end soon: those just sent away have to come back first."""
        if not self._entered:
            return
        try:
            await self._place_all()
            await self._roll.leave(self._name, RETURN_SECONDS)
        except StoreFailed:
            pass  # the others see the lease end
        self._entered = False

    # Within

    def _look(self, user_id: str) -> None:
        if self._companies(user_id) == self._sent.get(user_id):
            return
        self._changed[user_id] = None
        if self._entered and not self._working:
            self._tasks.start("placing users on the roll", self._work(renew=False))

    def _companies(self, user_id: str) -> frozenset[str] | None:
        """The companies of the user's sockets here, None without any."""
        found = {socket.data["identity"].company_id for socket in sockets_of(self._io, user_id)}
        return frozenset(one for one in found if one is not None) if found else None

    async def _work(self, *, renew: bool) -> None:
        self._working = True
        try:
            if renew and self._entered:
                self._entered = await self._roll.renew(self._name)
            if not self._entered:
                await self._enter()
            await self._place_all()
            while renew and await self._roll.sweep():
                await self._place_all()
        except StoreFailed:
            self._entered = False  # whoever keeps the connection has said why
        finally:
            self._working = False
        if self._entered and self._changed:  # since the last look
            self._tasks.start("placing users on the roll", self._work(renew=False))

    @property
    def _name(self) -> str:
        return f"{self._node}.{self._number}"

    async def _enter(self) -> None:
        """Begin under a new name; the former one ends only when all are placed, so that nobody seems to go."""
        former = self._name if self._number else None
        self._number += 1
        entered = await self._roll.enter(self._name, self._epoch)
        if entered.lost:
            self._told = {**self._certain, **self._told}
            self._log.info("the store has lost who is connected: this node tells it again")
        self._epoch, self._entered, self._former = entered.epoch, True, former
        users = dict.fromkeys([*self._certain, *self._sent, *get_connected_users(self._io)])
        self._changed = {**users, **self._changed, **dict.fromkeys(self._told)}

    async def _place_all(self) -> None:
        while self._changed:
            users = list(islice(self._changed, SWEEP_USERS))
            seats = [Seat(user, self._companies(user), self._told.get(user, frozenset())) for user in users]
            for seat in seats:
                del self._changed[seat.user_id]
                _note(self._sent, seat)
            placed = False
            try:
                placed = await self._roll.place(self._name, seats)
            finally:
                if not placed:
                    self._changed = {**dict.fromkeys(users), **self._changed}
            if not placed:
                await self._enter()
                continue
            for seat in seats:
                _note(self._certain, seat)
                self._told.pop(seat.user_id, None)
        if self._former is not None:
            await self._roll.leave(self._former)
            self._former = None

    def _heard(self, channel: str, message: bytes) -> None:
        try:
            news = read_news(message)
        except RemoteProtocolError as error:
            if self.unreadable.add("news", self._io.clock.seconds()):
                self._log.warn("on {channel}: {error}", channel=channel, error=str(error))
            return
        for one in news:
            self._tell("presence:offline", one, one.gone, admins=one.last)
            self._tell("presence:online", one, one.came, admins=one.first)

    def _tell(self, event: str, news: News, companies: Iterable[str], *, admins: bool) -> None:
        rooms = tuple(map(company_room, companies))
        if rooms:
            tell(self._io, event, news.user, (*rooms, SUPER_ADMIN) if admins else rooms, news.at / 1000)


_NOBODY_KNOWS = Refused("unavailable", "who is connected to the other nodes is not known at the moment")


def _note(users: dict[str, frozenset[str]], seat: Seat) -> None:
    if seat.companies is None:
        users.pop(seat.user_id, None)
    else:
        users[seat.user_id] = frozenset(seat.companies)
