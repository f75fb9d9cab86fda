"""What every adapter of a cluster does, with three nodes: each test runs for each protocol."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from rtwist.cluster.adapter import UNREADABLE, ClusterAdapter
from rtwist.cluster.answers import NodesTimeout
from rtwist.cluster.bus import MemoryBus, MemoryHub
from rtwist.cluster.classic.adapter import ClassicAdapter
from rtwist.cluster.remote import RemoteSocket
from rtwist.cluster.sharded.adapter import Mode, ShardedAdapter
from rtwist.errors import LocalProtocolError
from rtwist.socketio import AckLost, AckTimeout, Socket
from rtwist.socketio.namespace import Namespace
from tests.socketio.fakes import Guest, House
from tests.socketio.test_acks import outcome

NODES = 3
SECONDS = 5.0
Make = Callable[..., ClusterAdapter]
PROTOCOLS: dict[str, Make] = {
    "classic": ClassicAdapter,
    "classic, own channels": partial(ClassicAdapter, own_response_channels=True),
    "sharded": ShardedAdapter,
    "sharded static": partial(ShardedAdapter, mode=Mode.STATIC),
    "sharded private": partial(ShardedAdapter, mode=Mode.DYNAMIC_PRIVATE),
}


class MemoryCluster:
    """Three servers at one hub, on one clock."""

    def __init__(self, logs: list[Any], make: Make) -> None:
        self.clock = Clock()
        self.hub = MemoryHub(self.clock)
        self.houses: list[House] = []
        self.buses: list[MemoryBus] = []
        self.names = [secrets.token_hex(8) for _ in range(NODES)]
        for name in self.names:
            bus = MemoryBus(self.hub)
            self.buses.append(bus)
            adapter = partial(make, bus=bus, node=name, requests_timeout=SECONDS)
            self.houses.append(House(logs, clock=self.clock, adapter=adapter, max_queued_events=100))
        self.logs = logs

    def settle(self) -> None:
        """All that is on its way arrives, and what it causes."""
        for _ in range(50):
            self.clock.advance(0)

    def result(self, work: Any) -> Any:
        """What a coroutine or a Deferred comes to."""
        found = outcome(work if isinstance(work, Deferred) else Deferred.fromCoroutine(work))
        self.settle()
        (result,) = found
        return result

    def cut(self, number: int) -> None:
        """Node `number` stays subscribed, but says nothing more."""
        self.buses[number].publish = lambda channel, message: None  # type: ignore[method-assign]

    def end(self) -> None:
        for house in self.houses:
            house.io.close()
        self.settle()
        for bus in self.buses:
            assert (bus._channels, bus._patterns) == ({}, {})
        for number, house in enumerate(self.houses):
            # One search for failures that nobody heard of does for all.
            house.end(collect=number == 0)


@pytest.fixture(params=list(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def cluster(protocol: str) -> Iterator[MemoryCluster]:
    with capturedLogs() as logs:
        made = MemoryCluster(logs, PROTOCOLS[protocol])
        yield made
        made.end()


class Party:
    """On each node two visitors: `first` in `all`, `odd` or `even` and a room of the node, `second` in none."""

    def __init__(self, cluster: MemoryCluster) -> None:
        self.first: list[Socket] = []
        self.second: list[Socket] = []
        self.guests: dict[str, Guest] = {}
        for number, house in enumerate(cluster.houses):
            guest, socket = house.visitor()
            socket.join(["all", "odd" if number % 2 else "even", f"node{number}"])
            other, plain = house.visitor()
            self.first.append(socket)
            self.second.append(plain)
            self.guests[f"{number}"] = guest
            self.guests[f"{number}b"] = other
        self.hear()

    def hear(self) -> dict[str, list[str]]:
        """What has come since the last time, by who heard it."""
        heard = {name: guest.hear() for name, guest in self.guests.items()}
        return {name: packets for name, packets in heard.items() if packets}

    def heard(self, packet: str) -> set[str]:
        """Who heard `packet`, once and nothing else."""
        heard = self.hear()
        assert all(packets == [packet] for packets in heard.values()), heard
        return set(heard)


@pytest.fixture
def party(cluster: MemoryCluster) -> Party:
    party = Party(cluster)
    cluster.settle()
    return party


EVERYBODY = {f"{number}{letter}" for number in range(NODES) for letter in ("", "b")}
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
        self, cluster: MemoryCluster, party: Party, node: int, choose: Any, expected: set[str]
    ) -> None:
        choose(cluster.houses[node].io, party).emit("event", {"n": 1}, None)
        cluster.settle()
        assert party.heard('2["event",{"n":1},null]') == expected

    @pytest.mark.parametrize(("choose", "expected"), WHOM)
    def test_local_reaches_this_node_only(
        self, cluster: MemoryCluster, party: Party, node: int, choose: Any, expected: set[str]
    ) -> None:
        choose(cluster.houses[node].io.root.operator().local, party).emit("event")
        cluster.settle()
        assert party.heard('2["event"]') == {name for name in expected if name.startswith(str(node))}

    @pytest.mark.parametrize(("choose", "expected"), WHOM)
    def test_sockets_are_fetched_from_all_nodes(
        self, cluster: MemoryCluster, party: Party, node: int, choose: Any, expected: set[str]
    ) -> None:
        ids = {f"{n}": socket.id for n, socket in enumerate(party.first)}
        ids |= {f"{n}b": socket.id for n, socket in enumerate(party.second)}
        operator = choose(cluster.houses[node].io.root.operator(), party)
        found = cluster.result(operator.fetch_sockets())
        assert sorted(one.id for one in found) == sorted(ids[name] for name in expected)
        here = cluster.result(operator.local.fetch_sockets())
        assert {one.id for one in here} == {ids[name] for name in expected if name.startswith(str(node))}

    def test_a_socket_broadcasts_to_all_but_itself(self, cluster: MemoryCluster, party: Party, node: int) -> None:
        party.first[node].broadcast.emit("event")
        cluster.settle()
        assert party.heard('2["event"]') == EVERYBODY - {str(node)}
        party.first[node].to("all").emit("event")
        cluster.settle()
        assert party.heard('2["event"]') == {"0", "1", "2"} - {str(node)}

    def test_sockets_join_and_leave_on_all_nodes(self, cluster: MemoryCluster, party: Party, node: int) -> None:
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

    def test_local_changes_of_rooms_stay_here(self, cluster: MemoryCluster, party: Party, node: int) -> None:
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
        self, cluster: MemoryCluster, party: Party, node: int, close: bool
    ) -> None:
        cluster.houses[node].io.root.to("even").disconnect_sockets(close)
        cluster.settle()
        assert [socket.connected for socket in party.first] == [False, True, False]
        assert [party.guests[name].gone for name in "012"] == [close, False, close]
        assert all(socket.connected for socket in party.second)

    def test_acknowledgements_of_all_nodes(self, cluster: MemoryCluster, party: Party, node: int) -> None:
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

    def test_binary_acknowledgements(self, cluster: MemoryCluster, party: Party, node: int) -> None:
        other = (node + 1) % NODES
        found = outcome(cluster.houses[node].io.root.to(f"node{other}").timeout(1).emit_with_ack("q"))
        cluster.settle()
        ((name, (packet,)),) = party.hear().items()
        head = packet.removeprefix("2").split("[")[0]
        party.guests[name].say(f'61-{head}[{{"_placeholder":true,"num":0}}]', b"\x01\x02")
        cluster.settle()
        assert found == [[b"\x01\x02"]]

    def test_acknowledgements_of_nobody(self, cluster: MemoryCluster, party: Party, node: int) -> None:
        assert cluster.result(cluster.houses[node].io.to("nobody").emit_with_ack("q")) == []

    def test_servers_emit_to_each_other(self, cluster: MemoryCluster, party: Party, node: int) -> None:
        heard: list[tuple[int, Any]] = []
        for number, house in enumerate(cluster.houses):
            house.io.on("hello", lambda *args, number=number: heard.append((number, args)))
        cluster.houses[node].io.root.server_side_emit("hello", 1, {"b": b"x" if _binary(cluster) else "x"})
        cluster.settle()
        assert [number for number, _ in heard] == [n for n in range(NODES) if n != node]
        assert {str(args) for _, args in heard} == {str((1, {"b": b"x" if _binary(cluster) else "x"}))}

    def test_servers_answer_each_other(self, cluster: MemoryCluster, party: Party, node: int) -> None:
        for number, house in enumerate(cluster.houses):
            house.io.on("hello", lambda word, answer, number=number: answer(f"{word} {number}"))
        work = cluster.houses[node].io.root.server_side_emit_with_ack("hello", "you")
        assert sorted(cluster.result(work)) == [f"you {n}" for n in range(NODES) if n != node]

    def test_nodes_are_counted(self, cluster: MemoryCluster, party: Party, node: int) -> None:
        assert cluster.result(cluster.houses[node].io.root.adapter.server_count()) == NODES

    def test_rooms_of_all_nodes(self, cluster: MemoryCluster, party: Party, node: int, protocol: str) -> None:
        found = cluster.result(cluster.houses[node].io.root.adapter.all_rooms())
        sids = {socket.id for socket in party.first + party.second}
        everywhere = sids | {"all", "odd", "even", "node0", "node1", "node2"}
        if protocol.startswith("classic"):
            assert found == everywhere
        else:
            assert found == cluster.houses[node].io.root.adapter.rooms.names()

    def test_namespaces_are_apart(self, cluster: MemoryCluster, party: Party, node: int) -> None:
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


def _binary(cluster: MemoryCluster) -> bool:
    # The classic protocol tells servers of events in JSON.
    return isinstance(cluster.houses[0].io.root.adapter, ShardedAdapter)


class TestWaiting:
    def test_acknowledgements_that_are_missing_at_the_timeout(self, cluster: MemoryCluster, party: Party) -> None:
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

    def test_a_node_that_does_not_count_its_clients(self, cluster: MemoryCluster, party: Party) -> None:
        cluster.cut(2)
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

    def test_whoever_stops_waiting_is_forgotten(self, cluster: MemoryCluster, party: Party) -> None:
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

    def test_sockets_of_a_node_that_does_not_answer(self, cluster: MemoryCluster, party: Party) -> None:
        cluster.cut(2)
        found = outcome(Deferred.fromCoroutine(cluster.houses[0].io.root.fetch_sockets()))
        cluster.settle()
        assert found == []
        cluster.clock.advance(SECONDS)
        (error,) = found
        assert isinstance(error, NodesTimeout)
        assert str(error) == "fetching sockets of /: 1 of 2 other nodes have answered in time"

    def test_servers_that_do_not_answer(self, cluster: MemoryCluster, party: Party) -> None:
        cluster.houses[1].io.on("hello", lambda answer: (answer("yes"), answer("twice")))
        cluster.houses[2].io.on("hello", lambda answer: None)
        found = outcome(Deferred.fromCoroutine(cluster.houses[0].io.root.server_side_emit_with_ack("hello")))
        cluster.settle()
        cluster.clock.advance(SECONDS)
        (error,) = found
        assert isinstance(error, NodesTimeout)
        assert error.responses == ["yes"]
        assert str(error) == "hello to the servers: 1 of 2 other nodes have answered in time"

    def test_a_server_that_closes_waits_for_nobody(self, cluster: MemoryCluster, party: Party) -> None:
        cluster.cut(2)
        found = outcome(Deferred.fromCoroutine(cluster.houses[0].io.root.fetch_sockets()))
        acked = outcome(cluster.houses[1].io.root.to("nobody").emit_with_ack("q"))
        cluster.settle()
        cluster.houses[0].io.close()
        cluster.houses[1].io.close()
        assert [type(one) for one in found] == [CancelledError]
        assert [type(one) for one in acked] == [AckLost]

    def test_a_node_that_left_is_not_waited_for(self, cluster: MemoryCluster, party: Party) -> None:
        cluster.houses[2].io.close()
        found = cluster.result(cluster.houses[0].io.root.fetch_sockets())
        assert len(found) == 4


class TestWhatIsBehind:
    def test_other_nodes_have_their_own_rules_and_volatile_travels(self, protocol: str) -> None:
        seen: list[Any] = []
        with capturedLogs() as logs:
            cluster = MemoryCluster(logs, PROTOCOLS[protocol])
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
            cluster.end()


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
    def test_what_they_are_and_can(self, cluster: MemoryCluster, party: Party) -> None:
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

    def test_credentials_stay_on_their_node(self, cluster: MemoryCluster) -> None:
        said: list[bytes] = []
        cluster.buses[2].hear = lambda channel, message: said.append(message)  # type: ignore[method-assign]
        guest = cluster.houses[1].guest()
        socket = guest.enter(auth={"token": "SECRET1"})
        secret = {"authorization": "SECRET2", "cookie": "SECRET3", "proxy-authorization": "SECRET4"}
        object.__setattr__(socket.handshake, "headers", {**secret, "user-agent": "UA"})
        object.__setattr__(socket.handshake, "query", {"token": "SECRET5", "lang": "en"})
        cluster.cut(2)
        outcome(Deferred.fromCoroutine(cluster.houses[0].io.root.fetch_sockets()))
        cluster.settle()
        cluster.clock.advance(SECONDS)
        assert socket.id.encode() in b"".join(said)
        assert b"SECRET" not in b"".join(said)

    def test_credentials_that_another_node_tells_are_left_out(self, cluster: MemoryCluster) -> None:
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
    def test_it_is_counted_and_said_once(self, cluster: MemoryCluster, party: Party, message: bytes) -> None:
        adapter = cluster.houses[0].io.root.adapter
        assert isinstance(adapter, ClusterAdapter)
        channels = (*cluster.buses[0]._channels, "socket.io#/#")
        for channel in channels * 2:
            cluster.hub.send(channel, message)
        cluster.settle()
        assert adapter.tally.counts[UNREADABLE] >= len(set(channels))
        texts = [event["log_format"] for event in cluster.logs if event["log_level"].name == "warn"]
        assert len(texts) == len({id(house) for house in cluster.houses})
        cluster.houses[1].io.emit("still")
        cluster.settle()
        assert party.heard('2["still"]') == EVERYBODY

    @pytest.mark.parametrize("event", ["connection", "connect", "new_namespace"])
    def test_nobody_announces_connections_of_others(
        self, cluster: MemoryCluster, party: Party, event: str
    ) -> None:
        with pytest.raises(LocalProtocolError):
            cluster.houses[0].io.root.server_side_emit(event)
        heard: list[Any] = []
        cluster.houses[0].io.on("connection", heard.append)
        cluster.houses[1].io.root.adapter.server_side_emit(event, (1,))
        cluster.settle()
        assert heard == []


def test_each_namespace_makes_its_own_adapter(cluster: MemoryCluster) -> None:
    io = cluster.houses[0].io
    made: list[Namespace] = [io.root, io.of("/other")]
    assert len({id(namespace.adapter) for namespace in made}) == len(made)


@pytest.mark.parametrize(
    ("mode", "rooms"), [(Mode.STATIC, set()), (Mode.DYNAMIC, {"a"}), (Mode.DYNAMIC_PRIVATE, {"a", "own"})]
)
def test_which_rooms_have_shard_channels(mode: Mode, rooms: set[str]) -> None:
    with capturedLogs() as logs:
        cluster = MemoryCluster(logs, partial(ShardedAdapter, mode=mode))
        usual = {"socket.io#/#", f"socket.io#/#{cluster.names[0]}#"}
        _, socket = cluster.houses[0].visitor()
        _, other = cluster.houses[0].visitor()
        private = {f"socket.io#/#{one.id}#" for one in (socket, other)} if "own" in rooms else set()
        for one in (socket, other):
            one.join("a")
        assert set(cluster.buses[0]._channels) == usual | private | {f"socket.io#/#{r}#" for r in rooms - {"own"}}
        socket.leave("a")
        other.disconnect()
        private.discard(f"socket.io#/#{other.id}#")
        assert set(cluster.buses[0]._channels) == usual | private
        cluster.end()
