"""From held-out probabilities to the figures of ``accuracy.json``."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.accuracy.against_truth import against_truth
from landweave.accuracy.metrics import score, shares
from landweave.accuracy.spatial.edges import erosion_effect, thin_objects
from landweave.errors import InputError
from landweave.labels.leakage import DUPLICATE, POLYGON
from landweave.patch.store import read_points, write_json
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import Assignment
from landweave.runs.sample.labels import truth_classes
from landweave.runs.sample.table import read_rows
from landweave.runs.train.held_out import HeldOut, read_held_out
from landweave.runs.validate.splits import read_splits
from landweave.runs.validate.thresholds import Rows, judge

APART, SAME = "test places alone", "same places"
"""Where thresholds are in force: the places of the figures, beside those by which thresholds are suggested."""


def apart_from_thresholds(held: HeldOut, thresholds: Mapping[int, float], kind: str) -> tuple[HeldOut, str]:
    """The rows that had no say in thresholds that a run may have suggested, and what was done.

    Parameters
    ----------
    held
        Rows of the test units, and of units that train.
    thresholds
        Class value to the threshold in force; 1 is none.
    kind
        Of the split.

    Returns
    -------
    held
        Rows of the test units, or all where none of them tests.
    chosen_on
        :data:`APART`; :data:`SAME` where thresholds may have been chosen by these very rows; "" where there are no
        thresholds, or none is suggested by any row.
    """
    test = (held.rows["split"] == "test").to_numpy()
    if all(t == 1 for t in thresholds.values()) or kind in {"none", "given"} or test.all():
        return held, ""
    return (held.only(test), APART) if test.any() else (held, SAME)


def measure(
    plan: Plan, assignment: Assignment | None, *, pixels: Mapping[str, Mapping[int, int]] | None = None
) -> dict[str, Any]:
    """All figures of ``accuracy.json``: top level against the reference as it is, ``eroded`` inside its core.

    They speak of all land: each unit's rows are predicted by a model that never saw the unit. Rows that their model
    knows in part (its polygon reaches into training land, or equal features were trained on) are left out: ``shared``.
    With thresholds in force they speak of the test units alone: thresholds are suggested by the rows of the others.

    Parameters
    ----------
    plan, assignment
        The run, and who trained and tested; None for a table.
    pixels
        ``whole`` and ``core``: class value to pixels of the reference, as it is and eroded; None for a table.
    """
    kind = _kind(plan, assignment)
    every, chosen_on = apart_from_thresholds(read_held_out(plan, "test", "land"), plan.thresholds, kind)
    clean = every.known == 0
    held = every.only(clean) if clean.any() else every
    truth, unit = held.rows["label"].to_numpy(), held.rows["unit"].to_numpy()
    weight, core = held.rows["weight"].to_numpy(), held.rows["core"].to_numpy()
    options: dict[str, Any] = {"classes": plan.legend.names, "seed": plan.project.sampling.seed}
    figures = score(
        truth, held.predicted, weights=weight, probabilities=held.probabilities,
        clusters=None if kind == "none" else unit, **options,
    )  # fmt: skip
    figures["split"] = _split(plan, assignment, kind, unit) | ({"thresholds": chosen_on} if chosen_on else {})
    figures["shared"] = _shared(every, figures["overall_accuracy"], grouped=kind != "none", **options)
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
    rows = _rows(held, clusters=None if kind == "none" else unit)
    test = held.only((held.rows["split"] == "test").to_numpy())
    apart = chosen_on == APART
    if assignment is not None and len(test.rows) and (apart or len(test.rows) < len(held.rows)):
        if not apart:
            figures["held_out"] = _held_out(test, **options)
        check: Rows = _rows(test, clusters=None)
        training: Rows | None = _clean(read_held_out(plan, "land"))
    else:
        check, training = rows, _training(plan, kind, rows, held)
    figures |= judge(rows, training, check=check, thresholds=plan.thresholds, **options)
    return figures


def _held_out(test: HeldOut, *, classes: Mapping[int, str], seed: int) -> dict[str, Any]:
    """Of the test units alone: predicted by one model, which was trained on all other units."""
    unit = test.rows["unit"].to_numpy()
    found = score(
        test.rows["label"].to_numpy(), test.predicted, weights=test.rows["weight"].to_numpy(), clusters=unit,
        classes=classes, seed=seed,
    )  # fmt: skip
    keys = ("test_pixels", "overall_accuracy", "weighted_f1")
    return {"patches": len(np.unique(unit)), **{key: found[key] for key in keys}}


def _shared(
    every: HeldOut, without: Mapping[str, Any], *, grouped: bool, classes: Mapping[int, str], seed: int
) -> dict[str, Any]:
    """What was left out since the model knew it in part, and the agreement with it."""
    known, land = every.known > 0, every.rows["weight"].to_numpy("float64")
    found: dict[str, Any] = {
        "rows": int(known.sum()),
        "share": float(land[known].sum() / land.sum()) if len(land) else 0.0,
        "polygons": int((every.known == POLYGON).sum()),
        "duplicates": int((every.known == DUPLICATE).sum()),
        "overall_accuracy": without,
    }
    if not known.any():
        return found
    label = every.rows["label"].to_numpy()
    found["overall_accuracy"] = score(
        label, every.predicted, weights=land, clusters=every.rows["unit"].to_numpy() if grouped else None,
        classes=classes, seed=seed,
    )["overall_accuracy"]  # fmt: skip
    right = label == every.predicted
    found["agreement_of_shared"] = float(land[known & right].sum() / land[known].sum())
    if known.all():
        found["reason"] = "every test pixel is in a polygon that was trained on elsewhere, so none could be left out"
    return found


def _training(plan: Plan, kind: str, tested: Rows, held: HeldOut) -> Rows | None:
    """Out-of-fold rows of the training places; None where a model from elsewhere had none, or no place was held out."""
    if kind in {"given", "none"}:
        return None
    if not (held.rows["split"] == "test").any():
        return tested
    return _clean(read_held_out(plan, "train"))


def _clean(held: HeldOut) -> Rows:
    """Without what the models knew in part, unless that is all."""
    held = held.only(held.known == 0) if (held.known == 0).any() else held
    return _rows(held, clusters=held.rows["unit"].to_numpy())


def _rows(held: HeldOut, *, clusters: np.ndarray | None) -> Rows:
    return Rows(
        truth=held.rows["label"].to_numpy(), probabilities=held.probabilities, weights=held.rows["weight"].to_numpy(),
        clusters=clusters, shown=held.predicted, folds=held.rows["fold"].to_numpy(), seen=held.seen,
        core=held.rows["core"].to_numpy(),
    )  # fmt: skip


def _cover(plan: Plan, rows: Any) -> np.ndarray:
    """The true cover at the rows' places, each in its own patch's CRS."""
    assert plan.project.reference is not None
    path = plan.project.path(plan.project.reference.truth or "")
    cover = np.zeros(len(rows), "uint8")
    for patch, part in rows.groupby("patch"):
        here = plan.folder / layout.labels(patch)
        there = read_points(path, part["x"].to_numpy(), part["y"].to_numpy(), like=here)
        cover[part.index] = truth_classes(plan, there)
    if not cover.any():
        raise InputError(f"{path}: the truth covers no test pixel; check its location and its CRS.")
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
    count |= {"tested": len(np.unique(unit)), "refit": bool(plan.project.model.refit)}
    each = "by a model that was trained without it"
    how = {
        "patch": f"whole patches are held out: each is tested {each}",
        "block": f"quarters of patches are held out: each is tested {each}",
        "given": "the model comes from elsewhere; all patches test it",
        "none": "no held-out unit was possible: in-sample figures",
    }[kind]
    return {"kind": kind, **count, "how": how}


def _training_rows(plan: Plan) -> dict[str, int]:
    rows = read_rows(plan.folder)
    label = rows["label"][rows["split"].isin(("train", "refit"))]
    return {name: int((label == value).sum()) for value, name in plan.legend.names.items()}


def validate(
    plan: Plan, assignment: Assignment | None, *, pixels: Mapping[str, Mapping[int, int]] | None = None
) -> dict[str, Any]:
    """Measure held-out predictions against the reference and write ``accuracy.json``; arguments as of ``measure``."""
    figures = measure(plan, assignment, pixels=pixels)
    write_json(plan.folder / layout.ACCURACY, figures)
    return {"files": [layout.ACCURACY], "info": {}}
