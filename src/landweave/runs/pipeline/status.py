"""Before and between runs: is the project sound, what is done, what is stale and why."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from landweave.engine.executor import Engine
from landweave.engine.ledger import NOT_MADE, Ledger
from landweave.errors import InputError
from landweave.runs import layout
from landweave.runs.pipeline.notices import failures
from landweave.runs.pipeline.record import working_versions
from landweave.runs.pipeline.state import Options, Run, Stage
from landweave.runs.pipeline.underway import under_way
from landweave.runs.pipeline.versions import of_versions
from landweave.runs.project.plan import Plan, make_plan
from landweave.runs.project.settings import Project

if TYPE_CHECKING:
    from landweave.runs.results.run import FinishedRun


_FAILED = "failed: "


def status_facts(project: Project, *, check_files: bool = False) -> dict[str, Any]:
    """Stage by stage: how much is done, what failed, what is out of date and why; and the run that works there now.

    Parameters
    ----------
    project
        From :func:`landweave.runs.project.settings.read_project`.
    check_files
        Read every file again, as for :class:`landweave.engine.ledger.Ledger`.

    Returns
    -------
    dict
        JSON-ready: ``project``, ``folder``, ``patches`` (their number), ``up_to_date``, ``running`` (see
        :func:`landweave.runs.pipeline.underway.under_way`), ``stages`` (``name``, ``state``: ``done``, ``missing``,
        ``out of date``, ``failed`` or ``unknown``; ``done`` and ``total`` patches, None where the stage works on all
        at once; and ``reasons``, pairs of ``what`` and ``why``), ``failures`` (``what``, ``error``), ``notes`` and
        ``comparison_is_old``.
    """
    from landweave.runs.results.compare import comparison_of
    from landweave.runs.results.run import FinishedRun

    plan, cells = make_plan(project)
    facts: dict[str, Any] = {
        "project": str(project.file), "folder": str(plan.folder), "patches": len(cells), "up_to_date": False,
        "running": under_way(plan.folder), "stages": [], "failures": [], "notes": [], "comparison_is_old": False,
    }  # fmt: skip
    if not (plan.folder / layout.LEDGER).exists():
        return facts
    with Ledger(plan.folder / layout.LEDGER, exclusive=False, check_files=check_files) as ledger:
        state = Run(plan, cells, ledger, Engine(workers=1, scheduler=None, memory=None), Options())
        facts["stages"] = _stages(state)
        facts["failures"] = [{"what": key, "error": error} for key, error in failures(state)]
        facts["notes"] = of_versions(state)
    facts["up_to_date"] = all(stage["state"] == "done" for stage in facts["stages"]) and not facts["failures"]
    done = FinishedRun(plan=plan, cells=tuple(cells))
    facts["comparison_is_old"] = (plan.folder / layout.COMPARISON).exists() and comparison_of(done) is None
    return facts


def status_lines(project: Project, *, check_files: bool = False) -> Iterator[str]:
    """The facts of :func:`status_facts` for a terminal: one line a stage, and below it what is left of it and why."""
    yield from lines_of(status_facts(project, check_files=check_files))


def lines_of(facts: Mapping[str, Any]) -> Iterator[str]:
    """The lines of :func:`status_lines` from facts that are at hand."""
    if facts["running"] is not None:
        yield _running(facts["running"])
    if not facts["stages"]:
        yield f"{facts['folder']}: nothing made yet; {facts['patches']} patches to do."
        return
    for stage in facts["stages"]:
        yield from _lines_of_stage(stage)
    for failure in facts["failures"]:
        yield f"failed     {failure['what']}: {failure['error']}"
    for line in facts["notes"]:
        yield f"note       {line}"
    if facts["comparison_is_old"]:
        yield "compare    older than the run; `landweave compare` makes it again"


def _running(run: Mapping[str, Any]) -> str:
    who = f"process {run['pid']} on {run['host']}"
    since = "" if run["since"] is None else f", since {_clock(run['since'])}"
    alive = "" if run["seen"] else "; it is on another machine and may have ended unnoticed"
    if run["stage"] is None:
        return f"running    {who}{since}{alive}"
    far = "" if run["total"] is None else f", {run['done']} of {run['total']} patches"
    failed = f", {run['failed']} failed" if run["failed"] else ""
    begun = "" if run["stage_since"] is None else f" since {_clock(run['stage_since'])}"
    return f"running    {run['stage']}{begun}{far}{failed}; {who}{since}{alive}"


def _clock(seconds: int) -> str:
    """A moment on the clock of whoever asks, to the second."""
    return datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _stages(state: Run) -> list[dict[str, Any]]:
    """One entry a name: what is done once in a stage belongs to it."""
    from landweave.runs.pipeline.stages import STAGES

    found: list[dict[str, Any]] = []
    needed = [stage for stage in STAGES if stage.needed(state)]
    for name, parts in groupby(needed, key=lambda stage: stage.name):
        waits = any(before["state"] != "done" for before in found)
        found.append(_stage(state, name, list(parts), waits=waits))
    return found


def _stage(state: Run, name: str, parts: Sequence[Stage], *, waits: bool) -> dict[str, Any]:
    """What there is of a stage; ``waits`` where stages before it are not done, so that its inputs may not be known."""
    found: dict[str, Any] = {"name": name, "state": "done", "done": None, "total": None, "reasons": []}
    begun = False
    try:
        for stage in parts:
            if stage.work:
                stale = list(state.stale_cells(stage))
                found |= {"done": len(state.made(stage.name)), "total": len(state.cells)}
                found["reasons"] += [{"what": cell.name, "why": _why(reason)} for cell, _, reason in stale]
                begun |= bool(found["done"]) or any(reason != NOT_MADE for _, _, reason in stale)
                if found["done"] < found["total"]:
                    break  # what is done once waits for the patches
            if stage.once_inputs:
                why = state.ledger.stale(stage.key, {**stage.once_inputs(state), "revision": str(stage.revision)})
                begun |= why != NOT_MADE
                if why is not None:
                    found["reasons"].append({"what": stage.key, "why": _why(why)})
    except InputError as error:
        if not waits:
            return {**found, "state": "unknown", "reasons": [{"what": name, "why": str(error)}]}
        begun |= any(state.ledger.get(stage.key) is not None for stage in parts if stage.once_inputs)
        found["reasons"].append({"what": name, "why": "stages before it are not done" if begun else "missing"})
    if any(reason["why"].startswith(_FAILED) for reason in found["reasons"]):
        found["state"] = "failed"
    elif found["reasons"] or found["done"] != found["total"]:
        found["state"] = "out of date" if begun else "missing"
    return found


def _why(reason: str) -> str:
    return "missing" if reason == NOT_MADE else reason


def _lines_of_stage(stage: Mapping[str, Any]) -> Iterator[str]:
    name, reasons = stage["name"], list(stage["reasons"])
    if stage["state"] == "unknown":
        yield f"{name:<10} not known yet: {reasons[0]['why']}"
        return
    if stage["total"] is None:
        first = next((reason["why"] for reason in reasons if reason["what"] == name), None)
        reasons = [reason for reason in reasons if reason["what"] != name]
        told = "" if first in {None, stage["state"]} else f": {(first or '').removeprefix(_FAILED)}"
        yield f"{name:<10} {stage['state']}{told}"
    else:
        yield f"{name:<10} {stage['done']} of {stage['total']} patches done"
    # What was never begun needs no reason for each patch.
    shown = reasons if stage["state"] in {"out of date", "failed"} else []
    for reason in shown[:10]:
        yield f"           {reason['what']}: {reason['why']}"
    if len(shown) > 10:
        yield f"           and {len(shown) - 10} more"


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
