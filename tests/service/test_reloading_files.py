"""SIGHUP and what stands in files of its own, or at a key server: keys, secrets, routes."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.service.peers import API_KEY, SECRET, token
from tests.service.reloads import OTHER, REFUSED, ROUTES, accepted, running
from tests.service.servers import WITH_KEY, granted, refused
from tests.support.keys import ED25519, P256, RSA, key_set, pem, token_by
from tests.support.keyserver import KeyServer

ROUTE = ROUTES.format(event="parcel:left")


class Broken(NamedTuple):
    name: str
    good: str
    bad: str | bytes | None
    told: str


class TestFiles:
    """What stands in files of its own; their names stay, and what is in them changes."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "a-file"

    def test_secrets_one_after_the_other(self, tmp_path: Path, file: Path) -> None:
        previous = tmp_path / "previous"
        file.write_text(SECRET)
        previous.write_text(SECRET)
        options = ("--jwt-secret-file", str(file), "--jwt-previous-secret-file", str(previous))
        with running(tmp_path, *options, API_KEY=API_KEY) as reloaded:
            old, new = token("u1"), token("u1", secret=OTHER)
            assert accepted(reloaded.service, old=old, new=new) == ["old"]
            file.write_text(OTHER)
            reloaded.reload()
            assert accepted(reloaded.service, old=old, new=new) == ["old", "new"]
            previous.write_text(OTHER)
            reloaded.reload()
            assert accepted(reloaded.service, old=old, new=new) == ["new"]

    def test_public_keys(self, tmp_path: Path, file: Path) -> None:
        file.write_text(pem(RSA))
        with running(tmp_path, JWT_PUBLIC_KEY_FILE=str(file)) as reloaded:
            tokens = {"rsa": token_by(RSA), "p256": token_by(P256), "ed25519": token_by(ED25519)}
            assert accepted(reloaded.service, **tokens) == ["rsa"]
            file.write_text(pem(RSA) + pem(P256))
            reloaded.reload()
            assert accepted(reloaded.service, **tokens) == ["rsa", "p256"]
            file.write_text(pem(ED25519))
            reloaded.reload()
            assert accepted(reloaded.service, **tokens) == ["ed25519"]

    def test_from_a_secret_to_public_keys(self, tmp_path: Path, file: Path) -> None:
        file.write_text(pem(P256))
        with running(tmp_path, JWT_SECRET=SECRET) as reloaded:
            tokens = {"secret": token("u1"), "p256": token_by(P256)}
            assert accepted(reloaded.service, **tokens) == ["secret"]
            reloaded.change(JWT_SECRET="", JWT_PUBLIC_KEY_FILE=str(file))
            assert accepted(reloaded.service, **tokens) == ["p256"]

    def test_the_api_key(self, tmp_path: Path, file: Path) -> None:
        file.write_text(API_KEY)
        with running(tmp_path, JWT_SECRET=SECRET, API_KEY_FILE=str(file)) as reloaded:
            granted(reloaded.service.request("GET", "/connected-users", WITH_KEY))
            file.write_text("another-api-key-of-the-tests")
            reloaded.reload()
            assert refused(reloaded.service.request("GET", "/connected-users", WITH_KEY))[0] == 401

    @pytest.mark.parametrize(
        "broken",
        [
            Broken("JWT_SECRET_FILE", SECRET, "short", "must have at least 32 bytes, this one has 5"),
            Broken("JWT_SECRET_FILE", SECRET, "", "which is empty"),
            Broken("JWT_SECRET_FILE", SECRET, None, "No such file"),
            Broken("JWT_SECRET_FILE", SECRET, b"\xff" * 40, "cannot be read"),
            Broken("JWT_PUBLIC_KEY_FILE", pem(RSA), pem(RSA)[:100], "JWT_PUBLIC_KEY_FILE cannot be used"),
            Broken("JWT_PUBLIC_KEY_FILE", pem(RSA), "no PEM", "JWT_PUBLIC_KEY_FILE cannot be used"),
            Broken("API_KEY_FILE", API_KEY, "", "which is empty"),
            Broken("RTWIST_ROUTES", ROUTE, "[[route", "a-file, line 1: "),
            Broken("RTWIST_ROUTES", ROUTE, None, "RTWIST_ROUTES"),
        ],
        ids=lambda broken: f"{broken.name}, {broken.told}",
    )
    def test_a_broken_one_leaves_all_as_it_was_and_the_log_says_so_once(
        self, tmp_path: Path, file: Path, broken: Broken
    ) -> None:
        name, good, bad, told = broken
        file.write_text(good)
        keys = {} if name.startswith("JWT") else {"JWT_SECRET": SECRET}
        key = {} if name == "API_KEY_FILE" else {"API_KEY": API_KEY}
        with running(tmp_path, **keys, **key, **{name: str(file)}) as reloaded:
            service = reloaded.service
            if bad is None:
                file.unlink()
            else:
                file.write_bytes(bad if isinstance(bad, bytes) else bad.encode())
            reloaded.write(FRONTEND_URL="https://shop.example")
            assert told in reloaded.reload(REFUSED)
            made = token_by(RSA, userId="u1") if name == "JWT_PUBLIC_KEY_FILE" else token("u1")
            client = service.open()
            assert client.connect(made) is None
            granted(service.request("GET", "/connected-users"))
            origin = (("Origin", "https://shop.example"),)
            assert service.request("GET", "/socket.io/?EIO=4&transport=polling", origin).status == 403
            if name == "RTWIST_ROUTES":
                service.publish_kind("parcel.left", userId="u1")
                assert client.names() == ["parcel:left"]
            lines = [line for line in service.program.output if "configuration" in line or "\t" in line]
            assert len(lines) == 1, "one line, and no traceback"
            file.write_text(good)
            reloaded.reload()
            assert service.request("GET", "/socket.io/?EIO=4&transport=polling", origin).status == 200


