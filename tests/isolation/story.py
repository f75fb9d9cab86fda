"""One story: what happens to the service happens to the model, and what clients hear is held against it."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import jwt

from tests.day.peers import PATIENCE, Crowd, packet_event
from tests.isolation.choices import Claims, Data, Happening
from tests.isolation.peers import Direct, Roaming
from tests.model.comparison import ISO, differences, same, worded
from tests.model.live import BETWEEN, Heard
from tests.model.users import Guest, Token, Users, guest
from tests.service.peers import SECRET
from tests.service.servers import WITH_KEY, Service, granted, refused
from tests.support.wire import Ended, HttpClient, Response

NOWHERE = "a room it is not in"
REFRESH = "refresh_token"
MARKER, PROBE = "marker", "still there?"
DAY, LIFETIME = 86400, 7200
SHOWN = 5
"""Differences that are told of one comparison."""
UNUSABLE = {"type": "order.shipped", "data": {}}
_CLAIMS = (
    ("userId", "companyId", "shopIds", "roles"),
    ("sub", "company_id", "shops", "role"),
    ("user_id", "companyId", "shop_ids", "roles"),
)
_stories = itertools.count(1)

Issued = tuple[Token, str]
"""What the model knows of a token, and its text."""
Published = tuple[Happening, str, Any]
"""An event with its id and what was sent."""


class Seat:
    """A client's connection, and who it is to the model: nobody before it is let in and after it left.

    `open` is whether the connection must still be there.
    """

    def __init__(self, name: str, peer: Direct | Roaming) -> None:
        self.name = name
        self.peer = peer
        self.viewer: Guest | None = None
        self.open = True

    def __repr__(self) -> str:
        return self.name


class Story:
    """What clients and services do to the `service`; ids are this story's own, so that many share one service.

    `delivered` counts what clients heard, by name.
    """

    def __init__(self, service: Service, *, open_rooms: bool = True) -> None:
        self.delivered: Counter[str] = Counter()
        self.seats: list[Seat] = []
        self._digits = str(next(_stories))
        self._now = int(time.time())
        self._ticks, self._numbers = itertools.count(), itertools.count()
        self._model = Users(self._now, open_rooms=open_rooms)
        self._port = service.port
        self._crowd = Crowd(service.port)
        self._http = HttpClient(service.port, PATIENCE)

    # Words and times

    def own(self, value: Any) -> Any:
        """The value with this story's digits in its texts."""
        if isinstance(value, str):
            return value.replace("#", self._digits)
        if isinstance(value, Mapping):
            return {name: self.own(each) for name, each in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.own, value))
        return value

    def time(self, when: str) -> int:
        """The next second of yesterday, of the day before that, or of tomorrow."""
        return self._now + DAY * {"earlier": -2, "next": -1, "ahead": 1}[when] + next(self._ticks)

    def issue(self, claims: Claims) -> Issued:
        """A token."""
        ends = self._now + (-60 if claims.flaw == "token_expired" else LIFETIME)
        token = Token(
            *map(self.own, (claims.user, claims.company, claims.shops, claims.roles, claims.patterns)),
            issued=None if claims.issued is None else self.time(claims.issued),
            id=self.own(claims.id),
            ends=_iso(ends),
            flaw=claims.flaw,
        )
        names = (*_CLAIMS[claims.spelling], "rooms", "iat", "jti")
        said = (token.user, token.company, token.shops, token.roles, token.patterns, token.issued, token.id)
        body = {name: value for name, value in zip(names, said, strict=True) if value not in (None, ())}
        secret = SECRET[::-1] if claims.flaw == "token_invalid" else SECRET
        return token, jwt.encode({**body, "exp": ends}, secret, algorithm="HS256")

    # Clients come and go

    def is_in(self, seat: Seat) -> bool:
        """Whether the client has been let in, and has neither left nor been sent away."""
        return seat.viewer in self._model.viewers

    def arrive(self, transport: str) -> Seat:
        """Somebody connects, and does not say yet who it is."""
        seat = Seat(f"seat {len(self.seats)}", (Direct if transport == "websocket" else Roaming)(self._port))
        self.seats.append(seat)
        self._crowd.add(seat.name, seat.peer)
        return seat

    def enter(self, seat: Seat, issued: Issued) -> None:
        """A client that is in nowhere asks to be let in."""
        token, text = issued
        peer = seat.peer
        peer.connect(text)
        self._until(lambda: peer.welcome is not None or peer.refusal is not None, f"{seat} is answered")
        viewer = guest(f"{seat} as {token.user}, {next(self._numbers)}", token)
        code = self._model.enter(viewer)
        assert peer.refusal == (code and {"message": "Invalid or expired token", "data": {"code": code}}), token
        if peer.welcome is not None:
            seat.viewer, viewer.socket = viewer, peer.id
            self._check_welcome(peer.welcome, viewer)

    def _check_welcome(self, welcome: Data, viewer: Guest) -> None:
        assert {*welcome} == {"message", "socketId", "userId", "rooms", "timestamp"}
        assert (welcome["socketId"], welcome["userId"]) == (viewer.socket, viewer.user)
        assert ISO.fullmatch(welcome["timestamp"])
        rooms = [f"{kind}:{each}" for kind, each in viewer.facts()] + ["super_admin"] * viewer.admin
        assert sorted(welcome["rooms"]) == sorted(rooms)

    def become(self, seat: Seat, issued: Issued) -> None:
        """A client leaves, and at once asks to be let in as somebody else over the same connection."""
        self._model.leave(_in(seat))
        seat.viewer = None
        seat.peer.say("41")
        self.enter(seat, issued)

    def leave(self, seat: Seat, how: str) -> None:
        """A client leaves of its own accord: the namespace only, the connection, or without a word."""
        viewer, seat.viewer = seat.viewer, None
        seat.open = how == "namespace"
        if how == "namespace":
            seat.peer.say("41")
        elif how == "connection" or _is_probed(seat):  # it would not be noticed without a poll that waits
            self._crowd.leave(seat.name)
        else:
            self._crowd.unwatch(seat.peer)
            seat.peer.vanish()
        if viewer is not None:
            self._model.leave(viewer)
        self._until(lambda: not self._is_known(seat, viewer), f"{seat} is gone")

    def _is_known(self, seat: Seat, viewer: Guest | None) -> bool:
        """Whether the server has not noticed yet that the client left."""
        if isinstance(seat.peer, Roaming) and seat.peer.state != "over":
            return not seat.open and seat.peer.is_known
        return viewer is not None and self._emitted("room", viewer.socket, PROBE, None) > 0

    def probe(self, seat: Seat) -> None:
        """A polling client asks whether it may go on over WebSocket; until it does, it polls."""
        assert isinstance(seat.peer, Roaming)
        seat.peer.probe()

    def switch(self, seat: Seat) -> None:
        """It goes on over WebSocket."""
        peer = seat.peer
        assert isinstance(peer, Roaming)
        peer.pause()
        if self.is_in(seat):
            peer.ask("leave_room", NOWHERE)  # so that the poll is answered at once
        self._until(lambda: peer.paused, f"the poll of {seat} is answered")
        self._crowd.unwatch(peer)
        peer.switch()
        self._crowd.watch(peer)

    # Clients ask

    def subscribe(self, seat: Seat, request: str, subject: str, *, quietly: bool) -> None:
        """A client subscribes or unsubscribes."""
        self._ask(seat, self._model.ask(_in(seat), request, self.own(subject)), request, subject, quietly=quietly)

    def custom(self, seat: Seat, request: str, name: str, *, quietly: bool) -> None:
        """A client joins or leaves a room by its name."""
        self._ask(seat, self._custom(_in(seat), request, name), request, name, quietly=quietly)

    def _custom(self, viewer: Guest, request: str, name: str) -> Data:
        act = self._model.join_room if request == "join_room" else self._model.leave_room
        return act(viewer, self.own(name))

    def typing(self, seat: Seat, name: str, *, typing: bool, quietly: bool) -> None:
        """A client types, or stops typing."""
        expected = self._model.typing(_in(seat), self.own(name), typing=typing)
        self._ask(seat, expected, "typing", {"roomId": name, "isTyping": typing}, quietly=quietly)

    def refresh(self, seat: Seat, issued: Issued) -> None:
        """A client hands in another token."""
        token, text = issued
        self._ask(seat, self._model.refresh(_in(seat), token), REFRESH, text, quietly=False)

    def ask_at_once(self, seat: Seat, asks: Sequence[tuple[str, str]], issued: Issued) -> None:
        """A client sends several requests before any is answered; `REFRESH` hands in the token."""
        peer, viewer = seat.peer, _in(seat)
        expected = []
        for request, value in asks:
            if not self.is_in(seat):  # the model has sent it away: nobody answers what comes after
                break
            if request == REFRESH:
                expected.append(self._model.refresh(viewer, issued[0]))
            elif request in ("join_room", "leave_room"):
                expected.append(self._custom(viewer, request, value))
            else:
                expected.append(self._model.ask(viewer, request, self.own(value)))
        answered = len(peer.answers)
        for (request, value), _ in zip(asks, expected, strict=False):
            peer.ask(request, issued[1] if request == REFRESH else self.own(value))
        self._until(lambda: peer.answered, f"{seat} is answered")
        assert [*map(worded, peer.answers[answered:])] == expected, (viewer, asks)

    def _ask(self, seat: Seat, expected: Data, request: str, value: Any, *, quietly: bool) -> None:
        """The client gets the `expected` answer; `quietly` it wants none, and is told of a refusal only."""
        peer, value = seat.peer, self.own(value)
        if quietly:
            peer.say("42" + json.dumps([request, value]))
            if not expected["success"]:
                told = {"event": request, "code": expected["error"]["code"]}
                self._model.heard[_in(seat).name].append(Heard(BETWEEN, "error", told))
            request, value, expected = "leave_room", NOWHERE, {"success": True, "room": NOWHERE}
        peer.ask(request, value)
        self._until(lambda: peer.answered, f"{seat} is answered")
        assert len(peer.answers) == peer.asked, (seat.viewer, request, value)
        assert worded(peer.answers[-1]) == expected, (seat.viewer, request, value)

    # Services speak

    def publish(self, *happenings: Happening) -> list[Published]:
        """Events are published together."""
        sent = [self._written(replace(each, data=self.own(each.data))) for each in happenings]
        receivers = sum(self._happen(*each) for each in sent)
        self._check_outcome([body for _, _, body in sent], len(sent), receivers)
        return sent

    def publish_in_vain(self, *happenings: Happening) -> None:
        """Events are published together with one that cannot be used."""
        sent = [self._written(replace(each, data=self.own(each.data))) for each in happenings]
        answer = self._post("/events", [*(body for _, _, body in sent), UNUSABLE])
        assert refused(answer)[:2] == (400, "bad_request")

    def repeat(self, published: Published) -> None:
        """An event is published another time."""
        self._check_outcome([published[2]], 0, self._happen(*published))

    def _written(self, happening: Happening) -> Published:
        event_id, at = f"e{self._digits}-{next(self._numbers)}", _iso(self.time(happening.at))
        data, kind = dict(happening.data), happening.kind
        if happening.numbers and "productId" in data:
            data["productId"] = int(data["productId"])
        envelope = {"type": kind, "id": event_id, "timestamp": at, "data": data}
        if happening.form == "bare":
            envelope = data = {**data, "type": kind, "eventId": event_id, "timestamp": at}
        elif happening.form == "cloudevent":
            envelope = {"specversion": "1.0", "source": "/story", "time": at, "data": data}
            envelope |= {"id": event_id, "type": f"com.example.{kind}.v1"}
        return replace(happening, data=data, at=at), event_id, envelope

    def _happen(self, happening: Happening, event_id: str, _body: Any) -> int:
        domain, action, data = happening.domain, happening.action, happening.data
        return self._model.event(BETWEEN, domain, action, data, event_id=event_id, at=happening.at)

    def _check_outcome(self, bodies: list[Any], accepted: int, receivers: int) -> None:
        outcome = granted(self._post("/events", bodies if len(bodies) > 1 else bodies[0]))
        assert outcome.pop("emissions") >= (receivers > 0)
        expected = {"accepted": accepted, "duplicates": len(bodies) - accepted, "receivers": receivers}
        assert outcome == expected, bodies

    def emit(self, to: str, name: str) -> None:
        """Something is emitted as it stands."""
        name, data = self.own(name), next(self._numbers)
        expected = self._model.emit(to, name, "news", data)
        assert self._emitted(to, name, "news", data) == expected, (to, name)

    def _emitted(self, to: str, name: str, emission: str, data: Any) -> int:
        body = {"to": {to: True if to == "all" else name}, "event": emission, "data": data}
        return int(granted(self._post("/emit", body))["receivers"])

    def revoke(self, target: str, each: str, issued_before: str | None) -> None:
        """Tokens are called back by request."""
        each, until = self.own(each), None if issued_before is None else self.time(issued_before)
        body = {target: each, **({} if until is None else {"issuedBefore": until})}
        going = self._model.revoke(**{target: each}, until=until)
        assert granted(self._post("/revoke", body)) == {"disconnected": going}

    def _post(self, target: str, value: Any) -> Response:
        return self._http.request("POST", target, WITH_KEY, json.dumps(value).encode())

    # What it comes to

    def check(self) -> None:
        """Since the last time everybody heard what they had to and nothing else, and who had to go is gone."""
        number = next(self._numbers)
        expected = self._model.emit("all", "", MARKER, number)
        count = self._emitted("all", "", MARKER, number)
        gone = [seat for seat in self.seats if seat.viewer is not None and not self.is_in(seat)]
        if count == expected:
            marker = Heard(BETWEEN, MARKER, number)
            told = [seat for seat in self.seats if self.is_in(seat)]
            self._until(lambda: all(_last(seat, marker) or seat.peer.ended for seat in told), "all are told")
            self._until(lambda: all(seat.peer.ended for seat in gone), f"{gone} are disconnected")
        else:  # what has come by now tells more than this number
            self._crowd.turn()
        for seat in gone:
            seat.open = False
        faults = [fault for seat in self.seats for fault in self._faults(seat)]
        faults += [] if count == expected else [f"{count} sockets are in instead of {expected}"]
        assert not faults, "\n".join(faults[:SHOWN])
        for seat in gone:
            seat.viewer = None

    def check_users(self) -> None:
        """The users with a client in are those that are told."""
        users = sorted({viewer.user for viewer in self._model.viewers})
        assert self._connected() == {"count": len(users), "users": users}

    def end(self) -> None:
        """Everybody leaves, and the service knows it."""
        for seat in self.seats:
            if seat.peer.ended:
                continue
            self._crowd.unwatch(seat.peer)
            with suppress(AssertionError, OSError, Ended):  # of those that the service has ended
                seat.peer.leave()
            seat.peer.vanish()
        end = time.monotonic() + PATIENCE
        while (left := self._connected())["count"]:
            assert time.monotonic() < end, left
            self._crowd.turn()
        self._crowd.close()
        self._http.close()

    def _connected(self) -> Data:
        return dict(granted(self._http.request("GET", "/connected-users", WITH_KEY)))

    def _faults(self, seat: Seat) -> list[str]:
        got = [packet_event(packet) for _, packet in seat.peer.kept]
        if seat.viewer is None:
            got = [one for one in got if one != (PROBE, None)]
        self.delivered.update(event for event, _ in got)
        seat.peer.kept.clear()
        name = seat.name if seat.viewer is None else seat.viewer.name
        faults = [*differences(name, self._model.heard.pop(name, []), got)]
        if seat.peer.ended and seat.open:
            faults.append(f"{name} was disconnected")
        return faults

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        assert self._crowd.until(condition), f"it does not come about that {what}"


def _in(seat: Seat) -> Guest:
    assert seat.viewer is not None
    return seat.viewer


def _is_probed(seat: Seat) -> bool:
    return isinstance(seat.peer, Roaming) and seat.peer.state == "probed"


def _last(seat: Seat, marker: Heard) -> bool:
    kept = seat.peer.kept
    return bool(kept) and same(marker, packet_event(kept[-1][1]))


def _iso(seconds: float) -> str:
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
