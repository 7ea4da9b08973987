"""The examples, on real data where it is present."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from landweave.errors import InputError
from landweave.runs.evaluate import Evaluation, evaluate_table
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run

EXAMPLES = Path(__file__).parents[1] / "examples"
ALL = sorted(path.name for path in EXAMPLES.glob("*.toml") if "[source]" in path.read_text())
PROJECTS = [name for name in ALL if 'type = "stac"' not in (EXAMPLES / name).read_text()]
"""Those that need no network."""


def prepared(name, shared_data, folder, *, quick):
    """An example in another folder, with absolute paths; quick ones grow fewer trees."""
    for path in EXAMPLES.iterdir():
        if path.suffix in {".toml", ".csv"}:
            text = path.read_text().replace("../../shared/data", str(shared_data))
            (folder / path.name).write_text(text)
    project = folder / name
    if quick:
        text = project.read_text()
        trees = "params = { n_estimators = 12 }"
        text = text.replace("[model]\n", f"[model]\n{trees}\n") if "[model]" in text else f"{text}\n[model]\n{trees}\n"
        project.write_text(text)
    return project


def test_examples_are_there():
    assert len(PROJECTS) >= 5


def test_the_example_with_a_network_is_sound_and_names_the_two_airports():
    project = read_project(EXAMPLES / "slovenia-2017.toml")
    assert set(ALL) - set(PROJECTS) == {"slovenia-2017.toml"}
    assert [place.name for place in project.places] == ["Levec", "Ljubljana airport"]
    west, south, east, north = project.area.bounds
    assert all(west < place.lon < east and south < place.lat < north for place in project.places)


@pytest.fixture(scope="module", params=PROJECTS)
def example(request, shared_data, tmp_path_factory):
    """Each example, run."""
    project = prepared(request.param, shared_data, tmp_path_factory.mktemp("example"), quick=True)
    result = run(read_project(project), workers=1)
    assert result.status == 0, result.failures
    return open_run(project)


def test_an_example_gives_a_map_on_the_imagerys_grid_and_figures(example):
    source = example.plan.source.geobox
    with rasterio.open(example.folder / "map.tif") as file:
        assert file.shape == tuple(source.shape)
        assert np.allclose(file.transform, source.transform)
        values = file.read(1)
    assert set(np.unique(values)) <= {0, *example.plan.legend.values}
    assert (values > 0).mean() > 0.5
    figures = example.accuracy
    assert 0.5 < figures["overall_accuracy"]["value"] <= 1
    html = (example.folder / "report.html").read_text()
    assert html.count("<html") == 1
    assert len(html) < 3_000_000
    if figures["split"]["kind"] == "block" and figures["overall_accuracy"]["n_clusters"] < 8:
        assert figures["overall_accuracy"]["low"] is None
        assert "8" in figures["overall_accuracy"]["reason"]


def test_the_points_example_names_the_two_absent_classes(shared_data, tmp_path):
    project = prepared("bahia-points.toml", shared_data, tmp_path, quick=True)
    result = run(read_project(project), workers=1)
    assert result.status == 0
    html = (tmp_path / "out" / "bahia-points" / "report.html").read_text()
    assert "Cerradao, Cerrado" in html
    mapped = rasterio.open(tmp_path / "out" / "bahia-points" / "map.tif").read(1)
    assert set(np.unique(mapped)) <= {0, 3, 4}


CASES = {
    "cbers-random": ("cbers4_awfi_bahia/cbers_samples_022024_timeseries.parquet", {}, 0.95, 0.97),
    "cbers-blocks": ("cbers4_awfi_bahia/cbers_samples_022024_timeseries.parquet", {"group": "block", "split": "group"}, 0.93, 0.96),
    "rondonia-random": ("s2_rondonia_pixels/s2_rondonia_pixels_timeseries.parquet", {}, 0.86, 0.90),
    "rondonia-blocks": ("s2_rondonia_pixels/s2_rondonia_pixels_timeseries.parquet", {"group": "block", "split": "group"}, 0.86, 0.90),
    "modis": ("sits_modis_matogrosso/samples_modis_ndvi_timeseries.parquet", {}, 0.89, 0.92),
    "formosat": ("formosat2_toulouse_pixels/train_wide.parquet", {"test": "formosat2_toulouse_pixels/test_wide.parquet"}, 0.68, 0.73),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_evaluate_lies_where_an_independent_run_put_it(name, shared_data, tmp_path):
    table, options, low, high = CASES[name]
    options = {key: shared_data / value if key == "test" else value for key, value in options.items()}
    figures = evaluate_table(Evaluation(table=shared_data / table, **options), output=tmp_path / "accuracy.json")
    assert low <= figures["overall_accuracy"]["value"] <= high
    assert json.loads((tmp_path / "accuracy.json").read_text()) == json.loads(json.dumps(figures))


def test_every_labelled_table_works_as_it_is(shared_data):
    tables = sorted(shared_data.glob("*/*_timeseries.parquet"))
    assert len(tables) >= 5
    for table in tables:
        if "dekads" in table.name:  # dekads without an observation are left out, so samples differ in length
            with pytest.raises(InputError, match=r"samples have 51 observations, except .* need the same number"):
                evaluate_table(Evaluation(table=table))
        elif "point_mt" not in table.name:
            figures = evaluate_table(Evaluation(table=table, folds=2, model="random_forest"))
            assert figures["overall_accuracy"]["value"] > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("name", PROJECTS)
def test_whole_examples_reach_what_their_page_says(name, shared_data, tmp_path):
    project = prepared(name, shared_data, tmp_path, quick=False)
    assert run(read_project(project)).status == 0
    value = open_run(project).accuracy["overall_accuracy"]["value"]
    page = (EXAMPLES / "README.md").read_text()
    row = next(line for line in page.splitlines() if f"`{name}`" in line)
    assert f"{value:.3f}" in row, f"{name}: {value:.3f}; the page says {row}"
