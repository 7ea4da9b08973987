"""A small country that never was: its relief, its land cover and its fields, decided by a seed."""

import functools
from dataclasses import dataclass

import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.sources.simulated.cover import NUMBER, class_values
from landweave.sources.simulated.noise import cells, hashed, smooth, uniform
from landweave.sources.simulated.settlements import Airfield, Ground, settle

CRS = "EPSG:32633"
RESOLUTION = 10.0
TOP = (732_240.0, 5_100_000.0)
"""Easting and northing of the middle of every country's upper edge: near 46 N 18 E, where two UTM zones meet."""

MIXED = ("meadow", "pasture", "alpine grass", "garden", "overgrown", "hedge", "dwarf pine", "regrowth")
"""Kinds of cover whose class a coin decides where texture shows under snow only; airfields stay grassland."""

_STRIP = 512


@dataclass(frozen=True, kw_only=True, eq=False)
class Country:
    """The true state of the simulated land; arrays are (y, x) and read-only."""

    size_km: float
    """Length of a side, kilometres."""

    seed: int
    """What decides everything."""

    snow_texture: bool
    """Whether grassland and shrubland differ under snow alone."""

    kind: np.ndarray
    """uint8: number of the kind of cover in ``cover.KINDS``."""

    field_id: np.ndarray
    """int32, positive: the field, stand or other piece of ground that a pixel belongs to; one kind throughout,
    save within settlements, where it is one class."""

    elevation: np.ndarray
    """float32, metres."""

    airfields: tuple[Airfield, ...]
    """One of grass and one of tarmac; none in a country too small for them."""

    quarters: tuple[int, ...]
    """``field_id`` of the newest quarters of villages."""

    @functools.cached_property
    def truth(self) -> np.ndarray:
        """uint8: class values of ``cover.LEGEND``."""
        return np.asarray(class_values()[self.kind])

    @property
    def geobox(self) -> GeoBox:
        """Pixel grid, shape (y, x)."""
        return country_geobox(self.size_km)


def country_geobox(size_km: float) -> GeoBox:
    """Pixel grid of a country of a given size."""
    side = _side(size_km)
    # In steps of 60 m, so that pixels of 10, 20 and 60 m lie on absolute multiples of their size.
    left = TOP[0] - round(side * RESOLUTION / 120) * 60
    return GeoBox((side, side), Affine(RESOLUTION, 0, left, 0, -RESOLUTION, TOP[1]), CRS)


def make_country(*, size_km: float = 8.0, seed: int = 42, snow_texture: bool = False) -> Country:
    """Make the country.

    Parameters
    ----------
    size_km
        Length of a side, 0.6 to 100 kilometres. Every kind of cover occurs from about 4 km up.
    seed
        Same seed and size, same country.
    snow_texture
        Whether a coin decides which grass and bushes are grassland and which are shrubland; both then look like
        meadows, until snow lies between the stems.

    Returns
    -------
    Country
        Mountains in the north-west, a river across the south, fields, forests and villages between. The last two are
        kept for the next time.
    """
    return _make(size_km, seed, snow_texture)


@functools.lru_cache(maxsize=2)
def _make(size_km: float, seed: int, snow_texture: bool) -> Country:  # noqa: FBT001 - the cache knows places, not names
    side = _side(size_km)
    strips = [_open_land(np.arange(start, min(start + _STRIP, side)), side, seed) for start in range(0, side, _STRIP)]
    kind, field_id, elevation, to_river = (np.concatenate(parts) for parts in zip(*strips, strict=True))
    ground = Ground(kind=kind, field_id=field_id, elevation=elevation, to_river=to_river)
    airfields, quarters = settle(ground, seed=seed)
    if snow_texture:
        mixed = np.isin(kind, [NUMBER[name] for name in MIXED])
        bushes = uniform(seed, 120, field_id[mixed]) < 0.5
        kind[mixed] = np.where(bushes, NUMBER["overgrown"], NUMBER["meadow"])
    for array in (kind, field_id, elevation):
        array.setflags(write=False)
    return Country(
        size_km=size_km,
        seed=seed,
        snow_texture=snow_texture,
        kind=kind,
        field_id=field_id,
        elevation=elevation,
        airfields=airfields,
        quarters=quarters,
    )


def _side(size_km: float) -> int:
    if not 0.6 <= size_km <= 100:
        raise InputError(f"The size of the simulated country is {size_km:g} km; give 0.6 to 100 km.")
    return round(size_km * 1000 / RESOLUTION)


