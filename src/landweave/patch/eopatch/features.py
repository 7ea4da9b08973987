"""One feature of an EOPatch folder: read when it is touched, and a window of it where its form allows."""

import gzip
import json
import math
import shutil
import tempfile
import threading
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from landweave.errors import InputError, blame_machine
from landweave.patch.eopatch.old_pickles import LONGEST, read_old_pickle
from landweave.patch.raster.header import check_chunks

AXES = {
    "data": "tyxd", "mask": "tyxd", "scalar": "td", "label": "td",
    "data_timeless": "yxd", "mask_timeless": "yxd", "scalar_timeless": "d", "label_timeless": "d",
}  # fmt: skip
"""Kinds of feature that are arrays: their axes, where d counts bands."""

VECTORS = ("vector", "vector_timeless")
META = "meta_info"
DISCRETE = ("mask", "label", "mask_timeless", "label_timeless")
"""Kinds whose arrays are whole numbers or true and false."""

FORMS = (
    ".npy.gz",
    ".npy",
    ".zarr",
    ".gpkg.gz",
    ".gpkg",
    ".json.gz",
    ".json",
    ".geojson.gz",
    ".geojson",
    ".pkl.gz",
    ".pkl",
)
"""How names of files end."""

UNPACKED_BYTES = 2 * 1024**3
"""Of gzipped arrays, so many bytes are held unpacked in unnamed temporary files, that windows need not unpack again."""

Window = slice | Sequence[int] | Sequence[bool] | None

