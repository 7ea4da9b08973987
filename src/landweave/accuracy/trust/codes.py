"""Probabilities as bytes, fine where calibration needs them fine, and the least byte with which a class is in a set."""

from collections.abc import Sequence

import numpy as np

from landweave.accuracy.trust.conformal import conformal_threshold
from landweave.errors import InputError

MOST = 250
"""The largest code."""

LEAST_GROUP = 200
"""Calibration pixels of a class in a region, from which on it has a threshold of its own."""

_MIDDLE, _STEPS = 125.5, 12.5


def encode(p: np.ndarray) -> np.ndarray:
    """Probabilities as codes of equal steps in their log-odds: uint8, 1 to 250, 0 for a probability of 0.

    A step is 0.08: at most 2 points at p = 0.5, and 0.08 points at 0.99. Bytes of equal steps in p would make one code
    of most pixels of a class that the model is sure of, and its sets would hold more than was asked for.

    >>> encode(np.array([0.0, 0.5, 0.99, 1.0])).tolist()
    [0, 126, 183, 250]
    """
    p = np.asarray(p, "float64")
    with np.errstate(divide="ignore"):
        odds = np.log(p) - np.log1p(-p)
    # Half steps go up, so that 0.5 has one code on every machine.
    codes = np.floor(np.clip(_MIDDLE + _STEPS * odds, 1, MOST) + 0.5)
    return np.where(p > 0, np.minimum(codes, MOST), 0).astype("uint8")


def least_codes(
    own: np.ndarray,
    label: np.ndarray,
    region: np.ndarray,
    weights: np.ndarray,
    *,
    alpha: float,
    classes: int,
    regions: int,
) -> np.ndarray:
    """The least code with which a class is in the set of a pixel, by region and class (Mondrian split-conformal).

    A class has a threshold of its own in a region with :data:`LEAST_GROUP` calibration pixels of it or more. Its other
    regions share one, of all their pixels where these are as many, else of all its pixels. A class without enough
    calibration pixels for a finite threshold is in every set, and so is one that too many of the models which were
    asked about it did not know. A class without any calibration pixel is in the sets of all pixels that the model gives
    it any probability for.

    Parameters
    ----------
    own
        Code of each calibration pixel's own class, uint8 (n,), from :func:`encode`.
    label, region
        Column of its class and number of its region, whole numbers (n,).
    weights
        Land that each stands for, (n,).
    alpha
        Share of sets that may miss, between 0 and 1.
    classes, regions
        How many there are.

    Returns
    -------
    numpy.ndarray
        uint8 (regions, classes); 0 is in every set.

    Raises
    ------
    InputError
        As :func:`landweave.accuracy.trust.conformal.conformal_threshold`.

    Examples
    --------
    >>> own, ones = np.arange(1, 101), np.ones(100)
    >>> least_codes(own, np.zeros(100, int), np.zeros(100, int), ones, alpha=0.1, classes=2, regions=1).tolist()
    [[10, 1]]
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; give the share of sets that may miss, between 0 and 1.")
    out = np.ones((regions, classes), "uint8")
    scores = MOST - np.asarray(own, "int64")
    for k in range(classes):
        mine = np.flatnonzero(label == k)
        if not len(mine):
            continue
        counts = np.bincount(region[mine], minlength=regions)
        small = mine[counts[region[mine]] < LEAST_GROUP]
        shared = _least(scores, weights, small if len(small) >= LEAST_GROUP else mine, alpha)
        for r in range(regions):
            here = mine[region[mine] == r]
            out[r, k] = _least(scores, weights, here, alpha) if counts[r] >= LEAST_GROUP else shared
    return out


def _least(scores: np.ndarray, weights: np.ndarray, rows: np.ndarray, alpha: float) -> int:
    threshold = conformal_threshold(scores[rows], alpha=alpha, weights=weights[rows])
    return MOST - int(threshold) if np.isfinite(threshold) else 0


def members(codes: np.ndarray, region: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Whether each class is in the set of each pixel.

    Parameters
    ----------
    codes
        uint8 (n, classes).
    region
        Number of each pixel's region, (n,).
    least
        From :func:`least_codes`.

    Returns
    -------
    numpy.ndarray
        bool (n, classes).

    >>> members(np.array([[10, 0], [11, 5]]), np.array([0, 0]), np.array([[11, 1]])).tolist()
    [[False, False], [True, True]]
    """
    return np.asarray(np.asarray(codes) >= least[region])


def sets_by_others(
    codes: np.ndarray,
    label: np.ndarray,
    region: np.ndarray,
    weights: np.ndarray,
    parts: Sequence[int] | np.ndarray,
    *,
    alpha: float,
    regions: int,
) -> np.ndarray | None:
    """Sets of each part's pixels by thresholds of the other parts' pixels: what their coverage is checked on.

    Parameters
    ----------
    codes
        uint8 (n, classes).
    label, region, weights, alpha, regions
        As for :func:`least_codes`.
    parts
        Part of each pixel, (n,).

    Returns
    -------
    numpy.ndarray or None
        bool (n, classes); None with a single part, which has no others.
    """
    parts = np.asarray(parts)
    own = codes[np.arange(len(codes)), label]
    classes = int(codes.shape[-1])
    out = np.zeros((len(codes), classes), bool)
    found = np.unique(parts)
    if len(found) < 2:
        return None
    for part in found:
        asked = parts == part
        use = ~asked
        least = least_codes(
            own[use], label[use], region[use], weights[use], alpha=alpha, classes=classes, regions=regions
        )
        out[asked] = members(codes[asked], region[asked], least)
    return out
