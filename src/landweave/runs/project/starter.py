"""The two files that ``landweave init`` writes."""

from pathlib import Path

from landweave.errors import InputError
from landweave.patch.store import write_text

PROJECT = """\
# A landweave project. Every key that is left out has a sensible default; see docs/project-file.md.
name = "my-map"
output = "out/my-map"                # relative to this file

[area]
# aoi = "aoi.geojson"                # any vector file; left out: the extent of the imagery
# buffer = 500                       # metres around it
patch_size = 500                     # pixels; smaller patches need less memory and give more units to test on
# subset = { center = [14.5, 46.2], size = "3x3" }   # try a block of patches first

[period]                             # left out: first to last date of the imagery
start = 2017-01-01
end = 2017-12-31

[source]
type = "rasters"
# Either a table with a row a file or band: date, variable, path[, band, scale, offset, nodata] ...
table = "images.csv"
# ... or a pattern of names:
# pattern = "images/S2_{date:%Y-%m-%d}_{variable}.tif"
# scale = 1e-4                       # reflectance = number * scale + offset
# nodata = 0
# clouds = "scl"                     # scl | s2cloudless (L1C) | mask | none
#                                    # "mask" needs mask = the variable that is not 0 where not valid
# mask = "CLM"
# dilation = 60                      # metres around clouds

[features]
bands = ["B02", "B03", "B04", "B08", "B11", "B12"]
indices = ["ndvi", "ndwi", "norm"]
step_days = 16
# static = ["dem.tif"]
# custom.evi = "2.5*(B08-B04)/(B08+6*B04-7.5*B02+1)"

[reference]
path = "register.gpkg"               # polygons, points or a raster
column = "CODE"
legend = "legend.toml"
erosion = 1                          # pixels off each class's edge, for training only

[sampling]
per_class = 20000
seed = 42

[model]
type = "lightgbm"                    # lightgbm | random_forest | any scikit-learn class, such as "sklearn.svm.SVC"
test_fraction = 0.2                  # of patches, never of pixels

# [map]
# crs = "EPSG:3794"

# [estimate]
# sample = "sample.gpkg"             # drawn by `landweave estimate draw`, and labelled

# [[places]]
# name = "Levec"
# lon = 15.22
# lat = 46.24
"""

LEGEND = """\
# Class values are 1 to 255; 0 is reserved for "none". Codes are the register's, numbers or text.
ignore = []                          # codes that mean no data

[[class]]
value = 1
name = "cultivated land"
color = "#e8c547"
codes = [1100]

[[class]]
value = 2
name = "forest"
color = "#2c7a3f"
codes = [2000]

[[class]]
value = 3
name = "grassland"
color = "#a8d08d"
codes = [1300]
"""


def write_templates(folder: Path) -> list[Path]:
    """Write ``landweave.toml`` and ``legend.toml`` into a folder.

    Raises
    ------
    InputError
        When one of them exists: nothing is overwritten.
    """
    files = {folder / "landweave.toml": PROJECT, folder / "legend.toml": LEGEND}
    for path in files:
        if path.exists():
            raise InputError(f"{path} exists already; move it away or choose another folder.")
    for path, text in files.items():
        write_text(path, text)
    return list(files)
