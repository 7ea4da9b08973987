"""The classifier as an estimator of scikit-learn."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from landweave import InputError, LandCoverClassifier, PatchSplit
from landweave.classifier.model import Model

FEW = {"n_estimators": 15}
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "LightGBM counts rows, not weights, in its bins and leaves; the "
    "folds of the temperature are drawn by row",
}


@parametrize_with_checks(
    [LandCoverClassifier(params=FEW, folds=2), LandCoverClassifier("random_forest", {"n_estimators": 8}, folds=2)],
    expected_failed_checks=lambda estimator: EXPECTED,
)
def test_scikit_learns_own_checks_pass(estimator, check):
    check(estimator)


def two_classes(n, share, seed):
    """Points of two known bell curves, `share` of them in class 2, and the true probability of class 2."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.random(n) < share, 2, 1)
    X = rng.normal(np.where(y == 2, 1.5, 0.0)[:, None], 1.0, (n, 1)).astype("float32")
    ratio = np.exp(1.5 * X[:, 0] - 1.5**2 / 2) * share / (1 - share)
    return X, y, ratio / (1 + ratio)


def log_loss(p, y, classes):
    return -np.log(np.maximum(p[np.arange(len(y)), np.searchsorted(classes, y)], 1e-15)).mean()


def test_class_shares_move_probabilities_to_those_of_the_land():
    X, y, _ = two_classes(4000, 0.5, 1)
    land, _, true = two_classes(4000, 0.05, 2)
    logistic = {"type": "sklearn.linear_model.LogisticRegression"}
    found = LandCoverClassifier(**logistic, prior="area", class_shares={1: 95, 2: 5}).fit(X, y).predict_proba(land)
    assert np.abs(found[:, 1] - true).max() < 0.05
    plain = LandCoverClassifier(**logistic).fit(X, y).predict_proba(land)
    assert np.abs(plain[:, 1] - true).max() > 0.3


def test_weights_of_land_give_the_same_prior_as_its_shares():
    X, y, _ = two_classes(1000, 0.5, 1)
    count = np.bincount(y)
    weights = np.where(y == 1, 90 / count[1], 10 / count[2])
    options = {"type": "random_forest", "params": {"n_estimators": 10}, "prior": "area"}
    by_weight = LandCoverClassifier(**options).fit(X, y, sample_weight=weights)
    by_share = LandCoverClassifier(**options, class_shares={1: 0.9, 2: 0.1}).fit(X, y)
    assert by_weight.model_.prior == pytest.approx((0.9 / (count[1] / 1000), 0.1 / (count[2] / 1000)))
    assert by_weight.model_.prior == pytest.approx(by_share.model_.prior)
    np.testing.assert_allclose(by_weight.predict_proba(X), by_share.predict_proba(X), atol=0.02)


def test_temperature_makes_probabilities_of_an_overfitted_model_honest():
    X, y, _ = two_classes(600, 0.5, 3)
    unseen, truth, _ = two_classes(2000, 0.5, 4)
    tree = {"type": "random_forest", "params": {"n_estimators": 3}}
    sure = LandCoverClassifier(**tree, calibration="none").fit(X, y)
    cooled = LandCoverClassifier(**tree).fit(X, y)
    assert sure.model_.temperature == 1.0
    assert cooled.model_.temperature > 2
    assert log_loss(cooled.predict_proba(unseen), truth, [1, 2]) < log_loss(sure.predict_proba(unseen), truth, [1, 2])
    assert (cooled.predict(unseen) == sure.predict(unseen)).mean() > 0.99


def test_groups_keep_copies_of_a_row_out_of_the_held_out_rows():
    X, y, _ = two_classes(100, 0.5, 5)
    groups = np.tile(np.arange(100), 6)
    X, y = np.tile(X, (6, 1)), np.tile(y, 6)
    options = {"type": "random_forest", "params": {"n_estimators": 20}}
    blind = LandCoverClassifier(**options).fit(X, y).model_.temperature
    fair = LandCoverClassifier(**options).fit(X, y, groups=groups).model_.temperature
    splitter = LandCoverClassifier(**options, folds=PatchSplit(5)).fit(X, y, groups=groups).model_.temperature
    assert blind < 1 < fair
    assert splitter == pytest.approx(fair, rel=0.3)


