"""Clusters over Redis on this machine: `python -m bench.cluster [--quick] [--rounds N]`.

Starts two nodes of rtwist, then two of the same service on Node with the same adapter, and one node without
Redis, round by round, and gives each the same work from one load generator. Writes the report and raw results.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.cluster.nodes import Ground, running
from bench.cluster.primitives import kernel_bytes, redis_costs
from bench.cluster.report import Report
from bench.cluster.scene import Scene
from bench.cluster.works import ACTS, FULL, QUICK, Act
from bench.versus import servers
from bench.versus.choosing import FILES, ROOT, chosen
from bench.versus.dialogues import Refused
from bench.versus.machine import Cores, description, raise_file_limit
from bench.versus.publisher import Publisher
from bench.versus.results import Result, Results
from bench.versus.stage import Scale
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis

NAMES = (servers.RTWIST, servers.NODE_NAME)
IN_MEMORY = {"appendonly": "no"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.cluster", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="small numbers and one round")
    parser.add_argument("--rounds", type=int, help="5, or 1 with --quick")
    parser.add_argument("--layouts", default="", help=f"only these, with commas: {', '.join(ACTS)}")
    parser.add_argument("--servers", default="", help="only these, with commas")
    parser.add_argument("--log-level", default="info", help="of all servers")
    parser.add_argument(
        "--output", type=Path, help="folder of the report: docs/benchmarks, or .bench with --quick"
    )
    return parser.parse_args()


def rounds(
    ground: Ground, names: tuple[str, ...], layouts: tuple[str, ...], count: int, scale: Scale
) -> Iterator[Result | str]:
    """Every result as soon as it is there, or what went wrong. The servers take turns with each layout."""
    for number in range(1, count + 1):
        for layout in layouts:
            act = ACTS[layout]
            for name in (name for name in act.servers if name in names):
                try:
                    for work, figures in acted(act, name, ground, scale):
                        yield Result(f"{layout}-{work}", name, number, figures)
                except (Refused, OSError, AssertionError) as error:
                    yield f"round {number}, {name}, {layout}: {error!r}"
                gc.collect()


def acted(act: Act, name: str, ground: Ground, scale: Scale) -> Iterator[tuple[str, dict[str, float]]]:
    """What one layout of one server costs."""
    with running(name, act.layout, ground) as nodes:
        publisher = Publisher(ground.broker.port)
        scene = Scene(nodes, ground.redis, publisher, ground.cores, scale)
        yield from act.part(scene)
        scene.crowd.close(scene.crowd.everybody())
        publisher.close()


def primitives(redis: Redis, scale: Scale) -> Iterator[Result]:
    """What Redis and the kernel take."""
    yield Result("kernel", "kernel", 1, {"bytes": kernel_bytes()})
    for number in range(1, 4):
        for nodes, cost in redis_costs(redis, scale.drained // 4):
            yield Result(f"publish-{nodes}", "redis", number, {"redis cpu": cost})


def measured(options: argparse.Namespace, results: Results) -> Iterator[Result | str]:
    """All that was asked for."""
    names = chosen(options.servers, NAMES, "server")
    layouts = chosen(options.layouts, tuple(ACTS), "layout")
    cores = Cores.of_this_machine()
    cores.take_others()
    if servers.NODE_NAME in names:
        servers.install_node_packages()
    with RabbitMQ() as broker, Redis(IN_MEMORY) as redis, tempfile.TemporaryDirectory() as directory:
        yield from primitives(redis, results.scale)
        ground = Ground(cores, broker, redis, Path(directory), options.log_level)
        yield from rounds(ground, names, layouts, options.rounds, results.scale)


def main() -> None:
    options = arguments()
    options.rounds = options.rounds or (1 if options.quick else 5)
    raise_file_limit(FILES)
    gc.disable()
    scale = QUICK if options.quick else FULL
    results = Results(description(), servers.versions(NAMES), scale, options.log_level)
    started = time.monotonic()
    for found in measured(options, results):
        if isinstance(found, Result):
            results.all.append(found)
        else:
            results.failures.append(found)
        print(f"{time.monotonic() - started:6.0f} s  {found}", flush=True)
    folder = options.output or ROOT / (".bench" if options.quick else "docs/benchmarks")
    report = Report(results)
    report.write(folder)
    print("", report.summary(), "", f"written to {folder}", sep="\n")


if __name__ == "__main__":
    main()
