"""The model trained anew without some acquisitions, to see whether it leans on them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from landweave.accuracy.importance import SNOW_SHARE
from landweave.accuracy.reliance import RULE, change, predictions
from landweave.classifier.calibration import apply_prior, fit_prior
from landweave.classifier.estimators import Estimator
from landweave.classifier.fit import fit_parts
from landweave.engine.machine import usable_cores
from landweave.features.interpolation import any_known, features
from landweave.features.recipe import Recipe
from landweave.labels.draw import evenly
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import Assignment
from landweave.runs.sample.observations import Observed, is_snow

ROWS_A_CLASS, TREES, BINS = 1_000, 50, 31
"""Models are trained again, with all acquisitions and without some, with at most so many training rows of a class,
trees, and LightGBM's bins of a feature.

Trying bins is most of the work of a small LightGBM model: with 31 it is trained in a quarter of the time of 255.
"""

_ROUNDS = (
    "num_iterations", "num_iteration", "n_iter", "num_tree", "num_trees", "num_round", "num_rounds", "nrounds",
    "num_boost_round", "n_estimators", "max_iter",
)  # fmt: skip
"""LightGBM's names for the number of trees."""

_BINS = ("max_bin", "max_bins")
"""LightGBM's names for the most bins of a feature."""


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
    fit_all, predict = reduced(plan, assignment, recipe, set(held.rows["unit"][train]))
    parts: dict[str, Any] = {
        "truth": truth, "train": train, "predict": predict,
        "fit": lambda X, y: fit_all(X, y, [np.ones(len(y), bool)])[0],
        "features": lambda valid: features(held.stack, valid, days, recipe, static=held.static),
    }  # fmt: skip
    white = [a for a, share in enumerate(snow) if is_snow(share)]
    removals = {"leading": [int(np.argmax(led))], "snow": white}
    asked = {name: removed for name, removed in removals.items() if removed and len(removed) < len(days)}
    # Side by side, since one thread does each: these fits are too small for more.
    with ThreadPoolExecutor(min(usable_cores(), 1 + len(asked)), "refit") as pool:
        waiting = [pool.submit(predictions, held.valid, without=removed, **parts) for removed in [[], *asked.values()]]
        before, *after = (answer.result() for answer in waiting)
    land, right = held.rows["weight"].to_numpy("float64"), before == truth[~train]
    units, tests = held.rows["unit"].to_numpy()[~train], {}
    for name, removed in removals.items():
        if name not in asked:
            known = any(share is not None for share in snow)
            why = "snow is not known without B03, B08 and B11"
            if known:
                why = "every acquisition" if removed else "no acquisition"
                why += f" shows snow on more than {SNOW_SHARE:.0%} of what is seen"
            tests[name] = {"removed": [], "reason": why}
            continue
        found = change(
            truth[~train], before, after[list(asked).index(name)], clusters=units, classes=plan.legend.names,
            weights=land[~train], seed=plan.project.sampling.seed,
        )  # fmt: skip
        tests[name] = {"removed": [str(plan.dates[a]) for a in removed], **found}
    return {
        "rule": RULE, "rows_a_class": ROWS_A_CLASS, "training_rows": int(train.sum()), "test_rows": int((~train).sum()),
        "settings": smaller(plan), "agreement": float(land[~train][right].sum() / land[~train].sum()), **tests,
    }  # fmt: skip


def reduced(
    plan: Plan, assignment: Assignment, recipe: Recipe, units: set[str], *, trees: int = TREES, bins: int = BINS
) -> tuple[
    Callable[[np.ndarray, np.ndarray, Sequence[np.ndarray]], list[Any]],
    Callable[[Any, np.ndarray], np.ndarray],
]:
    """Fit parts of a table and predict as the run does, with smaller models.

    Probabilities are moved to the classes' shares of the land.
    """
    settings = plan.project.model
    counted = [assignment.counts[unit] for unit in units]
    totals = {value: sum(part.get(value, 0) for part in counted) for value in plan.legend.values}

    def fit_all(
        X: np.ndarray, y: np.ndarray, parts: Sequence[np.ndarray]
    ) -> list[tuple[Estimator, tuple[float, ...] | None]]:
        # One thread for one part: in a fit as small as this, threads wait for each other.
        found = fit_parts(
            X, y, {str(n): part for n, part in enumerate(parts)}, type=settings.type,
            params=smaller(plan, trees, bins), seed=plan.project.sampling.seed,
            threads=min(usable_cores(), len(parts)), feature_names=recipe.feature_names, rule=plan.project.import_rule,
        )  # fmt: skip
        fitted = []
        for estimator, part in zip(found.values(), parts, strict=True):
            trained = {value: int((y[part] == value).sum()) for value in estimator.classes}
            fitted.append((estimator, fit_prior(totals, trained) if settings.prior == "area" else None))
        return fitted

    def predict(fitted: tuple[Estimator, tuple[float, ...] | None], X: np.ndarray) -> np.ndarray:
        estimator, prior = fitted
        p = estimator.predict(X, threads=usable_cores())
        p = p if prior is None else apply_prior(p, prior)
        answer = np.array(estimator.classes, "uint8")[p.argmax(axis=1)]
        # As on the map: where nothing was seen there is no class.
        return np.where(any_known(X[:, : recipe.dated]), answer, 0).astype("uint8")

    return fit_all, predict


def smaller(plan: Plan, trees: int = TREES, bins: int = BINS) -> dict[str, Any]:
    """The classifier's parameters, with at most so many trees or rounds, and LightGBM's bins of a feature."""
    params, kind = dict(plan.project.model.params), plan.project.model.type
    if kind == "lightgbm":
        rounds, most = ([params.pop(name) for name in names if name in params] for names in (_ROUNDS, _BINS))
        return params | {
            "num_iterations": min([*(n for n in rounds if isinstance(n, int)), trees]),
            "max_bin": min([*(n for n in most if isinstance(n, int)), bins]),
        }
    if kind == "random_forest" or "n_estimators" in params:
        return params | {"n_estimators": min(params.get("n_estimators", trees), trees)}
    return params
