"""What an item says of its scene: when, where, how cloudy, and by which processing."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from landweave.errors import InputError
from landweave.sources.remote import readable
from landweave.sources.stac.footprint import Box, footprint


@dataclass(frozen=True, kw_only=True)
class Facts:
    """When and where a scene was taken."""

    moment: datetime
    """UTC, without time zone."""
    day: date
    """Solar day at the scene's middle: UTC and an hour for every 15 degrees."""
    bbox: Box
    """West, south, east, north, degrees; east is above 180 where the scene lies across the antimeridian."""
    cloud_cover: float | None
    """Per cent; None where it is not told, or is no number."""


def facts_of(item: Mapping[str, Any]) -> Facts:
    """When and where an item's scene was taken.

    Raises
    ------
    InputError
        For an item without id, assets, time or footprint: why it cannot be used, in a few words.
    """
    properties = item.get("properties")
    if not item.get("id") or not isinstance(item.get("assets"), Mapping) or not isinstance(properties, Mapping):
        raise InputError("not a STAC item: no id, properties or assets")
    moment = moment_of(properties)
    try:
        box = footprint(item)
        day = None if box is None else (moment + timedelta(hours=(box[0] + box[2]) / 30)).date()
    except (TypeError, ValueError, OverflowError, KeyError, IndexError):
        box = None
    if box is None or day is None:
        raise InputError("no footprint in degrees")
    return Facts(moment=moment, day=day, bbox=box, cloud_cover=_number(properties.get("eo:cloud_cover")))


def moment_of(properties: Mapping[str, Any]) -> datetime:
    """The time of acquisition, UTC, without time zone."""
    text = properties.get("datetime") or properties.get("start_datetime")
    if not text:
        raise InputError("no datetime")
    try:
        moment = datetime.fromisoformat(str(text).strip().upper())
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise InputError("datetime is not a valid time") from None


def processed_of(properties: Mapping[str, Any]) -> str:
    """When the scene was processed, as text that sorts by time; empty where it is not told."""
    for key in ("s2:generation_time", "processing:datetime"):
        try:
            return moment_of({"datetime": properties.get(key)}).isoformat()
        except InputError:
            continue
    return ""


def age(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells the newer one of two items of one id; the same whatever their order."""
    properties = item.get("properties")
    told = properties if isinstance(properties, Mapping) else {}
    written = [str(told.get(key) or "") for key in ("updated", "created", "datetime")]
    baseline = baseline_of(told, str(item.get("id")))
    return (baseline or (0, 0), processed_of(told), *written, str(item.get("links")), str(item.get("assets")))


def too_many_lost(url: str, lost: Mapping[str, Any], total: int, most: float) -> None:
    """Refuse an archive of which a larger share than ``most`` cannot be used."""
    count = sum(map(len, lost.values()))
    if total and count / total > most:
        why, ids = max(lost.items(), key=lambda pair: len(pair[1]))
        raise InputError(
            f"{readable(url)}: {count} of {total} items cannot be used, such as {ids[0]} ({why}); "
            "mend the archive, or raise source.max_lost."
        )


def product_of(properties: Mapping[str, Any], name: str) -> str:
    """Name of the product that an item was made of; its own id where it does not say."""
    told = (properties.get(key) for key in ("s2:product_uri", "sentinel:product_id"))
    return next((str(text) for text in told if text), name)


def baseline_of(properties: Mapping[str, Any], name: str) -> tuple[int, int] | None:
    """Processing baseline, such as (5, 11)."""
    for key in ("s2:processing_baseline", "processing:version", "sentinel:processing_baseline"):
        parts = re.fullmatch(r"(\d+)\.(\d+)", str(properties.get(key, "")))
        if parts:
            return int(parts[1]), int(parts[2])
    parts = re.search(r"_N(\d\d)(\d\d)_", product_of(properties, name))
    return (int(parts[1]), int(parts[2])) if parts else None


def orbit_of(properties: Mapping[str, Any], name: str) -> int | None:
    """Relative orbit."""
    told = properties.get("sat:relative_orbit")
    found = re.search(r"_R(\d{3})_", product_of(properties, name))
    return int(told) if told is not None else int(found[1]) if found else None


def strip_of(properties: Mapping[str, Any]) -> str:
    """Start of the datastrip's sensing, such as 20210601T095031; empty where it is not told."""
    told = str(properties.get("s2:datastrip_id") or properties.get("eopf:datastrip_id") or "")
    found = re.search(r"_S(\d{8}T\d{6})", told)
    return found[1] if found else ""


def platform_of(properties: Mapping[str, Any], name: str) -> str:
    """S2A, S2B, ...; empty where it is not told."""
    letter = re.search(r"2-?([a-d])$", str(properties.get("platform", "")).lower())
    found = re.match(r"(S2[A-D])", name)
    return f"S2{letter[1].upper()}" if letter else found[1] if found else ""


def tile_of(properties: Mapping[str, Any], name: str) -> str:
    """MGRS tile, such as 32TMT; empty where it is not told."""
    told = str(properties.get("grid:code") or "").removeprefix("MGRS-") or str(properties.get("s2:mgrs_tile") or "")
    if told:
        return told.zfill(5)
    for spelling in ("mgrs:", "sentinel:"):
        parts = [properties.get(spelling + key) for key in ("utm_zone", "latitude_band", "grid_square")]
        if all(parts):
            return f"{int(str(parts[0])):02d}{parts[1]}{parts[2]}"
    found = re.search(r"_T?(\d\d[A-Z]{3})_", f"{product_of(properties, name)}_{name}_")
    return found[1] if found else ""


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
