"""Payment events: to the customer, and to those who watch the order that is paid."""

from __future__ import annotations

from typing import Any

import msgspec

from rtwist.domain.emission import Answer, Emission, missing
from rtwist.domain.event import DomainEvent
from rtwist.domain.fields import Id, SubjectId, read
from rtwist.domain.owners import Owners
from rtwist.domain.rooms import order_scopes_of_owners, user_room
from rtwist.domain.wording import scalars, spoken, status_of
from rtwist.errors import BadEvent


class Payment(msgspec.Struct, frozen=True, rename="camel"):
    """A payment, the order it is for, and who pays."""

    payment_id: Id | None = None
    order_id: SubjectId | None = None
    user_id: Id | None = None
    customer_id: Id | None = None

    @property
    def customer(self) -> str | None:
        """Who pays, as far as the event says."""
        return self.user_id or self.customer_id


def payment_emissions(event: DomainEvent, owners: Owners) -> list[Answer]:
    """Return the emissions of a `payment.*` event.

    The customer is the one the event names, else the order's, and hears of a status: `paymentId`, `orderId`,
    `orderNumber`, `status`, `amount`, `currency`, `message`, `timestamp` and nothing else. The order's
    subscribers get these and all else the event holds. Raises `BadEvent` if nobody can be addressed.
    """
    payment = read(event, Payment)
    order_id, customer = payment.order_id, payment.customer or owners.user
    if order_id is None and customer is None:
        raise BadEvent(f"orderId and userId are both missing in an event of kind {event.kind}")
    status = status_of(event)
    told = _told(event, payment, status)

    answers: list[Answer] = []
    if customer and status:
        answers.append(Emission("payment:status_updated", told, (user_room(customer),)))
    elif status:
        answers.append(missing("payment:status_updated", "userId"))
    if order_id:
        everything = {**event.data, **told}
        answers.append(Emission("payment:update", everything, order_scopes_of_owners(order_id, owners)))
    else:
        answers.append(missing("payment:update", "orderId"))
    return answers


def _told(event: DomainEvent, payment: Payment, status: str | None) -> dict[str, Any]:
    order_id = payment.order_id
    told: dict[str, Any] = {"paymentId": payment.payment_id, "orderId": order_id, "status": status}
    told |= scalars(event.data, "orderNumber", "amount", "currency")
    subject = "Payment"
    if order_id:
        subject += f" for order #{told.get('orderNumber') or order_id}"
    told["message"] = f"{subject}: {spoken(status or 'updated')}"
    told["timestamp"] = event.timestamp
    return {name: value for name, value in told.items() if value is not None}
