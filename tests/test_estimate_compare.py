"""Two maps judged by one sample: their difference by plain arithmetic, and what is said of it."""

import json

import numpy as np
import pytest
from test_cli import landweave  # noqa: F401 - a fixture
from test_estimate import label, world, write_map  # noqa: F401 - a fixture
from test_estimate_map_column import MAP, REFERENCE, stehman

from landweave.accuracy.design_based.linear import UnitDesign
from landweave.accuracy.design_based.map_comparison import (
    detectable_difference,
    difference_error,
    mcnemar,
    paired_difference,
)
from landweave.errors import InputError
from landweave.runs.estimate.accuracy import estimate_accuracy
from landweave.runs.estimate.compare_maps import JudgedMap, compare_maps
from landweave.runs.estimate.map import find_map


def test_the_error_of_a_difference_is_that_of_the_paired_differences():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 200)) < [[0.8], [0.75]]
    design = UnitDesign(weight=np.full(200, 3.0), stratum=np.zeros(200, int), drawn=np.zeros(1))
    one = np.ones(200)
    found = paired_difference(design, (a * one, one), (b * one, one))
    apart = a.astype(float) - b
    assert found.value == pytest.approx(apart.mean())
    assert found.se == pytest.approx(apart.std(ddof=1) / 200**0.5)
    same = paired_difference(design, (a * one, one), (a * one, one))
    assert (same.value, same.se, same.p) == (0, 0, 1)
    none = paired_difference(design, (a * one, one), (b * one, 0 * one))
    assert np.isnan(none.value)


def test_mcnemars_exact_test_is_the_binomial_one():
    from scipy.stats import binomtest

    for b, c in ((0, 0), (1, 0), (5, 5), (12, 3), (40, 61)):
        first = np.array([True] * b + [False] * c + [True] * 3 + [False] * 2)
        second = np.array([False] * b + [True] * c + [True] * 3 + [False] * 2)
        found = mcnemar(first, second)
        assert (found.only_first, found.only_second) == (b, c)
        assert found.p == pytest.approx(binomtest(b, b + c).pvalue if b + c else 1)


def test_a_detectable_difference_is_seen_as_often_as_it_says():
    rng = np.random.default_rng(1)
    n, accuracy = 800, 0.85
    d = detectable_difference(difference_error(n, accuracy))
    a = rng.random((1000, n)) < accuracy + d / 2
    b = rng.random((1000, n)) < accuracy - d / 2
    apart = a.astype(float) - b
    z = apart.mean(axis=1) / (apart.std(axis=1, ddof=1) / n**0.5)
    assert (z > 1.96).mean() == pytest.approx(0.8, abs=0.05)
    assert difference_error(n, accuracy, agreement=0.95) < difference_error(n, accuracy)
    for power in (0.4, 1.0):
        with pytest.raises(InputError, match=r"give a number from 0\.5"):
            detectable_difference(0.01, power=power)
    with pytest.raises(InputError, match="give 2 units or more"):
        difference_error(1, 0.8)


def test_columns_and_rasters_are_compared_alike(world, tmp_path):  # noqa: F811
    folder, _, _ = world
    old, new = (find_map(folder / name) for name in ("map.tif", "truth.tif"))
    found = compare_maps(folder / "labelled.gpkg", JudgedMap(source=old), JudgedMap(source=new))
    alone = estimate_accuracy(folder / "labelled.gpkg", map_source=old)
    overall = found["overall_accuracy"]
    assert overall["first"] == pytest.approx(alone["overall_accuracy"]["value"])
    assert overall["second"] == 1
    assert overall["difference"] == pytest.approx(1 - overall["first"])
    # The second map is right everywhere, so the error is that of the first.
    assert overall["se"] == pytest.approx(alone["overall_accuracy"]["se"])
    assert found["mcnemar"]["only_first"] == 0
    assert found["mcnemar"]["equal_weights"] is False
    assert any("McNemar's test, which counts them alike" in note for note in found["notes"])
    assert found["classes"]["pond"]["users_accuracy"]["first"] == pytest.approx(
        alone["classes"]["pond"]["users_accuracy"]["value"]
    )
    json.dumps(found, allow_nan=False)


def test_a_column_against_another_by_the_published_sample(tmp_path, landweave):  # noqa: F811
    path = stehman(tmp_path / "s.csv", best=list(REFERENCE), none=["D"] * 40)
    found = compare_maps(path, JudgedMap(column="map"), JudgedMap(column="best"))
    assert found["overall_accuracy"]["first"] == pytest.approx(0.63)
    assert found["overall_accuracy"]["se"] == pytest.approx(0.0846422, abs=1e-7)
    status, out, err = landweave("estimate", "compare", path, "--map-column", "map", "--map-column", "none")
    assert (status, err) == (0, "")
    assert "A, user's" in out
    assert "McNemar's exact test" in out
    for options in (("--map-column", "map"), (), ("--map-column", "map") * 3):
        status, _, err = landweave("estimate", "compare", path, *options)
        assert (status, err.count("\n")) == (2, 1)
        assert "give two" in err
    assert len(MAP) == 40


