"""Clients of the running service that do not read: they are cut, and the others notice nothing."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.peers import Client, token
from tests.service.servers import ANYWHERE, Service, complaints, json_body, twistd
from tests.support.wire import CLOSE, HttpClient, frame

POLLING = "/socket.io/?EIO=4&transport=polling"
PAD = "x" * 900_000
ROUNDS = 60
"""Rounds of 0.9 MB: far more than a kernel keeps for a connection that is not read."""


class Poller:
    """A Socket.IO client by polling; `read` polls once and returns the packets."""

    def __init__(self, service: Service, user: str, *rooms: str) -> None:
        self.getter, self.poster = HttpClient(service.port, 15), HttpClient(service.port, 15)
        opened = self.getter.request("GET", POLLING).text
        self.target = f"{POLLING}&sid={json.loads(opened[1:])['sid']}"
        self.say("40" + json.dumps({"token": token(user)}), *(f'42["join_room","{room}"]' for room in rooms))
        self.read()

    def say(self, *packets: str) -> None:
        assert self.poster.request("POST", self.target, body="\x1e".join(packets).encode()).status == 200

    def ask(self) -> None:
        """Send a poll, and do not read its answer."""
        self.getter.send_request("GET", self.target)

    def answer(self) -> list[str]:
        """The packets in the answer to a poll that was sent."""
        return self.getter.read_response().text.split("\x1e")

    def read(self) -> list[str]:
        return self.getter.request("GET", self.target).text.split("\x1e")

    def next_event(self) -> tuple[str, Any]:
        while not (events := [text for text in self.read() if text.startswith("42")]):
            self.say("3")
        (text,) = events
        name, data = json.loads(text[2:])
        return name, data

    def close(self) -> None:
        self.getter.close()
        self.poster.close()


def shrink(sock: socket.socket) -> None:
    """Let the kernel keep as little as it can for what is not read."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


def is_cut(sock: socket.socket, seconds: float = 15) -> bool:
    """Whether the server resets the connection in that time; nothing of it is read."""
    watch = select.poll()
    watch.register(sock, 0)
    return bool(watch.poll(seconds * 1000))


def slow_clients(service: Service) -> dict[str, Any]:
    clients: dict[str, Any] = json_body(service.request("GET", "/ready"))["clients"]
    return clients


def wait_until(came: Callable[[], bool], seconds: float = 20) -> None:
    """Return once `came` says so."""
    deadline = time.monotonic() + seconds
    while not came():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Starts services with options; none may have complained."""
    services: list[Service] = []

    def start(*options: str) -> Service:
        services.append(Service(twistd("--listen", ANYWHERE, "--log-level", "info", *options)))
        return services[-1]

    yield start
    for service in services:
        service.close_clients()
        service.program.stop()
        assert complaints(service.program.output) == []


def never_reader(service: Service, user: str, room: str) -> Client:
    client = service.join(user)
    client.succeed("join_room", room)
    shrink(client.wire.sock)
    return client


def never_polling_reader(service: Service, user: str, room: str) -> Poller:
    client = Poller(service, user, room)
    shrink(client.getter.sock)
    client.ask()
    return client


def test_who_never_reads_is_cut_and_the_others_get_everything(serve: Callable[..., Service]) -> None:
    service = serve("--max-buffered", "2000000", "--max-buffered-age", "600", "--ping-interval", "600")
    honest, poller = service.join("honest"), Poller(service, "poller", "hall")
    honest.succeed("join_room", "hall")
    sockets = [never_reader(service, f"slow{number}", "hall").wire.sock for number in range(3)]
    pollers = [never_polling_reader(service, f"idle{number}", "hall") for number in range(3)]
    reached = 0
    for number in range(ROUNDS):
        reached = service.push({"room": "hall"}, "news", {"number": number, "pad": PAD})
        assert honest.next_event().data["number"] == number
        assert poller.next_event()[1]["number"] == number
        if reached == 2:
            break
    assert reached == 2, "all others were cut"
    assert all(map(is_cut, sockets))
    assert [one.poster.request("POST", one.target, body=b"3").status for one in pollers] == [400] * 3
    clients = slow_clients(service)
    assert clients["cut"] == {"max_buffered": 6, "max_buffered_age": 0, "max_buffered_total": 0}
    assert (clients["behind"], clients["waitingBytes"]) == (0, 0)
    for user in ("slow0", "idle2"):
        line = service.program.wait_for_output(f"user {user} disconnected")
        assert "transport error (slow consumer: 2" in line
        assert line.endswith("more than max_buffered, 2000000 bytes)")
    for one in (poller, *pollers):
        one.close()


HUGE = "x" * 12_000_000
"""More than a kernel keeps for a connection that is not read."""
TAKE_HUGE = ("--max-payload", "16000000", "--max-buffered", "900000000", "--ping-interval", "600")


def stocks(client: Client, *products: str) -> None:
    for product in products:
        client.succeed("subscribe_inventory", product)


def fall_behind(service: Service, user: str) -> None:
    """Have the user's client, which does not read now, sent more than fits in between."""
    service.push({"user": user}, "news", HUGE)
    wait_until(lambda: bool(slow_clients(service)["behind"]))


