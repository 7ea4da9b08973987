"""Samples of all patches, or a table of labelled series, as one training table."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.errors import InputError
from landweave.features.interpolation import features
from landweave.features.recipe import Recipe
from landweave.features.units import fit_scales
from landweave.import_rule import ImportRule
from landweave.patch.model import NODATA, to_int16
from landweave.patch.store import read_table, write_whole
from landweave.patch.summary import listed
from landweave.runs import layout
from landweave.runs.project.plan import Plan, training_paths

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from landweave.labels.series import LabelledSeries

RECIPE_KEY = b"landweave.recipe"
"""Where the recipe stands in the metadata of ``samples.parquet``."""

ROW_COLUMNS = ("patch", "x", "y", "label", "split", "fold", "weight", "unit", "core", "thin", "piece")
"""Columns of ``samples.parquet`` beside the features."""

MOST = 3.2767
"""Largest value that int16 holds in units of 1e-4."""

_ROWS, _COLUMNS = 20_000, 16
"""Of a table in memory at a time while it is written, and while it is read."""


def custom_code(recipe: Recipe) -> list[str]:
    """Source of the functions that custom layers import, so that editing one is noticed."""
    import inspect

    from landweave.features.indices import is_import_path, load_function

    sources = []
    for _, text in recipe.custom:
        if is_import_path(text):
            file = recipe.rule.beside(text.partition(":")[0])
            if file is not None:
                # The function may call others of its file.
                sources.append(file.read_text(encoding="utf-8", errors="replace"))
                continue
            try:
                sources.append(inspect.getsource(load_function(text, recipe.rule)))
            except (OSError, TypeError):  # a builtin has no source
                sources.append(text)
    return sources


def truth_print(plan: Plan, print_of: Callable[[Path], str]) -> str:
    """Fingerprint of the true cover's file, by ``print_of``, where one is named."""
    settings = plan.project.reference
    return print_of(plan.project.path(settings.truth)) if settings and settings.truth else ""


def from_parts(plan: Plan, patches: Sequence[str]) -> dict[str, Any]:
    """Join the patches' parts, in the order of their names, and compute the features of every row."""
    import pandas as pd
    import pyarrow.parquet as pq

    rows = []
    for name in patches:
        part = read_table(plan.folder / layout.rows(name))
        if not part.empty:
            rows.append(part.assign(patch=name))
    if not rows:
        raise InputError("The reference has no labelled pixel in this area; check its column and the legend's codes.")
    table = pd.concat(rows, ignore_index=True)
    static = [table.pop(f"static_{name}").to_numpy("float32") for name in plan.recipe.static]
    # Filled part by part: the whole is large, and is held once.
    shape = (len(plan.dates), len(table))
    stack, why = np.empty((len(plan.recipe.source_bands), *shape), "int16"), np.empty(shape, "uint8")
    first = 0
    for part in rows:
        here = slice(first, first + len(part))
        series = pq.read_table(plan.folder / layout.row_series(part["patch"].iloc[0]))
        for column, out in zip((*plan.recipe.source_bands, "reason"), (*stack, why), strict=True):
            out[:, here] = series.column(column).to_numpy().reshape(len(part), -1).T
        first = here.stop
    days = np.array(plan.days)
    layers = np.stack(static) if static else None
    recipe = _given_recipe(plan) or fit_scales(plan.recipe, stack, why == 0, days, layers)
    table_x = features(stack, why == 0, days, recipe, static=layers)
    _write(plan, table[list(ROW_COLUMNS)], table_x, recipe)
    _write_series(plan, np.array(plan.dates, "datetime64[ms]"), stack, why)
    info = {"rows": len(table), "recipe": recipe.to_json(), "empty_layers": _empty_layers(recipe, table_x)}
    return {"files": [layout.SAMPLES, layout.SERIES], "info": info}


