"""A patch on disk, as Zarr, written whole or not at all."""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import transform

from landweave.errors import InputError
from landweave.patch.model import TIME

DATA_SET = "landweave data set 1"
"""What the STAC collection of a data set of patches says of itself, under ``landweave:format``."""


@contextmanager
def dated(moment: str = "2000-01-01") -> Iterator[None]:
    """GeoPackages that are written within hold this date, not the clock's: equal content gives equal bytes."""
    import pyogrio

    option = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(option)
    pyogrio.set_gdal_config_options({option: f"{moment}T00:00:00.000Z"})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({option: before})


def write_whole(path: str | Path, write: Callable[[Path], None], *, synced: bool = True) -> Path:
    """Let ``write`` fill a path beside ``path``, then rename: half a file is never seen.

    Parameters
    ----------
    path
        Where the file or folder shall stand; its parents are made.
    write
        Given the temporary path (same suffix, hidden name), writes a file or a folder there.
    synced
        Whether a file must have reached the disk before it is renamed. Without, a loss of power may leave it empty:
        its readers must know its checksum, or it is waited for later, by :func:`sync`.

    Returns
    -------
    pathlib.Path
        ``path``. When ``write`` raises, what was there before is untouched and the temporary is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}"
    try:
        write(part)
        if part.is_dir():
            # On the disk before its name: after a power cut a file may have its size but not its content.
            for inner in part.rglob("*"):
                if inner.is_file():
                    sync(inner)
            # A folder cannot replace a full one: the old one steps aside first.
            old = part.with_name(part.name + ".old")
            if path.exists():
                path.rename(old)
            try:
                part.rename(path)
            except BaseException:
                if old.exists():
                    old.rename(path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            if synced:
                sync(part)
            part.replace(path)
    except BaseException:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
        raise
    return path


def write_bytes(path: str | Path, content: bytes, *, synced: bool = True) -> Path:
    """Write a file, whole or not at all; arguments as of :func:`write_whole`."""

    def write(part: Path) -> None:
        part.write_bytes(content)

    return write_whole(path, write, synced=synced)


def write_text(path: str | Path, text: str, *, synced: bool = True) -> Path:
    """Write a text file in UTF-8, whole or not at all: the same bytes on every system, line ends as they are in it.

    Parameters
    ----------
    path, synced
        As of :func:`write_whole`.
    text
        All of the file.
    """
    return write_bytes(path, text.encode(), synced=synced)


def write_json(
    path: str | Path,
    values: Any,
    *,
    indent: int | None = 1,
    ensure_ascii: bool = True,
    allow_nan: bool = False,
    synced: bool = True,
) -> Path:
    """Write a JSON file that ends with a line feed, whole or not at all.

    Parameters
    ----------
    path, synced
        As of :func:`write_whole`.
    values
        What :func:`json.dumps` takes; equal values in equal order give equal bytes.
    indent
        Spaces a level; None for one line.
    ensure_ascii
        Whether letters beyond ASCII are escaped.
    allow_nan
        Whether a number that is not finite becomes ``NaN`` or ``Infinity``, which Python reads and browsers refuse.

    Raises
    ------
    ValueError
        For a number that is not finite, unless it is allowed; nothing is written then.
    """
    text = json.dumps(values, indent=indent, ensure_ascii=ensure_ascii, allow_nan=allow_nan)
    return write_text(path, text + "\n", synced=synced)


def write_patch(patch: xr.Dataset, path: str | Path) -> Path:
    """Keep a patch as a Zarr folder (zstd; chunks of all dates by 64 x 64 pixels), whole or not at all.

    Bands are int16 and masks uint8 or bool, with axes (time, y, x) or (y, x).
    """
    import zarr.codecs

    codec = zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
    encoding = {}
    for name, variable in patch.data_vars.items():
        chunks = [size if dim == TIME else min(size, 64) for dim, size in variable.sizes.items()]
        encoding[name] = {"chunks": chunks, "compressors": [codec]}

    # A grid mapping named in the encoding would make its coordinate a variable when the patch is read.
    plain = patch.copy()
    for layer in plain.variables.values():
        layer.encoding = {key: value for key, value in layer.encoding.items() if key != "grid_mapping"}

    def write(folder: Path) -> None:
        plain.to_zarr(folder, mode="w", encoding=encoding, zarr_format=3, consolidated=False)

    return write_whole(path, write)


def read_patch(path: str | Path) -> xr.Dataset:
    """Open a patch kept by :func:`write_patch`, lazily; InputError when it is not one."""
    path = Path(path)
    if not (path / "zarr.json").exists():
        raise InputError(f"{path}: there is no stored patch.")
    patch: xr.Dataset = xr.open_zarr(path, consolidated=False, chunks=None, mask_and_scale=False)
    return patch


def sync(path: Path) -> None:
    """Wait until a file has reached the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_raster(
    path: str | Path, values: np.ndarray, geobox: GeoBox, *, names: Sequence[str] = (), nodata: int = 0
) -> Path:
    """Write a GeoTIFF (deflate, 256-pixel tiles), whole or not at all.

    Parameters
    ----------
    path
        Where.
    values
        (band, y, x), any integer or floating dtype that GeoTIFF knows.
    geobox
        Its pixel grid, shape (y, x).
    names
        One description a band.
    nodata
        Value that means missing.
    """
    profile = {
        "driver": "GTiff", "count": values.shape[0], "height": values.shape[1], "width": values.shape[2],
        "dtype": values.dtype.name, "crs": str(geobox.crs), "transform": geobox.transform, "nodata": nodata,
        "compress": "deflate", "tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "band",
    }  # fmt: skip

    def write(part: Path) -> None:
        with rasterio.open(part, "w", **profile) as file:
            file.write(values)
            for number, name in enumerate(names, start=1):
                file.set_band_description(number, name)

    return write_whole(path, write)


def read_points(path: str | Path, x: np.ndarray, y: np.ndarray, *, like: str | Path | None = None) -> np.ndarray:
    """First band of a GeoTIFF at places in its own CRS, or in that of the raster ``like``, (n,); 0 outside."""
    with rasterio.open(path) as file:
        if like is not None:
            with rasterio.open(like) as other:
                if other.crs != file.crs:
                    x, y = transform(other.crs, file.crs, x, y)
        values = file.sample(zip(x, y, strict=True), indexes=1)
        return np.array([value[0] for value in values], file.dtypes[0])


def read_date(path: Path, names: Sequence[str], number: int) -> np.ndarray | None:
    """Some variables of the ``number``-th date of a patch on disk, (names, y, x); None where one is missing.

    Without the detour over a whole Dataset, which costs more than the pixels of one date.
    """
    import zarr

    group: Any = zarr.open_group(path, mode="r")
    if not all(name in group for name in names):
        return None
    return np.stack([np.asarray(group[name][number]) for name in names])


def read_raster(path: str | Path) -> np.ndarray:
    """All bands of a GeoTIFF, (band, y, x)."""
    with rasterio.open(path) as file:
        values: np.ndarray = file.read()
    return values
