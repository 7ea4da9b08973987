"""Scores speak of the land, not of a balanced sample."""

import pandas as pd
import pytest
from worlds import two_class_world

from landweave.patch.store import read_raster
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run

WORLD = {"size": 320, "patch": 40, "share": 0.01, "overlap": 0.5}
POND = 7


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """A country with ponds on 1 % of the land, hard to tell from meadow."""
    project, cover = two_class_world(tmp_path_factory.mktemp("rare"), seed=5, **WORLD)
    assert run(read_project(project), workers=1).status == 0
    return open_run(project), cover


@pytest.fixture(scope="module")
def elsewhere(rare, tmp_path_factory):
    """More of the same land, mapped wall to wall by the model that was tested."""
    model = f'path = "{rare[0].folder / "folds" / "test"}"'
    project, cover = two_class_world(tmp_path_factory.mktemp("elsewhere"), seed=6, extra=model, **WORLD)
    assert run(read_project(project), workers=1).status == 0
    return read_raster(open_run(project).folder / "map.tif")[0], cover


def assert_within(reported, right):
    """The interval is of such land; this piece of it varies by itself, too."""
    value, chance = right.mean(), 2 * (right.mean() * (1 - right.mean()) / right.size) ** 0.5
    assert reported["low"] - chance <= value <= reported["high"] + chance


def test_the_wall_to_wall_users_accuracy_of_a_one_percent_class_lies_in_its_interval(rare, elsewhere):
    done, cover = rare
    assert 0.008 < (cover == POND).mean() < 0.012
    mapped, truth = elsewhere
    reported = done.accuracy["classes"]["pond"]["precision"]
    assert_within(reported, (truth == POND)[mapped == POND])


def test_the_wall_to_wall_producers_accuracy_lies_in_its_interval_too(rare, elsewhere):
    mapped, truth = elsewhere
    reported = rare[0].accuracy["classes"]["pond"]["recall"]
    assert_within(reported, (mapped == POND)[truth == POND])


def test_a_balanced_sample_would_have_told_another_users_accuracy(rare):
    done, _ = rare
    rows = pd.read_parquet(done.folder / "samples.parquet")
    held = pd.read_parquet(done.folder / "samples_oof.parquet")
    train = (rows["split"] == "train").to_numpy()
    shares = rows.loc[train, "label"].value_counts(normalize=True)
    assert shares.max() < 0.6, "training rows are balanced"
    called = held.loc[train, "p_7"].to_numpy() > held.loc[train, "p_2"].to_numpy()
    balanced = (rows.loc[train, "label"].to_numpy()[called] == POND).mean()
    assert balanced > done.accuracy["classes"]["pond"]["precision"]["high"]


def test_mapped_share_is_near_the_reference_share(rare):
    done, cover = rare
    mapped = read_raster(done.folder / "map.tif")[0]
    assert (mapped == POND).mean() == pytest.approx((cover == POND).mean(), rel=0.5)