def _empty_layers(recipe: Recipe, table_x: np.ndarray) -> list[str]:
    """Layers of which no sample has any value, on whatever day."""
    missing = (table_x == NODATA).all(axis=0)
    known = {layer for layer, nothing in zip(recipe.feature_layers, missing, strict=True) if not nothing}
    return [layer for layer in dict.fromkeys(recipe.feature_layers) if layer not in known]


def read_training(plan: Plan) -> tuple["LabelledSeries", np.ndarray, list[str]]:
    """The table of labelled series that ``[training]`` names, checked against the bands and the legend.

    Returns
    -------
    series, labels
        What :func:`landweave.labels.series.read_series` gives, and the class value of each sample, uint8; 0 where the
        legend does not know its label.
    notes
        What is left out, in sentences.

    Raises
    ------
    InputError
        Where the table or a band is missing or cannot be read, or where fewer than two classes have samples.
    """
    from landweave.labels.series import read_series

    series = read_series(**training_paths(plan.project), bands=plan.recipe.source_bands)
    labels, unknown = plan.legend.translate(series.labels)
    if len(np.unique(labels[labels > 0])) < 2:
        told = f"; the legend does not know {listed([*unknown])}" if unknown else ""
        raise InputError(
            f"{training_paths(plan.project)['table']}: fewer than two classes have samples{told}. Correct "
            "training.label or the legend's codes."
        )
    notes = [*series.notes, *_clipped(series, training_paths(plan.project)["table"])]
    if unknown:
        notes.append(
            f"{sum(unknown.values())} samples have labels that the legend does not know and are left out: "
            f"{listed([f'{name} ({count})' for name, count in sorted(unknown.items())], 10)}."
        )
    placeless = 0 if series.longitude is None else int(np.isnan(series.longitude[labels > 0]).sum())
    if placeless:
        notes.append(f"{placeless} of {int((labels > 0).sum())} samples have no place; each is a block of its own.")
    return series, labels, notes


def _clipped(series: "LabelledSeries", table: Path) -> list[str]:
    """What of a table lies beyond the int16 of features; InputError where that is most of a band."""
    values = np.concatenate(series.values)
    there, beyond = (~np.isnan(values)).sum(axis=0), (np.abs(values) > MOST).sum(axis=0)
    for band, number, all_of_it in zip(series.bands, beyond.tolist(), there.tolist(), strict=True):
        if number * 2 > all_of_it:
            raise InputError(
                f"{table}: {number} of {all_of_it} values of {band} lie beyond {MOST}; give reflectance and indices as "
                "they are (0.12), not multiplied by 10000."
            )
    found = [f"{band} ({number})" for band, number in zip(series.bands, beyond.tolist(), strict=True) if number]
    return [f"Values of the table beyond {MOST} were clipped: {listed(found)}."] if found else []


@dataclass(frozen=True, kw_only=True)
class TableFeatures:
    """A table of labelled series as features."""

    series: "LabelledSeries"
    known: np.ndarray
    """bool, (samples,): the legend knows the label; the others are left out of all that follows."""
    labels: np.ndarray
    """uint8, (rows,)."""
    days: np.ndarray
    """Days since each series began on which any has an observation, sorted."""
    stack: np.ndarray
    """int16, (bands, days, rows), -32768 missing."""
    recipe: Recipe
    """With its scales."""
    matrix: np.ndarray
    """int16, (rows, features), -32768 missing."""
    folds: tuple[list[str], np.ndarray, str]
    """Unit and fold of each row, and how they were made: by block, or at random."""
    notes: list[str]
    """What is left out, in sentences."""

    @property
    def valid(self) -> np.ndarray:
        """bool, (days, rows): all bands have a value."""
        return np.asarray((self.stack != NODATA).all(axis=0))


