"""The kernel for deep trees: LightGBM's own scores to the last bit."""

import importlib.util
import math
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from forests import (
    DECISIONS,
    NAN_LEFT,
    NAN_RIGHT,
    NONE_LEFT,
    ZERO_LEFT,
    ZERO_RIGHT,
    as_reals,
    awkward_numbers,
    awkward_values,
    model_text,
    random_tree,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from landweave.tree_models import deep
from landweave.tree_models.deep import deep_forest, probabilities, raw_scores
from landweave.tree_models.text import NotCovered, read_forest


def by_lightgbm(text, X, *, raw_score=True):
    from lightgbm import Booster

    found = Booster(model_str=text).predict(X, raw_score=raw_score, num_threads=1)
    return found.reshape(X.shape[0], -1)


def small_forest(features=2):
    tree = random_tree(np.random.default_rng(0), 5, features, [0.5], [NONE_LEFT])
    return deep_forest(read_forest(model_text([tree], features)))


@given(
    st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 90), st.integers(1, 6), st.integers(1, 3),
    st.booleans(), st.booleans(), st.integers(1, 1300), st.lists(st.sampled_from(DECISIONS), min_size=1),
)  # fmt: skip
def test_scores_of_any_forest_are_lightgbms_to_the_last_bit(
    seed, rounds, leaves, features, classes, chain, average, pixels, decisions
):
    rng = np.random.default_rng(seed)
    thresholds = np.concatenate([rng.normal(0, 1, 1 + seed % 40).round(2), [0.0, 1e-35, -1e-35, 1e-300]])
    sizes = rng.integers(1, leaves + 1, rounds * classes)
    trees = [random_tree(rng, int(size), features, thresholds, decisions, chain=chain) for size in sizes]
    text = model_text(trees, features, classes=classes, average=average)
    X = awkward_values(rng, thresholds, (pixels, features))
    forest = deep_forest(read_forest(text))
    found = raw_scores(forest, X)
    assert found.shape == (pixels, classes)
    np.testing.assert_array_equal(found, by_lightgbm(text, X))
    np.testing.assert_array_equal(raw_scores(forest, np.asfortranarray(X)), found)
    single = X.astype("float32")
    np.testing.assert_array_equal(raw_scores(forest, single), by_lightgbm(text, single))
    expected = by_lightgbm(text, X, raw_score=False)
    np.testing.assert_allclose(probabilities(forest, X), expected, rtol=0, atol=1e-12)


@given(st.integers(0, 10_000), st.integers(1, 300), st.integers(1, 1300))
def test_whole_numbers_are_reals_and_the_least_is_missing(seed, leaves, pixels):
    rng = np.random.default_rng(seed)
    thresholds = np.concatenate([rng.normal(0, 9000, 60).round(1), rng.integers(-32768, 32768, 60), [0.0]])
    text = model_text([random_tree(rng, leaves, 3, thresholds, DECISIONS) for _ in range(3)], 3)
    numbers = awkward_numbers(rng, thresholds, (pixels, 3))
    found = raw_scores(deep_forest(read_forest(text)), numbers)
    np.testing.assert_array_equal(found, by_lightgbm(text, as_reals(numbers)))


@given(st.integers(0, 10_000), st.sampled_from([1e4, 5e3, 3.0]))
def test_whole_numbers_fall_on_the_side_of_a_threshold_that_their_quotient_falls_on(seed, unit):
    rng = np.random.default_rng(seed)
    near = rng.integers(-32767, 32768, 20)
    edges = near / unit
    edges[::3] = np.nextafter(edges[::3], -math.inf)
    edges[1::3] = np.nextafter(edges[1::3], math.inf)
    text = model_text([random_tree(rng, 60, 2, edges, [NONE_LEFT, ZERO_LEFT, ZERO_RIGHT, NAN_RIGHT])], 2)
    around = (near[:, None] + [-2, -1, 0, 1, 2]).ravel()
    around = np.concatenate([around, [-32767, -1, 0, 1, 32767]]).clip(-32767, 32767).astype("int16")
    numbers = rng.choice(around, (700, 2))
    forest = deep_forest(read_forest(text), unit=unit)
    np.testing.assert_array_equal(raw_scores(forest, numbers), by_lightgbm(text, numbers / unit))


