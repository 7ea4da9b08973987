"""The model trained anew without some acquisitions, to see whether it leans on them."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from landweave.accuracy.importance import SNOW_SHARE
from landweave.accuracy.reliance import RULE, predictions, reliance
from landweave.classifier.calibration import apply_prior, fit_prior
from landweave.classifier.estimators import Estimator
from landweave.classifier.fit import fit
from landweave.features.interpolation import any_known, features
from landweave.features.recipe import Recipe
from landweave.labels.draw import evenly
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import Assignment
from landweave.runs.sample.observations import Observed, is_snow

ROWS_A_CLASS, TREES = 1_000, 50
"""With at most so many training rows of a class, and trees, models are trained anew, with all acquisitions and without
some."""

_ROUNDS = (
    "num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "num_round", "num_rounds", "nrounds",
    "num_boost_round", "n_estimators", "max_iter",
)  # fmt: skip
"""LightGBM's names for the number of trees."""


def taught_rows(rows: Any, matrix: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Training rows, at most so many of each class, evenly among them."""
    own, label = (rows["split"] == "train").to_numpy() & any_known(matrix[:, : recipe.dated]), rows["label"].to_numpy()
    parts = [evenly(np.flatnonzero(own & (label == value)), ROWS_A_CLASS) for value in np.unique(label[own])]
    return np.sort(np.concatenate(parts)) if parts else np.zeros(0, "int64")


def reliances(
    plan: Plan, assignment: Assignment, held: Observed, recipe: Recipe, led: np.ndarray, snow: Sequence[float | None]
) -> dict[str, Any]:
    """Trained anew without the leading acquisition, and without all that show snow."""
    days = np.array(plan.days)
    train = (held.rows["split"] == "train").to_numpy()
    truth = held.rows["label"].to_numpy()
    fit_one, predict = reduced(plan, assignment, recipe, set(held.rows["unit"][train]))
    parts: dict[str, Any] = {
        "truth": truth, "train": train, "fit": fit_one, "predict": predict,
        "features": lambda valid: features(held.stack, valid, days, recipe, static=held.static),
    }  # fmt: skip
    before = predictions(held.valid, **parts)
    land, right = held.rows["weight"].to_numpy("float64"), before == truth[~train]
    tests = {}
    white = [a for a, share in enumerate(snow) if is_snow(share)]
    for name, removed in (("leading", [int(np.argmax(led))]), ("snow", white)):
        if not removed or len(removed) == len(days):
            known = any(share is not None for share in snow)
            why = "snow is not known without B03, B08 and B11"
            if known:
                why = "every acquisition" if removed else "no acquisition"
                why += f" shows snow on more than {SNOW_SHARE:.0%} of what is seen"
            tests[name] = {"removed": [], "reason": why}
            continue
        found = reliance(
            removed, valid=held.valid, baseline=before, clusters=held.rows["unit"].to_numpy(),
            classes=plan.legend.names, weights=land, seed=plan.project.sampling.seed, **parts,
        )  # fmt: skip
        tests[name] = {"removed": [str(plan.dates[a]) for a in removed], **found}
    return {
        "rule": RULE, "rows_a_class": ROWS_A_CLASS, "training_rows": int(train.sum()), "test_rows": int((~train).sum()),
        "settings": fewer_trees(plan), "agreement": float(land[~train][right].sum() / land[~train].sum()), **tests,
    }  # fmt: skip


def reduced(
    plan: Plan, assignment: Assignment, recipe: Recipe, units: set[str], *, trees: int = TREES
) -> tuple[Callable[[np.ndarray, np.ndarray], Any], Callable[[Any, np.ndarray], np.ndarray]]:
    """Fit and predict as the run does, with fewer trees; probabilities are moved to the classes' shares of the land."""
    settings = plan.project.model
    counted = [assignment.counts[unit] for unit in units]
    totals = {value: sum(part.get(value, 0) for part in counted) for value in plan.legend.values}

    def fit_one(X: np.ndarray, y: np.ndarray) -> tuple[Estimator, tuple[float, ...] | None]:
        # One thread: in a fit as small as this, threads wait for each other, many times as long on a busy machine.
        estimator = fit(
            X, y, type=settings.type, params=fewer_trees(plan, trees), seed=plan.project.sampling.seed, threads=1,
            feature_names=recipe.feature_names, rule=plan.project.import_rule,
        )  # fmt: skip
        trained = {value: int((y == value).sum()) for value in estimator.classes}
        return estimator, fit_prior(totals, trained) if settings.prior == "area" else None

    def predict(fitted: tuple[Estimator, tuple[float, ...] | None], X: np.ndarray) -> np.ndarray:
        estimator, prior = fitted
        p = estimator.predict(X, threads=os.cpu_count() or 1)
        p = p if prior is None else apply_prior(p, prior)
        answer = np.array(estimator.classes, "uint8")[p.argmax(axis=1)]
        # As on the map: where nothing was seen there is no class.
        return np.where(any_known(X[:, : recipe.dated]), answer, 0).astype("uint8")

    return fit_one, predict


def fewer_trees(plan: Plan, trees: int = TREES) -> dict[str, Any]:
    """The classifier's parameters, with at most so many trees or rounds."""
    params, kind = dict(plan.project.model.params), plan.project.model.type
    if kind == "lightgbm":
        given = [params.pop(name) for name in _ROUNDS if name in params]
        return params | {"num_iterations": min([*(n for n in given if isinstance(n, int)), trees])}
    if kind == "random_forest" or "n_estimators" in params:
        return params | {"n_estimators": min(params.get("n_estimators", trees), trees)}
    return params
