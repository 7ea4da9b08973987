"""The task of the stage `predict`: class and confidence of every pixel of a patch."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from landweave.classifier.model import Model
from landweave.features.interpolation import any_known, features
from landweave.features.recipe import Recipe
from landweave.labels.units import unit_ids, unit_name
from landweave.patch.grid import Cell
from landweave.patch.store import write_raster
from landweave.runs import layout
from landweave.runs.fetch.imagery import FetchTask
from landweave.runs.fetch.strips import scan, static_rows
from landweave.runs.fetch.task import Record
from landweave.runs.mapping.out_of_fold import OutOfFold
from landweave.runs.mapping.trust.patch import PatchTrust, TrustTask
from landweave.runs.project.plan import Plan


@dataclass(frozen=True, kw_only=True)
class PredictTask:
    """What to predict a patch with."""

    cell: Cell
    keep: tuple[bool, ...]
    """Per date: whether the patch has enough valid pixels."""
    model: str
    """Folder of the map's model."""
    folds: dict[str, str]
    """Unit to the folder of the model that never saw it; empty where there is no reference."""
    fetch: FetchTask
    """How its imagery was read, should it have to be read again."""
    confidence: tuple[float, ...] = ()
    """Mean out-of-fold probability of each class of the legend over what the reference calls so; NaN unknown."""
    trust: TrustTask | None = None
    """What is kept for trust layers; None where the project asks for none."""


def predict(plan: Plan, task: PredictTask) -> Record:
    """Class and confidence of every pixel, and out of fold where the reference has a class."""
    cell = task.cell
    model = _load(plan, task.model)
    assert model.recipe is not None
    recipe = Recipe.from_json(model.recipe, rule=plan.recipe.rule)
    fold_models = {folder: _load(plan, folder) for folder in sorted(set(task.folds.values()))}
    doubts = OutOfFold(plan, cell, task.confidence) if fold_models else None
    by_unit = {unit: fold_models[folder] for unit, folder in task.folds.items()}
    trust = PatchTrust(plan, cell, task.trust, by_unit) if task.trust is not None else None
    ids = unit_ids(cell.geobox.shape, plan.cut)
    mapped_here = cell.mapped()
    out = np.zeros((2, *cell.geobox.shape), "uint8")

    dates = np.flatnonzero(task.keep)

    def classify(rows: slice, strip: tuple[np.ndarray, np.ndarray]) -> None:
        bands, reasons = strip
        shape = bands.shape[-2:]
        static = static_rows(plan, cell, rows).reshape(len(recipe.static), -1) if recipe.static else None
        table = features(
            bands.reshape(*bands.shape[:2], -1), reasons.reshape(len(reasons), -1) == 0,
            np.array(plan.days)[dates], recipe, static=static,
        )  # fmt: skip
        seen = any_known(table[:, : recipe.dated])
        if mapped_here is not None:
            seen &= mapped_here[rows].ravel()
        out[:, rows], p = _classified(model, table, seen, shape)
        if trust is not None:
            trust.add(model, p, table, seen, rows)
        for number in range(plan.cut * plan.cut if doubts is not None else 0):
            folder = task.folds.get(unit_name(cell.name, number, plan.cut))
            if folder is not None and doubts is not None:
                doubts.ask(fold_models[folder], table, rows, (ids[rows] == number).ravel() & seen)

    scan(plan, task.fetch, dates=dates.tolist(), write=classify)
    files = [layout.prediction(cell.name)]
    write_raster(plan.folder / files[0], out, cell.geobox, names=("class", "confidence"))
    if doubts is not None:
        files += doubts.write()
    if trust is not None:
        files += trust.write()
    mapped = _counts(out[0] if mapped_here is None else out[0][mapped_here])
    asked = _counts(doubts.shown[0]) if doubts is not None else {}
    info = {"mapped": mapped, "out_of_fold": asked, "slow_because": model.slow_because}
    return {"files": files, "info": info}


def _classified(
    model: Model, table: np.ndarray, seen: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Class and confidence, uint8 (2, y, x), and the probabilities of the pixels that were seen."""
    out = np.zeros((2, len(table)), "uint8")
    p = model.probabilities(table if seen.all() else table[seen])
    out[:, seen] = model.classify(p)
    return out.reshape(2, *shape), p


def _load(plan: Plan, folder: str) -> Model:
    model = Model.load(Path(plan.folder, folder))
    return replace(model, thresholds=plan.thresholds, reject_below=plan.project.model.reject_below)


def _counts(classes: np.ndarray) -> dict[int, int]:
    sizes = np.bincount(classes.ravel(), minlength=1)
    return {value: int(size) for value, size in enumerate(sizes) if size}


def pieces_of(files: Iterable[str]) -> list[str]:
    """Of the files that :func:`predict` wrote those about pieces of the reference."""
    return [path for path in files if path.endswith(layout.PIECES_SUFFIX)]
