"""What neighbours are worth: splits compared, distances to training places, and leaks; ``splits.json``."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from landweave.accuracy.spatial.autocorrelation import error_range
from landweave.accuracy.spatial.distances import distance_figures, nearest
from landweave.accuracy.spatial.splits import Folds, compare_splits
from landweave.features.interpolation import any_known
from landweave.features.recipe import Recipe
from landweave.labels.draw import evenly
from landweave.labels.leakage import audit, classes_lost
from landweave.labels.split import choose_folds
from landweave.patch.align import to_crs
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA
from landweave.patch.store import read_table, write_json
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import Assignment
from landweave.runs.sample.table import read_samples
from landweave.runs.validate.learning import learning_curve
from landweave.runs.validate.refits import reduced, smaller

FOLDS = 3
"""Of every split that is compared."""

ROWS_A_CLASS, TREES, BINS, TESTED = 600, 20, 31, 10_000
"""Splits are compared with at most so many training rows of a class, trees, LightGBM's bins, and test rows."""

MAPPED = 4_000
"""Places of the map whose distance to training places is measured."""


def write_splits(plan: Plan, cells: Sequence[Cell], assignment: Assignment) -> dict[str, Any]:
    """Write ``splits.json``: ``splits``, ``distances``, ``leakage`` and ``learning`` of ``accuracy.json``."""
    write_json(plan.folder / layout.SPLITS, compared(plan, cells, assignment))
    return {"files": [layout.SPLITS], "info": {}}


def read_splits(plan: Plan) -> dict[str, Any]:
    """What :func:`write_splits` wrote; empty where it was not asked for."""
    path = plan.folder / layout.SPLITS
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def compared(plan: Plan, cells: Sequence[Cell], assignment: Assignment) -> dict[str, Any]:
    """The figures.

    Returns
    -------
    dict
        ``splits``: ``random``, ``patch`` (or ``quarter``) and ``block`` as of
        :func:`landweave.accuracy.spatial.splits.compare_splits`, with ``gaps``; ``range`` as of
        :func:`landweave.accuracy.spatial.autocorrelation.error_range`; ``block_side`` in metres; ``settings``: how much
        smaller models, samples and folds are here than the run's. ``distances`` as of
        :func:`landweave.accuracy.spatial.distances.distance_figures`, of ``held_out`` (the test rows of the headline),
        ``map``, and the splits. ``leakage`` as of :func:`landweave.labels.leakage.audit`, with ``lost``: side to the
        classes that occur elsewhere but not there. ``learning`` as of
        :func:`landweave.runs.validate.learning.learning_curve`. Where nothing was held out, each is ``{reason}``.
    """
    rows, matrix, recipe = read_samples(plan.folder, rule=plan.recipe.rule)
    if assignment.kind in {"given", "none"}:
        reason = {
            "given": "the model comes from elsewhere: its training places are not here",
            "none": "no place could be held out",
        }[assignment.kind]
        return {name: {"reason": reason} for name in ("splits", "distances", "leakage", "learning")}
    places = _places(cells, rows["patch"].to_numpy(), rows["x"].to_numpy(), rows["y"].to_numpy())
    split = rows["split"].to_numpy()
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    pixel = plan.pixel_metres
    test, wrong = _wrong(plan, rows, test)
    x, y = places[test].T
    found = error_range(x, y, wrong, pixel=pixel, seed=plan.project.sampling.seed)
    to_train = nearest(places[test], places[train])
    splits, distances = _splits(plan, assignment, rows, matrix, recipe, places, found)
    taught = np.flatnonzero(np.isin(split, ("train", "refit"))) if plan.project.model.refit else train
    mapped, area = _mapped(plan, cells)
    distances |= {"held_out": to_train, "map": nearest(mapped, places[taught])}
    land = rows["weight"].to_numpy("float64")
    own = np.concatenate([train, test])
    leaks = audit(
        matrix[own], np.arange(len(own)) >= len(train), weights=land[own], to_training=to_train, pixel=pixel,
        reach=found["metres"], missing=NODATA,
        polygons=rows["piece"].to_numpy()[own] if plan.reference.kind == "polygons" else None,
    )  # fmt: skip
    leaks["lost"] = classes_lost(assignment.counts, assignment.roles, plan.legend.names)
    weights = dict.fromkeys(distances) | {"held_out": land[test], "map": area}
    return {
        "splits": splits | {"range": found},
        "distances": distance_figures(distances, weights, pixel=pixel),
        "leakage": leaks,
        "learning": learning_curve(
            plan, assignment, rows, matrix, recipe, rows_a_class=ROWS_A_CLASS, trees=TREES, tested=TESTED
        ),
    }


