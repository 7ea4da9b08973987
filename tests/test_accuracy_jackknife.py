"""Intervals by whole clusters left out: they hold the truth as often as they say, also for few unequal clusters."""

import numpy as np
import pytest

from landweave.accuracy.jackknife import by_cluster, effective, interval_t, left_out
from landweave.accuracy.metrics import score


def of_patches(right, land):
    """Interval of agreement from agreeing and labelled land of each patch."""
    sums = np.column_stack([right, land])
    without = left_out(sums)
    return interval_t(right.sum() / land.sum(), without[:, 0] / without[:, 1], land)


def covered(rng, draw, truth, worlds):
    held = 0
    for _ in range(worlds):
        low, high = of_patches(*draw(rng))
        held += low <= truth <= high
    return held / worlds


def beta(mean, sd):
    a = mean * (1 - mean) / sd**2 - 1
    return mean * a, (1 - mean) * a


def unequal(n, mean, sd, spread):
    """Patches with their own agreement around a mean and land between a tenth and all of a patch, or lognormal."""

    def draw(rng):
        land = rng.uniform(2000, 22500, n) if spread is None else rng.lognormal(8, spread, n)
        return rng.beta(*beta(mean, sd), n) * land, land

    return draw


def test_nine_skewed_unequal_patches_are_covered_as_often_as_is_said():
    assert 0.93 <= covered(np.random.default_rng(5), unequal(9, 0.9, 0.1, None), 0.9, 1500) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 9, 20, 45, 100])
@pytest.mark.parametrize(("mean", "sd", "spread"), [(0.82, 0.06, None), (0.9, 0.1, None), (0.9, 0.1, 1.0)])
def test_worlds_of_any_number_of_patches_are_covered(n, mean, sd, spread):
    assert 0.93 <= covered(np.random.default_rng(n), unequal(n, mean, sd, spread), mean, 3000) <= 0.97


def test_equal_clusters_give_students_interval_of_the_mean():
    # On a symmetric scale the jackknife of a mean is the textbook's: mean +- t_(n-1) s / sqrt(n).
    values = np.random.default_rng(2).normal(10, 2, 12)
    low, high = interval_t(values.mean(), (values.sum() - values) / 11, np.ones(12), share=False)
    half = 2.2009852 * values.std(ddof=1) / np.sqrt(12)
    assert (low, high) == (pytest.approx(values.mean() - half), pytest.approx(values.mean() + half))


def test_land_in_one_cluster_is_worth_one_cluster():
    assert effective(np.array([100.0, 0, 0])) == 1
    few = of_patches(np.array([90.0, 1, 1, 1, 1, 1, 1, 1]), np.array([100.0, 2, 2, 2, 2, 2, 2, 2]))
    even = of_patches(np.array([14.0, 12, 13, 12, 14, 12, 13, 12]), np.full(8, 15.0))
    assert few[1] - few[0] > 3 * (even[1] - even[0])


def test_ends_stay_shares_and_hold_the_value():
    rng = np.random.default_rng(0)
    for _ in range(200):
        land = rng.uniform(1, 9, 10)
        right = land * (rng.random(10) < 0.9)
        low, high = of_patches(right, land)
        assert 0 <= low <= right.sum() / land.sum() <= high <= 1


def test_a_score_that_no_cluster_changes_has_no_width():
    land = np.array([1.0, 3, 5, 7, 2, 2, 2, 2])
    assert of_patches(0.8 * land, land) == (pytest.approx(0.8), pytest.approx(0.8))


def test_many_clusters_are_left_out_in_groups_and_nothing_is_lost():
    units = np.repeat(np.arange(3000), 2)
    table = (units, np.tile([0, 1], 3000), np.ones(6000), 2)
    sums = by_cluster([("t", table)], 3000, seed=1)["t"]
    assert sums.shape == (500, 2)
    assert sums.sum(axis=0).tolist() == [3000, 3000]


def test_the_recall_of_a_class_in_few_unequal_patches_is_covered():
    # rarecov: a class on half of 20 patches, sizes over an order of magnitude; the bootstrap held it 0.89 to 0.94.
    rng, held, worlds = np.random.default_rng(1), 0, 0
    while worlds < 250:
        land = np.where(rng.random(20) < 0.5, rng.lognormal(3.5, 1.5, 20), 0).round().astype(int)
        if (land > 0).sum() < 8 or land.sum() < 30:
            continue
        truth = np.concatenate([np.full(land.sum(), 1), np.full(200, 2)]).astype("uint8")
        unit = np.concatenate([np.repeat(np.arange(20), land), np.arange(200) % 20])
        own = rng.beta(*beta(0.6, 0.2), 20)[unit]
        shown = np.where((truth == 2) | (rng.random(len(truth)) < own), truth, 2).astype("uint8")
        found = score(truth, shown, classes={1: "rare", 2: "rest"}, clusters=unit)["classes"]["rare"]["recall"]
        held += found["low"] <= 0.6 <= found["high"]
        worlds += 1
    assert held / worlds >= 0.93
