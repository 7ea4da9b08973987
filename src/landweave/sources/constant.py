"""A source of given numbers: for tests, examples and trying things out, without any file."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.sources.patchwise.common_grid import Numbers, load_patches
from landweave.sources.protocol import LocalSource, Source, days_between, digest_of

Values = np.ndarray | float | Callable[[datetime.date], np.ndarray | float]
"""Of one variable: an array (time, y, x), or (y, x) for every date, or one number; or a function from a date to an
array (y, x) or a number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ConstantSource(LocalSource):
    """Imagery that is given as arrays, numbers or functions.

    Examples
    --------
    >>> import datetime
    >>> from odc.geo.geobox import GeoBox
    >>> grid = GeoBox.from_bbox((500_000, 5_100_000, 500_040, 5_100_030), "EPSG:32633", resolution=10)
    >>> days = (datetime.date(2020, 5, 1), datetime.date(2020, 6, 1))
    >>> source = ConstantSource(
    ...     geobox=grid, days=days, values={"B04": lambda day: 100 * day.month, "SCL": 4}, categorical=("SCL",)
    ... )
    >>> source.load(grid[:2, :3], days, ["B04", "SCL"])["B04"].values[:, 0, 0].tolist()
    [500, 600]
    """

    geobox: GeoBox
    """The grid of the arrays."""

    days: tuple[datetime.date, ...]
    """Acquisition dates, sorted, each once; a second pass of a day is a ``datetime``."""

    values: Mapping[str, Values]
    """Variable to its :data:`Values`: bands in 1e-4 reflectance, -32768 or NaN missing; codes 0..255, 0 missing.
    A function must stand at the top of a module where the source is sent to other processes."""

    categorical: tuple[str, ...] = ()
    """Variables of ``values`` that hold codes."""

    resampling: str = "bilinear"
    """How bands come to another grid: one of GDAL's names."""

    def __post_init__(self) -> None:
        for name in self.categorical:
            if name not in self.values:
                raise InputError(f"categorical names {name!r}, but values has {', '.join(self.values)}.")
        whole = (len(self.days), *self.geobox.shape)
        for name, value in self.values.items():
            shape = np.shape(value) if not callable(value) else ()
            if shape not in {(), whole[1:], whole}:
                raise InputError(f"{name} has shape {shape}; the source needs {whole}, {whole[1:]} or one number.")

    @property
    def variables(self) -> tuple[str, ...]:
        """Bands, then codes."""
        return (*(name for name in self.values if name not in self.categorical), *self.categorical)

    @property
    def order(self) -> tuple[int, ...]:
        """The steps of the arrays' time axis, which are in the order of time."""
        return tuple(range(len(self.days)))

    def dates(self, start: datetime.date | None = None, end: datetime.date | None = None) -> list[datetime.date]:
        """Those of ``days`` from ``start`` to ``end``, both inclusive."""
        return days_between(self.days, start, end)

    def stamp(
        self,
        geobox: GeoBox,  # noqa: ARG002
        dates: Sequence[datetime.date] | None = None,
        variables: Sequence[str] | None = None,
    ) -> str:
        """Fingerprint of the numbers themselves; see the protocol."""
        steps = [step for step, day in enumerate(self.days) if dates is None or day in dates]
        names = self.variables if variables is None else variables
        numbers = {name: [self._layer(name, step).tolist() for step in steps] for name in names}
        grid = [str(self.geobox.crs), list(self.geobox.affine)[:6], list(self.geobox.shape)]
        return digest_of([grid, [self.days[step] for step in steps], numbers, self.categorical, self.resampling])

    def resampled(self, method: str) -> "ConstantSource":
        """The same numbers, brought to other grids by another method."""
        return replace(self, resampling=method)

    def load(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> xr.Dataset:
        """As :func:`landweave.sources.patchwise.common_grid.load_patches`, of one patch.

        Raises
        ------
        InputError
            For a variable or a date that was not given.
        """
        for name in variables:
            if name not in self.values:
                raise InputError(f"The source has no {name!r}; it has {', '.join(self.variables)}.")
        for day in dates:
            if day not in self.days:
                raise InputError(f"The source has no {day}; it has {', '.join(map(str, self.days))}.")
        return load_patches(
            [self], geobox, dates, variables, categorical=self.categorical, leading=self.variables[0],
            read=_read, resampling=self.resampling,
        )  # fmt: skip

    def _layer(self, name: str, step: int) -> np.ndarray:
        """Numbers of a variable on one date, (y, x); of bands float64, NaN missing."""
        given = self.values[name]
        value: Any = np.asarray(given(self.days[step]) if callable(given) else given)
        layer = np.broadcast_to(value[step] if value.ndim == 3 else value, self.geobox.shape)
        return layer if name in self.categorical else np.where(layer == NODATA, np.nan, layer.astype("float64"))


def _read(
    source: ConstantSource, variables: Sequence[str], steps: Sequence[int], rows: slice, columns: slice
) -> dict[str, Numbers]:
    return {
        name: (np.stack([source._layer(name, step)[rows, columns] for step in steps]), 1.0, 0.0)  # noqa: SLF001
        for name in variables
    }


_: type[Source] = ConstantSource
