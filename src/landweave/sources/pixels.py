"""Pixels of one band of one file, on its own grid or on another."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import MaskFlags
from rasterio.windows import Window

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels, pixel_offset, remembered
from landweave.patch.model import NODATA, REFLECTANCE_SCALE
from landweave.patch.raster.header import Header, header_of
from landweave.patch.raster.mask_bits import MaskBits
from landweave.sources.files.far import Pixels, SmallCopy
from landweave.sources.files.opened import header_at, read_from
from landweave.sources.remote import readable
from landweave.sources.warping.warp import touching, warped

COARSE = 1024
"""Pixels along a side that are enough to judge a scene by."""

_COUNTABLE = ("uint8", "int8", "uint16", "int16")
"""Types with so few numbers that a table of all of them is made."""

UNKNOWN = 255
"""A categorical value that is missing within the raster: NaN, or masked by the file."""


def read_on(
    path: Path | str, band: int, nodata: float | None, source: GeoBox, target: GeoBox, *,
    resampling: str = "bilinear", masked: bool = True,
) -> np.ndarray:  # fmt: skip
    """A band's digital numbers on any grid.

    Parameters
    ----------
    path, band
        The file and the band's number from 1.
    nodata
        Digital number that means missing, besides NaN.
    source
        The file's own grid.
    target
        The grid wanted: read exactly where it is a part of the file's own, else resampled.
    resampling
        A method of GDAL's, weighing the pixels that are not missing.
    masked
        Whether pixels under the file's own mask (inside it, a ``.msk`` file, an alpha band) are missing too.

    Returns
    -------
    numpy.ndarray
        float64, (y, x) of the target; NaN where missing or outside.
    """
    offset = pixel_offset(source, target)
    if offset is not None:
        return read_window(path, band, nodata, offset, tuple(target.shape), masked=masked)
    start, shape = touching(source, target)
    values = read_window(path, band, nodata, start, shape, masked=masked)
    if np.isnan(values).all():
        return np.full(target.shape, np.nan)
    return warped(values, source, start, target, resampling)


def read_static(path: str | Path, geobox: GeoBox) -> np.ndarray:
    """A layer without time, such as heights: its first band on a grid.

    Returns
    -------
    numpy.ndarray
        float32, (y, x); NaN where missing or outside. Exact on the file's own grid, bilinear on another. The file's
        own scale and offset are applied.

    Raises
    ------
    InputError
        For a file with several bands, with complex numbers or without a place.
    """
    header = static_header(path)
    band = header.images[0]
    values: np.ndarray = (
        read_on(path, band.number, band.nodata, header.grid, geobox, masked=band.masked) * band.scale + band.offset
    )
    return values.astype("float32")


def static_header(path: str | Path) -> Header:
    """The header of a layer without time, checked; errors as for :func:`read_static`."""
    header = header_at(Path(path))
    if len(header.images) != 1:
        names = ", ".join(band.name or f"band {band.number}" for band in header.images) or "none"
        raise InputError(f"{path}: a static layer has one band, but this file has {names}; write each to its own file.")
    header.check_numbers(header.images[0], "static layer")
    _ = header.grid
    return header


def read_reflectance(
    path: Path | str, band: int, nodata: float | None, source: GeoBox, target: GeoBox, *,
    scale: float, offset: float, resampling: str = "bilinear", masked: bool = True,
) -> np.ndarray:  # fmt: skip
    """A band on any grid as reflectance: :func:`to_reflectance` of :func:`read_on`, arguments as there.

    Returns
    -------
    numpy.ndarray
        int16 (y, x) of the target, 1e-4; -32768 where missing or outside.
    """
    start = pixel_offset(source, target)
    if start is None:
        values = read_on(path, band, nodata, source, target, resampling=resampling, masked=masked)
        return to_reflectance(values, scale=scale, offset=offset)
    whole = np.full(target.shape, NODATA, "int16")
    found = _numbers(path, band, start, tuple(target.shape), masked=masked)
    if found is not None:
        numbers, hidden, place = found
        whole[place] = _reflectance(numbers, nodata, scale, offset)
        if hidden is not None:
            whole[place][hidden] = NODATA
    return whole


def _reflectance(numbers: np.ndarray, nodata: float | None, scale: float, offset: float) -> np.ndarray:
    if numbers.dtype in _COUNTABLE:
        table = _table(numbers.dtype.name, nodata, scale, offset)
        return np.asarray(table[numbers.view(f"u{numbers.dtype.itemsize}")])
    values = numbers.astype("float64")
    if nodata is not None:
        values[numbers == nodata] = np.nan
    return to_reflectance(values, scale=scale, offset=offset)


@lru_cache(maxsize=64)
def _table(dtype: str, nodata: float | None, scale: float, offset: float) -> np.ndarray:
    """Reflectance of every number of a type."""
    size = np.dtype(dtype).itemsize
    numbers = np.arange(1 << (8 * size)).astype(f"u{size}").view(dtype)
    values = numbers.astype("float64")
    if nodata is not None:
        values[numbers == nodata] = np.nan
    return to_reflectance(values, scale=scale, offset=offset)


def to_reflectance(numbers: np.ndarray, *, scale: float, offset: float) -> np.ndarray:
    """numbers * scale + offset as int16 in 1e-4 reflectance; -32768 where missing; same shape."""
    from landweave.sources.warping.kernels import round_off, run

    # Rounded to 12 digits: a decimal scale is an exact multiple of the unit, and stays one.
    factor, shift = (float(f"{number / REFLECTANCE_SCALE:.12g}") for number in (scale, offset))
    units = np.empty(numbers.shape, "int16")
    # What resampling leaves half-way between two units, but for the last bits, falls to the same side in any window.
    run(round_off, np.ascontiguousarray(numbers, "float64").reshape(-1), factor, shift, units.reshape(-1))
    return units


def read_codes(
    path: Path | str, band: int, source: GeoBox, target: GeoBox, *,
    missing: int = UNKNOWN, masked: bool = True, most: int | None = 255, meaning: MaskBits | None = None,
) -> np.ndarray:  # fmt: skip
    """A band of codes on any grid, by the nearest pixel.

    Parameters
    ----------
    path, band, source, target, masked
        As for :func:`read_on`.
    missing
        The code where the value is NaN or under the file's own mask; with ``meaning`` it is always :data:`UNKNOWN`.
    most
        The greatest code beside :data:`UNKNOWN`; None: any whole number, those beyond a byte become
        :data:`UNKNOWN`, which is right where all that matters is that they are not 0.
    meaning
        What bits and values mean: any whole number becomes its code of :class:`.MaskBits`.

    Returns
    -------
    numpy.ndarray
        uint8 (y, x); 0 outside.

    Raises
    ------
    InputError
        For a value that is no whole number, or is beyond ``most``.
    """
    start, shape, taken, inside = _taken(source, target)
    classes = np.zeros(target.shape, "uint8")
    if not taken.size:
        return classes
    found = _numbers(path, band, start, shape, masked=masked)
    if meaning is None and most == UNKNOWN and found is not None and found[0].dtype == "uint8" and found[1] is None:
        # Every byte is a code.
        values = np.full(shape, missing, "uint8")
        values[found[2]] = found[0]
    else:
        found_values = read_window(path, band, None, start, shape, masked=masked)
        values = _codes(path, band, found_values, missing, most, meaning)
    classes[inside] = values.reshape(-1)[taken]
    return classes


@remembered(4)
def _taken(source: GeoBox, target: GeoBox) -> tuple[tuple[int, int], tuple[int, int], np.ndarray, np.ndarray]:
    """Start and shape of the part of a grid that is the nearest to another's pixels, its flat index, and where."""
    rows, columns, inside = nearest_pixels(source, target)
    if not inside.any():
        return (0, 0), (0, 0), np.zeros(0, "int32"), inside
    rows, columns = rows[inside], columns[inside]
    top, left = int(rows.min()), int(columns.min())
    shape = int(rows.max()) - top + 1, int(columns.max()) - left + 1
    return (top, left), shape, ((rows - top) * shape[1] + columns - left).astype("int32"), inside


