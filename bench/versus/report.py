"""The report: what was measured, as a page with tables and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.versus import picture, rst, wording
from bench.versus.catalogue import GOALS, GROWTH, TITLES, WORKS
from bench.versus.figures import Goal, Spread, verdict
from bench.versus.results import Results
from bench.versus.servers import NAMES, NODE_NAME, RTWIST

NONE = "-"
UNITS = {"cpu": "µs", "bytes": "kB", "p50": "ms", "p99": "ms", "p99.9": "ms", "rate": "/s", "ratio": ""}
_FACTORS = {"bytes": 1e-3, "p50": 1e3, "p99": 1e3, "p99.9": 1e3}
_CALLED = {"cpu": "CPU", "bytes": "memory", "rate": "events a second", "ratio": "growth"}
TIMED = ("fanout", "burst", "offered", "polling", "room-100", "room-10000")
RATED = ("one-user", "no-audience", "connect", "upgrade", "fanout", "burst", "polling")


def number(value: float, metric: str) -> str:
    """A figure of `metric` with three digits or so."""
    value *= _FACTORS.get(metric, 1.0)
    if metric == "ratio":
        return f"{value:.2f}"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def shown(spread: Spread | None, metric: str) -> str:
    """The median, and in brackets the least and the most of the rounds."""
    if spread is None:
        return NONE
    median = number(spread.median, metric)
    if spread.rounds == 1:
        return median
    return f"{median} ({number(spread.least, metric)} to {number(spread.most, metric)})"


class Report:
    """The page and the pictures of one run."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._spreads = results.spreads()
        self._servers = [name for name in NAMES if any(result.server == name for result in results.all)]
        self._rounds = max((result.round for result in results.all), default=0)

    def write(self, folder: Path) -> None:
        """Write the page, the pictures and the raw results."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(self._results.as_json())
        for name, drawing in self.pictures():
            (folder / name).write_text(drawing)
        (folder / "README.rst").write_text(self.page())

    def page(self) -> str:
        """The whole page in reStructuredText."""
        parts = (
            rst.heading("rtwist beside its peers", "="),
            self._introduction(),
            self.goals(),
            self._cpu(),
            self._others(),
            self._generator(),
            self._method(),
        )
        return "\n".join(parts)

    def goals(self) -> str:
        """The goals and whether they are reached."""
        rows = [self._goal(goal) for goal in GOALS]
        header = ("work", "of rtwist", "goal", "reached", "")
        return rst.heading("Goals") + "\n" + rst.table(header, rows, (46, 14, 18, 12, 10))

    def pictures(self) -> Iterator[tuple[str, str]]:
        """Names of files and what is in them."""
        about = (
            "Medians of all rounds, shorter is better; thin lines: least to most; dashed: the goal for rtwist."
        )
        cpu = [self._group(work.name, "cpu") for work in WORKS if "cpu" in work.metrics]
        yield "cpu.svg", picture.draw("CPU of the server", about, [*filter(None, cpu)])
        latency = [self._group("offered", metric) for metric in ("p50", "p99", "p99.9")]
        memory = [self._group("memory", "bytes")]
        title = "Latency and memory"
        yield "latency-memory.svg", picture.draw(title, about, [*filter(None, latency + memory)])
        growth = [self._group(name, "ratio") for name in GROWTH]
        yield "growth.svg", picture.draw("Cost among many, in multiples of few", about, [*filter(None, growth)])

    def _title(self, work: str) -> str:
        return TITLES[work].format(scale=self._results.scale)

    def _spread(self, work: str, server: str, metric: str) -> Spread | None:
        return self._spreads.get((work, server, metric))

    def _goal(self, goal: Goal) -> Sequence[str]:
        side = "at least" if goal.at_least else "at most"
        bound = f"{goal.bound:,.0f}" if goal.at_least else f"{goal.bound:g}"
        wanted = f"{side} {bound}" + (f" of {goal.peer}" if goal.peer else "")
        called = _CALLED.get(goal.metric, goal.metric)
        found = verdict(goal, self._spreads, RTWIST)
        if found is None:
            return self._title(goal.work), called, wanted, "not measured", ""
        reached = f"{found.reached:,.0f}" if goal.at_least else f"{found.reached:.2f}"
        return self._title(goal.work), called, wanted, reached, "yes" if found.met else "**no**"

    def _introduction(self) -> str:
        return (
            rst.paragraph(wording.introduction(self._rounds))
            + "\n"
            + rst.code(
                "make bench          # all of it, about half an hour\nmake bench QUICK=1  # small, three minutes"
            )
        )

    def _cpu(self) -> str:
        ratios = [name for name in self._servers if name != RTWIST]
        rows = []
        for work in (work for work in WORKS if "cpu" in work.metrics):
            cells = [shown(self._spread(work.name, name, "cpu"), "cpu") for name in self._servers]
            if set(cells) != {NONE}:
                compared = (self._ratio(work.name, one) for one in ratios)
                rows.append([self._title(work.name), work.unit, *cells, *compared])
        header = ("work", "for each", *self._servers, *(f"rtwist / {name}" for name in ratios))
        widths = (30, 12, *(14 for _ in self._servers), *(8 for _ in ratios))
        return (
            rst.heading("CPU")
            + "\n"
            + rst.paragraph("Microseconds of the server's CPU, user and system, from the operating system.")
            + "\n"
            + rst.table(header, rows, widths)
            + "\n"
            + rst.image("cpu.svg", "the CPU of each work and server as bars")
        )

    def _ratio(self, work: str, peer: str) -> str:
        own, other = self._spread(work, RTWIST, "cpu"), self._spread(work, peer, "cpu")
        return f"{own.median / other.median:.2f}" if own and other else NONE

    def _others(self) -> str:
        rows = [*self._rows(("memory",), ("bytes",)), *self._rows(TIMED, ("p50", "p99", "p99.9"))]
        rows += [*self._rows(RATED, ("rate",)), *self._rows(tuple(GROWTH), ("ratio",))]
        return (
            rst.heading("Memory, latency, throughput and growth")
            + "\n"
            + rst.paragraph(wording.OTHERS)
            + "\n"
            + rst.table(("work", "", *self._servers), rows, (40, 12, *(16 for _ in self._servers)))
            + "\n"
            + rst.image("latency-memory.svg", "latency at a fixed rate, and memory, as bars")
            + "\n"
            + rst.image("growth.svg", "the cost among many in multiples of the cost among few, as bars")
        )

    def _rows(self, works: Sequence[str], metrics: Sequence[str]) -> Iterator[Sequence[str]]:
        for work in works:
            for metric in metrics:
                cells = [shown(self._spread(work, name, metric), metric) for name in self._servers]
                if set(cells) != {NONE}:
                    unit = {"rate": "a second", "ratio": "times"}.get(metric, f"{metric}, {UNITS[metric]}")
                    yield self._title(work), unit.replace("bytes, ", ""), *cells

    def _generator(self) -> str:
        rows = [
            (
                title,
                server,
                *(
                    self._share(name, server, metric)
                    for metric in ("busy", "generator busy", "generator cores idle")
                ),
                shown(self._spread(name, server, "generator cpu"), "cpu"),
            )
            for name, title, server in self._loads()
        ]
        header = ("work", "server", "server busy", "generator busy", "its cores idle", "generator, µs each")
        return (
            rst.heading("The load generator")
            + "\n"
            + rst.paragraph(f"{wording.GENERATOR} {self._floor()}")
            + "\n"
            + rst.table(header, rows, (34, 14, 11, 11, 11, 19))
        )

    def _floor(self) -> str:
        floor = self._spread("send", "floor", "cpu")
        if floor is None:
            return ""
        return wording.floor(shown(floor, "cpu"))

    def _loads(self) -> Iterator[tuple[str, str, str]]:
        """Name and title of each work, with each server, where the generator's share says something."""
        if self._spread("send", "floor", "generator busy"):
            yield "send", "a bare loop of ``send`` to 1,000 clients", "floor"
        for work in WORKS:
            for server in self._servers:
                if self._spread(work.name, server, "generator busy") and not work.name.startswith("disconnect"):
                    yield work.name, self._title(work.name), server

    def _share(self, work: str, server: str, metric: str) -> str:
        spread = self._spread(work, server, metric)
        return NONE if spread is None else f"{spread.median:.0%}"

    def _method(self) -> str:
        machine = [f"{name}: {value}" for name, value in self._results.machine.items()]
        versions = ", ".join(f"{name} {value}" for name, value in self._results.versions.items())
        return (
            rst.heading("How it was measured")
            + "\n"
            + rst.bullets(
                [
                    *machine,
                    f"versions: {versions}",
                    *wording.METHOD,
                    f"log level of all: {self._results.log_level}",
                ]
            )
        )

    def _group(self, work: str, metric: str) -> picture.Group | None:
        bars = []
        for server in self._servers:
            spread = self._spread(work, server, metric)
            if spread is not None:
                text = f"{number(spread.median, metric)} {UNITS[metric]}".strip()
                bars.append(picture.Bar(server, spread.median, spread.least, spread.most, text))
        if not bars:
            return None
        title = self._title(work) + (f": {metric}" if metric.startswith("p") else "")
        return picture.Group(title, bars, self._goal_line(work, metric))

    def _goal_line(self, work: str, metric: str) -> float | None:
        for goal in GOALS:
            if (goal.work, goal.metric) == (work, metric) and goal.peer in (None, NODE_NAME):
                other = self._spread(work, goal.peer, metric) if goal.peer else None
                if goal.peer is None or other is not None:
                    return goal.bound * (other.median if other else 1.0)
        return None
