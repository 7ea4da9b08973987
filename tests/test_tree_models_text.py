"""LightGBM's text, read without LightGBM."""

import re
import warnings

import numpy as np
import pytest
from forests import DECISIONS, NAN_LEFT, NONE_LEFT, model_text, random_tree

from landweave.errors import InputError
from landweave.tree_models.text import MISSING_NAN, MISSING_NONE, MISSING_ZERO, NotCovered, read_forest


def text_of(leaves=(4, 1, 3), features=2, decisions=DECISIONS, **options):
    rng = np.random.default_rng(7)
    trees = [random_tree(rng, size, features, [-0.5, 0.25, 3.0], decisions) for size in leaves]
    return model_text(trees, features, **options)


def trained(*, categorical=(), **params):
    import lightgbm

    rng = np.random.default_rng(0)
    X = rng.integers(0, 9, (200, 3)).astype("float64")
    y = (X.sum(axis=1) + rng.integers(0, 9, 200)) % 3
    settings = {"objective": "multiclass", "num_class": 3, "num_leaves": 5, "verbosity": -1, "num_threads": 1, **params}
    if settings["objective"] in {"binary", "regression", "cross_entropy"}:
        settings.pop("num_class")
        y = (y > 0).astype("float64")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = lightgbm.Dataset(X, y, categorical_feature=list(categorical))
        return lightgbm.train(settings, table, 4).model_to_string()


def test_the_arrays_are_the_trees_one_after_the_other():
    forest = read_forest(text_of())
    assert (forest.n_features, forest.n_classes, forest.n_trees, forest.most_leaves) == (2, 1, 3, 4)
    assert (forest.objective, forest.sigmoid, forest.average_output) == ("binary", 1.0, False)
    assert forest.feature_names == ("f0", "f1")
    assert forest.node_start.tolist() == [0, 3, 3, 5]
    assert forest.leaf_start.tolist() == [0, 4, 5, 8]
    for name, kind in (
        ("split_feature", "int32"), ("threshold", "float64"), ("left", "int32"), ("right", "int32"),
        ("default_left", "bool"), ("missing_type", "uint8"), ("leaf_value", "float64"),
    ):  # fmt: skip
        values = getattr(forest, name)
        assert values.dtype == kind, name
        assert values.size == (8 if name == "leaf_value" else 5), name


def test_numbers_are_the_doubles_that_were_written():
    text = text_of((2,))
    wild = re.sub(r"threshold=\S+", "threshold=1.0000000180025095e-35", text)
    wild = re.sub(r"leaf_value=.*", "leaf_value=0.1 -4.9406564584124654e-324", wild)
    forest = read_forest(wild)
    assert forest.threshold.tolist() == [1.0000000180025095e-35]
    assert forest.leaf_value.tolist() == [0.1, -5e-324]


def test_a_decision_holds_direction_and_kind_of_missing_value():
    kinds = {0: MISSING_NONE, 1: MISSING_ZERO, 2: MISSING_NAN}
    for decision in DECISIONS:
        forest = read_forest(text_of((2,), decisions=[decision]))
        assert forest.default_left.tolist() == [decision & 2 > 0]
        assert forest.missing_type.tolist() == [kinds[decision >> 2]]


def test_what_is_missing_for_lightgbm_is_so_for_the_forest():
    assert set(read_forest(trained()).missing_type) == {MISSING_NONE}
    assert set(read_forest(trained(zero_as_missing=True)).missing_type) == {MISSING_ZERO}


@pytest.mark.parametrize("version", ["v2", "v3", "v4"])
def test_older_texts_are_read(version):
    text = text_of().replace("version=v4", f"version={version}").replace("is_linear=0\n", "")
    assert read_forest(text).n_trees == 3


