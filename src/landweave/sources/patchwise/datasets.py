"""The patches of our own data sets as a source: each Zarr on its own grid and with its own dates, pixels as stored."""

import datetime
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj.exceptions import CRSError
from shapely.errors import ShapelyError

from landweave.errors import MACHINE, InputError, parsed
from landweave.patch.align import outline_bounds
from landweave.patch.model import NODATA
from landweave.patch.store import DATA_SET, read_patch
from landweave.patch.summary import Shown, listed, span
from landweave.sources.patchwise.common_grid import Numbers, check_names, load_patches, shared_grid
from landweave.sources.protocol import LocalSource, Source, day_of, days_between, digest_of

LARGEST = 1_000_000
"""Pixels along a side that no patch has: an item that says so is damaged, and the arithmetic on it fails."""


@dataclass(frozen=True, kw_only=True)
class StoredPatch:
    """One item of the collection."""

    name: str
    item: Path
    """The item's file."""

    path: Path
    """The Zarr."""

    geobox: GeoBox
    days: tuple[datetime.date, ...]
    """Of each step of its time axis; a second pass of a day is a ``datetime``."""

    variables: Mapping[str, str]
    """Dated variables to dtype."""

    @property
    def order(self) -> tuple[int, ...]:
        """Its steps, which are in the order of time."""
        return tuple(range(len(self.days)))


@dataclass(frozen=True, kw_only=True, repr=False)
class StoredSource(Shown, LocalSource):
    """A data set of patches as dated imagery. Made by :func:`open_collection`."""

    path: Path
    """The collection's file."""

    patches: tuple[StoredPatch, ...]
    """By name."""

    variables: tuple[str, ...]
    """Those that every patch has."""

    categorical: tuple[str, ...]
    geobox: GeoBox | None
    resampling: str = "bilinear"

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
        """Days, and second passes of days, on which any patch was seen, sorted, both ends inclusive."""
        found = {day for patch in self.patches for day in patch.days}
        inside = days_between(found, start, end)
        return sorted(inside, key=lambda day: (day_of(day), isinstance(day, datetime.datetime), str(day)))

    def inputs(self) -> list[Path]:
        """The items, which hold a checksum of their patch's files each; ``landweave verify`` checks these."""
        return sorted(patch.item for patch in self.patches)

    def stamp(
        self,
        geobox: GeoBox,  # noqa: ARG002
        dates: Sequence[datetime.date] | None = None,  # noqa: ARG002
        variables: Sequence[str] | None = None,  # noqa: ARG002
    ) -> str:
        """How the patches are read; see the protocol."""
        return digest_of([self.variables, self.categorical, self.resampling])

    def resampled(self, method: str) -> "StoredSource":
        """The same patches, their bands brought to other grids by another method."""
        return replace(self, resampling=method)

    def load(self, geobox: GeoBox, dates: Sequence[datetime.date], variables: Sequence[str]) -> xr.Dataset:
        """As :func:`landweave.sources.patchwise.common_grid.load_patches`.

        Raises
        ------
        InputError
            For a variable that is not there.
        """
        for name in variables:
            if name not in self.variables:
                raise InputError(f"{self.path}: no patch has {name!r}; there are {', '.join(self.variables)}.")
        return load_patches(
            self.patches, geobox, dates, variables, categorical=self.categorical, leading=self.variables[0],
            read=_read, resampling=self.resampling,
        )  # fmt: skip


