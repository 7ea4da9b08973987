"""A mask of labels that lies in EOPatches, looked up on any grid."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels, outline_bounds
from landweave.patch.eopatch_features import Feature, read_feature
from landweave.patch.eopatch_folder import grid_of, list_eopatches

KIND = "mask_timeless"


@dataclass(frozen=True, kw_only=True)
class LabelPart:
    """The labels of one patch."""

    feature: Feature
    """``mask_timeless`` with one band of whole numbers; 0 is none."""

    geobox: GeoBox
    """Its grid."""

    @property
    def layer(self) -> str:
        """As ``mask_timeless/LULC``."""
        return f"{self.feature.kind}/{self.feature.name}"


def find_labels(path: str | Path, layer: str | None) -> tuple[tuple[LabelPart, ...], tuple[float, float, float, float]]:
    """The patches of a folder that hold a mask of labels.

    Parameters
    ----------
    path
        A folder of EOPatches, or one of them.
    layer
        ``mask_timeless/NAME``; None where the patches have one such feature.

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
    folders = list_eopatches(path)
    there = sorted({name for folder in folders for kind, name in folder.features if kind == KIND})
    shown = ", ".join(f"{KIND}/{name}" for name in there) or "none"
    if layer is None and len(there) != 1:
        raise InputError(f'{path}: say which feature holds the labels, as layer = "{KIND}/LULC"; there are {shown}.')
    kind, _, name = (layer or f"{KIND}/{there[0]}").rpartition("/")
    if kind.lower() not in {"", KIND} or name not in there:
        raise InputError(f"{path}: no patch holds labels as {layer!r}; there are {shown}.")
    parts = []
    for folder in folders:
        feature = folder.features.get((KIND, name))
        if feature is None:
            continue
        if feature.shape[-1] != 1 or feature.dtype.kind not in "iub":
            raise InputError(
                f"{feature.path}: labels are one band of whole numbers, not {feature.shape} {feature.dtype}."
            )
        parts.append(LabelPart(feature=feature, geobox=grid_of(folder, feature)))
    boxes = np.array([outline_bounds(part.geobox, "EPSG:4326") for part in parts])
    (west, south), (east, north) = boxes[:, :2].min(axis=0).tolist(), boxes[:, 2:].max(axis=0).tolist()
    return tuple(parts), (west, south, east, north)


def codes_in(parts: tuple[LabelPart, ...]) -> np.ndarray:
    """All distinct codes but 0, sorted."""
    found: set[int] = set()
    for part in parts:
        found |= set(np.unique(read_feature(part.feature)).astype("int64").tolist())
    return np.array(sorted(found - {0}), "int64")


def codes_on(parts: tuple[LabelPart, ...], geobox: GeoBox) -> np.ndarray:
    """The code under each pixel's centre, int64 (y, x), 0 where there is none; where patches overlap, of the first."""
    codes = np.zeros(geobox.shape, "int64")
    for part in parts:
        left, bottom, right, top = outline_bounds(geobox, part.geobox.crs)
        box = part.geobox.boundingbox
        if not (left <= box.right and right >= box.left and bottom <= box.top and top >= box.bottom):
            continue
        rows, columns, inside = nearest_pixels(part.geobox, geobox)
        inside &= codes == 0
        if not inside.any():
            continue
        up, side = int(rows[inside].min()), int(columns[inside].min())
        window = read_feature(
            part.feature,
            rows=slice(up, int(rows[inside].max()) + 1),
            columns=slice(side, int(columns[inside].max()) + 1),
        )
        codes[inside] = window[rows[inside] - up, columns[inside] - side, 0]
    return codes
