"""Connections to the view's server: how many, how long they may take to ask, and what is logged of them."""

import asyncio
import logging
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from landweave.engine.machine import usable_cores
from landweave.sources.files.opened import keep_open

FILES_A_THREAD = 16
"""Rasters that a thread keeps open: a tile reads few files, and all threads share one limit of the system."""

MOST_CONNECTIONS = 256
"""Connections at a time; a browser opens six."""

HEADERS_WITHIN = 10.0
"""Seconds from a connection's first moment, or a request's first byte, until the request's last header."""

SAME_LINE = 10.0
"""Seconds in which a line of the log is not repeated."""

_OTHER_FILES = 128
"""Files of the libraries, of the logs, and of what is read beside rasters."""


def workers() -> ThreadPoolExecutor:
    """Threads that make tiles and dossiers, one a core, with few files open each."""
    return ThreadPoolExecutor(
        usable_cores(), thread_name_prefix="view", initializer=keep_open, initargs=(FILES_A_THREAD,)
    )


def connections_borne(threads: int) -> int:
    """How many connections the limit of open files bears, once it is as high as this process may set it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # macOS says that there is no limit, and takes no more than OPEN_MAX.
    for wanted in (hard, *([10_240] if hard == resource.RLIM_INFINITY else [])):
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(8, min(MOST_CONNECTIONS, soft - _OTHER_FILES - threads * FILES_A_THREAD))


class BoundedProtocol(H11Protocol):
    """HTTP by a bounded number of connections, each of which must ask in time."""

    most = MOST_CONNECTIONS
    within = HEADERS_WITHIN
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Take a connection, or close it at once where there are enough: the system's files are for those there are."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Go on as far as what has come allows."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is over."""
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.within, self._late)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        # Between two requests uvicorn's own time-out holds; while an answer is made there is nothing to wait for.
        busy = self.cycle is not None and not self.cycle.response_complete
        if not busy and self.conn.their_state is h11.IDLE:
            self.transport.close()


class Sparing(logging.Filter):
    """Lets no line of the log be repeated within some seconds: what fails a thousand times is told once."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line was not told lately."""
        error = record.exc_info[1] if record.exc_info else None
        line, now = f"{record.msg} {type(error).__name__} {error}"[:500], time.monotonic()
        if now - self._told.get(line, -SAME_LINE) < SAME_LINE:
            return False
        if len(self._told) > 100:
            self._told.clear()
        self._told[line] = now
        return True


def configured(app: ASGIApp, *, most: int = MOST_CONNECTIONS, within: float = HEADERS_WITHIN) -> uvicorn.Config:
    """The server's settings.

    Parameters
    ----------
    app
        The application (ASGI).
    most
        Connections at a time; further ones are closed.
    within
        Seconds in which a request's headers must be complete.
    """
    protocol = type("Protocol", (BoundedProtocol,), {"most": most, "within": within})
    config = uvicorn.Config(
        app, http=protocol, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=30,
        limit_concurrency=2 * most, backlog=128,
    )  # fmt: skip
    for name in ("asyncio", "uvicorn.error"):
        logger = logging.getLogger(name)
        if not any(isinstance(one, Sparing) for one in logger.filters):
            logger.addFilter(Sparing())
    return config
