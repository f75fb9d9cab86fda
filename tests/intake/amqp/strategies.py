"""What Hypothesis makes up for AMQP."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from rtwist.intake.amqp import Properties, Timestamp

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
NAMES = TEXTS.filter(lambda text: len(text.encode()) <= 255)
DECIMALS = st.builds(
    lambda digits, scale: Decimal(digits).scaleb(-scale),
    st.integers(-(1 << 31), (1 << 31) - 1),
    st.integers(0, 255),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.floats(allow_nan=False),
    TEXTS,
    st.binary(),
    DECIMALS,
    st.integers(0, (1 << 64) - 1).map(Timestamp),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(NAMES, inner, max_size=5)),
    max_leaves=20,
)
TABLES = st.dictionaries(NAMES, VALUES, max_size=6)


def optional(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


OCTETS = st.integers(0, 255)
PROPERTIES = st.builds(
    Properties,
    headers=optional(TABLES),
    delivery_mode=optional(OCTETS),
    priority=optional(OCTETS),
    timestamp=optional(st.integers(0, (1 << 64) - 1)),
    **{
        name: optional(NAMES)
        for name in (
            "content_type", "content_encoding", "correlation_id", "reply_to", "expiration", "message_id", "type",
            "user_id", "app_id", "cluster_id",
        )
    },
)  # fmt: skip
