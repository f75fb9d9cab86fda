"""Verifying tokens: what is accepted, and each weakness closed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from rtwist.auth.identity import ClaimNames, Identity
from rtwist.auth.keys import Key, SharedSecrets
from rtwist.auth.publickeys import PublicKeys, keys_in_pem
from rtwist.auth.revocation import RevokedTokens
from rtwist.auth.token import MAX_NUMERIC_DATE, TokenVerifier, mint
from rtwist.domain.emission import Revoke
from rtwist.errors import AuthError, ConfigError, KeysUnavailable
from tests.support.keys import ED25519, P256, RSA, jwk, key_set, pem, signed_by_hand, token_by

SECRET = "a secret that is long enough for HS256"
NOW = 1_700_000_000.0


def run(verification: Coroutine[Any, Any, Identity]) -> Identity:
    with pytest.raises(StopIteration) as done:
        verification.send(None)
    identity: Identity = done.value.value
    return identity


def verifier(keys: Any = None, **options: Any) -> TokenVerifier:
    return TokenVerifier(keys or SharedSecrets(SECRET), **{"now": lambda: NOW, **options})


def verify(token: object, **options: Any) -> Identity:
    return run(verifier(**options).verify(token))


def refusal(token: object, **options: Any) -> AuthError:
    with pytest.raises(AuthError) as caught:
        verify(token, **options)
    return caught.value


def reason(token: object, **options: Any) -> str:
    error = refusal(token, **options)
    assert (error.message, error.code) == ("Invalid or expired token", "token_invalid")
    return str(error.__cause__)


def token(**claims: Any) -> str:
    return jwt.encode({"sub": "u1", "exp": NOW + 60, **claims}, SECRET)


def encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def signed(payload: str | bytes, header: str | bytes = '{"alg":"HS256"}', secret: str = SECRET) -> str:
    return signed_by_hand(payload, header, secret=secret)


def test_a_good_token() -> None:
    identity = verify(token(companyId="c1", exp=NOW + 60))
    assert (identity.user_id, identity.company_id, identity.expires_at) == ("u1", "c1", NOW + 60)
    assert verify(signed('{"sub":"u1","exp":1700000060}')).user_id == "u1"


@pytest.mark.parametrize("missing", [None, ""])
def test_no_token(missing: object) -> None:
    error = refusal(missing)
    assert (error.message, error.code) == ("Authentication required", "auth_required")


@pytest.mark.parametrize("exp", [NOW, NOW - 1, 0])
def test_an_expired_token(exp: float) -> None:
    error = refusal(token(exp=exp))
    assert (error.message, error.code) == ("Invalid or expired token", "token_expired")


def test_a_forged_token_does_not_learn_that_it_is_expired() -> None:
    assert reason(jwt.encode({"sub": "u1", "exp": 0}, SECRET * 2)) == "no key fits the signature"


@pytest.mark.parametrize(
    "value", [0, True, 1.5, {}, ["x"], b"x.y.z", " ", "x", "a.b", "a.b.c", "a.b.c.d", "é.é.é"]
)
def test_what_is_no_token_at_all(value: object) -> None:
    assert reason(value)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (7, "the token is not a string"),
        ({"token": "x"}, "the token is not a string"),
        (True, "the token is not a string"),
        ("Bearer a.b.c", 'the token begins with "Bearer ": send it without'),
        ("bearer a.b.c", 'the token begins with "Bearer ": send it without'),
        ("Bearer ü", 'the token begins with "Bearer ": send it without'),
        ("ü.ü.ü", "the token is not ASCII text"),
    ],
)
def test_the_reason_names_what_is_no_token_at_all(value: object, says: str) -> None:
    assert reason(value) == says


def test_exp_is_required() -> None:
    assert reason(jwt.encode({"sub": "u1"}, SECRET)) == "exp is not a number"


@pytest.mark.parametrize("exp", ['"9999999999"', "null", "true", "[]", "{}", '"soon"'])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_dates_must_be_numbers(name: str, exp: str) -> None:
    payload = {"exp": "1700000060", name: exp}
    fields = ",".join(f'"{key}":{value}' for key, value in payload.items())
    assert reason(signed(f'{{"sub":"u1",{fields}}}')) == f"{name} is not a number"


@pytest.mark.parametrize("exp", ["9" * 400, "1e400", "-1", str(MAX_NUMERIC_DATE + 1)])
@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
def test_dates_must_fit_timers(name: str, exp: str) -> None:
    payload = {"exp": "1700000060", name: exp}
    fields = ",".join(f'"{key}":{value}' for key, value in payload.items())
    assert reason(signed(f'{{"sub":"u1",{fields}}}')) == f"{name} is out of range"


@pytest.mark.parametrize("exp", ["NaN", "Infinity", "9" * 5000, "1_0", "01"])
def test_dates_must_be_json(exp: str) -> None:
    assert reason(signed(f'{{"sub":"u1","exp":{exp}}}'))


def test_a_token_for_the_future() -> None:
    assert reason(token(nbf=NOW + 1)) == "nbf lies in the future"
    assert verify(token(nbf=NOW))


def test_an_issuer_whose_clock_is_ahead() -> None:
    assert verify(token(iat=NOW + 60))


def test_leeway_is_for_clocks_that_differ() -> None:
    assert verify(token(exp=NOW - 4, nbf=NOW + 5, iat=NOW + 5), leeway=5.0)
    assert refusal(token(exp=NOW - 5), leeway=5.0).code == "token_expired"
    assert reason(token(nbf=NOW + 6), leeway=5.0)


def test_the_real_clock_is_not_asked() -> None:
    assert verify(token(exp=100, iat=50), now=lambda: 60.0).expires_at == 100
    far = MAX_NUMERIC_DATE - 10
    assert verify(token(exp=far + 5, nbf=far - 5), now=lambda: float(far))


@pytest.mark.parametrize(
    "payload",
    [
        '{"sub":"","exp":1700000060}',
        '{"sub":"\\ud800","exp":1700000060}',
        '{"sub":"u1","name":"\\udc00","exp":1700000060}',
        '{"sub":"u1","sub":"u2","exp":1700000060}',
        '{"sub":"u1","exp":1,"exp":1700000060}',
        '{"sub":"u1","exp":1700000060,"org":{"id":1,"id":2}}',
        '{"sub":"u1","exp":1700000060,"x":' + "[" * 2500 + "]" * 2500 + "}",
        '{"exp":1700000060}',
        "[]",
        '"u1"',
        "",
        "{",
        b'{"sub":"\xff","exp":1700000060}',
        '{"sub":"u1","exp":1700000060}'.encode("utf-16"),
    ],
)
def test_a_signature_does_not_excuse_a_bad_payload(payload: str | bytes) -> None:
    assert reason(signed(payload))


def test_claims_may_be_nested_but_not_without_end() -> None:
    assert verify(token(x=json.loads("[" * 62 + "{}" + "]" * 62)))
    assert reason(token(x=json.loads("[" * 63 + "{}" + "]" * 63))) == "nested too deeply"


@pytest.mark.parametrize(
    "header",
    [
        '{"alg":"none"}',
        '{"alg":"None"}',
        '{"alg":"nOnE"}',
        '{"alg":""}',
        "{}",
        '{"alg":["HS256"]}',
        '{"alg":{"HS256":1}}',
        '{"alg":"HS384"}',
        '{"alg":"RS256"}',
        '{"alg":"HS256","alg":"HS256"}',
        '{"alg":"HS256","crit":["exp"],"exp":1}',
        '{"alg":"HS256","crit":["b64"],"b64":true}',
        '{"alg":"HS256","crit":[]}',
        '{"alg":"HS256","b64":false}',
        '{"alg":"HS256","kid":7}',
        '{"alg":"HS256","kid":null}',
        '{"alg":"HS256","kid":"' + "k" * 201 + '"}',
        '{"alg":"HS256","x":' + "[" * 2000 + "]" * 2000 + "}",
        "[]",
        "HS256",
        b'{"alg":"HS256","x":"\xff"}',
    ],
)
def test_a_bad_header(header: str | bytes) -> None:
    assert reason(signed('{"sub":"u1","exp":1700000060}', header))


def test_a_long_token_is_not_even_decoded() -> None:
    keys = Recorded()
    assert reason("x" * 900_000, keys=keys) == "longer than 8192 bytes"
    assert keys.headers == []
    assert reason(token(padding="x" * 8192)) == "longer than 8192 bytes"
    assert verify(token(padding="x" * 8192), max_token_bytes=16384)


@pytest.mark.parametrize("secret", ["short", ""])
def test_a_short_key_is_refused_even_if_a_key_source_has_it(secret: str) -> None:
    keys = Recorded([secret])
    assert reason(signed('{"sub":"u1","exp":1700000060}', secret=secret), keys=keys)


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_public_key_does_not_pass_for_a_secret(encoding: Encoding) -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    octets = public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
    signing_input = encoded(b'{"alg":"HS256"}') + b"." + encoded(b'{"sub":"u1","exp":1700000060}')
    signature = hmac.new(octets, signing_input, hashlib.sha256).digest()
    forged = (signing_input + b"." + encoded(signature)).decode()
    assert reason(forged, keys=Recorded([octets], ("ES256",))) == "alg is not accepted"
    assert reason(forged, keys=Recorded([octets])) == "no key fits the signature"


class Recorded:
    """A key source that keeps what it was asked, and can fail."""

    def __init__(
        self,
        keys: Sequence[Key] = (),
        algorithms: tuple[str, ...] = ("HS256",),
        failure: Exception | None = None,
    ) -> None:
        self.algorithms = algorithms
        self.headers: list[Mapping[str, Any]] = []
        self._keys = keys
        self._failure = failure

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Key]:
        self.headers.append(header)
        if self._failure:
            raise self._failure
        return self._keys


def test_the_key_source_sees_the_header_and_may_know_no_key() -> None:
    keys = Recorded()
    assert reason(jwt.encode({}, SECRET, headers={"kid": "k1"}), keys=keys) == "no key fits the signature"
    assert [header["kid"] for header in keys.headers] == ["k1"]


@pytest.mark.parametrize("failure", [KeysUnavailable("down"), ValueError("a bug")])
def test_failures_of_the_key_source_are_not_the_token_s(failure: Exception) -> None:
    with pytest.raises(type(failure)) as caught:
        verifier(Recorded(failure=failure)).verify(token()).send(None)
    assert caught.value is failure


def test_public_keys() -> None:
    private, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    keys = Recorded([other.public_key(), private.public_key()], ("ES256", "RS256"))
    good = jwt.encode({"sub": "u1", "exp": NOW + 60}, private, algorithm="ES256")
    assert verify(good, keys=keys).user_id == "u1"
    assert reason(token(), keys=keys) == "alg is not accepted"


@pytest.mark.parametrize("algorithms", [("HS256", "RS256"), (), ("none",), ("RS256", "none")])
def test_families_of_algorithms_are_never_mixed(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="either with shared secrets"):
        verifier(Recorded((), algorithms))


def test_secrets_rotate() -> None:
    keys = SharedSecrets([SECRET * 2, SECRET])
    assert verify(token(), keys=keys)
    assert verify(jwt.encode({"sub": "u1", "exp": NOW + 60}, SECRET * 2), keys=keys)
    assert reason(jwt.encode({"sub": "u1", "exp": NOW + 60}, SECRET * 3), keys=keys)


@pytest.mark.parametrize(
    ("claims", "options", "accepted"),
    [
        ({"aud": "other", "iss": 7}, {}, True),
        ({"aud": "rt"}, {"audience": "rt"}, True),
        ({"aud": ["x", "rt"]}, {"audience": "rt"}, True),
        ({"aud": "rt"}, {"audience": ["web", "rt"]}, True),
        ({"aud": "rtwist"}, {"audience": "rt"}, False),
        ({"aud": {"rt": 1}}, {"audience": "rt"}, False),
        ({"aud": []}, {"audience": "rt"}, False),
        ({}, {"audience": "rt"}, False),
        ({"iss": "https://id"}, {"issuer": "https://id"}, True),
        ({"iss": "https://id"}, {"issuer": ["https://old", "https://id"]}, True),
        ({"iss": "https"}, {"issuer": "https://id"}, False),
        ({"iss": ["https://id"]}, {"issuer": "https://id"}, False),
        ({}, {"issuer": "https://id"}, False),
    ],
)
def test_audience_and_issuer_are_checked_when_configured(
    claims: dict[str, Any], options: dict[str, Any], accepted: bool
) -> None:
    made = signed(json.dumps({"sub": "u1", "exp": NOW + 60, **claims}))
    if accepted:
        assert verify(made, **options)
    else:
        assert reason(made, **options) in ("aud is missing, or another's", "iss is missing, or another's")


@pytest.mark.parametrize("key", [RSA, P256, ED25519])
def test_each_type_of_key_verifies_its_own_algorithm_and_no_other(key: Any) -> None:
    keys = PublicKeys(keys_in_pem(pem(key)))
    payload = {"sub": "u1", "exp": NOW + 60}
    good = token_by(key, exp=NOW + 60)
    assert verify(good, keys=keys).user_id == "u1"
    for other in (RSA, P256, ED25519):
        if other is not key:
            assert reason(token_by(other, exp=NOW + 60), keys=keys) == "alg is not accepted"
    if key is RSA:
        for algorithm in ("RS384", "RS512", "PS256"):
            assert reason(jwt.encode(payload, key, algorithm=algorithm), keys=keys) == "alg is not accepted"


def test_the_header_does_not_choose_how_a_key_is_used() -> None:
    keys = PublicKeys(keys_in_pem(pem(RSA) + pem(P256)))
    signature = RSA.sign(b"", PKCS1v15(), SHA256())
    for algorithm in ("RS256", "ES256"):
        head, body = encoded(f'{{"alg":"{algorithm}"}}'.encode()), encoded(b'{"sub":"u1","exp":1700000060}')
        assert (
            reason(b".".join([head, body, encoded(signature)]).decode(), keys=keys) == "no key fits the signature"
        )


@pytest.mark.parametrize("key", [RSA, P256, ED25519])
@pytest.mark.parametrize("form", ["pem", "der", "ssh", "jwk", "set"])
def test_what_everybody_may_see_of_a_key_signs_nothing(key: Any, form: str) -> None:
    public = key.public_key()
    shown = {
        "pem": pem(key).encode(),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "ssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "jwk": json.dumps(jwk(key)).encode(),
        "set": key_set(key),
    }[form]
    signing_input = encoded(b'{"alg":"HS256"}') + b"." + encoded(b'{"sub":"u1","exp":1700000060}')
    signature = hmac.new(shown, signing_input, hashlib.sha256).digest()
    forged = (signing_input + b"." + encoded(signature)).decode()
    assert reason(forged, keys=PublicKeys(keys_in_pem(pem(key)))) == "alg is not accepted"
    if form != "der":
        with pytest.raises(ConfigError, match="JWT_SECRET is no secret"):
            SharedSecrets(shown)


@pytest.mark.parametrize("appended", ["=", "==", "!", "*", ".", "A", "AA", " ", "\n"])
def test_a_token_has_one_form(appended: str) -> None:
    assert reason(token() + appended)
    if appended != ".":
        head, body, signature = token().split(".")
        assert reason(f"{head}{appended}.{body}.{signature}")
        assert reason(f"{head}.{body}{appended}.{signature}")


def test_deep_nesting_in_a_long_token_ends_in_words() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    assert reason(signed(f'{{"sub":"u1","exp":1700000060,"x":{deep}}}'), max_token_bytes=1_000_000)
    assert reason(signed("{}", f'{{"alg":"HS256","x":{deep}}}'), max_token_bytes=1_000_000)


@pytest.mark.parametrize(("claims", "missing"), [({"jti": "t1", "iat": 5}, None), ({"jti": "t1"}, "iat"),
                                                 ({"jti": None, "iat": 5}, "jti"), ({}, "jti")])  # fmt: skip
def test_claims_may_be_required(claims: dict[str, Any], missing: str | None) -> None:
    made = signed(json.dumps({"sub": "u1", "exp": NOW + 60, **claims}))
    if missing is None:
        assert verify(made, required_claims=["jti", "iat"])
    else:
        assert reason(made, required_claims=["jti", "iat"]) == f"{missing} is missing"
    assert verify(made)


@pytest.mark.parametrize("jti", ["", " ", [], {}, True, 1.5, "x" * 201, "a\nb"])
def test_a_token_id_that_cannot_be_named_is_refused(jti: Any) -> None:
    assert reason(token(jti=jti)).startswith("jti must ")


def test_the_id_and_the_time_of_issue_are_read() -> None:
    identity = verify(token(jti=7, iat=NOW - 5, companyId="c1"))
    assert (identity.token_id, identity.issued_at, identity.granted_company) == ("7", NOW - 5, "c1")
    assert (verify(token()).token_id, verify(token()).issued_at) == (None, None)


def test_a_revoked_token() -> None:
    revoked = RevokedTokens()
    revoked.add(Revoke(token_id="t1"), NOW)
    error = refusal(token(jti="t1"), revocations=revoked)
    assert (error.message, error.code) == ("Invalid or expired token", "token_revoked")
    assert verify(token(jti="t2"), revocations=revoked)
    assert refusal(token(jti="t1", exp=NOW - 1), revocations=revoked).code == "token_expired"
    assert refusal(jwt.encode({"jti": "t1"}, SECRET * 2), revocations=revoked).code == "token_invalid"


def test_claim_names_are_passed_on() -> None:
    names = ClaimNames(user=("uid",))
    assert verify(token(uid=5), claim_names=names).user_id == "5"
    assert reason(token(), claim_names=names)


def test_a_minted_token_is_accepted() -> None:
    minted = mint(SECRET, user="u1", company="c1", shops=["s1"], roles=["manager"], now=NOW)
    identity = verify(minted)
    assert identity.rooms == ("user:u1", "company:c1", "shop:s1", "role:manager")
    assert identity.expires_at == NOW + 3600
    assert verify(mint(SECRET, user="u1", lifetime=5, now=NOW)).rooms == ("user:u1",)
    assert refusal(mint(SECRET, user="u1", lifetime=5, now=NOW - 5)).code == "token_expired"


def test_a_token_is_not_minted_with_a_short_secret() -> None:
    with pytest.raises(ConfigError, match="JWT_SECRET"):
        mint("short", user="u1", now=NOW)


def test_neither_message_nor_reason_holds_the_token() -> None:
    error = refusal(token(exp="x"))
    assert "eyJ" not in f"{error} {error.__cause__!r}"


GOOD = token()


@given(st.text() | st.text("eyJ.=-_\x00é"))
def test_whatever_text_comes_the_answer_is_auth_error(text: str) -> None:
    assert refusal(text).code in ("auth_required", "token_invalid")


@given(st.integers(0, len(GOOD) - 1), st.characters(max_codepoint=255))
def test_a_token_with_one_character_changed_is_refused(position: int, character: str) -> None:
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    if changed != GOOD:
        assert refusal(changed).code == "token_invalid"


@given(st.binary(max_size=200))
def test_whatever_is_signed_the_answer_is_auth_error(payload: bytes) -> None:
    assert refusal(signed(payload)).code in ("token_invalid", "token_expired")
