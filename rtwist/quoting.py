"""What strangers wrote, on its way into log lines; pure."""

from __future__ import annotations

import re

# A JSON Web Token, or any part of one: it begins with a JSON object in base64url.
_TOKEN = re.compile(r"eyJ[\w-]*(?:\.[\w-]*)*", re.ASCII)


def quoted(text: str) -> str:
    """`text` for a log line: as it is, or escaped and in quotes when it holds what does not print.

    Control characters could forge a line, or command the terminal that shows it. What looks like a token is left
    out: a client may send its own where a name belongs.
    """
    text = _TOKEN.sub("(token)", text)
    return text if text.isprintable() else repr(text)
