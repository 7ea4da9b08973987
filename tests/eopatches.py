"""EOPatch folders for tests, written file by file and never with eo-learn or our own writer."""

import gzip
import json
from pathlib import Path

import numpy as np

BOX = (500_000.0, 5_000_000.0, 500_060.0, 5_000_040.0)
MOMENTS = ("2017-01-02T10:05:00", "2017-02-03T10:05:07", "2017-03-04T10:15:00")


def geojson(box=BOX, epsg=32633):
    left, bottom, right, top = box
    ring = [[left, bottom], [left, top], [right, top], [right, bottom], [left, bottom]]
    name = f"urn:ogc:def:crs:EPSG::{epsg}"
    return {"crs": {"type": "name", "properties": {"name": name}}, "type": "Polygon", "coordinates": [ring]}


def write_patch(folder: Path, arrays, *, box=BOX, epsg=32633, moments=MOMENTS, form=".npy"):
    """A folder of ``{"data/BANDS": array}``; box and moments may be None."""
    folder.mkdir(parents=True, exist_ok=True)
    if box is not None:
        (folder / "bbox.geojson").write_text(json.dumps(geojson(box, epsg)))
    if moments is not None:
        (folder / "timestamps.json").write_text(json.dumps(list(moments)))
    for key, values in arrays.items():
        write_array(folder / key, np.asarray(values), form)
    return folder


def write_array(stem: Path, values, form):
    stem.parent.mkdir(parents=True, exist_ok=True)
    path = stem.with_name(stem.name + form)
    if form == ".npy":
        np.save(path, values)
    elif form == ".npy.gz":
        with gzip.open(path, "wb", compresslevel=1) as file:
            np.save(file, values)
    else:
        import zarr

        chunks = (1, *values.shape[1:])
        version = 3 if form == ".zarr3" else 2
        stored = zarr.create_array(
            stem.with_name(f"{stem.name}.zarr"), shape=values.shape, dtype=values.dtype, chunks=chunks,
            zarr_format=version,
        )  # fmt: skip
        stored[...] = values
    return path
