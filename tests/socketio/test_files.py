"""Files of the client, to whoever reads them slowly."""

from __future__ import annotations

from pathlib import Path

from rtwist.engineio.packet import PIECE
from rtwist.socketio.files import ClientFile
from tests.engineio.http_fakes import Front


def test_a_large_file_is_written_as_it_is_read(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2000
    (tmp_path / "socket.io.js").write_bytes(content)
    front = Front(None, ClientFile(tmp_path / "socket.io.js", "4.8.3"))
    line = front.line()
    write = line.pipe.write

    def write_and_wait(data: bytes) -> None:
        write(data)
        line.stop_reading()

    line.pipe.write = write_and_wait  # type: ignore[method-assign]
    line.send_request("GET", "/socket.io.js")
    taken = b""
    while len(taken) < len(content):
        assert len(line.pipe.value()) <= 2 * PIECE
        taken += line.pipe.value()
        line.pipe.clear()
        line.read_all()
    assert taken.endswith(content)
    front.end()
