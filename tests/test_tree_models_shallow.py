"""The kernel for trees of few leaves: LightGBM's own scores to the last bit."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from forests import DECISIONS, NONE_LEFT, as_reals, awkward_numbers, awkward_values, model_text, random_tree
from hypothesis import given
from hypothesis import strategies as st

from landweave.tree_models import shallow_kernels
from landweave.tree_models.shallow import MOST_LEAVES, probabilities, raw_scores, shallow_forest
from landweave.tree_models.text import NotCovered, read_forest

DECISION_LISTS = st.lists(st.sampled_from(DECISIONS), min_size=1)


def oracle(text, X, **options):
    """LightGBM's answer for float32, (pixels, classes)."""
    from lightgbm import Booster

    return Booster(model_str=text).predict(X, num_threads=1, **options).reshape(len(X), -1)


def check(text, X):
    """Scores are the same bits; probabilities differ by no more than two exponential functions may; so do labels."""
    forest = shallow_forest(read_forest(text))
    asked = as_reals(X) if X.dtype == np.int16 else X
    np.testing.assert_array_equal(raw_scores(forest, X), oracle(text, asked, raw_score=True))
    p, expected = probabilities(forest, X), oracle(text, asked)
    np.testing.assert_allclose(p, expected, rtol=1e-14, atol=1e-300)
    np.testing.assert_array_equal(p.argmax(axis=1), expected.argmax(axis=1))


@given(
    st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 64), st.integers(1, 5), st.integers(1, 10),
    st.booleans(), st.booleans(), st.integers(1, 600), DECISION_LISTS,
)  # fmt: skip
def test_any_forest_on_whole_numbers_is_lightgbms(
    seed, rounds, leaves, features, classes, chain, average, pixels, decisions
):
    rng = np.random.default_rng(seed)
    thresholds = np.concatenate([rng.normal(0, 3000, 1 + seed % 50), [0.5, 0.0, 7.0, 1e-35, -1e-35, np.inf, -np.inf]])
    thresholds = np.append(thresholds, [-32768.0, -32767.5, -32767.0, 32766.5, 32767.0, 1e300, -1e300])
    sizes = rng.integers(1, leaves + 1, rounds * classes)
    trees = [random_tree(rng, int(size), features, thresholds, decisions, chain=chain) for size in sizes]
    X = awkward_numbers(rng, thresholds, (pixels, features))
    X[rng.random(pixels) < 0.05] = -32768
    check(model_text(trees, features, classes=classes, average=average), X)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 4), st.integers(1, 300), DECISION_LISTS)
def test_any_forest_on_real_numbers_is_lightgbms(seed, leaves, classes, pixels, decisions):
    rng = np.random.default_rng(seed)
    thresholds = np.concatenate([rng.normal(0, 1, 1 + seed % 40).round(2), [0.0, 1e-35, -1e-35, np.inf, -np.inf]])
    trees = [random_tree(rng, leaves, 3, thresholds, decisions) for _ in range(2 * classes)]
    X = awkward_values(rng, thresholds[:-2], (pixels, 3)).astype("float32")
    check(model_text(trees, 3, classes=classes), X)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"num_leaves": 2},
        {"num_leaves": 64, "min_data_in_leaf": 1},
        {"num_leaves": 200, "min_data_in_leaf": 1},
        {"objective": "multiclassova", "sigmoid": 0.6},
        {"objective": "binary"},
        {"boosting": "rf", "bagging_fraction": 0.5, "bagging_freq": 1},
        {"boosting": "dart"},
        {"use_missing": False},
        {"zero_as_missing": True},
        {"max_bin": 1000, "min_data_in_bin": 1, "min_data_in_leaf": 1},
        {"min_data_in_leaf": 5000},
        {"early_stopping_round": 1, "num_iterations": 20, "learning_rate": 2.0},
        {"boost_from_average": False},
        {"extra_trees": True},
    ],
    ids=lambda params: "-".join(params) or "defaults",
)
def test_what_lightgbm_trains_is_evaluated_as_it_does(params):
    import lightgbm

    rng = np.random.default_rng(4)
    y = rng.integers(0, 4, 1500)
    X = (rng.normal(0, 300, (1500, 6)) + y[:, None] * rng.normal(0, 400, 6)).astype("int16")
    X[:, 4] = 17
    X[rng.random(X.shape) < 0.1] = -32768
    X[rng.random(X.shape) < 0.05] = 0
    X[:40] = -32768
    settings = {"objective": "multiclass", "num_class": 4, "num_iterations": 6, "verbosity": -1, "num_threads": 1}
    settings |= params
    if settings["objective"] == "binary":
        settings.pop("num_class")
        y = y // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = lightgbm.Dataset(as_reals(X[:1000]), y[:1000])
        held = table.create_valid(as_reals(X[1000:]), y[1000:])
        booster = lightgbm.train(settings, table, valid_sets=[held])
    text = booster.model_to_string()
    check(text, X)
    kept = read_forest(text).n_trees // booster.num_model_per_iteration()
    assert kept == (booster.best_iteration if "early_stopping_round" in params else booster.current_iteration())
    assert kept < 20


