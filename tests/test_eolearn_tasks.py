"""The tasks of the land cover notebook, on patches whose answers are known."""

import datetime
import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from eopatches import BOX, MOMENTS
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from landweave.eolearn import (
    AddFeatureTask,
    BBox,
    EOPatch,
    ErosionTask,
    ExportToTiffTask,
    ExtractBandsTask,
    FeatureType,
    FilterTimeSeriesTask,
    FractionSamplingTask,
    JoinMasksTask,
    LinearInterpolationTask,
    LoadTask,
    MapFeatureTask,
    MaskFeatureTask,
    MergeFeatureTask,
    NormalizedDifferenceIndexTask,
    PredictPatchTask,
    RemoveFeatureTask,
    RenameFeatureTask,
    SaveTask,
    SimpleFilterTask,
    VectorToRasterTask,
    ZipFeatureTask,
    arrays,
    as_step,
    as_task,
)
from landweave.errors import InputError

RNG = np.random.default_rng(11)
CUBE = RNG.random((3, 4, 6, 2)).astype("float32")
DATA, MASK, TIMELESS = FeatureType.DATA, FeatureType.MASK, FeatureType.MASK_TIMELESS


def moment(*parts):
    """A moment without time zone, as eo-learn has them."""
    return datetime.datetime(*parts)  # noqa: DTZ001


def patch_of(**features):
    return EOPatch(bbox=BBox(BOX, "EPSG:32633"), timestamps=MOMENTS, **features)


# --- values -----------------------------------------------------------------------------------------------------------


def test_an_index_is_the_normalised_difference_of_two_numbered_bands():
    cube = CUBE.copy()
    cube[0, 0, 0] = 0
    task = NormalizedDifferenceIndexTask((DATA, "BANDS"), (DATA, "NDVI"), [1, 0])
    index = task(patch_of(data={"BANDS": cube})).data["NDVI"]
    assert (index.shape, index.dtype) == ((3, 4, 6, 1), "float32")
    assert np.isnan(index[0, 0, 0, 0])
    a, b = cube[..., 1].astype("float64"), cube[..., 0].astype("float64")
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(index[..., 0], (a - b) / (a + b), atol=1e-6)
    filled = NormalizedDifferenceIndexTask(
        (DATA, "BANDS"), (DATA, "N"), (1, 0), acorvi_constant=0.0, undefined_value=-9.0
    )
    assert filled(patch_of(data={"BANDS": cube})).data["N"][0, 0, 0, 0] == -9
    with pytest.raises(InputError, match=r"bands .1, 7. are selected, but the feature has 2"):
        NormalizedDifferenceIndexTask((DATA, "BANDS"), (DATA, "N"), [1, 7])(patch_of(data={"BANDS": cube}))
    with pytest.raises(InputError, match="give the numbers of two bands"):
        NormalizedDifferenceIndexTask((DATA, "BANDS"), (DATA, "N"), [1])


def test_features_are_merged_mapped_zipped_extracted_renamed_and_removed():
    patch = patch_of(data={"A": CUBE, "B": CUBE[..., :1] * 2})
    MergeFeatureTask({DATA: ["A", "B"]}, (DATA, "AB"))(patch)
    np.testing.assert_array_equal(patch.data["AB"], np.concatenate([CUBE, CUBE[..., :1] * 2], axis=-1))
    ExtractBandsTask((DATA, "AB"), (DATA, "LAST"), [2])(patch)
    np.testing.assert_array_equal(patch.data["LAST"], patch.data["B"])
    MapFeatureTask((DATA, "A"), (FeatureType.DATA_TIMELESS, "MEAN"), np.mean, axis=0)(patch)
    np.testing.assert_array_equal(patch.data_timeless["MEAN"], CUBE.mean(axis=0))
    ZipFeatureTask([(DATA, "A"), (DATA, "A")], (DATA, "SUM"), np.add)(patch)
    np.testing.assert_array_equal(patch.data["SUM"], CUBE + CUBE)
    RenameFeatureTask((DATA, "SUM", "TOTAL"))(patch)
    RemoveFeatureTask([(DATA, "AB"), (DATA, "LAST")])(patch)
    AddFeatureTask((FeatureType.META_INFO, "note"))(patch, data="hello")
    assert sorted(patch.data) == ["A", "B", "TOTAL"]
    assert patch.meta_info["note"] == "hello"
    with pytest.raises(InputError, match="1 input features and 2 outputs"):
        MapFeatureTask((DATA, "A"), [(DATA, "B"), (DATA, "C")])
    with pytest.raises(NotImplementedError, match="no map_method"):
        MapFeatureTask((DATA, "A"), (DATA, "B"))(patch)


