"""What rules answer with."""

from __future__ import annotations

from typing import Any

import pytest

from rtwist.domain.emission import Emission, missing


def test_emissions_compare_by_value_and_do_not_change() -> None:
    emission = Emission("order:update", {"orderId": "7"}, ("order:7",))
    assert emission == Emission("order:update", {"orderId": "7"}, ("order:7",))
    with pytest.raises(AttributeError):
        emission.event = "order:other"  # type: ignore[misc]


@pytest.mark.parametrize("audience", [{}, {"rooms": ()}, {"rooms": ("user:1",), "everyone": True}])
def test_an_audience_is_either_rooms_or_everyone(audience: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="order:update must be either for rooms or for everyone"):
        Emission("order:update", {}, **audience)


def test_a_note_names_the_emission_and_what_is_missing() -> None:
    assert missing("a:b", "userId", "role").text == (
        "a:b does not reach everybody it is for: the event has no userId or role"
    )
