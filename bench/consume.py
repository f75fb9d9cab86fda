"""One consumer of bench/intake.py: `python bench/consume.py txamqp|rtwist|pika PORT MESSAGES`."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.task import react

QUEUE = "bench"
PREFETCH = 500
ACK_EVERY = 100


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Meter:
    """Counts messages, acknowledges every 100th and the last, and measures from the first to the last."""

    def __init__(self, count: int, ack: Callable[[int], object]) -> None:
        self.done: Deferred[None] = Deferred()
        self._ack = ack
        self._count = count
        self._seen = 0

    def message(self, tag: int, body: bytes | str) -> None:
        if not self._seen:
            self._started, self._cpu = time.monotonic(), cpu_seconds()
        self._seen += 1
        if len(body) != 180:
            raise ValueError(body)
        if not self._seen % ACK_EVERY or self._seen == self._count:
            self._ack(tag)
        if self._seen == self._count:
            print(json.dumps({"seconds": time.monotonic() - self._started, "cpu": cpu_seconds() - self._cpu}))
            self.done.callback(None)


async def run_rtwist(reactor: Any, port: int, count: int) -> None:
    from rtwist.intake.amqp import BrokerAddress, BrokerEndpoint, BrokerFactory

    endpoint = BrokerEndpoint(reactor, [BrokerAddress(host="127.0.0.1", port=port)])
    connection = await endpoint.connect(BrokerFactory(clock=reactor))
    await connection.qos(PREFETCH)
    meter = Meter(count, lambda tag: connection.ack(tag, True))
    await connection.consume(QUEUE, lambda found: meter.message(found.tag, found.body), on_cancelled=print)
    await meter.done
    await connection.close()


async def run_txamqp(reactor: Any, port: int, count: int) -> None:
    """txAMQP as it is, but for the specification file that it lacks."""
    from txamqp.factory import AMQFactory

    import rtwist.intake.amqp

    specification = Path(rtwist.intake.amqp.__file__).parent / "amqp0-9-1.xml"
    factory = AMQFactory(spec=str(specification), clock=reactor)
    factory.set_heartbeat(20)
    client = await HostnameEndpoint(reactor, "127.0.0.1", port).connect(factory)
    await client.authenticate("guest", "guest", "PLAIN")
    channel = await client.channel(1)
    await channel.channel_open()
    await channel.basic_qos(prefetch_count=PREFETCH)
    await channel.basic_consume(queue=QUEUE, consumer_tag="bench")
    queue = await client.queue("bench")
    meter = Meter(count, lambda tag: channel.basic_ack(tag, True))
    for _ in range(count):
        message = await queue.get()
        meter.message(message.delivery_tag, message.content.body)
    await client.close(within=5)


async def run_pika(reactor: Any, port: int, count: int) -> None:
    import pika
    from pika.adapters.twisted_connection import TwistedProtocolConnection

    protocol = TwistedProtocolConnection(pika.ConnectionParameters("127.0.0.1", port, heartbeat=20))
    connection: Any = await connectProtocol(HostnameEndpoint(reactor, "127.0.0.1", port), protocol)
    await connection.ready
    channel = await connection.channel()
    await channel.basic_qos(prefetch_count=PREFETCH)
    meter = Meter(count, lambda tag: channel.basic_ack(tag, True))
    queue, _tag = await channel.basic_consume(QUEUE)
    for _ in range(count):
        _channel, method, _properties, body = await queue.get()
        meter.message(method.delivery_tag, body)
    await connection.close()


RUNS = {"rtwist": run_rtwist, "txamqp": run_txamqp, "pika": run_pika}

if __name__ == "__main__":
    name, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    react(lambda reactor: ensureDeferred(RUNS[name](reactor, port, count)))
