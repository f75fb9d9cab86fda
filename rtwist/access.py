"""Who may use the REST routes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest

from twisted.web.iweb import IRequest

from rtwist.auth.token import TokenVerifier
from rtwist.devpage import why_not
from rtwist.errors import AuthError, Refused

ASKED_HOST = "x-rtwist-asked-host"
"""Where routes find the Host that the client sent."""
_BEARER = "bearer "
_NO_KEY = (
    "this server has no API_KEY, so no key is accepted: set API_KEY (or --api-key-file) and restart, "
    "or send a super admin's token"
)


@dataclass(slots=True)
class Access:
    """Who may use the protected routes: holders of the API key, super admins, in development loopback."""

    verifier: TokenVerifier
    api_key: str | None = None
    status_open_to_loopback: bool = False

    async def check(self, request: IRequest, *, status_route: bool) -> None:
        """Return if the request is allowed; raises `Refused` (unauthorized, forbidden) or `KeysUnavailable`."""
        if status_route and self.status_open_to_loopback and _from_this_machine(request):
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
        # Of keys that differ in length, the comparison itself would take a time that shows it.
        return compare_digest(_digest(key), _digest(self.api_key))

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


def _from_this_machine(request: IRequest) -> bool:
    # A page of another site in a browser here is no such person, nor is whoever comes by a proxy here.
    return why_not(request, request.getHeader(ASKED_HOST) or "") is None


def _digest(key: str) -> bytes:
    # Bytes that are no UTF-8 come out of the environment as lone surrogates, and are meant as bytes.
    return sha256(key.encode("utf-8", "surrogateescape")).digest()
