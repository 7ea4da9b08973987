"""A whole run: stage after stage, only what is not fresh, one failing patch stopping no other."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

from landweave.errors import InputError
from landweave.patch.grid import Cell
from landweave.runs.assignment import Assignment, assign
from landweave.runs.executor import Engine, Outcome, attempt, open_engine
from landweave.runs.ledger import DONE, Entry, Ledger, fingerprint, fingerprint_of
from landweave.runs.opening import Plan, make_plan
from landweave.runs.project import Project


class Progress(Protocol):
    """What the faces show while a run goes on."""

    def start(self, stage: str, total: int, todo: int) -> None:
        """A stage begins: so many things in all, so many to be made."""
        ...

    def advance(self, stage: str, failed: bool) -> None:  # noqa: FBT001 - called by this module only
        """One thing is made, or has failed."""
        ...

    def finish(self, stage: str) -> None:
        """The stage is over."""
        ...


class Quiet:
    """Shows nothing."""

    def start(self, stage: str, total: int, todo: int) -> None:
        """Nothing."""

    def advance(self, stage: str, failed: bool) -> None:  # noqa: FBT001 - as in the protocol
        """Nothing."""

    def finish(self, stage: str) -> None:
        """Nothing."""


_: type[Progress] = Quiet


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One row of the table of stages: what is done per patch, then what is done once."""

    name: str
    needed: Callable[["Run"], bool] = lambda _: True
    revision: int = 1
    """Raised when the stage's arithmetic changes, so that what older code made is stale."""
    inputs: Callable[["Run", Cell], dict[str, str]] | None = None
    """Per patch: names and fingerprints of all that decides the output."""
    task: Callable[["Run", Cell], Any] = lambda _, cell: cell
    work: Callable[[Plan, Any], dict[str, Any]] | None = None
    once_inputs: Callable[["Run"], dict[str, str]] | None = None
    once: Callable[["Run"], dict[str, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run, beside the project."""

    only: tuple[str, ...] = ()
    """Names of the only patches to work on."""
    until: str | None = None
    """Name of the last stage."""
    retrain: bool = False
    """Train again although the model is frozen."""
    allow_missing: bool = False
    """Train although patches failed; the model is then frozen until ``retrain``."""


@dataclass(kw_only=True)
class Result:
    """What became of a run."""

    status: int = 0
    """0 done, 1 something failed."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Stage and patch, and the last line of the error."""
    stopped: str | None = None
    """Why the run stopped before its end."""
    notices: list[str] = field(default_factory=list)
    """What to know before trusting the figures."""
    made: dict[str, int] = field(default_factory=dict)
    """Stage to the number of things made; nothing stands for a stage that was fresh."""
    folder: Path = Path()
    """The output folder."""


class Run:
    """A run under way: the plan, the ledger, and what stages ask of each other."""

    def __init__(self, plan: Plan, cells: Sequence[Cell], ledger: Ledger, engine: Engine, options: Options) -> None:
        self.plan, self.cells, self.ledger, self.engine, self.options = plan, list(cells), ledger, engine, options
        self.measured: dict[str, dict[str, Any]] = {}

    @cached_property
    def imagery(self) -> str:
        """Fingerprint of the source's files and settings."""
        return fingerprint([fingerprint_of(path) for path in self.plan.source.inputs()])

    @cached_property
    def reference(self) -> str:
        """Fingerprint of the reference's file, or of the table's."""
        project = self.plan.project
        if project.reference:
            return fingerprint_of(project.path(project.reference.path))
        assert project.training is not None
        written = [project.training.table, project.training.samples]
        return fingerprint([fingerprint_of(project.path(path)) for path in written if path])

    def of(self, stage: str, cell: Cell) -> Entry | None:
        """The ledger's entry of a stage on a patch, if it was made."""
        entry = self.ledger.get(f"{stage}/{cell.name}")
        return entry if entry and entry.state == DONE else None

    def made(self, stage: str) -> list[tuple[Cell, Entry]]:
        """The patches on which a stage was made, in the order of their names."""
        pairs = ((cell, self.of(stage, cell)) for cell in self.cells)
        return [(cell, entry) for cell, entry in pairs if entry is not None]

    def files_of(self, key: str) -> str:
        """Fingerprint of what stands in the ledger for ``key``: its files and its record."""
        entry = self.ledger.get(key)
        return fingerprint([entry.files, entry.info] if entry and entry.state == DONE else None)

    @cached_property
    def assignment(self) -> Assignment:
        """Roles, folds and quotas; asked for after the label stage."""
        counts: dict[str, dict[int, int]] = {}
        core: dict[str, dict[int, int]] = {}
        for _, entry in self.made("label"):
            for name, into in (("counts", counts), ("core", core)):
                into.update({u: {int(c): n for c, n in part.items()} for u, part in entry.info[name].items()})
        return assign(self.plan.project, self.plan.legend, cut=self.plan.cut, counts=counts, core=core)

    def keep(self, cell: Cell) -> tuple[bool, ...]:
        """Per date: whether the patch has enough valid pixels."""
        entry = self.of("fetch", cell)
        assert entry is not None
        least = self.plan.project.features.min_valid_fraction
        return tuple(share >= least for share in entry.info["valid_fraction"])


def run(
    project: Project,
    *,
    options: Options | None = None,
    workers: int = 1,
    memory: str | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Result:
    """Make everything that a project asks for and that is not fresh.

    Parameters
    ----------
    project
        From :func:`landweave.runs.project.read_project`.
    options
        Which patches, until which stage.
    workers
        Processes, never more than patches; 1 works in this process. A script that asks for more needs the guard
        ``if __name__ == "__main__"``, since every process reads it.
    memory, scheduler
        As for :func:`landweave.runs.executor.open_engine`.
    progress
        Shows how far the run is.

    Raises
    ------
    InputError
        For what the user can mend; nothing half-written is left.
    BusyError
        When another run works in the same folder.
    """
    from landweave.runs.learning import try_settings
    from landweave.runs.notices import notices
    from landweave.runs.record import write_record
    from landweave.runs.stages import STAGES

    options, progress = options or Options(), progress or Quiet()
    began = time.perf_counter()
    plan, cells = make_plan(project)
    _check_options(options, cells, [stage.name for stage in STAGES])
    count = min(workers, len(cells))
    result = Result(folder=plan.folder)
    with (
        Ledger(plan.folder) as ledger,
        open_engine(workers=count, scheduler=scheduler, memory=memory) as engine,
    ):
        state = Run(plan, cells, ledger, engine, options)
        if ledger.get("train") is None:
            try_settings(project)
        try:
            for stage in STAGES:
                if stage.needed(state):
                    _run_stage(state, stage, result, progress)
                    write_record(state, result, seconds=time.perf_counter() - began)
                if stage.name == options.until or result.stopped:
                    break
            result.notices = [line for line in notices(state) if not line.startswith("Failed")]
        finally:
            write_record(state, result, seconds=time.perf_counter() - began)
    return result


def _run_stage(state: Run, stage: Stage, result: Result, progress: Progress) -> None:
    todo = list(stale_cells(state, stage)) if stage.work else []
    progress.start(stage.name, len(state.cells) if stage.work else 1, len(todo) if stage.work else 1)
    try:
        if stage.work:
            _work(state, stage, todo, result, progress)
        if _stops_before_training(state, stage, result):
            return
        if stage.once and stage.once_inputs:
            _once(state, stage, result)
    finally:
        progress.finish(stage.name)


def stale_cells(state: Run, stage: Stage) -> Iterator[tuple[Cell, dict[str, str], str]]:
    """The patches on which a stage must be made, with its inputs and the reason."""
    assert stage.inputs is not None
    for cell in state.cells:
        if state.options.only and cell.name not in state.options.only:
            continue
        if not _ready(state, stage, cell):
            continue
        inputs = {**stage.inputs(state, cell), "revision": str(stage.revision)}
        reason = state.ledger.stale(f"{stage.name}/{cell.name}", inputs)
        if reason:
            yield cell, inputs, reason


def _ready(state: Run, stage: Stage, cell: Cell) -> bool:
    """Whether the stages that this one reads were made on the patch."""
    before = {"sample": ("fetch", "label"), "predict": ("fetch",)}.get(stage.name, ())
    labels = state.plan.reference is not None
    return all(state.of(name, cell) is not None for name in before if labels or name != "label")


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
    wrong: str | None = None
    sums = {"cpu_seconds": 0.0, "peak_bytes": 0, "bytes_read": 0, "patches": {}}
    for outcome in state.engine.run(partial(stage.work, state.plan), tasks):
        _note(state, stage, outcome, inputs[outcome.name], result)
        if outcome.kind == InputError.__name__:
            wrong = outcome.error
        _measure(sums, outcome)
        progress.advance(stage.name, outcome.error is not None)
    if todo:
        state.measured[stage.name] = {"seconds": time.perf_counter() - began, **sums}
    if wrong:
        raise InputError(wrong)


def _note(state: Run, stage: Stage, outcome: Outcome, inputs: dict[str, str], result: Result) -> None:
    key = f"{stage.name}/{outcome.name}"
    if outcome.error is None:
        try:
            state.ledger.done(key, inputs=inputs, files=outcome.value["files"], info=outcome.value["info"])
        except OSError as error:
            outcome = Outcome(name=outcome.name, error=str(error), kind=type(error).__name__, log=repr(error))
        else:
            result.made[stage.name] = result.made.get(stage.name, 0) + 1
            return
    state.ledger.failed(key, inputs=inputs, error=outcome.error or "", log=outcome.log)
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


def _stops_before_training(state: Run, stage: Stage, result: Result) -> bool:
    """A model must not silently be trained without the patches that failed."""
    if stage.name != "sample":
        return False
    behind = [cell.name for cell in state.cells if not _sampled(state, cell)]
    if not behind or (state.options.only and state.ledger.get("train") is not None):
        return False
    if state.options.only:
        result.stopped = f"only {', '.join(state.options.only)} were made; run without --only to train on all patches"
        return True
    if state.options.allow_missing or _frozen(state):
        return False
    result.stopped = (
        f"{len(behind)} patches are missing before train ({', '.join(behind[:5])}{', …' if len(behind) > 5 else ''}); "
        "run again, or train without them by --allow-missing"
    )
    result.status = 1
    return True


def _sampled(state: Run, cell: Cell) -> bool:
    stages = ("fetch", "label", "sample") if state.plan.reference is not None else ("fetch",)
    return all(state.of(name, cell) is not None for name in stages)


def _frozen(state: Run) -> bool:
    entry = state.ledger.get("train")
    return bool(entry and entry.state == DONE and entry.info.get("missing"))


def _once(state: Run, stage: Stage, result: Result) -> None:
    assert stage.once is not None
    assert stage.once_inputs is not None
    inputs = {**stage.once_inputs(state), "revision": str(stage.revision)}
    reason = state.ledger.stale(stage.name, inputs)
    if reason is None:
        return
    if stage.name in {"sample", "train", "validate"} and not state.options.retrain:
        train = state.ledger.get("train")
        if train and train.state == DONE and (train.info.get("missing") or state.options.only):
            return
    began = time.perf_counter()
    outcome = attempt(stage.once, stage.name, state)
    state.measured.setdefault(stage.name, {"cpu_seconds": 0.0, "peak_bytes": 0, "bytes_read": 0, "seconds": 0.0})
    total = state.measured[stage.name]
    total["seconds"] += time.perf_counter() - began
    total["cpu_seconds"] += outcome.cpu_seconds
    total["bytes_read"] += outcome.bytes_read
    total["peak_bytes"] = max(total["peak_bytes"], outcome.peak_bytes)
    if outcome.error is None:
        state.ledger.done(stage.name, inputs=inputs, files=outcome.value["files"], info=outcome.value["info"])
        result.made[stage.name] = result.made.get(stage.name, 0) + 1
        return
    state.ledger.failed(stage.name, inputs=inputs, error=outcome.error, log=outcome.log)
    if outcome.kind == InputError.__name__:
        raise InputError(outcome.error)
    result.failures.append((stage.name, outcome.error))
    result.status = 1
    result.stopped = f"{stage.name} failed: {outcome.error}"


def _check_options(options: Options, cells: Sequence[Cell], stages: Sequence[str]) -> None:
    names = {cell.name for cell in cells}
    strange = [name for name in options.only if name not in names]
    if strange:
        some = ", ".join(sorted(names)[:5])
        raise InputError(f"--only {strange[0]}: no such patch; the grid has {len(names)}, such as {some}.")
    if options.until is not None and options.until not in stages:
        raise InputError(f"--until {options.until}: no such stage; the stages are {', '.join(stages)}.")


def settings_print(value: Any) -> str:
    """Fingerprint of settings that pydantic or JSON holds."""
    return fingerprint(json.loads(value.model_dump_json()) if hasattr(value, "model_dump_json") else value)
