"""Strata of a sample against the classes of a legend and of a map: by name first, by number only where that is sure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.legend import NONE
from landweave.maps.areas import Counted, MapGrid, PixelAreas
from landweave.patch.align import pixels_of, to_crs
from landweave.runs.estimate.labels import folded
from landweave.runs.estimate.sample_file import LabelledSample

SAME = 0.02
"""Relative difference between a design and its map that rounding may cause."""

CHANGED = 0.25
"""Relative difference between a design and its map that a later map may cause; more is refused."""

WHOLE = 1.05
"""Strata larger than the map's extent by this factor are not hectares, or lie elsewhere."""

SMALL = 20.0
"""Units this many times smaller than the map's pixels are not hectares."""

ALIKE = 1.001
"""Units of strata that differ less than this have one size."""

MUCH = 0.25
"""Agreement that another numbering must gain before it is named."""

_UNITS = ((1e4, "square metres"), (1e-2, "square kilometres"), (1 / 0.40468564, "acres"))


def names_of_strata(read: LabelledSample, *, values: bool) -> dict[int, str]:
    """Classes of a sample from elsewhere, where neither map nor legend names them: what its strata are called.

    Parameters
    ----------
    read
        The sample.
    values
        Whether the numbers of the strata must be values of a map, so that strata without a number name no class.
    """
    names: dict[int, str] = {}
    for key, called in read.called.items():
        if values and called[0] != str(key):
            continue
        if called[-1] not in names.values():
            names[key] = called[-1]
    return names


def classes_of_strata(read: LabelledSample, names: Mapping[int, str]) -> np.ndarray:
    """The class of each unit's stratum, int64 (n,): what the map shows where the strata are its classes.

    Raises
    ------
    InputError
        When a stratum is no class, or is called by the names of two.
    """
    if not read.called:
        _check_all_known(read, names)
        return read.stratum
    found = {key: _class_of(called, names) for key, called in read.called.items()}
    for key, value in found.items():
        called = read.called[key]
        if value is None:
            raise InputError(
                f"{read.path}: stratum {_written(called)} is not a class; the classes are {', '.join(names.values())}. "
                "Give the map to judge with --map, or the legend that has this class with --legend."
            )
        if len(called) > 1 and (other := _by_name(called[0], names)) not in {None, value}:
            raise InputError(
                f"{read.path}: stratum {called[0]!r} has the stratum_name {called[1]!r}, which is another class; "
                f"correct one of the two ({other} and {value} in the legend)."
            )
    return np.array([found[key] for key in read.stratum.tolist()], "int64")


def check_same_names(read: LabelledSample, names: Mapping[int, str], *, judged: bool) -> None:
    """InputError where a drawn sample and a legend give one name to two values, so that numbers would be misread.

    ``judged``: a map with the legend's values is judged, so that only labels that are numbers would be.
    """
    if judged and not any(text.isdecimal() for text in read.labels):
        return
    values = {name.casefold(): value for value, name in names.items()}
    for value, name in read.classes.items():
        other = values.get(name.casefold(), value)
        if other != value:
            raise InputError(
                f"{read.path}: class {name!r} has the value {value} in the map that the sample was drawn from, and "
                f"{other} in the legend; give the legend of that map" + (", and labels as names." if judged else ".")
            )


def check_numbers(read: LabelledSample, names: Mapping[int, str]) -> None:
    """InputError for labels that are numbers, where the classes' numbers were only counted from their names."""
    if not read.called or all(called[0] == str(key) for key, called in read.called.items()):
        return
    known = {name.casefold() for name in names.values()}
    for place, text in zip(read.places, read.labels, strict=True):
        if text.isdecimal() and text not in known:
            raise InputError(
                f"{read.path}, {place}: the label {text} is a number, but the strata are names; give the legend that "
                "says which class this is with --legend, or labels as names."
            )


