"""The test of reliance on snow, in runs on lands that do and do not need it."""

import json

import pytest

from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.state import Options
from landweave.runs.project.settings import read_project
from landweave.sources.simulated.archive.archive import write_archive

pytestmark = pytest.mark.slow


def snow_reliance(folder, *, seed, snow_texture):
    write_archive(folder, size_km=4, dates=24, seed=seed, snow_texture=snow_texture)
    project = folder / "landweave.toml"
    text = project.read_text()
    assert "patch_size = 150" in text
    # Small patches, so that eight of them or more are held out: fewer give no interval, and then nothing is said.
    project.write_text(text.replace("patch_size = 150", "patch_size = 60"))
    result = run(read_project(folder), workers=1, options=Options(until="validate"))
    assert result.status == 0, result.failures
    return json.loads((folder / "out" / "importance.json").read_text())["reliance"]["snow"]


@pytest.mark.parametrize("seed", [2, 42])
def test_it_fires_where_texture_shows_only_under_snow(tmp_path, seed):
    told = snow_reliance(tmp_path, seed=seed, snow_texture=True)
    assert len(told["removed"]) >= 3
    assert told["relies"] is True, told


@pytest.mark.parametrize("seed", [2, 42])
def test_it_is_silent_in_the_usual_land(tmp_path, seed):
    told = snow_reliance(tmp_path, seed=seed, snow_texture=False)
    assert told.get("reason") or told["relies"] is False, told
