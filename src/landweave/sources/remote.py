"""Reading files on servers: settings, signing, time limits, and asking again for pixels."""

import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from landweave.errors import InputError

T = TypeVar("T")

_log = logging.getLogger(__name__)
_said = {"": -float("inf")}
_saying = threading.Lock()

TRIES = 5
"""How often a read is tried."""

PAUSE = 0.5
"""Seconds before the second try, about; each further pause is twice as long, up to :data:`LONGEST`."""

LONGEST = 20.0

SILENCE = 30.0
"""Seconds after which a server that does not answer is named on the terminal, and between two such lines."""

_TIMEOUT = "GDAL_HTTP_TIMEOUT"
_OPTIONS = {
    # A cloud-optimised file needs its own header only, never a listing of its folder.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    _TIMEOUT: "60",
    "GDAL_HTTP_CONNECTTIMEOUT": "15",
    # A connection that delivers nothing for so long is given up.
    "GDAL_HTTP_LOW_SPEED_TIME": "30",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",
    "GDAL_HTTP_MULTIRANGE": "YES",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_INGESTED_BYTES_AT_OPEN": "32768",
    "VSI_CACHE": "FALSE",
    # What failed once must be asked again, not remembered.
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/",
}

# Ways by which GDAL comes to keys that are not in the environment themselves.
_KEYS_ELSEWHERE = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)  # fmt: skip
_KEY_FILE = "AWS_SHARED_CREDENTIALS_FILE"
_REFUSALS = ("403", "Access", "signature", "AWS_")
_ASK_FOR_KEYS = " Check the keys in the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY."


def is_remote(path: Path | str) -> bool:
    """Whether a place is an address rather than a file."""
    return isinstance(path, str) and path.startswith(("http://", "https://", "s3://"))


def readable(path: Path | str) -> str:
    """A place for messages and records: an address without user, password and query, which may hold a key.

    >>> readable("https://user:secret@host/B04.tif?sig=secret")
    'https://host/B04.tif'
    """
    return re.sub(r"//[^/@]*@", "//", str(path).split("?")[0], count=1) if is_remote(path) else str(path)


def is_signed(address: str) -> bool:
    """Whether an address holds a signature or a key, which are good for a while and for nobody else.

    >>> is_signed("https://host/B04.tif?se=2026&sig=secret"), is_signed("https://host/B04.tif?version=2")
    (True, False)
    """
    names = {part.split("=")[0].lower() for part in address.partition("?")[2].split("&")}
    return any(name.endswith(("sig", "signature", "token", "key", "credential")) for name in names)


def remote_settings(path: Path | str = "") -> Any:
    """A rasterio environment for reading an address; what the user's own environment says goes before it."""
    import rasterio

    options = dict(_OPTIONS)
    if os.environ.get(_KEY_FILE):
        # Everybody's name for what GDAL calls otherwise.
        options["CPL_AWS_CREDENTIALS_FILE"] = os.environ[_KEY_FILE]
    if not _can_sign():
        # Public buckets answer to whom they do not know, but GDAL looks for keys until it is told not to.
        options["AWS_NO_SIGN_REQUEST"] = "YES"
    if "Signature=" in str(path):
        # Such a signature is for GET alone. Otherwise the size is asked for by HEAD: GDAL asks by a GET for the whole
        # file that it breaks off, which costs a connection and whatever is under way.
        options["CPL_VSIL_CURL_USE_HEAD"] = "NO"
    return rasterio.Env(**{key: os.environ.get(key, value) for key, value in options.items()})


def wait_at_most(seconds: float | None) -> None:
    """Give up a server that is silent for so long, in this process; what the user's environment says goes before."""
    if seconds is not None:
        _OPTIONS[_TIMEOUT] = _OPTIONS["GDAL_HTTP_LOW_SPEED_TIME"] = f"{seconds:g}"
        _OPTIONS["GDAL_HTTP_CONNECTTIMEOUT"] = f"{min(seconds, 15):g}"


def tell_of_waiting(path: Path | str, since: float, why: str) -> None:
    """Warn that a server keeps us waiting, from :data:`SILENCE` seconds on, and one line for each such time.

    Parameters
    ----------
    path
        The address that was asked.
    since
        When it was first asked, by :func:`time.monotonic`.
    why
        What went wrong with the last try.
    """
    now = time.monotonic()
    with _saying:
        if now - since < SILENCE or now - _said[""] < 0.9 * SILENCE:
            return
        _said[""] = now
    _log.warning("waiting for %s for %.0f s: %s", readable(path), now - since, why)


