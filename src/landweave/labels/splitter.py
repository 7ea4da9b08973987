"""Whole patches or blocks held out in turn, as a splitter of scikit-learn."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.model_selection import GroupKFold

from landweave.errors import InputError
from landweave.labels.split import TEST, choose_folds, choose_split


class PatchSplit(GroupKFold):  # type: ignore[misc]
    """Hold out whole patches or blocks, as a run does: ``cross_validate(..., groups=patches, cv=PatchSplit())``.

    Neighbouring pixels are alike. Where they are on both sides of a split, scores are too high; so the groups of rows
    are patches, or blocks made by :meth:`blocks`. A class that is in two groups or more is never in one fold alone,
    wherever that is possible; then the classes are spread evenly.

    Parameters
    ----------
    n_splits
        Folds, at least 2. Ignored with ``test_fraction``.
    test_fraction
        Share of the groups, over 0 and under 1, to hold out once instead of folds. None: folds.
    seed
        Decides among splits that are equally good. The split depends on it and on the groups' names and classes,
        not on the order of the rows.

    Examples
    --------
    >>> y = np.array([1, 2, 1, 2, 1, 1])
    >>> patches = np.array(["a", "a", "b", "b", "c", "d"])
    >>> for train, test in PatchSplit(2).split(y, y, patches):
    ...     print(*np.unique(patches[train]), "|", *np.unique(patches[test]))
    a c | b d
    b d | a c
    """

    def __init__(self, n_splits: int = 5, *, test_fraction: float | None = None, seed: int = 42) -> None:
        if n_splits < 2 and test_fraction is None:
            raise InputError(f"PatchSplit: n_splits = {n_splits}; give at least 2, or a test_fraction.")
        if test_fraction is not None and not 0 < test_fraction < 1:
            raise InputError(
                f"PatchSplit: test_fraction = {test_fraction:g}; give a share between 0 and 1, such as 0.2."
            )
        self.n_splits = n_splits
        self.test_fraction = test_fraction
        self.seed = seed

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:  # noqa: ARG002
        """Number of splits: ``n_splits``, or 1 with ``test_fraction``."""
        return 1 if self.test_fraction is not None else self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Indices of the training rows and of the test rows, int64, rising.

        Parameters
        ----------
        X
            (n, ...) rows; only their number counts.
        y
            (n,) classes, numbers or text. None: the classes are not looked at.
        groups
            (n,) patch or block of each row.

        Raises
        ------
        InputError
            Without groups, with fewer groups than folds, or where the lengths differ.
        """
        from sklearn.utils.validation import _num_samples

        number = int(_num_samples(X))
        if groups is None:
            raise InputError("PatchSplit: give groups, the patch of each row, or PatchSplit.blocks(x, y, side).")
        names, unit = np.unique(np.asarray(groups).astype(str), return_inverse=True)
        label = np.zeros(number, "int64") if y is None else np.unique(np.asarray(y), return_inverse=True)[1].ravel()
        if not unit.shape == label.shape == (number,):
            raise InputError(
                f"PatchSplit: X has {number} rows, y {len(label)} and groups {unit.shape}; give one of each per row."
            )
        needed = 2 if self.test_fraction is not None else self.n_splits
        if len(names) < needed:
            raise InputError(
                f"PatchSplit: {len(names)} groups are too few for {needed} folds; lower n_splits or use smaller blocks."
            )
        # Class 0 is reserved for "none".
        table = np.zeros((len(names), int(label.max()) + 1), "int64")
        np.add.at(table, (unit, label), 1)
        counts = {str(name): {c + 1: int(n) for c, n in enumerate(row)} for name, row in zip(names, table, strict=True)}
        if self.test_fraction is not None:
            sides = choose_split(counts, test_fraction=self.test_fraction, seed=self.seed)
            tested = [np.array([sides[name] == TEST for name in names])]
        else:
            folds = choose_folds(counts, k=self.n_splits, seed=self.seed)
            of_name = np.array([folds[name] for name in names])
            tested = [of_name == n for n in range(self.n_splits)]
        for units in tested:
            rows = units[unit]
            yield np.flatnonzero(~rows), np.flatnonzero(rows)

    @staticmethod
    def blocks(x: Any, y: Any, side: float) -> np.ndarray:
        """The square block that holds each place, as text: groups for points without patches.

        Parameters
        ----------
        x, y
            (n,) coordinates in the units of a CRS, metres or degrees.
        side
            Side of a block in the same units, over 0. Choose it larger than the distance over which pixels are alike.

        Returns
        -------
        numpy.ndarray
            Text (n,), ``"<column>_<row>"``, counted from the origin of the CRS.

        Raises
        ------
        InputError
            For a side that is not over 0, coordinates that are not finite, or lengths that differ.

        >>> PatchSplit.blocks([500_010, 501_990], [5_100_000, 5_100_000], 1000).tolist()
        ['500_5100', '501_5100']
        """
        if not (np.isfinite(side) and side > 0):
            raise InputError(f"PatchSplit.blocks: side = {side:g}; give a length over 0.")
        columns, rows = (np.asarray(c, "float64") for c in (x, y))
        if columns.ndim != 1 or columns.shape != rows.shape:
            raise InputError(
                f"PatchSplit.blocks: x {columns.shape} and y {rows.shape}; give two lists of equal length."
            )
        if not (np.isfinite(columns).all() and np.isfinite(rows).all()):
            raise InputError("PatchSplit.blocks: some coordinates are not finite; leave these rows out.")
        # Rounded first: -46.2 / 0.1 is not quite -462.
        whole = [np.floor(np.round(c / side, 6)).astype("int64").astype(str) for c in (columns, rows)]
        return np.char.add(np.char.add(whole[0], "_"), whole[1])
