"""Does a classification lean on some acquisitions? Train it without them, and see what is lost."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from landweave.accuracy.bootstrap import interval, resample

LEAST_OVERALL, LEAST_RECALL = 0.01, 0.05
"""Losses, of agreement and of a class's recall, from which a result is said to rely on what was removed."""

RULE = (
    "Relies: without them, agreement falls by at least 1 percentage point and its 95 % interval is wholly below 0; or "
    "the recall of some class falls by at least 5 points and its interval, widened so that those of all classes hold "
    "together with 95 %, is wholly below 0."
)


def predictions(
    valid: np.ndarray,
    *,
    truth: np.ndarray,
    train: np.ndarray,
    features: Callable[[np.ndarray], np.ndarray],
    fit: Callable[[np.ndarray, np.ndarray], Any],
    predict: Callable[[Any, np.ndarray], np.ndarray],
    without: Sequence[int] = (),
) -> np.ndarray:
    """Predict the rows that do not train, features made and the classifier trained without some acquisitions.

    Parameters
    ----------
    valid
        Which observations count, bool (t, n).
    truth, train
        Class value of each row, (n,), and which rows train.
    features
        Observations that count, bool (t, n), to features (n, f).
    fit, predict
        Features and class values to a fitted classifier; this and features to class values.
    without
        Numbers of the acquisitions to take away; none, and :func:`change` has its baseline.

    Returns
    -------
    numpy.ndarray
        Class values of the rows that do not train.
    """
    kept = valid.copy()
    kept[list(without)] = False
    X = features(kept)
    return np.asarray(predict(fit(X[train], truth[train]), X[~train]))


def change(
    truth: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    *,
    clusters: np.ndarray,
    classes: Mapping[int, str],
    weights: np.ndarray | None = None,
    seed: int = 42,
    repeats: int = 1000,
    min_clusters: int = 8,
    min_support: int = 30,
) -> dict[str, Any]:
    """Change from one prediction of the same rows to another, overall and in the recall of each class.

    Both are judged on the same draws of clusters, so that what they share cancels.

    Parameters
    ----------
    truth, before, after
        Class values, (n,).
    clusters
        Patch, block or group of each row, (n,).
    classes
        Class value to name.
    weights
        Land that each row stands for, (n,); None counts every row alike.
    seed, repeats, min_clusters, min_support
        As for :func:`landweave.accuracy.metrics.score`.

    Returns
    -------
    dict
        ``change`` of agreement and, per class, of recall in ``classes``: ``value``, ``low``, ``high``, ``n_clusters``,
        with a ``reason`` where something is missing; the intervals are of 95 %, those of the classes jointly
        (Bonferroni). ``relies`` by :data:`RULE`, and ``why``.
    """
    land = np.ones(len(truth)) if weights is None else np.asarray(weights, "float64")
    values = list(classes)
    k = len(values)
    number = np.full(256, k)
    number[values] = np.arange(k)
    known = number[truth] < k
    true, land = number[truth][known], land[known]
    # Rows of a class that are right in both, only after, only before, or in neither.
    cell = 4 * true + 2 * (before == truth)[known] + (after == truth)[known]
    units = np.unique(np.asarray(clusters)[known], return_inverse=True)[1].reshape(-1)
    n = int(units.max(initial=-1)) + 1

    def changes(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = sums.reshape(-1, k, 4)
        gained = parts[:, :, 1] - parts[:, :, 2]
        with np.errstate(invalid="ignore", divide="ignore"):
            return gained.sum(axis=1) / parts.sum(axis=(1, 2)), gained / parts.sum(axis=2)

    overall, recalls = changes(np.bincount(cell, land, 4 * k))
    drawn = None
    if n >= min_clusters:
        drawn = changes(resample([("cells", (units, cell, land, 4 * k))], n, seed=seed, repeats=repeats)["cells"])
    support = np.bincount(true, minlength=k)
    present = int((support > 0).sum())

    def made(value: float, draws: np.ndarray | None, clusters: int, rows: int | None, level: float) -> dict[str, Any]:
        out: dict[str, Any] = {"value": float(value), "low": None, "high": None, "n_clusters": clusters}
        if not np.isfinite(value):
            return out | {"value": None, "reason": "no test pixels"}
        if rows is not None and rows < min_support:
            return out | {"reason": f"{rows} test pixels; an interval needs {min_support}"}
        if draws is None or clusters < min_clusters:
            return out | {"reason": f"{clusters} patches or blocks bear on it; an interval needs {min_clusters}"}
        low, high = interval(draws, clusters, level=level)
        return out | {"low": low, "high": high}

    whole = made(overall[0], None if drawn is None else drawn[0], n, None, 0.95)
    of_class = {}
    for i, name in enumerate(classes.values()):
        own = len(np.unique(units[true == i]))
        of_class[name] = made(
            recalls[0, i], None if drawn is None else drawn[1][:, i], own, int(support[i]), 1 - 0.05 / max(present, 1)
        )
    return {"change": whole, "classes": of_class} | verdict(whole, of_class)


def verdict(whole: Mapping[str, Any], of_class: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """``relies`` by :data:`RULE`, None where nothing has an interval, and ``why`` in words."""
    if whole["low"] is None and all(part["low"] is None for part in of_class.values()):
        return {"relies": None, "why": f"cannot be said: {whole.get('reason', 'there is no interval')}"}
    lost = []
    if _lost(whole, LEAST_OVERALL):
        lost.append(f"agreement {_points(whole)}")
    lost += [f"recall of {name} {_points(part)}" for name, part in of_class.items() if _lost(part, LEAST_RECALL)]
    if lost:
        return {"relies": True, "why": "without them: " + "; ".join(lost)}
    spoken = f"agreement {_points(whole)}, and no class loses 5 points of recall beyond chance"
    return {"relies": False, "why": f"without them: {spoken}"}


def _lost(part: Mapping[str, Any], least: float) -> bool:
    return part["high"] is not None and part["high"] < 0 and part["value"] <= -least


def _points(part: Mapping[str, Any]) -> str:
    """In percentage points.

    >>> _points({"value": -0.0312, "low": -0.05, "high": -0.01})
    '-3.1 points (-5.0 to -1.0)'
    """
    if part["value"] is None:
        return "unknown"
    span = "" if part["low"] is None else f" ({100 * part['low']:+.1f} to {100 * part['high']:+.1f})"
    return f"{100 * part['value']:+.1f} points{span}"
