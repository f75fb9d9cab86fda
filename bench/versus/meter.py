"""What something costs the server, and whether the generator kept up with it."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.versus.machine import Cores, Process, idle_seconds

MICRO = 1e6
Figures = dict[str, float]


class Meter:
    """Measures one server process, this process, and how idle the cores beside the server's were."""

    def __init__(self, process: Process, cores: Cores) -> None:
        self._process = process
        self._cores = cores

    def measure(self, action: Callable[[], int]) -> Figures:
        """Run `action`, which returns how many units of work it was; CPU is in microseconds for each."""
        before, own, idle = self._process.usage(), time.process_time(), idle_seconds(self._cores.others)
        units = action()
        after = self._process.usage()
        own, idle = time.process_time() - own, idle_seconds(self._cores.others) - idle
        seconds, cpu = after.clock - before.clock, after.cpu - before.cpu
        return {
            "cpu": cpu / units * MICRO,
            "user": min((after.user - before.user) / cpu, 1.0),
            "rate": units / seconds,
            "busy": cpu / seconds,
            "generator cpu": own / units * MICRO,
            "generator busy": own / seconds,
            "generator cores idle": idle / seconds / len(self._cores.others),
            "units": units,
            "seconds": seconds,
        }
