"""The simulated scenes as products: tiles in two UTM zones, cloud-optimised files, items like Earth Search v1's."""

import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from landweave.patch.align import outline_bounds
from landweave.patch.model import NODATA
from landweave.patch.store import write_whole
from landweave.sources.simulated.country import Country, country_geobox
from landweave.sources.simulated.cover import BANDS
from landweave.sources.simulated.noise import smooth
from landweave.sources.simulated.scenes import SCL
from landweave.sources.simulated.source import SimulatedSource

COLLECTION = "sentinel-2-l2a"
ZONES = (33, 34)
BORDER = 18.0
"""Longitude where the zones meet, degrees."""

NEW_BASELINE_MONTH = 7
"""From this month's first day on, scenes come in processing baseline 05.00, whose numbers have 1000 added."""

CLOUD = "cloud"
_GRID = 120
_OVERLAP = 1.098
_COARSE = ("B11", "B12", SCL, CLOUD)
_KEYS = {"B02": "blue", "B03": "green", "B04": "red", "B08": "nir", "B11": "swir16", "B12": "swir22",
         SCL: "scl", CLOUD: "cloud"}  # fmt: skip
_FILES = {CLOUD: "CLD"}
_WAVELENGTH = {"B02": 0.49, "B03": 0.56, "B04": 0.665, "B08": 0.842, "B11": 1.61, "B12": 2.19}
# Cloud probability in per cent that goes with a scene class, before it is blurred.
_PROBABILITY = {3: 5, 7: 25, 8: 70, 9: 95, 10: 40, 11: 8}


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One square of the archive's tiling."""

    name: str
    """As an MGRS tile, such as 33TXM."""

    geobox: GeoBox
    """Its 10 m grid."""


@dataclass(frozen=True, kw_only=True)
class Product:
    """One processing of one acquisition."""

    day: datetime.date
    sequence: int
    baseline: str
    shift: int
    """Added to the digital numbers."""
    offset: float
    """What ``raster:bands`` says."""
    applied: bool
    """``earthsearch:boa_offset_applied``."""
    drift: int = 0
    """Digital numbers by which an older processing differs."""


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


