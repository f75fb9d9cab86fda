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
SETTINGS = settings(deadline=None, stateful_step_count=50, suppress_health_check=[*HealthCheck])
transports = st.sampled_from(("websocket", "polling"))
Follows = list[tuple[str, str]]


def _seats(condition: str) -> Any:
    """One of the story's seats of which that is so."""
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, condition)))


def _rooms(seat: Seat) -> Any:
    """A room that the client is in, by the model, or has asked to be in."""
    assert seat.viewer is not None
    mine = [each if kind == "room" else f"{kind}:{each}" for kind, each in seat.viewer.facts()]
    # In an order that is the same when the story is told again, with other digits.
    return st.sampled_from([*sorted(mine), seat.viewer.socket])


rooms_of_somebody = _seats("present").flatmap(lambda seat: st.tuples(st.just(seat), _rooms(seat)))


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
    def present(self) -> list[Seat]:
        return [seat for seat in self.story.seats if self.story.is_in(seat)]

    @property
    def open(self) -> list[Seat]:
        return [seat for seat in self.story.seats if seat.open]

    @property
    def outside(self) -> list[Seat]:
        return [seat for seat in self.open if seat.viewer is None]

    @property
    def polling(self) -> list[Seat]:
        return [seat for seat in self.open if isinstance(seat.peer, Roaming) and seat.peer.state != "over"]

    # Clients come and go

    @initialize(
        target=tokens,
        crowd=st.lists(st.tuples(choices.in_order, transports, choices.followed), min_size=4, max_size=8),
    )
    def a_crowd_is_there(self, crowd: list[tuple[Claims, str, Follows]]) -> Any:
        return multiple(*(self._come(*each) for each in crowd))

    @rule(target=tokens, claims=choices.in_order, transport=transports, follows=choices.followed)
    @precondition(lambda self: len(self.open) < MOST_SEATS)
    def somebody_comes(self, claims: Claims, transport: str, follows: Follows) -> Issued:
        return self._come(claims, transport, follows)

    def _come(self, claims: Claims, transport: str, follows: Follows) -> Issued:
        seat, token = self.story.arrive(transport), self.story.issue(claims)
        self.story.enter(seat, token)
        for what, subject in follows:
            if self.story.is_in(seat):
                self.story.subscribe(seat, f"subscribe_{what}", subject, quietly=False)
        return token

    @rule(target=tokens, claims=choices.claims, transport=transports)
    @precondition(lambda self: len(self.open) < MOST_SEATS)
    def somebody_odd_comes(self, claims: Claims, transport: str) -> Issued:
        return self._come(claims, transport, [])

    @rule(transport=transports, token=tokens)
    @precondition(lambda self: len(self.open) < MOST_SEATS)
    def somebody_comes_again(self, transport: str, token: Issued) -> None:
        self.story.enter(self.story.arrive(transport), token)

    @rule(transport=transports, claims=choices.claims, flaw=choices.flaws)
    @precondition(lambda self: len(self.open) < MOST_SEATS)
    def somebody_comes_with_a_bad_token(self, transport: str, claims: Claims, flaw: str) -> None:
        self.story.enter(self.story.arrive(transport), self.story.issue(replace(claims, flaw=flaw)))

    @rule(seat=_seats("outside"), token=tokens)
    @precondition(lambda self: self.outside)
    def somebody_enters_who_is_connected(self, seat: Seat, token: Issued) -> None:
        self.story.enter(seat, token)

    @rule(seat=_seats("present"), token=tokens)
    @precondition(lambda self: self.present)
    def somebody_becomes_somebody_else(self, seat: Seat, token: Issued) -> None:
        self.story.become(seat, token)

    @rule(seat=_seats("open"), how=st.sampled_from(("namespace", "connection", "without a word")))
    @precondition(lambda self: self.open)
    def somebody_leaves(self, seat: Seat, how: str) -> None:
        if how != "namespace" or self.story.is_in(seat):
            self.story.leave(seat, how)
        self.story.check_users()

    @rule(seat=_seats("polling"))
    @precondition(lambda self: self.polling)
    def somebody_upgrades_by_one_step(self, seat: Seat) -> None:
        assert isinstance(seat.peer, Roaming)
        if seat.peer.state == "polling":
            self.story.probe(seat)
        else:
            self.story.switch(seat)

    # Clients ask

    @rule(
        seat=_seats("present"),
        request=st.sampled_from(choices.REQUESTS),
        subject=choices.subjects,
        quietly=st.booleans(),
    )
    @precondition(lambda self: self.present)
    def somebody_subscribes(self, seat: Seat, request: str, subject: str, quietly: bool) -> None:
        self.story.subscribe(seat, request, subject, quietly=quietly)

    @rule(room_of=rooms_of_somebody, quietly=st.booleans())
    @precondition(lambda self: self.present)
    def somebody_leaves_a_room(self, room_of: tuple[Seat, str], quietly: bool) -> None:
        seat, room = room_of
        kind, _, subject = room.partition(":")
        if kind in choices.UNSUBSCRIBE:
            self.story.subscribe(seat, choices.UNSUBSCRIBE[kind], subject, quietly=quietly)
        else:
            self.story.custom(seat, "leave_room", room, quietly=quietly)

    @rule(seat=_seats("present"), request=choices.join_or_leave, room=choices.rooms, quietly=st.booleans())
    @precondition(lambda self: self.present)
    def somebody_joins(self, seat: Seat, request: str, room: str, quietly: bool) -> None:
        self.story.custom(seat, request, room, quietly=quietly)

    @rule(seat=_seats("present"), room_of=rooms_of_somebody, request=choices.join_or_leave)
    @precondition(lambda self: self.present)
    def somebody_joins_where_somebody_is(self, seat: Seat, room_of: tuple[Seat, str], request: str) -> None:
        self.story.custom(seat, request, room_of[1], quietly=False)

    @rule(seat=_seats("present"), room=choices.rooms, typing=st.booleans())
    @precondition(lambda self: self.present)
    def somebody_types(self, seat: Seat, room: str, typing: bool) -> None:
        self.story.typing(seat, room, typing=typing, quietly=False)

    @rule(room_of=rooms_of_somebody, typing=st.booleans(), quietly=st.booleans())
    @precondition(lambda self: self.present)
    def somebody_types_where_it_is(self, room_of: tuple[Seat, str], typing: bool, quietly: bool) -> None:
        self.story.typing(*room_of, typing=typing, quietly=quietly)

    @rule(seat=_seats("present"), token=tokens)
    @precondition(lambda self: self.present)
    def somebody_refreshes(self, seat: Seat, token: Issued) -> None:
        self.story.refresh(seat, token)

    @rule(
        target=tokens,
        seat=_seats("present"),
        claims=choices.claims,
        places=st.none() | choices.places,
        at=choices.times,
        flaw=st.none() | st.none() | st.none() | choices.flaws,
    )
    @precondition(lambda self: self.present)
    def somebody_refreshes_perhaps_moved(
        self, seat: Seat, claims: Claims, places: dict[str, Any] | None, at: str, flaw: str | None
    ) -> Issued:
        assert seat.viewer is not None
        user = seat.viewer.user
        if places is not None:
            self._user("updated", user, at, **places)
            self.story.check()
        issued = self.story.issue(replace(claims, user=user, flaw=flaw))
        self.story.refresh(seat, issued)
        return issued

    @rule(target=tokens, seat=_seats("present"), patterns=choices.patterns, subject=choices.subjects)
    @precondition(lambda self: self.present)
    def somebody_follows_an_order_and_refreshes_with_other_patterns(
        self, seat: Seat, patterns: tuple[str, ...], subject: str
    ) -> Issued:
        viewer = seat.viewer
        assert viewer is not None
        self.story.subscribe(seat, "subscribe_order", subject, quietly=False)
        same = Claims(viewer.user, viewer.company, viewer.shops, viewer.roles)
        issued = self.story.issue(replace(same, patterns=patterns))
        self.story.refresh(seat, issued)
        return issued

    @rule(target=tokens, seat=_seats("present"), asks=choices.asks, claims=choices.claims)
    @precondition(lambda self: self.present)
    def somebody_asks_for_several_things_at_once(
        self, seat: Seat, asks: list[tuple[str, str]], claims: Claims
    ) -> Issued:
        assert seat.viewer is not None
        issued = self.story.issue(replace(claims, user=seat.viewer.user))
        self.story.ask_at_once(seat, asks, issued)
        return issued

    # Services speak

    @rule(target=published, event=choices.events)
    def an_event_is_published(self, event: Happening) -> Published:
        return self.story.publish(event)[0]

    @rule(target=published, events=choices.life_of_an_order)
    def an_order_goes_on(self, events: list[Happening]) -> Any:
        return multiple(*(self.story.publish(event)[0] for event in events))

    @rule(subject=choices.subjects)
    def an_order_and_a_transfer_go_from_hand_to_hand(self, subject: str) -> None:
        for hand in choices.HANDS:
            order, transfer = {"orderId": subject, **hand}, {"transferId": subject, **hand}
            self.story.publish(Happening("order", "updated", order, "envelope", "next"))
            self.story.publish(Happening("transfer", "updated", transfer, "envelope", "next"))

    @rule(target=published, event=choices.stock)
    def stock_changes(self, event: Happening) -> Published:
        return self.story.publish(event)[0]

    @rule(events=choices.at_once, usable=st.booleans())
    def events_are_published_at_once(self, events: list[Happening], usable: bool) -> None:
        if usable:
            self.story.publish(*events)
        else:
            self.story.publish_in_vain(*events)

    @rule(event=published)
    def an_event_is_published_again(self, event: Published) -> None:
        self.story.repeat(event)

    @rule(user=choices.people, places=choices.places, at=choices.times)
    def a_user_is_moved(self, user: str, places: dict[str, Any], at: str) -> None:
        self._user("updated", user, at, **places)

    @rule(user=choices.people, company=choices.companies, at=choices.times, before=choices.times)
    def a_user_is_moved_to_a_company_that_is_then_revoked(
        self, user: str, company: str, at: str, before: str
    ) -> None:
        self._user("updated", user, at, companyId=company)
        self.story.check()
        self.story.revoke("company", company, before)

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

    @rule()
    def something_is_emitted_wherever_somebody_may_be(self) -> None:
        for to in choices.EMITTED_TO:
            self.story.emit(*to)
        for seat in self.present:
            assert seat.viewer is not None
            self.story.emit("room", seat.viewer.socket)

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
