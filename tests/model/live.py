"""The model of a service over time: clients come, subscribe, are moved or sent away, and go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from tests.model.payloads import Data
from tests.model.section4 import SUPER_ADMIN, Section4, Told, Viewer

DISCONNECTED = "(disconnected)"
"""Stands in a history where the server sends the client away."""
GONE = ("deactivated", "deleted")
OF_CLIENTS = (DISCONNECTED, "presence:", "auth:")
"""How the names of what is told because of clients begin, not because of what an event says."""
BETWEEN = -1
"""The number of what happened between events."""


class Heard(NamedTuple):
    """Something that reached a client: because of which event, by number, and what; see `Told`."""

    cause: int
    emission: str
    data: Any
    certain: bool = True


class Live(Section4):
    """Keeps what every client must have heard, by its name, in order.

    What is told of presence has no timestamp, for it is the server's own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: dict[str, list[Heard]] = defaultdict(list)
        self._seen: set[str] = set()

    # What happens

    def event(self, number: int, domain: str, action: str, data: Data, *, event_id: str, at: str) -> int:
        """An event is published, and as many get what it causes; one whose id was seen before is none."""
        if event_id in self._seen:
            return 0
        self._seen.add(event_id)
        return self._record(number, self.receive(domain, action, data, at))

    def join(self, viewer: Viewer) -> None:
        """A client has connected."""
        self._add(viewer)
        self._record(BETWEEN, self._presence("online", viewer))

    def leave(self, viewer: Viewer) -> None:
        """A client has gone of its own accord."""
        self._record(BETWEEN, self._gone(viewer))

    def ask(self, viewer: Viewer, request: str, subject: str) -> Data:
        """A client subscribes or unsubscribes: the acknowledgement it must get, an error without its message."""
        verb, _, what = request.partition("_")
        name = {"order": "orders", "inventory": "products", "transfer": "transfers"}[what]
        room = {"order": "order", "inventory": "product", "transfer": "transfer"}[what]
        answer: Data = {"success": True, "room": f"{room}:{subject}"}
        if verb == "subscribe":
            refused = self._refused(viewer, what, subject)
            if refused:
                return {"success": False, "error": {"code": refused}}
            if self._pending(viewer, what, subject):
                answer["pending"] = True
        self._change(viewer, name, subject, wanted=verb == "subscribe")
        return answer

    # Within

    def _record(self, cause: int, happened: Iterable[Told]) -> int:
        """Note what is told; how many get what is no news of clients themselves."""
        receivers = 0
        for told in happened:
            heard = Heard(cause, told.emission, told.data, told.certain)
            for viewer in told.to:
                self.heard[viewer.name].append(heard)
            if not told.emission.startswith(OF_CLIENTS):
                receivers += len(told.to)
        return receivers

    def _change(self, viewer: Viewer, name: str, subject: str, *, wanted: bool) -> None:
        self._remove(viewer)
        followed: set[str] = getattr(viewer, name)
        (followed.add if wanted else followed.discard)(subject)
        self._add(viewer)

    def _refused(self, viewer: Viewer, what: str, subject: str) -> str | None:
        if what == "order" and self.known(subject) and not self.entitled(viewer, subject):
            return "forbidden"
        if what == "transfer" and not self._may_follow_transfers(viewer):
            return "forbidden"
        return None

    def _pending(self, viewer: Viewer, what: str, subject: str) -> bool:
        return what == "transfer" or (what == "order" and not self.entitled(viewer, subject))

    def _may_follow_transfers(self, viewer: Viewer) -> bool:
        return bool(viewer.company or viewer.shops or viewer.admin)

    def _user(self, action: str, data: Data, at: str) -> Iterator[Told]:
        yield from super()._user(action, data, at)
        mine = sorted(self._who("user", data["userId"]), key=lambda viewer: viewer.name)
        if action in GONE:
            for viewer in mine:
                yield Told(DISCONNECTED, None, {viewer})
                yield from self._gone(viewer)
        elif action == "updated":
            yield from self._moved(data["userId"], mine, lambda viewer: self._place(viewer, data))

    def _gone(self, viewer: Viewer) -> Iterator[Told]:
        self._remove(viewer)
        yield from self._presence("offline", viewer)

    def _moved(self, user: str, mine: list[Viewer], place: Callable[[Viewer], None]) -> Iterator[Told]:
        """Each of the clients `mine`, which are all of the user's, is placed anew."""
        before = {viewer.company for viewer in mine}
        for viewer in mine:
            self._remove(viewer)
            place(viewer)
            self._add(viewer)
        after = {viewer.company for viewer in mine}
        for company in sorted(filter(None, before - after)):
            yield self._told("offline", user, self._who("company", company))
        for company in sorted(filter(None, after - before)):
            yield self._told("online", user, self._who("company", company))

    def _place(self, viewer: Viewer, data: Data) -> None:
        places = (viewer.company, viewer.shops, viewer.roles)
        if "companyId" in data:
            viewer.company = data["companyId"]
        if "shopIds" in data:
            viewer.shops = tuple(data["shopIds"])
        if "role" in data:
            viewer.roles = (data["role"],) if data["role"] else ()
        if places == (viewer.company, viewer.shops, viewer.roles):
            return
        # What is theirs no longer is followed no longer, also when they come back.
        lost = {each for each in viewer.orders if self.known(each) and not self.entitled(viewer, each)}
        viewer.orders -= lost
        if not self._may_follow_transfers(viewer):
            viewer.transfers.clear()

    # Presence

    def _presence(self, word: str, viewer: Viewer) -> Iterator[Told]:
        others = {other.company for other in self._who("user", viewer.user) if other is not viewer}
        if viewer.company is None or viewer.company in others:
            return
        to = set(self._who("company", viewer.company))
        if not others - {None}:
            to |= self._who("role", SUPER_ADMIN)
        yield self._told(word, viewer.user, to)

    def _told(self, word: str, user: str, to: Any) -> Told:
        return Told(f"presence:{word}", {"userId": user}, {*to} - self._who("user", user))
