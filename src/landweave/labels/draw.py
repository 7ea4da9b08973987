"""How many pixels of which class to take where, and which ones: the same ones whatever else is drawn."""

import zlib
from collections.abc import Iterable, Mapping

import numpy as np

from landweave.errors import InputError

Counts = Mapping[str, Mapping[int, int]]
"""Patch to class value to labelled pixels."""


def quotas(
    counts: Counts,
    *,
    per_class: int | None = None,
    fraction: float | None = None,
    per_patch: int | None = None,
    seed: int = 42,
) -> dict[str, dict[int, int]]:
    """Training pixels to draw, by patch and class.

    Parameters
    ----------
    counts
        Patch to class to labelled pixels of the training side.
    per_class
        So many pixels of each class over all patches (all of them where there are fewer), patches giving as
        equally as they can: each its all, or the same number give or take one.
    fraction
        This share of each class in each patch, at least one pixel.
    per_patch
        So many pixels of each patch, classes giving as equally as they can.
    seed
        Decides who gives a pixel where there are more to give than pixels to draw: at random, so that what is known of
        the patches (their names follow the land from south to north) does not decide.

    Returns
    -------
    dict
        Patch to class to number, all at least 1, sorted.

    Raises
    ------
    InputError
        Unless exactly one of the three ways is given, with a positive number (fraction: at most 1).
    """
    given = {"per_class": per_class, "fraction": fraction, "per_patch": per_patch}
    chosen = {name: value for name, value in given.items() if value is not None}
    if len(chosen) != 1:
        raise InputError(f"sampling has {', '.join(chosen) or 'nothing'}; give one of {', '.join(given)}.")
    name, amount = next(iter(chosen.items()))
    if amount <= 0 or (name == "fraction" and amount > 1):
        raise InputError(f"sampling.{name} is {amount:g}; give a positive number{' up to 1' * (name == 'fraction')}.")
    patches = sorted(counts)
    held = {p: {c: int(n) for c, n in sorted(counts[p].items()) if n > 0 and c != 0} for p in patches}
    drawn: dict[str, dict[int, int]] = {p: {} for p in patches}
    if fraction is not None:
        drawn = {p: {c: max(round(n * fraction), 1) for c, n in held[p].items()} for p in patches}
    elif per_patch is not None:
        for i, p in enumerate(patches):
            shared = _shared_out(list(held[p].values()), per_patch, seed=(seed, 1, i))
            drawn[p] = dict(zip(held[p], shared, strict=True))
    elif per_class is not None:
        for c in sorted({c for of_patch in held.values() for c in of_patch}):
            having = [p for p in patches if c in held[p]]
            shared = _shared_out([held[p][c] for p in having], per_class, seed=(seed, 0, c))
            for p, n in zip(having, shared, strict=True):
                drawn[p][c] = n
    return {p: {c: n for c, n in of_patch.items() if n > 0} for p, of_patch in drawn.items()}


def land_factors(counts: Counts, drawn: Counts) -> dict[int, float]:
    """What the weights of :func:`draw` are multiplied by, so that they stand for all land of their class.

    A weight stands for the class in its own patch. Where patches outnumber the pixels to draw, most patches give none,
    and those that do stand for the others too: weights w of a class with T pixels become w T / sum(w), the ratio form
    of 1 / (inclusion probability of the patch x of the pixel) (Horvitz and Thompson 1952, Hajek 1971).

    Parameters
    ----------
    counts
        Patch to class to pixels to draw from.
    drawn
        Patch to class to pixels drawn, as of :func:`quotas`.

    Returns
    -------
    dict
        Class to factor, 1 or more; classes of which nothing is drawn are left out.

    >>> land_factors({"a": {1: 30}, "b": {1: 10, 2: 5}}, {"b": {1: 2, 2: 5}})
    {1: 4.0, 2: 1.0}
    """
    land: dict[int, int] = {}
    stood: dict[int, int] = {}
    for patch, part in counts.items():
        for value, pixels in part.items():
            land[value] = land.get(value, 0) + pixels
            if drawn.get(patch, {}).get(value):
                stood[value] = stood.get(value, 0) + pixels
    return {value: land[value] / pixels for value, pixels in sorted(stood.items()) if pixels}


