"""Where patches become one thing: the grid as a file, the mosaics."""

import json
from collections.abc import Sequence
from typing import Any

from landweave.engine.machine import usable_cores
from landweave.maps.mosaic import mosaic
from landweave.maps.qgis_styles import ramp_style
from landweave.maps.sidecars import qgis_style, stac_item
from landweave.patch.store import read_raster, write_bytes, write_json
from landweave.runs import layout
from landweave.runs.project.plan import Plan


def write_mosaics(plan: Plan, patches: Sequence[str]) -> dict[str, Any]:
    """Write ``map.tif`` with its names, style and STAC item beside it, and ``confidence.tif``."""
    parts = {name: plan.folder / layout.prediction(name) for name in patches}
    options: dict[str, Any] = {
        "crs": plan.project.map.crs, "resolution": plan.project.map.resolution, "threads": usable_cores()
    }  # fmt: skip
    mosaic(parts, plan.folder / layout.MAP, band=1, legend=plan.legend, overviews="mode", **options)
    mosaic(parts, plan.folder / layout.CONFIDENCE, band=2, legend=None, overviews="average", **options)
    _write_companions(plan)
    write_styles(plan, patches)
    names = (
        layout.MAP, layout.MAP_NAMES, layout.MAP_STYLE, layout.MAP_ITEM, layout.CONFIDENCE, layout.CONFIDENCE_STYLE,
    )  # fmt: skip
    files = [name for name in names if (plan.folder / name).exists()]
    return {"files": files, "info": {"patches": len(parts)}}


def write_styles(plan: Plan, patches: Sequence[str]) -> None:
    """Write the QGIS styles of ``confidence.tif`` and of the patches' predictions, labels and observations.

    They are written with the map and not with the patches: a legend's colour must not make a prediction stale. What is
    there already with the same content is left alone.
    """
    write_bytes(plan.folder / layout.CONFIDENCE_STYLE, ramp_style(1, 100, unit=" %"))
    classes, counts = qgis_style(plan.legend), ramp_style(0, max(len(plan.dates), 1))
    kinds = {layout.prediction: classes, layout.out_of_fold: classes, layout.labels: classes}
    for patch in patches:
        for raster, content in {**kinds, layout.observations: counts}.items():
            path = plan.folder / layout.style(raster(patch))
            if not (plan.folder / raster(patch)).exists() or (path.exists() and path.read_bytes() == content):
                continue
            # A style that is lost in a crash costs nothing.
            write_bytes(path, content, synced=False)
        _write_pieces_style(plan, layout.label_pieces(patch))


def _write_pieces_style(plan: Plan, name: str) -> None:
    """Numbers of features need colours from the first to the last one of a patch, and so a look at the raster."""
    raster, path = plan.folder / name, plan.folder / layout.style(name)
    if not raster.exists() or (path.exists() and path.stat().st_mtime_ns >= raster.stat().st_mtime_ns):
        return
    numbers = read_raster(raster)[0]
    there = numbers[numbers > 0]
    low, high = (int(there.min()), int(there.max())) if there.size else (0, 1)
    # A raster of pieces holds the feature's number plus 1.
    write_bytes(path, ramp_style(low, max(high, low + 1), zero=1), synced=False)


def _write_companions(plan: Plan) -> None:
    """What QGIS and catalogues read beside the map."""
    write_bytes(plan.folder / layout.MAP_STYLE, qgis_style(plan.legend))
    maps = {"map": plan.folder / layout.MAP, "confidence": plan.folder / layout.CONFIDENCE}
    if plan.project.source.undated:
        # An item needs a date.
        (plan.folder / layout.MAP_ITEM).unlink(missing_ok=True)
        return
    bands = {}
    if plan.project.map.trust:
        maps["trust"] = plan.folder / layout.TRUST
        bands["trust"] = json.loads((plan.folder / layout.TRUST_SUMMARY).read_text(encoding="utf-8"))["bands"]
    item = stac_item(plan.project.name, maps, legend=plan.legend, start=plan.start, end=plan.end, bands=bands)
    write_json(plan.folder / layout.MAP_ITEM, item, ensure_ascii=False, allow_nan=True)
