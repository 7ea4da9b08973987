from datetime import date

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.warp import Resampling, reproject
from worlds import write_tif

from landweave.errors import InputError
from landweave.patch.model import NODATA
from landweave.sources.file_grids import grid_of_all, same_grid, same_ground, touch
from landweave.sources.rasters import open_rasters

DAY = date(2020, 6, 1)


def grid(left, top, pixel, rows, columns, crs="EPSG:32633"):
    return GeoBox((rows, columns), Affine(pixel, 0, left, 0, -pixel, top), crs)


def put(folder, name, values, box, **options):
    return write_tif(folder / name, values, crs=str(box.crs), transform=box.affine, **options)


def opened(folder, **options):
    return open_rasters(root=folder, pattern="*{date:%Y-%m-%d}_{variable}.tif", **options)


FINE, COARSE = grid(500_000, 5_000_000, 10, 40, 24), grid(500_000, 5_000_000, 20, 20, 12)


def test_bands_of_two_sizes_come_to_the_finest_by_the_stated_rule(tmp_path):
    rng = np.random.default_rng(1)
    fine, coarse = (
        rng.integers(0, 9000, FINE.shape).astype("uint16"),
        rng.integers(0, 9000, COARSE.shape).astype("uint16"),
    )
    scl = rng.integers(1, 12, COARSE.shape).astype("uint8")
    # Listed first, so that the order of the files does not decide the grid.
    put(tmp_path, "A_2020-06-01_B11.tif", coarse, COARSE)
    put(tmp_path, "A_2020-06-01_B04.tif", fine, FINE)
    put(tmp_path, "A_2020-06-01_SCL.tif", scl, COARSE)
    source = opened(tmp_path, bands=("B04", "B11"))
    assert source.geobox == FINE
    patch = source.load(FINE, [DAY], source.variables)
    assert (patch["B04"].values[0] == fine).all(), "a file on the grid keeps its bytes"
    assert (patch["SCL"].values[0] == scl.repeat(2, 0).repeat(2, 1)).all(), "classes: the nearest pixel"
    expected = np.empty(FINE.shape)
    reproject(
        coarse.astype("float64"), expected, src_transform=COARSE.affine, src_crs="EPSG:32633",
        dst_transform=FINE.affine, dst_crs="EPSG:32633", resampling=Resampling.bilinear,
    )  # fmt: skip
    assert np.abs(patch["B11"].values[0] - expected).max() <= 0.5
    # Between the centres of coarse pixels: 3/4 of the one, 1/4 of the other.
    by_hand = 0.75 * coarse[4, 4:6].astype(float) @ [0.75, 0.25] + 0.25 * coarse[5, 4:6].astype(float) @ [0.75, 0.25]
    assert patch["B11"].values[0][9, 9] == pytest.approx(by_hand, abs=0.51)
    assert any("on 2 grids (pixels of 10 m in EPSG:32633, 20 m in EPSG:32633)" in note for note in source.notes)


def test_a_coarse_band_alone_decides_the_grid(tmp_path):
    put(tmp_path, "A_2020-06-01_B11.tif", np.full(COARSE.shape, 7, "uint16"), COARSE)
    put(tmp_path, "A_2020-06-01_B04.tif", np.full(FINE.shape, 7, "uint16"), FINE)
    put(tmp_path, "A_2020-06-01_CLM.tif", np.full(FINE.shape, 0, "uint8"), FINE)
    assert opened(tmp_path, bands=("B11",)).geobox == COARSE
    assert opened(tmp_path, bands=("B11",), mask="CLM").geobox == COARSE, "a mask is no band"


def tiles(folder, *, cut=16, crs="EPSG:32633"):
    """Two tiles of one lattice that overlap by four columns; what a pixel shows is its column in the whole."""
    left, right = grid(500_000, 5_000_000, 10, 40, cut), grid(500_000 + 10 * (cut - 4), 5_000_000, 10, 40, 20, crs)
    for name, box, first in (("L", left, 0), ("R", right, cut - 4)):
        values = np.arange(first, first + box.shape[1])[None].repeat(40, 0).astype("uint16") + 100
        put(folder, f"{name}_2020-06-01_B04.tif", values + (1000 if name == "R" else 0), box, nodata=0)
    return left, right


