"""The ground: legend, grid, store, strips, units."""

import math
import zipfile

import numpy as np
import pytest
import shapely
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from odc.geo.geobox import GeoBox
from scipy.ndimage import maximum_filter

from landweave.errors import InputError
from landweave.legend import Legend
from landweave.patch.grid import native_cells, projected_cells, read_area, subset, utm_cells
from landweave.patch.model import NODATA, check_patch, from_int16, make_patch, saturated, to_int16
from landweave.patch.store import read_patch, read_points, write_patch, write_raster, write_whole
from landweave.patch.strips import map_strips
from landweave.runs.ledger import fingerprint_of
from landweave.training.blocks import count_classes, unit_ids

LEGEND = """
ignore = [1600]
[[class]]
value = 7
name = "forest"
color = "#008000"
codes = [2000, "2001"]
[[class]]
value = 2
name = "water"
color = "#0000ff"
"""


def legend(tmp_path, text=LEGEND):
    path = tmp_path / "legend.toml"
    path.write_text(text)
    return Legend.read(path)


def test_codes_become_classes_whatever_their_type(tmp_path):
    codes = [2000, 2000.0, "2000", " 2001 ", "water", 2, 1600, None, float("nan"), 4711, "4711", ""]
    values, unknown = legend(tmp_path).translate(codes)
    assert values.tolist() == [7, 7, 7, 7, 2, 2, 0, 0, 0, 0, 0, 0]
    assert unknown == {"4711": 2}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("value = 2", "value = 7", "value 7 for more than one class"),
        ('"water"', '"forest"', "name 'forest' for more than one"),
        ("[2000, ", '["water", ', "code 'water' for more than one"),
        ("value = 2", "value = 0", "1 to 255"),
        ("value = 2", "value = 256", "1 to 255"),
        ("#0000ff", "blue", "#rrggbb"),
        ("value = 2", 'value = "2"', "whole number"),
        ("ignore = [1600]", "ignore = [2000]", "both ignores and uses code '2000'"),
        ("ignore", "ignored", "unknown key 'ignored'"),
        ("[[class]]", "[class", "TOML"),
    ],
)
def test_a_legend_that_makes_no_sense_is_refused_with_its_file(tmp_path, before, after, message):
    with pytest.raises(InputError, match=f"legend.toml.*{message}"):
        legend(tmp_path, LEGEND.replace(before, after))


@given(stn.arrays("float64", st.integers(1, 30), elements=st.floats(-3.2767, 3.2767)))
def test_int16_keeps_reflectance_to_half_a_unit(values):
    back = from_int16(to_int16(values), dtype="float64")
    assert np.abs(back - values).max() <= 0.5e-4 + 1e-12


def test_int16_rounds_half_to_even_saturates_and_keeps_missing():
    units = to_int16(np.array([0.5, 1.5, 2.5, -0.5, 1e9, -1e9, np.nan, np.inf]), scale=1.0)
    assert units.tolist() == [0, 2, 2, 0, 32767, -32767, NODATA, NODATA]
    assert saturated(units) == 2
    assert np.isnan(from_int16(units)[-2:]).all()


def test_a_patch_says_what_it_lacks():
    patch = make_patch(
        {"B04": np.zeros((1, 2, 2), "int16")},
        GeoBox.from_bbox((0, 0, 20, 20), "EPSG:32633", resolution=10),
        ["2020-01-01"],
    )
    check_patch(patch, "B04")
    with pytest.raises(InputError, match="lacks \\['B08'\\]; it holds \\['B04'\\]"):
        check_patch(patch, "B08")


@given(st.floats(12.2, 17), st.floats(-60, 60), st.floats(0.01, 0.6), st.floats(0.01, 0.4))
def test_utm_cells_of_a_zone_cover_the_area_once(west, south, width, height):
    area = shapely.box(west, south, min(west + width, 17.9), south + height)
    cells = utm_cells(area, resolution=10, patch_size=1000)
    crs = {cell.geobox.crs.epsg for cell in cells}
    assert crs == {32633 if south + height / 2 >= 0 else 32733}
    outline = cells[0].geobox.crs
    from odc.geo.geom import Geometry

    shape = Geometry(area.segmentize(0.05), "EPSG:4326").to_crs(outline).geom
    squares = [cell.geobox.extent.geom for cell in cells]
    assert shapely.union_all(squares).buffer(1).covers(shape)
    assert math.isclose(sum(s.area for s in squares), shapely.union_all(squares).area, rel_tol=1e-9)
    assert all(s.intersects(shape) for s in squares)
    assert all(cell.geobox.shape == (1000, 1000) for cell in cells)


def test_a_cell_keeps_its_name_and_place_when_the_area_grows():
    small = {c.name: c.geobox for c in utm_cells(shapely.box(14.4, 45.8, 14.5, 45.9))}
    large = {c.name: c.geobox for c in utm_cells(shapely.box(14.2, 45.6, 14.9, 46.2), buffer=3000)}
    assert small.items() <= large.items()


def test_an_area_on_the_border_of_two_zones_has_cells_of_both():
    cells = utm_cells(shapely.box(11.95, 46, 12.05, 46.05), patch_size=100)
    assert {cell.name[:3] for cell in cells} == {"32N", "33N"}
    assert len({cell.name for cell in cells}) == len(cells)


