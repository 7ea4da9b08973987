"""A sample from elsewhere: its design stands in its columns, and whatever they can say wrongly is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landweave.accuracy.design_based.estimates import Stratum
from landweave.errors import InputError
from landweave.legend import code_text
from landweave.patch.align import to_crs
from landweave.patch.tables.numbers import read_numbers
from landweave.patch.tables.reading import Table

if TYPE_CHECKING:
    import pandas as pd

PIXELS, PROBABILITY, AREA = "stratum_pixels", "inclusion_probability", "stratum_area_ha"
DESIGN_COLUMNS = f"stratum, {PIXELS} (or {PROBABILITY}) and {AREA}"

SPREAD = 5.0
"""Pixels of a map in degrees differ less than this between its strata, so more is a mixture of units of area."""

ROUNDED = 1e-3
"""How far shares may be from adding up to 1."""

TINY_HA = 1e-4
"""No unit is as small as a square metre."""

LONG = 10
"""Digits of a number that is a text."""

FAR, MANY = 10.0, 10
"""Strata with so many times the land that so many units or more span are named."""

DEGREE_HA = 1.2392e6
"""A square degree at the equator, hectares."""

EARTH_HA = 5.101e10
"""Surface of the earth, hectares."""


@dataclass(frozen=True, kw_only=True)
class SampleTable:
    """Rows of a file of a sample; arrays are (n,)."""

    frame: "pd.DataFrame"
    decimal: str
    places: tuple[str, ...]
    ids: tuple[str, ...]
    x: np.ndarray
    y: np.ndarray
    crs: str | None


@dataclass(frozen=True, kw_only=True)
class Units:
    """The rows as units of a design."""

    stratum: np.ndarray
    areas: np.ndarray | None
    x: np.ndarray
    y: np.ndarray
    crs: str | None
    strata: dict[int, Stratum]
    drawn: int
    called: dict[int, tuple[str, ...]]
    """Key of a stratum to all that its columns call it; empty where the design was written by landweave."""
    notes: tuple[str, ...] = ()
    """What the reader of the figures must know of the design."""
    extra: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What a design that follows the map's grid says of each unit."""


def units_of_columns(path: Path, table: SampleTable, *, drop: bool) -> Units:
    """The design of a sample from elsewhere, from columns that are the same in all rows of a stratum.

    Keys of strata are their numbers where all are numbers, else 1, 2, ... in alphabetical order. A key is never a
    class: :func:`landweave.runs.estimate.strata_classes.classes_of_strata` matches strata and classes.

    Parameters
    ----------
    path, table
        The file and its rows.
    drop
        Whether drawn units may be missing.

    Raises
    ------
    InputError
        When columns are missing or contradict each other, when one stratum is written in two ways, when a unit occurs
        twice, or when areas cannot be hectares.
    """
    frame = table.frame
    sizes = next((name for name in (PIXELS, PROBABILITY) if name in frame), None)
    if "stratum" not in frame or sizes is None or AREA not in frame:
        raise InputError(
            f"{path}: the sample has no design, so nothing can be estimated from it; draw one with "
            f"`landweave estimate draw`, or add the columns {DESIGN_COLUMNS}."
        )
    texts = [code_text(v) for v in frame["stratum"]]
    _check_written(path, table, texts)
    names = sorted(set(texts), key=lambda t: (not t.isdecimal(), int(t) if t.isdecimal() else 0, t))
    numbered = all(n.isdecimal() and len(n) < LONG for n in names)
    keys = {t: int(t) if numbered else i for i, t in enumerate(names, start=1)}
    shown = [code_text(v) for v in frame["stratum_name"]] if "stratum_name" in frame else texts
    columns = [name for name in (PIXELS, PROBABILITY, AREA) if name in frame]
    numbers = {n: read_numbers(Table(path=path, frame=frame, decimal=table.decimal), n) for n in columns}
    strata: dict[int, Stratum] = {}
    called: dict[int, tuple[str, ...]] = {}
    missing = 0
    for text in names:
        rows = np.array([t == text for t in texts])
        values = {column: _one_number(path, text, column, numbers[column][rows]) for column in columns}
        missing += _check_weights(path, text, int(rows.sum()), values, drop=drop)
        units = values[PIXELS] if PIXELS in values else rows.sum() / values[PROBABILITY]
        name = _one_name(path, text, {shown[i] for i in np.flatnonzero(rows).tolist()})
        strata[keys[text]] = Stratum(name=name or text, units=round(units), area=values[AREA])
        called[keys[text]] = (text, name) if name and name != text else (text,)
    _check_areas(path, strata)
    return Units(
        stratum=np.array([keys[t] for t in texts], "int64"), areas=None, x=table.x, y=table.y, crs=table.crs,
        strata=strata, drawn=len(texts) + missing, called=called,
        notes=(*_check_once(path, table), *_span_note(table, strata)),
    )  # fmt: skip


def _check_written(path: Path, table: SampleTable, texts: list[str]) -> None:
    """One stratum, one spelling: else its land would count twice."""
    spelled: dict[str, str] = {}
    for place, text in zip(table.places, texts, strict=True):
        if not text:
            raise InputError(f"{path}, {place}: no stratum; give the stratum of every unit.")
        same = str(int(text)) if text.isdecimal() else " ".join(text.casefold().split())
        if spelled.setdefault(same, text) != text:
            raise InputError(
                f"{path}, {place}: the strata {spelled[same]!r} and {text!r} differ in spelling only; write one "
                "stratum in one way, because each would count with its own area."
            )


