"""Which layers, dates and acquisitions a classification rests on, against answers built first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from landweave.accuracy.importance import class_histograms, feeding, hot_cells, permutation_importance
from landweave.features.interpolation import features_reference
from landweave.features.recipe import Recipe
from landweave.tree_models.text import split_totals

ONE = 10_000
"""A reflectance of 1."""


@given(
    valid=arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 5))),
    gaps=st.lists(st.integers(1, 20), min_size=7, max_size=7),
    start=st.integers(-10, 10),
    weights=arrays("float64", 5, elements=st.floats(0.1, 10)),
)
def test_a_date_is_fed_by_what_its_interpolation_takes_of_each_acquisition(valid, gaps, start, weights):
    count, n = valid.shape
    days, targets, land = start + np.cumsum(gaps)[:count], (0, 7, 16, 30), weights[:n]
    recipe = Recipe(bands=("B04",), days=targets)
    shares = np.zeros((len(targets), count))
    for acquisition in range(count):
        # A world that is 1 on one acquisition and 0 on all others: its features are that acquisition's shares.
        lit = np.zeros((1, count, n), "int16")
        lit[0, acquisition] = ONE
        seen = features_reference(lit, valid, days, recipe, dtype="float64")
        known = np.isfinite(seen)
        total = (known * land[:, None]).sum(axis=0)
        shares[:, acquisition] = np.nansum(seen * land[:, None], axis=0) / np.where(total > 0, total, 1)
    np.testing.assert_allclose(feeding(valid, days, targets, land), shares, atol=1e-9)


def two_columns(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 3, n).astype("uint8")
    return np.column_stack([truth, rng.integers(1, 3, n)]), truth


def test_shuffling_the_only_column_that_tells_leaves_what_a_guess_would_agree_by():
    X, truth = two_columns()
    found = permutation_importance(lambda X: X[:, 0], X, truth, {"tells": [0], "idle": [1], "both": [0, 1]}, repeats=20)
    assert found["agreement"] == 1
    by = found["groups"]
    # Half of the rows keep their class by chance; 2000 rows and 20 shuffles leave a quarter of a point of doubt.
    assert abs(by["tells"]["value"] - 0.5) < 0.01
    assert abs(by["both"]["value"] - 0.5) < 0.01
    assert by["idle"] == {"value": 0.0, "spread": 0.0}
    assert 0 < by["tells"]["spread"] < 0.03


def test_the_loss_is_of_land_not_of_rows():
    X, truth = two_columns()
    # Only class 1 has land: as much of it is lost as there are rows of class 2 to take its place.
    weights = np.where(truth == 1, 1.0, 1e-12)
    found = permutation_importance(lambda X: X[:, 0], X, truth, {"tells": [0]}, weights=weights, repeats=20)
    assert abs(found["groups"]["tells"]["value"] - (truth == 2).mean()) < 0.01


def test_columns_of_a_group_are_shuffled_together():
    rng = np.random.default_rng(1)
    one = rng.integers(0, 2, 1000)
    X = np.column_stack([one, one])
    found = permutation_importance(lambda X: X[:, 0] ^ X[:, 1], X, np.zeros(1000, int), {"pair": [0, 1], "one": [0]})
    assert found["groups"]["pair"]["value"] == 0
    assert found["groups"]["one"]["value"] > 0.4


def test_a_group_draws_the_same_whatever_stands_beside_it_after():
    X, truth = two_columns(200)
    few, more = (
        permutation_importance(lambda X: X[:, 0], X, truth, groups)["groups"]["a"]
        for groups in ({"a": [0]}, {"a": [0], "b": [1]})
    )
    assert few == more


@pytest.mark.parametrize("objective", ["multiclass", "multiclassova"])
def test_gain_and_splits_of_the_text_are_those_that_lightgbm_counts(objective):
    import lightgbm

    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6)).astype("float32")
    y = (X[:, 1] > 0).astype(int) + (X[:, 4] > 0.5)
    settings = {"objective": objective, "num_class": 3, "verbosity": -1, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(X, y), 8)
    gain, splits = split_totals(booster.model_to_string())
    np.testing.assert_array_equal(splits, booster.feature_importance("split"))
    np.testing.assert_allclose(gain, booster.feature_importance("gain"), rtol=1e-4)
    assert set(np.argsort(gain)[-2:]) == {1, 4}


def test_hot_cells_come_hottest_first_with_the_acquisitions_that_feed_them():
    matrix = np.array([[0.1, 0.0, 0.3], [0.2, -0.1, 0.0]])
    fed = np.array([[1.0, 0.0], [0.5, 0.5], [0.001, 0.999]])
    names = {"layers": ["B04", "ndvi"], "dates": ["2017-01-01", "2017-01-17", "2017-02-02"]}
    found = hot_cells(matrix, fed, **names, acquisitions=["2017-01-01", "2017-02-03"], snow=[0.8, None])
    assert [(c["layer"], c["date"], c["heaviest"]) for c in found] == [
        ("B04", "2017-02-02", "2017-02-03"),
        ("ndvi", "2017-01-01", "2017-01-01"),
        ("B04", "2017-01-01", "2017-01-01"),
    ]
    assert found[0]["acquisitions"] == [{"date": "2017-02-03", "share": 0.999, "snow": None}]
    assert found[1]["acquisitions"] == [{"date": "2017-01-01", "share": 1.0, "snow": 0.8}]


@given(arrays("float64", (2, 60), elements=st.floats(-1, 1)), st.sets(st.integers(0, 59)))
def test_histograms_count_every_value_once_and_no_missing_one(values, missing):
    values[0, list(missing)] = np.nan
    truth = np.arange(60) % 3 + 1
    found = class_histograms({"good": values[0], "poor": values[1]}, truth, {1: "a", 2: "b", 3: "c", 4: "absent"})
    for day, part in zip(("good", "poor"), values, strict=True):
        sums = {name: sum(counts) for name, counts in found["dates"][day].items()}
        assert sums == {n: int(np.isfinite(part[truth == v]).sum()) for v, n in {1: "a", 2: "b", 3: "c"}.items()}
    assert (np.diff(found["edges"]) > 0).all()


def test_a_value_lies_in_the_bin_between_its_edges():
    part = np.linspace(0, 1, 101)
    found = class_histograms({"day": part}, np.ones(101), {1: "only"}, bins=4)
    np.testing.assert_allclose(found["edges"], [0.01, 0.255, 0.5, 0.745, 0.99])
    assert found["dates"]["day"]["only"] == [26, 24, 25, 26]
