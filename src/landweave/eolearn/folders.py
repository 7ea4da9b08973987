"""An EOPatch from a folder and into one."""

import enum
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from landweave.eolearn.features import FeatureType
from landweave.eolearn.holding import BBox, Unread, same
from landweave.eolearn.patch import EOPatch
from landweave.errors import InputError
from landweave.patch.eopatch_features import Feature, read_feature
from landweave.patch.eopatch_folder import is_eopatch, open_eopatch, read_meta_info
from landweave.patch.eopatch_writing import write_eopatch


class OverwritePermission(enum.StrEnum):
    """What of a folder may be overwritten."""

    ADD_ONLY = "ADD_ONLY"
    """Nothing; features may be added."""

    OVERWRITE_FEATURES = "OVERWRITE_FEATURES"
    """The features that are saved; others stay."""

    OVERWRITE_PATCH = "OVERWRITE_PATCH"
    """The whole folder."""


def load_patch(
    path: str | Path,
    *,
    features: Any = ...,
    lazy_loading: bool = False,
    load_timestamps: bool | str = "auto",
    temporal_selection: slice | Sequence[int] | Callable[..., Any] | None = None,
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
        A slice or numbers of dates, or a function of all moments to a list of true and false.

    Raises
    ------
    InputError
        As :func:`landweave.patch.eopatch_folder.open_eopatch`, and for a feature that is not there.
    """
    folder = open_eopatch(path)
    moments = list(folder.timestamps) or None
    if callable(temporal_selection):
        temporal_selection = [step for step, kept in enumerate(temporal_selection(list(folder.timestamps))) if kept]
    steps = temporal_selection
    if moments is not None and steps is not None:
        moments = moments[steps] if isinstance(steps, slice) else [moments[step] for step in steps]
    whole = EOPatch(
        bbox=None if folder.bbox is None or folder.crs is None else BBox(folder.bbox, folder.crs), timestamps=moments
    )
    for (kind, name), feature in folder.features.items():
        whole[kind, name] = Unread(read=partial(_read, feature, steps), shown=f"not read yet: {feature.path.name}")
    if folder.old_meta_info is not None:
        whole[FeatureType.META_INFO] = read_meta_info(folder)
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
        The folder. Where one is there already, what stays of it is read and written again.
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
        Where the permission does not reach, the patch has no bbox, or the folder lies elsewhere or has other dates.
    """
    path = Path(path)
    if patch.bbox is None:
        raise InputError(f"{path}: the patch has no bbox, so it cannot be saved.")
    permission = _permission(overwrite_permission)
    chosen = patch.copy(features, copy_timestamps=save_timestamps)
    if permission is not OverwritePermission.OVERWRITE_PATCH and path.is_dir() and is_eopatch(path):
        there = load_patch(path, lazy_loading=True)
        if there.bbox != patch.bbox:
            raise InputError(f"{path}: the patch there lies elsewhere; choose another folder.")
        twice = [f"{kind}/{name}" for kind, name in chosen.get_features() if (kind, name) in there]
        if twice and permission is OverwritePermission.ADD_ONLY:
            raise InputError(
                f"{path}: {twice[0]} is there already; overwrite_permission = OVERWRITE_FEATURES would replace it."
            )
        chosen = _upon(there, chosen, path)
    arrays = {(str(kind), name): chosen[kind, name] for kind, name in chosen.get_features()}
    return write_eopatch(
        path, arrays, bbox=patch.bbox.bbox, crs=patch.bbox.crs, timestamps=chosen.timestamps or (),
        form=".zarr" if use_zarr else ".npy.gz",
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


def _upon(there: EOPatch, chosen: EOPatch, path: Path) -> EOPatch:
    if there.timestamps is not None and chosen.timestamps not in (None, there.timestamps):
        dated = [f"{k}/{n}" for k, n in there.get_features() if k.is_temporal() and (k, n) not in chosen]
        if dated:
            raise InputError(f"{path}: {dated[0]} there has other dates; save to another folder.")
        there.timestamps = None
        for kind, name in [key for key in there.get_features() if key[0].is_temporal()]:
            del there[kind, name]
    whole = EOPatch(bbox=there.bbox, timestamps=chosen.timestamps or there.timestamps)
    for patch in (there, chosen):
        for kind, name in patch.get_features():
            whole[kind, name] = patch[kind].held(name)
    return whole


def _permission(given: Any) -> OverwritePermission:
    try:
        return OverwritePermission(getattr(given, "value", given))
    except ValueError:
        raise InputError(f"overwrite_permission {given!r} is unknown; use {', '.join(OverwritePermission)}.") from None


def _read(feature: Feature, steps: Any) -> Any:
    if steps is not None and FeatureType(feature.kind).is_temporal() and FeatureType(feature.kind).is_array():
        return read_feature(feature, dates=steps)
    return read_feature(feature)
