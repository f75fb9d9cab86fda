"""What the operating system says of a process and of the machine, and which cores serve what (Linux)."""

from __future__ import annotations

import os
import platform
import resource
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 300.0
"""Seconds in which a server must be done with what it was given."""

_START = "import os, sys; os.sched_setaffinity(0, {%s}); os.execvp(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True)
class Cores:
    """The core of the server under test, and those of the generator and the broker."""

    server: int
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first core that may be used for the server; SystemExit where there is but one."""
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise SystemExit("the benchmark needs two cores: one for the server, one for the load generator")
        return cls(usable[0], frozenset(usable[1:]))

    def take_others(self) -> None:
        """Keep this process, and what it starts from now on, away from the server's core."""
        os.sched_setaffinity(0, self.others)

    def pinned(self, argv: list[str]) -> list[str]:
        """`argv`, to be run on the server's core alone."""
        return [sys.executable, "-c", _START % self.server, *argv]


@dataclass(frozen=True)
class Usage:
    """Seconds used so far: CPU of the process, of it in user mode, and by the clock."""

    cpu: float
    user: float
    clock: float


class Process:
    """A running process and its children, from outside."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu(self) -> float:
        """Seconds of CPU, user and system, of all threads and children, to the nanosecond."""
        return sum(time.clock_gettime(_cpu_clock(pid)) for pid in self._family())

    def usage(self) -> Usage:
        user = sum(int(_stat(pid)[11]) for pid in self._family()) / TICKS
        return Usage(self.cpu(), user, time.monotonic())

    def resident(self) -> int:
        """Bytes of resident memory."""
        return PAGE * sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self._family())

    def open_files(self) -> int:
        """Of it and its children."""
        return sum(1 for pid in self._family() for _ in Path(f"/proc/{pid}/fd").iterdir())

    def pause(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def rest(self) -> None:
        """Return once it uses less than a tenth of a core: heartbeats go on. TimeoutError if it stays busy."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(0.2)
            if self.cpu() - before < 0.02:
                return
        raise TimeoutError(f"process {self.pid} is still busy after {PATIENCE:.0f} seconds")

    def _family(self) -> list[int]:
        found = [self.pid]
        for pid in found:
            found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found


def _cpu_clock(pid: int) -> int:
    # clock_getcpuclockid(3), as Linux composes it.
    return ~pid << 3 | 2


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def idle_seconds(cores: frozenset[int]) -> float:
    """How long these cores have had nothing to do so far, added up."""
    lines = (line.split() for line in Path("/proc/stat").read_text().splitlines())
    names = {f"cpu{core}" for core in cores}
    return sum((int(line[4]) + int(line[5])) / TICKS for line in lines if line[0] in names)


def raise_file_limit(least: int) -> None:
    """Let this process and its children open as many files as they may; SystemExit if that is below `least`."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < least:
        raise SystemExit(f"{least} open files are needed, {hard} are allowed: raise `ulimit -Hn`")


def description() -> dict[str, str]:
    """The machine, in words."""
    cpu = next(
        (line.split(":")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.machine(),
    )
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    return {
        "processor": f"{cpu.strip()}, {os.cpu_count()} cores",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
    }
