"""Samples that follow the grid of a map: every so many pixels (systematic), or pixels of some blocks (two stages)."""

from dataclasses import dataclass

import numpy as np
import rasterio
from rasterio.windows import Window

from landweave.errors import InputError
from landweave.legend import NONE
from landweave.maps.areas import MapGrid, read_strips
from landweave.maps.stratified_sample import Drawn, shuffled

_START, _CLUSTERS, _WITHIN = 257, 258, 259
"""Names of the seeds; values of classes are below."""


@dataclass(frozen=True, kw_only=True)
class GridDrawn:
    """Pixels that follow the grid; arrays are (n,)."""

    pixels: Drawn
    """Where they are; ``stratum`` holds the map's class."""

    about: dict[str, int]
    """Numbers of the draw: ``step`` and the first ``row`` and ``column``, or ``block``, ``clusters`` and ``drawn``."""

    units: dict[str, np.ndarray]
    """Of each pixel: ``grid_row`` and ``grid_column``, or ``cluster`` and ``cluster_pixels``; int64."""


def draw_systematic(grid: MapGrid, *, step: int, seed: int, strip: int | None = None) -> GridDrawn:
    """Every ``step``-th pixel of every ``step``-th row that has a class, from a random start.

    Parameters
    ----------
    grid
        The map; memory does not grow with it.
    step
        Pixels from one unit to the next, along rows and along columns.
    seed
        Of the start.
    strip
        Rows at a time; by default as suits the file.

    Raises
    ------
    InputError
        When fewer than two pixels with a class are met.
    """
    first_row, first_column = (int(v) for v in np.random.default_rng([seed, _START]).integers(0, step, 2))
    found = []
    for rows, values in read_strips(grid, strip=strip):
        begin = (first_row - rows.start) % step
        part = values[begin::step, first_column::step]
        at_row, at_column = np.nonzero(part)
        row = rows.start + begin + at_row * step
        found.append(np.stack([part[at_row, at_column], row, first_column + at_column * step]).astype("int64"))
    value, row, column = np.concatenate([np.zeros((3, 0), "int64"), *found], axis=1)
    if len(row) < 2:
        raise InputError(f"{grid.path}: every {step}th pixel meets {len(row)} pixels with a class; ask for more units.")
    order = np.random.default_rng([seed, _START, 1]).permutation(len(row))
    value, row, column = value[order], row[order], column[order]
    return GridDrawn(
        pixels=Drawn(stratum=value.astype("uint8"), row=row, column=column),
        about={"step": step, "row": first_row, "column": first_column},
        units={"grid_row": row // step, "grid_column": column // step},
    )


def draw_two_stage(
    grid: MapGrid, *, clusters: int, per_cluster: int, block: int, seed: int, strip: int | None = None
) -> GridDrawn:
    """Blocks of the map at random, and pixels at random within each.

    Parameters
    ----------
    grid
        The map; memory does not grow with it.
    clusters
        Blocks to draw, of all that hold a pixel with a class.
    per_cluster
        Pixels with a class to draw in each block; all where it has fewer.
    block
        Side of a block in pixels; blocks at the border may be smaller.
    seed
        Of the draw; more clusters contain the ones of a smaller draw.
    strip
        Rows at a time; by default as suits the file.

    Raises
    ------
    InputError
        When the map has fewer blocks.
    """
    across = -(-grid.shape[1] // block)
    held = np.zeros(-(-grid.shape[0] // block) * across, "int64")
    columns = np.arange(grid.shape[1]) // block
    for rows, values in read_strips(grid, strip=strip):
        number = np.arange(rows.start, rows.stop)[:, None] // block * across + columns
        held += np.bincount(number[values > NONE], minlength=len(held))
    frame = np.flatnonzero(held)
    if clusters > len(frame):
        raise InputError(
            f"{grid.path}: {clusters} clusters are requested, but the map has {len(frame)} blocks of {block} pixels; "
            "ask for fewer, or for smaller blocks."
        )
    found = []
    with rasterio.open(grid.path) as file:
        for cluster in frame[shuffled(len(frame), clusters, seed=(seed, _CLUSTERS))].tolist():
            top, left = cluster // across * block, cluster % across * block
            size = min(block, grid.shape[0] - top), min(block, grid.shape[1] - left)
            values = file.read(1, window=Window(left, top, size[1], size[0])).astype("int64")
            if grid.nodata is not None:
                values[values == grid.nodata] = NONE
            at = np.flatnonzero(values != NONE)
            n = min(per_cluster, len(at))
            taken = at[shuffled(len(at), n, seed=(seed, _WITHIN, cluster))]
            row, column = top + taken // size[1], left + taken % size[1]
            same = np.full((2, n), [[cluster], [len(at)]])
            found.append(np.concatenate([np.stack([values.ravel()[taken], row, column]), same]))
    table = np.concatenate(found, axis=1)
    value, row, column, cluster_of, size_of = table[
        :, np.random.default_rng([seed, _WITHIN]).permutation(table.shape[1])
    ]
    return GridDrawn(
        pixels=Drawn(stratum=value.astype("uint8"), row=row, column=column),
        about={"block": block, "clusters": len(frame), "drawn": clusters},
        units={"cluster": cluster_of, "cluster_pixels": size_of},
    )
