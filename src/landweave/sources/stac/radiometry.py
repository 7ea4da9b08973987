"""From digital numbers to reflectance: which scale, offset and nodata value hold for a scene, and do its pixels agree?

From processing baseline 04.00 on, Sentinel-2 products add 1000 to every digital number, so that
reflectance = (number - 1000) / 10000 (Sentinel-2 Products Specification Document, issue 14.9, BOA_ADD_OFFSET and
RADIO_ADD_OFFSET). Archives that convert products tell this in different ways, or have taken it out already. The
acquisition date says nothing: old acquisitions are processed again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from landweave.sources.stac.catalogues import Catalogue

SCALE = 1e-4
OFFSET = -0.1
NEW_BASELINE = (4, 0)

Verdict = Literal["agrees", "contradicts", "undecided"]

VISIBLE = ("B02", "B03", "B04", "B11", "B12")
"""Bands whose darkest pixels tell whether an offset is in them."""

TOO_LOW, LOW_SHARE = -0.02, 0.05
"""An offset was taken off twice when more than this share of a band lies below this reflectance."""

DARK = 0.09
"""Water, shadow or dense vegetation is darker than this in at least one of :data:`VISIBLE`."""

CIRRUS, CLEAR = "B10", 0.01
"""Water vapour hides the ground in this band of L1C: without high cloud it is darker than this reflectance."""

EVEN = 0.003
"""Ground that is hidden is evenly dark in that band: its darkest fiftieth and tenth differ by less than this."""

VEILED, VEILED_SHARE = (8, 9, 10), 0.3
"""Scene classes of cloud and cirrus: their ground is no witness, nor is a scene that has more of them than this,
since the scene classes miss thin cloud."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Scale and offset of one asset, and why."""

    scale: float
    """Reflectance per digital number."""

    offset: float
    """Reflectance of digital number 0."""

    nodata: float | None
    """Digital number that means missing; None where the item says nothing."""

    reason: str
    """The metadata that decided, in words."""

    told: bool = True
    """Whether the item itself gives scale or offset: where it does not, what the file says goes first."""


def decide(
    catalogue: Catalogue, properties: Mapping[str, Any], asset: Mapping[str, Any], *, baseline: tuple[int, int] | None,
    converted: bool, band: int = 1,
) -> Decision:  # fmt: skip
    """Scale and offset of a spectral asset, from metadata only.

    Parameters
    ----------
    catalogue
        The archive's row: what ``raster:bands``, ``bands`` or the asset says goes first. Without that, its ``offset``
        rule is ``metadata`` or ``any`` (the baseline where it is told), ``flag`` (the flag and the baseline) or
        ``baseline``.
    properties, asset
        The item's properties, and the asset as in the item.
    baseline
        Processing baseline, such as (5, 11); None where it is not told.
    converted
        Whether the asset is the archive's own copy (COG) rather than the producer's file (JPEG 2000): only copies
        are spoken of by the flag that says that the offset was taken out.
    band
        Number of the band within the asset, from 1.

    Returns
    -------
    Decision
    """
    told = _told(asset, band)
    nodata = None if told["nodata"] is None else float(told["nodata"])
    by_baseline = OFFSET if baseline is not None and baseline >= NEW_BASELINE else 0.0
    version = "no baseline told" if baseline is None else f"baseline {baseline[0]:02d}.{baseline[1]:02d}"
    if told["scale"] is not None:
        scale, offset, reason = float(told["scale"]), float(told["offset"] or 0.0), "scale and offset of the asset"
    elif catalogue.offset == "baseline" or (catalogue.offset in {"metadata", "any"} and baseline is not None):
        scale, offset, reason = SCALE, by_baseline, version
    elif catalogue.offset == "flag":
        scale, offset, reason = SCALE, by_baseline, f"{version}, the archive's usual scale"
    else:
        scale, offset, reason = SCALE, 0.0, "nothing told: the file's own scale and offset, else the usual scale"
    if catalogue.flag and properties.get(catalogue.flag) and converted and offset:
        offset, reason = 0.0, f"{catalogue.flag}: the pixels are free of the offset already"
    return Decision(
        scale=scale, offset=offset, nodata=nodata, reason=reason,
        # An archive's flag speaks of the pixels themselves, as scale and offset do.
        told=told["scale"] is not None or bool(catalogue.flag and properties.get(catalogue.flag)),
    )  # fmt: skip


def _told(asset: Mapping[str, Any], band: int) -> dict[str, Any]:
    """Scale, offset and nodata wherever a version of STAC may keep them; None where nothing is said."""
    found: dict[str, Any] = {"scale": None, "offset": None, "nodata": None}
    places = [*asset.get("raster:bands", ())[band - 1 : band], *asset.get("bands", ())[band - 1 : band], asset]
    for name in found:
        values = (place.get(key) for place in places for key in (name, f"raster:{name}"))
        found[name] = next((value for value in values if value is not None), None)
    if isinstance(found["nodata"], str):
        # "nan", "inf" and "-inf" are how STAC writes what JSON cannot.
        found["nodata"] = float(found["nodata"])
    return found


