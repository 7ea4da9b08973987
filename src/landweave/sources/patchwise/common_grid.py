"""Imagery that lies in patches, each on a grid and with dates of its own, brought to any grid."""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.align import meets, nearest_pixels, outline_bounds, pixel_offset
from landweave.patch.model import NODATA, make_patch, to_int16
from landweave.sources.pixels import UNKNOWN
from landweave.sources.warping.warp import touching, warped

Place = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows, columns and inside, of :func:`landweave.patch.align.nearest_pixels`."""

LONGEST_NAME = 200
"""Bytes: file names hold 255, and what a stage adds to a patch's name must fit."""

BLOCK_BYTES = 64 * 1024**2
"""About so much of a patch is held at once while it is read."""


class Placed(Protocol):
    """A patch of a source."""

    @property
    def geobox(self) -> GeoBox:
        """Its grid."""
        ...

    @property
    def days(self) -> tuple[datetime.date, ...]:
        """The day of each step of its time axis, UTC."""
        ...

    @property
    def order(self) -> tuple[int, ...]:
        """Its steps in the order of their moments."""
        ...


P = TypeVar("P", bound=Placed)

Numbers = tuple[np.ndarray, float, float]
"""Of one variable: values (steps, rows, columns), factor and shift. Codes are as stored; bands are floating point, NaN
missing, and values * factor + shift is their reflectance in units of 1e-4."""

Read = Callable[[P, Sequence[str], Sequence[int], slice, slice], Mapping[str, Numbers]]
"""Patch, variables, steps, rows, columns -> the numbers of each variable."""


def check_names(named: Sequence[tuple[str, object]]) -> None:
    """Refuse names of patches that would be files elsewhere than where a run writes, or each other's.

    Parameters
    ----------
    named
        Name of each patch, and where it stands.

    Raises
    ------
    InputError
        For a name that is empty or hidden, holds a separator of folders, ``..`` or what cannot be printed, is longer
        than file names may be, or occurs twice.
    """
    seen: dict[str, object] = {}
    for name, where in named:
        plain = name.isprintable() and not set(name) & set("/\\:") and ".." not in name and not name.startswith(".")
        if not name or not plain or len(name.encode()) > LONGEST_NAME:
            shown = name if len(name) <= 40 else f"{name[:40]}..."
            raise InputError(
                f"{where}: {shown!r} is not a valid patch name: use 1 to {LONGEST_NAME} "
                "characters without / \\ : and .., not starting with a full stop."
            )
        other = seen.setdefault(name, where)
        if other is not where:
            raise InputError(f"{where}: the patch has the same name as {other}: {name!r}; give each its own name.")


def load_patches(
    patches: Sequence[P],
    geobox: GeoBox,
    dates: Sequence[datetime.date],
    variables: Sequence[str],
    *,
    categorical: Sequence[str],
    leading: str,
    read: Read[P],
    resampling: str,
) -> xr.Dataset:
    """Read a piece of ground.

    Parameters
    ----------
    patches
        By name.
    geobox
        Any grid; on a patch's own grid its pixels are exact, otherwise resampled patch by patch.
    dates
        Days of the time axis, in the order wanted. Where a patch was not seen that day, its ground is missing.
    variables
        Bands and masks.
    categorical
        Which of them are codes.
    leading
        The variable that judges where a place was seen twice.
    read
        Gives a window of a patch.
    resampling
        How bands come to another grid: one of GDAL's names.

    Returns
    -------
    xarray.Dataset
        Bands int16 (time, y, x) in 1e-4 reflectance, -32768 missing and outside; masks uint8 (time, y, x),
        0 outside. Where a place was seen twice on a day (two moments, or patches that overlap): the first with a
        valid pixel of ``leading``; patches on the grid asked for come before others, then by name and
        moment. Masks come from the same.
    """
    shape = (len(dates), *geobox.shape)
    arrays = {
        name: np.zeros(shape, "uint8") if name in categorical else np.full(shape, NODATA, "int16") for name in variables
    }
    seen = np.zeros(shape, bool)
    covered = np.zeros(shape, bool)
    places = {day: number for number, day in enumerate(dates)}
    met = [(patch, place) for patch in patches if (place := _where(patch.geobox, geobox)) is not None]
    # Before what must be resampled, for which there is then no place left.
    met.sort(key=lambda found: pixel_offset(found[0].geobox, geobox) is None)
    twice = any(len(set(patch.days)) < len(patch.days) for patch, _ in met)
    contested = twice or bool((sum((place[2].astype("uint8") for _, place in met), np.uint8(0)) > 1).any())
    for patch, place in met:
        inside = place[2]
        steps = [step for step in patch.order if patch.days[step] in places]
        # What was seen once needs no judge.
        asked = list(dict.fromkeys([*variables, leading])) if contested else list(variables)
        for step, layers in _observations(
            patch, geobox, place, steps, asked, categorical=categorical, read=read, resampling=resampling
        ):
            when = places[patch.days[step]]
            valid = layers[leading] != NODATA if contested else inside
            # Where nothing valid has been seen yet, masks tell why.
            told = (valid & ~seen[when]) | (inside & ~covered[when])
            for name in variables:
                if name in categorical:
                    arrays[name][when][told] = layers[name][told]
                else:
                    empty = arrays[name][when] == NODATA
                    arrays[name][when][empty] = layers[name][empty]
            seen[when] |= valid
            covered[when] |= inside
    return make_patch(arrays, geobox, dates)


