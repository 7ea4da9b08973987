"""One small picture of the whole area on a date, for a view that holds more patches than can be opened for a tile."""

import datetime
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling

from landweave.engine.fingerprint import fingerprint
from landweave.patch.align import nearest_pixels, outline_bounds
from landweave.patch.grid import Cell
from landweave.patch.store import write_whole
from landweave.runs import layout
from landweave.runs.results.run import FinishedRun

LONGEST = 2048
"""Pixels of its longer side, at most."""

FINEST = 4
"""Its pixel is at least so many of the map's wide."""

MADE_OF = "MADE_OF"
"""Tag of the picture: which quicklooks, of which time, it was made of."""

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Overview:
    """A picture, and how wide its pixels are."""

    path: Path
    metres: float


def overview(run: FinishedRun, day: datetime.date) -> Overview | None:
    """The picture of a date, made when it is first asked for, and when a quicklook has come, changed or gone since.

    None where no patch has a quicklook of it.
    """
    path = run.folder / layout.view_image(day)
    looks = {cell.name: run.folder / layout.quicklook(cell.name, day) for cell in run.cells}
    looks = {name: look for name, look in looks.items() if look.exists()}
    if not looks:
        return None
    grid = _grid(run.cells)
    made_of = fingerprint([[name, look.stat().st_mtime_ns] for name, look in looks.items()])
    with _ONE_AT_A_TIME:
        if _made_of(path) != made_of:
            _write([cell for cell in run.cells if cell.name in looks], looks, grid, path, made_of)
    return Overview(path=path, metres=float(abs(grid.resolution.x)))


def _grid(cells: Sequence[Cell]) -> GeoBox:
    texts = [str(cell.geobox.crs) for cell in cells]
    crs = max(sorted(set(texts)), key=texts.count)
    boxes = np.array([outline_bounds(cell.geobox, crs) for cell in cells])
    (left, bottom), (right, top) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    finest = FINEST * min(abs(cell.geobox.resolution.x) for cell in cells if str(cell.geobox.crs) == crs)
    side = max((right - left) / LONGEST, (top - bottom) / LONGEST, finest)
    return GeoBox.from_bbox((left, bottom, right, top), crs, resolution=side, tight=True)


def _made_of(path: Path) -> str | None:
    """The fingerprint of the quicklooks that a picture was made of; None without one."""
    if not path.exists():
        return None
    with rasterio.open(path) as file:
        found: str | None = file.tags().get(MADE_OF)
    return found


def _write(cells: Sequence[Cell], looks: dict[str, Path], grid: GeoBox, path: Path, made_of: str) -> None:
    canvas, known = np.zeros((3, *grid.shape), "uint8"), np.zeros(grid.shape, bool)
    for cell in cells:
        coarse, picture, seen = _shrunk(looks[cell.name], cell, abs(grid.resolution.x))
        part, rows, columns = _under(cell, grid)
        at_rows, at_columns, inside = nearest_pixels(coarse, part)
        at = np.where(inside, at_rows, 0), np.where(inside, at_columns, 0)
        new = inside & seen[at] & ~known[rows, columns]
        canvas[:, rows, columns][:, new] = picture[:, at[0], at[1]][:, new]
        known[rows, columns] |= new
    profile: dict[str, Any] = {
        "driver": "GTiff", "count": 3, "height": grid.shape[0], "width": grid.shape[1], "dtype": "uint8",
        "crs": str(grid.crs), "transform": grid.transform, "compress": "deflate", "zlevel": 1, "tiled": True,
        "blockxsize": 256, "blockysize": 256, "interleave": "pixel", "photometric": "rgb",
    }  # fmt: skip

    def write(part: Path) -> None:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(part, "w", **profile) as file:
            file.update_tags(**{MADE_OF: made_of})
            file.write(canvas)
            file.write_mask(known)
            file.build_overviews([2, 4, 8], Resampling.average)

    write_whole(path, write)


def _shrunk(look: Path, cell: Cell, metres: float) -> tuple[GeoBox, np.ndarray, np.ndarray]:
    """A quicklook at about the overview's resolution, from its own overviews: grid, uint8 (3, y, x), known (y, x)."""
    with rasterio.open(look) as file:
        factor = max(1.0, metres / abs(file.transform.a))
        shape = tuple(max(1, round(side / factor)) for side in file.shape)
        picture = file.read(out_shape=(3, *shape), resampling=Resampling.average)
        known = file.dataset_mask(out_shape=shape) > 0
        whole = GeoBox(file.shape, file.transform, str(cell.geobox.crs))
    return whole.zoom_to(shape), picture, known


def _under(cell: Cell, grid: GeoBox) -> tuple[GeoBox, slice, slice]:
    """The part of a grid under a patch."""
    left, bottom, right, top = outline_bounds(cell.geobox, grid.crs)
    (first_x, first_y), (last_x, last_y) = (~grid.affine * corner for corner in ((left, top), (right, bottom)))
    rows = slice(max(int(first_y), 0), min(int(last_y) + 2, grid.shape[0]))
    columns = slice(max(int(first_x), 0), min(int(last_x) + 2, grid.shape[1]))
    return grid[rows, columns], rows, columns