def _codes(
    path: Path | str, band: int, values: np.ndarray, missing: int, most: int | None, meaning: MaskBits | None
) -> np.ndarray:
    known = ~np.isnan(values)
    fits = values == np.rint(values)
    if most is not None and meaning is None:
        fits &= ((values >= 0) & (values <= most)) | (values == UNKNOWN)
    wrong = values[known & ~fits]
    if wrong.size:
        raise InputError(
            f"{readable(path)}: band {band} is used as a mask or as classes, but holds {wrong[0]:g}: whole numbers "
            f"from 0 to {most or 255} are needed; name what bits mean by mask_bits, and write probabilities in per "
            "cent."
        )
    if meaning is not None:
        return meaning.codes(values)
    codes = np.where(known, values, missing)
    return np.where((codes < 0) | (codes > UNKNOWN), UNKNOWN, codes).astype("uint8")


def read_coarse(
    path: Path | str, shape: tuple[int, int] | None = None, *, band: int = 1
) -> np.ma.MaskedArray[Any, Any]:
    """A band's coarsest overview (or what is nearest to ``shape``), in digital numbers, a masked array (y, x).

    Without overviews, or with large ones only, some of the pixels, so that no side is much above :data:`COARSE`.
    """

    def read(file: Any) -> np.ma.MaskedArray[Any, Any]:
        factor = max(*file.overviews(band), max(file.height, file.width) // COARSE, 1)
        wanted = shape or (max(1, file.height // factor), max(1, file.width // factor))
        values = np.ma.MaskedArray(file.read(band, out_shape=wanted))
        if header_of(file, path).bands[band - 1].masked:
            values[file.read_masks(band, out_shape=wanted) == 0] = np.ma.masked
        return values

    return read_from(path, read, band, need=SmallCopy(shape=shape, band=band))


def read_window(
    path: Path | str,
    band: int,
    nodata: float | None,
    start: tuple[int, int],
    shape: tuple[int, ...],
    *,
    masked: bool = True,
) -> np.ndarray:
    """Digital numbers from row and column ``start``, which may lie beyond the file; float64, NaN missing or outside."""
    values = np.full(shape, np.nan)
    found = _numbers(path, band, start, shape, masked=masked)
    if found is not None:
        numbers, hidden, place = found
        values[place] = numbers
        if nodata is not None:
            values[place][numbers == nodata] = np.nan
        if hidden is not None:
            values[place][hidden] = np.nan
    return values


def _numbers(
    path: Path | str, band: int, start: tuple[int, int], shape: tuple[int, ...], *, masked: bool
) -> tuple[np.ndarray, np.ndarray | None, tuple[slice, slice]] | None:
    """Digital numbers as stored, which of them the file's mask hides, and their place in a window; None outside."""
    top, left = max(start[0], 0), max(start[1], 0)

    def read(file: Any) -> tuple[np.ndarray, np.ndarray | None] | None:
        bottom, right = min(start[0] + shape[0], file.height), min(start[1] + shape[1], file.width)
        if bottom <= top or right <= left:
            return None
        window = Window(left, top, right - left, bottom - top)
        hides = masked and MaskFlags.per_dataset in file.mask_flag_enums[band - 1]
        return file.read(band, window=window), (file.read_masks(band, window=window) == 0 if hides else None)

    height, width = start[0] + shape[0] - top, start[1] + shape[1] - left
    part = read_from(path, read, band, need=Pixels(top=top, left=left, height=height, width=width, band=band))
    if part is None:
        return None
    row, column = top - start[0], left - start[1]
    height, width = part[0].shape
    return *part, (slice(row, row + height), slice(column, column + width))


def stored_bytes(path: Path | str, source: GeoBox, target: GeoBox) -> float:
    """Bytes, compressed as they are, of a file's pixels that a target needs; of a block in part that part of it."""
    (top, left), (height, width) = touching(source, target)

    def read(file: Any) -> float:
        if file.driver != "GTiff":
            # Others do not tell: the file's share.
            return float(Path(path).stat().st_size * height * width / (file.height * file.width))
        rows, columns = file.block_shapes[0]
        total = 0.0
        for row in range(top // rows, -(-(top + height) // rows)):
            for column in range(left // columns, -(-(left + width) // columns)):
                size = file.get_tag_item(f"BLOCK_SIZE_{column}_{row}", dm="TIFF", bidx=1)
                down = min(top + height, (row + 1) * rows) - max(top, row * rows)
                across = min(left + width, (column + 1) * columns) - max(left, column * columns)
                total += int(size or 0) * down * across / (rows * columns)
        return total

    return read_from(path, read)
