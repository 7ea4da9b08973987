"""Small worlds on disk for tests: rasters, a reference and a project file."""

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

CORNER = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_100_000.0)
LEGEND = """
ignore = [99]
[[class]]
value = 2
name = "meadow"
color = "#7fbf7b"
[[class]]
value = 7
name = "pond"
color = "#2b6cb0"
"""


def write_tif(path, values, *, crs="EPSG:32633", transform=CORNER, nodata=None, descriptions=()):
    values = np.asarray(values)
    values = values[None] if values.ndim == 2 else values
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(values),
        height=values.shape[1],
        width=values.shape[2],
        dtype=values.dtype,
        crs=crs,
        transform=transform,
        nodata=nodata,
    ) as file:
        file.write(values)
        for i, text in enumerate(descriptions, start=1):
            file.set_band_description(i, text)
    return path


def two_class_world(
    folder: Path,
    *,
    size=80,
    patch=20,
    share=0.3,
    dates=("2020-03-01", "2020-06-01", "2020-09-01"),
    overlap=0.5,
    seed=1,
    extra="",
    source="",
    model="n_estimators = 15, min_child_samples = 5",
):
    """Meadow (2) with scattered ponds (7): reflectances of two bands, a reference raster, legend and project.

    ``share`` is the ponds' share of the land, ``overlap`` the noise in units of the distance between the classes.
    """
    rng = np.random.default_rng(seed)
    cover = np.where(rng.random((size, size)) < share, 7, 2).astype("uint8")
    for date in dates:
        for band, (meadow, pond) in {"B04": (600, 1200), "B08": (3000, 1000)}.items():
            clean = np.where(cover == 7, pond, meadow)
            noise = rng.normal(0, overlap * abs(pond - meadow), clean.shape)
            write_tif(folder / f"S2_{date}_{band}.tif", np.clip(clean + noise, 1, 9999).astype("uint16"), nodata=0)
    write_tif(folder / "reference.tif", cover, nodata=0)
    (folder / "legend.toml").write_text(LEGEND)
    (folder / "landweave.toml").write_text(f"""
name = "two-class"
output = "out"
[area]
patch_size = {patch}
[source]
type = "rasters"
pattern = "S2_{{date:%Y-%m-%d}}_{{variable}}.tif"
{source}
[features]
bands = ["B04", "B08"]
indices = ["ndvi"]
step_days = 46
[reference]
path = "reference.tif"
legend = "legend.toml"
erosion = 0
[sampling]
per_class = 400
[model]
params = {{ {model} }}
{extra}
""")
    return folder / "landweave.toml", cover
