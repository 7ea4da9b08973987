"""The area of applicability: a worked example, a plain computation of the published definition, and its bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landweave.accuracy.trust.applicability import MOST_NEAR, Applicability, fit_applicability
from landweave.errors import InputError


def plain(X, importance, folds, asked):
    """The definition of Meyer and Pebesma (2021) and of the local point density, one distance at a time."""
    mean, spread = X.mean(axis=0), X.std(axis=0, ddof=1)
    rows, places = (X - mean) / spread * importance, (asked - mean) / spread * importance
    between = np.array([[np.sqrt(((a - b) ** 2).sum()) for b in rows] for a in rows])
    unit = between[np.triu_indices(len(rows), 1)].mean()
    other = folds[:, None] != folds[None, :]
    own = np.array([between[i][other[i]].min() for i in range(len(rows))]) / unit
    low, high = np.quantile(own, [0.25, 0.75])
    threshold = min(high + 1.5 * (high - low), own.max())
    away = np.array([[np.sqrt(((a - b) ** 2).sum()) for b in rows] for a in places]) / unit
    return away.min(axis=1), (away < threshold).sum(axis=1), threshold, unit


def world(seed, n=300, features=70, folds=5):
    rng = np.random.default_rng(seed)
    centres = rng.normal(0, 3, (6, features))
    X = centres[rng.integers(0, 6, n)] + rng.normal(0, 1, (n, features))
    return X, rng.exponential(1, features) ** 2, rng.integers(0, folds, n), X[:40] + rng.normal(0, 2, (40, features))


def test_the_worked_example():
    # Two features in rows of two folds. Means 2 and 20, standard deviations 2 and 20 (divisor 2), importance 1 and 0.5:
    # the rows lie at (-1, -.5), (0, 0), (1, .5), a line with the steps sqrt(1.25) and sqrt(1.25).
    X, folds = np.array([[0.0, 0.0], [2.0, 20.0], [4.0, 40.0]]), np.array([0, 0, 1])
    fitted = fit_applicability(X, importance=np.array([1.0, 0.5]), folds=folds)
    step = np.sqrt(1.25)
    assert fitted.mean_distance == pytest.approx(4 / 3 * step, rel=1e-6)  # (step + step + 2 step) / 3
    # To the other fold: 2 steps, 1 step and 1 step, over 4 / 3 steps.
    assert fitted.training == pytest.approx([0.75, 0.75, 1.5], rel=1e-6)
    # Quartiles .75 and 1.125: the whisker ends at 1.6875, beyond the largest, 1.5.
    assert fitted.threshold == pytest.approx(1.5, rel=1e-6)
    # (8, 80) lies at (3, 1.5), 2 steps from the last row: 2 / (4 / 3). It is just inside, and no row is nearer than it.
    index, near = fitted.dissimilarity(np.array([[8.0, 80.0], [2.0, 20.0], [8.0, 120.0]]))
    assert index == pytest.approx([1.5, 0.0, np.hypot(2, 2) / (4 / 3 * step)], rel=1e-6)
    assert near[1:].tolist() == [3, 0]
    assert fitted.inside(index)[1:].tolist() == [True, False]


@pytest.mark.parametrize("seed", range(2))
def test_index_density_and_threshold_are_those_of_a_plain_computation(seed):
    X, importance, folds, asked = world(seed)
    index, near, threshold, unit = plain(X, importance, folds, asked)
    fitted = fit_applicability(X, importance=importance, folds=folds)
    got, density = fitted.dissimilarity(asked)
    np.testing.assert_allclose(got, index, rtol=0, atol=1e-6)
    assert fitted.threshold == pytest.approx(threshold, abs=1e-6)
    assert fitted.mean_distance * importance.max() == pytest.approx(unit, rel=1e-6)
    assert (density == np.minimum(near, MOST_NEAR)).all()


@given(st.integers(0, 10_000), st.floats(1e-6, 1e6), st.integers(1, 97))
def test_neither_the_scale_of_importance_nor_the_parts_asked_about_change_a_bit(seed, scale, cut):
    X, importance, folds, asked = world(seed, n=60, features=5)
    one = fit_applicability(X, importance=importance, folds=folds)
    whole = one.dissimilarity(asked)
    parts = [one.dissimilarity(asked[i : i + cut]) for i in range(0, len(asked), cut)]
    for at in (0, 1):
        assert np.array_equal(np.concatenate([part[at] for part in parts]), whole[at])
    again = fit_applicability(X, importance=importance * scale, folds=folds)
    np.testing.assert_allclose(again.dissimilarity(asked)[0], whole[0], rtol=1e-5)
    back = Applicability.from_arrays(one.arrays())
    assert np.array_equal(back.dissimilarity(asked)[0], whole[0])


def test_rows_of_the_own_fold_do_not_count():
    X, importance, folds, _ = world(4)
    fitted = fit_applicability(X, importance=importance, folds=folds)
    assert (fitted.dissimilarity(X)[0] < 1e-6).all()
    assert np.sort(fitted.dissimilarity(X, folds=folds)[0]) == pytest.approx(fitted.training)


def test_missing_values_are_the_mean_and_features_that_say_nothing_do_not_count():
    X = np.array([[0, 7, 100], [10, 7, 300], [20, 7, -32768]], "int16")
    fitted = fit_applicability(X, importance=np.array([1.0, 5.0, -1.0]), folds=np.arange(3))
    assert fitted.columns.tolist() == [0]
    index, _ = fitted.dissimilarity(np.array([[-32768, 0, 0], [10, 0, 0]], "int16"))
    assert index.tolist() == [0.0, 0.0]
    without = fit_applicability(X, importance=np.zeros(3), folds=np.zeros(3))
    assert sorted(without.columns.tolist()) == [0, 2]


def test_rows_that_do_not_differ_are_refused():
    for rows in (np.ones((5, 2)), np.full((5, 2), np.nan), np.ones((1, 2)), np.ones((0, 2))):
        with pytest.raises(InputError, match="training rows"):
            fit_applicability(rows, importance=np.ones(2), folds=np.zeros(len(rows)))


def test_error_outside_is_at_least_twice_that_inside_where_a_region_is_unlike_the_training_land():
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(6)
    days = np.arange(0, 360, 16)

    def land(n, early):
        """Four crops by the day and the width of their green season, which starts ``early`` days before the others."""
        label = rng.integers(0, 4, n)
        peak = np.array([120, 160, 200, 160])[label] - early + rng.normal(0, 12, n)
        width = np.array([30, 30, 30, 70])[label] * rng.uniform(0.8, 1.2, n)
        curve = np.exp(-(((days - peak[:, None]) / width[:, None]) ** 2)) + rng.normal(0, 0.08, (n, len(days)))
        return curve, label

    X, y = land(800, 0)
    forest = RandomForestClassifier(25, random_state=0).fit(X, y)
    fitted = fit_applicability(X, importance=forest.feature_importances_, folds=np.arange(len(X)) % 5)
    places = [land(900, 0), land(300, 75)]  # a quarter of the country has its season 75 days early
    X, y = (np.concatenate(part) for part in zip(*places, strict=True))
    inside, wrong = fitted.inside(fitted.dissimilarity(X)[0]), forest.predict(X) != y
    assert inside[:900].mean() > 0.9
    assert inside[900:].mean() < 0.7
    assert wrong[~inside].mean() > 2 * wrong[inside].mean()
