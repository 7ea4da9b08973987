"""Sentinel-2 from an archive: scenes, fused date by date on any grid."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import xarray as xr
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.patch.align import outline_bounds
from landweave.patch.model import NODATA, make_patch
from landweave.patch.raster.mask_bits import MaskBits, meant
from landweave.patch.summary import Shown, listed, span
from landweave.sources.files.far import ask_again, of_one_file, use_wire
from landweave.sources.files.opened import header_at
from landweave.sources.files.pool import side_by_side
from landweave.sources.pixels import read_reflectance, stored_bytes
from landweave.sources.protocol import Source, days_between
from landweave.sources.remote import is_remote, missing_keys, wait_at_most
from landweave.sources.scene_files import begin, codes_of, from_marked, head_of, place_of, read_how
from landweave.sources.stac.catalogues import CATALOGUES, CLASSES
from landweave.sources.stac.footprint import meet
from landweave.sources.stac.grouping import passes
from landweave.sources.stac.hrefs import named_place
from landweave.sources.stac.scenes import Asset, Scene
from landweave.sources.stac.selection import EXCLUDED, INCOMPLETE, OLDER, lacking, sentences, without

READERS = 8
"""Dates that are read from a server at a time."""

_FEW_DATES = 3
"""On which the files' bytes are counted."""

_KEYS = {catalogue.name: catalogue.credentials for catalogue in CATALOGUES}