def test_the_objective_says_how_scores_become_probabilities():
    assert read_forest(trained()).objective == "multiclass"
    forest = read_forest(trained(objective="multiclassova", sigmoid=0.7))
    assert (forest.objective, forest.sigmoid, forest.n_classes) == ("multiclassova", 0.7, 3)
    forest = read_forest(trained(objective="binary", boosting="rf", bagging_fraction=0.5, bagging_freq=1))
    assert (forest.objective, forest.average_output, forest.n_classes) == ("binary", True, 1)


def test_a_threshold_may_be_infinite():
    forest = read_forest(re.sub(r"threshold=\S+", "threshold=inf", text_of((2,))))
    assert forest.threshold.tolist() == [np.inf]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (text_of().replace("version=v4", "version=v5"), "version v5"),
        (text_of().replace("objective=binary sigmoid:1", "objective=lambdarank"), "objective lambdarank"),
        (text_of().replace("objective=binary sigmoid:1\n", ""), "objective none"),
        (text_of(decisions=[NAN_LEFT | 4]), "missing"),
    ],
)
def test_what_lightgbm_knows_and_the_kernels_do_not_is_named(text, reason):
    with pytest.raises(NotCovered, match=reason):
        read_forest(text)


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"linear_tree": True}, "linear"),
        ({"categorical": [0], "min_data_per_group": 1, "cat_smooth": 0}, "categorical"),
        ({"objective": "cross_entropy"}, "cross_entropy"),
        ({"objective": "regression"}, "regression"),
    ],
)
def test_lightgbms_own_models_of_other_kinds_are_named(params, reason):
    with pytest.raises(NotCovered, match=reason):
        read_forest(trained(**params))


GOOD = text_of((4, 3), decisions=[NONE_LEFT])


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "tree\n",
        "not a model",
        GOOD.removeprefix("tree\n"),
        GOOD[: GOOD.index("Tree=1")],
        GOOD[: GOOD.index("end of trees")],
        GOOD.replace("version=v4\n", ""),
        GOOD.replace("max_feature_idx=1", "max_feature_idx=0"),
        GOOD.replace("max_feature_idx=1", "max_feature_idx=one"),
        GOOD.replace("num_tree_per_iteration=1", "num_tree_per_iteration=0"),
        GOOD.replace("num_tree_per_iteration=1", "num_tree_per_iteration=3"),
        GOOD.replace("num_leaves=3", "num_leaves=4"),
        GOOD.replace("num_leaves=3", "num_leaves=0"),
        GOOD.replace("num_leaves=3", "num_leaves=-2"),
        text_of(decisions=[1]),
        re.sub(r"threshold=\S+", "threshold=nan", text_of((2,))),
        re.sub(r"leaf_value=\S+", "leaf_value=inf", text_of((2,))),
        re.sub(r"split_feature=\d", "split_feature=-1", GOOD),
        re.sub(r"split_feature=\d", "split_feature=99999999999999999999", GOOD),
        re.sub(r"leaf_value=\S+ ", "leaf_value=", GOOD),
        re.sub(r"leaf_value=\S+ ", "leaf_value=x ", GOOD),
        re.sub(r"left_child=\S+", "left_child=0", GOOD),
        re.sub(r"left_child=\S+", "left_child=77", GOOD),
        re.sub(r"left_child=\S+", "left_child=-77", GOOD),
        re.sub(r"left_child=.*", "left_child=-1 1 -2", GOOD, count=1),
        re.sub(r"right_child=.*", "right_child=-1 -1 -1", GOOD, count=1),
    ],
)
def test_a_broken_text_is_refused_in_one_line(broken):
    with pytest.raises(InputError) as caught:
        read_forest(broken)
    assert str(caught.value).startswith("The model file ")
    assert "\n" not in str(caught.value)


def test_trees_that_run_in_a_circle_are_refused():
    tree = random_tree(np.random.default_rng(0), 4, 1, [0.0], [NONE_LEFT])
    tree = re.sub(r"left_child=.*", "left_child=-1 2 1", tree)
    tree = re.sub(r"right_child=.*", "right_child=-2 -3 -4", tree)
    with pytest.raises(InputError, match="cycle"):
        read_forest(model_text([tree], 1))