class TestKeyServers:
    def test_keys_are_fetched_anew(self, tmp_path: Path) -> None:
        with KeyServer(key_set(k1=P256)) as server, running(tmp_path, JWT_JWKS_URL=server.url) as reloaded:
            tokens = {"first": token_by(P256, "k1"), "second": token_by(RSA, "k2")}
            assert accepted(reloaded.service, **tokens) == ["first"]
            server.shows(key_set(k2=RSA))
            reloaded.reload()
            reloaded.service.program.wait_for_output("1 keys fetched: ['k2']")
            assert accepted(reloaded.service, **tokens) == ["second"]

    def test_another_url(self, tmp_path: Path) -> None:
        with (
            KeyServer(key_set(k1=P256)) as first,
            KeyServer(key_set(k2=RSA)) as second,
            running(tmp_path, JWT_JWKS_URL=first.url) as reloaded,
        ):
            tokens = {"first": token_by(P256, "k1"), "second": token_by(RSA, "k2")}
            assert accepted(reloaded.service, **tokens) == ["first"]
            reloaded.change(JWT_JWKS_URL=second.url)
            reloaded.service.program.wait_for_output("1 keys fetched: ['k2']")
            assert accepted(reloaded.service, **tokens) == ["second"]

    def test_a_url_where_nothing_answers_turns_nobody_away(self, tmp_path: Path) -> None:
        with KeyServer(key_set(k1=P256)) as server, running(tmp_path, JWT_JWKS_URL=server.url) as reloaded:
            assert accepted(reloaded.service, first=token_by(P256, "k1")) == ["first"]
            reloaded.change(JWT_JWKS_URL="http://127.0.0.1:1/keys")
            reloaded.service.program.wait_for_output("keys cannot be fetched: ")
            assert reloaded.service.program.wait_for_output("1 from before stay")
            assert accepted(reloaded.service, first=token_by(P256, "k1")) == ["first"]

    def test_a_url_that_is_none_leaves_all_as_it_was(self, tmp_path: Path) -> None:
        with KeyServer(key_set(k1=P256)) as server, running(tmp_path, JWT_JWKS_URL=server.url) as reloaded:
            reloaded.write(JWT_JWKS_URL="http://keys.example/keys")
            assert "--jwt-jwks-allow-http" in reloaded.reload(REFUSED)
            assert accepted(reloaded.service, first=token_by(P256, "k1")) == ["first"]
