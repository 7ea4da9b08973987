"""A table of labelled series: read and checked, as features or as series, and dealt into folds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.errors import InputError
from landweave.legend import code_text

if TYPE_CHECKING:
    import pandas as pd

SAMPLE, DATE = "sample_id", "date"

NOT_FEATURES = (
    "label", "group", "fold", "split", "block", "x", "y", "longitude", "latitude", "weight", "core", "thin", "piece"
)  # fmt: skip
"""Columns that are no features, besides the columns named as label and group and any name ending in ``_id``."""


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


def read_table(
    table: str | Path, *, samples: str | Path | None = None, label: str = "label", group: str | None = None
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

    Returns
    -------
    LabelledTable
        In the order of the samples table (long) or of the rows (wide). In long form the k-th observation of each
        sample, in date order, is feature k.

    Raises
    ------
    InputError
        For a missing or unreadable file, no or missing labels, an unknown group column (what there is, is listed),
        no features, or samples with another number of observations than the others (they are named).
    """
    frame = _read(Path(table))
    if not {SAMPLE, DATE} <= set(frame.columns):
        return _wide(frame, Path(table), label=label, group=group)
    facts, bands, pieces = _long(frame, Path(table), samples, label=label, group=group)
    lengths = {name: len(piece) for name, piece in pieces.items()}
    usual = max(sorted(set(lengths.values())), key=list(lengths.values()).count)
    others = [f"{name} ({length})" for name, length in lengths.items() if length != usual]
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        raise InputError(
            f"{table}: samples have {usual} observations, except {', '.join(others[:5])}{more}; "
            "all samples need the same number."
        )
    values = np.stack([piece[bands].to_numpy("float32").ravel() for piece in pieces.values()])
    return LabelledTable(
        X=values,
        feature_names=tuple(f"{band}_{k:03d}" for k in range(usual) for band in bands),
        labels=_labels(facts, label, table),
        sample_ids=tuple(facts.index),
        groups=_groups(facts, group, table),
        longitude=_degrees(facts, "longitude"),
        latitude=_degrees(facts, "latitude"),
    )


def read_series(table: str | Path, *, samples: str | Path | None = None, label: str = "label") -> LabelledSeries:
    """Read a long table for training a model for rasters; arguments and errors as for :func:`read_table`.

    Series may differ in length and dates; they are aligned by days since each sample's ``start_date``.
    """
    frame = _read(Path(table))
    if not {SAMPLE, DATE} <= set(frame.columns):
        missing = SAMPLE if SAMPLE not in frame.columns else DATE
        raise InputError(f"{table}: no column {missing!r}; a model for rasters needs sample_id, date and bands.")
    facts, bands, pieces = _long(frame, Path(table), samples, label=label, group=None)
    days = []
    for name, piece in pieces.items():
        start = _date(facts.loc[name, "start_date"], table, name) if "start_date" in facts else None
        dates = piece[DATE].to_numpy("datetime64[D]")
        days.append((dates - (start if start is not None else dates[0])).astype("int64"))
    known = {label, "longitude", "latitude", "start_date", "end_date"}
    return LabelledSeries(
        bands=tuple(bands),
        days=tuple(days),
        values=tuple(piece[bands].to_numpy("float64") for piece in pieces.values()),
        labels=_labels(facts, label, table),
        sample_ids=tuple(facts.index),
        longitude=_degrees(facts, "longitude"),
        latitude=_degrees(facts, "latitude"),
        groups={name: tuple(map(code_text, facts[name])) for name in facts.columns if name not in known},
    )


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


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    if not path.is_file():
        raise InputError(f"{path}: no such table.")
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() in {".parquet", ".pq"} else pd.read_csv(path)
    except (ValueError, OSError):
        raise InputError(f"{path}: not readable as a table; give CSV or Parquet.") from None
    if frame.empty:
        raise InputError(f"{path}: the table is empty.")
    return frame.rename(columns=lambda name: str(name).strip())


def _wide(frame: "pd.DataFrame", table: Path, *, label: str, group: str | None) -> LabelledTable:
    labels = _labels(frame, label, table)
    features = _feature_columns(frame, table, {label, group})
    names = frame[SAMPLE] if SAMPLE in frame else range(len(frame))
    return LabelledTable(
        X=frame[features].to_numpy("float32", na_value=np.nan),
        feature_names=tuple(features),
        labels=labels,
        sample_ids=tuple(map(code_text, names)),
        groups=_groups(frame, group, table),
        longitude=_degrees(frame, "longitude"),
        latitude=_degrees(frame, "latitude"),
    )


