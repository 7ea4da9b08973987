import pickle
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin

from landweave.errors import InputError
from landweave.patch.align import nearest_pixels, pixel_offset
from landweave.patch.grid import strip_geobox
from landweave.patch.model import NODATA
from landweave.patch.strips import strip_rows
from landweave.sources.listing import list_pattern
from landweave.sources.pixels import read_on, read_static, to_reflectance
from landweave.sources.protocol import Source
from landweave.sources.rasters import RasterSource, open_rasters

_: type[Source] = RasterSource

GRID = GeoBox((4, 5), from_origin(500000, 5000000, 10, 10), "EPSG:32633")


def write(path: Path, bands, *, grid=GRID, descriptions=None, scales=None, offsets=None, **profile):
    bands = np.asarray(bands)
    bands = bands if bands.ndim == 3 else bands[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    crs = None if grid.crs is None else grid.crs.to_wkt()
    with rasterio.open(
        path, "w", driver="GTiff", height=bands.shape[1], width=bands.shape[2], count=len(bands),
        dtype=bands.dtype, crs=crs, transform=grid.affine, **profile,
    ) as file:  # fmt: skip
        file.write(bands)
        if descriptions:
            file.descriptions = descriptions
        if scales:
            file.scales = scales
        if offsets:
            file.offsets = offsets
    return path


def full(value, dtype="int16"):
    return np.full(GRID.shape, value, dtype)


def values(source, name, days=None):
    days = source.dates(None, None) if days is None else days
    return source.load(source.geobox, days, [name])[name].values


def test_a_pattern_gives_dates_and_variables(tmp_path):
    for day, number in (("2019-01-02", 1), ("2018-12-30", 2)):
        for name in ("RED", "NIR"):
            write(tmp_path / f"img/X_{day}_2020-01-01_{name}.tif", full(number * 100))
    pattern = "img/X_{start:%Y-%m-%d}_{end:%Y-%m-%d}_{variable}.tif"
    source = open_rasters(root=tmp_path, pattern=pattern, bands=["NIR", "RED"])
    assert source.variables == ("NIR", "RED")
    assert source.dates(None, None) == [date(2018, 12, 30), date(2019, 1, 2)]
    assert source.dates(date(2018, 12, 31), date(2019, 1, 2)) == [date(2019, 1, 2)]
    assert values(source, "RED")[:, 0, 0].tolist() == [200, 100]
    assert len(source.inputs()) == 4
    assert source.geobox == GRID


def test_a_date_in_folders_and_names_is_read_from_the_fullest(tmp_path):
    write(tmp_path / "2019/05/a_20190517T103021.tif", full(1))
    source = open_rasters(root=tmp_path, pattern="{date:%Y}/*/a_{date:%Y%m%dT%H%M%S}.tif", bands=["B"])
    assert source.dates() == [date(2019, 5, 17)]


def test_descriptions_are_variables_where_the_name_has_none(tmp_path):
    write(tmp_path / "s_2019-01-01.tif", np.stack([full(1), full(2)]), descriptions=["B02", "B03"])
    source = open_rasters(root=tmp_path, pattern="s_{date}.tif", bands=["B03"])
    assert source.variables == ("B03",)
    assert (values(source, "B03") == 2).all()


def test_bands_without_description_take_the_names_of_the_features_in_order(tmp_path):
    write(tmp_path / "s_2019-01-01.tif", np.stack([full(1), full(2)]))
    source = open_rasters(root=tmp_path, pattern="s_{date}.tif", bands=["B03", "B02"])
    assert values(source, "B02")[0, 0, 0] == 2
    with pytest.raises(InputError, match=r"s_2019-01-01\.tif: its 2 bands have no descriptions"):
        open_rasters(root=tmp_path, pattern="s_{date}.tif", bands=["B03"])


def test_descriptions_are_dates_where_the_name_has_none(tmp_path):
    write(tmp_path / "ndvi_all.tif", np.stack([full(5), full(6)]), descriptions=["2019-03-01", "2019-02-01"])
    source = open_rasters(root=tmp_path, pattern="{variable}_all.tif", bands=["ndvi"])
    assert source.dates() == [date(2019, 2, 1), date(2019, 3, 1)]
    assert values(source, "ndvi")[:, 0, 0].tolist() == [6, 5]
    write(tmp_path / "evi_all.tif", full(5), descriptions=["spring"])
    with pytest.raises(InputError, match=r"evi_all\.tif, description of band 1: 'spring' is not a date"):
        open_rasters(root=tmp_path, pattern="{variable}_all.tif", bands=["evi"])


def test_a_row_of_the_table_beats_the_argument_beats_the_file(tmp_path):
    write(tmp_path / "a.tif", full(1000), scales=[0.01], offsets=[-9.0])
    write(tmp_path / "b.tif", full(1000), scales=[0.01], offsets=[-9.0])
    rows = "date,variable,path,band,scale,offset,nodata\n2019-01-01,R,a.tif,,0.0002,0.1,\n2019-01-02,R,b.tif,1,,,\n"
    (tmp_path / "images.csv").write_text(rows)
    own = open_rasters(root=tmp_path, table="images.csv", bands=None)
    assert values(own, "R")[:, 0, 0].tolist() == [3000, 10000]  # 1000 * 2e-4 + 0.1; 1000 * 0.01 - 9
    given = open_rasters(root=tmp_path, table="images.csv", scale=1e-3, offset=0.0, bands=["R"])
    assert values(given, "R")[:, 0, 0].tolist() == [3000, 10000]
    assert own.inputs() == [tmp_path / "a.tif", tmp_path / "b.tif", tmp_path / "images.csv"]


def test_integers_are_ten_thousandths_and_floats_are_themselves(tmp_path):
    write(tmp_path / "I_2019-01-01.tif", full(1234))
    write(tmp_path / "F_2019-01-01.tif", full(0.1234, "float32"))
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None)
    assert (values(source, "I") == 1234).all()
    assert (values(source, "F") == 1234).all()