def test_tiles_of_one_zone_make_one_grid_and_the_first_valid_pixel_counts(tmp_path):
    left, right = tiles(tmp_path)
    with rasterio.open(tmp_path / "L_2020-06-01_B04.tif", "r+") as file:
        values = file.read(1)
        values[5, 13] = 0
        file.write(values, 1)
    source = opened(tmp_path, bands=("B04",))
    assert source.geobox == grid(500_000, 5_000_000, 10, 40, 32)
    patch = source.load(source.geobox, [DAY], ["B04"])["B04"].values[0]
    assert (patch[0] == [*range(100, 116), *range(1116, 1132)]).all()
    assert patch[5, 13] == 1113, "the second tile fills what the first does not have"
    assert source.seen(right, [DAY]) == source.seen(left, [DAY]) == {DAY: None}
    assert source.seen(grid(600_000, 5_000_000, 10, 4, 4), [DAY]) == {}


def test_a_mask_follows_the_tile_that_the_band_comes_from(tmp_path):
    left, right = tiles(tmp_path)
    half = [GeoBox((20, box.shape[1] // 2), box.affine * Affine.scale(2), box.crs) for box in (left, right)]
    put(tmp_path, "L_2020-06-01_CLM.tif", np.zeros(half[0].shape, "uint8"), half[0])
    put(tmp_path, "R_2020-06-01_CLM.tif", np.ones(half[1].shape, "uint8"), half[1])
    source = opened(tmp_path, bands=("B04",), mask="CLM")
    mask = source.load(source.geobox, [DAY], ["CLM"])["CLM"].values[0]
    assert (mask[:, :16] == 0).all()
    assert (mask[:, 16:] == 1).all()


def test_ground_with_a_band_and_without_a_mask_is_not_clear(tmp_path):
    left, _ = tiles(tmp_path)
    put(tmp_path, "L_2020-06-01_CLM.tif", np.zeros(left.shape, "uint8"), left)
    source = opened(tmp_path, bands=("B04",), mask="CLM")
    wide = source.geobox.pad(2)
    mask = source.load(wide, [DAY], ["CLM"])["CLM"].values[0]
    assert (mask[2:-2, 2:18] == 0).all()
    assert (mask[2:-2, 18:-2] == 255).all(), "nobody knows whether there is a cloud"
    assert (mask[:2] == 0).all(), "no image, no cloud"


def test_a_tile_of_another_zone_comes_to_the_commonest(tmp_path):
    here = grid(700_000, 5_000_000, 10, 60, 60)
    corner = rasterio.warp.transform("EPSG:32633", "EPSG:32634", [700_500], [5_000_100])
    there = grid(round(corner[0][0], -1), round(corner[1][0], -1), 10, 80, 80, "EPSG:32634")
    for name in ("B04", "B08"):
        put(tmp_path, f"A_2020-06-01_{name}.tif", np.full(here.shape, 1000, "uint16"), here, nodata=0)
        put(tmp_path, f"B_2020-06-01_{name}.tif", np.full(there.shape, 2000, "uint16"), there, nodata=0)
    source = opened(tmp_path, bands=("B04", "B08"))
    assert source.geobox.crs == "EPSG:32633"
    patch = source.load(source.geobox, [DAY], ["B04"])["B04"].values[0]
    assert sorted(np.unique(patch)) == [NODATA, 1000, 2000]
    own = source.load(here, [DAY], ["B04"])["B04"].values[0]
    assert (own == 1000).all(), "the tile on the grid keeps its pixels"
    area = (patch == 2000).sum() * 100
    assert 0.8 * 80 * 80 * 100 < area < 1.02 * 80 * 80 * 100


@settings(max_examples=25, deadline=None)
@given(row=st.integers(-3, 30), column=st.integers(-3, 20), height=st.integers(1, 12), width=st.integers(1, 12))
def test_any_window_of_mixed_sizes_is_a_part_of_the_whole(tmp_path_factory, row, column, height, width):
    folder = tmp_path_factory.getbasetemp() / "mixed"
    if not folder.exists():
        rng = np.random.default_rng(2)
        put(folder, "A_2020-06-01_B04.tif", rng.integers(1, 9000, FINE.shape).astype("uint16"), FINE)
        put(folder, "A_2020-06-01_B11.tif", rng.integers(1, 9000, COARSE.shape).astype("uint16"), COARSE)
        third = grid(500_000, 5_000_000, 60, 7, 4)
        put(folder, "A_2020-06-01_CLM.tif", rng.integers(0, 2, third.shape).astype("uint8"), third)
    source = opened(folder, bands=("B04", "B11"), mask="CLM")
    whole = source.load(source.geobox.pad(20), [DAY], source.variables)
    window = source.geobox.pad(20)[20 + row : 20 + row + height, 20 + column : 20 + column + width]
    part = source.load(window, [DAY], source.variables)
    for name in source.variables:
        expected = whole[name].values[:, 20 + row : 20 + row + height, 20 + column : 20 + column + width]
        assert (part[name].values == expected).all(), name


def test_a_band_far_from_all_others_is_named(tmp_path):
    put(tmp_path, "A_2020-06-01_B04.tif", np.ones(FINE.shape, "uint16"), FINE)
    put(
        tmp_path,
        "A_2020-06-01_B08.tif",
        np.ones(FINE.shape, "uint16"),
        grid(500_000, 5_000_000, 10, 40, 24, "EPSG:32634"),
    )
    with pytest.raises(
        InputError, match=r"A_2020-06-01_B0[48].tif: in EPSG:3263[34] it does not overlap any other image"
    ):
        opened(tmp_path, bands=("B04", "B08"))


def test_of_one_band_in_several_sizes_the_finest_is_used(tmp_path):
    for folder, box, value in (("R60m", COARSE, 60), ("R9m", FINE, 9)):
        put(tmp_path, f"{folder}/A_2020-06-01_B04.tif", np.full(box.shape, value, "uint16"), box)
    source = open_rasters(root=tmp_path, pattern="R*m/A_{date}_{variable}.tif", bands=("B04",))
    assert (source.load(source.geobox, [DAY], ["B04"])["B04"].values == 9).all()


def test_a_file_that_was_cut_short_is_found_by_check(tmp_path):
    tiles(tmp_path)
    path = tmp_path / "R_2020-06-01_B04.tif"
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match=r"R_2020-06-01_B04.tif"):
        opened(tmp_path, bands=("B04",)).reach()


def test_a_crs_in_other_words_is_the_same_grid(tmp_path):
    values = np.arange(40 * 24).reshape(40, 24).astype("uint16")
    put(tmp_path, "A_2020-06-01_B04.tif", values, FINE)
    write_tif(
        tmp_path / "A_2020-06-01_B08.tif", values, transform=FINE.affine,
        crs="+proj=utm +zone=33 +datum=WGS84 +units=m +no_defs",
    )  # fmt: skip
    source = opened(tmp_path, bands=("B04", "B08"))
    assert source.grids_of_files == (FINE,)
    assert (source.load(FINE, [DAY], ["B08"])["B08"].values[0] == values).all()


def test_a_grid_of_all_is_the_grid_where_there_is_one():
    assert grid_of_all([FINE, FINE]) is FINE
    assert same_grid(FINE, grid(500_000.000_01, 5_000_000, 10, 40, 24))
    assert not same_grid(FINE, FINE.translate_pix(0.1, 0))
    assert same_ground(FINE, COARSE)
    assert not same_ground(FINE, FINE.translate_pix(3, 0))
    assert touch(FINE, COARSE)
    assert not touch(FINE, FINE.translate_pix(24, 0)), "an edge is no ground"
