"""Pixels of one grid on another, as GDAL makes them, so that a pixel does not depend on the window that is read."""

import math
from functools import lru_cache
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.patch.align import outline_bounds, remembered, to_crs

PIECE = 256
"""Pixels of a row that are transformed at a time into another CRS, from multiples of as many of the grid's columns.

GDAL transforms the ends of a row and interpolates between them (rasterio before 1.5 lets nobody ask for more), so the
ends must not depend on the window that is read.
"""

_METHODS = {"nearest": 0, "bilinear": 1, "cubic": 2}

_SHRUNK = 0.95
"""Target pixels per source pixel below which GDAL widens its kernels: then they are left to it."""

_BENT = 0.1
"""Of a pixel: where the middle of a row is further from the straight line, GDAL may break the line (at 0.125)."""


@remembered(512)
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


@remembered(512)
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
    scales = tuple(min(1.0, float(f"{ratio:.3g}")) for ratio in _ratio(source, target))
    height, width = (int(side) for side in target.shape)
    result = np.empty((height, width))
    there = GeoBox(values.shape, source.affine * source.affine.translation(start[1], start[0]), source.crs)
    ours = method in _METHODS and min(scales) >= _SHRUNK and not np.isinf(values).any()
    for piece, whole, first in _pieces(source, target):
        part = result[:, whole]
        lines = _lines(there, piece) if ours else None
        if lines is None:
            part[:] = _by_gdal(values, there, piece, method, scales)[:, first : first + part.shape[1]]
            continue
        from landweave.sources.warping.kernels import resample, run

        numbers = np.ascontiguousarray(values, "float64")
        run(resample, numbers, lines, first, _METHODS[method], part)
        rows, columns, places = _beside(there, piece)
        here = (columns >= first) & (columns < first + part.shape[1])
        if here.any():
            alone = np.empty((int(here.sum()), 1))
            run(resample, numbers, places[here], 0, _METHODS[method], alone)
            part[rows[here], columns[here] - first] = alone[:, 0]
    return result


def _pieces(source: GeoBox, target: GeoBox) -> list[tuple[GeoBox, slice, int]]:
    """Grids that are transformed at a time, which columns of the target they hold, and the first of them in theirs."""
    grid = target.affine
    height, width = (int(side) for side in target.shape)
    if source.crs == target.crs or grid.b or grid.d or not grid.a:
        return [(target, slice(0, width), 0)]
    # The quarter keeps rounding of the corner from deciding where the pieces begin.
    begin = -(math.floor(grid.c / grid.a + 0.25) % PIECE)
    return [
        (
            GeoBox((height, PIECE), grid * grid.translation(left, 0), target.crs),
            slice(max(left, 0), min(left + PIECE, width)),
            max(-left, 0),
        )
        for left in range(begin, width, PIECE)
    ]


@remembered(64)
def _lines(source: GeoBox, piece: GeoBox) -> np.ndarray | None:
    """Where the rows of a piece lie on a grid, as GDAL takes them: straight between their ends.

    Returns
    -------
    numpy.ndarray or None
        float64 (rows, 4): place of the first pixel along x, step, place along y, step, in source pixels. None where
        only GDAL knows: rows bend, or there may be several ways from one CRS into the other.
    """
    if source.crs != piece.crs and not _same_datum(source.crs, piece.crs):
        return None
    height, width = (int(side) for side in piece.shape)
    middle = (width - 1) // 2
    columns, rows = np.meshgrid(np.array([0, middle, width - 1]), np.arange(height))
    places = _places(source, piece, rows, columns)
    if places is None:
        return None
    x, y = places
    steps_x, steps_y = ((side[:, 2] - side[:, 0]) / max(width - 1, 1) for side in (x, y))
    bent = abs(x[:, 0] + steps_x * middle - x[:, 1]) + abs(y[:, 0] + steps_y * middle - y[:, 1])
    lines = np.stack([x[:, 0], steps_x, y[:, 0], steps_y], axis=1)
    # Whatever is not finite is not below.
    return lines if (bent <= _BENT).all() else None


@remembered(64)
def _beside(source: GeoBox, piece: GeoBox) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of a piece that lie less than a pixel beside a grid by :func:`_lines`: GDAL transforms these one by one.

    Returns
    -------
    rows, columns
        int64, flat.
    places
        float64 (pixels, 4), as of :func:`_lines`, with steps of 0.
    """
    lines = _lines(source, piece)
    nothing = np.zeros(0, "int64"), np.zeros(0, "int64"), np.zeros((0, 4))
    if lines is None or source.crs == piece.crs:
        return nothing
    ends = lines[:, ::2] + lines[:, 1::2] * (int(piece.shape[1]) - 1)
    corners, size = np.concatenate([lines[:, ::2], ends]), np.array(source.shape[::-1])
    if (corners >= 0).all() and (corners <= size).all():
        return nothing
    steps = np.arange(int(piece.shape[1]))
    x, y = (lines[:, k, None] + lines[:, k + 1, None] * steps for k in (0, 2))
    near = (x > -1) & (y > -1) & (x < size[0] + 1) & (y < size[1] + 1)
    rows, columns = np.nonzero(near & ((x < 0) | (y < 0) | (x >= size[0]) | (y >= size[1])))
    places = _places(source, piece, rows, columns)
    if places is None or not rows.size:
        return nothing
    return rows, columns, np.stack([places[0], 0 * places[0], places[1], 0 * places[1]], axis=1)


def _places(
    source: GeoBox, piece: GeoBox, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the middles of pixels lie on a grid, x and y in its pixels; None where a place has no answer."""
    a, b, c, d, e, f = tuple(piece.affine)[:6]
    right, down = columns + 0.5, rows + 0.5
    places = _moved(c + right * a + down * b, f + right * d + down * e, piece.crs, source.crs)
    if places is None:
        return None
    x, y = places
    a, b, c, d, e, f = tuple(source.affine)[:6]
    if b or d:
        a, b, c, d, e, f = tuple(~source.affine)[:6]
    else:
        # As GDAL turns a grid without rotation round.
        a, c, e, f = 1 / a, -c / a, 1 / e, -f / e
    return c + x * a + y * b, f + x * d + y * e


def _moved(x: np.ndarray, y: np.ndarray, crs: Any, target: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Places in another CRS, by GDAL's own PROJ: that of pyproj may be of another version, and differ in last bits."""
    if crs == target or not x.size:
        return x, y
    # GDAL fails as a whole where one place has no answer.
    if not np.isfinite(to_crs(x, y, source=crs, target=target)).all():
        return None
    from rasterio.warp import transform

    moved = transform(crs.to_wkt(), target.to_wkt(), x.ravel(), y.ravel())
    return np.reshape(moved[0], x.shape), np.reshape(moved[1], y.shape)


@lru_cache(maxsize=256)
def _same_datum(one: Any, other: Any) -> bool:
    """Whether two CRSs differ in their projection alone, so that there is one way between them."""
    bases = [crs.proj.geodetic_crs for crs in (one, other)]
    return bases[0] is not None and bool(bases[0] == bases[1]) and not any(crs.proj.is_bound for crs in (one, other))


def _by_gdal(values: np.ndarray, there: GeoBox, target: GeoBox, method: str, scales: tuple[float, ...]) -> np.ndarray:
    from rasterio.warp import Resampling, reproject

    result = np.full(target.shape, np.nan)
    # A fixed kernel size: GDAL otherwise chooses it by the window, and strips would leave traces.
    reproject(
        values,
        result,
        src_transform=there.affine,
        src_crs=there.crs.to_wkt(),
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
