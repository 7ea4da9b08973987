"""Scores: against scikit-learn, and the promises of accuracy.json."""

import json
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from sklearn import metrics as oracle

from landweave.accuracy.bootstrap import interval
from landweave.accuracy.class_balance import equal_footing
from landweave.accuracy.curves import (
    auc,
    average_precision,
    average_roc,
    precision_recall,
    precision_recall_curves,
    roc,
    roc_curves,
)
from landweave.accuracy.metrics import score, shares
from landweave.errors import InputError

CLASSES = {3: "forest", 1: "water", 7: "wetland"}
VALUES = np.array(list(CLASSES), "uint8")


@st.composite
def classified(draw, *, unclassified=False, size=(1, 60)):
    n = draw(st.integers(*size))
    truth = draw(stn.arrays("uint8", n, elements=st.sampled_from(list(CLASSES))))
    shown = [0, *CLASSES] if unclassified else list(CLASSES)
    predicted = draw(stn.arrays("uint8", n, elements=st.sampled_from(shown)))
    weights = draw(stn.arrays("float64", n, elements=st.floats(0.1, 50)))
    return truth, predicted, weights


@settings(max_examples=60)
@given(classified(unclassified=True))
def test_counts_and_scores_are_those_of_scikit_learn(case):
    truth, predicted, weights = case
    result = score(truth, predicted, classes=CLASSES, weights=weights)
    matrix = oracle.confusion_matrix(truth, predicted, labels=VALUES)
    assert result["confusion"]["counts"] == matrix.tolist()
    assert result["overall_accuracy"]["value"] == pytest.approx(
        oracle.accuracy_score(truth, predicted, sample_weight=weights)
    )
    expected_f1 = oracle.f1_score(
        truth, predicted, labels=VALUES, average="weighted", sample_weight=weights, zero_division=0
    )
    assert result["weighted_f1"]["value"] == pytest.approx(expected_f1)
    precision, recall, f1, _ = oracle.precision_recall_fscore_support(
        truth, predicted, labels=VALUES, sample_weight=weights, zero_division=np.nan
    )
    for i, (value, name) in enumerate(CLASSES.items()):
        scores = result["classes"][name]
        assert scores["support"] == (truth == value).sum()
        if scores["support"] == 0:
            for key in ("f1", "recall", "precision", "auc"):
                assert scores[key]["value"] is None
                assert scores[key]["reason"] == "no test pixels"
            continue
        assert scores["recall"]["value"] == pytest.approx(recall[i])
        assert scores["f1"]["value"] == pytest.approx(f1[i])
        if (predicted == value).any():
            assert scores["precision"]["value"] == pytest.approx(precision[i])
        else:
            assert scores["precision"]["value"] is None
            assert scores["precision"]["reason"] == "never mapped"


def counted(truth, scores, weights):
    """Land of the class and of the others at or above each distinct score, highest first, by plain sums."""
    thresholds = np.unique(scores[weights > 0])[::-1].astype("float64")
    right = [weights[truth & (scores >= t)].sum() for t in thresholds]
    wrong = [weights[~truth & (scores >= t)].sum() for t in thresholds]
    return np.append(0.0, right), np.append(0.0, wrong), np.append(np.inf, thresholds)


