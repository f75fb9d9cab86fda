"""reStructuredText from rows and paragraphs; pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 118


def heading(text: str, under: str = "-") -> str:
    return f"{text}\n{under * len(text)}\n"


def paragraph(text: str) -> str:
    """`text` with its lines broken anew."""
    lines = textwrap.wrap(" ".join(text.split()), WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines) + "\n"


def bullets(items: Iterable[str]) -> str:
    """A list with a bullet for each item."""
    return "".join(textwrap.indent(paragraph(item), "  ").replace("  ", "- ", 1) for item in items)


def code(text: str) -> str:
    return ".. code-block:: sh\n\n" + textwrap.indent(text, "    ") + "\n"


def image(name: str, alt: str) -> str:
    return f".. image:: {name}\n   :width: 100%\n   :alt: {alt}\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[int]) -> str:
    """A list-table; `widths` are shares."""
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {' '.join(map(str, widths))}", ""]
    for row in (header, *rows):
        for number, cell in enumerate(row):
            lines.append(f"   {' ' if number else '*'} - {cell}".rstrip())
    return "\n".join(lines) + "\n"
