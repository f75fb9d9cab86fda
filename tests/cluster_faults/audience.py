"""The clients, in processes of their own: raw ones in Python and real ones in Node."""

from __future__ import annotations

import asyncio
import json
import pickle
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster_faults import crowd
from tests.cluster_faults.crowd import Heard, Seat
from tests.faults.checker import Connection, History, Received
from tests.faults.traffic import Identity
from tests.service.peers import token
from tests.support.clients import require_node_modules
from tests.support.processes import Program

FOLDER = Path(__file__).parent
TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"]}


class Party:
    """Some clients in one process; files go to `folder`."""

    def __init__(self, folder: Path, name: str, size: int, argv: Sequence[str]) -> None:
        self.size = size
        self.heard_file = folder / f"{name}.heard"
        self._program = Program([*argv, str(folder / f"{name}.seats"), str(self.heard_file)])

    @property
    def state(self) -> dict[str, int]:
        """How they are, see `tests.cluster_faults.crowd`."""
        assert self._program.process.poll() is None, self._program.output[-30:]
        reports = [line for line in self._program.output[-50:] if line.startswith('{"in":')]
        found: dict[str, int] = json.loads(reports[-1]) if reports else {"in": 0, "told": -1}
        return found

    async def end(self) -> None:
        """End the process, however it is."""
        self._program.process.kill()
        await asyncio.to_thread(self._program.wait)

    async def leave(self) -> None:
        """Have all leave and write down what they heard."""
        assert await asyncio.to_thread(self._program.stop, 60) == 0, self._program.output


class RawParty(Party):
    """Raw clients."""

    def __init__(self, folder: Path, name: str, seats: Sequence[Seat]) -> None:
        (folder / f"{name}.seats").write_bytes(pickle.dumps(list(seats)))
        super().__init__(folder, name, len(seats), [sys.executable, "-m", crowd.__name__])

    def heard(self) -> Heard:
        """What they heard, once they have left."""
        found: Heard = pickle.loads(self.heard_file.read_bytes())  # noqa: S301 - its own process wrote it
        return found


class RealParty(Party):
    """Real socket.io-clients; `native` ones are those of the Node server, which knows no requests of rtwist."""

    def __init__(self, folder: Path, name: str, seats: Sequence[Seat], *, native: bool = False) -> None:
        self._seats = seats
        wanted = [_of_server(seat) if native else _of_rtwist(seat) for seat in seats]
        (folder / f"{name}.seats").write_text(json.dumps(wanted))
        super().__init__(folder, name, len(seats), [require_node_modules(), str(FOLDER / "clients.js")])

    def heard(self) -> Heard:
        """What they heard, once they have left."""
        found = json.loads(self.heard_file.read_text())
        histories = [
            History(seat.name, seat.identity.rooms, [_connection(each) for each in found[seat.name]])
            for seat in self._seats
        ]
        return Heard(histories, {}, [])


def _of_rtwist(seat: Seat) -> dict[str, Any]:
    user, company, shops, role, orders, products, _ = seat.identity
    asks = [
        *(("subscribe_order", str(number)) for number in orders),
        *(("subscribe_inventory", str(number)) for number in products),
    ]
    return _wanted(seat, {"token": token(user, company, *shops, role=role)}, asks)


def _of_server(seat: Seat) -> dict[str, Any]:
    return _wanted(seat, {"rooms": sorted(seat.identity.rooms)}, [("subscribed",)])


def _wanted(seat: Seat, auth: dict[str, Any], asks: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    url, transports = f"http://127.0.0.1:{seat.port}", TRANSPORTS[seat.transport]
    return {"name": seat.name, "url": url, "transports": transports, "auth": auth, "asks": asks}


def _connection(found: dict[str, Any]) -> Connection:
    times = {name: float("inf") if found[name] is None else found[name] for name in ("settled", "ended")}
    return Connection(0, found["began"], [Received(*each) for each in found["received"]], **times)


def seats(identities: Sequence[Identity], transport: str, port: int, kind: str) -> list[Seat]:
    """A client for each identity."""
    return [Seat(f"{kind} {at} {one.user}", one, transport, port) for at, one in enumerate(identities)]
