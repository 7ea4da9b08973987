"""The training rows that a map is likened to: ``applicability.npz``, made once after validation."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from landweave.accuracy.trust.applicability import Applicability, fit_applicability
from landweave.errors import InputError
from landweave.features.interpolation import any_known
from landweave.labels.draw import evenly
from landweave.patch.store import write_whole
from landweave.runs import layout
from landweave.runs.mapping.trust.taught import taught_rows, write_taught
from landweave.runs.project.plan import Plan
from landweave.runs.sample.table import read_samples

MOST_ROWS = 10_000
"""Training rows that stand for all: the time that a map takes grows with them."""

TRIED = 2000
"""Rows on which the index by the rows that stand for all is compared with that by all rows."""


def write_applicability(plan: Plan) -> dict[str, Any]:
    """Write ``applicability.npz`` and ``taught.npz``.

    Returns
    -------
    dict
        The stage's record; ``info`` holds ``threshold``, ``mean_distance``, ``rows``, ``all_rows``, ``weights`` (where
        the importance comes from), and ``thinned``: how far the index is from that by all rows, None where all count;
        or only ``reason``, where the training rows give no area of applicability.
    """
    path = plan.folder / layout.APPLICABILITY
    path.unlink(missing_ok=True)
    (plan.folder / layout.TAUGHT).unlink(missing_ok=True)
    rows, matrix, recipe = read_samples(plan.folder, rule=plan.recipe.rule)
    sides = ("train", "refit") if plan.project.model.refit else ("train",)
    use = rows["split"].isin(sides).to_numpy() & any_known(matrix[:, : recipe.dated])
    everything = np.flatnonzero(use)
    if not len(everything):
        return {"files": [], "info": {"reason": "there are no training rows here: the model comes from elsewhere"}}
    own = (rows["split"] == "train").to_numpy()
    fold = rows["fold"].to_numpy()
    files = [write_taught(plan.folder, taught_rows(matrix[own], rows["piece"].to_numpy()[own], fold[own]))]
    kept = evenly(everything, MOST_ROWS)
    weights, source = _importance(plan, len(recipe.feature_names))
    fold = apart(fold, everything)
    try:
        fitted = fit_applicability(matrix[kept], importance=weights, folds=fold[kept])
    except InputError as error:
        return {"files": files, "info": {"reason": str(error)}}
    write_whole(path, lambda part: _save(part, fitted))
    thinned = None
    if len(kept) < len(everything):
        asked = evenly(np.setdiff1d(everything, kept), TRIED)
        # A row is in its own fold, so that it is never likened to itself.
        whole = evenly(everything, 5 * MOST_ROWS)
        thinned = _compare(fitted, matrix[asked], fold[asked], matrix[whole], fold[whole])
    info = {
        "threshold": fitted.threshold, "mean_distance": fitted.mean_distance, "rows": len(kept),
        "all_rows": len(everything), "weights": source, "thinned": thinned,
    }  # fmt: skip
    return {"files": [layout.APPLICABILITY, *files], "info": info}


def apart(fold: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Folds by which training rows are kept from their like; int64 (n,).

    They stay the numbers by which pixels of a place ask not to be likened to its rows. Rows without a fold (-1) get a
    number that no place has, and so does each row by itself where all are of one fold.

    Parameters
    ----------
    fold
        Of all rows, (n,), -1 for none.
    used
        Indices of the rows that count.

    >>> apart(np.array([-1, -1, 0]), np.arange(3)).tolist(), apart(np.array([0, 0, 1]), np.arange(2)).tolist()
    ([1, 1, 0], [2, 3, 4])
    """
    fold = fold.astype("int64")
    free = max(int(fold.max()) + 1, 1)
    if len(np.unique(fold[used])) == 1:
        return np.arange(free, free + len(fold))
    return np.where(fold < 0, free, fold)


def read_applicability(folder: Path) -> Applicability | None:
    """What :func:`write_applicability` wrote; None where there is none."""
    path = folder / layout.APPLICABILITY
    if not path.exists():
        return None
    status = path.stat()
    return _read(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1)
def _read(path: Path, _when: int, _size: int) -> Applicability:
    # Once a process: every patch asks for it.
    with np.load(path, allow_pickle=False) as arrays:
        return Applicability.from_arrays(dict(arrays))


def _save(part: Path, fitted: Applicability) -> None:
    with part.open("wb") as file:
        np.savez(file, allow_pickle=False, **fitted.arrays())


def _importance(plan: Plan, features: int) -> tuple[np.ndarray, str]:
    """Weights of all features as the report shows them, and where they come from."""
    path = plan.folder / layout.IMPORTANCE
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if "map" in found:
        drawn = np.concatenate([np.array(found["map"], "float64").T.ravel(), np.array(found["map_static"], "float64")])
        if len(drawn) == features and np.isfinite(drawn).all() and (drawn > 0).any():
            return drawn, str(found["drawn"])
    return np.ones(features), "none: every feature counts alike"


def _compare(
    fitted: Applicability, asked: np.ndarray, asked_fold: np.ndarray, whole: np.ndarray, whole_fold: np.ndarray
) -> dict[str, float]:
    """Index of other training rows by the rows that stand for all, and by all, both without those of their fold."""
    few, _ = fitted.dissimilarity(asked, folds=asked_fold)
    many, _ = fitted.among(whole, whole_fold).dissimilarity(asked, folds=asked_fold)
    gap = (few - many) / fitted.threshold
    return {
        "compared": len(asked), "against_rows": len(whole), "median": float(np.median(gap)),
        "most_of_95_percent": float(np.quantile(np.abs(gap), 0.95)),
        "other_side": float((fitted.inside(few) != fitted.inside(many)).mean()),
    }  # fmt: skip
