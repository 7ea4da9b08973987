"""A patch that comes date by date: each date staged as one file with a checksum, then all written in one pass.

Writing a date at a time into chunks that hold all dates would rewrite them again and again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.windows import Window

from landweave.patch.model import NODATA, make_patch
from landweave.patch.store import write_whole

ROWS = 64
"""Rows of a strip: of a staged file's blocks, of a chunk, and of a shard."""


def stage(folder: Path, label: str, arrays: Mapping[str, np.ndarray], geobox: GeoBox) -> Path:
    """Keep one date's variables as ``<label>.<checksum>.tif``.

    Parameters
    ----------
    folder
        Where parts are staged; made where it is missing.
    label
        Says what the part is: its date, and the fingerprint of what decides its pixels.
    arrays
        Variable to (y, x), int16 or uint8; all are kept as int16.
    geobox
        Their grid.
    """
    profile = {
        "driver": "GTiff", "count": len(arrays), "height": geobox.shape[0], "width": geobox.shape[1],
        "dtype": "int16", "crs": str(geobox.crs), "transform": geobox.transform, "compress": "zstd", "zstd_level": 1,
        "predictor": 2, "blockysize": ROWS, "interleave": "band",
    }  # fmt: skip

    def write(part: Path) -> None:
        with rasterio.open(part, "w", **profile) as file:
            for number, (name, values) in enumerate(arrays.items(), start=1):
                file.write(values.astype("int16"), number)
                file.set_band_description(number, name)

    # Its name will tell its checksum, and waiting for the disk after each date stops the other workers too.
    whole = write_whole(folder / f"{label}.new.tif", write, synced=False)
    return whole.rename(folder / f"{label}.{_checksum(whole)}.tif")


def staged(folder: Path, label: str) -> Path | None:
    """The part of that label, if it is there and whole; a damaged one is removed."""
    for path in sorted(folder.glob(f"{label}.*.tif")):
        if path.name == f"{label}.{_checksum(path)}.tif":
            return path
        path.unlink()
    return None


def read_stage(path: Path, rows: slice | None = None) -> dict[str, np.ndarray]:
    """Variables of a staged part, int16 (y, x); all rows or some."""
    with rasterio.open(path) as file:
        window = None if rows is None else Window(0, rows.start, file.width, rows.stop - rows.start)
        values = file.read(window=window)
        return dict(zip(file.descriptions, values, strict=True))


def assemble(
    path: Path,
    parts: Sequence[Sequence[Path]],
    *,
    times: Sequence[Any],
    variables: Mapping[str, str],
    geobox: GeoBox,
    notes: Mapping[str, Any],
) -> Path:
    """Write all dates as one Zarr, strip by strip, whole or not at all.

    Parameters
    ----------
    path
        The Zarr folder.
    parts
        Per date, the staged parts that hold its variables; a variable in none of them is missing (0 for classes).
    times
        Dates of the time axis.
    variables
        Name to dtype, ``int16`` or ``uint8``.
    geobox
        Grid of the patch.
    notes
        Attributes of the group, such as what each date was made from.

    Returns
    -------
    pathlib.Path
        A Zarr of int16 and uint8 arrays (time, y, x): chunks of all dates by 64 x 64 pixels, a shard a strip of 64
        rows, zstd.
    """
    import dask.array
    import zarr
    from zarr.codecs import BloscCodec

    height, width = geobox.shape
    codec = BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle")
    chunks, shards = (len(times), ROWS, ROWS), (len(times), ROWS, -(-width // ROWS) * ROWS)
    empty = {n: dask.array.zeros((len(times), height, width), dtype=kind, chunks=-1) for n, kind in variables.items()}
    template = make_patch(empty, geobox, times).assign_attrs(dict(notes))
    encoding: dict[str, Any] = {n: {"chunks": chunks, "shards": shards, "compressors": [codec]} for n in variables}

    def write(folder: Path) -> None:
        template.to_zarr(folder, mode="w", encoding=encoding, zarr_format=3, consolidated=False, compute=False)
        group: Any = zarr.open_group(folder, mode="r+")
        for top in range(0, height, ROWS):
            rows = slice(top, min(top + ROWS, height))
            blocks = {
                name: np.full((len(times), rows.stop - top, width), NODATA if kind == "int16" else 0, kind)
                for name, kind in variables.items()
            }
            for number, of_date in enumerate(parts):
                for part in of_date:
                    for name, values in read_stage(part, rows).items():
                        blocks[name][number] = values
            for name, block in blocks.items():
                group[name][:, rows, :] = block

    return write_whole(path, write)


def read_notes(path: Path) -> dict[str, Any]:
    """What :func:`assemble` noted; empty where there is no such Zarr."""
    import zarr

    try:
        return dict(zarr.open_group(path, mode="r").attrs)
    except (OSError, ValueError, KeyError):
        return {}


def quicklook(path: Path, red: np.ndarray, green: np.ndarray, blue: np.ndarray, geobox: GeoBox) -> Path:
    """An 8-bit true-colour picture at half the resolution, JPEG within GeoTIFF, with overviews and a mask.

    Parameters
    ----------
    path
        Where.
    red, green, blue
        int16 (y, x), 1e-4 reflectance, -32768 missing. Reflectance 0 to 0.3 becomes 0 to 255 with gamma 1/1.6.
    geobox
        Their grid.

    Returns
    -------
    pathlib.Path
        ``path``, which may not have reached the disk: many of them are waited for together.
    """
    known = (red != NODATA) & (green != NODATA) & (blue != NODATA)
    shade = [np.clip(band.astype("float32") / 3000, 0, 1) ** (1 / 1.6) * 255 for band in (red, green, blue)]
    coarse = geobox.zoom_out(2)
    height, width = coarse.shape
    picture = np.stack([_halved(np.where(known, band, 0), height, width) for band in shade])
    share = _halved(known.astype("float32"), height, width)
    picture = np.rint(np.where(share > 0, picture / np.maximum(share, 1e-6), 0)).astype("uint8")
    profile = {
        "driver": "GTiff", "count": 3, "height": height, "width": width, "dtype": "uint8", "crs": str(geobox.crs),
        "transform": coarse.transform, "compress": "jpeg", "jpeg_quality": 70, "photometric": "ycbcr",
        "interleave": "pixel", "tiled": True, "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip

    def write(part: Path) -> None:
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(part, "w", **profile) as file:
            file.write(picture)
            file.write_mask(share >= 0.5)
            file.build_overviews([2, 4], rasterio.enums.Resampling.average)

    return write_whole(path, write, synced=False)


def read_quicklook(path: Path, geobox: GeoBox | None = None) -> np.ndarray:
    """A quicklook, uint8 (y, x, 3), white where there is no data: at its patch's resolution, or as it is."""
    with rasterio.open(path) as file:
        picture = np.moveaxis(np.where(file.dataset_mask() == 0, 255, file.read()).astype("uint8"), 0, -1)
    if geobox is None:
        return picture
    whole = picture.repeat(2, axis=0).repeat(2, axis=1)
    return np.asarray(whole[: geobox.shape[0], : geobox.shape[1]])


def _halved(values: np.ndarray, height: int, width: int) -> np.ndarray:
    padded = np.pad(values, ((0, 2 * height - values.shape[0]), (0, 2 * width - values.shape[1])), mode="edge")
    return np.asarray(padded.reshape(height, 2, width, 2).mean(axis=(1, 3)))


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
