"""What people and chance put on the land: lakes, bogs, quarries, roads, villages, airfields."""

from dataclasses import dataclass

import numpy as np
import scipy.spatial

from landweave.sources.simulated.cover import NUMBER
from landweave.sources.simulated.noise import hashed, smooth, uniform


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The open land, changed in place; arrays are (y, x)."""

    kind: np.ndarray
    """uint8: number of the kind of cover."""

    field_id: np.ndarray
    """int32: field or stand."""

    elevation: np.ndarray
    """float32, metres."""

    to_river: np.ndarray
    """float32, pixels to the river's axis."""

    @property
    def side(self) -> int:
        """Pixels along a side."""
        return int(self.kind.shape[0])

    def put(self, name: str, where: tuple[np.ndarray, np.ndarray], *key: int) -> int:
        """Cover pixels (row numbers, column numbers) with one kind; its field number comes from the key."""
        number = _field(*key)
        self.kind[where], self.field_id[where] = NUMBER[name], number
        return number


@dataclass(frozen=True, kw_only=True)
class Airfield:
    """A named spot."""

    name: str
    """What people call it."""

    row: int
    """Pixel row of its centre."""

    col: int
    """Pixel column of its centre."""

    field_id: int
    """Number of its piece of ground."""


def settle(ground: Ground, *, seed: int) -> tuple[tuple[Airfield, ...], tuple[int, ...]]:
    """Put everything on the ground, in place.

    Returns
    -------
    airfields
        The grass one and the tarmac one; none where there is no room.
    quarters
        Field numbers of the villages' newest quarters.
    """
    _lakes(ground, seed)
    _quarries(ground, seed)
    villages = _village_places(ground, seed)
    quarters = [_village(ground, seed, number, *village) for number, village in enumerate(villages)]
    _roads(ground, seed, villages)
    _bogs(ground, seed)
    return _airfields(ground, seed), tuple(quarter for quarter in quarters if quarter)


def _field(*key: int) -> int:
    return int(hashed(*key)[0] & np.uint64(0x3FFFFFFF)) + 1


