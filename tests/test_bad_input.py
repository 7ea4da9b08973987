"""Wrong input: one clear line, the right status, nothing half-written."""

import json
import os
import re
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from bad_inputs import (
    BAD,
    LATER,
    ODD,
    edit,
    one_class,
    same,
    spoilt_images,
    spoilt_points,
    spoilt_training,
    training,
    truncated,
    unknown_key,
)
from worlds import two_class_world, write_tif

from landweave.errors import InputError
from landweave.patch.store import read_raster
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run


def command(*words, cwd=None):
    """Run the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "landweave", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "500"},
        check=False,
    )


@pytest.fixture
def world(tmp_path):
    """A sound small project."""
    project, _ = two_class_world(tmp_path)
    return project


@pytest.mark.parametrize("name", BAD)
def test_wrong_input_is_refused_by_check_and_by_run_in_one_line_that_names_it(world, name):
    pattern = BAD[name](world)
    lines = []
    for use in (check_project, partial(run, workers=1)):
        with pytest.raises(InputError, match=pattern) as caught:
            use(read_project(world))
        lines.append(str(caught.value))
        assert "\n" not in lines[-1]
    assert not list((world.parent / "out").glob("**/*.part*"))
    assert not (world.parent / "out" / "map.tif").exists()


@pytest.mark.parametrize("name", LATER)
def test_check_finds_what_is_needed_after_the_run(world, name):
    pattern = LATER[name](world)
    with pytest.raises(InputError, match=pattern) as caught:
        check_project(read_project(world))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ODD)
def test_what_check_calls_sound_runs_and_both_say_what_is_unusual(world, name):
    pattern = ODD[name](world)
    lines = check_project(read_project(world))
    assert lines[0].endswith("sound")
    assert any(re.search(pattern, line) for line in lines if line.startswith("note:")), lines
    result = run(read_project(world), workers=1)
    assert result.status == 0, result.failures
    assert (world.parent / "out" / "map.tif").exists()


def test_what_is_spoilt_was_sound(world):
    assert check_project(read_project(world))[0].endswith("sound")
    for spoil in (spoilt_images(same, ""), spoilt_points(same, ""), spoilt_training("")):
        kept = world.read_text()
        spoil(world)
        assert check_project(read_project(world))[0].endswith("sound")
        world.write_text(kept)


@pytest.mark.parametrize("spoil", [unknown_key, truncated, one_class], ids=lambda f: f.__name__)
def test_the_command_exits_2_with_one_line(world, spoil, landweave):
    spoil(world)
    status, out, said = landweave("run", world, "--workers", "1")
    assert status == 2
    *stages, last = said.strip().splitlines()
    assert last.startswith("landweave: ")
    # Before it, a line a stage that was done.
    assert not any(line.startswith(("landweave: ", " ")) for line in stages)
    assert "Traceback" not in said + out


def test_a_missing_project_file_exits_2(tmp_path):
    done = command("run", tmp_path / "nothing.toml")
    assert done.returncode == 2
    assert "nothing.toml" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_dates_outside_the_period_are_left_out(world):
    edit(world, "[source]", "[period]\nstart = 2020-04-01\nend = 2020-12-31\n[source]")
    assert [str(d) for d in open_run(world).plan.dates] == ["2020-06-01", "2020-09-01"]


def test_a_class_without_samples_is_a_warning(world):
    legend = world.parent / "legend.toml"
    legend.write_text(legend.read_text() + '[[class]]\nvalue = 9\nname = "glacier"\ncolor = "#ffffff"\n')
    assert run(read_project(world), workers=1).status == 0
    assert "glacier" in (world.parent / "out" / "report.html").read_text()
    assert open_run(world).accuracy["classes"]["glacier"]["support"] == 0


def test_a_table_without_labels_exits_2(tmp_path):
    (tmp_path / "x_timeseries.csv").write_text("sample_id,date,B04\n1,2020-01-01,0.1\n")
    (tmp_path / "x_samples.csv").write_text("sample_id,longitude,latitude\n1,15,46\n")
    done = command("evaluate", tmp_path / "x_timeseries.csv", "--output", tmp_path / "a.json")
    assert done.returncode == 2
    assert "label" in done.stderr
    assert not (tmp_path / "a.json").exists()


def test_a_model_of_another_recipe_is_refused(world, tmp_path):
    assert run(read_project(world), workers=1).status == 0
    other, _ = two_class_world(tmp_path / "other", extra=f'path = "{world.parent / "out" / "model"}"')
    edit(other, 'indices = ["ndvi"]', "indices = []")
    with pytest.raises(InputError, match="indices"):
        run(read_project(other), workers=1)
    assert not (other.parent / "out" / "map.tif").exists()


def test_a_model_of_another_legend_is_refused(world, tmp_path):
    assert run(read_project(world), workers=1).status == 0
    other, _ = two_class_world(tmp_path / "other", extra=f'path = "{world.parent / "out" / "model"}"')
    legend = other.parent / "legend.toml"
    legend.write_text(legend.read_text().replace('"pond"', '"lake"'))
    with pytest.raises(InputError, match="pond"):
        run(read_project(other), workers=1)


def test_a_patch_that_is_always_cloudy_is_class_0_and_no_failure(tmp_path):
    project, cover = two_class_world(tmp_path, source='clouds = "mask"\nmask = "CLM"')
    for date in ("2020-03-01", "2020-06-01", "2020-09-01"):
        clouds = np.zeros(cover.shape, "uint8")
        clouds[20:40, 20:40] = 1
        write_tif(tmp_path / f"S2_{date}_CLM.tif", clouds)
    result = run(read_project(project), workers=1)
    assert result.status == 0, result.failures
    mosaic = read_raster(tmp_path / "out" / "map.tif")[0]
    assert (mosaic[20:40, 20:40] == 0).all()
    assert (mosaic > 0).sum() == 80 * 80 - 20 * 20
    assert (read_raster(tmp_path / "out" / "confidence.tif")[0][20:40, 20:40] == 0).all()
    assert "x0001y0001" in (tmp_path / "out" / "report.html").read_text()


def full_disk(monkeypatch, suffix, error=None):
    """Writes of files with this suffix fail as on a full disk, or with another error, half-way."""
    from landweave.patch import store

    def fill(part):
        part.write_bytes(b"half a file")
        raise error or OSError(28, "No space left on device", str(part))

    def refuse(path, write, **options):
        return original(path, fill if str(path).endswith(suffix) else write, **options)

    original = store.write_whole
    for module in list(sys.modules.values()):
        if getattr(module, "write_whole", None) is original:
            monkeypatch.setattr(module, "write_whole", refuse)


@pytest.mark.parametrize(
    "suffix", ["labels/x0001y0001.tif", "predictions/x0001y0001.tif", "samples.parquet", "map.tif", "accuracy.json"]
)
def test_a_full_disk_ends_with_status_1_and_the_run_goes_on_afterwards(world, monkeypatch, suffix):
    with monkeypatch.context() as patched:
        full_disk(patched, suffix)
        result = run(read_project(world), workers=1)
        assert result.status == 1
        assert "No space left" in json.dumps(result.failures)
        assert not list((world.parent / "out").rglob("*.part*"))
    again = run(read_project(world), workers=1)
    assert again.status == 0
    assert (world.parent / "out" / "map.tif").exists()


def test_a_patch_that_fails_before_train_stops_the_run_there_unless_missing_ones_are_allowed(world, monkeypatch):
    from landweave.runs.pipeline.state import Options

    with monkeypatch.context() as patched:
        full_disk(patched, "labels/x0001y0001.tif")
        first = run(read_project(world), workers=1)
        assert first.status == 1
        assert "--allow-missing" in first.stopped
        assert not (world.parent / "out" / "model").exists()
        allowed = run(read_project(world), workers=1, options=Options(allow_missing=True))
        assert allowed.status == 1
        assert (world.parent / "out" / "map.tif").exists()
        assert (world.parent / "out" / "accuracy.json").exists()
    model = (world.parent / "out" / "model" / "model.json").read_bytes()
    assert json.loads(model)["provenance"]["missing"] == ["x0001y0001"]
    assert run(read_project(world), workers=1).status == 0
    assert (world.parent / "out" / "model" / "model.json").read_bytes() == model, "the model is frozen"
    assert run(read_project(world), workers=1, options=Options(retrain=True)).status == 0
    assert json.loads((world.parent / "out" / "model" / "model.json").read_bytes())["provenance"]["missing"] == []


def test_two_runs_on_one_folder_are_refused(world):
    from landweave.engine.ledger import Ledger
    from landweave.engine.lock import BusyError

    with Ledger(world.parent / "out" / "ledger.sqlite"), pytest.raises(BusyError, match="another run"):
        run(read_project(world), workers=1)


def test_a_class_that_lies_in_one_block_of_a_table_is_named_by_check(world):
    # Six blocks of a tenth of a degree; all ponds are in the first.
    place = np.where(np.arange(40) % 2, 14.05, 14.15 + np.arange(40) // 2 % 6 / 10)
    training(world, longitude=place, latitude=46.05)
    notes = " ".join(check_project(read_project(world)))
    assert "Classes within one block only, so that they cannot be tested: pond." in notes
