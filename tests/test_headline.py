"""The headline is clean: nothing that its model knew is in it, and it is calibrated on the land that it speaks of."""

import numpy as np
import pandas as pd
import pytest

from landweave.accuracy.reliability import brier, reliability, reliability_of_parts
from landweave.classifier.calibration import apply_temperature
from landweave.classifier.cross_calibration import cross_calibrate
from landweave.labels.leakage import DUPLICATE, POLYGON, known_rows
from landweave.report.words import basis
from landweave.runs.train.held_out import HeldOut
from landweave.runs.validate.accuracy import apart_from_thresholds

MISSING = -32768


def rows_of_two_folds():
    """Ten rows of twelve features: rows 0 to 4 lie in fold 0, the others in fold 1; each fold's model saw the other."""
    features = np.random.default_rng(1).integers(0, 9000, (10, 12)).astype("int16")
    first = np.arange(10) < 5
    return features, {"0": (~first, first), "1": (first, ~first)}


def test_a_polygon_across_the_border_is_known_and_others_are_not():
    features, models = rows_of_two_folds()
    polygons = np.array([1, 1, 2, 3, 0, 2, 4, 4, 5, 0])
    found = known_rows(features, models, polygons=polygons, missing=MISSING)
    assert found.tolist() == [0, 0, POLYGON, 0, 0, POLYGON, 0, 0, 0, 0], "polygon 2 lies in both folds; 0 is none"


def test_rows_with_the_features_of_a_training_row_are_known():
    features, models = rows_of_two_folds()
    features[7] = features[2]
    features[3] = features[4]  # both in one fold
    assert known_rows(features, models).nonzero()[0].tolist() == [2, 7]
    assert set(known_rows(features, models)) == {0, DUPLICATE}


def test_rows_of_few_known_features_are_equal_by_chance():
    features, models = rows_of_two_folds()
    features[7] = features[2]
    features[[2, 7], 7:] = MISSING
    assert not known_rows(features, models, missing=MISSING).any()
    assert known_rows(features, models)[[2, 7]].all()
    assert not known_rows(np.zeros((10, 3), "int16"), models).any()


def test_nothing_is_known_where_nothing_is_predicted():
    features, _ = rows_of_two_folds()
    none = np.zeros(10, bool)
    assert not known_rows(features, {"0": (none, none), "1": (~none, none)}, polygons=np.ones(10, int)).any()


class Fixed:
    """A model whose features are its probabilities; temperatures are all that can be set."""

    def __init__(self, prior=None, training_temperature=1.0, temperature=1.0):
        self.prior, self.training_temperature, self.temperature = prior, training_temperature, temperature
        self.classes = (1, 2)

    def probabilities(self, X, threads=1):
        return apply_temperature(X, self.temperature).astype("float32")


def land_with_borders(rng, n=40_000, ring=0.25):
    """Rows of a sure model: right as often as it says inside, and 15 points less often in the border ring."""
    core = rng.random(n) >= ring
    sure = rng.uniform(0.7, 0.95, n)
    truth = np.where(rng.random(n) < sure - np.where(core, 0, 0.15), 1, 2).astype("uint8")
    return np.column_stack([sure, 1 - sure]), truth, core


@pytest.mark.parametrize("all_land", [False, True])
def test_the_temperature_is_right_about_all_land_only_if_the_rings_take_part(monkeypatch, all_land):
    p, truth, core = land_with_borders(np.random.default_rng(4))
    monkeypatch.setattr("landweave.classifier.cross_calibration.replace", lambda _, **new: Fixed(**new))
    land = np.arange(len(truth)) % 2 == 0
    part = land | core  # training rows are drawn inside only
    _, held = cross_calibrate(
        {"0": Fixed()}, {"0": part}, p, truth, classes=(1, 2), weights=np.ones(len(truth)),
        land=land if all_land else None,
    )  # fmt: skip
    asked = land if all_land else land & part
    sure, right = held[asked].max(axis=1), truth[asked] == 1
    assert abs(sure.mean() - right.mean()) < (0.01 if all_land else 0.05)
    if not all_land:
        assert sure.mean() - right.mean() > 0.01, "too sure of all land"


