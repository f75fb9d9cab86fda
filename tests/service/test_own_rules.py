"""The service with a routes file, and what it says of a broken one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.peers import fresh
from tests.service.servers import ANYWHERE, Service, complaints, twistd
from tests.support.processes import ROOT

ROUTES = ROOT / "examples" / "routes.toml"


@pytest.fixture(scope="module")
def routed() -> Iterator[Service]:
    with twistd("--listen", ANYWHERE, "--routes", str(ROUTES)) as program:
        yield Service(program)
    assert complaints(program.output) == []


def test_the_example_s_routes_reach_whom_they_name(routed: Service) -> None:
    user, company = fresh("u"), fresh("c")
    customer, clerk = routed.join(user), routed.join(fresh("u"), company)
    admin, stranger = routed.join(fresh("u"), role="super_admin"), routed.join(fresh("u"), fresh("c"))
    invoice = {"invoiceId": "i7", "status": "paid", "margin": 4, "companyId": company, "userId": user}
    routed.publish_kind("invoice.paid", **invoice)
    (told,) = customer.events()
    assert (told.name, set(told.data)) == ("invoice:status_updated", {"invoiceId", "status", "timestamp"})
    for client in (clerk, admin):
        (told,) = client.events()
        assert (told.name, told.data.pop("timestamp")[-1:]) == ("invoice:updated", "Z")
        assert told.data == invoice
    assert stranger.events() == []


def test_followers_of_an_order_hear_of_its_delivery_and_strangers_do_not(routed: Service) -> None:
    user, courier, order = fresh("u"), fresh("u"), fresh("o")
    clients = customer, stranger, messenger = [routed.join(name) for name in (user, fresh("u"), courier)]
    for client in clients:
        client.succeed("subscribe_order", order)
    routed.publish_kind("order.created", orderId=order, userId=user)
    customer.events()
    routed.publish_kind("delivery.late", orderId=order, delivery={"courierId": courier}, eta="14:30")
    assert [client.names() for client in clients] == [["delivery:update"], [], ["delivery:update"]]
    assert stranger.events() == messenger.events() == []


def test_everyone_hears_of_a_sale(routed: Service) -> None:
    clients = [routed.join(fresh("u")), routed.join(fresh("u"), fresh("c"))]
    routed.publish_kind("sale.started", saleId="s1", companyId="c1")
    assert [client.names() for client in clients] == [["sale:started"]] * 2


def test_the_built_in_rules_are_there_as_before(routed: Service) -> None:
    client = routed.join(user := fresh("u"))
    routed.publish_kind("order.shipped", orderId=fresh("o"), userId=user)
    assert client.names() == ["order:status_updated"]


def test_a_broken_routes_file_stops_the_start_with_one_line(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('[[route]]\npattern = "a.b"\nemit = "x"\nroom = ["x"]\n')
    with twistd("--listen", ANYWHERE, "--routes", str(file)) as program:
        assert program.wait() != 0
    said = [line for line in program.output if "rtwist:" in line]
    assert said == [f"rtwist: {file}, line 4: unknown key 'room'; did you mean 'rooms'?"]
    assert complaints(program.output) == []
