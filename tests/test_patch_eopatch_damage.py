"""Folders of EOPatches that are damaged, odd or made to do harm: right values, or one line."""

import gzip
import io
import json
import pickle
import re

import numpy as np
import pytest
from eopatches import BOX, MOMENTS, geojson, write_array, write_patch
from hypothesis import given
from hypothesis import strategies as st

from landweave.errors import InputError
from landweave.patch.eopatch.features import read_feature
from landweave.patch.eopatch.folder import is_eopatch, list_eopatches, open_eopatch, to_dataset
from landweave.patch.eopatch.old_pickles import DEEPEST, read_old_pickle

CUBE = np.arange(3 * 4 * 6 * 2, dtype="float32").reshape(3, 4, 6, 2)


def refused(match, read, *given, **options):
    with pytest.raises(InputError, match=match) as error:
        read(*given, **options)
    assert "\n" not in str(error.value)


def npy(shape="(3, 4, 6, 2)", descr="'<f4'", end=""):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}{end}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + CUBE.tobytes()


def stored(values):
    """Gzip that does not pack, so that a bit of it is a bit of a value."""
    file = io.BytesIO()
    np.save(file, values)
    return bytearray(gzip.compress(file.getvalue(), compresslevel=0))


@pytest.mark.parametrize("window", [{}, {"rows": slice(1, 2)}])
@given(place=st.integers(0, CUBE.nbytes - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_of_a_gzipped_array_is_refused(tmp_path_factory, window, place, bit):
    folder = write_patch(tmp_path_factory.mktemp("p"), {"data/X": CUBE})
    (folder / "data" / "X.npy").unlink()
    content = stored(CUBE)
    content[-8 - 1 - place] ^= 1 << bit
    (folder / "data" / "X.npy.gz").write_bytes(content)
    refused(r"X\.npy\.gz: damaged.*CRC", read_feature, open_eopatch(folder).features["data", "X"], **window)


@pytest.mark.parametrize("window", [{}, {"rows": slice(1, 2)}])
def test_bytes_behind_a_gzipped_array_are_refused(tmp_path, window):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE})
    (folder / "data" / "X.npy").rename(folder / "data" / "Y.npy")
    (folder / "data" / "X.npy.gz").write_bytes(gzip.compress(npy() + b"more"))
    refused(r"X\.npy\.gz: damaged.*more bytes", read_feature, open_eopatch(folder).features["data", "X"], **window)


