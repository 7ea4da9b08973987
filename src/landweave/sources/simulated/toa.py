"""The simulated scenes at the top of the atmosphere, as Sentinel-2 L1C: thirteen bands with the air in them.

A plain model, so that thresholds and models made for real L1C find what they look for: light scattered once by
molecules and aerosol is added, less of the ground's light arrives, and water vapour swallows two bands.
"""

import datetime
import functools
import math

import numpy as np

from landweave.patch.model import NODATA
from landweave.sources.simulated.country import Country
from landweave.sources.simulated.cover import KINDS, spectrum
from landweave.sources.simulated.scenes import ground_light, window
from landweave.sources.simulated.view import TILE, SatelliteView, Surface, cloud_height, view

BANDS = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")

# Centre of each band in micrometres, how dark a full shadow is in it, and part of a pixel's signal that comes from
# either neighbour.
_WAVELENGTH = (0.443, 0.490, 0.560, 0.665, 0.704, 0.740, 0.783, 0.842, 0.865, 0.945, 1.374, 1.610, 2.190)
_SHADE = (0.38, 0.42, 0.50, 0.57, 0.60, 0.62, 0.64, 0.66, 0.67, 0.69, 0.71, 0.72, 0.74)
_SPILL = (0.20, 0.08, 0.08, 0.08, 0.20, 0.20, 0.20, 0.08, 0.20, 0.20, 0.20, 0.20, 0.20)
# How strongly water vapour absorbs: transmission is exp(-k * sqrt(centimetres of water along the path)).
_VAPOUR = {"B09": 0.62, "B10": 5.5}
_AEROSOL = 0.12
"""Optical thickness of the aerosol at 550 nm where the haze is 0."""

_CIRRUS_TOP = 10_000.0


def top_of_atmosphere(
    country: Country, day: datetime.date, *, rows: slice | None = None, cols: slice | None = None
) -> dict[str, np.ndarray]:
    """Reflectance at the top of the atmosphere on one date: the land, clouds, snow and swath of :func:`.scenes.scene`.

    Parameters
    ----------
    country, day, rows, cols
        As there.

    Returns
    -------
    dict
        Each of :data:`BANDS` as int16 in 1e-4 reflectance (1 or more; -32768 where nothing was acquired), (rows,
        cols), all at 10 m.
    """
    (bands,) = window(country, day, _tile, rows=rows, cols=cols)
    return dict(zip(BANDS, bands, strict=True))


@functools.lru_cache(maxsize=24)
def _tile(
    size_km: float, seed: int, day: datetime.date, i: int, j: int, *, snow_texture: bool = False
) -> tuple[np.ndarray]:
    """Bands int16 (bands, TILE, TILE) of one tile."""
    seen = view(size_km, seed, day, i, j, snow_texture=snow_texture)
    grounds, greens, snow, cloud, ice = _spectra()
    random = np.random.default_rng([seed, 110, seen.number, i, j])
    air = _Air(seen, base=cloud_height(seed, seen.number))
    dark = (seen.shadow * (1 - seen.cloud)).astype("float32")
    units = np.empty((len(BANDS), TILE, TILE), "int16")
    for band in range(len(BANDS)):
        ground, green = _of_band(seen.surface, grounds[band], greens[band])
        plane = ground_light(seen, ground, green, snow[band], gain=np.float32(1), spill=np.float32(_SPILL[band]))
        plane = plane.astype("float32")
        plane *= 1 - dark * np.float32(_SHADE[band])
        plane = air.above(plane, band)
        plane += (cloud[band] * air.vapour(band, air.cloud_top) - plane) * seen.cloud
        plane += (ice[band] * air.vapour(band, _CIRRUS_TOP) - plane) * seen.thin
        plane += random.standard_normal(plane.shape, "float32") * (0.0008 + 0.006 * np.abs(plane))
        units[band] = np.clip(np.rint(plane * 1e4), 1, 20000)
    units[:, seen.beyond] = NODATA
    units.setflags(write=False)
    return (units,)


@functools.lru_cache(maxsize=1)
def _spectra() -> tuple[np.ndarray, ...]:
    """Spectra of the ground of every kind (bands, kinds), of leaves (bands, 3), of snow, cloud and cirrus (bands,)."""
    return (
        np.stack([spectrum(kind.ground, BANDS) for kind in KINDS], axis=1),
        np.stack([spectrum(name, BANDS) for name in ("herb", "leaf", "needle")], axis=1),
        spectrum("snow", BANDS),
        spectrum("cloud", BANDS),
        spectrum("ice cloud", BANDS),
    )


def _of_band(surface: Surface, ground: np.ndarray, green: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance between the leaves and of the leaves in one band, float32 (y, x) with halo."""
    herb, leaf, needle = green
    woody = surface.woody
    leaves = np.where(woody < 1, herb + (leaf - herb) * woody, leaf + (needle - leaf) * (woody - 1))
    return ground[surface.kind] * surface.earth, leaves * (0.4 + 0.6 * surface.bright)


class _Air:
    """The atmosphere over one tile on one date, seen from straight above."""

    def __init__(self, seen: SatelliteView, *, base: float) -> None:
        self._height = seen.elevation
        self._pressure = np.exp(-self._height / 8000)
        self._aerosol = np.clip(_AEROSOL + 0.22 * seen.haze, 0.03, 0.6).astype("float32")
        self._sun = math.cos(min(seen.sky.zenith, 1.4))
        self._water = 1.5 - math.cos(2 * math.pi * (seen.number - 22) / 365)  # centimetres above the sea
        self.cloud_top = self._height + base + 400 + 3000 * seen.cloud**2
        """Metres above the sea; the thicker, the higher."""

    def above(self, light: np.ndarray, band: int) -> np.ndarray:
        """Reflectance of the ground as it is above the clear air.

        Optical depth of molecules: Hansen and Travis 1974 (Space Science Reviews 16: 527-610); of
        aerosol: Angstrom's law with exponent 1.3. Path reflectance is that of light scattered once.
        """
        squared = _WAVELENGTH[band] ** 2
        rayleigh = 0.008569 / squared**2 * (1 + 0.0113 / squared + 0.00013 / squared**2)
        molecules = np.float32(rayleigh) * self._pressure
        aerosol = np.float32((_WAVELENGTH[band] / 0.55) ** -1.3) * self._aerosol
        mass = 1 + 1 / self._sun
        # Phase functions towards the satellite: of molecules, and of aerosol (nearly even at these angles).
        path = 0.75 * (1 + self._sun**2) * -np.expm1(-mass * molecules) + 0.25 * -np.expm1(-mass * aerosol)
        # What is scattered forwards reaches the ground, or the satellite, all the same.
        arriving = np.exp(-mass * (0.5 * molecules + 0.15 * aerosol))
        return np.asarray((path / (4 * (1 + self._sun)) + arriving * light) * self.vapour(band, self._height))

    def vapour(self, band: int, height: np.ndarray | float) -> np.ndarray | np.float32:
        """Transmission of the water vapour above a height in metres, down and up again."""
        strength = _VAPOUR.get(BANDS[band])
        if strength is None:
            return np.float32(1)
        path = self._water * np.exp(-np.asarray(height, "float32") / 2000) * (1 + 1 / self._sun)
        return np.asarray(np.exp(-strength * np.sqrt(path)))
