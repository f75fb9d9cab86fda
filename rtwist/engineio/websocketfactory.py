"""What makes WebSocket transports, by options that may change."""

from __future__ import annotations

from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.interfaces import IReactorTime

from rtwist.engineio.admission import Admission
from rtwist.engineio.buckets import Budget
from rtwist.engineio.opening import Silent, configured
from rtwist.engineio.options import Options
from rtwist.engineio.outflow import Outflow
from rtwist.engineio.websocket import WebSocketTransport


class WebSocketFactory(WebSocketServerFactory):  # type: ignore[misc]
    """Makes WebSocket transports; holds no rules but the limits Autobahn must keep."""

    protocol = WebSocketTransport
    log = Silent()

    def __init__(self, options: Options, clock: IReactorTime, admission: Admission, outflow: Outflow) -> None:
        super().__init__(server=None, reactor=clock)
        self.admission = admission
        self.clock = clock
        self.outflow = outflow
        self.reconfigure(options)

    def reconfigure(self, options: Options) -> None:
        """Go by `options` from now on; what Autobahn must keep holds for the connections to come."""
        self.options = options
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            utf8validateIncoming=False,
            maxFramePayloadSize=options.max_payload,
            maxMessagePayloadSize=options.max_payload,
            failByDrop=False,
            echoCloseCodeReason=True,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            tcpNoDelay=True,
            autoPingInterval=0,
            autoPingTimeout=0,
            allowedOrigins=["*"],
            allowNullOrigin=True,
        )
        self._configured = configured(WebSocketTransport, self)

    def buildProtocol(self, addr: object) -> WebSocketTransport:
        """A transport for one connection."""
        options = self.options
        budget = Budget(options.max_packets_per_second, options.max_bytes_per_second, self.clock.seconds())
        made: WebSocketTransport = self._configured(self, budget)
        return made
