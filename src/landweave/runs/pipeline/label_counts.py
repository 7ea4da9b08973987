"""What of the reference lies in the patches, counted before a run; and codes that are hardly classes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from landweave.errors import InputError
from landweave.labels.codes_of_raster import codes_are_sampled
from landweave.labels.draw import evenly
from landweave.labels.reference import Reference, overlaps, points_of_table, reference_codes
from landweave.labels.units import count_classes, unit_ids
from landweave.legend import NONE, Legend
from landweave.patch.grid import Cell
from landweave.runs.pipeline.notices import points_outside, reference_left_out
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import Assignment, assign
from landweave.runs.sample.labels import patch_labels

MOST_COUNTED, MOST_PATCHES = 100_000_000, 500
"""Pixels and patches up to which the labels of all patches are counted; above, those of evenly chosen ones.
Counting takes a minute then."""


@dataclass(frozen=True, kw_only=True)
class ClassCount:
    """Labels of one class inside the patches that were looked at."""

    pixels: int = 0
    """Labelled pixels."""

    eroded: int = 0
    """Those left by erosion, from which training pixels are drawn."""

    features: int | None = None
    """Polygons or points of the class; None for a raster."""

    patches: int = 0
    """Patches with a label of it."""

    train: int | None = None
    """Pixels that training may draw from; None where roles are not known yet."""

    test: int | None = None
    """Labelled pixels of the units that are held out."""


@dataclass(frozen=True, kw_only=True)
class LabelCounts:
    """Labels inside the patches."""

    classes: dict[int, ClassCount]
    """By class value, in the legend's order."""

    counted: tuple[Cell, ...]
    """Patches that were looked at."""

    labelled: tuple[Cell, ...]
    """Those of them with a label."""

    whole: bool
    """Whether all patches were looked at."""

    assignment: Assignment | None
    """Who trains and tests, as the run will decide it; None where not all patches were looked at."""


