"""How the end of a transport is told."""

from __future__ import annotations

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.python.failure import Failure

from rtwist.errors import BrokerLost, BrokerUntrusted
from rtwist.intake.amqp.url import BrokerAddress

_UNVERIFIED = "certificate verify failed"


def told(address: BrokerAddress, reason: Failure) -> BrokerLost:
    """Why the connection to `address` is gone; `BrokerUntrusted` when its certificate is not accepted."""
    gone = f"the connection to {address} is gone: "
    error = reason.value
    if isinstance(error, VerificationError):
        return BrokerUntrusted(f"{gone}the broker's certificate is not for {address.host}")
    if not isinstance(error, SSL.Error):
        return BrokerLost(gone + reason.getErrorMessage())
    # OpenSSL's errors are triples: library, function, what happened.
    what = ", ".join(str(each[-1]) for each in (error.args or ((),))[0]) or "TLS failed"
    if _UNVERIFIED in what:
        return BrokerUntrusted(f"{gone}{what}: the broker's certificate is of no authority that is trusted")
    return BrokerLost(gone + what)
