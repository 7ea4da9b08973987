"""Where the rows of a table are: which columns hold the places, and in which CRS."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.patch.tables.numbers import MISSING, read_numbers, refuse_cell, shown_cell, to_numbers
from landweave.patch.tables.reading import Table

DEGREES = "EPSG:4326"
"""The CRS of columns that are called longitude and latitude, where nobody says another."""

LONGITUDE = (
    "longitude", "lon", "long", "lng", "decimallongitude", "longdec", "londec", "longdd", "londd", "lonwgs84",
    "wgs84lon", "gpslon", "gpslongitude",
)  # fmt: skip
LATITUDE = (
    "latitude", "lat", "decimallatitude", "latdec", "latdd", "latwgs84", "wgs84lat", "gpslat",
    "gpslatitude",
)  # fmt: skip
"""Names of columns of degrees, in any case, without signs between their parts."""

PAIRS = (
    ("x", "y"), ("xcoord", "ycoord"), ("xcoordinate", "ycoordinate"), ("coordx", "coordy"), ("pointx", "pointy"),
    ("easting", "northing"), ("eastings", "northings"), ("east", "north"), ("utmx", "utmy"), ("xutm", "yutm"),
    ("utme", "utmn"), ("rechtswert", "hochwert"), ("e", "n"),
)  # fmt: skip
"""Names of columns of coordinates whose CRS only their writer knows."""

_SPARE = 10.0
"""Degrees around the area of use of a CRS in which coordinates are believed."""


@dataclass(frozen=True, kw_only=True)
class PlaceKeys:
    """What the user says of the places of a table; None where nothing."""

    x: str | None = None
    """Column of longitude or easting."""

    y: str | None = None
    """Column of latitude or northing."""

    crs: str | None = None
    """Coordinate reference system of both, such as ``EPSG:32633``."""

    @property
    def given(self) -> list[str]:
        """The keys that are set."""
        return [name for name in ("x", "y", "crs") if getattr(self, name) is not None]


@dataclass(frozen=True, kw_only=True)
class Places:
    """Places of the rows of a table, (row,); NaN for both where a row has none."""

    x: np.ndarray
    """Longitude or easting, float64, in ``crs``."""

    y: np.ndarray
    """Latitude or northing, float64."""

    crs: str
    """As an authority's code or WKT."""

    columns: tuple[str, str]
    """The columns that they are read from."""


def place_columns(table: Table) -> tuple[str, str] | None:
    """Names of the columns of longitude and latitude, in any case; None where one of them is absent.

    Raises
    ------
    InputError
        Where two columns could be meant and do not hold the same.
    """
    found = [_one_of(table, names) for names in (LONGITUDE, LATITUDE)]
    return (found[0], found[1]) if found[0] is not None and found[1] is not None else None


def read_degrees(table: Table, *, needed: bool = False) -> tuple[np.ndarray, np.ndarray] | None:
    """Longitude and latitude of each row, degrees, float64 (row,), NaN for both where a row has no place.

    Returns
    -------
    longitude, latitude
        None where the table has no such columns.

    Raises
    ------
    InputError
        For a cell that is no number of degrees, and where places are ``needed``, for an empty one.
    """
    names = place_columns(table)
    return None if names is None else _degrees(table, names, needed=needed)


def read_places(table: Table, keys: PlaceKeys | None = None, *, of: str = "") -> Places:
    """Places of a table's rows, by the user's keys or by the names of its columns.

    Parameters
    ----------
    table
        The table.
    keys
        Columns and CRS as the user gives them. Without them, columns called longitude and latitude (lon, lat, ...) are
        degrees of EPSG:4326; columns called x and y, easting and northing, x_coord and y_coord and the like need a CRS.
    of
        Where the keys are, for messages: ``"reference."``.

    Raises
    ------
    InputError
        For columns that are missing (the message lists those that exist), coordinates without a CRS, a CRS that is
        unknown, and coordinates that are no numbers, or beyond what their CRS is made for, with their row.
    """
    keys = keys or PlaceKeys()
    if (keys.x is None) != (keys.y is None):
        raise InputError(f"{table.path}: {of}x and {of}y belong together; give both, or neither.")
    crs = None if keys.crs is None else _known(table, keys.crs, of)
    degrees = place_columns(table) if keys.x is None else None
    pair = _pair(table) if keys.x is None else (_named(table, str(keys.x), of), _named(table, str(keys.y), of))
    if crs is not None and not crs.is_geographic and pair is not None:
        degrees = None
    columns = degrees or pair
    if columns is None:
        raise InputError(
            f"{table.path}: no columns of longitude and latitude, nor of x and y; it has "
            f"{', '.join(map(str, table.frame.columns))}; name them with {of}x and {of}y, and their CRS with {of}crs."
        )
    if crs is None and columns != degrees and not _called_degrees(columns):
        raise InputError(_without_crs(table, columns, of))
    if crs is None:
        x, y = _degrees(table, columns)
        return Places(x=x, y=y, crs=DEGREES, columns=columns)
    x, y = (_coordinates(table, name, what="a coordinate", decimal=table.decimal) for name in columns)
    x, y = _whole_places(x, y)
    _check_range(table, columns, x, y, crs)
    return Places(x=x, y=y, crs=str(keys.crs), columns=columns)


