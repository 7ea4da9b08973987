"""From the observations of a pixel to features on common days: the kernel, and its oracle in plain numpy."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from landweave.errors import InputError
from landweave.features.program import BAND, DIFFERENCE, LENGTH, OTHER, compiled_program, operation, others
from landweave.features.recipe import Column, Layer, Recipe
from landweave.features.series.rules import LINEAR, MOST_DAYS, Series
from landweave.patch.model import NODATA, REFLECTANCE_SCALE

_CHUNK = 8192
_FEW = 1000
"""Pixels whose observations are held as float64 at once, for rules that need them all."""
_FURTHEST = 2**24
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
        (p, len(recipe.feature_names)) in the order of ``recipe.feature_names``. Each feature's pixels lie side by side
        in memory (Fortran's order).

    Raises
    ------
    InputError
        When two observations stand on one day.
    ValueError
        When shapes or types do not fit, or int16 is asked for and a layer's units are not known
        (:func:`landweave.features.units.fit_scales`).
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


def any_known(features: np.ndarray) -> np.ndarray:
    """Rows of int16 features (p, f) of which at least one is not missing; bool (p,).

    >>> any_known(np.array([[-32768, 3], [-32768, -32768]], "int16"))
    array([ True, False])
    """
    known = np.zeros(len(features), bool)
    # Most pixels are known on any day within the year: the first column tried is in its middle.
    for number in np.roll(np.arange(features.shape[1]), -(features.shape[1] // 2)):
        if known.all():
            break
        known |= features[:, number] != NODATA
    return known


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
    made = others(bands, recipe)
    for number, layer in enumerate(recipe.layers):
        what, plus, minus = operation(layer, recipe)
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
            out[number] = made[int(plus[0])]
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
    dated = recipe.dated
    # A feature's pixels lie side by side: so they are written, and so trees look them up.
    out = np.empty((len(recipe.feature_names), pixels), dtype)
    units = np.array([_units(layer, dtype) for layer in layers], "float64").reshape(-1, 3)
    targets = np.array(recipe.days, "int64")
    row = 0
    for series in recipe.series:
        own = recipe.columns_of(series)
        part, row = out[row : row + len(own)], row + len(own)
        if not own or not pixels:
            continue
        if not days.size:
            part[:] = NODATA if dtype == "int16" else np.nan
        elif series.rule == LINEAR:
            run(bands, valid, days, recipe, targets=targets, units=units, out=part)
        else:
            _by_rule(series, bands, valid, days, recipe, targets=targets, out=part, run=run)
    for number, layer in enumerate(recipe.static_layers):
        assert static is not None
        gain, offset, scale = _units(layer, dtype)
        out[dated + number] = _stored((static[number] * gain - offset) / scale, dtype)
    return out.T


def _by_rule(
    series: Series,
    bands: np.ndarray,
    valid: np.ndarray,
    days: np.ndarray,
    recipe: Recipe,
    *,
    targets: np.ndarray,
    out: np.ndarray,
    run: Callable[..., None],
) -> None:
    """What a rule other than the straight line makes, (columns, p), a few pixels at a time."""
    from landweave.features.series.compute import compiled, outputs

    own = recipe.columns_of(series)
    units = np.array([_column_units(column, out.dtype.name) for column in own])
    gain, offset, scale = units.T[:, :, None]
    names = [layer.name for layer in recipe.layers]
    layer = names.index(series["layer"]) if series.rule == "phenology" else None
    for start in range(0, bands.shape[2], _FEW):
        part = slice(start, start + _FEW)
        seen, counts = np.ascontiguousarray(bands[:, :, part]), np.ascontiguousarray(valid[:, part])
        if run is _compiled:
            values = _observed(seen, counts, recipe)
        else:
            values = np.where(counts, layer_values(seen, recipe), np.nan)
        linear = None
        if series.rule == "savitzky_golay":
            as_seen, lines = (
                np.tile([1.0, 0.0, 1.0], (len(names), 1)),
                np.empty((len(targets) * len(names), seen.shape[2])),
            )
            run(seen, counts, days, recipe, targets=targets, units=as_seen, out=lines)
            linear = lines.reshape(len(targets), len(names), -1)
        found = outputs(
            series, values, days, targets, bands=seen, valid=counts, linear=linear, layer=layer, plain=run is _plain
        )
        if run is _compiled and out.dtype == np.int16:
            compiled("store")(found, units, out[:, part])
        else:
            out[:, part] = _stored((found * gain - offset) / scale, out.dtype.name)


def _observed(bands: np.ndarray, valid: np.ndarray, recipe: Recipe) -> np.ndarray:
    """As :func:`layer_values`, by the kernel."""
    from landweave.features.kernel import BLOCK
    from landweave.features.series.compute import compiled

    pixels, short = valid.shape[1], max(0, BLOCK - valid.shape[1])
    if short:
        bands, valid = np.pad(bands, ((0, 0), (0, 0), (0, short))), np.pad(valid, ((0, 0), (0, short)))
    out = np.empty((len(recipe.layers), *valid.shape))
    compiled("observed")(bands, others(bands, recipe), valid, compiled_program(recipe), out)
    return np.ascontiguousarray(out[:, :, :pixels])


def _column_units(column: Column, dtype: str) -> tuple[float, float, float]:
    """(gain, offset, scale) of a column, as :func:`_units` of a layer."""
    scale, _ = column.units
    if column.layer is None or column.kind == "day":
        return 1.0, 0.0, scale if dtype == "int16" else 1.0
    gain, offset, scale = _units(column.layer, dtype)
    wide = MOST_DAYS if column.kind == "integral" and dtype == "int16" else 1
    return gain, offset if column.kind == "value" else 0.0, scale * wide


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
    if days.size and max(-days.min(), days.max(), *recipe.days, 0) > _FURTHEST:
        raise ValueError(f"days must lie within {_FURTHEST} of the period's start.")
    if np.unique(days).size != days.size:
        twice = next(day for day in days.tolist() if np.count_nonzero(days == day) > 1)
        raise InputError(f"There are two observations on day {twice}; merge them or leave one out.")
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
            out[k * count + number] = _stored(result, out.dtype.name)


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
    from landweave.features.kernel import BLOCK

    pixels, short = valid.shape[1], max(0, BLOCK - valid.shape[1])
    program = compiled_program(recipe)
    kinds = "int16" if out.dtype == np.int16 else "float64"
    # Layers made beforehand, and float64 on its way to float32, are whole arrays; in chunks they stay small.
    direct = out.dtype == kinds and not short
    step = pixels if direct and not (program[:, 0] == OTHER).any() else _CHUNK
    for start in range(0, pixels, step):
        part = slice(max(0, min(start, pixels - BLOCK)), min(start + step, pixels))
        chunk, counts = bands[:, :, part], valid[:, part]
        if short:
            chunk, counts = np.pad(chunk, ((0, 0), (0, 0), (0, short))), np.pad(counts, ((0, 0), (0, short)))
        target = out if direct else np.empty((len(out), chunk.shape[2]), kinds)
        unused = np.empty((0, 0), "float64" if kinds == "int16" else "int16")
        arguments = (
            np.ascontiguousarray(chunk), others(chunk, recipe), np.ascontiguousarray(counts), days, program, targets,
            units, part.start if direct else 0, *((target, unused) if kinds == "int16" else (unused, target)),
        )  # fmt: skip
        try:
            _jit(cache=True)(*arguments)
        except OSError:
            # The folder of compiled kernels may be full or lost: the kernel itself is not at fault.
            _jit(cache=False)(*arguments)
        if not direct:
            out[:, part] = target[:, : part.stop - part.start]


@lru_cache(maxsize=2)
def _jit(*, cache: bool) -> Callable[..., None]:
    import numba

    from landweave.features.kernel import interpolate

    # Division by zero gives infinity or NaN, as in numpy, and not an exception that would have to be watched for.
    options = {"nogil": True, "error_model": "numpy"}
    if cache:
        try:
            return numba.njit(interpolate, cache=True, **options)  # type: ignore[no-any-return]
        except RuntimeError:
            # A package in a read-only place, and no home folder to write to either.
            return _jit(cache=False)
    return numba.njit(interpolate, **options)  # type: ignore[no-any-return]
