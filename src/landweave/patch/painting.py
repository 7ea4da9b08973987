"""Many patches on one grid: every pixel shows the nearest pixel of the first patch that has anything there."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.patch.align import bounds_of, commonest_crs, meets, nearest_pixels, outline_bounds, window_of
from landweave.patch.grid import Cell


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What one patch brings to a picture."""

    geobox: GeoBox
    """Grid of what is read, which may be coarser than its patch."""

    read: Callable[[], np.ndarray | None]
    """Gives (b, y, x) on that grid, None where nothing is there; called only where the piece meets the picture."""

    beyond: Cell | None = None
    """The patch, on the same grid, whose pixels continue beyond its zone's border (see :func:`beyond_border`)."""


def paint(pieces: Iterable[Piece], grid: GeoBox, *, missing: float) -> np.ndarray | None:
    """Paint patches, of any CRS, on one grid.

    Parameters
    ----------
    pieces
        In the order of their rank: a pixel is taken from the first one that is not ``missing`` there in all bands.
        Pixels beyond the border of a zone are painted last, so that they fill no more than what all others leave open.
    grid
        Grid of the picture, shape (y, x). A pixel shows the pixel of the piece that holds its centre.
    missing
        Value, or NaN, of pixels without data: in the pieces and in the picture.

    Returns
    -------
    numpy.ndarray or None
        (b, y, x), with dtype and number of bands of the first piece; those with another number of bands are left out.
        None where no piece has anything to read.
    """
    painted: np.ndarray | None = None
    later = []
    bounds: dict[str, tuple[float, float, float, float]] = {}
    for piece in pieces:
        crs = str(piece.geobox.crs)
        if crs not in bounds:
            bounds[crs] = outline_bounds(grid, crs)
        # Most patches are far away, which their bounds show faster than their pixels.
        if not meets(piece.geobox, bounds[crs]):
            continue
        under = window_of(grid, outline_bounds(piece.geobox, grid.crs))
        if any(part.start == part.stop for part in under):
            continue
        place = nearest_pixels(piece.geobox, grid[under])
        values = piece.read() if place[2].any() else None
        if values is None:
            continue
        if painted is None:
            painted = np.full((len(values), *grid.shape), missing, values.dtype)
        if len(values) != len(painted):
            continue
        _fill(painted[:, *under], values, place, missing)
        beyond = beyond_border(piece.beyond) if piece.beyond is not None else None
        if beyond is not None:
            later.append((under, continued(values, beyond), place))
    for under, values, place in later:
        assert painted is not None
        _fill(painted[:, *under], values, place, missing)
    return painted


def _fill(canvas: np.ndarray, values: np.ndarray, place: tuple[np.ndarray, ...], missing: float) -> None:
    rows, columns, inside = place
    empty = np.isnan(canvas) if math.isnan(missing) else canvas == missing
    take = inside & empty.all(axis=0)
    canvas[:, take] = values[:, rows[take], columns[take]]


def beyond_border(cell: Cell) -> tuple[np.ndarray, np.ndarray] | None:
    """Pixels just beyond the border of a zone, bool (y, x), and the cell's own pixel nearest to each, (2, y, x).

    A pixel is labelled and counted in one zone only. Where the grids of two zones meet, pixels of a third grid would
    lie between them: in a picture the last of each continue for one pixel. None where the cell meets no such border.
    """
    own, mapped = cell.own(), cell.mapped()
    if own is None or mapped is None or not own.any() or not (mapped & ~own).any():
        return None
    from scipy.ndimage import distance_transform_edt

    far, nearest = distance_transform_edt(~own, return_indices=True)
    return mapped & ~own & (far < 1.5), nearest


def continued(values: np.ndarray, beyond: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Values (..., y, x) of a cell that continue where :func:`beyond_border` says.

    >>> beyond = np.array([[False, False, True]]), np.array([[[0, 0, 0]], [[0, 1, 1]]])
    >>> continued(np.array([[5, 6, 0]]), beyond).tolist()
    [[5, 6, 6]]
    """
    where, nearest = beyond
    return np.where(where, values[..., nearest[0], nearest[1]], values)


def whole_grid(geoboxes: Iterable[GeoBox], *, longest: int, times: int = 1) -> GeoBox:
    """A coarse grid over patches, in their commonest CRS.

    Parameters
    ----------
    geoboxes
        Grids of the patches.
    longest
        Pixels of the longer side, at most.
    times
        Its pixel is at least so many times as wide as the finest of the patches' in that CRS.

    >>> from odc.geo.geobox import GeoBox
    >>> patch = GeoBox.from_bbox((0, 0, 1000, 500), "EPSG:32633", resolution=10)
    >>> whole_grid([patch], longest=10_000, times=5).resolution.x
    50.0
    """
    boxes: list[Any] = list(geoboxes)
    crs = commonest_crs(boxes)
    left, bottom, right, top = bounds_of(boxes, crs)
    finest = times * min(abs(box.resolution.x) for box in boxes if str(box.crs) == crs)
    side = max((right - left) / longest, (top - bottom) / longest, finest)
    return GeoBox.from_bbox((left, bottom, right, top), crs, resolution=side, tight=True)
