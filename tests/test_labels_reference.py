import warnings

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin

from landweave.errors import InputError
from landweave.labels.on_grid import points_table, rasterise
from landweave.labels.outlines import connected_pieces, erode, thin_parts
from landweave.labels.reference import check_overlap, overlaps, read_reference, reference_codes
from landweave.legend import LandClass, Legend

GRID = GeoBox((6, 8), from_origin(500000, 5000060, 10, 10), "EPSG:32633")
LEGEND = Legend(
    classes=(
        LandClass(value=1, name="field", color="#ffff00", codes=("1100", "1130")),
        LandClass(value=7, name="wood", color="#00ff00", codes=("2000",)),
    ),
    ignore=("1600",),
)


def box(left, top, right, bottom):
    """Columns and rows of GRID as a polygon."""
    return shapely.box(500000 + 10 * left, 5000060 - 10 * bottom, 500000 + 10 * right, 5000060 - 10 * top)


def save(path, shapes, codes, crs="EPSG:32633", **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gpd.GeoDataFrame({"code": codes}, geometry=shapes, crs=crs).to_file(path, **kwargs)
    return path


def labels(path, legend=LEGEND, grid=GRID, column="code"):
    return rasterise(read_reference(path, column=column), grid, legend)


@pytest.mark.parametrize("suffix", ["gpkg", "shp", "geojson", "fgb"])
@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:4326", "EPSG:3794"])
def test_polygons_of_any_format_and_crs_label_the_pixels_they_cover(tmp_path, suffix, crs):
    shapes = gpd.GeoSeries([box(0.1, 0.1, 3.9, 2.9), box(4.1, 0.1, 7.9, 5.9)], crs="EPSG:32633").to_crs(crs)
    save(tmp_path / f"r.{suffix}", shapes.values, [1100, 2000], crs=crs)
    expected = np.zeros((6, 8), "uint8")
    expected[:3, :4], expected[:, 4:] = 1, 7
    got = labels(tmp_path / f"r.{suffix}")
    assert np.array_equal(got.values, expected)
    assert (got.features, got.unknown, got.repaired) == (2, {}, ())


def test_the_later_polygon_lies_on_top_also_where_its_code_means_nothing(tmp_path):
    shapes = [box(0, 0, 8, 6), box(2, 2, 6, 4), box(3, 2, 4, 4), box(0, 0, 1, 1)]
    save(tmp_path / "r.gpkg", shapes, ["1130", "2000", "1600", "77"])
    got = labels(tmp_path / "r.gpkg")
    expected = np.ones((6, 8), "uint8")
    expected[2:4, 2:6] = 7
    expected[2:4, 3] = expected[0, 0] = 0
    assert np.array_equal(got.values, expected)
    assert got.unknown == {"77": 1}


def test_an_invalid_polygon_is_repaired_and_numbered(tmp_path):
    corners = [(0, 0), (8, 6), (8, 0), (0, 6)]  # a bow tie
    bow = shapely.Polygon([(500000 + 10 * x, 5000060 - 10 * y) for x, y in corners])
    save(tmp_path / "r.gpkg", [box(0, 0, 1, 1), bow], [1100, 2000])
    got = labels(tmp_path / "r.gpkg")
    assert len(got.repaired) == 1
    assert got.values[3, 7] == got.values[3, 0] == 7
    assert got.values[0, 3] == got.values[5, 4] == 0


def test_a_long_edge_bends_as_the_projection_bends_it(tmp_path):
    # The 46th parallel as one straight edge of three degrees, which a UTM map shows as a curve.
    save(tmp_path / "r.gpkg", [shapely.box(12, 46, 18, 47)], [2000], crs="EPSG:4326")
    north = GeoBox.from_bbox((345000, 5095000, 345400, 5100000), "EPSG:32633", resolution=10)
    lat = np.array([
        gpd.points_from_xy([345205], [y], crs="EPSG:32633").to_crs(4326).y[0] for y in 5100000 - 10 * (np.arange(500) + 0.5)
    ])  # fmt: skip
    assert np.array_equal(labels(tmp_path / "r.gpkg", grid=north).values[:, 20] == 7, lat >= 46)


def test_a_projected_geojson_keeps_its_crs(shared_data):
    reference = read_reference(shared_data / "landuse_vectors/azerbaijan_lulc.geojson", column="LULC_ID")
    assert (reference.kind, reference.crs) == ("polygons", "EPSG:32638")
    codes = reference_codes(reference)
    assert set(codes) >= {"0", "1", "3", "8"}
    grid = GeoBox.from_bbox((730000, 4390000, 731500, 4392000), "EPSG:32638", resolution=10)
    got = rasterise(reference, grid, Legend.from_labels(codes))
    assert 0 < got.features < 1704
    assert got.unknown == {}
    assert len(np.unique(got.values)) > 3


def test_the_slovenian_register_becomes_its_published_raster(shared_data):
    folder = shared_data / "eolearn_slovenia_patch"
    with rasterio.open(folder / "lulc_reference.tif") as file:
        published, grid = file.read(1), GeoBox(file.shape, file.transform, file.crs)
    names = {1: [1100], 2: [2000], 3: [1300], 4: [1410, 1500], 8: [3000]}
    classes = tuple(
        LandClass(value=v, name=str(v), color="#000000", codes=tuple(map(str, codes))) for v, codes in names.items()
    )
    got = labels(folder / "lulc_reference.gpkg", Legend(classes=classes, ignore=("1600",)), grid, "RABA_ID")
    assert got.unknown == {}
    assert (got.values == published).mean() > 0.99
    as_raster = rasterise(read_reference(folder / "lulc_reference.tif"), grid, Legend.from_labels([1, 2, 3, 4, 8]))
    assert np.array_equal(as_raster.values, np.searchsorted([0, 1, 2, 3, 4, 8], published))
    assert as_raster.unknown == {"0": int((published == 0).sum())}


def test_a_point_labels_its_pixel_and_the_table_says_which_lie_outside(tmp_path):
    where = gpd.GeoSeries(
        gpd.points_from_xy([500005, 500075, 500005, 499995], [5000055, 5000005, 5000055, 5000055]), crs="EPSG:32633"
    )
    degrees = where.to_crs(4326)
    table = pd.DataFrame({"Longitude": degrees.x, "LAT": degrees.y, "code": ["1100", "5", "2000", "1100"]})
    table.to_csv(tmp_path / "p.csv", index=False)
    save(tmp_path / "p.gpkg", where.values, table["code"])
    for name in ("p.csv", "p.gpkg"):
        reference = read_reference(tmp_path / name, column="code")
        assert reference.kind == "points"
        assert reference_codes(reference) == ["1100", "2000", "5"]
        got = rasterise(reference, GRID, LEGEND)
        assert got.values[0, 0] == 7  # the later of two
        assert got.values.sum() == 7
        assert (got.features, got.unknown) == (3, {"5": 1})
        points = points_table(reference, LEGEND, GRID)
        assert points["inside"].tolist() == [True, True, True, False]
        assert points["label"].tolist() == [1, 0, 7, 1]
        assert points["row"].tolist() == [0, 5, 0, -1]
        assert points["col"].tolist() == [0, 7, 0, -1]
        assert np.allclose(points["x"], where.x, atol=1e-3)


def test_the_points_of_bahia_inside_the_raster_are_46(shared_data):
    folder = shared_data / "cbers4_awfi_bahia"
    with rasterio.open(next((folder / "raster").glob("*.tif"))) as file:
        grid = GeoBox(file.shape, file.transform, file.crs)
    reference = read_reference(folder / "cbers_samples_022024_samples.csv", column="label")
    points = points_table(reference, Legend.from_labels(reference_codes(reference)), grid)
    assert (len(points), int(points["inside"].sum())) == (697, 46)


def test_a_label_raster_comes_to_another_grid_by_the_nearest_pixel(tmp_path):
    codes = np.array([[1100, 2000], [1600, 77]], "int32")
    with rasterio.open(
        tmp_path / "r.tif", "w", driver="GTiff", height=2, width=2, count=1, dtype="int32", nodata=-1,
        crs="EPSG:32633", transform=from_origin(500000, 5000060, 20, 20),
    ) as file:  # fmt: skip
        file.write(codes, 1)
    got = labels(tmp_path / "r.tif")
    expected = np.zeros((6, 8), "uint8")
    expected[:2, :2], expected[:2, 2:4] = 1, 7
    assert np.array_equal(got.values, expected)
    assert got.unknown == {"77": 4}
    assert reference_codes(read_reference(tmp_path / "r.tif")) == ["1100", "1600", "2000", "77"]


def test_overlap_is_told_from_bounds_in_any_crs(tmp_path):
    save(tmp_path / "r.gpkg", [shapely.box(14.9, 45.1, 15.1, 45.2)], [2000], crs="EPSG:4326")
    reference = read_reference(tmp_path / "r.gpkg", column="code")
    assert overlaps(reference, GRID)
    far = GRID.translate_pix(0, -90000)
    assert not overlaps(reference, far)
    check_overlap(reference, [far, GRID])
    with pytest.raises(InputError, match=r"r\.gpkg: the reference .* does not overlap the imagery"):
        check_overlap(reference, [far])
    assert rasterise(reference, far, LEGEND).features == 0


def test_a_reference_elsewhere_is_told_with_both_places_and_where_x_and_y_are_swapped(tmp_path):
    save(tmp_path / "r.gpkg", [shapely.box(45.1, 14.9, 45.2, 15.1)], [2000], crs="EPSG:4326")
    reference = read_reference(tmp_path / "r.gpkg", column="code")
    with pytest.raises(InputError, match=r"45\.1, 14\.9, .* in EPSG:4326.*latitude 45\.\d+ to .*x and y look swapped"):
        check_overlap(reference, [GRID])


def test_bad_references_are_told(tmp_path):
    save(tmp_path / "ok.gpkg", [box(0, 0, 1, 1)], [1100])
    save(tmp_path / "bare.gpkg", [box(0, 0, 1, 1)], [1100], crs=None)
    save(tmp_path / "two.gpkg", [box(0, 0, 1, 1)], [1100], layer="a")
    save(tmp_path / "two.gpkg", [box(0, 0, 1, 1)], [1100], layer="b")
    save(tmp_path / "line.gpkg", [shapely.LineString([(0, 0), (1, 1)])], [1])
    save(tmp_path / "empty.gpkg", [], [])
    (tmp_path / "text.gpkg").write_text("no")
    (tmp_path / "p.csv").write_text("east,north,label\n1,2,a\n")
    (tmp_path / "q.csv").write_text("lon,lat,label\n1,north,a\n")
    (tmp_path / "e.csv").write_text("lon,lat,label\n")
    for name, column, message in (
        ("none.gpkg", "code", "none.gpkg: no such reference file"),
        ("ok.gpkg", "RABA", "ok.gpkg: no column 'RABA'; it has code"),
        ("ok.gpkg", None, "no column 'label'; it has code"),
        ("bare.gpkg", "code", "no coordinate reference system"),
        ("two.gpkg", "code", "several layers \\(a, b\\)"),
        ("line.gpkg", "code", "polygons or points are needed, but it has LineString"),
        ("empty.gpkg", "code", "is empty"),
        ("text.gpkg", "code", "neither a vector file nor a raster"),
        ("p.csv", "label", "the columns 'east' and 'north' .* have no coordinate reference system"),
        ("q.csv", "label", "row 1: lat is 'north'"),
        ("e.csv", "label", "is empty"),
    ):
        with pytest.raises(InputError, match=message):
            read_reference(tmp_path / name, column=column)
    assert read_reference(tmp_path / "two.gpkg", column="code", layer="b").layer == "b"
    with pytest.raises(InputError, match="the reference has polygons; points are needed"):
        points_table(read_reference(tmp_path / "ok.gpkg", column="code"), LEGEND, GRID)


@given(
    stn.arrays("uint8", st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2)), st.integers(0, 3)
)
def test_eroded_labels_have_no_other_label_within_the_radius(labels, pixels):
    rows, columns = np.indices(labels.shape)
    expected = np.zeros_like(labels)
    for row, column in np.ndindex(labels.shape):
        near = (rows - row) ** 2 + (columns - column) ** 2 <= pixels**2
        if (labels[near] == labels[row, column]).all():
            expected[row, column] = labels[row, column]
    assert np.array_equal(erode(labels, pixels), expected)


