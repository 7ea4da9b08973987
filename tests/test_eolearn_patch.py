"""EOPatch: features by kind and name, over arrays, a Dataset or a folder."""

import datetime
import os
import pickle

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from eopatches import BOX, MOMENTS, write_patch
from odc.geo.geobox import GeoBox

from landweave.eolearn import BBox, EOPatch, FeatureType, OverwritePermission
from landweave.eolearn.features import KINDS, renamed_features
from landweave.errors import InputError
from landweave.patch.model import make_patch

RNG = np.random.default_rng(5)
CUBE = RNG.random((3, 4, 6, 2)).astype("float32")
DATA, MASK = FeatureType.DATA, FeatureType.MASK


def whole_patch():
    """One feature of each kind."""
    moments = [datetime.datetime.fromisoformat(text) for text in MOMENTS]
    shapes = [shapely.box(500_000, 5_000_000, 500_020, 5_000_020), shapely.box(500_030, 5_000_000, 500_060, 5_000_030)]
    return EOPatch(
        bbox=BBox(BOX, "EPSG:32633"), timestamps=MOMENTS, data={"BANDS": CUBE}, mask={"CLM": CUBE[..., :1] > 0.5},
        scalar={"S": RNG.random((3, 2))}, label={"L": np.arange(3)[:, None]}, data_timeless={"DEM": CUBE[0]},
        mask_timeless={"LULC": RNG.integers(0, 9, (4, 6, 1))}, scalar_timeless={"ST": np.array([0.5])},
        label_timeless={"LT": np.array([1, 2])}, meta_info={"maxcc": {"value": 0.8}},
        vector={"V": gpd.GeoDataFrame({"TIMESTAMP": pd.to_datetime(moments[:2])}, geometry=shapes, crs=32633)},
        vector_timeless={"VT": gpd.GeoDataFrame({"k": [1, 2]}, geometry=shapes, crs=32633)},
    )  # fmt: skip


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("zarr", [False, True])
def test_every_kind_of_feature_is_saved_and_loaded(tmp_path, lazy, zarr):
    patch = whole_patch()
    assert {kind for kind, _ in patch.get_features()} == set(KINDS)
    patch.save(tmp_path / "p", use_zarr=zarr)
    again = EOPatch.load(tmp_path / "p", lazy_loading=lazy)
    assert ("not read yet: BANDS" in repr(again)) == lazy
    assert again.data["BANDS"].shape == (3, 4, 6, 2)
    assert again == patch
    again.data["BANDS"][0, 0, 0, 0] += 1
    assert again != patch


def test_a_lazy_patch_reads_what_is_touched_and_nothing_else(tmp_path):
    write_patch(tmp_path / "p", {"data/BANDS": CUBE, "data/BROKEN": CUBE})
    (tmp_path / "p" / "data" / "BROKEN.npy").write_bytes(b"no array")
    patch = EOPatch.load(tmp_path / "p", lazy_loading=True)
    np.testing.assert_array_equal(patch.data["BANDS"], CUBE)
    with pytest.raises(InputError, match=r"BROKEN\.npy"):
        _ = patch.data["BROKEN"]
    assert EOPatch.load(tmp_path / "p", features=[(DATA, "BANDS")]).get_features() == [(DATA, "BANDS")]
    with pytest.raises(InputError, match=r"no feature data/NONE; there are data/BANDS, data/BROKEN"):
        EOPatch.load(tmp_path / "p", features=(DATA, "NONE"))


def test_a_folder_with_a_malicious_pickle_is_refused_and_nothing_runs(tmp_path):
    class Runs:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    write_patch(tmp_path / "p", {"data/BANDS": CUBE}, moments=None)
    (tmp_path / "p" / "timestamp.pkl").write_bytes(pickle.dumps(Runs()))
    for lazy in (False, True):
        with pytest.raises(InputError, match=r"timestamp\.pkl"):
            EOPatch.load(tmp_path / "p", lazy_loading=lazy)
    assert not (tmp_path / "ran").exists()


def test_dates_are_chosen_while_loading(tmp_path):
    write_patch(tmp_path / "p", {"data/BANDS": CUBE})
    for chosen in ([2, 0], slice(1, None), lambda moments: [moment.month == 2 for moment in moments]):
        patch = EOPatch.load(tmp_path / "p", temporal_selection=chosen)
        steps = [1] if callable(chosen) else np.arange(3)[chosen].tolist()
        np.testing.assert_array_equal(patch.data["BANDS"], CUBE[steps])
        assert [moment.isoformat() for moment in patch.timestamps] == [MOMENTS[step] for step in steps]


def test_permissions_say_what_a_save_may_replace(tmp_path):
    patch = EOPatch(bbox=BBox(BOX, 32633), timestamps=MOMENTS, data={"A": CUBE, "B": CUBE})
    patch.save(tmp_path / "p", features=(DATA, "A"))
    patch.data["A"] = CUBE + 1
    with pytest.raises(InputError, match="data/A exists already"):
        patch.save(tmp_path / "p")
    patch.save(tmp_path / "p", features=(DATA, "B"))
    np.testing.assert_array_equal(EOPatch.load(tmp_path / "p").data["A"], CUBE)
    patch.save(tmp_path / "p", overwrite_permission=OverwritePermission.OVERWRITE_FEATURES)
    assert EOPatch.load(tmp_path / "p") == patch
    patch.save(tmp_path / "p", features=(DATA, "B"), overwrite_permission="OVERWRITE_PATCH")
    assert EOPatch.load(tmp_path / "p").get_features() == [(DATA, "B")]
    patch.bbox = BBox((0, 0, 1, 1), 32633)
    with pytest.raises(InputError, match="has another bbox"):
        patch.save(tmp_path / "p", overwrite_permission="OVERWRITE_FEATURES")
    with pytest.raises(InputError, match="overwrite_permission 'ALL' is unknown"):
        patch.save(tmp_path / "p", overwrite_permission="ALL")


