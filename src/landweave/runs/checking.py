"""Before and between runs: is the project sound, what is done, what is stale and why."""

from collections.abc import Iterator
from pathlib import Path

from landweave.errors import InputError
from landweave.patch.grid import Cell
from landweave.runs.driver import Options, Run, Stage, stale_cells
from landweave.runs.executor import Engine
from landweave.runs.ledger import FAILED, Ledger
from landweave.runs.notices import points_outside
from landweave.runs.opening import Plan, make_plan
from landweave.runs.project import Project


def check_project(project: Project) -> list[str]:
    """Open everything a project names, and say in a few lines what a run would work on.

    Raises
    ------
    InputError
        For the first thing that a run would stumble over. Nothing is written.
    """
    plan, cells = make_plan(project)
    from landweave.runs.learning import given_model, try_settings

    if project.model.path:
        given_model(plan)
    systems = ", ".join(sorted({_crs_name(cell) for cell in cells}))
    layers = ", ".join(layer.name for layer in plan.recipe.layers)
    try_settings(project)
    _read_last_row(plan)
    lines = [
        f"{project.file}: sound",
        f"patches:   {len(cells)} in {systems}, pixels of {plan.pixel_metres:.4g} m",
        f"dates:     {len(plan.dates)}, {plan.dates[0]} to {plan.dates[-1]}; period {plan.start} to {plan.end}",
        f"features:  {len(plan.recipe.feature_names)} ({layers} on {len(plan.recipe.days)} days)",
        f"legend:    {', '.join(f'{value} {name}' for value, name in plan.legend.names.items())}",
    ]
    return lines + [f"note:      {note}" for note in _reference_notes(plan, cells)]


def status_lines(project: Project) -> Iterator[str]:
    """Stage by stage: how much is done, what failed with the last line of its error, what is stale and why."""
    from landweave.runs.stages import STAGES

    plan, cells = make_plan(project)
    if not (plan.folder / "ledger.sqlite").exists():
        yield f"{plan.folder}: nothing made yet; {len(cells)} patches to do."
        return
    with Ledger(plan.folder, exclusive=False) as ledger:
        state = Run(plan, cells, ledger, Engine(workers=1, scheduler=None, memory=None), Options())
        for stage in STAGES:
            if stage.needed(state):
                yield from _stage_lines(state, stage)
        for entry in ledger.entries():
            if entry.state == FAILED:
                yield f"failed     {entry.key}: {entry.info['error']}"


def remake_report(project: Project) -> Path:
    """Make ``report.html`` again from what lies on disk, without reading imagery or training.

    Raises
    ------
    InputError
        When the run has no map yet.
    """
    from landweave.runs.stages import make_report

    plan, cells = make_plan(project)
    if not (plan.folder / "map.tif").exists():
        raise InputError(f"{plan.folder}: no map to report on; `landweave run` makes it first.")
    with Ledger(plan.folder, exclusive=False) as ledger:
        make_report(Run(plan, cells, ledger, Engine(workers=1, scheduler=None, memory=None), Options()))
    return plan.folder / "report.html"


def _read_last_row(plan: Plan) -> None:
    """A file that was cut short lacks its end, whatever its header says."""
    grid = plan.source.geobox
    if grid is not None:
        plan.source.load(grid[grid.shape[0] - 1 :, :], plan.dates, plan.variables)


def _stage_lines(state: Run, stage: Stage) -> Iterator[str]:
    try:
        if stage.work:
            stale = list(stale_cells(state, stage))
            fresh = {cell.name for cell, _ in state.made(stage.name)} - {cell.name for cell, _, _ in stale}
            yield f"{stage.name:<10} {len(fresh)} of {len(state.cells)} done"
            for cell, _, reason in stale[:10]:
                yield f"           {cell.name}: {reason}"
            if len(stale) > 10:
                yield f"           and {len(stale) - 10} more"
        if stage.once_inputs:
            why = state.ledger.stale(stage.name, {**stage.once_inputs(state), "revision": str(stage.revision)})
            if not stage.work or why:
                yield f"{stage.name:<10} {'done' if why is None else f'stale: {why}'}"
    except InputError as error:
        yield f"{stage.name:<10} cannot be told yet: {error}"


def _reference_notes(plan: Plan, cells: list[Cell]) -> list[str]:
    if plan.reference is None:
        return []
    from landweave.reference import reference_codes

    _, unknown = plan.legend.translate(reference_codes(plan.reference))
    notes = [f"codes that the legend does not know, taken as none: {', '.join(sorted(unknown))}"] if unknown else []
    return [*notes, *points_outside(plan, cells)]


def _crs_name(cell: Cell) -> str:
    crs = cell.geobox.crs
    return f"EPSG:{crs.epsg}" if crs is not None and crs.epsg else "the imagery's own CRS"