@dataclass(frozen=True, kw_only=True)
class Check:
    """What the pixels of a scene say about the decision."""

    verdict: Verdict
    """Whether they agree."""

    reason: str
    """What was seen, in words; empty where nothing was."""

    better: float | None = None
    """The offset that the pixels speak for, where they contradict."""


def check(bands: Mapping[str, np.ndarray], *, offset: float, scene_classes: np.ndarray | None = None) -> Check:
    """Hold a scene's pixels against its offset.

    Parameters
    ----------
    bands
        Band to reflectance by the decision in force, floating point (y, x), NaN missing; a coarse overview of the
        whole scene. B08 is used, if there, to find dense vegetation; B10, which sees no ground and so is dark or under
        high cloud, tells by itself.
    offset
        The offset in force.
    scene_classes
        SCL, (y, x) of the same shape, if there is one.

    Returns
    -------
    Check
        ``contradicts`` where more than 5 % of a visible or short-wave band lie below -0.02 (the offset was taken off
        pixels without it), or where no pixel is under 0.09 in any such band although there is water, shadow or dense
        vegetation (the offset is still in them). ``agrees`` where such dark ground was seen as it should be;
        ``undecided`` where there is none, as under snow, cloud or over bare soil. With B10 the darkest part of it is
        the witness: winter's low sun and haze leave no dark ground in the other bands of L1C.
    """
    here = {name: values for name, values in bands.items() if name in VISIBLE and np.isfinite(values).any()}
    if not here:
        return Check(verdict="undecided", reason="no valid pixel in a visible or short-wave band")
    for name, values in (here | {n: v for n, v in bands.items() if n == CIRRUS and np.isfinite(v).any()}).items():
        share = float(np.mean(values[np.isfinite(values)] < TOO_LOW))
        if share > LOW_SHARE and offset < 0:
            return Check(
                verdict="contradicts", better=0.0,
                reason=f"{share:.0%} of {name} lie below {TOO_LOW} with offset {offset:g}",
            )  # fmt: skip
    if scene_classes is not None and np.isin(scene_classes, VEILED).sum() > VEILED_SHARE * (scene_classes > 0).sum():
        return Check(verdict="undecided", reason="mostly under cloud, where even dark ground is bright")
    if CIRRUS in bands and np.isfinite(bands[CIRRUS]).any():
        clearest, next_clearest = (float(n) for n in np.nanquantile(bands[CIRRUS], (0.02, 0.1)))
        if offset == 0 and abs(clearest + OFFSET) < CLEAR and next_clearest - clearest < EVEN:
            return Check(
                verdict="contradicts", better=OFFSET,
                reason=f"{CIRRUS}, which sees no ground, is {clearest:.3f} where it is darkest",
            )  # fmt: skip
        if clearest > CLEAR:
            return Check(verdict="undecided", reason=f"thin cloud all over ({CIRRUS} nowhere under {clearest:.3f})")
        return Check(verdict="agrees", reason=f"{CIRRUS}, which sees no ground, sinks to {clearest:.3f}")
    dark = _dark_ground(bands, scene_classes)
    if dark.sum() < max(3, 0.002 * dark.size):
        return Check(verdict="undecided", reason="no water, shadow or dense vegetation to judge by")
    lowest = {name: float(np.nanmin(np.where(dark, values, np.nan))) for name, values in here.items()
              if np.isfinite(values[dark]).any()}  # fmt: skip
    if not lowest:
        return Check(verdict="undecided", reason="no valid pixel over dark ground")
    darkest = min(lowest, key=lambda name: lowest[name])
    if lowest[darkest] >= DARK and offset == 0:
        return Check(
            verdict="contradicts", better=OFFSET,
            reason=f"no pixel of dark ground is under {DARK} in any band (lowest {lowest[darkest]:.3f} in {darkest})",
        )  # fmt: skip
    if lowest[darkest] >= DARK:
        return Check(verdict="undecided", reason=f"dark ground is bright ({lowest[darkest]:.3f} in {darkest})")
    return Check(verdict="agrees", reason=f"dark ground reaches {lowest[darkest]:.3f} in {darkest}")


def _dark_ground(bands: Mapping[str, np.ndarray], scene_classes: np.ndarray | None) -> np.ndarray:
    shape = next(iter(bands.values())).shape
    dark = np.zeros(shape, bool)
    if scene_classes is not None:
        # Dark features, cloud shadow, vegetation and water; vegetation only where it is dense, below.
        dark |= np.isin(scene_classes, (2, 3, 6))
    if {"B04", "B08"} <= bands.keys():
        red, infrared = bands["B04"], bands["B08"]
        with np.errstate(invalid="ignore", divide="ignore"):
            # An offset that is still in the pixels lowers NDVI: 0.45 then is what 0.8 would be.
            dense = (infrared - red) / (infrared + red) > 0.45
        dark |= dense & (infrared > 0.2)
    return dark if scene_classes is None else dark & ~np.isin(scene_classes, (0, 1, 7, *VEILED, 11))
