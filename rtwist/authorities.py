"""Whose certificates are trusted on the way to a broker or a Redis, and how TLS's errors read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.python.failure import Failure

from rtwist.errors import ConfigError

_UNVERIFIED = "certificate verify failed"


def read_authorities(path: Path) -> Any:
    """The authorities in a PEM file, to be trusted instead of the system's; `ConfigError` without any."""
    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"cannot read the certificate authorities in {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path} holds no certificates in PEM form") from None
    return trustRootFromCertificates([Certificate.loadPEM(one.public_bytes(Encoding.PEM)) for one in found])


def why_ended(reason: Failure, whose: str, host: str) -> tuple[str, bool]:
    """Why a connection ended, and whether it is because the certificate of `whose` server is not accepted."""
    error = reason.value
    if isinstance(error, VerificationError):
        return f"{whose} certificate is not for {host}", True
    if not isinstance(error, SSL.Error):
        return reason.getErrorMessage(), False
    # OpenSSL's errors are triples: library, function, what happened.
    what = ", ".join(str(each[-1]) for each in (error.args or ((),))[0]) or "TLS failed"
    if _UNVERIFIED in what:
        return f"{what}: {whose} certificate is of no authority that is trusted", True
    return what, False
