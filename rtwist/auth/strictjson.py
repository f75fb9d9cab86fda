"""JSON of tokens and key servers, read without leniency."""

from __future__ import annotations

import json
from typing import Any

MAX_DEPTH = 64
"""How deep claims may be nested; Python's own limit differs by version, and is none of a token's business."""


def strict_object(octets: bytes) -> dict[str, Any]:
    """Decode a JSON object, refusing what other decoders may read differently: ValueError says what."""
    try:
        value = json.loads(octets.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        # Lone surrogates, written as escapes, would otherwise break the first message that quotes a claim.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - the sender's fault, not the caller's
    if not _shallow(value):
        raise ValueError("nested too deeply")
    return value


def _shallow(value: dict[str, Any]) -> bool:
    level: list[dict[str, Any] | list[Any]] = [value]
    for _ in range(MAX_DEPTH):
        children = (node.values() if isinstance(node, dict) else node for node in level)
        level = [child for several in children for child in several if isinstance(child, dict | list)]
        if not level:
            return True
    return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return unique


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
