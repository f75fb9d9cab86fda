"""Log entries of what happens all the time, for a fraction of what `Logger.info` takes."""

from __future__ import annotations

import time
from typing import Any

from twisted.logger import Logger, LogLevel


def info(log: Logger, words: object, **fields: Any) -> None:
    """Log `words` at info level, and `fields` for those who read entries by field.

    The words are asked for their text when somebody wants it; they must not change until the reactor's next turn.
    """
    log.observer({
        "log_logger": log,
        "log_level": LogLevel.info,
        "log_namespace": log.namespace,
        "log_source": log.source,
        "log_format": "{_text}",
        "log_time": time.time(),
        "_text": words,
        **fields,
    })  # fmt: skip
