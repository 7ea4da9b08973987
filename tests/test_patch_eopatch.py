import datetime
import gzip
import json
import pickle
import struct

import geopandas as gpd
import numpy as np
import pytest
import shapely
from eopatches import BOX, MOMENTS, geojson, write_array, write_patch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.errors import InputError
from landweave.patch.eopatch import features as eopatch_features
from landweave.patch.eopatch.features import read_feature
from landweave.patch.eopatch.folder import feature_of, grid_of, is_eopatch, open_eopatch, read_meta_info, to_dataset
from landweave.patch.eopatch.old_pickles import LONGEST, NAMES, read_old_pickle
from landweave.patch.eopatch.writing import write_dataset, write_eopatch

CUBE = np.arange(3 * 4 * 6 * 2, dtype="float32").reshape(3, 4, 6, 2)
FORMS = (".npy", ".npy.gz", ".zarr2", ".zarr3")
DATES = [datetime.datetime.fromisoformat(text) for text in MOMENTS]


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_array_and_any_window_of_it(tmp_path, form):
    folder = open_eopatch(write_patch(tmp_path / "p", {"data/BANDS": CUBE}, form=form))
    feature = folder.features["data", "BANDS"]
    assert (feature.shape, feature.dtype) == (CUBE.shape, CUBE.dtype)
    np.testing.assert_array_equal(read_feature(feature), CUBE)
    window = read_feature(feature, dates=[2, 0], rows=slice(1, 3), columns=slice(4, 9), bands=[1])
    np.testing.assert_array_equal(window, CUBE[[2, 0]][:, 1:3, 4:9][..., [1]])
    assert folder.bbox == BOX
    assert folder.crs == "EPSG:32633"
    assert list(folder.timestamps) == DATES


@given(
    values=stn.arrays(
        st.sampled_from(["uint8", "int16", "float32", "float64", "bool", ">i4"]),
        stn.array_shapes(min_dims=4, max_dims=4, min_side=0, max_side=4),
    ),
    fortran=st.booleans(),
    form=st.sampled_from([".npy", ".npy.gz"]),
    part=st.lists(st.slices(4), min_size=4, max_size=4),
)
def test_windows_are_what_numpy_would_cut(tmp_path_factory, values, fortran, form, part):
    values = np.asarray(values, order="F" if fortran else "C")
    folder = write_patch(tmp_path_factory.mktemp("w"), {"data/X": values}, form=form, moments=None)
    feature = open_eopatch(folder).features["data", "X"]
    dates, rows, columns, bands = part
    window = read_feature(feature, dates=dates, rows=rows, columns=columns, bands=bands)
    np.testing.assert_array_equal(window, values[dates, rows, columns, bands])
    assert window.dtype == values.dtype


def test_a_window_of_a_plain_array_reads_no_more_than_it_needs(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE})
    feature = open_eopatch(folder).features["data", "X"]
    assert feature.shape == CUBE.shape
    path = folder / "data" / "X.npy"
    content = bytearray(path.read_bytes())
    content[-4:] = struct.pack("<f", 7.0)
    path.write_bytes(content)
    # Only the last value was changed behind its back; nothing was held.
    assert read_feature(feature, dates=[2], rows=slice(3, 4), columns=slice(5, 6), bands=[1]).item() == 7.0


def test_a_gzipped_array_is_unpacked_once_and_given_up_when_there_are_too_many(tmp_path, monkeypatch):
    folder = write_patch(tmp_path / "p", {f"data/B{n}": CUBE + n for n in range(4)}, form=".npy.gz")
    monkeypatch.setattr(eopatch_features, "UNPACKED_BYTES", 2 * CUBE.nbytes)
    unpacked = []
    unpack = eopatch_features._unpack
    monkeypatch.setattr(eopatch_features, "_unpack", lambda path: unpacked.append(path.name) or unpack(path))
    eopatch_features._unpacked.clear()
    features = [feature for key, feature in open_eopatch(folder).features.items()]
    for n in (0, 0, 1, 0, 2, 0, 1):
        assert read_feature(features[n], rows=slice(0, 1))[0, 0, 0, 0] == n
    assert unpacked == [f"B{n}.npy.gz" for n in (0, 1, 2, 1)]