def test_int16_with_its_missing_value_and_floats_with_nan_are_the_same():
    rng = np.random.default_rng(0)
    X = rng.integers(0, 5000, (300, 4), "int16")
    y = np.where(X[:, 0] > 2500, "b", "a")
    X[rng.random(X.shape) < 0.1] = -32768
    floats = np.where(X == -32768, np.nan, X.astype("float64"))
    p = LandCoverClassifier(params=FEW).fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(p, LandCoverClassifier(params=FEW).fit(floats, y).predict_proba(floats))
    assert p.dtype == "float32"


@pytest.mark.parametrize("y", [np.tile([3, 200], 40), np.tile(["wood", "meadow"], 40), np.tile([-7, 1000], 40)])
def test_classes_keep_their_names_and_legend_values_stay_values(y, tmp_path):
    X = (np.unique(y, return_inverse=True)[1] * 10.0 + np.arange(80) % 7)[:, None]
    fitted = LandCoverClassifier(params=FEW).fit(X, y)
    np.testing.assert_array_equal(fitted.predict(X), y)
    assert fitted.classes_.tolist() == sorted(set(y.tolist()))
    assert fitted.model_.classes == ((3, 200) if 3 in y else (1, 2))
    assert list(fitted.model_.class_names.values()) == [str(name) for name in fitted.classes_]
    fitted.model_.save(tmp_path / "model")
    np.testing.assert_array_equal(
        Model.load(tmp_path / "model").probabilities(X.astype("float32")), fitted.predict_proba(X)
    )


