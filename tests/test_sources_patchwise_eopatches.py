import pickle
from datetime import date

import numpy as np
import pytest
from affine import Affine
from eopatches import BOX, MOMENTS, write_array, write_patch
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from worlds import LEGEND

from landweave.errors import InputError
from landweave.labels.on_grid import rasterise
from landweave.labels.reference import read_reference, reference_codes
from landweave.legend import Legend
from landweave.patch.grid import given_cells
from landweave.patch.model import NODATA
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.status import status_lines
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import make_project, read_project
from landweave.sources.patchwise.eopatches import EOPatchSource, open_eopatches
from landweave.sources.pixels import UNKNOWN
from landweave.sources.protocol import Source
from landweave.sources.rasters import open_rasters

_: type[Source] = EOPatchSource

DAYS = [date(2017, 1, 2), date(2017, 2, 3), date(2017, 3, 4)]
RNG = np.random.default_rng(3)
CUBE = RNG.uniform(0, 1, (3, 4, 6, 2)).astype("float32")
EAST = (BOX[2], BOX[1], BOX[2] + 60, BOX[3])
NAMES = ["B04", "B08"]


def opened(folder, **options):
    return open_eopatches(path=folder, **{"band_names": NAMES, **options})


@pytest.mark.parametrize("form", [".npy", ".npy.gz", ".zarr2"])
def test_a_patch_on_its_own_grid_is_exact_in_int16(tmp_path, form):
    write_patch(tmp_path / "a", {"data/BANDS": CUBE, "mask/CLM": CUBE[..., :1] > 0.5}, form=form)
    source = opened(tmp_path)
    assert source.variables == ("B04", "B08", "CLM")
    assert source.categorical == ("CLM",)
    assert source.dates() == DAYS
    assert source.dates(DAYS[1], DAYS[1]) == [DAYS[1]]
    patch = source.load(source.geobox, DAYS[::-1], ["B08", "CLM"])
    np.testing.assert_array_equal(patch.B08.values, np.rint(CUBE[::-1, ..., 1].astype("float64") * 1e4))
    np.testing.assert_array_equal(patch.CLM.values, CUBE[::-1, ..., 0] > 0.5)
    assert (patch.B08.dtype, patch.CLM.dtype) == ("int16", "uint8")
    assert source == pickle.loads(pickle.dumps(source))


@given(st.integers(-3, 6), st.integers(-3, 8), st.integers(1, 9), st.integers(1, 9))
def test_any_window_is_a_part_of_the_whole_and_missing_beyond_it(tmp_path_factory, top, left, height, width):
    folder = write_patch(tmp_path_factory.mktemp("w") / "a", {"data/BANDS": CUBE, "mask/M": CUBE[..., :1] > 0.5})
    source = opened(folder)
    grid = GeoBox((height, width), source.geobox.affine * Affine.translation(left, top), source.geobox.crs)
    whole = source.load(source.geobox.pad(12), DAYS, ["B04", "M"])
    part = source.load(grid, DAYS, ["B04", "M"])
    for name in ("B04", "M"):
        expected = whole[name].values[:, 12 + top : 12 + top + height, 12 + left : 12 + left + width]
        np.testing.assert_array_equal(part[name].values, expected)
    assert (whole.B04.values != NODATA).sum() == CUBE[..., 0].size


def test_numbers_become_reflectance_by_scale_offset_and_nodata(tmp_path):
    numbers = np.array([0, 100, 1234, 60000], "uint16").reshape(1, 2, 2, 1)
    box = (BOX[0], BOX[1], BOX[0] + 20, BOX[1] + 20)
    write_patch(tmp_path / "a", {"data/BANDS": numbers}, moments=MOMENTS[:1], box=box)

    def values(**options):
        source = opened(tmp_path, band_names=["B04"], **options)
        return source.load(source.geobox, DAYS[:1], ["B04"]).B04.values.ravel().tolist()

    assert values() == [0, 100, 1234, 32767]
    assert values(nodata=0) == [NODATA, 100, 1234, 32767]
    assert values(scale=1e-5) == [0, 10, 123, 6000]
    assert values(offset=-0.1) == [-1000, -900, 234, 32767]


