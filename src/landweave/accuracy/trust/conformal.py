"""Split-conformal prediction: sets of classes that hold the true one with a promised frequency."""

import math
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from landweave.errors import InputError

_ROUNDING = 1e-12


def conformal_threshold(
    scores: np.ndarray | Sequence[float],
    *,
    alpha: float,
    weights: np.ndarray | Sequence[float] | None = None,
    asked_weight: float | None = None,
) -> float:
    """The smallest score q below which 1 - alpha of the calibration units lie, counting the unit that is asked about.

    Without weights, q is the ceil((n + 1) (1 - alpha))-th smallest score, infinite where there are too few. Sets
    {k : score_k <= q} hold the true class with probability 1 - alpha or more, if the asked units and the calibration
    units are exchangeable (Vovk, Gammerman and Shafer 2005; Lei et al. 2018, JASA 113:1094). Neighbouring pixels and
    another year are not: calibrate on places that were held out, and report coverage by region.

    A draw with unequal chances is exchangeable after weighting: with weights w, q is the smallest score t with
    sum(w_i, score_i <= t) / (sum(w_i) + w) >= 1 - alpha, w the weight of the asked unit (Tibshirani et al. 2019,
    NeurIPS 32:2526, equation 8).

    Parameters
    ----------
    scores
        Score of the true class of each calibration unit, (n,); the higher, the stranger, such as 1 - p.
    alpha
        Share of sets that may miss, between 0 and 1.
    weights
        Land that each calibration unit stands for, (n,), such as 1 / inclusion probability; None counts all alike.
    asked_weight
        Weight of the unit that is asked about; None takes the mean of ``weights``. The largest is on the safe side.

    Raises
    ------
    InputError
        For alpha outside 0..1, a score that is missing, or weights that do not fit, are negative, or are all 0.

    Examples
    --------
    >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], alpha=0.25)
    0.4
    >>> conformal_threshold([0.1, 0.2, 0.3, 0.4], alpha=0.4, weights=[9, 1, 1, 1])
    0.1
    """
    _check_alpha(alpha)
    scores = np.asarray(scores, "float64")
    if np.isnan(scores).any():
        raise InputError("a calibration score is missing; leave out units without a score.")
    if weights is None:
        scores = np.sort(scores)
        k = len(scores) + 1 - _may_miss(len(scores), alpha)
        return float(scores[k - 1]) if k <= len(scores) else math.inf
    land = _checked_weights(weights, len(scores))
    if not len(scores):
        return math.inf
    asked = float(land.mean()) if asked_weight is None else asked_weight
    if not (math.isfinite(asked) and asked >= 0):
        raise InputError(f"the weight of the asked unit is {asked}; give a number of 0 or more.")
    order = np.argsort(scores, kind="stable")
    held = np.cumsum(land[order])
    # As far as rounding can tell, a share that is whole is reached.
    enough = held >= (held[-1] + asked) * (1 - alpha) * (1 - _ROUNDING)
    return float(scores[order[int(np.argmax(enough))]]) if enough.any() else math.inf


def conformal_threshold_by_cluster(
    scores: np.ndarray | Sequence[float],
    clusters: Sequence[Hashable] | np.ndarray,
    *,
    alpha: float,
    weights: np.ndarray | Sequence[float] | None = None,
) -> float:
    """A threshold for units of a cluster that was never seen, such as the pixels of another patch.

    The smallest t with sum_j F_j(t) / (J + 1) >= 1 - alpha, F_j the (weighted) share of cluster j's scores that are t
    or less (Dunn, Wasserman and Ramdas 2023, JASA 118:2491, pooling of distribution functions). It is infinite with
    fewer than 1 / alpha - 1 clusters.

    Parameters
    ----------
    scores, alpha, weights
        As for :func:`conformal_threshold`; only the ratios of weights within a cluster count.
    clusters
        Cluster of each unit, (n,).

    Raises
    ------
    InputError
        As :func:`conformal_threshold`, and where there are not as many clusters as scores.

    Examples
    --------
    >>> conformal_threshold_by_cluster([0.1, 0.2, 0.9, 0.3], ["a", "a", "a", "b"], alpha=0.4)
    0.9
    """
    scores, named = np.asarray(scores, "float64"), np.asarray(clusters)
    if len(scores) != len(named):
        raise InputError(f"{len(scores)} scores and {len(named)} clusters; give one score and one cluster per unit.")
    land = np.ones(len(scores)) if weights is None else _checked_weights(weights, len(scores))
    if not len(scores):
        return math.inf
    number = np.unique(named, return_inverse=True)[1].ravel()
    totals = np.bincount(number, land)
    known = totals[number] > 0
    shares = land[known] / totals[number[known]]
    return conformal_threshold(scores[known], alpha=alpha, weights=shares, asked_weight=1.0)


