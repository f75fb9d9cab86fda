"""A RabbitMQ node for tests: on loopback, on ports of its own, its files in one directory, ended by its pid."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.processes import Program, free_port

# Debian's /usr/sbin/rabbitmq-server changes user and directory; the scripts below it do not.
_SCRIPTS = ("/usr/lib/rabbitmq/bin", "/opt/rabbitmq/sbin")
_START_SECONDS = 60.0
_CTL_SECONDS = 60.0


def _script(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join([*_SCRIPTS, os.environ.get("PATH", "")]))
    assert found, f"{name} is not installed: install RabbitMQ (the `rabbitmq-server` package)"
    return found


def _epmd() -> str:
    found = shutil.which("epmd")
    assert found, "epmd is not on PATH: it comes with Erlang (the `erlang-base` package)"
    return found


class RabbitMQ:
    """One node. `port` speaks AMQP, `tls_port` AMQP over TLS with a certificate for localhost by `authority`.

    The user is guest with password guest. `settings` are lines of rabbitmq.conf.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="rtwist-rabbit-"))
        self.port, self.tls_port, self._dist_port, self._epmd_port = (free_port() for _ in range(4))
        self.authority = Authority()
        self.ca_file = self.directory / "ca.pem"
        self.ca_file.write_bytes(self.authority.certificate_pem)
        self._write_files(settings or {})
        self._env = self._environment()
        self._epmd: Program | None = None
        self._node: Program | None = None

    def _write_files(self, settings: Mapping[str, str]) -> None:
        pair = self.authority.issue("localhost", "127.0.0.1")
        (self.directory / "server.pem").write_bytes(pair.certificate_pem)
        (self.directory / "server.key").write_bytes(pair.key_pem)
        (self.directory / "enabled_plugins").write_text("[].\n")
        lines = {
            "listeners.tcp.default": f"127.0.0.1:{self.port}",
            "listeners.ssl.default": f"127.0.0.1:{self.tls_port}",
            "ssl_options.cacertfile": str(self.ca_file),
            "ssl_options.certfile": str(self.directory / "server.pem"),
            "ssl_options.keyfile": str(self.directory / "server.key"),
            "ssl_options.verify": "verify_none",
            "disk_free_limit.absolute": "1MB",
            "log.console": "true",
            "log.console.level": "warning",
            "log.file": "false",
            **settings,
        }
        text = "".join(f"{name} = {value}\n" for name, value in lines.items())
        (self.directory / "rabbitmq.conf").write_text(text)

    def _environment(self) -> dict[str, str]:
        home = str(self.directory)
        return {
            "HOME": home,
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"rtwist{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": f"{home}/mnesia",
            "RABBITMQ_LOG_BASE": f"{home}/log",
            "RABBITMQ_CONFIG_FILE": f"{home}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": f"{home}/none",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{home}/none.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{home}/enabled_plugins",
            "RABBITMQ_GENERATED_CONFIG_DIR": f"{home}/generated",
            "RABBITMQ_PID_FILE": f"{home}/pid",
            # The script then becomes the Erlang machine instead of its parent, so that the pid is the node's.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CTL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "LANG": "C.UTF-8",
        }

    @property
    def url(self) -> str:
        """How to log in, as an AMQP URL."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2f"

    @property
    def tls_url(self) -> str:
        """The same over TLS."""
        return f"amqps://guest:guest@localhost:{self.tls_port}/%2f"

    @property
    def pid(self) -> int:
        """The process id of the running node."""
        assert self._node is not None
        return self._node.process.pid

    def start(self) -> None:
        """Start the node and wait until it serves."""
        if self._epmd is None:
            argv = [_epmd(), "-port", str(self._epmd_port), "-address", "127.0.0.1"]
            self._epmd = Program(argv, env=self._env, cwd=self.directory)
            self._epmd.wait_for_port(self._epmd_port)
        self._node = Program([_script("rabbitmq-server")], env=self._env, cwd=self.directory)
        self._node.wait_for_output("completed with", _START_SECONDS)
        self._node.wait_for_port(self.port, _START_SECONDS)

    def kill(self) -> None:
        """End the node as a power cut would (SIGKILL)."""
        self.signal(signal.SIGKILL)
        assert self._node is not None
        self._node.wait()

    def shut_down(self) -> None:
        """End the node as its operator would (SIGTERM); it can be started again."""
        self.signal(signal.SIGTERM)
        assert self._node is not None
        self._node.wait(_START_SECONDS)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the node: SIGSTOP hangs it, SIGCONT wakes it up."""
        os.kill(self.pid, number)

    def stop(self) -> None:
        """End the node and what belongs to it, and remove its files."""
        for program in (self._node, self._epmd):
            if program is not None and program.process.poll() is None:
                program.process.send_signal(signal.SIGCONT)
                program.process.kill()
                program.wait()
        self._node = self._epmd = None
        shutil.rmtree(self.directory, ignore_errors=True)

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl on this node; its output."""
        return self._run([_script("rabbitmqctl"), "--quiet", *arguments])

    def queues(self) -> dict[str, int]:
        """How many messages each queue of the virtual host "/" holds, taken or not."""
        rows = (line.split("\t") for line in self.ctl("list_queues", "name", "messages").splitlines())
        return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}

    def _run(self, argv: Sequence[str]) -> str:
        done = subprocess.run(
            argv, env={**os.environ, **self._env}, cwd=self.directory, check=False, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_CTL_SECONDS,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def __enter__(self) -> RabbitMQ:
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
    with RabbitMQ() as broker, suppress(KeyboardInterrupt):
        print(broker.url, broker.tls_url, broker.ca_file, flush=True)  # noqa: T201
        signal.pause()