def test_the_least_int16_is_missing_unless_another_number_is(tmp_path):
    numbers = np.array([NODATA, 100, -5, 32767], "int16").reshape(1, 2, 2, 1)
    write_patch(
        tmp_path / "a", {"data/BANDS": numbers}, moments=MOMENTS[:1], box=(BOX[0], BOX[1], BOX[0] + 20, BOX[1] + 20)
    )
    for nodata, expected in ((None, [NODATA, 100, -5, 32767]), (-5, [-32767, 100, NODATA, 32767])):
        source = opened(tmp_path, band_names=["B04"], nodata=nodata)
        assert source.load(source.geobox, DAYS[:1], ["B04"]).B04.values.ravel().tolist() == expected


def test_data_masks_and_nan_are_missing(tmp_path):
    cube = CUBE.copy()
    cube[0, 0, 0, 0] = np.nan
    there = np.ones((3, 4, 6, 1), bool)
    there[1, 2] = False
    write_patch(tmp_path / "a", {"data/BANDS": cube, "mask/IS_DATA": there})
    source = opened(tmp_path)
    assert source.data_mask == "IS_DATA"
    patch = source.load(source.geobox, DAYS, NAMES)
    expected = np.zeros((3, 4, 6), bool)
    expected[1, 2] = True
    np.testing.assert_array_equal(patch.B08.values == NODATA, expected)
    expected[0, 0, 0] = True
    np.testing.assert_array_equal(patch.B04.values == NODATA, expected)
    unmasked = opened(tmp_path, data_mask="none")
    assert (unmasked.load(source.geobox, DAYS, ["B08"]).B08.values != NODATA).all()


def test_patches_have_dates_of_their_own_and_join_without_a_seam(tmp_path):
    write_patch(tmp_path / "a", {"data/BANDS": CUBE[:2]}, moments=MOMENTS[:2])
    write_patch(tmp_path / "b", {"data/BANDS": CUBE[1:]}, moments=MOMENTS[1:], box=EAST)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "notes.txt").write_text("")
    source = opened(tmp_path)
    assert source.dates() == DAYS
    assert source.geobox.boundingbox.bbox == (BOX[0], BOX[1], EAST[2], EAST[3])
    assert list(source.grids) == ["a", "b"]
    red = source.load(source.geobox, DAYS, ["B04"]).B04.values
    units = np.rint(CUBE[..., 0].astype("float64") * 1e4)
    np.testing.assert_array_equal(red[:2, :, :6], units[:2])
    np.testing.assert_array_equal(red[1:, :, 6:], units[1:])
    assert (red[0, :, 6:] == NODATA).all()
    assert (red[2, :, :6] == NODATA).all()


def test_of_two_moments_of_a_day_the_first_valid_counts_and_masks_follow(tmp_path):
    cube = np.full((2, 4, 6, 1), 0.2, "float32")
    cube[1] = 0.4
    cube[1, 0] = np.nan
    masks = np.array([5, 7], "uint8").reshape(2, 1, 1, 1) + np.zeros((1, 4, 6, 1), "uint8")
    # The second array is the earlier moment.
    moments = ["2017-01-02T11:00:00", "2017-01-02T10:00:00"]
    write_patch(tmp_path / "a", {"data/BANDS": cube, "mask/M": masks}, moments=moments)
    source = opened(tmp_path, band_names=["B04"])
    assert source.dates() == DAYS[:1]
    for names in (["B04", "M"], ["M"]):
        patch = source.load(source.geobox, DAYS[:1], names)
        assert (patch.M.values[0, 0] == 5).all()
        assert (patch.M.values[0, 1:] == 7).all()
    patch = source.load(source.geobox, DAYS[:1], ["B04", "M"])
    assert (patch.B04.values[0, 0] == 2000).all()
    assert (patch.B04.values[0, 1:] == 4000).all()


def test_a_grid_of_another_kind_is_resampled_as_rasters_are(tmp_path):
    from worlds import write_tif

    cube = RNG.uniform(0, 1, (1, 40, 60, 1)).astype("float32")
    cube[0, 3:6, 9:12] = np.nan
    codes = RNG.integers(0, 12, (1, 40, 60, 1)).astype("uint8")
    box = (500_000.0, 5_099_600.0, 500_600.0, 5_100_000.0)
    write_patch(tmp_path / "p" / "a", {"data/BANDS": cube, "mask/SCL": codes}, box=box, moments=MOMENTS[:1])
    write_tif(tmp_path / "r_2017-01-02_B04.tif", cube[0, ..., 0])
    write_tif(tmp_path / "r_2017-01-02_SCL.tif", codes[0, ..., 0])
    rasters = open_rasters(root=tmp_path, pattern="r_{date}_{variable}.tif")
    source = opened(tmp_path / "p", band_names=["B04"])
    for grid in (
        GeoBox.from_bbox((500_107, 5_099_733, 500_507, 5_099_933), "EPSG:32633", resolution=20, tight=True),
        source.geobox.to_crs("EPSG:3035"),
    ):
        for name in ("B04", "SCL"):
            ours, theirs = (each.load(grid, DAYS[:1], [name])[name].values for each in (source, rasters))
            np.testing.assert_array_equal(ours, theirs)
            assert (ours != (NODATA if name == "B04" else 0)).any()


