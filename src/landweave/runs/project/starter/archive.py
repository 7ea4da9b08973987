"""What `landweave init --stac` is given: a catalogue of scenes, on a server or on this machine."""

import datetime
from pathlib import Path

from landweave.runs.project.starter.found import ImagesFound, KeyLine, path_from, some_of
from landweave.sources.patchwise.datasets import is_collection
from landweave.sources.remote import is_remote, readable
from landweave.sources.stac.scenes import read_scenes
from landweave.sources.stac.search import Query, default_collection, search_items

BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
"""Bands of Sentinel-2 that a project uses where nobody says more."""


MOST_CLOUDS = 80
"""Per cent of a scene; cloudier scenes are left out."""

Bounds = tuple[float, float, float, float]
Period = tuple[datetime.date | None, datetime.date | None]


def look_at_archive(
    url: str,
    *,
    folder: Path,
    bounds: Bounds | None = None,
    period: Period = (None, None),
) -> ImagesFound:
    """Find out what a catalogue has; a server is not asked, `landweave check` does that.

    Parameters
    ----------
    url
        Address of a STAC API, or address or path of a catalogue.
    folder
        Of the project file.
    bounds
        West, south, east, north, degrees.
    period
        First and last day; None is open.

    Raises
    ------
    InputError
        Where a catalogue on this machine has nothing that fits.
    """
    remote = is_remote(url)
    if not remote and Path(url).is_dir():
        url = str(next((Path(url) / name for name in ("collection.json", "catalog.json")
                        if (Path(url) / name).exists()), url))  # fmt: skip
    entries = [
        KeyLine(key="type", value="stac", comment="scenes of a STAC archive"),
        KeyLine(
            key="url", value=url if remote else path_from(folder, Path(url)), comment="an API, or a catalogue's path"
        ),
    ]
    collection = default_collection(url)
    rest = [
        KeyLine(key="max_cloud_cover", value=MOST_CLOUDS, comment="per cent of a scene; cloudier scenes are left out"),
        KeyLine(key="clouds", value="scl", comment="clouds by the scene classes; s2cloudless | mask | none"),
    ]
    if remote or is_collection(url):
        if collection:
            entries.append(KeyLine(key="collection", value=collection, comment="the archive's usual one"))
        unknown = [] if collection else [f"The collection of {readable(url)} is not known; set source.collection."]
        entries += [] if collection else [
            KeyLine(key="collection", value="sentinel-2-l2a", comment="name of the archive's collection", off=True)
        ]  # fmt: skip
        return ImagesFound(
            source=(*entries, *rest),
            bands=BANDS,
            found=(f"the archive {readable(url)}, not asked yet",),
            open=tuple(unknown),
        )
    query = Query(collection=collection, bbox=bounds, start=period[0], end=period[1], max_cloud_cover=MOST_CLOUDS)
    scenes, _ = read_scenes(search_items(url, query).items)
    collections = sorted({scene.collection for scene in scenes if scene.collection})
    if collections:
        # L2A, which is corrected for the air, before L1C.
        chosen = next((name for name in collections if "l2a" in name.lower()), collections[0])
        entries.append(KeyLine(key="collection", value=chosen, comment=f"the archive has {some_of(collections)}"))
        scenes = [scene for scene in scenes if scene.collection == chosen]
    days = sorted({scene.day for scene in scenes})
    there = set.intersection(*(set(scene.assets) for scene in scenes)) if scenes else set()
    if "SCL" not in there:
        rest[1] = KeyLine(
            key="clouds", value="none", comment="the scenes have no scene classes; s2cloudless | mask | none"
        )
    usual = tuple(name for name in BANDS if name in there)
    return ImagesFound(
        source=(*entries, *rest), bands=usual or tuple(sorted(there - {"SCL"})), days=tuple(days),
        found=(f"{len(scenes)} scenes with up to {MOST_CLOUDS} % clouds",),
    )  # fmt: skip
