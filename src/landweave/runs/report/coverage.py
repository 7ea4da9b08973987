"""What the satellite saw of all patches together, for the report."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from landweave.features.coverage import ndvi_summary
from landweave.patch.grid import Cell
from landweave.patch.painting import Piece, paint, whole_grid
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

    def read(cell: Cell) -> np.ndarray | None:
        path = plan.folder / layout.observations(cell.name)
        if not path.exists():
            return None
        values = read_raster(path).astype("float32")
        values[1][values[1] == UNKNOWN_SKY] = np.nan
        return values

    grid = whole_grid((cell.geobox for cell in cells), longest=_MAP_SIDE)
    # The last zone comes first: where two overlap, these pictures have always shown the later one.
    pieces = [Piece(geobox=cell.geobox, read=partial(read, cell)) for cell in reversed(cells)]
    layers = paint(pieces, grid, missing=math.nan)
    counts, sky = np.full((2, *grid.shape), np.nan, "float32") if layers is None else layers
    return counts, sky
