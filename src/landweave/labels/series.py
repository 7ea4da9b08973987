"""A table of labelled series: read and checked, as features or as series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landweave.errors import InputError
from landweave.labels.columns import FeatureColumns, choose_columns, given_columns
from landweave.legend import code_text
from landweave.patch.summary import listed
from landweave.patch.tables.dates import read_moments
from landweave.patch.tables.numbers import to_numbers
from landweave.patch.tables.places import place_columns, read_degrees
from landweave.patch.tables.reading import Table, read_table_file

if TYPE_CHECKING:
    import pandas as pd

SAMPLE, DATE, START, END = "sample_id", "date", "start_date", "end_date"


@dataclass(frozen=True, kw_only=True)
class LabelledTable:
    """Features and labels of samples."""

    X: np.ndarray
    """Values as given, float32 (sample, feature), NaN where missing."""

    feature_names: tuple[str, ...]
    """From a long table ``<band>_<number of the observation>``, all bands of the first observation first."""

    labels: tuple[str, ...]
    """Class of each sample."""

    sample_ids: tuple[str, ...]
    """Name of each sample; its row number where the table gives none."""

    groups: tuple[str, ...] | None = None
    """Group of each sample, where asked for."""

    longitude: np.ndarray | None = None
    """Degrees, float64 (sample,), where known."""

    latitude: np.ndarray | None = None
    """Degrees, float64 (sample,), where known."""

    columns: tuple[str, ...] = ()
    """The columns that are features; of a long table its bands."""

    left_out: Mapping[str, str] = field(default_factory=dict)
    """Any other column to the reason why it is no feature."""

    notes: tuple[str, ...] = ()
    """What else was left out, in sentences."""


@dataclass(frozen=True, kw_only=True)
class LabelledSeries:
    """Series of samples, each with its own days."""

    bands: tuple[str, ...]
    """Names of the columns of ``values``."""

    days: tuple[np.ndarray, ...]
    """Per sample int64 (time,): days since its ``start_date``, else since its first date; strictly rising."""

    values: tuple[np.ndarray, ...]
    """Per sample float64 (time, band): values as given, NaN where missing."""

    labels: tuple[str, ...]
    """Class of each sample."""

    sample_ids: tuple[str, ...]
    """Name of each sample."""

    longitude: np.ndarray | None = None
    """Degrees, float64 (sample,), where known."""

    latitude: np.ndarray | None = None
    """Degrees, float64 (sample,), where known."""

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Any other column of the samples table, as text: name to one entry a sample."""

    notes: tuple[str, ...] = ()
    """What was left out, in sentences."""


def read_table(
    table: str | Path,
    *,
    samples: str | Path | None = None,
    label: str = "label",
    group: str | None = None,
    columns: Sequence[str] | None = None,
) -> LabelledTable:
    """Read a table for cross-validation.

    Parameters
    ----------
    table
        CSV or Parquet. Long form: ``sample_id, date`` and a column a band; wide form: the label and numeric columns.
    samples
        The samples table of a long one; without it ``X_timeseries.*`` looks for ``X_samples.csv``.
    label, group
        Columns of the class and of the group.
    columns
        The features; without it :func:`landweave.labels.columns.choose_columns` chooses them.

    Returns
    -------
    LabelledTable
        In the order of the samples table (long) or of the rows (wide). In long form the k-th observation of each
        sample, in date order, is feature k.

    Raises
    ------
    InputError
        For a missing or unreadable file, no or missing labels, an unknown group column (what there is, is listed),
        no features, a date or number that cannot be read (with its row), a sample that occurs twice or has two labels,
        or samples with another number of observations than the others (they are named).
    """
    read = read_table_file(table)
    if not {SAMPLE, DATE} <= set(read.frame.columns):
        return _wide(read, label=label, group=group, columns=columns)
    long = _long(read, samples, label=label, group=group, columns=columns)
    lengths = {name: len(rows) for name, rows in zip(long.names, long.rows, strict=True)}
    usual = max(sorted(set(lengths.values())), key=list(lengths.values()).count)
    others = [f"{name} ({length})" for name, length in lengths.items() if length != usual]
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        raise InputError(
            f"{table}: samples have {usual} observations, except {', '.join(others[:5])}{more}; "
            "all samples need the same number, or --step-days to interpolate them to common days."
        )
    values = np.stack([values.astype("float32") for values in long.columns.values.values()], axis=-1)
    longitude, latitude = read_degrees(long.facts) or (None, None)
    return LabelledTable(
        X=np.stack([values[rows].ravel() for rows in long.rows]),
        feature_names=tuple(f"{band}_{k:03d}" for k in range(usual) for band in long.columns.values),
        labels=_labels(long.facts, label),
        sample_ids=long.names,
        groups=_groups(long.facts, group),
        longitude=longitude,
        latitude=latitude,
        columns=tuple(long.columns.values),
        left_out=long.columns.left_out,
        notes=long.notes,
    )


