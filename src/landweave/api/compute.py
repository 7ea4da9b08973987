"""A patch to features on common days, as a run makes them."""

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from landweave.api.attributes import MASK_REASON, band_names, is_band
from landweave.api.period import END, START, period_start, read_period
from landweave.errors import InputError
from landweave.features.clouds import mask_reasons
from landweave.features.indices import index_bands
from landweave.features.interpolation import features
from landweave.features.recipe import Recipe, target_days
from landweave.features.series.rules import PLAIN, series_of, with_windows
from landweave.patch.model import NODATA, TIME, X, Y, to_int16
from landweave.runs.project.settings import FeatureSettings

STRIP_PIXELS = 65_536
"""Pixels whose features are computed at a time."""

FEATURE = "feature"


@dataclass(frozen=True, kw_only=True)
class FeatureInput:
    """A patch made ready: what :func:`landweave.features.interpolation.features` needs, by rows."""

    patch: xr.Dataset
    """Axes (time, y, x)."""

    recipe: Recipe
    start: datetime.date
    """Day 0 of the target days."""

    valid: np.ndarray
    """bool (time, y, x)."""

    dates: np.ndarray
    """Positions of the dates that count."""

    @property
    def dated(self) -> int:
        """Number of features with a date; the layers without time come after them."""
        return len(self.recipe.feature_names) - len(self.recipe.static)

    def strips(self, dtype: str) -> Iterator[tuple[slice, np.ndarray]]:
        """Rows of the patch, and their features (rows * x, features) in the order of the recipe."""
        height, width = (self.patch.sizes[axis] for axis in (Y, X))
        step = max(1, STRIP_PIXELS // max(width, 1))
        days = self._days()
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            size = (rows.stop - rows.start) * width
            bands = [_units(self.patch[name].isel({Y: rows, TIME: self.dates})) for name in self.recipe.source_bands]
            shape = (len(bands), len(self.dates), size)
            static = [self.patch[name].isel({Y: rows}).values.reshape(size) for name in self.recipe.static]
            yield (
                rows,
                features(
                    np.stack(bands).reshape(shape) if bands else np.empty(shape, "int16"),
                    self.valid[self.dates, rows].reshape(shape[1:]), days, self.recipe,
                    static=np.stack(static).astype("float64") if static else None, dtype=dtype,
                ),
            )  # fmt: skip

    def _days(self) -> np.ndarray:
        times = self.patch[TIME].values[self.dates].astype("datetime64[D]")
        return np.asarray((times - np.datetime64(self.start, "D")).astype("int64"))


def compute_features(
    patch: xr.Dataset,
    recipe: Recipe | Mapping[str, Any] | None = None,
    *,
    period: Any = None,
    bands: Sequence[str] | None = None,
    indices: Sequence[str] | None = None,
    custom: Mapping[str, str] | None = None,
    static: Sequence[str] | None = None,
    step_days: int | None = None,
    series: Sequence[str | Mapping[str, Any]] | None = None,
    min_valid_fraction: float = 0.0,
    dtype: str = "float32",
) -> xr.DataArray:
    """Interpolate bands and indices of a patch to common days, pixel by pixel.

    With the settings of a run, the values are those of the run, bit by bit.

    Parameters
    ----------
    patch
        Bands int16 in 1e-4 reflectance or floating-point reflectance, (time, y, x). Observations count where
        ``mask_reason`` is 0; without that variable (see :func:`mask_clouds`), where all bands have data.
    recipe
        A recipe, or a model's ``recipe``; default: made from ``bands``, ``indices``, ``custom``, ``static`` and
        ``step_days``, which have the meanings and defaults of ``[features]`` in a project file.
    period
        As for :func:`load`; default: the period that the patch was loaded for. Without both, and without a recipe:
        first to last date of the patch.
    bands, indices
        Default: those of B02, B03, B04, B08, B11, B12 that the patch has (or else all its bands), and those of ndvi,
        ndwi and norm whose bands it has.
    custom
        Name to an arithmetic expression of bands.
    static
        Variables (y, x) that are features as they are, such as an elevation model that was added to the patch.
    series
        Rules by which observations become features, as ``[features] series``; default: lines between observations.
    step_days
        Days between target dates, 16 by default.
    min_valid_fraction
        Dates with a smaller share of valid pixels in the patch are left out.
    dtype
        ``"float32"`` (or ``"float64"``): physical units, NaN missing. ``"int16"``: a run's units, -32768 missing, with
        the coordinates ``scale`` and ``offset`` (value = number * scale + offset).

    Returns
    -------
    xarray.DataArray
        (feature, y, x). Coordinates along ``feature``: its name (``ndvi_d016``), ``band`` (``ndvi``) and ``date``
        (NaT for layers without time). Before the first and after the last valid observation of a pixel features are
        missing. The attribute ``recipe`` holds the recipe as JSON.

    Raises
    ------
    InputError
        For a variable that the patch lacks, a recipe together with settings, a recipe for a patch whose period is not
        known, and int16 for layers whose units are not known.
    """
    given: dict[str, Any] = {
        "bands": bands,
        "indices": indices,
        "custom": custom,
        "static": static,
        "step_days": step_days,
        "series": series,
    }
    if recipe is not None and any(value is not None for value in given.values()):
        extra = next(name for name, value in given.items() if value is not None)
        raise InputError(f"compute_features has both a recipe and {extra}; give one of them.")
    patch = patch.transpose(..., TIME, Y, X, missing_dims="ignore")
    if recipe is None:
        period = _period(patch, period)
        recipe = _recipe(patch, period, **given)
    elif not isinstance(recipe, Recipe):
        recipe = Recipe.from_json(recipe)
    ready = prepare(patch, recipe, period=period, min_valid_fraction=min_valid_fraction)
    if dtype not in {"int16", "float32", "float64"}:
        raise InputError(f'dtype = "{dtype}" is unknown; use "float32", "float64" or "int16".')
    unknown = [layer.name for layer in (*recipe.layers, *recipe.static_layers) if np.isnan(layer.scale)]
    if dtype == "int16" and unknown:
        raise InputError(
            f'Layer {unknown[0]!r} has no int16 units before training pixels are known; use dtype = "float32", or a '
            "model's recipe."
        )
    out = np.empty((len(recipe.feature_names), patch.sizes[Y], patch.sizes[X]), dtype)
    for rows, table in ready.strips(dtype):
        out[:, rows] = table.T.reshape(len(out), -1, patch.sizes[X])
    return _array(out, ready)


def prepare(patch: xr.Dataset, recipe: Recipe, *, period: Any, min_valid_fraction: float = 0.0) -> FeatureInput:
    """Check a patch against a recipe; arguments as for :func:`compute_features`."""
    for axis in (TIME, Y, X):
        if axis not in patch.sizes:
            raise InputError(f"The patch has no axis {axis!r}; its axes are {', '.join(map(str, patch.sizes))}.")
    patch = patch.transpose(..., TIME, Y, X, missing_dims="ignore")
    recipe.check_source([str(name) for name in patch.data_vars])
    for name in recipe.source_bands:
        if not is_band(patch[name]) or patch[name].dims != (TIME, Y, X):
            raise InputError(
                f"{name} is {patch[name].dtype} {patch[name].dims}; bands are int16 in 1e-4 reflectance or "
                "floating-point reflectance, (time, y, x)."
            )
    for name in recipe.static:
        if name not in patch or patch[name].dims != (Y, X):
            raise InputError(f"The recipe has the layer without time {name!r}; add it to the patch, (y, x).")
    start = period_start(patch.attrs, period)
    if start is None:
        raise InputError(
            "The patch does not give the start of its period, from which target days are counted; give period, such as "
            'period = "2017".'
        )
    valid = np.ones([patch.sizes[axis] for axis in (TIME, Y, X)], bool)
    if recipe.source_bands:
        valid = mask_reasons(patch, bands=recipe.source_bands, clouds="none") == 0
    if MASK_REASON in patch:
        valid &= patch[MASK_REASON].values == 0
    shares = valid.reshape(len(valid), -1).mean(axis=1)
    return FeatureInput(
        patch=patch, recipe=recipe, start=start, valid=valid, dates=np.flatnonzero(shares >= min_valid_fraction)
    )


def _recipe(
    patch: xr.Dataset,
    period: tuple[datetime.date, datetime.date],
    *,
    bands: Sequence[str] | None,
    indices: Sequence[str] | None,
    custom: Mapping[str, str] | None,
    static: Sequence[str] | None,
    step_days: int | None,
    series: Sequence[str | Mapping[str, Any]] | None,
) -> Recipe:
    """The recipe of ``[features]``, by default of what the patch has."""
    default = FeatureSettings()
    if bands is None:
        bands = [name for name in default.bands if name in patch] or band_names(patch)
    if indices is None:
        # Of bands alone that no index names, such as a series of NDVI, the length says nothing.
        possible = default.indices if set(bands) & set(default.bands) else ()
        indices = [name for name in possible if all(band in patch for band in index_bands(name, bands))]
    return Recipe(
        bands=tuple(bands), indices=tuple(indices), custom=tuple((custom or {}).items()), static=tuple(static or ()),
        days=target_days(*period, default.step_days if step_days is None else step_days),
        series=PLAIN if series is None else with_windows(series_of(series), *period),
    )  # fmt: skip


def _period(patch: xr.Dataset, period: Any) -> tuple[datetime.date, datetime.date]:
    start, end = read_period((patch.attrs.get(START), patch.attrs.get(END)) if period is None else period)
    if TIME not in patch.coords or not patch.sizes[TIME]:
        raise InputError("The patch has no dates; its axis time needs a coordinate.")
    times = patch[TIME].values.astype("datetime64[D]")
    return start or times.min().item(), end or times.max().item()


def _units(band: xr.DataArray) -> np.ndarray:
    return band.values if band.dtype == np.int16 else to_int16(band.values)


def _array(values: np.ndarray, ready: FeatureInput) -> xr.DataArray:
    recipe = ready.recipe
    start = np.datetime64(ready.start, "ns")
    # What stands for the whole period has no date.
    dates = [
        np.datetime64("NaT", "ns") if column.day is None else start + np.timedelta64(column.day, "D")
        for column in recipe.columns
    ]
    coords = {
        FEATURE: list(recipe.feature_names),
        "band": (FEATURE, list(recipe.feature_layers)),
        "date": (FEATURE, np.array([*dates, *[np.datetime64("NaT", "ns")] * len(recipe.static)], "datetime64[ns]")),
        **{name: coord for name, coord in ready.patch.coords.items() if TIME not in coord.dims},
    }
    attrs: dict[str, Any] = {
        "long_name": "features", START: ready.start.isoformat(),
        "recipe": json.dumps(recipe.to_json(), separators=(",", ":")),
    }  # fmt: skip
    if values.dtype == np.int16:
        coords |= {
            key: (FEATURE, [pair[i] for pair in recipe.feature_units]) for i, key in enumerate(("scale", "offset"))
        }
        attrs["nodata"] = NODATA
    found = xr.DataArray(values, dims=(FEATURE, Y, X), coords=coords, attrs=attrs, name="features")
    found.encoding["grid_mapping"] = "spatial_ref"
    return found
