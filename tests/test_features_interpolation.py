"""Features of pixels: the kernel, its oracle, and cases worked out by hand."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.errors import InputError
from landweave.features import interpolation
from landweave.features.interpolation import features, features_reference, layer_values
from landweave.features.recipe import Recipe
from landweave.patch.model import NODATA

ALL_KINDS = Recipe(
    bands=("B04", "B08", "B11"),
    indices=("ndvi", "bsi", "norm", "savi"),
    custom=(("ratio", "B08/B04"), ("root", "sqrt(B02 - 0.1)")),
    days=(0, 16, 32, 48),
    scales={"savi": (1e-4, 0.0), "ratio": (1e-3, 5.0), "root": (1e-4, 0.0)},
)
UNITS = st.one_of(
    st.sampled_from([NODATA, -32767, 32767, 0, 1, -1]), st.integers(-2000, 12000), st.integers(-32768, 32767)
)


@st.composite
def series(draw):
    times = draw(st.integers(0, 7))
    pixels = draw(st.integers(0, 70))
    # Less than a block of the kernel, one, and some with a last one that overlaps: the same pixels again and again.
    wide = draw(st.sampled_from([pixels, 256, 600])) if pixels else 0
    # Before, on, between and beyond the target days; in any order.
    days = draw(st.lists(st.integers(-20, 70), min_size=times, max_size=times, unique=True))
    bands = draw(stn.arrays("int16", (4, times, pixels), elements=UNITS, fill=st.just(1000)))
    valid = draw(stn.arrays(bool, (times, pixels), fill=st.just(True)))
    again = np.arange(wide) % max(pixels, 1)
    return bands[:, :, again], valid[:, again], np.array(days, int)


@settings(deadline=None, max_examples=50)
@given(series(), st.sampled_from(["int16", "float32", "float64"]))
def test_the_kernel_and_plain_numpy_agree_bit_for_bit(case, dtype):
    bands, valid, days = case
    assert len(ALL_KINDS.source_bands) == 4
    fast = features(bands, valid, days, ALL_KINDS, dtype=dtype)
    plain = features_reference(bands, valid, days, ALL_KINDS, dtype=dtype)
    assert fast.dtype == plain.dtype == np.dtype(dtype)
    assert fast.shape == (valid.shape[1], len(ALL_KINDS.feature_names))
    if dtype == "int16":
        np.testing.assert_array_equal(fast, plain)
    else:
        both_missing = np.isnan(fast) & np.isnan(plain)
        bits = f"i{np.dtype(dtype).itemsize}"
        np.testing.assert_array_equal(fast.view(bits)[~both_missing], plain.view(bits)[~both_missing])


@given(series())
def test_neither_the_order_of_dates_nor_the_neighbours_of_a_pixel_matter(case):
    bands, valid, days = case
    whole = features(bands, valid, days, ALL_KINDS)
    back = np.arange(days.size)[::-1]
    np.testing.assert_array_equal(features(bands[:, back], valid[back], days[back], ALL_KINDS), whole)
    for pixel in range(0, valid.shape[1], 173):
        one = slice(pixel, pixel + 1)
        np.testing.assert_array_equal(features(bands[:, :, one], valid[:, one], days, ALL_KINDS), whole[one])


def test_a_series_worked_out_by_hand():
    recipe = Recipe(bands=("B04",), days=(0, 5, 10, 15, 20, 25))
    # Day 5 and 20 are seen, day 8 is cloudy: 0 and 25 lie outside, 5 and 20 are as seen, 10 and 15 lie on the line.
    bands = np.array([[[1000], [30000], [2500]]], "int16")
    valid = np.array([[True], [False], [True]])
    expected = [[NODATA, 1000, 1500, 2000, 2500, NODATA]]
    assert features(bands, valid, [5, 8, 20], recipe).tolist() == expected
    as_float = features(bands, valid, [5, 8, 20], recipe, dtype="float64")
    np.testing.assert_allclose(as_float[0, 1:5], [0.1, 0.15, 0.2, 0.25], rtol=1e-15)
    assert np.isnan(as_float[0, [0, 5]]).all()


def test_halves_round_to_even_once():
    recipe = Recipe(bands=("B04",), days=(1,))
    first, second = np.array([1, 2, 3, -1, -2, -3]), np.array([2, 3, 4, -2, -3, -4])
    bands = np.stack([first, second]).astype("int16")[None]
    out = features(bands, np.ones((2, 6), bool), [0, 2], recipe)
    assert out[:, 0].tolist() == [2, 2, 4, -2, -2, -4]


@pytest.mark.parametrize("compute", [features, features_reference])
def test_a_single_observation_counts_on_its_own_day_only(compute):
    recipe = Recipe(bands=("B04",), days=(0, 16, 32))
    out = compute(np.array([[[7]]], "int16"), np.ones((1, 1), bool), [16], recipe)
    assert out.tolist() == [[NODATA, 7, NODATA]]


@pytest.mark.parametrize("compute", [features, features_reference])
def test_without_any_observation_everything_is_missing(compute):
    recipe = Recipe(bands=("B04",), indices=("ndvi",), days=(0, 16))
    for times in (0, 3):
        bands = np.full((2, times, 2), 500, "int16")
        out = compute(bands, np.zeros((times, 2), bool), np.arange(times), recipe)
        assert (out == NODATA).all()
        assert out.shape == (2, 4)


def test_observations_beyond_the_period_hold_the_line():
    recipe = Recipe(bands=("B04",), days=(0, 10))
    bands = np.array([[[0], [400]]], "int16")
    assert features(bands, np.ones((2, 1), bool), [-10, 30], recipe).tolist() == [[100, 200]]


def test_a_value_beyond_the_units_saturates_and_is_not_missing():
    recipe = Recipe(bands=("B04",), custom=(("big", "B04*1000"),), days=(0,), scales={"big": (1e-4, 0.0)})
    bands = np.array([[[20000, -20000]]], "int16")
    out = features(bands, np.ones((1, 2), bool), [0], recipe)
    assert out.tolist() == [[20000, 32767], [-20000, -32767]]


def test_normalised_differences_are_clipped_and_missing_where_the_sum_is_zero():
    recipe = Recipe(bands=(), indices=("ndvi",), days=(0,))
    b08, b04 = [3000, 3000, -500, 0, 500], [1000, -1000, 1000, 0, -500]
    bands = np.array([b08, b04], "int16")[:, None, :]
    assert recipe.source_bands == ("B08", "B04")
    out = features(bands, np.ones((1, 5), bool), [0], recipe)
    assert out[:, 0].tolist() == [5000, 10000, -10000, NODATA, NODATA]


def test_an_index_that_is_missing_on_a_date_leaves_the_bands_alone():
    recipe = Recipe(bands=("B04", "B08"), indices=("ndvi",), days=(10,))
    # On day 10 both bands are 0: the index is interpolated across, from 0.5 on day 0 to 0 on day 20.
    bands = np.array([[1000, 0, 1000], [3000, 0, 1000]], "int16")[:, :, None]
    out = features(bands, np.ones((3, 1), bool), [0, 10, 20], recipe)
    assert out.tolist() == [[0, 0, 2500]]


def test_norm_is_the_length_of_the_recipes_bands_only():
    recipe = Recipe(bands=("B03", "B04"), indices=("norm", "ndwi"), days=(0,))
    assert recipe.source_bands == ("B03", "B04", "B08")
    bands = np.array([3000, 4000, 9000], "int16").reshape(3, 1, 1)
    out = features(bands, np.ones((1, 1), bool), [0], recipe)
    assert out[0, 2] == 2500  # 0.5 in units of 2e-4
    assert layer_values(bands, recipe)[2].item() == pytest.approx(0.5)


def test_layers_without_time_come_last_in_their_own_units():
    recipe = Recipe(bands=("B04",), static=("dem",), days=(0,), scales={"dem": (0.1, 500.0)})
    height = np.array([[512.34, np.nan, 1e6]], "float32")
    bands = np.full((1, 1, 3), 100, "int16")
    out = features(bands, np.ones((1, 3), bool), [0], recipe, static=height)
    assert out.tolist() == [[100, 123], [100, NODATA], [100, 32767]]
    exact = features(bands, np.ones((1, 3), bool), [0], recipe, static=height, dtype="float32")
    np.testing.assert_array_equal(exact[:, 1], height[0])


def test_two_observations_on_a_day_are_refused():
    with pytest.raises(InputError, match="day 3"):
        features(np.zeros((1, 2, 1), "int16"), np.ones((2, 1), bool), [3, 3], Recipe(bands=("B04",), days=(0,)))


def test_what_does_not_fit_the_recipe_is_refused():
    recipe = Recipe(bands=("B04",), custom=(("twice", "2*B04"),), days=(0,))
    good = np.zeros((1, 1, 1), "int16"), np.ones((1, 1), bool), [0]
    with pytest.raises(ValueError, match="fit_scales"):
        features(*good, recipe)
    with pytest.raises(ValueError, match="int16"):
        features(good[0].astype("float32"), good[1], good[2], recipe, dtype="float64")
    with pytest.raises(ValueError, match="source bands"):
        features(good[0], good[1], [0, 1], recipe, dtype="float64")
    with pytest.raises(ValueError, match="static"):
        features(*good, Recipe(bands=("B04",), static=("dem",), days=(0,)), dtype="float64")


def test_a_lost_folder_of_compiled_kernels_does_no_harm(monkeypatch):
    real, asked = interpolation._jit, []

    def jit(*, cache):
        asked.append(cache)
        if cache:

            def fail(*arguments):
                raise OSError(28, "No space left on device")

            return fail
        return real(cache=True)

    monkeypatch.setattr(interpolation, "_jit", jit)
    out = features(np.full((1, 1, 1), 5, "int16"), np.ones((1, 1), bool), [0], Recipe(bands=("B04",), days=(0,)))
    assert out.tolist() == [[5]]
    assert asked == [True, False]


def test_a_kernel_that_may_not_be_kept_is_compiled_all_the_same(monkeypatch):
    import numba

    def njit(function, *, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return ("compiled", options)

    monkeypatch.setattr(numba, "njit", njit)
    interpolation._jit.cache_clear()
    try:
        assert interpolation._jit(cache=True) == ("compiled", {"nogil": True, "error_model": "numpy"})
    finally:
        interpolation._jit.cache_clear()


def test_numba_waits_until_the_first_features_and_a_second_process_compiles_nothing():
    recipe = Recipe(bands=("B04",), days=(0,))
    features(np.zeros((1, 1, 1), "int16"), np.ones((1, 1), bool), [0], recipe)
    if not getattr(interpolation._jit(cache=True).stats, "cache_path", None):
        pytest.skip("compiled kernels may not be kept here: neither the package nor the home folder can be written to")
    code = """
import sys
import numpy as np
from landweave.features import interpolation
from landweave.features.recipe import Recipe
assert "numba" not in sys.modules
for dtype in ("int16", "float32"):
    interpolation.features(
        np.zeros((1, 1, 1), "int16"), np.ones((1, 1), bool), [0], Recipe(bands=("B04",), days=(0,)), dtype=dtype
    )
stats = interpolation._jit(cache=True).stats
assert sum(stats.cache_hits.values()) == 1, stats
assert not stats.cache_misses, stats
"""
    subprocess.run([sys.executable, "-c", code], env=dict(os.environ), check=True)
