"""Figures of a district from its cells: the strata within it, whose areas the map knows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from landweave.accuracy.design_based.stratified import Strata, Tally

FEWEST = 2
"""A cell with fewer units has no variance of its own, so it takes the units of its whole stratum."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The strata of one district, as a stratified sample of its own."""

    rows: np.ndarray
    """Units of the sample that speak of the cells, int64 (r,); one may be from outside the district."""

    position: np.ndarray
    """Cell of each, int64 (r,), 0..c-1."""

    strata: Strata
    """Sizes of the cells."""

    borrowed: np.ndarray
    """Whether a cell takes the units of its whole stratum, bool (c,)."""

    keys: tuple[int, ...]
    """Stratum of each cell, as the position in the design."""


def cells_of(
    stratum: np.ndarray, inside: np.ndarray, *, strata: Strata, areas: Mapping[int, tuple[float, float]]
) -> Cells:
    """The cells of a district: a stratum of the design each, as far as it lies in the district.

    Given how many units fell into each cell, a stratified random sample is one of the cells too (post-stratification by
    stratum x district; Saerndal, Swensson and Wretman 1992, chapter 10.6; Cochran 1977, section 5A.9). The chance of
    how many units fall into a district is then no part of the error, because the areas of the cells are known.

    Parameters
    ----------
    stratum
        Position of the stratum of each unit, (n,).
    inside
        Whether the unit lies in the district, bool (n,).
    strata
        Sizes of the strata.
    areas
        Units and area of each stratum within the district, by position; the area in the unit of ``strata``.

    Examples
    --------
    >>> strata = Strata(units=np.array([900.0, 100.0]), areas=np.array([9.0, 1.0]))
    >>> cells = cells_of(np.array([0, 0, 0, 1, 1]), np.array([True, True, False, True, False]), strata=strata,
    ...                  areas={0: (400, 4.0), 1: (50, 0.5)})
    >>> cells.rows.tolist(), cells.position.tolist(), cells.borrowed.tolist()
    ([0, 1, 3, 4], [0, 0, 1, 1], [False, True])
    """
    keys = tuple(sorted(key for key, (_, area) in areas.items() if area > 0))
    rows, position, units, borrowed = [], [], [], []
    for cell, key in enumerate(keys):
        own = np.flatnonzero((stratum == key) & inside)
        lacks = len(own) < min(FEWEST, areas[key][0])
        used = np.flatnonzero(stratum == key) if lacks else own
        rows.append(used)
        position.append(np.full(len(used), cell))
        units.append(strata.units[key] if lacks else max(areas[key][0], len(own)))
        borrowed.append(lacks)
    return Cells(
        rows=np.concatenate([np.zeros(0, "int64"), *rows]),
        position=np.concatenate([np.zeros(0, "int64"), *position]),
        strata=Strata(units=np.array(units, "float64"), areas=np.array([areas[key][1] for key in keys], "float64")),
        borrowed=np.array(borrowed, bool),
        keys=keys,
    )


def share_intervals(sample: Tally, strata: Strata, *, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of the classes' shares of the land, put together from one interval in each stratum (MOVER).

    low = P - sqrt(sum W_h^2 (p_h - l_h)^2), high = P + sqrt(sum W_h^2 (u_h - p_h)^2), with Jeffreys' interval
    (l_h, u_h) of each stratum's share p_h (Donner and Zou 2012, Stat. Methods Med. Res. 21:347; Brown, Cai and
    DasGupta 2001, Stat. Sci. 16:101). A stratum where all units agree still has an interval, so an unseen omission
    is allowed for.

    Parameters
    ----------
    sample
        Tally of the sample, (h, m, k).
    strata
        Sizes of the strata.
    level
        Coverage, 0..1.

    Returns
    -------
    low, high
        Shares, float64 (k,).

    Examples
    --------
    >>> count = np.zeros((1, 3, 2))
    >>> count[0, 0, 0] = 10
    >>> low, high = share_intervals(Tally(count=count, area=count, square=count),
    ...                             Strata(units=np.array([1e6]), areas=np.array([1.0])))
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.783, 0.0], [1.0, 0.217])
    """
    from scipy.special import betaincinv

    of_class, units = sample.area.sum(axis=-2), sample.count.sum(axis=(-1, -2))[:, None]
    share = of_class / of_class.sum(axis=-1, keepdims=True)
    hits, tail = share * units, (1 - level) / 2
    # A stratum that was sampled to the last unit has no error.
    left = np.sqrt(np.clip(1 - units / strata.units[:, None], 0, 1))
    low = np.where(hits > 0, betaincinv(hits + 0.5, units - hits + 0.5, tail), 0.0)
    high = np.where(hits < units, betaincinv(hits + 0.5, units - hits + 0.5, 1 - tail), 1.0)
    # Jeffreys' limits lie on the wrong side of the share only by rounding.
    below, above = np.maximum(share - low, 0) * left, np.maximum(high - share, 0) * left
    weight = (strata.areas / strata.areas.sum())[:, None]
    whole = (weight * share).sum(axis=0)
    ends = (np.sqrt((weight**2 * side**2).sum(axis=0)) for side in (below, above))
    down, up = ends
    return np.clip(whole - down, 0, 1), np.clip(whole + up, 0, 1)
