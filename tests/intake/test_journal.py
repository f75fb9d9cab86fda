"""The window on disk: what was committed is remembered by the next process, whatever became of this one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import capturedLogs

from rtwist.errors import ConfigError
from rtwist.intake.journal import Journal
from tests.intake.brokered import order
from tests.support.service import Service

IDS = st.text(min_size=1, max_size=8)


def lines(directory: Path) -> int:
    return sum(bool(line) for path in directory.glob("handled*") for line in path.read_bytes().splitlines())


class TestRemembering:
    @given(st.lists(st.tuples(IDS, st.booleans()), max_size=30))
    def test_what_was_committed_and_nothing_else(self, steps: list[tuple[str, bool]]) -> None:
        with tempfile.TemporaryDirectory() as name:
            journal = Journal(Path(name), 1000.0)
            committed: set[str] = set()
            waiting: set[str] = set()
            for event_id, commit in steps:
                journal.add(event_id, 1000.0)
                waiting.add(event_id)
                if commit:
                    journal.commit(1000.0)
                    committed |= waiting
                    waiting = set()
            journal.close()
            again = Journal(Path(name), 1001.0)
            assert {one for one, _ in steps if again.holds(one, 1001.0)} == committed
            again.close()

    def test_what_was_forgotten_before_the_commit(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, 0.0)
        journal.add("a", 0.0)
        journal.add("b", 0.0)
        journal.forget("a")
        journal.commit(0.0)
        journal.close()
        again = Journal(tmp_path, 1.0)
        assert (again.holds("a", 1.0), again.holds("b", 1.0)) == (False, True)

    def test_not_beyond_the_window(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, 0.0, seconds=10.0)
        journal.add("old", 0.0)
        journal.add("new", 11.0)
        journal.commit(11.0)
        journal.close()
        again = Journal(tmp_path, 12.0, seconds=10.0)
        assert (again.holds("old", 12.0), again.holds("new", 12.0)) == (False, True)

    def test_the_time_without_a_process_does_not_count(self, tmp_path: Path) -> None:
        for life in range(8):
            now = 1000.0 * life
            journal = Journal(tmp_path, now, seconds=10.0)
            held = [one for one in range(8) if journal.holds(str(one), now)]
            assert held == list(range(max(0, life - 3), life)), "three seconds pass in each life"
            for name, later in ((str(life), 0.0), (f"last of {life}", 3.0)):
                journal.add(name, now + later)
                journal.commit(now + later)
            journal.close()

    def test_a_pause_does_not_count(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, 0.0, seconds=10.0)
        journal.add("before", 0.0)
        journal.pause(1.0)
        journal.resume(501.0)
        journal.add("after", 502.0)
        journal.commit(502.0)
        journal.close()
        again = Journal(tmp_path, 900.0, seconds=10.0)
        assert (again.holds("before", 900.0), again.holds("after", 900.0)) == (True, True)
        assert (again.holds("before", 908.0), again.holds("after", 909.9)) == (False, True)

    def test_a_line_that_broke_off_harms_only_itself(self, tmp_path: Path) -> None:
        (tmp_path / "handled").write_bytes(b'[5.0, "a"]\n{}\n[5.0]\n[null, "x"]\n\xff\n[5.0, "brok')
        journal = Journal(tmp_path, 6.0)
        journal.add("b", 6.0)
        journal.commit(6.0)
        journal.close()
        again = Journal(tmp_path, 7.0)
        assert (len(again), again.holds("a", 7.0), again.holds("b", 7.0)) == (2, True, True)


class TestTheFiles:
    def test_are_bounded_by_the_size_of_the_window(self, tmp_path: Path) -> None:
        for start in range(5):  # also when the process is started again and again
            journal = Journal(tmp_path, 0.0, size=10)
            for number in range(9):
                journal.add(f"{start}-{number}", 0.0)
                journal.commit(0.0)
                assert lines(tmp_path) <= 20
            last = [f"{start}-{number}" for number in range(9)]
            journal.close()
            again = Journal(tmp_path, 0.0, size=10)
            assert all(again.holds(one, 0.0) for one in last)
            again.close()

    def test_are_bounded_by_its_seconds(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, 0.0, seconds=10.0)
        for number in range(100):
            journal.add(str(number), float(number))
            journal.commit(float(number))
            assert lines(tmp_path) <= 20
        journal.close()
        again = Journal(tmp_path, 100.0, seconds=10.0)
        assert [number for number in range(100) if again.holds(str(number), 100.0)] == list(range(90, 100)), (
            "the second without a process does not count"
        )

    def test_belong_to_one_process(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, 0.0)
        with pytest.raises(ConfigError, match="another process uses"):
            Journal(tmp_path, 0.0)
        journal.close()
        Journal(tmp_path, 0.0).close()

    def test_a_directory_that_cannot_be_used(self, tmp_path: Path) -> None:
        (tmp_path / "handled").mkdir()
        with pytest.raises(ConfigError, match=r"--state-directory is .* cannot be used: Is a directory"):
            Journal(tmp_path, 0.0)

    def test_a_full_disk_is_told_once_and_nothing_stops(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path, 0.0)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, journal._file)
        with capturedLogs() as events:
            for number in range(3):
                journal.add(str(number), 0.0)
                journal.commit(0.0)
        assert [event["error"] for event in events] == ["[Errno 28] No space left on device"]
        assert journal.holds("2", 0.0)


class TestTheService:
    @pytest.fixture
    def service(self, tmp_path: Path) -> Iterator[Service]:
        with Service("--state-directory", str(tmp_path)) as running:
            yield running

    def test_knows_after_a_crash_what_it_had_accepted(self, service: Service) -> None:
        event = {"type": "order.shipped", "id": "e1", "data": order(1)}
        assert service.request("POST", "/events", event)[1]["data"]["accepted"] == 1
        service.kill()
        service.start()
        status, body = service.request("POST", "/events", [event, {**event, "id": "e2"}])
        assert (status, body["data"]["accepted"], body["data"]["duplicates"]) == (200, 1, 1)

    def test_says_that_another_process_uses_the_directory(self, service: Service, tmp_path: Path) -> None:
        with pytest.raises(AssertionError, match=r"rtwist: --state-directory is .*, which another process uses"):
            Service("--state-directory", f"{tmp_path}:/other").start()
