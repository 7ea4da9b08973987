"""The task of the stage `fetch`: read a patch once, and count what is seen of it.

As that of every stage it takes the plan and one task, writes its files whole or not at all, and returns a small record:
``files`` relative to the output folder, and ``info`` that JSON can hold.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from landweave.engine.fingerprint import fingerprint_of
from landweave.features.clouds import NO_DATA, VALID
from landweave.features.coverage import count_histogram, mean_probability, ndvi_tally, valid_counts
from landweave.patch.grid import Cell
from landweave.patch.model import saturated
from landweave.patch.store import write_raster, write_whole
from landweave.runs import layout
from landweave.runs.fetch.imagery import FetchTask, fetch_stack, relative, stored_path
from landweave.runs.fetch.strips import judged, scan, strip_of
from landweave.runs.project.plan import Plan

NDVI_STEP = 4
"""Of rows and columns: on which pixels NDVI is counted through the year."""

UNKNOWN_SKY = 65_535
"""Mean cloudiness of a pixel without data."""

Record = dict[str, Any]


def fetch(plan: Plan, task: FetchTask) -> Record:
    """Read a patch once: the share of valid pixels of each date; its imagery kept where the project asks."""
    cell = task.cell
    inside = cell.inside()
    here = np.ones(cell.geobox.shape, bool) if inside is None else inside
    valid = np.zeros(len(plan.dates), "int64")
    seen = np.zeros((2, *cell.geobox.shape), "uint16")
    tally: dict[str, np.ndarray] = {}
    clipped = 0

    def count(rows: slice, strip: tuple[np.ndarray, ...]) -> None:
        nonlocal clipped
        bands, reasons, sky = strip
        valid[:] += (reasons[:, here[rows]] == VALID).sum(axis=1)
        seen[0, rows], mean = valid_counts(reasons), mean_probability(sky, reasons != NO_DATA)
        seen[1, rows] = np.where(np.isfinite(mean), np.rint(100 * np.nan_to_num(mean)), UNKNOWN_SKY)
        for key, numbers in _ndvi(plan, bands, reasons, rows).items():
            tally[key] = tally.get(key, 0) + numbers
        clipped += saturated(bands)

    def look(rows: slice, layers: Mapping[str, np.ndarray]) -> None:
        count(rows, judged(plan, strip_of(plan, layers), sky=True))

    files, stack = [], ""
    if plan.project.source.stores:
        made = fetch_stack(plan, task, inside, look)
        # What is not kept is no file that must be there; its fingerprint tells later stages of other pixels.
        files = [relative(plan, path) for path in made if plan.project.source.keep or path.suffix != ".zarr"]
        stack = fingerprint_of(stored_path(plan, cell))
    else:
        scan(plan, task, write=count, sky=True)
    files += _write_observations(plan, cell, seen, tally)
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


def _write_observations(plan: Plan, cell: Cell, seen: np.ndarray, tally: Mapping[str, np.ndarray]) -> list[str]:
    """Keep what was seen of a patch.

    Parameters
    ----------
    plan, cell
        Whose.
    seen
        uint16 (2, y, x): dates on which the pixel is valid; mean cloudiness over the dates with data, in hundredths
        of a per cent, 65535 unknown.
    tally
        Of :func:`landweave.features.coverage.ndvi_tally`; may be empty.

    Returns
    -------
    list of str
        Files, relative to the output folder.
    """
    files = [layout.observations(cell.name)]
    names = ("valid observations", "mean cloudiness, 0.01 %")
    write_raster(plan.folder / files[0], seen, cell.geobox, names=names, nodata=UNKNOWN_SKY)
    if tally:
        files.append(layout.ndvi(cell.name))

        def write(part: Path) -> None:
            with part.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **tally)

        write_whole(plan.folder / files[1], write)
    return files


def _ndvi(plan: Plan, bands: np.ndarray, reasons: np.ndarray, rows: slice) -> dict[str, np.ndarray]:
    """NDVI counted on every fourth pixel of every fourth row: enough for a curve, at a sixteenth of the work."""
    names = plan.recipe.source_bands
    if not {"B04", "B08"} <= set(names):
        return {}
    some = (slice(None), slice(-rows.start % NDVI_STEP, None, NDVI_STEP), slice(None, None, NDVI_STEP))
    red, near = (bands[names.index(name)][some] for name in ("B04", "B08"))
    return ndvi_tally(red, near, reasons[some])
