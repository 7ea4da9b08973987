"""What is done to one patch, on whatever worker: read, draw samples, predict.

Each function takes the plan and one task, writes its files whole or not at all, and returns a small record:
``files`` relative to the output folder, and ``info`` that JSON can hold.
"""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.classifier.model import Model
from landweave.features.clouds import NO_DATA, VALID
from landweave.features.interpolation import any_known, features
from landweave.features.observed import count_histogram, mean_probability, ndvi_tally, valid_counts
from landweave.features.recipe import Recipe
from landweave.patch.grid import Cell, strip_geobox
from landweave.patch.model import NODATA, TIME, X, Y, saturated
from landweave.patch.stack import Strip, strip_reader
from landweave.patch.staging import ROWS
from landweave.patch.store import write_raster, write_whole
from landweave.patch.strips import map_strips
from landweave.runs.doubts import Doubts
from landweave.runs.fetching import fetch_stack, is_stack
from landweave.runs.labelling import read_labels, read_pieces
from landweave.runs.ledger import Ledger, fingerprint_of
from landweave.runs.observations import UNKNOWN_SKY, write_observations
from landweave.runs.observing import cloudiness, observe, reasons_of
from landweave.runs.opening import Plan
from landweave.sources.protocol import Source
from landweave.sources.rasters import read_static
from landweave.sources.stac import StacSource
from landweave.training.blocks import unit_ids, unit_name

STRIP_PIXELS = 65_536
"""Pixels held at a time; a strip is as many rows as hold them, in whole shards of a stored patch."""

NDVI_STEP = 4
"""Of rows and columns: on which pixels NDVI is counted through the year."""

DROPPED = 4
"""Reason of masking beside those of ``mask_reasons``: too few valid pixels of that date in the patch."""

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class FetchTask:
    """What to read of a patch."""

    cell: Cell
    stamp: str
    """Fingerprint of all that decides its pixels."""
    offsets: dict[str, float]
    """Scene to the offset that its pixels speak for, where these are trusted more than its metadata."""


