"""What strangers wrote, on its way into log lines; pure."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import islice

MAX_LISTED = 20
"""Names in one line of the log; a user of a thousand shops could fill a disk by following an order and back."""

# A JSON Web Token, or any part of one: it begins with a JSON object in base64url.
_TOKEN = re.compile(r"eyJ[\w-]*(?:\.[\w-]*)*", re.ASCII)


def quoted(text: str) -> str:
    """`text` for a log line: as it is, or escaped and in quotes when it holds what does not print.

    Control characters could forge a line, or command the terminal that shows it. What looks like a token is left
    out: a client may send its own where a name belongs.
    """
    text = _TOKEN.sub("(token)", text)
    return text if text.isprintable() else repr(text)


def listed(names: Collection[str]) -> list[str]:
    """`names` for a log line: the first ones, and how many there are beside them; a user may have thousands."""
    shown = [quoted(name) for name in islice(names, MAX_LISTED)]
    more = len(names) - len(shown)
    return [*shown, f"and {more} more"] if more else shown
