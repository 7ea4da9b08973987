"""Scores of held-out pixels by land: accuracy, precision (user's), recall (producer's), F1, and their intervals."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from landweave.accuracy.bootstrap import Table, auc_cells, auc_of_cells, precision_of_cells
from landweave.accuracy.curves import auc, average_precision
from landweave.accuracy.jackknife import by_cluster, interval_t, left_out
from landweave.errors import InputError
from landweave.legend import NONE


def score(
    truth: np.ndarray,
    predicted: np.ndarray,
    *,
    classes: Mapping[int, str],
    weights: np.ndarray | None = None,
    probabilities: np.ndarray | None = None,
    clusters: np.ndarray | Sequence[Any] | None = None,
    seed: int = 42,
    min_clusters: int = 8,
    min_support: int = 30,
) -> dict[str, Any]:
    """Agreement of a classification with a reference: the scores of ``accuracy.json``.

    Intervals (95 %) come from whole clusters that are left out in turn, since pixels of one patch are not independent:
    :func:`landweave.accuracy.jackknife.interval_t`, with as many degrees of freedom as clusters of unequal land are
    worth. ``n_clusters`` of a score counts the clusters that bear on it: those with test pixels, with test pixels of
    the class (recall, f1, auc), or with test pixels mapped as the class (precision).

    Parameters
    ----------
    truth
        Reference class values, (n,), uint8; pixels with 0, no reference, are left out.
    predicted
        Class values given by the map, (n,), uint8; 0 is "unclassified" and counts as an error.
    classes
        Class value to name, in the legend's order.
    weights
        Land that each row stands for, (n,), any unit; None counts every row alike.
    probabilities
        Probability of each class in the order of ``classes``, (n, k); rows with NaN do not enter the AUC.
    clusters
        Patch, block or group of each row, (n,); None gives no intervals.
    seed
        Of the groups of clusters that are left out together, where there are more than 500.
    min_clusters, min_support
        Fewest clusters, and test pixels of a class, for which an interval is given.

    Returns
    -------
    dict
        JSON-ready: ``test_pixels``, ``overall_accuracy``, ``weighted_f1``, ``classes`` (name to ``f1``, ``recall``,
        ``precision``, ``auc``, ``average_precision`` and the integer ``support``) and ``confusion``: ``labels``,
        ``counts`` (pixels, rows true, columns predicted), where some are unclassified ``unclassified`` (per true
        class), and where weights differ ``weighted`` and ``unclassified_weighted`` (shares of the land, together 1).
        A score is ``{value, low, high, n_clusters}``, with a ``reason`` where any of them is missing.

    Raises
    ------
    InputError
        When lengths differ, a class value is not in ``classes``, or a weight is negative or not finite.
    """
    values, names = np.array(list(classes), "int64"), list(classes.values())
    k = len(names)
    true, mapped = _columns(truth, values, "truth"), _columns(predicted, values, "predicted")
    land = _checked_weights(weights, len(true))
    for array, what in ((mapped, "predicted"), (probabilities, "probabilities"), (clusters, "clusters")):
        if array is not None and len(array) != len(true):
            raise InputError(f"{what} has {len(array)} rows and truth {len(true)}; give one row per pixel.")
    known = np.asarray(true < k)
    true, mapped, land = true[known], mapped[known], land[known]
    cell = true * (k + 1) + mapped
    counts = np.bincount(cell, minlength=k * (k + 1)).reshape(k, k + 1)
    weighted = np.bincount(cell, land, minlength=k * (k + 1)).reshape(k, k + 1)
    curves = None if probabilities is None else _Curves(true, np.asarray(probabilities)[known], land, k)

    found = _scores(weighted)
    # A class without test pixels has no scores at all, even where the map shows it.
    for name in ("f1", "precision"):
        found[name] = np.where(weighted.sum(axis=1) > 0, found[name], np.nan)
    units, n_units = np.zeros(len(true), "int64"), 0
    held: dict[str, np.ndarray] = {}
    if clusters is not None:
        units = np.unique(np.asarray(clusters)[known], return_inverse=True)[1].reshape(-1)
        n_units = int(units.max(initial=-1)) + 1
        if n_units >= min_clusters:
            tables = chain(
                [("confusion", (units, cell, land, k * (k + 1)))],
                [] if curves is None else curves.tables(units),
            )
            held = by_cluster(tables, n_units, seed=seed)
    by_unit = held["confusion"].reshape(-1, k, k + 1) if held else np.zeros((0, k, k + 1))
    without = _scores(left_out(held["confusion"]).reshape(-1, k, k + 1)) if held else {}
    bases = {
        "overall_accuracy": by_unit.sum(axis=(1, 2)), "recall": by_unit.sum(axis=2),
        "precision": by_unit[:, :, :k].sum(axis=1),
    }  # fmt: skip
    bases |= {"weighted_f1": bases["overall_accuracy"], "f1": bases["recall"] + bases["precision"]}

    n_true, n_mapped = np.zeros(k, "int64"), np.zeros(k, "int64")
    if clusters is not None:
        n_true, n_mapped = _clusters_of_class(units, true, k), _clusters_of_class(units, mapped, k)
    bearing = {"recall": n_true, "precision": n_mapped, "f1": n_true}

    def make(
        name: str, i: int | None, value: float, others: np.ndarray | None, base: np.ndarray | None, n: int
    ) -> dict[str, Any]:
        support = None if i is None else int(counts[i].sum())
        low, high, reason = None, None, None
        if np.isnan(value):
            reason = _why_no_value(name, support, weighted, i, has_curves=curves is not None)
        elif clusters is None:
            reason = "no independent patches, blocks or groups were given, so there is no interval"
        elif support is not None and support < min_support:
            reason = f"{support} test pixels; an interval needs {min_support}"
        elif n < min_clusters or others is None or base is None:
            reason = f"{n} independent patches, blocks or groups bear on it; an interval needs {min_clusters}"
        else:
            low, high = interval_t(float(value), others, base)
            if low == high:
                reason = "all patches, blocks or groups gave the same figure, so the interval is too narrow to believe"
        result = {"value": None if np.isnan(value) else float(value), "low": low, "high": high, "n_clusters": n}
        return result | ({"reason": reason} if reason else {})

    def overall(name: str) -> dict[str, Any]:
        return make(name, None, float(found[name]), without.get(name), bases[name], n_units)

    def of_class(i: int) -> dict[str, Any]:
        scores: dict[str, Any] = {}
        for name in ("f1", "recall", "precision"):
            others = without[name][:, i] if name in without else None
            scores[name] = make(name, i, float(found[name][i]), others, bases[name][:, i], int(bearing[name][i]))
        for name, (_, of_cells) in AREAS.items():
            area = curves.area(name, i) if curves is not None else np.nan
            sums, others = held.get(f"auc{i}"), None
            if sums is not None:
                # The bins' own area is a little off; the exact one stays in the middle of its interval.
                others = np.clip(of_cells(left_out(sums)) + (area - of_cells(sums.sum(axis=0)[None])[0]), 0, 1)
            scores[name] = make(name, i, area, others, bases["recall"][:, i], int(n_true[i]))
        return scores | {"support": int(counts[i].sum())}

    confusion: dict[str, Any] = {"labels": names, "counts": counts[:, :k].tolist()}
    if counts[:, k].any():
        confusion["unclassified"] = counts[:, k].tolist()
    if len(np.unique(land)) > 1:
        shares_of_land = weighted / weighted.sum()
        confusion["weighted"] = shares_of_land[:, :k].tolist()
        if counts[:, k].any():
            confusion["unclassified_weighted"] = shares_of_land[:, k].tolist()
    return {
        "test_pixels": len(true),
        "overall_accuracy": overall("overall_accuracy"),
        "weighted_f1": overall("weighted_f1"),
        "classes": {name: of_class(i) for i, name in enumerate(names)},
        "confusion": confusion,
    }


def shares(labels: np.ndarray, weights: np.ndarray | None, classes: Mapping[int, str]) -> dict[str, float | None]:
    """Share of the land of each class, of all labels that are in ``classes``; None where there is no label.

    >>> shares(np.array([1, 1, 2, 0]), None, {1: "forest", 2: "water", 3: "wetland"})
    {'forest': 0.6666666666666666, 'water': 0.3333333333333333, 'wetland': 0.0}
    """
    labels = np.asarray(labels).reshape(-1)
    land = None if weights is None else np.asarray(weights, "float64").reshape(-1)
    sums = np.bincount(labels, land, minlength=256)[list(classes)].astype("float64")
    total = sums.sum()
    return {name: float(part / total) if total > 0 else None for name, part in zip(classes.values(), sums, strict=True)}


class _Curves:
    """The one-vs-rest scores of every class, and their binned form for the resampling."""

    def __init__(self, true: np.ndarray, probabilities: np.ndarray, land: np.ndarray, k: int) -> None:
        if probabilities.ndim != 2 or probabilities.shape[1] != k:
            raise InputError(
                f"probabilities has shape {probabilities.shape}; it needs a column for each of {k} classes."
            )
        self._usable = np.isfinite(probabilities).all(axis=1)
        self._true, self._land = true, land
        self._probabilities = probabilities

    def area(self, name: str, i: int) -> float:
        """Exact area of that name, of class i."""
        use = self._usable
        return AREAS[name][0](self._true[use] == i, self._probabilities[use, i], self._land[use])

    def tables(self, units: np.ndarray) -> Iterator[tuple[str, Table]]:
        """Name and table of each class that has rows of its own and of others."""
        for i in range(self._probabilities.shape[1]):
            ours = self._true[self._usable] == i
            if ours.any() and not ours.all():
                yield f"auc{i}", self._table(i, units)

    def _table(self, i: int, units: np.ndarray) -> Table:
        use = self._usable
        cells, n_cells = auc_cells(self._true[use] == i, self._probabilities[use, i])
        return units[use], cells, self._land[use], n_cells


AREAS: dict[str, tuple[Callable[..., float], Callable[[np.ndarray], np.ndarray]]] = {
    "auc": (auc, auc_of_cells),
    "average_precision": (average_precision, precision_of_cells),
}
"""Areas under curves: from rows, and from histograms in the cells of ``auc_cells``."""


def _scores(matrix: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of confusion matrices (..., k, k + 1), whose last column is "unclassified"; NaN where undefined."""
    k = matrix.shape[-2]
    right = np.diagonal(matrix[..., :k], axis1=-2, axis2=-1)
    of_truth, of_map = matrix.sum(axis=-1), matrix[..., :k].sum(axis=-2)
    total = of_truth.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * right / (of_truth + of_map)
        return {
            "overall_accuracy": right.sum(axis=-1) / total,
            "weighted_f1": np.where(of_truth > 0, f1 * of_truth, 0.0).sum(axis=-1) / total,
            "recall": right / of_truth,
            "precision": right / of_map,
            "f1": f1,
        }


