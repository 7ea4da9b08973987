"""Any stack of single- or multi-band files as a source: what `listing` found, checked, fused and read."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels
from landweave.patch.model import NODATA, make_patch
from landweave.patch.raster.header import Band, Header, header_of
from landweave.patch.raster.mask_bits import MaskBits, meant
from landweave.patch.summary import Shown, listed, span
from landweave.sources.file_grids import (
    check_apart,
    grid_of_all,
    in_known_crs,
    partners,
    pixel_size,
    same_grid,
    several_grids,
    touch,
)
from landweave.sources.files.opened import opened
from landweave.sources.layers import Disagreements, ProjectNumbers, RasterLayer, bands_of, gaps, layer_of
from landweave.sources.listing import ListedFile, list_pattern, list_table
from landweave.sources.pixels import UNKNOWN, read_codes, read_reflectance
from landweave.sources.protocol import LocalSource, Source, day_of, digest_of

_NO_PIXELS = (".aux.xml", ".ovr")
"""Endings of files beside a raster that do not decide its pixels: statistics, and smaller copies."""


@dataclass(frozen=True, kw_only=True, repr=False)
class RasterSource(Shown, LocalSource):
    """Rasters on one grid or on several; files are opened when pixels are asked for. Made by :func:`open_rasters`."""

    layers: tuple[RasterLayer, ...]
    """Every band of use, in order of moment, pixel size (finest first), path, band."""

    geobox: GeoBox
    """The rasters' own grid; of several, the finest of the bands, wide enough for all of them."""

    variables: tuple[str, ...]
    """Names it can load: bands, then categorical ones."""

    categorical: tuple[str, ...] = ()
    """Variables that are classes, not amounts: loaded unscaled, uint8, by the nearest pixel."""

    mask: str | None = None
    """The categorical variable that every date needs, if any."""

    mask_above: float = 0.0
    """The threshold that the mask will be compared with; 0: it matters only whether it is 0."""

    meaning: Mapping[str, MaskBits] = field(default_factory=dict)
    """Mask to what its bits and values mean, where that is not whether they are above the threshold."""

    resampling: str = "bilinear"
    """How bands come to another grid."""

    table: Path | None = None
    """The table that describes them, if any."""

    beside: tuple[Path, ...] = ()
    """Files beside the rasters that decide their pixels: masks, headers, sources of virtual rasters."""

    notes: tuple[str, ...] = ()
    """Where the user's words go before a file's own, and bands that are left out, in sentences."""

    @property
    def grids_of_files(self) -> tuple[GeoBox, ...]:
        """The grids that the files are on, each once, in the order of ``layers``."""
        return tuple(dict.fromkeys(layer.grid for layer in self.layers))

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

    def seen(self, geobox: GeoBox, dates: Sequence[date]) -> dict[date, float | None]:
        """Those of the dates on which a file with a band covers some of the ground; on one grid, all of them."""
        grids = self.grids_of_files
        if len(grids) == 1:
            return dict.fromkeys(dates)
        near = {grid for grid in grids if touch(grid, geobox)}
        days = {
            layer.moment.date()
            for layer in self.layers
            if layer.grid in near and layer.variable not in self.categorical
        }
        return {day: None for day in dates if day_of(day) in days}

    def reach(self) -> None:
        """Read the last row of every file that is not on the common grid: one that was cut short lacks its end."""
        for layer in self.layers:
            if layer.grid != self.geobox:
                end = layer.grid[layer.grid.shape[0] - 1 :, :]
                _ = self._classes(layer, end) if layer.variable in self.categorical else self._band(layer, end)

    def inputs(self) -> list[Path]:
        """Files whose content decides the pixels, and the table, sorted."""
        return sorted({layer.path for layer in self.layers} | {*self.beside} | ({self.table} if self.table else set()))

    def stamp(
        self,
        geobox: GeoBox,  # noqa: ARG002
        dates: Sequence[date] | None = None,
        variables: Sequence[str] | None = None,  # noqa: ARG002
    ) -> str:
        """How the layers of these dates are read; see the protocol."""
        facts = [
            [layer.path.name, layer.band, layer.variable, layer.moment, layer.scale, layer.offset, layer.nodata]
            + ["masked"] * layer.masked
            for layer in self.layers
            if dates is None or layer.moment.date() in dates
        ]
        return digest_of([facts, self.variables, self.categorical, self.resampling, *meant(self.meaning)])

    def resampled(self, method: str) -> "RasterSource":
        """The same rasters, their bands brought to other grids by another method."""
        return replace(self, resampling=method)

    def load(self, geobox: GeoBox, dates: Sequence[date], variables: Sequence[str]) -> xr.Dataset:
        """Read a patch.

        Parameters
        ----------
        geobox
            Any grid. Files on this grid, or shifted from it by whole pixels, give their pixels exactly; of others,
            bands are resampled by ``self.resampling`` and categorical variables taken from the nearest pixel.
        dates
            Days of the time axis, in the order wanted. A day without a file of a variable is missing there.
        variables
            Names among ``self.variables``.

        Returns
        -------
        xarray.Dataset
            Bands int16 (time, y, x) in 1e-4 reflectance, -32768 missing and outside; categorical variables uint8
            (time, y, x), 0 outside. Several files of one day: the first valid pixel in order of time, then pixel size,
            then path; a categorical pixel comes from the file of the same rank as the first band's pixel or, where
            the files cover different ground, from the file on the ground of the first band's. A mask is 255 where a
            band has a file, and the mask has none.

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
        grids = self.grids_of_files
        near = {grid for grid in grids if len(grids) == 1 or touch(grid, geobox)}
        for step, day in enumerate(dates):
            of_day = [layer for layer in self.layers if layer.moment.date() == day]
            for name in variables:
                files = [layer for layer in of_day if layer.variable == name]
                if name not in self.categorical:
                    arrays[name][step] = self._fuse(files, geobox, near)[0]
                elif len({layer.grid for layer in of_day}) > 1:
                    arrays[name][step] = self._fuse_tiles(name, of_day, geobox, near)
                else:
                    rank = self._fuse(self._leading(of_day), geobox, near)[1] if len(files) > 1 else None
                    arrays[name][step] = self._fuse_classes(files, geobox, rank)
        return make_patch({name: arrays[name] for name in variables}, geobox, dates)

    def _leading(self, of_day: Sequence[RasterLayer]) -> list[RasterLayer]:
        name = next(name for name in self.variables if any(layer.variable == name for layer in of_day))
        return [layer for layer in of_day if layer.variable == name]

    def _fuse(
        self, files: Sequence[RasterLayer], geobox: GeoBox, near: Container[GeoBox]
    ) -> tuple[np.ndarray, np.ndarray]:
        # The second array is the rank of the file that each pixel came from.
        fused = np.full(geobox.shape, NODATA, "int16")
        rank = np.zeros(geobox.shape, "int16")
        for number, layer in enumerate(files):
            empty = fused == NODATA
            if not empty.any():
                break
            if layer.grid not in near:
                continue
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

    def _fuse_tiles(
        self, name: str, of_day: Sequence[RasterLayer], geobox: GeoBox, near: Container[GeoBox]
    ) -> np.ndarray:
        """Classes of a day whose files cover different ground: from the file that belongs to the band's pixel."""
        files = [layer for layer in of_day if layer.variable == name and layer.grid in near]
        fused, left = np.zeros(geobox.shape, "uint8"), np.ones(geobox.shape, bool)
        if len(files) > 1:
            leading = self._leading(of_day)
            bands, rank = self._fuse(leading, geobox, near)
            for number, layer in partners(leading, files).items():
                here = left & (rank == number) & (bands != NODATA) & nearest_pixels(layer.grid, geobox)[2]
                if here.any():
                    fused[here] = self._classes(layer, geobox)[here]
                    left &= ~here
        for layer in files:
            here = left & nearest_pixels(layer.grid, geobox)[2]
            if here.any():
                fused[here] = self._classes(layer, geobox)[here]
                left &= ~here
        if name == self.mask and left.any():
            bands_of_day = (layer for layer in of_day if layer.variable not in self.categorical)
            for grid in {layer.grid for layer in bands_of_day if layer.grid in near}:
                fused[left & nearest_pixels(grid, geobox)[2]] = UNKNOWN
        return fused

    def _band(self, layer: RasterLayer, geobox: GeoBox) -> np.ndarray:
        return read_reflectance(
            layer.path, layer.band, layer.nodata, layer.grid, geobox, resampling=self.resampling, masked=layer.masked,
            scale=layer.scale, offset=layer.offset,
        )  # fmt: skip

    def _classes(self, layer: RasterLayer, geobox: GeoBox) -> np.ndarray:
        # Where nobody knows what is there, a mask says so; scene classes have a class for it.
        missing = 0 if layer.variable == "SCL" else UNKNOWN
        most = None if layer.variable == self.mask and not self.mask_above else UNKNOWN
        meaning, masked = self.meaning.get(layer.variable), layer.masked
        place = (layer.path, layer.band, layer.grid, geobox)
        return read_codes(*place, missing=missing, masked=masked, most=most, meaning=meaning)


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
    mask_above: float = 0.0,
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
        then 1e-4 and 0 for integers, 1 and 0 for floating point. They do not touch categorical variables. A scale
        that is not the file's needs an offset, too, where the file has one.
    nodata
        Digital number that means missing; a table's row comes first, then this, then the file's own. What the file's
        own mask hides (inside it, a ``.msk`` file, an alpha band) is missing in any case.
    bands
        The bands of use; files of other variables are left alone. None: all there are.
    mask
        A variable that is not 0 where a pixel is not valid.
    categorical
        Variables that hold classes; used where they exist.
    mask_above
        The threshold that the mask will be compared with: of a mask of floating-point numbers, none below 1.
    resampling
        A method of GDAL's by which bands come to another grid: bilinear, cubic, average, nearest, ...

    Returns
    -------
    RasterSource

    Raises
    ------
    InputError
        For files that are missing, are no rasters, lack a band or have two of one name, or hold complex numbers; for a
        file with some of the bands that is far from all others; for a date that cannot be read; for a band that no
        file has; each with the file's name.
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
    grids: list[GeoBox] = []
    notes, beside, named = Disagreements(), set[Path](), list[str]()
    numbers = ProjectNumbers(scale=scale, offset=offset, nodata=nodata)
    for entry in used:
        with opened(entry.path) as file:
            header = header_of(file, entry.path)
            own = in_known_crs(header.grid, grids)
            grid = next((known for known in grids if same_grid(known, own)), own)
            grids += [] if grid in grids else [grid]
            beside |= {Path(name) for name in file.files if not name.endswith(_NO_PIXELS)} - {entry.path}
        found = bands_of(entry, header, bands, notes)
        named += [variable for _, variable, _ in found]
        chosen = [each for each in found if wanted is None or each[1] in wanted]
        # An alpha band in use as an image hides nothing.
        masked = not any(band.alpha for band, _, _ in chosen)
        for each in chosen:
            if each[1] in classes:
                _check_mask(header, each[0], mask_above)
                plain, quiet = replace(entry, scale=1.0, offset=0.0, nodata=None), Disagreements()
                layer = layer_of(plain, header, each, ProjectNumbers(), masked=masked, notes=quiet)
            else:
                layer = layer_of(entry, header, each, numbers, masked=masked, notes=notes)
            layers.append(replace(layer, grid=grid))
    there = list(dict.fromkeys(layer.variable for layer in layers))
    for name in [*(bands or ()), *([mask] if mask else [])]:
        if name not in there:
            raise InputError(_no_such(name, list(dict.fromkeys([*there, *named, *_names(listed)]))))
    sizes = {grid: pixel_size(grid) for grid in grids}
    layers.sort(key=lambda layer: (layer.moment, sizes[layer.grid], str(layer.path), layer.band))
    spectral = [layer.grid for layer in layers if layer.variable not in classes] or grids
    check_apart([layer for layer in layers if layer.variable not in classes])
    ordered = bands if bands is not None else [name for name in there if name not in classes]
    return RasterSource(
        layers=tuple(layers),
        geobox=grid_of_all(spectral),
        variables=(*dict.fromkeys([*ordered, *(name for name in classes if name in there)]),),
        categorical=tuple(name for name in classes if name in there),
        mask=mask,
        mask_above=mask_above,
        resampling=resampling,
        table=root / str(table) if table is not None else None,
        beside=tuple(sorted(beside)),
        notes=(*notes.sentences, *gaps(layers, classes), *several_grids(layers, classes, resampling)),
    )


def _check_mask(header: Header, band: Band, mask_above: float) -> None:
    header.check_numbers(band, "mask")
    if band.is_float and 0 < mask_above < 1:
        raise InputError(
            f"{header.path}: mask_above = {mask_above:g}, but masks are whole numbers from 0 to 255; write the "
            f"probability in per cent as whole numbers (0 to 100), and set mask_above = {100 * mask_above:g}."
        )


def _names(listed: Sequence[ListedFile]) -> list[str]:
    return list(dict.fromkeys(entry.variable for entry in listed if entry.variable))


def _no_such(name: str, there: Sequence[str]) -> str:
    return f"No raster holds {name!r}; there are {', '.join(there) or 'none'}."


_: type[Source] = RasterSource
