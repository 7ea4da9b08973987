"""Points with a value each, from a CSV or a vector file: read once a process, and found by place."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.errors import InputError, blame_machine
from landweave.patch.tables.reading import read_table_file

if TYPE_CHECKING:
    import pandas as pd

CSV = frozenset({".csv", ".txt", ".tsv"})
"""Suffixes of tables of points."""

_LONGITUDE = ("longitude", "lon", "long", "lng", "x")
_LATITUDE = ("latitude", "lat", "y")

_NOTHING = frozenset({"", "na", "nan", "null", "none", "n/a", "<na>", "-"})
"""What tables write where a coordinate is missing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Points in the file's order."""

    x: np.ndarray
    """float64 (n,), in the CRS of their file; longitude for a CSV."""

    y: np.ndarray
    """float64 (n,)."""

    values: np.ndarray
    """A value each, object (n,)."""

    placeless: int = 0
    """Rows without coordinates, which are no points here."""

    def within(self, bounds: tuple[float, float, float, float]) -> np.ndarray:
        """Numbers of the points in a box (left, bottom, right, top), int64 and rising; a NaN box holds none."""
        left, bottom, right, top = bounds
        order, ordered = self._by_x
        some = order[np.searchsorted(ordered, left, "left") : np.searchsorted(ordered, right, "right")]
        return np.sort(some[(self.y[some] >= bottom) & (self.y[some] <= top)])

    @cached_property
    def _by_x(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.x, kind="stable")
        return order, self.x[order]


def csv_points(path: Path, column: str, *, encoding: str | None = None) -> Points:
    """Points of a CSV file by longitude and latitude in degrees (EPSG:4326), read once a process.

    Parameters
    ----------
    path
        With a header; separated by commas, semicolons or tabs. The columns are called ``longitude``, ``lon``, ``long``,
        ``lng`` or ``x``, and ``latitude``, ``lat`` or ``y``, in any case; the earlier name counts.
    column
        Whose text the values are, as written.
    encoding
        UTF-8 where it is None.

    Raises
    ------
    InputError
        For a file or column that is missing or unreadable, a coordinate that is no degree (with its row), or no place
        in any row. Rows with an empty coordinate are counted and left out.
    """
    try:
        status = path.stat()
    except OSError as error:
        blame_machine(path, error)
        raise InputError(f"{path}: not readable as CSV: {error.strerror}.") from None
    return _csv_points(path, column, encoding, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _csv_points(path: Path, column: str, encoding: str | None, _when: int, _size: int) -> Points:
    table = read_table_file(path, "reference", encoding=encoding).frame
    longitude, latitude = place_columns(path, list(table.columns))
    if column not in table:
        raise InputError(f"{path}: no column {column!r}; it has {', '.join(map(str, table.columns))}.")
    x, y = (_degrees(path, table[name], limit) for name, limit in ((longitude, 180), (latitude, 90)))
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        raise InputError(f"{path}: none of its {len(table)} rows has both {longitude} and {latitude}.")
    return Points(
        x=x[there], y=y[there], values=table[column].to_numpy(object)[there], placeless=int((~there).sum())
    )  # fmt: skip


def place_columns(path: Path, columns: Sequence[Any]) -> tuple[str, str]:
    """Names of the columns of longitude and latitude.

    Raises
    ------
    InputError
        Where there is none, or one name twice in different case.
    """
    found = []
    for words in (_LONGITUDE, _LATITUDE):
        fitting = [[str(name) for name in columns if str(name).lower() == word] for word in words]
        names = next((some for some in fitting if some), [])
        if not names:
            raise InputError(f"{path}: no column {words[0]!r}; it has {', '.join(map(str, columns))}.")
        if len(names) > 1:
            raise InputError(f"{path}: {' and '.join(names)} are both columns of {words[0]}; keep one.")
        found.append(names[0])
    return found[0], found[1]


def _degrees(path: Path, texts: "pd.Series[str]", limit: int) -> np.ndarray:
    import pandas as pd

    degrees: np.ndarray = pd.to_numeric(texts, errors="coerce").to_numpy("float64").copy()
    for row in np.flatnonzero(~(np.abs(degrees) <= limit)):
        text = str(texts.iloc[row])
        if text.strip().lower() in _NOTHING:
            degrees[row] = np.nan
            continue
        hint = "write a decimal point, not a comma" if "," in text else f"give degrees from -{limit} to {limit}"
        raise InputError(f"{path}, row {row + 1}: {texts.name} is {text!r}; {hint}.")
    return degrees