@pytest.mark.parametrize("box", [(-181, 0, -179, 1), (170, 0, 190, 1), (0, 83, 1, 85), (0, -81, 1, -79)])
def test_areas_where_utm_ends_are_refused(box):
    with pytest.raises(InputError, match=r"antimeridian|UTM ends"):
        utm_cells(shapely.box(*box))


def test_a_grid_in_degrees_is_refused():
    with pytest.raises(InputError, match="metres"):
        projected_cells(shapely.box(14, 46, 15, 47), crs="EPSG:4326")


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 40))
def test_native_cells_tile_the_imagery_without_gap_or_overlap(height, width, size):
    grid = GeoBox((height, width), GeoBox.from_bbox((0, 0, 10, 10), "EPSG:32633", resolution=10).affine, "EPSG:32633")
    count = np.zeros((height, width), int)
    for cell in native_cells(grid, patch_size=size):
        left, top = (round(v) for v in ~grid.affine * (cell.geobox.affine * (0, 0)))
        rows, columns = cell.geobox.shape
        count[top : top + rows, left : left + columns] += 1
    assert (count == 1).all()


def test_a_subset_is_the_block_around_its_centre():
    cells = projected_cells(shapely.box(14.4, 45.8, 15, 46.2), crs="EPSG:32633", patch_size=500)
    assert len(subset(cells, center=(14.7, 46.0), size="3x3")) == 9
    assert len(subset(cells, center=(14.7, 46.0), size="2x1")) == 2
    with pytest.raises(InputError, match="no patch"):
        subset(cells, center=(0, 0), size="3x3")
    with pytest.raises(InputError, match="3x3"):
        subset(cells, center=(14.7, 46.0), size="three")


def test_an_outline_without_crs_or_shape_is_refused(tmp_path):
    import geopandas as gpd

    gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)]).to_file(tmp_path / "a.gpkg")
    with pytest.raises(InputError, match=r"a\.gpkg.*no CRS"):
        read_area(tmp_path / "a.gpkg")
    with pytest.raises(InputError, match="no such file"):
        read_area(tmp_path / "b.gpkg")


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")

    def fail(part):
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def small_patch():
    grid = GeoBox.from_bbox((500_000, 5_000_000, 500_700, 5_000_500), "EPSG:32633", resolution=10)
    rng = np.random.default_rng(0)
    bands = rng.integers(-500, 9000, (3, *grid.shape)).astype("int16")
    return make_patch(
        {"B04": bands, "SCL": (bands % 12).astype("uint8")}, grid, ["2020-01-01", "2020-02-01", "2020-03-01"]
    )


def test_a_stored_patch_reads_back_equal_and_writes_the_same_bytes_twice(tmp_path):
    patch = small_patch()
    one, two = write_patch(patch, tmp_path / "a.zarr"), write_patch(patch, tmp_path / "b.zarr")
    xr.testing.assert_equal(read_patch(one).load(), patch)
    assert read_patch(one).B04.dtype == "int16"
    assert read_patch(one).odc.geobox == patch.odc.geobox
    assert fingerprint_of(one) == fingerprint_of(two)
    write_patch(patch, one)
    assert fingerprint_of(one) == fingerprint_of(two)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zarr", "b.zarr"]
    with pytest.raises(InputError, match="no patch"):
        read_patch(tmp_path / "c.zarr")
    assert not zipfile.is_zipfile(one / "zarr.json")


def test_points_are_read_where_they_lie(tmp_path):
    grid = GeoBox.from_bbox((0, 0, 30, 20), "EPSG:32633", resolution=10)
    write_raster(tmp_path / "a.tif", np.arange(6, dtype="uint8").reshape(1, 2, 3), grid)
    assert read_points(tmp_path / "a.tif", [5, 25, 99], [15, 5, 5]).tolist() == [0, 5, 0]


@given(st.integers(1, 40), st.integers(1, 45), st.integers(0, 2**32 - 1))
def test_strips_with_a_halo_equal_the_whole(height, strip, seed):
    image = np.random.default_rng(seed).random((2, height, 7))
    whole = maximum_filter(image, (0, 3, 3), mode="nearest")
    out = np.zeros_like(image)

    def write(rows, part):
        out[:, rows] = part

    map_strips(
        lambda rows: image[:, rows],
        lambda a: maximum_filter(a, (0, 3, 3), mode="nearest"),
        write=write,
        height=height,
        strip=strip,
        halo=1,
    )
    np.testing.assert_array_equal(out, whole)


@given(st.integers(1, 30), st.integers(1, 30), st.sampled_from([1, 2]), st.integers(0, 99))
def test_units_share_out_every_labelled_pixel(height, width, cut, seed):
    labels = np.random.default_rng(seed).integers(0, 4, (height, width)).astype("uint8")
    counts = count_classes(labels, unit_ids(labels.shape, cut), patch="p", cut=cut)
    assert sum(sum(part.values()) for part in counts.values()) == np.count_nonzero(labels)
    assert len(counts) <= cut * cut
