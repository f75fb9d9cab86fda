"""`twistd`, which on SIGUSR2 prints the timers that its reactor holds, as one line of JSON."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from typing import Any

MARK = "timers held: "
PASSING = "Lines._end_wait"
"""The timer of a log line, which lasts a moment."""


def tell() -> None:
    from twisted.internet import reactor

    calls: Any = reactor.getDelayedCalls()  # type: ignore[attr-defined]
    held = Counter(getattr(call.func, "__qualname__", repr(call.func)) for call in calls)
    del held[PASSING]
    print(MARK + json.dumps(held, sort_keys=True), flush=True)  # noqa: T201


def asked(*_: object) -> None:
    from twisted.internet import reactor

    reactor.callFromThread(tell)  # type: ignore[attr-defined] # the handler may interrupt the writing of a log line


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, asked)
    sys.argv[0] = "twistd"
    from twisted.scripts.twistd import run

    run()
