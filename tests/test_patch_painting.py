"""Many patches on one grid: first come, first served, and nothing is invented."""

import math

import numpy as np
import pytest
from odc.geo.geobox import GeoBox
from shapely.geometry import box

from landweave.patch.align import nearest_pixels
from landweave.patch.grid import utm_cells
from landweave.patch.painting import Piece, beyond_border, continued, paint, whole_grid

GRID = GeoBox.from_bbox((500_000, 5_000_000, 500_080, 5_000_040), "EPSG:32633", resolution=10)


def piece(geobox, values):
    return Piece(geobox=geobox, read=lambda: values)


def test_the_first_piece_that_has_anything_is_taken_and_a_hole_stays_missing():
    first, second = np.full((1, 4, 5), 1, "uint8"), np.full((1, 4, 5), 2, "uint8")
    first[0, 1, 4] = 0  # the second lies under this pixel
    first[0, 2, 0] = 0  # nothing lies under this one
    expected = np.array([[1, 1, 1, 1, 1, 2, 2, 2]] * 4, "uint8")
    expected[1, 4], expected[2, 0] = 2, 0
    painted = paint([piece(GRID[:, :5], first), piece(GRID[:, 3:], second)], GRID, missing=0)
    np.testing.assert_array_equal(painted, expected[None])
    assert painted.dtype == "uint8"


def test_a_pixel_is_missing_only_where_all_its_bands_are():
    some, other = np.full((2, 4, 8), np.nan, "float32"), np.full((2, 4, 8), 5, "float32")
    some[0, 0, 0] = 1
    painted = paint([piece(GRID, some), piece(GRID, other)], GRID, missing=math.nan)
    assert painted[:, 0, 0].tolist() == pytest.approx([1, math.nan], nan_ok=True)
    assert (painted[:, 1:] == 5).all()


def test_what_is_not_met_is_not_read_and_what_has_other_bands_is_left_out():
    def never():
        raise AssertionError

    away = GeoBox.from_bbox((600_000, 5_000_000, 600_040, 5_000_040), "EPSG:32633", resolution=10)
    assert paint([Piece(geobox=away, read=never)], GRID, missing=0) is None
    assert paint([Piece(geobox=GRID, read=lambda: None)], GRID, missing=0) is None
    three = np.full((3, 4, 8), 9, "int16")
    painted = paint([piece(GRID[:, :4], three[:, :, :4]), piece(GRID, three[:1])], GRID, missing=0)
    assert painted.shape == (3, 4, 8)
    assert (painted[:, :, :4] == 9).all()
    assert (painted[:, :, 4:] == 0).all()


@pytest.fixture(scope="module")
def zones():
    """Cells on either side of 18 degrees east."""
    return utm_cells(box(17.998, 45.999, 18.002, 46.001), resolution=10, patch_size=50)


def own_values(cell, value):
    own = cell.own()
    return np.where(np.ones(cell.geobox.shape, bool) if own is None else own, value, 0).astype("uint8")[None]


def test_two_zones_are_painted_by_the_nearest_pixel_as_a_loop_does_it(zones):
    assert len({cell.geobox.crs for cell in zones}) == 2
    grid = whole_grid((cell.geobox for cell in zones), longest=90)
    layers = [own_values(cell, number) for number, cell in enumerate(zones, start=1)]
    expected = np.zeros((1, *grid.shape), "uint8")
    for cell, layer in zip(zones, layers, strict=True):
        rows, columns, inside = nearest_pixels(cell.geobox, grid)
        for row, column in np.argwhere(inside & (expected[0] == 0)):
            expected[0, row, column] = layer[0, rows[row, column], columns[row, column]]
    assert len(np.unique(expected)) > 2
    painted = paint([piece(c.geobox, layer) for c, layer in zip(zones, layers, strict=True)], grid, missing=0)
    np.testing.assert_array_equal(painted, expected)


def test_pixels_beyond_a_border_close_the_gap_and_replace_no_pixel_of_the_other_zone(zones):
    west = next(cell for cell in zones if not math.isinf(cell.east))
    grid = GeoBox.from_bbox(west.geobox.boundingbox.bbox, west.geobox.crs, resolution=4)
    layers = [own_values(cell, 1 if math.isinf(cell.west) else 2) for cell in zones]
    alone = paint([piece(c.geobox, v) for c, v in zip(zones, layers, strict=True)], grid, missing=0)[0]
    pieces = [Piece(geobox=c.geobox, read=lambda v=v: v, beyond=c) for c, v in zip(zones, layers, strict=True)]
    closed = paint(pieces, grid, missing=0)[0]
    np.testing.assert_array_equal(closed[alone > 0], alone[alone > 0])
    both = [number for number, row in enumerate(alone) if {1, 2} <= set(np.unique(row))]
    gaps = 0
    # Not near the area's own edges, which are ragged.
    for number in both[len(both) // 4 : -len(both) // 4]:
        ends = np.flatnonzero(alone[number])[[0, -1]]
        between = slice(ends[0], ends[1] + 1)
        gaps += (alone[number, between] == 0).sum()
        assert (closed[number, between] > 0).all()
    assert gaps > 0, "without continuation the two grids leave pixels open"


def test_a_cell_that_meets_no_border_continues_nowhere():
    cells = utm_cells(box(15.0, 46.0, 15.004, 46.002), resolution=10, patch_size=50)
    assert [beyond_border(cell) for cell in cells] == [None] * len(cells)


def test_continued_values_are_those_of_the_nearest_own_pixel(zones):
    cell = next(cell for cell in zones if beyond_border(cell) is not None)
    where, _ = beyond_border(cell)
    own = cell.own()
    values = np.where(own, np.arange(own.size).reshape(own.shape) + 1, 0)
    longer = continued(values, beyond_border(cell))
    np.testing.assert_array_equal(longer[~where], values[~where])
    places = np.argwhere(own)
    for at in np.argwhere(where)[::7]:
        nearest = np.hypot(*(places - at).T).min()
        row, column = np.argwhere(values == longer[tuple(at)])[0]
        assert math.dist(at, (row, column)) == pytest.approx(nearest)
