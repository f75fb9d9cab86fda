"""The page of the clusters that is made from results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cluster.catalogue import GOALS, WORKS, title
from bench.cluster.report import DRAWING, PAGE, RAW, Report
from bench.cluster.works import ACTS, QUICK
from bench.versus.results import Result, Results
from tests.test_docs import tables

LOAD = {"busy": 0.9, "generator busy": 0.25, "generator cores idle": 0.5, "foreign": 0.0}
COSTS = {"rtwist": 10.0, "node": 20.0}


def results(rounds: int = 3) -> Results:
    """Every work of every layout; in round 2 all costs 1 more than in round 1, and so on."""
    found = Results({"system": "a machine"}, {"Python": "3"}, QUICK, "info")
    for layout, act in ACTS.items():
        for work in act.finds:
            for server in act.servers:
                for number in range(rounds):
                    cost = COSTS[server] + number - rounds // 2 + (4.0 if "across" in layout else 0.0)
                    parts = {"node 1 cpu": cost / 2, "node 2 cpu": cost / 2, "redis cpu": 1.0}
                    rates = {"rate": 1e6 / cost, "capacity": 2e6 / cost}
                    figures = {**LOAD, "cpu": cost, **parts, **rates}
                    found.all.append(Result(f"{layout}-{work}", server, number + 1, figures))
    found.all.append(Result("kernel", "kernel", 1, {"bytes": 4900.0}))
    found.all.append(Result("publish-4", "redis", 1, {"redis cpu": 3.1}))
    return found


def written(folder: Path, found: Results) -> dict[str, list[list[str]]]:
    """The rows of each table by its header; of equal ones the first."""
    Report(found).write(folder)
    pages: dict[str, list[list[str]]] = {}
    for rows in tables(folder / PAGE):
        pages.setdefault("/".join(rows[0]), rows[1:])
    return pages


def test_goals_are_ratios_of_both_nodes_cpu(tmp_path: Path) -> None:
    rows = written(tmp_path, results())["work/goal/reached/"]
    assert len(rows) == len(GOALS)
    # 14 of 24
    assert rows[0] == [
        "each event to one user, from a full queue, on the other node",
        "at most 0.8 of node",
        "0.58",
        "yes",
    ]


def test_a_goal_that_is_missed_or_was_not_measured_is_told(tmp_path: Path) -> None:
    found = results()
    for one in found.all:
        if (one.work, one.server) == ("across-one", "rtwist"):
            one.figures["cpu"] = 21.0
    found.all[:] = [one for one in found.all if one.work != "across-room-100"]
    rows = written(tmp_path, found)["work/goal/reached/"]
    assert [row[2:] for row in rows[:2]] == [["0.88", "**no**"], ["not measured", ""]]


def test_what_redis_adds_is_of_one_round(tmp_path: Path) -> None:
    rows = written(tmp_path, results())["work/for each/rtwist/node"]
    assert rows[0][2:] == ["4.00 (4.00 to 4.00)", "4.00 (4.00 to 4.00)"]


def test_both_nodes_and_redis_are_shown_apart(tmp_path: Path) -> None:
    pages = written(tmp_path, results())
    rows = next(rows for head, rows in pages.items() if "A, B, Redis" in head)
    assert rows[0][2] == "14.0 (13.0 to 15.0)"
    assert rows[0][4:] == ["7.00, 7.00, 1.00", "12.0, 12.0, 1.00", "0.58 (0.57 to 0.60)"]


def test_two_nodes_and_two_workers_are_compared_with_one(tmp_path: Path) -> None:
    pages = written(tmp_path, results())
    two = next(rows for head, rows in pages.items() if "two nodes" in head)
    assert two[0][1:3] == ["rtwist", "200,000 (181,818 to 222,222)"]
    assert [row[4] for row in two] == ["1.00 (1.00 to 1.00)"] * len(two)
    workers = next(rows for head, rows in pages.items() if "a second, two" in head)
    assert [row[0] for row in workers] == [title(work) for work in ("connect", "upgrade", "polling", "room-1000")]
    assert {row[-1] for row in workers} == {"1.00 (1.00 to 1.00)"}


def test_what_failed_and_a_machine_that_was_not_quiet_are_told(tmp_path: Path) -> None:
    found = results()
    found.failures.append("round 1, node, halves: it left")
    for one in found.all:
        if "foreign" in one.figures:
            one.figures["foreign"] = 0.4
    Report(found).write(tmp_path)
    page = (tmp_path / PAGE).read_text()
    assert "- Failed: round 1, node, halves: it left" in page
    assert "**The machine was not quiet**" in page


def test_raw_results_and_a_picture_are_kept(tmp_path: Path) -> None:
    Report(results()).write(tmp_path)
    assert len(json.loads((tmp_path / RAW).read_text())["results"]) == len(results().all)
    assert (tmp_path / DRAWING).read_text().count("<rect") == 1 + 2 * 4


@pytest.mark.parametrize("layout", ACTS)
def test_every_work_has_a_title(layout: str) -> None:
    for work in ACTS[layout].finds:
        assert title(f"{layout}-{work}") == WORKS[work][0]
