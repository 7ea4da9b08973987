"""What the satellite saw of each patch, kept beside the predictions, and all patches together for the report."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from landweave.features.coverage import ndvi_summary
from landweave.patch.grid import Cell
from landweave.patch.painting import Piece, paint, whole_grid
from landweave.patch.store import read_raster, write_raster, write_whole
from landweave.runs import layout
from landweave.runs.project.plan import Plan

UNKNOWN_SKY = 65_535
"""Mean cloudiness of a pixel without data."""

_MAP_SIDE = 480


def write_observations(plan: Plan, cell: Cell, seen: np.ndarray, tally: Mapping[str, np.ndarray]) -> list[str]:
    """Keep what was seen of a patch.

    Parameters
    ----------
    plan, cell
        Whose.
    seen
        uint16 (2, y, x): dates on which the pixel is valid; mean cloudiness over the dates with data, in hundredths
        of a per cent, 65535 unknown.
    tally
        Of :func:`landweave.features.coverage.ndvi_tally`; may be empty.

    Returns
    -------
    list of str
        Files, relative to the output folder.
    """
    files = [layout.observations(cell.name)]
    names = ("valid observations", "mean cloudiness, 0.01 %")
    write_raster(plan.folder / files[0], seen, cell.geobox, names=names, nodata=UNKNOWN_SKY)
    if tally:
        files.append(layout.ndvi(cell.name))

        def write(part: Path) -> None:
            with part.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **tally)

        write_whole(plan.folder / files[1], write)
    return files


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
