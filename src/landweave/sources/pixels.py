"""Pixels of one band of one file, on its own grid or on another."""

import math
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.env import ensure_env_with_credentials
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError
from rasterio.io import DatasetReader
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels, outline_bounds, pixel_offset, to_crs
from landweave.patch.model import REFLECTANCE_SCALE, to_int16
from landweave.sources.remote import is_remote, patiently, remote_settings, vsi_name

# GDAL's default, a twentieth of the memory for each process, is too much where there are many.
os.environ.setdefault("GDAL_CACHEMAX", "256")

T = TypeVar("T")

REMOTE_DRIVERS = ("GTiff", "JP2OpenJPEG", "JP2KAK", "JP2ECW", "JP2MrSID")
"""Formats that are read from servers. Others, such as VRT, may name further files, also on this machine."""

FILES_OPEN = 256
"""Files that a thread keeps open, so that neighbouring strips and patches share decoded tiles."""

COARSE = 1024
"""Pixels along a side that are enough to judge a scene by."""

PIECE = 256
"""Pixels of a row that are transformed at a time into another CRS, from multiples of as many of the grid's columns.

GDAL transforms the ends of a row and interpolates between them (rasterio before 1.5 lets nobody ask for more), so the
ends must not depend on the window that is read.
"""

_held = threading.local()


UNKNOWN = 255
"""A categorical value that does not fit 0..255, or is missing within the raster."""


@contextmanager
def opened(path: Path | str) -> Iterator[Any]:
    """A raster that is there, can be read and knows its CRS; InputError names it otherwise.

    Raises
    ------
    InputError
        For a file that is missing or no raster.
    OSError
        For an address (``http``, ``https``, ``s3``) that does not answer as it should, after retries.
    """
    files: OrderedDict[tuple[str, int, int], Any] = _held.__dict__.setdefault("files", OrderedDict())
    if is_remote(path):
        key = (str(path), 0, 0)
    else:
        try:
            facts = Path(path).stat()
        except OSError:
            raise InputError(f"{path}: no such file.") from None
        # A file that was replaced is another one.
        key = (str(path), facts.st_mtime_ns, facts.st_size)
    if key in files:
        files.move_to_end(key)
    else:
        files[key] = _open(path)
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


