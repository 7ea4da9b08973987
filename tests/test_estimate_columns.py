"""A sample from elsewhere brings its design as columns: whatever they say wrongly is refused or named."""

import numpy as np
import pandas as pd
import pytest
from affine import Affine
from pyproj import Geod
from test_estimate import write_map
from worlds import CORNER

from landweave.errors import InputError
from landweave.patch.tables.places import PlaceKeys
from landweave.runs.estimate.accuracy import estimate_accuracy
from landweave.runs.estimate.map import find_map

LEGEND = {1: "forest", 2: "crop", 3: "water"}
PIXELS = {"forest": 900_000, "crop": 400_000, "water": 10_000}
RIGHT = {"forest": 90, "crop": 45, "water": 49}
DRAWN = {"forest": 100, "crop": 50, "water": 50}
OTHER = {"forest": "crop", "crop": "forest", "water": "forest"}


def sample(**change):
    """The sample of fault 01: strata are class names; 90, 90 and 98 % of their units are right."""
    rows = [
        {"stratum": name, "stratum_pixels": PIXELS[name], "stratum_area_ha": PIXELS[name] / 100,
         "reference": name if i < RIGHT[name] else OTHER[name]}
        for name in DRAWN for i in range(DRAWN[name])
    ]  # fmt: skip
    return pd.DataFrame(rows).assign(**change)


def legend(folder, names=LEGEND):
    path = folder / "legend.toml"
    path.write_text("".join(f'[[class]]\nvalue = {v}\nname = "{n}"\n' for v, n in names.items()))
    return path


def judged(folder, frame, **options):
    frame.to_csv(folder / "s.csv", index=False)
    return estimate_accuracy(folder / "s.csv", **options)


def refused(folder, frame, told, **options):
    with pytest.raises(InputError, match=told) as caught:
        judged(folder, frame, **options)
    assert "\n" not in str(caught.value)


def numbered(names):
    """The strata and their names, with strata as numbers that ``names`` gives."""
    value = {name: v for v, name in names.items()}
    return {"stratum_name": sample()["stratum"], "stratum": [value[n] for n in sample()["stratum"]]}


ALPHABET = {1: "crop", 2: "forest", 3: "water"}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"stratum": sample()["stratum"].str.upper()},
        numbered(LEGEND),
        numbered(ALPHABET),  # the name counts before the number
        {"stratum": numbered(LEGEND)["stratum"]},
        {"stratum": numbered(LEGEND)["stratum"], "reference": sample()["reference"].map({"forest": 1, "crop": 2, "water": 3})},
    ],
    ids=["names", "capitals", "numbers and names", "alphabet and names", "numbers", "all numbers"],
)  # fmt: skip
def test_strata_are_matched_to_the_legend_by_name_and_then_by_number(tmp_path, change):
    """By hand: OA = (900000 * .90 + 400000 * .90 + 10000 * .98) / 1310000 (fault 01)."""
    found = judged(tmp_path, sample(**change), legend=legend(tmp_path))
    assert round(found["overall_accuracy"]["value"], 7) == 0.9006107
    assert round(found["overall_accuracy"]["se"], 4) == 0.0245
    users = {name: row["users_accuracy"]["value"] for name, row in found["classes"].items()}
    assert users == pytest.approx({"forest": 0.90, "crop": 0.90, "water": 0.98})
    without = judged(tmp_path, sample())
    assert without["overall_accuracy"] == found["overall_accuracy"]


def test_a_stratum_that_is_no_class_needs_the_map(tmp_path):
    buffer = sample().replace({"stratum": {"water": "buffer", "forest": "1", "crop": "2"}})
    refused(tmp_path, buffer, "stratum 'buffer' is not a class; the classes are forest, crop", legend=legend(tmp_path))
    named = sample(**numbered(LEGEND)).replace({"stratum_name": {"water": "lakes"}})
    refused(tmp_path, named, r"stratum '3' \('lakes'\) is not a class", legend=legend(tmp_path))
    without = judged(tmp_path, sample().replace({"stratum": {"water": "buffer"}, "reference": {"water": "crop"}}))
    assert any("No label is 'buffer'; if this stratum is no class" in note for note in without["notes"])


def test_a_name_in_stratum_and_another_in_stratum_name_is_refused(tmp_path):
    swapped = sample(stratum_name=sample()["stratum"].map({"forest": "crop", "crop": "forest", "water": "water"}))
    refused(tmp_path, swapped, "'crop' has the stratum_name 'forest', which is another class", legend=legend(tmp_path))
    two = sample(**numbered(LEGEND))
    two.loc[3, "stratum_name"] = "crop"
    refused(tmp_path, two, "stratum '1' has the names 'crop' and 'forest' in stratum_name")


