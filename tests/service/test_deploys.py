"""A service that is asked to stop lets its clients go a few at a time; a second signal ends it at once."""

from __future__ import annotations

import json
import selectors
import signal
from collections.abc import Iterator

import pytest

from tests.service.peers import Client, fresh, token
from tests.service.servers import ANYWHERE, WITH_KEY, Service, complaints, granted, json_body, refused, twistd
from tests.support.wire import HttpClient

POLLING = "/socket.io/?EIO=4&transport=polling"
SLOW = ("--drain-rate", "1", "--drain-timeout", "600")


def crowd(service: Service, size: int) -> list[Client]:
    return [service.join(fresh("u")) for _ in range(size)]


def departures(clients: list[Client]) -> Iterator[Client]:
    """The clients in the order in which their connections close."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.wire.sock, selectors.EVENT_READ, client)
        while selector.get_map():
            for key, _ in selector.select():
                selector.unregister(key.fileobj)
                assert [text for text in key.data.rest() if text != "2"] == [], "it is told nothing"
                yield key.data


def stop(service: Service, number: signal.Signals = signal.SIGTERM) -> None:
    service.program.process.send_signal(number)


def test_five_hundred_clients_leave_a_few_at_a_time() -> None:
    with twistd("--listen", ANYWHERE, "--drain-rate", "100", "--drain-timeout", "60") as program:
        service = Service(program)
        clients = crowd(service, 500)
        observers = [HttpClient(service.port) for _ in range(3)]
        for observer in observers:  # so that each has its connection before nobody can connect
            assert observer.request("GET", "/health").status == 200
        stop(service)
        gone, counts = [], []
        for client in departures(clients):
            gone.append(client)
            if len(gone) in (50, 100, 150):
                observer = observers[len(counts)]
                counts.append(granted(observer.request("GET", "/connected-users", WITH_KEY))["count"])
                observer.close()
        assert program.wait(10) == 0
        assert sorted(map(id, gone)) == sorted(map(id, clients))
        assert all(0 < count <= 450 - 50 * index for index, count in enumerate(counts))
        assert counts == sorted(counts, reverse=True)
        service.close_clients()
    assert complaints(program.output) == []


def test_who_waits_for_its_turn_is_still_served() -> None:
    with twistd("--listen", ANYWHERE, *SLOW) as program:
        service = Service(program)
        clients = crowd(service, 10)
        stop(service)
        first = next(departures(clients))
        for client in clients:
            if client is not first:
                client.succeed("join_room", "still here")
        stop(service)
        assert program.wait(10) == 0
        service.close_clients()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(number: signal.Signals) -> None:
    with twistd("--listen", ANYWHERE, *SLOW) as program:
        service = Service(program)
        clients = crowd(service, 20)
        stop(service)
        leaving = departures(clients)
        next(leaving)
        stop(service, number)
        assert len(list(leaving)) == 19
        assert program.wait(10) == 0
        program.wait_for_output("stopping at once: a second signal came")
        service.close_clients()
    assert complaints(program.output) == []


def test_an_interrupt_from_the_keyboard_is_no_crash() -> None:
    with twistd("--listen", ANYWHERE) as program:
        service = Service(program)
        service.join("u1")
        stop(service, signal.SIGINT)
        assert program.wait(10) == 0
        service.close_clients()


def test_during_the_delay_clients_may_still_come_and_ready_says_no() -> None:
    with twistd("--listen", ANYWHERE, "--drain-delay", "500", "--drain-timeout", "600") as program:
        service = Service(program)
        before = service.join("u1")
        stop(service)
        program.wait_for_output("stopping: ")
        response = service.request("GET", "/ready", ())
        answer = json_body(response)
        assert (response.status, answer["status"], answer["draining"]) == (503, "DRAINING", True)
        later = service.join("u2")
        assert service.push({"user": "u1"}, "x") == 1
        assert before.names() == ["x"]
        assert later.names() == []
        stop(service)
        assert program.wait(10) == 0
        service.close_clients()
    assert complaints(program.output) == []


def test_after_the_delay_nobody_can_connect_not_even_on_a_connection_that_is_there() -> None:
    with twistd("--listen", ANYWHERE, *SLOW) as program:
        service = Service(program)
        clients = crowd(service, 5)
        with HttpClient(service.port) as kept:
            assert kept.request("GET", "/health").status == 200
            stop(service)
            next(departures(clients))
            with pytest.raises(ConnectionRefusedError):
                service.open()
            answer = kept.request("GET", POLLING)
            assert (answer.status, answer.header("Connection")) == (503, "close")
            assert kept.read_to_end() == b""
        stop(service)
        assert program.wait(10) == 0
        service.close_clients()


def test_a_polling_client_is_told_at_its_next_poll() -> None:
    with twistd("--listen", ANYWHERE) as program:
        service = Service(program)
        with HttpClient(service.port) as client, HttpClient(service.port) as poll:
            assert poll.request("GET", "/health").status == 200
            opened = json.loads(client.request("GET", POLLING).text[1:])
            target = f"{POLLING}&sid={opened['sid']}"
            connect = f'40{{"token":"{token("u1")}"}}'.encode()
            assert client.request("POST", target, (), connect).text == "ok"
            assert client.request("GET", target).text.startswith("40{")
            stop(service)
            program.wait_for_output("user u1 disconnected")
            assert poll.request("GET", target).text == "1"
        assert program.wait(10) == 0


def test_a_polling_client_that_needs_a_new_connection_is_told() -> None:
    with twistd("--listen", ANYWHERE) as program:
        service = Service(program)
        opened = json.loads(service.request("GET", POLLING, ()).text[1:])
        target = f"{POLLING}&sid={opened['sid']}"
        connect = f'40{{"token":"{token("u1")}"}}'.encode()
        assert service.request("POST", target, (), connect).text == "ok"
        assert service.request("GET", target, ()).text.startswith("40{")
        stop(service)
        program.wait_for_output("user u1 disconnected")
        assert service.request("GET", POLLING, ()).status == 503
        assert service.request("GET", target, ()).text == "1"
        assert program.wait(10) == 0


def test_a_delay_as_long_as_all_is_refused() -> None:
    with twistd("--listen", ANYWHERE, "--drain-delay", "30", "--drain-timeout", "30") as program:
        assert program.wait() == 1
        assert "--drain-delay is 30 and --drain-timeout 30" in "\n".join(program.output)


def test_clients_leave_in_time_at_any_rate() -> None:
    with twistd("--listen", ANYWHERE, "--drain-rate", "1", "--drain-timeout", "2") as program:
        service = Service(program)
        clients = crowd(service, 40)
        stop(service)
        assert len(list(departures(clients))) == 40
        assert program.wait(10) == 0
        assert not any("stopping at once" in line for line in program.output)
        service.close_clients()


class TestRebalancing:
    @pytest.fixture(scope="class")
    @classmethod
    def running(cls) -> Iterator[Service]:
        with twistd("--listen", ANYWHERE, "--drain-rate", "100") as program:
            yield Service(program)
        assert complaints(program.output) == []

    @pytest.fixture
    def service(self, running: Service) -> Iterator[Service]:
        yield running
        running.close_clients()
        while granted(running.request("GET", "/connected-users"))["count"]:
            pass

    def test_a_share_leaves_and_the_others_stay(self, service: Service) -> None:
        clients = crowd(service, 50)
        assert granted(service.post("/rebalance", {"share": 0.2})) == {"leaving": 10}
        leaving = departures(clients)
        gone = [next(leaving) for _ in range(10)]
        for client in clients:
            if client not in gone:
                client.succeed("join_room", "still here")
        assert granted(service.request("GET", "/connected-users"))["count"] == 40
        assert service.join("u1").events() == [], "who left may come back"

    def test_all_can_be_sent_away_a_few_at_a_time(self, service: Service) -> None:
        clients = crowd(service, 200)
        assert granted(service.post("/rebalance", {"share": 1})) == {"leaving": 200}
        leaving = departures(clients)
        next(leaving)
        assert refused(service.post("/rebalance", {"share": 1}))[:2] == (503, "unavailable")
        assert granted(service.request("GET", "/connected-users"))["count"] > 50
        assert len(list(leaving)) == 199

    def test_a_share_is_rounded_up(self, service: Service) -> None:
        (client,) = crowd(service, 1)
        assert granted(service.post("/rebalance", {"share": 0.01})) == {"leaving": 1}
        assert client.rest() == []

    def test_nobody_is_nobody(self, service: Service) -> None:
        assert granted(service.post("/rebalance", {"share": 1})) == {"leaving": 0}

    @pytest.mark.parametrize(
        "body", [{}, [], 1, {"share": 0}, {"share": 1.5}, {"share": -1}, {"share": True}, {"share": "1"},
                 {"share": None}, {"share": 1, "x": 1}]
    )  # fmt: skip
    def test_what_is_no_share_is_refused(self, service: Service, body: object) -> None:
        assert refused(service.post("/rebalance", body))[:2] == (400, "bad_request")

    def test_it_needs_the_key_or_a_super_admin(self, service: Service) -> None:
        client = service.join("u1")
        assert refused(service.post("/rebalance", {"share": 1}, ()))[0] == 401
        bearer = (("Authorization", f"Bearer {token('u1', role='manager')}"),)
        assert refused(service.post("/rebalance", {"share": 1}, bearer))[0] == 403
        client.succeed("join_room", "still here")
        bearer = (("Authorization", f"Bearer {token('u1', role='super_admin')}"),)
        assert granted(service.post("/rebalance", {"share": 1}, bearer)) == {"leaving": 1}
        assert client.rest() == []


def test_no_rebalance_while_it_stops() -> None:
    with twistd("--listen", ANYWHERE, "--drain-delay", "500", "--drain-timeout", "600") as program:
        service = Service(program)
        stop(service)
        program.wait_for_output("stopping: ")
        assert refused(service.post("/rebalance", {"share": 1}))[:2] == (503, "unavailable")
        stop(service)
        assert program.wait(10) == 0
