"""`landweave check`: every failure of a run that needs no pixels of the imagery, found before the run."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from landweave.engine.machine import free_disk, usable_memory
from landweave.errors import InputError
from landweave.labels.codes_of_raster import codes_on_grid
from landweave.patch.align import outline_bounds, pixels_of, to_crs
from landweave.patch.grid import Cell
from landweave.patch.raster.files import open_raster
from landweave.runs.fetch.offsets import difference_notes_of_some
from landweave.runs.pipeline.check_lines import Facts, check_lines
from landweave.runs.pipeline.forecast import quick_forecast, shortages
from landweave.runs.pipeline.label_counts import LabelCounts, count_labels, label_notes
from landweave.runs.project.imports import check_imports
from landweave.runs.project.plan import Plan, make_plan
from landweave.runs.project.settings import Project
from landweave.runs.project.view_settings import check_overlays
from landweave.runs.sample.labels import truth_classes
from landweave.sources.protocol import day_of
from landweave.sources.remote import is_remote
from landweave.sources.stac.footprint import meet

if TYPE_CHECKING:
    from landweave.runs.sample.table import TableFeatures


SLIVER = 16
"""Pixels along a side below which a patch is pointed out."""


def check_project(project: Project) -> list[str]:
    """Open everything a project names, and say in a few lines what a run would work on.

    Raises
    ------
    InputError
        For the first thing that a run would stumble over. Nothing is written.
    """
    return check_lines(check_facts(project))


def check_facts(project: Project) -> Facts:
    """Open everything a project names, count its labels, and gather what a run would work on.

    Returns
    -------
    dict
        Plain values, under ``project``, ``sound``, ``patches``, ``dates``, ``features``, ``classes`` (a list, with the
        labels of each inside the patches), ``labels`` (None without a reference), ``disk``, ``memory``, ``imports``,
        ``notes`` and ``next`` (the command to type). Sizes are bytes, dates ISO 8601.

    Raises
    ------
    InputError
        For the first thing that a run would stumble over. Nothing is written.
    """
    plan, cells = make_plan(project)
    _check_output(plan.folder)
    from landweave.runs.train.models import try_rows, try_settings

    try_settings(plan)
    _read_last_row(plan)
    table = _table(plan)
    notes = [*([] if table is None else table.notes), *label_notes(plan, cells)]
    counts = None if plan.reference is None else count_labels(plan, cells)
    if counts is not None:
        notes += [*_count_notes(plan, counts), *_date_notes(plan, counts)]
        _check_truth(plan, counts)
        if counts.assignment is not None:
            try_rows(plan, counts.assignment)
    notes += [*_place_notes(project, cells), *_sliver_notes(cells)]
    _open_districts(project, cells)
    check_overlays(project.view, project.path)
    notes += _sample_notes(project)
    plan.source.reach()
    notes += difference_notes_of_some(plan)
    _find_lost_images(plan, cells)
    told = quick_forecast(plan, cells, workers=1)
    return {
        "project": str(project.file),
        "name": project.name,
        "sound": True,
        "output": str(plan.folder),
        "patches": _patch_facts(plan, cells),
        "dates": _date_facts(plan),
        "features": _feature_facts(plan),
        "classes": _class_facts(plan, counts, table),
        "labels": None if counts is None else _label_facts(plan, cells, counts),
        "disk": {"needed": told.disk_bytes, "kept": told.kept_bytes, "free": free_disk(plan.folder)},
        "memory": {"worker": told.memory_bytes, "main": told.main_bytes, "available": usable_memory()},
        "imports": list(check_imports(project)),
        "notes": [*plan.source.notes, *_period_notes(plan), *notes, *shortages(told, plan.folder)],
        "next": f"landweave run {_typed(project.file)}",
    }


def _typed(file: Path) -> str:
    """A project file as one would type it here: its folder, where it has the usual name."""
    place = file.parent if file.name == "landweave.toml" else file
    here = os.path.relpath(place)
    text = str(place) if here.startswith("..") else here
    return f'"{text}"' if " " in text else text


def _patch_facts(plan: Plan, cells: Sequence[Cell]) -> Facts:
    return {
        "count": len(cells),
        "pixels": sum(int(cell.geobox.shape[0]) * int(cell.geobox.shape[1]) for cell in cells),
        "crs": sorted({_crs_name(cell) for cell in cells}),
        "pixel_metres": plan.pixel_metres,
    }


def _date_facts(plan: Plan) -> Facts:
    first, last = (day_of(date).isoformat() for date in (plan.dates[0], plan.dates[-1]))
    return {
        "count": len(plan.dates), "first": first, "last": last, "undated": plan.project.source.undated,
        "start": plan.start.isoformat(), "end": plan.end.isoformat(), "step_days": plan.project.features.step_days,
    }  # fmt: skip


def _feature_facts(plan: Plan) -> Facts:
    recipe = plan.recipe
    return {
        "count": len(recipe.feature_names),
        "layers": [layer.name for layer in recipe.layers],
        "static": list(recipe.static),
        "target_days": len(recipe.days),
        "of_dates": plan.undated is not None,
    }


def _class_facts(plan: Plan, counts: LabelCounts | None, table: "TableFeatures | None") -> list[Facts]:
    samples = None if table is None else Counter(table.labels.tolist())
    return [
        {
            "value": one.value, "name": one.name, "color": one.color,
            "labels": None if counts is None else asdict(counts.classes[one.value]),
            "samples": None if samples is None else samples[one.value],
        }
        for one in plan.legend.classes
    ]  # fmt: skip


def _label_facts(plan: Plan, cells: Sequence[Cell], counts: LabelCounts) -> Facts:
    roles = {} if counts.assignment is None else counts.assignment.roles
    return {
        "kind": {"raster": "a raster", "eopatches": "masks"}.get(plan.reference.kind, plan.reference.kind),
        "pixels": sum(one.pixels for one in counts.classes.values()),
        "patches": len(counts.labelled), "counted": len(counts.counted), "of": len(cells),
        "split": None if counts.assignment is None else counts.assignment.kind,
        "train_units": sum(role == "train" for role in roles.values()),
        "test_units": sum(role == "test" for role in roles.values()),
    }  # fmt: skip


def _count_notes(plan: Plan, counts: LabelCounts) -> list[str]:
    """What a run does with few labels, in sentences."""
    names, notes = plan.legend.names, []
    if not counts.whole:
        notes.append(f"Labels were counted in {len(counts.counted)} patches, evenly chosen.")
        rare = [names[value] for value, one in counts.classes.items() if not one.eroded]
        if rare:
            notes.append(f"Classes without any label to train with in these patches: {_some(rare)}.")
        return notes
    assignment = counts.assignment
    assert assignment is not None
    empty = [names[value] for value, one in counts.classes.items() if not one.eroded]
    if empty and assignment.kind != "given":
        notes.append(f"Classes without any label to train with, which the map cannot show: {_some(empty)}.")
    if assignment.kind == "none":
        why = (
            "All labels are in one patch or block" if len(assignment.units) == 1 else "Each class is in one place only"
        )
        notes.append(f"{why}, so no labels are held out and the figures are in-sample.")
    elif assignment.kind != "given":
        untested = [names[value] for value, one in counts.classes.items() if one.eroded and not one.test]
        if untested:
            notes.append(f"Classes in one patch or block only, so that they cannot be tested: {_some(untested)}.")
    return notes


def _check_output(folder: Path) -> None:
    """A run would find out after it has begun."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: the output folder is a file; set output to a folder.")
    there = next((place for place in (folder, *folder.parents) if place.exists()), folder)
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{folder}: cannot write to the output folder; check the permissions of {there}.")


