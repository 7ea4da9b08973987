"""Bytes of a file on a server: asked for again where an answer is refused, breaks off or does not come."""

import os
import random
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

from landweave.sources import remote
from landweave.sources.files import s3
from landweave.sources.files.gate import MOST, Gate
from landweave.sources.remote import forget_signatures, option, readable, tell_of_waiting, web_name
from landweave.sources.stac.hrefs import may_ask, scheme_of, within

TOLD = 120.0
"""Seconds that a server may make a request wait by ``Retry-After``, whatever it says."""

PATIENT = 4
"""Times as many tries as usual, where the server answers other requests meanwhile."""

PARTS = 64
"""Answers that break off after some bytes, for one read."""

REDIRECTS = 5

_WHOLE, _PART = 200, 206
_REFUSED = {429, 503}
_BEYOND = 416
_PORTS = {"http": 80, "https": 443}
_PIECE = 1 << 16
_AGENT = "landweave"
# What in the environment changes how GDAL reads servers, and is not followed here: with these GDAL itself reads.
_NOT_FOLLOWED = (
    "GDAL_HTTPS_PROXY", "GDAL_PROXY_AUTH",
    *(
        f"GDAL_HTTP_{name}" for name in (
            "PROXY", "PROXYUSERPWD", "USERPWD", "AUTH", "BEARER", "NETRC", "NETRC_FILE", "HEADERS", "HEADER_FILE",
            "COOKIE", "COOKIEFILE", "COOKIEJAR", "UNSAFESSL", "SSLCERT", "SSLCERTTYPE", "SSLKEY", "KEYPASSWD", "CAINFO",
            "CAPATH", "SSL_VERIFYSTATUS", "USE_CAPI_STORE", "USERAGENT", "REFERER", "PATH_VERBATIM",
        )
    ),
)  # fmt: skip
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True, kw_only=True)
class Mark:
    """By what a file on a server is known to be the same."""

    size: int
    etag: str = ""
    modified: str = ""

    @property
    def tells(self) -> bool:
        """Whether the server says anything that changes with the content."""
        return bool(self.etag or self.modified)


class ChangedError(Exception):
    """A file is not what it was when its header was read."""


class NoRangesError(Exception):
    """A server sends whole files, or does not say how large they are: GDAL may know how to read them."""