def test_erosion_cannot_be_negative():
    with pytest.raises(InputError, match="cannot be negative"):
        erode(np.zeros((2, 2), "uint8"), -1)


@given(stn.arrays("uint8", (9, 11), elements=st.integers(0, 2)))
def test_thin_parts_are_what_no_square_of_three_of_the_class_covers(field):
    covered = np.zeros(field.shape, bool)
    for row in range(1, 8):
        for column in range(1, 10):
            square = np.s_[row - 1 : row + 2, column - 1 : column + 2]
            if field[row, column] and (field[square] == field[row, column]).all():
                covered[square] = True
    # Two pixels from the border the answer does not depend on what lies beyond.
    inner = np.s_[2:-2, 2:-2]
    np.testing.assert_array_equal(thin_parts(field)[inner], ((field > 0) & ~covered)[inner])


@given(stn.arrays("uint8", (6, 7), elements=st.integers(0, 2)))
def test_pixels_of_one_piece_are_of_one_class_and_neighbours_of_one_class_are_of_one_piece(field):
    pieces = connected_pieces(field)
    np.testing.assert_array_equal(pieces > 0, field > 0)
    for piece in np.unique(pieces[pieces > 0]):
        assert len(np.unique(field[pieces == piece])) == 1
    for a, b, p, q in ((field[1:], field[:-1], pieces[1:], pieces[:-1]), (field.T[1:], field.T[:-1], pieces.T[1:], pieces.T[:-1])):  # fmt: skip
        same = (a == b) & (a > 0)
        np.testing.assert_array_equal(p[same], q[same])


def test_each_pixel_knows_the_polygon_that_labels_it_in_every_grid(tmp_path):
    # Two fields side by side, and an ignored one over the corner of the second.
    path = save(tmp_path / "r.gpkg", [box(0, 0, 4, 6), box(4, 0, 8, 6), box(6, 4, 8, 6)], [1100, 1130, 1600])
    whole = labels(path)
    assert len(np.unique(whole.pieces[:, :4])) == 1
    assert whole.pieces[0, 0] != whole.pieces[0, 5] > 0
    np.testing.assert_array_equal(whole.pieces > 0, whole.values > 0)
    assert not whole.pieces[4:, 6:].any()
    half = labels(path, grid=GRID[2:, 3:])
    np.testing.assert_array_equal(half.pieces, whole.pieces[2:, 3:])