@pytest.mark.parametrize(
    "content",
    [
        npy(end="("), npy("(-3, 4, 6, 2)"), npy("(3, -1, 6, 2)"), npy(f"({2**70}, 4, 6, 2)"), npy(f"({2**40}, {2**40}, 1, 1)"),
        npy("(3, 4, 6, '2')"), npy(descr="'<f'*9"), npy(descr="[]"), npy("(" * 300), npy(descr="'nothing'"), b"", b"\x93NUMPY\x07\x00",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [".npy", ".npy.gz"])
@pytest.mark.parametrize("window", [{}, {"dates": [0]}])
def test_damaged_headers_are_one_line(tmp_path, content, form, window):
    folder = write_patch(tmp_path / "p", {})
    (folder / "data").mkdir()
    (folder / "data" / f"X{form}").write_bytes(gzip.compress(content) if form.endswith("gz") else content)
    refused(rf"{re.escape(f'X{form}')}: damaged", read_feature, open_eopatch(folder).features["data", "X"], **window)


@given(st.binary(max_size=60), st.integers(0, 140), st.sampled_from([".npy", ".npy.gz"]))
def test_any_header_gives_an_array_or_one_line(tmp_path_factory, noise, place, form):
    folder = write_patch(tmp_path_factory.mktemp("p"), {})
    content = npy()
    content = content[:place] + noise + content[place + len(noise) :]
    (folder / "data").mkdir()
    (folder / "data" / f"X{form}").write_bytes(gzip.compress(content) if form.endswith("gz") else content)
    try:
        seen = str(read_feature(open_eopatch(folder).features["data", "X"]).ndim)
    except InputError as error:
        seen = str(error)
    assert seen == "4" or "damaged" in seen or " axes; " in seen
    assert "\n" not in seen


@pytest.mark.parametrize("text", ["[]", "7", "null", '"x"', "{}", '{"zarr_format": 2, "filters": 5}', '{"zarr_format": 2, "shape": [-1]}'])  # fmt: skip
@pytest.mark.parametrize("name", [".zarray", "zarr.json"])
def test_damaged_descriptions_of_zarr_are_one_line(tmp_path, name, text):
    folder = write_patch(tmp_path / "p", {})
    (folder / "data" / "X.zarr").mkdir(parents=True)
    (folder / "data" / "X.zarr" / name).write_text(text)
    refused(r"X\.zarr: damaged", read_feature, open_eopatch(folder).features["data", "X"])


@pytest.mark.parametrize("form", [2, 3])
def test_a_zarr_whose_chunk_is_far_larger_than_its_array_is_refused_before_it_takes_memory(tmp_path, form):
    import zarr

    folder = write_patch(tmp_path / "p", {})
    for name, side in (("X", 30_000), ("Y", 64)):
        array = zarr.create_array(folder / "data" / f"{name}.zarr", shape=(3, 8, 8, 1), chunks=(3, side, side, 1), dtype="uint8", zarr_format=form)  # fmt: skip
        if name == "Y":
            array[:] = 7
    # The chunk of X is a few bytes on the disk, and 2.7 GB in memory.
    features = open_eopatch(folder).features
    assert (read_feature(features["data", "Y"]) == 7).all()
    refused(r"X\.zarr: damaged.*chunks of 3 x 30000 x 30000 x 1, which do not fit", read_feature, features["data", "X"])


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [".npy", ".npy.gz", ".zarr2"])
def test_true_and_false_and_numbers_from_the_end_are_positions(tmp_path, form):
    feature = open_eopatch(write_patch(tmp_path / "p", {"data/X": CUBE}, form=form)).features["data", "X"]
    for dates, steps in (
        ([True, False, True], [0, 2]),
        (np.array([False, True, False]), [1]),
        ([-1], [2]),
        ([-1, 0], [2, 0]),
        (np.array([2, 0], "uint8"), [2, 0]),
        ([], []),
        ([False] * 3, []),
        (slice(None, None, -1), [2, 1, 0]),
    ):
        np.testing.assert_array_equal(read_feature(feature, dates=dates), CUBE[steps])
    refused(
        r"X\.\S+: 2 true or false values are given for an axis of length 3", read_feature, feature, dates=[True, False]
    )
    refused(r"X\.\S+: index 3 is outside an axis of length 3", read_feature, feature, dates=[0, 3])
    refused(r"X\.\S+: index -4 is outside an axis of length 3", read_feature, feature, dates=[-4])
    folder = open_eopatch(tmp_path / "p")
    assert to_dataset(folder, dates=[-1]).time.values == np.datetime64(MOMENTS[2])
    assert to_dataset(folder, dates=[True, False, False]).time.values == np.datetime64(MOMENTS[0])
    refused("index 3 is outside", to_dataset, folder, dates=[3])
    for wrong in ([1.5], 1, "all", [[0]]):
        refused(r"X\.\S+: .* is not a valid selection along an axis", read_feature, feature, dates=wrong)


# --- pickles that grow ------------------------------------------------------------------------------------------------


def shared(depth, bottom=b"]", times=2):
    """A list of the same list, some times, of the same list..."""
    data = bottom
    for number in range(depth):
        data = b"](" + data + bytes([ord("q"), number]) + bytes([ord("h"), number]) * (times - 1) + b"e"
    return b"\x80\x02" + data + b"."


@pytest.mark.parametrize("file", ["timestamp.pkl", "bbox.pkl", "meta_info.pkl"])
def test_a_small_pickle_of_shared_lists_is_refused_before_it_is_shown(tmp_path, file):
    from landweave.eolearn.patch import EOPatch

    data = shared(60)
    assert len(data) < 600
    folder = write_patch(tmp_path / "p", {"data/X": CUBE}, box=None, moments=None)
    (folder / file).write_bytes(data)
    refused(rf"{file}: it contains over 1000000 values", EOPatch.load, folder)


