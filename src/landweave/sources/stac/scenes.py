"""STAC items as scenes: when they were taken, and where their bands are."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache, lru_cache
from typing import Any

from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.sources.stac.catalogues import BANDS, CLASSES, Catalogue, asset_of, band_of, recognise
from landweave.sources.stac.hrefs import image_place
from landweave.sources.stac.items import (
    baseline_of,
    facts_of,
    orbit_of,
    platform_of,
    processed_of,
    strip_of,
    tile_of,
)
from landweave.sources.stac.radiometry import Decision, decide

LONGEST_SIDE = 10_000_000
"""Pixels along a side: a larger grid is a mistake of the item."""


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One band of one scene."""

    key: str
    """The asset's key in the item."""

    href: str
    """Absolute path, or address with ``http``, ``https`` or ``s3``."""

    scale: float
    """reflectance = number * scale + offset; 1 for classes."""

    offset: float
    """Reflectance of number 0; 0 for classes."""

    nodata: float | None
    """Digital number that means missing; None: the item does not say."""

    reason: str = ""
    """Why scale and offset are these."""

    told: bool = True
    """Whether the item says scale and offset; otherwise the file's own go first."""

    band: int | str | None = None
    """Number from 1, or name in the file, of the band in it; None: the only one, or the one of the variable's name."""

    geobox: GeoBox | None = None
    """Its pixel grid, where the item tells; otherwise the file does."""

    endpoint: str | None = None
    """Where an ``s3://`` href is served, when that is not the usual place."""

    sign: str | None = None
    """How the href must be signed before it is read."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One acquisition of one tile."""

    id: str
    collection: str
    catalogue: str
    """Name of the archive's row in :data:`~landweave.sources.stac.catalogues.CATALOGUES`."""
    moment: datetime
    """UTC, without time zone."""
    day: date
    """Solar day at the scene's middle: UTC and an hour for every 15 degrees."""
    bbox: tuple[float, float, float, float]
    """West, south, east, north, degrees; east is above 180 where the scene lies across the antimeridian."""
    cloud_cover: float | None = None
    """Per cent; None where it is not told."""
    platform: str = ""
    """S2A, S2B, ..."""
    tile: str = ""
    """MGRS tile, such as 32TMT."""
    orbit: int | None = None
    """Relative orbit."""
    baseline: tuple[int, int] | None = None
    """Processing baseline."""
    strip: str = ""
    """Start of the datastrip's sensing, the same in every processing."""
    processed: str = ""
    """When it was processed, as text that sorts by time; empty where it is not told."""
    assets: Mapping[str, Asset] = field(default_factory=dict)
    """Band or class variable to its asset."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Band or class variable to why its asset's link cannot be followed."""


def read_scene(
    item: Mapping[str, Any],
    *,
    href: str = "",
    catalogue: Catalogue | None = None,
    bands: Mapping[str, str] | None = None,
) -> Scene:
    """Parse one item.

    Parameters
    ----------
    item
        A STAC item of any version from 1.0.0-beta on, as a dict.
    href
        Where the item itself lies; relative asset hrefs start there. Absent: its ``self`` link.
    catalogue
        The archive's row; by default it is recognised by the item's own marks.
    bands
        Band to asset key, for an archive that no row describes; goes before the row.

    Raises
    ------
    InputError
        For an item without id, time or footprint, for one that is not as STAC has it, and for an item of a server
        whose images lie elsewhere than on servers.
    """
    try:
        return _read(item, href=href, catalogue=catalogue, bands=bands)
    except InputError as error:
        raise InputError(f"{href or 'Item'} {item.get('id') or ''}: {error}; leave the item out.") from None
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"Item {item.get('id')}: not valid STAC: {_told(error)}; leave the item out.") from None


def read_scenes(
    items: Iterable[Mapping[str, Any]], *, bands: Mapping[str, str] | None = None
) -> tuple[list[Scene], dict[str, tuple[str, ...]]]:
    """Parse items, and leave out those that cannot be read.

    Returns
    -------
    scenes, left_out
        The scenes in the order of the items, and why others were left out, to their ids.
    """
    scenes, broken = [], dict[str, list[str]]()
    for item in items:
        try:
            scenes.append(_read(item, href="", catalogue=None, bands=bands))
        except InputError as error:
            broken.setdefault(str(error), []).append(str(item.get("id")))
        except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            broken.setdefault(f"not valid STAC: {_told(error)}", []).append(str(item.get("id")))
    return scenes, {why: tuple(ids) for why, ids in broken.items()}


