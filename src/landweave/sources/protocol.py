"""Where pixels come from: the one promise that every source keeps."""

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import xarray as xr
from odc.geo.geobox import GeoBox


class Source(Protocol):
    """Dated imagery over some ground.

    A source is small and can be pickled: it holds where the pixels are, never the pixels. It opens what it needs
    at each call, so that several processes and threads may use copies of it at once.
    """

    @property
    def variables(self) -> tuple[str, ...]:
        """Names that :meth:`load` knows, bands first."""
        ...

    @property
    def categorical(self) -> tuple[str, ...]:
        """Those of ``variables`` that hold codes (masks, scene classes): loaded unscaled, nearest neighbour."""
        ...

    @property
    def geobox(self) -> GeoBox | None:
        """The grid on which the pixels lie; None where there is no single one."""
        ...

    def dates(self, start: datetime.date | None, end: datetime.date | None) -> list[datetime.date]:
        """Acquisition dates from ``start`` to ``end``, both inclusive, sorted, each once; None is open-ended."""
        ...

    def load(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> xr.Dataset:
        """Read one piece of ground.

        Parameters
        ----------
        geobox
            Pixel grid of the answer: a cell, any strip of it, or another grid altogether.
        dates
            Some of :meth:`dates`; they become the time axis, in the order given.
        variables
            Some of :attr:`variables`.

        Returns
        -------
        xarray.Dataset
            A patch, axes (time, y, x): bands int16 in 1e-4 reflectance, -32768 where there is none; categorical
            variables uint8, 0 where there is none.

        Raises
        ------
        landweave.errors.InputError
            For a date or variable that the source does not have, and for a file that cannot be read.
        """
        ...

    def inputs(self) -> list[Path]:
        """Files whose content decides the pixels, sorted; the run's record fingerprints them."""
        ...
