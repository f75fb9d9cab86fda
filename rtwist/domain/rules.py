"""The built-in rules, by the kinds of events they are for."""

from __future__ import annotations

from collections.abc import Mapping

from rtwist.domain.account import company_emissions, product_emissions, shop_emissions, user_answers
from rtwist.domain.inventory import low_stock_emissions, out_of_stock_emissions, stock_emissions
from rtwist.domain.notification import announcement_emissions, notification_emissions
from rtwist.domain.order import order_emissions
from rtwist.domain.payment import payment_emissions
from rtwist.domain.router import Rule
from rtwist.domain.transfer import transfer_emissions

BUILT_IN: Mapping[str, Rule] = {
    "order.#": order_emissions,
    "payment.#": payment_emissions,
    "inventory.#": stock_emissions,
    "inventory.low_stock": low_stock_emissions,
    "inventory.out_of_stock": out_of_stock_emissions,
    "inventory.transfer.#": transfer_emissions,
    "transfer.#": transfer_emissions,
    "notification.#": notification_emissions,
    "notification.announcement.#": announcement_emissions,
    "announcement.#": announcement_emissions,
    "user.#": user_answers,
    "company.#": company_emissions,
    "shop.#": shop_emissions,
    "product.#": product_emissions,
}
"""`Router({**BUILT_IN, **mine}, owners)` adds rules, and replaces those of the same pattern."""
