"""landweave estimate: from a map to a sample to label, and from the labels to published figures."""

import json
import re
from html.parser import HTMLParser

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from pyproj import Geod
from test_cli import landweave  # noqa: F401 - a fixture
from worlds import CORNER, write_tif

from landweave.accuracy.design_based.estimates import MAPPED_TITLE
from landweave.errors import InputError
from landweave.patch.tables.places import PlaceKeys
from landweave.report.estimate_lines import size_lines
from landweave.runs.estimate.accuracy import estimate_accuracy, estimate_project, write_figures
from landweave.runs.estimate.draw import SizeRequest, draw_sample, plan_size
from landweave.runs.estimate.map import find_map
from landweave.runs.estimate.sample_file import read_sample

NAMES = {1: "forest", 2: "meadow & field", 5: "pond"}
SIDE = 120


def write_map(path, values, *, names=NAMES, **options):
    write_tif(path, values, nodata=0, **options)
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, **{f"class_{v}": name for v, name in names.items()})
        file.write_colormap(1, {v: (10 * v, 20, 30, 255) for v in names})
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A map with some errors, its truth, and a sample of it, unlabelled and labelled."""
    folder = tmp_path_factory.mktemp("estimate")
    rng = np.random.default_rng(5)
    truth = rng.choice([1, 2, 5], (SIDE, SIDE), p=[0.6, 0.35, 0.05]).astype("uint8")
    wrong = rng.random(truth.shape) < 0.12
    mapped = np.where(wrong, rng.choice([1, 2, 5], truth.shape), truth).astype("uint8")
    mapped[:3] = 0
    write_map(folder / "map.tif", mapped)
    write_map(folder / "truth.tif", truth)
    draw_sample(find_map(folder / "map.tif"), folder / "drawn.gpkg", request=SizeRequest(n=400), blind=True)
    draw_sample(find_map(folder / "map.tif"), folder / "seen.gpkg", request=SizeRequest(n=400))
    label(folder / "drawn.gpkg", folder / "labelled.gpkg", truth)
    return folder, mapped, truth


def points(path):
    return pyogrio.read_dataframe(path, layer="sample")


def label(source, target, truth, *, change=lambda frame: frame, names=NAMES, transform=CORNER):
    """Label every point with the truth, as an interpreter would do in the file itself."""
    target.write_bytes(source.read_bytes())
    frame = points(source)
    column, row = ~transform * (frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
    frame["reference"] = [names[v] for v in truth[row.astype(int), column.astype(int)].tolist()]
    pyogrio.write_dataframe(change(frame), target, layer="sample", driver="GPKG")
    return target


def test_the_sample_is_a_file_to_label_that_holds_its_design(world):
    folder, mapped, _ = world
    frame = points(folder / "seen.gpkg")
    assert len(frame) == 400
    assert list(frame.columns) == [
        "id", "reference", "remark", "stratum", "stratum_name", "inclusion_probability", "stratum_pixels",
        "stratum_area_ha", "geometry",
    ]  # fmt: skip
    assert frame["reference"].isna().all()
    assert frame["id"].tolist() == list(range(1, 401))
    column, row = ~CORNER * (frame.geometry.x.to_numpy(), frame.geometry.y.to_numpy())
    assert np.array_equal(mapped[row.astype(int), column.astype(int)], frame["stratum"])
    assert np.allclose(row % 1, 0.5)
    for value, part in frame.groupby("stratum"):
        pixels = int((mapped == value).sum())
        assert (part["stratum_pixels"] == pixels).all()
        np.testing.assert_allclose(part["inclusion_probability"], len(part) / pixels)
        np.testing.assert_allclose(part["stratum_area_ha"], pixels * 0.01 / 0.9996**2, rtol=1e-5)
        assert set(part["stratum_name"]) == {NAMES[value]}
        assert len(part) >= 50
    outlines = pyogrio.read_dataframe(folder / "seen.gpkg", layer="pixels")
    assert shapely.covers(outlines.geometry.to_numpy(), frame.geometry.to_numpy()).all()
    np.testing.assert_allclose(outlines.area, 100)


def test_a_blind_sample_shows_nothing_of_the_map(world):
    folder, _, _ = world
    blind, seen = points(folder / "drawn.gpkg"), points(folder / "seen.gpkg")
    assert list(blind.columns) == ["id", "reference", "remark", "geometry"]
    assert blind.geometry.equals(seen.geometry)
    # Neither does the order: the strata are mixed from the first row to the last.
    assert len(set(seen["stratum"].iloc[:40])) == 3


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_places(world, tmp_path):
    folder, _, _ = world
    source = find_map(folder / "map.tif")
    draw_sample(source, tmp_path / "again.gpkg", request=SizeRequest(n=400), blind=True)
    assert (tmp_path / "again.gpkg").read_bytes() == (folder / "drawn.gpkg").read_bytes()
    draw_sample(source, tmp_path / "other.gpkg", request=SizeRequest(n=400), blind=True, seed=7)
    assert not points(tmp_path / "other.gpkg").geometry.equals(points(folder / "drawn.gpkg").geometry)
    with pytest.raises(InputError, match="the file exists and may contain labels"):
        draw_sample(source, tmp_path / "other.gpkg", request=SizeRequest(n=400))


def test_a_wholly_labelled_map_gives_the_truth(world, tmp_path):
    mapped, truth = (values[:40, :40] for values in world[1:])
    source = find_map(write_map(tmp_path / "map.tif", mapped))
    land = mapped > 0
    draw_sample(source, tmp_path / "all.gpkg", request=SizeRequest(n=int(land.sum())))
    label(tmp_path / "all.gpkg", tmp_path / "all.gpkg", truth)
    found = estimate_accuracy(tmp_path / "all.gpkg", map_source=source)
    assert found["sample_units"] == land.sum()
    assert found["overall_accuracy"]["value"] == pytest.approx((mapped == truth)[land].mean(), abs=1e-6)
    for value, name in NAMES.items():
        area = found["classes"][name]["area_ha"]
        assert area["value"] == pytest.approx((truth[:40, :40][land] == value).sum() * 0.01 / 0.9996**2, rel=1e-5)
        assert area["se"] == pytest.approx(0, abs=1e-5)


def test_units_of_a_class_may_be_given(world, tmp_path):
    wanted = ["forest=30", "meadow & field=20", "pond=10"]
    drawn = draw_sample(find_map(world[0] / "map.tif"), tmp_path / "s.gpkg", request=SizeRequest(), per_class=wanted)
    assert drawn["sizes"] == {"forest": 30, "meadow & field": 20, "pond": 10}
    assert points(tmp_path / "s.gpkg")["stratum_name"].value_counts().to_dict() == drawn["sizes"]


def test_the_figures_of_a_labelled_sample(world):
    folder, mapped, truth = world
    found = estimate_accuracy(folder / "labelled.gpkg", map_source=find_map(folder / "map.tif"))
    assert found["sample_units"] == 400
    assert found["strata_are_the_maps_classes"] is True
    assert found["notes"] == []
    land = mapped > 0
    assert (
        abs(found["overall_accuracy"]["value"] - (mapped == truth)[land].mean()) < 4 * found["overall_accuracy"]["se"]
    )
    assert found["mapped"]["title"] == MAPPED_TITLE == "mapped area (pixel count, not an estimate)"
    assert found["mapped"]["classes"]["pond"]["pixels"] == (mapped == 5).sum()
    assert found["colors"]["pond"] == "#32141e"
    without = estimate_accuracy(folder / "labelled.gpkg")
    assert without["mapped"] is None
    assert without["overall_accuracy"] == found["overall_accuracy"]
    json.dumps(found, allow_nan=False)


def test_a_map_that_changed_since_is_judged_by_the_old_strata(world, tmp_path):
    """Here the new map is the truth itself, so every unit is right, whatever its stratum."""
    folder, _, truth = world
    found = estimate_accuracy(folder / "labelled.gpkg", map_source=find_map(folder / "truth.tif"))
    assert found["strata_are_the_maps_classes"] is False
    assert found["overall_accuracy"]["value"] == 1
    assert "Stehman (2014)" in found["notes"][0]
    same = estimate_accuracy(folder / "labelled.gpkg", map_source=find_map(folder / "map.tif"))
    for name in NAMES.values():  # areas are of the land and do not depend on the map that is judged
        assert found["classes"][name]["area_ha"]["value"] == pytest.approx(same["classes"][name]["area_ha"]["value"])
    hole = truth.copy()
    hole[: SIDE // 2] = 0
    write_map(tmp_path / "hole.tif", hole)
    found = estimate_accuracy(folder / "labelled.gpkg", map_source=find_map(tmp_path / "hole.tif"))
    assert "have no class on the map; they count as wrong" in found["notes"][1]
    assert found["overall_accuracy"]["value"] == pytest.approx(0.5, abs=0.1)


def test_on_degrees_land_is_weighed_by_its_area_and_not_by_pixels(tmp_path):
    """A map from 61 degrees north to the equator; the northern half of its rows has 42 % of its land."""
    transform = Affine(0.02, 0, 10, 0, -0.61, 61)
    write_map(tmp_path / "map.tif", np.ones((100, 20), "uint8"), crs="EPSG:4326", transform=transform)
    draw_sample(find_map(tmp_path / "map.tif"), tmp_path / "s.gpkg", request=SizeRequest(n=2000))
    truth = np.repeat([[1], [2]], 50, axis=0) * np.ones((1, 20), int)
    label(tmp_path / "s.gpkg", tmp_path / "s.gpkg", truth, transform=transform)
    found = estimate_accuracy(tmp_path / "s.gpkg", map_source=find_map(tmp_path / "map.tif"))
    north = shapely.segmentize(shapely.box(10, 30.5, 10.4, 61), 0.01)
    area, _ = Geod(ellps="WGS84").geometry_area_perimeter(north)
    assert found["classes"]["forest"]["area_ha"]["value"] == pytest.approx(area / 1e4, rel=1e-6)
    assert found["overall_accuracy"]["value"] == pytest.approx(0.42, abs=0.005)
    assert found["mapped"]["classes"]["forest"]["area_ha"] == found["area_ha"]


def districts(folder, *, names=("north", "south", "north"), column="name"):
    west, top = CORNER * (0, 0)
    boxes = [
        shapely.box(west, top - 300, west + 1200, top),
        shapely.box(west, top - 900, west + 1200, top - 300),
        shapely.box(west, top - 950, west + 1200, top - 900),
    ]
    path = folder / "districts.gpkg"
    gpd.GeoDataFrame({column: list(names)}, geometry=boxes, crs="EPSG:32633").to_crs(4326).to_file(path)
    return path


def test_districts_are_measured_by_the_maps_pixels(world, tmp_path):
    folder, mapped, _ = world
    found = estimate_accuracy(
        folder / "labelled.gpkg", map_source=find_map(folder / "map.tif"), districts=districts(tmp_path), column="name"
    )
    north, south = (found["districts"][name] for name in ("north", "south"))
    pixel = 0.01 / 0.9996**2
    inside = (mapped[:30] > 0).sum() + (mapped[90:95] > 0).sum()
    assert north["area_ha"] == pytest.approx(inside * pixel, rel=0.002)  # borders bend a little in degrees
    assert south["area_ha"] == pytest.approx((mapped[30:90] > 0).sum() * pixel, rel=0.002)
    assert south["sample_units"] > 150
    for part in (north, south):
        assert sum(row["area_ha"]["value"] for row in part["classes"].values()) == pytest.approx(part["area_ha"])
    lost = 400 - north["sample_units"] - south["sample_units"]
    assert any(f"{lost} sample units lie in no district" in note for note in found["notes"])
    other = estimate_accuracy(
        folder / "labelled.gpkg",
        map_source=find_map(folder / "truth.tif"),
        districts=districts(tmp_path),
        column="name",
    )
    assert any("Areas of districts are those of the land" in note for note in other["notes"])
    assert other["districts"]["north"]["area_ha"] > north["area_ha"]  # the truth knows the rows that the map leaves out
    alone = estimate_accuracy(folder / "labelled.gpkg", districts=districts(tmp_path), column="name")
    assert alone["districts"]["south"]["area_ha"] is None
    assert alone["districts"]["south"]["sample_units"] == south["sample_units"]


def test_districts_that_cannot_be_used_are_refused(world, tmp_path):
    folder, _, _ = world
    for options, told in (
        ({"column": None}, "say which column"),
        ({"column": "nmae"}, "no column 'nmae'"),
    ):
        with pytest.raises(InputError, match=told):
            estimate_accuracy(folder / "labelled.gpkg", districts=districts(tmp_path), **options)
    with pytest.raises(InputError, match="row 2: the district has no name"):
        estimate_accuracy(folder / "labelled.gpkg", districts=districts(tmp_path, names=("a", "", "c")), column="name")
    with pytest.raises(InputError, match="no such file of districts"):
        estimate_accuracy(folder / "labelled.gpkg", districts=tmp_path / "no.gpkg", column="name")


def put(column, row, value):
    def change(frame):
        frame.loc[row, column] = value
        return frame

    return change


def moved(frame):
    frame.loc[6, "geometry"] = shapely.Point(frame.geometry[6].x + 12, frame.geometry[6].y)
    return frame


BROKEN = {
    "no label": (put("reference", 16, None), "row 17 (id 17): no label in 'reference' (1 of 400 units have none)"),
    "unknown label": (put("reference", 16, "forrest"), "row 17 (id 17): the legend has no class 'forrest'; did you mean 'forest'?"),
    "strange label": (put("reference", 2, "97"), "row 3 (id 3): the legend has no class '97'; it has forest, meadow & field, pond."),
    "moved point": (moved, "row 7 (id 7): the point was moved; move it back"),
    "row removed": (lambda f: f.drop(index=4), "1 of 400 drawn units are missing, such as id 5"),
    "row added": (put("id", 9, 999), "row 10 (id 999): this unit is not in the design"),
    "row doubled": (put("id", 9, 3), "row 10 (id 3): this unit occurs twice"),
    "no ids": (lambda f: f.drop(columns="id"), "no column 'id'"),
    "no labels": (lambda f: f.drop(columns="reference"), "no column 'reference' with the labels; it has id, remark"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_sample_that_was_spoilt_is_refused_with_its_line(world, tmp_path, name):
    folder, _, truth = world
    change, told = BROKEN[name]
    path = label(folder / "drawn.gpkg", tmp_path / "s.gpkg", truth, change=change)
    with pytest.raises(InputError) as error:
        estimate_accuracy(path)
    assert told in str(error.value)
    assert "s.gpkg" in str(error.value)
    assert "\n" not in str(error.value)


def test_units_without_a_label_can_be_left_out_and_are_told_of(world, tmp_path):
    folder, _, truth = world

    def change(frame):
        frame.loc[:3, "reference"] = None
        return frame.drop(index=[10, 11])

    path = label(folder / "drawn.gpkg", tmp_path / "s.gpkg", truth, change=change)
    found = estimate_accuracy(path, drop_unlabelled=True)
    assert found["sample_units"] == 394
    assert "6 drawn units have no label and were left out" in found["notes"][0]


def test_labels_may_be_names_in_any_case_or_values(world, tmp_path):
    folder, _, truth = world
    values = {name: str(v) for v, name in NAMES.items()}

    def change(frame):
        frame["reference"] = [
            text.upper() if i % 2 else values[text] for i, text in enumerate(frame["reference"].tolist())
        ]
        return frame

    path = label(folder / "drawn.gpkg", tmp_path / "s.gpkg", truth, change=change)
    assert estimate_accuracy(path)["classes"] == estimate_accuracy(folder / "labelled.gpkg")["classes"]


def test_where_classes_are_called_by_numbers_a_label_is_a_name(world, tmp_path):
    """A class called 2 has the value 1: the label 2 means the class called so."""
    folder, mapped, truth = world
    names = {1: "2", 2: "1", 5: "5"}
    write_map(tmp_path / "map.tif", mapped, names=names)
    draw_sample(find_map(tmp_path / "map.tif"), tmp_path / "s.gpkg", request=SizeRequest(n=400), blind=True)
    path = label(tmp_path / "s.gpkg", tmp_path / "s.gpkg", truth, names=names)
    found, expected = estimate_accuracy(path), estimate_accuracy(folder / "labelled.gpkg")
    assert found["overall_accuracy"] == expected["overall_accuracy"]


def test_a_labelled_csv_is_read_however_it_was_saved(world, tmp_path):
    folder, _, _ = world
    frame = points(folder / "labelled.gpkg").drop(columns="geometry")
    expected = estimate_accuracy(folder / "labelled.gpkg")["classes"]
    design, path = folder / "drawn.gpkg", tmp_path / "labels.csv"
    for change, options in (
        ({"id": frame["id"].astype(float)}, {}),
        ({"id": frame["id"].astype(float).astype(str)}, {"sep": ";", "encoding": "utf-8-sig"}),
        ({" id": frame["id"]}, {"sep": "\t", "encoding": "utf-16"}),
    ):
        frame.drop(columns="id").assign(**change).to_csv(path, index=False, **options)
        assert estimate_accuracy(path, design=design)["classes"] == expected
    path.write_text("id,reference\n1,Wälder\n", encoding="latin-1")
    with pytest.raises(InputError, match=r"labels\.csv, line 2: byte 0xe4 is no text in UTF-8"):
        estimate_accuracy(path, design=design)
    path.write_text("id,reference\n1,a,b\n")
    with pytest.raises(InputError, match=r"labels\.csv, row 1: 3 cells, but the header has 2"):
        estimate_accuracy(path, design=design)


def test_a_sample_without_its_design_is_refused_until_the_design_is_given(world, tmp_path):
    folder, _, _ = world
    frame = points(folder / "labelled.gpkg").drop(columns="geometry")
    frame.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(InputError, match="the sample has no design, so nothing can be estimated"):
        estimate_accuracy(tmp_path / "labels.csv")
    found = estimate_accuracy(tmp_path / "labels.csv", design=folder / "drawn.gpkg")
    assert found["classes"] == estimate_accuracy(folder / "labelled.gpkg")["classes"]
    points(folder / "labelled.gpkg").to_file(tmp_path / "bare.gpkg", layer="labels")
    with pytest.raises(InputError, match="the sample has no design"):
        estimate_accuracy(tmp_path / "bare.gpkg")
    assert read_sample(tmp_path / "bare.gpkg", design=folder / "drawn.gpkg").fingerprint
    with pytest.raises(InputError, match="the file has no design"):
        estimate_accuracy(tmp_path / "labels.csv", design=tmp_path / "labels.csv")


@pytest.mark.parametrize("size", ["stratum_pixels", "inclusion_probability"])
def test_a_sample_from_elsewhere_brings_its_design_as_columns(world, tmp_path, size):
    folder, _, _ = world
    seen, labelled = points(folder / "seen.gpkg"), points(folder / "labelled.gpkg")
    place = seen.geometry.to_crs(4326)
    frame = pd.DataFrame(
        {"longitude": place.x, "latitude": place.y, "stratum": seen["stratum_name"], size: seen[size],
         "stratum_area_ha": seen["stratum_area_ha"], "truth": labelled["reference"]}
    )  # fmt: skip
    frame.to_csv(tmp_path / "s.csv", index=False)
    found = estimate_accuracy(tmp_path / "s.csv", label="truth", map_source=find_map(folder / "map.tif"))
    expected = estimate_accuracy(folder / "labelled.gpkg")
    assert found["strata_are_the_maps_classes"] is None
    assert "not known" in found["notes"][0]
    for name in NAMES.values():
        for key in ("users_accuracy", "producers_accuracy", "area_ha"):
            for part in ("value", "se"):
                assert found["classes"][name][key][part] == pytest.approx(
                    expected["classes"][name][key][part], rel=1e-4
                )
    frame.loc[3, "stratum_area_ha"] += 1
    frame.to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(InputError, match="needs one number above 0 in stratum_area_ha, the same in each row"):
        estimate_accuracy(tmp_path / "s.csv", label="truth")


def test_a_sample_as_a_european_spreadsheet_or_parquet_gives_the_same_figures(world, tmp_path):
    folder, _, _ = world
    seen, labelled = points(folder / "seen.gpkg"), points(folder / "labelled.gpkg")
    frame = seen[["stratum", "stratum_pixels", "stratum_area_ha"]].assign(reference=labelled["reference"])
    found_map = find_map(folder / "map.tif")
    seen.assign(reference=labelled["reference"]).to_parquet(tmp_path / "s.parquet")
    expected = estimate_accuracy(tmp_path / "s.parquet", map_source=found_map)["classes"]
    place = {"Rechtswert": seen.geometry.x + 0.25, "Hochwert": seen.geometry.y + 0.25}
    frame.assign(**place, Bemerkung="Wälder").to_csv(
        tmp_path / "s.csv", index=False, sep=";", decimal=",", encoding="cp1252"
    )
    keys = PlaceKeys(crs="EPSG:32633")
    with pytest.raises(InputError, match="is no text in UTF-8"):
        estimate_accuracy(tmp_path / "s.csv", map_source=found_map, places=keys)
    options = {"map_source": found_map, "encoding": "cp1252"}
    with pytest.raises(InputError, match=r"columns longitude and latitude, or others by estimate\.x, y and crs"):
        estimate_accuracy(tmp_path / "s.csv", **options)
    assert estimate_accuracy(tmp_path / "s.csv", places=keys, **options)["classes"] == expected
    named = PlaceKeys(x="Rechtswert", y="Hochwert", crs="EPSG:32633")
    assert estimate_accuracy(tmp_path / "s.csv", places=named, **options)["classes"] == expected


def test_points_outside_the_map_are_refused(world, tmp_path):
    folder, mapped, _ = world
    write_map(tmp_path / "part.tif", mapped[:60])
    with pytest.raises(
        InputError, match=r"row \d+ \(id \d+\): the point is outside the map part\.tif \(\d+ of 400 do\)"
    ):
        estimate_accuracy(folder / "labelled.gpkg", map_source=find_map(tmp_path / "part.tif"))


def test_a_class_that_the_map_never_shows_needs_a_legend(world, tmp_path):
    folder, _, truth = world
    path = label(folder / "drawn.gpkg", tmp_path / "s.gpkg", truth, change=put("reference", 0, "swamp"))
    with pytest.raises(InputError, match="no class 'swamp'"):
        estimate_accuracy(path)
    (tmp_path / "legend.toml").write_text(
        "".join(f'[[class]]\nvalue = {v}\nname = "{n}"\n' for v, n in {**NAMES, 9: "swamp"}.items())
    )
    swamp = estimate_accuracy(path, legend=tmp_path / "legend.toml")["classes"]["swamp"]
    assert swamp["sample_units"] == 1
    assert swamp["area_ha"]["value"] > 0
    assert swamp["users_accuracy"]["value"] is None
    assert swamp["users_accuracy"]["reason"] == "not mapped at any sample unit"


def test_size_and_allocation_from_shares_are_those_of_the_published_example():
    shares = ["deforestation=0.02", "forest gain=0.015", "stable forest=0.32", "stable non-forest=0.645"]
    expect = ["deforestation=0.7", "forest gain=0.6", "stable forest=0.9", "stable non-forest=0.95"]
    plan = plan_size(SizeRequest(expected=expect), shares=shares)
    assert plan["n"] == 693
    needed = {way: row["n_for_target"] for way, row in plan["allocations"].items()}
    assert (needed["proportional"], needed["neyman"], needed["equal, at least 50 a class"]) == (682, 645, 1171)
    chosen = plan["allocations"][plan["chosen"]]
    assert min(chosen["sizes"].values()) == 50
    assert sum(chosen["sizes"].values()) == 693
    assert 0.00999 < chosen["se_overall"] <= 0.01
    published = plan_size(SizeRequest(n=641, expected=expect), shares=shares)["allocations"]["proportional"]
    assert list(published["sizes"].values()) == [13, 10, 205, 413]
    assert round(published["se_overall"], 6) == 0.010302


def test_a_number_that_misses_the_target_says_so():
    shares = ["a=0.97", "b=0.01", "c=0.01", "d=0.01"]
    lines = size_lines(plan_size(SizeRequest(n=1275, allocation="equal"), shares=shares))
    assert lines[0] == "1275 units; expected standard error of the overall accuracy 0.0194 (target 0.01)"
    assert lines[1] == "! The target is missed: it needs 4805 units with this allocation."
    found = size_lines(plan_size(SizeRequest(allocation="equal", class_target=0.05), shares=shares))
    assert found[0] == "4805 units; expected standard error of the overall accuracy 0.0100 (target 0.01)"
    assert found[1] == "expected standard errors of user's accuracies: at most 0.0103 (target 0.05)"


def test_the_size_names_classes_whose_omissions_will_hardly_be_seen():
    """By hand, of rare: 0.01 * 0.85 / 0.9 * 0.1 of the land is missed, and the others' units see it in 0.99 of the land."""
    plan = plan_size(SizeRequest(), shares=["common=0.99", "rare=0.01"])
    chosen = plan["allocations"][plan["chosen"]]
    others = chosen["sizes"]["common"]
    assert chosen["expected_omitted_units"]["rare"] == pytest.approx(others * 0.01 * 0.85 / 0.9 * 0.1 / 0.99)
    assert "if the map misses 10% of each class: rare 1." in size_lines(plan)[-1]
    more = plan_size(SizeRequest(n=9000), shares=["common=0.99", "rare=0.01"])
    assert "omitted" not in size_lines(more)[-1]
    with pytest.raises(InputError, match="the omission is 1"):
        plan_size(SizeRequest(omission=1), shares=["common=0.99", "rare=0.01"])


