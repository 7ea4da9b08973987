"""Where pixels come from: the promise that every source keeps, so that callers never ask which kind it is."""

import datetime
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.patch.align import bounds_of
from landweave.sources.stac.scenes import Scene

Bounds = tuple[float, float, float, float]
"""West, south, east, north, degrees."""


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
        """The grid of all pixels; None where there is no single one."""
        ...

    @property
    def grids(self) -> Mapping[str, GeoBox]:
        """Name to grid of each patch, where the imagery comes in patches; else empty."""
        ...

    @property
    def extent(self) -> Bounds | None:
        """West, south, east, north of the imagery, degrees; None where it has no bounds."""
        ...

    @property
    def remote(self) -> bool:
        """Whether any pixel is on a server: such a source is read with many connections at a time."""
        ...

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Scenes whose metadata state a scale and an offset that their pixels may contradict; empty for others."""
        ...

    @property
    def incomplete(self) -> tuple[str, ...]:
        """Ids of scenes that were left out since they lack a variable that is needed; empty for others."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what of the imagery was left out, and why, for the user."""
        ...

    def dates(self, start: datetime.date | None, end: datetime.date | None) -> list[datetime.date]:
        """Acquisition dates from ``start`` to ``end``, both inclusive, sorted, each once; None is open-ended."""
        ...

    def seen(self, geobox: GeoBox, dates: Sequence[datetime.date]) -> Mapping[datetime.date, float | None]:
        """Those of the dates on which there is imagery of a piece of ground, judged without opening a file.

        Returns
        -------
        dict
            Date to the share of clear sky that its metadata state, 0..1; None where they state none.
        """
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
        """Files whose content decides the pixels, sorted; the run's ledger fingerprints them and remembers."""
        ...

    def stamp(
        self, geobox: GeoBox, dates: Sequence[datetime.date] | None = None, variables: Sequence[str] | None = None
    ) -> str:
        """Fingerprint of what decides the pixels of a piece of ground beside the content of :meth:`inputs`.

        A source may answer for more than was asked, never for less. None: all dates, all variables.
        """
        ...

    def cost(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> float | None:
        """Bytes of files to read for a piece of ground, estimated from some dates; None where that is not known."""
        ...

    def reach(self) -> None:
        """Check that the imagery can be read at all; InputError says why not. Costs a few requests at most."""
        ...

    def with_offsets(self, offsets: Mapping[str, float]) -> "Source":
        """The same imagery, some of :attr:`scenes` (by id) with another offset, in reflectance."""
        ...

    def resampled(self, method: str) -> "Source":
        """The same imagery, its bands brought to other grids by another of GDAL's methods, such as ``average``."""
        ...


class LocalSource:
    """What holds for any source whose files, if there are any, are on this machine: the base of all but archives."""

    @property
    def grids(self) -> Mapping[str, GeoBox]:
        """None."""
        return {}

    @property
    def extent(self: Source) -> Bounds | None:
        """Bounds of the patches, or of the one grid, degrees."""
        grids = list(self.grids.values()) or ([] if self.geobox is None else [self.geobox])
        if not grids:
            return None
        return bounds_of(grids, "EPSG:4326")

    @property
    def remote(self) -> bool:
        """False."""
        return False

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """None: the user has stated how numbers become reflectance."""
        return ()

    @property
    def incomplete(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """None."""
        return ()

    def seen(self, geobox: GeoBox, dates: Sequence[datetime.date]) -> dict[datetime.date, float | None]:  # noqa: ARG002
        """All of the dates."""
        return dict.fromkeys(dates)

    def inputs(self) -> list[Path]:
        """No file."""
        return []

    def cost(self: Source, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> float | None:  # noqa: ARG002
        """The ground's and the dates' share of the bytes of all files."""
        grids = [self.geobox] if self.geobox is not None else list(self.grids.values())
        pixels = sum(int(np.prod(grid.shape)) for grid in grids)
        size = sum(path.stat().st_size for path in self.inputs() if path.exists())
        every = max(len(self.dates(None, None)), 1)
        return size * float(np.prod(geobox.shape)) / pixels * len(dates) / every if pixels else None

    def reach(self) -> None:
        """Nothing: the files were opened already."""

    def with_offsets(self: Source, offsets: Mapping[str, float]) -> Source:  # noqa: ARG002
        """The source itself, which has no scenes."""
        return self

    def resampled(self: Source, method: str) -> Source:  # noqa: ARG002
        """The source itself, which takes the nearest pixel."""
        return self


def days_between(
    moments: Iterable[datetime.date], start: datetime.date | None, end: datetime.date | None
) -> list[datetime.date]:
    """Those of the moments whose day is from ``start`` to ``end``, both inclusive, in their order; None is open-ended.

    A second pass of a day is a ``datetime``.

    >>> first, second = datetime.date(2020, 5, 1), datetime.datetime(2020, 5, 1, 11)
    >>> days_between([first, second], first, first) == [first, second]
    True
    """
    return [
        moment for moment in moments
        if (start is None or day_of(moment) >= start) and (end is None or day_of(moment) <= end)
    ]  # fmt: skip


def day_of(moment: datetime.date) -> datetime.date:
    """The day of a date; of a second pass of a day, which is a ``datetime``, its day."""
    return moment.date() if isinstance(moment, datetime.datetime) else moment


def digest_of(facts: Any) -> str:
    """Fingerprint of facts that JSON can hold, anything else as its text: for :meth:`Source.stamp`."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
