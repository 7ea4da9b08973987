"""What the browser view shows of a run, as maps: made of the patches' files when they are asked for."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from landweave.accuracy.design_based.estimates import MAPPED_TITLE
from landweave.engine.fingerprint import fingerprint
from landweave.engine.machine import usable_cores
from landweave.errors import InputError
from landweave.maps.areas import count_classes, open_map
from landweave.maps.mosaic import CACHE_MB, mosaic
from landweave.maps.qgis_styles import classes_style, ramp_style
from landweave.maps.sidecars import qgis_style
from landweave.patch.grid import Cell
from landweave.patch.painting import beyond_border, continued
from landweave.patch.store import read_raster, write_bytes, write_json, write_raster
from landweave.runs import layout
from landweave.runs.results.record import read_record
from landweave.runs.results.run import FinishedRun
from landweave.runs.results.trust_layers import trust_files

REVISION = 2
"""Raised when maps are made otherwise than before, so that those of before are made again."""

LARGE = 25_000_000
"""Pixels from which a run makes these maps with its mosaic: a view would make its user wait for them."""

_ROWS = 64

AGREE, DIFFER, EDGE = 1, 2, 3
"""Values of the map of disagreement: as the reference; otherwise within the eroded reference; otherwise in its buffer,
where a mixed pixel or a shifted outline explains as much."""


DISAGREEMENT = {
    AGREE: ("agree", "#d9d9d9"),
    DIFFER: ("differ", "#c0267e"),
    EDGE: ("differ at an edge (within the reference's buffer)", "#f2a7cf"),
}
"""Name and colour of its values."""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """Maps of a run, by name; made by :func:`make_layers`."""

    files: Mapping[str, Path]
    """``prediction``, ``confidence``, and as far as there is something to make them of ``reference``,
    ``disagreement`` and ``observations``: uint8, 0 nothing. Observations are the number of valid ones, plus 1.
    ``trust_margin`` and so on: bands of ``trust.tif``."""

    mapped: Mapping[str, Any]
    """``title``, and by class value ``pixels`` and ``area_ha`` (true area)."""

    version: str
    """Changes whenever a map does."""


def make_layers(run: FinishedRun) -> Layers:
    """The maps of a run, those made of patches in ``view/`` of its output folder; what is fresh is not made again.

    Where nothing can be written there, they are made in a temporary folder, as long as this process lives.

    Raises
    ------
    InputError
        When the run has no map yet.
    """
    whole = {"map": run.folder / layout.MAP, "confidence": run.folder / layout.CONFIDENCE}
    for path in whole.values():
        if not path.exists():
            raise InputError(f"{path}: the project has no map; make it with `landweave run`.")
    files = {"prediction": whole["map"], "confidence": whole["confidence"]}
    place = place_of_views(run.folder)
    stamp = read_record(place / layout.LAYERS)
    kept = stamp if place == run.folder else read_record(run.folder / layout.LAYERS)
    stamps: dict[str, Any] = {}
    settings = run.plan.project.map.of_mosaic()
    classes = [(c.value, c.name, c.color) for c in run.plan.legend.classes]
    for name, layer in LAYERS.items():
        sources = {cell.name: found for cell in run.cells if all((found := layer.sources(run, cell)).values())}
        if not sources:
            continue
        path = place / layout.view_map(name)
        prints = {cell: [_print(path) for path in found.values() if path] for cell, found in sources.items()}
        stamps[name] = fingerprint([prints, settings, classes if layer.classes else None, REVISION])
        if kept.get(name) == stamps[name] and (run.folder / layout.view_map(name)).exists():
            path = run.folder / layout.view_map(name)
        elif stamp.get(name) != stamps[name] or not path.exists():
            _make(run, layer, sources, path)
        files[name] = path
        if path.is_relative_to(place):
            _write_style(run, name, path)
    bands = trust_files(run, place)
    if bands:
        files |= bands
        stamps["trust"] = fingerprint(_print(run.folder / layout.TRUST))
    stamps["mapped"] = fingerprint(_print(whole["map"]))
    fresh = stamp.get("mapped") == stamps["mapped"] and "areas" in stamp
    areas = stamp["areas"] if fresh else _areas(whole["map"])
    told = {**stamps, "areas": areas}
    if told != stamp:
        write_json(place / layout.LAYERS, told, allow_nan=True)
    version = fingerprint([stamps, _print(whole["confidence"])])[:12]
    mapped = {"title": MAPPED_TITLE, "classes": {int(value): found for value, found in areas.items()}}
    return Layers(files=files, mapped=mapped, version=version)


def _write_style(run: FinishedRun, name: str, path: Path) -> None:
    """The QGIS style of a map that is made here, beside it."""
    styles = {
        "reference": lambda: qgis_style(run.plan.legend),
        "disagreement": lambda: classes_style(DISAGREEMENT),
        "observations": lambda: ramp_style(1, max(len(run.plan.dates), 1) + 1, zero=1),
    }
    content, beside = styles[name](), path.with_suffix(".qml")
    if not beside.exists() or beside.read_bytes() != content:
        write_bytes(beside, content, synced=False)


def slow_to_make(cells: Sequence[Cell]) -> bool:
    """Whether a run makes the maps of a view of these patches, rather than the view when it first opens."""
    pixels: int = sum(cell.geobox.shape[0] * cell.geobox.shape[1] for cell in cells)
    return pixels >= LARGE


def place_of_views(folder: Path) -> Path:
    """Where what only the view needs is kept: the output folder, or a temporary one where that cannot be written to."""
    return folder if os.access(folder, os.W_OK) else _temporary(folder)


@cache
def _temporary(folder: Path) -> Path:  # noqa: ARG001 - one for each output folder
    made = Path(tempfile.mkdtemp(prefix="landweave-view-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """How a patch's part of a map is made."""

    sources: Callable[[FinishedRun, Cell], dict[str, Path | None]]
    """The files that it is made of; None for one that is not there."""
    part: Callable[[FinishedRun, Cell], np.ndarray] | None = None
    """Makes uint8 (y, x) of a patch that has these files; None where it is the first file's first band."""
    classes: bool = False
    """Whether it holds classes of the legend."""


