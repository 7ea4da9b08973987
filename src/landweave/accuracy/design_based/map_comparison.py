"""Two maps judged by one sample: the difference of their accuracies, its error, and what difference could be seen."""

import math
from dataclasses import dataclass

import numpy as np

from landweave.accuracy.design_based.intervals import quantile
from landweave.accuracy.design_based.linear import UnitDesign
from landweave.errors import InputError

POWER = 0.8
"""Chance of seeing a difference that the smallest detectable one is stated for."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """First less second."""

    value: float
    """NaN where one of the two figures does not exist."""
    se: float
    p: float
    """Chance of so large a difference, either way, between maps that are equally accurate; NaN without an error."""


@dataclass(frozen=True, kw_only=True)
class McNemar:
    """Units where just one of two maps is right."""

    only_first: int
    only_second: int
    p: float
    """Two-sided exact p-value; 1 where the maps do not differ at any unit."""


def paired_difference(
    design: UnitDesign, first: tuple[np.ndarray, np.ndarray], second: tuple[np.ndarray, np.ndarray]
) -> Difference:
    """R_1 - R_2, two ratios of totals of one sample, with the error of their difference.

    Both are figures of the same units, so what they share cancels: the variance is that of the difference of the
    linearised parts, w (y_1 - R_1 x_1) / X_1 - w (y_2 - R_2 x_2) / X_2 (Stehman 1997, Remote Sens. Environ. 60:258, for
    a paired sample; Saerndal, Swensson and Wretman 1992, chapter 5.5, for linearised parts).

    Parameters
    ----------
    design
        How the units were drawn.
    first, second
        Numerator and denominator of each figure at each unit, (n,).

    Examples
    --------
    >>> design = UnitDesign(weight=np.ones(10), stratum=np.zeros(10, int), drawn=np.zeros(1))
    >>> right_1, right_2 = np.array([1.0] * 9 + [0]), np.array([1.0] * 6 + [0] * 3 + [1])
    >>> found = paired_difference(design, (right_1, np.ones(10)), (right_2, np.ones(10)))
    >>> round(found.value, 3), round(found.se, 4)
    (0.2, 0.2)
    """
    parts, value = np.zeros(len(design.weight)), 0.0
    for sign, (y, x) in ((1.0, first), (-1.0, second)):
        total = float((design.weight * x).sum())
        if not total > 0:
            return Difference(value=math.nan, se=math.nan, p=math.nan)
        ratio = float((design.weight * y).sum()) / total
        parts = parts + sign * design.weight * (y - ratio * x) / total
        value += sign * ratio
    se = math.sqrt(max(float(design.variance(parts[:, None])[0]), 0.0))
    return Difference(value=value, se=se, p=_two_sided(value, se, design))


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """McNemar's exact test: of the units where just one map is right, as many should fall to either.

    McNemar 1947, Psychometrika 12:153; exact by the binomial distribution.
    It counts units alike, so it speaks of the land only where all units had the same chance to be drawn.

    Parameters
    ----------
    first, second
        Whether each map is right at each unit, bool (n,).

    Examples
    --------
    >>> found = mcnemar(np.array([True] * 8 + [False] * 2), np.array([False] * 8 + [True] * 2))
    >>> found.only_first, found.only_second, round(found.p, 4)
    (8, 2, 0.1094)
    """
    from scipy.special import bdtr

    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    p = 1.0 if b + c == 0 else min(1.0, 2 * float(bdtr(min(b, c), b + c, 0.5)))
    return McNemar(only_first=b, only_second=c, p=p)


def detectable_difference(
    se: float, *, level: float = 0.95, power: float = POWER, design: UnitDesign | None = None
) -> float:
    """(z_level + z_power) SE: the smallest true difference that a sample shows with this chance.

    With a difference d and a standard error SE, an interval of this level leaves out 0 with the chance ``power``
    (Cohen 1988, Statistical power analysis, chapter 6).

    Parameters
    ----------
    se
        Standard error of the difference, 0 or more.
    level
        Coverage of the interval, 0..1.
    power
        Chance, 0.5..1.
    design
        With one, quantiles are those of Student's t with its degrees of freedom.

    Raises
    ------
    InputError
        For a power outside 0.5..1.

    Examples
    --------
    >>> round(detectable_difference(0.01), 4)
    0.028
    """
    if not 0.5 <= power < 1:
        raise InputError(f"the power is {power}; give a number from 0.5 to below 1, such as 0.8.")
    of = quantile if design is None else design.quantile
    return (of(level) + of(2 * power - 1)) * se


def difference_error(n: int, accuracy: float, *, agreement: float | None = None) -> float:
    """Standard error of the difference of two maps of about the same accuracy, for planning.

    One sample of n units judges both: sqrt(share of units where just one map is right / n). With ``agreement``, the
    share of units where both maps show the same class, at most 1 - agreement of the units can differ so, and that is
    taken. Without, the maps' errors are taken as independent: 2 a (1 - a). Weights are taken as equal.

    >>> round(difference_error(1000, 0.85), 4), round(difference_error(1000, 0.85, agreement=0.9), 4)
    (0.016, 0.01)
    """
    if n < 2 or not 0 <= accuracy <= 1 or not (agreement is None or 0 <= agreement <= 1):
        raise InputError(
            f"{n} units, accuracy {accuracy}, agreement {agreement}: give 2 units or more, and shares 0..1."
        )
    apart = 2 * accuracy * (1 - accuracy)
    return math.sqrt((apart if agreement is None else min(1 - agreement, apart)) / n)


def _two_sided(value: float, se: float, design: UnitDesign) -> float:
    if not se > 0:
        return 1.0 if value == 0 else math.nan
    return design.two_sided(value / se)
