"""What variables are, in the words of the CF conventions: units, names, flags.

Bands keep their integers: ``scale`` and ``nodata`` are attributes that xarray does not act on. ``scale_factor`` and
``_FillValue`` would make it decode a stored patch to floating point when it is opened again.
"""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import xarray as xr

from landweave.errors import InputError
from landweave.features.clouds import CLOUD, NO_DATA, SNOW, VALID
from landweave.legend import Legend
from landweave.patch.model import NODATA, REFLECTANCE_SCALE, TIME, X, Y, flags

MASK_REASON = "mask_reason"
"""Variable that says why an observation does not count."""

PACKED = {"scale": REFLECTANCE_SCALE, "nodata": NODATA}
"""Attributes of bands in int16."""

_WAVELENGTHS = {
    "B01": ("coastal aerosol", 443), "B02": ("blue", 490), "B03": ("green", 560), "B04": ("red", 665),
    "B05": ("red edge", 705), "B06": ("red edge", 740), "B07": ("red edge", 783), "B08": ("near infrared", 842),
    "B8A": ("narrow near infrared", 865), "B09": ("water vapour", 945), "B10": ("cirrus", 1375),
    "B11": ("short-wave infrared", 1610), "B12": ("short-wave infrared", 2190),
}  # fmt: skip
"""Sentinel-2's bands: what they show, and the centre of the band in nanometres."""

_SCENE_CLASSES = (
    "no_data", "saturated_or_defective", "dark_area", "cloud_shadow", "vegetation", "not_vegetated", "water",
    "unclassified", "cloud_medium_probability", "cloud_high_probability", "thin_cirrus", "snow_or_ice",
)  # fmt: skip
_REASONS = {VALID: "valid", NO_DATA: "no_data", CLOUD: "cloud_or_shadow", SNOW: "snow"}
_PER_CENT = {"cloud": "cloud probability", "snow": "snow probability"}


def describe(patch: xr.Dataset, *, categorical: Collection[str], source_variables: Collection[str]) -> xr.Dataset:
    """Give every variable of a new patch its attributes, and name its grid mapping; the patch itself is changed.

    Parameters
    ----------
    patch
        What a source has loaded, (time, y, x).
    categorical
        Variables of codes or per cents.
    source_variables
        All that the source has: they show the level of processing. With B10 the bands are at the top of the
        atmosphere, with SCL at the surface; without either no ``standard_name`` is claimed.
    """
    standard = None
    if "B10" in source_variables:
        standard = "toa_bidirectional_reflectance"
    elif "SCL" in source_variables:
        standard = "surface_bidirectional_reflectance"
    for name, variable in patch.data_vars.items():
        key = str(name)
        variable.attrs.update(_codes(key) if key in categorical else _band(key, variable.dtype, standard))
        variable.encoding["grid_mapping"] = "spatial_ref"
    if TIME in patch.coords:
        patch[TIME].attrs.update(standard_name="time", long_name="date of acquisition")
    return patch


def reason_attributes() -> dict[str, Any]:
    """Attributes of :data:`MASK_REASON`."""
    return {"long_name": "why the observation is masked", **flags(_REASONS)}


def legend_flags(names: Mapping[int, str], legend: Legend | None) -> dict[str, Any]:
    """Flags of a variable of classes: the legend's, with its colours; without one those of the names."""
    return flags(names) if legend is None else flags(legend.names, colors=legend.colors)


def band_names(patch: xr.Dataset, *, but: Collection[str | None] = ()) -> tuple[str, ...]:
    """Variables of a patch that hold reflectance: int16 or floating point, (time, y, x).

    Raises
    ------
    InputError
        Where there is none.
    """
    names = tuple(
        str(name)
        for name, variable in patch.data_vars.items()
        if name not in but and set(variable.dims) == {TIME, Y, X} and is_band(variable)
    )
    if not names:
        raise InputError(
            f"The patch has no band: no variable (time, y, x) of int16 in 1e-4 reflectance or of floating-point "
            f"reflectance; it has {', '.join(f'{n} {v.dtype} {v.dims}' for n, v in patch.data_vars.items())}."
        )
    return names


def is_band(variable: xr.DataArray) -> bool:
    """Whether an array is of a type that bands have."""
    return bool(variable.dtype == np.int16 or np.issubdtype(variable.dtype, np.floating))


def _codes(name: str) -> dict[str, Any]:
    if name == "SCL":
        return {"long_name": "Sentinel-2 scene classification", **flags(dict(enumerate(_SCENE_CLASSES)))}
    if name in _PER_CENT:
        return {"long_name": _PER_CENT[name], "units": "percent"}
    return {"long_name": name}


def _band(name: str, dtype: np.dtype[Any], standard: str | None) -> dict[str, Any]:
    known = _WAVELENGTHS.get(name)
    described: dict[str, Any] = {"long_name": f"{name} {known[0]} reflectance" if known else name, "units": "1"}
    if known:
        described["wavelength"] = known[1]
        if standard is not None:
            described["standard_name"] = standard
    return {**described, **PACKED} if dtype == np.int16 else described
