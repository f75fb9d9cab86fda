"""How the process sets Python's garbage collector."""

from __future__ import annotations

import subprocess
import sys

from rtwist.collector import YOUNG

PROGRAM = """
import gc
from rtwist.collector import relax
usual = gc.get_threshold()
relax()
assert gc.get_freeze_count() > 1000, gc.get_freeze_count()
assert gc.isenabled()
print(gc.get_threshold()[0], gc.get_threshold()[1:] == usual[1:])
"""


def test_young_objects_are_looked_at_less_often_and_those_of_the_start_no_more() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == f"{YOUNG} True\n"
