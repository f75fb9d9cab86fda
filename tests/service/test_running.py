"""The service as a process: how it starts, what it says, and how it stops."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.peers import SOCKET_IO, Client, token
from tests.service.servers import ANYWHERE, KEYS, TWISTD, Service, complaints, granted, twistd
from tests.support.processes import ROOT, START_SECONDS, Program, free_port
from tests.support.wire import HttpClient

POLLING = "/socket.io/?EIO=4&transport=polling"


def shell(command: str, **env: str) -> str:
    """What a command of the banner prints when it is pasted into a terminal."""
    done = subprocess.run(  # noqa: S602 - that is the point
        command,
        shell=True,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **env},
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout.strip()


class TestDevelopmentMode:
    @pytest.fixture(scope="class")
    @classmethod
    def service(cls) -> Iterator[Service]:
        port = free_port()
        with twistd("--dev", "--listen", f"tcp:{port}:interface=127.0.0.1", env={}) as program:
            program.wait_for_output("-m rtwist token")
            yield Service(program, port)
        assert complaints(program.output) == []

    @pytest.fixture(scope="class")
    @classmethod
    def banner(cls, service: Service) -> str:
        return "\n".join(service.program.output)

    def commands(self, banner: str) -> list[str]:
        joined = banner.replace("\\\n", " ")
        return [line.strip() for line in joined.splitlines() if "curl " in line or " -m rtwist " in line]

    def announced_token(self, banner: str) -> str:
        match = re.search(r"token +(eyJ\S+)", banner)
        assert match, banner
        return match[1]

    def test_its_token_lets_in(self, service: Service, banner: str) -> None:
        client = service.open()
        assert client.connect(self.announced_token(banner)) is None
        assert client.connected["rooms"] == ["user:u1", "company:c1", "shop:s1", "role:manager"]

    def test_its_url_answers(self, service: Service, banner: str) -> None:
        match = re.search(r"URL +(\S+)", banner)
        assert match
        assert match[1] == f"http://localhost:{service.port}"
        assert json.loads(shell(f"curl -s {match[1]}/health"))["status"] == "OK"

    def test_its_order_command_reaches_the_holder_of_its_token(self, service: Service, banner: str) -> None:
        client = service.open()
        client.connect(self.announced_token(banner))
        (publish,) = [command for command in self.commands(banner) if "/events" in command]
        assert json.loads(shell(f"{publish} -s"))["success"] is True
        assert client.names() == ["order:new_order", "order:shop_order", "order:status_updated"]

    def test_its_users_command_lists_who_is_connected(self, service: Service, banner: str) -> None:
        client = service.open()
        client.connect(self.announced_token(banner))
        (users,) = [command for command in self.commands(banner) if "/connected-users" in command]
        assert "u1" in json.loads(shell(f"{users} -s"))["data"]["users"]

    def test_its_token_command_mints_a_token_that_lets_in(self, service: Service, banner: str) -> None:
        (mint,) = [command for command in self.commands(banner) if " -m rtwist " in command]
        client = service.open()
        assert client.connect(shell(mint)) is None
        assert client.connected["userId"] == "u2"

    def test_pages_of_any_origin_may_connect(self, service: Service) -> None:
        client = service.open([("Origin", "https://anywhere.example")])
        assert client.connect(token("u1")) is not None, "but only with a token of its own"

    def test_its_keys_are_new_each_time(self, banner: str) -> None:
        with twistd("--dev", "--listen", ANYWHERE, env={}) as program:
            program.wait_for_output("-m rtwist token")
        assert self.announced_token("\n".join(program.output)) != self.announced_token(banner)


def test_the_commands_of_the_banner_work_with_keys_full_of_signs() -> None:
    env = {"JWT_SECRET": 'it\'s a $HOME "secret" of `more` than 32 bytes \\ !', "API_KEY": 'it\'s $a "key"'}
    port = free_port()
    with twistd("--dev", "--listen", f"tcp:{port}:interface=127.0.0.1", env=env) as program:
        program.wait_for_output("-m rtwist token")
        service = Service(program, port)
        banner = TestDevelopmentMode().commands("\n".join(program.output))
        (publish,) = [command for command in banner if "/events" in command]
        assert json.loads(shell(f"{publish} -s", **env))["success"] is True
        (mint,) = [command for command in banner if " -m rtwist " in command]
        client = service.open()
        assert client.connect(shell(mint, **env)) is None
        service.close_clients()
    assert [line for line in program.output for secret in env.values() if secret in line] == []


class TestStarting:
    def failed(self, *options: str, env: dict[str, str] | None = None) -> str:
        """The output of a start that must fail, without a traceback."""
        program = twistd(*options, env=env)
        assert program.wait() == 1
        assert complaints(program.output) == []
        return "\n".join(program.output)

    def test_without_a_key_it_refuses_and_says_what_to_set(self) -> None:
        output = self.failed(env={})
        for word in ("JWT_SECRET", "--jwt-secret-file", "--dev"):
            assert word in output

    def test_a_url_of_a_broker_that_means_nothing_stops_it(self) -> None:
        said = self.failed(env={**KEYS, "RABBITMQ_URL": "localhost:the-password"})
        assert "RABBITMQ_URL cannot be used" in said
        assert "the-password" not in said

    def test_a_url_of_redis_that_means_nothing_stops_it(self) -> None:
        said = self.failed(env={**KEYS, "REDIS_URL": "localhost:the-password"})
        assert "REDIS_URL cannot be used" in said
        assert "the-password" not in said

    def test_an_endpoint_that_means_nothing_stops_it(self) -> None:
        assert "--listen is 'tcp:x'" in self.failed("--listen", "tcp:x")

    def test_an_option_that_is_none_stops_it_in_two_lines(self) -> None:
        assert self.failed("--prot", "8010").splitlines() == [
            "rtwist: there is no option --prot; did you mean --port?",
            "All options: twistd rtwist --help",
        ]

    def test_a_port_in_use_stops_it_with_its_name(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            output = self.failed("--listen", f"tcp:{port}:interface=127.0.0.1")
        assert output.endswith(
            f"rtwist: port {port} is in use: stop what uses it, or choose another with "
            f"--listen tcp:{port + 1}:interface=127.0.0.1"
        )

    def test_a_folder_that_is_not_there_stops_it_without_a_traceback(self) -> None:
        output = self.failed("--listen", "unix:/nonexistent/dir/s")
        assert output.endswith("the folder /nonexistent/dir does not exist: make it, or choose another path")

    def test_a_socket_file_in_use_stops_it(self, tmp_path: Path) -> None:
        with twistd("--listen", "unix:k2.sock", cwd=tmp_path) as program:
            program.wait_for_output("listening on unix:k2.sock; ")
            second = twistd("--listen", "unix:k2.sock", cwd=tmp_path)
            assert second.wait() == 1
        assert second.output[-1].endswith(
            "rtwist: unix:k2.sock is used by another process: stop it, or choose another path"
        )

    def test_its_log_begins_and_ends_without_noise(self) -> None:
        with twistd("--listen", ANYWHERE) as program:
            line = program.wait_for_output("listening on 127.0.0.1:")
        assert line.endswith(
            "only pages of the same host may connect (FRONTEND_URL is not set); an API key is set"
        )
        assert [line for line in program.output if "factory" in line] == []

    def test_the_names_of_the_service_before_set_it_up(self) -> None:
        port = free_port()
        env = {**KEYS, "PORT": str(port), "FRONTEND_URL": "https://shop.example"}
        with twistd(env=env) as program:
            program.wait_for_port(port)
            service = Service(program, port)
            granted(service.request("GET", "/connected-users"))
            client = service.open([("Origin", "https://shop.example")])
            assert client.connect(token("u1")) is None
            with HttpClient(port) as other:
                answer = other.request("GET", POLLING, [("Origin", "https://evil.example")])
            assert answer.status == 403
            service.close_clients()

    def test_twistd_lists_it_and_its_options(self) -> None:
        def help_of(*arguments: str) -> str:
            return subprocess.run(
                [TWISTD, *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=20
            ).stdout

        assert re.search(r"^ +rtwist +Real-time event server", help_of("--help"), re.MULTILINE)
        assert "--jwt-secret-file" in help_of("rtwist", "--help")


class TestLogFile:
    """The file of `twistd --logfile`."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "rtwist.log"

    def logging_to(self, file: Path, *options: str) -> Program:
        launcher = (TWISTD, f"--logfile={file}")
        return twistd("--listen", ANYWHERE, *options, launcher=launcher)

    def listening(self, file: Path, program: Program) -> str:
        """The text of the file once the service listens."""
        deadline = time.monotonic() + START_SECONDS
        while "; one node; " not in (text := file.read_text() if file.exists() else ""):
            assert program.process.poll() is None, program.output
            assert time.monotonic() < deadline, text
            time.sleep(0.02)
        return text

    def test_it_gets_every_line_to_the_last(self, file: Path) -> None:
        with self.logging_to(file) as program:
            self.listening(file, program)
            assert program.stop() == 0
        lines = file.read_text().splitlines()
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} \[\S+#info\] twistd ", lines[0])
        assert lines[-1].endswith("#info] Server Shut Down.")
        assert program.output == []

    def test_it_gets_json_too(self, file: Path) -> None:
        with self.logging_to(file, "--log-format", "json") as program:
            self.listening(file, program)
            assert program.stop() == 0
        assert [json.loads(line)["message"] for line in file.read_text().splitlines()][-1] == "Server Shut Down."

    def test_a_signal_turns_it_over(self, file: Path) -> None:
        with self.logging_to(file) as program:
            self.listening(file, program)
            program.process.send_signal(signal.SIGUSR1)
            deadline = time.monotonic() + START_SECONDS
            while not (file.parent / "rtwist.log.1").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert program.stop() == 0
        assert "; one node; " in (file.parent / "rtwist.log.1").read_text()
        assert "Server Shut Down." in file.read_text()

    def test_a_full_disk_does_not_end_the_service(self) -> None:
        port = free_port()
        listen = f"tcp:{port}:interface=127.0.0.1"
        with twistd("--listen", listen, launcher=(TWISTD, "--logfile=/dev/full")) as program:
            program.wait_for_port(port)
            service = Service(program, port)
            client = service.join("u1")
            service.push({"user": "u1"}, "x")
            assert client.names() == ["x"]
            service.close_clients()
            assert program.stop() == 0
        assert program.output == []


class TestStopping:
    @pytest.fixture
    def program(self) -> Iterator[Program]:
        with twistd("--listen", ANYWHERE) as program:
            granted(Service(program).request("GET", "/connected-users"))
            yield program

    def test_it_ends_well_and_in_time(self, program: Program) -> None:
        assert program.stop(5) == 0
        assert complaints(program.output) == []

    def test_websocket_clients_see_their_transport_close_and_no_disconnect_packet(self, program: Program) -> None:
        service = Service(program)
        client = service.join("u1")
        program.process.send_signal(signal.SIGTERM)
        assert "41" not in client.rest()
        assert program.wait(5) == 0

    def test_polling_clients_see_their_transport_close_and_no_disconnect_packet(self, program: Program) -> None:
        port = Service(program).port
        with HttpClient(port) as client:
            opened = json.loads(client.request("GET", POLLING).text[1:])
            target = f"{POLLING}&sid={opened['sid']}"
            connect = f'40{{"token":"{token("u1")}"}}'.encode()
            assert client.request("POST", target, (), connect).text == "ok"
            assert client.request("GET", target).text.startswith("40{")
            client.send_request("GET", target)
            with HttpClient(port) as other:  # answered after the poll has been read
                assert other.request("GET", "/health").status == 200
            program.process.send_signal(signal.SIGTERM)
            packets = client.read_response().text.split("\x1e")
        assert "1" in packets
        assert not any(packet.startswith("41") for packet in packets)
        assert program.wait(5) == 0

    def test_clients_that_do_not_answer_do_not_hold_it_up(self, program: Program) -> None:
        service = Service(program)
        silent = [service.open() for _ in range(3)] + [service.join("u1")]
        with HttpClient(service.port) as half:
            half.send(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            program.process.send_signal(signal.SIGTERM)
            assert program.wait(5) == 0
        for client in silent:
            client.close()

    def test_clients_can_come_back_to_the_next_process(self) -> None:
        port = free_port()
        listen = f"tcp:{port}:interface=127.0.0.1"
        for _ in range(2):
            with twistd("--listen", listen) as program:
                program.wait_for_port(port)
                client = Client(port)
                assert client.connect(token("u1")) is None
                program.process.send_signal(signal.SIGTERM)
                client.rest()
                client.close()
                assert program.wait(5) == 0


class TestLogging:
    """A busy run at the least level: every line parses, and no secret is in any of them."""

    @pytest.fixture(scope="class")
    @classmethod
    def lines(cls) -> list[str]:
        with twistd("--listen", ANYWHERE, "--log-format", "json", "--log-level", "debug") as program:
            service = Service(program)
            cls.secrets = ["eyJ", *KEYS.values(), *busy(service)]
            service.close_clients()
        return program.output

    secrets: list[str]

    def test_every_line_is_json(self, lines: list[str]) -> None:
        assert len(lines) > 20
        for line in lines:
            assert {"time", "level", "source", "message"} <= set(json.loads(line)), line

    def test_no_token_key_or_session_id_is_in_any_line(self, lines: list[str]) -> None:
        for secret in self.secrets:
            assert [line for line in lines if secret in line] == []

    def test_what_happened_is_in_the_lines(self, lines: list[str]) -> None:
        log = "\n".join(json.loads(line)["message"] for line in lines)
        for text in (
            "user u1 connected as ",
            "user u1 disconnected from ",
            "joined ['room']",
            "left ['room']",
            "refused: token_invalid",
            "join_room of user u1 on ",
            "order.shipped e1: order:status_updated to user:u1 (1 receiver); order:update to order:7|user:u1, ",
            "event e1 (order.shipped) was seen before",
            "emitted x to user u1: 1 receivers",
            "payload of order:update",
        ):
            assert text in log, text


def busy(service: Service) -> list[str]:
    """Everything that leaves a line; returns the session ids."""
    client = service.join("u1", "c1")
    for request in ("join_room", "leave_room"):
        client.succeed(request, "room")
    client.refused("join_room", "user:u2")
    client.succeed("subscribe_order", "7")
    for _ in range(2):
        service.publish({"type": "order.shipped", "id": "e1", "data": {"orderId": "7", "userId": "u1"}})
    service.push({"user": "u1"}, "x")
    others = [service.open(), service.open([("Authorization", f"Bearer {token('u1')}")]), service.open()]
    others[0].connect(token("u1", secret="x" * 40))
    others[1].connect()
    others[2].wire.send_text("nonsense")
    for path in (f"/connected-users?token={token('u1')}", f"/{token('u1')}", f"/%ff{client.session_id}"):
        service.request("GET", path, [("Authorization", f"Bearer {token('u1')}")])
    with HttpClient(service.port) as polling:
        opened = json.loads(polling.request("GET", POLLING).text[1:])
        target = f"{POLLING}&sid={opened['sid']}"
        polling.request("POST", target, (), f'40{{"token":"{token("u1")}"}}'.encode())
        polling.request("GET", target)
        polling.request("POST", target, (), b"nonsense" + token("u1").encode())
        polling.request("GET", f"{SOCKET_IO}&sid={client.session_id}")
        polling.request("GET", f"{POLLING}&sid={client.session_id}")
    client.close()
    service.program.wait_for_output("user u1 disconnected from ")
    return [client.session_id, opened["sid"], *(other.session_id for other in others)]


@pytest.mark.timeout(60)
def test_the_plugin_is_found_from_any_directory_once_installed(tmp_path: Path) -> None:
    """In a fresh environment that borrows the libraries, but not the checkout."""
    source = tmp_path / "source"
    source.mkdir()
    tracked = ["rtwist", "twisted", "setup.py", "pyproject.toml", "README.rst", "LICENSE"]
    shell(f"cp -r {' '.join(tracked)} {shlex.quote(str(source))}")
    environment = tmp_path / "environment"
    python = str(environment / "bin" / "python")
    libraries = Path(pytest.__file__).parents[1]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=30)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    (site_packages / "borrowed.pth").write_text(f"{libraries}\n")
    pip = [python, "-m", "pip", "install", "-q", "--no-deps", str(source)]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(pip, check=True, env=env, cwd=tmp_path, timeout=30)
    code = "from twisted.scripts.twistd import run; run()"
    done = subprocess.run(
        [python, "-c", code, "rtwist", "--help"],
        env=env,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert "--jwt-secret-file" in done.stdout