def test_masks_blank_values_and_are_joined():
    clouds, water = CUBE[..., :1] > 0.6, CUBE[..., 1:] > 0.5
    patch = patch_of(data={"A": CUBE}, mask={"CLM": clouds.astype("uint8"), "W": water})
    MaskFeatureTask((DATA, "A", "CLEAR"), (MASK, "CLM"), [1])(patch)
    np.testing.assert_array_equal(np.isnan(patch.data["CLEAR"]), np.broadcast_to(clouds, CUBE.shape))
    np.testing.assert_array_equal(patch.data["A"], CUBE)
    for how, expected in (("and", clouds & water), ("or", clouds | water), ("xor", clouds ^ water)):
        JoinMasksTask({MASK: ["CLM", "W"]}, (MASK, how), how)(patch)
        np.testing.assert_array_equal(patch.mask[how], expected)
    with pytest.raises(InputError, match="join_operation 'nor' is unknown"):
        JoinMasksTask({MASK: ["CLM", "W"]}, (MASK, "X"), "nor")
    with pytest.raises(InputError, match="does not fit"):
        arrays.masked(CUBE, clouds[:, :2], 1, 0)


def test_dates_are_filtered_and_everything_dated_with_them():
    shapes = gpd.GeoDataFrame(
        {"TIMESTAMP": pd.to_datetime(list(MOMENTS))}, geometry=[shapely.Point(x, 0) for x in range(3)], crs=32633
    )
    valid = np.ones((3, 4, 6, 1), bool)
    valid[1, :, :4] = False
    patch = patch_of(
        data={"A": CUBE}, mask={"V": valid}, scalar={"S": np.arange(3.0)[:, None]}, data_timeless={"D": CUBE[0]},
        vector={"P": shapes},
    )  # fmt: skip
    kept = SimpleFilterTask((MASK, "V"), lambda mask: mask.mean() > 0.5)(patch)
    assert [when.month for when in kept.timestamps] == [1, 3]
    np.testing.assert_array_equal(kept.data["A"], CUBE[[0, 2]])
    assert kept.scalar["S"].ravel().tolist() == [0, 2]
    assert kept.vector["P"].geometry.x.tolist() == [0, 2]
    assert kept.data_timeless["D"] is patch.data_timeless["D"]
    assert len(patch.timestamps) == 3
    early = FilterTimeSeriesTask(moment(2017, 1, 1), moment(2017, 2, 28))(patch)
    assert [when.month for when in early.timestamps] == [1, 2]
    by_moment = SimpleFilterTask("timestamps", lambda when: when.month == 3, [(DATA, "A")])(patch)
    assert by_moment.get_features() == [(DATA, "A")]


# --- interpolation ----------------------------------------------------------------------------------------------------

SERIES = hnp.arrays("float64", (6, 3), elements=st.one_of(st.just(np.nan), st.floats(-10, 10)))


@given(
    SERIES, st.lists(st.integers(0, 40), min_size=6, max_size=6, unique=True), st.lists(st.integers(-5, 45), min_size=1)
)
def test_interpolation_is_numpys_between_the_values_known_and_nothing_beyond(values, times, targets):
    times, targets = np.array(times), np.array(targets)
    found = arrays.interpolate(values, times, targets)
    order = np.argsort(times)
    for number in range(3):
        known = order[~np.isnan(values[order, number])]
        expected = np.full(len(targets), np.nan)
        if known.size:
            expected = np.interp(targets, times[known], values[known, number], left=np.nan, right=np.nan)
        np.testing.assert_allclose(found[:, number], expected, rtol=0, atol=1e-12)


