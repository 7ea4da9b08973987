"""Where official polygons, points, a raster or masks of EOPatches lie, and their features."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.legend import code_text
from landweave.patch.align import outline_bounds
from landweave.patch.eopatch.labels import LabelPart, codes_in, find_labels
from landweave.patch.summary import Shown, listed
from landweave.patch.vectors import damage_is_input_error

DEFAULT_COLUMN = "label"
"""The column of codes where none is named."""

_LONGITUDE, _LATITUDE = ("longitude", "lon"), ("latitude", "lat")


@dataclass(frozen=True, kw_only=True, repr=False)
class Reference(Shown):
    """Where the reference lies; its features are read when a grid asks for them. Made by :func:`read_reference`."""

    path: Path
    """The file."""

    kind: str
    """``polygons``, ``points``, ``raster`` or ``eopatches``."""

    crs: str
    """Its coordinate reference system, as an authority's code or WKT."""

    bounds: tuple[float, float, float, float]
    """Left, bottom, right, top of all of it, in ``crs``."""

    column: str | None = None
    """The column of codes; None for a raster, whose values are the codes."""

    layer: str | None = None
    """The layer, where a vector file has layers; of EOPatches the feature."""

    parts: tuple[LabelPart, ...] = ()
    """Of EOPatches: the labels of each."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "path": self.path,
            "kind": self.kind,
            "column": self.column or "",
            "layer": self.layer or "",
            "crs": self.crs,
            "bounds": listed([f"{bound:g}" for bound in self.bounds]),
        }


def read_reference(path: str | Path, *, column: str | None = None, layer: str | None = None) -> Reference:
    """Look at a reference without reading its features.

    Parameters
    ----------
    path
        Polygons or points in any vector file; a CSV with longitude and latitude (EPSG:4326); a raster, whose
        first band's values are the codes; or a folder of EOPatches with a mask of codes, where 0 is none.
    column
        The column of codes; ``label`` where it is None. Not used for a raster or EOPatches.
    layer
        Needed where the file has several layers; of EOPatches ``mask_timeless/NAME``.

    Raises
    ------
    InputError
        For a file that is missing or unreadable, empty, without CRS, with neither polygons nor points, or without
        that column or layer (what there is, is listed).
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: no such reference file.")
    if path.suffix.lower() in {".csv", ".txt"}:
        column = column or DEFAULT_COLUMN
        x, y, _ = csv_points(path, column)
        bounds = float(x.min()), float(y.min()), float(x.max()), float(y.max())
        return Reference(path=path, kind="points", crs="EPSG:4326", bounds=bounds, column=column)
    layers = _vector_layers(path)
    if path.is_dir() and not layers:
        parts, bounds = find_labels(path, layer)
        return Reference(path=path, kind="eopatches", crs="EPSG:4326", bounds=bounds, layer=parts[0].layer, parts=parts)
    if layers:
        return _look_at_vector(path, layers, column=column or DEFAULT_COLUMN, layer=layer)
    return _look_at_raster(path)


def overlaps(reference: Reference, geobox: GeoBox) -> bool:
    """Whether the bounds of the reference and of a grid meet."""
    # Where the grid has no place in the reference's CRS the bounds are NaN, and NaN meets nothing.
    left, bottom, right, top = outline_bounds(geobox, reference.crs)
    west, south, east, north = reference.bounds
    return left <= east and right >= west and bottom <= north and top >= south


def check_overlap(reference: Reference, geoboxes: Iterable[GeoBox]) -> None:
    """InputError when a reference meets none of the grids."""
    try:
        found = any(overlaps(reference, geobox) for geobox in geoboxes)
    except InputError as error:
        raise InputError(f"{reference.path}: {error}") from None
    if not found:
        bounds = ", ".join(f"{bound:g}" for bound in reference.bounds)
        raise InputError(
            f"{reference.path}: the reference ({bounds} in its own CRS) does not overlap the imagery; "
            "check its location and its CRS."
        )


def reference_codes(reference: Reference) -> list[str]:
    """All distinct codes as text, sorted, missing ones and a raster's nodata left out."""
    if reference.kind == "eopatches":
        return sorted(map(code_text, codes_in(reference.parts)))
    if reference.kind == "raster":
        import rasterio

        found: set[str] = set()
        with rasterio.open(reference.path) as file:
            for _, window in file.block_windows(1):
                try:
                    values = file.read(1, window=window, masked=True).compressed()
                except rasterio.errors.RasterioError:
                    raise InputError(f"{reference.path}: the file is damaged or truncated; replace it.") from None
                found |= {code_text(value) for value in np.unique(values)}
        return sorted(found - {""})
    if reference.path.suffix.lower() in {".csv", ".txt"}:
        codes: Iterable[Any] = csv_points(reference.path, str(reference.column))[2]
    else:
        codes = read_features(reference, geometry=False)[2]
    return sorted({code_text(code) for code in codes} - {""})


