"""Node programs that act as clients: what they need, and the outcome of each of their scenarios."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tests.support.processes import ROOT

CLIENTS = ROOT / "tests" / "clients"
LIBRARIES = {"4.8": "socket.io-client", "4.0": "socket.io-client-4-0", "3.1": "socket.io-client-3-1"}
MODES = ("polling", "websocket", "upgrade")
RUN_SECONDS = 100.0
DECLARATION = re.compile(r"^scenario\('([^']+)'", re.MULTILINE)


def require_node_modules() -> str:
    """The path of node, if every package is installed; AssertionError that says what to do otherwise."""
    node = shutil.which("node")
    assert node, "node is not on PATH: install Node.js 20 or newer, then run `make test`"
    wanted = json.loads((CLIENTS / "package.json").read_text())["dependencies"]
    missing = [name for name in wanted if not (CLIENTS / "node_modules" / name / "package.json").is_file()]
    assert not missing, (
        f"tests/clients/node_modules lacks {', '.join(missing)}: run `make test`, which installs them"
    )
    return node


def require_chromium() -> str:
    """The path of Chromium ($CHROMIUM, or the first one on PATH); AssertionError that says what to do."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    assert found, (
        "Chromium is not on PATH: install the `chromium` package (or set CHROMIUM), then run `make test`"
    )
    return found


def scenarios_in(script: str) -> list[str]:
    """The names of the scenarios that a script of tests/clients declares."""
    names = DECLARATION.findall((CLIENTS / script).read_text())
    assert names, script
    assert len(set(names)) == len(names), script
    return names


@dataclass(frozen=True)
class Outcome:
    """How one scenario ended."""

    ok: bool
    error: str | None
    seconds: float


class ScenarioRun:
    """One Node process that ran every scenario of a script, and what became of each."""

    def __init__(self, script: str, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        self.outcomes: dict[str | None, Outcome] = {}
        self.output, self.status = run_node([script, *arguments], env=env)
        for line in self.output.split("\n"):  # U+2028 and its kind end no line here
            if line.startswith('{"scenario":'):
                result = json.loads(line)
                self.outcomes[result["scenario"]] = Outcome(
                    result["ok"], result.get("error"), result.get("seconds", 0.0)
                )

    def check(self, name: str) -> None:
        """AssertionError with what the client said unless scenario `name` was run and passed."""
        outcome = self.outcomes.get(name)
        assert outcome is not None, f"{name!r} was not run (exit {self.status}):\n{self.output}"
        assert outcome.ok, f"{name}: {outcome.error}"

    def check_complete(self, names: Sequence[str]) -> None:
        """AssertionError unless exactly these scenarios were run and the process ended well."""
        assert self.status == 0, self.output
        stray = self.outcomes.get(None)
        assert stray is None, stray
        assert list(self.outcomes) == list(names)


@cache
def run_of(script: str, version: str, mode: str, url: str) -> ScenarioRun:
    """The run of a script with one version of the client in one mode, started on first use."""
    return ScenarioRun(script, LIBRARIES[version], mode, url)


def run_node(
    arguments: Sequence[str], *, env: Mapping[str, str] | None = None, seconds: float = RUN_SECONDS
) -> tuple[str, int | None]:
    """Run a script of tests/clients; its output with errors, and its status (None when it was killed)."""
    try:
        done = subprocess.run(
            [require_node_modules(), *arguments],
            cwd=CLIENTS,
            env={**os.environ, **(env or {})},
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as late:
        output = late.stdout or b""
        return output.decode() if isinstance(output, bytes) else output, None
    return done.stdout, done.returncode
