"""What clients that never read cost: `python bench/slow_consumers.py [--readers N] [--silent N] [--rounds N]`.

A service of its own, in a process of its own. First only readers are connected, and one announcement of 1 MB goes
to all of them before any reads. Then as many that never read join, half by WebSocket and half by polling. Each
round publishes 20 announcements of 1 KB to everybody, and waits until every reader has them. CPU is user and
system time of the service per message delivered to a reader; memory is its resident set, at its peak in each
part; all from the operating system.

Exits with 1 unless all that never read are cut, cost until then about the CPU of as many readers and afterwards
next to nothing, and the large one takes less than 100 KB of memory for each reader.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rtwist.auth.token import mint
from tests.support.service import API_KEY, JWT_SECRET, Service
from tests.support.wire import HttpClient, WebSocketClient

BATCH, BODY, LARGE = 20, "x" * 1000, "x" * 1_000_000
MAX_MORE_CPU, MAX_BYTES_EACH = 1.25, 100_000
WEBSOCKET, POLLING = (f"/socket.io/?EIO=4&transport={name}" for name in ("websocket", "polling"))
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Part:
    """What one part has cost: microseconds of CPU for each message that was read, and bytes of memory."""

    name: str
    cpu: float
    peak: int


def connect_packet() -> str:
    token = mint(JWT_SECRET, user="u1", now=time.time())
    return "40" + json.dumps({"token": token})


def websocket(port: int) -> socket.socket:
    """A connected Socket.IO client over WebSocket that has read what came so far."""
    client = WebSocketClient.open(port, WEBSOCKET, (), seconds=30)
    client.read_text()
    client.send_text(connect_packet())
    while '"connected"' not in client.read_text():
        pass
    return client.sock


def silent_websocket(port: int) -> socket.socket:
    sock = websocket(port)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return sock


def silent_poller(port: int) -> socket.socket:
    """A client that has sent a poll and will not read the answer."""
    client = HttpClient(port, 30)
    sid = json.loads(client.request("GET", POLLING).text[1:])["sid"]
    client.request("POST", f"{POLLING}&sid={sid}", body=connect_packet().encode())
    client.request("GET", f"{POLLING}&sid={sid}")
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.send_request("GET", f"{POLLING}&sid={sid}")
    return client.sock


class Bench:
    """The service and the readers."""

    def __init__(self, service: Service, readers: int) -> None:
        self.service = service
        self.pid = service.program.process.pid
        self.http = HttpClient(service.port, 60)
        self.readers = [websocket(service.port) for _ in range(readers)]
        self.selector = selectors.DefaultSelector()
        for reader in self.readers:
            reader.setblocking(False)
            self.selector.register(reader, selectors.EVENT_READ)

    def publish(self, *texts: str) -> None:
        events = [{"type": "announcement.new", "data": {"title": "t", "content": text}} for text in texts]
        body = json.dumps(events).encode()
        answer = self.http.request("POST", "/events", [("X-API-Key", API_KEY)], body)
        if answer.status != 200:
            raise SystemExit(f"not published: {answer}")

    def read(self, count: int, text: str) -> None:
        """Return once every reader has got `count` more announcements of `text`."""
        missing = dict.fromkeys(self.readers, count * len(text))
        while missing:
            for key, _ in self.selector.select():
                reader = cast(socket.socket, key.fileobj)
                got = reader.recv(1_000_000).count(b"x")
                if reader in missing:
                    missing[reader] -= got
                    if missing[reader] <= 0:
                        del missing[reader]

    def cpu(self) -> float:
        """Seconds of CPU the service has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self, name: str) -> int:
        """Bytes, of what /proc calls `name`."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def run(self, name: str, rounds: int) -> Part:
        self.forget_peak()
        before = self.cpu()
        for _ in range(rounds):
            self.publish(*[BODY] * BATCH)
            self.read(BATCH, BODY)
        used = self.cpu() - before
        return Part(name, used / (rounds * BATCH * len(self.readers)) * 1e6, self.memory("VmHWM"))

    def slow(self) -> dict[str, Any]:
        """What the service says of slow clients."""
        ready: dict[str, Any] = self.http.request("GET", "/ready").json()
        return dict(ready["clients"])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--silent", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=300)
    chosen = parser.parse_args()
    with Service("--max-payload", "2000000", "--max-buffered", "2000000", "--ping-interval", "600") as service:
        bench = Bench(service, chosen.readers)
        bench.run("warm-up", 20)
        parts = [bench.run("readers only", chosen.rounds)]
        bench.forget_peak()
        resident = bench.memory("VmRSS")
        bench.publish(LARGE)
        peak = bench.memory("VmHWM")
        bench.read(1, LARGE)
        silent = [silent_websocket(service.port) for _ in range(chosen.silent // 2)]
        silent += [silent_poller(service.port) for _ in range(chosen.silent - len(silent))]
        parts.append(bench.run(f"and {chosen.silent} that never read", chosen.rounds))
        clients = bench.slow()
        print("never read:", clients)
        parts.append(bench.run("after those were cut", chosen.rounds))
        for sock in silent:
            sock.close()
    for part in parts:
        print(f"{part.name:30} {part.cpu:8.2f} us CPU per message read {part.peak / 1e6:8.1f} MB at the peak")
    each = (peak - resident) / chosen.readers
    print(f"memory of 1 MB for each of {chosen.readers}: {each / 1000:.1f} KB")
    alone, beside, after = (part.cpu for part in parts[:3])
    dear = max(beside / (1 + chosen.silent / chosen.readers), after) > alone * MAX_MORE_CPU
    return int(dear or clients["cut"]["max_buffered"] != chosen.silent or each > MAX_BYTES_EACH)


if __name__ == "__main__":
    sys.exit(main())