def test_maps_whose_values_mean_different_classes_are_refused(world, tmp_path):  # noqa: F811
    folder, mapped, _ = world
    other = write_map(tmp_path / "other.tif", mapped, names={1: "pond", 2: "meadow & field", 5: "forest"})
    with pytest.raises(InputError, match="value 1 is 'pond', but the other map calls it 'forest'"):
        compare_maps(
            folder / "labelled.gpkg", JudgedMap(source=find_map(folder / "map.tif")), JudgedMap(source=find_map(other))
        )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reference": [*REFERENCE[:20], *[""] * 10, *REFERENCE[30:]]}, "stratum 'C' has 0 sample units"),
        ({"stratum_pixels": [*[40_000] * 10, *[30_000] * 10, *[4] * 10, *[10_000] * 10],
          "stratum_area_ha": [*[40_000] * 10, *[30_000] * 10, *[4] * 10, *[10_000] * 10]}, "10 sample units of 4"),
        ({"stratum": np.arange(40) + 1, "stratum_pixels": [9] * 40, "stratum_area_ha": [9] * 40}, "variance needs 2"),
    ],
)  # fmt: skip
def test_a_sample_that_accuracy_refuses_is_refused_here_too(tmp_path, changes, told):
    path = stehman(tmp_path / "s.csv", best=list(REFERENCE), **changes)
    for run in (
        lambda: estimate_accuracy(path, map_column="map", drop_unlabelled=True),
        lambda: compare_maps(path, JudgedMap(column="map"), JudgedMap(column="best"), drop_unlabelled=True),
    ):
        with pytest.raises(InputError, match=told):
            run()


def test_with_few_degrees_of_freedom_interval_p_and_smallest_difference_go_by_students_t():
    from scipy.stats import t

    for n in (2, 4, 9):
        design = UnitDesign(weight=np.ones(n), stratum=np.zeros(n, int), drawn=np.zeros(1))
        assert design.quantile(0.95) == pytest.approx(t.ppf(0.975, n - 1))
        right, one = np.eye(1, n)[0], np.ones(n)
        found = paired_difference(design, (right, one), (0 * one, one))
        assert found.p == pytest.approx(2 * t.sf(found.value / found.se, n - 1))
        expected = (t.ppf(0.975, n - 1) + t.ppf(0.8, n - 1)) * found.se
        assert detectable_difference(found.se, design=design) == pytest.approx(expected)
        assert np.isfinite(design.quantile(0.95) * 0.0)


def test_labels_that_are_numbers_are_not_read_by_the_legend_of_other_maps(world, tmp_path):  # noqa: F811
    folder, mapped, truth = world
    other = {1: "pond", 2: "meadow & field", 5: "forest"}
    turned = np.choose(np.searchsorted([0, 1, 2, 5], mapped), [0, 5, 2, 1]).astype("uint8")
    maps = [JudgedMap(source=find_map(write_map(tmp_path / f"{i}.tif", turned, names=other))) for i in (1, 2)]
    named = compare_maps(folder / "labelled.gpkg", *maps)
    alone = estimate_accuracy(folder / "labelled.gpkg", map_source=maps[0].source)
    assert named["overall_accuracy"]["first"] == pytest.approx(alone["overall_accuracy"]["value"])
    numbers = label(folder / "drawn.gpkg", tmp_path / "n.gpkg", truth, names={1: "1", 2: "2", 5: "5"})
    with pytest.raises(InputError, match="class 'forest' has the value 1 in the map that the sample was drawn from"):
        compare_maps(numbers, *maps)
    bare = [JudgedMap(source=find_map(write_map(tmp_path / f"b{i}.tif", turned, names={}))) for i in (1, 2)]
    found = compare_maps(numbers, *bare)
    assert any(note.startswith("b1.tif: The labels would agree in") for note in found["notes"])


def test_one_class_by_two_values_in_two_maps_is_refused(world, tmp_path):  # noqa: F811
    folder, mapped, _ = world
    moved = write_map(tmp_path / "m.tif", mapped, names={1: "forest", 2: "meadow & field", 7: "pond"})
    with pytest.raises(InputError, match=r"m\.tif: 'pond' is the value 7, but 5 on the other map"):
        compare_maps(
            folder / "labelled.gpkg", JudgedMap(source=find_map(folder / "map.tif")), JudgedMap(source=find_map(moved))
        )
