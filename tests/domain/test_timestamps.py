"""Reading and writing timestamps."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.domain.timestamps import iso, read_timestamp


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1729758600.123, "2024-10-24T08:30:00.123Z"),
        (1729758600.9999, "2024-10-24T08:30:00.999Z"),
        (-1.0, "1969-12-31T23:59:59.000Z"),
    ],
)
def test_iso_has_milliseconds_and_z(seconds: float, text: str) -> None:
    assert iso(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2024-10-24T08:30:00.123Z", "2024-10-24T08:30:00.123Z"),
        ("2024-10-24T08:30:00Z", "2024-10-24T08:30:00.000Z"),
        ("2024-10-24t08:30:00z", "2024-10-24T08:30:00.000Z"),
        ("2024-10-24 08:30", "2024-10-24T08:30:00.000Z"),
        ("2024-10-24T08:30:00.123456789+02:00", "2024-10-24T06:30:00.123Z"),
        ("2024-10-24T08:30:00,5-0530", "2024-10-24T14:00:00.500Z"),
        (1729758600123, "2024-10-24T08:30:00.123Z"),
        (1729758600123.0, "2024-10-24T08:30:00.123Z"),
        (1729758600, "2024-10-24T08:30:00.000Z"),
    ],
)
def test_valid_timestamps_are_normalised(value: object, text: str) -> None:
    assert read_timestamp(value) == text


@pytest.mark.parametrize(
    "value",
    [
        *(None, True, "", "yesterday", "2024-10-24", "2024-13-01T00:00:00Z", "2024-10-24T25:00:00Z"),
        *("2024-10-24T08:30:00+99:00", "2024-10-24T08:30:00+01:75", "0001-01-01T00:00:00+10:00"),
        *("0000-01-01T00:00:00Z", "٢٠٢٤-10-24T08:30:00Z", "2024-10-24T08:30:00Z\n"),
        *(0, -5, float("nan"), float("inf"), pytest.param(10**400, id="401 digits"), 1e300, {}, []),
    ],
)
def test_anything_else_is_none(value: object) -> None:
    assert read_timestamp(value) is None


@given(st.datetimes(min_value=datetime(1974, 1, 1), timezones=st.just(timezone.utc)))
def test_reading_undoes_writing(moment: datetime) -> None:
    text = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert read_timestamp(text) == text
    assert read_timestamp(moment.isoformat()) == text


@given(
    st.one_of(st.text(), st.integers(), st.floats(), st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"))
)
def test_whatever_comes_the_answer_is_well_formed(value: object) -> None:
    text = read_timestamp(value)
    assert text is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)


@pytest.mark.parametrize("year", [0, 1, 2023, 2024, 9999])
def test_only_days_that_exist_are_read(year: int) -> None:
    for month, day in product(range(14), range(33)):
        text = f"{year:04}-{month:02}-{day:02}T08:30:00.123Z"
        try:
            datetime(year, month, day)
        except ValueError:
            assert read_timestamp(text) is None, text
        else:
            assert read_timestamp(text) == text


@pytest.mark.parametrize("time", ["24:00:00.000", "00:60:00.000", "00:00:60.000", "23:59:59.999"])
def test_only_times_that_exist_are_read(time: str) -> None:
    text = f"2024-10-24T{time}Z"
    assert read_timestamp(text) == (text if time < "24" and "60" not in time else None)
