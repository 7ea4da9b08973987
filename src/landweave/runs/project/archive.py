"""An archive as the project wants it: searched once, remembered in the output folder."""

import json
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from landweave.engine.fingerprint import fingerprint
from landweave.errors import InputError, parsed
from landweave.patch.grid import checked_bounds
from landweave.patch.store import write_json
from landweave.runs import layout
from landweave.runs.project.settings import Project
from landweave.sources.remote import is_remote, is_signed, readable, wait_at_most
from landweave.sources.stac.items import too_many_lost
from landweave.sources.stac.scenes import read_scenes
from landweave.sources.stac.search import Found, Query, default_collection, search_items
from landweave.sources.stac.source import StacSource, open_stac

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


def open_archive(
    project: Project, area: "BaseGeometry | None", *, needed: tuple[str, ...], remember: bool = False
) -> StacSource:
    """Search the archive that ``[source]`` names.

    Parameters
    ----------
    project
        With ``source.type = "stac"``.
    area
        In longitude and latitude; None: wherever a static catalogue has scenes.
    needed
        Variables that every scene must have.
    remember
        Write an API's answer to ``scenes.json`` in the output folder. It is read again, and nothing is searched, as
        long as the question stays the same; remove the file to search anew. Signed addresses, which expire and are
        no one else's business, are not written, but asked for anew by every run.

    Raises
    ------
    InputError
        When the archive does not answer, or has nothing that fits.
    """
    settings = project.source
    url = str(settings.url)
    remote = is_remote(url)
    if not remote:
        url = str(project.path(url))
    if area is not None:
        try:
            # Before the search, since servers read such a box in one way or another.
            checked_bounds(area, utm=project.area.crs in {None, "utm"})
        except InputError as error:
            raise InputError(f"{project.file}: {error}") from None
    query = Query(
        collection=settings.collection or default_collection(url),
        bbox=None if area is None else _bbox(area, project.area.buffer),
        start=project.period.start, end=project.period.end, max_cloud_cover=settings.max_cloud_cover,
    )  # fmt: skip
    asked = fingerprint([url, query.__dict__])
    wait_at_most(settings.timeout)
    found = _remembered(project, asked) if remote else None
    if found is None:
        found = search_items(
            url, query, timeout=settings.timeout, hosts=settings.hosts, max_lost=settings.max_lost
        )  # fmt: skip
        if remote and remember and not any(map(is_signed, _hrefs(found.items))):
            _remember(project, {"question": asked, "url": readable(url), **found.__dict__})
    scenes, broken = read_scenes(found.items, bands=settings.bands)
    too_many_lost(url, broken, len(found.items), settings.max_lost)
    try:
        source = open_stac(
            scenes, needed=needed, start=project.period.start, end=project.period.end, resampling=settings.method,
            where=readable(url), exclude=settings.exclude, left_out={**found.left_out, **broken},
            remarks=found.remarks, timeout=settings.timeout, connections=settings.connections,
            headers=project.folder / layout.HEADERS if remember else None,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{project.file}: {error}" if "source.exclude" in str(error) else str(error)) from None
    several = sorted({scene.collection for scene in source.scenes})
    if len(several) > 1:
        # L1C and L2A, or one acquisition processed twice, must not become one image.
        raise InputError(
            f"{project.file}: the scenes are of several collections ({', '.join(several)}); set source.collection."
        )
    if settings.store is False and source.remote:
        raise InputError(f"{project.file}: source.store = false, but the archive is on a server; remove this key.")
    return source


def _bbox(area: "BaseGeometry", buffer: float) -> tuple[float, float, float, float]:
    west, south, east, north = area.bounds
    high = buffer / 111_320
    wide = high / max(math.cos(math.radians(max(abs(south), abs(north)))), 0.01)
    return max(west - wide, -180.0), max(south - high, -90.0), min(east + wide, 180.0), min(north + high, 90.0)


def _hrefs(items: Iterable[dict[str, Any]]) -> list[str]:
    return [
        str(asset.get("href", "")) for item in items for asset in item["assets"].values() if isinstance(asset, dict)
    ]


def _remember(project: Project, answer: dict[str, Any]) -> None:
    write_json(project.folder / layout.SCENES, answer, indent=None, allow_nan=True)


def _remembered(project: Project, asked: str) -> Found | None:
    try:
        content = parsed(json.loads, (project.folder / layout.SCENES).read_text(encoding="utf-8"))
        if content["question"] != asked:
            return None
        left_out = {str(why): tuple(ids) for why, ids in content.get("left_out", {}).items()}
        items = tuple(item for item in content["items"] if isinstance(item["assets"], dict))
        return Found(items=items, left_out=left_out, remarks=tuple(content.get("remarks", ())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
