"""A long session: `python -m tests.isolation.session [--seconds N] [--first]`, or `make isolation`.

Each round has fresh dice. Prints after each how many stories and steps there were; a failing story is made as
short as it can be, and printed as a program. The exit status is 1 when there was one.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter

from hypothesis import Phase, settings

from tests.isolation.machine import SETTINGS, tell

ROUND = 200
"""Stories between two lines of the report."""


def main() -> int:
    """Tell stories until the time is over, or one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--first", action="store_true", help="do not shorten a story that fails")
    arguments = parser.parse_args()
    phases = [Phase.generate] if arguments.first else [Phase.generate, Phase.shrink]
    chosen = settings(SETTINGS, max_examples=ROUND, database=None, phases=phases, report_multiple_bugs=False)
    totals: Counter[str] = Counter()
    started, end, failed = time.monotonic(), time.monotonic() + arguments.seconds, False
    while not failed and time.monotonic() < end:
        open_rooms = totals["rounds"] % 4 != 3
        totals["rounds"] += 1
        try:
            tell(totals, chosen, open_rooms=open_rooms)
        except Exception:
            traceback.print_exc()
            failed = True
        seconds = time.monotonic() - started
        print(f"examples {totals['examples']}, steps {totals['steps']}, {seconds:.0f} s", flush=True)
    heard = {name: count for name, count in sorted(totals.items()) if name not in ("rounds", "examples", "steps")}
    print(*(f"{count:>9} {name}" for name, count in heard.items()), sep="\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
