"""From held-out probabilities to the figures of ``accuracy.json``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from landweave.accuracy.edges import erosion_effect, thin_objects
from landweave.accuracy.metrics import score, shares
from landweave.accuracy.truth import against_truth
from landweave.classifier.model import decide
from landweave.errors import InputError
from landweave.patch.store import read_points
from landweave.runs.assignment import Assignment
from landweave.runs.judging import Rows, judge
from landweave.runs.opening import Plan
from landweave.runs.splitting import read_splits
from landweave.runs.tables import HELD_OUT, read_rows


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Rows that were predicted by a model which never saw their unit."""

    rows: Any
    """Data frame: patch, x, y, label, weight, unit, core, split."""
    probabilities: np.ndarray
    """float32 (n, classes of the legend)."""
    predicted: np.ndarray
    """uint8 (n,), after thresholds; 0 where no class is shown."""
    seen: np.ndarray
    """bool (n,), whether the row has any observation."""


def read_held_out(plan: Plan, split: str = "test") -> HeldOut:
    """The rows of one side, ``test`` or ``train``, these out of fold; of a cross-validated table always all rows."""
    import pandas as pd

    rows = read_rows(plan.folder)
    table = pd.read_parquet(plan.folder / HELD_OUT)
    p = table[[f"p_{value}" for value in plan.legend.values]].to_numpy()
    use = rows["split"].to_numpy() == split
    if not (rows["split"] == "test").any():
        use = ~np.isnan(p[:, 0])
    p = p[use]
    predicted, _ = decide(
        p, plan.legend.values, thresholds=plan.thresholds, reject_below=plan.project.model.reject_below
    )
    # A row without any observation is class 0 on the map, and counts as an error here.
    seen = table["seen"].to_numpy()[use]
    predicted = np.where(seen, predicted, 0).astype("uint8")
    return HeldOut(rows=rows[use].reset_index(drop=True), probabilities=p, predicted=predicted, seen=seen)


def measure(
    plan: Plan, assignment: Assignment | None, *, pixels: Mapping[str, Mapping[int, int]] | None = None
) -> dict[str, Any]:
    """All figures of ``accuracy.json``: top level against the reference as it is, ``eroded`` inside its core.

    Parameters
    ----------
    plan, assignment
        The run, and who trained and tested; None for a table.
    pixels
        ``whole`` and ``core``: class value to pixels of the reference, as it is and eroded; None for a table.
    """
    held = read_held_out(plan)
    truth, unit = held.rows["label"].to_numpy(), held.rows["unit"].to_numpy()
    weight, core = held.rows["weight"].to_numpy(), held.rows["core"].to_numpy()
    kind = _kind(plan, assignment)
    options: dict[str, Any] = {"classes": plan.legend.names, "seed": plan.project.sampling.seed}
    figures = score(
        truth, held.predicted, weights=weight, probabilities=held.probabilities,
        clusters=None if kind == "none" else unit, **options,
    )  # fmt: skip
    figures["split"] = _split(plan, assignment, kind, unit)
    figures["seed"] = plan.project.sampling.seed
    if core.any() and not core.all():
        figures["eroded"] = score(
            truth[core], held.predicted[core], weights=weight[core], probabilities=held.probabilities[core],
            clusters=None if kind == "none" else unit[core], **options,
        )  # fmt: skip
    land: dict[str, Any] = {"weights": weight, "clusters": None if kind == "none" else unit, **options}
    if pixels is not None and plan.project.reference is not None and plan.reference.kind != "points":
        figures["erosion"] = {
            "pixels": plan.project.reference.erosion,
            **erosion_effect(
                truth, held.predicted, core, whole_pixels=pixels["whole"], core_pixels=pixels["core"], **land
            ),
        }
        figures["thin"] = thin_objects(truth, held.predicted, held.rows["thin"].to_numpy(), **land)
    figures["test_share"] = shares(truth, weight, plan.legend.names)
    figures["training_rows"] = _training_rows(plan)
    if assignment is not None:
        labelled = assignment.land("train", "test", "both")
        figures["reference_pixels"] = {name: labelled.get(value, 0) for value, name in plan.legend.names.items()}
    if plan.project.reference is not None and plan.project.reference.truth:
        cover = _cover(plan, held.rows)
        figures["against_truth"] = against_truth(
            cover, truth, held.predicted, weights=weight, clusters=None if kind == "none" else unit, **options
        )
    if plan.reference is not None:
        figures |= read_splits(plan)
    tested = _rows(held, clusters=None if kind == "none" else unit)
    figures |= judge(tested, _training(plan, kind, tested, held), thresholds=plan.thresholds, **options)
    return figures


def _training(plan: Plan, kind: str, tested: Rows, held: HeldOut) -> Rows | None:
    """Out-of-fold rows of the training places; None where a model from elsewhere had none, or no place was held out."""
    if kind in {"given", "none"}:
        return None
    if not (held.rows["split"] == "test").any():
        return tested
    return _rows(read_held_out(plan, "train"), clusters=None)


def _rows(held: HeldOut, *, clusters: np.ndarray | None) -> Rows:
    return Rows(
        truth=held.rows["label"].to_numpy(), probabilities=held.probabilities, weights=held.rows["weight"].to_numpy(),
        clusters=clusters, shown=held.predicted, folds=held.rows["fold"].to_numpy(), seen=held.seen,
    )  # fmt: skip


def _cover(plan: Plan, rows: Any) -> np.ndarray:
    """The true cover at the rows' places, each in its own patch's CRS."""
    assert plan.project.reference is not None
    path = plan.project.path(plan.project.reference.truth or "")
    cover = np.zeros(len(rows), "uint8")
    for patch, part in rows.groupby("patch"):
        here = plan.folder / "labels" / f"{patch}.tif"
        cover[part.index] = read_points(path, part["x"].to_numpy(), part["y"].to_numpy(), like=here)
    if not cover.any():
        raise InputError(f"{path}: the truth does not cover a single test pixel; check its place and its CRS.")
    return cover


def _kind(plan: Plan, assignment: Assignment | None) -> str:
    if assignment is not None:
        return assignment.kind
    rows = read_rows(plan.folder)
    return "block" if rows["unit"].nunique() < len(rows) else "random"


def _split(plan: Plan, assignment: Assignment | None, kind: str, unit: np.ndarray) -> dict[str, Any]:
    if assignment is None:
        groups = len(np.unique(unit))
        return {
            "kind": kind, "train_patches": 0, "test_patches": 0, "train_groups": groups, "test_groups": groups,
            "folds": plan.project.model.folds, "how": "cross-validation: every group is tested by a model without it",
        }  # fmt: skip
    roles = list(assignment.roles.values())
    count = {
        "train_patches": sum(role in {"train", "both"} for role in roles),
        "test_patches": sum(role in {"test", "both"} for role in roles),
    }
    how = {
        "patch": "whole patches are held out",
        "block": "quarters of patches are held out",
        "given": "the model comes from elsewhere; all patches test it",
        "none": "no held-out unit was possible: in-sample figures",
    }[kind]
    return {"kind": kind, **count, "how": how}


def _training_rows(plan: Plan) -> dict[str, int]:
    rows = read_rows(plan.folder)
    label = rows["label"][rows["split"].isin(("train", "refit"))]
    return {name: int((label == value).sum()) for value, name in plan.legend.names.items()}
