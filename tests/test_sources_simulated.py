"""The simulated country: reproducible, plausible, and honest about what is planted in it."""

import datetime
import hashlib
import pickle
import tomllib

import geopandas
import numpy as np
import pytest
import rasterio
import rasterio.features
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from landweave.errors import InputError
from landweave.legend import Legend
from landweave.patch.model import NODATA
from landweave.sources.simulated.archive import archive as writing
from landweave.sources.simulated.archive.archive import write_archive
from landweave.sources.simulated.country import country_geobox, make_country
from landweave.sources.simulated.cover import BANDS, KINDS, LEGEND, NUMBER
from landweave.sources.simulated.noise import cells, smooth
from landweave.sources.simulated.register import error_frame, make_register, register_frame
from landweave.sources.simulated.scenes import acquisition_dates, scene
from landweave.sources.simulated.source import SimulatedSource
from landweave.sources.simulated.view import _clouds
from landweave.sources.simulated.weather import weather

SMALL = {"size_km": 1.5, "dates": 6, "seed": 3}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulated") / "country"
    steps = []
    write_archive(folder, **SMALL, progress=lambda done, total: steps.append((done, total)))
    assert steps[0][0] == 0
    assert steps[-1][0] == steps[-1][1]
    return folder


@pytest.fixture(scope="module")
def small():
    return make_country(size_km=2, seed=42)


@pytest.fixture(scope="module")
def default():
    return make_country(size_km=8, seed=42)


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# The land


def test_every_kind_of_cover_occurs_and_only_classes_of_the_legend(default):
    assert set(np.unique(default.kind)) == set(range(len(KINDS)))
    assert set(np.unique(default.truth)) == set(LEGEND.values)


def test_a_country_of_four_kilometres_already_has_every_kind_of_cover():
    for seed in (1, 3):
        assert len(np.unique(make_country(size_km=4, seed=seed).kind)) == len(KINDS)


def test_the_rare_class_is_rare_and_everywhere(default):
    wetland = default.truth == LEGEND.value_of("wetland")
    assert 0.002 < wetland.mean() < 0.01
    patches = wetland.reshape(8, 100, 8, 100).sum(axis=(1, 3))
    assert (patches > 0).mean() > 0.9


def test_a_field_is_one_class(default):
    number, inverse = np.unique(default.field_id, return_inverse=True)
    lowest, highest = np.full(len(number), 255), np.zeros(len(number))
    np.minimum.at(lowest, inverse.ravel(), default.truth.ravel())
    np.maximum.at(highest, inverse.ravel(), default.truth.ravel())
    assert (lowest == highest).all()


def test_streams_roads_and_hedges_are_one_to_three_pixels_wide(default):
    from scipy.ndimage import binary_erosion

    outside = slice(0, 380)  # north of the river
    thin = np.isin(default.kind, [NUMBER["stream"], NUMBER["hedge"]])[outside]
    assert thin.sum() > 1000
    assert binary_erosion(thin, np.ones((5, 5))).sum() < 0.02 * thin.sum()


def test_mountains_rise_above_the_snow_of_a_winter_day(default):
    assert default.elevation.max() > 1400
    assert default.elevation.min() < 300


@pytest.mark.parametrize("size_km", [0.6, 0.65, 1.13])
def test_a_country_of_odd_size_can_be_made_and_seen(size_km):
    country = make_country(size_km=size_km, seed=5)
    assert country.truth.shape == tuple(country_geobox(size_km).shape)
    assert scene(country, datetime.date(2017, 6, 1))["B04"].shape == country.truth.shape
    assert make_register(country).value.shape == country.truth.shape


def test_another_seed_is_another_country(small):
    assert (make_country(size_km=2, seed=43).truth != small.truth).mean() > 0.2


@pytest.mark.parametrize("size_km", [0.1, 1000, float("nan")])
def test_a_country_too_small_or_too_large_is_refused(size_km):
    with pytest.raises(InputError, match=r"0\.6 to 100"):
        make_country(size_km=size_km)


