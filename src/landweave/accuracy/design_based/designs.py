"""How many units to label, and how to divide them over the strata."""

import math
from collections.abc import Sequence

import numpy as np

from landweave.errors import InputError

ALLOCATIONS = ("proportional", "equal", "neyman", "power")
"""Ways to divide a sample: by area, evenly, by area times standard deviation, or by the square root of area."""


def sample_size(
    shares: Sequence[float] | np.ndarray,
    accuracies: Sequence[float] | np.ndarray,
    *,
    se: float,
    population: float | None = None,
) -> float:
    """n = (sum W_i S_i)^2 / (SE^2 + sum W_i S_i^2 / N), S_i = sqrt(U_i (1 - U_i)).

    The units that a stratified sample needs for a standard error of the overall accuracy if they are divided by
    Neyman's allocation (Cochran 1977, equation 5.25; Olofsson et al. 2014, equation 13, without the term in N). Any
    other allocation needs more: see :func:`smallest_size`.

    Parameters
    ----------
    shares
        Area of each stratum as a share of all, (h,); they are divided by their sum.
    accuracies
        User's accuracy that is expected in each stratum, (h,), 0..1.
    se
        Target, above 0.
    population
        Units in all, N; None for a population without end.

    Returns
    -------
    float
        To be rounded up.

    Raises
    ------
    InputError
        For a share that is negative, an accuracy outside 0..1, or a target that is not above 0.

    Examples
    --------
    >>> round(sample_size([0.02, 0.015, 0.32, 0.645], [0.7, 0.6, 0.9, 0.95], se=0.01), 2)
    640.54
    """
    weight, spread = _checked(shares, accuracies)
    _check_target(se)
    finite = 0.0 if population is None else float((weight * spread**2).sum()) / population
    return float((weight * spread).sum()) ** 2 / (se**2 + finite)


def class_sizes(accuracies: Sequence[float] | np.ndarray, *, se: float) -> np.ndarray:
    """n_i = U_i (1 - U_i) / SE^2 + 1, rounded up: units of each stratum for a standard error of its user's accuracy.

    >>> class_sizes([0.7, 0.95], se=0.05).tolist()
    [85, 20]
    """
    _, spread = _checked(np.ones(len(accuracies)), accuracies)
    _check_target(se)
    # Rounded before the ceiling, so that 84.00000000000001 does not become 85.
    return np.maximum(np.ceil(np.round(spread**2 / se**2 + 1, 9)), 2).astype("int64")


def allocate(
    n: int,
    shares: Sequence[float] | np.ndarray,
    *,
    method: str = "proportional",
    accuracies: Sequence[float] | np.ndarray | None = None,
    minimum: int | Sequence[int] | np.ndarray = 2,
    units: Sequence[int] | np.ndarray | None = None,
) -> np.ndarray:
    """Divide a sample over the strata; what falls short of the minimum gets it, the rest is divided among the others.

    Parameters
    ----------
    n
        Units in all.
    shares
        Area of each stratum as a share of all, (h,).
    method
        ``proportional`` to area; ``equal``; ``neyman``: proportional to W_i S_i, which makes the standard error of
        the overall accuracy smallest (Cochran 1977, equation 5.26); or ``power``: to the square root of the area, a
        compromise between the first two (Bankier 1988, The American Statistician 42:174, with the power 1/2 and one
        coefficient of variation).
    accuracies
        User's accuracy expected in each stratum, (h,); needed for ``neyman``.
    minimum
        Fewest units of a stratum, one number or one each; good practice is 50 to 100 for rare classes (Olofsson et
        al. 2014, section 5.1.2).
    units
        Units that each stratum has; none gets more.

    Returns
    -------
    numpy.ndarray
        int64 (h,); the sum is ``n``, or all units where there are not so many.

    Raises
    ------
    InputError
        When the method is unknown, or ``n`` is less than the minima together.

    Examples
    --------
    >>> allocate(641, [0.02, 0.015, 0.32, 0.645]).tolist()
    [13, 10, 205, 413]
    >>> allocate(640, [0.02, 0.015, 0.32, 0.645], minimum=75).tolist()
    [75, 75, 162, 328]
    """
    weight, spread = _checked(shares, np.full(len(shares), 0.5) if accuracies is None else accuracies)
    if method not in ALLOCATIONS:
        raise InputError(f"allocation {method!r} is unknown; choose one of {', '.join(ALLOCATIONS)}.")
    if method == "neyman" and accuracies is None:
        raise InputError("allocation neyman needs the expected user's accuracy of each class.")
    size = {
        "proportional": weight, "equal": np.ones(len(weight)), "neyman": weight * spread, "power": np.sqrt(weight),
    }[method]  # fmt: skip
    asked = np.broadcast_to(np.asarray(minimum, "int64"), weight.shape)
    most = np.maximum(asked, n) if units is None else np.asarray(units, "int64")
    least = np.minimum(asked, most)
    if n < least.sum():
        raise InputError(f"a sample of {n} is too small: the minimum of each class adds up to {least.sum()}.")
    if n >= most.sum():
        return most.copy()
    fixed = np.full(len(weight), -1, "int64")
    while True:
        free = fixed < 0
        left = n - fixed[~free].sum()
        wanted = np.where(free, _divided(left, np.where(free, size, 0.0), free), fixed)
        over, under = free & (wanted > most), free & (wanted < least)
        # Raising the short ones takes from the others, lowering the long ones gives: first what weighs more.
        short, long = (least - wanted)[under].sum(), (wanted - most)[over].sum()
        if not (over.any() or under.any()):
            return _rounded(wanted, fixed, n, most)
        if long > short:
            fixed[over] = most[over]
        else:
            fixed[under] = least[under]


