"""A patch read strip by strip: its bands, and why observations do not count."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.patch.grid import Cell, strip_geobox
from landweave.patch.model import TIME, X, Y
from landweave.patch.stack import Strip, strip_reader
from landweave.patch.staging import ROWS
from landweave.patch.strips import map_strips
from landweave.runs.fetch.imagery import FetchTask, fetch_stack, is_stack, stored_path
from landweave.runs.fetch.observe import cloudiness, observe, reasons_of
from landweave.runs.project.plan import Plan
from landweave.sources.protocol import Source
from landweave.sources.rasters import read_static
from landweave.sources.stac.source import StacSource

STRIP_PIXELS = 65_536
"""Pixels held at a time; a strip is as many rows as hold them, in whole shards of a stored patch."""


def scan(
    plan: Plan,
    task: FetchTask,
    *,
    write: Callable[[slice, Any], None],
    dates: Sequence[int] | None = None,
    wanted: set[int] | None = None,
    sky: bool = False,
) -> None:
    """Go over a patch strip by strip: bands int16 (b, t, y, x) and reasons of masking uint8 (t, y, x).

    Only the dates at these positions are read. With ``sky`` also how cloudy it was, per cent, float32 (t, y, x).
    """
    if (wanted is not None and not wanted) or (dates is not None and not dates):
        return
    cell, bands = task.cell, plan.recipe.source_bands
    others = [name for name in plan.variables if name not in bands]
    days = plan.dates if dates is None else [plan.dates[number] for number in dates]
    stored = None
    if plan.project.source.stores:
        stored = strip_reader(_stack(plan, task), bands=bands, masks=others, dates=dates)

    def read(rows: slice) -> Strip:
        if stored is not None:
            return stored(rows)
        patch = observe(plan, strip_geobox(cell.geobox, rows), days, plan.variables)
        return Strip(bands=np.stack([patch[name].values for name in bands]), masks={n: patch[n].values for n in others})

    def mask(strip: Strip) -> tuple[np.ndarray, ...]:
        layers = {**dict(zip(bands, strip.bands, strict=True)), **strip.masks}
        patch = xr.Dataset({name: ((TIME, Y, X), values) for name, values in layers.items()})
        reasons = reasons_of(plan, patch)
        return (strip.bands, reasons, cloudiness(plan, patch, reasons)) if sky else (strip.bands, reasons)

    shards = max(1, STRIP_PIXELS // (ROWS * int(cell.geobox.shape[1])))
    map_strips(read, mask, write=write, height=cell.rows, strip=shards * ROWS)


def static_rows(plan: Plan, cell: Cell, rows: slice) -> np.ndarray:
    """:func:`static_layers` on some rows of a cell."""
    return static_layers(plan, strip_geobox(cell.geobox, rows))


def static_layers(plan: Plan, geobox: GeoBox) -> np.ndarray:
    """The recipe's layers without time on a grid, float32 (layers, y, x), NaN missing."""
    layers = [read_static(plan.project.path(path), geobox) for path in plan.project.features.static]
    return np.stack(layers) if layers else np.zeros((0, *geobox.shape), "float32")


def _stack(plan: Plan, task: FetchTask) -> Path:
    """The patch's Zarr, brought again where it was let go."""
    path = stored_path(plan, task.cell)
    if not plan.project.source.keep:
        source = source_of(plan, task)
        if not is_stack(path, plan, task.cell, source=source, stamp=task.stamp):
            fetch_stack(plan, task.cell, source=source, stamp=task.stamp)
    return path


def source_of(plan: Plan, task: FetchTask) -> Source:
    """The plan's source, with the offsets that its pixels speak for."""
    return plan.source.with_offsets(task.offsets) if isinstance(plan.source, StacSource) else plan.source
