"""The model of users where it is not obvious: tokens and events that contradict each other, grants, goodbyes."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.model.live import DISCONNECTED
from tests.model.users import Guest, Token, Users, guest

NOW = 1000
_numbers = itertools.count()


class Told(Users):
    """The model, and what a test needs to hear of it."""

    def come(self, user: str, company: str | None = None, **claims: Any) -> Guest:
        viewer = guest(f"{user} {next(_numbers)}", Token(user, company, **claims))
        assert self.enter(viewer) is None
        viewer.socket = viewer.name
        return viewer

    def say(self, kind: str, at: int = 500, **data: Any) -> None:
        domain, _, action = kind.partition(".")
        iso = datetime.fromtimestamp(at, timezone.utc).isoformat()
        self.event(0, domain, action, data, event_id=str(next(_numbers)), at=iso)

    def names(self, viewer: Guest) -> list[str]:
        """What the client has heard since the last time; in brackets what it may have missed."""
        heard = self.heard.pop(viewer.name, [])
        return [one.emission if one.certain else f"[{one.emission}]" for one in heard]


@pytest.fixture
def model() -> Told:
    return Told(NOW)


class TestTokenOrEvent:
    @pytest.mark.parametrize(
        ("issued", "at", "company"),
        [(500, 499, "c1"), (500, 500, "c2"), (500, 501, "c2"), (None, 1, "c2"), (2000, 3000, "c1")],
    )
    def test_what_is_later_counts(self, model: Told, issued: int | None, at: int, company: str) -> None:
        viewer = model.come("u1", "c1", issued=issued)
        model.say("user.updated", at, userId="u1", companyId="c2")
        assert viewer.company == company

    @pytest.mark.parametrize(("issued", "company"), [(450, "c2"), (500, "c2"), (501, "c3"), (None, "c2")])
    def test_a_new_token_keeps_what_was_said_since(self, model: Told, issued: int | None, company: str) -> None:
        viewer = model.come("u1", "c1", issued=400)
        model.say("user.updated", 500, userId="u1", companyId="c2")
        assert model.refresh(viewer, Token("u1", "c3", ("s3",), issued=issued))["success"]
        assert (viewer.company, viewer.shops) == (company, ("s3",))

    def test_each_place_counts_for_itself(self, model: Told) -> None:
        viewer = model.come("u1", "c1", shops=("s1",), roles=("clerk",), issued=100)
        model.say("user.updated", 500, userId="u1", companyId="c2")
        model.say("user.updated", 400, userId="u1", companyId="c3", shopIds=["s2"], role=None)
        assert (viewer.company, viewer.shops, viewer.roles) == ("c2", ("s2",), ())

    @pytest.mark.parametrize(
        ("token", "code"),
        [
            (Token("u2", issued=500), "forbidden"),
            (Token("u1", issued=399), "forbidden"),
            (Token("u1", issued=400), None),
            (Token("u1"), None),
            (Token("u1", flaw="token_expired"), "token_expired"),
            (Token("u1", id="t1", issued=400), "token_revoked"),
        ],
    )
    def test_a_token_that_does_not_fit_changes_nothing(self, model: Told, token: Token, code: str | None) -> None:
        viewer = model.come("u1", "c1", issued=400)
        model.revoke(jti="t1", until=None)
        answer = model.refresh(viewer, token)
        if code is None:
            assert answer["success"]
            assert viewer.company is None
        else:
            assert answer == {"success": False, "error": {"code": code}}
            assert viewer.company == "c1"


class TestRevoked:
    def test_as_of_then(self, model: Told) -> None:
        old, same, new, undated = (model.come("u1", issued=issued) for issued in (1, 500, 501, None))
        assert model.revoke(user="u1", until=500) == 3
        assert model.viewers == {new}
        assert model.names(old) == model.names(undated) == ["auth:revoked", DISCONNECTED]
        assert model.enter(guest("again", same.token)) == "token_revoked"
        assert model.enter(guest("anew", replace(same.token, issued=502))) is None

    def test_a_time_ahead_is_now(self, model: Told) -> None:
        assert model.come("u1", issued=NOW + 1) in model.viewers
        assert model.revoke(user="u1", until=NOW + 9) == 0

    def test_one_token_whenever_it_was_issued(self, model: Told) -> None:
        model.come("u1", id="t1", issued=900)
        model.come("u2", id="t1", issued=900)
        model.say("user.revoked", 500, userId="u2", jti="t1")
        assert {viewer.user for viewer in model.viewers} == {"u1"}
        assert model.revoke(jti="t1", until=1) == 1

    def test_a_company_with_those_who_came_to_it_and_those_who_left_it(self, model: Told) -> None:
        model.come("u1", "c1")
        model.come("u2", "c1")
        model.come("u3", "c2")
        model.say("user.updated", userId="u2", companyId="c2")
        model.say("user.updated", userId="u3", companyId="c1")
        other = model.come("u4", "c2")
        assert model.revoke(company="c1", until=None) == 3
        assert model.viewers == {other}
        assert model.names(other) == ["presence:offline"]

    def test_a_new_token_does_not_help_who_has_been_moved_to_the_company(self, model: Told) -> None:
        viewer = model.come("u1", "c2", issued=100)
        model.say("company.revoked", 500, companyId="c1")
        model.say("user.updated", 600, userId="u1", companyId="c1")
        assert viewer in model.viewers
        assert model.refresh(viewer, Token("u1", "c2", issued=200))["success"]
        assert model.names(viewer)[-2:] == ["auth:revoked", DISCONNECTED]


class TestSentAway:
    def test_each_company_hears_once(self, model: Told) -> None:
        for company in ("c1", "c1", "c2", None):
            model.come("u1", company)
        colleague, other, admin, both = (
            model.come("u2", "c1"),
            model.come("u3", "c3"),
            model.come("u4", roles=("super_admin",)),
            model.come("u5", "c2", roles=("super_admin",)),
        )
        model.heard.clear()
        model.say("user.deleted", userId="u1")
        assert model.names(colleague) == model.names(admin) == ["presence:offline"]
        assert model.names(both) == ["presence:offline", "[presence:offline]"]
        assert model.names(other) == []

    def test_who_stays_in_one_of_them_is_still_there(self, model: Told) -> None:
        model.come("u1", "c1", issued=1)
        model.come("u1", "c1", issued=900)
        model.come("u1", "c2", issued=1)
        first, second, admin = (
            model.come("u2", "c1"), model.come("u3", "c2"), model.come("u4", roles=("super_admin",))
        )  # fmt: skip
        model.heard.clear()
        assert model.revoke(user="u1", until=500) == 2
        assert [model.names(one) for one in (first, second, admin)] == [[], ["presence:offline"], []]


class TestGrants:
    def test_a_granted_order_is_followed_whoever_owns_it_until_it_is_granted_no_longer(self, model: Told) -> None:
        agent = model.come("u1", patterns=("order:*",), issued=1)
        assert model.ask(agent, "subscribe_order", "7") == {"success": True, "room": "order:7"}
        model.say("order.created", orderId="7", userId="u2")
        assert model.names(agent) == ["order:update"]
        assert model.refresh(agent, Token("u1", issued=2))["success"]
        model.say("order.shipped", orderId="7")
        assert model.names(agent) == []

    def test_a_refused_order_is_refused_to_its_owner(self, model: Told) -> None:
        model.say("order.created", orderId="7", userId="u1")
        owner = model.come("u1", patterns=("!order:7",))
        assert model.ask(owner, "subscribe_order", "7") == {"success": False, "error": {"code": "forbidden"}}

    def test_a_granted_transfer_is_not_pending(self, model: Told) -> None:
        agent = model.come("u1", patterns=("transfer:*",))
        assert model.ask(agent, "subscribe_transfer", "7") == {"success": True, "room": "transfer:7"}
        model.say("transfer.sent", transferId="7", companyId="c9")
        assert model.names(agent) == ["transfer:status_update"]

    def test_what_a_move_refuses_is_left(self, model: Told) -> None:
        viewer = model.come("u1", "c1", patterns=("!desk-{companyId}", "!product:{companyId}"))
        assert model.join_room(viewer, "desk-c2")["success"]
        assert model.ask(viewer, "subscribe_inventory", "c2")["success"]
        model.say("user.updated", userId="u1", companyId="c2")
        assert (viewer.rooms, viewer.products) == (set(), set())

    def test_rooms_that_nobody_opens(self) -> None:
        model = Told(NOW, open_rooms=False)
        granted, other = model.come("u1", patterns=("lobby",)), model.come("u2")
        assert [model.join_room(one, "lobby")["success"] for one in (granted, other)] == [True, False]


class TestRooms:
    @pytest.mark.parametrize(
        "name", ["user:u1", "company:c1", "shop:s", "role:r", "order:7", "order:7|user:u1", "super_admin"]
    )
    def test_names_that_nobody_joins_or_leaves(self, model: Told, name: str) -> None:
        viewer = model.come("u1", "c1", patterns=("*", name))
        for act in (model.join_room, model.leave_room):
            assert act(viewer, name) == {"success": False, "error": {"code": "forbidden"}}

    def test_the_id_of_a_socket_is_a_name_like_any_other_once_it_is_gone(self, model: Told) -> None:
        viewer, other = model.come("u1"), model.come("u2")
        assert not model.join_room(viewer, other.socket)["success"]
        assert model.members(other.socket) == {other}
        model.leave(other)
        assert model.join_room(viewer, other.socket)["success"]
        assert model.members(other.socket) == {viewer}

    def test_typing_is_for_the_others_in_a_room_that_one_is_in(self, model: Told) -> None:
        viewer, member, other = model.come("u1"), model.come("u2"), model.come("u3")
        for one in (viewer, member):
            model.join_room(one, "lobby")
        assert model.typing(viewer, "lobby", typing=True)["success"]
        assert not model.typing(other, "lobby", typing=True)["success"]
        assert [model.names(one) for one in (viewer, member, other)] == [[], ["typing"], []]

    def test_typing_is_not_for_rooms_that_span_companies(self, model: Told) -> None:
        viewer = model.come("u1", "c1", roles=("clerk",))
        model.ask(viewer, "subscribe_inventory", "7")
        rooms = ("role:clerk", "product:7", viewer.socket, "company:c1", "user:u1")
        assert [model.typing(viewer, room, typing=True)["success"] for room in rooms] == [False] * 3 + [True] * 2

    def test_an_order_has_those_in_it_who_follow_it_and_may(self, model: Told) -> None:
        owner, stranger = model.come("u1"), model.come("u2")
        for one in (owner, stranger):
            assert model.ask(one, "subscribe_order", "7")["pending"]
        assert model.members("order:7") == set()
        model.say("order.created", orderId="7", userId="u1")
        assert model.members("order:7") == {owner}
        assert model.emit("room", "order:7", "news", 1) == 1

    def test_a_company_is_emitted_to_with_super_admins_and_its_room_without(self, model: Told) -> None:
        model.come("u1", "c1")
        model.come("u2", roles=("super_admin",))
        assert [model.emit(*to, "news", 1) for to in (("company", "c1"), ("room", "company:c1"))] == [2, 1]
