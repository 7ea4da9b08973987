"""Legal but odd: other grids, other references, other classifiers; the map must still be right."""

import numpy as np
import pandas as pd
import pytest
import rasterio
from rasterio.warp import calculate_default_transform, reproject
from rasterio.warp import transform as move
from worlds import CORNER, two_class_world, write_tif

from landweave.errors import InputError
from landweave.patch.store import read_raster
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run

EDGE = (500_000, 5_099_200, 500_800, 5_100_000)


def finished(project):
    result = run(read_project(project), workers=1)
    assert result.status == 0, result.failures
    return open_run(project)


def edit(project, before, after):
    text = project.read_text()
    assert before in text
    project.write_text(text.replace(before, after))


def agreement(mapped, cover):
    return float((mapped[cover > 0] == cover[cover > 0]).mean())


@pytest.mark.parametrize(
    "model",
    [
        'type = "random_forest"',
        'type = "sklearn.linear_model.LogisticRegression"',
        'prior = "balanced"\nrefit = false\ncalibration = "none"',
    ],
)
def test_other_classifiers_find_the_ponds(tmp_path, model):
    project, cover = two_class_world(tmp_path)
    edit(project, "[model]\nparams = { n_estimators = 15, min_child_samples = 5 }", f"[model]\n{model}")
    done = finished(project)
    assert agreement(read_raster(done.folder / "map.tif")[0], cover) > 0.95
    assert not list((done.folder / "model").glob("*.pkl"))


def test_a_utm_grid_over_rasters_gives_the_same_land(tmp_path):
    project, cover = two_class_world(tmp_path)
    edit(project, "patch_size = 20", 'patch_size = 20\ncrs = "utm"\nresolution = 10')
    done = finished(project)
    assert {cell.name[:4] for cell in done.cells} == {"33N_"}
    with rasterio.open(done.folder / "map.tif") as file:
        window = file.window(*EDGE).round_offsets().round_lengths()
        assert agreement(file.read(1, window=window), cover) > 0.95


def test_a_map_in_another_crs_shows_the_same_classes_at_the_same_places(tmp_path):
    project, cover = two_class_world(tmp_path)
    project.write_text(project.read_text() + '\n[map]\ncrs = "EPSG:3794"\n')
    done = finished(project)
    rows, columns = np.mgrid[2:78:3, 2:78:3]
    x, y = CORNER * (columns.ravel() + 0.5, rows.ravel() + 0.5)
    with rasterio.open(done.folder / "map.tif") as file:
        assert file.crs.to_epsg() == 3794
        places = zip(*move("EPSG:32633", file.crs, x, y), strict=True)
        shown = np.array([value[0] for value in file.sample(places)])
    assert (shown == cover[rows.ravel(), columns.ravel()]).mean() > 0.9


def test_a_reference_raster_in_another_crs_is_moved(tmp_path):
    project, cover = two_class_world(tmp_path, share=0.5)
    blocks = np.kron(np.random.default_rng(3).integers(0, 2, (10, 10)), np.ones((8, 8))).astype(int)
    cover = np.where(blocks, 7, 2).astype("uint8")
    transform, width, height = calculate_default_transform("EPSG:32633", "EPSG:3035", 80, 80, *EDGE)
    moved = np.zeros((height, width), "uint8")
    reproject(
        cover,
        moved,
        src_transform=CORNER,
        src_crs="EPSG:32633",
        dst_transform=transform,
        dst_crs="EPSG:3035",
        src_nodata=0,
        dst_nodata=0,
    )
    write_tif(tmp_path / "reference.tif", moved, crs="EPSG:3035", transform=transform, nodata=0)
    done = finished(project)
    labels = [read_raster(done.folder / "labels" / f"{cell.name}.tif")[0] for cell in done.cells]
    whole = np.zeros((80, 80), "uint8")
    for cell, part in zip(done.cells, labels, strict=True):
        column, row = (round(v) for v in ~CORNER * (cell.geobox.affine * (0, 0)))
        whole[row : row + 20, column : column + 20] = part
    assert agreement(whole, cover) > 0.9


def test_points_are_split_by_blocks_and_those_outside_are_told(tmp_path):
    import pandas as pd

    project, cover = two_class_world(tmp_path)
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(0, 80, (2, 150))
    x, y = CORNER * (columns + 0.5, rows + 0.5)
    lon, lat = move("EPSG:32633", "EPSG:4326", np.append(x, [0, 1]), np.append(y, [0, 1]))
    names = np.append(np.where(cover[rows, columns] == 7, "pond", "meadow"), ["pond", "pond"])
    pd.DataFrame({"longitude": lon, "latitude": lat, "kind": names}).to_csv(tmp_path / "points.csv", index=False)
    edit(project, 'path = "reference.tif"', 'path = "points.csv"\ncolumn = "kind"')
    result = run(read_project(project), workers=1)
    assert any("2 of 152 points lie outside" in line for line in result.notices)
    assert open_run(project).accuracy["split"]["kind"] == "block"
    assert agreement(read_raster(result.folder / "map.tif")[0], cover) > 0.9


