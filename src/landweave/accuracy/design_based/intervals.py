"""Intervals of a probability sample's accuracies and shares: Wald's, or Wilson's near 0 and 1."""

import numpy as np

ENOUGH = 10
"""Wald's interval is trusted where at least this many units are expected on either side: n p and n (1 - p)."""


def quantile(level: float = 0.95) -> float:
    """z with P(|Z| <= z) = level; 1.959964 for 0.95."""
    from scipy.special import ndtri

    return float(ndtri((1 + level) / 2))


def wald(p: np.ndarray, se: np.ndarray, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """p -+ z SE, kept within 0..1.

    >>> low, high = wald(np.array(0.9465118881), np.array(0.0094304172))
    >>> round(float(high - low) / 2, 7)
    0.0184833
    """
    half = quantile(level) * np.asarray(se, "float64")
    return np.clip(p - half, 0, 1), np.clip(p + half, 0, 1)


def wilson(
    p: np.ndarray, n: np.ndarray, *, level: float = 0.95, z: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n): Wilson's interval (1927, JASA 22:209).

    Parameters
    ----------
    p
        Share, 0..1.
    n
        Units behind it, whole or effective, of the shape of ``p``; above 0.
    level
        Coverage, 0..1.
    z
        The quantile itself, where it is not the normal distribution's.

    >>> low, high = wilson(np.array(1.0), np.array(10.0))
    >>> round(float(low), 4), float(high)
    (0.7225, 1.0)
    """
    p, n = np.asarray(p, "float64"), np.asarray(n, "float64")
    zz = (quantile(level) if z is None else z) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        middle = (p + zz / (2 * n)) / (1 + zz / n)
        half = np.sqrt(zz * (np.maximum(p * (1 - p), 0) / n + zz / (4 * n**2))) / (1 + zz / n)
    return np.clip(middle - half, 0, 1), np.clip(middle + half, 0, 1)


def effective_size(p: np.ndarray, se: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """p (1 - p) / SE^2: the simple random sample that would have this standard error (Kish 1965, section 8.2).

    ``otherwise`` where the standard error is 0 and so says nothing: the units that happened to be drawn are all alike.
    """
    p, variance = np.asarray(p, "float64"), np.asarray(se, "float64") ** 2
    spread = p * (1 - p)
    # No sample is a million millions: that much is rounding of a variance that is 0.
    silent = ~(variance > 1e-12 * spread) | ~(spread > 1e-12)
    return np.where(silent, otherwise, spread / np.where(silent, 1.0, variance))


def better(
    p: np.ndarray, se: np.ndarray, otherwise: np.ndarray, *, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Wald's interval, or Wilson's with the effective sample size n where n p or n (1 - p) is below 10.

    Parameters
    ----------
    p, se
        Share and its standard error.
    otherwise
        Sample size where the standard error is 0.
    level
        Coverage, 0..1.

    Returns
    -------
    low, high
        Ends of the interval, of the shape of ``p``.
    is_wilson
        bool: which of the two it is.
    """
    n = effective_size(p, se, otherwise)
    is_wilson = np.asarray(n * np.minimum(p, 1 - np.asarray(p)) < ENOUGH)
    (low, high), (low_w, high_w) = wald(p, se, level=level), wilson(p, n, level=level)
    return np.where(is_wilson, low_w, low), np.where(is_wilson, high_w, high), is_wilson
