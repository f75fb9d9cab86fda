"""The service's own limits: what a connection, an address and a user may take, and how many there can be."""

from __future__ import annotations

import contextlib

from twisted.logger import Logger

from rtwist.auth.identity import Identity
from rtwist.domain.rooms import user_room
from rtwist.engineio.admission import SPARE_CONNECTIONS
from rtwist.socketio import ConnectionRefused, Server, Socket

try:
    import resource
except ImportError:  # there is none on Windows
    resource = None  # type: ignore[assignment]

MOST_CONNECTIONS = 100_000
"""Taken by default however many files may be open: at 20 kB each they need 2 GB."""

RESERVED_FILES = 192
"""Files kept for the broker, logs, listening ports and lookups; of few files, a quarter."""

DEFAULT_MAX_CONNECTIONS_PER_ADDRESS = 10_000
"""An office or a mobile network can be one address, and so is a proxy that is not in `--trusted-proxies`."""

DEFAULT_MAX_CONNECTIONS_PER_USER = 5_000
"""Far above the tabs and devices of one person, for a wall of screens may share an account."""

DEFAULT_MAX_HANDSHAKES = 2_000
"""A second, in all: about what one core can take; 40,000 at once."""

DEFAULT_MAX_HANDSHAKES_PER_ADDRESS = 500
"""A second; 10,000 at once, so that everybody behind one address can come back together."""

DEFAULT_MAX_PACKETS = 1_000
"""A second on one connection: far above what people and pages do; read on credit, so that nothing gets lost."""

DEFAULT_MAX_BYTES = 1_000_000
"""A second on one connection: one largest message; 20 at once."""

DEFAULT_MAX_EVENTS = 300
"""A second on one connection; 6,000 at once, since a page that comes back subscribes to all it follows."""

DEFAULT_MAX_TYPING = 5_000
"""Deliveries of `typing` a second that one user may cause; 100,000 at once. One goes to all who are in a room."""

DEFAULT_MAX_REFRESHES = 1
"""New tokens a second on one connection; 20 at once. Each is verified, and may move the socket to other rooms."""


class UserLimit:
    """Connection middleware that follows authentication: refuses a user who has `most` sockets already."""

    _log = Logger()

    def __init__(self, io: Server, most: int | None) -> None:
        self._io = io
        self.most = most

    def __call__(self, socket: Socket) -> None:
        """Raise `ConnectionRefused` with the code `too_many` if the socket is one too many."""
        identity: Identity = socket.data["identity"]
        if self.most is None:
            return
        if self._io.root.adapter.rooms.count(user_room(identity.user_id)) >= self.most:
            self._io.note_limit("max_connections_per_user", f"user {identity.user_id}")
            raise ConnectionRefused("Too many connections of this user", {"code": "too_many"})


def raise_file_limit() -> int | None:
    """Let the process open as many files as it may; returns how many, None where that cannot be known."""
    if resource is None:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS refuses more than its kernel allows, whatever the hard limit says.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def connections_for(files: int | None) -> int | None:
    """How many connections there is room for when so many files may be open; None for any number."""
    if files is None:
        return None
    return max(1, files - SPARE_CONNECTIONS - min(RESERVED_FILES, files // 4))


def max_forwarded(wanted: int, files: int | None) -> int:
    """How many requests may be forwarded at a time: each takes a file that no client can have then."""
    return wanted if files is None else max(1, min(wanted, files // 4))


def max_connections(wanted: int | None, files: int | None) -> tuple[int, str | None]:
    """The limit that can be kept, and what the operator should hear about the one `wanted`, if anything."""
    room = connections_for(files)
    if wanted is None:
        return min(MOST_CONNECTIONS, room or MOST_CONNECTIONS), None
    if room is None or wanted <= room:
        return wanted, None
    return room, (
        f"--max-connections is {wanted}, but with {files} open files there is room for {room}: allow more files "
        "(LimitNOFILE= in a systemd unit, ulimit -n in a shell)"
    )
