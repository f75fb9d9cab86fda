"""Engine.IO v4 on Twisted: one session over HTTP long-polling and WebSocket, with nothing above it.

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from rtwist.engineio import Options, Server, Site, message

class Echo:
    def __init__(self, session):
        self.session = session

    def message(self, data):
        self.session.send([message(data)])

    def closed(self, reason, description):
        pass

server = Server(reactor, Options(), Echo)
serverFromString(reactor, "tcp:3000").listen(Site(server))
reactor.run()
"""

from rtwist.engineio.options import Cookie, Options
from rtwist.engineio.packet import Packet, PacketType, message
from rtwist.engineio.request import Handshake
from rtwist.engineio.server import Server
from rtwist.engineio.session import Listener, Session
from rtwist.engineio.site import Site

__all__ = [
    "Cookie",
    "Handshake",
    "Listener",
    "Options",
    "Packet",
    "PacketType",
    "Server",
    "Session",
    "Site",
    "message",
]
