"""What the archive says of itself: items and catalogue in the layout of Earth Search v1."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landweave.sources.simulated.archive.products import L2A, Level, Product, file_name, product_name
from landweave.sources.simulated.archive.tiles import Tile, degrees
from landweave.sources.stac.catalogues import CLASSES, COMMON

_WAVELENGTH = {
    "B01": 0.443, "B02": 0.49, "B03": 0.56, "B04": 0.665, "B05": 0.704, "B06": 0.74, "B07": 0.783, "B08": 0.842,
    "B8A": 0.865, "B09": 0.945, "B10": 1.3735, "B11": 1.61, "B12": 2.19,
}  # fmt: skip


def collection(items: Mapping[str, tuple[float, ...]], level: Level, days: Sequence[datetime.date]) -> dict[str, Any]:
    """The collection of one level.

    Parameters
    ----------
    items
        Item id to its box: west, south, east, north, degrees.
    level, days
        What the collection holds.
    """
    boxes = np.array(list(items.values()))
    extent = [*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist()]
    return {
        "type": "Collection", "stac_version": "1.0.0", "id": level.collection, "license": "Apache-2.0",
        "description": level.describes,
        "extent": {"spatial": {"bbox": [extent]},
                   "temporal": {"interval": [[f"{min(days)}T00:00:00Z", f"{max(days)}T23:59:59Z"]]}},
        "links": [_link("root", "../catalog.json"), _link("parent", "../catalog.json"),
                  *(_link("item", f"./{name}/{name}.json") for name in sorted(items))],
    }  # fmt: skip


def root(levels: Sequence[Level]) -> dict[str, Any]:
    """The catalogue of the archive."""
    return {
        "type": "Catalog", "stac_version": "1.0.0", "id": "simulated",
        "description": "A simulated archive, written by landweave.",
        "links": [_link("root", "./catalog.json"),
                  *(_link("child", f"./{level.collection}/collection.json") for level in levels)],
    }  # fmt: skip


def item(product: Product, tile: Tile, level: Level, classes: np.ndarray) -> dict[str, Any]:
    """One product of one tile.

    Parameters
    ----------
    product, tile, level
        What it is.
    classes
        Scene classes, which tell how much is cloudy and how much missing; (y, x).
    """
    west, south, east, north = degrees(tile.geobox)
    number = product.baseline.replace(".", "")
    seen = classes[classes > 0]
    cloudy = float(np.isin(seen, (8, 9, 10)).mean()) * 100
    sensed = f"{product.day:%Y%m%d}T095031"
    zone = int(tile.name[:2])
    satellite = product.satellite
    name = product_name(product, tile.name, level)
    properties = {
        "datetime": f"{product.day}T09:57:12.024000Z",
        "platform": f"sentinel-2{satellite[-1].lower()}", "constellation": "sentinel-2", "instruments": ["msi"],
        "eo:cloud_cover": round(cloudy, 4), "proj:epsg": 32600 + zone, "sat:relative_orbit": 79,
        "mgrs:utm_zone": zone, "mgrs:latitude_band": tile.name[2], "mgrs:grid_square": tile.name[3:],
        "grid:code": f"MGRS-{tile.name}", "s2:processing_baseline": product.baseline,
        "s2:product_uri": f"{satellite}_MSI{level.name}_{sensed}_N{number}_R079_T{tile.name}_{sensed}.SAFE",
        "s2:datatake_id": f"G{satellite}_{sensed}_000079_N{product.baseline}",
        "s2:datastrip_id": f"{satellite}_OPER_MSI_{level.name}_DS_SIML_{sensed}_S{sensed}_N{product.baseline}",
        "s2:sequence": str(product.sequence),
        "s2:nodata_pixel_percentage": round(100 * float(np.mean(classes == 0)), 4),
    }  # fmt: skip
    if level is L2A:
        properties["earthsearch:boa_offset_applied"] = product.applied
    else:
        properties["earthsearch:payload_id"] = f"simulated/{name}"
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name, "collection": level.collection,
        "stac_extensions": [f"https://stac-extensions.github.io/{extension}/schema.json"
                            for extension in ("eo/v1.1.0", "projection/v1.1.0", "raster/v1.1.0", "grid/v1.1.0")],
        "bbox": [west, south, east, north], "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
        "assets": {COMMON[variable][0]: _asset(variable, product, tile, size)
                   for variable, size in level.sizes.items()},
        "links": [_link("root", "../../catalog.json"), _link("parent", "../collection.json"),
                  _link("collection", "../collection.json")],
    }  # fmt: skip


def _link(relation: str, href: str) -> dict[str, str]:
    return {"rel": relation, "href": href, "type": "application/json"}


def _asset(variable: str, product: Product, tile: Tile, size: int) -> dict[str, Any]:
    geobox, key = tile.grid(size), COMMON[variable][0]
    spectral = variable not in CLASSES
    told: dict[str, Any] = {"nodata": 0, "data_type": "uint16" if spectral else "uint8", "spatial_resolution": size}
    asset: dict[str, Any] = {
        "href": f"./{file_name(variable)}", "type": "image/tiff; application=geotiff; profile=cloud-optimized",
        "roles": ["data", "reflectance"] if spectral else ["data"], "gsd": size,
        "proj:shape": list(geobox.shape), "proj:transform": list(geobox.transform)[:6],
        "raster:bands": [{**told, "scale": 0.0001, "offset": product.offset} if spectral else told],
    }  # fmt: skip
    if spectral:
        asset["eo:bands"] = [{"name": key, "common_name": key, "center_wavelength": _WAVELENGTH[variable]}]
    return asset