def test_what_a_list_holds_twice_counts_twice():
    assert read_old_pickle(shared(2), "x.pkl") == [[[], []], [[], []]]
    assert len(read_old_pickle(shared(1, times=10), "x.pkl")) == 10
    refused("over 1000000 values", read_old_pickle, shared(6, times=15), "x.pkl")
    text = b"X" + (10_000).to_bytes(4, "little") + b"a" * 10_000
    refused("or as much text", read_old_pickle, shared(2, bottom=text, times=60), "x.pkl")
    # A list that holds itself, and one that is nested without end.
    refused(f"over {DEEPEST} deep", read_old_pickle, b"\x80\x02]q\x00h\x00a.", "x.pkl")
    refused(f"over {DEEPEST} deep", read_old_pickle, b"]" * 300 + b"a" * 299 + b".", "x.pkl")


def test_dates_that_are_no_text_are_named_by_their_type(tmp_path):
    for content, shown in (
        ([[1, 2]], "a list"),
        ([{"a": 1}], "a dict"),
        ([None], "a NoneType"),
        (["x" * 99], "'x{40}'"),
    ):
        folder = write_patch(tmp_path / "p", {"data/X": CUBE}, moments=None)
        (folder / "timestamps.json").write_text(json.dumps(content))
        refused(rf"timestamps\.json: {shown} is not a date", open_eopatch, folder)


# --- boxes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"coordinates": []}, {"coordinates": [[]]}, {"coordinates": 7}, {"coordinates": [[[1, 2, 3]] * 4]},
        {"coordinates": [[[10**400, 0], [1, 1]]]}, {"coordinates": None}, {"crs": 7}, {"geometry": []},
    ],
)  # fmt: skip
def test_boxes_without_coordinates_are_one_line(tmp_path, change):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE})
    (folder / "bbox.geojson").write_text(json.dumps({**geojson(), **change}))
    refused(r"bbox\.geojson: there is no box with coordinates and a CRS", open_eopatch, folder)


def test_a_box_in_an_unknown_crs_is_one_line(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE}, epsg=99999)
    refused(r"bbox\.geojson: EPSG:99999 is not a known CRS", open_eopatch, folder)


def test_a_feature_of_geojson_keeps_the_crs_that_stands_beside_its_geometry(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE})
    inner = geojson()
    crs = inner.pop("crs")
    (folder / "bbox.geojson").write_text(json.dumps({"type": "Feature", "crs": crs, "geometry": inner}))
    opened = open_eopatch(folder)
    assert (opened.bbox, opened.crs) == (BOX, "EPSG:32633")


# --- which folders are EOPatches --------------------------------------------------------------------------------------


def test_a_folder_of_eopatches_may_hold_folders_that_are_called_like_kinds(tmp_path):
    for name in ("p0", "p1"):
        write_patch(tmp_path / name, {"data/X": CUBE})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "register.json").write_text("{}")
    (tmp_path / "mask").mkdir()
    assert not is_eopatch(tmp_path)
    assert [folder.path.name for folder in list_eopatches(tmp_path)] == ["p0", "p1"]


def test_a_feature_of_any_kind_makes_an_eopatch(tmp_path):
    folder = tmp_path / "p"
    (folder / "vector_timeless").mkdir(parents=True)
    assert not is_eopatch(folder)
    (folder / "vector_timeless" / "LULC.gpkg").write_bytes(b"")
    assert is_eopatch(folder)
    write_array(tmp_path / "q" / "scalar" / "S", np.ones((3, 2)), ".npy")
    assert is_eopatch(tmp_path / "q")


def test_old_pickled_arrays_are_still_told_of(tmp_path):
    folder = write_patch(tmp_path / "p", {})
    (folder / "data").mkdir()
    (folder / "data" / "X.pkl").write_bytes(pickle.dumps(CUBE))
    refused(r"X\.pkl: expected an array", read_feature, open_eopatch(folder).features["data", "X"])
