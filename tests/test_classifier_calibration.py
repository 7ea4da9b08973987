"""Calibration: priors, temperature, columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from scipy.optimize import OptimizeResult

from landweave.classifier.calibration import (
    align_columns,
    apply_prior,
    apply_temperature,
    fit_prior,
    fit_temperature,
)
from landweave.classifier.fit import as_floats, fit
from landweave.errors import InputError


def test_the_prior_brings_back_bayes_after_balanced_training():
    # Two normal classes at -1 and 1; the second covers a tenth of the land, and half of the training table.
    rng = np.random.default_rng(4)
    y = rng.integers(1, 3, 40000).astype("uint8")
    x = rng.normal(np.where(y == 2, 1.0, -1.0), 1.0)[:, None].astype("float32")
    model = fit(x, y, type="sklearn.linear_model.LogisticRegression", feature_names=["x"])
    prior = fit_prior({1: 9000, 2: 1000}, {value: int((y == value).sum()) for value in (1, 2)})
    at = np.linspace(-2, 3, 21)[:, None]
    got = apply_prior(model.predict(as_floats(at)), prior)[:, 1]
    bayes = (
        0.1 * np.exp(-((at - 1) ** 2) / 2) / (0.1 * np.exp(-((at - 1) ** 2) / 2) + 0.9 * np.exp(-((at + 1) ** 2) / 2))
    )
    np.testing.assert_allclose(got, bayes[:, 0], atol=0.02)


def test_the_prior_knows_trained_classes_only():
    assert fit_prior({1: 0.5, 3: 0.25, 9: 0.25}, {3: 10, 1: 10, 5: 10, 7: 0}) == pytest.approx((2.0, 1.0, 0.0))
    with pytest.raises(InputError, match="balanced"):
        fit_prior({9: 1.0}, {1: 10})


def test_a_row_of_nothing_but_landless_classes_stays():
    p = np.array([[0.0, 1.0], [0.5, 0.5]])
    assert apply_prior(p, (1.0, 0.0)).tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_the_temperature_that_was_put_in_comes_back(true):
    rng = np.random.default_rng(0)
    honest = rng.dirichlet([0.7, 0.7, 0.7], 30000)
    y = (rng.random((30000, 1)) > honest.cumsum(axis=1)).sum(axis=1)
    spoilt = apply_temperature(honest, 1 / true)  # too sure by the factor `true`
    assert fit_temperature(spoilt, y) == pytest.approx(true, rel=0.03)


def test_weights_of_rows_count_like_repeated_rows():
    rng = np.random.default_rng(1)
    p, y, times = rng.dirichlet([1, 1], 500), rng.integers(0, 2, 500), rng.integers(1, 4, 500)
    expected = fit_temperature(p.repeat(times, axis=0), y.repeat(times))
    assert fit_temperature(p, y, times) == pytest.approx(expected, rel=1e-4)


def test_without_rows_or_choice_nothing_is_changed():
    assert fit_temperature(np.zeros((0, 3)), np.zeros(0, int)) == 1.0
    assert fit_temperature(np.ones((5, 1)), np.zeros(5, int)) == 1.0
    assert fit_temperature(np.full((5, 2), 0.5), np.zeros(5, int), np.zeros(5)) == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -0.1])
def test_probabilities_that_are_none_give_no_temperature(bad):
    p = np.array([[0.7, 0.3], [bad, 0.6]])
    with pytest.raises(InputError, match=r"model.calibration.*2 held-out rows: .* in 1 of them.*calibration = .none"):
        fit_temperature(p, np.array([0, 1]))
    with pytest.raises(InputError, match="missing or negative in 1 of them"):
        fit_temperature(np.full((2, 2), 0.5), np.array([0, 1]), np.array([1.0, bad]))


def test_a_search_that_finds_no_minimum_gives_no_temperature(monkeypatch):
    def given_up(*args, **options):
        return OptimizeResult(x=0.3, fun=1.0, success=False, message="Maximum number of function calls reached.")

    monkeypatch.setattr("scipy.optimize.minimize_scalar", given_up)
    with pytest.raises(InputError, match=r"Maximum number of function calls reached\. Check"):
        fit_temperature(np.array([[0.7, 0.3], [0.4, 0.6]]), np.array([0, 1]))


@pytest.mark.parametrize(("land", "counts"), [({1: np.nan, 2: 1}, {1: 5, 2: 5}), ({1: 1, 2: 1}, {1: 5, 2: np.inf})])
def test_a_share_that_is_no_number_gives_no_prior(land, counts):
    with pytest.raises(InputError, match=r"class \d has land .* both must be finite numbers"):
        fit_prior(land, counts)


def test_a_certain_mistake_is_no_infinity():
    assert 1 < fit_temperature(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0, 1, 1])) <= 20


@given(stn.arrays("float64", (10, 4), elements=st.floats(0, 1)), st.floats(0.05, 20))
def test_temperature_never_changes_which_class_is_first(p, temperature):
    p = p / np.maximum(p.sum(axis=1, keepdims=True), 1e-300)
    p[p.sum(axis=1) == 0] = 0.25
    warm = apply_temperature(p, temperature)
    first = np.take_along_axis(warm, p.argmax(axis=1)[:, None], axis=1)
    assert (first[:, 0] == warm.max(axis=1)).all()
    np.testing.assert_allclose(warm.sum(axis=1), 1)


def test_classes_that_a_fold_never_saw_do_not_disturb_the_temperature():
    rng = np.random.default_rng(2)
    p, y = rng.dirichlet([1, 1, 1], 2000), rng.integers(0, 3, 2000)
    wide = align_columns(p, (1, 2, 3), (1, 2, 3, 8, 9))
    assert fit_temperature(wide, y) == fit_temperature(p, y)


def test_columns_go_under_their_classes():
    p = np.array([[0.7, 0.3]], "float32")
    assert align_columns(p, (2, 9), (9, 1, 2)).tolist() == [[np.float32(0.3), 0.0, np.float32(0.7)]]
