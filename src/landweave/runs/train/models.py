"""Train the models and measure them: the map's model, one per fold, and the one that tests."""

import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.classifier.calibration import fit_prior
from landweave.classifier.cross_calibration import cross_calibrate, spread
from landweave.classifier.fit import fit, fit_parts
from landweave.classifier.model import Model
from landweave.engine.machine import usable_cores
from landweave.engine.memory import give_freed_memory_back
from landweave.errors import InputError
from landweave.features.interpolation import any_known
from landweave.features.recipe import Recipe
from landweave.labels.leakage import known_rows
from landweave.labels.units import total
from landweave.patch.model import NODATA
from landweave.runs import layout
from landweave.runs.project.given_model import given_model
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import Assignment
from landweave.runs.sample.table import read_samples
from landweave.runs.train.held_out import write_held_out

_FEW_ROWS = 2000
"""Training rows above which a classifier is not asked whether they are enough."""


def try_settings(plan: Plan) -> None:
    """Fit the classifier that ``[model]`` describes on a few numbers of the right shape, or load the one it names.

    InputError now, not after hours.
    """
    settings, names = plan.project.model, plan.recipe.feature_names
    if settings.path:
        given_model(plan)
        return
    classes = np.tile(np.array(plan.legend.values, "uint8"), 6)
    numbers = np.random.default_rng(0).integers(0, 5000, (len(classes), len(names)), "int16")
    try:
        fit(
            numbers, classes, type=settings.type, params=settings.params, feature_names=names,
            rule=plan.project.import_rule,
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{plan.project.file}: {error}") from None


def try_rows(plan: Plan, assignment: Assignment) -> None:
    """Fit a scikit-learn classifier on as many numbers as the smallest fold will have rows, and let it predict.

    InputError where it needs more rows, such as more neighbours than there are. LightGBM and forests take any number.
    """
    settings, names = plan.project.model, plan.recipe.feature_names
    if settings.path or settings.type in {"lightgbm", "random_forest"}:
        return
    train_units = {unit: fold for unit, (role, fold) in assignment.units.items() if role != "test"}
    parts = [
        total({unit: assignment.quotas.get(unit, {}) for unit, own in train_units.items() if own != fold})
        for fold in (range(assignment.folds) if assignment.folds else [-2])
    ]
    least = min(parts, key=lambda part: sum(part.values()))
    if sum(least.values()) > _FEW_ROWS:
        return
    classes = np.repeat(np.array(list(least), "uint8"), list(least.values()))
    numbers = np.random.default_rng(0).integers(0, 5000, (len(classes), len(names)), "int16")
    try:
        fit(
            numbers, classes, type=settings.type, params=settings.params, feature_names=names,
            rule=plan.project.import_rule,
        ).predict(numbers[:1])  # fmt: skip
    except InputError as error:
        raise InputError(
            f"{plan.project.file}: model.type with the {len(classes)} training pixels of the smallest fold: {error}"
        ) from None


def train(plan: Plan, assignment: Assignment | None, *, missing: list[str]) -> dict[str, Any]:
    """Fit fold models, the testing model and the map's model; keep every row's held-out probabilities.

    The folds share out the training units; the testing model is trained on all of them and on nothing else, so that
    the temperature, fitted on the folds, has seen no test unit.

    Parameters
    ----------
    plan, assignment
        The run, and who trains and tests; None for a table, which is cross-validated.
    missing
        Patches that the model never had; the model is frozen then.
    """
    rows, matrix, recipe = read_samples(plan.folder, rule=plan.recipe.rule)
    label, split, fold = (rows[name].to_numpy() for name in ("label", "split", "fold"))
    own, taught = split == "train", np.isin(split, ("train", "refit"))
    if not any_known(matrix[own][:, : recipe.dated]).any():
        between = f"no target day from {plan.start} on, every {plan.project.features.step_days}, is between valid ones"
        why = "there is no valid observation" if plan.undated else between
        raise InputError(
            f"{plan.project.file}: no training pixel has features: {why}; check clouds, period and step_days."
        )
    everything = taught if plan.project.model.refit else own
    # Rows of all land in units that train; those without a fold were seen by no model.
    land = split == "land"
    folded = own | (land & (fold >= 0))

    numbers = range(assignment.folds if assignment is not None else int(fold.max()) + 1)
    jobs = {layout.fold(n): own & (fold != n) for n in numbers}
    if not own.all():
        jobs[layout.TESTER] = own
    jobs[layout.MODEL] = everything
    models = _fit_all(plan, assignment, recipe, matrix, label, rows["unit"].to_numpy(), jobs, missing)
    asked = {layout.fold(n): folded & (fold == n) for n in numbers} | {layout.TESTER: ~folded}
    known = np.zeros(len(rows), "uint8")
    if assignment is None or assignment.kind != "none":
        polygons = plan.project.reference is not None and plan.reference.kind == "polygons"
        known = known_rows(
            matrix, {name: (jobs[name], part) for name, part in asked.items() if name in jobs},
            polygons=rows["piece"].to_numpy() if polygons else None, missing=NODATA,
        )  # fmt: skip
    # Land that a model knows in part would make it look surer than it may be of all other land.
    weights, partly = rows["weight"].to_numpy("float64"), land & (known > 0)
    if not np.array_equal(partly, land):
        weights = np.where(partly, 0.0, weights)
    models, held_out = cross_calibrate(
        models, {layout.fold(n): asked[layout.fold(n)] for n in numbers}, matrix, label,
        classes=plan.legend.values, weights=weights, land=land if land.any() else None,
        soften=plan.project.model.calibration == "temperature", threads=usable_cores(),
    )  # fmt: skip
    temperature = models[layout.MODEL].temperature
    if not folded.all():
        held_out[~folded] = _spread(plan, models[layout.TESTER], matrix[~folded])
    if assignment is not None and assignment.kind == "none":
        del models[
            layout.TESTER
        ]  # it has seen what it is asked about, so its figures are in-sample and it maps nothing
    shutil.rmtree(plan.folder / layout.FOLDS, ignore_errors=True)
    for folder, model in models.items():
        model.save(plan.folder / folder)
    write_held_out(plan, rows, held_out, seen=any_known(matrix[:, : recipe.dated]), known=known)
    absent = [plan.legend.names[value] for value in plan.legend.values if not (label[taught] == value).any()]
    return {
        "files": [*models, layout.HELD_OUT],
        "info": {"missing": missing, "absent": absent, "temperature": temperature, "folds": len(numbers)},
    }


def apply_given(plan: Plan) -> dict[str, Any]:
    """Held-out probabilities of a model from elsewhere: it has seen nothing of this area."""
    rows, matrix, recipe = read_samples(plan.folder, rule=plan.recipe.rule)
    model = given_model(plan)
    write_held_out(plan, rows, _spread(plan, model, matrix), seen=any_known(matrix[:, : recipe.dated]))
    info = {"missing": [], "absent": [], "temperature": model.temperature, "folds": 0}
    return {"files": [layout.HELD_OUT], "info": info}


def _fit_all(
    plan: Plan,
    assignment: Assignment | None,
    recipe: Recipe,
    matrix: np.ndarray,
    label: np.ndarray,
    unit: np.ndarray,
    jobs: Mapping[str, np.ndarray],
    missing: list[str],
) -> dict[str, Model]:
    """Fit one model a job, side by side."""
    settings = plan.project.model
    # The rows of test places that only the map's model is taught must not even decide the bins of the others.
    apart = (layout.MODEL,) if layout.TESTER in jobs else ()
    estimators = fit_parts(
        matrix, label, jobs, apart=apart, type=settings.type, params=settings.params, seed=plan.project.sampling.seed,
        threads=usable_cores(), feature_names=recipe.feature_names, rule=plan.project.import_rule,
        # The next one is fitted in another thread, which does not use what this one has freed.
        after_each=give_freed_memory_back,
    )  # fmt: skip
    models = {}
    for name, use in jobs.items():
        own, prior = label[use], None
        if settings.prior == "area" and assignment is not None:
            land = total({unit: assignment.counts[unit] for unit in set(unit[use])})
            prior = fit_prior(land, {value: int((own == value).sum()) for value in estimators[name].classes})
        models[name] = Model(
            estimator=estimators[name],
            class_names=plan.legend.names,
            recipe=recipe.to_json(),
            prior=prior,
            provenance={"project": plan.project.name, "rows": len(own), "missing": missing},
        )
    return models


def _spread(plan: Plan, model: Model, matrix: np.ndarray) -> np.ndarray:
    """Probabilities under the whole legend's classes, in its order."""
    return spread(model, matrix, plan.legend.values, threads=usable_cores())
