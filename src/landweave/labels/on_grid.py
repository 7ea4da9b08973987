"""Official polygons, points, a raster or masks of EOPatches -> class labels on a pixel grid."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError, blame_machine
from landweave.labels.reference import Reference, csv_points, read_features
from landweave.legend import Legend, code_text
from landweave.patch.align import nearest_pixels, outline_bounds, pixels_of, to_crs
from landweave.patch.eopatch.labels import codes_on
from landweave.patch.summary import Shown, listed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, repr=False)
class Labels(Shown):
    """The reference on one grid."""

    values: np.ndarray
    """Class values, uint8 (y, x); 0 where there is none."""

    features: int
    """Features (for a raster or a mask: pixels with a code) that touch the grid's bounds."""

    unknown: dict[str, int]
    """Codes that the legend does not know, and how many of those features have them."""

    repaired: tuple[int, ...] = ()
    """Feature numbers of the invalid geometries that were repaired; the same number where cells share a feature."""

    pieces: np.ndarray | None = None
    """Feature number + 1 of the polygon that labels each pixel, int64 (y, x), 0 where there is no label; None where
    the reference is no polygons."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "pixels": " x ".join(map(str, self.values.shape)),
            "labelled": int((self.values != 0).sum()),
            "classes": listed(np.unique(self.values[self.values != 0]).tolist(), 10),
            "features": self.features,
            "unknown codes": listed(list(self.unknown)),
            "repaired": len(self.repaired),
        }


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
        A polygon labels the pixels whose centre it covers, a point the pixel that holds it, a raster or a mask
        by its nearest pixel. Where features overlap, the later one in the file is on top. Invalid polygons are repaired
        (``shapely.make_valid``, by structure).
    """
    if reference.kind == "eopatches":
        return _labels_of_codes(np.ma.masked_equal(codes_on(reference.parts, geobox), 0), legend)
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
        raise InputError(f"{reference.path}: the reference has {reference.kind}; points are needed.")
    x, y, codes = _points(reference, geobox, everywhere=True)
    labels, _ = legend.translate(codes)
    rows, columns, inside = pixels_of(geobox, x, y)
    rows[~inside] = columns[~inside] = -1
    return pd.DataFrame({"x": x, "y": y, "label": labels, "row": rows, "col": columns, "inside": inside})


def _labels_from_polygons(reference: Reference, geobox: GeoBox, legend: Legend) -> Labels:
    import shapely
    from rasterio.features import rasterize

    bounds = outline_bounds(geobox, reference.crs)
    if not np.isfinite(bounds[0]):
        nothing = np.zeros(geobox.shape, "int64")
        return Labels(values=nothing.astype("uint8"), features=0, unknown={}, pieces=nothing)
    fids, shapes, codes = read_features(reference, bounds=bounds)
    fids, shapes, codes = (a[np.isin(shapely.get_type_id(shapes), (3, 6))] for a in (fids, shapes, codes))
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    # A hundred pixels of straight edge bend by less than a tenth of a pixel, up to pixels of 500 m.
    edge = 100 * max((bounds[2] - bounds[0]) / geobox.shape[1], (bounds[3] - bounds[1]) / geobox.shape[0])
    shapes = _moved(shapes, reference.crs, geobox, edge)
    labels, unknown = legend.translate(codes)
    drawn = [(shape, number) for number, shape in enumerate(shapes, start=1) if not shapely.is_empty(shape)]
    top = np.zeros(geobox.shape, "int32")
    if drawn:
        rasterize(drawn, out=top, transform=geobox.affine, all_touched=False)
    values = np.append(0, labels).astype("uint8")[top]
    pieces = np.where(values > 0, np.append(0, fids + 1).astype("int64")[top], 0)
    repaired = tuple(int(fid) for fid in fids[broken])
    return Labels(values=values, features=len(fids), unknown=unknown, repaired=repaired, pieces=pieces)


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
        x, y, codes = csv_points(reference.path, str(reference.column))
    else:
        bounds = None if everywhere else outline_bounds(geobox, reference.crs)
        if bounds is not None and not np.isfinite(bounds[0]):
            return np.empty(0), np.empty(0), []
        _, shapes, found = read_features(reference, bounds=bounds)
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
        except RasterioError as error:
            blame_machine(reference.path, error)
            raise InputError(f"{reference.path}: the reference is damaged or truncated; replace it.") from None
    found = _labels_of_codes(codes[rows[inside] - top, columns[inside] - left], legend)
    values[inside] = found.values
    return Labels(values=values, features=found.features, unknown=found.unknown)


def _labels_of_codes(codes: "np.ma.MaskedArray[Any, Any]", legend: Legend) -> Labels:
    distinct, index, counts = np.unique(codes.compressed(), return_inverse=True, return_counts=True)
    classes, unknown = legend.translate(distinct)
    labels = np.zeros(codes.shape, "uint8")
    labels[~np.ma.getmaskarray(codes)] = classes[index]
    unknown = {code: n for code, n in zip(map(code_text, distinct), counts.tolist(), strict=True) if code in unknown}
    return Labels(values=labels, features=int(counts.sum()), unknown=unknown)


def code_at(reference: Reference, geobox: GeoBox) -> str | None:
    """The register code that decides the label of the one pixel of a grid, as text; None where there is none.

    Parameters
    ----------
    reference
        Only what touches the pixel is read.
    geobox
        Shape (1, 1).
    """
    if reference.kind == "raster":
        import rasterio
        from rasterio.windows import Window

        with rasterio.open(reference.path) as file:
            rows, columns, inside = nearest_pixels(GeoBox(file.shape, file.transform, file.crs), geobox)
            if not inside.all():
                return None
            found = file.read(1, window=Window(int(columns[0, 0]), int(rows[0, 0]), 1, 1), masked=True).compressed()
        codes: list[Any] = list(found)
    elif reference.kind == "eopatches":
        codes = [code for code in codes_on(reference.parts, geobox).ravel().tolist() if code]
    elif reference.kind == "points":
        x, y, every = _points(reference, geobox)
        codes = [code for code, here in zip(every, pixels_of(geobox, x, y)[2], strict=True) if here]
    else:
        codes = _codes_of_polygons(reference, geobox)
    return code_text(codes[-1]) or None if codes else None


def _codes_of_polygons(reference: Reference, geobox: GeoBox) -> list[Any]:
    import shapely

    bounds = outline_bounds(geobox, reference.crs)
    if not np.isfinite(bounds[0]):
        return []
    _, shapes, codes = read_features(reference, bounds=bounds)
    x, y = geobox.affine * (0.5, 0.5)
    x, y = to_crs(np.array([x]), np.array([y]), source=geobox.crs, target=reference.crs)
    sound = shapely.make_valid(shapes, method="structure", keep_collapsed=False)
    return list(codes[shapely.covers(sound, shapely.Point(x[0], y[0]))])