def units_on(grid: MapGrid, read: LabelledSample) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the pixel of each unit, int64 (n,).

    Raises
    ------
    InputError
        When a unit has no place, or one outside the map.
    """
    if read.crs is None or not (np.isfinite(read.x) & np.isfinite(read.y)).all():
        raise InputError(
            f"{read.path}: the points have no coordinates or no CRS; give a table "
            "columns longitude and latitude, or others by estimate.x, y and crs."
        )
    x, y = to_crs(read.x, read.y, source=read.crs, target=grid.crs)
    rows, columns, inside = pixels_of(GeoBox(grid.shape, grid.transform, grid.crs), x, y)
    outside = np.flatnonzero(~inside)
    if len(outside):
        raise InputError(
            f"{read.path}, {read.places[outside[0]]}: the point is outside the map {grid.path.name} "
            f"({len(outside)} of {len(x)} do); give the map of this area."
        )
    return rows, columns


def areas_on(grid: MapGrid, read: LabelledSample) -> np.ndarray:
    """Square metres of the pixel of each unit, float64 (n,)."""
    return PixelAreas(grid.crs, grid.transform, grid.shape).at(*units_on(grid, read))


def check_against_map(
    read: LabelledSample,
    *,
    grid: MapGrid,
    counted: Counted,
    names: Mapping[int, str],
    mapped: np.ndarray,
    areas: np.ndarray,
) -> list[str]:
    """Compare the design of a sample from elsewhere with the map that it is judged by.

    Where every unit has the class of its stratum on the map, the strata are this map's classes: each class needs a
    stratum, and pixels and hectares must be those of the map. Else the strata may be those of another map, and only
    what cannot be is refused: more land than the map's extent, or units far smaller than its pixels.

    Returns
    -------
    list of str
        Notes on what differs and may be right.

    Raises
    ------
    InputError
        For what cannot be.
    """
    expected = [_class_of(read.called[key], names) for key in read.stratum.tolist()]
    agree = np.array([e == m for e, m in zip(expected, mapped.tolist(), strict=True)])
    shown = {key: np.unique(mapped[read.stratum == key]).tolist() for key in np.unique(read.stratum).tolist()}
    if agree.all():
        return _as_drawn(read, counted, names, shown)
    _check_extent(read, grid, areas)
    notes = []
    if all(len(values) == 1 for values in shown.values()) and {v[0] for v in shown.values()} == set(counted.pixels):
        # Whatever the strata are called, each lies in one class of this map, which may be chance.
        notes += _as_drawn(read, counted, names, shown, sure=False)
    total, there = sum(s.area for s in read.strata.values()), sum(counted.areas.values()) / 1e4
    if abs(total - there) > SAME * there:
        notes.append(
            f"The strata have {total:,.0f} ha together, the classes of the map {there:,.0f} ha; "
            "the figures speak of the land of the strata."
        )
    if None not in expected:
        notes.append(
            f"{int((~agree).sum())} of {len(agree)} units have another class on the map than their stratum is called: "
            "the map is not the one that the sample was drawn from, or the coordinates are imprecise."
        )
    return notes


def swap_note(mapped: np.ndarray, reference: np.ndarray, names: Mapping[int, str]) -> list[str]:
    """A note where the labels agree far better with the map once its classes are numbered otherwise."""
    from scipy.optimize import linear_sum_assignment

    values = list(names)
    if len(values) < 2 or not len(mapped):
        return []
    table = np.array([[int(((mapped == m) & (reference == r)).sum()) for r in values] for m in values])
    rows, columns = linear_sum_assignment(table, maximize=True)
    gained = (table[rows, columns].sum() - table.trace()) / len(mapped)
    if gained <= MUCH:
        return []
    swapped = [
        f"{names[values[i]]} as {names[values[j]]}"
        for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
        if i != j and table[i, j]
    ]
    told = f"The labels would agree in {100 * gained:.0f} % more of the units if the classes of the map were read"
    return [f"{told} otherwise ({', '.join(swapped)}); check that strata, map and labels number the classes alike."]


def size_note(read: LabelledSample) -> list[str]:
    """What is assumed of the size of units, where no map says it."""
    sizes = [s.area / s.units for s in read.strata.values()]
    if max(sizes) <= ALIKE * min(sizes):
        return [f"All units are assumed to have one size, {sizes[0]:.4g} ha (stratum_area_ha by the number of pixels)."]
    told = f"The strata have units of {min(sizes):.4g} to {max(sizes):.4g} ha on average, so units differ in size"
    mend = "Give the map with --map to weigh each by its area."
    return [f"{told} (pixels in degrees do); within a stratum they are assumed to be equal. {mend}"]


def notes_without_map(
    read: LabelledSample, mapped: np.ndarray, reference: np.ndarray, names: Mapping[int, str]
) -> list[str]:
    """What is assumed of a sample from elsewhere where no map says it: the size of units, and what strata are."""
    notes = [
        "The strata are taken as the classes of the map, for there is no raster of it and no filled column 'map'.",
        *size_note(read),
    ]
    labelled, drawn = set(reference.tolist()), set(mapped.tolist())
    unseen = [names[value] for value in names if value in drawn - labelled]
    if unseen:
        notes.append(
            f"No label is {unseen[0]!r}; if this stratum is no class of the map, its user's accuracy means nothing: "
            "give the map with --map."
        )
    lacking = [names[value] for value in names if value not in drawn]
    if lacking:
        notes.append(
            f"No stratum is {lacking[0]!r}; if the map shows this class, its land is missing from all figures."
        )
    return notes


def shown_classes(
    read: LabelledSample, mapped: np.ndarray, names: Mapping[int, str], *, counted: Counted | None, same: bool | None
) -> set[int] | None:
    """Classes that the map has, whether a unit met them or not; None where the strata are its classes."""
    pairs = set(zip(read.stratum.tolist(), mapped.tolist(), strict=True))
    pure = len(pairs) == len(read.strata)
    if counted is not None:
        as_drawn = pure and {value for _, value in pairs} == set(counted.pixels)
        return None if same or (same is None and as_drawn) else set(counted.pixels)
    return None if same else set(names)


def _as_drawn(
    read: LabelledSample,
    counted: Counted,
    names: Mapping[int, str],
    shown: Mapping[int, list[int]],
    *,
    sure: bool = True,
) -> list[str]:
    """Sizes of strata that are the map's classes; ``shown`` gives the one class of each."""
    stratum_of: dict[int, list[int]] = {}
    for key, (value,) in shown.items():
        stratum_of.setdefault(value, []).append(key)
    lacking = [value for value in counted.pixels if value not in stratum_of]
    if lacking:
        raise InputError(
            f"{read.path}: the map has {counted.areas[lacking[0]] / 1e4:,.0f} ha of {names[lacking[0]]!r}, but no unit "
            "of the sample is in this stratum, so its land would be left out; add its units, or cut the map to the "
            "land that was sampled."
        )
    notes = []
    for value, keys in stratum_of.items():
        for what, given, there in (
            ("pixels", float(sum(read.strata[k].units for k in keys)), float(counted.pixels[value])),
            ("ha", sum(read.strata[k].area for k in keys), counted.areas[value] / 1e4),
        ):
            off = abs(given - there)
            if off <= max(SAME * there, 1.0 if what == "pixels" else 0.0):
                continue
            told = (
                f"stratum {names[value]!r} has {given:.6g} {what} in its columns, but the map has {there:.6g} {what} "
                f"of this class{_hint(given / there) if what == 'ha' else ''}"
            )
            if sure and off > CHANGED * there:
                raise InputError(
                    f"{read.path}: {told}; correct the columns, or give the map that the sample was drawn from."
                )
            notes.append(f"The {told}: the map has changed since the draw, or the columns are wrong.")
    return notes


