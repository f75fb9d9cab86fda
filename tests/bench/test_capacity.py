"""The calculation of what many connections need, and the page that shows it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import capacity
from bench.capacity import CLASSIC, SHARDED, Costs, Load
from rtwist.limits import DEFAULT_MAX_HANDSHAKES

COSTS = Costs(
    take=40, receive=20, deliver=5, pass_over=2, heartbeat=40, connect=500, connect_elsewhere=30,
    redis_message=1.5, redis_copy=0.5, redis_event=6, redis_connect=25, redis_bytes=700,
    bytes_connection=7_600, bytes_kernel=4_000, bytes_process=76e6,
)  # fmt: skip
QUIET = Load(to_one=0, to_room=0, to_large=0, to_all=0, session=1e12)
LOADS = st.builds(
    Load,
    connections=st.floats(1_000, 1e7),  # at most 200 processes for their number
    to_one=st.floats(0, 8_000),
    to_room=st.floats(0, 500),
    room=st.floats(1, 1_000),
    session=st.floats(300, 1e5),
)


@given(st.floats(1, 1e6), st.integers(1, 500))
def test_a_room_is_at_no_more_nodes_than_it_has_sockets_nor_than_there_are(sockets: float, nodes: int) -> None:
    found = capacity.nodes_with(sockets, nodes)
    assert found * (1 + 1e-9) >= 1
    assert found <= min(sockets, nodes) * (1 + 1e-9)


def test_idle_connections_cost_their_heartbeats_and_memory() -> None:
    plan = capacity.plan(QUIET, COSTS, CLASSIC)
    assert (plan.processes, plan.why, plan.hosts) == (20, "connections", 3)
    assert plan.other == pytest.approx(1_000_000 / 25 * 40e-6 / 20)
    assert plan.consumer == plan.other
    assert plan.memory == pytest.approx(1_000_000 * 11_600 + 20 * 76e6)
    assert plan.redis == pytest.approx(0.0, abs=1e-6)
    assert plan.bits_out == 8 * 2 * 40_000 * (3 + QUIET.overhead)


def test_an_event_to_one_user_is_taken_received_once_and_passed_over_by_all_others() -> None:
    load = dataclasses.replace(QUIET, connections=1.0, to_one=1_000)
    consumer, other, constant = capacity.shares(load, COSTS, CLASSIC, 10)
    heartbeat = 1 / 25 * 40 / 10 / 1e6
    assert other == pytest.approx(1_000 * (20 / 10 + 0.9 * 2) / 1e6 + heartbeat)
    assert consumer - other == pytest.approx(1_000 * 40 / 1e6)
    assert constant == pytest.approx(1_000 * 0.9 * 2 / 1e6)
    assert capacity.shares(load, COSTS, SHARDED, 10)[2] == pytest.approx(0.0, abs=1e-9)


def test_redis_copies_to_all_nodes_or_to_those_that_have_the_room() -> None:
    load = dataclasses.replace(QUIET, to_one=1_000)
    assert capacity.redis_share(load, COSTS, CLASSIC, 50) == pytest.approx(1_000 * (1.5 + 50 * 0.5 + 6) / 1e6)
    assert capacity.redis_share(load, COSTS, SHARDED, 50) == pytest.approx(1_000 * (1.5 + 0.5 + 6) / 1e6)


@given(LOADS, st.sampled_from([CLASSIC, SHARDED]))
@settings(deadline=None)
def test_a_plan_is_enough_and_no_process_can_be_left_out(load: Load, protocol: str) -> None:
    try:
        plan = capacity.plan(load, COSTS, protocol)
    except ValueError:
        consumer, other, _ = capacity.shares(load, COSTS, protocol, capacity.MOST - 1)
        assert consumer > load.busy_consumer or other > load.busy
        return
    assert plan.consumer <= load.busy_consumer
    assert plan.other <= load.busy
    assert load.connections / plan.processes <= load.most_connections
    if plan.why == "CPU":
        consumer, other, _ = capacity.shares(load, COSTS, protocol, plan.processes - 1)
        assert consumer > load.busy_consumer or other > load.busy


def test_too_many_events_for_one_consumer_are_told() -> None:
    load = dataclasses.replace(QUIET, to_one=20_000)
    with pytest.raises(ValueError, match="no number of processes is enough"):
        capacity.plan(load, COSTS, CLASSIC)
    rows = capacity.table(load, {CLASSIC: COSTS}, (1,))
    assert {row[1] for row in rows[1:]} == {"-"}


def test_clients_come_back_as_fast_as_there_is_cpu_for_them() -> None:
    load = dataclasses.replace(QUIET, heartbeat=1e12)
    plan = capacity.plan(load, COSTS, CLASSIC)
    assert plan.restart == pytest.approx(1_000_000 * (500 / 20 + 30) / 1e6, rel=1e-3)
    assert plan.storm == pytest.approx(400_000 * (500 / 12 + 30) / 1e6, rel=1e-3)
    limited = capacity.plan(dataclasses.replace(load, most_handshakes=10), COSTS, CLASSIC)
    assert limited.restart == pytest.approx(1_000_000 / 200)
    slow = dataclasses.replace(COSTS, redis_connect=1_000)
    assert capacity.plan(load, slow, CLASSIC).restart == pytest.approx(1_000, rel=1e-3)


def test_redis_that_cannot_be_spread_is_told() -> None:
    load = dataclasses.replace(QUIET, to_one=10_000)
    heavy = dataclasses.replace(COSTS, redis_message=60.0)
    rows = {row[0]: row[1:] for row in capacity.table(load, {CLASSIC: heavy, SHARDED: heavy}, (1,))}
    assert rows["Redis servers"] == ["1 is not enough", "2"]


def test_a_line_through_points() -> None:
    assert capacity.line({1.0: 2.0, 4.0: 3.5, 16.0: 9.5}) == pytest.approx((1.5, 0.5))


def result(work: str, server: str, **figures: float) -> dict[str, Any]:
    return {"work": work, "server": server, "round": 1, "figures": figures}


def test_costs_are_medians_of_what_was_measured_of_rtwist() -> None:
    one = [result("memory", "rtwist", bytes=number, base=70e6) for number in (7_000, 9_000, 7_600)]
    one.append(result("memory", "node", bytes=1.0, base=1.0))
    parts = {"cpu": 60.0, "node 1 cpu": 40.0, "node 2 cpu": 20.0, "redis cpu": 9.0, "redis bytes": 700.0}
    cluster = [result(f"across-{work}", "rtwist", **parts) for work in ("one", "none", "connect")]
    cluster += [
        result("alone-room-1000", "rtwist", cpu=5.0),
        result("beating-heartbeat", "rtwist", cpu=44.0),
        result("kernel", "kernel", bytes=4_000.0),
        *(result(f"publish-{number}", "redis", **{"redis cpu": 1.0 + 0.5 * number}) for number in (1, 4, 16)),
    ]
    costs = capacity.measured(one, cluster, "across")
    assert costs.bytes_connection == 7_600
    assert (costs.take, costs.receive, costs.deliver, costs.heartbeat) == (40.0, 20.0, 5.0, 44.0)
    assert (costs.redis_message, costs.redis_copy, costs.redis_event) == pytest.approx((1.0, 0.5, 7.0))


def test_the_page_shows_what_the_calculation_gives() -> None:
    page = capacity.PAGE.read_text()
    shown = capacity.tables(Load(), capacity.measured_here())
    assert capacity.with_tables(page, shown) == page, "run `python -m bench.capacity --write`"


def test_the_load_is_that_of_the_options_and_costs_can_be_those_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    costs = tmp_path / "costs.json"
    costs.write_text(json.dumps({"bytes_connection": 1e6}))
    few = ["--to-one", "10", "--to-room", "0", "--to-large", "0", "--to-all", "0"]
    monkeypatch.setattr("sys.argv", ["capacity", "--connections", "100000", *few, "--costs", str(costs)])
    capacity.main()
    lines = {line[:44].strip(): line[44:].split("  ") for line in capsys.readouterr().out.splitlines()}
    assert "2 (connections)" in lines["processes of rtwist, a core each"][-1]
    assert lines["memory of all hosts, with the kernel's"][-1].strip().startswith("100.")


def test_the_limit_of_handshakes_is_that_of_the_service() -> None:
    assert Load().most_handshakes == DEFAULT_MAX_HANDSHAKES
