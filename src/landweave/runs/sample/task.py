"""The task of the stage `sample`: draw a patch's training and test pixels with their observations."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from landweave.labels.units import unit_ids, unit_name
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA
from landweave.patch.store import write_whole
from landweave.runs import layout
from landweave.runs.fetch.imagery import FetchTask
from landweave.runs.fetch.strips import DROPPED, scan, static_rows
from landweave.runs.fetch.task import Record
from landweave.runs.project.plan import Plan
from landweave.runs.sample.assignment import NO_FOLD
from landweave.runs.sample.labels import read_labels, read_pieces


@dataclass(frozen=True, kw_only=True)
class SampleTask:
    """Which pixels to draw from a patch."""

    cell: Cell
    keep: tuple[bool, ...]
    """Per date: whether the patch has enough valid pixels."""
    units: dict[str, tuple[str, int]]
    """Unit to its role (``train``, ``test`` or ``both``) and fold."""
    quotas: dict[str, dict[int, int]]
    """Unit to class to training pixels."""
    test_rate: float
    """Share of the labelled pixels of a unit that are drawn to test."""
    fetch: FetchTask
    """How its imagery was read, should it have to be read again."""
    factors: dict[str, dict[int, float]] = field(default_factory=dict)
    """Role to class to what weights of training pixels are multiplied by."""


def sample(plan: Plan, task: SampleTask) -> Record:
    """Draw a patch's training and test pixels and keep their masked observations."""
    import pandas as pd

    cell = task.cell
    rows = _draw(plan, task)
    order = np.argsort(rows["row"].to_numpy(), kind="stable")
    rows = rows.iloc[order].reset_index(drop=True)
    where_y, where_x = rows["row"].to_numpy(), rows["col"].to_numpy()
    shape = (len(plan.dates), len(rows))
    bands = np.full((len(plan.recipe.source_bands), *shape), NODATA, "int16")
    reasons = np.ones(shape, "uint8")

    def pick(strip_of: slice, strip: tuple[np.ndarray, np.ndarray]) -> None:
        first, last = np.searchsorted(where_y, [strip_of.start, strip_of.stop])
        at = (where_y[first:last] - strip_of.start, where_x[first:last])
        bands[:, :, first:last] = strip[0][:, :, at[0], at[1]]
        reasons[:, first:last] = strip[1][:, at[0], at[1]]

    scan(plan, task.fetch, write=pick, wanted=set(where_y.tolist()))
    reasons[~np.array(task.keep)] = DROPPED
    static = static_rows(plan, cell, slice(0, cell.rows))
    for name, layer in zip(plan.recipe.static, static, strict=True):
        rows[f"static_{name}"] = layer[where_y, where_x]
    x, y = cell.geobox.transform * (where_x + 0.5, where_y + 0.5)
    rows.insert(1, "x", x)
    rows.insert(2, "y", y)
    # Within the part every row has all dates, row by row, so that no row number need be kept twice.
    series = pd.DataFrame(
        {
            "sample": np.repeat(np.arange(len(rows), dtype="int32"), len(plan.dates)),
            "acquisition": np.tile(np.array(plan.dates, "datetime64[ms]"), len(rows)),
            **{name: bands[i].T.ravel() for i, name in enumerate(plan.recipe.source_bands)},
            "reason": reasons.T.ravel(),
        }
    )
    files = [layout.rows(cell.name), layout.row_series(cell.name)]
    for path, table in zip(files, (rows, series), strict=True):
        _write_table(plan.folder / path, table)
    return {"files": files, "info": {"rows": len(rows)}}


def _write_table(path: Path, table: Any) -> None:
    def write(part: Path) -> None:
        table.to_parquet(part, index=False)

    write_whole(path, write)


def _draw(plan: Plan, task: SampleTask) -> Any:
    import pandas as pd

    from landweave.labels.draw import draw, draw_uniform

    cell, seed = task.cell, plan.project.sampling.seed
    whole, core, thin = read_labels(plan, cell)
    pieces = read_pieces(plan, cell)
    ids = unit_ids(whole.shape, plan.cut)
    parts = []

    def take(unit: str, split: str, fold: int, found: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        row, col, weight = found
        part = {
            "unit": unit, "row": row, "col": col, "label": whole[row, col], "core": core[row, col] > 0,
            "thin": thin[row, col] > 0, "piece": 0 if pieces is None else pieces[row, col],
        }  # fmt: skip
        parts.append(pd.DataFrame({**part, "split": split, "fold": np.int16(fold), "weight": weight}))

    for number in range(plan.cut * plan.cut):
        unit = unit_name(cell.name, number, plan.cut)
        if unit not in task.units:
            continue
        role, fold = task.units[unit]
        here = ids == number
        if task.quotas.get(unit):
            row, col, weight = draw(np.where(here, core, 0), task.quotas[unit], seed=seed, name=unit)
            factors = task.factors.get(role, {})
            weight = weight * np.array([factors.get(int(value), 1.0) for value in core[row, col]])
            take(unit, "refit" if role == "test" else "train", fold, (row, col, weight))
        # In units that train: what is asked of models that never saw them, border rings and all. A unit that all models
        # have seen can be asked of none.
        held_out = role == "train" and (fold != NO_FOLD or not task.quotas.get(unit))
        if held_out or role in {"test", "both"}:
            rows = draw_uniform(np.where(here, whole, 0), rate=task.test_rate, seed=seed, name=unit)
            take(unit, "land" if held_out else "test", fold, rows)
    if not parts:
        # A patch whose labels are all eroded gives a table of the same columns and types, without rows.
        nothing = np.zeros(0, "int64")
        take("", "train", 0, (nothing, nothing, nothing.astype("float64")))
    return pd.concat(parts, ignore_index=True)
