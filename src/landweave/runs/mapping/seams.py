"""Borders of patches, looked at on both sides -> seams.json."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from landweave.accuracy.spatial.seams import REACH, border_counts, seam_figures
from landweave.patch.grid import Cell
from landweave.patch.store import read_raster, write_json
from landweave.runs import layout
from landweave.runs.project.plan import Plan


def write_seams(plan: Plan, cells: Sequence[Cell]) -> dict[str, Any]:
    """Write ``seams.json``: the predictions of these patches, compared across and beside their common borders.

    Borders of UTM zones are not among them: there two grids meet, and no pixel has a neighbour on the other.
    """
    counts, owners = [], []
    # What waits for its other side: of a grid of patches one row or column, and its rim.
    waiting: dict[tuple[Any, ...], tuple[str, np.ndarray]] = {}
    for cell in cells:
        classes = read_raster(plan.folder / layout.prediction(cell.name))[0]
        for place, strip, is_before in _sides(cell, classes):
            met = waiting.pop(place, None)
            if met is None:
                waiting[place] = cell.name, strip
                continue
            owner, other = met
            counts.append(border_counts(strip, other) if is_before else border_counts(other, strip))
            owners.append(owner)
    figures = seam_figures(counts, owners, seed=plan.project.sampling.seed)
    write_json(plan.folder / layout.SEAMS, figures, allow_nan=True)
    return {"files": [layout.SEAMS], "info": {"borders": figures["borders"]}}


def _sides(cell: Cell, classes: np.ndarray) -> Iterator[tuple[tuple[Any, ...], np.ndarray, bool]]:
    """Of each side: where it lies, its strip (along, across) and whether the strip lies before the border."""
    height, width = classes.shape
    corners = [cell.geobox.transform * corner for corner in ((0, 0), (width, 0), (0, height), (width, height))]
    # To a hundredth of a pixel: corners of neighbours are computed on different ways.
    step = 0.01 * abs(cell.geobox.transform.a)
    left_top, right_top, left_bottom, right_bottom = (tuple(round(v / step) for v in corner) for corner in corners)
    crs = str(cell.geobox.crs)
    down, up = classes.T[:, -REACH:], classes.T[:, :REACH]
    yield (crs, left_top, left_bottom), classes[:, :REACH].copy(), False
    yield (crs, right_top, right_bottom), classes[:, -REACH:].copy(), True
    yield (crs, left_top, right_top), up.copy(), False
    yield (crs, left_bottom, right_bottom), down.copy(), True
