"""Before and between runs: is the project sound, what is done, what is stale and why."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from landweave.engine.executor import Engine
from landweave.engine.ledger import Ledger
from landweave.errors import InputError
from landweave.runs import layout
from landweave.runs.pipeline.notices import failures
from landweave.runs.pipeline.record import working_versions
from landweave.runs.pipeline.state import Options, Run, Stage
from landweave.runs.pipeline.versions import of_versions
from landweave.runs.project.plan import Plan, make_plan
from landweave.runs.project.settings import Project

if TYPE_CHECKING:
    from landweave.runs.results.run import FinishedRun


def status_lines(project: Project, *, check_files: bool = False) -> Iterator[str]:
    """Stage by stage: how much is done, what failed with the last line of its error, what is stale and why.

    With ``check_files`` every file is read again, as for :class:`landweave.engine.ledger.Ledger`.
    """
    from landweave.runs.pipeline.stages import STAGES
    from landweave.runs.results.compare import comparison_of
    from landweave.runs.results.run import FinishedRun

    plan, cells = make_plan(project)
    if not (plan.folder / layout.LEDGER).exists():
        yield f"{plan.folder}: nothing made yet; {len(cells)} patches to do."
        return
    with Ledger(plan.folder / layout.LEDGER, exclusive=False, check_files=check_files) as ledger:
        state = Run(plan, cells, ledger, Engine(workers=1, scheduler=None, memory=None), Options())
        for stage in STAGES:
            if stage.needed(state):
                yield from _stage_lines(state, stage)
        for key, error in failures(state):
            yield f"failed     {key}: {error}"
        for line in of_versions(state):
            yield f"note       {line}"
    done = FinishedRun(plan=plan, cells=tuple(cells))
    if (plan.folder / layout.COMPARISON).exists() and comparison_of(done) is None:
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
    from landweave.runs.pipeline.stages import STAGES

    plan = run.plan
    unmapped = []
    with Ledger(plan.folder / layout.LEDGER, exclusive=False) as ledger:
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
    from landweave.runs.pipeline.stages import STAGES, make_report, report_inputs

    plan, cells = make_plan(project)
    if not (plan.folder / layout.MAP).exists():
        raise InputError(f"{plan.folder}: there is no map to report on; make it with `landweave run`.")
    with Ledger(plan.folder / layout.LEDGER, versions=working_versions()) as ledger:
        state = Run(plan, cells, ledger, Engine(workers=1, scheduler=None, memory=None), Options())
        for stage in STAGES:
            if stage.work and stage.needed(state):
                list(state.stale_cells(stage))
        for stage in STAGES:
            if stage.name in {"validate", "mosaic"} and stage.needed(state) and stage.once_inputs:
                why = ledger.stale(stage.key, {**stage.once_inputs(state), "revision": str(stage.revision)})
                if why:
                    raise InputError(f"{plan.folder}: {stage.name} is out of date ({why}); run `landweave run` first.")
        record = make_report(state)
        inputs = {**report_inputs(state), "revision": str(STAGES[-1].revision)}
        ledger.done("report", inputs=inputs, files=record["files"], info=record["info"])
    return plan.folder / layout.REPORT


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
