"""What a run will take: patches, dates, bytes, disk, memory, hours; from what the archive tells and a short trial."""

import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from landweave.engine.executor import Outcome, attempt
from landweave.engine.machine import free_disk, size_text, usable_cores, usable_memory
from landweave.engine.memory import KEPT_FREE
from landweave.errors import InputError
from landweave.labels.draw import evenly
from landweave.patch.grid import Cell
from landweave.patch.staging import ROWS
from landweave.patch.store import write_json
from landweave.runs import layout
from landweave.runs.fetch.imagery import FetchTask
from landweave.runs.fetch.strips import STRIP_PIXELS
from landweave.runs.fetch.task import fetch
from landweave.runs.mapping.task import PredictTask, predict
from landweave.runs.project.plan import Plan, make_plan
from landweave.runs.project.settings import PER_CLASS, Project

LIBRARIES = 380_000_000
"""Bytes that a worker's libraries and compiled kernels hold."""

FITTED_BYTES = 28
"""Bytes of a number of a training row while models are fitted, two at a time: the rows of each, LightGBM's bins, and
of one table its numbers as float64 with their rows. Found with 160,000 rows of 207 features."""

PIXEL_BYTES = 1.4
"""Bytes of one band's pixel in an archive, where files lie on a server and their size is not known before."""

KEPT_BYTES = 1.2
"""Bytes on disk of one band's pixel on one date in a kept patch, where no trial was made."""

MADE_BYTES = 8.0
"""Bytes on disk of a pixel of all that is made of it beside its imagery: labels, predictions, map, observations."""

SIDES, DATES = (64, 160), (2, 4)
"""Of the trial: pixels of its two squares' sides, and how many dates they are read on."""

ROWS_TRIED = (1500, 4500)
"""Rows of the trial's two tables."""

_SOME = 60


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run of everything is expected to take."""

    patches: int
    pixels: int
    """Of all patches, without their overlap with other zones taken off."""
    dates: int
    dates_per_patch: float
    """On which a patch is met by a scene, mean."""
    valid_share: float | None
    """Expected share of observations without cloud, 0..1; None where the archive tells no cloud cover."""
    read_bytes: int
    """To fetch from servers, or to read from disk."""
    disk_bytes: int
    """Most that lies in the output folder at one time."""
    kept_bytes: int
    """That lies there at the end."""
    memory_bytes: int
    """Of one worker."""
    main_bytes: int
    """Memory of the process that starts the workers, which holds the samples and fits the models."""
    cpu_hours: float | None
    """Of all processes; None where no trial was made."""
    hours: float | None
    """By the clock, with ``workers``."""
    workers: int


def forecast(project: Project, *, workers: int, trial: bool = True) -> Forecast:
    """Say what a run of a project will take, and write it to ``forecast.json`` in the output folder.

    Parameters
    ----------
    project
        From :func:`landweave.runs.project.settings.read_project`.
    workers
        Processes that will share the work.
    trial
        Read and predict two small squares of one patch on a few dates, with a throw-away model of the project's
        settings, to learn how fast this machine is; some seconds. Without, no hours are told.

    Raises
    ------
    InputError
        For what a run would stumble over at its start.
    """
    plan, cells = make_plan(project, remember=True)
    told = _expected(plan, cells, workers, _trial(plan, cells) if trial else None)
    write_json(plan.folder / layout.FORECAST, asdict(told), allow_nan=True)
    return told


def quick_forecast(plan: Plan, cells: Sequence[Cell], *, workers: int) -> Forecast:
    """As :func:`forecast`, without a trial and without writing."""
    return _expected(plan, cells, workers, None)


def forecast_lines(told: Forecast, folder: Path) -> list[str]:
    """A forecast in words, with what this machine has to offer."""
    free = size_text(free_disk(folder))
    sky = "" if told.valid_share is None else f", about {told.valid_share:.0%} of the observations clear"
    lines = [
        f"patches:   {told.patches}, {told.pixels / 1e6:.4g} million pixels",
        f"dates:     {told.dates}, {told.dates_per_patch:.3g} on a patch{sky}",
        f"to read:   {size_text(told.read_bytes)}",
        f"disk:      {size_text(told.disk_bytes)} at most, {size_text(told.kept_bytes)} at the end; {free} are free",
        f"memory:    {_memory_words(told)}; {size_text(usable_memory())} available",
    ]
    if told.cpu_hours is not None and told.hours is not None:
        lines.append(f"time:      {_hours(told.cpu_hours)} of CPU, {_hours(told.hours)} with {told.workers} workers")
    return lines + [f"note:      {line}" for line in shortages(told, folder)]


def expected_line(told: Forecast) -> str:
    """The short form, in a line."""
    return (
        f"{told.patches} patches, {told.dates_per_patch:.3g} dates on each, {size_text(told.read_bytes)} to read, "
        f"{size_text(told.disk_bytes)} of disk, memory {_memory_words(told)}"
    )


def _memory_words(told: Forecast) -> str:
    if told.workers == 1:
        return f"{size_text(max(told.memory_bytes, told.main_bytes))} in one process"
    return (
        f"{size_text(told.memory_bytes)} in each of {told.workers} workers and {size_text(told.main_bytes)} beside them"
    )


def shortages(told: Forecast, folder: Path, *, here: bool = True) -> list[str]:
    """A sentence for each thing that this machine, if workers are ``here``, does not have enough of."""
    free, memory, lines = free_disk(folder), usable_memory(), []
    # What a run that is taken up finds made lies there already.
    needed = told.disk_bytes - _size_of(folder)
    if needed > free:
        lines.append(f"The disk has {size_text(free)} free, the run may need {size_text(needed)}: output elsewhere.")
    if not here:
        return lines
    most = max(1, (memory - told.main_bytes) // told.memory_bytes)
    if told.workers > most or max(told.main_bytes, told.memory_bytes) > memory:
        advice = f"use --workers {most}" if told.workers > most else "lower patch_size, or sampling's per_class"
        lines.append(f"{_memory_words(told)} are more than the {size_text(memory)} of memory that there are: {advice}.")
    return lines


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def outcome(folder: Path, told: Mapping[str, Any], stages: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What ``forecast.json`` said beside what it came to: name to ``expected``, ``found`` and ``ratio``."""
    # A stage's peak is that of its largest process.
    told = {**told, "memory_bytes": max(told.get("memory_bytes") or 0, told.get("main_bytes") or 0)}
    found = {
        "cpu_hours": sum(stage.get("cpu_seconds", 0.0) for stage in stages.values()) / 3600,
        "memory_bytes": max((stage.get("peak_bytes", 0) for stage in stages.values()), default=0),
        "kept_bytes": _size_of(folder),
    }
    return {
        name: {"expected": told.get(name), "found": value, "ratio": value / told[name] if told.get(name) else None}
        for name, value in found.items()
    }


