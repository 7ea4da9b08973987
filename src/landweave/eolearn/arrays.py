"""The arithmetic behind eo-learn's tasks, on arrays with its axes, in floating point and with its habits.

Where eo-learn 1.5.7 differs from what its users expect, the functions do as it does, and say so.
"""

import datetime
import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from landweave.errors import InputError


def normalized_difference(a: np.ndarray, b: np.ndarray, *, constant: float = 0.0, undefined: float) -> np.ndarray:
    """(a - b + c) / (a + b + c), ``undefined`` where that is not finite; the dtype of ``a`` and ``b``.

    >>> normalized_difference(np.array([0.3, 0.0]), np.array([0.1, 0.0]), undefined=np.nan).round(3).tolist()
    [0.5, nan]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        index: np.ndarray = (a - b + constant) / (a + b + constant)
    index[~np.isfinite(index)] = undefined
    return index


def target_moments(resample: Any) -> list[datetime.datetime]:
    """Moments of ``resample_range``: first, first + step, ... before last, which is left out; or those listed.

    >>> [f"{moment:%m-%d}" for moment in target_moments(("2019-01-01", "2019-02-01", 15))]
    ['01-01', '01-16', '01-31']
    >>> [f"{moment:%m-%d}" for moment in target_moments(("2019-01-01", "2019-01-31", 15))]
    ['01-01', '01-16']
    """
    if not isinstance(resample, list | tuple) or not resample:
        raise InputError(f"resample_range {resample!r} must be (first, last, days) or a list of dates.")
    if len(resample) == 3 and isinstance(resample[2], int):
        first, last = (_moment(part) for part in resample[:2])
        if resample[2] < 1:
            raise InputError(f"resample_range has a step of {resample[2]} days; give 1 or more.")
        count = max(1, math.ceil((last - first) / datetime.timedelta(days=resample[2])))
        return [first + datetime.timedelta(days=resample[2] * number) for number in range(count)]
    return [_moment(part) for part in resample]


def hours_of(
    moments: Sequence[datetime.datetime], targets: Sequence[datetime.datetime] | None, *, seconds: int = 3600
) -> tuple[np.ndarray, np.ndarray]:
    """Times of observations and targets in whole hours (or other ``seconds``) since the first observation, int64.

    As eo-learn counts them: targets are as far apart as they say, and the first of them lies whole days from the first
    observation, so that all of them stand at its time of day. None: the observations' own moments.

    >>> first, target = datetime.datetime(2019, 1, 3, 10, 40), datetime.datetime(2019, 1, 1)
    >>> hours_of([first, first + datetime.timedelta(hours=25)], [target, target + datetime.timedelta(days=15)])
    (array([ 0, 25]), array([-48, 312]))
    """
    first = moments[0]
    times = [round((moment - first).total_seconds() / seconds) for moment in moments]
    if targets is None:
        return np.array(times, "int64"), np.array(times, "int64")
    shift = int((targets[0].date() - first.date()).total_seconds()) // seconds
    wanted = [round((target - targets[0]).total_seconds() / seconds) + shift for target in targets]
    return np.array(times, "int64"), np.array(wanted, "int64")


def interpolate(values: np.ndarray, times: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """v0 + (v1 - v0) * (t - t0) / (t1 - t0) between the values that are not NaN before and after each target.

    Parameters
    ----------
    values
        Floating point (t, ...), NaN missing; values at the same time are averaged first.
    times
        (t,) whole numbers, any order.
    targets
        (k,) in the same unit, any order.

    Returns
    -------
    numpy.ndarray
        float64 (k, ...); NaN before the first and after the last value of each series.

    >>> interpolate(np.array([[1.0], [np.nan], [3.0]]), np.array([0, 10, 20]), np.array([5, 21])).ravel().tolist()
    [1.5, nan]
    """
    flat = values.reshape(len(values), -1)
    rising = np.argsort(targets, kind="stable")
    unique, group = np.unique(times, return_inverse=True)
    if len(unique) < len(times) or np.any(times[1:] < times[:-1]):
        flat = _means(flat, group, len(unique))
    out = np.empty((len(targets), flat.shape[1]))
    try:
        _between(cache=True)(flat, unique, targets[rising], rising, out)
    except OSError:
        # The folder of compiled kernels may be full or lost.
        _between(cache=False)(flat, unique, targets[rising], rising, out)
    return out.reshape(len(targets), *values.shape[1:])


def _means(values: np.ndarray, group: np.ndarray, count: int) -> np.ndarray:
    # Mean of what is known at each time, float64.
    total, number = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]), "int32")
    for row, place in zip(values, group, strict=True):
        there = ~np.isnan(row)
        total[place] += np.where(there, row, 0)
        number[place] += there
    with np.errstate(invalid="ignore"):
        return np.asarray(total / number)


@lru_cache(maxsize=2)
def _between(*, cache: bool) -> Callable[..., None]:
    import numba

    try:
        return numba.njit(_walk, cache=cache, nogil=True, error_model="numpy")  # type: ignore[no-any-return]
    except RuntimeError:
        # A package in a read-only place, and no home folder to write to either.
        return numba.njit(_walk, nogil=True, error_model="numpy")  # type: ignore[no-any-return]


def _walk(values: np.ndarray, times: np.ndarray, targets: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Each series from its first value to its last; ``rows`` says where in ``out`` each of the rising targets goes."""
    for series in range(values.shape[1]):
        target, before = 0, -1
        for step in range(len(times)):
            here = np.float64(values[step, series])
            if np.isnan(here):
                continue
            while target < len(targets) and targets[target] <= times[step]:
                if targets[target] == times[step]:
                    out[rows[target], series] = here
                elif before < 0:
                    out[rows[target], series] = np.nan
                else:
                    low = np.float64(values[before, series])
                    weight = (targets[target] - times[before]) / (times[step] - times[before])
                    out[rows[target], series] = low + (here - low) * weight
                target += 1
            before = step
        while target < len(targets):
            out[rows[target], series] = np.nan
            target += 1


