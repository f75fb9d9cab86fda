"""Users who come, ask, move, are sent away and come back, in any order that Hypothesis thinks of."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.isolation import choices
from tests.isolation.choices import Claims, Happening
from tests.isolation.peers import Roaming
from tests.isolation.stage import staged
from tests.isolation.story import Issued, Published, Seat, Story
from tests.service.servers import Service

MOST_SEATS = 14
SETTINGS = settings(deadline=None, stateful_step_count=40, suppress_health_check=[*HealthCheck])
transports = st.sampled_from(("websocket", "polling"))
quietly = st.booleans()
Follows = list[tuple[str, str]]


def _seats(condition: str) -> Any:
    """One of the story's seats of which that is so."""
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, condition)))


def _rooms(seat: Seat) -> Any:
    """A room that the client is in by the model, or any."""
    assert seat.viewer is not None
    mine = [each if kind == "room" else f"{kind}:{each}" for kind, each in seat.viewer.facts()]
    return st.sampled_from([*mine, seat.viewer.socket]) | st.sampled_from((*choices.ROOMS, *choices.NOT_TO_JOIN))


class Isolation(RuleBasedStateMachine):
    """A user's data never reaches another: after every step each client has heard exactly what the model says.

    `totals` counts examples, steps and what clients heard over all examples.
    """

    tokens = Bundle("tokens")
    published = Bundle("published")

    def __init__(self, service: Service, totals: Counter[str], *, open_rooms: bool = True) -> None:
        super().__init__()
        self.story = Story(service, open_rooms=open_rooms)
        self.totals = totals
        totals["examples"] += 1

    # Of which seats something can be told

    @property
    def seats(self) -> list[Seat]:
        return self.story.seats

    @property
    def present(self) -> list[Seat]:
        return [seat for seat in self.story.seats if self.story.is_in(seat)]

    @property
    def open(self) -> list[Seat]:
        return [seat for seat in self.seats if seat.open]

    @property
    def outside(self) -> list[Seat]:
        return [seat for seat in self.open if seat.viewer is None]

    @property
    def unprobed(self) -> list[Seat]:
        return [seat for seat in self.open if isinstance(seat.peer, Roaming) and seat.peer.state == "polling"]

    @property
    def probed(self) -> list[Seat]:
        return [seat for seat in self.open if isinstance(seat.peer, Roaming) and seat.peer.state == "probed"]

    # Clients come and go

    @initialize(
        target=tokens,
        crowd=st.lists(st.tuples(choices.in_order, transports, choices.followed), min_size=4, max_size=8),
    )
    def a_crowd_is_there(self, crowd: list[tuple[Claims, str, Follows]]) -> Any:
        return multiple(*(self._come(*each) for each in crowd))

    @rule(target=tokens, claims=choices.claims)
    def a_token_is_issued(self, claims: Claims) -> Issued:
        return self.story.issue(claims)

    @rule(transport=transports)
    @precondition(lambda self: len(self.open) < MOST_SEATS)
    def somebody_connects(self, transport: str) -> None:
        self.story.arrive(transport)

    @rule(transport=transports, token=tokens)
    @precondition(lambda self: len(self.open) < MOST_SEATS)
    def somebody_comes(self, transport: str, token: Issued) -> None:
        self.story.enter(self.story.arrive(transport), token)

    @rule(target=tokens, claims=choices.in_order, transport=transports, follows=choices.followed)
    @precondition(lambda self: len(self.open) < MOST_SEATS)
    def somebody_new_comes(self, claims: Claims, transport: str, follows: Follows) -> Issued:
        return self._come(claims, transport, follows)

    def _come(self, claims: Claims, transport: str, follows: Follows) -> Issued:
        seat, token = self.story.arrive(transport), self.story.issue(claims)
        self.story.enter(seat, token)
        for what, subject in follows:
            if self.story.is_in(seat):
                self.story.subscribe(seat, f"subscribe_{what}", subject, quietly=False)
        return token

    @rule(seat=_seats("outside"), token=tokens)
    @precondition(lambda self: self.outside)
    def somebody_enters(self, seat: Seat, token: Issued) -> None:
        self.story.enter(seat, token)

    @rule(seat=_seats("outside"), claims=choices.claims, flaw=choices.useless)
    @precondition(lambda self: self.outside)
    def somebody_tries_to_enter(self, seat: Seat, claims: Claims, flaw: str) -> None:
        self.story.enter(seat, self.story.issue(replace(claims, flaw=flaw)))

    @rule(seat=_seats("open"), how=st.sampled_from(("namespace", "connection", "without a word")))
    @precondition(lambda self: self.open)
    def somebody_leaves(self, seat: Seat, how: str) -> None:
        if how != "namespace" or self.story.is_in(seat):
            self.story.leave(seat, how)

    @rule(seat=_seats("unprobed"))
    @precondition(lambda self: self.unprobed)
    def somebody_asks_to_upgrade(self, seat: Seat) -> None:
        self.story.probe(seat)

    @rule(seat=_seats("probed"))
    @precondition(lambda self: self.probed)
    def somebody_upgrades(self, seat: Seat) -> None:
        self.story.switch(seat)

    # Clients ask

    @rule(
        seat=_seats("present"),
        request=st.sampled_from(choices.REQUESTS),
        subject=choices.subjects,
        quietly=quietly,
    )
    @precondition(lambda self: self.present)
    def somebody_subscribes(self, seat: Seat, request: str, subject: str, quietly: bool) -> None:
        self.story.subscribe(seat, request, subject, quietly=quietly)

    @rule(
        seat=_seats("present"),
        request=st.sampled_from(("join_room", "join_room", "leave_room")),
        room=st.sampled_from((*choices.ROOMS, *choices.ROOMS, *choices.ROOMS, *choices.NOT_TO_JOIN)),
        quietly=quietly,
    )
    @precondition(lambda self: self.present)
    def somebody_joins(self, seat: Seat, request: str, room: str, quietly: bool) -> None:
        self.story.custom(seat, request, room, quietly=quietly)

    @rule(seat=_seats("present"), other=_seats("seats"), request=st.sampled_from(("join_room", "leave_room")))
    @precondition(lambda self: self.present)
    def somebody_joins_the_room_of_a_socket(self, seat: Seat, other: Seat, request: str) -> None:
        if other.peer.id:
            self.story.custom(seat, request, other.peer.id, quietly=False)

    @rule(
        seat_and_room=_seats("present").flatmap(lambda seat: st.tuples(st.just(seat), _rooms(seat))),
        typing=st.booleans(),
        quietly=quietly,
    )
    @precondition(lambda self: self.present)
    def somebody_types(self, seat_and_room: tuple[Seat, str], typing: bool, quietly: bool) -> None:
        seat, room = seat_and_room
        self.story.typing(seat, room, typing=typing, quietly=quietly)

    @rule(seat=_seats("present"), token=tokens)
    @precondition(lambda self: self.present)
    def somebody_refreshes(self, seat: Seat, token: Issued) -> None:
        self.story.refresh(seat, token)

    @rule(target=tokens, seat=_seats("present"), claims=choices.claims)
    @precondition(lambda self: self.present)
    def somebody_refreshes_with_a_token_of_its_own(self, seat: Seat, claims: Claims) -> Issued:
        assert seat.viewer is not None
        issued = self.story.issue(replace(claims, user=seat.viewer.user))
        self.story.refresh(seat, issued)
        return issued

    @rule(seat=_seats("present"), claims=choices.claims, flaw=choices.useless)
    @precondition(lambda self: self.present)
    def somebody_refreshes_with_nothing_good(self, seat: Seat, claims: Claims, flaw: str) -> None:
        assert seat.viewer is not None
        claims = replace(claims, user=seat.viewer.user, flaw=flaw)
        self.story.refresh(seat, self.story.issue(claims))

    # Services speak

    @rule(target=published, event=choices.events)
    def an_event_is_published(self, event: Happening) -> Published:
        return self.story.publish(event)[0]

    @rule(target=published, event=choices.orders)
    def an_order_goes_on(self, event: Happening) -> Published:
        return self.story.publish(event)[0]

    @rule(target=published, event=choices.stock)
    def stock_changes(self, event: Happening) -> Published:
        return self.story.publish(event)[0]

    @rule(events=choices.at_once)
    def events_are_published_at_once(self, events: list[Happening]) -> None:
        self.story.publish(*events)

    @rule(events=choices.at_once)
    def events_are_published_in_vain(self, events: list[Happening]) -> None:
        self.story.publish_in_vain(*events)

    @rule(event=published)
    def an_event_is_published_again(self, event: Published) -> None:
        self.story.repeat(event)

    @rule(user=choices.people, places=choices.places, at=choices.times)
    def a_user_is_moved(self, user: str, places: dict[str, Any], at: str) -> None:
        self._user("updated", user, at, **places)

    @rule(user=choices.people, action=st.sampled_from(("deactivated", "deleted")), at=choices.times)
    def a_user_is_sent_away(self, user: str, action: str, at: str) -> None:
        self._user(action, user, at)

    @rule(revoked=choices.revocations, before=st.one_of(choices.times, choices.times, choices.times, st.none()))
    def tokens_are_revoked(self, revoked: tuple[str, str], before: str | None) -> None:
        self.story.revoke(*revoked, before)

    @rule(revoked=choices.revocations, user=choices.people, at=choices.times, before=st.none() | choices.times)
    def tokens_are_revoked_by_event(
        self, revoked: tuple[str, str], user: str, at: str, before: str | None
    ) -> None:
        target, each = revoked
        data = {} if before is None else {"issuedBefore": self.story.time(before)}
        if target == "company":
            self.story.publish(Happening("company", "revoked", {**data, "companyId": each}, "envelope", at))
        elif target == "user":
            self._user("revoked", each, at, **data)
        else:
            self._user("revoked", user, at, jti=each)

    @rule(to=st.sampled_from(choices.EMITTED_TO))
    def something_is_emitted(self, to: tuple[str, str]) -> None:
        self.story.emit(*to)

    @rule(seat=_seats("seats"))
    @precondition(lambda self: self.seats)
    def something_is_emitted_to_one_socket(self, seat: Seat) -> None:
        if seat.peer.id:
            self.story.emit("room", seat.peer.id)

    @rule()
    def somebody_looks_who_is_there(self) -> None:
        self.story.check_users()

    def _user(self, action: str, user: str, at: str, **data: Any) -> None:
        self.story.publish(Happening("user", action, {"userId": user, **data}, "envelope", at))

    # What must be so

    @invariant()
    def everybody_heard_exactly_what_the_model_says(self) -> None:
        self.totals["steps"] += 1
        self.story.check()

    def teardown(self) -> None:
        self.totals.update(self.story.delivered)
        self.story.end()


def tell(totals: Counter[str], chosen: settings, *, open_rooms: bool) -> None:
    """Tell stories to a service of their own, whose custom rooms are for everybody or need a grant."""
    with staged("--custom-rooms", "open" if open_rooms else "granted") as service:
        run_state_machine_as_test(lambda: Isolation(service, totals, open_rooms=open_rooms), settings=chosen)