@given(st.integers(-32768, 32767))
def test_half_units_round_to_even_and_nothing_wraps(tmp_path_factory, number):
    folder = tmp_path_factory.mktemp("r")
    write(folder / "A_2019-01-01.tif", full(number))
    halved = open_rasters(root=folder, pattern="{variable}_{date}.tif", scale=5e-5, bands=None)
    tripled = open_rasters(root=folder, pattern="{variable}_{date}.tif", scale=3e-4, bands=None)
    assert (values(halved, "A") == round(number / 2)).all()
    assert (values(tripled, "A") == np.clip(3 * number, -32767, 32767)).all()


def test_nodata_nan_and_the_given_nodata_are_missing(tmp_path):
    write(tmp_path / "I_2019-01-01.tif", np.array([[-9999, 7, -3000]], "int16"), nodata=-9999)
    write(tmp_path / "F_2019-01-01.tif", np.array([[np.nan, 7e-4, np.inf]], "float32"))
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None)
    assert values(source, "I").ravel().tolist() == [NODATA, 7, -3000]
    assert values(source, "F").ravel().tolist() == [NODATA, 7, NODATA]
    given = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["I"], nodata=-3000)
    assert values(given, "I").ravel().tolist() == [-9999, 7, NODATA]


def test_files_of_one_day_are_fused_and_the_mask_follows_the_band(tmp_path):
    scenes = (("T090000", [[-1, -1, 5]], [[9, 9, 0]]), ("T100000", [[-1, 6, 6]], [[0, 0, 3]]))
    for time, band, mask in scenes:
        write(tmp_path / f"R_20190101{time}.tif", np.array(band, "int16"), nodata=-1)
        write(tmp_path / f"M_20190101{time}.tif", np.array(mask, "uint8"))
    source = open_rasters(root=tmp_path, pattern="{variable}_{date:%Y%m%dT%H%M%S}.tif", bands=["R"], mask="M")
    assert source.categorical == ("M",)
    patch = source.load(source.geobox, source.dates(), ["M", "R"])
    assert list(patch.data_vars) == ["M", "R"]
    assert patch.R.values.ravel().tolist() == [NODATA, 6, 5]
    assert patch.M.values.ravel().tolist() == [9, 0, 0]
    assert patch.M.dtype == "uint8"
    alone = source.load(source.geobox, source.dates(), ["M"])
    assert (alone.M.values == patch.M.values).all()


