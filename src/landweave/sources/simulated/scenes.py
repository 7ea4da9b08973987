"""What a satellite would see of the simulated country on a given day, corrected for the air: Sentinel-2 L2A."""

import datetime
import functools
from collections.abc import Callable

import numpy as np

from landweave.patch.model import NODATA
from landweave.sources.simulated.country import Country
from landweave.sources.simulated.cover import BANDS, CLOUD, SNOW, class_values
from landweave.sources.simulated.noise import uniform
from landweave.sources.simulated.view import _HALO, TILE, SatelliteView, view
from landweave.sources.simulated.weather import YEAR

SCL = "SCL"

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
    make: Callable[..., tuple[np.ndarray, ...]],
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
        country's size and seed, the day, ``i``, ``j`` and, by its name, ``snow_texture``.

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
            tile = make(country.size_km, country.seed, day, i, j, snow_texture=country.snow_texture)
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


def ground_light(
    seen: SatelliteView,
    ground: np.ndarray,
    green: np.ndarray,
    snow: np.floating,
    *,
    gain: np.floating,
    spill: np.floating,
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
def _tile(
    size_km: float, seed: int, day: datetime.date, i: int, j: int, *, snow_texture: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Bands int16 (bands, TILE, TILE) and scene classes uint8 (TILE, TILE) of one tile."""
    seen = view(size_km, seed, day, i, j, snow_texture=snow_texture)
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
