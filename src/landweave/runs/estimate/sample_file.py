"""A probability sample as a file: written to be labelled, read back with the design that it was drawn by."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landweave.accuracy.design_based.estimates import Stratum
from landweave.errors import InputError, blame_machine
from landweave.labels.verdicts.geopackage import recover
from landweave.legend import code_text
from landweave.maps.areas import Counted, MapGrid, PixelAreas
from landweave.maps.qgis_styles import vector_style
from landweave.maps.stratified_sample import Drawn
from landweave.patch.tables.places import PlaceKeys, place_columns, read_places
from landweave.patch.tables.reading import PARQUET, read_table_file
from landweave.patch.vectors.layers import layer_names, open_layer, read_features
from landweave.patch.vectors.points import is_point_table
from landweave.patch.vectors.writing import write_layers
from landweave.runs.estimate.design_columns import SampleTable, Units, units_of_columns

FORMAT, GRID_FORMAT = "landweave sample design 1", "landweave sample design 2"
"""Of stratified random samples, and of those that follow the map's grid."""

LAYER, PIXELS, DESIGN = "sample", "pixels", "design"
"""Layers of the file: points to label, outlines of their pixels, the design."""

LABEL = "reference"
"""The column to fill in."""


@dataclass(frozen=True, kw_only=True)
class LabelledSample:
    """A sample that was labelled; arrays are (n,)."""

    path: Path
    places: tuple[str, ...]
    """Where each unit stands in its file, for complaints: ``row 17 (id 5)``."""
    labels: tuple[str, ...]
    """What the interpreter wrote."""
    stratum: np.ndarray
    """Key of the stratum, int64."""
    x: np.ndarray
    y: np.ndarray
    """Coordinates in ``crs``; NaN where the file has none."""
    crs: str | None
    areas: np.ndarray | None
    """Area of each unit, square metres; None where it is not known."""
    strata: dict[int, Stratum]
    classes: dict[int, str]
    """Classes of the map that the sample was drawn from; empty where that is not known."""
    fingerprint: str | None
    """Of that map."""
    called: dict[int, tuple[str, ...]]
    """What the columns of a sample from elsewhere call each stratum; empty for a sample that landweave drew."""
    design_notes: tuple[str, ...]
    """What the reader of the figures must know of the design."""
    left_out: int
    """Units without a label that were left out."""
    plan: Mapping[str, Any] | None
    """How it was drawn, where that is not a stratified random sample: ``kind``, and the numbers of the draw."""
    extra: Mapping[str, np.ndarray]
    """What such a design needs of each unit, and ``mapped``, the class of the map that was drawn from; int64 (n,)."""
    columns: Mapping[str, tuple[str, ...]]
    """All columns of the file as text, one value a unit; "" for none."""


@dataclass(frozen=True, kw_only=True)
class SamplePlan:
    """How a sample was drawn that is not a stratified random one."""

    about: Mapping[str, Any]
    """``kind``, and the numbers of the draw."""
    classes: Mapping[int, str]
    """Classes of the map; the strata are others."""
    units: Mapping[str, np.ndarray]
    """``mapped``, the map's class of each unit, and what the design needs of each, int64 (n,)."""


ALIASES = {
    "id": "Number", LABEL: "Class seen", "remark": "Remark", "stratum": "Stratum (value)", "stratum_name": "Stratum",
    "inclusion_probability": "Inclusion probability", "stratum_pixels": "Pixels of the stratum",
    "stratum_area_ha": "Stratum, ha",
}  # fmt: skip
"""Columns as QGIS shows them."""