def is_collection(path: str | Path) -> bool:
    """Whether a file is the collection of a data set that ``landweave publish --dataset`` wrote."""
    try:
        content = parsed(json.loads, Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("landweave:format") == DATA_SET


def open_collection(path: str | Path, *, needed: Sequence[str] = (), resampling: str = "bilinear") -> StoredSource:
    """Look at a data set; its pixels are read when they are asked for.

    Parameters
    ----------
    path
        The collection's file, on this machine.
    needed
        Variables that every patch must have.
    resampling
        How bands come to another grid.

    Raises
    ------
    InputError
        For an item that is missing or not as landweave writes it, an id that cannot be a file's name or occurs twice,
        patches that are no Zarr here, and a variable that a patch lacks.
    """
    path = Path(path)
    patches = tuple(sorted((_patch(path.parent, link) for link in _links(path)), key=lambda patch: patch.name))
    if not patches:
        raise InputError(f"{path}: the data set has no patch.")
    check_names([(patch.name, patch.item) for patch in patches])
    common = [name for name in patches[0].variables if all(name in patch.variables for patch in patches)]
    for name in needed:
        lacking = [patch.name for patch in patches if name not in patch.variables]
        if lacking:
            there = ", ".join(patches[0].variables)
            raise InputError(f"{path}: patch {lacking[0]} has no {name!r}; there are {there}.")
    if not common:
        raise InputError(f"{path}: the patches have no variable in common.")
    return StoredSource(
        path=path, patches=patches, variables=tuple(common),
        categorical=tuple(name for name in common if patches[0].variables[name] != "int16"),
        geobox=shared_grid([patch.geobox for patch in patches]), resampling=resampling,
    )  # fmt: skip


def _links(path: Path) -> list[str]:
    """Where the collection says that its items are."""
    try:
        links = parsed(json.loads, path.read_text(encoding="utf-8"))["links"]
        return [str(link["href"]) for link in links if link["rel"] == "item"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{path}: its links are not in landweave's form; publish the data set again.") from None


def _patch(folder: Path, link: str) -> StoredPatch:
    item = folder / _inside(folder, link)
    try:
        content = parsed(json.loads, item.read_text(encoding="utf-8"))
        told, asset = content["properties"], content["assets"]["data"]
        times = told["cube:dimensions"]["time"]["values"]
        variables = {
            name: str(one["data_type"]) for name, one in told["cube:variables"].items() if "time" in one["dimensions"]
        }
        geobox = _grid(told["proj:shape"], told["proj:transform"], told["proj:code"] or told["proj:wkt2"])
        days = tuple(_when(text) for text in times)
        name, href, kind = str(content["id"]), str(asset["href"]), str(asset["type"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, CRSError, ShapelyError):
        raise InputError(f"{item}: not an item of a landweave data set; publish the data set again.") from None
    if not kind.startswith("application/vnd.zarr"):
        raise InputError(f'{item}: the patches are {kind}; read them as source.type = "eopatches".')
    zarr = folder / _inside(folder, str(Path(link).parent / href))
    return StoredPatch(
        name=name, item=item.resolve(), path=zarr.resolve(), geobox=geobox, days=days,
        variables=variables,
    )  # fmt: skip


def _inside(folder: Path, place: str) -> Path:
    """A place in the data set's folder: a catalogue from elsewhere names no other files of this machine."""
    plain = Path(os.path.normpath(place))
    if plain.is_absolute() or ".." in plain.parts or "\0" in place:
        raise InputError(f"{folder}: the catalogue names {place!r}, which is outside the data set; download it again.")
    return plain


def _grid(shape: Any, transform: Any, crs: Any) -> GeoBox:
    height, width = (int(number) for number in shape)
    affine = Affine(*(float(number) for number in transform))
    if (
        min(height, width) < 1
        or max(height, width) > LARGEST
        or not np.isfinite(affine.determinant)
        or affine.is_degenerate
    ):
        raise ValueError(shape, transform)
    geobox = GeoBox((height, width), affine, crs)
    if not np.isfinite(outline_bounds(geobox, "EPSG:4326")).all():
        raise ValueError(shape, transform)
    return geobox


def _read(
    patch: StoredPatch, variables: Sequence[str], steps: Sequence[int], rows: slice, columns: slice
) -> dict[str, Numbers]:
    stored = read_patch(patch.path)
    found: dict[str, Numbers] = {}
    for name in variables:
        if name not in stored or stored[name].shape != (len(patch.days), *patch.geobox.shape):
            raise InputError(f"{patch.path}: {name} does not match its item; check with `landweave verify`.")
        try:
            values: Any = stored[name][list(steps), rows, columns].values
        except (OSError, ValueError, RuntimeError) as error:
            if isinstance(error, OSError) and error.errno in MACHINE:
                raise OSError(error.errno, error.strerror, str(patch.path / name)) from None
            reason = str(error).splitlines()[0][:80]
            raise InputError(
                f"{patch.path}: {name} cannot be read ({reason}); check with `landweave verify`."
            ) from None
        if values.dtype == np.int16:
            values = np.where(values == NODATA, np.nan, values.astype("float64"))
        found[name] = (values, 1.0, 0.0)
    return found


def _when(text: str) -> datetime.date:
    return datetime.datetime.fromisoformat(text) if "T" in text else datetime.date.fromisoformat(text)


_: type[Source] = StoredSource
