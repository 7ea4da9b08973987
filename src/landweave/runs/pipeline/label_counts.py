"""What of the reference lies in the patches, class by class, and who would train and test: counted before a run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from landweave.labels.draw import evenly
from landweave.labels.units import count_classes, unit_ids
from landweave.patch.grid import Cell
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
    some = tuple(cells) if len(cells) <= most else tuple(cells[i] for i in evenly(np.arange(len(cells)), most))
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
