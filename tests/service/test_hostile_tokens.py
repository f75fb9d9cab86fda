"""Tokens as attackers make them, wherever the running service takes one: refused, and nobody else notices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.service.peers import API_KEY, SECRET, Client, fresh, token
from tests.service.servers import ANYWHERE, Service, complaints, refused, twistd
from tests.support.keys import P256, RSA, pem, signed_by_hand, token_by
from tests.support.wire import HttpClient

INVALID = {"message": "Invalid or expired token", "data": {"code": "token_invalid"}}
SOON = int(time.time()) + 600
ADMIN = '{"userId":"mallory","role":"super_admin","exp":SOON}'


def of(payload: str | bytes, header: str | bytes = '{"alg":"HS256"}', secret: str = SECRET) -> str:
    """Signed with the service's own secret: only what it says is wrong."""
    if isinstance(payload, str):
        payload = payload.replace("SOON", str(SOON))
    return signed_by_hand(payload, header, secret=secret)


def unsigned(alg: str) -> str:
    return of(ADMIN, json.dumps({"alg": alg, "typ": "JWT"})).rpartition(".")[0] + "."


BAD_HEADERS = {
    "no algorithm": "{}",
    "none": '{"alg":"none"}',
    "nOnE": '{"alg":"nOnE"}',
    "a list": '{"alg":["HS256","none"]}',
    "another hash": '{"alg":"HS512"}',
    "a public key": '{"alg":"RS256"}',
    "an unknown extension": '{"alg":"HS256","crit":["x"],"x":1}',
    "a payload that is not encoded": '{"alg":"HS256","crit":["b64"],"b64":false}',
    "an algorithm twice": '{"alg":"HS256","alg":"none"}',
    "a key id that is a number": '{"alg":"HS256","kid":7}',
    "a key id that is a file": json.dumps({"alg": "HS256", "kid": "../" * 70 + "dev/null"}),
    "deep nesting": '{"alg":"HS256","x":' + "[" * 2000 + "]" * 2000 + "}",
    "no JSON": "HS256",
}
BAD_PAYLOADS: dict[str, str | bytes] = {
    "no end": '{"userId":"mallory"}',
    "an end as text": '{"userId":"mallory","exp":"9999999999"}',
    "an end of 400 digits": '{"userId":"mallory","exp":' + "9" * 400 + "}",
    "an end of 5000 digits": '{"userId":"mallory","exp":' + "9" * 5000 + "}",
    "an infinite end": '{"userId":"mallory","exp":Infinity}',
    "an end that is no number": '{"userId":"mallory","exp":NaN}',
    "an end too large": '{"userId":"mallory","exp":1e400}',
    "true as end": '{"userId":"mallory","exp":true}',
    "no user": '{"exp":SOON}',
    "an empty user": '{"sub":"","exp":SOON}',
    "a user of half a character": '{"sub":"\\ud800","exp":SOON}',
    "a user that is an object": '{"sub":{"$ne":null},"exp":SOON}',
    "a user that is a list": '{"sub":["u1"],"exp":SOON}',
    "a user with a line feed": '{"sub":"u1\\nu2","exp":SOON}',
    "a user of 201 characters": f'{{"sub":"{"x" * 201}","exp":SOON}}',
    "a user twice": '{"userId":"mallory","userId":"u1","exp":SOON}',
    "an end twice": '{"userId":"mallory","exp":1,"exp":SOON}',
    "deep nesting": '{"userId":"mallory","exp":SOON,"x":' + "[" * 2000 + "]" * 2000 + "}",
    "not UTF-8": b'{"userId":"\xff","exp":9999999999}',
    "UTF-16": '{"userId":"u","exp":9999999999}'.encode("utf-16"),
    "no object": '["userId"]',
    "nothing": "",
    "too many shops": json.dumps({"userId": "mallory", "shopIds": list(range(1001)), "exp": SOON}),
    "a start that lies ahead": '{"userId":"mallory","nbf":SOON,"exp":9999999999}',
}
GOOD = token("mallory", role="super_admin")
HEAD, BODY, SIGNATURE = GOOD.split(".")
TOKENS: dict[str, str] = {
    **{f"a header with {name}": of(ADMIN, header) for name, header in BAD_HEADERS.items()},
    **{f"a payload with {name}": of(payload) for name, payload in BAD_PAYLOADS.items()},
    "no signature": unsigned("none"),
    "no signature at all": unsigned("HS256"),
    "another secret": of(ADMIN, secret="x" * 40),
    "an empty secret": of(ADMIN, secret=""),
    "the API key as secret": of(ADMIN, secret=API_KEY),
    "a key of its own": jwt.encode({"userId": "m", "exp": SOON}, RSA, "RS256", {"jwk": {"kty": "RSA"}, "jku": "http://x"}),
    "another's payload": ".".join([HEAD, token("u1").split(".")[1], SIGNATURE]),
    "a signature in another form": GOOD + "=",
    "four parts": GOOD + ".",
    "five parts": GOOD + ".a.b",
    "two parts": f"{HEAD}.{BODY}",
    "dots": "." * 1000,
    "padding": f"{HEAD}==.{BODY}.{SIGNATURE}",
    "a line feed": GOOD + "\n",
    "a blank": f"{HEAD} .{BODY}.{SIGNATURE}",
    "Bearer": f"Bearer {GOOD}",
}  # fmt: skip


