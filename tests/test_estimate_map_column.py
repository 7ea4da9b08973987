"""The map's classes as a column of the sample: strata and classes of the map may differ (Stehman 2014)."""

import numpy as np
import pandas as pd
import pytest
from test_cli import landweave  # noqa: F401 - a fixture

from landweave.errors import InputError
from landweave.runs.estimate.accuracy import estimate_accuracy

MAP = "AAAAAAABBB ABBBBBBBBB BBCCCCCCBB DDDDDDDDDD".replace(" ", "")
REFERENCE = "AAAAACBABC ABBBBBAABB CCCCCDDBBA DDDDDDDCCB".replace(" ", "")
SIZES = {"A": 40_000, "B": 30_000, "C": 20_000, "D": 10_000}


def stehman(path, **changes):
    """The published example as a table from elsewhere."""
    stratum = np.repeat(list(SIZES), 10)
    sizes = [SIZES[s] for s in stratum]
    columns = {
        "id": range(1, 41), "stratum": stratum, "stratum_pixels": sizes, "stratum_area_ha": sizes, "map": list(MAP),
        "reference": list(REFERENCE), **changes,
    }  # fmt: skip
    pd.DataFrame({name: values for name, values in columns.items() if values is not None}).to_csv(path, index=False)
    return path


def test_a_column_called_map_gives_the_published_figures(tmp_path):
    found = estimate_accuracy(stehman(tmp_path / "s.csv"))
    overall, classes = found["overall_accuracy"], found["classes"]
    assert (f"{overall['value']:.7f}", f"{overall['se']:.7f}") == ("0.6300000", "0.0846422")
    users = [f"{classes[name]['users_accuracy']['value']:.7f}" for name in "ABCD"]
    assert users == ["0.7419355", "0.5744681", "0.5000000", "0.7000000"]
    errors = [f"{classes[name]['users_accuracy']['se']:.7f}" for name in "ABCD"]
    assert errors == ["0.1645420", "0.1247822", "0.2151119", "0.1526761"]
    assert found["map_column"] == "map"
    assert found["strata_are_the_maps_classes"] is False
    assert "Stehman (2014)" in found["notes"][0]


def test_another_column_is_read_where_it_is_asked_for_and_a_missing_one_is_named(tmp_path):
    expected = estimate_accuracy(stehman(tmp_path / "s.csv"))["classes"]
    path = stehman(tmp_path / "t.csv", map=None, cover_2020=list(MAP))
    assert estimate_accuracy(path, map_column="cover_2020")["classes"] == expected
    assert estimate_accuracy(path)["overall_accuracy"]["value"] == pytest.approx(0.62)  # the strata are judged
    with pytest.raises(InputError, match=r"no column 'cover_2002' .* did you mean 'cover_2020'"):
        estimate_accuracy(path, map_column="cover_2002")
    with pytest.raises(InputError, match="the column 'map' is empty"):
        estimate_accuracy(stehman(tmp_path / "e.csv", map=[""] * 40), map_column="map")


def test_a_stratum_that_is_no_class_of_the_map_is_no_class_of_the_figures(tmp_path):
    stratum = np.repeat(["A", "B", "C", "buffer"], 10)
    found = estimate_accuracy(stehman(tmp_path / "s.csv", stratum=stratum))
    assert list(found["classes"]) == ["A", "B", "C", "D"]
    assert found["overall_accuracy"]["value"] == pytest.approx(0.63)


def test_a_unit_without_a_class_on_the_map_counts_as_wrong(tmp_path):
    mapped = list(MAP)
    mapped[0] = ""
    found = estimate_accuracy(stehman(tmp_path / "s.csv", map=mapped))
    assert found["overall_accuracy"]["value"] == pytest.approx(0.63 - 0.04)
    assert any("1 sample units have no class on the map" in note for note in found["notes"])


def test_a_class_that_only_the_labels_name_is_named_and_case_makes_no_class(tmp_path):
    labels = list(REFERENCE.lower())
    labels[0] = "AA"
    found = estimate_accuracy(stehman(tmp_path / "s.csv", reference=labels))
    assert list(found["classes"]) == ["A", "AA", "B", "C", "D"]
    assert any("Only the labels name these classes, not the column 'map': AA." in note for note in found["notes"])


def test_labels_that_are_numbers_are_refused_where_the_map_has_names(tmp_path):
    labels = ["1", *REFERENCE[1:]]
    with pytest.raises(
        InputError, match=r"line 2 \(id 1\): the label 1 is a number, but the classes of the map are names"
    ):
        estimate_accuracy(stehman(tmp_path / "s.csv", reference=labels))


def test_values_of_a_legend_are_read_as_such(tmp_path):
    number = {"A": 3, "B": 1, "C": 4, "D": 2}
    legend = "".join(f'[[class]]\nvalue = {v}\nname = "{n}"\n' for n, v in number.items())
    (tmp_path / "legend.toml").write_text(legend)
    path = stehman(tmp_path / "s.csv", map=[number[c] for c in MAP], reference=[number[c] for c in REFERENCE])
    found = estimate_accuracy(path, legend=tmp_path / "legend.toml")
    expected = estimate_accuracy(stehman(tmp_path / "t.csv"))["classes"]
    for name in number:
        assert found["classes"][name]["area_ha"]["value"] == pytest.approx(expected[name]["area_ha"]["value"])


def test_the_option_is_refused_beside_a_raster(tmp_path, landweave):  # noqa: F811
    status, out, err = landweave("estimate", "accuracy", stehman(tmp_path / "s.csv"), "--map-column", "map")
    assert (status, err) == (0, "")
    assert "the map in the column map" in out
    from test_estimate import write_map

    raster = write_map(tmp_path / "map.tif", np.ones((9, 9), "uint8"))
    status, _, err = landweave("estimate", "accuracy", tmp_path / "s.csv", "--map-column", "map", "--map", raster)
    assert (status, err.count("\n")) == (2, 1)
    assert "not as both" in err


def test_a_class_that_no_unit_has_in_the_column_may_still_be_on_the_map(tmp_path):
    labels = ["E", *REFERENCE[1:]]
    found = estimate_accuracy(stehman(tmp_path / "s.csv", reference=labels))["classes"]["E"]["producers_accuracy"]
    assert (found["value"], found["low"]) == (0, 0)
    assert found["high"] > 0.2


def test_the_first_filled_column_of_the_map_is_found_in_any_case_and_strata_that_stand_in_for_it_are_told_of(tmp_path):
    expected = estimate_accuracy(stehman(tmp_path / "s.csv"))["classes"]
    told = "The strata are taken as the classes of the map"
    for changes, column in (
        ({"map": None, "Map": list(MAP)}, "Map"),
        ({"map": None, "MAP_Class": list(MAP)}, "MAP_Class"),
        ({"map": [""] * 40, "map_class": list(MAP)}, "map_class"),
    ):
        found = estimate_accuracy(stehman(tmp_path / "t.csv", **changes))
        assert (found["map_column"], found["classes"]) == (column, expected)
        assert not any(told in note for note in found["notes"])
    for empty in (None, [""] * 40):
        found = estimate_accuracy(stehman(tmp_path / "t.csv", map=empty))
        assert found["map_column"] is None
        assert any(told in note for note in found["notes"])
