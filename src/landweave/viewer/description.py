"""What the page is told of a run before it asks for any tile: JSON, for the server and for a published folder."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.runs import layout
from landweave.runs.estimate.accuracy import estimate_project
from landweave.runs.results.compare import comparison_of
from landweave.runs.results.layers import DISAGREEMENT, Layers
from landweave.runs.results.record import read_record
from landweave.runs.results.run import FinishedRun
from landweave.runs.results.trust_layers import layer_of, trust_bands
from landweave.viewer.ground.map_crs import describe_crs
from landweave.viewer.ground.routes import OnTheMap
from landweave.viewer.guard import bare
from landweave.viewer.tiles import COMBINATIONS, NDVI, Tiles

VALUES: dict[str, dict[str, Any]] = {
    "prediction": {"title": "map", "kind": "classes"},
    "reference": {"title": "reference", "kind": "classes"},
    "disagreement": {
        "title": "disagreement of reference and held-out prediction",
        "kind": "codes",
        "codes": [
            {"value": value, "name": name, "color": color} for value, (name, color) in DISAGREEMENT.items()
        ],
    },
    "confidence": {
        "title": "confidence", "kind": "ramp", "ramp": "confidence", "least": 0, "greatest": 100, "unit": "%"
    },
    "observations": {"title": "valid observations", "kind": "ramp", "ramp": "count", "plus": 1, "unit": "dates"},
}  # fmt: skip
"""Maps of values: how the page calls and colours them."""


def describe(run: FinishedRun, layers: Layers, tiles: Tiles, ground: OnTheMap) -> dict[str, Any]:
    """Layers, legend with areas, dates with cloudiness, places and patches of a run.

    Returns
    -------
    dict
        JSON values; text in it is data, and the page shows it as text.
    """
    shown: list[dict[str, Any]] = []
    for name, told in VALUES.items():
        if name in tiles.files:
            shown.append({"id": name, **told, **_zooms(tiles.zooms)})
            if name == "observations":
                shown[-1] |= {"least": 0, "greatest": len(run.plan.dates)}
            if name == "disagreement" and run.plan.project.model.path:
                shown[-1]["title"] = "disagreement of reference and map"
    shown += [_trust(band) | _zooms(tiles.zooms) for band in trust_bands(run) if layer_of(band) in tiles.files]
    for name, zooms in tiles.image_zooms.items():
        if name == NDVI:
            told = {"title": "NDVI", "kind": "ramp", "ramp": "ndvi", "least": -1, "greatest": 1, "unit": ""}
        else:
            told = {"title": _image_title(name, tiles), "kind": "picture"}
        shown.append({"id": name, **told, "dated": True, **_zooms(zooms)})
    return {
        "name": run.plan.project.name,
        "mode": "server",
        "version": layers.version,
        "bounds": list(tiles.bounds),
        "area": list(tiles.area),
        "period": [str(run.plan.start), str(run.plan.end)],
        "pixel_metres": round(run.plan.pixel_metres, 3),
        "natural_zoom": tiles.natural_zoom,
        "crs": describe_crs(tiles.files["prediction"], tiles.bounds),
        "layers": shown,
        "legend": _legend(run, layers),
        "area_title": layers.mapped["title"],
        "estimate_title": "estimated area (sample)",
        "dates": _dates(run),
        "points": ground.places.has_points,
        "samples": ground.places.has_samples,
        "districts": list(ground.outlines.district_names),
        "overlays": ground.outlines.overlays(),
        "areas": True,
        "outline": True,
        "places": [place.model_dump(mode="json") for place in run.plan.project.places],
        "report": (run.folder / layout.REPORT).exists(),
        "comparison": comparison_of(run) is not None,
        "doubtful": _doubtful(run),
        "dossier": True,
    }


def _trust(band: dict[str, Any]) -> dict[str, Any]:
    """A band of ``trust.tif`` as the page shows it."""
    told = {"id": layer_of(band), "title": f"trust: {band['title']}"}
    if "values" in band:
        codes = [{key: value[key] for key in ("value", "name", "color")} for value in band["values"]]
        return told | {"kind": "codes", "codes": codes}
    ramp = "confidence" if band["name"] == "margin" else "count"
    scale = {"least": band["least"], "greatest": band["greatest"], "unit": band["unit"], "plus": band["stored_plus"]}
    return told | {"kind": "ramp", "ramp": ramp, **scale}


def patches(run: FinishedRun) -> dict[str, Any]:
    """The grid as GeoJSON: of each patch name, role, state, and what it failed of."""
    import geopandas as gpd
    import shapely

    path = run.folder / layout.GRID
    if not path.exists():
        return {"type": "FeatureCollection", "features": []}
    frame = gpd.read_file(path)
    failures = read_record(run.folder / layout.RECORD).get("failures", [])
    errors = {str(f["what"]).rpartition("/")[2]: str(f["error"]) for f in failures}
    # Their edges are dense, so that they bend as the projection bends them; a tenth of a metre does not show.
    frame.geometry = shapely.set_precision(shapely.simplify(frame.geometry.to_numpy(), 1e-6), 1e-7)
    frame["error"] = [bare(errors.get(name, "")) or None for name in frame["name"]]
    content: dict[str, Any] = json.loads(frame.to_json(drop_id=True))
    return content


def _doubtful(run: FinishedRun) -> list[dict[str, Any]]:
    """Places where the reference is likely wrong: as a comparison ranked them, else as the run did."""
    compared = comparison_of(run)
    told = compared["places"] if compared else read_record(run.folder / layout.LABEL_ERRORS_SUMMARY).get("first", [])
    keys = ("rank", "reference_class", "suggested_class", "area_ha", "lon", "lat")
    return [{key: row[key] for key in keys} for row in told] if run.plan.reference is not None else []


def _legend(run: FinishedRun, layers: Layers) -> list[dict[str, Any]]:
    estimated = _estimated(run)
    areas: Mapping[int, Mapping[str, Any]] = layers.mapped["classes"]
    return [
        {
            "value": c.value, "name": c.name, "color": c.color,
            "pixels": int(areas.get(c.value, {}).get("pixels", 0)),
            "area_ha": float(areas.get(c.value, {}).get("area_ha", 0.0)),
            "estimate": estimated.get(c.name),
        }
        for c in run.plan.legend.classes
    ]  # fmt: skip


def _estimated(run: FinishedRun) -> dict[str, Any]:
    """Area by class name as a labelled sample estimates it, hectares with interval; empty where there is none."""
    try:
        figures = estimate_project(run.plan)
    except InputError:
        return {}  # a sample that is not labelled yet keeps nobody from looking at the map
    return {} if figures is None else {name: told.get("area_ha") for name, told in figures["classes"].items()}


def _dates(run: FinishedRun) -> list[dict[str, Any]]:
    """Every date with the share of pixels that count in the patches that were seen; None where none was."""
    shares = np.array([run.valid_fractions(cell.name) for cell in run.cells])
    sizes = np.array([cell.geobox.shape[0] * cell.geobox.shape[1] for cell in run.cells], "float64")
    known = np.isfinite(shares).all(axis=1)
    mean = np.average(shares[known], axis=0, weights=sizes[known]).tolist() if known.any() else [None] * shares.shape[1]
    return [
        {"date": day.isoformat().replace(":", ""), "valid": None if share is None else round(share, 4)}
        for day, share in zip(run.plan.dates, mean, strict=True)
    ]


def _image_title(name: str, tiles: Tiles) -> str:
    title, bands = COMBINATIONS[name]
    shown = tiles.shown(name)
    return title if shown == bands or not shown else f"image ({', '.join(shown)})"


def _zooms(zooms: tuple[int, int]) -> dict[str, int]:
    return {"min_zoom": zooms[0], "max_zoom": zooms[1]}


def page_files() -> dict[str, Path]:
    """The built page's files by name."""
    folder = Path(__file__).parent / "page"
    return {path.name: path for path in sorted(folder.iterdir()) if path.suffix in {".html", ".js", ".css", ".txt"}}
