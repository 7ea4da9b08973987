"""Rows with the probabilities of models that never saw their patch."""

from dataclasses import dataclass
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


def read_held_out(plan: Plan, split: str = "test") -> HeldOut:
    """The rows of one side, ``test`` or ``train``, these out of fold; of a cross-validated table always all rows."""
    rows = read_rows(plan.folder)
    table = read_table(plan.folder / layout.HELD_OUT)
    p = table[[f"p_{value}" for value in plan.legend.values]].to_numpy()
    use = rows["split"].to_numpy() == split
    if not (rows["split"] == "test").any():
        use = ~np.isnan(p[:, 0])
    p = p[use]
    predicted, _ = decide(
        p, plan.legend.values, thresholds=plan.thresholds, reject_below=plan.project.model.reject_below
    )
    # A row without any observation is class 0 on the map, and counts as an error here.
    seen = table["seen"].to_numpy()[use]
    predicted = np.where(seen, predicted, 0).astype("uint8")
    return HeldOut(rows=rows[use].reset_index(drop=True), probabilities=p, predicted=predicted, seen=seen)


def write_held_out(plan: Plan, rows: Any, held_out: np.ndarray, *, seen: np.ndarray) -> None:
    """Keep every row's held-out probabilities: ``samples_oof.parquet``."""
    import pandas as pd

    columns = {f"p_{value}": held_out[:, i] for i, value in enumerate(plan.legend.values)}
    table = pd.DataFrame(
        {"label": rows["label"], "split": rows["split"], "fold": rows["fold"], "seen": seen, **columns}
    )

    def write(part: Path) -> None:
        table.to_parquet(part, index=False, compression="zstd")

    write_whole(plan.folder / layout.HELD_OUT, write)