def _step(x: np.ndarray, low: float, high: float) -> np.ndarray:
    """Smooth step from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t))


def _open_land(rows: np.ndarray, side: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Kind, field, elevation and distance to the river (pixels) of some rows, without settlements."""
    # One row and column more on every side, for slopes and for the borders between fields.
    wide = np.arange(rows[0] - 1, rows[-1] + 2)
    cols = np.arange(-1, side + 1)
    y = np.broadcast_to(wide[:, None], (len(wide), len(cols))).astype("float32")
    x = np.broadcast_to(cols[None, :], y.shape).astype("float32")

    brook = smooth(wide, cols, 150, seed=(seed, 2), octaves=3, persistence=0.33)
    to_river = _river(y, cols, side, seed)
    elevation = _elevation(wide, cols, side=side, seed=seed, brook=brook, to_river=to_river)
    kind, base, wooded = _fields_and_forest(wide, cols, y, x, elevation, seed=seed)
    _hedges(kind, base, wooded, seed)
    _high_ground(kind, base, wide, cols, elevation, seed=seed)

    slope_y, slope_x = np.gradient(brook)
    to_brook = np.abs(brook) / (np.hypot(slope_y, slope_x) + 1e-4)
    width = np.where(smooth(wide, cols, 90, seed=(seed, 3)) > 0.2, 1.0, 0.62)
    bushes = (to_brook < 2.3) & (smooth(wide, cols, 25, seed=(seed, 4)) > 0.35) & (elevation < 900)
    kind[bushes], base[bushes] = (
        NUMBER["hedge"],
        hashed(seed, 5, np.floor(y / 20), np.floor(x / 20))[bushes] >> np.uint64(2),
    )
    water = (to_brook < width) & (elevation < 1250)
    kind[water], base[water] = NUMBER["stream"], 1
    half = 3.2 if side >= 200 else 1.6
    bank = (to_river < half + 2.5) & (smooth(wide, cols, 14, seed=(seed, 6), octaves=2) > 0.55)
    kind[bank], base[bank] = NUMBER["gravel bank"], hashed(seed, 22, np.floor(x / 35))[bank] >> np.uint64(2)
    river = to_river < half
    kind[river], base[river] = NUMBER["stream"], 3

    inner = np.s_[1:-1, 1:-1]
    field_id = (hashed(base, kind) & np.uint64(0x3FFFFFFF)).astype("int32") + 1
    return kind[inner], field_id[inner], elevation[inner].astype("float32"), to_river[inner].astype("float32")


def _river(y: np.ndarray, cols: np.ndarray, side: int, seed: int) -> np.ndarray:
    """Distance to the river's axis, pixels, (rows, cols)."""
    swing = min(0.07 * side, 40.0)
    axis = 0.70 * side + swing * smooth(np.zeros(1), cols, max(0.3 * swing * 10, 30), seed=(seed, 7), octaves=2)[0]
    return np.asarray(np.abs(y - axis) / np.hypot(1, np.gradient(axis)))


def _elevation(
    rows: np.ndarray, cols: np.ndarray, *, side: int, seed: int, brook: np.ndarray, to_river: np.ndarray
) -> np.ndarray:
    """Metres above the sea, (rows, cols)."""
    ridges = smooth(rows, cols, 140, seed=(seed, 8), octaves=3)
    hills = smooth(rows, cols, 120, seed=(seed, 9), octaves=3)
    northwest = 1 - (0.8 * rows[:, None] + 0.55 * cols[None, :]) / side
    mountain = _step(northwest + 0.04 * ridges, 0.52, 0.97)
    # A tiny country has room only for a hill.
    peak = 1800 * min(max(side / 400, 0.15), 1.0)
    valleys = 45 * np.minimum(np.abs(brook), 1.2)
    plain = 250 + 38 * hills + valleys - 25 * np.exp(-((to_river / 40) ** 2))
    return np.asarray(np.maximum(plain + peak * mountain * (0.95 + 0.08 * ridges), 150.0))


