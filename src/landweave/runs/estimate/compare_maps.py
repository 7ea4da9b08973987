"""``landweave estimate compare``: which of two maps is more accurate, by one labelled sample."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landweave.accuracy.design_based.estimates import check_filled
from landweave.accuracy.design_based.linear import UnitDesign
from landweave.accuracy.design_based.map_comparison import (
    POWER,
    Difference,
    detectable_difference,
    mcnemar,
    paired_difference,
)
from landweave.errors import InputError
from landweave.legend import NONE, Legend
from landweave.patch.align import to_crs
from landweave.patch.store import read_points
from landweave.runs.estimate.grid_draw import plan_notes, unit_design
from landweave.runs.estimate.labels import class_values
from landweave.runs.estimate.map import MapSource
from landweave.runs.estimate.map_column import classes_in, column_of, names_of
from landweave.runs.estimate.sample_file import LABEL, LabelledSample, read_sample
from landweave.runs.estimate.strata_classes import (
    areas_on,
    check_numbers,
    check_same_names,
    names_of_strata,
    no_class,
    swap_note,
    units_on,
)

LEVEL = 0.95

EQUAL = 1.01
"""Weights that differ by less count as equal."""


@dataclass(frozen=True, kw_only=True)
class JudgedMap:
    """One of the two maps: a raster, or a column of the sample."""

    source: MapSource | None = None
    column: str | None = None

    @property
    def name(self) -> str:
        """What it is called in the figures."""
        return self.source.grid.path.name if self.source is not None else f"column {self.column}"


def compare_maps(
    sample: str | Path,
    first: JudgedMap,
    second: JudgedMap,
    *,
    legend: str | Path | None = None,
    label: str = LABEL,
    layer: str | None = None,
    design: str | Path | None = None,
    drop_unlabelled: bool = False,
) -> dict[str, Any]:
    """The accuracies of two maps by one sample, and their difference with its interval.

    Parameters
    ----------
    sample, label, layer, design, drop_unlabelled
        As for :func:`landweave.runs.estimate.sample_file.read_sample`.
    first, second
        The maps; they have the same classes.
    legend
        Names of the classes, where neither maps nor sample have them.

    Returns
    -------
    dict
        JSON-ready: ``sample``, ``maps`` (two names), ``sample_units``, ``level``, ``overall_accuracy`` and ``classes``
        (name to ``users_accuracy`` and ``producers_accuracy``), each ``{first, second, difference, se, low, high, p}``,
        the difference being second less first; ``mcnemar`` (``only_first``, ``only_second``, ``p``, ``equal_weights``),
        ``detectable_difference`` (``value``, ``power``) and ``notes``.

    Raises
    ------
    InputError
        When the maps call one value by two names, and as :func:`landweave.runs.estimate.accuracy.estimate_accuracy`.
    """
    read = read_sample(sample, label=label, layer=layer, design=design, drop_unlabelled=drop_unlabelled)
    keys = list(read.strata)
    check_filled(np.array([keys.index(key) for key in read.stratum.tolist()]), read.strata)
    names = _names(read, first, second, legend)
    a, b = (_mapped(read, judged, names) for judged in (first, second))
    reference = class_values(read, names)
    grid = next((j.source.grid for j in (first, second) if j.source is not None), None)
    sizes = areas_on(grid, read) if read.areas is None and grid is not None else read.areas
    drawn = unit_design(read, sizes)
    z = drawn.quantile(LEVEL)
    right_a, right_b = a == reference, b == reference
    one = np.ones(len(reference))
    overall = paired_difference(drawn, (right_b * one, one), (right_a * one, one))
    classes = {}
    for value, name in names.items():
        of_class = (reference == value) * one
        in_a, in_b = (a == value) * one, (b == value) * one
        users = paired_difference(drawn, (right_b * in_b, in_b), (right_a * in_a, in_a))
        producers = paired_difference(drawn, (right_b * of_class, of_class), (right_a * of_class, of_class))
        classes[name] = {
            "users_accuracy": _row(users, _share(drawn, right_a * in_a, in_a), _share(drawn, right_b * in_b, in_b), z),
            "producers_accuracy": _row(
                producers, _share(drawn, right_a * of_class, of_class), _share(drawn, right_b * of_class, of_class), z
            ),
        }
    paired = mcnemar(right_a, right_b)
    equal = bool(drawn.weight.max() <= EQUAL * drawn.weight.min())
    notes = [*read.design_notes, *plan_notes(read, drawn)]
    for judged, mapped in ((first, a), (second, b)):
        if (mapped == NONE).any():
            notes.append(f"{int((mapped == NONE).sum())} units have no class on {judged.name}; they count as wrong.")
        notes += [f"{judged.name}: {note}" for note in swap_note(mapped, reference, names)]
    if not equal:
        notes.append(
            "Units stand for unequal areas, so McNemar's test, which counts them alike, speaks of the sample only; use "
            "the difference and its interval."
        )
    if read.left_out:
        notes.append(f"{read.left_out} drawn units have no label and were left out, as if missing at random.")
    return {
        "sample": read.path.name,
        "maps": [first.name, second.name],
        "sample_units": len(reference),
        "level": LEVEL,
        "overall_accuracy": _row(overall, _share(drawn, right_a * one, one), _share(drawn, right_b * one, one), z),
        "classes": classes,
        "mcnemar": {
            "only_first": paired.only_first, "only_second": paired.only_second, "p": paired.p, "equal_weights": equal,
        },
        "detectable_difference": {
            "value": detectable_difference(overall.se, level=LEVEL, design=drawn), "power": POWER,
        },
        "notes": notes,
    }  # fmt: skip


def _row(found: Difference, first: float | None, second: float | None, z: float) -> dict[str, Any]:
    row: dict[str, Any] = {"first": first, "second": second}
    if not np.isfinite(found.value):
        return row | dict.fromkeys(("difference", "se", "low", "high", "p"))
    low, high = max(found.value - z * found.se, -1.0), min(found.value + z * found.se, 1.0)
    p = found.p if np.isfinite(found.p) else None
    return row | {"difference": found.value, "se": found.se, "low": low, "high": high, "p": p}


def _share(design: UnitDesign, y: np.ndarray, x: np.ndarray) -> float | None:
    total = float((design.weight * x).sum())
    return float((design.weight * y).sum()) / total if total > 0 else None


def _names(read: LabelledSample, first: JudgedMap, second: JudgedMap, legend: str | Path | None) -> dict[int, str]:
    if legend is not None:
        names = Legend.read(legend).names
        check_same_names(read, names, judged=first.source is not None and second.source is not None)
        return names
    names = {}
    sources = [judged.source for judged in (first, second) if judged.source is not None]
    for source in sources:
        value_of = {name.casefold(): value for value, name in names.items()}
        for value, name in source.names.items():
            other = value_of.get(name.casefold(), value)
            if names.setdefault(value, name).casefold() != name.casefold():
                told = f"value {value} is {name!r}, but the other map calls it {names[value]!r}"
            elif other != value:
                told = f"{name!r} is the value {value}, but {other} on the other map"
            else:
                continue
            raise InputError(
                f"{source.grid.path.name}: {told}; give maps with the same classes, or a --legend that holds for both."
            )
    if names:
        check_same_names(read, names, judged=len(sources) > 1)
        return names
    if read.classes:
        return dict(read.classes)
    columns = [column_of(read, judged.column) for judged in (first, second) if judged.source is None]
    if columns:
        return names_of(read, [name for name in columns if name is not None])
    check_numbers(read, {})
    return names_of_strata(read, values=True)


def _mapped(read: LabelledSample, judged: JudgedMap, names: dict[int, str]) -> np.ndarray:
    if judged.source is None:
        column = column_of(read, judged.column)
        assert column is not None, "a column that was asked for is found or refused"
        return classes_in(read, column, names)
    grid = judged.source.grid
    units_on(grid, read)
    x, y = to_crs(read.x, read.y, source=read.crs, target=grid.crs)
    found = no_class(read_points(grid.path, x, y).astype("int64"), grid)
    for value in np.unique(found[found != NONE]).tolist():
        names.setdefault(value, str(value))
    return found