def smallest_size(
    shares: Sequence[float] | np.ndarray,
    accuracies: Sequence[float] | np.ndarray,
    *,
    se: float,
    method: str = "proportional",
    minimum: int | Sequence[int] | np.ndarray = 2,
    units: Sequence[int] | np.ndarray | None = None,
) -> int:
    """The smallest sample whose own division promises a standard error of the overall accuracy of at most ``se``.

    Found by bisection over :func:`allocate` and :func:`anticipated` (V = sum W_i^2 S_i^2 / n_i, Cochran 1977,
    equation 5.6).

    Parameters
    ----------
    shares, accuracies, se
        As for :func:`sample_size`.
    method, minimum, units
        As for :func:`allocate`; with ``units`` the correction for a finite population counts, and the answer is at
        most all of them.

    Raises
    ------
    InputError
        As :func:`sample_size` and :func:`allocate`; when so small a target needs more than 2^60 units.

    Examples
    --------
    >>> shares, accuracies = [0.02, 0.015, 0.32, 0.645], [0.7, 0.6, 0.9, 0.95]
    >>> smallest_size(shares, accuracies, se=0.01, minimum=75), smallest_size(shares, accuracies, se=0.01)
    (737, 682)
    """
    weight, _ = _checked(shares, accuracies)
    _check_target(se)
    most = None if units is None else np.asarray(units, "int64")
    least = np.broadcast_to(np.maximum(np.asarray(minimum, "int64"), 2), weight.shape)
    low = int((least if most is None else np.minimum(least, most)).sum())

    def promises(n: int) -> bool:
        sizes = allocate(n, weight, method=method, accuracies=accuracies, minimum=least, units=most)
        return anticipated(np.maximum(sizes, 2), weight, accuracies, units=most)[0] <= se

    high = max(low, 2)
    while not promises(high):
        if most is not None and high >= most.sum():
            return int(most.sum())
        if high >= 2**60:
            raise InputError(f"the target standard error {se:g} needs too many units; give a larger one.")
        low, high = high + 1, 2 * high
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if promises(middle) else (middle + 1, high)
    return high


