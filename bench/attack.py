"""What quiet clients notice of an attack: `python bench/attack.py [--clients N] [--seconds S] [--rounds N]`.

A thousand quiet clients hear a few events a second. One process at full speed attacks the service in one way
after another, each time after a span of quiet in the same run; the table has the time from publishing to arrival
at the quiet clients, without the attack and with it, the events they missed, and the service's memory.

Exits with 1 when a quiet client missed an event or lost its connection, or when memory grew beyond `--max-rss`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rtwist.auth.token import mint
from tests.support.processes import ROOT
from tests.support.service import JWT_SECRET, Service

HERE = Path(__file__).resolve().parent
KINDS = (
    "events", "tiny frames", "pings", "joins", "connects", "handshakes", "websocket handshakes", "slow headers",
    "never read",
)  # fmt: skip
SETTLE_SECONDS = 1.0
HEAD = "attack                 p50 ms     with   p99 ms     with  ratio missed  lost  RSS MB"


def token(user: str, company: str = "quiet") -> str:
    """A token for a member of the company that the events are for."""
    return mint(JWT_SECRET, user=user, company=company, now=time.time())


class Quiet:
    """The quiet clients, in a process of their own."""

    def __init__(self, port: int, count: int) -> None:
        argv = [sys.executable, str(HERE / "listeners.py"), str(port)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for start in range(0, count, 100):
            self._ask({"connect": [token(f"q{number}") for number in range(start, min(start + 100, count))]})

    def report(self) -> dict[str, Any]:
        """What came since the last one."""
        return self._ask({"report": True})

    def _ask(self, command: Any) -> dict[str, Any]:
        writer, reader = self._process.stdin, self._process.stdout
        if writer is None or reader is None:
            raise RuntimeError("the quiet clients have no pipes")
        writer.write(json.dumps(command) + "\n")
        writer.flush()
        answer: dict[str, Any] = json.loads(reader.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


class Publisher:
    """Emits to the company a few times a second until it is stopped."""

    def __init__(self, service: Service, rate: float) -> None:
        self._service = service
        self._rate = rate
        self._ended = threading.Event()
        self.sent = self.failed = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(1 / self._rate):
            body = {"to": {"company": "quiet"}, "event": "news", "data": {"sent": time.time()}}
            try:
                status, _ = self._service.request("POST", "/emit", body)
            except OSError:  # it did not answer in ten seconds
                status = 0
            self.sent += 1
            self.failed += status != 200

    def stop(self) -> None:
        """Send no more."""
        self._ended.set()
        self._thread.join()


def rss(service: Service) -> float:
    """The service's resident memory in megabytes."""
    status = Path(f"/proc/{service.program.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def span(service: Service, quiet: Quiet, rate: float, seconds: float, kind: str | None) -> dict[str, Any]:
    """Publish for a while, under an attack or without one; what the quiet clients saw of it."""
    quiet.report()
    argv = [sys.executable, str(HERE / "attackers.py"), str(kind), str(service.port)]
    attacker = None
    if kind is not None:
        argv += [str(seconds + SETTLE_SECONDS), token("attacker")]
        attacker = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        time.sleep(SETTLE_SECONDS)
    publisher = Publisher(service, rate)
    time.sleep(seconds)
    highest = rss(service)
    publisher.stop()
    told = json.loads(attacker.communicate()[0]) if attacker is not None else {}
    time.sleep(SETTLE_SECONDS)
    found = quiet.report()
    missed = publisher.sent - found["events"][0]
    return {**found, **told, "missed": missed, "failed": publisher.failed, "rss": max(highest, rss(service))}


def run(arguments: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """Every attack in every round; under `quiet` what each had before it."""
    results: dict[str, list[dict[str, Any]]] = {}
    options = ["--max-connections-per-address", "5000"] if arguments.limits else []
    with Service("--log-level", "warn", *options) as service:
        quiet = Quiet(service.port, arguments.clients)
        try:
            for number in range(arguments.rounds):
                for kind in arguments.kinds:
                    print(f"round {number + 1} of {arguments.rounds}: {kind}", file=sys.stderr, flush=True)
                    before = span(service, quiet, arguments.rate, arguments.seconds, None)
                    during = span(service, quiet, arguments.rate, arguments.seconds, kind)
                    results.setdefault(kind, []).append({"before": before, "during": during})
        finally:
            quiet.close()
    return results


def median(found: list[dict[str, Any]], when: str, name: str) -> float:
    """The median over the rounds, in milliseconds."""
    return statistics.median(one[when].get(name, float("nan")) for one in found) * 1000


def row(kind: str, found: list[dict[str, Any]]) -> str:
    """One line of the table."""
    p50, p99 = ((median(found, "before", name), median(found, "during", name)) for name in ("p50", "p99"))
    missed = sum(one["during"]["missed"] for one in found)
    lost = sum(one["during"]["lost"] for one in found)
    highest = max(one["during"]["rss"] for one in found)
    return (
        f"{kind:<21} {p50[0]:>7.1f} {p50[1]:>8.1f} {p99[0]:>8.1f} {p99[1]:>8.1f} {p99[1] / p99[0]:>5.1f}x "
        f"{missed:>6} {lost:>5} {highest:>7.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=5.0, help="events a second")
    parser.add_argument("--max-rss", type=float, default=600.0, help="megabytes")
    parser.add_argument("--kinds", nargs="*", default=KINDS, choices=KINDS)
    parser.add_argument("--no-limits", dest="limits", action="store_false")
    arguments = parser.parse_args()
    results = run(arguments)
    print(HEAD)
    for kind, found in results.items():
        print(row(kind, found))
        for one in found:
            print(f"    {one['during']['through']:,} through, {one['during']['thrown_out']:,} thrown out")
    spans = [one["during"] for found in results.values() for one in found]
    bad = any(one["missed"] or one["lost"] or one["rss"] > arguments.max_rss for one in spans)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
