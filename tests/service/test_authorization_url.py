"""The authorization URL decides who may be in a room, and nobody gets in while it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.service.peers import Client, Event, fresh, token
from tests.service.servers import ANYWHERE, KEYS, Service, complaints, twistd
from tests.support.authority import Authority, Gate, Rule, answer, raw

SECRET = "the-secret-of-the-authorization-service"
NOT_YOURS = ("forbidden", "this order is not yours to follow")
NOT_TO_JOIN = ("forbidden", "this room is not yours to join")


@pytest.fixture(scope="module")
def running_authority() -> Iterator[Authority]:
    with Authority() as authority:
        yield authority


@pytest.fixture(scope="module")
def running(running_authority: Authority) -> Iterator[Service]:
    options = ["--listen", ANYWHERE, "--custom-rooms", "granted", "--max-rooms", "20"]
    options += ["--authorization-url", running_authority.url, "--authorization-timeout", "10"]
    options += ["--authorization-ttl", "3600", "--authorization-cache", "50"]
    with twistd(*options, env={**KEYS, "AUTHORIZATION_SECRET": SECRET}) as program:
        yield Service(program)
    assert complaints(program.output) == []
    assert not any(SECRET in line for line in program.output)


@pytest.fixture
def authority(running_authority: Authority) -> Iterator[Authority]:
    yield running_authority
    running_authority.rules.clear()


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    yield running
    running.close_clients()


def joined(service: Service, **claims: Any) -> Client:
    client = service.open()
    assert client.connect(token(**{"userId": fresh("u"), **claims})) is None
    return client


def order_of(service: Service, **owners: str) -> str:
    """A known order, of strangers unless told otherwise."""
    order = fresh("o")
    service.publish_kind("order.created", orderId=order, **{"userId": fresh("u"), **owners})
    return order


def follows(service: Service, client: Client, order: str) -> bool:
    service.publish_kind("order.shipped", orderId=order)
    return "order:update" in client.names()


def admitted(service: Service, authority: Authority, order: str, **claims: Any) -> Client:
    authority.rules[f"order:{order}"] = answer(allow=True)
    client = joined(service, **claims)
    client.succeed("subscribe_order", order)
    return client


class TestTheQuestion:
    def test_it_says_who_wants_what(self, service: Service, authority: Authority) -> None:
        user, order = fresh("u"), fresh("o")
        client = joined(service, userId=user, companyId="c1", shopIds=["s1", 2], roles=["clerk"])
        client.call("subscribe_order", order)
        (question,) = authority.asked(f"order:{order}")
        assert question == {
            "userId": user,
            "companyId": "c1",
            "shopIds": ["s1", "2"],
            "roles": ["clerk"],
            "action": "subscribe_order",
            "room": f"order:{order}",
            "id": order,
        }
        assert authority.paths[-1] == "/may-join"
        assert authority.headers[-1]["Authorization"] == f"Bearer {SECRET}"
        assert authority.headers[-1]["Content-Type"] == "application/json"

    @pytest.mark.parametrize(
        ("request_name", "prefix"),
        [("join_room", ""), ("subscribe_order", "order:"), ("subscribe_transfer", "transfer:")],
    )
    def test_which_requests_are_asked_about(
        self, service: Service, authority: Authority, request_name: str, prefix: str
    ) -> None:
        thing, client = fresh("t"), joined(service)
        assert client.refused(request_name, thing)[0] == "forbidden"
        (question,) = authority.asked(prefix + thing)
        assert (question["action"], question["id"], question["companyId"]) == (request_name, thing, None)

    def test_which_are_not(self, service: Service, authority: Authority) -> None:
        client = joined(service, rooms=["order:granted", "!order:refused", "!refused"])
        before = len(authority.questions)
        client.succeed("subscribe_inventory", "p1")
        client.succeed("subscribe_order", "granted")
        for request, value in (
            *(("subscribe_order", "refused"), ("join_room", "refused"), ("join_room", "user:u1")),
            *(("join_room", client.id), ("join_room", "order:7"), ("subscribe_order", "7|x"), ("join_room", 1.5)),
        ):
            assert client.refused(request, value)[0] in ("forbidden", "bad_request")
        for request in ("leave_room", "unsubscribe_order", "unsubscribe_transfer"):
            client.succeed(request, "anything")
        assert len(authority.questions) == before


class TestItsAnswer:
    def test_it_lets_strangers_follow_an_order(self, service: Service, authority: Authority) -> None:
        order, client = order_of(service), joined(service)
        authority.rules[f"order:{order}"] = answer(allow=True)
        assert client.succeed("subscribe_order", order) == {"room": f"order:{order}"}
        assert follows(service, client, order)
        service.publish_kind("order.updated", orderId=order, userId=fresh("u"), companyId=fresh("c"))
        assert client.names() == ["order:update"]
        assert follows(service, client, order), "also when it has other owners"
        client.succeed("unsubscribe_order", order)
        assert not follows(service, client, order)

    def test_an_order_not_known_yet_is_not_pending_then(self, service: Service, authority: Authority) -> None:
        order, client = fresh("o"), joined(service)
        authority.rules[f"order:{order}"] = answer(allow=True)
        assert client.succeed("subscribe_order", order) == {"room": f"order:{order}"}
        service.publish_kind("order.created", orderId=order, userId=fresh("u"))
        assert client.names() == ["order:update"]

    def test_it_keeps_owners_and_super_admins_out(self, service: Service, authority: Authority) -> None:
        user = fresh("u")
        order = order_of(service, userId=user)
        for client in (joined(service, userId=user), joined(service, role="super_admin")):
            assert client.refused("subscribe_order", order) == NOT_YOURS
            client.events()
            assert not follows(service, client, order)
        assert len(authority.asked(f"order:{order}")) == 2

    def test_custom_rooms_and_transfers(self, service: Service, authority: Authority) -> None:
        room, transfer, client = fresh("room"), fresh("t"), joined(service)
        authority.rules |= {room: answer(allow=True), f"transfer:{transfer}": answer(allow=True)}
        assert client.succeed("join_room", room) == {"room": room}
        assert client.succeed("subscribe_transfer", transfer) == {"room": f"transfer:{transfer}"}
        service.push({"room": room}, "x")
        service.publish_kind("transfer.sent", transferId=transfer, companyId=fresh("c"))
        assert client.names() == ["x", "transfer:status_update"]
        assert client.succeed("typing", {"roomId": room, "isTyping": True}) == {"room": room}

    def test_a_grant_of_the_token_needs_no_question(self, service: Service, authority: Authority) -> None:
        client = joined(service, rooms=["chat-*"])
        room = fresh("chat-")
        client.succeed("join_room", room)
        assert client.refused("join_room", fresh("room")) == NOT_TO_JOIN
        assert authority.asked(room) == []

    def test_too_many_is_too_many_all_the_same(self, service: Service, authority: Authority) -> None:
        client, names = joined(service), [fresh("room") for _ in range(21)]
        authority.rules |= {name: answer(allow=True) for name in names}
        for name in names[:20]:
            client.succeed("join_room", name)
        assert client.refused("join_room", names[20])[0] == "too_many"


class TestRemembering:
    def test_an_answer_counts_for_the_same_identity_and_room(
        self, service: Service, authority: Authority
    ) -> None:
        room, other, user = fresh("room"), fresh("room"), fresh("u")
        authority.rules[room] = answer(allow=True)
        for _ in range(2):
            client = joined(service, userId=user)
            client.succeed("join_room", room)
            client.succeed("join_room", room)
            assert client.refused("join_room", other) == NOT_TO_JOIN
        assert len(authority.asked(room)) == len(authority.asked(other)) == 1
        for claims in ({"userId": fresh("u")}, {"companyId": "c1"}, {"role": "clerk"}, {"shopIds": ["s1"]}):
            joined(service, **{"userId": user, **claims}).succeed("join_room", room)
        assert len(authority.asked(room)) == 5

    def test_no_more_answers_are_kept_than_the_option_says(self, service: Service, authority: Authority) -> None:
        client, first = joined(service), fresh("room")
        for name in (first, *(fresh("room") for _ in range(50)), first):
            client.refused("join_room", name)
        assert len(authority.asked(first)) == 2

    def test_many_who_ask_the_same_at_once_make_one_request(self, service: Service, authority: Authority) -> None:
        room, user, gate = fresh("room"), fresh("u"), Gate(answer(allow=True))
        authority.rules[room] = gate
        clients = [joined(service, userId=user) for _ in range(5)]
        for number, client in enumerate(clients):
            client.wire.send_text(f'42{number}["join_room","{room}"]')
        gate.wait_for_one()
        joined(service)  # a round trip, after which the service has read all of them
        gate.open()
        for number, client in enumerate(clients):
            assert client.packet() == f'43{number}[{{"success":true,"room":"{room}"}}]'
        assert len(authority.asked(room)) == 1
        assert service.push({"room": room}, "x") == 5


class TestMoving:
    """With answers that count for an hour."""

    def test_who_keeps_a_room_by_moving_keeps_it(self, service: Service, authority: Authority) -> None:
        user, order = fresh("u"), order_of(service)
        authority.rules[f"order:{order}"] = answer(allow=True)
        client = joined(service, userId=user)
        client.succeed("subscribe_order", order)
        service.publish_kind("user.updated", userId=user, companyId=fresh("c"))
        while len(authority.asked(f"order:{order}")) < 2:
            client.succeed("subscribe_inventory", "p1")
        assert authority.asked(f"order:{order}")[1]["companyId"] is not None
        client.events()
        assert follows(service, client, order)

    def test_who_is_moved_is_asked_about_at_once(self, service: Service, authority: Authority) -> None:
        user, old, order, room = fresh("u"), fresh("c"), order_of(service), fresh("room")
        of_old: Rule = lambda question: answer(allow=question["companyId"] == old)(question)  # noqa: E731
        client = admitted(service, authority, order, userId=user, companyId=old)
        authority.rules |= {f"order:{order}": of_old, room: of_old}
        client.succeed("join_room", room)
        service.publish_kind("user.updated", userId=user, companyId=fresh("c"))
        said = [client.next_event() for _ in range(3)]
        assert said[0].name == "user:updated"
        assert {event.data["room"] for event in said[1:]} == {f"order:{order}", room}
        assert service.push({"room": room}, "x") == 0
        assert not follows(service, client, order)

    def test_a_grant_that_moving_takes_away_becomes_a_question(
        self, service: Service, authority: Authority
    ) -> None:
        user, company, kept = fresh("u"), fresh("c"), fresh("room")
        authority.rules[kept] = answer(allow=True)
        names = [f"desk:{company}", kept]
        client = joined(service, userId=user, companyId=company, rooms=["desk:{companyId}"])
        for name in names:
            client.succeed("join_room", name)
        assert authority.asked(names[0]) == []
        service.publish_kind("user.updated", userId=user, companyId=fresh("c"))
        assert client.next_event().name == "user:updated"
        assert client.next_event().data["room"] == names[0]
        assert [service.push({"room": name}, "x") for name in names] == [0, 1]


class TestWhileItIsAsked:
    def test_the_clients_other_events_wait_their_turn(self, service: Service, authority: Authority) -> None:
        room, gate, client, other = fresh("room"), Gate(answer(allow=True)), joined(service), joined(service)
        authority.rules[room] = gate
        client.wire.send_text(f'421["join_room","{room}"]')
        gate.wait_for_one()
        client.wire.send_text(f'422["typing",{{"roomId":"{room}","isTyping":true}}]')
        client.wire.send_text(f'423["leave_room","{room}"]')
        other.succeed("subscribe_inventory", "p1")
        service.push({"all": True}, "news")
        gate.open()
        said = [client.packet() for _ in range(4)]
        assert said[0].startswith('42["news"')
        assert said[1:] == [f'43{number}[{{"success":true,"room":"{room}"}}]' for number in (1, 2, 3)]
        assert service.push({"room": room}, "x") == 0

    def test_who_leaves_meanwhile_is_in_no_room(self, service: Service, authority: Authority) -> None:
        room, gate, client, witness = fresh("room"), Gate(answer(allow=True)), joined(service), joined(service)
        authority.rules[room] = gate
        client.wire.send_text(f'42["join_room","{room}"]')
        gate.wait_for_one()
        client.wire.send_text("41")
        witness.succeed("subscribe_inventory", "p1")
        gate.open()
        witness.succeed("join_room", room)
        assert service.push({"room": room}, "x") == 1
        service.program.wait_for_output(f"user {witness.connected['userId']} on {witness.id} joined")
        assert not any(f"on {client.id} joined" in line for line in service.program.output)

    def test_who_is_moved_meanwhile_is_asked_about_as_who_they_are_then(
        self, service: Service, authority: Authority
    ) -> None:
        room, user, old, new = fresh("room"), fresh("u"), fresh("c"), fresh("c")
        gate = Gate(lambda question: answer(allow=question["companyId"] == old)(question))
        authority.rules[room] = gate
        client = joined(service, userId=user, companyId=old)
        client.wire.send_text(f'421["join_room","{room}"]')
        gate.wait_for_one()
        service.publish_kind("user.updated", userId=user, companyId=new)
        gate.open()
        assert client.packet().startswith('42["user:updated"')
        assert client.packet().startswith('431[{"success":false,"error":{"code":"forbidden"')
        assert [question["companyId"] for question in authority.asked(room)] == [old, new]
        assert service.push({"room": room}, "x") == 0


BAD: dict[str, Rule] = {
    "another status": raw(500, b'{"allow":true}'),
    "a success without an answer": raw(204, b""),
    "another success": raw(201, b'{"allow":true}'),
    **{
        f"a redirection ({status}) to where all is allowed": raw(status, b"", Location="/all-is-allowed")
        for status in (301, 302, 303, 307, 308)
    },
    "no JSON": raw(200, b"yes"),
    "nothing": raw(200, b""),
    "no UTF-8": raw(200, b'{"allow":true,"\xff":1}'),
    "a list": raw(200, b"[true]"),
    "no allow": raw(200, b'{"ttl":5}'),
    "allow as text": raw(200, b'{"allow":"true"}'),
    "allow as a number": raw(200, b'{"allow":1}'),
    "allow as null": raw(200, b'{"allow":null}'),
    "ttl as text": raw(200, b'{"allow":true,"ttl":"5"}'),
    "too much": raw(200, b'{"allow":true,"more":"' + b"x" * 5000 + b'"}'),
    "a compressed answer": raw(200, b"\x1f\x8b", **{"Content-Encoding": "gzip"}),
    "no answer at all": raw(0, b""),
    "less than it says": raw(200, b'{"allow":true}', **{"Content-Length": "100", "Connection": "close"}),
}


class TestFailures:
    @pytest.mark.parametrize("rule", BAD.values(), ids=BAD.keys())
    def test_what_is_no_answer_lets_nobody_in(self, service: Service, authority: Authority, rule: Rule) -> None:
        user = fresh("u")
        order = order_of(service, userId=user)
        authority.rules[f"order:{order}"] = rule
        owner = joined(service, userId=user)
        assert owner.refused("subscribe_order", order) == NOT_YOURS
        assert "/all-is-allowed" not in authority.paths
        authority.rules[f"order:{order}"] = answer(allow=True)
        assert owner.succeed("subscribe_order", order) == {"room": f"order:{order}"}, "a failure is not kept"

    def test_the_log_warns_once_in_a_while(self, running_authority: Authority) -> None:
        options = ("--listen", ANYWHERE, "--authorization-url", running_authority.url)
        with twistd(*options) as program:
            service = Service(program)
            running_authority.rules |= {name: raw(503, b"") for name in ("a", "b", "c")}
            client = joined(service)
            for name in ("a", "b", "c"):
                assert client.refused("join_room", name) == NOT_TO_JOIN
            program.wait_for_output("it answers 503 rather than 200")
            client.close()
        assert sum("authorization URL cannot be used" in line for line in program.output) == 1
        assert complaints(program.output) == []

    def test_nobody_there(self) -> None:
        with Authority() as authority:
            url = authority.url
        with twistd("--listen", ANYWHERE, "--authorization-url", url) as program:
            service = Service(program)
            with_order = order_of(service, userId="u1")
            assert joined(service, userId="u1").refused("subscribe_order", with_order) == NOT_YOURS
            service.close_clients()
        assert complaints(program.output) == []


@pytest.fixture(scope="module")
def running_briefly(running_authority: Authority) -> Iterator[Service]:
    options = ["--authorization-url", running_authority.url, "--authorization-timeout", "1"]
    options += ["--authorization-ttl", "2", "--authorization-for", "order,custom", "--listen", ANYWHERE]
    with twistd(*options) as program:
        yield Service(program)
    assert complaints(program.output) == []


class TestMembers:
    """With answers that count for two seconds, and must come within one."""

    @pytest.fixture
    def service(self, running_briefly: Service) -> Iterator[Service]:
        yield running_briefly
        running_briefly.close_clients()

    def test_who_gets_no_answer_in_time_is_refused(self, service: Service, authority: Authority) -> None:
        order, client, gate = order_of(service), joined(service), Gate(answer(allow=True))
        authority.rules[f"order:{order}"] = gate
        assert client.refused("subscribe_order", order) == NOT_YOURS
        gate.open()
        assert not follows(service, client, order)

    def told(self, order: str) -> Event:
        error = {"event": "subscribe_order", "code": NOT_YOURS[0], "message": NOT_YOURS[1]}
        return Event("error", {**error, "room": f"order:{order}"})

    def test_who_would_be_refused_now_has_to_go(self, service: Service, authority: Authority) -> None:
        order = order_of(service)
        client = admitted(service, authority, order)
        authority.rules[f"order:{order}"] = answer(allow=False)
        assert client.next_event() == self.told(order)
        assert not follows(service, client, order)

    def test_who_has_left_is_asked_about_no_more(self, service: Service, authority: Authority) -> None:
        order, other = order_of(service), order_of(service)
        client = admitted(service, authority, order)
        client.succeed("unsubscribe_order", order)
        witness = admitted(service, authority, other)
        authority.rules[f"order:{other}"] = answer(allow=False)
        assert witness.next_event() == self.told(other)
        assert len(authority.asked(f"order:{order}")) == 1

    @pytest.mark.parametrize("rule", [raw(500, b""), raw(0, b"")])
    def test_a_service_that_fails_for_too_long_ends_it(
        self, service: Service, authority: Authority, rule: Rule
    ) -> None:
        order = order_of(service)
        client = admitted(service, authority, order)
        authority.rules[f"order:{order}"] = rule
        assert client.next_event() == self.told(order)
        assert not follows(service, client, order)