@settings(max_examples=80)
@given(
    stn.arrays("bool", st.shared(st.integers(1, 60), key="n")),
    stn.arrays("float32", st.shared(st.integers(1, 60), key="n"), elements=st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0])),
    stn.arrays("float64", st.shared(st.integers(1, 60), key="n"), elements=st.just(0.0) | st.floats(0.1, 9)),
)
def test_curves_and_areas_are_those_of_plain_sums_with_ties_and_weights(truth, scores, weights):
    assume(weights.any())
    right, wrong, thresholds = counted(truth, scores, weights)
    with np.errstate(invalid="ignore"):
        tpr, fpr, precision = right / right[-1], wrong / wrong[-1], right / (right + wrong)
    precision[0] = 1.0 if right[-1] > 0 else np.nan
    for found, expected in zip(roc(truth, scores, weights), (fpr, tpr, thresholds), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    for found, expected in zip(precision_recall(truth, scores, weights), (tpr, precision, thresholds), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    area = np.sum(np.diff(fpr) * (tpr[1:] + tpr[:-1]) / 2)
    steps = np.nan if truth.all() else np.sum(np.diff(tpr) * precision[1:])
    np.testing.assert_allclose(auc(truth, scores, weights), area, atol=1e-9)
    np.testing.assert_allclose(average_precision(truth, scores, weights), steps, atol=1e-9)


def test_rows_without_weight_change_no_curve():
    truth, scores, weights = np.array([1, 0, 1]), np.array([0.9, 0.4, 0.3]), np.array([0.0, 1.0, 1.0])
    assert (auc(truth, scores, weights), average_precision(truth, scores, weights)) == (0.0, 0.5)
    assert roc(truth, scores, weights)[2].tolist() == [np.inf, 0.4, 0.3]


def test_without_a_row_of_either_side_nothing_is_defined_and_no_warning_is_printed():
    none = np.array([])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for rows in ((none, none), (np.ones(2), np.ones(2), np.zeros(2))):
            assert np.isnan([roc(*rows)[0], roc(*rows)[1], precision_recall(*rows)[0]]).all()
        assert np.isnan(roc(np.ones(2), np.ones(2))[0]).all()
        assert np.isnan(precision_recall(np.zeros(2), np.ones(2))[0]).all()


def test_the_auc_of_one_kind_of_row_is_undefined():
    assert np.isnan(auc(np.array([1, 1]), np.array([0.1, 0.2])))
    assert np.isnan(auc(np.array([]), np.array([])))
    assert np.isnan(average_precision(np.array([1, 1]), np.array([0.1, 0.2])))
    assert np.isnan(average_precision(np.array([0]), np.array([0.1])))
    assert np.isnan(average_precision(np.array([]), np.array([])))


@given(classified(size=(2, 40)), st.floats(0.01, 100))
def test_rescaled_weights_change_nothing(case, factor):
    truth, predicted, weights = case
    clusters = np.arange(len(truth)) % 9
    plain = score(truth, predicted, classes=CLASSES, weights=weights, clusters=clusters, min_support=1)
    scaled = score(truth, predicted, classes=CLASSES, weights=weights * factor, clusters=clusters, min_support=1)
    assert scaled["confusion"]["counts"] == plain["confusion"]["counts"]
    for kind in ("overall_accuracy", "weighted_f1"):
        assert scaled[kind] == pytest.approx(plain[kind])
    for name in CLASSES.values():
        for key in ("f1", "recall", "precision"):
            assert scaled["classes"][name][key] == pytest.approx(plain["classes"][name][key])


@given(classified(size=(1, 40)), st.floats(0.01, 100))
def test_equal_weights_are_no_weights(case, weight):
    truth, predicted, _ = case
    plain = score(truth, predicted, classes=CLASSES)
    assert score(truth, predicted, classes=CLASSES, weights=np.full(len(truth), weight)) == plain
    assert "weighted" not in plain["confusion"]


def test_confusion_counts_pixels_and_its_weighted_form_shares_of_the_land():
    truth = np.array([3, 3, 1, 1], "uint8")
    predicted = np.array([3, 1, 1, 0], "uint8")
    result = score(truth, predicted, classes=CLASSES, weights=np.array([1.0, 2.0, 3.0, 4.0]))["confusion"]
    assert result["labels"] == ["forest", "water", "wetland"]
    assert result["counts"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert result["unclassified"] == [0, 1, 0]
    np.testing.assert_allclose(result["weighted"], [[0.1, 0.2, 0], [0, 0.3, 0], [0, 0, 0]])
    np.testing.assert_allclose(result["unclassified_weighted"], [0, 0.4, 0])


def test_pixels_without_reference_are_left_out():
    truth = np.array([3, 0, 1], "uint8")
    predicted = np.array([3, 1, 3], "uint8")
    kept = np.array([True, False, True])
    whole = score(truth, predicted, classes=CLASSES, clusters=["a", "b", "c"])
    assert whole == score(truth[kept], predicted[kept], classes=CLASSES, clusters=["a", "c"])
    assert whole["test_pixels"] == 2


def simulate(rng, n_clusters, size=40):
    """Clusters with their own accuracy around 0.8, three classes; 0.8 is the truth of their population."""
    own = rng.beta(8, 2, n_clusters)
    clusters = np.repeat(np.arange(n_clusters), size)
    column = rng.integers(0, 3, n_clusters * size)
    shown = np.where(rng.random(len(column)) < own[clusters], column, (column + 1) % 3)
    return VALUES[column], VALUES[shown], clusters


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    held, worlds = 0, 150
    for _ in range(worlds):
        truth, predicted, clusters = simulate(rng, 10)
        found = score(truth, predicted, classes=CLASSES, clusters=clusters)["overall_accuracy"]
        held += found["low"] <= 0.8 <= found["high"]
    assert 0.89 <= held / worlds <= 0.99


def test_the_expanded_interval_of_means_agrees_with_students():
    rng = np.random.default_rng(3)
    values = rng.normal(size=12)
    means = values[rng.integers(0, 12, (20_000, 12))].mean(axis=1)
    low, high = interval(means, 12)
    half = 2.201 * values.std(ddof=1) / np.sqrt(12)
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def with_probabilities(n=900, n_clusters=12, seed=5):
    rng = np.random.default_rng(seed)
    truth = rng.choice(VALUES, n, p=[0.7, 0.25, 0.05])
    logits = rng.normal(size=(n, 3)) + 2.0 * (truth[:, None] == VALUES)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    clusters = np.array([f"patch{i:02d}" for i in rng.integers(0, n_clusters, n)])
    return truth, VALUES[p.argmax(axis=1)], p.astype("float32"), clusters, rng.uniform(0.5, 5, n)


@pytest.mark.parametrize(
    ("area", "expected"), [("auc", oracle.roc_auc_score), ("average_precision", oracle.average_precision_score)]
)
def test_areas_are_one_against_the_rest_and_lie_in_their_intervals(area, expected):
    truth, predicted, p, clusters, weights = with_probabilities()
    result = score(truth, predicted, classes=CLASSES, weights=weights, probabilities=p, clusters=clusters)
    for i, (value, name) in enumerate(CLASSES.items()):
        found = result["classes"][name][area]
        assert found["value"] == pytest.approx(expected(truth == value, p[:, i], sample_weight=weights))
        assert found["low"] < found["value"] < found["high"]
        assert found["n_clusters"] == len(np.unique(clusters[truth == value]))


@pytest.mark.parametrize(
    ("area", "of", "tolerance"), [("auc", auc, 0.01), ("average_precision", average_precision, 0.03)]
)
def test_the_binned_resampling_of_an_area_follows_the_exact_one(area, of, tolerance):
    truth, predicted, p, clusters, _ = with_probabilities(n=2000)
    found = score(truth, predicted, classes=CLASSES, probabilities=p, clusters=clusters)["classes"]["wetland"][area]
    rng = np.random.default_rng(0)
    members = [np.flatnonzero(clusters == name) for name in np.unique(clusters)]
    exact = []
    for _ in range(400):
        rows = np.concatenate([members[i] for i in rng.integers(0, 12, 12)])
        exact.append(of(truth[rows] == 7, p[rows, 2]))
    low, high = interval(np.array(exact), 12)
    assert found["low"] == pytest.approx(low, abs=tolerance)
    assert found["high"] == pytest.approx(high, abs=tolerance)


def test_rows_without_probabilities_do_not_enter_the_auc():
    truth, predicted, p, *_ = with_probabilities(n=300)
    p[:50] = np.nan
    found = score(truth, predicted, classes=CLASSES, probabilities=p)["classes"]["forest"]["auc"]["value"]
    assert found == pytest.approx(oracle.roc_auc_score(truth[50:] == 3, p[50:, 0]))


def test_few_clusters_or_few_pixels_give_no_interval_and_say_why():
    truth, predicted, p, clusters, _ = with_probabilities(n=400)
    seven = clusters < "patch07"
    few = score(truth[seven], predicted[seven], classes=CLASSES, probabilities=p[seven], clusters=clusters[seven])
    assert few["overall_accuracy"]["low"] is None
    assert few["overall_accuracy"]["n_clusters"] == 7
    assert few["overall_accuracy"]["reason"].startswith("7 independent patches")
    rare = score(truth, predicted, classes=CLASSES, probabilities=p, clusters=clusters)["classes"]["wetland"]
    assert rare["support"] < 30
    assert rare["recall"]["value"] is not None
    assert rare["recall"]["low"] is None
    assert rare["recall"]["reason"] == f"{rare['support']} test pixels; an interval needs 30"
    none = score(truth, predicted, classes=CLASSES)["overall_accuracy"]
    assert none["low"] is None
    assert none["n_clusters"] == 0


def test_a_class_in_few_patches_gets_no_interval_however_many_patches_there_are():
    clusters = np.repeat(np.arange(20), 50)
    truth = np.full(1000, 3, "uint8")
    truth[:100] = 1
    result = score(truth, truth, classes=CLASSES, clusters=clusters)
    assert result["overall_accuracy"]["n_clusters"] == 20
    assert result["classes"]["water"]["recall"]["n_clusters"] == 2
    assert result["classes"]["water"]["recall"]["low"] is None
    assert result["classes"]["forest"]["recall"]["low"] is not None


def test_every_sample_may_be_its_own_cluster():
    truth, predicted, p, _, _ = with_probabilities(n=3000)
    found = score(truth, predicted, classes=CLASSES, probabilities=p, clusters=np.arange(3000))["overall_accuracy"]
    half = 1.96 * np.sqrt(found["value"] * (1 - found["value"]) / 3000)
    assert found["high"] - found["low"] == pytest.approx(2 * half, rel=0.15)


def test_the_same_seed_gives_the_same_json():
    truth, predicted, p, clusters, weights = with_probabilities()
    options = {"classes": CLASSES, "weights": weights, "probabilities": p, "clusters": clusters}
    first = json.dumps(score(truth, predicted, **options), allow_nan=False)
    assert first == json.dumps(score(truth, predicted, **options), allow_nan=False)


def test_no_pixels_at_all_give_nulls_with_the_reason():
    empty = np.zeros(0, "uint8")
    result = score(empty, empty, classes=CLASSES, probabilities=np.zeros((0, 3)), clusters=[])
    assert result["overall_accuracy"] == {
        "value": None, "low": None, "high": None, "n_clusters": 0, "reason": "no test pixels",
    }  # fmt: skip
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"predicted": np.array([9, 3], "uint8")}, "predicted contains class value 9"),
        ({"predicted": np.array([3], "uint8")}, "predicted has 1 rows and truth 2"),
        ({"weights": np.array([1.0, -1.0])}, "negative"),
        ({"weights": np.array([1.0])}, "weights has shape"),
        ({"probabilities": np.zeros((2, 2))}, "a column for each of 3 classes"),
    ],
)
def test_rows_that_do_not_fit_are_refused(options, message):
    arguments = {"truth": np.array([3, 1], "uint8"), "predicted": np.array([3, 1], "uint8")} | options
    with pytest.raises(InputError, match=message):
        score(arguments.pop("truth"), arguments.pop("predicted"), classes=CLASSES, **arguments)


