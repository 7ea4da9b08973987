"""Which columns of a table are features, and why the others are not."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from landweave.errors import InputError
from landweave.patch.tables.dates import looks_like_dates
from landweave.patch.tables.numbers import NumberColumn, refuse_cell, to_numbers
from landweave.patch.tables.reading import Table

JUDGED_ROWS = 10
"""From so many rows on, values say whether a column is a running number or repeats the label; fewer may by chance."""

NOT_ASKED = "no feature of the model"
"""The reason of a column that might be a feature, where another table gives the features."""

_PLACES = frozenset(
    ("x", "y", "lon", "lat", "long", "lng", "longitude", "latitude", "easting", "northing", "utm_x", "utm_y", "coord_x",
     "coord_y", "x_coord", "y_coord", "xcoord", "ycoord", "geometry", "geom", "the_geom", "wkt", "wkb", ".geo")
)  # fmt: skip
_OURS = frozenset(("label", "group", "fold", "split", "block", "weight", "core", "thin", "piece"))
_RUNNING = re.compile(
    r"(.*[_ .:-])?(fid|id|oid|gid|uid|uuid|guid|objectid)|id[_ .:-].*|(system:)?index|rowid|unnamed: [0-9]+"
    r"|level_[0-9]+|__index_level_[0-9]+__"
    r"|(sample|point|plot|pixel|polygon|parcel|patch|site|row|record|feature)[_ .-]?(id|nr|no|num|number|index)"
)


@dataclass(frozen=True, kw_only=True)
class FeatureColumns:
    """The features of a table; made by :func:`choose_columns` or :func:`given_columns`."""

    values: dict[str, np.ndarray]
    """Column to its numbers, float64 (row,), NaN where missing, in the order of the table."""

    left_out: dict[str, str] = field(default_factory=dict)
    """Any other column to the reason why it is no feature."""


def reason_of_name(name: str) -> str | None:
    """Why a column is no feature, as far as its name shows; case does not matter.

    >>> reason_of_name("Lon"), reason_of_name("OBJECTID"), reason_of_name("B04")
    ('a place, by its name', 'an identifier or running number, by its name', None)
    """
    folded = name.strip().lower()
    if folded in _PLACES:
        return "a place, by its name"
    if folded in _OURS:
        return "for splits and weights, by its name"
    if _RUNNING.fullmatch(folded):
        return "an identifier or running number, by its name"
    return None


def choose_columns(
    table: Table, named: Mapping[str, str], labels: Sequence[str], *, samples: np.ndarray | None = None
) -> FeatureColumns:
    """Divide the columns of a table into features and others.

    Parameters
    ----------
    table
        The table.
    named
        Column that has another use to what it is, such as ``the labels``.
    labels
        Class of each row.
    samples
        Of a long table the number of each row's sample, int64 (row,).

    Returns
    -------
    FeatureColumns
        Left out are columns by their name (:func:`reason_of_name`), text and dates, columns without any value or with
        one value throughout, and from 10 rows on running numbers and columns that have one value for each label.

    Raises
    ------
    InputError
        For a column of numbers with a cell that is none, such as a decimal comma or a stray word; for an infinite
        value; and where no feature is left (each column is named with its reason).
    """
    _, label = np.unique(np.asarray(labels, object).astype(str), return_inverse=True)
    values: dict[str, np.ndarray] = {}
    left_out: dict[str, str] = {}
    for name in table.frame.columns:
        reason = named.get(name) or reason_of_name(name)
        if reason is None:
            numbers = to_numbers(table.frame[name], table.decimal)
            reason = _reason_of_kind(table, name, numbers) or _reason_of_values(numbers.values, label, samples)
        if reason is None:
            values[name] = _finite(table, name, numbers.values)
        else:
            left_out[name] = reason
    if not values:
        told = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(f"{table.path}: no numeric columns to learn from ({told}).")
    return FeatureColumns(values=values, left_out=left_out)


def given_columns(table: Table, features: Sequence[str], named: Mapping[str, str]) -> FeatureColumns:
    """The columns that another table has as features; all others are left out.

    Raises
    ------
    InputError
        For a feature that the table lacks, or that it has not as numbers.
    """
    missing = [name for name in features if name not in table.frame]
    if missing:
        raise InputError(
            f"{table.path}: no column {missing[0]!r}, which is a feature; it has {', '.join(table.frame.columns)}."
        )
    values = {}
    for name in features:
        numbers = to_numbers(table.frame[name], table.decimal)
        stray = np.flatnonzero(numbers.stray)
        if stray.size:
            refuse_cell(table, name, int(stray[0]))
        values[name] = _finite(table, name, numbers.values)
    others = [name for name in table.frame.columns if name not in values]
    return FeatureColumns(
        values=values,
        left_out={name: named.get(name) or reason_of_name(name) or NOT_ASKED for name in others},
    )


def _reason_of_kind(table: Table, name: str, numbers: NumberColumn) -> str | None:
    column = table.frame[name]
    stray, good = int(numbers.stray.sum()), int(np.isfinite(numbers.values).sum())
    if not stray:
        whole = numbers.values[np.isfinite(numbers.values)]
        # 20200131 and the like: no reflectance, count or height has eight digits that are dates throughout.
        if whole.size and whole.min() >= 19_000_101 and whole.max() <= 21_991_231 and not (whole % 1).any():
            return "dates" if looks_like_dates(np.unique(whole).astype("int64").astype(str)) else None
        return None
    like = int(numbers.like.sum())
    if good + like >= stray - like and good + like:
        refuse_cell(table, name, int(np.flatnonzero(numbers.stray)[0]))
    if str(column.dtype).startswith("datetime") or looks_like_dates(column.dropna().unique()):
        return "dates"
    return f"text ({good + like} of its {stray + good} values are numbers)" if good + like else "text"


def _reason_of_values(values: np.ndarray, label: np.ndarray, samples: np.ndarray | None) -> str | None:
    there = ~np.isnan(values)
    if not there.any():
        return "no value in any row"
    if not there.all():
        return None
    if len(values) > 1 and (values == values[0]).all():
        return "the same value in every row"
    if _runs(values):
        return "a running number: its values follow the rows"
    if samples is not None:
        first = np.unique(samples, return_index=True)[1]
        if (values == values[first][samples]).all() and _runs(values[np.sort(first)]):
            return "a running number: its values follow the samples"
    return "one value for each label, so it repeats the label" if _repeats(values, label) else None


def _runs(values: np.ndarray) -> bool:
    """Evenly spaced in the order of rows, whole numbers that only rise or fall, or consecutive ones in any order."""
    if len(values) < JUDGED_ROWS or not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    if np.allclose(steps, steps[0], rtol=1e-6, atol=0) and steps[0]:
        return True
    if (values % 1).any():
        return False
    return bool((steps > 0).all() or (steps < 0).all() or (np.diff(np.sort(values)) == 1).all())


def _repeats(values: np.ndarray, label: np.ndarray) -> bool:
    counts = np.bincount(label)
    # Where most classes have a single row, one value for each label says nothing.
    if len(values) < JUDGED_ROWS or len(counts) < 2 or counts[counts > 1].sum() * 2 < len(values):
        return False
    first = np.unique(label, return_index=True)[1]
    return bool((values == values[first][label]).all())


def _finite(table: Table, name: str, values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        endless = np.flatnonzero(np.isinf(values.astype("float32")))
    if endless.size:
        row = int(endless[0])
        raise InputError(
            f"{table.where(row)}: {name} is {table.frame[name].iloc[row]!s}, which is no finite number "
            f"({endless.size} rows); leave the cell empty where nothing was measured."
        )
    return values
