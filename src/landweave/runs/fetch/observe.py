"""What is observed of a piece of ground: bands and masks as the source has them, and the cloud mask made of them.

A cloud mask looks at its neighbourhood: it is widened, and s2cloudless averages. So it is made here, where ground
around the piece can be read, and patch borders leave no trace.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.features import s2cloudless
from landweave.features.clouds import CLOUD, HIGH_CLOUD, NO_DATA, cloud_codes, mask_reasons, widened
from landweave.patch.model import NODATA, TIME, X, Y
from landweave.runs.project.plan import Plan
from landweave.runs.project.source import CLOUD_MASK, CLOUD_PROBABILITY
from landweave.sources.protocol import Source

_UNKNOWN = 255


def observe(
    plan: Plan, geobox: GeoBox, dates: Sequence[date], variables: Sequence[str], *, source: Source | None = None
) -> xr.Dataset:
    """Read a piece of ground, and make its cloud mask where that is asked for.

    Parameters
    ----------
    plan
        Source and settings.
    geobox
        A cell, or any part of it.
    dates
        Some of the plan's dates.
    variables
        Some of ``plan.variables``.
    source
        Instead of the plan's: the same scenes with other offsets.

    Returns
    -------
    xarray.Dataset
        A patch, (time, y, x), as :meth:`landweave.sources.protocol.Source.load` gives it; ``cloud_mask`` uint8 as
        :func:`landweave.features.clouds.cloud_codes`; ``cloud_probability`` uint8, per cent, 255 unknown.
    """
    source = source or plan.source
    own = [name for name in variables if name not in plan.made_variables]
    patch = source.load(geobox, dates, own)
    if CLOUD_MASK in variables:
        codes, probability = _clouds(plan, source, geobox, dates)
        patch[CLOUD_MASK] = ((TIME, Y, X), codes)
        if CLOUD_PROBABILITY in variables and probability is not None:
            patch[CLOUD_PROBABILITY] = ((TIME, Y, X), probability)
    return patch


def ground_of_mask(plan: Plan, geobox: GeoBox) -> GeoBox:
    """The ground, and the grid, on which a mask's variables are read: more than the piece that it is for."""
    wide = geobox.pad(plan.dilation_pixels) if plan.dilation_pixels else geobox
    settings = plan.project.source
    if settings.cloud_rule != "s2cloudless":
        return wide
    return s2cloudless.coarse_geobox(wide, settings.cloud_grid, s2cloudless.halo_metres())


def reasons_of(plan: Plan, patch: xr.Dataset) -> np.ndarray:
    """Why each observation is left out: :func:`landweave.features.clouds.mask_reasons` by the project's settings."""
    settings = plan.project.source
    return mask_reasons(
        patch, bands=plan.recipe.source_bands, clouds=settings.cloud_rule, mask=settings.mask,
        scl_masked=settings.scl_masked, snow=settings.snow, mask_above=settings.mask_above,
        snow_ndsi=settings.snow_ndsi, snow_nir=settings.snow_nir, cirrus=settings.cirrus,
        cloudy=patch[CLOUD_MASK].values if CLOUD_MASK in plan.made_variables else None,
    )  # fmt: skip


def cloudiness(plan: Plan, patch: xr.Dataset, reasons: np.ndarray) -> np.ndarray:
    """How cloudy each observation is, per cent: the probability where there is one, else 100 where the mask says cloud.

    Returns
    -------
    numpy.ndarray
        float32 (time, y, x), NaN without data.
    """
    settings = plan.project.source
    if CLOUD_PROBABILITY in patch:
        given = patch[CLOUD_PROBABILITY].values
        share = np.where(given == _UNKNOWN, np.nan, given.astype("float32"))
    elif settings.cloud_rule == "mask" and settings.mask_above > 0:
        share = patch[str(settings.mask)].values.astype("float32")
    else:
        share = np.where(reasons == CLOUD, np.float32(100), np.float32(0))
    return np.where(reasons == NO_DATA, np.float32(np.nan), share)


def _clouds(plan: Plan, source: Source, geobox: GeoBox, dates: Sequence[date]) -> tuple[np.ndarray, np.ndarray | None]:
    settings, pixels = plan.project.source, plan.dilation_pixels
    ground = ground_of_mask(plan, geobox)
    probability = None
    if settings.cloud_rule == "s2cloudless":
        wide = geobox.pad(pixels) if pixels else geobox
        codes, probability = _look(plan, source, ground, wide, dates)
    else:
        masks = source.load(ground, dates, plan.source_masks)
        codes = cloud_codes(
            masks, clouds=settings.cloud_rule, mask=settings.mask, scl_masked=settings.scl_masked,
            mask_above=settings.mask_above,
        )  # fmt: skip
    codes = widened(codes, pixels)
    inner = (slice(None), slice(pixels, pixels + geobox.shape[0]), slice(pixels, pixels + geobox.shape[1]))
    return codes[inner], probability[inner] if probability is not None else None


def _look(
    plan: Plan, source: Source, coarse: GeoBox, fine: GeoBox, dates: Sequence[date]
) -> tuple[np.ndarray, np.ndarray]:
    """Cloud codes and probability, per cent, on the fine grid, by the s2cloudless model on the coarse one."""
    settings = plan.project.source
    averaging: Any = replace(source, resampling="average")  # type: ignore[type-var]
    codes, shares = [], []
    # A date at a time: at 60 m a patch is small, ten bands of a whole year are not.
    for day in dates:
        patch = averaging.load(coarse, [day], s2cloudless.BANDS)
        bands = np.stack([patch[name].values for name in s2cloudless.BANDS])
        probability = s2cloudless.cloud_probability(bands)
        cloudy = s2cloudless.cloud_mask(
            probability, pixel_metres=settings.cloud_grid, threshold=settings.cloud_threshold
        )
        high = patch["B10"].values
        bright = (high != NODATA) & (high >= round(settings.cirrus * 10_000))
        codes.append(np.where(cloudy, np.where(bright, HIGH_CLOUD, 1), 0).astype("uint8")[0])
        known = np.isfinite(probability)
        shares.append(np.where(known, np.rint(100 * np.where(known, probability, 0)), _UNKNOWN).astype("uint8")[0])
    return tuple(s2cloudless.to_fine(np.stack(layers), coarse, fine) for layers in (codes, shares))  # type: ignore[return-value]


DROPPED = 4
"""Reason of masking beside those of ``mask_reasons``: too few valid pixels of that date in the patch."""
