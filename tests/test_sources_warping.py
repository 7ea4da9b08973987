"""Pixels on other grids: our kernels against GDAL's."""

import os

import numpy as np
import pytest
import rasterio
from affine import Affine
from odc.geo.geobox import GeoBox

from landweave.sources.files.opened import grid_of, header_at
from landweave.sources.pixels import read_on, read_reflectance, to_reflectance
from landweave.sources.scene_files import head_of
from landweave.sources.warping import warp

SIZES = {10: 240, 20: 120, 60: 40}
LEFT, TOP = 727_560, 5_103_720


def tile(metres):
    side = SIZES[metres]
    return GeoBox((side, side), Affine(metres, 0, LEFT, 0, -metres, TOP), "EPSG:32633")


TARGETS = {
    "a part": GeoBox((70, 90), Affine(10, 0, LEFT + 200, 0, -10, TOP - 300), "EPSG:32633"),
    "beyond a corner": GeoBox((60, 50), Affine(10, 0, LEFT - 100, 0, -10, TOP + 120), "EPSG:32633"),
    "not aligned": GeoBox((60, 50), Affine(10, 0, LEFT - 97, 0, -10, TOP + 123), "EPSG:32633"),
    "finer": GeoBox((60, 50), Affine(7, 0, LEFT + 900, 0, -7, TOP - 800), "EPSG:32633"),
    # Not through the middles of source pixels: there GDAL's rounding chooses among kernels.
    "south up": GeoBox((60, 50), Affine(10, 0, LEFT + 6, 0, 10, TOP - 700), "EPSG:32633"),
    "rotated": GeoBox((60, 50), Affine(8, 6, LEFT + 700, 6, -8, TOP - 700), "EPSG:32633"),
    "one column": GeoBox((60, 1), Affine(10, 0, LEFT + 300, 0, -10, TOP - 700), "EPSG:32633"),
    "another zone": GeoBox((70, 300), Affine(10, 0, 262_500, 0, -10, 5_103_000), "EPSG:32634"),
    "degrees": GeoBox((80, 90), Affine(1e-4, 0, 17.945, 0, -1e-4, 46.05), "EPSG:4326"),
    "nowhere": GeoBox((5, 6), Affine(10, 0, LEFT + 90_000, 0, -10, TOP), "EPSG:32633"),
}


