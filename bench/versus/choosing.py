"""What the commands of the benchmark have in common."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = 11_000
"""Open files that the largest crowd needs, in the generator as in the server."""


def chosen(text: str, all_of_them: tuple[str, ...], what: str) -> tuple[str, ...]:
    """The names in `text`, with commas; all without any. SystemExit for one that is unknown."""
    names = tuple(filter(None, text.split(","))) or all_of_them
    for name in names:
        if name not in all_of_them:
            raise SystemExit(f"{name} is no {what}: choose from {', '.join(all_of_them)}")
    return names