@given(classified())
def test_shares_are_of_the_labelled_land_and_sum_to_one(case):
    truth, _, weights = case
    found = shares(np.append(truth, 0), np.append(weights, 99.0), CLASSES)
    assert list(found) == list(CLASSES.values())
    assert sum(found.values()) == pytest.approx(1)
    assert found["forest"] == pytest.approx(weights[truth == 3].sum() / weights.sum())
    assert shares(np.zeros(3, "uint8"), None, CLASSES) == dict.fromkeys(CLASSES.values())


def test_thinned_curves_keep_their_area_and_leave_out_what_has_one_side():
    truth, _, p, _, weights = with_probabilities(n=20_000)
    names = CLASSES | {9: "absent"}
    p = np.column_stack([p, np.zeros(len(p))])
    for name, curve in roc_curves(truth, p, weights, names).items():
        i = list(names.values()).index(name)
        fpr, tpr = curve["false_positive_rate"], curve["true_positive_rate"]
        assert len(fpr) <= 202
        assert np.trapezoid(tpr, fpr) == pytest.approx(auc(truth == list(names)[i], p[:, i], weights), abs=2e-3)
    curves = precision_recall_curves(truth, p, weights, names)
    assert set(curves) == set(CLASSES.values())
    for name, curve in curves.items():
        i = list(names.values()).index(name)
        recall, precision = np.array(curve["recall"]), np.array(curve["precision"])
        assert len(recall) <= 203
        step = np.sum(np.diff(recall) * precision[1:])
        assert step == pytest.approx(average_precision(truth == list(names)[i], p[:, i], weights), abs=0.01)
    assert precision_recall_curves(truth, p * np.nan, weights, names) == {}