def test_a_mask_is_not_scaled_and_odd_values_stay_not_zero(tmp_path):
    write(tmp_path / "R_2019-01-01.tif", np.array([[1, 1, 1, 1]], "int16"))
    write(tmp_path / "M_2019-01-01.tif", np.array([[0, 300, -1, 4]], "int16"), nodata=4)
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"], mask="M", scale=0.5)
    assert values(source, "M").ravel().tolist() == [0, 255, 255, 4]


def test_a_date_without_its_mask_is_named(tmp_path):
    for day in ("2019-01-01", "2019-01-02"):
        write(tmp_path / f"R_{day}.tif", full(1))
    write(tmp_path / "M_2019-01-01.tif", full(0, "uint8"))
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"], mask="M")
    assert source.dates(None, date(2019, 1, 1)) == [date(2019, 1, 1)]
    with pytest.raises(InputError, match="Mask 'M' has no file for 2019-01-02"):
        source.dates()


def test_a_day_without_a_file_of_a_variable_is_missing_there(tmp_path):
    write(tmp_path / "R_2019-01-01.tif", full(1))
    write(tmp_path / "N_2019-01-02.tif", full(2))
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None)
    assert values(source, "R")[:, 0, 0].tolist() == [1, NODATA]
    assert source.notes == ("Bands without a file on a date, missing there: N on 2019-01-01, R on 2019-01-02.",)


@given(st.integers(-6, 8), st.integers(-6, 8), st.integers(1, 9), st.integers(1, 9))
def test_a_window_on_the_own_grid_is_exact_and_missing_outside(tmp_path_factory, row, column, height, width):
    folder = tmp_path_factory.mktemp("r")
    numbers = np.arange(20, dtype="int16").reshape(4, 5)
    write(folder / "R_2019-01-01.tif", numbers)
    write(folder / "SCL_2019-01-01.tif", (numbers + 1).astype("uint8"))
    padded = np.pad(numbers, 20, constant_values=NODATA)
    expected = padded[row + 20 : row + 20 + height, column + 20 : column + 20 + width]
    grid = GeoBox((height, width), GRID.affine * GRID.affine.translation(column, row), GRID.crs)
    source = open_rasters(root=folder, pattern="{variable}_{date}.tif", bands=None)
    patch = source.load(grid, source.dates(), ["R", "SCL"])
    assert (patch.R.values[0] == expected).all()
    assert (patch.SCL.values[0] == np.where(expected == NODATA, 0, expected + 1)).all()


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average"])
def test_any_window_of_another_zones_pixels_is_a_part_of_the_whole(tmp_path, resampling):
    own = GeoBox((500, 700), from_origin(731_000, 5_101_000, 10, 10), "EPSG:32633")
    path = write(tmp_path / "a.tif", np.random.default_rng(1).integers(1, 9000, own.shape).astype("uint16"), grid=own)
    target = GeoBox((420, 640), from_origin(266_700, 5_100_500, 10, 10), "EPSG:32634")
    whole = read_on(path, 1, 0, own, target, resampling=resampling)
    assert np.isfinite(whole).mean() > 0.9
    for rows, columns in (
        (slice(0, 420), slice(37, 290)),
        (slice(100, 260), slice(255, 257)),
        (slice(311, 420), slice(90, 640)),
    ):
        part = read_on(path, 1, 0, own, target[rows, columns], resampling=resampling)
        np.testing.assert_allclose(part, whole[rows, columns], rtol=0, atol=1e-9)
        # Also where cubic weights leave a number half-way between two.
        one, other = (to_reflectance(numbers, scale=1e-4, offset=-0.1) for numbers in (part, whole[rows, columns]))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("resampling", ["bilinear", "cubic"])
