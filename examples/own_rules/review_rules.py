"""Rules for reviews of products, as a package that rtwist finds by itself once it is installed."""

from __future__ import annotations

from collections.abc import Mapping

from rtwist.domain.emission import Answer, Emission, missing
from rtwist.domain.event import DomainEvent
from rtwist.domain.owners import Owners
from rtwist.domain.rooms import company_audience, product_room
from rtwist.domain.router import Rule


def review_emissions(event: DomainEvent, _owners: Owners) -> list[Answer]:
    """Tell those who watch the product of its new rating, and the company what was written."""
    product = event.required_id("productId")
    company = event.id_of("companyId")
    rating = {"productId": product, "rating": event.data.get("rating"), "timestamp": event.timestamp}
    return [
        Emission("review:rated", rating, (product_room(product),)),
        Emission("review:new", {**event.data, **rating}, company_audience(company))
        if company
        else missing("review:new", "companyId"),
    ]


RULES: Mapping[str, Rule] = {"review.posted": review_emissions}
