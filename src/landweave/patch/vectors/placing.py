"""Shapes brought to a grid's CRS: cut to its surroundings first, where a projection has no answer far away."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from landweave.patch.align import outline_bounds, to_crs
from landweave.patch.vectors.layers import LayerFeatures, VectorLayer, read_features

FAR_DEGREES, FAR_METRES = 10.0, 1e6
"""How far beyond a grid a shape may reach and still be projected whole."""

Bounds = tuple[float, float, float, float]


def bounds_near(geobox: GeoBox, crs: str) -> Bounds:
    """Left, bottom, right, top of a grid in another CRS, a little generous; NaN where the grid has no place there.

    Longitudes run on across the antimeridian: a grid from 179.5 E to 179.5 W is from 179.5 to 180.5.
    """
    left, bottom, right, top = outline_bounds(geobox, crs)
    if not _turns(crs) or not right - left > _HALF:
        return left, bottom, right, top
    height, width = geobox.shape
    along = np.linspace(0, 1, 33)
    columns, rows = np.meshgrid(along * width, along * height)
    a, b, c, d, e, f = tuple(geobox.affine)[:6]
    x, _ = to_crs(a * columns + b * rows + c, d * columns + e * rows + f, source=geobox.crs, target=crs)
    middle = x[16, 16] if np.isfinite(x[16, 16]) else 0.0
    x = (x[np.isfinite(x)] - middle + _HALF) % 360 - _HALF + middle
    spare = (x.max() - x.min()) / 33
    if x.max() - x.min() > _HALF:
        # Around a pole.
        bottom, top = (bottom, 90.0) if bottom + top > 0 else (-90.0, top)
        return middle - _HALF, bottom, middle + _HALF, top
    return float(x.min() - spare), bottom, float(x.max() + spare), top


_HALF = 180.0


def turned_boxes(geobox: GeoBox, crs: str) -> list[tuple[Bounds, int]]:
    """Boxes in a CRS where data on a grid may be, and by how many degrees each is turned from the grid's own.

    Longitudes may be counted from -180 or from 0, and a grid may lie across the antimeridian.
    """
    left, bottom, right, top = bounds_near(geobox, crs)
    return [((left + turn, bottom, right + turn, top), turn) for turn in ((0, -360, 360) if _turns(crs) else (0,))]


def meets_grid(bounds: Bounds, geobox: GeoBox, crs: str) -> bool:
    """Whether a box in a CRS and a grid can meet; a grid without a place in that CRS meets nothing."""
    return any(_meet(bounds, box) for box, _ in turned_boxes(geobox, crs))


def read_near(layer: VectorLayer, geobox: GeoBox, *, columns: Sequence[str] = ()) -> LayerFeatures:
    """Features whose boxes touch a grid's, in the layer's CRS; of longitudes those beside the grid's own.

    A feature is there twice where it meets a grid at the antimeridian from both sides.
    """
    boxes = [(box, turn) for box, turn in turned_boxes(geobox, layer.crs) if _meet(layer.bounds, box)]
    found = [(read_features(layer, columns=columns, bounds=box), turn) for box, turn in boxes]
    found = [(replace(part, shapes=unrolled(part.shapes, layer.crs)), turn) for part, turn in found]
    if not found:
        nothing = np.empty(0, object)
        return LayerFeatures(fids=np.empty(0, "int64"), shapes=nothing, values=(nothing,) * len(columns))
    if len(found) == 1 and not found[0][1]:
        return found[0][0]
    fids = np.concatenate([part.fids for part, _ in found])
    shapes = [_moved_east(part.shapes, -turn) for part, turn in found]
    order = np.argsort(fids, kind="stable")
    values = (np.concatenate([part.values[i] for part, _ in found])[order] for i in range(len(columns)))
    return LayerFeatures(fids=fids[order], shapes=np.concatenate(shapes)[order], values=tuple(values))


def unrolled(shapes: np.ndarray, crs: str) -> np.ndarray:
    """Shapes in degrees whose rings jump from one side of 180 degrees to the other, taken the short way.

    Parameters
    ----------
    shapes
        Geometries (n,), None where there is none.
    crs
        Theirs; in one without longitudes nothing is changed.

    Returns
    -------
    numpy.ndarray
        (n,): a polygon with such an edge is there twice, on both sides of the globe's cut, where it is less than
        :data:`FAR_DEGREES` wide that way. Others, also those that go around the globe or a pole, are as they were.

    >>> ring = [(179.9, 0), (-179.9, 0), (-179.9, 1), (179.9, 1)]
    >>> (both,) = unrolled(np.array([shapely.Polygon(ring)]), "EPSG:4326")
    >>> sorted(round(part.bounds[0], 1) for part in both.geoms), round(both.area, 3)
    ([-180.1, 179.9], 0.4)
    """
    if not len(shapes) or not _turns(crs):
        return shapes
    left, _, right, _ = shapely.bounds(shapes).T
    with np.errstate(invalid="ignore"):
        wide = np.flatnonzero(right - left > _HALF)
    if not len(wide):
        return shapes
    shapes = shapes.copy()
    for number in wide:
        parts = shapely.get_parts(shapes[number])
        if {part.geom_type for part in parts} == {"Polygon"}:
            shorter = [_short_way(part) for part in parts]
            if any(len(several) > 1 for several in shorter):
                shapes[number] = shapely.MultiPolygon([part for several in shorter for part in several])
    return shapes


def _short_way(polygon: shapely.Polygon) -> list[shapely.Polygon]:
    """The polygon, or both places of it where its outer ring jumps across 180 degrees."""
    shell, *holes = (shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors))
    if not (np.abs(np.diff(shell[:, 0])) > _HALF).any():
        return [polygon]
    rings = [np.column_stack([np.unwrap(ring[:, 0], period=360), ring[:, 1]]) for ring in (shell, *holes)]
    if any(abs(ring[-1, 0] - ring[0, 0]) > 1 for ring in rings):
        return [polygon]
    middle = (rings[0][:, 0].min() + rings[0][:, 0].max()) / 2
    # A hole starts on whichever side its first point is.
    for ring in rings[1:]:
        ring[:, 0] += 360 * np.round((middle - (ring[:, 0].min() + ring[:, 0].max()) / 2) / 360)
    short = shapely.Polygon(rings[0], rings[1:])
    # A box of nearly the whole globe may be meant as it is.
    if not short.area or short.bounds[2] - short.bounds[0] > FAR_DEGREES:
        return [polygon]
    here = _moved_east(np.array([short]), -360.0 * round(middle / 360))[0]
    return [here, _moved_east(np.array([here]), 360.0 if here.bounds[0] < -_HALF else -360.0)[0]]


def place(
    shapes: np.ndarray, *, source: str, target: str, near: Bounds, edge: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Shapes in another CRS.

    Parameters
    ----------
    shapes
        Valid geometries (n,), in ``source``.
    source, target
        The two CRS.
    near
        Box of the ground that counts, in ``source``: shapes that reach far beyond it are cut before they are projected.
    edge
        Longest straight edge in ``source`` units, which the projection may bend; None bends no edge.

    Returns
    -------
    placed
        (n,) in ``target``; empty where nothing of a shape is near.
    lost
        bool (n,): a part near the ground has no place in ``target``.
    """
    if CRS(source) == CRS(target) or not len(shapes):
        return shapes, np.zeros(len(shapes), bool)
    shapes = cut_far(shapes, crs=source, near=near)
    placed, lost = _projected(shapes, source, target, edge)
    if lost.any() and np.isfinite(near).all():
        # Not far, and yet beyond what the projection knows: only the closest surroundings are left to try.
        again = shapely.intersection(shapes[lost], shapely.box(*_wider(near, source, 1.0)))
        placed[lost], lost[lost] = _projected(again, source, target, edge)
    return placed, lost


