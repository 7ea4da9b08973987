"""The area of interest: read from a vector file, widened, and cut to a grid."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry
from shapely.affinity import scale
from shapely.geometry.base import BaseGeometry

from landweave.errors import InputError
from landweave.patch.align import metres_per_unit, to_crs
from landweave.patch.vectors.layers import open_layer, read_features
from landweave.patch.vectors.placing import bounds_near, cut_far


@dataclass(frozen=True, kw_only=True)
class AreaFile:
    """An area of interest, and what of its file it does not hold."""

    shape: BaseGeometry
    """All geometries as one, in longitude and latitude."""

    features: int
    """Features in the file."""

    placeless: int
    """Those of them without geometry."""

    repaired: int
    """Those of them that cross themselves or are invalid otherwise, and were repaired."""


def read_area(path: str | Path, *, layer: str | None = None) -> BaseGeometry:
    """The outline in a vector file: all its geometries as one, in longitude and latitude.

    Parameters
    ----------
    path
        Any vector file.
    layer
        Needed where it has several.

    Raises
    ------
    InputError
        For a file that is missing, unreadable, empty, without geometry, of several layers, or without a CRS that has a
        place on Earth.
    """
    return read_area_file(path, layer=layer).shape


def read_area_file(path: str | Path, *, layer: str | None = None) -> AreaFile:
    """As :func:`read_area`, with what was left out."""
    path = Path(path)
    opened = open_layer(path, what="the area of interest", layer=layer)
    shapes = read_features(opened).shapes
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    shapes = shapes[there]
    if not len(shapes):
        raise InputError(f"{path}: the area of interest has no geometry.")

    def moved(flat: np.ndarray) -> np.ndarray:
        x, y = to_crs(flat[:, 0], flat[:, 1], source=opened.crs, target="EPSG:4326")
        return np.column_stack([x, y])

    shapes = shapely.transform(shapes, moved)
    bounds = shapely.bounds(shapes)
    if not np.isfinite(bounds).all():
        raise InputError(
            f"{path}: the area of interest ({', '.join(f'{bound:g}' for bound in opened.bounds)}) has coordinates "
            f"without a place in its CRS, {opened.crs.split(',')[0]}; assign the right CRS to it."
        )
    # Longitudes may be counted from 0 to 360.
    east = bounds[:, 0] >= 180
    shapes[east] = shapely.transform(shapes[east], lambda flat: flat - (360, 0))
    return AreaFile(
        shape=shapely.union_all(shapely.make_valid(shapes)), features=len(there), placeless=int((~there).sum()),
        repaired=int((~shapely.is_valid(shapes)).sum()),
    )  # fmt: skip


def outline_of(area: BaseGeometry, crs: CRS, buffer: float, *, latitude: float | None = None) -> BaseGeometry:
    """The area in the grid's CRS, widened by so many metres; of degrees and of some projections, at a latitude."""
    # Densified first, so that a long straight edge in degrees is not cut short in metres.
    outline: BaseGeometry = Geometry(area.segmentize(0.05), "EPSG:4326").to_crs(crs).geom
    west, south, east, north = area.bounds if not area.is_empty else (0.0, 0.0, 0.0, 0.0)
    latitude = (south + north) / 2 if latitude is None else latitude
    across, along = metres_per_unit(crs, (west + east) / 2, latitude)
    if not buffer or across == along == 1.0:
        return outline.buffer(buffer)
    wide = scale(outline, across, along, origin=(0, 0)).buffer(buffer)
    return scale(wide, 1 / across, 1 / along, origin=(0, 0))


def inner_of(outline: BaseGeometry, resolution: float) -> BaseGeometry:
    """The outline less a thousandth of a pixel: pixels that it only meets at an edge must not depend on the cells."""
    return outline if (inner := outline.buffer(-1e-3 * resolution)).is_empty else inner


def part_of(outline: BaseGeometry, geobox: GeoBox, inner: BaseGeometry | None = None) -> BaseGeometry | None:
    """What of the outline, or of its inner part, lies in a cell; None where the outline holds all of it."""
    return None if outline.covers(square := geobox.extent.geom) else (inner or outline).intersection(square)


def outline_near(area: BaseGeometry, geobox: GeoBox, buffer: float) -> BaseGeometry:
    """As :func:`outline_of`, the area cut to a grid's surroundings: far away the grid's CRS may have no answer."""
    near = bounds_near(geobox, "EPSG:4326")
    if not np.isfinite(near).all():
        return outline_of(area, geobox.crs, buffer)
    # At least as wide as the buffer: a degree of latitude is longer than a hundred kilometres, and one of longitude is
    # short in the far north and south.
    _, south, _, north = near
    spare = buffer / 1e5 / max(math.cos(math.radians(min(max(abs(south), abs(north)), 89.0))), 0.01)
    here = cut_far(np.array([area]), crs="EPSG:4326", near=near, spare=spare)[0]
    return shapely.Polygon() if here.is_empty else outline_of(here, geobox.crs, buffer, latitude=(south + north) / 2)
