"""A folder of eo-learn's EOPatches as a source: every patch on its own grid, with its own dates."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling

from landweave.errors import InputError
from landweave.patch.eopatch.features import Feature, read_feature
from landweave.patch.eopatch.folder import EOPatchFolder, grid_of, list_eopatches, moments_of
from landweave.patch.model import NODATA, REFLECTANCE_SCALE
from landweave.patch.raster.mask_bits import MaskBits, meant
from landweave.patch.summary import Shown, listed, span
from landweave.sources.patchwise.common_grid import Numbers, check_names, load_patches, shared_grid
from landweave.sources.patchwise.eopatch_choices import band_names_of, bands_feature_of, data_mask_of, refuse_partial
from landweave.sources.protocol import LocalSource, Source, days_between, digest_of


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


@dataclass(frozen=True, kw_only=True, repr=False)
class EOPatchSource(Shown, LocalSource):
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
    """Number that means missing, beside NaN; None: -32768 in int16."""

    meaning: Mapping[str, MaskBits] = field(default_factory=dict)
    """Mask to what its bits and values mean, where they do not mean what they are."""

    data_mask: str | None = None
    """Mask that is 0 where bands are missing."""

    resampling: str = "bilinear"
    """How bands come to another grid."""

    needed: tuple[str, ...] = ()
    """Variables of use, whose files are the inputs."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "path": self.path,
            "patches": listed([patch.name for patch in self.patches], 3),
            "variables": listed(self.variables, 13),
            "dates": span(self.dates()),
        }

    @property
    def grids(self) -> dict[str, GeoBox]:
        """Name and grid of every patch."""
        return {patch.name: patch.geobox for patch in self.patches}

    def dates(self, start: datetime.date | None = None, end: datetime.date | None = None) -> list[datetime.date]:
        """Days on which any patch was seen, sorted, both ends inclusive."""
        return days_between(sorted({day for patch in self.patches for day in patch.days}), start, end)

    def inputs(self) -> list[Path]:
        """Files of boxes, dates and the features of use."""
        masks = {("mask", self.data_mask, 0)} if self.data_mask else set()
        used = {self.where[name] for name in self.needed or self.variables} | masks
        keys = {(kind, name) for kind, name, _ in used}
        files = [patch.folder.features[key].path for patch in self.patches for key in keys]
        return sorted({*files, *(file for patch in self.patches for file in patch.folder.files)})

    def stamp(
        self,
        geobox: GeoBox,  # noqa: ARG002
        dates: Sequence[datetime.date] | None = None,  # noqa: ARG002
        variables: Sequence[str] | None = None,  # noqa: ARG002
    ) -> str:
        """How the features are read; see the protocol."""
        facts = [self.where, self.variables, self.categorical, self.scale, self.offset, self.nodata, self.data_mask]
        return digest_of([*facts, self.resampling, *meant(self.meaning)])

    def resampled(self, method: str) -> "EOPatchSource":
        """The same patches, their bands brought to other grids by another method."""
        return replace(self, resampling=method)

    def load(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> xr.Dataset:
        """As :func:`landweave.sources.patchwise.common_grid.load_patches`.

        Raises
        ------
        InputError
            If no patch has a variable.
        """
        for name in variables:
            if name not in self.variables:
                raise InputError(f"{self.path}: no patch has {name!r}; there are {', '.join(self.variables)}.")
        return load_patches(
            self.patches, geobox, dates, variables, categorical=self.categorical, leading=self.variables[0],
            read=self._read, resampling=self.resampling,
        )  # fmt: skip

    def _read(
        self, patch: Patch, variables: Sequence[str], steps: Sequence[int], rows: slice, columns: slice
    ) -> dict[str, Numbers]:
        wanted: dict[tuple[str, str], dict[str, int]] = {}
        for name in variables:
            kind, of, band = self.where[name]
            wanted.setdefault((kind, of), {})[name] = band
        if self.data_mask is not None:
            wanted.setdefault(("mask", self.data_mask), {})
        stored = {}
        for key, bands in wanted.items():
            feature = patch.folder.features[key]
            _check_like_bands(feature, patch)
            numbers = list(bands.values()) or [0]
            stored[key] = np.asarray(read_feature(feature, dates=steps, rows=rows, columns=columns, bands=numbers))
        holes = None if self.data_mask is None else stored["mask", self.data_mask][..., 0] == 0
        read: dict[str, Numbers] = {}
        for key, bands in wanted.items():
            for layer, name in enumerate(bands):
                values = stored[key][..., layer]
                values = self.meaning[name].codes(values) if name in self.meaning else values
                read[name] = (values, 1.0, 0.0) if name in self.categorical else self._numbers(values, holes)
        return read

    def _numbers(self, values: np.ndarray, missing: np.ndarray | None) -> Numbers:
        numbers = values.astype("float64")
        nodata = self.nodata
        if nodata is None and values.dtype == np.int16:
            nodata = NODATA
        if nodata is not None:
            numbers[values == nodata] = np.nan
        if missing is not None:
            numbers[missing] = np.nan
        scale = (1.0 if values.dtype.kind == "f" else REFLECTANCE_SCALE) if self.scale is None else self.scale
        # Rounded to 12 digits: a decimal scale is an exact multiple of the unit, and stays one.
        factor, shift = (float(f"{number / REFLECTANCE_SCALE:.12g}") for number in (scale, self.offset))
        return numbers, factor, shift


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
        Number that means missing, beside NaN. Default: -32768 in int16.
    data_mask
        Mask feature that is 0 where bands are missing. Default: the first of
        :data:`landweave.sources.patchwise.eopatch_choices.DATA_MASKS` that the patches have; ``"none"``: none.
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
        raise InputError(f"resampling {resampling!r} is unknown; use one of {', '.join(Resampling.__members__)}.")
    folders = list_eopatches(path)
    check_names([(folder.path.name, folder.path) for folder in folders])
    bands = bands_feature_of(folders[0], bands_feature, band_names)
    depth = folders[0].features["data", bands].shape[-1]
    names = band_names_of(folders[0].features["data", bands], band_names)
    patches = []
    for folder in folders:
        feature = folder.features.get(("data", bands))
        if feature is None:
            there = ", ".join(name for kind, name in folder.features if kind == "data") or "none"
            raise InputError(f"{folder.path}: no data feature {bands!r} like {folders[0].path.name}; it has {there}.")
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
        geobox=shared_grid([patch.geobox for patch in patches]), scale=scale, offset=offset or 0.0, nodata=nodata,
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


_: type[Source] = EOPatchSource
