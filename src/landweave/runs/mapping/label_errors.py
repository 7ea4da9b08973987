"""The list of places where the reference is likely wrong: ``label_errors.gpkg`` and ``label_errors.json``."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from landweave.accuracy.label_errors import AUDITED, LEAST, Classify, judge_pieces, list_length
from landweave.classifier.calibration import align_columns
from landweave.classifier.fit import fit
from landweave.patch.store import read_table, write_bytes, write_json
from landweave.patch.vectors.layers import parts_of, read_features
from landweave.patch.vectors.writing import write_layers
from landweave.runs import layout
from landweave.runs.mapping.places_style import ALIASES, doubtful_style
from landweave.runs.project.plan import Plan
from landweave.runs.sample.table import read_rows

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

FOREST = {"n_estimators": 60, "min_samples_leaf": 20}
"""Of the second opinion: averages over many like pieces, so that no single wrong label is learnt."""

FIRST = 20
"""Entries that the summary tells."""

_COLUMNS = (
    "rank", "patches", "reference_class", "reference_code", "suggested_class", "area_ha", "score", "doubt", "share",
    "confidence", "looks_suggested", "looks_reference", "wrong", "precision", "audit", "pixels", "part", "evidence",
)  # fmt: skip
_SHARES = ("score", "doubt", "share", "confidence", "looks_suggested", "looks_reference", "wrong", "precision")


def confidence_of_classes(plan: Plan) -> tuple[float, ...]:
    """Mean held-out probability of each class over the land that the reference calls so, in the legend's order.

    NaN for a class without held-out rows.
    """
    from landweave.accuracy.confident_learning import self_confidence

    rows, values = read_rows(plan.folder), list(plan.legend.values)
    held = read_table(plan.folder / layout.HELD_OUT)
    p = held[[f"p_{value}" for value in values]].to_numpy()
    split = rows["split"].to_numpy()
    sides = ("land", "test") if (split == "land").any() else ("train", "test")
    use = np.isfinite(p[:, 0]) & held["seen"].to_numpy() & np.isin(split, sides)
    column = np.full(256, -1, "int64")
    column[values] = np.arange(len(values))
    found = self_confidence(column[rows["label"].to_numpy()[use]], p[use], rows["weight"].to_numpy()[use])
    return tuple(float(value) for value in found)


def list_suspects(plan: Plan, patches: Sequence[str]) -> dict[str, Any]:
    """Judge all pieces of the reference, and write the list and its summary.

    Parameters
    ----------
    plan
        The run.
    patches
        Names of those that have out-of-fold predictions.

    Returns
    -------
    dict
        The stage's record; ``info`` is the summary: ``listed``, ``hectares``, ``judged`` (pieces that were large
        enough), ``candidates`` (all that look more like another class), ``least_precision`` (the level where the list
        ends), ``precision`` (estimated, of the list), ``audit`` (entries drawn at random), ``pairs`` (``reference``,
        ``suggested``, ``count``, ``hectares``; most land first), ``first`` (of the most doubtful: the list's columns,
        and ``lon`` and ``lat`` of a place within) and ``how`` in words.
    """
    for name in (layout.LABEL_ERRORS, layout.LABEL_ERRORS_SUMMARY, layout.LABEL_ERRORS_STYLE):
        (plan.folder / name).unlink(missing_ok=True)
    tables = [_read(plan, name) for name in patches]
    if not tables:
        return {"files": [], "info": {"listed": 0, "reason": "no out-of-fold predictions of a reference"}}
    pieces, parts = _joined(plan, tables)
    least = 1 if plan.reference.kind == "points" else LEAST
    names = list(plan.legend.names.values())
    found = judge_pieces(
        pieces, parts, classes=names, classify=_second_opinion(plan), seed=plan.project.sampling.seed, least=least
    )
    candidates = _placed(plan, found)
    assert plan.project.reference is not None
    level = plan.project.reference.label_errors_precision
    listed = candidates.head(list_length(candidates["wrong"].to_numpy(), level)).reset_index(drop=True)
    listed = listed.assign(audit=_audit(len(listed), plan.project.sampling.seed))
    summary = {
        **_summary(listed, judged=int((pieces["pixels"] >= least).sum())), "candidates": len(candidates),
        "least_precision": level, "precision": float(listed["precision"].iloc[-1]) if len(listed) else None,
        "audit": int((listed["audit"] > 0).sum()),
    }  # fmt: skip
    _write_list(plan.folder / layout.LABEL_ERRORS, listed)
    colors = {c.name: c.color for c in plan.legend.classes}
    write_bytes(plan.folder / layout.LABEL_ERRORS_STYLE, doubtful_style(listed, colors))
    write_json(plan.folder / layout.LABEL_ERRORS_SUMMARY, summary)
    return {
        "files": [layout.LABEL_ERRORS, layout.LABEL_ERRORS_SUMMARY, layout.LABEL_ERRORS_STYLE],
        "info": {key: summary[key] for key in ("listed", "candidates", "precision", "hectares", "judged")},
    }


def _audit(listed: int, seed: int) -> np.ndarray:
    """1, 2, ... for entries that are drawn at random, in the order of the draw; 0 for the others."""
    order = np.zeros(listed, "int64")
    drawn = np.random.default_rng([seed, 30]).permutation(listed)[:AUDITED]
    order[drawn] = np.arange(1, len(drawn) + 1)
    return order


def _read(plan: Plan, name: str) -> "pd.DataFrame":
    return read_table(plan.folder / layout.pieces(name)).assign(patches=name)


def _joined(plan: Plan, tables: "list[pd.DataFrame]") -> "tuple[pd.DataFrame, pd.DataFrame]":
    """Pieces, a polygon's parts in several patches added up, and the doubtful parts within them."""
    import pandas as pd

    table = pd.concat(tables, ignore_index=True)
    if plan.reference.kind != "polygons":
        # Numbers are those of a patch: give every piece its own.
        keys = pd.MultiIndex.from_arrays([table["patches"], table["within"]])
        table["within"] = pd.factorize(keys)[0] + 1
        table.loc[~table["part"], "piece"] = table["within"]
    parts = table[table["part"]].reset_index(drop=True)
    parts["piece"] = -1 - np.arange(len(parts))
    sums = [name for name in map(str, table) if name in {"pixels", "core"} or name[:2] in {"p_", "c_", "s_"}]
    rules: Any = {"label": "first", **dict.fromkeys(sums, "sum"), "patches": " ".join, "outline": "first"}
    pieces = table[~table["part"]].groupby("piece", as_index=False, sort=True).agg(rules)
    return pieces, parts


