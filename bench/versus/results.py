"""What was measured, as it is kept."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.versus.catalogue import GROWTH
from bench.versus.figures import Spread, versus
from bench.versus.servers import RTWIST
from bench.versus.stage import Scale

Key = tuple[str, str, str]
"""A work, a server and a metric."""


@dataclass(frozen=True)
class Result:
    """What one work has cost one server in one round."""

    work: str
    server: str
    round: int
    figures: dict[str, float]

    def __str__(self) -> str:
        shown = []
        if "bytes" in self.figures:
            shown.append(f"{self.figures['bytes'] / 1000:.1f} kB")
        if "cpu" in self.figures:
            shown.append(f"{self.figures['cpu']:9.2f} µs CPU, {self.figures['rate']:9,.0f}/s")
        if "p50" in self.figures:
            shown.append(f"p50 {self.figures['p50'] * 1e3:.2f} ms, p99 {self.figures['p99'] * 1e3:.2f} ms")
        if "generator busy" in self.figures:
            shown.append(
                f"server {self.figures['busy']:.0%}, generator {self.figures['generator busy']:.0%}, "
                f"its core idle {self.figures['generator cores idle']:.0%}"
            )
        return f"round {self.round}  {self.server:<16} {self.work:<16} {', '.join(shown)}"


@dataclass
class Results:
    """All results of a run, and what they were measured on."""

    machine: dict[str, str]
    versions: dict[str, str]
    scale: Scale
    log_level: str
    all: list[Result] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def spreads(self) -> dict[Key, Spread]:
        """By work, server and metric; with the growth of each server, and the ratios of rtwist to each peer."""
        rounds: dict[int, dict[Key, float]] = defaultdict(dict)
        for result in self.all:
            for metric, value in result.figures.items():
                rounds[result.round][result.work, result.server, metric] = value
        values: dict[Key, list[float]] = defaultdict(list)
        for measured in rounds.values():
            figures = measured | _growth(measured)
            for key, value in (figures | _ratios(figures)).items():
                values[key].append(value)
        return {key: Spread.of(found) for key, found in values.items()}

    def as_json(self) -> str:
        content: dict[str, Any] = {
            "machine": self.machine,
            "versions": self.versions,
            "scale": asdict(self.scale),
            "log_level": self.log_level,
            "failures": self.failures,
            "results": [asdict(result) for result in self.all],
        }
        return json.dumps(content, indent=1) + "\n"


def _growth(figures: Mapping[Key, float]) -> dict[Key, float]:
    """CPU among many in multiples of CPU among few, in one round."""
    found = {}
    for name, (many, few) in GROWTH.items():
        for (work, server, metric), value in figures.items():
            if (work, metric) == (many, "cpu") and (few, server, "cpu") in figures:
                found[name, server, "ratio"] = value / figures[few, server, "cpu"]
    return found


def _ratios(figures: Mapping[Key, float]) -> dict[Key, float]:
    """What rtwist took in multiples of each peer, in one round."""
    found = {}
    for (work, server, metric), value in figures.items():
        own = figures.get((work, RTWIST, metric))
        if server != RTWIST and own is not None and value:
            found[work, versus(RTWIST, server), metric] = own / value
    return found
