"""GeoTIFFs, sizes in metres, erosion and odd floats: as eo-learn 1.5.7 has them, which gave the answers here."""

import datetime

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from landweave.eolearn import (
    BBox,
    EOPatch,
    ErosionTask,
    ExportToTiffTask,
    FeatureType,
    LinearInterpolationTask,
    VectorToRasterTask,
)
from landweave.eolearn.arrays import erode
from landweave.errors import InputError

DATA, MASK, TIMELESS = FeatureType.DATA, FeatureType.MASK, FeatureType.MASK_TIMELESS
DAYS = [datetime.datetime.fromisoformat(f"2019-01-{day}T10:00:00") for day in ("03", "08", "13", "18")]
CUBE = np.arange(4 * 4 * 6 * 2, dtype="float32").reshape(4, 4, 6, 2)


def patch():
    return EOPatch(
        bbox=BBox((500000, 5000000, 500060, 5000040), "EPSG:32633"), timestamps=DAYS, data={"A": CUBE},
        mask_timeless={"L": np.arange(24, dtype="uint8").reshape(4, 6, 1)},
    )  # fmt: skip


def exported(folder, feature=(DATA, "A"), path=None, filename="x", **options):
    """Name to the first pixel of each band."""
    ExportToTiffTask(feature, path or folder, **options)(patch(), filename=filename)
    found = {}
    for file in sorted(folder.rglob("*.tif*")):
        with rasterio.open(file) as raster:
            found[file.relative_to(folder).as_posix()] = raster.read()[:, 0, 0].astype(int).tolist()
    return found


@pytest.mark.parametrize(
    ("chosen", "steps"),
    [
        (("2019-01-03", "2019-01-13"), [0, 1, 2]),
        (("2019-01-03T12:00:00", "2019-01-13T10:00:00"), [1, 2]),
        (("2019-01-03", "2019-01-13T09:59:59"), [0, 1]),
        ((DAYS[0], DAYS[2]), [0, 1, 2]),
        ((DAYS[0].date(), DAYS[2].date()), [0, 1, 2]),
        ((0, -1), [0, 1, 2, 3]),
        ((1, 2), [1, 2]),
        ([2, 0], [2, 0]),
        ([-1], [3]),
        (None, [0, 1, 2, 3]),
    ],
)
def test_an_interval_of_dates_has_both_its_ends(tmp_path, chosen, steps):
    answer = [band for step in steps for band in (48 * step, 48 * step + 1)]
    assert exported(tmp_path, date_indices=chosen) == {"x.tif": answer}


@pytest.mark.parametrize(
    "options",
    [
        {"date_indices": (2, 1)}, {"date_indices": ("2020-01-01", "2020-02-01")}, {"date_indices": [4]},
        {"date_indices": (0, 4)}, {"date_indices": (0, "2019-01-13")}, {"date_indices": []}, {"date_indices": 1},
        {"date_indices": ("soon", "later")}, {"band_indices": (0, -1)}, {"band_indices": [2]}, {"band_indices": ["B"]},
        {"band_indices": (0, 1, 1)},
    ],
    ids=str,
)  # fmt: skip
def test_what_chooses_nothing_or_too_much_is_one_line(tmp_path, options):
    with pytest.raises(InputError, match=r"date_indices|band_indices|not a datetime"):
        exported(tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("filename", "names"),
    [
        ("a_%Y%m%d", ["a_20190103.tif", "a_20190108.tif", "a_20190113.tif", "a_20190118.tif"]),
        ("a_*.tif", [f"a_201901{day}T100000.tif" for day in ("03", "08", "13", "18")]),
        ("q/%Y/a_%m%d", [f"q/2019/a_01{day}.tif" for day in ("03", "08", "13", "18")]),
        (["a", "b.tiff", "c", "d/e"], ["a.tif", "b.tiff", "c.tif", "d/e.tif"]),
    ],
)
def test_a_template_or_a_list_of_names_gives_each_date_a_file(tmp_path, filename, names):
    found = exported(tmp_path, filename=filename)
    assert found == {name: [48 * step, 48 * step + 1] for step, name in enumerate(names)}


