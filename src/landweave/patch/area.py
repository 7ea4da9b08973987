"""The area of interest, read from a vector file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from landweave.errors import InputError
from landweave.patch.align import to_crs
from landweave.patch.vectors.layers import open_layer, read_features


@dataclass(frozen=True, kw_only=True)
class AreaFile:
    """An area of interest, and what of its file it does not hold."""

    shape: BaseGeometry
    """All geometries as one, in longitude and latitude."""

    features: int
    """Features in the file."""

    placeless: int
    """Those of them without geometry."""


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
            f"{path}: the area of interest has coordinates without a place in its CRS, {opened.crs.split(',')[0]}; "
            "assign the right CRS to it."
        )
    # Longitudes may be counted from 0 to 360.
    east = bounds[:, 0] >= 180
    shapes[east] = shapely.transform(shapes[east], lambda flat: flat - (360, 0))
    return AreaFile(
        shape=shapely.union_all(shapely.make_valid(shapes)), features=len(there), placeless=int((~there).sum())
    )