def _long(
    frame: "pd.DataFrame", table: Path, samples: str | Path | None, *, label: str, group: str | None
) -> tuple["pd.DataFrame", list[str], dict[str, "pd.DataFrame"]]:
    # Facts a sample (indexed by its name), names of bands, and each sample's rows in order of date.
    import pandas as pd

    frame = frame.assign(**{SAMPLE: frame[SAMPLE].map(code_text)})
    dates = pd.to_datetime(frame[DATE].astype(str), errors="coerce", format="ISO8601", utc=True)
    wrong = np.flatnonzero(dates.isna())
    if wrong.size:
        raise InputError(f"{table}, row {wrong[0] + 1}: {frame[DATE].iloc[wrong[0]]!r} is not a date; correct it.")
    frame[DATE] = dates.dt.tz_localize(None)
    frame = frame.sort_values([SAMPLE, DATE], kind="stable")
    twice = frame.duplicated([SAMPLE, DATE])
    if twice.any():
        name, date = frame.loc[twice, [SAMPLE, DATE]].iloc[0]
        raise InputError(f"{table}: sample {name} has two rows of {date.date()}; keep one.")
    path = samples_path(table, samples)
    if path is not None:
        facts = _read(path)
        if SAMPLE not in facts:
            raise InputError(f"{path}: no column {SAMPLE!r}; it has {', '.join(facts.columns)}.")
        facts = facts.assign(**{SAMPLE: facts[SAMPLE].map(code_text)}).set_index(SAMPLE)
        if facts.index.has_duplicates:
            raise InputError(f"{path}: sample {facts.index[facts.index.duplicated()][0]} occurs twice; keep one row.")
    elif label in frame:
        facts = frame.drop_duplicates(SAMPLE).set_index(SAMPLE)
    else:
        raise InputError(
            f"{table}: no column {label!r} and no samples table beside it; give one with sample_id and {label}."
        )
    pieces = {str(name): piece for name, piece in frame.groupby(SAMPLE, sort=False)}
    nameless = [name for name in pieces if name not in facts.index]
    if nameless:
        raise InputError(f"{path}: no row for sample {', '.join(nameless[:5])} of {table.name}; add it.")
    _labels(facts, label, path or table)
    bands = _feature_columns(frame, table, {label, group, DATE, "start_date", "end_date"})
    order = [str(name) for name in facts.index if name in pieces]
    return facts.loc[order], bands, {name: pieces[name] for name in order}


def samples_path(table: Path, samples: str | Path | None) -> Path | None:
    """The samples table of a long one: the one given, else ``X_samples.csv`` beside ``X_timeseries.*``, if there."""
    if samples is not None:
        return Path(samples)
    if table.stem.endswith("_timeseries"):
        beside = table.with_name(table.stem.removesuffix("_timeseries") + "_samples.csv")
        return beside if beside.is_file() else None
    return None


def _feature_columns(frame: "pd.DataFrame", table: Path, named: set[str | None]) -> list[str]:
    import pandas as pd

    features = []
    for name in frame.columns:
        if name in NOT_FEATURES or name in named or name.endswith("_id"):
            continue
        if pd.api.types.is_numeric_dtype(frame[name]):
            features.append(name)
            continue
        # Text is no feature; but numbers with a stray word among them are a mistake to be told.
        numbers = pd.to_numeric(frame[name], errors="coerce")
        stray = np.flatnonzero(numbers.isna() & frame[name].notna())
        if numbers.notna().any() and stray.size and not pd.api.types.is_datetime64_any_dtype(frame[name]):
            row = stray[0]
            raise InputError(f"{table}, row {row + 1}: {name} is {frame[name].iloc[row]!r}; give a number.")
    if not features:
        raise InputError(f"{table}: no numeric columns to learn from; it has {', '.join(frame.columns)}.")
    return features


def _labels(facts: "pd.DataFrame", label: str, table: str | Path) -> tuple[str, ...]:
    if label not in facts:
        raise InputError(f"{table}: no column {label!r}, so no labels; it has {', '.join(facts.columns)}.")
    labels = tuple(map(code_text, facts[label]))
    bare = [number for number, text in enumerate(labels, start=1) if not text]
    if bare:
        raise InputError(
            f"{table}, row {bare[0]}: no {label} ({len(bare)} rows without one); fill it in or remove the row."
        )
    return labels


def _groups(facts: "pd.DataFrame", group: str | None, table: str | Path) -> tuple[str, ...] | None:
    if group is None:
        return None
    if group not in facts:
        there = ", ".join(
            n for n in facts.columns if n in NOT_FEATURES[1:] or n.endswith("_id") or facts[n].dtype.kind not in "fc"
        )
        raise InputError(f"{table}: no group column {group!r}; there are {there or 'none'}.")
    groups = tuple(map(code_text, facts[group]))
    if "" in groups:
        raise InputError(f"{table}, row {groups.index('') + 1}: no {group}; every sample needs its group.")
    return groups


def _degrees(facts: "pd.DataFrame", name: str) -> np.ndarray | None:
    import pandas as pd

    if name not in facts:
        return None
    degrees: np.ndarray = pd.to_numeric(facts[name], errors="coerce").to_numpy("float64")
    return degrees


def _date(value: Any, table: str | Path, name: str) -> np.datetime64 | None:
    import pandas as pd

    if not code_text(value):
        return None
    moment = pd.to_datetime(str(value), errors="coerce")
    if pd.isna(moment):
        raise InputError(f"{table}: the start_date of sample {name} is {value!r}; write YYYY-MM-DD.")
    return np.datetime64(moment.date())