def test_any_window_of_finer_pixels_is_a_part_of_the_whole_also_at_ties(tmp_path, resampling):
    own = GeoBox((100, 120), from_origin(500_000, 5_000_000, 20, 20), "EPSG:32633")
    path = write(tmp_path / "a.tif", np.random.default_rng(1).integers(1, 9000, own.shape).astype("uint16"), grid=own)
    target = own.zoom_out(0.5)
    whole = read_on(path, 1, 0, own, target, resampling=resampling)
    assert (np.abs(whole % 1 - 0.5) < 1e-9).any(), "no ties: it tests nothing"
    for rows, columns in ((slice(3, 90), slice(31, 200)), (slice(64, 128), slice(101, 240))):
        part = read_on(path, 1, 0, own, target[rows, columns], resampling=resampling)
        one, other = (to_reflectance(numbers, scale=1e-4, offset=0.0) for numbers in (part, whole[rows, columns]))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average", "nearest"])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3035"])
def test_strips_of_another_grid_leave_no_trace(tmp_path, crs, resampling):
    rng = np.random.default_rng(1)
    grid = GeoBox((60, 70), from_origin(500000, 5000000, 10, 10), "EPSG:32633")
    numbers = rng.integers(0, 9000, grid.shape).astype("int16")
    numbers[20:24, 30:40] = -9999
    write(tmp_path / "R_2019-01-01.tif", numbers, grid=grid, nodata=-9999)
    write(tmp_path / "SCL_2019-01-01.tif", (numbers % 12).astype("uint8"), grid=grid)
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None, resampling=resampling)
    whole_grid = grid.to_crs(crs, resolution="auto").zoom_out(2.3)
    whole = source.load(whole_grid, source.dates(), ["R", "SCL"])
    assert (whole.R.values != NODATA).mean() > 0.5
    for rows in strip_rows(whole_grid.shape[0], 5):
        strip = source.load(strip_geobox(whole_grid, rows), source.dates(), ["R", "SCL"])
        for name in ("R", "SCL"):
            assert (strip[name].values == whole[name].values[:, rows]).all()


def test_a_ramp_keeps_its_values_on_a_finer_shifted_grid(tmp_path):
    grid = GeoBox((40, 40), from_origin(500000, 5000000, 10, 10), "EPSG:32633")
    x, _ = np.meshgrid(np.arange(40), np.arange(40))
    write(tmp_path / "R_2019-01-01.tif", (x * 100).astype("int16"), grid=grid)
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None)
    fine = GeoBox((20, 20), from_origin(500100, 4999900, 5, 5), "EPSG:32633")
    expected = (10 + (np.arange(20) + 0.5) / 2 - 0.5) * 100
    got = source.load(fine, source.dates(), ["R"]).R.values[0]
    assert np.abs(got - expected).max() <= 1
    assert (source.load(grid.translate_pix(900, 0), source.dates(), ["R"]).R.values == NODATA).all()


def test_a_static_layer_is_exact_on_its_grid_and_nan_outside(tmp_path):
    heights = np.arange(20, dtype="float32").reshape(4, 5)
    path = write(tmp_path / "dem.tif", heights, nodata=3)
    expected = np.where(heights == 3, np.nan, heights)
    assert np.array_equal(read_static(path, GRID), expected, equal_nan=True)
    wider = read_static(path, GRID.pad(1))
    assert wider.dtype == "float32"
    assert np.isnan(wider[0]).all()
    assert np.array_equal(wider[1:-1, 1:-1], expected, equal_nan=True)


def test_grids_that_differ_by_a_fraction_of_a_pixel_are_not_the_same():
    assert pixel_offset(GRID, GRID.translate_pix(2, -3)) == (-3, 2)
    assert pixel_offset(GRID, GRID.translate_pix(0.5, 0)) is None
    assert pixel_offset(GRID, GRID.zoom_out(2)) is None
    rows, columns, inside = nearest_pixels(GRID, GRID.pad(1))
    assert inside.sum() == 20
    assert rows[1, 1] == columns[1, 1] == 0


def test_a_source_is_small_and_survives_pickling(tmp_path):
    write(tmp_path / "R_2019-01-01.tif", full(7))
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None)
    again = pickle.loads(pickle.dumps(source))
    assert again == source
    assert (values(again, "R") == 7).all()


