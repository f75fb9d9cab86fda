"""Presence over nodes: first and last exactly, no ghosts, no flapping; in memory and at Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rtwist.cluster.presence import RETURN_SECONDS
from rtwist.cluster.roll import SWEEP_USERS, News, Seat, read_news
from rtwist.domain.emission import Reassign
from rtwist.errors import Refused, RemoteProtocolError
from tests.cluster.nodes import Node
from tests.cluster.stores import DirectRedis, Stores, result

LEASE = 10.0


class Cluster:
    """Three nodes, each with a witness of company c1; those of `alive` renew their leases."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.roll = stores.roll(LEASE)
        self.alive: list[Node] = []
        for name in "abc":
            self.start(name)
        self.witnesses = [node.join(f"w{number}") for number, node in enumerate(self.alive)]
        self.told()

    def start(self, name: str) -> Node:
        node = Node(self.stores, self.roll, name)
        self.alive.append(node)
        node.beat()
        return node

    def told(self) -> list[list[str]]:
        return [witness.told() for witness in self.witnesses]

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.stores.clock.advance(0.5)
            for node in self.alive:
                node.beat()

    def away(self, away: bool) -> None:
        """Redis is away, or back; each node notices."""
        self.stores.away = away
        for node in self.alive:
            node.presence.lost()
            if not away:
                node.beat()


@pytest.fixture
def cluster(stores: Stores) -> Iterator[Cluster]:
    cluster = Cluster(stores)
    nodes = list(cluster.alive)
    yield cluster
    for node in nodes:
        node.tasks.stop()
        assert node.house.failures == []


ALL = 3


def test_the_first_and_the_last_over_all_nodes(cluster: Cluster) -> None:
    a, b, _ = cluster.alive
    first = a.join("u1")
    assert cluster.told() == [["+u1"]] * ALL
    second, third = b.join("u1"), b.join("u1")
    a.leave(first)
    b.leave(third)
    assert cluster.told() == [[]] * ALL
    b.leave(second)
    assert cluster.told() == [["-u1"]] * ALL


def test_each_company_and_super_admins_on_their_own(cluster: Cluster) -> None:
    a, b, c = cluster.alive
    other, admin = c.join("other", "c2"), c.join("admin", None, role="super_admin")
    one = a.join("u1", "c1")
    two = b.join("u1", "c2")
    assert (cluster.told()[0], other.told(), admin.told()) == (["+u1"], ["+u1"], ["+u1"])
    a.leave(one)
    assert (cluster.told()[0], other.told(), admin.told()) == (["-u1"], [], [])
    b.leave(two)
    assert (cluster.told()[0], other.told(), admin.told()) == ([], ["-u1"], ["-u1"])
    c.join("nobodys", None)
    assert (cluster.told()[0], other.told(), admin.told()) == ([], [], [])


def test_the_user_is_not_told(cluster: Cluster) -> None:
    a, b, _ = cluster.alive
    one = a.join("u1")
    b.leave(b.join("u1", "c2"))
    assert one.told() == []


def test_a_move_is_told_to_both_companies(cluster: Cluster) -> None:
    a, b, c = cluster.alive
    other = c.join("other", "c2")
    a.join("u1")
    b.join("u1")
    cluster.told()
    a.gateway.accounts.apply(Reassign("u1", company_id="c2"))
    cluster.stores.deliver()
    assert (cluster.told(), other.told()) == ([[]] * ALL, ["+u1"])
    b.gateway.accounts.apply(Reassign("u1", company_id="c2"))
    cluster.stores.deliver()
    assert (cluster.told(), other.told()) == ([["-u1"]] * ALL, [])


def test_all_nodes_know_who_is_connected(cluster: Cluster) -> None:
    a, b, c = cluster.alive
    one, two = a.join("u1"), b.join("u1", None)
    b.join("ü2", None)
    known = ["u1", "w0", "w1", "w2", "ü2"]
    assert [result(node.presence.users()) for node in (a, b, c)] == [known] * 3
    a.leave(one)
    assert result(c.presence.is_present("u1"))
    b.leave(two)
    assert not result(c.presence.is_present("u1"))
    assert "u1" not in result(a.presence.users())


