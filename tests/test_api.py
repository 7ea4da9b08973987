"""The functions for whoever holds an xarray Dataset: load, mask_clouds, compute_features, predict."""

import datetime
import warnings
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import rasterio
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

import landweave
from landweave.api.period import read_period
from landweave.classifier.model import Model
from landweave.errors import InputError
from landweave.features.clouds import mask_reasons

GRID = GeoBox((8, 9), Affine(10, 0, 500_040, 0, -10, 5_100_000), "EPSG:32633")
DAYS = [datetime.date(2017, 1, 1), datetime.date(2017, 1, 21)]


@pytest.fixture(scope="module")
def source():
    return landweave.simulated_source(size_km=1.2, n_dates=6, seed=3)


@pytest.fixture(scope="module")
def run(finished):
    return landweave.open_run(finished)


@pytest.fixture(scope="module")
def archive(finished):
    return landweave.open_stac(finished / "archive" / "catalog.json", max_cloud_cover=100)


def patch_of(values, *, days=DAYS, **more):
    """A patch of one value a band and date."""
    bands = {name: np.stack([np.full(GRID.shape, v, "int16") for v in of]) for name, of in values.items()}
    patch = landweave.make_patch({**bands, **more}, GRID, days)
    return patch.assign_attrs(time_coverage_start="2017-01-01", time_coverage_end="2017-01-21")


# Load


@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("2017", (2017, 1, 1), (2017, 12, 31)),
        ("2016-02", (2016, 2, 1), (2016, 2, 29)),
        ("2017-05-03", (2017, 5, 3), (2017, 5, 3)),
        ("2017-01-05/2017-03", (2017, 1, 5), (2017, 3, 31)),
        (("2017-01-01", "2017-12-31"), (2017, 1, 1), (2017, 12, 31)),
        ([datetime.date(2017, 1, 1), datetime.datetime(2017, 2, 2, 9)], (2017, 1, 1), (2017, 2, 2)),  # noqa: DTZ001
        (slice("2017", "2018"), (2017, 1, 1), (2018, 12, 31)),
        (pd.Timestamp("2017-04-01"), (2017, 4, 1), (2017, 4, 1)),
        (("2017-01-01", np.datetime64("2017-03-31")), (2017, 1, 1), (2017, 3, 31)),
    ],
)
def test_a_period_is_read_as_people_write_it(period, start, end):
    assert read_period(period) == (datetime.date(*start), datetime.date(*end))


@pytest.mark.parametrize("period", ["17", "2017-13", "2017-02-30", "summer", None, ("2018", "2017"), 5.5])
def test_what_is_no_period_raises_one_line_with_examples(period):
    with pytest.raises(InputError, match="period") as error:
        read_period(period)
    assert "\n" not in str(error.value)


def test_an_open_end_is_the_first_or_last_date_of_the_imagery(source):
    dates = source.dates(None, None)
    patch = landweave.load(source, source.geobox[:4, :5], (None, None), ["B04"])
    assert patch.attrs["time_coverage_start"] == str(dates[0])
    assert patch.attrs["time_coverage_end"] == str(dates[-1])


def test_load_gives_what_the_source_has_with_its_grid(source):
    grid = source.geobox[10:16, 20:27]
    dates = source.dates(None, None)
    expected = source.load(grid, dates, source.variables)
    patch = landweave.load(source, grid, "2017")
    assert patch.odc.geobox == grid
    assert patch["spatial_ref"].item() == 32633
    assert list(patch["time"].values.astype("datetime64[D]")) == [np.datetime64(day) for day in dates]
    for name in source.variables:
        assert patch[name].dims == ("time", "y", "x")
        assert patch[name].dtype == expected[name].dtype
        np.testing.assert_array_equal(patch[name].values, expected[name].values)


def test_a_cell_is_a_grid_too(source):
    grid = source.geobox[:5, :5]
    cell = landweave.Cell(name="here", geobox=grid)
    assert landweave.load(source, cell, "2017", ["B04"]).odc.geobox == grid


