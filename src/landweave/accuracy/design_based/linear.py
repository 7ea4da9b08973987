"""Ratios of totals under any design: each unit's linearised part of the figure, and the variance of their sum."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from landweave.accuracy.design_based.intervals import effective_size, quantile, wilson
from landweave.accuracy.design_based.stratified import Measure, Strata

MOST_DEGREES = 1000
"""With more degrees of freedom Student's t is the normal distribution."""


@dataclass(frozen=True, kw_only=True)
class UnitDesign:
    """How the units of a sample were drawn: strata, perhaps clusters within them, perhaps a regular grid."""

    weight: np.ndarray
    """Land that each unit stands for, float64 (n,), any unit; the inverse of its probability times its area."""

    stratum: np.ndarray
    """Position of each unit's stratum, (n,), 0..h-1."""

    drawn: np.ndarray
    """Share of each stratum's units that was drawn, (h,), 0..1; of its clusters where there are any."""

    cluster: np.ndarray | None = None
    """Number of each unit's cluster, (n,), unlike in all strata; None for single units."""

    within: np.ndarray | None = None
    """Share of the units of its cluster that was drawn, one a unit, (n,); None takes it as 0."""

    pairs: np.ndarray | None = None
    """Positions of neighbours on a regular grid, int64 (p, 2); None for a random sample."""

    @property
    def degrees(self) -> int:
        """Degrees of freedom of a variance: clusters, or units, less strata; at least 1."""
        single = self.stratum if self.cluster is None else np.unique(self.cluster)
        return max(len(single) - len(self.drawn), 1)

    def variance(self, parts: np.ndarray) -> np.ndarray:
        """Variance of the sum of what units contribute, (v,).

        ``parts`` are weights times linearised residuals, (n, v). Single units: (1 - f) n s^2 within strata (Cochran
        1977, equation 5.6). Clusters: the same of the clusters' sums, and within them f (1 - f_i) m_i s_i^2 (Saerndal,
        Swensson and Wretman 1992, equation 4.3.20). A regular grid: s^2 is half the mean squared difference of
        neighbours (D'Orazio 2003, J. Agric. Biol. Environ. Stat. 8:280), as no formula without bias exists for one
        random start.
        """
        if self.pairs is not None and len(self.pairs):
            difference = parts[self.pairs[:, 0]] - parts[self.pairs[:, 1]]
            spread = (difference**2).mean(axis=0) / 2
            return np.asarray((1 - float(self.drawn[0])) * len(parts) * spread)
        if self.cluster is None:
            # Weights add up to the area of each stratum, so the spread is that around the stratum's mean per area.
            return _between(parts - _means(parts, self), self.stratum, self.drawn)
        numbers, first, at = np.unique(self.cluster, return_index=True, return_inverse=True)
        found = _between(_by_cluster(self, parts), self.stratum[first], self.drawn)
        inner = np.zeros(len(numbers)) if self.within is None else self.within[first]
        if self.within is not None:
            factor = self.drawn[self.stratum[first]]
            found = found + _between(parts, at, inner, factor=factor)
        return found

    def quantile(self, level: float) -> float:
        """The quantile t of Student's distribution with ``P(|T| <= t) = level``; the normal one with many degrees.

        >>> few = UnitDesign(weight=np.ones(6), stratum=np.zeros(6, int), drawn=np.zeros(1))
        >>> round(few.quantile(0.95), 3)
        2.571
        """
        from scipy.special import stdtrit

        if self.degrees > MOST_DEGREES:
            return quantile(level)
        return float(max(stdtrit(self.degrees, (1 + level) / 2), quantile(level)))

    def two_sided(self, ratio: float) -> float:
        """``P(|T| >= |ratio|)`` for an estimate divided by its standard error, by the same distribution."""
        from scipy.special import ndtr, stdtr

        many = self.degrees > MOST_DEGREES
        return float(2 * (ndtr(-abs(ratio)) if many else stdtr(self.degrees, -abs(ratio))))


