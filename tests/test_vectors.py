"""Vector files of every kind as area, reference and districts: read rightly, or refused in one line."""

import json
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.transform import from_origin
from worlds import write_tif

from landweave.errors import InputError
from landweave.labels.on_grid import code_at, count_inside, points_table, rasterise
from landweave.labels.reference import check_overlap, left_out, read_reference, reference_codes
from landweave.legend import LandClass, Legend
from landweave.patch.area import read_area, read_area_file
from landweave.patch.grid import given_cells, native_cells
from landweave.patch.tables.places import PlaceKeys
from landweave.patch.vectors.points import table_points
from landweave.patch.vectors.writing import write_layers
from landweave.runs.estimate.districts import read_districts

CRS = "EPSG:32633"
GRID = GeoBox((8, 10), from_origin(500000, 5000080, 10, 10), CRS)
LEGEND = Legend(
    classes=(
        LandClass(value=2, name="meadow", color="#ffff00", codes=("2",)),
        LandClass(value=7, name="pond", color="#0000ff", codes=("7",)),
    )
)
LEFT, RIGHT = (shapely.box(500000, 5000000, 500050, 5000080), shapely.box(500050, 5000000, 500100, 5000080))
WANTED = np.where(np.arange(10) < 5, 2, 7)[None].repeat(8, axis=0)
LINE = shapely.LineString([(500000, 5000000), (500010, 5000000)])


def save(path, shapes, codes=("2", "7"), crs=CRS, **options):
    frame = gpd.GeoDataFrame({"code": list(codes)}, geometry=list(shapes), crs=crs)
    if Path(path).suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, **options)
    return path


def labels(path, grid=GRID, legend=LEGEND, **options):
    return rasterise(read_reference(path, **{"column": "code", **options}), grid, legend)


