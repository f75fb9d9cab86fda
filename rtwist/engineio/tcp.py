"""What the kernel is asked to do for a TCP connection."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import ISSLTransport


def limit_unread(transport: Any, seconds: float) -> None:
    """Have the kernel end the connection when the peer takes no data for `seconds`, where it can (Linux)."""
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    under = getattr(transport, "transport", transport) if ISSLTransport.providedBy(transport) else transport
    handle = getattr(under, "socket", None)
    # Not by the interface: Twisted's UNIX sockets say that they are TCP's.
    if option is not None and handle is not None and handle.family in (socket.AF_INET, socket.AF_INET6):
        handle.setsockopt(socket.IPPROTO_TCP, option, min(round(seconds * 1000), 2**31 - 1))
