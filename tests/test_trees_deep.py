"""The kernel for deep trees: LightGBM's own scores to the last bit."""

import importlib.util
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landweave.trees import deep
from landweave.trees.deep import deep_forest, raw_scores
from landweave.trees.text import NotCovered, read_forest


def random_tree(rng, leaves, features, thresholds, decisions, *, chain=False):
    """One tree in LightGBM's text; leaves are split one by one, so that children come after their parents."""
    left, right, ends = [], [], [(None, None)]  # where a leaf hangs: the list, and the node
    for node in range(leaves - 1):
        side, parent = ends.pop(-1 if chain else int(rng.integers(len(ends))))
        if side is not None:
            side[parent] = node
        left.append(None)
        right.append(None)
        ends += [(left, node), (right, node)]
    for leaf, (side, parent) in enumerate(ends):
        if side is not None:
            side[parent] = ~leaf
    nodes = leaves - 1
    rows = {
        "num_leaves": [leaves],
        "num_cat": [0],
        "split_feature": rng.integers(0, features, nodes),
        "split_gain": np.ones(nodes, int),
        "threshold": [repr(float(value)) for value in rng.choice(thresholds, nodes)],
        "decision_type": rng.choice(decisions, nodes),
        "left_child": left,
        "right_child": right,
        "leaf_value": [repr(float(value)) for value in rng.normal(0, 0.3, leaves)],
        "leaf_weight": np.ones(leaves, int),
        "leaf_count": np.ones(leaves, int),
        "internal_value": np.zeros(nodes, int),
        "internal_weight": np.zeros(nodes, int),
        "internal_count": np.ones(nodes, int),
        "is_linear": [0],
        "shrinkage": [1],
    }
    return "".join(f"{key}={' '.join(map(str, row))}\n" for key, row in rows.items())


def model_text(trees, features, *, classes=1, average=False):
    blocks = [f"Tree={number}\n{tree}\n\n" for number, tree in enumerate(trees)]
    objective = f"multiclass num_class:{classes}" if classes > 1 else "binary sigmoid:1"
    head = ["tree", "version=v4", f"num_class={classes}", f"num_tree_per_iteration={classes}", "label_index=0"]
    head += [f"max_feature_idx={features - 1}", f"objective={objective}", *(["average_output"] if average else [])]
    head += [f"feature_names={' '.join(f'f{i}' for i in range(features))}"]
    head += [f"feature_infos={' '.join(['[-9:9]'] * features)}"]
    head += [f"tree_sizes={' '.join(str(len(block)) for block in blocks)}"]
    return "\n".join(head) + "\n\n" + "".join(blocks) + "end of trees\n\nparameters:\nend of parameters\n"


def lightgbm_scores(text, rows):
    """(classes, pixels); LightGBM wants rows of pixels."""
    from lightgbm import Booster

    found = Booster(model_str=text).predict(rows.T.astype("float64"), raw_score=True, num_threads=1)
    return found.reshape(rows.shape[1], -1).T


def awkward_values(rng, thresholds, shape):
    """On, just below and just above thresholds; nearly zero; missing; endless; anything."""
    edges = rng.choice(thresholds, shape)
    tiny = rng.choice([0.0, -0.0, 1e-36, -1e-36, 1e-35, float(np.float32(1e-35)), 1.1e-35, -1.1e-35], shape)
    choices = [
        edges, np.nextafter(edges, -math.inf), np.nextafter(edges, math.inf), tiny, np.full(shape, np.nan),
        rng.choice([-math.inf, math.inf], shape), rng.normal(0, 1, shape), rng.normal(0, 1, shape),
    ]  # fmt: skip
    return np.choose(rng.integers(0, len(choices), shape), choices)


NONE_LEFT, NONE_RIGHT, ZERO_LEFT, ZERO_RIGHT, NAN_LEFT, NAN_RIGHT = 2, 0, 6, 4, 10, 8
"""LightGBM's decision_type: default direction in bit 1, kind of missing value in bits 2 and 3."""


