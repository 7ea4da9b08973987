"""A model: what it says, and how it is kept."""

import json
import pickle
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.classifier.calibration import apply_prior, apply_temperature
from landweave.classifier.estimators import Constant, Learnt, as_floats
from landweave.classifier.fit import fit
from landweave.classifier.model import Model, _digest, recipe_mismatch
from landweave.errors import InputError
from landweave.patch.model import NODATA

NAMES = ("B04_d000", "B08_d000")
CLASSES = {1: "water", 4: "forest", 7: "šuma"}
RECIPE = {"bands": ["B04", "B08"], "indices": [], "custom": [["a", "B04"]], "static": [], "days": [0], "scales": {}}


def table(n=300, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.choice(np.array([1, 4, 7], "uint8"), n)
    X = (y[:, None] * np.array([300, -200]) + rng.normal(0, 500, (n, 2))).astype("int16")
    X[rng.random(X.shape) < 0.1] = NODATA
    return X, y


def model_of(type_="lightgbm", threads=1, **options):
    X, y = table()
    params = {"lightgbm": {"n_estimators": 5}, "random_forest": {"n_estimators": 5}}.get(type_, {})
    estimator = fit(X, y, type=type_, params=params, threads=threads, feature_names=NAMES)
    settings = {"recipe": RECIPE, "prior": (0.5, 1.5, 1.0), "temperature": 1.3, "provenance": {"seed": 42}}
    return Model(**{"estimator": estimator, "class_names": CLASSES, **settings, **options})


@cache
def plain():
    """A model of trees as trained."""
    return model_of(prior=None, temperature=1.0)


def sure(classes=(1, 4, 7), **options):
    """A model to try :meth:`Model.classify` on, whatever its estimator."""
    estimator = Learnt(classes=classes, feature_names=NAMES, estimator=None)
    return Model(estimator=estimator, class_names=CLASSES, **options)


KINDS = ["lightgbm", "random_forest", "sklearn.linear_model.LogisticRegression", "sklearn.naive_bayes.GaussianNB"]


@pytest.mark.parametrize("type_", KINDS)
def test_a_model_says_the_same_before_and_after_it_is_kept(tmp_path, type_):
    X, _ = table(seed=1)
    model = model_of(type_, thresholds={7: 0.3}, reject_below=0.2)
    folder = model.save(tmp_path / "model")
    back = Model.load(folder)
    np.testing.assert_array_equal(back.probabilities(X), model.probabilities(X))
    np.testing.assert_array_equal(back.classify(back.probabilities(X)), model.classify(model.probabilities(X)))
    assert back.classes == (1, 4, 7)
    for name in ("class_names", "recipe", "prior", "temperature", "thresholds", "reject_below", "provenance", "kind"):
        assert getattr(back, name) == getattr(model, name), name
    assert not [file for file in folder.iterdir() if file.read_bytes()[:1] == b"\x80"]


@pytest.mark.parametrize("type_", ["lightgbm", "random_forest"])
def test_the_number_of_threads_and_a_second_keeping_give_the_same_bytes(tmp_path, type_):
    folders = [model_of(type_, threads=threads).save(tmp_path / str(threads)) for threads in (1, 2)]
    folders.append(Model.load(folders[0]).save(tmp_path / "again"))
    contents = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
    assert contents[0] == contents[1]
    if type_ == "lightgbm":
        assert contents[0] == contents[2]


def test_a_kept_model_replaces_the_one_before(tmp_path):
    model_of(KINDS[2]).save(tmp_path / "model")
    model_of("lightgbm").save(tmp_path / "model")
    assert {file.name for file in (tmp_path / "model").iterdir()} == {"model.json", "model.txt"}
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_constant_model_is_kept_too(tmp_path):
    model = Model(estimator=Constant(classes=(4,), feature_names=NAMES), class_names=CLASSES)
    back = Model.load(model.save(tmp_path / "model"))
    label, confidence = back.classify(back.probabilities(np.zeros((3, 2), "int16")))
    assert (label.tolist(), confidence.tolist()) == ([4] * 3, [100] * 3)


def test_a_model_travels_to_another_process():
    X, _ = table()
    model = model_of()
    before = model.probabilities(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).probabilities(X), before)


