"""Bars as SVG; pure. Each group has a scale of its own, its longest bar fills the width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 880, 130, 110, 15, 5, 62
COLOURS = {"rtwist": "#1f5fa8", "node": "#5d8a3c", "python-socketio": "#b0762b"}
_STYLE = (
    "text { font: 13px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1d2733; } "
    ".title { font-size: 16px; } .small { font-size: 12px; fill: #5a6675; } "
    ".goal { stroke: #a02020; stroke-width: 1.5; stroke-dasharray: 3 2; } "
    ".range { stroke: #1d2733; stroke-width: 1; } .paper { fill: #ffffff; }"
)


@dataclass(frozen=True)
class Bar:
    """A server's median with the least and the most of its rounds, and the figure in words."""

    server: str
    value: float
    least: float
    most: float
    text: str


@dataclass(frozen=True)
class Group:
    """Bars to compare with each other; `goal` is the most that the first may reach."""

    title: str
    bars: Sequence[Bar]
    goal: float | None = None


def draw(title: str, about: str, groups: Sequence[Group]) -> str:
    """The picture."""
    parts, y = [], TOP
    for group in groups:
        drawn, y = _group(group, y)
        parts += drawn
    height = y + 4
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="title about">'
    )
    lines = (
        head,
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="about">{escape(about)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
        f'<text class="title" x="12" y="26">{escape(title)}</text>',
        f'<text class="small" x="12" y="46">{escape(about)}</text>',
        *parts,
        "</svg>",
    )
    return "\n".join(lines) + "\n"


def _group(group: Group, y: int) -> tuple[list[str], int]:
    parts = [f'<text x="12" y="{y + 14}">{escape(group.title)}</text>']
    most = max([bar.most for bar in group.bars] + [group.goal or 0.0]) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / most
    y += 20
    if group.goal is not None:
        x = LEFT + group.goal * scale
        parts.append(f'<line class="goal" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 4}" y2="{y + BAR + 4}"/>')
    for bar in group.bars:
        parts += _bar(bar, y, scale)
        y += BAR + GAP
    return parts, y + 12


def _bar(bar: Bar, y: int, scale: float) -> Iterable[str]:
    middle, colour = y + BAR / 2, COLOURS.get(bar.server, "#777777")
    yield f'<text class="small" x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(bar.server)}</text>'
    yield f'<rect x="{LEFT}" y="{y}" width="{max(bar.value * scale, 1):.1f}" height="{BAR}" fill="{colour}"/>'
    low, high = LEFT + bar.least * scale, LEFT + bar.most * scale
    yield f'<line class="range" x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"/>'
    yield f'<text class="small" x="{WIDTH - 12}" y="{y + 12}" text-anchor="end">{escape(bar.text)}</text>'
