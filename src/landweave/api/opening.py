"""From the address of a catalogue to a source of imagery."""

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.api.period import read_period
from landweave.errors import InputError
from landweave.patch.align import outline_bounds
from landweave.patch.grid import Cell
from landweave.sources.files.opened import keep_open
from landweave.sources.patchwise.datasets import is_collection, open_collection
from landweave.sources.protocol import Source
from landweave.sources.remote import is_remote, readable
from landweave.sources.scene_files import overview
from landweave.sources.stac.scenes import read_scenes
from landweave.sources.stac.search import Query, default_collection, search_items
from landweave.sources.stac.selection import sentences
from landweave.sources.stac.source import StacSource
from landweave.sources.stac.source import open_stac as group_scenes
from landweave.sources.stac.trust import trusted

_READERS = 8
_RULES = ("check", "trust-metadata", "trust-pixels")


def open_stac(
    url: str | Path,
    *,
    area: GeoBox | Cell | tuple[float, float, float, float] | None = None,
    period: Any = None,
    collection: str | None = None,
    max_cloud_cover: float = 80.0,
    variables: Sequence[str] = (),
    bands: Mapping[str, str] | None = None,
    resampling: str = "cubic",
    radiometry: str = "check",
    exclude: Sequence[str] = (),
    hosts: Sequence[str] = (),
    timeout: float | None = None,
) -> Source:
    """Search an archive of Sentinel-2 scenes.

    The options are those of ``[source]`` with ``type = "stac"`` in a project file.

    Parameters
    ----------
    url
        Address of a STAC API, or address or path of a static catalogue, of a collection or of a GeoJSON of items; or
        the collection of a data set that ``landweave publish --dataset`` wrote.
    area
        Where: the grid of a patch, or west, south, east, north in degrees. An API needs it.
    period
        When, both ends inclusive: ``"2017"``, ``"2017-05"`` or ``("2017-01-01", "2017-12-31")``.
    collection
        Name of the collection; default: the usual Sentinel-2 collection of an archive that is known by its address.
    max_cloud_cover
        Per cent of a scene.
    variables
        Bands and classes that every scene must have; scenes that lack one are left out.
    bands
        Band to the name of its asset, for a catalogue whose names are unknown.
    resampling
        How bands come to another grid: ``nearest``, ``bilinear`` or ``cubic``.
    radiometry
        ``"check"``: compare each scene's offset with its pixels, which reads one small overview of a few bands, and
        refuse contradictions. ``"trust-pixels"``: correct them. ``"trust-metadata"``: read nothing.
    exclude
        Ids of scenes, and solar days as YYYY-MM-DD, that are left out.
    hosts
        Further servers that the catalogue may lead to.
    timeout
        Seconds to wait for an answer of a server.

    Returns
    -------
    Source
        For :func:`landweave.load`.

    Raises
    ------
    InputError
        When the archive does not answer or has nothing that fits, and for scenes of several collections.
    """
    if radiometry not in _RULES:
        raise InputError(f"radiometry = {radiometry!r} is unknown; use {', '.join(_RULES)}.")
    place = str(url)
    if not is_remote(place) and is_collection(place):
        return open_collection(place, needed=variables, resampling=resampling)
    start, end = (None, None) if period is None else read_period(period)
    query = Query(
        collection=collection or default_collection(place), bbox=_degrees(area), start=start, end=end,
        max_cloud_cover=max_cloud_cover,
    )  # fmt: skip
    found = search_items(place, query, timeout=timeout, hosts=tuple(hosts))
    scenes, broken = read_scenes(found.items, bands=bands)
    source = group_scenes(
        scenes, needed=tuple(variables), start=start, end=end, resampling=resampling, where=readable(place),
        left_out={**found.left_out, **broken}, remarks=found.remarks, exclude=exclude, timeout=timeout,
    )  # fmt: skip
    for note in (*found.remarks, *sentences({**found.left_out, **broken})):
        warnings.warn(note, stacklevel=2)
    several = sorted({scene.collection for scene in source.scenes})
    if len(several) > 1:
        raise InputError(
            f"{readable(place)}: the scenes are of several collections; set collection to one of {several}."
        )
    return source if radiometry == "trust-metadata" else _checked(source, radiometry, readable(place))


def as_source(source: Any, geobox: GeoBox, period: Any, variables: Sequence[str]) -> Source:
    """What was given, where it is a source; else the archive at the address that was given.

    Raises
    ------
    InputError
        For a path that could be read in several ways, and for things that are no source.
    """
    if isinstance(source, str | Path):
        return open_stac(_catalogue(source), area=geobox, period=period, variables=variables)
    lacking = [name for name in ("dates", "load", "variables", "categorical") if not hasattr(source, name)]
    if lacking:
        raise InputError(
            f"source is a {type(source).__name__} without {lacking[0]!r}; give what open_stac, open_rasters, "
            "open_eopatches or simulated_source returns, or the address of a STAC catalogue."
        )
    found: Source = source
    return found


def _catalogue(given: str | Path) -> str:
    place = str(given)
    if is_remote(place):
        return place
    path = Path(given)
    if path.is_dir():
        for name in ("catalog.json", "collection.json"):
            if (path / name).exists():
                return str(path / name)
        raise InputError(
            f"{path}: a folder without catalog.json; open GeoTIFFs with open_rasters(root=...), EOPatches with "
            "open_eopatches(path=...)."
        )
    if not path.exists():
        raise InputError(f"{path}: no such catalogue; give the address of a STAC API or the path of a catalogue.")
    if path.suffix.lower() not in {".json", ".geojson"}:
        raise InputError(f"{path}: not a STAC catalogue; open rasters with open_rasters(root=...).")
    return place


def _degrees(area: Any) -> tuple[float, float, float, float] | None:
    if area is None:
        return None
    box = area.geobox if isinstance(area, Cell) else area
    if isinstance(box, GeoBox):
        bounds = outline_bounds(box, "EPSG:4326")
        if not np.isfinite(bounds[0]):
            raise InputError(f"area: a grid of {box.crs} cannot be converted to longitude and latitude; check its CRS.")
        return max(bounds[0], -180.0), max(bounds[1], -90.0), min(bounds[2], 180.0), min(bounds[3], 90.0)
    try:
        west, south, east, north = (float(bound) for bound in box)
    except (TypeError, ValueError):
        raise InputError(f"area is {area!r}; give a GeoBox, a Cell, or west, south, east, north in degrees.") from None
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise InputError(f"area {tuple(box)} must be west, south, east, north in degrees.")
    return west, south, east, north


def _checked(source: StacSource, rule: str, where: str) -> StacSource:
    """The source with the offsets that its pixels show; InputError where these contradict and are not trusted."""
    source.reach()
    with ThreadPoolExecutor(_READERS if source.remote else 2, initializer=keep_open, initargs=(1,)) as pool:
        checks = dict(zip((scene.id for scene in source.scenes), pool.map(overview, source.scenes), strict=True))
    wrong = {name: check for name, check in checks.items() if check.verdict == "contradicts"}
    if wrong and rule == "check":
        name, check = next(iter(wrong.items()))
        raise InputError(
            f"{where}: the pixels of {len(wrong)} scenes contradict their offset (first {name}: {check.reason}); "
            'set radiometry = "trust-metadata" or "trust-pixels".'
        )
    if not wrong:
        return source
    offsets, _, untold = trusted(source.scenes, [checks[scene.id] for scene in source.scenes])
    if untold:
        warnings.warn(f"{where}: the offset of {len(untold)} scenes is uncertain, such as {untold[0]}.", stacklevel=3)
    return source.with_offsets(offsets)
