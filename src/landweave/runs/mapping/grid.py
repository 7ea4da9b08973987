"""`grid.gpkg`: the patches, with their role and state."""

from collections.abc import Mapping, Sequence
from typing import Any

from landweave.patch.grid import Cell
from landweave.patch.vectors.writing import write_layers
from landweave.runs import layout
from landweave.runs.project.plan import Plan


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
        geometry=[cell.geobox.geographic_extent.geom for cell in cells],
        crs="EPSG:4326",
    )
    write_layers(plan.folder / layout.GRID, [("grid", frame)])
    return {"files": [], "info": {"patches": len(cells)}}


def _role(roles: set[str]) -> str:
    if not roles:
        return "none"
    return roles.pop() if len(roles) == 1 else "mixed"
