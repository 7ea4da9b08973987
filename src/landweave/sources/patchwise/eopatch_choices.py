"""Which feature of an EOPatch is what, where the project does not say."""

from collections.abc import Sequence

from landweave.errors import InputError
from landweave.patch.eopatch.features import Feature
from landweave.patch.eopatch.folder import EOPatchFolder

BAND_NAMES = {
    13: ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"),
    12: ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
}
"""What so many bands of Sentinel-2 are called where nobody says it: L1C and L2A, in the order of eo-learn's tasks."""

DATA_MASKS = ("IS_DATA", "dataMask", "DATA_MASK")
"""Masks that are 0 where there is no data, looked for in this order."""


def bands_feature_of(folder: EOPatchFolder, given: str | None, names: Sequence[str] | None) -> str:
    """The data feature that holds the bands: the one given, the only one, or the only one with so many bands."""
    there = {name: feature for (kind, name), feature in folder.features.items() if kind == "data"}
    shown = ", ".join(there) or "none"
    if given is not None:
        if given not in there:
            raise InputError(f"{folder.path}: no data feature {given!r} (bands_feature); it has {shown}.")
        return given
    if len(there) == 1:
        return next(iter(there))
    wanted = {len(names)} if names is not None else set(BAND_NAMES)
    fitting = [name for name, feature in there.items() if feature.shape[-1] in wanted]
    if len(fitting) != 1:
        raise InputError(
            f"{folder.path}: there are several data features; name the one with the bands in bands_feature: {shown}."
        )
    return fitting[0]


def band_names_of(feature: Feature, given: Sequence[str] | None) -> tuple[str, ...]:
    """A name for each band of a feature."""
    depth = feature.shape[-1]
    if given is None:
        if depth in BAND_NAMES:
            return BAND_NAMES[depth]
        if depth == 1:
            return (feature.name,)
        raise InputError(f"{feature.path}: {depth} bands; name each of them, in order, in band_names.")
    if len(given) != depth or len(set(given)) != depth:
        raise InputError(f"{feature.path}: {depth} bands, but band_names has {len(set(given))} different names.")
    return tuple(given)


def data_mask_of(folders: Sequence[EOPatchFolder], masks: Sequence[str], given: str | None) -> str | None:
    """The mask that is 0 where there is no data; None: none."""
    if given is None:
        for name in DATA_MASKS:
            refuse_partial(folders, name)
        return next((name for name in DATA_MASKS if name in masks), None)
    if given == "none":
        return None
    if given not in masks:
        refuse_partial(folders, given)
        raise InputError(f"{folders[0].path}: no mask {given!r} (data_mask); it has {', '.join(masks) or 'none'}.")
    return given


def refuse_partial(folders: Sequence[EOPatchFolder], name: str) -> None:
    """InputError that names a patch which lacks what others have; nothing where none has it."""
    lacking = [folder for folder in folders if not {("mask", name), ("data", name)} & set(folder.features)]
    if 0 < len(lacking) < len(folders):
        more = f", nor do {len(lacking) - 1} others" if len(lacking) > 1 else ""
        raise InputError(
            f"{lacking[0].path}: the patch has no {name}, but others have{more}; add it or remove the patch."
        )
