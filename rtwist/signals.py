"""What signals do: stop the service, stop it at once, have it read its configuration again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.error import ReactorNotRunning


class Stoppable(Protocol):
    """What stops in order with the reactor, which may take a while."""

    def stop_at_once(self, why: str) -> None:
        """Wait for nobody any more; does nothing before and after it stops."""


def stop_in_order(reactor: Any) -> None:
    """Have all services stop; does nothing when they do already."""
    with suppress(ReactorNotRunning):
        reactor.stop()


def heed_signals(reactor: Any, service: Stoppable, reload: Callable[[], None]) -> None:
    """Stop `service` in order at the first SIGTERM or SIGINT, at once at the second; `reload` at SIGHUP."""
    stops = 0

    def stop() -> None:
        nonlocal stops
        stops += 1
        stop_in_order(reactor)
        # Signals are counted, for who was told to stop by its parent may get the first of them after that.
        if stops > 1:
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
