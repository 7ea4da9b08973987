"""Probabilities that mean what they say: land shares, temperature, and columns in the right order."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from landweave.errors import InputError

COLDEST, HOTTEST = 0.05, 20.0
"""Temperatures are sought between these."""


def fit_prior(land_shares: Mapping[int, float], train_counts: Mapping[int, float]) -> tuple[float, ...]:
    """Land share / training share of each trained class.

    Multiplying a model's probabilities by it and renormalising gives the posterior under the land's shares
    (Saerens, Latinne and Decaestecker 2002, equation 2.4).

    Parameters
    ----------
    land_shares
        Class value to its share of the land (or its area, or its number of pixels).
    train_counts
        Class value to its number (or weight) of training rows; classes without rows are left out.

    Returns
    -------
    tuple of float
        One ratio a trained class, by rising class value; 0 for a class that has no land.

    Raises
    ------
    InputError
        When no trained class has any land, or a share or count is not a finite number.

    >>> fit_prior({1: 90, 2: 10}, {1: 500, 2: 500})
    (1.8, 0.2)
    """
    trained = sorted(value for value, count in train_counts.items() if count > 0)
    land = [max(float(land_shares.get(value, 0.0)), 0.0) for value in trained]
    counts = [float(train_counts[value]) for value in trained]
    for value, numbers in zip(trained, zip(land, counts, strict=True), strict=True):
        if not all(math.isfinite(number) for number in numbers):
            raise InputError(
                f'model.prior = "area": class {value} has land {numbers[0]} and {numbers[1]} training rows; both must '
                'be finite numbers. Check the weights of the reference, or set model.prior = "balanced".'
            )
    total, rows = math.fsum(land), math.fsum(counts)
    if not total > 0:
        raise InputError(
            f'model.prior = "area": none of the trained classes {trained} has land; set model.prior = "balanced".'
        )
    return tuple((area / total) / (count / rows) for area, count in zip(land, counts, strict=True))


def apply_prior(p: np.ndarray, prior: Sequence[float]) -> np.ndarray:
    """p_k * prior_k, renormalised: float64 (n, k). A row of nothing but classes without land stays as it was."""
    p = np.asarray(p, "float64")
    weighted = p * np.asarray(prior, "float64")
    total = weighted.sum(axis=1, keepdims=True)
    return np.where(total > 0, weighted / np.where(total > 0, total, 1.0), p)


def fit_temperature(p: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The T that makes the mean of -log softmax(log p / T)[y] smallest (Guo et al. 2017, section 4.2).

    Parameters
    ----------
    p
        (n, k) probabilities of rows that the model has not seen, the prior already applied.
    y
        (n,) column of the true class.
    weights
        (n,) weights of the rows, as for every score.

    Returns
    -------
    float
        Between 0.05 and 20, to six digits; over 1 where the model was too sure. 1 without rows or with one class.

    Raises
    ------
    InputError
        When a probability or weight is missing or negative, or the search finds no minimum.
    """
    p = np.asarray(p, "float64")
    if p.shape[0] == 0 or p.shape[1] < 2:
        return 1.0
    from scipy.optimize import minimize_scalar

    w = np.ones(len(p)) if weights is None else np.asarray(weights, "float64")
    wrong = ~(np.isfinite(p) & (p >= 0)).all(axis=1) | ~(np.isfinite(w) & (w >= 0))
    if wrong.any():
        raise _no_temperature(f"a probability or weight is missing or negative in {wrong.sum()} of them", len(p))
    if not w.sum() > 0:
        return 1.0
    rows, true = np.arange(len(p)), np.asarray(y, "int64")
    # A class of probability 0 keeps it at any temperature; only the true one must not cost infinity.
    p = p.copy()
    p[rows, true] = np.maximum(p[rows, true], 1e-15)
    with np.errstate(divide="ignore"):
        logs = np.log(p)

    def loss(log_t: float) -> float:
        z = logs / math.exp(log_t)
        z = z - z.max(axis=1, keepdims=True)
        return float(np.average(np.log(np.exp(z).sum(axis=1)) - z[rows, true], weights=w))

    found = minimize_scalar(
        loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded", options={"xatol": 1e-7}
    )
    if not (found.success and math.isfinite(found.fun)):
        raise _no_temperature(str(found.message), len(p))
    return float(f"{math.exp(found.x):.6g}")


def _no_temperature(reason: str, rows: int) -> InputError:
    return InputError(
        f'model.calibration = "temperature": no temperature fits the {rows} held-out rows: {reason.rstrip(".")}. '
        'Check the probabilities that model.type gives, or set model.calibration = "none".'
    )


def apply_temperature(p: np.ndarray, temperature: float) -> np.ndarray:
    """p_k ** (1 / T), renormalised: float64 (n, k). T = 1 changes nothing; the order of classes never changes."""
    p = np.asarray(p, "float64")
    if temperature == 1.0:
        return p
    # Relative to the row's largest, so that nothing underflows to an empty row.
    top = p.max(axis=1, keepdims=True)
    powered = (p / np.where(top > 0, top, 1.0)) ** (1.0 / temperature)
    return np.asarray(powered / powered.sum(axis=1, keepdims=True))


def align_columns(p: np.ndarray, classes: Sequence[int], onto: Sequence[int]) -> np.ndarray:
    """Columns of ``p`` (n, len(classes)) put under the class values ``onto``; 0 for classes that ``p`` lacks.

    A fold's model may not have seen every class.

    >>> align_columns(np.array([[0.7, 0.3]]), (1, 4), (1, 2, 4)).tolist()
    [[0.7, 0.0, 0.3]]
    """
    out = np.zeros((p.shape[0], len(onto)), p.dtype)
    for column, value in enumerate(classes):
        if value in onto:
            out[:, list(onto).index(value)] = p[:, column]
    return out
