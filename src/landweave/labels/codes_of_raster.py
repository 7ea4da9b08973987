"""A raster of codes: which band, which codes, and the codes on a pixel grid, however large the raster is."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels
from landweave.patch.vectors.layers import is_vector

if TYPE_CHECKING:
    import rasterio

Codes = np.ma.MaskedArray[Any, Any]

_WHOLE, _ANY = 2**30, 2**37
"""Pixels of a raster up to which all of it is read to list its codes; and up to which also where no grid says which
part of it counts."""

_WINDOW = 2**24
"""Pixels that are read at once."""

_HALF = 180.0

_SIDE, _GRIDS = 512, 1000
"""Of a large raster: pixels along a grid that are looked at, and how many grids."""


def is_raster(path: Path) -> bool:
    """Whether a file is a raster that can be opened, and no vector file."""
    from landweave.patch.raster.files import open_raster

    try:
        with open_raster(path) as file:
            return bool(file.count)
    except InputError as error:
        if is_vector(path):
            return False
        cause = str(error).removeprefix(f"{path}: ").removeprefix("not readable as a raster: ")
        raise InputError(f"{path}: neither a vector file nor a raster that can be read: {cause}") from None


def chosen_band(
    file: "rasterio.DatasetReader", path: Path, band: int | None, *, what: str = "the reference", mend: str = ""
) -> int:
    """The band of codes; InputError where several could be meant, or it does not hold codes.

    A band of transparency (alpha) says where there is data, and is not counted.

    Parameters
    ----------
    file, path
        An open raster, and its place.
    band
        The band from 1, or None.
    what, mend
        For messages: what the raster is for, and what to do about several bands, where no setting chooses one.
    """
    from rasterio.enums import ColorInterp

    bands = [i for i, what in zip(file.indexes, file.colorinterp, strict=True) if what != ColorInterp.alpha]
    names = [
        f"{i} {text}" if (text := file.descriptions[i - 1]) else f"{i} {file.colorinterp[i - 1].name}" for i in bands
    ]
    if band is None and len(bands) > 1:
        picture = {ColorInterp.red, ColorInterp.green, ColorInterp.blue} <= set(file.colorinterp)
        there = "a picture in red, green and blue" if picture else f"{len(bands)} bands"
        mend = mend or f"set band, such as band = {bands[0]}, or give a raster of codes"
        raise InputError(f"{path}: {what} has {there} ({', '.join(names)}); {mend}.")
    if band is not None and band not in bands:
        raise InputError(f"{path}: no band {band} of codes; it has {', '.join(names)}.")
    chosen = band or bands[0]
    if np.dtype(file.dtypes[chosen - 1]).kind == "c":
        raise InputError(f"{path}: band {chosen} holds complex numbers; codes are whole numbers.")
    return chosen


def raster_codes(path: Path, band: int, near: Sequence[GeoBox] | None) -> list[Any]:
    """Distinct values of a raster's band, without nodata; arguments as of ``reference_codes``."""
    from landweave.patch.raster.files import open_raster

    found: set[Any] = set()
    with open_raster(path) as file:
        pixels = file.height * file.width
        if pixels > _WHOLE and near is not None:
            grids = [near[i] for i in np.unique(np.linspace(0, len(near) - 1, _GRIDS).round().astype(int))]
            parts: Iterator[Codes] = (codes_on_grid(file, path, band, _thinned(grid))[0] for grid in grids)
        elif pixels > _ANY:
            raise InputError(
                f"{path}: the reference has {pixels:.2g} pixels, too many to list their codes; give it a legend."
            )
        else:
            parts = (_read(file, path, band, window) for window in _windows(file, band))
        for part in parts:
            found.update(np.unique(part.compressed()).tolist())
    return sorted(code for code in found if code == code)  # noqa: PLR0124 - NaN is no code


def codes_are_sampled(path: Path) -> bool:
    """Whether :func:`raster_codes` reads a part of this raster only, so that it may miss a rare code."""
    import rasterio

    with rasterio.open(path) as file:
        return bool(file.height * file.width > _WHOLE)