@pytest.mark.parametrize("metres", SIZES)
@pytest.mark.parametrize("target", TARGETS)
def test_every_pixel_is_the_one_that_gdal_makes(metres, target, monkeypatch):
    source, grid, dice = tile(metres), TARGETS[target], np.random.default_rng(metres)
    start, shape = warp.touching(source, grid)
    values = dice.integers(1, 9000, shape).astype("float64")
    holes = values.copy()
    holes[dice.random(shape) < 0.02] = np.nan
    holes[shape[0] // 3 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = np.nan
    given = [(numbers, method) for numbers in (values, holes) for method in ("nearest", "bilinear", "cubic")]
    ours = [warp.warped(numbers, source, start, grid, method) for numbers, method in given]
    assert all(warp._lines(source, piece) is not None for piece, _, _ in warp._pieces(source, grid))
    monkeypatch.setattr(warp, "_lines", lambda *_: None)
    for (numbers, method), found in zip(given, ours, strict=True):
        expected = warp.warped(numbers, source, start, grid, method)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
        units = [to_reflectance(made, scale=1e-4, offset=-0.1) for made in (found, expected)]
        np.testing.assert_array_equal(*units)
    assert np.isfinite(ours[0]).any() == (target != "nowhere")


@pytest.mark.parametrize(("metres", "step"), [(30, 10), (60, 20), (60, 10), (0.6, 0.2), (20, 20)])
@pytest.mark.parametrize("south_up", [False, True])
def test_a_pixel_on_a_border_does_not_depend_on_the_window(metres, step, south_up):
    dice = np.random.default_rng(int(metres * 10 + step))
    sign = 1 if south_up else -1
    for _ in range(4):
        # The middles of target pixels lie on all four borders of the source.
        column, row = dice.integers(100_000, 400_000), sign * dice.integers(100_000, 400_000)
        side = 12 * round(metres / step)
        left, top = (column + 20.5) * step, (row + 16.5) * step * sign
        source = GeoBox((12, 12), Affine(metres, 0, left, 0, sign * metres, top), "EPSG:32633")
        grid = GeoBox(
            (side + 40, side + 50), Affine(step, 0, column * step, 0, step * sign, row * step * sign), "EPSG:32633"
        )
        values = dice.integers(1, 9000, source.shape).astype("float64")
        values[dice.random(source.shape) < 0.05] = np.nan
        there = np.zeros(grid.shape, bool)
        there[16 : 16 + side, 20 : 20 + side] = True
        for method in ("nearest", "bilinear", "cubic"):
            whole = warp.warped(values, source, (0, 0), grid, method)
            assert not np.isfinite(whole[~there]).any()
            if method == "nearest":
                across = (np.arange(side)[:, None] * 12 // side, np.arange(side) * 12 // side)
                np.testing.assert_array_equal(whole[there].reshape(side, side), values[across])
            for _ in range(6):
                y, x = dice.integers(0, 17), dice.integers(0, 21)
                crop = grid[y : y + side + 5, x : x + side + 7]
                start, shape = warp.touching(source, crop)
                part = values[start[0] : start[0] + shape[0], start[1] : start[1] + shape[1]]
                found = warp.warped(part, source, start, crop, method)
                np.testing.assert_allclose(found, whole[y : y + side + 5, x : x + side + 7], rtol=0, atol=1e-2)


def test_what_gdal_alone_knows_is_left_to_it():
    lambert = GeoBox((20, 300), Affine(10, 0, 4_940_000, 0, -10, 2_570_000), "EPSG:3035")
    assert all(warp._lines(tile(10), piece) is None for piece, _, _ in warp._pieces(tile(10), lambert))
    world = GeoBox((180, 360), Affine(1, 0, -180, 0, -1, 90), "EPSG:4326")
    arctic = GeoBox((9, 300), Affine(50_000, 0, -7_500_000, 0, -50_000, 200_000), "EPSG:3995")
    assert any(warp._lines(world, piece) is None for piece, _, _ in warp._pieces(world, arctic)), "rows are straight"
    infinite = np.full(tile(10).shape, np.inf)
    found = warp.warped(infinite, tile(10), (0, 0), TARGETS["another zone"], "cubic")
    assert not np.isfinite(found).any()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "float32"])
@pytest.mark.parametrize("hidden", [False, True])
def test_numbers_of_any_type_become_reflectance(tmp_path, dtype, hidden):
    numbers = np.arange(120).reshape(10, 12).astype(dtype)
    grid = GeoBox((10, 12), Affine(10, 0, LEFT, 0, -10, TOP), "EPSG:32633")
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"), rasterio.open(
        tmp_path / "a.tif", "w", driver="GTiff", height=10, width=12, count=1, dtype=dtype, crs=str(grid.crs),
        transform=grid.affine,
    ) as file:  # fmt: skip
        file.write(numbers, 1)
        if hidden:
            file.write_mask(numbers % 5 > 0)
    wide = GeoBox((14, 15), Affine(10, 0, LEFT - 20, 0, -10, TOP + 10), "EPSG:32633")
    expected = np.full((14, 15), -32768)
    expected[1:11, 2:14] = np.where((numbers == 7) | (hidden & (numbers % 5 == 0)), -32768, numbers * 10.0 - 1000)
    given = (tmp_path / "a.tif", 1, 7, grid, wide)
    found = read_reflectance(*given, scale=1e-3, offset=-0.1)
    assert found.dtype == "int16"
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(to_reflectance(read_on(*given), scale=1e-3, offset=-0.1), expected)


def replaced(path, value):
    """Another image of the same size in bytes, as if written at another time."""
    with rasterio.open(
        path, "w", driver="GTiff", height=2, width=2, count=1, dtype="uint8", crs="EPSG:32633",
        transform=Affine(10, 0, LEFT + value, 0, -10, TOP),
    ) as file:  # fmt: skip
        file.write(np.full((1, 2, 2), value, "uint8"))
    os.utime(path, ns=(value * 1_000_000_007, value * 1_000_000_007))
    return path