def anticipated(
    sizes: Sequence[int] | np.ndarray,
    shares: Sequence[float] | np.ndarray,
    accuracies: Sequence[float] | np.ndarray,
    *,
    units: Sequence[int] | np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """Standard errors that a division of the sample promises, if the expected user's accuracies hold.

    V(U_i) = (1 - n_i / N_i) U_i (1 - U_i) / (n_i - 1), V(O) = sum W_i^2 V(U_i) (Olofsson et al. 2014, equations 5 and
    6; the factor in N_i of Cochran 1977, equation 5.6).

    Parameters
    ----------
    sizes
        Units of each stratum, (h,), at least 2.
    shares, accuracies
        As for :func:`sample_size`.
    units
        Units that each stratum has, N_i; None for strata without end.

    Returns
    -------
    overall
        Standard error of the overall accuracy.
    users
        Of each user's accuracy, (h,).

    Examples
    --------
    >>> overall, users = anticipated([75, 75, 165, 325], [0.02, 0.015, 0.32, 0.645], [0.7, 0.6, 0.9, 0.95])
    >>> round(overall, 6), users.round(3).tolist()
    (0.010911, [0.053, 0.057, 0.023, 0.012])
    """
    weight, spread = _checked(shares, accuracies)
    drawn = np.asarray(sizes, "float64")
    left = 1.0 if units is None else np.maximum(1 - drawn / np.asarray(units, "float64"), 0)
    users = spread * np.sqrt(left / (drawn - 1))
    return math.sqrt(float((weight**2 * users**2).sum())), users


def expected_omitted(
    sizes: Sequence[int] | np.ndarray,
    shares: Sequence[float] | np.ndarray,
    accuracies: Sequence[float] | np.ndarray,
    *,
    omission: float,
) -> np.ndarray:
    """Units of each class that a sample can be expected to find in the strata of other classes.

    Of a class with the mapped share W and the user's accuracy U, W U / (1 - omission) of the land is there and that
    times the omission is mapped as another class, here in proportion to the area of the others.

    Parameters
    ----------
    sizes
        Units of each stratum, (h,).
    shares, accuracies
        As for :func:`sample_size`.
    omission
        Share of each class that the map misses, 0 to below 1.

    Examples
    --------
    >>> expected_omitted([478, 332, 50, 50], [0.59, 0.397, 0.01, 0.003], [0.9, 0.9, 0.8, 0.8], omission=0.1).round(2)
    array([62.17, 38.05,  0.77,  0.23])
    """
    weight, _ = _checked(shares, accuracies)
    if not 0 <= omission < 1:
        raise InputError(f"the omission is {omission}; give a share from 0 to below 1, such as 0.1.")
    n, users = np.asarray(sizes, "float64"), np.asarray(accuracies, "float64")
    missed = weight * users / (1 - omission) * omission
    others = 1 - weight
    return np.asarray(np.where(others > 0, (n.sum() - n) * missed / np.where(others > 0, others, 1.0), 0.0))


def _divided(n: float, size: np.ndarray, free: np.ndarray) -> np.ndarray:
    total = size.sum()
    # Strata without any spread share evenly what is left.
    return np.asarray(n * (size / total if total > 0 else free / max(free.sum(), 1)))


def _rounded(wanted: np.ndarray, fixed: np.ndarray, n: int, most: np.ndarray) -> np.ndarray:
    """Whole numbers by largest remainder, the first of equals, the sum kept."""
    whole = np.floor(wanted + 1e-9).astype("int64")
    rest = np.where((fixed < 0) & (whole < most), wanted - whole, -1.0)
    order = np.argsort(-rest, kind="stable")
    whole[order[: int(n - whole.sum())]] += 1
    return whole


def _checked(
    shares: Sequence[float] | np.ndarray, accuracies: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Weights that sum to 1, and the standard deviation of "mapped right" within each stratum."""
    weight, users = np.asarray(shares, "float64"), np.asarray(accuracies, "float64")
    if weight.ndim != 1 or weight.shape != users.shape or not len(weight):
        raise InputError(f"{weight.size} shares and {users.size} accuracies; give one of each per class.")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.sum() > 0):
        raise InputError(f"shares {weight.tolist()}: give numbers of 0 or more, at least one above 0.")
    if not ((users >= 0) & (users <= 1)).all():
        raise InputError(f"accuracies {users.tolist()}: give numbers between 0 and 1.")
    return weight / weight.sum(), np.sqrt(users * (1 - users))


def _check_target(se: float) -> None:
    if not 0 < se < 1:
        raise InputError(f"the target standard error is {se}; give a number above 0, such as 0.01.")
