"""`landweave check`: is the project sound?"""

import os
from collections.abc import Sequence
from pathlib import Path

from landweave.errors import InputError
from landweave.legend import NONE
from landweave.patch.align import outline_bounds
from landweave.patch.grid import Cell
from landweave.runs.pipeline.notices import points_outside, reference_left_out
from landweave.runs.project.imports import check_imports
from landweave.runs.project.plan import Plan, make_plan
from landweave.runs.project.settings import Project
from landweave.runs.project.view_settings import check_overlays
from landweave.sources.remote import is_remote
from landweave.sources.stac.footprint import meet


def check_project(project: Project) -> list[str]:
    """Open everything a project names, and say in a few lines what a run would work on.

    Raises
    ------
    InputError
        For the first thing that a run would stumble over. Nothing is written.
    """
    plan, cells = make_plan(project)
    _check_output(plan.folder)
    from landweave.runs.train.models import try_settings

    systems = ", ".join(sorted({_crs_name(cell) for cell in cells}))
    layers = ", ".join(layer.name for layer in plan.recipe.layers)
    try_settings(plan)
    _read_last_row(plan)
    notes = [*_training_notes(plan), *_reference_notes(plan, cells)]
    _open_districts(project, cells)
    check_overlays(project.view, project.path)
    notes += _sample_notes(project)
    plan.source.reach()
    _find_lost_images(plan, cells)
    lines = [
        f"{project.file}: sound",
        f"patches:   {len(cells)} in {systems}, pixels of {plan.pixel_metres:.4g} m",
        f"dates:     {len(plan.dates)}, {plan.dates[0]} to {plan.dates[-1]}; period {plan.start} to {plan.end}",
        f"features:  {len(plan.recipe.feature_names)} ({layers} on {len(plan.recipe.days)} days)",
        f"legend:    {', '.join(f'{value} {name}' for value, name in plan.legend.names.items())}",
    ]
    lines += [f"imports:   {line}" for line in check_imports(project)]
    return lines + [f"note:      {note}" for note in [*plan.source.notes, *notes]]


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


def _training_notes(plan: Plan) -> list[str]:
    if plan.project.training is None:
        return []
    from landweave.runs.sample.table import read_training

    return read_training(plan)[2]


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
    read = read_sample(path, label=settings.label, layer=settings.layer, drop_unlabelled=True)
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


def _reference_notes(plan: Plan, cells: list[Cell]) -> list[str]:
    if plan.reference is None:
        return reference_left_out(plan)
    from landweave.labels.codes_of_raster import codes_are_sampled
    from landweave.labels.reference import reference_codes

    codes = reference_codes(plan.reference, [cell.geobox for cell in cells])
    if not codes:
        what = "pixel of the patches" if plan.reference.kind == "raster" else "feature"
        raise InputError(
            f"{plan.reference.path}: no {what} has a code in {plan.reference.column or 'the raster'}; correct "
            "reference.column, or give another reference."
        )
    classes, unknown = plan.legend.translate(codes)
    known = [code for one in plan.legend.classes for code in one.accepted_codes]
    if not classes.any():
        raise InputError(
            f"{plan.reference.path}: none of its codes ({_some(codes)}) is a code of the legend ({_some(known)}); "
            "correct reference.column or the legend's codes."
        )
    found = set(classes.tolist()) - {NONE}
    sampled = plan.reference.kind == "raster" and codes_are_sampled(plan.reference.path)
    if len(found) < 2 and not sampled and not plan.project.model.path:
        raise InputError(
            f"{plan.reference.path}: fewer than two classes are in it (found: {plan.legend.names[found.pop()]}); "
            "correct reference.column or the legend's codes."
        )
    notes = [f"codes that the legend does not know, taken as none: {', '.join(sorted(unknown))}"] if unknown else []
    outside = points_outside(plan, cells, all_wrong=True)
    return [*notes, *reference_left_out(plan), *outside]


def _some(words: Sequence[str]) -> str:
    return ", ".join(words[:10]) + (f" and {len(words) - 10} more" if len(words) > 10 else "")


def _crs_name(cell: Cell) -> str:
    crs = cell.geobox.crs
    return f"EPSG:{crs.epsg}" if crs is not None and crs.epsg else "the imagery's own CRS"
