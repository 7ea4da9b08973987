"""What a run says of its model: which dates matter, what feeds them, and whether it leans on some acquisitions."""

import os
from dataclasses import replace

import numpy as np
import pytest
from worlds import two_class_world

from landweave.classifier.estimators import Constant
from landweave.classifier.fit import fit
from landweave.engine.ledger import Ledger
from landweave.errors import InputError
from landweave.features.interpolation import features
from landweave.features.recipe import Recipe
from landweave.labels.draw import evenly
from landweave.runs.pipeline.driver import run
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run
from landweave.runs.sample.assignment import Assignment
from landweave.runs.sample.observations import Observed, observed_rows, snow_shares
from landweave.runs.sample.table import read_samples
from landweave.runs.validate.importance import (
    explain,
    groups_of,
    importance_settings,
    on_grid,
    own_importance,
    write_importance,
)


@pytest.fixture(scope="module")
def told(finished):
    """The finished small country and what it says of its model."""
    done = open_run(finished)
    return done, done.importance


def test_the_series_give_back_the_very_features_that_the_model_saw(told):
    plan = told[0].plan
    rows, matrix, recipe = read_samples(plan.folder)
    use = np.arange(3, len(rows), 7)
    held = observed_rows(plan, rows, matrix, recipe)(use)
    again = features(held.stack, held.valid, np.array(plan.days), recipe, static=held.static)
    np.testing.assert_array_equal(again, matrix[use])


def test_the_map_is_the_gain_of_the_maps_model(told):
    done, found = told
    import lightgbm

    days = read_samples(done.folder)[2].days
    booster = lightgbm.Booster(model_str=(done.folder / "model" / "model.txt").read_text())
    gain = booster.feature_importance("gain")
    for layer, row in zip(found["layers"], found["map"], strict=True):
        for day, value in zip(days, row, strict=True):
            at = booster.feature_name().index(f"{layer}_d{day:03d}")
            assert value == pytest.approx(gain[at] / gain.sum(), abs=1e-5)


def test_shares_of_acquisitions_sum_to_one_on_dates_that_some_pixel_has(told):
    found = told[1]
    sums = np.sum(found["feeding"], axis=1)
    assert ((abs(sums - 1) < 1e-4) | (sums == 0)).all()
    assert (sums > 0).any()
    assert sum(part["importance"] for part in found["acquisitions"]) == pytest.approx(1, abs=1e-4)


def test_hot_cells_name_a_picture_that_is_there(told):
    done, found = told
    assert found["hot_cells"]
    for cell in found["hot_cells"]:
        assert cell["acquisitions"][0]["date"] == cell["heaviest"]
        assert (done.folder / cell["quicklook"]).exists()
        assert cell["heaviest"] in cell["quicklook"]
    values = [cell["importance"] for cell in found["hot_cells"]]
    assert values == sorted(values, reverse=True)
    assert values[0] == np.max(found["map"])


def test_the_agreement_before_shuffling_is_that_of_the_held_out_rows(told):
    done, found = told
    assert found["permutation"]["rows"] == 2000
    assert abs(found["permutation"]["agreement"] - done.accuracy["held_out"]["overall_accuracy"]["value"]) < 0.03
    assert len(found["permutation"]["by_date"]) == len(found["dates"])
    assert set(found["permutation"]["by_layer"]) == set(found["layers"])


def test_the_same_bytes_come_again_on_any_number_of_cores(told, monkeypatch):
    plan = told[0].plan
    before = (plan.folder / "importance.json").read_bytes()
    with Ledger(plan.folder / "ledger.sqlite", exclusive=False) as ledger:
        taught = Assignment.from_json(ledger.get("train").info["assignment"])
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert write_importance(plan, taught) == "importance.json"
    assert (plan.folder / "importance.json").read_bytes() == before


def test_columns_are_grouped_by_date_by_layer_and_alone():
    recipe = Recipe(bands=("B03", "B08"), indices=("norm",), static=("height",), days=(0, 16))
    groups = groups_of(recipe)
    names = recipe.feature_names
    by = {kind: {key: [names[c] for c in columns] for key, columns in g.items()} for kind, g in groups.items()}
    assert by["date"] == {
        "0": ["B03_d000", "B08_d000", "norm_d000"], "16": ["B03_d016", "B08_d016", "norm_d016"]
    }  # fmt: skip
    assert by["layer"]["B08"] == ["B08_d000", "B08_d016"]
    assert by["layer"]["height"] == ["height"]
    assert by["cell"] == {name: [name] for name in names}
    np.testing.assert_array_equal(on_grid(np.arange(7), recipe), [[0, 3], [1, 4], [2, 5]])


