"""Verdicts correct the reference: labels change within the outlines that were judged, and nowhere else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.labels.verdicts.store import SAMPLE, PlaceVerdict, certain, crs_of_verdicts, read_verdicts
from landweave.legend import NONE, Legend
from landweave.patch.vectors.placing import bounds_near, meets_grid, place


@dataclass(frozen=True, kw_only=True)
class Correction:
    """What the verdicts on one place make of its labels."""

    shape: bytes
    """Outline or point, WKB in ``crs``."""
    crs: str
    value: int
    """Class value; 0 where the place is to have no label: interpreters differ, are unsure or name an alternate."""
    about: int | None
    """Class value by the register when it was judged; only pixels that it still calls so change. None: any class."""


def read_corrections(path: Path, legend: Legend) -> tuple[Correction, ...]:
    """What the verdicts of a file make of the reference, the newest place last.

    Parameters
    ----------
    path
        Written by ``landweave view --verdicts``.
    legend
        Its classes are looked up by name.

    Raises
    ------
    InputError
        When the file is missing, holds no verdicts or those of a sample, or names a class that the legend lacks.
    """
    if not path.exists():
        raise InputError(
            f"{path}: no such file for reference.verdicts; judge places with `landweave view --verdicts places`, or "
            "remove the key."
        )
    verdicts, crs = read_verdicts(path), crs_of_verdicts(path)
    if crs is None:
        raise InputError(f"{path}: no layer of verdicts; give the file that `landweave view --verdicts` wrote.")
    by_place: dict[str, list[PlaceVerdict]] = {}
    for verdict in verdicts:
        if verdict.place.queue == SAMPLE:
            raise InputError(
                f"{path}: these are verdicts on a sample that accuracy is estimated from; a map that is trained on "
                "them would be judged by what it was taught. Remove reference.verdicts."
            )
        # Placed by its newest verdict: where outlines overlap, what was judged last is on top.
        by_place[verdict.place.key] = [*by_place.pop(verdict.place.key, []), verdict]
    return tuple(_correction(path, told, crs, legend) for told in by_place.values())


def _correction(path: Path, told: Sequence[PlaceVerdict], crs: str, legend: Legend) -> Correction:
    name, newest = certain(told), told[-1].place
    try:
        value = NONE if name is None else legend.value_of(name)
    except InputError as error:
        raise InputError(f"{path}: a verdict names a class that is gone: {error}") from None
    code = newest.told.get("reference_code")
    about = int(legend.translate([code])[0][0]) if code else None
    return Correction(shape=newest.shape, crs=crs, value=value, about=about)


def corrections_near(corrections: Sequence[Correction], geobox: GeoBox) -> tuple[Correction, ...]:
    """Those whose bounds meet a grid's."""
    if not corrections:
        return ()
    bounds = shapely.bounds(shapely.from_wkb([one.shape for one in corrections]))
    pairs = zip(corrections, bounds.tolist(), strict=True)
    return tuple(one for one, box in pairs if meets_grid(tuple(box), geobox, one.crs))


def correct(values: np.ndarray, corrections: Sequence[Correction], geobox: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """Labels after corrections.

    Parameters
    ----------
    values
        Class values of the reference, uint8 (y, x); 0 stays 0.
    corrections
        From :func:`corrections_near`; later ones on top.
    geobox
        The grid of ``values``.

    Returns
    -------
    corrected
        uint8 (y, x).
    judged
        bool (y, x): where a verdict holds, also one that agrees with the reference.
    """
    from rasterio.features import rasterize

    corrected, judged = values.copy(), np.zeros(values.shape, bool)
    for one in corrections:
        near = bounds_near(geobox, one.crs)
        # As the reference's own outlines are drawn, so that a whole polygon is corrected to its last pixel.
        edge = 100 * max((near[2] - near[0]) / geobox.shape[1], (near[3] - near[1]) / geobox.shape[0])
        placed, _ = place(_valid(one), source=one.crs, target=str(geobox.crs), near=near, edge=edge)
        if shapely.is_empty(placed[0]):
            continue
        inside = rasterize([(placed[0], 1)], out_shape=values.shape, transform=geobox.affine, dtype="uint8") > 0
        inside &= (values != NONE) & (True if one.about is None else values == one.about)
        corrected[inside], judged[inside] = one.value, True
    return corrected, judged


def _valid(one: Correction) -> np.ndarray:
    shapes = np.array([shapely.from_wkb(one.shape)], object)
    if shapely.get_dimensions(shapes[0]) == 0:
        return shapes
    return np.asarray(shapely.make_valid(shapes, method="structure", keep_collapsed=False))
