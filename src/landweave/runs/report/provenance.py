"""Where a map comes from, for the report: date, version, grid, area, imagery and its terms, checksum."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import landweave
from landweave.maps.areas import count_classes, open_map
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.runs.project.source_settings import SourceSettings
from landweave.sources.stac.catalogues import at_address

COPERNICUS = (
    "contains modified Copernicus Sentinel data ({years}); free, full and open, under the Copernicus legal notice on "
    "the use of Sentinel data"
)
"""Attribution and terms of Sentinel-2, from whatever archive it is read."""

UNKNOWN = "not stated; set source.licence in the project file"
"""Terms of imagery of which only the user knows them."""

_KINDS = {"stac": "a STAC archive", "rasters": "raster files", "eopatches": "EOPatches", "simulated": "simulated"}


def provenance(
    plan: Plan, stages: Mapping[str, Mapping[str, Any]], *, version: str | None = None
) -> tuple[dict[str, str], dict[str, float]]:
    """What the report says about the map as a file, and the mapped area of each class.

    Parameters
    ----------
    plan
        The run.
    stages
        The measures of ``run.json``: those of ``mosaic`` say when the map was made and by which version. Runs of
        older versions do not say it.
    version
        The version that ``run.json`` names for all outputs, where the measures do not say it.

    Returns
    -------
    dict
        Name to text, in the order of the report.
    dict
        Class name to hectares on the ellipsoid; empty without a map.
    """
    made, path = stages.get("mosaic", {}), plan.folder / layout.MAP
    facts = {
        "Made on": str(made.get("finished", "")).partition("T")[0] or "not recorded",
        "Made with": f"landweave {made.get('landweave') or version or landweave.__version__}",
    }
    hectares: dict[str, float] = {}
    if path.exists():
        grid = open_map(path)
        counted = count_classes(grid)
        hectares = {name: counted.areas.get(value, 0.0) / 1e4 for value, name in plan.legend.names.items()}
        rows, columns = grid.shape
        facts |= {
            "CRS": crs_words(grid.crs),
            "Grid": f"{columns:,} x {rows:,} pixels of {abs(grid.transform.a):.12g} x {abs(grid.transform.e):.12g}",
            "Mapped area": f"{sum(counted.areas.values()) / 1e4:,.1f} ha",
        }
    facts |= imagery_words(plan.project.source, years=_years(plan))
    if path.exists():
        facts["SHA-256 of map.tif"] = checksum(path)
    return facts, hectares


def imagery_words(source: SourceSettings, *, years: str = "") -> dict[str, str]:
    """Source of the imagery and its terms: those of the project file, else those of an archive known by name.

    >>> imagery_words(SourceSettings(type="rasters", pattern="{date}.tif", licence="CC-BY-4.0"))
    {'Imagery': 'raster files', 'Licence of the imagery': 'CC-BY-4.0'}
    """
    archive = at_address(source.url) if source.url else None
    if archive is not None and source.collection not in {None, *archive.collections}:
        archive = None
    kind = f"Sentinel-2, {archive.name}" if archive else _KINDS[source.type]
    terms = COPERNICUS.format(years=years) if archive else "none needed" if source.type == "simulated" else UNKNOWN
    return {"Imagery": source.attribution or kind, "Licence of the imagery": source.licence or terms}


def crs_words(crs: str) -> str:
    """Code and name of a CRS.

    >>> crs_words("EPSG:32633")
    'EPSG:32633, WGS 84 / UTM zone 33N'
    """
    from pyproj import CRS

    known = CRS.from_user_input(crs)
    code = crs if crs.startswith("EPSG:") else ""
    return ", ".join(part for part in (code, known.name) if part)


def checksum(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _years(plan: Plan) -> str:
    first, last = str(plan.start)[:4], str(plan.end)[:4]
    return first if first == last else f"{first} to {last}"