def test_the_rows_that_are_judged_have_no_say_in_their_temperature(monkeypatch):
    p, truth, _ = land_with_borders(np.random.default_rng(5), n=3000, ring=0.0)
    monkeypatch.setattr("landweave.classifier.cross_calibration.replace", lambda _, **new: Fixed(**new))
    first = np.arange(len(truth)) < 1500
    parts, ones = {"a": first, "b": ~first}, np.ones(len(truth))

    def calibrated(truth):
        models, held = cross_calibrate({"a": Fixed(), "b": Fixed()}, parts, p, truth, classes=(1, 2), weights=ones)
        return models["a"].temperature, held

    plain, held = calibrated(truth)
    other, changed = calibrated(np.where(first, 3 - truth, truth))
    np.testing.assert_array_equal(held[first], changed[first])
    assert not np.array_equal(held[~first], changed[~first])
    assert plain != other, "the map's is that of all rows"


@pytest.mark.parametrize(
    ("thresholds", "kind", "splits", "left", "told"),
    [
        ({2: 0.5}, "patch", ("test", "land"), ["test"], "test places alone"),
        ({2: 0.5}, "block", ("test", "land"), ["test"], "test places alone"),
        ({2: 0.5}, "block", ("train", "train"), ["train", "train"], "same places"),
        ({2: 0.5}, "given", ("test", "test"), ["test", "test"], ""),
        ({2: 0.5}, "none", ("test", "land"), ["test", "land"], ""),
        ({2: 1.0}, "patch", ("test", "land"), ["test", "land"], ""),
        ({}, "patch", ("test", "land"), ["test", "land"], ""),
    ],
)
def test_rows_that_may_have_chosen_the_thresholds_in_force_do_not_judge_them(thresholds, kind, splits, left, told):
    nothing = np.zeros(2, "uint8")
    held = HeldOut(
        rows=pd.DataFrame({"split": splits}), probabilities=np.zeros((2, 2), "float32"), predicted=nothing,
        seen=nothing > 0, known=nothing,
    )  # fmt: skip
    judging, found = apart_from_thresholds(held, thresholds, kind)
    assert (judging.rows["split"].tolist(), len(judging.predicted), found) == (left, len(left), told)
    figures = {"split": {"kind": kind, "thresholds": found}, "overall_accuracy": {}, "classes": {"a": {"support": 2}}}
    assert ("Only the test places" in basis(figures)) == (told == "test places alone")
    assert ("may be too high" in basis(figures)) == (told == "same places")


def test_parts_show_what_one_temperature_cannot_mend():
    p, truth, core = land_with_borders(np.random.default_rng(4))
    shown, sure = np.ones(len(truth), "uint8"), p[:, 0]
    clusters = np.arange(len(truth)) % 20
    parts = reliability_of_parts(truth, shown, sure, {"core": core, "ring": ~core}, clusters=clusters)
    assert parts["ring"]["overconfidence"]["value"] == pytest.approx(0.15, abs=0.02)
    assert parts["ring"]["overconfidence"]["low"] > 0.1
    assert abs(parts["core"]["overconfidence"]["value"]) < 0.01
    assert parts["core"]["share"] + parts["ring"]["share"] == pytest.approx(1)
    whole = reliability(truth, shown, sure, clusters=clusters)["overconfidence"]["value"]
    mixed = sum(part["share"] * part["overconfidence"]["value"] for part in parts.values())
    assert mixed == pytest.approx(whole)


def test_a_part_without_pixels_has_no_figures():
    p, truth, core = land_with_borders(np.random.default_rng(4), n=50)
    found = reliability_of_parts(truth, np.zeros(50, "uint8"), p[:, 0], {"core": core})["core"]
    assert (found["pixels"], found["share"], found["confidence"], found["agreement"]) == (0, None, None, None)


def test_the_brier_score_of_honest_probabilities_is_what_they_expect():
    rng = np.random.default_rng(3)
    p = rng.dirichlet([2, 1, 1], 20_000)
    truth = (1 + (rng.random((20_000, 1)) > p.cumsum(axis=1)).sum(axis=1)).astype("uint8")
    found = brier(truth, p, classes=[1, 2, 3], clusters=np.arange(20_000) % 30)
    expected = (1 - (p**2).sum(axis=1)).mean()
    assert found["low"] < expected < found["high"]
    assert found["value"] == pytest.approx(expected, abs=0.01)
    assert brier(truth * 0, p, classes=[1, 2, 3])["value"] is None


def test_the_calibration_error_of_honest_probabilities_has_an_interval_from_nought():
    rng = np.random.default_rng(6)
    clusters = np.repeat(np.arange(40), 50)
    sure = rng.uniform(0.3, 1, 2000)
    truth = np.where(rng.random(2000) < sure, 1, 2).astype("uint8")
    found = reliability(truth, np.ones(2000, "uint8"), sure, clusters=clusters)["expected_calibration_error"]
    assert found["low"] < 0.005
    assert found["low"] < found["value"]