def _expected(plan: Plan, cells: Sequence[Cell], workers: int, trial: "_Costs | None") -> Forecast:
    pixels = sum(int(np.prod(cell.geobox.shape)) for cell in cells)
    dates, sky = _sky(plan, cells)
    layers = len(plan.variables)
    seen = pixels * dates
    stored = plan.project.source.stores
    per_value = trial.kept_bytes if trial is not None and trial.kept_bytes else KEPT_BYTES
    stacks = int(seen * layers * per_value) if stored else 0
    made = int(pixels * MADE_BYTES)
    work = None if trial is None else _work(plan, cells, dates, trial)
    return Forecast(
        patches=len(cells), pixels=pixels, dates=len(plan.dates), dates_per_patch=dates, valid_share=sky,
        read_bytes=int(seen * _bytes_a_pixel(plan, cells) * (1 if stored else 3)),
        # All patches are read before the first is predicted, so what is not kept lies there for a while too.
        disk_bytes=stacks + made, kept_bytes=made + (stacks if plan.project.source.keep else 0),
        memory_bytes=_memory(plan, cells), main_bytes=_main_memory(plan, pixels),
        cpu_hours=None if work is None else work.cpu_hours,
        hours=None if work is None else work.hours(min(workers, len(cells))), workers=workers,
    )  # fmt: skip


def _some(cells: Sequence[Cell], count: int) -> list[Cell]:
    """So many of the cells, evenly taken."""
    return [cells[i] for i in evenly(np.arange(len(cells)), count)]


def _sky(plan: Plan, cells: Sequence[Cell]) -> tuple[float, float | None]:
    """Dates on which a patch is met, and the share of observations without cloud; of some patches."""
    seen = [plan.source.seen(cell.geobox, plan.dates) for cell in _some(cells, _SOME)]
    clear = [share for shares in seen for share in shares.values() if share is not None]
    return float(np.mean([len(shares) for shares in seen])), float(np.mean(clear)) if clear else None


