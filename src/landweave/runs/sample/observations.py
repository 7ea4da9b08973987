"""Rows of the training table, and the observations behind them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from landweave.accuracy.importance import SNOW_SHARE
from landweave.features.clouds import snow_mask
from landweave.features.recipe import Recipe
from landweave.patch.model import NODATA
from landweave.runs import layout
from landweave.runs.project.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Observed:
    """Rows of the training table with the observations behind them."""

    rows: Any
    """Data frame: patch, label, split, weight, unit, ..."""
    stack: np.ndarray
    """int16 (bands, t, n), -32768 missing."""
    valid: np.ndarray
    """Which observations count, bool (t, n)."""
    static: np.ndarray | None
    """float64 (layers, n), NaN missing; None where the recipe has no layers without time."""


def observed_rows(plan: Plan, rows: Any, matrix: np.ndarray, recipe: Recipe) -> Callable[[np.ndarray], Observed]:
    """Rows by their numbers, rising, with the observations behind them, which are read for the rows that are asked."""
    import pyarrow.parquet as pq

    times = np.array(plan.dates, "datetime64[ms]")
    count = recipe.dated

    def of(use: np.ndarray) -> Observed:
        place = np.full(len(rows), -1)
        place[use] = np.arange(len(use))
        stack = np.full((len(recipe.source_bands), len(times), len(use)), NODATA, "int16")
        valid = np.zeros(stack.shape[1:], bool)
        with pq.ParquetFile(plan.folder / layout.SERIES) as file:
            for number in range(file.num_row_groups):
                series = file.read_row_group(number)
                at = place[series["row"].to_numpy()]
                here = at >= 0
                acquired = series["acquisition"].to_numpy()[here].astype("datetime64[ms]")
                at = np.searchsorted(times, acquired), at[here]
                for b, name in enumerate(recipe.source_bands):
                    stack[b][at] = series[name].to_numpy()[here]
                valid[at] = series["reason"].to_numpy()[here] == 0
        static = None
        if recipe.static:
            stored = matrix[use][:, count:].T
            units = np.array([[layer.scale, layer.offset] for layer in recipe.static_layers])
            static = np.where(stored == NODATA, np.nan, stored * units[:, :1] + units[:, 1:])
        return Observed(rows=rows.iloc[use].reset_index(drop=True), stack=stack, valid=valid, static=static)

    return of


def snow_shares(plan: Plan, held: Observed) -> list[float | None]:
    """Share of snow among the valid observations of each acquisition, by the land of the rows; None unknown."""
    import xarray as xr

    bands = plan.recipe.source_bands
    if not {"B03", "B08", "B11"} <= set(bands):
        return [None] * len(plan.dates)
    data = {name: (("time", "y", "x"), held.stack[b][:, None, :]) for b, name in enumerate(bands)}
    settings = plan.project.source
    snowy = snow_mask(xr.Dataset(data), ndsi=settings.snow_ndsi, nir=settings.snow_nir)[:, 0, :]
    land = held.rows["weight"].to_numpy("float64")
    seen, white = held.valid @ land, (held.valid & snowy) @ land
    return [float(w / s) if s > 0 else None for s, w in zip(seen, white, strict=True)]


def is_snow(share: float | None) -> bool:
    """Whether an acquisition is a snow date."""
    return share is not None and share > SNOW_SHARE
