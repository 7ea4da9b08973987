"""Spatial units: the patches themselves, or their quarters where there are too few patches or only points."""

from collections.abc import Mapping

import numpy as np

WHOLE, QUARTERS = 1, 2
"""Cuts along each side: a patch is one unit, or is cut 2 x 2."""


def unit_ids(shape: tuple[int, int], cut: int) -> np.ndarray:
    """Number of the unit that each pixel belongs to, row by row from the upper left.

    Parameters
    ----------
    shape
        Of the patch, (y, x).
    cut
        Parts along each side.

    Returns
    -------
    numpy.ndarray
        uint8, (y, x), 0 .. cut * cut - 1.

    >>> unit_ids((2, 4), 2).tolist()
    [[0, 0, 1, 1], [2, 2, 3, 3]]
    """
    rows = np.arange(shape[0]) * cut // shape[0]
    columns = np.arange(shape[1]) * cut // shape[1]
    ids: np.ndarray = (rows[:, None] * cut + columns[None, :]).astype("uint8")
    return ids


def unit_name(patch: str, number: int, cut: int) -> str:
    """Name of a unit: the patch's own, or with the quarter's number after a slash.

    >>> unit_name("x0000y0001", 3, 2)
    'x0000y0001/3'
    """
    return patch if cut == WHOLE else f"{patch}/{number}"


def count_classes(labels: np.ndarray, ids: np.ndarray, *, patch: str, cut: int) -> dict[str, dict[int, int]]:
    """Labelled pixels of each unit and class; units and classes without any are left out.

    Parameters
    ----------
    labels
        Class values, uint8 (y, x), 0 = none.
    ids
        From :func:`unit_ids`, same shape.
    """
    counts: dict[str, dict[int, int]] = {}
    for number in range(cut * cut):
        values, sizes = np.unique(labels[(ids == number) & (labels > 0)], return_counts=True)
        if values.size:
            counts[unit_name(patch, number, cut)] = {
                int(value): int(size) for value, size in zip(values, sizes, strict=True)
            }
    return counts


def total(counts: Mapping[str, Mapping[int, int]]) -> dict[int, int]:
    """Pixels of each class over all units, by class value.

    >>> total({"a": {1: 2}, "b": {1: 3, 4: 1}})
    {1: 5, 4: 1}
    """
    sums: dict[int, int] = {}
    for part in counts.values():
        for value, size in part.items():
            sums[value] = sums.get(value, 0) + size
    return dict(sorted(sums.items()))