def test_classes_with_equal_scores_are_told_apart_as_by_argmax():
    rng = np.random.default_rng(1)
    tree = random_tree(rng, 9, 2, [-100.0, 0.0, 250.0], DECISIONS)
    other = random_tree(rng, 9, 2, [-100.0, 0.0, 250.0], DECISIONS)
    text = model_text([other, tree, tree] * 3, 2, classes=3)
    X = awkward_numbers(rng, np.array([-100.0, 0.0, 250.0]), (500, 2))
    p = probabilities(shallow_forest(read_forest(text)), X)
    assert (p[:, 1] == p[:, 2]).all()
    assert set(p.argmax(axis=1)) == {0, 1}
    check(text, X)


def test_a_feature_may_have_more_thresholds_than_a_byte_holds():
    rng = np.random.default_rng(3)
    thresholds = rng.normal(0, 5000, 900)
    text = model_text([random_tree(rng, MOST_LEAVES, 1, thresholds, DECISIONS) for _ in range(8)], 1)
    forest = shallow_forest(read_forest(text))
    assert forest.columns.feature.size > 6
    check(text, awkward_numbers(rng, thresholds, (3000, 1)))
    check(text, awkward_values(rng, thresholds, (3000, 1)).astype("float32"))


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("leaves", [1, 8, 9, 32, 33, 64, 65, 255, 256])
def test_trees_of_any_number_of_leaves_up_to_a_byte(leaves, chain):
    rng = np.random.default_rng(leaves)
    thresholds = rng.normal(0, 5000, 60)
    trees = [random_tree(rng, size, 4, thresholds, DECISIONS, chain=chain) for size in (leaves, 1, leaves)]
    check(model_text(trees, 4), awkward_numbers(rng, thresholds, (700, 4)))


def test_a_tree_of_more_leaves_is_not_covered():
    text = model_text([random_tree(np.random.default_rng(0), MOST_LEAVES + 1, 1, [0.0], [NONE_LEFT])], 1)
    with pytest.raises(NotCovered, match="257 leaves"):
        shallow_forest(read_forest(text))


THRESHOLDS = np.random.default_rng(0).normal(0, 1000, 40)
FOREST = shallow_forest(
    read_forest(model_text([random_tree(np.random.default_rng(5), 20, 3, THRESHOLDS, DECISIONS) for _ in range(6)], 3, classes=2))
)  # fmt: skip


def test_a_pixel_does_not_depend_on_its_neighbours_or_its_place_in_memory():
    X = awkward_numbers(np.random.default_rng(6), THRESHOLDS, (1100, 3))
    whole = raw_scores(FOREST, X)
    wide = np.zeros((2200, 7), "int16")
    wide[::2, 1:7:2] = X
    fixed = X.copy()
    fixed.flags.writeable = False
    for same in (np.asfortranarray(X), wide[::2, 1:7:2], fixed, X[::-1][::-1]):
        np.testing.assert_array_equal(raw_scores(FOREST, same), whole)
    for start, stop in ((0, 0), (0, 1), (3, 258), (255, 512), (1099, 1100)):
        np.testing.assert_array_equal(raw_scores(FOREST, X[start:stop]), whole[start:stop])


@pytest.mark.parametrize(
    "X", [np.zeros((4, 2), "int16"), np.zeros(3, "int16"), np.zeros((4, 3)), np.zeros((4, 3), "uint8")]
)
def test_features_of_another_shape_or_type_are_refused(X):
    with pytest.raises(ValueError, match="The model needs"):
        raw_scores(FOREST, X)


def test_the_kernels_hold_no_lock_of_the_interpreter():
    for kernel in (shallow_kernels.from_codes, shallow_kernels.from_reals):
        assert shallow_kernels._compiled(kernel).targetoptions["nogil"]


def test_a_second_process_compiles_nothing():
    X = np.zeros((2, 3), "int16")
    raw_scores(FOREST, X)
    raw_scores(FOREST, X.astype("float32"))
    code = """
from landweave.tree_models import shallow_kernels as kernels
for kernel in (kernels.from_codes, kernels.from_reals):
    stats = kernels._compiled(kernel).stats
    print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "0", "1", "0"]
