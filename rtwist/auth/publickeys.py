"""Public keys: from PEM files and JSON Web Key Sets (RFC 7517), each for the one algorithm of its type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from rtwist.auth.strictjson import strict_object
from rtwist.errors import ConfigError

ALGORITHMS = ("RS256", "ES256", "EdDSA")
"""One for each type of key: RSA, the curve P-256, Ed25519."""

MAX_KID_CHARS = 200
"""Key ids are looked up in what the key server sent; real ones are hashes."""

MAX_KEYS = 50
"""Key servers have two or three; a token without `kid` is tried with each of its algorithm."""

MIN_RSA_BITS = 2048
"""RFC 7518 3.3: "A key of size 2048 bits or larger MUST be used with these algorithms"."""

MAX_RSA_BITS = 8192
"""Larger ones take milliseconds for each token."""

_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_MEMBERS = {"RSA": ("kty", "n", "e"), "EC": ("kty", "crv", "x", "y"), "OKP": ("kty", "crv", "x")}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies tokens of one algorithm; `kid` is its id, None for one that has none."""

    algorithm: str
    key: RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey = field(repr=False)
    kid: str | None = None


class PublicKeys:
    """The keys of PEM files: one, or several while the issuer changes from one to the next."""

    def __init__(self, keys: Sequence[PublicKey]) -> None:
        self._keys = tuple(keys)
        self.algorithms = tuple(dict.fromkeys(key.algorithm for key in keys))

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Any]:
        """Return the keys for the algorithm of the header: PEM does not name its keys."""
        return [one.key for one in self._keys if one.algorithm == header["alg"]]


def keys_in_pem(text: str) -> tuple[PublicKey, ...]:
    """The public keys in PEM blocks one behind the other; raises `ConfigError` for anything else among them."""
    blocks = list(_PEM.finditer(text))
    if not blocks:
        raise ConfigError("no PEM block is there: a public key begins with -----BEGIN PUBLIC KEY-----")
    if len(blocks) > MAX_KEYS:
        raise ConfigError(f"there are {len(blocks)} keys, more than {MAX_KEYS}")
    return tuple(_from_pem(match[0], match[1]) for match in blocks)


def _from_pem(block: str, label: str) -> PublicKey:
    if "PRIVATE" in label:
        raise ConfigError("it holds a private key, which belongs to the issuer alone; write the public one")
    if label not in ("PUBLIC KEY", "RSA PUBLIC KEY"):
        raise ConfigError(f"it holds a {label}, which is no public key; it must be -----BEGIN PUBLIC KEY-----")
    try:
        return _typed(load_pem_public_key(block.encode()), None)
    except (ValueError, UnsupportedAlgorithm) as reason:
        raise ConfigError(f"a key cannot be used: {reason}") from None


def keys_in_set(octets: bytes) -> tuple[list[PublicKey], list[str]]:
    """The keys for signatures in a JSON Web Key Set, and why others in it are left out.

    Raises ValueError for what is no key set.
    """
    jwks = strict_object(octets).get("keys")
    if not isinstance(jwks, list):
        raise ValueError("it has no list of keys")  # noqa: TRY004 - a fault of the key set
    keys: list[PublicKey] = []
    left_out = [f"keys after the first {MAX_KEYS}"] if len(jwks) > MAX_KEYS else []
    for index, jwk in enumerate(jwks[:MAX_KEYS]):
        try:
            keys.append(_from_jwk(jwk))
        except ValueError as reason:
            left_out.append(f"key {index + 1}: {reason}")
    return keys, left_out


def _from_jwk(jwk: object) -> PublicKey:
    if not isinstance(jwk, dict):
        raise ValueError("not an object")  # noqa: TRY004 - a fault of the key set
    kid = jwk.get("kid")
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_KID_CHARS):
        raise ValueError(f"kid is not a string of at most {MAX_KID_CHARS} characters")
    if jwk.get("use", "sig") != "sig" or "verify" not in _names(jwk.get("key_ops", ["verify"])):
        raise ValueError("not for signatures")
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in _MEMBERS:
        # Among them "oct": a secret that a server shows to everybody is none.
        raise ValueError("kty is not RSA, EC or OKP")
    # Only the public members: "d" would make it a private key.
    public = {name: jwk.get(name) for name in _MEMBERS[kty]}
    if not all(isinstance(value, str) for value in public.values()):
        raise ValueError(f"{kty} needs {', '.join(_MEMBERS[kty])}")
    key = _typed(_decoded(kty, public), kid)
    if jwk.get("alg", key.algorithm) != key.algorithm:
        raise ValueError(f"alg is not {key.algorithm}")
    return key


def _decoded(kty: str, public: dict[str, Any]) -> object:
    reader: Any = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}[kty]
    try:
        return reader.from_jwk(public)
    except (PyJWTError, UnsupportedAlgorithm) as reason:
        raise ValueError(str(reason)) from None


def _names(value: object) -> Iterable[object]:
    return value if isinstance(value, list) else ()


def _typed(key: object, kid: str | None) -> PublicKey:
    if isinstance(key, RSAPublicKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            raise ValueError(
                f"RSA keys must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, this one has {key.key_size}"
            )
        return PublicKey("RS256", key, kid)
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return PublicKey("ES256", key, kid)
    if isinstance(key, Ed25519PublicKey):
        return PublicKey("EdDSA", key, kid)
    raise ValueError("keys must be RSA, of the curve P-256, or Ed25519")
