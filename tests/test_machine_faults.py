"""What the machine refuses is told as the machine's fault, with the file's name, and costs no sound file."""

import errno
import filecmp
import os
import shutil
import subprocess
import sys

import rasterio
import shims
from rasterio.features import shapes
from shapely.geometry import shape
from worlds import two_class_world


def with_polygons(folder):
    """The world of two classes, its reference a GeoPackage."""
    import geopandas as gpd

    file, _ = two_class_world(folder, size=40)
    with rasterio.open(folder / "reference.tif") as raster:
        found = [(shape(outline), int(value)) for outline, value in shapes(raster.read(1), transform=raster.transform)]
    frame = gpd.GeoDataFrame({"c": [value for _, value in found]}, geometry=[one for one, _ in found], crs=32633)
    frame.to_file(folder / "reference.gpkg", driver="GPKG")
    text = file.read_text().replace('"reference.tif"', '"reference.gpkg"\ncolumn = "c"')
    file.write_text(text)
    return file


def landweave(*arguments, **environment):
    command = [sys.executable, "-c", "from landweave.cli.app import main; main()", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


def test_where_files_cannot_be_locked_a_run_gives_the_same_bytes(tmp_path):
    library = shims.built(shims.NO_LOCKS, tmp_path)
    file = with_polygons(tmp_path / "world")
    out = file.parent / "out"
    assert landweave("run", file, "--workers", 1).returncode == 0
    assert landweave("compare", file).returncode == 0
    shutil.move(out, tmp_path / "before")
    environment = {"LD_PRELOAD": str(library), "NOLOCK": str(errno.ENOSYS)}
    for command in (["run", file, "--workers", 1], ["compare", file], ["status", file]):
        done = landweave(*command, **environment)
        assert done.returncode == 0, done.stderr
    names = ["map.tif", "accuracy.json", "grid.gpkg", "label_errors.gpkg", "compare.gpkg", "compare.json"]
    assert filecmp.cmpfiles(out, tmp_path / "before", names, shallow=False)[0] == names
