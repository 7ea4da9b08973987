"""Pixels of one band of one file, on its own grid or on another."""

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags
from rasterio.env import ensure_env_with_credentials
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels, pixel_offset
from landweave.patch.model import REFLECTANCE_SCALE, to_int16
from landweave.patch.raster.files import open_raster, refusal, system_error
from landweave.patch.raster.header import Header, header_of
from landweave.sources.remote import is_remote, patiently, readable, remote_settings, vsi_name
from landweave.sources.warping import touching, warped
from landweave.sources.wire.files import HeaderOnly, Need, Pixels, SmallCopy, far_header, read_far

# GDAL's default, a twentieth of the memory for each process, is too much where there are many.
os.environ.setdefault("GDAL_CACHEMAX", "256")

T = TypeVar("T")

REMOTE_DRIVERS = ("GTiff", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID")
"""Formats that are read from servers. Others, such as VRT, may name further files, also on this machine."""

FILES_OPEN = 256
"""Files that a thread keeps open, so that neighbouring strips and patches share decoded tiles."""

COARSE = 1024
"""Pixels along a side that are enough to judge a scene by."""

_held = threading.local()
_HEADER = HeaderOnly()


UNKNOWN = 255
"""A categorical value that is missing within the raster: NaN, or masked by the file."""


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
    files: OrderedDict[tuple[str, int, int], Any] = _held.__dict__.setdefault("files", OrderedDict())
    if is_remote(path):
        key = (str(path), 0, 0)
    else:
        try:
            facts = Path(path).stat()
        except OSError as error:
            raise system_error(Path(path), error) from None
        # A file that was replaced is another one.
        key = (str(path), facts.st_mtime_ns, facts.st_size)
    if key in files:
        files.move_to_end(key)
    else:
        files[key] = _open(path, files)
        if len(files) > getattr(_held, "most", FILES_OPEN):
            files.popitem(last=False)[1].close()
    yield files[key]


def keep_open(files: int) -> None:
    """Let this thread keep only so many files open: each costs a megabyte or two of decoded headers and tiles."""
    _held.most = files


def forget(path: Path | str) -> None:
    """Close a file that this thread keeps open, so that the next reader opens it anew."""
    files = _held.__dict__.get("files", {})
    for key in [key for key in files if key[0] == str(path)]:
        files.pop(key).close()


def _open(path: Path | str, held: OrderedDict[tuple[str, int, int], Any]) -> Any:
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
    """What a raster says of itself."""

    def read(file: Any) -> Header:
        return header_of(file, readable(path))

    return far_header(str(path), lambda: _read(path, read)) if is_remote(path) else _read(path, read)


def grid_of(path: Path | str) -> GeoBox:
    """A raster's own pixel grid, from its header; InputError where it has none."""
    return header_at(path).grid


def read_on(
    path: Path | str, band: int, nodata: float | None, source: GeoBox, target: GeoBox, *,
    resampling: str = "bilinear", masked: bool = True,
) -> np.ndarray:  # fmt: skip
    """A band's digital numbers on any grid.

    Parameters
    ----------
    path, band
        The file and the band's number from 1.
    nodata
        Digital number that means missing, besides NaN.
    source
        The file's own grid.
    target
        The grid wanted: read exactly where it is a part of the file's own, else resampled.
    resampling
        A method of GDAL's, weighing the pixels that are not missing.
    masked
        Whether pixels under the file's own mask (inside it, a ``.msk`` file, an alpha band) are missing too.

    Returns
    -------
    numpy.ndarray
        float64, (y, x) of the target; NaN where missing or outside.
    """
    offset = pixel_offset(source, target)
    if offset is not None:
        return read_window(path, band, nodata, offset, tuple(target.shape), masked=masked)
    start, shape = touching(source, target)
    values = read_window(path, band, nodata, start, shape, masked=masked)
    if np.isnan(values).all():
        return np.full(target.shape, np.nan)
    return warped(values, source, start, target, resampling)


def read_static(path: str | Path, geobox: GeoBox) -> np.ndarray:
    """A layer without time, such as heights: its first band on a grid.

    Returns
    -------
    numpy.ndarray
        float32, (y, x); NaN where missing or outside. Exact on the file's own grid, bilinear on another. The file's
        own scale and offset are applied.

    Raises
    ------
    InputError
        For a file with several bands, with complex numbers or without a place.
    """
    header = static_header(path)
    band = header.images[0]
    values: np.ndarray = (
        read_on(path, band.number, band.nodata, header.grid, geobox, masked=band.masked) * band.scale + band.offset
    )
    return values.astype("float32")


def static_header(path: str | Path) -> Header:
    """The header of a layer without time, checked; errors as for :func:`read_static`."""
    header = header_at(Path(path))
    if len(header.images) != 1:
        names = ", ".join(band.name or f"band {band.number}" for band in header.images) or "none"
        raise InputError(f"{path}: a static layer has one band, but this file has {names}; write each to its own file.")
    header.check_numbers(header.images[0], "static layer")
    _ = header.grid
    return header


def to_reflectance(numbers: np.ndarray, *, scale: float, offset: float) -> np.ndarray:
    """numbers * scale + offset as int16 in 1e-4 reflectance; -32768 where missing; same shape."""
    # Rounded to 12 digits: a decimal scale is an exact multiple of the unit, and stays one.
    factor, shift = (float(f"{number / REFLECTANCE_SCALE:.12g}") for number in (scale, offset))
    # What resampling leaves half-way between two units, but for the last bits, falls to the same side in any window.
    return to_int16(np.round(numbers * factor + shift, 6), scale=1.0)


def read_codes(
    path: Path | str, band: int, source: GeoBox, target: GeoBox, *,
    missing: int = UNKNOWN, masked: bool = True, most: int | None = 255,
) -> np.ndarray:  # fmt: skip
    """A band of codes on any grid, by the nearest pixel.

    Parameters
    ----------
    path, band, source, target, masked
        As for :func:`read_on`.
    missing
        The code where the value is NaN or under the file's own mask.
    most
        The greatest code beside :data:`UNKNOWN`; None: any whole number, those beyond a byte become
        :data:`UNKNOWN`, which is right where all that matters is that they are not 0.

    Returns
    -------
    numpy.ndarray
        uint8 (y, x); 0 outside.

    Raises
    ------
    InputError
        For a value that is no whole number, or is beyond ``most``.
    """
    rows, columns, inside = nearest_pixels(source, target)
    classes = np.zeros(target.shape, "uint8")
    if not inside.any():
        return classes
    top, left = int(rows[inside].min()), int(columns[inside].min())
    shape = int(rows[inside].max()) - top + 1, int(columns[inside].max()) - left + 1
    values = read_window(path, band, None, (top, left), shape, masked=masked)
    known = ~np.isnan(values)
    fits = values == np.rint(values)
    if most is not None:
        fits &= ((values >= 0) & (values <= most)) | (values == UNKNOWN)
    wrong = values[known & ~fits]
    if wrong.size:
        raise InputError(
            f"{readable(path)}: band {band} is used as a mask or as classes, but holds {wrong[0]:g}: whole numbers "
            f"from 0 to {most or 255} are needed; write bits as a layer of 0 and 1, and probabilities in per cent."
        )
    codes = np.where(known, values, missing)
    values = np.where((codes < 0) | (codes > UNKNOWN), UNKNOWN, codes).astype("uint8")
    classes[inside] = values[rows[inside] - top, columns[inside] - left]
    return classes


def read_coarse(
    path: Path | str, shape: tuple[int, int] | None = None, *, band: int = 1
) -> np.ma.MaskedArray[Any, Any]:
    """A band's coarsest overview (or what is nearest to ``shape``), in digital numbers, a masked array (y, x).

    Without overviews, or with large ones only, some of the pixels, so that no side is much above :data:`COARSE`.
    """

    def read(file: Any) -> np.ma.MaskedArray[Any, Any]:
        factor = max(*file.overviews(band), max(file.height, file.width) // COARSE, 1)
        wanted = shape or (max(1, file.height // factor), max(1, file.width // factor))
        values = np.ma.MaskedArray(file.read(band, out_shape=wanted))
        if header_of(file, path).bands[band - 1].masked:
            values[file.read_masks(band, out_shape=wanted) == 0] = np.ma.masked
        return values

    return _read(path, read, band, need=SmallCopy(shape=shape, band=band))


def read_window(
    path: Path | str,
    band: int,
    nodata: float | None,
    start: tuple[int, int],
    shape: tuple[int, ...],
    *,
    masked: bool = True,
) -> np.ndarray:
    """Digital numbers from row and column ``start``, which may lie beyond the file; float64, NaN missing or outside."""
    values = np.full(shape, np.nan)
    top, left = max(start[0], 0), max(start[1], 0)

    def read(file: Any) -> np.ndarray:
        bottom, right = min(start[0] + shape[0], file.height), min(start[1] + shape[1], file.width)
        if bottom <= top or right <= left:
            return np.zeros((0, 0))
        window = Window(left, top, right - left, bottom - top)
        numbers: np.ndarray = file.read(band, window=window)
        there = numbers.astype("float64")
        if nodata is not None:
            there[numbers == nodata] = np.nan
        if masked and MaskFlags.per_dataset in file.mask_flag_enums[band - 1]:
            there[file.read_masks(band, window=window) == 0] = np.nan
        return there

    height, width = start[0] + shape[0] - top, start[1] + shape[1] - left
    part = _read(path, read, band, need=Pixels(top=top, left=left, height=height, width=width, band=band))
    if part.size:
        row, column = top - start[0], left - start[1]
        values[row : row + part.shape[0], column : column + part.shape[1]] = part
    return values


def _read(path: Path | str, read: Callable[[Any], T], band: int = 1, *, need: Need = _HEADER) -> T:
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


def stored_bytes(path: Path | str, source: GeoBox, target: GeoBox) -> float:
    """Bytes, compressed as they are, of a file's pixels that a target needs; of a block in part that part of it."""
    (top, left), (height, width) = touching(source, target)

    def read(file: Any) -> float:
        if file.driver != "GTiff":
            # Others do not tell: the file's share.
            return float(Path(path).stat().st_size * height * width / (file.height * file.width))
        rows, columns = file.block_shapes[0]
        total = 0.0
        for row in range(top // rows, -(-(top + height) // rows)):
            for column in range(left // columns, -(-(left + width) // columns)):
                size = file.get_tag_item(f"BLOCK_SIZE_{column}_{row}", dm="TIFF", bidx=1)
                down = min(top + height, (row + 1) * rows) - max(top, row * rows)
                across = min(left + width, (column + 1) * columns) - max(left, column * columns)
                total += int(size or 0) * down * across / (rows * columns)
        return total

    return _read(path, read)