def _told(error: Exception) -> str:
    return str(error).split("\n")[0].rstrip(".")[:200]


def _read(item: Mapping[str, Any], *, href: str, catalogue: Catalogue | None, bands: Mapping[str, str] | None) -> Scene:
    facts = facts_of(item)
    name, properties = str(item["id"]), item["properties"]
    catalogue = catalogue or recognise(item)
    baseline = baseline_of(properties, name)
    place = href or next((str(link["href"]) for link in item.get("links", ()) if link.get("rel") == "self"), "")
    assets, unread = {}, {}
    for variable in (*BANDS, *CLASSES):
        wanted = (bands[variable],) if bands and variable in bands else catalogue.assets.get(variable, ())
        choices = [asset_of(text, item["assets"]) for text in wanted]
        key, name_there = next(((key, band) for key, band in choices if key in item["assets"]), (None, None))
        if key is None:
            continue
        asset = item["assets"][key]
        try:
            there = image_place(str(asset.get("href") or ""), place)
            band = band_of(variable, key, asset, name_there)
        except InputError as error:
            unread[variable] = str(error) if str(error).startswith("asset ") else f"asset {key}: {error}"
            continue
        assets[variable] = _asset(
            variable, key, there, asset, properties, catalogue=catalogue, baseline=baseline, band=band
        )  # fmt: skip
    return Scene(
        id=name, collection=str(item.get("collection") or ""), catalogue=catalogue.name, moment=facts.moment,
        day=facts.day, bbox=facts.bbox, cloud_cover=facts.cloud_cover, platform=platform_of(properties, name),
        tile=tile_of(properties, name), orbit=orbit_of(properties, name), baseline=baseline,
        strip=strip_of(properties), processed=processed_of(properties), assets=assets, unread=unread,
    )  # fmt: skip


def _asset(
    variable: str, key: str, href: str, asset: Mapping[str, Any], properties: Mapping[str, Any], *,
    catalogue: Catalogue, baseline: tuple[int, int] | None, band: int | str | None,
) -> Asset:  # fmt: skip
    converted = not (key.endswith("-jp2") or href.split("?", maxsplit=1)[0].lower().endswith(".jp2"))
    if variable in CLASSES:
        decision = Decision(scale=1.0, offset=0.0, nodata=0.0, reason="classes")
    else:
        number = band if isinstance(band, int) else 1
        decision = decide(catalogue, properties, asset, baseline=baseline, converted=converted, band=number)
    return Asset(
        key=key, href=href, scale=decision.scale, offset=decision.offset, nodata=decision.nodata,
        reason=decision.reason, geobox=_geobox(asset, properties), endpoint=catalogue.endpoint, sign=catalogue.sign,
        told=decision.told, band=band,
    )  # fmt: skip


def _geobox(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> GeoBox | None:
    """The grid that an item tells; None where it tells none that can be one, so that the file's own counts."""

    def told(name: str) -> Any:
        value = asset.get(f"proj:{name}")
        return properties.get(f"proj:{name}") if value is None else value

    code = told("code") or told("epsg")
    try:
        rows, columns = (int(side) for side in told("shape"))
        return _grid((rows, columns), tuple(float(number) for number in told("transform")[:6]), str(code))
    except (TypeError, ValueError, OverflowError, KeyError):
        return None


@lru_cache(maxsize=4096)
def _grid(shape: tuple[int, int], numbers: tuple[float, ...], code: str) -> GeoBox | None:
    """A grid; None where no raster can have it, or PROJ does not know its CRS. Scenes of a tile share theirs."""
    affine, crs = Affine(*numbers), crs_of(code)
    sound = all(0 < side <= LONGEST_SIDE for side in shape) and all(map(math.isfinite, numbers))
    return None if crs is None or not sound or affine.is_degenerate else GeoBox(shape, affine, crs)


@cache
def crs_of(code: str) -> CRS | None:
    """The CRS of a code such as ``EPSG:32633``, 32633 or 32633.0; None where PROJ does not know it.

    >>> crs_of("32633.0") == crs_of("EPSG:32633"), crs_of("EPSG:None"), crs_of("10857")
    (True, None, None)
    """
    number = re.fullmatch(r"(?:EPSG:)?(\d+)(?:\.0+)?", code.strip(), re.IGNORECASE)
    try:
        return CRS(f"EPSG:{number[1]}" if number else code)
    except Exception:  # noqa: BLE001 - pyproj has many ways to say that a CRS is unknown
        return None