def test_a_bow_tie_polygon_with_codes_as_floats_is_repaired_and_counted(tmp_path):
    import geopandas as gpd
    import shapely

    project, _ = two_class_world(tmp_path)
    west, south, east, north = EDGE
    middle = (west + east) / 2
    tie = shapely.Polygon([(middle, south), (east, north), (east, south), (middle, north)])
    frame = gpd.GeoDataFrame({"use": [2.0, 7.0]}, geometry=[shapely.box(west, south, middle, north), tie], crs=32633)
    frame.to_crs(3794).to_file(tmp_path / "register.gpkg")
    edit(project, 'path = "reference.tif"', 'path = "register.gpkg"\ncolumn = "use"')
    result = run(read_project(project), workers=1)
    assert any("repaired: 1" in line for line in result.notices)


def test_names_with_markup_and_accents_pass_through_harmlessly(tmp_path):
    project, _ = two_class_world(tmp_path)
    legend = tmp_path / "legend.toml"
    name = "<script>alert(1)</script> & étang"
    legend.write_text(legend.read_text().replace('name = "pond"', f'name = "{name}"\ncodes = [7]'))
    done = finished(project)
    assert "<script>alert" not in (done.folder / "report.html").read_text()
    with rasterio.open(done.folder / "map.tif") as file:
        assert file.tags(1)["class_7"] == name
    assert name in done.accuracy["classes"]


def test_layers_without_time_custom_layers_and_offsets_make_a_map(tmp_path):
    project, cover = two_class_world(tmp_path)
    write_tif(tmp_path / "height.tif", np.random.default_rng(0).random((80, 80)).astype("float32") * 900)
    edit(
        project,
        'indices = ["ndvi"]',
        'indices = ["ndvi"]\nstatic = ["height.tif"]\ncustom.ratio = "B08 / (B04 + 0.01)"',
    )
    edit(project, "pattern =", "scale = 1e-4\noffset = -0.05\npattern =")
    done = finished(project)
    assert done.samples().columns[-1] == "height"
    assert agreement(read_raster(done.folder / "map.tif")[0], cover) > 0.95


def test_a_patch_whose_labels_are_all_eroded_gives_no_rows_whatever_layers_there_are(tmp_path):
    project, _ = two_class_world(tmp_path)
    blocks = np.full((80, 80), 2, "uint8")
    blocks[40:] = 7
    blocks[:20] = 0
    blocks[9, 9::20] = 2  # all that the first row of patches has, and erosion takes it
    write_tif(tmp_path / "reference.tif", blocks, nodata=0)
    write_tif(tmp_path / "height.tif", np.random.default_rng(0).random((80, 80)).astype("float32") * 900)
    edit(project, 'indices = ["ndvi"]', 'indices = ["ndvi"]\nstatic = ["height.tif"]')
    edit(project, "erosion = 0", "erosion = 1")
    done = finished(project)
    rows = pd.read_parquet(done.folder / "samples.parquet")
    learned = set(rows["unit"][rows["split"].isin(("train", "refit"))])
    assert {"x0001y0001", "x0000y0002"} <= learned
    assert not any(unit.endswith("y0000") for unit in learned)


def test_rejected_pixels_are_0_and_keep_their_confidence(tmp_path):
    project, _ = two_class_world(tmp_path, overlap=1.2, extra="reject_below = 0.9")
    done = finished(project)
    mapped, confidence = (read_raster(done.folder / f"{name}.tif")[0] for name in ("map", "confidence"))
    assert 0 < (mapped == 0).mean() < 0.9
    assert (confidence[mapped == 0] < 91).all()
    assert (confidence > 0).all()


def test_one_patch_is_split_into_quarters_without_interval(tmp_path):
    project, _ = two_class_world(tmp_path, patch=500)
    figures = finished(project).accuracy
    assert figures["split"]["kind"] == "block"
    assert figures["overall_accuracy"]["low"] is None
    assert "8" in figures["overall_accuracy"]["reason"]


def test_check_finds_a_file_that_was_cut_short_and_a_classifier_that_is_none(tmp_path):
    project, _ = two_class_world(tmp_path)
    assert "sound" in check_project(read_project(project))[0]
    assert not (tmp_path / "out").exists(), "check changes nothing"
    edit(project, "[model]", '[model]\ntype = "pathlib.Path"')
    with pytest.raises(InputError, match=r"pathlib\.Path"):
        check_project(read_project(project))
    edit(project, 'type = "pathlib.Path"', "")
    path = tmp_path / "S2_2020-06-01_B08.tif"
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(InputError, match=r"S2_2020-06-01_B08\.tif"):
        check_project(read_project(project))
