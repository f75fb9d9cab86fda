"""Reading options: from the text an operator wrote to a value, or a ValueError that says how to write it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from rtwist.engineio.addresses import Proxies
from rtwist.errors import ConfigError

_PATH = re.compile(r"[A-Za-z0-9._~/-]+")
_URL = re.compile(r"[!-~]+")
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")
_COOKIE_NAME = re.compile(r"[A-Za-z0-9._-]+")
_Number = TypeVar("_Number", int, float)


def as_number(text: str, kind: type[_Number], words: str) -> _Number:
    """The number in `text`, of `kind`; ValueError says it must be `words`."""
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"must be {words}") from None


def as_seconds(text: str) -> float:
    """A positive number of seconds."""
    value = as_number(text, float, "a number of seconds")
    if not 0 < value < 1e9:
        raise ValueError("must be a number of seconds greater than 0")
    return value


def as_leeway(text: str) -> float:
    """Seconds from 0 to 300."""
    return _seconds_up_to(300, text)


def as_wait(text: str) -> float:
    """Seconds from 0 to 3600."""
    return _seconds_up_to(3600, text)


def _seconds_up_to(most: int, text: str) -> float:
    value = as_number(text, float, "a number of seconds")
    if not 0 <= value <= most:
        raise ValueError(f"must be from 0 to {most} seconds")
    return value


def as_duration(text: str) -> float:
    """Seconds, 0 for none."""
    value = as_number(text, float, "a number of seconds")
    if not 0 <= value < 1e9:
        raise ValueError("must be a number of seconds, 0 for none")
    return value


def as_count(text: str) -> int:
    """A whole number of at least 1."""
    value = as_number(text, int, "a whole number")
    if value < 1:
        raise ValueError("must be at least 1")
    return value


def as_amount(text: str) -> int:
    """A whole number, 0 included."""
    value = as_number(text, int, "a whole number")
    if value < 0:
        raise ValueError("must be at least 0")
    return value


def as_depth(text: str) -> int:
    """A whole number from 1 to 200: deeper values would exhaust the stack of some who read them."""
    value = as_number(text, int, "a whole number")
    if not 1 <= value <= 200:
        raise ValueError("must be from 1 to 200")
    return value


def as_patience(text: str) -> float | None:
    """Seconds, 0 for no limit."""
    return as_duration(text) or None


def as_limit(text: str) -> int | None:
    """A whole number, 0 for no limit."""
    value = as_number(text, int, "a whole number")
    if value < 0:
        raise ValueError("must be at least 1, or 0 for no limit")
    return value or None


def as_networks(text: str) -> tuple[str, ...]:
    """Addresses and networks with commas between them, or `unix`."""
    networks = as_names(text)
    try:
        Proxies(networks)
    except ConfigError as error:
        raise ValueError(str(error).partition(": ")[2]) from None
    return networks


def as_yes_or_no(text: str) -> bool:
    """A flag in words."""
    known = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
    if text.lower() not in known:
        raise ValueError("must be yes or no")
    return known[text.lower()]


def as_port(text: str) -> int:
    """A TCP port."""
    value = as_number(text, int, "a whole number")
    if not 0 <= value < 65536:
        raise ValueError("must be a port, 0 to 65535")
    return value


def as_names(text: str) -> tuple[str, ...]:
    """Names with commas between them, at least one."""
    names = tuple(name for name in (part.strip() for part in text.split(",")) if name)
    if not names:
        raise ValueError("must name at least one")
    return names


def as_origins(text: str) -> str | tuple[str, ...]:
    """Origins of pages with commas between them, or `*`."""
    origins = as_names(text)
    if "*" in origins:
        return "*"
    for origin in origins:
        if "://" not in origin or "/" in origin.split("://", 1)[1].rstrip("/"):
            raise ValueError(f"{origin!r} is no origin; write for example https://shop.example, or *")
    return origins


def as_path(text: str) -> str:
    """A path for URLs."""
    if not _PATH.fullmatch(text) or not text.strip("/"):
        raise ValueError("must be a path such as /socket.io/, of letters, digits, and . _ ~ - between slashes")
    return text


def as_cookie_name(text: str) -> str:
    """The name of a cookie."""
    if not _COOKIE_NAME.fullmatch(text):
        raise ValueError("must be a name of letters, digits, and . _ -")
    return text


def as_one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one of `choices`."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return read


def as_some_of(*choices: str) -> Callable[[str], tuple[str, ...]]:
    """A reader of several of `choices` with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        names = as_names(text)
        if not {*names} <= {*choices}:
            raise ValueError(f"must be some of {', '.join(choices)}, with commas")
        return names

    return read


def as_url(text: str) -> str:
    """The URL of an HTTP service, without secrets in it."""
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable or not _URL.fullmatch(text):
        raise ValueError("must be a URL such as https://backend.example/may-join")
    if "@" in url.netloc or url.fragment:
        raise ValueError("must be a URL without user, password and fragment")
    return text


def as_bearer(text: str) -> str:
    """A bearer token (RFC 6750, section 2.1); the errors do not quote it."""
    if not _BEARER.fullmatch(text):
        raise ConfigError("it must consist of letters, digits and - . _ ~ + / only, with = at the end")
    return text


def as_file(text: str) -> Path:
    """A file that is there."""
    path = Path(text)
    if not path.is_file():
        raise ValueError("is not a file")
    return path


def as_folder(text: str) -> Path:
    """A folder that is there."""
    path = Path(text)
    if not path.is_dir():
        raise ValueError("is not a folder")
    return path


def as_state(text: str) -> Path:
    """A folder that is there, the first when there are several with colons, as systemd gives them."""
    return as_folder(text.partition(":")[0])