def _read_last_row(plan: Plan) -> None:
    """A file that was cut short lacks its end, whatever its header says."""
    grid = plan.source.geobox
    if grid is not None:
        plan.source.load(grid[grid.shape[0] - 1 :, :], plan.dates, plan.variables)


def _table(plan: Plan) -> "TableFeatures | None":
    """The table of labelled series that ``[training]`` names, as features."""
    if plan.project.training is None:
        return None
    from landweave.runs.sample.table import table_features

    return table_features(plan)


def _open_districts(project: Project, cells: list[Cell]) -> None:
    """What `compare` and `estimate` read, long after a run."""
    settings = project.districts
    if settings is None:
        return
    from landweave.runs.estimate.districts import read_districts

    read_districts(
        project.path(settings.path), settings.column, crs=str(cells[0].geobox.crs), layer=settings.layer,
        near=None, encoding=settings.encoding,
    )  # fmt: skip


def _date_notes(plan: Plan, counts: LabelCounts) -> list[str]:
    """Whether images show the labelled patches before and after a target day, judged by their outlines."""
    bare = []
    for cell in counts.labelled:
        days = [(day_of(date) - plan.start).days for date in plan.source.seen(cell.geobox, plan.dates)]
        if not days or not any(min(days) <= day <= max(days) for day in plan.recipe.days):
            bare.append(cell.name)
    if counts.whole and counts.labelled and len(bare) == len(counts.labelled) and not plan.project.model.path:
        raise InputError(
            f"{plan.project.file}: no labelled patch has a target day from {plan.start} on, every "
            f"{plan.project.features.step_days}, between two of its dates; check area, period and step_days."
        )
    if not bare:
        return []
    return [f"Labelled patches without a target day between two of their dates give no training pixel: {_some(bare)}."]