def count_labels(plan: Plan, cells: Sequence[Cell]) -> LabelCounts:
    """Put the reference on the patches' grids, as the stage ``label`` does, and count; nothing is written.

    Raises
    ------
    InputError
        Where fewer than two classes would have training pixels, as the run would say it.
    """
    largest = max(int(np.prod(cell.geobox.shape)) for cell in cells)
    most = min(MOST_PATCHES, max(1, MOST_COUNTED // largest))
    some = tuple(cells) if len(cells) <= most else _evenly_chosen(plan, cells, most)
    counts: dict[str, dict[int, int]] = {}
    core: dict[str, dict[int, int]] = {}
    features: Counter[int] = Counter()
    polygons: set[tuple[int, int]] = set()
    patches: Counter[int] = Counter()
    labelled = []
    for cell in some:
        read = patch_labels(plan, cell)
        ids = unit_ids(read.whole.shape, plan.cut)
        counts |= count_classes(read.whole, ids, patch=cell.name, cut=plan.cut)
        core |= count_classes(read.core, ids, patch=cell.name, cut=plan.cut)
        found = [int(value) for value in np.unique(read.whole) if value]
        patches.update(found)
        labelled += [cell] * bool(found)
        pieces = read.pieces
        if pieces is not None:
            pairs = np.unique(np.stack([read.whole, pieces])[:, read.whole > 0], axis=1)
            polygons |= {(int(value), int(piece)) for value, piece in pairs.T}
        elif plan.reference.kind == "points":
            features.update(_points_of(plan, cell))
    features.update(value for value, _ in polygons)
    whole = len(some) == len(cells)
    assignment = assign(plan.project, plan.legend, cut=plan.cut, counts=counts, core=core) if whole else None
    return LabelCounts(
        classes=_by_class(plan, counts, core, assignment, features, patches), counted=some, labelled=tuple(labelled),
        whole=whole, assignment=assignment,
    )  # fmt: skip


def _evenly_chosen(plan: Plan, cells: Sequence[Cell], most: int) -> tuple[Cell, ...]:
    """Some of the patches within the bounds of the reference: elsewhere there is no label."""
    bounded = plan.reference.kind != "eopatches"
    near = [cell for cell in cells if not bounded or overlaps(plan.reference, cell.geobox)] or list(cells)
    return tuple(near[i] for i in evenly(np.arange(len(near)), most))


def _points_of(plan: Plan, cell: Cell) -> list[int]:
    """Class of every point of the reference that the patch answers for."""
    from landweave.labels.on_grid import points_inside

    rows, columns, labels = points_inside(plan.reference, cell.geobox, plan.legend)
    own = cell.own()
    kept = labels > 0 if own is None else (labels > 0) & own[rows, columns]
    return [int(value) for value in labels[kept]]


def _by_class(
    plan: Plan, counts: dict[str, dict[int, int]], core: dict[str, dict[int, int]], assignment: Assignment | None,
    features: Counter[int], patches: Counter[int],
) -> dict[int, ClassCount]:  # fmt: skip
    pixels, eroded, train, test = Counter[int](), Counter[int](), Counter[int](), Counter[int]()
    roles = {} if assignment is None else assignment.roles
    for unit, part in counts.items():
        pixels.update(part)
        eroded.update(core.get(unit, {}))
        if roles.get(unit) in {"train", "both"}:
            train.update(core.get(unit, {}))
        if roles.get(unit) in {"test", "both"}:
            test.update(part)
    counted = plan.reference.kind in {"polygons", "points"}
    return {
        value: ClassCount(
            pixels=pixels[value], eroded=eroded[value], features=features[value] if counted else None,
            patches=patches[value], train=None if assignment is None else train[value],
            test=None if assignment is None else test[value],
        )
        for value in plan.legend.values
    }  # fmt: skip


FEW = 10
"""Features whose codes may all differ and be classes all the same."""


def label_notes(plan: Plan, cells: Sequence[Cell]) -> list[str]:
    """What is unusual about classes and the codes of the reference, in sentences.

    Raises
    ------
    InputError
        Where no code, or the codes of one class only, can label anything, and where no point lies in a patch.
    """
    return [*_reference_notes(plan, cells), *_names_notes(plan)]


def _reference_notes(plan: Plan, cells: Sequence[Cell]) -> list[str]:
    if plan.reference is None:
        return reference_left_out(plan)
    codes = reference_codes(plan.reference, [cell.geobox for cell in cells])
    if not codes:
        what = "pixel of the patches" if plan.reference.kind == "raster" else "feature"
        raise InputError(
            f"{plan.reference.path}: no {what} has a code in {plan.reference.column or 'the raster'}; correct "
            "reference.column, or give another reference."
        )
    classes, unknown = plan.legend.translate(codes)
    known = [code for one in plan.legend.classes for code in one.accepted_codes]
    if not classes.any():
        raise InputError(
            f"{plan.reference.path}: none of its codes ({_some(codes)}) is a code of the legend ({_some(known)}); "
            "correct reference.column or the legend's codes."
        )
    found = set(classes.tolist()) - {NONE}
    sampled = plan.reference.kind == "raster" and codes_are_sampled(plan.reference.path)
    if len(found) < 2 and not sampled and not plan.project.model.path:
        raise InputError(
            f"{plan.reference.path}: fewer than two classes are in it (found: {plan.legend.names[found.pop()]}); "
            "correct reference.column or the legend's codes."
        )
    notes = [f"codes that the legend does not know, taken as none: {', '.join(sorted(unknown))}"] if unknown else []
    notes += _own_codes(plan.reference, codes) + _alike(codes, plan.legend)
    outside = points_outside(plan, cells, all_wrong=True)
    return [*notes, *reference_left_out(plan), *outside]


def _own_codes(reference: Reference, codes: Sequence[str]) -> list[str]:
    """A column whose values are all different is a number or a name of each feature, and no class."""
    if reference.kind not in {"polygons", "points"}:
        return []
    features = reference.vector.features if reference.places is None else len(points_of_table(reference).x)
    if features < FEW or len(codes) < features:
        return []
    said = f"Each of the {features} features has a value of its own in {reference.column} ({_some(codes, 3)})"
    return [f"{said}: it looks like a name of the feature, not like its class; correct reference.column."]


def _alike(codes: Sequence[str], legend: Legend) -> list[str]:
    """Codes that differ in capital letters or blanks only, and are not one class."""
    values = dict(zip(codes, legend.translate(codes)[0].tolist(), strict=True))
    known = {code: one.value for one in legend.classes for code in one.accepted_codes}
    pairs = _nearly_alike({**known, **values})
    if not pairs:
        return []
    said = f"Codes that differ in capital letters or blanks only are not one class: {_some(pairs, 5)}"
    return [f"{said}; correct them, or list them as codes of one class in the legend."]


def _nearly_alike(values: Mapping[str, int]) -> list[str]:
    """Texts that differ in capital letters or blanks only, with different values, in words.

    >>> _nearly_alike({"Forest": 1, "forest ": 2, "FOREST": 1, "water": 3, "sea": 4})
    ["'FOREST', 'Forest', 'forest '"]
    """
    groups: dict[str, list[str]] = {}
    for text in sorted(values):
        groups.setdefault("".join(text.split()).casefold(), []).append(text)
    return [", ".join(map(repr, group)) for group in groups.values() if len({values[text] for text in group}) > 1]


def _names_notes(plan: Plan) -> list[str]:
    names = plan.legend.names
    settings = plan.project.reference
    place = (
        f"name of each class in {plan.project.path(settings.legend).name}" if settings and settings.legend
        else "names in a legend, see reference.legend"
    )  # fmt: skip
    notes = []
    if all(name.replace(".", "", 1).isdecimal() for name in names.values()):
        notes.append(
            f"The names of the classes are only numbers ({_some(list(names.values()), 3)}), and so they will be called "
            f"in map and report; set the {place}."
        )
    alike = _nearly_alike({name: value for value, name in names.items()}) if plan.reference is None else []
    if alike:
        notes.append(
            f"Classes whose names differ in capital letters or blanks only: {_some(alike, 5)}; correct the labels."
        )
    return notes


def _some(words: Sequence[str], most: int = 10) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