def test_average_curves_hold_the_areas_that_an_oracle_gives_them():
    truth, _, p, _, weights = with_probabilities(n=5_000)
    names = CLASSES | {9: "absent"}
    # A class whose scores are all small is ranked as well by itself, and worse among the others.
    p = np.column_stack([p * (0.2, 1, 1), np.full(len(p), 0.5)])
    asked = truth[:, None] == np.array(list(CLASSES))
    land = np.repeat(weights, len(CLASSES))
    micro = oracle.roc_auc_score(asked.ravel(), p[:, :-1].ravel(), sample_weight=land)
    macro = np.mean([oracle.roc_auc_score(asked[:, i], p[:, i], sample_weight=weights) for i in range(len(CLASSES))])
    curves = average_roc(truth, p, weights, names)
    for name, area in {"micro": micro, "macro": macro}.items():
        fpr, tpr = curves[name]["false_positive_rate"], curves[name]["true_positive_rate"]
        assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
        assert np.trapezoid(tpr, fpr) == pytest.approx(area, abs=2e-3)
    assert abs(micro - macro) > 0.02
    assert average_roc(truth, p * np.nan, weights, names) == {}
    assert average_roc(truth[truth == 1], p[truth == 1], None, names) == {}


def test_an_equal_footing_gives_back_what_rarity_took_and_no_more():
    # Two classes told apart by x, one of them rare; and two that nothing tells apart, one of them rare.
    rng = np.random.default_rng(0)
    share = {"apart": 0.02, "alike": 0.02}
    for kind, rare in share.items():
        y = (rng.random(40_000) < rare).astype(int)
        x = rng.normal(y * (3.0 if kind == "apart" else 0.3), 1.0)
        density = np.stack([(1 - rare) * np.exp(-(x**2) / 2),
                            rare * np.exp(-((x - (3.0 if kind == "apart" else 0.3)) ** 2) / 2)], axis=1)  # fmt: skip
        p = density / density.sum(axis=1, keepdims=True)
        truth = np.array([3, 7], "uint8")[y]
        classes = {3: "forest", 7: "wetland"}
        plain = score(truth, np.array([3, 7], "uint8")[p.argmax(axis=1)], classes=classes)["classes"]["wetland"]
        found = equal_footing(truth, p, classes=classes)["wetland"]
        assert found["taken_for"] == pytest.approx(rare, abs=0.003)
        assert plain["recall"]["value"] < 0.7
        # Half-way between two normals of distance d, recall is Phi(d / 2): 0.933 and 0.560.
        assert found["recall"]["value"] == pytest.approx({"apart": 0.933, "alike": 0.560}[kind], abs=0.03)


def test_an_equal_footing_without_probabilities_shows_nothing():
    truth = np.array([3, 1], "uint8")
    found = equal_footing(truth, np.full((2, 3), np.nan), classes=CLASSES)
    assert found["forest"]["recall"]["value"] == 0
