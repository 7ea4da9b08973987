"""`landweave evaluate` with parameters of the model, series of unequal length, and classifiers without probabilities."""

import numpy as np
import pandas as pd
import pytest

from landweave.errors import InputError
from landweave.labels.common_days import read_on_common_days
from landweave.runs.evaluate import Evaluation, evaluate_table, evaluation_lines, parse_params


def wide(path, n=120):
    rng = np.random.default_rng(1)
    label = rng.choice(["a", "b"], n)
    red = np.where(label == "a", 300.0, 700.0) + rng.normal(0, 80, n)
    pd.DataFrame({"label": label, "red": red, "near": rng.normal(size=n)}).to_csv(path, index=False)
    return path


def long(folder, *, starts=True):
    """Three samples of unequal length: linear in time, so that every day between is known."""
    rows = [
        (name, day, 10.0 * day + shift)
        for name, days, shift in (("s1", (0, 10, 30), 0), ("s2", (5, 20), 1), ("s3", (0, 1, 2, 40), 2))
        for day in days
    ]
    frame = pd.DataFrame(rows, columns=["sample_id", "date", "red"])
    frame["date"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(frame["date"], unit="D")
    frame.to_csv(folder / "t_timeseries.csv", index=False)
    facts = pd.DataFrame({"sample_id": ["s1", "s2", "s3"], "label": ["a", "b", "a"], "block": ["x", "y", "x"]})
    if starts:
        facts["start_date"] = "2020-01-01"
    facts.to_csv(folder / "t_samples.csv", index=False)
    return folder / "t_timeseries.csv"


def test_parameters_reach_the_model_and_its_answer_changes(tmp_path):
    table = wide(tmp_path / "t.csv")
    one, many = (
        evaluate_table(Evaluation(table=table, model="random_forest", params=params, folds=3))
        for params in ({"n_estimators": 1, "max_depth": 1, "max_features": 1}, {"n_estimators": 30})
    )
    assert one["overall_accuracy"]["value"] < many["overall_accuracy"]["value"]
    assert many["params"] == {"n_estimators": 30}
    assert "random_forest, n_estimators = 30, split random" in evaluation_lines(many)[0]


@pytest.mark.parametrize("model", ["sklearn.svm.SVC", "sklearn.linear_model.RidgeClassifier"])
def test_a_classifier_without_probabilities_is_evaluated(tmp_path, model):
    figures = evaluate_table(Evaluation(table=wide(tmp_path / "t.csv"), model=model, folds=3))
    assert figures["overall_accuracy"]["value"] > 0.9


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("C=10", 10), ("C = 1e-3", 0.001), ("kernel=rbf", "rbf"), ("kernel='rbf'", "rbf"), ("bootstrap=True", True),
        ("bootstrap=false", False), ("max_depth=None", None), ("hidden=[8, 4]", [8, 4]), ("day=2020-01-01", "2020-01-01"),
        ("expression=a=b", "a=b"),
    ],
)  # fmt: skip
def test_values_of_parameters_are_read_as_people_write_them(given, read):
    (found,) = parse_params([given]).values()
    assert found == read
    assert type(found) is type(read)


@pytest.mark.parametrize("given", [["C"], ["=1"], ["C="], ["C=1", "C=2"], ["C=[1"], ["C='a"]])
def test_parameters_that_cannot_be_read_are_refused(given):
    with pytest.raises(InputError, match="--param"):
        parse_params(given)


def test_an_unknown_parameter_is_named_as_it_was_given(tmp_path):
    request = Evaluation(table=wide(tmp_path / "t.csv"), model="random_forest", params={"n_estimater": 3})
    with pytest.raises(InputError, match=r"^--param n_estimater is not a parameter of .*n_estimators"):
        evaluate_table(request)


def test_series_of_unequal_length_are_interpolated_to_common_days(tmp_path):
    table = long(tmp_path)
    found = read_on_common_days(table, step_days=10, group="block")
    assert found.feature_names == ("red_d000", "red_d010", "red_d020", "red_d030", "red_d040")
    assert found.groups == ("x", "y", "x")
    nan = np.nan
    np.testing.assert_array_equal(
        found.X, np.float32([[0, 100, 200, 300, nan], [nan, 101, 201, nan, nan], [2, 102, 202, 302, 402]])
    )
    # Without start dates, days count from each sample's first date.
    own = read_on_common_days(long(tmp_path, starts=False), step_days=10, last_day=10)
    np.testing.assert_array_equal(own.X[1], np.float32([51, 151]))
    with pytest.raises(InputError, match="--step-days to interpolate"):
        evaluate_table(Evaluation(table=table))


def test_what_cannot_be_interpolated_is_refused(tmp_path):
    with pytest.raises(InputError, match="needs a table of series"):
        read_on_common_days(wide(tmp_path / "w.csv"), step_days=10)
    with pytest.raises(InputError, match="no feature day has a value of sample s2"):
        read_on_common_days(long(tmp_path), step_days=60)
    with pytest.raises(InputError, match="no group column 'village'; there are block"):
        read_on_common_days(long(tmp_path), step_days=10, group="village")
    with pytest.raises(InputError, match="1 or more"):
        read_on_common_days(long(tmp_path), step_days=0)
