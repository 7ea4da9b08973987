"""What was seen: how often, under how much cloud, and how two masks differ."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from landweave.features.clouds import NO_DATA, VALID
from landweave.patch.model import NODATA
from landweave.patch.summary import Shown

NDVI_BINS = 200
"""Bins of 0.01 over -1..1 in which NDVI is counted."""

LOW, MIDDLE, HIGH = 0.1, 0.5, 0.9
"""Quantiles of NDVI that :func:`ndvi_summary` gives."""

_UNITS = 10_000


@dataclass(frozen=True, kw_only=True, repr=False)
class MaskComparison(Shown):
    """Two masks of the same observations, counted against each other."""

    both: int
    """Observations valid in both."""

    only_a: int
    """Valid in the first alone."""

    only_b: int
    """Valid in the second alone."""

    neither: int
    """Valid in none."""

    agreement: float
    """Share on which the masks agree, 0..1; NaN without any observation."""

    kappa: float
    """Cohen's kappa (1960, Educational and Psychological Measurement 20: 37-46): agreement beyond that of chance,
    1 at best; NaN where both masks say the same everywhere, since chance would agree too."""

    per_date: np.ndarray = field(compare=False)
    """Shares of a date's pixels: both, only the first, only the second, neither; float64 (time, 4), rows sum to 1."""

    def _summary(self) -> Mapping[str, object]:
        counts = {"both": self.both, "only a": self.only_a, "only b": self.only_b, "neither": self.neither}
        return {**counts, "agreement": round(self.agreement, 4), "kappa": round(self.kappa, 4)}


def valid_counts(reasons: np.ndarray) -> np.ndarray:
    """How many dates count for each pixel.

    Parameters
    ----------
    reasons
        Of :func:`landweave.features.clouds.mask_reasons`, uint8 (time, y, x).

    Returns
    -------
    numpy.ndarray
        uint16 (y, x).
    """
    return np.asarray((reasons == VALID).sum(axis=0, dtype="uint16"))


def count_histogram(counts: np.ndarray, n_dates: int) -> np.ndarray:
    """Pixels that were seen 0, 1, ... ``n_dates`` times: int64 (n_dates + 1,), which adds up over patches.

    >>> count_histogram(np.array([[0, 2], [2, 3]], "uint16"), 3).tolist()
    [1, 0, 2, 1]
    """
    if counts.size and int(counts.max()) > n_dates:
        raise ValueError(f"A pixel was seen {int(counts.max())} times on {n_dates} dates.")
    return np.bincount(counts.ravel(), minlength=n_dates + 1).astype("int64")


