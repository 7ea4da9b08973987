"""A finished run as arrays, tables and pictures."""

import json
import shutil
import sys

import matplotlib as mpl
import numpy as np
import pytest
import rasterio
import xarray as xr
from matplotlib import pyplot
from odc.geo.geobox import GeoBox

from landweave import InputError, Legend, open_run, read_patch, write_patch
from landweave.patch.store import write_raster
from landweave.runs.results.plots import draw_importance, draw_map
from landweave.runs.results.rasters import RasterBand, map_array
from landweave.runs.results.tables import confusion_table, scores_table

mpl.use("Agg")

LEGEND = Legend.from_labels(["a wood", "b"])
GRID = GeoBox.from_bbox((0, 0, 200, 300), "EPSG:32633", resolution=10)


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def run(finished):
    return open_run(finished)


@pytest.fixture
def copy(finished, tmp_path):
    """A run whose output folder may be damaged."""
    shutil.copytree(finished, tmp_path / "copy", ignore=shutil.ignore_patterns("archive", "patches"))
    shutil.copytree(finished / "archive", tmp_path / "copy" / "archive")
    return open_run(tmp_path / "copy")


@pytest.fixture
def raster(tmp_path):
    values = np.arange(600, dtype="uint16").reshape(30, 20)
    return write_raster(tmp_path / "raster.tif", values[None].astype("uint8"), GRID), values.astype("uint8")


PARTS = [
    np.s_[:], np.s_[3], np.s_[-1, -2], np.s_[5:9, 2:4], np.s_[5:5], np.s_[::7, ::-3], np.s_[25:3:-4, 1], np.s_[[4, 2, 2]],
    np.s_[:, 100:],
]  # fmt: skip


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_every_part_of_a_map_is_what_a_whole_array_gives(raster, part):
    path, values = raster
    np.testing.assert_array_equal(map_array(path, LEGEND)[part].values, values[part])


def test_a_part_of_a_map_is_read_alone(raster, monkeypatch):
    path, _ = raster
    read, windows = RasterBand._read, []
    monkeypatch.setattr(RasterBand, "_read", lambda self, key: windows.append(key) or read(self, key))
    array = map_array(path, LEGEND)
    repr(array)
    part = array.sel(x=slice(20, 50), y=slice(280, 250))
    assert windows == []
    assert part.values.shape == (3, 3)
    assert windows == [(slice(2, 5, 1), slice(2, 5, 1))]


def test_a_map_carries_its_grid_and_what_its_values_mean(run, tmp_path):
    with rasterio.open(run.folder / "map.tif") as file:
        values, grid = file.read(1), GeoBox(file.shape, file.transform, str(file.crs))
    found = run.map
    np.testing.assert_array_equal(found.values, values)
    assert (found.dtype, found.odc.geobox, found.odc.nodata) == ("uint8", grid, 0)
    assert found.attrs["flag_values"].tolist() == list(run.plan.legend.values)
    assert found.attrs["flag_meanings"].split()[:2] == ["cultivated_land", "forest"]
    assert found.attrs["flag_colors"].split() == [c.color for c in run.plan.legend.classes]
    sure = run.confidence
    assert sure.attrs["units"] == "percent"
    assert (sure.odc.geobox, sure.odc.nodata) == (grid, 0)
    assert ((sure.values > 0) == (values > 0)).all()
    # Both can be kept, and come back as they were.
    xr.Dataset({"map": found, "confidence": sure}).to_zarr(tmp_path / "kept.zarr", consolidated=False)
    again = xr.open_zarr(tmp_path / "kept.zarr", consolidated=False, mask_and_scale=False)
    np.testing.assert_array_equal(again["map"].values, values)


def test_scores_and_confusion_are_the_figures_of_accuracy_json(run):
    written = json.loads((run.folder / "accuracy.json").read_text())
    scores = run.scores
    assert list(scores.index) == list(written["classes"])
    for name, of_class in written["classes"].items():
        assert scores["support"][name] == of_class["support"]
        for metric in ("f1", "recall", "precision", "auc"):
            for figure in ("value", "low", "high", "n_clusters"):
                found, given = scores.loc[name, (metric, figure)], of_class[metric][figure]
                assert found == given or (given is None and np.isnan(found))
    assert scores.attrs["overall_accuracy"] == written["overall_accuracy"]
    assert scores.attrs["split"]["kind"] == written["split"]["kind"]
    assert run.confusion.to_numpy().tolist() == written["confusion"]["counts"]
    assert (run.confusion.sum(axis=1) == scores["support"]).all()
    assert (run.confusion.index.name, run.confusion.columns.name) == ("true", "predicted")


def test_pixels_of_no_class_have_a_column_of_their_own():
    content = {"confusion": {"labels": ["a", "b"], "counts": [[5, 1], [0, 7]], "unclassified": [2, 0]}}
    table = confusion_table(content)
    assert list(table.columns) == ["a", "b", "unclassified"]
    assert table.loc["a"].tolist() == [5, 1, 2]


def test_a_class_without_a_test_pixel_has_no_score():
    none = {"value": None, "low": None, "high": None, "n_clusters": 0, "reason": "no pixel"}
    content = {"classes": {"a": {"f1": none, "support": 0}}, "overall_accuracy": none, "weighted_f1": none, "split": {}}
    table = scores_table(content)
    assert np.isnan(table.loc["a", ("f1", "value")])
    assert table["f1"].dtypes.astype(str).tolist() == ["float64"] * 3 + ["Int64"]


