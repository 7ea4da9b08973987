"""What trust layers promise, checked on pixels that had no part in them: coverage of sets, error inside and outside."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

CONFIDENCE_BINS = (0, 50, 60, 70, 80, 90, 101)
"""Edges of classes of confidence, per cent."""

DISTANCE_BINS = (0, 25, 50, 75, 101, 151, 256)
"""Edges of classes of the dissimilarity index, per cent of its threshold."""


def coverage_rows(
    sets: np.ndarray,
    label: np.ndarray,
    weights: np.ndarray,
    clusters: np.ndarray,
    groups: np.ndarray,
    names: Sequence[str] | Mapping[int, str],
) -> list[dict[str, Any]]:
    """Coverage and size of sets by group, of land.

    Parameters
    ----------
    sets
        bool (n, classes).
    label
        Column of the true class, (n,).
    weights
        Land that each pixel stands for, (n,).
    clusters
        Patch or quarter of each, (n,) of any kind.
    groups
        Number of the group of each, (n,).
    names
        Name of each group; groups without a pixel are left out.

    Returns
    -------
    list of dict
        ``name``, ``pixels``, ``patches``, ``coverage`` (0..1), ``mean_size`` (classes), and ``worst_patch``: the least
        coverage of a patch with 30 pixels or more, None where there is none.

    >>> sets, label = np.array([[True, False], [True, True]]), np.array([0, 1])
    >>> rows = coverage_rows(sets, label, np.ones(2), np.zeros(2), np.zeros(2, int), ["all"])
    >>> rows[0]["coverage"], rows[0]["mean_size"], rows[0]["patches"]
    (1.0, 1.5, 1)
    """
    hit, size = sets[np.arange(len(sets)), label], sets.sum(axis=1)
    number = np.unique(clusters, return_inverse=True)[1].ravel()
    found = []
    for group, name in names.items() if isinstance(names, Mapping) else enumerate(names):
        inside = np.flatnonzero(groups == group)
        land = weights[inside]
        if not land.sum() > 0:
            continue
        pixels = np.bincount(number[inside])
        held, all_land = np.bincount(number[inside], land * hit[inside]), np.bincount(number[inside], land)
        enough = (pixels >= 30) & (all_land > 0)
        worst = float((held[enough] / all_land[enough]).min()) if enough.any() else None
        found.append(
            {
                "name": name, "pixels": len(inside), "patches": int((pixels > 0).sum()),
                "coverage": float(np.average(hit[inside], weights=land)),
                "mean_size": float(np.average(size[inside], weights=land)), "worst_patch": worst,
            }
        )  # fmt: skip
    return found


def error_rows(
    wrong: np.ndarray, weights: np.ndarray, groups: np.ndarray, names: Sequence[str] | Mapping[int, str]
) -> list[dict[str, Any]]:
    """Share of land that is wrong, by group: ``name``, ``pixels``, ``share`` of all land, ``error`` (0..1).

    >>> rows = error_rows(np.array([True, False]), np.array([1.0, 3.0]), np.zeros(2, int), ["all", "none"])
    >>> rows
    [{'name': 'all', 'pixels': 2, 'share': 1.0, 'error': 0.25}]
    """
    found = []
    for group, name in names.items() if isinstance(names, Mapping) else enumerate(names):
        inside = groups == group
        land = weights[inside]
        if not land.sum() > 0:
            continue
        found.append(
            {
                "name": name, "pixels": int(inside.sum()), "share": float(land.sum() / weights.sum()),
                "error": float(np.average(wrong[inside], weights=land)),
            }
        )  # fmt: skip
    return found


def binned(values: np.ndarray, edges: Sequence[int], unit: str) -> tuple[np.ndarray, list[str]]:
    """Number of each value's bin, and the bins' names.

    >>> binned(np.array([10, 95, 50]), CONFIDENCE_BINS, " %")[0].tolist()
    [0, 5, 1]
    >>> binned(np.array([10]), DISTANCE_BINS, " %")[1][-2:]
    ['101-150 %', '151 % or more']
    """
    number = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    names = [f"{low}-{high - 1}{unit}" for low, high in pairwise(edges)]
    names[-1] = f"{edges[-2]}{unit} or more"
    return number, names