class _AnswerError(OSError):
    """One answer that is of no use; ``after``: seconds after which the server wants to be asked again."""

    def __init__(self, why: str, *, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class Host:
    """What is known of a server in this process."""

    def __init__(self, most: int) -> None:
        self.gate = Gate(most)
        self.answered = -float("inf")
        """When it last sent what it was asked for, by :func:`time.monotonic`."""


class Client:
    """Connections to servers, kept open, and how many requests each server gets at a time.

    Parameters
    ----------
    most
        Requests at a time to one server.
    """

    def __init__(self, most: int = MOST) -> None:
        import urllib3

        bundle = os.environ.get("CURL_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE") or None
        self._web = urllib3.PoolManager(num_pools=16, maxsize=most, block=False, ca_certs=bundle)
        self._hosts: dict[str, Host] = {}
        self._lock = threading.Lock()
        self.most = most

    def host(self, address: str) -> Host:
        """The server of an address."""
        with self._lock:
            return self._hosts.setdefault(_server(address), Host(self.most))

    def read(self, address: str, start: int, stop: int, mark: Mark | None = None) -> tuple[bytes, Mark]:
        """Bytes of a file.

        Parameters
        ----------
        address
            ``http``, ``https`` or ``s3``.
        start, stop
            The first byte, and the first one behind; the end of the file ends it too.
        mark
            What the file is expected to be; None: whatever it is.

        Returns
        -------
        bytes, Mark
            The bytes, and of which file they are.

        Raises
        ------
        OSError
            When the last try failed too: the address, without signature, and why.
        ChangedError
            Where the file is another one than ``mark`` says, or changes on the way.
        NoRangesError
            Where the server does not send parts of files.
        """
        host, got = self.host(address), bytearray()
        since, tries, parts = time.monotonic(), 0, 0
        # Of which file the bytes are: what comes after an answer that broke off must be of the same.
        marks = [] if mark is None else [mark]
        while True:
            before = len(got)
            try:
                with host.gate.place():
                    self._ask(host, address, start + before, stop, marks, got)
                host.answered = time.monotonic()
                return bytes(got), marks[0]
            except (OSError, _web_error()) as error:
                if isinstance(error, OSError) and not isinstance(error, _AnswerError) and error.errno in _MACHINE:
                    raise
                # What came before a body broke off is kept, and only the rest is asked for.
                parts += 1
                tries += len(got) == before or tries >= remote.TRIES
                why = _reason(error)
                most = remote.TRIES * (PATIENT if host.answered > since else 1)
                if tries >= most or parts >= PARTS:
                    hint = remote.keys_hint(address, why)
                    tried = tries if tries >= most else parts
                    raise OSError(f"{readable(address)}: not read after {tried} tries: {why}.{hint}") from None
                tell_of_waiting(address, since, why)
                forget_signatures()
                after = error.after if isinstance(error, _AnswerError) else None
                time.sleep(_pause(tries, after, alive=host.answered > since))

    def _ask(self, host: Host, address: str, start: int, stop: int, marks: list[Mark], into: bytearray) -> None:
        import urllib3

        limit = _number("GDAL_HTTP_TIMEOUT")
        silence = min(_number("GDAL_HTTP_LOW_SPEED_TIME"), limit)
        timeout = urllib3.Timeout(connect=_number("GDAL_HTTP_CONNECTTIMEOUT"), read=silence)
        until = time.monotonic() + limit
        answer = self._send(address, f"bytes={start}-{stop - 1}", timeout)
        whole = False
        try:
            host.gate.answered(refused=answer.status in _REFUSED)
            found = _mark_of(address, answer, start, marks[0] if marks else None)
            marks[:] = [found]
            wanted = min(stop, found.size) - start
            _receive(answer, wanted, into, until)
            whole = _length(answer) == wanted
        finally:
            # A connection is used again where nothing is left in it: what never ends is not waited for.
            if whole or (answer.status in _REFUSED and _short(answer)):
                answer.drain_conn()
                answer.release_conn()
            else:
                answer.close()

    def _send(self, address: str, wanted: str, timeout: Any) -> Any:
        url, fields = request_of(address)
        own = url
        for _ in range(REDIRECTS):
            answer = self._web.request(
                "GET", url, headers={"User-Agent": _AGENT, "Accept-Encoding": "identity", "Range": wanted, **fields},
                preload_content=False, redirect=False, retries=False, timeout=timeout,
            )  # fmt: skip
            region = answer.headers.get("x-amz-bucket-region", "")
            if address.startswith("s3://") and answer.status in {301, 307, 400} and s3.learn_region(address, region):
                answer.close()
                url, fields = request_of(address)
                own = url
                continue
            there = answer.headers.get("Location")
            if answer.status not in {301, 302, 303, 307, 308} or not there:
                return answer
            answer.close()
            there = urljoin(url, there)
            inside, safe = within(there, own), "https" in {scheme_of(own), scheme_of(url)}
            if inside is not None and scheme_of(own) == "https":
                # A server behind a gateway may not know that it is reached by https.
                there = inside
            if scheme_of(there) not in {"http", "https"} or (inside is None and not may_ask(there, own)):
                raise _AnswerError(f"the server answers {answer.status} and names another server, which is not asked")
            if safe and scheme_of(there) != "https":
                raise _AnswerError(
                    f"the server answers {answer.status} and leads from https to http, which is not asked"
                )
            if _origin(there) != _origin(own):
                # Keys are for the server that was asked.
                fields = {}
            url = there
        raise _AnswerError("the server sends the request on again and again")


def is_ours(address: str) -> bool:
    """Whether an address can be read here: not where GDAL is set up for proxies, passwords or keys of roles."""
    get = os.environ.get
    if any(get(name) is not None for name in _NOT_FOLLOWED) or _is_there(get("NETRC") or "~/.netrc", get("HOME")):
        return False
    if address.startswith("s3://"):
        return not remote.keys_of_roles() and not _is_proxied(s3.place_of_key(address)[0], tuple(map(get, _PROXIES)))
    return not _is_proxied(_server(address), tuple(map(get, _PROXIES)))


@lru_cache(maxsize=64)
def _is_proxied(server: str, settings: tuple[str | None, ...]) -> bool:
    """Whether requests to a server go through a proxy, as the environment has it."""
    if not any(settings):
        return False
    parts, proxies = urlsplit(server), getproxies_environment()
    return (parts.scheme in proxies or "all" in proxies) and not proxy_bypass_environment(parts.hostname or "")


def request_of(address: str) -> tuple[str, dict[str, str]]:
    """Where a file is asked for, signed where its host wants that, and the fields of the request."""
    if address.startswith("s3://"):
        return s3.s3_request(address)
    url = web_name(address)
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    import urllib3

    return parts._replace(netloc=host).geturl(), urllib3.make_headers(basic_auth=user)


@lru_cache(maxsize=1)
def _web_error() -> type[Exception]:
    from urllib3.exceptions import HTTPError

    return HTTPError


@lru_cache(maxsize=8)
def _is_there(name: str, home: str | None) -> bool:  # noqa: ARG001 - another home has another file
    # A file of passwords: GDAL reads it.
    return Path(name).expanduser().exists()


def _server(address: str) -> str:
    parts = urlsplit(address)
    return parts.scheme + "://" + parts.netloc.rpartition("@")[2]


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def _field(answer: Any, name: str) -> str:
    return str(answer.headers.get(name, ""))[:200]


def _mark_of(address: str, answer: Any, start: int, mark: Mark | None) -> Mark:
    """Of which file an answer is; an error where it is not the one that was asked for."""
    if answer.status == _BEYOND and mark is not None and start < mark.size:
        # The file is shorter by now.
        raise ChangedError(readable(address))
    if answer.status not in {_WHOLE, _PART}:
        after = _after(answer.headers) if answer.status in _REFUSED else None
        text = ""
        if address.startswith("s3://"):
            found = re.search(rb"<Message>([^<]{1,200})</Message>", answer.read1(2000))
            text = f" ({found[1].decode('utf-8', 'replace').rstrip('.')})" if found else ""
        raise _AnswerError(f"the server answers {answer.status}{text}", after=after)
    first, behind, size = _range_of(answer)
    there = Mark(size=size, etag=_field(answer, "ETag"), modified=_field(answer, "Last-Modified"))
    if mark is not None and there != mark:
        raise ChangedError(readable(address))
    if first != start or not first < behind <= size:
        raise NoRangesError(readable(address))
    return there


def _receive(answer: Any, wanted: int, into: bytearray, until: float) -> None:
    """Add so many bytes of an answer to what is there; what came before an error stays."""
    end, slowest = len(into) + wanted, _number("GDAL_HTTP_LOW_SPEED_LIMIT")
    while len(into) < end:
        data = answer.read1(min(_PIECE, end - len(into)))
        if not data:
            raise _AnswerError("the answer breaks off")
        into += data
        late = time.monotonic() - until
        if late > 0 and (len(into) - end + wanted) < slowest * late:
            raise _AnswerError("the answer comes too slowly: timed out")


def _range_of(answer: Any) -> tuple[int, int, int]:
    """First byte of an answer, the first one behind it, and bytes of the file."""
    if answer.status == _WHOLE:
        length = _length(answer)
        if length is None:
            raise NoRangesError("no length")
        return 0, length, length
    found = re.fullmatch(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", answer.headers.get("Content-Range", ""))
    if not found:
        raise NoRangesError("no size")
    return int(found[1]), int(found[2]) + 1, int(found[3])


def _length(answer: Any) -> int | None:
    """Bytes of an answer, as the server says before they come; None where it does not."""
    length = answer.headers.get("Content-Length", "")
    known = re.fullmatch(r"[0-9]{1,18}", length) and not answer.headers.get("Transfer-Encoding")
    return int(length) if known else None


def _short(answer: Any) -> bool:
    length = _length(answer)
    return length is not None and length < _PIECE


def _number(name: str) -> float:
    """A setting of GDAL's as a number above 0; landweave's own where it is none."""
    for text in (option(name), remote.own_option(name)):
        try:
            if float(text) > 0:
                return float(text)
        except ValueError:
            continue
    raise ValueError(name)


def _after(fields: Mapping[str, str]) -> float | None:
    """Seconds by ``Retry-After``, a number or a date; at most :data:`TOLD`."""
    told = fields.get("Retry-After", "")
    try:
        seconds = float(told) if told[:1].isdigit() else parsedate_to_datetime(told).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), TOLD) if seconds == seconds else None  # noqa: PLR0124 - not a number


def _pause(tries: int, after: float | None, *, alive: bool) -> float:
    """Seconds before the next try; what a server says goes before. The jitter spreads many readers over time.

    Pauses grow as long as a server answers nobody. Otherwise the number of requests at a time is what slows down.
    """
    longest = min(remote.LONGEST, 2 * remote.PAUSE) if alive else remote.LONGEST
    usual = min(remote.PAUSE * 2.0 ** min(tries, 30) / 2, longest)
    return (usual if after is None else max(after, min(usual, remote.PAUSE))) * random.uniform(1.0, 1.25)  # noqa: S311


def _reason(error: BaseException) -> str:
    """What went wrong, in one line, without signatures."""
    inner: Any = error
    while isinstance(getattr(inner, "reason", None), Exception):
        inner = inner.reason
    text = str(inner.args[-1] if inner.args else inner).split("\n")[0].split("): ")[-1]
    return remote.without_signature(text).rstrip(".")[:200] or type(inner).__name__


_MACHINE = {12, 23, 24}
"""No memory, too many files: not the server's fault."""