def test_patches_of_two_zones_are_cells_and_share_no_grid(tmp_path):
    from pyproj import Transformer

    x, y = Transformer.from_crs(4326, 32634, always_xy=True).transform(18.0, 46.0)
    west, south = Transformer.from_crs(4326, 32633, always_xy=True).transform(18.0, 46.0)
    boxes = {
        "a": ((west - 40, south - 20, west + 20, south + 20), 32633),
        "b": ((x - 20, y - 20, x + 40, y + 20), 32634),
    }
    boxes["c"] = ((west - 40, south - 60, west + 20, south - 20), 32633)
    for name, (box, epsg) in boxes.items():
        write_patch(tmp_path / name, {"data/BANDS": CUBE}, box=box, epsg=epsg)
    source = opened(tmp_path)
    assert source.geobox is None
    assert source.extent[0] < 18 < source.extent[2]
    cells = given_cells(source.grids)
    assert [cell.name for cell in cells] == ["a", "b", "c"]
    assert [(cell.west, cell.east) for cell in cells[:2]] == [(12, 18), (18, 24)]
    own = [cell.own() for cell in cells[:2]]
    assert 0 < own[0].sum() < own[0].size
    assert 0 < own[1].sum() < own[1].size
    np.testing.assert_array_equal(
        source.load(cells[1].geobox, DAYS, ["B04"]).B04.values, np.rint(CUBE[..., 0].astype("float64") * 1e4)
    )


def read_all(folder, **options):
    source = opened(folder, **options)
    return source.load(source.patches[0].geobox, DAYS, source.variables)


def test_what_the_patches_lack_is_one_line_that_names_it(tmp_path):
    def refused(match, first, second=None, **options):
        folder = tmp_path / f"t{len(list(tmp_path.iterdir()))}"
        write_patch(folder / "a", first)
        if second is not None:
            write_patch(folder / "b", second, box=EAST)
        with pytest.raises(InputError, match=match) as error:
            read_all(folder, **options)
        assert "\n" not in str(error.value)

    mask = CUBE[..., :1] > 0.5
    two = {"data/BANDS": CUBE, "data/MORE": CUBE}
    refused("name each of them, in order, in band_names", {"data/BANDS": CUBE}, band_names=None)
    refused("2 bands, but band_names has 1 different", {"data/BANDS": CUBE}, band_names=["B04", "B04"])
    refused("several data features.*BANDS, MORE", two)
    refused("no data feature 'X' .bands_feature.; it has BANDS, MORE", two, bands_feature="X")
    refused("b: no data feature 'BANDS' like a; it has MORE", {"data/BANDS": CUBE}, {"data/MORE": CUBE})
    refused("1 bands, but a has 2", {"data/BANDS": CUBE}, {"data/BANDS": CUBE[..., :1]})
    refused("b: the patch has no CLM", {"data/BANDS": CUBE, "mask/CLM": mask}, {"data/BANDS": CUBE}, needed=["CLM"])
    refused("b: the patch has no IS_DATA", {"data/BANDS": CUBE, "mask/IS_DATA": mask}, {"data/BANDS": CUBE})
    refused("no mask 'X' .data_mask.; it has M", {"data/BANDS": CUBE, "mask/M": mask}, data_mask="X")
    refused(r"M\.npy: 3 x 2 x 3 dates, rows and columns, but", {"data/BANDS": CUBE, "mask/M": mask[:, :2, :3]})
    refused(r"M\.npy: 2 bands; a mask has one", {"data/BANDS": CUBE, "mask/M": CUBE > 0.5})
    refused("resampling 'x' is unknown", {"data/BANDS": CUBE}, resampling="x")
    with pytest.raises(InputError, match="no EOPatch in this folder"):
        opened(tmp_path / "t0" / "a" / "data")
    with pytest.raises(InputError, match="no patch has 'B99'; there are B04, B08"):
        opened(write_patch(tmp_path / "z", {"data/BANDS": CUBE})).load(None, [], ["B99"])


