"""Pixels of one grid on another, by GDAL, so that a pixel does not depend on the window that it is read by."""

import math
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject

from landweave.patch.align import outline_bounds, to_crs

PIECE = 256
"""Pixels of a row that are transformed at a time into another CRS, from multiples of as many of the grid's columns.

GDAL transforms the ends of a row and interpolates between them (rasterio before 1.5 lets nobody ask for more), so the
ends must not depend on the window that is read.
"""


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