def codes_on_grid(file: "rasterio.DatasetReader", path: Path, band: int, geobox: GeoBox) -> tuple[Codes, np.ndarray]:
    """Codes of a raster at the nearest pixel of each pixel of a grid.

    Returns
    -------
    codes
        (n,), masked where there is no data: one for each pixel that is ``inside``, in the grid's order.
    inside
        bool (y, x): the raster covers the pixel.
    """
    source = GeoBox(file.shape, file.transform, file.crs)
    rows, columns, inside = nearest_pixels(source, geobox)
    if source.crs.geographic and source.boundingbox.right > _HALF:
        # Longitudes counted from 0 to 360.
        west = GeoBox(source.shape, Affine.translation(-2 * _HALF, 0) * source.affine, source.crs)
        more = nearest_pixels(west, geobox)
        rows, columns = np.where(inside, rows, more[0]), np.where(inside, columns, more[1])
        inside |= more[2]
    codes = _nothing(geobox.shape, file.dtypes[band - 1])
    for part in _parts(rows, columns, inside, slice(0, geobox.shape[0]), slice(0, geobox.shape[1])):
        here = inside[part]
        row, column = rows[part][here], columns[part][here]
        top, left = int(row.min()), int(column.min())
        window = (top, left, int(row.max()) - top + 1, int(column.max()) - left + 1)
        found = _nothing(here.shape, codes.dtype)
        found[here] = _read(file, path, band, window)[row - top, column - left]
        codes[part] = found
    flat: Codes = codes[inside]
    return flat, inside


def _nothing(shape: tuple[int, ...], dtype: Any) -> Codes:
    return np.ma.MaskedArray(np.zeros(shape, dtype), mask=True)


def _parts(
    rows: np.ndarray, columns: np.ndarray, inside: np.ndarray, down: slice, across: slice
) -> Iterator[tuple[slice, slice]]:
    # Pieces of a grid under which no more of the raster is than may be read at once.
    here = inside[down, across]
    if not here.any():
        return
    row, column = rows[down, across][here], columns[down, across][here]
    height, width = down.stop - down.start, across.stop - across.start
    size = (int(row.max()) - int(row.min()) + 1) * (int(column.max()) - int(column.min()) + 1)
    if size <= _WINDOW or height == width == 1:
        yield down, across
        return
    if height >= width:
        middle = down.start + height // 2
        halves = [(slice(down.start, middle), across), (slice(middle, down.stop), across)]
    else:
        middle = across.start + width // 2
        halves = [(down, slice(across.start, middle)), (down, slice(middle, across.stop))]
    for half in halves:
        yield from _parts(rows, columns, inside, *half)


def _read(file: "rasterio.DatasetReader", path: Path, band: int, window: tuple[int, int, int, int]) -> Codes:
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    from landweave.patch.raster.files import refusal

    top, left, height, width = window
    try:
        values: Codes = file.read(band, window=Window(left, top, width, height), masked=True)
    except RasterioError as error:
        raise refusal(path, error) from None
    return np.ma.masked_invalid(values) if values.dtype.kind == "f" else values


def _windows(file: "rasterio.DatasetReader", band: int) -> Iterator[tuple[int, int, int, int]]:
    """Blocks that hold something: those that a sparse TIFF never wrote are all nodata, or all 0."""
    tiff = file.driver == "GTiff" and file.nodata is not None
    for (row, column), window in file.block_windows(band):
        if not tiff or file.get_tag_item(f"BLOCK_OFFSET_{column}_{row}", "TIFF", bidx=band):
            yield window.row_off, window.col_off, window.height, window.width


def _thinned(geobox: GeoBox) -> GeoBox:
    height, width = geobox.shape
    return geobox if max(height, width) <= _SIDE else geobox.zoom_to((min(height, _SIDE), min(width, _SIDE)))
