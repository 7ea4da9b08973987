"""Which observations count: clouds and how far they are widened, shadows, snow and missing data."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from landweave.errors import InputError
from landweave.patch.model import NODATA, TIME, X, Y, check_patch

VALID, NO_DATA, CLOUD, SNOW = 0, 1, 2, 3
"""Reasons of masking, as in :func:`mask_reasons`."""

SCL_NO_DATA = 0
SCL_SNOW = 11
SCL_MASKED = (0, 1, 3, 8, 9, 10)
"""Scene classes of Sentinel-2 L2A taken as not valid: no data, defective, shadow, two of cloud, cirrus."""

_SNOW_BANDS = ("B03", "B08", "B11")

CLM = "CLM"
"""Variable of the mask that s2cloudless gives: uint8 (time, y, x), codes of :func:`cloud_codes`."""

HIGH_CLOUD = 2
"""Code of a cloud that is bright in B10, which no snow is: see :func:`cloud_codes`."""

SNOW_NDSI, SNOW_NIR = 0.4, 0.11
"""Snow where the snow index (B03 - B11) / (B03 + B11) is above the first and B08, in reflectance, above the second,
which leaves out water (Hall, Riggs and Salomonson 1995, Remote Sensing of Environment 54: 127-140)."""

CIRRUS = 0.01
"""Reflectance of B10 from which a pixel called both cloud and snow is cloud. Water vapour takes nearly all light at
1.375 um on its way down to the ground and back, so lowland snow stays below about 0.002; ice clouds, which have the
snow index of snow, lie above the vapour and show. Snow above some 3000 m under dry air may reach the limit too: raise
it for high mountains."""


def mask_reasons(
    patch: xr.Dataset,
    *,
    bands: Sequence[str],
    clouds: str = "none",
    mask: str | None = None,
    scl_variable: str = "SCL",
    scl_masked: Collection[int] = SCL_MASKED,
    snow: str = "keep",
    dilation_px: float | tuple[float, float] = 0.0,
    mask_above: float = 0.0,
    snow_ndsi: float = SNOW_NDSI,
    snow_nir: float = SNOW_NIR,
    cirrus: float = CIRRUS,
    cloudy: np.ndarray | None = None,
) -> np.ndarray:
    """Why each observation is left out, or 0 where it counts.

    Parameters
    ----------
    patch
        Bands int16 in 1e-4 reflectance, (time, y, x), -32768 missing (or floating-point reflectance, NaN missing),
        and the mask's variable.
    bands
        All of these must have data.
    clouds
        ``"none"``; ``"scl"``: by Sentinel-2's scene classes in ``scl_variable``; ``"mask"``: the variable ``mask``
        is above ``mask_above``; ``"s2cloudless"``: the variable ``CLM`` is not 0; ``"decided"``: the variable ``mask``
        holds the reasons themselves, and nothing but missing data is looked at beside it; ``"coded"``: so it does,
        but snow counts as ``snow`` says, and clouds are widened.
    mask
        Name of the mask variable (time, y, x) for ``clouds="mask"`` and ``"decided"``.
    scl_variable, scl_masked
        Name of the scene classes (time, y, x), and those taken as not valid. Class 0 says "no data": it is
        masked as such and not dilated.
    snow
        ``"mask"`` leaves out snow too; ``"keep"`` does not.
    dilation_px
        Radius in pixels, or one along y and one along x, of the disk around every masked pixel that is masked too; not
        around missing data or
        snow. A pixel is reached when the distance of the two centres is at most the radius. At the array's
        border the caller sees to a halo.
    mask_above
        With ``clouds="mask"``: masked where the variable is above this, so that a provider's cloud probability
        (say 0..100) serves with a threshold; 0: masked where it is not 0.
    snow_ndsi, snow_nir
        As ``ndsi`` and ``nir`` of :func:`snow_mask`.
    cirrus
        Reflectance of B10 from which a pixel called both cloud and snow is cloud.
    cloudy
        Codes of :func:`cloud_codes`, where they were made before, with ground around the patch in view.

    Returns
    -------
    numpy.ndarray
        uint8 (time, y, x): 0 valid, 1 no data, 2 cloud, shadow or another masked class, 3 snow.

    Raises
    ------
    InputError
        For an unknown option, or a variable that the patch lacks.

    Notes
    -----
    Snow is never lost in the cloud mask: a pixel that is snow by :func:`snow_mask` and also called cloud, or lies
    within a cloud's dilation, counts as snow, unless the patch has B10 and is bright there. Scene class 11 in
    ``scl_masked`` is a wish of the user's, and stays masked.
    """
    if snow not in {"keep", "mask"}:
        raise InputError(f'snow = "{snow}" is unknown; use "keep" or "mask".')
    check_patch(patch, *bands)
    if cloudy is None:
        options: dict[str, Any] = {"scl_variable": scl_variable, "scl_masked": scl_masked, "mask_above": mask_above}
        cloudy = cloud_codes(patch, clouds=clouds, mask=mask, dilation_px=dilation_px, **options)
    empty = np.zeros(patch[bands[0]].shape, bool)
    for band in bands:
        empty |= _missing(patch[band].values)
    if clouds == "scl" and SCL_NO_DATA in scl_masked:
        empty |= patch[scl_variable].values == SCL_NO_DATA
    if clouds == "decided":
        check_patch(patch, str(mask))
        given = patch[str(mask)].values
        return np.where(empty, NO_DATA, np.where(given > SNOW, CLOUD, given)).astype("uint8")
    reasons = np.where(cloudy != 0, CLOUD, VALID).astype("uint8")
    coded = patch[str(mask)].values if clouds == "coded" else None
    masked_on_purpose = clouds == "scl" and SCL_SNOW in scl_masked
    if not masked_on_purpose and not (clouds == "none" and snow == "keep"):
        snowy = (
            snow_mask(patch, scl_variable=scl_variable, ndsi=snow_ndsi, nir=snow_nir) if coded is None
            else coded == SNOW
        )  # fmt: skip
        if clouds == "s2cloudless":
            snowy &= cloudy != HIGH_CLOUD
        if "B10" in patch:
            high = patch["B10"].values
            snowy &= (reasons != CLOUD) | ~(high >= _units(cirrus, high))
        reasons[snowy] = SNOW if snow == "mask" else VALID
    reasons[empty if coded is None else empty | (coded == NO_DATA)] = NO_DATA
    return reasons


def cloud_codes(
    patch: xr.Dataset,
    *,
    clouds: str,
    mask: str | None = None,
    scl_variable: str = "SCL",
    scl_masked: Collection[int] = SCL_MASKED,
    mask_above: float = 0.0,
    dilation_px: float | tuple[float, float] = 0.0,
) -> np.ndarray:
    """Where the mask says cloud, shadow or another masked class, before snow is looked at.

    Parameters
    ----------
    patch, clouds, mask, scl_variable, scl_masked, mask_above, dilation_px
        As for :func:`mask_reasons`; of the patch, the mask's variable alone is needed.

    Returns
    -------
    numpy.ndarray
        uint8 (time, y, x): 0 clear, 1 cloud, 2 cloud bright in B10 (as ``CLM`` tells). What lies within the dilation
        of either is 1.

    Raises
    ------
    InputError
        For an unknown rule, or a variable that the patch lacks.
    """
    if clouds not in {"none", "scl", "mask", "s2cloudless", "decided", "coded"}:
        raise InputError(f'clouds = "{clouds}" is unknown; use "scl", "s2cloudless", "mask", "decided" or "none".')
    if clouds in {"mask", "decided", "coded"} and not mask:
        raise InputError(f'clouds = "{clouds}" needs the name of the mask variable: set mask = "...".')
    if clouds == "none":
        return np.zeros([patch.sizes[axis] for axis in (TIME, Y, X)], "uint8")
    name = {"scl": scl_variable, "s2cloudless": CLM}.get(clouds, str(mask))
    check_patch(patch, name)
    given = patch[name].values
    if clouds == "scl":
        codes = np.isin(given, [code for code in scl_masked if code != SCL_NO_DATA]).astype("uint8")
    elif clouds in {"decided", "coded"}:
        codes = ((given == CLOUD) | (given > SNOW)).astype("uint8")
    elif clouds == "mask":
        codes = ((given > mask_above) if mask_above else (given != 0)).astype("uint8")
    else:
        codes = np.where(given == HIGH_CLOUD, HIGH_CLOUD, given != 0).astype("uint8")
    return widened(codes, dilation_px)


def widened(codes: np.ndarray, radius: float | tuple[float, float]) -> np.ndarray:
    """Codes of :func:`cloud_codes` with 1 where clear pixels lie within ``radius`` pixels of a cloud."""
    return np.where(dilate(codes != 0, radius) & (codes == 0), 1, codes).astype("uint8")


def snow_mask(
    patch: xr.Dataset, *, scl_variable: str = "SCL", ndsi: float = SNOW_NDSI, nir: float = SNOW_NIR
) -> np.ndarray:
    """Scene class 11 where there are scene classes, else (B03 - B11) / (B03 + B11) > ndsi and B08 > nir.

    Parameters
    ----------
    patch
        ``scl_variable`` (time, y, x), or B03, B08 and B11 (time, y, x), int16 in 1e-4 reflectance or floating-point
        reflectance; without either, no snow is known.
    scl_variable
        Name of the scene classes.
    ndsi, nir
        Least snow index, and least reflectance of B08; both must be exceeded.

    Returns
    -------
    numpy.ndarray
        bool (time, y, x); false where a band is missing or B03 + B11 is not above 0.

    Notes
    -----
    Clouds of ice have the snow index of snow; only B10 tells them apart (:data:`CIRRUS`).
    """
    if scl_variable in patch:
        return np.asarray(patch[scl_variable].values == SCL_SNOW)
    if not set(_SNOW_BANDS) <= set(patch.data_vars):
        return np.zeros([patch.sizes[axis] for axis in (TIME, Y, X)], bool)
    values = [patch[name].values for name in _SNOW_BANDS]
    known = ~np.logical_or.reduce([_missing(band) for band in values])
    exact = all(np.issubdtype(band.dtype, np.integer) for band in values)
    # Without a division nothing can overflow or be undefined; in whole numbers the answer is exact: 65534 * 10000
    # fits 32 bits.
    green, near, short = (band.astype("int32" if exact else "float64") for band in values)
    one, least = (10_000, round(ndsi * 10_000)) if exact else (1, ndsi)
    total = green + short
    return np.asarray(known & (total > 0) & ((green - short) * one > least * total) & (near > _units(nir, near)))


def snow_bands(
    clouds: str, available: Collection[str], *, snow: str = "keep", scl_variable: str = "SCL"
) -> tuple[str, ...]:
    """Variables to load, beside the mask's own, so that :func:`mask_reasons` knows snow.

    Parameters
    ----------
    clouds, snow, scl_variable
        As for :func:`mask_reasons`.
    available
        What the source has.

    Returns
    -------
    tuple of str
        The scene classes where there are any; else B03, B08, B11 and, where the source has it, B10, which
        s2cloudless's own mask tells of already. Empty where these do not suffice, where nothing is masked, and where
        all is decided.

    >>> snow_bands("mask", ["B03", "B04", "B08", "B11", "CLP"]), snow_bands("mask", ["B04", "B08", "CLP", "SCL"])
    (('B03', 'B08', 'B11'), ('SCL',))
    """
    if clouds in {"decided", "coded"} or (clouds == "none" and snow == "keep"):
        return ()
    if scl_variable in available:
        return (scl_variable,)
    if not set(_SNOW_BANDS) <= set(available):
        return ()
    high = "B10" in available and clouds != "s2cloudless"
    return (*_SNOW_BANDS, "B10") if high else _SNOW_BANDS


def share_not_masked(
    masks: Mapping[str, np.ndarray],
    *,
    clouds: str,
    mask: str | None = None,
    scl_masked: Collection[int] = SCL_MASKED,
    mask_above: float = 0.0,
) -> float:
    """The most that can be valid of a date, 0..1, judged by its masks alone, before dilation.

    Parameters
    ----------
    masks
        Variable to (y, x), or to some of the pixels: the scene classes; with ``clouds="mask"`` also that mask, whose
        clouds may be snow.
    clouds, mask, scl_masked, mask_above
        As for :func:`mask_reasons`; ``"scl"``, ``"coded"`` or ``"mask"``.
    """
    if clouds == "coded":
        return float(np.mean(np.isin(masks[str(mask)], (VALID, SNOW))))
    scene = masks["SCL"]
    if clouds == "scl":
        return float(np.mean(~np.isin(scene, list(scl_masked))))
    return float(np.mean((masks[str(mask)] <= mask_above) | (scene == SCL_SNOW)))


def valid_mask(patch: xr.Dataset, *, bands: Sequence[str], **options: Any) -> np.ndarray:
    """``mask_reasons(...) == 0``: bool (time, y, x), arguments as for :func:`mask_reasons`."""
    return np.asarray(mask_reasons(patch, bands=bands, **options) == VALID)


def dilate(mask: np.ndarray, radius: float | tuple[float, float]) -> np.ndarray:
    """Pixels whose centre lies within ``radius`` pixels of a true pixel's centre; bool (time, y, x), a copy.

    Of pixels that are no squares, the radius is one along y and one along x: an ellipse.

    >>> dilate(np.array([[[1, 0, 0, 0]]], bool), 2).astype(int).tolist()
    [[[1, 1, 1, 0]]]
    >>> dilate(np.array([[[1, 0, 0], [0, 0, 0]]], bool), (0, 2)).astype(int).tolist()
    [[[1, 1, 1], [0, 0, 0]]]
    """
    down, across = radius if isinstance(radius, tuple) else (radius, radius)
    if max(down, across) < 1:
        return mask.copy()
    from scipy.ndimage import distance_transform_edt

    # In units of the radius along x; one below 1 reaches no other pixel.
    spacing = max(across, 0.5) / max(down, 0.5) if down != across else 1.0
    grown = np.zeros_like(mask)
    for date, layer in enumerate(mask):
        # Without a true pixel the distance is not defined.
        if layer.any():
            reach = max(across, 0.5) + (1e-9 if spacing != 1.0 else 0.0)
            grown[date] = distance_transform_edt(~layer, sampling=(spacing, 1.0)) <= reach
    return grown


def _missing(values: np.ndarray) -> np.ndarray:
    if np.issubdtype(values.dtype, np.floating):
        return np.asarray(np.isnan(values))
    return np.asarray(values == NODATA)


def _units(reflectance: float, values: np.ndarray) -> float:
    """A reflectance in the units of a band: 1e-4 where it holds whole numbers."""
    return round(reflectance * 10_000) if np.issubdtype(values.dtype, np.integer) else reflectance