def test_large_inputs_are_worked_on_in_parts(monkeypatch):
    X, _ = table()
    model = model_of()
    whole = model.probabilities(X)
    monkeypatch.setattr("landweave.classifier.model._CHUNK", 7)
    np.testing.assert_array_equal(model.probabilities(X), whole)
    assert model.probabilities(X[:0]).shape == (0, 3)
    assert whole.dtype == np.float32
    np.testing.assert_allclose(whole.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_features_of_another_model_are_refused(shape):
    with pytest.raises(ValueError, match="2 features"):
        model_of().probabilities(np.zeros(shape, "int16"))


def lightgbms(model, X):
    """LightGBM's own probabilities, not calibrated."""
    import lightgbm

    return lightgbm.Booster(model_str=model.estimator.text).predict(as_floats(X), num_threads=1)


def test_probabilities_of_trees_are_lightgbms():
    X, _ = table(2000, seed=3)
    expected = lightgbms(plain(), X).astype("float32")
    for same in (X, as_floats(X), as_floats(X).astype("float64")):
        np.testing.assert_array_equal(plain().probabilities(same), expected)


@given(
    st.tuples(*[st.sampled_from([0.0, 0.3, 1.0, 7.5])] * 3).filter(any),
    st.sampled_from([0.4, 1.0, 1.7]), st.sampled_from([0.5, 1.0, 2.2]),
)  # fmt: skip
def test_trees_are_calibrated_as_their_probabilities_would_be(prior, before, after):
    X, _ = table(400, seed=2)
    model = replace(plain(), prior=prior, training_temperature=before, temperature=after)
    expected = apply_temperature(apply_prior(apply_temperature(lightgbms(model, X), before), prior), after)
    p = model.probabilities(X)
    np.testing.assert_allclose(p, expected.astype("float32"), rtol=2e-7)
    assert (p == expected.astype("float32")).mean() > 0.99
    np.testing.assert_array_equal(model.classify(p), model.classify(expected.astype("float32")))


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"linear_tree": True}, "linear trees"),
        ({"num_leaves": 300, "min_data_in_leaf": 1, "min_sum_hessian_in_leaf": 0}, "leaves"),
    ],
)
def test_trees_that_are_not_covered_are_left_to_lightgbm_and_the_reason_is_told(tmp_path, caplog, params, reason):
    X, y = table(2000)
    estimator = fit(X, y, params={"n_estimators": 2, **params}, feature_names=NAMES)
    made = Model(estimator=estimator, class_names=CLASSES)
    model = Model.load(made.save(tmp_path / "model"))
    assert reason in model.slow_because
    assert [record.getMessage() for record in caplog.records if reason in record.getMessage()]
    np.testing.assert_array_equal(model.probabilities(X), lightgbms(model, X).astype("float32"))


def test_classes_one_against_all_sum_to_one():
    X, y = table()
    estimator = fit(X, y, params={"n_estimators": 5, "objective": "multiclassova"}, feature_names=NAMES)
    model = Model(estimator=estimator, class_names=CLASSES, prior=(1.0, 2.0, 1.0), temperature=1.2)
    assert model.slow_because is None
    raw = lightgbms(model, X)
    expected = apply_temperature(apply_prior(raw / raw.sum(axis=1, keepdims=True), model.prior), 1.2)
    np.testing.assert_allclose(model.probabilities(X), expected, rtol=1e-6)


PROBABILITIES = stn.arrays("float32", (20, 3), elements=st.floats(0, 1, width=32))


@given(PROBABILITIES, st.floats(1e-3, 1e3))
def test_equal_thresholds_are_the_plain_largest_probability(p, t):
    label, _ = sure(thresholds=dict.fromkeys((1, 4, 7), t)).classify(p)
    np.testing.assert_array_equal(label, np.array([1, 4, 7])[p.argmax(axis=1)])


def test_a_low_threshold_favours_its_class_and_the_confidence_is_its_own():
    label, confidence = sure(thresholds={7: 0.3}).classify(np.array([[0.7, 0.05, 0.25], [0.9, 0.0, 0.1]], "float32"))
    assert label.tolist() == [7, 1]
    assert confidence.tolist() == [25, 90]


def test_confidence_is_percent_half_to_even_and_never_zero():
    p = np.array([[0.125, 0, 0], [0.375, 0, 0], [1, 0, 0], [0.001, 0, 0], [0.5, 0.5, 0]], "float32")
    label, confidence = sure().classify(p)
    assert confidence.tolist() == [12, 38, 100, 1, 50]
    assert label.tolist() == [1] * 5


def test_a_doubtful_pixel_is_rejected_with_its_confidence():
    label, confidence = sure(reject_below=0.4).classify(np.array([[0.4, 0.3, 0.3], [0.34, 0.33, 0.33]], "float32"))
    assert label.tolist() == [1, 0]
    assert confidence.tolist() == [40, 34]


def test_no_probability_is_no_class():
    label, confidence = sure(reject_below=0.1).classify(np.full((1, 3), np.nan, "float32"))
    assert (label.item(), confidence.item()) == (0, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": {1: "water"}}, "class 4"),
        ({"prior": (1.0,)}, "prior"),
        ({"prior": (0.0, 0.0, 0.0)}, "prior"),
        ({"temperature": 0.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"thresholds": {9: 0.5}}, "class 9"),
        ({"thresholds": {1: 0.0}}, "water"),
        ({"reject_below": 2.0}, "reject_below"),
    ],
)
def test_nonsense_is_refused_when_the_model_is_made(options, message):
    with pytest.raises(InputError, match=message):
        model_of(**options)


