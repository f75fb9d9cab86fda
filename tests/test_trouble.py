"""Which troubles are told of."""

from __future__ import annotations

from rtwist.trouble import REPEATED_SECONDS, Trouble


def test_it_is_told_of_once_and_again_after_a_while() -> None:
    trouble = Trouble()
    assert trouble.is_news("refused", 0.0)
    assert not trouble.is_news("refused", 1.0)
    assert not trouble.is_news("refused", REPEATED_SECONDS - 1)
    assert trouble.is_news("refused", REPEATED_SECONDS)
    assert not trouble.is_news("refused", REPEATED_SECONDS + 1)


def test_another_one_is_told_of_at_once() -> None:
    trouble = Trouble()
    assert trouble.is_news("refused", 0.0)
    assert trouble.is_news("silent", 0.0)
    assert trouble.is_news("refused", 0.0)


def test_the_same_one_is_told_of_anew_when_it_had_ended() -> None:
    trouble = Trouble()
    assert trouble.is_news("refused", 0.0)
    trouble.over()
    assert trouble.is_news("refused", 1.0)