def test_values_of_one_hour_are_averaged():
    values = np.array([[1.0, np.nan], [3.0, 5.0], [4.0, np.nan]])
    found = arrays.interpolate(values, np.array([0, 0, 10]), np.array([0, 5, 10]))
    np.testing.assert_array_equal(found, [[2.0, 5.0], [3.0, np.nan], [4.0, np.nan]])


def test_the_task_interpolates_valid_values_on_new_dates_in_float64():
    moments = [moment(2019, 1, day, 10, 10) for day in (1, 11, 31)]
    values = np.array([1.0, 100.0, 4.0], "float32").reshape(3, 1, 1, 1) * np.ones((1, 2, 3, 2), "float32")
    valid = np.ones((3, 2, 3, 1), bool)
    valid[1] = False
    valid[0, 0, 0] = False
    patch = EOPatch(
        bbox=BBox(BOX, 32633), timestamps=moments, data={"F": values}, mask={"V": valid},
        mask_timeless={"LULC": np.ones((2, 3, 1), "uint8")},
    )  # fmt: skip
    task = LinearInterpolationTask(
        (DATA, "F", "NEW"), mask_feature=(MASK, "V"), copy_features=[(TIMELESS, "LULC", "L")],
        resample_range=("2019-01-01", "2019-02-20", 10),
    )  # fmt: skip
    made = task(patch)
    assert made.get_features() == [(DATA, "NEW"), (TIMELESS, "L")]
    assert [when.day for when in made.timestamps] == [1, 11, 21, 31, 10]
    assert (made.data["NEW"].shape, made.data["NEW"].dtype) == ((5, 2, 3, 2), "float64")
    np.testing.assert_allclose(made.data["NEW"][:, 1, 1, 0], [1, 2, 3, 4, np.nan])
    # With its first date clouded, the pixel is known on the last alone.
    np.testing.assert_array_equal(made.data["NEW"][:, 0, 0, 0], [np.nan, np.nan, np.nan, 4, np.nan])
    np.testing.assert_array_equal(patch.data["F"], values)


def test_the_task_fills_gaps_in_place_without_new_dates():
    values = np.array([1.0, np.nan, 4.0, np.nan]).reshape(4, 1, 1, 1)
    moments = [moment(2019, 1, day) for day in (1, 11, 31, 31)]
    patch = EOPatch(bbox=BBox(BOX, 32633), timestamps=moments, data={"F": values})
    assert LinearInterpolationTask((DATA, "F"), result_interval=(0, 3.5), unknown_value=-1)(patch) is patch
    assert patch.data["F"].ravel().tolist() == [1, 2, 3.5, 3.5]
    one = EOPatch(timestamps=moments[:1], data={"F": values[:1]})
    with pytest.raises(InputError, match="data/F has 1 dates; interpolation needs two"):
        LinearInterpolationTask((DATA, "F"))(one)
    for wrong in ("2019", ("2019-01-01", "2019-02-30", 8), ("2019-01-01", "2019-02-01", 0)):
        with pytest.raises(InputError, match="resample_range"):
            LinearInterpolationTask((DATA, "F"), resample_range=wrong)


# --- labels -----------------------------------------------------------------------------------------------------------


def test_the_disk_of_opencv_is_a_square_s_ellipse():
    # As OpenCV 4 draws them.
    assert arrays.ellipse(1).tolist() == [[True]]
    assert arrays.ellipse(2).astype(int).tolist() == [[0, 1], [1, 1]]
    assert ["".join(".#"[x] for x in row) for row in arrays.ellipse(6).astype(int)] == [
        "...#..", ".#####", "######", "######", "######", ".#####",
    ]  # fmt: skip


