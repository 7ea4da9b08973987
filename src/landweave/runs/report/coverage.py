"""What the satellite saw of all patches together, for the report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.features.coverage import ndvi_summary
from landweave.patch.align import nearest_pixels, outline_bounds
from landweave.patch.grid import Cell
from landweave.patch.store import read_raster
from landweave.runs import layout
from landweave.runs.fetch.task import UNKNOWN_SKY
from landweave.runs.project.plan import Plan

_MAP_SIDE = 480


def observed(plan: Plan, cells: Sequence[Cell], histograms: Sequence[Sequence[int]]) -> dict[str, Any]:
    """What the report says about the year's observations.

    It is the input of :func:`landweave.report.sections.coverage.observed_section`.

    Parameters
    ----------
    plan, cells
        The run, and the patches that were fetched.
    histograms
        Of each patch: pixels that were seen 0, 1, ... times.
    """
    facts: dict[str, Any] = {"histogram": np.sum(np.array(histograms, "int64"), axis=0).tolist() if histograms else []}
    total: dict[str, np.ndarray] = {}
    for cell in cells:
        path = plan.folder / layout.ndvi(cell.name)
        if path.exists():
            with np.load(path, allow_pickle=False) as tally:
                for key in tally.files:
                    total[key] = total.get(key, 0) + tally[key]
    if total:
        year = ndvi_summary(total)
        facts["ndvi"] = {"dates": [str(day) for day in plan.dates], "all": year["all_mean"].tolist()}
        facts["ndvi"] |= {"valid": year["valid_mean"].tolist()}
        facts["ndvi"] |= {key: year[f"valid_{key}"].tolist() for key in ("low", "high")}
    counts, sky = _whole_area(plan, cells)
    facts["counts_map"] = counts
    if plan.project.source.cloud_rule != "none":
        facts["cloud_map"] = sky / 10_000
    return facts


def _whole_area(plan: Plan, cells: Sequence[Cell]) -> tuple[np.ndarray, np.ndarray]:
    """Valid observations and mean cloudiness in hundredths of a per cent over all patches, coarsely; float32, NaN."""
    crs = max(sorted({str(cell.geobox.crs) for cell in cells}), key=[str(c.geobox.crs) for c in cells].count)
    boxes = np.array([outline_bounds(cell.geobox, crs) for cell in cells])
    (left, bottom), (right, top) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    finest = min(abs(cell.geobox.resolution.x) for cell in cells if str(cell.geobox.crs) == crs)
    side = max((right - left) / _MAP_SIDE, (top - bottom) / _MAP_SIDE, finest)
    grid = GeoBox.from_bbox((left, bottom, right, top), crs, resolution=side, tight=True)
    layers = np.full((2, *grid.shape), np.nan, "float32")
    for cell, box in zip(cells, boxes, strict=True):
        path = plan.folder / layout.observations(cell.name)
        if not path.exists():
            continue
        rows = _within((top - box[3]) / side, (top - box[1]) / side, grid.shape[0])
        columns = _within((box[0] - left) / side, (box[2] - left) / side, grid.shape[1])
        part = grid[rows, columns]
        at_rows, at_columns, inside = nearest_pixels(cell.geobox, part)
        values = read_raster(path)[:, np.where(inside, at_rows, 0), np.where(inside, at_columns, 0)].astype("float32")
        values[1][values[1] == UNKNOWN_SKY] = np.nan
        layers[:, rows, columns][:, inside] = values[:, inside]
    return layers[0], layers[1]


def _within(first: float, last: float, length: int) -> slice:
    """Whole pixels from ``first`` to ``last``, a pixel more on either side, of 0..length."""
    return slice(min(max(int(first) - 1, 0), length), min(int(last) + 2, length))
