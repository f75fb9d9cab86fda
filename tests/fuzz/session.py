"""A long session: `python -m tests.fuzz.session [--seconds N] [--packets N] [TARGET ...]`, or `make fuzz`.

Each target runs in turn, guided by the code it reaches; then generated packets go through the parsers of
JavaScript and of rtwist. Inputs that reached new code stay in `.fuzz/TARGET` for the next session, and inputs
that broke a promise are printed as lines for the files of seeds. The exit status is 1 when there were any.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import differential
from tests.fuzz.corpus import literal, seeds
from tests.fuzz.targets import TARGETS
from tests.fuzz.tokens import TOKENS
from tests.support.processes import ROOT

WORK = ROOT / ".fuzz"
LIMITS = ("-max_len=4096", "-timeout=20", "-rss_limit_mb=1500", "-print_final_stats=1")
"""Bytes of an input, seconds and megabytes that one may take: far above what any needs here."""
HEAD = f"{'target':<20}{'executions':>12}{'per s':>9}{'points':>16}{'features':>16}{'inputs':>14}  findings"


@dataclass(frozen=True)
class Outcome:
    """What one target's run came to: counts before and after, and the inputs that broke a promise."""

    executions: int
    rate: int
    points: tuple[int, int]
    features: tuple[int, int]
    inputs: tuple[int, int]
    findings: Sequence[bytes]
    output: str

    @property
    def failed(self) -> bool:
        return bool(self.findings) or not self.executions

    def row(self, target: str) -> str:
        """One line of the table."""
        grown = "".join(f"{f'{old} -> {new}':>{width}}" for (old, new), width in
                        ((self.points, 16), (self.features, 16), (self.inputs, 14)))  # fmt: skip
        return f"{target:<20}{self.executions:>12}{self.rate:>9}{grown}  {len(self.findings)}"


def prepare(target: str) -> Path:
    """The folder of a target's inputs, with its seeds in it and its words beside it."""
    folder = WORK / target
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds(target):
        name = hashlib.sha1(seed, usedforsecurity=False).hexdigest()  # as libFuzzer names them
        (folder / name).write_bytes(seed)
    words = ('"' + "".join(f"\\x{octet:02x}" for octet in token) + '"\n' for token in TOKENS[target])
    (WORK / f"{target}.words").write_text("".join(words))
    return folder


def run(target: str, seconds: int) -> Outcome:
    """Fuzz one target."""
    folder = prepare(target)
    artifacts = WORK / f"{target}-"
    for old in WORK.glob(f"{target}-*"):
        old.unlink()
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.fuzz.guided", target, str(folder), *LIMITS,
            f"-max_total_time={seconds}", f"-artifact_prefix={artifacts}", f"-dict={WORK / target}.words",
        ],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
    )  # fmt: skip
    found = [path.read_bytes() for path in sorted(WORK.glob(f"{target}-*"))]
    return outcome(done.stdout, found, failed=done.returncode != 0)


def outcome(output: str, findings: Sequence[bytes], *, failed: bool = False) -> Outcome:
    """Read what libFuzzer printed; a run that failed and left no input counts as none."""
    status = re.findall(r"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)", output, re.MULTILINE)
    if not status or (failed and not findings):
        return Outcome(0, 0, (0, 0), (0, 0), (0, 0), findings, output)
    _, *first = map(int, status[0])
    _, *last = map(int, status[-1])
    executions = re.search(r"stat::number_of_executed_units: (\d+)", output)
    rate = re.search(r"stat::average_exec_per_sec:\s+(\d+)", output)
    points, features, inputs = zip(first, last, strict=True)
    total = int(executions[1]) if executions else int(status[-1][0])
    return Outcome(total, int(rate[1]) if rate else 0, points, features, inputs, findings, output)


def fuzz(targets: Sequence[str], seconds: int) -> bool:
    """Fuzz the targets in turn, `seconds` in total; whether every promise was kept."""
    kept, total = True, 0
    print(HEAD, flush=True)
    for target in targets:
        result = run(target, max(1, seconds // len(targets)))
        total += result.executions
        print(result.row(target), flush=True)
        if result.failed:
            kept = False
            print(result.output[-4000:])
            for finding in result.findings:
                print(f"add to tests/fuzz/corpus/{target}.txt:\n{literal(finding)}", flush=True)
    print(f"{'in total':<20}{total:>12}")
    return kept


def main() -> None:
    """Read the options, run, tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300, help="for all targets together (default: 300)")
    parser.add_argument(
        "--packets", type=int, default=1_000_000, help="for the JavaScript parsers (default: 1000000)"
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    arguments = parser.parse_args()
    if unknown := set(arguments.targets) - set(TARGETS):
        parser.error(f"no target: {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("fuzzing guided by coverage needs atheris, which is there for CPython 3.11 to 3.13 on Linux")
    kept = fuzz(arguments.targets or list(TARGETS), arguments.seconds)
    if arguments.packets:
        kept = differential.report(arguments.packets) and kept
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