def test_a_target_for_each_class_raises_those_that_need_it():
    request = SizeRequest(expected=["0.7", "common=0.95"], class_target=0.04, minimum=20)
    plan = plan_size(request, shares=["common=0.97", "rare=0.03"])
    chosen = plan["allocations"][plan["chosen"]]
    assert max(chosen["se_users"].values()) <= 0.04
    assert chosen["sizes"]["rare"] == 133  # 0.7 * 0.3 / 0.04^2 + 1 = 132.25
    for shares in (["rare"], [], ["=0.3"], ["rare=0"]):
        with pytest.raises(InputError):
            plan_size(request, shares=shares)


def test_shares_that_do_not_add_up_to_1_are_refused_and_rounded_ones_are_not():
    assert plan_size(SizeRequest(), shares=["forest=0.33", "other=0.66"])["n"] > 0
    for shares, total in ((["forest=0.3"], "0.3"), (["forest=0.6", "other=0.6"], "1.2"), (["a=30", "b=70"], "100")):
        with pytest.raises(InputError, match=rf"--share: the shares add up to {total}, not 1"):
            plan_size(SizeRequest(), shares=shares)


@pytest.mark.parametrize(("bands", "told"), [(2, "the map has 2 bands"), (3, "the map has a picture in red, green")])
def test_a_picture_is_no_map_of_classes(tmp_path, bands, told):
    profile = {"photometric": "RGB"} if bands == 3 else {}
    with rasterio.open(
        tmp_path / "rgb.tif", "w", driver="GTiff", width=9, height=9, count=bands, dtype="uint8", crs="EPSG:32633",
        transform=CORNER, **profile,
    ) as file:  # fmt: skip
        file.write(np.ones((bands, 9, 9), "uint8"))
    with pytest.raises(InputError, match=told):
        find_map(tmp_path / "rgb.tif")


