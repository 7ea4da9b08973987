"""Files of images opened, and kept open for the next who reads them; their headers are remembered."""

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from odc.geo.geobox import GeoBox
from rasterio.env import ensure_env_with_credentials
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader

from landweave.errors import InputError
from landweave.patch.raster.files import open_raster, refusal, system_error
from landweave.patch.raster.header import Header, header_of
from landweave.sources.files.far import HeaderOnly, Need, far_header, read_far
from landweave.sources.remote import is_remote, patiently, readable, remote_settings, vsi_name

# GDAL's default, a twentieth of the memory for each process, is too much where there are many.
os.environ.setdefault("GDAL_CACHEMAX", "128")

T = TypeVar("T")

_Key = tuple[str, tuple[int, ...]]
"""A path, and what tells whether it still holds the same file."""

REMOTE_DRIVERS = ("GTiff", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID")
"""Formats that are read from servers. Others, such as VRT, may name further files, also on this machine."""

FILES_OPEN = 1024
"""The most files that a thread keeps open, so that neighbouring patches share decoded tiles."""

_FEWER = 256
"""Of a thread that has not said how many."""

_HEADERS = 8192
"""Headers that a process remembers, of files on this machine."""

_BESIDE = (".msk", ".aux.xml")
"""Endings of files beside a raster of which GDAL takes masks, missing numbers and scales."""

_HEADER = HeaderOnly()
_held = threading.local()
_sources: dict[str, tuple[str, ...]] = {}
"""Files that virtual rasters read, as they said when they were opened."""

_headers: dict[_Key, Header] = {}


@contextmanager
def opened(path: Path | str) -> Iterator[Any]:
    """A raster that is there and can be read; InputError names it otherwise.

    Raises
    ------
    InputError
        For a file that is missing or no raster.
    OSError
        For an address (``http``, ``https``, ``s3``) that does not answer as it should, after retries; and where the
        machine fails, with the file's name.
    """
    files: OrderedDict[_Key, Any] = _held.__dict__.setdefault("files", OrderedDict())
    key = _key(path)
    if key in files:
        files.move_to_end(key)
    else:
        files[key] = _open(path, files)
        if files[key].driver == "VRT":
            _sources[str(path)] = tuple(files[key].files)
        if len(files) > getattr(_held, "most", _FEWER):
            files.popitem(last=False)[1].close()
    yield files[key]


def _key(path: Path | str) -> _Key:
    if is_remote(path):
        return str(path), ()
    try:
        facts = os.stat(path)  # noqa: PTH116 - asked for every band of every date
    except OSError as error:
        raise system_error(Path(path), error) from None
    # A file that was replaced is another one, also where its times were kept; so is one whose mask or source was.
    beside = (*(f"{path}{ending}" for ending in _BESIDE), *_sources.get(str(path), ()))
    return str(path), (*_facts(facts), *(fact for name in beside for fact in _facts_beside(name)))


def _facts(of: os.stat_result) -> tuple[int, ...]:
    return of.st_mtime_ns, of.st_ctime_ns, of.st_size, of.st_ino


def _facts_beside(path: str) -> tuple[int, ...]:
    try:
        return _facts(os.stat(path))  # noqa: PTH116 - as above
    except OSError:
        return (-1,)


def keep_open(files: int) -> None:
    """Let this thread keep only so many files open: 25 KB each; their decoded tiles are in GDAL's cache."""
    _held.most = min(files, _allowed())


@lru_cache(maxsize=1)
def _allowed() -> int:
    """Half of the files that the system lets a process open."""
    try:
        import resource
    except ImportError:
        return FILES_OPEN
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return FILES_OPEN if most == resource.RLIM_INFINITY else max(1, most // 2)


def forget(path: Path | str) -> None:
    """Close a file that this thread keeps open, so that the next reader opens it anew."""
    files = _held.__dict__.get("files", {})
    for key in [key for key in files if key[0] == str(path)]:
        files.pop(key).close()
    for key in [key for key in list(_headers) if key[0] == str(path)]:
        _headers.pop(key, None)


def _open(path: Path | str, held: OrderedDict[_Key, Any]) -> Any:
    if is_remote(path):
        with remote_settings(path):
            return _open_remote(vsi_name(str(path)))
    try:
        return open_raster(Path(path))
    except OSError as error:
        if error.errno not in {errno.EMFILE, errno.ENFILE} or not held:
            raise
        # Files that are kept open for speed alone must not be what stops this one.
        while held:
            held.popitem()[1].close()
        return open_raster(Path(path))


@ensure_env_with_credentials  # type: ignore[untyped-decorator]
def _open_remote(name: str) -> Any:
    try:
        # As rasterio.open does it, which takes one driver only.
        return DatasetReader(name, driver=list(REMOTE_DRIVERS))
    except RasterioIOError as error:
        if "not recognized" not in str(error):
            raise
        # What GDAL says of an answer without ranges too, where it may not try every format.
        raise RasterioIOError(
            "it is not a GeoTIFF or JPEG 2000 file, or its server does not send ranges of it"
        ) from None


def header_at(path: Path | str) -> Header:
    """What a raster says of itself; of a file on this machine, remembered for as long as the file does not change."""

    def read() -> Header:
        return read_from(path, lambda file: header_of(file, readable(path)))

    if is_remote(path):
        return far_header(str(path), read)
    key = _key(path)
    known = _headers.get(key)
    if known is not None:
        return known
    header = read()
    # A file that was replaced meanwhile is read again.
    if _key(path) == key:
        _headers[key] = header
        while len(_headers) > _HEADERS:
            _headers.pop(next(iter(_headers)), None)
    return header


def grid_of(path: Path | str) -> GeoBox:
    """A raster's own pixel grid, from its header; InputError where it has none."""
    return header_at(path).grid


def read_from(path: Path | str, read: Callable[[Any], T], band: int = 1, *, need: Need = _HEADER) -> T:
    """What ``read`` makes of an open file; of one on a server after several tries.

    Parameters
    ----------
    path
        The file or address.
    read
        Given the file, opened by rasterio.
    band
        Number of the band that is read, from 1, for the message.
    need
        What is read; of a file on a server, no more is asked for.

    Raises
    ------
    InputError
        For a file on this machine that is missing, no raster or damaged.
    OSError
        Where the machine or the server fails.
    """
    if is_remote(path):

        def attempt() -> T:
            try:
                with opened(path) as file, remote_settings():
                    return read(file)
            except RasterioError:
                forget(path)
                raise

        return read_far(str(path), need, read, lambda: patiently(path, attempt))
    try:
        with opened(path) as file:
            return read(file)
    except RasterioError as error:
        told = refusal(Path(path), error)
        if not isinstance(told, InputError):
            raise told from None
        why = str(told).partition("as a raster: ")[2].partition(";")[0].removeprefix(f"band {band}: ")
        raise InputError(
            f"{path}: band {band} cannot be read{f' ({why})' if why else ''}; the file is damaged or truncated, "
            "replace it."
        ) from None
