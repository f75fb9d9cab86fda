"""The servers under test: started alike, on one core, with their log in a file, against the same broker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import MappingProxyType

import jwt
import pika

from bench.versus.machine import Cores, Process
from tests.support.processes import START_SECONDS, Program, free_port
from tests.support.rabbitmq import RabbitMQ
from tests.support.service import API_KEY, JWT_SECRET, TWISTD

PEERS = Path(__file__).resolve().parents[1] / "peers"
NODE = PEERS / "node"
RTWIST, NODE_NAME, PYTHON_SOCKETIO = NAMES = ("rtwist", "node", "python-socketio")
QUEUES = ("websocket.events", "websocket.events.dead")

LIMITS_LIFTED = (
    "--max-connections-per-address", "0",
    "--max-handshakes-per-second-per-address", "0",
    "--max-handshakes-per-second", "0",
)  # fmt: skip
"""All clients of a load test come from one address, and all at once. Everything else is at its default."""


@dataclass(frozen=True)
class Server:
    """A running server: its name, where it listens, and its process."""

    name: str
    port: int
    process: Process


def token(user: str) -> str:
    """A token as each server takes it: a user with a company and a shop of its own, so three rooms."""
    claims = {"userId": user, "companyId": f"c-{user}", "shopIds": [f"s-{user}"]}
    return jwt.encode({**claims, "exp": int(time.time()) + 7200}, JWT_SECRET, algorithm="HS256")


@contextmanager
def running(name: str, cores: Cores, broker: RabbitMQ, directory: Path, log_level: str) -> Iterator[Server]:
    """That server, once it consumes; its queues are gone afterwards."""
    with started(name, broker, directory / f"{name}.log", log_level, pinned=cores.pinned) as server:
        yield server
    delete_queues(broker)


@contextmanager
def started(
    name: str,
    broker: RabbitMQ,
    log: Path,
    log_level: str,
    *,
    pinned: Callable[[list[str]], list[str]] = list,
    environment: Mapping[str, str] = MappingProxyType({}),
    options: Sequence[str] = (),
) -> Iterator[Server]:
    """That server, once it consumes, killed afterwards; `options` are those of rtwist, besides the usual ones."""
    port = free_port()
    log.unlink(missing_ok=True)
    usual = {
        "PORT": str(port),
        "JWT_SECRET": JWT_SECRET,
        "API_KEY": API_KEY,
        "RABBITMQ_URL": broker.url,
        "LOG_FILE": str(log),
        "LOG_LEVEL": log_level,
        "NODE_ENV": "production",
    }
    argv = pinned([*_argv(name, port, log, log_level), *options])
    with Program(argv, env={**usual, **environment}) as program:
        try:
            program.wait_for_port(port)
            if name == RTWIST:
                _wait_until_it_consumes(port)
            else:
                program.wait_for_output("ready")
            yield Server(name, port, Process(program.process.pid))
        finally:
            program.process.kill()  # nobody asks how fast it stops


def _argv(name: str, port: int, log: Path, log_level: str) -> list[str]:
    if name == NODE_NAME:
        return [node(), "--expose-gc", str(NODE / "service.js")]
    if name == PYTHON_SOCKETIO:
        return [sys.executable, str(PEERS / "python_socketio" / "service.py")]
    level = () if log_level == "info" else ("--log-level", log_level)
    listen = ("--listen", f"tcp:{port}:interface=127.0.0.1")
    twistd = [sys.executable, "-c", TWISTD, "-n", "--pidfile=", f"--logfile={log}"]
    return [*twistd, "rtwist", *listen, *LIMITS_LIFTED, *level]


def _wait_until_it_consumes(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
                if json.load(answer)["broker"] == "connected":
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("rtwist does not consume")


def delete_queues(broker: RabbitMQ) -> None:
    """Have the next server begin with empty queues."""
    with pika.BlockingConnection(pika.URLParameters(broker.url)) as connection:
        channel = connection.channel()
        for queue in QUEUES:
            channel.queue_delete(queue)


def node() -> str:
    """The Node program; SystemExit without one."""
    found = shutil.which("node")
    if not found:
        raise SystemExit("Node.js is not installed: install it, or leave out its service with --servers")
    return found


def install_node_packages() -> None:
    """Install what the Node service needs, unless it is there."""
    lock, installed = NODE / "package-lock.json", NODE / "node_modules" / ".installed"
    if installed.is_file() and installed.read_text() == lock.read_text():
        return
    npm = shutil.which("npm")
    if not npm:
        raise SystemExit("npm is not installed: install it, or leave out the Node service with --servers")
    print("installing the packages of the Node service", flush=True)
    argv = [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    subprocess.run(argv, cwd=NODE, check=True)
    installed.write_text(lock.read_text())


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """What is compared with what."""
    found = {"Python": sys.version.split()[0]}
    for package in ("rtwist", "Twisted", "autobahn", "msgspec"):
        found[package] = metadata.version(package)
    if PYTHON_SOCKETIO in names:
        for package in ("python-socketio", "uvicorn", "uvloop", "aio-pika"):
            found[package] = metadata.version(package)
    if NODE_NAME in names:
        output = subprocess.run([node(), "--version"], capture_output=True, text=True, check=True).stdout
        found["Node.js"] = output.strip()
        for package in json.loads((NODE / "package.json").read_text())["dependencies"]:
            manifest = NODE / "node_modules" / package / "package.json"
            found[package] = json.loads(manifest.read_text())["version"]
    return found