def rewrite(folder, **changes):
    """Change model.json and sign it anew, as one who means harm would."""
    content = json.loads((folder / "model.json").read_text("utf-8"))
    content.pop("sha256")
    content |= changes
    (folder / "model.json").write_text(json.dumps({**content, "sha256": _digest(content)}), "utf-8")


@pytest.mark.parametrize(
    "harm",
    [
        lambda folder: (folder / "model.json").unlink(),
        lambda folder: (folder / "model.txt").unlink(),
        shutil.rmtree,
        lambda folder: (folder / "model.json").write_text("{"),
        lambda folder: (folder / "model.json").write_bytes(b"\xff\xfe"),
        lambda folder: (folder / "model.json").write_text("[" * 100000),
        lambda folder: (folder / "model.json").write_text("[]"),
        lambda folder: (folder / "model.json").write_text(
            (folder / "model.json").read_text("utf-8").replace("1.3", "1.4"), "utf-8"
        ),
        lambda folder: (folder / "model.txt").write_text((folder / "model.txt").read_text().replace("0.1", "0.2")),
        lambda folder: rewrite(folder, files={"../model.txt": ""}),
        lambda folder: rewrite(folder, files={}),
        lambda folder: rewrite(folder, files=None),
        lambda folder: rewrite(folder, kind="pickle"),
        lambda folder: rewrite(folder, kind="sklearn"),
        lambda folder: rewrite(folder, kind="constant"),
        lambda folder: rewrite(folder, classes=[1, 4]),
        lambda folder: rewrite(folder, classes=[4, 1, 7]),
        lambda folder: rewrite(folder, feature_names=["B04_d000"]),
        lambda folder: rewrite(folder, class_names={"x": "y"}),
        lambda folder: rewrite(folder, temperature=-1),
        lambda folder: rewrite(folder, prior=["a", "b", "c"]),
        lambda folder: rewrite(folder, thresholds=[]),
        lambda folder: rewrite(folder, format="landweave model 2"),
    ],
)
def test_a_broken_or_changed_model_is_refused_by_its_folders_name(tmp_path, harm):
    folder = model_of().save(tmp_path / "model")
    harm(folder)
    with pytest.raises(InputError) as caught:
        Model.load(folder)
    assert str(caught.value).startswith(f"{folder}: ")
    assert "\n" not in str(caught.value)


def signed(folder, content):
    import hashlib

    (folder / "model.skops").write_bytes(content)
    rewrite(folder, files={"model.skops": hashlib.sha256(content).hexdigest()})


class Evil:
    def __reduce__(self):
        return (print, ("never",))


def test_code_in_a_kept_model_is_never_run(tmp_path):
    import os

    import skops.io
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import FunctionTransformer

    folder = model_of(KINDS[2]).save(tmp_path / "model")
    honest = Model.load(folder).estimator.estimator
    harmful = Pipeline([("harm", FunctionTransformer(os.system)), ("classify", honest)])
    for content in (pickle.dumps(Evil()), skops.io.dumps(harmful), skops.io.dumps(Evil), b"PK", b""):
        signed(folder, content)
        with pytest.raises(InputError, match=r"model\.skops"):
            Model.load(folder)


def test_a_kept_object_that_is_no_classifier_is_refused(tmp_path):
    import skops.io

    folder = model_of(KINDS[2]).save(tmp_path / "model")
    signed(folder, skops.io.dumps({"a": 1}))
    with pytest.raises(InputError, match="not a classifier"):
        Model.load(folder)


def test_an_estimator_of_another_house_is_not_kept(tmp_path):
    class Strange:
        pass

    model = Model(estimator=Learnt(classes=(1, 4), feature_names=NAMES, estimator=Strange()), class_names=CLASSES)
    with pytest.raises(InputError, match="Strange cannot be stored"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_a_mismatch_says_what_differs():
    assert recipe_mismatch(RECIPE, {**RECIPE, "custom": [("a", "B04")], "scales": {"a": [1, 2]}}) is None
    assert recipe_mismatch(None, None) is None
    assert "table" in recipe_mismatch(None, RECIPE)
    assert "bands B04, B08 and the project has B04" in recipe_mismatch(RECIPE, {**RECIPE, "bands": ["B04"]})
    assert "indices none and the project has ndvi" in recipe_mismatch(RECIPE, {**RECIPE, "indices": ["ndvi"]})
    assert "custom a = B04" in recipe_mismatch(RECIPE, {**RECIPE, "custom": [["a", "B08"]]})
