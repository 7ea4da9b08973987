"""Disagreement at edges and on thin things."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.accuracy.spatial.edges import erosion_effect, thin_objects

CLASSES = {2: "wood", 7: "pond"}


def world(seed, n=400):
    rng = np.random.default_rng(seed)
    truth = rng.choice(np.array([2, 7], "uint8"), n)
    predicted = np.where(rng.random(n) < 0.2, rng.choice(np.array([0, 2, 7]), n), truth).astype("uint8")
    options = {"classes": CLASSES, "weights": rng.uniform(0.1, 5, n), "clusters": rng.integers(0, 12, n)}
    return truth, predicted, rng.random(n) < rng.random(), options


@given(st.integers(0, 999))
def test_inside_and_ring_make_up_the_whole_and_so_does_their_disagreement(seed):
    truth, predicted, core, options = world(seed)
    found = erosion_effect(truth, predicted, core, whole_pixels={2: 10, 7: 4}, core_pixels={2: 7}, **options)
    inside, ring, overall = (found[name] for name in ("inside", "ring", "overall"))
    assert inside["share"] + ring["share"] == pytest.approx(1)
    assert overall["share"] == 1
    value = sum(part["share"] * (part["overall_accuracy"]["value"] or 0) for part in (inside, ring))
    assert value == pytest.approx(overall["overall_accuracy"]["value"])
    missed = ring["share"] * (1 - (ring["overall_accuracy"]["value"] or 0))
    if (predicted != truth).any():
        assert found["disagreement_in_ring"] == pytest.approx(missed / (1 - overall["overall_accuracy"]["value"]))
    assert found["removed"] == {"wood": {"pixels": 3, "share": 0.3}, "pond": {"pixels": 4, "share": 1.0}}


def test_a_class_that_the_reference_lacks_has_no_share_and_full_agreement_has_no_ring():
    truth = np.full(60, 2, "uint8")
    options = {"classes": CLASSES, "weights": np.ones(60), "clusters": None}
    found = erosion_effect(truth, truth, np.arange(60) < 40, whole_pixels={2: 60}, core_pixels={2: 40}, **options)
    assert found["disagreement_in_ring"] is None
    assert found["removed"]["pond"] == {"pixels": 0, "share": None}
    assert found["ring"]["overall_accuracy"]["value"] == 1
    assert found["ring"]["overall_accuracy"]["low"] is None


def test_recall_on_thin_things_counts_thin_pixels_by_their_land():
    # Ten pixels of woods and ten of ponds; of the ponds' four thin ones two are found, with a third of their land.
    truth = np.repeat(np.array([2, 7], "uint8"), 10)
    thin = np.zeros(20, bool)
    thin[10:14] = True
    predicted, weights = truth.copy(), np.ones(20)
    predicted[10:12] = 2
    weights[10:12] = 2
    found = thin_objects(truth, predicted, thin, classes=CLASSES, weights=weights, clusters=None)
    assert found["share"] == pytest.approx(6 / 22)
    assert found["classes"]["pond"]["recall"]["value"] == pytest.approx(2 / 6)
    assert found["classes"]["pond"]["support"] == 4
    assert found["classes"]["pond"]["share"] == pytest.approx(6 / 12)
    assert found["classes"]["wood"]["share"] == 0
    assert found["classes"]["wood"]["recall"]["value"] is None
    assert found["overall_accuracy"]["value"] == pytest.approx(2 / 6)
