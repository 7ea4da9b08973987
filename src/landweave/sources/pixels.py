"""Pixels of one band of one file, on its own grid or on another."""

import math
import os
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.warp import Resampling, reproject
from rasterio.windows import Window

from landweave.errors import InputError
from landweave.patch.align import outline_bounds, pixel_offset, to_crs

# GDAL's default, a twentieth of the memory for each process, is too much where there are many.
os.environ.setdefault("GDAL_CACHEMAX", "256")

FILES_OPEN = 256
"""Files that a thread keeps open, so that neighbouring strips and patches share decoded tiles."""

_held = threading.local()


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A raster file that is there, can be read and knows its CRS; InputError names it otherwise."""
    files: OrderedDict[tuple[str, int, int], Any] = _held.__dict__.setdefault("files", OrderedDict())
    try:
        facts = path.stat()
    except OSError:
        raise InputError(f"{path}: no such file.") from None
    # A file that was replaced is another one.
    key = (str(path), facts.st_mtime_ns, facts.st_size)
    if key in files:
        files.move_to_end(key)
    else:
        files[key] = _open(path)
        if len(files) > FILES_OPEN:
            files.popitem(last=False)[1].close()
    yield files[key]


def _open(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            file = rasterio.open(path)
    except RasterioError:
        raise InputError(f"{path}: not readable as a raster; replace it.") from None
    if file.crs is None:
        file.close()
        raise InputError(f"{path}: the raster has no coordinate reference system; assign one to it.")
    return file


def read_on(
    path: Path, band: int, nodata: float | None, source: GeoBox, target: GeoBox, *, resampling: str = "bilinear"
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
    start, shape = _window(source, target)
    return _warp(read_window(path, band, nodata, start, shape), source, start, target, resampling)


def read_window(
    path: Path, band: int, nodata: float | None, start: tuple[int, int], shape: tuple[int, ...]
) -> np.ndarray:
    """Digital numbers from row and column ``start``, which may lie beyond the file; float64, NaN missing or outside."""
    values = np.full(shape, np.nan)
    with opened(path) as file:
        top, left = max(start[0], 0), max(start[1], 0)
        bottom, right = min(start[0] + shape[0], file.height), min(start[1] + shape[1], file.width)
        if bottom <= top or right <= left:
            return values
        try:
            numbers = file.read(band, window=Window(left, top, right - left, bottom - top))
        except RasterioError:
            raise InputError(
                f"{path}: band {band} cannot be read; the file is damaged or cut short, replace it."
            ) from None
    read = numbers.astype("float64")
    if nodata is not None:
        read[numbers == nodata] = np.nan
    values[top - start[0] : bottom - start[0], left - start[1] : right - start[1]] = read
    return values


def _window(source: GeoBox, target: GeoBox) -> tuple[tuple[int, int], tuple[int, int]]:
    # First row and column, and shape, of the source pixels that can touch the target, clipped to the source.
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


def _warp(values: np.ndarray, source: GeoBox, start: tuple[int, int], target: GeoBox, method: str) -> np.ndarray:
    x_ratio, y_ratio = (min(1.0, float(f"{ratio:.3g}")) for ratio in _ratio(source, target))
    result = np.full(target.shape, np.nan)
    # Exact transformation of every pixel and a fixed kernel size: GDAL otherwise chooses both by the window, and
    # strips would leave traces.
    reproject(
        values,
        result,
        src_transform=source.affine * source.affine.translation(start[1], start[0]),
        src_crs=source.crs.to_wkt(),
        src_nodata=np.nan,
        dst_transform=target.affine,
        dst_crs=target.crs.to_wkt(),
        dst_nodata=np.nan,
        resampling=Resampling[method],
        tolerance=0.0,
        XSCALE=x_ratio,
        YSCALE=y_ratio,
    )
    return result