def products(days: list[datetime.date]) -> list[Product]:
    """Every acquisition in the baseline of its time; of one in autumn also an older processing.

    From July on, the offset is alternately in the pixels, and taken out of them already, as the flag says: the
    metadata speak of it both times.
    """
    made = []
    late = [day for day in days if day.month >= NEW_BASELINE_MONTH]
    twice = late[2 * len(late) // 3] if late else None
    for day in days:
        if day not in late:
            made.append(Product(day=day, sequence=0, baseline="03.01", shift=0, offset=0.0, applied=False))
            continue
        applied = late.index(day) % 2 == 1
        if day == twice:
            made.append(Product(day=day, sequence=0, baseline="03.01", shift=0, offset=0.0, applied=False, drift=30))
        made.append(
            Product(day=day, sequence=int(day == twice), baseline="05.00", shift=0 if applied else 1000,
                    offset=-0.1, applied=applied)
        )  # fmt: skip
    return made


def write_product(folder: Path, country: Country, product: Product, tile: Tile, *, n_dates: int) -> str | None:
    """Write one tile of one product: a file a band, and the item; None where the swath leaves the tile out.

    Returns
    -------
    str or None
        The item's id, the name of its folder.
    """
    source = SimulatedSource(size_km=country.size_km, n_dates=n_dates, seed=country.seed)
    patch = source.load(tile.geobox, [product.day], source.variables)
    classes = patch[SCL].values[0]
    if not classes[::2, ::2].any():
        return None
    pixels = {name: _numbers(patch[name].values[0], product) for name in BANDS}
    pixels |= {name: _mean(patch[name].values[0], product) for name in BANDS if name in _COARSE}
    pixels[SCL] = classes[::2, ::2]
    pixels[CLOUD] = _probability(pixels[SCL], tile.geobox, product.day, country.seed)
    name = f"S2{_letter_of(product)}_{tile.name}_{product.day:%Y%m%d}_{product.sequence}_L2A"

    def write(part: Path) -> None:
        part.mkdir()
        for band, values in pixels.items():
            _write_cog(part / _file(band), values, _grid(tile, band))
        item = _item(name, product, tile, pixels[SCL])
        (part / f"{name}.json").write_text(json.dumps(item, indent=1) + "\n", encoding="utf-8")

    write_whole(folder / name, write)
    return name


def catalogue(items: list[str], boxes: Mapping[str, tuple[float, ...]], days: list[datetime.date]) -> dict[str, Any]:
    """Files of the static catalogue: path within the archive to content."""
    wide = np.array(list(boxes.values()))
    extent = [*wide[:, :2].min(axis=0).tolist(), *wide[:, 2:].max(axis=0).tolist()]
    collection = {
        "type": "Collection", "stac_version": "1.0.0", "id": COLLECTION, "license": "Apache-2.0",
        "description": "Simulated scenes in the layout of Sentinel-2 L2A.",
        "extent": {"spatial": {"bbox": [extent]},
                   "temporal": {"interval": [[f"{min(days)}T00:00:00Z", f"{max(days)}T23:59:59Z"]]}},
        "links": [_link("root", "../catalog.json"), _link("parent", "../catalog.json"),
                  *(_link("item", f"./{name}/{name}.json") for name in items)],
    }  # fmt: skip
    root = {
        "type": "Catalog", "stac_version": "1.0.0", "id": "simulated",
        "description": "A simulated archive, written by landweave.",
        "links": [_link("root", "./catalog.json"), _link("child", f"./{COLLECTION}/collection.json")],
    }  # fmt: skip
    return {"catalog.json": root, f"{COLLECTION}/collection.json": collection}


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


def _letter_of(product: Product) -> str:
    return "AB"[product.day.toordinal() % 2]


def _file(band: str) -> str:
    return f"{_FILES.get(band, band)}.tif"


def _grid(tile: Tile, band: str) -> GeoBox:
    return tile.geobox.zoom_out(2) if band in _COARSE else tile.geobox


def _numbers(values: np.ndarray, product: Product) -> np.ndarray:
    numbers = np.clip(values.astype("int32") + product.shift + product.drift, 1, 65_535)
    return np.asarray(np.where(values == NODATA, 0, numbers).astype("uint16"))


def _mean(values: np.ndarray, product: Product) -> np.ndarray:
    """Digital numbers at 20 m: the mean of four pixels, where all are there."""
    blocks = values.astype("int32").reshape(values.shape[0] // 2, 2, values.shape[1] // 2, 2)
    missing = (blocks == NODATA).any(axis=(1, 3))
    mean = np.rint(blocks.mean(axis=(1, 3)))
    return _numbers(np.where(missing, NODATA, mean).astype("int16"), product)


def _probability(classes: np.ndarray, geobox: GeoBox, day: datetime.date, seed: int) -> np.ndarray:
    """A provider's cloud probability, per cent, uint8: from the scene classes, with smooth errors of its own."""
    table = np.zeros(256)
    for code, share in _PROBABILITY.items():
        table[code] = share
    rows = np.arange(classes.shape[0]) + round(geobox.boundingbox.top / 20)
    columns = np.arange(classes.shape[1]) + round(geobox.boundingbox.left / 20)
    error = 6 * smooth(rows, columns, 30, seed=(seed, 98, day.timetuple().tm_yday))
    wrong = np.clip(np.rint(table[classes] + error), 0, 100)
    return np.asarray(np.where(classes == 0, 0, wrong).astype("uint8"))


def _write_cog(path: Path, values: np.ndarray, geobox: GeoBox) -> None:
    classes = values.dtype == np.uint8
    with rasterio.open(
        path, "w", driver="COG", height=geobox.shape[0], width=geobox.shape[1], count=1, dtype=values.dtype,
        crs=str(geobox.crs), transform=geobox.transform, nodata=0, compress="zstd", level=1, blocksize=256,
        predictor="NO" if classes else "YES", overview_resampling="nearest" if classes else "average",
        overviews="AUTO",
    ) as file:  # fmt: skip
        file.write(values, 1)


def _link(relation: str, href: str) -> dict[str, str]:
    return {"rel": relation, "href": href, "type": "application/json"}


def _item(name: str, product: Product, tile: Tile, classes: np.ndarray) -> dict[str, Any]:
    west, south, east, north = degrees(tile.geobox)
    number = product.baseline.replace(".", "")
    seen = classes[classes > 0]
    cloudy = float(np.isin(seen, (8, 9, 10)).mean()) * 100
    sensed = f"{product.day:%Y%m%d}T095031"
    zone = int(tile.name[:2])
    satellite = f"S2{_letter_of(product)}"
    properties = {
        "datetime": f"{product.day}T09:57:12.024000Z",
        "platform": f"sentinel-2{_letter_of(product).lower()}", "constellation": "sentinel-2", "instruments": ["msi"],
        "eo:cloud_cover": round(cloudy, 4), "proj:epsg": 32600 + zone, "sat:relative_orbit": 79,
        "mgrs:utm_zone": zone, "mgrs:latitude_band": tile.name[2], "mgrs:grid_square": tile.name[3:],
        "grid:code": f"MGRS-{tile.name}", "s2:processing_baseline": product.baseline,
        "s2:product_uri": f"{satellite}_MSIL2A_{sensed}_N{number}_R079_T{tile.name}_{sensed}.SAFE",
        "s2:datatake_id": f"G{satellite}_{sensed}_000079_N{product.baseline}",
        "s2:datastrip_id": f"{satellite}_OPER_MSI_L2A_DS_SIML_{sensed}_S{sensed}_N{product.baseline}",
        "s2:sequence": str(product.sequence),
        "s2:nodata_pixel_percentage": round(100 * float(np.mean(classes == 0)), 4),
        "earthsearch:boa_offset_applied": product.applied,
    }  # fmt: skip
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": COLLECTION,
        "stac_extensions": [f"https://stac-extensions.github.io/{extension}/schema.json"
                            for extension in ("eo/v1.1.0", "projection/v1.1.0", "raster/v1.1.0", "grid/v1.1.0")],
        "bbox": [west, south, east, north], "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
        "assets": {key: _asset(band, product, tile) for band, key in _KEYS.items()},
        "links": [_link("root", "../../catalog.json"), _link("parent", "../collection.json"),
                  _link("collection", "../collection.json")],
    }  # fmt: skip


def _asset(band: str, product: Product, tile: Tile) -> dict[str, Any]:
    geobox = _grid(tile, band)
    size = 20 if band in _COARSE else 10
    spectral = band in _WAVELENGTH
    told: dict[str, Any] = {"nodata": 0, "data_type": "uint16" if spectral else "uint8", "spatial_resolution": size}
    asset: dict[str, Any] = {
        "href": f"./{_file(band)}", "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data", "reflectance"] if spectral else ["data"], "gsd": size,
        "proj:shape": list(geobox.shape), "proj:transform": list(geobox.transform)[:6],
        "raster:bands": [{**told, "scale": 0.0001, "offset": product.offset} if spectral else told],
    }  # fmt: skip
    if spectral:
        asset["eo:bands"] = [{"name": _KEYS[band], "common_name": _KEYS[band], "center_wavelength": _WAVELENGTH[band]}]
    return asset
