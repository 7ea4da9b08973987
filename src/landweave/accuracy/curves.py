"""ROC and precision-recall curves by scikit-learn: whole, thinned to what a drawing shows, and the areas under them."""

import warnings
from collections.abc import Iterator, Mapping

import numpy as np

Curves = dict[str, dict[str, list[float]]]

POINTS = 201
"""Steps of a thinned curve, at most."""


def roc(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """True against false positive rate for every threshold on a score: scikit-learn's ``roc_curve``.

    Parameters
    ----------
    truth
        True or 1 where the row is of the class, (n,).
    scores
        The higher, the likelier the class, (n,), finite.
    weights
        Land of each row, (n,), not negative; None counts every row alike. Rows of weight 0 do not count.

    Returns
    -------
    fpr, tpr, thresholds
        float64. One point per distinct score, highest threshold first, after the point (0, 0) at infinity; rates are
        NaN where there is no row of the class, or none of the others.

    >>> fpr, tpr, thresholds = roc(np.array([0, 1, 1]), np.array([0.2, 0.2, 0.9]))
    >>> fpr.tolist(), tpr.tolist(), thresholds.tolist()
    ([0.0, 0.0, 1.0], [0.0, 0.5, 1.0], [inf, 0.9, 0.2])
    """
    rows = _Rows(truth, scores, weights)
    if not (rows.land_of_class > 0 or rows.land_of_others > 0):
        return np.full(1, np.nan), np.full(1, np.nan), np.full(1, np.inf)
    from sklearn.exceptions import UndefinedMetricWarning
    from sklearn.metrics import roc_curve

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        fpr, tpr, thresholds = roc_curve(
            rows.truth, rows.scores, pos_label=1, sample_weight=rows.weights, drop_intermediate=False
        )
    return np.asarray(fpr, "float64"), np.asarray(tpr, "float64"), np.asarray(thresholds, "float64")


def precision_recall(
    truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision against recall for every threshold on a score: scikit-learn's ``precision_recall_curve``, reversed.

    Parameters
    ----------
    truth, scores, weights
        As for :func:`roc`.

    Returns
    -------
    recall, precision, thresholds
        float64. One point per distinct score, highest threshold first, after the point (0, 1) at infinity; recall is
        NaN where there is no row of the class, and so is the precision at infinity.

    >>> recall, precision, _ = precision_recall(np.array([0, 1, 1]), np.array([0.8, 0.2, 0.9]))
    >>> recall.tolist(), precision.round(2).tolist()
    ([0.0, 0.5, 0.5, 1.0], [1.0, 1.0, 0.5, 0.67])
    """
    rows = _Rows(truth, scores, weights)
    if not (rows.land_of_class > 0 or rows.land_of_others > 0):
        return np.full(1, np.nan), np.full(1, np.nan), np.full(1, np.inf)
    from sklearn.metrics import precision_recall_curve

    with warnings.catch_warnings():
        # Without a row of the class scikit-learn warns and calls the recall 1.
        warnings.simplefilter("ignore", UserWarning)
        precision, recall, thresholds = precision_recall_curve(
            rows.truth, rows.scores, pos_label=1, sample_weight=rows.weights
        )
    recall, precision = np.asarray(recall[::-1], "float64"), np.asarray(precision[::-1], "float64")
    if not rows.land_of_class > 0:
        recall, precision = np.full(len(recall), np.nan), np.append(np.nan, precision[1:])
    return recall, precision, np.append(np.inf, thresholds[::-1].astype("float64"))


def average_precision(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Sum over thresholds of (R_n - R_(n-1)) P_n, R recall and P precision: the area under the curve, in steps.

    Lines between the points would flatter (Davis and Goadrich 2006, ICML, section 4).
    NaN where there is no row of the class, or none of the others. A score without any skill gives the class's share.

    >>> round(average_precision(np.array([0, 1, 1]), np.array([0.8, 0.2, 0.9])), 4)
    0.8333
    """
    rows = _Rows(truth, scores, weights)
    if not rows.land_of_class > 0 or rows.truth.all():
        return float("nan")
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(rows.truth, rows.scores, sample_weight=rows.weights))


def auc(truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Area under :func:`roc` by trapezoids: P(score of the class > score of the others) + P(equal) / 2.

    NaN where there is no row of the class, or none of the others.

    >>> auc(np.array([0, 1, 1]), np.array([0.2, 0.2, 0.9]))
    0.75
    """
    rows = _Rows(truth, scores, weights)
    if not (rows.land_of_class > 0 and rows.land_of_others > 0):
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(rows.truth, rows.scores, sample_weight=rows.weights))


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

    Examples
    --------
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


class _Rows:
    """Rows as scikit-learn takes them, and the land of either side, which decides whether a figure is defined."""

    def __init__(self, truth: np.ndarray, scores: np.ndarray, weights: np.ndarray | None) -> None:
        of_class = np.asarray(truth).astype(bool)
        self.truth, self.scores = of_class.astype("uint8"), np.asarray(scores)
        self.weights = None if weights is None else np.asarray(weights, "float64")
        land = np.ones(len(of_class)) if self.weights is None else self.weights
        self.land_of_class, self.land_of_others = float(land[of_class].sum()), float(land[~of_class].sum())


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
