"""How many connections there is room for, and how many sockets a user may have."""

from __future__ import annotations

import re

import pytest

from rtwist.limits import MOST_CONNECTIONS, connections_for, max_connections, raise_file_limit
from rtwist.settings import SETTINGS
from tests.support.processes import ROOT


@pytest.mark.parametrize(
    ("files", "room"),
    [(None, None), (1, 1), (64, 1), (200, 86), (1024, 768), (20_000, 19_744), (1_048_576, 1_048_320)],
)
def test_connections_leave_files_for_the_rest(files: int | None, room: int | None) -> None:
    assert connections_for(files) == room


@pytest.mark.parametrize(
    ("wanted", "files", "most"),
    [
        (None, None, MOST_CONNECTIONS),
        (None, 1024, 768),
        (None, 10**9, MOST_CONNECTIONS),
        (500, 1024, 500),
        (200_000, None, 200_000),
        (200_000, 10**9, 200_000),
    ],
)
def test_what_is_wanted_counts_where_there_is_room(wanted: int | None, files: int | None, most: int) -> None:
    assert max_connections(wanted, files) == (most, None)


def test_what_there_is_no_room_for_is_said() -> None:
    most, warning = max_connections(5000, 1024)
    assert most == 768
    assert warning is not None
    assert warning.startswith("--max-connections is 5000, but with 1024 open files there is room for 768: ")


def test_the_files_of_this_process_can_be_counted() -> None:
    assert (raise_file_limit() or 0) >= 256


# What is counted

_COUNTED = re.compile(
    r"""(?:note|_note|note_limit|over|LimitPassed|_too_many|_too_fast)\(\s*"([a-z_]+)"|\blimit="([a-z_]+)"|"""
    r"""passed = "([a-z_]+)" if .* else "([a-z_]+)"|LIMIT: Final = "([a-z_]+)"|_cut\(client, "([a-z_]+)\""""
)


def test_what_is_counted_has_the_name_of_an_option() -> None:
    texts = "\n".join(path.read_text() for path in (ROOT / "rtwist").rglob("*.py"))
    counted = {name for names in _COUNTED.findall(texts) for name in names if name}
    assert len(counted) > 25
    assert counted <= {setting.name.replace("-", "_") for setting in SETTINGS}
