"""What something costs the server, and whether the generator kept up with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from bench.versus.machine import Cores, Usage, idle_seconds

MICRO = 1e6
Figures = dict[str, float]


class Used(Protocol):
    """What uses CPU: a process, or several."""

    def usage(self) -> Usage:
        """What it has used so far."""


class Meter:
    """Measures one server process, this process, and how idle the cores beside the server's were."""

    def __init__(self, process: Used, cores: Cores) -> None:
        self._process = process
        self._cores = cores

    def measure(self, action: Callable[[], int]) -> Figures:
        """Run `action`, which returns how many units of work it was; CPU is in microseconds for each."""
        before, own, idle, left = self._process.usage(), time.process_time(), self._idle(), self._left()
        units = action()
        after = self._process.usage()
        own, idle, left = time.process_time() - own, self._idle() - idle, self._left() - left
        seconds, cpu = after.clock - before.clock, after.cpu - before.cpu
        return {
            "cpu": cpu / units * MICRO,
            "user": min((after.user - before.user) / cpu, 1.0),
            "rate": units / seconds,
            "busy": cpu / seconds,
            "generator cpu": own / units * MICRO,
            "generator busy": own / seconds,
            "generator cores idle": idle / seconds / len(self._cores.others),
            "foreign": max(0.0, 1.0 - (cpu + left) / seconds),
            "units": units,
            "seconds": seconds,
        }

    def _idle(self) -> float:
        return idle_seconds(self._cores.others)

    def _left(self) -> float:
        """Seconds in which the server's core had nothing to do."""
        return idle_seconds(frozenset([self._cores.server]))
