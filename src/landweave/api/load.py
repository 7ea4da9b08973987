"""Imagery of one piece of ground as an xarray Dataset."""

import datetime
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.api.attributes import describe
from landweave.api.opening import as_source
from landweave.api.period import END, START, read_period
from landweave.errors import InputError
from landweave.patch.grid import Cell
from landweave.sources.protocol import Source


def load(
    source: Source | str | Path,
    geobox: GeoBox | Cell,
    period: Any,
    variables: Sequence[str] | None = None,
) -> xr.Dataset:
    """Read all observations of a piece of ground within a period.

    Parameters
    ----------
    source
        What :func:`open_stac`, :func:`open_rasters`, :func:`open_eopatches` or :func:`simulated_source` returns, any
        other object with the methods of a source, or the address of a STAC API or path of a catalogue.
    geobox
        Pixel grid of the answer: an odc-geo GeoBox, or a cell of :func:`utm_cells`.
    period
        Both ends inclusive: ``"2017"``, ``"2017-05"``, ``"2017-01-01/2017-12-31"`` or
        ``("2017-01-01", "2017-12-31")``. Target days of features are counted from its start.
    variables
        Bands and masks; default: all that the source has.

    Returns
    -------
    xarray.Dataset
        (time, y, x) with ``spatial_ref``. Bands are int16 in 1e-4 reflectance, -32768 missing (attributes ``scale``,
        ``nodata``, ``units``, ``long_name`` and, where the level of processing is known, ``standard_name``); scene
        classes and masks are uint8 with ``flag_values`` and ``flag_meanings``. The attributes
        ``time_coverage_start`` and ``time_coverage_end`` hold the period.

    Raises
    ------
    InputError
        For a source, grid, period or variable that cannot be used, and where the period has no observation.
    """
    box = geobox.geobox if isinstance(geobox, Cell) else geobox
    if not isinstance(box, GeoBox):
        raise InputError(f"geobox is a {type(geobox).__name__}; give an odc-geo GeoBox or a landweave.Cell.")
    start, end = read_period(period)
    wanted = (variables,) if isinstance(variables, str) else tuple(variables or ())
    found = as_source(source, box, period, wanted)
    for name in wanted:
        if name not in found.variables:
            near = difflib.get_close_matches(name, found.variables, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(found.variables)}."
            raise InputError(f"variables: the source has no {name!r}; {hint}")
    dates = found.dates(start, end)
    if not dates:
        have = found.dates(None, None)
        span = f"the imagery is from {have[0]} to {have[-1]}" if have else "the imagery has no date"
        raise InputError(f"period {period!r}: no observation in it; {span}.")
    patch = found.load(box, dates, wanted or found.variables)
    describe(patch, categorical=found.categorical, source_variables=found.variables)
    patch.attrs[START] = (start or _day(dates[0])).isoformat()
    patch.attrs[END] = (end or _day(dates[-1])).isoformat()
    return patch


def _day(moment: datetime.date) -> datetime.date:
    return moment.date() if isinstance(moment, datetime.datetime) else moment