def test_a_raster_without_a_crs_is_named(tmp_path):
    write(tmp_path / "R_2019-01-01.tif", full(1))
    write(tmp_path / "R_2019-01-02.tif", full(1), grid=GeoBox(GRID.shape, GRID.affine, None))
    with pytest.raises(InputError, match=r"R_2019-01-02.tif: .*no coordinate reference system"):
        open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None)


def test_what_is_no_raster_is_named(tmp_path):
    (tmp_path / "R_2019-01-01.tif").write_text("not a raster")
    with pytest.raises(InputError, match=r"R_2019-01-01\.tif: not readable as a raster"):
        open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None)


@pytest.mark.parametrize("compress", ["none", "deflate"])
def test_a_truncated_raster_is_named_at_the_latest_when_it_is_read(tmp_path, compress):
    grid = GeoBox((200, 200), GRID.affine, GRID.crs)
    noise = np.random.default_rng(0).integers(0, 9000, grid.shape).astype("int16")
    path = write(tmp_path / "R_2019-01-01.tif", noise, grid=grid, compress=compress)
    path.write_bytes(path.read_bytes()[:40000])
    with pytest.raises(InputError, match=r"R_2019-01-01\.tif: .*(truncated|not readable)") as caught:
        values(open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None), "R")
    # GDAL's "R_2019-01-01.tif, band 1: IReadBlock failed" without what was said already.
    assert "(," not in str(caught.value)
    assert str(caught.value).count("band 1") <= 1


def test_a_pattern_that_matches_nothing_says_where_it_looked(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / "zarr.json").write_text("{}")
    with pytest.raises(InputError, match=r"matches no file: .*a\.zarr is a Zarr; read a data set of landweave by type"):
        list_pattern(tmp_path, "*.zarr")
    with pytest.raises(InputError, match=r"matches no file: .*a\.zarr is a Zarr"):
        open_rasters(root=tmp_path, pattern="a.zarr/**")
    with pytest.raises(InputError, match="matches no file under"):
        open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=None)
    with pytest.raises(InputError, match="known fields"):
        list_pattern(tmp_path, "{band}.tif")


@pytest.mark.parametrize("name", ["R_2019-13-45.tif", "R_yesterday.tif"])
def test_a_date_that_cannot_be_read_is_named(tmp_path, name):
    write(tmp_path / name, full(1))
    with pytest.raises(InputError, match=f"{name}: .*is not a date as %Y-%m-%d"):
        open_rasters(root=tmp_path, pattern="{variable}_{date:%Y-%m-%d}.tif", bands=None)


def test_an_unknown_band_lists_what_there_is(tmp_path):
    write(tmp_path / "R_2019-01-01.tif", full(1))
    with pytest.raises(InputError, match="No raster holds 'NIR'; there are R"):
        open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["NIR"])
    with pytest.raises(InputError, match="No raster holds 'CLM'"):
        open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"], mask="CLM")
    source = open_rasters(root=tmp_path, pattern="{variable}_{date}.tif", bands=["R"])
    with pytest.raises(InputError, match="No raster holds 'NIR'"):
        source.load(source.geobox, source.dates(), ["NIR"])


