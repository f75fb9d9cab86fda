"""The programs: RabbitMQ, Redis, three rtwist nodes behind HAProxy, and one Node server; a gate at each wire."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

from tests.deploy.proxies import Proxy as Balancer
from tests.intake.brokered import Brokered, Names
from tests.service.servers import granted
from tests.support.clients import require_node_modules
from tests.support.processes import Program, free_port
from tests.support.proxy import Proxy
from tests.support.rabbitmq import RabbitMQ
from tests.support.redis import Redis

FOLDER = Path(__file__).parent
NODES = 3
HEARTBEAT = 4
OPTIONS = (
    "--log-level", "warn", "--rabbitmq-heartbeat", str(HEARTBEAT), "--trusted-proxies", "127.0.0.1",
    "--max-connections-per-address", "0", "--max-connections-per-user", "0", "--max-handshakes-per-second", "0",
    "--max-handshakes-per-second-per-address", "0", "--drain-timeout", "10",
)  # fmt: skip


class Node:
    """An rtwist node that reaches RabbitMQ and Redis through gates of its own."""

    def __init__(self, rabbitmq: RabbitMQ, redis: Redis, names: Names) -> None:
        self.port = free_port()
        self.gates = (Proxy(rabbitmq.port), Proxy(redis.port))
        listen = f"tcp:{self.port}:interface=127.0.0.1:backlog=1000"
        env = {
            "RABBITMQ_URL": f"amqp://guest:guest@127.0.0.1:{self.gates[0].port}/%2f",
            "REDIS_URL": f"redis://127.0.0.1:{self.gates[1].port}",
        }
        options = ("--listen", listen, "--advertise", f"http://127.0.0.1:{self.port}", *OPTIONS)
        self.service = Brokered(rabbitmq, *options, names=names, env=env, port=self.port)
        self.output: list[str] = []
        self._started = False

    async def start(self) -> None:
        """Start it; return once it listens."""
        self._started = True
        await asyncio.to_thread(self.service.start, wait=False)
        await asyncio.to_thread(self.service.program.wait_for_port, self.port)

    @property
    def runs(self) -> bool:
        """Whether there is a process of it."""
        return self._started and not self.service.has_ended()

    async def end(self, how: signal.Signals) -> int:
        """End it by a signal; its exit status."""
        program = self.service.program
        program.process.send_signal(how)
        status = await asyncio.to_thread(program.wait, 40)
        self.output += program.output
        return status

    async def ready(self) -> dict[str, Any]:
        """The body of GET /ready; empty while nobody answers."""
        try:
            return await asyncio.to_thread(self.service.ready)
        except (OSError, ValueError):
            return {}

    async def users(self) -> list[str]:
        """Who is connected, as this node says."""
        answer = await asyncio.to_thread(self.service.service.request, "GET", "/connected-users")
        return list(granted(answer)["users"]) if answer.status == 200 else []

    async def sees(self, user: str) -> bool:
        """Whether this node says that the user is connected."""
        answer = await asyncio.to_thread(self.service.service.request, "GET", f"/user-status/{user}")
        return bool(granted(answer)["isConnected"])


class Cast:
    """All programs but the clients; files go to `folder`."""

    def __init__(self, rabbitmq: RabbitMQ, redis: Redis, folder: Path, *, connections: int) -> None:
        self.rabbitmq, self.redis = rabbitmq, redis
        self.names = Names()
        self.nodes = [Node(rabbitmq, redis, self.names) for _ in range(NODES)]
        self.server_port = free_port()
        self._folder = folder
        self._connections = connections
        self._balancer: Balancer | None = None
        self._server: Program | None = None

    @property
    def port(self) -> int:
        """Where HAProxy listens."""
        assert self._balancer is not None
        return self._balancer.port

    async def start(self) -> None:
        """Start them all."""
        for node in self.nodes:
            for gate in node.gates:
                await gate.accept()
        await asyncio.gather(*(node.start() for node in self.nodes))
        ports = [node.port for node in self.nodes]
        self._balancer = await asyncio.to_thread(
            Balancer, "haproxy", ports, self._folder, sticky=False, connections=self._connections
        )
        await self.start_server()

    async def stop(self) -> None:
        """End those that run."""
        for node in self.nodes:
            if node.runs:
                node.service.program.process.kill()
                await asyncio.to_thread(node.service.program.wait)
        for program in (self._balancer, self._server):
            if program is not None:
                await asyncio.to_thread(program.stop)
        for node in self.nodes:
            for gate in node.gates:
                await gate.__aexit__()

    async def start_server(self) -> None:
        """Start the Node server; return once it is in the cluster."""
        argv = [require_node_modules(), str(FOLDER / "server.js"), self.redis.url, str(self.server_port)]
        self._server = Program(argv)
        await asyncio.to_thread(self._server.wait_for_output, "ready")

    async def restart_server(self) -> None:
        """Stop the Node server, and start it again."""
        assert self._server is not None
        await asyncio.to_thread(self._server.stop)
        await self.start_server()

    async def consumer(self) -> Node:
        """The node that the queue is given to."""
        while True:
            before, _, after = [await self._taken(), await asyncio.sleep(0.5), await self._taken()]
            for node, earlier, later in zip(self.nodes, before, after, strict=True):
                if later > earlier:
                    return node

    async def _taken(self) -> list[int]:
        return [(await node.ready()).get("messages", {}).get("delivered", 0) for node in self.nodes]
