"""ROC and precision-recall curves, thinned to what a drawing shows."""

from collections.abc import Iterator, Mapping

import numpy as np

from landweave.accuracy.metrics import precision_recall, roc

Curves = dict[str, dict[str, list[float]]]

POINTS = 201
"""Steps of a thinned curve, at most."""


def roc_curves(truth: np.ndarray, p: np.ndarray, weight: np.ndarray | None, names: Mapping[int, str]) -> Curves:
    """One-vs-rest ROC curves by class name; classes without both sides are left out.

    Parameters
    ----------
    truth
        Class values, (n,).
    p
        Probabilities, (n, classes), in the order of ``names``.
    weight
        Of the rows, (n,), or None.
    names
        Class value to name.

    Returns
    -------
    dict
        Name to ``false_positive_rate`` and ``true_positive_rate``, at most 201 points each.
    """
    curves = {}
    for name, sides in _one_against_rest(truth, p, weight, names):
        false, true, _ = roc(*sides)
        # Evenly along the curve, not along one axis, so that steep and flat parts keep their shape.
        at = np.unique(np.searchsorted(false + true, np.linspace(0, 2, POINTS)).clip(0, len(false) - 1))
        curves[name] = {"false_positive_rate": _rounded(false[at]), "true_positive_rate": _rounded(true[at])}
    return curves


def average_roc(truth: np.ndarray, p: np.ndarray, weight: np.ndarray | None, names: Mapping[int, str]) -> Curves:
    """Two ways to average the curves of :func:`roc_curves`, whose arguments these are.

    Returns
    -------
    dict
        ``micro``: each row asks "is it this class?" once for every class, and all these questions make one curve, so
        that a common class counts for more. ``macro``: the mean of the classes' true positive rates at each false
        positive rate, so that every class counts alike (vertical averaging: Fawcett 2006, Pattern Recognition Letters
        27:861-874, section 8.1). Classes without both sides are left out of both; empty where none is left.

    >>> curves = average_roc(np.array([1, 2]), np.array([[0.9, 0.1], [0.2, 0.8]]), None, {1: "a", 2: "b"})
    >>> curves["micro"]["true_positive_rate"][-1], max(curves["macro"]["true_positive_rate"])
    (1.0, 1.0)
    """
    sides = [of_class for _, of_class in _one_against_rest(truth, p, weight, names)]
    if not sides:
        return {}
    false, true, _ = roc(*(np.concatenate(parts) for parts in zip(*sides, strict=True)))
    at = np.unique(np.searchsorted(false + true, np.linspace(0, 2, POINTS)).clip(0, len(false) - 1))
    along = np.linspace(0, 1, POINTS)
    mean = np.mean([np.interp(along, *roc(*of_class)[:2]) for of_class in sides], axis=0)
    return {
        "micro": {"false_positive_rate": _rounded(false[at]), "true_positive_rate": _rounded(true[at])},
        "macro": {
            "false_positive_rate": _rounded(np.append(0, along)), "true_positive_rate": _rounded(np.append(0, mean))
        },
    }  # fmt: skip


def precision_recall_curves(
    truth: np.ndarray, p: np.ndarray, weight: np.ndarray | None, names: Mapping[int, str]
) -> Curves:
    """Precision against recall of each class, by name; arguments as for :func:`roc_curves`.

    Returns
    -------
    dict
        Name to ``recall`` and ``precision``, at most 202 points each, evenly over recall.
    """
    curves = {}
    for name, sides in _one_against_rest(truth, p, weight, names):
        recall, precision, _ = precision_recall(*sides)
        at = np.searchsorted(recall, np.linspace(0, 1, POINTS)).clip(0, len(recall) - 1)
        at = np.unique(np.append(at, len(recall) - 1))
        curves[name] = {"recall": _rounded(recall[at]), "precision": _rounded(precision[at])}
    return curves


def _one_against_rest(
    truth: np.ndarray, p: np.ndarray, weight: np.ndarray | None, names: Mapping[int, str]
) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Name, and whether a row is of the class, its score and its weight; classes without both sides are left out."""
    known = np.isfinite(p).all(axis=1)
    truth, p, land = truth[known], p[known], (np.ones(len(p)) if weight is None else weight)[known]
    for column, (value, name) in enumerate(names.items()):
        positive = truth == value
        if positive.any() and not positive.all():
            yield name, (positive, p[:, column], land)


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(v), 5) for v in values]
