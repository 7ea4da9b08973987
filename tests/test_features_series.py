"""Rules beyond the line between observations: each against plain numpy, against scipy, and by hand."""

import datetime

import numpy as np
import pytest
import scipy.signal
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.errors import InputError
from landweave.features.interpolation import features, features_reference
from landweave.features.recipe import Recipe
from landweave.features.series.rules import RULES, series_of, with_windows
from landweave.features.units import fit_scales
from landweave.patch.model import NODATA

START, END = datetime.date(2020, 1, 1), datetime.date(2020, 12, 31)
ALL_STATISTICS = ["median", "medoid", "mean", "p10", "p90", "min", "max", "std", "range", "iqr", "count"]
RULED = [
    {"rule": "composite", "statistics": ALL_STATISTICS, "window": "season"},
    "metrics",
    "whittaker",
    {"rule": "savitzky_golay", "points": 5, "order": 2},
    {"rule": "harmonic", "order": 1},
    {"rule": "phenology", "layer": "ndvi"},
]


def recipe_of(*rules, bands=("B04", "B08"), indices=("ndvi",), step=16, custom=(), scales=None, end=END):
    days = tuple(range(0, (end - START).days + 1, step))
    return Recipe(
        bands=bands, indices=indices, custom=custom, days=days, scales=scales or {},
        series=with_windows(series_of(rules), START, end),
    )  # fmt: skip


def one_pixel(days, values, recipe, valid=None):
    """Features of one pixel of one band, in reflectance, by name."""
    bands = np.array(values, "int16").reshape(1, -1, 1)
    counts = np.ones((len(days), 1), bool) if valid is None else np.array(valid).reshape(-1, 1)
    return dict(zip(recipe.feature_names, features(bands, counts, days, recipe, dtype="float64")[0], strict=True))


@st.composite
def observations(draw):
    times = draw(st.integers(0, 12))
    pixels = draw(st.integers(1, 5))
    days = draw(st.lists(st.integers(-20, 380), min_size=times, max_size=times, unique=True))
    units = st.one_of(st.sampled_from([NODATA, 0, 1]), st.integers(1, 9000))
    bands = draw(stn.arrays("int16", (2, times, pixels), elements=units, fill=st.just(1000)))
    valid = draw(stn.arrays(bool, (times, pixels), fill=st.just(True)))
    wide = draw(st.sampled_from([pixels, 300, 1100]))
    again = np.arange(wide) % pixels
    return bands[:, :, again], valid[:, again], np.array(days, int)


@settings(deadline=None, max_examples=25)
@given(observations())
def test_the_kernels_and_plain_numpy_agree_in_every_rule(case):
    bands, valid, days = case
    recipe = recipe_of("linear", *RULED, custom=(("root", "sqrt(B08)"),), scales={"root": (1e-4, 0.5)})
    few = slice(0, 5)
    plain = features_reference(bands[:, :, few], valid[:, few], days, recipe, dtype="float64")
    fast = features(bands, valid, days, recipe, dtype="float64")
    np.testing.assert_array_equal(np.isnan(fast[few]), np.isnan(plain))
    np.testing.assert_allclose(fast[few], plain, rtol=1e-7, atol=1e-9)
    whole = features(bands, valid, days, recipe)
    assert whole.dtype == np.int16
    assert whole.shape == (valid.shape[1], len(recipe.feature_names))
    scale, offset = np.array(recipe.feature_units).T
    shown = np.where(whole == NODATA, np.nan, whole * scale + offset)
    inside = np.abs(whole.astype(int)) < 32767
    np.testing.assert_allclose(np.where(inside, shown, np.nan), np.where(inside, fast, np.nan), atol=scale.max() * 0.51)


@settings(deadline=None, max_examples=15)
@given(observations())
def test_neither_the_order_of_dates_nor_the_neighbours_of_a_pixel_matter(case):
    bands, valid, days = case
    recipe = recipe_of(*RULED)
    whole = features(bands, valid, days, recipe)
    back = np.arange(days.size)[::-1]
    np.testing.assert_array_equal(features(bands[:, back], valid[back], days[back], recipe), whole)
    for pixel in range(0, valid.shape[1], 373):
        one = slice(pixel, pixel + 1)
        np.testing.assert_array_equal(features(bands[:, :, one], valid[:, one], days, recipe), whole[one])


def test_statistics_of_a_window_are_those_of_numpy_over_the_observations_that_count():
    rng = np.random.default_rng(3)
    days = np.sort(rng.choice(366, 30, replace=False))
    values, counts = rng.integers(1, 9000, 30), rng.random(30) < 0.7
    found = one_pixel(days, values, recipe_of({"rule": "composite", "statistics": ALL_STATISTICS, "window": 61},
                                              bands=("B04",), indices=()), counts)  # fmt: skip
    for first in range(0, 366, 61):
        own = values[counts & (days >= first) & (days < first + 61)] / 1e4
        expected = {
            "median": np.median(own), "mean": own.mean(), "p10": np.percentile(own, 10), "p90": np.percentile(own, 90),
            "min": own.min(), "max": own.max(), "std": own.std(), "range": np.ptp(own),
            "iqr": np.subtract(*np.percentile(own, [75, 25])),
        }  # fmt: skip
        for name, value in expected.items():
            assert found[f"B04_{name}_d{first:03d}"] == pytest.approx(value, abs=1e-12), name
        assert found[f"observations_count_d{first:03d}"] == len(own)


