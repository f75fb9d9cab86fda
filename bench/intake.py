"""What a consumed message costs: `python bench/intake.py [--messages N] [--rounds N]`.

One RabbitMQ node of its own holds N messages of 180 bytes; each consumer takes them all with a prefetch of 500
and an acknowledgement per 100, in a process of its own. The consumers take turns, several rounds; the table has
the medians. CPU is user and system time of the consumer's process, from the operating system, from its first
delivery to its last.

Exits with 1 unless rtwist takes at least 3 times the messages per second of txAMQP as it is, and at most 1.5
times the CPU per message of pika on Twisted.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pika

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.rabbitmq import RabbitMQ

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
QUEUE = "bench"
BODY = json.dumps({"type": "inventory.updated", "id": "b" * 32, "data": {"productId": "p-1", "quantity": 5}})
BODY = BODY[:-2] + ', "name": "' + "x" * (180 - len(BODY) - 12) + '"}}'
PYTHON_CONSUMERS = ("txamqp", "rtwist", "pika")
MIN_RATE, MAX_CPU = 3.0, 1.5


def fill(port: int, count: int) -> None:
    """Leave `count` messages in the queue, and nothing else."""
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
    channel = connection.channel()
    channel.queue_delete(QUEUE)
    channel.queue_declare(QUEUE, durable=True)
    properties = pika.BasicProperties(content_type="application/json", delivery_mode=1)
    for _ in range(count):
        channel.basic_publish("", QUEUE, BODY.encode(), properties)
    while channel.queue_declare(QUEUE, passive=True).method.message_count < count:
        connection.sleep(0.05)
    connection.close()


def measure(consumer: str, port: int, count: int) -> dict[str, float]:
    """Run one consumer; messages per second and microseconds of CPU per message."""
    fill(port, count)
    if consumer == "amqplib":
        argv = [shutil.which("node") or "node", str(HERE / "consume_amqplib.js")]
    else:
        argv = [sys.executable, str(HERE / "consume.py"), consumer]
    done = subprocess.run(
        [*argv, str(port), str(count)], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise SystemExit(f"{consumer}: {done.stdout}{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"rate": count / result["seconds"], "cpu": result["cpu"] / count * 1e6}


def consumers() -> tuple[str, ...]:
    """All that can be run here: amqplib needs the Node packages of the tests."""
    if (ROOT / "tests/clients/node_modules/amqplib").is_dir():
        return (*PYTHON_CONSUMERS, "amqplib")
    return PYTHON_CONSUMERS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in consumers()}
    with RabbitMQ() as broker:
        for _ in range(arguments.rounds):
            for name, found in results.items():
                found.append(measure(name, broker.port, arguments.messages))
    medians = {
        name: {key: statistics.median(one[key] for one in found) for key in ("rate", "cpu")}
        for name, found in results.items()
    }
    print(
        f"{'consumer':<10} {'messages/s':>11} {'µs CPU/message':>15}   {'rate / txamqp':>13} {'CPU / pika':>11}"
    )
    for name, found in medians.items():
        rate, cpu = found["rate"] / medians["txamqp"]["rate"], found["cpu"] / medians["pika"]["cpu"]
        print(f"{name:<10} {found['rate']:>11,.0f} {found['cpu']:>15.1f}   {rate:>12.1f}x {cpu:>10.2f}x")
    rate = medians["rtwist"]["rate"] / medians["txamqp"]["rate"]
    cpu = medians["rtwist"]["cpu"] / medians["pika"]["cpu"]
    sys.exit(0 if rate >= MIN_RATE and cpu <= MAX_CPU else 1)


if __name__ == "__main__":
    main()