def table_features(plan: Plan) -> TableFeatures:
    """Interpolate a table of labelled series, aligned by days since each series began.

    Raises
    ------
    InputError
        As :func:`read_training`, and where no sample has a value on any day of the features.
    """
    series, labels, notes = read_training(plan)
    wanted, known = plan.recipe.source_bands, labels > 0
    # Every series lies on its own days; the union of days holds them all, and gaps are gaps.
    days = np.unique(np.concatenate(series.days))
    stack = np.full((len(wanted), len(days), len(labels)), NODATA, "int16")
    for i, (own, values) in enumerate(zip(series.days, series.values, strict=True)):
        at = np.searchsorted(days, own)
        for b, name in enumerate(wanted):
            stack[b, at, i] = to_int16(values[:, series.bands.index(name)])
    stack, labels = stack[:, :, known], labels[known]
    valid = (stack != NODATA).all(axis=0)
    recipe = fit_scales(plan.recipe, stack, valid, days)
    matrix = features(stack, valid, days, recipe)
    bare = int((matrix == NODATA).all(axis=1).sum())
    if bare == len(labels):
        wanted_days = f"every {plan.project.features.step_days} days from its start"
        if plan.undated:
            wanted_days = f"day {', '.join(map(str, plan.recipe.days))} from its start"
        raise InputError(
            f"{training_paths(plan.project)['table']}: no sample has a value on any day of the features "
            f"({wanted_days}); check start_date and the period."
        )
    if bare:
        notes.append(f"{bare} samples have no value on any day of the features; check their start_date.")
    folds = _table_folds(plan, series, labels, known)
    units = {
        value: {unit for unit, label in zip(folds[0], labels, strict=True) if label == value} for value in {*labels}
    }
    alone = [plan.legend.names[int(value)] for value, own in sorted(units.items()) if len(own) == 1]
    if folds[2] == "block" and alone:
        notes.append(
            f"Classes within one block only, so that they cannot be tested: {listed(alone)}. Their samples count as "
            "wrong, since no model that judges them has seen the class."
        )
    return TableFeatures(
        series=series, known=known, labels=labels, days=days, stack=stack, recipe=recipe, matrix=matrix, folds=folds,
        notes=notes,
    )  # fmt: skip


def from_series_table(plan: Plan) -> dict[str, Any]:
    """Interpolate a table of labelled series, and write it as a training table."""
    import pandas as pd

    made = table_features(plan)
    series, labels, known = made.series, made.labels, made.known
    unit, fold, kind = made.folds
    place = (np.full(len(labels), np.nan),) * 2
    if series.longitude is not None and series.latitude is not None:
        place = (series.longitude[known], series.latitude[known])
    frame = pd.DataFrame(
        {
            "patch": "", "x": place[0], "y": place[1], "label": labels, "split": "train",
            "fold": fold.astype("int16"), "weight": 1.0, "unit": unit, "core": True, "thin": False, "piece": 0,
        }
    )  # fmt: skip
    _write(plan, frame, made.matrix, made.recipe)
    _write_series(plan, made.days, made.stack, np.where(made.valid, 0, 1).astype("uint8"))
    info = {"rows": len(frame), "recipe": made.recipe.to_json(), "split": kind, "notes": made.notes}
    return {"files": [layout.SAMPLES, layout.SERIES], "info": info}


def _table_folds(plan: Plan, series: Any, labels: np.ndarray, known: np.ndarray) -> tuple[list[str], np.ndarray, str]:
    """Folds by spatial block where the samples have coordinates in enough blocks, else at random."""
    from landweave.labels.folds import block_ids, group_folds, random_folds

    names = [str(label) for label in labels]
    settings, seed, k = plan.project.training, plan.project.sampling.seed, plan.project.model.folds
    assert settings is not None
    there = known if series.longitude is None else known & ~np.isnan(series.longitude)
    if series.longitude is not None and there.any():
        blocks = block_ids(series.longitude[there], series.latitude[there], size=settings.block_size)
        held = iter(blocks)
        # A sample without a place is a block of its own.
        blocks = [next(held) if placed else f"sample {i}" for i, placed in enumerate(there.tolist()) if known[i]]
        if len(set(blocks)) >= k:
            return blocks, group_folds(blocks, names, k=k, seed=seed), "block"
    return [str(i) for i in range(len(names))], random_folds(names, k=min(k, len(names)), seed=seed), "random"


