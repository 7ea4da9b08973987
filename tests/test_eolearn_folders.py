"""Saving over a folder takes nothing away that was not meant, and loading gives the dates that were asked for."""

import datetime
import json
import pickle
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from eopatches import BOX, MOMENTS, write_array, write_patch
from hypothesis import given
from hypothesis import strategies as st

from landweave.eolearn import BBox, EOPatch, FeatureType, OverwritePermission, SaveTask
from landweave.errors import InputError
from landweave.patch.eopatch import writing as eopatch_writing
from landweave.patch.eopatch.folder import open_eopatch
from landweave.patch.eopatch.writing import write_eopatch

CUBE = np.arange(3 * 4 * 6 * 2, dtype="float32").reshape(3, 4, 6, 2)
DATA, MASK, META = FeatureType.DATA, FeatureType.MASK, FeatureType.META_INFO
DATES = [datetime.datetime.fromisoformat(text) for text in MOMENTS]
PERMISSIONS = list(OverwritePermission)


def patch_of(moments=MOMENTS, **features):
    return EOPatch(bbox=BBox(BOX, "EPSG:32633"), timestamps=moments, **features)


def contents(folder):
    """Every file below, where links lead, and empty folders."""
    return {
        str(path.relative_to(folder)): path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes()
        for path in folder.rglob("*")
    }


def refused(match, do, *given, **options):
    with pytest.raises(InputError, match=match) as error:
        do(*given, **options)
    assert "\n" not in str(error.value)


# --- what a save leaves alone -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_folder_of_eopatches_is_not_replaced_where_eopatch_folder_was_forgotten(tmp_path, permission):
    eops = tmp_path / "eops"
    for name in ("p0", "p1"):
        write_patch(eops / name, {"data/A": CUBE})
    before = contents(eops)
    save = SaveTask(eops, overwrite_permission=permission)
    refused(r"eops: it contains p0 and is not an EOPatch.*eopatch_folder", save, patch_of(data={"B": CUBE}))
    assert contents(eops) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["eops"]
    save(patch_of(data={"B": CUBE}), eopatch_folder="p2")
    assert {name: content for name, content in contents(eops).items() if not name.startswith("p2")} == before


@pytest.mark.parametrize("name", ["a file", "timestamps.json", "meta_info.pkl", "data/notes.txt", "data"])
def test_what_is_no_eopatch_is_not_written_over(tmp_path, name):
    path = tmp_path / "p" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"[]")
    before = contents(tmp_path)
    refused("p: it contains .* and is not an EOPatch", patch_of(data={"A": CUBE}).save, tmp_path / "p")
    refused("a file with this name exists", patch_of(data={"A": CUBE}).save, path)
    refused("is not an EOPatch", write_eopatch, tmp_path / "p", {}, bbox=BOX, crs="EPSG:32633")
    assert contents(tmp_path) == before


def test_a_folder_that_is_empty_is_written_to(tmp_path):
    (tmp_path / "p" / "data").mkdir(parents=True)
    patch = patch_of(data={"A": CUBE})
    patch.save(tmp_path / "p")
    assert EOPatch.load(tmp_path / "p") == patch


@pytest.mark.parametrize("linked", [True, False])
@pytest.mark.parametrize("permission", PERMISSIONS)
def test_files_that_are_no_part_of_the_patch_stay(tmp_path, permission, linked, monkeypatch):
    folder = write_patch(tmp_path / "p", {"data/A": CUBE, "mask/M": CUBE > 3})
    foreign = {
        "notes.txt",
        ".hidden",
        "visualization/deep/B04.png",
        "data/readme.md",
        "data/sub/X.npy",
        "mask/M.npy.aux.xml",
    }
    for name in foreign:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "nowhere").symlink_to("gone")
    (folder / "void").mkdir()
    before = contents(folder)
    if not linked:

        def unable(*_, **__):
            raise PermissionError(1, "Operation not permitted")

        monkeypatch.setattr(eopatch_writing.os, "link", unable)
    patch_of(data={"B": CUBE}).save(folder, overwrite_permission=permission)
    after = contents(folder)
    assert {name: after[name] for name in foreign} == {name: before[name] for name in foreign}
    assert after["nowhere"] == Path("gone")
    assert "void" in after
    there = {("data", "A"), ("data", "B"), ("mask", "M")}
    assert set(open_eopatch(folder).features) == ({("data", "B")} if permission == "OVERWRITE_PATCH" else there)
    assert [entry.name for entry in tmp_path.iterdir()] == ["p"]
    if permission != "OVERWRITE_PATCH":
        # In their own form, and unread.
        assert after["data/A.npy"] == before["data/A.npy"]


