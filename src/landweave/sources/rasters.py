"""Any stack of single- or multi-band files as a source: what `listing` found, checked, fused and read."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling

from landweave.errors import InputError
from landweave.patch.model import NODATA, REFLECTANCE_SCALE, make_patch
from landweave.patch.summary import Shown, listed, span
from landweave.patch.tables.dates import read_moment
from landweave.sources.listing import ListedFile, list_pattern, list_table
from landweave.sources.pixels import opened, read_codes, read_on, to_reflectance
from landweave.sources.protocol import LocalSource, Source, digest_of


@dataclass(frozen=True, kw_only=True)
class RasterLayer:
    """One band of one file: one variable at one moment."""

    path: Path
    """The file."""

    band: int
    """Number from 1."""

    variable: str
    """What it shows."""

    moment: datetime
    """When it was taken, UTC."""

    scale: float
    """Reflectance per digital number."""

    offset: float
    """Reflectance of digital number 0."""

    nodata: float | None
    """Digital number that means missing; NaN always does."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RasterSource(Shown, LocalSource):
    """Rasters that share one grid; files are opened when pixels are asked for. Made by :func:`open_rasters`."""

    layers: tuple[RasterLayer, ...]
    """Every band of use, in order of moment, path, band."""

    geobox: GeoBox
    """The rasters' own grid."""

    variables: tuple[str, ...]
    """Names it can load: bands, then categorical ones."""

    categorical: tuple[str, ...] = ()
    """Variables that are classes, not amounts: loaded unscaled, uint8, by the nearest pixel."""

    mask: str | None = None
    """The categorical variable that every date needs, if any."""

    resampling: str = "bilinear"
    """How bands come to another grid."""

    table: Path | None = None
    """The table that describes them, if any."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "variables": listed(self.variables, 13),
            "dates": span(sorted({layer.moment.date() for layer in self.layers})),
            "files": len({layer.path for layer in self.layers}),
            "pixels": " x ".join(map(str, self.geobox.shape)),
            "crs": str(self.geobox.crs),
        }

    def dates(self, start: date | None = None, end: date | None = None) -> list[date]:
        """Days with a band, sorted, both ends inclusive; InputError where such a day has no mask file."""
        found = sorted(
            {
                layer.moment.date()
                for layer in self.layers
                if layer.variable not in self.categorical
                and (start is None or layer.moment.date() >= start)
                and (end is None or layer.moment.date() <= end)
            }
        )
        if self.mask is not None:
            masked = {layer.moment.date() for layer in self.layers if layer.variable == self.mask}
            bare = [day.isoformat() for day in found if day not in masked]
            if bare:
                raise InputError(
                    f"Mask {self.mask!r} has no file for {', '.join(bare[:3])}"
                    f"{f' and {len(bare) - 3} more dates' if len(bare) > 3 else ''}; add it or leave the date out."
                )
        return found

    def inputs(self) -> list[Path]:
        """Files whose content decides the pixels, and the table, sorted."""
        return sorted({layer.path for layer in self.layers} | ({self.table} if self.table else set()))

    def stamp(
        self,
        geobox: GeoBox,  # noqa: ARG002
        dates: Sequence[date] | None = None,
        variables: Sequence[str] | None = None,  # noqa: ARG002
    ) -> str:
        """How the layers of these dates are read; see the protocol."""
        facts = [
            [layer.path.name, layer.band, layer.variable, layer.moment, layer.scale, layer.offset, layer.nodata]
            for layer in self.layers
            if dates is None or layer.moment.date() in dates
        ]
        return digest_of([facts, self.variables, self.categorical, self.resampling])

    def resampled(self, method: str) -> "RasterSource":
        """The same rasters, their bands brought to other grids by another method."""
        return replace(self, resampling=method)

    def load(self, geobox: GeoBox, dates: Sequence[date], variables: Sequence[str]) -> xr.Dataset:
        """Read a patch.

        Parameters
        ----------
        geobox
            Any grid; on the rasters' own grid the pixels are exact, otherwise resampled.
        dates
            Days of the time axis, in the order wanted. A day without a file of a variable is missing there.
        variables
            Names among ``self.variables``.

        Returns
        -------
        xarray.Dataset
            Bands int16 (time, y, x) in 1e-4 reflectance, -32768 missing and outside; categorical variables uint8
            (time, y, x), 0 outside. Several files of one day: the first valid pixel in order of time, then path; a
            categorical pixel comes from the file of the same rank as the first band's pixel.

        Raises
        ------
        InputError
            For a variable that no file has, and for a file that cannot be read, by name.
        """
        for name in variables:
            if name not in self.variables:
                raise InputError(_no_such(name, self.variables))
        kinds = {name: "uint8" if name in self.categorical else "int16" for name in variables}
        arrays = {
            name: np.full((len(dates), *geobox.shape), 0 if kind == "uint8" else NODATA, kind)
            for name, kind in kinds.items()
        }
        for step, day in enumerate(dates):
            of_day = [layer for layer in self.layers if layer.moment.date() == day]
            for name in variables:
                files = [layer for layer in of_day if layer.variable == name]
                if name in self.categorical:
                    rank = self._first_valid(of_day, geobox) if len(files) > 1 else None
                    arrays[name][step] = self._fuse_classes(files, geobox, rank)
                else:
                    arrays[name][step] = self._fuse(files, geobox)[0]
        return make_patch({name: arrays[name] for name in variables}, geobox, dates)

    def _first_valid(self, of_day: Sequence[RasterLayer], geobox: GeoBox) -> np.ndarray:
        leading = next(name for name in self.variables if any(layer.variable == name for layer in of_day))
        return self._fuse([layer for layer in of_day if layer.variable == leading], geobox)[1]

    def _fuse(self, files: Sequence[RasterLayer], geobox: GeoBox) -> tuple[np.ndarray, np.ndarray]:
        # The second array is the rank of the file that each pixel came from.
        fused = np.full(geobox.shape, NODATA, "int16")
        rank = np.zeros(geobox.shape, "int16")
        for number, layer in enumerate(files):
            empty = fused == NODATA
            if not empty.any():
                break
            values = self._band(layer, geobox)
            taken = empty & (values != NODATA)
            fused[taken], rank[taken] = values[taken], number
        return fused, rank

    def _fuse_classes(self, files: Sequence[RasterLayer], geobox: GeoBox, rank: np.ndarray | None) -> np.ndarray:
        fused = np.zeros(geobox.shape, "uint8")
        for number, layer in enumerate(files):
            values = self._classes(layer, geobox)
            fused = values if rank is None or number == 0 else np.where(rank == number, values, fused)
        return fused

    def _band(self, layer: RasterLayer, geobox: GeoBox) -> np.ndarray:
        numbers = read_on(layer.path, layer.band, layer.nodata, self.geobox, geobox, resampling=self.resampling)
        return to_reflectance(numbers, scale=layer.scale, offset=layer.offset)

    def _classes(self, layer: RasterLayer, geobox: GeoBox) -> np.ndarray:
        return read_codes(layer.path, layer.band, self.geobox, geobox)


def open_rasters(
    *,
    root: str | Path,
    table: str | Path | None = None,
    pattern: str | None = None,
    scale: float | None = None,
    offset: float | None = None,
    nodata: float | None = None,
    bands: Sequence[str] | None = None,
    mask: str | None = None,
    categorical: Sequence[str] = ("SCL",),
    resampling: str = "bilinear",
) -> RasterSource:
    """Find files by a table or a pattern and check their headers.

    Parameters
    ----------
    root
        Folder that a relative table or pattern starts from.
    table
        CSV or Parquet, one row a file or band: date, variable, path[, band, scale, offset, nodata].
    pattern
        Names with ``{date:...}`` or ``{start:...}``, and ``{variable}``; see :func:`.listing.list_pattern`. Without
        ``{variable}`` the band descriptions are the variables (where there are none and as many bands as ``bands``:
        those, in order). Without a date the band descriptions are the dates.
    scale, offset
        reflectance = DN * scale + offset. A table's row comes first, then these, then the file's own where set,
        then 1e-4 and 0 for integers, 1 and 0 for floating point. They do not touch categorical variables.
    nodata
        Digital number that means missing; a table's row comes first, then this, then the file's own.
    bands
        The bands of use; files of other variables are left alone. None: all there are.
    mask
        A variable that is not 0 where a pixel is not valid.
    categorical
        Variables that hold classes; used where they exist.
    resampling
        A method of GDAL's by which bands come to another grid: bilinear, cubic, average, nearest, ...

    Returns
    -------
    RasterSource

    Raises
    ------
    InputError
        For files that are missing, are no rasters, differ in size, transform or CRS from their siblings, or lack a
        band; for a date that cannot be read; for a band that no file has; each with the file's name.
    """
    if (table is None) == (pattern is None):
        raise InputError("A source of rasters needs either table or pattern; give one of them.")
    if resampling not in Resampling.__members__:
        raise InputError(f"resampling {resampling!r} is unknown; use one of {', '.join(Resampling.__members__)}.")
    root = Path(root)
    listed = list_pattern(root, pattern) if pattern is not None else list_table(root / str(table))
    classes = tuple(dict.fromkeys([*categorical, *([mask] if mask else [])]))
    wanted = None if bands is None else {*bands, *classes}
    used = [e for e in listed if wanted is None or e.variable is None or e.variable in wanted]
    layers: list[RasterLayer] = []
    grid: tuple[Path, tuple[int, int], Any, Any] | None = None
    for entry in used:
        with opened(entry.path) as file:
            grid = grid or (entry.path, file.shape, file.transform, file.crs)
            _check_sibling(entry.path, file, grid)
            for band, variable, moment in _bands_of(entry, file, bands):
                if wanted is None or variable in wanted:
                    given = _numbers(entry, file, band, scale=scale, offset=offset, nodata=nodata)
                    layers.append(RasterLayer(path=entry.path, band=band, variable=variable, moment=moment, **given))
    there = list(dict.fromkeys(layer.variable for layer in layers))
    for name in [*(bands or ()), *([mask] if mask else [])]:
        if name not in there:
            raise InputError(_no_such(name, list(dict.fromkeys([*there, *_names(listed)]))))
    assert grid is not None
    ordered = bands if bands is not None else [name for name in there if name not in classes]
    return RasterSource(
        layers=tuple(sorted(layers, key=lambda layer: (layer.moment, str(layer.path), layer.band))),
        geobox=GeoBox(grid[1], grid[2], grid[3]),
        variables=(*dict.fromkeys([*ordered, *(name for name in classes if name in there)]),),
        categorical=tuple(name for name in classes if name in there),
        mask=mask,
        resampling=resampling,
        table=root / str(table) if table is not None else None,
    )


def _check_sibling(path: Path, file: Any, grid: tuple[Path, tuple[int, int], Any, Any]) -> None:
    first, shape, transform, crs = grid
    if file.shape != shape:
        raise InputError(
            f"{path}: {file.width} x {file.height} pixels, but {first.name} has {shape[1]} x {shape[0]}; "
            "all rasters of a source share one grid."
        )
    if file.crs != crs:
        raise InputError(f"{path}: another CRS than {first.name}; all rasters of a source share one grid.")
    # A thousandth of a pixel at the far corner: files written by different programs differ by rounding.
    corner, other = transform * (shape[1], shape[0]), file.transform * (shape[1], shape[0])
    size = 1e-3 * math.hypot(transform.a, transform.d)
    shifts = (
        transform.c - file.transform.c,
        transform.f - file.transform.f,
        corner[0] - other[0],
        corner[1] - other[1],
    )
    if max(map(abs, shifts)) > size:
        raise InputError(
            f"{path}: another position or pixel size than {first.name}; all rasters of a source share one grid."
        )


def _bands_of(entry: ListedFile, file: Any, bands: Sequence[str] | None) -> list[tuple[int, str, datetime]]:
    described = [text or "" for text in file.descriptions]
    if entry.moment is None:
        if entry.variable is None:
            raise InputError(f"{entry.where} has neither a date nor {{variable}}; add one of them, or use a table.")
        moments = [
            read_moment(text, f"{entry.path}, description of band {number}")
            for number, text in enumerate(described, start=1)
        ]
        return [(number, entry.variable, moment) for number, moment in enumerate(moments, start=1)]
    if entry.band is not None:
        number = int(entry.band) if re.fullmatch(r"\d+", entry.band) else -1
        if number < 0 and entry.band in described:
            number = described.index(entry.band) + 1
        if not 1 <= number <= file.count:
            raise InputError(f"{entry.path}: no band {entry.band!r} (named in {entry.where}); it has {file.count}.")
        return [(number, entry.variable or described[number - 1] or entry.band, entry.moment)]
    if entry.variable is not None:
        if file.count == 1:
            return [(1, entry.variable, entry.moment)]
        if entry.variable in described:
            return [(described.index(entry.variable) + 1, entry.variable, entry.moment)]
        raise InputError(
            f"{entry.path}: {file.count} bands; use a table, and give the band of {entry.variable} in its column band."
        )
    if any(described):
        return [(n, text, entry.moment) for n, text in enumerate(described, start=1) if text]
    if bands is not None and file.count == len(bands):
        return [(n, name, entry.moment) for n, name in enumerate(bands, start=1)]
    raise InputError(
        f"{entry.path}: its {file.count} bands have no descriptions, so their variables are unknown; "
        "put {variable} into the pattern or use a table."
    )


def _numbers(
    entry: ListedFile, file: Any, band: int, *, scale: float | None, offset: float | None, nodata: float | None
) -> dict[str, Any]:
    own_scale, own_offset = file.scales[band - 1], file.offsets[band - 1]
    if (own_scale, own_offset) == (1.0, 0.0):
        own_scale = 1.0 if np.dtype(file.dtypes[band - 1]).kind == "f" else REFLECTANCE_SCALE
    given = _first(entry.scale, scale)
    return {
        "scale": _first(given, own_scale),
        # The file's offset belongs to the file's scale.
        "offset": _first(entry.offset, offset, own_offset if given is None else 0.0),
        "nodata": _first(entry.nodata, nodata, file.nodatavals[band - 1]),
    }


def _first(*values: float | None) -> float | None:
    return next((float(value) for value in values if value is not None), None)


def _names(listed: Sequence[ListedFile]) -> list[str]:
    return list(dict.fromkeys(entry.variable for entry in listed if entry.variable))


def _no_such(name: str, there: Sequence[str]) -> str:
    return f"No raster holds {name!r}; there are {', '.join(there) or 'none'}."


_: type[Source] = RasterSource
