"""What all nodes know: revocations, owners of orders, effects on users, seen ids; those that start later, too."""

from __future__ import annotations

import time
from typing import Any

import pytest

from rtwist.auth.identity import Identity
from rtwist.auth.revocation import RevokedTokens
from rtwist.cluster.records import RecordLimits, Records
from rtwist.cluster.seen import IDLE_SECONDS, SharedWindow
from rtwist.cluster.truths import SharedEffects, SharedOwners, SharedRevocations
from rtwist.domain.emission import Disconnect, Reassign, Revoke
from rtwist.domain.owners import UNKNOWN, OrderBook, Owners, OwnersChanged
from rtwist.errors import StoreFailed
from rtwist.tasks import Tasks
from tests.cluster.stores import Stores, result

NOW = time.time()


def identity(**more: Any) -> Identity:
    return Identity("u1", "c1", (), (), NOW + 600, **{"issued_at": NOW - 10, "granted_company": "c1", **more})


def follow(*truths: Any) -> None:
    for truth in truths:
        result(truth.follower.catch_up())


class Revoker(SharedRevocations):
    def __init__(self, records: Records) -> None:
        super().__init__(records, Tasks(), RevokedTokens(), now=lambda: NOW)
        self.dismissed: list[Revoke] = []
        self.dismiss = self.dismissed.append


class TestRevocations:
    @pytest.mark.parametrize(
        "revoke",
        [
            Revoke("u1", issued_before=NOW),
            Revoke(company_id="c1", issued_before=NOW),
            Revoke(token_id="t|1", issued_before=NOW),
            Revoke(issued_before=NOW),
        ],
    )
    def test_all_nodes_refuse_and_dismiss_and_so_do_later_ones(self, stores: Stores, revoke: Revoke) -> None:
        records = stores.records()
        one, other = Revoker(records), Revoker(records)
        one.add(revoke, NOW)
        assert one.cover(identity(token_id="t|1"), NOW)
        follow(one, other)
        later = Revoker(records)
        follow(later)
        for node in (other, later):
            assert node.cover(identity(token_id="t|1"), NOW)
            assert not node.cover(identity(token_id="t2", issued_at=NOW + 1), NOW)
            assert node.dismissed == [revoke]
        assert one.dismissed == [], "it has dismissed them itself"

    def test_an_older_one_takes_nothing_back(self, stores: Stores) -> None:
        records = stores.records()
        one, other = Revoker(records), Revoker(records)
        one.add(Revoke("u1", issued_before=NOW), NOW)
        other.add(Revoke("u1", issued_before=NOW - 100), NOW)
        follow(one, other)
        later = Revoker(records)
        follow(one, other)
        follow(later)
        assert one.cover(identity(), NOW)
        assert other.cover(identity(), NOW)
        assert later.cover(identity(), NOW)

    def test_one_made_while_the_store_is_away_or_before_it_was_emptied_is_not_lost(self, stores: Stores) -> None:
        records = stores.records()
        one, other = Revoker(records), Revoker(records)
        one.add(Revoke("u1", issued_before=NOW), NOW)
        follow(one)
        stores.away = True
        one.add(Revoke("u2", issued_before=NOW), NOW)
        with pytest.raises(StoreFailed):
            follow(one)
        stores.away = False
        stores.lose()
        follow(one)
        one.follower.flush()
        follow(other)
        assert {revoke.user_id for revoke in other.dismissed} == {"u1", "u2"}

    @pytest.mark.parametrize(
        "value",
        [
            b"", b"{}", b'{"before":"x"}', b'{"before":1,"user":""}', b'{"before":1,"user":5}', b"\xff",
            b'{"x":' + b"[" * 200_000,
        ],
    )  # fmt: skip
    def test_what_is_none_is_counted(self, stores: Stores, value: bytes) -> None:
        records = stores.records()
        node = Revoker(records)
        result(records.put([("x", value)]))
        follow(node)
        assert node.dismissed == []
        assert list(node.unreadable.counts.values()) == [1]


class Owning(SharedOwners):
    def __init__(self, records: Records, size: int = 100) -> None:
        super().__init__(records, Tasks(), OrderBook(size), now=lambda: NOW)
        self.told: list[OwnersChanged] = []
        self.changed = self.told.append


