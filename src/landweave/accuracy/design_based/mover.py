"""Intervals of a stratified sample's figures, put together from one interval in each stratum (MOVER).

An interval from the standard error alone fails for rare classes: a sample that holds no omitted unit of a class knows
nothing of its omissions, and the error comes out far too small. Here a stratum without such a unit still has an upper
limit, so what was not seen is allowed for.
"""

from dataclasses import dataclass

import numpy as np

from landweave.accuracy.design_based.intervals import wilson
from landweave.accuracy.design_based.stratified import Strata, Tally, properties

SINGLE = 0.6
"""Where one unit of a kind was seen in a stratum, Wilson's lower limit is too high (Brown, Cai and DasGupta 2001, Stat.
Sci. 16:101, section 4.1.1, replace it too). For parts of ratios it is that of a Beta posterior with this prior on both
sides there: with Jeffreys' 0.5 producer's accuracies of rare classes were covered too often, with 0.7 too seldom."""


FEW = 10
"""Strata with fewer units of a kind are taken together for the lower limit. Apart, each limit is skewed, and a sum of
squares loses that: areas of a class that is missed a little in many strata were covered in 89 of 100 samples."""


@dataclass(frozen=True, kw_only=True)
class _Total:
    """Estimated totals and their limits' distances, (..., v)."""

    value: np.ndarray
    below: np.ndarray
    above: np.ndarray


