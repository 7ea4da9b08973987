"""`grid.gpkg`: the patches, with their role and state."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landweave.maps.qgis_styles import vector_style
from landweave.patch.grid import Cell
from landweave.patch.store import write_bytes
from landweave.patch.vectors.writing import write_layers
from landweave.runs import layout
from landweave.runs.project.plan import Plan

ROLES = {"train": "#0072b2", "test": "#d55e00", "mixed": "#cc79a7", "none": "#999999"}
"""Colours of the patches in QGIS."""


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
        geometry=_outlines(cells),
        crs="EPSG:4326",
    )
    aliases = {"name": "Patch", "role": "Role", "state": "State"}
    write_layers(plan.folder / layout.GRID, [("grid", frame)], aliases=aliases)
    style = vector_style(ROLES, by="role", columns=tuple(aliases), aliases=aliases)
    write_bytes(plan.folder / layout.GRID_STYLE, style)
    return {"files": [], "info": {"patches": len(cells)}}


def _outlines(cells: Sequence[Cell]) -> np.ndarray:
    # All cells of a CRS at once, with a point each twentieth of a side, since straight lines bend between two CRSs.
    import pyproj
    import shapely

    outlines = np.array([cell.geobox.extent.geom for cell in cells], object)
    names = np.array([str(cell.geobox.crs) for cell in cells], object)
    for name in sorted(set(names)):
        crs = pyproj.CRS(name)
        if crs.is_geographic:
            continue
        own = names == name
        left, bottom, right, top = shapely.bounds(outlines[own]).T
        dense = shapely.segmentize(outlines[own], np.maximum(right - left, top - bottom) / 20)
        points = shapely.get_coordinates(dense)
        degrees = pyproj.Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(points[:, 0], points[:, 1])
        outlines[own] = shapely.set_coordinates(dense, np.stack(degrees, axis=1))
    return outlines


def _role(roles: set[str]) -> str:
    if not roles:
        return "none"
    return roles.pop() if len(roles) == 1 else "mixed"
