"""The Engine.IO server: its sessions, and what happens to each kind of request."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from rtwist.engineio import reasons
from rtwist.engineio.admission import Admission
from rtwist.engineio.backlog import Backlog
from rtwist.engineio.cors import Cors
from rtwist.engineio.exchange import Exchange, Headers, Manner
from rtwist.engineio.forwarding import Forwarder
from rtwist.engineio.handing import Neighbours
from rtwist.engineio.heartbeat import Heartbeats
from rtwist.engineio.options import Options
from rtwist.engineio.outflow import Outflow
from rtwist.engineio.polling import PollingTransport
from rtwist.engineio.request import ErrorCode, Handshake, Refusal, verify
from rtwist.engineio.session import Listener, Session
from rtwist.engineio.websocket import WebSocketTransport
from rtwist.engineio.websocketfactory import WebSocketFactory

_SID_BYTES = 18


class Server:
    """Engine.IO for any layer above.

    `connected` is called with each new `Session`, to which it can send at once; it returns the `Listener` that
    hears of the session's messages and end. `now` returns the seconds since 1970. `backlog` knows what waits for
    clients that are behind, and counts those that were cut. To be set before the first session: `neighbours` are
    other processes that serve the same addresses, and `forwarder` is the way to other nodes, with whose mark that
    of the neighbours begins.
    """

    neighbours: Neighbours | None = None
    forwarder: Forwarder | None = None

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        options: Options,
        connected: Callable[[Session], Listener],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.options = options
        self.clock = clock
        self.cors = Cors(options.cors_origins)
        self.admission = Admission(options, clock)
        self.backlog = Backlog(clock, options)
        self._heartbeats = Heartbeats(clock, options.ping_interval, options.ping_timeout)
        self.outflow = Outflow(clock)
        self.websocket_factory = WebSocketFactory(options, clock, self.admission, self.outflow)
        self._connected = connected
        self._refused: Callable[[Handshake, Refusal], None] = _ignore
        self.now = now
        self._changed: list[Callable[[Options], None]] = []
        self._sessions: dict[str, Session] = {}

    @property
    def sessions(self) -> Mapping[str, Session]:
        """The living sessions by sid."""
        return self._sessions

    def on_refusal(self, refused: Callable[[Handshake, Refusal], None]) -> None:
        """Call `refused` for each HTTP request that is refused."""
        self._refused = refused

    def on_change(self, changed: Callable[[Options], None]) -> None:
        """Call `changed` with the options when there are new ones."""
        self._changed.append(changed)

    def check(self, request: Handshake) -> Refusal | None:
        """Why `request` is refused, or None; a refusal is reported to `refused`."""
        refusal = self.verify(request)
        if refusal is not None:
            self._refused(request, refusal)
        return refusal

    def verify(self, request: Handshake) -> Refusal | None:
        """Why `request` would be refused, or None; nothing is reported."""
        try:
            return verify(request, self._sessions, self.options, self.cors)
        except Exception:
            # Only `allow_request` is not our own.
            self._log.failure("allow_request failed")
            return Refusal(ErrorCode.FORBIDDEN, "allow_request failed")

    def polling_transport(self, request: Handshake | None) -> PollingTransport | None:
        """The polling transport that `request` may use, if there is one; nothing is reported."""
        session = None if request is None else self._sessions.get(request.query.get("sid", ""))
        if request is None or session is None or request.asks_websocket:
            return None
        if verify(request, self._sessions, self.options, self.cors) is not None:
            return None
        return self.polls_of(session.sid)

    def polls_of(self, sid: str) -> PollingTransport | None:
        """The polling transport of the session `sid`, if there is such a session and it is on that."""
        session = self._sessions.get(sid)
        transport = None if session is None else session.transport
        return transport if isinstance(transport, PollingTransport) else None

    def open_polling(self, handshake: Handshake, exchange: Exchange, manner: Callable[[Headers], Manner]) -> None:
        """A handshake by GET: open a session and answer with its handshake packet.

        `manner` gives the manner of the answer with some headers more.
        """
        transport = PollingTransport(self.options, self.clock, self.admission)
        session = self._new_session(handshake, transport)
        cookie = self.options.cookie
        more = [] if cookie is None else [("Set-Cookie", cookie.header(session.sid))]
        transport.poll(exchange, manner(more))
        self._open(session)

    def open_websocket(self, handshake: Handshake, transport: WebSocketTransport) -> None:
        """A handshake by WebSocket upgrade."""
        session = self._new_session(handshake, transport)
        self._open(session)

    def forget(self, session: Session) -> None:
        """Called by a session that has ended."""
        if self._sessions.pop(session.sid, None) is not None:
            self.admission.closed(session.handshake.address)

    def note_limit(self, limit: str, who: str, *, common: bool = False) -> None:
        """`Admission.note`."""
        self.admission.note(limit, who, common=common)

    def reconfigure(self, options: Options) -> None:
        """Go by `options` from now on: what bounds all clients at once, what bounds one for those to come.

        Path, heartbeat and proxies stay as they were. A client that was told of a larger `max_payload` may find
        its connection closed, and is told of the new one when it comes back.
        """
        self.options = options
        self.cors.use(options.cors_origins)
        self.admission.reconfigure(options)
        self.backlog.options = options
        self.websocket_factory.reconfigure(options)
        for changed in self._changed:
            changed(options)

    def admit_no_more(self) -> None:
        """Open no more sessions."""
        self.admission.open = False

    def close(self) -> None:
        """End every session, and open no more; clients see their transport close and reconnect."""
        self.admit_no_more()
        for session in tuple(self._sessions.values()):
            session.abort(reasons.FORCED_CLOSE, "the server is shutting down")

    def _new_session(self, handshake: Handshake, transport: PollingTransport | WebSocketTransport) -> Session:
        whose = self.neighbours or self.forwarder
        sid = ("" if whose is None else whose.mark) + secrets.token_urlsafe(_SID_BYTES)
        session = Session(
            sid,
            handshake,
            transport,
            clock=self.clock,
            options=self.options,
            registry=self,
            backlog=self.backlog,
            heartbeats=self._heartbeats,
        )
        self._sessions[sid] = session
        self.admission.opened(handshake.address)
        return session

    def _open(self, session: Session) -> None:
        session.open()
        try:
            listener = self._connected(session)
        except Exception:
            self._log.failure("nobody listens to a new session")
            session.abort(reasons.FORCED_CLOSE, "the server failed")
        else:
            session.listen(listener)


def _ignore(request: Handshake, refusal: Refusal) -> None:
    pass
