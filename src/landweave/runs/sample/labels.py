"""The reference on a patch's grid: what is written of it, and reading that back."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.engine.fingerprint import fingerprint
from landweave.errors import InputError
from landweave.labels.units import count_classes, unit_ids
from landweave.patch.grid import Cell
from landweave.patch.store import read_raster, write_raster
from landweave.runs import layout
from landweave.runs.project.plan import Plan

if TYPE_CHECKING:
    from landweave.labels.on_grid import Labels

_OPENING = 2
"""Pixels beyond a patch's border that decide which of its pixels are thin."""


@dataclass(frozen=True, kw_only=True)
class PatchLabels:
    """The reference on a patch's grid, before anything is written."""

    wide: "Labels"
    """On the patch and ``halo`` pixels around it."""

    halo: int
    """Pixels around the patch that erosion and thinness look at."""

    whole: np.ndarray
    """Class values of the patch, uint8 (y, x)."""

    core: np.ndarray
    """Those that are left by erosion."""

    @property
    def inner(self) -> tuple[slice, slice]:
        """The patch within ``wide``."""
        return tuple(slice(self.halo, self.halo + side) for side in self.whole.shape)  # type: ignore[return-value]

    @property
    def pieces(self) -> np.ndarray | None:
        """Number + 1 of the polygon that labels each pixel of the patch, int64 (y, x); None without polygons."""
        return None if self.wide.pieces is None else np.where(self.whole > 0, self.wide.pieces[self.inner], 0)


def patch_labels(plan: Plan, cell: Cell) -> PatchLabels:
    """The reference of a patch, whole and eroded, where the patch answers for the ground."""
    from landweave.labels.on_grid import rasterise
    from landweave.labels.outlines import erode

    settings = plan.project.reference
    assert settings is not None
    points = plan.reference.kind == "points"
    # The halo lets a class reach across the patch's border, so that erosion leaves no trace of it.
    halo = 0 if points else max(settings.erosion, _OPENING)
    wide = by_verdicts(plan, rasterise(plan.reference, cell.geobox.pad(halo), plan.legend), cell.geobox.pad(halo))
    inner = (slice(halo, halo + cell.geobox.shape[0]), slice(halo, halo + cell.geobox.shape[1]))
    whole = wide.values[inner].copy()
    core = erode(wide.values, 0 if points else settings.erosion)[inner].copy()
    own = cell.own()
    if own is not None:
        whole[~own] = core[~own] = 0
    return PatchLabels(wide=wide, halo=halo, whole=whole, core=core)


def label(plan: Plan, cell: Cell) -> dict[str, Any]:
    """Reference classes of a patch: band 1 as they are, band 2 eroded for training, band 3 where they are thin.

    Of polygons also a raster that says which of them each pixel belongs to.
    """
    from landweave.labels.outlines import thin_parts

    read = patch_labels(plan, cell)
    wide, whole, core = read.wide, read.whole, read.core
    # A point says nothing of its surroundings.
    points = plan.reference.kind == "points"
    thin = np.zeros_like(whole) if points else thin_parts(wide.values)[read.inner].astype("uint8")
    own = cell.own()
    if own is not None:
        thin[~own] = 0
    files = [layout.labels(cell.name)]
    write_raster(
        plan.folder / files[0], np.stack([whole, core, thin]), cell.geobox,
        names=("reference", "reference, eroded", "narrower than three pixels"),
    )  # fmt: skip
    pieces = read.pieces
    if pieces is not None:
        files.append(layout.label_pieces(cell.name))
        write_raster(plan.folder / files[1], pieces[None], cell.geobox, names=("number of the polygon + 1",))
    ids = unit_ids(whole.shape, plan.cut)
    return {
        "files": files,
        "info": {
            "counts": count_classes(whole, ids, patch=cell.name, cut=plan.cut),
            "core": count_classes(core, ids, patch=cell.name, cut=plan.cut),
            "unknown": wide.unknown,
            "repaired": list(wide.repaired),
            "unplaced": list(wide.unplaced),
        },
    }


def by_verdicts(plan: Plan, labels: "Labels", geobox: GeoBox) -> "Labels":
    """Labels with what interpreters say; judged pixels leave their polygon, so that they are not doubted again."""
    if not plan.corrections:
        return labels
    from landweave.labels.verdicts.corrections import correct, corrections_near

    values, judged = correct(labels.values, corrections_near(plan.corrections, geobox), geobox)
    pieces = None if labels.pieces is None else np.where(judged, 0, labels.pieces)
    return replace(labels, values=values, pieces=pieces)


def verdicts_print(plan: Plan, cell: Cell) -> str:
    """Fingerprint of the verdicts that decide a patch's labels; empty where there are none.

    Raises
    ------
    InputError
        When the project names a file of verdicts that is missing.
    """
    settings = plan.project.reference
    if settings is None or settings.verdicts is None:
        return ""
    from landweave.labels.verdicts.corrections import corrections_near, read_corrections

    if not plan.corrections:
        read_corrections(plan.project.path(settings.verdicts), plan.legend)
    near = corrections_near(plan.corrections, cell.geobox.pad(max(settings.erosion, _OPENING)))
    return fingerprint([[one.shape.hex(), one.crs, one.value, one.about] for one in near]) if near else ""


def verdict_notes(plan: Plan) -> list[str]:
    """How many places verdicts correct, in a sentence; none where the project names no verdicts.

    Raises
    ------
    InputError
        As :func:`landweave.labels.verdicts.corrections.read_corrections`.
    """
    settings = plan.project.reference
    if settings is None or settings.verdicts is None:
        return []
    from landweave.labels.verdicts.corrections import read_corrections

    found = plan.corrections or read_corrections(plan.project.path(settings.verdicts), plan.legend)
    without = sum(one.value == 0 for one in found)
    said = f"{len(found) - without} give a class, {without} remove the labels, in training and in test alike."
    return [f"Verdicts on {len(found)} places decide the reference there: {said}"]


def truth_classes(plan: Plan, codes: np.ndarray) -> np.ndarray:
    """The true cover's numbers as class values, uint8; 0 is unknown.

    Raises
    ------
    InputError
        For a number that is no class of the legend.
    """
    assert plan.project.reference is not None
    numbers = np.unique(codes[codes != 0])
    strange = [number for number in numbers.tolist() if number not in plan.legend.values]
    if strange:
        path = plan.project.path(plan.project.reference.truth or "")
        raise InputError(
            f"{path}: reference.truth holds {strange[0]:g}, which is no class value of the legend "
            f"({', '.join(map(str, plan.legend.values))}); 0 is unknown."
        )
    return codes.astype("uint8")


def read_labels(plan: Plan, cell: Cell) -> np.ndarray:
    """The bands of :func:`label`: classes, eroded classes, and where they are thin; uint8 (3, y, x)."""
    return read_raster(plan.folder / layout.labels(cell.name))


def read_pieces(plan: Plan, cell: Cell) -> np.ndarray | None:
    """Number + 1 of the polygon that each pixel belongs to, int64 (y, x), 0 for none; None without polygons."""
    if plan.reference.kind != "polygons":
        return None
    return np.asarray(read_raster(plan.folder / layout.label_pieces(cell.name))[0])
