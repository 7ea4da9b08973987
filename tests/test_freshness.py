"""Whatever decides an output is noticed when it changes: the next run ends where a fresh run would have."""

import json
import shutil

import numpy as np
import pytest
import rasterio
from worlds import two_class_world, write_tif

from landweave.engine.fingerprint import fingerprint_of
from landweave.engine.lock import LedgerError
from landweave.errors import InputError
from landweave.runs.mapping import task as mapping
from landweave.runs.pipeline.driver import run
from landweave.runs.pipeline.state import Options
from landweave.runs.project.settings import read_project

SAME = ("map.tif", "confidence.tif", "accuracy.json", "model", "samples.parquet")


def outputs(folder):
    return {name: fingerprint_of(folder / "out" / name) for name in SAME}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    project, _ = two_class_world(folder, patch=27, overlap=0.8, model="n_estimators = 6, min_child_samples = 5")
    write_tif(folder / "height.tif", np.random.default_rng(0).random((80, 80)).astype("float32"))
    text = project.read_text().replace('indices = ["ndvi"]', 'indices = ["ndvi"]\nstatic = ["height.tif"]')
    text = text.replace("[source]", "[period]\nstart = 2020-02-01\nend = 2020-10-01\n[source]")
    project.write_text(text.replace("erosion = 0", "erosion = 1"))
    assert run(read_project(project), workers=1).status == 0
    return folder


def edit(folder, before, after, name="landweave.toml"):
    text = (folder / name).read_text()
    assert before in text
    (folder / name).write_text(text.replace(before, after))


def other_pixels(folder):
    path = folder / "S2_2020-06-01_B08.tif"
    with rasterio.open(path) as file:
        values = file.read(1)
    write_tif(path, values[::-1].copy(), nodata=0)


def other_reference(folder):
    with rasterio.open(folder / "reference.tif") as file:
        values = file.read(1)
    values[:, :3] = 7
    write_tif(folder / "reference.tif", values, nodata=0)


