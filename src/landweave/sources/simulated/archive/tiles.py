"""The archive's tiling: squares in two UTM zones that overlap, as those of Sentinel-2 do."""

import math
from dataclasses import dataclass

import numpy as np
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from landweave.patch.align import outline_bounds
from landweave.sources.simulated.country import country_geobox

ZONES = (33, 34)
BORDER = 18.0
"""Longitude where the zones meet, degrees."""

_GRID = 120
_OVERLAP = 1.098


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One square of the archive's tiling."""

    name: str
    """As an MGRS tile, such as 33TXM."""

    geobox: GeoBox
    """Its 10 m grid."""

    def grid(self, size: int) -> GeoBox:
        """Its grid of pixels of 10, 20 or 60 metres."""
        return self.geobox if size == 10 else self.geobox.zoom_out(size // 10)


def tiles(size_km: float) -> list[Tile]:
    """Tiles that together cover the country, each side of the zones' border from its own zone.

    As with Sentinel-2, neighbours overlap by a tenth: a tile is 1.098 times as wide as the step to the next.
    """
    country = country_geobox(size_km)
    pitch = max(_GRID, math.ceil(0.85 * size_km * 1000 / _GRID) * _GRID)
    side = round(_OVERLAP * pitch / 60) * 6
    found = []
    for zone in ZONES:
        crs = f"EPSG:326{zone}"
        left, bottom, right, top = outline_bounds(country, crs)
        for column in range(math.floor(left / pitch), math.ceil(right / pitch)):
            for row in range(math.floor(bottom / pitch), math.ceil(top / pitch)):
                corner = column * pitch, row * pitch
                geobox = GeoBox.from_bbox(
                    (*corner, corner[0] + side * 10, corner[1] + side * 10), crs, resolution=10, tight=True
                )
                if _holds_country(geobox, country, zone):
                    found.append(Tile(name=f"{zone}T{_letter(column)}{_letter(row)}", geobox=geobox))
    return found


def degrees(geobox: GeoBox) -> tuple[float, float, float, float]:
    """West, south, east, north of a tile, degrees."""
    box = geobox.extent.to_crs("EPSG:4326").boundingbox
    return round(box.left, 6), round(box.bottom, 6), round(box.right, 6), round(box.top, 6)


def _holds_country(geobox: GeoBox, country: GeoBox, zone: int) -> bool:
    """Whether some of the country within the zone lies in a tile."""
    x, y = np.meshgrid(np.linspace(0, country.shape[1], 65), np.linspace(0, country.shape[0], 65))
    east, north = country.transform * (x, y)
    move = Transformer.from_crs(country.crs.to_wkt(), geobox.crs.to_wkt(), always_xy=True)
    lon, _ = Transformer.from_crs(country.crs.to_wkt(), "EPSG:4326", always_xy=True).transform(east, north)
    tile_east, tile_north = move.transform(east, north)
    box = geobox.boundingbox
    inside = (tile_east > box.left) & (tile_east < box.right) & (tile_north > box.bottom) & (tile_north < box.top)
    # A little beyond the border, so that pixels on either side of it are whole.
    side = lon < BORDER + 0.002 if zone == ZONES[0] else lon > BORDER - 0.002
    return bool((inside & side).any())


def _letter(number: int) -> str:
    return "ABCDEFGHJKLMNPQRSTUVWXYZ"[number % 24]
