"""What `landweave check` says before a run is what the run then finds."""

import json

import numpy as np
import pytest
from bad_inputs import edit, one_date, polygons, same, spoilt_points, training
from worlds import CORNER, two_class_world, write_tif

from landweave.errors import InputError
from landweave.legend import class_colors
from landweave.runs.pipeline import forecast
from landweave.runs.pipeline.check import check_facts, check_project
from landweave.runs.pipeline.check_lines import check_lines
from landweave.runs.pipeline.driver import run
from landweave.runs.project.settings import read_project
from landweave.runs.results.run import open_run


def by_name(facts):
    return {one["name"]: one for one in facts["classes"]}


def test_labels_are_counted_as_the_run_will_find_them(tmp_path):
    project, cover = two_class_world(tmp_path)
    edit(project, "erosion = 0", "erosion = 1")
    facts = check_facts(read_project(project))
    assert json.loads(json.dumps(facts)) == facts, "plain values"
    found = by_name(facts)
    assert {name: found[name]["labels"]["pixels"] for name in found} == {
        "meadow": int((cover == 2).sum()), "pond": int((cover == 7).sum())
    }  # fmt: skip
    assert run(read_project(project), workers=1).status == 0
    taught = open_run(project).assignment
    for one in facts["classes"]:
        assert one["labels"]["test"] == taught.land("test")[one["value"]]
        assert one["labels"]["patches"] == sum(one["value"] in part for part in taught.counts.values())
    roles = list(taught.roles.values())
    assert (facts["labels"]["train_units"], facts["labels"]["test_units"]) == (
        roles.count("train"),
        roles.count("test"),
    )


def test_a_polygon_across_patches_is_one_and_one_outside_is_none(tmp_path):
    project, _ = two_class_world(tmp_path)
    polygons(project, (2, 0, 0, 700, 700), (7, 710, 0, 800, 800), (7, 900, 0, 990, 800), (7, 710, 0, 713, 3))
    found = by_name(check_facts(read_project(project)))
    assert found["meadow"]["labels"] | {"train": 0, "test": 0} == {
        "pixels": 4900, "eroded": 4900, "features": 1, "patches": 16, "train": 0, "test": 0
    }  # fmt: skip
    assert found["pond"]["labels"]["features"] == 1, "one is elsewhere, and one holds no centre of a pixel"


def test_points_are_counted(tmp_path):
    project, _ = two_class_world(tmp_path)
    spoilt_points(same, "")(project)
    facts = check_facts(read_project(project))
    assert {name: one["labels"]["features"] for name, one in by_name(facts).items()} == {"meadow": 20, "pond": 20}
    assert facts["labels"]["split"] == "block"
    assert any("  points  pixels" in line for line in check_lines(facts))


def test_samples_of_a_table_are_counted(tmp_path):
    project, _ = two_class_world(tmp_path)
    training(project)
    facts = check_facts(read_project(project))
    assert {name: one["samples"] for name, one in by_name(facts).items()} == {"meadow": 20, "pond": 20}
    assert "labels:    40 samples of a table" in check_lines(facts)


def test_a_reference_without_a_legend_gets_colours_by_the_names_of_its_classes(tmp_path):
    project, _ = two_class_world(tmp_path)
    polygons(project, ("water", 0, 0, 400, 800), ("forest", 400, 0, 800, 800))
    edit(project, 'legend = "legend.toml"\n', "")
    found = by_name(check_facts(read_project(project)))
    assert [found[name]["color"] for name in ("forest", "water")] == class_colors(["forest", "water"])


def stripes(project, codes, count=16):
    """Polygons side by side, their codes in turn; without a legend."""
    width = 800 // count
    polygons(project, *((codes(k), k * width, 0, (k + 1) * width, 800) for k in range(count)))
    edit(project, 'legend = "legend.toml"\n', "")


@pytest.mark.parametrize(("codes", "said"), [
    (lambda k: ("Forest", "forest", "water")[k % 3], "only are not one class: 'Forest', 'forest'; correct them"),
    (lambda k: ("bare soil", "baresoil", "water")[k % 3], "only are not one class: 'bare soil', 'baresoil'; correct"),
    (lambda k: f"parcel {k}", "Each of the 16 features has a value of its own in use (parcel 0, parcel 1, parcel 10 and"),
    (lambda k: 1 + k % 3, "The names of the classes are only numbers (1, 2, 3)"),
    (lambda k: ("forest", "water")[k % 2], ""),
])  # fmt: skip
def test_codes_that_are_hardly_classes_are_pointed_out(tmp_path, codes, said):
    project, _ = two_class_world(tmp_path)
    stripes(project, codes)
    words = ("are not one class", "has a value of its own", "are only numbers")
    found = [line for line in check_facts(read_project(project))["notes"] if any(word in line for word in words)]
    assert len(found) == bool(said)
    assert all(said in line for line in found)


def test_a_column_with_more_values_than_classes_is_named(tmp_path):
    project, _ = two_class_world(tmp_path)
    stripes(project, lambda k: f"parcel {k:03}", count=300)
    said = (
        r"register\.gpkg: reference\.column = 'use' has 300 different values, such as parcel 000, .*column of classes"
    )
    with pytest.raises(InputError, match=said):
        check_facts(read_project(project))