def _lattice(side: int, spacing: int, *key: int) -> np.ndarray:
    """One random point in each square of a lattice: rows and columns in pixels, (points, 2)."""
    i, j = np.meshgrid(np.arange(-(-side // spacing)), np.arange(-(-side // spacing)), indexing="ij")
    points = np.stack(
        [(i + uniform(*key, 1, i, j)) * spacing, (j + uniform(*key, 2, i, j)) * spacing], axis=-1
    ).reshape(-1, 2)
    return points[(points < side).all(axis=1)]


def _blob(
    side: int, centre: np.ndarray, radius: float, seed: tuple[int, ...], *, ragged: float = 0.25
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels around a point and their distance in radii, roughened; rows, columns, distance, all 1-D."""
    reach = int(radius * (1 + 3 * ragged)) + 2
    rows = np.arange(max(int(centre[0]) - reach, 0), min(int(centre[0]) + reach + 1, side))
    cols = np.arange(max(int(centre[1]) - reach, 0), min(int(centre[1]) + reach + 1, side))
    distance = np.hypot(rows[:, None] - centre[0], cols[None, :] - centre[1]) / radius
    distance = distance + ragged * smooth(rows, cols, max(radius * 0.7, 3), seed=seed, octaves=2)
    inside = distance < 1
    grid = np.meshgrid(rows, cols, indexing="ij")
    return grid[0][inside], grid[1][inside], distance[inside]


def _lakes(ground: Ground, seed: int) -> None:
    spots = _lattice(ground.side, 210, seed, 30)
    for number, spot in enumerate(spots):
        luck = uniform(seed, 31, number, np.arange(2))
        row, col = spot.astype(int)
        if ground.elevation[row, col] > 420 or luck[0] > 0.55:
            continue
        radius = (5 + 15 * luck[1]) * min(ground.side / 300, 1.0)
        rows, cols, distance = _blob(ground.side, spot, radius, (seed, 32, number))
        lake = distance < 0.86
        ground.put("reed", (rows[~lake], cols[~lake]), seed, 33, number)
        ground.put("lake", (rows[lake], cols[lake]), seed, 34, number)


def _quarries(ground: Ground, seed: int) -> None:
    for number, spot in enumerate(_lattice(ground.side, 190, seed, 35)):
        luck = uniform(seed, 36, number, np.arange(2))
        row, col = spot.astype(int)
        if not 230 < ground.elevation[row, col] < 900 or ground.to_river[row, col] < 25 or luck[0] > 0.75:
            continue
        rows, cols, _ = _blob(ground.side, spot, 4 + 7 * luck[1], (seed, 37, number))
        ground.put("quarry", (rows, cols), seed, 38, number)


def _bogs(ground: Ground, seed: int) -> None:
    """Small wet spots all over the country: the rare class."""
    replaced = np.isin(ground.kind, [NUMBER[name] for name in ("stream", "lake")]) | (ground.kind >= NUMBER["roof"])
    for number, spot in enumerate(_lattice(ground.side, 52, seed, 40)):
        luck = uniform(seed, 41, number, np.arange(3))
        if luck[0] > 0.85:
            continue
        radius = 1.4 + 1.6 * luck[1]
        rows, cols, distance = _blob(ground.side, spot, radius, (seed, 42, number), ragged=0.3)
        free = ~replaced[rows, cols]
        name = "reed" if luck[2] < 0.45 else "fen"
        ground.put(name, (rows[free], cols[free]), seed, 43, number)
        pond = free & (distance < 0.35) & (radius > 2.3)
        ground.put("lake", (rows[pond], cols[pond]), seed, 44, number)


def _village_places(ground: Ground, seed: int) -> list[tuple[np.ndarray, float]]:
    """Centre (row, column) and radius in pixels of every village; the largest country has towns too."""
    villages = []
    for number, spot in enumerate(_lattice(ground.side, 120, seed, 50)):
        luck = uniform(seed, 51, number, np.arange(3))
        row, col = spot.astype(int)
        if ground.elevation[row, col] > 650 or ground.to_river[row, col] < 9 or luck[0] > 0.86:
            continue
        radius = 9 + 13 * luck[1] + (18 if luck[2] > 0.94 else 0)
        villages.append((spot, radius * min(max(ground.side / 300, 0.5), 1.0)))
    return villages


def _village(ground: Ground, seed: int, number: int, centre: np.ndarray, radius: float) -> int:
    """Build one village; returns the field number of its newest quarter, 0 where it has none."""
    rows, cols, distance = _blob(ground.side, centre, radius, (seed, 52, number), ragged=0.22)
    dry = ~np.isin(ground.kind[rows, cols], [NUMBER["stream"], NUMBER["lake"]])
    rows, cols, distance = rows[dry], cols[dry], distance[dry]
    angle = uniform(seed, 53, number)[0] * np.pi
    u = np.floor((np.cos(angle) * cols + np.sin(angle) * rows) / 4.3)
    v = np.floor((np.cos(angle) * rows - np.sin(angle) * cols) / 3.6)
    built = uniform(seed, 54, number, u, v) < 1.05 - 0.75 * distance**2
    ground.put("garden", (rows[~built], cols[~built]), seed, 55, number)
    # A village grows on one side: what lies there, away from the centre, is its newest quarter.
    toward = uniform(seed, 56, number)[0] * 2 * np.pi
    offset = (rows - centre[0]) * np.sin(toward) + (cols - centre[1]) * np.cos(toward)
    newest = built & (offset > 0.35 * radius)
    old_field, new_field = _field(seed, 57, number), _field(seed, 58, number)
    ground.field_id[rows[built], cols[built]] = old_field
    ground.field_id[rows[newest], cols[newest]] = new_field
    house = uniform(seed, 59, rows, cols)
    shed = uniform(seed, 60, number, u, v) < 0.05
    choice = np.searchsorted([0.34, 0.62], house)
    kinds = np.array([NUMBER["roof"], NUMBER["pavement"], NUMBER["yard"]], "uint8")[choice]
    kinds[shed] = NUMBER["bright roof"]
    ground.kind[rows[built], cols[built]] = kinds[built]
    return new_field if newest.any() else 0


def _roads(ground: Ground, seed: int, villages: list[tuple[np.ndarray, float]]) -> None:
    """Join neighbouring villages by roads of one or two pixels; they bridge rivers and go round nothing."""
    if len(villages) < 2:
        _road(ground, np.array([0.45, -0.1]) * ground.side, np.array([0.3, 1.1]) * ground.side, (seed, 61), 2)
        return
    points = np.array([centre for centre, _ in villages])
    for start, end in _neighbours(points):
        length = np.hypot(*(points[start] - points[end]))
        luck = uniform(seed, 62, start, end)[0]
        if length < 290 and luck < 0.72:
            _road(ground, points[start], points[end], (seed, 63, start, end), 2 if luck < 0.28 else 1)


def _neighbours(points: np.ndarray) -> list[tuple[int, int]]:
    if len(points) < 4:
        return [(i, i + 1) for i in range(len(points) - 1)]
    triangles = scipy.spatial.Delaunay(points).simplices
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [0, 2]]]), axis=1)
    return [(int(a), int(b)) for a, b in np.unique(edges, axis=0)]


def _road(ground: Ground, start: np.ndarray, end: np.ndarray, key: tuple[int, ...], width: int) -> None:
    length = float(np.hypot(*(end - start)))
    t = np.linspace(0, 1, int(length * 3) + 2)
    luck = uniform(*key, np.arange(3)) - 0.5
    bend = length * (0.30 * luck[0] * np.sin(np.pi * t) + 0.14 * luck[1] * np.sin(2 * np.pi * t))
    bend += 0.05 * length * luck[2] * np.sin(5 * np.pi * t)
    normal = np.array([end[1] - start[1], start[0] - end[0]]) / max(length, 1)
    line = start + t[:, None] * (end - start) + bend[:, None] * normal
    rows, cols = np.floor(line).astype(int).T
    if width == 2:
        steep = abs(end[0] - start[0]) > abs(end[1] - start[1])
        rows, cols = np.r_[rows, rows + (not steep)], np.r_[cols, cols + steep]
    inside = (rows >= 0) & (cols >= 0) & (rows < ground.side) & (cols < ground.side)
    rows, cols = rows[inside], cols[inside]
    passable = (ground.kind[rows, cols] != NUMBER["lake"]) & (ground.elevation[rows, cols] < 900)
    ground.put("pavement", (rows[passable], cols[passable]), key[0], 64)


def _airfields(ground: Ground, seed: int) -> tuple[Airfield, ...]:
    """A grass runway among meadows, and a tarmac one with taxiway and apron."""
    if ground.side < 400:
        return ()
    taken = np.zeros(ground.kind.shape, bool)
    grass = _site(ground, taken, seed, 70, length=92, width=18)
    rows, cols, u, v = _rectangle(grass, 92, 18)
    ground.put("meadow", (rows, cols), seed, 71)
    strip = (np.abs(u) < 45) & (np.abs(v) < 5.5)
    strip_field = ground.put("airfield grass", (rows[strip], cols[strip]), seed, 72)
    top, left = max(int(grass[0]) - 60, 0), max(int(grass[1]) - 60, 0)
    taken[top : top + 120, left : left + 120] = True

    tarmac = _site(ground, taken, seed, 73, length=136, width=30)
    rows, cols, u, v = _rectangle(tarmac, 136, 30)
    ground.put("airfield grass", (rows, cols), seed, 74)
    runway = (np.abs(u) < 62) & (np.abs(v + 6) < 2.5)
    taxiway = (np.abs(u) < 62) & (np.abs(v - 3) < 1.0)
    links = (np.abs(np.abs(u) - 61) < 1.0) & (np.abs(v + 1) < 5)
    apron = (np.abs(u - 10) < 16) & (v > 3) & (v < 10)
    hard = runway | taxiway | links | apron
    runway_field = ground.put("pavement", (rows[hard], cols[hard]), seed, 75)
    hall = (np.abs(u - 10) < 9) & (v >= 10) & (v < 13)
    ground.kind[rows[hall], cols[hall]] = NUMBER["bright roof"]
    ground.field_id[rows[hall], cols[hall]] = runway_field
    return (
        Airfield(name="Grass airfield", row=int(grass[0]), col=int(grass[1]), field_id=strip_field),
        Airfield(name="Tarmac airport", row=int(tarmac[0]), col=int(tarmac[1]), field_id=runway_field),
    )


def _rectangle(site: np.ndarray, length: float, width: float) -> tuple[np.ndarray, ...]:
    """Pixels of a turned rectangle: rows, columns, and their place along and across it; all 1-D."""
    reach = int(length / 2) + 2
    rows, cols = np.meshgrid(
        np.arange(int(site[0]) - reach, int(site[0]) + reach + 1),
        np.arange(int(site[1]) - reach, int(site[1]) + reach + 1),
        indexing="ij",
    )
    u = np.cos(site[2]) * (cols - site[1]) + np.sin(site[2]) * (rows - site[0])
    v = np.cos(site[2]) * (rows - site[0]) - np.sin(site[2]) * (cols - site[1])
    inside = (np.abs(u) < length / 2) & (np.abs(v) < width / 2)
    return rows[inside], cols[inside], u[inside], v[inside]


def _site(ground: Ground, taken: np.ndarray, seed: int, tag: int, *, length: int, width: int) -> np.ndarray:
    """Row, column and angle of the most level, least built-over of many random sites."""
    margin = length / 2 + 4
    best, best_cost = np.zeros(3), np.inf
    built = ground.kind >= NUMBER["roof"]
    wet = np.isin(ground.kind, [NUMBER["stream"], NUMBER["lake"]])
    for number in range(400):
        luck = uniform(seed, tag, number, np.arange(3))
        site = np.array([*(margin + luck[:2] * (ground.side - 2 * margin)), (luck[2] - 0.5) * 1.2])
        rows, cols, *_ = _rectangle(site, length, width)
        cost = (
            np.ptp(ground.elevation[rows, cols]) / 40
            + 6 * built[rows, cols].mean()
            + 8 * wet[rows, cols].mean()
            + 20 * (ground.to_river[rows, cols].min() < 8)
            + 50 * taken[rows, cols].any()
            + max(float(ground.elevation[rows, cols].mean()) - 400, 0) / 100
        )
        if cost < best_cost:
            best, best_cost = site, cost
    return best
