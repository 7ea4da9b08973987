"""A patch as an EOPatch folder that eo-learn 1.5 loads, written whole or not at all."""

import datetime
import gzip
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import xarray as xr
from odc.geo.crs import CRS

from landweave.errors import InputError
from landweave.patch.eopatch.features import AXES, DISCRETE, META, VECTORS
from landweave.patch.eopatch.folder import foreign_entries, is_eopatch
from landweave.patch.model import TIME, check_patch
from landweave.patch.store import dated, write_whole
from landweave.patch.vectors.writing import writing

WRITTEN = (".npy.gz", ".npy", ".zarr")
"""Forms in which arrays can be written."""


def write_eopatch(
    path: str | Path,
    features: Mapping[tuple[str, str], Any],
    *,
    bbox: tuple[float, float, float, float],
    crs: str,
    timestamps: Sequence[datetime.datetime] | None = (),
    form: str = ".npy.gz",
    kept: Sequence[Path] = (),
) -> Path:
    """Write a folder in the form of eo-learn 1.5; what was there before stays until it is whole.

    Parameters
    ----------
    path
        The folder: new, empty, or an EOPatch, which is replaced.
    features
        (kind, name) to an array with the axes of :data:`landweave.patch.eopatch.features.AXES`, a
        ``geopandas.GeoDataFrame`` for vectors, or what JSON can hold for ``meta_info``: there dates become ISO text,
        durations seconds, and NumPy's numbers plain ones.
    bbox
        Left, bottom, right, top in ``crs``.
    crs
        A CRS with an EPSG number; x is longitude in ``EPSG:4326``.
    timestamps
        A moment for each step of the time axes; UTC where it has no time zone. None: none are written, and arrays may
        have any number of steps.
    form
        Of arrays: ``.npy.gz`` as eo-learn does by default, ``.npy`` (read by windows without unpacking), or ``.zarr``
        (format 2, a chunk a date).
    kept
        Files and folders of the EOPatch that stands there, which the new one shall hold as they are.

    Returns
    -------
    pathlib.Path
        ``path``. The same features give the same bytes.

    Raises
    ------
    InputError
        For a file, or a folder of anything else, that stands there, an unknown kind or form, a name that eo-learn
        cannot read back, an array with other axes or dates, and a CRS without EPSG number; nothing has been written
        then.
    """
    path = Path(path)
    _check_place(path)
    if form not in WRITTEN:
        raise InputError(f"form {form!r} is unknown; use {', '.join(WRITTEN)}.")
    left, bottom, right, top = bbox
    if not (np.isfinite(bbox).all() and left < right and bottom < top):
        raise InputError(f"bbox {tuple(bbox)} must be left, bottom, right, top.")
    number = CRS(crs).to_epsg()
    if number is None:
        raise InputError(f"{crs[:60]}: eo-learn needs a CRS with an EPSG number.")
    lowered: set[tuple[str, str]] = set()
    for (kind, name), value in features.items():
        check_feature(kind, name, value, None if timestamps is None else len(timestamps))
        if (kind, name.lower()) in lowered:
            raise InputError(f"{kind}/{name}: another feature differs only in upper and lower case; rename one.")
        lowered.add((kind, name.lower()))
        if path / kind in kept:
            raise InputError(f"{path / kind}: features of {kind} need a folder of this name; move the file away.")
    corners = [[left, bottom], [left, top], [right, top], [right, bottom], [left, bottom]]
    box = {
        "crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{number}"}},
        "type": "Polygon",
        "coordinates": [[[float(x), float(y)] for x, y in corners]],
    }

    def write(folder: Path) -> None:
        folder.mkdir()
        for entry in kept:
            _carry(entry, folder / entry.relative_to(path))
        (folder / "bbox.geojson").write_text(json.dumps(box, indent=2))
        if timestamps:
            (folder / "timestamps.json").write_text(json.dumps([moment.isoformat() for moment in timestamps], indent=2))
        for (kind, name), value in features.items():
            (folder / kind).mkdir(exist_ok=True)
            _write(folder / kind / name, kind, value, form)

    # Where a link stands, what it leads to is replaced.
    write_whole(path.resolve(), write)
    return path


def write_dataset(
    path: str | Path, patch: xr.Dataset, features: Mapping[tuple[str, str], Sequence[str]], *, form: str = ".npy.gz"
) -> Path:
    """Write variables of a patch as features, on the patch's grid and with its dates.

    Parameters
    ----------
    path, form
        As for :func:`write_eopatch`.
    patch
        Variables (time, y, x) or (y, x), with a geobox that is not rotated.
    features
        (kind, name) of ``data``, ``mask``, ``data_timeless`` or ``mask_timeless`` to the variables that are its
        bands, in order. Values are written as they are.

    >>> import tempfile
    >>> from odc.geo.geobox import GeoBox
    >>> from landweave.patch.eopatch.folder import open_eopatch, to_dataset
    >>> from landweave.patch.model import make_patch
    >>> grid = GeoBox.from_bbox((500000, 5000000, 500040, 5000030), "EPSG:32633", resolution=10)
    >>> patch = make_patch({"B04": np.ones((1, 3, 4), "float32")}, grid, ["2017-05-01"])
    >>> folder = tempfile.TemporaryDirectory()
    >>> written = write_dataset(f"{folder.name}/patch", patch, {("data", "BANDS"): ["B04"]})
    >>> to_dataset(open_eopatch(written), names={("data", "BANDS"): ["B04"]}).equals(patch)
    True
    """
    geobox = patch.odc.geobox
    if geobox is None or not geobox.axis_aligned:
        raise InputError("The patch has no grid along its axes; eo-learn needs a box.")
    arrays = {}
    for (kind, name), variables in features.items():
        if "yx" not in AXES.get(kind, ""):
            raise InputError(f"{kind}/{name}: variables of a patch are written as data or masks, with or without time.")
        check_patch(patch, *variables)
        arrays[kind, name] = np.stack([patch[variable].values for variable in variables], axis=-1)
    box, times = geobox.boundingbox, patch[TIME].values if TIME in patch.coords else np.empty(0, "datetime64[ns]")
    moments = cast("list[datetime.datetime]", times.astype("datetime64[us]").tolist())
    return write_eopatch(
        path, arrays, bbox=(box.left, box.bottom, box.right, box.top), crs=str(geobox.crs),
        timestamps=moments, form=form,
    )  # fmt: skip


