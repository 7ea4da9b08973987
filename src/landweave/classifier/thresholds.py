"""Which thresholds to show classes by: argmax p_k / t_k, chosen on rows that no model was trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landweave.classifier.model import decide
from landweave.errors import InputError

GRID: tuple[float, ...] = tuple(float(f"{10 ** (step / 20):.2g}") for step in range(-30, 11))
"""Thresholds that are tried: 0.032 to 3.2 by a factor of about 1.12, two digits, with 1 among them."""

OBJECTIVES = ("macro_f1", "weighted_f1")

_ROUNDS = 25
_LEAST_GAIN = 1e-4


def choose_thresholds(
    p: np.ndarray,
    y: np.ndarray,
    *,
    classes: Sequence[int],
    weights: np.ndarray | None = None,
    objective: str = "macro_f1",
    min_rows: int = 30,
) -> dict[int, float]:
    """The thresholds t of argmax p_k / t_k that make F1 largest, found by moving one class at a time.

    Give it out-of-fold rows of the training places. Test rows must stay out of the choice, or they flatter the figures
    that are then computed on them.

    Parameters
    ----------
    p
        Calibrated probabilities by models that never saw the row, (n, len(classes)); rows with NaN are left out.
    y
        True class values, (n,).
    classes
        Class value of each column.
    weights
        Land that each row stands for, (n,); None counts every row alike.
    objective
        ``"macro_f1"``, the plain mean of the classes' F1, in which rare classes count as much as common ones; or
        ``"weighted_f1"``, weighted by each class's share of the land.
    min_rows
        A class with fewer rows keeps 1: they are too few to choose by.

    Returns
    -------
    dict
        Class value to threshold, of the classes whose threshold is not 1; each one of :data:`GRID`. Only ratios of
        thresholds matter, so the class with the most land keeps 1. The same each time.

    Raises
    ------
    InputError
        For an objective that is not known.

    Notes
    -----
    Every step takes the best threshold of the grid for one class, given the others; a class is moved only where that
    gains more than 0.0001. It starts once from no thresholds and once from the classes' shares, and the better end is
    kept, since such a climb may stop at a lesser summit.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.6, 0.4]])
    >>> choose_thresholds(p, np.array([1, 1, 1, 5]), classes=(1, 5), min_rows=1)
    {5: 0.63}
    """
    if objective not in OBJECTIVES:
        raise InputError(f"objective = {objective!r}; choose one of {', '.join(OBJECTIVES)}.")
    task = _Task(p, y, classes, weights)
    rows = np.bincount(task.y, minlength=task.k)
    if (task.truth > 0).sum() < 2:
        return {}
    share = task.truth / task.truth.sum()
    score = {"macro_f1": (share > 0) / (share > 0).sum(), "weighted_f1": share}[objective]
    anchor, grid, none = int(np.argmax(share)), np.array(GRID), np.ones(task.k)
    movable = [i for i in range(task.k) if rows[i] >= max(min_rows, 1) and i != anchor]
    by_share = none.copy()
    for i in movable:
        by_share[i] = grid[np.abs(np.log(grid / (share[i] / share[anchor]))).argmin()]
    plain = float((task.f1(none, anchor, np.ones(1)) @ score)[0])
    reached, best = max(
        (_climb(task, start, score, movable, grid) for start in (none, by_share)), key=lambda end: end[0]
    )
    if reached <= plain + _LEAST_GAIN:
        return {}
    return {value: float(t) for value, t in zip(classes, best, strict=True) if t != 1.0}


def cross_fitted_classes(
    p: np.ndarray, y: np.ndarray, *, folds: np.ndarray, classes: Sequence[int], **options: Any
) -> np.ndarray:
    """Classes shown by thresholds that were chosen without the row's own fold: do chosen thresholds hold elsewhere?

    Parameters
    ----------
    p, y, classes
        As for :func:`choose_thresholds`.
    folds
        Fold of each row, (n,): folds hold whole patches, blocks or groups.
    options
        ``weights``, ``objective`` and ``min_rows`` of :func:`choose_thresholds`.

    Returns
    -------
    numpy.ndarray
        Class values, uint8 (n,); 0 where ``p`` is NaN.
    """
    weights = options.pop("weights", None)
    shown = np.zeros(len(p), "uint8")
    for fold in np.unique(folds):
        rest, own = folds != fold, folds == fold
        of_rest = None if weights is None else weights[rest]
        chosen = choose_thresholds(p[rest], y[rest], classes=classes, weights=of_rest, **options)
        shown[own] = decide(p[own], classes, thresholds=chosen)[0]
    return shown


def threshold_effect(
    p: np.ndarray,
    y: np.ndarray,
    *,
    classes: Sequence[int],
    value: int,
    thresholds: Mapping[int, float] | None = None,
    weights: np.ndarray | None = None,
    grid: Sequence[float] = GRID,
) -> dict[str, list[float | None]]:
    """What moving one class's threshold does to it and to the whole, the others' staying as they are.

    Parameters
    ----------
    p, y, classes, weights
        As for :func:`choose_thresholds`.
    value
        The class that is moved.
    thresholds
        Class value to threshold of the others; classes that are not named have 1.
    grid
        Thresholds of the class to try, rising.

    Returns
    -------
    dict
        Lists as long as the grid: ``threshold``; ``recall`` and ``precision`` of the class, None where there is no row
        of it, or none shown as it; ``overall_accuracy``.

    Examples
    --------
    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.1], [0.6, 0.4]])
    >>> found = threshold_effect(p, np.array([1, 1, 1, 5]), classes=(1, 5), value=5, grid=(0.1, 0.5, 1.0))
    >>> found["recall"], found["precision"]
    ([1.0, 1.0, 0.0], [0.25, 1.0, None])
    """
    task = _Task(p, y, classes, weights)
    column, tried = list(classes).index(value), np.array(grid, "float64")
    t = np.array([(thresholds or {}).get(name, 1.0) for name in classes])
    right, shown = task.sums(t, column, tried)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: dict[str, Any] = {
            "recall": right[:, column] / task.truth[column],
            "precision": right[:, column] / shown[:, column],
            "overall_accuracy": right.sum(axis=1) / task.truth.sum(),
        }
    lists = {name: [float(v) if np.isfinite(v) else None for v in row] for name, row in found.items()}
    return {"threshold": [float(v) for v in tried], **lists}


class _Task:
    """The rows, and sums over them for every threshold of one class at a time."""

    def __init__(self, p: np.ndarray, y: np.ndarray, classes: Sequence[int], weights: np.ndarray | None) -> None:
        lookup = np.full(256, -1, "int64")
        lookup[list(classes)] = np.arange(len(classes))
        column = lookup[np.asarray(y, "uint8")]
        use = np.isfinite(p).all(axis=1) & (column >= 0)
        self.p, self.y = np.asarray(p[use], "float64"), column[use]
        self.w = np.ones(len(self.y)) if weights is None else np.asarray(weights, "float64")[use]
        self.k = len(classes)
        self.truth = np.bincount(self.y, self.w, minlength=self.k)

    def sums(self, t: np.ndarray, i: int, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Land shown rightly, and shown at all, of each class for each threshold of class i: (grid, k) each.

        A row goes to i where t_i < p_i / max_j (p_j / t_j), j other than i: so each row is sorted once among the
        thresholds, and sums over the rows of each place between them tell of all thresholds.
        """
        rival = self.p / t
        rival[:, i] = -1.0
        other = rival.argmax(axis=1)
        most = rival[np.arange(len(rival)), other]
        with np.errstate(divide="ignore", invalid="ignore"):
            limit = np.nan_to_num(self.p[:, i] / most, nan=np.inf)
        # The first of equals wins, as in `decide`.
        n = np.where(i < other, np.searchsorted(grid, limit, side="right"), np.searchsorted(grid, limit, side="left"))
        size, cell = len(grid) + 1, other * (len(grid) + 1) + n

        def stays(weights: np.ndarray) -> np.ndarray:
            """Of each class and threshold: what is not taken by i."""
            table = np.bincount(cell, weights, minlength=self.k * size).reshape(self.k, size)
            return np.asarray(np.cumsum(table, axis=1)[:, :-1].T)

        def taken(weights: np.ndarray) -> np.ndarray:
            table = np.bincount(n, weights, minlength=size)
            return np.asarray(table.sum() - np.cumsum(table)[:-1])

        shown, right = stays(self.w), stays(np.where(self.y == other, self.w, 0.0))
        shown[:, i], right[:, i] = taken(self.w), taken(np.where(self.y == i, self.w, 0.0))
        return right, shown

    def f1(self, t: np.ndarray, i: int, grid: np.ndarray) -> np.ndarray:
        """F1 of each class for each threshold of class i, (grid, k); 0 for a class without rows."""
        right, shown = self.sums(t, i, grid)
        total = shown + self.truth
        return np.asarray(np.divide(2 * right, total, out=np.zeros_like(total), where=total > 0))


def _climb(
    task: _Task, start: np.ndarray, score: np.ndarray, movable: Sequence[int], grid: np.ndarray
) -> tuple[float, np.ndarray]:
    t, now = start.copy(), -np.inf
    for _ in range(_ROUNDS):
        before = t.copy()
        for i in movable:
            reached = task.f1(t, i, grid) @ score
            here = float(reached[int(np.flatnonzero(grid == t[i])[0])])
            # Of equals the one nearest to 1, which changes least.
            good = np.flatnonzero(reached >= reached.max() - 1e-12)
            best = good[np.abs(np.log(grid[good])).argmin()]
            now = here
            if reached[best] > here + _LEAST_GAIN:
                t[i], now = grid[best], float(reached[best])
        if np.array_equal(t, before):
            break
    return now, t
