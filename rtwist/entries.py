"""Log entries of what happens all the time, for a fraction of what `Logger.info` takes."""

from __future__ import annotations

from time import time
from typing import Any

from twisted.logger import Logger, LogLevel

_INFO = LogLevel.info


def info(log: Logger, words: object, **fields: Any) -> None:
    """Log `words` at info level, and `fields` for those who read entries by field.

    The words are asked for their text when somebody wants it; they must not change until the reactor's next turn.
    """
    fields["log_logger"] = log
    fields["log_level"] = _INFO
    fields["log_namespace"] = log.namespace
    fields["log_source"] = log.source
    fields["log_format"] = "{_text}"
    fields["log_time"] = time()
    fields["_text"] = words
    log.observer(fields)