def _second_opinion(plan: Plan) -> Classify:
    """A forest over the looks of pieces; which numbers it is given decides its answer, and nothing else."""

    def classify(looks: np.ndarray, label: np.ndarray, others: np.ndarray) -> np.ndarray:
        names = [f"look_{i}" for i in range(looks.shape[1])]
        forest = fit(
            looks.astype("float32"), (label + 1).astype("uint8"), type="random_forest", params=FOREST,
            seed=plan.project.sampling.seed, feature_names=names,
        )  # fmt: skip
        p = forest.predict(others.astype("float32"))
        return align_columns(p, [value - 1 for value in forest.classes], range(len(plan.legend.values)))

    return classify


def _placed(plan: Plan, found: "pd.DataFrame") -> "geopandas.GeoDataFrame":
    """The list with outlines in the reference's CRS, codes and areas, in order."""
    import geopandas as gpd
    import shapely
    from pyproj import Geod

    outlines = shapely.from_wkb(np.array([outline or None for outline in found["outline"]], object))
    codes = np.full(len(found), "", object)
    whole = ~found["part"].to_numpy()
    if plan.reference.kind == "polygons":
        shapes, codes = _polygons(plan, found["within"].to_numpy() - 1)
        outlines[whole] = shapes[whole]
    frame = gpd.GeoDataFrame(found.assign(reference_code=codes), geometry=outlines, crs=plan.reference.crs)
    frame = frame[~(frame.geometry.is_empty | frame.geometry.isna())].reset_index(drop=True)
    geod = Geod(ellps="WGS84")
    areas = [abs(geod.geometry_area_perimeter(shape)[0]) / 1e4 for shape in frame.geometry.to_crs("EPSG:4326")]
    ranks = np.arange(1, len(frame) + 1)
    frame = frame.assign(area_ha=np.round(areas, 3), rank=ranks, part=frame["part"].astype(int), audit=0)
    frame = frame.assign(precision=frame["wrong"].cumsum() / ranks)
    frame = frame.rename(columns={"reference": "reference_class", "suggested": "suggested_class"})
    rounded = {name: frame[name].round(4) for name in _SHARES}
    return frame.assign(**rounded)[[*_COLUMNS, "geometry"]]


def _polygons(plan: Plan, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outline and code of the register's features by their numbers."""
    import shapely

    from landweave.legend import code_text

    reference, wanted = plan.reference, np.unique(numbers)
    shapes, codes = np.empty(len(wanted), object), np.full(len(wanted), "", object)
    # A few thousand at a time, since they come as a list of numbers in a query.
    for start in range(0, len(wanted), 2000):
        part = wanted[start : start + 2000]
        found = read_features(reference.vector, columns=[reference.column], fids=part)
        at = np.searchsorted(wanted, found.fids)
        shapes[at] = shapely.make_valid(parts_of(found.shapes, 2)[0], method="structure", keep_collapsed=False)
        codes[at] = [code_text(code) for code in found.values[0]]
    where = np.searchsorted(wanted, numbers)
    return shapes[where], codes[where]


def _summary(listed: "geopandas.GeoDataFrame", *, judged: int) -> dict[str, Any]:
    pairs = listed.groupby(["reference_class", "suggested_class"])["area_ha"].agg(["count", "sum"]).reset_index()
    pairs = pairs.sort_values(["sum", "reference_class", "suggested_class"], ascending=[False, True, True])
    first = listed.head(FIRST)
    inside = first.geometry.representative_point().to_crs("EPSG:4326")
    places = [{"lon": round(point.x, 6), "lat": round(point.y, 6)} for point in inside]
    rows = json.loads(first.drop(columns="geometry").to_json(orient="records"))
    return {
        "listed": len(listed),
        "hectares": round(float(listed["area_ha"].sum()), 2),
        "judged": judged,
        "pairs": [
            {"reference": a, "suggested": b, "count": int(n), "hectares": round(float(area), 2)}
            for a, b, n, area in pairs.itertuples(index=False)
        ],
        "first": [row | place for row, place in zip(rows, places, strict=True)],
        "how": (
            "pieces of the reference that look more like another class than like their own to models that never saw "
            "them, ranked by score: doubt x pixels / (pixels + 50); doubt is 1 - (how much a piece looks like its "
            "class) / (how much pieces of that class do)"
        ),
    }


def _write_list(path: Path, listed: "geopandas.GeoDataFrame") -> None:
    write_layers(path, [("label_errors", listed)], aliases=ALIASES)
