"""Reading profiles."""

from __future__ import annotations

from bench.versus.profiling import page, read_profile

RAW = """\
<module> (<string>:1);mainLoop (twisted/internet/base.py:697);doPoll (twisted/internet/epollreactor.py:244) 3
<module> (<string>:1);work (rtwist/intake/session.py:70);send (rtwist/engineio/outflow.py:150) 5
<module> (<string>:1);work (rtwist/intake/session.py:75);send (rtwist/engineio/outflow.py:155) 1
<module> (<string>:1);encode (rtwist/x.py:1);dumps (json/__init__.py:231) 1
worker (threading.py:953);wait (threading.py:320) 90
"""


def test_samples_are_counted_by_function_and_package() -> None:
    profile = read_profile(RAW)
    assert profile.total == 10
    assert profile.functions["send (rtwist/engineio/outflow.py)"] == 6
    assert profile.packages == {"rtwist": 6, "twisted": 3, "Python": 1}


def test_the_page_shows_what_takes_most_first() -> None:
    text = page({"fanout": read_profile(RAW)}, quick=True)
    assert "10 samples: rtwist 60%, twisted 30%, Python 10%." in text
    assert text.index("60.0%") < text.index("30.0%")
    assert "``send (rtwist/engineio/outflow.py)``" in text