def test_variables_say_what_they_are(source):
    patch = landweave.load(source, source.geobox[:4, :5], "2017")
    red, scene = patch["B04"].attrs, patch["SCL"].attrs
    assert red["standard_name"] == "surface_bidirectional_reflectance"
    assert (red["units"], red["scale"], red["nodata"]) == ("1", 1e-4, -32768)
    assert "red" in red["long_name"]
    assert patch["B04"].odc.nodata == -32768
    assert scene["flag_values"].dtype == np.uint8
    meanings = dict(zip(scene["flag_values"].tolist(), scene["flag_meanings"].split(), strict=True))
    assert (meanings[3], meanings[9], meanings[11]) == ("cloud_shadow", "cloud_high_probability", "snow_or_ice")


def test_a_patch_comes_back_from_disk_as_integers(source, tmp_path):
    patch = landweave.load(source, source.geobox[:4, :5], "2017")
    patch.to_zarr(tmp_path / "patch.zarr", consolidated=False)
    again = xr.open_zarr(tmp_path / "patch.zarr", consolidated=False, decode_coords="all").load()
    xr.testing.assert_equal(again, patch)
    assert {name: v.dtype for name, v in again.data_vars.items()} == {
        name: v.dtype for name, v in patch.data_vars.items()
    }
    assert again.attrs == patch.attrs
    assert again["B04"].odc.geobox == patch.odc.geobox
    landweave.write_patch(patch, tmp_path / "ours.zarr")
    ours = landweave.read_patch(tmp_path / "ours.zarr").load()
    xr.testing.assert_equal(ours.set_coords("spatial_ref"), patch)


def test_a_catalogue_needs_no_opening(finished, archive):
    cell = landweave.open_run(finished).cells[0]
    expected = landweave.load(archive, cell, "2017", ["B04", "SCL"])
    for place in (finished / "archive" / "catalog.json", str(finished / "archive")):
        patch = landweave.load(place, cell, "2017", ["B04", "SCL"])
        # A path is searched with the default of 80 per cent of cloud.
        xr.testing.assert_equal(patch, expected.sel(time=patch["time"]))


def test_scenes_of_a_day_or_an_id_can_be_left_out(finished, archive):
    place, days = finished / "archive" / "catalog.json", archive.dates()
    of_last_day = [scene.id for scene in archive.passes[days[-1]]]
    fewer = landweave.open_stac(place, max_cloud_cover=100, exclude=[str(days[0]), *of_last_day], timeout=5)
    assert days[0] not in fewer.dates()
    # An older processing of the same acquisition may take the place of the newest.
    assert not {scene.id for scene in fewer.scenes}.intersection(of_last_day)
    with pytest.raises(InputError, match="1999-01-01"):
        landweave.open_stac(place, exclude=["1999-01-01"])


