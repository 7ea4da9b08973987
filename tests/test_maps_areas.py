"""How large pixels are, what a map holds of each class, and which pixels are drawn from it."""

from collections import Counter

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Proj
from shapely.geometry import box
from worlds import CORNER, write_tif

from landweave.errors import InputError
from landweave.maps.areas import PixelAreas, count_classes, open_map
from landweave.maps.stratified_sample import draw_pixels


def geodesic_area(crs, transform, row, column, size):
    """Area on the ellipsoid of a square of pixels, its edges followed in small steps (Karney 2013)."""
    crs = CRS(crs)
    along = np.linspace(0, size, 41)
    near, far = np.zeros(40), np.full(40, size)
    xs = np.concatenate([along[:-1], far, along[:0:-1], near]) + column
    ys = np.concatenate([near, along[:-1], far, along[:0:-1]]) + row
    x, y = transform * (xs, ys)
    if crs.is_geographic:
        longitude, latitude = (np.degrees(v * crs.axis_info[0].unit_conversion_factor) for v in (x, y))
    else:
        longitude, latitude = Proj(crs)(x, y, inverse=True)
    return abs(crs.get_geod().polygon_area_perimeter(longitude, latitude)[0])


GRIDS = {
    "UTM": ("EPSG:32633", (15, 46), 10, 0),
    "UTM, far from its meridian": ("EPSG:32633", (20, 62), 20, 0),
    "UTM, turned": ("EPSG:32633", (15, 46), 10, 20),
    "a national grid": ("EPSG:3794", (15, 46), 10, 0),
    "US survey feet": ("EPSG:2263", (-74, 40.8), 33, 0),
    "Paris meridian, grads": ("EPSG:27572", (2, 46), 10, 0),
    "equal area": ("EPSG:3035", (15, 46), 100, 0),
    "web Mercator, far north": ("EPSG:3857", (15, 70), 30, 0),
    "beside the pole": ("EPSG:3413", (-40, 89.9), 300, 0),
    "a sphere": ("+proj=sinu +R=6371007.181", (10, 45), 500, 0),
    "a projection that is not smooth": ("ESRI:54030", (15, 46), 1000, 0),
    "degrees": ("EPSG:4326", (15, 46), 0.001, 0),
    "degrees, turned": ("EPSG:4326", (15, 46), 0.001, 10),
    "grads": ("EPSG:4807", (2, 51), 0.001, 0),
}


@pytest.mark.parametrize("name", GRIDS)
def test_pixels_have_their_true_area_to_a_millionth_in_any_crs(name):
    crs, place, step, turn = GRIDS[name]
    x, y = place if CRS(crs).is_geographic else Proj(crs)(*place)
    transform = Affine(step, 0, x, 0, -step, y) * Affine.rotation(turn)
    # Twenty pixels or more, since the geodesic polygons themselves are only so exact.
    shape, size = (3000, 4000), 40
    areas = PixelAreas(crs, transform, shape)
    for row, column in ((0, 0), (0, 3900), (1700, 2100), (2950, 0), (2950, 3950)):
        window = areas.window(slice(row, row + size), slice(column, column + size))
        mine = np.broadcast_to(window, (size, size)).sum()
        assert mine == pytest.approx(geodesic_area(crs, transform, row, column, size), rel=1e-7), (row, column)
        np.testing.assert_allclose(areas.at(np.array([row]), np.array([column])), window[0, 0], rtol=1e-12)


def test_all_rows_of_degrees_make_the_whole_earth():
    areas = PixelAreas("EPSG:4326", Affine(0.5, 0, -180, 0, -0.5, 90), (360, 720))
    whole = areas.window(slice(0, 360), slice(0, 720)).sum() * 720
    assert whole == pytest.approx(510_065_621.724e6, rel=1e-9)  # square metres, WGS 84 (Moritz 2000)


def test_a_map_in_pixels_of_a_hundred_square_metres_is_not_taken_at_its_word(tmp_path):
    """At the edge of a UTM zone a pixel is 0.08 % smaller than on paper, at its middle 0.08 % larger."""
    west = write_tif(tmp_path / "west.tif", np.ones((10, 10), "uint8"), transform=Affine(10, 0, 250_000, 0, -10, 5e6))
    middle = write_tif(
        tmp_path / "middle.tif", np.ones((10, 10), "uint8"), transform=Affine(10, 0, 500_000, 0, -10, 5e6)
    )
    assert count_classes(open_map(west)).areas[1] < 10_000 < count_classes(open_map(middle)).areas[1]
    assert count_classes(open_map(middle)).areas[1] == pytest.approx(10_000 / 0.9996**2, rel=1e-6)


def a_map(path, *, seed=0, shape=(120, 90), **options):
    values = np.random.default_rng(seed).choice([0, 2, 7, 9], shape, p=[0.1, 0.6, 0.28, 0.02]).astype("uint8")
    write_tif(path, values, **options)
    return values


def test_what_a_map_holds_is_counted_whatever_the_strips(tmp_path):
    values = a_map(tmp_path / "map.tif")
    grid = open_map(tmp_path / "map.tif")
    counted = count_classes(grid)
    assert counted.pixels == {int(v): int(n) for v, n in Counter(values[values > 0].tolist()).items()}
    assert list(counted.areas) == [2, 7, 9]
    for strip in (1, 7, 1000):
        again = count_classes(grid, strip=strip)
        assert again.pixels == counted.pixels
        assert again.fingerprint == counted.fingerprint
        assert again.areas == pytest.approx(counted.areas, rel=1e-12)


