"""Models from elsewhere: every index in a file is checked before compiled code follows it."""

import hashlib
import json
import os
import re

import numpy as np
import pytest
from forests import DECISIONS, model_text, random_tree
from hypothesis import given
from hypothesis import strategies as st
from test_tree_models_text import trained

from landweave.classifier.estimators import Boosted
from landweave.classifier.model import Model, _digest
from landweave.errors import InputError
from landweave.tree_models.text import NotCovered, lightgbm_text, read_forest

KINDS = {
    "plain": {},
    "categorical": {"categorical": [0], "min_data_per_group": 1, "cat_smooth": 0},
    "linear": {"linear_tree": True},
    "other objective": {"objective": "regression"},
    "many leaves": {"num_leaves": 300, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0},
}
TEXTS = {kind: trained(**params) for kind, params in KINDS.items()}
TEXTS["another version"] = TEXTS["plain"].replace("version=v4", "version=v9")


def put(text, key, value):
    """Change the first number of the first line of a name that is not empty; with "=" before it, the whole line."""
    whole = str(value).startswith("=")
    changed = str(value).removeprefix("=")
    return re.sub(rf"(?m)^{key}=" + (".+$" if whole else r"\S+"), f"{key}={changed}", text, count=1)


BEYOND = [
    ("left_child", 99999999), ("left_child", 0), ("left_child", -99999999), ("left_child", 2**31), ("left_child", 2**64),
    ("right_child", 99999999), ("right_child", 0), ("right_child", "=-1"), ("split_feature", 3), ("split_feature", -1),
    ("split_feature", 10**6), ("split_feature", 2**32), ("num_leaves", 10**9), ("num_leaves", 0), ("num_leaves", -1),
    ("num_leaves", 2), ("num_cat", -1), ("num_cat", 10**9), ("decision_type", -1),
    ("decision_type", 256), ("threshold", "nan"), ("threshold", "1_0"), ("leaf_value", "nan"), ("leaf_value", "inf"),
    ("leaf_value", "=1 2"), ("num_class", 10**9),
    ("num_tree_per_iteration", 0), ("num_tree_per_iteration", 2), ("max_feature_idx", 10**9), ("max_feature_idx", 1),
    ("feature_names", "=a"), ("tree_sizes", "=1"),
]  # fmt: skip


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize(("key", "value"), BEYOND)
def test_an_index_beyond_its_array_is_refused_whoever_would_evaluate_the_trees(kind, key, value):
    changed = put(TEXTS[kind], key, value)
    assert changed != TEXTS[kind]
    with pytest.raises(InputError) as caught:
        read_forest(changed)
    assert str(caught.value).startswith("The model file ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("categorical", "cat_boundaries", "=0 2000000000"),
        ("categorical", "cat_boundaries", "=1 0"),
        ("categorical", "cat_boundaries", "=-1 1"),
        ("categorical", "cat_threshold", 2**32),
        ("categorical", "cat_threshold", "=-1"),
        ("categorical", "cat_threshold", "="),
        ("linear", "num_features", 999999999),
        ("linear", "num_features", -1),
        ("linear", "leaf_features", 3),
        ("linear", "leaf_features", -1),
        ("linear", "leaf_features", 10**6),
        ("linear", "leaf_coeff", "nan"),
        ("linear", "leaf_const", "=1"),
    ],
)
def test_sets_of_categories_and_linear_leaves_are_checked(kind, key, value):
    changed = put(TEXTS[kind], key, value)
    assert changed != TEXTS[kind]
    with pytest.raises(InputError, match=r"^The model file has"):
        read_forest(changed)


def test_a_split_on_a_set_of_categories_that_does_not_exist_is_refused():
    text = TEXTS["categorical"]
    block = next(part for part in text.split("\nTree=")[1:] if "\nnum_cat=0" not in part)
    node = [int(word) & 1 for word in re.search(r"(?m)^decision_type=(.*)$", block)[1].split()].index(1)
    words = re.search(r"(?m)^threshold=(.*)$", block)[1].split()
    for wrong in ("9999999", "-1", "0.5", "inf", "1e300"):
        own = [*words[:node], wrong, *words[node + 1 :]]
        with pytest.raises(InputError, match="set of categories beyond"):
            read_forest(text.replace(block, block.replace(" ".join(words), " ".join(own))))