def test_numbers_by_alphabet_without_names_are_named_by_the_labels(tmp_path):
    found = judged(tmp_path, sample(stratum=numbered(ALPHABET)["stratum"]), legend=legend(tmp_path))
    assert found["overall_accuracy"]["value"] < 0.2
    assert any(
        "would agree in 60 %" in n and "forest as crop" in n and "number the classes alike" in n for n in found["notes"]
    )
    assert not any("would agree" in note for note in judged(tmp_path, sample(), legend=legend(tmp_path))["notes"])


def test_a_label_that_is_a_number_needs_a_legend_where_strata_are_names(tmp_path):
    """Without one the first name of the alphabet would be read as class 1."""
    labels = sample()["reference"].map({"forest": 1, "crop": 2, "water": 3})
    refused(tmp_path, sample(reference=labels), "the label 1 is a number, but the strata are names; give the legend")


def test_two_strata_of_one_class_are_one_class(tmp_path):
    north = sample(stratum_name=sample()["stratum"])
    south = north.assign(stratum="s " + north["stratum"])
    both = pd.concat([north.assign(stratum="n " + north["stratum"]), south])
    found = judged(tmp_path, both, legend=legend(tmp_path))
    assert len(found["strata"]) == 6
    assert found["area_ha"] == pytest.approx(2 * 13_100)
    assert round(found["overall_accuracy"]["value"], 7) == 0.9006107
    assert list(judged(tmp_path, both)["classes"]) == ["crop", "forest", "water"]


def spelled(column, row, value):
    frame = sample(id=range(1, 201))
    frame[column] = frame[column].astype(object)
    frame.loc[row, column] = value
    return frame


