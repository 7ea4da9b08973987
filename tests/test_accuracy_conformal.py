"""Prediction sets, calibration errors and doubtful labels: worked examples, and promises that hold for any numbers."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.accuracy.confident_learning import doubtful_labels
from landweave.accuracy.reliability import calibration_errors
from landweave.accuracy.trust.conformal import (
    conformal_coverage,
    conformal_sets,
    conformal_threshold,
    conformal_threshold_by_cluster,
    conformal_thresholds,
    coverage_range,
    least_calibration,
)
from landweave.errors import InputError

TOY = [.05, .10, .12, .15, .20, .22, .25, .30, .35, .40, .45, .50, .55, .60, .65, .70, .75, .80, .90]  # fmt: skip


def test_the_toy_threshold_is_the_18th_of_19_scores():
    assert len(TOY) == 19
    assert conformal_threshold(TOY[::-1], alpha=0.1) == 0.80


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(100, "0.8482", "0.9447"), (500, "0.8773", "0.9213"), (1000, "0.8841", "0.9152"), (5000, "0.8930", "0.9069")],
)
def test_the_range_of_the_realised_coverage(n, low, high):
    assert tuple(f"{end:.4f}" for end in coverage_range(n, alpha=0.1)) == (low, high)


@pytest.mark.parametrize(("alpha", "least"), [(0.05, 19), (0.01, 99)])
def test_a_finite_threshold_needs_so_many_units(alpha, least):
    assert least_calibration(alpha) == least
    scores = np.linspace(0, 1, least)
    assert conformal_threshold(scores, alpha=alpha) == 1.0
    assert conformal_threshold(scores[1:], alpha=alpha) == math.inf
    assert coverage_range(least - 1, alpha=alpha) == (1.0, 1.0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.floats(0.01, 0.5))
def test_the_sets_hold_enough_of_the_calibration_units_themselves(scores, alpha):
    q = conformal_threshold(scores, alpha=alpha)
    n = len(scores)
    held = sum(score <= q for score in scores)
    assert held >= min(n, math.ceil(round((n + 1) * (1 - alpha), 9)))


def test_the_promise_holds_on_the_mean_over_calibrations():
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        q = conformal_threshold(rng.random(99), alpha=0.1)
        covered.append(q)  # of uniform scores a share q lies below q
    # Beta(90, 10): mean 0.9, standard deviation 0.03; of the mean of 400, 0.0015.
    assert np.mean(covered) == pytest.approx(0.9, abs=4 * 0.0015)


def test_every_group_keeps_its_own_promise():
    rng = np.random.default_rng(2)
    groups = np.repeat(["easy", "hard", "tiny"], [500, 500, 5])
    scores = np.where(groups == "hard", rng.random(len(groups)), 0.2 * rng.random(len(groups)))
    q = conformal_thresholds(scores, groups, alpha=0.1)
    assert q["easy"] < 0.2 < q["hard"] < 1
    assert q["tiny"] == math.inf
    p = np.array([[0.7, 0.3], [0.95, 0.05], [0.5, 0.5], [0.4, 0.6]])
    sets = conformal_sets(1 - p, np.array([[0.2], [0.2], [0.6], [0.6]]))
    assert sets.tolist() == [[False, False], [True, False], [True, True], [True, True]]
    told = conformal_coverage(sets, np.array([0, 0, 1, 0]), ["easy", "easy", "hard", "hard"])
    assert told["easy"] == {"units": 2.0, "coverage": 0.5, "mean_size": 0.5}
    assert told["hard"] == {"units": 2.0, "coverage": 1.0, "mean_size": 2.0}
    assert conformal_coverage(sets, np.array([0, 0, 1, 0]))["all"]["coverage"] == 0.75


def test_the_calibration_errors_of_the_example():
    p = np.array([[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]])
    found = calibration_errors(p, np.array([0, 1, 2, 0]), bins=3)
    assert f"{found['expected']:.4f}" == "0.2000"
    assert f"{found['root_mean_square']:.4f}" == "0.2082"
    assert f"{found['largest']:.4f}" == "0.2333"


@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 10**6))
def test_a_weight_of_two_counts_as_two_rows(n, bins, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), n)
    truth, weight = rng.integers(0, 3, n), rng.integers(1, 4, n)
    weighted = calibration_errors(p, truth, bins=bins, weights=weight)
    repeated = calibration_errors(np.repeat(p, weight, axis=0), np.repeat(truth, weight), bins=bins)
    assert weighted["expected"] == pytest.approx(repeated["expected"], abs=1e-12)
    assert 0 <= weighted["expected"] <= weighted["root_mean_square"] + 1e-12 <= weighted["largest"] + 2e-12


def test_probabilities_that_come_true_have_no_error():
    p = np.array([[0.75, 0.25]] * 4)
    assert calibration_errors(p, np.array([0, 0, 0, 1]), bins=10)["expected"] == 0
    assert calibration_errors(np.zeros((0, 2)), np.zeros(0))["expected"] is None


THREE = [[.9, .1, 0], [.8, .1, .1], [.1, 0, .9], [.9, 0, .1], [.1, .3, .6], [.1, 0, .9], [.1, 0, .9], [.1, 0, .9]]  # fmt: skip


def test_the_doubtful_labels_of_the_example():
    found = doubtful_labels(np.array([0, 0, 0, 0, 1, 2, 2, 2]), np.array(THREE))
    assert np.round(found.thresholds, 12).tolist() == [0.675, 0.3, 0.9]
    assert found.joint.tolist() == [[3, 0, 1], [0, 1, 0], [0, 0, 3]]
    assert np.flatnonzero(found.is_doubtful).tolist() == [2]


def test_classes_without_labels_are_never_suggested():
    p = np.array([[0.9, 0, 0.1, 0], [0.8, 0, 0.2, 0], [0.1, 0, 0.9, 0], [0.95, 0, 0.05, 0]])
    found = doubtful_labels(np.array([0, 0, 2, 2]), p)
    assert np.round(found.thresholds[[0, 2]], 12).tolist() == [0.85, 0.475]
    assert np.isnan(found.thresholds[[1, 3]]).all()
    assert np.flatnonzero(found.is_doubtful).tolist() == [3]
    assert not found.joint[:, [1, 3]].any()


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 10**6))
def test_an_item_is_counted_at_most_once_and_in_a_class_that_it_reaches(k, n, seed):
    rng = np.random.default_rng(seed)
    p, labels = rng.dirichlet(np.full(k, 0.5), n), rng.integers(0, k, n)
    found = doubtful_labels(labels, p)
    counted = found.suggested >= 0
    assert found.joint.sum() == counted.sum()
    at = found.suggested[counted]
    assert (p[counted, at] >= found.thresholds[at] - 1e-9).all()
    assert found.is_doubtful.sum() == found.joint.sum() - found.joint.trace()


@pytest.mark.parametrize(
    "call",
    [
        lambda: conformal_threshold([0.1], alpha=1.5),
        lambda: conformal_threshold([0.1, math.nan], alpha=0.5),
        lambda: conformal_thresholds([0.1], ["a", "b"], alpha=0.5),
        lambda: calibration_errors(np.zeros((2, 2)), np.zeros(3)),
        lambda: doubtful_labels(np.array([0, 1]), np.zeros((3, 2))),
        lambda: doubtful_labels(np.array([0, 2]), np.zeros((2, 2))),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(call):
    with pytest.raises(InputError) as error:
        call()
    assert "\n" not in str(error.value)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.01, 0.5), st.floats(0.1, 1e6))
def test_equal_weights_are_no_weights(scores, alpha, weight):
    assert conformal_threshold(scores, alpha=alpha, weights=[weight] * len(scores)) == conformal_threshold(
        scores, alpha=alpha
    )


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 5)), min_size=1, max_size=40), st.floats(0.05, 0.5))
def test_a_unit_of_weight_k_counts_as_k_units(units, alpha):
    scores, weights = zip(*units, strict=True)
    one_by_one = np.repeat(scores, weights)
    weighted = conformal_threshold(scores, alpha=alpha, weights=weights, asked_weight=1.0)
    assert weighted == conformal_threshold(one_by_one, alpha=alpha)


def test_weights_undo_a_draw_with_unequal_chances():
    rng = np.random.default_rng(3)
    # Half the land is easy; the draw took ten times as many units of the hard half.
    easy, hard = rng.uniform(0, 0.2, 300), rng.uniform(0, 1, 3000)
    scores, land = np.concatenate([easy, hard]), np.concatenate([np.full(300, 10.0), np.ones(3000)])
    fresh = np.concatenate([rng.uniform(0, 0.2, 50_000), rng.uniform(0, 1, 50_000)])
    plain, weighted = (conformal_threshold(scores, alpha=0.1, weights=w) for w in (None, land))
    assert (fresh <= plain).mean() > 0.93
    assert abs((fresh <= weighted).mean() - 0.9) < 0.01


def test_calibration_by_cluster_covers_clusters_that_were_never_seen():
    rng = np.random.default_rng(5)

    def worlds(clusters):  # each cluster has a difficulty of its own
        return np.clip(rng.uniform(0, 1, clusters)[:, None] * rng.uniform(0, 1, (clusters, 30)), 0, 1)

    covered = {"by cluster": [], "pooled": []}
    for _ in range(300):
        taught, fresh = worlds(12), worlds(200)
        q = conformal_threshold_by_cluster(taught.ravel(), np.repeat(np.arange(12), 30), alpha=0.2)
        covered["by cluster"].append((fresh <= q).mean())
        covered["pooled"].append((fresh <= conformal_threshold(taught.ravel(), alpha=0.2)).mean())
    assert np.mean(covered["by cluster"]) >= 0.8
    assert np.mean(covered["pooled"]) < np.mean(covered["by cluster"])
    assert conformal_threshold_by_cluster([0.1] * 30, [1, 2, 3] * 10, alpha=0.2) == math.inf


def test_coverage_is_that_of_land_where_weights_are_given():
    sets, truth = np.array([[True, False], [False, True]]), np.array([0, 0])
    assert conformal_coverage(sets, truth, weights=[3, 1])["all"] == {"units": 2.0, "coverage": 0.75, "mean_size": 1.0}


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, math.nan]])
def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(InputError, match="weight"):
        conformal_threshold([0.1, 0.2], alpha=0.5, weights=weights)


def test_sets_are_those_of_mapie_and_crepes():
    found = json.loads((Path(__file__).parent / "conformal_oracles.json").read_text())
    label, p, asked = (np.array(v) for v in (*found["calibration"].values(), found["asked"]))
    scores = 1 - p[np.arange(len(label)), label]
    plain = conformal_sets(1 - asked, conformal_threshold(scores, alpha=0.1))
    assert plain.tolist() == np.array(found["mapie"]["marginal"], bool).tolist()
    assert plain.tolist() == np.array(found["crepes"]["marginal"], bool).tolist()
    by_class = conformal_thresholds(scores, label, alpha=0.1)
    sets = conformal_sets(1 - asked, np.array([by_class[k] for k in range(3)]))
    assert sets.tolist() == np.array(found["crepes"]["by_class"], bool).tolist()
    assert sets.tolist() != plain.tolist()