CHANGES = {
    "pixels": other_pixels,
    "scale": lambda f: edit(f, "[features]", "scale = 5e-5\n[features]"),
    "date": lambda f: [p.rename(str(p).replace("06-01", "07-15")) for p in f.glob("S2_2020-06-01_*")],
    "period": lambda f: edit(f, "2020-02-01", "2020-02-11"),
    "reference": other_reference,
    "erosion": lambda f: edit(f, "erosion = 1", "erosion = 0"),
    "crosswalk": lambda f: edit(f, "value = 7", 'value = 7\ncodes = ["7", "pond"]', "legend.toml"),
    "static": lambda f: write_tif(f / "height.tif", np.random.default_rng(1).random((80, 80)).astype("float32")),
    "bands": lambda f: edit(f, 'bands = ["B04", "B08"]', 'bands = ["B08", "B04"]'),
    "custom": lambda f: edit(f, 'indices = ["ndvi"]', 'indices = ["ndvi"]\ncustom.sum = "B04 + B08"'),
    "seed": lambda f: edit(f, "per_class = 400", "per_class = 400\nseed = 7"),
    "per_class": lambda f: edit(f, "per_class = 400", "per_class = 30"),
    "folds": lambda f: edit(f, "[model]", "[model]\nfolds = 3"),
    "threshold": lambda f: edit(f, "[model]", "[model]\nthresholds = { pond = 0.4 }"),
    "patch_size": lambda f: edit(f, "patch_size = 27", "patch_size = 40"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed_and_leads_where_a_fresh_run_leads(finished, tmp_path, change):
    shutil.copytree(finished, tmp_path / "again")
    CHANGES[change](tmp_path / "again")
    shutil.copytree(tmp_path / "again", tmp_path / "fresh", ignore=shutil.ignore_patterns("out"))
    for name in ("again", "fresh"):
        assert run(read_project(tmp_path / name), workers=1).status == 0
    assert outputs(tmp_path / "again") == outputs(tmp_path / "fresh")
    if change != "crosswalk":
        assert outputs(tmp_path / "again") != outputs(finished), "the change changes nothing: it tests nothing"


@pytest.fixture
def copy(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    return tmp_path / "copy"


def test_where_no_patch_can_be_predicted_the_run_says_so_keeps_the_logs_and_the_next_one_mends_it(copy, monkeypatch):
    before = outputs(copy)
    shutil.rmtree(copy / "out" / "predictions")

    def gone(plan, folder):
        raise OSError("the model is out of reach")

    with monkeypatch.context() as patched:
        patched.setattr(mapping, "_load", gone)
        result = run(read_project(copy), workers=1)
    assert result.status == 1
    assert "no patch could be predicted" in result.stopped
    record = json.loads((copy / "out" / "run.json").read_text())
    assert len(record["failures"]) == 9
    for row in record["failures"]:
        assert row["error"] == "the model is out of reach"
        assert "Traceback" in (copy / "out" / row["log"]).read_text()
    assert run(read_project(copy), workers=1).status == 0
    assert outputs(copy) == before
    assert not list((copy / "out" / "logs").iterdir())


def test_only_one_patch_never_mixes_old_and_new_settings_in_a_map(copy):
    before = fingerprint_of(copy / "out" / "map.tif")
    edit(copy, 'bands = ["B04", "B08"]', 'bands = ["B08", "B04"]')
    with pytest.raises(InputError, match="trained with"):
        run(read_project(copy), workers=1, options=Options(only=("x0000y0000",)))
    assert fingerprint_of(copy / "out" / "map.tif") == before


def test_a_given_model_is_asked_for_its_own_features_without_a_reference_too(copy, tmp_path):
    project, _ = two_class_world(tmp_path / "other", extra=f'path = "{copy / "out" / "model"}"')
    text = project.read_text()
    start = text.index("[reference]")
    project.write_text(text[:start] + text[text.index("[sampling]") :])
    with pytest.raises(InputError, match="trained with"):
        run(read_project(project), workers=1)
    assert not (tmp_path / "other" / "out" / "map.tif").exists()


def test_a_deleted_grid_and_a_garbled_ledger(copy):
    (copy / "out" / "grid.gpkg").unlink()
    run(read_project(copy), workers=1)
    import geopandas as gpd

    grid = gpd.read_file(copy / "out" / "grid.gpkg")
    assert set(grid["role"]) == {"train", "test"}
    assert set(grid["state"]) == {"done"}
    (copy / "out" / "ledger.sqlite").write_bytes(b"nonsense" * 1000)
    with pytest.raises(LedgerError, match="delete it"):
        run(read_project(copy), workers=1)


def test_another_grid_may_be_begun_and_left(copy):
    edit(copy, "patch_size = 27", "patch_size = 40")
    assert run(read_project(copy), workers=1, options=Options(until="fetch")).made == {"grid": 1, "fetch": 4}


def test_a_class_of_a_single_patch_does_not_drown_the_others(tmp_path):
    project, cover = two_class_world(tmp_path, overlap=0.2)
    cover[2:14, 2:14] = 9
    write_tif(tmp_path / "reference.tif", cover, nodata=0)
    legend = tmp_path / "legend.toml"
    legend.write_text(legend.read_text() + '[[class]]\nvalue = 9\nname = "quarry"\ncolor = "#888888"\n')
    assert run(read_project(project), workers=1).status == 0
    mapped = rasterio.open(tmp_path / "out" / "map.tif").read(1)
    assert (mapped[20:] == cover[20:]).mean() > 0.9


def test_report_refuses_to_mix_new_settings_with_old_figures(copy):
    from landweave.runs.pipeline.status import remake_report

    assert remake_report(read_project(copy)).exists()
    assert run(read_project(copy), workers=1).made == {}
    edit(copy, '"pond"', '"lake"', "legend.toml")
    with pytest.raises(InputError, match="out of date"):
        remake_report(read_project(copy))


def test_zones_that_overlap_label_each_place_once():
    import shapely

    from landweave.patch.grid import utm_cells

    cells = utm_cells(shapely.box(17.95, 46, 18.05, 46.05), patch_size=100, resolution=20)
    owned = 0.0
    for cell in cells:
        own = cell.own()
        owned += (own.sum() if own is not None else 100 * 100) * 400.0
        assert own is not None
    union = shapely.union_all([c.geobox.to_crs("EPSG:32633").extent.geom for c in cells]).area
    assert owned < union * 1.01
