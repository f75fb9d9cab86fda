"""What was measured, as it is kept."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.versus.catalogue import GROWTH
from bench.versus.figures import Spread
from bench.versus.stage import Scale


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
        return f"{self.server:<16} {self.work:<16} {', '.join(shown)}"


@dataclass
class Results:
    """All results of a run, and what they were measured on."""

    machine: dict[str, str]
    versions: dict[str, str]
    scale: Scale
    log_level: str
    all: list[Result] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.all.append(result)

    def spreads(self) -> dict[tuple[str, str, str], Spread]:
        """By work, server and metric; with the growth of each server."""
        values: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        cpu: dict[tuple[str, str, int], float] = {}
        for result in self.all:
            for metric, value in result.figures.items():
                values[result.work, result.server, metric].append(value)
            if "cpu" in result.figures:
                cpu[result.work, result.server, result.round] = result.figures["cpu"]
        for name, (many, few) in GROWTH.items():
            for (work, server, number), value in cpu.items():
                if work == many and (few, server, number) in cpu:
                    values[name, server, "ratio"].append(value / cpu[few, server, number])
        return {key: Spread.of(found) for key, found in values.items()}

    def as_json(self) -> str:
        content: dict[str, Any] = {
            "machine": self.machine,
            "versions": self.versions,
            "scale": asdict(self.scale),
            "log_level": self.log_level,
            "results": [asdict(result) for result in self.all],
        }
        return json.dumps(content, indent=1) + "\n"
