"""Options of `landweave estimate accuracy` that use more than the sample: the map's areas, by district too."""

import numpy as np
import pytest
from test_cli import landweave  # noqa: F401 - a fixture
from test_estimate import NAMES, districts, points, world, write_map  # noqa: F401 - a fixture

from landweave.errors import InputError
from landweave.runs.estimate.accuracy import estimate_accuracy
from landweave.runs.estimate.map import find_map

PIXEL = 0.01 / 0.9996**2


@pytest.mark.parametrize("method", ["difference", "regression"])
def test_a_map_without_errors_gives_its_own_areas_without_error(world, tmp_path, method):  # noqa: F811
    folder, mapped, truth = world
    land = np.where(mapped > 0, truth, 0)
    source = find_map(write_map(tmp_path / "right.tif", land))
    found = estimate_accuracy(
        folder / "labelled.gpkg", map_source=source, estimator=method, districts=districts(tmp_path), column="name"
    )
    assert found["estimator"] == method
    for value, name in NAMES.items():
        area = found["classes"][name]["area_ha"]
        assert area["value"] == pytest.approx((land == value).sum() * PIXEL, rel=1e-4)
        assert area["se"] == pytest.approx(0, abs=1e-9)
        south = found["districts"]["south"]["classes"][name]["area_ha"]
        assert south["value"] == pytest.approx((land[30:90] == value).sum() * PIXEL, rel=0.02)
    assert found["districts"]["south"]["estimator"] == method
    shares = [row["share"]["value"] for row in found["classes"].values()]
    assert sum(shares) == pytest.approx(1, abs=1e-6)


def test_with_the_map_that_was_drawn_from_the_whole_stays_and_districts_are_close(world, tmp_path):  # noqa: F811
    folder, _, _ = world
    options = {"map_source": find_map(folder / "map.tif"), "districts": districts(tmp_path), "column": "name"}
    plain = estimate_accuracy(folder / "labelled.gpkg", **options)
    assert plain["estimator"] == "design"
    assert plain["districts"]["north"]["estimator"] == "post-stratified"
    for method in ("difference", "regression"):
        found = estimate_accuracy(folder / "labelled.gpkg", estimator=method, **options)
        for name in NAMES.values():
            for key in ("value", "se"):
                whole = plain["classes"][name]["area_ha"][key]
                assert found["classes"][name]["area_ha"][key] == pytest.approx(whole, rel=1e-6)
            a, b = (f["districts"]["south"]["classes"][name]["area_ha"] for f in (plain, found))
            assert abs(a["value"] - b["value"]) < 3 * b["se"]
            assert (
                found["districts"]["south"]["classes"][name]["total_ha"]
                == (plain["districts"]["south"]["classes"][name]["total_ha"])
            )


def test_a_sample_from_elsewhere_by_the_maps_classes_has_the_same_districts(world, tmp_path):  # noqa: F811
    folder, _, _ = world
    seen, labelled = points(folder / "seen.gpkg"), points(folder / "labelled.gpkg")
    place = seen.geometry.to_crs(4326)
    columns = seen[["stratum_pixels", "stratum_area_ha"]].assign(
        longitude=place.x, latitude=place.y, stratum=seen["stratum_name"], reference=labelled["reference"]
    )
    columns.to_csv(tmp_path / "s.csv", index=False)
    options = {"map_source": find_map(folder / "map.tif"), "districts": districts(tmp_path), "column": "name"}
    expected = estimate_accuracy(folder / "labelled.gpkg", **options)["districts"]["south"]
    found = estimate_accuracy(tmp_path / "s.csv", **options)["districts"]["south"]
    assert found["estimator"] == "post-stratified"
    for name in NAMES.values():
        assert found["classes"][name]["area_ha"]["value"] == pytest.approx(
            expected["classes"][name]["area_ha"]["value"], rel=1e-4
        )
    # Strata of other sizes than the map's classes are not its classes.
    columns.assign(stratum_area_ha=columns["stratum_area_ha"] * 1.1).to_csv(tmp_path / "t.csv", index=False)
    assert estimate_accuracy(tmp_path / "t.csv", **options)["districts"]["south"]["estimator"] == "ratio"


def test_estimators_that_cannot_be_are_refused(world, tmp_path, landweave):  # noqa: F811
    folder, _, truth = world
    with pytest.raises(InputError, match=r"--estimator best: choose one of design, difference, regression"):
        estimate_accuracy(folder / "labelled.gpkg", estimator="best")
    with pytest.raises(InputError, match="give its raster with --map"):
        estimate_accuracy(folder / "labelled.gpkg", estimator="difference")
    larger = write_map(tmp_path / "larger.tif", np.tile(truth, (2, 2)))
    status, _, err = landweave(
        "estimate", "accuracy", folder / "labelled.gpkg", "--map", larger, "--estimator", "regression"
    )
    assert (status, err.count("\n")) == (2, 1)
    assert "give the map of the land that was sampled" in err


def test_an_area_that_cannot_be_is_named_and_its_interval_is_that_of_what_was_found():
    from landweave.accuracy.design_based.estimates import Stratum, estimate
    from landweave.accuracy.design_based.linear import UnitDesign
    from landweave.runs.estimate.map_assisted import add_assisted

    mapped, true = np.array([2] * 4 + [1] * 16), np.ones(20, int)
    design = UnitDesign(weight=np.full(20, 5.0), stratum=np.zeros(20, int), drawn=np.zeros(1))
    names = {1: "wood", 2: "water"}
    figures = estimate(
        [1] * 20, mapped, true, strata={1: Stratum(name="all", units=10**6, area=100.0)}, classes=names
    )  # fmt: skip
    options = {"names": names, "areas": {1: 95.0, 2: 5.0}}
    notes = add_assisted(figures, design, mapped, true, method="difference", **options)
    # The map shows 5 ha of water, and four of twenty units say that 20 ha are wrongly water.
    half = design.quantile(0.95) * 100 * (0.2 * 0.8 / 19) ** 0.5
    wood, water = (figures["classes"][name]["area_ha"] for name in ("wood", "water"))
    assert (wood["value"], water["value"]) == (100, 0)
    assert (wood["low"], wood["high"]) == (pytest.approx(115 - half), 100)
    assert (water["low"], water["high"]) == (0, pytest.approx(-15 + half))
    assert any("which cannot be" in note and "wood, water. Use --estimator regression" in note for note in notes)
    assert not any(
        "cannot be" in note for note in add_assisted(figures, design, mapped, true, method="regression", **options)
    )