def patches(n=40, rows=12, seed=0):
    """Rows of patches; class 3 is in two of them only."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"p{i:02d}" for i in range(n)], rows)
    y = rng.integers(1, 3, n * rows)
    y[(groups == "p03") | (groups == "p07")] = 3
    return (y[:, None] + rng.normal(0, 0.3, (len(y), 3))).astype("float32"), y, groups


def test_it_works_in_cross_validation_by_patches():
    X, y, groups = patches()
    found = cross_validate(
        LandCoverClassifier(params=FEW), X, y, groups=groups, cv=PatchSplit(4), return_estimator=True,
        return_indices=True, params={"groups": groups}, error_score="raise",
    )  # fmt: skip
    assert len(found["test_score"]) == 4
    assert found["test_score"].mean() > 0.8
    for fitted, train in zip(found["estimator"], found["indices"]["train"], strict=True):
        assert fitted.classes_.tolist() == [1, 2, 3]
        assert not set(groups[train]) >= set(groups)


def test_it_works_in_pipelines_searches_and_other_calibrators():
    X, y, groups = patches(20)
    whole = make_pipeline(FunctionTransformer(lambda X: X * 2), LandCoverClassifier(params=FEW))
    p = cross_val_predict(clone(whole), X, y, groups=groups, cv=GroupKFold(3), method="predict_proba")
    assert p.shape == (len(y), 3)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    search = GridSearchCV(LandCoverClassifier(), {"params": [FEW, {"n_estimators": 1}]}, cv=PatchSplit(2))
    assert search.fit(X, y, groups=groups).best_params_ == {"params": FEW}
    CalibratedClassifierCV(LandCoverClassifier(params=FEW, calibration="none"), cv=2).fit(X, y)


def test_columns_of_a_frame_are_checked_by_name():
    X, y, _ = patches(4)
    frame = pd.DataFrame(X, columns=["B04", "B08", "ndvi"])
    fitted = LandCoverClassifier(params=FEW).fit(frame, y)
    assert fitted.model_.feature_names == ("B04", "B08", "ndvi")
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame[["B08", "B04", "ndvi"]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "land"}, "prior = 'land'; choose one of balanced, area"),
        ({"calibration": True}, "calibration = True; choose one of temperature, none"),
        ({"folds": 1}, "folds = 1; give a number of at least 2"),
        ({"prior": "area"}, "give class_shares, or sample_weight"),
        ({"prior": "area", "class_shares": {1: 0.5}}, "class 2 the share nan"),
        ({"type": "sklearn.svm.Nothing"}, "cannot be imported"),
        ({"params": {"trees": 3}}, "not a parameter of LightGBM"),
    ],
)
def test_a_wrong_parameter_raises_input_error(options, message):
    X, y, _ = two_classes(60, 0.5, 0)
    with pytest.raises(InputError, match=message):
        LandCoverClassifier(**options).fit(X, y)


def test_wrong_shapes_get_the_messages_of_scikit_learn():
    X, y, _ = two_classes(60, 0.5, 0)
    fitted = LandCoverClassifier(params=FEW).fit(X, y)
    with pytest.raises(ValueError, match="X has 2 features, but LandCoverClassifier is expecting 1"):
        fitted.predict(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        LandCoverClassifier().fit(X, y[:-1])
    with pytest.raises(ValueError, match="Input X contains infinity"):
        fitted.predict(np.array([[np.inf]]))
    with pytest.raises(NotFittedError):
        LandCoverClassifier().predict(X)
    with pytest.raises(InputError, match="single group"):
        LandCoverClassifier().fit(X, y, groups=["a"] * 60)
    with pytest.raises(InputError, match="one group for each of the 60 rows"):
        LandCoverClassifier().fit(X, y, groups=["a"] * 59)


def test_landweave_is_imported_without_scikit_learn():
    code = "import sys, landweave; landweave.InputError; assert 'sklearn' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rows_of_no_weight_are_as_if_they_were_not_there():
    X, y, _ = patches(10)
    use = y != 3
    weighed = LandCoverClassifier(params=FEW).fit(X, y, sample_weight=use.astype(float))
    assert weighed.classes_.tolist() == [1, 2]
    left_out = LandCoverClassifier(params=FEW).fit(X[use], y[use], sample_weight=np.ones(use.sum()))
    np.testing.assert_array_equal(weighed.predict_proba(X), left_out.predict_proba(X))


def test_a_split_keeps_patches_whole_and_rare_classes_on_both_sides():
    X, y, groups = patches()
    held = np.zeros(len(y), int)
    for train, test in PatchSplit(5).split(X, y, groups):
        assert not set(groups[train]) & set(groups[test])
        assert set(y[train]) == {1, 2, 3}
        held[test] += 1
    assert (held == 1).all()
    ((train, test),) = PatchSplit(test_fraction=0.2).split(X, y, groups)
    assert set(y[train]) == set(y[test]) == {1, 2, 3}
    assert len(set(groups[test])) == 8


def test_a_split_is_the_same_whatever_the_order_of_the_rows():
    X, y, groups = patches()
    order = np.random.default_rng(1).permutation(len(y))
    plain = [frozenset(groups[test]) for _, test in PatchSplit(5).split(X, y, groups)]
    shuffled = [frozenset(groups[order][test]) for _, test in PatchSplit(5).split(X, y[order], groups[order])]
    assert plain == shuffled
    assert plain != [frozenset(groups[test]) for _, test in PatchSplit(5, seed=1).split(X, y, groups)]
    names = np.array(["x", "wood"])[(y == 1).astype(int)]
    assert len(list(PatchSplit(3).split(X, names, pd.Series(groups)))) == 3
    assert PatchSplit(3).get_n_splits() == 3
    assert PatchSplit(test_fraction=0.5).get_n_splits(X, y, groups) == 1
    assert len(list(PatchSplit(3).split(X, None, groups))) == 3


def test_blocks_are_squares_counted_from_the_origin():
    x, y = [0.0, 0.99, 1.0, -0.01, -46.2], [5.0, 5.0, 6.0, 5.0, 5.0]
    assert PatchSplit.blocks(x, y, 1).tolist() == ["0_5", "0_5", "1_6", "-1_5", "-47_5"]
    assert PatchSplit.blocks([-46.2], [0.3], 0.1).tolist() == ["-462_3"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PatchSplit(1), "n_splits = 1; give at least 2"),
        (lambda: PatchSplit(test_fraction=1), "test_fraction = 1; give a share between"),
        (lambda: list(PatchSplit(2).split([1, 2], [1, 2])), "give groups"),
        (lambda: list(PatchSplit(3).split([1, 2], [1, 2], ["a", "b"])), "2 groups are too few for 3 folds"),
        (lambda: list(PatchSplit(2).split([1, 2, 3], [1, 2], ["a", "b", "c"])), "X has 3 rows, y 2"),
        (lambda: PatchSplit.blocks([1], [1], 0), "side = 0"),
        (lambda: PatchSplit.blocks([1], [1, 2], 5), "equal length"),
        (lambda: PatchSplit.blocks([np.nan], [1], 5), "not finite"),
    ],
)
def test_a_wrong_split_raises_input_error(make, message):
    with pytest.raises(InputError, match=message):
        make()
