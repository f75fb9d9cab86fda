"""A Socket.IO v5 server for Twisted, with the vocabulary of the Node server in Python spelling.

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from rtwist.socketio import Options, Server

io = Server(reactor, Options(cors_origins="*"))

@io.on("connection")
def connected(socket):
    @socket.on("chat")
    def chat(text, ack=None):
        socket.broadcast.emit("chat", text)
        if ack is not None:
            ack("sent")

serverFromString(reactor, "tcp:3000").listen(io.site())
reactor.run()
"""

from rtwist.engineio.options import Cookie
from rtwist.socketio.broadcast import BroadcastOperator
from rtwist.socketio.errors import AckLost, AckTimeout, ConnectionRefused, ConnectLater
from rtwist.socketio.namespace import Namespace
from rtwist.socketio.options import Options
from rtwist.socketio.server import Server
from rtwist.socketio.socket import Handshake, Socket

__all__ = [
    "AckLost",
    "AckTimeout",
    "BroadcastOperator",
    "ConnectLater",
    "ConnectionRefused",
    "Cookie",
    "Handshake",
    "Namespace",
    "Options",
    "Server",
    "Socket",
]
