"""`landweave check`: is the project sound?"""

from collections.abc import Sequence

from landweave.errors import InputError
from landweave.patch.grid import Cell
from landweave.runs.pipeline.notices import points_outside, reference_left_out
from landweave.runs.project.imports import check_imports
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
    lines += [f"imports:   {line}" for line in check_imports(project)]
    notes = [*plan.source.notes, *_reference_notes(plan, cells)]
    return lines + [f"note:      {note}" for note in notes]


def _read_last_row(plan: Plan) -> None:
    """A file that was cut short lacks its end, whatever its header says."""
    grid = plan.source.geobox
    if grid is not None:
        plan.source.load(grid[grid.shape[0] - 1 :, :], plan.dates, plan.variables)


def _reference_notes(plan: Plan, cells: list[Cell]) -> list[str]:
    if plan.reference is None:
        return reference_left_out(plan)
    from landweave.labels.reference import reference_codes

    codes = reference_codes(plan.reference, [cell.geobox for cell in cells])
    classes, unknown = plan.legend.translate(codes)
    if codes and not classes.any():
        known = [code for one in plan.legend.classes for code in one.accepted_codes]
        raise InputError(
            f"{plan.reference.path}: none of its codes ({_some(codes)}) is a code of the legend ({_some(known)}); "
            "correct reference.column or the legend's codes."
        )
    notes = [f"codes that the legend does not know, taken as none: {', '.join(sorted(unknown))}"] if unknown else []
    return [*notes, *reference_left_out(plan), *points_outside(plan, cells)]


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:10]) + (f" and {len(words) - 10} more" if len(words) > 10 else "")


def _crs_name(cell: Cell) -> str:
    crs = cell.geobox.crs
    return f"EPSG:{crs.epsg}" if crs is not None and crs.epsg else "the imagery's own CRS"