@pytest.mark.parametrize("name", TOKENS)
def test_a_bad_token_lets_nobody_in_by_any_way(service: Service, name: str) -> None:
    bad = TOKENS[name]
    client = service.open()
    assert client.connect(bad) == INVALID
    user = fresh("u")
    assert client.connect(token(user)) is None, "the connection is not spoilt"
    assert client.refused("refresh_token", bad) == ("token_invalid", "Invalid or expired token")
    assert client.refused("refresh_token", {"token": bad}) == ("token_invalid", "Invalid or expired token")
    assert client.succeed("leave_room", "x") == {"room": "x"}
    if "\n" not in bad and len(bad) < 12_000:
        by_header(service, bad)


def by_header(service: Service, bad: str) -> None:
    headers = [("Authorization", f"Bearer {bad}")]
    answer = refused(service.request("GET", "/connected-users", headers))
    if (bad.startswith(GOOD) and bad.strip(".=") == GOOD) or bad != f"Bearer {GOOD}":
        assert answer == (401, "unauthorized", "Invalid or expired token")
    assert answer[0] == 401
    assert service.open(headers).connect() == INVALID


def test_a_token_of_a_megabyte_is_not_even_looked_at() -> None:
    with twistd("--listen", ANYWHERE) as program:
        service = Service(program)
        huge = of(json.dumps({"userId": "mallory", "exp": SOON, "x": "y" * 700_000}))
        assert service.open().connect(huge) == INVALID
        program.wait_for_output("longer than 8192 bytes")
        with HttpClient(service.port) as client:
            client.send_or_be_cut(
                f"GET /connected-users HTTP/1.1\r\nAuthorization: Bearer {huge}\r\n\r\n".encode()
            )
            assert b"200 OK" not in client.read_to_silence(0.5)
        service.join("u1")
        service.close_clients()
    assert complaints(program.output) == []


class TestPublicKeys:
    """What everybody may know of a public key signs nothing."""

    @pytest.fixture(scope="class")
    @classmethod
    def keyed(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
        file: Path = tmp_path_factory.mktemp("keys") / "keys.pem"
        file.write_text(pem(RSA) + pem(P256))
        with twistd("--listen", ANYWHERE, env={"API_KEY": API_KEY, "JWT_PUBLIC_KEY_FILE": str(file)}) as program:
            yield Service(program)
        assert complaints(program.output) == []

    def lets_in(self, keyed: Service, made: str) -> bool:
        client: Client = keyed.open()
        answer: dict[str, Any] | None = client.connect(made)
        assert answer in (None, INVALID)
        client.close()
        return answer is None

    @pytest.mark.parametrize("key", [RSA, P256], ids=["RSA", "P-256"])
    @pytest.mark.parametrize(
        "header", ['{"alg":"HS256"}', '{"alg":"HS256","kid":"k"}', '{"alg":"RS256"}', '{"alg":"ES256"}']
    )
    @pytest.mark.parametrize("form", ["as it is", "without its last line feed", "on one line"])
    def test_as_a_secret(self, keyed: Service, key: Any, header: str, form: str) -> None:
        text = {"as it is": pem(key), "on one line": pem(key).replace("\n", ""), "": ""}.get(
            form, pem(key).strip()
        )
        assert not self.lets_in(keyed, of(ADMIN, header, secret=text))

    def test_the_algorithm_of_the_header_does_not_choose_how_a_key_is_used(self, keyed: Service) -> None:
        assert self.lets_in(keyed, token_by(RSA))
        head, body, signature = token_by(RSA).split(".")
        for alg in ("ES256", "PS256", "RS512", "EdDSA", "none", "HS256"):
            other = jwt.utils.base64url_encode(json.dumps({"alg": alg}).encode()).decode()
            assert not self.lets_in(keyed, f"{other}.{body}.{signature}")
        assert not self.lets_in(keyed, f"{head}.{body}.")
        with_zeros = jwt.utils.base64url_encode(bytes(64)).decode()
        es256 = jwt.utils.base64url_encode(b'{"alg":"ES256"}').decode()
        assert not self.lets_in(keyed, f"{es256}.{body}.{with_zeros}")
