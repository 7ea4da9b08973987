"""A sample that is extended: what was labelled stays, and the whole is a random sample as if drawn at once."""

import numpy as np
import pyogrio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_cli import landweave  # noqa: F401 - a fixture
from test_estimate import label, points, world, write_map  # noqa: F401 - a fixture

from landweave.errors import InputError
from landweave.maps.areas import count_classes
from landweave.maps.stratified_sample import draw_more, draw_pixels, shuffled
from landweave.runs.estimate.accuracy import estimate_accuracy
from landweave.runs.estimate.draw import SizeRequest, draw_sample
from landweave.runs.estimate.map import find_map

SMALL, LARGE = ["forest=30", "meadow & field=20", "pond=10"], ["forest=30", "meadow & field=60", "pond=25"]


def places(path):
    frame = points(path)
    return list(zip(frame.geometry.x, frame.geometry.y, strict=True))


@given(st.integers(1, 300), st.data(), st.integers(0, 99))
def test_a_larger_draw_contains_the_smaller_one_and_no_pixel_twice(have, data, seed):
    n = data.draw(st.integers(0, have))
    m = data.draw(st.integers(0, n))
    larger = shuffled(have, n, seed=(seed, 3))
    assert larger[:m].tolist() == shuffled(have, m, seed=(seed, 3)).tolist()
    assert len(set(larger.tolist())) == n
    assert larger.min(initial=0) >= 0
    assert larger.max(initial=0) < have


def test_every_order_is_as_likely():
    counts = np.zeros((4, 4))
    for seed in range(2000):
        np.add.at(counts, (shuffled(4, 4, seed=(seed, 0)), range(4)), 1)
    assert np.abs(counts - 500).max() < 5 * (2000 * 0.25 * 0.75) ** 0.5


def test_an_extended_sample_is_the_larger_draw_and_keeps_numbers_and_labels(world, tmp_path):  # noqa: F811
    folder, _, truth = world
    source = find_map(folder / "map.tif")
    draw_sample(source, tmp_path / "a.gpkg", request=SizeRequest(), per_class=SMALL, blind=True, seed=3)
    label(tmp_path / "a.gpkg", tmp_path / "a.gpkg", truth)
    told = draw_sample(
        source, tmp_path / "b.gpkg", request=SizeRequest(), per_class=LARGE, extend=tmp_path / "a.gpkg", seed=77
    )
    assert (told["n"], told["new"], told["seed"]) == (115, 55, 3)
    draw_sample(source, tmp_path / "c.gpkg", request=SizeRequest(), per_class=LARGE, seed=3)
    assert set(places(tmp_path / "b.gpkg")) == set(places(tmp_path / "c.gpkg"))
    assert places(tmp_path / "b.gpkg")[:60] == places(tmp_path / "a.gpkg")
    before, after = points(tmp_path / "a.gpkg"), points(tmp_path / "b.gpkg")
    assert "stratum" not in after
    assert after["id"].tolist() == list(range(1, 116))
    assert after["reference"][:60].tolist() == before["reference"].tolist()
    assert after["reference"][60:].isna().all()
    with pytest.raises(InputError, match=r"no label in 'reference' \(55 of 115"):
        estimate_accuracy(tmp_path / "b.gpkg")
    label(tmp_path / "b.gpkg", tmp_path / "b.gpkg", truth)
    label(tmp_path / "c.gpkg", tmp_path / "c.gpkg", truth)
    assert estimate_accuracy(tmp_path / "b.gpkg")["classes"] == estimate_accuracy(tmp_path / "c.gpkg")["classes"]


