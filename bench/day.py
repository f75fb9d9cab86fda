"""A day of a shop platform, 5,000 events a second: `python bench/day.py [--rate N] [--seconds N] [--clients N]`.

Everything runs on this machine: one RabbitMQ node, the publisher (Node's amqplib, confirmed), `twistd rtwist`
with its default options and its log in a file, and the clients in one process. The events are those of tests/day,
and every client's history is held against the model. Prints what was reached; fails when a client heard anything
else.

Events a second are counted from the first publication until every client has heard the last event. Latency is
from the publication to the clients' process. CPU is user and system time, from the operating system, of one core.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.day.generator import Day
from tests.day.stage import RATE, SHOWN, Published, Stage
from tests.intake.brokered import until
from tests.service.servers import ANYWHERE, KEYS, TWISTD, Service, complaints
from tests.support.processes import Program, free_port
from tests.support.rabbitmq import RabbitMQ

EXCHANGE = "events"
WARM_UP = 1
"""Seconds of events before those that count."""
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss(pid: int) -> float:
    """Resident memory of a process in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 1e6


def service(
    node: RabbitMQ, directory: Path, twistd_options: list[str], options: list[str]
) -> tuple[Program, int]:
    """`twistd rtwist` with its log in a file, once it consumes; and its port."""
    port = free_port()
    argv = [TWISTD, "-n", "--pidfile=", f"--logfile={directory / 'log'}", *twistd_options]
    listen = ANYWHERE.replace("tcp:0", f"tcp:{port}")
    program = Program([*argv, "rtwist", "--listen", listen, *options], env={**KEYS, "RABBITMQ_URL": node.url})
    program.wait_for_port(port)
    running = Service(program, port)
    until(lambda: running.request("GET", "/ready").json()["broker"] == "connected")
    return program, port


class Usage:
    """What the processes have used: CPU seconds by name."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        children = os.times()
        self.cpu = {name: cpu_seconds(pid) for name, pid in pids.items()}
        self.cpu["publisher"] = children.children_user + children.children_system

    def since(self, before: Usage) -> dict[str, float]:
        """What they have used since then."""
        return {name: used - before.cpu[name] for name, used in self.cpu.items()}


def report(stage: Stage, sent: Published, cpu: Mapping[str, float], memory: Mapping[str, float]) -> None:
    """Print the figures of the last hour."""
    seconds = stage.last_heard - sent.times[0]
    latencies, events = sorted(stage.latencies), len(sent.times)
    deliveries = sum(stage.delivered.values())
    print(f"published   {events:>9,} events, {events / (sent.times[-1] - sent.times[0]):,.0f} a second")
    print(f"consumed    {events / seconds:>9,.0f} events a second, {deliveries / events:.1f} deliveries each")
    print(f"delivered   {deliveries / seconds:>9,.0f} a second")
    middle, late = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    print(
        f"latency     {middle * 1e3:>9,.1f} ms p50, {late * 1e3:,.1f} ms p99, {latencies[-1] * 1e3:,.1f} ms max"
    )
    for name, used in cpu.items():
        print(f"{name:<11} {used / seconds:>9.0%} CPU" + (f", {memory[name]:.0f} MB" if name in memory else ""))
    each = cpu["rtwist"] / events
    print(f"rtwist uses {each * 1e6:>9,.0f} µs of CPU an event: a core is full at {1 / each:,.0f} a second")


def measure(stage: Stage, day: Day, node: RabbitMQ, program: Program, rate: float) -> list[str]:
    """Play the day and report each hour; what clients heard otherwise than they should."""
    pids = {"rtwist": program.process.pid, "RabbitMQ": node.pid, "clients": os.getpid()}
    faults: list[str] = []
    for number, hour in enumerate(day.hours()):
        stage.prepare(hour)
        stage.delivered.clear()
        del stage.latencies[:]
        before = Usage(pids)
        sent = stage.play(rate)
        used = Usage(pids).since(before)
        memory = {name: rss(pid) for name, pid in pids.items()}
        faults += stage.faults(sent)
        if number:
            report(stage, sent, used, memory)
    stage.close()
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=RATE, help="events a second")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-level", default="info", help="of rtwist")
    parser.add_argument("--profile", help="write what cProfile finds in rtwist to this file, which slows it down")
    arguments = parser.parse_args()
    hours = [round(arguments.rate * seconds) for seconds in (WARM_UP, arguments.seconds)]
    day = Day(arguments.seed, clients=arguments.clients, hours=hours)
    profile = ["--profile", arguments.profile, "--profiler", "cprofile", "--savestats"]
    with tempfile.TemporaryDirectory() as temporary, RabbitMQ() as node:
        directory = Path(temporary)
        program, port = service(
            node, directory, profile if arguments.profile else [], ["--log-level", arguments.log_level]
        )
        with program:
            stage = Stage(port, node.url, EXCHANGE, directory)
            faults = measure(stage, day, node, program, arguments.rate)
        log = directory / "log"  # not there when rtwist itself writes the log, to its output
        told = complaints([*program.output, *(log.read_text().splitlines() if log.exists() else ())])
    print(*(faults[:SHOWN] or ["every client heard what it should"]), *told, sep="\n")
    sys.exit(1 if faults or told else 0)


if __name__ == "__main__":
    main()
