"""The service on a broker of the tests: started with names of its own, fed by pika, looked at from outside."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pika

from tests.service.peers import Client
from tests.service.servers import ANYWHERE, KEYS, TWISTD, Service, complaints, twistd
from tests.support.processes import ROOT, Program
from tests.support.rabbitmq import RabbitMQ

_numbers = itertools.count(1)


def until(condition: Callable[[], Any], seconds: float = 20.0, *, says: Callable[[], Any] = str) -> Any:
    """What `condition` returns once that is true; AssertionError with what `says` returns after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"did not happen in time: {says()}"
        time.sleep(0.02)
    return found


def order(number: int | str = 1, user: str = "u1", **more: Any) -> dict[str, Any]:
    """An order of one user, without a company, so that it causes one emission."""
    return {"orderId": f"o{number}", "userId": user, **more}


def site_with_rules(folder: Path, source: str) -> dict[str, str]:
    """Install a package in `folder` whose module is `source`, with its RULES; the environment that finds it."""
    package = folder / "site" / "own_rules-1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: own-rules\nVersion: 1\n")
    (package / "entry_points.txt").write_text("[rtwist.rules]\nown = own_rules:RULES\n")
    (folder / "site" / "own_rules.py").write_text(source)
    return {"PYTHONPATH": f"{ROOT}:{folder / 'site'}"}


class Names:
    """Names on the broker that no other test uses."""

    def __init__(self) -> None:
        prefix = f"t{os.getpid()}-{next(_numbers)}"
        self.exchange, self.queue = f"{prefix}.events", f"{prefix}.queue"
        self.dlx, self.dead = f"{prefix}.dlx", f"{prefix}.dead"

    @property
    def env(self) -> dict[str, str]:
        return {
            "RTWIST_RABBITMQ_EXCHANGE": self.exchange,
            "RTWIST_RABBITMQ_QUEUE": self.queue,
            "RTWIST_RABBITMQ_DEAD_LETTER_EXCHANGE": self.dlx,
            "RTWIST_RABBITMQ_DEAD_LETTER_QUEUE": self.dead,
        }


class Brokered:
    """`twistd rtwist` on `node`; as a context manager it is started, consumes, and is stopped.

    `port` is where the options have it listen, if its log is not to tell.
    """

    launcher: Sequence[str] = (TWISTD,)

    def __init__(
        self,
        node: RabbitMQ,
        *options: str,
        names: Names | None = None,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.node = node
        self._port = port
        self.names = Names() if names is None else names
        self.env = {**KEYS, "RABBITMQ_URL": node.url, **self.names.env, **(env or {})}
        self._options = options if "--listen" in options else ("--listen", ANYWHERE, *options)
        self._program: Program | None = None
        self._service: Service | None = None
        self._pika: pika.BlockingConnection | None = None
        self._channel: Any = None

    @property
    def program(self) -> Program:
        assert self._program is not None
        return self._program

    @property
    def service(self) -> Service:
        assert self._service is not None
        return self._service

    def start(self, *, wait: bool = True) -> None:
        """Start it; `wait` until it consumes."""
        self._program = twistd(*self._options, env=self.env, launcher=self.launcher)
        self._service = Service(self._program, self._port)
        if wait:
            try:
                self.wait_for_broker()
            except BaseException:
                self.stop()
                raise

    def wait_for_broker(self, seconds: float = 20.0) -> None:
        """Return once it consumes."""
        until(lambda: self.ready()["broker"] == "connected", seconds, says=self.ready)

    def stop(self) -> int:
        """Stop it as its supervisor would; its exit status."""
        self.service.close_clients()
        status = self.program.stop()
        self._service = None
        return status

    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self.program.process.poll() is not None

    def join(self, user: str = "u1") -> Client:
        return self.service.join(user)

    def ready(self) -> dict[str, Any]:
        """The body of GET /ready."""
        body: dict[str, Any] = self.service.request("GET", "/ready").json()
        return body

    def counts(self) -> dict[str, Any]:
        """What became of messages so far."""
        found: dict[str, Any] = self.ready()["messages"]
        return found

    def wait_for_counts(self, **expected: Any) -> None:
        """Return once these counts are reached."""
        until(lambda: expected.items() <= self.counts().items())

    # The other side

    @property
    def channel(self) -> Any:
        """A channel of pika's, kept."""
        if self._channel is None or not self._channel.is_open:
            self._pika = pika.BlockingConnection(pika.URLParameters(self.node.url))
            self._channel = self._pika.channel()
        return self._channel

    def forget_channel(self) -> None:
        """Open another one next time: the node was killed."""
        self._channel = self._pika = None

    def publish(
        self, body: Any, key: str = "order.shipped", exchange: str | None = None, **properties: Any
    ) -> None:
        """Publish a message as another service does; what is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        where = self.names.exchange if exchange is None else exchange
        made = pika.BasicProperties(**{"delivery_mode": 2, **properties})
        self.channel.basic_publish(where, key, content, made, mandatory=False)

    def queued(self, queue: str | None = None) -> int:
        """How many messages are ready in a queue, its own unless named."""
        return int(self.channel.queue_declare(queue or self.names.queue, passive=True).method.message_count)

    def dead(self) -> list[tuple[Any, Any, bytes]]:
        """Take out all dead letters: how each was delivered, its properties and body."""
        found = []
        while (got := self.channel.basic_get(self.names.dead, auto_ack=True))[0] is not None:
            found.append(got)
        return found

    def wait_for_dead(self, count: int = 1) -> list[tuple[Any, Any, bytes]]:
        """The dead letters once there are `count`, taken out."""
        until(lambda: self.queued(self.names.dead) >= count)
        return self.dead()

    def tool(self, *arguments: str) -> tuple[int, str]:
        """Run `python -m rtwist` with the environment of the service: exit status and output."""
        return self.python("-m", "rtwist", *arguments)

    def python(self, *arguments: str) -> tuple[int, str]:
        """Run Python with the environment of the service: exit status and output."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **self.env}, text=True, timeout=30,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def __enter__(self) -> Brokered:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._service is not None:
            self.stop()
        if self._pika is not None and self._pika.is_open:
            self._pika.close()
        if not any(exc):
            assert complaints(self.program.output) == [], "\n".join(self.program.output)
