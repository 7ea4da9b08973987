"""The stratified estimator: sums over a labelled sample -> shares, areas and accuracies with standard errors."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Strata:
    """What was known before the sample was drawn."""

    units: np.ndarray
    """Units (pixels) of each stratum, (h,), at least 1."""

    areas: np.ndarray
    """Area of each stratum, any unit, (h,)."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums over sampled units by stratum, map class and reference class; (..., h, m, k).

    There are m = k + 1 map classes: the last is "not mapped". Leading axes hold other samples of the same design.
    """

    count: np.ndarray
    """Units."""

    area: np.ndarray
    """Sum of the units' areas, in any unit that is the same within a stratum."""

    square: np.ndarray
    """Sum of the squares of the units' areas."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One kind of figure; arrays of the leading axes, and where it is given by class (..., k)."""

    value: np.ndarray
    """The estimate; NaN where nothing bears on it."""

    se: np.ndarray
    """Its standard error."""

    effective: np.ndarray
    """Units behind it, discounted for unequal weights: (sum w)^2 / sum w^2 (Kish 1965, section 11.7)."""

    bearing: np.ndarray
    """Units behind it, counted."""


def tally(
    stratum: np.ndarray, mapped: np.ndarray, reference: np.ndarray, *, h: int, k: int, areas: np.ndarray | None = None
) -> Tally:
    """Sums over a sample.

    Parameters
    ----------
    stratum, mapped, reference
        Position of each unit's stratum 0..h-1, map class 0..k (k is "not mapped") and reference class 0..k-1, (n,).
    h, k
        Number of strata and of classes.
    areas
        Area of each unit, (n,), any unit; None where all are of one size.
    """
    shape = (h, k + 1, k)
    cell = np.ravel_multi_index((stratum, mapped, reference), shape) if len(stratum) else np.zeros(0, "int64")
    size = np.ones(len(cell)) if areas is None else np.asarray(areas, "float64")
    sums = [np.bincount(cell, w, minlength=h * (k + 1) * k).reshape(shape) for w in (np.ones_like(size), size, size**2)]
    return Tally(count=sums[0], area=sums[1], square=sums[2])


def measures(strata: Strata, whole: Tally, *, part: Tally | None = None, finite: bool = True) -> dict[str, Measure]:
    """Overall, user's, producer's accuracy, F1, share and area of the classes, for the whole or for a part of it.

    Every figure is a ratio Y / X of estimated totals sum_h A_h r_h, where r_h is the sampled area of a stratum that
    has the property, divided by its sampled area. The variance is that of the linearised residuals
    (y - Y/X x) / X within strata (Cochran 1977, sections 5A.2 and 6.11; Stehman 2014, equations 25 and 28). With
    strata that are the map's classes this is Olofsson et al. 2013 and 2014 (equations 5 to 11), digit by digit; with
    units of different size it is the separate ratio estimator in their area. A part (a district) is a domain:
    units outside it count as zeros in their strata, so that the chance of how many fell inside is in the variance.

    Parameters
    ----------
    strata
        Sizes of the strata.
    whole
        The whole sample; at least two units in each stratum, or all of them.
    part
        Those of its units that lie in the part; None for the whole.
    finite
        Whether a stratum that was sampled to the last unit has no sampling error: the factor 1 - n_h / N_h.

    Returns
    -------
    dict
        ``overall_accuracy``, ``users_accuracy``, ``producers_accuracy``, ``f1``, ``share`` (of the whole or the part)
        and ``area`` (in the strata's unit: estimated totals, which add up over parts); ``omitted``: reference units
        of the class that are mapped as another, as value counted, as effective discounted for unequal weights.
    """
    tallied = whole if part is None else part
    k = tallied.count.shape[-1]
    ratio = _Ratio(strata, whole, tallied, finite=finite)
    kinds = properties(k)
    found = {name: ratio(y, x) for name, (y, x) in kinds.items()}
    of_reference, (right, _) = kinds["share"][0], kinds["producers_accuracy"]
    found["area"] = ratio(of_reference, np.zeros_like(of_reference), denominator=1.0)
    found["omitted"] = ratio.count(of_reference - right)
    overall = found["overall_accuracy"]
    found["overall_accuracy"] = Measure(
        value=overall.value[..., 0], se=overall.se[..., 0],
        effective=overall.effective[..., 0], bearing=overall.bearing[..., 0],
    )  # fmt: skip
    return found


