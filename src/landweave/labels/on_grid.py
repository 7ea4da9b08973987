"""Official polygons, points, a raster or masks of EOPatches -> class labels on a pixel grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.labels.codes_of_raster import codes_on_grid
from landweave.labels.reference import Reference, points_of_table
from landweave.legend import Legend, code_text
from landweave.patch.align import pixels_of, to_crs
from landweave.patch.eopatch.labels import codes_on
from landweave.patch.summary import Shown, listed
from landweave.patch.vectors.layers import parts_of, read_features
from landweave.patch.vectors.placing import bounds_near, place, read_near, turned_boxes
from landweave.patch.vectors.points import Points

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

    unplaced: tuple[int, ...] = ()
    """Feature numbers of the geometries that have no place in the grid's CRS, though they are near."""

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


def points_inside(reference: Reference, geobox: GeoBox, legend: Legend) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column (int64) and class value (uint8) of each point on a grid; only what is near is read."""
    x, y, codes = _points(reference, geobox)
    rows, columns, inside = pixels_of(geobox, x, y)
    labels, _ = legend.translate(code for code, within in zip(codes, inside, strict=True) if within)
    return rows[inside], columns[inside], labels


def _labels_from_polygons(reference: Reference, geobox: GeoBox, legend: Legend) -> Labels:
    import shapely
    from rasterio.features import rasterize

    found = read_near(reference.vector, geobox, columns=[str(reference.column)])
    shapes = parts_of(found.shapes, 2)[0]
    some = ~shapely.is_missing(shapes)
    fids, shapes, codes = (array[some] for array in (found.fids, shapes, found.values[0]))
    broken = ~shapely.is_valid(shapes)
    shapes[broken] = shapely.make_valid(shapes[broken], method="structure", keep_collapsed=False)
    bounds = bounds_near(geobox, reference.crs)
    # A hundred pixels of straight edge bend by less than a tenth of a pixel, up to pixels of 500 m.
    edge = 100 * max((bounds[2] - bounds[0]) / geobox.shape[1], (bounds[3] - bounds[1]) / geobox.shape[0])
    shapes, lost = place(shapes, source=reference.crs, target=str(geobox.crs), near=bounds, edge=edge)
    labels, unknown = legend.translate(codes)
    drawn = [(shape, number) for number, shape in enumerate(shapes, start=1) if not shapely.is_empty(shape)]
    top = np.zeros(geobox.shape, "int32")
    if drawn:
        rasterize(drawn, out=top, transform=geobox.affine, all_touched=False)
    values = np.append(0, labels).astype("uint8")[top]
    pieces = np.where(values > 0, np.append(0, fids + 1).astype("int64")[top], 0)
    numbers = (tuple(np.unique(fids[which]).tolist()) for which in (broken, lost))
    repaired, unplaced = numbers
    return Labels(
        values=values, features=len(np.unique(fids)), unknown=unknown, repaired=repaired, pieces=pieces,
        unplaced=unplaced,
    )  # fmt: skip


def _points(
    reference: Reference, geobox: GeoBox, *, everywhere: bool = False
) -> tuple[np.ndarray, np.ndarray, list[Any]]:
    # x, y in the grid's CRS, and a code each.
    import shapely

    if reference.places is not None:
        points = points_of_table(reference)
        near = slice(None) if everywhere else _points_near(points, reference.crs, geobox)
        x, y, codes = points.x[near], points.y[near], points.values[near].tolist()
    else:
        columns = [str(reference.column)]
        found = read_features(reference.vector, columns=columns) if everywhere else read_near(
            reference.vector, geobox, columns=columns
        )  # fmt: skip
        flat, index = shapely.get_coordinates(parts_of(found.shapes, 0)[0], return_index=True)
        x, y, codes = flat[:, 0], flat[:, 1], list(found.values[0][index])
    return *to_crs(x, y, source=reference.crs, target=geobox.crs), codes


def _points_near(points: Points, crs: str, geobox: GeoBox) -> np.ndarray:
    return np.unique(np.concatenate([points.within(box) for box, _ in turned_boxes(geobox, crs)]))


def count_inside(reference: Reference, geoboxes: Sequence[GeoBox]) -> tuple[int, int]:
    """How many of a reference's points lie on one of the grids, and how many there are.

    Each point is brought to a grid only where it is near.
    """
    points = _all_points(reference)
    inside = np.zeros(len(points.x), bool)
    for geobox in geoboxes:
        near = _points_near(points, reference.crs, geobox)
        near = near[~inside[near]]
        x, y = to_crs(points.x[near], points.y[near], source=reference.crs, target=geobox.crs)
        inside[near] = pixels_of(geobox, x, y)[2]
    return int(inside.sum()), len(inside)


def _all_points(reference: Reference) -> Points:
    import shapely

    if reference.places is not None:
        return points_of_table(reference)
    flat = shapely.get_coordinates(parts_of(read_features(reference.vector).shapes, 0)[0])
    return Points(x=flat[:, 0], y=flat[:, 1], values=np.empty(len(flat), object))


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
    from landweave.patch.raster.files import open_raster

    with open_raster(reference.path) as file:
        codes, inside = codes_on_grid(file, reference.path, reference.band, geobox)
    found = _labels_of_codes(codes, legend)
    values = np.zeros(geobox.shape, "uint8")
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
        from landweave.patch.raster.files import open_raster

        with open_raster(reference.path) as file:
            codes: list[Any] = list(codes_on_grid(file, reference.path, reference.band, geobox)[0].compressed())
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

    found = read_near(reference.vector, geobox, columns=[str(reference.column)])
    x, y = geobox.affine * (0.5, 0.5)
    x, y = to_crs(np.array([x]), np.array([y]), source=geobox.crs, target=reference.crs)
    middle = bounds_near(geobox, reference.crs)
    # The same place, counted as the shapes are.
    x[0] += 360 * round(((middle[0] + middle[2]) / 2 - x[0]) / 360) if np.isfinite(x[0] + middle[0]) else 0
    shapes = parts_of(found.shapes, 2)[0]
    sound = shapely.make_valid(shapes, method="structure", keep_collapsed=False)
    return list(found.values[0][shapely.covers(sound, shapely.Point(x[0], y[0]))])
