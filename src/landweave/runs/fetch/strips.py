"""A patch read strip by strip: its bands, and why observations do not count."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.features.clouds import CLOUD, NO_DATA, mask_reasons
from landweave.patch.grid import Cell, strip_geobox
from landweave.patch.model import TIME, X, Y
from landweave.patch.stack import Strip, strip_reader
from landweave.patch.staging import ROWS
from landweave.patch.strips import map_strips
from landweave.runs.fetch.imagery import FetchTask, stack_of
from landweave.runs.project.masked_source import CLOUD_MASK, CLOUD_PROBABILITY, UNKNOWN_PROBABILITY
from landweave.runs.project.plan import Plan
from landweave.sources.pixels import read_static

STRIP_PIXELS = 65_536
"""Pixels held at a time; a strip is as many rows as hold them, in whole shards of a stored patch."""

DROPPED = 4
"""Reason of masking beside those of ``mask_reasons``: too few valid pixels of that date in the patch."""


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
        stored = strip_reader(stack_of(plan, task), bands=bands, masks=others, dates=dates)

    def read(rows: slice) -> Strip:
        if stored is not None:
            return stored(rows)
        return strip_of(plan, plan.source.load(strip_geobox(cell.geobox, rows), days, plan.variables))

    shards = max(1, STRIP_PIXELS // (ROWS * int(cell.geobox.shape[1])))
    map_strips(read, lambda strip: judged(plan, strip, sky=sky), write=write, height=cell.rows, strip=shards * ROWS)


def strip_of(plan: Plan, layers: Mapping[Any, Any]) -> Strip:
    """The plan's variables (time, y, x) of some rows, by name, as a strip."""
    bands = plan.recipe.source_bands
    others = [name for name in plan.variables if name not in bands]
    values = {name: np.asarray(layers[name]) for name in plan.variables}
    return Strip(bands=np.stack([values[name] for name in bands]), masks={name: values[name] for name in others})


def judged(plan: Plan, strip: Strip, *, sky: bool) -> tuple[np.ndarray, ...]:
    """The strip's bands and reasons of masking; with ``sky`` also how cloudy it was: as :func:`scan` writes them."""
    layers = {**dict(zip(plan.recipe.source_bands, strip.bands, strict=True)), **strip.masks}
    patch = xr.Dataset({name: ((TIME, Y, X), values) for name, values in layers.items()})
    reasons = reasons_of(plan, patch)
    return (strip.bands, reasons, cloudiness(plan, patch, reasons)) if sky else (strip.bands, reasons)


def reasons_of(plan: Plan, patch: xr.Dataset) -> np.ndarray:
    """Why each observation is left out: :func:`landweave.features.clouds.mask_reasons` by the project's settings."""
    settings = plan.project.source
    return mask_reasons(
        patch, bands=plan.recipe.source_bands, clouds=settings.cloud_rule, mask=settings.mask,
        scl_masked=settings.scl_masked, snow=settings.snow, mask_above=settings.mask_above,
        snow_ndsi=settings.snow_ndsi, snow_nir=settings.snow_nir, cirrus=settings.cirrus,
        cloudy=patch[CLOUD_MASK].values if CLOUD_MASK in plan.made_variables else None,
    )  # fmt: skip


def cloudiness(plan: Plan, patch: xr.Dataset, reasons: np.ndarray) -> np.ndarray:
    """How cloudy each observation is, per cent: the probability where there is one, else 100 where the mask says cloud.

    Returns
    -------
    numpy.ndarray
        float32 (time, y, x), NaN without data.
    """
    settings = plan.project.source
    if CLOUD_PROBABILITY in patch:
        given = patch[CLOUD_PROBABILITY].values
        share = np.where(given == UNKNOWN_PROBABILITY, np.nan, given.astype("float32"))
    elif settings.cloud_rule == "mask" and settings.mask_above > 0:
        share = patch[str(settings.mask)].values.astype("float32")
    else:
        share = np.where(reasons == CLOUD, np.float32(100), np.float32(0))
    return np.where(reasons == NO_DATA, np.float32(np.nan), share)


def static_rows(plan: Plan, cell: Cell, rows: slice) -> np.ndarray:
    """:func:`static_layers` on some rows of a cell."""
    return static_layers(plan, strip_geobox(cell.geobox, rows))


def static_layers(plan: Plan, geobox: GeoBox) -> np.ndarray:
    """The recipe's layers without time on a grid, float32 (layers, y, x), NaN missing."""
    layers = [read_static(plan.project.path(path), geobox) for path in plan.project.features.static]
    return np.stack(layers) if layers else np.zeros((0, *geobox.shape), "float32")
