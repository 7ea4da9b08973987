"""All that is known of one pixel: what was seen of it, what was made of that, and what it was called."""

import datetime
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.classifier.model import Model
from landweave.errors import InputError, named
from landweave.features.clouds import CLOUD, NO_DATA, SNOW, VALID
from landweave.features.interpolation import features, layer_values
from landweave.features.recipe import Recipe
from landweave.features.series.rules import PLAIN
from landweave.patch.align import pixels_of, to_crs
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA, REFLECTANCE_SCALE
from landweave.patch.store import read_patch
from landweave.runs import layout
from landweave.runs.fetch.strips import DROPPED, reasons_of
from landweave.runs.results.record import read_record
from landweave.runs.results.run import FinishedRun

REASONS = {
    VALID: None, NO_DATA: "no data", CLOUD: "cloud, shadow or another masked class", SNOW: "snow",
    DROPPED: "too few valid pixels of this date in the patch",
}  # fmt: skip
"""Why an observation is left out; None where it counts."""


def find_cell(cells: Sequence[Cell], lon: float, lat: float) -> tuple[Cell, int, int] | None:
    """The patch that answers for a place, and the pixel's row and column in it; None where there is none.

    Parameters
    ----------
    cells
        Patches; where zones overlap, the one whose side of the border it is comes first.
    lon, lat
        Degrees, EPSG:4326.
    """
    best, places = None, {}
    for cell in cells:
        crs = cell.geobox.crs
        if crs not in places:
            places[crs] = to_crs(np.array([lon]), np.array([lat]), source="EPSG:4326", target=crs)
        rows, columns, inside = pixels_of(cell.geobox, *places[crs])
        if inside[0]:
            found = cell, int(rows[0]), int(columns[0])
            if cell.west <= lon < cell.east:
                return found
            best = best or found
    return best


def pixel_dossier(run: FinishedRun, lon: float, lat: float) -> dict[str, Any]:
    """All that a finished run knows of one pixel.

    Parameters
    ----------
    run
        From :func:`landweave.open_run`.
    lon, lat
        Place, degrees, EPSG:4326.

    Returns
    -------
    dict
        JSON values. ``place``; ``patch`` with its record of the run; ``observations``, one a date: ``date``,
        ``valid``, ``reason`` where it is left out, ``bands`` (reflectance; None without data) and ``layers`` (what
        features are made of); ``curve``: the days of the features and each layer interpolated on them;
        ``prediction`` (class, confidence in per cent), ``probabilities`` by class name, ``out_of_fold`` by a model
        that never saw the place, ``reference`` (code and class). What the run does not have is None.

    Raises
    ------
    InputError
        When the place lies in no patch.
    """
    if not (math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90):
        raise InputError(f"{lon}, {lat}: not a place on Earth; give longitude and latitude in degrees.")
    found = find_cell(run.cells, lon, lat)
    if found is None:
        raise InputError(f"{lon:.5f}, {lat:.5f}: outside the project's {len(run.cells)} patches.")
    cell, row, column = found
    pixel = cell.geobox[row : row + 1, column : column + 1]
    x, y = cell.geobox.affine * (column + 0.5, row + 0.5)
    series = _series(run, cell, pixel, row, column)
    told: dict[str, Any] = {
        "project": run.plan.project.name,
        "place": {"lon": lon, "lat": lat, "crs": str(cell.geobox.crs), "x": x, "y": y},
        "patch": {"name": cell.name, "row": row, "column": column, "record": _record(run, cell)},
        "observations": None, "curve": None, "probabilities": None,
        "prediction": _class_of(run, layout.prediction(cell.name), row, column),
        "out_of_fold": _out_of_fold(run, cell, row, column),
        "reference": _reference(run, cell, pixel, row, column),
    }  # fmt: skip
    if series is not None:
        bands, reasons = series
        told["observations"] = _observations(run, bands, reasons)
        told |= _modelled(run, bands, reasons, pixel)
    return told