@dataclass(frozen=True, kw_only=True, repr=False)
class StacSource(Shown):
    """Scenes of one archive; files are opened when pixels are asked for. Made by :func:`open_stac`."""

    passes: Mapping[date, tuple[Scene, ...]]
    """Date to its scenes in the order they are fused in."""

    variables: tuple[str, ...]
    """Bands, then classes, that every scene has."""

    resampling: str = "cubic"
    """How bands come to another grid."""

    offsets: Mapping[str, float] = field(default_factory=dict)
    """Scene id to the offset that goes before that of the metadata."""

    incomplete: tuple[str, ...] = ()
    """Scenes left out since they lack a band that was asked for."""

    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Why scenes were left out, to their ids."""

    remarks: tuple[str, ...] = ()
    """What else to know of the scenes, in sentences."""

    timeout: float | None = None
    """Seconds after which a server that is silent is given up; None: the usual ones."""

    connections: int | None = None
    """Requests that a server gets at a time from each process at most; None: the usual number."""

    headers: Path | None = None
    """Folder that keeps headers of files on servers from one run to the next; None: none are kept."""

    meaning: Mapping[str, MaskBits] = field(default_factory=dict)
    """Mask to what its bits and values mean, where it is no percentage."""

    def _summary(self) -> Mapping[str, object]:
        return {
            "scenes": len(self.scenes),
            "dates": span(self.dates()),
            "variables": listed(self.variables, 16),
            "west, south, east, north": listed([f"{degrees:.3f}" for degrees in self.extent]) if self.passes else "",
            "remote": self.remote,
        }

    @property
    def categorical(self) -> tuple[str, ...]:
        """Scene classes and a provider's probabilities."""
        return tuple(name for name in self.variables if name in CLASSES)

    @property
    def geobox(self) -> GeoBox | None:
        """None: scenes lie on several grids."""
        return None

    @property
    def grids(self) -> dict[str, GeoBox]:
        """None: scenes overlap."""
        return {}

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """All scenes, in the order of their dates and ids."""
        return tuple(scene for group in self.passes.values() for scene in group)

    @property
    def remote(self) -> bool:
        """Whether any pixel lies on a server."""
        return any(is_remote(asset.href) for scene in self.scenes for asset in scene.assets.values())

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all scenes, degrees."""
        boxes = np.array([scene.bbox for scene in self.scenes])
        low, high = boxes.min(axis=0), boxes.max(axis=0)
        return float(low[0]), float(low[1]), float(high[2]), float(high[3])

    @property
    def notes(self) -> tuple[str, ...]:
        """Scenes that were left out, and why, in sentences."""
        return (*self.remarks, *sentences(self.left_out))

    def dates(self, start: date | None = None, end: date | None = None) -> list[date]:
        """Solar days with a scene, both ends inclusive; a second pass of a day is a ``datetime``."""
        return days_between(self.passes, start, end)

    def seen(self, geobox: GeoBox, dates: Sequence[date]) -> dict[date, float | None]:
        """Those of the dates on which the footprint of a scene meets a piece of ground; see the protocol."""
        there = {}
        for day, scenes in self._met(geobox, dates).items():
            covers = [scene.cloud_cover for scene in scenes if scene.cloud_cover is not None]
            there[day] = 1 - float(np.mean(covers)) / 100 if covers else None
        return there

    def inputs(self) -> list[Path]:
        """None: see :meth:`stamp`."""
        return []

    def stamp(self, geobox: GeoBox, dates: Sequence[date] | None = None, variables: Sequence[str] | None = None) -> str:
        """What decides the pixels of a piece of ground: scenes, places, scales, and the heads of files on this machine.

        The head of a cloud-optimised GeoTIFF holds the size of every block, so that it changes with the pixels.
        """
        digest = hashlib.blake2b(digest_size=16)
        names = set(self.variables if variables is None else variables)
        # One class may be taken where another one is known.
        names |= set(self.categorical) if names.intersection(CLASSES) else set()
        for day, scenes in self._met(geobox, list(self.passes) if dates is None else dates).items():
            for scene in scenes:
                used = {name: asset for name, asset in scene.assets.items() if name in names}
                assets = [(n, named_place(a.href), a.scale, a.offset, a.nodata, *_unsaid(a)) for n, a in used.items()]
                fact = [str(day), scene.id, sorted(assets), self.offsets.get(scene.id), self.resampling]
                digest.update(json.dumps(fact + meant(self.meaning)).encode())
                for asset in used.values():
                    if not is_remote(asset.href):
                        digest.update(head_of(asset.href))
                        if Path(mask := asset.href + ".msk").exists():
                            digest.update(head_of(mask))
        return digest.hexdigest()

    def load(self, geobox: GeoBox, dates: Sequence[date], variables: Sequence[str]) -> xr.Dataset:
        """Read a patch; see :class:`~landweave.sources.protocol.Source`.

        Returns
        -------
        xarray.Dataset
            Scale and offset of each scene are applied before scenes of a date are fused: the first valid pixel in
            the order of ids. Classes come from the first scene that has a scene class there (or, without SCL, a
            class that is not 0).

        Raises
        ------
        InputError
            For an unknown variable or date, and for a file on this machine that cannot be read.
        OSError
            For a file on a server that cannot be read, after retries.
        """
        for name in variables:
            if name not in self.variables:
                raise InputError(f"The archive has no {name!r}; it has {', '.join(self.variables)}.")
        unknown = [day for day in dates if day not in self.passes]
        if unknown:
            raise InputError(f"The archive has no scene of {unknown[0]}; use one of its dates.")
        self._prepare()
        met = self._met(geobox, dates)

        def one(number: int) -> dict[str, np.ndarray]:
            for day in dates[number + READERS : number + READERS + 1]:
                begin(met[day][0], variables, geobox) if day in met else None
            return of_one_file(lambda: self._date(geobox, met.get(dates[number], []), variables))

        arrays: dict[str, list[np.ndarray]] = {name: [] for name in variables}
        for found in side_by_side(one, range(len(dates)), READERS if self.remote else 1):
            for name, values in found.items():
                arrays[name].append(values)
        shape = (0, *geobox.shape)
        return make_patch(
            {n: np.stack(v) if v else np.zeros(shape, "uint8" if n in CLASSES else "int16") for n, v in arrays.items()},
            geobox,
            dates,
        )

    def reach(self) -> None:
        """Make sure that images on a server can be had at all, so that a refusal is told at once, and once.

        Raises
        ------
        InputError
            For keys that the archive asks for and the environment does not hold, and where none of three scenes of
            a server can be opened: what was answered.
        """
        self._prepare()
        far = [s for s in self.scenes if any(is_remote(a.href) for a in s.assets.values())]
        for name in sorted({s.catalogue for s in far if any(a.href.startswith("s3://") for a in s.assets.values())}):
            lacking = missing_keys(_KEYS.get(name, ()))
            if lacking:
                raise InputError(
                    f"The archive {name} needs keys for its images; set {' and '.join(lacking)} in the environment."
                )
        refusals = []
        for scene in far[:: max(1, len(far) // 3)][:3]:
            try:
                header_at(ask_again(place_of(next(a for a in scene.assets.values() if is_remote(a.href)))))
            except OSError as error:
                refusals.append(str(error))
            else:
                return
        if refusals:
            raise InputError(f"No image of the archive can be read: {refusals[0]}")

    def with_offsets(self, offsets: Mapping[str, float]) -> "StacSource":
        """The same scenes, some of them with another offset."""
        return replace(self, offsets=dict(offsets))

    def resampled(self, method: str) -> "StacSource":
        """The same scenes, their bands brought to other grids by another method."""
        return replace(self, resampling=method)

    def cost(self, geobox: GeoBox, dates: Sequence[date], variables: Sequence[str]) -> float | None:
        """Bytes, as they lie in the files, that a piece of ground needs; None on a server.

        By three of the dates: a tile may be empty for the most part, so its files' sizes say little.
        """
        days = list(self._met(geobox, dates).values())
        # Where scenes of a date overlap, one of them is read.
        found = [
            max(_bytes_of(scene, variables, geobox) for scene in scenes)
            for scenes in days[:: max(1, len(days) // _FEW_DATES)]
        ]
        return float(np.mean(found)) * len(days) if any(found) else None

    def _prepare(self) -> None:
        wait_at_most(self.timeout)
        use_wire(self.connections, self.headers)

    def _met(self, geobox: GeoBox, dates: Iterable[date]) -> dict[date, list[Scene]]:
        """Date to the scenes whose footprint meets a piece of ground, where there are any."""
        box = outline_bounds(geobox, "EPSG:4326")
        if not np.isfinite(box[0]):
            return {}
        met = {day: [scene for scene in self.passes[day] if meet(scene.bbox, box)] for day in dates}
        return {day: scenes for day, scenes in met.items() if scenes}

    def _date(self, geobox: GeoBox, scenes: Sequence[Scene], variables: Sequence[str]) -> dict[str, np.ndarray]:
        fused = {
            name: np.zeros(geobox.shape, "uint8") if name in CLASSES else np.full(geobox.shape, NODATA, "int16")
            for name in variables
        }
        classes = [name for name in variables if name in CLASSES]
        bare = np.ones(geobox.shape, bool)
        for scene in scenes:
            for name in variables if any(is_remote(asset.href) for asset in scene.assets.values()) else ():
                if part := _around(bare if name in CLASSES else fused[name] == NODATA):
                    begin(scene, [name], _cropped(geobox, part))
            for name in variables:
                empty = fused[name] == NODATA if name not in CLASSES else bare
                if name not in CLASSES and (part := _around(empty)):
                    values = self._band(scene, name, _cropped(geobox, part))
                    np.copyto(fused[name][part], values, where=empty[part])
            if classes and (part := _around(bare)):
                leading = "SCL" if "SCL" in scene.assets else classes[0]
                here = codes_of(scene, leading, _cropped(geobox, part), meaning=self.meaning.get(leading))
                taken = bare[part] & (here != 0)
                for name in classes:
                    how = self.meaning.get(name)
                    values = here if name == leading else codes_of(scene, name, _cropped(geobox, part), meaning=how)
                    np.copyto(fused[name][part], values, where=taken)
                bare[part] &= ~taken
        for name in classes:
            if name in self.meaning:
                fused[name] = from_marked(fused[name])
        return fused

    def _band(self, scene: Scene, name: str, geobox: GeoBox) -> np.ndarray:
        place, how = read_how(scene, name)
        return read_reflectance(
            place, how.band, how.nodata, how.grid, geobox, resampling=self.resampling, masked=how.masked,
            scale=how.scale, offset=self.offsets.get(scene.id, how.offset),
        )  # fmt: skip


def _around(empty: np.ndarray) -> tuple[slice, slice] | None:
    """The rows and columns that hold all true pixels; None where there is none."""
    rows, columns = (np.flatnonzero(empty.any(axis=axis)) for axis in (1, 0))
    return (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)) if rows.size else None


def _cropped(geobox: GeoBox, part: tuple[slice, slice]) -> GeoBox:
    rows, columns = part
    whole = (rows.stop - rows.start, columns.stop - columns.start) == tuple(geobox.shape)
    return geobox if whole else geobox[rows, columns]


def open_stac(
    scenes: Iterable[Scene],
    *,
    needed: Sequence[str],
    start: date | None = None,
    end: date | None = None,
    resampling: str = "cubic",
    where: str = "The archive",
    exclude: Iterable[str] = (),
    left_out: Mapping[str, Sequence[str]] | None = None,
    remarks: Iterable[str] = (),
    timeout: float | None = None,
    connections: int | None = None,
    headers: Path | None = None,
) -> StacSource:
    """Group scenes to dates and check that they hold what is needed.

    Parameters
    ----------
    scenes
        From :func:`.scenes.read_scene`.
    needed
        Variables that every scene must have; scenes without one of them are left out, and named by ``incomplete``.
    start, end
        Solar days, both inclusive.
    resampling
        How bands come to another grid.
    where
        For messages.
    exclude
        Ids and solar days of scenes that are left out.
    left_out, remarks, timeout, connections, headers
        As in :class:`StacSource`; what is left out here is added.

    Raises
    ------
    InputError
        When no scene has all that is needed, and for an entry of ``exclude`` that no scene has.
    """
    every = [s for s in scenes if (start is None or s.day >= start) and (end is None or s.day <= end)]
    period = {"first": str(start or ""), "last": str(end or "9999")}
    every, excluded = without(every, exclude, **period)
    whole = [scene for scene in every if all(name in scene.assets for name in needed)]
    if excluded and not every:
        raise InputError(f"{where}: all scenes of the period are left out by source.exclude.")
    if not whole:
        raise InputError(f"{where}: {lacking(every, needed)}")
    known = {id(scene) for scene in whole}
    incomplete = tuple(sorted(scene.id for scene in every if id(scene) not in known))
    common = [name for name in whole[0].assets if all(name in scene.assets for scene in whole)]
    lean = [replace(s, assets={n: a for n, a in s.assets.items() if n in {*needed, *common}}) for s in whole]
    groups = {day: tuple(group) for day, group in passes(lean).items()}
    used = {scene.id for group in groups.values() for scene in group}
    older = tuple(sorted({scene.id for scene in whole} - used))
    why = {**(left_out or {}), EXCLUDED: excluded, INCOMPLETE: incomplete, OLDER: older}
    return StacSource(
        passes=groups,
        variables=(*[n for n in common if n not in CLASSES], *[n for n in common if n in CLASSES]),
        resampling=resampling,
        incomplete=incomplete,
        left_out={reason: tuple(ids) for reason, ids in why.items() if ids},
        remarks=tuple(remarks),
        timeout=timeout,
        connections=connections,
        headers=headers,
    )


def _unsaid(asset: Asset) -> list[object]:
    """What the file decides, or which band of it: nothing for an asset that says all and has one band."""
    return ([] if asset.told else ["untold"]) + ([] if asset.band is None else [asset.band])


def _bytes_of(scene: Scene, variables: Sequence[str], geobox: GeoBox) -> float:
    here = {
        name: asset for name, asset in scene.assets.items()
        if name in variables and not is_remote(asset.href) and Path(asset.href).exists()
    }  # fmt: skip
    return sum(stored_bytes(place_of(asset), read_how(scene, name)[1].grid, geobox) for name, asset in here.items())


_: type[Source] = StacSource
