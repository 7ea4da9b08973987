"""`landweave check`: is the project sound?"""

from landweave.patch.grid import Cell
from landweave.runs.pipeline.notices import points_outside
from landweave.runs.project.plan import Plan, make_plan
from landweave.runs.project.settings import Project


def check_project(project: Project) -> list[str]:
    """Open everything a project names, and say in a few lines what a run would work on.

    Raises
    ------
    InputError
        For the first thing that a run would stumble over. Nothing is written.
    """
    plan, cells = make_plan(project)
    from landweave.runs.train.models import try_settings

    systems = ", ".join(sorted({_crs_name(cell) for cell in cells}))
    layers = ", ".join(layer.name for layer in plan.recipe.layers)
    try_settings(plan)
    _read_last_row(plan)
    plan.source.reach()
    lines = [
        f"{project.file}: sound",
        f"patches:   {len(cells)} in {systems}, pixels of {plan.pixel_metres:.4g} m",
        f"dates:     {len(plan.dates)}, {plan.dates[0]} to {plan.dates[-1]}; period {plan.start} to {plan.end}",
        f"features:  {len(plan.recipe.feature_names)} ({layers} on {len(plan.recipe.days)} days)",
        f"legend:    {', '.join(f'{value} {name}' for value, name in plan.legend.names.items())}",
    ]
    notes = [*plan.source.notes, *_reference_notes(plan, cells)]
    return lines + [f"note:      {note}" for note in notes]


def _read_last_row(plan: Plan) -> None:
    """A file that was cut short lacks its end, whatever its header says."""
    grid = plan.source.geobox
    if grid is not None:
        plan.source.load(grid[grid.shape[0] - 1 :, :], plan.dates, plan.variables)


def _reference_notes(plan: Plan, cells: list[Cell]) -> list[str]:
    if plan.reference is None:
        return []
    from landweave.labels.reference import reference_codes

    _, unknown = plan.legend.translate(reference_codes(plan.reference))
    notes = [f"codes that the legend does not know, taken as none: {', '.join(sorted(unknown))}"] if unknown else []
    return [*notes, *points_outside(plan, cells)]


def _crs_name(cell: Cell) -> str:
    crs = cell.geobox.crs
    return f"EPSG:{crs.epsg}" if crs is not None and crs.epsg else "the imagery's own CRS"
