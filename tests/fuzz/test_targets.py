"""The short form of fuzzing: every seed, and damaged seeds by fixed dice; `make fuzz` goes on from there."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.corpus import FOLDER, literal, read, seeds
from tests.fuzz.targets import TARGETS
from tests.fuzz.tokens import TOKENS
from tests.support.damage import NASTY, damaged

ROUNDS = 1500
SLOW_ROUNDS = {"http_site": 500, "amqp_connection": 500, "websocket_frames": 500, "routes_file": 500}
NAMES = sorted(TARGETS)


def test_every_target_has_seeds() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == NAMES
    assert all(len(seeds(name)) >= 5 for name in NAMES)
    assert sorted(TOKENS) == NAMES


@pytest.mark.parametrize("data", [b"", b"plain", b"'\"\\\n\x00\xff", b"x" * 100])
def test_a_line_of_seeds_is_read_as_it_was_written(data: bytes) -> None:
    assert read(literal(data)) == data


@pytest.mark.parametrize("name", NAMES)
def test_seeds_and_what_once_broke_a_promise(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](seed)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_seeds(name: str) -> None:
    dice, start = random.Random(name), seeds(name)
    nasty = [*NASTY, *TOKENS[name]]
    for _ in range(SLOW_ROUNDS.get(name, ROUNDS)):
        data = dice.choice(start)
        if dice.random() < 0.3:
            data += dice.choice(start)
        data = damaged(data, dice, nasty)
        try:
            TARGETS[name](data)
        except Exception as error:
            raise AssertionError(
                f"{name} broke its promise; keep this line among its seeds:\n{literal(data)}"
            ) from error
