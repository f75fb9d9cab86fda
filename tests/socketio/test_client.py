"""CONNECT: who may enter, what is heard before that, and how long a connection may stay outside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from rtwist.socketio import ConnectionRefused, ConnectLater, Socket
from tests.socketio.fakes import House


def test_the_reply_tells_the_public_id_which_is_not_the_secret_one(house: House) -> None:
    guest = house.guest()
    guest.say('0{"token":"x"}')
    (reply,) = guest.hear()
    (socket,) = house.io.root.sockets.values()
    assert json.loads(reply[1:]) == {"sid": socket.id}
    assert socket.id != guest.wire.session.sid
    assert (socket.handshake.auth, len(socket.id)) == ({"token": "x"}, 20)


def test_without_a_payload_auth_is_empty(house: House) -> None:
    assert house.guest().enter().handshake.auth == {}


def test_one_connection_may_be_in_several_namespaces(house: House) -> None:
    house.io.of("/admin")
    guest = house.guest()
    socket, admin = guest.enter(), guest.enter("/admin,")
    socket.emit("a")
    admin.emit("b", b"x")
    assert guest.hear() == ['2["a"]', '51-/admin,["b",{"_placeholder":true,"num":0}]', "beA=="]
    guest.say("1/admin,")
    assert (admin.connected, socket.connected, guest.gone) == (False, True, False)
    assert guest.enter("/admin,").id != admin.id


@pytest.mark.parametrize("close", [False, True])
def test_disconnect_with_close_takes_every_namespace_along(house: House, close: bool) -> None:
    house.io.of("/admin")
    guest = house.guest()
    socket, admin = guest.enter(), guest.enter("/admin,")
    admin.disconnect(close)
    assert (socket.connected, guest.gone) == (not close, close)


@pytest.mark.parametrize(
    "packets",
    [
        ("0", "0"),
        ("0/slow,", "0/slow,"),
        ('2["a"]',),
        ('2/slow,["a"]',),
        ("0/slow,", '2/slow,["a"]'),
        ("3/slow,1[]",),
        ("1",),
        ("0", '4{"message":"x"}'),
        ("0", '2["connect"]'),
        ("0", "x"),
        ("0", b"binary"),
        ("0", '51-["a",{"_placeholder":true,"num":-1}]', b"x"),
        ("0", '51-["a"]', '2["b"]'),
        ("51-/slow,[1]", b"x"),
    ],
)
def test_what_breaks_the_protocol_ends_that_connection_only_and_without_traceback(
    house: House, packets: tuple[str | bytes, ...]
) -> None:
    gate: Deferred[None] = Deferred()
    house.io.of("/slow").use(lambda socket: gate)
    innocent, _ = house.visitor()
    guest = house.guest()
    guest.say(*packets)
    assert guest.gone
    guest.say('2["late"]')
    assert not innocent.gone
    gate.callback(None)


def test_an_unknown_namespace_is_refused_and_the_connection_stays(house: House) -> None:
    guest = house.guest()
    guest.say("0/nowhere,")
    assert guest.hear() == ['4/nowhere,{"message":"Invalid namespace"}']
    guest.enter()
    assert not guest.gone


# Middleware


def refusing(error: BaseException, how: str) -> Any:
    def plain(socket: Socket) -> None:
        raise error

    async def asynchronous(socket: Socket) -> None:
        raise error

    return {"plain": plain, "async": asynchronous, "deferred": lambda socket: _failed(error)}[how]


def _failed(error: BaseException) -> Deferred[None]:
    deferred: Deferred[None] = Deferred()
    deferred.errback(Failure(error))
    return deferred


HOW = pytest.mark.parametrize("how", ["plain", "async", "deferred"])


@HOW
@pytest.mark.parametrize(
    ("data", "packet"),
    [
        (None, '4{"message":"no"}'),
        ({"code": 1}, '4{"message":"no","data":{"code":1}}'),
        (0, '4{"message":"no","data":0}'),
    ],
)
def test_a_refusal_reaches_the_client_which_may_try_again(house: House, how: str, data: Any, packet: str) -> None:
    house.io.use(refusing(ConnectionRefused("no", data), how))
    guest = house.guest()
    guest.say("0")
    assert (guest.hear(), guest.gone, len(house.io.root.sockets)) == ([packet], False, 0)
    house.io.root.middleware.clear()
    guest.enter()


@HOW
def test_a_refusal_with_data_that_has_no_json_form_goes_without(house: House, how: str) -> None:
    house.io.use(refusing(ConnectionRefused("no", object()), how))
    guest = house.guest()
    guest.say("0")
    assert (guest.hear(), guest.gone) == (['4{"message":"no"}'], False)
    assert [failure.partition(":")[0] for failure in house.failures] == ["TypeError"]
    house.logs.clear()
    house.clock.advance(5)
    assert guest.gone


@HOW
def test_connect_later_closes_the_transport_without_a_refusal(house: House, how: str) -> None:
    house.io.use(refusing(ConnectLater("keys are away"), how))
    guest = house.guest()
    guest.say("0")
    assert (guest.hear(), guest.gone, len(house.warnings)) == ([], True, 1)


@HOW
def test_broken_middleware_is_logged_and_closes_the_transport(house: House, how: str) -> None:
    house.io.use(refusing(ValueError("bug"), how))
    guest = house.guest()
    guest.say("0")
    assert (guest.hear(), guest.gone) == ([], True)
    house.forgive("ValueError: bug")


def test_middleware_runs_in_order_and_stops_at_the_first_refusal(house: House) -> None:
    order: list[int] = []
    gates = [Deferred[None](), Deferred[None]()]

    async def first(socket: Socket) -> None:
        await gates[0]
        order.append(1)

    def second(socket: Socket) -> Deferred[None]:
        order.append(2)
        return gates[1]

    def third(socket: Socket) -> None:
        order.append(3)
        raise ConnectionRefused("no")

    for middleware in (first, second, third, lambda socket: order.append(4)):
        house.io.use(middleware)
    guest = house.guest()
    guest.say("0")
    assert order == []
    gates[0].callback(None)
    assert order == [1, 2]
    gates[1].callback(None)
    assert order == [1, 2, 3]
    assert guest.hear() == ['4{"message":"no"}']


def test_nothing_reaches_a_client_before_it_is_accepted(house: House) -> None:
    gate: Deferred[None] = Deferred()
    entered: list[Socket] = []
    waiting: list[Socket] = []

    async def wait(socket: Socket) -> None:
        waiting.append(socket)
        socket.join("room")
        await gate

    house.io.use(wait)
    house.io.on("connection", entered.append)
    guest = house.guest()
    guest.say("0")
    (socket,) = waiting
    assert (house.io.emit("a"), house.io.to(["room", socket.id]).emit("b")) == (0, 0)
    socket.emit("c")
    socket.volatile.emit("d")
    socket.disconnect()
    assert (guest.hear(), entered, house.io.root.adapter.rooms.names()) == ([], [], frozenset())
    gate.callback(None)
    (reply,) = guest.hear()
    assert reply.startswith('0{"sid"')
    assert (entered, house.io.to("room").emit("e"), guest.hear()) == ([socket], 1, ['2["e"]'])


def test_the_reply_comes_before_anything_a_connection_handler_sends(house: House) -> None:
    house.io.on("connection", lambda socket: socket.emit("hello"))
    guest = house.guest()
    guest.say("0")
    assert [packet[:2] for packet in guest.hear()] == ["0{", "2["]


def test_events_wait_for_an_async_connection_handler(house: House) -> None:
    gate: Deferred[None] = Deferred()
    seen: list[Any] = []

    @house.io.on("connection")
    async def connected(socket: Socket) -> None:
        await gate
        socket.on("a", seen.append)

    guest, _ = house.visitor()
    guest.say('2["a",1]')
    assert seen == []
    gate.callback(None)
    assert seen == [1]


@pytest.mark.parametrize("outcome", ["accepted", "refused", "later", "broken"])
def test_a_client_that_leaves_while_it_waits_leaves_nothing(house: House, outcome: str) -> None:
    gate: Deferred[None] = Deferred()
    entered: list[Socket] = []
    house.io.use(lambda socket: gate)
    house.io.on("connection", entered.append)
    guest = house.guest()
    guest.say("0")
    guest.leave()
    errors = {"refused": ConnectionRefused("no"), "later": ConnectLater("no"), "broken": ValueError("bug")}
    gate.callback(None) if outcome == "accepted" else gate.errback(errors[outcome])
    assert entered == []
    assert house.clock.getDelayedCalls() == []
    if outcome == "broken":
        house.forgive("ValueError: bug")


def test_middleware_that_is_cancelled_at_stop_closes_quietly(house: House) -> None:
    house.io.use(lambda socket: Deferred())
    guest = house.guest()
    guest.say("0")
    house.io.tasks.stop()
    assert (guest.hear(), guest.gone) == ([], True)


# How long a connection may stay outside


def test_a_connection_in_no_namespace_is_closed_in_time(house: House) -> None:
    guest = house.guest()
    house.clock.advance(20)
    guest.say("0/nowhere,")
    house.clock.advance(4.5)
    assert not guest.gone
    house.clock.advance(0.5)
    assert guest.gone


def test_without_connect_it_is_closed_after_connect_timeout(house: House) -> None:
    guest = house.guest()
    for _ in range(2):
        house.clock.advance(22)
        guest.wire.session.received(guest.wire, "3")
    house.clock.advance(0.5)
    assert not guest.gone
    house.clock.advance(0.5)
    assert guest.gone


def test_being_refused_again_and_again_buys_no_time(house: House) -> None:
    guest = house.guest()
    for _ in range(5):
        guest.say("0/nowhere,")
        house.clock.advance(1)
    assert guest.gone


def test_entering_stops_the_clock_and_leaving_starts_it(house: House) -> None:
    guest, _ = house.visitor()
    assert len(house.clock.getDelayedCalls()) == 1
    guest.say("1")
    assert len(house.clock.getDelayedCalls()) == 2
    guest.enter()
    assert len(house.clock.getDelayedCalls()) == 1


def test_slow_middleware_does_not_outlive_the_connect_timeout(house: House) -> None:
    gate: Deferred[None] = Deferred()
    house.io.use(lambda socket: gate)
    guest = house.guest()
    guest.say("0")
    for _ in range(3):
        house.clock.advance(15)
        guest.wire.session.received(guest.wire, "3")
    assert guest.gone
    gate.callback(None)
    assert len(house.io.root.sockets) == 0
