"""Timestamps as clients see them: ISO 8601, UTC, milliseconds, `Z`."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_SECONDS_BELOW = 100_000_000_000
"""Smaller numbers are seconds: as milliseconds they would lie before March 1973, when nobody sold online."""

_ISO_8601 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2})"
    r"(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?(?:([Zz])|([+-])([0-9]{2}):?([0-9]{2}))?"
)

_WRITTEN_BY_ISO = re.compile(
    r"(?!0000)[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)"
    r"|(?:0[13578]|1[02])-31)T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z"
)
"""What stays as it is: `Date.prototype.toISOString` writes it so, too. Without leap days."""


def iso(now: float) -> str:
    """Write seconds since 1970 as `2024-10-24T08:30:00.000Z`.

    Raises ValueError or OverflowError outside the years 1 to 9999.
    """
    return _write(_EPOCH + timedelta(seconds=now))


def read_timestamp(value: object) -> str | None:
    """Take an ISO 8601 date with time, or milliseconds since 1970, and return it as `iso` writes it.

    Returns None for what is neither. A time without offset is taken as UTC, a small number as seconds.
    """
    try:
        if isinstance(value, str):
            if _WRITTEN_BY_ISO.fullmatch(value):
                return value
            return _from_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return iso(value if value < _SECONDS_BELOW else value / 1000)
    except (ValueError, OverflowError):
        return None
    return None


def seconds_of(timestamp: str) -> float:
    """The seconds since 1970 of a timestamp that `iso` wrote."""
    return datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def _from_text(text: str) -> str | None:
    match = _ISO_8601.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, *offset = match.groups(default="0")
    micro = int(fraction[:6].ljust(6, "0"))
    hours, minutes = (int(part) for part in offset)
    if minutes > 59:
        return None
    shift = timedelta(hours=hours, minutes=minutes) * (-1 if sign == "-" else 1)
    moment = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second), micro)
    return _write(moment.replace(tzinfo=timezone(shift)).astimezone(timezone.utc))


def _write(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
