"""The built-in rules, by the kinds of events they are for."""

from __future__ import annotations

from collections.abc import Mapping

from rtwist.domain.order import order_emissions
from rtwist.domain.payment import payment_emissions
from rtwist.domain.router import Rule

BUILT_IN: Mapping[str, Rule] = {
    "order.#": order_emissions,
    "payment.#": payment_emissions,
}
"""`Router({**BUILT_IN, **mine}, owners)` adds rules, and replaces those of the same pattern."""
