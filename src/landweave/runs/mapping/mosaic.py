"""Where patches become one thing: the grid as a file, the mosaics."""

from collections.abc import Sequence
from typing import Any

from landweave.engine.machine import usable_cores
from landweave.maps.mosaic import mosaic
from landweave.maps.sidecars import qgis_style, stac_item
from landweave.patch.store import write_bytes, write_json
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
    names = (layout.MAP, layout.MAP_NAMES, layout.MAP_STYLE, layout.MAP_ITEM, layout.CONFIDENCE)
    files = [name for name in names if (plan.folder / name).exists()]
    return {"files": files, "info": {"patches": len(parts)}}


def _write_companions(plan: Plan) -> None:
    """What QGIS and catalogues read beside the map."""
    write_bytes(plan.folder / layout.MAP_STYLE, qgis_style(plan.legend))
    maps = {"map": plan.folder / layout.MAP, "confidence": plan.folder / layout.CONFIDENCE}
    item = stac_item(plan.project.name, maps, legend=plan.legend, start=plan.start, end=plan.end)
    write_json(plan.folder / layout.MAP_ITEM, item, ensure_ascii=False, allow_nan=True)