def _fields_and_forest(
    rows: np.ndarray, cols: np.ndarray, y: np.ndarray, x: np.ndarray, elevation: np.ndarray, *, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kind, number of the field or stand, and where forest stands; all (rows, cols)."""
    warp_y = y + 5 * smooth(rows, cols, 35, seed=(seed, 10))
    warp_x = x + 5 * smooth(rows, cols, 35, seed=(seed, 11))
    block = cells(warp_y, warp_x, 55, seed=(seed, 12))
    # Within a block the fields lie side by side, as long strips in one direction.
    angle = (uniform(block, 1) * np.pi).astype("float32")
    across = np.floor((np.cos(angle) * x + np.sin(angle) * y) / (5 + 9 * uniform(block, 2)) + uniform(block, 3))
    along = np.floor((np.cos(angle) * y - np.sin(angle) * x) / (14 + 24 * uniform(block, 4)) + uniform(block, 5))
    field = (hashed(block, across, along) >> np.uint64(2)).astype("int64")

    use, crop = uniform(field, 1), uniform(field, 2)
    arable = np.clip(0.58 + 0.16 * smooth(rows, cols, 300, seed=(seed, 13)) - (elevation - 300) / 550, 0.03, 0.9)
    arable = np.clip(arable + 0.5 * (uniform(block, 6) - 0.5), 0.02, 0.95)
    crops = ("cereal", "maize", "roots", "orchard", "vineyard", "ley")
    crop_kind = np.array([NUMBER[name] for name in crops], "uint8")[
        np.searchsorted([0.40, 0.69, 0.78, 0.86, 0.91], crop)
    ]
    grass_kind = np.where(crop < 0.65, NUMBER["meadow"], NUMBER["pasture"])
    kind = np.where(use < arable, crop_kind, grass_kind)
    kind = np.where(use > 0.955, NUMBER["overgrown"], kind).astype("uint8")

    stand = cells(warp_y, warp_x, 22, seed=(seed, 14))
    # A tiny country, too, has both woods and open land.
    breadth = min(105.0, 0.25 * (len(cols) - 2))
    cover = smooth(rows, cols, breadth, seed=(seed, 15), octaves=3, persistence=0.42) + (elevation - 420) / 260
    cover = cover + 0.5 * smooth(rows, cols, 26, seed=(seed, 21), octaves=2)
    wooded = cover > 0.5
    needles = uniform(stand, 1) + (elevation - 700) / 1200
    trees = np.where(needles < 0.42, NUMBER["broadleaf"], NUMBER["mixed forest"])
    trees = np.where(needles > 0.72, NUMBER["conifers"], trees)
    trees = np.where(uniform(stand, 2) < 0.045, NUMBER["regrowth"], trees)
    fringe = ~wooded & (cover > 0.26) & (smooth(rows, cols, 14, seed=(seed, 16)) > 0.9)
    kind = np.where(wooded, trees, np.where(fringe, NUMBER["overgrown"], kind)).astype("uint8")
    return kind, np.where(wooded | fringe, stand, field), wooded


def _hedges(kind: np.ndarray, base: np.ndarray, wooded: np.ndarray, seed: int) -> None:
    """Plant hedges of one or two pixels along some borders between fields, in place."""
    for axis in (0, 1):
        near = (slice(None), slice(None, -1)) if axis else (slice(None, -1), slice(None))
        far = (slice(None), slice(1, None)) if axis else (slice(1, None), slice(None))
        pair = base[near] ^ base[far]
        luck = uniform(seed, 17, pair)
        border = (pair != 0) & ~wooded[near] & ~wooded[far]
        for side, chance in ((near, 0.085), (far, 0.03)):
            hedge = border & (luck < chance)
            kind[side][hedge] = NUMBER["hedge"]
            base[side][hedge] = pair[hedge]


def _high_ground(
    kind: np.ndarray, base: np.ndarray, rows: np.ndarray, cols: np.ndarray, elevation: np.ndarray, *, seed: int
) -> None:
    """Alpine grass, dwarf pine and rock above the tree line, in place."""
    rough = smooth(rows, cols, 30, seed=(seed, 18), octaves=3)
    patches = smooth(rows, cols, 12, seed=(seed, 19), octaves=2)
    part = cells(
        np.broadcast_to(rows[:, None], kind.shape).astype("float32"),
        np.broadcast_to(cols[None, :], kind.shape).astype("float32"),
        20,
        seed=(seed, 20),
    )
    for name, where in (
        ("alpine grass", elevation > 1180 + 70 * rough),
        ("dwarf pine", (elevation > 1130 + 70 * rough) & (elevation < 1520 + 60 * rough) & (patches > 0.25)),
        ("rock", elevation > 1480 + 130 * rough + 60 * patches),
    ):
        kind[where], base[where] = NUMBER[name], part[where]
