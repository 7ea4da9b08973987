"""A patch on disk, as Zarr, written whole or not at all."""

import errno
import filecmp
import glob
import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import transform

from landweave.errors import InputError, blame_machine, named
from landweave.patch.model import TIME
from landweave.patch.raster.header import check_chunks

if TYPE_CHECKING:
    import pandas as pd

DATA_SET = "landweave data set 1"
"""Under ``landweave:format`` in the STAC collection of a data set of patches."""


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
            for inner in filter(Path.is_file, part.rglob("*")):
                sync(inner)
            # A folder cannot replace a full one: the old one steps aside first.
            old = part.with_name(part.name + ".old")
            for inner in filter(Path.is_dir, [part, *part.rglob("*")]):
                sync_folder(inner)
            if path.exists():
                path.rename(old)
            try:
                part.rename(path)
            except BaseException:
                if old.exists():
                    old.rename(path)
                raise
            sync_folder(path.parent)
            shutil.rmtree(old, ignore_errors=True)
        else:
            if synced:
                sync(part)
            part.replace(path)
            if synced:
                sync_folder(path.parent)
    except BaseException:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)
        raise
    return path


def write_geopackage(path: str | Path, write: Callable[[Path], None], *, moment: str = "2000-01-01") -> Path:
    """Write a GeoPackage, whole or not at all, dated by :func:`dated`.

    GDAL writes counts, extents and indices when it closes a file, and pyogrio does not report what fails then. So the
    file is written twice and compared: equal content gives equal bytes.

    Parameters
    ----------
    path
        Where.
    write
        Given the temporary path, writes the layers there, the same ones each time.
    moment
        As of :func:`dated`.

    Raises
    ------
    OSError
        Where the two differ, or GDAL reports that it cannot write.
    """
    import pyogrio

    path = Path(path)

    def twice(part: Path) -> None:
        again = part.with_name(f"{part.stem}.again{part.suffix}")
        try:
            write(part)
            write(again)
            whole = filecmp.cmp(part, again, shallow=False)
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as error:
            raise OSError(f"{path}: cannot be written: {error}") from None
        finally:
            for beside in part.parent.glob(f"{glob.escape(again.name)}*"):
                beside.unlink(missing_ok=True)
            for beside in part.parent.glob(f"{glob.escape(part.name)}-*"):
                beside.unlink(missing_ok=True)
        if not whole:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    with dated(moment):
        return write_whole(path, twice)


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

    Bands are int16 and masks uint8 or bool, with axes (time, y, x) or (y, x). Attributes such as ``_FillValue`` are
    kept and change no number. Metadata are consolidated: servers that cannot list a folder are read from, too.
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
        _consolidate(folder)

    return write_whole(path, write)


def _consolidate(folder: Path) -> None:
    """As ``zarr.consolidate_metadata``, which names the arrays in the order in which they answer: other bytes."""
    members = {path.parent.name: json.loads(path.read_bytes()) for path in sorted(folder.glob("*/zarr.json"))}
    group = json.loads((folder / "zarr.json").read_bytes())
    group["consolidated_metadata"] = {"kind": "inline", "must_understand": False, "metadata": members}
    (folder / "zarr.json").write_text(json.dumps(group, indent=2, allow_nan=False), encoding="utf-8")


def read_patch(path: str | Path) -> xr.Dataset:
    """Open a patch kept by :func:`write_patch`, lazily; InputError when it is not one."""
    path = Path(path)
    if not (path / "zarr.json").exists():
        raise InputError(f"{path}: there is no stored patch.")
    try:
        with named(path):
            patch: xr.Dataset = xr.open_zarr(path, consolidated=False, chunks=None, mask_and_scale=False)
            for one in patch.variables.values():
                check_chunks(one.shape, one.encoding.get("chunks"), one.dtype)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - Zarr, its codecs and xarray refuse in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"{path}: the stored patch is damaged ({reason}); make or download it again.") from None
    return patch


def read_table(path: str | Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """A Parquet table of a run.

    Parameters
    ----------
    path
        The file.
    columns
        Names of the only columns to read; all by default.

    Raises
    ------
    InputError
        When the file is damaged.
    OSError
        Where the machine fails; it names the file.
    """
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path, columns=None if columns is None else list(columns))
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowInvalid) as error:
        blame_machine(path, error)
        reason = (str(error).splitlines() or [""])[0][:120]
        raise InputError(f"{path}: the table is damaged ({reason}); remove it and run again.") from None


def sync(path: Path) -> None:
    """Wait until a file has reached the disk."""
    with path.open("rb") as file:
        if sys.platform == "darwin":
            import fcntl

            # There fsync leaves the bytes in the disk's cache; some file systems know nothing else.
            with suppress(OSError):
                fcntl.fcntl(file, fcntl.F_FULLFSYNC)
                return
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder have reached the disk; some file systems cannot, and keep them in order."""
    if os.name == "nt":
        return
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EROFS}:
            raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(folder)


def sweep(folder: Path, stem: str | None = None) -> None:
    """Remove what :func:`write_whole` of a killed process had begun in a folder, not below it.

    Parameters
    ----------
    folder
        Where; nobody else may be writing there.
    stem
        Stem of the only files or folders to look for, where others may be written at the same time.
    """
    for part in folder.glob(".*.part*" if stem is None else f".{glob.escape(stem)}.????????.part*"):
        if part.is_dir() and not part.is_symlink():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def write_raster(
    path: str | Path,
    values: np.ndarray,
    geobox: GeoBox,
    *,
    names: Sequence[str] = (),
    nodata: int = 0,
    synced: bool = True,
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
    synced
        As for :func:`write_whole`.
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

    return write_whole(path, write, synced=synced)


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

    with named(path):
        return _date_of(zarr.open_group(path, mode="r"), names, number)


def _date_of(group: Any, names: Sequence[str], number: int) -> np.ndarray | None:
    if not all(name in group for name in names):
        return None
    return np.stack([np.asarray(group[name][number]) for name in names])


def read_raster(path: str | Path) -> np.ndarray:
    """All bands of a GeoTIFF, (band, y, x)."""
    with rasterio.open(path) as file:
        return file.read()  # type: ignore[no-any-return]