BAD_TABLES = {
    "no column": ("date,path\n2019-01-01,a.tif\n", "no column 'variable'; it has date, path"),
    "date": ("date,variable,path\n01/02/2019,R,a.tif\n", "images.csv, row 1: '01/02/2019' is not a date"),
    "no date": ("date,variable,path\n,R,a.tif\n", "row 1: no date; fill it in"),
    "file": ("date,variable,path\n2019-01-01,R,b.tif\n", "b.tif: no such file"),
    "band": ("date,variable,path,band\n2019-01-01,R,a.tif,3\n", "a.tif: no band '3' .*row 1.*it has 1"),
    "scale": ("date,variable,path,scale\n2019-01-01,R,a.tif,much\n", "row 1: scale is 'much'"),
    "zero": ("date,variable,path,scale\n2019-01-01,R,a.tif,0\n", "row 1: scale is 0"),
    "empty": ("date,variable,path\n", "no row"),
    "no cells": ("", "images.csv: the file is empty"),
    "cells": ("date,variable,path\n2019-01-01,R,a.tif,1\n", "row 1: 4 cells, but the header has 3"),
    "comma": ("date;variable;path;scale\n2019-01-01;R;a.tif;0,1\n", "row 1: scale is '0,1'"),
    "infinite": ("date,variable,path,scale\n2019-01-01,R,a.tif,inf\n", "row 1: scale is 'inf'"),
    "underscore": ("date,variable,path,scale\n2019-01-01,R,a.tif,1_0\n", "row 1: scale is '1_0'"),
    "short year": ("date,variable,path\n19-01-01,R,a.tif\n", "row 1: '19-01-01' is not a date"),
    "year only": ("date,variable,path\n2019,R,a.tif\n", "row 1: '2019' is not a date"),
    "slip": ("date,variable,path,bands\n2019-01-01,R,a.tif,1\n", "unknown column 'bands'; did you mean 'band'"),
    "case": ("date,Date,variable,path\n2019-01-01,2020-01-01,R,a.tif\n", "'date' and 'Date' both could be 'date'"),
}


