"""Rules of installed packages and of the routes file: which count, and what is said of broken ones."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest

from rtwist.domain.emission import Emission
from rtwist.domain.event import DomainEvent, read_event
from rtwist.domain.owners import UNKNOWN, OrderBook
from rtwist.domain.router import Router, Rule
from rtwist.domain.rules import BUILT_IN
from rtwist.errors import ConfigError
from rtwist.extensions import GROUP, all_rules
from tests.support.processes import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EVENT = DomainEvent("a.b", {}, None, "")


def rule_of(name: str) -> Rule:
    return lambda _event, _owners: [Emission(name, {}, ("room",))]


class Offers:
    """A module of a made-up package whose attributes entries name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.entries: list[EntryPoint] = []
        monkeypatch.setitem(sys.modules, "offered", type(sys)("offered"))

    def add(self, name: str, value: Any) -> None:
        self._monkeypatch.setattr(sys.modules["offered"], name, value, raising=False)
        self.entries.append(EntryPoint(name, f"offered:{name}", GROUP))

    def error(self, name: str, value: Any) -> str:
        self.add(name, value)
        with pytest.raises(ConfigError) as caught:
            all_rules(None, self.entries)
        return str(caught.value)


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> Offers:
    return Offers(monkeypatch)


@pytest.fixture
def routes(tmp_path: Path) -> Path:
    file = tmp_path / "my.toml"
    file.write_text('[[route]]\npattern = "order.#"\nemit = "mine"\nrooms = ["x"]\nfields = "*"\n')
    return file


def emitted(rules: dict[str, Rule], pattern: str) -> list[str]:
    return [answer.event for answer in rules[pattern](EVENT, UNKNOWN) if isinstance(answer, Emission)]


def test_without_anything_the_built_in_rules_are_all() -> None:
    assert all_rules(None, []) == BUILT_IN


@pytest.mark.parametrize("callable_", [False, True])
def test_a_package_adds_rules(offers: Offers, callable_: bool) -> None:
    mine = {"a.b": rule_of("mine")}
    offers.add("RULES", (lambda: mine) if callable_ else mine)
    rules = all_rules(None, offers.entries)
    assert emitted(rules, "a.b") == ["mine"]
    assert rules.keys() == {*BUILT_IN, "a.b"}


def test_the_routes_file_counts_before_packages_and_these_before_rtwist(offers: Offers, routes: Path) -> None:
    offers.add("RULES", {"order.#": rule_of("theirs"), "payment.#": rule_of("theirs")})
    rules = all_rules(routes, offers.entries)
    assert emitted(rules, "order.#") == ["mine"]
    assert emitted(rules, "payment.#") == ["theirs"]
    assert rules["user.#"] is BUILT_IN["user.#"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (7, "must be a mapping of patterns to rules, or return one; it is 7"),
        (lambda: None, "must be a mapping of patterns to rules, or return one; it is None"),
        (lambda: 1 // 0, "cannot be loaded: ZeroDivisionError: "),
        ({"Not a pattern": rule_of("x")}, "'Not a pattern' is no pattern for kinds"),
        ({7: rule_of("x")}, "'7 (not a string)' is no pattern"),
        ({"a.b": "x"}, "the rule for 'a.b' cannot be called, it is 'x'"),
    ],
)
def test_a_broken_package_is_named_with_its_entry(offers: Offers, value: Any, says: str) -> None:
    said = offers.error("BROKEN", value)
    assert said.startswith("the entry point 'BROKEN' (offered:BROKEN) of ")
    assert says in said


def test_a_package_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'x' \(no_such_module:RULES\) .* ModuleNotFoundError: "):
        all_rules(None, [EntryPoint("x", "no_such_module:RULES", GROUP)])


def test_two_packages_cannot_have_the_same_pattern(offers: Offers) -> None:
    offers.add("ONE", {"a.b": rule_of("one")})
    said = offers.error("TWO", {"a.b": rule_of("two")})
    assert all(text in said for text in ("offered:ONE", "offered:TWO", "both have a rule for 'a.b'"))


@pytest.mark.parametrize("answer", [None, 7, "text", [None], [Emission("disconnect", {}, ("x",))]])
def test_what_is_no_answer_is_the_package_s_fault(offers: Offers, answer: Any) -> None:
    offers.add("RULES", {"a.b": lambda _event, _owners: answer})
    with pytest.raises(TypeError, match=r"^the entry point 'RULES' \(offered:RULES\) of .* answers a.b with "):
        all_rules(None, offers.entries)["a.b"](EVENT, UNKNOWN)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_routes_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "my.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=f"the routes file {file} cannot be read"):
        all_rules(file, [])


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The example as pip would install it, into a folder of its own."""
    source = ROOT / "examples" / "own_rules"
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    info = tmp_path / "review_rules-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    entries = project["entry-points"][GROUP]
    lines = [f"[{GROUP}]", *(f"{name} = {value}" for name, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))
    shutil.copy(source / "review_rules.py", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("review_rules", None)


def test_the_example_package_is_found_once_it_is_installed(installed: None) -> None:
    rules = all_rules(None, entry_points(group=GROUP))
    data = {"productId": "p1", "companyId": "c1", "rating": 4, "text": "good"}
    event = read_event({"type": "review.posted", "data": data}, now=0)
    rated, new = Router(rules, OrderBook()).route(event)
    assert (rated.event, rated.rooms, "text" in rated.data) == ("review:rated", ("product:p1",), False)
    assert (new.event, new.rooms, new.data["text"]) == ("review:new", ("company:c1", "super_admin"), "good")
