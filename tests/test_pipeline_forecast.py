"""What a run will take is told before it begins."""

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from affine import Affine
from archives import without_output
from odc.geo.geobox import GeoBox
from typer.testing import CliRunner

from landweave.cli.app import app
from landweave.runs.pipeline import forecast as forecasting
from landweave.runs.pipeline.forecast import Forecast, forecast, forecast_lines, outcome, quick_forecast, shortages
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project
from landweave.sources.pixels import stored_bytes

TOLD = Forecast(
    patches=40, pixels=10_000_000, dates=70, dates_per_patch=68.0, valid_share=0.4, read_bytes=8_000_000_000,
    disk_bytes=6_000_000_000, kept_bytes=1_000_000_000, memory_bytes=800_000_000, main_bytes=500_000_000,
    cpu_hours=3.0, hours=1.5, workers=2,
)  # fmt: skip


def test_the_command_tells_what_there_is_and_fetches_nothing(finished, tmp_path):
    folder = without_output(finished, tmp_path / "country")
    done = CliRunner().invoke(app, ["forecast", str(folder), "--workers", "2"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in (folder / "out").iterdir()) == ["forecast.json"]
    told = json.loads((folder / "out" / "forecast.json").read_text())
    plan, cells = make_plan(read_project(folder))
    assert (told["patches"], told["dates"], told["workers"]) == (len(cells), len(plan.dates), 2)
    assert told["pixels"] == sum(cell.geobox.shape[0] * cell.geobox.shape[1] for cell in cells)
    # Every acquisition of the simulated satellite sees all of so small a country.
    assert told["dates_per_patch"] == len(plan.dates)
    assert told["cpu_hours"] > 0
    assert told["cpu_hours"] / 2 <= told["hours"] * 1.001 <= told["cpu_hours"] * 1.002
    record = json.loads((finished / "out" / "run.json").read_text())
    seen = [share for row in record["patches"].values() for share in row["valid_fraction"]]
    assert told["valid_share"] == pytest.approx(sum(seen) / len(seen), abs=0.2)
    for line in ("patches:", "dates:", "to read:", "disk:", "memory:", "time:"):
        assert line in done.output


def test_bytes_to_read_are_those_of_the_blocks_that_the_patches_lie_on(finished):
    """Of so small a country most bytes are the files' heads, and blocks are larger than patches."""
    plan, cells = make_plan(read_project(finished))
    told = quick_forecast(plan, cells, workers=1)
    files = [path for path in (finished / "archive").rglob("*.tif") if path.stem in {*plan.variables}]
    own = sum(path.stat().st_size for path in files)
    assert 0.05 * own < told.read_bytes < own
    assert told.cpu_hours is None
    assert told.hours is None


def test_a_files_bytes_are_shared_out_among_the_targets_that_cover_it(tmp_path):
    grid = GeoBox((600, 500), Affine(10, 0, 500_000, 0, -10, 5_000_000), "EPSG:32633")
    values = np.zeros(grid.shape, "uint16")
    values[:300, :] = np.random.default_rng(0).integers(0, 10_000, (300, 500))
    path = tmp_path / "band.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=600, width=500, count=1, dtype="uint16", crs="EPSG:32633",
        transform=grid.affine, tiled=True, blockxsize=256, blockysize=256, compress="deflate", sparse_ok=True,
    ) as file:  # fmt: skip
        file.write(values, 1)
    whole = stored_bytes(path, grid, grid)
    assert 0.9 * path.stat().st_size < whole < path.stat().st_size
    busy, empty = (stored_bytes(path, grid, grid[rows, :]) for rows in (slice(0, 256), slice(512, 600)))
    assert empty < 0.01 * whole
    assert busy > 0.7 * whole
    assert 0.4 < stored_bytes(path, grid, grid[:256, :128]) / stored_bytes(path, grid, grid[:256, :256]) < 0.6