def test_the_fingerprint_is_that_of_the_pixels_and_not_of_the_file(tmp_path):
    values = a_map(tmp_path / "map.tif")
    first = count_classes(open_map(tmp_path / "map.tif")).fingerprint
    with rasterio.open(
        tmp_path / "tiled.tif", "w", driver="GTiff", count=1, height=120, width=90, dtype="uint8", crs="EPSG:32633",
        transform=CORNER, tiled=True, blockxsize=32, blockysize=16, compress="deflate",
    ) as file:  # fmt: skip
        file.write(values, 1)
    assert count_classes(open_map(tmp_path / "tiled.tif")).fingerprint == first
    write_tif(tmp_path / "moved.tif", values, transform=CORNER * Affine.translation(1, 0))
    assert count_classes(open_map(tmp_path / "moved.tif")).fingerprint != first
    values[5, 5] = 9 if values[5, 5] != 9 else 7
    write_tif(tmp_path / "changed.tif", values)
    assert count_classes(open_map(tmp_path / "changed.tif")).fingerprint != first


def test_zones_are_measured_where_the_map_has_a_class(tmp_path):
    values = a_map(tmp_path / "map.tif")
    west = box(500_000, 5_000_000, 500_300, 5_100_000)
    counted = count_classes(open_map(tmp_path / "map.tif"), zones=[west, box(0, 0, 1, 1)], strip=50)
    assert counted.zone_areas[0] == pytest.approx(np.count_nonzero(values[:, :30]) * 100 / 0.9996**2, rel=1e-6)
    assert counted.zone_areas[1] == 0


def test_a_nodata_value_other_than_0_is_no_class(tmp_path):
    values = np.array([[255, 1], [1, 2]], "uint8")
    write_tif(tmp_path / "map.tif", values, nodata=255)
    assert count_classes(open_map(tmp_path / "map.tif")).pixels == {1: 2, 2: 1}
    write_tif(tmp_path / "wide.tif", np.array([[-9999, 1], [1, 2]], "int16"), nodata=-9999)
    assert count_classes(open_map(tmp_path / "wide.tif")).pixels == {1: 2, 2: 1}


@pytest.mark.parametrize(
    ("values", "options", "told"),
    [
        (np.ones((2, 2), "float32"), {}, "a map of classes needs uint8 values, not float32"),
        (np.full((2, 2), 300, "int16"), {}, "value 300 is not a class"),
        (np.ones((2, 2), "uint8"), {"crs": None}, "no coordinate reference system"),
    ],
)
def test_what_is_no_map_of_classes_is_refused(tmp_path, values, options, told):
    path = write_tif(tmp_path / "map.tif", values, **options)
    with pytest.raises(InputError, match=told):
        count_classes(open_map(path))
    with pytest.raises(InputError, match="not readable as a map"):
        open_map(tmp_path / "nothing.tif")


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 200))
def test_the_same_seed_draws_the_same_pixels_whatever_the_strips(tmp_path_factory, seed, strip):
    folder = tmp_path_factory.mktemp("draw")
    values = a_map(folder / "map.tif", seed=seed % 7)
    grid = open_map(folder / "map.tif")
    pixels = count_classes(grid).pixels
    sizes = {2: 40, 7: 30, 9: pixels[9]}
    whole = draw_pixels(grid, sizes, pixels=pixels, seed=seed)
    strips = draw_pixels(grid, sizes, pixels=pixels, seed=seed, strip=strip)
    for name in ("stratum", "row", "column"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(strips, name))
    assert (values[whole.row, whole.column] == whole.stratum).all()
    assert len(set(zip(whole.row.tolist(), whole.column.tolist(), strict=True))) == 70 + pixels[9]
    assert Counter(whole.stratum.tolist()) == sizes
    # The draw of one class does not depend on the others.
    alone = draw_pixels(grid, {7: 30}, pixels=pixels, seed=seed)
    places = {(r, c) for s, r, c in zip(whole.stratum, whole.row, whole.column, strict=True) if s == 7}
    assert set(zip(alone.row, alone.column, strict=True)) == places


def test_every_pixel_of_a_class_is_as_likely_and_the_order_tells_nothing(tmp_path):
    values = np.repeat([[1] * 10, [2] * 10], 1, axis=0).astype("uint8")
    write_tif(tmp_path / "map.tif", values)
    grid = open_map(tmp_path / "map.tif")
    hits, first = np.zeros((2, 10)), Counter()
    for seed in range(150):
        drawn = draw_pixels(grid, {1: 3, 2: 3}, pixels={1: 10, 2: 10}, seed=seed)
        np.add.at(hits, (drawn.row, drawn.column), 1)
        first[int(drawn.stratum[0])] += 1
    # 150 draws with probability 0.3: mean 45, standard deviation 5.6; of 0.5: 75 and 6.1.
    assert np.abs(hits - 45).max() < 4.5 * 5.6
    assert abs(first[1] - 75) < 4.5 * 6.1


def test_more_pixels_than_there_are_cannot_be_drawn(tmp_path):
    a_map(tmp_path / "map.tif")
    grid = open_map(tmp_path / "map.tif")
    with pytest.raises(InputError, match=r"5000 pixels of class 9 are requested, but it has \d+"):
        draw_pixels(grid, {9: 5000}, pixels=count_classes(grid).pixels, seed=1)
    with pytest.raises(InputError, match="changed while it was read"):
        draw_pixels(grid, {9: 5}, pixels={9: 10**6}, seed=1)
