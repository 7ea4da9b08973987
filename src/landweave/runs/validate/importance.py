"""What the model looks at, and whether it leans on single acquisitions: ``importance.json``."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np

from landweave.accuracy.importance import SNOW_SHARE, class_histograms, feeding, hot_cells, permutation_importance
from landweave.classifier.calibration import align_columns
from landweave.classifier.estimators import Boosted, Estimator, Learnt
from landweave.classifier.model import Model, decide
from landweave.engine.machine import usable_cores
from landweave.features.interpolation import any_known
from landweave.features.recipe import Recipe
from landweave.features.series.rules import ON_DAYS
from landweave.labels.draw import evenly
from landweave.patch.model import NODATA
from landweave.patch.store import write_json
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import Assignment
from landweave.runs.sample.observations import Observed, is_snow, observed_rows, snow_shares
from landweave.runs.sample.table import read_samples
from landweave.runs.validate.refits import reliances, taught_rows
from landweave.tree_models.text import split_totals

SHUFFLED, CELL_SHUFFLED, TESTED = 2_000, 500, 10_000
"""Held-out rows at most: by which groups are shuffled, by which single features are, and by which retraining is judged.

Trees answer fast; of other classifiers single features are shuffled only where they have no importances of their own.
"""

REPEATS, CELL_REPEATS = 5, 3


def write_importance(plan: Plan, assignment: Assignment | None) -> str:
    """Write ``importance.json``; with nothing but a ``reason`` where nothing was held out. Returns its name."""
    write_json(plan.folder / layout.IMPORTANCE, _short(explain(plan, assignment)))
    return layout.IMPORTANCE


def importance_settings(plan: Plan) -> list[Any]:
    """What decides ``importance.json`` beside the samples, the models, the thresholds and the seed."""
    source, model = plan.project.source, plan.project.model
    return [source.snow_ndsi, source.snow_nir, source.stores, model.type, model.params, model.prior]


def why_not(assignment: Assignment | None) -> str | None:
    """Why a run has no importances; None where it has."""
    if assignment is None:
        return "series of a table are aligned by days since each began, so no acquisition is common to them"
    return {
        "given": "the model comes from elsewhere, and what it was trained on is not here",
        "none": "no place could be held out, and a model is only fairly asked about what it has not seen",
    }.get(assignment.kind)


def explain(plan: Plan, assignment: Assignment | None) -> dict[str, Any]:
    """The content of ``importance.json``."""
    reason = why_not(assignment)
    if reason is not None:
        return {"reason": reason}
    assert assignment is not None
    rows, matrix, recipe = read_samples(plan.folder, rule=plan.recipe.rule)
    asked = evenly(np.flatnonzero((rows["split"] == "test").to_numpy() & any_known(matrix[:, : recipe.dated])), TESTED)
    taught = taught_rows(rows, matrix, recipe)
    if not len(asked) or not len(taught) or not recipe.days:
        return {"reason": "no held-out pixel, or no layer, has a date"}
    if not any(one.rule in ON_DAYS for one in recipe.series):
        return {"reason": "no feature stands on a target day; of a composite or a metric, no date can be told apart"}

    own, kept = (
        own_importance(Model.load(plan.folder / layout.MODEL).estimator),
        observed_rows(plan, rows, matrix, recipe),
    )
    shuffled = _permuted(plan, rows, matrix, recipe, asked, cells=own is None)
    names = [layer.name for layer in recipe.layers]
    drawn = own["values"] if own is not None else shuffled["cells"]
    if shuffled["cells"] is not None:
        shuffled["cells"] = on_grid(shuffled["cells"], recipe)
    grid, by_static = on_grid(drawn, recipe), np.asarray(drawn)[recipe.dated :]

    few = evenly(asked, SHUFFLED)
    held = kept(few)
    land = held.rows["weight"].to_numpy("float64")
    fed = feeding(held.valid, np.array(plan.days), recipe.days, land)
    snow = snow_shares(plan, held)
    acquisitions, dates = [str(day) for day in plan.dates], [_date(plan, day) for day in recipe.days]
    cells = hot_cells(grid, fed, layers=names, dates=dates, acquisitions=acquisitions, snow=snow)
    for cell in cells:
        cell["quicklook"] = _quicklook(plan, held, recipe, cell)
    led = np.clip(grid, 0, None).sum(axis=0) @ fed
    return {
        "layers": names, "dates": dates, "static": list(recipe.static), "rows": len(few),
        "elsewhere": _elsewhere(drawn, recipe),
        "drawn": "permutation" if own is None else own["kind"], "map": grid, "map_static": by_static,
        "splits": None if own is None or own["splits"] is None else on_grid(own["splits"], recipe),
        "permutation": shuffled,
        "acquisitions": [
            {"date": day, "snow": snow[a], "is_snow": is_snow(snow[a]), "importance": led[a] / (led.sum() or 1)}
            for a, day in enumerate(acquisitions)
        ],
        "snow_share": SNOW_SHARE, "feeding": fed, "hot_cells": cells,
        "reliance": reliances(plan, assignment, kept(np.union1d(asked, taught)), recipe, led, snow),
        "histograms": _histograms(plan, rows, matrix, recipe, asked, grid),
    }  # fmt: skip


def own_importance(estimator: Estimator) -> dict[str, Any] | None:
    """What a classifier itself says of its features.

    Returns
    -------
    dict or None
        ``kind`` (``gain``, or ``importances`` of scikit-learn), ``values`` (f,) that sum to 1, and ``splits`` (f,) or
        None. None where it says nothing.
    """
    splits = None
    if isinstance(estimator, Boosted):
        kind, (values, splits) = "gain", split_totals(estimator.text)
    elif isinstance(estimator, Learnt):
        last = estimator.estimator.steps[-1][1] if hasattr(estimator.estimator, "steps") else estimator.estimator
        found = getattr(last, "feature_importances_", None)
        if found is None or len(found) != len(estimator.feature_names):
            return None
        kind, values = "importances", np.asarray(found, "float64")
    else:
        return None
    return {"kind": kind, "values": values / (values.sum() or 1), "splits": splits}


def on_grid(values: Sequence[float] | np.ndarray, recipe: Recipe) -> np.ndarray:
    """Values of all features on target days as layers and dates, (layers, days), summed over rules."""
    grid = np.zeros((len(recipe.layers), len(recipe.days)))
    names = {layer.name: n for n, layer in enumerate(recipe.layers)}
    for column, value in zip(recipe.columns, np.asarray(values)[: recipe.dated], strict=True):
        if column.rule in ON_DAYS and column.layer is not None and column.day is not None:
            grid[names[column.layer.name], recipe.days.index(column.day)] += value
    return grid


def _elsewhere(values: Sequence[float] | np.ndarray, recipe: Recipe) -> dict[str, float]:
    """Importance of the features that stand on no target day, rule by rule; empty where all of them do."""
    out: dict[str, float] = {}
    for column, value in zip(recipe.columns, np.asarray(values)[: recipe.dated].tolist(), strict=True):
        if column.rule not in ON_DAYS:
            out[column.rule] = out.get(column.rule, 0.0) + value
    return out


def groups_of(recipe: Recipe) -> dict[str, dict[str, list[int]]]:
    """Columns by target day (``date``), by layer (``layer``, those without time too), and each alone (``cell``)."""
    layers: dict[str, list[int]] = {name: [] for name in dict.fromkeys(recipe.feature_layers)}
    for n, name in enumerate(recipe.feature_layers):
        layers[name].append(n)
    dates: dict[str, list[int]] = {str(day): [] for day in recipe.days}
    for n, column in enumerate(recipe.columns):
        if column.rule in ON_DAYS:
            dates[str(column.day)].append(n)
    return {
        "date": dates,
        "layer": layers,
        "cell": {name: [n] for n, name in enumerate(recipe.feature_names)},
    }


def _permuted(
    plan: Plan, rows: Any, matrix: np.ndarray, recipe: Recipe, asked: np.ndarray, *, cells: bool
) -> dict[str, Any]:
    model, groups = Model.load(plan.folder / layout.TESTER), groups_of(recipe)
    label, land = rows["label"].to_numpy(), rows["weight"].to_numpy("float64")
    rules: dict[str, Any] = {"thresholds": plan.thresholds, "reject_below": plan.project.model.reject_below}

    def predict(X: np.ndarray) -> np.ndarray:
        p = align_columns(model.probabilities(X, threads=usable_cores()), model.classes, plan.legend.values)
        return decide(p, plan.legend.values, **rules)[0]

    def shuffle(kind: str, most: int, repeats: int) -> dict[str, Any]:
        use = evenly(asked, most)
        return permutation_importance(
            predict, matrix[use], label[use], groups[kind], weights=land[use], repeats=repeats,
            seed=plan.project.sampling.seed,
        )  # fmt: skip

    by_date, by_layer = (shuffle(kind, SHUFFLED, REPEATS) for kind in ("date", "layer"))
    single = shuffle("cell", CELL_SHUFFLED, CELL_REPEATS) if cells or model.kind == "lightgbm" else None
    return {
        "rows": len(evenly(asked, SHUFFLED)), "repeats": REPEATS, "agreement": by_date["agreement"],
        "by_date": {_date(plan, int(day)): found for day, found in by_date["groups"].items()},
        "by_layer": by_layer["groups"],
        "cell_rows": len(evenly(asked, CELL_SHUFFLED)), "cell_repeats": CELL_REPEATS,
        "cells": None if single is None else [found["value"] for found in single["groups"].values()],
    }  # fmt: skip


def _histograms(
    plan: Plan, rows: Any, matrix: np.ndarray, recipe: Recipe, asked: np.ndarray, grid: np.ndarray
) -> dict[str, Any] | None:
    """The most important layer on its most and its least important date, of those that half of the rows have."""
    layer = int(np.argmax(grid.sum(axis=1)))
    what = recipe.layers[layer]
    of_layer = [n for n, column in enumerate(recipe.columns) if column.rule in ON_DAYS and column.layer == what]
    columns = of_layer[: len(recipe.days)]

    common = np.flatnonzero((matrix[np.ix_(asked, np.array(columns))] != NODATA).mean(axis=0) >= 0.5)
    if len(common) < 2:
        return None
    good, poor = (int(common[of(grid[layer, common])]) for of in (np.argmax, np.argmin))

    def values(k: int) -> np.ndarray:
        stored = matrix[asked, columns[k]]
        return np.where(stored == NODATA, np.nan, stored * what.scale + what.offset)

    found = class_histograms(
        {_date(plan, recipe.days[k]): values(k) for k in (good, poor)}, rows["label"].to_numpy()[asked],
        plan.legend.names,
    )  # fmt: skip
    good_day, poor_day = (_date(plan, recipe.days[k]) for k in (good, poor))
    return {"layer": what.name, "good": good_day, "poor": poor_day, "rows": len(asked), **found}


def _quicklook(plan: Plan, held: Observed, recipe: Recipe, cell: Mapping[str, Any]) -> str | None:
    """The kept picture of the heaviest acquisition, of the patch whose rows it feeds most; None where none is kept."""
    if cell["heaviest"] is None or not plan.project.source.stores:
        return None
    heaviest = [str(day) for day in plan.dates].index(cell["heaviest"])
    day = recipe.days[[_date(plan, day) for day in recipe.days].index(cell["date"])]
    patch, land = held.rows["patch"].to_numpy(), held.rows["weight"].to_numpy("float64")
    names = np.unique(patch)
    masses = []
    for name in names:
        own = patch == name
        masses.append(feeding(held.valid[:, own], np.array(plan.days), [day], land[own])[0, heaviest] * land[own].sum())
    path = plan.folder / layout.quicklook(str(names[int(np.argmax(masses))]), plan.dates[heaviest])
    return path.relative_to(plan.folder).as_posix() if path.exists() else None


def _date(plan: Plan, day: int) -> str:
    return str(plan.start + timedelta(days=day))


def _short(value: Any) -> Any:
    """As JSON values, floating-point numbers to six places."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, float):
        return round(value, 6) + 0.0
    if isinstance(value, Mapping):
        return {key: _short(part) for key, part in value.items()}
    return [_short(part) for part in value] if isinstance(value, list | tuple) else value
