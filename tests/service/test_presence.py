"""Who is told that a user came or went: with the first socket and the last, and nobody else."""

from __future__ import annotations

import pytest

from tests.service.peers import Client, fresh
from tests.service.servers import Service


@pytest.fixture
def company() -> str:
    return fresh("c")


@pytest.fixture
def colleague(service: Service, company: str) -> Client:
    return service.join(fresh("u"), company)


def test_colleagues_hear_of_the_first_socket_and_the_last(
    service: Service, company: str, colleague: Client
) -> None:
    user = fresh("u")
    first = service.join(user, company)
    assert colleague.presence() == [("online", user)]
    second = service.join(user, company)
    first.close()
    service.join(fresh("u"))
    assert colleague.presence() == []
    second.close()
    assert colleague.wait_for_presence() == ("offline", user)


def test_a_user_hears_nothing_of_itself(service: Service, company: str, colleague: Client) -> None:
    user = colleague.connected["userId"]
    other = service.join(user, company)
    third = service.join(user, company)
    third.emit("bye")
    assert colleague.presence() == other.presence() == []


def test_only_the_company_and_super_admins_hear_it(service: Service, company: str) -> None:
    user, shop = fresh("u"), fresh("s")
    outsiders = [service.join(fresh("u"), fresh("c")), service.join(fresh("u"), None, shop, role="manager")]
    admin = service.join(fresh("u"), role="super_admin")
    client = service.join(user, company, shop, role="manager")
    assert ("online", user) in admin.presence()
    client.close()
    while admin.wait_for_presence() != ("offline", user):
        pass
    assert [user for outsider in outsiders for _, user in outsider.presence()] == []


def test_of_a_user_without_company_nobody_hears(service: Service) -> None:
    user, admin = fresh("u"), service.join(fresh("u"), role="super_admin")
    service.join(user)
    assert user not in [user for _, user in admin.presence()]


def test_each_company_of_a_user_hears_of_its_own(service: Service, company: str, colleague: Client) -> None:
    user, elsewhere = fresh("u"), fresh("c")
    other_colleague = service.join(fresh("u"), elsewhere)
    admin = service.join(fresh("u"), role="super_admin")
    here, there = service.join(user, company), service.join(user, elsewhere)
    assert colleague.presence() == other_colleague.presence() == [("online", user)]
    assert admin.presence().count(("online", user)) == 1
    here.close()
    assert colleague.wait_for_presence() == ("offline", user)
    assert ("offline", user) not in admin.presence()
    there.close()
    assert other_colleague.wait_for_presence() == ("offline", user)


def test_who_was_refused_never_came(service: Service, colleague: Client) -> None:
    client = service.open()
    assert client.connect("nonsense") is not None
    client.close()
    assert colleague.presence() == []