def read_series(
    table: str | Path,
    *,
    samples: str | Path | None = None,
    label: str = "label",
    bands: Sequence[str] | None = None,
) -> LabelledSeries:
    """Read a long table for training a model for rasters; arguments and errors as for :func:`read_table`.

    Series may differ in length and dates; they are aligned by days since each sample's ``start_date``. With ``bands``
    these columns alone are read. A sample with two rows of a day, or that ends before its start, is an InputError.
    """
    read = read_table_file(table)
    missing = [name for name in (SAMPLE, DATE) if name not in read.frame]
    if missing:
        raise InputError(f"{table}: no column {missing[0]!r}; a model for rasters needs sample_id, date and bands.")
    long = _long(read, samples, label=label, group=None, columns=bands)
    starts = _starts(long.facts)
    matrix = np.stack(list(long.columns.values.values()), axis=-1)
    dates, days = long.moments.astype("datetime64[D]"), []
    for name, rows, start in zip(long.names, long.rows, starts, strict=True):
        own = (dates[rows] - (dates[rows[0]] if np.isnat(start) else start)).astype("int64")
        again = np.flatnonzero(np.diff(own) == 0)
        if again.size:
            raise InputError(f"{table}: sample {name} has two rows of {dates[rows[again[0]]]}; keep one.")
        if own[-1] < 0:
            raise InputError(
                f"{long.facts.path}: sample {name} starts on {start}, after its last observation in {read.path.name} "
                f"({dates[rows[-1]]}); correct its {START}."
            )
        days.append(own)
    longitude, latitude = read_degrees(long.facts) or (None, None)
    known = {label, SAMPLE, *(place_columns(long.facts) or ()), START, END}
    facts = long.facts.frame
    return LabelledSeries(
        bands=tuple(long.columns.values),
        days=tuple(days),
        values=tuple(matrix[rows] for rows in long.rows),
        labels=_labels(long.facts, label),
        sample_ids=long.names,
        longitude=longitude,
        latitude=latitude,
        groups={name: _texts(facts[name]) for name in facts.columns if name not in known},
        notes=long.notes,
    )


def samples_path(table: Path, samples: str | Path | None) -> Path | None:
    """The samples table of a long one: the one given, else ``X_samples.csv`` beside ``X_timeseries.*``, if there."""
    if samples is not None:
        return Path(samples)
    if table.stem.endswith("_timeseries"):
        beside = table.with_name(table.stem.removesuffix("_timeseries") + "_samples.csv")
        return beside if beside.is_file() else None
    return None


def _wide(table: Table, *, label: str, group: str | None, columns: Sequence[str] | None) -> LabelledTable:
    labels = _labels(table, label)
    uses = _uses(label, group)
    chosen = choose_columns(table, uses, labels) if columns is None else given_columns(table, columns, uses)
    names = _texts(table.frame[SAMPLE]) if SAMPLE in table.frame else tuple(map(str, range(len(labels))))
    if group != SAMPLE:
        _refuse_twice(table, names)
    longitude, latitude = read_degrees(table) or (None, None)
    return LabelledTable(
        X=np.stack([values.astype("float32") for values in chosen.values.values()], axis=-1),
        feature_names=tuple(chosen.values),
        labels=labels,
        sample_ids=names,
        groups=_groups(table, group),
        longitude=longitude,
        latitude=latitude,
        columns=tuple(chosen.values),
        left_out=chosen.left_out,
    )


@dataclass(frozen=True, kw_only=True)
class _Long:
    facts: Table
    """A row a sample."""
    names: tuple[str, ...]
    rows: tuple[np.ndarray, ...]
    """Of each sample its rows in the series, in order of time."""
    moments: np.ndarray
    columns: FeatureColumns
    notes: tuple[str, ...]