def test_what_is_not_kept_is_on_the_disk_for_a_while_only(finished):
    plan, cells = make_plan(read_project(finished))
    kept = quick_forecast(plan, cells, workers=1)
    project = plan.project.model_copy(update={"source": plan.project.source.model_copy(update={"keep": False})})
    let_go = quick_forecast(replace(plan, project=project), cells, workers=1)
    assert kept.disk_bytes == kept.kept_bytes == let_go.disk_bytes
    assert let_go.kept_bytes < kept.kept_bytes / 2


@pytest.mark.parametrize(("free", "memory", "said"), [
    (10e9, 4e9, []),
    (5e9, 4e9, ["disk"]),
    (10e9, 2e9, ["--workers 1"]),
    (1e9, 0.5e9, ["disk", "--workers 1"]),
    (10e9, 2.2e9, []),
])  # fmt: skip
def test_what_there_is_too_little_of_is_told(tmp_path, monkeypatch, free, memory, said):
    monkeypatch.setattr(forecasting, "free_disk", lambda folder: int(free))
    monkeypatch.setattr(forecasting, "usable_memory", lambda: int(memory))
    found = shortages(TOLD, tmp_path)
    assert len(found) == len(said)
    assert all(word in line for word, line in zip(said, found, strict=True))
    assert sum(line.startswith("note:") for line in forecast_lines(TOLD, tmp_path)) == len(said)


def test_a_single_process_does_one_thing_after_the_other_and_is_not_told_to_be_fewer(tmp_path, monkeypatch):
    monkeypatch.setattr(forecasting, "free_disk", lambda folder: 10**10)
    monkeypatch.setattr(forecasting, "usable_memory", lambda: 900_000_000)
    alone = replace(TOLD, workers=1)
    assert shortages(alone, tmp_path) == []
    monkeypatch.setattr(forecasting, "usable_memory", lambda: 700_000_000)
    (line,) = shortages(alone, tmp_path)
    assert "patch_size" in line
    assert "--workers" not in line


def test_the_record_holds_what_was_expected_beside_what_it_came_to(tmp_path):
    (tmp_path / "map.tif").write_bytes(b"x" * 500)
    stages = {"fetch": {"cpu_seconds": 3600.0, "peak_bytes": 5}, "predict": {"cpu_seconds": 1800.0, "peak_bytes": 9}}
    found = outcome(tmp_path, {"cpu_hours": 3.0, "memory_bytes": 4, "main_bytes": 6, "kept_bytes": 1000}, stages)
    assert found == {
        "cpu_hours": {"expected": 3.0, "found": 1.5, "ratio": 0.5},
        "memory_bytes": {"expected": 6, "found": 9, "ratio": 1.5},
        "kept_bytes": {"expected": 1000, "found": 500, "ratio": 0.5},
    }


def test_the_process_that_fits_needs_memory_by_the_rows_and_features_and_none_for_a_given_model(finished):
    plan, cells = make_plan(read_project(finished))

    def told(**changed):
        project = plan.project.model_copy(
            update={part: getattr(plan.project, part).model_copy(update=values) for part, values in changed.items()}
        )
        return quick_forecast(replace(plan, project=project), cells, workers=1).main_bytes - forecasting.LIBRARIES

    classes, features = len(plan.legend.values), len(plan.recipe.feature_names)
    few, more = (told(sampling={"per_class": n, "test_pixels": 1}) for n in (100, 200))
    assert (more - few) == (forecasting.FITTED_BYTES + 2) * 100 * classes * features
    assert told(sampling={"per_class": 100, "test_pixels": 1001}) - few == 2000 * features
    assert told(model={"path": "model"}) == 0


def test_a_country_of_files_is_forecast_too(tmp_path):
    from worlds import two_class_world

    project, _ = two_class_world(tmp_path, patch=40)
    told = forecast(read_project(project), workers=1)
    assert (told.patches, told.dates, told.pixels) == (4, 3, 6400)
    assert told.valid_share is None
    assert told.cpu_hours > 0
