"""`python -m rtwist token`: development tokens from the command line."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rtwist.auth.token import mint
from rtwist.domain.ids import plain_text
from rtwist.errors import ConfigError

_MAX_SECONDS = 3_155_760_000
"""A hundred years; below zero makes a token that has expired."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rtwist", description="Tools of rtwist.")
    commands = parser.add_subparsers(dest="command", required=True)
    token = commands.add_parser(
        "token",
        help="mint a development token",
        description="Mint a token signed with JWT_SECRET (HS256), for development.",
    )
    token.add_argument("--user", required=True, type=_id, help="user id")
    token.add_argument("--company", type=_id, help="company id")
    token.add_argument(
        "--shop", action="append", default=[], type=_id, help="shop id; may be given several times"
    )
    token.add_argument("--role", action="append", default=[], type=_id, help="role; may be given several times")
    token.add_argument("--lifetime", type=_seconds, default=86400, metavar="SECONDS", help="default: a day")
    token.add_argument("--jwt-secret-file", metavar="FILE", help="file with the secret, instead of JWT_SECRET")
    arguments = parser.parse_args(argv)
    try:
        sys.stdout.write(_token(arguments) + "\n")
    except ConfigError as error:
        sys.stderr.write(f"python -m rtwist token: {error}\n")
        return 1
    return 0


def _id(text: str) -> str:
    try:
        return plain_text(text)
    except ValueError as reason:
        raise argparse.ArgumentTypeError(f"{text!r} {reason}") from None


def _seconds(text: str) -> float:
    seconds = float(text)
    if not abs(seconds) <= _MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} must be at most {_MAX_SECONDS}")
    return seconds


def _token(arguments: argparse.Namespace) -> str:
    secret = os.environ.get("JWT_SECRET", "")
    if arguments.jwt_secret_file is not None:
        try:
            secret = Path(arguments.jwt_secret_file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"--jwt-secret-file is {arguments.jwt_secret_file!r}, which cannot be read: {error}"
            ) from None
    if not secret:
        raise ConfigError("set JWT_SECRET to the service's secret, or give --jwt-secret-file")
    return mint(
        secret,
        user=arguments.user,
        company=arguments.company,
        shops=arguments.shop,
        roles=arguments.role,
        lifetime=arguments.lifetime,
        now=time.time(),
    )


if __name__ == "__main__":
    sys.exit(main())
