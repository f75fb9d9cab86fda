"""What clients may ask for, and how they are answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.peers import Client, Event, fresh
from tests.service.servers import Service

EVERY_REQUEST = (
    "join_room",
    "leave_room",
    "subscribe_order",
    "unsubscribe_order",
    "subscribe_inventory",
    "unsubscribe_inventory",
    "subscribe_transfer",
    "unsubscribe_transfer",
)
NOT_AN_ID: list[Any] = [
    None, True, 1.5, {}, {"id": "7"}, [], ["7"], "", "  ", "a\nb", "a\x00b", "a\x7fb", "\ud800", "x" * 201,
    10**200,
]  # fmt: skip
NOT_TYPING: list[Any] = [
    None, "room", 7, [], {}, {"roomId": "r"}, {"isTyping": True}, {"roomId": 7, "isTyping": True},
    {"roomId": "r", "isTyping": "yes"}, {"roomId": "r", "isTyping": 1}, {"roomId": None, "isTyping": None},
]  # fmt: skip


@pytest.fixture
def client(service: Service) -> Client:
    return service.join(fresh("u"), "c1", "s1")


class TestAnswers:
    def test_each_request_is_granted_with_its_room(self, client: Client) -> None:
        granted = {request: client.succeed(request, "7x")["room"] for request in EVERY_REQUEST}
        assert granted == {
            "join_room": "7x",
            "leave_room": "7x",
            "subscribe_order": "order:7x",
            "unsubscribe_order": "order:7x",
            "subscribe_inventory": "product:7x",
            "unsubscribe_inventory": "product:7x",
            "subscribe_transfer": "transfer:7x",
            "unsubscribe_transfer": "transfer:7x",
        }

    @pytest.mark.parametrize("request_name", EVERY_REQUEST)
    def test_numbers_are_ids_and_name_the_same_room_as_their_text(
        self, client: Client, request_name: str
    ) -> None:
        assert client.succeed(request_name, 7) == client.succeed(request_name, "7")

    @pytest.mark.parametrize("request_name", EVERY_REQUEST)
    def test_what_is_no_id_is_a_bad_request(self, client: Client, request_name: str) -> None:
        for value in NOT_AN_ID:
            code, message = client.refused(request_name, value)
            assert code == "bad_request", value
            assert " must " in message, message
        assert client.refused(request_name)[0] == "bad_request", "without an argument"

    @pytest.mark.parametrize("request_name", [name for name in EVERY_REQUEST if not name.endswith("_room")])
    def test_an_id_cannot_reach_into_the_scopes_of_others(self, client: Client, request_name: str) -> None:
        assert client.refused(request_name, "7|user:u2")[0] == "bad_request"

    @pytest.mark.parametrize("value", NOT_TYPING)
    def test_what_is_no_typing_is_a_bad_request(self, client: Client, value: Any) -> None:
        assert client.refused("typing", value) == (
            "bad_request",
            "typing takes {roomId: string, isTyping: boolean}",
        )

    @pytest.mark.parametrize("request_name", [*EVERY_REQUEST, "typing"])
    def test_a_refusal_without_acknowledgement_comes_as_an_error_event(
        self, client: Client, request_name: str
    ) -> None:
        code, message = client.refused(request_name, None)
        client.emit(request_name, None)
        assert client.events() == [Event("error", {"event": request_name, "code": code, "message": message})]

    @pytest.mark.parametrize("request_name", EVERY_REQUEST)
    def test_a_granted_request_without_acknowledgement_is_not_answered(
        self, client: Client, request_name: str
    ) -> None:
        client.emit(request_name, "7")
        assert client.events() == []

    @pytest.mark.parametrize("request_name", EVERY_REQUEST)
    def test_further_arguments_are_ignored(self, client: Client, request_name: str) -> None:
        assert client.succeed(request_name, "7", *range(9)) == client.succeed(request_name, "7")
        client.emit(request_name, "7", *range(9))
        assert client.events() == []

    def test_binary_is_no_id(self, client: Client) -> None:
        client.wire.send_text('451-["subscribe_order",{"_placeholder":true,"num":0}]')
        client.wire.send_binary(b"7")
        (event,) = client.events()
        assert (event.name, event.data["code"]) == ("error", "bad_request")

    def test_unknown_events_are_ignored(self, client: Client) -> None:
        for name in ("connected", "error", "order:update", "subscribe", "__class__", "connection", ""):
            client.emit(name, {"orderId": "7"})
        assert client.events() == []

    @pytest.mark.parametrize("name", ["nonsense", "subscribe", "connected", "__class__", "\ud800", ""])
    def test_unknown_events_that_ask_for_an_answer_get_one(self, client: Client, name: str) -> None:
        assert client.refused(name, {"orderId": "7"}) == ("not_found", f"unknown event {name!r}")
        assert client.refused(name) == ("not_found", f"unknown event {name!r}")

    def test_a_long_name_is_not_sent_back_whole(self, service: Service, client: Client) -> None:
        code, message = client.refused("x" * 15_000)
        assert (code, message) == ("not_found", f"unknown event {'x' * 100 + '…'!r}")
        service.program.wait_for_output("of user " + client.connected["userId"])
        assert not any("x" * 200 in line for line in service.program.output)


class TestCustomRooms:
    def test_a_room_is_left_as_it_was_joined(self, service: Service, client: Client) -> None:
        room = fresh("room")
        assert service.push({"room": room}, "x") == 0
        client.succeed("join_room", room)
        client.succeed("join_room", room)
        assert service.push({"room": room}, "x") == 1
        client.succeed("leave_room", room)
        assert service.push({"room": room}, "x") == 0
        assert client.names() == ["x"]

    def test_leaving_a_custom_room_leaves_that_room_alone(self, service: Service, client: Client) -> None:
        room = fresh("room")
        client.succeed("join_room", room)
        client.succeed("join_room", f"{room}|2")
        client.succeed("leave_room", room)
        assert service.push({"room": room}, "x") == 0
        assert service.push({"room": f"{room}|2"}, "y") == 1
        assert client.names() == ["y"]

    @pytest.mark.parametrize("prefix", ["user", "company", "shop", "role", "order", "product", "transfer"])
    @pytest.mark.parametrize("request_name", ["join_room", "leave_room"])
    def test_the_servers_own_rooms_are_forbidden(self, client: Client, request_name: str, prefix: str) -> None:
        for name in (f"{prefix}:", f"{prefix}:1", f"{prefix}:7|user:u2"):
            assert client.refused(request_name, name)[0] == "forbidden", name

    def test_the_room_of_super_admins_is_forbidden(self, service: Service, client: Client) -> None:
        assert client.refused("join_room", "super_admin")[0] == "forbidden"
        service.push({"company": fresh("c")}, "secret")
        assert client.events() == []

    def test_the_own_room_of_any_socket_is_forbidden(self, service: Service, client: Client) -> None:
        other = service.join(fresh("u"))
        for socket_id in (other.id, client.id):
            assert client.refused("join_room", socket_id)[0] == "forbidden"
        assert service.push({"room": other.id}, "x") == 1

    def test_automatic_rooms_cannot_be_left(self, service: Service, client: Client) -> None:
        for room in client.connected["rooms"]:
            assert client.refused("leave_room", room)[0] == "forbidden"
            assert service.push({"room": room}, "x") >= 1

    def test_a_socket_gets_no_more_rooms_than_the_option_says(self, client: Client) -> None:
        for number in range(20):
            client.succeed("join_room", f"r{number}")
        for request in ("join_room", "subscribe_order", "subscribe_inventory", "subscribe_transfer"):
            assert client.refused(request, "one more")[0] == "too_many"
        client.succeed("join_room", "r0")
        client.succeed("leave_room", "r0")
        client.succeed("join_room", "one more")


class TestTyping:
    @pytest.fixture
    def other(self, service: Service) -> Client:
        return service.join(fresh("u"))

    def test_the_other_members_of_the_room_hear_of_it(
        self, service: Service, client: Client, other: Client
    ) -> None:
        room, stranger = fresh("room"), service.join(fresh("u"))
        for member in (client, other):
            member.succeed("join_room", room)
        assert client.succeed("typing", {"roomId": room, "isTyping": True}) == {"room": room}
        (event,) = other.events()
        assert event.data.pop("timestamp").endswith("Z")
        user = client.connected["userId"]
        assert event == Event("typing", {"roomId": room, "userId": user, "isTyping": True})
        assert client.events() == []
        assert stranger.events() == []

    def test_only_in_a_room_one_is_in(self, client: Client, other: Client) -> None:
        room = fresh("room")
        other.succeed("join_room", room)
        elsewhere = (room, "super_admin", other.id, *other.connected["rooms"], "\ud800")
        for name in elsewhere:
            assert client.refused("typing", {"roomId": name, "isTyping": True})[0] == "forbidden"
        client.succeed("join_room", room)
        client.succeed("leave_room", room)
        assert client.refused("typing", {"roomId": room, "isTyping": True})[0] == "forbidden"
        assert other.events() == []

    def test_what_else_the_sender_writes_is_not_passed_on(self, client: Client, other: Client) -> None:
        room = fresh("room")
        for member in (client, other):
            member.succeed("join_room", room)
        client.succeed("typing", {"roomId": room, "isTyping": False, "userId": "somebody else", "more": 1})
        (event,) = other.events()
        assert set(event.data) == {"roomId", "userId", "isTyping", "timestamp"}
        assert event.data["userId"] == client.connected["userId"]


class TestSubscriptions:
    def test_any_user_may_follow_a_product(self, service: Service) -> None:
        product, client = fresh("p"), service.join(fresh("u"))
        assert client.succeed("subscribe_inventory", product) == {"room": f"product:{product}"}
        assert service.push({"room": f"product:{product}"}, "x") == 1
        client.succeed("unsubscribe_inventory", product)
        assert service.push({"room": f"product:{product}"}, "x") == 0

    @pytest.mark.parametrize(
        ("company", "shops", "role"), [("c1", (), None), (None, ("s1",), None), (None, (), "super_admin")]
    )
    def test_members_of_companies_and_shops_may_follow_a_transfer(
        self, service: Service, company: str | None, shops: tuple[str, ...], role: str | None
    ) -> None:
        client = service.join(fresh("u"), company, *shops, role=role)
        transfer = fresh("t")
        answer = client.succeed("subscribe_transfer", transfer)
        assert answer == {"room": f"transfer:{transfer}", "pending": True}

    def test_users_of_neither_may_not(self, service: Service) -> None:
        client = service.join(fresh("u"), role="manager")
        assert client.refused("subscribe_transfer", "t1")[0] == "forbidden"
        client.succeed("unsubscribe_transfer", "t1")