def chain(leaves):
    """A tree that is one long way down."""
    return random_tree(np.random.default_rng(0), leaves, 1, [0.0], DECISIONS, chain=True)


def test_the_depth_of_a_tree_is_bounded():
    assert read_forest(model_text([chain(10_000)], 1)).most_leaves == 10_000
    with pytest.raises(InputError, match="more than 10000 levels"):
        read_forest(model_text([chain(10_002)], 1))


@pytest.mark.parametrize("kind", ["plain", "categorical", "linear", "many leaves"])
def test_the_checked_text_means_the_same_to_lightgbm(kind):
    import lightgbm

    text = TEXTS[kind]
    rng = np.random.default_rng(1)
    X = np.vstack([rng.integers(-2, 12, (400, 3)), rng.normal(0, 9, (400, 3)), np.full((1, 3), np.nan)])
    models = [lightgbm.Booster(model_str=same) for same in (text, lightgbm_text(text))]
    np.testing.assert_array_equal(models[1].predict(X), models[0].predict(X))
    np.testing.assert_array_equal(*(model.feature_importance("gain") for model in models))
    assert lightgbm_text(lightgbm_text(text)) == lightgbm_text(text)


def test_lightgbm_sees_the_trees_that_were_checked_and_no_others():
    """LightGBM finds trees by their sizes and a line by its name; both can say something else than the text does."""
    import lightgbm

    text = TEXTS["linear"]
    expected = lightgbm.Booster(model_str=text).predict(np.ones((1, 3)))
    hidden = text.replace("num_leaves=", "num_leaves=1000000000\nunknown=1\nnum_leaves=")
    sizes = re.search(r"(?m)^tree_sizes=(.*)$", text)[1].split()
    for harmful in (hidden, put(text, "tree_sizes", " ".join(["=", *sizes[:-1], "99999999"]))):
        estimator = Boosted(classes=(1, 2, 3), feature_names=("a", "b", "c"), text=harmful)
        np.testing.assert_array_equal(estimator.predict(np.ones((1, 3), "float32")), expected)


@pytest.mark.parametrize("key", ["leaf_weight", "leaf_count", "internal_value", "internal_count", "shrinkage"])
@pytest.mark.parametrize("value", ["+", "x", "=", "=1 2 3 4 5 6 7 8 9"])
def test_lines_that_no_prediction_needs_do_not_reach_lightgbm(key, value):
    """A number that LightGBM cannot read in one of its threads ends the process."""
    text = put(TEXTS["linear"], key, value)
    estimators = [Boosted(classes=(1, 2, 3), feature_names=tuple("abc"), text=one) for one in (TEXTS["linear"], text)]
    X = np.arange(30, dtype="float32").reshape(10, 3)
    np.testing.assert_array_equal(*(estimator.predict(X) for estimator in estimators))


@pytest.mark.parametrize("value", ["+", "x", "=1"])
def test_gains_that_are_no_numbers_are_refused(value):
    with pytest.raises(InputError, match=r"split_gain|could not convert"):
        lightgbm_text(put(TEXTS["linear"], "split_gain", value))


def test_an_objective_without_classes_gives_no_model():
    estimator = Boosted(classes=(1,), feature_names=("a", "b", "c"), text=TEXTS["other objective"])
    with pytest.raises(InputError, match="objective regression, which gives no probabilities"):
        _ = estimator.forest