def _degrees(table: Table, names: tuple[str, str], *, needed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    # No place has 14,123 thousand degrees: where cells are not separated by commas, the comma is the decimal point.
    decimal = "," if table.separator not in {None, ","} else table.decimal
    found = []
    for name, limit in zip(names, (180, 90), strict=True):
        what = f"degrees from -{limit} to {limit}"
        values = _coordinates(table, name, what=what, decimal=decimal, needed=needed)
        beyond = np.flatnonzero(np.abs(values) > limit)
        if beyond.size:
            metres = ", or the CRS of its metres by crs" if np.abs(values[beyond]).min() > _METRES else ""
            refuse_cell(table, name, int(beyond[0]), what + metres)
        found.append(values)
    return _whole_places(found[0], found[1])


_METRES = 1000
"""What is beyond this is no slip of a degree."""

_NOTHING = {*map(str.lower, MISSING), "-"}


def _coordinates(table: Table, name: str, *, what: str, decimal: str, needed: bool = False) -> np.ndarray:
    column = table.frame[name]
    if table.separator is not None:
        cleared = column.where(~column.str.lower().isin(_NOTHING), "")
        table = replace(table, frame=table.frame.assign(**{name: cleared}))
    return read_numbers(table, name, needed=needed, what=what, decimal=decimal)


def _whole_places(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = np.isnan(x) | np.isnan(y)
    return np.where(half, np.nan, x), np.where(half, np.nan, y)


def _without_crs(table: Table, columns: tuple[str, str], of: str) -> str:
    values = [to_numbers(table.frame[name], table.decimal).values for name in columns]
    known = [np.abs(some[np.isfinite(some)]) for some in values]
    fit = all(some.size for some in known) and known[0].max() <= 180 and known[1].max() <= 90
    advice = (
        f'if they are longitude and latitude, set {of}crs = "{DEGREES}"'
        if fit
        else f'set {of}crs, such as {of}crs = "EPSG:32633"'
    )
    shown = ", ".join(shown_cell(table, name, 0) for name in columns)
    return (
        f"{table.path}: the coordinates in the columns {columns[0]!r} and {columns[1]!r} ({shown} in row 1) have no "
        f"coordinate reference system; {advice}."
    )


def _check_range(table: Table, columns: tuple[str, str], x: np.ndarray, y: np.ndarray, crs: Any) -> None:
    """InputError with the first row whose place is beyond what the CRS is made for."""
    name = crs.to_string() if len(crs.to_string()) < 20 else crs.name
    there = np.isfinite(x) & np.isfinite(y)
    if not there.any():
        return
    if not crs.is_geographic and (np.abs(x[there]) <= 180).all() and (np.abs(y[there]) <= 90).all():
        raise InputError(
            f"{table.path}: {columns[0]} and {columns[1]} hold degrees ({x[there][0]:g}, {y[there][0]:g}), but crs is "
            f'{name}, whose coordinates are no degrees; set crs = "{DEGREES}", or name other columns with x and y.'
        )
    from pyproj import Transformer

    longitude, latitude = Transformer.from_crs(crs, DEGREES, always_xy=True).transform(x, y)
    wrong = there & ~(np.isfinite(longitude) & np.isfinite(latitude))
    if crs.is_geographic:
        wrong |= there & ((np.abs(x) > 360) | (np.abs(y) > 90))
    area = crs.area_of_use
    where = "beyond the range of"
    if area is not None:
        west, south, east, north = area.bounds
        width = (east - west) % 360 or 360
        aside = (longitude - west + _SPARE) % 360 > width + 2 * _SPARE
        wrong |= there & ((aside & (width + 2 * _SPARE < 360)) | ~_between(latitude, south - _SPARE, north + _SPARE))
        where = f"far from {area.name.split(' - ')[-1].split(';')[0][:60]!r}, the ground of"
    first = np.flatnonzero(wrong)
    if first.size:
        row = int(first[0])
        raise InputError(
            f"{table.where(row)}: {columns[0]} = {x[row]:g}, {columns[1]} = {y[row]:g} is {where} {name} "
            f"({first.size} of {int(there.sum())} places); correct crs, or exchange x and y if they are swapped."
        )


def _between(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.asarray((values >= low) & (values <= high))


def _known(table: Table, crs: str, of: str) -> Any:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(crs)
    except CRSError:
        raise InputError(f"{table.path}: {of}crs = {crs!r} is unknown; write it as EPSG:32633.") from None


def _folded(name: object) -> str:
    return re.sub(r"[\s_.\-]+", "", str(name)).lower()


def _called_degrees(columns: tuple[str, str]) -> bool:
    return _folded(columns[0]) in LONGITUDE and _folded(columns[1]) in LATITUDE


def _named(table: Table, name: str, of: str) -> str:
    if name not in table.frame:
        raise InputError(
            f"{table.path}: no column {name!r} ({of}x and {of}y name the columns of places); it has "
            f"{', '.join(map(str, table.frame.columns))}."
        )
    return name


def _pair(table: Table) -> tuple[str, str] | None:
    for pair in PAIRS:
        found = [_one_of(table, (word,)) for word in pair]
        if found[0] is not None and found[1] is not None:
            return found[0], found[1]
    return None


def _one_of(table: Table, names: Sequence[str]) -> str | None:
    frame = table.frame
    found = [name for name in frame.columns if _folded(name) in names]
    found.sort(key=lambda name: (names.index(_folded(name)), name))
    for other in found[1:]:
        pair = [to_numbers(frame[name], table.decimal).values for name in (found[0], other)]
        if not np.array_equal(pair[0], pair[1], equal_nan=True):
            raise InputError(
                f"{table.path}: the columns {found[0]!r} and {other!r} differ, and both could be the place; "
                "rename the one that is not."
            )
    return found[0] if found else None
