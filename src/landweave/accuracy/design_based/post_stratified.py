"""Figures of a district from its cells: the strata within it, whose areas the map knows."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from landweave.accuracy.design_based.stratified import Strata

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
