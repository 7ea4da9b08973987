"""The simulated country on disk, as an archive, a register and a project that a stranger could have been given."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.warp

from landweave.errors import InputError
from landweave.patch.store import write_whole
from landweave.sources.simulated.country import Country, make_country
from landweave.sources.simulated.cover import BANDS, LEGEND
from landweave.sources.simulated.register import CODE_COLUMN, error_frame, make_register, register_frame
from landweave.sources.simulated.scenes import SCL, YEAR, scene
from landweave.sources.simulated.source import SimulatedSource

NEW_OFFSET_MONTH = 7
"""From this month's first day on, 1000 is added to the digital numbers, as from processing baseline 04.00 on."""

_MARK = "A simulated country, written by landweave."
_NAMES = (
    "archive", "register.gpkg", "register_errors.gpkg", "truth.tif", "legend.toml", "aoi.geojson", "landweave.toml",
)  # fmt: skip


def write_archive(
    folder: str | Path,
    *,
    size_km: float = 8.0,
    dates: int = 24,
    seed: int = 42,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the country: scenes, register, truth, legend, outline and project file.

    Parameters
    ----------
    folder
        Made where it is missing. Each item in it appears whole, ``landweave.toml`` last.
    size_km, dates, seed
        Length of a side in kilometres, acquisitions in the year, and what decides everything: the same three give
        the same bytes.
    progress
        Called with the number of steps done and the number of all steps.

    Raises
    ------
    InputError
        When the folder already holds one of these names and no simulation wrote it, or a number is out of range.
    """
    folder = Path(folder)
    days = SimulatedSource(size_km=size_km, n_dates=dates, seed=seed).dates(None, None)
    country = make_country(size_km=size_km, seed=seed)
    _claim(folder, size_km=size_km, dates=dates, seed=seed)
    steps = len(days) + 2
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, steps)

    def write_scenes(archive: Path) -> None:
        archive.mkdir()
        rows = []
        for day in days:
            rows += _write_scene(archive, country, day)
            tell()
        with (archive / "images.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["date", "variable", "path", "scale", "offset", "nodata"])
            writer.writerows(rows)

    if progress is not None:
        progress(0, steps)
    write_whole(folder / "archive", write_scenes)
    register = make_register(country)
    _write_frame(folder / "register.gpkg", register_frame(country, register))
    _write_frame(folder / "register_errors.gpkg", error_frame(country, register))
    tell()
    write_whole(folder / "truth.tif", lambda path: _write_truth(path, country))
    _write_text(folder / "aoi.geojson", _outline(country))
    _write_text(folder / "legend.toml", _legend_text())
    _write_text(folder / "landweave.toml", _project_text(country))
    tell()


def is_archive(folder: str | Path, *, size_km: float, dates: int, seed: int) -> bool:
    """Whether a folder already holds, whole, what :func:`write_archive` would write there."""
    note = Path(folder) / "README.txt"
    whole = (Path(folder) / "landweave.toml").exists()  # written last
    return whole and note.is_file() and _command(size_km, dates, seed) in note.read_text(encoding="utf-8").splitlines()


def _command(size_km: float, dates: int, seed: int) -> str:
    return f"landweave simulate FOLDER --size-km {size_km:g} --dates {dates} --seed {seed}"


def _claim(folder: Path, *, size_km: float, dates: int, seed: int) -> None:
    """Take the folder, or refuse it where somebody else's files would be lost."""
    note = folder / "README.txt"
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; give a folder for the simulated country.")
    ours = note.is_file() and note.read_text(encoding="utf-8", errors="replace").startswith(_MARK)
    if not ours:
        foreign = [name for name in (*_NAMES, note.name) if (folder / name).exists()]
        if foreign:
            raise InputError(f"{folder} already holds {foreign[0]}, which no simulation wrote; give another folder.")
    (folder / "landweave.toml").unlink(missing_ok=True)
    _write_text(
        note,
        f"""{_MARK}

{_command(size_km, dates, seed)}

archive/              scenes like Sentinel-2 L2A, a file per date and band; images.csv lists them
register.gpkg         the official register, wrong in places
register_errors.gpkg  where it is wrong, and why (a real register does not tell)
truth.tif             the true cover (nor does a real country)
legend.toml           classes and register codes
aoi.geojson           outline
landweave.toml        the project: landweave run landweave.toml
""",
    )


def _write_scene(archive: Path, country: Country, day: Any) -> list[list[object]]:
    """Write the files of one date; returns their rows of the table."""
    pixels = scene(country, day)
    shift = 1000 if day.month >= NEW_OFFSET_MONTH else 0
    rows: list[list[object]] = []
    for name in (*BANDS, SCL):
        file = f"S2_{day:%Y-%m-%d}_{name}.tif"
        if name == SCL:
            _write_raster(archive / file, country, pixels[name])
            rows.append([day.isoformat(), name, file, 1, 0, 0])
        else:
            numbers = np.where(pixels[name] > 0, pixels[name] + np.int16(shift), 0).astype("uint16")
            _write_raster(archive / file, country, numbers, predictor=2)
            rows.append([day.isoformat(), name, file, "0.0001", "-0.1" if shift else "0", 0])
    return rows


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
    import pyogrio

    option = "OGR_CURRENT_DATE"
    before = pyogrio.get_gdal_config_option(option)
    pyogrio.set_gdal_config_options({option: f"{YEAR + 1}-01-01T00:00:00.000Z"})
    try:
        write_whole(path, lambda part: frame.to_file(part, driver="GPKG", layer=path.stem, engine="pyogrio"))
    finally:
        pyogrio.set_gdal_config_options({option: before})


def _write_text(path: Path, text: str) -> None:
    def write(part: Path) -> None:
        part.write_text(text, encoding="utf-8")

    write_whole(path, write)


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


def _project_text(country: Country) -> str:
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
patch_size = 100                     # pixels
crs = "native"                       # as the imagery

[period]
start = {YEAR}-01-01
end = {YEAR}-12-31

[source]
type = "rasters"
table = "archive/images.csv"         # a row a file: date, variable, path, scale, offset, nodata
clouds = "scl"                       # mask by scene class
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

[sampling]
per_class = 1000                     # training pixels; few, so that a first run is quick
seed = {country.seed}

[model]
type = "lightgbm"
params = {{ n_estimators = 60 }}       # few trees, so that a first run is quick
test_fraction = 0.2                  # of patches
{places}"""