def test_a_map_that_is_missing_is_named_once(tmp_path):
    with pytest.raises(InputError) as caught:
        find_map(tmp_path / "nowhere.tif")
    assert str(caught.value) == f"{tmp_path / 'nowhere.tif'}: not readable as a map: No such file or directory."


def test_a_rare_class_gets_all_its_pixels_where_it_has_fewer_than_the_minimum(tmp_path):
    values = np.ones((100, 100), "uint8")
    values[0, :9], values[1, 0] = 5, 2
    write_map(tmp_path / "map.tif", values)
    source = find_map(tmp_path / "map.tif")
    drawn = draw_sample(source, tmp_path / "s.gpkg", request=SizeRequest(n=300))
    assert drawn["sizes"] == {"forest": 290, "meadow & field": 1, "pond": 9}
    label(tmp_path / "s.gpkg", tmp_path / "s.gpkg", values)
    assert estimate_accuracy(tmp_path / "s.gpkg")["overall_accuracy"]["value"] == 1


def test_what_a_run_measured_is_what_a_project_expects(world, tmp_path):
    project = a_project(world, tmp_path)
    scores = {"classes": {"forest": {"precision": {"value": 0.7}}, "pond": {"precision": {"value": None}}}}
    (tmp_path / "out" / "accuracy.json").write_text(json.dumps(scores))
    source = find_map(project)
    from landweave.maps.areas import count_classes

    plan = plan_size(SizeRequest(), source=source, counted=count_classes(source.grid))
    users = {name: row["expected_users_accuracy"] for name, row in plan["classes"].items()}
    assert users == {"forest": 0.7, "meadow & field": 0.85, "pond": 0.85}
    plan = plan_size(SizeRequest(expected=["0.9", "pond=0.6"]), source=source, counted=count_classes(source.grid))
    users = {name: row["expected_users_accuracy"] for name, row in plan["classes"].items()}
    assert users == {"forest": 0.9, "meadow & field": 0.9, "pond": 0.6}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"request": SizeRequest(n=20)}, "adds up to 150"),
        ({"request": SizeRequest(allocation="best")}, "choose one of proportional, equal, neyman, power"),
        ({"request": SizeRequest(expected=["wood=0.9"])}, "no class 'wood'"),
        ({"request": SizeRequest(expected=["high"])}, "write it as class=number"),
        ({"request": SizeRequest(expected=["1.5"])}, "--expect 1.5: an accuracy is between 0 and 1"),
        ({"request": SizeRequest(), "per_class": ["forest=x"]}, "such as forest=150"),
        (
            {"request": SizeRequest(), "per_class": ["forest=1.5", "meadow & field=9", "pond=9"]},
            "--per-class forest=1.5: give a whole number",
        ),
        ({"request": SizeRequest(), "per_class": ["forest=10"]}, "lacks 'meadow & field'"),
        (
            {"request": SizeRequest(), "per_class": ["forest=10", "Forest=90"]},
            "--per-class 'Forest=90': Forest is given twice",
        ),
        ({"request": SizeRequest(expected=["0.8", "0.9"])}, "--expect '0.9': a number for all classes is given twice"),
        (
            {"request": SizeRequest(), "per_class": ["forest=10", "meadow & field=1", "pond=9"]},
            "a variance needs two units of every class",
        ),
        ({"request": SizeRequest(), "per_class": ["wood=10"]}, "no class 'wood'"),
    ],
)
def test_a_draw_that_cannot_be_is_refused_and_nothing_written(world, tmp_path, options, told):
    with pytest.raises(InputError, match=re.escape(told)):
        draw_sample(find_map(world[0] / "map.tif"), tmp_path / "s.gpkg", **options)
    assert list(tmp_path.iterdir()) == []