@settings(deadline=None, max_examples=15)
@given(st.integers(-500, 500), st.integers(1, 40), st.floats(1.5, 200))
def test_noise_is_the_same_in_every_window(start, length, wavelength):
    rows, cols = np.arange(-3, 20), np.arange(start, start + length + 5)
    whole = smooth(rows, cols, wavelength, seed=(7,), octaves=2)
    part = smooth(rows[4:9], cols[2 : 2 + length], wavelength, seed=(7,), octaves=2)
    np.testing.assert_array_equal(part, whole[4:9, 2 : 2 + length])
    y, x = np.meshgrid(rows, cols, indexing="ij")
    np.testing.assert_array_equal(cells(y[5:], x[5:], 9, seed=(7,)), cells(y, x, 9, seed=(7,))[5:])


def test_noise_has_mean_zero_and_variance_one():
    field = smooth(np.arange(2000), np.arange(2000), 7.3, seed=(1,), octaves=3)
    assert abs(field.mean()) < 0.02
    assert abs(field.std() - 1) < 0.03


# The scenes


@settings(deadline=None, max_examples=12)
@given(st.integers(0, 270), st.integers(0, 270), st.integers(1, 20), st.integers(1, 20))
def test_a_pixel_is_the_same_in_every_window(top, left, height, width):
    country, day = make_country(size_km=2.9, seed=9), datetime.date(2017, 5, 9)
    whole = scene(country, day)
    part = scene(country, day, rows=slice(top, top + height), cols=slice(left, left + width))
    for name, values in part.items():
        np.testing.assert_array_equal(values, whole[name][top : top + height, left : left + width])


def test_tiles_leave_no_trace():
    country = make_country(size_km=2.9, seed=9)
    day = next(d for d in acquisition_dates(60) if weather(9, d).cover < 0.02 and weather(9, d).swath > 1)
    red = scene(country, day)["B04"].astype(float)
    steps = np.abs(np.diff(red, axis=1)).mean(axis=0)
    assert steps[255] < np.quantile(steps, 0.98)


@pytest.mark.parametrize("count", [1, 2, 24, 68, 365])
def test_dates_are_sorted_distinct_and_of_the_year(count):
    days = acquisition_dates(count, seed=1)
    assert len(days) == count
    assert days == sorted(set(days))
    assert all(day.year == 2017 for day in days)


def test_scene_classes_flag_most_clouds_and_shadows_but_miss_some_thin_cloud(small):
    rows = cols = np.arange(200)
    thick = flagged = shaded = marked = missed = 0
    for day in acquisition_dates(24):
        cloud, shadow, thin = _clouds(weather(42, day), day.timetuple().tm_yday, 42, rows, cols)
        classes = scene(small, day)["SCL"]
        seen = classes > 0
        thick += ((cloud > 0.5) & seen).sum()
        flagged += ((cloud > 0.5) & seen & np.isin(classes, (8, 9, 10))).sum()
        deep = (shadow > 0.6) & (cloud < 0.05) & (thin < 0.05) & seen
        shaded += deep.sum()
        marked += (deep & (classes == 3)).sum()
        missed += ((cloud > 0.02) & (cloud < 0.08) & np.isin(classes, (4, 5, 6))).sum()
    assert flagged / thick > 0.97
    assert marked / shaded > 0.8
    assert missed > 0


def test_bright_roofs_are_sometimes_taken_for_cloud():
    country = make_country(size_km=3, seed=42)
    day = datetime.date(2017, 6, 18)
    assert weather(42, day).cover < 0.05
    roofs = country.kind == NUMBER["bright roof"]
    share = np.isin(scene(country, day)["SCL"][roofs], (8, 9)).mean()
    assert 0.05 < share < 0.95


def test_snow_lies_on_the_mountains_in_winter_and_is_bright_but_dark_in_the_shortwave(default):
    snowy = [d for d in acquisition_dates(24) if weather(42, d).cover < 0.1 and weather(42, d).snow_line < 1200]
    pixels = scene(default, snowy[0], rows=slice(0, 120), cols=slice(250, 380))
    snow = pixels["SCL"] == 11
    assert snow.mean() > 0.2
    assert np.median(pixels["B03"][snow]) > 4000
    assert np.median(pixels["B11"][snow]) < 2500


