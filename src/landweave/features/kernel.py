"""Indices and gap filling of many pixels at once: the compiled form, opened when it is first needed.

Pixels are worked on in blocks whose rows lie side by side in memory, so that one instruction serves many of them. Bands
are carried from date to date as int16; an index is made from the carried bands at each target day, which gives the
very numbers that it had on those dates, and needs no array of indices. Where a layer has gaps of its own (0/0 on a
date, a band without data, arithmetic of the user's) it is carried by itself.

Numba compiles it once for a machine and a set of versions, some six CPU seconds, and keeps it; in a process that finds
it kept the first use costs numba's own start and no more, about half a second.

Nothing here is public; :func:`landweave.features.interpolation.features` says what is computed.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from landweave.patch.model import NODATA, REFLECTANCE_SCALE

BAND, DIFFERENCE, LENGTH, OTHER = 0, 1, 2, 3
BLOCK = 256
"""Pixels of a block. A call needs at least as many."""

# Added to a small number, it leaves that number's nearest integer, half to even, in the lowest bits of the sum.
_ROUND = 6755399441055744.0


@register_jitable  # type: ignore[untyped-decorator]
def _layer(row: Any, held: Any, plus: Any, minus: Any, value: Any) -> None:
    """A layer that is made of bands, from int16 bands ``held`` (b, block); NaN where it is 0/0."""
    what, n_plus, n_minus = row[0], row[1], row[2]
    width = (row.size - 3) // 2
    if what == BAND:
        source = held[row[3]]
        for j in range(BLOCK):
            value[j] = float(source[j])
    elif what == DIFFERENCE:
        for j in range(BLOCK):
            plus[j] = 0.0
            minus[j] = 0.0
        for i in range(n_plus):
            source = held[row[3 + i]]
            for j in range(BLOCK):
                plus[j] += float(source[j])
        for i in range(n_minus):
            source = held[row[3 + width + i]]
            for j in range(BLOCK):
                minus[j] += float(source[j])
        for j in range(BLOCK):
            total = plus[j] + minus[j]
            share = (plus[j] - minus[j]) / total
            share = max(share, -1.0)
            share = min(share, 1.0)
            value[j] = np.nan if total == 0.0 else share
    else:
        for j in range(BLOCK):
            plus[j] = 0.0
        for i in range(n_plus):
            source = held[row[3 + i]]
            for j in range(BLOCK):
                plus[j] += float(source[j]) * float(source[j])
        for j in range(BLOCK):
            value[j] = np.sqrt(plus[j]) * REFLECTANCE_SCALE


@register_jitable  # type: ignore[untyped-decorator]
def _nothing(held: Any, day_held: Any) -> None:
    """No observation is carried yet."""
    for j in range(BLOCK):
        day_held[j] = np.nan
    for b in range(held.shape[0]):
        row = held[b]
        for j in range(BLOCK):
            row[j] = 0


@register_jitable  # type: ignore[untyped-decorator]
def _take(bands: Any, mask: Any, day: int, t: int, start: int, held: Any, day_held: Any) -> None:
    """Carry the observations of date ``t`` from here on, where they count: where the mask has all bits set."""
    for j in range(BLOCK):
        day_held[j] = np.float32(day) if mask[j] else day_held[j]
    for b in range(held.shape[0]):
        row, source = held[b], bands[b, t, start : start + BLOCK]
        for j in range(BLOCK):
            row[j] = (source[j] & mask[j]) | (row[j] & ~mask[j])


@register_jitable  # type: ignore[untyped-decorator]
def _weigh(first: Any, last: Any, target: float, weight: Any) -> None:
    """How far the target lies between two days: 0 on the first, 1 on the last, NaN where either is NaN."""
    for j in range(BLOCK):
        start = float(first[j])
        gap = float(last[j]) - start
        share = (target - start) / gap
        weight[j] = 0.0 if gap == 0.0 else share


@register_jitable  # type: ignore[untyped-decorator]
def _write(value: Any, unit: Any, row: int, at: int, whole: Any, real: Any) -> None:
    """``value`` in its unit to row ``row`` from pixel ``at`` on: rounded to ``whole``, where it has any; it is lost."""
    gain, offset, scale = unit[0], unit[1], unit[2]
    if not (gain == 1.0 and offset == 0.0 and scale == 1.0):
        for j in range(BLOCK):
            value[j] = (value[j] * gain - offset) / scale
    if whole.size:
        bits, units = value.view(np.int64), whole[row, at : at + BLOCK]
        for j in range(BLOCK):
            x = value[j]
            x = max(x, -32767.0)
            x = min(x, 32767.0)
            x = float(NODATA) if x != x else x  # noqa: PLR0124 - only NaN differs from itself
            value[j] = x + _ROUND
        for j in range(BLOCK):
            units[j] = np.int16(bits[j])
    else:
        numbers = real[row, at : at + BLOCK]
        for j in range(BLOCK):
            numbers[j] = value[j]


@register_jitable  # type: ignore[untyped-decorator]
def _observed(bands: Any, row: Any, t: int, start: int, held: Any, plus: Any, minus: Any, value: Any) -> None:
    """A layer that is made of bands on one date, NaN where one of them has no data."""
    for b in range(held.shape[0]):
        for j in range(BLOCK):
            held[b, j] = bands[b, t, start + j]
    _layer(row, held, plus, minus, value)
    width = (row.size - 3) // 2
    for i in range(width):
        for j in range(BLOCK):
            if (i < row[1] and held[row[3 + i], j] == NODATA) or (i < row[2] and held[row[3 + width + i], j] == NODATA):
                value[j] = np.nan


@register_jitable  # type: ignore[untyped-decorator]
def _alone(values: Any, counts: Any, days: Any, targets: Any, known: Any, out: Any) -> None:
    """One layer of one pixel on the target days, by the dates on which this very layer is known."""
    count = 0
    for t in range(days.size):
        if counts[t] and np.isfinite(values[t]):
            known[count] = t
            count += 1
    i = 0
    for k in range(targets.size):
        day = targets[k]
        if count == 0 or day < days[known[0]] or day > days[known[count - 1]]:
            out[k] = np.nan
            continue
        while i + 1 < count and days[known[i + 1]] <= day:
            i += 1
        first = days[known[i]]
        out[k] = values[known[i]]
        if first < day:
            weight = (day - first) / (days[known[i + 1]] - first)
            out[k] += (values[known[i + 1]] - out[k]) * weight


@register_jitable  # type: ignore[untyped-decorator]
def _gaps(bands: Any, program: Any, mask: Any, seen: Any, start: int, without: Any, total: Any, odd: Any) -> None:
    """Mark the layers that are missing somewhere in the block where the observation counts."""
    n_bands, n_times, _ = bands.shape
    width = (program.shape[1] - 3) // 2
    for b in range(n_bands):
        found = np.int16(0)
        for t in range(n_times):
            if seen[t]:
                row, source = mask[t], bands[b, t, start : start + BLOCK]
                for j in range(BLOCK):
                    found |= row[j] if source[j] == NODATA else np.int16(0)
        without[b] = found != 0
    for layer in range(program.shape[0]):
        what = program[layer, 0]
        odd[layer] = what == OTHER
        if what == OTHER:
            continue
        for i in range(program[layer, 1]):
            odd[layer] |= without[program[layer, 3 + i]]
        for i in range(program[layer, 2]):
            odd[layer] |= without[program[layer, 3 + width + i]]
        if what != DIFFERENCE or odd[layer]:
            continue
        found = np.int16(0)
        for t in range(n_times):
            if not seen[t]:
                continue
            for j in range(BLOCK):
                total[j] = 0
            for i in range(program[layer, 1]):
                source = bands[program[layer, 3 + i], t, start : start + BLOCK]
                for j in range(BLOCK):
                    total[j] += source[j]
            for i in range(program[layer, 2]):
                source = bands[program[layer, 3 + width + i], t, start : start + BLOCK]
                for j in range(BLOCK):
                    total[j] += source[j]
            row = mask[t]
            for j in range(BLOCK):
                found |= row[j] if total[j] == 0 else np.int16(0)
        odd[layer] = found != 0


def interpolate(
    bands: Any,
    others: Any,
    valid: Any,
    days: Any,
    program: Any,
    targets: Any,
    units: Any,
    at: int,
    whole: Any,
    real: Any,
) -> None:
    """Compiled by numba, without fast-math: the order of operations is the reference's.

    ``bands`` int16 (b, t, p), ``others`` float64 (o, t, p), ``valid`` bool (t, p), ``days`` rising, ``program`` a row a
    layer (operation, how many bands with plus and with minus, their positions), ``units`` (layers, 3); all contiguous,
    p at least a block. Written are rows 0 .. targets * layers, from pixel ``at`` on, of ``whole`` int16 (features,
    pixels) or, where that is empty, of ``real`` float64.
    """
    n_bands, n_times, n_pixels = bands.shape[0], valid.shape[0], valid.shape[1]
    n_layers, n_targets = program.shape[0], targets.size
    mask = np.empty((n_times, BLOCK), np.int16)
    seen = np.empty(n_times, np.bool_)
    without = np.empty(n_bands, np.bool_)
    odd = np.empty(n_layers, np.bool_)
    total = np.empty(BLOCK, np.int32)
    before = np.empty((n_targets, n_bands, BLOCK), np.int16)
    after = np.empty((n_bands, BLOCK), np.int16)
    # Days are whole and small, so that half the width holds them exactly.
    day_before = np.empty((n_targets, BLOCK), np.float32)
    day_after = np.empty(BLOCK, np.float32)
    weight, first, last = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    plus, minus = np.empty(BLOCK), np.empty(BLOCK)
    values = np.empty((n_times, BLOCK))
    lone = np.empty((n_targets, BLOCK))
    known = np.empty(n_times, np.int64)
    blocks = (n_pixels + BLOCK - 1) // BLOCK
    for block in range(blocks):
        # The last block overlaps the one before it: what is written twice is the same.
        start = min(block * BLOCK, n_pixels - BLOCK)
        for t in range(n_times):
            counts, row = valid[t, start : start + BLOCK], mask[t]
            some = False
            for j in range(BLOCK):
                row[j] = -1 if counts[j] else 0
                some |= counts[j]
            seen[t] = some
        _gaps(bands, program, mask, seen, start, without, total, odd)

        _nothing(after, day_after)
        t = 0
        for k in range(n_targets):
            while t < n_times and days[t] <= targets[k]:
                if seen[t]:
                    _take(bands, mask[t], days[t], t, start, after, day_after)
                t += 1
            day_kept = day_before[k]
            for j in range(BLOCK):
                day_kept[j] = day_after[j]
            for b in range(n_bands):
                kept, held = before[k, b], after[b]
                for j in range(BLOCK):
                    kept[j] = held[j]

        _nothing(after, day_after)
        t = n_times - 1
        for k in range(n_targets - 1, -1, -1):
            while t >= 0 and days[t] >= targets[k]:
                if seen[t]:
                    _take(bands, mask[t], days[t], t, start, after, day_after)
                t -= 1
            _weigh(day_before[k], day_after, float(targets[k]), weight)
            for layer in range(n_layers):
                if odd[layer]:
                    continue
                if program[layer, 0] == BAND:
                    kept, held = before[k, program[layer, 3]], after[program[layer, 3]]
                    for j in range(BLOCK):
                        x = float(kept[j])
                        first[j] = x + (float(held[j]) - x) * weight[j]
                else:
                    _layer(program[layer], before[k], plus, minus, first)
                    _layer(program[layer], after, plus, minus, last)
                    for j in range(BLOCK):
                        first[j] = first[j] + (last[j] - first[j]) * weight[j]
                _write(first, units[layer], k * n_layers + layer, at + start, whole, real)

        for layer in range(n_layers):
            if odd[layer]:
                for t in range(n_times):
                    if program[layer, 0] == OTHER:
                        for j in range(BLOCK):
                            values[t, j] = others[program[layer, 3], t, start + j]
                    else:
                        _observed(bands, program[layer], t, start, after, plus, minus, values[t])
                for j in range(BLOCK):
                    _alone(values[:, j], mask[:, j], days, targets, known, lone[:, j])
                for k in range(n_targets):
                    _write(lone[k], units[layer], k * n_layers + layer, at + start, whole, real)