def properties(k: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Figures as ratios Y / X: what a unit in a cell of the error matrix adds to either, two arrays (v, k + 1, k).

    v is 1 for the overall accuracy and k for the others; y is at most x.
    """
    one = np.ones((k + 1, k))
    of_reference = np.broadcast_to(np.eye(k)[:, None, :], (k, k + 1, k))
    of_map = np.broadcast_to(np.eye(k, k + 1)[:, :, None], (k, k + 1, k))
    right = of_reference * of_map
    return {
        "overall_accuracy": (right.sum(axis=0)[None], one[None]),
        "users_accuracy": (right, of_map),
        "producers_accuracy": (right, of_reference),
        "f1": (2 * right, of_map + of_reference),
        "share": (of_reference, np.broadcast_to(one, (k, k + 1, k))),
    }


def cell_shares(strata: Strata, whole: Tally, *, finite: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Share of the land in each cell of the error matrix, and its standard error; (..., m, k)."""
    m, k = whole.count.shape[-2:]
    each = np.eye(m * k).reshape(m * k, m, k)
    found = _Ratio(strata, whole, whole, finite=finite)(each, np.ones_like(each))
    shape = (*found.value.shape[:-1], m, k)
    return found.value.reshape(shape), found.se.reshape(shape)


class _Ratio:
    """Ratios of totals of one sample; properties y and x are (v, m, k), results (..., v)."""

    def __init__(self, strata: Strata, whole: Tally, part: Tally, *, finite: bool) -> None:
        self._n = whole.count.sum(axis=(-1, -2))
        self._area, self._square = whole.area.sum(axis=(-1, -2)), whole.square.sum(axis=(-1, -2))
        self._part = part
        # What a sampled unit of area stands for.
        self._g = strata.areas / self._area
        left = 1 - self._n / strata.units if finite else 1.0
        # A stratum of one unit, which is sampled, has no error; without it the factor would be 0 / 0.
        self._factor = self._g**2 * np.maximum(left, 0) * self._n / np.maximum(self._n - 1, 1)

    def __call__(self, y: np.ndarray, x: np.ndarray, *, denominator: float | None = None) -> Measure:
        of_y, of_x = _sums(self._part.area, y), _sums(self._part.area, x)
        total_y, total_x = self._total(of_y), self._total(of_x)
        with np.errstate(invalid="ignore", divide="ignore"):
            if denominator is not None:
                total_x = np.full_like(total_y, denominator)
            value = total_y / total_x
            r = value[..., None, :] if denominator is None else np.zeros_like(value)[..., None, :]
            mean = (of_y - r * of_x) / self._area[..., None]
            squares, crossed = _sums(self._part.square, y), _sums(self._part.square, x)
            spread = (
                _sums(self._part.square, y * y) - 2 * r * _sums(self._part.square, x * y)
                + r**2 * _sums(self._part.square, x * x)
                - 2 * mean * (squares - r * crossed) + mean**2 * self._square[..., None]
            )  # fmt: skip
            variance = (self._factor[..., None] * np.maximum(spread, 0)).sum(axis=-2) / total_x**2
            return self._measure(value, np.sqrt(variance), x if denominator is None else y)

    def count(self, x: np.ndarray) -> Measure:
        """How many units have a property."""
        bearing = self._bearing(x)
        return self._measure(bearing, np.zeros_like(bearing), x)

    def _measure(self, value: np.ndarray, se: np.ndarray, x: np.ndarray) -> Measure:
        weight, squares = self._total(_sums(self._part.area, x)), _sums(self._part.square, x * x)
        with np.errstate(invalid="ignore", divide="ignore"):
            effective = weight**2 / (self._g[..., None] ** 2 * squares).sum(axis=-2)
        return Measure(value=value, se=se, effective=np.nan_to_num(effective, nan=0.0), bearing=self._bearing(x))

    def _bearing(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(_sums(self._part.count, (x > 0).astype("float64")).sum(axis=-2))

    def _total(self, sums: np.ndarray) -> np.ndarray:
        return np.asarray((self._g[..., None] * sums).sum(axis=-2))


def _sums(table: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Sum over the cells (..., h, m, k) of a property (v, m, k); (..., h, v)."""
    flat = table.reshape(*table.shape[:-2], -1)
    return np.asarray(flat @ y.reshape(len(y), -1).T)
