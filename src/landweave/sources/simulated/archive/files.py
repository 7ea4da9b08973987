"""One tile of one product as files: a cloud-optimised GeoTIFF a band, and the item beside them."""

import datetime
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile

from landweave.patch.model import NODATA
from landweave.patch.store import write_whole
from landweave.sources.simulated.archive.items import item
from landweave.sources.simulated.archive.products import CLOUD, L2A, Level, Product, at_level, file_name, product_name
from landweave.sources.simulated.archive.tiles import Tile
from landweave.sources.simulated.country import Country
from landweave.sources.simulated.noise import smooth
from landweave.sources.simulated.scenes import SCL, scene
from landweave.sources.simulated.source import Lookup
from landweave.sources.simulated.toa import top_of_atmosphere
from landweave.sources.stac.catalogues import CLASSES

# Cloud probability in per cent that goes with a scene class, before it is blurred.
_PROBABILITY = {3: 5, 7: 25, 8: 70, 9: 95, 10: 40, 11: 8}


def write_tile(
    archive: Path, country: Country, product: Product, tile: Tile, there: Lookup, *, levels: Sequence[Level]
) -> dict[Level, str]:
    """Write one tile of one product; nothing where the swath leaves the tile out.

    Parameters
    ----------
    archive
        Folder of the archive.
    country, product, tile
        What is written.
    there
        Where the country lies on the tile's 10 m grid.
    levels
        Levels of processing.

    Returns
    -------
    dict
        Level to the item's id, the name of its folder.
    """
    if not there.meets:
        return {}
    seen = scene(country, product.day, rows=there.rows, cols=there.cols)
    classes = there.spread(seen[SCL], 0)[::2, ::2]
    if not classes.any():
        return {}
    written = {}
    for level in levels:
        bands = seen if level is L2A else top_of_atmosphere(country, product.day, rows=there.rows, cols=there.cols)
        here = at_level(product, level)
        pixels = {
            band: _numbers(there.spread(bands[band], NODATA), here, level.sizes[band] // 10)
            for band in level.sizes
            if band not in CLASSES
        }
        if level is L2A:
            pixels[SCL] = classes
            pixels[CLOUD] = _probability(classes, tile.geobox, product.day, country.seed)
        written[level] = _write(archive, here, tile, level, pixels, classes)
    return written


def _write(
    archive: Path, product: Product, tile: Tile, level: Level, pixels: Mapping[str, np.ndarray], classes: np.ndarray
) -> str:
    name = product_name(product, tile.name, level)

    def write(part: Path) -> None:
        part.mkdir()
        # GDAL packs what it keeps of overviews on the way; without that it takes two thirds of the time.
        with rasterio.Env(COG_TMP_COMPRESSION="NONE"):
            for variable, values in pixels.items():
                _write_cog(part / file_name(variable), values, tile.grid(level.sizes[variable]))
        content = item(product, tile, level, classes)
        (part / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    write_whole(archive / level.collection / name, write)
    return name


def _numbers(values: np.ndarray, product: Product, factor: int) -> np.ndarray:
    """Digital numbers, uint16, of int16 reflectance: means of squares of pixels that are all there; 0 elsewhere."""
    missing = values == NODATA
    if factor > 1:
        shape = values.shape[0] // factor, values.shape[1] // factor
        total, missing_any = np.zeros(shape, "int32"), np.zeros(shape, bool)
        for row in range(factor):
            for column in range(factor):
                total += values[row::factor, column::factor]
                missing_any |= missing[row::factor, column::factor]
        values, missing = np.rint(total / factor**2).astype("int32"), missing_any
    numbers = (values + np.int32(product.shift + product.drift)).astype("uint16")
    numbers[missing] = 0
    return numbers


def _probability(classes: np.ndarray, geobox: GeoBox, day: datetime.date, seed: int) -> np.ndarray:
    """A provider's cloud probability, per cent, uint8: from the scene classes, with smooth errors of its own."""
    table = np.zeros(256)
    for code, share in _PROBABILITY.items():
        table[code] = share
    rows = np.arange(classes.shape[0]) + round(geobox.boundingbox.top / 20)
    columns = np.arange(classes.shape[1]) + round(geobox.boundingbox.left / 20)
    error = 6 * smooth(rows, columns, 30, seed=(seed, 98, day.timetuple().tm_yday))
    wrong = np.clip(np.rint(table[classes] + error), 0, 100)
    return np.asarray(np.where(classes == 0, 0, wrong).astype("uint8"))


def _write_cog(path: Path, values: np.ndarray, geobox: GeoBox) -> None:
    classes = values.dtype == np.uint8
    with MemoryFile() as memory:
        with memory.open(
            driver="COG", height=geobox.shape[0], width=geobox.shape[1], count=1, dtype=values.dtype,
            crs=str(geobox.crs), transform=geobox.transform, nodata=0, compress="zstd", level=1, blocksize=256,
            predictor="NO" if classes else "YES", overview_resampling="nearest" if classes else "average",
            overviews="AUTO",
        ) as file:  # fmt: skip
            file.write(values, 1)
        path.write_bytes(memory.getbuffer())