class TestANodeThatStops:
    def stop(self, node: Node) -> None:
        for client in node.house.io.clients:
            node.house.io.send_away(client)

    def test_who_comes_back_elsewhere_has_not_gone(self, cluster: Cluster) -> None:
        a, b, _ = cluster.alive
        a.join("u1")
        a.join("u2")
        cluster.told()
        self.stop(a)
        result(a.presence.leave())
        cluster.alive.remove(a)
        b.join("u1")
        cluster.pass_time(RETURN_SECONDS - 1)
        assert cluster.told()[1] == []
        cluster.pass_time(2)
        assert sorted(cluster.told()[1]) == ["-u2", "-w0"]
        assert result(b.presence.users()) == ["u1", "w1", "w2"]

    def test_who_does_not_come_back_has_gone_although_the_node_still_stops(self, cluster: Cluster) -> None:
        a, b, _ = cluster.alive
        a.join("u1")
        a.join("u2")
        cluster.told()
        self.stop(a)
        cluster.pass_time(1)
        b.join("u1")
        assert cluster.told()[1] == []
        a.house.clock.advance(RETURN_SECONDS)
        cluster.pass_time(0.5)
        assert sorted(cluster.told()[1]) == ["-u2", "-w0"]


class TestANodeThatDies:
    def test_its_users_go_once_after_its_lease(self, cluster: Cluster) -> None:
        a, b, _ = cluster.alive
        a.join("both")
        for name in ("both", "u1", "u2"):
            b.join(name)
        cluster.told()
        cluster.alive.remove(b)
        cluster.pass_time(LEASE - 0.5)
        assert cluster.told() == [[]] * ALL
        cluster.pass_time(1)
        told_a, _, told_c = cluster.told()
        assert sorted(told_a) == sorted(told_c) == ["-u1", "-u2", "-w1"]
        cluster.pass_time(LEASE)
        assert cluster.told()[0] == []
        assert result(a.presence.users()) == ["both", "w0", "w2"]

    def test_those_who_came_to_another_node_meanwhile_never_went(self, cluster: Cluster) -> None:
        a, b, _ = cluster.alive
        b.join("u1")
        cluster.told()
        cluster.alive.remove(b)
        cluster.pass_time(3)
        a.join("u1")
        cluster.pass_time(LEASE)
        assert cluster.told()[0] == ["-w1"]

    def test_there_may_be_many(self, cluster: Cluster) -> None:
        _, b, _ = cluster.alive
        for number in range(SWEEP_USERS + 5):
            b.join(f"u{number}", None)
        cluster.alive.remove(b)
        cluster.pass_time(LEASE + 1)
        assert len(result(cluster.alive[0].presence.users())) == 2

    def test_one_that_only_slept_tells_of_its_users_again(self, cluster: Cluster) -> None:
        b = cluster.alive[1]
        cluster.alive.remove(b)
        cluster.pass_time(LEASE + 1)
        assert cluster.told()[0] == ["-w1"]
        b.join("u1")
        b.beat()
        assert sorted(cluster.told()[0]) == ["+u1", "+w1"]
        assert "w1" in result(b.presence.users())

    def test_a_cluster_of_one_that_is_killed_and_started_again(self, stores: Stores) -> None:
        roll = stores.roll(LEASE)
        first, again = Node(stores, roll, "x"), Node(stores, roll, "y")
        first.beat()
        for name in ("stays", "goes"):
            first.join(name)
        stores.clock.advance(60)
        again.beat()
        witness = again.join("witness", "c1")
        again.join("stays")
        for _ in range(50):
            stores.clock.advance(0.5)
            again.beat()
        assert sorted(witness.told()) == ["-goes"]
        assert result(again.presence.users()) == ["stays", "witness"]


def test_a_lease_that_has_ended_is_never_taken_up_again(stores: Stores) -> None:
    roll = stores.roll(LEASE)
    for name in ("a", "b"):
        result(roll.enter(name, ""))
    for _ in range(12):
        stores.clock.advance(1)
        assert result(roll.renew("b"))
    assert not result(roll.renew("a"))
    assert not result(roll.place("a", [Seat("u1", ["c1"])]))
    assert result(roll.users()) == set()


