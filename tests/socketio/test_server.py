"""The server as a whole: namespaces, shutting down."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from rtwist.socketio import Server, Socket
from tests.socketio.fakes import House


@pytest.mark.parametrize("name", ["/chat", "chat"])
def test_a_namespace_is_made_once(house: House, name: str) -> None:
    assert house.io.of(name) is house.io.of("/chat")
    assert house.io.of("/") is house.io.root
    assert set(house.io.namespaces) == {"/", "/chat"}


def test_namespaces_do_not_hear_each_other(house: House) -> None:
    chat = house.io.of("/chat")
    root, other = house.guest(), house.guest()
    root.enter().join("room")
    other.enter("/chat,").join("room")
    house.io.to("room").emit("a")
    assert (root.hear(), other.hear()) == (['2["a"]'], [])
    chat.emit("b")
    assert (root.hear(), other.hear()) == ([], ['2/chat,["b"]'])


def test_the_server_speaks_for_the_namespace_slash(house: House) -> None:
    entered: list[Socket] = []
    assert house.io.on("connection", entered.append) == entered.append
    house.io.on("connection")(lambda socket: entered.append(socket))  # noqa: PLW0108 - a decorator
    _, socket = house.visitor()
    assert entered == [socket, socket]
    house.io.sockets_join("everybody")
    assert "everybody" in socket.rooms
    house.io.sockets_leave("everybody")
    assert "everybody" not in socket.rooms
    found: list[Any] = []
    Deferred.fromCoroutine(house.io.fetch_sockets()).addCallback(found.extend)
    assert found == [socket]


def test_handlers_of_the_server_come_once_and_go(house: House) -> None:
    entered: list[Socket] = []
    seen: list[str] = []

    def every(socket: Socket) -> None:
        seen.append("every")

    house.io.once("connection", entered.append)
    house.io.on("connection", every)
    house.io.on("connection", lambda socket: seen.append("other"))
    _, socket = house.visitor()
    house.io.off("connection", every)
    house.visitor()
    assert (entered, seen) == ([socket], ["every", "other", "other"])
    house.io.off("connection")
    house.visitor()
    assert len(seen) == 3


def test_closing_tells_every_socket_and_ends_every_connection(house: House) -> None:
    reasons: list[str] = []
    house.io.of("/chat").on("connection", lambda socket: socket.on("disconnect", reasons.append))
    house.io.on("connection", lambda socket: socket.on("disconnect", reasons.append))
    first, second, outside = house.guest(), house.guest(), house.guest()
    first.enter()
    first.enter("/chat,")
    second.enter("/chat,")
    house.io.close()
    assert reasons == ["server shutting down"] * 3
    assert all(guest.gone for guest in (first, second, outside))
    assert first.hear() == []
    assert house.clock.getDelayedCalls() == []


def test_after_closing_nobody_gets_in(house: House) -> None:
    house.io.close()
    over = house.io.engine.admission.admits("127.0.0.1")
    assert over is not None
    assert (over.status, over.code) == (503, "unavailable")


def test_closing_an_empty_server_twice_is_fine(house: House) -> None:
    house.io.close()
    house.io.close()


def test_stopping_ends_busy_handlers_quietly(house: House) -> None:
    gate: Deferred[None] = Deferred()
    seen: list[int] = []
    guest, socket = house.visitor()
    socket.on("slow", lambda: gate)
    socket.on("a", seen.append)
    socket.use(lambda event, args: None)
    guest.say('2["slow"]', '2["a",1]')
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        house.io.close()
        gc.collect()
    assert (seen, len(house.io.tasks), complaints) == ([], 0, [])


def test_stopping_before_closing_is_quiet_too(house: House) -> None:
    guest, socket = house.visitor()

    async def pass_on(event: str, args: list[Any]) -> None:
        await Deferred()

    socket.use(pass_on)
    guest.say('2["a",1]', '2["a",2]', '2["a",3]')
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        house.io.tasks.stop()
        house.io.close()
        gc.collect()
    assert (len(house.io.tasks), complaints) == (0, [])


def test_default_options(house: House) -> None:
    assert Server(house.clock).options.path == "/socket.io/"
