"""One small simulated country, end to end, many ways, one answer."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pandas as pd
import planted
import psutil
import pytest
import rasterio

from landweave.engine import ledger
from landweave.engine.fingerprint import fingerprint_of
from landweave.patch.store import read_raster
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.outcome import Quiet
from landweave.runs.pipeline.state import Options
from landweave.runs.pipeline.status import status_lines
from landweave.runs.project.settings import read_project
from landweave.runs.report.pictures import block
from landweave.runs.results.run import open_run, stretch
from landweave.sources.simulated.archive.archive import write_archive

SAME_BYTES = (
    "map.tif", "map.tif.aux.xml", "confidence.tif", "accuracy.json", "model", "folds", "samples.parquet",
    "label_errors.gpkg", "label_errors.json",
)  # fmt: skip


TRAINED = ("model", "folds", "samples.parquet")


def made(folder):
    return {name: fingerprint_of(folder / "out" / name) for name in SAME_BYTES}


@pytest.fixture(scope="module")
def country(tmp_path_factory):
    """Register of 2 x 2 km, and a project of 64 small patches; its imagery is simulated as it is read."""
    folder = tmp_path_factory.mktemp("country")
    write_archive(folder, size_km=2, dates=8, seed=3)
    text = (folder / "landweave.toml").read_text()
    start, end = text.index("[source]"), text.index("clouds =")
    text = text[:start] + '[source]\ntype = "simulated"\nsize_km = 2\ndates = 8\nseed = 3\n' + text[end:]
    for before, after in {
        'crs = "utm" ': 'crs = "native" ',
        "patch_size = 150": "patch_size = 25",
        "step_days = 16": "step_days = 60",
        "per_class = 1000": "per_class = 150",
        "n_estimators = 60": "n_estimators = 10",
    }.items():
        assert before in text
        text = text.replace(before, after)
    (folder / "landweave.toml").write_text(text)
    return folder


@pytest.fixture(scope="module")
def finished(country):
    result = run(read_project(country), workers=1)
    assert result.status == 0, result.failures
    return country


@pytest.fixture
def copy(finished, tmp_path):
    """The finished country once more, to be changed."""
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def fresh(country, tmp_path, name="fresh"):
    shutil.copytree(country, tmp_path / name, ignore=shutil.ignore_patterns("out"))
    return tmp_path / name


def test_the_map_has_the_legends_colours_names_and_overviews(finished):
    legend = open_run(finished).plan.legend
    with rasterio.open(finished / "out" / "map.tif") as file:
        assert file.nodata == 0
        assert file.shape == (200, 200)
        assert file.dtypes == ("uint8",)
        assert {v: file.colormap(1)[v][:3] for v in legend.values} == {c.value: c.rgb for c in legend.classes}
        tags = file.tags(1)
        assert {f"class_{v}": n for v, n in legend.names.items()}.items() <= tags.items()
        assert set(np.unique(file.read(1))) <= {0, *legend.values}
    with rasterio.open(finished / "out" / "confidence.tif") as file:
        confidence = file.read(1)
    assert confidence.max() <= 100
    assert ((confidence > 0) == (read_raster(finished / "out" / "map.tif")[0] > 0)).all()


def test_the_map_is_a_valid_cloud_optimised_geotiff(finished):
    from rio_cogeo.cogeo import cog_validate

    for name in ("map.tif", "confidence.tif"):
        valid, errors, _ = cog_validate(str(finished / "out" / name))
        assert valid, errors


def test_every_pixel_of_the_map_is_its_patchs_prediction(finished):
    done = open_run(finished)
    mosaic = read_raster(finished / "out" / "map.tif")[0]
    whole = done.plan.source.geobox
    for cell in done.cells:
        column, row = ~whole.transform * (cell.geobox.transform * (0, 0))
        rows, columns = cell.geobox.shape
        part = mosaic[round(row) : round(row) + rows, round(column) : round(column) + columns]
        assert (part == read_raster(finished / "out" / "predictions" / f"{cell.name}.tif")[0]).all()


def test_accuracy_json_keeps_its_promises(finished):
    figures = open_run(finished).accuracy
    names = list(open_run(finished).plan.legend.names.values())
    counts = np.array(figures["confusion"]["counts"])
    assert figures["confusion"]["labels"] == names
    assert list(figures["classes"]) == names
    assert counts.sum(axis=1).tolist() == [
        figures["classes"][n]["support"] - u
        for n, u in zip(names, figures["confusion"].get("unclassified", [0] * len(names)), strict=True)
    ]
    assert figures["split"]["kind"] == "patch"
    assert figures["split"]["train_patches"] + figures["split"]["test_patches"] == 64
    for score in [figures["overall_accuracy"], figures["weighted_f1"], figures["eroded"]["overall_accuracy"]]:
        assert score["low"] <= score["value"] <= score["high"]
        assert score["n_clusters"] >= 8
    for row in figures["classes"].values():
        assert isinstance(row["support"], int)
        for key in ("f1", "recall", "precision", "auc"):
            assert {"value", "low", "high", "n_clusters"} <= row[key].keys()
            assert row[key]["low"] is not None or row[key]["reason"]


def test_no_test_pixel_and_no_fold_was_seen_by_the_model_that_predicts_it(finished):
    rows = pd.read_parquet(finished / "out" / "samples.parquet")
    role = rows.groupby("patch")["split"].agg(set)
    assert not any({"train", "test"} <= splits for splits in role)
    folds = rows[rows["split"] == "train"].groupby("patch")["fold"].nunique()
    assert (folds == 1).all()
    assert set(rows.loc[rows["split"] == "train", "fold"]) == set(range(5))
    assert set(rows.loc[rows["split"].isin(("test", "refit")), "fold"]) == {5}
    asked = rows[rows["split"] == "land"]
    assert set(asked["fold"]) == set(range(5)), "land of units that train is asked of the models of other folds"
    assert rows.loc[rows["split"].isin(("test", "land")), "patch"].nunique() == 64


def clean_rows(finished):
    """Rows of the headline: of all land, without what their model knew in part."""
    rows = pd.read_parquet(finished / "out" / "samples.parquet")
    held = pd.read_parquet(finished / "out" / "samples_oof.parquet")
    values = np.array([int(name[2:]) for name in held if name.startswith("p_")])
    p = held[[f"p_{value}" for value in values]].to_numpy()
    rows = rows[[*["patch", "unit", "label", "split", "fold", "weight", "core", "thin", "piece"]]].assign(
        known=held["known"], shown=np.where(held["seen"], values[p.argmax(axis=1)], 0), top=p.max(axis=1)
    )
    return rows[rows["split"].isin(("test", "land"))], rows[rows["split"] == "train"]


def test_the_headline_is_all_land_without_polygons_that_its_model_was_trained_on(finished):
    asked, train = clean_rows(finished)
    figures = open_run(finished).accuracy
    shared = np.zeros(len(asked), bool)
    for fold in asked["fold"].unique():
        known = set(train.loc[train["fold"] != fold, "piece"]) - {0}
        shared |= ((asked["fold"] == fold) & asked["piece"].isin(known)).to_numpy()
    assert shared.any()
    assert ((asked["known"] == 1) == shared).all()
    own = asked[~shared & (asked["known"] == 0)]
    right = (own["shown"] == own["label"]).to_numpy()
    assert figures["overall_accuracy"]["value"] == pytest.approx(np.average(right, weights=own["weight"]))
    assert figures["overall_accuracy"]["n_clusters"] == own["unit"].nunique() > figures["split"]["test_patches"]
    land = asked["weight"].to_numpy()
    every = np.average(asked["shown"] == asked["label"], weights=land)
    assert figures["shared"]["overall_accuracy"]["value"] == pytest.approx(every)
    assert figures["shared"]["share"] == pytest.approx(land[asked["known"] > 0].sum() / land.sum())
    test = own[own["split"] == "test"]
    assert figures["held_out"]["patches"] == test["unit"].nunique() == figures["split"]["test_patches"]
    assert figures["held_out"]["test_pixels"] == len(test)


def test_stated_probabilities_are_right_about_all_land_and_ring_and_core_are_shown(finished):
    found = open_run(finished).accuracy["calibration"]
    assert found["overconfidence"]["low"] - 0.01 < 0 < found["overconfidence"]["high"] + 0.01
    asked, _ = clean_rows(finished)
    own = asked[(asked["known"] == 0) & (asked["shown"] > 0)]
    for name, part in (("core", own[own["core"]]), ("ring", own[~own["core"]])):
        assert found["parts"][name]["pixels"] == len(part)
        assert found["parts"][name]["confidence"] == pytest.approx(np.average(part["top"], weights=part["weight"]))
    assert found["parts"]["ring"]["overconfidence"]["value"] > found["parts"]["core"]["overconfidence"]["value"]


def test_weights_of_the_test_rows_add_up_to_the_labelled_land_of_the_test_patches(finished):
    rows = pd.read_parquet(finished / "out" / "samples.parquet")
    tested = rows[rows["split"] == "test"]
    labelled = sum(
        np.count_nonzero(read_raster(finished / "out" / "labels" / f"{name}.tif")[0])
        for name in tested["patch"].unique()
    )
    assert tested["weight"].sum() == pytest.approx(labelled)


def test_out_of_fold_predictions_cover_every_referenced_pixel_that_was_ever_seen(finished):
    for cell in open_run(finished).cells:
        reference = read_raster(finished / "out" / "labels" / f"{cell.name}.tif")[0]
        label, probability, own = read_raster(finished / "out" / "predictions" / f"{cell.name}_oof.tif")
        seen = read_raster(finished / "out" / "predictions" / f"{cell.name}.tif")[0] > 0
        assert ((label > 0) == ((reference > 0) & seen)).all()
        assert ((probability > 0) == (label > 0)).all()
        assert ((own > 0) == (label > 0)).all()
        agrees = (label == reference) & (label > 0)
        assert (own[agrees] == probability[agrees]).all()
        assert (own <= np.maximum(probability, 1)).all()


def test_truth_and_register_accuracy_differ_by_exactly_the_registers_errors(finished):
    figures = open_run(finished).accuracy
    truth = figures["against_truth"]
    difference = truth["overall_accuracy"]["value"] - figures["overall_accuracy"]["value"]
    explained = truth["reference_wrong_map_right"] - truth["map_repeats_reference_error"]
    assert 0 < truth["reference_error"] < 0.3
    assert difference == pytest.approx(explained, abs=1e-12)


def test_seams_are_those_of_the_whole_map_and_the_report_tells_of_them(finished):
    told = json.loads((finished / "out" / "seams.json").read_text())
    whole = read_raster(finished / "out" / "map.tif")[0]
    differ = pairs = 0
    for line in (whole, whole.T):
        for at in range(25, 200, 25):
            known = (line[:, at - 1] > 0) & (line[:, at] > 0)
            differ, pairs = differ + (known & (line[:, at - 1] != line[:, at])).sum(), pairs + known.sum()
    assert (told["across"]["differ"], told["across"]["pairs"]) == (differ, pairs)
    assert told["borders"] == 2 * 8 * 7
    assert told["excess"]["low"] < 0 < told["excess"]["high"], "the simulated country has no seams"
    assert 'id="seams"' in (finished / "out" / "report.html").read_text()


def test_the_report_is_one_file_without_outside_links(finished):
    html = (finished / "out" / "report.html").read_text()
    assert html.lower().startswith("<!doctype html>")
    assert 'src="http' not in html
    assert 'href="http' not in html
    assert "not map accuracy" in html
    assert len(html) < 3_000_000


def test_the_agreement_of_each_patch_is_that_of_its_out_of_fold_pixels(finished):
    told = json.loads((finished / "out" / "agreement.json").read_text())
    done = open_run(finished)
    assert set(told) == {cell.name for cell in done.cells}
    for cell in done.cells[::7]:
        reference = read_raster(finished / "out" / "labels" / f"{cell.name}.tif")[0]
        path = finished / "out" / "predictions" / f"{cell.name}_oof.tif"
        if not path.exists():
            assert told[cell.name]["labelled"] == 0
            continue
        known = reference > 0
        assert told[cell.name]["labelled"] == known.sum()
        if known.any():
            agrees = (read_raster(path)[0] == reference)[known].mean()
            assert told[cell.name]["agreement"] == pytest.approx(agrees)
    html = (finished / "out" / "report.html").read_text()
    enough = {name: row["agreement"] for name, row in told.items() if row["labelled"] >= 100}
    worst = sorted(enough, key=lambda name: (enough[name], name))
    assert [html.index(f"no. {n}: patch {name}<") for n, name in enumerate(worst[:10], start=1)]
    assert f"The best: patch {worst[-1]}<" in html


def test_the_block_of_patches_shows_the_imagery_without_a_seam(finished):
    done = open_run(finished)
    found = block(done)
    # The country is 8 x 8 patches of 25 pixels: the block is 75 x 75 of the one grid that all of them lie on.
    name = re.search(r"around (x\d+y\d+)", found.caption)[1]
    column, row = int(name[1:5]), int(name[6:])
    window = (slice(25 * (row - 1), 25 * (row + 2)), slice(25 * (column - 1), 25 * (column + 2)))
    grid = done.plan.source.geobox
    day = next(day for day in done.plan.dates if str(day) in found.caption)
    whole = done.plan.source.load(grid, [day], ("B04", "B03", "B02"))
    bands = np.stack([whole[band].values[0][window] for band in ("B04", "B03", "B02")])
    np.testing.assert_array_equal(found.image, stretch(bands))
    assert found.prediction.shape == (75, 75)


def test_the_list_of_label_errors_names_pieces_of_the_register_with_their_codes(finished):
    listed, _, register = planted.read(finished)
    legend = open_run(finished).plan.legend
    assert listed["rank"].tolist() == list(range(1, len(listed) + 1))
    assert listed["score"].is_monotonic_decreasing
    assert (listed["reference_class"] != listed["suggested_class"]).all()
    assert (listed["looks_suggested"] > listed["looks_reference"]).all()
    assert listed.crs == register.crs
    np.testing.assert_allclose(listed["area_ha"], listed.area / 1e4, rtol=2e-3, atol=1e-3)
    whole = listed[listed["part"] == 0]
    code_of = {geometry.normalize().wkb: str(code) for geometry, code in zip(register.geometry, register["USE_CODE"], strict=True)}  # fmt: skip
    assert [code_of[geometry.normalize().wkb] for geometry in whole.geometry] == whole["reference_code"].tolist()
    names = {code: c.name for c in legend.classes for code in c.accepted_codes}
    assert [names[code] for code in whole["reference_code"]] == whole["reference_class"].tolist()
    told = json.loads((finished / "out" / "label_errors.json").read_text())
    assert told["listed"] == len(listed)
    assert [row["rank"] for row in told["first"]] == list(range(1, len(told["first"]) + 1))
    assert sum(pair["count"] for pair in told["pairs"]) == len(listed)


def test_the_head_of_the_list_holds_planted_errors_far_more_often_than_chance(finished):
    found = planted.held_against(*planted.read(finished), share=0.5, hectares=0.5)
    assert found.errors >= 5
    assert found.found >= 0.5
    assert found.right >= 0.6 > 1.5 * found.by_chance


def test_erosion_and_thin_things_are_told_apart_from_the_rest(finished):
    figures = open_run(finished).accuracy
    erosion, thin = figures["erosion"], figures["thin"]
    assert erosion["overall"]["overall_accuracy"] == figures["overall_accuracy"]
    assert erosion["inside"]["overall_accuracy"] == figures["eroded"]["overall_accuracy"]
    assert erosion["ring"]["overall_accuracy"]["value"] < erosion["inside"]["overall_accuracy"]["value"]
    labels = [read_raster(path) for path in sorted((finished / "out" / "labels").glob("x????y????.tif"))]
    for value, name in open_run(finished).plan.legend.names.items():
        whole, core = (sum(np.count_nonzero(bands[b] == value) for bands in labels) for b in (0, 1))
        assert erosion["removed"][name]["pixels"] == whole - core
    tested = clean_rows(finished)[0]
    tested = tested[tested["known"] == 0]
    assert 0 < thin["share"] < 0.5
    assert thin["share"] == pytest.approx(tested["weight"][tested["thin"]].sum() / tested["weight"].sum())
    assert sum(part["support"] for part in thin["classes"].values()) == tested["thin"].sum()
    assert tested["core"][tested["thin"]].mean() < 0.5 * tested["core"].mean(), "what is thin lies mostly in the ring"


def test_a_second_run_makes_nothing_and_reads_no_file_that_nobody_touched(finished, monkeypatch):
    before, read = made(finished), []
    monkeypatch.setattr(ledger, "fingerprint_of", lambda path: read.append(path) or fingerprint_of(path))
    assert run(read_project(finished), workers=1).made == {}
    assert not read
    assert run(read_project(finished), workers=1, options=Options(check_files=True)).made == {}
    assert {finished / "out" / "map.tif", finished / "register.gpkg", finished / "out" / "model"} <= set(read)
    assert made(finished) == before


class KillsAWorker(Quiet):
    """Ends one worker, as the system does when memory runs out, while patches are labelled and while they are mapped."""

    def __init__(self):
        self.ended = Counter()

    def advance(self, stage, failed):
        assert not failed
        if stage in {"label", "predict"} and not self.ended[stage]:
            workers = [p for p in psutil.Process().children() if any("spawn_main" in part for part in p.cmdline())]
            workers[0].kill()
            self.ended[stage] += 1


def test_two_workers_of_which_one_is_killed_twice_give_the_same_bytes(finished, tmp_path):
    other, killer = fresh(finished, tmp_path), KillsAWorker()
    assert run(read_project(other), workers=2, progress=killer).status == 0
    assert killer.ended == {"label": 1, "predict": 1}
    assert made(other) == made(finished)


@pytest.mark.slow
def test_stored_imagery_gives_the_same_map(finished, tmp_path):
    other = fresh(finished, tmp_path)
    project = other / "landweave.toml"
    project.write_text(project.read_text().replace('clouds = "scl"', 'clouds = "scl"\nstore = true'))
    assert run(read_project(other), workers=1).status == 0
    assert len(list((other / "out" / "patches").glob("*.zarr"))) == 64
    assert made(other)["map.tif"] == made(finished)["map.tif"]


@pytest.mark.parametrize("moment", [pytest.param(0.35, marks=pytest.mark.slow), 0.75])
def test_a_killed_run_goes_on_to_the_same_bytes(finished, tmp_path, moment):
    other = fresh(finished, tmp_path)
    written = other / "out" / "ledger.sqlite"
    command = [sys.executable, "-m", "landweave", "run", str(other), "--workers", "1"]
    stages = len(json.loads((finished / "out" / "run.json").read_text())["stages"])
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # Killed once the run has come that far, however fast the machine is.
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        record = other / "out" / "run.json"
        if written.exists() and record.exists() and len(json.loads(record.read_text())["stages"]) >= moment * stages:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (other / "out" / "report.html").exists()
    assert run(read_project(other), workers=1).status == 0
    assert made(other) == made(finished)


def test_a_truncated_prediction_is_noticed_and_made_again(copy, finished):
    victim = next((copy / "out" / "predictions").glob("*.tif"))
    victim.write_bytes(victim.read_bytes()[:100])
    assert any("is not what was written" in line for line in status_lines(read_project(copy)))
    result = run(read_project(copy), workers=1)
    assert result.made["predict"] == 1
    assert made(copy) == made(finished)


def test_a_new_colour_remakes_only_map_and_report(copy):
    legend = copy / "legend.toml"
    first = next(line for line in legend.read_text().splitlines() if line.startswith("color"))
    legend.write_text(legend.read_text().replace(first, 'color = "#123456"'))
    assert set(run(read_project(copy), workers=1).made) == {"mosaic", "report"}
    with rasterio.open(copy / "out" / "map.tif") as file:
        assert (0x12, 0x34, 0x56, 255) in file.colormap(1).values()


def test_a_threshold_remakes_predictions_and_figures_but_no_model(copy, finished):
    project = copy / "landweave.toml"
    project.write_text(project.read_text().replace("[model]", "[model]\nthresholds = { shrubland = 0.5 }"))
    remade = run(read_project(copy), workers=1).made
    assert set(remade) == {"validate", "predict", "mosaic", "report"}
    assert remade["predict"] == 64, "a threshold changes no piece's looks, so the list of label errors stands"
    assert {name: made(copy)[name] for name in TRAINED} == {name: made(finished)[name] for name in TRAINED}
    assert open_run(copy).accuracy["thresholds"]["now"] == {"shrubland": 0.5}


def test_a_dropped_output_is_remade_and_nothing_else(copy, finished):
    (copy / "out" / "confidence.tif").unlink()
    assert set(run(read_project(copy), workers=1).made) == {"mosaic"}
    assert made(copy) == made(finished)


def test_only_some_patches_leave_the_model_alone(copy, finished):
    (copy / "out" / "predictions" / "x0001y0001.tif").unlink()
    (copy / "out" / "predictions" / "x0002y0002.tif").unlink()
    result = run(read_project(copy), workers=1, options=Options(only=("x0001y0001",)))
    assert result.made.get("predict") == 1
    assert "train" not in result.made
    assert run(read_project(copy), workers=1).status == 0
    assert made(copy) == made(finished)


def test_the_model_applies_to_the_same_land_elsewhere(finished, tmp_path):
    other = fresh(finished, tmp_path)
    project = other / "landweave.toml"
    model = finished / "out" / "model"
    project.write_text(project.read_text().replace("[model]", f'[model]\npath = "{model}"'))
    assert run(read_project(other), workers=1).status == 0
    figures = open_run(other).accuracy
    assert figures["split"]["kind"] == "given"
    assert fingerprint_of(other / "out" / "map.tif") == fingerprint_of(finished / "out" / "map.tif")


def test_the_worlds_of_two_seeds_differ(country, tmp_path):
    write_archive(tmp_path / "other", size_km=2, dates=2, seed=4)
    assert fingerprint_of(tmp_path / "other" / "truth.tif") != fingerprint_of(country / "truth.tif")


def test_the_finished_run_reads_a_patch_back(finished):
    done = open_run(finished)
    patch = done.patch(done.cells[10].name)
    assert {"B04", "SCL", "reference", "prediction", "confidence", "prediction_oof"} <= set(patch.data_vars)
    assert patch.sizes == {"time": 8, "y": 25, "x": 25}
    assert patch.odc.geobox.crs.epsg == 32633
