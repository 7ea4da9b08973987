"""Units (patches or spatial blocks) to sides and folds: whole ones, and no class lost where that can be helped."""

import itertools
import math
from collections.abc import Iterable, Mapping

import numpy as np

from landweave.errors import InputError

TRAIN, TEST = "train", "test"

_EXHAUSTIVE = 5000
"""Up to so many ways to choose the test units, all are looked at; beyond, so many are drawn and then mended."""

_DRAWN = 400
_BALANCED = 100

Counts = Mapping[str, Mapping[int, int]]
"""Unit to class value to labelled pixels (or points)."""


def choose_split(counts: Counts, *, test_fraction: float = 0.2, seed: int = 42) -> dict[str, str]:
    """Side of each unit that holds labels.

    Parameters
    ----------
    counts
        Unit to class to labelled pixels. Units without labels take no side and are left out.
    test_fraction
        Share of the units to test with, at least one unit and leaving at least one.
    seed
        Decides among splits that are equally sound.

    Returns
    -------
    dict
        Unit to ``"train"`` or ``"test"``, sorted by unit; the same whatever the order of ``counts``.

    Notes
    -----
    In this order: a class that lies in two units or more is on both sides; a class of a single unit is on the
    training side; classes have similar shares of their pixels on the test side. Where the first cannot be had with
    so many test units, more are taken, up to twice as many and one.

    Raises
    ------
    InputError
        For a fraction outside 0..1, or fewer than two units with labels.
    """
    if not 0 < test_fraction < 1:
        raise InputError(f"test_fraction is {test_fraction:g}; give a share between 0 and 1, such as 0.2.")
    units, pixels = _matrix(counts)
    if len(units) < 2:
        raise InputError(
            f"Only {len(units)} patch or block has labels; a split needs two. Use smaller patches or blocks."
        )
    rng = np.random.default_rng(seed)
    wanted = min(max(round(test_fraction * len(units)), 1), len(units) - 1)
    best: tuple[tuple[int, int], np.ndarray] | None = None
    for size in range(wanted, min(2 * wanted + 1, len(units) - 1) + 1):
        lost, side = _best_side(pixels, size, rng)
        if best is None or lost < best[0]:
            best = lost, side
        if best[0][0] == 0:
            break
    assert best is not None
    return {unit: TEST if tested else TRAIN for unit, tested in zip(units, best[1], strict=True)}


def choose_folds(counts: Counts, *, k: int = 5, seed: int = 42) -> dict[str, int]:
    """Fold of each unit that holds labels, 0..k-1.

    Parameters
    ----------
    counts
        Unit to class to labelled pixels, as for :func:`choose_split`.
    k
        Folds, reduced to the number of units with labels.
    seed
        Decides among foldings that are equally sound.

    Returns
    -------
    dict
        Unit to fold, sorted by unit; fold sizes differ by one at most. A class that lies in two units or more is
        never in one fold alone, where that can be had; then classes are spread evenly.

    Raises
    ------
    InputError
        For fewer than two folds, or no unit with labels.
    """
    if k < 2:
        raise InputError(f"{k} folds; cross-validation needs at least two.")
    units, pixels = _matrix(counts)
    if not units:
        raise InputError("No patch or block has labels; check the reference and the legend.")
    k = min(k, len(units))
    rng = np.random.default_rng(seed)
    deals = [_dealt(pixels, k, rng) for _ in range(20)]
    deals.sort(key=lambda fold: _fold_badness(fold, pixels, k))
    mended = [_mended_folds(fold, pixels, k, rng) for fold in deals[:3]]
    chosen = min(mended, key=lambda fold: _fold_badness(fold, pixels, k))
    return {unit: int(fold) for unit, fold in zip(units, chosen, strict=True)}


def lost_classes(counts: Counts, sides: Mapping[str, object]) -> dict[object, list[int]]:
    """Side (or fold) to the classes that occur in some unit but in none of that side's; for a warning.

    >>> lost_classes({"a": {1: 5, 2: 3}, "b": {1: 9}}, {"a": "train", "b": "test"})
    {'test': [2], 'train': []}
    """
    present = _classes(counts)
    return {
        side: sorted(present - _classes({unit: counts[unit] for unit in sides if sides[unit] == side}))
        for side in sorted(set(sides.values()), key=str)
    }


def _classes(counts: Counts) -> set[int]:
    return {c for of_unit in counts.values() for c, n in of_unit.items() if n > 0 and c != 0}


def _matrix(counts: Counts) -> tuple[list[str], np.ndarray]:
    # Units with labels, sorted, and their pixels (unit, class) as float64.
    classes = sorted(_classes(counts))
    units = sorted(unit for unit, of_unit in counts.items() if any(of_unit.get(c, 0) > 0 for c in classes))
    pixels = np.array([[counts[unit].get(c, 0) for c in classes] for unit in units], "float64")
    return units, pixels.reshape(len(units), len(classes))