def test_all_kinds_are_found(tmp_path):
    shapes = {
        "data": (3, 4, 6, 1), "mask": (3, 4, 6, 1), "scalar": (3, 2), "label": (3, 1), "data_timeless": (4, 6, 1),
        "mask_timeless": (4, 6, 1), "scalar_timeless": (2,), "label_timeless": (5,),
    }  # fmt: skip
    folder = write_patch(tmp_path / "p", {f"{kind}/F": np.ones(shape, "uint8") for kind, shape in shapes.items()})
    (folder / "meta_info").mkdir()
    (folder / "meta_info" / "maxcc.json").write_text("0.8")
    (folder / "data" / "notes.txt").write_text("no feature")
    (folder / ".hidden").write_text("")
    opened = open_eopatch(folder)
    assert {kind: feature.shape for (kind, _), feature in opened.features.items() if kind != "meta_info"} == shapes
    assert read_meta_info(opened) == {"maxcc": 0.8}
    assert is_eopatch(folder)
    assert not is_eopatch(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_vectors_come_from_geopackages_with_and_without_gzip(tmp_path, packed):
    table = gpd.GeoDataFrame(
        {"RABA_ID": [1100, 2000], "TIMESTAMP": DATES[:2]},
        geometry=[shapely.box(0, 0, 1, 1), shapely.box(2, 2, 3, 3)], crs="EPSG:32633",
    )  # fmt: skip
    folder = write_patch(tmp_path / "p", {})
    path = folder / "vector" / "LULC.gpkg"
    path.parent.mkdir()
    table.to_file(path, layer="any")
    if packed:
        (folder / "vector" / "LULC.gpkg.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    read = read_feature(open_eopatch(folder).features["vector", "LULC"])
    assert read.geometry.equals(table.geometry)
    assert read.crs == table.crs
    assert read["RABA_ID"].tolist() == [1100, 2000]
    assert read["TIMESTAMP"].dt.to_pydatetime().tolist() == DATES[:2]


# --- folders of eo-learn 0.x: pickles ---------------------------------------------------------------------------------


def old_box(module, *, attribute="_crs", code="32633"):
    """A BBox as protocol 3 has it, instruction by instruction."""
    parts = [b"\x80\x03c", f"{module}\nBBox\n".encode(), b")\x81}("]
    for name, value in zip(("min_x", "min_y", "max_x", "max_y"), BOX, strict=True):
        parts += [b"X", struct.pack("<I", len(name)), name.encode(), b"G", struct.pack(">d", value)]
    parts += [b"X", struct.pack("<I", len(attribute)), attribute.encode(), b"csentinelhub.constants\nCRS\n"]
    parts += [b"X", struct.pack("<I", len(code)), code.encode(), b"\x85Rub."]
    return b"".join(parts)


@pytest.mark.parametrize("module", ["sentinelhub.geometry", "sentinelhub.common"])
@pytest.mark.parametrize("attribute", ["_crs", "crs"])
@pytest.mark.parametrize("ending", ["", ".pkl", ".pkl.gz"])
def test_pickled_boxes_and_dates_are_followed(tmp_path, module, attribute, ending):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE}, box=None, moments=None)
    pack = gzip.compress if ending.endswith("gz") else bytes
    (folder / f"bbox{ending}").write_bytes(pack(old_box(module, attribute=attribute)))
    (folder / f"timestamp{ending}").write_bytes(pack(pickle.dumps(DATES, protocol=3)))
    (folder / f"meta_info{ending}").write_bytes(pack(pickle.dumps({"maxcc": 0.8, "interval": DATES[:2]})))
    opened = open_eopatch(folder)
    assert (opened.bbox, opened.crs, list(opened.timestamps)) == (BOX, "EPSG:32633", DATES)
    assert read_meta_info(opened) == {"maxcc": 0.8, "interval": DATES[:2]}


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(min_size=1)
    | st.datetimes() | st.dates() | st.timedeltas()
    | st.datetimes(timezones=st.just(datetime.UTC))
    | st.datetimes(timezones=st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)).map(
        datetime.timezone)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)  # fmt: skip


