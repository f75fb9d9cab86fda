"""Finding the kind of an event ("order.created") in the words its publisher used."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

DOMAINS = frozenset(
    {"order", "payment", "inventory", "product", "notification", "user", "company", "shop", "transfer"}
    | {"announcement"}
)
"""First words of the built-in kinds; only they are looked for inside longer or shorter type names."""

ALIASES = {"stock_transfer": "transfer"}
"""Other first words that publishers use for a domain."""

MAX_KIND_CHARS = 255
"""The longest routing key AMQP 0-9-1 can carry."""

CACHED_KINDS = 1024
"""Kinds in use number a few dozen; the bound is against publishers who make them up."""

DETECTED: tuple[tuple[tuple[str, ...], str], ...] = (
    (("orderId",), "order"),
    (("paymentId",), "payment"),
    (("productId", "quantity"), "inventory"),
    (("transferId",), "transfer"),
    (("announcementId",), "announcement"),
    (("notificationId",), "notification"),
    (("subject", "content"), "notification"),
    (("productId",), "product"),
    (("shopId",), "shop"),
    (("companyId",), "company"),
    (("userId",), "user"),
)
"""Which properties betray the domain of an event without a type; the first row that fits decides.

The user comes last: an event about a user moves them, which must not follow from a guess while the event
could as well be about the company or the shop it names.
"""

_KIND = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+")
_WORD = re.compile(r"[a-z0-9_]+")
_VERSION = re.compile(r"\.v[0-9]+$")


def dotted_kind(text: object) -> str | None:
    """Return `text` in lower case if it looks like a kind: two or more words joined by dots."""
    if not isinstance(text, str) or len(text) > MAX_KIND_CHARS or not text.isascii():
        return None
    return _dotted(text)


@lru_cache(maxsize=CACHED_KINDS)
def _dotted(text: str) -> str | None:
    kind = text.lower()
    if not _KIND.fullmatch(kind):
        return None
    domain, _, action = kind.partition(".")
    return f"{ALIASES.get(domain, domain)}.{action}"


def spoken_kind(text: object, data: Mapping[str, Any]) -> str | None:
    """Read a routing key or an envelope's type; None when it says nothing.

    Besides a kind, a known domain alone says something ("payment"): its action comes from `data`.
    """
    if isinstance(text, str) and (domain := ALIASES.get(text, text)) in DOMAINS:
        return f"{domain}.{action_in(data)}"
    return dotted_kind(text)


def cloudevents_kind(text: str, data: Mapping[str, Any]) -> str | None:
    """Read a CloudEvents type, which usually begins with a reversed domain name.

    `com.shop.order.created.v1` is `order.created`: the kind starts at the last known domain that has an
    action behind it. A type without one is a kind as it stands, for third-party rules.
    """
    kind = spoken_kind(_VERSION.sub("", text), data)
    if kind is None:
        return None
    words = kind.split(".")
    for start in range(len(words) - 2, -1, -1):
        if ALIASES.get(words[start], words[start]) in DOMAINS:
            return dotted_kind(".".join(words[start:]))
    return kind


def detected_kind(data: Mapping[str, Any]) -> str | None:
    """Tell the kind from the properties of an event that names none; None when they do not tell."""
    for names, domain in DETECTED:
        if all(data.get(name) not in (None, "") for name in names):
            return f"{domain}.{action_in(data)}"
    return None


def action_in(data: Mapping[str, Any]) -> str:
    """Return the status in `data` as the second word of a kind ("In transit": `in_transit`), or `updated`.

    Without a status nothing shows that the thing is new, so it is never `created`.
    """
    status = data.get("status")
    if not isinstance(status, str) or len(status) > MAX_KIND_CHARS // 2 or not status.isascii():
        return "updated"
    word = status.strip().lower().replace(" ", "_").replace("-", "_")
    return word if _WORD.fullmatch(word) else "updated"