class TestTheStoreIsAway:
    def test_who_goes_right_afterwards_is_told_of_right_then(self, cluster: Cluster) -> None:
        a = cluster.alive[0]
        user = a.join("u1")
        cluster.told()
        cluster.away(True)
        cluster.away(False)
        a.leave(user)
        cluster.pass_time(1)
        assert cluster.told() == [["-u1"]] * ALL

    @pytest.mark.parametrize("seconds", [1.0, 7.0, 60.0])
    @pytest.mark.parametrize("emptied", [False, True])
    def test_nothing_is_told_of_those_who_were_there_all_the_time(
        self, cluster: Cluster, seconds: float, emptied: bool
    ) -> None:
        a, b, _ = cluster.alive
        a.join("u1")
        b.join("u1")
        b.join("u2")
        cluster.told()
        cluster.away(True)
        cluster.stores.clock.advance(seconds)
        cluster.away(False) if not emptied else self._emptied(cluster)
        cluster.pass_time(3 * LEASE)
        assert cluster.told() == [[]] * ALL
        assert result(a.presence.users()) == ["u1", "u2", "w0", "w1", "w2"]

    def _emptied(self, cluster: Cluster) -> None:
        cluster.stores.away = False
        cluster.stores.lose()
        cluster.away(False)

    @pytest.mark.parametrize("emptied", [False, True])
    def test_who_came_went_and_moved_meanwhile_is_told_once(self, cluster: Cluster, emptied: bool) -> None:
        a, b, _ = cluster.alive
        goes, moves = a.join("goes"), a.join("moves")
        cluster.told()
        cluster.away(True)
        a.leave(goes)
        a.leave(moves)
        b.join("moves")
        b.join("comes")
        cluster.stores.clock.advance(7)
        assert cluster.told() == [[]] * ALL
        cluster.away(False) if not emptied else self._emptied(cluster)
        cluster.pass_time(3 * LEASE)
        assert [sorted(told) for told in cluster.told()] == [["+comes", "-goes"]] * ALL

    def test_nobody_knows_who_is_connected(self, cluster: Cluster) -> None:
        cluster.away(True)
        with pytest.raises(Refused):
            result(cluster.alive[0].presence.users())
        with pytest.raises(Refused):
            result(cluster.alive[0].presence.is_present("u1"))


class TestNews:
    @pytest.mark.parametrize(
        "message",
        [
            b"", b"\xff", b"{}", b"[1]", b'[{"user":1}]', b'[{"user":""}]', b'[{"user":"u","at":-1}]',
            b'[{"user":"u","at":1e99}]', b'[{"user":"u","came":[""]}]', b"[" * 100_000,
            b'[{"user":"' + b"x" * 1000 + b'"}]', b" " * 5_000_000,
        ],
    )  # fmt: skip
    def test_what_is_none_is_counted_and_dropped(self, cluster: Cluster, message: bytes) -> None:
        with pytest.raises(RemoteProtocolError):
            read_news(message)
        node = cluster.alive[0]
        cluster.stores.bus.publish("rtwist-test", message)
        cluster.stores.deliver()
        assert node.presence.unreadable.counts["news"] == 1

    def test_what_is_read(self) -> None:
        assert read_news(b'[{"user":"u","came":["c"],"first":true,"last":false,"at":1.5}]') == [
            News("u", ("c",), first=True, at=1.5)
        ]


@pytest.mark.parametrize("written", [b"", b"{", b"7", b'{"a":1}', b"[[]]", b'["c1",7,null,{}]', b"[" * 2000])
def test_what_nobody_can_have_written_to_redis_harms_no_other_user(redis_port: int, written: bytes) -> None:
    redis, subscriber = DirectRedis(redis_port), DirectRedis(redis_port)
    subscriber.subscribe()
    stores = Stores(redis, subscriber)
    stores.lose()
    roll = stores.roll()
    result(roll.enter("a", ""))
    for where, field in (("user:u1", "b"), ("user:u1", "x"), ("told", "u1")):
        redis.call("HSET", f"{{roll}}:{where}", field, written)
    redis.call("SADD", "{roll}:users", b"\xff")
    for companies in ({"c2"}, None):
        assert result(roll.place("a", [Seat(user, companies) for user in ("u1", "u2")]))
    news = [each for _, message in subscriber.heard() for each in read_news(message) if each.user == "u2"]
    assert [(each.came, each.gone) for each in news] == [(("c2",), ()), ((), ("c2",))]
    assert "u2" not in result(roll.users())
    redis.close()
    subscriber.close()
