"""A token in front of the view's server, where others than this machine can reach it."""

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Sequence
from contextlib import suppress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

QUERY = rb"(token=[\w-]{20,100})?"
"""Of the one address that brings the token: it answers with a cookie."""


def token_needed(host: str, names: Sequence[str]) -> bool:
    """Whether others than this machine may ask: by an address that is not loopback, or by further host names.

    >>> token_needed("127.0.0.1", ()), token_needed("0.0.0.0", ()), token_needed("127.0.0.1", ("maps.example.org",))
    (False, True, True)
    """
    if names:
        return True
    with suppress(ValueError):
        return not ipaddress.ip_address(host).is_loopback
    return host != "localhost"


def new_token() -> str:
    """256 bits from the system's source of randomness."""
    return secrets.token_urlsafe(32)


class TokenGate:
    """Around an application (ASGI): answers only who brings the token, as ``?token=`` once, by cookie, or as bearer.

    Parameters
    ----------
    app
        What is behind it.
    token
        From :func:`new_token`.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self._token = app, token.encode()
        # Cookies do not know ports: two views on one host need two names.
        self._cookie = f"landweave-{hashlib.sha256(self._token).hexdigest()[:8]}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        answer: ASGIApp = self.app
        if scope["type"] == "http":
            answer = self._door(scope) or self.app
        await answer(scope, receive, send)

    def _door(self, scope: Scope) -> Response | None:
        headers = {key: value for key, value in scope["headers"] if key in {b"cookie", b"authorization"}}
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if scope["path"] == "/" and len(given) == 1 and self._is(given[0].encode()):
            answer = Response(status_code=303, headers={"Location": "/", "Cache-Control": "no-store"})
            answer.set_cookie(self._cookie, self._token.decode(), httponly=True, samesite="lax", path="/")
            return answer
        bearer = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        if self._is(bearer) or self._is(self._brought(headers.get(b"cookie", b""))):
            return None
        return JSONResponse(
            {"detail": "this view needs its token: open the address that the terminal of `landweave view` shows"}, 401
        )

    def _brought(self, cookies: bytes) -> bytes:
        with suppress(CookieError):
            found = SimpleCookie(cookies.decode("latin-1")).get(self._cookie)
            return found.value.encode("latin-1") if found is not None else b""
        return b""

    def _is(self, given: bytes) -> bool:
        # Takes as long for any wrong token, so that nobody learns it letter by letter.
        return hmac.compare_digest(given, self._token)