def cut_far(shapes: np.ndarray, *, crs: str, near: Bounds, spare: float = 0.0) -> np.ndarray:
    """Shapes that reach far beyond a box, cut to it and as much again around it; all others as they are.

    Parameters
    ----------
    shapes
        Valid geometries (n,).
    crs
        Theirs and the box's.
    near
        Left, bottom, right, top.
    spare
        Kept around the box in any case, in units of ``crs``.
    """
    limit = _far(crs)
    left, bottom, right, top = near
    boxes = shapely.bounds(shapes)
    outer = np.array([left - limit, bottom - limit, -(right + limit), -(top + limit)])
    far = (boxes * (1, 1, -1, -1) < outer).any(axis=1)
    if not far.any():
        return shapes
    cut = shapes.copy()
    cut[far] = shapely.intersection(shapes[far], shapely.box(*_wider(near, crs, 1.0, spare)))
    return cut


def any_wide(shapes: np.ndarray, crs: str) -> bool:
    """Whether a shape is so large that no projection may know all of it."""
    left, bottom, right, top = shapely.bounds(shapes).T
    return bool((np.maximum(right - left, top - bottom) > _far(crs)).any())


def _far(crs: str) -> float:
    return FAR_DEGREES if CRS(crs).geographic else FAR_METRES / _metres(crs)


def _projected(shapes: np.ndarray, source: str, target: str, edge: float | None) -> tuple[np.ndarray, np.ndarray]:
    # Empty where one vertex has no answer.
    dense = shapes if edge is None else shapely.segmentize(shapes, edge)
    flat, index = shapely.get_coordinates(dense, return_index=True)
    x, y = to_crs(flat[:, 0], flat[:, 1], source=source, target=target)
    moved = shapely.set_coordinates(dense.copy(), np.column_stack([x, y]))
    lost = np.zeros(len(shapes), bool)
    lost[np.unique(index[~(np.isfinite(x) & np.isfinite(y))])] = True
    moved[lost] = shapely.Polygon()
    return np.asarray(moved), lost


def _wider(near: Bounds, crs: str, times: float, spare: float = 0.0) -> Bounds:
    left, bottom, right, top = near
    more = max(times * max(right - left, top - bottom), spare)
    box = left - more, bottom - more, right + more, top + more
    # No latitude lies beyond a pole, and projections have no answer there.
    return (box[0], max(box[1], -90.0), box[2], min(box[3], 90.0)) if _turns(crs) else box


def _turns(crs: str) -> bool:
    """Whether x is longitude in degrees, so that 360 more is the same place."""
    known = CRS(crs)
    return bool(known.geographic) and all(axis.unit_name == "degree" for axis in known.proj.axis_info[:2])


def _metres(crs: str) -> float:
    axes = CRS(crs).proj.axis_info
    return float(axes[0].unit_conversion_factor) if axes else 1.0


def _moved_east(shapes: np.ndarray, degrees: float) -> np.ndarray:
    return np.asarray(shapely.transform(shapes, lambda at: np.add(at, (degrees, 0))))


def _meet(one: Bounds, other: Bounds) -> bool:
    return one[0] <= other[2] and one[2] >= other[0] and one[1] <= other[3] and one[3] >= other[1]
