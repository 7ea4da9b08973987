"""The simulated country as a source of imagery, without any file."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels, pixel_offset
from landweave.patch.model import NODATA, make_patch
from landweave.patch.summary import Shown, listed, span
from landweave.sources.protocol import LocalSource, Source, days_between, digest_of
from landweave.sources.simulated.country import Country, country_geobox, make_country
from landweave.sources.simulated.cover import BANDS
from landweave.sources.simulated.scenes import SCL, acquisition_dates, scene


@dataclass(frozen=True, kw_only=True, repr=False)
class SimulatedSource(Shown, LocalSource):
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

    snow_texture: bool = False
    """Whether grassland and shrubland differ under snow alone."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "size_km": self.size_km,
            "variables": listed(self.variables, 13),
            "dates": span(self.dates(None, None)),
            "seed": self.seed,
            "crs": str(self.geobox.crs),
        }

    def __post_init__(self) -> None:
        if not 1 <= self.n_dates <= 365:
            raise InputError(f"The number of simulated dates is {self.n_dates}; give 1 to 365.")

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
        return make_country(size_km=self.size_km, seed=self.seed, snow_texture=self.snow_texture)

    def dates(self, start: datetime.date | None, end: datetime.date | None) -> list[datetime.date]:
        """Acquisition dates from ``start`` to ``end``, both inclusive, sorted."""
        return days_between(acquisition_dates(self.n_dates, seed=self.seed), start, end)

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
            raise InputError(f"The simulated source has no scene of {strange[0]}; use one of its dates.")
        there = lookup(geobox, self.geobox)
        layers: dict[str, list[np.ndarray]] = {name: [] for name in variables}
        for day in dates:
            pixels = scene(self.country, day, rows=there.rows, cols=there.cols) if there.meets else {}
            for name in variables:
                missing, kind = (0, "uint8") if name in self.categorical else (NODATA, "int16")
                layers[name].append(
                    there.spread(pixels[name], missing) if pixels else np.full(geobox.shape, missing, kind)
                )
        empty = (0, *geobox.shape)
        data = {
            name: np.stack(parts) if parts else np.zeros(empty, "uint8" if name in self.categorical else "int16")
            for name, parts in layers.items()
        }
        return make_patch(data, geobox, dates)

    def stamp(
        self,
        geobox: GeoBox,  # noqa: ARG002
        dates: Sequence[datetime.date] | None = None,  # noqa: ARG002
        variables: Sequence[str] | None = None,  # noqa: ARG002
    ) -> str:
        """The settings, which decide everything."""
        return digest_of([self.size_km, self.n_dates, self.seed, self.snow_texture])


@dataclass(frozen=True, kw_only=True, eq=False)
class Lookup:
    """Which pixel of the country each pixel of another grid takes: the one that holds its centre."""

    shape: tuple[int, int]
    """Of the other grid, (y, x)."""

    rows: slice
    """Rows of the country that are needed."""

    cols: slice
    """Columns of the country that are needed."""

    target: tuple[slice, slice]
    """Where they lie on the other grid, if that is a shift of the country's."""

    index: np.ndarray | None
    """int32 (y, x) where it is not: position in the flattened window, -1 outside the country."""

    @property
    def meets(self) -> bool:
        """Whether any pixel of the other grid lies in the country."""
        return bool(self.rows.stop > self.rows.start and self.cols.stop > self.cols.start)

    def spread(self, values: np.ndarray, missing: int) -> np.ndarray:
        """Values of the window, (rows, cols), on the other grid, (y, x), with ``missing`` outside the country."""
        if self.index is None:
            whole = np.full(self.shape, missing, values.dtype)
            whole[self.target] = values
            return whole
        whole = np.take(values, self.index, mode="clip")
        whole[self.index < 0] = missing
        return whole


def lookup(geobox: GeoBox, native: GeoBox) -> Lookup:
    """Find the pixels of ``native``, the country's grid, for those of ``geobox``."""
    height, width = native.shape
    offset = pixel_offset(native, geobox)
    if offset is not None:
        spans = [
            (max(first, 0), max(min(first + count, size), first, 0))
            for first, count, size in zip(offset, geobox.shape, (height, width), strict=True)
        ]
        rows, cols = (slice(*span) for span in spans)
        target = (
            slice(rows.start - offset[0], rows.stop - offset[0]),
            slice(cols.start - offset[1], cols.stop - offset[1]),
        )
        return Lookup(shape=tuple(geobox.shape), rows=rows, cols=cols, target=target, index=None)
    row, col, inside = nearest_pixels(native, geobox)
    whole = slice(None), slice(None)
    if not inside.any():
        nowhere = slice(0, 0)
        return Lookup(shape=tuple(geobox.shape), rows=nowhere, cols=nowhere, target=whole, index=None)
    rows, cols = (slice(int(n[inside].min()), int(n[inside].max()) + 1) for n in (row, col))
    flat = (row - rows.start) * (cols.stop - cols.start) + (col - cols.start)
    index = np.where(inside, flat, -1).astype("int32")
    return Lookup(shape=tuple(geobox.shape), rows=rows, cols=cols, target=whole, index=index)


_: type[Source] = SimulatedSource