def test_a_file_is_looked_at_once_and_again_when_it_is_another_one(tmp_path):
    path = replaced(tmp_path / "a.tif", 1)
    first, head = header_at(path), head_of(str(path))
    assert header_at(path) is first
    assert head_of(str(path)) is head
    replaced(path, 2)
    assert grid_of(path).affine.c == LEFT + 2
    assert head_of(str(path)) != head
    path.unlink()
    assert head_of(str(path)) == b"absent"


def test_a_file_that_takes_the_place_of_another_is_read_though_its_times_and_size_are_the_same(tmp_path):
    path, grid = replaced(tmp_path / "a.tif", 1), GeoBox((2, 2), Affine(10, 0, LEFT, 0, -10, TOP), "EPSG:32633")
    first = header_at(path)
    assert (read_on(path, 1, None, grid, grid) == 1).all()
    times = path.stat()
    other = replaced(tmp_path / "b.tif", 2)
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)
    assert path.stat().st_size == times.st_size
    assert header_at(path) is not first
    assert (read_on(path, 1, None, grid, grid) == 2).all()


def test_a_virtual_raster_is_read_again_when_one_of_its_sources_is_another_file(tmp_path):
    grid, path = GeoBox((2, 2), Affine(10, 0, LEFT + 1, 0, -10, TOP), "EPSG:32633"), tmp_path / "a.vrt"
    replaced(tmp_path / "a.tif", 1)
    path.write_text(
        f'<VRTDataset rasterXSize="2" rasterYSize="2"><GeoTransform>{LEFT + 1}, 10, 0, {TOP}, 0, -10</GeoTransform>'
        '<SRS>EPSG:32633</SRS><VRTRasterBand dataType="Byte" band="1"><SimpleSource><SourceFilename relativeToVRT="1">'
        "a.tif</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    for value in (1, 2, 3):
        assert (read_on(path, 1, None, grid, grid) == value).all()
        assert (read_on(path, 1, None, grid, grid) == value).all()
        replaced(tmp_path / "b.tif", value + 1).replace(tmp_path / "a.tif")
    header = header_at(path)
    assert header_at(path) is header


@pytest.mark.parametrize("ending", [".msk", ".aux.xml"])
def test_what_lies_beside_a_file_is_read_again_when_it_comes_changes_and_goes(tmp_path, ending):
    path, grid = replaced(tmp_path / "a.tif", 1), GeoBox((2, 2), Affine(10, 0, LEFT, 0, -10, TOP), "EPSG:32633")
    beside, times = path.with_name(f"a.tif{ending}"), path.stat()

    def put(shown):
        beside.unlink(missing_ok=True)
        if ending == ".msk":
            with rasterio.open(path) as file:
                profile = file.profile
            with rasterio.open(beside, "w", **(profile | {"nodata": None})) as file:
                file.write(np.full((1, 2, 2), 255 * shown, "uint8"))
                file.update_tags(INTERNAL_MASK_FLAGS_1="2")
        else:
            band = f"<NoDataValue>{1 + shown}</NoDataValue>"
            beside.write_text(f'<PAMDataset><PAMRasterBand band="1">{band}</PAMRasterBand></PAMDataset>')
        os.utime(beside, ns=(times.st_atime_ns, times.st_mtime_ns))

    def shows():
        found = read_on(path, 1, header_at(path).bands[0].nodata, grid, grid)
        return bool(np.isfinite(found).all())

    assert shows()
    for shown in (False, True, False):
        put(shown)
        assert shows() == shown
    beside.unlink()
    assert shows()


def test_a_file_written_within_a_second_of_a_coarse_clock_is_looked_at_each_time(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"a" * 100)
    os.utime(path, ns=(5_000_000_000, 5_000_000_000))
    monkeypatch.setattr("landweave.sources.scene_files.time.time", lambda: 6.0)
    before = head_of(str(path))
    # As on a file system without times of a change and in the same inode.
    monkeypatch.setattr("landweave.sources.scene_files._read_head", lambda *_: b"new")
    assert head_of(str(path)) == b"new" != before