def _open(path: Path | str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            if is_remote(path):
                with remote_settings(path):
                    return _open_remote(vsi_name(str(path)))
            file = rasterio.open(path)
    except (RasterioError, UnicodeDecodeError):
        # The latter: GDAL's message may quote damaged bytes of the file.
        if is_remote(path):
            raise
        raise InputError(f"{path}: not readable as a raster; replace it.") from None
    if file.crs is None:
        file.close()
        raise InputError(f"{path}: the raster has no coordinate reference system; assign one to it.")
    return file


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


def grid_of(path: Path | str) -> GeoBox:
    """A raster's own pixel grid, from its header."""

    def grid(file: Any) -> GeoBox:
        return GeoBox(file.shape, file.transform, file.crs)

    return _read(path, grid)


def read_on(
    path: Path | str, band: int, nodata: float | None, source: GeoBox, target: GeoBox, *, resampling: str = "bilinear"
) -> np.ndarray:
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

    Returns
    -------
    numpy.ndarray
        float64, (y, x) of the target; NaN where missing or outside.
    """
    offset = pixel_offset(source, target)
    if offset is not None:
        return read_window(path, band, nodata, offset, tuple(target.shape))
    start, shape = touching(source, target)
    values = read_window(path, band, nodata, start, shape)
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
    """
    path = Path(path)
    with opened(path) as file:
        source = GeoBox(file.shape, file.transform, file.crs)
        nodata, scale, offset = file.nodata, file.scales[0], file.offsets[0]
    values: np.ndarray = read_on(path, 1, nodata, source, geobox) * scale + offset
    return values.astype("float32")


def to_reflectance(numbers: np.ndarray, *, scale: float, offset: float) -> np.ndarray:
    """numbers * scale + offset as int16 in 1e-4 reflectance; -32768 where missing; same shape."""
    # Rounded to 12 digits: a decimal scale is an exact multiple of the unit, and stays one.
    factor, shift = (float(f"{number / REFLECTANCE_SCALE:.12g}") for number in (scale, offset))
    # What resampling leaves half-way between two units, but for the last bits, falls to the same side in any window.
    return to_int16(np.round(numbers * factor + shift, 6), scale=1.0)


def read_codes(path: Path | str, band: int, source: GeoBox, target: GeoBox) -> np.ndarray:
    """A band of codes on any grid, by the nearest pixel: uint8 (y, x), 0 outside, 255 where a value is no code."""
    rows, columns, inside = nearest_pixels(source, target)
    classes = np.zeros(target.shape, "uint8")
    if not inside.any():
        return classes
    top, left = int(rows[inside].min()), int(columns[inside].min())
    shape = int(rows[inside].max()) - top + 1, int(columns[inside].max()) - left + 1
    values = read_window(path, band, None, (top, left), shape)
    fits = values == np.clip(np.rint(values), 0, 255)
    values = np.where(fits, values, UNKNOWN).astype("uint8")
    classes[inside] = values[rows[inside] - top, columns[inside] - left]
    return classes


def read_coarse(path: Path | str, shape: tuple[int, int] | None = None) -> np.ndarray:
    """The first band's coarsest overview (or what is nearest to ``shape``), in digital numbers, (y, x).

    Without overviews, or with large ones only, some of the pixels, so that no side is much above :data:`COARSE`.
    """

    def read(file: Any) -> np.ndarray:
        factor = max(*file.overviews(1), max(file.height, file.width) // COARSE, 1)
        wanted = shape or (max(1, file.height // factor), max(1, file.width // factor))
        values: np.ndarray = file.read(1, out_shape=wanted)
        return values

    return _read(path, read)


def read_window(
    path: Path | str, band: int, nodata: float | None, start: tuple[int, int], shape: tuple[int, ...]
) -> np.ndarray:
    """Digital numbers from row and column ``start``, which may lie beyond the file; float64, NaN missing or outside."""
    values = np.full(shape, np.nan)
    top, left = max(start[0], 0), max(start[1], 0)

    def read(file: Any) -> np.ndarray:
        bottom, right = min(start[0] + shape[0], file.height), min(start[1] + shape[1], file.width)
        if bottom <= top or right <= left:
            return np.zeros((0, 0))
        there: np.ndarray = file.read(band, window=Window(left, top, right - left, bottom - top))
        return there

    numbers = _read(path, read, band)
    part = numbers.astype("float64")
    if nodata is not None:
        part[numbers == nodata] = np.nan
    if part.size:
        row, column = top - start[0], left - start[1]
        values[row : row + part.shape[0], column : column + part.shape[1]] = part
    return values


def _read(path: Path | str, read: Callable[[Any], T], band: int = 1) -> T:
    if is_remote(path):

        def attempt() -> T:
            try:
                with opened(path) as file, remote_settings():
                    return read(file)
            except RasterioError:
                forget(path)
                raise

        return patiently(path, attempt)
    try:
        with opened(path) as file:
            return read(file)
    except RasterioError:
        raise InputError(f"{path}: band {band} cannot be read; the file is damaged or truncated, replace it.") from None


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


def touching(source: GeoBox, target: GeoBox) -> tuple[tuple[int, int], tuple[int, int]]:
    """First row and column, and shape, of the source pixels that can touch the target, clipped to the source."""
    left, bottom, right, top = outline_bounds(target, source.crs)
    if not math.isfinite(left):
        return (0, 0), (1, 1)
    corners = [~source.affine * corner for corner in ((left, bottom), (left, top), (right, bottom), (right, top))]
    # The largest kernel of GDAL's reaches three target pixels, or three source pixels where those are larger.
    spare = 4 * max(1.0, *(1 / ratio for ratio in _ratio(source, target)))
    first = [max(math.floor(min(c[axis] for c in corners) - spare), 0) for axis in (0, 1)]
    last = [min(math.ceil(max(c[axis] for c in corners) + spare), source.shape[1 - axis]) for axis in (0, 1)]
    return (first[1], first[0]), (max(last[1] - first[1], 1), max(last[0] - first[0], 1))


def _ratio(source: GeoBox, target: GeoBox) -> tuple[float, float]:
    # Target pixels per source pixel along x and y, measured where the source has its middle.
    height, width = source.shape
    steps = [(width / 2, height / 2), (width / 2 + 1, height / 2), (width / 2, height / 2 + 1)]
    x, y = np.array([source.affine * step for step in steps]).T
    x, y = to_crs(x, y, source=source.crs, target=target.crs)
    inverse = ~target.affine
    points = [inverse * point for point in zip(x, y, strict=True)]
    lengths = [math.dist(points[0], point) for point in points[1:]]
    return (lengths[0], lengths[1]) if all(map(math.isfinite, lengths)) else (1.0, 1.0)


def warped(values: np.ndarray, source: GeoBox, start: tuple[int, int], target: GeoBox, method: str) -> np.ndarray:
    """Floating-point pixels from row and column ``start`` of a grid, NaN missing, on another grid; float64 (y, x)."""
    there = source.affine * source.affine.translation(start[1], start[0])
    scales = tuple(min(1.0, float(f"{ratio:.3g}")) for ratio in _ratio(source, target))
    grid = target.affine
    if source.crs == target.crs or grid.b or grid.d or not grid.a:
        return _warp_part(values, there, source.crs, target, method, scales)
    height, width = (int(side) for side in target.shape)
    # The quarter keeps rounding of the corner from deciding where the pieces begin.
    first = -(math.floor(grid.c / grid.a + 0.25) % PIECE)
    result = np.empty((height, width))
    for left in range(first, width, PIECE):
        piece = GeoBox((height, PIECE), grid * grid.translation(left, 0), target.crs)
        part = _warp_part(values, there, source.crs, piece, method, scales)
        here = slice(max(left, 0), min(left + PIECE, width))
        result[:, here] = part[:, here.start - left : here.stop - left]
    return result


def _warp_part(
    values: np.ndarray, there: Any, crs: Any, target: GeoBox, method: str, scales: tuple[float, ...]
) -> np.ndarray:
    result = np.full(target.shape, np.nan)
    # A fixed kernel size: GDAL otherwise chooses it by the window, and strips would leave traces.
    reproject(
        values,
        result,
        src_transform=there,
        src_crs=crs.to_wkt(),
        src_nodata=np.nan,
        dst_transform=target.affine,
        dst_crs=target.crs.to_wkt(),
        dst_nodata=np.nan,
        resampling=Resampling[method],
        tolerance=0.0,
        XSCALE=scales[0],
        YSCALE=scales[1],
        # Nor may it cut the piece in two where the source holds little of it.
        SRC_FILL_RATIO_HEURISTICS="NO",
    )
    return result