@pytest.mark.parametrize(
    "text",
    [
        "date,variable,path\n2019-01-01,R,a.tif\n", "Date; Variable; PATH\n2019-01-01; R; a.tif\n",
        "date\tvariable\tpath\tcloud\n20190101\tR\ta.tif\t5\n", 'date,variable,path\n"2019-01-01 00:00:00",R,"a.tif"\n',
        "date,variable,path,nodata\n2019-01-01T00:00Z,R,a.tif,nan\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_of_images_is_read_however_it_was_saved(tmp_path, text, encoding):
    write(tmp_path / "a.tif", full(1))
    (tmp_path / "images.csv").write_text(text, encoding=encoding)
    source = open_rasters(root=tmp_path, table="images.csv", bands=["R"])
    assert [str(day)[:10] for day in source.dates(None, None)] == ["2019-01-01"]


NAMES = {
    "day 366": ("{variable}_{date:%Y%j}.tif", "R_2019366.tif", "'2019366' is not a date as %Y%j"),
    "29 February": ("{variable}_{date}.tif", "R_2021-02-29.tif", "'2021-02-29' is not a date as YYYY-MM-DD"),
    "no year": ("{variable}_{date:%m%d}.tif", "R_0301.tif", "date format '%m%d' has no year; add %Y"),
    "no month": ("{variable}_{date:%Y_%d}.tif", "R_2019_03.tif", "has a day but no month; add %m"),
    "two dates": ("{date:%Y}/{variable}_{date}.tif", "2018/R_2019-01-01.tif", "in one place and '2018' in another"),
    "end first": (
        "{variable}_{start}_{end}.tif",
        "R_2019-02-01_2019-01-01.tif",
        "ends on 2019-01-01, before it starts",
    ),
    "week": ("{variable}_{date:%Y-%U}.tif", "R_2019-23.tif", "'2019-23' is not a date"),
    "digits": ("{variable}_{date:%Y%m%d}x.tif", "R_2019115x.tif", "'2019115' is not a date"),
}


@pytest.mark.parametrize("case", NAMES)
def test_a_date_in_a_name_is_read_strictly(tmp_path, case):
    pattern, name, message = NAMES[case]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write(tmp_path / name, full(1))
    with pytest.raises(InputError, match=message):
        open_rasters(root=tmp_path, pattern=pattern, bands=["R"])


def test_a_date_that_a_name_gives_twice_is_read_once(tmp_path):
    (tmp_path / "2019").mkdir()
    write(tmp_path / "2019" / "R_2019060.tif", full(1))
    source = open_rasters(root=tmp_path, pattern="{date:%Y}/{variable}_{date:%Y%j}.tif", bands=["R"])
    assert [str(day)[:10] for day in source.dates(None, None)] == ["2019-03-01"]


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_told_with_its_row(tmp_path, case):
    write(tmp_path / "a.tif", full(1))
    text, message = BAD_TABLES[case]
    (tmp_path / "images.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        open_rasters(root=tmp_path, table="images.csv", bands=None)


def test_a_missing_table_and_neither_table_nor_pattern_are_told(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv: no such table"):
        open_rasters(root=tmp_path, table="nowhere.csv", bands=None)
    with pytest.raises(InputError, match="either table or pattern"):
        open_rasters(root=tmp_path, bands=None)
    with pytest.raises(InputError, match="resampling 'nice' is unknown"):
        open_rasters(root=tmp_path, table="t.csv", bands=None, resampling="nice")


def test_a_parquet_table_with_true_dates_reads_the_same(tmp_path):
    write(tmp_path / "a.tif", np.stack([full(1), full(2)]))
    table = pd.DataFrame(
        {"date": pd.to_datetime(["2019-01-01", "2019-01-01"]), "variable": ["R", "N"], "path": "a.tif", "band": [2, 1]}
    )
    table.to_parquet(tmp_path / "t.parquet")
    source = open_rasters(root=tmp_path, table="t.parquet", bands=["N", "R"])
    assert values(source, "R")[0, 0, 0] == 2
    assert source.dates() == [date(2019, 1, 1)]


REAL = {
    "cbers": (
        {"pattern": "cbers4_awfi_bahia/raster/CB4_64_16D_STK_*_{start:%Y-%m-%d}_{end:%Y-%m-%d}_{variable}.tif", "bands": ["NDVI", "EVI"]},
        23, date(2019, 8, 13), "cbers4_awfi_bahia/raster/CB4_64_16D_STK_022024_2019-08-13_2019-08-28_NDVI.tif", 1, "NDVI", 1.0,
    ),
    "modis jp2": (
        {"pattern": "sits_modis_matogrosso/mod13q1_ndvi/*_{variable}_{date:%Y-%m-%d}.jp2", "nodata": -3000, "bands": ["NDVI"]},
        12, date(2014, 8, 29), "sits_modis_matogrosso/mod13q1_ndvi/TERRA_MODIS_012010_NDVI_2014-08-29.jp2", 1, "NDVI", 1.0,
    ),
    "slovenia bands": (
        {"pattern": "eolearn_slovenia_patch/bands_l1c/S2_L1C_{date:%Y-%m-%d}.tif", "bands": ["B02", "B08"]},
        5, date(2015, 9, 9), "eolearn_slovenia_patch/bands_l1c/S2_L1C_2015-09-09.tif", 8, "B08", 1e4,
    ),
    "slovenia ndvi": (
        {"pattern": "eolearn_slovenia_patch/{variable}_68dates.tif", "bands": ["ndvi"], "mask": "cloud_mask"},
        67, date(2017, 12, 22), "eolearn_slovenia_patch/ndvi_68dates.tif", 68, "ndvi", 1e4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REAL)
def test_real_stacks_are_read_as_they_are(shared_data, case):
    how, number, last, file, band, name, factor = REAL[case]
    source = open_rasters(root=shared_data, **how)
    assert len(source.dates()) == number
    assert source.dates()[-1] == last
    with rasterio.open(shared_data / file) as raster:
        expected = np.rint(raster.read(band, window=((10, 40), (20, 60))).astype("float64") * factor)
    grid = source.geobox[10:40, 20:60]
    assert np.array_equal(source.load(grid, [last], [name])[name].values[0], expected)


def test_a_file_of_many_dates_and_bands_is_described_by_a_table(shared_data, tmp_path):
    path = shared_data / "theia_s2_l3a_bouconne/S2_L3A_Bouconne_2018_7dates_10bands.tif"
    days = ["2018-04-29", "2018-05-13", "2018-07-08"]
    rows = [(day, name, path, 10 * d + b) for d, day in enumerate(days) for b, name in ((3, "B04"), (4, "B08"))]
    pd.DataFrame(rows, columns=["date", "variable", "path", "band"]).to_csv(tmp_path / "t.csv", index=False)
    source = open_rasters(root=tmp_path, table="t.csv", bands=["B04", "B08"])
    with rasterio.open(path) as raster:
        assert np.array_equal(values(source, "B08")[2], raster.read(24))