def a_project(world, folder, *, extra=""):
    """A project whose run has made its map."""
    (folder / "out").mkdir()
    (folder / "out" / "map.tif").write_bytes((world[0] / "map.tif").read_bytes())
    path = folder / "landweave.toml"
    path.write_text(f'name = "x"\noutput = "out"\n[source]\ntype = "simulated"\n{extra}')
    return path


def test_a_project_finds_its_sample_and_its_districts(world, tmp_path):
    folder, _, _ = world
    assert estimate_project(a_project(world, tmp_path)) is None
    districts(tmp_path)
    extra = '[estimate]\nsample = "labelled.gpkg"\n[districts]\npath = "districts.gpkg"\ncolumn = "name"\n'
    (tmp_path / "two").mkdir()
    (tmp_path / "districts.gpkg").rename(tmp_path / "two" / "districts.gpkg")
    project = a_project(world, tmp_path / "two", extra=extra)
    with pytest.raises(InputError, match=r"estimate\.sample: no such file"):
        estimate_project(project)
    (tmp_path / "two" / "labelled.gpkg").write_bytes((folder / "labelled.gpkg").read_bytes())
    found = estimate_project(project)
    assert set(found["districts"]) == {"north", "south"}
    assert found["overall_accuracy"] == estimate_accuracy(folder / "labelled.gpkg")["overall_accuracy"]


