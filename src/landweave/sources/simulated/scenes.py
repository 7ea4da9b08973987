"""What a satellite would see of the simulated country on a given day."""

import datetime
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from landweave.patch.model import NODATA
from landweave.sources.simulated.country import Country, make_country
from landweave.sources.simulated.cover import (
    BANDS,
    CLOUD,
    NUMBER,
    SNOW,
    class_values,
    column,
    green_spectra,
    ground_spectra,
)
from landweave.sources.simulated.noise import hashed, normal, smooth, uniform
from landweave.sources.simulated.weather import YEAR, Weather, weather

SCL = "SCL"
TILE = 256
"""Scenes are made in tiles of this many pixels, so that every window sees the same pixels."""

_HALO = 2
_EFFECTS = 4096

# How dark a full shadow is, and how bright the air, band by band: skylight and haze are blue.
_SHADE = np.array((0.42, 0.50, 0.57, 0.66, 0.72, 0.74), "float32")
_AIR = np.array((0.022, 0.015, 0.010, 0.005, 0.002, 0.001), "float32")
# Part of a pixel's signal that comes from either neighbour along an axis: the 20 m bands are blurred more.
_SPILL = np.array((0.08, 0.08, 0.08, 0.08, 0.20, 0.20), "float32")


def acquisition_dates(count: int, *, seed: int = 42) -> list[datetime.date]:
    """Dates spread irregularly over the year, one in each of ``count`` equal parts, sorted; 1 <= count <= 365."""
    edges = [365 * part // count for part in range(count + 1)]
    luck = uniform(seed, 80, count, np.arange(count))
    days = [low + int(u * (high - low)) for low, high, u in zip(edges, edges[1:], luck, strict=False)]
    return [datetime.date(YEAR, 1, 1) + datetime.timedelta(days=day) for day in days]


def scene(
    country: Country, day: datetime.date, *, rows: slice | None = None, cols: slice | None = None
) -> dict[str, np.ndarray]:
    """Surface reflectance and scene class of one date.

    Parameters
    ----------
    country
        The land.
    day
        Any day of the simulated year.
    rows, cols
        A window within the country; all of it by default. A pixel is the same in every window.

    Returns
    -------
    dict
        Each of ``cover.BANDS`` as int16 in 1e-4 reflectance (1 or more; -32768 where nothing was acquired) and
        ``SCL`` as uint8 (0 no data, 2 dark, 3 shadow, 4 vegetation, 5 bare, 6 water, 7 unclassified, 8, 9, 10 cloud,
        11 snow); all (rows, cols).
    """
    bands, classes = window(country, day, _tile, rows=rows, cols=cols)
    return {**dict(zip(BANDS, bands, strict=True)), SCL: classes}


def window(
    country: Country,
    day: datetime.date,
    make: Callable[[float, int, datetime.date, int, int], tuple[np.ndarray, ...]],
    *,
    rows: slice | None = None,
    cols: slice | None = None,
) -> tuple[np.ndarray, ...]:
    """Put a window together from the tiles that it touches.

    Parameters
    ----------
    country, day, rows, cols
        As for :func:`scene`.
    make
        Arrays (..., TILE, TILE) of the tile in row ``i`` and column ``j`` of a country's tiling: called with the
        country's size and seed, the day, ``i`` and ``j``.

    Returns
    -------
    tuple of numpy.ndarray
        The same arrays, (..., rows, cols).
    """
    side = country.kind.shape[0]
    rows, cols = rows or slice(0, side), cols or slice(0, side)
    whole: tuple[np.ndarray, ...] = ()
    for i in range(rows.start // TILE, -(-rows.stop // TILE)):
        for j in range(cols.start // TILE, -(-cols.stop // TILE)):
            tile = make(country.size_km, country.seed, day, i, j)
            if not whole:
                shape = rows.stop - rows.start, cols.stop - cols.start
                whole = tuple(np.empty((*part.shape[:-2], *shape), part.dtype) for part in tile)
            top, left = max(i * TILE, rows.start), max(j * TILE, cols.start)
            bottom, right = min((i + 1) * TILE, rows.stop), min((j + 1) * TILE, cols.stop)
            source = np.s_[..., top - i * TILE : bottom - i * TILE, left - j * TILE : right - j * TILE]
            target = np.s_[..., top - rows.start : bottom - rows.start, left - cols.start : right - cols.start]
            for part, piece in zip(whole, tile, strict=True):
                part[target] = piece[source]
    return whole


@dataclass(frozen=True, kw_only=True, eq=False)
class _Surface:
    """What does not change through the year, over one tile with its halo; all (y, x) or (bands, y, x)."""

    kind: np.ndarray
    ground: np.ndarray
    green: np.ndarray
    low: np.ndarray
    high: np.ndarray
    start: np.ndarray
    end: np.ndarray
    mowings: tuple[np.ndarray, np.ndarray]
    catch: np.ndarray
    woody: np.ndarray
    elevation: np.ndarray
    slope_north: np.ndarray
    slope_east: np.ndarray


@functools.lru_cache(maxsize=24)
def _surface(size_km: float, seed: int, i: int, j: int) -> _Surface:
    country = make_country(size_km=size_km, seed=seed)
    rows = np.arange(i * TILE - _HALO, (i + 1) * TILE + _HALO)
    cols = np.arange(j * TILE - _HALO, (j + 1) * TILE + _HALO)
    side = country.kind.shape[0]
    # Beyond the border the land goes on as at the border.
    inside = np.ix_(np.clip(rows, 0, side - 1), np.clip(cols, 0, side - 1))
    kind, elevation = country.kind[inside], country.elevation[inside]
    effect = np.asarray(hashed(seed, 90, country.field_id[inside]) % np.uint64(_EFFECTS)).astype("int32")
    table = normal(seed, 91, np.arange(8)[:, None], np.arange(_EFFECTS)).astype("float32")

    def of_field(number: int, spread: str) -> np.ndarray:
        return np.asarray(column(spread)[kind] * table[number][effect])

    # The regional trend: an early and a late, a lush and a poor end of the country, several kilometres apart.
    trend = smooth(rows, cols, 420, seed=(seed, 92), octaves=2, persistence=0.35)
    lush = smooth(rows, cols, 520, seed=(seed, 93), octaves=2, persistence=0.35)
    soil = smooth(rows, cols, 380, seed=(seed, 94), octaves=2)
    height = (elevation - 280) / 100
    woody = np.clip(column("woody")[kind] + of_field(0, "woody_sd"), 0, 2)
    herb, leaf, needle = (spectrum[:, None, None] for spectrum in green_spectra().T)
    green = np.where(woody < 1, herb + (leaf - herb) * woody, leaf + (needle - leaf) * (woody - 1))
    grain = normal(seed, 95, rows[:, None], cols[None, :]).astype("float32")
    bright = np.exp(of_field(1, "bright_sd") + column("texture")[kind] * grain)
    days = 7.0 * trend
    high = np.clip(column("high")[kind] * (1 + 0.05 * lush) + of_field(2, "high_sd"), 0.01, 0.98)
    first = 148 + days + 11 * table[3][effect] + 2.5 * height
    return _Surface(
        kind=kind,
        ground=(ground_spectra()[:, kind] * (bright * (1 + 0.09 * soil))).astype("float32"),
        green=(green * (0.4 + 0.6 * bright)).astype("float32"),
        low=np.clip(column("low")[kind] + 0.5 * of_field(4, "high_sd"), 0.0, 0.95),
        high=high,
        start=column("start")[kind] + days + 3.0 * height + of_field(5, "days_sd"),
        end=column("end")[kind] + 0.6 * days - 2.0 * height + of_field(6, "days_sd"),
        mowings=(first, first + 58 + 7 * table[6][effect]),
        catch=column("catch")[kind] * (table[7][effect] > 0.1),
        woody=woody,
        elevation=elevation,
        slope_north=-np.gradient(elevation, 10.0, axis=0),
        slope_east=np.gradient(elevation, 10.0, axis=1),
    )


def greenness(surface: _Surface, day: int) -> np.ndarray:
    """Green cover 0..1 on a day of the year: a double logistic, less what was mown, plus catch crops; (y, x)."""
    kind = surface.kind
    came = 1 / (1 + np.exp((surface.start - day) / column("rise")[kind]))
    gone = 1 / (1 + np.exp((surface.end - day) / column("fall")[kind]))
    green = surface.low + (surface.high - surface.low) * (came - gone)
    for mowing in surface.mowings:
        since = np.maximum(day - mowing, 0)
        green = green - np.where(day >= mowing, column("cut")[kind] * np.exp(-since / 17), 0)
    green = green + surface.catch * np.exp(-(((day - 292) / 32) ** 2))
    return np.asarray(np.clip(green, 0, 0.98))


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """What lies between the sun, one tile of ground and the satellite on one date; all (TILE, TILE) or with halo."""

    surface: _Surface
    """The ground, with halo."""

    sky: Weather
    """Sky and sun."""

    number: int
    """Day of the year."""

    green: np.ndarray
    """Green cover 0..1, with halo."""

    snow: np.ndarray
    """Share seen under snow, with halo."""

    relief: np.ndarray
    """Brightness of the slope relative to level ground, with halo."""

    cloud: np.ndarray
    """Opacity of clouds."""

    shadow: np.ndarray
    """Depth of their shadows."""

    thin: np.ndarray
    """Opacity of cirrus."""

    haze: np.ndarray
    """As in :class:`~landweave.sources.simulated.weather.Weather`, pixel by pixel."""

    beyond: np.ndarray
    """bool: the swath does not reach here."""


@functools.lru_cache(maxsize=12)
def view(size_km: float, seed: int, day: datetime.date, i: int, j: int) -> View:
    """Ground, snow and sky of one tile; the same for every sensor and every stage of processing."""
    surface, sky, number = _surface(size_km, seed, i, j), weather(seed, day), day.timetuple().tm_yday
    rows = np.arange(i * TILE - _HALO, (i + 1) * TILE + _HALO)
    cols = np.arange(j * TILE - _HALO, (j + 1) * TILE + _HALO)
    inner_rows, inner_cols = rows[_HALO:-_HALO], cols[_HALO:-_HALO]
    cloud, shadow, thin = _clouds(sky, number, seed, inner_rows, inner_cols)
    # Sentinel-2 flies towards the south-south-west: the swath's edge leans.
    side = make_country(size_km=size_km, seed=seed).kind.shape[0]
    return View(
        surface=surface,
        sky=sky,
        number=number,
        green=greenness(surface, number),
        snow=_snow(surface, sky, rows, cols, number=number, seed=seed),
        relief=_relief(surface, sky),
        cloud=cloud,
        shadow=shadow,
        thin=thin,
        haze=sky.haze + 0.25 * smooth(inner_rows, inner_cols, 300, seed=(seed, 84, number)),
        beyond=inner_cols[None, :] + 0.22 * (inner_rows[:, None] - side / 2) > sky.swath * side,
    )


def ground_light(
    seen: View, ground: np.ndarray, green: np.ndarray, snow: np.floating, *, gain: np.floating, spill: np.floating
) -> np.ndarray:
    """Reflectance at the ground in one band, as the sensor blurs it.

    Parameters
    ----------
    seen
        Ground and snow.
    ground, green
        Reflectance between the leaves and of the leaves, float32 with halo.
    snow
        Reflectance of snow.
    gain
        Factor on everything.
    spill
        Part of a pixel's signal that comes from either neighbour along an axis.

    Returns
    -------
    numpy.ndarray
        float64, (TILE, TILE).
    """
    light = (green - ground) * seen.green
    light += ground
    if seen.snow.any():
        light += (snow - light) * seen.snow
    light *= seen.relief
    light *= gain
    for before, here, after in (
        (np.s_[:-2], np.s_[1:-1], np.s_[2:]),
        (np.s_[:, :-2], np.s_[:, 1:-1], np.s_[:, 2:]),
    ):
        light = light[here] * (1 - 2 * spill) + (light[before] + light[after]) * spill
    # The halo's outer ring has one-sided slopes; the spill used up the other.
    return np.asarray(light[1:-1, 1:-1])


@functools.lru_cache(maxsize=96)
def _tile(size_km: float, seed: int, day: datetime.date, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Bands int16 (bands, TILE, TILE) and scene classes uint8 (TILE, TILE) of one tile."""
    seen = view(size_km, seed, day, i, j)
    dark = seen.shadow * (1 - seen.cloud)
    veil = np.maximum(seen.cloud, seen.thin)
    random = np.random.default_rng([seed, 85, seen.number, i, j])
    light = np.empty((len(BANDS), TILE, TILE))
    units = np.empty(light.shape, "int16")
    # Band by band, so that the arrays stay in the processor's cache.
    for band, gain in enumerate(np.array(seen.sky.gain, "float32")):
        ground, green = seen.surface.ground[band], seen.surface.green[band]
        plane = ground_light(seen, ground, green, SNOW[band], gain=gain, spill=_SPILL[band])
        plane *= 1 - dark * _SHADE[band]
        plane += _AIR[band] * seen.haze
        plane += (CLOUD[band] - plane) * veil
        plane += random.standard_normal(plane.shape, "float32") * (0.0018 + 0.012 * np.abs(plane))
        light[band] = plane
        units[band] = np.clip(np.rint(plane * 1e4), 1, 20000)
    inner = np.s_[_HALO:-_HALO, _HALO:-_HALO]
    classes = _scene_classes(
        seen.surface.kind[inner],
        light,
        snow=seen.snow[inner],
        cloud=seen.cloud,
        shadow=seen.shadow,
        thin=seen.thin,
        random=random,
    )
    units[:, seen.beyond] = NODATA
    classes[seen.beyond] = 0
    units.setflags(write=False)
    classes.setflags(write=False)
    return units, classes


def _relief(surface: _Surface, sky: Weather) -> np.ndarray:
    """Brightness of a slope relative to level ground, half corrected; (y, x)."""
    toward = surface.slope_north * math.cos(sky.azimuth) + surface.slope_east * math.sin(sky.azimuth)
    return np.asarray(np.clip(1 - 0.5 * math.tan(min(sky.zenith, 1.2)) * toward, 0.35, 1.5)).astype("float32")


def _snow(surface: _Surface, sky: Weather, rows: np.ndarray, cols: np.ndarray, *, number: int, seed: int) -> np.ndarray:
    """Share of a pixel seen under snow, 0..1; trees stand above it, water swallows it; float32 (y, x)."""
    if sky.snow_line > 4000:
        return np.zeros(surface.kind.shape, "float32")
    patchy = smooth(rows, cols, 60, seed=(seed, 86, number // 9), octaves=3)
    lying = 1 / (1 + np.exp(-np.clip((surface.elevation + 45 * patchy - sky.snow_line) / 40, -30, 30)))
    lying = lying * (1 - 0.75 * np.clip(surface.woody, 0, 1.3) / 1.3)
    kept = np.where(class_values()[surface.kind] == 5, 0.0, np.where(surface.kind == NUMBER["pavement"], 0.35, 0.97))
    return np.asarray(np.where(lying < 0.02, 0, lying * kept)).astype("float32")


def _clouds(
    sky: Weather, number: int, seed: int, rows: np.ndarray, cols: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Opacity of clouds, depth of their shadows and opacity of cirrus, 0..1, float32 (y, x)."""
    from scipy.special import ndtri

    level = float(ndtri(1 - min(max(sky.cover, 1e-4), 0.995)))
    reach = (90 + 90 * uniform(seed, 87, number)[0]) * math.tan(min(sky.zenith, 1.15))
    # A shadow falls away from the sun: what shades a pixel stands toward the sun.
    down, right = -math.cos(sky.azimuth) * reach, math.sin(sky.azimuth) * reach

    def opacity(y: np.ndarray, x: np.ndarray) -> np.ndarray:
        field = smooth(y, x, 190, seed=(seed, 88, number), octaves=5, persistence=0.55)
        return np.asarray(np.clip((field - level) / 0.45, 0, 1) ** 0.8 * 0.97).astype("float32")

    thin = np.zeros((len(rows), len(cols)), "float32")
    if sky.cirrus > 0:
        streaks = smooth(rows, cols, 500, seed=(seed, 89, number), octaves=4)
        thin = np.clip(sky.cirrus * (1 + 0.7 * streaks), 0, 0.4).astype("float32")
    return opacity(rows, cols), opacity(rows + down, cols + right), thin


def _scene_classes(
    kind: np.ndarray,
    light: np.ndarray,
    *,
    snow: np.ndarray,
    cloud: np.ndarray,
    shadow: np.ndarray,
    thin: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Scene classes with the mistakes of a real one: thin cloud missed, bright roofs called cloud; uint8 (y, x)."""
    blue, green, red, infrared, swir = light[0], light[1], light[2], light[3], light[4]
    ndvi = (infrared - red) / np.maximum(infrared + red, 1e-3)
    ndsi = (green - swir) / np.maximum(green + swir, 1e-3)
    guess = random.standard_normal(kind.shape, "float32") * 0.05
    classes = np.where(ndvi + guess > 0.38, 4, 5).astype("uint8")
    classes[(infrared < 0.06) & (swir < 0.05)] = 6
    classes[(classes != 6) & (infrared < 0.09) & (ndvi < 0.5)] = 2
    classes[(snow > 0.45) & (ndsi > 0.3)] = 11
    classes[(shadow > 0.35 + guess) & (classes != 11)] = 3
    classes[thin > 0.09 + 0.3 * guess] = 10
    classes[(cloud > 0.08) & (cloud <= 0.16)] = 7
    classes[cloud > 0.16 + 0.5 * guess] = 8
    classes[cloud > 0.62] = 9
    roofs = (blue > 0.32 + guess) & (classes == 5) & (class_values()[kind] == 8)
    classes[roofs] = 8
    # The scene classes come at 20 m.
    return np.repeat(np.repeat(classes[::2, ::2], 2, axis=0), 2, axis=1)
