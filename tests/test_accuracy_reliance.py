"""A result that leans on some acquisitions is found out, and one that does not is left in peace."""

import numpy as np
import pytest

from landweave.accuracy.reliance import RULE, change, predictions, verdict

CLASSES = {1: "field", 2: "meadow", 3: "water"}
TOLD_ON = 3
"""The only acquisition on which field and meadow differ."""


def series(seed=0, n=3000, dates=6, *, told_on=(TOLD_ON,)):
    """Values (t, n) on which water always differs, and field and meadow on some acquisitions only; patches of 100."""
    rng = np.random.default_rng(seed)
    truth = rng.choice([1, 2, 3], n, p=[0.45, 0.45, 0.1]).astype("uint8")
    values = rng.normal(0, 1, (dates, n)) + np.where(truth == 3, 12.0, 0.0)
    values[list(told_on)] += np.where(truth == 2, 6.0, 0.0)
    clusters = np.arange(n) // 100
    return values, truth, clusters, clusters % 2 == 0


def nearest_mean():
    """Fit and predict of the plainest classifier that there is."""

    def fit(X, y):
        return {value: X[y == value].mean(axis=0) for value in np.unique(y)}

    def predict(model, X):
        names = np.array(list(model), "uint8")
        distance = np.stack([((X - mean) ** 2).sum(axis=1) for mean in model.values()])
        return names[distance.argmin(axis=0)]

    return {"fit": fit, "predict": predict}


def asked(removed, told_on=(TOLD_ON,)):
    values, truth, clusters, train = series(told_on=told_on)
    before, after = (
        predictions(
            np.ones(values.shape, bool), truth=truth, train=train, without=without,
            features=lambda valid: np.where(valid, values, 0.0).T, **nearest_mean(),
        )
        for without in ([], removed)
    )  # fmt: skip
    return change(truth[~train], before, after, clusters=clusters[~train], classes=CLASSES)


def test_removing_the_only_acquisition_that_tells_two_classes_apart_is_noticed():
    found = asked([TOLD_ON])
    assert found["relies"] is True
    # Nine tenths of the land are of the two classes, and without it each of them is guessed: half is lost.
    assert abs(found["change"]["value"] + 0.45) < 0.05
    assert found["change"]["low"] < found["change"]["value"] < found["change"]["high"] < -0.35
    assert found["change"]["n_clusters"] == 15
    assert found["classes"]["water"]["value"] == 0
    assert "agreement -4" in found["why"]
    assert "water" not in found["why"]


@pytest.mark.parametrize("removed", [[0], [0, 1, 2, 4, 5]])
def test_removing_acquisitions_that_tell_nothing_is_not(removed):
    found = asked(removed)
    assert found["relies"] is False
    assert abs(found["change"]["value"]) < 0.02


def test_one_of_two_acquisitions_that_tell_the_same_is_not_relied_on_but_both_are():
    assert asked([3], told_on=(3, 4))["relies"] is False
    assert asked([3, 4], told_on=(3, 4))["relies"] is True


def test_a_class_that_loses_its_recall_suffices_where_the_land_hardly_changes():
    rng = np.random.default_rng(0)
    truth = np.where(rng.random(20_000) < 0.01, 3, 1).astype("uint8")
    clusters = np.arange(20_000) // 500
    after = np.where((truth == 3) & (rng.random(20_000) < 0.3), 1, truth)
    found = change(truth, truth, after, clusters=clusters, classes=CLASSES)
    assert found["change"]["value"] > -0.01
    assert found["relies"] is True
    assert found["why"].startswith("without them: recall of water -")
    assert found["classes"]["meadow"] == {
        "value": None, "low": None, "high": None, "n_clusters": 0, "reason": "no test pixels"
    }  # fmt: skip


def test_equal_predictions_change_nothing_and_intervals_are_paired():
    _, truth, clusters, _ = series()
    noisy = np.where(np.random.default_rng(1).random(len(truth)) < 0.3, 1, truth)
    found = change(truth, noisy, noisy, clusters=clusters, classes=CLASSES)
    assert found["change"] == {"value": 0.0, "low": 0.0, "high": 0.0, "n_clusters": 30}
    assert found["relies"] is False


def test_weights_say_how_much_land_is_lost():
    _, truth, clusters, _ = series()
    after = np.where(truth == 3, 1, truth)
    weights = np.where(truth == 3, 10.0, 1.0)
    lost = weights[truth == 3].sum() / weights.sum()
    found = change(truth, truth, after, clusters=clusters, classes=CLASSES, weights=weights)
    assert found["change"]["value"] == pytest.approx(-lost)


def test_without_enough_patches_nothing_is_said():
    _, truth, _, _ = series(n=300)
    found = change(truth, truth, np.ones_like(truth), clusters=np.arange(300) // 100, classes=CLASSES)
    assert found["relies"] is None
    assert found["why"] == "cannot be said: 3 patches or blocks bear on it; an interval needs 8"
    assert found["change"]["low"] is None


@pytest.mark.parametrize(
    ("value", "high", "expected"), [(-0.02, -0.001, True), (-0.02, 0.001, False), (-0.009, -0.001, False)]
)
def test_the_rule_needs_a_loss_of_a_point_that_is_no_chance(value, high, expected):
    whole = {"value": value, "low": -0.05, "high": high}
    assert verdict(whole, {})["relies"] is expected
    assert "1 percentage point" in RULE