def _side_badness(sides: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    # (candidate, 3): classes of several units that one side lacks, classes of one unit on the test side, unevenness.
    present = (pixels > 0).astype("float64")
    in_units = present.sum(0)
    tested = sides.astype("float64") @ present
    several = in_units > 1
    lost = ((tested == 0) | (tested == in_units))[:, several].sum(1)
    single = (tested > 0)[:, ~several].sum(1)
    shares = sides.astype("float64") @ (pixels / pixels.sum(0))
    uneven = np.abs(shares - sides.mean(1, keepdims=True)).mean(1)
    return np.column_stack([lost, single, uneven])


def _best_side(pixels: np.ndarray, size: int, rng: np.random.Generator) -> tuple[tuple[int, int], np.ndarray]:
    number = len(pixels)
    if math.comb(number, size) <= _EXHAUSTIVE:
        sides = _as_sides(itertools.combinations(range(number), size), number)
    else:
        sides = _as_sides((rng.permutation(number)[:size] for _ in range(_DRAWN)), number)
        if (_side_badness(sides, pixels)[:, :2].sum(1) > 0).all():
            order = np.lexsort(_side_badness(sides, pixels)[:, ::-1].T)[:5]
            sides = np.array([_mended_side(sides[i], pixels) for i in order])
    badness = _side_badness(sides, pixels)
    lost = min((int(row[0]), int(row[1])) for row in badness)
    sound = np.flatnonzero((badness[:, 0] == lost[0]) & (badness[:, 1] == lost[1]))
    # The most even of a few sound ones: a draw, but not an unlucky one.
    few = rng.permutation(sound)[: min(_BALANCED, max(len(sound) // 2, 1))]
    return lost, sides[few[np.argmin(badness[few, 2])]]


def _as_sides(chosen: Iterable[Iterable[int]], number: int) -> np.ndarray:
    rows = [list(units) for units in chosen]
    sides = np.zeros((len(rows), number), bool)
    sides[np.arange(len(rows))[:, None], np.array(rows)] = True
    return sides


def _mended_side(side: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    # Swaps one unit of each side while that loses fewer classes.
    now = tuple(_side_badness(side[None], pixels)[0])
    while now[0] + now[1] > 0:
        pairs = np.array(_swaps(side, pixels > 0))
        swapped = np.repeat(side[None], len(pairs), axis=0)
        swapped[np.arange(len(pairs)), pairs[:, 0]] = True
        swapped[np.arange(len(pairs)), pairs[:, 1]] = False
        badness = _side_badness(swapped, pixels)
        best = np.lexsort(badness[:, ::-1].T)[0]
        if tuple(badness[best]) >= now:
            break
        side, now = swapped[best], tuple(badness[best])
    return side


def _swaps(side: np.ndarray, present: np.ndarray) -> list[tuple[int, int]]:
    # (unit to test with, unit to train with): for each lost class some that have it, against the most ordinary ones.
    in_units, tested = present.sum(0), present[side].sum(0)
    rarity = np.where(present, in_units, np.inf).min(1)
    ordinary = np.argsort(-rarity, kind="stable")
    pairs: list[tuple[int, int]] = []
    for c in np.flatnonzero((in_units > 1) & (tested == 0)):
        having = np.flatnonzero(present[:, c])[:10]
        pairs += itertools.product(having, ordinary[side[ordinary]][:30])
    for c in np.flatnonzero(tested == in_units):
        having = np.flatnonzero(present[:, c])[:10]
        pairs += itertools.product(ordinary[~side[ordinary]][:30], having)
    return pairs


def _dealt(pixels: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    # Units in order of their rarest class, dealt like cards: neighbours in that order get different folds.
    in_units = (pixels > 0).sum(0)
    rarest = np.where(pixels > 0, in_units, np.inf)
    shuffled = rng.permutation(len(pixels))
    order = shuffled[np.lexsort([rarest.argmin(1)[shuffled], rarest.min(1)[shuffled]])]
    fold = np.empty(len(pixels), "int64")
    fold[order] = np.arange(len(pixels)) % k
    return fold


def _fold_badness(fold: np.ndarray, pixels: np.ndarray, k: int) -> tuple[int, float]:
    members = np.arange(k)[:, None] == fold
    present = pixels > 0
    held = members.astype("int64") @ present.astype("int64")
    several = present.sum(0) > 1
    alone = int((held == present.sum(0))[:, several].sum())
    shares = members.astype("float64") @ (pixels / pixels.sum(0))
    return alone if k > 1 else 0, float(np.abs(shares - 1 / k).mean())


def _mended_folds(fold: np.ndarray, pixels: np.ndarray, k: int, rng: np.random.Generator) -> np.ndarray:
    # Random swaps that make it better; first of all where a class sits in one fold alone.
    now = _fold_badness(fold, pixels, k)
    for _ in range(min(20 * len(fold), 400) if k > 1 else 0):
        a, b = rng.integers(len(fold), size=2)
        if fold[a] == fold[b]:
            continue
        swapped = fold.copy()
        swapped[a], swapped[b] = fold[b], fold[a]
        then = _fold_badness(swapped, pixels, k)
        if then < now:
            fold, now = swapped, then
    return fold
