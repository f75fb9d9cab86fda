"""The page and the pictures that are made from results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

from bench.versus.catalogue import GOALS
from bench.versus.report import Report, number
from bench.versus.results import Result, Results
from bench.versus.stage import FULL
from tests.test_docs import tables

LOAD = {"busy": 0.9, "generator busy": 0.25, "generator cores idle": 0.5, "generator cpu": 2.0, "rate": 30_000.0}
COSTS = {"rtwist": 6.0, "node": 12.0, "python-socketio": 66.0}


def results(*works: str, rounds: int = 3) -> Results:
    """Each server's cost in each round: 1 less than its median, that, and 1 more."""
    found = Results({"system": "a machine"}, {"Python": "3"}, FULL, "info")
    for number_ in range(rounds):
        for server, cost in COSTS.items():
            for work in works:
                figures = {**LOAD, "cpu": cost + number_ - rounds // 2, "p50": cost / 1e3, "bytes": cost * 1e3}
                found.add(Result(work, server, number_ + 1, figures))
    return found


def report(*works: str, rounds: int = 3) -> Report:
    return Report(results(*works, rounds=rounds))


def written(folder: Path, *works: str) -> dict[str, list[list[str]]]:
    """The rows of each table by the first cell of its header and its number of columns."""
    report(*works).write(folder)
    return {"/".join(rows[0]): rows[1:] for rows in tables(folder / "README.rst")}


def test_the_cpu_of_each_server_is_shown_as_median_least_and_most(tmp_path: Path) -> None:
    rows = next(rows for head, rows in written(tmp_path, "fanout").items() if head.startswith("work/for each"))
    assert rows == [
        [
            "one event to a room of 1,000 WebSocket clients", "delivered message",
            "6.00 (5.00 to 7.00)", "12.0 (11.0 to 13.0)", "66.0 (65.0 to 67.0)", "0.50", "0.09",
        ]
    ]  # fmt: skip


def test_every_goal_has_a_row_that_says_whether_it_is_reached(tmp_path: Path) -> None:
    rows = written(tmp_path, "fanout", "burst")["work/of rtwist/goal/reached/"]
    assert len(rows) == len(GOALS)
    assert [row[2:] for row in rows[:4]] == [
        ["at most 0.65 of node", "0.50", "yes"],
        ["at most 0.1 of python-socketio", "0.09", "yes"],
        ["at most 0.25 of node", "0.50", "**no**"],
        ["at most 0.9 of node", "not measured", ""],
    ]


def test_growth_compares_many_with_few_in_the_same_round() -> None:
    spreads = report("join-few", "join-many")._spreads
    assert spreads["growth-join", "rtwist", "ratio"].median == 1.0
    assert ("growth-leave", "rtwist", "ratio") not in spreads


def test_the_share_of_the_generator_is_shown_beside_each_work(tmp_path: Path) -> None:
    rows = next(rows for head, rows in written(tmp_path, "fanout").items() if "generator busy" in head)
    assert rows[0] == [
        "one event to a room of 1,000 WebSocket clients", "rtwist", "90%", "25%", "50%", "2.00 (2.00 to 2.00)"
    ]  # fmt: skip


def test_one_round_has_no_range() -> None:
    assert "6.00 (" not in report("fanout", rounds=1).page()


def test_raw_results_are_kept(tmp_path: Path) -> None:
    report("fanout").write(tmp_path)
    kept = json.loads((tmp_path / "results.json").read_text())
    assert len(kept["results"]) == 9
    assert kept["results"][0]["figures"]["cpu"] == 5.0
    assert kept["machine"] == {"system": "a machine"}


def test_pictures_are_drawn_to_scale_and_named_in_the_page(tmp_path: Path) -> None:
    report("fanout", "offered", "memory", "join-few", "join-many").write(tmp_path)
    page = (tmp_path / "README.rst").read_text()
    names = re.findall(r"\.\. image:: (\S+)", page)
    assert sorted(names) == sorted(path.name for path in tmp_path.glob("*.svg"))
    drawing = ElementTree.parse(tmp_path / "cpu.svg")  # noqa: S314
    bars = [
        float(bar.attrib["width"])
        for bar in drawing.iter("{http://www.w3.org/2000/svg}rect")
        if "fill" in bar.attrib
    ]
    rtwist, node, python = bars[:3]
    assert round(node / rtwist, 1) == 2.0
    assert round(python / rtwist, 1) == 11.0


def test_figures_have_about_three_digits() -> None:
    assert [number(value, "cpu") for value in (5.123, 51.23, 512.3, 51234.0)] == ["5.12", "51.2", "512", "51,234"]
    assert number(0.01234, "p99") == "12.3"
    assert number(21_900, "bytes") == "21.9"
    assert number(1.0, "ratio") == "1.00"