def test_some_scenes_end_at_the_swath_edge(small):
    ends = [d for d in acquisition_dates(24) if weather(42, d).swath < 1]
    assert 0 < len(ends) < 24
    pixels = scene(small, ends[0])
    missing = pixels["SCL"] == 0
    assert 0 < missing.mean() < 0.6
    for band in BANDS:
        np.testing.assert_array_equal(pixels[band] == NODATA, missing)


def test_vegetation_is_greener_in_june_than_in_february(small):
    def ndvi(day):
        pixels = scene(small, day)
        clear = np.isin(pixels["SCL"], (4, 5)) & (small.truth == LEGEND.value_of("grassland"))
        red, infrared = pixels["B04"][clear].astype(float), pixels["B08"][clear].astype(float)
        return ((infrared - red) / (infrared + red)).mean()

    clear_days = [d for d in acquisition_dates(100) if weather(42, d).cover < 0.05 and weather(42, d).cirrus == 0]
    winter = next(d for d in clear_days if d.month in (11, 12, 2, 3) and weather(42, d).snow_line > 1100)
    summer = next(d for d in clear_days if d.month in (6, 7))
    assert ndvi(summer) > ndvi(winter) + 0.15


# The register


def test_the_register_is_wrong_on_a_few_percent_in_several_pairs_of_classes(default):
    register = make_register(default)
    errors = error_frame(default, register)
    assert 0.03 < (register.error > 0).mean() < 0.07
    large = errors[errors.area_ha >= 1]
    assert len(large) >= 30
    assert len(large.groupby(["true_class", "register_class"])) >= 6
    assert len(default.airfields) == 2
    row, col = default.airfields[0].row, default.airfields[0].col
    assert default.truth[row, col] == LEGEND.value_of("grassland")
    assert register.value[row, col] == LEGEND.value_of("artificial surface")
    assert errors.kind.eq("grass airfield").sum() >= 1
    row, col = default.airfields[1].row, default.airfields[1].col
    hard = default.field_id == default.airfields[1].field_id
    assert (default.truth[hard] == LEGEND.value_of("artificial surface")).all()
    assert (register.error[hard] == 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 4, 9])
def test_other_countries_too_have_thirty_errors_of_a_hectare_in_several_pairs(seed):
    country = make_country(size_km=8, seed=seed)
    errors = error_frame(country, make_register(country))
    large = errors[errors.area_ha >= 1]
    assert len(large) >= 30
    assert (large.groupby(["true_class", "register_class"]).size() >= 3).sum() >= 4


def test_the_planted_errors_are_exactly_where_register_and_truth_differ(small):
    register = make_register(small)
    differs = (register.value != small.truth) & (register.value != 0)
    np.testing.assert_array_equal(register.error > 0, differs)
    errors = error_frame(small, register)
    assert errors.area_ha.sum() == pytest.approx(differs.sum() / 100, rel=1e-6)
    back = errors.to_crs(32633)
    burnt = rasterio.features.rasterize(back.geometry, out_shape=differs.shape, transform=small.geobox.transform)
    np.testing.assert_array_equal(burnt == 1, differs)
    assert (errors.true_class != errors.register_class).all()


def test_polygons_fill_the_country_without_gaps_and_keep_their_class(small):
    register = make_register(small)
    frame = register_frame(small, register)
    assert frame.crs.to_epsg() == 3794
    assert frame.geometry.is_valid.all()
    values, unknown = LEGEND.translate(frame.USE_CODE)
    assert not unknown
    burnt = rasterio.features.rasterize(
        zip(frame.to_crs(32633).geometry, values, strict=True), out_shape=small.truth.shape, fill=99,
        transform=small.geobox.transform, dtype="uint8",
    )  # fmt: skip
    assert (burnt == 99).mean() < 0.001
    assert (burnt == register.value).mean() > 0.99


def test_several_codes_stand_for_one_class_and_one_is_ignored(default):
    codes = set(np.unique(make_register(default).code).tolist())
    assert {1100, 1300, 1321, 1410, 1500, 1600, 3000, 4100, 4210} <= codes


