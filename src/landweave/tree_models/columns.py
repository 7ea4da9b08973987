"""What the nodes of a forest ask of its features, so that a byte answers every question about a value.

A value's *rank* is the number of a column's thresholds below it. A node goes right where the rank is over the number of
its own threshold, and this is exactly where the value is over the threshold.
"""

from dataclasses import dataclass

import numpy as np

from landweave.tree_models.text import MISSING_NONE, MISSING_ZERO, Forest

MOST_THRESHOLDS = 255
"""Of a column, so that a rank is a byte; what is more goes into a further column."""

NEARLY_ZERO = float(np.float32(1e-35))
"""Values up to it, in size, are zero to LightGBM where zero means missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """A *column* is a feature as some of the nodes see it: thresholds, and one rule for missing values.

    Rank 0 also means "always left", and 255 "always right".
    """

    feature: np.ndarray
    """int64 (columns,), rising."""

    thresholds: np.ndarray
    """float64 (columns, 255), rising, the rest infinity."""

    of_nan: np.ndarray
    """uint8 (columns,): the rank of NaN."""

    of_zero: np.ndarray
    """uint8 (columns,): the rank of 0."""

    column: np.ndarray
    """int64 (nodes,): the column that a node looks at."""

    rank: np.ndarray
    """uint8 (nodes,): the number of its threshold; right where the value's rank is over it."""


def columns_of(forest: Forest) -> Columns:
    """Every feature once for each rule for missing values, and again for every further 255 thresholds."""
    missing = forest.missing_type.astype("int64")
    # Rules 1 and 2: zero and NaN are missing, and go left or right; 3 and 4: NaN is; 0: NaN is compared as 0.
    rule = np.where(missing == MISSING_NONE, 0, 2 * missing - forest.default_left)
    key = forest.split_feature * 8 + rule
    column, rank = np.zeros(key.size, "int64"), np.zeros(key.size, "uint8")
    keys: list[int] = []
    parts: list[np.ndarray] = []
    order = np.argsort(key, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(key[order])) + 1) if key.size else []:
        values, places = np.unique(forest.threshold[own], return_inverse=True)
        column[own], rank[own] = len(parts) + places // MOST_THRESHOLDS, places % MOST_THRESHOLDS
        parts += [values[at : at + MOST_THRESHOLDS] for at in range(0, values.size, MOST_THRESHOLDS)]
        keys += [int(key[own[0]])] * (len(parts) - len(keys))
    feature, rules = np.divmod(np.array(keys, "int64"), 8)
    aside = np.where(rules % 2 == 1, 0, MOST_THRESHOLDS)
    of_zero = np.array([np.searchsorted(values, 0.0) for values in parts], "int64")
    of_zero = np.where((rules > 0) & (rules <= 2 * MISSING_ZERO), aside, of_zero)
    thresholds = np.full((len(parts), MOST_THRESHOLDS), np.inf)
    for row, values in zip(thresholds, parts, strict=True):
        row[: values.size] = values
    return Columns(
        feature=feature,
        thresholds=thresholds,
        of_nan=np.where(rules > 0, aside, of_zero).astype("uint8"),
        of_zero=of_zero.astype("uint8"),
        column=column,
        rank=rank,
    )


def rank_codes(columns: Columns, *, unit: float = 1.0, nodata: int | None = None) -> np.ndarray:
    """Ranks of every int16, divided by ``unit``.

    Parameters
    ----------
    unit
        What whole numbers are divided by before the model sees them.
    nodata
        The whole number that stands for NaN.

    Returns
    -------
    numpy.ndarray
        uint8 (columns, 65536), by the number's bits taken as uint16.
    """
    numbers = np.arange(-32768, 32768)
    values = numbers / unit
    out = np.empty((columns.feature.size, values.size), "uint8")
    for row, thresholds in zip(out, columns.thresholds, strict=True):
        # Where the ranks rise: far fewer places to look for than there are numbers.
        rises = np.searchsorted(values, thresholds[thresholds < np.inf], side="right")
        counts = np.diff(np.concatenate([[0], rises, [values.size]]))
        row[:] = np.repeat(np.arange(counts.size, dtype="uint8"), counts)
    out[:, np.abs(values) <= NEARLY_ZERO] = columns.of_zero[:, None]
    if nodata is not None:
        out[:, numbers == nodata] = columns.of_nan[:, None]
    return np.roll(out, values.size // 2, axis=1)
