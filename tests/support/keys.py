"""Private keys of issuers for tests, and what a key server shows of them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()


def signed_by_hand(payload: str | bytes, header: str | bytes = '{"alg":"HS256"}', *, secret: str | bytes) -> str:
    """Sign whatever bytes these are by HS256; PyJWT would not write most of them."""
    head, body, key = (part.encode() if isinstance(part, str) else part for part in (header, payload, secret))
    signing_input = _encoded(head) + b"." + _encoded(body)
    signature = hmac.new(key, signing_input, hashlib.sha256).digest()
    return (signing_input + b"." + _encoded(signature)).decode()


def _encoded(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def pem(key: Any) -> str:
    """The public half, as an operator has it in a file."""
    octets: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return octets.decode()


def jwk(key: Any, **members: Any) -> dict[str, Any]:
    """The public half as a JSON Web Key; members that are given replace its own, None takes them away."""
    kinds = {rsa.RSAPrivateKey: RSAAlgorithm, ec.EllipticCurvePrivateKey: ECAlgorithm}
    reader = next((kinds[kind] for kind in kinds if isinstance(key, kind)), OKPAlgorithm)
    public = json.loads(reader.to_jwk(key.public_key()))  # type: ignore[attr-defined]
    public.pop("key_ops", None)
    return {name: value for name, value in {**public, **members}.items() if value is not None}


def key_set(*keys: Any, **named: Any) -> bytes:
    """A JSON Web Key Set, of keys without an id and of those named."""
    shown = [*map(jwk, keys), *(jwk(key, kid=kid) for kid, key in named.items())]
    return json.dumps({"keys": shown}).encode()


def token_by(key: Any, kid: str | None = None, *, lifetime: float = 600, **claims: Any) -> str:
    """A token signed with a private key, by the algorithm of its type."""
    algorithms = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256"}
    algorithm = next((algorithms[kind] for kind in algorithms if isinstance(key, kind)), "EdDSA")
    body = {"userId": "u1", "exp": int(time.time() + lifetime), **claims}
    return jwt.encode(body, key, algorithm=algorithm, headers=None if kid is None else {"kid": kid})
