"""How the end of a transport is told."""

from __future__ import annotations

from twisted.python.failure import Failure

from rtwist.authorities import why_ended
from rtwist.errors import BrokerLost, BrokerUntrusted
from rtwist.intake.amqp.url import BrokerAddress


def told(address: BrokerAddress, reason: Failure) -> BrokerLost:
    """Why the connection to `address` is gone; `BrokerUntrusted` when its certificate is not accepted."""
    why, untrusted = why_ended(reason, "the broker's", address.host)
    return (BrokerUntrusted if untrusted else BrokerLost)(f"the connection to {address} is gone: {why}")