def _reference(run: FinishedRun, cell: Cell) -> dict[str, Path | None]:
    return {"labels": _there(run, layout.labels(cell.name)) if run.plan.reference is not None else None}


def _compared(run: FinishedRun, cell: Cell) -> dict[str, Path | None]:
    found = run.compared(cell)
    return {"compared": None} if found is None else {"labels": found.labels_file, "predicted": found.predicted_file}


def _observed(run: FinishedRun, cell: Cell) -> dict[str, Path | None]:
    return {"observations": _there(run, layout.observations(cell.name))}


def disagreement(reference: np.ndarray, core: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Where a map and its reference differ.

    Parameters
    ----------
    reference, core
        Class values of the reference, as it is and eroded, (y, x); 0 none.
    predicted
        Class values of the map, (y, x); 0 none.

    Returns
    -------
    numpy.ndarray
        uint8 (y, x): :data:`AGREE`, :data:`DIFFER`, :data:`EDGE`; 0 where either has no class.

    >>> disagreement(np.array([1, 1, 1, 0]), np.array([1, 1, 0, 0]), np.array([1, 2, 2, 2])).tolist()
    [1, 2, 3, 0]
    """
    codes = np.where(reference == predicted, AGREE, np.where(core == 0, EDGE, DIFFER))
    return np.asarray(np.where((reference == 0) | (predicted == 0), 0, codes), "uint8")


def _disagreement_part(run: FinishedRun, cell: Cell) -> np.ndarray:
    found = run.compared(cell)
    assert found is not None
    return disagreement(found.reference[0], found.reference[1], found.predicted)


def _observations_part(run: FinishedRun, cell: Cell) -> np.ndarray:
    counts = read_raster(run.folder / layout.observations(cell.name))[0]
    return np.asarray(np.minimum(counts, 254) + 1, "uint8")


LAYERS = {
    "reference": _Layer(sources=_reference, classes=True),
    "disagreement": _Layer(sources=_compared, part=_disagreement_part),
    "observations": _Layer(sources=_observed, part=_observations_part),
}
"""Maps that are made of patches' files."""


def _make(run: FinishedRun, layer: _Layer, sources: Mapping[str, dict[str, Path | None]], path: Path) -> None:
    cells = {cell.name: cell for cell in run.cells}
    settings = run.plan.project.map
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".parts.", dir=path.parent) as folder:
        parts = {}
        for name, found in sources.items():
            first = next(file for file in found.values() if file is not None)
            beyond = beyond_border(cells[name])
            if layer.part is None and beyond is None:
                parts[name] = first
                continue
            values = read_raster(first)[0] if layer.part is None else layer.part(run, cells[name])
            inside = cells[name].inside()
            if inside is not None:
                values = np.where(inside, values, 0)  # nothing is said of ground that nobody asked for
            if beyond is not None:
                values = continued(values, beyond)
            file = Path(folder) / f"{name}.tif"
            parts[name] = write_raster(file, values[None], cells[name].geobox, synced=False)
        mosaic(
            parts, path, band=1, crs=settings.crs, resolution=settings.resolution, overviews="mode",
            legend=run.plan.legend if layer.classes else None, threads=usable_cores(),
        )  # fmt: skip


def _areas(path: Path) -> dict[str, dict[str, float]]:
    # Few rows at a time, and little kept: a server that has once taken memory keeps it.
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
        counted = count_classes(open_map(path), strip=_ROWS)
    return {
        str(value): {"pixels": counted.pixels[value], "area_ha": round(area / 1e4, 2)}
        for value, area in counted.areas.items()
    }


def _there(run: FinishedRun, name: str) -> Path | None:
    path = run.folder / name
    return path if path.exists() else None


def _print(path: Path) -> list[Any]:
    # Not the content: a country has thousands of patches, and a view should open at once.
    state = path.stat()
    return [path.name, state.st_size, state.st_mtime_ns]
