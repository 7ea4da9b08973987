"""How much land a pixel is, in any CRS, and how much of it each class of a map has."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from rasterio.errors import RasterioError
from rasterio.windows import Window

from landweave.errors import InputError, blame_machine
from landweave.legend import NONE
from landweave.patch.strips import strip_rows

STRIP_PIXELS = 4_000_000
"""About as many pixels of a map are held at a time."""

# Lattice of exact values, metres apart, with a cubic spline between; and half the base of a slope on it. Measured
# against geodesic polygons this gives relative errors below 1e-7 (tests/test_maps_areas.py).
_LATTICE, _BASE = 50_000.0, 500.0

# Relative; smaller differences are those of the projections' own formulas.
_EQUAL = 2e-7


class PixelAreas:
    """True area of the pixels of a grid, on the ellipsoid of its CRS.

    In a geographic CRS rows are zones of the ellipsoid, by the closed formula (Snyder 1987, equation 3-12). In any
    other the area is |dr/dx x dr/dy| dx dy, where r(x, y) is the place on the ellipsoid in space: this holds for
    every projection, also where it treats the ellipsoid as a sphere (EPSG:3857).

    Parameters
    ----------
    crs
        Anything that pyproj understands.
    transform
        From column and row to coordinates; rotated grids too.
    shape
        Rows and columns.

    Raises
    ------
    InputError
        When the CRS is neither geographic nor projected.

    Examples
    --------
    >>> areas = PixelAreas("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 5_100_000), (100, 100))
    >>> round(float(areas.window(slice(0, 1), slice(0, 1))[0, 0]), 3)  # 0.9996 is the scale of the central meridian
    100.08
    """

    def __init__(self, crs: Any, transform: Affine, shape: tuple[int, int]) -> None:
        from pyproj import CRS

        self._crs = CRS.from_user_input(crs)
        if not (self._crs.is_geographic or self._crs.is_projected):
            raise InputError(
                f"{self._crs.name}: neither a geographic nor a projected CRS, so areas cannot be computed."
            )
        ellipsoid = self._crs.ellipsoid or CRS.from_epsg(4326).ellipsoid
        assert ellipsoid is not None
        self._a = float(ellipsoid.semi_major_metre)
        self._es = 1 - (float(ellipsoid.semi_minor_metre) / self._a) ** 2
        self._unit = float(self._crs.axis_info[0].unit_conversion_factor) if self._crs.axis_info else 1.0
        self._transform, self._shape = transform, shape
        self._rows: np.ndarray | None = None
        self._spline: Any = None
        if self._crs.is_geographic and transform.b == 0 and transform.d == 0:
            self._rows = self._zones()
        else:
            self._spline = self._fitted()

    def window(self, rows: slice, columns: slice) -> np.ndarray:
        """Square metres, float64; (rows, columns), or (rows, 1) where a row has one area."""
        if self._rows is not None:
            return np.asarray(self._rows[rows, None])
        ys, xs = np.arange(rows.start, rows.stop) + 0.5, np.arange(columns.start, columns.stop) + 0.5
        if isinstance(self._spline, float):
            return np.full((len(ys), 1), self._spline)
        if self._spline is None:
            return self._exact(*np.meshgrid(ys, xs, indexing="ij"))
        return np.asarray(self._spline(ys, xs))

    def at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Square metres of single pixels, float64 (n,)."""
        if self._rows is not None:
            return np.asarray(self._rows[rows])
        if isinstance(self._spline, float):
            return np.full(len(rows), self._spline)
        if self._spline is None:
            return self._exact(rows + 0.5, columns + 0.5)
        return np.asarray(self._spline.ev(rows + 0.5, columns + 0.5))

    def _zones(self) -> np.ndarray:
        edges = (self._transform.f + self._transform.e * np.arange(self._shape[0] + 1)) * self._unit
        sine = np.sin(np.clip(edges, -np.pi / 2, np.pi / 2))
        if self._es < 1e-12:
            height = sine
        else:
            e = np.sqrt(self._es)
            height = (1 - self._es) * (sine / (1 - self._es * sine**2) + np.arctanh(e * sine) / e) / 2
        return np.asarray(self._a**2 * abs(self._transform.a) * self._unit * np.abs(np.diff(height)))

    def _fitted(self) -> Any:
        """A spline over rows and columns; one number where all pixels are equal; None where it has to be exact."""
        from scipy.interpolate import RectBivariateSpline

        a, b, _, d, e, _ = self._transform[:6]
        metres = self._unit * (self._a if self._crs.is_geographic else 1.0)
        sides = (self._shape[0] * float(np.hypot(b, e)), self._shape[1] * float(np.hypot(a, d)))
        for spacing in (_LATTICE, _LATTICE / 5):
            counts = [int(np.clip(np.ceil(side * metres / spacing) + 1, 4, 1000)) for side in sides]
            ys, xs = (np.linspace(0, side, n) for side, n in zip(self._shape, counts, strict=True))
            values = self._exact(*np.meshgrid(ys, xs, indexing="ij"))
            if not np.isfinite(values).all():
                # A projection that ends within the grid leaves no lattice to draw a spline through.
                break
            if np.ptp(values) < _EQUAL * values.max():
                return float(values.mean())
            spline = RectBivariateSpline(ys, xs, values)
            # Not every projection is smooth (Robinson's is a table), so the spline is asked between its nodes.
            between = self._exact(*np.meshgrid(_middles(ys), _middles(xs), indexing="ij"))
            if np.abs(spline(_middles(ys), _middles(xs)) / between - 1).max() < _EQUAL:
                return spline
        return None

    def _exact(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        a, b, c, d, e, f = self._transform[:6]
        x, y = a * columns + b * rows + c, d * columns + e * rows + f
        base = _BASE / (self._unit * (self._a if self._crs.is_geographic else 1.0))
        along_x = self._place(x + base, y) - self._place(x - base, y)
        along_y = self._place(x, y + base) - self._place(x, y - base)
        with np.errstate(invalid="ignore"):
            area = np.sqrt((np.cross(along_x, along_y, axis=0) ** 2).sum(axis=0)) / (2 * base) ** 2
        return np.asarray(np.where(np.isfinite(area), area, np.nan) * abs(a * e - b * d))

    def _place(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Place in space of coordinates of the CRS, metres, (3, ...)."""
        from pyproj import Proj

        if self._crs.is_geographic:
            longitude, latitude = x * self._unit, y * self._unit
        else:
            longitude, latitude = Proj(self._crs)(x, y, inverse=True, radians=True)
        with np.errstate(invalid="ignore"):
            normal = self._a / np.sqrt(1 - self._es * np.sin(latitude) ** 2)
            flat = normal * np.cos(latitude)
            up = normal * (1 - self._es) * np.sin(latitude)
            return np.stack([flat * np.cos(longitude), flat * np.sin(longitude), up])


def _middles(nodes: np.ndarray) -> np.ndarray:
    return np.asarray(nodes[:-1] + np.diff(nodes) / 2)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a map holds, class by class."""

    pixels: dict[int, int]
    """Class value to number of pixels; 0, "none", is left out."""

    areas: dict[int, float]
    """Class value to square metres."""

    zone_areas: tuple[float, ...]
    """Square metres of all classes together within each zone, in their order."""

    zone_classes: tuple[dict[int, tuple[int, float]], ...]
    """Class value to pixels and square metres within each zone."""

    fingerprint: str
    """SHA-256 of grid and pixels: the same for the same map in whatever form it is stored."""


@dataclass(frozen=True, kw_only=True)
class MapGrid:
    """A map's file and its grid."""

    path: Path
    crs: str
    """As ``EPSG:n`` or WKT."""
    transform: Affine
    shape: tuple[int, int]
    strip: int
    """Rows that are read at a time."""
    nodata: int | None
    """Value without data, beside 0."""


def open_map(path: str | Path) -> MapGrid:
    """Look at a map of classes without reading its pixels.

    Raises
    ------
    InputError
        When the file is missing, is no raster, has no CRS, or its first band is no whole number.
    """
    path = Path(path)
    try:
        with rasterio.open(path) as file:
            if file.crs is None:
                raise InputError(f"{path}: the map has no coordinate reference system; assign one to it.")
            if np.dtype(file.dtypes[0]).kind not in "iu":
                raise InputError(f"{path}: a map of classes needs uint8 values, not {file.dtypes[0]}.")
            block = file.block_shapes[0][0]
            most = max(1, STRIP_PIXELS // file.width)
            epsg = file.crs.to_epsg()
            return MapGrid(
                path=path, crs=f"EPSG:{epsg}" if epsg else file.crs.to_wkt(), transform=file.transform,
                shape=file.shape, strip=most // block * block or most,
                nodata=None if file.nodata is None else int(file.nodata),
            )  # fmt: skip
    except RasterioError as error:
        blame_machine(path, error)
        cause = str(error).removeprefix(f"{path}: ").rstrip(".")
        raise InputError(f"{path}: not readable as a map: {cause}.") from None


def read_strips(grid: MapGrid, *, strip: int | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows and class values of a map, uint8 (rows, columns), top to bottom; 0 is none."""
    with rasterio.open(grid.path) as file:
        for rows in strip_rows(grid.shape[0], strip or grid.strip):
            try:
                values = file.read(1, window=Window(0, rows.start, grid.shape[1], rows.stop - rows.start))
            except RasterioError as error:
                blame_machine(grid.path, error)
                raise InputError(f"{grid.path}: the file is damaged or truncated; replace it.") from None
            if grid.nodata not in {None, NONE}:
                values[values == grid.nodata] = NONE
            if values.dtype != np.uint8:
                if values.min() < 0 or values.max() > 255:
                    strange = values[(values < 0) | (values > 255)][0]
                    raise InputError(
                        f"{grid.path}: value {strange} is not a class; a map of classes has values 0 to 255."
                    )
                values = values.astype("uint8")
            yield rows, values


def count_classes(grid: MapGrid, *, zones: Sequence[Any] = (), strip: int | None = None) -> Counted:
    """Pixels and true area of every class of a map, in one pass.

    Parameters
    ----------
    grid
        The map, from :func:`open_map`; memory does not grow with it.
    zones
        Polygons (shapely) in the map's CRS; a pixel lies in the last one that covers its centre.
    strip
        Rows at a time; by default as suits the file.
    """
    sizes = PixelAreas(grid.crs, grid.transform, grid.shape)
    pixels, areas = np.zeros(256, "int64"), np.zeros(256)
    zone_pixels, zone_areas = (np.zeros((len(zones) + 1, 256), kind) for kind in ("int64", "float64"))
    hashed = hashlib.sha256(repr((grid.crs, tuple(grid.transform)[:6], grid.shape)).encode())
    for rows, values in read_strips(grid, strip=strip):
        hashed.update(values.tobytes())
        if not values.any():
            continue
        land = np.broadcast_to(sizes.window(rows, slice(0, grid.shape[1])), values.shape)
        pixels += np.bincount(values.ravel(), minlength=256)
        areas += np.bincount(values.ravel(), land.ravel(), minlength=256)
        if len(zones):
            at = zone_numbers(grid, rows, zones)
            both = at.ravel() * 256 + values.ravel()
            zone_pixels += np.bincount(both, minlength=zone_pixels.size).reshape(zone_pixels.shape)
            zone_areas += np.bincount(both, land.ravel(), minlength=zone_areas.size).reshape(zone_areas.shape)
    there = [int(value) for value in np.flatnonzero(pixels) if value != NONE]
    return Counted(
        pixels={value: int(pixels[value]) for value in there},
        areas={value: float(areas[value]) for value in there},
        zone_areas=tuple(float(area) for area in zone_areas[1:, NONE + 1 :].sum(axis=1)),
        zone_classes=tuple(
            {int(v): (int(n[v]), float(a[v])) for v in np.flatnonzero(n) if v != NONE}
            for n, a in zip(zone_pixels[1:], zone_areas[1:], strict=True)
        ),
        fingerprint=hashed.hexdigest(),
    )


def zone_numbers(grid: MapGrid, rows: slice, zones: Sequence[Any]) -> np.ndarray:
    """Number of the zone that covers each pixel's centre, from 1; 0 for none; int32 (rows, columns)."""
    from rasterio.features import rasterize

    transform = grid.transform * Affine.translation(0, rows.start)
    shape = (rows.stop - rows.start, grid.shape[1])
    corners = [transform * (x, y) for x in (0, shape[1]) for y in (0, shape[0])]
    left, bottom = (min(c[i] for c in corners) for i in (0, 1))
    right, top = (max(c[i] for c in corners) for i in (0, 1))
    near = [
        (zone, number)
        for number, zone in enumerate(zones, start=1)
        if not zone.is_empty
        and zone.bounds[0] <= right and zone.bounds[2] >= left and zone.bounds[1] <= top and zone.bounds[3] >= bottom
    ]  # fmt: skip
    if not near:
        return np.zeros(shape, "int32")
    numbers: np.ndarray = rasterize(near, out_shape=shape, transform=transform, dtype="int32")
    return numbers
