"""What a raster file says of itself: its grid, and of each band the name, the type, the numbers and the mask."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from rasterio.enums import ColorInterp, MaskFlags

from landweave.errors import InputError

LARGEST_BLOCK = 1 << 31
"""Bytes of one block of pixels that may have to be decoded at once."""

WASTE, FREE = 128, 1 << 24
"""A chunk of more than so many bytes may not be larger than the array's part in it by more than this factor."""

_ALPHA_NAMES = {"", "alpha"}


@dataclass(frozen=True, kw_only=True)
class Band:
    """One band, in the file's own words."""

    number: int
    """From 1."""

    name: str
    """Its description, without blanks around it; may be empty."""

    dtype: str
    """Name of its type, such as ``uint16``."""

    nodata: float | None
    """Number that means missing, where the file says so."""

    scale: float
    """Reflectance per number; 1 where the file says nothing."""

    offset: float
    """Reflectance of number 0; 0 where the file says nothing."""

    masked: bool
    """Whether the file has a mask beside the numbers: inside it, in a ``.msk`` file, or as an alpha band."""

    alpha: bool
    """Whether it is that alpha band."""

    @property
    def has_scale(self) -> bool:
        """Whether the file gives a scale or an offset."""
        return (self.scale, self.offset) != (1.0, 0.0)

    @property
    def is_float(self) -> bool:
        """Whether its numbers are floating point."""
        return self.dtype.startswith("float")


@dataclass(frozen=True, kw_only=True)
class Header:
    """A file's words about itself. Made by :func:`header_of`."""

    path: Path | str
    """The file, or its address as it may be shown."""

    shape: tuple[int, int]
    """Rows and columns."""

    transform: Any
    """From columns and rows to the CRS, as an ``Affine``."""

    crs: Any
    """Coordinate reference system, or None."""

    control_points: str
    """What the file has in place of a transform: control points, rational polynomials; else empty."""

    bands: tuple[Band, ...]
    """All bands, in the file's order."""

    @cached_property
    def images(self) -> tuple[Band, ...]:
        """The bands but for alpha."""
        return tuple(band for band in self.bands if not band.alpha)

    @property
    def is_placed(self) -> bool:
        """Whether the file says where its pixels are, in whatever CRS."""
        identity = tuple(self.transform)[:6] == (1, 0, 0, 0, 1, 0)
        return not identity and all(map(math.isfinite, self.transform)) and not self.transform.is_degenerate

    @cached_property
    def grid(self) -> GeoBox:
        """Its pixel grid; InputError where the file does not say where it is."""
        if not self.is_placed:
            if self.control_points:
                raise InputError(
                    f"{self.path}: the raster has only {self.control_points} and no regular grid; warp it first "
                    "(gdalwarp)."
                )
            if self.crs is not None:
                raise InputError(
                    f"{self.path}: the raster has a coordinate reference system but no position (no geotransform); "
                    "assign one to it (gdal_edit.py -a_ullr)."
                )
        if self.crs is None:
            raise InputError(f"{self.path}: the raster has no coordinate reference system; assign one to it.")
        return GeoBox(self.shape, self.transform, self.crs)

    def named(self, name: str) -> Band | None:
        """The band of that name, None where there is none; InputError where there are several."""
        found = [band for band in self.bands if band.name == name]
        if len(found) > 1:
            numbers = " and ".join(str(band.number) for band in found)
            raise InputError(f"{self.path}: bands {numbers} are both described as {name!r}; give each its own name.")
        return found[0] if found else None

    def check_numbers(self, band: Band, use: str = "reflectance") -> None:
        """InputError where the numbers of a band are complex."""
        if band.dtype.startswith("complex"):
            raise InputError(
                f"{self.path}: band {band.number} holds complex numbers ({band.dtype}), which are no {use}; write "
                "their amplitude or another real number."
            )


def header_of(file: Any, path: Path | str) -> Header:
    """Read the header of an open raster.

    Parameters
    ----------
    file
        From rasterio.
    path
        Its place, for messages.

    Raises
    ------
    InputError
        For blocks that are too large to be decoded.
    """
    flags = [set(each) for each in file.mask_flag_enums]
    names = [(text or "").strip() for text in file.descriptions]
    # GDAL calls the fourth of four bands of bytes alpha where nobody says otherwise; a name says otherwise.
    alphas = [
        color == ColorInterp.alpha and name.lower() in _ALPHA_NAMES
        for color, name in zip(_colors(file), names, strict=True)
    ]
    bands = tuple(
        Band(
            number=number,
            name=names[number - 1],
            dtype=str(file.dtypes[number - 1]),
            nodata=file.nodatavals[number - 1],
            scale=float(file.scales[number - 1]),
            offset=float(file.offsets[number - 1]),
            masked=MaskFlags.per_dataset in flags[number - 1]
            and (MaskFlags.alpha not in flags[number - 1] or any(alphas)),
            alpha=alphas[number - 1],
        )
        for number in range(1, file.count + 1)
    )
    for band, block in zip(bands, file.block_shapes, strict=True):
        if block[0] * block[1] * _item_size(band.dtype) > LARGEST_BLOCK:
            raise InputError(
                f"{path}: stored in blocks of {block[1]} x {block[0]} pixels, which do not fit in memory; write it "
                "again in tiles (gdal_translate -co TILED=YES)."
            )
    return Header(
        path=path, shape=tuple(file.shape), transform=file.transform, crs=file.crs,
        control_points=_control_points(file), bands=bands,
    )  # fmt: skip


def check_chunks(shape: Sequence[int], chunks: Sequence[int] | None, dtype: Any) -> None:
    """ValueError for chunks of a Zarr array that take far more memory than its numbers: a chunk is decoded whole.

    >>> check_chunks((3, 80, 80), (3, 256, 256), "int16")
    >>> check_chunks((3, 80, 80), (3, 20_000, 20_000), "int16")
    Traceback (most recent call last):
    ...
    ValueError: stored in chunks of 3 x 20000 x 20000, which do not fit in memory or are far larger than the array
    """
    if chunks is None:
        return
    size = math.prod(chunks) * np.dtype(dtype).itemsize
    used = math.prod(min(chunk, max(side, 1)) for chunk, side in zip(chunks, shape, strict=True))
    if size > LARGEST_BLOCK or (size > FREE and math.prod(chunks) > WASTE * used):
        told = " x ".join(map(str, chunks))
        raise ValueError(f"stored in chunks of {told}, which do not fit in memory or are far larger than the array")


def _colors(file: Any) -> tuple[ColorInterp, ...]:
    """What each band is a colour of."""
    from rasterio._err import CPLE_BaseError

    try:
        return tuple(file.colorinterp)
    except CPLE_BaseError:
        # GDAL keeps the error of an earlier read, of any file, until it is asked for one; now it is gone.
        return tuple(file.colorinterp)


def _item_size(dtype: str) -> int:
    # GDAL's complex integers are no type of numpy's.
    return 8 if dtype.startswith("complex_") else np.dtype(dtype).itemsize


def _control_points(file: Any) -> str:
    if file.gcps[0]:
        return "ground control points"
    if file.rpcs is not None:
        return "rational polynomial coefficients"
    return "a geolocation array" if file.tags(ns="GEOLOCATION") else ""