def test_the_grid_says_who_trains_and_the_outline_lies_in_it(run):
    grid = run.grid
    assert set(grid.index) == {cell.name for cell in run.cells}
    assert set(grid["role"]) <= {"train", "test"}
    assert grid.crs == run.outline.crs == "EPSG:4326"
    assert run.outline.geometry.iloc[0].within(grid.geometry.union_all().buffer(1e-6))


def test_valid_observations_are_counted_as_the_run_counted_them(run):
    name = run.cells[0].name
    valid = run.valid(name)
    assert (valid.dtype, valid.dims) == (bool, ("time", "y", "x"))
    with rasterio.open(run.folder / "observations" / f"{name}.tif") as file:
        np.testing.assert_array_equal(valid.sum("time").values, file.read(1))


def test_plots_are_titled_labelled_and_in_the_colours_of_the_legend(run):
    ax = run.plot_map()
    grid = run.map.odc.geobox
    assert ax.get_xlabel() == f"x, EPSG:{grid.crs.to_epsg()}"
    np.testing.assert_allclose(ax.images[0].get_extent()[::2], grid.boundingbox[:2])
    drawn = {text.get_text() for text in ax.get_legend().get_texts()}
    assert drawn == {run.plan.legend.names[value] for value in np.unique(run.map) if value}
    ax = run.plot_confusion()
    assert "recall" in ax.get_title()
    assert [label.get_text() for label in ax.get_xticklabels()] == list(run.confusion.columns)
    assert "precision" in run.plot_confusion(share="predicted").get_title()
    counts = {int(text.get_text()) for text in run.plot_confusion(share=None).texts}
    assert counts == set(run.confusion.to_numpy().ravel().tolist()) - {0}
    figure = run.plot_patch(run.cells[0].name)
    assert [ax.get_title().split(",")[0] for ax in figure.axes] == ["image", "reference", "prediction"]


def test_pixels_are_drawn_where_they_are_and_in_their_colour():
    ax = draw_map(np.array([[1, 0]], "uint8"), LEGEND, extent=(0, 20, 0, 10), crs="EPSG:1", title="x")
    left, right = ax.images[0].to_rgba(ax.images[0].get_array(), bytes=True)[0]
    assert left.tolist() == [*LEGEND.classes[0].rgb, 255]
    assert right[3] == 0, "no class is transparent"


def test_dots_mark_the_dates_that_are_fed_by_snow():
    importance = {
        "map": [[0.5, 0.3, 0.1]], "layers": ["B04"], "dates": ["2017-01-01", "2017-01-17", "2017-02-02"],
        "drawn": "gain", "static": ["dem"], "map_static": [0.1], "feeding": [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]],
        "acquisitions": [{"is_snow": True}, {"is_snow": False}],
    }  # fmt: skip
    ax = draw_importance(importance)
    assert ax.lines[0].get_xdata().tolist() == [0, 2]
    assert ax.images[0].get_array().tolist() == [[50, 30, 10]]
    assert "dem 10 %" in ax.get_title(loc="left")


def test_plots_draw_into_given_axes(run):
    _, axes = pyplot.subplots(1, 3)
    assert run.plot_map(ax=axes[0]) is axes[0]
    assert run.plot_confusion(ax=axes[1]) is axes[1]
    assert run.plot_patch(run.cells[0].name, ax=axes) is axes[0].figure
    assert len(pyplot.get_fignums()) == 1
    with pytest.raises(InputError, match=r"ax has 2 axes; give 3: image, .*, reference, prediction"):
        run.plot_patch(run.cells[0].name, ax=axes[:2])


def test_importance_is_drawn_or_says_why_not(copy):
    assert "Importance" in copy.plot_importance().get_title(loc="left")
    (copy.folder / "importance.json").write_text('{"reason": "nothing was held out"}')
    with pytest.raises(InputError, match=r"importance\.json: importance was not measured: nothing was held out"):
        copy.plot_importance()


@pytest.mark.parametrize(
    ("file", "asked"),
    [
        ("map.tif", lambda run: run.map),
        ("map.tif", lambda run: run.plot_map()),
        ("confidence.tif", lambda run: run.confidence),
        ("grid.gpkg", lambda run: run.grid),
        ("accuracy.json", lambda run: run.scores),
        ("accuracy.json", lambda run: run.plot_confusion()),
        ("importance.json", lambda run: run.plot_importance()),
        ("predictions", lambda run: run.plot_patch(run.cells[0].name)),
    ],
)
def test_what_is_missing_is_named_with_what_makes_it(copy, file, asked):
    path = copy.folder / file
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError, match=f"{file}.*`landweave run`"):
        asked(copy)


def test_wrong_arguments_are_refused_with_what_is_possible(run):
    with pytest.raises(InputError, match="share = 'rows'; choose 'true', 'predicted' or None"):
        run.plot_confusion(share="rows")
    with pytest.raises(InputError, match="no patch 'nowhere'"):
        run.plot_patch("nowhere")
    with pytest.raises(InputError, match="no patch 'nowhere'"):
        run.valid("nowhere")


def test_without_matplotlib_a_plot_says_what_to_install(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r"pip install 'landweave\[plot\]'"):
        run.plot_confusion()


def test_a_part_of_the_map_is_kept_as_a_patch(run, tmp_path):
    part = run.map[10:40, 10:40].to_dataset(name="map").load()
    write_patch(part, tmp_path / "part.zarr")
    np.testing.assert_array_equal(read_patch(tmp_path / "part.zarr")["map"].values, run.map.values[10:40, 10:40])
