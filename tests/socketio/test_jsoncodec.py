"""JSON as JavaScript writes and reads it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.errors import RemoteProtocolError
from rtwist.socketio.jsoncodec import dumps, loads, where_wrong
from tests.socketio.strategies import JSON, joined

DEPTH = 64


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a":', "it ends too early"),
        ("[1,]", "trailing comma in array (byte 3)"),
        ("1e999", "a number is out of range"),
        ("9" * 5000, "a number is out of range"),
        (r'[-1e999, "\ud83d"]', "a number is out of range"),
        (r'[NaN, "\ud83d"]', "malformed JSON"),
        ("[" * 65 + "]" * 65, "JSON nested deeper than 64"),
    ],
)
def test_what_is_wrong_is_said(text: str, says: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        loads(text, DEPTH)
    assert where_wrong(caught.value) == says


@given(JSON)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert joined(loads(dumps(value), 1000)) == joined(value)


@given(JSON)
def test_another_implementation_reads_what_is_written(value: Any) -> None:
    text = dumps(value)
    text.encode()
    assert joined(json.loads(text)) == joined(value)


@given(JSON, st.booleans())
def test_what_another_implementation_writes_is_read(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert joined(loads(text, 1000)) == joined(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("text", ["plain", "lone \ud800", "\udfff"])
def test_what_json_has_no_number_for_becomes_null(value: float, text: str) -> None:
    assert loads(dumps([value, {"a": [value]}, text]), DEPTH) == [None, {"a": [None]}, text]


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        "a\udc00b",
        "\udc00\ud800",
        {"\ud800": 1},
        [[{"a": "\ud83d"}]],
        "\U0001f600",
        "\x00\x1e\u2028",
    ],
)
def test_strings_of_javascript_travel(value: Any) -> None:
    assert loads(dumps(value), DEPTH) == value


@pytest.mark.parametrize("value", [2**53, 2**63, 2**64, -(2**70), 10**30])
def test_big_integers_keep_their_digits(value: int) -> None:
    assert dumps([value]) == f"[{value}]"
    assert loads(f"[{value}]", DEPTH) == [value]
    assert dumps([value, "\ud800"]) == f'[{value},"\\ud800"]'


@pytest.mark.parametrize(
    "text",
    [
        "1e400", '["\\ud800",1e400]', '["\\ud800",-1e400]',
        "", " ", "nonsense", "[", "]", "[1,]", "{,}", '{"a"}', "{1:2}", "NaN", "Infinity", "-Infinity",
        "[NaN]", "01", "+1", ".5",
        "1.", "0x1", "'a'", '"a', '"\x01"', '"\n"', '"\\x41"', '"\\u12"', "[1] 2", "[1]]", "nul", "True",
        "\ufeff[]", "٣", "1_000",
        '["\\ud800", NaN]', '["\\ud800",]', '["\\ud800"] x',
        '["\\ud800", "\x01"]', "9" * 5000, "[" * 65 + "]" * 65,
    ],
)  # fmt: skip
def test_what_is_no_json_is_a_fault_of_the_peer(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        loads(text, DEPTH)


@given(st.text())
def test_any_text_gives_a_value_or_a_fault_of_the_peer(text: str) -> None:
    try:
        value = loads(text, DEPTH)
    except RemoteProtocolError:
        return
    dumps(value)


@pytest.mark.parametrize("opener", ["[", '{"a":'])
@pytest.mark.parametrize("more", ["", '"\\ud800"'])
def test_the_depth_is_bounded_exactly(opener: str, more: str) -> None:
    closer = "]" if opener == "[" else "}"

    def deep(depth: int) -> str:
        return opener * depth + (more or ("" if opener == "[" else "1")) + closer * depth

    loads(deep(DEPTH), DEPTH)
    for depth in (DEPTH + 1, 5000, 100_000):
        with pytest.raises(RemoteProtocolError):
            loads(deep(depth), DEPTH)


@pytest.mark.parametrize("inside", ["[" * 500, "{[" * 500, '\\"' + "[" * 500, "\\\\", '\\\\\\"' + "{" * 500])
def test_brackets_inside_strings_are_no_depth(inside: str) -> None:
    text = f'["{inside}",[[["{inside}"]]]]'
    assert loads(text, 4) == json.loads(text)


def test_a_value_without_a_json_form_is_a_type_error() -> None:
    holding_itself: list[Any] = []
    holding_itself.append(holding_itself)
    for value in (
        object(),
        [object()],
        {None: 1},
        holding_itself,
        ["\ud800", object()],
        ["\ud800", holding_itself],
    ):
        with pytest.raises(TypeError):
            dumps(value)


UNENDED = {
    "escaped quotes": "'[' * 65 + '\"' + '\\\\\"' * 200_000",
    "a lone backslash at the end": "'[' * 65 + '\"' + '\\\\\"' * 200_000 + '\\\\'",
    "no bracket before": "'[\"' + '\\\\\"' * 200_000 + '[' * 65",
}


@pytest.mark.parametrize("text", UNENDED.values(), ids=UNENDED.keys())
def test_a_string_that_never_ends_is_looked_at_once(text: str) -> None:
    program = f"""
from rtwist.errors import RemoteProtocolError
from rtwist.socketio.jsoncodec import loads
try:
    loads({text}, {DEPTH})
except RemoteProtocolError:
    print("refused")
"""
    # Once for every quote would take minutes.
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout == "refused\n"
