"""What the operating system says of a process."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.versus.machine import Cores, Process

BURN = (
    "import os, sys, time; [os.stat('/') for _ in range(100_000)]; "  # in user mode and in the system
    "print(time.process_time(), flush=True); sys.stdin.read()"
)


def test_the_cpu_of_a_process_is_what_it_says_itself() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        said = float(child.stdout.readline())
        usage = Process(child.pid).usage()
        child.communicate()
    assert said > 0
    assert usage.cpu >= said
    assert usage.user <= usage.cpu + 0.05


def test_children_count() -> None:
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        said = float(parent.stdout.readline())
        assert Process(parent.pid).cpu() > said
        assert Process(parent.pid).resident() > Process(os.getpid()).resident() / 100
        parent.communicate()


def test_a_server_runs_on_its_core_alone() -> None:
    cores = Cores(min(os.sched_getaffinity(0)), frozenset())
    script = "import os; print(os.sched_getaffinity(0))"
    done = subprocess.run(
        cores.pinned([sys.executable, "-c", script]), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str({cores.server})
