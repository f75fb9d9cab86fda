"""`python -m rtwist token`: mints tokens that the service takes, and says what is missing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import jwt
import pytest

from rtwist.__main__ import main
from tests.support.processes import ROOT

SECRET = "a-secret-of-more-than-thirty-two-bytes"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)


def claims_of(printed: str, secret: str = SECRET) -> dict[str, object]:
    token = printed.removesuffix("\n")
    assert token == token.strip()
    claims: dict[str, object] = jwt.decode(token, secret, algorithms=["HS256"])
    return claims


def test_a_token_says_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = "token --user u1 --company c1 --shop s1 --shop s2 --role manager --role clerk --lifetime 60"
    before = int(time.time())
    assert main(arguments.split()) == 0
    claims = claims_of(capsys.readouterr().out)
    issued = claims.pop("iat")
    assert isinstance(issued, int)
    assert before <= issued <= time.time()
    assert claims == {
        "userId": "u1",
        "companyId": "c1",
        "shopIds": ["s1", "s2"],
        "roles": ["manager", "clerk"],
        "exp": issued + 60,
    }


def test_a_user_is_enough_and_the_token_lasts_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--user", "u1"]) == 0
    claims = claims_of(capsys.readouterr().out)
    assert set(claims) == {"userId", "iat", "exp"}
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 86400


def test_the_secret_may_come_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "secret"
    file.write_text("another-secret-of-more-than-32-bytes\n")
    assert main(["token", "--user", "u1", "--jwt-secret-file", str(file)]) == 0
    claims_of(capsys.readouterr().out, "another-secret-of-more-than-32-bytes")


@pytest.mark.parametrize(
    ("secret", "says"),
    [("", "set JWT_SECRET to the service's secret, or give --jwt-secret-file"), ("short", "at least 32 bytes")],
)
def test_without_a_proper_secret_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], secret: str, says: str
) -> None:
    monkeypatch.setenv("JWT_SECRET", secret)
    assert main(["token", "--user", "u1"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("python -m rtwist token: ")
    assert says in captured.err


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing"
    assert main(["token", "--user", "u1", "--jwt-secret-file", str(missing)]) == 1
    assert f"--jwt-secret-file is '{missing}', which cannot be read" in capsys.readouterr().err


def test_an_expired_token_can_be_had_to_try_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["token", "--user", "u1", "--lifetime", "-5"]) == 0
    with pytest.raises(jwt.ExpiredSignatureError):
        claims_of(capsys.readouterr().out)


WRONG = [
    [],
    ["tokens"],
    ["token"],
    ["token", "--user"],
    *(["token", "--user", "u1", "--lifetime", text] for text in ("x", "nan", "inf", "1e20")),
    *(["token", "--user", text] for text in ("", "a\nb", "x" * 201)),
    ["token", "--user", "u1", "--company", ""],
    ["token", "--user", "u1", "--shop", "s1", "--shop", ""],
    ["token", "--user", "u1", "--role", " "],
]


@pytest.mark.parametrize("arguments", WRONG, ids=repr)
def test_what_would_make_a_useless_token_is_refused_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    captured = capsys.readouterr()
    assert (caught.value.code, captured.out) == (2, "")
    assert captured.err.startswith("usage: python -m rtwist")


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rtwist", "token", "--user", "u1"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert claims_of(done.stdout)["userId"] == "u1"
