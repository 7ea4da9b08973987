"""Reliability: honest probabilities lie on the diagonal, and others are found out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.accuracy.reliability import reliability


def world(n=40_000, seed=0, too_sure=0.0):
    rng = np.random.default_rng(seed)
    sure = rng.uniform(0.3, 1.0, n)
    right = rng.random(n) < sure - too_sure
    truth = np.full(n, 3, "uint8")
    return truth, np.where(right, 3, 5).astype("uint8"), sure


def test_probabilities_that_come_true_as_often_as_they_say_have_no_error():
    truth, shown, sure = world()
    found = reliability(truth, shown, sure, clusters=np.arange(len(truth)) % 20)
    assert found["expected_calibration_error"]["value"] < 0.015
    assert found["overconfidence"]["low"] < 0 < found["overconfidence"]["high"]
    for row in found["bins"][3:]:
        assert row["agreement"]["low"] < row["agreement"]["value"] < row["agreement"]["high"]
        assert row["agreement"]["value"] == pytest.approx(row["confidence"], abs=0.03)
    assert [row["agreement"]["value"] for row in found["bins"][:3]] == [None] * 3


def test_the_excess_of_confidence_that_was_put_in_is_found():
    truth, shown, sure = world(too_sure=0.2)
    found = reliability(truth, shown, sure, clusters=np.arange(len(truth)) % 20)
    assert found["overconfidence"]["value"] == pytest.approx(0.2, abs=0.01)
    assert found["expected_calibration_error"]["value"] == pytest.approx(0.2, abs=0.01)
    assert found["overconfidence"]["low"] > 0.15


def test_a_worked_example():
    truth = np.array([1, 1, 2, 2, 0, 1], "uint8")
    shown = np.array([1, 2, 2, 1, 1, 0], "uint8")
    sure = np.array([0.95, 0.55, 0.5, 1.0, 0.7, 0.1])
    found = reliability(truth, shown, sure, weights=np.array([1, 1, 2, 4, 9, 9.0]))
    # Of 8 parts of land 3 lie in 0.5-0.6 (mean confidence 1.55 / 3, agreement 2 / 3), 5 in 0.9-1 (4.95 / 5, 1 / 5).
    assert found["pixels"] == 4
    middle, last = found["bins"][5], found["bins"][9]
    assert (middle["pixels"], middle["share"], middle["agreement"]["value"]) == (2, 3 / 8, pytest.approx(2 / 3))
    assert (last["confidence"], last["agreement"]["value"]) == (pytest.approx(0.99), pytest.approx(0.2))
    assert found["expected_calibration_error"]["value"] == pytest.approx((abs(1.55 - 2) + abs(4.95 - 1)) / 8)
    assert found["overconfidence"]["value"] == pytest.approx((1.55 - 2 + 4.95 - 1) / 8)


def test_the_published_example_of_three_bins():
    # worked example 7.9: top-label error of four pixels and three bins
    p = np.array([[0.25, 0.20, 0.55], [0.55, 0.05, 0.40], [0.10, 0.30, 0.60], [0.90, 0.05, 0.05]])
    truth = np.array([1, 2, 3, 1], "uint8")
    found = reliability(truth, (p.argmax(axis=1) + 1).astype("uint8"), p.max(axis=1), bins=3)
    assert round(found["expected_calibration_error"]["value"], 4) == 0.2


@given(
    stn.arrays("float64", 30, elements=st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.7, 0.999, 1.0])),
    stn.arrays("uint8", 30, elements=st.integers(0, 2)),
)
def test_shares_sum_to_one_and_the_error_is_at_least_the_excess(sure, shown):
    found = reliability(np.ones(30, "uint8"), shown, sure)
    total = sum(row["share"] for row in found["bins"])
    assert total == pytest.approx(1 if (shown > 0).any() else 0)
    if total:
        excess = found["overconfidence"]["value"]
        assert found["expected_calibration_error"]["value"] >= abs(excess) - 1e-12
    for row in found["bins"]:
        assert row["confidence"] is None or row["from"] - 1e-9 <= row["confidence"] <= row["to"] + 1e-9


def test_what_has_no_interval_says_why():
    found = reliability(*world(n=100), clusters=np.arange(100) % 3)
    assert found["overconfidence"]["reason"].startswith("3 independent patches")
    assert found["bins"][0]["agreement"]["reason"] == "no test pixels"
    nothing = reliability(np.zeros(5, "uint8"), np.ones(5, "uint8"), np.ones(5))
    assert nothing["expected_calibration_error"]["value"] is None
