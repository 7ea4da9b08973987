"""What a folder of eo-learn's holds, read and written."""

import datetime
import enum
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from landweave.eolearn.features import FeatureType
from landweave.eolearn.holding import BBox, Unread
from landweave.errors import InputError
from landweave.patch.eopatch.features import META, Feature, positions, read_feature
from landweave.patch.eopatch.folder import EOPatchFolder, foreign_entries, is_eopatch, open_eopatch, read_meta_info
from landweave.patch.eopatch.writing import check_feature, write_eopatch


class OverwritePermission(enum.StrEnum):
    """What of a folder may be overwritten."""

    ADD_ONLY = "ADD_ONLY"
    """Nothing; features may be added."""

    OVERWRITE_FEATURES = "OVERWRITE_FEATURES"
    """The features that are saved; others stay."""

    OVERWRITE_PATCH = "OVERWRITE_PATCH"
    """All features; files that are no part of the patch stay."""


@dataclass(frozen=True, kw_only=True)
class FolderContent:
    """What a folder holds, before it is a patch."""

    bbox: BBox | None
    timestamps: list[datetime.datetime] | None
    features: dict[tuple[str, str], Any]
    """Kind and name to a value, or to one that is read when it is touched."""


def read_folder(path: str | Path, *, temporal_selection: Any = None, with_meta_info: bool = True) -> FolderContent:
    """Read what a folder of eo-learn's holds, in any published form.

    Parameters
    ----------
    path
        The folder.
    temporal_selection
        A slice or numbers of dates (the last is -1), true and false for each, or a function of all moments to that.
    with_meta_info
        Whether the one file of meta information that old versions wrote is read as well.

    Raises
    ------
    InputError
        As :func:`landweave.patch.eopatch.folder.open_eopatch`, and for a date that is not there.
    """
    folder = open_eopatch(path)
    moments = list(folder.timestamps) or None
    steps: Any = temporal_selection
    if callable(steps):
        if moments is None:
            raise InputError(f"{folder.path}: the patch has no timestamps to select from; give the numbers of dates.")
        steps = [bool(kept) for kept in steps(list(moments))]
    if moments is not None and steps is not None:
        steps = positions(steps, len(moments), folder.path)
        moments = [moments[step] for step in steps]
    features: dict[tuple[str, str], Any] = {
        key: Unread(read=partial(_read, feature, steps), shown=f"not read yet: {feature.path.name}")
        for key, feature in folder.features.items()
    }
    if folder.old_meta_info is not None and with_meta_info:
        old = read_meta_info(replace(folder, features={}))
        features |= {(META, name): value for name, value in old.items() if (META, name) not in folder.features}
    box = None if folder.bbox is None or folder.crs is None else BBox(folder.bbox, folder.crs)
    return FolderContent(bbox=box, timestamps=moments, features=features)


def write_folder(
    path: str | Path,
    features: Mapping[tuple[str, str], Any],
    *,
    bbox: BBox | None,
    timestamps: list[datetime.datetime] | None,
    overwrite_permission: Any = OverwritePermission.ADD_ONLY,
    use_zarr: bool = False,
) -> Path:
    """Write a folder that eo-learn 1.5 loads; it appears whole or not at all.

    Parameters
    ----------
    path
        The folder: new, empty, or an EOPatch. Of an EOPatch that is already there, features that are not replaced and
        files that are no part of it are kept; its box, its dates and the old file of meta information are rewritten.
    features
        Kind and name to value.
    bbox, timestamps
        Of the patch.
    overwrite_permission
        One of :class:`OverwritePermission`, or its name.
    use_zarr
        Arrays as Zarr instead of gzipped ``.npy``.

    Raises
    ------
    InputError
        Where the permission does not reach, the patch has no bbox, or the folder holds anything else than an EOPatch,
        lies elsewhere or has other dates.
    """
    path = Path(path)
    if bbox is None:
        raise InputError(f"{path}: the patch has no bbox, so it cannot be saved.")
    permission = _permission(overwrite_permission)
    moments, stays = timestamps, []
    meta: dict[tuple[str, str], Any] | None = None
    if is_eopatch(path):
        stays = foreign_entries(path)
        if permission is not OverwritePermission.OVERWRITE_PATCH:
            there = open_eopatch(path)
            meta = _old_meta(there)
            _check_upon(
                there, meta, FolderContent(bbox=bbox, timestamps=timestamps, features=dict(features)), permission
            )
            stays += [feature.path for key, feature in there.features.items() if key not in features]
            # What JSON cannot hold stays in its pickle.
            stays += [there.old_meta_info] if there.old_meta_info is not None and meta is None else []
            moments = moments if moments is not None else list(there.timestamps) or None
            meta = {key: value for key, value in (meta or {}).items() if key not in there.features}
    return write_eopatch(
        path, {**(meta or {}), **features}, bbox=bbox.bbox, crs=bbox.crs, timestamps=moments,
        form=".zarr" if use_zarr else ".npy.gz", kept=stays,
    )  # fmt: skip


def _check_upon(
    there: EOPatchFolder,
    meta: dict[tuple[str, str], Any] | None,
    chosen: FolderContent,
    permission: OverwritePermission,
) -> None:
    path, box = there.path, chosen.bbox
    if there.bbox is not None and there.crs is not None and BBox(there.bbox, there.crs) != box:
        raise InputError(f"{path}: the existing patch has another bbox; choose another folder.")
    lowered = {(kind, name.lower()): name for kind, name in (*there.features, *(meta or {}))}
    for kind, name in chosen.features:
        other = lowered.get((kind, name.lower()))
        if other not in (None, name) and (kind, name) not in there.features:
            raise InputError(
                f"{path}: {kind}/{other} exists and differs from {name} only in upper and lower case; rename one."
            )
        if other is not None and permission is OverwritePermission.ADD_ONLY:
            raise InputError(
                f"{path}: {kind}/{name} exists already; overwrite_permission = OVERWRITE_FEATURES would replace it."
            )
    if chosen.timestamps is None or chosen.timestamps == list(there.timestamps):
        return
    for key, feature in there.features.items():
        kind, name = FeatureType(feature.kind), feature.name
        if kind.is_temporal() and key not in chosen.features:
            # Saved without timestamps, it may have any; the number at least must be right.
            unknown = not there.timestamps and kind.is_array()
            if not unknown or feature.shape[0] != len(chosen.timestamps):
                raise InputError(f"{path}: {kind}/{name} in this folder has other dates; save to another folder.")


def _old_meta(there: EOPatchFolder) -> dict[tuple[str, str], Any] | None:
    """What the one file of meta information holds; None where it cannot be written as eo-learn 1.5 has it."""
    try:
        content = read_meta_info(replace(there, features={}))
        for name, value in content.items():
            check_feature(META, name, value)
    except InputError:
        return None
    return {(META, name): value for name, value in content.items()}


def _permission(given: Any) -> OverwritePermission:
    try:
        return OverwritePermission(getattr(given, "value", given))
    except ValueError:
        raise InputError(f"overwrite_permission {given!r} is unknown; use {', '.join(OverwritePermission)}.") from None


def _read(feature: Feature, steps: Any) -> Any:
    if steps is not None and FeatureType(feature.kind).is_temporal() and FeatureType(feature.kind).is_array():
        return read_feature(feature, dates=steps)
    return read_feature(feature)