@given(plain, st.integers(0, 5))
def test_plain_values_come_back_from_pickles_of_every_protocol(value, protocol):
    assert read_old_pickle(pickle.dumps(value, protocol=protocol), "x.pkl") == value


class Runs:
    """Unpickled, it would call something."""

    def __init__(self, call, *given):
        self.call, self.given = call, given

    def __reduce__(self):
        return self.call, self.given


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", ["system", "eval", "exec", "nested", "getattr", "Path.touch"])
def test_a_malicious_pickle_is_refused_and_nothing_runs(tmp_path, name, protocol):
    import os
    from pathlib import Path

    trace = tmp_path / "trace"
    touch = f"open({str(trace)!r}, 'w').close()"
    payload = {
        "system": Runs(os.system, f"touch {trace}"),
        "eval": Runs(eval, touch),
        "exec": Runs(exec, touch),
        "nested": [DATES[0], {"a": (1, Runs(os.system, f"touch {trace}"))}],
        "getattr": Runs(getattr, "x", "upper"),
        "Path.touch": Runs(Path.touch, Path(trace)),
    }[name]
    data = pickle.dumps(payload, protocol=protocol)
    folder = write_patch(tmp_path / "p", {"data/X": CUBE}, moments=None)
    (folder / "timestamp.pkl").write_bytes(data)
    with pytest.raises(InputError, match=r"timestamp\.pkl: it contains the name") as error:
        open_eopatch(folder)
    one_line(error)
    assert not trace.exists()


def test_the_same_pickles_would_run_if_they_were_loaded(tmp_path):
    import os

    trace = tmp_path / "trace"
    pickle.loads(pickle.dumps(Runs(os.system, f"touch {trace}")))
    assert trace.exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x80\x03cdatetime\ndatetime\n.", "it contains no value"),
        (b"\x80\x03cdatetime\ndatetime\ncdatetime\ndate\nR.", "it calls an unknown name"),
        (b"\x80\x03]X\x01\x00\x00\x00a\x85R.", "it calls an unknown name"),
        (b"\x80\x03]}b.", "it changes an object that is not a box"),
        (b"\x80\x03cdatetime\ndatetime\n}b.", "it changes an object that is not a box"),
        (b"(S'a'\nios\nsystem\n.", "it contains the instruction"),
        (b"\x80\x02\x82\x01.", "it contains the instruction EXT1"),
        (b"Pab\n.", "it contains the instruction PERSID"),
        (b"\x80\x04)]\x93.", "it contains a name that is not text"),
        (b"\x80\x03})K\x01s.", "a dict has a key"),
        (b"\x80\x03K\x01", "damaged or truncated"),
        (b"", "damaged or truncated"),
        (b"\x80\x03h\x05.", "damaged or truncated"),
        (b"N.", None),
    ],
)
def test_strange_pickles_are_refused_with_a_reason(data, reason):
    if reason is None:
        assert read_old_pickle(data, "x.pkl") is None
        return
    with pytest.raises(InputError, match=f"x.pkl: .*{reason}") as error:
        read_old_pickle(data, "x.pkl")
    one_line(error)


@given(st.binary(max_size=80) | st.lists(st.sampled_from(
    [b"\x80\x03", b"(", b"]", b"}", b")", b"K\x01", b"a", b"e", b"u", b"s", b"b", b"R", b"\x81", b"\x85", b"q\x00",
     b"h\x00", b"cdatetime\ndatetime\n", b"csentinelhub.geometry\nBBox\n", b"cos\nsystem\n", b"X\x01\x00\x00\x00a",
     b"\x93", b"C\x0a\x07\xe1\x01\x01\x00\x00\x00\x00\x00\x00", b"t", b"l", b"d", b"N"]), max_size=25,
).map(lambda parts: b"".join(parts) + b"."))  # fmt: skip
def test_any_bytes_are_a_plain_value_or_one_line(data):
    try:
        value = read_old_pickle(data, "x.pkl")
    except InputError as error:
        value = str(error)
    assert value not in NAMES.values()
    assert not (isinstance(value, str) and "\n" in value)