def _check_extent(read: LabelledSample, grid: MapGrid, areas: np.ndarray) -> None:
    total, pixel = sum(s.area for s in read.strata.values()), float(areas.mean()) / 1e4
    extent = _extent_ha(grid)
    if total > WHOLE * extent:
        raise InputError(
            f"{read.path}: the strata have {total:,.0f} ha together, but the whole map {grid.path.name} has only "
            f"{extent:,.0f} ha; give stratum_area_ha in hectares, or the map of all the land that was sampled."
        )
    unit = total / sum(s.units for s in read.strata.values())
    if unit * SMALL < pixel:
        raise InputError(
            f"{read.path}: by its columns a unit has {unit:.3g} ha, but a pixel of the map {pixel:.3g} ha"
            f"{_hint(unit / pixel)}; give stratum_area_ha in hectares and stratum_pixels as a number of pixels."
        )


def _extent_ha(grid: MapGrid) -> float:
    sizes = PixelAreas(grid.crs, grid.transform, grid.shape)
    step = max(1, grid.shape[0] // 64)
    rows = range(0, grid.shape[0], step)
    mean = float(np.mean([np.nanmean(sizes.window(slice(r, r + 1), slice(0, grid.shape[1]))) for r in rows]))
    return mean * grid.shape[0] * grid.shape[1] / 1e4


def _hint(factor: float) -> str:
    for of_unit, name in _UNITS:
        if abs(factor / of_unit - 1) < SAME:
            return f" (are the areas in {name}?)"
    return " (are the areas shares?)" if factor < 1e-3 else ""


def _class_of(called: tuple[str, ...], names: Mapping[int, str]) -> int | None:
    """The class that a stratum is: by its name, else by its number where it has no other name."""
    for text in reversed(called):
        value = _by_name(text, names)
        if value is not None:
            return value
    by_number = len(called) == 1 and not any(name.isdecimal() for name in names.values())
    return int(called[0]) if by_number and called[0].isdecimal() and int(called[0]) in names else None


def _by_name(text: str, names: Mapping[int, str]) -> int | None:
    exact = next((value for value, name in names.items() if name == text), None)
    if exact is not None:
        return exact
    return next((value for value, name in names.items() if folded(name) == folded(text)), None)


def _written(called: tuple[str, ...]) -> str:
    return repr(called[0]) if len(called) == 1 else f"{called[0]!r} ({called[1]!r})"


def _check_all_known(read: LabelledSample, names: Mapping[int, str]) -> None:
    strange: Any = [s.name for v, s in read.strata.items() if v not in names]
    if strange:
        raise InputError(f"{read.path}: stratum {strange[0]!r} is not a class; give the map to judge with --map.")


def no_class(values: np.ndarray, grid: MapGrid) -> np.ndarray:
    """Values read from a map, with its nodata as 0."""
    return np.where(values == (NONE if grid.nodata is None else grid.nodata), NONE, values)
