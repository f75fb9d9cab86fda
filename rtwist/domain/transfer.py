"""Stock transfers: to both shops, and to those of the company and the shops who follow the transfer."""

from __future__ import annotations

from typing import Any

import msgspec

from rtwist.domain.emission import Answer, Emission, missing
from rtwist.domain.event import DomainEvent
from rtwist.domain.fields import Id, SubjectId, read
from rtwist.domain.owners import Owners
from rtwist.domain.rooms import shop_room, transfer_scopes_of_owners
from rtwist.domain.wording import spoken, status_of


class Transfer(msgspec.Struct, frozen=True, rename="camel"):
    """A stock transfer and whom it concerns."""

    transfer_id: SubjectId
    company_id: Id | None = None
    from_shop_id: Id | None = None
    to_shop_id: Id | None = None

    @property
    def shops(self) -> tuple[str, ...]:
        """The shops that are known."""
        return tuple(shop for shop in (self.from_shop_id, self.to_shop_id) if shop)


def transfer_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Return the emission of a `transfer.*` or `inventory.transfer.*` event, to all it reaches at once.

    They are of the company or a shop it concerns, or super admins, and get all the event holds. Raises
    `BadEvent` without a `transferId`.
    """
    transfer = read(event, Transfer)
    told = _told(event, transfer)
    scopes = transfer_scopes_of_owners(transfer.transfer_id, transfer.company_id, transfer.shops)
    rooms = (*map(shop_room, transfer.shops), *scopes)
    answers: list[Answer] = [Emission("transfer:status_update", {**event.data, **told}, rooms)]
    named = {
        "companyId": transfer.company_id,
        "fromShopId": transfer.from_shop_id,
        "toShopId": transfer.to_shop_id,
    }
    return answers + [missing("transfer:status_update", name) for name, value in named.items() if not value]


def _told(event: DomainEvent, transfer: Transfer) -> dict[str, Any]:
    status = status_of(event, event.action.rpartition(".")[2])
    told: dict[str, Any] = {"transferId": transfer.transfer_id}
    if status:
        told["status"] = status
    happened = f"is now {spoken(status)}" if status else "has been updated"
    told["message"] = f"Transfer #{transfer.transfer_id} {happened}"
    told["timestamp"] = event.timestamp
    return told