def test_a_pickle_that_is_far_too_long_is_not_followed():
    with pytest.raises(InputError, match="16 MB"):
        read_old_pickle(b"N" * (LONGEST + 1), "x.pkl")


def test_other_pickles_harm_only_who_touches_them(tmp_path):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE})
    (folder / "vector_timeless").mkdir()
    (folder / "vector_timeless" / "LULC.pkl").write_bytes(b"\x80\x03cgeopandas\nGeoDataFrame\n)\x81.")
    opened = open_eopatch(folder)
    assert read_feature(opened.features["data", "X"]).shape == CUBE.shape
    with pytest.raises(InputError, match=r"LULC\.pkl: vectors are read only from GeoPackages"):
        read_feature(opened.features["vector_timeless", "LULC"])


def test_arrays_of_python_objects_are_refused_in_every_form(tmp_path):
    objects = np.array([[[[Runs(print, "x")]]]], object)
    folder = write_patch(tmp_path / "p", {"data/A": objects}, box=BOX)
    write_array(folder / "data" / "B", objects, ".npy.gz")
    codec = {"id": "pickle", "protocol": 5}
    for name, dtype, filters in (("C", "|O", [codec]), ("D", "<f4", [codec])):
        stored = folder / "data" / f"{name}.zarr"
        stored.mkdir()
        meta = {
            "zarr_format": 2, "shape": [1, 1, 1, 1], "chunks": [1, 1, 1, 1], "dtype": dtype, "compressor": None,
            "fill_value": None, "order": "C", "filters": filters,
        }  # fmt: skip
        (stored / ".zarray").write_text(json.dumps(meta))
        (stored / "0.0.0.0").write_bytes(pickle.dumps(objects))
    for feature in open_eopatch(folder).features.values():
        with pytest.raises(
            InputError, match=rf"{feature.path.name}: damaged.*(Python objects|'pickle' is not supported)"
        ):
            read_feature(feature)


# --- boxes, dates, grids ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "crs"),
    [
        ("urn:ogc:def:crs:EPSG::32633", 32633),
        ("EPSG:3035", 3035),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", 4326),
        (None, 4326),
    ],
)
def test_boxes_know_their_crs(tmp_path, name, crs):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE})
    content = geojson()
    content["crs"] = {"type": "name", "properties": {"name": name}}
    if name is None:
        del content["crs"]
    (folder / "bbox.geojson").write_text(json.dumps(content))
    assert open_eopatch(folder).crs == f"EPSG:{crs}"


@pytest.mark.parametrize("file", ["timestamp.json", "timestamps.json", "timestamps.json.gz"])
def test_dates_stand_under_older_names_too(tmp_path, file):
    folder = write_patch(tmp_path / "p", {"data/X": CUBE[:2]}, moments=None)
    text = json.dumps(["2017-01-02 10:05:00", "2017-01-02T12:05:00+02:00"]).encode()
    (folder / file).write_bytes(gzip.compress(text) if file.endswith("gz") else text)
    times = to_dataset(open_eopatch(folder)).time.values
    assert times.tolist() == [np.datetime64("2017-01-02T10:05", "ns").astype(int)] * 2


def test_a_dataset_has_named_axes_and_the_grid_of_the_box(tmp_path):
    static = np.arange(24).reshape(4, 6, 1)
    folder = open_eopatch(write_patch(tmp_path / "p", {"data/BANDS": CUBE, "mask_timeless/LULC": static}))
    patch = to_dataset(folder, names={("data", "BANDS"): ["B04", "B08"]})
    assert patch.B08.dims == ("time", "y", "x")
    np.testing.assert_array_equal(patch.B08.values, CUBE[..., 1])
    np.testing.assert_array_equal(patch.LULC.values, static[..., 0])
    assert patch.odc.geobox.boundingbox.bbox == BOX
    assert patch.odc.geobox.resolution.x == 10
    assert list(to_dataset(folder, [("data", "BANDS")], dates=[1]).data_vars) == ["BANDS_0", "BANDS_1"]


