"""Who owns an order: the customer, the company and the shop it concerns, as events have told it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Protocol

from rtwist.domain.event import DomainEvent

DEFAULT_MAX_ORDERS = 100_000
"""Some 40 MB when full; an order forgotten is merely pending again for new subscribers."""


@dataclass(frozen=True, slots=True)
class Owners:
    """The ids of an order's customer, company and shop; None for what is not known.

    Of what nodes say of one order the greatest `version` counts.
    """

    user: str | None = None
    company: str | None = None
    shop: str | None = None
    version: int = field(default=0, compare=False)

    @property
    def known(self) -> bool:
        """Whether there is any owner at all."""
        return self != UNKNOWN

    def or_else(self, other: Owners) -> Owners:
        """Return these owners with the gaps filled from `other`, field by field."""
        return Owners(
            other.user if self.user is None else self.user,
            other.company if self.company is None else self.company,
            other.shop if self.shop is None else self.shop,
        )

    def entitles(
        self, *, user_id: str | None, company_id: str | None, shop_ids: Collection[str], super_admin: bool
    ) -> bool:
        """Tell whether someone of these ids may see the order; of an unknown order only super admins may."""
        return (
            super_admin
            or (self.user is not None and self.user == user_id)
            or (self.company is not None and self.company == company_id)
            or (self.shop is not None and self.shop in shop_ids)
        )


UNKNOWN = Owners()


@dataclass(frozen=True, slots=True)
class OwnersChanged:
    """From now on an order belongs to `owners`: of those who follow it, only they may be in its plain room."""

    order_id: str
    owners: Owners


class OwnerView(Protocol):
    """Reading the memory of who owns which order."""

    def recall(self, order_id: str) -> Owners:
        """Return the owners remembered of an order, `UNKNOWN` if there are none."""


def owners_in(event: DomainEvent) -> Owners:
    """Read the owners that an order or payment event names itself; raises `BadEvent` for unusable ids."""
    return Owners(event.id_of("userId", "customerId"), event.id_of("companyId"), event.id_of("shopId"))


class OrderBook:
    """Remembers the owners of the orders last spoken of, in this process: the in-memory `OwnerStore`."""

    def __init__(self, max_orders: int = DEFAULT_MAX_ORDERS) -> None:
        if max_orders < 1:
            raise ValueError("max_orders must be at least 1")
        self._max_orders = max_orders
        self._orders: OrderedDict[str, Owners] = OrderedDict()

    def __len__(self) -> int:
        return len(self._orders)

    def items(self) -> list[tuple[str, Owners]]:
        """All that is remembered, what was not spoken of for longest first."""
        return list(self._orders.items())

    def recall(self, order_id: str) -> Owners:
        """Return the owners remembered of an order, `UNKNOWN` if there are none."""
        owners = self._orders.get(order_id)
        if owners is None:
            return UNKNOWN
        self._orders.move_to_end(order_id)
        return owners

    def remember(self, order_id: str, owners: Owners) -> None:
        """Replace what is remembered of an order; the order not spoken of for longest may be forgotten."""
        self._orders[order_id] = owners
        self._orders.move_to_end(order_id)
        if len(self._orders) > self._max_orders:
            self._orders.popitem(last=False)
