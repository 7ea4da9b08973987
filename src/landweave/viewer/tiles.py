"""Map tiles of a run: web Mercator squares of 256 pixels, of the run's own maps and images and of nothing else.

What a browser sends chooses rows of tables that were made before it asked; no name of a file, no address and no size
comes from it.
"""

import datetime
import math
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import shapely
from cachetools import LRUCache
from odc.geo.geobox import GeoBox
from rasterio.errors import NotGeoreferencedWarning
from rasterio.warp import Resampling, reproject
from rio_tiler.errors import EmptyMosaicError, TileOutsideBounds
from rio_tiler.io import Reader
from rio_tiler.mosaic import mosaic_reader
from rio_tiler.utils import render

from landweave.maps.mosaic import CACHE_MB
from landweave.patch.align import outline_bounds
from landweave.patch.grid import Cell
from landweave.patch.model import NODATA
from landweave.patch.store import read_date
from landweave.runs import layout
from landweave.runs.results.run import TRUE_COLOUR, FinishedRun
from landweave.viewer.mercator import SIDE, WEB, WORLD, box_around, degrees_of, is_wide, tile_geobox
from landweave.viewer.overview import overview

DEEPER = 2
"""Zoom levels beyond the one whose pixels are as small as the map's."""

IMAGE_LEVELS = 2
"""Zoom levels, beside the natural one, on which images are read from their files: 1:1 to 1:4."""

COMBINATIONS = {
    "true-colour": ("true colour", TRUE_COLOUR),
    "infrared": ("infrared (B08, B04, B03)", ("B08", "B04", "B03")),
    "short-wave": ("short wave (B11, B08, B04)", ("B11", "B08", "B04")),
}
"""Band combinations that images are shown in: title and bands."""

NDVI = "ndvi"
"""Layer of values: (NDVI + 1) / 2 as 1 to 255."""

_BRIGHTEST = {"B08": 5000, "B8A": 5000, "B11": 4500, "B12": 4000}
"""Reflectance, 1e-4, shown at full brightness; the same on all dates, so that dates can be compared."""
_VISIBLE = 3000
_GAMMA = 1 / 1.6

CACHED_TILES, CACHED_BANDS = 16 << 20, 24 << 20
"""Bytes that are kept, at most: of tiles as they were sent, and of patches' bands."""