def one_line(call, *parts):
    with pytest.raises(InputError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert part in text, text
    return text


# Which layer


@pytest.mark.parametrize("suffix", ["gpkg", "kml"])
def test_several_layers_are_refused_by_every_reader_until_one_is_named(tmp_path, suffix):
    path = tmp_path / f"two.{suffix}"
    degrees = gpd.GeoSeries([LEFT, RIGHT], crs=CRS).to_crs(4326)
    for name, shape in zip("ab", degrees, strict=True):
        gpd.GeoDataFrame({"Name": ["2"]}, geometry=[shape], crs=4326).to_file(
            path, layer=name, mode="a" if path.exists() else "w"
        )
    both = "a, b" if suffix == "gpkg" else "b, a"
    for call in (
        lambda **k: read_area(path, **k),
        lambda **k: read_reference(path, column="Name", **k),
        lambda **k: read_districts(path, "Name", crs=CRS, **k),
    ):
        one_line(call, "two", f"several layers ({both})", "layer")
        one_line(lambda call=call: call(layer="c"), f"no layer 'c'; it has {both}")
        call(layer="b")
    assert (
        read_area(path, layer="a").equals(degrees[0].normalize())
        or read_area(path, layer="a").symmetric_difference(degrees[0]).area < 1e-15
    )
    assert (labels(path, column="Name", layer="b").values == np.where(WANTED == 7, 2, 0)).all()


def test_tables_beside_one_layer_are_no_layers(tmp_path):
    path = save(tmp_path / "a.gpkg", [LEFT, RIGHT], layer="fields")
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE notes (fid INTEGER PRIMARY KEY, text TEXT)")
        file.execute(
            "INSERT INTO gpkg_contents(table_name, data_type, identifier) VALUES ('notes', 'attributes', 'notes')"
        )
    assert (labels(path).values == WANTED).all()
    assert read_area(path).is_valid


# Which coordinates


def test_heights_and_measures_are_dropped(tmp_path):
    solid = [shapely.force_3d(shape, 300.0) for shape in (LEFT, RIGHT)]
    for name, shapes in (
        ("z.gpkg", solid),
        ("z.geojson", gpd.GeoSeries(solid, crs=CRS).to_crs(4326)),
        ("z.parquet", solid),
    ):
        path = save(tmp_path / name, shapes, crs=4326 if name == "z.geojson" else CRS)
        assert (labels(path).values == WANTED).all(), name
        area = read_area(path)
        assert not area.has_z
        assert len(native_cells(GRID, area=area, buffer=1.0)) == 1
        assert not any(shape.has_z for shape in read_districts(path, "code", crs=CRS).shapes)


def bare(tmp_path):
    return save(tmp_path / "bare.gpkg", [LEFT, RIGHT], crs=None)


def metres(tmp_path):
    path = tmp_path / "metres.geojson"
    features = [
        {"type": "Feature", "properties": {"code": "2"}, "geometry": json.loads(shapely.to_geojson(LEFT))},
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def table(tmp_path):
    path = tmp_path / "table.xlsx"
    pd.DataFrame({"code": ["2"]}).to_csv(tmp_path / "table.vrt.csv", index=False)
    (tmp_path / "table.dbf").unlink(missing_ok=True)
    path = tmp_path / "table.gpkg"
    with sqlite3.connect(save(path, [LEFT, RIGHT])) as file:
        file.execute("DELETE FROM gpkg_geometry_columns")
        file.execute("UPDATE gpkg_contents SET data_type = 'attributes'")
    return path


def undefined(number):
    def make(tmp_path):
        path = save(tmp_path / "undefined.gpkg", [LEFT, RIGHT])
        with sqlite3.connect(path) as file:
            for name in ("gpkg_contents", "gpkg_geometry_columns"):
                file.execute(f"UPDATE {name} SET srs_id = {number}")
        return path

    return make


def engineering(tmp_path):
    local = 'ENGCRS["site",EDATUM["x"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
    return save(tmp_path / "local.gpkg", [LEFT, RIGHT], crs=local)


def nothing(tmp_path):
    return save(tmp_path / "nothing.gpkg", [None, None], geometry_type="Polygon")


def view(tmp_path):
    path = save(tmp_path / "view.gpkg", [LEFT, RIGHT], layer="reg")
    with sqlite3.connect(path) as file:
        file.executescript("""CREATE VIEW v AS SELECT fid, geom, load_extension('x.so') AS code FROM reg;
            INSERT INTO gpkg_contents(table_name, data_type, identifier, srs_id)
                SELECT 'v', 'features', 'v', srs_id FROM gpkg_contents WHERE table_name = 'reg';
            INSERT INTO gpkg_geometry_columns
                SELECT 'v', column_name, geometry_type_name, srs_id, z, m FROM gpkg_geometry_columns;
            DELETE FROM gpkg_contents WHERE table_name = 'reg';
            DELETE FROM gpkg_geometry_columns WHERE table_name = 'reg';""")
    return path


def cut_short(tmp_path):
    path = save(tmp_path / "cut.gpkg", [LEFT, RIGHT])
    path.write_bytes(path.read_bytes()[:5000])
    return path


def text(tmp_path):
    path = tmp_path / "text.gpkg"
    path.write_text("no")
    return path


def plain_parquet(tmp_path):
    path = tmp_path / "plain.parquet"
    pd.DataFrame({"code": ["2"]}).to_parquet(path)
    return path


def bare_parquet(tmp_path):
    return save(tmp_path / "bare.parquet", [LEFT, RIGHT], crs=None)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (bare, "no coordinate reference system"),
        (metres, "are not degrees"),
        (table, "no geometry"),
        (undefined(-1), "no coordinate reference system"),
        (undefined(0), "no coordinate reference system"),
        (engineering, "'site', is a local one"),
        (nothing, "no geometry"),
        (view, "view.gpkg"),
        (cut_short, "cut.gpkg"),
        (text, "text.gpkg"),
        (plain_parquet, "plain.parquet"),
        (bare_parquet, "no coordinate reference system"),
    ],
)
def test_what_cannot_be_placed_is_refused_by_every_reader_in_one_line(tmp_path, make, told):
    path = make(tmp_path)
    readers = [lambda: labels(path), lambda: read_districts(path, "code", crs=CRS)]
    # A view without its column of codes can still be an area.
    for call in readers if make is view else [*readers, lambda: read_area(path)]:
        assert told in one_line(call, path.name)


@pytest.mark.parametrize("name", ["r.shp", "r.SHP"])
def test_a_shapefile_without_a_companion_is_refused_by_the_name_of_what_is_missing(tmp_path, name):
    path = save(tmp_path / "r.shp", [LEFT, RIGHT]).rename(tmp_path / name)
    (tmp_path / "r.dbf").rename(tmp_path / "kept.dbf")
    for call in (lambda: labels(path), lambda: read_districts(path, "code", crs=CRS)):
        one_line(call, f"{name}: the shapefile is incomplete: r.dbf (the table of its columns) is missing")
    # An area needs no columns.
    assert read_area(path).area > 0
    (tmp_path / "kept.dbf").rename(tmp_path / "r.DBF")
    assert reference_codes(read_reference(path, column="code")) == ["2", "7"]
    (tmp_path / "r.shx").unlink()
    for call in (lambda: labels(path), lambda: read_districts(path, "code", crs=CRS), lambda: read_area(path)):
        one_line(call, f"{name}: the shapefile is incomplete: r.shx (the index of its shapes) is missing")


