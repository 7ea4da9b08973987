"""The map's class of each unit as a column of the sample, where there is no raster of the map."""

import dataclasses
import difflib
from collections.abc import Mapping, Sequence

import numpy as np

from landweave.errors import InputError
from landweave.legend import NONE
from landweave.runs.estimate.labels import class_values, folded
from landweave.runs.estimate.sample_file import LabelledSample

MAP_COLUMNS = ("map", "map_class")
"""Columns of a sample from elsewhere that are read without being asked for, in any case; the first that is filled."""


def column_of(read: LabelledSample, asked: str | None) -> str | None:
    """The column with the map's classes: the one that was asked for, else one of :data:`MAP_COLUMNS`.

    A sample that landweave drew has its classes in its design; its columns are read only where they are asked for.

    Raises
    ------
    InputError
        When the sample has no column of this name, or it is empty.
    """
    if asked is None:
        if read.fingerprint is not None:
            return None
        filled = [name for name, texts in read.columns.items() if any(texts)]
        found = (name for wanted in MAP_COLUMNS for name in filled if name.strip().casefold() == wanted)
        return next(found, None)
    if asked not in read.columns:
        near = difflib.get_close_matches(asked, read.columns, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(read.columns)}."
        raise InputError(f"{read.path}: no column {asked!r} with the map's classes; {hint}")
    if not any(read.columns[asked]):
        raise InputError(f"{read.path}: the column {asked!r} is empty; fill in the map's class of each unit.")
    return asked


def names_of(read: LabelledSample, columns: Sequence[str]) -> dict[int, str]:
    """Classes of a sample without a legend: all that the map's columns and the labels name, in alphabetical order.

    Numbers are their own values where all classes are numbers of 1 to 255. Names that differ only in case
    or blanks are one class, spelled as on the map.

    Raises
    ------
    InputError
        When a label is a number, but the map's classes are names.
    """
    shown = {folded(text) for name in columns for text in read.columns[name] if text}
    for place, text in zip(read.places, read.labels, strict=True):
        if text.isdecimal() and text not in shown and not all(other.isdecimal() for other in shown):
            raise InputError(
                f"{read.path}, {place}: the label {text} is a number, but the classes of the map are names; give the "
                "legend that says which class this is with --legend, or labels as names."
            )
    spelled: dict[str, str] = {}
    for texts in (*(read.columns[name] for name in columns), read.labels):
        for text in texts:
            if text:
                spelled.setdefault(folded(text), text)
    found = sorted(
        spelled.values(), key=lambda text: (not text.isdecimal(), int(text) if text.isdecimal() else 0, text)
    )
    if all(text.isdecimal() and 0 < int(text) < 256 for text in found):
        return {int(text): text for text in found}
    return dict(enumerate(found, start=1))


def classes_in(read: LabelledSample, column: str, names: Mapping[int, str]) -> np.ndarray:
    """Class values that a column gives, int64 (n,); 0 where the cell is empty or 0, which is "no class".

    Raises
    ------
    InputError
        When a cell names a class that is not among ``names``.
    """
    texts = read.columns[column]
    filled = np.array([text not in {"", str(NONE)} or text in names.values() for text in texts], bool)
    part = dataclasses.replace(
        read,
        places=tuple(f"{p}, {column}" for p, there in zip(read.places, filled, strict=True) if there),
        labels=tuple(text for text, there in zip(texts, filled, strict=True) if there),
    )
    found = np.full(len(texts), NONE, "int64")
    found[filled] = class_values(part, names)
    return found


def strata_are_classes(read: LabelledSample, mapped: np.ndarray, names: Mapping[int, str]) -> bool:
    """Whether every unit has the class on the map that its stratum is called."""
    called = [folded(read.strata[key].name) for key in read.stratum.tolist()]
    return called == [folded(names.get(value, "")) for value in mapped.tolist()]


def unmapped_note(names: Mapping[int, str], mapped: np.ndarray, reference: np.ndarray, column: str) -> list[str]:
    """A note on labels that no unit has on the map: a class that the map misses, or a slip of the pen."""
    only = sorted(set(np.unique(reference).tolist()) - set(np.unique(mapped).tolist()))
    if not only:
        return []
    listed = ", ".join(names[value] for value in only)
    return [f"Only the labels name these classes, not the column {column!r}: {listed}. Check their spelling."]


def check_against(read: LabelledSample, column: str, names: Mapping[int, str], mapped: np.ndarray) -> list[str]:
    """A note where a column of classes and the raster that is judged differ; the raster counts."""
    try:
        told = classes_in(read, column, names)
    except InputError:
        return [f"The column {column!r} has classes that the map does not have; the raster of the map is judged."]
    differ = int((told != mapped).sum())
    if not differ:
        return []
    told_of = f"{differ} of {len(mapped)} units have another class in the column {column!r} than on the map"
    return [f"{told_of}; the raster of the map is judged."]
