"""What lies beside a map so that it opens right elsewhere: a QGIS style and a STAC item."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import rasterio
from rasterio.warp import transform_bounds

from landweave.legend import NONE, Legend
from landweave.maps.qgis_styles import classes_style

STAC_EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)

COG = "image/tiff; application=geotiff; profile=cloud-optimized"

_SHA2_256 = "1220"
"""Multihash: the code of SHA2-256, and the length of its digest in bytes, as hexadecimal numbers."""


def qgis_style(legend: Legend) -> bytes:
    """A ``.qml`` that shows a map of classes with the legend's colours and names.

    Lying beside ``map.tif`` as ``map.qml``, QGIS takes it when the map is opened.
    """
    return classes_style({c.value: (c.name, c.color) for c in legend.classes})


def stac_item(
    name: str, assets: Mapping[str, Path], *, legend: Legend, start: date, end: date, classes: str = "map",
    bands: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A STAC item for a map and the rasters beside it, with checksums.

    Parameters
    ----------
    name
        Identifier of the item.
    assets
        Key to a GeoTIFF; hrefs are relative, all lie in the item's own folder.
    legend
        Classes of the asset ``classes``.
    start, end
        The period that the map speaks of.
    classes
        Key of the asset that holds classes of the legend.
    bands
        Key of an asset to what its bands hold, in their order: ``name``, ``title``, and of codes ``values``, each with
        ``value``, ``name`` and ``color``.

    Returns
    -------
    dict
        JSON values: STAC 1.1 with the extensions for projection, classification and files. The same files give the
        same item: it does not say when it was made.
    """
    told = {key: _asset(path) for key, path in assets.items()}
    told[classes]["classification:classes"] = [
        {"value": NONE, "name": "none", "nodata": True},
        *(
            {"value": c.value, "name": _short(c.name, c.value), "title": c.name, "color_hint": c.color[1:].upper()}
            for c in legend.classes
        ),
    ]
    for key, listed in (bands or {}).items():
        told[key]["bands"] = [_band(band) for band in listed]
    with rasterio.open(assets[classes]) as file:
        west, south, east, north = transform_bounds(file.crs, "EPSG:4326", *file.bounds, densify_pts=21)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": list(STAC_EXTENSIONS),
        "id": name,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [west, south, east, north],
        "properties": {
            "datetime": None,
            "start_datetime": f"{start}T00:00:00Z",
            "end_datetime": f"{end}T23:59:59Z",
            "title": f"Land cover of {name}",
        },
        "links": [],
        "assets": told,
    }


def _band(band: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {"name": band["name"], "description": band["title"]}
    if "values" in band:
        told["classification:classes"] = [
            {"value": NONE, "name": "none", "nodata": True},
            *(
                {
                    "value": one["value"], "name": _short(one["name"], one["value"]), "title": one["name"],
                    "color_hint": one["color"][1:].upper(),
                }
                for one in band["values"]
            ),
        ]  # fmt: skip
    return told


def _asset(path: Path) -> dict[str, Any]:
    with rasterio.open(path) as file:
        code = file.crs.to_epsg()
        projection = (
            {"proj:code": f"EPSG:{code}"}
            if code
            else {"proj:code": None, "proj:wkt2": file.crs.to_wkt(version="WKT2_2019")}
        )
        grid = {"proj:shape": list(file.shape), "proj:transform": list(file.transform)[:6]}
        pixels = {"data_type": file.dtypes[0], "nodata": None if file.nodata is None else int(file.nodata)}
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {
        "href": f"./{path.name}", "type": COG, "roles": ["data"], **pixels, **projection, **grid,
        "file:size": path.stat().st_size, "file:checksum": _SHA2_256 + digest,
    }  # fmt: skip


def _short(name: str, value: int) -> str:
    """A class's name as machines read it: letters, numbers, - and _ only.

    >>> _short("artificial surface", 8), _short("šuma", 2), _short("лес", 2)
    ('artificial_surface', '_uma', 'class_2')
    """
    short = re.sub(r"[^0-9A-Za-z_-]+", "_", name)
    return short if re.search(r"[0-9A-Za-z]", short) else f"class_{value}"
