"""`twistd rtwist`: options that are checked before anything starts, and a service made from them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, Logger, formatEvent

from rtwist.errors import ConfigError
from rtwist.settings import SETTINGS
from rtwist.tap import Options, assemble

SECRET = "a-secret-of-more-than-thirty-two-bytes"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        for name in setting.env_names:
            monkeypatch.delenv(name, raising=False)
    for name in ("RABBITMQ_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JWT_SECRET", SECRET)


def parsed(*arguments: str) -> Options:
    options = Options()
    options.parseOptions(list(arguments))
    return options


def error(*arguments: str) -> str:
    """What is printed about a mistake: a line that names it, and where to find the options."""
    with pytest.raises(SystemExit) as caught:
        parsed(*arguments)
    line, rest = str(caught.value).split("\n")
    assert rest == "All options: twistd rtwist --help"
    assert line.startswith("rtwist: ")
    return line.removeprefix("rtwist: ")


def nobody(text: str) -> None:
    raise AssertionError(f"nothing is to be said: {text}")


def test_options_become_the_config() -> None:
    config = parsed("--port", "0", "--max-rooms", "5", "--log-format=json")["config"]
    assert (config.listen, config.max_rooms, config.log_format, config.dev) == (("tcp:0",), 5, "json", False)


def test_listen_may_be_given_several_times() -> None:
    config = parsed("--listen", "tcp:1", "--listen", "unix:/run/rtwist")["config"]
    assert config.listen == ("tcp:1", "unix:/run/rtwist")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "x"], "--port is 'x': "),
        (["--log-level", "loud"], "--log-level is 'loud': must be one of debug, info, warn, error"),
        (["--jwt-secret-file", "/no/such/file"], "--jwt-secret-file is '/no/such/file', which cannot be read"),
    ],
)
def test_a_mistake_is_named_in_one_line(arguments: list[str], says: str) -> None:
    assert says in error(*arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--prot", "8010"], "there is no option --prot; did you mean --port?"),
        (["--prot=8010"], "there is no option --prot; did you mean --port?"),
        (["--port", "1", "--jwt-isuer", "x"], "there is no option --jwt-isuer; did you mean --jwt-issuer?"),
        (["--zzz"], "there is no option --zzz"),
        (["-x"], "there is no option -x"),
        (["--port"], "--port needs a value"),
        (["--dev=1"], "--dev takes no value"),
        (["--dedup", "x"], "--dedup may mean --dedup-size or --dedup-window; write it in full"),
        (["8010"], "'8010' is no option; options begin with --"),
        (["--jwt-secret", SECRET],
         "there is no option --jwt-secret, because others on the machine could read it: "
         "set JWT_SECRET, or name a file with --jwt-secret-file"),
        (["--api-key=k"],
         "there is no option --api-key, because others on the machine could read it: "
         "set API_KEY, or name a file with --api-key-file"),
    ],
)  # fmt: skip
def test_an_option_that_is_none(arguments: list[str], says: str) -> None:
    assert error(*arguments) == says


@pytest.mark.parametrize(
    ("secret", "says"),
    [
        ("", "no key to verify tokens with: set JWT_SECRET"),
        ("short", "JWT_SECRET must have at least 32 bytes, this one has 5"),
        ("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----", "JWT_SECRET is no secret"),
    ],
)
def test_it_does_not_start_without_a_proper_key(monkeypatch: pytest.MonkeyPatch, secret: str, says: str) -> None:
    monkeypatch.setenv("JWT_SECRET", secret)
    assert says in error()
    assert "secrets.token_urlsafe" in error() or "--dev" in error(), "it says what to do"


def test_a_short_secret_in_a_file_is_refused_too(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("short")
    assert "at least 32 bytes" in error("--jwt-secret-file", str(file))


def test_development_mode_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET")
    assert parsed("--dev")["config"].dev


def test_the_environment_can_ask_for_development_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JWT_SECRET", raising=False)
    monkeypatch.setenv("RTWIST_DEV", "1")
    assert parsed()["config"].dev
    monkeypatch.setenv("RTWIST_DEV", "0")
    assert "no key to verify tokens" in error()
    monkeypatch.setenv("RTWIST_DEV", "maybe")
    assert "RTWIST_DEV is 'maybe'; write 1" in error()


def test_the_help_names_every_option_and_its_variable() -> None:
    text = Options().getUsage(width=10_000)
    for setting in SETTINGS:
        assert f"--{setting.option}" in text
        assert setting.help in text
        assert f"[{setting.env_names[0]}]" in text
    assert "--dev" in text


def test_the_help_shows_the_defaults() -> None:
    text = Options().getUsage(width=10_000)
    assert "seconds between heartbeats (default: 25) [RTWIST_PING_INTERVAL]" in text
    assert "(default: shopIds,shops,shop_ids) [RTWIST_CLAIM_SHOPS]" in text
    assert "TCP port to listen on when --listen is not given (default: 8009) [PORT]" in text
    assert "(default: )" not in text
    assert "None" not in text


class TestBuilding:
    """With a reactor in memory: nothing listens anywhere."""

    def built(self, *arguments: str, say: Callable[[str], None] = nobody) -> MemoryReactorClock:
        reactor = MemoryReactorClock()
        service = assemble(reactor, parsed(*arguments)["config"], say=say).service
        service.privilegedStartService()
        service.startService()
        return reactor

    def test_it_listens_on_the_port(self) -> None:
        assert [port for port, *_ in self.built("--port", "8123").tcpServers] == [8123]

    def test_it_listens_on_every_endpoint(self) -> None:
        reactor = self.built("--listen", "tcp:8001", "--listen", "tcp:8002:interface=127.0.0.1")
        listening = [(port, interface) for port, _, _, interface in reactor.tcpServers]
        assert listening == [(8001, ""), (8002, "127.0.0.1")]

    @pytest.mark.parametrize("endpoint", ["tcp:x", "nonsense", "tcp", "", "ssl:443:privateKey=/no/such.pem"])
    def test_an_endpoint_that_means_nothing_is_named(self, endpoint: str) -> None:
        with pytest.raises(ConfigError) as caught:
            self.built("--listen", endpoint)
        assert str(caught.value).startswith(f"--listen is {endpoint!r}: ")

    def test_nothing_is_said_outside_development_mode(self) -> None:
        self.built()

    def test_development_mode_is_announced_once_it_listens(self) -> None:
        said: list[str] = []
        self.built("--dev", say=said.append)
        assert len(said) == 1

    @pytest.mark.parametrize(
        ("arguments", "url"),
        [
            ((), "http://localhost:8009"),
            (("--port", "8123"), "http://localhost:8123"),
            (("--listen", "tcp:8123:interface=127.0.0.1"), "http://localhost:8123"),
            (("--listen", "tcp:port=8123"), "http://localhost:8123"),
            (("--listen", "tcp6:8123"), "http://localhost:8123"),
        ],
    )
    def test_the_url_announced_is_the_one_it_listens_on(self, arguments: tuple[str, ...], url: str) -> None:
        said: list[str] = []
        self.built("--dev", *arguments, say=said.append)
        assert f"{url}\n" in said[0]

    def test_secrets_that_came_from_outside_are_not_printed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("API_KEY", "the-key-of-the-backends")
        said: list[str] = []
        self.built("--dev", say=said.append)
        assert SECRET not in said[0]
        assert "the-key-of-the-backends" not in said[0]
        assert 'events -H "X-API-Key: $API_KEY" \\\n' in said[0]
        command = f"{shlex.quote(sys.executable)} -m rtwist token --user u2 --company c1\n"
        assert f"A token for somebody else (with your JWT_SECRET):\n  {command}" in said[0]


class TestTheFirstLine:
    """What the log says once it listens."""

    def logged(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
        events: list[LogEvent] = []
        monkeypatch.setattr("rtwist.tap._log", Logger(observer=events.append))
        TestBuilding().built(*arguments, say=lambda text: None)
        return [formatEvent(event) for event in events]

    def test_where_it_listens_and_who_may_do_what(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.logged(monkeypatch) == [
            "listening on 0.0.0.0:8009; one node; only pages of the same host may connect (FRONTEND_URL is not "
            "set); no API_KEY is set: only tokens of super admins may post events"
        ]
        monkeypatch.setenv("API_KEY", "the-key-of-the-backends")
        monkeypatch.setenv("FRONTEND_URL", "https://a.example,https://b.example")
        assert self.logged(monkeypatch, "--listen", "tcp:1", "--listen", "tcp:2") == [
            "listening on 0.0.0.0:1, 0.0.0.0:2; one node; pages of https://a.example, https://b.example may "
            "connect; an API key is set"
        ]

    def test_in_development_mode(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert self.logged(monkeypatch, "--dev") == [
            "listening on 0.0.0.0:8009; one node; pages of any origin may connect; an API key is set"
        ]

    def test_a_variable_that_is_no_option_is_pointed_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RTWIST_PROT", "8010")
        assert self.logged(monkeypatch)[0] == "RTWIST_PROT is no option of rtwist; did you mean RTWIST_PORT?"
