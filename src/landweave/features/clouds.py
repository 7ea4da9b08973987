"""Which observations count: clouds, shadows, snow and missing data."""

from collections.abc import Collection, Mapping, Sequence

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

SNOW_NDSI, SNOW_INFRARED = 0.4, 0.11
"""Snow where the snow index is above the first and B08 above the second (reflectance)."""

CIRRUS = 100
"""From this brightness in B10 on (1e-4 reflectance), what looks like snow is a high cloud: ground hardly reaches
the sensor at 1.375 um."""


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
    mask_above: float = 0.0,
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
        ``"mask"`` leaves out snow too; ``"keep"`` does not.
    dilation_px
        Radius in pixels of the disk around every masked pixel that is masked too; not around missing data or
        snow. A pixel is reached when the distance of the two centres is at most the radius. At the array's
        border the caller sees to a halo.
    mask_above
        With ``clouds="mask"``: masked where the variable is above this, so that a provider's cloud probability in
        per cent can be used with a threshold; 0: masked where it is not 0.

    Notes
    -----
    Snow is never lost in the cloud mask: a pixel that is called both cloud, or lies within a cloud's dilation, and
    snow (see :func:`snow_mask`) counts as snow, unless it is bright in the cirrus band.

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
    cloudy = np.zeros_like(empty)
    if clouds == "scl":
        check_patch(patch, scl_variable)
        scene = patch[scl_variable].values
        masked = [code for code in scl_masked if code != SCL_NO_DATA]
        cloudy = np.isin(scene, masked)
        if SCL_NO_DATA in scl_masked:
            empty |= scene == SCL_NO_DATA
    elif clouds == "mask":
        check_patch(patch, str(mask))
        codes = patch[str(mask)].values
        cloudy = codes > mask_above if mask_above else codes != 0
    snowy = np.zeros_like(empty) if clouds == "none" and snow == "keep" else snow_mask(patch, scl_variable=scl_variable)
    reasons = np.zeros(empty.shape, "uint8")
    reasons[dilate(cloudy, dilation_px)] = CLOUD
    # What a user masks as a scene class on purpose stays masked.
    chosen = clouds == "scl" and SCL_SNOW in scl_masked
    if not chosen:
        overcast = patch["B10"].values >= CIRRUS if "B10" in patch else np.zeros_like(empty)
        reasons[snowy & ~((reasons == CLOUD) & overcast)] = SNOW if snow == "mask" else VALID
    reasons[empty] = NO_DATA
    return reasons


def snow_mask(
    patch: xr.Dataset, *, scl_variable: str = "SCL", ndsi: float = SNOW_NDSI, infrared: float = SNOW_INFRARED
) -> np.ndarray:
    """Where snow lies: by scene class 11 where there are scene classes, else by the snow index.

    Parameters
    ----------
    patch
        ``scl_variable`` (time, y, x), or B03, B08 and B11 int16 in 1e-4 reflectance; without either, no snow is known.
    scl_variable
        Name of the scene classes.
    ndsi, infrared
        Snow where (B03 - B11) / (B03 + B11) > ``ndsi`` and B08 > ``infrared`` reflectance, which leaves out water
        (Hall, Riggs and Salomonson 1995, Remote Sensing of Environment 54: 127-140; thresholds 0.4 and 0.11).

    Returns
    -------
    numpy.ndarray
        bool (time, y, x).
    """
    if scl_variable in patch:
        return np.asarray(patch[scl_variable].values == SCL_SNOW)
    sizes = next(iter(patch.data_vars.values())).shape
    if not {"B03", "B08", "B11"} <= set(patch.data_vars):
        return np.zeros(sizes, bool)
    green, near, short = (patch[name].values for name in ("B03", "B08", "B11"))
    known = ~(_missing(green) | _missing(near) | _missing(short))
    unit = 1.0 if np.issubdtype(green.dtype, np.floating) else 1e4
    total = green.astype("float32") + short
    snowy = (green.astype("float32") - short > ndsi * total) & (total > 0) & (near > infrared * unit)
    return np.asarray(known & snowy)


def share_not_masked(
    masks: Mapping[str, np.ndarray], *, clouds: str, scl_masked: Collection[int] = SCL_MASKED
) -> float | None:
    """The most that can be valid of a date, judged by its scene classes alone; None where they do not decide.

    Parameters
    ----------
    masks
        Variable to (y, x).
    clouds, scl_masked
        As for :func:`mask_reasons`.
    """
    if clouds != "scl" or "SCL" not in masks:
        return None
    return float(np.mean(~np.isin(masks["SCL"], list(scl_masked))))


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
    mask_above: float = 0.0,
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
        mask_above=mask_above,
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