def test_units_that_another_seed_drew_are_not_drawn_again(world):  # noqa: F811
    grid = find_map(world[0] / "map.tif").grid
    pixels = count_classes(grid).pixels
    before = draw_pixels(grid, {1: 40, 5: pixels[5] - 3}, pixels=pixels, seed=1)
    more = draw_more(grid, {1: 60, 5: 3}, pixels=pixels, seed=2, before=before)
    both = {*zip(before.row, before.column, strict=True), *zip(more.row, more.column, strict=True)}
    assert len(both) == 40 + pixels[5] + 60
    assert (more.stratum == 5).sum() == 3
    with pytest.raises(InputError, match="4 more pixels of class 5 are requested"):
        draw_more(grid, {5: 4}, pixels=pixels, seed=2, before=before)


def test_by_a_plan_no_class_loses_units(world, tmp_path):  # noqa: F811
    source = find_map(world[0] / "map.tif")
    request = SizeRequest(n=300, allocation="equal")
    draw_sample(source, tmp_path / "a.gpkg", request=request)
    told = draw_sample(source, tmp_path / "b.gpkg", request=SizeRequest(n=400), extend=tmp_path / "a.gpkg")
    assert min(told["sizes"].values()) >= 100
    assert told["n"] == sum(told["sizes"].values()) == told["new"] + 300
    assert "stratum" in points(tmp_path / "b.gpkg")


def test_an_extension_that_cannot_be_is_refused_and_nothing_written(world, tmp_path, landweave):  # noqa: F811
    folder, _, truth = world
    source = find_map(folder / "map.tif")
    draw_sample(source, tmp_path / "a.gpkg", request=SizeRequest(), per_class=LARGE)
    other = find_map(write_map(tmp_path / "other.tif", truth))
    for options, told in (
        ({"per_class": SMALL}, "has 60 units already, more than 20; --extend only adds units"),
        ({"per_class": LARGE}, "the sample has as many units already"),
        ({"per_class": LARGE, "extend": folder / "map.tif"}, "design is not readable"),
        ({"per_class": LARGE, "extend": tmp_path / "no.gpkg"}, "no design to extend"),
    ):
        with pytest.raises(InputError, match=told):
            draw_sample(
                source, tmp_path / "b.gpkg", request=SizeRequest(), **{"extend": tmp_path / "a.gpkg", **options}
            )
    with pytest.raises(InputError, match="drawn from another map"):
        draw_sample(other, tmp_path / "b.gpkg", request=SizeRequest(), per_class=LARGE, extend=tmp_path / "a.gpkg")
    assert not (tmp_path / "b.gpkg").exists()
    more = ["--per-class", "forest=31", "--per-class", "meadow & field=60", "--per-class", "pond=25"]
    status, out, _ = landweave(
        "estimate", "draw", folder / "map.tif", tmp_path / "b.gpkg", "--extend", tmp_path / "a.gpkg", *more
    )
    assert status == 0
    assert "116 units, 1 of them new; fill in" in out


def test_verdicts_of_interpreters_come_along(world, tmp_path):  # noqa: F811
    import shapely

    from landweave.labels.verdicts.store import JudgedPlace, PlaceVerdict, VerdictFile, read_verdicts

    source = find_map(world[0] / "map.tif")
    draw_sample(source, tmp_path / "a.gpkg", request=SizeRequest(), per_class=SMALL)
    place = JudgedPlace(key="4", queue="sample", shape=shapely.to_wkb(shapely.Point(1, 2)), told={})
    verdict = PlaceVerdict(uid="u", interpreter="ana", name="forest", alternate="pond", unsure=True, place=place)
    VerdictFile(tmp_path / "a.gpkg", crs="EPSG:32633").put(verdict)
    draw_sample(source, tmp_path / "b.gpkg", request=SizeRequest(), per_class=LARGE, extend=tmp_path / "a.gpkg")
    found = read_verdicts(tmp_path / "b.gpkg")
    assert [(v.interpreter, v.name, v.alternate, v.unsure, v.place.key) for v in found] == [
        ("ana", "forest", "pond", True, "4")
    ]
    assert {"sample", "pixels", "design"} <= {str(name) for name, _ in pyogrio.list_layers(tmp_path / "b.gpkg")}
