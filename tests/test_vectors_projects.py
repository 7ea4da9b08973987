"""Projects on vector files of every kind: labelled and mapped rightly, with a note for whatever is left out."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from worlds import two_class_world

from landweave.errors import InputError
from landweave.patch.store import read_raster
from landweave.runs.pipeline.check import check_project
from landweave.runs.pipeline.driver import Options, run
from landweave.runs.project.settings import read_project

CRS = "EPSG:32633"
LEFT, TOP = 500_000, 5_100_000
MEADOW, POND = shapely.box(LEFT, TOP - 400, LEFT + 200, TOP), shapely.box(LEFT + 200, TOP - 400, LEFT + 400, TOP)
WANTED = np.where(np.arange(40) < 20, 2, 7)[None].repeat(40, axis=0)
GLOBE = shapely.box(-180, -90, 180, 90)
LINE = shapely.LineString([(LEFT, TOP), (LEFT + 10, TOP)])


@pytest.fixture
def world(tmp_path):
    """A sound small project whose reference is a register."""
    project, _ = two_class_world(tmp_path, size=40, dates=("2020-03-01", "2020-06-01"))
    project.write_text(project.read_text().replace('path = "reference.tif"', 'path = "register.gpkg"\ncolumn = "code"'))
    register(project, [MEADOW, POND])
    return project


def register(project, shapes, codes=("2", "7"), name="register.gpkg", **options):
    frame = gpd.GeoDataFrame({"code": list(codes)}, geometry=list(shapes), crs=options.pop("crs", CRS))
    frame.to_file(project.parent / name, **options)


def with_area(project, shapes, name="aoi.gpkg", keys="", crs="EPSG:4326", **options):
    frame = gpd.GeoDataFrame(geometry=list(shapes), crs=crs)
    frame.to_file(project.parent / name, **options)
    project.write_text(project.read_text().replace("[area]\n", f'[area]\naoi = "{name}"\nbuffer = 0\n{keys}'))


def labelled(project):
    result = run(read_project(project), options=Options(until="label"), workers=1)
    labels = np.zeros((40, 40), int)
    for path in (project.parent / "out" / "labels").glob("x????y????.tif"):
        column, row = int(path.stem[1:5]), int(path.stem[6:10])
        labels[row * 20 : row * 20 + 20, column * 20 : column * 20 + 20] = read_raster(path)[0]
    return labels, result.notices


def globe_below(project):
    pond = gpd.GeoSeries([POND], crs=CRS).to_crs(4326)[0]
    register(project, [GLOBE, pond], crs="EPSG:4326")


def collection(project):
    shapes = [MEADOW, shapely.GeometryCollection([POND, LINE]), LINE]
    register(project, shapes, "277", geometry_type="Unknown")


def heights(project):
    register(project, shapely.force_3d([MEADOW, POND], 100.0))


def decimals(project):
    register(project, [MEADOW, POND], ["2.0", "7.0"])


def area_of_the_globe(project):
    with_area(project, [GLOBE])


def area_with_heights_and_an_empty_row(project):
    with_area(project, [shapely.force_3d(shapely.box(LEFT, TOP - 400, LEFT + 400, TOP), 5.0), None], crs=CRS)


def area_that_crosses_itself(project):
    left, right, bottom = LEFT - 400, LEFT + 800, TOP - 800
    bow = shapely.Polygon([(left, bottom), (right, TOP + 400), (right, bottom), (left, TOP + 400)])
    with_area(project, [bow, shapely.box(LEFT, TOP - 400, LEFT + 400, TOP)], crs=CRS)


def area_of_two_layers(project):
    with_area(project, [shapely.box(0, 0, 1, 1)], layer="elsewhere")
    gpd.GeoDataFrame(geometry=[GLOBE], crs=4326).to_file(project.parent / "aoi.gpkg", layer="here", mode="a")
    project.write_text(project.read_text().replace("[area]\n", '[area]\nlayer = "here"\n'))


@pytest.mark.parametrize(
    ("make", "note"),
    [
        (globe_below, ""),
        (collection, "1 of 3 features of the reference have no polygon (LineString 1)"),
        (heights, ""),
        (decimals, ""),
        (area_of_the_globe, ""),
        (area_with_heights_and_an_empty_row, "1 of 2 features of the area of interest have no geometry"),
        (area_of_two_layers, ""),
        (area_that_crosses_itself, "1 of 2 features of the area of interest cross themselves"),
    ],
)
def test_what_is_right_is_labelled_and_what_is_left_out_is_noted(world, make, note):
    make(world)
    checked = check_project(read_project(world))
    labels, notes = labelled(world)
    assert np.array_equal(labels, WANTED)
    assert note in "\n".join(notes)
    assert note in "\n".join(checked)
    assert bool(notes) == bool(note)


def test_points_by_keys_are_labelled_as_points_of_a_layer(world):
    x, y = (place.ravel() for place in np.meshgrid(LEFT + 5 + 10 * np.arange(40), TOP - 5 - 10 * np.arange(40)))
    places = [shapely.Point(*place) for place in zip(x, y, strict=True)]
    codes = ["7" if POND.covers(place) else "2" for place in places]
    register(world, places, codes)
    expected, _ = labelled(world)
    rows = [f"{a:.1f};{b:.1f};{code}".replace(".", ",") for a, b, code in zip(x, y, codes, strict=True)]
    (world.parent / "points.csv").write_text("\n".join(["RW;HW;code", *rows]), encoding="utf-8-sig")
    keys = f'path = "points.csv"\nx = "RW"\ny = "HW"\ncrs = "{CRS}"\n'
    world.write_text(world.read_text().replace('path = "register.gpkg"\n', keys))
    assert np.array_equal(labelled(world)[0], expected)
    assert (expected == 7).any()


def mixed(project):
    register(project, [MEADOW, shapely.Point(LEFT + 305, TOP - 5)])
    return r"register\.gpkg.*mixes 1 polygons and 1 points"


def codes_of_another_legend(project):
    register(project, [MEADOW, POND], ["1100", "2000"])
    return r"register\.gpkg: none of its codes \(1100, 2000\) is a code of the legend \("


def no_codes(project):
    register(project, [MEADOW, POND], [None, None])
    return r"register\.gpkg: no feature has a code in code"


def points_elsewhere(project):
    # The box of the points holds the imagery, and no point lies there.
    register(project, [shapely.Point(LEFT - 1000, TOP), shapely.Point(LEFT + 1000, TOP - 800)])
    return r"register\.gpkg: none of the 2 points lies in a patch"


def two_layers(project):
    register(project, [MEADOW, POND], layer="second", mode="a")
    return r"register\.gpkg: several layers \(register, second\); choose one with layer"


def area_without_a_layer(project):
    area_of_two_layers(project)
    project.write_text(project.read_text().replace('layer = "here"\n', ""))
    return r"aoi\.gpkg: several layers \(elsewhere, here\); choose one with layer"


def layer_of_nothing(project):
    project.write_text(project.read_text().replace("[area]\n", '[area]\nlayer = "here"\n'))
    return r"layer is a layer of aoi; name the file with aoi"


def area_in_metres(project):
    with_area(project, [shapely.force_2d(MEADOW)], name="aoi.geojson")
    return r"aoi\.geojson.*are not degrees"


def area_of_points(project):
    with_area(project, [shapely.Point(LEFT + 5, TOP - 5)], crs=CRS, keys='crs = "utm"\n')
    return r"aoi\.gpkg: The area of interest has no extent, as points and lines have none; .* or set area\.buffer"


def points_in_metres_without_a_crs(project):
    (project.parent / "points.csv").write_text(f"x;y;code\n{LEFT + 5};{TOP - 5};2\n")
    project.write_text(project.read_text().replace("register.gpkg", "points.csv"))
    return r'points\.csv: the coordinates in the columns \'x\' and \'y\' .* set reference\.crs, such as reference\.crs = "EPSG'


def local_area(project):
    local = 'ENGCRS["site",EDATUM["x"],CS[Cartesian,2],AXIS["x",east],AXIS["y",north],LENGTHUNIT["metre",1]]'
    with_area(project, [MEADOW], crs=local)
    return r"aoi\.gpkg.*'site', is a local one"


@pytest.mark.parametrize(
    "make",
    [
        mixed, codes_of_another_legend, no_codes, points_elsewhere, two_layers, area_without_a_layer, layer_of_nothing,
        area_in_metres, local_area, area_of_points, points_in_metres_without_a_crs,
    ],
)  # fmt: skip
def test_what_is_wrong_is_found_by_check_in_one_line(world, make):
    pattern = make(world)
    with pytest.raises(InputError, match=pattern) as caught:
        check_project(read_project(world))
    assert "\n" not in str(caught.value)