def write_sample(
    path: Path,
    grid: MapGrid,
    counted: Counted,
    drawn: Drawn,
    *,
    names: Mapping[int, str],
    how: Mapping[str, Any],
    blind: bool = False,
    filled: Mapping[str, Sequence[str | None]] | None = None,
    plan: SamplePlan | None = None,
) -> Path:
    """Write a drawn sample as a GeoPackage, ready to be labelled.

    Parameters
    ----------
    path
        Where; the layer ``sample`` holds the points (``id``, an empty ``reference`` and ``remark``, and unless blind
        ``stratum``, ``stratum_name``, ``inclusion_probability``, ``stratum_pixels`` and ``stratum_area_ha``),
        ``pixels`` their outlines, and the table ``design`` what the estimates need, as JSON.
    grid, counted, drawn
        The map, what it holds, and the pixels that were drawn.
    names
        Class value to name.
    how
        Seed and allocation, kept with the design.
    blind
        Keep the stratum out of the points' columns, so that it does not sway whoever labels them.
    filled
        What the columns ``reference`` and ``remark`` of the first units hold already.
    plan
        Of a sample that is not a stratified random one.
    """
    import geopandas as gpd
    import pandas as pd
    import shapely

    sizes = {int(v): int((drawn.stratum == v).sum()) for v in np.unique(drawn.stratum)}
    a, b, c, d, e, f = tuple(grid.transform)[:6]
    x, y = (p * (drawn.column + 0.5) + q * (drawn.row + 0.5) + r for p, q, r in ((a, b, c), (d, e, f)))
    areas = PixelAreas(grid.crs, grid.transform, grid.shape).at(drawn.row, drawn.column)
    number = np.arange(1, len(x) + 1)
    columns: dict[str, Any] = {"id": number}
    for name in (LABEL, "remark"):
        there = list((filled or {}).get(name, ()))
        columns[name] = pd.array(there + [None] * (len(x) - len(there)), dtype="string")
    if not blind:
        strata = drawn.stratum.tolist()
        columns |= {
            "stratum": drawn.stratum.astype("int64"),
            "stratum_name": [names.get(v, str(v)) for v in strata],
            "inclusion_probability": [sizes[v] / counted.pixels[v] for v in strata],
            "stratum_pixels": [counted.pixels[v] for v in strata],
            "stratum_area_ha": [counted.areas[v] / 1e4 for v in strata],
        }
        if plan is not None:
            columns["map_class"] = [plan.classes[v] for v in plan.units["mapped"].tolist()]
    points = gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy(x, y), crs=grid.crs)
    corners = [(0, 0), (1, 0), (1, 1), (0, 1)]
    rings = np.stack(
        [np.stack([p * (drawn.column + i) + q * (drawn.row + j) + r for p, q, r in ((a, b, c), (d, e, f))], axis=1)
         for i, j in corners], axis=1
    )  # fmt: skip
    outlines = gpd.GeoDataFrame({"id": number}, geometry=shapely.polygons(rings), crs=grid.crs)
    classes = names if plan is None else plan.classes
    design: dict[str, Any] = {
        "format": FORMAT if plan is None else GRID_FORMAT,
        "map": grid.path.name, "fingerprint": counted.fingerprint, "crs": grid.crs,
        "transform": [float(v) for v in tuple(grid.transform)[:6]], "shape": list(grid.shape), **how,
        "classes": {str(v): name for v, name in classes.items()},
        "strata": [
            {"value": v, "name": names.get(v, str(v)), "pixels": counted.pixels[v],
             "area_ha": counted.areas[v] / 1e4, "drawn": n}
            for v, n in sizes.items()
        ],
        "units": {
            "id": number.tolist(), "stratum": drawn.stratum.tolist(), "row": drawn.row.tolist(),
            "column": drawn.column.tolist(), "area_m2": [round(float(v), 6) for v in areas],
        },
    }  # fmt: skip
    if plan is not None:
        design["plan"] = dict(plan.about)
        design["units"] |= {name: values.tolist() for name, values in plan.units.items()}
    content = pd.DataFrame({"content": [json.dumps(design)]})
    styles = {
        LAYER: vector_style(
            {"all": "#ffd500"}, geometry="Point", columns=tuple(columns), aliases=ALIASES, alpha=255,
            choices={LABEL: ("", *classes.values())},
        ),
        PIXELS: vector_style({"all": "#ffd500"}, columns=("id",), aliases=ALIASES, alpha=0),
    }  # fmt: skip
    return write_layers(path, [(LAYER, points), (PIXELS, outlines), (DESIGN, content)], styles=styles, aliases=ALIASES)


