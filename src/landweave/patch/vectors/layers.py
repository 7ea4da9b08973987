"""One layer of a vector file: which one is meant, where it is, and its features, whatever the format."""

import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from landweave.errors import InputError
from landweave.patch.vectors.drivers import (
    PARQUET,
    VECTORS,
    TextOf,
    crs_of,
    is_changed,
    parquet_frame,
    reading,
    refuse_changed,
    refuse_disguise,
    refuse_incomplete,
    stamp,
    text_of,
)

NO_GEOMETRY = "no geometry"


@dataclass(frozen=True, kw_only=True)
class VectorLayer:
    """Made by :func:`open_layer`."""

    path: Path
    """The file."""

    name: str | None
    """Its layer; None for GeoParquet, which has one."""

    crs: str
    """Its coordinate reference system, as an authority's code or WKT."""

    bounds: tuple[float, float, float, float]
    """Left, bottom, right, top of all features, in ``crs``."""

    columns: tuple[str, ...]
    """Names of its columns, without the geometry."""

    features: int
    """How many it has, with and without geometry."""

    text: TextOf = field(default_factory=TextOf)
    """How its text is read."""

    kind: str = "Unknown"
    """The type that the layer states for all its features; ``Unknown`` where it states none."""


@dataclass(frozen=True, kw_only=True)
class LayerFeatures:
    """Some features of a layer, in the file's order."""

    fids: np.ndarray
    """Their numbers, int64 (n,)."""

    shapes: np.ndarray
    """Geometries without heights (shapely), (n,); None where a feature has none."""

    values: tuple[np.ndarray, ...] = ()
    """One array (n,) for each column asked for."""