def test_other_classifiers_tell_their_own_importances_or_none():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3)).astype("float32")
    y = np.where(X[:, 2] > 0, 2, 1).astype("uint8")
    names = ("a", "b", "c")
    forest = fit(X, y, type="random_forest", params={"n_estimators": 5}, feature_names=names)
    own = own_importance(forest)
    assert own["kind"] == "importances"
    assert own["splits"] is None
    assert own["values"].argmax() == 2
    assert own["values"].sum() == pytest.approx(1)
    bayes = fit(X, y, type="sklearn.naive_bayes.GaussianNB", feature_names=names)
    assert own_importance(bayes) is None
    assert own_importance(Constant(classes=(1,), feature_names=names)) is None


def test_snow_is_the_share_of_the_land_that_is_seen(told):
    plan = told[0].plan
    bands = plan.recipe.source_bands
    n, dates = 10, len(plan.dates)
    stack = np.full((len(bands), dates, n), 1000, "int16")
    for name, snow in {"B03": 8000, "B08": 7000, "B11": 800}.items():
        stack[bands.index(name), 0, :4] = snow
    valid = np.ones((dates, n), bool)
    valid[0, 0] = valid[1] = False
    rows = read_samples(plan.folder)[0].iloc[:n].assign(weight=[1.0] * 9 + [3.0])
    held = Observed(rows=rows, stack=stack, valid=valid, static=None)
    # Three of the four white pixels are seen, and the last pixel stands for three.
    assert snow_shares(plan, held)[:3] == [3 / 11, None, 0.0]


@pytest.mark.parametrize(("given", "most", "expected"), [(0, 5, 0), (3, 5, 3), (100, 7, 7)])
def test_some_rows_are_taken_evenly_and_none_twice(given, most, expected):
    taken = evenly(np.arange(given), most)
    assert len(taken) == len(set(taken.tolist())) == expected
    if given > most:
        assert (taken[0], taken[-1]) == (0, given - 1)


def test_a_change_of_what_snow_is_makes_it_anew(tmp_path):
    project, _ = two_class_world(tmp_path, size=20)
    plan = make_plan(read_project(project))[0]
    source = plan.project.source
    other = plan.project.model_copy(update={"source": source.model_copy(update={"snow_ndsi": source.snow_ndsi + 0.1})})
    assert importance_settings(replace(plan, project=other)) != importance_settings(plan)


def test_a_classifier_without_importances_is_shuffled_and_two_patches_say_nothing_of_reliance(tmp_path):
    project, _ = two_class_world(tmp_path, size=40, patch=20)
    text = project.read_text().replace("[model]", '[model]\ntype = "sklearn.naive_bayes.GaussianNB"')
    project.write_text(text.replace("n_estimators = 15, min_child_samples = 5", ""))
    assert run(read_project(tmp_path), workers=1).status == 0
    found = open_run(tmp_path).importance
    assert found["drawn"] == "permutation"
    assert found["splits"] is None
    assert found["map"] == found["permutation"]["cells"]
    assert found["reliance"]["leading"]["relies"] is None
    assert found["reliance"]["snow"] == {"removed": [], "reason": "snow is not known without B03, B08 and B11"}
    assert {part["snow"] for part in found["acquisitions"]} == {None}
    assert all(cell["quicklook"] is None for cell in found["hot_cells"])


@pytest.mark.parametrize(("kind", "word"), [("given", "elsewhere"), ("none", "held out"), (None, "days since")])
def test_where_nothing_was_held_out_the_reason_is_all_that_is_said(tmp_path, kind, word):
    project, _ = two_class_world(tmp_path, size=20)
    plan = make_plan(read_project(project))[0]
    nobody = {"units": {}, "quotas": {}, "test_rate": 1.0, "counts": {}, "folds": 0}
    found = explain(plan, None if kind is None else Assignment(kind=kind, **nobody))
    assert set(found) == {"reason"}
    assert word in found["reason"]


def test_a_run_without_the_file_says_what_to_do(tmp_path):
    project, _ = two_class_world(tmp_path, size=20)
    with pytest.raises(InputError, match=r"importance\.json.*landweave run"):
        _ = open_run(project).importance
