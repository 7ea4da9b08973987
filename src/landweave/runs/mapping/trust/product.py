"""``trust.tif`` with its styles, and ``trust.json``: where the map can be trusted, and how that was checked."""

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landweave.engine.machine import usable_cores
from landweave.maps.mosaic import mosaic
from landweave.patch.grid import Cell
from landweave.patch.painting import beyond_border, continued
from landweave.patch.store import read_raster, write_bytes, write_json, write_raster
from landweave.runs import layout
from landweave.runs.mapping.trust.bands import TrustBand, bands, made
from landweave.runs.mapping.trust.calibration import Regions, calibrate
from landweave.runs.mapping.trust.training import read_applicability
from landweave.runs.project.plan import Plan


def write_trust(plan: Plan, cells: Sequence[Cell], trained: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``trust.tif``, a style for each of its bands, and ``trust.json``.

    Parameters
    ----------
    plan
        The run.
    cells
        The patches that were predicted.
    trained
        What is known of the training rows, from :func:`landweave.runs.mapping.trust.training.write_applicability`.

    Returns
    -------
    dict
        The stage's record.
    """
    remove_trust(plan)
    regions = Regions(plan)
    calibrated = calibrate(plan, cells, regions)
    fitted = read_applicability(plan.folder)
    listed = bands(
        plan.legend, sets=calibrated.least is not None, applicability=fitted is not None, observed=len(plan.dates)
    )
    counts: dict[str, Counter[int]] = {band.name: Counter() for band in listed if band.codes is not None}
    settings = plan.project.map
    plan.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".trust.part", dir=plan.folder) as folder:
        parts = {}
        for cell in cells:
            values = made(
                read_raster(plan.folder / layout.trust_layers(cell.name)),
                read_raster(plan.folder / layout.prediction(cell.name)),
                _observed(plan, cell), regions.of(cell), calibrated.least, applicability=fitted is not None,
            )  # fmt: skip
            own = cell.own()
            for number, band in enumerate(listed):
                if band.name in counts:
                    found = values[number] if own is None else values[number][own]
                    sizes = np.bincount(found.ravel(), minlength=1)
                    counts[band.name].update({value: int(n) for value, n in enumerate(sizes) if n and value})
            beyond = beyond_border(cell)
            if beyond is not None:
                values = continued(values, beyond)
            parts[cell.name] = write_raster(Path(folder) / f"{cell.name}.tif", values, cell.geobox)
        mosaic(
            parts, plan.folder / layout.TRUST, band=range(1, len(listed) + 1), names=[band.name for band in listed],
            crs=settings.crs, resolution=settings.resolution, overviews="mode", threads=usable_cores(),
        )  # fmt: skip
    files = [layout.TRUST, layout.TRUST_SUMMARY, *_write_styles(plan, listed)]
    summary = {
        "bands": [_told(band, number, counts.get(band.name)) for number, band in enumerate(listed, start=1)],
        "sets": calibrated.checked,
        "applicability": dict(trained),
    }
    write_json(plan.folder / layout.TRUST_SUMMARY, summary, allow_nan=True)
    return {"files": files, "info": {"patches": len(cells), "bands": len(listed)}}


def remove_trust(plan: Plan) -> None:
    """Delete what an earlier run wrote."""
    views = sorted(plan.folder.glob(layout.view_band("*")))
    for path in [plan.folder / layout.TRUST, plan.folder / layout.TRUST_SUMMARY, *_styles(plan), *views]:
        path.unlink(missing_ok=True)


def _styles(plan: Plan) -> list[Path]:
    names = [layout.style(layout.TRUST), layout.trust_style("*")]
    return [path for name in names for path in sorted(plan.folder.glob(name))]


def _write_styles(plan: Plan, listed: Sequence[TrustBand]) -> list[str]:
    """A style for each band; the one that QGIS takes by itself shows the size of sets, or else the second best."""
    files = []
    order = [band.name for band in listed]
    first = next(name for name in ("set_size", "applicability", "margin") if name in order)
    for number, band in enumerate(listed, start=1):
        names = [layout.trust_style(band.name), *([layout.style(layout.TRUST)] if band.name == first else [])]
        for name in names:
            write_bytes(plan.folder / name, band.style(number))
        files += names
    return files


def _told(band: TrustBand, number: int, counted: Mapping[int, int] | None) -> dict[str, Any]:
    told: dict[str, Any] = {"band": number, "name": band.name, "title": band.title}
    if band.codes is None:
        return told | {"unit": band.unit.strip(), "stored_plus": band.plus, "least": band.low, "greatest": band.high}
    pixels = counted or {}
    everything = sum(pixels.values())
    told["values"] = [
        {
            "value": value, "name": name, "color": color, "pixels": pixels.get(value, 0),
            "share": pixels.get(value, 0) / everything if everything else None,
        }
        for value, (name, color) in band.codes.items()
        if band.name != "flags" or pixels.get(value)
    ]  # fmt: skip
    return told


def _observed(plan: Plan, cell: Cell) -> np.ndarray | None:
    path = plan.folder / layout.observations(cell.name)
    return np.asarray(read_raster(path)[0]) if path.exists() else None