PROBABILITY = sample()["stratum"].map({name: DRAWN[name] / PIXELS[name] for name in DRAWN})
CONTRADICTIONS = {
    "another case": (spelled("stratum", 3, "Forest"), "'forest' and 'Forest' differ in spelling only"),
    "a leading zero": (
        sample(stratum=[["1", "01"][i % 2] if s == "forest" else s for i, s in enumerate(sample()["stratum"])]),
        "'1' and '01' differ in spelling only",
    ),
    "no stratum": (spelled("stratum", 3, None), r"line 5 \(id 4\): no stratum"),
    "an id twice": (spelled("id", 7, 3), r"line 9 \(id 3\): this unit occurs twice"),
    "a row twice": (
        pd.concat([sample(longitude=np.linspace(0, 1, 200), latitude=5.0)] * 2).iloc[:201],
        "line 202: the row repeats an earlier one",
    ),
    "shares for pixels": (sample(stratum_pixels=0.3), "give the number of its pixels, not its share"),
    "percent": (sample(inclusion_probability=5.0), "a probability is at most 1"),
    "mixed units": (
        sample(stratum_area_ha=sample()["stratum"].map({"forest": 9000, "crop": 4e7, "water": 100})),
        "a pixel of stratum 'forest' has 0.01 ha and one of 'crop' 100 ha",
    ),
    "shares for areas": (
        sample(stratum_area_ha=sample()["stratum"].map({k: v / 1_310_000 for k, v in PIXELS.items()})),
        "adds up to 1; give the hectares of each stratum, not its share",
    ),
    "percent for areas": (
        sample(stratum_area_ha=sample()["stratum"].map({k: v / 13_100 for k, v in PIXELS.items()})),
        "adds up to 100; give the hectares of each stratum",
    ),
    "no label at all": (sample(reference=""), "200 of 200 units have none"),
    "a stratum with thirty digits": (
        sample(stratum=sample()["stratum"].map({"forest": 10**30, "crop": 2, "water": 3})),
        "the label 'forest'|has no class 'forest'",
    ),
    "more than the earth": (sample(stratum_area_ha=4e10), "more than the earth has"),
    "weights that do not sum": (
        sample(inclusion_probability=2 * PROBABILITY),
        "has 50 rows, but stratum_pixels x inclusion_probability is 100.0",
    ),
    "doubled rows": (
        pd.concat([sample(inclusion_probability=PROBABILITY)] * 2),
        "or remove rows that occur twice",
    ),
    "one unit": (sample().drop(range(101, 150)), "'crop' has 1 sample unit; the variance needs 2"),
    "fewer pixels than rows": (
        sample(stratum_pixels=sample()["stratum"].map({"forest": 90, "crop": 40, "water": 1})),
        "has 100 sample units of 90|has 50 sample units of 40",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_columns_that_contradict_each_other_are_refused(tmp_path, name):
    frame, told = CONTRADICTIONS[name]
    refused(tmp_path, frame, told)


def test_missing_rows_are_counted_as_left_out_where_that_is_asked_for(tmp_path):
    part = sample(inclusion_probability=PROBABILITY).drop(range(20))
    refused(tmp_path, part, "or leave missing units out with --drop-unlabelled")
    found = judged(tmp_path, part, drop_unlabelled=True)
    assert any("20 drawn units have no label and were left out" in note for note in found["notes"])
    assert [s["units"] for s in found["strata"]] == [400_000, 900_000, 10_000]


def test_places_that_two_units_share_are_named(tmp_path):
    frame = sample(id=range(1, 201), longitude=np.linspace(0, 1, 200).round(2), latitude=5.0)
    (note,) = (n for n in judged(tmp_path, frame)["notes"] if "share their coordinates" in n)
    assert note.startswith("198 units")


def test_a_class_without_a_stratum_is_named(tmp_path):
    found = judged(tmp_path, sample(), legend=legend(tmp_path, LEGEND | {7: "rock"}))
    assert any("No stratum is 'rock'" in note for note in found["notes"])


@pytest.fixture(scope="module")
def degrees(tmp_path_factory):
    """Fault 03, smaller: a map in degrees from 20 to 70 north; the northern class is commoner there in truth too."""
    folder, rng = tmp_path_factory.mktemp("degrees"), np.random.default_rng(1)
    transform = Affine(0.25, 0, 0, 0, -0.25, 70)
    north = 70 - (np.arange(200) + 0.5) * 0.25
    truth = np.where(rng.random((200, 200)) < (north[:, None] - 20) / 50, 2, 1).astype("uint8")
    mapped = np.where(rng.random(truth.shape) < 0.9, truth, 3 - truth).astype("uint8")
    write_map(folder / "map.tif", mapped, names={1: "one", 2: "two"}, crs="EPSG:4326", transform=transform)
    write_map(folder / "bare.tif", mapped, names={}, crs="EPSG:4326", transform=transform)
    geod = Geod(ellps="WGS84")
    row = [
        abs(geod.polygon_area_perimeter([0, 0.25, 0.25, 0], [70 - i / 4, 70 - i / 4, 69.75 - i / 4, 69.75 - i / 4])[0])
        for i in range(200)
    ]
    area = np.broadcast_to(np.array(row)[:, None] / 1e4, truth.shape)
    rows, columns = (
        np.concatenate(part)
        for part in zip(*(np.divmod(rng.choice(np.flatnonzero(mapped == v), 800, replace=False), 200) for v in (1, 2)), strict=True)
    )  # fmt: skip
    frame = pd.DataFrame(
        {"longitude": 0.25 * (columns + 0.5), "latitude": 70 - 0.25 * (rows + 0.5), "stratum": mapped[rows, columns],
         "reference": truth[rows, columns]}
    )  # fmt: skip
    frame["stratum_pixels"] = frame["stratum"].map({v: (mapped == v).sum() for v in (1, 2)})
    frame["stratum_area_ha"] = frame["stratum"].map({v: area[mapped == v].sum() for v in (1, 2)})
    return folder, frame, float(area[truth == 2].sum())


def test_pixels_in_degrees_weigh_by_the_area_that_the_map_gives_them(degrees, tmp_path):
    folder, frame, true = degrees
    with_map = judged(tmp_path, frame, map_source=find_map(folder / "map.tif"))["classes"]["two"]["area_ha"]
    assert with_map["low"] < true < with_map["high"]
    alone = judged(tmp_path, frame)
    assert alone["classes"]["2"]["area_ha"]["value"] > true + 4 * with_map["se"]
    assert any("units differ in size" in note and "--map" in note for note in alone["notes"])
    shapes = PlaceKeys(x="longitude", y="latitude", crs="EPSG:4326")
    named = frame.assign(stratum=frame["stratum"].map({1: "one", 2: "two"}))
    again = judged(tmp_path, named, map_source=find_map(folder / "map.tif"), places=shapes)
    assert again["classes"]["two"]["area_ha"] == with_map


@pytest.mark.parametrize(
    ("factor", "told"),
    [(1e4, r"\(are the areas in square metres\?\)"), (0.01, "square kilometres"), (2.4711, "in acres"), (1e-10, "shares")],
)  # fmt: skip
def test_areas_in_other_units_are_refused_with_the_likely_one(degrees, tmp_path, factor, told):
    folder, frame, _ = degrees
    change = {"stratum_area_ha": frame["stratum_area_ha"] * factor}
    refused(tmp_path, frame.assign(**change), f"{told}|more than the earth", map_source=find_map(folder / "map.tif"))
    # Strata of an earlier map: sizes need not be those of this map, but what cannot be is refused.
    other = frame.assign(**change, stratum=frame["stratum"].map({1: "old", 2: "new"}))
    if factor > 3 or factor < 0.1:
        told = "more than the earth|but the whole map|by its columns a unit has"
        refused(tmp_path, other, told, map_source=find_map(folder / "map.tif"))


def test_strata_are_checked_against_the_map_they_claim(degrees, tmp_path):
    folder, frame, _ = degrees
    chart = find_map(folder / "map.tif")
    one = frame[frame["stratum"] == 1]
    refused(tmp_path, one, "ha of 'two', but no unit of the sample is in this stratum", map_source=chart)
    half = frame.assign(stratum_pixels=frame["stratum_pixels"] // 2)
    refused(tmp_path, half, "pixels in its columns, but the map has", map_source=chart)
    renamed = half.assign(stratum=frame["stratum"].map({1: "stratum A", 2: "stratum B"}))
    notes = judged(tmp_path, renamed, map_source=chart)["notes"]
    assert sum("or the columns are wrong" in note for note in notes) == 2
    older = frame.assign(stratum_pixels=(frame["stratum_pixels"] * 0.9).astype(int))
    notes = judged(tmp_path, older, map_source=chart)["notes"]
    assert sum("the map has changed since the draw, or the columns are wrong" in note for note in notes) == 2
    swapped = frame.assign(stratum=frame["stratum"].map({1: "two", 2: "one"}))
    notes = judged(tmp_path, swapped, map_source=chart)["notes"]
    assert any(
        "1600 of 1600 units have another class on the map than their stratum is called" in note for note in notes
    )


def test_names_of_strata_are_not_the_values_of_a_map_without_names(degrees, tmp_path):
    """Names counted by alphabet, one and two, would fit the map's values by chance; zero and one would not."""
    folder, frame, _ = degrees
    names = {1: "wood", 2: "crop"}
    named = frame.assign(stratum=frame["stratum"].map(names), reference=frame["reference"].map(names))
    refused(tmp_path, named, "no class 'wood'; it has 1, 2", map_source=find_map(folder / "bare.tif"))
    both = frame.assign(stratum_name=named["stratum"], reference=named["reference"])
    found = judged(tmp_path, both, map_source=find_map(folder / "bare.tif"))
    assert found["classes"]["crop"]["users_accuracy"]["value"] > 0.8
    given = judged(tmp_path, named, map_source=find_map(folder / "bare.tif", legend=legend(tmp_path, names)))
    assert given["overall_accuracy"] == found["overall_accuracy"]


def test_a_legend_that_contradicts_a_drawn_sample_or_a_map_is_refused(tmp_path):
    from test_estimate import label, points

    from landweave.runs.estimate.draw import SizeRequest, draw_sample

    values = np.random.default_rng(2).choice([1, 2], (60, 60)).astype("uint8")
    chart = write_map(tmp_path / "map.tif", values, names={1: "wood", 2: "crop"})
    draw_sample(find_map(chart), tmp_path / "d.gpkg", request=SizeRequest(n=200))
    path = label(tmp_path / "d.gpkg", tmp_path / "s.gpkg", values, names={1: "wood", 2: "crop"}, transform=CORNER)
    assert len(points(path)) == 200
    swapped = legend(tmp_path, {1: "crop", 2: "wood"})
    with pytest.raises(
        InputError, match="class 'wood' has the value 1 in the map that the sample was drawn from, and 2"
    ):
        estimate_accuracy(path, legend=swapped)
    with pytest.raises(InputError, match=r"map\.tif: class 'wood' has the value 1 in the map and 2 in the legend"):
        find_map(chart, legend=swapped)
    renamed = legend(tmp_path, {1: "Wald", 2: "crop"})
    assert find_map(chart, legend=renamed).names[1] == "Wald"


def test_strata_with_far_more_land_than_their_units_span_are_named(tmp_path):
    """13 100 ha in a square of 11.4 km: right in hectares, and far too much if the numbers are square metres."""
    rng = np.random.default_rng(0)
    places = {"longitude": 15 + 0.146 * rng.random(200), "latitude": 45 + 0.103 * rng.random(200)}
    for factor, named in ((1, False), (4, False), (1e4, True)):
        frame = sample(stratum_area_ha=sample()["stratum_area_ha"] * factor, **places)
        notes = judged(tmp_path, frame)["notes"]
        assert any("but the units lie within" in note for note in notes) == named


def test_two_blanks_within_a_name_are_one(tmp_path):
    frame = sample().replace("forest", "broad leaf")
    expected = judged(tmp_path, frame)
    doubled = frame.assign(reference=frame["reference"].str.replace(" ", "  "))
    assert judged(tmp_path, doubled)["classes"] == expected["classes"]
    mapped = judged(tmp_path, doubled.assign(map=frame["stratum"]))
    assert list(mapped["classes"]) == ["broad leaf", "crop", "water"]
    assert mapped["strata_are_the_maps_classes"] is True