def test_a_window_without_observations_is_missing_its_count_too():
    recipe = recipe_of({"rule": "composite", "statistics": ["median", "count"]}, bands=("B04",), indices=())
    found = one_pixel([40, 50], [1000, 2000], recipe)
    assert found["B04_median_d031"] == pytest.approx(0.15)
    assert found["observations_count_d031"] == 2
    assert np.isnan([found["B04_median_d000"], found["observations_count_d000"]]).all()


def test_the_medoid_is_the_observation_nearest_to_the_others_and_its_index_is_its_own():
    recipe = recipe_of({"rule": "composite", "statistics": ["medoid"], "window": "period"})
    # Distances of the first to the others 316 and 224, of the second to the third 500: the first is in the middle.
    bands = np.array([[[1000], [700], [1100]], [[3000], [2900], [3200]]], "int16")
    found = features(bands, np.ones((3, 1), bool), [5, 20, 40], recipe, dtype="float64")[0]
    assert found.tolist() == pytest.approx([0.1, 0.3, 0.5])


def test_months_and_seasons_begin_where_the_calendar_says():
    one, two = with_windows(series_of([{"rule": "composite", "window": "season"}, "composite"]), START, END)
    assert one.windows == ((0, 60), (60, 152), (152, 244), (244, 335), (335, 366))
    assert [first for first, _ in two.windows] == [0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335]
    names = recipe_of({"rule": "metrics", "statistics": ["p90"]}, bands=("B04",), indices=()).feature_names
    assert names == ("B04_p90",)


def test_on_daily_steps_the_smoother_is_that_of_whittaker_as_published():
    rng = np.random.default_rng(4)
    days, values = np.arange(60), rng.integers(1, 9000, 60)
    counts = rng.random(60) < 0.6
    counts[[0, -1]] = True
    recipe = recipe_of(
        {"rule": "whittaker", "lambda": 50}, bands=("B04",), indices=(), step=1, end=datetime.date(2020, 2, 29)
    )
    found = one_pixel(days, values, recipe, counts)
    # (W + lambda D'D) z = W y with second differences D.
    second = scipy.sparse.csc_array(np.diff(np.eye(60), 2, axis=0))
    matrix = scipy.sparse.csc_array(np.diag(counts.astype(float))) + 50 * (second.T @ second)
    expected = scipy.sparse.linalg.spsolve(matrix, np.where(counts, values, 0).astype(float)) / 1e4
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-9)


def test_the_smoother_leaves_a_straight_line_as_it_is_whatever_the_steps():
    days = np.array([0, 3, 50, 51, 120, 364])
    found = one_pixel(days, 1000 + 10 * days, recipe_of("whittaker", bands=("B04",), indices=()))
    asked = np.arange(0, 366, 16)
    inside = asked <= 364
    np.testing.assert_allclose(np.array(list(found.values()))[inside], (1000 + 10 * asked[inside]) / 1e4, rtol=1e-9)


def test_savitzky_golay_is_that_of_scipy_on_the_days_that_lines_reach():
    rng = np.random.default_rng(5)
    days, values = np.arange(32, 320, 16), rng.integers(1, 9000, 18)
    recipe = recipe_of({"rule": "savitzky_golay", "points": 7, "order": 3}, bands=("B04",), indices=())
    found = np.array(list(one_pixel(days, values, recipe).values()))
    expected = scipy.signal.savgol_filter(values / 1e4, 7, 3, mode="interp")
    np.testing.assert_allclose(found[2:20], expected, rtol=1e-9)
    assert np.isnan(found[[0, 1, 20, 21, 22]]).all()


def test_a_harmonic_finds_the_wave_that_was_planted_and_its_residual():
    days = np.arange(0, 365, 9)
    angle = 2 * np.pi * days / 365.25
    wave = 4000 + 1500 * np.cos(angle) - 700 * np.sin(angle) + 300 * np.cos(2 * angle)
    found = one_pixel(days, wave.round(), recipe_of({"rule": "harmonic", "order": 2}, bands=("B04",), indices=()))
    expected = {"mean": 0.4, "cos1": 0.15, "sin1": -0.07, "cos2": 0.03, "sin2": 0.0, "rmse": 1e-4 / 12**0.5}
    assert {name.removeprefix("B04_harmonic_"): value for name, value in found.items()} == pytest.approx(
        expected, abs=2e-5
    )