def mean_probability(probability: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Mean cloud probability of each pixel over the dates on which it was seen.

    Parameters
    ----------
    probability
        Any unit, floating point, NaN unknown, (time, y, x).
    seen
        Whether the pixel has data on the date, cloudy or not, bool (time, y, x).

    Returns
    -------
    numpy.ndarray
        float32 (y, x); NaN where it was never seen.
    """
    known = seen & np.isfinite(probability)
    counts = known.sum(axis=0)
    sums = np.where(known, probability, 0).sum(axis=0, dtype="float64")
    means = np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    return np.asarray(means.astype("float32"))


def compare_masks(a: np.ndarray, b: np.ndarray) -> MaskComparison:
    """Count two masks of validity, bool (time, y, x) and true where valid, against each other.

    Raises
    ------
    ValueError
        For arrays of different shapes, or not of three axes.
    """
    if a.shape != b.shape or a.ndim != 3:
        raise ValueError(f"Two masks (time, y, x) of one shape are compared, not {a.shape} and {b.shape}.")
    a, b = a.astype(bool), b.astype(bool)
    counts = np.stack([np.count_nonzero(cell, axis=(1, 2)) for cell in (a & b, a & ~b, ~a & b, ~a & ~b)], axis=1)
    both, only_a, only_b, neither = (int(n) for n in counts.sum(axis=0))
    total = both + only_a + only_b + neither
    # In whole numbers, so that masks that are the same everywhere leave exactly nothing beyond chance.
    chance = (both + only_a) * (both + only_b) + (neither + only_a) * (neither + only_b)
    agreed = (both + neither) * total
    pixels = a.shape[1] * a.shape[2]
    return MaskComparison(
        both=both,
        only_a=only_a,
        only_b=only_b,
        neither=neither,
        agreement=(both + neither) / total if total else np.nan,
        kappa=(agreed - chance) / (total**2 - chance) if total**2 > chance else np.nan,
        per_date=counts / pixels if pixels else np.full(counts.shape, np.nan),
    )


def ndvi_tally(red: np.ndarray, nir: np.ndarray, reasons: np.ndarray) -> dict[str, np.ndarray]:
    """Whole numbers from which :func:`ndvi_summary` is made; those of several patches are added, key by key.

    Parameters
    ----------
    red, nir
        B04 and B08, int16 in 1e-4 reflectance, (time, y, x), -32768 missing.
    reasons
        Of :func:`landweave.features.clouds.mask_reasons`, uint8 (time, y, x).

    Returns
    -------
    dict
        int64: ``all_sum``, ``valid_sum`` (time,), NDVI in 1e-4 (rounded half to even, clipped to +-1) summed over all
        pixels with data and over the valid ones; ``all_bins``, ``valid_bins`` (time, 200), pixels by NDVI in bins of
        0.01, the last with its upper end. Where B04 + B08 is not above 0, there is no NDVI.
    """
    tally = {}
    for name in ("all", "valid"):
        tally[f"{name}_sum"] = np.zeros(len(reasons), "int64")
        tally[f"{name}_bins"] = np.zeros((len(reasons), NDVI_BINS), "int64")
    for date, why in enumerate(reasons):
        a, b = nir[date].astype("int64"), red[date].astype("int64")
        known = (why != NO_DATA) & (a != NODATA) & (b != NODATA) & (a + b > 0)
        for name, chosen in (("all", known), ("valid", known & (why == VALID))):
            difference, total = (a - b)[chosen], (a + b)[chosen]
            units = np.clip(np.rint(_UNITS * difference / total), -_UNITS, _UNITS).astype("int64")
            bins = np.minimum((units + _UNITS) * NDVI_BINS // (2 * _UNITS), NDVI_BINS - 1)
            tally[f"{name}_sum"][date] = units.sum()
            tally[f"{name}_bins"][date] = np.bincount(bins, minlength=NDVI_BINS)
    return tally


def ndvi_summary(tally: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Count, mean and quantiles of NDVI on each date.

    Parameters
    ----------
    tally
        Of :func:`ndvi_tally`, or the sum of several.

    Returns
    -------
    dict
        For ``all`` (every pixel with data) and ``valid`` (those that count): ``all_count`` int64; ``all_mean``,
        ``all_low``, ``all_middle``, ``all_high`` float64, the mean and the 10, 50 and 90 % quantiles, and so on, each
        (time,), NaN where nothing was seen. Quantiles are those of the bins, within 0.01 of a value of which that
        share of the pixels lies below.
    """
    found = {}
    for name in ("all", "valid"):
        bins, counts = tally[f"{name}_bins"], tally[f"{name}_bins"].sum(axis=1)
        nothing = np.full(len(counts), np.nan)
        found[f"{name}_count"] = counts
        sums = tally[f"{name}_sum"] / _UNITS
        found[f"{name}_mean"] = np.divide(sums, counts, out=nothing.copy(), where=counts > 0)
        for key, share in (("low", LOW), ("middle", MIDDLE), ("high", HIGH)):
            found[f"{name}_{key}"] = np.array([_quantile(row, share) for row in bins])
    return found


def _quantile(bins: np.ndarray, share: float) -> float:
    """Where the given share of the pixels lies below, spreading each bin's pixels evenly over it."""
    below = np.cumsum(bins)
    if not below[-1]:
        return np.nan
    wanted = share * below[-1]
    at = int(np.searchsorted(below, wanted))
    inside = 1 - (below[at] - wanted) / bins[at]
    return float((at + inside) * 2 / NDVI_BINS - 1)
