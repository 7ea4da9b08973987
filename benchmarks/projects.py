"""Projects for `landweave run` to be measured on.

    python benchmarks/projects.py FOLDER PATCH MODEL [--across N] [--cut N] [--outputs NAME ...]

They lie beside the images in FOLDER.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np


def raster_projects(
    folder: Path, patch: Path, model: Path, *, across: int = 1, cut: int = 1, outputs: Sequence[str] = ("out",)
) -> list[Path]:
    """A generated patch as a GeoTIFF a date, and projects that store it and map it with a given model.

    Parameters
    ----------
    folder
        For the images and the project files.
    patch, model
        From ``patch.py``, and from ``landweave_chain.py train``.
    across
        The patch is laid side by side and below itself so many times.
    cut
        Patches of the project along each side of one such copy.
    outputs
        Output folders, one project each.
    """
    import rasterio
    from affine import Affine

    folder.mkdir(parents=True, exist_ok=True)
    meta = json.loads((patch / "meta.json").read_text(encoding="utf-8"))
    bands, valid = (np.load(patch / f"{name}.npy", mmap_mode="r") for name in ("bands", "valid"))
    dates, side, _, count = bands.shape
    west, _, _, north = meta["bbox"]
    profile = {
        "driver": "GTiff", "count": count + 1, "height": side * across, "width": side * across, "dtype": "uint16",
        "crs": f"EPSG:{meta['epsg']}", "transform": Affine(10, 0, west, 0, -10, north), "compress": "zstd",
        "zstd_level": 1, "interleave": "band", "tiled": True, "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["date", "variable", "path", "band", "scale"])
        for t in range(dates):
            name, day = f"d{t:03d}.tif", meta["timestamps"][t][:10]
            with rasterio.open(folder / name, "w", **profile) as image:
                layers = np.concatenate([np.moveaxis(bands[t], -1, 0), 1 - valid[t][None]])
                image.write(np.tile(layers, (1, across, across)))
            for number, band in enumerate([*meta["bands"], "CLM"], start=1):
                rows.writerow([day, band, name, number, "" if band == "CLM" else 1e-4])
    projects = []
    for output in outputs:
        projects.append(folder / f"{output}.toml")
        projects[-1].write_text(
            f"""
name = "bench"
output = "{output}"
[area]
patch_size = {side // cut}
[period]
start = 2019-01-01
end = 2019-12-31
[source]
type = "rasters"
table = "images.csv"
clouds = "mask"
mask = "CLM"
store = true
[features]
bands = {json.dumps(meta["bands"])}
indices = ["ndvi", "ndwi", "ndbi"]
step_days = 15
min_valid_fraction = 0.8
[model]
path = "{model}"
""",
            encoding="utf-8",
        )
    return projects


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=raster_projects.__doc__.split("\n", maxsplit=1)[0])
    for name in ("folder", "patch", "model"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--across", type=int, default=1)
    parser.add_argument("--cut", type=int, default=1)
    parser.add_argument("--outputs", nargs="+", default=["out"])
    raster_projects(**vars(parser.parse_args()))