def intervals(
    strata: Strata,
    whole: Tally,
    *,
    part: Tally | None = None,
    finite: bool = True,
    level: float = 0.95,
    shown: np.ndarray | None = None,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Intervals of all figures that :func:`landweave.accuracy.design_based.stratified.measures` gives.

    Every figure is a / (a + e) with totals a and e of disjoint kinds of units, such as "mapped right" and "omitted".
    A total is a sum over strata A_h p_h. With limits (l_h, u_h) of each p_h its own limits are

        a - sqrt(sum A_h^2 (p_h - l_h)^2)  and  a + sqrt(sum A_h^2 (u_h - p_h)^2)

    (method of variance estimates recovery: Zou and Donner 2008, Stat. Med. 27:1693). The limits of a / (a + e) are the
    values t at which (1 - t) a - t e has 0 as a limit, with the correlation of a and e (Donner and Zou 2012, Stat.
    Methods Med. Res. 21:347, section 3). For the accuracy within one stratum this is Wilson's interval itself.

    Strata where fewer than :data:`FEW` units are of the kind are one term of the first sum, with the effective number
    of their units. Limits within a stratum are Wilson's (1927); for producer's accuracy and F1 lowered where a single
    unit was seen (:data:`SINGLE`). A stratum counts as if it had n_h / (1 - n_h / N_h) units, with n_h the effective
    number where units differ in size. Where each stratum shows one class of the map, as it does where the strata are
    the map's classes, no other map class is possible there; else any class that the map may have is possible in every
    stratum, for a rare one may be met by no unit. A reference class is always possible.

    Parameters
    ----------
    strata, whole, part, finite
        As for :func:`landweave.accuracy.design_based.stratified.measures`.
    level
        Coverage, 0..1.
    shown
        Whether the map has each class, bool (k,), where its classes are not the strata; None where they may be, and
        where they prove not to be every class counts as shown.

    Returns
    -------
    dict
        Name to lower and upper limits of the shape of the measure's values; NaN where nothing bears on it.

    Examples
    --------
    >>> count = np.zeros((1, 3, 2))
    >>> count[0, 0, 0] = 10
    >>> strata = Strata(units=np.array([1e9]), areas=np.array([1.0]))
    >>> low, high = intervals(strata, Tally(count=count, area=count, square=count))["users_accuracy"]
    >>> low.round(4).tolist(), high.tolist()  # Wilson's interval of 10 of 10; no unit is mapped as the second class
    ([0.7225, nan], [1.0, nan])
    """
    tallied = whole if part is None else part
    k = tallied.count.shape[-1]
    limits = _Limits(strata, whole, tallied, finite=finite, level=level, shown=shown)
    found = {}
    for name, (y, x) in properties(k).items():
        low, high = limits.of_ratio(y, x, lowered=name in {"producers_accuracy", "f1"})
        found[name] = (low[..., 0], high[..., 0]) if name == "overall_accuracy" else (low, high)
    of_reference = properties(k)["share"][0]
    area = limits.of_total(of_reference)
    found["area"] = (np.maximum(area.value - area.below, 0), area.value + area.above)
    return found


class _Limits:
    """Limits of totals and ratios of one sample; properties are (v, m, k), results (..., v)."""

    def __init__(
        self, strata: Strata, whole: Tally, part: Tally, *, finite: bool, level: float, shown: np.ndarray | None
    ) -> None:
        area, square = (t.sum(axis=(-1, -2))[..., None] for t in (whole.area, whole.square))
        left = 1 - whole.count.sum(axis=(-1, -2))[..., None] / strata.units[:, None] if finite else np.ones_like(area)
        with np.errstate(divide="ignore"):
            self._n = np.where(left > 0, area**2 / square / np.where(left > 0, left, 1.0), np.inf)
        self._weight, self._sampled, self._part, self._level = strata.areas[:, None], area, part, level
        seen = whole.count.sum(axis=-1) > 0
        pure = (seen.sum(axis=-1) <= 1).all(axis=-1)[..., None, None] & (shown is None)
        of_map = np.append(np.ones(seen.shape[-1] - 1, bool) if shown is None else shown, False)
        self._can_be = np.where(pure, seen, seen.any(axis=-2, keepdims=True) | of_map)

    def of_total(self, y: np.ndarray, *, lowered: bool = False) -> _Total:
        p, possible = self._rate(y), self._possible(y)
        low, high = self._of_rate(p, self._n, lowered=lowered)
        few = (p > 0) & (p < 0.5) & (self._n < FEW / np.where(p > 0, p, 1.0))
        scale = y.reshape(len(y), -1).max(axis=-1, initial=0.0)
        below = (self._weight**2 * np.where(possible & ~few, p - low, 0) ** 2).sum(axis=-2)
        above = (self._weight**2 * np.where(possible, high - p, 0) ** 2).sum(axis=-2)
        return _Total(
            value=scale * (self._weight * p).sum(axis=-2),
            below=scale * np.sqrt(below + self._below_few(p, few, lowered=lowered) ** 2),
            above=scale * np.sqrt(above),
        )

    def _below_few(self, p: np.ndarray, few: np.ndarray, *, lowered: bool) -> np.ndarray:
        """How far the lower limit lies below, for the strata where few units have the property: as if they were one.

        Its units weigh sum A_h^2 p_h / n_h over sum A_h p_h, so that (sum w)^2 / sum w^2 of them were seen.
        """
        total = (self._weight * np.where(few, p, 0)).sum(axis=-2)
        weight = (self._weight**2 * np.where(few, p / self._n, 0)).sum(axis=-2)
        there = total > 0
        weight = np.where(there, weight / np.where(there, total, 1.0), 1.0)
        n = np.where(there, (self._weight * few).sum(axis=-2) / weight, 1.0)
        low, _ = self._of_rate(total / weight / n, n, lowered=lowered)
        return np.where(there, total - low * weight * n, 0.0)

    def of_ratio(self, y: np.ndarray, x: np.ndarray, *, lowered: bool) -> tuple[np.ndarray, np.ndarray]:
        a, e = self.of_total(y, lowered=lowered), self.of_total(x - y, lowered=lowered)
        r = self._correlation(y, x - y)
        least, most = _odds(a, e, r)
        nothing = a.value + e.value <= 0
        low, high = 1 / (1 + most), 1 / (1 + least)
        return np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)

    def _correlation(self, y: np.ndarray, rest: np.ndarray) -> np.ndarray:
        """Correlation of the estimated totals of two kinds of units, which exclude each other."""
        p, q = self._rate(y), self._rate(rest)
        factor = self._weight**2 / self._n
        both, of_p, of_q = ((factor * v).sum(axis=-2) for v in (-p * q, p * (1 - p), q * (1 - q)))
        with np.errstate(invalid="ignore", divide="ignore"):
            r = np.nan_to_num(both / np.sqrt(of_p * of_q), nan=0.0, posinf=0.0, neginf=0.0)
        # Where the two are all that a stratum can hold, one is what the other is not, however few units there are.
        can = self._possible(y), self._possible(rest)
        whole = (can[0] == can[1]) & (~can[0] | (np.abs(p + q - 1) < 1e-9))
        return np.where(whole.all(axis=-2) & can[0].any(axis=-2), -1.0, np.clip(r, -1, 0))

    def _rate(self, y: np.ndarray) -> np.ndarray:
        """Share of a stratum's sampled area that has a property; (..., h, v)."""
        flat = self._part.area.reshape(*self._part.area.shape[:-2], -1)
        return np.asarray(np.clip(flat @ (y > 0).reshape(len(y), -1).T.astype("float64") / self._sampled, 0, 1))

    def _possible(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(self._can_be @ (y > 0).any(axis=-1).T)

    def _of_rate(self, p: np.ndarray, n: np.ndarray, *, lowered: bool) -> tuple[np.ndarray, np.ndarray]:
        n = np.broadcast_to(n, p.shape)
        known = np.isinf(n)
        units = np.where(known, 1.0, n)
        low, high = wilson(p, units, level=self._level)
        if lowered:
            from scipy.special import betaincinv

            seen = p * units
            single = betaincinv(seen + SINGLE, units - seen + SINGLE, (1 - self._level) / 2)
            # Effective numbers of units are no whole numbers: between one and two the limits are mixed.
            low = low + np.clip(2 - seen, 0, 1) * (np.minimum(single, low) - low)
        low, high = np.where(p <= 0, 0.0, np.minimum(low, p)), np.where(p >= 1, 1.0, np.maximum(high, p))
        return np.where(known, p, low), np.where(known, p, high)


def _odds(a: _Total, e: _Total, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Odds e / a at the limits of a / (a + e), the smallest and the largest, (..., v).

    Solutions o >= 0 of (o a - e)^2 = o^2 d^2 + s^2 - 2 r o d s. For the largest, d is the distance of a's lower limit
    and s that of e's upper limit; for the smallest the other two.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        second, first, zeroth = _coefficients(a.value, e.value, a.below, e.above, r)
        root = np.sqrt(np.maximum(first**2 - second * zeroth, 0))
        # Where a's lower limit is 0 nothing bounds the odds.
        most = np.where(second > 0, (first + root) / np.where(second > 0, second, 1.0), np.inf)
        second, first, zeroth = _coefficients(a.value, e.value, a.above, e.below, r)
        root = np.sqrt(np.maximum(first**2 - second * zeroth, 0))
        # The root written so that it holds for any sign of the first coefficient.
        least = np.where(zeroth > 0, np.where(first + root > 0, zeroth / (first + root), np.inf), 0.0)
    return least, most


def _coefficients(
    a: np.ndarray, e: np.ndarray, d: np.ndarray, s: np.ndarray, r: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return a**2 - d**2, a * e - r * d * s, e**2 - s**2
