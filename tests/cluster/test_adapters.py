"""What every adapter of a cluster does, with three nodes: each test runs for each protocol, and by Redis too."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import capturedLogs

from rtwist.cluster.adapter import ClusterAdapter
from rtwist.cluster.answers import NodesTimeout
from rtwist.cluster.messages import ClientCount
from rtwist.cluster.mode import Mode
from rtwist.cluster.remote import RemoteSocket
from rtwist.cluster.sharded.adapter import ShardedAdapter
from rtwist.errors import LocalProtocolError
from rtwist.socketio import AckLost, AckTimeout
from rtwist.socketio.namespace import Namespace
from tests.cluster.clusters import EVERYBODY, NODES, SECONDS, Cluster, Party
from tests.socketio.test_acks import outcome

WHOM: list[tuple[Callable[[Any, Party], Any], set[str]]] = [
    (lambda io, party: io, EVERYBODY),
    (lambda io, party: io.to("all"), {"0", "1", "2"}),
    (lambda io, party: io.to("even"), {"0", "2"}),
    (lambda io, party: io.to(["odd", "node0"]), {"0", "1"}),
    (lambda io, party: io.to("all").to("odd"), {"0", "1", "2"}),
    (lambda io, party: io.to(["odd", "odd"]), {"1"}),
    (lambda io, party: io.to("all").except_("odd"), {"0", "2"}),
    (lambda io, party: io.except_(["even", "odd"]), {"0b", "1b", "2b"}),
    (lambda io, party: io.to("nobody"), set()),
    (lambda io, party: io.to(party.second[2].id), {"2b"}),
    (lambda io, party: io.except_(party.second[2].id), EVERYBODY - {"2b"}),
    (lambda io, party: io.to("node1").to(party.second[0].id), {"1", "0b"}),
]


@pytest.mark.parametrize("node", range(NODES))
class TestFromEveryNode:
    @pytest.mark.parametrize(("choose", "expected"), WHOM)
    def test_a_broadcast_reaches_whom_it_means_once(
        self, cluster: Cluster, party: Party, node: int, choose: Any, expected: set[str]
    ) -> None:
        choose(cluster.houses[node].io, party).emit("event", {"n": 1}, None)
        cluster.settle()
        assert party.heard('2["event",{"n":1},null]') == expected

    @pytest.mark.parametrize(("choose", "expected"), WHOM)
    def test_local_reaches_this_node_only(
        self, cluster: Cluster, party: Party, node: int, choose: Any, expected: set[str]
    ) -> None:
        choose(cluster.houses[node].io.root.operator().local, party).emit("event")
        cluster.settle()
        assert party.heard('2["event"]') == {name for name in expected if name.startswith(str(node))}

    @pytest.mark.parametrize(("choose", "expected"), WHOM)
    def test_sockets_are_fetched_from_all_nodes(
        self, cluster: Cluster, party: Party, node: int, choose: Any, expected: set[str]
    ) -> None:
        ids = {f"{n}": socket.id for n, socket in enumerate(party.first)}
        ids |= {f"{n}b": socket.id for n, socket in enumerate(party.second)}
        operator = choose(cluster.houses[node].io.root.operator(), party)
        found = cluster.result(operator.fetch_sockets())
        assert sorted(one.id for one in found) == sorted(ids[name] for name in expected)
        here = cluster.result(operator.local.fetch_sockets())
        assert {one.id for one in here} == {ids[name] for name in expected if name.startswith(str(node))}

    def test_a_socket_broadcasts_to_all_but_itself(self, cluster: Cluster, party: Party, node: int) -> None:
        party.first[node].broadcast.emit("event")
        cluster.settle()
        assert party.heard('2["event"]') == EVERYBODY - {str(node)}
        party.first[node].to("all").emit("event")
        cluster.settle()
        assert party.heard('2["event"]') == {"0", "1", "2"} - {str(node)}

    def test_sockets_join_and_leave_on_all_nodes(self, cluster: Cluster, party: Party, node: int) -> None:
        io = cluster.houses[node].io
        io.root.to("even").except_("node2").sockets_join(["x", "y"])
        io.root.to("odd").sockets_join("x")
        cluster.settle()
        assert [{"x", "y"} & socket.rooms for socket in party.first] == [{"x", "y"}, {"x"}, set()]
        io.to("x").emit("event")
        cluster.settle()
        assert party.heard('2["event"]') == {"0", "1"}
        io.root.to("x").except_("odd").sockets_leave(["x", "other"])
        cluster.settle()
        assert [{"x", "y"} & socket.rooms for socket in party.first] == [{"y"}, {"x"}, set()]

    def test_local_changes_of_rooms_stay_here(self, cluster: Cluster, party: Party, node: int) -> None:
        io = cluster.houses[node].io
        io.root.to("all").local.sockets_join("x")
        cluster.settle()
        assert ["x" in socket.rooms for socket in party.first] == [n == node for n in range(NODES)]
        io.root.to("all").local.sockets_leave("all")
        io.root.to("even").local.disconnect_sockets()
        cluster.settle()
        assert ["all" not in socket.rooms for socket in party.first] == [n == node for n in range(NODES)]
        assert [not socket.connected for socket in party.first] == [n == node and node != 1 for n in range(NODES)]

    @pytest.mark.parametrize("close", [False, True])
    def test_sockets_are_disconnected_on_all_nodes(
        self, cluster: Cluster, party: Party, node: int, close: bool
    ) -> None:
        cluster.houses[node].io.root.to("even").disconnect_sockets(close)
        cluster.settle()
        assert [socket.connected for socket in party.first] == [False, True, False]
        assert [party.guests[name].gone for name in "012"] == [close, False, close]
        assert all(socket.connected for socket in party.second)

    def test_acknowledgements_of_all_nodes(self, cluster: Cluster, party: Party, node: int) -> None:
        found = outcome(cluster.houses[node].io.root.to("all").timeout(1).emit_with_ack("q", b"?"))
        cluster.settle()
        for name, packets in party.hear().items():
            assert packets[1:] == ["bPw=="]
            head = packets[0].split("[")[0].removeprefix("51-")
            party.guests[name].say(f'3{head}["from {name}",2]')
            assert len(party.guests) == len(EVERYBODY)
        cluster.settle()
        (answers,) = found
        assert sorted(answers) == ["from 0", "from 1", "from 2"]

    def test_binary_acknowledgements(self, cluster: Cluster, party: Party, node: int) -> None:
        other = (node + 1) % NODES
        found = outcome(cluster.houses[node].io.root.to(f"node{other}").timeout(1).emit_with_ack("q"))
        cluster.settle()
        ((name, (packet,)),) = party.hear().items()
        head = packet.removeprefix("2").split("[")[0]
        party.guests[name].say(f'61-{head}[{{"_placeholder":true,"num":0}}]', b"\x01\x02")
        cluster.settle()
        assert found == [[b"\x01\x02"]]

    def test_acknowledgements_of_nobody(self, cluster: Cluster, party: Party, node: int) -> None:
        assert cluster.result(cluster.houses[node].io.to("nobody").emit_with_ack("q")) == []

    def test_servers_emit_to_each_other(self, cluster: Cluster, party: Party, node: int) -> None:
        heard: list[tuple[int, Any]] = []
        for number, house in enumerate(cluster.houses):
            house.io.on("hello", lambda *args, number=number: heard.append((number, args)))
        cluster.houses[node].io.root.server_side_emit("hello", 1, {"b": b"x" if _binary(cluster) else "x"})
        cluster.settle()
        assert sorted(number for number, _ in heard) == [n for n in range(NODES) if n != node]
        assert {str(args) for _, args in heard} == {str((1, {"b": b"x" if _binary(cluster) else "x"}))}

    def test_servers_answer_each_other(self, cluster: Cluster, party: Party, node: int) -> None:
        for number, house in enumerate(cluster.houses):
            house.io.on("hello", lambda word, answer, number=number: answer(f"{word} {number}"))
        work = cluster.houses[node].io.root.server_side_emit_with_ack("hello", "you")
        assert sorted(cluster.result(work)) == [f"you {n}" for n in range(NODES) if n != node]

    def test_nodes_are_counted(self, cluster: Cluster, party: Party, node: int) -> None:
        assert cluster.result(cluster.houses[node].io.root.adapter.server_count()) == NODES

    def test_rooms_of_all_nodes(self, cluster: Cluster, party: Party, node: int, protocol: str) -> None:
        found = cluster.result(cluster.houses[node].io.root.adapter.all_rooms())
        sids = {socket.id for socket in party.first + party.second}
        everywhere = sids | {"all", "odd", "even", "node0", "node1", "node2"}
        if protocol.startswith("classic"):
            assert found == everywhere
        else:
            assert found == cluster.houses[node].io.root.adapter.rooms.names()

    def test_namespaces_are_apart(self, cluster: Cluster, party: Party, node: int) -> None:
        for house in cluster.houses:
            house.io.of("/other")
        guest = cluster.houses[(node + 1) % NODES].guest()
        guest.enter("/other,").join("all")
        cluster.settle()
        cluster.houses[node].io.to("all").emit("root")
        cluster.houses[node].io.of("/other").emit("event")
        cluster.settle()
        assert guest.hear() == ['2/other,["event"]']
        assert party.heard('2["root"]') == {"0", "1", "2"}


def _binary(cluster: Cluster) -> bool:
    # The classic protocol tells servers of events in JSON.
    return isinstance(cluster.houses[0].io.root.adapter, ShardedAdapter)


class TestWaiting:
    def test_acknowledgements_that_are_missing_at_the_timeout(self, cluster: Cluster, party: Party) -> None:
        found = outcome(cluster.houses[0].io.root.to("all").timeout(1).emit_with_ack("q"))
        cluster.settle()
        for name in ("0", "1"):
            (packet,) = party.guests[name].hear()
            party.guests[name].say(f'3{packet.removeprefix("2").split("[")[0]}["{name}"]')
        cluster.settle()
        assert found == []
        cluster.clock.advance(1)
        (error,) = found
        assert isinstance(error, AckTimeout)
        assert sorted(error.responses) == ["0", "1"]

    def test_a_node_that_does_not_count_its_clients(self, cluster: Cluster, party: Party) -> None:
        cluster.buses[2].silent = True
        found = outcome(cluster.houses[0].io.root.to("odd").emit_with_ack("q"))
        cluster.settle()
        (packet,) = party.guests["1"].hear()
        party.guests["1"].say(f'3{packet.removeprefix("2").split("[")[0]}["1"]')
        cluster.settle()
        assert found == []
        cluster.clock.advance(SECONDS)
        (error,) = found
        assert isinstance(error, AckLost)
        assert error.responses == ["1"]

    def test_whoever_stops_waiting_is_forgotten(self, cluster: Cluster, party: Party) -> None:
        waiting = cluster.houses[0].io.root.emit_with_ack("q")
        found = outcome(waiting)
        waiting.cancel()
        cluster.settle()
        for name, packets in party.hear().items():
            party.guests[name].say(f'3{packets[0].removeprefix("2").split("[")[0]}["late"]')
        cluster.settle()
        assert [type(one) for one in found] == [CancelledError]
        for house in cluster.houses:
            adapter = house.io.root.adapter
            assert isinstance(adapter, ClusterAdapter)
            assert (adapter._far_acks, adapter._relays) == ({}, set())

    def test_sockets_of_a_node_that_does_not_answer(self, cluster: Cluster, party: Party) -> None:
        cluster.buses[2].silent = True
        found = outcome(Deferred.fromCoroutine(cluster.houses[0].io.root.fetch_sockets()))
        cluster.settle()
        assert found == []
        cluster.clock.advance(SECONDS)
        (error,) = found
        assert isinstance(error, NodesTimeout)
        assert str(error) == "fetching sockets of /: 1 of 2 other nodes have answered in time"

    def test_servers_that_do_not_answer(self, cluster: Cluster, party: Party) -> None:
        cluster.houses[1].io.on("hello", lambda answer: (answer("yes"), answer("twice")))
        cluster.houses[2].io.on("hello", lambda answer: None)
        found = outcome(Deferred.fromCoroutine(cluster.houses[0].io.root.server_side_emit_with_ack("hello")))
        cluster.settle()
        cluster.clock.advance(SECONDS)
        (error,) = found
        assert isinstance(error, NodesTimeout)
        assert error.responses == ["yes"]
        assert str(error) == "hello to the servers: 1 of 2 other nodes have answered in time"

    def test_a_server_that_closes_waits_for_nobody(self, cluster: Cluster, party: Party) -> None:
        cluster.buses[2].silent = True
        found = outcome(Deferred.fromCoroutine(cluster.houses[0].io.root.fetch_sockets()))
        acked = outcome(cluster.houses[1].io.root.to("nobody").emit_with_ack("q"))
        cluster.settle()
        cluster.houses[0].io.close()
        cluster.houses[1].io.close()
        assert [type(one) for one in found] == [CancelledError]
        assert [type(one) for one in acked] == [AckLost]

    def test_nor_for_more_clients_than_there_can_be(self, cluster: Cluster, party: Party) -> None:
        cluster.buses[2].silent = True
        acked = outcome(cluster.houses[1].io.root.to("nobody").emit_with_ack("q"))
        cluster.settle()
        adapter = cluster.adapter(1)
        (request_id,) = adapter._far_acks
        for _ in range(2):
            adapter.heard(lambda: ClientCount(request_id, 2**53 - 1))
        cluster.houses[1].io.close()
        assert [type(one) for one in acked] == [AckLost]

    def test_a_node_that_left_is_not_waited_for(self, cluster: Cluster, party: Party) -> None:
        cluster.houses[2].io.close()
        found = cluster.result(cluster.houses[0].io.root.fetch_sockets())
        assert len(found) == 4


class TestWhatIsBehind:
    def test_other_nodes_have_their_own_rules_and_volatile_travels(self, cluster: Cluster) -> None:
        seen: list[Any] = []
        adapter = cluster.houses[1].io.root.adapter
        _, socket = cluster.houses[1].visitor()
        socket.join("a")
        cluster.settle()
        deliver = socket._session.send
        object.__setattr__(socket, "_session", _Recorder(seen, deliver))
        assert isinstance(adapter, ClusterAdapter)
        adapter._namespace.behind = _Rules()  # type: ignore[assignment]
        cluster.houses[0].io.to("a").emit("plain")
        cluster.houses[0].io.root.volatile.emit("lossy")
        cluster.houses[0].io.root.latest("key").emit("plain")
        cluster.settle()
        assert [str(one) for one in seen] == ["rule of plain", "Drop.DROP", "rule of plain"]


class _Rules:
    def of(self, namespace: str, event: str, args: Any) -> Any:
        return f"rule of {event}"


class _Recorder:
    def __init__(self, seen: list[Any], send: Any) -> None:
        self._seen = seen
        self._send = send

    def send(self, encoded: Any, if_behind: Any = None) -> None:
        self._seen.append(if_behind)
        self._send(encoded, None)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._send.__self__, name)


class TestRemoteSockets:
    def test_what_they_are_and_can(self, cluster: Cluster, party: Party) -> None:
        target = party.first[1]
        target.data.update(name="Ann", identity=object(), nested={"deep": [1, object()]})
        found = cluster.result(cluster.houses[0].io.to("node1").fetch_sockets())
        (remote,) = found
        assert isinstance(remote, RemoteSocket)
        assert (remote.id, remote.rooms, remote.data) == (target.id, target.rooms, {"name": "Ann"})
        assert remote.handshake.address == target.handshake.address
        assert remote.handshake.time == pytest.approx(target.handshake.time, abs=0.001)
        remote.emit("hi", 1)
        cluster.settle()
        assert party.heard('2["hi",1]') == {"1"}
        remote.join(["x"])
        cluster.settle()
        assert "x" in target.rooms
        remote.leave("x")
        cluster.settle()
        assert "x" not in target.rooms
        remote.disconnect()
        cluster.settle()
        assert not target.connected

    def test_credentials_stay_on_their_node(self, cluster: Cluster) -> None:
        guest = cluster.houses[1].guest()
        socket = guest.enter(auth={"token": "SECRET1"})
        secret = {"authorization": "SECRET2", "cookie": "SECRET3", "proxy-authorization": "SECRET4"}
        object.__setattr__(socket.handshake, "headers", {**secret, "user-agent": "UA"})
        object.__setattr__(socket.handshake, "query", {"token": "SECRET5", "lang": "en"})
        cluster.result(cluster.houses[0].io.root.fetch_sockets())
        said = b"".join(message for _, message in cluster.buses[1].said)
        assert socket.id.encode() in said
        assert b"SECRET" not in said

    def test_credentials_that_another_node_tells_are_left_out(self, cluster: Cluster) -> None:
        shake = {
            "headers": {"Authorization": "s", "cookie": "s", "host": "h"},
            "auth": {"token": "s"},
            "query": {"token": "s", "EIO": "4"},
            "issued": 2500,
            "secure": True,
        }
        remote = RemoteSocket(cluster.houses[0].io.root, {"id": "i", "handshake": shake, "rooms": ["i"]})
        found = remote.handshake
        assert (found.auth, found.headers, found.query) == ({}, {"host": "h"}, {"EIO": "4"})
        assert (found.time, found.secure, found.address) == (2.5, True, "")


class TestWhatCannotBeRead:
    @pytest.mark.parametrize("message", [b"", b"{", b"\xc1", b"{}", b"\x93\x01\x02\x03", b'{"type":99}'])
    def test_it_is_counted_and_said_once(self, cluster: Cluster, party: Party, message: bytes) -> None:
        adapter = cluster.adapter(0)
        channels = (*(name for name in cluster.buses[0].names if "*" not in name), "socket.io#/#")
        for channel in channels * 2:
            cluster.carrier.send(channel, message)
        cluster.settle()
        assert adapter.counts.total() >= len(set(channels))
        texts = [event["log_format"] for event in cluster.logs if event["log_level"].name == "warn"]
        assert len(texts) == sum(len(cluster.adapter(number).counts) for number in range(NODES))
        cluster.houses[1].io.emit("still")
        cluster.settle()
        assert party.heard('2["still"]') == EVERYBODY

    @pytest.mark.parametrize("event", ["connection", "connect", "new_namespace"])
    def test_nobody_announces_connections_of_others(self, cluster: Cluster, party: Party, event: str) -> None:
        with pytest.raises(LocalProtocolError):
            cluster.houses[0].io.root.server_side_emit(event)
        heard: list[Any] = []
        cluster.houses[0].io.on("connection", heard.append)
        cluster.houses[1].io.root.adapter.server_side_emit(event, (1,))
        cluster.settle()
        assert heard == []


def test_each_namespace_makes_its_own_adapter(cluster: Cluster) -> None:
    io = cluster.houses[0].io
    made: list[Namespace] = [io.root, io.of("/other")]
    assert len({id(namespace.adapter) for namespace in made}) == len(made)


@pytest.mark.parametrize(
    ("mode", "rooms"), [(Mode.STATIC, set()), (Mode.DYNAMIC, {"a"}), (Mode.DYNAMIC_PRIVATE, {"a", "own"})]
)
def test_which_rooms_have_shard_channels(mode: Mode, rooms: set[str]) -> None:
    with capturedLogs() as logs:
        cluster = Cluster(logs, partial(ShardedAdapter, mode=mode))
        usual = {"socket.io#/#", f"socket.io#/#{cluster.names[0]}#"}
        _, socket = cluster.houses[0].visitor()
        _, other = cluster.houses[0].visitor()
        private = {f"socket.io#/#{one.id}#" for one in (socket, other)} if "own" in rooms else set()
        for one in (socket, other):
            one.join("a")
        assert set(cluster.buses[0].names) == usual | private | {f"socket.io#/#{r}#" for r in rooms - {"own"}}
        socket.leave("a")
        other.disconnect()
        private.discard(f"socket.io#/#{other.id}#")
        assert set(cluster.buses[0].names) == usual | private
        cluster.end()


@pytest.mark.parametrize("name", ["/a*b", "/a?b", "/[ab]", "/a\\b", "/é", "/#x", "/a b"])
def test_names_of_namespaces_mean_nothing_to_patterns(cluster: Cluster, name: str) -> None:
    others = ["/aab", "/a", "/b", "/ab"]
    for house in cluster.houses:
        for each in (name, *others):
            house.io.of(each)
    cluster.settle()
    guests = [house.guest() for house in cluster.houses]
    for guest in guests:
        for each in (name, *others):
            guest.enter(f"{each},")
            guest.hear()
    cluster.houses[1].io.of(name).emit("event")
    cluster.houses[1].io.of("/aab").emit("event")
    cluster.settle()
    assert [guest.hear() for guest in guests] == [[f'2{name},["event"]', '2/aab,["event"]']] * NODES
    assert [cluster.adapter(number).counts for number in range(NODES)] == [{}] * NODES


@pytest.mark.parametrize("room", ["", "#", "a#b", "*", "é", "\U0001f600", "half \ud83d", "x" * 5000, "1"])
def test_names_of_rooms_may_be_any(cluster: Cluster, party: Party, room: str) -> None:
    party.first[1].join(room)
    cluster.settle()
    io = cluster.houses[0].io
    io.to(room).emit("event")
    cluster.settle()
    known = "half" not in room and len(room) <= 1000
    if known:
        assert party.heard('2["event"]') == {"1"}
    io.to([room, "even"]).emit("event")
    party.first[1].leave(room)
    cluster.settle()
    heard = party.hear()
    assert set(heard) - {"1"} == ({"0", "2"} if len(room) <= 1000 else {"0"})
    io.to(room).emit("event")
    cluster.settle()
    assert party.hear() == {}


def test_a_room_that_is_called_like_a_node(cluster: Cluster, party: Party) -> None:
    name = cluster.names[0]
    party.first[0].join(name)
    cluster.settle()
    cluster.houses[1].io.to(name).emit("event")
    cluster.settle()
    assert party.heard('2["event"]') == {"0"}
    party.first[0].leave(name)
    cluster.settle()
    assert len(cluster.result(cluster.houses[0].io.root.fetch_sockets())) == len(EVERYBODY)
