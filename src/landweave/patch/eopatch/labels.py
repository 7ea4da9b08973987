"""A mask of labels that lies in EOPatches, or in the patches of a data set of ours, looked up on any grid."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.align import bounds_of, meets, nearest_pixels, outline_bounds
from landweave.patch.eopatch.features import Feature, read_feature
from landweave.patch.eopatch.folder import grid_of, list_eopatches
from landweave.patch.store import read_patch

KIND = "mask_timeless"
STORED = "reference"
"""The variable of labels in a Zarr of ours."""


@dataclass(frozen=True, kw_only=True)
class LabelPart:
    """The labels of one patch: whole numbers, 0 is none."""

    path: Path
    """Files that hold them."""

    layer: str
    """As ``mask_timeless/LULC``; of a Zarr the variable."""

    geobox: GeoBox
    """Their grid."""

    feature: Feature | None = None
    """Of an EOPatch."""

    def read(self, rows: slice | None = None, columns: slice | None = None) -> np.ndarray:
        """Codes, (y, x)."""
        if self.feature is not None:
            codes: np.ndarray = read_feature(self.feature, rows=rows, columns=columns)[..., 0]
            return codes
        labels = read_patch(self.path.parent)[self.layer]
        return np.asarray(labels[rows or slice(None), columns or slice(None)].values)


def find_labels(path: str | Path, layer: str | None) -> tuple[tuple[LabelPart, ...], tuple[float, float, float, float]]:
    """The patches of a folder that hold a mask of labels.

    Parameters
    ----------
    path
        A folder of EOPatches, or one of them; or a folder of Zarr patches with a variable ``reference``.
    layer
        ``mask_timeless/NAME``; None where the patches have one such feature. Not for Zarr.

    Returns
    -------
    parts, bounds
        In the order of the patches' names; west, south, east, north of them all, degrees.

    Raises
    ------
    InputError
        Where no patch has the feature (what there is, is listed), and for a feature with several bands or with
        numbers that are not whole.
    """
    stored = sorted(Path(path).glob("*.zarr"))
    if stored:
        parts = [_stored_part(one) for one in stored]
        return tuple(parts), bounds_of((part.geobox for part in parts), "EPSG:4326")
    folders = list_eopatches(path)
    there = sorted({name for folder in folders for kind, name in folder.features if kind == KIND})
    shown = ", ".join(f"{KIND}/{name}" for name in there) or "none"
    if layer is None and len(there) != 1:
        raise InputError(f'{path}: name the feature with the labels, such as layer = "{KIND}/LULC"; there are {shown}.')
    kind, _, name = (layer or f"{KIND}/{there[0]}").rpartition("/")
    if kind.lower() not in {"", KIND} or name not in there:
        raise InputError(f"{path}: no patch has labels as {layer!r}; there are {shown}.")
    parts = []
    for folder in folders:
        feature = folder.features.get((KIND, name))
        if feature is None:
            continue
        if feature.shape[-1] != 1 or feature.dtype.kind not in "iub":
            raise InputError(
                f"{feature.path}: labels must be one band of whole numbers, not {feature.shape} {feature.dtype}."
            )
        layer_name = f"{feature.kind}/{feature.name}"
        parts.append(LabelPart(path=feature.path, layer=layer_name, geobox=grid_of(folder, feature), feature=feature))
    return tuple(parts), bounds_of((part.geobox for part in parts), "EPSG:4326")


def codes_in(parts: tuple[LabelPart, ...]) -> np.ndarray:
    """All distinct codes but 0, sorted."""
    found: set[int] = set()
    for part in parts:
        found |= set(np.unique(part.read()).astype("int64").tolist())
    return np.array(sorted(found - {0}), "int64")


def codes_on(parts: tuple[LabelPart, ...], geobox: GeoBox) -> np.ndarray:
    """The code under each pixel's centre, int64 (y, x), 0 where there is none; where patches overlap, of the first."""
    codes = np.zeros(geobox.shape, "int64")
    for part in parts:
        if not meets(part.geobox, outline_bounds(geobox, part.geobox.crs)):
            continue
        rows, columns, inside = nearest_pixels(part.geobox, geobox)
        inside &= codes == 0
        if not inside.any():
            continue
        up, side = int(rows[inside].min()), int(columns[inside].min())
        window = part.read(slice(up, int(rows[inside].max()) + 1), slice(side, int(columns[inside].max()) + 1))
        codes[inside] = window[rows[inside] - up, columns[inside] - side]
    return codes


def _stored_part(path: Path) -> LabelPart:
    patch = read_patch(path)
    if STORED not in patch or patch[STORED].ndim != 2 or patch[STORED].dtype.kind not in "iu":
        raise InputError(f"{path}: the patch has no labels; they must be whole numbers called {STORED!r}.")
    return LabelPart(path=path / STORED, layer=STORED, geobox=patch.odc.geobox)