def test_what_cannot_be_loaded_is_one_line(source, tmp_path):
    grid = source.geobox[:4, :5]
    cases = {
        "did you mean 'B04'": lambda: landweave.load(source, grid, "2017", ["B4"]),
        "the imagery is from 2017": lambda: landweave.load(source, grid, "2018"),
        "geobox is a tuple": lambda: landweave.load(source, (1, 2), "2017"),
        "a dict without 'dates'": lambda: landweave.load({}, grid, "2017"),
        "no such catalogue": lambda: landweave.load(tmp_path / "no.json", grid, "2017"),
        "open_eopatches": lambda: landweave.load(tmp_path, grid, "2017"),
        "radiometry": lambda: landweave.open_stac("catalog.json", radiometry="hope"),
        "west, south, east, north": lambda: landweave.open_stac("catalog.json", area=(9, 9, 2, 2)),
    }
    for message, call in cases.items():
        with pytest.raises(InputError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


# Mask


def test_masked_observations_become_missing_and_say_why():
    scene = np.full((2, *GRID.shape), 4, "uint8")
    scene[0, :, :3] = 9
    scene[1, 0] = 0
    patch = patch_of({"B04": (100, 200), "B08": (300, 400)}, SCL=scene)
    expected = mask_reasons(patch, bands=["B04", "B08"], clouds="scl")
    before = patch.copy(deep=True)
    clear = landweave.mask_clouds(patch)
    xr.testing.assert_identical(patch, before)
    np.testing.assert_array_equal(clear["mask_reason"].values, expected)
    assert clear["mask_reason"].attrs["flag_meanings"] == "valid no_data cloud_or_shadow snow"
    for band in ("B04", "B08"):
        assert clear[band].dtype == np.int16
        np.testing.assert_array_equal(clear[band].values, np.where(expected == 0, patch[band].values, -32768))
    np.testing.assert_array_equal(clear["SCL"].values, scene)


def test_masked_as_nan_bands_are_reflectance(source):
    patch = landweave.load(source, source.geobox[:30, :30], "2017")
    packed, floats = landweave.mask_clouds(patch), landweave.mask_clouds(patch, masked="nan")
    expected = np.where(packed["B04"].values == -32768, np.nan, packed["B04"].values * 1e-4)
    assert floats["B04"].dtype == np.float32
    assert not {"scale", "nodata"} & floats["B04"].attrs.keys()
    np.testing.assert_allclose(floats["B04"].values, expected, atol=1e-7)
    assert 0 < np.isnan(expected).mean() < 1


def test_features_of_reflectance_are_those_of_its_integers(source):
    patch = landweave.load(source, source.geobox[:30, :30], "2017")
    expected = landweave.compute_features(landweave.mask_clouds(patch), dtype="int16")
    floats = landweave.compute_features(landweave.mask_clouds(patch, masked="nan"), dtype="int16")
    np.testing.assert_array_equal(floats.values, expected.values)


def test_dilation_is_in_metres():
    scene = np.full((2, *GRID.shape), 4, "uint8")
    scene[0, 4, 4] = 9
    clear = landweave.mask_clouds(patch_of({"B04": (1, 1)}, SCL=scene), dilation=20)
    y, x = np.mgrid[:8, :9]
    np.testing.assert_array_equal(clear["mask_reason"].values[0] == 2, (y - 4) ** 2 + (x - 4) ** 2 <= 4)


def test_bands_say_what_must_have_data():
    patch = patch_of({"B01": (-32768, 5), "B04": (7, 7)}, SCL=np.full((2, *GRID.shape), 4, "uint8"))
    assert (landweave.mask_clouds(patch)["mask_reason"].values[0] == 1).all()
    assert (landweave.mask_clouds(patch, bands=["B04"])["mask_reason"].values == 0).all()


def test_s2cloudless_sees_clouds_where_they_are(shared_data):
    if find_spec("s2cloudless") is None:
        pytest.skip('the package s2cloudless is not here: pip install "landweave[clouds]"')
    folder = shared_data / "eolearn_slovenia_patch"
    names = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12")
    source = landweave.open_rasters(root=folder, pattern="bands_l1c/S2_L1C_{date:%Y-%m-%d}.tif", bands=names)
    patch = landweave.load(source, source.geobox, "2015")
    assert patch["B04"].attrs["standard_name"] == "toa_bidirectional_reflectance"
    cloudy = (landweave.mask_clouds(patch, clouds="s2cloudless")["mask_reason"] == 2).mean(("y", "x"))
    shares = dict(zip(patch["time"].dt.strftime("%m-%d").values.tolist(), cloudy.values.tolist(), strict=True))
    assert min(shares["07-31"], shares["08-20"]) > 0.6
    assert max(shares["07-11"], shares["08-30"], shares["09-09"]) < 0.3


def test_masks_that_cannot_be_made_are_one_line(source):
    patch = landweave.load(source, source.geobox[:8, :8], "2017", ["B04", "B08"])
    bare = patch.drop_vars(["x", "y", "spatial_ref"])
    cases = {
        "lacks": lambda: landweave.mask_clouds(patch),
        "no B01": lambda: landweave.mask_clouds(patch, clouds="s2cloudless"),
        "masked": lambda: landweave.mask_clouds(patch, clouds="none", masked="zero"),
        "no grid": lambda: landweave.mask_clouds(bare, clouds="none", dilation=20),
        "no band": lambda: landweave.mask_clouds(patch.astype("uint16"), clouds="none"),
    }
    for message, call in cases.items():
        with pytest.raises(InputError, match=message):
            call()


# Features


def masked_as_in_a_run(run, archive, cell):
    patch = landweave.load(archive, cell, "2017")
    return landweave.mask_clouds(patch, bands=run.plan.recipe.source_bands)


def test_features_are_those_of_a_run(run, archive):
    samples = run.samples()
    recipe = Model.load(run.folder / "model").recipe
    for cell in run.cells:
        rows = samples[samples["patch"] == cell.name]
        made = landweave.compute_features(masked_as_in_a_run(run, archive, cell), recipe, dtype="int16")
        names = made["feature"].values.tolist()
        expected = rows[names].to_numpy().astype("float64")
        expected = np.where(np.isnan(expected), -32768, expected).astype("int16")
        at = {axis: xr.DataArray(rows[axis].to_numpy(), dims="row") for axis in ("x", "y")}
        np.testing.assert_array_equal(made.sel(at, method="nearest").transpose("row", "feature").values, expected)
    assert len(samples) > 100


def test_defaults_are_those_of_a_project(run, archive):
    patch = masked_as_in_a_run(run, archive, run.cells[0])
    made = landweave.compute_features(patch, step_days=60, dtype="int16")
    assert tuple(made["feature"].values) == run.plan.recipe.feature_names
    assert len(landweave.compute_features(patch).groupby("date")) == 23


def test_features_have_names_bands_and_dates():
    patch = patch_of({"B04": (1000, 3000), "B08": (3000, 3000)})
    patch["dem"] = (("y", "x"), np.full(GRID.shape, 321.5, "float32"))
    made = landweave.compute_features(patch, static=["dem"], indices=["ndvi"], step_days=10)
    assert made.dims == ("feature", "y", "x")
    assert made["feature"].values.tolist() == [
        "B04_d000", "B08_d000", "ndvi_d000", "B04_d010", "B08_d010", "ndvi_d010", "B04_d020", "B08_d020", "ndvi_d020",
        "dem",
    ]  # fmt: skip
    assert made["band"].values.tolist()[3:6] == ["B04", "B08", "ndvi"]
    assert str(made["date"].values[3])[:10] == "2017-01-11"
    assert np.isnat(made["date"].values[-1])
    np.testing.assert_allclose(made.values[:, 0, 0], [0.1, 0.3, 0.5, 0.2, 0.3, 0.25, 0.3, 0.3, 0.0, 321.5], atol=1e-6)
    assert made.odc.geobox == GRID


def test_integers_and_units_give_the_floats(source):
    patch = landweave.mask_clouds(landweave.load(source, source.geobox[:20, :20], "2017"))
    packed, floats = landweave.compute_features(patch, dtype="int16"), landweave.compute_features(patch)
    decoded = (packed * packed["scale"] + packed["offset"]).where(packed != packed.attrs["nodata"])
    half = 0.51 * packed["scale"]
    assert (np.isnan(decoded) == np.isnan(floats)).all()
    assert (np.isnan(floats) | (abs(decoded - floats) <= half)).all()


def test_dates_with_little_to_see_are_left_out():
    scene = np.full((2, *GRID.shape), 4, "uint8")
    scene[1, :6] = 9
    patch = landweave.mask_clouds(patch_of({"B04": (1000, 3000)}, SCL=scene))
    made = landweave.compute_features(patch, step_days=20, min_valid_fraction=0.5)
    assert np.isnan(made.sel(feature="B04_d020").values).all()
    assert not np.isnan(made.sel(feature="B04_d000").values).any()


def test_one_band_that_no_index_knows_is_its_own_feature():
    made = landweave.compute_features(patch_of({"NDVI": (1000, 3000)}), step_days=20)
    assert made["feature"].values.tolist() == ["NDVI_d000", "NDVI_d020"]


def test_features_that_cannot_be_made_are_one_line(source):
    patch = landweave.load(source, source.geobox[:4, :5], "2017")
    recipe = landweave.Recipe(bands=("B04",), days=(0,))
    lost = patch.copy()
    lost.attrs = {}
    cases = {
        "both a recipe and bands": lambda: landweave.compute_features(patch, recipe, bands=["B04"]),
        "give period": lambda: landweave.compute_features(lost, recipe),
        "'B99'": lambda: landweave.compute_features(patch, bands=["B99"]),
        "custom.evi|evi": lambda: landweave.compute_features(patch, indices=["evi"], dtype="int16"),
        "dtype": lambda: landweave.compute_features(patch, dtype="uint8"),
        "uint16": lambda: landweave.compute_features(patch.assign(B04=patch.B04.astype("uint16")), recipe),
        "without time 'dem'": lambda: landweave.compute_features(patch, static=["dem"]),
    }
    for message, call in cases.items():
        with pytest.raises(InputError, match=message) as error:
            call()
        assert "\n" not in str(error.value)
    assert landweave.compute_features(lost, recipe, period="2017").shape == (1, 4, 5)
    assert landweave.compute_features(lost).attrs["time_coverage_start"] == str(source.dates(None, None)[0])


# Predict


def test_the_map_is_that_of_a_run(run, archive):
    for cell in run.cells:
        with rasterio.open(run.folder / "predictions" / f"{cell.name}.tif") as file:
            expected = file.read()
        made = landweave.predict(masked_as_in_a_run(run, archive, cell), run.folder / "model")
        inside = cell.mapped()
        for name, band in zip(("class", "confidence"), expected, strict=True):
            values = made[name].values if inside is None else np.where(inside, made[name].values, 0)
            assert made[name].dtype == np.uint8
            np.testing.assert_array_equal(values, band)
        assert made.odc.geobox == cell.geobox


def test_features_predict_as_their_patch_does_in_any_order(run, archive):
    patch = masked_as_in_a_run(run, archive, run.cells[0])
    model = Model.load(run.folder / "model")
    expected = landweave.predict(patch, model, probabilities=True)
    packed = landweave.compute_features(patch, model.recipe, dtype="int16")
    xr.testing.assert_equal(landweave.predict(packed, model, probabilities=True), expected)
    xr.testing.assert_equal(
        landweave.predict(packed[::-1].transpose("y", "x", "feature"), model)["class"], expected["class"]
    )
    floats = landweave.predict(landweave.compute_features(patch, model.recipe), model)
    assert (floats["class"] == expected["class"]).mean() > 0.99


def test_probabilities_are_those_behind_class_and_confidence(run, archive):
    patch = masked_as_in_a_run(run, archive, run.cells[0])
    patch["mask_reason"].values[:, :2] = 2
    made = landweave.predict(patch, run.folder / "model", probabilities=True, legend=run.plan.legend)
    shares = made["probabilities"]
    assert shares.dtype == np.float32
    assert shares.dims == ("class_name", "y", "x")
    assert (made["class"].values[:2] == 0).all()
    assert np.isnan(shares.values[:, :2]).all()
    known = made["class"].values > 0
    assert known.any()
    np.testing.assert_allclose(shares.values.sum(axis=0)[known], 1, atol=1e-5)
    best = made["class_value"].values[shares.values[:, known].argmax(axis=0)]
    np.testing.assert_array_equal(made["class"].values[known], best)
    np.testing.assert_array_equal(made["confidence"].values[known], np.rint(100 * shares.values[:, known].max(axis=0)))
    legend = run.plan.legend
    attrs = made["class"].attrs
    assert attrs["flag_values"].tolist() == list(legend.values)
    assert attrs["flag_meanings"].split()[0] == legend.classes[0].name.replace(" ", "_")
    assert attrs["flag_colors"].split() == [legend.colors[value] for value in legend.values]


def test_any_classifier_of_scikit_learn_predicts():
    from sklearn.ensemble import RandomForestClassifier

    made = landweave.compute_features(patch_of({"B04": (1000, 3000), "B08": (3000, 5000)}), step_days=20)
    made = made.copy(data=made.values + np.linspace(0, 1, 72, dtype="float32").reshape(GRID.shape))
    made.values[:, 3, 3] = np.nan
    table = made.stack(pixel=("y", "x")).transpose("pixel", "feature")  # noqa: PD013 - xarray
    labels = np.where(np.arange(72) < 36, 3, 7)
    forest = RandomForestClassifier(5, random_state=0).fit(table.to_pandas(), labels)
    expected = forest.predict(table.to_pandas()).reshape(GRID.shape)
    expected[3, 3] = 0
    with warnings.catch_warnings(action="error"):
        predicted = landweave.predict(made, forest)
    np.testing.assert_array_equal(predicted["class"].values, expected)
    assert predicted["class"].attrs["flag_values"].tolist() == [3, 7]
    named = RandomForestClassifier(5, random_state=0).fit(table.values, np.where(labels == 3, "water", "forest"))
    legend = landweave.Legend.of_names({3: "water", 7: "forest"})
    np.testing.assert_array_equal(landweave.predict(made, named, legend=legend)["class"].values, expected)
    by_order = landweave.predict(made, named)["class"]
    assert by_order.attrs["flag_meanings"] == "forest water"
    np.testing.assert_array_equal(by_order.values == 1, expected == 7)


def test_thresholds_move_classes_and_rejection_keeps_confidence(run, archive):
    patch = masked_as_in_a_run(run, archive, run.cells[0])
    plain = landweave.predict(patch, run.folder / "model", probabilities=True)
    name = plain["class_name"].values[-1]
    value = int(plain["class_value"].values[-1])
    eager = landweave.predict(patch, run.folder / "model", thresholds={name: 1e-6})
    assert (eager["class"] == value).mean() > (plain["class"] == value).mean()
    strict = landweave.predict(patch, run.folder / "model", reject_below=1.0)
    assert (strict["class"] == 0).mean() > 0.5
    np.testing.assert_array_equal(strict["confidence"].values, plain["confidence"].values)


def test_wrong_features_and_models_are_one_line(run, archive):
    from sklearn.dummy import DummyClassifier

    patch = masked_as_in_a_run(run, archive, run.cells[0])
    model = Model.load(run.folder / "model")
    made = landweave.compute_features(patch, model.recipe, dtype="int16")
    other = landweave.compute_features(patch, step_days=50, dtype="int16")
    scaled = made.assign_coords(scale=made["scale"] * 2)
    lost = patch.copy()
    lost.attrs = {}
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((4, 3)), [1, 2, 1, 2])
    zero = DummyClassifier(strategy="prior").fit(np.zeros((4, made.sizes["feature"])), [0, 1, 0, 1])
    cases = {
        "trained on .* other features.*'B02_d060'": lambda: landweave.predict(other, model),
        "and the model was trained with": lambda: landweave.predict(scaled, model),
        "give period": lambda: landweave.predict(lost, model),
        "B08": lambda: landweave.predict(patch.drop_vars("B08"), model),
        "trained on 3 features": lambda: landweave.predict(made, dummy),
        "compute_features": lambda: landweave.predict(patch, dummy),
        "class 0": lambda: landweave.predict(made, zero),
        "without predict_proba": lambda: landweave.predict(made, "x".__class__),
        "no model in this folder": lambda: landweave.predict(made, "nowhere"),
        "must be \\(feature": lambda: landweave.predict(made.rename(feature="layer"), model),
        "thresholds names": lambda: landweave.predict(made, model, thresholds={"moon": 1.0}),
        "reject_below": lambda: landweave.predict(made, model, reject_below=2),
        "patch is a list": lambda: landweave.predict([], model),
    }
    for message, call in cases.items():
        with pytest.raises(InputError, match=message) as error:
            call()
        assert "\n" not in str(error.value)