def _period_notes(plan: Plan) -> list[str]:
    """How dates and target days fit together, where they do not."""
    if plan.undated:
        return [plan.undated]
    beyond = sum(not plan.days[0] <= day <= plan.days[-1] for day in plan.recipe.days)
    if not beyond:
        return []
    share = f"{beyond} of {len(plan.recipe.days)} target days"
    return [f"{share} are before the first date or after the last one, and have no values."]


def _sliver_notes(cells: Sequence[Cell]) -> list[str]:
    """Patches that are left over at the edge of the imagery, a few pixels wide."""
    sides = {cell.name: (int(cell.geobox.shape[1]), int(cell.geobox.shape[0])) for cell in cells}
    longest = max(max(pair) for pair in sides.values())
    thin = [name for name, pair in sides.items() if min(pair) < min(SLIVER, longest / 4)]
    if not thin or len(cells) == 1:
        return []
    across, down = sides[thin[0]]
    few = f"{len(thin)} of {len(cells)} patches are less than {SLIVER} pixels wide or high, such as {thin[0]} with"
    return [f"{few} {across} x {down} pixels; each is a unit of the split like a whole one, so change area.patch_size."]


def _place_notes(project: Project, cells: Sequence[Cell]) -> list[str]:
    outside = []
    for place in project.places:
        x, y = np.array([place.lon]), np.array([place.lat])
        if not any(_holds(cell, x, y) for cell in cells):
            outside.append(place.name)
    return [f"Places outside the patches: {_some(outside)}."] if outside else []


def _holds(cell: Cell, x: np.ndarray, y: np.ndarray) -> bool:
    there = to_crs(x, y, source="EPSG:4326", target=cell.geobox.crs)
    return bool(pixels_of(cell.geobox, *there)[2][0])


def _check_truth(plan: Plan, counts: LabelCounts) -> None:
    """The true cover on the labelled patches: class values of the legend, and some of it there."""
    settings = plan.project.reference
    if settings is None or not settings.truth:
        return
    path = plan.project.path(settings.truth)
    found = False
    with open_raster(path) as file:
        for cell in counts.labelled:
            codes, _ = codes_on_grid(file, path, 1, cell.geobox)
            found |= bool(truth_classes(plan, codes.compressed()).any())
    if not found:
        raise InputError(f"{path}: the truth covers no labelled patch; check its location and its CRS.")


def _sample_notes(project: Project) -> list[str]:
    """The labelled sample; one that waits for its labels is no fault of the project."""
    settings = project.estimate
    if settings is None:
        return []
    from landweave.runs.estimate.sample_file import read_sample

    path = project.path(settings.sample)
    if not path.exists():
        raise InputError(
            f"{project.file}: estimate.sample: no such file {path}; make one with `landweave estimate draw`."
        )
    read = read_sample(
        path, label=settings.label, layer=settings.layer, drop_unlabelled=True, encoding=settings.encoding,
        places=settings.places,
    )  # fmt: skip
    if read.left_out and not settings.drop_unlabelled:
        return [f"{read.left_out} units of {path.name} have no label, so nothing is estimated from it."]
    return []


def _find_lost_images(plan: Plan, cells: list[Cell]) -> None:
    """An image of a local archive that is not there, on ground that is asked for: every run would stop at it."""
    lost: dict[str, Path] = {}
    boxes: list[tuple[float, ...]] = []
    for scene in plan.source.scenes:
        paths = [Path(a.href) for name, a in scene.assets.items() if name in plan.variables and not is_remote(a.href)]
        gone = next((path for path in paths if not path.exists()), None)
        if gone is None:
            continue
        boxes = boxes or [outline_bounds(cell.geobox, "EPSG:4326") for cell in cells]
        if any(meet(scene.bbox, box) for box in boxes):
            lost[scene.id] = gone
    if lost:
        names = sorted(lost)
        raise InputError(
            f"{lost[names[0]]}: no such file; {len(lost)} of {len(plan.source.scenes)} scenes lack an image: "
            f"{_some(names)}; restore it, or leave the scene out: source.exclude = [{_quoted(names[:3])}]."
        )


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:10]) + (f" and {len(words) - 10} more" if len(words) > 10 else "")


def _crs_name(cell: Cell) -> str:
    crs = cell.geobox.crs
    return f"EPSG:{crs.epsg}" if crs is not None and crs.epsg else "the imagery's own CRS"