def test_stock_levels_of_who_is_behind_are_replaced_and_orders_are_kept(serve: Callable[..., Service]) -> None:
    service = serve(*TAKE_HUGE)
    client = service.join("u1")
    stocks(client, "p1", "p2")
    fall_behind(service, "u1")
    for quantity in range(50):
        for product in ("p1", "p2"):
            service.publish_kind("inventory.updated", productId=product, quantity=quantity)
        if quantity % 10 == 0:
            service.publish_kind("order.shipped", orderId=f"o{quantity}", userId="u1", status="shipped")
    assert slow_clients(service)["replaced"] == 98
    assert client.next_event().name == "news"
    events = [client.next_event() for _ in range(7)]
    told = [(event.name, event.data.get("quantity", event.data.get("orderId"))) for event in events]
    orders = [("order:status_updated", f"o{quantity}") for quantity in range(0, 50, 10)]
    assert told == [*orders, ("inventory:stock_changed", 49), ("inventory:stock_changed", 49)]
    assert [event.data["productId"] for event in events[5:]] == ["p1", "p2"]


def test_who_polls_in_time_gets_every_stock_level(serve: Callable[..., Service]) -> None:
    service = serve()
    poller = Poller(service, "u1")
    poller.say('42["subscribe_inventory","p1"]')
    poller.ask()
    published = [{"kind": "inventory.updated", "productId": "p1", "quantity": quantity} for quantity in range(50)]
    service.publish(*({"type": one.pop("kind"), "data": one} for one in published))
    events = [json.loads(text[2:]) for text in poller.answer() if text.startswith("42")]
    events += [json.loads(text[2:]) for text in poller.read() if text.startswith("42")]
    assert [data["quantity"] for _, data in events] == list(range(50))
    assert slow_clients(service)["replaced"] == 0
    poller.close()


def test_rules_can_be_given_by_option(serve: Callable[..., Service]) -> None:
    rules = "inventory:stock_changed=disconnect,position=latest:id,noise:*=drop"
    service = serve(*TAKE_HUGE, "--slow-consumer", rules)
    client = service.join("u1")
    stocks(client, "p1")
    fall_behind(service, "u1")
    for number in range(3):
        service.publish_kind("inventory.updated", productId="p1", quantity=number)
        service.push({"user": "u1"}, "position", {"id": "a", "x": number})
        service.push({"user": "u1"}, "noise:street", number)
    assert client.next_event().name == "news"
    events = [client.next_event() for _ in range(4)]
    assert [event.data.get("quantity", event.data.get("x")) for event in events] == [0, 1, 2, 2]


def stuck(service: Service) -> tuple[Client, Poller]:
    """A WebSocket and a polling client in the middle of an event that they do not read."""
    client, poller = never_reader(service, "slow", "hall"), never_polling_reader(service, "idle", "hall")
    assert service.push({"room": "hall"}, "news", HUGE) == 2
    clients = slow_clients(service)
    assert clients["behind"] == 2
    assert len(HUGE) < clients["waitingBytes"] < 1.1 * len(HUGE), "in memory once"
    return client, poller


def test_who_reads_nothing_for_too_long_is_cut(serve: Callable[..., Service]) -> None:
    service = serve(*TAKE_HUGE, "--max-buffered-age", "1.5")
    client, poller = stuck(service)
    assert is_cut(client.wire.sock)
    assert is_cut(poller.getter.sock)
    clients = slow_clients(service)
    assert clients["cut"]["max_buffered_age"] == 2
    assert (clients["behind"], clients["waitingBytes"]) == (0, 0)
    line = service.program.wait_for_output("user slow disconnected")
    assert line.endswith("longer than max_buffered_age, 1.5 seconds)")
    poller.close()


def test_the_memory_for_all_has_a_limit_and_those_with_most_go_first(serve: Callable[..., Service]) -> None:
    service = serve("--max-buffered", "900000000", "--max-buffered-total", "4000000", "--ping-interval", "600")
    little = Poller(service, "little")
    service.push({"user": "little"}, "small", 1)
    much = never_reader(service, "much", "hall")
    for _ in range(ROUNDS):
        if not service.push({"room": "hall"}, "news", PAD):
            break
    assert is_cut(much.wire.sock)
    assert slow_clients(service)["cut"] == {"max_buffered": 0, "max_buffered_age": 0, "max_buffered_total": 1}
    assert little.read() == ['42["small",1]']
    little.close()


LEAVES = {
    "a close frame": frame(CLOSE, b"\x03\xe8"),
    "a DISCONNECT": frame(1, b"41"),
    "nonsense": frame(1, b"4{"),
}


def connections(service: Service) -> set[str]:
    """The sockets that the service has open."""
    found = set()
    for entry in Path(f"/proc/{service.program.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(entry.readlink()))
    return {name for name in found if name.startswith("socket:")}


@pytest.mark.parametrize("said", LEAVES.values(), ids=LEAVES)
def test_who_stops_reading_and_takes_leave_is_gone_in_seconds(serve: Callable[..., Service], said: bytes) -> None:
    service = serve(*TAKE_HUGE, "--connect-timeout", "0.5")
    before = connections(service)
    client, poller = stuck(service)
    client.wire.send(said)
    poller.say("1")
    poller.poster.close()
    # What the kernel has taken it may go on sending for; the service is rid of it, long before HTTP's minute.
    wait_until(lambda: connections(service) <= before)
    assert slow_clients(service)["waitingBytes"] == 0
    poller.close()