def test_a_template_may_be_the_path_and_names_the_dates_that_are_chosen(tmp_path):
    found = exported(tmp_path, path=tmp_path / "z_%m%d.tif", filename="", date_indices=[2, 1], band_indices=[1])
    assert found == {"z_0113.tif": [97], "z_0108.tif": [49]}


@pytest.mark.parametrize(
    ("feature", "filename"),
    [((DATA, "A"), "a_%Y"), ((DATA, "A"), ["a", "b"]), ((TIMELESS, "L"), "a_*"), ((TIMELESS, "L"), ["a", "b"])],
)
def test_names_that_do_not_tell_the_files_apart_are_refused(tmp_path, feature, filename):
    with pytest.raises(InputError, match=r"of several dates|give one for each|has no dates"):
        exported(tmp_path, feature=feature, filename=filename)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("box", "crs", "resolution", "shape"),
    [
        ((1600000, 5800000, 1601000, 5801000), 3857, 10, (69, 70)),
        ((15, 46, 15.01, 46.01), 4326, 10, (111, 77)),
        ((15, 46, 15.01, 46.01), 4258, "10m", (111, 77)),
        ((5.5, 60.1, 5.52, 60.11), 4326, (10, 20), (53, 117)),
        ((8.9, 78, 9.3, 78.05), 4326, 30, (154, 326)),
        ((18.4, -34, 18.42, -33.98), 4326, 10, (227, 179)),
        ((460000, 100000, 461000, 101000), 3794, 10, (100, 100)),
        ((500000, 5000000, 501000, 5000555), 32633, 10, (56, 100)),
    ],
)
def test_a_resolution_is_metres_on_the_ground_in_any_system(box, crs, resolution, shape):
    ground = EOPatch(bbox=BBox(box, crs))
    everywhere = gpd.GeoDataFrame(geometry=[shapely.box(*box)], crs=crs)
    made = VectorToRasterTask(everywhere, (TIMELESS, "M"), values=1, raster_resolution=resolution)(ground)
    assert made.mask_timeless["M"].shape == (*shape, 1)
    assert made.mask_timeless["M"].all()


@pytest.mark.parametrize("resolution", [0, -10, "ten", (10, 10, 10), float("nan"), 1e6])
def test_a_resolution_that_is_none_is_one_line(resolution):
    everywhere = gpd.GeoDataFrame(geometry=[shapely.box(15, 46, 16, 47)], crs=4326)
    task = VectorToRasterTask(everywhere, (TIMELESS, "M"), values=1, raster_resolution=resolution)
    with pytest.raises(InputError, match="raster_resolution is"):
        task(patch())


def test_each_date_of_a_mask_is_eroded_by_itself():
    labels = np.random.default_rng(1).integers(0, 2, (4, 9, 9), "uint8").repeat(4, 1).repeat(4, 2)
    ground = EOPatch(timestamps=DAYS, mask={"M": labels[..., None]})
    task = ErosionTask((MASK, "M", "E"), disk_radius=3)
    expected = [erode(date, task.shape) for date in labels]
    made = task(ground).mask["E"]
    np.testing.assert_array_equal(made[..., 0], expected)
    assert made.dtype == "uint8"
    assert (made != ground.mask["M"]).any()


@pytest.mark.parametrize("dtype", ["float16", ">f4", ">f8", "<f4", "longdouble", "int16", ">i2"])
def test_floats_of_any_size_and_order_of_bytes_are_interpolated(dtype):
    ground = EOPatch(timestamps=DAYS, data={"A": CUBE.astype(dtype)}, mask={"V": (CUBE[..., :1] >= 48)})
    task = LinearInterpolationTask(
        (DATA, "A", "I"), mask_feature=(MASK, "V"), resample_range=[DAYS[1], DAYS[1] + datetime.timedelta(days=1)]
    )
    made = task(ground).data["I"]
    np.testing.assert_allclose(made[0], CUBE[1])
    np.testing.assert_allclose(made[1], CUBE[1] + 48 / 5)
    assert made.dtype == "float64"
    assert ground.data["A"].dtype == np.dtype(dtype)