class Links(HTMLParser):
    found = ()

    def handle_starttag(self, tag, attrs):
        self.found += tuple(value for key, value in attrs if key in {"href", "src"})


def test_the_page_is_one_file_and_says_what_is_a_count(world, tmp_path):
    folder, _, _ = world
    found = estimate_accuracy(
        folder / "labelled.gpkg", map_source=find_map(folder / "map.tif"), districts=districts(tmp_path), column="name"
    )
    write_figures(found, output=tmp_path / "e.json", report=tmp_path / "e.html")
    page = (tmp_path / "e.html").read_text()
    parser = Links()
    parser.feed(page)
    assert parser.found == ("data:,",), "an empty icon, so that no browser asks for one"
    assert "Mapped area (pixel count, not an estimate)" in page
    assert "meadow &amp; field" in page
    assert "meadow & field" not in page
    assert "--page:" in page  # the report's style came along
    assert json.loads((tmp_path / "e.json").read_text()) == found
    with pytest.raises(InputError, match="in a folder that exists"):
        write_figures(found, report=tmp_path / "no" / "e.html")


def test_the_three_commands_in_a_row(world, tmp_path, landweave):  # noqa: F811
    folder, _, truth = world
    chart, sample = folder / "map.tif", tmp_path / "s.gpkg"
    status, out, err = landweave("estimate", "size", chart, "--target", "0.02", "--output", tmp_path / "size.json")
    assert (status, err) == (0, "")
    assert "<- chosen" in out
    n = json.loads((tmp_path / "size.json").read_text())["n"]
    assert out.startswith(f"{n} units")
    status, out, _ = landweave("estimate", "draw", chart, sample, "--target", "0.02", "--blind")
    assert status == 0
    assert f"{n} units; fill in the column reference, then run: landweave estimate accuracy {sample}" in out
    status, out, err = landweave("estimate", "accuracy", sample)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "no label" in err
    label(sample, sample, truth)
    status, out, err = landweave(
        "estimate", "accuracy", sample, "--map", chart, "--districts", districts(tmp_path), "--column", "name"
    )
    assert (status, err) == (0, "")
    assert re.search(r"overall accuracy \d\d\.\d \(\d\d\.\d to \d\d\.\d\) %, standard error", out)
    assert "mapped area (pixel count, not an estimate)" in out
    assert "district south" in out
    mapped = out[out.index("mapped area") :].splitlines()[1:4]
    assert [line.split("  ")[0] for line in mapped] == list(NAMES.values())


