"""How far apart two places must be before an error here says nothing of an error there."""

from typing import Any

import numpy as np

BINS = 14
"""Lags of a correlogram."""

MOST = 4_000
"""Rows from which pairs are made; a row stands in about as many pairs."""

LEAST_PAIRS = 100
"""A lag with fewer pairs tells nothing."""

NEAR, SURE = 4, 4.0
"""Errors resemble where, of so many nearest lags, one is so many standard deviations above 0."""

DECAY = 3.0
"""The practical range is so many times the fitted length: there exp(-h / a) has fallen to 5 %."""


def error_range(x: np.ndarray, y: np.ndarray, wrong: np.ndarray, *, pixel: float, seed: int = 42) -> dict[str, Any]:
    """The h at which c exp(-h / a), fitted to the correlogram of right and wrong, has fallen to 5 % of c: h = 3 a.

    Parameters
    ----------
    x, y
        Places in metres, (n,).
    wrong
        Whether the held-out prediction differs from the reference, bool (n,).
    pixel
        Side of a pixel in metres: the shortest lag.
    seed
        Of the draw where there are more than 4000 rows.

    Returns
    -------
    dict
        ``metres``: the range, or None with a ``reason``; ``correlation``: c; ``lags``, ``values``, ``pairs``: middle of
        each lag in metres, correlation of two residuals that far apart, and how many pairs it was made from; ``rows``
        and ``how`` in words.

    Notes
    -----
    The correlogram at lag h is the mean product of two residuals so far apart over their variance (Cliff and Ord 1981,
    Spatial Processes). c is less than 1 where errors are partly those of single pixels (nugget). Lags grow by a common
    factor from a pixel to half the extent; they weigh by the square root of their pairs, so that the many far pairs do
    not drown the few near ones.
    """
    use = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    if len(use) > MOST:
        use = np.sort(np.random.default_rng(seed).choice(use, MOST, replace=False))
    nothing: dict[str, Any] = {"metres": None, "correlation": None, "lags": [], "values": [], "pairs": []}
    found = nothing | {"rows": len(use)}
    found["how"] = (
        "correlogram of right and wrong of held-out predictions, fitted by c exp(-distance / a); the range is 3 a, "
        "where the correlation has fallen to 5 % of c"
    )
    residual = np.asarray(wrong, "float64")[use]
    residual = residual - residual.mean() if len(use) else residual
    if len(use) < 50 or not residual.any():
        return found | {"reason": "too few held-out rows with places, or all of them right or wrong alike"}
    lags, values, pairs = _correlogram(np.asarray(x)[use], np.asarray(y)[use], residual, pixel)
    enough = pairs >= LEAST_PAIRS
    lags, values, pairs = lags[enough], values[enough], pairs[enough]
    told = {"lags": lags.round(1).tolist(), "values": values.round(4).tolist(), "pairs": pairs.tolist()}
    found |= told
    if len(lags) < 4:
        return found | {"reason": "too few lags with enough pairs of held-out rows"}
    a, c = _fitted(lags, values, np.sqrt(pairs))
    # Products of independent residuals have the standard deviation 1 / sqrt(pairs).
    if c <= 0 or (values * np.sqrt(pairs))[:NEAR].max() < SURE:
        return found | {"reason": "errors near each other resemble no more than by chance"}
    if DECAY * a > lags[-1]:
        return found | {"correlation": float(c), "reason": "errors resemble as far as places lie apart"}
    return found | {"metres": float(max(DECAY * a, pixel)), "correlation": float(c)}


def _correlogram(
    x: np.ndarray, y: np.ndarray, residual: np.ndarray, pixel: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean distance, correlation and pairs of every lag."""
    half = 0.5 * float(np.hypot(np.ptp(x), np.ptp(y)))
    edges = np.geomspace(pixel / 2, max(half, 4 * pixel), BINS + 1)
    sums = np.zeros((3, BINS))
    # Some rows against all at a time, so that no matrix of all pairs is held.
    for start in range(0, len(x), 500):
        rows = np.arange(start, min(start + 500, len(x)))
        apart = np.hypot(x[rows, None] - x, y[rows, None] - y)
        # Each pair once.
        first = rows[:, None] < np.arange(len(x))
        lag = np.searchsorted(edges, apart) - 1
        here = first & (lag >= 0) & (lag < BINS)
        products = residual[rows, None] * residual
        for number, value in enumerate((None, products, apart)):
            weights = None if value is None else value[here]
            sums[number] += np.bincount(lag[here], weights, minlength=BINS)
    count = np.maximum(sums[0], 1)
    return sums[2] / count, sums[1] / count / residual.var(), sums[0].astype("int64")


def _fitted(lags: np.ndarray, values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Length a and height c of c exp(-h / a), by weighted least squares over lengths from the first lag to the last."""
    best = (np.inf, float(lags[0]), 0.0)
    for a in np.geomspace(lags[0] / DECAY, lags[-1], 200):
        shape = np.exp(-lags / a)
        c = min(max(float((weights * values * shape).sum() / (weights * shape**2).sum()), 0.0), 1.0)
        loss = float((weights * (values - c * shape) ** 2).sum())
        if loss < best[0]:
            best = (loss, float(a), c)
    return best[1], best[2]
