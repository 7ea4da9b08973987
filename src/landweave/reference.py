"""Official polygons, points or a raster -> class labels on a pixel grid, whole and eroded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.legend import NONE, Legend, code_text
from landweave.patch.align import nearest_pixels, outline_bounds, pixels_of, to_crs

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_COLUMN = "label"
"""The column of codes where none is named."""

_LONGITUDE, _LATITUDE = ("longitude", "lon"), ("latitude", "lat")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Where the reference lies; its features are read when a grid asks for them. Made by :func:`read_reference`."""

    path: Path
    """The file."""

    kind: str
    """``polygons``, ``points`` or ``raster``."""

    crs: str
    """Its coordinate reference system, as an authority's code or WKT."""

    bounds: tuple[float, float, float, float]
    """Left, bottom, right, top of all of it, in ``crs``."""

    column: str | None = None
    """The column of codes; None for a raster, whose values are the codes."""

    layer: str | None = None
    """The layer, where a vector file has layers."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The reference on one grid."""

    values: np.ndarray
    """Class values, uint8 (y, x); 0 where there is none."""

    features: int
    """Features (for a raster: pixels with a code) that touch the grid's bounds."""

    unknown: dict[str, int]
    """Codes that the legend does not know, and how many of those features have them."""

    repaired: tuple[int, ...] = ()
    """Feature numbers of the invalid geometries that were repaired; the same number where cells share a feature."""


def read_reference(path: str | Path, *, column: str | None = None, layer: str | None = None) -> Reference:
    """Look at a reference without reading its features.

    Parameters
    ----------
    path
        Polygons or points in any vector file; a CSV with longitude and latitude (EPSG:4326); or a raster, whose
        first band's values are the codes.
    column
        The column of codes; ``label`` where it is None. Not used for a raster.
    layer
        Needed where the file has several layers.

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
        x, y, _ = _csv_points(path, column)
        bounds = float(x.min()), float(y.min()), float(x.max()), float(y.max())
        return Reference(path=path, kind="points", crs="EPSG:4326", bounds=bounds, column=column)
    layers = _vector_layers(path)
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
    if not any(overlaps(reference, geobox) for geobox in geoboxes):
        bounds = ", ".join(f"{bound:g}" for bound in reference.bounds)
        raise InputError(
            f"{reference.path}: the reference ({bounds} in its own CRS) does not overlap the imagery; "
            "check its place and its CRS."
        )


def reference_codes(reference: Reference) -> list[str]:
    """All distinct codes as text, sorted, missing ones and a raster's nodata left out."""
    if reference.kind == "raster":
        import rasterio

        found: set[str] = set()
        with rasterio.open(reference.path) as file:
            for _, window in file.block_windows(1):
                try:
                    values = file.read(1, window=window, masked=True).compressed()
                except rasterio.errors.RasterioError:
                    raise InputError(f"{reference.path}: the file is damaged or cut short; replace it.") from None
                found |= {code_text(value) for value in np.unique(values)}
        return sorted(found - {""})
    if reference.path.suffix.lower() in {".csv", ".txt"}:
        codes: Iterable[Any] = _csv_points(reference.path, str(reference.column))[2]
    else:
        codes = _read_features(reference, geometry=False)[2]
    return sorted({code_text(code) for code in codes} - {""})


def rasterise(reference: Reference, geobox: GeoBox, legend: Legend) -> Labels:
    """Class labels on a grid.

    Parameters
    ----------
    reference
        Only what touches the grid's bounds is read.
    geobox
        Any grid. Geometries come to its CRS with their edges bent as the projection bends them.
    legend
        Turns codes into classes; an ignored or unknown code gives 0, also over an earlier feature.

    Returns
    -------
    Labels
        A polygon labels the pixels whose centre it covers, a point the pixel that holds it, a raster by its nearest
        pixel. Where features overlap, the later one in the file is on top. Invalid polygons are repaired
        (``shapely.make_valid``, by structure).
    """
    if reference.kind == "raster":
        return _labels_from_raster(reference, geobox, legend)
    if reference.kind == "points":
        return _labels_from_points(reference, geobox, legend)
    return _labels_from_polygons(reference, geobox, legend)


