"""The service with public keys: from a file, and from a key server that is slow, gone, or has new ones."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.service.peers import API_KEY, token
from tests.service.servers import ANYWHERE, Service, complaints, twistd
from tests.support.certificates import Authority
from tests.support.keys import ED25519, P256, RSA, jwk, key_set, pem, token_by
from tests.support.keyserver import KeyServer, answer
from tests.support.processes import Program

INVALID = {"message": "Invalid or expired token", "data": {"code": "token_invalid"}}


def started(*options: str, **env: str) -> Program:
    return twistd("--listen", ANYWHERE, *options, env={"API_KEY": API_KEY, **env})


class TestFiles:
    @pytest.fixture(scope="class")
    @classmethod
    def service(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
        file = tmp_path_factory.mktemp("keys") / "keys.pem"
        file.write_text(pem(RSA) + pem(P256))
        with started(JWT_PUBLIC_KEY_FILE=str(file)) as program:
            yield Service(program)
        assert complaints(program.output) == []

    def test_tokens_of_each_key_let_in(self, service: Service) -> None:
        for key in (RSA, P256):
            client = service.open()
            assert client.connect(token_by(key, "any id")) is None
            assert client.succeed("refresh_token", token_by(key, lifetime=900))
        service.close_clients()

    def test_no_others_do(self, service: Service) -> None:
        forged = token("u1", secret="x" * 40)
        for made in (token_by(ED25519), forged, token("u1")):
            assert service.open().connect(made) == INVALID
        service.close_clients()


class TestKeyServers:
    def test_a_hundred_clients_are_one_request(self) -> None:
        gate = threading.Event()

        def late(request: BaseHTTPRequestHandler) -> None:
            gate.wait(20)
            answer(key_set(k1=P256))(request)

        with KeyServer(late) as keys, started(JWT_JWKS_URL=keys.url) as program:
            service = Service(program)
            clients = [service.open() for _ in range(100)]
            for client in clients:
                client.wire.send_text('40{"token":"' + token_by(P256, "k1") + '"}')
            gate.set()
            assert all(client.packet().startswith("40") for client in clients)
            assert len(keys.requests) == 1
            for number in range(200):
                assert service.open().connect(token_by(RSA, f"unknown {number}")) == INVALID
            assert len(keys.requests) == 1
            service.close_clients()
        assert complaints(program.output) == []

    def test_over_https_by_an_authority_that_is_trusted(self, tmp_path: Path) -> None:
        authority = Authority()
        (tmp_path / "authority.pem").write_bytes(authority.certificate_pem)
        with (
            KeyServer(key_set(k1=ED25519), tls=authority, folder=tmp_path) as keys,
            started(JWT_JWKS_URL=keys.url, SSL_CERT_FILE=str(tmp_path / "authority.pem")) as program,
        ):
            service = Service(program)
            assert service.open().connect(token_by(ED25519, "k1")) is None
            assert service.open().connect(token_by(P256, "k1")) == INVALID
            service.close_clients()

    def test_a_server_that_fails_has_clients_try_again(self) -> None:
        with KeyServer(answer(b"<html>", 500)) as keys, started(JWT_JWKS_URL=keys.url) as program:
            service = Service(program)
            program.wait_for_output("keys cannot be fetched: ")
            client = service.open()
            client.wire.send_text('40{"token":"' + token_by(P256, "k1") + '"}')
            assert client.rest() == [], "closed, not refused: socket.io-client tries again then"
            response = service.request("GET", "/connected-users", [("Authorization", "Bearer " + token_by(P256))])
            assert (response.status, response.header("Retry-After")) == (503, "5")
            keys.shows(key_set(k1=P256))
            deadline = time.monotonic() + 30
            while (
                service.request(
                    "GET", "/connected-users", [("Authorization", "Bearer " + token_by(P256, "k1"))]
                ).status
                == 503
            ):
                assert time.monotonic() < deadline
            assert service.open().connect(token_by(P256, "k1")) is None
            service.close_clients()
        assert complaints(program.output) == []

    def test_keys_for_encryption_are_none(self) -> None:
        shown = json.dumps({"keys": [jwk(RSA, kid="k1", use="enc"), jwk(P256, kid="k2")]}).encode()
        with KeyServer(shown) as keys, started(JWT_JWKS_URL=keys.url) as program:
            service = Service(program)
            program.wait_for_output("1 keys fetched: ['k2']; not used: key 1: not for signatures")
            assert service.open().connect(token_by(RSA, "k1")) == INVALID
            service.close_clients()
