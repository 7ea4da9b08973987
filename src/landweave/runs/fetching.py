"""A patch's imagery brought once: date by date, masks first, taken up where it stopped."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.features.clouds import share_not_masked
from landweave.patch.grid import Cell
from landweave.patch.staging import assemble, quicklook, read_notes, read_stage, stage, staged
from landweave.patch.store import read_patch
from landweave.runs.ledger import fingerprint
from landweave.runs.opening import Plan
from landweave.sources.pixels import keep_open
from landweave.sources.protocol import Source
from landweave.sources.stac import StacSource

READERS = 8
"""Dates that are read from a server at a time."""


FILES, REMOTE_FILES = 16, 64
"""Files that a reader keeps open. Opening one again costs little on a disk, and two requests on a server."""


class DegradedError(Exception):
    """Some dates could not be read; the others are staged, and the next run takes up only these."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Where the two parts of one date are staged; ``bands`` is None where the date is too cloudy to be read on."""

    masks: Path | None
    bands: Path | None


def fetch_stack(plan: Plan, cell: Cell, *, source: Source, stamp: str) -> list[Path]:
    """Write ``patches/<name>.zarr`` and a quicklook for each date.

    Parameters
    ----------
    plan, cell
        What and where.
    source
        Where the pixels come from.
    stamp
        Fingerprint of all that decides the pixels, for a source that does not stamp its dates.

    Returns
    -------
    list of pathlib.Path
        Files written.

    Raises
    ------
    DegradedError
        When some dates could not be read after their retries: which, and why.
    """
    name = cell.name
    folder = plan.folder / "patches" / f"{name}.part"
    target = plan.folder / "patches" / f"{name}.zarr"
    keys = [_key(source, cell, day, plan, stamp) for day in plan.dates]
    before = _before(target, keys, plan)

    def one(number: int) -> Part | Exception:
        try:
            return _date(plan, cell, source, folder, number, key=keys[number], before=before)
        except (OSError, InputError) as error:
            return error

    remote = isinstance(source, StacSource) and source.remote
    parts = list(_readers(READERS if remote else 2).map(one, range(len(plan.dates))))
    unread = {str(day): part for day, part in zip(plan.dates, parts, strict=True) if isinstance(part, Exception)}
    if unread:
        first, error = next(iter(unread.items()))
        more = f" and {len(unread) - 1} more dates" if len(unread) > 1 else ""
        raise DegradedError(f"degraded: {first}{more} could not be read: {error}")
    whole = [part for part in parts if isinstance(part, Part)]
    looks = _quicklooks(plan, cell, whole)
    read = [key if part.bands else "" for key, part in zip(keys, whole, strict=True)]
    kinds = {n: "uint8" if n in source.categorical else "int16" for n in plan.variables}
    assemble(
        target, [[p for p in (part.masks, part.bands) if p] for part in whole], times=plan.dates, variables=kinds,
        geobox=cell.geobox, notes={"dates": [str(day) for day in plan.dates], "masks": keys, "bands": read},
    )  # fmt: skip
    shutil.rmtree(folder, ignore_errors=True)
    return [target, *looks]


@lru_cache(maxsize=1)
def _readers(count: int) -> ThreadPoolExecutor:
    """Threads that outlive a patch, since each keeps its files open for the next."""
    files = REMOTE_FILES if count == READERS else FILES
    return ThreadPoolExecutor(count, thread_name_prefix="reader", initializer=keep_open, initargs=(files,))


def _date(
    plan: Plan, cell: Cell, source: Source, folder: Path, number: int, *, key: str, before: dict[str, tuple[int, bool]]
) -> Part:
    day = plan.dates[number]
    classes = [name for name in plan.variables if name in source.categorical]
    bands = [name for name in plan.variables if name not in source.categorical]
    masks = None
    if classes:
        masks = _part(plan, cell, source, folder, day, classes, f"{_text(day)}_masks_{key}", before.get(key))
        if not _promising(plan, read_stage(masks)):
            return Part(masks=masks, bands=None)
    held = before.get(key)
    held = held if held and held[1] else None
    return Part(masks=masks, bands=_part(plan, cell, source, folder, day, bands, f"{_text(day)}_bands_{key}", held))


def _part(
    plan: Plan, cell: Cell, source: Source, folder: Path, day: date, names: Sequence[str], label: str,
    held: tuple[int, bool] | None,
) -> Path:  # fmt: skip
    there = staged(folder, label)
    if there is not None:
        return there
    if held is not None:
        patch = read_patch(plan.folder / "patches" / f"{cell.name}.zarr")[list(names)].isel(time=held[0]).load()
        return stage(folder, label, {name: patch[name].values for name in names}, cell.geobox)
    patch = source.load(cell.geobox, [day], names)
    return stage(folder, label, {name: patch[name].values[0] for name in names}, cell.geobox)


def _promising(plan: Plan, masks: dict[str, np.ndarray]) -> bool:
    """Whether a date may still have enough valid pixels, judged by its masks alone."""
    settings = plan.project.source
    least = plan.project.features.min_valid_fraction
    share = share_not_masked(masks, clouds=settings.cloud_rule, scl_masked=settings.scl_masked)
    return share is None or share >= least


def _before(target: Path, keys: list[str], plan: Plan) -> dict[str, tuple[int, bool]]:
    """Key of a date in the Zarr of an earlier run to its place there, and whether its bands were read."""
    notes: dict[str, Any] = read_notes(target)
    masks, bands = notes.get("masks", []), notes.get("bands", [])
    if not masks or any(name not in read_patch(target) for name in plan.variables):
        return {}
    return {key: (n, bool(bands[n])) for n, key in enumerate(masks) if key in keys}


def _quicklooks(plan: Plan, cell: Cell, parts: Sequence[Part]) -> list[Path]:
    colours = ("B04", "B03", "B02")
    if not set(colours) <= set(plan.variables):
        return []
    folder = plan.folder / "patches" / f"{cell.name}_quicklooks"
    paths = []
    for day, part in zip(plan.dates, parts, strict=True):
        if part.bands is not None:
            bands = read_stage(part.bands)
            red, green, blue = (bands[name] for name in colours)
            paths.append(quicklook(folder / f"{_text(day)}.tif", red, green, blue, cell.geobox))
    for stale in set(folder.glob("*.tif")) - set(paths):
        stale.unlink()
    return paths


def _key(source: Source, cell: Cell, day: date, plan: Plan, stamp: str) -> str:
    of_day = source.stamp(cell.geobox, [day]) if isinstance(source, StacSource) else stamp
    box = cell.geobox
    return fingerprint([of_day, str(day), plan.variables, str(box.crs), list(box.transform), list(box.shape)])[:16]


def _text(day: date) -> str:
    return str(day).replace(" ", "T").replace(":", "")
