"""Is a class missed because it is rare, or because it looks like others? The same probabilities on an equal footing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.accuracy.metrics import score


def equal_footing(
    truth: np.ndarray,
    p: np.ndarray,
    *,
    classes: Mapping[int, str],
    weights: np.ndarray | None = None,
    clusters: np.ndarray | None = None,
    seed: int = 42,
) -> dict[str, Any]:
    """Recall and precision of argmax p_k / mean(p_k): what would be shown if all classes were equally common.

    By Bayes' rule p_k is proportional to (how common the model takes class k to be) x (how well the pixel fits it); the
    mean of p_k over the land is the first factor, so dividing by it leaves the second. What a class gains in recall is
    what its rarity costs it; what it still misses then looks like another class.

    Parameters
    ----------
    truth
        Reference class values, uint8 (n,); rows with 0 are left out.
    p
        Probability of each class in the order of ``classes``, (n, k); rows with NaN are shown as no class.
    classes
        Class value to name, in the legend's order.
    weights
        Land that each row stands for, (n,); None counts every row alike.
    clusters
        Patch, block or group of each row, (n,), for the intervals; None gives none.
    seed
        Of the intervals.

    Returns
    -------
    dict
        Class name to ``taken_for`` (the share of the land that the model expects of it, mean of p_k), ``recall`` and
        ``precision``, scores as in ``accuracy.json``. A diagnosis: nothing is chosen by it.
    """
    known = np.isfinite(p).all(axis=1) & (truth > 0)
    land = np.ones(len(p)) if weights is None else np.asarray(weights, "float64")
    total = land[known].sum()
    mean = np.asarray((p[known] * land[known, None]).sum(axis=0) / total) if total > 0 else np.ones(len(classes))
    # A class that the model never expects can never be shown.
    fit = np.divide(p, mean, out=np.zeros(p.shape), where=(mean > 0) & known[:, None])
    shown = np.where(known, np.array(list(classes), "uint8")[fit.argmax(axis=1)], 0).astype("uint8")
    found = score(truth, shown, classes=classes, weights=weights, clusters=clusters, seed=seed)["classes"]
    return {
        name: {"taken_for": float(share), "recall": found[name]["recall"], "precision": found[name]["precision"]}
        for name, share in zip(classes.values(), mean, strict=True)
    }
