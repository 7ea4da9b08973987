"""What `predict` keeps of a patch for trust layers: margins, likeness to training land, held-out labelled pixels."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from landweave.accuracy.trust.applicability import Applicability
from landweave.accuracy.trust.codes import encode
from landweave.classifier.model import Model
from landweave.labels.draw import draw
from landweave.labels.units import unit_ids, unit_name
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA
from landweave.patch.store import write_raster, write_whole
from landweave.runs import layout
from landweave.runs.mapping.trust.taught import known_pixels
from landweave.runs.mapping.trust.training import read_applicability
from landweave.runs.project.plan import Plan
from landweave.runs.sample.labels import read_labels, read_pieces

FIXED = ("margin", "dissimilarity", "density", "gaps")
"""Bands of a patch's file before those of its classes."""

MANY_GAPS = 0.25
"""Share of a pixel's dated features from which on it is flagged that they are missing: at both ends of a period some
are missing almost everywhere."""

FARTHEST = 254
"""The largest index that a byte holds, per cent of the threshold."""


CALIBRATION = 40_000
"""Calibration pixels of each class over all patches, about; of each patch 50 at least, and 5000 at most."""


def calibration_quota(patches: int) -> int:
    """Calibration pixels of each class of a patch, at most.

    >>> calibration_quota(4), calibration_quota(90), calibration_quota(2000)
    (5000, 445, 50)
    """
    return min(max(-(-CALIBRATION // max(patches, 1)), 50), 5000)


@dataclass(frozen=True, kw_only=True)
class TrustTask:
    """What is asked of a patch."""

    quota: int
    """Labelled pixels of each class to calibrate on, at most."""

    folds: Mapping[str, int] = field(default_factory=dict)
    """Unit to the fold whose training rows are its own."""

    given: bool = False
    """Whether the map's model comes from elsewhere, so that it has seen no unit."""


class PatchTrust:
    """Gathered strip by strip, then written.

    Parameters
    ----------
    plan, cell, task
        The run, the patch and what is asked of it.
    folds
        Unit to the model that never saw it.
    """

    def __init__(self, plan: Plan, cell: Cell, task: TrustTask, folds: Mapping[str, Model]) -> None:
        self.plan, self.cell, self.task, self.folds = plan, cell, task, folds
        self.applicability = read_applicability(plan.folder)
        self.values = tuple(plan.legend.values)
        self.column = np.full(256, -1, "int64")
        self.column[list(self.values)] = np.arange(len(self.values))
        self.layers = np.zeros((len(FIXED) + len(self.values), *cell.geobox.shape), "uint8")
        self.ids = unit_ids(cell.geobox.shape, plan.cut)
        self.drawn = self._draw()
        self.rows: list[dict[str, Any]] = []

    def _draw(self) -> dict[str, np.ndarray]:
        if self.plan.reference is None or not (self.folds or self.task.given):
            nothing = np.zeros(0, "int64")
            return {
                "y": nothing,
                "x": nothing,
                "weight": np.zeros(0),
                "label": nothing,
                "core": nothing,
                "piece": nothing,
            }
        whole, core, _ = read_labels(self.plan, self.cell)
        quota = dict.fromkeys(self.values, self.task.quota)
        # A stream of its own: the smallest keys of the patch's own name are the training pixels.
        name = f"{self.cell.name} trust"
        y, x, weight = draw(whole, quota, seed=self.plan.project.sampling.seed, name=name)
        pieces = read_pieces(self.plan, self.cell)
        piece = np.zeros(len(y), "int64") if pieces is None else pieces[y, x]
        return {"y": y, "x": x, "weight": weight, "label": whole[y, x], "core": core[y, x] > 0, "piece": piece}

    def add(self, model: Model, p: np.ndarray, table: np.ndarray, seen: np.ndarray, rows: slice) -> None:
        """Take some rows of the patch.

        Parameters
        ----------
        model, p
            The map's, and its probabilities (m, k) of the pixels that were seen.
        table, seen
            Features (n, f) of all pixels of the rows, and which of them were seen, bool (n,).
        rows
            Of the patch.
        """
        width = self.cell.geobox.shape[1]
        if seen.any():
            flat = np.zeros((len(self.layers), len(seen)), "uint8")
            flat[0, seen] = _margin(p)
            if self.applicability is not None:
                index, density = self.applicability.dissimilarity(table[seen])
                flat[1, seen] = relative(self.applicability, index)
                flat[2, seen] = 1 + np.minimum(density, 254)
            dated = len(model.feature_names) - len(self.plan.recipe.static)
            flat[3, seen] = 1 + ((table[seen][:, :dated] == NODATA).mean(axis=1) > MANY_GAPS)
            at = len(FIXED) + self.column[list(model.classes)]
            flat[np.ix_(at, np.flatnonzero(seen))] = encode(p).T
            self.layers[:, rows] = flat.reshape(len(flat), -1, width)
        self._ask(model, table, seen, rows)

    def _ask(self, map_model: Model, table: np.ndarray, seen: np.ndarray, rows: slice) -> None:
        y, x = self.drawn["y"], self.drawn["x"]
        here = np.flatnonzero((y >= rows.start) & (y < rows.stop))
        flat = (y[here] - rows.start) * self.cell.geobox.shape[1] + x[here]
        here, flat = here[seen[flat]], flat[seen[flat]]
        units = self.ids[y[here], x[here]]
        for number in np.unique(units).tolist():
            unit = unit_name(self.cell.name, number, self.plan.cut)
            model = map_model if self.task.given else self.folds.get(unit)
            if model is None:
                continue
            use = units == number
            own, features = here[use], table[flat[use]]
            p = model.probabilities(features)
            predicted, confidence = model.classify(p)
            codes = np.zeros((len(own), len(self.values)), "uint8")
            codes[:, self.column[list(model.classes)]] = encode(p)
            fold = self.task.folds.get(unit, -1)
            index = np.zeros(len(own), "uint8")
            if self.applicability is not None:
                away, _ = self.applicability.dissimilarity(features, folds=np.full(len(own), fold))
                index = relative(self.applicability, away)
            self.rows.append(
                {
                    **{name: values[own] for name, values in self.drawn.items()}, "predicted": predicted,
                    "confidence": confidence, "dissimilarity": index, "codes": codes,
                    "unit": np.full(len(own), number), "fold": np.full(len(own), fold),
                    "known": known_pixels(self.plan.folder, fold, features, self.drawn["piece"][own]),
                }
            )  # fmt: skip

    def write(self) -> list[str]:
        """Write the patch's file of layers and its calibration pixels; paths relative to the output folder."""
        import pandas as pd

        files = [layout.trust_layers(self.cell.name)]
        names = (*FIXED, *(f"code of {name}" for name in self.plan.legend.names.values()))
        write_raster(self.plan.folder / files[0], self.layers, self.cell.geobox, names=names)
        if self.rows:
            files.append(layout.trust_rows(self.cell.name))
            joined = {name: np.concatenate([part[name] for part in self.rows]) for name in self.rows[0]}
            codes = joined.pop("codes")
            del joined["piece"]
            table = pd.DataFrame(joined | {f"c_{value}": codes[:, i] for i, value in enumerate(self.values)})
            table = table.sort_values(["y", "x"], ignore_index=True)
            table = table.astype({"unit": "uint8", "fold": "int16", "y": "int32", "x": "int32", "label": "uint8"})
            write_whole(
                self.plan.folder / files[1], lambda part: table.to_parquet(part, index=False, compression="zstd")
            )
        return files


def relative(applicability: Applicability, index: np.ndarray) -> np.ndarray:
    """Dissimilarity index in per cent of the threshold, uint8: 1 to 100 inside, 101 to 254 outside."""
    inside = applicability.inside(index)
    share = np.rint(np.minimum(100 * index / applicability.threshold, FARTHEST))
    return np.asarray(np.where(inside, np.clip(share, 1, 100), np.clip(share, 101, FARTHEST)), "uint8")


def _margin(p: np.ndarray) -> np.ndarray:
    """Difference of the two largest probabilities in per cent, uint8 1 to 100."""
    if p.shape[1] < 2:
        return np.full(len(p), 100, "uint8")
    largest = np.partition(p, -2, axis=1)[:, -2:]
    gap = largest[:, 1].astype("float64") - largest[:, 0]
    return np.asarray(np.clip(np.rint(100 * gap), 1, 100), "uint8")
