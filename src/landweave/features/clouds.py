"""Which observations count: clouds, shadows, snow and missing data."""

from collections.abc import Collection, Sequence

import numpy as np
import xarray as xr

from landweave.errors import InputError
from landweave.patch.model import NODATA, check_patch

VALID, NO_DATA, CLOUD, SNOW = 0, 1, 2, 3
"""Reasons of masking, as in :func:`mask_reasons`."""

SCL_NO_DATA = 0
SCL_SNOW = 11
SCL_MASKED = (0, 1, 3, 8, 9, 10)
"""Scene classes of Sentinel-2 L2A taken as not valid: no data, defective, shadow, two of cloud, cirrus."""


def mask_reasons(
    patch: xr.Dataset,
    *,
    bands: Sequence[str],
    clouds: str = "none",
    mask: str | None = None,
    scl_variable: str = "SCL",
    scl_masked: Collection[int] = SCL_MASKED,
    snow: str = "keep",
    dilation_px: float = 0.0,
) -> np.ndarray:
    """Why each observation is left out, or 0 where it counts.

    Parameters
    ----------
    patch
        Bands int16 (time, y, x), -32768 missing (or floating point, NaN missing), and the mask's variable.
    bands
        All of these must have data.
    clouds
        ``"none"``; ``"scl"``: by Sentinel-2's scene classes in ``scl_variable``; ``"mask"``: the variable
        ``mask`` is not 0 where not valid.
    mask
        Name of the mask variable (time, y, x) for ``clouds="mask"``.
    scl_variable, scl_masked
        Name of the scene classes (time, y, x), and those taken as not valid. Class 0 says "no data": it is
        masked as such and not dilated.
    snow
        ``"mask"`` leaves out scene class 11 too (only with ``clouds="scl"``); ``"keep"`` does not.
    dilation_px
        Radius in pixels of the disk around every masked pixel that is masked too; not around missing data or
        snow. A pixel is reached when the distance of the two centres is at most the radius. At the array's
        border the caller sees to a halo.

    Returns
    -------
    numpy.ndarray
        uint8 (time, y, x): 0 valid, 1 no data, 2 cloud, shadow or another masked class, 3 snow; the lower
        number where several hold.

    Raises
    ------
    InputError
        For an unknown option, or a variable that the patch lacks.
    """
    if clouds not in {"none", "scl", "mask"}:
        raise InputError(f'clouds = "{clouds}" is unknown here; use "scl", "mask" or "none".')
    if snow not in {"keep", "mask"}:
        raise InputError(f'snow = "{snow}" is unknown; use "keep" or "mask".')
    if clouds == "mask" and not mask:
        raise InputError('clouds = "mask" needs the name of the mask variable: set mask = "...".')
    check_patch(patch, *bands)
    empty = np.zeros(patch[bands[0]].shape, bool)
    for band in bands:
        empty |= _missing(patch[band].values)
    cloudy, snowy = np.zeros_like(empty), np.zeros_like(empty)
    if clouds == "scl":
        check_patch(patch, scl_variable)
        scene = patch[scl_variable].values
        masked = [code for code in scl_masked if code != SCL_NO_DATA]
        cloudy = np.isin(scene, masked)
        if SCL_NO_DATA in scl_masked:
            empty |= scene == SCL_NO_DATA
        if snow == "mask":
            snowy = scene == SCL_SNOW
    elif clouds == "mask":
        check_patch(patch, str(mask))
        cloudy = patch[str(mask)].values != 0
    reasons = np.where(snowy, SNOW, VALID).astype("uint8")
    reasons[dilate(cloudy, dilation_px)] = CLOUD
    reasons[empty] = NO_DATA
    return reasons


def valid_mask(
    patch: xr.Dataset,
    *,
    bands: Sequence[str],
    clouds: str = "none",
    mask: str | None = None,
    scl_variable: str = "SCL",
    scl_masked: Collection[int] = SCL_MASKED,
    snow: str = "keep",
    dilation_px: float = 0.0,
) -> np.ndarray:
    """``mask_reasons(...) == 0``: bool (time, y, x), arguments as for :func:`mask_reasons`."""
    reasons = mask_reasons(
        patch,
        bands=bands,
        clouds=clouds,
        mask=mask,
        scl_variable=scl_variable,
        scl_masked=scl_masked,
        snow=snow,
        dilation_px=dilation_px,
    )
    return np.asarray(reasons == VALID)


def dilate(mask: np.ndarray, radius: float) -> np.ndarray:
    """Pixels whose centre lies within ``radius`` pixels of a true pixel's centre; bool (time, y, x), a copy.

    >>> dilate(np.array([[[1, 0, 0, 0]]], bool), 2).astype(int).tolist()
    [[[1, 1, 1, 0]]]
    """
    if radius < 1:
        return mask.copy()
    from scipy.ndimage import distance_transform_edt

    grown = np.zeros_like(mask)
    for date, layer in enumerate(mask):
        # Without a true pixel the distance is not defined.
        if layer.any():
            grown[date] = distance_transform_edt(~layer) <= radius
    return grown


def _missing(values: np.ndarray) -> np.ndarray:
    if np.issubdtype(values.dtype, np.floating):
        return np.asarray(np.isnan(values))
    return np.asarray(values == NODATA)
