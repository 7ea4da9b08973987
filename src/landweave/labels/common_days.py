"""Series of unequal length and dates as features on common days."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from landweave.errors import InputError
from landweave.labels.series import DATE, SAMPLE, LabelledTable, read_series
from landweave.patch.tables.reading import read_table_file


def read_on_common_days(
    table: str | Path,
    *,
    step_days: int,
    samples: str | Path | None = None,
    label: str = "label",
    group: str | None = None,
    columns: Sequence[str] | None = None,
    last_day: int | None = None,
) -> LabelledTable:
    """Read a long table, each sample's series interpolated linearly to days 0, ``step_days``, and so on.

    Days are counted from each sample's ``start_date``, else from its first date. A value is missing before the first
    and after the last valid observation of its band.

    Parameters
    ----------
    table, samples, label, group, columns
        As for :func:`landweave.labels.series.read_table`.
    step_days
        Days between features, 1 or more.
    last_day
        The last day that may be a feature; None for the last one that any sample has.

    Returns
    -------
    LabelledTable
        Features are called ``<band>_d<day>``, all bands of the first day first.

    Raises
    ------
    InputError
        As :func:`landweave.labels.series.read_series`; for a wide table, and for an unknown group column.
    """
    if step_days < 1:
        raise InputError(f"--step-days {step_days}: give a whole number of days, 1 or more.")
    there = read_table_file(table).frame.columns
    missing = [name for name in (SAMPLE, DATE) if name not in there]
    if missing:
        raise InputError(f"{table}: --step-days needs a table of series; it has no column {missing[0]!r}.")
    series = read_series(table, samples=samples, label=label, bands=columns)
    end = max(int(days[-1]) for days in series.days) if last_day is None else last_day
    targets = np.arange(0, end + 1, step_days)
    X = np.full((len(series.labels), len(targets), len(series.bands)), np.nan, "float32")
    for i, (days, values) in enumerate(zip(series.days, series.values, strict=True)):
        for b in range(len(series.bands)):
            known = np.isfinite(values[:, b])
            if known.any():
                X[i, :, b] = np.interp(targets, days[known], values[known, b], left=np.nan, right=np.nan)
    lost = [name for name, row in zip(series.sample_ids, X, strict=True) if np.isnan(row).all()]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        raise InputError(
            f"{table}: no feature day has a value of sample {', '.join(lost[:5])}{more}; give a smaller --step-days."
        )
    return LabelledTable(
        X=X.reshape(len(X), -1),
        feature_names=tuple(f"{band}_d{day:03d}" for day in targets.tolist() for band in series.bands),
        labels=series.labels,
        sample_ids=series.sample_ids,
        groups=_groups(table, series.sample_ids, series.groups, group),
        longitude=series.longitude,
        latitude=series.latitude,
        columns=series.bands,
        notes=(
            *series.notes,
            f"Series are interpolated to {len(targets)} days, every {step_days} from 0 to {int(targets[-1])}.",
        ),
    )


def _groups(
    table: str | Path, names: tuple[str, ...], groups: Mapping[str, tuple[str, ...]], group: str | None
) -> tuple[str, ...] | None:
    if group is None:
        return None
    if group == SAMPLE:
        return names
    if group not in groups:
        raise InputError(f"{table}: no group column {group!r}; there are {', '.join(groups) or 'none'}.")
    if "" in groups[group]:
        raise InputError(
            f"{table}: sample {names[groups[group].index('')]} has no {group}; every sample needs its group."
        )
    return groups[group]
