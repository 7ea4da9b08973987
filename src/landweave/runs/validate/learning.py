"""How much models improve with land: trained on a quarter, a half and all of the training units."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from landweave.accuracy.metrics import score
from landweave.accuracy.reliance import change
from landweave.features.interpolation import any_known
from landweave.features.recipe import Recipe
from landweave.labels.draw import evenly
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import Assignment
from landweave.runs.validate.refits import reduced, smaller

SHARES = (0.25, 0.5, 1.0)
"""Of the training units; each share holds the one before."""

LEAST_UNITS = 8
"""Training units from which a curve is drawn."""


def learning_curve(
    plan: Plan,
    assignment: Assignment,
    rows: Any,
    matrix: np.ndarray,
    recipe: Recipe,
    *,
    rows_a_class: int,
    trees: int,
    tested: int,
    shares: Sequence[float] = SHARES,
) -> dict[str, Any]:
    """Agreement at the test units of models that were trained on growing shares of the training units.

    Parameters
    ----------
    plan, assignment
        The run, and who trains and tests.
    rows, matrix, recipe
        As :func:`landweave.runs.sample.table.read_samples` gives them.
    rows_a_class, trees, tested
        Training rows of a class and trees, at most, and test rows: models are smaller here than the run's.
    shares
        Of the training units, rising; the last one is 1.

    Returns
    -------
    dict
        ``points``: per share ``{share, units, training_rows, overall_accuracy}``; ``doubling``: what agreement gains
        from the last share but one to all, ``{value, low, high, n_clusters}`` on the same test pixels; ``settings``. Or
        ``{reason}``.
    """
    split, unit, label = (rows[name].to_numpy() for name in ("split", "unit", "label"))
    dated = any_known(matrix[:, : recipe.dated])
    asked = evenly(np.flatnonzero((split == "test") & dated), tested)
    pool = (split == "train") & dated
    units = np.unique(unit[pool])
    if len(units) < LEAST_UNITS or not len(asked):
        return {"reason": f"{len(units)} units train; a curve needs {LEAST_UNITS}, and test pixels"}
    seed = plan.project.sampling.seed
    order = np.random.default_rng([seed, 3]).permutation(units)
    fit, predict = reduced(plan, assignment, recipe, set(units.tolist()), trees=trees)
    truth, land, clusters = label[asked], rows["weight"].to_numpy("float64")[asked], unit[asked]
    options: dict[str, Any] = {"classes": plan.legend.names, "weights": land, "clusters": clusters, "seed": seed}
    points, answers = [], []
    for share in shares:
        taken = order[: max(2, round(share * len(order)))]
        own = np.flatnonzero(pool & np.isin(unit, taken))
        use = np.sort(
            np.concatenate([evenly(own[label[own] == value], rows_a_class) for value in np.unique(label[own])])
        )
        if len(np.unique(label[use])) < 2:
            return {"reason": f"{len(taken)} units have training pixels of one class only"}
        (fitted,) = fit(matrix[use], label[use], [np.ones(len(use), bool)])
        answers.append(predict(fitted, matrix[asked]))
        found = score(truth, answers[-1], **options)["overall_accuracy"]
        points.append({"share": share, "units": len(taken), "training_rows": len(use), "overall_accuracy": found})
    settings = {"rows_a_class": rows_a_class, "test_rows": len(asked), "params": smaller(plan, trees)}
    gained = change(truth, answers[-2], answers[-1], **options)["change"]
    return {"points": points, "doubling": gained, "settings": settings}
