"""From the layers on each observation to the features of one rule, a few thousand pixels at a time."""

import types
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from landweave.features.series.rules import PERCENTILES, SEASON_OUTPUTS, Series

YEAR = 365.25
"""Days of one turn of a harmonic."""


def outputs(
    series: Series,
    values: np.ndarray,
    days: np.ndarray,
    targets: np.ndarray,
    *,
    bands: np.ndarray,
    valid: np.ndarray,
    linear: np.ndarray | None = None,
    layer: int | None = None,
    plain: bool = False,
) -> np.ndarray:
    """What one rule makes of observations.

    Composites and metrics are statistics of the observations within a window (percentiles with straight lines between
    ranks, ``std`` with divisor n). ``medoid`` takes the layers of the one observation whose bands have the smallest
    sum of Euclidean distances to those of the others (Flood, 2013). ``whittaker`` minimises the sum of squared
    distances to the observations plus lambda times the integral of the squared second derivative (Whittaker, 1923;
    Eilers, 2003), with divided differences, so that unequal steps need no common grid; for a grid of one day it is the
    smoother as published. ``savitzky_golay`` fits a polynomial to each window of the values that lines give on the
    target days (Savitzky & Golay, 1964). ``harmonic`` fits a mean and waves of a year, half a year and a third of one
    by least squares. ``phenology`` takes the peak of one layer's smoothed curve and where the curve falls to a share
    of its height above the lowest value on either side (Jonsson & Eklundh, 2004).

    Parameters
    ----------
    series
        The rule, with windows where it has any.
    values
        float64 (l, t, p): the layers on each observation, NaN where it does not count.
    days, targets
        (t,) days of the observations and (k,) target days, both rising.
    bands, valid
        int16 (b, t, p) and bool (t, p), for what looks at the observations themselves.
    linear
        float64 (k, l, p): the layers on the target days by straight lines; only ``savitzky_golay`` needs it.
    layer
        Which layer ``phenology`` is about.
    plain
        By the oracle in numpy instead of the kernels.

    Returns
    -------
    numpy.ndarray
        float64 (columns, p) in the order of the rule's columns, NaN missing; in the units of ``values``, days, counts
        or value times days.
    """
    run = _plain if plain else compiled
    n_layers, _, pixels = values.shape
    if series.rule in {"composite", "metrics"}:
        return _windows(series, values, days, bands, valid, run)
    if series.rule == "whittaker":
        out = _smooth(values, days, targets, series["lambda"], run)
    elif series.rule == "savitzky_golay":
        assert linear is not None
        out = np.empty_like(linear)
        run("polynomials")(np.ascontiguousarray(linear), _hat(series["points"], series["order"]), out)
    elif series.rule == "harmonic":
        out = np.empty((2 * series["order"] + 2, n_layers, pixels))
        run("harmonics")(values, waves(days, series["order"]), out)
    else:
        assert layer is not None
        own = values[layer : layer + 1]
        curve = _smooth(own, days, targets, series["lambda"], run)[:, 0]
        out = np.empty((len(SEASON_OUTPUTS), pixels))
        run("seasons")(curve, targets, series["threshold"], out)
    return out.reshape(-1, pixels)


