"""The simulated country as a source of imagery, without any file."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.model import NODATA, make_patch
from landweave.sources.protocol import Source
from landweave.sources.simulated.country import Country, country_geobox, make_country
from landweave.sources.simulated.cover import BANDS
from landweave.sources.simulated.scenes import SCL, acquisition_dates, scene


@dataclass(frozen=True, kw_only=True)
class SimulatedSource:
    """A year of scenes over a simulated country; holds numbers only, so it is pickled in a few bytes.

    Examples
    --------
    >>> source = SimulatedSource(size_km=0.6, n_dates=3)
    >>> source.load(source.geobox[:4, :5], source.dates(None, None), ["B04", "SCL"]).sizes["time"]
    3
    """

    size_km: float = 8.0
    """Length of the country's side, kilometres."""

    n_dates: int = 24
    """Acquisitions in the year, 1 to 365."""

    seed: int = 42
    """What decides everything."""

    def __post_init__(self) -> None:
        if not 1 <= self.n_dates <= 365:
            raise InputError(f"A simulated year of {self.n_dates} dates cannot be made; give 1 to 365.")

    @property
    def variables(self) -> tuple[str, ...]:
        """Bands, then the scene class."""
        return (*BANDS, SCL)

    @property
    def categorical(self) -> tuple[str, ...]:
        """The scene class."""
        return (SCL,)

    @property
    def geobox(self) -> GeoBox:
        """The country's grid."""
        return country_geobox(self.size_km)

    @property
    def country(self) -> Country:
        """The land itself, with its true cover; made when asked for and kept for the next time."""
        return make_country(size_km=self.size_km, seed=self.seed)

    def dates(self, start: datetime.date | None, end: datetime.date | None) -> list[datetime.date]:
        """Acquisition dates from ``start`` to ``end``, both inclusive, sorted."""
        return [
            day
            for day in acquisition_dates(self.n_dates, seed=self.seed)
            if (start is None or day >= start) and (end is None or day <= end)
        ]

    def load(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> xr.Dataset:
        """Bands int16 and scene classes uint8, (time, y, x); see :class:`~landweave.sources.protocol.Source`.

        On another grid than the country's, a pixel is the nearest one.
        """
        unknown = [name for name in variables if name not in self.variables]
        if unknown:
            raise InputError(
                f"The simulated source has no variable {unknown[0]!r}; it has {', '.join(self.variables)}."
            )
        have = set(self.dates(None, None))
        strange = [day for day in dates if day not in have]
        if strange:
            raise InputError(f"The simulated source has no scene of {strange[0]}; ask for some of its dates.")
        rows, cols = _nearest_pixels(geobox, self.geobox)
        height, width = self.geobox.shape
        inside = (rows >= 0) & (rows < height) & (cols >= 0) & (cols < width)
        data = {
            name: np.zeros((len(dates), *geobox.shape), "uint8")
            if name in self.categorical
            else np.full((len(dates), *geobox.shape), NODATA, "int16")
            for name in variables
        }
        if inside.any():
            top, left = int(rows[inside].min()), int(cols[inside].min())
            window = slice(top, int(rows[inside].max()) + 1), slice(left, int(cols[inside].max()) + 1)
            pick = rows[inside] - top, cols[inside] - left
            for step, day in enumerate(dates):
                pixels = scene(self.country, day, rows=window[0], cols=window[1])
                for name in variables:
                    data[name][step][inside] = pixels[name][pick]
        return make_patch(data, geobox, dates)

    def inputs(self) -> list[Path]:
        """No files decide these pixels; the settings do."""
        return []


def _nearest_pixels(geobox: GeoBox, native: GeoBox) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the native pixel under the centre of each pixel of ``geobox``; int64, both (y, x)."""
    height, width = geobox.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    east, north = geobox.transform * (x, y)
    if geobox.crs != native.crs:
        from pyproj import Transformer

        move = Transformer.from_crs(geobox.crs.to_wkt(), native.crs.to_wkt(), always_xy=True)
        east, north = move.transform(east, north)
    col, row = ~native.transform * (east, north)
    # Centres that should meet exactly must not fall on either side of a border by rounding.
    return np.floor(row + 1e-6).astype("int64"), np.floor(col + 1e-6).astype("int64")


_: type[Source] = SimulatedSource
