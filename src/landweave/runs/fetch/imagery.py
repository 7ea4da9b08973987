"""A patch's imagery brought once: date by date, masks first, taken up where it stopped."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from landweave.engine.fingerprint import fingerprint
from landweave.engine.ledger import Ledger
from landweave.errors import InputError, named
from landweave.features.clouds import share_not_masked
from landweave.patch.grid import Cell
from landweave.patch.staging import assemble, quicklook, read_notes, read_stage, stage, staged
from landweave.patch.store import read_patch, sync
from landweave.runs import layout
from landweave.runs.project.plan import Plan
from landweave.sources.files.opened import keep_open
from landweave.sources.protocol import Source

READERS = 8
"""Dates that are read from a server at a time. From a disk it is one: that keeps a core busy, and the other cores are
for other workers."""

FILES, REMOTE_FILES = 1024, 64
"""Files that a reader keeps open: the next patch on the same files needs neither their headers again nor the blocks
that GDAL's cache still holds. There are several readers of a server."""

PIXELS = "4"
"""Raised when the way from files to pixels changes, so that nothing staged or stored before is taken for the same."""


class DegradedError(Exception):
    """Some dates could not be read; the others are staged, and the next run takes up only these."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    """What decides the pixels of one date, as fingerprints: of its masks, and of its bands."""

    masks: str
    bands: str


@dataclass(frozen=True, kw_only=True)
class Part:
    """Where the two parts of one date are staged; ``bands`` is None where the date is too cloudy to be read on."""

    masks: Path | None
    bands: Path | None


@dataclass(frozen=True, kw_only=True)
class FetchTask:
    """What to read of a patch."""

    cell: Cell
    files: str
    """Fingerprint of the source's files."""
    offsets: dict[str, float]
    """Scene to the offset that its pixels speak for, where these are trusted more than its metadata."""


def fetch_stack(
    plan: Plan,
    task: FetchTask,
    inside: np.ndarray | None,
    look: Callable[[slice, Mapping[str, np.ndarray]], None] | None = None,
) -> list[Path]:
    """Write ``patches/<name>.zarr`` and a quicklook for each date.

    Parameters
    ----------
    plan, task
        What and where.
    inside
        The patch's pixels within the area, bool (y, x); None for all. Ground beyond does not decide what is read.
    look
        As of :func:`~landweave.patch.staging.assemble`.

    Returns
    -------
    list of pathlib.Path
        Files written.

    Raises
    ------
    DegradedError
        When some dates could not be read after their retries: which, and why.
    """
    cell, source = task.cell, plan.source.with_offsets(task.offsets)
    folder = plan.folder / layout.staging(cell.name)
    target = stored_path(plan, cell)
    keys = _keys(plan, source, task)
    before = _before(target, plan)

    def one(number: int) -> Part | Exception:
        try:
            return _date(plan, cell, source, folder, number, keys=keys[number], before=before, inside=inside)
        except (OSError, InputError) as error:
            return error

    found = list(_readers(READERS if source.remote else 1).map(one, range(len(plan.dates))))
    unread = {str(day): part for day, part in zip(plan.dates, found, strict=True) if isinstance(part, Exception)}
    if unread:
        first, error = next(iter(unread.items()))
        more = f" and {len(unread) - 1} more dates" if len(unread) > 1 else ""
        raise DegradedError(f"degraded: {first}{more} could not be read: {error}")
    whole = [part for part in found if isinstance(part, Part)]
    looks = _quicklooks(plan, cell, whole)
    notes = {
        "dates": [str(day) for day in plan.dates],
        "masks": [key.masks for key in keys],
        "bands": [key.bands if part.bands else "" for key, part in zip(keys, whole, strict=True)],
    }
    kinds = {n: "uint8" if n in source.categorical else "int16" for n in plan.variables}
    parts_of = [[path for path in (part.masks, part.bands) if path] for part in whole]
    assemble(target, parts_of, times=plan.dates, variables=kinds, geobox=cell.geobox, notes=notes, look=look)
    shutil.rmtree(folder, ignore_errors=True)
    return [target, *looks]


def stack_of(plan: Plan, task: FetchTask) -> Path:
    """A patch's Zarr, fetched again where it was deleted since the project does not keep it."""
    if not plan.project.source.keep and not _is_stack(plan, task):
        fetch_stack(plan, task, task.cell.inside())
    return stored_path(plan, task.cell)


def _is_stack(plan: Plan, task: FetchTask) -> bool:
    """Whether a patch's Zarr holds what :func:`fetch_stack` would write there."""
    notes = read_notes(stored_path(plan, task.cell))
    keys = _keys(plan, plan.source.with_offsets(task.offsets), task)
    masks, bands = notes.get("masks", []), notes.get("bands", [])
    same = all(there in {"", key.bands} for there, key in zip(bands, keys, strict=False))
    return len(bands) == len(keys) and masks == [key.masks for key in keys] and same


