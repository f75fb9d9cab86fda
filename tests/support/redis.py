"""Redis for tests: on loopback, on ports of its own, its files in one directory, ended by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.processes import Program, free_port

_START_SECONDS = 30.0
_FAILOVER_SECONDS = 60.0


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not installed: install Redis (the `redis-server` package)"
    return found


class Redis:
    """One server. `port` speaks plain, `tls_port` TLS with a certificate for localhost; `path` is a UNIX socket.

    `settings` are lines of redis.conf, such as `{"requirepass": "secret"}` or `{"user": "u on >pw ~* &* +@all"}`.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rtwist-redis-"))
        self.port, self.tls_port = free_port(), free_port()
        self.path = self.directory / "redis.sock"
        self.settings = dict(settings or {})
        self.authority = Authority()
        self.ca_file = self.directory / "ca.pem"
        self.ca_file.write_bytes(self.authority.certificate_pem)
        self._node: Program | None = None
        self._write_files()

    def _write_files(self) -> None:
        pair = self.authority.issue("localhost")
        (self.directory / "server.pem").write_bytes(pair.certificate_pem)
        (self.directory / "server.key").write_bytes(pair.key_pem)
        lines = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "tls-port": str(self.tls_port),
            "tls-cert-file": str(self.directory / "server.pem"),
            "tls-key-file": str(self.directory / "server.key"),
            "tls-ca-cert-file": str(self.ca_file),
            "tls-auth-clients": "no",
            "unixsocket": str(self.path),
            "dir": str(self.directory),
            "save": '""',
            "appendonly": "yes",
            "repl-diskless-sync-delay": "0",
            **self.settings,
        }
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        (self.directory / "redis.conf").write_text(text)

    @property
    def url(self) -> str:
        """How to reach it without a password."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """The same over TLS."""
        return f"rediss://localhost:{self.tls_port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._node is not None
        return self._node.process.pid

    def start(self) -> None:
        """Start the server and wait until it serves; on the same ports and files as before."""
        self._node = Program([_program("redis-server"), str(self.directory / "redis.conf")], cwd=self.directory)
        self._node.wait_for_output("eady to accept connections", _START_SECONDS)
        self._node.wait_for_port(self.port, _START_SECONDS)

    def kill(self) -> None:
        """End the server as a power cut would (SIGKILL)."""
        self.signal(signal.SIGKILL)
        assert self._node is not None
        self._node.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server: SIGSTOP hangs it, SIGCONT wakes it up."""
        os.kill(self.pid, number)

    def stop(self) -> None:
        """End the server and remove its files."""
        if self._node is not None and self._node.process.poll() is None:
            self.signal(signal.SIGCONT)
            self._node.process.kill()
            self._node.wait()
        self._node = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def cli(self, *arguments: str, port: int | None = None) -> str:
        """Run redis-cli on this server; its output."""
        argv = [_program("redis-cli"), "-p", str(port or self.port), *arguments]
        return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE, timeout=30).stdout.strip()

    def clients(self, name: str = "") -> list[dict[str, str]]:
        """The connections of clients that named themselves `name`, or of all; see CLIENT LIST."""
        rows = [
            dict(pair.partition("=")[::2] for pair in line.split())
            for line in self.cli("CLIENT", "LIST").splitlines()
        ]
        return [row for row in rows if not name or row.get("name") == name]

    def __enter__(self) -> Redis:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


class SentinelSet:
    """A master, a replica and three Sentinels that watch them as `service`; a dead master is replaced soon."""

    service = "rtwist-master"

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.master = Redis(settings)
        self.replica = Redis({**(settings or {}), "replicaof": f"127.0.0.1 {self.master.port}"})
        self.ports = [free_port() for _ in range(3)]
        self.directory = Path(tempfile.mkdtemp(prefix="rtwist-sentinel-"))
        self._sentinels: list[Program] = []

    @property
    def url(self) -> str:
        """How to reach the master through the Sentinels."""
        return f"redis+sentinel://{','.join(f'127.0.0.1:{port}' for port in self.ports)}/{self.service}"

    def start(self) -> None:
        """Start all, and wait until the Sentinels know each other and the replica."""
        self.master.start()
        self.replica.start()
        for port in self.ports:
            self._start_sentinel(port)
        deadline = time.monotonic() + _FAILOVER_SECONDS
        while not all(self._is_ready(port) for port in self.ports):
            assert time.monotonic() < deadline, "the Sentinels do not find each other"
            time.sleep(0.1)

    def _start_sentinel(self, port: int) -> None:
        directory = self.directory / str(port)
        directory.mkdir()
        path = directory / "sentinel.conf"
        path.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {self.service} 127.0.0.1 {self.master.port} 2\n"
            f"sentinel down-after-milliseconds {self.service} 1000\n"
            f"sentinel failover-timeout {self.service} 5000\n"
        )
        program = Program([_program("redis-server"), str(path), "--sentinel"], cwd=directory)
        self._sentinels.append(program)
        program.wait_for_port(port)

    def _is_ready(self, port: int) -> bool:
        rows = self.master.cli("SENTINEL", "MASTER", self.service, port=port).splitlines()
        found = dict(zip(rows[::2], rows[1::2], strict=False))
        return (found.get("num-slaves"), found.get("num-other-sentinels"), found.get("flags")) == (
            "1",
            "2",
            "master",
        )

    def stop(self) -> None:
        """End all and remove their files."""
        for program in self._sentinels:
            program.process.kill()
            program.wait()
        self.master.stop()
        self.replica.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> SentinelSet:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with Redis() as server, suppress(KeyboardInterrupt):
        print(server.url, server.tls_url, server.ca_file, flush=True)  # noqa: T201
        signal.pause()
