"""A whole run: stage after stage, only what is not fresh, one failing patch stopping no other."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import landweave
from landweave.engine.executor import Engine, Outcome, attempt, open_engine
from landweave.engine.ledger import Ledger
from landweave.engine.lock import spare_locks
from landweave.engine.machine import LEAST_MEMORY, size_text
from landweave.errors import InputError
from landweave.patch.grid import Cell
from landweave.patch.store import sweep
from landweave.runs import layout
from landweave.runs.pipeline.outcome import Progress, Quiet, Result
from landweave.runs.pipeline.record import adopt_record, keep_log, log_path, versions, working_versions, write_record
from landweave.runs.pipeline.state import Options, Run, Stage
from landweave.runs.pipeline.underway import Underway
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import Project


def run(
    project: Project,
    *,
    options: Options | None = None,
    workers: int = 1,
    memory: str | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
    allow_code: bool = False,
) -> Result:
    """Make everything that a project asks for and that is not fresh.

    Parameters
    ----------
    project
        From :func:`landweave.runs.project.settings.read_project`.
    options
        Which patches, until which stage.
    workers
        Processes, never more than patches; 1 works in this process. A script that asks for more needs the guard
        ``if __name__ == "__main__"``, since every process reads it.
    memory, scheduler
        As for :func:`landweave.engine.executor.open_engine`.
    progress
        Shows how far the run is.
    allow_code
        As for :func:`landweave.read_project`.

    Raises
    ------
    InputError
        For what the user can mend; nothing half-written is left.
    BusyError
        When another run works in the same folder.
    """
    from landweave.runs.pipeline.notices import notices
    from landweave.runs.pipeline.stages import STAGES
    from landweave.runs.pipeline.versions import of_versions
    from landweave.runs.results.run import FinishedRun
    from landweave.runs.train.models import try_settings

    options, progress = options or Options(), progress or Quiet()
    began = time.perf_counter()
    if allow_code:
        project = project.model_copy(update={"allow_code": True})
    plan, cells = make_plan(project, remember=True)
    _check_options(options, cells, [stage.name for stage in STAGES])
    _check_memory(memory)
    result = Result(folder=plan.folder)
    with (
        Ledger(plan.folder / layout.LEDGER, check_files=options.check_files, versions=working_versions()) as ledger,
        open_engine(workers=min(workers, len(cells)), scheduler=scheduler, memory=memory) as engine,
    ):
        progress = Underway(ledger, progress)
        spare_locks([ledger.path])
        _sweep(plan.folder)
        if adopt_record(ledger, plan.folder):
            progress.tell(
                "note:      the ledger of an older landweave now keeps versions; its own are those of run.json"
            )
        engine.started = lambda dashboard: progress.tell(f"{'dashboard:':<11}{dashboard}") if dashboard else None
        _reach(engine)
        state = Run(plan, cells, ledger, engine, options)
        _tell(state, engine, progress)
        if state.done("train") is None:
            try_settings(plan)
        try:
            for number, stage in enumerate(STAGES):
                if stage.needed(state):
                    _run_stage(state, stage, result, progress)
                    ledger.check()
                    write_record(state, result, seconds=time.perf_counter() - began)
                last = stage.name == options.until and stage.name not in {s.name for s in STAGES[number + 1 :]}
                if last or result.stopped:
                    break
            result.notices = [*notices(state), *of_versions(state)]
            done = FinishedRun(plan=plan, cells=tuple(cells))
            result.agreement = done.accuracy["overall_accuracy"] if done.has_accuracy else None
        except BaseException:
            # What ended the run is what is told, not that the record could not be written either.
            with suppress(Exception):
                _write_end(state, result, began)
            raise
        _write_end(state, result, began)
    return result


def _write_end(state: Run, result: Result, began: float) -> None:
    from landweave.runs.pipeline.stages import write_states

    state.ledger.check()
    write_states(state)
    write_record(state, result, seconds=time.perf_counter() - began)


def _tell(state: Run, engine: Engine, progress: Progress) -> None:
    """Before the first map: what it will take in short, and what there is too little of."""
    from landweave.runs.pipeline.forecast import expected_line, quick_forecast, shortages

    if state.done("mosaic") is None:
        told = quick_forecast(state.plan, state.cells, workers=engine.workers)
        progress.tell(f"forecast:  {expected_line(told)}")
        for line in shortages(told, state.plan.folder, here=engine.scheduler is None):
            progress.tell(f"warning:   {line}")


def _reach(engine: Engine) -> None:
    """Find out before the work whether the scheduler that was named answers."""
    try:
        engine.reach()
    except (OSError, ValueError) as error:
        text = " ".join(str(error).split())
        raise InputError(f"--scheduler {engine.scheduler}: no scheduler at this address: {text}.") from None
    own = versions()
    for there in engine.on_workers(versions):
        different = [f"{name} {there.get(name)} (here {own[name]})" for name in own if there.get(name) != own[name]]
        if different:
            raise InputError(
                f"--scheduler {engine.scheduler}: a worker has {', '.join(different)}; use the same versions "
                "everywhere."
            )


def _check_memory(memory: str | None) -> None:
    if memory is None:
        return
    from dask.utils import parse_bytes

    try:
        enough = parse_bytes(memory) >= LEAST_MEMORY
    except ValueError:
        raise InputError(f"--memory {memory}: write a size, such as 2GB.") from None
    if not enough:
        raise InputError(f"--memory {memory}: a worker needs at least {size_text(LEAST_MEMORY)}.")


def _sweep(folder: Path) -> None:
    """Remove what a killed run had begun to write."""
    for place in [folder, *(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))]:
        sweep(place)


def _run_stage(state: Run, stage: Stage, result: Result, progress: Progress) -> None:
    todo = list(state.stale_cells(stage)) if stage.work else []
    if state.options.only:
        todo = [item for item in todo if item[0].name in state.options.only]
    progress.start(stage.name, len(state.cells) if stage.work else 0, len(todo))
    try:
        if stage.work:
            _work(state, stage, todo, result, progress)
        if _stops(state, stage, result):
            return
        if stage.once and stage.once_inputs:
            _once(state, stage, result, progress)
    finally:
        progress.finish(stage.name)


def _work(
    state: Run,
    stage: Stage,
    todo: list[tuple[Cell, dict[str, str], str]],
    result: Result,
    progress: Progress,
) -> None:
    assert stage.work is not None
    began = time.perf_counter()
    inputs = {cell.name: given for cell, given, _ in todo}
    tasks = ((cell.name, stage.task(state, cell)) for cell, _, _ in todo)
    wrong: list[str] = []
    sums = {"cpu_seconds": 0.0, "peak_bytes": 0, "bytes_read": 0, "patches": {}}
    cells = {cell.name: cell for cell in state.cells}
    recorded = stage.recorded or _nothing
    for cell, _ in state.made(stage.name):
        recorded(state, cell)
    # What failed before may have ended the process that it ran in.
    apart = any(reason.startswith("failed:") for _, _, reason in todo)
    for outcome in state.engine.run(partial(stage.work, state.plan), tasks, apart=apart):
        _note(state, stage, outcome, inputs[outcome.name], result)
        if f"{stage.name}/{outcome.name}" in state.fresh:
            recorded(state, cells[outcome.name])
        if outcome.kind == InputError.__name__:
            wrong.append(outcome.error or "")
        _measure(sums, outcome)
        progress.advance(stage.name, outcome.error is not None)
    if todo:
        state.measured[stage.name] = {"seconds": time.perf_counter() - began, **sums}
    # What the user can mend ends the run, but not where it may go on without some patches.
    goes_on = stage.name == "predict" or state.frozen or state.options.allow_missing
    if wrong and (len(wrong) == len(state.cells) or not goes_on):
        raise InputError(wrong[-1])


def _nothing(run: Run, cell: Cell) -> None:
    """What is done for most stages once a patch is recorded."""


def _note(state: Run, stage: Stage, outcome: Outcome, inputs: dict[str, str], result: Result) -> None:
    key = f"{stage.name}/{outcome.name}"
    if outcome.error is None:
        try:
            state.ledger.done(key, inputs=inputs, files=outcome.value["files"], info=outcome.value["info"])
        except OSError as error:
            outcome = Outcome(name=outcome.name, error=str(error), kind=type(error).__name__, log=repr(error))
        else:
            log_path(state.plan.folder, key).unlink(missing_ok=True)
            state.fresh.add(key)
            result.made[stage.name] = result.made.get(stage.name, 0) + 1
            return
    state.ledger.failed(key, inputs=inputs, error=outcome.error or "", log=outcome.log)
    keep_log(state.plan.folder, key, outcome.log)
    result.failures.append((key, outcome.error or ""))
    result.status = 1


def _measure(sums: dict[str, Any], outcome: Outcome) -> None:
    sums["cpu_seconds"] += outcome.cpu_seconds
    sums["bytes_read"] += outcome.bytes_read
    sums["peak_bytes"] = max(sums["peak_bytes"], outcome.peak_bytes)
    sums["patches"][outcome.name] = {
        "seconds": outcome.seconds, "cpu_seconds": outcome.cpu_seconds, "peak_bytes": outcome.peak_bytes,
        "bytes_read": outcome.bytes_read, **({"error": outcome.error} if outcome.error else {}),
    }  # fmt: skip


def _stops(state: Run, stage: Stage, result: Result) -> bool:
    """Whether the run ends here: no model silently without patches, no map of old and new ones."""
    behind = state.behind(stage.name) if stage.work else []
    some = f"{', '.join(behind[:5])}{', …' if len(behind) > 5 else ''}"
    if behind and stage.name == "fetch":
        result.stopped = _too_little_imagery(state, behind, result)
        return result.stopped is not None
    if not behind or stage.name not in {"sample", "predict"}:
        return False
    if stage.name == "predict":
        if state.options.only:
            result.stopped = f"the map is left as it was: not predicted with these settings are {some}"
        elif len(behind) == len(state.cells):
            result.stopped = "no patch could be predicted, so there is no map; see why, and run again"
        return result.stopped is not None
    if state.frozen or state.options.allow_missing:
        return False
    if state.options.only and state.done("train") is not None:
        return False  # the model is left alone, see _once
    if state.options.only:
        result.stopped = f"only {', '.join(state.options.only)} were made; run without --only to train on all patches"
        return True
    result.stopped = (
        f"{len(behind)} patches are missing before train ({some}); run again, or train without them by --allow-missing"
    )
    result.status = 1
    return True


def _too_little_imagery(state: Run, behind: list[str], result: Result) -> str | None:
    """Why the run cannot go on with the patches that have imagery; None where it can, or where none was asked for."""
    failed = [error for what, error in result.failures if what.startswith("fetch/")]
    allowed = state.options.allow_missing and not state.options.only
    most = state.plan.project.source.max_lost if allowed else 1.0
    share = len(behind) / len(state.cells)
    if not failed or (share < 1 and share <= most):
        return None
    many = (
        "no patch has its imagery"
        if share == 1
        else (f"{len(behind)} of {len(state.cells)} patches lack their imagery, more than source.max_lost = {most:g}")
    )
    return (
        f"{many}: {failed[-1].rstrip('.')}; run again, or leave out images that are lost for good: source.exclude = "
        "[date or scene]"
    )


def _once(state: Run, stage: Stage, result: Result, progress: Progress) -> None:
    assert stage.once is not None
    assert stage.once_inputs is not None
    if stage.frozen and (state.frozen or (state.options.only and state.done("train"))):
        return
    inputs = {**stage.once_inputs(state), "revision": str(stage.revision)}
    if state.ledger.stale(stage.key, inputs) is None and not (state.options.retrain and stage.name == "train"):
        return
    state.ledger.check()
    train = state.done("train")
    if stage.frozen and train and train.info.get("missing"):
        # From here on the model of the ledger is gone: a run that is broken off must not take what is there for it.
        state.ledger.failed("train", inputs=train.inputs, error="training again was broken off", log="")
    progress.once(stage.name)
    began = time.perf_counter()
    outcome = attempt(stage.once, stage.name, state)
    total = state.measured.setdefault(
        stage.name, {"cpu_seconds": 0.0, "peak_bytes": 0, "bytes_read": 0, "seconds": 0.0}
    )
    total["seconds"] += time.perf_counter() - began
    total["cpu_seconds"] += outcome.cpu_seconds
    total["bytes_read"] += outcome.bytes_read
    total["peak_bytes"] = max(total["peak_bytes"], outcome.peak_bytes)
    total["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
    total["landweave"] = landweave.__version__
    if outcome.error is None:
        state.ledger.done(stage.key, inputs=inputs, files=outcome.value["files"], info=outcome.value["info"])
        log_path(state.plan.folder, stage.key).unlink(missing_ok=True)
        result.made[stage.name] = result.made.get(stage.name, 0) + 1
        return
    state.ledger.failed(stage.key, inputs=inputs, error=outcome.error, log=outcome.log)
    keep_log(state.plan.folder, stage.key, outcome.log)
    if outcome.kind == InputError.__name__:
        raise InputError(outcome.error)
    result.failures.append((stage.key, outcome.error))
    result.status = 1
    result.stopped = f"{stage.name} failed: {outcome.error}"


def _check_options(options: Options, cells: Sequence[Cell], stages: Sequence[str]) -> None:
    names = {cell.name for cell in cells}
    strange = [name for name in options.only if name not in names]
    if strange:
        some = ", ".join(sorted(names)[:5])
        raise InputError(f"--only {strange[0]}: no such patch; the grid has {len(names)}, such as {some}.")
    if options.until is not None and options.until not in stages:
        raise InputError(f"--until {options.until}: no such stage; the stages are {', '.join(dict.fromkeys(stages))}.")