@given(hnp.arrays("uint8", (7, 8), elements=st.integers(0, 3)), st.integers(1, 5), st.sampled_from([None, [1], [1, 3]]))
def test_erosion_keeps_labels_with_nothing_else_in_their_ellipse(labels, size, only):
    shape, middle = arrays.ellipse(size), size // 2
    expected = labels.copy()
    for y, x in np.ndindex(labels.shape):
        if only is not None and labels[y, x] not in only:
            continue
        near = [
            (y + dy - middle, x + dx - middle) for dy, dx in np.argwhere(shape)
        ]  # fmt: skip
        if any(0 <= v < 7 and 0 <= u < 8 and labels[v, u] != labels[y, x] for v, u in near):
            expected[y, x] = 0
    np.testing.assert_array_equal(arrays.erode(labels, shape, only=only), expected)


def test_a_disk_of_one_erodes_nothing():
    labels = RNG.integers(0, 3, (4, 6, 1)).astype("uint8")
    patch = patch_of(mask_timeless={"LULC": labels})
    ErosionTask((TIMELESS, "LULC", "ERODED"), disk_radius=1)(patch)
    np.testing.assert_array_equal(patch.mask_timeless["ERODED"], labels)
    with pytest.raises(InputError, match="disk_radius is 0"):
        ErosionTask((TIMELESS, "LULC"), disk_radius=0)


def boxes(values, **columns):
    """Squares of 20 m from the left, a value each."""
    left, bottom = BOX[:2]
    shapes = [shapely.box(left + 20 * k, bottom, left + 20 * k + 20, bottom + 20) for k in range(len(values))]
    return gpd.GeoDataFrame({"code": values, **columns}, geometry=shapes, crs=32633)


def test_polygons_become_a_raster():
    patch = patch_of(data={"A": CUBE}, vector_timeless={"LU": boxes([3, 5, 7])})
    expected = np.zeros((4, 6), "uint8")
    expected[2:] = [3, 3, 5, 5, 7, 7]
    task = VectorToRasterTask(
        (FeatureType.VECTOR_TIMELESS, "LU"), (TIMELESS, "L"), values_column="code", raster_shape=(DATA, "A")
    )
    np.testing.assert_array_equal(task(patch).mask_timeless["L"][..., 0], expected)
    degrees = boxes([3, 5, 7]).to_crs(4326)
    for vectors, options, answer in (
        (degrees, {"values_column": "code", "raster_resolution": 10}, expected),
        (degrees, {"values_column": "code", "values": [5], "raster_shape": (4, 6)}, np.where(expected == 5, 5, 0)),
        (degrees, {"values": 1, "raster_resolution": "10m", "raster_dtype": bool}, expected > 0),
        (degrees, {"values": 1, "raster_shape": (4, 6), "no_data_value": 9}, np.where(expected > 0, 1, 9)),
    ):
        made = VectorToRasterTask(vectors, (TIMELESS, "M"), **options)(patch).mask_timeless["M"]
        np.testing.assert_array_equal(made[..., 0], answer)
    double = pd.concat([boxes([3]), boxes([5, 7])])
    overlapped = VectorToRasterTask(
        double, (TIMELESS, "M"), values_column="code", raster_shape=(4, 6), overlap_value=255
    )(patch).mask_timeless["M"][2, :, 0]
    assert overlapped.tolist() == [255, 255, 7, 7, 0, 0]
    later = VectorToRasterTask(double, (TIMELESS, "M"), values_column="code", raster_shape=(4, 6))(patch)
    assert later.mask_timeless["M"][2, :, 0].tolist() == [5, 5, 7, 7, 0, 0]


