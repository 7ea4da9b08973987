"""Lengths that users give in metres are metres on the ground, whatever the unit of the grid."""

import math

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from pyproj import Geod
from scipy.ndimage import distance_transform_edt
from test_raster_headers import tif
from worlds import LEGEND, write_tif

from landweave.errors import InputError
from landweave.features.clouds import dilate
from landweave.patch.align import metres_per_unit, pixel_sides, to_crs
from landweave.patch.grid import MOST_CELLS, native_cells, projected_cells, utm_cells
from landweave.runs.pipeline.check import check_project
from landweave.runs.project.plan import make_plan
from landweave.runs.project.settings import read_project

KILOMETRES = "+proj=utm +zone=33 +datum=WGS84 +units=km"
GRIDS = {
    "metres": ("EPSG:32633", Affine(10, 0, 500_000, 0, -10, 5_100_000)),
    "US survey feet": ("EPSG:2263", Affine(32.8083333333, 0, 984_000, 0, -32.8083333333, 200_000)),
    "feet": ("EPSG:2222", Affine(32.80839895, 0, 700_000, 0, -32.80839895, 800_000)),
    "kilometres": (KILOMETRES, Affine(0.01, 0, 500, 0, -0.01, 5100)),
    "degrees at the equator": ("EPSG:4326", Affine(9e-5, 0, 15, 0, -9e-5, 0.01)),
    "degrees at 60 north": ("EPSG:4326", Affine(18e-5, 0, 15, 0, -9e-5, 60)),
    "degrees at 40 south": ("EPSG:4326", Affine(9e-5, 0, 15, 0, -9e-5, -40)),
    "web Mercator at 60 north": ("EPSG:3857", Affine(20, 0, 1_700_000, 0, -20, 8_400_000)),
    "oblong": ("EPSG:32633", Affine(10, 0, 500_000, 0, -20, 5_100_000)),
    "south up": ("EPSG:32633", Affine(10, 0, 500_000, 0, 10, 5_100_000)),
    "rotated": ("EPSG:32633", Affine(8, 6, 500_000, 6, -8, 5_100_000)),
}


def on_the_ground(grid, one, other):
    """Metres between two places of a grid, (column, row), by the geodesic."""
    x, y = np.array([grid.affine * one, grid.affine * other]).T
    x, y = to_crs(x, y, source=grid.crs, target="EPSG:4326")
    return Geod(ellps="WGS84").inv(x[0], y[0], x[1], y[1])[2]


@pytest.mark.parametrize("case", GRIDS)
def test_the_sides_of_a_pixel_are_those_on_the_ground(case):
    crs, transform = GRIDS[case]
    grid = GeoBox((40, 40), transform, crs)
    wanted = [on_the_ground(grid, (20, 20), end) / 10 for end in ((30, 20), (20, 30))]
    assert pixel_sides(grid) == pytest.approx(wanted, rel=0.01)


@given(st.floats(-80, 80), st.sampled_from(["EPSG:4326", "EPSG:3857", "EPSG:2056", "EPSG:3035", "EPSG:2263"]))
def test_a_unit_is_as_long_as_its_name_says_or_as_the_ground(latitude, crs):
    across, along = metres_per_unit(crs, 15, latitude)
    if crs == "EPSG:4326":
        assert (across / along, along) == pytest.approx((math.cos(math.radians(latitude)), 111_320))
    if crs == "EPSG:3857":
        assert across == pytest.approx(math.cos(math.radians(latitude)), rel=0.01) or abs(latitude) < 20
    if crs == "EPSG:2056":
        assert latitude < 40 or latitude > 55 or (across, along) == (1.0, 1.0)