def test_sentinels_bands_and_codes_beyond_a_byte_need_no_telling(tmp_path):
    masks = np.full((3, 4, 6, 1), 300, "int32")
    write_patch(
        tmp_path / "a", {"data/L1C": np.ones((3, 4, 6, 13), "float32"), "data/NDVI": CUBE[..., :1], "mask/M": masks}
    )
    source = open_eopatches(path=tmp_path)
    assert source.variables[-4:] == ("B11", "B12", "NDVI", "M")
    patch = source.load(source.geobox, DAYS, ["NDVI", "M"])
    assert (patch.M.values == UNKNOWN).all()
    np.testing.assert_array_equal(patch.NDVI.values, np.rint(CUBE[..., 0].astype("float64") * 1e4))


# --- labels -----------------------------------------------------------------------------------------------------------


def test_a_mask_of_labels_is_a_reference(tmp_path):
    codes = RNG.integers(0, 4, (4, 6, 1)).astype("uint8") * 7
    write_patch(tmp_path / "a", {"mask_timeless/LULC": codes})
    write_patch(tmp_path / "b", {"mask_timeless/LULC": codes + 1}, box=EAST, form=".npy.gz")
    write_patch(tmp_path / "c", {"data/BANDS": CUBE}, box=(EAST[2], EAST[1], EAST[2] + 60, EAST[3]))
    reference = read_reference(tmp_path, layer="mask_timeless/LULC")
    assert reference == read_reference(tmp_path)
    assert reference == read_reference(tmp_path, layer="MASK_TIMELESS/LULC")
    assert reference_codes(reference) == sorted(map(str, {7, 14, 21, 1, 8, 15, 22}))
    (tmp_path / "legend.toml").write_text(LEGEND)
    legend = Legend.read(tmp_path / "legend.toml")
    grid = opened(tmp_path / "c").geobox
    wide = GeoBox((4, 18), grid.affine * Affine.translation(-12, 0), grid.crs)
    labels = rasterise(reference, wide, legend)
    both = np.concatenate([codes, codes + 1, np.zeros_like(codes)], axis=1)[..., 0]
    np.testing.assert_array_equal(labels.values, np.where(both == 7, 7, 0) + np.where(both == 2, 2, 0))
    assert labels.features == np.count_nonzero(both)


def test_labels_that_are_not_there_are_named(tmp_path):
    write_patch(
        tmp_path / "a", {"mask_timeless/A": np.ones((4, 6, 1), int), "mask_timeless/B": np.ones((4, 6, 2), int)}
    )
    for layer, match in (
        (None, "name the feature.*mask_timeless/A, mask_timeless/B"),
        ("mask_timeless/C", "no patch has labels as 'mask_timeless/C'; there are mask_timeless/A"),
        ("mask_timeless/B", "one band of whole numbers"),
    ):
        with pytest.raises(InputError, match=match):
            read_reference(tmp_path, layer=layer)


# --- a run ------------------------------------------------------------------------------------------------------------

PROJECT = """
name = "two"
output = "out"
[source]
type = "eopatches"
path = "patches"
band_names = ["B04", "B08"]
clouds = "mask"
mask = "CLM"
[features]
bands = ["B04", "B08"]
indices = ["ndvi"]
step_days = 30
[reference]
path = "patches"
layer = "mask_timeless/LULC"
legend = "legend.toml"
erosion = 0
[model]
params = { n_estimators = 10, min_child_samples = 5 }
"""


def small_world(folder):
    for number, name in enumerate(["first", "second"]):
        cover = np.where(RNG.random((24, 30)) < 0.4, 7, 2).astype("uint8")
        means = np.where(cover[..., None] == 7, [0.12, 0.10], [0.06, 0.30])
        cube = (means + RNG.normal(0, 0.01, (3, *means.shape))).astype("float32")
        clouds = RNG.random((3, 24, 30, 1)) < 0.1
        cube[clouds[..., 0]] = 0.9
        box = (5e5 + 300 * number, 5e6, 5e5 + 300 * (number + 1), 5e6 + 240)
        moments = MOMENTS if number else (*MOMENTS[:2], "2017-03-09T10:00:00")
        arrays = {"data/BANDS": cube, "mask/CLM": clouds, "mask_timeless/LULC": cover[..., None]}
        write_patch(folder / "patches" / name, arrays, box=box, moments=moments, form=(".npy", ".npy.gz")[number])
    (folder / "legend.toml").write_text(LEGEND)
    (folder / "landweave.toml").write_text(PROJECT)
    return folder