def test_codes_that_the_legend_joins_are_not_pointed_out(tmp_path):
    project, _ = two_class_world(tmp_path)
    polygons(project, ("Wet", 0, 0, 300, 800), ("wet", 300, 0, 400, 800), ("dry", 400, 0, 800, 800))
    (tmp_path / "legend.toml").write_text(
        '[[class]]\nvalue = 1\nname = "wet"\ncodes = ["Wet", "wet"]\n[[class]]\nvalue = 2\nname = "dry"\n'
    )
    assert not any("blanks only" in line for line in check_facts(read_project(project))["notes"])


def test_patches_one_row_high_are_named(tmp_path):
    project, _ = two_class_world(tmp_path, size=81, patch=40)
    notes = check_facts(read_project(project))["notes"]
    assert any("5 of 9 patches are less than 16 pixels wide or high, such as" in note for note in notes), notes


def test_of_very_many_pixels_some_patches_are_counted_and_check_says_so(tmp_path, monkeypatch):
    project, _ = two_class_world(tmp_path)
    monkeypatch.setattr("landweave.runs.pipeline.label_counts.MOST_COUNTED", 5 * 20 * 20)
    lines = check_project(read_project(project))
    assert any(", counted in 5 of 16 patches" in line for line in lines)
    assert any("Labels were counted in 5 patches, evenly chosen." in line for line in lines)


def test_of_many_patches_those_near_labels_are_counted(tmp_path, monkeypatch):
    # 400 m in the lower left corner are 4 of the 16 patches.
    project, _ = two_class_world(tmp_path)
    polygons(project, (2, 10, 10, 200, 390), (7, 200, 10, 390, 390))
    monkeypatch.setattr("landweave.runs.pipeline.label_counts.MOST_COUNTED", 4 * 20 * 20)
    found = by_name(check_facts(read_project(project)))
    assert {name: found[name]["labels"]["pixels"] for name in found} == {"meadow": 19 * 38, "pond": 19 * 38}


def test_one_date_is_named_by_check_and_report_and_its_features_are_the_bands(tmp_path):
    project, _ = two_class_world(tmp_path)
    said = one_date(project)
    facts = check_facts(read_project(project))
    assert facts["features"]["of_dates"]
    assert facts["features"]["count"] == 3
    assert any("on 1 date)" in line for line in check_lines(facts))
    assert run(read_project(project), workers=1).status == 0
    assert said in (tmp_path / "out" / "report.html").read_text()
    samples = open_run(project).samples()
    patch = open_run(project).patch(samples["patch"].iloc[0])
    own = samples[samples["patch"] == samples["patch"].iloc[0]]
    for row in own.head(20).itertuples():
        pixel = patch.sel(x=row.x, y=row.y, method="nearest")
        assert row.B04_d031 == pixel["B04"].values[0], "2020-06-01 is day 31 of the period, and as it was seen"


def test_too_little_disk_or_memory_is_a_note(tmp_path, monkeypatch):
    project, _ = two_class_world(tmp_path)
    monkeypatch.setattr(forecast, "free_disk", lambda _: 1000)
    monkeypatch.setattr(forecast, "usable_memory", lambda: 10_000_000)
    notes = check_facts(read_project(project))["notes"]
    assert any(note.startswith("The disk has") for note in notes)
    assert any("of memory" in note for note in notes)


def test_the_last_line_is_the_next_command_as_one_would_type_it_here(tmp_path, monkeypatch):
    project, _ = two_class_world(tmp_path / "my map")
    monkeypatch.chdir(tmp_path)
    assert check_project(read_project(project))[-1] == 'next:      landweave run "my map"'
    monkeypatch.chdir(tmp_path / "my map")
    assert check_project(read_project(project))[-1] == "next:      landweave run ."
    project.rename(project.with_name("other.toml"))
    assert check_project(read_project(project.with_name("other.toml")))[-1] == "next:      landweave run other.toml"


def test_patches_between_tiles_that_no_image_covers_are_left_out(tmp_path):
    project, _ = two_class_world(tmp_path)
    far = CORNER * CORNER.translation(400, 0)
    for path in list(tmp_path.glob("S2_*.tif")):
        write_tif(tmp_path / "far" / path.name, np.full((80, 80), 900, "uint16"), transform=far)
        (tmp_path / "near").mkdir(exist_ok=True)
        path.rename(tmp_path / "near" / path.name)
    edit(project, "S2_{date", "*/S2_{date")
    facts = check_facts(read_project(project))
    assert facts["patches"]["count"] == 32
    assert facts["labels"]["patches"] == 16


def test_a_class_that_another_one_covers_is_missing(tmp_path):
    project, _ = two_class_world(tmp_path)
    polygons(project, (2, 0, 0, 800, 800), (7, 0, 0, 800, 800))
    with pytest.raises(InputError, match="found: pond"):
        check_project(read_project(project))


def test_target_days_beyond_all_dates_are_counted(tmp_path):
    project, _ = two_class_world(tmp_path)
    edit(project, "[source]", "[period]\nstart = 2020-01-01\nend = 2020-12-31\n[source]")
    # Every 46 days from 1 January: 0 and 46 are before 1 March, day 60; 276 and 322 after 1 September, day 244.
    note = "4 of 8 target days are before the first date or after the last one, and have no values."
    assert f"note:      {note}" in check_project(read_project(project))
