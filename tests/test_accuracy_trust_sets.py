"""Sets of classes by region, kept as bytes: what they promise holds on pixels that had no part in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.accuracy.trust.checks import CONFIDENCE_BINS, binned, coverage_rows, error_rows
from landweave.accuracy.trust.codes import LEAST_GROUP, MOST, encode, least_codes, members, sets_by_others


def land(seed, n=30_000, regions=3):
    """Pixels of three classes whose difficulty differs by class and by region, drawn with unequal chances."""
    rng = np.random.default_rng(seed)
    label, region = rng.choice(3, n, p=[0.6, 0.3, 0.1]), rng.integers(0, regions, n)
    strength = np.array([4.0, 2.0, 0.5])[label] + np.array([1.0, 0.0, -1.0])[region]
    scores = rng.normal(0, 1.5, (n, 3))
    scores[np.arange(n), label] += strength
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return encode(p), label, region, rng.integers(0, 20, n)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=50))
def test_codes_keep_the_order_of_probabilities(p):
    codes = encode(np.sort(p)).astype(int)
    assert (np.diff(codes) >= 0).all()
    assert codes.max() <= MOST
    assert ((codes == 0) == (np.sort(p) == 0)).all()


def test_every_class_in_every_region_is_covered_as_asked():
    codes, label, region, cluster = land(1)
    parts = np.random.default_rng(2).integers(0, 2, len(label))
    sets = sets_by_others(codes, label, region, np.ones(len(label)), parts, alpha=0.1, regions=3)
    for group, names in ((label, "abc"), (region, "xyz"), (label * 3 + region, range(9))):
        for row in coverage_rows(sets, label, np.ones(len(label)), cluster, group, [str(name) for name in names]):
            assert row["coverage"] == pytest.approx(0.9, abs=0.02 + 0.6 / np.sqrt(row["pixels"]))
    # One threshold for all would leave the hard class far behind.
    one = members(codes, np.zeros_like(region), np.full((1, 3), np.quantile(codes[np.arange(len(label)), label], 0.1)))
    assert coverage_rows(one, label, np.ones(len(label)), cluster, label, ["a", "b", "c"])[2]["coverage"] < 0.7


def test_weights_make_the_sets_speak_of_the_land():
    codes, label, region, _ = land(3, regions=1)
    easy = codes[np.arange(len(label)), label] > 140
    drawn = np.random.default_rng(4).random(len(label)) < np.where(easy, 0.1, 0.9)
    weight = np.where(easy, 10.0, 1 / 0.9)
    cut = {"alpha": 0.1, "classes": 3, "regions": 1}
    own = codes[np.arange(len(label)), label]
    found = least_codes(own[drawn], label[drawn], region[drawn], weight[drawn], **cut)
    plain = least_codes(own[drawn], label[drawn], region[drawn], np.ones(drawn.sum()), **cut)
    rest = ~drawn
    land_of = np.where(easy, 1 / 0.9, 10.0)[rest]  # of what was left, 9 of 10 easy pixels and 1 of 10 hard ones
    for least, low, high in ((found, 0.88, 0.92), (plain, 0.95, 1.0)):
        hit = members(codes[rest], region[rest], least)[np.arange(rest.sum()), label[rest]]
        assert low < np.average(hit, weights=land_of) <= high


def test_small_groups_share_a_threshold_and_unknown_classes_are_in_every_set():
    own = np.concatenate([np.full(LEAST_GROUP, 200), np.arange(30) + 100, np.full(5, 50)]).astype("uint8")
    label = np.r_[np.zeros(LEAST_GROUP + 30, int), np.ones(5, int)]
    region = np.r_[np.zeros(LEAST_GROUP, int), np.ones(30, int), np.zeros(5, int)]
    least = least_codes(own, label, region, np.ones(len(own)), alpha=0.1, classes=3, regions=3)
    assert least[0, 0] == 200  # its own pixels
    assert least[1, 0] == least[2, 0] < 200  # too few of their own: all pixels of the class
    assert (least[:, 1] == 0).all()  # 5 pixels promise nothing: it is in every set
    assert (least[:, 2] == 1).all()  # of a class without a pixel nothing is known
    assert members(np.array([[0, 0, 0]]), np.array([2]), least).tolist() == [[False, True, False]]


def test_a_class_that_models_did_not_know_is_in_every_set_where_that_is_needed():
    own = np.r_[np.zeros(40), np.full(260, 200)].astype("uint8")
    cut = {"region": np.zeros(300, int), "weights": np.ones(300), "classes": 1, "regions": 1}
    least = least_codes(own, np.zeros(300, int), alpha=0.1, **cut)
    assert members(own[:, None], cut["region"], least).mean() >= 0.9
    assert least_codes(own, np.zeros(300, int), alpha=0.2, **cut)[0, 0] == 200


def test_tables_of_coverage_and_error_weigh_by_land():
    sets, label = np.array([[True, False], [False, True], [True, True]]), np.array([0, 0, 1])
    weight = np.array([3.0, 1.0, 1.0])
    rows = coverage_rows(sets, label, weight, np.array(["p", "p", "q"]), np.array([0, 0, 1]), {0: "a", 1: "b", 2: "c"})
    assert [(row["name"], row["coverage"], row["pixels"], row["patches"]) for row in rows] == [
        ("a", 0.75, 2, 1), ("b", 1.0, 1, 1)
    ]  # fmt: skip
    assert error_rows(np.array([True, False, False]), weight, np.array([0, 0, 1]), ["a", "b"])[0]["error"] == 0.75
    assert binned(np.array([100, 0]), CONFIDENCE_BINS, " %")[1][0] == "0-49 %"