def _bytes_a_pixel(plan: Plan, cells: Sequence[Cell]) -> float:
    """Bytes of all variables of one pixel on one date, as they lie in the source's files."""
    found = []
    for cell in _some(cells, _SOME // 10):
        dates = list(plan.source.seen(cell.geobox, plan.dates))
        cost = plan.source.cost(cell.geobox, dates, plan.variables)
        if cost is not None and dates:
            found.append(cost / (float(np.prod(cell.geobox.shape)) * len(dates)))
    return float(np.mean(found)) if found else PIXEL_BYTES * len(plan.variables)


def _memory(plan: Plan, cells: Sequence[Cell]) -> int:
    """Bytes of a worker: its libraries, two strips with their features, and one date of a patch while it is read."""
    height, width = (max(int(cell.geobox.shape[axis]) for cell in cells) for axis in (0, 1))
    strip = max(1, STRIP_PIXELS // (ROWS * width)) * ROWS * width
    strip = min(strip, height * width)
    layers, features = len(plan.variables), len(plan.recipe.feature_names)
    held = 2 * strip * len(plan.dates) * 2 * layers + 2 * strip * (2 * features + 8 * len(plan.legend.values))
    read = height * width * 8 * 6 if plan.project.source.stores else 0
    return LIBRARIES + KEPT_FREE + held + read


def _main_memory(plan: Plan, pixels: int) -> int:
    """Bytes of the main process: its libraries, all samples, and what fitting takes besides."""
    taught, rows, features = _rows(plan, pixels), 0, len(plan.recipe.feature_names)
    if taught:
        rows = taught + min(plan.project.sampling.test_pixels, pixels - taught)
    seen = rows * len(plan.dates) * (2 * len(plan.recipe.source_bands) + 1)
    return LIBRARIES + 2 * rows * features + max(2 * seen, FITTED_BYTES * taught * features)


def _rows(plan: Plan, pixels: int) -> int:
    """Training rows; no more can be drawn than there is."""
    if plan.project.model.path or plan.reference is None:
        return 0
    return min((plan.project.sampling.per_class or PER_CLASS) * len(plan.legend.values), pixels)


@dataclass(frozen=True, kw_only=True)
class _Costs:
    """CPU seconds, as a trial on this machine found them."""

    fetch_date: float
    """Of a date of a patch, whatever its size."""
    fetch_pixel: float
    """Of a pixel on a date."""
    predict_pixel: float
    """Of a pixel, once for each model that is asked."""
    predict_date: float
    """Of a pixel, for each date."""
    fit: float
    """Of one model, whatever its rows."""
    fit_row: float
    """Of a training row in one model."""
    kept_bytes: float
    """Bytes on disk of one variable of a pixel on a date."""


@dataclass(frozen=True, kw_only=True)
class _Work:
    """CPU seconds, by who shares in them."""

    patches: float
    """In the workers."""
    models: float
    """In threads of the main process, a model each."""
    jobs: int
    """Models that are trained."""

    @property
    def cpu_hours(self) -> float:
        return (self.patches + self.models) / 3600

    def hours(self, workers: int) -> float:
        rounds = math.ceil(self.jobs / usable_cores())
        return (self.patches / max(1, workers) + self.models * rounds / max(1, self.jobs)) / 3600


def _work(plan: Plan, cells: Sequence[Cell], dates: float, costs: _Costs) -> _Work:
    pixels = sum(int(np.prod(cell.geobox.shape)) for cell in cells)
    fetched = len(cells) * dates * costs.fetch_date + pixels * dates * costs.fetch_pixel
    learns = not plan.project.model.path and plan.reference is not None
    predicted = pixels * ((2 if learns else 1) * costs.predict_pixel + dates * costs.predict_date)
    # Samples are read from what was fetched, as predictions are.
    sampled = pixels * dates * costs.predict_date if learns else 0.0
    rows, jobs = _rows(plan, pixels), plan.project.model.folds + 2 if learns else 0
    return _Work(patches=fetched + predicted + sampled, models=jobs * (costs.fit + rows * costs.fit_row), jobs=jobs)


def _trial(plan: Plan, cells: Sequence[Cell]) -> _Costs:
    """Fetch and predict two squares of the middle patch, on a few dates, in a folder that goes afterwards."""
    middle = cells[len(cells) // 2]
    met = list(plan.source.seen(middle.geobox, plan.dates)) or list(plan.dates)
    few, more = (tuple(met[: min(count, len(met))]) for count in DATES)
    with tempfile.TemporaryDirectory(prefix="landweave-") as place:
        folder = Path(place)
        model, fit_once, fit_row = _throw_away(plan, folder)
        shapes = [tuple(min(side, int(n)) for n in middle.geobox.shape) for side in SIDES]

        def seconds(tried: Outcome) -> float:
            if tried.error is not None:
                raise InputError(f"{plan.project.file}: a trial on patch {middle.name} failed: {tried.error}")
            return tried.cpu_seconds

        def work(shape: tuple[int, ...], days: Sequence[Any], name: str) -> tuple[float, float, float]:
            cell = replace(middle, name=name, geobox=middle.geobox[: shape[0], : shape[1]], area=None)
            own = replace(plan, folder=folder, dates=tuple(days))
            task = FetchTask(cell=cell, files=name, offsets={})
            fetched = seconds(attempt(partial(fetch, own), name, task))
            files = [p for p in (folder / layout.stack(name)).rglob("*") if p.is_file()]
            size = sum(path.stat().st_size for path in files)
            asked = PredictTask(cell=cell, keep=(True,) * len(days), model=model, folds={}, fetch=task)
            return fetched, seconds(attempt(partial(predict, own), name, asked)), float(size)

        work(shapes[0], few, "warm")  # compiles and opens; what that takes is taken once
        small, large, long = work(shapes[0], few, "small"), work(shapes[1], few, "large"), work(shapes[1], more, "long")
    n_small, n_large = (int(np.prod(shape)) for shape in shapes)
    spread, days = max(n_large - n_small, 1), max(len(more) - len(few), 1)
    fetch_pixel = max((large[0] - small[0]) / spread / len(few), 0.0)
    by_date = max((long[1] - large[1]) / n_large / days, 0.0)
    return _Costs(
        fetch_pixel=fetch_pixel,
        fetch_date=max(small[0] / len(few) - n_small * fetch_pixel, 0.0),
        predict_date=by_date,
        predict_pixel=max(large[1] / n_large - len(few) * by_date, 0.0),
        fit=fit_once,
        fit_row=fit_row,
        kept_bytes=long[2] / (n_large * len(more) * len(plan.variables)),
    )


def _throw_away(plan: Plan, folder: Path) -> tuple[str, float, float]:
    """A model of the project's settings that has learned noise, as a folder, and what training costs.

    CPU seconds of a model, and of a row in it: from tables of two sizes, as most of a small one is spent on the trees.
    """
    from landweave.classifier.fit import fit
    from landweave.classifier.model import Model

    rng = np.random.default_rng(0)
    names, values = plan.recipe.feature_names, np.array(plan.legend.values, "uint8")
    y = rng.choice(values, max(ROWS_TRIED))
    # A little signal, so that trees are neither stumps nor as deep as noise makes them.
    matrix = rng.normal(2000 + 150 * y[:, None].astype("float64"), 600, (len(y), len(names))).astype("int16")
    settings = plan.project.model
    seconds = []
    # The first loads the library.
    for count in (100, *ROWS_TRIED):
        began = time.process_time()
        rows = slice(0, count)
        estimator = fit(
            matrix[rows], y[rows], type=settings.type, params=settings.params, feature_names=names,
            rule=plan.project.import_rule,
        )  # fmt: skip
        seconds.append(time.process_time() - began)
    by_row = max((seconds[2] - seconds[1]) / (ROWS_TRIED[1] - ROWS_TRIED[0]), 0.0)
    unset = [layer.name for layer in (*plan.recipe.layers, *plan.recipe.static_layers) if math.isnan(layer.scale)]
    recipe = replace(plan.recipe, scales={**plan.recipe.scales, **dict.fromkeys(unset, (1e-4, 0.0))})
    model = Model(estimator=estimator, class_names=plan.legend.names, recipe=recipe.to_json())
    model.save(folder / layout.MODEL)
    return layout.MODEL, max(seconds[1] - ROWS_TRIED[0] * by_row, 0.0), by_row


def _hours(hours: float) -> str:
    return f"{hours * 60:.2g} minutes" if hours < 1 else f"{hours:.3g} hours"