def masked(values: np.ndarray, mask: np.ndarray, value: Any, replacement: float) -> np.ndarray:
    """A copy of ``values`` with ``replacement`` where ``mask`` is ``value``.

    ``values`` (..., y, x, d); ``mask`` (..., y, x, 1) or with as many bands, with or without time.
    """
    if values.shape[-3:-1] != mask.shape[-3:-1] or mask.ndim > values.ndim:
        raise InputError(f"A mask of shape {mask.shape} does not fit a feature of shape {values.shape}.")
    if mask.ndim == values.ndim == 4 and len(mask) != len(values):
        raise InputError(f"A mask of {len(mask)} dates does not fit a feature of {len(values)} dates.")
    if mask.shape[-1] not in {1, values.shape[-1]}:
        raise InputError(f"A mask of {mask.shape[-1]} bands does not fit a feature of {values.shape[-1]} bands.")
    return np.asarray(np.where(mask == value, np.asarray(replacement, values.dtype), values))


def ellipse(size: int) -> np.ndarray:
    """OpenCV's ellipse in a square of ``size`` pixels, bool (size, size); its middle is ``size // 2``.

    What eo-learn calls a disk of radius ``size``: a square of that side, not a disk of that radius. With 1 it is a
    pixel, which erodes nothing.

    >>> ellipse(3).astype(int).tolist()
    [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    """
    middle = size // 2
    rows = np.arange(size) - middle
    reach = np.rint(middle * np.sqrt(np.maximum(middle**2 - rows**2, 0)) / max(middle, 1))
    columns = np.arange(size) - middle
    return np.asarray((np.abs(columns)[None, :] <= reach[:, None]) & (np.abs(rows)[:, None] <= middle))


def erode(labels: np.ndarray, shape: np.ndarray, *, only: Sequence[int] | None = None, empty: int = 0) -> np.ndarray:
    """Labels around which ``shape`` holds no other label, else ``empty``.

    Parameters
    ----------
    labels
        Whole numbers (y, x).
    shape
        bool (h, w) around the pixel at h // 2, w // 2; beyond the border nothing is held against a pixel.
    only
        Labels that are eroded; others stay as they are. None: all.
    """
    from scipy.ndimage import maximum_filter, minimum_filter

    # SciPy's middle is that of OpenCV. The shape is convex, so the border repeated outward brings no other label.
    lowest = minimum_filter(labels, footprint=shape, mode="nearest")
    highest = maximum_filter(labels, footprint=shape, mode="nearest")
    stays = (lowest == highest) & (labels != empty)
    if only is not None:
        stays |= ~np.isin(labels, np.asarray(only)) & (labels != empty)
    return np.asarray(np.where(stays, labels, np.asarray(empty, labels.dtype)))


def draw_pixels(
    labels: np.ndarray,
    fraction: float | Mapping[int, float],
    *,
    leave_out: Sequence[int] = (),
    replace: bool = False,
    seed: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of a random share of each label's pixels, int64 (n,), label by label.

    The same seed draws what eo-learn draws, as long as NumPy's generator stays as it is.

    >>> rows, columns = draw_pixels(np.array([[1, 1, 0, 2]]), 1.0, leave_out=[0], seed=42)
    >>> sorted(columns.tolist())
    [0, 1, 3]
    """
    dice = np.random.default_rng(seed)
    places = []
    for value, count in zip(*np.unique(labels, return_counts=True), strict=True):
        share = fraction.get(int(value)) if isinstance(fraction, Mapping) else fraction
        if share is not None and value not in leave_out:
            here = np.stack(np.nonzero(labels == value))
            places.append(dice.choice(here, size=round(int(count) * share), replace=replace, axis=1))
    rows, columns = np.concatenate(places, axis=1) if places else np.empty((2, 0), "int64")
    return rows, columns


def in_rows(values: np.ndarray) -> np.ndarray:
    """Features (t, y, x, d) as a row a pixel, date by date: (y * x, t * d).

    >>> in_rows(np.arange(8).reshape(2, 1, 2, 2)).tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7]]
    """
    times, height, width, bands = values.shape
    return np.moveaxis(values, 0, 2).reshape(height * width, times * bands)


def by_rows(
    values: np.ndarray, work: Callable[[np.ndarray], Sequence[np.ndarray]], *, pixels: int = 1 << 17
) -> list[np.ndarray]:
    """What ``work`` makes of :func:`in_rows`, strip by strip so that never all rows are held: each (y, x, ...)."""
    height, width = values.shape[1:3]
    step = max(1, pixels // max(width, 1))
    strips = [
        [part.reshape(-1, width, *part.shape[1:]) for part in work(in_rows(values[:, start : start + step]))]
        for start in range(0, height, step)
    ]
    return [np.concatenate(parts) for parts in zip(*strips, strict=True)]


def _moment(value: Any) -> datetime.datetime:
    if isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.datetime.fromisoformat(str(value))
    except ValueError:
        raise InputError(f"resample_range contains {value!r}; write dates as 2017-01-31.") from None