@contextmanager
def told_while_waiting(path: Path | str) -> Iterator[None]:
    """While the block runs, warn every :data:`SILENCE` seconds that a server keeps us waiting."""
    since, done = time.monotonic(), threading.Event()

    def watch() -> None:
        while not done.wait(SILENCE):
            tell_of_waiting(path, since, "no answer yet")

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def vsi_name(path: str) -> str:
    """The name by which GDAL reads an address: signed where its host asks for it.

    >>> vsi_name("s3://bucket/a/B04.jp2")
    '/vsis3/bucket/a/B04.jp2'
    """
    if path.startswith("s3://"):
        return "/vsis3/" + path.removeprefix("s3://")
    return "/vsicurl/" + web_name(path)


def web_name(path: str) -> str:
    """An ``http`` or ``https`` address, signed where its host asks for it."""
    return _signed(path) if _needs_signature(path) else path


def option(name: str) -> str:
    """A setting of reading from servers, by its name in GDAL; what the user's environment says goes before."""
    return os.environ.get(name, _OPTIONS[name])


def own_option(name: str) -> str:
    """The same without the user's environment."""
    return _OPTIONS[name]


def serve_s3_from(endpoint: str) -> None:
    """Let ``s3://`` hrefs be read from another server, unless the user's environment names one."""
    os.environ.setdefault("AWS_S3_ENDPOINT", endpoint)
    os.environ.setdefault("AWS_VIRTUAL_HOSTING", "FALSE")


def missing_keys(names: Iterable[str]) -> list[str]:
    """Those environment variables that are not set; none where keys come from a profile, a file or a role.

    >>> missing_keys([])
    []
    """
    return [] if _keys_elsewhere() else [name for name in names if not os.environ.get(name)]


def patiently(path: Path | str, read: Callable[[], T]) -> T:
    """Try a read several times, with growing pauses.

    Parameters
    ----------
    path
        The address, for the message.
    read
        Opens and reads; called again for each try.

    Raises
    ------
    OSError
        When the last try failed too: the address, without signature, and what went wrong.
    """
    from rasterio.errors import RasterioError
    from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
    from tenacity import wait_exponential as pause
    from tenacity import wait_random_exponential as jitter

    since = time.monotonic()

    def again(state: Any) -> None:
        forget_signatures()
        error = state.outcome.exception() if state.outcome else None
        tell_of_waiting(path, since, without_signature(str(error).split("\n")[0]))

    # The jitter, a quarter either way, spreads many readers over time; what is read does not depend on it.
    tries = Retrying(
        stop=stop_after_attempt(TRIES), retry=retry_if_exception_type((RasterioError, OSError)),
        wait=pause(0.75 * PAUSE, 0.75 * LONGEST) + jitter(0.5 * PAUSE, 0.5 * LONGEST),
        before_sleep=again, reraise=True,
    )  # fmt: skip
    try:
        return tries(read)
    except (RasterioError, OSError) as error:
        # GDAL names the address as it was signed.
        text = without_signature(str(error).split("\n")[0])
        hint = keys_hint(path, text)
        raise OSError(f"{readable(path)}: not read after {TRIES} tries: {text.rstrip('.')}.{hint}") from None


def keys_hint(path: Path | str, why: str) -> str:
    """What to do about keys, where a refusal may come from them; else nothing."""
    return _ASK_FOR_KEYS if str(path).startswith("s3://") and any(word in why for word in _REFUSALS) else ""


def without_signature(text: str) -> str:
    """A message without what addresses in it hold of queries, users and passwords."""
    text = re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\"]*", r"\1", text)
    return re.sub(r"(https?://)[^/@\s]*@", r"\1", text)


def _can_sign() -> bool:
    return bool(os.environ.get("AWS_ACCESS_KEY_ID")) or _keys_elsewhere()


def keys_of_roles() -> bool:
    """Whether keys come from a profile, a role or a container."""
    return any(os.environ.get(name) for name in _KEYS_ELSEWHERE)


def _keys_elsewhere() -> bool:
    if keys_of_roles():
        return True
    named = os.environ.get("CPL_AWS_CREDENTIALS_FILE") or os.environ.get(_KEY_FILE) or "~/.aws/credentials"
    return Path(named).expanduser().is_file()


def _needs_signature(path: str) -> bool:
    return (urlsplit(path).hostname or "").endswith(".blob.core.windows.net") and "?" not in path


@lru_cache(maxsize=1)
def _signer() -> Callable[[str], str]:
    try:
        import planetary_computer
    except ImportError:
        raise InputError("Planetary Computer's files must be signed: pip install 'landweave[pc]'.") from None
    sign: Callable[[str], str] = planetary_computer.sign
    return sign


def _signed(path: str) -> str:
    return _signer()(path)


def forget_signatures() -> None:
    """Drop signatures that may have expired, so that the next try asks for new ones."""
    sas = sys.modules.get("planetary_computer.sas")
    if sas is not None:
        sas.TOKEN_CACHE.clear()
