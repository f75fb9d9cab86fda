"""A service that is told to read its configuration again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.service.peers import Client
from tests.service.servers import ANYWHERE, Service, complaints, twistd

OTHER = "another-secret-of-the-tests-with-more-than-32-bytes"
DONE = "the configuration was read again"
REFUSED = "the new configuration is refused, and the one before stays: "
ROUTES = '[[route]]\npattern = "parcel.left"\nemit = "{event}"\nrooms = ["user:{{userId}}"]\nfields = "*"\n'


class Reloaded:
    """A service with its settings in a file."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.file = folder / "settings.env"
        self.settings = settings
        self.write()

    def write(self, **settings: str) -> None:
        self.settings |= settings
        self.file.write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))

    def take(self, service: Service) -> None:
        self.service = service

    def reload(self, says: str = DONE) -> str:
        """Send SIGHUP; the line of the log that holds `says`."""
        output = self.service.program.output
        del output[:]
        self.service.program.process.send_signal(signal.SIGHUP)
        return self.service.program.wait_for_output(says)

    def change(self, **settings: str) -> None:
        self.write(**settings)
        self.reload()


@contextmanager
def running(folder: Path, *options: str, **settings: str) -> Iterator[Reloaded]:
    made = Reloaded(folder, settings)
    with twistd("--listen", ANYWHERE, "--env-file", str(made.file), *options, env={}) as program:
        made.take(Service(program))
        yield made
        made.service.close_clients()
        assert program.stop() == 0
    assert complaints(program.output) == []


def accepted(service: Service, **tokens: str) -> list[str]:
    """The names of those tokens that let in."""
    return [name for name, made in tokens.items() if code_of(service.open(), made) is None]


def code_of(client: Client, made: str) -> str | None:
    refusal = client.connect(made)
    return None if refusal is None else str(refusal["data"]["code"])