def points_table(reference: Reference, legend: Legend, geobox: GeoBox) -> "pd.DataFrame":
    """Every point of a reference, and where it lies on a grid.

    Returns
    -------
    pandas.DataFrame
        A row a point, in the file's order: ``x``, ``y`` (in the grid's CRS), ``label`` (uint8, 0 where the code is
        ignored or unknown), ``row``, ``col`` (int64, -1 outside) and ``inside`` (bool).

    Raises
    ------
    InputError
        When the reference holds no points.
    """
    import pandas as pd

    if reference.kind != "points":
        raise InputError(f"{reference.path}: a reference of {reference.kind} where points are needed.")
    x, y, codes = _points(reference, geobox, everywhere=True)
    labels, _ = legend.translate(codes)
    rows, columns, inside = pixels_of(geobox, x, y)
    rows[~inside] = columns[~inside] = -1
    return pd.DataFrame({"x": x, "y": y, "label": labels, "row": rows, "col": columns, "inside": inside})


def erode(labels: np.ndarray, pixels: int) -> np.ndarray:
    """Labels whose disk of radius ``pixels`` holds no other label (0 is one too), else 0; uint8, (y, x).

    Beyond the array's border nothing is held against a pixel, so ask with a halo of ``pixels``.

    >>> erode(np.array([[1, 1, 1, 2, 2, 2]], "uint8"), 1).tolist()
    [[1, 1, 0, 0, 2, 2]]
    """
    if pixels < 0:
        raise InputError(f"erosion is {pixels} pixels; it cannot be negative.")
    from scipy.ndimage import maximum_filter, minimum_filter

    reach = np.arange(-pixels, pixels + 1)
    disk = reach[:, None] ** 2 + reach[None, :] ** 2 <= pixels**2
    # The disk is convex, so the border repeated outward brings no label that the disk does not hold anyway.
    lowest = minimum_filter(labels, footprint=disk, mode="nearest")
    highest = maximum_filter(labels, footprint=disk, mode="nearest")
    return np.where(lowest == highest, labels, NONE).astype("uint8")


