"""A folder of eo-learn's EOPatches as a source: every patch on its own grid, with its own dates."""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels, outline_bounds, pixel_offset
from landweave.patch.eopatch_features import Feature, read_feature
from landweave.patch.eopatch_folder import EOPatchFolder, grid_of, list_eopatches, moments_of
from landweave.patch.model import NODATA, REFLECTANCE_SCALE, make_patch, to_int16
from landweave.sources.eopatch_choices import band_names_of, bands_feature_of, data_mask_of, refuse_partial
from landweave.sources.pixels import UNKNOWN, touching, warped

Place = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Rows, columns and inside, of :func:`landweave.patch.align.nearest_pixels`."""

BLOCK_BYTES = 64 * 1024**2
"""About so much of a patch is held at once while it is read."""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One EOPatch."""

    folder: EOPatchFolder
    """Its box, dates and features."""

    geobox: GeoBox
    """The grid of its bands."""

    days: tuple[datetime.date, ...]
    """The day of each step of its time axis, UTC."""

    order: tuple[int, ...]
    """Its steps in the order of their moments."""

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.path.name


@dataclass(frozen=True, kw_only=True)
class EOPatchSource:
    """EOPatches as dated imagery. Made by :func:`open_eopatches`."""

    path: Path
    """The folder of them."""

    patches: tuple[Patch, ...]
    """By name."""

    where: Mapping[str, tuple[str, str, int]]
    """Variable to kind and name of the feature, and the band's number."""

    variables: tuple[str, ...]
    """Names it can load: bands, further data with one band, then masks."""

    categorical: tuple[str, ...]
    """Masks, by their own names."""

    geobox: GeoBox | None
    """The grid that all patches share; None where they do not."""

    scale: float | None = None
    """Reflectance per number; None: 1 for floating point, 1e-4 for whole numbers."""

    offset: float = 0.0
    """Reflectance of number 0."""

    nodata: float | None = None
    """Number that means missing; NaN always does."""

    data_mask: str | None = None
    """Mask that is 0 where bands are missing."""

    resampling: str = "bilinear"
    """How bands come to another grid."""

    needed: tuple[str, ...] = ()
    """Variables of use, whose files are the inputs."""

    @property
    def grids(self) -> dict[str, GeoBox]:
        """Name and grid of every patch."""
        return {patch.name: patch.geobox for patch in self.patches}

    @property
    def bbox(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all patches, degrees."""
        boxes = np.array([outline_bounds(patch.geobox, "EPSG:4326") for patch in self.patches])
        west, south = boxes[:, :2].min(axis=0).tolist()
        east, north = boxes[:, 2:].max(axis=0).tolist()
        return west, south, east, north

    def dates(self, start: datetime.date | None = None, end: datetime.date | None = None) -> list[datetime.date]:
        """Days on which any patch was seen, sorted, both ends inclusive."""
        days = {day for patch in self.patches for day in patch.days}
        return sorted(day for day in days if (start is None or day >= start) and (end is None or day <= end))

    def inputs(self) -> list[Path]:
        """Files of boxes, dates and the features of use."""
        masks = {("mask", self.data_mask, 0)} if self.data_mask else set()
        used = {self.where[name] for name in self.needed or self.variables} | masks
        keys = {(kind, name) for kind, name, _ in used}
        files = [patch.folder.features[key].path for patch in self.patches for key in keys]
        return sorted({*files, *(file for patch in self.patches for file in patch.folder.files)})

    def load(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> xr.Dataset:
        """Read a piece of ground.

        Parameters
        ----------
        geobox
            Any grid; on a patch's own grid its pixels are exact, otherwise resampled patch by patch.
        dates
            Days of the time axis, in the order wanted. Where a patch was not seen that day, its ground is missing.
        variables
            Names among ``self.variables``.

        Returns
        -------
        xarray.Dataset
            Bands int16 (time, y, x) in 1e-4 reflectance, -32768 missing and outside; masks uint8 (time, y, x),
            0 outside. Where a place was seen twice on a day (two moments, or patches that overlap): the first with a
            valid pixel of the first band; patches on the grid asked for come before others, then by name and
            moment. Masks come from the same.

        Raises
        ------
        InputError
            For a variable that is not there, and for a file that is damaged, by name.
        """
        for name in variables:
            if name not in self.variables:
                raise InputError(f"{self.path}: no patch holds {name!r}; there are {', '.join(self.variables)}.")
        shape = (len(dates), *geobox.shape)
        arrays = {
            name: np.zeros(shape, "uint8") if name in self.categorical else np.full(shape, NODATA, "int16")
            for name in variables
        }
        seen = np.zeros(shape, bool)
        covered = np.zeros(shape, bool)
        places = {day: number for number, day in enumerate(dates)}
        met = [(patch, place) for patch in self.patches if (place := _where(patch.geobox, geobox)) is not None]
        # Before what must be resampled, for which there is then no place left.
        met.sort(key=lambda found: pixel_offset(found[0].geobox, geobox) is None)
        leading = self.variables[0]
        twice = any(len(set(patch.days)) < len(patch.days) for patch, _ in met)
        contested = twice or bool((sum((place[2].astype("uint8") for _, place in met), np.uint8(0)) > 1).any())
        for patch, place in met:
            inside = place[2]
            steps = [step for step in patch.order if patch.days[step] in places]
            # What was seen once needs no judge.
            read = [*variables, leading] if contested else variables
            for step, layers in self._observations(patch, geobox, place, steps, read):
                when = places[patch.days[step]]
                valid = layers[leading] != NODATA if contested else inside
                # Where nothing valid has been seen yet, masks tell why.
                told = (valid & ~seen[when]) | (inside & ~covered[when])
                for name in variables:
                    if name in self.categorical:
                        arrays[name][when][told] = layers[name][told]
                    else:
                        empty = arrays[name][when] == NODATA
                        arrays[name][when][empty] = layers[name][empty]
                seen[when] |= valid
                covered[when] |= inside
        return make_patch(arrays, geobox, dates)

    def _observations(
        self, patch: Patch, geobox: GeoBox, place: Place, steps: Sequence[int], variables: Sequence[str]
    ) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
        """Step and layers on the grid asked for, (y, x) each; read in blocks of dates."""
        offset = pixel_offset(patch.geobox, geobox)
        start, shape = _overlap(patch.geobox, geobox, offset) if offset is not None else touching(patch.geobox, geobox)
        rows, columns = (slice(first, first + size) for first, size in zip(start, shape, strict=True))
        wanted: dict[tuple[str, str], dict[str, int]] = {}
        for name in variables:
            kind, feature, band = self.where[name]
            wanted.setdefault((kind, feature), {})[name] = band
        if self.data_mask is not None:
            wanted.setdefault(("mask", self.data_mask), {})
        at_once = max(1, BLOCK_BYTES // max(1, 8 * len(variables) * shape[0] * shape[1]))
        for begin in range(0, len(steps), at_once):
            block = list(steps[begin : begin + at_once])
            read = {key: self._read(patch, key, bands, block, rows, columns) for key, bands in wanted.items()}
            holes = None if self.data_mask is None else read["mask", self.data_mask][..., 0] == 0
            for number, step in enumerate(block):
                layers: dict[str, np.ndarray] = {}
                for key, names in wanted.items():
                    for layer, name in enumerate(names):
                        values = read[key][number, ..., layer]
                        if name in self.categorical:
                            layers[name] = _codes(values, start, place)
                        else:
                            missing = None if holes is None else holes[number]
                            layers[name] = self._band(values, missing, patch.geobox, start, geobox, offset)
                yield step, layers

    def _read(
        self,
        patch: Patch,
        key: tuple[str, str],
        bands: Mapping[str, int],
        steps: Sequence[int],
        rows: slice,
        columns: slice,
    ) -> np.ndarray:
        feature = patch.folder.features[key]
        _check_like_bands(feature, patch)
        numbers = list(bands.values()) or [0]
        return np.asarray(read_feature(feature, dates=steps, rows=rows, columns=columns, bands=numbers))

    def _band(
        self, values: np.ndarray, missing: np.ndarray | None, source: GeoBox, start: tuple[int, int], target: GeoBox,
        offset: tuple[int, int] | None,
    ) -> np.ndarray:  # fmt: skip
        numbers = values.astype("float64")
        if self.nodata is not None:
            numbers[values == self.nodata] = np.nan
        if missing is not None:
            numbers[missing] = np.nan
        scale = (1.0 if values.dtype.kind == "f" else REFLECTANCE_SCALE) if self.scale is None else self.scale
        # Rounded to 12 digits: a decimal scale is an exact multiple of the unit, and stays one.
        factor, shift = (float(f"{number / REFLECTANCE_SCALE:.12g}") for number in (scale, self.offset))
        if offset is None:
            if np.isnan(numbers).all():
                return np.full(target.shape, NODATA, "int16")
            return to_int16(warped(numbers, source, start, target, self.resampling) * factor + shift, scale=1.0)
        whole = np.full(target.shape, NODATA, "int16")
        top, left = start[0] - offset[0], start[1] - offset[1]
        whole[top : top + values.shape[0], left : left + values.shape[1]] = to_int16(
            numbers * factor + shift, scale=1.0
        )
        return whole


def open_eopatches(
    *,
    path: str | Path,
    bands_feature: str | None = None,
    band_names: Sequence[str] | None = None,
    scale: float | None = None,
    offset: float | None = None,
    nodata: float | None = None,
    data_mask: str | None = None,
    needed: Sequence[str] = (),
    resampling: str = "bilinear",
) -> EOPatchSource:
    """Look at a folder of EOPatches, or at one.

    Parameters
    ----------
    path
        A folder whose sub-folders are EOPatches, or an EOPatch.
    bands_feature
        Name of the data feature that holds the bands. Default: the only data feature; or, of several, the only one
        that has as many bands as ``band_names``, or 13 or 12.
    band_names
        A name for each of its bands, in order. Default: those of Sentinel-2 where there are 13 (L1C) or 12 (L2A).
    scale, offset
        reflectance = number * scale + offset. Default: scale 1 for floating point, 1e-4 for whole numbers; offset 0.
    nodata
        Number that means missing, beside NaN.
    data_mask
        Mask feature that is 0 where bands are missing. Default: the first of
        :data:`landweave.sources.eopatch_choices.DATA_MASKS` that the patches have; ``"none"``: none.
    needed
        Variables that every patch must hold; the files of these are the source's inputs.
    resampling
        A method of GDAL's by which bands come to another grid.

    Raises
    ------
    InputError
        Where no EOPatch lies there; for a patch without the bands, with fewer or more of them, with a feature whose
        shape does not fit its box or its dates; for a needed variable that a patch lacks.
    """
    if resampling not in Resampling.__members__:
        raise InputError(f"resampling {resampling!r} is not known; use one of {', '.join(Resampling.__members__)}.")
    folders = list_eopatches(path)
    bands = bands_feature_of(folders[0], bands_feature, band_names)
    depth = folders[0].features["data", bands].shape[-1]
    names = band_names_of(folders[0].features["data", bands], band_names)
    patches = []
    for folder in folders:
        feature = folder.features.get(("data", bands))
        if feature is None:
            there = ", ".join(name for kind, name in folder.features if kind == "data") or "none"
            raise InputError(
                f"{folder.path}: no data feature {bands!r}, as {folders[0].path.name} has; it has {there}."
            )
        if feature.shape[-1] != depth:
            raise InputError(f"{feature.path}: {feature.shape[-1]} bands, but {folders[0].path.name} has {depth}.")
        moments = moments_of(folder, feature)
        patches.append(
            Patch(
                folder=folder, geobox=grid_of(folder, feature), days=tuple(moment.date() for moment in moments),
                order=tuple(sorted(range(len(moments)), key=lambda step: moments[step])),
            )
        )  # fmt: skip
    common = [key for key in folders[0].features if all(key in folder.features for folder in folders)]
    where = {name: ("data", bands, number) for number, name in enumerate(names)}
    for kind, name in common:
        if kind == "data" and name != bands and folders[0].features[kind, name].shape[-1] == 1:
            where.setdefault(name, (kind, name, 0))
    masks = [name for kind, name in common if kind == "mask" and name not in where]
    where |= {name: ("mask", name, 0) for name in masks}
    for name in needed:
        if name not in where:
            refuse_partial(folders, name)
    return EOPatchSource(
        path=Path(path), patches=tuple(patches), where=where, variables=tuple(where), categorical=tuple(masks),
        geobox=_shared_grid([patch.geobox for patch in patches]), scale=scale, offset=offset or 0.0, nodata=nodata,
        data_mask=data_mask_of(folders, masks, data_mask), resampling=resampling,
        needed=tuple(name for name in needed if name in where),
    )  # fmt: skip


def _check_like_bands(feature: Feature, patch: Patch) -> None:
    shape = (len(patch.days), *patch.geobox.shape)
    if feature.shape[:3] != shape:
        raise InputError(
            f"{feature.path}: {' x '.join(map(str, feature.shape[:3]))} dates, rows and columns, but the bands have "
            f"{' x '.join(map(str, shape))}."
        )
    if feature.kind == "mask" and feature.shape[-1] != 1:
        raise InputError(f"{feature.path}: {feature.shape[-1]} bands; a mask has one.")


def _shared_grid(grids: Sequence[GeoBox]) -> GeoBox | None:
    offsets = [pixel_offset(grids[0], grid) for grid in grids]
    if any(offset is None for offset in offsets):
        return None
    corners = np.array([offset for offset in offsets if offset is not None])
    (top, left), (bottom, right) = corners.min(axis=0), (corners + [tuple(grid.shape) for grid in grids]).max(axis=0)
    affine = grids[0].affine * grids[0].affine.translation(int(left), int(top))
    return GeoBox((int(bottom - top), int(right - left)), affine, grids[0].crs)


def _where(source: GeoBox, target: GeoBox) -> Place | None:
    # Most patches lie far away, which their bounds tell faster than their pixels.
    left, bottom, right, top = outline_bounds(target, source.crs)
    box = source.boundingbox
    if not (left <= box.right and right >= box.left and bottom <= box.top and top >= box.bottom):
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
