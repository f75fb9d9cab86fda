"""Listening on endpoints: what their texts may say, and what to do when one cannot be listened on."""

from __future__ import annotations

import errno
import os
import re
from socket import gaierror
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from rtwist.errors import ConfigError

BACKLOG = 4096
"""Connections that may wait to be accepted: Twisted's 50 are few when all clients come back at once, and whoever
finds no place tries again after seconds. The kernel may allow less (Linux: net.core.somaxconn)."""

_SHARED = ("tcp", "tcp4", "tcp6")
_EXAMPLES = "write for example tcp:8009 or tcp:8009:interface=127.0.0.1"
_HOST_AND_PORT = re.compile(r"(?:tcp://|https?://)?(?:([\w.-]*):)?([0-9]+)/?", re.ASCII)
_NO_NUMBER = re.compile(r"invalid literal for int\(\) with base \d+: (.*)", re.DOTALL)
_MISSING = re.compile(r"missing \d+ required positional arguments?: '(\w+)'")
_UNEXPECTED = re.compile(r"unexpected keyword argument '(.*?)'", re.DOTALL)


class Listening(Service):
    """Listens on the endpoint that `text` describes while it runs.

    Raises `ConfigError` for a text that means nothing, and at its start when it cannot listen.
    """

    _log = Logger()

    def __init__(self, text: str, factory: IProtocolFactory, reactor: Any) -> None:
        self._text = text
        self._factory = factory
        self._port: IListeningPort | None = None
        self._waiting: Deferred[Any] | None = None
        try:
            self._endpoint = serverFromString(reactor, text)
        except Exception as error:  # whatever the endpoint's parser, plugins or key files raise
            raise ConfigError(f"--listen is {text!r}: {_about_text(text, error)}") from None

    @property
    def address(self) -> str:
        """Where it listens; before it does, and for what is no usual address, the endpoint's text."""
        address = None if self._port is None else self._port.getHost()
        if isinstance(address, IPv4Address):
            return f"{address.host}:{address.port}"
        if isinstance(address, IPv6Address):
            return f"[{address.host}]:{address.port}"
        if isinstance(address, UNIXAddress) and address.name is not None:
            return f"unix:{os.fsdecode(address.name)}"
        return self._text

    def privilegedStartService(self) -> None:
        """Begin to listen, while the process still has the privileges it was started with."""
        super().privilegedStartService()
        at_once: list[BaseException | None] = []

        def failed(failure: Failure) -> None:
            if self._waiting is None:
                at_once.append(failure.value)
            elif not failure.check(CancelledError):
                self._log.failure("cannot listen on {endpoint}", failure, endpoint=self._text)

        waiting = self._endpoint.listen(self._factory)
        waiting.addCallbacks(self._listens, failed)
        if at_once:
            raise ConfigError(_about_failure(self._text, at_once[0]))
        self._waiting = waiting

    def startService(self) -> None:
        """Begin to listen, unless that has been done."""
        super().startService()
        if self._waiting is None:
            self.privilegedStartService()

    def give_up_accepting(self) -> int:
        """Leave the connections that come to processes that are given the listening socket, which is returned.

        Raises `ConfigError` for what other processes cannot be given.
        """
        kind = self._text.partition(":")[0]
        port: Any = self._port
        if kind not in _SHARED or port is None:
            raise ConfigError(
                f"--listen is {self._text!r}: several workers share tcp: and tcp6: endpoints only; let a proxy "
                "in front listen there, or use --workers 1"
            )
        port.stopReading()
        keep_for_others(port)
        return int(port.fileno())

    def stopService(self) -> Deferred[None]:
        """Stop listening; open connections stay."""
        super().stopService()
        if self._port is not None:
            return maybeDeferred(self._port.stopListening).addCallback(lambda _: None)
        if self._waiting is not None:
            self._waiting.cancel()
        return succeed(None)

    def _listens(self, port: IListeningPort) -> None:
        self._port = port
        listening = getattr(port, "socket", None)
        # Whoever hands a socket over, and whoever writes backlog=, has chosen.
        if listening is not None and not self._text.startswith("systemd:") and "backlog=" not in self._text:
            listening.listen(BACKLOG)


def keep_for_others(port: Any) -> None:
    """Have `port` close only its own descriptor: Twisted shuts the socket down, for all who have it."""
    port._shouldShutdown = False


