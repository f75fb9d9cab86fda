"""A hundred thousand clients of every kind come and go: `python bench/soak.py [--connects N] [--crowd N]`.

Prints what the server holds at rest after each tenth; fails when something of a client is left.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.leaks.cycles import Crowd
from tests.support.processes import Program

ROUNDS = 10
SLACK_BLOCKS = 2000
HEAD = " connects  per s  RSS MB   blocks  objects  fds timers living"


def row(connects: int, seconds: float, state: dict[str, Any]) -> str:
    """One line of the table; `living` counts sessions, clients, sockets, rooms and tasks."""
    living = state["living"]
    alive = sum(living[name] for name in ("sessions", "clients", "sockets", "tasks")) + len(living["rooms"])
    rate = connects / seconds if seconds else 0
    return (
        f"{connects:>9} {rate:>6.0f} {state['rss'] / 1e6:>7.1f} {state['blocks']:>8} {state['tracked']:>8} "
        f"{living['files']:>4} {len(living['timers']):>6} {alive:>6}"
    )


async def soak(crowd: Crowd, connects: int) -> list[str]:
    """Run all connects; what went wrong."""
    started = time.monotonic()
    before = state = await crowd.calm_state()
    states = [before]
    print(HEAD, row(0, 0.0, before), sep="\n", flush=True)
    for number in range(1, ROUNDS + 1):
        await crowd.run(connects // ROUNDS)
        state = await crowd.calm_state()
        states.append(state)
        print(row(number * connects // ROUNDS, time.monotonic() - started, state), flush=True)
    faults = [*crowd.faults(state["reasons"])[:20], *state["complaints"]]
    if state["living"] != before["living"]:
        faults.append(f"left: {state['living']}, before: {before['living']}")
    if state["blocks"] - states[2]["blocks"] > SLACK_BLOCKS:
        faults.append(f"memory grew by {state['blocks'] - states[2]['blocks']} blocks since the second tenth")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connects", type=int, default=100_000)
    parser.add_argument("--crowd", type=int, default=160, help="how many clients at a time")
    arguments = parser.parse_args()
    with Program([sys.executable, "-m", "tests.leaks.server"]) as server:
        port = int(server.wait_for_output("listening on").rsplit(":", 1)[1])
        faults = asyncio.run(soak(Crowd(port, arguments.crowd), arguments.connects))
    print(*(faults or ["nothing is left"]), sep="\n")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
