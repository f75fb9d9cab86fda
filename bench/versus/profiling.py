"""Where rtwist's time goes in each work: `python -m bench.versus.profiling [--quick] [--works a,b]`.

py-spy looks at the service 500 times a second while a work is measured; nothing else is measured then, for being
looked at costs time. What the operating system does in a call counts for the function that makes the call.
"""

from __future__ import annotations

import argparse
import gc
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from bench.versus import rst, servers
from bench.versus.catalogue import TITLES
from bench.versus.choosing import FILES, ROOT, chosen
from bench.versus.machine import PATIENCE, Cores, raise_file_limit
from bench.versus.meter import Figures
from bench.versus.publisher import Publisher
from bench.versus.stage import FULL, QUICK, Stage
from bench.versus.works import PARTS
from tests.support.rabbitmq import RabbitMQ

RATE = 500
TOP = 14
WORKS = ("fanout", "burst", "one-user", "offered", "connect", "polling", "no-audience")
PACKAGES = ("rtwist", "twisted", "autobahn", "jwt", "zope", "msgspec", "txamqp")
"""Whatever is in none of them is Python's own library."""


_WAITING = re.compile(r"(Condition\.)?wait \(threading")


class Profile(NamedTuple):
    """Samples by function and by package, of `total`."""

    functions: Counter[str]
    packages: Counter[str]
    total: int


def read_profile(text: str) -> Profile:
    """A profile in py-spy's raw format: lines of frames, outermost first, and how often they were seen."""
    functions: Counter[str] = Counter()
    packages: Counter[str] = Counter()
    for line in text.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        if any(_WAITING.match(frame) for frame in frames):
            continue
        function = frames[-1].rpartition(":")[0]
        if not function:  # of a look that came in the middle of a change
            continue
        functions[f"{function})"] += int(count)
        file = function.partition("(")[2]
        packages[next((name for name in PACKAGES if f"{name}/" in file), "Python")] += int(count)
    return Profile(functions, packages, functions.total())


class Watched(Stage):
    """A stage whose measuring is looked at: `profile` is that of the last."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.profile = Profile(Counter(), Counter(), 0)
        self._measure, self.measure = self.measure, self._watch

    def _watch(self, action: Callable[[], int]) -> Figures:
        with tempfile.TemporaryDirectory() as directory:
            found = Path(directory) / "raw"
            pid = self.server.process.pid
            argv = [
                "py-spy",
                "record",
                "--pid",
                str(pid),
                "--rate",
                str(RATE),
                "--format",
                "raw",
                "--output",
                found,
            ]
            # A service that stands still until it may take a full queue cannot be stopped for a look.
            argv += ["--nonblocking", "--duration", "600"]
            with subprocess.Popen(list(map(str, argv)), stdout=subprocess.DEVNULL) as spy:
                time.sleep(1)  # py-spy does not say when it has begun
                figures = self._measure(action)
                spy.send_signal(signal.SIGINT)
                spy.wait(PATIENCE)
            self.profile = read_profile(found.read_text())
        return figures


def profiles(works: tuple[str, ...], quick: bool) -> Iterator[tuple[str, Profile]]:
    """The profile of each work."""
    cores = Cores.of_this_machine()
    cores.take_others()
    with RabbitMQ() as broker, tempfile.TemporaryDirectory() as directory:
        for finds, part in PARTS.items():
            if not set(finds) & set(works):
                continue
            with servers.running(servers.RTWIST, cores, broker, Path(directory), "info") as server:
                stage = Watched(server, Publisher(broker.port), cores, QUICK if quick else FULL)
                for work, _ in part(stage):
                    if work in works:
                        yield work, stage.profile
                stage.publisher.close()


def page(found: dict[str, Profile], quick: bool) -> str:
    """The page of the profiles."""
    scale = QUICK if quick else FULL
    lines = [rst.heading("Where the time goes", "="), rst.paragraph((__doc__ or "").partition("\n\n")[2])]
    for work, profile in found.items():
        lines.append(rst.heading(_sentence(TITLES[work].format(scale=scale))))
        shares = [f"{name} {count / profile.total:.0%}" for name, count in profile.packages.most_common()]
        lines.append(rst.paragraph(f"{profile.total:,} samples: {', '.join(shares)}."))
        rows = [
            (f"{count / profile.total:.1%}", f"``{name}``") for name, count in profile.functions.most_common(TOP)
        ]
        lines.append(rst.table(("own time", "function"), rows, (1, 7)))
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="bench.versus.profiling", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="small numbers")
    parser.add_argument("--works", default="", help=f"only these, with commas: {', '.join(WORKS)}")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/benchmarks/profiles.rst")
    options = parser.parse_args()
    raise_file_limit(FILES)
    gc.disable()
    found = dict(profiles(chosen(options.works, WORKS, "work"), options.quick))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(page(found, options.quick))
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
