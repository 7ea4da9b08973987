"""The tasks of eo-learn's land cover notebook that draw vectors and erode labels."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from landweave.eolearn import arrays
from landweave.eolearn.features import FeatureType, one_feature, one_renamed_feature
from landweave.eolearn.holding import STAMP, BBox
from landweave.eolearn.patch import EOPatch
from landweave.eolearn.tasks import EOTask
from landweave.errors import InputError

_IMAGES = [kind for kind in FeatureType if kind.is_image()]


class VectorToRasterTask(EOTask):
    """Polygons, of a feature or given, drawn into a raster: later ones on top, a pixel is in when its centre is."""

    def __init__(
        self, vector_input: Any, raster_feature: Any, *, values: float | Sequence[float] | None = None,
        values_column: str | None = None, raster_shape: Any = None, raster_resolution: Any = None,
        raster_dtype: Any = np.uint8, no_data_value: float = 0, write_to_existing: bool = False,
        overlap_value: float | None = None, buffer: float = 0, **rasterio_params: Any,
    ) -> None:  # fmt: skip
        vectors = (FeatureType.VECTOR, FeatureType.VECTOR_TIMELESS)
        given = hasattr(vector_input, "geometry")
        self.vectors = vector_input if given else one_feature(vector_input, kinds=vectors)
        self.raster_feature = one_feature(raster_feature, kinds=_IMAGES)
        self.dated = self.raster_feature[0].is_temporal()
        if self.dated and (STAMP not in vector_input if given else self.vectors[0] != FeatureType.VECTOR):
            raise InputError("Vectors without dates cannot become a feature with dates; choose a timeless one.")
        if values_column is None and not isinstance(values, int | float):
            raise InputError("Give values_column, or one number in values.")
        if (raster_shape is None) == (raster_resolution is None):
            raise InputError("Give raster_shape or raster_resolution, and not both.")
        self.values, self.column = values, values_column
        self.raster_shape, self.resolution = raster_shape, raster_resolution
        self.dtype, self.empty, self.onto = raster_dtype, no_data_value, write_to_existing
        self.overlap_value, self.buffer, self.rasterio_params = overlap_value, buffer, rasterio_params

    def execute(self, eopatch: EOPatch) -> EOPatch:
        if eopatch.bbox is None:
            raise InputError("The patch has no bbox, so vectors cannot be rasterized.")
        table = self._prepared(
            self.vectors if hasattr(self.vectors, "geometry") else eopatch[self.vectors], eopatch.bbox
        )
        height, width = self._size(eopatch)
        moments = eopatch.get_timestamps() if self.dated else [None]
        if self.onto and self.raster_feature in eopatch:
            raster = eopatch[self.raster_feature][..., 0].copy().reshape(-1, height, width)
        else:
            raster = np.full((len(moments), height, width), self.empty, self.dtype)
        transform = eopatch.bbox.geobox(height, width).transform
        for step, moment in enumerate(moments):
            rows = table if moment is None else table[table[STAMP].map(_naive) == _naive(moment)]
            numbers = [self.values] * len(rows) if self.column is None else rows[self.column]
            raster[step] = self._drawn(list(zip(rows.geometry, numbers, strict=True)), raster[step], transform)
        eopatch[self.raster_feature] = (raster if self.dated else raster[0])[..., None]
        return eopatch

    def _prepared(self, table: Any, bbox: BBox) -> Any:
        import shapely

        if self.column is not None and self.values is not None:
            wanted = [self.values] if isinstance(self.values, int | float) else list(self.values)
            table = table[table[self.column].isin(wanted)]
        if table.crs is None:
            raise InputError("The vectors have no coordinate reference system; assign one to them.")
        table = table.to_crs(bbox.crs)
        table = table[table.geometry.intersects(bbox.geometry)].copy()
        shapes = table.geometry.buffer(self.buffer) if self.buffer else table.geometry
        shapes = shapes.where(shapes.is_valid, shapes.buffer(0))
        table = table.set_geometry(shapely.force_2d(shapes.to_numpy()), crs=bbox.crs)
        return table[~table.geometry.is_empty]

    def _size(self, eopatch: EOPatch) -> tuple[int, int]:
        shape = self.raster_shape
        if shape is None:
            assert eopatch.bbox is not None
            return _rows_and_columns(eopatch.bbox, self.resolution)
        if all(isinstance(number, int) for number in shape):
            height, width = shape
            return height, width
        return eopatch.get_spatial_dimension(*one_feature(shape, kinds=_IMAGES))

    def _drawn(self, shapes: list[tuple[Any, Any]], onto: np.ndarray, transform: Any) -> np.ndarray:
        from rasterio.features import rasterize

        # GDAL draws into some types alone.
        drawable = {"bool": "uint8", "int8": "int16", "uint64": "int64"}.get(onto.dtype.name, onto.dtype.name)
        raster = onto.astype(drawable)
        options = {"transform": transform, **self.rasterio_params}
        if shapes and self.overlap_value is None:
            rasterize(shapes, out=raster, **options)
        elif shapes:
            overlap = np.zeros(raster.shape, bool)
            for value in dict.fromkeys(number for _, number in shapes):
                alone = np.full(raster.shape, self.empty, raster.dtype)
                rasterize([(shape, number) for shape, number in shapes if number == value], out=alone, **options)
                drawn = alone != self.empty
                overlap |= drawn & (raster != self.empty) & (raster != alone)
                raster[drawn] = alone[drawn]
            raster[overlap] = self.overlap_value
        return np.asarray(raster.astype(onto.dtype))


class ErosionTask(EOTask):
    """Labels off the edges of their ground, by OpenCV's ellipse in a square of ``disk_radius`` pixels.

    With ``disk_radius=1`` nothing is taken away, as in eo-learn: see :func:`landweave.eolearn.arrays.ellipse`. Each
    date of a dated mask is eroded by itself; eo-learn takes its rows for bands there.
    """

    def __init__(
        self, mask_feature: Any, disk_radius: int = 1, erode_labels: list[int] | None = None, no_data_label: int = 0
    ) -> None:
        if not isinstance(disk_radius, int) or disk_radius < 1:
            raise InputError(f"disk_radius is {disk_radius!r}; give a whole number of 1 or more.")
        self.mask_feature = one_renamed_feature(mask_feature, kinds=_IMAGES)
        self.shape, self.erode_labels, self.no_data_label = arrays.ellipse(disk_radius), erode_labels, no_data_label

    def execute(self, eopatch: EOPatch) -> EOPatch:
        kind, name, new = self.mask_feature
        labels = eopatch[kind, name][..., 0]
        dates = labels if kind.is_temporal() else labels[None]
        eroded = [
            arrays.erode(date, self.shape, only=self.erode_labels or None, empty=self.no_data_label) for date in dates
        ]
        eopatch[kind, new] = np.array(eroded, labels.dtype).reshape(labels.shape)[..., None]
        return eopatch


def _rows_and_columns(bbox: BBox, resolution: Any) -> tuple[int, int]:
    """Rows and columns of about these metres, as sentinelhub counts them: between two corners, in UTM.

    In another CRS, such as that of web maps, a unit is not a metre on the ground.
    """
    try:
        steps = [float(str(one).strip("m")) for one in (resolution if isinstance(resolution, tuple) else [resolution])]
    except ValueError:
        steps = []
    if len(steps) not in {1, 2} or not min(steps) > 0:
        raise InputError(f"raster_resolution is {resolution!r}; give metres, or a pair of them: across, up.")
    left, bottom, right, top = _in_utm(bbox)
    height, width = round(abs(top - bottom) / steps[-1]), round(abs(right - left) / steps[0])
    if min(height, width) < 1:
        raise InputError(f"raster_resolution is {resolution!r}, but the patch is smaller than half of that.")
    return height, width


def _in_utm(bbox: BBox) -> tuple[float, float, float, float]:
    from pyproj import CRS, Transformer

    crs = CRS(bbox.crs)
    if crs.utm_zone is not None:
        return bbox.bbox
    left, bottom, right, top = bbox
    degrees = Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
    longitude, latitude = degrees.transform((left + right) / 2, (bottom + top) / 2)
    zone = Transformer.from_crs(crs, _zone_at(longitude, latitude), always_xy=True)
    return (*zone.transform(left, bottom), *zone.transform(right, top))


def _zone_at(longitude: float, latitude: float) -> str:
    if not -80 <= latitude <= 84:
        raise InputError("raster_resolution uses UTM, which ends at 80 S and 84 N; give raster_shape.")
    zone = int((longitude + 180) // 6) % 60 + 1
    # Norway's coast and Svalbard have wider zones.
    if 56 <= latitude < 64 and 3 <= longitude < 12:
        zone = 32
    elif latitude >= 72 and 0 <= longitude < 42:
        zone = 31 + 2 * int((longitude + 3) // 12)
    return f"EPSG:{326 if latitude >= 0 else 327}{zone:02}"


def _naive(moment: Any) -> Any:
    return np.datetime64(moment.replace(tzinfo=None))