def test_a_feature_may_have_more_thresholds_than_a_byte_holds():
    rng = np.random.default_rng(3)
    thresholds = rng.normal(0, 1, 900)
    text = model_text([random_tree(rng, 800, 2, thresholds, [NONE_LEFT, NAN_LEFT, NAN_RIGHT]) for _ in range(3)], 2)
    forest = deep_forest(read_forest(text))
    assert forest.columns.feature.size > 6
    X = awkward_values(rng, thresholds, (3000, 2))
    np.testing.assert_array_equal(raw_scores(forest, X), by_lightgbm(text, X))


@settings(max_examples=8)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.2]), st.booleans())
def test_scores_of_trained_models_are_lightgbms_to_the_last_bit(seed, share_missing, zero_as_missing):
    import lightgbm

    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1, (400, 4)).round(1)
    rows[:, 3] = 7.0  # a constant
    rows[rng.random(rows.shape) < share_missing] = np.nan
    label = (np.nansum(rows[:, :2], axis=1) + rng.normal(0, 1, 400) > 0).astype(int)
    options = {
        "objective": "binary", "num_leaves": 120, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0.0,
        "zero_as_missing": zero_as_missing, "num_threads": 1, "seed": seed, "verbosity": -1,
    }  # fmt: skip
    booster = lightgbm.train(options, lightgbm.Dataset(rows, label), 6)
    forest = read_forest(booster.model_to_string())
    assert forest.most_leaves > 32
    X = np.concatenate([rows, awkward_values(rng, forest.threshold, (400, 4))])
    expected = booster.predict(X, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(raw_scores(deep_forest(forest), X)[:, 0], expected)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_rank_counts_the_thresholds_below_a_value(seed, size):
    from landweave.tree_models import deep_kernels

    thresholds = np.sort(np.random.default_rng(seed).normal(0, 1, size))
    padded = np.r_[thresholds, np.full(255 - size, np.inf)][None]
    sides = [thresholds, np.nextafter(thresholds, -math.inf), np.nextafter(thresholds, math.inf)]
    values = np.concatenate([*sides, [-math.inf, math.inf, math.nan, 1e-36]])
    found = np.empty((1, values.size), "uint8")
    rules = (np.array([7], "uint8"), np.array([9], "uint8"), 1e-35)
    deep_kernels.run(deep_kernels.count_below, values[None], np.array([0]), padded, *rules, found)
    below = [int((thresholds < value).sum()) for value in values[:-2]]
    assert found[0].tolist() == [*below, 7, 9]


@given(st.integers(0, 10_000), st.integers(1, 700))
def test_a_pixel_does_not_feel_its_neighbours(seed, rows):
    rng = np.random.default_rng(seed)
    trees = [random_tree(rng, 50, 3, rng.normal(0, 1, 30), [NONE_LEFT]) for _ in range(4)]
    forest = deep_forest(read_forest(model_text(trees, 3)))
    X = rng.normal(0, 1, (2000, 3))
    whole = raw_scores(forest, X)
    shuffled = rng.permutation(2000)
    np.testing.assert_array_equal(raw_scores(forest, X[shuffled]), whole[shuffled])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deep, "ROWS", rows)
        np.testing.assert_array_equal(raw_scores(forest, X), whole)
    assert raw_scores(forest, X[:0]).shape == (0, 1)


def test_what_cannot_be_evaluated_is_refused():
    for X in (np.zeros((4, 3)), np.zeros(2), np.zeros((4, 2), "int32"), np.zeros((4, 2), complex)):
        with pytest.raises(ValueError, match="model needs"):
            raw_scores(small_forest(), X)
    tree = random_tree(np.random.default_rng(0), 32769, 2, [0.5], [NONE_LEFT])
    with pytest.raises(NotCovered, match="32769 leaves"):
        deep_forest(read_forest(model_text([tree], 2)))


