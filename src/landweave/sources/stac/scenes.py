"""STAC items as scenes: what was taken when, where its bands lie, and what their numbers mean."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError

from landweave.errors import InputError
from landweave.sources.remote import is_remote
from landweave.sources.stac.catalogues import BANDS, CLASSES, Catalogue, recognise
from landweave.sources.stac.radiometry import Decision, decide

PASS = timedelta(minutes=25)
"""Scenes of one pass follow each other within minutes; two orbits are at least 50 minutes apart."""


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
    """Digital number that means missing."""

    reason: str = ""
    """Why scale and offset are these."""

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
    assets: Mapping[str, Asset] = field(default_factory=dict)
    """Band or class variable to its asset."""


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
    except InputError:
        raise
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, OverflowError, CRSError) as error:
        told = str(error).split("\n")[0].rstrip(".")[:200]
        raise InputError(f"Item {item.get('id')}: not valid STAC: {told}; leave the item out.") from None


def _read(item: Mapping[str, Any], *, href: str, catalogue: Catalogue | None, bands: Mapping[str, str] | None) -> Scene:
    name = item.get("id")
    if not name or "assets" not in item:
        raise InputError(f"{href or 'An item'}: not a STAC item (no id or no assets).")
    catalogue = catalogue or recognise(item)
    properties = item.get("properties", {})
    bbox = _bbox(item)
    moment = _moment(properties, str(name))
    baseline = _baseline(properties, str(name))
    place = href or next((str(link["href"]) for link in item.get("links", ()) if link.get("rel") == "self"), "")
    assets = {}
    for variable in (*BANDS, *CLASSES):
        wanted = (bands[variable],) if bands and variable in bands else catalogue.assets.get(variable, ())
        key = next((key for key in wanted if key in item["assets"]), None)
        if key is not None:
            assets[variable] = _asset(
                variable, key, item["assets"][key], properties, catalogue=catalogue, baseline=baseline, place=place,
                name=str(name),
            )  # fmt: skip
    middle = (bbox[0] + bbox[2]) / 2
    return Scene(
        id=str(name), collection=str(item.get("collection") or ""), catalogue=catalogue.name, moment=moment,
        day=(moment + timedelta(hours=middle / 15)).date(), bbox=bbox,
        cloud_cover=_number(properties.get("eo:cloud_cover")), platform=_platform(properties, str(name)),
        tile=_tile(properties, str(name)), orbit=_orbit(properties, str(name)), baseline=baseline,
        strip=_strip(properties), assets=assets,
    )  # fmt: skip


def meet(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes of west, south, east, north, degrees, share an area, on a round Earth.

    >>> meet((179, -17, 181, -16), (-180, -18, -179.5, -15))
    True
    """
    turns = any(one[0] + turn < other[2] and other[0] < one[2] + turn for turn in (-360, 0, 360))
    return turns and one[1] < other[3] and other[1] < one[3]


def newest_of_duplicates(scenes: Iterable[Scene]) -> list[Scene]:
    """Leave out older processings of an acquisition.

    Two scenes are the same acquisition where collection, platform, tile, day, orbit and datastrip agree. The newest
    baseline stays, then the greatest id; where the datastrip is not told, all scenes of the newest baseline stay,
    since they may be two parts of a tile. The answer is in the order of day, moment and id, whatever the order given.
    """
    groups: dict[tuple[object, ...], list[Scene]] = {}
    for scene in scenes:
        key: tuple[object, ...] = (scene.collection, scene.id)
        if scene.tile:
            key = (scene.collection, scene.platform, scene.tile, scene.day, scene.orbit, scene.strip)
        groups.setdefault(key, []).append(scene)
    kept = []
    for same in groups.values():
        newest = max(scene.baseline or (0, 0) for scene in same)
        left = {scene.id: scene for scene in same if (scene.baseline or (0, 0)) == newest}
        kept += [left[max(left)]] if same[0].strip or len(left) == 1 else list(left.values())
    return sorted(kept, key=lambda scene: (scene.day, scene.moment, scene.id))


def passes(scenes: Sequence[Scene]) -> dict[date, list[Scene]]:
    """Group scenes to dates: one solar day and orbit is one date.

    Returns
    -------
    dict
        Date to its scenes in the order of their ids, which is the order they are fused in, everywhere. Where a day
        has several passes (only near the poles), the later ones are keyed by the moment of their first scene, a
        ``datetime`` without time zone.
    """
    days: dict[date, list[Scene]] = {}
    for scene in newest_of_duplicates(scenes):
        days.setdefault(scene.day, []).append(scene)
    grouped: dict[date, list[Scene]] = {}
    for day in sorted(days):
        of_day: list[list[Scene]] = []
        for scene in days[day]:
            home = next((group for group in of_day if _one_pass(group[-1], scene)), None)
            if home is None:
                of_day.append([scene])
            else:
                home.append(scene)
        for number, group in enumerate(of_day):
            key = day if number == 0 else datetime.combine(day, group[0].moment.time().replace(microsecond=0))
            grouped[key] = sorted(group, key=lambda scene: scene.id)
    return grouped


