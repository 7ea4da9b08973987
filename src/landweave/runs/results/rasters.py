"""Maps of a run as xarray arrays that read only what is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords
from xarray.backends import BackendArray
from xarray.core import indexing

from landweave.errors import InputError
from landweave.legend import NONE, Legend


class RasterBand(BackendArray):
    """A band of a file, (y, x); each access reads the window that it needs.

    Parameters
    ----------
    path
        File that rasterio opens.
    band
        Number of the band, from 1.
    """

    def __init__(self, path: Path, band: int = 1) -> None:
        self.path, self.band = path, band
        with rasterio.open(path) as file:
            self.shape: tuple[int, int] = file.shape
            self.dtype = np.dtype(file.dtypes[band - 1])

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple[int | slice, ...]) -> np.ndarray:
        wanted = [k if isinstance(k, slice) else slice(k, k + 1) for k in key]
        ranges = [range(*part.indices(size)) for part, size in zip(wanted, self.shape, strict=True)]
        # Numbers are dropped as axes, as in NumPy.
        kept = tuple(slice(None) if isinstance(k, slice) else 0 for k in key)
        if not all(ranges):
            return np.zeros([len(r) for r in ranges], self.dtype)[kept]
        first, last = [min(r) for r in ranges], [max(r) + 1 for r in ranges]
        window = rasterio.windows.Window.from_slices(*((a, b) for a, b in zip(first, last, strict=True)))
        with rasterio.open(self.path) as file:
            values: np.ndarray = file.read(self.band, window=window)
        inside = tuple(np.array(r) - a for r, a in zip(ranges, first, strict=True))
        part: np.ndarray = values[np.ix_(*inside)][kept]
        return part


def map_array(path: Path, legend: Legend) -> xr.DataArray:
    """A map of classes.

    Parameters
    ----------
    path
        GeoTIFF of class values, uint8, 0 none.
    legend
        Its classes.

    Returns
    -------
    xarray.DataArray
        uint8 (y, x), not loaded, with a geobox (``.odc.geobox``) and CF's ``flag_values``, ``flag_meanings`` (names
        with ``_`` for spaces), ``flag_colors`` and ``_FillValue`` 0.

    Raises
    ------
    InputError
        Where the file is missing.
    """
    attributes = {
        "long_name": "land cover",
        "flag_values": np.array(legend.values, "uint8"),
        "flag_meanings": " ".join("_".join(c.name.split()) for c in legend.classes),
        "flag_colors": " ".join(c.color for c in legend.classes),
    }
    return _array(path, "map", attributes)


def confidence_array(path: Path) -> xr.DataArray:
    """Confidence of a map: uint8 (y, x), 1 to 100 %, ``_FillValue`` 0, not loaded; InputError where it is missing."""
    attributes = {
        "long_name": "calibrated probability of the class shown",
        "units": "percent",
        "valid_range": np.array([1, 100], "uint8"),
    }
    return _array(path, "confidence", attributes)


def _array(path: Path, name: str, attributes: Mapping[str, Any]) -> xr.DataArray:
    _check(path)
    with rasterio.open(path) as file:
        grid = GeoBox(file.shape, file.transform, str(file.crs))
    values = indexing.LazilyIndexedArray(RasterBand(path))
    array = xr.DataArray(
        xr.Variable(("y", "x"), values, {**attributes, "_FillValue": np.uint8(NONE)}),
        coords=dict(xr_coords(grid, dims=("y", "x"))),
        name=name,
    )
    array.encoding["grid_mapping"] = "spatial_ref"
    return array


def small(path: Path, side: int) -> np.ndarray:
    """A map shrunk to at most ``side`` pixels along its longer side, by the commonest value: uint8 (y, x).

    It is read from the file's overviews where there are some. InputError where the file is missing.
    """
    _check(path)
    with rasterio.open(path) as file:
        shrink = max(1.0, max(file.shape) / side)
        shape = tuple(max(1, round(n / shrink)) for n in file.shape)
        values: np.ndarray = file.read(1, out_shape=shape, resampling=rasterio.enums.Resampling.mode)
    return values


def _check(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: this run has no map; `landweave run` makes it.")
