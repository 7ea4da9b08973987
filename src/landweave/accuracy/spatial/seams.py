"""Do patch borders show on the map? Neighbouring pixels across borders against neighbours beside them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from landweave.accuracy.bootstrap import interval, resample

REACH = 32
"""Pixels on either side of a border whose neighbours it is held against: as far as land is likely still alike."""

LEAST_PATCHES = 8
"""With fewer patches there is no interval, as for other figures."""

REPEATS = 1000
"""Draws of patches behind the interval."""


def border_counts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Pairs of neighbours that differ, and all pairs, across a border and beside it; in one direction only.

    Parameters
    ----------
    before
        Class values up to the border, uint8 (along, across), the nearest to it last; 0 is no class.
    after
        The same from the border on, the nearest first.

    Returns
    -------
    numpy.ndarray
        int64 (4,): across the border those that differ and all, beside it those that differ and all. A pair counts
        where both have a class.

    >>> border_counts(np.array([[1, 1, 2]]), np.array([[3, 3, 0]])).tolist()
    [1, 1, 1, 3]
    """
    line = np.concatenate([before, after], axis=1)
    one, other = line[:, :-1], line[:, 1:]
    known = (one > 0) & (other > 0)
    sums = np.stack([((one != other) & known).sum(axis=0), known.sum(axis=0)]).astype("int64")
    at = before.shape[1] - 1
    across = sums[:, at]
    return np.concatenate([across, sums.sum(axis=1) - across])


def seam_figures(counts: Sequence[np.ndarray], patches: Sequence[str], *, seed: int) -> dict[str, Any]:
    """Shares of neighbours that differ, across borders and beside them, and by how much the first is larger.

    Parameters
    ----------
    counts
        Of every border, as :func:`border_counts` gives them.
    patches
        The patch that each border belongs to: what is drawn for the interval.
    seed
        Of the draws.

    Returns
    -------
    dict
        ``borders``, ``reach`` (pixels); ``across`` and ``inside``: ``{pairs, differ, share}``; ``excess``: the share
        across less the share inside, ``{value, low, high, n_clusters}``, 95 %, with a ``reason`` where it or its
        interval is missing. Without a seam the excess is 0 but for chance.
    """
    table = np.array(counts, "int64").reshape(-1, 4)
    # A border without classes on both sides says nothing, so its patch is no unit.
    told = table[:, 1] > 0
    table = table[told]
    names, cluster = np.unique(np.array(patches, str)[told], return_inverse=True)
    whole = table.sum(axis=0)
    excess: dict[str, Any] = {"value": None, "low": None, "high": None, "n_clusters": len(names)}
    if not whole[1] or not whole[3]:
        excess["reason"] = "no two patches touch" if not len(told) else "no border has classes on both sides"
    else:
        excess["value"] = float(_excess(whole[None])[0])
        if len(names) < LEAST_PATCHES:
            excess["reason"] = f"fewer than {LEAST_PATCHES} patches with neighbours"
        else:
            units = np.repeat(cluster, 4)
            cells = np.tile(np.arange(4), len(table))
            parts = (units, cells, table.ravel().astype("float64"), 4)
            sums = resample([("borders", parts)], len(names), seed=seed, repeats=REPEATS)["borders"]
            excess["low"], excess["high"] = interval(_excess(sums), len(names))
    return {
        "borders": len(told),
        "reach": REACH,
        "across": _part(whole[0], whole[1]),
        "inside": _part(whole[2], whole[3]),
        "excess": excess,
    }


def _excess(sums: np.ndarray) -> np.ndarray:
    """Share across less share inside, of sums (repeats, 4)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[:, 0] / sums[:, 1] - sums[:, 2] / sums[:, 3])


def _part(differ: int, pairs: int) -> dict[str, Any]:
    return {"pairs": int(pairs), "differ": int(differ), "share": float(differ / pairs) if pairs else None}