def layer_names(path: Path) -> list[str]:
    """Layers with geometry, in the file's order; none where the file is no vector file, or only tables."""
    if path.suffix.lower() in PARQUET:
        return [path.stem]
    import pyogrio
    from pyogrio.errors import DataSourceError

    if path.suffix.lower() in VECTORS:
        refuse_changed(path)
    elif is_changed(path):
        return []
    refuse_disguise(path)
    refuse_incomplete(path, columns=False)
    try:
        # Tables without geometry, such as a GeoPackage's styles, have no place.
        return [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    except (DataSourceError, ValueError):
        return []


def is_vector(path: Path) -> bool:
    """Whether a file is a vector file or a table that GDAL reads, with or without geometry."""
    import pyogrio
    from pyogrio.errors import DataSourceError

    try:
        return path.suffix.lower() in PARQUET or (not is_changed(path) and len(pyogrio.list_layers(path)) > 0)
    except (DataSourceError, ValueError):
        return False


def open_layer(
    path: Path,
    *,
    what: str,
    layer: str | None = None,
    encoding: str | None = None,
    column: str | None = None,
    crs: str | None = None,
) -> VectorLayer:
    """Look at a vector file without reading its geometries.

    Parameters
    ----------
    path
        Any vector file of GDAL, or GeoParquet.
    what
        What the file is for, in complaints: ``the reference``.
    layer
        Needed where the file has several layers with geometry.
    encoding
        Encoding of the file's text, where the file does not state it.
    column
        A column whose text is looked at, to find out the encoding.
    crs
        The CRS of a file that states none.

    Raises
    ------
    InputError
        For a file that is missing, unreadable or empty, without geometry, of several layers, or without a CRS that
        has a place on Earth; and for a file that states another one than ``crs``.
    """
    if not path.exists():
        raise InputError(f"{path}: no such file for {what}.")
    if path.suffix.lower() in PARQUET:
        return _open_parquet(path, what=what, layer=layer, given=crs)
    import pyogrio

    refuse_changed(path)
    refuse_disguise(path)
    refuse_incomplete(path, columns=column is not None)
    with reading(path, what):
        listed = [(str(name), kind) for name, kind in pyogrio.list_layers(path)]
        layers = [name for name, kind in listed if kind is not None]
        if not layers:
            raise InputError(f"{path}: {what} has no geometry, only a table; give a file with polygons or points.")
        if layer is not None and layer not in layers:
            raise InputError(f"{path}: no layer {layer!r}; it has {', '.join(layers)}.")
        if layer is None and len(layers) > 1:
            raise InputError(f"{path}: several layers ({', '.join(layers)}); choose one with layer.")
        name = layer or layers[0]
        info = pyogrio.read_info(path, layer=name, force_feature_count=True, force_total_bounds=True)
        text = text_of(path, name, info, encoding=encoding, column=column)
        columns = tuple(text.decoded(str(field)) for field in info["fields"])
    return _checked(
        VectorLayer(
            path=path, name=name, crs=str(info["crs"] or ""), bounds=_box(info["total_bounds"]),
            columns=columns, features=int(info["features"]), text=text,
            kind=str(info["geometry_type"] or "Unknown").removesuffix(" Z"),
        ),
        what,
        crs,
    )  # fmt: skip


def named_column(layer: VectorLayer, column: str | None) -> str | None:
    """A column by its name, its letters composed or not; None where there is none."""
    if column is None or column in layer.columns:
        return column
    same = {unicodedata.normalize("NFC", name): name for name in layer.columns}
    return same.get(unicodedata.normalize("NFC", column))


def read_features(
    layer: VectorLayer,
    *,
    columns: Sequence[str] = (),
    bounds: tuple[float, float, float, float] | None = None,
    fids: np.ndarray | None = None,
    geometry: bool = True,
) -> LayerFeatures:
    """Features of a layer, in the file's order, which a spatial index does not keep.

    Parameters
    ----------
    layer
        From :func:`open_layer`.
    columns
        Whose values to read.
    bounds
        Left, bottom, right, top in the layer's CRS; only features whose boxes touch it are read.
    fids
        Only features of these numbers.
    geometry
        Without, ``shapes`` are all None.

    Raises
    ------
    InputError
        Where the file cannot be read, or its text has another encoding.
    """
    if layer.name is None:
        return _of_parquet(layer, columns, bounds, fids)
    import pyogrio
    import shapely

    with reading(layer.path, "the layer " + repr(layer.name)):
        text = layer.text
        _, numbers, wkb, fields = pyogrio.raw.read(
            layer.path, layer=layer.name, encoding=None if text.taken_for else text.encoding, bbox=bounds, fids=fids,
            columns=[text.encoded(name) for name in columns], read_geometry=geometry, return_fids=True,
        )  # fmt: skip
        order = np.argsort(numbers, kind="stable")
        with warnings.catch_warnings():
            # Surfaces that are no polygons come back as None, and are counted as such by `kinds_of`.
            warnings.filterwarnings("ignore", message="Invalid WKB")
            shapes = (
                shapely.force_2d(shapely.from_wkb(wkb[order], on_invalid="fix"))
                if geometry
                else np.full(len(order), None, object)
            )
        values = tuple(_in_order(fields, layer, columns, order))
    return LayerFeatures(fids=numbers[order], shapes=shapes, values=values)


def _in_order(fields: Any, layer: VectorLayer, columns: Sequence[str], order: np.ndarray) -> Iterator[np.ndarray]:
    # The driver answers in its own order of columns, whatever was asked for.
    own = [name for name in layer.columns if name in set(columns)]
    for name in columns:
        values = fields[own.index(name)][order]
        if layer.text.taken_for and values.dtype == object:
            values = np.array([layer.text.decoded(value) for value in values.tolist()], object)
        yield values


def kinds_of(layer: VectorLayer) -> Counter[str]:
    """How many features have which type of geometry, such as ``Polygon``, ``GeometryCollection``, ``no geometry``."""
    return Counter(dict(_kinds(layer, *stamp(layer.path))))


@lru_cache(maxsize=8)
def _kinds(layer: VectorLayer, _when: int, _size: int) -> tuple[tuple[str, int], ...]:
    if layer.name is None:
        texts = [s.geom_type if s is not None else NO_GEOMETRY for s in read_features(layer).shapes]
        return tuple(Counter(texts).items())
    import pyogrio

    # The quotes are doubled: the name is the file's own, and the query only reads.
    query = 'SELECT OGR_GEOMETRY AS kind FROM "' + layer.name.replace('"', '""') + '"'  # noqa: S608
    with reading(layer.path, "the layer " + repr(layer.name)):
        kinds = pyogrio.raw.read(
            layer.path, sql=query, sql_dialect="OGRSQL", read_geometry=False
        )[3][0]  # fmt: skip
    counted: Counter[str] = Counter()
    for text, count in Counter(map(str, kinds)).items():
        counted[_KINDS.get(text.split(" ")[0], text.capitalize())] += count
    return tuple(counted.items())


_KINDS = {
    "": NO_GEOMETRY, "None": NO_GEOMETRY, "POINT": "Point", "MULTIPOINT": "MultiPoint", "LINESTRING": "LineString",
    "MULTILINESTRING": "MultiLineString", "POLYGON": "Polygon", "MULTIPOLYGON": "MultiPolygon",
    "GEOMETRYCOLLECTION": "GeometryCollection", "CURVEPOLYGON": "Polygon", "MULTISURFACE": "MultiPolygon",
    "COMPOUNDCURVE": "LineString", "CIRCULARSTRING": "LineString", "MULTICURVE": "MultiLineString",
}  # fmt: skip
"""GDAL's words for types of geometry; curves are read as straight pieces."""


def parts_of(shapes: np.ndarray, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """The points (0) or polygons (2) of geometries, those within collections too.

    Returns
    -------
    parts
        (n,): the geometry itself where it is nothing else, else the parts of that dimension as one, else None.
    dropped
        bool (n,): a collection also had parts of another dimension.
    """
    import shapely

    single, multi = (0, 4) if dimension == 0 else (3, 6)
    parts = shapes.copy()
    parts[~np.isin(shapely.get_type_id(shapes), (single, multi))] = None
    dropped = np.zeros(len(shapes), bool)
    for number in np.flatnonzero(shapely.get_type_id(shapes) == _COLLECTION):
        flat = _flat(shapes[number])
        fitting = [part for part in flat if shapely.get_dimensions(part) == dimension]
        dropped[number] = len(fitting) < len(flat)
        if fitting:
            parts[number] = shapely.multipoints(fitting) if dimension == 0 else shapely.multipolygons(fitting)
    return parts, dropped


_COLLECTION = 7


def _flat(shape: Any) -> list[Any]:
    # Points, lines and polygons within a geometry of any depth.
    inner = getattr(shape, "geoms", None)
    if inner is None:
        return [] if shape.is_empty else [shape]
    return [part for one in inner for part in _flat(one)]


def _box(bounds: Any) -> tuple[float, float, float, float]:
    if bounds is None:
        return np.nan, np.nan, np.nan, np.nan
    left, bottom, right, top = map(float, bounds)
    return left, bottom, right, top


def _checked(layer: VectorLayer, what: str, given: str | None = None) -> VectorLayer:
    from pyproj import CRS, Transformer
    from pyproj.exceptions import ProjError

    path = layer.path
    if not layer.features:
        raise InputError(f"{path}: {what} is empty.")
    if not np.isfinite(layer.bounds).all():
        raise InputError(f"{path}: {what} has no geometry in any of its {layer.features} features.")
    layer = replace(layer, crs=crs_of(path, layer.crs, given, what))
    try:
        crs = CRS(layer.crs)
        Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
        placed = not crs.is_engineering
    except ProjError:
        placed = False
    if not placed:
        name = layer.crs.split('"')[1] if '"' in layer.crs else layer.crs
        raise InputError(
            f"{path}: the coordinate reference system of {what}, {name!r}, is a local one without a place on Earth; "
            "assign the right one to it."
        )
    left, bottom, right, top = layer.bounds
    if crs.is_geographic and (max(abs(left), abs(right)) > 360.5 or max(abs(bottom), abs(top)) > 90.5):
        raise InputError(
            f"{path}: {what} is in {crs.to_string() if len(crs.to_string()) < 20 else crs.name}, but its coordinates "
            f"({left:g}, {bottom:g} to {right:g}, {top:g}) are not degrees; save it again with its own CRS."
        )
    return layer


def _open_parquet(path: Path, *, what: str, layer: str | None, given: str | None) -> VectorLayer:
    import shapely

    if layer is not None:
        raise InputError(f"{path}: GeoParquet has no layers; remove layer = {layer!r}.")
    frame, crs = parquet_frame(path, *stamp(path), what=what)
    shapes = frame.geometry.to_numpy()
    return _checked(
        VectorLayer(
            path=path, name=None, crs=crs, bounds=_box(shapely.total_bounds(shapes)), features=len(frame),
            columns=tuple(name for name in frame.columns if name != frame.geometry.name),
        ),
        what,
        given,
    )  # fmt: skip


def _of_parquet(
    layer: VectorLayer,
    columns: Sequence[str],
    bounds: tuple[float, float, float, float] | None,
    fids: np.ndarray | None,
) -> LayerFeatures:
    import shapely

    frame, _ = parquet_frame(layer.path, *stamp(layer.path), what="the layer")
    rows = np.arange(len(frame)) if fids is None else np.sort(np.asarray(fids))
    if bounds is not None:
        near = frame.sindex.query(shapely.box(*bounds))
        rows = np.intersect1d(rows, near)
    some = frame.iloc[rows]
    return LayerFeatures(
        fids=rows, shapes=some.geometry.to_numpy(), values=tuple(some[name].to_numpy(object) for name in columns)
    )
