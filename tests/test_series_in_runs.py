"""Rules beyond lines between observations, in a whole run: the map, the patches' size, and what the report says."""

import json

import numpy as np
import pytest
import rasterio
from worlds import two_class_world

from landweave.errors import InputError
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run

DATES = ("2020-01-20", "2020-03-01", "2020-04-10", "2020-06-01", "2020-07-20", "2020-09-01", "2020-11-10")
SERIES = """series = [
    "linear", "whittaker", {rule = "metrics", window = "season", statistics = ["median", "count"]},
    {rule = "harmonic", order = 1}, {rule = "phenology", layer = "B08"}]"""


def made(folder, *, patch=20, series=SERIES):
    folder.mkdir()
    two_class_world(folder, size=40, patch=patch, dates=DATES, overlap=0.2)
    project = folder / "landweave.toml"
    project.write_text(project.read_text().replace("[features]", f"[features]\n{series}"))
    assert run(read_project(folder), workers=1).status == 0
    return folder / "out"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    return made(tmp_path_factory.mktemp("series") / "world")


def test_the_model_knows_its_rules_and_features(out):
    recipe = open_run(out.parent).plan.recipe
    names = set(recipe.feature_names)
    assert {
        "B04_whittaker_d046",
        "B08_median_d041",
        "observations_count_d041",
        "B08_harmonic_rmse",
        "B08_peak",
    } <= names
    assert [one["rule"] for one in json.loads((out / "model" / "model.json").read_text())["recipe"]["series"]] == [
        "linear", "whittaker", "metrics", "harmonic", "phenology",
    ]  # fmt: skip


def test_the_map_is_right_and_the_report_names_what_stands_on_no_target_day(out):
    assert json.loads((out / "accuracy.json").read_text())["overall_accuracy"]["value"] > 0.95
    found = json.loads((out / "importance.json").read_text())
    assert set(found["elsewhere"]) == {"metrics", "harmonic", "phenology"}
    shares = [*np.ravel(found["map"]), *found["map_static"], *found["elsewhere"].values()]
    assert sum(shares) == pytest.approx(1, abs=1e-3)
    assert "Features that stand on no target day: metrics" in (out / "report.html").read_text()


def test_metrics_alone_make_a_map_and_say_why_no_date_can_be_told_apart(tmp_path):
    alone = made(tmp_path / "alone", series='series = ["metrics"]')
    assert "no feature stands on a target day" in json.loads((alone / "importance.json").read_text())["reason"]
    with rasterio.open(alone / "map.tif") as file:
        assert set(np.unique(file.read(1))) == {2, 7}


def test_a_wrong_rule_is_named_with_its_place_in_the_file(tmp_path):
    two_class_world(tmp_path, size=40)
    project = tmp_path / "landweave.toml"
    text = project.read_text()
    project.write_text(text.replace("[features]", '[features]\nseries = ["spline"]'))
    with pytest.raises(InputError, match=r"landweave.toml:\d+ .*names the rule 'spline'; there are linear, composite"):
        read_project(tmp_path)
