"""The simulated country on disk, as an archive, a register and a project that a stranger could have been given."""

import datetime
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.warp

from landweave.errors import InputError
from landweave.patch.store import write_json, write_text, write_whole
from landweave.patch.vectors.writing import write_layers
from landweave.sources.simulated.archive.files import write_tile
from landweave.sources.simulated.archive.items import collection, root
from landweave.sources.simulated.archive.products import L1C, L2A, Level, products
from landweave.sources.simulated.archive.tiles import degrees, tiles
from landweave.sources.simulated.country import Country, country_geobox, make_country
from landweave.sources.simulated.cover import BANDS, LEGEND
from landweave.sources.simulated.register import (
    CODE_COLUMN,
    district_frame,
    error_frame,
    make_register,
    register_frame,
)
from landweave.sources.simulated.source import SimulatedSource, lookup
from landweave.sources.simulated.weather import YEAR

_MARK = "A simulated country, written by landweave."
_NAMES = (
    "archive", "register.gpkg", "register_errors.gpkg", "districts.gpkg", "truth.tif", "legend.toml", "aoi.geojson",
    "landweave.toml",
)  # fmt: skip

_SMALL_KM = 16.0
_L1C_TEXT = f"""\
# Clouds by the s2cloudless model are looked for in scenes at the top of the atmosphere; then set:
# collection = "{L1C.collection}"
# clouds = "s2cloudless"             # needs landweave[clouds]
"""


def write_archive(
    folder: str | Path,
    *,
    size_km: float = 8.0,
    dates: int = 24,
    seed: int = 42,
    l1c: bool = False,
    snow_texture: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the country: scenes, register, truth, legend, outline and project file.

    Parameters
    ----------
    folder
        Made where it is missing. Each item in it appears whole, ``landweave.toml`` last.
    size_km, dates, seed
        Length of a side in kilometres, acquisitions in the year, and what decides everything: the same arguments
        give the same bytes.
    l1c
        Whether the archive also holds the collection ``sentinel-2-l1c``.
    snow_texture
        Whether grassland and shrubland differ under snow alone; see :func:`.country.make_country`.
    progress
        Called with the number of steps done and the number of all steps.

    Raises
    ------
    InputError
        When the folder already holds one of these names and no simulation wrote it, or a number is out of range.
    """
    folder = Path(folder)
    days = SimulatedSource(size_km=size_km, n_dates=dates, seed=seed).dates(None, None)
    country = make_country(size_km=size_km, seed=seed, snow_texture=snow_texture)
    _claim(folder, command=_command(size_km, dates, seed, l1c=l1c, snow_texture=snow_texture), l1c=l1c)
    levels = (L2A, L1C) if l1c else (L2A,)
    steps = len(days) + 2

    def tell(done: int) -> None:
        if progress is not None:
            progress(done, steps)

    tell(0)
    write_whole(folder / "archive", lambda part: _write_archive(part, country, days, levels, tell))
    register = make_register(country)
    _write_frame(folder / "register.gpkg", register_frame(country, register))
    _write_frame(folder / "register_errors.gpkg", error_frame(country, register))
    _write_frame(folder / "districts.gpkg", district_frame(country))
    tell(steps - 1)
    write_whole(folder / "truth.tif", lambda path: _write_truth(path, country))
    write_text(folder / "aoi.geojson", _outline(country))
    write_text(folder / "legend.toml", _legend_text())
    write_text(folder / "landweave.toml", _project_text(country, l1c=l1c))
    tell(steps)


def is_archive(
    folder: str | Path, *, size_km: float, dates: int, seed: int, l1c: bool = False, snow_texture: bool = False
) -> bool:
    """Whether a folder already holds, whole, what :func:`write_archive` would write there."""
    note = Path(folder) / "README.txt"
    whole = (Path(folder) / "landweave.toml").exists()  # written last
    command = _command(size_km, dates, seed, l1c=l1c, snow_texture=snow_texture)
    return whole and note.is_file() and command in note.read_text(encoding="utf-8").splitlines()


def _command(size_km: float, dates: int, seed: int, *, l1c: bool, snow_texture: bool) -> str:
    flags = " --l1c" * l1c + " --snow-texture" * snow_texture
    return f"landweave simulate FOLDER --size-km {size_km:g} --dates {dates} --seed {seed}{flags}"


def _claim(folder: Path, *, command: str, l1c: bool) -> None:
    """Take the folder, or refuse it where somebody else's files would be lost."""
    note = folder / "README.txt"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for the simulated country.")
    ours = note.is_file() and note.read_text(encoding="utf-8", errors="replace").startswith(_MARK)
    if not ours:
        foreign = [name for name in (*_NAMES, note.name) if (folder / name).exists()]
        if foreign:
            raise InputError(f"{folder} contains {foreign[0]}, which is not from a simulation; give another folder.")
    (folder / "landweave.toml").unlink(missing_ok=True)
    kind = "L2A and L1C" if l1c else "L2A"
    write_text(
        note,
        f"""{_MARK}

{command}

archive/              scenes like Sentinel-2 {kind}, in tiles of two UTM zones; a static STAC catalogue lists them
register.gpkg         the official register, wrong in places
districts.gpkg        districts that share out the country
register_errors.gpkg  where it is wrong, and why (a real register does not tell)
truth.tif             the true cover (nor does a real country)
legend.toml           classes and register codes
aoi.geojson           outline
landweave.toml        the project: landweave run landweave.toml
""",
    )


def _write_archive(
    archive: Path,
    country: Country,
    days: list[datetime.date],
    levels: Sequence[Level],
    advance: Callable[[int], None],
) -> None:
    grid = tiles(country.size_km)
    native = country_geobox(country.size_km)
    found: dict[Level, dict[str, tuple[float, ...]]] = {level: {} for level in levels}
    for level in found:
        (archive / level.collection).mkdir(parents=True)
    # Scenes are made in pieces that neighbouring tiles share, so a small country goes date by date. In a large one the
    # pieces of a date are too many to be kept, and so are the look-ups of all tiles: it goes tile by tile.
    groups = [grid] if country.size_km <= _SMALL_KM else [[tile] for tile in grid]
    every = products(days)
    done = 0
    for group in groups:
        lookups = [lookup(tile.geobox, native) for tile in group]
        for product in every:
            for tile, there in zip(group, lookups, strict=True):
                for level, name in write_tile(archive, country, product, tile, there, levels=levels).items():
                    found[level][name] = degrees(tile.geobox)
                done += 1
            advance(len(days) * done // (len(grid) * len(every)))
    for level, boxes in found.items():
        write_json(archive / level.collection / "collection.json", collection(boxes, level, days), allow_nan=True)
    write_json(archive / "catalog.json", root(list(found)), allow_nan=True)


def _write_raster(path: Path, country: Country, values: np.ndarray, *, predictor: int = 1) -> None:
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1], count=1, dtype=values.dtype,
        crs=str(country.geobox.crs), transform=country.geobox.transform, nodata=0, tiled=True, blockxsize=256,
        blockysize=256, compress="zstd", zstd_level=1, predictor=predictor,
    ) as file:  # fmt: skip
        file.write(values, 1)


