"""`python -m rtwist`: development tokens and dead letters from the command line."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from rtwist.auth.token import mint
from rtwist.config import read_broker
from rtwist.domain.ids import plain_text
from rtwist.errors import ConfigError
from rtwist.intake.letters import DEFAULT_LIMIT, Selection

_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_MAX_SECONDS = 3_155_760_000
"""A hundred years; below zero makes a token that has expired."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m rtwist", description="Tools of rtwist.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_token(commands)
    _add_dead_letters(commands)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        sys.stderr.write(f"python -m rtwist {arguments.command}: {error}\n")
        return 1


def _add_token(commands: _Commands) -> None:
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
    token.set_defaults(run=_print_token)


def _add_dead_letters(commands: _Commands) -> None:
    letters = commands.add_parser(
        "dead-letters",
        help="list messages that could not be used, or put them back",
        description="List the messages of the dead-letter queue with their reasons, or put them back. "
        "The broker and the names are those of the service: RABBITMQ_URL, RTWIST_RABBITMQ_QUEUE and so on.",
    )
    letters.add_argument("action", nargs="?", choices=("list", "requeue"), default="list")
    letters.add_argument(
        "--limit", type=_positive, default=DEFAULT_LIMIT, metavar="N", help="look at the N oldest; default: 100"
    )
    letters.add_argument(
        "--id", action="append", default=[], help="only those with this message id; may be given several times"
    )
    letters.add_argument("--rabbitmq-url-file", metavar="FILE", help="file with the URL, instead of RABBITMQ_URL")
    letters.set_defaults(run=_dead_letters)


def _print_token(arguments: argparse.Namespace) -> int:
    sys.stdout.write(_token(arguments) + "\n")
    return 0


def _dead_letters(arguments: argparse.Namespace) -> int:
    from rtwist.intake.deadletters import run  # noqa: PLC0415 - it needs a reactor, the other commands do not

    settings = read_broker({"rabbitmq-url-file": arguments.rabbitmq_url_file}, os.environ)
    selection = Selection(arguments.limit, frozenset(arguments.id))
    return run(arguments.action, settings, selection, sys.stdout.write)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be at least 1")
    return number


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