def waves(days: np.ndarray, order: int) -> np.ndarray:
    """What a harmonic is made of: one, then cosine and sine of each frequency; float64 (t, 2 order + 1).

    >>> waves(np.array([0, 365.25 / 4]), 1).round(9).tolist()
    [[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    angle = 2 * np.pi / YEAR * np.asarray(days, "float64")[:, None]
    turns = [f(angle * k) for k in range(1, order + 1) for f in (np.cos, np.sin)]
    return np.ascontiguousarray(np.hstack([np.ones_like(angle), *turns]))


@lru_cache(maxsize=64)
def penalty_of(days: tuple[int, ...], smoothness: float) -> np.ndarray:
    """``smoothness`` times the squared second divided differences on rising days, each with the days that it spans.

    float64 (3, n): the diagonal of the symmetric matrix, and the two beside it. On a grid of one day it is the penalty
    of second differences.

    >>> penalty_of((0, 1, 2, 3), 1.0).tolist()
    [[1.0, 5.0, 5.0, 1.0], [-2.0, -4.0, -2.0, 0.0], [1.0, 1.0, 0.0, 0.0]]
    """
    n = len(days)
    out = np.zeros((3, n))
    for i in range(n - 2):
        a, b = float(days[i + 1] - days[i]), float(days[i + 2] - days[i + 1])
        row = np.array([2 / (a * (a + b)), -2 / (a * b), 2 / (b * (a + b))])
        for k in range(3):
            out[k, i : i + 3 - k] += smoothness * (a + b) / 2 * row[: 3 - k] * row[k:]
    return out


def _windows(
    series: Series,
    values: np.ndarray,
    days: np.ndarray,
    bands: np.ndarray,
    valid: np.ndarray,
    run: Callable[[str], Callable[..., None]],
) -> np.ndarray:
    """Window by window, statistic by statistic, layer by layer; the count has one column and no layer."""
    n_layers, _, pixels = values.shape
    first, after = (np.searchsorted(days, [window[i] for window in series.windows]) for i in (0, 1))
    names: Sequence[str] = series["statistics"]
    codes = _kernels()
    other = {"mean": codes.MEAN, "std": codes.STD, "range": codes.RANGE, "iqr": codes.IQR}
    taken = [name for name in names if name in PERCENTILES or name in other]
    kinds = np.array([other.get(name, codes.PERCENTILE) for name in taken], "int64")
    shares = np.array([PERCENTILES.get(name, 0.0) / 100 for name in taken])
    found = np.empty((len(first), len(taken), n_layers, pixels))
    if taken:
        run("window_statistics")(values, first, after, kinds, shares, found)
    nearest = np.empty((len(first), pixels), "int64")
    if "medoid" in names:
        run("medoids")(np.ascontiguousarray(bands), np.ascontiguousarray(valid), first, after, nearest)
    out = []
    for w in range(len(first)):
        for name in names:
            if name == "count":
                # Without any observation it is missing, as all else, so that such a pixel is known by it.
                count = valid[first[w] : after[w]].sum(axis=0, dtype="float64")
                out.append(np.where(count > 0, count, np.nan)[None])
            elif name == "medoid":
                own = np.take_along_axis(values, np.maximum(nearest[w], 0)[None, None], axis=1)[:, 0]
                out.append(np.where(nearest[w] < 0, np.nan, own))
            else:
                out.append(found[w, taken.index(name)])
    return np.concatenate(out)


def _smooth(
    values: np.ndarray,
    days: np.ndarray,
    targets: np.ndarray,
    smoothness: float,
    run: Callable[[str], Callable[..., None]],
) -> np.ndarray:
    grid = np.union1d(days, targets)
    out = np.empty((len(targets), values.shape[0], values.shape[2]))
    run("whittaker")(
        values,
        np.searchsorted(grid, days),
        np.searchsorted(grid, targets),
        penalty_of(tuple(grid.tolist()), smoothness),
        out,
    )
    return out


def _hat(points: int, order: int) -> np.ndarray:
    """The matrix that takes a window to its polynomial, place by place; float64 (points, points)."""
    places = np.vander(np.arange(points) - points // 2, order + 1).astype("float64")
    return np.ascontiguousarray(places @ np.linalg.pinv(places))


def _kernels() -> types.ModuleType:
    from landweave.features.series import kernels

    return kernels


def _plain(name: str) -> Callable[..., None]:
    from landweave.features.series import plain

    return getattr(plain, name)  # type: ignore[no-any-return]


def compiled(name: str) -> Callable[..., None]:
    """A kernel by its name, compiled when it is first called."""

    def call(*arguments: Any) -> None:
        try:
            _jit(name, cache=True)(*arguments)
        except OSError:
            # The folder of compiled kernels may be full or lost: the kernel itself is not at fault.
            _jit(name, cache=False)(*arguments)

    return call


@lru_cache(maxsize=32)
def _jit(name: str, *, cache: bool) -> Callable[..., None]:
    import numba

    kernels, options = _kernels(), {"nogil": True, "error_model": "numpy"}
    if cache:
        try:
            return numba.njit(getattr(kernels, name), cache=True, **options)  # type: ignore[no-any-return]
        except RuntimeError:
            # A package in a read-only place, and no home folder to write to either.
            return _jit(name, cache=False)
    return numba.njit(getattr(kernels, name), **options)  # type: ignore[no-any-return]
