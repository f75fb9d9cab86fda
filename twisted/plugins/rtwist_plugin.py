"""Makes `twistd rtwist` known to Twisted."""

from twisted.application.service import ServiceMaker

rtwist = ServiceMaker(
    "rtwist", "rtwist.tap", "Real-time event server: domain events in, socket.io-client browsers out", "rtwist"
)
