"""`twistd rtwist`: options that are checked before anything starts, and a service made from them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError

from rtwist.config import SETTINGS
from rtwist.errors import ConfigError
from rtwist.tap import Options, build

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
    with pytest.raises(UsageError) as caught:
        parsed(*arguments)
    return str(caught.value)


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
        (["--no-such-option"], "--no-such-option"),
        (["--jwt-secret", SECRET], "jwt-secret"),
        (["--api-key", "k"], "api-key"),
    ],
)
def test_a_mistake_is_a_usage_error_that_names_it(arguments: list[str], says: str) -> None:
    assert says in error(*arguments)


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
        assert f"[{setting.env_names[0]}]" in text or setting.repeatable
    assert "--dev" in text


class TestBuilding:
    """With a reactor in memory: nothing listens anywhere."""

    def built(self, *arguments: str, say: Callable[[str], None] = nobody) -> MemoryReactorClock:
        reactor = MemoryReactorClock()
        service = build(reactor, parsed(*arguments)["config"], say=say)
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