def _series(run: FinishedRun, cell: Cell, pixel: GeoBox, row: int, column: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Bands int16 (b, t) and reasons uint8 (t,) of a pixel; None where its imagery was let go."""
    plan = run.plan
    if plan.project.source.stores:
        path = plan.folder / layout.stack(cell.name)
        if not path.exists():
            return None
        # One chunk a variable is read.
        with named(path):
            patch: xr.Dataset = read_patch(path).isel(y=slice(row, row + 1), x=slice(column, column + 1)).load()
    else:
        patch = plan.source.load(pixel, plan.dates, plan.variables)
    reasons = reasons_of(plan, patch)[:, 0, 0]
    least = plan.project.features.min_valid_fraction
    reasons[[share < least for share in run.valid_fractions(cell.name)]] = DROPPED
    return np.stack([patch[name].values[:, 0, 0] for name in plan.recipe.source_bands]), reasons


def _observations(run: FinishedRun, bands: np.ndarray, reasons: np.ndarray) -> list[dict[str, Any]]:
    plan = run.plan
    layers = layer_values(bands[:, :, None], plan.recipe)[:, :, 0]
    units = [REFLECTANCE_SCALE if layer.kind == "band" else 1.0 for layer in plan.recipe.layers]
    names = [layer.name for layer in plan.recipe.layers]
    return [
        {
            "date": str(day),
            "valid": int(reasons[i]) == VALID,
            "reason": REASONS[int(reasons[i])],
            "bands": {
                name: None if value == NODATA else round(float(value) * REFLECTANCE_SCALE, 4)
                for name, value in zip(plan.recipe.source_bands, bands[:, i].tolist(), strict=True)
            },
            "layers": {n: _told(v * unit) for n, v, unit in zip(names, layers[:, i].tolist(), units, strict=True)},
        }
        for i, day in enumerate(plan.dates)
    ]


def _modelled(run: FinishedRun, bands: np.ndarray, reasons: np.ndarray, pixel: GeoBox) -> dict[str, Any]:
    """The interpolated curve, and the probabilities of the map's model."""
    from landweave.runs.fetch.strips import static_layers

    plan, model = run.plan, _model_of(run)
    recipe = plan.recipe
    if model is not None and model.recipe is not None:
        recipe = Recipe.from_json(model.recipe, rule=recipe.rule)
    kept = reasons != DROPPED
    static = static_layers(plan, pixel).reshape(len(recipe.static), -1) if recipe.static else None
    arguments = (bands[:, kept, None], (reasons[kept] == VALID)[:, None], np.array(plan.days)[kept], recipe)
    if not kept.any():
        return {}
    lines = replace(recipe, series=PLAIN)
    curve = features(*arguments[:3], lines, static=static, dtype="float64")[0, : lines.dated]
    by_day = curve.reshape(len(recipe.days), len(recipe.layers))
    told: dict[str, Any] = {
        "curve": {
            "dates": [str(plan.start + datetime.timedelta(days=day)) for day in recipe.days],
            "layers": {
                layer.name: [_told(value) for value in by_day[:, i].tolist()] for i, layer in enumerate(recipe.layers)
            },
        }
    }
    if model is not None and np.isfinite(curve).any():
        p = model.probabilities(features(*arguments, static=static))[0]
        told["probabilities"] = {
            plan.legend.names.get(value, model.class_names[value]): round(float(share), 4)
            for value, share in zip(model.classes, p.tolist(), strict=True)
        }
    return told


def _out_of_fold(run: FinishedRun, cell: Cell, row: int, column: int) -> dict[str, Any] | None:
    """The prediction that the reference is compared with, where models of this run that never saw it made it."""
    compared = run.compared(cell)
    if compared is None or not compared.held_out or (compared.left_out is not None and compared.left_out[row, column]):
        return None
    return _class_of(run, layout.out_of_fold(cell.name), row, column)


def _class_of(run: FinishedRun, file: str, row: int, column: int) -> dict[str, Any] | None:
    path = run.folder / file
    if not path.exists():
        return None
    value, confidence = _pixel(path, row, column)[:2]
    if value == 0 and confidence == 0:
        return None
    return {**_named(run, value), "confidence": confidence}


def _reference(run: FinishedRun, cell: Cell, pixel: GeoBox, row: int, column: int) -> dict[str, Any] | None:
    if run.plan.reference is None:
        return None
    from landweave.labels.on_grid import code_at

    path = run.folder / layout.labels(cell.name)
    value, core = _pixel(path, row, column)[:2] if path.exists() else (0, 0)
    code = code_at(run.plan.reference, pixel)
    if code is None and value == 0:
        return None
    return {"code": code, **_named(run, value), "at_an_edge": value != 0 and core == 0}


def _named(run: FinishedRun, value: int) -> dict[str, Any]:
    return {"value": value, "name": run.plan.legend.names.get(value)}


def _pixel(path: Path, row: int, column: int) -> list[int]:
    import rasterio
    from rasterio.windows import Window

    with rasterio.open(path) as file:
        values: list[int] = file.read(window=Window(column, row, 1, 1))[:, 0, 0].tolist()
    return values


def _record(run: FinishedRun, cell: Cell) -> dict[str, Any]:
    """What ``run.json`` says of the patch: its pixels, and the seconds and bytes of each stage."""
    record = read_record(run.folder / layout.RECORD)
    stages = record.get("stages", {})
    return {
        "landweave": record.get("landweave"),
        "seen": record.get("patches", {}).get(cell.name),
        "stages": {
            name: measured["patches"][cell.name]
            for name, measured in stages.items()
            if cell.name in measured.get("patches", {})
        },
        "failures": [f["error"] for f in record.get("failures", []) if str(f["what"]).endswith(f"/{cell.name}")],
    }


def _model_of(run: FinishedRun) -> Model | None:
    given = run.plan.project.model.path
    folder = run.plan.project.path(given) if given else run.folder / layout.MODEL
    path = folder / "model.json"
    return _model(folder, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=2)
def _model(folder: Path, _when: int) -> Model:
    return Model.load(folder)


def _told(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
