"""Samples of a table dealt into folds: at random, by group, or by square of land."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from landweave.errors import InputError


def random_folds(labels: Sequence[str], k: int = 5, seed: int = 42) -> np.ndarray:
    """Fold of each sample, 0..k-1, int64: shuffled, each class spread evenly (scikit-learn's StratifiedKFold).

    Raises
    ------
    InputError
        For fewer than two classes, fewer than two folds, or fewer samples than folds.
    """
    from sklearn.model_selection import StratifiedKFold

    _check_folds(labels, k, len(labels), "samples")
    return _fold_numbers(StratifiedKFold(k, shuffle=True, random_state=seed), labels, None)


def group_folds(groups: Sequence[str], labels: Sequence[str], k: int = 5, seed: int = 42) -> np.ndarray:
    """Fold of each sample, no group in two folds, classes spread evenly (scikit-learn's StratifiedGroupKFold).

    Raises
    ------
    InputError
        For fewer than two classes, fewer than two folds, or fewer groups than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    _check_folds(labels, k, len(set(groups)), "groups")
    return _fold_numbers(StratifiedGroupKFold(k, shuffle=True, random_state=seed), labels, groups)


def block_ids(longitude: np.ndarray, latitude: np.ndarray, size: float = 0.1) -> list[str]:
    """The square of ``size`` degrees that holds each place, as text.

    >>> block_ids(np.array([-46.197]), np.array([-12.434]))
    ['-462_-125']
    """
    if size <= 0:
        raise InputError(f"The block size is {size:g} degrees; give a positive one.")
    # Rounded first: -46.2 / 0.1 is not quite -462.
    columns, rows = (np.floor(np.round(np.asarray(c, "float64") / size, 6)) for c in (longitude, latitude))
    return [f"{int(column)}_{int(row)}" for column, row in zip(columns, rows, strict=True)]


def check_labels(labels: Sequence[str]) -> None:
    """InputError where there are fewer than two classes."""
    found = sorted(set(labels))
    if len(found) < 2:
        raise InputError(
            f"All samples have the class {found[0]!r}; at least two classes are needed."
            if found
            else "There are no samples; at least two classes are needed."
        )


def _check_folds(labels: Sequence[str], k: int, units: int, what: str) -> None:
    check_labels(labels)
    if k < 2:
        raise InputError(f"{k} folds; cross-validation needs at least two.")
    if units < k:
        raise InputError(f"{units} {what} are too few for {k} folds; use fewer folds or more {what}.")


def _fold_numbers(splitter: Any, labels: Sequence[str], groups: Sequence[str] | None) -> np.ndarray:
    import warnings

    folds = np.zeros(len(labels), "int64")
    try:
        with warnings.catch_warnings():
            # A class with fewer samples than folds is absent from some: no fault of the table.
            warnings.filterwarnings("ignore", message="The least populated class")
            for number, (_, held) in enumerate(splitter.split(np.zeros(len(labels)), labels, groups)):
                folds[held] = number
    except ValueError:
        raise InputError(
            f"Every class has fewer samples than the {splitter.n_splits} folds; use fewer folds."
        ) from None
    return folds