@given(st.integers(2, 300), st.integers(2, 300), st.floats(1, 100), st.sampled_from([np.floor, np.rint, np.ceil]))
def test_any_rounding_of_a_box_to_pixels_fits(rows, columns, size, rounding):
    from landweave.patch.eopatch.folder import EOPatchFolder

    across, up = (columns + 0.37) * size, (rows + 0.81) * size
    feature = _Shaped((int(rounding(rows + 0.81)), int(rounding(columns + 0.37)), 1))
    folder = EOPatchFolder(path="p", bbox=(0.0, 0.0, across, up), crs="EPSG:32633", timestamps=(), features={})
    assert grid_of(folder, feature).shape == feature.shape[:2]


class _Shaped:
    axes, path, kind = "yxd", "X.npy", "data_timeless"

    def __init__(self, shape):
        self.shape = shape


def test_a_shape_that_does_not_fit_the_box_is_refused(tmp_path):
    folder = open_eopatch(write_patch(tmp_path / "p", {"data/X": CUBE.transpose(0, 2, 1, 3)}))
    with pytest.raises(InputError, match=r"X\.npy: 6 rows and 4 columns do not fit the bbox of 60 by 40"):
        to_dataset(folder)


def test_what_is_missing_or_damaged_is_one_line_that_names_the_file(tmp_path):
    def refused(match, arrays=None, do=to_dataset, damage=lambda folder: None, **options):
        folder = tmp_path / f"p{len(list(tmp_path.iterdir()))}"
        write_patch(folder, {"data/X": CUBE} if arrays is None else arrays, **options)
        damage(folder)
        with pytest.raises(InputError, match=match) as error:
            do(open_eopatch(folder))
        assert str(folder) in one_line(error)

    def cut(name):
        def damage(folder):
            path = folder / name
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

        return damage

    refused("no bbox", box=None)
    refused(r"X\.npy: 3 dates, but the patch has 2", moments=MOMENTS[:2])
    refused(r"X\.npy: 3 dates, but the patch has 0", moments=None)
    refused(r"X\.npy: 3 axes; a feature of data has 4", arrays={"data/X": CUBE[0]})
    refused(r"X\.npy: damaged", damage=cut("data/X.npy"))
    refused(r"X\.npy\.gz: damaged", form=".npy.gz", damage=cut("data/X.npy.gz"))
    refused(
        r"X\.npy\.gz: damaged", form=".npy.gz", damage=cut("data/X.npy.gz"),
        do=lambda folder: read_feature(folder.features["data", "X"], rows=slice(0, 1)),
    )  # fmt: skip
    refused(r"X\.zarr: damaged", form=".zarr2", damage=lambda folder: (folder / "data/X.zarr/.zarray").unlink())
    refused(r"X\.zarr: damaged", form=".zarr2", damage=cut("data/X.zarr/0.0.0.0"))
    refused(r"bbox\.geojson: not valid JSON", damage=cut("bbox.geojson"))
    refused(r"timestamps\.json: 'yesterday' is not a date", moments=["yesterday"])
    refused(r"bbox\.geojson: the box .* has no extent", box=(1.0, 1.0, 1.0, 2.0))
    refused("no data or mask", arrays={"scalar/S": np.ones((3, 2))})
    refused(r"no feature data/Y; there are data/X", do=lambda folder: feature_of(folder, "data", "Y"))
    refused("4 x 6 pixels, but other features have 2 x 3", arrays={"data/A": CUBE[:, :2, :3], "data/X": CUBE})
    refused("is the name of two bands", arrays={"data/X": CUBE[..., :1], "mask/X": CUBE[..., :1]})
    refused("1 names are given for 2 bands", do=lambda folder: to_dataset(folder, names={("data", "X"): ["a"]}))
    refused("is the same feature", damage=lambda folder: write_array(folder / "data" / "X", CUBE, ".npy.gz"))
    refused("has the same content", damage=lambda folder: (folder / "timestamp.json").write_text("[]"))
    refused("no axis t", do=lambda f: read_feature(f.features["mask_timeless", "M"], dates=[0]),
            arrays={"mask_timeless/M": np.ones((4, 6, 1), int)})  # fmt: skip
    with pytest.raises(InputError, match="not an EOPatch"):
        open_eopatch(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        open_eopatch(tmp_path / "nowhere")


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [".npy.gz", ".npy", ".zarr"])
def test_what_is_written_is_read_back(tmp_path, form):
    table = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32633")
    arrays = {
        ("data", "BANDS"): CUBE, ("mask", "CLM"): CUBE[..., :1] > 3, ("scalar", "S"): np.ones((3, 2)),
        ("label_timeless", "L"): np.arange(3), ("mask_timeless", "LULC"): np.ones((4, 6, 1), "uint8"),
        ("data", "NOTHING"): np.zeros((3, 0, 6, 1)),
    }  # fmt: skip
    features = {**arrays, ("vector_timeless", "V"): table, ("meta_info", "info"): {"maxcc": 0.8}}
    options = {"bbox": BOX, "crs": "EPSG:32633", "timestamps": DATES, "form": form}
    path = write_eopatch(tmp_path / "p", features, **options)
    opened = open_eopatch(path)
    assert (opened.bbox, opened.crs, list(opened.timestamps)) == (BOX, "EPSG:32633", DATES)
    assert set(opened.features) == set(features)
    for key, values in arrays.items():
        read = read_feature(opened.features[key])
        np.testing.assert_array_equal(read, values)
        assert read.dtype == values.dtype
    assert read_feature(opened.features["vector_timeless", "V"]).equals(table)
    assert read_meta_info(opened) == {"info": {"maxcc": 0.8}}
    again = write_eopatch(tmp_path / "q", features, **options)
    files = sorted(file.relative_to(path) for file in path.rglob("*") if file.is_file())
    assert files
    for file in files:
        assert (path / file).read_bytes() == (again / file).read_bytes(), file