def test_observations_of_one_month_determine_no_year():
    found = one_pixel(range(150, 180, 2), range(1000, 1015), recipe_of("harmonic", bands=("B04",), indices=()))
    assert np.isnan(list(found.values())).all()


def test_a_season_by_hand():
    # Up from 0.2 to 0.8 and down from 0.79 to 0.4: half way up is 0.5 on day 80, half way down 0.6 after day 160.
    end = 160 + 80 * 0.19 / 0.39
    recipe = Recipe(
        bands=("B04",), days=(0, 40, 120, 160, 240, 300),
        series=series_of([{"rule": "phenology", "layer": "B04", "lambda": 1e-6}]),
    )  # fmt: skip
    found = one_pixel([0, 40, 120, 160, 240, 300], [2000, 2000, 8000, 7900, 4000, 4000], recipe)
    area = 0.65 * 40 + 0.795 * 40 + 0.695 * (end - 160)
    expected = {"start": 80, "peak": 120, "end": end, "amplitude": 0.5, "integral": area}
    assert {name.removeprefix("B04_"): value for name, value in found.items()} == pytest.approx(expected, rel=1e-5)


def test_a_season_that_the_period_cuts_has_no_end():
    recipe = Recipe(
        bands=("B04",), days=(0, 50, 100), series=series_of([{"rule": "phenology", "layer": "B04", "lambda": 1e-6}])
    )
    found = one_pixel([0, 50, 100], [1000, 2000, 9000], recipe)
    assert np.isfinite([found["B04_start"], found["B04_peak"]]).all()
    assert np.isnan([found["B04_end"], found["B04_integral"]]).all()


def test_a_pixel_without_observations_has_nothing_by_any_rule():
    recipe = recipe_of("linear", *RULED)
    bands, valid = np.full((2, 4, 3), 1000, "int16"), np.zeros((4, 3), bool)
    assert (features(bands, valid, [0, 90, 180, 270], recipe) == NODATA).all()


def test_a_recipe_says_its_rules_in_json_and_one_without_them_stays_as_it_was():
    recipe = recipe_of("linear", *RULED)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert "series" not in recipe_of("linear").to_json()


def test_units_of_a_custom_layer_hold_for_what_is_made_of_it():
    rng = np.random.default_rng(6)
    bands = rng.integers(1000, 9000, (2, 12, 400)).astype("int16")
    days = np.arange(0, 360, 30)
    recipe = recipe_of("metrics", custom=(("ratio", "B08/B04"),))
    recipe = fit_scales(recipe, bands, np.ones((12, 400), bool), days)
    whole = features(bands, np.ones((12, 400), bool), days, recipe)
    exact = features(bands, np.ones((12, 400), bool), days, recipe, dtype="float64")
    column = recipe.feature_names.index("ratio_median")
    scale, offset = recipe.feature_units[column]
    np.testing.assert_allclose(whole[:, column] * scale + offset, exact[:, column], atol=scale)


WRONG = [
    (["spline"], "names the rule 'spline'"),
    ([], "is empty"),
    ([{"window": "month"}], "names the rule None"),
    ([{"rule": "linear", "order": 2}], "knows no key 'order'"),
    ([{"rule": "composite", "window": "week"}], "window = 'week'"),
    ([{"rule": "composite", "window": 0}], "window = 0"),
    ([{"rule": "composite", "window": True}], "window = True"),
    ([{"rule": "composite", "statistics": []}], "statistics = \\[\\]"),
    ([{"rule": "composite", "statistics": ["median", "median"]}], "each statistic once"),
    ([{"rule": "metrics", "statistics": ["mode"]}], "must be a list of"),
    ([{"rule": "whittaker", "lambda": 0}], "lambda = 0"),
    ([{"rule": "whittaker", "lambda": float("nan")}], "lambda = nan"),
    ([{"rule": "savitzky_golay", "points": 4}], "points = 4"),
    ([{"rule": "savitzky_golay", "points": 3, "order": 3}], "the order must be smaller"),
    ([{"rule": "harmonic", "order": 4}], "order = 4"),
    ([{"rule": "phenology", "threshold": 1}], "threshold = 1"),
]


@pytest.mark.parametrize(("rules", "words"), WRONG)
def test_a_wrong_rule_is_named(rules, words):
    with pytest.raises(InputError, match=words):
        series_of(rules)


def test_a_season_of_a_layer_that_is_not_there_and_features_named_twice_are_refused():
    with pytest.raises(InputError, match="about the layer 'evi'"):
        recipe_of({"rule": "phenology", "layer": "evi"})
    with pytest.raises(InputError, match="'B04_median_d000' twice"):
        recipe_of("composite", "composite")


def test_every_rule_of_the_table_is_tried_here():
    assert {rule if isinstance(rule, str) else rule["rule"] for rule in ["linear", *RULED]} == set(RULES)
