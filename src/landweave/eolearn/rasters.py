"""The tasks of eo-learn's land cover notebook that draw vectors, erode labels and write GeoTIFFs."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from landweave.eolearn import arrays
from landweave.eolearn.features import FeatureType, one_feature, one_renamed_feature
from landweave.eolearn.holding import STAMP, BBox
from landweave.eolearn.patch import EOPatch
from landweave.eolearn.tasks import EOTask
from landweave.errors import InputError
from landweave.patch.store import write_whole

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
            raise InputError("The patch has no bbox, so nothing can be drawn.")
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
            steps = self.resolution if isinstance(self.resolution, tuple) else (self.resolution, self.resolution)
            across, up = (float(str(step).removesuffix("m")) for step in steps)
            assert eopatch.bbox is not None
            left, bottom, right, top = eopatch.bbox
            if eopatch.bbox.crs == "EPSG:4326":
                raise InputError("raster_resolution is in metres, but the patch is in degrees; give raster_shape.")
            return round((top - bottom) / up), round((right - left) / across)
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

    With ``disk_radius=1`` nothing is taken away, as in eo-learn: see :func:`landweave.eolearn.arrays.ellipse`.
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
        eroded = arrays.erode(labels, self.shape, only=self.erode_labels or None, empty=self.no_data_label)
        eopatch[kind, new] = eroded[..., None]
        return eopatch


class ExportToTiffTask(EOTask):
    """A feature as a GeoTIFF: a band for each band of each date, date by date."""

    def __init__(
        self, feature: Any, path: str | Path | None = None, *, date_indices: Any = None, band_indices: Any = None,
        crs: Any = None, fail_on_missing: bool = True, compress: str | None = None, filesystem: Any = None,
        image_dtype: Any = None, no_data_value: float | None = None, config: Any = None,
        folder: str | Path | None = None,
    ) -> None:  # fmt: skip
        if filesystem is not None or config is not None:
            raise InputError("Files are written to this machine's disks; leave filesystem and config out.")
        if path is None and folder is None:
            raise InputError("Give the path of a file or folder to export to.")
        self.feature, self.path = one_feature(feature, kinds=_IMAGES), Path(str(path if path is not None else folder))
        self.dates, self.bands, self.fail_on_missing = date_indices, band_indices, fail_on_missing
        self.crs = None if crs is None else BBox((0, 0, 1, 1), crs).crs
        self.compress, self.dtype, self.nodata = compress, image_dtype, no_data_value

    def execute(self, eopatch: EOPatch, *, filename: str | None = "") -> EOPatch:
        if filename is None or (self.feature not in eopatch and not self.fail_on_missing):
            return eopatch
        if self.feature not in eopatch or eopatch.bbox is None:
            raise InputError(f"{'/'.join(self.feature)} and a bbox are needed to export; the patch lacks one of them.")
        values = eopatch[self.feature]
        if self.bands is not None:
            values = values[..., _numbers(self.bands)]
        if self.feature[0].is_temporal():
            values = values[_steps(self.dates, eopatch.get_timestamps())]
        else:
            values = values[None]
        # GeoTIFF has no truth values, and readers that know 64 bits are rare.
        dtype = np.dtype(self.dtype or values.dtype).name
        values = values.astype({"int64": "int32", "bool": "uint8"}.get(dtype, dtype))
        path = self.path / filename if filename else self.path
        if path.suffix.lower() not in {".tif", ".tiff"}:
            path = path.with_name(f"{path.name}.tif")
        write_whole(path, lambda part: self._write(part, np.moveaxis(values, -1, 1), eopatch.bbox))
        return eopatch

    def _write(self, path: Path, values: np.ndarray, bbox: BBox | None) -> None:
        import rasterio
        from rasterio.warp import Resampling, calculate_default_transform, reproject

        assert bbox is not None
        height, width = values.shape[-2:]
        planes, grid = values.reshape(-1, height, width), bbox.geobox(height, width)
        crs, transform = self.crs or bbox.crs, grid.transform
        if crs != bbox.crs:
            transform, width, height = calculate_default_transform(bbox.crs, crs, width, height, *bbox)
            moved = np.full((len(planes), height, width), 0 if self.nodata is None else self.nodata, planes.dtype)
            reproject(
                planes, moved, src_transform=grid.transform, src_crs=bbox.crs, dst_transform=transform, dst_crs=crs,
                resampling=Resampling.nearest,
            )  # fmt: skip
            planes = moved
        with rasterio.open(
            path, "w", driver="GTiff", width=width, height=height, count=len(planes), dtype=planes.dtype.name,
            nodata=self.nodata, transform=transform, crs=crs, compress=self.compress,
        ) as file:  # fmt: skip
            file.write(planes)


def _numbers(chosen: Any) -> list[int]:
    # A pair is an interval with both ends, a list are numbers.
    return list(range(chosen[0], chosen[1] + 1)) if isinstance(chosen, tuple) else list(chosen)


def _steps(chosen: Any, moments: list[datetime.datetime]) -> list[int]:
    if chosen is None:
        return list(range(len(moments)))
    if isinstance(chosen, list) or all(isinstance(one, int) for one in chosen):
        return _numbers(chosen)
    first, last = arrays.target_moments(list(chosen))
    return [step for step, moment in enumerate(moments) if first <= moment <= last]


def _naive(moment: Any) -> Any:
    return np.datetime64(moment.replace(tzinfo=None))