def _clusters_of_class(units: np.ndarray, column: np.ndarray, k: int) -> np.ndarray:
    """In how many clusters each class occurs, (k,)."""
    pairs = np.unique(units * (k + 1) + column)
    return np.bincount(pairs % (k + 1), minlength=k + 1)[:k]


def _why_no_value(name: str, support: int | None, weighted: np.ndarray, i: int | None, *, has_curves: bool) -> str:
    if i is None or not support or not weighted[i].sum() > 0:
        return "no test pixels"
    if name == "precision":
        return "never mapped"
    return "no other class among the test pixels that have probabilities" if has_curves else "no probabilities"


def _columns(labels: np.ndarray, values: np.ndarray, what: str) -> np.ndarray:
    """Position of each label in ``values``, and ``len(values)`` for 0."""
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise InputError(f"{what} has shape {labels.shape}; give one class value per row.")
    lookup = np.full(256, -1, "int64")
    lookup[NONE] = len(values)
    lookup[values] = np.arange(len(values))
    columns = lookup[labels.astype("uint8")]
    if (columns < 0).any() or not np.array_equal(labels, labels.astype("uint8")):
        strange = sorted(set(np.unique(labels).tolist()) - {NONE, *values.tolist()})
        raise InputError(f"{what} contains class value {strange[0]}, which is not among {values.tolist()}.")
    return np.asarray(columns)


def _checked_weights(weights: np.ndarray | None, n: int) -> np.ndarray:
    """Weights as float64 with mean about 1; exactly 1 where all are equal."""
    if weights is None:
        return np.ones(n)
    land = np.asarray(weights, "float64")
    if land.shape != (n,):
        raise InputError(f"weights has shape {land.shape} and truth ({n},); give one weight per pixel.")
    if not (np.isfinite(land).all() and (land >= 0).all()):
        raise InputError("weights contains a negative or missing number; a weight is the land that a row represents.")
    if n == 0 or (land == land[0]).all():
        return np.ones(n)
    return np.asarray(land / land.mean())
