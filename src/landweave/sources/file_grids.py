"""Files on several grids: which grid stands for all of them, and which of them touch a piece of ground."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from odc.geo.geobox import GeoBox
from rasterio.crs import CRS
from shapely.geometry.base import BaseGeometry

from landweave.errors import InputError
from landweave.patch.align import pixel_offset, pixel_sides
from landweave.patch.grid import crs_name
from landweave.patch.summary import listed
from landweave.sources.layers import RasterLayer

_SAME = 1e-3
"""Of a pixel, at the far corner: files written by different programs differ by rounding."""

_ALIKE = 0.01
"""Share by which pixel sizes may differ and still count as one size: degrees and metres are compared."""

_EDGES = 32
"""Pieces of each edge of a file that is drawn in another CRS."""


def same_grid(one: GeoBox, other: GeoBox) -> bool:
    """Whether two grids have the same shape, CRS and place, to a thousandth of a pixel."""
    if one.shape != other.shape or one.crs != other.crs:
        return False
    a, b = one.affine, other.affine
    corner, far = a * (one.shape[1], one.shape[0]), b * (one.shape[1], one.shape[0])
    shifts = (a.c - b.c, a.f - b.f, corner[0] - far[0], corner[1] - far[1])
    return bool(max(map(abs, shifts)) <= _SAME * math.hypot(a.a, a.d))


def in_known_crs(grid: GeoBox, known: Sequence[GeoBox]) -> GeoBox:
    """A grid in the CRS of an earlier one that is the same in other words: EPSG:32633, and its WKT without a number."""
    for other in known:
        if other.crs != grid.crs and _same_crs(other.crs.to_wkt(), grid.crs.to_wkt()):
            return GeoBox(grid.shape, grid.affine, other.crs)
    return grid


@lru_cache(maxsize=1024)
def _same_crs(one: str, other: str) -> bool:
    return bool(CRS.from_wkt(one) == CRS.from_wkt(other))


@lru_cache(maxsize=4096)
def pixel_size(grid: GeoBox) -> float:
    """Side of a pixel in metres; of one that is no square, that of a square as large."""
    return math.sqrt(math.prod(pixel_sides(grid)))


def grid_of_all(grids: Sequence[GeoBox]) -> GeoBox:
    """One grid for files on several: the finest pixels, in the commonest CRS, wide enough for all of them.

    Parameters
    ----------
    grids
        The grid of each file, in the order in which the files are listed.

    Returns
    -------
    GeoBox
        The first of the finest grids in the CRS that most of them have, extended by whole pixels. So files that are
        on this grid already, such as further tiles of one UTM zone, keep their pixels exactly.

    Raises
    ------
    InputError
        Where a grid has no place in that CRS.

    Examples
    --------
    >>> fine = GeoBox.from_bbox((0, 0, 100, 100), "EPSG:32633", resolution=10)
    >>> coarse = GeoBox.from_bbox((0, -60, 120, 100), "EPSG:32633", resolution=20)
    >>> whole = grid_of_all([coarse, fine])
    >>> whole.shape, whole.resolution.x
    (Shape2d(x=12, y=16), 10.0)
    """
    sizes = [pixel_size(grid) for grid in grids]
    finest = [grid for grid, size in zip(grids, sizes, strict=True) if size <= min(sizes) * (1 + _ALIKE)]
    often = Counter(str(grid.crs) for grid in finest)
    base = max(finest, key=lambda grid: often[str(grid.crs)])
    boxes = []
    for grid in dict.fromkeys(grids):
        ground = footprint(grid, base.crs)
        if ground.is_empty:
            raise InputError(
                f"Images in {crs_name(grid)} have no place in {crs_name(base)}, the CRS of most of them; set area.crs "
                "and area.bounds, or make two projects."
            )
        x, y = shapely.get_coordinates(ground).T
        columns, rows = ~base.affine * (x, y)
        boxes.append((columns.min(), rows.min(), columns.max(), rows.max()))
    left, top, right, bottom = np.array(boxes).T
    # A little inward, so that rounding adds no row or column.
    first = math.floor(left.min() + _ALIKE), math.floor(top.min() + _ALIKE)
    last = math.ceil(right.max() - _ALIKE), math.ceil(bottom.max() - _ALIKE)
    shape = (last[1] - first[1], last[0] - first[0])
    if first == (0, 0) and shape == tuple(base.shape):
        return base
    return GeoBox(shape, base.affine * base.affine.translation(*first), base.crs)


@lru_cache(maxsize=4096)
def footprint(grid: GeoBox, crs: Any) -> BaseGeometry:
    """The ground that a grid covers, as a polygon in a CRS, its edges taken as curves there."""
    height, width = grid.shape
    ring = np.array([(0, 0), (width, 0), (width, height), (0, height), (0, 0)], "float64")
    if grid.crs != crs:
        ring = np.concatenate([np.linspace(a, b, _EDGES, endpoint=False) for a, b in pairwise(ring)])
    x, y = grid.affine * (ring[:, 0], ring[:, 1])
    if grid.crs != crs:
        x, y = grid.crs.transformer_to_crs(crs)(x, y)
    known = np.isfinite(x) & np.isfinite(y)
    return shapely.Polygon(np.stack([x, y], axis=1)) if known.all() else shapely.Polygon()


def touch(grid: GeoBox, other: GeoBox) -> bool:
    """Whether two grids share ground: more than an edge, to a hundredth of a pixel."""
    if pixel_offset(grid, other) == (0, 0) and grid.shape == other.shape:
        return True
    shrunk = other.extent.geom.buffer(-_ALIKE * abs(other.resolution.x))
    return bool(footprint(grid, other.crs).intersects(shrunk))


def same_ground(one: GeoBox, other: GeoBox) -> bool:
    """Whether two grids cover the same ground, to a pixel of the coarser one: bands of one tile in several sizes."""
    if one.crs != other.crs:
        return False
    step = max(abs(one.resolution.x), abs(other.resolution.x), abs(one.resolution.y), abs(other.resolution.y))
    pairs = zip(one.extent.geom.bounds, other.extent.geom.bounds, strict=True)
    return all(abs(a - b) < step for a, b in pairs)


def partners(leading: Sequence[RasterLayer], files: Sequence[RasterLayer]) -> dict[int, RasterLayer]:
    """Which file of classes belongs to which file of a band, on one day.

    Parameters
    ----------
    leading
        The band's files, in their order.
    files
        Those of the classes.

    Returns
    -------
    dict
        Number of the band's file to the file of classes on the same ground; of several, in their order. Files of the
        band without one on the same ground are left out.
    """
    found = {}
    for number, band in enumerate(leading):
        own = [layer for layer in files if same_ground(layer.grid, band.grid)]
        before = sum(same_ground(other.grid, band.grid) for other in leading[:number])
        if own:
            found[number] = own[min(before, len(own) - 1)]
    return found


def several_grids(layers: Sequence[RasterLayer], classes: Sequence[str], resampling: str) -> list[str]:
    """That files are on several grids, and what is done about it, in a sentence; nothing where they are on one."""
    grids = list(dict.fromkeys(layer.grid for layer in layers))
    if len(grids) == 1:
        return []
    kinds = list(dict.fromkeys(f"{pixel_size(grid):.3g} m in {crs_name(grid)}" for grid in grids))
    codes = (
        ", masks and classes are taken from the nearest pixel" if any(la.variable in classes for la in layers) else ""
    )
    many = f"The images are on {len(grids)} grids (pixels of {listed(kinds)})"
    return [f"{many}; bands on another grid than the project's are resampled ({resampling}){codes}."]


def check_apart(bands: Sequence[RasterLayer]) -> None:
    """InputError for a band's file far from all others, where not all bands are: its place is likely wrong."""
    grids = list(dict.fromkeys(layer.grid for layer in bands))
    every = {layer.variable for layer in bands}
    for grid in grids:
        own = [layer for layer in bands if layer.grid == grid]
        lacking = sorted(every - {layer.variable for layer in own})
        if lacking and not any(touch(grid, other) for other in grids if other != grid):
            raise InputError(
                f"{own[0].path}: in {crs_name(grid)} it does not overlap any other image, and there is no image of "
                f"{listed(lacking)} there; correct its CRS or its place, or remove it."
            )
