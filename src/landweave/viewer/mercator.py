"""The squares of web Mercator that maps in browsers are made of, and boxes of degrees around patches."""

import math
from collections.abc import Sequence

import numpy as np
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry

from landweave.patch.grid import Cell

SIDE = 256
"""Pixels of a tile's side; no other size is made."""

WEB = "EPSG:3857"
WORLD = 2 * math.pi * 6378137
"""Side of the whole world in web Mercator, its metres."""


def degrees_of(cell: Cell) -> tuple[float, float, float, float]:
    """West, south, east, north of what of a patch belongs to the area of interest."""
    shape = Geometry(cell.geobox.extent.geom if cell.area is None else cell.area, cell.geobox.crs)
    box = shape.to_crs("EPSG:4326").boundingbox
    return box.left, box.bottom, box.right, box.top


def is_wide(box: Sequence[float]) -> bool:
    """Whether a box of degrees goes around the world."""
    return box[2] - box[0] > 180


def box_around(boxes: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """The box around some; those that go around the world are left out while there are others."""
    some = np.array([box for box in boxes if not is_wide(box)] or boxes)
    west, south = some[:, :2].min(axis=0).tolist()
    east, north = some[:, 2:].max(axis=0).tolist()
    return west, south, east, north


def tile_geobox(z: int, x: int, y: int) -> GeoBox:
    """The pixel grid of a tile, EPSG:3857, shape (256, 256)."""
    side = WORLD / 2**z
    left, top = x * side - WORLD / 2, WORLD / 2 - y * side
    return GeoBox.from_bbox((left, top - side, left + side, top), WEB, shape=(SIDE, SIDE))


def tiles_over(bounds: tuple[float, float, float, float], least: int, greatest: int) -> list[tuple[int, int, int]]:
    """Zoom, column and row of the tiles that meet a box of degrees, in the order that PMTiles keeps them in."""
    from pmtiles.tile import zxy_to_tileid

    west, south, east, north = bounds
    left, bottom = to_web(west, south)
    right, top = to_web(east, north)
    found = []
    for z in range(least, greatest + 1):
        side, last = WORLD / 2**z, 2**z - 1
        columns = [min(max(math.floor((x + WORLD / 2) / side), 0), last) for x in (left, right)]
        rows = [min(max(math.floor((WORLD / 2 - y) / side), 0), last) for y in (top, bottom)]
        found += [(z, x, y) for x in range(columns[0], columns[1] + 1) for y in range(rows[0], rows[1] + 1)]
    return sorted(found, key=lambda place: int(zxy_to_tileid(*place)))


def to_web(lon: float, lat: float) -> tuple[float, float]:
    """Metres of web Mercator."""
    radius = WORLD / 2 / math.pi
    return math.radians(lon) * radius, math.log(math.tan(math.pi / 4 + math.radians(lat) / 2)) * radius
