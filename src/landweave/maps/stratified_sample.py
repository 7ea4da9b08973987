"""A stratified random sample of a map's pixels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from landweave.errors import InputError
from landweave.maps.areas import MapGrid, read_strips


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Pixels of a map, in random order; all (n,)."""

    stratum: np.ndarray
    """Class value, uint8."""

    row: np.ndarray
    """int64."""

    column: np.ndarray
    """int64."""


def draw_pixels(
    grid: MapGrid, sizes: Mapping[int, int], *, pixels: Mapping[int, int], seed: int, strip: int | None = None
) -> Drawn:
    """Draw pixels at random without replacement, so many of each class.

    A pixel's number within its class counts along rows, top to bottom, so the draw depends on the map and the seed and
    on nothing else: not on blocks, strips or the other classes. The order of the result is random, so that the first
    labelled half is a sample too, and tells nothing of the strata.

    Parameters
    ----------
    grid
        The map; memory does not grow with it.
    sizes
        Class value to number of pixels to draw.
    pixels
        Class value to number of pixels, from :func:`landweave.maps.areas.count_classes`.
    seed
        Of the draw.
    strip
        Rows at a time; by default as suits the file.

    Raises
    ------
    InputError
        When a class has fewer pixels than are to be drawn.
    """
    ranks = {}
    for value, n in sorted(sizes.items()):
        have = pixels.get(value, 0)
        if n > have:
            raise InputError(f"{grid.path}: {n} pixels of class {value} are requested, but it has {have}.")
        ranks[value] = np.sort(np.random.default_rng([seed, value]).choice(have, n, replace=False, shuffle=False))
    seen = dict.fromkeys(ranks, 0)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for rows, values in read_strips(grid, strip=strip):
        flat = values.ravel()
        for value, wanted in ranks.items():
            here = int(np.count_nonzero(flat == value))
            first, last = np.searchsorted(wanted, [seen[value], seen[value] + here])
            if last > first:
                at = np.flatnonzero(flat == value)[wanted[first:last] - seen[value]]
                row, column = rows.start + at // values.shape[1], at % values.shape[1]
                found.append((np.full(len(at), value, "uint8"), row, column))
            seen[value] += here
    if any(seen[value] < pixels[value] for value in ranks):
        raise InputError(f"{grid.path}: the map changed while it was read; run the command again.")
    stratum, row, column = (np.concatenate([part[i] for part in found]) for i in range(3))
    by_class = np.lexsort((column, row, stratum))
    order = by_class[np.random.default_rng([seed, 256]).permutation(len(stratum))]
    return Drawn(stratum=stratum[order], row=row[order].astype("int64"), column=column[order].astype("int64"))
