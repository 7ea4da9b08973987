"""eo-learn's EOPatch folder, in every form that was published, as named arrays on a pixel grid.

An EOPatch is a folder with a box (``bbox``), dates (``timestamps``) and a sub-folder for each kind of feature, where a
file, or a Zarr folder, is one feature. eo-learn 0.x pickled box, dates and meta information; such files are followed
by :mod:`landweave.patch.eopatch.old_pickles` and never unpickled.
"""

import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.crs import CRS
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.eopatch.features import (
    AXES,
    META,
    VECTORS,
    Feature,
    Window,
    form_of,
    positions,
    read_feature,
    read_plain,
)
from landweave.patch.model import make_patch

KINDS = (*AXES, *VECTORS, META)
_PICKLED = (".pkl", ".pkl.gz")
_FEATURES = {
    **dict.fromkeys(AXES, (".npy", ".npy.gz", ".zarr", *_PICKLED)),
    **dict.fromkeys(VECTORS, (".gpkg", ".gpkg.gz", ".geojson", ".geojson.gz", *_PICKLED)),
    META: (".json", ".json.gz", *_PICKLED),
}
_DATES, _BOX = ("timestamps", "timestamp"), ("bbox",)
_PLAIN = ("", ".json", ".json.gz", ".geojson", ".geojson.gz", ".pkl", ".pkl.gz")


@dataclass(frozen=True, kw_only=True)
class EOPatchFolder:
    """What an EOPatch folder holds; arrays, vectors and meta information are read when they are touched."""

    path: Path
    """The folder."""

    bbox: tuple[float, float, float, float] | None
    """Left, bottom, right, top in ``crs``; None where the patch has no box."""

    crs: str | None
    """Such as ``EPSG:32633``; x is longitude in ``EPSG:4326``."""

    timestamps: tuple[datetime.datetime, ...]
    """Moments of the time axis as written: without a time zone they are UTC."""

    features: Mapping[tuple[str, str], Feature]
    """(kind, name) to feature, sorted."""

    files: tuple[Path, ...] = ()
    """Those of box and dates."""

    old_meta_info: Path | None = None
    """The one file of all meta information, in folders of eo-learn before 1.4."""


def open_eopatch(path: str | Path) -> EOPatchFolder:
    """Look at an EOPatch folder: its box and dates are read, its features are listed.

    Parameters
    ----------
    path
        The folder.

    Returns
    -------
    EOPatchFolder

    Raises
    ------
    InputError
        For what is no EOPatch folder, a box or dates that cannot be read, a pickle that holds anything else, and a
        feature that is there in two forms.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder of an EOPatch.")
    box, dates, old_meta = None, None, None
    features: dict[tuple[str, str], Feature] = {}
    for entry in sorted(path.iterdir()):
        if entry.is_dir():
            if entry.name in KINDS:
                for feature in _list(entry):
                    key = (feature.kind, feature.name)
                    if key in features:
                        raise InputError(
                            f"{feature.path}: {features[key].path.name} is the same feature; remove one of them."
                        )
                    features[key] = feature
        elif _is_told(entry, _BOX):
            box = _only(entry, box)
        elif _is_told(entry, _DATES):
            dates = _only(entry, dates)
        elif _is_told(entry, (META,)):
            old_meta = _only(entry, old_meta)
    if box is None and not features:
        raise InputError(f"{path}: not an EOPatch: there is neither a bbox nor a folder of features such as data.")
    bounds, crs = _read_box(box) if box is not None else (None, None)
    return EOPatchFolder(
        path=path, bbox=bounds, crs=crs, timestamps=_read_dates(dates) if dates is not None else (),
        features=dict(sorted(features.items())), old_meta_info=old_meta,
        files=tuple(file for file in (box, dates) if file is not None),
    )  # fmt: skip


def list_eopatches(path: str | Path) -> list[EOPatchFolder]:
    """The EOPatch that a folder is, or all those that lie in it, by name.

    Raises
    ------
    InputError
        Where there is none, and as :func:`open_eopatch`.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such folder of EOPatches.")
    if is_eopatch(path):
        return [open_eopatch(path)]
    found = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".") and is_eopatch(entry)]
    if not found:
        raise InputError(
            f"{path}: no EOPatch in this folder: none of its folders has a bbox or arrays such as data/BANDS.npy."
        )
    return [open_eopatch(entry) for entry in found]


def is_eopatch(path: str | Path) -> bool:
    """Whether a folder looks like an EOPatch: it has a box, or a sub-folder such as ``data`` with a feature in it."""
    path = Path(path)
    if not path.is_dir():
        return False
    return any(
        _is_told(entry, _BOX) or (entry.name in KINDS and entry.is_dir() and _list(entry)) for entry in path.iterdir()
    )


