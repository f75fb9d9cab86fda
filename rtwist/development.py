"""What `--dev` adds: throw-away keys, a page to watch events on, and what to try."""

from __future__ import annotations

import secrets
import sys
import textwrap
from dataclasses import dataclass
from shlex import quote

from twisted.web.resource import IResource

from rtwist.auth.token import mint
from rtwist.config import Config
from rtwist.devpage import dev_page
from rtwist.socketio.jsoncodec import dumps

_TOKEN_SECONDS = 7 * 24 * 3600
_ORDER = {
    "type": "order.created",
    "data": {"orderId": "7", "orderNumber": "ORD-7", "userId": "u1", "companyId": "c1", "shopId": "s1"},
}
_WELCOME = """
    rtwist is up, in development mode: keys that were not set are thrown away when it stops.

      URL    {url}
      token  {token}
             (user u1, company c1, shop s1, role manager)

    See events arrive, in a browser (or in any page with socket.io-client and this token):
      {url}/

    Publish an order:
      curl -X POST {url}/events -H {api_key} \\
        -H 'Content-Type: application/json' -d {order}

    Who is connected:
      curl {url}/connected-users

    A token for somebody else{with_secret}:
      {set_secret}{python} -m rtwist token --user u2 --company c1
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """The keys of a service in development mode, and a token for its first user.

    `secret_is_given` and `key_is_given` tell which of them are the operator's own: these are never printed.
    """

    url: str
    path: str
    jwt_secret: str
    api_key: str
    token: str
    secret_is_given: bool
    key_is_given: bool

    def page(self) -> IResource:
        """The page at `/`: shows events as they arrive."""
        return dev_page(self.token, self.api_key, path=self.path)

    def welcome(self) -> str:
        """A token, a URL, and commands that work when pasted."""
        return textwrap.dedent(_WELCOME).format(
            url=self.url,
            token=self.token,
            api_key='"X-API-Key: $API_KEY"' if self.key_is_given else quote(f"X-API-Key: {self.api_key}"),
            order=quote(dumps(_ORDER)),
            with_secret=" (with your JWT_SECRET)" if self.secret_is_given else "",
            set_secret="" if self.secret_is_given else f"JWT_SECRET={quote(self.jwt_secret)} ",
            python=quote(sys.executable),
        )


def trial(config: Config, now: float) -> Trial:
    """The keys that were set, throw-away ones for the rest; `now` is in seconds since 1970."""
    jwt_secret = config.tokens.secret or secrets.token_urlsafe(32)
    token = mint(
        jwt_secret,
        user="u1",
        company="c1",
        shops=["s1"],
        roles=["manager"],
        lifetime=_TOKEN_SECONDS,
        now=now,
    )
    api_key = config.api_key or secrets.token_urlsafe(16)
    return Trial(
        url=_url(config.listen[0]),
        path=config.socketio.path,
        jwt_secret=jwt_secret,
        api_key=api_key,
        token=token,
        secret_is_given=bool(config.tokens.secret),
        key_is_given=bool(config.api_key),
    )


def _url(endpoint: str) -> str:
    kind, _, arguments = endpoint.partition(":")
    scheme = "https" if kind in ("ssl", "tls") else "http"
    port = arguments.partition(":")[0].removeprefix("port=")
    return f"{scheme}://localhost:{port}" if port.isascii() and port.isdigit() else f"{scheme}://localhost"
