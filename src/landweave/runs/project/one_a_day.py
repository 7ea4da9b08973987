"""A source with one observation a day: later passes of a day fill what the first one did not see.

Features are made of whole days. Two orbits meet on one day near the poles, or with three satellites.
"""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.patch.model import NODATA
from landweave.sources.protocol import Bounds, Source, day_of
from landweave.sources.stac.scenes import Scene

_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class OneADaySource:
    """Another source's imagery, the passes of each day fused: the first valid pixel in time order."""

    source: Source
    """Where all passes come from."""

    days: Mapping[datetime.date, tuple[datetime.date, ...]]
    """The first pass of each day to all passes of that day, in time order."""

    @property
    def notes(self) -> tuple[str, ...]:
        """The source's, and which days were fused."""
        several = [str(day) for day, passes in self.days.items() if len(passes) > 1]
        some = ", ".join(several[:_SHOWN]) + (f" and {len(several) - _SHOWN} more" if len(several) > _SHOWN else "")
        told = f"Several passes of one day are fused to one date, the first valid pixel in time order: {some}."
        return (*self.source.notes, told)

    @property
    def variables(self) -> tuple[str, ...]:
        """The source's."""
        return self.source.variables

    @property
    def categorical(self) -> tuple[str, ...]:
        """The source's."""
        return self.source.categorical

    @property
    def geobox(self) -> GeoBox | None:
        """The source's."""
        return self.source.geobox

    @property
    def grids(self) -> Mapping[str, GeoBox]:
        """The source's."""
        return self.source.grids

    @property
    def extent(self) -> Bounds | None:
        """The source's."""
        return self.source.extent

    @property
    def remote(self) -> bool:
        """As the source."""
        return self.source.remote

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The source's."""
        return self.source.scenes

    @property
    def incomplete(self) -> tuple[str, ...]:
        """The source's."""
        return self.source.incomplete

    def dates(self, start: datetime.date | None = None, end: datetime.date | None = None) -> list[datetime.date]:
        """The first pass of each day."""
        return [date for date in self.source.dates(start, end) if date in self.days]

    def seen(self, geobox: GeoBox, dates: Sequence[datetime.date]) -> dict[datetime.date, float | None]:
        """Days of which any pass met the ground; the clearest one is told."""
        there = self.source.seen(geobox, self._all(dates))
        found: dict[datetime.date, float | None] = {}
        for day in dates:
            shares = [there[one] for one in self.days[day] if one in there]
            if shares:
                found[day] = max((share for share in shares if share is not None), default=None)
        return found

    def load(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> xr.Dataset:
        """The first pass of each day; where it has nothing, the next one."""
        patch = self.source.load(geobox, dates, variables).load()
        for number, day in enumerate(dates):
            for later in self.days[day][1:]:
                missing = {name: self._missing(patch[name].values[number], name) for name in variables}
                wanted = [name for name in variables if missing[name].any()]
                if not wanted:
                    break
                more = self.source.load(geobox, [later], wanted)
                for name in wanted:
                    patch[name].values[number][missing[name]] = more[name].values[0][missing[name]]
        return patch

    def _missing(self, values: np.ndarray, name: str) -> np.ndarray:
        missing: np.ndarray = values == (0 if name in self.categorical else NODATA)
        return missing

    def inputs(self) -> list[Path]:
        """The source's."""
        return self.source.inputs()

    def stamp(
        self,
        geobox: GeoBox,
        dates: Sequence[datetime.date] | None = None,
        variables: Sequence[str] | None = None,
    ) -> str:
        """The source's, of all passes of the days."""
        return self.source.stamp(geobox, None if dates is None else self._all(dates), variables)

    def cost(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> float | None:
        """The source's, of all passes of the days."""
        return self.source.cost(geobox, self._all(dates), variables)

    def reach(self) -> None:
        """As the source."""
        self.source.reach()

    def with_offsets(self, offsets: Mapping[str, float]) -> "OneADaySource":
        """The same days of scenes, some of them with another offset."""
        return replace(self, source=self.source.with_offsets(offsets))

    def resampled(self, method: str) -> "OneADaySource":
        """The same days, their bands brought to other grids by another method."""
        return replace(self, source=self.source.resampled(method))

    def _all(self, dates: Sequence[datetime.date]) -> list[datetime.date]:
        return [one for day in dates for one in self.days[day]]


def one_a_day(source: Source) -> Source:
    """The source itself where no day has several passes; else one that fuses them."""
    days: dict[datetime.date, list[datetime.date]] = {}
    for date in source.dates(None, None):
        days.setdefault(day_of(date), []).append(date)
    if all(len(passes) == 1 for passes in days.values()):
        return source
    return OneADaySource(source=source, days={passes[0]: tuple(passes) for passes in days.values()})


_: type[Source] = OneADaySource
