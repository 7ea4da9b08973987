"""Scale and nodata of images by their files, and where these say nothing by their pixels."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from landweave.patch.raster.files import open_raster
from landweave.patch.raster.header import Band, Header
from landweave.runs.project.starter.found import KeyLine

_SIDE = 200
_FILLS = (-9999.0, -32768.0, -3000.0, -28672.0, 65535.0, -3.4028234663852886e38)
"""Numbers that are used for missing pixels, where no file says so."""

_LARGEST = 3.2767
"""Reflectance beyond which values are clipped."""

_RAISED = 1000
"""Numbers that are hardly ever undercut where an offset was added: dark water and shadow have less without one."""


def read_numbers_of(files: Sequence[tuple[Path, int, Header]]) -> tuple[list[KeyLine], list[str]]:
    """Keys ``scale`` and ``nodata`` of a source of rasters, and what cannot be found out.

    Parameters
    ----------
    files
        Some files with a band's number and the header each, of reflectance or indices.

    Returns
    -------
    entries, open
        A key is given only where the file does not say it and its default would be wrong; else it is a comment.
    """
    values = np.concatenate([_sample(path, band) for path, band, _ in files])
    bands = [header.bands[band - 1] for _, band, header in files]
    nodata, entries, unknown = next((band.nodata for band in bands if band.nodata is not None), None), [], []
    if nodata is None:
        fill = next((number for number in _FILLS if (values == number).any()), None)
        zeros = float((values == 0).mean()) if values.size else 0.0
        if fill is not None:
            entries.append(KeyLine(key="nodata", value=fill, comment="missing pixels: found in the images"))
        else:
            entries.append(
                KeyLine(key="nodata", value=0, comment="number of missing pixels; the files say none", off=True)
            )
            if zeros > 0.01:
                unknown.append(
                    f"{100 * zeros:.0f} % of the sampled pixels are 0; if 0 means missing, set source.nodata = 0."
                )
        nodata = fill
    else:
        said = KeyLine(key="nodata", value=float(nodata), comment="as the files say", off=True)
        entries.append(said)
    values = values[np.isfinite(values) & (values != (np.nan if nodata is None else nodata))]
    high = float(np.percentile(np.abs(values), 98)) if values.size else 0.0
    there = values[values != 0]
    low = float(np.percentile(there, 2)) if there.size else 0.0
    if low >= _RAISED and not bands[0].is_float and not bands[0].has_scale:
        unknown.append(
            f"Few numbers are below {low:.0f}: the images may have an offset that they do not state, as Sentinel-2 "
            "since 2022 (source.offset = -0.1) and Landsat collection 2 (scale = 2.75e-5, offset = -0.2)."
        )
    return [_scale(bands[0], high, unknown), *entries], unknown


def _scale(band: Band, high: float, unknown: list[str]) -> KeyLine:
    meaning = "reflectance = number * scale"
    dtype, usual = band.dtype, 1.0 if band.is_float else 1e-4
    if band.has_scale:
        return KeyLine(key="scale", value=usual, comment=f"{meaning}; the files say their own", off=True)
    if dtype == "uint8":
        unknown.append("The images have 8 bits, so their numbers are no reflectance; correct source.scale if needed.")
        return KeyLine(key="scale", value=0.004, comment=f"{meaning}; 8-bit images, 255 is 1.02")
    if high * usual <= _LARGEST:
        return KeyLine(key="scale", value=usual, comment=f"{meaning}; as is usual for {dtype}", off=True)
    scale = 1e-4
    while high * scale > _LARGEST:
        scale /= 10
    unknown.append(
        f"The images have numbers up to {high:.4g} and state no scale; source.scale = {scale:g} keeps them in range, "
        "correct it."
    )
    return KeyLine(key="scale", value=scale, comment=f"{meaning}; chosen by the numbers found")


def _sample(path: Path, band: int) -> np.ndarray:
    """Some pixels of a band, float64 (pixel,)."""
    with open_raster(path) as file:
        shape = min(file.height, _SIDE), min(file.width, _SIDE)
        values = file.read(band, out_shape=shape, masked=False)
    return np.asarray(values, "float64").ravel()
