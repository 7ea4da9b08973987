"""What images say of themselves reaches the user: by `landweave check` before a run, by its notes after it."""

import numpy as np
import pytest
import rasterio
from affine import Affine
from bad_inputs import two_tiles
from test_raster_headers import tif
from worlds import CORNER, two_class_world, write_tif

from landweave.errors import InputError
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project

SIZE = 40
DATES = ("2020-03-01", "2020-06-01")


def project(folder, *, source="", features=""):
    path, _ = two_class_world(folder, size=SIZE, dates=DATES, source=source)
    text = path.read_text().replace("step_days = 46\n", f"step_days = 46\n{features}\n")
    path.write_text(text)
    return read_project(path)


def notes(result):
    return " ".join(result.notices)


def masks(folder, values, name="CLM"):
    for day in DATES:
        write_tif(folder / f"S2_{day}_{name}.tif", values)


def test_a_probability_is_refused_by_check(tmp_path):
    masks(tmp_path, np.full((SIZE, SIZE), 0.2, "float32"), "CLP")
    with pytest.raises(InputError, match=r"mask_above = 0\.4, but masks are whole numbers"):
        check_project(project(tmp_path, source='clouds = "mask"\nmask = "CLP"\nmask_above = 0.4'))


def test_a_scale_alone_keeps_the_files_offset_and_another_one_is_refused_by_check(tmp_path):
    for scale, refused in ((1e-4, False), (1e-3, True)):
        settings = project(tmp_path, source=f"scale = {scale}")
        for path in tmp_path.glob("S2_*.tif"):
            with rasterio.open(path, "r+") as file:
                file.scales, file.offsets = (1e-4,), (-0.1,)
        if refused:
            with pytest.raises(InputError, match="give the offset too"):
                check_project(settings)
        else:
            assert check_project(settings)[0].endswith("sound")


def test_check_reports_where_the_files_say_otherwise(tmp_path):
    lines = check_project(project(tmp_path, source="nodata = 9999"))
    assert (
        "note:      S2_2020-03-01_B04.tif and 3 more files: nodata 9999 is used, as you give it; the file says 0."
        in lines
    )


STATIC = {
    "elsewhere": ({"transform": Affine(10, 0, 900_000, 0, -10, 5_100_000)}, 1, "does not overlap any patch"),
    "of another zone": ({"crs": "EPSG:32733"}, 1, "does not overlap any patch"),
    "of two bands": ({}, 2, r"a static layer has one band, but this file has band 1, band 2"),
}


@pytest.mark.parametrize("case", STATIC)
def test_a_static_layer_that_says_nothing_of_the_area_is_refused_by_check(tmp_path, case):
    how, bands, message = STATIC[case]
    tif(tmp_path / "dem.tif", np.full((bands, SIZE, SIZE), 300, "int16"), **{"transform": CORNER, **how})
    with pytest.raises(InputError, match=rf"dem\.tif: .*{message}"):
        check_project(project(tmp_path, features='static = ["dem.tif"]'))


def test_layers_without_any_value_are_noted(tmp_path):
    tif(tmp_path / "dem.tif", np.zeros((SIZE, SIZE), "int16"), transform=CORNER, nodata=0)
    tif(tmp_path / "slope.tif", np.full((SIZE, SIZE), 3, "int16"), transform=CORNER)
    settings = project(tmp_path, features='static = ["dem.tif", "slope.tif"]\ncustom.odd = "B04 / (B04 - B04)"')
    result = run(settings)
    assert result.status == 0
    assert "Layers without any value at the samples, from which the model learns nothing: odd, dem." in notes(result)


@pytest.mark.parametrize("first", [10, 15, 20])
def test_the_share_of_the_map_that_is_empty_counts_every_pixel(tmp_path, first):
    east = np.arange(SIZE)[None].repeat(SIZE, 0) >= first
    masks(tmp_path, east.astype("uint8"))
    result = run(project(tmp_path, source='clouds = "mask"\nmask = "CLM"'))
    with rasterio.open(tmp_path / "out" / "map.tif") as file:
        empty = float((file.read(1) == 0).mean())
    assert empty == (SIZE - first) / SIZE
    said = "of all pixels, those patches included, have no valid observation"
    # Where whole patches alone are empty, they are named.
    assert (f"{empty:.2%} {said}" in notes(result)) == (first < 20)
    assert "Patches without a single valid observation" in notes(result)


def test_a_masked_image_is_missing_in_the_run(tmp_path):
    import landweave

    settings = project(tmp_path)
    hole = np.zeros((SIZE, SIZE), bool)
    hole[5:15, 5:15] = True
    path = tmp_path / f"S2_{DATES[0]}_B04.tif"
    with rasterio.open(path) as file:
        values = file.read(1)
    tif(path, np.where(hole, 0, values), transform=CORNER, mask=np.where(hole, 0, 255).astype("uint8"))
    assert run(settings).status == 0
    got = landweave.open_run(tmp_path / "landweave.toml").patch("x0000y0000")["B04"].values[0]
    assert ((got == -32768) == hole[:20, :20]).all()


def test_tiles_give_the_map_of_the_whole_image(tmp_path):
    maps = []
    for name in ("whole", "tiles"):
        world, _ = two_class_world(tmp_path / name)
        if name == "tiles":
            two_tiles(world)
        assert run(read_project(world), workers=1).status == 0
        maps.append((tmp_path / name / "out" / "map.tif").read_bytes())
    assert maps[0] == maps[1]
