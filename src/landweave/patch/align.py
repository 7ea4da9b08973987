"""Where one pixel grid lies on another, by whole pixels or by the nearest one, and how long its sides are in metres."""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache, wraps
from typing import Any, TypeVar

import numpy as np
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from pyproj.exceptions import ProjError

from landweave.errors import InputError

F = TypeVar("F", bound=Callable[..., Any])

# Of a pixel. Grids cut from one another agree to far less; a centre on a border falls to the same side everywhere.
_TOLERANCE = 0.01
_TIE = 1e-6

_LATTICE = 33
"""Points along a side of a grid by which its bounds in another CRS are found."""

DEGREE = 111_320.0
"""Metres of a degree of latitude, and of one of longitude at the equator."""

_STRETCHED = 0.05
"""A projection whose lengths are off by more than this, such as web Mercator's, is taken for what it is."""


def pixel_offset(source: GeoBox, target: GeoBox) -> tuple[int, int] | None:
    """Row and column of ``source`` under the target's first pixel, None where the grids differ.

    Grids are the same when CRS, pixel size and orientation agree and the shift is a whole number of pixels, to a
    hundredth of a pixel at every corner of the target. The offset may be negative or beyond the source.

    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox.from_bbox((0, 0, 100, 100), "EPSG:32633", resolution=10)
    >>> pixel_offset(grid, grid[2:5, 3:9])
    (2, 3)
    """
    if source.crs != target.crs:
        return None
    steps = ~source.affine * target.affine
    height, width = target.shape
    row, column = round(steps.f), round(steps.c)
    for y, x in ((0, 0), (0, width), (height, 0), (height, width)):
        source_x, source_y = steps * (x, y)
        if abs(source_x - x - column) > _TOLERANCE or abs(source_y - y - row) > _TOLERANCE:
            return None
    return row, column


def nearest_pixels(source: GeoBox, target: GeoBox) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The source pixel that holds the centre of each target pixel.

    Unlike a warper's, the answer for a pixel does not depend on the window it is asked with.

    Returns
    -------
    rows, columns
        int64, (y, x) of the target; meaningless where not ``inside``.
    inside
        bool, (y, x): the centre lies on the source.
    """
    height, width = target.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = to_crs(*_apply(target.affine, x, y), source=target.crs, target=source.crs)
    return pixels_of(source, x, y)


def pixels_of(geobox: GeoBox, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixel that holds each place; arguments and answers of one shape.

    Parameters
    ----------
    geobox
        The grid.
    x, y
        Coordinates in the grid's CRS; not finite means nowhere. On a border between pixels, the later one.

    Returns
    -------
    rows, columns
        int64; meaningless where not ``inside``.
    inside
        bool: the place lies on the grid.
    """
    x, y = _apply(~geobox.affine, x, y)
    known = np.isfinite(x) & np.isfinite(y)
    columns = np.floor(np.where(known, x, -1) + _TIE).astype("int64")
    rows = np.floor(np.where(known, y, -1) + _TIE).astype("int64")
    inside = (rows >= 0) & (rows < geobox.shape[0]) & (columns >= 0) & (columns < geobox.shape[1])
    return rows, columns, inside


