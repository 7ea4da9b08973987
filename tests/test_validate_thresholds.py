"""Held-out probabilities judged: what is suggested holds elsewhere, and what cannot be said is not."""

import json

import numpy as np
import pytest

from landweave.classifier.model import decide
from landweave.runs.validate.thresholds import Rows, advise, judge

CLASSES = {1: "field", 4: "scrub", 9: "pond"}
VALUES = np.array(list(CLASSES), "uint8")


def rows(n=6000, seed=0, *, scale=1.0, hollow=0):
    """A common class and two rare ones that overlap, with their true posterior; in eight folds."""
    rng = np.random.default_rng(seed)
    share, middle = np.array([0.9, 0.07, 0.03]), np.array([[0, 0], [1.6, 0], [0, 1.8]])
    y = rng.choice(3, n, p=share)
    x = rng.normal(middle[y], scale)
    density = share * np.exp(-((x[:, None] - middle) ** 2).sum(axis=2) / 2 / scale**2)
    p = (density / density.sum(axis=1, keepdims=True)).astype("float32")
    p[:hollow] = np.nan
    return Rows(
        truth=VALUES[y], probabilities=p, weights=np.ones(n), clusters=np.arange(n) % 16, folds=np.arange(n) % 8
    )


def test_thresholds_that_hold_elsewhere_are_suggested_with_what_they_cost():
    training, test = rows(seed=1), rows(seed=2)
    found = advise(test, training, classes=CLASSES, thresholds={})
    assert set(found["suggested"]) == {"scrub", "pond"}
    assert found["suggested"] == found["chosen"]
    now, then = found["test"]["now"], found["test"]["chosen"]
    assert then["macro_f1"] > now["macro_f1"]
    assert then["overall_accuracy"] < now["overall_accuracy"]
    shown, _ = decide(
        test.probabilities, list(CLASSES), thresholds={4: found["suggested"]["scrub"], 9: found["suggested"]["pond"]}
    )
    assert then["overall_accuracy"] == pytest.approx((shown == test.truth).mean())
    assert then["classes"]["pond"]["recall"] == pytest.approx((shown == 9)[test.truth == 9].mean())


def test_thresholds_that_fit_only_the_noise_are_not_suggested():
    # Every label is drawn anew from probabilities that tell nothing: whatever is chosen cannot hold.
    rng = np.random.default_rng(3)
    n = 400
    p = rng.dirichlet((4, 4, 4), n).astype("float32")
    training = Rows(truth=rng.choice(VALUES, n), probabilities=p, weights=rng.exponential(1, n), folds=np.arange(n) % 8)
    found = advise(training, training, classes=CLASSES, thresholds={})
    fold = found["out_of_fold"]
    assert found["chosen"]
    assert fold["chosen"]["macro_f1"] > fold["now"]["macro_f1"] > fold["cross_fitted"]["macro_f1"]
    assert found["suggested"] == {}


def test_test_rows_have_no_say_in_the_choice():
    training = rows(seed=1)
    found = [advise(test, training, classes=CLASSES, thresholds={}) for test in (rows(seed=2), rows(n=50, seed=5))]
    assert found[0]["chosen"] == found[1]["chosen"]
    assert found[0]["test"] != found[1]["test"]


def test_rows_that_no_model_was_asked_about_or_that_were_never_seen_do_not_choose():
    training = rows(seed=1, hollow=3000)
    half = {name: getattr(training, name)[3000:] for name in ("truth", "probabilities", "weights", "folds", "clusters")}
    expected = advise(rows(seed=2), Rows(**half), classes=CLASSES, thresholds={})
    assert advise(rows(seed=2), training, classes=CLASSES, thresholds={}) == expected
    whole = rows(seed=1)
    fields = {name: getattr(whole, name) for name in ("truth", "probabilities", "weights", "folds", "clusters")}
    unseen = Rows(**fields, seen=np.arange(6000) >= 3000)
    assert advise(rows(seed=2), unseen, classes=CLASSES, thresholds={}) == expected


@pytest.mark.parametrize("training", [None, rows(n=20, hollow=20)], ids=["none", "unknown"])
def test_without_out_of_fold_rows_nothing_is_suggested_and_a_reason_is_given(training):
    assert "no out-of-fold rows" in advise(rows(n=50), training, classes=CLASSES, thresholds={})["reason"]


def test_all_of_it_is_json_and_speaks_of_the_thresholds_in_force():
    test, training = rows(n=800, seed=2), rows(n=800, seed=1)
    found = judge(test, training, classes=CLASSES, thresholds={9: 0.5})
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["thresholds"]["now"] == {"pond": 0.5}
    shown, confidence = decide(test.probabilities, list(CLASSES), thresholds={9: 0.5})
    assert found["calibration"]["overconfidence"]["value"] == pytest.approx(
        confidence.mean() / 100 - (shown == test.truth).mean(), abs=0.005
    )
    effect = found["thresholds"]["classes"]["pond"]
    at = effect["threshold"].index(0.5)
    assert effect["test"]["recall"][at] == pytest.approx((shown == 9)[test.truth == 9].mean(), abs=1e-4)


def test_a_rejected_pixel_makes_no_claim():
    test = rows(n=500)
    shown, _ = decide(test.probabilities, list(CLASSES), reject_below=0.8)
    claims = Rows(truth=test.truth, probabilities=test.probabilities, shown=shown)
    assert judge(claims, None, classes=CLASSES)["calibration"]["pixels"] == (shown > 0).sum()
