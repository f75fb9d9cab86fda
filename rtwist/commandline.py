"""The command line: the options of `twistd rtwist`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from twisted.python import usage

from rtwist.auth.settings import shared_secrets
from rtwist.config import DEV_ENV, Config, read_config, wants_dev, with_env_file
from rtwist.errors import ConfigError
from rtwist.settings import SETTINGS, Setting

_UNKNOWN = re.compile(r"option (-\S*) not recognized", re.DOTALL)
_AMBIGUOUS = re.compile(r"option (--\S*) not a unique prefix")
_VALUE_MISSING = re.compile(r"option (-\S*) requires argument")
_VALUE_TOO_MUCH = re.compile(r"option (-\S*) must not have an argument")


def _collector(setting: Setting) -> Callable[[usage.Options, str], None]:
    def collect(self: usage.Options, value: str) -> None:
        self[setting.option].append(value)

    collect.__doc__ = setting.full_help
    return collect


class Options(usage.Options):
    """The options of `twistd rtwist`, made from `rtwist.settings.SETTINGS`."""

    optFlags = [  # noqa: RUF012
        [
            "dev",
            None,
            f"try it out: throw-away keys, pages of any origin, status routes open to loopback [{DEV_ENV}]",
        ],
        *([setting.option, None, setting.full_help] for setting in SETTINGS if setting.flag),
    ]
    optParameters = [  # noqa: RUF012
        [setting.option, None, None, setting.full_help]
        for setting in SETTINGS
        if not setting.repeatable and not setting.flag
    ]
    longdesc = (
        "Pushes domain events to the browsers that may see them, through the ordinary socket.io-client. "
        "Secrets come from the environment (JWT_SECRET, API_KEY) or from files, never from arguments."
    )

    def __init__(self) -> None:
        super().__init__()
        for setting in SETTINGS:
            if setting.repeatable:
                self[setting.option] = []

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802 - Twisted's name
        """Read the arguments; a mistake ends the program in one clear line, without all the help."""
        try:
            self["arguments"] = tuple(options or ())
            self._refuse_secrets(self["arguments"])
            super().parseOptions(options)
        except usage.UsageError as error:
            raise mistake(self._in_words(str(error))) from None
        except ConfigError as error:
            raise mistake(str(error)) from None

    def parseArgs(self, *rest: str) -> None:  # noqa: N802 - Twisted's name
        """Refuse what is no option."""
        if rest:
            raise usage.UsageError(f"{rest[0]!r} is no option; options begin with --")

    def postOptions(self) -> None:
        """Check everything now, before anything starts."""
        self["config"] = self.read()

    def read(self) -> Config:
        """The configuration as options, environment and files have it now; raises `ConfigError`."""
        environment = with_env_file(os.environ, self["env-file"])
        dev = bool(self["dev"]) or wants_dev(environment)
        config = read_config(self, environment, dev=dev)
        if config.tokens.secret is not None:
            shared_secrets(config.tokens)
        return config

    def _refuse_secrets(self, arguments: Sequence[str]) -> None:
        # As abbreviations of --…-file they would have the secret taken for a file's name, and quoted.
        for setting in SETTINGS:
            if setting.secret and any(one.partition("=")[0] == f"--{setting.name}" for one in arguments):
                raise usage.UsageError(
                    f"there is no option --{setting.name}, because others on the machine could read it: "
                    f"set {setting.env_names[0]}, or name a file with --{setting.option}"
                )

    def _in_words(self, said: str) -> str:
        """What `getopt` said, in words for people."""
        names = [f"--{name.rstrip('=')}" for name in self.longOpt]
        if unknown := _UNKNOWN.fullmatch(said):
            meant = get_close_matches(unknown[1], names, 1)
            return f"there is no option {unknown[1]}" + (f"; did you mean {meant[0]}?" if meant else "")
        if several := _AMBIGUOUS.fullmatch(said):
            meant = sorted(name for name in names if name.startswith(several[1]))
            return f"{several[1]} may mean {' or '.join(meant)}; write it in full"
        if missing := _VALUE_MISSING.fullmatch(said):
            return f"{missing[1]} needs a value"
        if superfluous := _VALUE_TOO_MUCH.fullmatch(said):
            return f"{superfluous[1]} takes no value"
        return said


for _setting in SETTINGS:
    if _setting.repeatable:
        setattr(Options, f"opt_{_setting.option}", _collector(_setting))


def mistake(text: str) -> SystemExit:
    """The end of the program for a mistake of whoever started it, in one clear line."""
    return SystemExit(f"rtwist: {text}\nAll options: twistd rtwist --help")
