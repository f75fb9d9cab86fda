"""The page of the clusters: what was measured, as tables and a picture."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.cluster import wording
from bench.cluster.catalogue import ACROSS, GOALS, TWICE, WORKERS, title, unit
from bench.versus import picture, rst
from bench.versus.figures import Spread, verdict, versus
from bench.versus.report import NONE, number, shown
from bench.versus.results import Results
from bench.versus.servers import NODE_NAME, RTWIST

SERVERS = (RTWIST, NODE_NAME)
PAGE, RAW, DRAWING = "cluster.rst", "cluster.json", "cluster.svg"
_GOALS_HEADER = ("work", "goal", "reached", "")


class Report:
    """The page, the picture and the raw results of one run."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._spreads = results.spreads()
        self._rounds = max((result.round for result in results.all if "cpu" in result.figures), default=0)

    def write(self, folder: Path) -> None:
        """Write them."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RAW).write_text(self._results.as_json())
        (folder / DRAWING).write_text(self.drawing())
        (folder / PAGE).write_text(self.page())

    def page(self) -> str:
        """The page in reStructuredText."""
        commands = "make bench-cluster          # all of it, 15 minutes\nmake bench-cluster QUICK=1  # small"
        parts = [
            rst.heading("Clusters over Redis", "="),
            rst.paragraph(wording.introduction(self._rounds)),
            rst.code(commands),
            rst.heading("Goals"),
            rst.table(_GOALS_HEADER, self._goals(), (50, 20, 15, 15)) + self._failures(),
        ]
        for heading, text, table in self._sections():
            parts += [rst.heading(heading), rst.paragraph(text), table]
        parts += [rst.image(DRAWING, "the CPU of both nodes for a message between them, as bars"), self._method()]
        return "\n".join(parts)

    def summary(self) -> str:
        """The goals, for a terminal."""
        return "\n".join("  ".join(row).replace("**", "") for row in (_GOALS_HEADER, *self._goals()))

    def drawing(self) -> str:
        """The picture."""
        groups = []
        for work in ACROSS:
            bars = []
            for server in SERVERS:
                spread = self._spreads.get((f"across-{work}", server, "cpu"))
                if spread is not None:
                    text = f"{number(spread.median, 'cpu')} µs"
                    bars.append(picture.Bar(server, spread.median, spread.least, spread.most, text))
            if bars:
                groups.append(picture.Group(f"{title(work)}: for each {unit(work)}", bars))
        about = "Medians of all rounds, shorter is better; thin lines: least to most."
        return picture.draw("CPU of both nodes for what goes from one to the other", about, groups)

    def _sections(self) -> Iterator[tuple[str, str, str]]:
        yield "From node to node", wording.ACROSS, self._across("across")
        yield "From node to node, sharded", wording.SHARDED, self._across("across-sharded")
        yield "What the way by Redis adds", wording.ADDED, self._added()
        yield "Two nodes against one", wording.TWO, self._two()
        yield "Two workers against one process", wording.WORKERS, self._workers()
        yield "What else a cluster needs", wording.ELSE, self._else()

    def _goals(self) -> list[Sequence[str]]:
        rows: list[Sequence[str]] = []
        for goal in GOALS:
            wanted = f"at most {goal.bound:g} of {goal.peer}"
            found = verdict(goal, self._spreads, RTWIST)
            if found is None:
                rows.append((self._titled(goal.work), wanted, "not measured", ""))
            else:
                met = "yes" if found.met else "**no**"
                rows.append((self._titled(goal.work), wanted, f"{found.reached:.2f}", met))
        return rows

    def _titled(self, work: str) -> str:
        return f"{title(work)}, on the other node"

    def _failures(self) -> str:
        return rst.bullets(f"Failed: {failure}" for failure in self._results.failures)

    def _across(self, layout: str) -> str:
        rows = []
        for work in (*ACROSS, "offered", "connect"):
            row = [self._cell(f"{layout}-{work}", server, "cpu") for server in SERVERS]
            if set(row) != {NONE}:
                parts = [self._parts(f"{layout}-{work}", server) for server in SERVERS]
                ratio = shown(self._spreads.get((f"{layout}-{work}", versus(RTWIST, NODE_NAME), "cpu")), "ratio")
                rows.append((title(work), unit(work), *row, *parts, ratio))
        header = ("work", "for each", *SERVERS, *(f"{name}: A, B, Redis" for name in SERVERS), "rtwist / node")
        return rst.table(header, rows, (24, 10, 14, 14, 14, 14, 10))

    def _parts(self, work: str, server: str) -> str:
        metrics = ("node 1 cpu", "node 2 cpu", "redis cpu")
        found = [self._spreads.get((work, server, metric)) for metric in metrics]
        return NONE if None in found else ", ".join(number(one.median, "cpu") for one in found if one is not None)

    def _added(self) -> str:
        rows = [
            (title(work), unit(work), *(self._added_by(work, server) for server in SERVERS)) for work in ACROSS
        ]
        return rst.table(("work", "for each", *SERVERS), rows, (40, 20, 20, 20))

    def _added_by(self, work: str, server: str) -> str:
        return shown(self.compared(f"across-{work}", f"alone-{work}", server, "cpu", operator.sub), "cpu")

    def compared(
        self, work: str, base: str, server: str, metric: str, of: Callable[[float, float], float]
    ) -> Spread | None:
        """What `of` makes of both works in the same round."""
        figures = {
            (one.round, one.work): one.figures[metric]
            for one in self._results.all
            if one.server == server and metric in one.figures
        }
        values = [
            of(value, figures[number, base])
            for (number, name), value in figures.items()
            if name == work and (number, base) in figures
        ]
        return Spread.of(values) if values else None

    def _two(self) -> str:
        rows: list[Sequence[str]] = []
        for work in TWICE:
            for server in SERVERS:
                one, two = (self._cell(f"{layout}-{work}", server, "capacity") for layout in ("alone", "halves"))
                times = self.compared(f"halves-{work}", f"alone-{work}", server, "capacity", operator.truediv)
                rates = [self._cell(f"{layout}-{work}", server, "rate") for layout in ("alone", "halves")]
                rows.append((title(work), server, one, two, shown(times, "ratio"), *rates))
        header = ("work", "", "one node", "two nodes", "times", "one, measured", "two, on the same core")
        return rst.table(header, rows, (24, 8, 14, 14, 12, 14, 14))

    def _workers(self) -> str:
        rows: list[Sequence[str]] = []
        for work in WORKERS:
            cells = [
                self._cell(f"{layout}-{work}", RTWIST, metric)
                for metric in ("cpu", "rate")
                for layout in ("one-process", "two-workers")
            ]
            times = self.compared(f"two-workers-{work}", f"one-process-{work}", RTWIST, "rate", operator.truediv)
            rows.append((title(work), unit(work), *cells, shown(times, "ratio")))
        header = ("work", "for each", "CPU, one", "CPU, two", "a second, one", "a second, two", "times")
        return rst.table(header, rows, (24, 10, 14, 14, 14, 14, 12))

    def _else(self) -> str:
        rows = [
            (
                f"Redis: a message that {name.removeprefix('publish-')} nodes subscribe to",
                "µs",
                shown(found, "cpu"),
            )
            for (name, _, metric), found in self._spreads.items()
            if name.startswith("publish-") and metric == "redis cpu"
        ]
        rows.append(("the kernel: an idle TCP connection", "kB", self._cell("kernel", "kernel", "bytes")))
        rows.append(("rtwist: a heartbeat", "µs", self._cell("beating-heartbeat", RTWIST, "cpu")))
        return rst.table(("what", "", ""), rows, (60, 10, 30))

    def _cell(self, work: str, server: str, metric: str) -> str:
        return shown(self._spreads.get((work, server, metric)), metric)

    def _method(self) -> str:
        machine = [f"{name}: {value}" for name, value in self._results.machine.items()]
        versions = ", ".join(f"{name} {value}" for name, value in self._results.versions.items())
        foreign = sorted(one.figures["foreign"] for one in self._results.all if "foreign" in one.figures)
        if foreign:
            machine.append(wording.quiet(foreign[len(foreign) // 2]))
        items = [*machine, f"versions: {versions}", *wording.METHOD]
        return rst.heading("How it was measured") + "\n" + rst.bullets(items)
