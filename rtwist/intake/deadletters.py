"""`python -m rtwist dead-letters`: what could not be used, why, and putting it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from rtwist.domain.timestamps import read_timestamp
from rtwist.errors import BrokerLost, PublishError, RtwistError
from rtwist.intake.amqp import (
    BrokerConnection,
    BrokerEndpoint,
    BrokerFactory,
    BrokerOptions,
    Delivery,
)
from rtwist.intake.letters import DIED_AT, REASON, Letter, Selection, origin_of, revived
from rtwist.intake.link import in_words
from rtwist.intake.settings import BrokerSettings

_SHOWN_BYTES = 120
_SILENCE_SECONDS = 10.0


def run(action: str, settings: BrokerSettings, selection: Selection, write: Callable[[str], object]) -> int:
    """Run a command on a reactor of its own; returns the exit status. `action` is `list` or `requeue`."""
    status = 0

    async def main(reactor: IReactorTime) -> None:
        nonlocal status
        status = await _act(reactor, action, settings, selection, write)

    try:
        react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
    except SystemExit as ended:
        return status or int(ended.code or 0)
    return status


async def _act(
    reactor: IReactorTime,
    action: str,
    settings: BrokerSettings,
    selection: Selection,
    write: Callable[[str], object],
) -> int:
    connection = None
    try:
        connection = await _connect(reactor, settings)
        oldest = await _read(reactor, connection, settings, selection.limit)
        letters = [letter for letter in oldest if selection.takes(letter)]
        if action == "list":
            write("".join(f"{line}\n" for letter in letters for line in described(letter, settings)))
            write(f"{len(letters)} dead letters\n")
            return 0
        return await _requeue(connection, settings, letters, write)
    except RtwistError as error:
        write(f"dead-letters: {in_words(error)}\n")
        return 1
    finally:
        if connection is not None:
            await connection.close()


async def _connect(reactor: IReactorTime, settings: BrokerSettings) -> BrokerConnection:
    options = BrokerOptions(name="rtwist-dead-letters", max_body=settings.max_body)
    endpoint = BrokerEndpoint(reactor, settings.addresses, settings.ca_file)
    try:
        connection: BrokerConnection = await endpoint.connect(BrokerFactory(clock=reactor, options=options))
    except RtwistError:
        raise
    except Exception as error:  # whatever stands between here and the broker
        raise BrokerLost(f"the broker cannot be reached: {error}") from None
    return connection


async def _read(
    reactor: IReactorTime, connection: BrokerConnection, settings: BrokerSettings, limit: int
) -> list[Letter]:
    """The oldest letters, at most `limit`; they go back into the queue, in their order, with the connection."""
    queue = settings.dead_letter_queue
    state = await connection.declare_queue(queue, passive=True)
    expected = min(state.messages, limit)
    if not expected:
        return []
    await connection.qos(min(expected, 65535))
    found: list[Letter] = []
    complete: Deferred[None] = Deferred()

    def delivered(delivery: Delivery) -> None:
        if len(found) < expected:
            found.append(Letter(len(found) + 1, delivery))
        if len(found) == expected and not complete.called:
            complete.callback(None)

    def missing(_: object = None) -> None:
        if not complete.called:
            complete.errback(BrokerLost(f"queue {queue} gave {len(found)} of {expected} messages and no more"))

    late = reactor.callLater(_SILENCE_SECONDS, missing)
    connection.when_lost().addCallback(missing)
    tag = await connection.consume(queue, delivered, on_cancelled=missing)
    await complete
    if late.active():
        late.cancel()
    await connection.cancel(tag)
    return found


def described(letter: Letter, settings: BrokerSettings) -> Iterator[str]:
    """The lines that say what a letter is."""
    delivery, properties = letter.delivery, letter.properties
    if properties is None:
        yield f"{letter.position}  its properties cannot be read  {delivery.size} bytes"
        return
    headers: Mapping[str, Any] = properties.headers or {}
    origin = origin_of(delivery, settings.dead_letter_exchange)
    name = properties.message_id
    yield (
        f"{letter.position}  {_died_at(headers)}  {_plain(origin.routing_key)}"
        f"  id {'none' if name is None else _plain(name)}  {delivery.size} bytes"
    )
    yield f"   reason: {_plain(_reason(headers, delivery))}"
    body = (
        f"larger than {settings.max_body} bytes" if delivery.too_large else repr(delivery.body[:_SHOWN_BYTES])[1:]
    )
    yield f"   body: {body}"


def _died_at(headers: Mapping[str, Any]) -> str:
    died_at = headers.get(DIED_AT, _death(headers).get("time"))
    return read_timestamp(died_at) or "at an unknown time"


def _reason(headers: Mapping[str, Any], delivery: Delivery) -> str:
    written = headers.get(REASON)
    if isinstance(written, str):
        return written
    size = f" ({delivery.size} bytes; --rabbitmq-max-body is less)" if delivery.too_large else ""
    return f"{_death(headers).get('reason', 'unknown')}{size}; the log of rtwist says more"


def _death(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    deaths = headers.get("x-death")
    if isinstance(deaths, Sequence) and deaths and isinstance(deaths[0], Mapping):
        return deaths[0]
    return {}


def _plain(text: str) -> str:
    # Whoever published it must not write to the operator's terminal.
    return "".join(each if each.isprintable() else "?" for each in text)


async def _requeue(
    connection: BrokerConnection,
    settings: BrokerSettings,
    letters: Sequence[Letter],
    write: Callable[[str], object],
) -> int:
    """Put letters back into the queue, each acknowledged once the broker has the copy.

    They go straight into the queue, not to the exchange, where other services would get them twice. A crash in
    between leaves both; the window of event ids then emits one of them.
    """
    await connection.confirm()
    done = 0
    for letter in letters:
        delivery, properties = letter.delivery, letter.properties
        if properties is None:
            write(f"{letter.position} stays: its properties cannot be read\n")
            continue
        if delivery.too_large:
            write(
                f"{letter.position} stays: it is larger than {settings.max_body} bytes, see --rabbitmq-max-body\n"
            )
            continue
        origin = origin_of(delivery, settings.dead_letter_exchange)
        try:
            await connection.publish("", settings.queue, delivery.body, revived(properties, origin))
        except PublishError as error:
            write(f"{letter.position} stays: queue {settings.queue} did not take it: {error}\n")
            continue
        connection.ack(delivery.tag)
        done += 1
    write(f"{done} of {len(letters)} dead letters put back into {settings.queue}\n")
    return 0 if done == len(letters) else 1