@given(
    st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 90), st.integers(1, 6), st.integers(1, 3),
    st.booleans(), st.booleans(), st.integers(1, 1300),
    st.lists(st.sampled_from([NONE_LEFT, NONE_RIGHT, ZERO_LEFT, ZERO_RIGHT, NAN_LEFT, NAN_RIGHT]), min_size=1),
)  # fmt: skip
def test_scores_of_any_forest_are_lightgbms_to_the_last_bit(
    seed, rounds, leaves, features, classes, chain, average, pixels, decisions
):
    rng = np.random.default_rng(seed)
    thresholds = np.concatenate([rng.normal(0, 1, 1 + seed % 40).round(2), [0.0, 1e-35, -1e-35, 1e-300]])
    sizes = rng.integers(1, leaves + 1, rounds * classes)
    trees = [random_tree(rng, int(size), features, thresholds, decisions, chain=chain) for size in sizes]
    text = model_text(trees, features, classes=classes, average=average)
    values = awkward_values(rng, thresholds, (features, pixels))
    forest = deep_forest(read_forest(text))
    found = raw_scores(forest, values)
    assert found.shape == (classes, pixels)
    np.testing.assert_array_equal(found, lightgbm_scores(text, values))
    single = values.astype("float32")
    np.testing.assert_array_equal(raw_scores(forest, single), lightgbm_scores(text, single))


def test_a_feature_may_have_more_thresholds_than_a_byte_holds():
    rng = np.random.default_rng(3)
    thresholds = rng.normal(0, 1, 900)
    decisions = [NONE_LEFT, NAN_LEFT, NAN_RIGHT]
    trees = [random_tree(rng, 800, 2, thresholds, decisions) for _ in range(3)]
    text = model_text(trees, 2)
    forest = deep_forest(read_forest(text))
    assert forest.feature.size > 6
    values = awkward_values(rng, thresholds, (2, 3000))
    np.testing.assert_array_equal(raw_scores(forest, values), lightgbm_scores(text, values))


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
    values = np.concatenate([rows, awkward_values(rng, forest.threshold, (400, 4))]).T
    expected = booster.predict(values.T, raw_score=True, num_threads=1)
    np.testing.assert_array_equal(raw_scores(deep_forest(forest), values)[0], expected)


@given(st.integers(0, 10_000), st.sampled_from([1.0, 1e4, 5e3, 3.0]))
def test_whole_numbers_fall_on_the_side_of_a_threshold_that_their_quotient_falls_on(seed, unit):
    rng = np.random.default_rng(seed)
    near = rng.integers(-32768, 32768, 20)
    edges = near / unit
    edges[::3] = np.nextafter(edges[::3], -math.inf)
    edges[1::3] = np.nextafter(edges[1::3], math.inf)
    decisions = [NONE_LEFT, ZERO_LEFT, ZERO_RIGHT, NAN_RIGHT]
    text = model_text([random_tree(rng, 60, 2, edges, decisions)], 2)
    around = (near[:, None] + [-2, -1, 0, 1, 2]).ravel()
    around = np.concatenate([around, [-32768, -1, 0, 1, 32767]]).clip(-32768, 32767).astype("int16")
    codes = rng.choice(around, (2, 700))
    forest = deep_forest(read_forest(text), unit=unit)
    np.testing.assert_array_equal(raw_scores(forest, codes), lightgbm_scores(text, codes / unit))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_rank_counts_the_thresholds_below_a_value(seed, size):
    from landweave.trees import deep_kernels

    thresholds = np.sort(np.random.default_rng(seed).normal(0, 1, size))
    padded = np.r_[thresholds, np.full(255 - size, np.inf)][None]
    sides = [thresholds, np.nextafter(thresholds, -math.inf), np.nextafter(thresholds, math.inf)]
    values = np.concatenate([*sides, [-math.inf, math.inf, math.nan, 1e-36]])
    found = np.empty((1, values.size), "uint8")
    rules = (np.array([7]), np.array([9]), 1e-35)
    deep_kernels.run(deep_kernels.rank_reals, values[None], np.array([0]), padded, *rules, found)
    below = [int((thresholds < value).sum()) for value in values[:-2]]
    assert found[0].tolist() == [*below, 7, 9]


