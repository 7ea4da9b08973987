"""Where the truth is known: what the reference's errors do to the figures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from landweave.accuracy.against_truth import against_truth

CLASSES = {1: "forest", 2: "meadow", 7: "water"}
VALUES = st.sampled_from([1, 2, 7])


@st.composite
def pixels(draw):
    n = draw(st.integers(1, 60))
    return (
        draw(stn.arrays("uint8", n, elements=st.sampled_from([0, 1, 2, 7]))),
        draw(stn.arrays("uint8", n, elements=VALUES)),
        draw(stn.arrays("uint8", n, elements=st.sampled_from([0, 1, 2, 7]))),
        draw(stn.arrays("float64", n, elements=st.floats(0.01, 100))),
    )


@given(pixels().filter(lambda p: p[0].any()))
def test_the_two_accuracies_differ_by_exactly_the_two_shares(case):
    truth, reference, predicted, weights = case
    figures = against_truth(truth, reference, predicted, classes=CLASSES, weights=weights, clusters=None)
    known = truth > 0
    land = weights[known]
    agreement = land[predicted[known] == truth[known]].sum() / land.sum()
    assert figures["overall_accuracy"]["value"] == pytest.approx(agreement, abs=1e-12)
    difference = figures["overall_accuracy"]["value"] - figures["reference_overall_accuracy"]
    shares = figures["reference_wrong_map_right"] - figures["map_repeats_reference_error"]
    assert difference == pytest.approx(shares, abs=1e-12)
    assert (
        figures["reference_error"]
        >= figures["reference_wrong_map_right"] + figures["map_repeats_reference_error"] - 1e-12
    )


@given(pixels().filter(lambda p: p[0].any()))
def test_against_a_sound_reference_both_accuracies_are_one(case):
    truth, _, predicted, weights = case
    figures = against_truth(truth, truth, predicted, classes=CLASSES, weights=weights, clusters=None)
    assert figures["reference_error"] == 0
    assert figures["reference_overall_accuracy"] == pytest.approx(figures["overall_accuracy"]["value"], abs=1e-12)


def test_the_shares_are_those_of_a_case_counted_by_hand():
    truth = np.array([1, 1, 1, 2, 2, 0], "uint8")
    reference = np.array([1, 2, 2, 2, 7, 1], "uint8")
    predicted = np.array([1, 1, 2, 2, 1, 2], "uint8")
    weights = np.array([1.0, 2, 3, 1, 3, 50])
    figures = against_truth(truth, reference, predicted, classes=CLASSES, weights=weights, clusters=None)
    assert figures["overall_accuracy"]["value"] == pytest.approx(0.4)
    assert figures["reference_overall_accuracy"] == pytest.approx(0.5)
    assert figures["reference_error"] == pytest.approx(0.8)
    assert figures["reference_wrong_map_right"] == pytest.approx(0.2)
    assert figures["map_repeats_reference_error"] == pytest.approx(0.3)