def foreign_entries(path: str | Path) -> list[Path]:
    """What lies in an EOPatch folder, or in its folders of features, and is no part of the patch."""
    found = []
    for entry in sorted(Path(path).iterdir()):
        if entry.name in KINDS and entry.is_dir():
            own = {feature.path for feature in _list(entry)}
            found += [inner for inner in sorted(entry.iterdir()) if inner not in own]
        elif not _is_told(entry, (*_BOX, *_DATES, META)):
            found.append(entry)
    return found


def feature_of(folder: EOPatchFolder, kind: str, name: str) -> Feature:
    """A feature by its name; InputError that lists what there is."""
    found = folder.features.get((kind, name))
    if found is None:
        there = ", ".join(f"{one}/{other}" for one, other in folder.features) or "none"
        raise InputError(f"{folder.path}: no feature {kind}/{name}; there are {there}.")
    return found


def read_meta_info(folder: EOPatchFolder) -> dict[str, Any]:
    """All meta information of a patch, by name, whether it lies in one file or in many."""
    found: dict[str, Any] = {}
    if folder.old_meta_info is not None:
        content = read_plain(folder.old_meta_info)
        if not isinstance(content, dict):
            raise InputError(f"{folder.old_meta_info}: meta information must be a table of names; save it again.")
        found.update(content)
    for (kind, name), feature in folder.features.items():
        if kind == META:
            found[name] = read_feature(feature)
    return found


def grid_of(folder: EOPatchFolder, feature: Feature) -> GeoBox:
    """The pixel grid of a spatial array: the patch's box divided into its rows and columns.

    Raises
    ------
    InputError
        Where the patch has no box, or box and shape do not fit: in a projected CRS pixels are square, and rows and
        columns may be a pixel more or less than the box asks for.
    """
    if "yx" not in feature.axes:
        raise InputError(f"{feature.path}: a feature of {feature.kind} has no rows and columns.")
    height, width = (feature.shape[feature.axes.index(axis)] for axis in "yx")
    if folder.bbox is None or folder.crs is None:
        raise InputError(f"{folder.path}: the patch has no bbox, so the place of its pixels is unknown.")
    left, bottom, right, top = folder.bbox
    across, up = right - left, top - bottom
    if not height or not width:
        raise InputError(f"{feature.path}: {height} x {width} pixels; the array is empty.")
    geobox = GeoBox(
        (height, width), Affine(across / width, 0.0, left, 0.0, -up / height, top), folder.crs
    )  # fmt: skip
    if not geobox.crs.geographic:
        # The sides of a pixel that each direction allows.
        least, most = max(across / (width + 1), up / (height + 1)), min(across / _less(width), up / _less(height))
        if least > most:
            raise InputError(
                f"{feature.path}: {height} rows and {width} columns do not fit the bbox of {across:g} by {up:g} "
                f"({folder.crs}): pixels would be {across / width:.4g} wide and {up / height:.4g} high."
            )
    return geobox


def moments_of(folder: EOPatchFolder, feature: Feature) -> list[datetime.datetime]:
    """The moments of a feature's time axis, in UTC, without a time zone.

    Raises
    ------
    InputError
        Where the patch has fewer or more dates than the feature.
    """
    if len(folder.timestamps) != feature.shape[0]:
        raise InputError(f"{feature.path}: {feature.shape[0]} dates, but the patch has {len(folder.timestamps)}.")
    return [
        moment.astimezone(datetime.UTC).replace(tzinfo=None) if moment.tzinfo else moment
        for moment in folder.timestamps
    ]


def to_dataset(
    folder: EOPatchFolder,
    features: Sequence[tuple[str, str]] | None = None,
    *,
    names: Mapping[tuple[str, str], Sequence[str]] | None = None,
    dates: Window = None,
) -> xr.Dataset:
    """Spatial arrays of a patch with named axes, values as stored.

    Parameters
    ----------
    folder
        From :func:`open_eopatch`.
    features
        (kind, name) of ``data``, ``mask``, ``data_timeless`` or ``mask_timeless``; None: all of them.
    names
        For a feature, a name for each of its bands. Without: the feature's own name where it has one band, else that
        with ``_0``, ``_1``, ...
    dates
        Which of the time axis, as for :func:`landweave.patch.eopatch.features.read_feature`.

    Returns
    -------
    xarray.Dataset
        A variable a band, axes (time, y, x) or (y, x), with the geobox of :func:`grid_of`; dates in UTC.

    Raises
    ------
    InputError
        For a feature that is not there, is damaged or not spatial, or has another grid than the rest; for names that
        are too few, too many, or given twice.
    """
    spatial = [key for key in folder.features if "yx" in AXES.get(key[0], "")]
    wanted = spatial if features is None else list(features)
    if not wanted:
        raise InputError(f"{folder.path}: the patch has no data or mask with rows and columns.")
    variables: dict[str, np.ndarray] = {}
    geobox, times = None, None
    for kind, name in wanted:
        feature = feature_of(folder, kind, name)
        grid = grid_of(folder, feature)
        if geobox is not None and grid != geobox:
            raise InputError(
                f"{feature.path}: {' x '.join(map(str, grid.shape))} pixels, but other features have "
                f"{' x '.join(map(str, geobox.shape))}; read them separately."
            )
        geobox = grid
        temporal = feature.axes[0] == "t"
        if temporal and times is None:
            moments = np.array(moments_of(folder, feature), "datetime64[ns]")
            times = moments if dates is None else moments[positions(dates, len(moments), feature.path)]
        elif temporal:
            moments_of(folder, feature)
        values = read_feature(feature, dates=dates) if temporal else read_feature(feature)
        for number, band in enumerate(_bands(feature, (names or {}).get((kind, name)))):
            if band in variables:
                raise InputError(f"{feature.path}: {band!r} is the name of two bands; give different names.")
            variables[band] = values[..., number]
    assert geobox is not None
    return make_patch(variables, geobox, times)


