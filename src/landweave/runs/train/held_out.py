"""Rows with the probabilities of models that never saw their patch."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from landweave.classifier.model import decide
from landweave.patch.store import read_table, write_whole
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.runs.sample.table import read_rows


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """Rows that were predicted by a model which never saw their unit."""

    rows: Any
    """Data frame: patch, x, y, label, weight, unit, core, split."""
    probabilities: np.ndarray
    """float32 (n, classes of the legend)."""
    predicted: np.ndarray
    """uint8 (n,), after thresholds; 0 where no class is shown."""
    seen: np.ndarray
    """bool (n,), whether the row has any observation."""
    known: np.ndarray
    """uint8 (n,): what the model knew of the row, as of :func:`landweave.labels.leakage.known_rows`; 0 nothing."""

    def only(self, use: np.ndarray) -> "HeldOut":
        """The rows of a mask, bool (n,)."""
        parts = {name: getattr(self, name)[use] for name in ("probabilities", "predicted", "seen", "known")}
        return replace(self, rows=self.rows[use].reset_index(drop=True), **parts)


def read_held_out(plan: Plan, *splits: str) -> HeldOut:
    """The rows of some sides, out of fold; of a cross-validated table always all rows.

    Parameters
    ----------
    plan
        The run.
    splits
        ``test``: drawn evenly from the land of the test units; ``land``: likewise from units that train, predicted by
        models that never saw them; ``train``: training rows. None is ``test``.
    """
    rows = read_rows(plan.folder)
    table = read_table(plan.folder / layout.HELD_OUT)
    p = table[[f"p_{value}" for value in plan.legend.values]].to_numpy()
    use = rows["split"].isin(splits or ("test",)).to_numpy()
    if not (rows["split"] == "test").any():
        use = ~np.isnan(p[:, 0])
    p = p[use]
    predicted, _ = decide(
        p, plan.legend.values, thresholds=plan.thresholds, reject_below=plan.project.model.reject_below
    )
    # A row without any observation is class 0 on the map, and counts as an error here.
    seen = table["seen"].to_numpy()[use]
    predicted = np.where(seen, predicted, 0).astype("uint8")
    # A frozen model's rows may be older than the column.
    known = table["known"].to_numpy()[use] if "known" in table else np.zeros(len(p), "uint8")
    return HeldOut(rows=rows[use].reset_index(drop=True), probabilities=p, predicted=predicted, seen=seen, known=known)


def write_held_out(
    plan: Plan, rows: Any, held_out: np.ndarray, *, seen: np.ndarray, known: np.ndarray | None = None
) -> None:
    """Keep every row's held-out probabilities, and what the model knew of the row: ``samples_oof.parquet``."""
    import pandas as pd

    columns = {f"p_{value}": held_out[:, i] for i, value in enumerate(plan.legend.values)}
    known = np.zeros(len(rows), "uint8") if known is None else known
    own = {"label": rows["label"], "split": rows["split"], "fold": rows["fold"], "seen": seen, "known": known}
    table = pd.DataFrame({**own, **columns})

    def write(part: Path) -> None:
        table.to_parquet(part, index=False, compression="zstd")

    write_whole(plan.folder / layout.HELD_OUT, write)