def shared_grid(grids: Sequence[GeoBox]) -> GeoBox | None:
    """The grid that holds all of these, where they share one; else None."""
    offsets = [pixel_offset(grids[0], grid) for grid in grids]
    if any(offset is None for offset in offsets):
        return None
    corners = np.array([offset for offset in offsets if offset is not None])
    (top, left), (bottom, right) = corners.min(axis=0), (corners + [tuple(grid.shape) for grid in grids]).max(axis=0)
    affine = grids[0].affine * grids[0].affine.translation(int(left), int(top))
    return GeoBox((int(bottom - top), int(right - left)), affine, grids[0].crs)


def _observations(
    patch: P, geobox: GeoBox, place: Place, steps: Sequence[int], variables: Sequence[str], *,
    categorical: Sequence[str], read: Read[P], resampling: str,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:  # fmt: skip
    """Step and layers on the grid asked for, (y, x) each; read in blocks of dates."""
    offset = pixel_offset(patch.geobox, geobox)
    start, shape = _overlap(patch.geobox, geobox, offset) if offset is not None else touching(patch.geobox, geobox)
    rows, columns = (slice(first, first + size) for first, size in zip(start, shape, strict=True))
    at_once = max(1, BLOCK_BYTES // max(1, 8 * len(variables) * shape[0] * shape[1]))
    for begin in range(0, len(steps), at_once):
        block = list(steps[begin : begin + at_once])
        numbers = read(patch, variables, block, rows, columns)
        for number, step in enumerate(block):
            layers = {}
            for name in variables:
                if name in categorical:
                    layers[name] = _codes(numbers[name][0][number], start, place)
                else:
                    layers[name] = _band(
                        numbers[name], number, patch.geobox, start, geobox, offset=offset, resampling=resampling
                    )
            yield step, layers


def _band(
    numbers: Numbers, step: int, source: GeoBox, start: tuple[int, int], target: GeoBox, *,
    offset: tuple[int, int] | None, resampling: str,
) -> np.ndarray:  # fmt: skip
    values, factor, shift = numbers[0][step], *numbers[1:]
    whole: np.ndarray = np.full(target.shape, NODATA, "int16")
    if offset is not None:
        top, left = start[0] - offset[0], start[1] - offset[1]
        inside = np.s_[top : top + values.shape[0], left : left + values.shape[1]]
        whole[inside] = to_int16(values * factor + shift, scale=1.0)
    elif not np.isnan(values).all():
        # Scaled after it is resampled, as files are.
        whole = to_int16(warped(values, source, start, target, resampling) * factor + shift, scale=1.0)
    return whole


def _where(source: GeoBox, target: GeoBox) -> Place | None:
    # Most patches lie far away, which their bounds tell faster than their pixels.
    if not meets(source, outline_bounds(target, source.crs)):
        return None
    place = nearest_pixels(source, target)
    return place if place[2].any() else None


def _overlap(source: GeoBox, target: GeoBox, offset: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    first = [max(number, 0) for number in offset]
    last = [min(number + size, most) for number, size, most in zip(offset, target.shape, source.shape, strict=True)]
    return (first[0], first[1]), (last[0] - first[0], last[1] - first[1])


def _codes(values: np.ndarray, start: tuple[int, int], place: Place) -> np.ndarray:
    fits = values == np.clip(np.rint(values.astype("float64")), 0, 255)
    known = np.where(fits, values, UNKNOWN).astype("uint8")
    rows, columns, inside = place
    codes = np.zeros(inside.shape, "uint8")
    codes[inside] = known[rows[inside] - start[0], columns[inside] - start[1]]
    return codes