def test_features_that_cannot_be_read_are_no_hindrance_and_stay(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/A": CUBE})
    (folder / "data" / "BROKEN.npy.gz").write_bytes(b"broken")
    (folder / "vector_timeless").mkdir()
    (folder / "vector_timeless" / "OLD.pkl").write_bytes(b"old")
    patch_of(data={"B": CUBE}).save(folder)
    assert contents(folder)["data/BROKEN.npy.gz"] == b"broken"
    assert contents(folder)["vector_timeless/OLD.pkl"] == b"old"


def test_vectors_without_a_box_are_an_eopatch_that_is_added_to(tmp_path):
    folder = tmp_path / "p"
    (folder / "vector_timeless").mkdir(parents=True)
    table = gpd.GeoDataFrame({"k": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=32633)
    table.to_file(folder / "vector_timeless" / "LULC.gpkg")
    patch_of(data={"A": CUBE}).save(folder)
    assert EOPatch.load(folder).get_features() == [(DATA, "A"), (FeatureType.VECTOR_TIMELESS, "LULC")]
    assert EOPatch.load(folder).bbox == BBox(BOX, "EPSG:32633")


@pytest.mark.parametrize("permission", PERMISSIONS)
def test_a_save_that_breaks_off_leaves_the_folder_as_it_was_and_nothing_half_written_is_seen(tmp_path, permission, monkeypatch):  # fmt: skip
    folder = write_patch(tmp_path / "p", {"data/A": CUBE})
    (folder / "notes.txt").write_text("mine")
    before = contents(folder)

    def full(*_):
        assert contents(folder) == before
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(eopatch_writing, "_write", full)
    with pytest.raises(OSError, match="No space"):
        patch_of(data={"B": CUBE}).save(folder, overwrite_permission=permission)
    assert contents(folder) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["p"]


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    write_patch(tmp_path / "disk" / "p", {"data/A": CUBE})
    (tmp_path / "p").symlink_to("disk/p")
    patch_of(data={"B": CUBE}).save(tmp_path / "p")
    assert (tmp_path / "p").is_symlink()
    assert EOPatch.load(tmp_path / "disk" / "p").get_features() == [(DATA, "A"), (DATA, "B")]
    assert sorted(entry.name for entry in tmp_path.rglob("*p*") if entry.is_dir()) == ["p", "p"]


def test_names_that_differ_in_case_only_are_refused_beside_what_is_there(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/A": CUBE})
    for permission in ("ADD_ONLY", "OVERWRITE_FEATURES"):
        refused("data/A exists and differs from a only in upper", patch_of(data={"a": CUBE}).save, folder, overwrite_permission=permission)  # fmt: skip


def test_a_file_where_a_folder_of_features_must_be_is_refused(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/A": CUBE})
    for name, patch in (("mask", patch_of(mask={"M": CUBE > 3})), ("meta_info", patch_of(meta_info={"x": 1}))):
        (folder / name).write_bytes(b"mine")
        refused(f"{name}: features of {name} need a folder", patch.save, folder)
        assert (folder / name).read_bytes() == b"mine"


def test_a_feature_in_another_form_is_replaced(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/A": CUBE, "data/B": CUBE}, form=".zarr2")
    patch_of(data={"A": CUBE + 1}).save(folder, overwrite_permission="OVERWRITE_FEATURES")
    assert [feature.path.name for feature in open_eopatch(folder).features.values()] == ["A.npy.gz", "B.zarr"]
    loaded = EOPatch.load(folder)
    np.testing.assert_array_equal(loaded.data["A"], CUBE + 1)
    np.testing.assert_array_equal(loaded.data["B"], CUBE)


def test_a_patch_is_saved_over_the_folder_that_it_is_still_read_from(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/A": CUBE, "data/B": CUBE + 1})
    patch = EOPatch.load(folder, lazy_loading=True)
    patch.save(folder, overwrite_permission="OVERWRITE_PATCH")
    assert EOPatch.load(folder) == patch_of(data={"A": CUBE, "B": CUBE + 1})


# --- meta information -------------------------------------------------------------------------------------------------


def test_meta_information_with_dates_and_numbers_of_numpy_is_saved_as_json(tmp_path):
    info = {
        "interval": (DATES[0], datetime.date(2017, 5, 1)), "step": datetime.timedelta(days=1, seconds=0.5),
        "n": np.int16(7), "x": np.float32(0.5), "ok": np.bool_(True), "in": {"d": [DATES[1]]},
    }  # fmt: skip
    patch_of(meta_info={"info": info, "day": DATES[0]}).save(tmp_path / "p")
    loaded = EOPatch.load(tmp_path / "p").meta_info
    assert loaded["day"] == "2017-01-02T10:05:00"
    assert loaded["info"] == {
        "interval": ["2017-01-02T10:05:00", "2017-05-01"], "step": 86400.5, "n": 7, "x": 0.5, "ok": True,
        "in": {"d": ["2017-02-03T10:05:07"]},
    }  # fmt: skip
    deep = []
    for _ in range(5000):
        deep = [deep]
    for wrong in (b"bytes", {1, 2}, np.ones(3), deep, np.longdouble(1) * 1j):
        refused("meta_info/x: meta information must be valid in JSON", patch_of(meta_info={"x": wrong}).save, tmp_path / "q")  # fmt: skip


def old_patch(folder, meta):
    write_patch(folder, {"data/A": CUBE})
    (folder / "meta_info.pkl").write_bytes(meta if isinstance(meta, bytes) else pickle.dumps(meta))
    return folder


def test_old_meta_information_is_written_as_eolearn_has_it_now(tmp_path):
    folder = old_patch(tmp_path / "p", {"maxcc": 0.8, "time_interval": DATES[:2]})
    loaded = EOPatch.load(folder)
    assert loaded.meta_info["time_interval"] == DATES[:2]
    loaded.save(tmp_path / "q")
    patch_of(data={"B": CUBE}, meta_info={"maxcc": 0.5}).save(folder, overwrite_permission="OVERWRITE_FEATURES")
    for path, maxcc in ((folder, 0.5), (tmp_path / "q", 0.8)):
        assert not (path / "meta_info.pkl").exists()
        assert dict(EOPatch.load(path).meta_info) == {"maxcc": maxcc, "time_interval": list(MOMENTS[:2])}
    refused("meta_info/maxcc exists already", patch_of(meta_info={"maxcc": 1}).save, old_patch(tmp_path / "r", {"maxcc": 0}))  # fmt: skip


@pytest.mark.parametrize(
    "meta", [b"cos\nsystem\n.", pickle.dumps({"raw": b"bytes"}), pickle.dumps({"a.b": 1}), b"junk"]
)
def test_old_meta_information_that_is_no_json_stays_in_its_file(tmp_path, meta):
    folder = old_patch(tmp_path / "p", meta)
    patch_of(data={"B": CUBE}).save(folder)
    assert (folder / "meta_info.pkl").read_bytes() == meta
    assert set(open_eopatch(folder).features) == {("data", "A"), ("data", "B")}


def test_old_meta_information_is_read_only_where_it_is_asked_for(tmp_path):
    folder = old_patch(tmp_path / "p", b"cos\nsystem\n.")
    for features in ((DATA, "A"), [DATA, MASK], {DATA: ["A"]}):
        assert EOPatch.load(folder, features=features).get_features() == [(DATA, "A")]
    for features in (..., META, [(DATA, "A"), (META, ...)]):
        refused(r"meta_info\.pkl: it contains the name", EOPatch.load, folder, features=features)


# --- dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [".npy.gz", ".zarr2"])
@pytest.mark.parametrize("moments", [MOMENTS, None])
@given(chosen=st.lists(st.booleans(), min_size=3, max_size=3) | st.lists(st.integers(-3, 2), max_size=4) | st.slices(3))
def test_any_choice_of_dates_is_what_numpy_would_choose(tmp_path_factory, form, moments, chosen):
    folder = write_patch(tmp_path_factory.mktemp("p"), {"data/A": CUBE}, form=form, moments=moments)
    index = chosen if isinstance(chosen, slice) else np.array(chosen, dtype=None if chosen else int)
    for choice in (chosen, index):
        patch = EOPatch.load(folder, temporal_selection=choice)
        np.testing.assert_array_equal(patch.data["A"], CUBE[index])
        if moments is not None:
            assert patch.timestamps == np.array(DATES)[index].tolist()
    if moments is not None and not isinstance(chosen, slice):
        assert EOPatch.load(folder).temporal_subset(chosen) == EOPatch.load(folder, temporal_selection=chosen)


def test_choices_of_dates_that_are_not_there_are_refused(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/A": CUBE})
    for chosen in ([True, False], [3], [-4], 1, [0.5], "first", lambda moments: [True] * 2):
        refused(str(folder), EOPatch.load, folder, temporal_selection=chosen)
    (folder / "timestamps.json").unlink()
    refused(
        "the patch has no timestamps to select from",
        EOPatch.load,
        folder,
        temporal_selection=lambda moments: [True] * 3,
    )
    refused("index -4 is outside an axis of length 3", EOPatch.load, folder, temporal_selection=[-4])


def test_a_patch_without_timestamps_is_saved(tmp_path):
    patch_of(data={"A": CUBE}).save(tmp_path / "p", save_timestamps=False)
    patch_of(None, data={"A": CUBE}).save(tmp_path / "q")
    for name in "pq":
        assert sorted(entry.name for entry in (tmp_path / name).iterdir()) == ["bbox.geojson", "data"]
        assert EOPatch.load(tmp_path / name) == patch_of(None, data={"A": CUBE})


def test_timestamps_of_a_folder_stay_where_none_are_saved_and_numbers_must_fit(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/A": CUBE})
    patch_of(None, data={"B": CUBE}).save(folder)
    assert json.loads((folder / "timestamps.json").read_text()) == list(MOMENTS)
    refused("2 dates, but 3 timestamps", patch_of(None, data={"C": CUBE[:2]}).save, folder)
    # A folder without: dates may come later, as many as its arrays have.
    bare = write_patch(tmp_path / "q", {"data/A": CUBE}, moments=None)
    refused("data/A in this folder has other dates", patch_of(MOMENTS[:2], data={"C": CUBE[:2]}).save, bare)
    patch_of(data={"C": CUBE}).save(bare)
    assert EOPatch.load(bare) == patch_of(data={"A": CUBE, "C": CUBE})
    write_array(bare / "scalar" / "S", np.ones((3, 1)), ".npy")
    assert EOPatch.load(bare).timestamps == DATES
