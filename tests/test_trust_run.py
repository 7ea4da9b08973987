"""A run with `[map] trust = true`: what trust.tif holds, that it fits the map, and that the map is the one without it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio

from landweave.accuracy.trust.applicability import Applicability
from landweave.patch.store import read_raster
from landweave.runs import layout
from landweave.runs.mapping.trust import training
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run


def with_trust(project: Path, folder: Path, **keys) -> Path:
    """A copy of a finished project that asks for trust layers."""
    copy = folder / "country"
    shutil.copytree(project.parent if project.is_file() else project, copy)
    file = copy / "landweave.toml"
    lines = "".join(f"{key} = {value}\n" for key, value in {"trust": "true", **keys}.items())
    text = file.read_text().replace("[model]", f"[map]\n{lines}\n[model]")
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def trusted(finished, tmp_path_factory):
    file = with_trust(finished, tmp_path_factory.mktemp("trust"))
    result = run(read_project(file), workers=1)
    assert result.status == 0, result.failures
    return open_run(file)


@pytest.fixture(scope="module")
def bands(trusted):
    with rasterio.open(trusted.folder / layout.TRUST) as file:
        return dict(zip(file.descriptions, file.read(), strict=True))


def test_only_what_trust_needs_is_made_again_and_the_map_is_the_same(finished, trusted):
    before = open_run(finished).folder
    for name in (layout.MAP, layout.CONFIDENCE, layout.ACCURACY):
        assert (before / name).read_bytes() == (trusted.folder / name).read_bytes()
    assert not (before / layout.TRUST).exists()


def test_bands_lie_on_the_grid_of_the_map_and_say_something_where_it_does(trusted, bands):
    with rasterio.open(trusted.folder / layout.MAP) as map_file, rasterio.open(trusted.folder / layout.TRUST) as file:
        assert (file.transform, file.crs, file.shape) == (map_file.transform, map_file.crs, map_file.shape)
        assert file.overviews(1) == map_file.overviews(1)
        shown = map_file.read(1) > 0
    classes = [c.value for c in trusted.plan.legend.classes]
    assert list(bands) == [
        "margin", "set_size", "dissimilarity", "applicability", "density", "observations", "flags",
        *(f"member_{value}" for value in classes),
    ]  # fmt: skip
    for values in bands.values():
        np.testing.assert_array_equal(values > 0, shown)


def test_bands_agree_with_each_other(bands):
    members = np.stack([values == 2 for name, values in bands.items() if name.startswith("member_")])
    there = bands["margin"] > 0
    size = members.sum(axis=0)
    np.testing.assert_array_equal(bands["set_size"][there], np.where(size, size, 255)[there])
    np.testing.assert_array_equal(bands["applicability"] == 2, bands["dissimilarity"] > 100)
    flags = bands["flags"]
    np.testing.assert_array_equal(flags & 1, there)
    np.testing.assert_array_equal((flags & 2) > 0, bands["applicability"] == 2)
    np.testing.assert_array_equal((flags & 4) > 0, size > 1)
    np.testing.assert_array_equal((flags & 8) > 0, there & (size == 0))
    # A place that is like no training row has none near it.
    np.testing.assert_array_equal(bands["density"][there & (bands["dissimilarity"] > 100)], 1)
    assert (bands["density"][there & (bands["dissimilarity"] <= 99)] > 1).all()


def test_sets_hold_the_class_at_least_as_often_as_asked_on_pixels_that_had_no_part(trusted):
    sets = json.loads((trusted.folder / layout.TRUST_SUMMARY).read_text())["sets"]
    assert sets["level"] == 0.9
    for group in ("all", "class", "district"):
        rows = sets["checked"]["other pixels of the same land"].get(group, [])
        for row in rows:
            # Sampling alone moves a share of n pixels by its standard error, of the calibration and of the check.
            assert row["coverage"] > 0.88 - 3 * np.sqrt(0.09 * 4 / row["pixels"]), row


def test_calibration_pixels_are_labelled_land_by_models_that_never_saw_it(trusted):
    for cell in trusted.cells:
        path = trusted.folder / layout.trust_rows(cell.name)
        if not path.exists():
            continue
        rows, labels = pd.read_parquet(path), read_raster(trusted.folder / layout.labels(cell.name))
        np.testing.assert_array_equal(labels[0][rows["y"], rows["x"]], rows["label"])
        held_out = read_raster(trusted.folder / layout.out_of_fold(cell.name))
        np.testing.assert_array_equal(held_out[0][rows["y"], rows["x"]], rows["predicted"])
        assert (~rows["core"]).any()  # borders of polygons are land, too
        counts = np.bincount(labels[0][(held_out[0] > 0)], minlength=256)
        for value, own in rows.groupby("label"):
            assert own["weight"].sum() == pytest.approx(counts[value], rel=0.1)


def test_the_index_of_a_pixel_is_that_of_its_features(trusted):
    with np.load(trusted.folder / layout.APPLICABILITY) as arrays:
        fitted = Applicability.from_arrays(dict(arrays))
    assert 0 < fitted.threshold <= fitted.training[-1]
    features = pd.read_parquet(trusted.folder / layout.SAMPLES)
    names = [name for name in features if "_d0" in name or "_d1" in name or "_d2" in name or "_d3" in name]
    layers = {cell.name: (cell, read_raster(trusted.folder / layout.trust_layers(cell.name))) for cell in trusted.cells}
    rows = features[features["split"] == "test"].head(50)
    index, _ = fitted.dissimilarity(rows[names].to_numpy())
    for (_, row), own in zip(rows.iterrows(), index, strict=True):
        cell, values = layers[row["patch"]]
        x, y = ~cell.geobox.transform * (row["x"], row["y"])
        shown = int(values[1, int(y), int(x)])
        assert shown == np.clip(np.rint(100 * own / fitted.threshold), 1, 254) or abs(own / fitted.threshold - 1) < 0.01


def test_rows_that_stand_for_all_come_with_the_error_that_they_make(trusted, monkeypatch):
    path = trusted.folder / layout.APPLICABILITY
    kept = path.read_bytes()
    try:
        monkeypatch.setattr(training, "MOST_ROWS", 100)
        info = training.write_applicability(trusted.plan)["info"]
    finally:
        path.write_bytes(kept)
    assert info["rows"] == 100 < info["all_rows"]
    # Fewer rows are never nearer.
    assert 0 <= info["thinned"]["median"] <= info["thinned"]["most_of_95_percent"]
    assert 0 <= info["thinned"]["other_side"] <= 1


def test_every_band_has_a_style_a_layer_of_the_view_and_a_place_in_the_catalogue(trusted, bands):
    from landweave.runs.results.layers import make_layers

    item = json.loads((trusted.folder / layout.MAP_ITEM).read_text())
    asset = item["assets"]["trust"]
    assert [band["name"] for band in asset["bands"]] == list(bands)
    assert "classification:classes" in asset["bands"][1]
    files = make_layers(trusted).files
    for name, values in bands.items():
        assert (trusted.folder / layout.trust_style(name)).read_text().startswith("<!DOCTYPE qgis")
        with rasterio.open(files[f"trust_{name}"]) as file:
            np.testing.assert_array_equal(file.read(1), values)
    assert (trusted.folder / layout.style(layout.TRUST)).exists()
    report = (trusted.folder / layout.REPORT).read_text()
    assert "Where can the map be trusted" in report


def test_without_trust_its_files_are_deleted_and_a_level_is_a_share(trusted, tmp_path):
    file = with_trust(trusted.plan.project.file, tmp_path)
    text = file.read_text()
    file.write_text(text.replace("[map]\ntrust = true\n\n[map]\ntrust = true\n", "[map]\ntrust = false\n"))
    assert run(read_project(file), workers=1).status == 0
    folder = open_run(file).folder
    assert not [*folder.glob("trust*"), *folder.glob("view/trust*")]
    assert "trust" not in json.loads((folder / layout.MAP_ITEM).read_text())["assets"]