def test_the_real_register_becomes_the_raster_that_eolearn_made_of_it(shared_data):
    real = shared_data / "eolearn_slovenia_patch"
    with rasterio.open(real / "lulc_reference.tif") as file:
        theirs = file.read(1)
    corners = np.array(json.loads((real / "bbox.geojson").read_text())["coordinates"][0])
    patch = EOPatch(bbox=BBox((*corners.min(axis=0), *corners.max(axis=0)), "EPSG:32633"))
    task = VectorToRasterTask(
        gpd.read_file(real / "lulc_reference.gpkg"), (TIMELESS, "LULC"), values_column="LULC_ID",
        raster_shape=theirs.shape,
    )  # fmt: skip
    ours = task(patch).mask_timeless["LULC"][..., 0]
    np.testing.assert_array_equal(ours, theirs)
    assert set(np.unique(ours).tolist()) == {0, 1, 2, 3, 4, 8}


def test_dated_polygons_become_a_dated_raster_and_may_be_drawn_upon():
    dated = boxes([3, 5, 7], TIMESTAMP=pd.to_datetime([MOMENTS[0], MOMENTS[2], "2019-01-01T00:00:00"]))
    patch = patch_of(data={"A": CUBE}, vector={"V": dated}, mask={"M": np.full((3, 4, 6, 1), 1, "int16")})
    options = {"values_column": "code", "raster_shape": (DATA, "A"), "write_to_existing": True}
    made = VectorToRasterTask((FeatureType.VECTOR, "V"), (MASK, "M"), **options)(patch).mask["M"]
    assert made.dtype == "int16"
    assert made[:, 3, :, 0].tolist() == [[3, 3, 1, 1, 1, 1], [1] * 6, [1, 1, 5, 5, 1, 1]]
    with pytest.raises(InputError, match="Vectors without dates"):
        VectorToRasterTask(boxes([1]), (MASK, "M"), values=1, raster_shape=(4, 6))
    for options in (
        {"values": 1},
        {"raster_shape": (4, 6)},
        {"values": 1, "raster_shape": (4, 6), "raster_resolution": 9},
    ):
        with pytest.raises(InputError, match="Give"):
            VectorToRasterTask(boxes([1]), (TIMELESS, "M"), **options)


# --- samples and models -----------------------------------------------------------------------------------------------


def test_a_share_of_each_label_is_drawn_with_its_features():
    labels = np.repeat(np.array([0, 1, 2, 4], "uint8"), [40, 100, 40, 20]).reshape(10, 20, 1)
    place = np.arange(200.0).reshape(1, 10, 20, 1) * np.ones((2, 1, 1, 3))
    patch = EOPatch(timestamps=MOMENTS[:2], data={"F": place}, mask_timeless={"L": labels})
    task = FractionSamplingTask(
        [(DATA, "F", "DRAWN"), (TIMELESS, "L", "L_DRAWN")], (TIMELESS, "L"), 0.25, exclude_values=[0],
        mask_of_samples=(TIMELESS, "WHERE"),
    )  # fmt: skip
    task(patch, seed=42)
    drawn = patch.mask_timeless["L_DRAWN"]
    assert drawn.shape == (40, 1, 1)
    assert np.bincount(drawn.ravel()).tolist() == [0, 25, 10, 0, 5]
    places = patch.data["DRAWN"][0, :, 0, 0].astype(int)
    assert patch.data["DRAWN"].shape == (2, 40, 1, 3)
    assert len(set(places.tolist())) == 40
    np.testing.assert_array_equal(labels.ravel()[places], drawn.ravel())
    np.testing.assert_array_equal(np.flatnonzero(patch.mask_timeless["WHERE"]), np.sort(places))
    task(patch, seed=42)
    np.testing.assert_array_equal(patch.data["DRAWN"][0, :, 0, 0], places)
    task(patch, seed=1, fraction={4: 1.0})
    assert patch.mask_timeless["L_DRAWN"].ravel().tolist() == [4] * 20
    with pytest.raises(InputError, match=r"fraction contains 1\.5"):
        FractionSamplingTask((DATA, "F"), (TIMELESS, "L"), 1.5)