def draw(
    labels: np.ndarray, quota: Mapping[int, int], *, seed: int, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw pixels of each class of a patch.

    Every pixel has a random key that depends on the seed, the patch's name and the pixel's place only; the smallest
    keys of a class are taken. So a larger quota adds pixels and changes none.

    Parameters
    ----------
    labels
        Class values, uint8 (y, x), 0 where there is none.
    quota
        Class to number; a class with fewer pixels gives all.
    seed, name
        The project's seed and the patch's name.

    Returns
    -------
    rows, columns
        int64 (n,), in order of row and column.
    weight
        float64 (n,): pixels of the class in the patch over pixels drawn, 1 / inclusion probability within the patch;
        :func:`land_factors` has the part of the patch.
    """
    keys = _keys(labels.shape, seed, name).ravel()
    flat = labels.ravel()
    weights = np.zeros(flat.shape)
    for value in sorted(quota):
        there = np.flatnonzero(flat == value)
        number = min(int(quota[value]), len(there))
        if value != 0 and number > 0:
            weights[_smallest(there, keys, number)] = len(there) / number
    return _as_pixels(weights, labels.shape)


def draw_uniform(
    labels: np.ndarray, *, n: int | None = None, rate: float | None = None, seed: int, name: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw pixels evenly from all that have a label, whatever their class: for testing.

    Parameters
    ----------
    labels
        Class values, uint8 (y, x), 0 where there is none.
    n
        So many pixels, or all where there are fewer.
    rate
        This share of them instead, at least one: use one rate for all patches.
    seed, name
        As for :func:`draw`.

    Returns
    -------
    rows, columns, weight
        As for :func:`draw`; the weight is the same for all pixels of the patch.

    Raises
    ------
    InputError
        Unless exactly one of ``n`` and ``rate`` is given, and the rate lies in 0..1.
    """
    if (n is None) == (rate is None):
        raise InputError("A uniform draw needs either a number or a rate.")
    if rate is not None and not 0 < rate <= 1:
        raise InputError(f"The rate of a uniform draw is {rate:g}; give a share above 0, up to 1.")
    there = np.flatnonzero(labels.ravel())
    number = min(max(round(rate * len(there)), 1) if rate is not None else int(n or 0), len(there))
    weights = np.zeros(labels.size)
    if number > 0:
        keys = _keys(labels.shape, seed, name).ravel()
        weights[_smallest(there, keys, number)] = len(there) / number
    return _as_pixels(weights, labels.shape)


def _shared_out(available: Iterable[int], total: int, *, seed: tuple[int, ...]) -> list[int]:
    # Water-filling: every one gives all it has, or the common level; the remainder goes to evenly spread ones that
    # have more, so that a small number of pixels does not all come from the first patches. Where there is not one pixel
    # for each, who gives any is left to chance: weights can undo that, and no other choice.
    amounts = np.array(list(available), "int64")
    if amounts.sum() <= total:
        return [int(n) for n in amounts]
    low, high = 0, int(amounts.max())
    while low < high:
        level = (low + high + 1) // 2
        if np.minimum(amounts, level).sum() <= total:
            low = level
        else:
            high = level - 1
    given = np.minimum(amounts, low)
    more, left = np.flatnonzero(amounts > low), total - int(given.sum())
    if low:
        given[more[np.arange(left) * len(more) // max(left, 1)]] += 1
    else:
        given[np.random.default_rng(seed).choice(more, left, replace=False)] += 1
    return [int(n) for n in given]


def _keys(shape: tuple[int, ...], seed: int, name: str) -> np.ndarray:
    return np.random.default_rng([seed, zlib.crc32(name.encode())]).random(shape)


def _smallest(there: np.ndarray, keys: np.ndarray, number: int) -> np.ndarray:
    return there[np.argsort(keys[there], kind="stable")[:number]]


def _as_pixels(weights: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    drawn = np.flatnonzero(weights)
    rows, columns = np.unravel_index(drawn, shape)
    return rows, columns, weights[drawn]


def evenly(numbers: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the numbers, evenly among them, the first and the last included.

    >>> evenly(np.arange(10), 4).tolist(), evenly(np.array([7, 3]), 4).tolist()
    ([0, 3, 6, 9], [7, 3])
    """
    at = np.unique(np.linspace(0, len(numbers) - 1, min(len(numbers), most)).round().astype("int64"))
    return np.asarray(numbers[at])
