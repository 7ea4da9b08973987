"""What the numbers of a published patch mean, as attributes that readers of Zarr, NetCDF and STAC act on."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from landweave.features.clouds import CLOUD, NO_DATA, SNOW, VALID
from landweave.legend import Legend
from landweave.patch.model import NODATA, REFLECTANCE_SCALE, flags

LEFT_OUT = "left_out"
"""The variable that says why an observation does not count: see :func:`landweave.features.clouds.mask_reasons`."""

CLASSES = ("reference", "prediction", "prediction_oof")
"""Variables of class values, 0 for none."""

CONFIDENCE = "confidence"

_SCENE_CLASSES = (
    "no_data", "saturated_or_defective", "dark_area", "cloud_shadow", "vegetation", "not_vegetated", "water",
    "unclassified", "cloud_medium_probability", "cloud_high_probability", "thin_cirrus", "snow_or_ice",
)  # fmt: skip
_REASONS = {VALID: "valid", NO_DATA: "no_data", CLOUD: "cloud_or_shadow", SNOW: "snow"}


def attributed(patch: xr.Dataset, legend: Legend, *, bands: tuple[str, ...]) -> xr.Dataset:
    """A patch whose variables say what their numbers are; the numbers stay as they are.

    Parameters
    ----------
    patch
        As :meth:`landweave.runs.results.run.FinishedRun.patch` gives it, with :data:`LEFT_OUT`.
    legend
        Names of the class values.
    bands
        Variables in 1e-4 reflectance.

    Returns
    -------
    xarray.Dataset
        Bands have ``_FillValue`` and ``scale_factor``, by which xarray and GDAL decode them to reflectance, NaN where
        missing; with ``mask_and_scale=False`` they are read as stored. Classes and reasons have ``flag_values`` and
        ``flag_meanings``.
    """
    described = patch.copy()
    for name, variable in described.data_vars.items():
        variable.attrs = {**variable.attrs, **_attributes(str(name), variable.dtype, legend, bands)}
    return described


def numbers_of(patch: xr.Dataset, *, bands: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Variable to ``nodata``, and of bands ``scale`` and ``offset``, in the words of STAC; those that have any."""
    found: dict[str, dict[str, float]] = {}
    for name, variable in patch.data_vars.items():
        if name in bands and variable.dtype == np.int16:
            found[str(name)] = {"nodata": NODATA, "scale": REFLECTANCE_SCALE, "offset": 0.0}
        elif name in {*CLASSES, CONFIDENCE}:
            found[str(name)] = {"nodata": 0}
    return found


def _attributes(name: str, dtype: np.dtype[Any], legend: Legend, bands: tuple[str, ...]) -> Mapping[str, Any]:
    if name in bands and dtype == np.int16:
        packed = {"_FillValue": np.int16(NODATA), "scale_factor": REFLECTANCE_SCALE, "add_offset": 0.0}
        return {"long_name": f"{name} reflectance", "units": "1", **packed}
    if name in CLASSES:
        return {"long_name": f"land cover: {name}", **flags({0: "none", **legend.names})}
    if name == CONFIDENCE:
        return {"long_name": "probability of the predicted class, 0 where there is no data", "units": "percent"}
    if name == LEFT_OUT:
        return {"long_name": "why the observation does not count", **flags(_REASONS)}
    if name == "SCL":
        return {"long_name": "Sentinel-2 scene classification", **flags(dict(enumerate(_SCENE_CLASSES)))}
    return {}