def _given_recipe(plan: Plan) -> Recipe | None:
    """The recipe of a model from elsewhere: features for a model are made in the model's units."""
    if not plan.project.model.path:
        return None
    from landweave.runs.project.given_model import given_model

    recipe = given_model(plan).recipe
    assert recipe is not None
    return Recipe.from_json(recipe, rule=plan.recipe.rule)


def read_samples(folder: Path, *, rule: ImportRule | None = None) -> "tuple[pd.DataFrame, np.ndarray, Recipe]":
    """The training table of an output folder; ``rule`` says whose functions its recipe may call.

    Returns
    -------
    rows
        One row a sample: patch, x, y, label, split, fold, weight, unit, core.
    features
        int16, (samples, features), -32768 missing.
    recipe
        The recipe that made them.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / layout.SAMPLES) as file:
        recipe = Recipe.from_json(json.loads(file.schema_arrow.metadata[RECIPE_KEY]), rule=rule)
        names = recipe.feature_names
        matrix = np.empty((file.metadata.num_rows, len(names)), "int16")
        for first in range(0, len(names), _COLUMNS):
            table = file.read(columns=list(names[first : first + _COLUMNS]))
            for number, column in enumerate(table.columns, start=first):
                matrix[:, number] = column.to_numpy()
        rows = file.read(columns=[name for name in file.schema_arrow.names if name not in {*names}]).to_pandas()
    _let_go()
    return rows, matrix, recipe


def read_rows(folder: Path) -> "pd.DataFrame":
    """The training table without its features: patch, x, y, label, split, fold, weight, unit, core."""
    return read_table(folder / layout.SAMPLES, columns=list(ROW_COLUMNS))


def _write(plan: Plan, rows: "pd.DataFrame", matrix: np.ndarray, recipe: Recipe) -> None:
    import pyarrow as pa

    schema = pa.Schema.from_pandas(rows, preserve_index=False)

    def chunk(here: slice) -> "pa.Table":
        table = pa.Table.from_pandas(rows.iloc[here], schema=schema, preserve_index=False)
        for number, name in enumerate(recipe.feature_names):
            table = table.append_column(name, pa.array(np.ascontiguousarray(matrix[here, number])))
        return table.replace_schema_metadata({RECIPE_KEY: json.dumps(recipe.to_json()).encode()})

    _write_chunks(plan.folder / layout.SAMPLES, chunk, len(rows))


def _write_series(plan: Plan, times: np.ndarray, stack: np.ndarray, reasons: np.ndarray) -> None:
    """Observations that exist, row by row; a table's series have days since their start instead of dates."""
    import pyarrow as pa

    def chunk(here: slice) -> "pa.Table":
        own = stack[:, :, here]
        row, when = np.nonzero((own != NODATA).any(axis=0).T)
        columns = {"row": (row + here.start).astype("int32"), "acquisition": times[when]}
        columns |= {name: own[b, when, row] for b, name in enumerate(plan.recipe.source_bands)}
        return pa.table(columns | {"reason": reasons[:, here][when, row]})

    _write_chunks(plan.folder / layout.SERIES, chunk, stack.shape[2])


def _write_chunks(path: Path, chunk: "Callable[[slice], pa.Table]", length: int) -> None:
    """Write a table that is never in memory as a whole."""
    import pyarrow.parquet as pq

    def write(part: Path) -> None:
        first = chunk(slice(0, _ROWS))
        with pq.ParquetWriter(part, first.schema, compression="zstd") as writer:
            writer.write_table(first)
            for start in range(_ROWS, length, _ROWS):
                writer.write_table(chunk(slice(start, start + _ROWS)))

    write_whole(path, write)
    _let_go()


def _let_go() -> None:
    """Give back what Arrow keeps for its next table."""
    import pyarrow as pa

    pa.default_memory_pool().release_unused()
