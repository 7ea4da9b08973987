"""Points with a value each, from a table or a vector file: read once a process, and found by place."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from landweave.errors import InputError, blame_machine
from landweave.patch.tables.places import DEGREES, PlaceKeys, read_places
from landweave.patch.tables.reading import CSV, PARQUET, packed_suffix, read_table_file
from landweave.patch.vectors.drivers import is_geoparquet


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Points in the file's order."""

    x: np.ndarray
    """float64 (n,), in ``crs``."""

    y: np.ndarray
    """float64 (n,)."""

    values: np.ndarray
    """A value each, object (n,)."""

    crs: str = DEGREES
    """Their coordinate reference system, as an authority's code or WKT."""

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


def is_point_table(path: Path) -> bool:
    """Whether a file is a table whose columns may be places: CSV by its ending, or Parquet without geometry."""
    suffix = packed_suffix(path)
    return suffix in CSV - {".tab"} or (suffix in PARQUET and path.is_file() and not is_geoparquet(path))


def table_points(
    path: Path, column: str, *, encoding: str | None = None, keys: PlaceKeys | None = None, of: str = ""
) -> Points:
    """Points of a table, read once a process.

    Parameters
    ----------
    path
        CSV or Parquet; see :func:`landweave.patch.tables.reading.read_table_file`.
    column
        Whose cells the values are, as written.
    encoding
        Of a CSV; UTF-8 where it is None.
    keys
        Columns and CRS of the places; see :func:`landweave.patch.tables.places.read_places`.
    of
        Where the keys are, for messages: ``"reference."``.

    Raises
    ------
    InputError
        For a file or column that is missing or unreadable, coordinates that cannot be (with their row) or whose CRS is
        not known, or no place in any row. Rows with an empty coordinate are counted and left out.
    """
    try:
        status = path.stat()
    except OSError as error:
        blame_machine(path, error)
        raise InputError(f"{path}: not readable as a table: {error.strerror}.") from None
    return _table_points(path, column, encoding, keys or PlaceKeys(), of, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _table_points(
    path: Path, column: str, encoding: str | None, keys: PlaceKeys, of: str, _when: int, _size: int
) -> Points:
    table = read_table_file(path, "reference", encoding=encoding, of=of)
    values = table.column(column)
    places = read_places(table, keys, of=of)
    there = np.isfinite(places.x) & np.isfinite(places.y)
    if not there.any():
        raise InputError(f"{path}: none of its {len(there)} rows has both {places.columns[0]} and {places.columns[1]}.")
    return Points(
        x=places.x[there], y=places.y[there], values=values.to_numpy(object)[there], crs=places.crs,
        placeless=int((~there).sum()),
    )  # fmt: skip
