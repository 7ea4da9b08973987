"""Confident learning: which labels are doubtful, by probabilities of a model that never saw them."""

from dataclasses import dataclass

import numpy as np

from landweave.errors import InputError


@dataclass(frozen=True, kw_only=True)
class DoubtfulLabels:
    """What held-out probabilities say of the labels."""

    thresholds: np.ndarray
    """Mean probability of each class over the items labelled so, (k,); NaN where no item is."""

    suggested: np.ndarray
    """Column of the class that an item is confidently counted in, int64 (n,); -1 where none is reached."""

    joint: np.ndarray
    """Items by label (rows) and suggested class (columns), int64 (k, k)."""

    is_doubtful: np.ndarray
    """bool (n,): confidently counted in another class than its label."""


def doubtful_labels(labels: np.ndarray, p: np.ndarray, *, thresholds: np.ndarray | None = None) -> DoubtfulLabels:
    """An item counts in class j where p_j >= t_j, the largest such p_j; t_j is the mean p_j of items labelled j.

    Northcutt, Jiang and Chuang 2021 (Journal of Artificial Intelligence Research 70:1373), equations 1 and 2.

    Parameters
    ----------
    labels
        Column of each item's label, (n,).
    p
        Probabilities of a model that did not see the item, (n, k).
    thresholds
        Of the classes, (k,), NaN where a class cannot be reached; None: the mean that the first line says. Given
        where the items are a part of all.

    Raises
    ------
    InputError
        When shapes do not fit or a label is no column.

    >>> doubtful_labels(np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.95, 0.05]])).joint
    array([[1, 0],
           [1, 1]])
    """
    labels, p = np.asarray(labels, "int64"), np.asarray(p, "float64")
    if p.ndim != 2 or len(p) != len(labels):
        raise InputError(f"probabilities {p.shape} and {len(labels)} labels do not fit; give one row per item.")
    k = p.shape[1]
    if len(labels) and (labels.min() < 0 or labels.max() >= k):
        raise InputError(
            f"labels range from {labels.min()} to {labels.max()}; they must be column numbers 0 to {k - 1}."
        )
    if thresholds is None:
        thresholds = self_confidence(labels, p)
    # The mean of equal numbers may exceed them by rounding; a NaN threshold is never reached.
    reached = p >= thresholds - 1e-9
    suggested = np.where(reached.any(axis=1), np.where(reached, p, -np.inf).argmax(axis=1), -1)
    counted = suggested >= 0
    joint = np.bincount(labels[counted] * k + suggested[counted], minlength=k * k).reshape(k, k)
    return DoubtfulLabels(
        thresholds=thresholds, suggested=suggested, joint=joint, is_doubtful=counted & (suggested != labels)
    )


def self_confidence(labels: np.ndarray, p: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Mean probability of each class over the items labelled so: float64 (k,), NaN where no item is.

    Parameters
    ----------
    labels
        Column of each item's label, (n,).
    p
        Probabilities of a model that did not see the item, (n, k).
    weights
        What each item stands for, (n,); None counts every item alike.

    >>> p = np.array([[0.9, 0.1], [0.5, 0.5], [0.4, 0.6]])
    >>> self_confidence(np.array([0, 0, 1]), p, np.array([1, 3, 1])).tolist()
    [0.6, 0.6]
    """
    land = np.ones(len(labels)) if weights is None else np.asarray(weights, "float64")
    own = np.asarray(p, "float64")[np.arange(len(labels)), labels]
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.bincount(labels, own * land, minlength=p.shape[1]) / np.bincount(labels, land, minlength=p.shape[1])
        )
