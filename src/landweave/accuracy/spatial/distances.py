"""How far places lie from where a model was trained: those it is tested at, and those it maps."""

from collections.abc import Mapping
from typing import Any

import numpy as np

BINS = 20
"""Of a histogram."""


def nearest(places: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Distance of each place to the nearest training place, in the unit of the coordinates, (n,); inf without any.

    >>> nearest(np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0]])).tolist()
    [0.0, 5.0]
    """
    from scipy.spatial import cKDTree

    if not len(training):
        return np.full(len(places), np.inf)
    return np.asarray(cKDTree(training).query(places)[0] if len(places) else np.zeros(0))


def distance_figures(
    distances: Mapping[str, np.ndarray], weights: Mapping[str, np.ndarray | None], *, pixel: float
) -> dict[str, Any]:
    """Histograms of nearest-neighbour distances on common bins, and which test is as far from training as the map is.

    Parameters
    ----------
    distances
        Name to the distances of :func:`nearest` in metres, (n,); ``map`` is that of the map to its training places,
        the others are tests.
    weights
        Land that each place stands for, (n,), or None for equal.
    pixel
        Side of a pixel in metres.

    Returns
    -------
    dict
        ``edges``: bins in metres, (21,), growing by a common factor from a pixel, the first from 0; per name
        ``{shares, median, places}``, ``shares`` of the land by bin; and per test ``apart``: the mean distance in metres
        by which its distribution must be moved to be the map's (Wasserstein). ``like_the_map``: the test with the
        least.

    Notes
    -----
    A test speaks of the map where its places lie as far from training places as the map's do (Mila, Mateu, Pebesma and
    Meyer 2022, Methods in Ecology and Evolution 13:1304). Where training places are spread over all that is mapped, a
    split by patches tests at places further off than most of the map; it answers for land without any.
    """
    from scipy.stats import wasserstein_distance

    known = {name: np.isfinite(values) for name, values in distances.items()}
    finite = {name: np.asarray(values)[known[name]] for name, values in distances.items()}
    finite = {name: values for name, values in finite.items() if len(values)}
    land = {name: _land(weights.get(name), known[name]) for name in finite}
    longest = max((float(values.max()) for values in finite.values()), default=pixel)
    edges = np.append(0.0, np.geomspace(pixel, max(2 * pixel, longest * (1 + 1e-9)), BINS))
    found: dict[str, Any] = {"edges": [round(float(edge), 2) for edge in edges]}
    for name, values in finite.items():
        sums = np.histogram(values, edges, weights=land[name])[0]
        found[name] = {
            "shares": [round(float(share), 5) for share in sums / sums.sum()],
            "median": _median(values, land[name]),
            "places": len(values),
        }
    tests = [name for name in finite if name != "map"]
    if "map" not in finite or not tests:
        return found | {"like_the_map": None}
    for name in tests:
        # Its last bits depend on where the arrays lie in memory, so they are not told.
        found[name]["apart"] = round(
            float(wasserstein_distance(finite[name], finite["map"], land[name], land["map"])), 3
        )
    return found | {"like_the_map": min(tests, key=lambda name: found[name]["apart"])}


def _land(weights: np.ndarray | None, known: np.ndarray) -> np.ndarray:
    return np.ones(int(known.sum())) if weights is None else np.asarray(weights, "float64")[known]


def _median(values: np.ndarray, land: np.ndarray) -> float:
    order = np.argsort(values, kind="stable")
    along = np.cumsum(land[order])
    return float(values[order][np.searchsorted(along, along[-1] / 2)])