def _wrong(plan: Plan, rows: Any, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The test rows that were ever seen, and whether the likeliest class of each is another than the reference's."""
    values = np.array(plan.legend.values)
    table = read_table(plan.folder / layout.HELD_OUT, columns=["seen", *(f"p_{value}" for value in values)])
    test = test[table["seen"].to_numpy()[test]]
    likeliest = values[table.drop(columns="seen").to_numpy()[test].argmax(axis=1)]
    return test, np.asarray(likeliest != rows["label"].to_numpy()[test])


def _splits(
    plan: Plan, assignment: Assignment, rows: Any, matrix: np.ndarray, recipe: Recipe, places: np.ndarray,
    found: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:  # fmt: skip
    split, dated = rows["split"].to_numpy(), any_known(matrix[:, : recipe.dated])
    pool = np.flatnonzero(np.isin(split, ("train", "refit")) & dated)
    asked = evenly(np.flatnonzero((split == "test") & dated), TESTED)
    settings = {
        "folds": FOLDS, "rows_a_class": ROWS_A_CLASS, "test_rows": len(asked),
        "params": smaller(plan, TREES, BINS), "on": "the test rows of the headline, against the reference as it is",
    }  # fmt: skip
    if not len(pool) or not len(asked):
        return {"settings": settings, "reason": "no row has a date"}, {}
    folds, reasons, side = _folds(plan, assignment, rows, places, pool, asked, found)
    label = rows["label"].to_numpy()
    lacking = {name: _lacking(label[pool], *of) for name, of in folds.items()}
    for name, (least, _) in lacking.items():
        if least < 2:
            reasons[name] = {"reason": "a fold leaves fewer than two classes to train on"}
            del folds[name]
    if not folds:
        return reasons | {"settings": settings}, {}
    fit_all, predict = reduced(plan, assignment, recipe, set(assignment.units), trees=TREES, bins=BINS)
    seed = plan.project.sampling.seed
    figures, _ = compare_splits(
        matrix[pool], label[pool], matrix[asked], label[asked], folds, fit=fit_all, predict=predict,
        classes=plan.legend.names, weights=rows["weight"].to_numpy("float64")[asked],
        clusters=rows["unit"].to_numpy()[asked], rows_a_class=ROWS_A_CLASS, seed=seed,
    )  # fmt: skip
    for name in folds:
        figures[name]["lacking"] = [plan.legend.names[value] for value in lacking[name][1]]
    distances = {}
    for name in folds:
        to_training = np.full(len(asked), np.inf)
        for fold in np.unique(folds[name][1]):
            here = folds[name][1] == fold
            # To all places that the fold leaves to train on, not to the few that this comparison drew of them.
            to_training[here] = nearest(places[asked[here]], places[pool[folds[name][0] != fold]])
        distances[name] = to_training
    return figures | reasons | {"block_side": side, "settings": settings}, distances


def _lacking(label: np.ndarray, own: np.ndarray, asked: np.ndarray) -> tuple[int, list[int]]:
    """The fewest classes that a fold leaves to train on, and the classes that some fold does not leave."""
    every = set(np.unique(label).tolist())
    left = [set(np.unique(label[own != number]).tolist()) for number in np.unique(asked)]
    return min(map(len, left)), sorted(set().union(*(every - there for there in left)))


def _folds(
    plan: Plan, assignment: Assignment, rows: Any, places: np.ndarray, pool: np.ndarray, asked: np.ndarray,
    found: Mapping[str, Any],
) -> tuple[dict[str, Folds], dict[str, Any], float | None]:  # fmt: skip
    """Folds by pixel, by unit and by block, and why one is missing; the side of a block in metres."""
    seed, label = plan.project.sampling.seed, rows["label"].to_numpy()
    both = np.concatenate([pool, asked])
    # A pixel that trains and tests is one pixel: it never tests a model that it taught.
    pixels = np.unique(np.floor(places[both] / plan.pixel_metres + 0.5), axis=0, return_inverse=True)[1].reshape(-1)
    drawn = np.random.default_rng(seed).integers(0, FOLDS, int(pixels.max()) + 1)
    folds = {"random": (drawn[pixels[: len(pool)]], drawn[pixels[len(pool) :]])}
    unit = rows["unit"].to_numpy()
    by_unit = choose_folds({u: assignment.counts[u] for u in np.unique(unit[both])}, k=FOLDS, seed=seed)
    by = "patch" if assignment.kind == "patch" else "quarter"
    folds[by] = tuple(np.array([by_unit[u] for u in unit[part]]) for part in (pool, asked))  # type: ignore[assignment]
    side = found["metres"]
    if side is None:
        reason = f"the range of the errors' autocorrelation is not known: {found['reason']}"
        return folds, {"block": {"reason": reason}}, None
    names = [f"{column} {row}" for column, row in np.floor(places[both] / side).astype("int64")]
    counts: dict[str, dict[int, int]] = {}
    for name, value in zip(names, label[both].tolist(), strict=True):
        of = counts.setdefault(name, {})
        of[value] = of.get(value, 0) + 1
    if len(counts) < FOLDS or len(set(names[len(pool) :])) < 2:
        return folds, {"block": {"reason": f"blocks of {side:.0f} m, the range, are too few to hold any out"}}, side
    by_block = choose_folds(counts, k=FOLDS, seed=seed)
    dealt = np.array([by_block[name] for name in names])
    folds["block"] = (dealt[: len(pool)], dealt[len(pool) :])
    return folds, {}, side


def _places(cells: Sequence[Cell], patch: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Metres east and north of the middle of the area, (n, 2), whatever the patches' CRS."""
    boxes = {cell.name: cell.geobox for cell in cells}
    local = _local(cells)
    found = np.full((len(x), 2), np.nan)
    for name in np.unique(patch):
        here = patch == name
        found[here] = np.column_stack(to_crs(x[here], y[here], source=boxes[name].crs, target=local))
    return found


def _local(cells: Sequence[Cell]) -> str:
    middles = []
    for cell in cells:
        x, y = cell.geobox.transform * (cell.geobox.shape[1] / 2, cell.geobox.shape[0] / 2)
        middles.append(np.concatenate(to_crs(np.array([x]), np.array([y]), source=cell.geobox.crs, target="EPSG:4326")))
    longitude, latitude = np.array(middles).T
    # The middle of directions, not of numbers: next to 180 degrees lies -180.
    turns = np.deg2rad(longitude)
    longitude, latitude = np.rad2deg(np.arctan2(np.sin(turns).mean(), np.cos(turns).mean())), latitude.mean()
    return f"+proj=aeqd +lat_0={latitude:.6f} +lon_0={longitude:.6f} +datum=WGS84 +units=m"


def _mapped(plan: Plan, cells: Sequence[Cell]) -> tuple[np.ndarray, np.ndarray]:
    """Places of what is mapped, as many a patch, in the metres of :func:`_places`, and the land of each."""
    rng = np.random.default_rng([plan.project.sampling.seed, 7])
    local = _local(cells)
    each = max(1, MAPPED // len(cells))
    parts, land = [], []
    for cell in cells:
        own = cell.own()
        height, width = cell.geobox.shape
        row, column = rng.integers(0, height, each), rng.integers(0, width, each)
        here = np.ones(each, bool) if own is None else own[row, column]
        x, y = cell.geobox.transform * (column[here] + 0.5, row[here] + 0.5)
        parts.append(np.column_stack(to_crs(x, y, source=cell.geobox.crs, target=local)))
        land.append(np.full(int(here.sum()), height * width * abs(cell.geobox.affine.determinant) / each))
    return np.concatenate(parts), np.concatenate(land)
