"""Small accidents that happen to bytes, by dice that the caller rolls."""

from __future__ import annotations

import random
from collections.abc import Sequence

NASTY = [
    b"\x00", b"\xff", b"\xc3", b"\x1e", b"\r\n",
    b"b", b"[", b"{", b'"', b"-", b"/", b",", b"%", b"\\u", b"9" * 30,
]  # fmt: skip


def damaged(data: bytes, dice: random.Random, nasty: Sequence[bytes] = NASTY) -> bytes:
    """`data` after one to four small accidents; `nasty` are the bytes that get into it."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(data) + 1)
        size = dice.choice([1, 1, 2, 8])
        data = dice.choice([
            data[:at] + dice.choice(nasty) + data[at:],
            data[:at] + data[at + size :],
            data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :],
            data[:at] + data[at - size : at] + data[at:],
            data[:at],
        ])  # fmt: skip
    return data