def test_two_tiny_patches_become_a_map(tmp_path):
    import rasterio

    project = read_project(small_world(tmp_path))
    plan, cells = make_plan(project)
    assert [cell.name for cell in cells] == ["first", "second"]
    assert len(plan.dates) == 4
    result = run(project, workers=1)
    assert result.status == 0, result.failures
    with rasterio.open(tmp_path / "out" / "map.tif") as file:
        mapped = file.read(1)
    cover = np.concatenate([read_label(tmp_path / "patches" / name) for name in ("first", "second")], axis=1)
    assert mapped.shape == cover.shape
    assert (mapped == cover).mean() > 0.95
    # Other labels in one patch: what follows from them is remade, the imagery is not fetched again.
    write_array(tmp_path / "patches" / "first" / "mask_timeless" / "LULC", cover[::-1, :30, None], ".npy")
    lines = [line for line in status_lines(read_project(tmp_path)) if "reference" in line]
    assert any("reference" in line for line in lines), lines


def read_label(folder):
    import gzip

    path = folder / "mask_timeless" / "LULC.npy"
    return np.load(path if path.exists() else gzip.open(path.with_suffix(".npy.gz")))[..., 0]


def test_settings_of_eopatches_are_checked(tmp_path):
    def refused(match, **source):
        content = {"name": "x", "source": {"type": "eopatches", **source}, "reference": {"path": "r.tif"}}
        with pytest.raises(InputError, match=match):
            make_project(content, file=tmp_path / "landweave.toml")

    refused("eopatches need path")
    refused("pattern is not a key of type = 'eopatches'", path="p", pattern="x")
    refused('clouds = "mask" needs mask', path="p", clouds="mask")


def test_a_cloud_mask_that_lies_there_is_not_left_unused_in_silence(tmp_path):
    folder = small_world(tmp_path)
    text = PROJECT.replace('clouds = "mask"\nmask = "CLM"\n', "")
    (folder / "landweave.toml").write_text(text)
    with pytest.raises(InputError, match=r'the patches have CLM.*clouds = "mask" and mask = "CLM"'):
        make_plan(read_project(folder))
    (folder / "landweave.toml").write_text(text.replace("band_names", 'clouds = "none"\nband_names'))
    make_plan(read_project(folder))


def test_the_real_patch_of_slovenia_is_imagery_and_reference(shared_data, tmp_path):
    import json

    import rasterio

    real = shared_data / "eolearn_slovenia_patch"
    stored = np.load(real / "bands_l1c_5dates.npz")
    cube = next(stored[name] for name in stored.files if stored[name].ndim == 4)
    with rasterio.open(real / "lulc_reference.tif") as file:
        lulc = file.read(1)
    corners = np.array(json.loads((real / "bbox.geojson").read_text())["coordinates"][0])
    moments = json.loads((real / "timestamps.json").read_text())[:5]
    arrays = {"data/BANDS": cube, "mask_timeless/LULC": lulc[..., None]}
    box = (*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist())
    write_patch(tmp_path / "svn", arrays, box=box, moments=moments, form=".npy.gz")
    source = open_eopatches(path=tmp_path)
    assert [str(day) for day in source.dates()] == [moment[:10] for moment in moments]
    patch = source.load(source.geobox, source.dates(), ["B04", "B8A", "B10"])
    for name, number in (("B04", 3), ("B8A", 8), ("B10", 10)):
        expected = np.clip(np.rint(cube[..., number].astype("float64") * 1e4), -32767, 32767)
        np.testing.assert_array_equal(patch[name].values, expected)
    reference = read_reference(tmp_path)
    assert reference_codes(reference) == ["1", "2", "3", "4", "8"]
    labels = rasterise(reference, source.geobox, Legend.from_labels(reference_codes(reference)))
    counts = np.bincount(labels.values.ravel()).tolist()
    assert counts == [155, 11, 7601, 1777, 358, 198]
