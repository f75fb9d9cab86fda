"""What signals do: stop the service, stop it at once, have it read its configuration again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ReactorNotRunning

from rtwist.service import RtwistService


def heed_signals(reactor: Any, service: RtwistService, reload: Callable[[], None]) -> None:
    """Stop `service` in order at the first SIGTERM or SIGINT, at once at the second; `reload` at SIGHUP."""

    def stop() -> None:
        try:
            reactor.stop()
        except ReactorNotRunning:
            service.stop_at_once("a second signal came")

    def heed() -> None:
        # Twisted's own handlers end the process by the same signal once it has stopped, and supervisors take
        # that for a crash: whoever was asked to stop, and did, ends with 0.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: reactor.callFromThread(stop))

    # At once, for it may be told to stop while it starts; and again, for the reactor puts its own in their place.
    heed()
    reactor.callWhenRunning(heed)
    if hasattr(signal, "SIGHUP"):  # Windows has none
        signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reload))