def check_feature(kind: str, name: str, value: Any, dates: int | None = None) -> None:
    """InputError where :func:`write_eopatch` cannot write a feature; None stands for any number of dates."""
    where = f"{kind}/{name}"
    # eo-learn takes what follows the first dot for the ending.
    if not isinstance(name, str) or not name or set(name) & set("./\\") or name.startswith("."):
        raise InputError(f"{where}: eo-learn does not read names with a dot or a slash; rename the feature.")
    if kind in VECTORS:
        if not hasattr(value, "to_file"):
            raise InputError(f"{where}: vectors must be a GeoDataFrame, not {type(value).__name__}.")
        return
    if kind == META:
        try:
            _json(value)
        except (TypeError, ValueError, RecursionError):
            raise InputError(f"{where}: meta information must be valid in JSON.") from None
        return
    if kind not in AXES:
        raise InputError(f"{where}: unknown kind; use {', '.join([*AXES, *VECTORS, META])}.")
    array, axes = np.asarray(value), AXES[kind]
    if array.ndim != len(axes):
        raise InputError(f"{where}: shape {array.shape}; it needs {len(axes)} axes ({', '.join(axes)}).")
    if axes[0] == "t" and dates is not None and len(array) != dates:
        raise InputError(f"{where}: {len(array)} dates, but {dates} timestamps are given.")
    if array.dtype.hasobject or (kind in DISCRETE and array.dtype.kind not in "iub"):
        raise InputError(f"{where}: {array.dtype} is not allowed; {kind} needs whole numbers or true and false.")


def _check_place(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: a file with this name exists; name another folder for the patch.")
    if path.is_dir() and not is_eopatch(path):
        # What a save that was broken off left: folders of kinds, with nothing in them.
        other = [*foreign_entries(path), *(entry for entry in sorted(path.iterdir()) if not entry.is_dir())]
        if other:
            raise InputError(
                f"{path}: it contains {other[0].name} and is not an EOPatch, so it is not overwritten; name a separate "
                "folder for this patch (in SaveTask: eopatch_folder)."
            )


def _carry(old: Path, new: Path) -> None:
    new.parent.mkdir(exist_ok=True)
    if old.is_symlink():
        new.symlink_to(old.readlink())
    elif old.is_dir():
        shutil.copytree(old, new, symlinks=True, copy_function=_same_bytes)
    else:
        _same_bytes(old, new)


def _same_bytes(old: str | Path, new: str | Path) -> None:
    # A second name needs neither time nor room; not every disk knows such.
    try:
        os.link(old, new)
    except OSError:
        shutil.copy2(old, new)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, default=_plain)


def _plain(value: Any) -> Any:
    # Dates as eo-learn has them; the rest it refuses, though its older folders hold such.
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return dict(value)
    for kind, plain in ((np.bool_, bool), (np.integer, int), (np.floating, float)):
        if isinstance(value, kind):
            return plain(value)
    raise TypeError(type(value).__name__)


def _write(stem: Path, kind: str, value: Any, form: str) -> None:
    if kind in VECTORS:
        _write_vectors(stem, value)
    elif kind == META:
        with _packed(stem.with_name(f"{stem.name}.json.gz")) as file:
            file.write(_json(value).encode())
    elif form == ".zarr":
        import zarr

        array = np.asarray(value)
        chunks = tuple(max(1, size) for size in ((1, *array.shape[1:]) if AXES[kind][0] == "t" else array.shape))
        stored = zarr.create_array(
            stem.with_name(f"{stem.name}.zarr"), shape=array.shape, dtype=array.dtype, chunks=chunks, zarr_format=2,
            config={"write_empty_chunks": True},
        )  # fmt: skip
        stored[...] = array
    elif form == ".npy":
        np.save(stem.with_name(f"{stem.name}.npy"), np.asarray(value), allow_pickle=False)
    else:
        with _packed(stem.with_name(f"{stem.name}.npy.gz")) as file:
            np.save(file, np.asarray(value), allow_pickle=False)


def _packed(path: Path) -> BinaryIO:
    # No time in the header, so that the same content is the same bytes.
    return cast("BinaryIO", gzip.GzipFile(path, "wb", compresslevel=1, mtime=0))


def _write_vectors(stem: Path, table: Any) -> None:
    import pyogrio

    plain = stem.with_name(f"{stem.name}.gpkg")
    with dated(), writing(plain, plain):
        pyogrio.write_dataframe(table, plain, driver="GPKG", layer=stem.name, encoding="utf-8")
    with _packed(plain.with_name(f"{plain.name}.gz")) as file:
        file.write(plain.read_bytes())
    plain.unlink()
