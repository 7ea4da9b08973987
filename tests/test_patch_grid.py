"""Cells: where they lie, whatever the area, its buffer and its zones."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from odc.geo.geom import Geometry

from landweave.errors import InputError
from landweave.patch.area import read_area
from landweave.patch.grid import Cell, given_cells, native_cells, projected_cells, subset, utm_cells

# In steps of a tenth of a metre: numbers next to zero that no map holds are geometry libraries' business.
LATITUDES = st.integers(-70_000_000, 70_000_000).map(lambda millionths: millionths / 1e6)


def moved(shape, crs):
    return Geometry(shape.segmentize(0.05), "EPSG:4326").to_crs(crs).geom


@given(st.floats(12.3, 17.4), LATITUDES, st.floats(0.01, 0.3), st.sampled_from([0.0, 300.0, 5000.0]))
def test_the_buffered_area_is_covered_and_no_cell_lies_beyond_it(west, south, size, buffer):
    area = shapely.box(west, south, west + size, south + size)
    cells = utm_cells(area, resolution=20, patch_size=200, buffer=buffer)
    shape = moved(area, cells[0].geobox.crs).buffer(buffer)
    squares = shapely.union_all([cell.geobox.extent.geom for cell in cells])
    assert squares.buffer(0.5).covers(shape)
    assert all(cell.geobox.extent.geom.intersects(shape) for cell in cells)
    assert len({cell.name for cell in cells}) == len(cells)


@given(st.floats(11.8, 11.999), st.floats(12.001, 12.2), LATITUDES, st.integers(0, 2**32 - 1))
@settings(max_examples=15)
def test_ground_on_the_border_of_two_zones_belongs_to_exactly_one_cell(west, east, south, seed):
    area = shapely.box(west, south, east, south + 0.05)
    cells = utm_cells(area, resolution=100, patch_size=20)
    owned = [(cell, cell.own()) for cell in cells]
    rng = np.random.default_rng(seed)
    for lon, lat in zip(rng.uniform(west, east, 40), rng.uniform(south, south + 0.05, 40), strict=True):
        if abs(lon - 12) * 111_000 * np.cos(np.radians(lat)) < 150:
            continue  # on the pixel row of the border itself the pixel's centre decides
        owners = 0
        for cell, own in owned:
            x, y = moved(shapely.Point(lon, lat), cell.geobox.crs).coords[0]
            column, row = ~cell.geobox.affine * (x, y)
            inside = 0 <= row < cell.geobox.shape[0] and 0 <= column < cell.geobox.shape[1]
            owners += inside and (own is None or bool(own[int(row), int(column)]))
        assert owners == 1, (lon, lat)


@pytest.mark.parametrize(("west", "east", "zones"), [(11.9, 12, {"32N"}), (12, 12.1, {"33N"}), (6, 12, {"32N"})])
def test_an_area_that_ends_on_a_zones_border_stays_in_its_zone(west, east, zones):
    cells = utm_cells(shapely.box(west, 46, east, 46.05), resolution=100)
    assert {cell.name[:3] for cell in cells} == zones


@pytest.mark.parametrize("lon", [12.0, 14.3, 180.0, -180.0])
def test_a_point_with_a_buffer_is_an_area(lon):
    cells = utm_cells(shapely.Point(lon, 46.0), patch_size=500, buffer=100)
    assert 1 <= len(cells) <= 4


@pytest.mark.parametrize("shape", [shapely.Point(14, 46), shapely.LineString([(14, 46), (14.1, 46)])])
def test_an_area_without_extent_or_buffer_is_refused(shape):
    with pytest.raises(InputError, match="buffer"):
        utm_cells(shape)


def test_the_southern_half_has_its_own_zones():
    (cell,) = utm_cells(shapely.box(-41.01, -12.01, -41.0, -12.0), patch_size=2000)[:1]
    assert cell.geobox.crs.epsg == 32724
    assert cell.name.startswith("24S_")
    assert cell.geobox.boundingbox.bottom > 0


def test_cells_left_and_below_of_the_origin_have_names_too():
    cells = projected_cells(shapely.box(-0.2, -0.2, 0.2, 0.2), crs="EPSG:3857", resolution=10, patch_size=1000)
    assert {"xm0001ym0001", "x0000y0000", "xm0001y0000", "x0000ym0001"} <= {cell.name for cell in cells}


def test_every_cell_snaps_to_multiples_of_its_side():
    for cell in utm_cells(shapely.box(14.4, 45.8, 14.6, 46.0), resolution=10, patch_size=300):
        box = cell.geobox.boundingbox
        assert box.left % 3000 == 0
        assert box.bottom % 3000 == 0
        assert cell.geobox.resolution.x == 10


@pytest.mark.parametrize(("resolution", "size"), [(0, 500), (-10, 500), (10, 0)])
def test_a_grid_without_pixels_is_refused(resolution, size):
    with pytest.raises(InputError, match="must be positive"):
        utm_cells(shapely.box(14, 46, 14.1, 46.1), resolution=resolution, patch_size=size)


def test_an_empty_area_is_refused():
    with pytest.raises(InputError, match="empty"):
        utm_cells(shapely.Polygon())


def native(height, width):
    return GeoBox.from_bbox(
        (500_000, 5_000_000, 500_000 + 10 * width, 5_000_000 + 10 * height), "EPSG:32633", resolution=10
    )


@given(st.integers(101, 340), st.integers(101, 340), st.integers(1, 4), st.integers(1, 4), st.data())
def test_a_subset_of_the_imagerys_own_grid_is_the_block_around_its_centre(height, width, columns, rows, data):
    cells = {cell.name: cell for cell in native_cells(native(height, width), patch_size=100)}
    n_rows, n_columns = -(-height // 100), -(-width // 100)
    row, column = data.draw(st.integers(0, n_rows - 1)), data.draw(st.integers(0, n_columns - 1))
    middle = cells[f"x{column:04d}y{row:04d}"]
    center = middle.geobox.extent.centroid.to_crs("EPSG:4326").coords[0]
    chosen = subset(list(cells.values()), center=center, size=f"{columns}x{rows}")
    names = {
        f"x{x:04d}y{y:04d}"
        for x in range(max(0, column - columns // 2), min(n_columns, column + (columns + 1) // 2))
        for y in range(max(0, row - rows // 2), min(n_rows, row + (rows + 1) // 2))
    }
    assert {cell.name for cell in chosen} == names


def test_native_cells_away_from_the_area_are_left_out():
    grid = native(300, 300)
    inner = grid[120:130, 120:130].geographic_extent.geom
    assert [cell.name for cell in native_cells(grid, patch_size=100, area=inner)] == ["x0001y0001"]
    assert len(native_cells(grid, patch_size=100, area=inner, buffer=1000)) == 9
    with pytest.raises(InputError, match="do not overlap"):
        native_cells(grid, area=shapely.box(0, 0, 1, 1))


def test_an_outline_in_another_crs_is_moved_mended_and_joined(tmp_path):
    import geopandas as gpd

    bow_tie = shapely.Polygon([(0, 0), (1000, 1000), (1000, 0), (0, 1000)])
    shapes = [
        shapely.transform(bow_tie, lambda c: c + np.array([500_000, 5_000_000])),
        None,
        shapely.Point(500_500, 5_000_500),
    ]
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:32633").to_file(tmp_path / "area.gpkg")
    area = read_area(tmp_path / "area.gpkg")
    assert area.is_valid
    assert area.bounds == pytest.approx((15.0, 45.153, 15.013, 45.162), abs=2e-3)
    (tmp_path / "area.geojson").write_text("{}")
    with pytest.raises(InputError, match=r"area\.geojson") as caught:
        read_area(tmp_path / "area.geojson")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("slip", [0.0, 1e-7, -1e-7])
def test_which_pixels_an_area_holds_does_not_depend_on_the_size_of_cells(slip):
    """Also where its edge runs along edges of pixels, but for rounding."""
    # West and south lie on borders of cells of 25 pixels, not of 40.
    box = shapely.box(500_250 + slip, 5_000_250 - slip, 501_130, 5_001_070)
    area = shapely.Polygon(zip(*Geometry(box, "EPSG:32633").to_crs("EPSG:4326").geom.exterior.xy, strict=True))
    found = []
    for size in (25, 40, 73):
        held = set()
        for cell in projected_cells(area, crs="EPSG:32633", patch_size=size):
            inside = cell.inside()
            rows, columns = np.nonzero(np.ones(cell.geobox.shape, bool) if inside is None else inside)
            x, y = cell.geobox.affine * (columns + 0.5, rows + 0.5)
            held |= set(zip(np.round(x).astype(int).tolist(), np.round(y).astype(int).tolist(), strict=True))
        found.append(held)
    assert found[0] == found[1] == found[2]
    assert 88 * 82 <= len(found[0]) <= 90 * 84


def has_pixels(cell):
    inside = cell.inside()
    return inside is None or inside.any()


@settings(max_examples=25)
@given(st.floats(17.97, 17.999), st.floats(18.0005, 18.03), st.floats(-60, 60))
@example(17.97, 18.01918771840312, 18.01918771840312)  # the area touches a cell and holds none of its pixels
def test_patches_of_two_zones_given_back_are_what_they_were(west, east, south):
    area = shapely.Polygon([(west, south), (east, south + 0.003), (east, south + 0.02), (west, south + 0.015)])
    # Whether a cell is touched that holds no pixel of the area, rounding decides; nothing of it is mapped.
    cells = [cell for cell in utm_cells(area, resolution=20, patch_size=30) if has_pixels(cell)]
    again = [cell for cell in given_cells({cell.name: cell.geobox for cell in cells}, area=area) if has_pixels(cell)]
    assert [cell.name for cell in again] == [cell.name for cell in cells]
    for cell, other in zip(cells, again, strict=True):
        for pixels in (type(cell).inside, type(cell).own, type(cell).mapped):
            one, two = (np.ones(cell.geobox.shape, bool) if of is None else of for of in map(pixels, (cell, other)))
            np.testing.assert_array_equal(one, two)


def test_outlines_in_degrees_bend_as_the_borders_of_patches_do_and_keep_to_their_own_zone(tmp_path):
    from types import SimpleNamespace

    from landweave.runs.mapping.grid import write_grid

    squares = [square("EPSG:32633", 450_000), square("EPSG:32634", 350_000), square("EPSG:4326", 14, 0.0001)]
    cells = [Cell(name=f"x{n:04}y0000", geobox=geobox) for n, geobox in enumerate(squares)]

    write_grid(SimpleNamespace(folder=tmp_path), cells, roles={}, states={})

    drawn = gpd.read_file(tmp_path / "grid.gpkg").geometry.to_numpy()
    exact = np.array([geobox.geographic_extent.geom for geobox in squares], object)
    assert shapely.hausdorff_distance(drawn, exact, densify=0.01).max() < 2e-8  # degrees: 2 mm


def square(crs, left, pixel=10.0):
    return GeoBox((500, 500), Affine(pixel, 0, left, 0, -pixel, 5_000_000 if pixel == 10 else 46), crs)
