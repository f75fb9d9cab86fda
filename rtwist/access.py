"""Who may use the REST routes."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.web.iweb import IRequest

from rtwist.auth.token import TokenVerifier
from rtwist.errors import AuthError, Refused

_BEARER = "bearer "
_NO_KEY = (
    "this server has no API_KEY, so no key is accepted: set API_KEY (or --api-key-file) and restart, "
    "or send a super admin's token"
)


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the protected routes: holders of the API key, super admins, in development loopback."""

    verifier: TokenVerifier
    api_key: str | None = None
    status_open_to_loopback: bool = False

    async def check(self, request: IRequest, *, status_route: bool) -> None:
        """Return if the request is allowed; raises `Refused` (unauthorized, forbidden) or `KeysUnavailable`."""
        if status_route and self.status_open_to_loopback and _from_loopback(request):
            return
        if self.has_key(request):
            return
        if request.getHeader("x-api-key") is not None:
            told = _NO_KEY if self.api_key is None else "the X-API-Key is not the server's"
            raise Refused("unauthorized", told)
        await self._check_bearer(request)

    def has_key(self, request: IRequest) -> bool:
        """Whether the request holds the API key."""
        key = request.getHeader("x-api-key")
        if key is None or self.api_key is None:
            return False
        return hmac.compare_digest(_octets(key), _octets(self.api_key))

    async def _check_bearer(self, request: IRequest) -> None:
        authorization = request.getHeader("authorization") or ""
        if not authorization.lower().startswith(_BEARER):
            raise Refused("unauthorized", "send X-API-Key, or a super admin's token as Authorization: Bearer")
        try:
            identity = await self.verifier.verify(authorization[len(_BEARER) :].strip())
        except AuthError as refusal:
            raise Refused("unauthorized", refusal.message, limit=refusal.limit) from None
        if not identity.is_super_admin:
            raise Refused("forbidden", "this token is not a super admin's")


def _from_loopback(request: IRequest) -> bool:
    peer = request.getClientAddress()
    if isinstance(peer, IPv4Address):
        return peer.host.startswith("127.")
    return isinstance(peer, IPv6Address) and peer.host in ("::1", "::ffff:127.0.0.1")


def _octets(key: str) -> bytes:
    # Bytes that are no UTF-8 come out of the environment as lone surrogates, and are meant as bytes.
    return key.encode("utf-8", "surrogateescape")