class TestOwners:
    def test_all_nodes_know_them_and_so_do_later_ones(self, stores: Stores) -> None:
        records = stores.records()
        one, other = Owning(records), Owning(records)
        assert other.recall("o1") is UNKNOWN
        for owners in (Owners("u1"), Owners("u1", "c1", "s1")):
            one.remember("o1", owners)
        follow(one, other)
        later = Owning(records)
        follow(later)
        assert one.recall("o1") == other.recall("o1") == later.recall("o1") == Owners("u1", "c1", "s1")
        assert other.told == [OwnersChanged("o1", Owners("u1", "c1", "s1"))]
        assert one.told == []

    def test_the_same_in_the_end_whoever_was_first(self, stores: Stores) -> None:
        records = stores.records()
        one, other = Owning(records), Owning(records)
        one.remember("o1", Owners("u1"))
        other.remember("o1", Owners("u2"))
        follow(one, other)
        assert one.recall("o1") == other.recall("o1") == Owners("u2")

    def test_who_was_cut_off_does_not_take_back_what_others_have_learnt(self, stores: Stores) -> None:
        """Neither with what it could not put, nor with what it puts again after a loss."""
        records = stores.records()
        one, other = Owning(records), Owning(records)
        one.remember("o1", Owners("u1"))
        follow(one, other)
        stores.away = True
        one.remember("o2", Owners("u1"))
        stores.away = False
        other.remember("o2", Owners("u1"))  # its event has come again, there
        for order in ("o1", "o2"):
            other.remember(order, Owners("u2"))
        stores.lose()
        follow(other)
        other.remember("o1", Owners("u3"))
        one.follower.flush()
        for _ in range(2):
            follow(one, other)
        later = Owning(records)
        follow(later)
        for node in (one, other, later):
            assert (node.recall("o1"), node.recall("o2")) == (Owners("u3"), Owners("u2"))
        assert [change.owners for change in one.told] == [Owners("u3"), Owners("u2")]
        assert [change.owners for change in other.told] == [Owners("u1")]

    def test_one_forgotten_here_is_learnt_anew(self, stores: Stores) -> None:
        records = stores.records()
        one, other = Owning(records, size=1), Owning(records)
        for order, user in (("o1", "u1"), ("o2", "u1"), ("o1", "u2")):
            one.remember(order, Owners(user))
            follow(other)
        assert other.recall("o1") == Owners("u2")

    @pytest.mark.parametrize("version", [-1, 2**53, "true", "1.5"])
    def test_a_version_that_is_none(self, stores: Stores, version: object) -> None:
        records = stores.records()
        node = Owning(records)
        result(records.put([("o1", f'{{"user":"u1","version":{version}}}'.encode())]))
        follow(node)
        assert node.told == []

    def test_the_greatest_version_is_not_the_last_word(self, stores: Stores) -> None:
        records = stores.records()
        node, other = Owning(records), Owning(records)
        result(records.put([("o1", f'{{"user":"u1","version":{2**53 - 1}}}'.encode())]))
        follow(node, other)
        node.remember("o1", Owners("u2"))
        follow(node, other)
        assert node.recall("o1") == other.recall("o1") == Owners("u2")

    def test_what_is_none_is_left_out(self, stores: Stores) -> None:
        records = stores.records()
        node = Owning(records)
        result(records.put([("o1", b'{"user":["u"]}'), ("o2", b'{"user":"\\u0000"}'), ("o3", b'{"user":"u3"}')]))
        follow(node)
        assert [change.order_id for change in node.told] == ["o3"]


class Sockets:
    def __init__(self) -> None:
        self.applied: list[Any] = []
        self.apply = self.applied.append


def effecting(stores: Stores, records: Records, node: str, sockets: Sockets, size: int = 100) -> SharedEffects:
    kept = RecordLimits(size, 600)
    return SharedEffects(records, Tasks(), sockets, node=node, kept=kept, now=stores.clock.seconds)