@given(st.data())
def test_a_changed_number_is_refused_or_gives_trees_that_can_be_walked(data):
    text = TEXTS[data.draw(st.sampled_from(list(TEXTS)))]
    places = list(re.finditer(r"(?<=[= ])-?\d+(?=[ \n])", text))
    place = data.draw(st.sampled_from(places))
    number = data.draw(st.sampled_from([-1, 0, 1, 2, 7, 255, 10**5, 2**31, 2**32, -(2**31), 2**63, 10**30]))
    changed = f"{text[: place.start()]}{number}{text[place.end() :]}"
    try:
        forest = read_forest(changed)
    except (InputError, NotCovered):
        return
    for first, last, leaf in zip(forest.node_start, forest.node_start[1:], forest.leaf_start, strict=False):
        for side in (forest.left, forest.right):
            child, parent = side[first:last], np.arange(last - first)
            assert ((child > parent) | (child < 0)).all()
            assert (child < last - first).all()
            assert (leaf + ~child[child < 0] < forest.leaf_value.size).all()


def saved(folder, text=TEXTS["plain"], **changes):
    """A model's folder with a text of LightGBM, signed as one who means harm would."""
    folder.mkdir()
    (folder / "model.txt").write_text(text, "utf-8")
    said = {
        "format": "landweave model 1", "kind": "lightgbm", "classes": [1, 2, 3],
        "class_names": {"1": "a", "2": "b", "3": "c"}, "feature_names": ["x", "y", "z"], "recipe": None,
        "training_temperature": 1.0, "prior": None, "temperature": 1.0, "thresholds": {}, "reject_below": None,
        "provenance": {}, "files": {"model.txt": hashlib.sha256(text.encode()).hexdigest()}, **changes,
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps({**said, "sha256": _digest(said)}), "utf-8")
    return folder


def test_a_text_with_the_names_of_columns_is_read(tmp_path):
    assert Model.load(saved(tmp_path / "model")).classes == (1, 2, 3)


@pytest.mark.parametrize("names", ["y x z", "x y", "x y z w", "Column_1 Column_0 Column_2", ""])
def test_features_in_another_order_than_the_texts_are_refused(tmp_path, names):
    text = re.sub(r"(?m)^feature_names=.*$", f"feature_names={names}", TEXTS["plain"])
    with pytest.raises(InputError, match=r"model: model\.txt has other features than model\.json: "):
        Model.load(saved(tmp_path / "model", text))


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": [1, 2]}, {"classes": [1.5, 2, 3]}, {"classes": [True, 2, 3]}, {"classes": "123"}, {"classes": {}},
        {"classes": [1, 2, 10**400]}, {"feature_names": "xyz"}, {"feature_names": ["x", "x", "z"]},
        {"feature_names": []}, {"class_names": []}, {"class_names": {"1" * 5000: "a"}}, {"recipe": 5},
        {"recipe": []}, {"provenance": None}, {"thresholds": {"1": "x"}}, {"prior": 7}, {"prior": [[], [], []]},
        {"temperature": 10**400}, {"temperature": None}, {"files": ["model.txt"]}, {"files": {"model.txt": None}},
        {"files": {"a\0b": ""}}, {"files": {"..": ""}}, {"files": {".": ""}}, {"files": {"": ""}}, {"kind": []},
        {"kind": {}}, {"reject_below": "x"},
    ],
)  # fmt: skip
def test_values_of_another_kind_in_model_json_are_refused_in_one_line(tmp_path, changes):
    folder = saved(tmp_path / "model", **changes)
    with pytest.raises(InputError) as caught:
        Model.load(folder)
    assert str(caught.value).startswith(f"{folder}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["model.json", "model.txt"])
def test_a_pipe_and_a_file_without_end_are_not_read(tmp_path, name):
    folder = saved(tmp_path / "model")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(InputError, match=rf"{name} is not a file"):
        Model.load(folder)
    (folder / name).unlink()
    (folder / name).symlink_to("/dev/zero")
    with pytest.raises(InputError, match=rf"{name} is not a file"):
        Model.load(folder)
    (folder / name).unlink()
    with (folder / name).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match=rf"{name} has 1099511627776 bytes"):
        Model.load(folder)
