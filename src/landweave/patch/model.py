"""The words of a patch: axes, missing values, scale, and the checks at the door.

A *patch* is an ``xarray.Dataset`` over one piece of ground: a variable per band, index, mask or label with the axes
``(time, y, x)`` or ``(y, x)``, and a geobox through odc-geo's accessor (``patch.odc.geobox``).
Imagery is int16 in units of 1e-4 reflectance; -32768 is missing; negative reflectance is kept.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import xr_coords

from landweave.errors import InputError
from landweave.patch.align import remembered

TIME, Y, X = "time", "y", "x"

NODATA = -32768
"""Missing, in every int16 array of a patch or of features."""

REFLECTANCE_SCALE = 1e-4
"""One int16 unit of a band, in reflectance."""


def make_patch(variables: Mapping[str, np.ndarray], geobox: GeoBox, times: Iterable[Any] | None = None) -> xr.Dataset:
    """Wrap arrays as a patch.

    Parameters
    ----------
    variables
        Name to array, (time, y, x) or (y, x).
    geobox
        Pixel grid of the arrays.
    times
        One UTC date per step of the time axis; needed where an array has one.

    Raises
    ------
    InputError
        When an array's shape does not fit the geobox and the times.
    """
    coords = dict(_coordinates(geobox))
    if times is not None:
        coords[TIME] = np.asarray(list(times), "datetime64[ns]")
    data = {}
    for name, values in variables.items():
        shape = geobox.shape if values.ndim == 2 else (len(coords.get(TIME, ())), *geobox.shape)
        if values.shape != tuple(shape):
            raise InputError(f"{name} has shape {values.shape}; the patch needs {tuple(shape)}.")
        data[name] = ((Y, X) if values.ndim == 2 else (TIME, Y, X), values)
    return xr.Dataset(data, coords=coords)


@remembered(16)
def _coordinates(geobox: GeoBox) -> Mapping[Any, Any]:
    found: Mapping[Any, Any] = xr_coords(geobox, dims=(Y, X))
    return found


def flags(meanings: Mapping[int, str], *, colors: Mapping[int, str] | None = None) -> dict[str, Any]:
    """``flag_values`` uint8, ``flag_meanings`` and, where there are colours, ``flag_colors`` (``#rrggbb``).

    >>> flags({1: "cultivated land", 2: "forest"})["flag_meanings"]
    'cultivated_land forest'
    """
    found: dict[str, Any] = {
        "flag_values": np.array(list(meanings), "uint8"),
        "flag_meanings": " ".join(re.sub(r"[^\w.+@-]+", "_", name) or "_" for name in meanings.values()),
    }
    if colors is not None:
        found["flag_colors"] = " ".join(colors[value] for value in meanings)
    return found


def check_patch(patch: xr.Dataset, *needed: str) -> None:
    """Refuse a patch that lacks a variable; the message shows what is there."""
    missing = [name for name in needed if name not in patch]
    if missing:
        raise InputError(f"The patch lacks {missing}; it has {sorted(map(str, patch.data_vars))}.")


def to_int16(values: np.ndarray, *, scale: float = REFLECTANCE_SCALE, offset: float = 0.0) -> np.ndarray:
    """round((values - offset) / scale), half to even, saturating, NaN as -32768.

    Parameters
    ----------
    values
        Floating-point numbers in physical units, any shape.
    scale, offset
        Size of one int16 unit, and the value stored as 0.

    Returns
    -------
    numpy.ndarray
        int16, same shape, -32767..32767, or -32768 where ``values`` is not finite.

    >>> to_int16(np.array([0.12345, -0.5, 9.0, np.nan])).tolist()
    [1234, -5000, 32767, -32768]
    """
    units = np.rint((np.asarray(values, "float64") - offset) / scale)
    finite = np.isfinite(units)
    return np.where(finite, np.clip(units, -32767, 32767), NODATA).astype("int16")


def from_int16(
    units: np.ndarray, *, scale: float = REFLECTANCE_SCALE, offset: float = 0.0, dtype: str = "float32"
) -> np.ndarray:
    """units * scale + offset, NaN where -32768; the way back from :func:`to_int16`, same shape."""
    values: np.ndarray = np.asarray(units).astype(dtype) * np.dtype(dtype).type(scale) + np.dtype(dtype).type(offset)
    values[np.asarray(units) == NODATA] = np.nan
    return values


def saturated(units: np.ndarray) -> int:
    """How many values of an int16 array stand at either end of the scale."""
    return int(np.count_nonzero(units == 32767)) + int(np.count_nonzero(units == -32767))
