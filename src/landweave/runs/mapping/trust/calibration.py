"""Sets of classes calibrated on labelled pixels by models that never saw them, and what was checked of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.accuracy.trust.checks import CONFIDENCE_BINS, DISTANCE_BINS, binned, coverage_rows, error_rows
from landweave.accuracy.trust.codes import least_codes, sets_by_others
from landweave.labels.units import WHOLE
from landweave.patch.grid import Cell
from landweave.patch.store import read_table
from landweave.runs import layout
from landweave.runs.estimate.districts import read_districts
from landweave.runs.project.plan import Plan

if TYPE_CHECKING:
    import pandas as pd


class Regions:
    """Districts on the grids of patches; without ``[districts]``, one region that is everywhere."""

    def __init__(self, plan: Plan) -> None:
        self.settings = plan.project.districts
        self.names: list[str] = [""]
        if self.settings is not None:
            self.path = plan.project.path(self.settings.path)
            self.how = {"layer": self.settings.layer, "encoding": self.settings.encoding}
            found = read_districts(self.path, self.settings.column, crs="EPSG:4326", **self.how)
            self.names += sorted(set(found.names))

    def of(self, cell: Cell) -> np.ndarray:
        """Number of each pixel's region, uint16 (y, x); 0 outside all districts."""
        out = np.zeros(cell.geobox.shape, "uint16")
        if self.settings is None:
            return out
        from rasterio.features import rasterize

        crs = str(cell.geobox.crs)
        found = read_districts(self.path, self.settings.column, crs=crs, near=cell.geobox, **self.how)
        numbers = {name: number for number, name in enumerate(self.names)}
        pairs = [
            (shape, numbers[name])
            for name, shape in zip(found.names, found.shapes, strict=True)
            if shape is not None and not shape.is_empty
        ]
        if pairs:
            rasterize(pairs, out=out, transform=cell.geobox.transform)
        return out


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """Made by :func:`calibrate`."""

    least: np.ndarray | None
    """Least code with which a class is in a set, uint8 (regions, classes); None where nothing could be calibrated."""

    checked: dict[str, Any]
    """What ``trust.json`` says of it."""


def calibrate(plan: Plan, cells: Sequence[Cell], regions: Regions) -> Calibrated:
    """Thresholds of sets by region and class, and tables of what the sets hold on pixels that had no part in them.

    Parameters
    ----------
    plan
        The run.
    cells
        The patches that were predicted.
    regions
        Of the thresholds.
    """
    rows = _read(plan, cells, regions)
    level = plan.project.map.trust_level
    if rows is None:
        reason = (
            "there is no labelled pixel that a model has not seen: sets need a reference and places that are held out"
        )
        return Calibrated(least=None, checked={"level": level, "reason": reason})
    rows, shared = without_known(rows)
    values = list(plan.legend.values)
    column = np.full(256, -1, "int64")
    column[values] = np.arange(len(values))
    label = column[rows["label"].to_numpy()]
    codes = rows[[f"c_{value}" for value in values]].to_numpy()
    region, land = rows["region"].to_numpy("int64"), rows["weight"].to_numpy("float64")
    alpha, count = 1 - level, len(regions.names)
    own = codes[np.arange(len(codes)), label]
    least = least_codes(own, label, region, land, alpha=alpha, classes=len(values), regions=count)
    halves = np.random.default_rng([plan.project.sampling.seed, 20]).integers(0, 2, len(rows))
    cut: dict[str, Any] = {"alpha": alpha, "regions": count}
    here = sets_by_others(codes, label, region, land, halves, **cut)
    names, parts = places(rows)
    elsewhere = sets_by_others(codes, label, region, land, parts, **cut)
    checks = {"other pixels of the same land": here, "patches without calibration pixels": elsewhere}
    checked = {
        "level": level, "pixels": len(rows), "patches": int(rows["patch"].nunique()), "places": len(np.unique(names)),
        "place": "patch" if plan.cut == WHOLE else "quarter", "shared": shared,
        "checked": {
            name: _tables(plan, rows, sets, label, regions, names) for name, sets in checks.items() if sets is not None
        },
    }  # fmt: skip
    if rows["dissimilarity"].to_numpy().any():
        checked["error"] = _errors(rows)
    return Calibrated(least=least, checked=checked)


