"""What rules answer with."""

from __future__ import annotations

import dataclasses

import pytest

from rtwist.domain.emission import Emission


def test_emissions_compare_by_value_and_do_not_change() -> None:
    emission = Emission("order:update", {"orderId": "7"}, ("order:7",))
    assert emission == Emission("order:update", {"orderId": "7"}, ("order:7",))
    with pytest.raises(dataclasses.FrozenInstanceError):
        emission.event = "order:other"  # type: ignore[misc]