# All of it


def test_a_real_patch_goes_from_load_to_map(shared_data, tmp_path):
    """One square kilometre of Slovenia: NDVI of 2017 tells forest from grassland on ground that was not trained on."""
    from matplotlib.figure import Figure
    from sklearn.ensemble import RandomForestClassifier

    folder = shared_data / "eolearn_slovenia_patch"
    source = landweave.open_rasters(root=folder, pattern="{variable}_68dates.tif", mask="cloud_mask")
    patch = landweave.load(source, source.geobox, "2017", ["ndvi", "cloud_mask"])
    clear = landweave.mask_clouds(patch, clouds="mask", mask="cloud_mask")
    made = landweave.compute_features(clear)
    assert made.sizes["feature"] == 23
    with rasterio.open(folder / "lulc_reference.tif") as file:
        truth = file.read(1)
    table = np.nan_to_num(made.stack(pixel=("y", "x")).transpose("pixel", "feature").values, nan=-1)  # noqa: PD013 - xarray
    truth, west = truth.ravel(), np.indices(truth.shape)[1].ravel() < 50
    forest = RandomForestClassifier(30, n_jobs=1, random_state=0).fit(
        table[west & (truth > 0)], truth[west & (truth > 0)]
    )
    legend = landweave.Legend.of_names({1: "cultivated", 2: "forest", 3: "grassland", 4: "shrubland", 8: "artificial"})
    result = landweave.predict(made.fillna(-1), forest, legend=legend)
    east = ~west & (truth > 0)
    agreement = (result["class"].values.ravel()[east] == truth[east]).mean()
    assert agreement > 0.75
    cmap, norm = legend.cmap()
    axes = Figure().add_subplot()
    result["class"].plot.imshow(ax=axes, cmap=cmap, norm=norm)
    axes.figure.savefig(tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 5000