def to_crs(x: np.ndarray, y: np.ndarray, *, source: Any, target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (x or longitude first) in another CRS, same shapes; not finite where there is no answer.

    Raises
    ------
    InputError
        If one of the two has no place on the Earth, such as a local engineering CRS.
    """
    source, target = CRS(source), CRS(target)
    if source == target:
        return x, y
    try:
        moved_x, moved_y = source.transformer_to_crs(target)(x, y)
    except ProjError:
        names = " to ".join(repr(crs.proj.name[:80]) for crs in (source, target))
        raise InputError(f"no transformation from the CRS {names}; assign the correct CRS to the file.") from None
    return np.asarray(moved_x), np.asarray(moved_y)


def remembered(most: int) -> Callable[[F], F]:
    """Let a function of grids and CRSs remember its last answers, as many as ``most``.

    As :func:`functools.lru_cache`, but grids are known by shape, transform and the text of their CRS: their own hash
    writes the CRS in full each time. Answers are shared and may not be changed.
    """

    def decorate(function: F) -> F:
        answers: OrderedDict[Any, Any] = OrderedDict()

        @wraps(function)
        def answer(*given: Any) -> Any:
            key = tuple(
                (tuple(each.shape), tuple(each.affine)[:6], str(each.crs)) if isinstance(each, GeoBox) else str(each)
                for each in given
            )
            try:
                return answers[key]
            except KeyError:
                found = answers[key] = function(*given)
            while len(answers) > most:
                with suppress(KeyError):
                    answers.popitem(last=False)
            return found

        return answer  # type: ignore[return-value]

    return decorate


@remembered(4096)
def outline_bounds(geobox: GeoBox, crs: Any) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of a geobox in another CRS, its edges taken as curves; a little generous."""
    height, width = geobox.shape
    along = np.linspace(0, 1, _LATTICE)
    # The whole lattice, not only the outline: a pole or a fold of the projection may lie inside.
    x, y = np.meshgrid(along * width, along * height)
    x, y = to_crs(*_apply(geobox.affine, x, y), source=geobox.crs, target=crs)
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return np.nan, np.nan, np.nan, np.nan
    left, right, bottom, top = x[known].min(), x[known].max(), y[known].min(), y[known].max()
    spare_x, spare_y = (right - left) / _LATTICE, (top - bottom) / _LATTICE
    return float(left - spare_x), float(bottom - spare_y), float(right + spare_x), float(top + spare_y)


def bounds_of(geoboxes: Iterable[GeoBox], crs: Any) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of all geoboxes together in a CRS, as :func:`outline_bounds` has them of each."""
    boxes = np.array([outline_bounds(geobox, crs) for geobox in geoboxes])
    (left, bottom), (right, top) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
    return left, bottom, right, top


def meets(geobox: GeoBox, bounds: tuple[float, float, float, float]) -> bool:
    """Whether a geobox can touch a box (left, bottom, right, top) in its CRS; not where the box is not finite."""
    left, bottom, right, top = bounds
    box = geobox.boundingbox
    return bool(left <= box.right and right >= box.left and bottom <= box.top and top >= box.bottom)


def window_of(geobox: GeoBox, bounds: tuple[float, float, float, float], *, spare: int = 1) -> tuple[slice, slice]:
    """Rows and columns of a geobox that a box in its CRS touches, and ``spare`` more on every side, clipped to it.

    Empty where the box lies elsewhere or is not finite.

    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox.from_bbox((0, 0, 100, 200), "EPSG:32633", resolution=10)
    >>> window_of(grid, (42, 150, 48, 500))
    (slice(0, 6, None), slice(3, 6, None))
    """
    left, bottom, right, top = bounds
    if not all(map(math.isfinite, bounds)):
        return slice(0, 0), slice(0, 0)
    corners = [~geobox.affine * corner for corner in ((left, bottom), (left, top), (right, bottom), (right, top))]
    columns, rows = (
        clipped(math.floor(min(side)) - spare, math.ceil(max(side)) + spare, length)
        for side, length in zip(zip(*corners, strict=True), geobox.shape[::-1], strict=True)
    )
    return rows, columns


def clipped(first: int, last: int, length: int) -> slice:
    """``first`` to before ``last``, as far as it lies within 0 to before ``length``; empty where nothing does.

    >>> clipped(-2, 3, 10), clipped(8, 20, 10), clipped(12, 20, 10)
    (slice(0, 3, None), slice(8, 10, None), slice(10, 10, None))
    """
    start = min(max(first, 0), length)
    return slice(start, max(min(last, length), start))


def commonest_crs(geoboxes: Iterable[GeoBox]) -> str:
    """The CRS of most of the geoboxes, as text; of several equally common ones the first in the alphabet.

    >>> from odc.geo.geobox import GeoBox
    >>> commonest_crs(GeoBox.from_bbox((0, 0, 100, 100), crs, resolution=10) for crs in ("EPSG:32634", "EPSG:32633"))
    'EPSG:32633'
    """
    texts = [str(geobox.crs) for geobox in geoboxes]
    return max(sorted(set(texts)), key=texts.count)


def metres_per_unit(crs: Any, longitude: float, latitude: float) -> tuple[float, float]:
    """Metres of one unit of a CRS along x and y at a place; the unit may be a foot, a kilometre or a degree.

    Parameters
    ----------
    crs
        Anything that names a coordinate reference system; None is taken for metres.
    longitude, latitude
        The place, degrees: of degrees, and of projections that stretch lengths by more than a twentieth, a unit's
        length depends on it.

    >>> metres_per_unit("EPSG:32633", 15, 46), metres_per_unit("EPSG:4326", 15, 60)[1]
    ((1.0, 1.0), 111320.0)
    >>> round(metres_per_unit("EPSG:2263", -74, 40.7)[0], 4), round(metres_per_unit("EPSG:3857", 15, 60)[0], 2)
    (0.3048, 0.5)
    """
    known = None if crs is None else CRS(crs).proj
    units = [axis.unit_conversion_factor for axis in known.axis_info[:2]] if known is not None else []
    unit = float(units[0]) if units and units[0] else 1.0
    if known is not None and known.is_geographic:
        north = math.radians(latitude)
        degree = DEGREE * unit / math.radians(1)
        return degree * max(math.cos(north), 1e-6), degree
    across = along = 1.0
    if known is not None and known.is_projected and math.isfinite(longitude) and math.isfinite(latitude):
        across, along = _stretched(known, round(longitude, 3), round(latitude, 3))
    return unit / across, unit / along


@cache
def _stretched(crs: Any, longitude: float, latitude: float) -> tuple[float, float]:
    """How much longer a projection draws lengths east and north; 1 where that is within :data:`_STRETCHED`."""
    from pyproj import Proj
    from pyproj.exceptions import ProjError

    try:
        factors = Proj(crs).get_factors(longitude, latitude, errcheck=True)
    except ProjError:
        return 1.0, 1.0
    scales = factors.parallel_scale, factors.meridional_scale
    sound = all(math.isfinite(scale) and scale > 0 for scale in scales)
    stretched = sound and any(abs(scale - 1) > _STRETCHED for scale in scales)
    return scales if stretched else (1.0, 1.0)


def pixel_sides(geobox: GeoBox) -> tuple[float, float]:
    """Metres from one pixel of a grid to the next along its columns and along its rows, (x, y), in its middle.

    >>> from odc.geo.geobox import GeoBox
    >>> pixel_sides(GeoBox.from_bbox((0, 0, 100, 200), "EPSG:32633", resolution=10))
    (10.0, 10.0)
    """
    affine = geobox.affine
    longitude, latitude = 0.0, 0.0
    if geobox.crs is not None:
        x, y = affine * (geobox.shape[1] / 2, geobox.shape[0] / 2)
        there = to_crs(np.array([x]), np.array([y]), source=geobox.crs, target="EPSG:4326")
        longitude, latitude = float(there[0][0]), float(there[1][0])
    along_x, along_y = metres_per_unit(geobox.crs, longitude, latitude)
    return math.hypot(affine.a * along_x, affine.d * along_y), math.hypot(affine.b * along_x, affine.e * along_y)


def _apply(affine: Any, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b, c, d, e, f = tuple(affine)[:6]
    return a * x + b * y + c, d * x + e * y + f
