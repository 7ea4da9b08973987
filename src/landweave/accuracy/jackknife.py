"""Intervals from whole clusters left out in turn: patches, blocks or groups, never pixels."""

from collections.abc import Callable, Iterable

import numpy as np

from landweave.accuracy.bootstrap import Table

MOST = 500
"""More clusters are dealt at random into so many groups, of which each is left out."""


def by_cluster(tables: Iterable[tuple[str, Table]], n: int, *, seed: int, most: int = MOST) -> dict[str, np.ndarray]:
    """Sums of additive tables (confusion matrices, histograms) of each cluster, or of each of ``most`` groups.

    Parameters
    ----------
    tables
        Name and table; taken one after the other, so that only one is held row by row.
    n
        Number of clusters.
    seed
        Of the groups.
    most
        Groups, where there are more clusters.

    Returns
    -------
    dict
        Name to sums, float64 (min(n, most), cells).
    """
    group = np.arange(n) if n <= most else np.random.default_rng(seed).permutation(np.arange(n) % most)
    groups = min(n, most)
    return {
        name: np.bincount(group[units] * cells_of + cells, weights, groups * cells_of).reshape(groups, cells_of)
        for name, (units, cells, weights, cells_of) in tables
    }


def left_out(sums: np.ndarray) -> np.ndarray:
    """What remains of the whole without each cluster: float64 (groups, cells) of sums (groups, cells).

    >>> left_out(np.array([[1.0, 2.0], [3.0, 0.0]])).tolist()
    [[3.0, 0.0], [1.0, 2.0]]
    """
    whole = sums.sum(axis=0)
    rest = whole - sums
    # A cluster that holds all there is leaves nothing, and no rounding error.
    return np.where(rest > 1e-9 * whole, rest, 0.0)


def effective(land: np.ndarray) -> float:
    """Kish's effective number of clusters of unequal land, (sum L)^2 / sum L^2 (Kish 1965, Survey Sampling, 8.2).

    >>> effective(np.array([5.0, 5.0, 5.0, 0.0])), round(effective(np.array([8.0, 1.0, 1.0])), 2)
    (3.0, 1.52)
    """
    squares = float((land**2).sum())
    return float(land.sum()) ** 2 / squares if squares > 0 else 0.0


def interval_t(
    value: float,
    without: np.ndarray,
    land: np.ndarray,
    *,
    share: bool = True,
    level: float = 0.95,
) -> tuple[float, float]:
    """Jackknife interval with Student's t and effective degrees of freedom, on the logit scale for a share.

    The standard error is sqrt((G - 1) / G sum_g (s_g - mean s)^2) of the scores s_g without cluster g (Efron and Stein
    1981, The Annals of Statistics 9:586), the degrees of freedom are n_eff - 1 with n_eff as of :func:`effective`, at
    least 1. On the logit scale the ends stay in 0..1 and lie further off on the side of 1/2, as they must for a share
    near 0 or 1.

    Parameters
    ----------
    value
        The score of all clusters.
    without
        The score without each cluster, (groups,); NaN where nothing is left counts as no change.
    land
        What each cluster contributes to the score's denominator, (groups,), 0 where it bears nothing on it.
    share
        Whether the score lies in 0..1; otherwise the interval is symmetric.
    level
        Coverage, 0..1.

    Returns
    -------
    low, high
        Ends of the interval; both equal the value where leaving out changes nothing.

    >>> low, high = interval_t(0.9, np.array([0.89, 0.91, 0.9, 0.9, 0.89, 0.91, 0.9, 0.9]), np.ones(8))
    >>> round(low, 3), round(high, 3)
    (0.846, 0.936)
    """
    from scipy.special import expit, logit, stdtrit

    without = np.where(np.isfinite(without), without, value)
    groups = len(without)
    inside = share and 0 < value < 1
    slope = 1.0
    scores = without
    if inside and ((without > 0) & (without < 1)).all():
        scores = logit(without)
    elif inside:
        # Without one cluster nothing is wrong, or nothing right: the logit of that is infinite, its slope here is not.
        slope = 1 / (value * (1 - value))
    error = slope * float(np.sqrt((groups - 1) / groups * ((scores - scores.mean()) ** 2).sum()))
    if error < 1e-9:
        return value, value
    half = -float(stdtrit(max(effective(land) - 1, 1.0), (1 - level) / 2)) * error
    if not inside:
        low, high = value - half, value + half
        return (max(low, 0.0), min(high, 1.0)) if share else (low, high)
    middle = float(logit(value))
    return float(expit(middle - half)), float(expit(middle + half))


def jackknifed(
    tables: dict[str, np.ndarray], score: Callable[..., float | np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """A score of additive tables as a whole, and without each cluster.

    Parameters
    ----------
    tables
        Sums (groups, cells) by name, as of :func:`by_cluster`.
    score
        Takes them by name as (m, cells) and gives (m, ...).
    """
    whole = np.asarray(score(**{name: sums.sum(axis=0)[None] for name, sums in tables.items()}))[0]
    return whole, np.asarray(score(**{name: left_out(sums) for name, sums in tables.items()}))