class TestEffects:
    @pytest.mark.parametrize(
        "effect",
        [
            Disconnect("u1"),
            Reassign("u1", company_id="c2", at=5.0),
            Reassign("u1", company_id=None, shop_ids=(), roles=("a", "b")),
        ],
    )
    def test_every_node_does_it_once(self, stores: Stores, effect: Any) -> None:
        records = stores.records()
        sockets = [Sockets() for _ in range(3)]
        nodes = [effecting(stores, records, f"n.{i}", one) for i, one in enumerate(sockets)]
        follow(*nodes)
        nodes[0].apply(effect)
        nodes[0].follower.flush()
        follow(*nodes)
        follow(*nodes)
        assert [one.applied for one in sockets] == [[effect]] * 3

    def test_a_node_that_starts_later_has_no_such_sockets(self, stores: Stores) -> None:
        records = stores.records()
        earlier = effecting(stores, records, "a", Sockets())
        earlier.apply(Disconnect("u1"))
        earlier.follower.flush()
        stores.clock.advance(10)
        sockets = Sockets()
        later = effecting(stores, records, "b", sockets)
        follow(later)
        assert sockets.applied == []

    def test_one_that_starts_cut_off_may_have_them(self, stores: Stores) -> None:
        records = stores.records()
        sockets = Sockets()
        earlier, later = effecting(stores, records, "a", Sockets()), effecting(stores, records, "b", sockets)
        stores.clock.advance(10)
        earlier.apply(Disconnect("u1"))
        earlier.follower.flush()
        follow(later)
        assert sockets.applied == [Disconnect("u1")]

    @pytest.mark.parametrize("value", [b"", b"{}", b'{"user":"u","shops":["\\n"]}', b'{"user":"u","at":"x"}'])
    def test_what_is_none_is_left_out(self, stores: Stores, value: bytes) -> None:
        records = stores.records()
        sockets = Sockets()
        node = effecting(stores, records, "a", sockets)
        follow(node)
        result(records.put([("b.1", value)]))
        follow(node)
        assert sockets.applied == []

    def test_who_was_cut_off_hears_of_them_although_the_store_has_lost_them(self, stores: Stores) -> None:
        """Even if the node they are of has gone; who did them does not do them again, nor who came after them."""
        records = stores.records()
        sockets = [Sockets() for _ in range(4)]
        one, two, cut = (effecting(stores, records, name, sockets[i]) for i, name in enumerate("abc"))
        follow(one, two, cut)
        one.apply(Disconnect("u1"))
        one.follower.flush()
        follow(two)
        stores.clock.advance(100)
        stores.lose()
        later = effecting(stores, records, "d", sockets[3])
        follow(later, two)
        two.follower.flush()
        follow(cut, later)
        assert [len(each.applied) for each in sockets] == [1, 1, 1, 0]

    def test_a_store_that_fell_back_has_nothing_done_again(self, stores: Stores) -> None:
        records = stores.records()
        sockets = [Sockets(), Sockets()]
        one, other = (effecting(stores, records, name, each) for name, each in zip("ab", sockets, strict=True))
        follow(one, other)
        for user in ("u1", "u2"):
            one.apply(Disconnect(user))
        one.follower.flush()
        follow(one, other)
        # A reading that says less than one before.
        other.follower._serial += 1
        follow(other)
        assert [len(each.applied) for each in sockets] == [2, 2]

    def test_no_more_are_known_than_are_kept(self, stores: Stores) -> None:
        records = stores.records()
        node = effecting(stores, records, "a", Sockets(), size=3)
        for number in range(5):
            node.apply(Disconnect(f"u{number}"))
        assert [key for key, _ in node._mine()] == ["a.3", "a.4", "a.5"]
        stores.clock.advance(600)
        node.apply(Disconnect("u"))
        assert [key for key, _ in node._mine()] == ["a.6"]


class TestSeenIds:
    def window(self, stores: Stores, records: Records) -> SharedWindow:
        return SharedWindow(records, Tasks(), stores.clock.seconds, 600, 100)

    def see(self, stores: Stores, window: SharedWindow, *ids: str) -> None:
        for each in ids:
            window.add(each, stores.clock.seconds())
        window.commit(stores.clock.seconds())

    @pytest.mark.parametrize("key", ["", "{", "5", "[" * 200_000])
    def test_what_is_no_id_is_passed_over(self, stores: Stores, key: str) -> None:
        records = stores.records()
        result(records.put([(key, b""), ('"e1"', b"")]))
        window = self.window(stores, records)
        result(window.follower.catch_up())
        assert window.holds("e1", stores.clock.seconds())

    def test_the_next_consumer_knows_what_the_last_one_has_seen(self, stores: Stores) -> None:
        records = stores.records(idle=IDLE_SECONDS)
        one = self.window(stores, records)
        self.see(stores, one, "e1", "\ud800 ü")
        assert one.settled().called
        other = self.window(stores, records)
        assert not other.holds("e1", stores.clock.seconds())
        stores.clock.advance(10_000)
        follow(other)
        for each in ("e1", "\ud800 ü"):
            assert other.holds(each, stores.clock.seconds())
        assert not other.holds("e2", stores.clock.seconds())

    def test_what_was_taken_back_is_not_told(self, stores: Stores) -> None:
        records = stores.records()
        one, other = self.window(stores, records), self.window(stores, records)
        one.add("e1", stores.clock.seconds())
        one.forget("e1")
        one.commit(stores.clock.seconds())
        follow(other)
        assert not other.holds("e1", stores.clock.seconds())

    def test_what_did_not_become_certain_is_to_come_again(self, stores: Stores) -> None:
        records = stores.records()
        one = self.window(stores, records)
        self.see(stores, one, "e1")
        stores.away = True
        self.see(stores, one, "e2")
        failures: list[object] = []
        one.settled().addErrback(failures.append)
        assert len(failures) == 1
        assert one.holds("e1", stores.clock.seconds())
        assert not one.holds("e2", stores.clock.seconds())
        stores.away = False
        one.follower.flush()
        other = self.window(stores, records)
        follow(other)
        assert other.holds("e1", stores.clock.seconds())
        assert not other.holds("e2", stores.clock.seconds())