def test_a_dataset_makes_the_round_trip(tmp_path):
    folder = open_eopatch(write_patch(tmp_path / "p", {"data/BANDS": CUBE, "mask/CLM": CUBE[..., :1] > 9}))
    names = {("data", "BANDS"): ["B04", "B08"], ("mask", "CLM"): ["CLM"]}
    patch = to_dataset(folder, names=names)
    again = open_eopatch(write_dataset(tmp_path / "q", patch, names))
    assert (again.bbox, again.crs, again.timestamps) == (folder.bbox, folder.crs, folder.timestamps)
    assert to_dataset(again, names=names).identical(patch)


def test_what_cannot_be_kept_is_refused_and_the_old_patch_stays(tmp_path):
    path = write_patch(tmp_path / "p", {"data/X": CUBE})
    good = {("data", "X"): CUBE}
    options = {"bbox": BOX, "crs": "EPSG:32633", "timestamps": DATES}

    def refused(match, features=good, **other):
        with pytest.raises(InputError, match=match) as error:
            write_eopatch(path, features, **{**options, **other})
        one_line(error)

    refused("unknown kind", {("bands", "X"): CUBE})
    refused("does not read names with a dot", {("data", "X.Y"): CUBE})
    refused("does not read names with a dot", {("data", "../X"): CUBE})
    refused("3 dates, but 2 timestamps", timestamps=DATES[:2])
    refused("it needs 4 axes", {("data", "X"): CUBE[0]})
    refused("mask needs whole numbers", {("mask", "X"): CUBE})
    refused("is not allowed", {("data", "X"): CUBE.astype(object)})
    refused("upper and lower case", {**good, ("data", "x"): CUBE})
    refused("EPSG number", crs="+proj=tmerc +lat_0=1 +lon_0=3.5 +ellps=bessel")
    refused("must be left, bottom, right, top", bbox=(1, 0, 0, 1))
    refused("unknown; use", form=".npz")
    refused("GeoDataFrame", {("vector", "V"): [1]})
    refused("must be valid in JSON", {("meta_info", "m"): {1, 2}})
    assert read_feature(open_eopatch(path).features["data", "X"]).shape == CUBE.shape
    assert [entry.name for entry in tmp_path.iterdir()] == ["p"]