def _write_truth(path: Path, country: Country) -> None:
    _write_raster(path, country, country.truth)
    with rasterio.open(path, "r+") as file:
        file.write_colormap(1, {c.value: (*c.rgb, 255) for c in LEGEND.classes})
        file.update_tags(1, **{f"class_{c.value}": c.name for c in LEGEND.classes})


def _write_frame(path: Path, frame: Any) -> None:
    """Write a GeoPackage that holds no wall clock and no temporary name."""
    write_layers(path, [(path.stem, frame)], moment=f"{YEAR + 1}-01-01")


def _degrees(country: Country, rows: list[float], cols: list[float]) -> list[list[float]]:
    """Longitude and latitude of places given in pixels, each [lon, lat], rounded to 1e-7 degrees."""
    east, north = country.geobox.transform * (np.array(cols, "float64"), np.array(rows, "float64"))
    lon, lat = rasterio.warp.transform(str(country.geobox.crs), "EPSG:4326", east, north)
    return [[round(a, 7), round(b, 7)] for a, b in zip(lon, lat, strict=True)]


def _outline(country: Country) -> str:
    # A pixel inside the border, so that rounding adds no empty patch.
    low, high = 1.0, country.kind.shape[0] - 1.0
    ring = _degrees(country, [high, high, low, low, high], [low, high, high, low, low])
    feature = {
        "type": "Feature",
        "properties": {"name": "simulated country"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    return json.dumps({"type": "FeatureCollection", "features": [feature]}, indent=1) + "\n"


def _legend_text() -> str:
    lines = [f"# {_MARK}", f"ignore = [{', '.join(LEGEND.ignore)}]  # register codes that mean no data"]
    for c in LEGEND.classes:
        lines += ["", "[[class]]", f"value = {c.value}", f'name = "{c.name}"', f'color = "{c.color}"']
        lines += [f"codes = [{', '.join(c.codes)}]"]
    return "\n".join(lines) + "\n"


def _project_text(country: Country, *, l1c: bool) -> str:
    places = ""
    for place in country.airfields:
        ((lon, lat),) = _degrees(country, [place.row + 0.5], [place.col + 0.5])
        places += f'\n[[places]]\nname = "{place.name}"\nlon = {lon}\nlat = {lat}\n'
    return f"""# {_MARK}
name = "simulated"
output = "out"                       # relative to this file

[area]
aoi = "aoi.geojson"
resolution = {country.geobox.resolution.x:g}                      # metres
patch_size = 150                     # pixels
buffer = 0                           # metres around it
crs = "utm"                          # two zones meet here; each patch lies in its own

[period]
start = {YEAR}-01-01
end = {YEAR}-12-31

[source]
type = "stac"
url = "archive/catalog.json"         # an API's address, or a static catalogue as here
collection = "{L2A.collection}"
max_cloud_cover = 100                # per cent of a tile
clouds = "scl"                       # mask by scene class
{_L1C_TEXT if l1c else ""}\
snow = "keep"                        # snow is information, not cloud

[features]
bands = [{", ".join(f'"{band}"' for band in BANDS)}]
indices = ["ndvi", "ndwi", "norm"]
step_days = 16

[reference]
path = "register.gpkg"               # polygons, in another CRS than the imagery
column = "{CODE_COLUMN}"
legend = "legend.toml"
erosion = 1                          # pixels, for training only
truth = "truth.tif"                  # the true cover: only a simulated country knows it

[districts]
path = "districts.gpkg"
column = "name"

[sampling]
per_class = 1000                     # training pixels; few, so that a first run is quick
seed = {country.seed}

[model]
type = "lightgbm"
params = {{ n_estimators = 60 }}       # few trees, so that a first run is quick
test_fraction = 0.2                  # of patches
{places}"""
