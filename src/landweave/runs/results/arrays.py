"""A finished run as arrays to draw: its maps, and its imagery in true colour, on one grid."""

import datetime
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.align import clipped, pixels_of, to_crs
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA, make_patch
from landweave.patch.painting import Piece, paint
from landweave.runs.results.layers import make_layers
from landweave.runs.results.run import FinishedRun, stretch

_METRES_PER_DEGREE = 111_320.0


def read_layers(
    run: FinishedRun, *, around: tuple[float, float] | None = None, metres: float = 1500.0, side: int = 1000
) -> xr.Dataset:
    """The maps of a run on one grid, whole or around a place.

    Parameters
    ----------
    run
        From :func:`landweave.open_run`; its map must be made.
    around
        Longitude and latitude, degrees; None for the whole map, cut to where it holds a class.
    metres
        Side of the square around the place, which ends where the map ends.
    side
        Pixels along the longer side, at most: a larger map is shrunk by the commonest value.

    Returns
    -------
    xarray.Dataset
        (y, x), with the coordinates of the map's CRS. uint8, 0 nothing: ``prediction``; ``confidence``, per cent; and
        as far as there is a reference ``reference``, ``held_out``, what models said that never saw the patch, and
        ``disagreement`` of these two (1 agrees, 2 differs, 3 differs at an edge of the reference). ``observations``:
        float32, dates on which a pixel was seen clearly, NaN outside.

    Raises
    ------
    InputError
        Where there is no map yet, or the place lies outside it.
    """
    files = make_layers(run).files
    with rasterio.open(files["prediction"]) as file:
        whole = GeoBox(file.shape, file.transform, str(file.crs))
    grid = whole if around is None else whole[_square(whole, around, metres)]
    shrink = max(1.0, max(grid.shape) / side)
    shown = grid.zoom_to(tuple(max(1, round(n / shrink)) for n in grid.shape)) if shrink > 1 else grid
    maps = {name: _read(path, grid, shown.shape) for name, path in files.items()}
    if around is None and maps["prediction"].any():
        held = (np.flatnonzero((maps["prediction"] > 0).any(axis=axis)) for axis in (1, 0))
        part = tuple(slice(int(at[0]), int(at[-1]) + 1) for at in held)
        maps, shown = {name: values[part] for name, values in maps.items()}, shown[part]
    if "observations" in maps:
        counts = maps["observations"].astype("float32")
        maps["observations"] = np.where(counts > 0, counts - 1, np.float32(np.nan))
    if run.plan.reference is not None:
        held_out = _painted(run, shown, lambda cell: _held_out(run, cell), none=0)
        maps |= {} if held_out is None else {"held_out": held_out[0]}
    return make_patch(maps, shown)


def true_colour(run: FinishedRun, grid: GeoBox, day: datetime.date) -> np.ndarray:
    """The imagery of a date on any grid, across patches and zones, with one stretch for all of it.

    Parameters
    ----------
    run
        From :func:`landweave.open_run`.
    grid
        Such as ``read_layers(run).odc.geobox``; each of its pixels shows the nearest of the imagery.
    day
        One of ``run.plan.dates``.

    Returns
    -------
    numpy.ndarray
        uint8 (y, x, 3) as :meth:`.FinishedRun.clearest_image` draws it; white where nothing was seen.

    Raises
    ------
    InputError
        Where the date is none of the run's, or no imagery of the place is there.
    """
    if day not in run.plan.dates:
        raise InputError(f"{day}: not a date of this run, which has {run.plan.dates[0]} to {run.plan.dates[-1]}.")
    bands = _painted(run, grid, lambda cell: run.colours(cell.name, day), none=NODATA)
    if bands is None:
        raise InputError(f"{run.folder}: there is no imagery of {day} for this place; keep it with source.keep = true.")
    return stretch(bands)


def _painted(
    run: FinishedRun, grid: GeoBox, read: Callable[[Cell], np.ndarray | None], *, none: int
) -> np.ndarray | None:
    """What is read of each patch, (b, y, x), on another grid; None where nothing is there."""
    return paint([Piece(geobox=cell.geobox, read=partial(read, cell)) for cell in run.cells], grid, missing=none)


def _held_out(run: FinishedRun, cell: Cell) -> np.ndarray | None:
    found = run.compared(cell)
    return found.predicted[None] if found is not None and found.held_out else None


def _square(grid: GeoBox, place: tuple[float, float], metres: float) -> tuple[slice, slice]:
    """Rows and columns of a square around a place, within the grid."""
    x, y = to_crs(*(np.array([degrees]) for degrees in place), source="EPSG:4326", target=grid.crs)
    if not pixels_of(grid, x, y)[2][0]:
        raise InputError(f"{place[0]:.5f}, {place[1]:.5f}: outside the map.")
    unit = _METRES_PER_DEGREE if grid.crs is not None and grid.crs.geographic else 1.0
    narrow = np.cos(np.radians(place[1])) if unit > 1 else 1.0
    column, row = ~grid.affine * (float(x[0]), float(y[0]))
    height = max(1, round(metres / unit / abs(grid.resolution.y)))
    width = max(1, round(metres / unit / narrow / abs(grid.resolution.x)))
    top, left = round(row - height / 2), round(column - width / 2)
    return clipped(top, top + height, grid.shape[0]), clipped(left, left + width, grid.shape[1])


def _read(path: Path, grid: GeoBox, shape: tuple[int, int]) -> np.ndarray:
    """First band on a part of the map, uint8, shrunk to a shape; a layer may cover less land than the map."""
    with rasterio.open(path) as file:
        window = rasterio.windows.from_bounds(*grid.boundingbox, transform=file.transform)
        values: np.ndarray = file.read(
            1, window=window, out_shape=shape, boundless=True, fill_value=0, resampling=rasterio.enums.Resampling.mode
        )
    return values