@pytest.mark.parametrize("name", ["empty.geojson", "raster.tif"])
def test_an_area_that_is_no_vector_file_is_refused_without_advice_on_drivers(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    if name == "raster.tif":
        write_tif(path, np.ones((4, 4), "uint8"))
    told = f"{path}: the area of interest is not readable as a vector file: not recognized as being in a supported"
    assert one_line(lambda: read_area(path)) == f"{told} file format."


@pytest.mark.parametrize("start", ["", "\ufeff", "<?xml version='1.0'?>\n<!-- shapes -->\n"])
@pytest.mark.parametrize("name", ["r.gpkg", "r.geojson", "r.xml", "r.shp"])
def test_a_virtual_file_under_another_name_is_refused(tmp_path, name, start):
    hidden = save(tmp_path / "hidden.gpkg", [LEFT, RIGHT], layer="hidden")
    layer = f"<OGRVRTLayer name='hidden'><SrcDataSource>{hidden}</SrcDataSource></OGRVRTLayer>"
    path = tmp_path / name
    path.write_text(f"{start}<OGRVRTDataSource>{layer}</OGRVRTDataSource>", encoding="utf-8")
    one_line(lambda: read_area(path), name, "virtual file under another name")
    one_line(lambda: read_reference(path, column="code"), name, "virtual file under another name")
    path.rename(tmp_path / "r.vrt")
    if not start:
        assert (labels(tmp_path / "r.vrt").values == WANTED).all()


# Which geometries


def test_polygons_within_collections_count_and_what_is_left_out_is_counted(tmp_path):
    nested = shapely.GeometryCollection([shapely.GeometryCollection([RIGHT]), LINE])
    shapes = [LEFT, nested, LINE, None, shapely.GeometryCollection([LINE])]
    path = save(tmp_path / "r.gpkg", shapes, "27777", geometry_type="Unknown")
    assert (labels(path).values == WANTED).all()
    reference = read_reference(path, column="code")
    others = ["GeometryCollection 1", "LineString 1", "no geometry 1"]
    assert left_out(reference) == [
        f"3 of 5 features of the reference have no polygon ({', '.join(others)}) and are left out.",
        "Of 1 geometry collections of the reference only the polygons are used; their other parts are left out.",
    ]
    assert code_at(reference, GRID[0:1, 9:10]) == "7"
    assert left_out(read_reference(save(tmp_path / "s.gpkg", [LEFT, RIGHT]), column="code")) == []


@pytest.mark.parametrize("suffix", ["gpkg", "geojson", "parquet"])
@pytest.mark.parametrize("first", ["points", "polygons"])
def test_polygons_and_points_in_one_layer_are_refused_whichever_come_first(tmp_path, first, suffix):
    points = [shapely.Point(500000 + x, 5000000 + y) for x in range(20) for y in range(20)]
    shapes = [*points, LEFT] if first == "points" else [LEFT, *points]
    path = save(tmp_path / f"mixed.{suffix}", shapes, ["2"] * 401)
    one_line(lambda: read_reference(path, column="code"), "mixes 1 polygons and 400 points")


def test_points_within_collections_count(tmp_path):
    shapes = [shapely.GeometryCollection([shapely.Point(500005, 5000075), LINE]), shapely.Point(500095, 5000005), LINE]
    path = save(tmp_path / "p.gpkg", shapes, "272", geometry_type="Unknown")
    reference = read_reference(path, column="code")
    got = rasterise(reference, GRID, LEGEND).values
    assert (got[0, 0], got[7, 9], (got > 0).sum()) == (2, 7, 2)
    assert count_inside(reference, [GRID]) == (2, 2)
    assert len(left_out(reference)) == 2


@given(
    st.lists(st.sampled_from(["polygon", "line", "none", "empty", "within", "nested"]), min_size=1, max_size=12),
    st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_every_feature_is_labelled_or_counted(tmp_path_factory, kinds, parquet):
    boxes = [
        shapely.box(500000 + 10 * (i % 10), 5000070 - 10 * (i // 10), 500010 + 10 * (i % 10), 5000080 - 10 * (i // 10))
        for i in range(12)
    ]
    make = {
        "polygon": lambda box: box, "line": lambda box: box.boundary, "none": lambda _: None,
        "empty": lambda _: shapely.GeometryCollection(), "within": lambda box: shapely.GeometryCollection([box, LINE]),
        "nested": lambda box: shapely.GeometryCollection([shapely.GeometryCollection([box])]),
    }  # fmt: skip
    shapes = [make[kind](box) for kind, box in zip(kinds, boxes, strict=False)]
    path = tmp_path_factory.mktemp("kinds") / ("r.parquet" if parquet else "r.gpkg")
    drawn = sum(kind in {"polygon", "within", "nested"} for kind in kinds)
    save(path, shapes, ["2"] * len(kinds), **({} if parquet else {"geometry_type": "Unknown"}))
    if not drawn:
        one_line(lambda: read_reference(path, column="code"))
        return
    reference = read_reference(path, column="code")
    assert (rasterise(reference, GRID, LEGEND).values > 0).sum() == drawn
    counted = [int(line.split(" of ")[0]) for line in left_out(reference) if "features" in line]
    assert sum(counted) == len(kinds) - drawn


# Shapes that reach far


@pytest.mark.parametrize(
    "crs",
    [
        "EPSG:32633",
        "EPSG:3035",
        "EPSG:3857",
        "EPSG:3413",
        "EPSG:3031",
        "EPSG:2154",
        "ESRI:54009",
        "EPSG:4326",
        "EPSG:27700",
    ],
)
@pytest.mark.parametrize("source", ["EPSG:4326", "EPSG:3857"])
def test_a_box_around_the_globe_covers_any_grid(tmp_path, crs, source):
    degrees = (15.0, 45.0, 15.01, 45.01) if crs != "EPSG:3031" else (15.0, -75.01, 15.02, -75.0)
    grid = GeoBox.from_bbox(degrees, "EPSG:4326", shape=(6, 6)).to_crs(crs)
    globe = shapely.box(-180, -90, 180, 90) if source == "EPSG:4326" else shapely.box(-2e7, -2e7, 2e7, 2e7)
    path = save(tmp_path / "globe.gpkg", [globe], "2", crs=source)
    got = labels(path, grid)
    assert (got.values == 2).all()
    assert got.unplaced == ()
    area = read_area(path)
    cells = native_cells(grid, area=area, buffer=0.0)
    assert cells[0].inside() is None
    assert given_cells({"a": grid}, area=area, buffer=100.0)[0].inside() is None
    districts = read_districts(path, "code", crs=str(grid.crs), near=grid)
    assert shapely.covers(districts.shapes[0], grid.extent.geom)


def test_districts_around_the_globe_hold_points_without_a_map(tmp_path):
    path = save(
        tmp_path / "d.gpkg",
        [shapely.box(-180, -90, 15.00005, 90), shapely.box(15.00005, -90, 180, 90)],
        ["west", "east"],
        crs=4326,
    )
    found = read_districts(path, "code", crs=CRS)
    assert found.of_points(np.array([500000.0, 500010.0]), np.array([5e6, 5e6]), crs=CRS).tolist() == ["west", "east"]


@pytest.mark.parametrize("turn", [0, 360])
def test_longitudes_may_be_counted_to_360(tmp_path, turn):
    grid = GeoBox.from_bbox((500000, 5000000, 500100, 5000080), "EPSG:32606", resolution=10)
    degrees = gpd.GeoSeries([LEFT, RIGHT], crs="EPSG:32606").to_crs(4326).translate(turn)
    path = save(tmp_path / "r.gpkg", degrees, crs=4326)
    assert (labels(path, grid).values == WANTED).all()
    check_overlap(read_reference(path, column="code"), [grid])
    points = save(tmp_path / "p.gpkg", degrees.representative_point(), crs=4326)
    assert sorted(np.unique(labels(points, grid).values)) == [0, 2, 7]
    assert code_at(read_reference(path, column="code"), grid[0:1, 9:10]) == "7"
    assert len(native_cells(grid, area=read_area(path), buffer=1.0)) == 1


def test_columns_of_our_geopackages_have_names_for_readers_and_equal_bytes(tmp_path):
    import sqlite3
    from contextlib import closing

    from landweave.patch.vectors.writing import write_layers

    frame = gpd.GeoDataFrame({"area_ha": [1.5], "odd": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs="EPSG:32633")
    paths = [
        write_layers(
            tmp_path / f"{n}.gpkg",
            [("places", frame), ("edges", frame)],
            aliases={"area_ha": "Hectares", "gone": "Gone"},
        )
        for n in range(2)
    ]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with closing(sqlite3.connect(paths[0])) as file:
        found = file.execute("SELECT table_name, column_name, name FROM gpkg_data_columns ORDER BY 1").fetchall()
        assert found == [("edges", "area_ha", "Hectares"), ("places", "area_ha", "Hectares")]
        known = file.execute("SELECT definition FROM gpkg_extensions WHERE extension_name = 'gpkg_schema'").fetchall()
        assert len(known) == 1
    back = gpd.read_file(paths[0], layer="places")
    assert list(back.columns) == ["area_ha", "odd", "geometry"]
    assert back["area_ha"].tolist() == [1.5]


def test_a_grid_across_the_antimeridian_is_labelled_from_both_sides(tmp_path):
    grid = GeoBox.from_bbox((179.9, 10.0, 180.1, 10.2), "EPSG:4326", shape=(20, 20)).to_crs(
        "EPSG:32660", resolution=2000
    )
    path = save(tmp_path / "r.gpkg", [shapely.box(170, 0, 180, 20), shapely.box(-180, 0, -170, 20)], crs=4326)
    got = labels(path, grid)
    x, y = np.meshgrid(np.arange(grid.shape[1]) + 0.5, np.arange(grid.shape[0]) + 0.5)
    x, y = grid.affine * (x, y)
    east = (
        gpd.GeoSeries(gpd.points_from_xy(x.ravel(), y.ravel()), crs="EPSG:32660")
        .to_crs(4326)
        .x.to_numpy()
        .reshape(x.shape)
    )
    assert set(np.sign(east).ravel()) == {-1.0, 1.0}
    assert np.array_equal(got.values, np.where(east > 0, 2, 7))
    assert got.features == 2


@pytest.mark.parametrize("crs", ["EPSG:32660", "EPSG:32601", "EPSG:4326 east", "EPSG:4326 west"])
def test_a_ring_that_jumps_across_180_degrees_is_taken_the_short_way(tmp_path, crs):
    # One polygon of 0.4 by 1 degrees with a hole of 0.1 by 0.2, once cut at 180 degrees and once as one ring.
    hole = [(-179.95, 10.3), (179.95, 10.3), (179.95, 10.5), (-179.95, 10.5)]
    ring = shapely.Polygon([(179.8, 10), (-179.8, 10), (-179.8, 11), (179.8, 11)], [hole])
    halves = [shapely.box(179.8, 10, 180, 11) - shapely.box(179.95, 10.3, 180, 10.5),
              shapely.box(-180, 10, -179.8, 11) - shapely.box(-180, 10.3, -179.95, 10.5)]  # fmt: skip
    cut = save(tmp_path / "cut.gpkg", [shapely.MultiPolygon(halves)], "2", crs=4326)
    whole = save(tmp_path / "whole.gpkg", [ring], "2", crs=4326)
    if crs.startswith("EPSG:4326"):
        box = (179.7, 9.9, 180, 11.1) if crs.endswith("east") else (-180, 9.9, -179.7, 11.1)
        grid = GeoBox.from_bbox(box, "EPSG:4326", shape=(120, 30))
    else:
        grid = GeoBox.from_bbox((179.7, 9.9, 180.3, 11.1), "EPSG:4326", shape=(120, 60)).to_crs(crs, resolution=1000)
    wanted = labels(cut, grid).values
    assert 0.2 < (wanted == 2).mean() < 0.9
    # The edges of both have other vertices, and bend by less than a tenth of a pixel where they are projected.
    assert (labels(whole, grid).values != wanted).sum() <= (0 if crs.startswith("EPSG:4326") else 2)
    # Nowhere else.
    assert not labels(whole, GeoBox.from_bbox((15, 10, 15.3, 11), "EPSG:4326", shape=(100, 30))).values.any()


def test_shapes_that_are_not_far_are_projected_whole(tmp_path):
    # Cut shapes have other vertices, and edges that bend elsewhere.
    shapes = gpd.GeoSeries([shapely.box(12, 43, 18, 46)], crs=4326)
    path = save(tmp_path / "r.gpkg", shapes, "2", crs=4326)
    north = GeoBox.from_bbox((498000, 5091000, 502000, 5095000), CRS, resolution=10)
    got = labels(path, north).values
    wide = save(tmp_path / "w.gpkg", [shapely.box(-170, -80, 170, 46)], "2", crs=4326)
    assert np.array_equal(got, labels(wide, north).values)
    assert 0 < (got > 0).mean() < 1


# Which text


@pytest.mark.parametrize("encoding", ["utf-8", "ISO-8859-1"])
def test_a_shapefile_without_its_encoding_is_read_as_it_was_written(tmp_path, encoding):
    path = save(tmp_path / "r.shp", [LEFT, RIGHT], ["Wälder", "Wiese"], encoding=encoding)
    path.with_suffix(".cpg").unlink(missing_ok=True)
    reference = read_reference(path, column="code")
    assert reference_codes(reference) == ["Wiese", "Wälder"]
    assert (labels(path, legend=Legend.from_labels(["Wälder", "Wiese"])).values > 0).all()
    assert any("does not state the encoding" in line for line in left_out(reference)) == (encoding != "utf-8")


def test_an_encoding_that_is_stated_wrongly_can_be_given(tmp_path):
    path = save(tmp_path / "r.shp", [LEFT, RIGHT], ["Лес", "Луг"], encoding="cp1251")
    path.with_suffix(".cpg").write_text("UTF-8")
    one_line(lambda: reference_codes(read_reference(path, column="code")), "r.shp", "utf-8", "encoding")
    assert reference_codes(read_reference(path, column="code", encoding="cp1251")) == ["Лес", "Луг"]
    path.with_suffix(".cpg").unlink()
    assert reference_codes(read_reference(path, column="code", encoding="cp1251")) == ["Лес", "Луг"]
    one_line(lambda: read_reference(path, column="code", encoding="klingon"), "klingon")


def test_a_column_is_found_with_its_letters_composed_or_not(tmp_path):
    frame = gpd.GeoDataFrame({"gro\u0308\u00dfe": ["2", "7"]}, geometry=[LEFT, RIGHT], crs=CRS)
    frame.to_file(tmp_path / "r.gpkg")
    assert (labels(tmp_path / "r.gpkg", column="gr\u00f6\u00dfe").values == WANTED).all()


def test_null_is_no_class_and_the_word_is_one(tmp_path):
    path = save(tmp_path / "r.gpkg", [LEFT, RIGHT], [None, "None"])
    reference = read_reference(path, column="code")
    legend = Legend.from_labels(reference_codes(reference))
    assert legend.names == {1: "None"}
    assert left_out(reference) == ["1 of 2 features of the reference have no code in code and count as none."]
    assert (labels(path, legend=legend).values == np.where(WANTED == 7, 1, 0)).all()


# GeoParquet


def test_geoparquet_is_read_as_any_vector_file(tmp_path):
    path = save(tmp_path / "r.parquet", [LEFT, RIGHT, LEFT], ["2", "7", None])
    got = labels(path, grid=GRID[:, 5:])
    assert (got.values == 7).all()
    assert set(np.unique(got.pieces)) == {2}
    assert read_reference(path, column="code").kind == "polygons"
    assert reference_codes(read_reference(path, column="code")) == ["2", "7"]
    one_line(lambda: read_reference(path, column="kode"), "no column 'kode'; it has code")
    assert read_area(path).area > 0
    assert read_districts(save(tmp_path / "d.parquet", [LEFT, RIGHT]), "code", crs=CRS).names == ("2", "7")


# CSV points


def write_csv(path, rows, header="lon,lat,code", encoding="utf-8"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return path


PLACE = gpd.GeoSeries(gpd.points_from_xy([500005, 500095], [5000075, 5000005]), crs=CRS).to_crs(4326)
ROWS = [f"{PLACE.x[0]:.7f},{PLACE.y[0]:.7f},2", f"{PLACE.x[1]:.7f},{PLACE.y[1]:.7f},7"]


@pytest.mark.parametrize(
    "header",
    [
        "longitude,latitude,code",
        " LON , LAT ,code",
        "Long,Lat,code",
        "lng,lat,code",
        "decimalLongitude,decimalLatitude,code",
    ],
)
@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_points_of_any_csv_are_found(tmp_path, header, sign, encoding):
    path = write_csv(tmp_path / "p.csv", [row.replace(",", sign) for row in ROWS], header.replace(",", sign), encoding)
    got = labels(path)
    assert (got.values[0, 0], got.values[7, 9], got.features) == (2, 7, 2)


@pytest.mark.parametrize("empty", ["", "NA", "nan", "NULL", " "])
def test_points_without_a_place_are_counted(tmp_path, empty):
    path = write_csv(tmp_path / "p.csv", [*ROWS, f"{empty},45,2", f"15,{empty},2", f"{empty},{empty},2"])
    reference = read_reference(path, column="code")
    assert left_out(reference) == ["3 of 5 points have no place and are left out."]
    assert count_inside(reference, [GRID]) == (2, 2)
    one_line(
        lambda: read_reference(write_csv(tmp_path / "q.csv", [f"{empty},45,2"]), column="code"), "none of its 1 rows"
    )


@pytest.mark.parametrize(
    ("header", "row", "told"),
    [
        ("lon,lat,code", "15,91,2", "row 1: lat is '91'; give degrees from -90 to 90"),
        ("lon,lat,code", "500000,5000000,2", "row 1: lon is '500000'; give degrees from -180 to 180, or the CRS"),
        ("x,y,code", "500000,5000000,2", "'x' and 'y' ('500000', '5000000' in row 1) have no coordinate reference"),
        ("x,y,code", "500000,5000000,2", 'set reference.crs, such as reference.crs = "EPSG:32633"'),
        ("x,y,code", "15,45,2", 'if they are longitude and latitude, set reference.crs = "EPSG:4326"'),
        ("X_COORD;Y_COORD;code", "15,25;45,25;2", "'X_COORD' and 'Y_COORD' ('15,25', '45,25' in row 1)"),
        ("lon,lat,code", "inf,45,2", "row 1: lon is 'inf'"),
        ("lon,lat,code", "15E,45,2", "row 1: lon is '15E'"),
        ("Lon,lon,lat,code", "15,16,45,2", "the columns 'Lon' and 'lon' differ"),
        ("east,lat,code", "15,45,2", "no columns of longitude and latitude, nor of x and y; it has east, lat, code"),
    ],
)
def test_table_points_that_cannot_be_placed_are_refused_with_their_row(tmp_path, header, row, told):
    path = write_csv(tmp_path / "p.csv", [row], header)
    one_line(lambda: read_reference(path, column="code"), "p.csv", told)


METRES = ["500005,5000075,2", "500095,5000005,7"]


@pytest.mark.parametrize(
    ("header", "keys"),
    [
        ("x,y,code", {}),
        ("X_COORD,Y_COORD,code", {}),
        ("Easting,Northing,code", {}),
        ("POINT_X,POINT_Y,code", {}),
        ("rechtswert,hochwert,code", {}),
        ("a,b,code", {"x": "a", "y": "b"}),
    ],
)
def test_points_in_metres_are_placed_by_the_crs_that_is_given(tmp_path, header, keys):
    path = write_csv(tmp_path / "p.csv", METRES, header)
    reference = read_reference(path, column="code", places=PlaceKeys(crs=CRS, **keys))
    found = rasterise(reference, GRID, LEGEND)
    assert (found.values[0, 0], found.values[7, 9], found.features) == (2, 7, 2)
    assert count_inside(reference, [GRID]) == (2, 2)
    assert reference.bounds[0] == 500005


def test_columns_of_metres_are_used_where_the_crs_is_in_metres(tmp_path):
    rows = [f"{degrees[:-2]},{metres}" for degrees, metres in zip(ROWS, METRES, strict=True)]
    path = write_csv(tmp_path / "p.csv", rows, "lon,lat,x,y,code")
    assert (labels(path).values > 0).sum() == 2
    assert read_reference(path, column="code").crs == "EPSG:4326"
    assert read_reference(path, column="code", places=PlaceKeys(crs=CRS)).bounds[0] == 500005


@pytest.mark.parametrize(
    ("keys", "row", "told"),
    [
        ({"crs": CRS}, "15.1,45.2,2", f"x and y hold degrees (15.1, 45.2), but crs is {CRS}"),
        ({"crs": CRS}, "5000075,500005,2", "row 1: x = 5.00008e+06, y = 500005 is far from"),
        ({"crs": "EPSG:4326"}, "500005,5000075,2", "row 1: x = 500005"),
        ({"crs": "EPSG:999999"}, "15,45,2", "reference.crs = 'EPSG:999999' is unknown; write it as EPSG:32633"),
        ({"crs": "metres"}, "15,45,2", "is unknown"),
        ({"x": "x"}, "15,45,2", "reference.x and reference.y belong together"),
        ({"x": "east", "y": "y", "crs": CRS}, "15,45,2", "no column 'east' (reference.x and reference.y name the"),
        ({"x": "x", "y": "y"}, "15,45,2", "have no coordinate reference system"),
    ],
)
def test_places_beyond_their_crs_and_keys_that_do_not_fit_are_refused(tmp_path, keys, row, told):
    path = write_csv(tmp_path / "p.csv", [row], "x,y,code")
    one_line(lambda: read_reference(path, column="code", places=PlaceKeys(**keys)), "p.csv", told)


def test_columns_of_places_are_for_tables(tmp_path):
    path = save(tmp_path / "r.gpkg", [LEFT], ["2"])
    keys = PlaceKeys(x="a", y="b", crs=CRS)
    one_line(lambda: read_reference(path, column="code", places=keys), "x = 'a' is for tables of points")


def test_a_vector_file_without_a_crs_gets_the_one_that_is_given(tmp_path):
    path = save(tmp_path / "r.shp", [LEFT, RIGHT], ["2", "7"])
    path.with_suffix(".prj").unlink()
    one_line(lambda: read_reference(path, column="code"), "assign one to it, or set reference.crs")
    reference = read_reference(path, column="code", places=PlaceKeys(crs=CRS))
    assert (rasterise(reference, GRID, LEGEND).values == WANTED).all()
    one_line(lambda: read_reference(path, column="code", places=PlaceKeys(crs="x")), "crs = 'x' is unknown")
    stated = save(tmp_path / "s.gpkg", [LEFT], ["2"])
    other = PlaceKeys(crs="EPSG:3035")
    one_line(
        lambda: read_reference(stated, column="code", places=other), f"states the CRS {CRS}, but crs = 'EPSG:3035'"
    )
    assert read_reference(stated, column="code", places=PlaceKeys(crs=CRS)).crs == CRS


@pytest.mark.parametrize("digits", [3, 7])
def test_points_with_decimal_commas_are_found(tmp_path, digits):
    rows = [f"{x:.{digits}f};{y:.{digits}f};2".replace(".", ",") for x, y in zip(PLACE.x, PLACE.y, strict=True)]
    reference = read_reference(write_csv(tmp_path / "p.csv", rows, "lon;lat;code"), column="code")
    assert reference.bounds[0] == pytest.approx(PLACE.x.min(), abs=0.001)
    path = write_csv(tmp_path / "m.csv", ["500005,5;5000075,25;2", "500095,5;5000005,25;7"], "x;y;code")
    bounds = read_reference(path, column="code", places=PlaceKeys(crs=CRS)).bounds
    assert bounds == (500005.5, 5000005.25, 500095.5, 5000075.25)


def test_a_coordinate_that_may_be_in_thousands_is_refused(tmp_path):
    path = write_csv(tmp_path / "p.csv", ["500,005;500,007;2"], "x;y;code")
    one_line(lambda: read_reference(path, column="code", places=PlaceKeys(crs=CRS)), "row 1: x is '500,005'; give a")


def test_points_of_parquet_are_read_with_and_without_geometry(tmp_path):
    frame = pd.DataFrame({"longitude": PLACE.x, "latitude": PLACE.y, "code": [2, 7]})
    frame.to_parquet(tmp_path / "plain.parquet")
    gpd.GeoDataFrame(frame[["code"]], geometry=PLACE).to_parquet(tmp_path / "geo.geoparquet")
    for name in ("plain.parquet", "geo.geoparquet"):
        reference = read_reference(tmp_path / name, column="code")
        assert reference_codes(reference) == ["2", "7"]
        found = rasterise(reference, GRID, LEGEND)
        assert (found.values[0, 0], found.values[7, 9], found.features) == (2, 7, 2)
        one_line(lambda: read_reference(tmp_path / name), "no column 'label'; it has")  # noqa: B023


def test_a_csv_in_another_encoding_is_refused_until_it_is_named(tmp_path):
    path = write_csv(tmp_path / "p.csv", [row[:-1] + "Wälder" for row in ROWS], encoding="cp1252")
    one_line(lambda: read_reference(path, column="code"), "p.csv", "UTF-8", ", or set reference.encoding.")
    assert reference_codes(read_reference(path, column="code", encoding="cp1252")) == ["Wälder"]


def test_whole_numbers_with_decimals_in_a_csv_are_codes(tmp_path):
    path = write_csv(tmp_path / "p.csv", [f"{row}.0" for row in ROWS])
    assert labels(path).unknown == {}
    assert (labels(path).values > 0).sum() == 2
    assert reference_codes(read_reference(path, column="code")) == ["2", "7"]


def test_a_csv_is_read_once_and_again_when_it_changes(tmp_path):
    path = write_csv(tmp_path / "p.csv", ROWS)
    first = table_points(path, "code")
    assert table_points(path, "code") is first
    write_csv(path, ROWS[:1])
    assert len(table_points(path, "code").x) == 1


@given(st.lists(st.tuples(st.integers(-20, 120), st.integers(-20, 100)), min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_points_on_a_grid_are_the_same_read_by_place_or_all_at_once(tmp_path_factory, places):
    x, y = np.array(places).T
    degrees = gpd.GeoSeries(gpd.points_from_xy(500000.0 + x, 5000000.0 + y), crs=CRS).to_crs(4326)
    rows = [
        f"{a!r},{b!r},{2 if i % 2 else 7}"
        for i, (a, b) in enumerate(zip(degrees.x.tolist(), degrees.y.tolist(), strict=True))
    ]
    reference = read_reference(write_csv(tmp_path_factory.mktemp("p") / "p.csv", rows), column="code")
    everywhere = points_table(reference, LEGEND, GRID)
    wanted = np.zeros(GRID.shape, "uint8")
    for row in everywhere[everywhere["inside"]].itertuples():
        wanted[row.row, row.col] = row.label
    assert np.array_equal(rasterise(reference, GRID, LEGEND).values, wanted)
    halves = [GRID[:, :4], GRID[:, 4:]]
    assert count_inside(reference, halves) == (int(everywhere["inside"].sum()), len(places))


# Areas and writing


def test_features_of_an_area_without_geometry_are_counted(tmp_path):
    path = save(tmp_path / "a.gpkg", [LEFT, None, RIGHT], "abc")
    found = read_area_file(path)
    assert (found.features, found.placeless, found.repaired) == (3, 1, 0)


@pytest.mark.parametrize("name", ["a!b.gpkg", "a\tb.gpkg"])
def test_a_name_that_would_reach_gdal_as_another_one_is_refused(tmp_path, name):
    save(tmp_path / "b.gpkg", [LEFT], "a")
    (tmp_path / "b.gpkg").rename(tmp_path / name)
    for call in (lambda: read_area(tmp_path / name), lambda: read_reference(tmp_path / name, column="code")):
        one_line(call, "do not take '!', tabs and line ends as parts of a name; rename the file")


def test_an_area_that_crosses_itself_is_repaired_and_counted(tmp_path):
    bow = shapely.Polygon([(500000, 5000000), (500100, 5000080), (500100, 5000000), (500000, 5000080)])
    found = read_area_file(save(tmp_path / "a.gpkg", [bow, RIGHT], "ab"))
    assert (found.features, found.repaired) == (2, 1)
    assert found.shape.is_valid


def test_an_area_in_a_wrong_crs_is_refused_with_its_coordinates(tmp_path):
    path = save(tmp_path / "a.gpkg", [shapely.box(1e12, 1e12, 2e12, 2e12)], "a")
    one_line(
        lambda: read_area(path), "a.gpkg: the area of interest (1e+12, 1e+12, 2e+12, 2e+12) has coordinates without"
    )


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no limit on the size of files here")
def test_a_disk_that_fills_up_is_an_error_of_the_machine_with_the_files_name(tmp_path):
    code = f"""
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import geopandas as gpd, shapely
from landweave.patch.vectors.writing import write_layers
frame = gpd.GeoDataFrame({{"a": ["x" * 1000] * 500}}, geometry=[shapely.Point(0, 0)] * 500, crs=4326)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    write_layers({str(tmp_path / "s.gpkg")!r}, [("a", frame)])
except OSError as error:
    print("told", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.startswith(f"told {tmp_path}/s.gpkg: cannot be written: "), done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    assert signal.SIGXFSZ


def test_layers_written_are_the_same_bytes_again(tmp_path):
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[LEFT], crs=CRS)
    one, other = (write_layers(tmp_path / name, [("a", frame), ("b", frame)]) for name in ("1.gpkg", "2.gpkg"))
    assert one.read_bytes() == other.read_bytes()
