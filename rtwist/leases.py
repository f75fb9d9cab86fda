"""A token is a lease: its connection is warned before it ends, may come with a new one, and ends with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from rtwist.accounts import Accounts
from rtwist.auth.deadlines import Deadlines
from rtwist.auth.identity import Identity
from rtwist.auth.moves import is_older, renewed
from rtwist.auth.token import TokenVerifier
from rtwist.domain.timestamps import iso
from rtwist.engineio.buckets import Bucket
from rtwist.errors import AuthError, KeysUnavailable, Refused
from rtwist.limits import DEFAULT_MAX_REFRESHES
from rtwist.socketio import Server, Socket

RECHECK_SECONDS = 15.0
"""The wall clock may jump, and timers do not jump with it: it is asked again at least this often."""

_BUCKET = "refreshes"


@dataclass(frozen=True, slots=True)
class LeaseOptions:
    """When clients are told that their token ends, and how long they may stay after it.

    `warning` is in seconds before the end, `grace` in seconds after it. Of a life shorter than twice the
    `warning`, half goes by first. `max_refreshes` is how many new tokens a second a connection may send, or None.
    """

    warning: float = 60.0
    grace: float = 5.0
    max_refreshes: float | None = DEFAULT_MAX_REFRESHES


class Leases:
    """Ends connections when their tokens do, and takes new tokens in.

    One timer serves all sockets; `now` returns the seconds since 1970, which tokens are measured by. `options`
    that are new hold for warnings that are yet to be planned, and for the end of every token.
    """

    _log = Logger()

    def __init__(
        self,
        io: Server,
        *,
        verifier: TokenVerifier,
        accounts: Accounts,
        now: Callable[[], float],
        options: LeaseOptions | None = None,
    ) -> None:
        self._io = io
        self._verifier = verifier
        self._accounts = accounts
        self._now = now
        self.options = LeaseOptions() if options is None else options
        self._deadlines = Deadlines()
        self._timer: IDelayedCall | None = None

    def begin(self, socket: Socket) -> None:
        """The socket has been accepted, or has come with a new token."""
        identity: Identity = socket.data["identity"]
        # Between the check of the token and this moment it may have been revoked.
        revoked = self._verifier.revocations.cover(identity, self._now())
        self._deadlines.set(socket.id, self._now() if revoked else self._warning_time(identity))
        self._set_timer()

    def end(self, socket: Socket) -> None:
        """The socket has gone."""
        self._deadlines.drop(socket.id)
        self._set_timer()

    async def refresh(self, socket: Socket, value: Any) -> dict[str, Any]:
        """Take a new token of the same user: the rooms follow it, and the connection may stay until it ends.

        `value` is the token, or an object with it as `token`. Raises `Refused`.
        """
        self._check_rate(socket)
        fresh = await self._verified(socket, value.get("token") if isinstance(value, dict) else value)
        if not socket.connected:
            raise Refused("forbidden", "the connection has ended")
        identity: Identity = socket.data["identity"]
        if fresh.user_id != identity.user_id:
            raise Refused("forbidden", "this token is another user's")
        if is_older(fresh, identity):
            raise Refused("forbidden", "this token was issued before the one in use")
        self._accounts.renew(socket, renewed(identity, fresh))
        self.begin(socket)
        self._log.info(
            "user {user} on {socket} has a new token, until {until}",
            user=fresh.user_id,
            socket=socket.id,
            until=iso(fresh.expires_at),
        )
        return {"expiresAt": iso(fresh.expires_at)}

    def _check_rate(self, socket: Socket) -> None:
        now = self._io.clock.seconds()
        bucket: Bucket = socket.data.setdefault(_BUCKET, Bucket(self.options.max_refreshes, now))
        if not bucket.take(now):
            told = "too many new tokens in a short time; wait a little"
            raise Refused("rate_limited", told, limit="max_refreshes_per_second")

    async def _verified(self, socket: Socket, token: Any) -> Identity:
        try:
            return await self._verifier.verify(token)
        except AuthError as refusal:
            if refusal.code == "auth_required":
                raise Refused("bad_request", "refresh_token takes a token, or {token: string}") from None
            cause = str(refusal.__cause__ or refusal.message)
            self._log.info(
                "new token on {socket}: {code} ({cause})", socket=socket.id, code=refusal.code, cause=cause
            )
            raise Refused(refusal.code, refusal.message, limit=refusal.limit) from None
        except KeysUnavailable:
            raise Refused("unavailable", "tokens cannot be checked at the moment; try again") from None

    # Time

    def _warning_time(self, identity: Identity) -> float:
        # Half of a short life goes by first: a client that answers each warning with such a token would otherwise
        # be warned again at once, and ask for the next, without end.
        left = max(identity.expires_at - self._now(), 0.0)
        return identity.expires_at - min(self.options.warning, left / 2)

    def _set_timer(self) -> None:
        first = self._deadlines.first
        if first is None:
            self._stop_timer()
            return
        clock = self._io.clock
        wait = min(max(first - self._now(), 0.0), RECHECK_SECONDS)
        if self._timer is not None:
            if self._timer.getTime() <= clock.seconds() + wait:
                return  # it comes early enough, and looks again
            self._stop_timer()
        self._timer = clock.callLater(wait, self._look)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        for socket_id in self._deadlines.pop_due(self._now()):
            socket = self._io.root.sockets.get(socket_id)
            if socket is not None:
                self._come_due(socket)
        self._set_timer()

    def _come_due(self, socket: Socket) -> None:
        identity: Identity = socket.data["identity"]
        expires_at, now = identity.expires_at, self._now()
        if self._verifier.revocations.cover(identity, now):
            self._accounts.dismiss_revoked(socket)
            return
        end = expires_at + self._verifier.leeway + self.options.grace
        if now < end:
            self._deadlines.set(socket.id, end)
            if now < expires_at:
                self._warn(socket, expires_at, now)
            return
        self._log.info("token of user {user} on {socket} has expired", user=identity.user_id, socket=socket.id)
        self._accounts.dismiss(
            socket, "auth:expired", "token_expired", "The token has expired", expiresAt=iso(expires_at)
        )

    def _warn(self, socket: Socket, expires_at: float, now: float) -> None:
        told = {"expiresAt": iso(expires_at), "expiresIn": max(0, round(expires_at - now)), "timestamp": iso(now)}
        socket.emit("auth:expiring", told)