def world(folder, crs, transform, *, extra="", area="patch_size = 20", clouds=True):
    rng = np.random.default_rng(3)
    cover = np.where(rng.random((40, 40)) < 0.3, 7, 2).astype("uint8")
    for number, day in enumerate(("2020-03-01", "2020-06-01")):
        for band, (meadow, pond) in {"B04": (600, 1200), "B08": (3000, 1000)}.items():
            values = np.where(cover == 7, pond, meadow) + number
            write_tif(folder / f"S2_{day}_{band}.tif", values.astype("uint16"), crs=crs, transform=transform, nodata=0)
        mask = np.zeros((40, 40), "uint8")
        mask[30, 30] = number == 0
        write_tif(folder / f"S2_{day}_CLM.tif", mask, crs=crs, transform=transform)
    write_tif(folder / "reference.tif", cover, crs=crs, transform=transform, nodata=0)
    (folder / "legend.toml").write_text(LEGEND)
    source = f'clouds = "mask"\nmask = "CLM"\n{extra}' if clouds else extra
    (folder / "landweave.toml").write_text(
        f'name = "m"\noutput = "out"\n[area]\n{area}\n[source]\ntype = "rasters"\n{source}\n'
        'pattern = "S2_{date:%Y-%m-%d}_{variable}.tif"\n[features]\nbands = ["B04", "B08"]\nindices = []\n'
        'step_days = 46\n[reference]\npath = "reference.tif"\nlegend = "legend.toml"\nerosion = 0\n'
    )
    return read_project(folder / "landweave.toml")


@pytest.mark.parametrize("case", GRIDS)
def test_dilation_reaches_as_far_on_the_ground(tmp_path, case):
    crs, transform = GRIDS[case]
    plan, _ = make_plan(world(tmp_path, crs, transform, extra="dilation = 30"))
    grid = plan.source.geobox
    got = plan.source.load(grid, plan.dates[:1], ["cloud_mask"]).cloud_mask.values[0] > 0
    rows, columns = np.mgrid[:40, :40]
    far = [
        on_the_ground(grid, (30.5, 30.5), (c + 0.5, r + 0.5))
        for r, c in zip(rows.ravel(), columns.ravel(), strict=True)
    ]
    far = np.reshape(far, (40, 40))
    side = max(pixel_sides(grid))
    # To the pixel, since a radius is a whole number of them.
    assert got[far < 30 - side / 2].all()
    assert not got[far > 30 + side / 2 + 0.1].any()


@pytest.mark.parametrize("case", GRIDS)
def test_check_finds_a_project_with_dilation_sound_and_says_how_large_pixels_are(tmp_path, case):
    crs, transform = GRIDS[case]
    lines = check_project(world(tmp_path, crs, transform, extra="dilation = 30"))
    assert lines[0].endswith("sound")
    said = float(lines[1].split(" of ")[1].split(" m")[0])
    assert said == pytest.approx(math.sqrt(math.prod(pixel_sides(GeoBox((40, 40), transform, crs)))), rel=0.001)


@pytest.mark.parametrize("case", GRIDS)
def test_a_buffer_is_as_wide_on_the_ground(case):
    crs, transform = GRIDS[case]
    grid = GeoBox((80, 80), transform, crs)
    x, y = to_crs(*np.array([[v] for v in grid.affine * (40.5, 40.5)]), source=crs, target="EPSG:4326")
    point = shapely.Point(float(x[0]), float(y[0])).buffer(1e-9)
    cells = native_cells(grid, patch_size=1, area=point, buffer=150)
    middles = [~grid.affine * (cell.geobox.affine * (0.5, 0.5)) for cell in cells]
    far = [on_the_ground(grid, (40.5, 40.5), middle) for middle in middles]
    side = max(pixel_sides(grid))
    assert 150 - 1.5 * side < max(far) < 1.03 * 150 + side
    area = len(cells) * math.prod(pixel_sides(grid))
    assert area == pytest.approx(math.pi * 150**2, rel=0.2)


