"""GeoTIFFs on servers: their headers are read once, the blocks that are needed come side by side, GDAL decodes them."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from landweave.patch.raster.header import Header, header_of
from landweave.sources.files import headers
from landweave.sources.files.gate import MOST
from landweave.sources.files.pool import Waiters
from landweave.sources.files.ranges import ChangedError, Client, Mark, NoRangesError, is_ours
from landweave.sources.files.tiff import Block, ShortError, StrangeTiffError, Tiff, merged, parse
from landweave.sources.remote import is_remote, readable

T = TypeVar("T")

FIRST = 32_768
"""Bytes of a file that are read at first: most headers are shorter."""

GAP, LONGEST = 4096, 8 << 20
"""Blocks of one file that are at most so many bytes apart are read by one request, of so many bytes at most."""

BLOCKS, HEADERS = 64 << 20, 32 << 20
"""Bytes of packed blocks, and of headers, that a process keeps for neighbouring patches."""

ALL = 256 << 20
"""Bytes of packed blocks that one read may need; GDAL reads what needs more, block by block."""

_SUFFIXES = (".tif", ".tiff", "")
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """A part of a band at full resolution, and of its mask."""

    top: int
    left: int
    height: int
    width: int
    band: int = 1

    def blocks(self, tiff: Tiff) -> list[Block]:
        """The blocks of a file that are needed."""
        return tiff.part(self.top, self.left, self.height, self.width, self.band)


@dataclass(frozen=True, kw_only=True)
class SmallCopy:
    """The smallest copy of a band in a file, or the smallest that is as large as ``shape``."""

    shape: tuple[int, int] | None = None
    band: int = 1

    def blocks(self, tiff: Tiff) -> list[Block]:
        """The blocks of a file that are needed."""
        return tiff.coarse(self.shape, self.band)


@dataclass(frozen=True, kw_only=True)
class HeaderOnly:
    """No pixels: what a file says of itself."""

    def blocks(self, tiff: Tiff) -> list[Block]:  # noqa: ARG002 - as the others
        """None."""
        return []


Need = Pixels | SmallCopy | HeaderOnly


@dataclass(frozen=True, kw_only=True)
class FarFile:
    """What is known of a file on a server."""

    tiff: Tiff
    mark: Mark
    begins: bytes
    """What came with the header: its blocks need not be asked for."""
    name: str
    """Its address as it may be shown."""

    @cached_property
    def header(self) -> Header:
        """What it says of itself."""
        with MemoryFile(self.tiff.small({})) as memory, memory.open(driver="GTiff") as opened:
            return header_of(opened, self.name)


@dataclass(frozen=True, kw_only=True)
class Arriving:
    """One block, on its way."""

    future: "Future[bytes]"
    first: int
    """Where it begins in what comes."""
    length: int

    def bytes(self) -> bytes:
        """The block; waits for it."""
        return self.future.result()[self.first : self.first + self.length]


class Wire:
    """All that a process knows of files on servers.

    Parameters
    ----------
    most
        Requests at a time to one server.
    folder
        Where headers are kept from one run to the next; None: nowhere.
    """

    def __init__(self, most: int = MOST, folder: Path | None = None) -> None:
        # Twice as many threads: those that wait until they may ask again hold up no others.
        self.client, self.pool, self.folder = Client(most), Waiters(2 * most), folder
        self._lock = threading.RLock()
        self._files: OrderedDict[str, Future[FarFile]] = OrderedDict()
        self._pieces: OrderedDict[tuple[str, Block], Arriving] = OrderedDict()
        self._held = self._known = 0

    def read(self, address: str, need: Need, read: Callable[[Any], T], otherwise: Callable[[], T]) -> T:
        """Read pixels of a file.

        Parameters
        ----------
        address
            ``http``, ``https`` or ``s3``.
        need
            All of it that ``read`` reads.
        read
            Gets the opened file, as of rasterio.
        otherwise
            Reads what cannot be read here, such as JPEG 2000 and files whose headers are not in front.

        Raises
        ------
        OSError
            For a server that does not answer as it should, after retries.
        """
        for _ in range(_TRIES):
            try:
                file = self.file(address).result()
                pieces = self._start(address, file, need.blocks(file.tiff))
                content = file.tiff.small({block: piece.bytes() for block, piece in pieces.items()})
                del pieces
                with MemoryFile(content) as memory, memory.open(driver="GTiff") as opened:
                    return read(opened)
            except (ChangedError, RasterioError):
                # Another file by now, or one that was damaged on the way: all of it is asked for again.
                self.forget(address)
            except (StrangeTiffError, NoRangesError):
                break
        return otherwise()

    def ahead(self, address: str, need: "Callable[[FarFile], Need]") -> None:
        """Begin to read, so that :meth:`read` need not wait; whatever goes wrong is for that to say.

        Parameters
        ----------
        address
            ``http``, ``https`` or ``s3``.
        need
            Given what is known of the file: what will be read of it.
        """

        def then(future: "Future[FarFile]") -> None:
            # An error here would be logged as one of this program's.
            with suppress(Exception):
                if future.exception() is None:
                    file = future.result()
                    self._start(address, file, need(file).blocks(file.tiff))

        self.file(address).add_done_callback(then)

    def file(self, address: str) -> "Future[FarFile]":
        """What is known of a file, on its way; StrangeTiffError is its exception where GDAL must read it."""
        with self._lock:
            future = self._files.get(address)
            if future is not None and not (future.done() and _failed(future)):
                self._files.move_to_end(address)
                return future
            future = self._files[address] = self.pool.submit(lambda: self._header(address))
            future.add_done_callback(self._count)
            return future

    def forget(self, address: str) -> None:
        """Drop what is known of a file."""
        with self._lock:
            future = self._files.pop(address, None)
            if future is not None and future.done() and future.exception() is None:
                self._known -= len(future.result().begins)
            for key in [key for key in self._pieces if key[0] == address]:
                self._held -= self._pieces.pop(key).length
        if self.folder is not None:
            headers.drop(self.folder, address)

    def _header(self, address: str) -> FarFile:
        if Path(address.partition("?")[0]).suffix.lower() not in _SUFFIXES:
            raise StrangeTiffError("not a GeoTIFF by its name")
        if self.folder is not None and (there := headers.kept(self.folder, address)) is not None:
            try:
                return FarFile(
                    tiff=parse(there[0], there[1].size), mark=there[1], begins=there[0], name=readable(address)
                )
            except (StrangeTiffError, ShortError):
                headers.drop(self.folder, address)
        data, mark = self.client.read(address, 0, FIRST)
        while True:
            try:
                tiff = parse(data, mark.size)
                break
            except ShortError as short:
                more, mark = self.client.read(address, len(data), max(short.stop, len(data) + 1024), mark)
                data += more
        if self.folder is not None:
            headers.keep(self.folder, address, tiff.header, mark)
        return FarFile(tiff=tiff, mark=mark, begins=data, name=readable(address))

    def _start(self, address: str, file: FarFile, blocks: list[Block]) -> dict[Block, Arriving]:
        """The blocks, each on its way."""
        ends = {block: file.tiff.ends(block) for block in blocks}
        sizes = [stop - start for start, stop in ends.values()]
        if (
            any(stop > file.mark.size for _, stop in ends.values())
            or max(sizes, default=0) > LONGEST
            or sum(sizes) > ALL
        ):
            raise StrangeTiffError("blocks beyond the end, or many or large ones")
        found, absent = dict[Block, Arriving](), dict[Block, tuple[int, int]]()
        with self._lock:
            for block, (start, stop) in ends.items():
                piece = self._pieces.get((address, block))
                if piece is not None and not (piece.future.done() and _failed(piece.future)):
                    self._pieces.move_to_end((address, block))
                    found[block] = piece
                elif stop <= len(file.begins):
                    found[block] = Arriving(future=_done(file.begins), first=start, length=stop - start)
                else:
                    absent[block] = start, stop
            for first, last in merged(list(absent.values()), gap=GAP, most=LONGEST):
                future = self.pool.submit(partial(self._bytes, address, first, last, file.mark))
                for block, (start, stop) in absent.items():
                    if first <= start and stop <= last:
                        found[block] = Arriving(future=future, first=start - first, length=stop - start)
                        self._put((address, block), found[block])
        return found

    def _bytes(self, address: str, start: int, stop: int, mark: Mark) -> bytes:
        data = self.client.read(address, start, stop, mark)[0]
        if len(data) != stop - start:
            raise ChangedError(address)
        return data

    def _put(self, key: tuple[str, Block], piece: Arriving) -> None:
        if (old := self._pieces.pop(key, None)) is not None:
            self._held -= old.length
        self._pieces[key] = piece
        self._held += piece.length
        while self._held > BLOCKS:
            self._held -= self._pieces.popitem(last=False)[1].length

    def _count(self, future: "Future[FarFile]") -> None:
        if future.exception() is not None:
            return
        with self._lock:
            self._known += len(future.result().begins)
            while self._known > HEADERS and len(self._files) > 1:
                old = self._files.popitem(last=False)[1]
                if old.done() and old.exception() is None:
                    self._known -= len(old.result().begins)


_wires: dict[tuple[object, ...], Wire] = {}
_now: dict[int, Wire] = {}
_lock = threading.Lock()


def use_wire(connections: int | None = None, folder: Path | str | None = None) -> Wire:
    """Read with so many requests at a time to one server, and keep headers in a folder, in this process from now on."""
    most, place = connections or MOST, None if folder is None else Path(folder)
    with _lock:
        key = (os.getpid(), most, place)
        if key not in _wires:
            _wires[key] = Wire(most, place)
        _now[os.getpid()] = _wires[key]
        return _wires[key]


def _wire() -> Wire:
    return _now.get(os.getpid()) or use_wire()


def read_far(address: str, need: Need, read: Callable[[Any], T], otherwise: Callable[[], T]) -> T:
    """Pixels of a file on a server; see :meth:`Wire.read`. Where GDAL is set up in a way of its own, it reads."""
    return _wire().read(address, need, read, otherwise) if is_ours(address) else otherwise()


def far_header(address: str, otherwise: Callable[[], Header]) -> Header:
    """What a file on a server says of itself; arguments and errors as for :func:`read_far`."""
    if not is_ours(address):
        return otherwise()
    try:
        return _wire().file(address).result().header
    except (StrangeTiffError, NoRangesError, ChangedError, RasterioError):
        return otherwise()


def begin_to_read(place: Path | str, need: Callable[[FarFile], Need]) -> None:
    """Begin to read a part of a file, where it is on a server; see :meth:`Wire.ahead`."""
    if is_remote(place) and is_ours(str(place)):
        _wire().ahead(str(place), need)


def ask_again(place: Path | str) -> Path | str:
    """The same place; what is known of a file on a server is forgotten, so that it is asked for the next time."""
    if is_remote(place):
        _wire().forget(str(place))
    return place


def _failed(future: "Future[Any]") -> bool:
    error = future.exception()
    return error is not None and not isinstance(error, StrangeTiffError | NoRangesError)


def _done(data: bytes) -> "Future[bytes]":
    future: Future[bytes] = Future()
    future.set_result(data)
    return future
