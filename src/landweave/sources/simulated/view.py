"""What lies between the sun, the simulated ground and the satellite: plants, snow, slopes, clouds and their shadows."""

import datetime
import functools
import math
from dataclasses import dataclass

import numpy as np

from landweave.sources.simulated.country import country_geobox, make_country
from landweave.sources.simulated.cover import NUMBER, class_values, column, green_spectra, ground_spectra
from landweave.sources.simulated.noise import hashed, normal, smooth, uniform
from landweave.sources.simulated.weather import Weather, weather

TILE = 256
"""Scenes are made in tiles of this many pixels, so that every window sees the same pixels."""

_HALO = 2
_EFFECTS = 4096


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """What does not change through the year, over one tile with its halo; all (y, x) or (bands, y, x)."""

    kind: np.ndarray
    """What it looks like; that is what it is, except where texture shows under snow only."""
    stems: np.ndarray | None
    """Share of a pixel's snow that is hidden by bare stems, where texture shows under snow only."""
    ground: np.ndarray
    green: np.ndarray
    bright: np.ndarray
    earth: np.ndarray
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
def _surface(size_km: float, seed: int, i: int, j: int, *, snow_texture: bool = False) -> Surface:
    country = make_country(size_km=size_km, seed=seed, snow_texture=snow_texture)
    rows = np.arange(i * TILE - _HALO, (i + 1) * TILE + _HALO)
    cols = np.arange(j * TILE - _HALO, (j + 1) * TILE + _HALO)
    side = country.kind.shape[0]
    # Beyond the border the land goes on as at the border.
    inside = np.ix_(np.clip(rows, 0, side - 1), np.clip(cols, 0, side - 1))
    kind, elevation = country.kind[inside], country.elevation[inside]
    stems = None
    if snow_texture:
        bushes = kind == NUMBER["overgrown"]
        stems = np.where(bushes, 0.25 + 0.45 * uniform(seed, 121, rows[:, None], cols[None, :]), 0).astype("float32")
        kind = np.where(bushes, NUMBER["meadow"], kind)
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
    earth = bright * (1 + 0.09 * soil)
    days = 7.0 * trend
    high = np.clip(column("high")[kind] * (1 + 0.05 * lush) + of_field(2, "high_sd"), 0.01, 0.98)
    first = 148 + days + 11 * table[3][effect] + 2.5 * height
    return Surface(
        kind=kind,
        stems=stems,
        ground=(ground_spectra()[:, kind] * earth).astype("float32"),
        green=(green * (0.4 + 0.6 * bright)).astype("float32"),
        bright=bright,
        earth=earth,
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


def greenness(surface: Surface, day: int) -> np.ndarray:
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
class SatelliteView:
    """What lies between the sun, one tile of ground and the satellite on one date; all (TILE, TILE) or with halo."""

    surface: Surface
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

    @property
    def elevation(self) -> np.ndarray:
        """Metres above the sea."""
        return self.surface.elevation[_HALO:-_HALO, _HALO:-_HALO]


@functools.lru_cache(maxsize=12)
def view(size_km: float, seed: int, day: datetime.date, i: int, j: int, *, snow_texture: bool = False) -> SatelliteView:
    """Ground, snow and sky of one tile; the same for every sensor and every stage of processing."""
    surface = _surface(size_km, seed, i, j, snow_texture=snow_texture)
    sky, number = weather(seed, day, snow_texture=snow_texture), day.timetuple().tm_yday
    rows = np.arange(i * TILE - _HALO, (i + 1) * TILE + _HALO)
    cols = np.arange(j * TILE - _HALO, (j + 1) * TILE + _HALO)
    inner_rows, inner_cols = rows[_HALO:-_HALO], cols[_HALO:-_HALO]
    cloud, shadow, thin = _clouds(sky, number, seed, inner_rows, inner_cols)
    # Sentinel-2 flies towards the south-south-west: the swath's edge leans.
    side = country_geobox(size_km).shape[0]
    return SatelliteView(
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


def _relief(surface: Surface, sky: Weather) -> np.ndarray:
    """Brightness of a slope relative to level ground, half corrected; (y, x)."""
    toward = surface.slope_north * math.cos(sky.azimuth) + surface.slope_east * math.sin(sky.azimuth)
    return np.asarray(np.clip(1 - 0.5 * math.tan(min(sky.zenith, 1.2)) * toward, 0.35, 1.5)).astype("float32")


def _snow(surface: Surface, sky: Weather, rows: np.ndarray, cols: np.ndarray, *, number: int, seed: int) -> np.ndarray:
    """Share of a pixel seen under snow, 0..1; trees stand above it, water swallows it; float32 (y, x)."""
    if sky.snow_line > 4000:
        return np.zeros(surface.kind.shape, "float32")
    patchy = smooth(rows, cols, 60, seed=(seed, 86, number // 9), octaves=3)
    lying = 1 / (1 + np.exp(-np.clip((surface.elevation + 45 * patchy - sky.snow_line) / 40, -30, 30)))
    lying = lying * (1 - 0.75 * np.clip(surface.woody, 0, 1.3) / 1.3)
    kept = np.where(class_values()[surface.kind] == 5, 0.0, np.where(surface.kind == NUMBER["pavement"], 0.35, 0.97))
    if surface.stems is not None:
        lying = lying * (1 - surface.stems)
    return np.asarray(np.where(lying < 0.02, 0, lying * kept)).astype("float32")


def _clouds(
    sky: Weather, number: int, seed: int, rows: np.ndarray, cols: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Opacity of clouds, depth of their shadows and opacity of cirrus, 0..1, float32 (y, x)."""
    from scipy.special import ndtri

    level = float(ndtri(1 - min(max(sky.cover, 1e-4), 0.995)))
    reach = cloud_height(seed, number) / 10 * math.tan(min(sky.zenith, 1.15))
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


def cloud_height(seed: int, number: int) -> float:
    """Metres above the ground of the clouds of a day of the year."""
    return 900 + 900 * float(uniform(seed, 87, number)[0])
