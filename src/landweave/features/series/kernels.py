"""What the rules compute of many pixels at once: the compiled forms, opened when a project first names a rule.

They take layers on each observation, float64 (layers, time, pixels) with NaN where it does not count, and write float64
(outputs, layers, pixels), NaN missing. :mod:`landweave.features.series.compute` says what is computed.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from landweave.features.kernel import BLOCK as LINES
from landweave.features.kernel import OTHER, _layer
from landweave.patch.model import NODATA

PERCENTILE, MEAN, STD, RANGE, IQR = 0, 1, 2, 3, 4
"""What :func:`window_statistics` takes of the values of a window."""

EXCHANGED = 64
"""Most observations of a window that are sorted by exchanges."""

BLOCK = 128
"""Pixels whose equations are solved side by side."""

SMALLEST_PIVOT = 1e-3
"""Observations determine a harmonic where each pivot of its normal equations, over their number, is larger."""


def observed(bands: Any, others: Any, valid: Any, program: Any, out: Any) -> None:
    """The layers of ``program`` on each observation -> out (layers, t, p), NaN where it does not count.

    ``bands`` int16 (b, t, p), ``others`` float64 (o, t, p), as for the straight lines; p at least a block of theirs.
    """
    n_bands, n_times, n_pixels = bands.shape
    width = (program.shape[1] - 3) // 2
    held = np.empty((n_bands, LINES), np.int16)
    plus, minus, value = np.empty(LINES), np.empty(LINES), np.empty(LINES)
    for block in range((n_pixels + LINES - 1) // LINES):
        start = min(block * LINES, n_pixels - LINES)
        for t in range(n_times):
            counts = valid[t, start : start + LINES]
            for b in range(n_bands):
                kept, source = held[b], bands[b, t, start : start + LINES]
                for j in range(LINES):
                    kept[j] = source[j]
            for layer in range(program.shape[0]):
                row, found = program[layer], out[layer, t, start : start + LINES]
                if row[0] == OTHER:
                    given = others[row[3], t, start : start + LINES]
                    for j in range(LINES):
                        found[j] = given[j] if counts[j] else np.nan
                    continue
                _layer(row, held, plus, minus, value)
                for j in range(LINES):
                    found[j] = value[j] if counts[j] else np.nan
                for side in range(2):
                    for i in range(row[1 + side]):
                        kept = held[row[3 + side * width + i]]
                        for j in range(LINES):
                            found[j] = np.nan if kept[j] == NODATA else found[j]


def window_statistics(values: Any, first: Any, after: Any, kinds: Any, shares: Any, out: Any) -> None:
    """Statistics ``kinds`` of the observations ``first`` .. ``after`` of each window -> out (windows, stats, l, p)."""
    n_layers, n_times, n_pixels = values.shape
    rising = np.empty((max(n_times, 1), BLOCK))
    total, square = np.empty(BLOCK), np.empty(BLOCK)
    count = np.empty(BLOCK, np.int64)
    for start in range(0, n_pixels, BLOCK):
        size = min(BLOCK, n_pixels - start)
        for layer in range(n_layers):
            for w in range(first.size):
                rows = values[layer, first[w] : after[w], start : start + size]
                _counted(rows, rising, count, total, square)
                _sort(rising[: rows.shape[0]], size)
                for s in range(kinds.size):
                    found, kind, share = out[w, s, layer], kinds[s], shares[s]
                    for j in range(size):
                        n = count[j]
                        if n == 0:
                            x = np.nan
                        elif kind == PERCENTILE:
                            x = _percentile(rising, j, n, share)
                        elif kind == MEAN:
                            x = total[j] / n
                        elif kind == STD:
                            x = np.sqrt(square[j] / n)
                        elif kind == RANGE:
                            x = rising[n - 1, j] - rising[0, j]
                        else:
                            x = _percentile(rising, j, n, 0.75) - _percentile(rising, j, n, 0.25)
                        found[start + j] = x


def store(values: Any, units: Any, out: Any) -> None:
    """``values`` float64 (columns, p) in ``units`` (columns, 3), rounded half to even -> out int16, missing NODATA."""
    for c in range(values.shape[0]):
        gain, offset, scale = units[c, 0], units[c, 1], units[c, 2]
        for j in range(values.shape[1]):
            x = np.rint((values[c, j] * gain - offset) / scale)
            x = max(x, -32767.0)
            x = min(x, 32767.0)
            out[c, j] = np.int16(x) if np.isfinite(values[c, j]) else NODATA


def medoids(bands: Any, valid: Any, first: Any, after: Any, out: Any) -> None:
    """Of each window the observation that is nearest to all others -> out int64 (windows, p), -1 where there is none.

    ``bands`` int16 (b, t, p); an observation that lacks a band is left out. Of equals the earliest.
    """
    n_bands, n_times, n_pixels = bands.shape
    there = np.empty(n_times, np.int64)
    total = np.empty(n_times)
    for w in range(first.size):
        for j in range(n_pixels):
            n = 0
            for t in range(first[w], after[w]):
                whole = valid[t, j]
                for b in range(n_bands):
                    whole = whole and bands[b, t, j] != NODATA
                if whole:
                    there[n] = t
                    total[n] = 0.0
                    n += 1
            for i in range(n):
                for k in range(i + 1, n):
                    square = 0.0
                    for b in range(n_bands):
                        difference = float(bands[b, there[i], j]) - float(bands[b, there[k], j])
                        square += difference * difference
                    distance = np.sqrt(square)
                    total[i] += distance
                    total[k] += distance
            best = -1
            for i in range(n):
                if best < 0 or total[i] < total[best]:
                    best = i
            out[w, j] = there[best] if best >= 0 else -1


def whittaker(values: Any, seen_at: Any, asked_at: Any, penalty: Any, out: Any) -> None:
    """The smoothest curve near the observations, at the positions ``asked_at`` of a common grid -> out (k, l, p).

    ``penalty`` (3, n): the diagonal and the two beside it of lambda x D'D. Each pixel's equations are those of its own
    observations; they are factored as L D L' with two bands, again only where another layer has other gaps.
    """
    n_layers, n_times, n_pixels = values.shape
    n = penalty.shape[1]
    pivot, one, two = np.empty((n, BLOCK)), np.zeros((n, BLOCK)), np.zeros((n, BLOCK))
    weight, right = np.zeros((n, BLOCK)), np.zeros((n, BLOCK))
    for start in range(0, n_pixels, BLOCK):
        size = min(BLOCK, n_pixels - start)
        for layer in range(n_layers):
            changed = layer == 0
            for t in range(n_times):
                for j in range(size):
                    known = np.isfinite(values[layer, t, start + j])
                    right[seen_at[t], j] = values[layer, t, start + j] if known else 0.0
                    now = 1.0 if known else 0.0
                    changed |= now != weight[seen_at[t], j]
                    weight[seen_at[t], j] = now
            if changed:
                _factor(penalty, weight, size, pivot, one, two)
            for i in range(1, n):
                for j in range(size):
                    right[i, j] -= one[i - 1, j] * right[i - 1, j]
                    if i > 1:
                        right[i, j] -= two[i - 2, j] * right[i - 2, j]
            for i in range(n - 1, -1, -1):
                for j in range(size):
                    right[i, j] /= pivot[i, j]
                    if i + 1 < n:
                        right[i, j] -= one[i, j] * right[i + 1, j]
                    if i + 2 < n:
                        right[i, j] -= two[i, j] * right[i + 2, j]
            for j in range(size):
                low, high, count = n, -1, 0
                for t in range(n_times):
                    if weight[seen_at[t], j] > 0:
                        low, high, count = min(low, seen_at[t]), max(high, seen_at[t]), count + 1
                for k in range(asked_at.size):
                    inside = count > 1 and low <= asked_at[k] <= high
                    out[k, layer, start + j] = right[asked_at[k], j] if inside else np.nan
            for i in range(n):
                for j in range(size):
                    right[i, j] = 0.0


def polynomials(curves: Any, hat: Any, out: Any) -> None:
    """Each value of ``curves`` (k, l, p) by the polynomial of the window around it; ``hat`` (points, points).

    Row i of ``hat`` weighs a window for its i-th place. A curve that is known on fewer days than a window stays.
    """
    n_days, n_layers, n_pixels = curves.shape
    points = hat.shape[0]
    for layer in range(n_layers):
        for j in range(n_pixels):
            low, high = n_days, -1
            for k in range(n_days):
                out[k, layer, j] = curves[k, layer, j]
                if np.isfinite(curves[k, layer, j]):
                    low, high = min(low, k), k
            if high - low + 1 < points:
                continue
            for k in range(low, high + 1):
                start = max(low, min(k - points // 2, high - points + 1))
                total = 0.0
                for i in range(points):
                    total += hat[k - start, i] * curves[start + i, layer, j]
                out[k, layer, j] = total


def harmonics(values: Any, waves: Any, out: Any) -> None:
    """Least squares of ``waves`` (t, m) -> out (m + 1, l, p): the coefficients, then the root mean square residual."""
    n_layers, n_times, n_pixels = values.shape
    m = waves.shape[1]
    lower = np.zeros((m, m))
    known, before = np.zeros(n_times, np.bool_), np.zeros(n_times, np.bool_)
    answer = np.empty(m)
    count, sound = 0, False
    for j in range(n_pixels):
        for layer in range(n_layers):
            changed = layer == 0 and j == 0
            for t in range(n_times):
                known[t] = np.isfinite(values[layer, t, j])
                changed |= known[t] != before[t]
            if changed:
                count = 0
                for t in range(n_times):
                    before[t] = known[t]
                    count += known[t]
                sound = count > m and _cholesky(waves, known, count, lower)
            if not sound:
                out[:, layer, j] = np.nan
                continue
            answer[:] = 0.0
            for t in range(n_times):
                if known[t]:
                    for i in range(m):
                        answer[i] += waves[t, i] * values[layer, t, j]
            for i in range(m):
                for k in range(i):
                    answer[i] -= lower[i, k] * answer[k]
                answer[i] /= lower[i, i]
            for i in range(m - 1, -1, -1):
                for k in range(i + 1, m):
                    answer[i] -= lower[k, i] * answer[k]
                answer[i] /= lower[i, i]
            square = 0.0
            for t in range(n_times):
                if known[t]:
                    rest = values[layer, t, j]
                    for i in range(m):
                        rest -= waves[t, i] * answer[i]
                    square += rest * rest
            out[:m, layer, j] = answer
            out[m, layer, j] = np.sqrt(square / count)


def seasons(curves: Any, days: Any, threshold: float, out: Any) -> None:
    """Start, peak, end, amplitude and integral of curves (k, p) on rising ``days`` -> out (5, p)."""
    n_days, n_pixels = curves.shape
    for j in range(n_pixels):
        out[:, j] = np.nan
        low, high, peak = n_days, -1, -1
        for k in range(n_days):
            if np.isfinite(curves[k, j]):
                low, high = min(low, k), k
                if peak < 0 or curves[k, j] > curves[peak, j]:
                    peak = k
        if peak < 0:
            continue
        left, right = curves[peak, j], curves[peak, j]
        for k in range(low, peak):
            left = min(left, curves[k, j])
        for k in range(peak + 1, high + 1):
            right = min(right, curves[k, j])
        out[1, j] = days[peak]
        out[3, j] = curves[peak, j] - (left + right) / 2
        start = _crossing(curves, days, j, peak, low, -1, left + threshold * (curves[peak, j] - left))
        end = _crossing(curves, days, j, peak, high, 1, right + threshold * (curves[peak, j] - right))
        out[0, j], out[2, j] = start, end
        if np.isfinite(start) and np.isfinite(end):
            out[4, j] = _area(curves, days, j, start, end)


@register_jitable  # type: ignore[untyped-decorator]
def _counted(rows: Any, rising: Any, count: Any, total: Any, square: Any) -> None:
    """Observations of each pixel: how many, their sum, and the squares of their distances to their mean."""
    size = rows.shape[1]
    for j in range(size):
        count[j] = 0
        total[j] = 0.0
        square[j] = 0.0
    for t in range(rows.shape[0]):
        for j in range(size):
            known = np.isfinite(rows[t, j])
            # What is missing stands behind all others once they are sorted.
            rising[t, j] = rows[t, j] if known else np.inf
            total[j] += rows[t, j] if known else 0.0
            count[j] += 1 if known else 0
    for t in range(rows.shape[0]):
        for j in range(size):
            away = rows[t, j] - total[j] / max(count[j], 1)
            square[j] += away * away if np.isfinite(away) else 0.0


@register_jitable  # type: ignore[untyped-decorator]
def _sort(rows: Any, size: int) -> None:
    """Each column, by exchanges of neighbours, which serve many columns at once; of many rows one by one."""
    if rows.shape[0] > EXCHANGED:
        for j in range(size):
            rows[:, j] = np.sort(rows[:, j])
        return
    for last in range(rows.shape[0] - 1, 0, -1):
        for i in range(last):
            for j in range(size):
                low, high = rows[i, j], rows[i + 1, j]
                rows[i, j] = min(high, low)
                rows[i + 1, j] = max(low, high)


@register_jitable  # type: ignore[untyped-decorator]
def _percentile(rising: Any, j: int, n: int, share: float) -> float:
    """As numpy's default, whose two forms of a weighted mean keep the ends exact."""
    place = share * (n - 1)
    low = int(place)
    if low >= n - 1:
        return float(rising[n - 1, j])
    weight = place - low
    gap = rising[low + 1, j] - rising[low, j]
    if weight < 0.5:
        return float(rising[low, j] + gap * weight)
    return float(rising[low + 1, j] - gap * (1.0 - weight))


