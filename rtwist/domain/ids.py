"""What may serve as an id: the one check for ids in events, in tokens and from clients."""

from __future__ import annotations

import re

MAX_ID_CHARS = 200
"""Ids become room names and dictionary keys, so they are bounded; real ones have 10 to 40 characters."""

_MAX_ID_BITS = 665
"""The bits of the largest integer of 200 digits."""

_TOO_LONG = "must not be longer than"
# Separators of lines, and what reverses the text around it, would make log lines and other people's screens lie.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain_text(value: object, most: int = MAX_ID_CHARS) -> str:
    """Take a string or an integer and return it as text of at most `most` characters, none of control.

    Raises ValueError, whose text fits behind a field's name ("must be ..."), for other types (bool and
    float included), for blank or too long text, control characters (of line and direction, too) and
    lone surrogates, which no encoder can send.
    """
    if isinstance(value, str):
        text = value
    elif isinstance(value, int) and not isinstance(value, bool):
        if value.bit_length() > _MAX_ID_BITS:  # str() refuses thousands of digits, in its own words
            raise ValueError(f"{_TOO_LONG} {MAX_ID_CHARS} characters")
        text = str(value)
    else:
        raise ValueError(f"must be a string or an integer, not {json_type(value)}")  # noqa: TRY004 - one error
    if len(text) > most:
        raise ValueError(f"{_TOO_LONG} {most} characters")
    if not text.strip():
        raise ValueError("must not be empty")
    if _UNPRINTABLE.search(text):
        raise ValueError("must not contain control characters or lone surrogates")
    return text


def text_id(value: object) -> str:
    """Take the id of what can be followed (an order, product, transfer), and return it as text.

    Raises ValueError as `plain_text` does, and for `|`, which ends the id in a scoped room name. Ids of users,
    companies and shops stand last there, and may hold one, as those of some identity providers do.
    """
    text = plain_text(value)
    if "|" in text:
        raise ValueError("must not contain '|'")
    return text


def json_type(value: object) -> str:
    """Name the type of a decoded JSON value in JSON's words, for error texts."""
    names = {type(None): "null", bool: "a boolean", float: "a fraction", list: "an array", dict: "an object"}
    names |= {str: "a string", int: "an integer"}
    return names.get(type(value), type(value).__name__)