def _vector_layers(path: Path) -> list[str]:
    import pyogrio
    from pyogrio.errors import DataSourceError

    try:
        # Tables without geometry, such as a GeoPackage's styles, are no reference.
        return [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
    except (DataSourceError, ValueError):
        return []


def _look_at_vector(path: Path, layers: Sequence[str], *, column: str, layer: str | None) -> Reference:
    import pyogrio
    import shapely

    if layer is not None and layer not in layers:
        raise InputError(f"{path}: no layer {layer!r}; it has {', '.join(layers)}.")
    if layer is None and len(layers) > 1:
        raise InputError(f"{path}: several layers ({', '.join(layers)}); say which in layer.")
    layer = layer or layers[0]
    info = pyogrio.read_info(path, layer=layer, force_feature_count=True, force_total_bounds=True)
    if column not in info["fields"]:
        raise InputError(f"{path}: no column {column!r}; it has {', '.join(info['fields']) or 'none'}.")
    if not info["features"] or info["total_bounds"] is None:
        raise InputError(f"{path}: the reference is empty.")
    if not info["crs"]:
        raise InputError(f"{path}: the reference has no coordinate reference system; assign one to it.")
    sample = pyogrio.raw.read(path, layer=layer, columns=[], max_features=100)[2]
    types = {s.geom_type.removeprefix("Multi") for s in shapely.from_wkb(sample, on_invalid="fix") if s is not None}
    if not types & {"Polygon", "Point"}:
        raise InputError(f"{path}: neither polygons nor points but {', '.join(sorted(types)) or 'no geometry'}.")
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
    except RasterioError:
        raise InputError(f"{path}: neither a vector file nor a raster that can be read.") from None
    if crs is None:
        raise InputError(f"{path}: the reference has no coordinate reference system; assign one to it.")
    return Reference(path=path, kind="raster", crs=crs.to_wkt(), bounds=tuple(bounds))


def _csv_points(path: Path, column: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
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
            raise InputError(f"{path}, row {wrong[0] + 1}: {name} is {text!r}; give degrees within +-{limit}.")
        coordinates.append(degrees)
    return coordinates[0], coordinates[1], [str(code) for code in table[column]]


def _read_features(
    reference: Reference, *, bounds: tuple[float, ...] | None = None, geometry: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    # Feature numbers, geometries, codes, in the file's order, which a spatial index does not keep.
    import pyogrio
    import shapely

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


def _labels_from_polygons(reference: Reference, geobox: GeoBox, legend: Legend) -> Labels:
    import shapely
    from rasterio.features import rasterize

    bounds = outline_bounds(geobox, reference.crs)
    values = np.zeros(geobox.shape, "uint8")
    if not np.isfinite(bounds[0]):
        return Labels(values=values, features=0, unknown={})
    fids, shapes, codes = _read_features(reference, bounds=bounds)
    fids, shapes, codes = (a[np.isin(shapely.get_type_id(shapes), (3, 6))] for a in (fids, shapes, codes))
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    # A hundred pixels of straight edge bend by less than a tenth of a pixel, up to pixels of 500 m.
    edge = 100 * max((bounds[2] - bounds[0]) / geobox.shape[1], (bounds[3] - bounds[1]) / geobox.shape[0])
    shapes = _moved(shapes, reference.crs, geobox, edge)
    labels, unknown = legend.translate(codes)
    drawn = [
        (shape, label) for shape, label in zip(shapes, labels.tolist(), strict=True) if not shapely.is_empty(shape)
    ]
    if drawn:
        rasterize(drawn, out=values, transform=geobox.affine, all_touched=False)
    return Labels(values=values, features=len(fids), unknown=unknown, repaired=tuple(int(fid) for fid in fids[broken]))


def _moved(shapes: np.ndarray, crs: str, geobox: GeoBox, edge: float) -> np.ndarray:
    # To the grid's CRS; empty where a shape has no place there.
    import shapely
    from odc.geo.crs import CRS

    if not len(shapes) or CRS(crs) == geobox.crs:
        return shapes
    dense = shapely.segmentize(shapely.force_2d(shapes), edge)
    flat, index = shapely.get_coordinates(dense, return_index=True)
    x, y = to_crs(flat[:, 0], flat[:, 1], source=crs, target=geobox.crs)
    moved = shapely.set_coordinates(dense, np.column_stack([x, y]))
    moved[np.unique(index[~(np.isfinite(x) & np.isfinite(y))])] = shapely.Polygon()
    return np.asarray(moved)


def _points(
    reference: Reference, geobox: GeoBox, *, everywhere: bool = False
) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    # x, y in the grid's CRS, and a code each.
    import shapely

    if reference.path.suffix.lower() in {".csv", ".txt"}:
        x, y, codes = _csv_points(reference.path, str(reference.column))
    else:
        bounds = None if everywhere else outline_bounds(geobox, reference.crs)
        if bounds is not None and not np.isfinite(bounds[0]):
            return np.empty(0), np.empty(0), []
        _, shapes, found = _read_features(reference, bounds=bounds)
        pointed = np.isin(shapely.get_type_id(shapes), (0, 4))
        flat, index = shapely.get_coordinates(shapes[pointed], return_index=True)
        x, y, codes = flat[:, 0], flat[:, 1], list(found[pointed][index])
    return *to_crs(x, y, source=reference.crs, target=geobox.crs), codes


def _labels_from_points(reference: Reference, geobox: GeoBox, legend: Legend) -> Labels:
    x, y, codes = _points(reference, geobox)
    rows, columns, inside = pixels_of(geobox, x, y)
    labels, unknown = legend.translate(code for code, within in zip(codes, inside, strict=True) if within)
    values = np.zeros(geobox.shape, "uint8")
    # One by one, since numpy promises no order where an index occurs twice.
    for row, column, label in zip(rows[inside], columns[inside], labels, strict=True):
        values[row, column] = label
    return Labels(values=values, features=int(inside.sum()), unknown=unknown)


def _labels_from_raster(reference: Reference, geobox: GeoBox, legend: Legend) -> Labels:
    import rasterio
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    with rasterio.open(reference.path) as file:
        rows, columns, inside = nearest_pixels(GeoBox(file.shape, file.transform, file.crs), geobox)
        values = np.zeros(geobox.shape, "uint8")
        if not inside.any():
            return Labels(values=values, features=0, unknown={})
        top, left = int(rows[inside].min()), int(columns[inside].min())
        height, width = int(rows[inside].max()) - top + 1, int(columns[inside].max()) - left + 1
        try:
            codes = file.read(1, window=Window(left, top, width, height), masked=True)
        except RasterioError:
            raise InputError(f"{reference.path}: the reference is damaged or cut short; replace it.") from None
    picked = codes[rows[inside] - top, columns[inside] - left]
    distinct, index, counts = np.unique(picked.compressed(), return_inverse=True, return_counts=True)
    classes, unknown = legend.translate(distinct)
    labels = np.zeros(picked.shape, "uint8")
    labels[~np.ma.getmaskarray(picked)] = classes[index]
    values[inside] = labels
    unknown = {code: n for code, n in zip(map(code_text, distinct), counts.tolist(), strict=True) if code in unknown}
    return Labels(values=values, features=int(counts.sum()), unknown=unknown)
