"""Run by eo-learn's own interpreter, in its own environment: writes and reads EOPatch folders with eo-learn 1.5."""

import datetime
import json
import sys
import warnings
from pathlib import Path

import numpy as np


def described(patch):
    """Box, dates and shapes of a patch, as JSON; arrays go beside it."""
    from eolearn.core import FeatureType

    found = {"bbox": list(patch.bbox), "crs": patch.bbox.crs.epsg, "features": {}, "vectors": {}, "meta": {}}
    found["timestamps"] = [moment.isoformat() for moment in patch.timestamps or []]
    arrays = {}
    for kind, name in patch.get_features():
        value = patch[kind, name]
        key = f"{kind.value}/{name}"
        if kind.is_vector():
            found["vectors"][key] = {
                "wkt": value.geometry.to_wkt().tolist(), "crs": value.crs.to_epsg(),
                "columns": {c: [str(v) for v in value[c]] for c in value.columns if c != value.geometry.name},
            }  # fmt: skip
        elif kind is FeatureType.META_INFO:
            found["meta"][name] = value
        else:
            arrays[key.replace("/", "-")] = value
            found["features"][key] = str(value.dtype)
    return found, arrays


def read(folder, out):
    from eolearn.core import EOPatch

    found, arrays = described(EOPatch.load(folder))
    Path(out, "patch.json").write_text(json.dumps(found))
    np.savez(Path(out, "arrays.npz"), **arrays)


def write(folder, out):
    import geopandas as gpd
    import pandas as pd
    import shapely
    from eolearn.core import EOPatch, OverwritePermission
    from sentinelhub import CRS, BBox

    rng = np.random.default_rng(7)
    box = BBox((465181.0522318204, 5079244.8912012065, 466180.53145382757, 5080254.63349641), CRS.UTM_33N)
    moments = [datetime.datetime.fromisoformat(text) for text in ("2017-01-02T10:05:07", "2017-02-03T10:05:00.250")]
    patch = EOPatch(bbox=box, timestamps=moments)
    patch.data["BANDS"] = rng.random((2, 101, 100, 6), "float32")
    patch.mask["CLM"] = rng.integers(0, 2, (2, 101, 100, 1)).astype(bool)
    patch.scalar["s"], patch.label["l"] = rng.random((2, 3)), rng.integers(0, 9, (2, 1))
    patch.data_timeless["DEM"], patch.mask_timeless["LULC"] = (
        rng.random((101, 100, 1)),
        rng.integers(0, 9, (101, 100, 1), "uint8"),
    )
    patch.scalar_timeless["st"], patch.label_timeless["lt"] = rng.random(4), np.arange(3)
    shapes = [shapely.box(465200, 5079300, 465300, 5079400), shapely.Point(465500, 5079500).buffer(50)]
    # Its geopandas does not know the text columns of newer pandas.
    texts = pd.Series(["a", "b"], dtype=object)
    patch.vector["v"] = gpd.GeoDataFrame(
        {"TIMESTAMP": [moments[0], moments[0]], "k": [1, 2]}, geometry=shapes, crs=32633
    )
    patch.vector_timeless["vt"] = gpd.GeoDataFrame({"RABA": texts}, geometry=shapes, crs=32633)
    patch.meta_info["maxcc"] = {"value": 0.8}
    patch.save(folder, overwrite_permission=OverwritePermission.OVERWRITE_PATCH)
    read(folder, out)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    {"read": read, "write": write}[sys.argv[1]](*sys.argv[2:])