def test_a_certain_pixel_warns_of_nothing():
    text = model_text([random_tree(np.random.default_rng(0), 1, 1, [0.5], [NONE_LEFT])], 1)
    value = text.split("leaf_value=")[1].split("\n")[0]
    forest = deep_forest(read_forest(text.replace(f"leaf_value={value}", "leaf_value=-1000")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert probabilities(forest, np.zeros((1, 1))).tolist() == [[0.0]]


def test_a_second_process_compiles_nothing():
    for kind in ("int16", "float64"):
        raw_scores(small_forest(), np.zeros((3, 2), kind))
    code = """
import numpy as np
from test_tree_models_deep import small_forest
from landweave.tree_models import deep_kernels
from landweave.tree_models.deep import raw_scores
for kind in ("int16", "float64"):
    raw_scores(small_forest(), np.zeros((3, 2), kind))
for name in ("look_up", "count_below", "sort_alike", "gather", "descend"):
    stats = deep_kernels._compiled(getattr(deep_kernels, name), cache=True).stats
    print(name, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""
    beside = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=beside)
    names = ("look_up", "count_below", "sort_alike", "gather", "descend")
    assert done.stdout.split("\n")[:-1] == [f"{name} 1 0" for name in names]


def test_a_full_disk_stops_no_kernel(monkeypatch):
    from landweave.tree_models import deep_kernels

    asked = []
    original = deep_kernels._compiled

    def compiled(kernel, *, cache):
        asked.append(cache)
        if cache:
            raise OSError(28, "No space left on device")
        return original(kernel, cache=False)

    monkeypatch.setattr(deep_kernels, "_compiled", compiled)
    order = np.empty((2, 4), "uint32")
    spread = np.arange(256, dtype="uint32")[None] << np.uint32(24)
    deep_kernels.run(deep_kernels.sort_alike, np.array([[9, 2, 7, 2]], "uint8"), spread, order)
    assert order[1].tolist() == [1, 3, 2, 0]
    assert asked == [True, False]


# The model that this is for


@pytest.fixture(scope="module")
def cloud_model():
    """The text of the s2cloudless model; the test skips, and says so, where the optional package is absent."""
    if importlib.util.find_spec("s2cloudless") is None:
        reason = 'the package s2cloudless is not here: pip install "landweave[clouds]"'
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    from landweave.features.s2cloudless import model_file

    return model_file().read_text()


def test_no_int16_reflectance_falls_on_the_other_side_of_a_threshold_of_the_cloud_model(cloud_model):
    forest = deep_forest(read_forest(cloud_model), unit=1e4)
    assert forest.columns.feature.tolist() == list(range(10))
    for padded, codes in zip(forest.columns.thresholds, forest.codes, strict=True):
        thresholds = padded[np.isfinite(padded)]
        assert thresholds.size >= 250
        numbers = np.unique((np.rint(thresholds[:, None] * 1e4) + np.arange(-3, 4)).astype(int).clip(-32767, 32767))
        by_rank = codes[numbers.astype("int16").view("uint16")][:, None] <= np.arange(thresholds.size)
        np.testing.assert_array_equal(by_rank, numbers[:, None] / 1e4 <= thresholds)
        rising = codes[np.arange(-32767, 32768, dtype="int16").view("uint16")].astype(int)
        assert (np.diff(rising) >= 0).all()


def test_scores_of_real_pixels_are_lightgbms_to_the_last_bit(cloud_model, shared_data):
    from landweave.features.s2cloudless import BANDS

    with np.load(shared_data / "eolearn_slovenia_patch" / "bands_l1c_5dates.npz") as held:
        places = [list(held["names"]).index(name) for name in BANDS]
        real = held["bands"][..., places].reshape(-1, 10)[::5]
    forest = deep_forest(read_forest(cloud_model), unit=1e4)
    numbers = np.rint(real * 1e4).astype("int16")
    np.testing.assert_array_equal(raw_scores(forest, real), by_lightgbm(cloud_model, real))
    np.testing.assert_array_equal(raw_scores(forest, numbers), by_lightgbm(cloud_model, numbers / 1e4))
