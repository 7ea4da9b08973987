"""Patches' GeoTIFFs become one cloud-optimised map with colours, overviews and class names."""

import math
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo.geobox import GeoBox
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioIOError
from rasterio.warp import calculate_default_transform, transform_bounds
from rasterio.windows import Window

from landweave.errors import InputError
from landweave.legend import NONE, Legend
from landweave.patch.align import nearest_pixels
from landweave.patch.store import write_bytes, write_whole

BLOCK = 512
"""Side of a tile of the map, pixels."""

CACHE_MB = 64
"""GDAL's block cache while a map is written."""

CHUNK = 2_000_000
"""Pixels of which overviews are made at a time; GDAL takes five times as many, and as much memory."""

# A part lies on the grid of another when its corner is this near to a pixel's corner, in pixels.
_ALIGNED = 1e-3


def mosaic(
    parts: Mapping[str, Path],
    output: Path,
    *,
    band: int | Sequence[int],
    names: Sequence[str] = (),
    crs: str | None = None,
    resolution: float | None = None,
    legend: Legend | None = None,
    nodata: int = NONE,
    overviews: str = "mode",
    threads: int = 1,
) -> None:
    """Merge one band of many GeoTIFFs, or several, into one cloud-optimised GeoTIFF.

    Parts on one grid are copied pixel by pixel. Where the parts' grids differ (several UTM zones), or another
    CRS is asked for, those that differ are resampled, nearest neighbour, to the map's grid: whole multiples of the
    resolution in its CRS. Where parts overlap, the first by name that has data wins. The result has the same bytes
    for any order of ``parts``, and memory does not grow with the map.

    Parameters
    ----------
    parts
        Patch name to its GeoTIFF; the band is uint8.
    output
        Where the map shall stand. With a legend, ``<output>.aux.xml`` stands beside it.
    band
        Band number in the parts, from 1; it becomes band 1 of the map. Several become its bands in their order.
    names
        A description of each band of the map; with a legend, its single band is called class.
    crs
        CRS of the map, such as ``"EPSG:3794"``; None takes the one that most parts have, the first by name of the
        CRS where several are as common.
    resolution
        Pixel size in the map's CRS; None keeps that of the parts.
    legend
        Classes for the colour table, for the band tags ``class_<value> = name`` and for the category names in the
        ``.aux.xml``; None writes none of them.
    nodata
        Value without data, which any other part may fill.
    overviews
        ``"mode"`` for classes, ``"average"`` for quantities such as a confidence; neither counts ``nodata``.
    threads
        Of the compression; the bytes do not depend on it.

    Raises
    ------
    InputError
        When there is no part, a part is missing or not readable, lacks the band or a CRS, or is not uint8.
    OSError
        When a part's pixels cannot be read, or the map cannot be written; the map of before stands.
    """
    if not parts:
        raise InputError(f"{output}: there are no patches to make a map from.")
    if overviews not in {"mode", "average"}:
        raise InputError(f"overviews is {overviews!r}; choose mode (classes) or average (quantities).")
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "driver": "COG",
        "compress": "DEFLATE",
        "level": 6,
        "predictor": "NO",
        "blocksize": BLOCK,
        "overviews": "IGNORE_EXISTING",
        "overview_resampling": overviews.upper(),
        "bigtiff": "IF_SAFER",
        "num_threads": threads,
    }
    with (
        rasterio.Env(GDAL_CACHEMAX=CACHE_MB, GDAL_OVR_CHUNK_MAX_SIZE=CHUNK, GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
        tempfile.TemporaryDirectory(prefix=f".{output.stem}.part", dir=output.parent) as folder,
    ):
        bands = (band,) if isinstance(band, int) else tuple(band)
        tiles = [_read_header(name, Path(path), bands) for name, path in sorted(parts.items())]
        grid = _choose_grid(tiles, crs=crs, resolution=resolution)
        placed = [
            tile if _offset(tile, grid) else _warp(tile, grid, Path(folder) / f"{i}.tif", nodata)
            for i, tile in enumerate(tiles)
        ]
        vrt = Path(folder) / "map.vrt"
        vrt.write_bytes(_vrt(placed, grid, names=names, legend=legend, nodata=nodata))
        categories = output.with_name(output.name + ".aux.xml")
        if legend is None:
            categories.unlink(missing_ok=True)
        else:
            # The names come first, so that no map ever stands without them.
            write_bytes(categories, _category_names(legend))
        try:
            write_whole(output, lambda path: rasterio.shutil.copy(vrt, path, **options))
        except CPLE_BaseError as error:
            raise OSError(f"{output}: the map could not be written: {error}") from None


@dataclass(frozen=True, kw_only=True)
class _Grid:
    """Pixels of the map."""

    crs: CRS
    transform: Affine
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class _Tile(_Grid):
    """One part: bands of a file, and its pixels."""

    path: Path
    bands: tuple[int, ...]


def _read_header(name: str, path: Path, bands: tuple[int, ...]) -> _Tile:
    try:
        with rasterio.open(path) as source:
            for band in bands:
                if band not in source.indexes:
                    raise InputError(
                        f"{path}: patch {name} has {source.count} bands, no band {band}; predict it again."
                    )
                if source.dtypes[band - 1] != "uint8":
                    raise InputError(f"{path}: band {band} of patch {name} is {source.dtypes[band - 1]}, not uint8.")
            if source.crs is None:
                raise InputError(f"{path}: patch {name} has no CRS; predict it again.")
            return _Tile(
                path=path.resolve(),
                bands=bands,
                crs=source.crs,
                transform=source.transform,
                width=source.width,
                height=source.height,
            )
    except RasterioIOError as error:
        raise InputError(f"{path}: patch {name} is not readable as a raster: {error}") from None


def _choose_grid(tiles: Sequence[_Tile], *, crs: str | None, resolution: float | None) -> _Grid:
    target = _commonest_crs(tiles) if crs is None else _read_crs(crs)
    at_home = [tile for tile in tiles if tile.crs == target]
    north_up = [tile for tile in at_home if _is_north_up(tile.transform)]
    first = north_up[0] if north_up else None
    if (
        first is not None
        and len(north_up) == len(at_home)
        and all(_offset(tile, first) for tile in north_up)
        and (resolution is None or (first.transform.a == resolution and first.transform.e == -resolution))
    ):
        # The parts' own grid is kept exactly, whatever its origin and the shape of its pixels.
        across, down, origin = first.transform.a, -first.transform.e, (first.transform.c, first.transform.f)
    else:
        across, down = (resolution, resolution) if resolution else _pixel_size(north_up or tiles, target)
        origin = (0.0, 0.0)
    boxes = [_bounds(tile, target) for tile in tiles]
    # A sliver of a pixel is the rounding of coordinates, not land.
    left = math.floor((min(b[0] for b in boxes) - origin[0]) / across + _ALIGNED)
    right = math.ceil((max(b[2] for b in boxes) - origin[0]) / across - _ALIGNED)
    top = math.floor((origin[1] - max(b[3] for b in boxes)) / down + _ALIGNED)
    bottom = math.ceil((origin[1] - min(b[1] for b in boxes)) / down - _ALIGNED)
    transform = Affine(across, 0.0, origin[0] + left * across, 0.0, -down, origin[1] - top * down)
    return _Grid(crs=target, transform=transform, width=right - left, height=bottom - top)


def _read_crs(text: str) -> CRS:
    try:
        return CRS.from_user_input(text)
    except CRSError:
        raise InputError(f'The map\'s crs is {text!r}, which is unknown; write it as "EPSG:3035".') from None


def _commonest_crs(tiles: Sequence[_Tile]) -> CRS:
    counts = Counter(tile.crs.to_string() for tile in tiles)
    text = min(counts, key=lambda name: (-counts[name], name))
    return next(tile.crs for tile in tiles if tile.crs.to_string() == text)


def _pixel_size(tiles: Sequence[_Tile], target: CRS) -> tuple[float, float]:
    """Commonest pixel size of the tiles, in units of ``target``; the smallest of several as common."""
    sizes: Counter[tuple[float, float]] = Counter()
    for tile in tiles:
        a, _, _, d, e, _ = tile.transform[:6]
        if tile.crs == target or (
            tile.crs.is_projected and target.is_projected and tile.crs.linear_units == target.linear_units
        ):
            sizes[math.hypot(a, d), math.hypot(tile.transform.b, e)] += 1
        else:
            transform, _, _ = calculate_default_transform(tile.crs, target, tile.width, tile.height, *_corners(tile))
            sizes[transform.a, -transform.e] += 1
    return min(sizes, key=lambda size: (-sizes[size], size))


def _is_north_up(transform: Affine) -> bool:
    return bool(transform.b == 0 and transform.d == 0 and transform.a > 0 and transform.e < 0)


def _offset(tile: _Grid, grid: _Grid) -> tuple[int, int] | None:
    """Column and row of the tile's corner in the grid; None where their pixels do not coincide."""
    mine, its = tile.transform, grid.transform
    if tile.crs != grid.crs or not _is_north_up(mine) or not _is_north_up(its):
        return None
    column, row = (mine.c - its.c) / its.a, (mine.f - its.f) / its.e
    # Both corners are compared, so that a slightly other pixel size shows.
    far_column = (mine.c + mine.a * tile.width - its.c) / its.a - tile.width
    far_row = (mine.f + mine.e * tile.height - its.f) / its.e - tile.height
    place = round(column), round(row)
    gaps = (column - place[0], far_column - place[0], row - place[1], far_row - place[1])
    return place if max(map(abs, gaps)) < _ALIGNED else None


def _corners(tile: _Tile) -> tuple[float, float, float, float]:
    """Left, bottom, right, top of the tile in its own CRS, also where it is rotated."""
    a, b, c, d, e, f = tile.transform[:6]
    corners = [(x, y) for x in (0, tile.width) for y in (0, tile.height)]
    xs, ys = [a * x + b * y + c for x, y in corners], [d * x + e * y + f for x, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _bounds(tile: _Tile, target: CRS) -> tuple[float, float, float, float]:
    if tile.crs == target:
        return _corners(tile)
    left, bottom, right, top = transform_bounds(tile.crs, target, *_corners(tile), densify_pts=21)
    return left, bottom, right, top


def _warp(tile: _Tile, grid: _Grid, path: Path, nodata: int) -> _Tile:
    """The tile resampled to the pixels of the grid that it touches, as a temporary file.

    Not by GDAL's warper, whose answer for a pixel depends a little on the tile, so that the size of patches would show.
    """
    left, bottom, right, top = _bounds(tile, grid.crs)
    across, _, x0, _, down, y0 = grid.transform[:6]
    column, row = math.floor((left - x0) / across), math.floor((top - y0) / down)
    width, height = math.ceil((right - x0) / across) - column, math.ceil((bottom - y0) / down) - row
    transform = Affine(across, 0.0, x0 + column * across, 0.0, down, y0 + row * down)
    shape = {"crs": grid.crs, "transform": transform, "width": width, "height": height}
    with (
        rasterio.open(tile.path) as source,
        rasterio.open(
            path, "w", driver="GTiff", count=len(tile.bands), dtype="uint8", compress="LZW", tiled=True,
            blockxsize=BLOCK, blockysize=BLOCK, **shape,
        ) as target,
    ):  # fmt: skip
        own = GeoBox((tile.height, tile.width), tile.transform, tile.crs)
        whole = GeoBox((height, width), transform, grid.crs)
        for y in range(0, height, BLOCK):
            for x in range(0, width, BLOCK):
                window = Window(x, y, min(BLOCK, width - x), min(BLOCK, height - y))
                target.write(_nearest(source, tile.bands, own, whole[window.toslices()], nodata), window=window)
    return _Tile(path=path.resolve(), bands=tuple(range(1, len(tile.bands) + 1)), **shape)


def _nearest(source: Any, bands: tuple[int, ...], own: GeoBox, wanted: GeoBox, nodata: int) -> np.ndarray:
    rows, columns, inside = nearest_pixels(own, wanted)
    values = np.full((len(bands), *wanted.shape), nodata, "uint8")
    if inside.any():
        top, left = int(rows[inside].min()), int(columns[inside].min())
        height, width = int(rows[inside].max()) - top + 1, int(columns[inside].max()) - left + 1
        there = source.read(list(bands), window=Window(left, top, width, height))
        values[:, inside] = there[:, rows[inside] - top, columns[inside] - left]
    return values


def _vrt(tiles: Sequence[_Tile], grid: _Grid, *, names: Sequence[str], legend: Legend | None, nodata: int) -> bytes:
    """GDAL's XML that places every tile in the grid, later ones under earlier ones."""
    root = ET.Element("VRTDataset", rasterXSize=str(grid.width), rasterYSize=str(grid.height))
    ET.SubElement(root, "SRS").text = grid.crs.to_wkt()
    ET.SubElement(root, "GeoTransform").text = ", ".join(repr(float(v)) for v in grid.transform.to_gdal())
    count = len(tiles[0].bands)
    for number in range(count):
        band = ET.SubElement(root, "VRTRasterBand", dataType="Byte", band=str(number + 1))
        ET.SubElement(band, "NoDataValue").text = str(nodata)
        if legend is not None:
            _add_legend(band, legend)
        else:
            if names:
                ET.SubElement(band, "Description").text = names[number]
            # Several bands are no picture.
            ET.SubElement(band, "ColorInterp").text = "Gray" if count == 1 else "Undefined"
        _add_sources(band, tiles, grid, number, nodata)
    return _xml(root)


def _add_legend(band: ET.Element, legend: Legend) -> None:
    ET.SubElement(band, "Description").text = "class"
    metadata = ET.SubElement(band, "Metadata")
    for value, name in legend.names.items():
        ET.SubElement(metadata, "MDI", key=f"class_{value}").text = name
    ET.SubElement(band, "ColorInterp").text = "Palette"
    table = ET.SubElement(band, "ColorTable")
    colors = {c.value: c.rgb for c in legend.classes}
    for value in range(256):
        rgb = zip(("c1", "c2", "c3"), colors.get(value, (0, 0, 0)), strict=True)
        ET.SubElement(table, "Entry", {k: str(v) for k, v in rgb} | {"c4": "255" if value in colors else "0"})


def _add_sources(band: ET.Element, tiles: Sequence[_Tile], grid: _Grid, number: int, nodata: int) -> None:
    # The last source drawn lies on top.
    for tile in reversed(tiles):
        place = _offset(tile, grid)
        assert place is not None
        source = ET.SubElement(band, "ComplexSource")
        ET.SubElement(source, "SourceFilename", relativeToVRT="0").text = str(tile.path)
        ET.SubElement(source, "SourceBand").text = str(tile.bands[number])
        size = {"xSize": str(tile.width), "ySize": str(tile.height)}
        # Given here, GDAL need not open every file to learn it.
        ET.SubElement(
            source, "SourceProperties", RasterXSize=size["xSize"], RasterYSize=size["ySize"], DataType="Byte",
            BlockXSize=str(min(BLOCK, tile.width)), BlockYSize="1",
        )  # fmt: skip
        ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0"} | size)
        ET.SubElement(source, "DstRect", {"xOff": str(place[0]), "yOff": str(place[1])} | size)
        ET.SubElement(source, "NODATA").text = str(nodata)


def _category_names(legend: Legend) -> bytes:
    """GDAL's side file with a name for every value from 0 to the largest; QGIS shows them."""
    names = {NONE: "none"} | legend.names
    root = ET.Element("PAMDataset")
    categories = ET.SubElement(ET.SubElement(root, "PAMRasterBand", band="1"), "CategoryNames")
    for value in range(max(names) + 1):
        ET.SubElement(categories, "Category").text = names.get(value, "")
    return _xml(root)


def _xml(root: ET.Element) -> bytes:
    ET.indent(root)
    content: Any = ET.tostring(root, encoding="utf-8")
    return bytes(content) + b"\n"