@given(st.integers(0, 10_000), st.integers(1, 700))
def test_a_pixel_does_not_feel_its_neighbours(seed, rows):
    rng = np.random.default_rng(seed)
    trees = [random_tree(rng, 50, 3, rng.normal(0, 1, 30), [NONE_LEFT]) for _ in range(4)]
    forest = deep_forest(read_forest(model_text(trees, 3)))
    values = rng.normal(0, 1, (3, 2000))
    whole = raw_scores(forest, values)
    shuffled = rng.permutation(2000)
    np.testing.assert_array_equal(raw_scores(forest, values[:, shuffled]), whole[:, shuffled])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deep, "ROWS", rows)
        np.testing.assert_array_equal(raw_scores(forest, values), whole)
    assert raw_scores(forest, values[:, :0]).shape == (1, 0)


def test_what_cannot_be_evaluated_is_refused():
    rng = np.random.default_rng(0)
    forest = read_forest(model_text([random_tree(rng, 5, 2, [0.5], [NONE_LEFT])], 2))
    for values in (np.zeros((3, 4)), np.zeros(2), np.zeros((2, 4), "int32"), np.zeros((2, 4), complex)):
        with pytest.raises(ValueError, match="model needs"):
            raw_scores(deep_forest(forest), values)
    huge = read_forest(model_text([random_tree(rng, 32769, 2, [0.5], [NONE_LEFT])], 2))
    with pytest.raises(NotCovered, match="32769 leaves"):
        deep_forest(huge)


def test_a_second_process_compiles_nothing():
    forest = deep_forest(read_forest(model_text([random_tree(np.random.default_rng(0), 5, 2, [0.5], [NONE_LEFT])], 2)))
    for kind in ("int16", "float64"):
        raw_scores(forest, np.zeros((2, 3), kind))
    code = """
import sys
import numpy as np
from test_trees_deep import NONE_LEFT, model_text, random_tree
from landweave.trees import deep_kernels
from landweave.trees.deep import deep_forest, raw_scores
from landweave.trees.text import read_forest
forest = deep_forest(read_forest(model_text([random_tree(np.random.default_rng(0), 5, 2, [0.5], [NONE_LEFT])], 2)))
for kind in ("int16", "float64"):
    raw_scores(forest, np.zeros((2, 3), kind))
for name in ("rank_codes", "rank_reals", "sort_alike", "gather", "descend"):
    stats = deep_kernels._compiled(getattr(deep_kernels, name), cache=True).stats
    print(name, sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = ("rank_codes", "rank_reals", "sort_alike", "gather", "descend")
    assert done.stdout.split("\n")[:-1] == [f"{name} 1 0" for name in names]


def test_a_full_disk_stops_no_kernel(monkeypatch):
    from landweave.trees import deep_kernels

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
    assert forest.feature.size == 10
    for padded, ranks in zip(forest.thresholds, forest.codes, strict=True):
        thresholds = padded[np.isfinite(padded)]
        assert thresholds.size >= 250
        units = np.unique((np.rint(thresholds[:, None] * 1e4) + np.arange(-3, 4)).astype(int).clip(-32768, 32767))
        by_rank = ranks[units + 32768][:, None] <= np.arange(thresholds.size)
        np.testing.assert_array_equal(by_rank, units[:, None] / 1e4 <= thresholds)
        assert (np.diff(ranks.astype(int)) >= 0).all()


def test_scores_of_real_pixels_are_lightgbms_to_the_last_bit(cloud_model, shared_data):
    from landweave.features.s2cloudless import BANDS

    with np.load(shared_data / "eolearn_slovenia_patch" / "bands_l1c_5dates.npz") as held:
        places = [list(held["names"]).index(name) for name in BANDS]
        real = np.moveaxis(held["bands"][..., places], -1, 0).reshape(10, -1)[:, ::5]
    forest = deep_forest(read_forest(cloud_model), unit=1e4)
    codes = np.rint(real * 1e4).astype("int16")
    np.testing.assert_array_equal(raw_scores(forest, real), lightgbm_scores(cloud_model, real))
    np.testing.assert_array_equal(raw_scores(forest, codes), lightgbm_scores(cloud_model, codes / 1e4))
