"""Held-out probabilities judged: curves, calibration, rarity, and what thresholds would do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from landweave.accuracy.class_balance import equal_footing
from landweave.accuracy.curves import precision_recall_curves, roc_curves
from landweave.accuracy.jackknife import by_cluster, interval_t, jackknifed
from landweave.accuracy.metrics import score
from landweave.accuracy.reliability import FEW_CLUSTERS, brier, reliability, reliability_of_parts
from landweave.classifier.model import decide
from landweave.classifier.thresholds import GRID, choose_thresholds, cross_fitted_classes, threshold_effect
from landweave.labels.draw import evenly

OBJECTIVE = "macro_f1"
"""What the suggested thresholds make largest."""

MOST = 50_000
"""Rows by which thresholds are chosen; more would not change two digits."""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows predicted by models that never saw them."""

    truth: np.ndarray
    """Class values, uint8 (n,)."""
    probabilities: np.ndarray
    """Calibrated, in the order of the legend, float (n, k); NaN where no model could be asked."""
    weights: np.ndarray | None = None
    """Land of each row, (n,)."""
    clusters: np.ndarray | None = None
    """Patch, block or group, (n,); None gives no intervals."""
    shown: np.ndarray | None = None
    """Class values of the map, uint8 (n,), thresholds applied; None: as the thresholds say."""
    folds: np.ndarray | None = None
    """Fold of each row, (n,)."""
    core: np.ndarray | None = None
    """Whether the row lies inside the eroded reference, bool (n,); None where there is none."""
    seen: np.ndarray | None = None
    """Whether the row has any observation, bool (n,); without one no class is ever shown. None: all have."""

    @property
    def asked(self) -> np.ndarray:
        """Probabilities of the rows that thresholds can do anything about, NaN for the others."""
        return self.probabilities if self.seen is None else np.where(self.seen[:, None], self.probabilities, np.nan)


def judge(
    test: Rows,
    training: Rows | None,
    *,
    classes: Mapping[int, str],
    thresholds: Mapping[int, float] | None = None,
    check: Rows | None = None,
    seed: int = 42,
) -> dict[str, Any]:
    """``roc``, ``precision_recall``, ``calibration``, ``equal_footing`` and ``thresholds`` of ``accuracy.json``.

    Parameters
    ----------
    test
        Rows of the figures.
    training
        Out-of-fold rows of the training places, from which thresholds are chosen; None where there are none. The very
        rows of ``test`` where all are cross-validated.
    classes
        Class value to name, in the legend's order.
    thresholds
        Those in force.
    check
        Rows of places that had no say in the choice of thresholds; None: those of ``test``.
    seed
        Of the intervals.
    """
    t, p, w = test.truth, test.probabilities, test.weights
    shown = test.shown if test.shown is not None else decide(p, list(classes), thresholds=thresholds)[0]
    sure = _confidence(p, shown, list(classes))
    land: dict[str, Any] = {"weights": w, "clusters": test.clusters, "seed": seed}
    parts = {f"shown as {name}": shown == value for value, name in classes.items()}
    if test.core is not None and test.core.any() and not test.core.all():
        parts |= {"core": test.core, "ring": ~test.core}
    of_parts = reliability_of_parts(t, shown, sure, parts, **land)
    return {
        "roc": roc_curves(t, p, w, classes),
        "precision_recall": precision_recall_curves(t, p, w, classes),
        "calibration": {
            **reliability(t, shown, sure, **land),
            "brier": brier(t, p, classes=list(classes), **land),
            "classes": {name: of_parts.pop(f"shown as {name}") for name in classes.values()},
            "parts": of_parts,
        },
        "equal_footing": equal_footing(t, p, classes=classes, weights=w, clusters=test.clusters, seed=seed),
        "thresholds": advise(test if check is None else check, training, classes=classes, thresholds=thresholds or {}),
    }


def advise(
    test: Rows, training: Rows | None, *, classes: Mapping[int, str], thresholds: Mapping[int, float]
) -> dict[str, Any]:
    """Thresholds chosen on ``training``, what they do there and on ``test``, and what moving each one does.

    They are suggested only where such thresholds also help on places that had no say in the choice: chosen without a
    fold and applied to it, fold after fold, they must raise the objective, and by more than chance: where there are
    clusters enough, the interval of the gain (95 %, clusters left out in turn) must lie above 0.
    """
    asked = 0 if training is None else int(np.isfinite(training.asked).all(axis=1).sum())
    if training is None or not asked:
        return {"reason": "no out-of-fold rows of training places to choose by"}
    values = list(classes)
    some = _some(training)
    options: dict[str, Any] = {"classes": values, "weights": some.weights, "objective": OBJECTIVE}
    chosen = choose_thresholds(some.asked, some.truth, **options)
    plain, now, then = (
        _figures(some, classes, decide(some.asked, values, thresholds=t)[0]) for t in ({}, thresholds, chosen)
    )
    elsewhere, gain = None, None
    if chosen and some.folds is not None:
        shown = cross_fitted_classes(some.asked, some.truth, folds=some.folds, **options)
        elsewhere = _figures(some, classes, shown)
        gain = _gain(some, values, decide(some.asked, values, thresholds={})[0], shown)
    holds = elsewhere is not None and elsewhere[OBJECTIVE] > plain[OBJECTIVE] and (gain is None or gain[0] > 0)
    # Of a cross-validated table the training rows are the test rows: then nothing is left to check by.
    sides = {"out_of_fold": training} | ({"test": test} if training is not test else {})
    figures: dict[str, Any] = {"out_of_fold": {"plain": plain, "now": now, "chosen": then, "cross_fitted": elsewhere}}
    if training is not test:
        shown_now, shown_then = (decide(test.asked, values, thresholds=t)[0] for t in (thresholds, chosen))
        figures["test"] = {"now": _figures(test, classes, shown_now), "chosen": _figures(test, classes, shown_then)}
    return {
        "objective": OBJECTIVE,
        "rows": len(some.truth),
        "now": {classes[value]: t for value, t in thresholds.items()},
        "chosen": {classes[value]: t for value, t in chosen.items()},
        "gain": None if gain is None else {"low": gain[0], "high": gain[1]},
        "suggested": {classes[value]: t for value, t in chosen.items()} if holds else {},
        **figures,
        "classes": {name: _moved(sides, values, value, thresholds) for value, name in classes.items()},
    }


