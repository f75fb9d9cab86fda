"""Percentiles, medians and goals; pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

PARTS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def percentiles(values: Iterable[tuple[float, int]]) -> dict[str, float]:
    """Of values that came so many times each: the least that each part of `PARTS` does not exceed."""
    ordered = sorted(values)
    total = sum(count for _, count in ordered)
    found: dict[str, float] = {}
    for name, part in PARTS.items():
        missing = part * total
        for value, count in ordered:
            missing -= count
            if missing <= 1e-9:
                found[name] = value
                break
    return found


@dataclass(frozen=True)
class Spread:
    """What several rounds have found of one figure."""

    median: float
    least: float
    most: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """ValueError without values."""
        if not values:
            raise ValueError("no round has found this")
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class Goal:
    """A bound for rtwist: for the ratio to `peer` in the median of the rounds, or for the figure without one."""

    work: str
    metric: str
    bound: float
    peer: str | None = None
    at_least: bool = False


@dataclass(frozen=True)
class Verdict:
    """A goal, what was reached (a ratio where there is a peer), and whether that is enough."""

    goal: Goal
    reached: float
    met: bool


Spreads = Mapping[tuple[str, str, str], Spread]
"""By work, server and metric."""


def versus(subject: str, peer: str) -> str:
    """What the server is called of which a spread is that of the ratios in each round."""
    return f"{subject} / {peer}"


def verdict(goal: Goal, spreads: Spreads, subject: str) -> Verdict | None:
    """How `subject` does; None when that or its peer was not measured."""
    who = subject if goal.peer is None else versus(subject, goal.peer)
    found = spreads.get((goal.work, who, goal.metric))
    if found is None:
        return None
    reached = found.median
    return Verdict(goal, reached, reached >= goal.bound if goal.at_least else reached <= goal.bound)
