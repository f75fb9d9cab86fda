"""Public keys from PEM text and key sets: which are taken, and for which algorithm."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from rtwist.auth.publickeys import MAX_KEYS, PublicKeys, keys_in_pem, keys_in_set
from rtwist.errors import ConfigError
from tests.support.keys import ED25519, P256, RSA, jwk, key_set, pem

SMALL_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused


def algorithms(text: str) -> list[str]:
    return [key.algorithm for key in keys_in_pem(text)]


class TestPem:
    @pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (P256, "ES256"), (ED25519, "EdDSA")])
    def test_the_type_of_a_key_decides_on_its_algorithm(self, key: Any, algorithm: str) -> None:
        assert algorithms(pem(key)) == [algorithm]

    def test_several_one_behind_the_other(self) -> None:
        text = f"# the new one\n{pem(P256)}\n\n# the old one\n{pem(RSA)}"
        assert algorithms(text) == ["ES256", "RS256"]
        assert PublicKeys(keys_in_pem(text)).algorithms == ("ES256", "RS256")

    def test_an_older_form_of_rsa_keys(self) -> None:
        octets = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
        assert algorithms(octets.decode()) == ["RS256"]

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "no PEM block"),
            ("a secret that is long enough for HS256", "no PEM block"),
            ("-----BEGIN PUBLIC KEY-----\nx", "no PEM block"),
            ("-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----", "a key cannot be used"),
            ("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----", "CERTIFICATE, which is no public key"),
            (P256.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), "private key"),
            (RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode(), "priv"),
            (pem(SMALL_RSA), "2048 to 8192 bits, this one has 1024"),
            (pem(ec.generate_private_key(ec.SECP384R1())), "keys must be RSA, of the curve P-256, or Ed25519"),
            (pem(ed448.Ed448PrivateKey.generate()), "keys must be RSA"),
            (pem(x25519.X25519PrivateKey.generate()), "keys must be RSA"),
            (pem(P256) * (MAX_KEYS + 1), "more than 50"),
        ],
    )  # fmt: skip
    def test_what_cannot_verify_tokens_is_refused_in_words(self, text: str, says: str) -> None:
        with pytest.raises(ConfigError, match=says) as caught:
            keys_in_pem(text)
        assert "\n" not in str(caught.value)

    def test_keys_are_chosen_by_the_algorithm_of_the_token(self) -> None:
        source = PublicKeys(keys_in_pem(pem(P256) + pem(RSA)))
        with pytest.raises(StopIteration) as done:
            source.keys_for({"alg": "RS256"}).send(None)
        assert done.value.value == [RSA.public_key()]


def one(value: object) -> tuple[list[tuple[str, str | None]], list[str]]:
    keys, left_out = keys_in_set(json.dumps({"keys": [value]}).encode())
    return [(key.algorithm, key.kid) for key in keys], left_out


class TestKeySets:
    @pytest.mark.parametrize(("key", "algorithm"), [(RSA, "RS256"), (P256, "ES256"), (ED25519, "EdDSA")])
    def test_the_type_of_a_key_decides_on_its_algorithm(self, key: Any, algorithm: str) -> None:
        assert one(jwk(key, kid="k1")) == ([(algorithm, "k1")], [])
        assert one(jwk(key, alg=algorithm, use="sig", key_ops=["verify"])) == ([(algorithm, None)], [])
        keys, _ = keys_in_set(key_set(key))
        assert keys[0].key == key.public_key()

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            (7, "not an object"),
            ({}, "kty is not RSA, EC or OKP"),
            ({"kty": "oct", "k": "c2VjcmV0"}, "kty is not RSA, EC or OKP"),
            ({"kty": ["RSA"]}, "kty is not RSA, EC or OKP"),
            (jwk(RSA, use="enc"), "not for signatures"),
            (jwk(RSA, key_ops=["encrypt"]), "not for signatures"),
            (jwk(RSA, key_ops="verify"), "not for signatures"),
            (jwk(RSA, alg="RS512"), "alg is not RS256"),
            (jwk(RSA, alg="HS256"), "alg is not RS256"),
            (jwk(RSA, alg="none"), "alg is not RS256"),
            (jwk(P256, alg="RS256"), "alg is not ES256"),
            (jwk(RSA, kid=7), "kid is not a string"),
            (jwk(RSA, kid="k" * 201), "kid is not a string"),
            (jwk(RSA, n=None), "RSA needs kty, n, e"),
            (jwk(RSA, n="!"), ""),
            (jwk(RSA, e="AA"), ""),
            (jwk(RSA, kty="EC"), "EC needs"),
            (jwk(P256, crv="P-384"), ""),
            (jwk(P256, x="AA"), ""),
            (jwk(SMALL_RSA), "RSA keys must have 2048 to 8192 bits"),
        ],
    )
    def test_what_is_left_out(self, value: object, why: str) -> None:
        keys, left_out = one(value)
        assert keys == []
        assert len(left_out) == 1
        assert left_out[0].startswith(f"key 1: {why}")

    def test_the_private_part_of_a_key_is_not_even_read(self) -> None:
        private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(RSA))
        assert "d" in private
        del private["key_ops"]
        keys, _ = keys_in_set(json.dumps({"keys": [private]}).encode())
        assert keys[0].key == RSA.public_key()

    def test_the_others_are_taken(self) -> None:
        keys, left_out = keys_in_set(json.dumps({"keys": [{}, jwk(P256, kid="k2"), 5]}).encode())
        assert [key.kid for key in keys] == ["k2"]
        assert len(left_out) == 2

    def test_no_more_than_a_key_server_has(self) -> None:
        keys, left_out = keys_in_set(json.dumps({"keys": [jwk(P256)] * (MAX_KEYS + 1)}).encode())
        assert (len(keys), left_out) == (MAX_KEYS, ["keys after the first 50"])

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"{}", b'{"keys": {}}', b'{"keys": null}', b"\xff", b'{"keys": [], "keys": []}',
         b"<html>", b'{"keys":' + b"[" * 5000 + b"]" * 5000 + b"}", json.dumps({"keys": []}).encode("utf-16")],
    )  # fmt: skip
    def test_what_is_no_key_set(self, body: bytes) -> None:
        with pytest.raises(ValueError):  # noqa: PT011 - the decoders' own words
            keys_in_set(body)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["keys", "kty", "n", "e", "kid", "crv", "x", "y", "use"]) | st.text(),
                    inner | st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "sig"]),
                )
            ),
        )
    )
    def test_whatever_a_server_sends(self, value: object) -> None:
        try:
            keys, _ = keys_in_set(json.dumps({"keys": [value]}).encode())
        except ValueError:
            return
        assert keys == []