def read_sample(
    path: str | Path,
    *,
    label: str = LABEL,
    layer: str | None = None,
    design: str | Path | None = None,
    drop_unlabelled: bool = False,
    encoding: str | None = None,
    places: PlaceKeys | None = None,
    relabel: Callable[[Mapping[str, Sequence[Any]]], Sequence[str]] | None = None,
) -> LabelledSample:
    """Read a labelled sample and its design.

    Parameters
    ----------
    path
        The GeoPackage that was drawn, or any vector file or table with its ``id`` and the labels. A sample from
        elsewhere needs the columns ``stratum``, ``stratum_pixels`` (or ``inclusion_probability``) and
        ``stratum_area_ha``, and as a table its places.
    label
        The column of labels.
    layer
        Needed where the file has several layers and none is called ``sample``.
    design
        The file that was drawn, where ``path`` does not hold its design any more.
    drop_unlabelled
        Leave out units without a label, as if they were missing at random within their stratum.
    encoding
        Encoding of the text of a shapefile or CSV that does not state it.
    places
        Columns and CRS of the places of a table; see :func:`landweave.patch.tables.places.read_places`.
    relabel
        Makes the labels from the file's columns; else they are those of the column ``label``.

    Raises
    ------
    InputError
        When the design is not known; when units are missing, doubled or were moved; when a label is missing.
    """
    path = Path(path)
    recover(path)
    table = _read_table(path, label, layer, encoding, places or PlaceKeys())
    content = read_design(Path(design) if design is not None else path)
    if content is not None:
        units = _units_of_design(path, table, content, drop=drop_unlabelled)
    elif design is not None:
        raise InputError(f"{design}: the file has no design; give the GeoPackage written by `landweave estimate draw`.")
    else:
        units = units_of_columns(path, table, drop=drop_unlabelled)
    texts: Sequence[Any] = list(table.frame[label])
    if relabel is not None:
        texts = relabel({str(name): list(table.frame[name]) for name in table.frame})
    labels = [code_text(text) for text in texts]
    missing = [place for place, text in zip(table.places, labels, strict=True) if not text]
    if missing and not drop_unlabelled:
        raise InputError(
            f"{path}, {missing[0]}: no label in {label!r} ({len(missing)} of {len(labels)} units have none); "
            "label them all, or leave them out with --drop-unlabelled."
        )
    keep = np.array([bool(text) for text in labels], bool)
    if not keep.any():
        raise InputError(f"{path}: no unit has a label in {label!r}; fill in this column.")
    return LabelledSample(
        path=path,
        places=tuple(place for place, text in zip(table.places, labels, strict=True) if text),
        labels=tuple(text for text in labels if text),
        stratum=units.stratum[keep],
        x=units.x[keep],
        y=units.y[keep],
        crs=units.crs,
        areas=None if units.areas is None else units.areas[keep],
        strata=units.strata,
        classes={int(v): str(name) for v, name in (content or {}).get("classes", {}).items()},
        fingerprint=(content or {}).get("fingerprint"),
        called=units.called,
        design_notes=units.notes,
        left_out=units.drawn - int(keep.sum()),
        plan=(content or {}).get("plan"),
        extra={name: values[keep] for name, values in units.extra.items()},
        columns={str(name): tuple(code_text(v) for v in table.frame[name][keep]) for name in table.frame},
    )


def _read_table(path: Path, label: str, layer: str | None, encoding: str | None, keys: PlaceKeys) -> SampleTable:
    if not path.exists():
        raise InputError(f"{path}: no such sample file.")
    crs: str | None = None
    decimal = "."
    is_table = is_point_table(path)
    if is_table:
        read = read_table_file(path, "sample file", encoding=encoding, of="estimate.")
        frame, decimal = read.frame, read.decimal
        x = y = np.full(len(frame), np.nan)
        # Where a design is at hand, its units are found by their ids.
        if keys.given or place_columns(read) is not None:
            found_at = read_places(read, keys, of="estimate.")
            x, y, crs = found_at.x, found_at.y, found_at.crs
    else:
        import pandas as pd
        import shapely

        layer = LAYER if layer is None and LAYER in layer_names(path) else layer
        found = open_layer(path, what="the sample", layer=layer, encoding=encoding, column=label, crs=keys.crs)
        features = read_features(found, columns=found.columns)
        frame = pd.DataFrame(dict(zip(found.columns, features.values, strict=True)))
        middles = shapely.centroid(features.shapes)
        x, y = shapely.get_x(middles), shapely.get_y(middles)
        crs = found.crs
    if label not in frame:
        raise InputError(f"{path}: no column {label!r} with the labels; it has {', '.join(map(str, frame.columns))}.")
    if not len(frame):
        raise InputError(f"{path}: the sample is empty.")
    ids = tuple(code_text(v) for v in frame["id"]) if "id" in frame else ("",) * len(frame)
    word, first = ("line", 2) if is_table else ("row", 1)
    places = tuple(f"{word} {i + first}" + (f" (id {name})" if name else "") for i, name in enumerate(ids))
    return SampleTable(frame=frame, decimal=decimal, places=places, ids=ids, x=x, y=y, crs=crs)


