"""The seeds of each target: files of bytes literals, one a line; `#` at the start of a line begins a comment."""

from __future__ import annotations

import ast
from pathlib import Path

FOLDER = Path(__file__).with_name("corpus")


def seeds(target: str) -> list[bytes]:
    """The inputs that a target starts from, and those that once broke a promise."""
    lines = (FOLDER / f"{target}.txt").read_text(encoding="ascii").splitlines()
    return [read(line) for line in lines if line and not line.startswith("#")]


def read(line: str) -> bytes:
    """The bytes in a line."""
    return _value(ast.parse(line, mode="eval").body)


def literal(data: bytes) -> str:
    """A line for a file of seeds."""
    return repr(data)


def _value(node: ast.expr) -> bytes:
    # Sums and multiples of literals: `b"2" + b"[" * 70`.
    match node:
        case ast.BinOp(left, ast.Add(), right):
            return _value(left) + _value(right)
        case ast.BinOp(left, ast.Mult(), ast.Constant(int(times))):
            return _value(left) * times
        case ast.Constant(bytes(value)):
            return value
    raise ValueError(f"no bytes: {ast.unparse(node)}")