@lru_cache(maxsize=1)
def _readers(count: int) -> ThreadPoolExecutor:
    """Threads that outlive a patch, since each keeps its files open for the next."""
    files = REMOTE_FILES if count == READERS else FILES
    return ThreadPoolExecutor(count, thread_name_prefix="reader", initializer=keep_open, initargs=(files,))


def _kinds(plan: Plan) -> tuple[list[str], list[str]]:
    """The plan's masks and its bands, which are read one after the other."""
    masks = [name for name in plan.variables if name in plan.source.categorical]
    return masks, [name for name in plan.variables if name not in masks]


def _date(
    plan: Plan, cell: Cell, source: Source, folder: Path, number: int, *, keys: Keys, before: dict[str, int],
    inside: np.ndarray | None,
) -> Part:  # fmt: skip
    day = plan.dates[number]
    classes, bands = _kinds(plan)

    def part(names: Sequence[str], kind: str, key: str) -> Path:
        label = f"{layout.day_text(day)}_{kind}_{key}"
        return _part(plan, cell, source, folder, day, names, label, before.get(key))

    masks = part(classes, "masks", keys.masks) if classes else None
    if masks is not None and not _promising(plan, read_stage(masks), inside):
        return Part(masks=masks, bands=None)
    return Part(masks=masks, bands=part(bands, "bands", keys.bands))


def _part(
    plan: Plan, cell: Cell, source: Source, folder: Path, day: date, names: Sequence[str], label: str,
    held: int | None,
) -> Path:  # fmt: skip
    there = staged(folder, label)
    if there is not None:
        return there
    if held is not None:
        stored = plan.folder / layout.stack(cell.name)
        with named(stored):
            patch = read_patch(stored)[list(names)].isel(time=held).load()
        return stage(folder, label, {name: patch[name].values for name in names})
    patch = source.load(cell.geobox, [day], names)
    return stage(folder, label, {name: patch[name].values[0] for name in names})


def _promising(plan: Plan, masks: dict[str, np.ndarray], inside: np.ndarray | None) -> bool:
    """Whether a date may still have enough valid pixels, judged by its masks alone."""
    if not plan.masks_decide:
        return True
    settings = plan.project.source
    if inside is not None and inside.any():
        # Ground beyond the area does not count, as in the share of valid pixels itself.
        masks = {name: values[inside] for name, values in masks.items()}
    share = share_not_masked(
        masks, clouds=settings.cloud_rule, mask=settings.mask, scl_masked=settings.scl_masked,
        mask_above=settings.mask_above,
    )  # fmt: skip
    return share >= plan.project.features.min_valid_fraction


def _before(target: Path, plan: Plan) -> dict[str, int]:
    """Keys of masks and of bands in the Zarr of an earlier run to their date's place there."""
    notes: dict[str, Any] = read_notes(target)
    if not notes.get("masks"):
        return {}
    there = set(read_patch(target).data_vars)
    return {
        key: number
        for kind, names in zip(("masks", "bands"), _kinds(plan), strict=True)
        if set(names) <= there
        for number, key in enumerate(notes[kind])
        if key
    }


def _quicklooks(plan: Plan, cell: Cell, parts: Sequence[Part]) -> list[Path]:
    colours = ("B04", "B03", "B02")
    if not set(colours) <= set(plan.variables):
        return []
    paths = []
    for day, part in zip(plan.dates, parts, strict=True):
        if part.bands is not None:
            bands = read_stage(part.bands)
            red, green, blue = (bands[name] for name in colours)
            paths.append(quicklook(plan.folder / layout.quicklook(cell.name, day), red, green, blue, cell.geobox))
    for stale in set((plan.folder / layout.quicklooks(cell.name)).glob("*.tif")) - set(paths):
        stale.unlink()
    # All together: the first wait brings the others to the disk too.
    for path in paths:
        sync(path)
    return paths


def _keys(plan: Plan, source: Source, task: FetchTask) -> list[Keys]:
    """What decides the pixels of each date."""
    box = task.cell.geobox
    place = [PIXELS, task.files, str(box.crs), list(box.transform), list(box.shape)]

    def key(day: date, names: Sequence[str]) -> str:
        return fingerprint([place, str(day), names, source.stamp(box, [day], names)])[:16]

    masks, bands = _kinds(plan)
    return [Keys(masks=key(day, masks), bands=key(day, bands)) for day in plan.dates]


def delete_imagery(plan: Plan, cell: Cell, ledger: Ledger) -> None:
    """Remove a patch's Zarr; its quicklooks and what was seen of it stay."""
    path = stored_path(plan, cell)
    # The ledger first: a Zarr that nobody asks for does no harm, one that is asked for and gone is fetched again.
    ledger.let_go(f"fetch/{cell.name}", relative(plan, path))
    shutil.rmtree(path, ignore_errors=True)


def stored_path(plan: Plan, cell: Cell) -> Path:
    """Where a patch's Zarr is kept."""
    return plan.folder / layout.stack(cell.name)


def relative(plan: Plan, path: Path) -> str:
    """A path below the output folder, as the ledger names it."""
    return str(path.relative_to(plan.folder))
