"""At the door of the view's server: host names, methods, queries, sizes; and the headers of every answer."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL = ("127.0.0.1", "localhost", "[::1]")

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; sandbox allow-popups allow-downloads"
)
"""The report carries its own styles and pictures, and no script: none would run."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

_LONGEST_QUERY = 200


@dataclass(frozen=True, kw_only=True)
class Door:
    """What may be asked of one path."""

    query: bytes = rb"(v=[0-9a-f]{1,16})?"
    """Pattern of the whole query."""
    most: int = 0
    """Bytes of JSON that may be posted; 0: nothing, the path is only read."""


_PLAIN = Door()


def with_pictures_of(policy: str, hosts: Sequence[str]) -> str:
    """A security policy that allows pictures of some hosts too.

    >>> with_pictures_of("img-src 'self' blob: data:; base-uri 'none'", ["https://tiles.example.org"])
    "img-src 'self' blob: data: https://tiles.example.org; base-uri 'none'"
    """
    return policy.replace("img-src 'self' blob: data:", " ".join(["img-src 'self' blob: data:", *hosts]))


def bare(text: str) -> str:
    """A message with the names of files instead of their whole paths, which are nobody's business.

    >>> bare("/data/archive/B04.tif: band 1 of https://example.org/a/b.tif cannot be read")
    'B04.tif: band 1 of https://example.org/a/b.tif cannot be read'
    """
    return re.sub(r"(?<![\w:/.])/(?:[^\s/:'\",;]+/)*(?=[^\s/:'\",;]+)", "", text)


class Guard:
    """Around the application (ASGI): refuses what the doors do not allow, and adds headers to every answer.

    Parameters
    ----------
    app
        What is guarded.
    hosts
        Host names, without port and in small letters, to which it answers.
    doors
        By path, what is allowed beside reading it.
    elsewhere
        Gives the hosts that the page may load pictures from: those of the project's overlays.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: tuple[str, ...], doors: Mapping[str, Door], elsewhere: Callable[[], Sequence[str]]
    ) -> None:
        self.app, self.hosts, self.doors, self.elsewhere = app, hosts, doors, elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                there = {key for key, _ in message["headers"]}
                extra = {**HEADERS, "Content-Security-Policy": with_pictures_of(PAGE_POLICY, self.elsewhere())}
                if any(key == b"content-security-policy" and b"sandbox" in value for key, value in message["headers"]):
                    # A document in a sandbox has no origin that an opener could share; browsers complain of both.
                    del extra["Cross-Origin-Opener-Policy"]
                message["headers"] = [
                    *message["headers"],
                    *((k.lower().encode(), v.encode()) for k, v in extra.items() if k.lower().encode() not in there),
                ]
            await send(message)

        refusal = self._refusal(scope)
        act: Callable[[Scope, Receive, Send], Awaitable[None]] = refusal or self.app
        await act(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        if scope["type"] != "http":
            return JSONResponse({"detail": "only HTTP is spoken here"}, 400)
        hosts = [value for key, value in scope["headers"] if key == b"host"]
        host = hosts[0].decode("latin-1").lower() if len(hosts) == 1 else ""
        if re.sub(r":\d*$", "", host) not in self.hosts:
            return JSONResponse({"detail": "this host name is not known here; see --allow-host"}, 421)
        door = self.doors.get(scope["path"], _PLAIN)
        if scope["method"] == "POST" and door.most:
            refusal = _posted(scope, host, door.most)
            if refusal is not None:
                return refusal
        elif scope["method"] not in {"GET", "HEAD"}:
            return JSONResponse({"detail": "nothing can be changed here"}, 405, {"Allow": "GET, HEAD"})
        query: bytes = scope["query_string"]
        if len(query) > _LONGEST_QUERY or not re.fullmatch(door.query, query):
            return JSONResponse({"detail": "this query means nothing here"}, 400)
        return None


def _posted(scope: Scope, host: str, most: int) -> Response | None:
    """Why something posted is refused: pages of other sites may not, and nothing without a size, or of a large one."""
    told = {key: value.decode("latin-1").lower() for key, value in scope["headers"]}
    origin = told.get(b"origin", f"http://{host}")
    if origin.partition("://")[2] != host or told.get(b"sec-fetch-site", "same-origin") != "same-origin":
        return JSONResponse({"detail": "only the page of this server may ask for this"}, 403)
    # A form of another site can send anything but this type.
    if told.get(b"content-type", "").partition(";")[0].strip() != "application/json":
        return JSONResponse({"detail": "JSON is expected here"}, 415)
    size = told.get(b"content-length", "")
    # In chunks, a body is as large as it likes, whatever size is stated beside.
    if b"transfer-encoding" in told or not size.isdecimal():
        return JSONResponse({"detail": "its size must be given"}, 411)
    if int(size) > most:
        return JSONResponse({"detail": f"more than {most:,} bytes"}, 413)
    return None