def test_a_project_on_the_command_line(world, tmp_path, landweave):  # noqa: F811
    project = a_project(world, tmp_path)
    status, out, err = landweave("estimate", "accuracy", project)
    assert (status, out) == (2, "")
    assert "add [estimate] sample" in err
    status, out, _ = landweave("estimate", "draw", tmp_path, tmp_path / "s.gpkg")
    assert status == 0
    label(tmp_path / "s.gpkg", tmp_path / "s.gpkg", world[2])
    with project.open("a") as file:
        file.write('[estimate]\nsample = "s.gpkg"\n')
    status, out, _ = landweave("estimate", "accuracy", tmp_path)
    assert status == 0
    assert "the map map.tif" in out
    status, _, err = landweave("estimate", "accuracy", tmp_path, "--label", "other")
    assert status == 2
    assert "the project file sets all options" in err


@pytest.mark.parametrize("command", ["size", "draw", "accuracy", "compare"])
def test_every_command_of_the_group_explains_its_options(landweave, command):  # noqa: F811
    status, out, err = landweave("estimate", command, "--help")
    assert (status, err) == (0, "")
    options = re.findall(r"^  --[a-z][^\n]*", out, re.MULTILINE)
    assert options
    assert not [line for line in options if not re.search(r"\s{2,}\S.*[a-z]{3}", line.strip())]