class Nearest:
    """Class 3 where the first feature is under a half, else 8."""

    classes_ = np.array([3, 8])

    def predict_proba(self, rows):
        self.seen = rows
        high = rows[:, 0]
        return np.stack([1 - high, high], axis=1)

    def predict(self, rows):
        return self.classes_[(rows[:, 0] >= 0.5).astype(int)]


def test_a_patch_and_a_model_give_the_patch_with_labels_and_scores():
    patch, model = patch_of(data={"F": CUBE}), Nearest()
    assert PredictPatchTask(model, (DATA, "F"), "LBL", "SCR")(patch) is patch
    expected = np.where(CUBE[0, ..., :1] >= 0.5, 8, 3)
    np.testing.assert_array_equal(patch.mask_timeless["LBL"], expected)
    np.testing.assert_array_equal(patch.data_timeless["SCR"][..., 1], CUBE[0, ..., 0])
    # A row is a pixel, date by date.
    np.testing.assert_array_equal(model.seen[7], CUBE[:, 1, 1].ravel())
    np.testing.assert_array_equal(PredictPatchTask(model, (DATA, "F"), "ONLY")(patch).mask_timeless["ONLY"], expected)
    assert (FeatureType.DATA_TIMELESS, "ONLY") not in patch


@given(st.integers(1, 30))
def test_strips_change_nothing(pixels):
    whole = arrays.by_rows(CUBE, lambda rows: [rows, rows[:, 0]])
    parts = arrays.by_rows(CUBE, lambda rows: [rows, rows[:, 0]], pixels=pixels)
    assert [part.shape for part in parts] == [(4, 6, 6), (4, 6)]
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("with_recipe", [False, True])
def test_a_model_of_ours_predicts_too(with_recipe):
    from landweave.classifier.fit import fit
    from landweave.classifier.model import Model
    from landweave.features.recipe import Recipe

    recipe = Recipe(bands=("B04", "B08"), days=(0, 30, 60))
    units = np.concatenate([RNG.normal(mean, 100, (60, 6)) for mean in (1000, 4000)])
    # A run's model knows whole units of 1e-4, a table's what stood in it.
    rows = units.astype("int16") if with_recipe else (units * 1e-4).astype("float32")
    estimator = fit(
        rows, np.repeat([1, 2], 60).astype("uint8"), feature_names=recipe.feature_names,
        params={"n_estimators": 5, "min_child_samples": 5},
    )  # fmt: skip
    known = recipe.to_json() if with_recipe else None
    model = Model(estimator=estimator, class_names={1: "low", 2: "high"}, recipe=known)
    cube = np.full((3, 4, 6, 2), 0.1)
    cube[:, :, 3:] = 0.4
    patch = PredictPatchTask(model, (DATA, "F"), "LBL", "SCR")(patch_of(data={"F": cube}))
    assert patch.mask_timeless["LBL"][0, :, 0].tolist() == [1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(patch.data_timeless["SCR"].sum(axis=-1), 1, atol=1e-6)
    if with_recipe:
        with pytest.raises(InputError, match="4 features per pixel, but the model needs 6 features, 3 dates of 2"):
            PredictPatchTask(model, (DATA, "F"), "LBL")(EOPatch(data={"F": cube[:2]}))


# --- files, and both ways ---------------------------------------------------------------------------------------------


def test_a_feature_becomes_a_geotiff(tmp_path):
    patch = patch_of(data={"A": CUBE}, mask_timeless={"L": np.arange(24).reshape(4, 6, 1)})
    ExportToTiffTask((DATA, "A"), tmp_path)(patch, filename="all")
    with rasterio.open(tmp_path / "all.tif") as file:
        np.testing.assert_array_equal(file.read(), np.moveaxis(CUBE, -1, 1).reshape(6, 4, 6))
        assert (file.bounds, file.crs.to_epsg()) == (BOX, 32633)
    ExportToTiffTask((DATA, "A"), tmp_path / "some.tif", date_indices=[2], band_indices=(0, 1))(patch)
    with rasterio.open(tmp_path / "some.tif") as file:
        np.testing.assert_array_equal(file.read(), np.moveaxis(CUBE[2], -1, 0))
    between = ExportToTiffTask((DATA, "A"), tmp_path, date_indices=("2017-01-01", "2017-02-28"), band_indices=[1])
    between(patch, filename="between.tiff")
    with rasterio.open(tmp_path / "between.tiff") as file:
        np.testing.assert_array_equal(file.read(), CUBE[:2, ..., 1])
    ExportToTiffTask((TIMELESS, "L"), folder=tmp_path, crs="EPSG:4326", no_data_value=255, image_dtype="uint8")(
        patch, filename="degrees"
    )
    with rasterio.open(tmp_path / "degrees.tif") as file:
        assert (file.crs.to_epsg(), file.dtypes, file.nodata) == (4326, ("uint8",), 255)
        found = file.read(1)
        assert {0, 5, 18, 23} < set(found.ravel().tolist()) <= {*range(24), 255}
        # North is up, west is left.
        assert found[found < 255][0] < 6
    with pytest.raises(InputError, match="data/X and a bbox are needed"):
        ExportToTiffTask((DATA, "X"), tmp_path)(patch, filename="x")
    assert ExportToTiffTask((DATA, "X"), tmp_path, fail_on_missing=False)(patch, filename="x") is patch


def test_folders_are_loaded_and_saved_by_tasks(tmp_path):
    patch = patch_of(data={"A": CUBE})
    assert SaveTask(tmp_path)(patch, eopatch_folder="p") is patch
    assert LoadTask(tmp_path)(eopatch_folder="p") == patch
    more = patch_of(mask={"M": CUBE > 0.5})
    both = LoadTask(tmp_path, lazy_loading=True)(more, eopatch_folder="p")
    assert both.get_features() == [(DATA, "A"), (MASK, "M")]
    with pytest.raises(InputError, match="data/A has other values"):
        LoadTask(tmp_path)(patch_of(data={"A": CUBE + 1}), eopatch_folder="p")
    with pytest.raises(InputError, match="leave filesystem and config out"):
        LoadTask(tmp_path, filesystem=object())


def test_a_function_of_ours_is_a_task_and_a_task_is_a_function_of_ours():
    def darken(dataset, *, by):
        return dataset.assign(B04=dataset.B04 * by, dark=dataset.B08 < 0.5).drop_vars("B08")

    names = {("data", "BANDS"): ["B04", "B08"]}
    patch = patch_of(data={"BANDS": CUBE}, mask={"CLM": CUBE[..., :1] > 0.9}, meta_info={"note": 1})
    made = as_task(darken, names=names, by=2.0)(patch)
    # The two bands are no longer both there, so that each is a feature of its own.
    assert made.get_features() == [(DATA, "B04"), (MASK, "CLM"), (MASK, "dark"), (FeatureType.META_INFO, "note")]
    np.testing.assert_array_equal(made.data["B04"], CUBE[..., :1] * 2)
    np.testing.assert_array_equal(made.mask["dark"], CUBE[..., 1:] < 0.5)
    assert made.timestamps == patch.timestamps

    ndvi = NormalizedDifferenceIndexTask((DATA, "BANDS"), (DATA, "NDVI"), [1, 0])
    dataset = as_step(ndvi, names=names)(patch.to_dataset(names=names))
    np.testing.assert_array_equal(dataset.NDVI.values, ndvi(patch.copy()).data["NDVI"][..., 0])
    np.testing.assert_array_equal(dataset.B04.values, CUBE[..., 0])
    again = as_task(as_step(ndvi, names=names), names=names)(patch)
    assert again == ndvi(patch.copy())


def test_dates_that_a_function_changes_are_the_patch_s():
    patch = patch_of(data={"A": CUBE[..., :1]}, scalar={"S": np.ones((3, 1))})
    made = as_task(lambda dataset: dataset.isel(time=[0, 2]))(patch)
    assert [when.month for when in made.timestamps] == [1, 3]
    assert made.get_features() == [(DATA, "A")]