def _bands(feature: Feature, given: Sequence[str] | None) -> list[str]:
    depth = feature.shape[-1]
    if given is not None:
        if len(given) != depth:
            raise InputError(f"{feature.path}: {len(given)} names are given for {depth} bands.")
        return list(given)
    return [feature.name] if depth == 1 else [f"{feature.name}_{number}" for number in range(depth)]


def _is_told(entry: Path, names: Sequence[str]) -> bool:
    name, form = form_of(entry.name)
    return name in names and form in _PLAIN and not entry.is_dir()


def _less(pixels: int) -> float:
    return pixels - 1 if pixels > 1 else 0.5


def _list(folder: Path) -> list[Feature]:
    # Files that are hidden, or end otherwise, are no features; nor is a table of somebody's in a folder called data.
    found = []
    for path in sorted(folder.iterdir()):
        name, form = form_of(path.name)
        if form in _FEATURES[folder.name] and not path.name.startswith(".") and path.is_dir() == (form == ".zarr"):
            found.append(Feature(kind=folder.name, name=name, path=path))
    return found


def _only(path: Path, other: Path | None) -> Path:
    if other is not None:
        raise InputError(f"{path}: {other.name} has the same content; remove one of them.")
    return path


def _read_dates(path: Path) -> tuple[datetime.datetime, ...]:
    content = read_plain(path)
    moments = []
    for value in content if isinstance(content, list | tuple) else [content]:
        try:
            moment = value if isinstance(value, datetime.datetime) else datetime.datetime.fromisoformat(value)
        except (TypeError, ValueError):
            # Of a list within lists the text may be far longer than the file.
            shown = repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
            raise InputError(f"{path}: {shown} is not a date; write dates as 2017-01-31T10:05:00.") from None
        moments.append(moment)
    return tuple(moments)


def _read_box(path: Path) -> tuple[tuple[float, float, float, float], str]:
    content = read_plain(path)
    try:
        # A Feature has its box within, and its CRS perhaps beside it.
        content = {**{key: content[key] for key in ("crs",) if key in content}, **content.get("geometry", content)}
        if "min_x" in content:
            corners = [[content["min_x"], content["min_y"]], [content["max_x"], content["max_y"]]]
            crs = f"EPSG:{int(content['_crs'] if '_crs' in content else content['crs'])}"
        else:
            corners = content["coordinates"]
            crs = _crs_of(content)
        x, y = np.moveaxis(np.array(corners, "float64"), -1, 0)
        (left, right), (bottom, top) = ((axis.min().item(), axis.max().item()) for axis in (x, y))
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise InputError(f"{path}: there is no box with coordinates and a CRS; save the patch again.") from None
    if not np.isfinite([left, bottom, right, top]).all() or left >= right or bottom >= top:
        raise InputError(
            f"{path}: the box {left:g}, {bottom:g}, {right:g}, {top:g} has no extent; save the patch again."
        )
    try:
        CRS(crs)
    except Exception:  # noqa: BLE001 - pyproj has many ways to say that a CRS is unknown
        raise InputError(f"{path}: {crs[:40]} is not a known CRS; save the patch again.") from None
    return (left, bottom, right, top), crs


def _crs_of(geojson: Mapping[str, Any]) -> str:
    if "crs" not in geojson:
        # As GeoJSON has it.
        return "EPSG:4326"
    written = str(geojson["crs"]["properties"]["name"])
    if written.upper().endswith("CRS84"):
        return "EPSG:4326"
    code = re.search(r"EPSG:+(?:[\d.]+:)?(\d+)$", written, flags=re.IGNORECASE)
    if code is None:
        raise ValueError(written)
    return f"EPSG:{code[1]}"
