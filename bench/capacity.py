"""What many connections need, from measured costs: `python -m bench.capacity [--connections N] ...`.

Prints nodes, cores, memory, Redis and bandwidth for a load. Each number of the load is an option; `--costs` names
a JSON file with costs that were measured elsewhere; `--write` puts the tables into docs/capacity.rst.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.versus import rst

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "docs" / "benchmarks"
PAGE = ROOT / "docs" / "capacity.rst"
RESULTS = ("results.json", "cluster.json")
BEGIN, END = ".. The tables are written by bench/capacity.py.\n", ".. End of what bench/capacity.py writes.\n"

CLASSIC, SHARDED = "classic", "sharded"
TIMES = (1, 2)
MOST = 2_000
"""Processes; a cluster of more is not looked for."""

SECOND = 1e6
"""In microseconds, as costs are."""


@dataclass(frozen=True)
class Costs:
    """What was measured: microseconds of CPU, and bytes.

    - `take`: reading an event, routing it and publishing it, at the node that consumes.
    - `receive`: a message of another node, with its delivery to one socket; `deliver`: to each further one.
    - `pass_over`: a message of another node for rooms that nobody here is in.
    - `connect`: a connection, where it comes; `connect_elsewhere`: the same at every other node.
    - `redis_*`: of Redis, for each message, for each node that it goes to, for each event's id, and for each
      connection. `redis_bytes`: that Redis keeps for each connection.
    """

    take: float
    receive: float
    deliver: float
    pass_over: float
    heartbeat: float
    connect: float
    connect_elsewhere: float
    redis_message: float
    redis_copy: float
    redis_event: float
    redis_connect: float
    redis_bytes: float
    bytes_connection: float
    bytes_kernel: float
    bytes_process: float


@dataclass(frozen=True)
class Load:
    """What is asked for, a second unless said otherwise.

    - `session`: seconds that a connection lasts; `heartbeat`: from one to the next.
    - `to_one`, `to_room`, `to_large`: events for one user, for a room of `room` and of `large` sockets;
      `to_all`: for everybody.
    - `message`: bytes of a message to a client, `overhead`: of the frame, TCP, IP and Ethernet around it.
    - `busy`: of a core, and of Redis, at most; `busy_consumer`: of the process that also takes the events in.
    - `most_connections`, and `most_handshakes` a second: of one process.
    - `host_cores`: processes of one host; when it is lost, its clients come back to the others.
    """

    connections: float = 1_000_000
    session: float = 1_800
    heartbeat: float = 25
    to_one: float = 4_000
    to_room: float = 900
    room: float = 20
    to_large: float = 100
    large: float = 1_000
    to_all: float = 1 / 60
    message: float = 250
    overhead: float = 94
    busy: float = 0.5
    busy_consumer: float = 0.7
    most_connections: float = 50_000
    most_handshakes: float = 2_000
    host_cores: float = 8


@dataclass(frozen=True)
class Plan:
    """What is needed. Shares are of one core, `bits` a second.

    `constant` is what each process is busy however many there are; `most_events` a second can be taken in.
    `storm` and `restart` are the seconds until the clients of a lost host, or all of them, are back.
    """

    protocol: str
    processes: int
    why: str
    hosts: int
    consumer: float
    other: float
    constant: float
    most_events: float
    memory: float
    redis: float
    redis_servers: int
    redis_memory: float
    bits_out: float
    redis_bits: float
    deliveries: float
    storm: float
    restart: float


def nodes_with(sockets: float, processes: int) -> float:
    """On how many of so many processes somebody of a room is, when its sockets are anywhere."""
    return processes * (1 - (1 - 1 / processes) ** sockets)


def audiences(load: Load) -> list[tuple[float, float]]:
    """Events a second, and how many sockets each is for."""
    return [
        (load.to_one, 1.0),
        (load.to_room, load.room),
        (load.to_large, load.large),
        (load.to_all, load.connections),
    ]


def shares(load: Load, costs: Costs, protocol: str, processes: int) -> tuple[float, float, float]:
    """Of a core: what the process that consumes is busy, each other one, and of it what is so for any number."""
    connects = load.connections / load.session
    spread = load.connections / load.heartbeat * costs.heartbeat + connects * costs.connect
    constant = connects * costs.connect_elsewhere
    for rate, sockets in audiences(load):
        there = nodes_with(sockets, processes)
        spread += rate * (there * (costs.receive - costs.deliver) + sockets * costs.deliver)
        if protocol == CLASSIC:
            constant += rate * (1 - there / processes) * costs.pass_over
    other = (spread / processes + constant) / SECOND
    events = sum(rate for rate, _ in audiences(load))
    return other + events * costs.take / SECOND, other, constant / SECOND


def redis_share(load: Load, costs: Costs, protocol: str, processes: int) -> float:
    """Of a core, what Redis is busy."""
    used = load.connections / load.session * costs.redis_connect
    for rate, sockets in audiences(load):
        copies = processes if protocol == CLASSIC else nodes_with(sockets, processes)
        used += rate * (costs.redis_message + copies * costs.redis_copy + costs.redis_event)
    return used / SECOND


def reconnects(load: Load, costs: Costs, protocol: str, processes: int) -> float:
    """How many clients can come back a second, with what all else leaves of the processes and of Redis."""
    busiest = shares(load, costs, protocol, processes)[0]
    each = (costs.connect / processes + costs.connect_elsewhere) / SECOND
    free = min(max(0.0, 1 - busiest) / each, load.most_handshakes * processes or math.inf)
    redis = max(0.0, 1 - redis_share(load, costs, protocol, processes)) / (costs.redis_connect / SECOND)
    return min(free, redis)


def plan(load: Load, costs: Costs, protocol: str) -> Plan:
    """The least that is enough; ValueError when no number of processes is."""
    least = math.ceil(load.connections / load.most_connections)
    processes = next((n for n in range(max(least, 1), MOST) if _fits(load, costs, protocol, n)), None)
    if processes is None:
        raise ValueError(
            f"{protocol}: no number of processes is enough: the one that consumes has too much to do"
        )
    consumer, other, constant = shares(load, costs, protocol, processes)
    deliveries = sum(rate * sockets for rate, sockets in audiences(load))
    copies = sum(
        rate * (processes if protocol == CLASSIC else nodes_with(sockets, processes))
        for rate, sockets in audiences(load)
    )
    beats = 2 * load.connections / load.heartbeat
    lost = min(load.host_cores, processes - 1)
    left = processes - int(lost)
    return Plan(
        protocol=protocol,
        processes=processes,
        why="connections" if processes == least else "CPU",
        hosts=math.ceil(processes / load.host_cores),
        consumer=consumer,
        other=other,
        constant=constant,
        most_events=(load.busy_consumer - other) * SECOND / costs.take,
        memory=load.connections * (costs.bytes_connection + costs.bytes_kernel) + processes * costs.bytes_process,
        redis=redis_share(load, costs, protocol, processes),
        redis_servers=math.ceil(redis_share(load, costs, protocol, processes) / load.busy),
        redis_memory=load.connections * costs.redis_bytes,
        bits_out=8 * (deliveries * (load.message + load.overhead) + beats * (3 + load.overhead)),
        redis_bits=8 * copies * (load.message + load.overhead),
        deliveries=deliveries,
        storm=load.connections * lost / processes / max(reconnects(load, costs, protocol, left), 1e-9),
        restart=load.connections / max(reconnects(load, costs, protocol, processes), 1e-9),
    )


def _fits(load: Load, costs: Costs, protocol: str, processes: int) -> bool:
    consumer, other, _ = shares(load, costs, protocol, processes)
    return consumer <= load.busy_consumer and other <= load.busy


def _servers(one: Plan) -> str:
    more = one.redis_servers > 1 and one.protocol == CLASSIC
    return "1 is not enough" if more else f"{one.redis_servers}"


ROWS = (
    ("processes of rtwist, a core each", lambda one: f"{one.processes} ({one.why})"),
    ("hosts", lambda one: f"{one.hosts}"),
    ("busy, the process that consumes", lambda one: f"{one.consumer:.0%}"),
    ("busy, each of the others", lambda one: f"{one.other:.0%}"),
    ("of it, whatever their number", lambda one: f"{one.constant:.1%}"),
    ("events that the one that consumes could take", lambda one: f"{one.most_events:,.0f} a second"),
    ("memory of all hosts, with the kernel's", lambda one: f"{one.memory / 1e9:.1f} GB"),
    ("messages to clients", lambda one: f"{one.deliveries:,.0f} a second"),
    ("bandwidth to clients", lambda one: f"{one.bits_out / 1e6:,.0f} Mbit/s"),
    ("busy, Redis", lambda one: f"{one.redis:.0%} of a core"),
    ("Redis servers", _servers),
    ("bandwidth of Redis to the nodes", lambda one: f"{one.redis_bits / 1e6:,.0f} Mbit/s"),
    ("memory of Redis", lambda one: f"{one.redis_memory / 1e9:.1f} GB"),
    ("until the clients of a lost host are back", lambda one: f"{one.storm:,.0f} s"),
    ("until all are back after a restart of all", lambda one: f"{one.restart:,.0f} s"),
)


def table(load: Load, costs: Mapping[str, Costs], times: Sequence[float]) -> list[list[str]]:
    """A header and rows: both adapters, with so many times the events."""
    columns = []
    for factor in times:
        more = dataclasses.replace(
            load,
            to_one=load.to_one * factor, to_room=load.to_room * factor, to_large=load.to_large * factor,
            to_all=load.to_all * factor,
        )  # fmt: skip
        for protocol in costs:
            events = sum(rate for rate, _ in audiences(more))
            columns.append(
                (f"{protocol}, {events:,.0f} events a second", _attempt(more, costs[protocol], protocol))
            )
    rows = [["", *(name for name, _ in columns)]]
    for name, cell in ROWS:
        rows.append([name, *("-" if found is None else cell(found) for _, found in columns)])
    return rows


def _attempt(load: Load, costs: Costs, protocol: str) -> Plan | None:
    try:
        return plan(load, costs, protocol)
    except ValueError:
        return None


def medians(results: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], float]:
    """Of the rounds of rtwist, Redis and the kernel, by work and metric."""
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in results:
        if one["server"] in ("rtwist", "redis", "kernel"):
            for metric, value in one["figures"].items():
                values[one["work"], metric].append(value)
    return {key: statistics.median(found) for key, found in values.items()}


def line(points: Mapping[float, float]) -> tuple[float, float]:
    """The start and the slope of the straight line that is nearest to `points`."""
    slope, start = statistics.linear_regression(list(points), list(points.values()))
    return start, slope


def measured(one: Iterable[Mapping[str, Any]], cluster: Iterable[Mapping[str, Any]], layout: str) -> Costs:
    """The costs in the raw results of `bench.versus` and, for that layout of two nodes, of `bench.cluster`."""
    single, found = medians(one), medians(cluster)
    copies = {
        float(work.removeprefix("publish-")): value
        for (work, metric), value in found.items()
        if work.startswith("publish-") and metric == "redis cpu"
    }
    message, copy = line(copies)
    return Costs(
        take=found[f"{layout}-one", "node 1 cpu"],
        receive=found[f"{layout}-one", "node 2 cpu"],
        deliver=found["alone-room-1000", "cpu"],
        pass_over=found[f"{layout}-none", "node 2 cpu"],
        heartbeat=found["beating-heartbeat", "cpu"],
        connect=found[f"{layout}-connect", "node 2 cpu"],
        connect_elsewhere=found[f"{layout}-connect", "node 1 cpu"],
        redis_message=message,
        redis_copy=copy,
        redis_event=max(0.0, found[f"{layout}-one", "redis cpu"] - message - 2 * copy),
        redis_connect=found[f"{layout}-connect", "redis cpu"],
        redis_bytes=found[f"{layout}-connect", "redis bytes"],
        bytes_connection=single["memory", "bytes"],
        bytes_kernel=found["kernel", "bytes"],
        bytes_process=single["memory", "base"],
    )


def measured_here() -> dict[str, Costs]:
    """Those of docs/benchmarks, by the adapter."""
    one, cluster = (json.loads((BENCHMARKS / name).read_text())["results"] for name in RESULTS)
    layouts = {CLASSIC: "across", SHARDED: "across-sharded"}
    return {protocol: measured(one, cluster, layout) for protocol, layout in layouts.items()}


def tables(load: Load, costs: Mapping[str, Costs]) -> str:
    """What the page shows: the load, the costs, and what is needed, also with twice the events."""
    header, *rows = table(load, costs, TIMES)
    described = ((name, f"{value:,.4g}" if value < 1 else f"{value:,.0f}") for name, value in fields(load))
    took = zip(*map(fields, costs.values()), strict=True)
    shown = ((each[0][0], *(_digits(value) for _, value in each)) for each in took)
    parts = (
        rst.table(("load", ""), described, (60, 40)),
        rst.table(("cost, µs or bytes", *costs), shown, (50, 25, 25)),
        rst.table(header, rows, (34, *(22 for _ in header[1:]))),
    )
    return "\n".join(parts)


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"


def fields(one: Load | Costs) -> list[tuple[str, float]]:
    """Names and values, as options have the names."""
    return [(name.replace("_", "-"), value) for name, value in dataclasses.asdict(one).items()]


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.capacity", description=(__doc__ or "").partition("\n")[0])
    for name, value in fields(Load()):
        parser.add_argument(f"--{name}", type=float, default=value, help=f"{value:g}")
    parser.add_argument("--costs", type=Path, help="JSON file with some or all of the costs, by name")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/capacity.rst")
    return parser.parse_args(argv)


def with_tables(page: str, shown: str) -> str:
    """The page with these tables in the place of those that it has."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n{shown}\n{END}{rest.split(END)[1]}"


def main() -> None:
    options = arguments()
    names = [field.name for field in dataclasses.fields(Load)]
    load = Load(**{name: getattr(options, name) for name in names})
    costs = measured_here()
    if options.costs:
        others = json.loads(options.costs.read_text())
        costs = {name: dataclasses.replace(each, **others) for name, each in costs.items()}
    shown = tables(load, costs)
    if options.write:
        PAGE.write_text(with_tables(PAGE.read_text(), shown))
    for row in table(load, costs, TIMES):
        print("  ".join(f"{cell:<44}" if at == 0 else f"{cell:>30}" for at, cell in enumerate(row)))


if __name__ == "__main__":
    main()
