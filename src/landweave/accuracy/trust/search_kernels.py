"""The compiled half of :mod:`landweave.accuracy.trust.applicability`; importing it imports numba."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np

STEP = 64
"""Features after which a row that is already too far is given up."""

_U = np.uint64
_NONE, _STEP = _U(0), _U(STEP)
_ZERO, _INFINITE, _LESS, _MORE = np.float32(0), np.float32(np.inf), np.float32(1 - 1e-5), np.float32(1 + 1e-5)
"""Bounds of groups are widened by more than rounding takes, so that no member is left out by it."""


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
            return numba.njit(kernel, nogil=True, cache=True)  # type: ignore[no-any-return]
        except RuntimeError:
            # A package in a read-only place, and no home folder to write to either.
            return _compiled(kernel, cache=False)
    return numba.njit(kernel, nogil=True)  # type: ignore[no-any-return]


@numba.njit(fastmath={"reassoc", "contract"}, nogil=True, cache=False)  # type: ignore[untyped-decorator]
def _squared(a: Any, b: Any, most: Any) -> Any:
    """Squared distance of two rows, or any number above ``most`` as soon as it is known to be above."""
    # Whole numbers without a sign need no check for counting from an array's end. The inner loop has no fixed length:
    # of one that has, the compiler makes a row of single steps, which is ten times slower than steps side by side.
    total, start, size = _ZERO, _NONE, _U(a.size)
    while start < size:
        end = min(start + _STEP, size)
        part = _ZERO
        for k in range(start, end):
            gap = a[k] - b[k]
            part += gap * gap
        total += part
        if total > most:
            return total
        start = end
    return total


def nearest(
    asked: Any, apart: Any, members: Any, group: Any, starts: Any, centres: Any, radius: Any, reach: Any, most: Any,
    at: Any, near: Any,
) -> None:  # fmt: skip
    """The nearest member of each asked row, and how many lie within ``reach``.

    Members are sorted by cluster; a cluster whose members cannot be nearer than the nearest so far is passed over, so
    the answer is that of a search through all of them.

    Parameters
    ----------
    asked, members
        float32 (n, f) and (m, f).
    apart
        int64 (n,): members of this group do not count; -1 leaves none out.
    group
        int64 (m,).
    starts, centres, radius
        Of c clusters: int64 (c + 1,), float32 (c, f) and (c,), the distance of the farthest member.
    reach, most
        float32 and int64: members nearer than ``reach`` are counted as far as ``most``.
    at, near
        Results: int64 (n,), -1 where no member counts, and int64 (n,).
    """
    clusters = radius.size
    far = np.empty(clusters, np.float32)
    for i in range(len(asked)):
        row, own = asked[i], apart[i]
        for c in range(clusters):
            far[c] = np.sqrt(_squared(row, centres[c], _INFINITE))
        order = np.argsort(far)
        best, best_at, count = _INFINITE, -1, 0
        if own < 0:
            for c in range(clusters):
                if (far[c] + radius[c]) * _MORE < reach:
                    count += starts[c + 1] - starts[c]
        for c in order:
            low = far[c] * _LESS - radius[c]
            whole = own < 0 and (far[c] + radius[c]) * _MORE < reach
            counting = not whole and count < most and low < reach
            if not counting and low >= best:
                continue
            limit = max(best, reach) if counting else best
            for j in range(starts[c], starts[c + 1]):
                if own >= 0 and group[j] == own:
                    continue
                squared = _squared(row, members[j], limit * limit)
                if squared > limit * limit:
                    continue
                distance = np.sqrt(squared)
                if counting and distance < reach:
                    count += 1
                if distance < best:
                    best, best_at = distance, j
                    limit = max(best, reach) if counting else best
        at[i], near[i] = best_at, min(count, most)


def place(X: Any, columns: Any, centre: Any, factor: Any, missing: float, rows: Any) -> None:
    """(X - centre) * factor of some columns of X (n, all) -> float32 (n, f), 0 where X is missing or not finite."""
    for j in range(columns.size):
        at = columns[j]
        for i in range(len(X)):
            value = np.float64(X[i, at])
            placed = (value - centre[j]) * factor[j]
            rows[i, j] = np.float32(placed) if value != missing and np.isfinite(placed) else _ZERO


def distances(X: Any, columns: Any, centre: Any, factor: Any, missing: float, members: Any, at: Any, out: Any) -> None:
    """Distance of each row to the member that was found, in double precision; infinite where none was."""
    for i in range(len(X)):
        total = 0.0
        for j in range(columns.size):
            value = np.float64(X[i, columns[j]])
            placed = (value - centre[j]) * factor[j]
            if value == missing or not np.isfinite(placed):
                placed = 0.0
            gap = placed - members[at[i], j]
            total += gap * gap
        out[i] = np.sqrt(total) if at[i] >= 0 else np.inf


def sum_of_distances(rows: Any, sums: Any) -> None:
    """Sum of the distances of each row to all rows after it: float32 (n, f) -> float64 (n,)."""
    for i in range(len(rows)):
        total = 0.0
        for j in range(i + 1, len(rows)):
            total += np.sqrt(_squared(rows[i], rows[j], _INFINITE))
        sums[i] = total
