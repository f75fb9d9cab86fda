"""Content codings."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtwist.engineio.compression import choose_encoding, compress


@given(st.binary())
def test_what_is_compressed_comes_back(body: bytes) -> None:
    assert gzip.decompress(compress(body, "gzip")) == body
    assert zlib.decompress(compress(body, "deflate")) == body


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", None),
        ("identity", None),
        ("br", None),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("deflate;q=1.0, gzip;q=0.5", "deflate"),
        ("gzip;q=0", None),
        ("gzip;q=0, *", "deflate"),
        ("*", "gzip"),
        ("*;q=0", None),
        ("gzip ; q=0.8 , deflate", "deflate"),
        ("gzip;q=nonsense", None),
        ("gzip;level=9", "gzip"),
        ("x-gzip", None),
    ],
)
def test_the_coding_the_client_likes_most(accept: str, chosen: str | None) -> None:
    assert choose_encoding(accept) == chosen


@given(st.text(st.characters(max_codepoint=255)))
def test_any_header_gets_an_answer(accept: str) -> None:
    assert choose_encoding(accept) in {None, "gzip", "deflate"}


@pytest.mark.parametrize("accept", ["gzip;q=nan", "deflate;q=NaN, gzip;q=nan"])
def test_a_weight_that_is_no_number_means_no(accept: str) -> None:
    assert choose_encoding(accept) is None