def read_design(path: Path) -> dict[str, Any] | None:
    """The design that a drawn file holds; None where it holds none."""
    import pyogrio
    from pyogrio.errors import DataSourceError

    if is_point_table(path) or path.suffix.lower() in PARQUET:
        return None
    try:
        if DESIGN not in {str(name) for name, _ in pyogrio.list_layers(path)}:
            return None
        content = json.loads(pyogrio.read_dataframe(path, layer=DESIGN, read_geometry=False)["content"].iloc[0])
    except (DataSourceError, ValueError, KeyError, IndexError) as error:
        blame_machine(path, error)
        raise InputError(
            f"{path}: its design is not readable; draw again, or give the drawn file with --design."
        ) from None
    if not isinstance(content, dict) or content.get("format") not in {FORMAT, GRID_FORMAT}:
        raise InputError(f"{path}: its design is not in the format {FORMAT!r}; draw a new sample.")
    return content


def _units_of_design(path: Path, table: SampleTable, content: Mapping[str, Any], *, drop: bool) -> Units:
    units = content["units"]
    known = {str(name): i for i, name in enumerate(units["id"])}
    if "id" not in table.frame:
        raise InputError(f"{path}: there is no column 'id' to match its rows with the design; keep this column.")
    for place, name in zip(table.places, table.ids, strict=True):
        if name not in known:
            raise InputError(
                f"{path}, {place}: this unit is not in the design; added units have no probability, so remove it."
            )
    if len(set(table.ids)) < len(table.ids):
        twice = next(i for i, name in enumerate(table.ids) if name in table.ids[:i])
        raise InputError(f"{path}, {table.places[twice]}: this unit occurs twice; keep one row.")
    gone = sorted(set(known) - set(table.ids), key=known.__getitem__)
    if gone and not drop:
        raise InputError(
            f"{path}: {len(gone)} of {len(known)} drawn units are missing, such as id {gone[0]}; put them back, or "
            "leave them out with --drop-unlabelled."
        )
    at = np.array([known[name] for name in table.ids])
    row, column = np.array(units["row"])[at] + 0.5, np.array(units["column"])[at] + 0.5
    a, b, c, d, e, f = content["transform"]
    x, y = a * column + b * row + c, d * column + e * row + f
    _check_not_moved(path, table, x, y, crs=content["crs"], pixel=float(np.hypot(a, d)))
    strata = {
        int(s["value"]): Stratum(name=s["name"], units=int(s["pixels"]), area=float(s["area_ha"]))
        for s in content["strata"]
    }
    return Units(
        stratum=np.array(units["stratum"], "int64")[at], areas=np.array(units["area_m2"], "float64")[at],
        x=x, y=y, crs=content["crs"], strata=strata, drawn=len(known), called={},
        extra={
            name: np.array(values, "int64")[at]
            for name, values in units.items() if name not in {"id", "stratum", "row", "column", "area_m2"}
        },
    )  # fmt: skip


def _check_not_moved(path: Path, table: SampleTable, x: np.ndarray, y: np.ndarray, *, crs: str, pixel: float) -> None:
    from landweave.patch.align import to_crs

    if table.crs is None:
        return
    here_x, here_y = to_crs(table.x, table.y, source=table.crs, target=crs)
    moved = np.flatnonzero(~(np.hypot(here_x - x, here_y - y) < pixel))
    if len(moved):
        raise InputError(
            f"{path}, {table.places[moved[0]]}: the point was moved; move it back to the pixel that was drawn."
        )
