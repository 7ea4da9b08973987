"""Training: LightGBM and whatever keeps scikit-learn's contract."""

import warnings

import numpy as np
import pytest

from landweave.classifier.fit import as_floats, fit, fit_parts
from landweave.classifier.model import Model
from landweave.errors import InputError
from landweave.patch.model import NODATA

NAMES = ("B04_d000", "B08_d000", "ndvi_d000")


def table(n=400, classes=(2, 5, 9), seed=0, missing=0.1):
    rng = np.random.default_rng(seed)
    y = rng.choice(np.array(classes, "uint8"), n)
    X = (y[:, None] * np.array([300, -200, 100]) + rng.normal(0, 300, (n, 3))).astype("int16")
    X[rng.random(X.shape) < missing] = NODATA
    return X, y


@pytest.mark.parametrize("classes", [(2, 5, 9), (3, 200)])
def test_lightgbm_learns_and_its_columns_are_the_rising_class_values(classes):
    X, y = table(classes=classes)
    model = fit(X, y, params={"n_estimators": 20}, feature_names=NAMES)
    p = model.predict(as_floats(X))
    assert model.classes == classes
    assert p.shape == (len(X), len(classes))
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (np.array(classes)[p.argmax(axis=1)] == y).mean() > 0.7


def test_the_model_is_lightgbms_own_with_its_defaults_but_for_the_bins_of_a_small_table():
    import lightgbm

    X, y = table(classes=(0, 1, 2))
    model = fit(X, y + 1, feature_names=NAMES)
    own = lightgbm.LGBMClassifier(
        random_state=42, verbose=-1, n_jobs=1, deterministic=True, force_row_wise=True, max_bin=63
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = own.fit(as_floats(X), y).predict_proba(as_floats(X))
    np.testing.assert_allclose(model.predict(as_floats(X)), expected, rtol=1e-12)


def test_the_number_of_threads_leaves_no_trace():
    X, y = table(1500)
    texts = {fit(X, y, params={"n_estimators": 5}, threads=threads, feature_names=NAMES).text for threads in (1, 2)}
    asked = fit(X, y, params={"n_estimators": 5, "n_jobs": 2}, feature_names=NAMES).text
    assert texts == {asked}


def parts_of(y):
    """Parts that overlap, one without a class, one of a single class, one with few rows, and one of all rows."""
    rows = np.arange(len(y))
    return {
        "0": rows % 3 != 0, "1": (rows % 3 != 1) & (y != y[0]), "one": y == y[0], "few": rows % 10 == 0, "all": rows >= 0
    }  # fmt: skip


def test_parts_are_binned_once_and_no_order_and_no_number_of_threads_changes_a_model(monkeypatch):
    import lightgbm

    X, y = table(900)
    parts, options = parts_of(y), {"params": {"n_estimators": 3}, "feature_names": NAMES}
    made = []
    plain = lightgbm.Dataset.__init__

    def counted(self, data, *args, **more):
        made.append(data is not None)
        plain(self, data, *args, **more)

    monkeypatch.setattr(lightgbm.Dataset, "__init__", counted)
    first = fit_parts(X, y, parts, **options)
    assert sum(made) == 1
    other = fit_parts(X, y, dict(reversed(parts.items())), threads=3, **options)
    assert list(first) == list(parts)
    assert first == {name: other[name] for name in parts}
    assert first["one"].classes == (int(y[0]),)
    assert first["1"].classes == tuple(value for value in np.unique(y).tolist() if value != y[0])
    assert first["all"].text == fit(X, y, **options).text
    assert "[min_data_in_leaf: 9]" in first["few"].text
    assert "[min_data_in_leaf: 20]" in first["all"].text


def test_a_part_that_is_binned_apart_leaves_no_trace_in_the_others():
    X, y = table(900)
    options = {"params": {"n_estimators": 3}, "feature_names": NAMES}
    rows = np.arange(len(y))
    others = {"0": rows < 300, "1": (rows >= 200) & (rows < 600)}
    alone = fit_parts(X, y, others, **options)
    with_all = fit_parts(X, y, others | {"all": rows >= 0}, apart=("all",), **options)
    assert with_all == alone | {"all": fit(X, y, **options)}
    assert fit_parts(X, y, others | {"all": rows >= 0}, **options)["0"] != alone["0"]


def test_parts_of_a_scikit_learn_classifier_are_each_fitted_as_if_alone():
    X, y = table(300)
    options = {"type": "random_forest", "params": {"n_estimators": 3}, "feature_names": NAMES}
    parts = {name: part for name, part in parts_of(y).items() if name in {"0", "1", "all"}}
    for name, found in fit_parts(X, y, parts, threads=2, **options).items():
        assert found.files() == fit(X[parts[name]], y[parts[name]], **options).files()


def test_bins_that_the_user_gives_are_used():
    X, y = table(300)
    text = fit(X, y, params={"n_estimators": 2, "max_bins": 40}, feature_names=NAMES).text
    assert "[max_bin: 40]" in text


def test_names_of_scikit_learn_and_of_lightgbm_mean_the_same():
    X, y = table()
    a = fit(X, y, params={"n_estimators": 4, "random_state": 7, "min_child_samples": 5}, feature_names=NAMES)
    b = fit(X, y, params={"num_iterations": 4, "seed": 7, "min_data_in_leaf": 5}, feature_names=NAMES)
    assert a.text == b.text
    assert fit(X, y, params={"n_estimators": 4}, seed=7, feature_names=NAMES).text.count("[seed: 7]") == 1


def test_the_seed_decides_what_is_random():
    X, y = table()
    params = {"n_estimators": 4, "subsample": 0.5, "subsample_freq": 1}
    one, same, other = (fit(X, y, params=params, seed=seed, feature_names=NAMES).text for seed in (1, 1, 2))
    assert one == same != other


def test_missing_int16_is_missing_and_floats_stay_as_they_are():
    assert np.isnan(as_floats(np.array([[NODATA, 5]], "int16"))).tolist() == [[True, False]]
    assert as_floats(np.array([[-32768.0]])).item() == -32768.0
    with pytest.raises(ValueError, match="int64"):
        as_floats(np.array([[1]]))


def test_weighted_rows_speak_for_more_land():
    X, y = table(classes=(1, 2), n=2000)
    weights = np.where(y == 2, 9.0, 1.0)
    p = fit(X, y, params={"n_estimators": 20}, weights=weights, feature_names=NAMES).predict(as_floats(X))
    share = np.average(y == 2, weights=weights)
    assert np.average(p[:, 1], weights=weights) == pytest.approx(share, abs=0.02)


def test_balanced_class_weight_equals_its_weights():
    X, y = table(classes=(1, 1, 1, 2))
    share = {value: len(y) / (2 * np.count_nonzero(y == value)) for value in (1, 2)}
    by_hand = fit(X, y, params={"n_estimators": 3}, weights=np.array([share[v] for v in y]), feature_names=NAMES)
    for class_weight in ("balanced", {str(value): weight for value, weight in share.items()}):
        named = fit(X, y, params={"n_estimators": 3, "class_weight": class_weight}, feature_names=NAMES)
        assert named.text == by_hand.text


def test_a_single_class_is_answered_with_certainty():
    X, _ = table()
    model = fit(X, np.full(len(X), 7, "uint8"), feature_names=NAMES)
    assert (model.kind, model.classes) == ("constant", (7,))
    assert (model.predict(as_floats(X)) == 1).all()


@pytest.mark.parametrize(
    ("type_", "params"),
    [
        ("random_forest", {"n_estimators": 10}),
        ("sklearn.linear_model.LogisticRegression", {}),
        ("sklearn.neighbors.KNeighborsClassifier", {}),
        ("sklearn.ensemble.HistGradientBoostingClassifier", {"max_iter": 5}),
    ],
)
def test_scikit_learn_classes_take_missing_values(type_, params):
    X, y = table()
    X[:, 1] = NODATA
    model = fit(X, y, type=type_, params=params, feature_names=NAMES)
    p = model.predict(as_floats(X))
    assert model.classes == (2, 5, 9)
    assert np.isfinite(p).all()
    assert (np.array(model.classes)[p.argmax(axis=1)] == y).mean() > 0.6


def test_weights_reach_a_class_behind_the_imputation():
    X, y = table(classes=(1, 2))
    heavy = np.where(y == 2, 100.0, 1.0)
    args = {"type": "sklearn.linear_model.LogisticRegression", "feature_names": NAMES}
    plain, weighted = fit(X, y, **args), fit(X, y, weights=heavy, **args)
    assert (weighted.predict(as_floats(X))[:, 1] > plain.predict(as_floats(X))[:, 1]).mean() > 0.95


@pytest.mark.parametrize(
    ("type_", "params", "message"),
    [
        ("lightgbm", {"n_estimatrs": 5}, "n_estimators"),
        ("lightgbm", {"num_leaves": "many"}, "LightGBM rejects"),
        ("lightgbm", {"objective": "regression"}, "multiclass"),
        ("lightgbm", {"num_class": 9}, "3 classes"),
        ("lightgbm", {"num_leaves": 5, "max_leaves": 6}, "twice"),
        ("lightgbm", {"class_weight": 3}, "class_weight"),
        ("random_forest", {"n_estimater": 5}, "n_estimators"),
        ("random_forest", {"n_estimators": -1}, "cannot be fitted"),
        ("random_woods", {}, "random_woods.*import path"),
        ("sklearn.nothing.Here", {}, "cannot be imported"),
        ("sklearn.svm.SVQ", {}, "cannot be imported"),
        ("sklearn.linear_model.LinearRegression", {}, "predict_proba"),
        ("os.system", {}, "--allow-code"),
        ("pathlib.Path", {}, "--allow-code"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(type_, params, message):
    X, y = table(60)
    with pytest.raises(InputError, match=message) as caught:
        fit(X, y, type=type_, params=params, feature_names=NAMES)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("type_", "params"), [("sklearn.svm.SVC", {"C": 2.0}), ("sklearn.linear_model.RidgeClassifier", {})]
)
def test_scores_without_probabilities_become_probabilities_by_cross_validation(type_, params, tmp_path):
    X, y = table(300)
    fitted = fit(X, y, type=type_, params=params, feature_names=NAMES)
    p = fitted.predict(X)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (np.array(fitted.classes)[p.argmax(axis=1)] == y).mean() > 0.8
    kept = Model(estimator=fitted, class_names={value: str(value) for value in fitted.classes})
    kept.save(tmp_path / "model")
    np.testing.assert_array_equal(Model.load(tmp_path / "model").probabilities(X), kept.probabilities(X))
    assert np.array_equal(fit(X, y, type=type_, params=params, feature_names=NAMES).predict(X), p)


def test_one_row_of_a_class_gives_no_probabilities():
    X, y = table(60)
    with pytest.raises(InputError, match=r"sklearn.svm.LinearSVC .* class 9 has one training row"):
        fit(
            np.vstack([X, X[:1]]),
            np.append(np.where(y == 9, 5, y), 9).astype("uint8"),
            type="sklearn.svm.LinearSVC",
            feature_names=NAMES,
        )


def test_weights_that_would_be_ignored_are_refused():
    X, y = table(60)
    with pytest.raises(InputError, match="does not accept row weights"):
        fit(X, y, type="sklearn.neighbors.KNeighborsClassifier", weights=np.ones(60), feature_names=NAMES)


def test_a_table_that_is_no_training_table_is_refused():
    X, y = table(60)
    with pytest.raises(InputError, match="no training rows"):
        fit(X[:0], y[:0], feature_names=NAMES)
    with pytest.raises(ValueError, match="1 to 255"):
        fit(X, np.zeros(60, "uint8"), feature_names=NAMES)
    with pytest.raises(ValueError, match="feature names"):
        fit(X, y, feature_names=NAMES[:2])


def test_names_that_lightgbms_text_cannot_hold_are_no_hindrance():
    X, y = table(100)
    model = fit(X, y, params={"n_estimators": 2}, feature_names=("a b", "a,b", 'c"[{:}]'))
    assert model.feature_names == ("a b", "a,b", 'c"[{:}]')


@pytest.mark.parametrize("rows", [12, 30, 60])
def test_few_rows_of_separable_classes_are_told_apart(rows):
    y = np.arange(rows) % 3 + 1
    X = (y[:, None] * 1000 + np.random.default_rng(0).integers(-100, 100, (rows, 2))).astype("int16")
    estimator = fit(X, y.astype("uint8"), feature_names=("a", "b"))
    assert (np.asarray(estimator.classes)[estimator.predict(X).argmax(axis=1)] == y).all()
