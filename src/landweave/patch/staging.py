"""A patch that comes date by date: each date staged as one file with a checksum, then all written in one pass.

Writing a date at a time into chunks that hold all dates would rewrite them again and again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox

from landweave.patch.model import NODATA, make_patch
from landweave.patch.stack import describe, write_shard
from landweave.patch.store import write_bytes, write_whole

ROWS = 64
"""Rows of a strip: of a chunk, and of a shard."""

_ALIGNED = 64


def stage(folder: Path, label: str, arrays: Mapping[str, np.ndarray]) -> Path:
    """Keep one date's variables as ``<label>.<checksum>.raw``, not compressed: it is read again soon, and then deleted.

    Parameters
    ----------
    folder
        Where parts are staged; made where it is missing.
    label
        Says what the part is: its date, and the fingerprint of what decides its pixels.
    arrays
        Variable to (y, x), int16 or uint8, all of one shape; all are kept as int16.
    """
    shape = next(iter(arrays.values())).shape
    head = json.dumps({"variables": list(arrays), "shape": shape}).encode()
    content = b"".join([head.ljust(-(-(len(head) + 1) // _ALIGNED) * _ALIGNED - 1), b"\n",
                        *(values.astype("<i2").tobytes() for values in arrays.values())])  # fmt: skip
    # Its name will tell its checksum, and waiting for the disk after each date stops the other workers too.
    return write_bytes(folder / f"{label}.{_checksum(content)}.raw", content, synced=False)


def staged(folder: Path, label: str) -> Path | None:
    """The part of that label, if it is there and whole; a damaged one is removed."""
    for path in sorted(folder.glob(f"{label}.*.raw")):
        if path.name == f"{label}.{_checksum(path.read_bytes())}.raw":
            return path
        path.unlink()
    return None


def read_stage(path: Path, rows: slice | None = None) -> dict[str, np.ndarray]:
    """Variables of a staged part, int16 (y, x); all rows or some."""
    with path.open("rb") as file:
        line = file.readline()
        head = json.loads(line)
        height, width = head["shape"]
        top, bottom = (0, height) if rows is None else (rows.start, rows.stop)
        found = {}
        for number, name in enumerate(head["variables"]):
            file.seek(len(line) + 2 * width * (number * height + top))
            found[name] = np.fromfile(file, "<i2", (bottom - top) * width).reshape(bottom - top, width)
    return found


def assemble(
    path: Path,
    parts: Sequence[Sequence[Path]],
    *,
    times: Sequence[Any],
    variables: Mapping[str, str],
    geobox: GeoBox,
    notes: Mapping[str, Any],
    look: Callable[[slice, Mapping[str, np.ndarray]], None] | None = None,
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
    look
        Given the rows of each strip, top to bottom, and its variables (time, y, x), which are good until it returns.

    Returns
    -------
    pathlib.Path
        A Zarr of int16 and uint8 arrays (time, y, x): chunks of all dates by 64 x 64 pixels, a shard a strip of 64
        rows, zstd.
    """
    height, width = geobox.shape
    # Without its CRS as a coordinate, which belongs to the variables, not to the group.
    coordinates = make_patch({}, geobox, times).reset_coords().assign_attrs(dict(notes))

    def write(folder: Path) -> None:
        coordinates.to_zarr(folder, mode="w", zarr_format=3, consolidated=False)
        for name, kind in variables.items():
            describe(folder / name, (len(times), height, width), kind, rows=ROWS)
        blocks = {name: np.empty((len(times), ROWS, width), kind) for name, kind in variables.items()}
        for number, top in enumerate(range(0, height, ROWS)):
            rows = slice(top, min(top + ROWS, height))
            strip = {name: block[:, : rows.stop - top] for name, block in blocks.items()}
            for name, kind in variables.items():
                strip[name][:] = NODATA if kind == "int16" else 0
            for date, of_date in enumerate(parts):
                for part in of_date:
                    for name, values in read_stage(part, rows).items():
                        strip[name][date] = values
            for name, block in strip.items():
                write_shard(folder / name, number, block, rows=ROWS)
            if look is not None:
                look(rows, strip)

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
    shade = [_shades()[band.view("uint16")] for band in (red, green, blue)]
    coarse = geobox.zoom_out(2)
    height, width = coarse.shape
    picture = np.stack([_halved(np.where(known, band, 0), height, width) for band in shade])
    share = _halved(known.astype("float32"), height, width)
    picture = np.rint(np.where(share > 0, picture / np.maximum(share, 1e-6), 0)).astype("uint8")
    profile = {
        "driver": "GTiff", "count": 3, "height": height, "width": width, "dtype": "uint8", "crs": str(geobox.crs),
        "transform": coarse.transform, "compress": "jpeg", "jpeg_quality": 70, "photometric": "ycbcr",
        "interleave": "pixel", "tiled": True,
        # No larger than the picture, in JPEG's units of 16 pixels: a block is coded as a whole.
        "blockxsize": min(256, -(-width // 16) * 16), "blockysize": min(256, -(-height // 16) * 16),
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


@lru_cache(maxsize=1)
def _shades() -> np.ndarray:
    """Brightness of every int16, float32, in the order of its bits as uint16."""
    numbers = np.arange(1 << 16).astype("uint16").view("int16")
    return np.asarray(np.clip(numbers.astype("float32") / 3000, 0, 1) ** (1 / 1.6) * 255)


def _halved(values: np.ndarray, height: int, width: int) -> np.ndarray:
    padded = np.pad(values, ((0, 2 * height - values.shape[0]), (0, 2 * width - values.shape[1])), mode="edge")
    return np.asarray(padded.reshape(height, 2, width, 2).mean(axis=(1, 3)))


def _checksum(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()