def stratified_design(stratum: np.ndarray, strata: Strata, *, areas: np.ndarray | None, finite: bool) -> UnitDesign:
    """The design of a stratified random sample, with weights that add up to each stratum's area.

    ``stratum`` gives the position of each unit's stratum, (n,); ``areas`` the area of each, or None.
    """
    size = np.ones(len(stratum)) if areas is None else np.asarray(areas, "float64")
    count, total = (np.bincount(stratum, w, minlength=len(strata.units)) for w in (np.ones(len(stratum)), size))
    with np.errstate(divide="ignore", invalid="ignore"):
        weight = (strata.areas / total)[stratum] * size
    return UnitDesign(weight=weight, stratum=stratum, drawn=count / strata.units * finite)


def ratio_estimate(design: UnitDesign, y: np.ndarray, x: np.ndarray) -> Measure:
    """R = sum w y / sum w x with its standard error: the share of one total in another.

    The variance is that of w (y - R x) / sum w x under the design (Cochran 1977, section 6.13). Times a known total of
    x this is the ratio estimator of the total of y.

    Parameters
    ----------
    design
        How the units were drawn.
    y, x
        What was seen at each unit, per unit of its area, (n,) or (n, v).

    Examples
    --------
    >>> design = UnitDesign(weight=np.full(4, 25.0), stratum=np.zeros(4, int), drawn=np.zeros(1))
    >>> found = ratio_estimate(design, np.array([2.0, 3, 5, 6]), np.array([1.0, 2, 2, 3]))
    >>> float(found.value), round(float(found.se), 4)
    (2.0, 0.2041)
    """
    y, x = np.asarray(y, "float64"), np.asarray(x, "float64")
    flat = y.ndim == 1 and x.ndim == 1
    y, x = np.broadcast_arrays(*(a[:, None] if a.ndim == 1 else a for a in (y, x)))
    w = design.weight[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (w * x).sum(axis=0)
        value = (w * y).sum(axis=0) / total
        variance = design.variance(np.nan_to_num(w * (y - value * x) / total))
        # Where all units agree nothing shows how alike those of a cluster are, so a cluster counts as one unit.
        effective = total**2 / (_by_cluster(design, w * x) ** 2).sum(axis=0)
    found = Measure(
        value=value, se=np.sqrt(variance), effective=np.nan_to_num(effective), bearing=(x > 0).sum(axis=0),
    )  # fmt: skip
    return _first(found) if flat else found


def design_measures(
    design: UnitDesign, mapped: np.ndarray, reference: np.ndarray, *, k: int, inside: np.ndarray | None = None
) -> dict[str, Measure]:
    """The figures of :func:`landweave.accuracy.design_based.stratified.measures` under any design.

    Parameters
    ----------
    design
        How the units were drawn; a stratified one gives the figures of ``measures``.
    mapped, reference
        Position of each unit's map class, 0..k (k is "not mapped"), and of its reference class, 0..k-1, (n,).
    k
        Number of classes.
    inside
        Whether each unit lies in the part that is spoken of, bool (n,); None for the whole.
    """
    here = np.ones(len(mapped)) if inside is None else inside.astype("float64")
    of_map = (mapped[:, None] == np.arange(k)) * here[:, None]
    of_reference = (reference[:, None] == np.arange(k)) * here[:, None]
    right = of_map * of_reference
    omitted = of_reference - right
    w = design.weight[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.nan_to_num((w * omitted).sum(axis=0) ** 2 / (w**2 * omitted).sum(axis=0))
    counted = omitted.sum(axis=0)
    return {
        "overall_accuracy": ratio_estimate(design, right.sum(axis=1), here),
        "users_accuracy": ratio_estimate(design, right, of_map),
        "producers_accuracy": ratio_estimate(design, right, of_reference),
        "f1": ratio_estimate(design, 2 * right, of_map + of_reference),
        "share": ratio_estimate(design, of_reference, here),
        "area": total(design, of_reference, scaled=True),
        "omitted": Measure(value=counted, se=np.zeros(k), effective=effective, bearing=counted),
    }


def total(design: UnitDesign, y: np.ndarray, *, scaled: bool = False) -> Measure:
    """sum w y with its standard error; y (n, v).

    ``scaled``: the weights were scaled to add up to a known area A of each stratum, so that the total is the ratio
    estimator A sum w y / sum w, and its variance that of w (y - sum w y / sum w) (Cochran 1977, section 6.13).
    """
    parts = design.weight[:, None] * y
    sums = parts.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        effective = np.nan_to_num(sums**2 / (parts**2).sum(axis=0))
    linear = parts - _means(parts, design) if scaled else parts
    return Measure(value=sums, se=np.sqrt(design.variance(linear)), effective=effective, bearing=(y > 0).sum(axis=0))


def design_limits(found: Mapping[str, Measure], *, z: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Limits of the figures of :func:`design_measures`: Wilson's, with the sample size that the standard error implies.

    n = p (1 - p) / SE^2 stands for the units (Dean and Pagano 2015, J. Surv. Stat. Methodol. 3:484). Where all units
    agree there is no standard error to go by, and Kish's effective number stands for them. Areas have Wald's.
    ``z`` is the quantile, see :meth:`UnitDesign.quantile`.
    """
    limits = {}
    for name, measure in found.items():
        if name == "area":
            half = z * measure.se
            limits[name] = (np.maximum(measure.value - half, 0), measure.value + half)
        elif name != "omitted":
            units = effective_size(measure.value, measure.se, np.maximum(measure.effective, 1.0))
            limits[name] = wilson(measure.value, np.maximum(units, 1.0), z=z)
    return limits


def design_cells(
    design: UnitDesign, mapped: np.ndarray, reference: np.ndarray, *, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Share of the land in each cell of the error matrix and its standard error, (k + 1, k): map, reference class."""
    flat = (mapped * k + reference)[:, None] == np.arange((k + 1) * k)
    found = ratio_estimate(design, flat, np.ones(len(mapped)))
    return found.value.reshape(k + 1, k), found.se.reshape(k + 1, k)


def _by_cluster(design: UnitDesign, parts: np.ndarray) -> np.ndarray:
    """Sums of clusters, in the order of their numbers, (c, v); the units themselves where there are no clusters."""
    if design.cluster is None:
        return parts
    numbers, at = np.unique(design.cluster, return_inverse=True)
    sums = np.zeros((len(numbers), parts.shape[1]))
    np.add.at(sums, at, parts)
    return sums


def _means(parts: np.ndarray, design: UnitDesign) -> np.ndarray:
    sums, weight = np.zeros((len(design.drawn), parts.shape[1])), np.bincount(design.stratum, design.weight)
    np.add.at(sums, design.stratum, parts)
    mean = sums[: len(weight)] / np.where(weight > 0, weight, 1)[:, None]
    return np.asarray(mean[design.stratum] * design.weight[:, None])


def _between(
    parts: np.ndarray, group: np.ndarray, drawn: np.ndarray, *, factor: np.ndarray | float = 1.0
) -> np.ndarray:
    """Sum over groups of factor (1 - f) n / (n - 1) sum (part - mean)^2; a group of one has no spread to show."""
    h = len(drawn)
    n = np.bincount(group, minlength=h).astype("float64")
    sums, squares = np.zeros((h, parts.shape[1])), np.zeros((h, parts.shape[1]))
    np.add.at(sums, group, parts)
    mean = sums / np.maximum(n, 1)[:, None]
    np.add.at(squares, group, (parts - mean[group]) ** 2)
    scale = factor * np.clip(1 - drawn, 0, 1) * n / np.maximum(n - 1, 1)
    return np.asarray((scale[:, None] * squares).sum(axis=0))


def _first(found: Measure) -> Measure:
    return Measure(value=found.value[0], se=found.se[0], effective=found.effective[0], bearing=found.bearing[0])