@register_jitable  # type: ignore[untyped-decorator]
def _factor(penalty: Any, weight: Any, size: int, pivot: Any, one: Any, two: Any) -> None:
    n = penalty.shape[1]
    for i in range(n):
        for j in range(size):
            x = penalty[0, i] + weight[i, j]
            y = penalty[1, i]
            if i > 0:
                x -= one[i - 1, j] * one[i - 1, j] * pivot[i - 1, j]
                y -= one[i - 1, j] * two[i - 1, j] * pivot[i - 1, j]
            if i > 1:
                x -= two[i - 2, j] * two[i - 2, j] * pivot[i - 2, j]
            pivot[i, j] = x
            one[i, j] = y / x
            two[i, j] = penalty[2, i] / x


@register_jitable  # type: ignore[untyped-decorator]
def _cholesky(waves: Any, known: Any, count: int, lower: Any) -> bool:
    """The factor of the normal equations; False where the observations do not determine them."""
    m = lower.shape[0]
    for i in range(m):
        for k in range(i + 1):
            total = 0.0
            for t in range(known.size):
                if known[t]:
                    total += waves[t, i] * waves[t, k]
            for c in range(k):
                total -= lower[i, c] * lower[k, c]
            if i == k:
                if not total > SMALLEST_PIVOT * count:
                    return False
                lower[i, i] = np.sqrt(total)
            else:
                lower[i, k] = total / lower[k, k]
    return True


@register_jitable  # type: ignore[untyped-decorator]
def _crossing(curves: Any, days: Any, j: int, peak: int, end: int, step: int, level: float) -> float:
    """The day on which the curve, walked from its peak, first falls below ``level``; NaN where it never does."""
    k = peak
    while k != end:
        here, there = curves[k, j], curves[k + step, j]
        if there < level <= here:
            return float(days[k] + (days[k + step] - days[k]) * (here - level) / (here - there))
        k += step
    return np.nan


@register_jitable  # type: ignore[untyped-decorator]
def _area(curves: Any, days: Any, j: int, start: float, end: float) -> float:
    """Value times days between two days, under straight lines."""
    total = 0.0
    for k in range(days.size - 1):
        low, high = max(start, float(days[k])), min(end, float(days[k + 1]))
        if low >= high:
            continue
        slope = (curves[k + 1, j] - curves[k, j]) / (days[k + 1] - days[k])
        middle = curves[k, j] + slope * ((low + high) / 2 - days[k])
        total += middle * (high - low)
    return total