def _long(
    table: Table, samples: str | Path | None, *, label: str, group: str | None, columns: Sequence[str] | None
) -> _Long:
    frame = table.frame
    moments = read_moments(frame[DATE], table.where)
    owners = np.array(_names(table), object)
    known, first, codes = np.unique(owners, return_index=True, return_inverse=True)
    order = np.lexsort((moments, codes))
    twice = np.flatnonzero((np.diff(codes[order]) == 0) & (np.diff(moments[order]) == np.timedelta64(0)))
    if twice.size:
        row = order[twice[0] + 1]
        moment = str(moments[row].astype("datetime64[s]")).removesuffix("T00:00:00")
        raise InputError(f"{table.path}: sample {owners[row]} has two rows of {moment}; keep one.")
    rows = dict(zip(known.tolist(), np.split(order, np.flatnonzero(np.diff(codes[order])) + 1), strict=True))
    path = samples_path(table.path, samples)
    if path is not None:
        facts = read_table_file(path, "table of samples")
    elif label in frame:
        _refuse_changes(table, codes, first, [label, group, START, END, *(place_columns(table) or ())])
        facts = table.take(np.sort(first))
    else:
        raise InputError(
            f"{table.path}: no column {label!r} and no samples table beside it; give one with sample_id and {label}."
        )
    names = _names(facts)
    _refuse_twice(facts, names)
    nameless = [name for name in rows if name not in set(names)]
    if nameless:
        raise InputError(f"{facts.path}: no row for sample {', '.join(nameless[:5])} of {table.path.name}; add it.")
    of_sample = dict(zip(names, _labels(facts, label), strict=True))
    uses = {SAMPLE: "names of samples", **_uses(label, group)}
    labels = np.array([of_sample[name] for name in known], object)[codes]
    chosen = (
        choose_columns(table, uses, labels.tolist(), samples=codes)
        if columns is None
        else given_columns(table, columns, uses)
    )
    there = np.array([i for i, name in enumerate(names) if name in rows])
    absent = [name for name in names if name not in rows]
    notes = (
        (f"{len(absent)} samples of {facts.path.name} have no rows in {table.path.name}: {listed(absent)}; left out.",)
        if absent
        else ()
    )
    others = {
        name: f"in {facts.path.name}, which describes samples" for name in facts.frame.columns if name not in frame
    }
    chosen = FeatureColumns(values=chosen.values, left_out={**chosen.left_out, **others})
    used = tuple(names[i] for i in there)
    return _Long(
        facts=facts.take(there), names=used, rows=tuple(rows[name] for name in used), moments=moments, columns=chosen,
        notes=notes,
    )  # fmt: skip


def _uses(label: str, group: str | None) -> dict[str, str]:
    uses = {DATE: "dates", START: "dates", END: "dates", label: "the labels"}
    return uses if group is None else {**uses, group: "the groups"}


def _texts(column: "pd.Series") -> tuple[str, ...]:
    import pandas as pd

    codes, distinct = pd.factorize(column, use_na_sentinel=False)
    texts = [code_text(value) for value in distinct]
    return tuple(texts[code] for code in codes.tolist())


def _names(table: Table) -> tuple[str, ...]:
    names = _texts(table.column(SAMPLE))
    if "" in names:
        raise InputError(f"{table.where(names.index(''))}: no {SAMPLE}; fill it in or remove the row.")
    return names


def _refuse_twice(table: Table, names: Sequence[str]) -> None:
    rows: dict[str, int] = {}
    for row, name in enumerate(names):
        if name in rows and name:
            raise InputError(
                f"{table.where(row)}: sample {name} occurs twice (first in row {rows[name] + 1}); keep one row."
            )
        rows[name] = row


def _refuse_changes(table: Table, codes: np.ndarray, first: np.ndarray, columns: Sequence[str | None]) -> None:
    """InputError where a sample's rows disagree about the sample."""
    for name in columns:
        if name in table.frame:
            texts = np.array(_texts(table.frame[name]), object)
            other = np.flatnonzero(texts != texts[first][codes])
            if other.size:
                row = int(other[0])
                raise InputError(
                    f"{table.where(row)}: {name} is {texts[row]!r}, but {texts[first][codes][row]!r} in row "
                    f"{first[codes[row]] + 1} of the same sample; correct one of them."
                )


def _labels(table: Table, label: str) -> tuple[str, ...]:
    labels = _texts(table.column(label, ", so no labels"))
    bare = labels.count("")
    if bare:
        raise InputError(
            f"{table.where(labels.index(''))}: no {label} ({bare} rows without one); fill it in or remove the row."
        )
    return labels


def _groups(table: Table, group: str | None) -> tuple[str, ...] | None:
    if group is None:
        return None
    if group not in table.frame:
        there = ", ".join(name for name in table.frame.columns if name != SAMPLE and _may_group(table.frame[name]))
        raise InputError(f"{table.path}: no group column {group!r}; there are {there or 'none'}.")
    groups = _texts(table.frame[group])
    if "" in groups:
        raise InputError(f"{table.where(groups.index(''))}: no {group}; every sample needs its group.")
    return groups


def _may_group(column: "pd.Series") -> bool:
    numbers = to_numbers(column)
    return bool(numbers.stray.any() or not (numbers.values % 1).any())


def _starts(facts: Table) -> np.ndarray:
    """First day of each sample, datetime64[D] (sample,), NaT where the table gives none."""
    starts = np.full(len(facts.frame), "NaT", "datetime64[D]")
    if START in facts.frame:
        given = np.flatnonzero([bool(text) for text in _texts(facts.frame[START])])
        some = facts.take(given)
        starts[given] = read_moments(some.frame[START], lambda row: f"{some.where(row)}, {START}").astype(starts.dtype)
    return starts
