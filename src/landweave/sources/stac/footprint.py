"""Where a scene lies: the box of an item on a round Earth, whatever way its maker wrote it."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Box = tuple[float, float, float, float]
"""West, south, east, north, degrees; west from -180 to 180, east above 180 where it lies across the antimeridian."""

WIDE = 180.0
"""Degrees of longitude: a wider box of a scene is one that was closed around the wrong side of the Earth."""

_PAIR = 2


def footprint(item: Mapping[str, Any]) -> Box | None:
    """The box of an item, None where it has none that can be on the Earth.

    The item's ``bbox`` counts. Where it is missing, impossible or wider than half the Earth, the geometry decides: its
    rings are followed from corner to corner, each on the short way, and the shortest arc that holds all of them is
    taken. So the two parts of a footprint at the antimeridian become one box across it.

    >>> halves = [[[[180, 1], [179, 1], [179, 0]]], [[[-180, 0], [-179.2, 0], [-179.2, 1]]]]
    >>> item = {"bbox": [-180, 0, 180, 1], "geometry": {"type": "MultiPolygon", "coordinates": halves}}
    >>> [round(degrees, 3) for degrees in footprint(item)]
    [179.0, 0.0, 180.8, 1.0]
    """
    told = _told(item.get("bbox"))
    if told is not None and told[2] - told[0] <= WIDE:
        return told
    drawn = _drawn(item.get("geometry"))
    # A ring around the whole Earth closes on its own first meridian.
    return told if drawn is None or (told is not None and drawn[0] == drawn[2]) else drawn


def meet(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes of west, south, east, north, degrees, share an area, on a round Earth.

    >>> meet((179, -17, 181, -16), (-180, -18, -179.5, -15))
    True
    """
    turns = any(one[0] + turn < other[2] and other[0] < one[2] + turn for turn in (-360, 0, 360))
    return turns and one[1] < other[3] and other[1] < one[3]


def _told(box: Any) -> Box | None:
    if not box or len(box) not in {4, 6}:
        return None
    numbers = [float(number) for number in box]
    west, south, east, north = numbers if len(numbers) == 4 else (numbers[0], numbers[1], numbers[3], numbers[4])
    # GeoJSON (RFC 7946, 5.2) writes a box across the antimeridian with its west east of its east.
    return _checked(west, south, east + 360.0 * (west > east), north)


def _checked(west: float, south: float, east: float, north: float) -> Box | None:
    on_earth = -90.5 <= south <= north <= 90.5 and -540 <= west <= 540 and 0 <= east - west <= 360
    if not on_earth:
        return None
    turn = 0.0 if -180 <= west <= 180 else -360.0 * math.floor((west + 180) / 360)
    return west + turn, south, east + turn, north


def _drawn(geometry: Any) -> Box | None:
    rings = list(_rings(geometry))
    if not rings:
        return None
    west, east = _arc([_followed([point[0] for point in ring]) for ring in rings])
    heights = [point[1] for ring in rings for point in ring]
    return _checked(west, min(heights), east, max(heights))


def _rings(geometry: Any) -> Iterator[list[tuple[float, float]]]:
    """Outlines of a geometry of any type, as longitude and latitude; empty and impossible ones are left out."""
    if not isinstance(geometry, Mapping):
        return
    for part in geometry.get("geometries") or ():
        yield from _rings(part)
    stack = [geometry.get("coordinates")]
    while stack:
        part = stack.pop()
        if not isinstance(part, Sequence) or isinstance(part, str) or not part:
            continue
        if all(isinstance(point, Sequence) and len(point) >= _PAIR and _numbers(point[:_PAIR]) for point in part):
            yield [(float(point[0]), float(point[1])) for point in part]
        elif len(part) >= _PAIR and _numbers(part[:_PAIR]):
            yield [(float(part[0]), float(part[1]))]
        else:
            stack.extend(part)


def _numbers(values: Iterable[Any]) -> bool:
    return all(isinstance(n, int | float) and not isinstance(n, bool) and math.isfinite(n) for n in values)


def _followed(longitudes: Sequence[float]) -> tuple[float, float]:
    """From where to where a line of corners goes, when each step takes the short way round."""
    here = low = high = longitudes[0]
    for longitude in longitudes[1:]:
        here += (longitude - here + 180) % 360 - 180
        low, high = min(low, here), max(high, here)
    return low, high


def _arc(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The shortest arc that holds all of some arcs."""
    turned = sorted((low % 360, low % 360 + high - low) for low, high in parts)
    best, (west, end) = 360.0, (-180.0, 180.0)
    for number in range(len(turned)):
        order = turned[number:] + [(low + 360, high + 360) for low, high in turned[:number]]
        start, reach = order[0][0], max(high for _, high in order)
        if reach - start < best:
            best, west, end = reach - start, start, reach
    return west, end