def _one_number(path: Path, text: str, column: str, values: np.ndarray) -> float:
    if not (np.isfinite(values).all() and np.ptp(values) <= 1e-9 * abs(values[0]) and values[0] > 0):
        raise InputError(f"{path}: stratum {text!r} needs one number above 0 in {column}, the same in each row.")
    number = float(values[0])
    if column == PIXELS and number < 1:
        raise InputError(
            f"{path}: stratum {text!r} has {PIXELS} {number:g}; give the number of its pixels, not its share."
        )
    if column == PROBABILITY and number > 1:
        raise InputError(f"{path}: stratum {text!r} has {PROBABILITY} {number:g}; a probability is at most 1.")
    return number


def _one_name(path: Path, text: str, names: set[str]) -> str:
    if len(names) > 1:
        one, other = sorted(names)[:2]
        raise InputError(f"{path}: stratum {text!r} has the names {one!r} and {other!r} in stratum_name; give it one.")
    return next(iter(names))


def _check_weights(path: Path, text: str, n: int, values: dict[str, float], *, drop: bool) -> int:
    """Units that are missing, where probability and size both say how many were drawn."""
    if PIXELS not in values or PROBABILITY not in values:
        return 0
    drawn = values[PIXELS] * values[PROBABILITY]
    # A probability may be rounded to a few digits.
    if abs(drawn - n) <= max(0.5, 0.02 * n):
        return 0
    if drop and n < drawn:
        return round(drawn) - n
    mend = " or leave missing units out with --drop-unlabelled" if n < drawn else ""
    raise InputError(
        f"{path}: stratum {text!r} has {n} rows, but {PIXELS} x {PROBABILITY} is {drawn:.1f}; correct one of the "
        f"columns, remove {PROBABILITY},{mend or ' or remove rows that occur twice'}."
    )


def _check_areas(path: Path, strata: dict[int, Stratum]) -> None:
    total = sum(s.area for s in strata.values())
    if total > EARTH_HA:
        raise InputError(f"{path}: {AREA} adds up to {total:g} ha, more than the earth has; give hectares.")
    units = sum(s.units for s in strata.values())
    if abs(total - 1) < ROUNDED or (abs(total - 100) < 100 * ROUNDED and total < TINY_HA * units):
        raise InputError(f"{path}: {AREA} adds up to {total:g}; give the hectares of each stratum, not its share.")
    low, high = (pick(strata.values(), key=lambda s: s.area / s.units) for pick in (min, max))
    if high.area / high.units > SPREAD * low.area / low.units:
        raise InputError(
            f"{path}: by {AREA} a pixel of stratum {low.name!r} has {low.area / low.units:.4g} ha and one of "
            f"{high.name!r} {high.area / high.units:.4g} ha; give the areas of all strata in hectares."
        )


def _span_note(table: SampleTable, strata: dict[int, Stratum]) -> tuple[str, ...]:
    """A note on strata with far more land than the rectangle around all units, which spread over them at random."""
    known = np.isfinite(table.x) & np.isfinite(table.y)
    if table.crs is None or known.sum() < MANY:
        return ()
    lon, lat = to_crs(table.x[known], table.y[known], source=table.crs, target="EPSG:4326")
    span = float(np.ptp(lon) * np.cos(np.radians(np.abs(lat).min())) * np.ptp(lat)) * DEGREE_HA
    total = sum(s.area for s in strata.values())
    if not total > FAR * span:
        return ()
    told = f"By {AREA} the strata have {total:,.0f} ha together, but the units lie within {span:,.0f} ha"
    return (f"{told}; check that the areas are in hectares, and the coordinates.",)


def _check_once(path: Path, table: SampleTable) -> tuple[str, ...]:
    """Refuse a unit that occurs twice; a note on units that share a place only."""
    ids = [name for name in table.ids if name]
    if len(set(ids)) < len(ids):
        twice = next(i for i, name in enumerate(table.ids) if name and name in table.ids[:i])
        raise InputError(f"{path}, {table.places[twice]}: this unit occurs twice; keep one row.")
    known = np.isfinite(table.x) & np.isfinite(table.y)
    if not known.any():
        return ()
    places = np.stack([table.x, table.y], axis=1)[known]
    _, first, count = np.unique(places, axis=0, return_index=True, return_counts=True)
    if len(first) == len(places):
        return ()
    frame = table.frame.assign(_x=table.x, _y=table.y)
    rows = [tuple(map(str, row)) for row in frame.itertuples(index=False)]
    seen: set[tuple[str, ...]] = set()
    for place, row, there in zip(table.places, rows, known.tolist(), strict=True):
        if there and row in seen:
            raise InputError(f"{path}, {place}: the row repeats an earlier one; keep one row a unit.")
        seen.add(row)
    shared = f"{int(count[count > 1].sum())} units share their coordinates with another unit."
    mend = "If coordinates were rounded, give them in full; if rows were doubled, remove them."
    return (f"{shared} {mend} Doubled rows make standard errors too small.",)