def conformal_thresholds(
    scores: np.ndarray | Sequence[float],
    groups: Sequence[Hashable] | np.ndarray,
    *,
    alpha: float,
    weights: np.ndarray | Sequence[float] | None = None,
) -> dict[Any, float]:
    """A threshold for each group (a class, a region), so that each keeps the promise by itself (Mondrian sets).

    A group needs at least :func:`least_calibration` units. With fewer, its threshold is infinite and its sets contain
    all classes.

    Parameters
    ----------
    scores
        Score of the true class of each calibration unit, (n,).
    groups
        Such as the class or region of each unit, (n,).
    alpha
        Share of sets that may miss, between 0 and 1.
    weights
        As for :func:`conformal_threshold`.

    Raises
    ------
    InputError
        As :func:`conformal_threshold`, and where there are not as many groups as scores.

    Examples
    --------
    >>> conformal_thresholds([0.1, 0.3, 0.2], ["north", "north", "south"], alpha=0.5)
    {'north': 0.3, 'south': 0.2}
    """
    scores, named = np.asarray(scores, "float64"), np.asarray(groups)
    if len(scores) != len(named):
        raise InputError(f"{len(scores)} scores and {len(named)} groups; give one score and one group per unit.")
    land = None if weights is None else _checked_weights(weights, len(scores))
    found = sorted(set(named.tolist()), key=str)
    return {
        group: conformal_threshold(
            scores[named == group], alpha=alpha, weights=None if land is None else land[named == group]
        )
        for group in found
    }


def conformal_sets(scores: np.ndarray, threshold: float | np.ndarray | Sequence[float]) -> np.ndarray:
    """{k : score_k <= q} as bool (n, k).

    Parameters
    ----------
    scores
        Score of each class, (n, k), such as 1 - p.
    threshold
        From :func:`conformal_threshold`; or one a class, (k,), or one a unit, (n, 1).

    Examples
    --------
    >>> conformal_sets(np.array([[0.1, 0.9], [0.5, 0.5]]), 0.8).tolist()
    [[True, False], [True, True]]
    """
    return np.asarray(np.asarray(scores) <= np.asarray(threshold))


def conformal_coverage(
    sets: np.ndarray,
    truth: np.ndarray,
    groups: Sequence[Hashable] | np.ndarray | None = None,
    *,
    weights: np.ndarray | Sequence[float] | None = None,
) -> dict[Any, dict[str, float]]:
    """How often the sets hold the true class, and how large they are, by group.

    Parameters
    ----------
    sets
        bool (n, k).
    truth
        Column of the true class, (n,).
    groups
        Such as the region of each unit, (n,); None for one group, called "all".
    weights
        Land that each unit stands for, (n,); None counts all alike. ``units`` stays a count.

    Returns
    -------
    dict
        Group to ``units``, ``coverage`` (0..1) and ``mean_size`` (classes).

    Examples
    --------
    >>> conformal_coverage(np.array([[True, False], [True, True]]), np.array([1, 0]))
    {'all': {'units': 2.0, 'coverage': 0.5, 'mean_size': 1.5}}
    """
    hit = sets[np.arange(len(sets)), np.asarray(truth, "int64")]
    named = np.full(len(hit), "all") if groups is None else np.asarray(groups)
    land = np.ones(len(hit)) if weights is None else _checked_weights(weights, len(hit))
    found = {}
    for group in sorted(set(named.tolist()), key=str):
        inside = named == group
        if not land[inside].sum():
            continue
        found[group] = {
            "units": float(inside.sum()), "coverage": float(np.average(hit[inside], weights=land[inside])),
            "mean_size": float(np.average(sets[inside].sum(axis=1), weights=land[inside])),
        }  # fmt: skip
    return found


def coverage_range(n: int, *, alpha: float, tails: tuple[float, float] = (0.05, 0.95)) -> tuple[float, float]:
    """Quantiles of Beta(n + 1 - l, l), l = floor((n + 1) alpha): the coverage that n calibration units may come to.

    >>> low, high = coverage_range(1000, alpha=0.1)
    >>> round(low, 4), round(high, 4)
    (0.8841, 0.9152)
    """
    from scipy.special import betaincinv

    _check_alpha(alpha)
    miss = _may_miss(n, alpha)
    if not miss:
        return 1.0, 1.0
    low, high = (float(betaincinv(n + 1 - miss, miss, tail)) for tail in tails)
    return low, high


def least_calibration(alpha: float) -> int:
    """Fewest calibration units for a finite threshold: n + 1 >= 1 / alpha.

    >>> least_calibration(0.05), least_calibration(0.01)
    (19, 99)
    """
    _check_alpha(alpha)
    return math.ceil(round(1 / alpha, 9)) - 1


def _may_miss(n: int, alpha: float) -> int:
    # (n + 1) alpha is often whole, such as 20 * 0.05; rounding must not take one away from it.
    return math.floor(round((n + 1) * alpha, 9))


def _checked_weights(weights: np.ndarray | Sequence[float], count: int) -> np.ndarray:
    land = np.asarray(weights, "float64")
    if land.shape != (count,):
        raise InputError(f"{count} units and weights of shape {land.shape}; give one weight per unit.")
    if not (np.isfinite(land).all() and (land >= 0).all()) or (count and not land.sum()):
        raise InputError("weights must be finite numbers of 0 or more, and not all 0; give the land of each unit.")
    return land


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}; give the share of sets that may miss, between 0 and 1.")
