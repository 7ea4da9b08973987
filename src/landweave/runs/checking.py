"""Before and between runs: is the project sound, what is done, what is stale and why."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from landweave.errors import InputError
from landweave.patch.grid import Cell
from landweave.runs.executor import Engine
from landweave.runs.ledger import Ledger
from landweave.runs.notices import failures, points_outside
from landweave.runs.opening import Plan, make_plan
from landweave.runs.project import Project
from landweave.runs.state import Options, Run, Stage
from landweave.sources.stac import StacSource

if TYPE_CHECKING:
    from landweave.runs.reading import FinishedRun


def check_project(project: Project) -> list[str]:
    """Open everything a project names, and say in a few lines what a run would work on.

    Raises
    ------
    InputError
        For the first thing that a run would stumble over. Nothing is written.
    """
    plan, cells = make_plan(project)
    from landweave.runs.learning import try_settings

    systems = ", ".join(sorted({_crs_name(cell) for cell in cells}))
    layers = ", ".join(layer.name for layer in plan.recipe.layers)
    try_settings(plan)
    _read_last_row(plan)
    if isinstance(plan.source, StacSource):
        plan.source.reach()
    lines = [
        f"{project.file}: sound",
        f"patches:   {len(cells)} in {systems}, pixels of {plan.pixel_metres:.4g} m",
        f"dates:     {len(plan.dates)}, {plan.dates[0]} to {plan.dates[-1]}; period {plan.start} to {plan.end}",
        f"features:  {len(plan.recipe.feature_names)} ({layers} on {len(plan.recipe.days)} days)",
        f"legend:    {', '.join(f'{value} {name}' for value, name in plan.legend.names.items())}",
    ]
    return lines + [f"note:      {note}" for note in _reference_notes(plan, cells)]


def status_lines(project: Project, *, check_files: bool = False) -> Iterator[str]:
    """Stage by stage: how much is done, what failed with the last line of its error, what is stale and why.

    With ``check_files`` every file is read again, as for :class:`landweave.runs.ledger.Ledger`.
    """
    from landweave.runs.comparing import FIGURES, comparison_of
    from landweave.runs.reading import FinishedRun
    from landweave.runs.stages import STAGES

    plan, cells = make_plan(project)
    if not (plan.folder / "ledger.sqlite").exists():
        yield f"{plan.folder}: nothing made yet; {len(cells)} patches to do."
        return
    with Ledger(plan.folder, exclusive=False, check_files=check_files) as ledger:
        state = Run(plan, cells, ledger, Engine(workers=1, scheduler=None, memory=None), Options())
        for stage in STAGES:
            if stage.needed(state):
                yield from _stage_lines(state, stage)
        for key, error in failures(state):
            yield f"failed     {key}: {error}"
    done = FinishedRun(plan=plan, cells=tuple(cells))
    if (plan.folder / FIGURES).exists() and comparison_of(done) is None:
        yield "compare    older than the run; `landweave compare` makes it anew"


def refuse_stale(run: "FinishedRun", *, with_holes: bool = False) -> list[str]:
    """Hold all that a run made against what would decide it now, as ``landweave status`` does.

    Parameters
    ----------
    run
        What is to be given away.
    with_holes
        Let pass also patches whose imagery or labels could not be read, which the map lacks.

    Returns
    -------
    list
        Names of patches that the run could not map; what lies there of them is an earlier run's.

    Raises
    ------
    InputError
        For the first thing that was not made, failed for the run as a whole, or was made from something else: what
        lies there then does not mean what the project says now.
    """
    from landweave.runs.stages import STAGES

    plan = run.plan
    unmapped = []
    with Ledger(plan.folder, exclusive=False) as ledger:
        state = Run(plan, run.cells, ledger, Engine(workers=1, scheduler=None, memory=None), Options())
        for stage in STAGES:
            if not stage.needed(state):
                continue
            for cell, _, reason in state.stale_cells(stage) if stage.work else ():
                passes = with_holes or stage.name in {"sample", "predict"}
                if not passes or not reason.startswith("failed: "):
                    raise InputError(_not_fresh(plan, f"{stage.name} of {cell.name}", reason))
                if stage.name == "predict":
                    unmapped.append(cell.name)
            # A frozen model, and the samples that it was trained on, are what the run means to keep.
            if stage.once_inputs and not (stage.frozen and state.frozen):
                why = ledger.stale(stage.key, {**stage.once_inputs(state), "revision": str(stage.revision)})
                if why:
                    raise InputError(_not_fresh(plan, stage.key, why))
    return unmapped


def _not_fresh(plan: Plan, what: str, why: str) -> str:
    return f"{plan.project.file}: {what} is not fresh ({why}); run the project first: `landweave run`."


def remake_report(project: Project) -> Path:
    """Make ``report.html`` again from what lies on disk, without reading imagery or training.

    Raises
    ------
    InputError
        When the run has no map yet.
    """
    from landweave.runs.stages import STAGES, make_report, report_inputs

    plan, cells = make_plan(project)
    if not (plan.folder / "map.tif").exists():
        raise InputError(f"{plan.folder}: no map to report on; `landweave run` makes it first.")
    with Ledger(plan.folder) as ledger:
        state = Run(plan, cells, ledger, Engine(workers=1, scheduler=None, memory=None), Options())
        for stage in STAGES:
            if stage.work and stage.needed(state):
                list(state.stale_cells(stage))
        for stage in STAGES:
            if stage.name in {"validate", "mosaic"} and stage.needed(state) and stage.once_inputs:
                why = ledger.stale(stage.key, {**stage.once_inputs(state), "revision": str(stage.revision)})
                if why:
                    raise InputError(f"{plan.folder}: {stage.name} is not fresh ({why}); `landweave run` makes it so.")
        record = make_report(state)
        inputs = {**report_inputs(state), "revision": str(STAGES[-1].revision)}
        ledger.done("report", inputs=inputs, files=record["files"], info=record["info"])
    return plan.folder / "report.html"


def _read_last_row(plan: Plan) -> None:
    """A file that was cut short lacks its end, whatever its header says."""
    grid = plan.source.geobox
    if grid is not None:
        plan.source.load(grid[grid.shape[0] - 1 :, :], plan.dates, plan.variables)


def _stage_lines(state: Run, stage: Stage) -> Iterator[str]:
    try:
        if stage.work:
            stale = list(state.stale_cells(stage))
            yield f"{stage.name:<10} {len(state.made(stage.name))} of {len(state.cells)} done"
            for cell, _, reason in stale[:10]:
                yield f"           {cell.name}: {reason}"
            if len(stale) > 10:
                yield f"           and {len(stale) - 10} more"
        if stage.once_inputs:
            why = state.ledger.stale(stage.key, {**stage.once_inputs(state), "revision": str(stage.revision)})
            if not stage.work or why:
                yield f"{stage.key:<10} {'done' if why is None else f'stale: {why}'}"
    except InputError as error:
        yield f"{stage.name:<10} cannot be told yet: {error}"


def _reference_notes(plan: Plan, cells: list[Cell]) -> list[str]:
    if plan.reference is None:
        return []
    from landweave.reference.reading import reference_codes

    _, unknown = plan.legend.translate(reference_codes(plan.reference))
    notes = [f"codes that the legend does not know, taken as none: {', '.join(sorted(unknown))}"] if unknown else []
    return [*notes, *points_outside(plan, cells)]


def _crs_name(cell: Cell) -> str:
    crs = cell.geobox.crs
    return f"EPSG:{crs.epsg}" if crs is not None and crs.epsg else "the imagery's own CRS"
