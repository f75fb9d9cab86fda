"""Token buckets: how much may come in a second, and how much of it at once; pure."""

from __future__ import annotations

import math
from collections import OrderedDict

BURST_SECONDS = 20.0
"""A full bucket holds what comes in so many seconds: pages that load or reconnect do much at once."""

MAX_ADDRESSES = 100_000
"""Addresses whose buckets are remembered, about 30 MB; the one not seen for longest is forgotten first."""


class Bucket:
    """Fills with `rate` tokens a second up to `burst`; without a rate it is never empty. Times in seconds."""

    __slots__ = ("_burst", "_level", "_rate", "_since")

    def __init__(self, rate: float | None, now: float, burst: float | None = None) -> None:
        self._rate = 1.0 if rate is None else rate
        self._burst = math.inf if rate is None else self._rate * BURST_SECONDS if burst is None else burst
        self._level = self._burst
        self._since = now

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens if that many are there."""
        if self.level(now) < cost:
            return False
        self._level -= cost
        return True

    def spend(self, now: float, cost: float) -> float:
        """Take `cost` tokens, on credit if need be; returns the level, below 0 for a debt."""
        self._level = self.level(now) - cost
        return self._level

    def level(self, now: float) -> float:
        """The tokens that are there."""
        self._level = min(self._burst, self._level + (now - self._since) * self._rate)
        self._since = now
        return self._level

    def wait(self, now: float, cost: float = 1.0) -> float:
        """Seconds until `cost` tokens are there."""
        return max(0.0, (cost - self.level(now)) / self._rate)


class Buckets:
    """A bucket for each of many names; those not used for longest are forgotten, and begin full again."""

    __slots__ = ("_buckets", "_max", "_rate")

    def __init__(self, rate: float | None, max_names: int = MAX_ADDRESSES) -> None:
        self._rate = rate
        self._max = max_names
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def of(self, name: str, now: float) -> Bucket:
        """The bucket of `name`."""
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= self._max:
                self._buckets.popitem(last=False)
            bucket = self._buckets[name] = Bucket(self._rate, now)
        else:
            self._buckets.move_to_end(name)
        return bucket


class Budget:
    """What one connection may send: packets and bytes a second, both on credit; None for no limit.

    `passed` names the option that the wait found by `settle` is for.

    The clock is asked only when one of them is used up, so that a packet costs two subtractions. Over any span
    of s seconds no more than twice the burst and s times the rate gets through without a wait.
    """

    __slots__ = ("_byte_rate", "_bytes", "_packet_rate", "_packets", "_since", "passed")

    def __init__(self, packet_rate: float | None, byte_rate: float | None, now: float) -> None:
        self._packet_rate = packet_rate
        self._byte_rate = byte_rate
        self.passed = ""
        self._packets = math.inf if packet_rate is None else packet_rate * BURST_SECONDS
        self._bytes = math.inf if byte_rate is None else byte_rate * BURST_SECONDS
        self._since = now

    def spend(self, packets: float, size: int) -> bool:
        """Count what has come; returns whether `settle` must tell how long to wait."""
        self._packets -= packets
        self._bytes -= size
        return self._packets < 0 or self._bytes < 0

    def settle(self, now: float) -> float:
        """Add what the time since the last call has brought; returns seconds to wait until no debt is left."""
        elapsed, self._since = now - self._since, now
        self._packets, wait = _filled(self._packets, self._packet_rate, elapsed)
        self._bytes, other = _filled(self._bytes, self._byte_rate, elapsed)
        self.passed = "max_packets_per_second" if wait >= other else "max_bytes_per_second"
        return max(0.0, wait, other)


def _filled(level: float, rate: float | None, elapsed: float) -> tuple[float, float]:
    if rate is None:
        return level, 0.0
    level = min(rate * BURST_SECONDS, level + elapsed * rate)
    return level, -level / rate
