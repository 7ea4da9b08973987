"""From the observations of a pixel to features on common days: the kernel, and its oracle in plain numpy."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.features.indices import INDICES, NORM, evaluate
from landweave.features.recipe import Layer, Recipe
from landweave.patch.model import NODATA, REFLECTANCE_SCALE

BAND, DIFFERENCE, LENGTH, OTHER = 0, 1, 2, 3
_CHUNK = 8192
_BLOCK = 32
_FLOATS = ("float32", "float64")


def features(
    bands: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray | Sequence[int],
    recipe: Recipe,
    *,
    static: np.ndarray | None = None,
    dtype: str = "int16",
) -> np.ndarray:
    """v0 + (v1 - v0) * (t - t0) / (t1 - t0) between the valid observations before and after each target day.

    Layers are made per observation and then interpolated per pixel. Bands are interpolated in their int16 units, so
    that halves are exact; other layers in float64 from reflectance. A normalised difference is clipped to +-1 and
    missing where its denominator is 0; ``norm`` is the Euclidean length of the recipe's bands. A layer that is
    missing on a date (0/0, a band without data) makes that observation missing for that layer only. An observation
    on the target day is taken as it is. Before the first and after the last valid observation features are missing.

    Parameters
    ----------
    bands
        int16 (b, t, p): the recipe's ``source_bands`` in their order, by date and pixel, -32768 missing.
    valid
        bool (t, p): which observations count.
    days
        (t,) days of the observations since the period's start, any order, none twice; they may lie outside the
        targets.
    recipe
        Layers, target days and int16 units.
    static
        Floating point (s, p): the recipe's layers without time, NaN missing.
    dtype
        ``"int16"``: rounded once, at the end, half to even, in the layer's units, saturating at +-32767, -32768
        missing. ``"float32"`` or ``"float64"``: physical units, NaN missing.

    Returns
    -------
    numpy.ndarray
        (p, len(recipe.feature_names)) in the order of ``recipe.feature_names``.

    Raises
    ------
    InputError
        When two observations stand on one day.
    ValueError
        When shapes or types do not fit, or int16 is asked for and a layer's units are not known
        (:func:`landweave.features.recipe.fit_scales`).
    """
    return _features(bands, valid, days, recipe, static=static, dtype=dtype, run=_compiled)


def features_reference(
    bands: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray | Sequence[int],
    recipe: Recipe,
    *,
    static: np.ndarray | None = None,
    dtype: str = "int16",
) -> np.ndarray:
    """Plain numpy for what :func:`features` computes, bit for bit: the oracle of its tests. Arguments as there."""
    return _features(bands, valid, days, recipe, static=static, dtype=dtype, run=_plain)


def layer_values(bands: np.ndarray, recipe: Recipe) -> np.ndarray:
    """The recipe's layers on each observation, before interpolation.

    Parameters
    ----------
    bands
        int16 (b, t, p) in the order of ``recipe.source_bands``, -32768 missing.

    Returns
    -------
    numpy.ndarray
        float64 (layers, t, p): bands in int16 units (1e-4 reflectance), others in physical units; NaN missing.
    """
    units = np.where(bands == NODATA, np.nan, bands.astype("float64"))
    position = {name: i for i, name in enumerate(recipe.source_bands)}
    out = np.empty((len(recipe.layers), *bands.shape[1:]))
    others = _others(bands, recipe)
    for number, layer in enumerate(recipe.layers):
        what, plus, minus = _operation(layer, recipe)
        if what == BAND:
            out[number] = units[position[layer.name]]
        elif what == DIFFERENCE:
            a = sum(units[position[band]] for band in plus)
            b = sum(units[position[band]] for band in minus)
            total = a + b
            with np.errstate(divide="ignore", invalid="ignore"):
                out[number] = np.clip((a - b) / np.where(total == 0, np.nan, total), -1.0, 1.0)
        elif what == LENGTH:
            # The sum of squares of whole numbers is exact, whatever the order.
            squares = sum(units[position[band]] * units[position[band]] for band in plus)
            out[number] = np.sqrt(squares) * REFLECTANCE_SCALE
        else:
            out[number] = others[int(plus[0])]
    return out


def _features(
    bands: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray | Sequence[int],
    recipe: Recipe,
    *,
    static: np.ndarray | None,
    dtype: str,
    run: Callable[..., None],
) -> np.ndarray:
    bands, valid, days, static = _checked(bands, valid, days, recipe, static=static, dtype=dtype)
    layers, pixels = recipe.layers, bands.shape[2]
    dated = len(layers) * len(recipe.days)
    out = np.empty((pixels, len(recipe.feature_names)), dtype)
    units = np.array([_units(layer, dtype) for layer in layers], "float64").reshape(-1, 3)
    targets = np.array(recipe.days, "int64")
    if dated:
        # Custom layers are whole arrays of float64; in chunks they stay small.
        for start in range(0, pixels, _CHUNK):
            part = slice(start, start + _CHUNK)
            run(bands[:, :, part], valid[:, part], days, recipe, targets=targets, units=units, out=out[part, :dated])
    for number, layer in enumerate(recipe.static_layers):
        assert static is not None
        gain, offset, scale = _units(layer, dtype)
        out[:, dated + number] = _stored((static[number] * gain - offset) / scale, dtype)
    return out


def _checked(
    bands: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray | Sequence[int],
    recipe: Recipe,
    *,
    static: np.ndarray | None,
    dtype: str,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    days = np.asarray(days, "int64").reshape(-1)
    if dtype != "int16" and dtype not in _FLOATS:
        raise ValueError(f"features come as int16, float32 or float64, not {dtype}.")
    if bands.dtype != np.int16 or bands.ndim != 3:
        raise ValueError(f"bands must be int16 (bands, time, pixels), not {bands.dtype} {bands.shape}.")
    if bands.shape[0] != len(recipe.source_bands) or bands.shape[1] != days.size or valid.shape != bands.shape[1:]:
        raise ValueError(
            f"bands {bands.shape}, valid {valid.shape} and {days.size} days do not fit the recipe's "
            f"{len(recipe.source_bands)} source bands {recipe.source_bands}."
        )
    if recipe.static:
        if static is None or static.shape != (len(recipe.static), bands.shape[2]):
            found = None if static is None else static.shape
            raise ValueError(f"static must be {(len(recipe.static), bands.shape[2])} for {recipe.static}, not {found}.")
        static = np.asarray(static, "float64")
    if np.unique(days).size != days.size:
        twice = next(day for day in days.tolist() if np.count_nonzero(days == day) > 1)
        raise InputError(f"Two observations stand on day {twice}; fuse or leave out one of them.")
    if np.any(days[1:] < days[:-1]):
        order = np.argsort(days)
        bands, valid, days = bands[:, order], valid[order], days[order]
    if dtype == "int16":
        unset = [layer.name for layer in (*recipe.layers, *recipe.static_layers) if math.isnan(layer.scale)]
        if unset:
            raise ValueError(f"int16 units of {unset} are not known; fit_scales sets them from training pixels.")
    return bands, np.asarray(valid, bool), days, static


def _units(layer: Layer, dtype: str) -> tuple[float, float, float]:
    """(gain, offset, scale): what is written is (value * gain - offset) / scale."""
    band = layer.kind == "band"
    if dtype != "int16":
        return (REFLECTANCE_SCALE if band else 1.0), 0.0, 1.0
    if band and (layer.scale, layer.offset) == (REFLECTANCE_SCALE, 0.0):
        return 1.0, 0.0, 1.0
    return (REFLECTANCE_SCALE if band else 1.0), layer.offset, layer.scale


def _operation(layer: Layer, recipe: Recipe) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """How a layer is made; of OTHER layers the first name is the number among them."""
    if layer.kind == "band":
        return BAND, (layer.name,), ()
    if layer.kind == "index" and layer.name == NORM:
        return LENGTH, recipe.bands, ()
    pair = INDICES[layer.name] if layer.kind == "index" else ""
    if isinstance(pair, tuple):
        return DIFFERENCE, tuple(pair[0].split("+")), tuple(pair[1].split("+"))
    return OTHER, (str(_other_names(recipe).index(layer.name)),), ()


def _other_names(recipe: Recipe) -> list[str]:
    return [
        layer.name
        for layer in recipe.layers
        if layer.kind == "custom" or (layer.kind == "index" and isinstance(INDICES.get(layer.name), str))
    ]


def _others(bands: np.ndarray, recipe: Recipe) -> np.ndarray:
    """Layers that are arithmetic of the user's or the table's: float64 (others, t, p) in physical units."""
    names = _other_names(recipe)
    out = np.empty((len(names), *bands.shape[1:]))
    if names:
        reflectance = np.where(bands == NODATA, np.nan, bands * REFLECTANCE_SCALE)
        values = dict(zip(recipe.source_bands, reflectance, strict=True))
        for layer in recipe.layers:
            if layer.name in names:
                out[names.index(layer.name)] = evaluate(str(layer.expression), values)
    return out


def _stored(units: np.ndarray, dtype: str) -> np.ndarray:
    if dtype != "int16":
        return units.astype(dtype)
    known = np.isfinite(units)
    return np.where(known, np.clip(np.rint(np.where(known, units, 0)), -32767, 32767), NODATA).astype("int16")


def _plain(
    bands: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray,
    recipe: Recipe,
    *,
    targets: np.ndarray,
    units: np.ndarray,
    out: np.ndarray,
) -> None:
    count = len(recipe.layers)
    if not days.size:
        out[:] = NODATA if out.dtype == np.int16 else np.nan
        return
    for number, values in enumerate(layer_values(bands, recipe)):
        known = valid & np.isfinite(values)
        steps = np.arange(days.size)[:, None]
        before = np.maximum.accumulate(np.where(known, steps, -1), axis=0)
        after = np.minimum.accumulate(np.where(known, steps, days.size)[::-1], axis=0)[::-1]
        gain, offset, scale = units[number]
        for k, day in enumerate(targets):
            result = np.full(valid.shape[1], np.nan)
            left, right = np.searchsorted(days, day, "right") - 1, np.searchsorted(days, day, "left")
            if left >= 0 and right < days.size:
                first, last = before[left], after[right]
                inside = np.flatnonzero((first >= 0) & (last < days.size))
                first, last = first[inside], last[inside]
                gap = days[last] - days[first]
                weight = np.where(gap == 0, 0.0, (day - days[first]) / np.maximum(gap, 1))
                v0, v1 = values[first, inside], values[last, inside]
                result[inside] = ((v0 + (v1 - v0) * weight) * gain - offset) / scale
            out[:, k * count + number] = _stored(result, out.dtype.name)


def _compiled(
    bands: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray,
    recipe: Recipe,
    *,
    targets: np.ndarray,
    units: np.ndarray,
    out: np.ndarray,
) -> None:
    position = {name: i for i, name in enumerate(recipe.source_bands)}
    layers = recipe.layers
    width = max(1, len(recipe.source_bands))
    # Row of the program: operation, how many on the plus side, on the minus side, then their positions.
    program = np.zeros((len(layers), 3 + 2 * width), "int64")
    for number, layer in enumerate(layers):
        what, plus, minus = _operation(layer, recipe)
        program[number, :3] = what, len(plus), len(minus)
        program[number, 3 : 3 + len(plus)] = [int(plus[0])] if what == OTHER else [position[band] for band in plus]
        program[number, 3 + width : 3 + width + len(minus)] = [position[band] for band in minus]
    missing = float(NODATA) if out.dtype == np.int16 else math.nan
    arguments = (bands, _others(bands, recipe), valid, days, program, targets, units, missing)
    try:
        _jit(cache=True)(*arguments, out.dtype == np.int16, out)
    except OSError:
        # The folder of compiled kernels may be full or lost: the kernel itself is not at fault.
        _jit(cache=False)(*arguments, out.dtype == np.int16, out)


@lru_cache(maxsize=2)
def _jit(*, cache: bool) -> Callable[..., None]:
    import numba

    if cache:
        try:
            return numba.njit(_kernel, nogil=True, cache=True)  # type: ignore[no-any-return]
        except RuntimeError:
            # A package in a read-only place, and no home folder to write to either.
            return _jit(cache=False)
    return numba.njit(_kernel, nogil=True)  # type: ignore[no-any-return]


def _kernel(
    bands: Any,
    others: Any,
    valid: Any,
    days: Any,
    program: Any,
    targets: Any,
    units: Any,
    missing: float,
    rounding: bool,  # noqa: FBT001
    out: Any,
) -> None:
    """Compiled by numba, without fast-math: the order of operations is the reference's."""
    n_times, n_pixels = valid.shape
    n_layers, n_targets = program.shape[0], targets.size
    width = (program.shape[1] - 3) // 2
    values = np.empty((n_layers, n_times, _BLOCK))
    held = np.zeros(n_times, np.bool_)
    known = np.empty(n_times, np.int64)
    lower = np.empty(n_targets, np.int64)
    upper = np.empty(n_targets, np.int64)
    weight = np.empty(n_targets)
    for start in range(0, n_pixels, _BLOCK):
        size = min(_BLOCK, n_pixels - start)
        for layer in range(n_layers):
            what, n_plus, n_minus = program[layer, 0], program[layer, 1], program[layer, 2]
            for t in range(n_times):
                for j in range(size):
                    if what == OTHER:
                        values[layer, t, j] = others[program[layer, 3], t, start + j]
                        continue
                    a, b, absent = 0.0, 0.0, False
                    for i in range(n_plus):
                        unit = bands[program[layer, 3 + i], t, start + j]
                        absent |= unit == NODATA
                        a += float(unit) * float(unit) if what == LENGTH else float(unit)
                    for i in range(n_minus):
                        unit = bands[program[layer, 3 + width + i], t, start + j]
                        absent |= unit == NODATA
                        b += float(unit)
                    if absent or (what == DIFFERENCE and a + b == 0.0):
                        values[layer, t, j] = np.nan
                    elif what == DIFFERENCE:
                        values[layer, t, j] = min(max((a - b) / (a + b), -1.0), 1.0)
                    elif what == LENGTH:
                        values[layer, t, j] = np.sqrt(a) * REFLECTANCE_SCALE
                    else:
                        values[layer, t, j] = a
        for j in range(size):
            for layer in range(n_layers):
                # Layers of a pixel mostly share their dates: the plan is made anew only where they differ.
                changed = layer == 0
                for t in range(n_times):
                    good = valid[t, start + j] and np.isfinite(values[layer, t, j])
                    if good != held[t]:
                        held[t] = good
                        changed = True
                if changed:
                    count = 0
                    for t in range(n_times):
                        if held[t]:
                            known[count] = t
                            count += 1
                    i = 0
                    for k in range(n_targets):
                        day = targets[k]
                        if count == 0 or day < days[known[0]] or day > days[known[count - 1]]:
                            lower[k] = -1
                            continue
                        while i + 1 < count and days[known[i + 1]] <= day:
                            i += 1
                        lower[k], upper[k], weight[k] = known[i], known[i], 0.0
                        if days[known[i]] < day:
                            upper[k] = known[i + 1]
                            weight[k] = (day - days[known[i]]) / (days[known[i + 1]] - days[known[i]])
                gain, offset, scale = units[layer, 0], units[layer, 1], units[layer, 2]
                for k in range(n_targets):
                    if lower[k] < 0:
                        out[start + j, k * n_layers + layer] = missing
                        continue
                    v0, v1 = values[layer, lower[k], j], values[layer, upper[k], j]
                    unit_value = ((v0 + (v1 - v0) * weight[k]) * gain - offset) / scale
                    if rounding:
                        unit_value = min(max(np.rint(unit_value), -32767.0), 32767.0)
                    out[start + j, k * n_layers + layer] = unit_value
