"""A map held against the register: areas by pair of classes, and which of its doubtful places to look at first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from landweave.legend import NONE

INSIDE, EDGE = 0, 1
"""Last axis of :func:`area_matrix`: within the eroded register, and in its buffer."""

SMALL_HA = 0.1
"""Land within the buffer's reach that a place must have left, to be more than a matter of its outline."""


def area_matrix(
    reference: np.ndarray,
    core: np.ndarray,
    mapped: np.ndarray,
    areas: np.ndarray,
    *,
    values: Sequence[int],
    zones: np.ndarray | None = None,
    count: int = 0,
) -> np.ndarray:
    """Hectares of each pair of classes.

    Parameters
    ----------
    reference, core
        Class values of the register, as it is and eroded, uint8 (y, x); 0 none. Where it has none, nothing is compared.
    mapped
        Class values of the map, uint8 (y, x); 0 none.
    areas
        Square metres of each pixel, or of each row's, (y, x) or (y, 1).
    values
        Class values in the legend's order.
    zones
        Number of the zone of each pixel, 1..count, 0 outside all, (y, x); None without zones.
    count
        Number of zones.

    Returns
    -------
    numpy.ndarray
        float64 (count + 1, k, k + 1, 2): zone (0 outside all), the register's class, the map's class (last: none), and
        :data:`INSIDE` or :data:`EDGE`.
    """
    k = len(values)
    position = np.full(256, k)
    position[list(values)] = np.arange(k)
    use = position[reference] < k
    zone = np.zeros(reference.shape, "int64") if zones is None else zones
    edge = np.where(core == NONE, EDGE, INSIDE)
    cells = ((zone * k + position[reference]) * (k + 1) + position[mapped]) * 2 + edge
    shape = (count + 1, k, k + 1, 2)
    land = np.broadcast_to(areas, reference.shape)[use] / 1e4
    return np.bincount(cells[use].ravel(), land.ravel(), minlength=int(np.prod(shape))).reshape(shape)


def comparison(matrix: np.ndarray, names: Sequence[str], zones: Sequence[str]) -> dict[str, Any]:
    """The figures of a comparison.

    Parameters
    ----------
    matrix
        As :func:`area_matrix` gives it, summed over all pieces of land.
    names
        Class names in the legend's order.
    zones
        Names of the zones 1..n; of several with one name the land is added up.

    Returns
    -------
    dict
        JSON values: ``classes``, ``matrix_ha`` (rows the register's classes; columns the map's, then "none"),
        ``matrix_inside_ha`` (of it within the eroded register), ``all``, ``by_class`` and ``by_district`` (by name; of
        each ``compared_ha``, ``differs_ha``, ``differs``, the share of what was compared, ``inside_ha`` and
        ``edge_ha``, which are parts of ``differs_ha``). Land that the map leaves without a class is not compared.
    """
    whole = matrix.sum(axis=0)
    by_district: dict[str, np.ndarray] = {}
    for number, name in enumerate(zones, start=1):
        by_district[name] = by_district.get(name, np.zeros_like(whole)) + matrix[number]
    return {
        "classes": list(names),
        "matrix_ha": _rounded(whole.sum(axis=2)),
        "matrix_inside_ha": _rounded(whole[:, :, INSIDE]),
        "all": _shares(whole),
        "by_class": {name: _shares(whole[i : i + 1], own=i) for i, name in enumerate(names)},
        "by_district": {name: _shares(part) for name, part in by_district.items()},
    }


def _shares(part: np.ndarray, *, own: int = 0) -> dict[str, float | None]:
    """Of (rows, k + 1, 2) hectares; the first row is the class ``own``."""
    same = np.zeros(part.shape[:2], bool)
    same[np.arange(len(part)), own + np.arange(len(part))] = True
    other = ~same
    other[:, -1] = False
    inside, edge = (float(part[:, :, kind][other].sum()) for kind in (INSIDE, EDGE))
    compared = float(part[:, :-1].sum())
    return {
        "compared_ha": round(compared, 4),
        "differs_ha": round(inside + edge, 4),
        "differs": round((inside + edge) / compared, 6) if compared else None,
        "inside_ha": round(inside, 4),
        "edge_ha": round(edge, 4),
    }


def _rounded(values: np.ndarray) -> list[list[float]]:
    return [[round(float(value), 4) for value in row] for row in values]


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """A place where the register is doubtful."""

    score: float
    """How doubtful, 0..1."""
    confidence: float
    """How sure another class is, 0..1."""
    inside_ha: float
    """Hectares of it that lie farther from its outline than the register's buffer: large and compact in one number."""

    @property
    def is_edge(self) -> bool:
        """Whether the buffer explains it: next to nothing is left within."""
        return self.inside_ha < SMALL_HA

    @property
    def weight(self) -> float:
        """score x confidence x hectares within the buffer's reach: the land that is likely called wrongly."""
        return self.score * self.confidence * self.inside_ha


def order_places(doubts: Mapping[int, Doubt]) -> tuple[list[int], list[int]]:
    """Keys of the places to look at, the heaviest first, and of those that a mere edge explains.

    >>> small, edge = Doubt(score=0.9, confidence=0.8, inside_ha=0.5), Doubt(score=1, confidence=1, inside_ha=0.01)
    >>> order_places({7: edge, 8: small, 9: Doubt(score=0.5, confidence=0.8, inside_ha=4.0)})
    ([9, 8], [7])
    """
    order = sorted(doubts, key=lambda key: (-doubts[key].weight, key))
    return [key for key in order if not doubts[key].is_edge], [key for key in order if doubts[key].is_edge]