def _one_pass(one: Scene, other: Scene) -> bool:
    if one.orbit is not None and other.orbit is not None:
        return (one.orbit, one.platform) == (other.orbit, other.platform)
    return abs(other.moment - one.moment) <= PASS


def _asset(
    variable: str, key: str, asset: Mapping[str, Any], properties: Mapping[str, Any], *, catalogue: Catalogue,
    baseline: tuple[int, int] | None, place: str, name: str,
) -> Asset:  # fmt: skip
    href = str(asset.get("href", ""))
    converted = not (key.endswith("-jp2") or href.lower().endswith(".jp2"))
    if variable in CLASSES:
        decision = Decision(scale=1.0, offset=0.0, nodata=0.0, reason="classes")
    else:
        decision = decide(catalogue, properties, asset, baseline=baseline, converted=converted)
    return Asset(
        key=key, href=_absolute(href, place, name), scale=decision.scale, offset=decision.offset,
        nodata=decision.nodata, reason=decision.reason, geobox=_geobox(asset, properties),
        endpoint=catalogue.endpoint, sign=catalogue.sign,
    )  # fmt: skip


def _absolute(href: str, place: str, name: str) -> str:
    if not is_remote(place):
        return href if re.match(r"[a-z][a-z0-9+]*://", href) or href.startswith("/") else urljoin(place, href)
    if place.startswith("s3://") and "://" not in href:
        whole = "s3://" + urljoin("http://" + place.removeprefix("s3://"), href).removeprefix("http://")
    else:
        whole = urljoin(place, href)
    if not is_remote(whole):
        # A server must not choose files of this machine.
        raise InputError(
            f"Item {name}: the image link is {href[:100]!r}; links from a server must be http, https or s3."
        )
    return whole


def _geobox(asset: Mapping[str, Any], properties: Mapping[str, Any]) -> GeoBox | None:
    def told(name: str) -> Any:
        value = asset.get(f"proj:{name}")
        return properties.get(f"proj:{name}") if value is None else value

    shape, transform = told("shape"), told("transform")
    code = told("code") or (f"EPSG:{told('epsg')}" if told("epsg") else None)
    if not (shape and transform and code):
        return None
    affine = Affine(*[float(number) for number in transform[:6]])
    return None if affine.is_degenerate else GeoBox((int(shape[0]), int(shape[1])), affine, str(code))


def _moment(properties: Mapping[str, Any], name: str) -> datetime:
    text = properties.get("datetime") or properties.get("start_datetime")
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise InputError(f"Item {name}: datetime {text!r} is not a valid time; leave the item out.") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _bbox(item: Mapping[str, Any]) -> tuple[float, float, float, float]:
    box = item.get("bbox")
    if not box and item.get("geometry"):
        import shapely.geometry

        box = shapely.geometry.shape(item["geometry"]).bounds
    if not box or len(box) not in {4, 6}:
        raise InputError(f"Item {item.get('id')}: no footprint; leave the item out.")
    west, south, east, north = (box[0], box[1], box[2], box[3]) if len(box) == 4 else (box[0], box[1], box[3], box[4])
    # GeoJSON (RFC 7946, 5.2) writes a box across the antimeridian with its west east of its east.
    return float(west), float(south), float(east) + 360.0 * (west > east), float(north)


def _product(properties: Mapping[str, Any], name: str) -> str:
    told = (properties.get(key) for key in ("s2:product_uri", "sentinel:product_id"))
    return next((str(text) for text in told if text), name)


def _baseline(properties: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    for key in ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline"):
        parts = re.fullmatch(r"(\d+)\.(\d+)", str(properties.get(key, "")))
        if parts:
            return int(parts[1]), int(parts[2])
    parts = re.search(r"_N(\d\d)(\d\d)_", _product(properties, name))
    return (int(parts[1]), int(parts[2])) if parts else None


def _orbit(properties: Mapping[str, Any], name: str) -> int | None:
    told = properties.get("sat:relative_orbit")
    found = re.search(r"_R(\d{3})_", _product(properties, name))
    return int(told) if told is not None else int(found[1]) if found else None


def _strip(properties: Mapping[str, Any]) -> str:
    told = str(properties.get("s2:datastrip_id") or properties.get("eopf:datastrip_id") or "")
    found = re.search(r"_S(\d{8}T\d{6})", told)
    return found[1] if found else ""


def _platform(properties: Mapping[str, Any], name: str) -> str:
    letter = re.search(r"2-?([a-d])$", str(properties.get("platform", "")).lower())
    found = re.match(r"(S2[A-D])", name)
    return f"S2{letter[1].upper()}" if letter else found[1] if found else ""


def _tile(properties: Mapping[str, Any], name: str) -> str:
    told = str(properties.get("grid:code") or "").removeprefix("MGRS-") or str(properties.get("s2:mgrs_tile") or "")
    if told:
        return told.zfill(5)
    for spelling in ("mgrs:", "sentinel:"):
        parts = [properties.get(spelling + key) for key in ("utm_zone", "latitude_band", "grid_square")]
        if all(parts):
            return f"{int(str(parts[0])):02d}{parts[1]}{parts[2]}"
    found = re.search(r"_T?(\d\d[A-Z]{3})_", f"{_product(properties, name)}_{name}_")
    return found[1] if found else ""


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
