"""The compiled half of :mod:`landweave.sources.warping.warp`; importing it imports numba."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numba.extending import register_jitable

NEAREST, BILINEAR, CUBIC = 0, 1, 2

_EDGE = 1e-7
"""Of a pixel: what lies so little before a border lies on it, and so belongs to the pixel that begins there.

More than rounding makes of large coordinates: which way it goes would depend on the window that is read. GDAL has
1e-10, and none at all before the first pixel.
"""

_LEAST = 1e-5
"""Sum of weights below which GDAL takes a pixel for missing."""


def run(kernel: Callable[..., None], *arguments: Any) -> None:
    """Call a kernel of this file, compiled; the machine's next process finds it in numba's cache."""
    try:
        _compiled(kernel, cache=True)(*arguments)
    except OSError:
        # The folder of compiled kernels may be full or lost: the kernel itself is not at fault.
        _compiled(kernel, cache=False)(*arguments)


@lru_cache
def _compiled(kernel: Callable[..., None], *, cache: bool) -> Callable[..., None]:
    if cache:
        try:
            return numba.njit(kernel, nogil=True, cache=True, error_model="numpy")  # type: ignore[no-any-return]
        except RuntimeError:
            # A package in a read-only place, and no home folder to write to either.
            return _compiled(kernel, cache=False)
    return numba.njit(kernel, nogil=True, error_model="numpy")  # type: ignore[no-any-return]


@register_jitable  # type: ignore[untyped-decorator]
def _cubic(values: Any, x: float, y: float, left: int, top: int) -> float:
    """By 16 pixels, all of them there; NaN where one is missing."""
    t = x - 0.5 - left
    a0, a1 = 0.5 * t * (-1 + t * (2 - t)), 1 + 0.5 * t * t * (-5 + 3 * t)
    a2, a3 = 0.5 * t * (1 + t * (4 - 3 * t)), 0.5 * t * t * (-1 + t)
    t = y - 0.5 - top
    b0, b1 = 0.5 * t * (-1 + t * (2 - t)), 1 + 0.5 * t * t * (-5 + 3 * t)
    b2, b3 = 0.5 * t * (1 + t * (4 - 3 * t)), 0.5 * t * t * (-1 + t)
    first, second, third, fourth = values[top - 1], values[top], values[top + 1], values[top + 2]
    return (  # type: ignore[no-any-return]
        b0 * (a0 * first[left - 1] + a1 * first[left] + a2 * first[left + 1] + a3 * first[left + 2])
        + b1 * (a0 * second[left - 1] + a1 * second[left] + a2 * second[left + 1] + a3 * second[left + 2])
        + b2 * (a0 * third[left - 1] + a1 * third[left] + a2 * third[left + 1] + a3 * third[left + 2])
        + b3 * (a0 * fourth[left - 1] + a1 * fourth[left] + a2 * fourth[left + 1] + a3 * fourth[left + 2])
    )


@register_jitable  # type: ignore[untyped-decorator]
def _bilinear(values: Any, x: float, y: float, left: int, top: int) -> float:
    """By those of 4 pixels that are there."""
    height, width = values.shape
    right, down = x - 0.5 - left, y - 0.5 - top
    total = weights = 0.0
    for k in range(2):
        for n in range(2):
            i, j = top + k, left + n
            if 0 <= i < height and 0 <= j < width and not math.isnan(values[i, j]):
                weight = (right if n else 1 - right) * (down if k else 1 - down)
                weights += weight
                total += weight * values[i, j]
    return total / weights if weights >= _LEAST else math.nan


@register_jitable  # type: ignore[untyped-decorator]
def _pixel(values: Any, x: float, y: float, method: int) -> float:
    height, width = values.shape
    if not (x + _EDGE >= 0 and y + _EDGE >= 0 and x + _EDGE < width and y + _EDGE < height):
        return math.nan
    nearest = values[int(y + _EDGE), int(x + _EDGE)]
    # As GDAL has it: where the pixel below is missing, the result is.
    if method == NEAREST or math.isnan(nearest):
        return nearest  # type: ignore[no-any-return]
    left, top = math.floor(x - 0.5 + _EDGE), math.floor(y - 0.5 + _EDGE)
    if method == CUBIC and left >= 1 and top >= 1 and left + 2 < width and top + 2 < height:
        number = _cubic(values, x, y, left, top)
        if not math.isnan(number):
            return number  # type: ignore[no-any-return]
    return _bilinear(values, x, y, left, top)  # type: ignore[no-any-return]


def resample(values: Any, lines: Any, first: int, method: int, out: Any) -> None:
    """Pixels along straight lines over a grid, by the formulae of GDAL's kernels of 1, 4 and 16 pixels.

    Parameters
    ----------
    values
        float64 (y, x), NaN missing, no infinity.
    lines
        float64 (rows, 4): for each row of ``out`` the place of its pixel 0 on ``values`` along x, in pixels, the step
        to the next pixel, and the same along y.
    first
        Number of the pixel that is the first of each row of ``out``.
    method
        :data:`NEAREST`, :data:`BILINEAR` or :data:`CUBIC` (a = -0.5; bilinear where one of its pixels is missing).
    out
        float64 (rows, columns), written; NaN missing.
    """
    for row in range(out.shape[0]):
        x, step_x, y, step_y = lines[row, 0], lines[row, 1], lines[row, 2], lines[row, 3]
        for column in range(out.shape[1]):
            out[row, column] = _pixel(values, x + step_x * (first + column), y + step_y * (first + column), method)


def round_off(numbers: Any, factor: float, shift: float, out: Any) -> None:
    """numbers * factor + shift, rounded to 6 digits, then to whole numbers, half to even both times.

    Parameters
    ----------
    numbers
        float64, flat.
    factor, shift
        float64.
    out
        int16 of the same size, written: -32767..32767, or -32768 where the result is not finite.
    """
    for i in range(numbers.size):
        number = np.rint(np.rint((numbers[i] * factor + shift) * 1e6) / 1e6)
        out[i] = -32768 if not math.isfinite(number) else min(max(number, -32767.0), 32767.0)