def _about_text(text: str, error: Exception) -> str:
    """What is wrong with an endpoint's text, and what to write instead."""
    kind = text.partition(":")[0]
    said = str(error)
    if said.startswith("Unknown endpoint type"):
        found = _HOST_AND_PORT.fullmatch(text)
        if found is None:
            return f"there is no endpoint of the kind {kind!r}; {_EXAMPLES}"
        return f"did you mean tcp:{found[2]}" + (f":interface={found[1]}?" if found[1] else "?")
    if kind == "systemd":
        return (
            "systemd has handed over no such socket: start the service by its socket unit, whose "
            "FileDescriptorName= is the name here"
        )
    if isinstance(error, OSError) and error.filename is not None:
        return f"{_about_file(os.fsdecode(error.filename), error)}; privateKey= and certKey= name PEM files"
    if isinstance(error, TypeError):
        return f"{_about_arguments(said)}; {_EXAMPLES}"
    number = _NO_NUMBER.fullmatch(said)
    if number is not None:
        what = "the port" if kind in ("tcp", "tcp4", "tcp6", "ssl") else number[1]
        return f"{what} must be a number; {_EXAMPLES}"
    if kind == "ssl":
        return "its key or certificate cannot be used; privateKey= and certKey= name PEM files of one pair"
    return f"{said}; {_EXAMPLES}"


def _about_file(name: str, error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return f"there is no file {name}"
    return f"the file {name} cannot be read ({os.strerror(error.errno or 0)})"


def _about_arguments(said: str) -> str:
    missing = _MISSING.search(said)
    if missing is not None:
        return f"the {'path' if missing[1] == 'address' else missing[1]} is missing"
    unexpected = _UNEXPECTED.search(said)
    if unexpected is not None:
        return f"it takes no {unexpected[1]}="
    return "it has too many parts (a colon inside one is written \\:)"


def _about_failure(text: str, error: BaseException | None) -> str:
    """Why nothing can listen on an endpoint, and what to do about it."""
    cause = error.socketError if isinstance(error, CannotListenError) else error
    if text.startswith("unix:"):
        return _about_path(text, text.split(":")[1].removeprefix("address="), cause)
    code = getattr(cause, "errno", None)
    port = error.port if isinstance(error, CannotListenError) else None
    if code == errno.EADDRINUSE and isinstance(port, int):
        return f"port {port} is in use: stop what uses it, or choose another with {_another(text, port)}"
    if code == errno.EACCES and isinstance(port, int):
        return f"port {port} is for privileged programs: choose one above 1023, such as 8009"
    host = error.interface if isinstance(error, CannotListenError) else ""
    if isinstance(cause, gaierror):
        advice = f"the host {host} is unknown: write an address of this machine, such as 127.0.0.1"
    elif code == errno.EADDRNOTAVAIL:
        advice = f"{host} is no address of this machine: write one that is, or leave interface= out"
    elif code == errno.EAFNOSUPPORT:
        advice = "this machine does not know such addresses: write tcp: in place of tcp6:"
    elif isinstance(cause, OverflowError):
        advice = "the port must be from 0 to 65535"
    else:
        advice = f"cannot listen there: {cause}"
    return f"--listen is {text!r}: {advice}"


def _another(text: str, port: int) -> str:
    other = port + 1 if port < 65535 else port - 1
    if text == f"tcp:{port}":
        return f"--port {other} (make run PORT={other})"
    return f"--listen {text.replace(str(port), str(other), 1)}"


def _about_path(text: str, path: str, cause: object) -> str:
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - pathlib would change what was written
    code = getattr(cause, "errno", None)
    if cause == "Cannot acquire lock" or code == errno.EADDRINUSE:
        return f"unix:{path} is used by another process: stop it, or choose another path"
    if code == errno.ENOENT:
        advice = f"the folder {folder} does not exist: make it, or choose another path"
    elif code == errno.ENOTDIR:
        advice = f"{folder} is no folder: choose another path"
    elif code in (errno.EACCES, errno.EPERM, errno.EROFS):
        advice = f"this user may not write to the folder {folder}: allow it, or choose another path"
    elif "too long" in str(cause):
        advice = "the path is too long for a socket: choose a shorter one"
    else:
        advice = f"cannot listen there: {cause}"
    return f"--listen is {text!r}: {advice}"