@dataclass(frozen=True, kw_only=True)
class MapTile:
    """A tile as it is sent."""

    content: bytes
    media_type: str


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """What a run can be asked for, tile by tile.

    Methods give None where there is nothing to show, and raise KeyError for what does not exist.
    """

    run: FinishedRun
    files: Mapping[str, Path]
    """Maps of values, uint8, by name."""
    pictures: str = "JPEG"
    """How pictures are sent: ``JPEG``, and PNG where some of it is transparent; or ``WEBP``."""
    _cache: dict[Any, Any] = field(default_factory=dict, repr=False)
    _made: Any = field(default_factory=lambda: LRUCache(CACHED_TILES, getsizeof=_bytes), repr=False)
    _bands: Any = field(default_factory=lambda: LRUCache(CACHED_BANDS, getsizeof=_bytes), repr=False)
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    @cached_property
    def area(self) -> tuple[float, float, float, float]:
        """West, south, east, north of what belongs to the area of interest, degrees."""
        boxes = [degrees_of(cell) for cell in self.run.cells if cell.area is None or not cell.area.is_empty]
        return box_around(boxes) if boxes else self.bounds

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of all patches, degrees."""
        boxes = [outline_bounds(cell.geobox, "EPSG:4326") for cell in self.run.cells]
        # A patch that reaches over the antimeridian is as wide as the world: what of it is asked for lies on one side.
        near = [degrees_of(cell) if is_wide(box) else box for cell, box in zip(self.run.cells, boxes, strict=True)]
        west, south, east, north = box_around(near)
        return max(west, -180.0), max(south, -85.0), min(east, 180.0), min(north, 85.0)

    @cached_property
    def natural_zoom(self) -> int:
        """The first zoom on which a tile's pixel is no larger than the map's."""
        _, south, _, north = self.bounds
        metres = self.run.plan.pixel_metres / math.cos(math.radians((south + north) / 2))
        return min(max(math.ceil(math.log2(WORLD / SIDE / metres)), 0), 20)

    @property
    def zooms(self) -> tuple[int, int]:
        """Least and greatest zoom: from the one where all patches fit into about one tile."""
        west, south, east, north = self.bounds
        span = max(east - west, (north - south) / math.cos(math.radians((south + north) / 2)), 1e-6)
        least = math.floor(math.log2(360 / span)) - 1
        return min(max(least, 0), self.natural_zoom), self.natural_zoom + DEEPER

    @cached_property
    def image_zooms(self) -> dict[str, tuple[int, int]]:
        """Dated layer to its least and greatest zoom; those for which there are no bands are left out."""
        source, least = self.run.plan.project.source, max(self.zooms[0], self.natural_zoom - IMAGE_LEVELS)
        there = set(self.bands)
        zooms = {name: (least, self.zooms[1]) for name, (_, bands) in COMBINATIONS.items() if set(bands) <= there}
        if self.has_looks:
            zooms["true-colour"] = self.zooms
        elif "true-colour" not in zooms and self.bands:
            zooms["true-colour"] = (least, self.zooms[1])  # whatever there is, in its place
        if {"B04", "B08"} <= there:
            zooms[NDVI] = (least, self.zooms[1])
        return zooms if source.keep or not source.stores else {"true-colour": self.zooms}

    @cached_property
    def bands(self) -> tuple[str, ...]:
        """Bands that can be shown."""
        plan = self.run.plan
        return plan.recipe.source_bands if plan.project.source.stores else tuple(
            name for name in plan.source.variables if name not in plan.source.categorical
        )  # fmt: skip

    def __post_init__(self) -> None:
        # Pictures have no place on Earth, and rio-tiler's own way to keep that quiet does not hold in threads.
        warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

    def values(self, layer: str, z: int, x: int, y: int) -> MapTile | None:
        """A tile of one of ``files``: PNG in grey, whose values are the map's; 0 nothing."""
        path = self.files[layer]
        self._check(self.zooms, z, x, y)
        key = (path, path.stat().st_mtime_ns, z, x, y)
        found: MapTile | None = self._kept(self._made, key, lambda: _of_file(path, z, x, y))
        return found

    def image(self, layer: str, day: datetime.date, z: int, x: int, y: int) -> MapTile | None:
        """A tile of a dated layer: a picture, or values in grey for ``ndvi``."""
        zooms = self.image_zooms[layer]
        if day not in self._days:
            raise KeyError(day)
        self._check(zooms, z, x, y)
        key = (layer, day, z, x, y)
        found: MapTile | None = self._kept(self._made, key, lambda: self._image(*key))
        return found

    def forget(self) -> None:
        """Keep nothing of what was made so far, since what it was made of has changed."""
        with self._lock:
            for kept in (self._cache, self._made, self._bands):
                kept.clear()

    def _kept(self, cache: Any, key: Any, make: Callable[[], Any]) -> Any:
        """What a cache holds; else what is made, and kept where there is room for it. Two threads may make the same."""
        with self._lock:
            if key in cache:
                return cache[key]
        made = make()
        with self._lock, suppress(ValueError):
            cache[key] = made
        return made

    def _image(self, layer: str, day: datetime.date, z: int, x: int, y: int) -> MapTile | None:
        box = tile_geobox(z, x, y)
        if layer == "true-colour" and self.has_looks and z < self.natural_zoom:
            return self._of_looks(day, z, x, y, box)
        names = ("B04", "B08") if layer == NDVI else self.shown(layer)
        read = self._read(day, names, box)
        if read is None or not (read != NODATA).any():
            return self._of_looks(day, z, x, y, box) if layer == "true-colour" and self.has_looks else None
        return _ndvi_tile(read) if layer == NDVI else self._encoded(*self._stretched(read, names))

    def shown(self, layer: str) -> tuple[str, ...]:
        """The bands that a combination is shown by: its own, else the first three, or the first in grey."""
        wanted = COMBINATIONS[layer][1]
        if set(wanted) <= set(self.bands):
            return wanted
        return self.bands[:3] if len(self.bands) >= 3 else self.bands[:1]

    def _check(self, zooms: tuple[int, int], z: int, x: int, y: int) -> None:
        if not (zooms[0] <= z <= zooms[1] and 0 <= x < 2**z and 0 <= y < 2**z):
            raise KeyError((z, x, y))

    @cached_property
    def _days(self) -> frozenset[datetime.date]:
        return frozenset(self.run.plan.dates)

    @cached_property
    def has_looks(self) -> bool:
        """Whether true colour of the far view comes from pictures at half the resolution."""
        return any((self.run.folder).glob(layout.quicklooks("*")))

    @cached_property
    def _tree(self) -> Any:
        boxes = [shapely.box(*outline_bounds(cell.geobox, WEB)) for cell in self.run.cells]
        return shapely.STRtree(boxes)

    def _cells(self, box: GeoBox) -> list[Cell]:
        bounds = box.boundingbox
        found = self._tree.query(shapely.box(bounds.left, bounds.bottom, bounds.right, bounds.top))
        return [self.run.cells[i] for i in sorted(found.tolist())]

    def _of_looks(self, day: datetime.date, z: int, x: int, y: int, box: GeoBox) -> MapTile | None:
        """True colour of quicklooks, or of the small picture of the whole area where a tile holds many of them."""
        cells = self._cells(box)
        if not cells:
            return None
        small = self._kept(self._cache, ("overview", day), lambda: overview(self.run, day))
        if small is not None and abs(box.resolution.x) * math.cos(math.radians(self.bounds[1])) >= small.metres:
            paths = [small.path]
        else:
            paths = [self.run.folder / layout.quicklook(cell.name, day) for cell in cells]
        there = [str(path) for path in paths if path.exists()]
        if not there:
            return None
        try:
            found, _ = mosaic_reader(there, _read_tile, x, y, z, threads=0)
        except (EmptyMosaicError, TileOutsideBounds):
            return None
        known = ~np.asarray(np.ma.getmaskarray(found.array).all(axis=0))
        return self._encoded(np.asarray(found.array.filled(0), "uint8"), known)

    def _read(self, day: datetime.date, names: Sequence[str], box: GeoBox) -> np.ndarray | None:
        """Bands int16 (b, y, x) on a tile's grid, -32768 missing."""
        plan = self.run.plan
        if not plan.project.source.stores:
            patch = plan.source.load(box, [day], names)
            return np.stack([patch[name].values[0] for name in names])
        number, out = plan.dates.index(day), None
        for cell in self._cells(box):
            path = self.run.folder / layout.stack(cell.name)
            if not path.exists():
                continue
            key = (path, path.stat().st_mtime_ns, tuple(names), number)
            stored = self._kept(self._bands, key, partial(read_date, path, names, number))
            if stored is None:
                continue
            part = np.full((len(names), SIDE, SIDE), NODATA, "int16")
            reproject(
                stored, part, src_transform=cell.geobox.transform, src_crs=str(cell.geobox.crs), src_nodata=NODATA,
                dst_transform=box.transform, dst_crs=WEB, dst_nodata=NODATA, resampling=Resampling.nearest,
            )  # fmt: skip
            out = part if out is None else np.where(out == NODATA, part, out)
        return out

    def _encoded(self, picture: np.ndarray, known: np.ndarray) -> MapTile | None:
        """A picture uint8 (3, y, x), transparent where it is not known; None where it is nowhere."""
        if not known.any():
            return None
        mask = np.where(known, 255, 0).astype("uint8")
        if self.pictures == "WEBP":
            return MapTile(content=render(picture, mask=mask, img_format="WEBP", quality=80), media_type="image/webp")
        if known.all():
            return MapTile(content=render(picture, img_format="JPEG", quality=85), media_type="image/jpeg")
        return MapTile(content=render(picture, mask=mask, img_format="PNG", zlevel=3), media_type="image/png")

    def _stretched(self, bands: np.ndarray, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Picture uint8 (3, y, x) and where it is known, bool (y, x)."""
        known = (bands != NODATA).all(axis=0)
        if set(names) <= {name for _, combination in COMBINATIONS.values() for name in combination}:
            low = np.zeros(len(names), "float32")
            high = np.array([_BRIGHTEST.get(name, _VISIBLE) for name in names], "float32")
        else:
            low, high = self._range(tuple(names))
        share = (bands.astype("float32") - low[:, None, None]) / np.maximum(high - low, 1)[:, None, None]
        picture = np.rint(np.clip(share, 0, 1) ** _GAMMA * 255).astype("uint8")
        return np.broadcast_to(picture, (3, *picture.shape[1:])) if len(picture) == 1 else picture, known

    def _range(self, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        """2-98 % of unfamiliar bands, on the clearest date of the middle patch: one range for all dates."""

        def measured() -> tuple[np.ndarray, ...]:
            cell = self.run.cells[len(self.run.cells) // 2]
            loaded = self.run.plan.source.load(cell.geobox, [self.run.clearest_date(cell.name)], names)
            values = [loaded[name].values for name in names]
            known = [v[v != NODATA] if (v != NODATA).any() else np.array([0, 1]) for v in values]
            return tuple(np.array([np.percentile(v, q) for v in known], "float32") for q in (2, 98))

        found: tuple[np.ndarray, np.ndarray] = self._kept(self._cache, ("range", names), measured)
        return found


def _of_file(path: Path, z: int, x: int, y: int) -> MapTile | None:
    try:
        found = _read_tile(str(path), x, y, z)
    except TileOutsideBounds:
        return None
    values = np.asarray(found.array.filled(0), "uint8")
    return _png(values) if values.any() else None


def _read_tile(path: str, x: int, y: int, z: int) -> Any:
    # GDAL keeps what it has read beside what is kept here.
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), Reader(path) as reader:
        return reader.tile(x, y, z, tilesize=SIDE)


def _bytes(kept: Any) -> int:
    """About how much memory a tile or a patch's bands take; something, also where it is nothing that is kept."""
    return 500 + (len(kept.content) if isinstance(kept, MapTile) else getattr(kept, "nbytes", 0))


def _ndvi_tile(bands: np.ndarray) -> MapTile | None:
    red, near = bands.astype("int32")
    known = (bands != NODATA).all(axis=0) & (red + near > 0)
    ratio = (near - red) / np.where(known, red + near, 1)
    values = np.where(known, np.clip(np.rint((ratio + 1) * 127) + 1, 1, 255), 0).astype("uint8")
    return _png(values[None]) if known.any() else None


def _png(values: np.ndarray) -> MapTile:
    return MapTile(content=render(values, img_format="PNG", zlevel=3), media_type="image/png")


def parse_day(text: str) -> datetime.date:
    """A date as the page writes it; KeyError for anything else.

    >>> parse_day("2017-06-01")
    datetime.date(2017, 6, 1)
    """
    try:
        # A second pass of a day is known by its time.
        return datetime.datetime.fromisoformat(text) if "T" in text else datetime.date.fromisoformat(text)
    except ValueError:
        raise KeyError(text) from None
