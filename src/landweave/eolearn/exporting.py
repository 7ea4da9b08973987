"""eo-learn's task that writes a feature as GeoTIFFs."""

import datetime
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from landweave.eolearn.features import FeatureType, one_feature
from landweave.eolearn.holding import BBox, moment_of, of_this_machine
from landweave.eolearn.patch import EOPatch
from landweave.eolearn.tasks import EOTask
from landweave.errors import InputError
from landweave.patch.store import write_whole

_IMAGES = [kind for kind in FeatureType if kind.is_image()]


class ExportToTiffTask(EOTask):
    """A feature as a GeoTIFF: a band for each band of each date, date by date; or a GeoTIFF a date.

    Parameters
    ----------
    feature
        With rows and columns.
    path, folder
        A file, or the folder of the files that are named at execution.
    date_indices
        Numbers of dates in a list; or, as a pair with both ends in it, numbers, moments or ISO text. A day without a
        time reaches to its end.
    band_indices
        Numbers of bands in a list, or the first and the last as a pair.

    The name of a file may be a template: ``*`` or codes such as ``%Y%m%d`` stand for a date's moment, and each date
    has a file of its own; a list names the file of each.
    """

    def __init__(
        self, feature: Any, path: str | Path | None = None, *, date_indices: Any = None, band_indices: Any = None,
        crs: Any = None, fail_on_missing: bool = True, compress: str | None = None, filesystem: Any = None,
        image_dtype: Any = None, no_data_value: float | None = None, config: Any = None,
        folder: str | Path | None = None,
    ) -> None:  # fmt: skip
        of_this_machine(filesystem=filesystem, config=config)
        if path is None and folder is None:
            raise InputError("Give the path of a file or folder to export to.")
        self.feature, self.path = one_feature(feature, kinds=_IMAGES), Path(str(path if path is not None else folder))
        self.dates, self.bands, self.fail_on_missing = date_indices, band_indices, fail_on_missing
        self.crs = None if crs is None else BBox((0, 0, 1, 1), crs).crs
        self.compress, self.dtype, self.nodata = compress, image_dtype, no_data_value

    def execute(self, eopatch: EOPatch, *, filename: str | list[str] | None = "") -> EOPatch:
        if filename is None or (self.feature not in eopatch and not self.fail_on_missing):
            return eopatch
        if self.feature not in eopatch or eopatch.bbox is None:
            raise InputError(f"{'/'.join(self.feature)} and a bbox are needed to export; the patch lacks one of them.")
        values, moments = eopatch[self.feature], None
        bands = _chosen(self.bands, values.shape[-1], "band_indices")
        if self.feature[0].is_temporal():
            stamps = eopatch.get_timestamps()
            steps = _steps(self.dates, stamps)
            values, moments = values[steps], [stamps[step] for step in steps]
        else:
            values = values[None]
        values = values[..., bands]
        # GeoTIFF has no truth values, and readers that know 64 bits are rare.
        dtype = np.dtype(self.dtype or values.dtype).name
        values = np.moveaxis(values.astype({"int64": "int32", "bool": "uint8"}.get(dtype, dtype)), -1, 1)
        paths = self._paths(filename, moments)
        for path, part in zip(paths, [values] if len(paths) == 1 else values[:, None], strict=True):
            self._export(path, part, eopatch.bbox)
        return eopatch

    def _export(self, path: Path, values: np.ndarray, bbox: BBox) -> None:
        write_whole(path, lambda part: self._write(part, values, bbox))

    def _paths(self, filename: str | list[str], moments: Sequence[datetime.datetime] | None) -> list[Path]:
        """A file for all dates, or one for each."""
        if isinstance(filename, list):
            if len(filename) != (1 if moments is None else len(moments)):
                dates = "has no dates" if moments is None else f"is exported on {len(moments)} dates"
                raise InputError(f"{len(filename)} filenames, but {'/'.join(self.feature)} {dates}; give one for each.")
            return [self.path / _suffixed(name) for name in filename]
        template = _suffixed(filename or self.path.name)
        folder = self.path if filename else self.path.parent
        if moments is None:
            if "*" in template:
                raise InputError(f"{template}: {'/'.join(self.feature)} has no dates to replace *.")
            return [folder / template]
        names = [moment.strftime(template.replace("*", "%Y%m%dT%H%M%S")) for moment in moments]
        if names[0] == template:
            return [folder / template]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{template}: {twice[0]} would be the file name of several dates; use * or %Y%m%dT%H%M%S.")
        return [folder / name for name in names]

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


def _suffixed(name: str) -> str:
    return name if name.lower().endswith((".tif", ".tiff")) else f"{name}.tif"


def _chosen(given: Any, count: int, what: str) -> list[int]:
    """Numbers in a list, or the first and last of a run of them."""
    whole = isinstance(given, list | tuple) and all(isinstance(one, Integral) for one in given)
    if given is None:
        return list(range(count))
    if not whole or (isinstance(given, tuple) and len(given) != 2):
        raise InputError(f"{what} is {given!r}; give a list of numbers, or the first and the last as a pair.")
    numbers = list(range(given[0], given[1] + 1)) if isinstance(given, tuple) else list(given)
    if not numbers or not all(-count <= number < count for number in numbers):
        raise InputError(f"{what} is {given!r}, which selects none, or more than the {count} available.")
    return numbers


def _steps(given: Any, moments: list[datetime.datetime]) -> list[int]:
    if not isinstance(given, tuple) or len(given) != 2:
        return _chosen(given, len(moments), "date_indices")
    if all(isinstance(one, Integral) for one in given):
        first, last = (moments[number] for number in _chosen(list(given), len(moments), "date_indices"))
    elif all(isinstance(one, str | datetime.date) for one in given):
        first, last = moment_of(given[0]), moment_of(given[1])
        if (isinstance(given[1], str) and len(given[1]) <= len("2017-01-31")) or type(given[1]) is datetime.date:
            last = last.replace(hour=23, minute=59, second=59)
    else:
        raise InputError(f"date_indices is {given!r}; give two numbers, two datetimes or two strings.")
    inside = [step for step, when in enumerate(moments) if _naive(first) <= _naive(when) <= _naive(last)]
    if not inside:
        raise InputError(f"date_indices is {given!r}; none of the patch's {len(moments)} dates is in between.")
    return inside


def _naive(moment: datetime.datetime) -> datetime.datetime:
    return moment.replace(tzinfo=None)