# The source


def test_the_source_survives_pickling_as_a_few_bytes():
    source = SimulatedSource(size_km=1.5, n_dates=4, seed=3)
    text = pickle.dumps(source)
    assert len(text) < 500
    days = source.dates(None, None)
    again = pickle.loads(text).load(source.geobox, days, source.variables)
    assert again.equals(source.load(source.geobox, days, source.variables))
    assert source.inputs() == []


def test_the_source_gives_strips_that_agree_with_the_whole():
    source = SimulatedSource(size_km=1.5, n_dates=3, seed=3)
    days = source.dates(datetime.date(2017, 1, 1), datetime.date(2017, 8, 31))
    whole = source.load(source.geobox, days, ["B08", "SCL"])
    strip = source.load(source.geobox[20:31, 40:90], days, ["B08", "SCL"])
    assert whole.B08.dtype == np.int16
    assert whole.SCL.dtype == np.uint8
    np.testing.assert_array_equal(strip.B08, whole.B08[:, 20:31, 40:90])
    np.testing.assert_array_equal(strip.SCL, whole.SCL[:, 20:31, 40:90])


def test_another_grid_gets_the_nearest_pixels_and_nothing_outside():
    source = SimulatedSource(size_km=0.6, n_dates=2, seed=3)
    day = source.dates(None, None)[:1]
    left, bottom, right, top = source.geobox.boundingbox
    coarse = GeoBox.from_bbox((left, bottom, right + 300, top), source.geobox.crs, resolution=30, tight=True)
    got = source.load(coarse, day, ["B04", "SCL"])
    whole = source.load(source.geobox, day, ["B04", "SCL"])
    np.testing.assert_array_equal(got.B04[:, :, :20], whole.B04[:, 1::3, 1::3])
    assert (got.B04[:, :, 20:] == NODATA).all()
    assert (got.SCL[:, :, 20:] == 0).all()
    degrees = source.geobox.to_crs("EPSG:4326")
    assert set(np.unique(source.load(degrees, day, ["SCL"]).SCL)) <= {0, *np.unique(whole.SCL)}


@settings(deadline=None, max_examples=25)
@given(st.integers(-20, 70), st.integers(-20, 70), st.integers(1, 40), st.integers(1, 40), st.sampled_from([0.0, 1.5]))
def test_any_window_is_a_part_of_the_whole_and_empty_beyond_it(top, left, height, width, shift):
    """A grid on the country's own pixels is cut out; one beside them by 1.5 m has the same nearest pixels."""
    source = SimulatedSource(size_km=0.6, n_dates=1, seed=3)
    days = source.dates(None, None)
    whole = np.pad(source.load(source.geobox, days, ["B04"]).B04.values[0], 60, constant_values=NODATA)
    corner = source.geobox.affine * Affine.translation(left + shift / 10, top + shift / 10)
    got = source.load(GeoBox((height, width), corner, source.geobox.crs), days, ["B04", "SCL"])
    expected = whole[60 + top : 60 + top + height, 60 + left : 60 + left + width]
    np.testing.assert_array_equal(got.B04.values[0], expected)
    np.testing.assert_array_equal(got.SCL.values[0] == 0, expected == NODATA)


def test_dates_of_the_source_lie_within_the_period_with_both_ends():
    source = SimulatedSource(size_km=0.6, n_dates=20)
    days = source.dates(None, None)
    assert source.dates(days[3], days[7]) == days[3:8]


@pytest.mark.parametrize(
    ("days", "names", "message"),
    [([], ["B99"], "no variable 'B99'"), ([datetime.date(2019, 1, 1)], ["B04"], "no scene of 2019-01-01")],
)
def test_what_the_source_does_not_have_is_named(days, names, message):
    source = SimulatedSource(size_km=0.6, n_dates=2)
    with pytest.raises(InputError, match=message):
        source.load(source.geobox, days, names)


def test_a_year_without_dates_is_refused():
    with pytest.raises(InputError, match="1 to 365"):
        SimulatedSource(n_dates=0)


