"""A stratified random sample of a map's pixels."""

from collections.abc import Mapping, Sequence
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
    on nothing else: not on blocks, strips or the other classes. Each class is shuffled once by the seed and its first
    pixels are taken, so a larger draw contains a smaller one of the same seed. The order of the result is random, so
    that the first labelled half is a sample too, and tells nothing of the strata.

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
        ranks[value] = shuffled(have, n, seed=(seed, value))
    found = _located(grid, ranks, pixels=pixels, strip=strip)
    stratum = np.concatenate([np.full(len(found[value]), value, "uint8") for value in ranks])
    at = np.concatenate([found[value] for value in ranks])
    by_class = np.lexsort((at[:, 1], at[:, 0], stratum))
    order = by_class[np.random.default_rng([seed, 256]).permutation(len(stratum))]
    return Drawn(stratum=stratum[order], row=at[order, 0], column=at[order, 1])


def draw_more(
    grid: MapGrid,
    sizes: Mapping[int, int],
    *,
    pixels: Mapping[int, int],
    seed: int,
    before: Drawn,
    strip: int | None = None,
) -> Drawn:
    """Draw so many more pixels of each class, none of them drawn before.

    The pixels before and these are together a random sample of each class without replacement. With the seed that drew
    those before they are the pixels that a larger draw would have taken.

    Parameters
    ----------
    grid, pixels, seed, strip
        As for :func:`draw_pixels`.
    sizes
        Class value to number of further pixels.
    before
        Pixels that are drawn already.

    Raises
    ------
    InputError
        When a class has fewer pixels left than are to be drawn.
    """
    ranks = {}
    for value, n in sorted(sizes.items()):
        have, there = pixels.get(value, 0), int((before.stratum == value).sum())
        if there + n > have:
            raise InputError(
                f"{grid.path}: {n} more pixels of class {value} are requested, but of its {have} pixels {there} are "
                "drawn already."
            )
        ranks[value] = shuffled(have, there + n, seed=(seed, value))
    found = _located(grid, ranks, pixels=pixels, strip=strip)
    taken = set(zip(before.row.tolist(), before.column.tolist(), strict=True))
    fresh = [
        (value, *place)
        for value, n in sorted(sizes.items())
        for place in [p for p in map(tuple, found[value].tolist()) if p not in taken][:n]
    ]
    at = np.array(fresh, "int64").reshape(-1, 3)
    by_class = np.lexsort((at[:, 2], at[:, 1], at[:, 0]))
    order = by_class[np.random.default_rng([seed, 256, len(before.row)]).permutation(len(at))]
    return Drawn(stratum=at[order, 0].astype("uint8"), row=at[order, 1], column=at[order, 2])


def shuffled(have: int, n: int, *, seed: Sequence[int]) -> np.ndarray:
    """The first ``n`` of 0..have-1 in an order that only the seed decides, int64 (n,).

    A shuffle by exchanges (Fisher-Yates) that keeps only the places it has touched, so a class may have any number of
    pixels.

    >>> shuffled(10**9, 3, seed=(1, 2)).tolist() == shuffled(10**9, 5, seed=(1, 2)).tolist()[:3]
    True
    """
    picks = np.random.default_rng(list(seed)).random(n)
    moved: dict[int, int] = {}
    found = np.empty(n, "int64")
    for i, pick in enumerate(picks.tolist()):
        # A double has 53 bits, so any place of a class below 2^53 pixels can be hit.
        j = i + min(int(pick * (have - i)), have - i - 1)
        found[i] = moved.get(j, j)
        moved[j] = moved.get(i, i)
    return found


def _located(
    grid: MapGrid, ranks: Mapping[int, np.ndarray], *, pixels: Mapping[int, int], strip: int | None
) -> dict[int, np.ndarray]:
    """Row and column of the pixels with these numbers within their classes, (n, 2) each, in the order given."""
    order = {value: np.argsort(numbers) for value, numbers in ranks.items()}
    wanted = {value: numbers[order[value]] for value, numbers in ranks.items()}
    found = {value: np.zeros((len(numbers), 2), "int64") for value, numbers in ranks.items()}
    seen = dict.fromkeys(ranks, 0)
    for rows, values in read_strips(grid, strip=strip):
        flat = values.ravel()
        for value, numbers in wanted.items():
            here = int(np.count_nonzero(flat == value))
            first, last = np.searchsorted(numbers, [seen[value], seen[value] + here])
            if last > first:
                at = np.flatnonzero(flat == value)[numbers[first:last] - seen[value]]
                row, column = rows.start + at // values.shape[1], at % values.shape[1]
                found[value][order[value][first:last]] = np.stack([row, column], axis=1)
            seen[value] += here
    if any(seen[value] < pixels[value] for value in ranks):
        raise InputError(f"{grid.path}: the map changed while it was read; run the command again.")
    return found