def fetch(plan: Plan, task: FetchTask) -> Record:
    """Read a patch once: the share of valid pixels of each date; its imagery kept where the project asks."""
    cell = task.cell
    inside = cell.inside()
    here = np.ones(cell.geobox.shape, bool) if inside is None else inside
    valid = np.zeros(len(plan.dates), "int64")
    seen = np.zeros((2, *cell.geobox.shape), "uint16")
    tally: dict[str, np.ndarray] = {}
    clipped = 0
    files, stack = [], ""
    if plan.project.source.stores:
        made = fetch_stack(plan, cell, source=_source(plan, task), stamp=task.stamp)
        # What is not kept is no file that must be there; its fingerprint tells later stages of other pixels.
        files = [_relative(plan, path) for path in made if plan.project.source.keep or path.suffix != ".zarr"]
        stack = fingerprint_of(_stored_path(plan, cell))

    def count(rows: slice, strip: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
        nonlocal clipped
        bands, reasons, sky = strip
        valid[:] += (reasons[:, here[rows]] == VALID).sum(axis=1)
        seen[0, rows], mean = valid_counts(reasons), mean_probability(sky, reasons != NO_DATA)
        seen[1, rows] = np.where(np.isfinite(mean), np.rint(100 * np.nan_to_num(mean)), UNKNOWN_SKY)
        for key, numbers in _ndvi(plan, bands, reasons, rows).items():
            tally[key] = tally.get(key, 0) + numbers
        clipped += saturated(bands)

    _scan(plan, task, write=count, sky=True)
    files += write_observations(plan, cell, seen, tally)
    pixels = int(here.sum())
    return {
        "files": files,
        "info": {
            "valid_fraction": [float(n) / max(pixels, 1) for n in valid],
            "never_seen": int((seen[0][here] == 0).sum()),
            "pixels": pixels,
            "stack": stack,
            "saturated": clipped,
            "valid_counts": count_histogram(seen[0][here], len(plan.dates)).tolist(),
        },
    }


def _ndvi(plan: Plan, bands: np.ndarray, reasons: np.ndarray, rows: slice) -> dict[str, np.ndarray]:
    """NDVI counted on every fourth pixel of every fourth row: enough for a curve, at a sixteenth of the work."""
    names = plan.recipe.source_bands
    if not {"B04", "B08"} <= set(names):
        return {}
    some = (slice(None), slice(-rows.start % NDVI_STEP, None, NDVI_STEP), slice(None, None, NDVI_STEP))
    red, near = (bands[names.index(name)][some] for name in ("B04", "B08"))
    return ndvi_tally(red, near, reasons[some])


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
    """Share of the labelled pixels of a test unit that are drawn."""
    fetch: FetchTask
    """How its imagery was read, should it have to be read again."""


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

    _scan(plan, task.fetch, write=pick, wanted=set(where_y.tolist()))
    reasons[~np.array(task.keep)] = DROPPED
    static = _static(plan, cell, slice(0, cell.rows))
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
    files = [f"parts/{cell.name}.parquet", f"parts/{cell.name}_series.parquet"]
    for path, table in zip(files, (rows, series), strict=True):
        _write_table(plan.folder / path, table)
    return {"files": files, "info": {"rows": len(rows)}}


def _write_table(path: Path, table: Any) -> None:
    def write(part: Path) -> None:
        table.to_parquet(part, index=False)

    write_whole(path, write)


def _draw(plan: Plan, task: SampleTask) -> Any:
    import pandas as pd

    from landweave.training.sample import draw, draw_uniform

    cell, seed = task.cell, plan.project.sampling.seed
    whole, core, thin = read_labels(plan, cell)
    pieces = read_pieces(plan, cell)
    ids = unit_ids(whole.shape, plan.cut)
    parts = []
    for number in range(plan.cut * plan.cut):
        unit = unit_name(cell.name, number, plan.cut)
        if unit not in task.units:
            continue
        role, fold = task.units[unit]
        here = ids == number
        drawn = []
        if task.quotas.get(unit):
            rows = draw(np.where(here, core, 0), task.quotas[unit], seed=seed, name=unit)
            drawn.append(("refit" if role == "test" else "train", rows))
        if role in {"test", "both"}:
            drawn.append(("test", draw_uniform(np.where(here, whole, 0), rate=task.test_rate, seed=seed, name=unit)))
        for split, (row, col, weight) in drawn:
            part = {
                "unit": unit, "row": row, "col": col, "label": whole[row, col], "core": core[row, col] > 0,
                "thin": thin[row, col] > 0, "piece": 0 if pieces is None else pieces[row, col],
            }  # fmt: skip
            parts.append(pd.DataFrame({**part, "split": split, "fold": np.int16(fold), "weight": weight}))
    columns = ["unit", "row", "col", "label", "core", "thin", "piece", "split", "fold", "weight"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


@dataclass(frozen=True, kw_only=True)
class PredictTask:
    """What to predict a patch with."""

    cell: Cell
    keep: tuple[bool, ...]
    """Per date: whether the patch has enough valid pixels."""
    model: str
    """Folder of the map's model."""
    folds: dict[str, str]
    """Unit to the folder of the model that never saw it; empty where there is no reference."""
    fetch: FetchTask
    """How its imagery was read, should it have to be read again."""
    confidence: tuple[float, ...] = ()
    """Mean out-of-fold probability of each class of the legend over what the reference calls so; NaN unknown."""


def predict(plan: Plan, task: PredictTask) -> Record:
    """Class and confidence of every pixel, and out of fold where the reference has a class."""
    cell = task.cell
    model = _load(plan, task.model)
    assert model.recipe is not None
    recipe = Recipe.from_json(model.recipe)
    fold_models = {folder: _load(plan, folder) for folder in sorted(set(task.folds.values()))}
    doubts = Doubts(plan, cell, task.confidence) if fold_models else None
    ids = unit_ids(cell.geobox.shape, plan.cut)
    mapped_here = cell.mapped()
    out = np.zeros((2, *cell.geobox.shape), "uint8")

    dates = np.flatnonzero(task.keep)
    dated = len(recipe.feature_names) - len(recipe.static)

    def classify(rows: slice, strip: tuple[np.ndarray, np.ndarray]) -> None:
        bands, reasons = strip
        shape = bands.shape[-2:]
        static = _static(plan, cell, rows).reshape(len(recipe.static), -1) if recipe.static else None
        table = features(
            bands.reshape(*bands.shape[:2], -1), reasons.reshape(len(reasons), -1) == 0,
            np.array(plan.days)[dates], recipe, static=static,
        )  # fmt: skip
        seen = any_known(table[:, :dated])
        if mapped_here is not None:
            seen &= mapped_here[rows].ravel()
        out[:, rows] = _classified(model, table, seen).reshape(2, *shape)
        for number in range(plan.cut * plan.cut if doubts is not None else 0):
            folder = task.folds.get(unit_name(cell.name, number, plan.cut))
            if folder is not None and doubts is not None:
                doubts.ask(fold_models[folder], table, rows, (ids[rows] == number).ravel() & seen)

    _scan(plan, task.fetch, dates=dates.tolist(), write=classify)
    files = [f"predictions/{cell.name}.tif"]
    write_raster(plan.folder / files[0], out, cell.geobox, names=("class", "confidence"))
    if doubts is not None:
        files += doubts.write()
    mapped = _counts(out[0] if mapped_here is None else out[0][mapped_here])
    asked = _counts(doubts.shown[0]) if doubts is not None else {}
    info = {"mapped": mapped, "out_of_fold": asked, "slow_because": model.slow_because}
    return {"files": files, "info": info}


def _classified(model: Model, table: np.ndarray, seen: np.ndarray) -> np.ndarray:
    if seen.all():
        return np.stack(model.classify(model.probabilities(table)))
    out = np.zeros((2, len(table)), "uint8")
    if seen.any():
        out[:, seen] = model.classify(model.probabilities(table[seen]))
    return out


def _scan(
    plan: Plan,
    task: FetchTask,
    *,
    write: Callable[[slice, Any], None],
    dates: Sequence[int] | None = None,
    wanted: set[int] | None = None,
    sky: bool = False,
) -> None:
    """Go over a patch strip by strip: bands int16 (b, t, y, x) and reasons of masking uint8 (t, y, x).

    Only the dates at these positions are read. With ``sky`` also how cloudy it was, per cent, float32 (t, y, x).
    """
    if (wanted is not None and not wanted) or (dates is not None and not dates):
        return
    cell, bands = task.cell, plan.recipe.source_bands
    others = [name for name in plan.variables if name not in bands]
    days = plan.dates if dates is None else [plan.dates[number] for number in dates]
    stored = None
    if plan.project.source.stores:
        stored = strip_reader(_stack(plan, task), bands=bands, masks=others, dates=dates)

    def read(rows: slice) -> Strip:
        if stored is not None:
            return stored(rows)
        patch = observe(plan, strip_geobox(cell.geobox, rows), days, plan.variables)
        return Strip(bands=np.stack([patch[name].values for name in bands]), masks={n: patch[n].values for n in others})

    def mask(strip: Strip) -> tuple[np.ndarray, ...]:
        layers = {**dict(zip(bands, strip.bands, strict=True)), **strip.masks}
        patch = xr.Dataset({name: ((TIME, Y, X), values) for name, values in layers.items()})
        reasons = reasons_of(plan, patch)
        return (strip.bands, reasons, cloudiness(plan, patch, reasons)) if sky else (strip.bands, reasons)

    shards = max(1, STRIP_PIXELS // (ROWS * int(cell.geobox.shape[1])))
    map_strips(read, mask, write=write, height=cell.rows, strip=shards * ROWS)


def _static(plan: Plan, cell: Cell, rows: slice) -> np.ndarray:
    return static_layers(plan, strip_geobox(cell.geobox, rows))


def static_layers(plan: Plan, geobox: GeoBox) -> np.ndarray:
    """The recipe's layers without time on a grid, float32 (layers, y, x), NaN missing."""
    layers = [read_static(plan.project.path(path), geobox) for path in plan.project.features.static]
    return np.stack(layers) if layers else np.zeros((0, *geobox.shape), "float32")


def _load(plan: Plan, folder: str) -> Model:
    model = Model.load(Path(plan.folder, folder))
    return replace(model, thresholds=plan.thresholds, reject_below=plan.project.model.reject_below)


def _counts(classes: np.ndarray) -> dict[int, int]:
    sizes = np.bincount(classes.ravel(), minlength=1)
    return {value: int(size) for value, size in enumerate(sizes) if size}


def pieces_of(files: Iterable[str]) -> list[str]:
    """Of the files that :func:`predict` wrote those about pieces of the reference."""
    return [path for path in files if path.endswith("_pieces.parquet")]


def let_go(plan: Plan, cell: Cell, ledger: Ledger) -> None:
    """Remove a patch's Zarr; its quicklooks and what was seen of it stay."""
    path = _stored_path(plan, cell)
    # The ledger first: a Zarr that nobody asks for does no harm, one that is asked for and gone is fetched again.
    ledger.let_go(f"fetch/{cell.name}", _relative(plan, path))
    shutil.rmtree(path, ignore_errors=True)


def _stack(plan: Plan, task: FetchTask) -> Path:
    """The patch's Zarr, brought again where it was let go."""
    path = _stored_path(plan, task.cell)
    if not plan.project.source.keep:
        source = _source(plan, task)
        if not is_stack(path, plan, task.cell, source=source, stamp=task.stamp):
            fetch_stack(plan, task.cell, source=source, stamp=task.stamp)
    return path


def _source(plan: Plan, task: FetchTask) -> Source:
    return plan.source.with_offsets(task.offsets) if isinstance(plan.source, StacSource) else plan.source


def _stored_path(plan: Plan, cell: Cell) -> Path:
    return plan.folder / "patches" / f"{cell.name}.zarr"


def _relative(plan: Plan, path: Path) -> str:
    return str(path.relative_to(plan.folder))