@pytest.mark.parametrize(("crs", "unit"), [("EPSG:2263", "US survey foot"), (KILOMETRES, "kilometre")])
def test_a_grid_that_is_no_grid_of_metres_is_refused(tmp_path, crs, unit):
    area = shapely.box(-74.01, 40.70, -74.0, 40.71)
    with pytest.raises(InputError, match=f"needs a CRS in metres; the unit of .* is the {unit}"):
        projected_cells(area, crs=crs)
    project = world(tmp_path, *GRIDS["metres"], area=f'patch_size = 20\ncrs = "{crs}"\nresolution = 10')
    with pytest.raises(InputError, match=r"landweave\.toml: The grid needs a CRS in metres"):
        make_plan(project)


HUGE = {
    "resolution in degrees": ('patch_size = 20\ncrs = "utm"\nresolution = 0.0001', "resolution is in metres"),
    "resolution of nothing": ('patch_size = 20\ncrs = "EPSG:32633"\nresolution = 1e-300', "resolution"),
    "a patch of the world": ('patch_size = 1000000000\ncrs = "utm"\nresolution = 10', "patch_size in pixels"),
}  # fmt: skip


@pytest.mark.parametrize("case", HUGE)
def test_a_grid_of_far_too_many_patches_is_refused_before_it_is_made(tmp_path, case):
    area, message = HUGE[case]
    with pytest.raises(InputError, match=f"landweave.toml: .*{message}"):
        make_plan(world(tmp_path, *GRIDS["metres"], area=area))


def test_a_native_grid_of_far_too_many_patches_is_refused():
    grid = GeoBox((10_980, 10_980), Affine(10, 0, 500_000, 0, -10, 5_100_000), "EPSG:32633")
    with pytest.raises(InputError, match="choose a larger patch_size"):
        native_cells(grid, patch_size=8)
    assert MOST_CELLS < 1372**2


def test_a_land_of_ordinary_patches_is_none_too_many():
    assert len(utm_cells(shapely.box(13, 46, 16, 47), resolution=10, patch_size=500)) > 800


@pytest.mark.parametrize(
    ("settings", "unit"),
    [("resolution = 0.00001", "mostly metres"), ('crs = "EPSG:4326"\nresolution = 1e-12', "degrees")],
)
def test_a_map_of_far_too_many_pixels_is_refused(tmp_path, settings, unit):
    project = world(tmp_path, *GRIDS["metres"])
    path = tmp_path / "landweave.toml"
    path.write_text(path.read_text() + f"[map]\n{settings}\n")
    with pytest.raises(InputError, match=f"map.resolution = .* is in .*{unit}"):
        make_plan(read_project(project.file))


@given(st.integers(0, 6), st.integers(0, 6), st.integers(0, 2**32 - 1))
def test_an_ellipse_reaches_its_two_radii(down, across, seed):
    mask = np.random.default_rng(seed).random((2, 9, 11)) < 0.05
    rows, columns = np.mgrid[:9, :11]
    wanted = mask.copy()
    for date, layer in enumerate(mask):
        for row, column in zip(*np.nonzero(layer), strict=True):
            if down == across:
                wanted[date] |= (rows - row) ** 2 + (columns - column) ** 2 <= down**2
            else:
                y, x = (rows - row) / max(down, 0.5), (columns - column) / max(across, 0.5)
                wanted[date] |= y**2 + x**2 <= 1 + 1e-9
    assert (dilate(mask, (down, across)) == wanted).all()
    if down == across >= 1 and mask[0].any():
        assert (dilate(mask, down)[0] == (distance_transform_edt(~mask[0]) <= down)).all()


def test_the_helpers_agree_that_a_foot_is_a_foot(tmp_path):
    crs, transform = GRIDS["US survey feet"]
    tif(tmp_path / "a.tif", np.ones((4, 4), "uint8"), crs=crs, transform=transform)
    assert pixel_sides(GeoBox((4, 4), transform, crs)) == pytest.approx((10, 10), rel=1e-6)