def _read(plan: Plan, cells: Sequence[Cell], regions: Regions) -> "pd.DataFrame | None":
    import pandas as pd

    found = []
    for cell in cells:
        path = plan.folder / layout.trust_rows(cell.name)
        if not path.exists():
            continue
        table = read_table(path)
        where = regions.of(cell)[table["y"].to_numpy(), table["x"].to_numpy()]
        found.append(table.assign(patch=cell.name, region=where))
    rows = pd.concat(found, ignore_index=True) if found else None
    return rows if rows is not None and len(rows) else None


def without_known(rows: "pd.DataFrame") -> "tuple[pd.DataFrame, dict[str, Any]]":
    """Without pixels whose model was taught their polygon or equal features, unless that is all; and what was left out.

    >>> import pandas as pd
    >>> without_known(pd.DataFrame({"known": [0, 1], "weight": [3.0, 1.0]}))[1]
    {'pixels': 1, 'share': 0.25}
    """
    known, land = rows["known"].to_numpy() > 0, rows["weight"].to_numpy("float64")
    shared: dict[str, Any] = {"pixels": int(known.sum()), "share": float(land[known].sum() / land.sum())}
    if known.all():
        return rows, shared | {"reason": "every pixel is in a polygon that was trained on elsewhere"}
    return rows[~known].reset_index(drop=True), shared


_PARTS = 10


def places(rows: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray]:
    """Name of each pixel's place, its patch or quarter, and its part of whole places, in the order of their names.

    Each part is checked by the others. They are the places that are held out, so that one patch in quarters has four.
    """
    joined = rows["patch"].astype(str) + "/" + rows["unit"].astype(str)
    names, number = np.unique(joined.to_numpy().astype(str), return_inverse=True)
    return names[number.ravel()], np.asarray(number.ravel() % min(_PARTS, len(names)))


def _tables(
    plan: Plan, rows: "pd.DataFrame", sets: np.ndarray, label: np.ndarray, regions: Regions, at: np.ndarray
) -> dict[str, list[dict[str, Any]]]:
    land = rows["weight"].to_numpy("float64")
    everything = np.zeros(len(rows), "int64")
    confidence, by_confidence = binned(rows["confidence"].to_numpy(), CONFIDENCE_BINS, " %")
    distance, by_distance = binned(rows["dissimilarity"].to_numpy(), DISTANCE_BINS, " %")
    groups: dict[str, tuple[np.ndarray, Any]] = {
        "all": (everything, ["all"]),
        "class": (label, list(plan.legend.names.values())),
        "district": (rows["region"].to_numpy("int64"), dict(enumerate(regions.names)) | {0: "outside districts"}),
        "confidence": (confidence, by_confidence),
        "distance": (distance, by_distance),
        "place": (rows["core"].to_numpy().astype("int64"), ["border of a polygon", "inside a polygon"]),
    }
    if len(regions.names) == 1:
        del groups["district"]
    if plan.reference.kind == "points":
        del groups["place"]
    if not rows["dissimilarity"].to_numpy().any():
        del groups["distance"]
    return {name: coverage_rows(sets, label, land, at, group, names) for name, (group, names) in groups.items()}


def _errors(rows: "pd.DataFrame") -> dict[str, Any]:
    """Share of labelled land where models that never saw it are wrong: inside and outside, and by distance."""
    land = rows["weight"].to_numpy("float64")
    wrong = (rows["predicted"] != rows["label"]).to_numpy()
    away = rows["dissimilarity"].to_numpy()
    distance, names = binned(away, DISTANCE_BINS, " %")
    return {
        "applicability": error_rows(wrong, land, (away > 100).astype("int64"), ["inside", "outside"]),
        "distance": error_rows(wrong, land, distance, names),
    }
