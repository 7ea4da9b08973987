"""What models that never saw a patch say of each pixel of its reference."""

from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.classifier.model import Model
from landweave.patch.align import to_crs
from landweave.patch.grid import Cell
from landweave.patch.store import write_raster, write_whole
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.runs.sample.labels import read_labels, read_pieces

if TYPE_CHECKING:
    import pandas as pd

_STEPS = 250
"""Probabilities are held as 0..250."""


class OutOfFold:
    """Out-of-fold answers about a patch's reference, gathered strip by strip.

    Parameters
    ----------
    plan, cell
        The run and the patch.
    confidence
        Mean out-of-fold probability of each class over what the reference calls so; NaN unknown.
    """

    def __init__(self, plan: Plan, cell: Cell, confidence: tuple[float, ...]) -> None:
        self.plan, self.cell = plan, cell
        self.labels, self.core, _ = read_labels(plan, cell)
        self.column = np.full(256, -1, "int64")
        self.column[list(plan.legend.values)] = np.arange(len(plan.legend.values))
        self.confidence = np.array(confidence or [np.nan] * len(plan.legend.values))
        self.p = np.zeros((len(plan.legend.values), *self.labels.shape), "uint8")
        self.shown = np.zeros((3, *self.labels.shape), "uint8")

    def ask(self, model: Model, table: np.ndarray, rows: slice, here: np.ndarray) -> None:
        """Ask a model about the labelled pixels of some rows.

        Parameters
        ----------
        model
            One that never saw these pixels.
        table
            Features (n, f) of all pixels of the rows.
        rows
            Of the patch.
        here
            Which of the pixels to ask about, bool (n,).
        """
        labels = self.labels[rows].ravel()
        at = np.flatnonzero(here & (labels > 0))
        if not at.size:
            return
        p = model.probabilities(table[at])
        y, x = np.unravel_index(at, self.labels[rows].shape)
        self.shown[:2, y + rows.start, x] = model.classify(p)
        columns = self.column[list(model.classes)]
        whole = np.zeros((len(at), len(self.p)), "float32")
        whole[:, columns] = p
        own = whole[np.arange(len(at)), self.column[labels[at]]]
        self.shown[2, y + rows.start, x] = np.clip(np.rint(100 * own), 1, 100)
        self.p[:, y + rows.start, x] = np.rint(whole.T * _STEPS)

    def write(self) -> list[str]:
        """Write ``_oof.tif``, and what the pieces of the reference look like; paths relative to the output folder."""
        from landweave.accuracy.label_errors import confident_others, piece_evidence
        from landweave.labels.outlines import connected_pieces, thin_parts

        files = [layout.out_of_fold(self.cell.name), layout.pieces(self.cell.name)]
        names = ("class, out of fold", "probability", "probability of the reference's class")
        write_raster(self.plan.folder / files[0], self.shown, self.cell.geobox, names=names)
        shape = self.labels.shape
        label = self.column[self.labels].ravel()
        p = self.p.reshape(len(self.p), -1).T / np.float32(_STEPS)
        core = self.core.ravel() > 0
        pieces = read_pieces(self.plan, self.cell)
        if self.plan.reference.kind == "points":
            # Neighbours are points of their own.
            pieces = np.where(self.labels > 0, np.arange(1, self.labels.size + 1).reshape(shape), 0)
        elif pieces is None:
            pieces = connected_pieces(self.labels)
        # Pixels without a piece were judged by people: nothing of them is doubted.
        others = np.where(pieces.ravel() > 0, confident_others(label, p, self.confidence), -1)
        whole = piece_evidence(label, pieces.ravel(), p, others, core)
        # Parts: of one piece, confidently taken for one class, three pixels wide at least.
        _, number = np.unique(pieces, return_inverse=True)
        codes = np.where(others >= 0, number.ravel() * len(self.p) + others + 1, 0).reshape(shape)
        parts = connected_pieces(np.where(thin_parts(codes), 0, codes))
        some = piece_evidence(label, parts.ravel(), p, others, np.ones(label.shape, bool))
        first = np.unique(parts, return_index=True)[1][-len(some) :] if len(some) else np.empty(0, "int64")
        some["within"] = pieces.ravel()[first]
        whole["within"] = whole["piece"]
        own = self.plan.reference.kind == "polygons"
        table = self._with_outlines(whole, None if own else pieces, part=False)
        self._keep(files[1], [table, self._with_outlines(some, parts, part=True)])
        return files

    def _with_outlines(self, table: "pd.DataFrame", pieces: np.ndarray | None, *, part: bool) -> "pd.DataFrame":
        """Outlines in the reference's CRS, as WKB, of what the register does not outline itself."""
        outlines: dict[int, bytes] = {}
        if pieces is not None and len(table):
            label = table["label"].to_numpy()
            sums = table[[f"p_{j}" for j in range(len(self.p))]].to_numpy()[np.arange(len(table)), label]
            # A piece as sure as its class usually is comes on no list, so it needs no outline.
            usual = sums / table["pixels"].to_numpy() >= self.confidence[label]
            outlines = self._outlines(np.where(np.isin(pieces, table.loc[~usual | part, "piece"]), pieces, 0))
        return table.assign(part=part, outline=[outlines.get(int(piece), b"") for piece in table["piece"]])

    def _outlines(self, pieces: np.ndarray) -> dict[int, bytes]:
        import shapely
        from rasterio.features import shapes

        box, crs = self.cell.geobox, self.plan.reference.crs
        if self.plan.reference.kind == "points":
            rows, columns = np.nonzero(pieces)
            x, y = to_crs(*(box.transform * (columns + 0.5, rows + 0.5)), source=box.crs, target=crs)
            return dict(zip(pieces[rows, columns].tolist(), shapely.to_wkb(shapely.points(x, y)), strict=True))
        found = shapes(pieces.astype("int32"), mask=pieces > 0, connectivity=4, transform=box.transform)
        drawn = [(int(value), shapely.geometry.shape(outline)) for outline, value in found]
        moved = [
            shapely.transform(
                shape,
                lambda xy: np.column_stack(to_crs(xy[:, 0], xy[:, 1], source=box.crs, target=crs)),
            )
            for _, shape in drawn
        ]
        return {number: shapely.to_wkb(shape) for (number, _), shape in zip(drawn, moved, strict=True)}

    def _keep(self, path: str, tables: "list[pd.DataFrame]") -> None:
        import pandas as pd

        filled: list[Any] = [table for table in tables if len(table)] or tables[:1]
        table = pd.concat(filled, ignore_index=True)
        write_whole(self.plan.folder / path, lambda part: table.to_parquet(part, index=False, compression="zstd"))
