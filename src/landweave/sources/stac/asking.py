"""Asking servers for JSON: again where they are busy, slow, or break off. Imported where a server is asked."""

import time
from collections.abc import Sequence
from typing import Any

from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential
from urllib3.util import Retry

from landweave.errors import InputError
from landweave.sources.remote import readable, told_while_waiting
from landweave.sources.stac.hrefs import may_ask, scheme_of, within

TIMEOUT = (15.0, 60.0)
"""Seconds to connect, and to wait for an answer."""

TRIES = 5
"""How often a busy server is asked again."""

PAUSE = 0.5
"""Seconds before that; each further pause is twice as long, up to :data:`LONGEST`."""

LONGEST = 20.0

TOLD = 120.0
"""Seconds that a server may make us wait by ``Retry-After``, whatever it says."""

LARGEST = 512 << 20
"""Bytes of one answer: some 16,000 items with all their links."""

PATIENCE = 1800.0
"""Seconds after which an answer that still goes on is given up."""

REDIRECTS = 10
"""How often one request may be sent on to another address."""

_BUSY = (429, 500, 502, 503, 504)


class _Retry(Retry):
    def get_retry_after(self, response: Any) -> float | None:
        told = super().get_retry_after(response)
        return None if told is None else min(told, TOLD)


class PatientIO(StacApiIO):
    """Requests of pystac-client over connections that are kept, with time-outs and growing pauses.

    Parameters
    ----------
    timeout
        Seconds to wait for an answer; default: those of :data:`TIMEOUT`.
    hosts
        Servers to which a server may send a request on, besides itself and public ones.
    """

    def __init__(self, *, timeout: float | None = None, hosts: Sequence[str] = ()) -> None:
        retry = _Retry(
            total=TRIES, connect=2, read=2, backoff_factor=PAUSE, backoff_max=LONGEST, status_forcelist=_BUSY,
            allowed_methods={"GET", "POST", "HEAD"}, raise_on_status=False,
        )  # fmt: skip
        super().__init__(timeout=TIMEOUT if timeout is None else (min(TIMEOUT[0], timeout), timeout), max_retries=retry)
        self.session.max_redirects = REDIRECTS
        # Before anything else reads the answer, also one that sends the request on.
        self.session.hooks["response"].append(_bounded)
        follow = self.session.get_redirect_target

        def target(response: Any) -> str | None:
            there: str | None = follow(response)
            asked = str(response.url)
            if there is None or within(there, asked, hosts) is not None:
                return there
            # A question with a body is not handed on to strangers.
            fits = response.request.method == "GET" and scheme_of(there) in {"http", "https"} and may_ask(there, asked)
            return there if fits else None

        self.session.get_redirect_target = target  # type: ignore[method-assign, assignment]

    def request(self, *args: Any, **options: Any) -> str:
        """One answer, as text; :class:`pystac_client.exceptions.APIError` where there is none."""
        # The connection's own retries end with the headers: an answer that breaks off later is asked for again here.
        tries = Retrying(
            stop=stop_after_attempt(TRIES + 1), wait=wait_exponential(PAUSE, LONGEST),
            retry=retry_if_exception(_breaks_off), reraise=True,
        )  # fmt: skip
        url = str(args[0] if args else options["href"])
        with told_while_waiting(url):
            try:
                return tries(super().request, *args, **options)
            except APIError as error:
                if isinstance(error.__context__, _EndlessError):
                    raise InputError(f"{readable(url)}: {error.__context__}; give another address.") from None
                raise


class _EndlessError(Exception):
    """An answer that is too large, or goes on for too long."""


def _bounded(response: Any, *_: Any, **__: Any) -> None:
    """Read the whole answer, unpacked, unless it is larger or takes longer than any useful one."""
    content, begun = bytearray(), time.monotonic()
    for piece in response.iter_content(1 << 16):
        content += piece
        if len(content) > LARGEST:
            response.close()
            raise _EndlessError(f"the answer is larger than {LARGEST >> 20} MB")
        if time.monotonic() - begun > PATIENCE:
            response.close()
            raise _EndlessError(f"the answer is not complete after {PATIENCE / 60:.0f} minutes")
    response._content = bytes(content)  # noqa: SLF001 - where requests itself keeps what it has read


def _breaks_off(error: BaseException) -> bool:
    """Whether an answer began and did not end."""
    broken = ChunkedEncodingError | ContentDecodingError
    return isinstance(error, APIError) and isinstance(error.__context__, broken)


def status_of(error: APIError) -> int | None:
    """What the server answered, None where nothing came back."""
    return getattr(error, "status_code", None)


def reason(error: APIError) -> str:
    """What went wrong, in one line."""
    status = status_of(error)
    if status is not None and 300 <= status < 400:
        return f"the server answers {status} and names another server, which is not asked"
    if status is not None:
        text = str(error).strip().split("\n")[0][:200]
        return f"the server answers {status}" + (f" ({text})" if text else "")
    # Connection pools wrap what happened in several exceptions, each with the address again.
    inner: Any = error.__context__ or error
    while isinstance(getattr(inner, "reason", None) or (inner.args or [None])[0], Exception):
        inner = getattr(inner, "reason", None) or inner.args[0]
    text = str((inner.args or [inner])[0])
    return text.split("\n")[0].split("): ")[-1].rstrip(".")[:200]
