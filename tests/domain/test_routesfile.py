"""Routes from TOML, and the line that each mistake is in."""

from __future__ import annotations

import pytest

from rtwist.domain.routes import Route, Routes
from rtwist.domain.routesfile import RESERVED_EVENTS, read_routes
from rtwist.errors import ConfigError
from tests.support.processes import ROOT

GOOD = """\
# the first line
[[route]]
pattern = "invoice.*"
emit = "invoice:updated"
rooms = [
    "company:{companyId}",
    "user:{userId}",
]
fields = ["invoiceId", "status"]

[[route]]
pattern = "sale.started"
emit = "sale:started"
everyone = true
fields = ["saleId"]
"""


def error(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_routes(text, "my.toml")
    said = str(caught.value)
    assert "\n" not in said
    return said


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return error(GOOD.replace(old, new))


def test_a_file_becomes_rules() -> None:
    assert read_routes(GOOD, "my.toml") == {
        "invoice.*": Route("invoice:updated", ("company:{companyId}", "user:{userId}"), ("invoiceId", "status")),
        "sale.started": Route("sale:started", (), ("saleId",), everyone=True),
    }


def test_routes_of_the_same_pattern_are_kept_in_their_order() -> None:
    one = '[[route]]\npattern = "a.b"\nemit = "x"\nrooms = ["r"]\nfields = "*"\n'
    found = read_routes(one + one.replace('"x"', '"y"'), "my.toml")
    assert found == {"a.b": Routes((Route("x", ("r",), ("*",)), Route("y", ("r",), ("*",))))}


@pytest.mark.parametrize("text", ["", "# nothing\n", "route = []\n"])
def test_a_file_without_routes_is_one(text: str) -> None:
    assert read_routes(text, "my.toml") == {}


def test_the_example_can_be_read() -> None:
    text = (ROOT / "examples" / "routes.toml").read_text()
    assert set(read_routes(text, "")) == {"invoice.*", "delivery.#", "sale.started"}


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ('"invoice.*"', '"invoice.*', 3, ""),
        ("rooms = [\n", "rooms = \n", 5, ""),
        ('pattern = "invoice.*"', 'patern = "invoice.*"', 3, "unknown key 'patern'; did you mean 'pattern'?"),
        ("everyone = true", "everybody = true", 14, "unknown key 'everybody'; did you mean 'everyone'?"),
        (
            "everyone = true",
            "zzz = true",
            14,
            "unknown key 'zzz'; there is pattern, emit, rooms, everyone, fields",
        ),
        ('pattern = "invoice.*"', "", 2, "pattern is missing"),
        ('emit = "sale:started"', "", 11, "emit is missing"),
        (
            'fields = ["saleId"]',
            "",
            11,
            'fields is missing: list the fields to pass on, or say fields = "*" for all',
        ),
        ('"invoice.*"', '"Invoice.*"', 3, "'Invoice.*' is no pattern for kinds"),
        ('"invoice.*"', "7", 3, "pattern must be a string"),
        ('"sale:started"', '""', 13, "emit must not be empty"),
        ('"sale:started"', '"disconnect"', 13, "'disconnect' is a name that Socket.IO keeps for itself"),
        ("everyone = true", 'everyone = "yes"', 14, "everyone must be true or false"),
        ("everyone = true", "everyone = false", 11, "there is nobody to emit to"),
        ("everyone = true", "rooms = []", 14, "there is nobody to emit to"),
        ("everyone = true", 'everyone = true\nrooms = ["x"]', 14, "name rooms or say everyone = true, not both"),
        ('["saleId"]', '"*"', 15, "everyone gets listed fields only"),
        ('["saleId"]', '["*"]', 15, 'write fields = "*" to pass on all of them'),
        ('["saleId"]', '["sale.id"]', 15, "'sale.id' lies within another field"),
        ('["saleId"]', '"saleId"', 15, "fields must be an array of strings"),
        ('["saleId"]', "[1]", 15, "fields must be an array of strings"),
        ('    "user:{userId}",', '    "user:{userId",', 7, "'user:{userId' has a placeholder that is no field"),
        ('    "user:{userId}",', '    "user:{}",', 7, "'user:{}' has a placeholder that is no field"),
        ('    "user:{userId}",', '    "user:",', 7, "'user:' names no user: write for example user:{userId}"),
        ('    "user:{userId}",', '    "order:7|user:{userId}",', 7, "'order:7|user:{userId}' holds '|'"),
        (
            '    "user:{userId}",',
            '    "users:{userId}",',
            7,
            "'users:{userId}' would be a room that anybody may join; did you mean 'user'?",
        ),
        ('"company:{companyId}"', '"compnay:{companyId}"', 6, "'compnay:{companyId}' would be"),
        ('"company:{companyId}"', "7", 5, "rooms must be an array of strings"),
        ("# the first line", "routes = 1", 1, "unknown table 'routes'; did you mean 'route'?"),
        ("# the first line\n[[route]]", "\n[[rout]]", 2, "unknown table 'rout'; did you mean 'route'?"),
        ("# the first line", "[servers]", 1, "unknown table 'servers'; there is route"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, line: int, says: str) -> None:
    said = changed(old, new)
    assert said.startswith(f"my.toml, line {line}: {says}"), said


@pytest.mark.parametrize("name", RESERVED_EVENTS)
def test_names_that_socket_io_keeps_are_refused(name: str) -> None:
    assert "keeps for itself" in changed('"sale:started"', f'"{name}"')


def test_what_only_looks_like_a_route_does_not_count() -> None:
    text = GOOD.replace("# the first line", 'x = """\n[[route]]\npattern = 1\n"""\n')
    assert error(text).startswith("my.toml, line 1: unknown table 'x'")
    text = GOOD.replace('["invoiceId", "status"]', '["invoiceId", # and\n"""\\\n[[route]]\\\npattern = 1"""]')
    assert error(text + '\n[[ "route" ]]\n\npattern = 7\n').startswith(
        "my.toml, line 22: pattern must be a string"
    )


@pytest.mark.parametrize("text", ["route = 1", "[route]", 'x = 1\nroute = ["a"]'])
def test_routes_must_be_tables_of_their_own(text: str) -> None:
    assert "[[route]]" in error(text) or "unknown table" in error(text)


def test_routes_written_in_one_line_are_found_there() -> None:
    assert error('\n\nroute = [{pattern = "a.b"}]').startswith("my.toml, line 3: emit is missing")


@pytest.mark.parametrize("value", ["[" * 3000, "9" * 5000], ids=["depth", "digits"])
def test_what_the_interpreter_does_not_read_is_a_mistake_too(value: str) -> None:
    assert error(f"a = {value}").startswith("my.toml: nested too deeply, or a number of more than")