def _gain(rows: Rows, values: Sequence[int], before: np.ndarray, after: np.ndarray) -> tuple[float, float] | None:
    """Interval of what the mean F1 of the classes gains; None without clusters, or with few."""
    if rows.clusters is None:
        return None
    units = np.unique(rows.clusters, return_inverse=True)[1].reshape(-1)
    n = int(units.max(initial=-1)) + 1
    if n < FEW_CLUSTERS:
        return None
    k = len(values)
    column = np.full(256, k)
    column[list(values)] = np.arange(k)
    use = np.flatnonzero(column[rows.truth] < k)
    true, land = column[rows.truth[use]], np.ones(len(use)) if rows.weights is None else rows.weights[use]

    def cells(shown: np.ndarray) -> np.ndarray:
        return np.asarray(true * (k + 1) + column[shown[use]])

    size = k * (k + 1)
    held = by_cluster(
        ((name, (units[use], cells(s), land, size)) for name, s in (("a", before), ("b", after))), n, seed=0
    )
    whole, without = jackknifed(held, lambda a, b: _mean_f1(b, k) - _mean_f1(a, k))
    return interval_t(float(whole), without, held["a"].sum(axis=1), share=False)


def _mean_f1(sums: np.ndarray, k: int) -> np.ndarray:
    """Plain mean of the F1 of the classes that occur, of confusion matrices (m, k (k + 1))."""
    matrix = sums.reshape(-1, k, k + 1)
    there = matrix.sum(axis=2)
    both = there + matrix[:, :, :k].sum(axis=1)
    right = np.diagonal(matrix[:, :, :k], axis1=1, axis2=2)
    f1 = np.divide(2 * right, both, out=np.zeros(both.shape), where=both > 0)
    return np.asarray((f1 * (there > 0)).sum(axis=1) / np.maximum((there > 0).sum(axis=1), 1))


def _some(rows: Rows) -> Rows:
    """At most so many of the rows that have probabilities as choosing needs, evenly among them."""
    use = evenly(np.flatnonzero(np.isfinite(rows.asked).all(axis=1)), MOST)
    parts = {
        name: None if values is None else values[use]
        for name, values in (("weights", rows.weights), ("folds", rows.folds), ("clusters", rows.clusters))
    }
    return Rows(truth=rows.truth[use], probabilities=rows.probabilities[use], **parts)


def _moved(sides: Mapping[str, Rows], values: Sequence[int], value: int, now: Mapping[int, float]) -> dict[str, Any]:
    """Recall and precision of one class for every threshold, on either side."""
    found: dict[str, Any] = {"threshold": list(GRID)}
    for side, rows in sides.items():
        effect = threshold_effect(
            rows.asked, rows.truth, classes=values, value=value, thresholds=now, weights=rows.weights
        )
        found[side] = {key: [_short(v) for v in effect[key]] for key in ("recall", "precision", "overall_accuracy")}
    return found


def _figures(rows: Rows, classes: Mapping[int, str], shown: np.ndarray) -> dict[str, Any]:
    use = np.isfinite(rows.asked).all(axis=1)
    weights = None if rows.weights is None else rows.weights[use]
    found = score(rows.truth[use], shown[use], classes=classes, weights=weights)
    f1 = [part["f1"]["value"] for part in found["classes"].values() if part["f1"]["value"] is not None]
    return {
        "overall_accuracy": found["overall_accuracy"]["value"],
        "weighted_f1": found["weighted_f1"]["value"],
        "macro_f1": float(np.mean(f1)) if f1 else None,
        "classes": {
            name: {"recall": part["recall"]["value"], "precision": part["precision"]["value"]}
            for name, part in found["classes"].items()
        },
    }


def _confidence(p: np.ndarray, shown: np.ndarray, values: Sequence[int]) -> np.ndarray:
    """Probability of the class shown; NaN where none is."""
    column = np.zeros(256, "int64")
    column[list(values)] = np.arange(len(values))
    found = np.take_along_axis(p, column[shown][:, None], axis=1)[:, 0]
    return np.where(shown > 0, found, np.nan)


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
