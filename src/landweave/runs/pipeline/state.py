"""A run under way: what it knows, and what its stages ask of each other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from landweave.engine.executor import Engine
from landweave.engine.fingerprint import fingerprint, print_with_companions
from landweave.engine.ledger import DONE, Entry, Ledger
from landweave.labels.units import total
from landweave.patch.grid import Cell
from landweave.runs.project.plan import Plan, training_paths
from landweave.runs.sample.assignment import Assignment, assign


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
    check_files: bool = False
    """Read every file again, also where size, times and inode say that it is the one that was read before."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One row of the table of stages: what is done per patch, then what is done once."""

    name: str
    needed: Callable[["Run"], bool] = lambda _: True
    after: tuple[str, ...] = ()
    """Stages that must have been made on a patch before."""
    frozen: bool = False
    """Whether what is done once is left alone while the model is frozen."""
    revision: int = 1
    """Raised when the stage's arithmetic changes, so that what older code made is stale."""
    inputs: Callable[["Run", Cell], dict[str, str]] | None = None
    """Per patch: names and fingerprints of all that decides the output."""
    task: Callable[["Run", Cell], Any] = lambda _, cell: cell
    work: Callable[[Plan, Any], dict[str, Any]] | None = None
    recorded: Callable[["Run", Cell], None] | None = None
    """Called, in the main process, for every patch on which the stage is fresh, once that is in the ledger."""
    once_inputs: Callable[["Run"], dict[str, str]] | None = None
    once: Callable[["Run"], dict[str, Any]] | None = None
    once_key: str = ""
    """Its key in the ledger; the stage's name where it is empty."""

    @property
    def key(self) -> str:
        """Key of what is done once."""
        return self.once_key or self.name


