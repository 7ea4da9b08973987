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
from landweave.patch.grid import Cell
from landweave.patch.painting import Piece, paint, whole_grid
from landweave.patch.store import write_whole
from landweave.runs import layout
from landweave.runs.results.layers import place_of_views
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
    path = place_of_views(run.folder) / layout.view_image(day)
    looks = {cell.name: run.folder / layout.quicklook(cell.name, day) for cell in run.cells}
    looks = {name: look for name, look in looks.items() if look.exists()}
    if not looks:
        return None
    grid = whole_grid((cell.geobox for cell in run.cells), longest=LONGEST, times=FINEST)
    made_of = fingerprint([[name, look.stat().st_mtime_ns] for name, look in looks.items()])
    with _ONE_AT_A_TIME:
        if _made_of(path) != made_of:
            _write([(cell, looks[cell.name]) for cell in run.cells if cell.name in looks], grid, path, made_of)
    return Overview(path=path, metres=float(abs(grid.resolution.x)))


def _made_of(path: Path) -> str | None:
    """The fingerprint of the quicklooks that a picture was made of; None without one."""
    if not path.exists():
        return None
    with rasterio.open(path) as file:
        found: str | None = file.tags().get(MADE_OF)
    return found


def _write(looks: Sequence[tuple[Cell, Path]], grid: GeoBox, path: Path, made_of: str) -> None:
    painted = paint((_shrunk(cell, look, abs(grid.resolution.x)) for cell, look in looks), grid, missing=0)
    canvas = np.zeros((4, *grid.shape), "uint8") if painted is None else painted
    profile: dict[str, Any] = {
        "driver": "GTiff", "count": 3, "height": grid.shape[0], "width": grid.shape[1], "dtype": "uint8",
        "crs": str(grid.crs), "transform": grid.transform, "compress": "deflate", "zlevel": 1, "tiled": True,
        "blockxsize": 256, "blockysize": 256, "interleave": "pixel", "photometric": "rgb",
    }  # fmt: skip

    def write(part: Path) -> None:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(part, "w", **profile) as file:
            file.update_tags(**{MADE_OF: made_of})
            file.write(canvas[:3])
            file.write_mask(canvas[3] > 0)
            file.build_overviews([2, 4, 8], Resampling.average)

    write_whole(path, write)


def _shrunk(cell: Cell, look: Path, metres: float) -> Piece:
    """A quicklook at about the overview's resolution, from its own overviews: uint8 (4, y, x), the last band known."""
    with rasterio.open(look) as file:
        factor = max(1.0, metres / abs(file.transform.a))
        shape = tuple(max(1, round(side / factor)) for side in file.shape)
        picture = file.read(out_shape=(3, *shape), resampling=Resampling.average)
        known = file.dataset_mask(out_shape=shape) > 0
        whole = GeoBox(file.shape, file.transform, cell.geobox.crs)
    values = np.where(known, np.concatenate([picture, np.ones((1, *shape), "uint8")]), 0).astype("uint8")
    return Piece(geobox=whole.zoom_to(shape), read=lambda: values)
