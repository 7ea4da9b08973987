"""An EOPatch from a folder and into one."""

import enum
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from landweave.eolearn.features import FeatureType, names_kind
from landweave.eolearn.holding import BBox, Unread, same
from landweave.eolearn.patch import EOPatch
from landweave.errors import InputError
from landweave.patch.eopatch_features import META, Feature, positions, read_feature
from landweave.patch.eopatch_folder import EOPatchFolder, foreign_entries, is_eopatch, open_eopatch, read_meta_info
from landweave.patch.eopatch_writing import check_feature, write_eopatch


class OverwritePermission(enum.StrEnum):
    """What of a folder may be overwritten."""

    ADD_ONLY = "ADD_ONLY"
    """Nothing; features may be added."""

    OVERWRITE_FEATURES = "OVERWRITE_FEATURES"
    """The features that are saved; others stay."""

    OVERWRITE_PATCH = "OVERWRITE_PATCH"
    """All features; files that are no part of the patch stay."""


def load_patch(
    path: str | Path,
    *,
    features: Any = ...,
    lazy_loading: bool = False,
    load_timestamps: bool | str = "auto",
    temporal_selection: slice | Sequence[int] | Sequence[bool] | Callable[..., Any] | None = None,
) -> EOPatch:
    """Read a folder of eo-learn's, in any published form.

    Parameters
    ----------
    path
        The folder.
    features
        Which features.
    lazy_loading
        Read each when it is touched.
    load_timestamps
        ``"auto"``: where all features, or one with time, are asked for.
    temporal_selection
        A slice or numbers of dates (the last is -1), true and false for each, or a function of all moments to that.

    Raises
    ------
    InputError
        As :func:`landweave.patch.eopatch_folder.open_eopatch`, and for a feature or a date that is not there.
    """
    folder = open_eopatch(path)
    moments = list(folder.timestamps) or None
    steps: Any = temporal_selection
    if callable(steps):
        if moments is None:
            raise InputError(f"{folder.path}: no timestamps are there to choose among; give numbers of dates.")
        steps = [bool(kept) for kept in steps(list(moments))]
    if moments is not None and steps is not None:
        steps = positions(steps, len(moments), folder.path)
        moments = [moments[step] for step in steps]
    whole = EOPatch(
        bbox=None if folder.bbox is None or folder.crs is None else BBox(folder.bbox, folder.crs), timestamps=moments
    )
    for (kind, name), feature in folder.features.items():
        whole[kind, name] = Unread(read=partial(_read, feature, steps), shown=f"not read yet: {feature.path.name}")
    if folder.old_meta_info is not None and names_kind(features, META):
        for name, value in read_meta_info(replace(folder, features={})).items():
            if (META, name) not in folder.features:
                whole[META, name] = value
    patch = whole.copy(features, copy_timestamps=load_timestamps)
    if not lazy_loading:
        for key in patch.get_features():
            _ = patch[key]
    return patch


def save_patch(
    patch: EOPatch,
    path: str | Path,
    *,
    features: Any = ...,
    overwrite_permission: Any = OverwritePermission.ADD_ONLY,
    save_timestamps: bool | str = "auto",
    use_zarr: bool = False,
) -> Path:
    """Write a folder that eo-learn 1.5 loads; it stands there whole or not at all.

    Parameters
    ----------
    patch
        With a bbox.
    path
        The folder: new, empty, or an EOPatch. What stays of one that is there already, files that are no part of it
        among them, stays as it is; its box, its dates and the one file of meta information of old are written anew.
    features
        Which features.
    overwrite_permission
        One of :class:`OverwritePermission`, or its name.
    save_timestamps
        ``"auto"``: where all features, or one with time, are saved.
    use_zarr
        Arrays as Zarr instead of gzipped ``.npy``.

    Raises
    ------
    InputError
        Where the permission does not reach, the patch has no bbox, or the folder holds anything else than an EOPatch,
        lies elsewhere or has other dates.
    """
    path = Path(path)
    if patch.bbox is None:
        raise InputError(f"{path}: the patch has no bbox, so it cannot be saved.")
    permission = _permission(overwrite_permission)
    chosen = patch.copy(features, copy_timestamps=save_timestamps)
    moments, stays = chosen.timestamps, []
    meta: dict[tuple[str, str], Any] | None = None
    if is_eopatch(path):
        stays = foreign_entries(path)
        if permission is not OverwritePermission.OVERWRITE_PATCH:
            there = open_eopatch(path)
            meta = _old_meta(there)
            _check_upon(there, meta, chosen, permission)
            stays += [feature.path for key, feature in there.features.items() if key not in chosen]
            # What cannot be told in JSON stays in its pickle.
            stays += [there.old_meta_info] if there.old_meta_info is not None and meta is None else []
            moments = moments if moments is not None else list(there.timestamps) or None
            meta = {key: value for key, value in (meta or {}).items() if key not in there.features}
    arrays = {**(meta or {}), **{(str(kind), name): chosen[kind, name] for kind, name in chosen.get_features()}}
    return write_eopatch(
        path, arrays, bbox=patch.bbox.bbox, crs=patch.bbox.crs, timestamps=moments,
        form=".zarr" if use_zarr else ".npy.gz", kept=stays,
    )  # fmt: skip


def merged(one: EOPatch, other: EOPatch) -> EOPatch:
    """A patch with the features of both; InputError where they lie elsewhere, or have other dates or values."""
    if one.bbox is not None and other.bbox is not None and one.bbox != other.bbox:
        raise InputError(f"Patches of different boxes cannot be merged: {one.bbox} and {other.bbox}.")
    if one.timestamps is not None and other.timestamps is not None and one.timestamps != other.timestamps:
        raise InputError("Patches of different timestamps cannot be merged; choose common dates first.")
    new = EOPatch(
        bbox=one.bbox or other.bbox, timestamps=one.timestamps if one.timestamps is not None else other.timestamps
    )
    for patch in (one, other):
        for kind, name in patch.get_features():
            if (kind, name) in new and not same(new[kind, name], patch[kind, name]):
                raise InputError(f"{kind}/{name} has other values in the other patch; rename one of them.")
            new[kind, name] = patch[kind].held(name)
    return new


def _check_upon(
    there: EOPatchFolder, meta: dict[tuple[str, str], Any] | None, chosen: EOPatch, permission: OverwritePermission
) -> None:
    path, box = there.path, chosen.bbox
    if there.bbox is not None and there.crs is not None and BBox(there.bbox, there.crs) != box:
        raise InputError(f"{path}: the patch there lies elsewhere; choose another folder.")
    lowered = {(kind, name.lower()): name for kind, name in (*there.features, *(meta or {}))}
    for kind, name in chosen.get_features():
        other = lowered.get((kind, name.lower()))
        if other not in (None, name) and (kind, name) not in there.features:
            raise InputError(
                f"{path}: {kind}/{other} there differs from {name} in upper and lower case only; rename it."
            )
        if other is not None and permission is OverwritePermission.ADD_ONLY:
            raise InputError(
                f"{path}: {kind}/{name} is there already; overwrite_permission = OVERWRITE_FEATURES would replace it."
            )
    if chosen.timestamps is None or chosen.timestamps == list(there.timestamps):
        return
    for key, feature in there.features.items():
        kind, name = FeatureType(feature.kind), feature.name
        if kind.is_temporal() and key not in chosen:
            # Saved without timestamps, it may have any; the number at least must be right.
            unknown = not there.timestamps and kind.is_array()
            if not unknown or feature.shape[0] != len(chosen.timestamps):
                raise InputError(f"{path}: {kind}/{name} there has other dates; save to another folder.")


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
