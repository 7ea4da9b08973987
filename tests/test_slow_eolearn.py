"""Folders go from eo-learn 1.5 to landweave and back; eo-learn runs in an environment of its own."""

import json

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from eolearn_environment import interpreter, run_script

from landweave.patch.eopatch.features import read_feature
from landweave.patch.eopatch.folder import open_eopatch, read_meta_info, to_dataset
from landweave.patch.eopatch.writing import write_eopatch

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def eolearn(tmp_path_factory):
    """Runs ``eolearn_round_trip.py`` with eo-learn, and gives what it saw: description and arrays."""
    python = interpreter(tmp_path_factory)

    def run(verb, folder):
        out = tmp_path_factory.mktemp("eolearn")
        run_script(python, "eolearn_round_trip.py", verb, folder, out)
        with np.load(out / "arrays.npz") as arrays:
            return json.loads((out / "patch.json").read_text()), dict(arrays)

    return run


def same(folder, seen, arrays):
    """That we read of a folder what eo-learn saw of it, and no more and no less."""
    opened = open_eopatch(folder)
    assert list(opened.bbox) == seen["bbox"]
    assert opened.crs == f"EPSG:{seen['crs']}"
    assert [moment.isoformat() for moment in opened.timestamps] == seen["timestamps"]
    assert {f"{kind}/{name}" for kind, name in opened.features} == {
        *seen["features"], *seen["vectors"], *(f"meta_info/{name}" for name in seen["meta"])
    }  # fmt: skip
    assert read_meta_info(opened) == seen["meta"]
    for key, dtype in seen["features"].items():
        kind, name = key.split("/")
        values = read_feature(opened.features[kind, name])
        assert str(values.dtype) == dtype
        np.testing.assert_array_equal(values, arrays[key.replace("/", "-")])
    for key, vectors in seen["vectors"].items():
        kind, name = key.split("/")
        table = read_feature(opened.features[kind, name])
        assert table.geometry.to_wkt().tolist() == vectors["wkt"]
        assert table.crs.to_epsg() == vectors["crs"]
        columns = {c: [str(v) for v in table[c]] for c in table.columns if c != table.geometry.name}
        assert columns == vectors["columns"]
    return opened


def test_what_eolearn_writes_is_read_and_written_again_as_eolearn_has_it(eolearn, tmp_path):
    seen, arrays = eolearn("write", tmp_path / "theirs")
    assert len(arrays) == 8
    assert len(seen["vectors"]) == 2
    opened = same(tmp_path / "theirs", seen, arrays)
    features = {key: read_feature(feature) for key, feature in opened.features.items()}
    for form in (".npy.gz", ".npy"):
        ours = write_eopatch(
            tmp_path / form, features, bbox=opened.bbox, crs=opened.crs, timestamps=opened.timestamps, form=form
        )
        again, others = eolearn("read", ours)
        assert again == seen
        assert arrays.keys() == others.keys()
        for name, values in arrays.items():
            np.testing.assert_array_equal(others[name], values)


def test_the_real_patch_of_slovenia_makes_the_round_trip(eolearn, shared_data, tmp_path):
    source = shared_data / "eolearn_slovenia_patch"
    bands = np.load(source / "bands_l1c_5dates.npz")
    cube = next(bands[name] for name in bands.files if bands[name].ndim == 4)
    with rasterio.open(source / "lulc_reference.tif") as file:
        lulc = file.read(1)[..., None]
    with rasterio.open(source / "cloud_mask_68dates.tif") as file:
        clouds = file.read(range(1, 6)).astype("uint8")[..., None]
    import datetime

    dates = [datetime.datetime.fromisoformat(t) for t in json.loads((source / "timestamps.json").read_text())[:5]]
    box = json.loads((source / "bbox.geojson").read_text())
    corners = np.array(box["coordinates"][0])
    register = gpd.read_file(source / "lulc_reference.gpkg")
    features = {
        ("data", "BANDS"): cube, ("mask", "CLM"): clouds, ("mask_timeless", "LULC"): lulc,
        ("vector_timeless", "LULC"): register,
    }  # fmt: skip
    bbox = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
    folder = write_eopatch(tmp_path / "svn", features, bbox=bbox, crs="EPSG:32633", timestamps=dates)
    seen, arrays = eolearn("read", folder)
    np.testing.assert_array_equal(arrays["data-BANDS"], cube)
    np.testing.assert_array_equal(arrays["mask_timeless-LULC"], lulc)
    assert seen["bbox"] == list(bbox)
    assert seen["timestamps"] == [moment.isoformat() for moment in dates]
    assert len(seen["vectors"]["vector_timeless/LULC"]["wkt"]) == len(register) == 88
    patch = to_dataset(same(folder, seen, arrays))
    with rasterio.open(source / "lulc_reference.tif") as file:
        assert patch.odc.geobox.shape == file.shape
        np.testing.assert_allclose(patch.odc.geobox.affine[:6], file.transform[:6], rtol=1e-9)
