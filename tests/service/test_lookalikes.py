"""Names that resemble somebody else's room: whoever joins them hears nothing that is not meant for them."""

from __future__ import annotations

import pytest

from tests.service.peers import Client, fresh
from tests.service.servers import Service

ENDS = ["", " ", "\u00a0", "\u200b", "\u2060", "\ufeff", "/", "%20", "|", "\\"]


def lookalikes(name: str) -> list[str]:
    """Other names that somebody, or some other program, may take for this one."""
    kind, _, rest = name.partition(":")
    return [
        *(f"{name}{end}" for end in ENDS[1:]),
        *(f"{end}{name}" for end in ENDS[1:]),
        name.upper(),
        name.title(),
        name.replace(":", "\uff1a"),
        name.replace(":", "\u02d0:"),
        name.replace(":", "::"),
        name.replace(":", " :"),
        name.replace(":", ": "),
        name.replace("e", "\u0435"),
        name.replace("e", "e\u0301"),
        name.replace("s", "\uff53"),
        f"{kind}:*",
        f"*:{rest}",
        f"{kind}:{rest}*",
        f"/{kind}/{rest}",
        f"{name},{name}",
        f"__proto__:{rest}",
        "*",
        "#",
        "__proto__",
        "constructor",
        "None",
        "null",
        "true",
    ]


class World:
    """A victim of every kind of room, and somebody who wants to hear what it hears."""

    def __init__(self, service: Service) -> None:
        self.user, self.company, self.shop, self.role = map(fresh, ("user", "company", "shop", "role"))
        self.order, self.transfer = fresh("order"), fresh("transfer")
        self.victim = service.join(self.user, self.company, self.shop, role=self.role)
        self.admin = service.join(fresh("admin"), role="super_admin")
        self.victim.succeed("subscribe_order", self.order)
        self.victim.succeed("subscribe_transfer", self.transfer)
        self.names = [
            f"user:{self.user}", f"company:{self.company}", f"shop:{self.shop}", f"role:{self.role}",
            "super_admin", f"order:{self.order}", f"order:{self.order}|user:{self.user}",
            f"order:{self.order}|super_admin", f"transfer:{self.transfer}|company:{self.company}", self.victim.id,
        ]  # fmt: skip

    def speak(self, service: Service) -> None:
        """Whatever reaches the victim."""
        ids = {"userId": self.user, "companyId": self.company, "shopId": self.shop}
        service.publish_kind("order.created", orderId=self.order, **ids)
        service.publish_kind("order.shipped", orderId=self.order)
        service.publish_kind(
            "transfer.sent", transferId=self.transfer, companyId=self.company, fromShopId=self.shop
        )
        service.publish_kind("inventory.low_stock", productId="p", quantity=1, **ids)
        for addressee in (
            {"userId": self.user},
            {"role": self.role},
            {"shopId": self.shop},
            {"role": "super_admin"},
        ):
            service.publish_kind("notification.sent", subject="for the victim", **addressee)
        for kind, name in (
            ("user", self.user),
            ("company", self.company),
            ("shop", self.shop),
            ("role", self.role),
        ):
            service.push({kind: name}, "secret")
        service.push({"room": self.victim.id}, "secret")

    def try_all(self, client: Client, name: str) -> None:
        """Ask for a name in all ways there are."""
        client.call("join_room", name)
        for request in ("subscribe_order", "subscribe_transfer", "subscribe_inventory"):
            client.call(request, name)
            client.call(request, name.partition(":")[2])
        client.call("typing", {"roomId": name, "isTyping": True})


@pytest.mark.parametrize("number", range(10))
def test_whoever_joins_what_resembles_a_room_hears_nothing_of_it(running_wide: Service, number: int) -> None:
    world = World(running_wide)
    target = world.names[number]
    attacker = running_wide.join(fresh("attacker"), fresh("other"))
    for name in [target, *lookalikes(target)]:
        world.try_all(attacker, name)
    attacker.events()
    world.victim.events()
    world.speak(running_wide)
    assert attacker.names() == []
    heard = world.victim.names()
    assert {"order:update", "transfer:status_update", "notification:new", "secret"} <= set(heard)
    assert "typing" not in heard
    assert "order:new_order" in world.admin.names()


@pytest.mark.parametrize("user", ["{} ", " {}", "{}|", "{}|company:{}", "{}*", "*", "super_admin", "|"])
def test_who_is_called_like_somebody_else_hears_nothing_of_them(running_wide: Service, user: str) -> None:
    name = fresh("user")
    victim, other = running_wide.join(name, name), running_wide.join(user.replace("{}", name))
    order = fresh("order")
    for client in (victim, other):
        client.succeed("subscribe_order", order)
    other.events()
    running_wide.publish_kind("order.created", orderId=order, userId=name, companyId=name)
    running_wide.push({"user": name}, "secret")
    running_wide.push({"company": name}, "secret")
    assert {"order:update", "secret"} <= set(victim.names())
    assert other.names() == []