class Run:
    """A run under way: the plan, the ledger, and which outputs are fresh as far as the run has come."""

    def __init__(self, plan: Plan, cells: Sequence[Cell], ledger: Ledger, engine: Engine, options: Options) -> None:
        self.plan, self.cells, self.ledger, self.engine, self.options = plan, list(cells), ledger, engine, options
        self.measured: dict[str, dict[str, Any]] = {}
        self.fresh: set[str] = set()
        """Keys of the ledger that are known to be fresh in this run; nothing else of a patch is ever used."""

    def stale_cells(self, stage: Stage) -> Iterator[tuple[Cell, dict[str, str], str]]:
        """The patches on which a stage must be made, its inputs there, and the reason; the others become ``fresh``."""
        assert stage.inputs is not None
        for cell in self.cells:
            if any(self.of(name, cell) is None for name in stage.after):
                continue
            key = f"{stage.name}/{cell.name}"
            inputs = {**stage.inputs(self, cell), "revision": str(stage.revision)}
            reason = self.ledger.stale(key, inputs)
            if reason is None:
                self.fresh.add(key)
            else:
                yield cell, inputs, reason

    def of(self, stage: str, cell: Cell) -> Entry | None:
        """The ledger's entry of a stage on a patch, if it was made and is fresh."""
        key = f"{stage}/{cell.name}"
        entry = self.ledger.get(key) if key in self.fresh else None
        return entry if entry and entry.state == DONE else None

    def made(self, stage: str) -> list[tuple[Cell, Entry]]:
        """The patches on which a stage was made and is fresh, in the order of their names."""
        pairs = ((cell, self.of(stage, cell)) for cell in self.cells)
        return [(cell, entry) for cell, entry in pairs if entry is not None]

    def behind(self, stage: str) -> list[str]:
        """Names of the patches on which a stage is not made or not fresh."""
        return [cell.name for cell in self.cells if self.of(stage, cell) is None]

    def done(self, key: str) -> Entry | None:
        """The entry of what is done once, if it was."""
        entry = self.ledger.get(key)
        return entry if entry and entry.state == DONE else None

    def files_of(self, key: str) -> str:
        """Fingerprint of what ``key`` made: its files and its record."""
        entry = self.done(key)
        return fingerprint([entry.files, entry.info] if entry else None)

    def pixels_of(self, cell: Cell) -> str:
        """Fingerprint of all that decides a patch's observations; its record alone would not notice other pixels."""
        entry = self.of("fetch", cell)
        if entry is None:
            return fingerprint(None)
        # Whether the stack itself is kept makes no difference to its pixels: ``info`` holds its fingerprint.
        files = {path: what for path, what in entry.files.items() if not path.endswith(".zarr")}
        return fingerprint([entry.inputs, files, entry.info, self.plan.days])

    @property
    def frozen(self) -> bool:
        """Whether the model was trained without some patches and must be left alone."""
        train = self.done("train")
        return bool(train and train.info.get("missing")) and not self.options.retrain

    def _input(self, path: Any) -> str:
        return print_with_companions(path, self.ledger.print_of)

    @cached_property
    def imagery(self) -> str:
        """Fingerprint of the source's files."""
        return fingerprint([self._input(path) for path in self.plan.source.inputs()])

    def imagery_of(self, cell: Cell) -> str:
        """Fingerprint of what decides a patch's pixels."""
        return fingerprint([self.imagery, self.plan.source.stamp(cell.geobox, self.plan.dates, self.plan.variables)])

    @cached_property
    def offsets(self) -> dict[str, float]:
        """Scene to the offset that its pixels speak for, where these are trusted."""
        entry = self.done("fetch") if self.plan.source.scenes else None
        return dict(entry.info["offsets"]) if entry else {}

    @property
    def least_read(self) -> float | None:
        """The share of valid pixels below which a date is not read, where patches are kept and masks come first."""
        project = self.plan.project
        first = project.source.stores and self.plan.masks_decide
        return project.features.min_valid_fraction if first else None

    @cached_property
    def reference(self) -> str:
        """Fingerprint of the reference's file, of its masks in EOPatches, or of the table's files."""
        project = self.plan.project
        if project.reference and self.plan.reference.parts:
            return fingerprint([self._input(part.path) for part in self.plan.reference.parts])
        if project.reference:
            return self._input(project.path(project.reference.path))
        paths = training_paths(project)
        return fingerprint([self._input(paths[name]) for name in ("table", "samples") if paths[name]])

    @cached_property
    def given(self) -> str:
        """Fingerprint of a model from elsewhere; empty where the project trains its own."""
        path = self.plan.project.model.path
        return self.ledger.print_of(self.plan.project.path(path)) if path else ""

    @cached_property
    def model(self) -> str:
        """Folder of the model that maps, known to fit the project's features and classes."""
        from landweave.runs.project.given_model import fitting_model

        return fitting_model(self.plan)

    @cached_property
    def static(self) -> str:
        """Fingerprint of the layers without time."""
        project = self.plan.project
        return fingerprint([self._input(project.path(path)) for path in project.features.static])

    @cached_property
    def assignment(self) -> Assignment:
        """Roles, folds and quotas, from the labels that are fresh; asked for after the label stage."""
        counts, core = self._labelled("counts"), self._labelled("core")
        return assign(self.plan.project, self.plan.legend, cut=self.plan.cut, counts=counts, core=core)

    def _labelled(self, name: str) -> dict[str, dict[int, int]]:
        """Unit to class value to labelled pixels: ``counts`` of the reference as it is, ``core`` eroded."""
        return {
            unit: {int(value): n for value, n in part.items()}
            for _, entry in self.made("label")
            for unit, part in entry.info[name].items()
        }

    @cached_property
    def reference_pixels(self) -> dict[str, dict[int, int]] | None:
        """``whole`` and ``core``: class value to pixels of the reference, as it is and eroded; None without one."""
        if self.plan.reference is None:
            return None
        return {"whole": total(self._labelled("counts")), "core": total(self._labelled("core"))}

    @cached_property
    def taught(self) -> Assignment | None:
        """The assignment that the model was trained by, which a frozen model keeps; None for a table."""
        entry = self.done("train")
        if entry is None or entry.info.get("assignment") is None:
            return None
        return Assignment.from_json(entry.info["assignment"])

    @cached_property
    def confidence(self) -> tuple[float, ...]:
        """Mean held-out probability of each class over what the reference calls so; asked for after training."""
        from landweave.runs.mapping.label_errors import confidence_of_classes

        return confidence_of_classes(self.plan)

    @cached_property
    def units_of(self) -> Mapping[str, list[str]]:
        """Patch to its labelled units."""
        units: dict[str, list[str]] = {}
        for unit in self.assignment.units:
            units.setdefault(unit.split("/")[0], []).append(unit)
        return units

    def keep(self, cell: Cell) -> tuple[bool, ...]:
        """Per date: whether the patch has enough valid pixels."""
        entry = self.of("fetch", cell)
        assert entry is not None
        least = self.plan.project.features.min_valid_fraction
        return tuple(share >= least for share in entry.info["valid_fraction"])
