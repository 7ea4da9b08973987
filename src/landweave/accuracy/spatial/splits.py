"""The same pixels judged after different splits: how much of an accuracy comes from neighbours."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from landweave.accuracy.metrics import score
from landweave.accuracy.reliance import change

Folds = tuple[np.ndarray, np.ndarray]
"""Fold of each row that may train, (n,), and of each row that tests, (m,)."""


def compare_splits(
    X: np.ndarray,
    y: np.ndarray,
    test_X: np.ndarray,
    truth: np.ndarray,
    folds: Mapping[str, Folds],
    *,
    fit: Callable[[np.ndarray, np.ndarray, Sequence[np.ndarray]], Sequence[Any]],
    predict: Callable[[Any, np.ndarray], np.ndarray],
    classes: Mapping[int, str],
    weights: np.ndarray,
    clusters: np.ndarray | None,
    rows_a_class: int,
    seed: int = 42,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Agreement of the same test rows, each predicted by a model that was trained without its fold.

    Parameters
    ----------
    X, y
        Features and class values of the rows that may train.
    test_X, truth
        Of the rows that test.
    folds
        Split to the folds of both; splits differ in nothing else.
    fit, predict
        Features, class values and the rows of each fit, bool (n,), to as many fitted classifiers; one of these and
        features to class values.
    classes
        Class value to name.
    weights, clusters
        Land, and patch, of the test rows; clusters None gives no intervals.
    rows_a_class
        Training rows of a class, at most; all splits get equally many where they can.
    seed
        Of draws and intervals.

    Returns
    -------
    figures
        Per split ``{overall_accuracy, weighted_f1, recall}``, scores, ``recall`` by class name; and ``gaps``: of every
        pair of splits ``"<a> - <b>"`` the difference of agreement ``{value, low, high, n_clusters}``, both on the same
        draws of clusters, so that what they share cancels. ``training_rows``: of one fit.
    taught
        Split to which rows trained the model that each test row was asked of: bool (folds, n), for distances.
    """
    options: dict[str, Any] = {"classes": classes, "seed": seed}
    size = _sizes(y, folds, rows_a_class)
    figures: dict[str, Any] = {}
    taught = {
        name: np.stack([_drawn(y, own != number, size, seed) for number in np.unique(asked)])
        for name, (own, asked) in folds.items()
    }
    fitted = iter(fit(X, y, [used for of in taught.values() for used in of]))
    answers = {}
    for name, (_, asked) in folds.items():
        answer = np.zeros(len(truth), "uint8")
        for number in np.unique(asked):
            answer[asked == number] = predict(next(fitted), test_X[asked == number])
        found = score(truth, answer, weights=weights, clusters=clusters, **options)
        recall = {name: of["recall"] for name, of in found["classes"].items()}
        figures[name] = {key: found[key] for key in ("overall_accuracy", "weighted_f1")} | {"recall": recall}
        answers[name] = answer
    names = list(folds)
    units = np.arange(len(truth)) if clusters is None else clusters
    figures["gaps"] = {
        f"{a} - {b}": change(
            truth, answers[b], answers[a], clusters=units, weights=weights, seed=seed, classes=classes,
            min_clusters=8 if clusters is not None else len(truth) + 1,
        )["change"]
        for i, a in enumerate(names) for b in names[i + 1 :]
    }  # fmt: skip
    return figures | {"training_rows": int(sum(size.values()))}, taught


def _sizes(y: np.ndarray, folds: Mapping[str, Folds], most: int) -> dict[int, int]:
    """Training rows of each class that every fit can have; folds without any of a class do not count."""
    size = {}
    for value in np.unique(y):
        there = [
            int(((own != number) & (y == value)).sum()) for own, asked in folds.values() for number in np.unique(asked)
        ]
        # A fold that has hardly any of a class does not take it from all others.
        enough = [n for n in there if n >= 0.25 * (y == value).sum()]
        size[int(value)] = min([most, *(enough or there)])
    return size


def _drawn(y: np.ndarray, use: np.ndarray, size: Mapping[int, int], seed: int) -> np.ndarray:
    """Rows to train on, bool (n,).

    They are the first of each class in one order for all splits, so that these differ by chance least.
    """
    order = np.random.default_rng(seed).permutation(len(y))
    rows = order[use[order]]
    parts = [rows[y[rows] == value][:n] for value, n in size.items()]
    drawn = np.zeros(len(y), bool)
    drawn[np.concatenate(parts)] = True
    return drawn
