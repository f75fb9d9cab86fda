"""The law of the house: imports point down, pure modules stay pure, modules and functions stay small."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.processes import ROOT

FLOORS = {
    "errors": 0,
    "quoting": 0,
    "entries": 0,
    "collector": 0,
    "authorities": 1,
    "trouble": 0,
    "tasks": 1,
    "engineio": 2,
    "redis": 2,
    "socketio": 3,
    "domain": 4,
    "auth": 4,
    "gateway": 4,
    "requests": 4,
    "leases": 4,
    "admissions": 4,
    "authorization": 4,
    "accounts": 4,
    "presence": 4,
    "emit": 4,
    "limits": 4,
    "cluster": 5,
    "workers": 5,
    "config": 5,
    "settings": 5,
    "extensions": 5,
    "rest": 5,
    "access": 5,
    "front": 5,
    "intake": 5,
    "service": 5,
    "signals": 5,
    "shedding": 5,
    "listening": 5,
    "readers": 5,
    "reloading": 5,
    "slowness": 5,
    "logs": 5,
    "devpage": 5,
    "development": 5,
    "commandline": 6,
    "nodes": 6,
    "processes": 6,
    "tap": 6,
    "__main__": 6,
}
PURE = (
    "engineio.packet",
    "engineio.frame",
    "engineio.incoming",
    "engineio.outbox",
    "engineio.repeat",
    "engineio.lifecycle",
    "engineio.nodes",
    "engineio.request",
    "engineio.cors",
    "engineio.compression",
    "engineio.addresses",
    "engineio.buckets",
    "engineio.tally",
    "engineio.deflate",
    "socketio.packet",
    "socketio.mark",
    "socketio.behind",
    "socketio.binary",
    "socketio.jsoncodec",
    "socketio.rooms",
    "quoting",
    "cluster.wire",
    "cluster.messages",
    "cluster.mode",
    "cluster.nodetable",
    "cluster.classic.messages",
    "cluster.classic.plain",
    "cluster.sharded.messages",
    "redis.address",
    "workers.marks",
    "workers.frames",
    "workers.restarts",
    "intake.window",
    "intake.settings",
    "intake.counters",
    "intake.ledger",
    "intake.letters",
    "intake.amqp.codec",
    "intake.amqp.frames",
    "intake.amqp.message",
    "intake.amqp.options",
    "intake.amqp.receiver",
    "intake.amqp.url",
    "cluster.outage",
    "cluster.deliveries",
    "auth.deadlines",
    "auth.identity",
    "auth.moves",
    "auth.publickeys",
    "auth.revocation",
    "auth.strictjson",
    "auth.token",
    "auth.patterns",
    "auth.policy",
    "domain",
)
WIRES = ("twisted", "autobahn", "txaio", "klein", "treq", "txredisapi")
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60

Sources = Mapping[str, str]
"""Sources by module name within rtwist: "gateway", "socketio.packet", "socketio" for its __init__."""


def sources_of(package: Path) -> dict[str, str]:
    found = {}
    for path in sorted(package.rglob("*.py")):
        names = path.relative_to(package).with_suffix("").parts
        name = ".".join(names[:-1] if names[-1] == "__init__" else names)
        if name:
            found[name] = path.read_text(encoding="utf-8")
    return found


class Imports(ast.NodeVisitor):
    """The modules that a source imports, wherever in it: all of them, and those it needs to be loaded."""

    def __init__(self, sources: Sources, source: str) -> None:
        self.all: set[str] = set()
        self.at_loading: set[str] = set()
        self._sources = sources
        self._lazy = 0
        self.visit(ast.parse(source))

    def visit_If(self, node: ast.If) -> None:
        typing_only = "TYPE_CHECKING" in ast.unparse(node.test)
        self._lazy += typing_only
        for statement in node.body:
            self.visit(statement)
        self._lazy -= typing_only
        for statement in node.orelse:
            self.visit(statement)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._lazy += 1
        self.generic_visit(node)
        self._lazy -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - the name that ast looks for

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        assert node.level == 0, "imports name their module in full"
        module = node.module or ""
        for alias in node.names:
            inner = f"{module}.{alias.name}"
            self._add(inner if inner.removeprefix("rtwist.") in self._sources else module)

    def _add(self, name: str) -> None:
        self.all.add(name)
        if not self._lazy:
            self.at_loading.add(name)


def imports_in(sources: Sources) -> dict[str, Imports]:
    return {name: Imports(sources, source) for name, source in sources.items()}


def own(names: set[str]) -> set[str]:
    """Those of the names that are modules of rtwist, as `Sources` calls them."""
    return {name.removeprefix("rtwist.") for name in names if name.startswith("rtwist.")}


def part(module: str) -> str:
    return module.partition(".")[0]


def upward_arrows(sources: Sources) -> list[str]:
    wrong = []
    for module, imports in imports_in(sources).items():
        for other in own(imports.all):
            mine, theirs = part(module), part(other)
            if FLOORS.get(theirs, 99) > FLOORS.get(mine, 0):
                wrong.append(f"{module} imports {other}, which is above it")
            elif mine == "domain" and theirs != "domain" and FLOORS[theirs] > 0:
                wrong.append(f"{module} imports {other}, but the domain knows nobody")
    return wrong


def pollution(sources: Sources) -> list[str]:
    """Pure modules that import a wire, themselves or through what they import."""
    graph = imports_in(sources)
    pure = [name for name in sources if name in PURE or part(name) in PURE]
    return [
        f"{name} is pure, but imports {wire} (in {culprit})"
        for name in pure
        for culprit in reached(name, {module: own(imports.all) for module, imports in graph.items()})
        for wire in sorted(map(part, graph[culprit].all))
        if wire in WIRES
    ]


def reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name in graph and name not in found:
            found.add(name)
            waiting += graph[name]
    return found


def circles(sources: Sources) -> list[str]:
    """Modules that cannot be loaded without themselves."""
    graph = {name: own(imports.at_loading) for name, imports in imports_in(sources).items()}
    return [
        f"{name} needs {other}, which needs {name}"
        for name in graph
        for other in sorted(graph[name] & graph.keys())
        if name in reached(other, graph)
    ]


def functions_in(source: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def oversizes(sources: Sources) -> list[str]:
    large = [
        f"{name} has {source.count(chr(10))} lines"
        for name, source in sources.items()
        if source.count("\n") > MAX_MODULE_LINES
    ]
    return large + [
        f"{name}.{function} has {length} lines"
        for name, source in sources.items()
        for function, length in functions_in(source)
        if length > MAX_FUNCTION_LINES
    ]


@pytest.fixture(scope="module")
def rtwist() -> dict[str, str]:
    return sources_of(ROOT / "rtwist")


class TestTheHouse:
    def test_every_part_has_its_floor(self, rtwist: dict[str, str]) -> None:
        assert {part(name) for name in rtwist} == set(FLOORS)

    def test_every_pure_module_exists(self, rtwist: dict[str, str]) -> None:
        assert set(PURE) <= set(rtwist)

    def test_no_arrow_points_upward(self, rtwist: dict[str, str]) -> None:
        assert upward_arrows(rtwist) == []

    def test_no_pure_module_knows_a_wire(self, rtwist: dict[str, str]) -> None:
        assert pollution(rtwist) == []

    def test_no_module_needs_itself(self, rtwist: dict[str, str]) -> None:
        assert circles(rtwist) == []

    def test_modules_and_functions_are_small(self, rtwist: dict[str, str]) -> None:
        assert oversizes(rtwist) == []


class TestTheChecker:
    """It finds each kind of fault in sources made up for it."""

    @pytest.mark.parametrize(
        ("module", "source"),
        [
            ("engineio.session", "from rtwist.socketio.packet import Packet"),
            ("engineio.session", "from rtwist import gateway"),
            ("socketio.socket", "import rtwist.rest"),
            ("socketio.socket", "def f():\n    from rtwist.auth.token import mint"),
            ("errors", "if TYPE_CHECKING:\n    from rtwist.tasks import Tasks"),
            ("gateway", "from rtwist.config import Config"),
            ("gateway", "from rtwist.unheard_of import X"),
            ("domain.order", "from rtwist.auth.identity import Identity"),
            ("domain.order", "from rtwist.tasks import Tasks"),
        ],
    )
    def test_an_upward_arrow(self, module: str, source: str) -> None:
        assert upward_arrows({"gateway": "", module: source}) != []

    def test_downward_and_sideways_arrows_are_lawful(self) -> None:
        assert (
            upward_arrows(
                {
                    "gateway": "from rtwist.auth.token import mint\nfrom rtwist.errors import X\nimport json",
                    "auth.token": "from rtwist.domain.ids import text_id",
                    "domain.ids": "from rtwist.errors import BadEvent\nfrom rtwist.domain import kinds",
                }
            )
            == []
        )

    @pytest.mark.parametrize(
        "wire", ["from twisted.logger import Logger", "import autobahn.twisted", "import txaio"]
    )
    @pytest.mark.parametrize("module", ["domain.order", "engineio.packet", "intake.window"])
    def test_an_impure_module(self, module: str, wire: str) -> None:
        assert pollution({module: wire}) != []
        assert pollution({module: f"def f():\n    {wire}"}) != []
        assert pollution({"engineio.session": wire, "domain.order": "import json"}) == []

    def test_a_module_impure_through_another(self) -> None:
        other = {"engineio.session": "import twisted"}
        assert pollution({"engineio.packet": "from rtwist.engineio.session import S", **other}) != []

    def test_a_circle(self) -> None:
        a_needs_b = {"domain.a": "from rtwist.domain.b import B"}
        assert circles({**a_needs_b, "domain.b": "from rtwist.domain import a"}) != []
        far = {"domain.b": "import rtwist.domain.c", "domain.c": "from rtwist.domain.a import A"}
        assert len(circles({**a_needs_b, **far})) == 3
        assert circles({**a_needs_b, "domain.b": "import json"}) == []

    def test_what_only_type_checkers_read_makes_no_circle(self) -> None:
        back = "if TYPE_CHECKING:\n    from rtwist.domain.a import A"
        assert circles({"domain.a": "from rtwist.domain.b import B", "domain.b": back}) == []

    def test_what_is_too_long(self) -> None:
        body = "    pass\n"
        assert oversizes({"x": "def f():\n" + body * 59}) == []
        assert oversizes({"x": "def f():\n" + body * 60}) == ["x.f has 61 lines"]
        assert oversizes({"x": "class C:\n    async def f():\n" + "        pass\n" * 60}) == ["x.f has 61 lines"]
        assert oversizes({"x": "\n" * 401}) == ["x has 401 lines"]
