"""rtwist beside its peers on this machine: `python -m bench.versus [--quick] [--rounds N]`.

Starts rtwist, the same service on Node and the same on python-socketio, one after another, round by round, and
gives each the same work from one load generator, with one RabbitMQ. The server has one core to itself. Writes the
report, pictures and raw results.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.versus import floor, servers
from bench.versus.catalogue import WORKS
from bench.versus.choosing import FILES, ROOT, chosen
from bench.versus.dialogues import Refused
from bench.versus.machine import Cores, description, raise_file_limit
from bench.versus.publisher import Publisher
from bench.versus.report import Report
from bench.versus.results import Result, Results
from bench.versus.stage import FULL, QUICK, Scale, Stage
from bench.versus.works import PARTS
from tests.support.rabbitmq import RabbitMQ


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.versus", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="small numbers and one round, in three minutes")
    parser.add_argument("--rounds", type=int, help="5, or 1 with --quick")
    parser.add_argument("--works", default="", help="only these, with commas")
    parser.add_argument("--servers", default="", help="only these, with commas")
    parser.add_argument("--log-level", default="info", help="of all servers")
    parser.add_argument(
        "--output", type=Path, help="folder of the report: docs/benchmarks, or .bench with --quick"
    )
    return parser.parse_args()


def rounds(
    options: argparse.Namespace, names: tuple[str, ...], wanted: tuple[str, ...], cores: Cores, scale: Scale
) -> Iterator[Result | str]:
    """Every result as soon as it is there, or what went wrong. The servers take turns with each part."""
    with RabbitMQ() as broker, tempfile.TemporaryDirectory() as directory:
        for number in range(1, options.rounds + 1):
            yield Result("send", "floor", number, floor.measure(cores, scale.fan_seconds))
            for finds, part in PARTS.items():
                for name in names if set(finds) & set(wanted) else ():
                    try:
                        with servers.running(name, cores, broker, Path(directory), options.log_level) as server:
                            stage = Stage(server, Publisher(broker.port), cores, scale)
                            for work, figures in part(stage):
                                if work in wanted:
                                    yield Result(work, name, number, figures)
                            stage.publisher.close()
                    except (Refused, OSError, AssertionError) as error:
                        yield f"round {number}, {name}, {' or '.join(finds)}: {error!r}"
                    gc.collect()


def main() -> None:
    options = arguments()
    names = chosen(options.servers, servers.NAMES, "server")
    works = chosen(options.works, tuple(work.name for work in WORKS), "work")
    options.rounds = options.rounds or (1 if options.quick else 5)
    scale = QUICK if options.quick else FULL
    raise_file_limit(FILES)
    cores = Cores.of_this_machine()
    cores.take_others()
    if servers.NODE_NAME in names:
        servers.install_node_packages()
    gc.disable()
    results = Results(description(), servers.versions(names), scale, options.log_level)
    started = time.monotonic()
    for found in rounds(options, names, works, cores, scale):
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
