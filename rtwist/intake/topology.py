"""What rtwist uses on the broker: two exchanges, two queues, their bindings; declared, checked, or left alone."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from rtwist.errors import BrokerClosed, ConfigError
from rtwist.intake.amqp import BrokerConnection
from rtwist.intake.settings import CHECK, NONE, BrokerSettings

NOT_ALLOWED = 403
NOT_FOUND = 404
PRECONDITION_FAILED = 406
DEAD_LETTER_KIND = "fanout"
"""Whatever a dead letter's routing key is, it goes into the queue."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to make or check: what it is, the option that names it, how to do it."""

    what: str
    option: str
    run: Callable[[], Coroutine[Any, Any, object]]


def queue_arguments(settings: BrokerSettings) -> dict[str, Any]:
    """The arguments of the queue: one consumer at a time, so that several nodes keep the order."""
    arguments: dict[str, Any] = {
        "x-single-active-consumer": True,
        "x-dead-letter-exchange": settings.dead_letter_exchange,
    }
    if settings.queue_type != "classic":
        arguments["x-queue-type"] = settings.queue_type
    return arguments


async def establish(connection: BrokerConnection, settings: BrokerSettings) -> None:
    """Make or check everything, as the settings say; what is there already is left as it is.

    Raises `ConfigError` when the broker has something else under a name, has nothing, or does not allow it: the
    text names the option. The connection is then gone.
    """
    if settings.declare == NONE:
        return
    steps = _checks if settings.declare == CHECK else _declarations
    for step in steps(connection, settings):
        try:
            await step.run()
        except BrokerClosed as error:
            raise explained(error, step) from error


def _checks(connection: BrokerConnection, settings: BrokerSettings) -> Iterator[Step]:
    exchange, queue = connection.declare_exchange, connection.declare_queue
    yield _exchange(settings.exchange, lambda: exchange(settings.exchange, passive=True))
    yield _dlx(settings, lambda: exchange(settings.dead_letter_exchange, DEAD_LETTER_KIND, passive=True))
    yield _queue(settings, lambda: queue(settings.queue, passive=True))
    yield _dead(settings, lambda: queue(settings.dead_letter_queue, passive=True))


def _declarations(connection: BrokerConnection, settings: BrokerSettings) -> Iterator[Step]:
    exchange, queue, bind = connection.declare_exchange, connection.declare_queue, connection.bind_queue
    dead = settings.dead_letter_queue
    yield _exchange(settings.exchange, lambda: exchange(settings.exchange))
    yield _dlx(settings, lambda: exchange(settings.dead_letter_exchange, DEAD_LETTER_KIND))
    # Before the queue itself: whatever it rejects must have a place to go to.
    yield _dead(settings, lambda: queue(dead))
    yield _dead(settings, lambda: bind(dead, settings.dead_letter_exchange, "#"))
    yield _queue(settings, lambda: queue(settings.queue, arguments=queue_arguments(settings)))
    for pattern in settings.bindings:
        yield _binding(settings, pattern, partial(bind, settings.queue, settings.exchange, pattern))


def _exchange(name: str, run: Callable[[], Any]) -> Step:
    return Step(f"exchange {name}", "--rabbitmq-exchange", run)


def _dlx(settings: BrokerSettings, run: Callable[[], Any]) -> Step:
    return Step(f"exchange {settings.dead_letter_exchange}", "--rabbitmq-dead-letter-exchange", run)


def _queue(settings: BrokerSettings, run: Callable[[], Any]) -> Step:
    return Step(f"queue {settings.queue}", "--rabbitmq-queue", run)


def _dead(settings: BrokerSettings, run: Callable[[], Any]) -> Step:
    return Step(f"queue {settings.dead_letter_queue}", "--rabbitmq-dead-letter-queue", run)


def _binding(settings: BrokerSettings, pattern: str, run: Callable[[], Any]) -> Step:
    return Step(f"binding of queue {settings.queue} to {pattern}", "--rabbitmq-bindings", run)


def explained(error: BrokerClosed, step: Step) -> ConfigError:
    """What the broker's refusal means, and which option to set."""
    said = f"(broker: {error})"
    if error.code == PRECONDITION_FAILED:
        return ConfigError(
            f"{step.what} exists with another type or other arguments {said}: set --rabbitmq-declare check to "
            f"use it as it is, or {step.option} to another name, or delete it on the broker once it is empty"
        )
    if error.code == NOT_FOUND:
        return ConfigError(
            f"{step.what} does not exist {said}: create it, set --rabbitmq-declare declare to have it made, "
            f"or correct {step.option}"
        )
    if error.code == NOT_ALLOWED:
        return ConfigError(
            f"{step.what} may not be made or looked at by this user {said}: allow it on the broker, or set "
            "--rabbitmq-declare none to use what is there unseen"
        )
    return ConfigError(f"{step.what} cannot be used {said}: see {step.option} and --rabbitmq-declare")
