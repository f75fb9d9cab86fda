"""Options of a Socket.IO server."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rtwist.errors import ConfigError
from rtwist.socketio.options import Options


def test_the_defaults_are_those_of_the_node_server() -> None:
    options = Options()
    assert (options.path, options.connect_timeout, options.max_attachments) == ("/socket.io/", 45.0, 10)
    assert (options.ping_interval, options.max_payload) == (25.0, 1_000_000)
    assert options.client_dist is None


@pytest.mark.parametrize(
    "name",
    [
        "connect_timeout",
        "refused_timeout",
        "attachment_timeout",
        "max_depth",
        "max_queued_events",
        "max_queued_bytes",
    ],
)
@pytest.mark.parametrize("value", [0, -1, math.nan])
def test_a_number_that_cannot_work_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=name):
        Options(**{name: value})


def test_no_attachments_at_all_is_a_choice_but_fewer_is_none() -> None:
    assert Options(max_attachments=0).max_attachments == 0
    with pytest.raises(ConfigError, match="max_attachments"):
        Options(max_attachments=-1)


def test_engine_io_s_options_are_checked_too() -> None:
    with pytest.raises(ConfigError, match="ping_interval"):
        Options(ping_interval=0)
