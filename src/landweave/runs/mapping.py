"""Where patches become one thing: the grid as a file, the mosaics."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from landweave.maps.companions import qgis_style, stac_item
from landweave.maps.mosaic import mosaic
from landweave.patch.grid import Cell
from landweave.patch.store import dated, write_whole
from landweave.runs.machine import usable_cores
from landweave.runs.opening import Plan


def write_grid(
    plan: Plan, cells: Sequence[Cell], *, roles: Mapping[str, str], states: Mapping[str, str]
) -> dict[str, Any]:
    """Write ``grid.gpkg``: name, role (train, test, mixed where quarters differ, or none), state and outline.

    Parameters
    ----------
    plan, cells
        The run and its patches.
    roles
        Unit to role.
    states
        Patch to what became of it.
    """
    import geopandas as gpd
    import pyogrio

    # Roles may be those of a model that was trained on another grid; patches that are no more are left out.
    own: dict[str, set[str]] = {cell.name: set() for cell in cells}
    for unit, role in roles.items():
        own.get(unit.split("/")[0], set()).add(role)
    frame = gpd.GeoDataFrame(
        {
            "name": [cell.name for cell in cells],
            "role": [_role(own[cell.name]) for cell in cells],
            "state": [states.get(cell.name, "planned") for cell in cells],
        },
        geometry=[cell.geobox.geographic_extent.geom for cell in cells],
        crs="EPSG:4326",
    )
    path = plan.folder / "grid.gpkg"
    try:
        with dated():
            write_whole(path, lambda part: frame.to_file(part, layer="grid", driver="GPKG"))
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError) as error:
        raise OSError(f"{path}: cannot be written: {error}") from None
    return {"files": [], "info": {"patches": len(cells)}}


def write_mosaics(plan: Plan, patches: Sequence[str]) -> dict[str, Any]:
    """Write ``map.tif`` with its names, style and STAC item beside it, and ``confidence.tif``."""
    parts = {name: plan.folder / "predictions" / f"{name}.tif" for name in patches}
    options: dict[str, Any] = {
        "crs": plan.project.map.crs, "resolution": plan.project.map.resolution, "threads": usable_cores()
    }  # fmt: skip
    mosaic(parts, plan.folder / "map.tif", band=1, legend=plan.legend, overviews="mode", **options)
    mosaic(parts, plan.folder / "confidence.tif", band=2, legend=None, overviews="average", **options)
    _write_companions(plan)
    names = ("map.tif", "map.tif.aux.xml", "map.qml", "map.stac.json", "confidence.tif")
    files = [name for name in names if (plan.folder / name).exists()]
    return {"files": files, "info": {"patches": len(parts)}}


def _write_companions(plan: Plan) -> None:
    """What QGIS and catalogues read beside the map."""
    style = qgis_style(plan.legend)
    write_whole(plan.folder / "map.qml", lambda part: _write(part, style))
    item = stac_item(
        plan.project.name, {name: plan.folder / f"{name}.tif" for name in ("map", "confidence")}, legend=plan.legend,
        start=plan.start, end=plan.end,
    )  # fmt: skip
    text = json.dumps(item, indent=1, ensure_ascii=False) + "\n"
    write_whole(plan.folder / "map.stac.json", lambda part: _write(part, text.encode()))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _role(roles: set[str]) -> str:
    if not roles:
        return "none"
    return roles.pop() if len(roles) == 1 else "mixed"
