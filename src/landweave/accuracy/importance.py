"""What a classifier looks at: importance by layer and date, and the acquisitions that feed each date."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

SNOW_SHARE = 0.1
"""An acquisition is a snow date where more than this share of its valid observations is snow."""


def permutation_importance(
    predict: Callable[[np.ndarray], np.ndarray],
    X: np.ndarray,
    truth: np.ndarray,
    groups: Mapping[str, Sequence[int]],
    *,
    weights: np.ndarray | None = None,
    repeats: int = 5,
    seed: int = 42,
) -> dict[str, Any]:
    """Loss in agreement when columns are shuffled between rows (Breiman 2001, Machine Learning 45:5-32, section 10).

    The columns of a group are shuffled together, row by row, so that what they tell jointly is lost and what they
    hold of each other is kept. What a group tells that others tell too is not lost: importances do not add up.

    Parameters
    ----------
    predict
        Rows of features to class values, (n, f) to (n,).
    X
        Features of rows that the classifier never saw, (n, f).
    truth
        Their class values, (n,).
    groups
        Name to columns.
    weights
        Land that each row stands for, (n,); None counts every row alike.
    repeats, seed
        Of the shuffling; each group draws from its own stream.

    Returns
    -------
    dict
        ``agreement`` as it is, and ``groups``: name to ``value``, the mean loss in agreement (0.01 is a percentage
        point), and ``spread``, the standard deviation over the repeats, None of a single one.

    Examples
    --------
    >>> X = np.array([[0, 5], [1, 5]] * 50)
    >>> found = permutation_importance(lambda X: X[:, 0], X, X[:, 0], {"told": [0], "constant": [1]})
    >>> found["agreement"], found["groups"]["told"]["value"] > 0.3, found["groups"]["constant"]["value"]
    (1.0, True, 0.0)
    """
    land = np.ones(len(truth)) if weights is None else np.asarray(weights, "float64")

    def agreement(predicted: np.ndarray) -> float:
        return float(land[predicted == truth].sum() / land.sum())

    before = agreement(predict(X))
    found = {}
    for number, (name, columns) in enumerate(groups.items()):
        rng = np.random.default_rng([seed, number])
        losses = []
        for _ in range(repeats):
            shuffled = X.copy(order="K")
            shuffled[:, list(columns)] = X[rng.permutation(len(X))][:, list(columns)]
            losses.append(before - agreement(predict(shuffled)))
        spread = float(np.std(losses, ddof=1)) if repeats > 1 else None
        found[name] = {"value": float(np.mean(losses)), "spread": spread}
    return {"agreement": before, "groups": found}


def feeding(
    valid: np.ndarray, days: np.ndarray, targets: Sequence[int], weights: np.ndarray | None = None
) -> np.ndarray:
    """Share that each acquisition has in the features of each target day.

    A feature lies on the line between the valid observations before and after its day: the nearer has the greater
    share, and one on the day itself has all of it.

    Parameters
    ----------
    valid
        Which observations count, bool (t, n).
    days
        Days of the acquisitions, rising, (t,).
    targets
        Target days.
    weights
        Land that each row stands for, (n,); None counts every row alike.

    Returns
    -------
    numpy.ndarray
        float64 (targets, t); a row sums to 1, or to 0 where no pixel has that day.

    Examples
    --------
    >>> feeding(np.array([[True], [True]]), np.array([0, 10]), [4, 20]).tolist()
    [[0.6, 0.4], [0.0, 0.0]]
    """
    count, n = valid.shape
    land = np.ones(n) if weights is None else np.asarray(weights, "float64")
    steps = np.arange(count)[:, None]
    before = np.maximum.accumulate(np.where(valid, steps, -1), axis=0)
    after = np.minimum.accumulate(np.where(valid, steps, count)[::-1], axis=0)[::-1]
    out = np.zeros((len(targets), count))
    for k, day in enumerate(targets):
        left, right = int(np.searchsorted(days, day, "right")) - 1, int(np.searchsorted(days, day, "left"))
        if left < 0 or right >= count:
            continue
        inside = (before[left] >= 0) & (after[right] < count)
        first, last, here = before[left][inside], after[right][inside], land[inside]
        gap = days[last] - days[first]
        later = np.where(gap == 0, 0.0, (day - days[first]) / np.maximum(gap, 1))
        out[k] = np.bincount(first, here * (1 - later), count) + np.bincount(last, here * later, count)
        if here.sum() > 0:
            out[k] /= here.sum()
    return out


def hot_cells(
    matrix: np.ndarray,
    fed: np.ndarray,
    *,
    layers: Sequence[str],
    dates: Sequence[str],
    acquisitions: Sequence[str],
    snow: Sequence[float | None],
    most: int = 10,
    least_share: float = 0.005,
) -> list[dict[str, Any]]:
    """The most important cells of a map of layers and dates, each with the acquisitions that feed it.

    Parameters
    ----------
    matrix
        Importance, (layers, dates); only cells above 0 are hot.
    fed
        As :func:`feeding` gives it, (dates, acquisitions).
    layers, dates, acquisitions
        Names of rows and columns; dates as ISO.
    snow
        Share of snow on each acquisition, None unknown.
    most
        Number of cells.
    least_share
        Acquisitions with less are not listed.

    Returns
    -------
    list of dict
        Hottest first: ``layer``, ``date``, ``importance``, ``acquisitions`` (``date``, ``share``, ``snow``, heaviest
        first) and ``heaviest``, the date of the first of them, None where there is none.
    """
    order = np.argsort(-matrix, axis=None, kind="stable")[:most]
    cells = []
    for at in order[matrix.reshape(-1)[order] > 0]:
        layer, day = divmod(int(at), matrix.shape[1])
        heavy = [int(a) for a in np.argsort(-fed[day], kind="stable") if fed[day, a] >= least_share]
        listed = [{"date": acquisitions[a], "share": float(fed[day, a]), "snow": snow[a]} for a in heavy]
        cells.append(
            {
                "layer": layers[layer], "date": dates[day], "importance": float(matrix[layer, day]),
                "acquisitions": listed, "heaviest": listed[0]["date"] if listed else None,
            }
        )  # fmt: skip
    return cells


def class_histograms(
    values: Mapping[str, np.ndarray], truth: np.ndarray, classes: Mapping[int, str], *, bins: int = 24
) -> dict[str, Any]:
    """How the values of each class lie on several dates, counted in the same bins.

    Parameters
    ----------
    values
        Date to values in physical units, (n,), NaN missing.
    truth
        Class values, (n,).
    classes
        Class value to name.
    bins
        Number of bins between the 1 and 99 % quantiles of all dates; what lies beyond counts in the outermost.

    Returns
    -------
    dict
        ``edges`` (bins + 1) and ``dates``: date to class name to counts (bins). Classes without a row are left out.
    """
    known = np.concatenate([part[np.isfinite(part)] for part in values.values()])
    low, high = (float(q) for q in np.quantile(known, [0.01, 0.99])) if len(known) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)

    def counts(part: np.ndarray) -> list[int]:
        part = part[np.isfinite(part)]
        at = np.clip(np.searchsorted(edges, part, side="right") - 1, 0, bins - 1)
        return [int(n) for n in np.bincount(at, minlength=bins)]

    return {
        "edges": [float(edge) for edge in edges],
        "dates": {
            day: {name: counts(part[truth == value]) for value, name in classes.items() if (truth == value).any()}
            for day, part in values.items()
        },
    }