def _vector_layers(path: Path) -> list[str]:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    try:
        # Tables without geometry, such as a GeoPackage's styles, are no reference.
        return [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    except (DataSourceError, DataLayerError, ValueError):
        return []


def _look_at_vector(path: Path, layers: Sequence[str], *, column: str, layer: str | None) -> Reference:
    import pyogrio
    import shapely

    if layer is not None and layer not in layers:
        raise InputError(f"{path}: no layer {layer!r}; it has {', '.join(layers)}.")
    if layer is None and len(layers) > 1:
        raise InputError(f"{path}: several layers ({', '.join(layers)}); choose one with layer.")
    layer = layer or layers[0]
    with damage_is_input_error(path):
        info = pyogrio.read_info(path, layer=layer, force_feature_count=True, force_total_bounds=True)
    if column not in info["fields"]:
        raise InputError(f"{path}: no column {column!r}; it has {', '.join(info['fields']) or 'none'}.")
    if not info["features"] or info["total_bounds"] is None:
        raise InputError(f"{path}: the reference is empty.")
    if not info["crs"]:
        raise InputError(f"{path}: the reference has no coordinate reference system; assign one to it.")
    with damage_is_input_error(path):
        sample = pyogrio.raw.read(path, layer=layer, columns=[], max_features=100)[2]
        types = {s.geom_type.removeprefix("Multi") for s in shapely.from_wkb(sample, on_invalid="fix") if s is not None}
    if not types & {"Polygon", "Point"}:
        raise InputError(
            f"{path}: polygons or points are needed, but it has {', '.join(sorted(types)) or 'no geometry'}."
        )
    return Reference(
        path=path,
        kind="polygons" if "Polygon" in types else "points",
        crs=str(info["crs"]),
        bounds=tuple(float(bound) for bound in info["total_bounds"]),  # type: ignore[arg-type]
        column=column,
        layer=layer,
    )


def _look_at_raster(path: Path) -> Reference:
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(path) as file:
            crs, bounds = file.crs, file.bounds
    except (RasterioError, UnicodeDecodeError):
        raise InputError(f"{path}: neither a vector file nor a raster that can be read.") from None
    if crs is None:
        raise InputError(f"{path}: the reference has no coordinate reference system; assign one to it.")
    return Reference(path=path, kind="raster", crs=crs.to_wkt(), bounds=tuple(bounds))


def csv_points(path: Path, column: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Longitude, latitude (degrees, float64) and code of every point of a CSV file."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (ValueError, OSError):
        raise InputError(f"{path}: not readable as CSV.") from None
    names = {str(name).strip().lower(): name for name in reversed(list(table.columns))}
    longitude = next((names[name] for name in _LONGITUDE if name in names), None)
    latitude = next((names[name] for name in _LATITUDE if name in names), None)
    for needed, known in (("longitude", longitude), ("latitude", latitude), (column, column in table or None)):
        if known is None:
            raise InputError(f"{path}: no column {needed!r}; it has {', '.join(map(str, table.columns))}.")
    if table.empty:
        raise InputError(f"{path}: the reference is empty.")
    coordinates = []
    for name, limit in ((longitude, 180), (latitude, 90)):
        degrees = pd.to_numeric(table[name], errors="coerce").to_numpy("float64")
        wrong = np.flatnonzero(~(np.abs(degrees) <= limit))
        if wrong.size:
            text = table[name].iloc[wrong[0]]
            raise InputError(f"{path}, row {wrong[0] + 1}: {name} is {text!r}; give degrees from -{limit} to {limit}.")
        coordinates.append(degrees)
    return coordinates[0], coordinates[1], [str(code) for code in table[column]]


def read_features(
    reference: Reference, *, bounds: tuple[float, ...] | None = None, geometry: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feature numbers, geometries and codes, in the file's order, which a spatial index does not keep."""
    import pyogrio
    import shapely

    with damage_is_input_error(reference.path):
        _, fids, wkb, fields = pyogrio.raw.read(
            reference.path,
            layer=reference.layer,
            columns=[reference.column],
            bbox=bounds,
            read_geometry=geometry,
            return_fids=True,
        )
        order = np.argsort(fids, kind="stable")
        shapes = shapely.from_wkb(wkb[order], on_invalid="fix") if geometry else np.empty(0, object)
    return fids[order], shapes, fields[0][order]
