"""Does the test side know what the training side was taught? Same places, twins, shared polygons, near neighbours."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from landweave.labels.split import lost_classes

POLYGON, DUPLICATE = 1, 2
"""Why a row is known to the model that predicts it: another part of its polygon, or the same features, taught it."""

LEAST_FEATURES = 8
"""Equal rows of fewer features are no duplicates."""


def audit(
    features: np.ndarray,
    side: np.ndarray,
    *,
    weights: np.ndarray,
    to_training: np.ndarray,
    pixel: float,
    reach: float | None = None,
    polygons: np.ndarray | None = None,
    missing: int | None = None,
) -> dict[str, Any]:
    """What the two sides of a split share.

    Parameters
    ----------
    features
        (n, f), whole numbers or floating point.
    side
        True where a row tests, False where it trains, bool (n,).
    weights
        Land of each row, (n,).
    to_training
        Distance of each test row to the nearest training row in metres, (tests,).
    pixel
        Side of a pixel in metres.
    reach
        Range of the autocorrelation of errors in metres; None where it is not known.
    polygons
        Number of the reference's polygon that labels each row, (n,), 0 for none; None without polygons.
    missing
        Rows whose features are all this say nothing and are no twins.

    Returns
    -------
    dict
        ``test_rows``, ``training_rows``; ``same_place``: test rows whose pixel trained; ``twins``: ``{across,
        within_test, within_training}``, test rows whose features equal a training row's, and rows beyond the first of
        equal ones on either side; ``polygons``: ``{shared, test_polygons, share}``, polygons with rows on both sides,
        those with test rows, and the share of the test land in shared ones, or None; ``near``: ``{pixel, range}``, each
        ``{metres, rows, share}``, test rows no further from a training row than that, and their share of the test land;
        ``range`` None where it is not known.
    """
    side = np.asarray(side, bool)
    land = np.asarray(weights, "float64")[side]
    prints = fingerprints(features)
    told = np.ones(len(features), bool) if missing is None else (features != missing).any(axis=1)
    ours, theirs = prints[side & told], prints[~side & told]
    return {
        "test_rows": int(side.sum()),
        "training_rows": int((~side).sum()),
        "same_place": int((to_training < 0.5 * pixel).sum()),
        "twins": {
            "across": int(np.isin(ours, theirs).sum()),
            "within_test": len(ours) - len(np.unique(ours)),
            "within_training": len(theirs) - len(np.unique(theirs)),
        },
        "polygons": None if polygons is None else _polygons(np.asarray(polygons), side, land),
        "near": {
            # A neighbour across a corner lies 1.41 pixels off.
            "pixel": _near(to_training, land, 1.5 * pixel),
            "range": None if reach is None else _near(to_training, land, reach),
        },
    }


def known_rows(
    features: np.ndarray,
    models: Mapping[str, tuple[np.ndarray, np.ndarray]],
    *,
    polygons: np.ndarray | None = None,
    missing: int | None = None,
) -> np.ndarray:
    """Rows that the model which predicts them knows in part: its polygon, or the very same features, were trained on.

    Parameters
    ----------
    features
        (n, f), whole numbers or floating point.
    models
        Name to the rows, bool (n,), that a model was trained on, and to those that it predicts.
    polygons
        Number of the reference's polygon that labels each row, (n,), 0 for none; None without polygons.
    missing
        A feature of this value says nothing.

    Returns
    -------
    numpy.ndarray
        uint8 (n,): :data:`POLYGON`, :data:`DUPLICATE`, or 0. A row of fewer than :data:`LEAST_FEATURES` features that
        are known is no duplicate: so few are equal by chance.
    """
    found = np.zeros(len(features), "uint8")
    prints, told = prints_of(features, missing=missing)
    for taught, asked in models.values():
        at = np.flatnonzero(asked)
        own, others = (None, None) if polygons is None else (polygons[at], polygons[taught])
        found[at] = known_by(prints[at], told[at], prints[taught & told], polygons=own, taught=others)
    return found


def prints_of(features: np.ndarray, *, missing: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Fingerprints of rows, uint64 (n,), and whether :data:`LEAST_FEATURES` of their features are known, bool (n,)."""
    here = np.isfinite(features) if features.dtype.kind == "f" else np.ones(features.shape, bool)
    told = (here if missing is None else here & (features != missing)).sum(axis=1) >= LEAST_FEATURES
    return fingerprints(features), told


def known_by(
    prints: np.ndarray,
    told: np.ndarray,
    taught_prints: np.ndarray,
    *,
    polygons: np.ndarray | None = None,
    taught: np.ndarray | None = None,
) -> np.ndarray:
    """As :func:`known_rows`, of one model: by fingerprints and polygons of rows, and of those that it was taught."""
    found = np.where(told & np.isin(prints, taught_prints), DUPLICATE, 0)
    if polygons is not None and taught is not None:
        found = np.where((polygons > 0) & np.isin(polygons, np.unique(taught)), POLYGON, found)
    return found.astype("uint8")


def classes_lost(
    counts: Mapping[str, Mapping[int, int]], sides: Mapping[str, object], names: Mapping[int, str]
) -> dict[str, list[str]]:
    """Side (or fold) to the names of classes that occur somewhere but not there; from ``lost_classes``."""
    return {str(side): [names[value] for value in lost] for side, lost in lost_classes(counts, sides).items()}


def fingerprints(features: np.ndarray) -> np.ndarray:
    """A number a row, uint64 (n,), equal for equal rows; of unequal ones two in 2**64 by chance.

    >>> a, b, c = fingerprints(np.array([[1, 2], [2, 1], [1, 2]], "int16"))
    >>> bool(a == c), bool(a == b)
    (True, False)
    """
    values = np.ascontiguousarray(features)
    if values.dtype.kind == "f":
        # Minus zero is zero, and one NaN is like another.
        values = np.where(np.isnan(values), np.inf, values + 0.0).astype("float64").view("uint64")
    factors = np.random.default_rng(0).integers(0, 2**63, values.shape[1], "int64").astype("uint64") * 2 + 1
    found = np.zeros(len(values), "uint64")
    with np.errstate(over="ignore"):
        for column, factor in enumerate(factors):
            # Mixed, since a plain sum of products would let near rows cancel.
            mixed = (values[:, column].astype("int64").astype("uint64") + np.uint64(column + 1)) * factor
            found = (found ^ (mixed ^ (mixed >> np.uint64(29)))) * np.uint64(0x9E3779B97F4A7C15)
    return found


def _near(to_training: np.ndarray, land: np.ndarray, metres: float) -> dict[str, Any]:
    near = to_training <= metres
    total = float(land.sum())
    share = float(land[near].sum() / total) if total else 0.0
    return {"metres": float(metres), "rows": int(near.sum()), "share": share}


def _polygons(polygons: np.ndarray, side: np.ndarray, land: np.ndarray) -> dict[str, Any]:
    tested, taught = (np.unique(polygons[use & (polygons > 0)]) for use in (side, ~side))
    shared = np.intersect1d(tested, taught)
    total = float(land.sum())
    share = float(land[np.isin(polygons[side], shared)].sum() / total) if total else 0.0
    return {"shared": len(shared), "test_polygons": len(tested), "share": share}