def test_features_of_other_dates_are_not_mixed(tmp_path):
    patch = EOPatch(bbox=BBox(BOX, 32633), timestamps=MOMENTS, data={"A": CUBE, "B": CUBE})
    patch.save(tmp_path / "p")
    later = patch.temporal_subset([0, 1])
    with pytest.raises(InputError, match="data/B in this folder has other dates"):
        later.save(tmp_path / "p", features=(DATA, "A"), overwrite_permission="OVERWRITE_FEATURES")
    later.save(tmp_path / "p", overwrite_permission="OVERWRITE_FEATURES")
    assert EOPatch.load(tmp_path / "p") == later


def test_a_patch_is_a_view_of_a_dataset_and_back(monkeypatch):
    grid = GeoBox.from_bbox(BOX, "EPSG:32633", resolution=10)
    variables = {
        "B04": CUBE[..., 0],
        "B08": CUBE[..., 1],
        "CLM": CUBE[..., 0] > 0.5,
        "LULC": np.eye(4, 6, dtype="uint8"),
    }
    dataset = make_patch(variables, grid, MOMENTS)
    names = {("data", "BANDS"): ["B04", "B08"]}
    patch = EOPatch.from_dataset(dataset, names)
    assert patch.get_features() == [(DATA, "BANDS"), (MASK, "CLM"), (FeatureType.MASK_TIMELESS, "LULC")]
    assert "BANDS: array(shape=(3, 4, 6, 2), dtype=float32)" in repr(patch)
    np.testing.assert_array_equal(patch.data["BANDS"], CUBE)
    assert list(patch.bbox) == list(BOX)
    assert patch.to_dataset(names=names).equals(dataset)
    # Nothing is stacked that is not touched.
    import landweave.eolearn.patch as module

    monkeypatch.setattr(module.np, "stack", lambda *_, **__: pytest.fail("stacked"))
    untouched = EOPatch.from_dataset(dataset, names)
    assert untouched.copy().bbox == patch.bbox


def test_what_does_not_suit_its_kind_is_refused():
    patch = EOPatch(bbox=BBox(BOX, 32633), timestamps=MOMENTS)

    def refused(match, kind, value, name="X"):
        with pytest.raises(InputError, match=match):
            patch[kind, name] = value

    refused("data/X is an array of 3 axes; it must be an array of 4 axes", "data", CUBE[0])
    refused("data/X has 2 dates, but the patch has 3 timestamps", "data", CUBE[:2])
    refused("mask/X is float32; mask must be whole numbers", "mask", CUBE)
    refused("data/X is list", "data", [1])
    refused("GeoDataFrame", "vector_timeless", CUBE)
    refused("no column TIMESTAMP", "vector", gpd.GeoDataFrame(geometry=[shapely.Point(0, 0)]))
    refused("not a valid feature name", "data", CUBE, name="a.b")
    with pytest.raises(InputError, match="'dates' is not a feature type"):
        EOPatch(dates={})
    with pytest.raises(KeyError, match="no feature data/X; there are none"):
        _ = patch.data["X"]
    patch.data["X"] = CUBE
    with pytest.raises(InputError, match="data/X has 3 dates, but the patch has 1"):
        patch.timestamps = MOMENTS[:1]
    assert len(patch.timestamps) == 3
    with pytest.raises(InputError, match="left, bottom, right, top"):
        BBox((1, 0, 0, 1), 32633)
    with pytest.raises(InputError, match="not a known CRS"):
        BBox(BOX, "Mars")


def test_a_copy_shares_arrays_and_not_features():
    patch = whole_patch()
    other, deep = patch.copy(), patch.copy(deep=True)
    assert other.data["BANDS"] is patch.data["BANDS"]
    assert deep.data["BANDS"] is not patch.data["BANDS"]
    assert other == deep == patch
    del other.data["BANDS"]
    assert (DATA, "BANDS") in patch
    assert patch.copy([FeatureType.META_INFO]).timestamps is None
    assert patch.copy([(MASK, "CLM")]).timestamps == patch.timestamps


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ((DATA, "A"), [("data", "A", "A")]),
        (("data", "A", "B"), [("data", "A", "B")]),
        ([(DATA, "A"), (MASK, "M", "N")], [("data", "A", "A"), ("mask", "M", "N")]),
        ({DATA: ["A", ("A", "C")], MASK: ...}, [("data", "A", "A"), ("data", "A", "C"), ("mask", "M", "M")]),
        (DATA, [("data", "A", "A")]),
        ((DATA, ...), [("data", "A", "A")]),
        ((DATA, MASK), [("data", "A", "A"), ("mask", "M", "M")]),
        (..., [("data", "A", "A"), ("mask", "M", "M")]),
    ],
)
def test_features_are_named_in_every_way_of_eolearn(written, found):
    patch = EOPatch(data={"A": CUBE}, mask={"M": CUBE > 0})
    assert renamed_features(written, patch) == found


def test_names_that_say_nothing_are_refused():
    for written, match in (
        (7, "7 is not a feature"),
        (("bands", "A"), "not a feature type"),
        ({DATA: [7]}, "7 is neither a feature name"),
        ((DATA, ...), "names no features"),
    ):
        with pytest.raises(InputError, match=match):
            renamed_features(written)
    with pytest.raises(InputError, match="Features of type mask are not accepted here; use data"):
        renamed_features((MASK, "M"), kinds=["data"])
