"""The bands of ``trust.tif``: how they are made of a patch, what their values mean, and how they are shown."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from landweave.accuracy.trust.applicability import MOST_NEAR
from landweave.legend import Legend
from landweave.maps.qgis_styles import classes_style, ramp_style
from landweave.runs.mapping.trust.patch import FIXED

EMPTY = 255
"""Value of the set's size where no class fits."""

MAPPED, OUTSIDE, SEVERAL, NONE_FITS, GAPS, REJECTED = (1 << bit for bit in range(6))
"""Bits of the band of flags."""

_YES, _NO = "#1b7837", "#e0e0e0"


@dataclass(frozen=True, kw_only=True)
class TrustBand:
    """A band of ``trust.tif``; 0 is no data in all of them."""

    name: str
    """Short name, as in names of files; the description of the band in the file."""

    title: str
    codes: Mapping[int, tuple[str, str]] | None = None
    """Value to what it means and its colour; None for an amount."""

    low: int = 1
    high: int = 100
    unit: str = ""
    """Of an amount: its range and unit; the stored value is the amount plus ``plus``."""

    plus: int = 0

    def style(self, number: int) -> bytes:
        """QGIS style for the band of this number."""
        if self.codes is not None:
            return classes_style(dict(self.codes), band=number)
        return ramp_style(self.low + self.plus, self.high + self.plus, unit=self.unit, band=number)


def bands(legend: Legend, *, sets: bool, applicability: bool, observed: int) -> list[TrustBand]:
    """The bands that a run can make, in their order.

    Parameters
    ----------
    legend
        Its classes have a band each where there are sets.
    sets, applicability
        Whether sets could be calibrated, and whether the training rows give an area of applicability.
    observed
        Most observations of a pixel.
    """
    found = [TrustBand(name="margin", title="margin of the class shown over the next", unit=" %")]
    if sets:
        shades = ("#1a9850", "#fee08b", "#fdae61", "#f46d43", "#d73027", "#a50026")
        sizes = {n: (f"{n} classes" if n > 1 else "1 class", shades[min(n, len(shades)) - 1]) for n in range(1, 7)}
        sizes |= {n: (f"{n} classes", shades[-1]) for n in range(7, len(legend.classes) + 1)}
        kept = {n: told for n, told in sizes.items() if n <= max(2, len(legend.classes))}
        found.append(
            TrustBand(name="set_size", title="classes in the set", codes=kept | {EMPTY: ("no class fits", "#54278f")})
        )
    if applicability:
        told = {1: ("inside the area of applicability", _YES), 2: ("outside", "#d73027")}
        found += [
            TrustBand(
                name="dissimilarity", title="unlikeness to the training land", high=200, unit=" % of the threshold"
            ),
            TrustBand(name="applicability", title="area of applicability", codes=told),
            TrustBand(name="density", title="training rows that are like it", low=0, high=MOST_NEAR, plus=1),
        ]  # fmt: skip
    found.append(
        TrustBand(name="observations", title="valid observations", low=0, high=min(max(observed, 1), 254), plus=1)
    )
    found.append(TrustBand(name="flags", title="flags", codes=_flags(sets=sets, applicability=applicability)))
    if sets:
        found += [
            TrustBand(
                name=f"member_{c.value}", title=f"in the set: {c.name}", codes={1: ("no", _NO), 2: ("yes", c.color)}
            )
            for c in legend.classes
        ]
    return found


def _flags(*, sets: bool, applicability: bool) -> dict[int, tuple[str, str]]:
    """Every combination of flags that there can be, in words."""
    words = {OUTSIDE: "outside the area of applicability", SEVERAL: "several classes in the set"}
    words |= {
        NONE_FITS: "no class fits",
        GAPS: "over a quarter of its features missing",
        REJECTED: "below reject_below",
    }
    ways = [(OUTSIDE, applicability), (SEVERAL, sets), (NONE_FITS, sets), (GAPS, True), (REJECTED, True)]
    codes = [MAPPED]
    for bit, possible in ways:
        codes += [code | bit for code in codes] if possible else []
    shades = ("#e8e8e8", "#fdae61", "#f46d43", "#d73027", "#a50026", "#67001f")
    return {
        code: (
            ", ".join(word for bit, word in words.items() if code & bit) or "none",
            shades[min(int(code).bit_count() - 1, 5)],
        )
        for code in sorted(codes)
        if not (code & SEVERAL and code & NONE_FITS)
    }


def made(
    layers: np.ndarray,
    prediction: np.ndarray,
    observed: np.ndarray | None,
    region: np.ndarray,
    least: np.ndarray | None,
    *,
    applicability: bool,
) -> np.ndarray:
    """The bands of a patch, in the order of :func:`bands`.

    Parameters
    ----------
    layers
        uint8 (b, y, x): bands of :data:`landweave.runs.mapping.trust.patch.FIXED`, then a code a class.
    prediction
        uint8 (2, y, x): class and confidence of the map.
    observed
        Valid observations, (y, x); None where they were not counted.
    region
        Number of the region, (y, x).
    least
        uint8 (regions, classes): least code of a member; None without sets.
    applicability
        Whether there are bands of it.

    Returns
    -------
    numpy.ndarray
        uint8 (bands, y, x), 0 where the map has no data.
    """
    shape = layers.shape[1:]
    margin, away, density, gaps = (layers[FIXED.index(name)] for name in FIXED)
    mapped = margin > 0
    out = [margin]
    flags = np.where(mapped, MAPPED, 0).astype("uint8")
    member = None
    if least is not None:
        codes = layers[len(FIXED) :]
        member = np.zeros(codes.shape, bool)
        for k in range(len(codes)):
            member[k] = (codes[k] >= least[region, k]) & mapped
        size = member.sum(axis=0)
        out.append(np.where(mapped, np.where(size > 0, np.minimum(size, EMPTY - 1), EMPTY), 0))
        flags |= np.where(size > 1, SEVERAL, 0).astype("uint8")
        flags |= np.where(mapped & (size == 0), NONE_FITS, 0).astype("uint8")
    if applicability:
        out += [away, np.where(away > 0, np.where(away > 100, 2, 1), 0), density]
        flags |= np.where(away > 100, OUTSIDE, 0).astype("uint8")
    counts = np.zeros(shape, "int64") if observed is None else np.minimum(observed, 254)
    out.append(np.where(mapped, counts + 1, 0))
    flags |= np.where(gaps == 2, GAPS, 0).astype("uint8")
    flags |= np.where(mapped & (prediction[0] == 0), REJECTED, 0).astype("uint8")
    out.append(flags)
    if member is not None:
        out += [np.where(mapped, 1 + part, 0) for part in member]
    return np.stack([np.asarray(band, "uint8") for band in out])