# The archive


def test_the_same_arguments_write_the_same_bytes(archive, tmp_path):
    write_archive(tmp_path / "again", **SMALL)
    first, second = digests(archive), digests(tmp_path / "again")
    assert len(first) > SMALL["dates"] * 8
    assert first == second


def test_a_large_country_is_written_tile_by_tile_to_the_same_bytes(tmp_path, monkeypatch):
    small, steps = {"size_km": 0.6, "dates": 1, "seed": 8}, []
    write_archive(tmp_path / "by date", **small)
    monkeypatch.setattr(writing, "_SMALL_KM", 0.1)
    write_archive(tmp_path / "by tile", **small, progress=lambda done, total: steps.append((done, total)))
    assert digests(tmp_path / "by date") == digests(tmp_path / "by tile")
    assert steps == sorted(steps)
    assert steps[-1] == (3, 3)


def test_the_files_beside_the_archive_are_what_the_project_needs(archive):
    legend = Legend.read(archive / "legend.toml")
    assert legend == LEGEND
    register = geopandas.read_file(archive / "register.gpkg")
    assert register.crs.to_epsg() == 3794
    assert register.USE_CODE.dtype.kind == "i"
    errors = geopandas.read_file(archive / "register_errors.gpkg")
    assert {"kind", "true_class", "register_code", "area_ha"} <= set(errors.columns)
    project = tomllib.loads((archive / "landweave.toml").read_text())
    for key in (
        project["area"]["aoi"],
        project["source"]["url"],
        project["reference"]["path"],
        project["districts"]["path"],
    ):
        assert (archive / key).is_file()
    country = make_country(size_km=SMALL["size_km"], seed=SMALL["seed"])
    with rasterio.open(archive / "truth.tif") as file:
        np.testing.assert_array_equal(file.read(1), country.truth)
        assert file.nodata == 0
    outline = geopandas.read_file(archive / "aoi.geojson").to_crs(32633)
    assert outline.area.item() == pytest.approx((SMALL["size_km"] * 1000) ** 2, rel=0.05)


def test_places_of_the_project_lie_on_the_airfields(tmp_path):
    write_archive(tmp_path, size_km=4, dates=1, seed=42)
    project = tomllib.loads((tmp_path / "landweave.toml").read_text())
    country = make_country(size_km=4, seed=42)
    places = geopandas.points_from_xy(
        [place["lon"] for place in project["places"]], [place["lat"] for place in project["places"]], crs=4326
    ).to_crs(32633)
    col, row = ~country.geobox.transform * (places.x, places.y)
    assert len(places) == 2
    assert country.truth[int(row[0]), int(col[0])] == LEGEND.value_of("grassland")
    assert (int(row[0]), int(col[0])) == (country.airfields[0].row, country.airfields[0].col)


def test_a_folder_is_written_again_but_foreign_files_are_never_lost(tmp_path):
    ours = tmp_path / "ours"
    write_archive(ours, size_km=0.6, dates=1, seed=1)
    (ours / "notes.txt").write_text("mine")
    write_archive(ours, size_km=0.6, dates=2, seed=1)
    assert (ours / "notes.txt").read_text() == "mine"
    items = [path.name for path in (ours / "archive").glob("*/*/*.json")]
    assert len({name.split("_")[2] for name in items}) == 2
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "legend.toml").write_text("precious")
    with pytest.raises(InputError, match=r"contains legend\.toml"):
        write_archive(theirs, size_km=0.6, dates=1)
    assert (theirs / "legend.toml").read_text() == "precious"
    assert not (theirs / "archive").exists()


def test_an_interrupted_simulation_leaves_no_project_and_can_be_repeated(tmp_path):
    def stop(done, total):
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_archive(tmp_path, size_km=0.6, dates=2, seed=1, progress=stop)
    assert not (tmp_path / "landweave.toml").exists()
    assert not (tmp_path / "archive").exists()
    write_archive(tmp_path, size_km=0.6, dates=2, seed=1)
    assert (tmp_path / "landweave.toml").exists()
