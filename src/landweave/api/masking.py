"""Clouds, shadows, snow and missing data out of a patch."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.api.attributes import MASK_REASON, PACKED, band_names, is_band, reason_attributes
from landweave.errors import InputError
from landweave.features import s2cloudless
from landweave.features.clouds import (
    CIRRUS,
    HIGH_CLOUD,
    SCL_MASKED,
    SNOW_NDSI,
    SNOW_NIR,
    VALID,
    mask_reasons,
    widened,
)
from landweave.patch.align import nearest_pixels, pixel_sides
from landweave.patch.model import NODATA, TIME, X, Y, check_patch, from_int16, to_int16


def mask_clouds(
    patch: xr.Dataset,
    *,
    clouds: str = "scl",
    mask: str | None = None,
    mask_above: float = 0.0,
    scl_masked: Collection[int] = SCL_MASKED,
    snow: str = "keep",
    dilation: float = 0.0,
    cloud_threshold: float = s2cloudless.THRESHOLD,
    cloud_grid: float = s2cloudless.FINEST,
    snow_ndsi: float = SNOW_NDSI,
    snow_nir: float = SNOW_NIR,
    cirrus: float = CIRRUS,
    bands: Sequence[str] | None = None,
    masked: str = "nodata",
) -> xr.Dataset:
    """Set observations that do not count to missing.

    The options have the names, meanings and defaults of ``[source]`` in a project file.

    Parameters
    ----------
    patch
        Bands int16 in 1e-4 reflectance, -32768 missing, or floating-point reflectance, NaN missing; (time, y, x).
    clouds
        ``"scl"``: by Sentinel-2's scene classes in the variable ``SCL``; ``"mask"``: where the variable ``mask`` is
        above ``mask_above``; ``"s2cloudless"``: by the s2cloudless model, which needs ten bands of L1C;
        ``"decided"``: the variable ``mask`` holds the reasons themselves; ``"none"``: missing data alone.
    mask, mask_above
        Name of the mask's variable, and the value above which it masks; 0: where it is not 0.
    scl_masked
        Scene classes that do not count.
    snow
        ``"mask"`` masks snow too; ``"keep"`` keeps it, also where the cloud mask takes it for cloud.
    dilation
        Metres around clouds that are masked too. Ground beyond the patch is not looked at: load a padded grid and cut
        it afterwards where the edge matters.
    cloud_threshold, cloud_grid
        With ``"s2cloudless"``: cloud where the smoothed probability is above this, on cells of so many metres.
    snow_ndsi, snow_nir
        Without scene classes: snow where the snow index and the reflectance of B08 are above these.
    cirrus
        Reflectance of B10 from which a pixel called both cloud and snow is cloud.
    bands
        Bands that must all have data for an observation to count; default: all. A run takes those of its features.
    masked
        ``"nodata"``: bands keep their type, -32768 (or NaN) where masked. ``"nan"``: bands become float32
        reflectance, NaN where masked.

    Returns
    -------
    xarray.Dataset
        A new patch: all bands masked, other variables as they were, and ``mask_reason`` uint8 (time, y, x): 0 valid,
        1 no data, 2 cloud, shadow or another masked class, 3 snow.

    Raises
    ------
    InputError
        For an unknown option, a variable that the patch lacks, and a patch without a grid where metres matter.
    """
    if masked not in {"nodata", "nan"}:
        raise InputError(f'masked = "{masked}" is unknown; use "nodata" or "nan".')
    every = band_names(patch, but={mask})
    needed = every if bands is None else tuple(bands)
    check_patch(patch, *needed)
    patch = patch.transpose(..., TIME, Y, X, missing_dims="ignore")
    radius: float | tuple[float, float] = 0
    if dilation:
        across, along = pixel_sides(grid_of(patch))
        radius = round(dilation / along), round(dilation / across)
    cloudy = widened(_detected(patch, cloud_threshold, cloud_grid, cirrus), radius) if clouds == "s2cloudless" else None
    reasons = mask_reasons(
        patch, bands=needed, clouds=clouds, mask=mask, scl_masked=scl_masked, snow=snow, dilation_px=radius,
        mask_above=mask_above, snow_ndsi=snow_ndsi, snow_nir=snow_nir, cirrus=cirrus, cloudy=cloudy,
    )  # fmt: skip
    valid = reasons == VALID
    changed = {name: _masked(patch[name], valid, as_floats=masked == "nan") for name in {*every, *needed}}
    changed[MASK_REASON] = xr.DataArray(reasons, dims=(TIME, Y, X), attrs=reason_attributes())
    changed[MASK_REASON].encoding["grid_mapping"] = "spatial_ref"
    # In the patch's own order.
    return patch.assign({name: changed[name] for name in (*map(str, patch.data_vars), MASK_REASON) if name in changed})


def grid_of(patch: xr.Dataset) -> GeoBox:
    """The pixel grid of a patch; InputError where it has none."""
    geobox = patch.odc.geobox
    if not isinstance(geobox, GeoBox) or geobox.crs is None:
        raise InputError(
            "The patch has no grid with a CRS, and metres are asked for; assign one with patch.odc.assign_crs."
        )
    return geobox


def _masked(band: xr.DataArray, valid: np.ndarray, *, as_floats: bool) -> xr.DataArray:
    if not is_band(band):
        raise InputError(f"Band {band.name} is {band.dtype}; bands are int16 in 1e-4 reflectance or floating point.")
    whole = band.dtype == np.int16
    values = from_int16(band.values) if whole and as_floats else band.values
    missing: Any = NODATA if values.dtype == np.int16 else np.nan
    found = band.copy(data=np.where(valid, values, values.dtype.type(missing)))
    if whole and as_floats:
        found.attrs = {key: value for key, value in band.attrs.items() if key not in PACKED}
    return found


def _detected(patch: xr.Dataset, threshold: float, metres: float, cirrus: float) -> np.ndarray:
    """Codes of :func:`landweave.features.clouds.cloud_codes` by the s2cloudless model, uint8 (time, y, x)."""
    lacking = [name for name in s2cloudless.BANDS if name not in patch]
    if lacking:
        raise InputError(
            f'clouds = "s2cloudless" needs Sentinel-2 L1C with {", ".join(s2cloudless.BANDS)}; the patch has no '
            f'{", ".join(lacking)}: use clouds = "scl", "mask" or "none".'
        )
    fine = grid_of(patch)
    coarse = s2cloudless.coarse_geobox(fine, metres)
    rows, columns, _ = nearest_pixels(coarse, fine)
    cell_of = (rows * coarse.shape[1] + columns).ravel()
    codes = np.zeros([patch.sizes[axis] for axis in (TIME, Y, X)], "uint8")
    # A date at a time: ten bands of a whole year in floating point are much.
    for number in range(len(codes)):
        bands = np.stack([_averaged(patch[name].values[number], cell_of, coarse) for name in s2cloudless.BANDS])
        cloudy = s2cloudless.cloud_mask(s2cloudless.cloud_probability(bands), pixel_metres=metres, threshold=threshold)
        high = bands[s2cloudless.BANDS.index("B10")]
        bright = (high != NODATA) & (high >= round(cirrus * 10_000))
        codes[number] = s2cloudless.to_fine(np.where(cloudy, np.where(bright, HIGH_CLOUD, 1), 0), coarse, fine)
    return codes


def _averaged(values: np.ndarray, cell_of: np.ndarray, coarse: GeoBox) -> np.ndarray:
    """Mean of the known pixels whose centre is in each coarse cell, int16 (y, x), -32768 where there is none."""
    floats = from_int16(values, dtype="float64") if values.dtype == np.int16 else values.astype("float64")
    known = np.isfinite(floats).ravel()
    size = int(np.prod(coarse.shape))
    sums = np.bincount(cell_of[known], floats.ravel()[known], minlength=size)
    counts = np.bincount(cell_of[known], minlength=size)
    mean = np.divide(sums, counts, out=np.full(size, np.nan), where=counts > 0)
    return to_int16(mean).reshape(coarse.shape)
