"""A reference is compared with a model that never saw it, wherever there is one."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from worlds import two_class_world

from landweave.patch.grid import Cell
from landweave.patch.store import write_raster
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.layers import LAYERS
from landweave.runs.results.pixel import pixel_dossier
from landweave.runs.results.run import FinishedRun, open_run
from landweave.runs.sample.assignment import NO_FOLD, Assignment

GRID = GeoBox.from_bbox((500_000, 5_000_000, 500_060, 5_000_040), "EPSG:32633", resolution=10)
CELL = Cell(name="a", geobox=GRID)
WHOLE, CORE, MAPPED, APART = 1, 2, 3, 4


@pytest.fixture
def finished(tmp_path):
    """Makes a run of one patch by its split, cut, given model, and the files that it has."""

    def make(kind, units, *, cut=1, path="", reference=True, files=("labels", "map", "oof")):
        layers = {"labels": ("labels/a", (WHOLE, CORE, 0)), "map": ("predictions/a", (MAPPED, 90)), "oof": ("predictions/a_oof", (APART, 80, 70))}  # fmt: skip
        for file in files:
            name, values = layers[file]
            bands = np.stack([np.full(GRID.shape, value, "uint8") for value in values])
            write_raster(tmp_path / f"{name}.tif", bands, GRID)
        taught = None
        if kind is not None:
            taught = Assignment(kind=kind, units=units, quotas={}, test_rate=1.0, counts={}, folds=2)
        plan = SimpleNamespace(
            folder=tmp_path, reference=object() if reference else None, cut=cut,
            project=SimpleNamespace(model=SimpleNamespace(path=path)),
        )  # fmt: skip
        return FinishedRun(plan=plan, cells=(CELL,), taught=taught)

    return make


@pytest.mark.parametrize("unit", [("test", 2), ("train", 1)])
def test_with_patches_held_out_it_is_the_prediction_out_of_fold(finished, unit):
    found = finished("patch", {"a": unit}).compared(CELL)
    assert found.held_out
    assert found.labels.shape == (2, *GRID.shape)
    assert (found.reference[0] == WHOLE).all()
    assert (found.reference[1] == CORE).all()
    assert (found.predicted == APART).all()


def test_a_patch_that_every_model_was_trained_with_is_left_out(finished):
    found = finished("patch", {"a": ("train", NO_FOLD), "b": ("test", 0)}).compared(CELL)
    assert (found.reference == 0).all()
    assert (found.labels[0] == WHOLE).all(), "it is drawn all the same"
    alone = finished("patch", {"a": ("train", NO_FOLD)}, files=("labels", "map"))
    (alone.folder / "predictions/a_oof.tif").unlink()
    found = alone.compared(CELL)
    assert not found.held_out
    assert (found.reference == 0).all()


def test_of_quarters_only_those_that_no_model_can_be_asked_about_are_left_out(finished):
    units = {"a/0": ("train", 0), "a/1": ("train", NO_FOLD), "a/2": ("test", 1)}
    found = finished("block", units, cut=2).compared(CELL)
    # The fourth has no label, or failed: the model that tests never saw it.
    expected = np.full(GRID.shape, WHOLE)
    expected[:2, 3:] = 0
    np.testing.assert_array_equal(found.reference[0], expected)
    assert found.held_out


@pytest.mark.parametrize(("kind", "path"), [("given", "model"), ("given", ""), (None, "model"), ("patch", "model")])
def test_with_a_model_from_elsewhere_it_is_the_map_whatever_an_earlier_run_has_left(finished, kind, path):
    found = finished(kind, {"a": ("test", 0)}, path=path).compared(CELL)
    assert not found.held_out
    assert (found.predicted == MAPPED).all()
    assert (found.reference[0] == WHOLE).all()


def test_in_sample_it_is_the_map_whatever_an_earlier_run_has_left(finished):
    found = finished("none", {"a": ("both", NO_FOLD)}).compared(CELL)
    assert not found.held_out
    assert (found.predicted == MAPPED).all()
    assert (found.reference[0] == WHOLE).all()


def test_the_layers_of_a_patch_follow_the_same_rule(finished):
    assert (finished("patch", {"a": ("test", 0)}).layers("a")["prediction_oof"] == APART).all()
    quarters = finished("block", {"a/0": ("train", 0), "a/1": ("train", NO_FOLD)}, cut=2).layers("a")["prediction_oof"]
    assert (quarters[:2, :3] == APART).all()
    assert (quarters[:2, 3:] == 0).all()
    for left_by_an_earlier_run in (finished("given", {}, path="model"), finished("none", {"a": ("both", NO_FOLD)})):
        layers = left_by_an_earlier_run.layers("a")
        assert set(layers) == {"reference", "prediction", "confidence"}
        assert (layers["prediction"] == MAPPED).all()


@pytest.mark.parametrize("kind", ["patch", "none"])
def test_the_dossier_of_a_pixel_follows_the_same_rule(tmp_path, kind):
    project, _ = two_class_world(tmp_path, size=40, patch=20)
    assert run(read_project(project), workers=1).status == 0
    done = open_run(project)
    assert done.assignment.kind == "patch"
    changed = dataclasses.replace(done.assignment, kind=kind)
    looked = dataclasses.replace(done, taught=changed)
    lon, lat = looked.cells[0].geobox.geographic_extent.centroid.points[0]
    assert (pixel_dossier(looked, lon, lat)["out_of_fold"] is not None) == (kind == "patch")


def test_where_the_split_is_unknown_it_is_out_of_fold_or_else_the_map(finished):
    assert finished(None, {}).compared(CELL).held_out
    bare = finished(None, {})
    (bare.folder / "predictions/a_oof.tif").unlink()
    found = bare.compared(CELL)
    assert not found.held_out
    assert (found.reference[0] == WHOLE).all()


def test_without_a_reference_or_a_prediction_nothing_is_compared(finished):
    assert finished("patch", {}, reference=False).compared(CELL) is None


@pytest.mark.parametrize("files", [("labels",), ("map", "oof"), ()])
def test_without_files_nothing_is_compared(finished, files):
    assert finished("patch", {"a": ("test", 0)}, files=files).compared(CELL) is None


def test_who_tested_is_read_from_the_ledger_and_every_view_uses_the_same_pair(tmp_path):
    project, _ = two_class_world(tmp_path, size=40, patch=20)
    assert run(read_project(project), workers=1).status == 0
    done = open_run(project)
    assert done.assignment.kind == "patch"
    assert set(done.assignment.units) == {cell.name for cell in done.cells}
    for cell in done.cells:
        found = done.compared(cell)
        np.testing.assert_array_equal(found.predicted, done.patch(cell.name).prediction_oof)
        files = LAYERS["disagreement"].sources(done, cell)
        assert list(files.values()) == [found.labels_file, found.predicted_file]
    (done.folder / "ledger.sqlite").write_bytes(b"no ledger at all" * 100)
    again = open_run(project)
    assert again.assignment is None
    assert all(again.compared(cell).held_out for cell in again.cells)