# Codecs that only turn bytes into bytes or numbers; `pickle` and `msgpack` of objects are not among them.
_CODECS = {
    "zlib", "gzip", "bz2", "lzma", "blosc", "zstd", "lz4", "delta", "shuffle", "fixedscaleoffset", "packbits",
    "bitround", "quantize", "crc32", "adler32", "fletcher32", "bytes", "transpose", "sharding_indexed", "crc32c",
    "astype",
}  # fmt: skip
_MOST = 1 << 48  # values: what a disk holds, and what can be counted with
# What unpacking raises.
_DAMAGED = (OSError, EOFError, ValueError, zlib.error, RuntimeError, MemoryError)
_unpacked: "OrderedDict[tuple[str, int, int], np.ndarray]" = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A feature on disk: an array, vectors, or a piece of meta information."""

    kind: str
    """``data``, ``mask``, ``scalar``, ``label``, ``vector``, each also with ``_timeless``, or ``meta_info``."""

    name: str
    """As eo-learn calls it."""

    path: Path
    """Its file, or the folder of a Zarr array."""

    @property
    def form(self) -> str:
        """How its file's name ends: one of :data:`FORMS`."""
        return form_of(self.path.name)[1]

    @property
    def axes(self) -> str:
        """Of an array: ``tyxd``, ``td``, ``yxd`` or ``d``."""
        if self.kind not in AXES:
            raise InputError(f"{self.path}: a feature of {self.kind} is not an array.")
        return AXES[self.kind]

    @cached_property
    def _header(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        axes = self.axes
        shape, dtype = _header_of(self.path, self.form)
        if len(shape) != len(axes):
            raise InputError(f"{self.path}: {len(shape)} axes; a feature of {self.kind} has {len(axes)} ({axes}).")
        return shape, dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an array, in the order of :attr:`axes`; only the header is read."""
        return self._header[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of an array; only the header is read."""
        return self._header[1]


def form_of(name: str) -> tuple[str, str]:
    """A file's name without its ending, and the ending; the ending is empty where it is none of :data:`FORMS`.

    >>> form_of("BANDS-S2.npy.gz")
    ('BANDS-S2', '.npy.gz')
    """
    form = next((form for form in FORMS if name.endswith(form)), "")
    return name.removesuffix(form), form


def read_feature(
    feature: Feature, *, dates: Window = None, rows: Window = None, columns: Window = None, bands: Window = None
) -> Any:
    """Read a feature, or a window of an array.

    Parameters
    ----------
    feature
        From :func:`landweave.patch.eopatch.folder.open_eopatch`.
    dates, rows, columns, bands
        For arrays: a slice, numbers (the last is -1) or true and false for each, along the axes t, y, x and d, as
        far as the feature has them; None is all.
        Of ``.npy`` and Zarr only what holds the window is read; a gzipped array is unpacked once into an unnamed
        temporary file (up to :data:`UNPACKED_BYTES` of them are held), so that further windows are cheap.

    Returns
    -------
    numpy.ndarray, geopandas.GeoDataFrame or object
        An array in the order of the feature's axes, as stored; vectors; or what the JSON of a ``meta_info`` says.

    Raises
    ------
    InputError
        For a file that is damaged or holds Python objects, and for a window that is not there.
    """
    windows = {"t": dates, "y": rows, "x": columns, "d": bands}
    given = [axis for axis, window in windows.items() if window is not None]
    if feature.kind not in AXES:
        if given:
            raise InputError(f"{feature.path}: a window of {feature.kind} cannot be read; read all of it.")
        return _read_vectors(feature.path) if feature.kind in VECTORS else read_plain(feature.path)
    for axis in given:
        if axis not in feature.axes:
            raise InputError(f"{feature.path}: a feature of {feature.kind} has no axis {axis}, only {feature.axes}.")
    shape = feature.shape
    index = [_numbers(windows[axis], n, feature.path) for axis, n in zip(feature.axes, shape, strict=True)]
    try:
        return _read_array(feature, index)
    except Exception as error:  # noqa: BLE001 - decoders fail in many ways
        raise damaged(feature.path, error) from None


def read_plain(path: Path) -> Any:
    """What a JSON file, or an old pickle of plain values, dates or a box, holds; either may be gzipped."""
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            data = file.read(LONGEST + 1)
    except _DAMAGED as error:
        raise damaged(path, error) from None
    # The oldest folders have pickles without any ending.
    if ".json" not in path.name and ".geojson" not in path.name:
        return read_old_pickle(data, path)
    if len(data) > LONGEST:
        raise InputError(f"{path}: JSON files over {LONGEST >> 20} MB are not read.")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not valid JSON; the patch is damaged, save it again.") from None


def damaged(path: Path, error: Exception) -> InputError:
    """That a file cannot be read, in one line; OSError where that is the machine's fault, not the file's."""
    if isinstance(error, InputError):
        return error
    blame_machine(path, error)
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return InputError(f"{path}: damaged, truncated or in another format than its name says ({reason}); replace it.")


def positions(window: Any, length: int, where: str | Path) -> np.ndarray:
    """Numbers along an axis, from 0, of a slice, of numbers that may count from the end, or of true and false.

    Raises
    ------
    InputError
        For a number beyond the axis, true and false for more or fewer than there are, and for anything else.

    >>> positions([True, False, True], 3, "X.npy"), positions([-1, 0], 3, "X.npy")
    (array([0, 2]), array([2, 0]))
    """
    if isinstance(window, slice):
        return np.arange(length)[window]
    numbers = np.asarray(window)
    if numbers.ndim == 1 and not numbers.size:
        return np.empty(0, "int64")
    if numbers.ndim != 1 or numbers.dtype.kind not in "biu":
        raise InputError(
            f"{where}: {str(window)[:40]} is not a valid selection along an axis; give a slice or numbers."
        )
    if numbers.dtype.kind == "b":
        if len(numbers) != length:
            raise InputError(f"{where}: {len(numbers)} true or false values are given for an axis of length {length}.")
        return np.flatnonzero(numbers)
    outside = numbers[(numbers < -length) | (numbers >= length)]
    if outside.size:
        raise InputError(f"{where}: index {int(outside[0])} is outside an axis of length {length}.")
    numbers = numbers.astype("int64")
    return np.where(numbers < 0, numbers + length, numbers)


def _numbers(window: Window, length: int, path: Path) -> Any:
    if window is None:
        return slice(None)
    if isinstance(window, slice) and (window.step or 1) > 0:
        return window
    numbers = positions(window, length, path)
    # Neighbours are a slice, which no copy need be made for.
    if numbers.size and (np.diff(numbers) == 1).all():
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return numbers


def _read_array(feature: Feature, index: list[Any]) -> np.ndarray:
    path, form = feature.path, feature.form
    everything = all(isinstance(part, slice) and part == slice(None) for part in index)
    if form == ".zarr":
        return np.asarray(_zarr(path).oindex[tuple(index)])
    if form == ".npy.gz" and everything:
        with gzip.open(path) as file:
            whole = np.asarray(np.load(file, allow_pickle=False))
            _at_end(file)
            return whole
    array = _npy(path) if form == ".npy" else _spooled(path)
    # One axis after another: together, lists of numbers would be taken as pairs.
    for axis, part in enumerate(index):
        array = array[(slice(None),) * axis + (part,)]
    return np.array(array, order="C")


def _header_of(path: Path, form: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    try:
        if form == ".zarr":
            stored = _zarr(path)
            return tuple(stored.shape), np.dtype(stored.dtype)
        if form == ".npy":
            array = _npy(path)
            return tuple(array.shape), array.dtype
        if form == ".npy.gz":
            with gzip.open(path) as file:
                shape, _, dtype = _npy_header(file)
            return shape, dtype
    except Exception as error:  # noqa: BLE001 - as above
        raise damaged(path, error) from None
    raise InputError(f"{path}: expected an array as .npy, .npy.gz or .zarr; save the patch again with eo-learn 1.5.")


def _npy(path: Path) -> np.ndarray:
    with path.open("rb") as file:
        shape, _, _ = _npy_header(file)
    # Nothing can be mapped of an array without elements.
    return np.asarray(np.load(path, mmap_mode="r" if math.prod(shape) else None, allow_pickle=False)).view()


def _at_end(file: Any) -> None:
    # The check sum stands behind the last byte, and is looked at by who asks for one more.
    if file.read(1):
        raise ValueError("more bytes than in its header")


def _npy_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"npy version {version}")
    try:
        shape, fortran, dtype = read(file)
    except Exception:  # noqa: BLE001 - it is read as Python's own text, and fails in as many ways
        raise ValueError("its header cannot be read") from None
    if dtype.hasobject:
        raise ValueError("it contains Python objects, which are not read")
    if min(shape, default=0) < 0 or math.prod(size or 1 for size in shape) > _MOST or not dtype.itemsize:
        raise ValueError("its header has an impossible shape or data type")
    return shape, fortran, dtype


def _spooled(path: Path) -> np.ndarray:
    """A gzipped array, unpacked into a temporary file without a name; the latest ones are held."""
    facts = path.stat()
    key = (str(path), facts.st_mtime_ns, facts.st_size)
    with _lock:
        if key not in _unpacked:
            _unpacked[key] = _unpack(path)
            while len(_unpacked) > 1 and sum(array.nbytes for array in _unpacked.values()) > UNPACKED_BYTES:
                _unpacked.popitem(last=False)
        _unpacked.move_to_end(key)
        return _unpacked[key]


def _unpack(path: Path) -> np.ndarray:
    with gzip.open(path) as packed, tempfile.TemporaryFile() as file:
        shape, fortran, dtype = _npy_header(packed)
        size, order = math.prod(shape) * dtype.itemsize, "F" if fortran else "C"
        left = size
        while left:
            block = packed.read(min(left, 1 << 24))
            if not block:
                raise ValueError(f"{left} of {size} bytes are missing")
            file.write(block)
            left -= len(block)
        _at_end(packed)
        file.flush()
        if not size:
            return np.empty(shape, dtype)
        return np.memmap(file, dtype, "r", 0, shape, order)  # type: ignore[call-overload, no-any-return]


def _zarr(path: Path) -> Any:
    import zarr

    kept = next((path / name for name in (".zarray", "zarr.json") if (path / name).is_file()), None)
    if kept is None:
        raise ValueError("there is no Zarr array")
    meta = json.loads(kept.read_bytes())
    if not isinstance(meta, dict):
        raise ValueError(f"{kept.name} is not a JSON object")  # noqa: TRY004 - of what was read, as the others here
    used = [meta.get("compressor"), *(meta.get("filters") or ()), *(meta.get("codecs") or ())]
    for name in _codec_names(used):
        if name.removeprefix("numcodecs.") not in _CODECS:
            raise ValueError(f"the codec {name[:40]!r} is not supported")
    array = zarr.open_array(path, mode="r")
    if np.dtype(array.dtype).hasobject:
        raise ValueError("it contains Python objects, which are not read")
    # Of shards no more is decoded than the chunks in them.
    check_chunks(array.shape, array.chunks, array.dtype)
    return array


def _codec_names(part: Any) -> list[str]:
    # Sharding holds codecs within codecs.
    if isinstance(part, dict):
        own = [str(part[key]) for key in ("id", "name") if key in part]
        inner = part.get("configuration")
        deeper = [inner.get(key) for key in ("codecs", "index_codecs")] if isinstance(inner, dict) else []
        return own + _codec_names(deeper)
    return [name for one in part for name in _codec_names(one)] if isinstance(part, list) else []


def _read_vectors(path: Path) -> Any:
    import geopandas as gpd
    import pandas as pd

    if ".gpkg" not in path.name:
        raise InputError(f"{path}: vectors are read only from GeoPackages; save the patch again with eo-learn 1.5.")
    try:
        if path.name.endswith(".gz"):
            # SQLite needs a file, and its driver a name that ends as usual.
            with gzip.open(path) as file, tempfile.TemporaryDirectory() as folder:
                plain = Path(folder, path.name.removesuffix(".gz"))
                with plain.open("wb") as unpacked:
                    shutil.copyfileobj(file, unpacked)
                table = gpd.read_file(plain)
        else:
            table = gpd.read_file(path)
    except Exception as error:  # noqa: BLE001 - drivers fail in many ways
        raise damaged(path, error) from None
    if "TIMESTAMP" in table:
        table["TIMESTAMP"] = pd.to_datetime(table["TIMESTAMP"])
    return table
