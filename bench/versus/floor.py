"""The least that a delivery can cost: a bare loop that sends the same frame to every client, and nothing else."""

from __future__ import annotations

import socket
import sys
import time

from bench.versus import wire
from bench.versus.crowd import Crowd
from bench.versus.dialogues import Client
from bench.versus.machine import Cores, Process
from bench.versus.meter import Meter
from tests.support.processes import Program, free_port

CLIENTS = 1_000
PAYLOAD = (
    b'42["inventory:stock_changed",{"productId":"p-1000","productName":"Wireless headphones, black",'
    b'"quantity":100001,"timestamp":"2026-01-05T08:30:00.000Z"}]'
)
_LOOP = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024)
print("listening", flush=True)
control = listener.accept()[0]
sends = [listener.accept()[0].send for _ in range(int(sys.argv[2]))]
frame = bytes.fromhex(sys.argv[3])
while control.recv(1):
    for send in sends:
        send(frame)
"""


def measure(cores: Cores, seconds: float) -> dict[str, float]:
    """What each `send` costs on the server's core, and receiving it costs the generator."""
    port = free_port()
    frame = b"\x81\x7e" + len(PAYLOAD).to_bytes(2, "big") + PAYLOAD
    with Program(cores.pinned([sys.executable, "-c", _LOOP, str(port), str(CLIENTS), frame.hex()])) as program:
        program.wait_for_output("listening")
        control = socket.create_connection(("127.0.0.1", port))
        crowd = Crowd()
        crowd.adopt(Client(wire.opened(port)) for _ in range(CLIENTS))

        def send(seconds: float) -> int:
            deadline, sent = time.monotonic() + seconds, 0
            while time.monotonic() < deadline:
                control.send(b".")
                crowd.expect(CLIENTS)
                sent += CLIENTS
            return sent

        send(seconds / 4)
        figures = Meter(Process(program.process.pid), cores).measure(lambda: send(seconds))
        crowd.close(crowd.everybody())
        control.close()
    return figures
