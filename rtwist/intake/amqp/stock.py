"""txAMQP as it is installed: the one place that imports it, once its version is known to be the right one."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from importlib.resources import files
from typing import Any

from rtwist.errors import ConfigError

REPAIRED_VERSION = "0.8.2"
SPECIFICATION = "amqp0-9-1.xml"


def check_version() -> None:
    """Raise `ConfigError` unless txAMQP is installed in the version that this package repairs."""
    try:
        found = metadata.version("txamqp")
    except metadata.PackageNotFoundError:
        found = "none"
    if found != REPAIRED_VERSION:
        raise ConfigError(
            f"rtwist repairs txAMQP {REPAIRED_VERSION} and works with no other; installed is {found}: "
            f"pip install txamqp=={REPAIRED_VERSION}"
        )


check_version()

from txamqp.client import TwistedDelegate  # noqa: E402 - only in the right version
from txamqp.message import Message  # noqa: E402
from txamqp.protocol import AMQChannel, AMQClient  # noqa: E402
from txamqp.spec import load_string  # noqa: E402

__all__ = ["AMQChannel", "AMQClient", "Message", "TwistedDelegate", "check_version", "load_specification"]


@cache
def load_specification() -> Any:
    """AMQP 0-9-1 with RabbitMQ's extensions, as txAMQP's model of classes, methods and fields."""
    text = (files(__package__) / SPECIFICATION).read_bytes()
    return load_string(text, SPECIFICATION)
